//! Whether a time source disciplines the clock, told from the files of systemd-timesyncd.
//!
//! The kernel knows it exactly (`adjtimex`), but that call also sets the clock, so the agent's sandbox forbids it, and
//! no safe wrapper small enough to trust exists. timesyncd touches a file at each good answer of its server and tells
//! the kernel "error zero" at that moment; the kernel then counts the error up and gives the clock up as
//! unsynchronised when it reaches 16 s. The age of that file under the same rule gives the kernel's answer.
//! Nor does chrony help: its socket and its folders are its own (mode 0750), and what `chronyc` asks needs root or a port.
//! With another time service (chrony, ntpd, a hypervisor's tools) this says `unsupported`, not "unsynchronised".

use super::{Sources, Take};
use crate::host::{Host, Now};
use mimamori_shared::fields::{ClockState, Readings};
use mimamori_shared::payload::{Fault, FaultCode};

const FOLDER: &str = "run/systemd/timesync";
const TOUCHED: &str = "run/systemd/timesync/synchronized";
/// The kernel lets the error grow by 500 us each second, up to 16 s.
const TRUST_MS: i64 = 16_000_000 / 500 * 1000;
/// Times of files are taken from a coarser clock than the present.
const COARSE_MS: i64 = 1000;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("clock", faults);
    let touched = match host.modified_ms(TOUCHED) {
        Err(FaultCode::NotFound) if host.list(FOLDER, usize::MAX).is_ok() => Ok(None),
        Err(FaultCode::NotFound) => Err(FaultCode::Unsupported),
        other => other.map(Some),
    };
    let found = touched.and_then(|touched| Ok(synchronised(touched, host.now()?)));
    let Some(synchronised) = take.whole(found) else { return };
    for field in ["offset_us", "max_error_us"] {
        let _: Option<i64> = take.value(field, Err(FaultCode::Unsupported));
    }
    readings.clock = Some(ClockState { synchronised: Some(i64::from(synchronised)), ..ClockState::default() });
}

/// A change of (wall - boottime) of more than this is a step: a service that slews stays far below it between two samples.
const STEP_MS: i64 = 2000;

/// Steps of the wall clock that were seen between samples of one run; a run never outlasts its boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steps {
    /// Wall clock minus boot time at the last sample, in milliseconds.
    last_ms: Option<i64>,
    /// How many.
    pub steps: i64,
    /// By how much the last time, in milliseconds; ahead is positive.
    pub step_ms: Option<i64>,
}

impl Steps {
    /// With one more look at the two clocks.
    #[must_use]
    pub fn seen(self, now: Now) -> Steps {
        let now_ms = now.wall_ms.saturating_sub(now.boottime_ms);
        let by_ms = self.last_ms.map_or(0, |last_ms| now_ms.saturating_sub(last_ms));
        let looked = Steps { last_ms: Some(now_ms), ..self };
        if by_ms.saturating_abs() <= STEP_MS {
            return looked;
        }
        Steps { steps: self.steps.saturating_add(1), step_ms: Some(by_ms), ..looked }
    }

    /// Looks at the two clocks, and tells a report of it.
    pub fn look(&mut self, host: &Host, readings: Option<&mut Readings>) {
        if let Ok(now) = host.now() {
            *self = self.seen(now);
        }
        if let Some(readings) = readings {
            self.tell(readings);
        }
    }

    fn tell(self, readings: &mut Readings) {
        let clock = readings.clock.get_or_insert_with(ClockState::default);
        (clock.steps, clock.step_ms) = (Some(self.steps), self.step_ms);
    }
}

/// A time service that runs and has not had an answer since boot has not synchronised the clock. A file from the
/// future means that somebody set the clock back, which makes the kernel call it unsynchronised at once.
fn synchronised(touched_ms: Option<i64>, now: Now) -> bool {
    touched_ms.is_some_and(|touched| (-COARSE_MS..TRUST_MS).contains(&now.wall_ms.saturating_sub(touched)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_the_last_answer_decides() {
        let wall_ms = 1_800_000_000_000;
        let now = Now { wall_ms, boottime_ms: 5 };
        let table = [
            (None, false),
            (Some(wall_ms), true),
            (Some(wall_ms + 900), true),
            (Some(wall_ms + 2000), false),
            (Some(wall_ms - 31_999_999), true),
            (Some(wall_ms - 32_000_000), false),
            (Some(0), false),
            (Some(i64::MAX), false),
            (Some(i64::MIN), false),
        ];
        for (touched, expected) in table {
            assert_eq!(synchronised(touched, now), expected, "{touched:?}");
        }
    }

    #[test]
    fn a_step_is_more_than_two_seconds_between_two_samples() {
        let at = |wall_ms, boottime_ms| Now { wall_ms, boottime_ms };
        let mut steps = Steps::default().seen(at(1_000_000, 5_000));
        assert_eq!((steps.steps, steps.step_ms), (0, None), "the first look has nothing to compare with");
        // Suspended or not, both clocks go on; and a slewing service moves one a little.
        for now in [at(1_060_000, 65_000), at(9_060_000, 8_065_000), at(9_062_000, 8_065_000)] {
            steps = steps.seen(now);
            assert_eq!(steps.steps, 0, "{now:?}");
        }
        steps = steps.seen(at(9_064_001, 8_065_000));
        assert_eq!((steps.steps, steps.step_ms), (1, Some(2001)));
        steps = steps.seen(at(9_064_001 - 3_600_000, 8_065_000));
        assert_eq!((steps.steps, steps.step_ms), (2, Some(-3_600_000)));
        let steps = steps.seen(at(i64::MAX, i64::MIN)).seen(at(i64::MIN, i64::MAX));
        assert_eq!(steps.steps, 4, "and nothing overflows");
        let mut readings = Readings::default();
        steps.tell(&mut readings);
        assert_eq!(readings.clock.and_then(|clock| clock.steps), Some(4));
    }

    #[test]
    fn no_answer_yet_is_told_from_no_time_service() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("proc/uptime", "100.00 50.00\n");
        put("proc/stat", "btime 1800000000\n");
        put("recorded/modified", "");
        let taken = || {
            let (mut readings, mut faults) = (Readings::default(), Vec::new());
            read(&Sources::of(&Host::recorded(folder.path()), &crate::probe::Names::new(b"", [].into())), &mut readings, &mut faults);
            (readings.clock.and_then(|clock| clock.synchronised), faults.first().map(|fault| fault.probe.to_string()))
        };
        assert_eq!(taken(), (None, Some("clock".to_owned())));
        std::fs::create_dir_all(folder.path().join(FOLDER)).unwrap();
        assert_eq!(taken(), (Some(0), Some("clock.offset_us".to_owned())));
        put("recorded/modified", "run/systemd/timesync/synchronized 1800000050000\n");
        assert_eq!(taken().0, Some(1));
    }
}
