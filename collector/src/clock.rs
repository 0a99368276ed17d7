//! The only place of the collector that reads the clock and entropy.

use rustix::time::{ClockId, clock_gettime};

/// Wall clock, UTC, milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    let time = clock_gettime(ClockId::Realtime);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// Fresh random bytes from the operating system.
///
/// # Errors
/// When the operating system has none.
pub fn random<const N: usize>() -> Result<[u8; N], std::io::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|fault| std::io::Error::other(fault.to_string()))?;
    Ok(bytes)
}
