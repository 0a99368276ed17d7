//! Trust in the server: the certificate authority named in the enrolment token, and nothing the system trusts.

use super::UplinkError;
use super::issuer::issuer;
use mimamori_shared::id::Hash;
use mimamori_shared::sign::sha256;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// The pinned certificate is not in the chain, and no other authority is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotPinned {
    /// Who signed what was shown instead, by its own words.
    issuer: Option<String>,
}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.issuer {
            Some(issuer) => write!(f, "the certificate shown is signed by \"{issuer}\""),
            None => f.write_str("the certificate shown names nobody who signed it"),
        }
    }
}

impl std::error::Error for NotPinned {}

fn not_pinned(shown: &CertificateDer<'_>) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(NotPinned { issuer: issuer(shown) }))))
}

/// Verifies against the one certificate of the presented chain that has the pinned hash; if there is none,
/// against the authorities of a facility that inspects TLS.
#[derive(Debug)]
pub(super) struct PinVerifier {
    pin: Hash,
    provider: Arc<CryptoProvider>,
    extra: Option<Arc<WebPkiServerVerifier>>,
}

impl PinVerifier {
    pub(super) fn new(pin: Hash, extra_ca_pem: Option<&[u8]>, provider: Arc<CryptoProvider>) -> Result<PinVerifier, UplinkError> {
        let extra = extra_ca_pem.map(|pem| extra_verifier(pem, &provider)).transpose()?;
        Ok(PinVerifier { pin, provider, extra })
    }

    /// Whether the pinned authority is among the certificates behind the server's own.
    pub(super) fn is_pinned(&self, intermediates: &[CertificateDer<'_>]) -> bool {
        self.find(intermediates).is_some()
    }

    fn find<'a>(&self, intermediates: &'a [CertificateDer<'a>]) -> Option<&'a CertificateDer<'a>> {
        intermediates.iter().find(|certificate| sha256(certificate) == self.pin)
    }
}

fn extra_verifier(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, UplinkError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| UplinkError::ExtraCa)?;
        roots.add(certificate).map_err(|_| UplinkError::ExtraCa)?;
    }
    if roots.is_empty() {
        return Err(UplinkError::ExtraCa);
    }
    verifier(roots, provider).map_err(|_| UplinkError::ExtraCa)
}

fn verifier(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder.build().map_err(|fault| Error::General(fault.to_string()))
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let trusted = match (self.find(intermediates), &self.extra) {
            (Some(pinned), _) => {
                let mut roots = RootCertStore::empty();
                roots.add(pinned.clone().into_owned())?;
                verifier(roots, &self.provider)?
            }
            (None, Some(extra)) => Arc::clone(extra),
            (None, None) => return Err(not_pinned(end_entity)),
        };
        trusted.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
