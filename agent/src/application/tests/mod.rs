//! Checks against servers of every sort, on real sockets.

mod certificates;
mod pages;
mod ports;
mod together;

pub(super) use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
pub(super) use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// All that servers have seen.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Vec<u8>>>);

impl Seen {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

/// What a server does with a connection.
#[derive(Clone)]
pub(super) enum Then {
    /// Says this at once, closes, and reads what else comes.
    Say(Vec<u8>),
    /// The same, once something was read.
    Answer(Vec<u8>),
    /// Says this, once something was read, and then nothing.
    Stall(Vec<u8>),
    /// Says this, once something was read, over and over.
    Endless(Vec<u8>),
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, then: Then, seen: Seen) {
    let mut buffer = [0; 4096];
    if !matches!(then, Then::Say(_)) {
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => seen.0.lock().unwrap().extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
    match then {
        Then::Say(bytes) | Then::Answer(bytes) => {
            drop(stream.write_all(&bytes).await);
            drop(stream.shutdown().await);
        }
        Then::Stall(bytes) => drop(stream.write_all(&bytes).await),
        Then::Endless(bytes) => while stream.write_all(&bytes).await.is_ok() {},
    }
    while let Ok(length) = stream.read(&mut buffer).await
        && length > 0
    {
        seen.0.lock().unwrap().extend_from_slice(&buffer[..length]);
    }
}

/// A server without TLS.
pub(super) async fn plain(then: Then) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let kept = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, then.clone(), kept.clone()));
        }
    });
    (address, seen)
}

pub(super) async fn refused_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A server with TLS.
async fn secure(config: rustls::ServerConfig, then: Then) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let (kept, acceptor) = (seen.clone(), tokio_rustls::TlsAcceptor::from(Arc::new(config)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, then, kept) = (acceptor.clone(), then.clone(), kept.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, then, kept).await;
                }
            });
        }
    });
    (address, seen)
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { pem, issuer: Issuer::new(params, key) }
}

/// A certificate of 1 January 2001 to 1 January of `until`, by `authority` or by itself; DER, PEM and key.
fn certificate(authority: Option<&Authority>, name: &str, until: i32) -> (CertificateDer<'static>, String, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let made = authority.map_or_else(|| params.self_signed(&key), |authority| params.signed_by(&key, &authority.issuer)).unwrap();
    (made.der().clone(), made.pem(), key)
}

fn shows((certificate, _, key): (CertificateDer<'static>, String, KeyPair)) -> rustls::ServerConfig {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let builder = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()
}

pub(super) fn target(address: SocketAddr) -> Target {
    Target { host: address.ip().to_string(), port: address.port() }
}

pub(super) fn check(what: What) -> Check {
    Check { alias: Word::alias("x").unwrap(), timeout: patience(Class::Ok), what }
}

/// Short where a deadline is to strike, long where a slow machine must not make it strike.
pub(super) fn patience(expected: Class) -> Duration {
    if expected == Class::TimedOut { Duration::from_millis(400) } else { Duration::from_secs(20) }
}

/// What one check comes to.
pub(super) async fn found(what: What) -> Result<Finding, FaultCode> {
    run(&[check(what)]).await.remove(0).result
}

/// The same of one that is to fail.
pub(super) async fn failed(what: What, expected: Class) -> Result<Finding, FaultCode> {
    run(&[Check { timeout: patience(expected), ..check(what) }]).await.remove(0).result
}

/// That a check fails without any answer, by this class.
#[track_caller]
pub(super) fn down(found: Result<Finding, FaultCode>, class: Class) {
    assert_eq!(found, Ok(Finding { class, ..Finding::default() }));
}

/// That a check has an answer of this class.
#[track_caller]
pub(super) fn answered(found: Result<Finding, FaultCode>, class: Class) -> Finding {
    let found = found.unwrap();
    assert!(found.class == class && found.latency_us.is_some_and(|us| (1..20_000_000).contains(&us)), "{found:?}");
    found
}
