//! The only place of the agent that reads clocks and entropy.

use crate::core::Now;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// All three clocks, read together.
#[must_use]
pub fn now() -> Now {
    let ms = |time: Timespec| time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000);
    Now {
        wall_ms: ms(clock_gettime(ClockId::Realtime)),
        boottime_ms: ms(clock_gettime(ClockId::Boottime)),
        monotonic_ms: ms(clock_gettime(ClockId::Monotonic)),
    }
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
