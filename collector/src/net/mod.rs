//! The listeners: TCP and TLS accept loop, its time limits and its budgets.
//!
//! hyper parses HTTP/1.1 and axum routes it; this module decides who may hold a connection and for
//! how long. It knows nothing about reports: a handler tells it through [`ConnHandle`] that a
//! connection has shown a verified one.

mod body;
mod budget;
mod conn;
mod limits;
mod progress;
mod room;
mod service;
mod source;
mod telemetry;
mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

pub use body::{BodyError, declared_within, read_body};
pub use budget::{ConnHandle, TooMany};
pub use limits::{ConnLimits, IDLE_VERIFIED_MAX};
pub use room::{BodyPlace, BodyRoom, NoRoom};
pub use source::Source;
pub use telemetry::{Closed, NetTelemetry};
pub use tls::{TlsError, TlsReloader, certificate_covers};

use budget::Budgets;
use conn::{Common, connection, stopped};

/// The kernel's queue of connections not accepted yet.
const BACKLOG: u32 = 1024;

/// Kernel memory for one connection's answer. The kernel reports room only after about a third of it
/// was taken, so with its own choice of some megabytes a slow but honest peer looks stalled.
const SEND_BUFFER: u32 = 64 * 1024;

/// Time for handlers that do not yield when they are aborted.
const ABORT: Duration = Duration::from_secs(1);

/// Binds a listener for [`serve`], with a send buffer that fits the answer's time limit.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves HTTP/1.1, over TLS if `tls` is given, until `shutdown` turns true or its sender is gone.
///
/// Each connection is a task of its own; a handler's panic ends its connection only (this needs a
/// build that unwinds). After the stop signal nothing is accepted, idle connections close at once, and
/// requests in flight have `limits.stop`. Dropping the future ends all connections.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<TlsReloader>>,
    service: axum::Router,
    limits: ConnLimits,
    telemetry: Arc<NetTelemetry>,
    shutdown: watch::Receiver<bool>,
) {
    let budgets = Arc::new(Budgets::new(&limits, Arc::clone(&telemetry)));
    let http = conn::http(&limits);
    let common = Arc::new(Common { tls, router: service, limits, telemetry, http });
    accept_loop(listener, common, budgets, shutdown).await;
}

/// Where connections come from: the kernel, or a test that makes `accept` fail.
trait Accept {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self).await
    }
}

async fn accept_loop<L: Accept>(listener: L, common: Arc<Common>, budgets: Arc<Budgets>, mut shutdown: watch::Receiver<bool>) {
    let telemetry = &common.telemetry;
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            Some(done) = tasks.join_next() => telemetry.count_closed(outcome(done)),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    telemetry.accepted.fetch_add(1, Relaxed);
                    match budgets.admit(peer.ip()) {
                        Ok(place) => {
                            tasks.spawn(connection(Arc::clone(&common), stream, peer, place, shutdown.clone()));
                        }
                        Err(why) => telemetry.count_closed(why),
                    }
                }
                Err(error) => {
                    telemetry.accept_errors.fetch_add(1, Relaxed);
                    if !one_connections_own(&error) {
                        // Either outcome leads back to the top of the loop, which knows about stopping.
                        drop(timeout(common.limits.accept_pause, stopped(&mut shutdown)).await);
                    }
                }
            },
        }
    }
    drop(listener);
    drain(tasks, &common).await;
}

/// Waits for requests in flight, then ends the rest.
async fn drain(mut tasks: JoinSet<Closed>, common: &Common) {
    let telemetry = &common.telemetry;
    for (time, last) in [(common.limits.stop, false), (ABORT, true)] {
        if last {
            tasks.abort_all();
        }
        let all = async {
            while let Some(done) = tasks.join_next().await {
                telemetry.count_closed(outcome(done));
            }
        };
        if timeout(time, all).await.is_ok() {
            return;
        }
    }
    for _ in 0..tasks.len() {
        telemetry.count_closed(Closed::StopDeadline);
    }
}

fn outcome(done: Result<Closed, JoinError>) -> Closed {
    match done {
        Ok(why) => why,
        Err(error) if error.is_panic() => Closed::Panic,
        Err(_) => Closed::StopDeadline,
    }
}

/// Whether the error concerns the connection that was to be accepted, so that the next may be fine.
fn one_connections_own(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
