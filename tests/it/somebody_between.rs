//! Somebody stands between agent and collector, with a certificate that the machine itself would believe: what the
//! agent says to him at its enrolment is counted, byte by byte (EN-05).

use mimamori_shared::id::Hash;
use mimamori_shared::sign::sha256;
use mimamori_tests::process::program;
use mimamori_tests::{World, wait_until};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Kinds of records of TLS: a handshake, and what is encrypted as the application's.
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;

const OLD: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
const NEW: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

/// What one connection brought.
#[derive(Debug, Clone, Default)]
struct Said {
    /// As it came over the line.
    raw: Vec<u8>,
    /// What was in it behind TLS.
    plain: Vec<u8>,
    /// Whether the handshake came to its end.
    shaken: bool,
}

impl Said {
    /// Kind and length of every record.
    fn records(&self) -> Vec<(u8, usize)> {
        let (mut rest, mut records) = (self.raw.as_slice(), Vec::new());
        while let [kind, _, _, high, low, more @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            records.push((*kind, length));
            rest = &more[length.min(more.len())..];
        }
        records
    }
}

/// A socket that remembers what was read from it.
struct Heard {
    stream: TcpStream,
    raw: Vec<u8>,
}

impl Read for Heard {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.raw.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

/// The one in between.
struct Between {
    port: u16,
    /// His authority, as PEM and by its hash.
    pem: String,
    pin: Hash,
    said: Arc<Mutex<Vec<Said>>>,
}

impl Between {
    fn new(versions: &'static [&'static SupportedProtocolVersion]) -> Between {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "An authority of this machine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&leaf_key, &Issuer::new(params, ca_key)).unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone(), ca.der().clone()];
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = builder.with_protocol_versions(versions).unwrap().with_no_client_auth().with_single_cert(chain, private).unwrap();
        let (config, listener, said) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (port, into) = (listener.local_addr().unwrap().port(), Arc::clone(&said));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = listen(Arc::clone(&config), stream);
                into.lock().unwrap().push(heard);
            }
        });
        Between { port, pem: ca.pem(), pin: sha256(ca.der()), said }
    }

    /// What the only connection since the last call brought.
    #[track_caller]
    fn only(&self) -> Said {
        wait_until("the connection is over", Duration::from_secs(15), || !self.said.lock().unwrap().is_empty());
        let said = std::mem::take(&mut *self.said.lock().unwrap());
        assert_eq!(said.len(), 1, "{said:?}");
        said[0].clone()
    }
}

/// Goes along with whatever comes, until a whole request is there or the other side is gone.
fn listen(config: Arc<ServerConfig>, stream: TcpStream) -> Said {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), Heard { stream, raw: Vec::new() });
    let (mut plain, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = tls.read(&mut chunk) {
        plain.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&plain).to_lowercase();
        let length = |head: &str| head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok()).unwrap_or(0);
        if text.split_once("\r\n\r\n").is_some_and(|(head, body)| body.len() >= length(head)) {
            drop(tls.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
            tls.conn.send_close_notify();
            break;
        }
    }
    drop(tls.flush());
    Said { raw: tls.sock.raw, plain, shaken: !tls.conn.is_handshaking() }
}

/// Under TLS 1.2 and 1.3: a program that believes the machine's authorities talks to him, and so does the agent where
/// his authority is pinned; where it is not, the agent's enrolment ends in the handshake.
#[test]
fn before_an_authority_that_is_not_pinned_not_a_byte_of_the_enrolment_is_said() {
    let mut world = World::new("between");
    world.start();
    for (name, versions) in [("TLS 1.2", &OLD), ("TLS 1.3", &NEW)] {
        let between = Between::new(versions);
        let home = world.agent_home(if name == "TLS 1.2" { "ct-1" } else { "ct-2" });
        let authority = home.dir.join("authority.pem");
        fs::write(&authority, &between.pem).unwrap();
        fs::set_permissions(&authority, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let mut token = world.token(None);
        token.url = format!("https://127.0.0.1:{}", between.port);
        let enroll = |token: &mimamori_shared::token::Token| {
            let mut command = home.enroll_command(&token.to_text());
            command.env("SSL_CERT_FILE", &authority).env("SSL_CERT_DIR", "/nonexistent");
            let done = command.output().unwrap();
            assert!(!done.status.success(), "he enrols nobody");
            (String::from_utf8_lossy(&done.stderr).into_owned(), between.only())
        };
        let (words, said) = enroll(&token);
        assert!(words.contains("pinned") || words.contains("certificate"), "{words}");
        let records = said.records();
        assert!(said.plain.is_empty() && !said.shaken, "{said:?}");
        assert!(records[0].0 == HANDSHAKE && records[0].1 == said.raw.len() - 5 - records[1..].iter().map(|(_, length)| length + 5).sum::<usize>());
        // Behind the first word there may be why it ends, as an alert of two bytes and their encryption.
        let after: usize = records[1..].iter().map(|(_, length)| *length).sum();
        assert!(after <= 64, "{records:?}");
        let alone = said.raw.len();
        // What is counted would be seen: he is the authority of the machine, and then the one that is pinned.
        let mut python = program(Path::new("/usr/bin/python3"));
        let script = "import ssl,socket,sys\ns=ssl.create_default_context().wrap_socket(socket.create_connection(('127.0.0.1',int(sys.argv[1]))),server_hostname='127.0.0.1')\ns.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n')\ns.recv(9)";
        let done = python.env("SSL_CERT_FILE", &authority).args(["-c", script, &between.port.to_string()]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(between.only().plain, b"GET / HTTP/1.1\r\n\r\n", "the machine's own programs believe him");
        token.ca_pin = between.pin;
        let (words, said) = enroll(&token);
        let body = String::from_utf8_lossy(&said.plain).into_owned();
        assert!(said.shaken && body.contains("\"type\":\"enrol\"") && said.records().iter().any(|(kind, _)| *kind == APPLICATION), "{words} {body}");
        println!(
            "{name}: {alone} bytes came, {} of them the first handshake record, 0 of the enrolment; pinned, {} bytes of request",
            records[0].1 + 5,
            body.len()
        );
    }
    assert_eq!(world.machines().len(), 0);
}
