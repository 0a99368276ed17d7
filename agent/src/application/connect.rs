//! The way to what is checked, and the files a check reads.

use super::{Class, Trouble};
use crate::host::Host;
use mimamori_shared::payload::FaultCode;
use rustls::ClientConfig;
use rustls::client::WantsClientCert;
use rustls::pki_types::ServerName;
use rustls::{ConfigBuilder, RootCertStore, WantsVerifier};
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Threads of checks that may hang at once.
const HANGING_MAX: usize = 8;
static HANGING: AtomicUsize = AtomicUsize::new(0);
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
    let (host, port) = (target.host.clone(), target.port);
    let look = move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let addresses = aside(&HANGING, look).await.ok_or(Class::TimedOut)?.map_err(|_| Class::NameNotFound)?;
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
    aside(&HANGING, read).await.unwrap_or(Err(FaultCode::TimedOut)).map_err(Trouble::Unmeasured)
}

/// Runs what may hang (a name server, a dead mount) on a thread of its own. The runtime's few threads are the uplink's:
/// a check must not take them away. `None` while too many of those threads hang.
async fn aside<T: Send + 'static>(hanging: &'static AtomicUsize, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    struct Under(&'static AtomicUsize);
    impl Drop for Under {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
    let others = hanging.fetch_add(1, Ordering::AcqRel);
    let under = Under(hanging);
    if others >= HANGING_MAX {
        return None;
    }
    let (give, done) = tokio::sync::oneshot::channel();
    let work = move || {
        let _under = under;
        // Nobody waits any more after the deadline.
        drop(give.send(work()));
    };
    std::thread::Builder::new().name("check".to_owned()).stack_size(256 * 1024).spawn(work).ok()?;
    done.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    static FULL: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn what_hangs_takes_none_of_the_runtimes_threads_and_no_more_than_its_own() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let hangs = || {
            let held = Arc::clone(&held);
            aside(&FULL, move || held.lock().unwrap().recv().is_ok())
        };
        runtime.block_on(async {
            let waiting: Vec<_> = (0..HANGING_MAX).map(|_| tokio::spawn(hangs())).collect();
            tokio::task::yield_now().await;
            while FULL.load(Ordering::Acquire) < HANGING_MAX {
                tokio::task::yield_now().await;
            }
            assert_eq!(aside(&FULL, || 1).await, None, "there are enough of them");
            assert_eq!(tokio::task::spawn_blocking(|| 2).await.unwrap(), 2, "the runtime's own are free");
            waiting.iter().for_each(|_| release.send(()).unwrap());
            for one in waiting {
                assert_eq!(one.await.unwrap(), Some(true));
            }
        });
    }
}
