//! Handlers that take too long, panic or fall silent; an accept that fails.

use std::sync::atomic::AtomicUsize;

use super::*;

#[tokio::test]
async fn a_request_knows_its_peer() {
    let server = start(patient());
    let mut peer = server.connect().await;
    let expected = peer.local_addr().unwrap().to_string();
    assert_eq!(ask(&mut peer, &get_path("/peer")).await, (200, expected));
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_503() {
    let server = start(ConnLimits { handler: SHORT, ..patient() });
    let mut peer = server.connect().await;
    assert_eq!(ask(&mut peer, &get_path("/hang")).await.0, 503);
    until_closed(&mut peer).await;
    assert_eq!(server.telemetry.handler_timeouts.load(Relaxed), 1);
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_cut() {
    let server = start(ConnLimits { handler: SHORT, ..patient() });
    let mut peer = server.connect().await;
    peer.write_all(get_path("/silent").as_bytes()).await.unwrap();
    until_closed(&mut peer).await;
    server.expect_closed(Closed::AnswerSilent, 1).await;
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let server = start(patient());
    let (mut other, mut peer) = (server.connect().await, server.connect().await);
    assert_eq!(ask(&mut other, GET).await.0, 200);
    peer.write_all(get_path("/panic").as_bytes()).await.unwrap();
    assert_eq!(until_closed(&mut peer).await.1, "");
    server.expect_closed(Closed::Panic, 1).await;
    assert_eq!(ask(&mut other, GET).await.0, 200);
    assert_eq!(ask(&mut server.connect().await, GET).await.0, 200);
    server.expect_value(|t| &t.open_unauthenticated, 1).await;
}

/// Fails as if no file descriptor were left, then works.
struct Exhausted {
    listener: TcpListener,
    failures: AtomicUsize,
}

impl Accept for Exhausted {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        const EMFILE: i32 = 24;
        if self.failures.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        Accept::accept(&self.listener).await
    }
}

#[tokio::test]
async fn accept_errors_pause_the_loop_and_do_not_end_it() {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let limits = ConnLimits { accept_pause: SHORT / 2, ..patient() };
    let telemetry = Arc::new(NetTelemetry::default());
    let budgets = Arc::new(Budgets::new(&limits, Arc::clone(&telemetry)));
    let (router, http) = (router(limits.clone()), conn::http(&limits));
    let common = Arc::new(Common { tls: None, router, limits, telemetry: Arc::clone(&telemetry), http });
    let (_stop, stopping) = watch::channel(false);
    let start = Instant::now();
    let exhausted = Exhausted { listener, failures: AtomicUsize::new(3) };
    tokio::spawn(accept_loop(exhausted, common, budgets, stopping));
    let mut peer = TcpStream::connect(addr).await.unwrap();
    assert_eq!(ask(&mut peer, GET).await.0, 200);
    assert_eq!(telemetry.accept_errors.load(Relaxed), 3);
    assert!(start.elapsed() >= SHORT, "no pause: a loop without one burns a core");
}
