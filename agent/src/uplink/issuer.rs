//! Who signed a certificate, by its own words: for people, never for trust.
//!
//! Reads just enough of a certificate (RFC 5280, 4.1): the issuer's common name, or else its organisation.

use crate::der::{INTEGER, OBJECT_ID, SEQUENCE, SET, VERSION, take};

/// Longest name shown, in characters.
const NAME_CHARS_MAX: usize = 64;
/// 2.5.4.3 and 2.5.4.10, as DER writes them.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];

/// The issuer of a certificate, if it can be read.
pub(super) fn issuer(der: &[u8]) -> Option<String> {
    let (_, certificate, _) = take(der, Some(SEQUENCE))?;
    let (_, mut rest, _) = take(certificate, Some(SEQUENCE))?;
    if let Some((_, _, behind)) = take(rest, Some(VERSION)) {
        rest = behind;
    }
    let (_, _, rest) = take(rest, Some(INTEGER))?;
    let (_, _, rest) = take(rest, Some(SEQUENCE))?;
    let (_, mut names, _) = take(rest, Some(SEQUENCE))?;
    let (mut common, mut organisation) = (None, None);
    while let Some((_, set, behind)) = take(names, Some(SET)) {
        names = behind;
        let Some((_, pair, _)) = take(set, Some(SEQUENCE)) else { continue };
        let Some((_, id, value)) = take(pair, Some(OBJECT_ID)) else { continue };
        let Some((_, text, _)) = take(value, None) else { continue };
        let text = || Some(String::from_utf8_lossy(text).chars().map(|c| if c.is_control() { ' ' } else { c }).take(NAME_CHARS_MAX).collect::<String>());
        match id {
            COMMON_NAME => common = text(),
            ORGANISATION => organisation = text(),
            _ => {}
        }
    }
    common.or(organisation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair};

    fn signed_by(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        names.iter().for_each(|(kind, name)| params.distinguished_name.push(kind.clone(), *name));
        let issuer = Issuer::new(params, KeyPair::generate().unwrap());
        CertificateParams::new(vec!["rsc.example".to_owned()]).unwrap().signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().to_vec()
    }

    #[test]
    fn the_issuer_is_named_by_common_name_or_else_by_organisation() {
        let (name, organisation) = ((DnType::CommonName, "検査装置 CA"), (DnType::OrganizationName, "Example hospital"));
        assert_eq!(issuer(&signed_by(&[organisation.clone(), name])).unwrap(), "検査装置 CA");
        assert_eq!(issuer(&signed_by(&[organisation])).unwrap(), "Example hospital");
        assert_eq!(issuer(&signed_by(&[])), None);
        assert_eq!(issuer(&signed_by(&[(DnType::CommonName, &"x".repeat(200))])).unwrap().len(), NAME_CHARS_MAX);
    }

    #[test]
    fn whatever_is_cut_or_changed_is_no_panic() {
        let good = signed_by(&[(DnType::CommonName, "a\nb")]);
        assert_eq!(issuer(&good).unwrap(), "a b");
        for length in 0..good.len() {
            drop(issuer(&good[..length]));
        }
        for at in 0..good.len().min(200) {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                drop(issuer(&bad));
            }
        }
    }
}
