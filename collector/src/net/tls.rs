//! TLS as the listeners offer it, and its certificate, replaceable while serving.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};

/// Why a certificate and key were not taken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file is not PEM.
    #[error("cannot read the certificate chain")]
    Certificate(#[source] pem::Error),
    /// The certificate file holds no certificate.
    #[error("the certificate chain is empty")]
    NoCertificate,
    /// The key file holds no private key.
    #[error("cannot read the private key")]
    Key(#[source] pem::Error),
    /// The key's kind is unknown, it is broken, or it is not the key of the first certificate.
    #[error("the private key does not fit the certificate")]
    Pair(#[source] rustls::Error),
    /// The provider refused the protocol versions, or gave no randomness for the tickets' key.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
}

/// A TLS 1.2 and 1.3 configuration whose certificate can be replaced.
///
/// Listeners that share one also share the tickets' key, which outlives a reload.
#[derive(Debug)]
pub struct TlsReloader {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
}

impl TlsReloader {
    /// Takes a chain, leaf first, and the leaf's key.
    pub fn new(cert_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let current = Arc::new(Current(RwLock::new(pair(cert_pem, key_pem, &provider)?)));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = ring::Ticketer::new().map_err(TlsError::Setup)?;
        // 0-RTT data can be replayed.
        config.max_early_data_size = 0;
        Ok(TlsReloader { config: Arc::new(config), current })
    }

    /// Replaces the certificate for handshakes from now on. On `Err` the old one stays.
    pub fn reload(&self, cert_pem: &[u8], key_pem: &[u8]) -> Result<(), TlsError> {
        let fresh = pair(cert_pem, key_pem, self.config.crypto_provider())?;
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

/// Whether the first certificate of a chain is for this name or address.
pub fn certificate_covers(cert_pem: &[u8], host: &str) -> bool {
    let Some(Ok(leaf)) = CertificateDer::pem_slice_iter(cert_pem).next() else { return false };
    let Ok(name) = ServerName::try_from(host) else { return false };
    ParsedCertificate::try_from(&leaf).is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn pair(cert_pem: &[u8], key_pem: &[u8], provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert_pem).collect::<Result<_, _>>().map_err(TlsError::Certificate)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(TlsError::Key)?;
    let key = provider.key_provider.load_private_key(key).map_err(TlsError::Pair)?;
    let pair = CertifiedKey::new(chain, key);
    // Stricter than `CertifiedKey::from_der`, which takes a key whose match cannot be told.
    pair.keys_match().map_err(TlsError::Pair)?;
    Ok(Arc::new(pair))
}
