//! Real loopback sockets. Each test shortens the one limit it is about; all others are far longer
//! than the test waits, so nothing else can close the connection.

mod body;
mod budgets;
mod handlers;
mod peers;
mod stop;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Path, Request};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::StatusCode;
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::*;

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);
/// How long a test waits for what must happen; far below `LONG`.
const PATIENCE: Duration = Duration::from_secs(10);
const BIG: usize = 16 * 1024 * 1024;
const GET: &str = "GET / HTTP/1.1\r\nhost: t\r\n\r\n";

/// Limits that close nothing during a test.
fn patient() -> ConnLimits {
    ConnLimits {
        handshake: LONG,
        head: LONG,
        idle_unverified: LONG,
        idle_verified: LONG,
        handler: LONG,
        write_stall: LONG,
        body_total: LONG,
        body_grace: LONG,
        stop: LONG,
        ..ConnLimits::default()
    }
}

struct Server {
    addr: SocketAddr,
    telemetry: Arc<NetTelemetry>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

fn start(limits: ConnLimits) -> Server {
    start_with(limits, None)
}

fn start_with(limits: ConnLimits, tls: Option<Arc<TlsReloader>>) -> Server {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let telemetry = Arc::new(NetTelemetry::default());
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(serve(listener, tls, router(limits.clone()), limits, Arc::clone(&telemetry), stopping));
    Server { addr, telemetry, stop, task }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// From another loopback address.
    async fn connect_from(&self, source: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((source, 0))).unwrap();
        socket.connect(self.addr).await.unwrap()
    }

    /// Waits until `count` connections ended for this reason.
    #[track_caller]
    fn expect_closed(&self, why: Closed, count: u64) -> impl Future<Output = ()> {
        let (telemetry, what) = (Arc::clone(&self.telemetry), format!("{count} closed by {why:?}"));
        eventually(what, move || telemetry.closed(why) == count)
    }

    #[track_caller]
    fn expect_value(&self, value: fn(&NetTelemetry) -> &AtomicU64, count: u64) -> impl Future<Output = ()> {
        let telemetry = Arc::clone(&self.telemetry);
        eventually(format!("a counter at {count}"), move || value(&telemetry).load(Relaxed) == count)
    }
}

async fn eventually(what: String, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn router(limits: ConnLimits) -> Router {
    let body = move |request: Request| async move {
        let (head, body) = request.into_parts();
        match read_body(body, &head.headers, 64 * 1024, &limits).await {
            Ok(bytes) => (StatusCode::OK, bytes.len().to_string()),
            Err(error) => (error.status(), error.to_string()),
        }
    };
    let verify = |Extension(conn): Extension<ConnHandle>, Path(agent): Path<String>| async move {
        match conn.mark_verified(&agent) {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    };
    Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/body", post(body))
        .route("/verify/{agent}", get(verify))
        .route("/peer", get(|Extension(conn): Extension<ConnHandle>| async move { conn.peer.to_string() }))
        .route("/big", get(|| async { Bytes::from(vec![b'x'; BIG]) }))
        .route(
            "/slow",
            get(|| async {
                sleep(SHORT * 2).await;
                "slow"
            }),
        )
        .route("/hang", get(std::future::pending::<&'static str>))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("on purpose")
                }
            }),
        )
        .route("/endless", get(|| async { axum::body::Body::new(Source(Some(Bytes::from(vec![b'x'; 9000])))) }))
        .route("/silent", get(|| async { axum::body::Body::new(Source(None)) }))
}

/// A body that yields this for ever, or nothing.
struct Source(Option<Bytes>);

impl hyper::body::Body for Source {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &self.0 {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes.clone())))),
            None => Poll::Pending,
        }
    }
}

/// Writes the request and reads one answer: its status and body.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(stream).await
}

async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> (u16, String) {
    timeout(PATIENCE, async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer"));
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |text| text.parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        (head[9..12].parse().unwrap(), String::from_utf8(body).unwrap())
    })
    .await
    .expect("an answer in time")
}

fn get_path(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n")
}

/// Reads until the server closes: how long it took and what came.
async fn until_closed<S: AsyncRead + Unpin>(stream: &mut S) -> (Duration, String) {
    let (start, mut all) = (Instant::now(), Vec::new());
    // A reset is a close too.
    let _end = timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("the server closes");
    (start.elapsed(), String::from_utf8_lossy(&all).into_owned())
}

/// Asserts that the server closes without a word, and not before the limit.
#[track_caller]
fn check_silence((after, said): (Duration, String), limit: Duration) {
    assert_eq!(said, "");
    assert!(after >= limit.mul_f32(0.8), "closed too early: {after:?}");
    assert!(after < PATIENCE / 2, "closed too late: {after:?}");
}
