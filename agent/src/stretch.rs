//! The agent never adds to the load: while the machine is busy it lengthens its own intervals, and says so by the plan
//! it states and by `agent.stretch`. Heartbeat is not touched, so silence keeps its meaning.
//!
//! Pure. Lengthened is doubled, at most to eight times; it comes back by halves once the pressure has gone well below.

use mimamori_parse::psi::Stall;
use std::time::Duration;

/// Most.
const FACTOR_MAX: u64 = 8;
/// A sample that takes longer than this shows a machine that hardly answers.
const SLOW: Duration = Duration::from_secs(5);

/// Share of the last minute in which tasks waited, in thousandths of a percent; `None` where the kernel does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pressure {
    /// Some task, for a processor.
    pub cpu_some: Option<i64>,
    /// All tasks, for memory.
    pub memory_full: Option<i64>,
    /// All tasks, for a disk.
    pub io_full: Option<i64>,
}

impl Pressure {
    /// From lines of `/proc/pressure`.
    #[must_use]
    pub fn of(cpu_some: Option<Stall>, memory_full: Option<Stall>, io_full: Option<Stall>) -> Pressure {
        let minute = |stall: Option<Stall>| stall.and_then(|stall| stall.avg60_milli);
        Pressure { cpu_some: minute(cpu_some), memory_full: minute(memory_full), io_full: minute(io_full) }
    }

    /// How far the nearest limit is reached, in percent. Limits: for a processor 60 % of the minute, for memory 10 %, for a
    /// disk 40 %: well above what PSI shows on a machine that still answers its users (Documentation/accounting/psi.rst).
    fn reached_percent(self) -> i64 {
        let of = |milli: Option<i64>, limit_percent: i64| milli.unwrap_or(0) / (10 * limit_percent);
        of(self.cpu_some, 60).max(of(self.memory_full, 10)).max(of(self.io_full, 40))
    }
}

/// By how much the intervals are lengthened now.
#[must_use]
pub fn next(factor: u64, pressure: Pressure, took: Duration) -> u64 {
    let factor = factor.clamp(1, FACTOR_MAX);
    let reached = pressure.reached_percent();
    if reached >= 100 || took >= SLOW {
        (factor * 2).min(FACTOR_MAX)
    } else if reached < 50 && took < SLOW / 2 {
        (factor / 2).max(1)
    } else {
        factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUICK: Duration = Duration::from_millis(20);

    fn disk(percent: i64) -> Pressure {
        Pressure { io_full: Some(percent * 1000), ..Pressure::default() }
    }

    #[test]
    fn a_busy_machine_is_asked_less_and_less_and_a_calm_one_as_before() {
        let mut factor = 1;
        let course = [(50, 2), (50, 4), (90, 8), (90, 8), (30, 8), (25, 8), (19, 4), (0, 2), (0, 1), (0, 1)];
        for (percent, expected) in course {
            factor = next(factor, disk(percent), QUICK);
            assert_eq!(factor, expected, "{percent}");
        }
    }

    #[test]
    fn every_resource_counts_and_so_does_a_sample_that_took_long() {
        assert_eq!(next(1, Pressure { cpu_some: Some(60_000), ..Pressure::default() }, QUICK), 2);
        assert_eq!(next(1, Pressure { memory_full: Some(10_000), ..Pressure::default() }, QUICK), 2);
        assert_eq!(next(1, Pressure { cpu_some: Some(59_000), memory_full: Some(9_900), io_full: Some(39_000) }, QUICK), 1);
        assert_eq!(next(1, Pressure::default(), SLOW), 2);
        assert_eq!(next(2, Pressure::default(), SLOW / 2), 2);
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(factor: u64, cpu: Option<i64>, io: Option<i64>, took in 0_u64..100_000) {
            let pressure = Pressure { cpu_some: cpu, memory_full: None, io_full: io };
            prop_assert!((1..=FACTOR_MAX).contains(&next(factor, pressure, Duration::from_millis(took))));
        }
    }
}
