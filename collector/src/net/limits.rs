//! Every bound of a listener, in one place.

use std::time::Duration;

/// The longest idle time any configuration may grant a verified connection.
pub const IDLE_VERIFIED_MAX: Duration = Duration::from_secs(120);

/// hyper refuses (by panic) a smaller head buffer.
const HEAD_BYTES_MIN: usize = 8 * 1024;

/// What one listener allows its peers. Each `serve` call keeps its own budgets.
///
/// The defaults fit the ingest listener. A listener for browsers never marks a connection verified,
/// so it wants a longer `idle_unverified` and a larger `per_source_max`.
#[derive(Clone, Debug)]
pub struct ConnLimits {
    /// Time from accept to a finished TLS handshake.
    pub handshake: Duration,
    /// Time from the first byte of a request head to its end.
    pub head: Duration,
    /// Time without a byte of a next request, before the first verified report.
    pub idle_unverified: Duration,
    /// The same after it. More than [`IDLE_VERIFIED_MAX`] counts as [`IDLE_VERIFIED_MAX`].
    pub idle_verified: Duration,
    /// Time from a whole head to the handler's answer (503 after it), and the longest silence of a
    /// streamed answer.
    pub handler: Duration,
    /// Time in which the peer must take at least `write_progress_min` bytes of a waiting answer.
    pub write_stall: Duration,
    /// Bytes that count as progress of a waiting answer, so that a peer taking one byte now and then
    /// does not hold the connection.
    pub write_progress_min: usize,
    /// Time for a whole request body.
    pub body_total: Duration,
    /// Time before `body_bytes_per_s` is asked for.
    pub body_grace: Duration,
    /// Bytes per second a request body must average after the grace. 0 asks for nothing.
    pub body_bytes_per_s: u32,
    /// Connections without a verified report, handshakes included.
    pub unauthenticated_max: usize,
    /// Connections with one.
    pub authenticated_max: usize,
    /// Connections without a verified report per IPv4 address or IPv6 /64 network.
    pub per_source_max: usize,
    /// The same from a source that has brought a verified report before.
    pub per_known_source_max: usize,
    /// Verified connections of one agent.
    pub per_agent_max: usize,
    /// Header lines in a request head (431 above it).
    pub headers_max: usize,
    /// Bytes of a request head (431 above it). Less than 8 KiB counts as 8 KiB.
    pub head_bytes_max: usize,
    /// Time for requests in flight after the stop signal.
    pub stop: Duration,
    /// Time in which a peer may still send after our last answer, so that closing does not destroy
    /// an answer (413, 431) the peer has not read yet.
    pub linger: Duration,
    /// Pause after `accept` failed for a reason that is not one connection's own.
    pub accept_pause: Duration,
}

impl Default for ConnLimits {
    fn default() -> Self {
        ConnLimits {
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(5),
            idle_unverified: Duration::from_secs(5),
            idle_verified: Duration::from_secs(90),
            handler: Duration::from_secs(30),
            write_stall: Duration::from_secs(15),
            write_progress_min: 4 * 1024,
            body_total: Duration::from_secs(15),
            body_grace: Duration::from_secs(2),
            body_bytes_per_s: 1024,
            unauthenticated_max: 1024,
            authenticated_max: 8192,
            per_source_max: 32,
            per_known_source_max: 256,
            per_agent_max: 2,
            headers_max: 32,
            head_bytes_max: 16 * 1024,
            stop: Duration::from_secs(10),
            linger: Duration::from_millis(500),
            accept_pause: Duration::from_millis(100),
        }
    }
}

impl ConnLimits {
    /// The idle limit in force.
    pub(super) fn idle(&self, verified: bool) -> Duration {
        if verified { self.idle_verified.min(IDLE_VERIFIED_MAX) } else { self.idle_unverified }
    }

    /// The head buffer in force.
    pub(super) fn head_bytes(&self) -> usize {
        self.head_bytes_max.max(HEAD_BYTES_MIN)
    }
}
