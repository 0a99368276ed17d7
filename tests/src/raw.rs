//! Connections byte by byte, from any loopback address: what no well-behaved client does.

use crate::World;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::Arc;

/// TLS over TCP.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Where to connect to, and whom to trust there.
#[derive(Debug, Clone)]
pub struct Raw {
    to: std::net::SocketAddr,
    config: Arc<ClientConfig>,
}

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    /// Status.
    pub status: u16,
    /// Header lines without `date`.
    pub headers: Vec<String>,
    /// Body.
    pub body: Vec<u8>,
}

impl Raw {
    /// For the collector of a world.
    ///
    /// # Panics
    /// When its authority cannot be read.
    #[must_use]
    pub fn new(world: &World) -> Raw {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(world.state_dir().join("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Raw { to: world.ingest, config: Arc::new(builder.with_root_certificates(roots).with_no_client_auth()) }
    }

    /// A TCP connection from the address 127.0.`group`.`member`. Not within an asynchronous runtime.
    ///
    /// # Errors
    /// When it is refused.
    ///
    /// # Panics
    /// Within an asynchronous runtime.
    pub fn tcp(&self, group: u8, member: u8) -> io::Result<TcpStream> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind((Ipv4Addr::new(127, 0, group, member), 0).into())?;
            socket.connect(self.to).await?.into_std()
        })?;
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The same with a finished TLS handshake.
    ///
    /// # Errors
    /// When either fails.
    ///
    /// # Panics
    /// When the collector's address cannot be a name.
    pub fn tls(&self, group: u8, member: u8) -> io::Result<Tls> {
        let IpAddr::V4(ip) = self.to.ip() else { panic!("a world has an IPv4 address") };
        let connection = ClientConnection::new(Arc::clone(&self.config), ServerName::IpAddress(IpAddr::V4(ip).into())).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, self.tcp(group, member)?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// The bytes of a POST.
    #[must_use]
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut text = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", self.to, body.len());
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        [text.as_bytes(), b"\r\n", body].concat()
    }
}

/// Reads one answer that names its length.
///
/// # Errors
/// When the connection ends before it.
///
/// # Panics
/// When what comes is no HTTP.
pub fn read_answer(stream: &mut impl Read) -> io::Result<RawAnswer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).unwrap();
    let mut lines = text.trim_end().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<String> = lines.map(str::to_ascii_lowercase).filter(|line| !line.starts_with("date:")).collect();
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(RawAnswer { status, headers, body })
}

/// Sends all bytes and flushes.
///
/// # Errors
/// When the other side is gone.
pub fn send(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}
