//! What the listeners count about themselves.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a connection ended. Every accepted connection ends with exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// HTTP's own end: the peer closed between requests, or an answer said `connection: close`.
    Finished,
    /// No byte of a next request within the idle limit.
    Idle,
    /// A request head begun but not finished in time.
    HeadTimeout,
    /// TLS handshake not finished in time.
    HandshakeTimeout,
    /// The peer did not take our answer.
    WriteTimeout,
    /// A streamed answer fell silent: our fault, not the peer's.
    AnswerSilent,
    /// A streamed answer failed: our fault, not the peer's.
    AnswerFailed,
    /// TLS refused: no common protocol, garbage, an alert.
    TlsError,
    /// Not the HTTP/1.1 we accept: syntax, too many headers, an HTTP/2 preface.
    HttpError,
    /// The peer vanished in the middle of a handshake, request or answer.
    PeerGone,
    /// Refused at accept: the unauthenticated budget is full.
    TooManyUnauthenticated,
    /// Refused at accept: too many unverified connections from this source.
    TooManyFromSource,
    /// A handler panicked.
    Panic,
    /// Idle when the collector stopped.
    Stopped,
    /// Still busy when the time for stopping was over.
    StopDeadline,
}

impl Closed {
    /// Every reason, in the order of declaration.
    pub const ALL: [Closed; 15] = [
        Closed::Finished,
        Closed::Idle,
        Closed::HeadTimeout,
        Closed::HandshakeTimeout,
        Closed::WriteTimeout,
        Closed::AnswerSilent,
        Closed::AnswerFailed,
        Closed::TlsError,
        Closed::HttpError,
        Closed::PeerGone,
        Closed::TooManyUnauthenticated,
        Closed::TooManyFromSource,
        Closed::Panic,
        Closed::Stopped,
        Closed::StopDeadline,
    ];

    /// The metrics label.
    pub const fn label(self) -> &'static str {
        match self {
            Closed::Finished => "finished",
            Closed::Idle => "idle",
            Closed::HeadTimeout => "head_timeout",
            Closed::HandshakeTimeout => "handshake_timeout",
            Closed::WriteTimeout => "write_timeout",
            Closed::AnswerSilent => "answer_silent",
            Closed::AnswerFailed => "answer_failed",
            Closed::TlsError => "tls_error",
            Closed::HttpError => "http_error",
            Closed::PeerGone => "peer_gone",
            Closed::TooManyUnauthenticated => "too_many_unauthenticated",
            Closed::TooManyFromSource => "too_many_from_source",
            Closed::Panic => "panic",
            Closed::Stopped => "stopped",
            Closed::StopDeadline => "stop_deadline",
        }
    }
}

/// Counters of one listener, or of several that share it.
///
/// At rest, connections accepted = open (both kinds) + closed (all reasons).
#[derive(Debug, Default)]
pub struct NetTelemetry {
    /// Open now, no verified report yet; TLS handshakes included.
    pub open_unauthenticated: AtomicU64,
    /// Open now, verified.
    pub open_authenticated: AtomicU64,
    /// Connections taken from the kernel, refused ones included.
    pub accepted: AtomicU64,
    /// `accept` failures, such as no file descriptor left.
    pub accept_errors: AtomicU64,
    /// Requests with a whole head.
    pub requests: AtomicU64,
    /// Requests answered 503 because the handler took too long.
    pub handler_timeouts: AtomicU64,
    /// `mark_verified` refused: the authenticated budget is full.
    pub too_many_authenticated: AtomicU64,
    /// `mark_verified` refused: the agent has enough connections.
    pub too_many_for_agent: AtomicU64,
    closed: [AtomicU64; Closed::ALL.len()],
}

impl NetTelemetry {
    /// How many connections ended for this reason.
    pub fn closed(&self, why: Closed) -> u64 {
        self.closed.get(why as usize).map_or(0, |count| count.load(Relaxed))
    }

    pub(super) fn count_closed(&self, why: Closed) {
        if let Some(count) = self.closed.get(why as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Every value as (name, label, value); the label is empty where a name has one value only.
    pub fn samples(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let plain = [
            ("connections_open", "unauthenticated", &self.open_unauthenticated),
            ("connections_open", "authenticated", &self.open_authenticated),
            ("connections_accepted_total", "", &self.accepted),
            ("accept_errors_total", "", &self.accept_errors),
            ("requests_total", "", &self.requests),
            ("handler_timeouts_total", "", &self.handler_timeouts),
            ("verified_refused_total", "too_many_authenticated", &self.too_many_authenticated),
            ("verified_refused_total", "too_many_for_agent", &self.too_many_for_agent),
        ];
        let closed = Closed::ALL.into_iter().map(|why| ("connections_closed_total", why.label(), self.closed(why)));
        plain.into_iter().map(|(name, label, value)| (name, label, value.load(Relaxed))).chain(closed)
    }
}
