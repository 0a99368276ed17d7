//! Bodies without a length, too long, too slow.

use super::*;

const HEAD: &str = "POST /body HTTP/1.1\r\nhost: t\r\n";

#[tokio::test]
async fn a_body_within_its_bounds_is_read() {
    let server = start(patient());
    let mut peer = server.connect().await;
    for length in [0, 1, 64 * 1024] {
        let request = format!("{HEAD}content-length: {length}\r\n\r\n{}", "b".repeat(length));
        assert_eq!(ask(&mut peer, &request).await, (200, length.to_string()));
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_411() {
    let server = start(patient());
    let chunked = format!("{HEAD}transfer-encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n");
    assert_eq!(ask(&mut server.connect().await, &chunked).await.0, 411);
    assert_eq!(ask(&mut server.connect().await, &format!("{HEAD}\r\n")).await.0, 411);
}

/// Not a byte of it is awaited.
#[tokio::test]
async fn a_body_declared_too_long_is_413_at_once() {
    let server = start(patient());
    for length in ["65537", "9223372036854775808"] {
        let request = format!("{HEAD}content-length: {length}\r\n\r\n");
        assert_eq!(ask(&mut server.connect().await, &request).await.0, 413, "{length}");
    }
}

#[tokio::test]
async fn a_stalled_body_is_408_and_closed() {
    let server = start(ConnLimits { body_total: SHORT, ..patient() });
    let mut peer = server.connect().await;
    assert_eq!(ask(&mut peer, &format!("{HEAD}content-length: 100\r\n\r\nsome")).await.0, 408);
    until_closed(&mut peer).await;
    server.expect_closed(Closed::Finished, 1).await;
}

/// Sends `bytes` every 50 ms until the server answers.
async fn drip(limits: ConnLimits, bytes: usize) -> (u16, String) {
    let server = start(limits);
    let (mut read, mut write) = server.connect().await.into_split();
    let drip = tokio::spawn(async move {
        write.write_all(format!("{HEAD}content-length: 20000\r\n\r\n").as_bytes()).await.unwrap();
        let mut left = 20_000;
        while left > 0 && write.write_all(&vec![b'b'; bytes.min(left)]).await.is_ok() {
            left -= bytes.min(left);
            sleep(SHORT / 4).await;
        }
    });
    let answer = answer(&mut read).await;
    drip.abort();
    answer
}

#[tokio::test]
async fn a_dripping_body_is_408_by_its_rate() {
    let limits = ConnLimits { body_grace: SHORT, body_bytes_per_s: 1024, ..patient() };
    // 200 bytes a second.
    assert_eq!(drip(limits, 10).await.0, 408);
}

#[tokio::test]
async fn a_dripping_body_is_408_by_its_whole_time() {
    let limits = ConnLimits { body_total: SHORT * 2, body_bytes_per_s: 1, ..patient() };
    assert_eq!(drip(limits, 100).await.0, 408);
}

/// 20 KB/s against 1 KiB/s: it takes five times the grace and is read.
#[tokio::test]
async fn a_slow_body_above_the_rate_is_read() {
    let limits = ConnLimits { body_grace: SHORT, body_bytes_per_s: 1024, ..patient() };
    assert_eq!(drip(limits, 1000).await, (200, "20000".into()));
}

#[tokio::test]
async fn a_length_with_a_sign_is_no_length() {
    let read = async |value: &str| {
        let headers = [(http::header::CONTENT_LENGTH, value.parse().unwrap())].into_iter().collect();
        read_body(axum::body::Body::from("12345"), &headers, 10, &patient()).await
    };
    assert!(matches!(read("+5").await, Err(BodyError::LengthRequired)));
    assert!(matches!(read("").await, Err(BodyError::LengthRequired)));
    assert_eq!(read("5").await.unwrap(), "12345");
}

/// hyper drops the length of a chunked request; whoever else calls must not be fooled by it.
#[tokio::test]
async fn a_length_beside_a_transfer_coding_is_no_length() {
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::CONTENT_LENGTH, "5".parse().unwrap());
    headers.insert(http::header::TRANSFER_ENCODING, "chunked".parse().unwrap());
    let read = read_body(axum::body::Body::from("12345"), &headers, 10, &patient()).await;
    assert!(matches!(read, Err(BodyError::LengthRequired)));
}

/// A layer may hand over more than was declared.
#[tokio::test]
async fn a_body_longer_than_allowed_is_refused_whatever_it_declared() {
    let headers = [(http::header::CONTENT_LENGTH, "5".parse().unwrap())].into_iter().collect();
    let read = read_body(axum::body::Body::from("0123456789A"), &headers, 10, &patient()).await;
    assert!(matches!(read, Err(BodyError::TooLarge { .. })));
}
