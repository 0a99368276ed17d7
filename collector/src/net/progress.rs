//! Where a connection stands, recorded by the code that moves its bytes.
//!
//! Times are milliseconds since the connection began. The recorder and the watchdog run in the same
//! task; the atomics only make sharing safe.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::{Closed, ConnLimits};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first byte of a request.
    Idle,
    /// The rest of a head.
    Head,
    /// The handler, which may be reading the body.
    Handler,
    /// The rest of a streamed answer.
    Answer,
    /// The socket, to take what is written.
    Flush,
}

/// One connection's record.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    write_progress_min: usize,
    /// Phase in the low three bits, its beginning above them.
    phase: AtomicU64,
    /// The last part of a streamed answer made, or taken by the peer.
    answered: AtomicU64,
    /// When the peer stopped taking bytes, plus one; 0 while it takes them.
    blocked: AtomicU64,
    /// Bytes taken since `blocked` was set.
    taken: AtomicUsize,
    /// The collector stops: what is under way is the last.
    stopping: AtomicBool,
}

impl Progress {
    pub(super) fn new(write_progress_min: usize) -> Self {
        Progress {
            start: Instant::now(),
            write_progress_min,
            phase: AtomicU64::new(pack(0, Phase::Idle)),
            answered: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            taken: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    /// The moment by which something must have changed, and the reason to close if it has not.
    pub(super) fn due(&self, limits: &ConnLimits, verified: bool) -> Option<(Instant, Closed)> {
        let (since, phase) = unpack(self.phase.load(Relaxed));
        let answered = self.answered.load(Relaxed).max(since);
        let own = match phase {
            Phase::Idle if self.is_stopping() => Some((0, Duration::ZERO, Closed::Stopped)),
            Phase::Idle => Some((since, limits.idle(verified), Closed::Idle)),
            Phase::Head => Some((since, limits.head, Closed::HeadTimeout)),
            // `service` ends the handler with a 503.
            Phase::Handler => None,
            Phase::Answer => Some((answered, limits.handler, Closed::AnswerSilent)),
            Phase::Flush => Some((answered, limits.write_stall, Closed::WriteTimeout)),
        };
        let blocked = match self.blocked.load(Relaxed) {
            0 => None,
            // The source of an answer is not asked for more while the peer does not take it.
            at => Some((at - 1, limits.write_stall, Closed::WriteTimeout)),
        };
        let own = own.filter(|_| blocked.is_none() || !matches!(phase, Phase::Answer | Phase::Flush));
        let at = |(ms, span, why)| (self.start + Duration::from_millis(ms) + span, why);
        own.into_iter().chain(blocked).map(at).min_by_key(|(due, _)| *due)
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    pub(super) fn request_began(&self) {
        self.enter(Phase::Handler);
    }

    pub(super) fn answer_began(&self) {
        self.enter(Phase::Answer);
    }

    fn answer_moved(&self) {
        self.answered.store(self.now(), Relaxed);
    }

    fn answer_ended(&self) {
        if self.phase() == Phase::Answer {
            self.enter(Phase::Flush);
        }
    }

    fn bytes_read(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    fn write_blocked(&self) {
        if self.blocked.load(Relaxed) == 0 {
            self.taken.store(0, Relaxed);
            self.blocked.store(self.now() + 1, Relaxed);
        }
    }

    fn bytes_written(&self, bytes: usize) {
        let taken = self.taken.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if taken >= self.write_progress_min {
            self.taken.store(0, Relaxed);
            self.blocked.store(0, Relaxed);
            self.answer_moved();
        }
    }

    fn flushed(&self) {
        self.blocked.store(0, Relaxed);
        if self.phase() == Phase::Flush {
            self.enter(Phase::Idle);
        }
    }

    fn phase(&self) -> Phase {
        unpack(self.phase.load(Relaxed)).1
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(pack(self.now(), phase), Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX >> 3)
    }
}

fn pack(ms: u64, phase: Phase) -> u64 {
    (ms << 3) | phase as u64
}

fn unpack(packed: u64) -> (u64, Phase) {
    let phase = match packed & 0b111 {
        0 => Phase::Idle,
        1 => Phase::Head,
        2 => Phase::Handler,
        3 => Phase::Answer,
        _ => Phase::Flush,
    };
    (packed >> 3, phase)
}

/// A stream that records its progress. It wraps TLS, not the socket below it: records that carry no
/// request byte, such as key updates, are no progress.
#[derive(Debug)]
pub(super) struct Tracked<S> {
    stream: S,
    progress: Arc<Progress>,
}

impl<S> Tracked<S> {
    pub(super) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Tracked { stream, progress }
    }

    fn written(&self, wrote: Poll<std::io::Result<usize>>) -> Poll<std::io::Result<usize>> {
        match &wrote {
            Poll::Ready(Ok(bytes)) => self.progress.bytes_written(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.progress.write_blocked(),
        }
        wrote
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tracked<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.progress.bytes_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tracked<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(wrote)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[std::io::IoSlice<'_>]) -> Poll<std::io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        match &flushed {
            Poll::Ready(Ok(())) => self.progress.flushed(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.progress.write_blocked(),
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// An answer's body that records when it moves and when it ends.
///
/// hyper drops a body once it has the last byte of it, before it flushes: the flush after the drop is
/// the end of the answer.
#[derive(Debug)]
pub(super) struct TrackedBody {
    body: axum::body::Body,
    progress: Arc<Progress>,
}

impl TrackedBody {
    pub(super) fn new(body: axum::body::Body, progress: Arc<Progress>) -> Self {
        TrackedBody { body, progress }
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.progress.answer_moved();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.progress.answer_ended();
    }
}
