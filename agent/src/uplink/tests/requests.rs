//! What is sent, what is read of an answer, and what is refused before anything is sent.

use super::*;
use mimamori_shared::config::Secret;

#[tokio::test]
async fn a_request_says_no_more_than_it_must() {
    let ours = authority();
    let (address, seen) = secure(ours.good(), Then::Keep(http("200 OK", "Content-Type: Text/HTML; charset=x\r\nSet-Cookie: a=b\r\n", b"ok"))).await;
    let uplink = Uplink::new(config(format!("https://{address}"), ours.pin())).unwrap();
    for _ in 0..2 {
        let answer = push_on(&uplink).await.unwrap();
        assert_eq!(answer, Answer { status: 200, content_type: "text/html".into(), retry_after_s: None, body: b"ok".to_vec() });
    }
    let text = seen.text();
    let (first, second) = text.split_at(text.len() / 2);
    assert_eq!(first, second);
    let (head, body) = first.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "body-END");
    let (line, headers) = head.split_once("\r\n").unwrap();
    assert_eq!(line, "POST /v1/reports HTTP/1.1");
    let mut headers: Vec<_> = headers.split("\r\n").map(str::to_owned).collect();
    headers.sort();
    assert_eq!(
        headers,
        [
            "accept: */*".to_owned(),
            "content-encoding: zstd".to_owned(),
            "content-length: 8".to_owned(),
            format!("content-type: {REPORTS_TYPE}"),
            format!("host: {address}"),
            format!("user-agent: {USER_AGENT}"),
        ]
    );
}

#[tokio::test]
async fn busy_collectors_are_heard() {
    for (headers, expected) in [
        ("Retry-After: 17\r\n", Some(17)),
        ("Retry-After: 999999\r\n", Some(3000)),
        ("Retry-After: Thu, 01 Jan 1970 00:00:05 GMT\r\n", Some(5)),
        ("Retry-After: Thu, 01 Jan 2026 00:00:05 GMT\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n", Some(5)),
        ("Retry-After: later\r\n", None),
        ("", None),
    ] {
        let page = [b'x'; ANSWER_BYTES_MAX * 2];
        let (address, _) = plain(Then::Answer(http("503 Service Unavailable", headers, &page))).await;
        let answer = push(config(format!("http://{address}"), Hash::ZERO)).await.unwrap();
        assert_eq!((answer.status, answer.retry_after_s), (503, expected), "{headers}");
        assert!(answer.body.len() <= ANSWER_BYTES_MAX);
    }
}

#[tokio::test]
async fn redirects_are_reported_and_not_followed() {
    let (elsewhere, seen) = plain(Then::Answer(http("200 OK", "", b""))).await;
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let (address, _) = plain(Then::Answer(http(status, &format!("Location: http://{elsewhere}/login\r\n"), b""))).await;
        let answer = push(config(format!("http://{address}"), Hash::ZERO)).await.unwrap();
        assert_eq!(answer.status.to_string(), status[..3]);
    }
    assert_eq!(seen.text(), "");
}

#[tokio::test]
async fn a_proxy_sees_the_way_and_its_password_and_nothing_else() {
    let ours = authority();
    let (address, seen) = secure(ours.good(), Then::Answer(http("200 OK", "", b""))).await;
    let explicit = |url: &str| Proxy::Explicit { url: url.to_owned(), user: Some(("taro".into(), Secret::new("p@ss:1".into()))) };
    let environment = |url: &str| Proxy::Environment {
        https_proxy: Some(Secret::new(url.replace("http://", "taro:p%40ss:1@"))),
        no_proxy: Some("localhost,10.0.0.0/8".into()),
    };
    let tunnel = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
    for make in [&explicit as &dyn Fn(&str) -> Proxy, &environment] {
        let (url, heads) = proxy_server(tunnel, Some(address)).await;
        let config = UplinkConfig { proxy: make(&url), ..config(format!("https://{address}"), ours.pin()) };
        assert_eq!(push(config.clone()).await.unwrap().status, 200);
        let pushed = heads.text();
        assert!(pushed.starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")), "{pushed}");
        assert!(pushed.to_lowercase().contains("proxy-authorization: basic dgfybzpwqhnzoje=\r\n"), "{pushed}");
        assert!(!pushed.contains("body") && !pushed.contains("/v1"), "{pushed}");
        assert!(!check(config).await.unwrap().inspected);
    }
    assert!(!seen.text().to_lowercase().contains("proxy"), "the collector is not told the proxy's password");
    let (url, heads) = proxy_server(tunnel, Some(address)).await;
    let around = Proxy::Environment { https_proxy: Some(Secret::new(url)), no_proxy: Some("127.0.0.0/8".into()) };
    assert_eq!(push(UplinkConfig { proxy: around, ..config(format!("https://{address}"), ours.pin()) }).await.unwrap().status, 200);
    assert_eq!(heads.text(), "");
}

#[test]
fn unfit_configurations_are_refused_with_their_mend() {
    let good = UplinkConfig::new("https://rsc.example:8443".into(), Hash([1; 32]));
    assert!(Uplink::new(good.clone()).is_ok());
    for (url, fault) in [
        ("", UplinkError::Url),
        ("rsc.example", UplinkError::Url),
        ("https://", UplinkError::Url),
        ("https://a:b@rsc.example", UplinkError::Url),
        ("https://rsc.example/path", UplinkError::Url),
        ("https://rsc.example?x", UplinkError::Url),
        ("https://rsc.example#x", UplinkError::Url),
        ("ftp://rsc.example", UplinkError::Scheme),
        ("http://127.0.0.1:1", UplinkError::PlainElsewhere),
    ] {
        let bad = UplinkConfig { url: url.into(), ..good.clone() };
        assert_eq!(Uplink::new(bad).unwrap_err(), fault, "{url}");
    }
    for (url, allowed) in [("http://127.0.0.1:1", true), ("http://[::1]:1", true), ("http://localhost:1", false), ("http://192.0.2.1", false)] {
        let plain = UplinkConfig { url: url.into(), allow_plain_loopback: true, ..good.clone() };
        assert_eq!(Uplink::new(plain).is_ok(), allowed, "{url}");
    }
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let bad = UplinkConfig { extra_ca_pem: Some(pem.into()), ..good.clone() };
        assert_eq!(Uplink::new(bad).unwrap_err(), UplinkError::ExtraCa, "{pem}");
    }
    let bad = UplinkConfig { connect_timeout: good.request_timeout, ..good.clone() };
    assert_eq!(Uplink::new(bad).unwrap_err(), UplinkError::Timeouts);
}

#[test]
fn every_detail_has_a_name_of_its_own_and_words_in_both_languages() {
    use Detail as D;
    let all = [
        D::NameUnknown,
        D::NameTimeout,
        D::Refused,
        D::Unreachable,
        D::ConnectTimeout,
        D::ConnectFailed,
        D::ProxyName,
        D::ProxyUnreachable,
        D::ProxyTimeout,
        D::ProxyAuth,
        D::ProxyAuthMissing,
        D::ProxyAuthOther,
        D::NameHere,
        D::OnlyIpv4,
        D::OnlyIpv6,
        D::ProxyRefused,
        D::NotPinned,
        D::WrongName,
        D::WrongIssuer,
        D::ClockNotYet,
        D::ClockExpired,
        D::BadCertificate,
        D::NotTls,
        D::TlsCut,
        D::TlsTimeout,
        D::TlsFailed,
        D::Status(401),
        D::Status(403),
        D::Status(404),
        D::Status(421),
        D::Status(503),
        D::Status(413),
        D::Status(500),
        D::Status(418),
        D::Redirected(302),
        D::Portal,
        D::TooLarge,
        D::AnswerTimeout,
        D::Cut,
        D::NotHttp,
        D::Malformed,
        D::WrongRoot,
        D::OldCertificate,
        D::BadSignature,
        D::WrongType,
        D::OtherCollector,
        D::OtherAgent,
        D::OtherChain,
        D::NotSent,
        D::OtherRequest,
        D::OtherToken,
        D::OtherKey,
    ];
    let names: std::collections::HashSet<_> = all.iter().map(|detail| detail.name()).collect();
    assert_eq!(names.len(), all.len());
    for detail in all {
        for words in [detail.words(), detail.mend()] {
            assert!(words.en.len() > 8 && words.en.is_ascii(), "{detail:?}");
            assert!(words.ja.chars().any(|c| ('ぁ'..='龠').contains(&c)), "{detail:?}");
        }
        assert!(PushError::with_note(detail, "a\nb").to_string().lines().count() == 1);
    }
}
