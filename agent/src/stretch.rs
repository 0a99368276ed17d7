//! The agent never adds to the load: while the machine is busy it lengthens its own intervals, and says so by the plan
//! it states and by `agent.stretch`. Heartbeat is not touched, so silence keeps its meaning.
//!
//! Pure. Lengthened is doubled, at most to eight times; it comes back by halves once the pressure has stayed well below for
//! five looks: every change is stated, and a machine that is busy every other minute is not to state two plans in each.

use mimamori_parse::psi::Stall;
use std::time::Duration;

/// Most.
const FACTOR_MAX: u64 = 8;
/// Looks in a row that must find a machine calm before it is asked more.
const CALM_LOOKS: u64 = 5;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    factor: u64,
    /// Looks in a row that found the machine calm.
    calm: u64,
}

impl Default for Stretch {
    fn default() -> Stretch {
        Stretch { factor: 1, calm: 0 }
    }
}

impl Stretch {
    /// How many times as long an interval is as it was configured: 1, 2, 4 or 8.
    #[must_use]
    pub fn factor(self) -> u64 {
        self.factor
    }

    /// With one more look at the machine, and by how long the sample took.
    #[must_use]
    pub fn next(self, pressure: Pressure, took: Duration) -> Stretch {
        let reached = pressure.reached_percent();
        if reached >= 100 || took >= SLOW {
            return Stretch { factor: (self.factor * 2).min(FACTOR_MAX), calm: 0 };
        }
        let calm = if reached < 50 && took < SLOW / 2 { self.calm + 1 } else { 0 };
        if calm < CALM_LOOKS || self.factor == 1 {
            return Stretch { calm: calm.min(CALM_LOOKS), ..self };
        }
        Stretch { factor: self.factor / 2, calm: 0 }
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

    fn course(looks: &[i64]) -> Vec<u64> {
        let mut stretch = Stretch::default();
        let mut look = |percent: &i64| {
            stretch = stretch.next(disk(*percent), QUICK);
            stretch.factor()
        };
        looks.iter().map(&mut look).collect()
    }

    #[test]
    fn a_busy_machine_is_asked_less_and_less_and_one_that_stays_calm_as_before() {
        assert_eq!(course(&[39, 40, 50, 90, 90, 30, 25]), [1, 2, 4, 8, 8, 8, 8]);
        let calm = course(&[&[90; 3][..], &[19; 16]].concat());
        assert_eq!(calm, [2, 4, 8, 8, 8, 8, 8, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 1, 1]);
    }

    #[test]
    fn a_machine_that_is_busy_every_other_minute_states_its_plan_once() {
        let restless = course(&[50, 0].repeat(200));
        assert_eq!((&restless[..6], restless.iter().filter(|factor| **factor != 8).count()), (&[2, 2, 4, 4, 8, 8][..], 4));
        // Nor does one between the two limits.
        assert_eq!(course(&[&[50][..], &[0, 0, 0, 0, 30].repeat(40)].concat()).into_iter().max(), Some(2));
        assert_eq!(course(&[&[50][..], &[0, 0, 0, 0, 30].repeat(40)].concat()).into_iter().min(), Some(2));
    }

    #[test]
    fn every_resource_counts_and_so_does_a_sample_that_took_long() {
        let first = |pressure, took| Stretch::default().next(pressure, took).factor();
        assert_eq!(first(Pressure { cpu_some: Some(60_000), ..Pressure::default() }, QUICK), 2);
        assert_eq!(first(Pressure { memory_full: Some(10_000), ..Pressure::default() }, QUICK), 2);
        assert_eq!(first(Pressure { cpu_some: Some(59_000), memory_full: Some(9_900), io_full: Some(39_000) }, QUICK), 1);
        assert_eq!(first(Pressure::default(), SLOW), 2);
        let mut slowish = first(Pressure::default(), SLOW);
        let mut stretch = Stretch::default().next(Pressure::default(), SLOW);
        for _ in 0..50 {
            stretch = stretch.next(Pressure::default(), SLOW / 2);
            slowish = slowish.min(stretch.factor());
        }
        assert_eq!(slowish, 2, "half as slow is not calm");
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(looks in proptest::collection::vec((any::<Option<i64>>(), any::<Option<i64>>(), 0_u64..100_000), 0..40)) {
            let mut stretch = Stretch::default();
            for (cpu, io, took) in looks {
                stretch = stretch.next(Pressure { cpu_some: cpu, memory_full: None, io_full: io }, Duration::from_millis(took));
                prop_assert!([1, 2, 4, 8].contains(&stretch.factor()));
            }
        }
    }
}
