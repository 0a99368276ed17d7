//! The graceful stop.

use super::*;

#[tokio::test]
async fn a_stop_finishes_requests_in_flight_and_closes_idle_connections_at_once() {
    let server = start(patient());
    let (mut idle, mut fresh, mut busy) = (server.connect().await, server.connect().await, server.connect().await);
    assert_eq!(ask(&mut idle, GET).await.0, 200);
    busy.write_all(get_path("/slow").as_bytes()).await.unwrap();
    server.expect_value(|t| &t.requests, 2).await;
    server.expect_value(|t| &t.accepted, 3).await;
    server.stop.send_replace(true);
    let start = Instant::now();
    assert_eq!(until_closed(&mut idle).await.1, "");
    assert_eq!(until_closed(&mut fresh).await.1, "");
    assert!(start.elapsed() < PATIENCE / 2, "idle connections waited: {:?}", start.elapsed());
    assert!(TcpStream::connect(server.addr).await.is_err(), "still accepting");
    let (_, answer) = until_closed(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("slow") && answer.contains("connection: close\r\n"), "{answer}");
    let Server { telemetry, task, .. } = server;
    timeout(PATIENCE, task).await.expect("serve returns").unwrap();
    assert_eq!(Closed::ALL.map(|why| telemetry.closed(why)).iter().sum::<u64>(), 3);
    assert_eq!(telemetry.open_unauthenticated.load(Relaxed), 0);
}

/// A request whose head is under way counts as in flight.
#[tokio::test]
async fn a_stop_lets_a_begun_head_finish() {
    let server = start(patient());
    let mut peer = server.connect().await;
    assert_eq!(ask(&mut peer, GET).await.0, 200);
    peer.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    sleep(SHORT / 2).await;
    server.stop.send_replace(true);
    sleep(SHORT / 2).await;
    assert_eq!(ask(&mut peer, "host: t\r\n\r\n").await.0, 200);
    until_closed(&mut peer).await;
    timeout(PATIENCE, server.task).await.expect("serve returns").unwrap();
}

#[tokio::test]
async fn a_stop_has_a_deadline() {
    let server = start(ConnLimits { stop: SHORT, ..patient() });
    let mut peer = server.connect().await;
    peer.write_all(get_path("/hang").as_bytes()).await.unwrap();
    server.expect_value(|t| &t.requests, 1).await;
    let start = Instant::now();
    server.stop.send_replace(true);
    check_silence(until_closed(&mut peer).await, SHORT);
    timeout(PATIENCE, server.task).await.expect("serve returns").unwrap();
    assert_eq!(server.telemetry.closed(Closed::StopDeadline), 1);
    assert!(start.elapsed() < ABORT, "waited for a request instead of ending it");
}

#[tokio::test]
async fn a_stop_ends_handshakes() {
    let (cert, key) = super::tls::pair();
    let tls = Arc::new(TlsReloader::new(cert.as_bytes(), key.as_bytes()).unwrap());
    let server = start_with(patient(), Some(tls));
    let mut peer = server.connect().await;
    server.expect_value(|t| &t.open_unauthenticated, 1).await;
    server.stop.send_replace(true);
    until_closed(&mut peer).await;
    timeout(PATIENCE, server.task).await.expect("serve returns").unwrap();
    assert_eq!(server.telemetry.closed(Closed::Stopped), 1);
}
