//! Pages: statuses, contents, bodies without end, redirects, and TLS of every sort.

use super::*;
use crate::application::http::BODY_BYTES_MAX;

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn page(address: SocketAddr) -> Http {
    let authority = format!("{address}");
    Http { target: target(address), ca_file: None, authority, path: "/health?deep=1".to_owned(), head: false, expected: vec![(200, 299)], contains: None }
}

async fn ask(then: Then, change: impl FnOnce(&mut Http)) -> (Result<Finding, FaultCode>, String) {
    let (address, seen) = plain(then).await;
    let mut page = page(address);
    change(&mut page);
    let found = found(What::Http(page)).await;
    (found, seen.text().replace(&address.to_string(), "ADDRESS"))
}

#[tokio::test]
async fn one_plain_request_is_sent_and_its_status_judged() {
    let (found, request) = ask(Then::Answer(http("204 No Content", "", b"")), |_| {}).await;
    let found = answered(found, Class::Ok);
    assert!(found.status == Some(204) && found.first_byte_us <= found.latency_us && found.first_byte_us.is_some());
    let agent = format!("mimamori-agent/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(request, format!("GET /health?deep=1 HTTP/1.1\r\nhost: ADDRESS\r\nuser-agent: {agent}\r\naccept: */*\r\nconnection: close\r\n\r\n"));
    for (status, expected, class) in [
        ("503 Service Unavailable", vec![(200, 299)], Class::Status),
        ("401 Unauthorized", vec![(200, 200), (400, 403)], Class::Ok),
        ("200 OK", vec![(404, 404)], Class::Status),
    ] {
        let (found, _) = ask(Then::Answer(http(status, "", b"secret body")), |page| page.expected = expected).await;
        assert_eq!(answered(found, class).status, Some(status[..3].parse().unwrap()));
    }
    let (found, request) = ask(Then::Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".to_vec()), |page| page.head = true).await;
    answered(found, Class::Ok);
    assert!(request.starts_with("HEAD "), "{request}");
}

#[tokio::test]
async fn a_redirect_is_a_status_and_is_not_followed() {
    let (elsewhere, seen) = plain(Then::Answer(http("200 OK", "", b""))).await;
    let redirect = http("302 Found", &format!("Location: http://{elsewhere}/\r\n"), b"");
    let (found, _) = ask(Then::Answer(redirect), |_| {}).await;
    assert_eq!(answered(found, Class::Status).status, Some(302));
    assert_eq!(seen.text(), "");
}

#[tokio::test]
async fn a_text_is_looked_for_where_bodies_are_read_and_no_further() {
    let want = |text: &'static str| move |page: &mut Http| page.contains = Some(text.to_owned());
    for (body, class) in [("<b>見守り OK</b>", Class::Ok), ("<b>見守り NG</b>", Class::Content), ("", Class::Content)] {
        let (found, _) = ask(Then::Answer(http("200 OK", "", body.as_bytes())), want("守り OK")).await;
        answered(found, class);
    }
    for (before, class) in [(BODY_BYTES_MAX - 4, Class::Ok), (BODY_BYTES_MAX - 3, Class::Content)] {
        let body = [&vec![b'x'; before][..], b"here", &vec![b'x'; 300_000]].concat();
        let (found, _) = ask(Then::Answer(http("200 OK", "", &body)), want("here")).await;
        answered(found, class);
    }
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n3\r\nlo!\r\n0\r\n\r\n";
    answered(ask(Then::Answer(chunked.to_vec()), want("hallo")).await.0, Class::Ok);
}

#[tokio::test]
async fn answers_that_are_none_or_do_not_end() {
    let endless = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b'x'; 10_000]].concat();
    answered(ask(Then::Endless(endless), |_| {}).await.0, Class::Ok);
    for (then, class) in [
        (Then::Answer(b"220 mail.example ESMTP\r\n".to_vec()), Class::Protocol),
        (Then::Endless(b"HTTP/1.1 200 OK\r\nX-A: ".repeat(500)), Class::Protocol),
        (Then::Answer(Vec::new()), Class::Closed),
        (Then::Answer(b"HTTP/1.1 200 O".to_vec()), Class::Closed),
        (Then::Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec()), Class::Closed),
        (Then::Stall(Vec::new()), Class::TimedOut),
        (Then::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec()), Class::TimedOut),
    ] {
        let (address, _) = plain(then).await;
        down(failed(What::Http(page(address)), class).await, class);
    }
    down(found(What::Http(page(refused_port().await))).await, Class::Refused);
}

#[tokio::test]
async fn tls_is_trusted_by_the_file_alone_and_nothing_is_sent_before() {
    let (ours, dir) = (authority(), tempfile::tempdir().unwrap());
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, &ours.pem).unwrap();
    let own = certificate(None, "127.0.0.1", 2090);
    let own_file = dir.path().join("own.pem");
    std::fs::write(&own_file, &own.1).unwrap();
    let answer = Then::Answer(http("200 OK", "", b"fine"));
    let ask = async |config, ca_file: &std::path::Path| {
        let (address, seen) = secure(config, answer.clone()).await;
        let found = found(What::Http(Http { ca_file: Some(ca_file.to_owned()), ..page(address) })).await;
        (found, seen.text())
    };
    let year_2090 = Some(mimamori_shared::time::parse("2090-01-01T00:00:00Z").unwrap());
    let (good, request) = ask(shows(certificate(Some(&ours), "127.0.0.1", 2090)), &file).await;
    assert!(answered(good, Class::Ok).expires_at_ms == year_2090 && request.starts_with("GET "), "{request}");
    let (good, _) = ask(shows(own), &own_file).await;
    assert_eq!(answered(good, Class::Ok).expires_at_ms, year_2090, "a certificate that signed itself may be named");
    for (shown, class) in [
        (certificate(Some(&ours), "127.0.0.1", 2002), Class::CertificateExpired),
        (certificate(Some(&ours), "ris.example", 2090), Class::TlsHandshake),
        (certificate(Some(&authority()), "127.0.0.1", 2090), Class::TlsHandshake),
        (certificate(None, "127.0.0.1", 2090), Class::TlsHandshake),
    ] {
        let (found, request) = ask(shows(shown), &file).await;
        down(found, class);
        assert_eq!(request, "", "not one byte of the request may leave");
    }
    let (address, seen) = plain(Then::Answer(http("200 OK", "", b""))).await;
    down(found(What::Http(Http { ca_file: Some(file), ..page(address) })).await, Class::TlsHandshake);
    assert!(!seen.text().contains("health"));
    let missing = dir.path().join("missing.pem");
    assert_eq!(ask(shows(certificate(None, "127.0.0.1", 2090)), &missing).await.0, Err(FaultCode::NotFound));
    std::fs::write(&missing, "no certificate").unwrap();
    assert_eq!(ask(shows(certificate(None, "127.0.0.1", 2090)), &missing).await.0, Err(FaultCode::Malformed));
}
