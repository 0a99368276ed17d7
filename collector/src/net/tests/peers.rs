//! Peers that say nothing, too little, too much or something else.

use super::*;

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = start(ConnLimits { idle_unverified: SHORT, ..patient() });
    check_silence(until_closed(&mut server.connect().await).await, SHORT);
    server.expect_closed(Closed::Idle, 1).await;
}

#[tokio::test]
async fn a_partial_head_is_closed() {
    let server = start(ConnLimits { head: SHORT, ..patient() });
    let mut peer = server.connect().await;
    peer.write_all(b"GET / HT").await.unwrap();
    check_silence(until_closed(&mut peer).await, SHORT);
    server.expect_closed(Closed::HeadTimeout, 1).await;
}

/// The limit counts from the first byte of the head, whatever follows.
#[tokio::test]
async fn a_dripping_head_is_closed() {
    let server = start(ConnLimits { head: SHORT * 2, ..patient() });
    let (mut read, mut write) = server.connect().await.into_split();
    let drip = tokio::spawn(async move {
        write.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        while write.write_all(b"x").await.is_ok() {
            sleep(SHORT / 4).await;
        }
    });
    check_silence(until_closed(&mut read).await, SHORT * 2);
    server.expect_closed(Closed::HeadTimeout, 1).await;
    drip.await.unwrap();
}

#[tokio::test]
async fn an_idle_kept_alive_connection_is_closed() {
    let server = start(ConnLimits { idle_unverified: SHORT, ..patient() });
    let mut peer = server.connect().await;
    for _ in 0..3 {
        sleep(SHORT / 8).await;
        assert_eq!(ask(&mut peer, GET).await, (200, "ok".into()));
    }
    check_silence(until_closed(&mut peer).await, SHORT);
    server.expect_closed(Closed::Idle, 1).await;
    assert_eq!(server.telemetry.requests.load(Relaxed), 3);
}

/// Idle limits do not run while a request is under way.
#[tokio::test]
async fn a_handler_may_take_longer_than_the_idle_limit() {
    let server = start(ConnLimits { idle_unverified: SHORT / 2, head: SHORT / 2, ..patient() });
    assert_eq!(ask(&mut server.connect().await, &get_path("/slow")).await, (200, "slow".into()));
}

#[tokio::test]
async fn an_http2_preface_is_closed_within_a_second() {
    let server = start(patient());
    for preface in ["PRI * HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let mut peer = server.connect().await;
        peer.write_all(preface.as_bytes()).await.unwrap();
        let (after, said) = until_closed(&mut peer).await;
        assert!(after < Duration::from_secs(1), "{after:?}");
        assert!(!said.contains(" 200 "), "{said}");
    }
    server.expect_closed(Closed::HttpError, 2).await;
}

fn head(headers: usize, bytes_each: usize) -> String {
    let lines: String = (0..headers).map(|n| format!("x-{n}: {}\r\n", "v".repeat(bytes_each))).collect();
    format!("GET / HTTP/1.1\r\n{lines}\r\n")
}

#[tokio::test]
async fn more_than_32_headers_are_431() {
    let server = start(patient());
    assert_eq!(ask(&mut server.connect().await, &head(32, 1)).await.0, 200);
    assert_eq!(ask(&mut server.connect().await, &head(33, 1)).await.0, 431);
    server.expect_closed(Closed::HttpError, 1).await;
}

#[tokio::test]
async fn a_head_over_16_kib_is_431() {
    let server = start(patient());
    assert_eq!(ask(&mut server.connect().await, &head(1, 15 * 1024)).await.0, 200);
    assert_eq!(ask(&mut server.connect().await, &head(1, 20 * 1024)).await.0, 431);
    server.expect_closed(Closed::HttpError, 1).await;
}

#[tokio::test]
async fn an_answer_not_taken_is_cut() {
    let server = start(ConnLimits { write_stall: SHORT, ..patient() });
    let mut peer = server.connect().await;
    peer.write_all(get_path("/big").as_bytes()).await.unwrap();
    server.expect_closed(Closed::WriteTimeout, 1).await;
    let (_, said) = until_closed(&mut peer).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.len() < BIG);
}

/// hyper stops asking for more of it, so that no end of the answer comes to start the limit.
#[tokio::test]
async fn an_endless_answer_not_taken_is_cut() {
    let server = start(ConnLimits { write_stall: SHORT, ..patient() });
    let mut peer = server.connect().await;
    peer.write_all(get_path("/endless").as_bytes()).await.unwrap();
    server.expect_closed(Closed::WriteTimeout, 1).await;
}

/// Some bytes move, but fewer than count as progress.
#[tokio::test]
async fn an_answer_taken_by_drips_is_cut() {
    let limits = ConnLimits { write_stall: SHORT * 2, write_progress_min: BIG / 2, ..patient() };
    let server = start(limits);
    let mut peer = server.connect().await;
    peer.write_all(get_path("/big").as_bytes()).await.unwrap();
    let drip = tokio::spawn(async move {
        let mut some = vec![0; 16 * 1024];
        while matches!(peer.read(&mut some).await, Ok(1..)) {
            sleep(SHORT / 10).await;
        }
    });
    server.expect_closed(Closed::WriteTimeout, 1).await;
    drip.await.unwrap();
}

/// The limit is about stalls, not about the whole answer.
#[tokio::test]
async fn a_slow_answer_that_keeps_moving_is_not_cut() {
    let server = start(ConnLimits { write_stall: SHORT * 2, idle_unverified: SHORT / 2, ..patient() });
    let mut peer = server.connect().await;
    peer.write_all(get_path("/big").as_bytes()).await.unwrap();
    let (start, mut taken, mut some) = (Instant::now(), 0, vec![0; 256 * 1024]);
    while taken < BIG {
        let bytes = peer.read(&mut some).await.unwrap();
        assert!(bytes > 0, "cut after {taken} bytes");
        taken += bytes;
        if start.elapsed() < SHORT * 4 {
            sleep(SHORT / 20).await;
        }
    }
    assert!(start.elapsed() > SHORT * 2, "the test took no longer than the limit it is about");
}

/// A peer still writing when it is refused must not have the refusal destroyed by a reset.
#[tokio::test]
async fn a_refused_peer_may_finish_writing() {
    let server = start(ConnLimits { linger: Duration::from_secs(2), ..patient() });
    let mut peer = server.connect().await;
    let request = "POST /body HTTP/1.1\r\nhost: t\r\ncontent-length: 9000000\r\n\r\n";
    assert_eq!(ask(&mut peer, request).await.0, 413);
    for _ in 0..4 {
        peer.write_all(&[0; 1000]).await.unwrap();
        sleep(SHORT / 4).await;
    }
    server.expect_value(|t| &t.open_unauthenticated, 1).await;
    drop(peer);
    server.expect_closed(Closed::Finished, 1).await;
}

/// Eight sources fill their shares with partial heads; a ninth is served as if they were not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_slow_connections_do_not_delay_a_healthy_one() {
    let server = start(ConnLimits { per_source_max: 25, head: SHORT * 5, ..patient() });
    let mut slow = Vec::new();
    for n in 0..8 * 30 {
        let mut peer = server.connect_from([127, 0, 1, 1 + n % 8]).await;
        // Refused ones may be gone already.
        let _sent = peer.write_all(b"GET / HTTP/1.1\r\nx: ").await;
        slow.push(peer);
    }
    server.expect_closed(Closed::TooManyFromSource, 40).await;
    let mut healthy = server.connect().await;
    let mut during = 0;
    let begin = Instant::now();
    while server.telemetry.closed(Closed::HeadTimeout) < 200 {
        assert!(begin.elapsed() < PATIENCE, "the slow ones stay");
        let start = Instant::now();
        assert_eq!(ask(&mut healthy, GET).await, (200, "ok".into()));
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        during += u32::from(server.telemetry.open_unauthenticated.load(Relaxed) == 201);
        sleep(Duration::from_millis(5)).await;
    }
    assert!(during > 0, "no answer while all 200 were open");
    server.expect_value(|t| &t.open_unauthenticated, 1).await;
}
