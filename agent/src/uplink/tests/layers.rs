//! Every layer fails in its own words; the push and the step-by-step check say the same.

use super::*;
use mimamori_shared::payload::Layer;

#[track_caller]
fn expect(result: Result<impl fmt::Debug, PushError>, layer: Layer, detail: Detail) {
    let error = result.unwrap_err();
    assert_eq!((error.layer, error.detail), (layer, detail), "{error}");
}

/// The push, and the check, both with this configuration.
async fn both(config: UplinkConfig, layer: Layer, detail: Detail) {
    expect(push(config.clone()).await, layer, detail);
    expect(check(config).await, layer, detail);
}

/// A port whose queue is full: what else comes is dropped without a word.
async fn silent_port() -> (SocketAddr, Vec<tokio::net::TcpStream>, TcpListener) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await {
        queued.push(stream);
    }
    (address, queued, listener)
}

async fn refused_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn names_that_do_not_resolve() {
    // Long enough for a resolver that asks several servers in vain.
    let patient =
        |url: &str| UplinkConfig { connect_timeout: Duration::from_secs(40), request_timeout: Duration::from_secs(41), ..config(url.into(), Hash::ZERO) };
    both(patient("https://collector.invalid"), Layer::Dns, Detail::NameUnknown).await;
    both(through("http://proxy.invalid".into(), patient("https://127.0.0.1:1")), Layer::Proxy, Detail::ProxyName).await;
}

#[tokio::test]
async fn ports_that_refuse_or_are_silent() {
    let refused = refused_port().await;
    both(config(format!("https://{refused}"), Hash::ZERO), Layer::Tcp, Detail::Refused).await;
    both(through(format!("http://{refused}"), config("https://127.0.0.1:1".into(), Hash::ZERO)), Layer::Proxy, Detail::ProxyUnreachable).await;
    let (silent, _queued, _listener) = silent_port().await;
    let impatient = |url: String| UplinkConfig { connect_timeout: Duration::from_millis(300), ..config(url, Hash::ZERO) };
    both(impatient(format!("https://{silent}")), Layer::Tcp, Detail::ConnectTimeout).await;
    both(through(format!("http://{silent}"), impatient("https://127.0.0.1:1".into())), Layer::Proxy, Detail::ProxyTimeout).await;
}

#[tokio::test]
async fn proxies_that_do_not_let_through() {
    for (answer, detail) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n", Detail::ProxyAuthMissing),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", Detail::ProxyRefused),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", Detail::ProxyRefused),
        ("SSH-2.0-OpenSSH\r\n\r\n", Detail::ProxyRefused),
        ("", Detail::ProxyTimeout),
    ] {
        let (proxy, _) = proxy_server(answer, None).await;
        let config = UplinkConfig { connect_timeout: Duration::from_millis(500), ..config("https://127.0.0.1:1".into(), Hash::ZERO) };
        both(through(proxy, config), Layer::Proxy, detail).await;
    }
}

#[tokio::test]
async fn a_407_says_whether_credentials_are_missing_wrong_or_of_no_use() {
    let basic = "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Negotiate\r\nProxy-Authenticate: BASIC realm=\"x\"\r\n\r\n";
    let other = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\n\r\n";
    let user = || Some(("taro".to_owned(), mimamori_shared::config::Secret::new("wrong-word".to_owned())));
    for (answer, user, pushed, checked) in [
        (basic, None, Detail::ProxyAuthMissing, Detail::ProxyAuthMissing),
        (basic, user(), Detail::ProxyAuth, Detail::ProxyAuth),
        // The push's library does not hand the proxy's offers on.
        (other, user(), Detail::ProxyAuth, Detail::ProxyAuthOther),
    ] {
        let (url, seen) = proxy_server(answer, None).await;
        let config = UplinkConfig { proxy: Proxy::Explicit { url, user: user.clone() }, ..config("https://127.0.0.1:1".into(), Hash::ZERO) };
        expect(push(config.clone()).await, Layer::Proxy, pushed);
        let fault = check(config).await.unwrap_err();
        assert_eq!((fault.layer, fault.detail), (Layer::Proxy, checked));
        assert_eq!(seen.text().matches("roxy-").count() >= 2, user.is_some(), "{}", seen.text());
        assert!(!format!("{fault:?} {fault}").contains("wrong-word"));
    }
}

#[tokio::test]
async fn a_device_that_inspects_tls_is_named_by_its_own_words() {
    let (ours, mut params) = (authority(), CertificateParams::new(Vec::new()).unwrap());
    params.distinguished_name.push(rcgen::DnType::CommonName, "Inspecting Gateway CA\n");
    let key = KeyPair::generate().unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let device = Authority { der: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) };
    let (address, _) = secure(device.good(), Then::Answer(http("200 OK", "", b""))).await;
    for fault in
        [push(config(format!("https://{address}"), ours.pin())).await.unwrap_err(), check(config(format!("https://{address}"), ours.pin())).await.unwrap_err()]
    {
        assert!(fault.detail == Detail::NotPinned && fault.note.contains("signed by \"Inspecting Gateway CA \""), "{fault}");
    }
}

#[tokio::test]
async fn a_name_answered_with_another_machine_is_told() {
    let ours = authority();
    let (address, seen) = secure(ours.good(), Then::Answer(http("200 OK", "", b""))).await;
    let config = config(format!("https://localhost:{}", address.port()), ours.pin());
    let fault = check(config).await.unwrap_err();
    assert!(fault.detail == Detail::WrongName && fault.note.contains("127.0.0.1"), "the names it is good for: {fault}");
    assert_eq!(seen.text(), "");
}

#[tokio::test]
async fn what_answers_in_the_collectors_place_is_told_by_asking() {
    let ours = authority();
    for (answer, detail) in [
        (http("200 OK", "Content-Type: text/html\r\n", b"<html>Please sign in</html>"), Some(Detail::Portal)),
        (http("200 OK", "Content-Type: application/json\r\n", b"{\"ok\":true}"), Some(Detail::Portal)),
        (http("204 No Content", "", b""), Some(Detail::Portal)),
        (http("302 Found", "Location: http://portal.example/\r\n", b""), Some(Detail::Redirected(302))),
        (http("401 Unauthorized", "", b""), Some(Detail::Portal)),
        (http("403 Forbidden", "", b""), Some(Detail::Portal)),
        (http("511 Network Authentication Required", "", b""), Some(Detail::Status(511))),
        (http("200 OK", "Content-Type: application/json\r\n", b"{\"limits\":[{\"name\":\"report_bytes_max\"}]}"), None),
    ] {
        let (address, seen) = secure(ours.good(), Then::Answer(answer)).await;
        let asked = Uplink::new(config(format!("https://{address}"), ours.pin())).unwrap().ask().await;
        assert_eq!(asked.result.err().map(|fault| fault.detail), detail);
        assert!(seen.text().starts_with("GET /limits HTTP/1.1\r\n") && seen.text().ends_with("\r\n\r\n"), "{}", seen.text());
    }
}

#[tokio::test]
async fn certificates_that_do_not_hold() {
    let (ours, other) = (authority(), authority());
    let mut posing = other.good();
    posing.chain.push(ours.der.clone());
    let mut headless = ours.good();
    headless.chain.truncate(1);
    for (identity, detail) in [
        (other.good(), Detail::NotPinned),
        (posing, Detail::WrongIssuer),
        (headless, Detail::NotPinned),
        (ours.server("rsc.example", (2020, 2090)), Detail::WrongName),
        (ours.server("127.0.0.1", (2001, 2002)), Detail::ClockExpired),
        (ours.server("127.0.0.1", (2080, 2090)), Detail::ClockNotYet),
    ] {
        let (address, seen) = secure(identity, Then::Answer(http("200 OK", "", b""))).await;
        both(config(format!("https://{address}"), ours.pin()), Layer::Tls, detail).await;
        assert_eq!(seen.text(), "", "{detail:?}: not one byte of the request may leave");
        let (proxy, _) = proxy_server("HTTP/1.1 200 OK\r\n\r\n", Some(address)).await;
        both(through(proxy, config(format!("https://{address}"), ours.pin())), Layer::Tls, detail).await;
        assert_eq!(seen.text(), "", "{detail:?} through a proxy");
        assert_eq!(detail.is_clock(), detail.name().starts_with("clock"));
    }
}

#[tokio::test]
async fn an_extra_authority_stands_in_for_the_pinned_one_and_never_beside_it() {
    let (ours, facility) = (authority(), authority());
    let extra =
        |address: SocketAddr| UplinkConfig { extra_ca_pem: Some(facility.pem.clone().into_bytes()), ..config(format!("https://{address}"), ours.pin()) };
    let (inspected, _) = secure(facility.good(), Then::Answer(http("200 OK", "", b""))).await;
    assert_eq!(push(extra(inspected)).await.unwrap().status, 200);
    assert!(check(extra(inspected)).await.unwrap().inspected);
    let (direct, _) = secure(ours.good(), Then::Answer(http("200 OK", "", b""))).await;
    assert_eq!(push(extra(direct)).await.unwrap().status, 200);
    assert_eq!(check(extra(direct)).await.unwrap(), TlsFacts { version: "TLSv1_3".into(), inspected: false });
    let mut posing = facility.good();
    posing.chain.push(ours.der.clone());
    let (posing, _) = secure(posing, Then::Answer(http("200 OK", "", b""))).await;
    both(extra(posing), Layer::Tls, Detail::WrongIssuer).await;
    let (stranger, _) = secure(authority().good(), Then::Answer(http("200 OK", "", b""))).await;
    both(extra(stranger), Layer::Tls, Detail::WrongIssuer).await;
}

#[tokio::test]
async fn the_pin_holds_under_tls_1_2_too() {
    let (ours, other) = (authority(), authority());
    static OLD: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    let old = |identity: Identity| Identity { versions: OLD, ..identity };
    let (good, _) = secure(old(ours.good()), Then::Answer(http("200 OK", "", b""))).await;
    assert_eq!(push(config(format!("https://{good}"), ours.pin())).await.unwrap().status, 200);
    assert_eq!(check(config(format!("https://{good}"), ours.pin())).await.unwrap().version, "TLSv1_2");
    let (bad, seen) = secure(old(other.good()), Then::Answer(http("200 OK", "", b""))).await;
    both(config(format!("https://{bad}"), ours.pin()), Layer::Tls, Detail::NotPinned).await;
    assert_eq!(seen.text(), "");
}

#[tokio::test]
async fn a_fault_is_told_by_its_own_push_and_not_by_the_one_before() {
    let ours = authority();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = ours.good().acceptor();
    let once = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        serve(stream, Then::Answer(http("200 OK", "Connection: close\r\n", b"")), Seen::default()).await;
    });
    let uplink = Uplink::new(config(format!("https://{address}"), ours.pin())).unwrap();
    assert_eq!(push_on(&uplink).await.unwrap().status, 200);
    once.await.unwrap();
    expect(push_on(&uplink).await, Layer::Tcp, Detail::Refused);
}

#[tokio::test]
async fn ports_that_speak_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            drop(stream.read(&mut buffer).await);
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await);
        }
    });
    both(config(format!("https://{address}"), Hash::ZERO), Layer::Tls, Detail::NotTls).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            drop(stream.read(&mut buffer).await);
        }
    });
    both(config(format!("https://{address}"), Hash::ZERO), Layer::Tls, Detail::TlsCut).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok(accepted) = listener.accept().await {
            kept.push(accepted);
        }
    });
    let impatient = UplinkConfig { connect_timeout: Duration::from_millis(300), ..config(format!("https://{address}"), Hash::ZERO) };
    both(impatient, Layer::Tls, Detail::TlsTimeout).await;
}

#[tokio::test]
async fn answers_that_do_not_come_whole() {
    let ours = authority();
    let begun = http("200 OK", "", &[b'x'; 100]);
    for (then, detail) in [
        (Then::Endless, Detail::TooLarge),
        (Then::Answer(http("200 OK", "", &[b'x'; ANSWER_BYTES_MAX + 1])), Detail::TooLarge),
        (Then::Stall(begun[..begun.len() - 50].to_vec()), Detail::AnswerTimeout),
        (Then::Stall(Vec::new()), Detail::AnswerTimeout),
        (Then::Answer(begun[..begun.len() - 50].to_vec()), Detail::Cut),
        (Then::Answer(Vec::new()), Detail::Cut),
        (Then::Answer(b"220 mail.example ESMTP\r\n\r\n".to_vec()), Detail::NotHttp),
    ] {
        let (address, _) = secure(ours.good(), then.clone()).await;
        let secured = UplinkConfig { request_timeout: Duration::from_millis(1600), ..config(format!("https://{address}"), ours.pin()) };
        expect(push(secured).await, Layer::Http, detail);
        let (address, _) = plain(then).await;
        let plain = UplinkConfig { request_timeout: Duration::from_millis(1600), ..config(format!("http://{address}"), Hash::ZERO) };
        expect(push(plain).await, Layer::Http, detail);
    }
}
