//! Tests of the way out, on real sockets.

mod judged;
mod layers;
mod requests;

use super::*;
use mimamori_shared::sign::sha256;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// The end of every body sent here, by which the servers know that they have all of it.
const END: &[u8] = b"-END";

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Authority { der: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
}

impl Authority {
    fn pin(&self) -> Hash {
        sha256(&self.der)
    }

    fn server(&self, name: &str, years: (i32, i32)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![certificate.der().clone(), self.der.clone()];
        Identity { chain, key: key.serialize_der(), versions: rustls::ALL_VERSIONS }
    }

    fn good(&self) -> Identity {
        self.server("127.0.0.1", (2020, 2090))
    }
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
}

impl Identity {
    fn acceptor(self) -> tokio_rustls::TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(self.versions).unwrap();
        Arc::new(config.with_no_client_auth().with_single_cert(self.chain, key).unwrap()).into()
    }
}

/// What a server does once it has read a request.
#[derive(Clone)]
enum Then {
    /// Answers and closes.
    Answer(Vec<u8>),
    /// Answers and goes on waiting for requests.
    Keep(Vec<u8>),
    /// Begins an answer and falls silent.
    Stall(Vec<u8>),
    /// Begins an answer and never ends it.
    Endless,
}

/// All a server has seen.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u8>>>);

impl Seen {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, then: Then, seen: Seen) {
    let mut buffer = [0; 4096];
    loop {
        let mut request = Vec::new();
        while !(request.ends_with(END) || request.starts_with(b"GET ") && request.ends_with(b"\r\n\r\n")) {
            match stream.read(&mut buffer).await {
                Ok(length) if length > 0 => {
                    request.extend_from_slice(&buffer[..length]);
                    seen.0.lock().unwrap().extend_from_slice(&buffer[..length]);
                }
                _ => return,
            }
        }
        match &then {
            Then::Keep(answer) => stream.write_all(answer).await.unwrap(),
            Then::Answer(answer) => {
                stream.write_all(answer).await.unwrap();
                drop(stream.shutdown().await);
                return;
            }
            Then::Stall(begin) => {
                stream.write_all(begin).await.unwrap();
                stream.flush().await.unwrap();
                std::future::pending::<()>().await;
            }
            Then::Endless => {
                let begin = format!("HTTP/1.1 200 OK\r\nContent-Type: {ANSWER_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n");
                drop(stream.write_all(begin.as_bytes()).await);
                while stream.write_all(b"400\r\n").await.is_ok() {
                    drop(stream.write_all(&[b'x'; 0x400]).await);
                    drop(stream.write_all(b"\r\n").await);
                }
                return;
            }
        }
    }
}

/// A server without TLS.
async fn plain(then: Then) -> (SocketAddr, Seen) {
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

/// A server with TLS.
async fn secure(identity: Identity, then: Then) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let (kept, acceptor) = (seen.clone(), identity.acceptor());
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

/// A proxy that reads one request head and answers; a 200 is followed by the tunnel to `to`.
async fn proxy_server(answer: &'static str, to: Option<SocketAddr>) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let kept = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                kept.0.lock().unwrap().extend_from_slice(&head);
                stream.write_all(answer.as_bytes()).await.unwrap();
                if let Some(to) = to {
                    let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                    drop(tokio::io::copy_bidirectional(&mut stream, &mut server).await);
                } else if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (format!("http://{address}"), seen)
}

fn config(url: String, pin: Hash) -> UplinkConfig {
    UplinkConfig {
        connect_timeout: Duration::from_millis(1500),
        request_timeout: Duration::from_millis(3000),
        allow_plain_loopback: true,
        ..UplinkConfig::new(url, pin)
    }
}

fn through(proxy: String, mut config: UplinkConfig) -> UplinkConfig {
    config.proxy = Proxy::Explicit { url: proxy, user: None };
    config
}

async fn push(config: UplinkConfig) -> Result<Answer, PushError> {
    push_on(&Uplink::new(config).unwrap()).await
}

async fn push_on(uplink: &Uplink) -> Result<Answer, PushError> {
    let body = [b"body", END].concat();
    uplink.post(REPORTS_PATH, REPORTS_TYPE, Some("zstd"), body, 0).await
}

/// Every step of the check, up to the first that fails.
async fn check(config: UplinkConfig) -> Result<TlsFacts, PushError> {
    let uplink = Uplink::new(config).unwrap();
    let addresses = uplink.resolve().await.result?;
    let stream = uplink.connect(&addresses).await.result?;
    uplink.tls_handshake(stream).await.result
}
