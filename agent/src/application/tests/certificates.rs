//! When certificates end: of ports, whatever they are worth, and of files.

use super::*;
use mimamori_shared::time;

fn year(year: i32) -> Option<i64> {
    Some(time::parse(&format!("{year}-01-01T00:00:00Z")).unwrap())
}

#[tokio::test]
async fn a_port_tells_the_end_of_its_certificate_whoever_signed_it_and_is_told_nothing() {
    for (shown, class, end) in [
        (certificate(None, "elsewhere.example", 2090), Class::Ok, 2090),
        (certificate(None, "127.0.0.1", 2002), Class::CertificateExpired, 2002),
        (certificate(Some(&authority()), "127.0.0.1", 2050), Class::Ok, 2050),
    ] {
        let (address, seen) = secure(shows(shown), Then::Stall(Vec::new())).await;
        assert_eq!(answered(found(What::Tls(target(address))).await, class).expires_at_ms, year(end));
        assert_eq!(seen.bytes(), b"", "no application data");
    }
}

#[tokio::test]
async fn a_port_that_wants_a_certificate_of_ours_tells_the_end_of_its_own() {
    let (shown, _, key) = certificate(None, "127.0.0.1", 2090);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate(None, "client", 2090).0).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // In the older version the handshake itself fails.
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    let config = builder.with_client_cert_verifier(verifier).with_single_cert(vec![shown], key).unwrap();
    let (address, _) = secure(config, Then::Stall(Vec::new())).await;
    assert_eq!(answered(found(What::Tls(target(address))).await, Class::Ok).expires_at_ms, year(2090));
}

#[tokio::test]
async fn ports_that_show_no_certificate() {
    for (then, class) in [
        (Then::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), Class::TlsHandshake),
        (Then::Answer(Vec::new()), Class::TlsHandshake),
        (Then::Stall(b"\x16\x03\x03".to_vec()), Class::TimedOut),
    ] {
        let (address, _) = plain(then).await;
        down(failed(What::Tls(target(address)), class).await, class);
    }
    down(found(What::Tls(target(refused_port().await))).await, Class::Refused);
}

#[tokio::test]
async fn a_file_tells_the_first_end_of_all_in_it_or_that_it_cannot_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = async |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        found(What::CertificateFile(path)).await
    };
    let ((der, late, key), (_, early, _), (_, gone, _)) = (certificate(None, "a", 2090), certificate(None, "b", 2080), certificate(None, "c", 2002));
    let ends = |class, end| Ok(Finding { class, expires_at_ms: year(end), ..Finding::default() });
    assert_eq!(file("chain.pem", format!("# ours\n{late}{}{early}", key.serialize_pem()).as_bytes()).await, ends(Class::Ok, 2080));
    assert_eq!(file("gone.pem", format!("{late}{gone}").as_bytes()).await, ends(Class::CertificateExpired, 2002));
    assert_eq!(file("one.der", &der).await, ends(Class::Ok, 2090));
    for (name, bytes) in [("empty", &b""[..]), ("key.pem", key.serialize_pem().as_bytes()), ("cut.der", &der[..der.len() - 9]), ("text", b"0hello")] {
        assert_eq!(file(name, bytes).await, Err(FaultCode::Malformed), "{name}");
    }
    assert_eq!(file("broken.pem", late.replace("-----END", "-----ENT").as_bytes()).await, Err(FaultCode::Malformed));
    assert_eq!(file("huge", &vec![b'0'; 257 * 1024]).await, Err(FaultCode::TooLarge));
    assert_eq!(found(What::CertificateFile(dir.path().join("missing"))).await, Err(FaultCode::NotFound));
    assert_eq!(found(What::CertificateFile(dir.path().to_owned())).await, Err(FaultCode::Malformed));
}
