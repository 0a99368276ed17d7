//! Until when certificates last: of a port, whoever signed it, and of a file.

use super::connect::{Target, agree, connect, file, tls_builder};
use super::{Class, Finding, Trouble};
use crate::der::{INTEGER, SEQUENCE, VERSION, take};
use mimamori_shared::payload::FaultCode;
use mimamori_shared::time;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Reads the certificate a port shows. Nothing is sent on the connection, so it does not matter who is at its other end,
/// nor whether the handshake comes to its end: a port that wants a certificate of ours has shown its own.
pub(super) async fn of_port(target: &Target, begun: Instant, now_ms: i64) -> Result<Finding, Trouble> {
    let stream = connect(target).await?;
    let shown = Arc::new(AnyCertificate::default());
    let verifier = Arc::clone(&shown) as Arc<dyn ServerCertVerifier>;
    let config = tls_builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    let agreed = agree(config, target, stream).await.map(drop);
    let Some(certificate) = shown.taken() else {
        return Err(agreed.err().unwrap_or(Class::TlsHandshake).into());
    };
    let expires_at_ms = not_after_ms(&certificate).ok_or(Class::Protocol)?;
    Ok(Finding { expires_at_ms: Some(expires_at_ms), ..Finding::answered(class(expires_at_ms, now_ms), begun) })
}

/// Reads the certificates of a file, PEM or DER.
pub(super) async fn of_file(path: &Path, now_ms: i64) -> Result<Finding, Trouble> {
    let bytes = file(path).await?;
    let ends: Option<Vec<i64>> = all(&bytes).and_then(|found| found.iter().map(|one| not_after_ms(one)).collect());
    let earliest = ends.and_then(|ends| ends.into_iter().min()).ok_or(Trouble::Unmeasured(FaultCode::Malformed))?;
    Ok(Finding { class: class(earliest, now_ms), expires_at_ms: Some(earliest), ..Finding::default() })
}

fn class(expires_at_ms: i64, now_ms: i64) -> Class {
    if expires_at_ms < now_ms { Class::CertificateExpired } else { Class::Ok }
}

/// Every certificate of a file: the blocks of PEM, or DER one behind the other. `None` when one is broken.
pub(super) fn all(bytes: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    if bytes.first() != Some(&SEQUENCE) {
        return CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().ok();
    }
    let (mut found, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (_, _, behind) = take(rest, Some(SEQUENCE))?;
        let one = rest.get(..rest.len().checked_sub(behind.len())?)?;
        found.push(CertificateDer::from(one.to_vec()));
        rest = behind;
    }
    Some(found)
}

/// The end of a certificate's validity (RFC 5280, 4.1.2.5), in milliseconds since 1970.
pub(super) fn not_after_ms(der: &[u8]) -> Option<i64> {
    let (_, certificate, []) = take(der, Some(SEQUENCE))? else { return None };
    let (_, signed, _) = take(certificate, Some(SEQUENCE))?;
    let rest = take(signed, Some(VERSION)).map_or(signed, |(_, _, behind)| behind);
    // Serial number, algorithm, issuer, validity.
    let (_, _, rest) = take(rest, Some(INTEGER))?;
    let (_, _, rest) = take(rest, Some(SEQUENCE))?;
    let (_, _, rest) = take(rest, Some(SEQUENCE))?;
    let (_, validity, _) = take(rest, Some(SEQUENCE))?;
    let (_, _, rest) = take(validity, None)?;
    let (tag, end, []) = take(rest, None)? else { return None };
    moment(tag, std::str::from_utf8(end).ok()?)
}

/// `YYMMDDHHMMSSZ`, where 50 and more is of the last century, or `YYYYMMDDHHMMSSZ`.
fn moment(tag: u8, text: &str) -> Option<i64> {
    let text = match (tag, text.len(), text.get(..2)?) {
        (UTC_TIME, 13, years) if years >= "50" => format!("19{text}"),
        (UTC_TIME, 13, _) => format!("20{text}"),
        (GENERALIZED_TIME, 15, _) => text.to_owned(),
        _ => return None,
    };
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    let part = |from: usize, to: usize| digits.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    time::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

/// Takes whatever certificate is shown, and trusts nobody: see [`of_port`].
#[derive(Debug, Default)]
struct AnyCertificate(Mutex<Option<Vec<u8>>>);

impl AnyCertificate {
    fn taken(&self) -> Option<Vec<u8>> {
        self.0.lock().ok()?.take()
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Ok(mut shown) = self.0.lock() {
            *shown = Some(end_entity.to_vec());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    pub(super) fn until(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["pacs.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 2, 28);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_validity_is_read_in_both_notations() {
        for year in [1999, 2001, 2049, 2050, 9999] {
            assert_eq!(not_after_ms(&until(year)).map(time::show), Some(format!("{year}-02-28T00:00:00Z")));
        }
        let trailing = [until(2030), vec![0]].concat();
        assert_eq!(not_after_ms(&trailing), None);
    }

    #[test]
    fn moments_are_read_strictly() {
        assert_eq!(moment(UTC_TIME, "300228000000Z"), time::parse("2030-02-28T00:00:00Z").ok());
        assert_eq!(moment(UTC_TIME, "500101000000Z"), time::parse("1950-01-01T00:00:00Z").ok());
        assert_eq!(moment(GENERALIZED_TIME, "99991231235959Z"), time::parse("9999-12-31T23:59:59Z").ok());
        for (tag, bad) in [
            (UTC_TIME, "3002280000Z"),
            (UTC_TIME, "300229000000Z"),
            (UTC_TIME, "300228000000+"),
            (UTC_TIME, "30022800000éZ"),
            (UTC_TIME, "20300228000000Z"),
            (GENERALIZED_TIME, "300228000000Z"),
            (GENERALIZED_TIME, "20300228000060Z"),
            (GENERALIZED_TIME, "2030-2-28000000"),
            (SEQUENCE, "20300228000000Z"),
            (UTC_TIME, ""),
        ] {
            assert_eq!(moment(tag, bad), None, "{bad}");
        }
    }

    #[test]
    fn a_file_is_read_as_pem_or_as_der() {
        let (one, two) = (until(2030), until(2040));
        assert_eq!(all(&[one.clone(), two.clone()].concat()).map(|found| found.len()), Some(2));
        assert_eq!(all(&one[..one.len() - 1]), None);
        assert_eq!(all(b""), Some(vec![]));
        assert_eq!(all(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"), None);
    }

    #[test]
    fn whatever_is_cut_or_changed_is_no_panic() {
        let good = until(2030);
        for length in 0..good.len() {
            assert_eq!(not_after_ms(&good[..length]), None);
        }
        for at in 0..good.len().min(250) {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                drop((not_after_ms(&bad), all(&bad)));
            }
        }
    }

    proptest! {
        #[test]
        fn property_any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300), sequence in any::<bool>()) {
            let bytes = if sequence { [vec![SEQUENCE, 0x82, 1, 0], bytes].concat() } else { bytes };
            let found = all(&bytes).unwrap_or_default();
            prop_assert!(found.iter().map(|one| one.len()).sum::<usize>() <= bytes.len());
            prop_assert!(not_after_ms(&bytes).is_none_or(|ms| time::show(ms).ends_with('Z')));
        }
    }
}
