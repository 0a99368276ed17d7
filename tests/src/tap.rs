//! A tap on the line: it stands before a collector with that collector's own certificate, passes everything on, and
//! keeps every byte that agents say behind TLS. It can lose the answers to exactly those requests that say a thing.

use crate::World;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The tap; the line is cut when it is dropped.
#[derive(Debug)]
pub struct Tap {
    /// Where agents are to report to.
    pub address: SocketAddr,
    line: Arc<Line>,
    _runtime: Runtime,
}

/// What all connections share.
#[derive(Debug, Default)]
struct Line {
    said: Mutex<Vec<u8>>,
    /// The answer to a request that says this is lost.
    loses: Mutex<Option<String>>,
    lost: AtomicUsize,
}

/// How a compressed body begins.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Most bytes of a body, unpacked.
const BODY_BYTES_MAX: usize = 64 << 20;

impl Line {
    /// Whether the answer to this request is to be lost.
    fn loses(&self, request: &[u8]) -> bool {
        let Some(what) = self.loses.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return false };
        let at = request.windows(ZSTD.len()).position(|bytes| bytes == ZSTD);
        let body = at.and_then(|at| zstd::bulk::decompress(&request[at..], BODY_BYTES_MAX).ok()).unwrap_or_default();
        String::from_utf8_lossy(&body).contains(&what)
    }
}

impl Tap {
    /// Before a collector that has been started once.
    ///
    /// # Panics
    /// When its certificate cannot be read.
    #[must_use]
    pub fn new(world: &World) -> Tap {
        let file = |name: &str| world.state_dir().join(name);
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file("tls.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(file("tls.key")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server.with_no_client_auth().with_single_cert(chain, key).unwrap()));
        let connector = TlsConnector::from(Arc::new(client.with_root_certificates(roots).with_no_client_auth()));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // The certificate is for this address.
        let listener = runtime.block_on(TcpListener::bind((world.ingest.ip(), 0))).unwrap();
        let (address, line, to) = (listener.local_addr().unwrap(), Arc::new(Line::default()), world.ingest);
        let into = Arc::clone(&line);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A collector that is not there, and a side that goes away, end the connection as they do without a tap.
                tokio::spawn(pass(stream, to, acceptor.clone(), connector.clone(), Arc::clone(&into)));
            }
        });
        Tap { address, line, _runtime: runtime }
    }

    /// Everything that was said so far.
    #[must_use]
    pub fn said(&self) -> Vec<u8> {
        self.line.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on the collector's answer to every request that says `what` is lost, when the collector has given it;
    /// with `None` no more.
    pub fn lose_answers(&self, what: Option<&str>) {
        *self.line.loses.lock().unwrap_or_else(PoisonError::into_inner) = what.map(str::to_owned);
    }

    /// How many answers were lost so far.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.line.lost.load(Ordering::Relaxed)
    }
}

async fn pass(stream: TcpStream, to: SocketAddr, acceptor: TlsAcceptor, connector: TlsConnector, line: Arc<Line>) -> std::io::Result<()> {
    let onward = connector.connect(ServerName::IpAddress(to.ip().into()), TcpStream::connect(to).await?).await?;
    let (mut from_agent, mut to_agent) = tokio::io::split(acceptor.accept(stream).await?);
    let (mut from_collector, mut to_collector) = tokio::io::split(onward);
    // The request that has no answer yet: a client says the next one behind its answer.
    let request = Mutex::new(Vec::new());
    let up = async {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = from_agent.read(&mut chunk).await?;
            if read == 0 {
                return to_collector.shutdown().await;
            }
            line.said.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..read]);
            request.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..read]);
            to_collector.write_all(&chunk[..read]).await?;
            to_collector.flush().await?;
        }
    };
    let down = async {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = from_collector.read(&mut chunk).await?;
            if read == 0 {
                return to_agent.shutdown().await;
            }
            let asked = std::mem::take(&mut *request.lock().unwrap_or_else(PoisonError::into_inner));
            if line.loses(&asked) {
                line.lost.fetch_add(1, Ordering::Relaxed);
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            to_agent.write_all(&chunk[..read]).await?;
            to_agent.flush().await?;
        }
    };
    tokio::select! { done = up => done, done = down => done }
}
