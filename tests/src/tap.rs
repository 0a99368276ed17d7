//! A tap on the line: it stands before a collector with that collector's own certificate, passes everything on, and
//! keeps every byte that agents say behind TLS.

use crate::World;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
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
    said: Arc<Mutex<Vec<u8>>>,
    _runtime: Runtime,
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
        let (address, said, to) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())), world.ingest);
        let into = Arc::clone(&said);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A collector that is not there, and a side that goes away, end the connection as they do without a tap.
                tokio::spawn(pass(stream, to, acceptor.clone(), connector.clone(), Arc::clone(&into)));
            }
        });
        Tap { address, said, _runtime: runtime }
    }

    /// Everything that was said so far.
    #[must_use]
    pub fn said(&self) -> Vec<u8> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn pass(stream: TcpStream, to: SocketAddr, acceptor: TlsAcceptor, connector: TlsConnector, said: Arc<Mutex<Vec<u8>>>) -> std::io::Result<()> {
    let onward = connector.connect(ServerName::IpAddress(to.ip().into()), TcpStream::connect(to).await?).await?;
    let (mut from_agent, mut to_agent) = tokio::io::split(acceptor.accept(stream).await?);
    let (mut from_collector, mut to_collector) = tokio::io::split(onward);
    let up = async {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = from_agent.read(&mut chunk).await?;
            if read == 0 {
                return to_collector.shutdown().await;
            }
            said.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..read]);
            to_collector.write_all(&chunk[..read]).await?;
            to_collector.flush().await?;
        }
    };
    let down = async {
        tokio::io::copy(&mut from_collector, &mut to_agent).await?;
        to_agent.shutdown().await
    };
    tokio::select! { done = up => done, done = down => done }
}
