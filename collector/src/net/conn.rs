//! One connection from accept to close.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::budget::{LeaveOnDrop, Seat};
use super::progress::{Progress, Tracked};
use super::service::Requests;
use super::{Closed, ConnHandle, ConnLimits, NetTelemetry, TlsReloader};

/// Bytes read and thrown away after our last answer.
const LINGER_BYTES: usize = 256 * 1024;

/// What all connections of a listener share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) tls: Option<Arc<TlsReloader>>,
    pub(super) router: Router,
    pub(super) limits: ConnLimits,
    pub(super) telemetry: Arc<NetTelemetry>,
    pub(super) http: http1::Builder,
}

/// hyper with our bounds. Its own head timeout is off: it counts the idle time before a head too, so
/// it cannot tell a verified agent between two reports from a peer that drips its header.
pub(super) fn http(limits: &ConnLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.keep_alive(true).max_headers(limits.headers_max).max_buf_size(limits.head_bytes()).header_read_timeout(None);
    http
}

/// Serves one connection and says why it ended.
pub(super) async fn connection(common: Arc<Common>, stream: TcpStream, peer: SocketAddr, place: LeaveOnDrop, mut stop: watch::Receiver<bool>) -> Closed {
    if stream.set_nodelay(true).is_err() {
        return Closed::PeerGone;
    }
    let seat = place.seat();
    match &common.tls {
        None => exchange(&common, stream, peer, seat, stop).await,
        Some(tls) => match handshake(tls, stream, &common.limits, &mut stop).await {
            Ok(stream) => exchange(&common, stream, peer, seat, stop).await,
            Err(why) => why,
        },
    }
}

async fn handshake(tls: &TlsReloader, stream: TcpStream, limits: &ConnLimits, stop: &mut watch::Receiver<bool>) -> Result<TlsStream<TcpStream>, Closed> {
    let accept = timeout(limits.handshake, TlsAcceptor::from(tls.config()).accept(stream));
    tokio::select! {
        biased;
        () = stopped(stop) => Err(Closed::Stopped),
        done = accept => match done {
            Err(_) => Err(Closed::HandshakeTimeout),
            Ok(Ok(stream)) => Ok(stream),
            // rustls' own errors come as InvalidData.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err(Closed::TlsError),
            Ok(Err(_)) => Err(Closed::PeerGone),
        },
    }
}

/// Resolves when the collector stops, or when nobody is left who could say so.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

async fn exchange<S>(common: &Common, stream: S, peer: SocketAddr, seat: Arc<Seat>, mut stop: watch::Receiver<bool>) -> Closed
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Common { limits, telemetry, .. } = common;
    let progress = Arc::new(Progress::new(limits.write_progress_min));
    let service = Requests {
        router: common.router.clone(),
        handle: ConnHandle::new(peer, Arc::clone(&seat)),
        progress: Arc::clone(&progress),
        telemetry: Arc::clone(telemetry),
        handler: limits.handler,
    };
    let io = TokioIo::new(Tracked::new(stream, Arc::clone(&progress)));
    let mut http = common.http.serve_connection(io, service);
    let mut watchdog = pin!(Watchdog { progress: Arc::clone(&progress), seat, limits, timer: None });
    let why = loop {
        // The order matters: the watchdog judges after the connection had its turn.
        tokio::select! {
            biased;
            ended = poll_fn(|cx| http.poll_without_shutdown(cx)) => break reason(ended),
            why = &mut watchdog => break why,
            // Not hyper's graceful shutdown: it drops a head that is under way. The service asks
            // for the close, and the watchdog ends what is idle.
            () = stopped(&mut stop), if !progress.is_stopping() => progress.stop(),
        }
    };
    let stream = http.into_parts().io.into_inner();
    match why {
        Closed::Finished | Closed::HttpError => part(stream, limits, LINGER_BYTES).await,
        // Nothing is under way, but TLS peers like to be told.
        Closed::Idle | Closed::Stopped => part(stream, limits, 0).await,
        _ => drop(stream),
    }
    why
}

/// Says goodbye, then reads for a while: a socket closed with unread bytes resets the connection and
/// with it the answer under way.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, limits: &ConnLimits, mut bytes: usize) {
    let goodbye = async {
        stream.shutdown().await?;
        // On the heap: an array would be part of every connection's memory.
        let mut sink = vec![0; 4096];
        while bytes > 0 {
            match stream.read(&mut sink).await? {
                0 => break,
                read => bytes = bytes.saturating_sub(read),
            }
        }
        io::Result::Ok(())
    };
    // The connection ends either way; how its end went changes nothing.
    drop(timeout(limits.linger, goodbye).await);
}

fn reason(ended: hyper::Result<()>) -> Closed {
    match ended {
        Ok(()) => Closed::Finished,
        Err(error) if error.is_parse() => Closed::HttpError,
        Err(error) if error.is_user() => Closed::AnswerFailed,
        Err(_) => Closed::PeerGone,
    }
}

/// Resolves when the connection's progress is overdue.
///
/// Polled after the connection in the same task, so it sees every change of phase at once.
struct Watchdog<'a> {
    progress: Arc<Progress>,
    seat: Arc<Seat>,
    limits: &'a ConnLimits,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Future for Watchdog<'_> {
    type Output = Closed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Closed> {
        loop {
            let due = self.progress.due(self.limits, self.seat.is_verified());
            let Some((due, why)) = due else {
                return Poll::Pending;
            };
            if due <= tokio::time::Instant::now() {
                return Poll::Ready(why);
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            // A timer that rings too early is cheaper than one reset at every change of phase.
            if timer.deadline() > due || timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }
}
