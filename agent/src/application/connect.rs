//! The way to what is checked, and the files a check reads.

use super::{Class, Trouble};
use crate::host::Host;
use mimamori_shared::payload::FaultCode;
use rustls::ClientConfig;
use rustls::client::WantsClientCert;
use rustls::pki_types::ServerName;
use rustls::{ConfigBuilder, RootCertStore, WantsVerifier};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Largest file of certificates, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// A host, by name or number, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A name, or an address without brackets.
    pub host: String,
    /// Not 0.
    pub port: u16,
}

/// Connects to the first of the addresses that answers. The deadline is the caller's.
pub(super) async fn connect(target: &Target) -> Result<TcpStream, Class> {
    let addresses = tokio::net::lookup_host((target.host.as_str(), target.port)).await.map_err(|_| Class::NameNotFound)?;
    let mut fault = Class::NameNotFound;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => fault = io_class(&error),
        }
    }
    Err(fault)
}

/// What a failed connection, read or write says.
pub(super) fn io_class(error: &io::Error) -> Class {
    match error.kind() {
        ErrorKind::ConnectionRefused => Class::Refused,
        ErrorKind::TimedOut => Class::TimedOut,
        // A firewall of this machine answers "not permitted".
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown | ErrorKind::PermissionDenied => Class::Unreachable,
        _ => Class::Closed,
    }
}

/// Agrees on TLS.
pub(super) async fn agree(config: ClientConfig, target: &Target, stream: TcpStream) -> Result<TlsStream<TcpStream>, Class> {
    let name = ServerName::try_from(target.host.clone()).map_err(|_| Class::TlsHandshake)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. })) => {
                Class::CertificateExpired
            }
            _ => Class::TlsHandshake,
        }
    })
}

/// A client's configuration, up to whom it trusts.
pub(super) fn tls_builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Trouble> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|_| Trouble::Unmeasured(FaultCode::Unsupported))
}

/// Trusts the authorities of a PEM file and nobody else.
pub(super) fn trusting(pem: &[u8]) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Trouble> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(super::certificate::all(pem).unwrap_or_default());
    if roots.is_empty() { Err(Trouble::Unmeasured(FaultCode::Malformed)) } else { Ok(tls_builder()?.with_root_certificates(roots)) }
}

/// A file that a check names. A pipe or device is no such file: opening one could wait for ever.
pub(super) async fn file(path: &Path) -> Result<Vec<u8>, Trouble> {
    let path = path.to_owned();
    let read = move || {
        if std::fs::metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            return Err(FaultCode::Malformed);
        }
        let below = path.strip_prefix("/").ok().and_then(Path::to_str).ok_or(FaultCode::Malformed)?;
        Host::live().read_bytes(below, FILE_BYTES_MAX)
    };
    let read = tokio::task::spawn_blocking(read).await.unwrap_or(Err(FaultCode::IoError));
    read.map_err(Trouble::Unmeasured)
}
