//! Handshakes, protocol choice and the reloading of certificates.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// A fresh self-signed certificate and its key, in PEM.
pub(super) fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn reloader((cert, key): &(String, String)) -> Arc<TlsReloader> {
    Arc::new(TlsReloader::new(cert.as_bytes(), key.as_bytes()).unwrap())
}

/// A client that trusts only this certificate.
fn client(cert: &str, versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

async fn connect(server: &Server, client: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    let connect = TlsConnector::from(Arc::clone(client)).connect(name, server.connect().await);
    timeout(PATIENCE, connect).await.expect("a handshake in time")
}

const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

#[tokio::test]
async fn a_stalled_handshake_is_closed() {
    let server = start_with(ConnLimits { handshake: SHORT, ..patient() }, Some(reloader(&pair())));
    for hello in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut peer = server.connect().await;
        peer.write_all(hello).await.unwrap();
        check_silence(until_closed(&mut peer).await, SHORT);
    }
    server.expect_closed(Closed::HandshakeTimeout, 2).await;
}

#[tokio::test]
async fn the_time_limits_hold_over_tls() {
    let pair = pair();
    let limits = ConnLimits { idle_unverified: SHORT, head: SHORT * 2, ..patient() };
    let server = start_with(limits, Some(reloader(&pair)));
    let client = client(&pair.0, &BOTH, &[]);
    let mut silent = connect(&server, &client).await.unwrap();
    check_silence(until_closed(&mut silent).await, SHORT);
    server.expect_closed(Closed::Idle, 1).await;
    let mut partial = connect(&server, &client).await.unwrap();
    partial.write_all(b"GET").await.unwrap();
    check_silence(until_closed(&mut partial).await, SHORT * 2);
    server.expect_closed(Closed::HeadTimeout, 1).await;
}

#[tokio::test]
async fn an_answer_not_taken_is_cut_over_tls() {
    let pair = pair();
    let server = start_with(ConnLimits { write_stall: SHORT, ..patient() }, Some(reloader(&pair)));
    let mut peer = connect(&server, &client(&pair.0, &BOTH, &[])).await.unwrap();
    peer.write_all(get_path("/big").as_bytes()).await.unwrap();
    peer.flush().await.unwrap();
    server.expect_closed(Closed::WriteTimeout, 1).await;
}

#[tokio::test]
async fn both_versions_are_served_and_http_1_1_is_the_only_protocol() {
    let pair = pair();
    let server = start_with(patient(), Some(reloader(&pair)));
    for (offered, chosen) in [(&version::TLS12, ProtocolVersion::TLSv1_2), (&version::TLS13, ProtocolVersion::TLSv1_3)] {
        let client = client(&pair.0, &[offered], &["h2", "http/1.1"]);
        let mut peer = connect(&server, &client).await.unwrap();
        assert_eq!(peer.get_ref().1.protocol_version(), Some(chosen));
        assert_eq!(peer.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(ask(&mut peer, GET).await, (200, "ok".into()));
    }
    assert!(connect(&server, &client(&pair.0, &BOTH, &["h2"])).await.is_err());
    server.expect_closed(Closed::TlsError, 1).await;
}

#[tokio::test]
async fn a_plain_request_to_a_tls_listener_is_a_tls_error() {
    let server = start_with(patient(), Some(reloader(&pair())));
    let mut peer = server.connect().await;
    peer.write_all(GET.as_bytes()).await.unwrap();
    until_closed(&mut peer).await;
    server.expect_closed(Closed::TlsError, 1).await;
}

#[tokio::test]
async fn a_ticket_resumes_a_session_without_early_data() {
    let pair = pair();
    let tls = reloader(&pair);
    let client = client(&pair.0, &[&version::TLS13], &[]);
    // Two listeners that share the reloader share its tickets' key: no listener's own session cache.
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let server = start_with(patient(), Some(Arc::clone(&tls)));
        let mut peer = connect(&server, &client).await.unwrap();
        assert_eq!(ask(&mut peer, GET).await.0, 200);
        assert_eq!(peer.get_ref().1.handshake_kind(), Some(expected));
    }
    assert!(tls.config().ticketer.enabled());
    assert_eq!(tls.config().max_early_data_size, 0);
}

#[tokio::test]
async fn a_reload_refuses_what_does_not_fit_and_keeps_serving() {
    let (old, new) = (pair(), pair());
    let tls = reloader(&old);
    let server = start_with(patient(), Some(Arc::clone(&tls)));
    let mut kept = connect(&server, &client(&old.0, &BOTH, &[])).await.unwrap();

    let refused = |cert: &str, key: &str| tls.reload(cert.as_bytes(), key.as_bytes()).unwrap_err();
    assert!(matches!(refused(&new.0, &old.1), TlsError::Pair(_)));
    assert!(matches!(refused(&old.0, &new.1), TlsError::Pair(_)));
    assert!(matches!(refused("", &new.1), TlsError::NoCertificate));
    assert!(matches!(refused(&new.0, ""), TlsError::Key(_)));
    assert!(TlsReloader::new(new.0.as_bytes(), old.1.as_bytes()).is_err());
    let mut peer = connect(&server, &client(&old.0, &BOTH, &[])).await.expect("the old certificate");
    assert_eq!(ask(&mut peer, GET).await.0, 200);

    tls.reload(new.0.as_bytes(), new.1.as_bytes()).unwrap();
    let mut peer = connect(&server, &client(&new.0, &BOTH, &[])).await.expect("the new certificate");
    assert_eq!(ask(&mut peer, GET).await.0, 200);
    assert!(connect(&server, &client(&old.0, &BOTH, &[])).await.is_err(), "the old one is still served");
    assert_eq!(ask(&mut kept, GET).await.0, 200);
}
