//! Whether a time source disciplines the clock, told from the files of systemd-timesyncd or by chronyd.
//!
//! The kernel knows it exactly (`adjtimex`), but that call also sets the clock, so the agent's sandbox forbids it, and
//! no safe wrapper small enough to trust exists. timesyncd touches a file at each good answer of its server and tells
//! the kernel "error zero" at that moment; the kernel then counts the error up and gives the clock up as
//! unsynchronised when it reaches 16 s. The age of that file under the same rule gives the kernel's answer.
//! Where timesyncd does not run, chronyd is asked over loopback, where it answers such questions to everybody
//! (`chrony.rs`). With another time service (ntpd, a hypervisor's tools), or a chronyd whose `cmdport` is 0, this says
//! `unsupported`, not "unsynchronised".

use super::{Sources, Take, chrony};
use crate::host::ask::{Question, soon};
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
        Err(FaultCode::NotFound) => {
            readings.clock = take.whole(by_chrony(host));
            return;
        }
        other => other.map(Some),
    };
    let found = touched.and_then(|touched| Ok(synchronised(touched, host.now()?)));
    let Some(synchronised) = take.whole(found) else { return };
    for field in ["offset_us", "max_error_us"] {
        let _: Option<i64> = take.value(field, Err(FaultCode::Unsupported));
    }
    readings.clock = Some(ClockState { synchronised: Some(i64::from(synchronised)), ..ClockState::default() });
}

/// What chronyd says. Of a clock that no source disciplines there is no offset: what it would be from is not known.
fn by_chrony(host: &Host) -> Result<ClockState, FaultCode> {
    let answer = host.ask(Question::ChronyTracking, soon());
    let tracking = chrony::tracking(&answer.map_err(|code| if code == FaultCode::NotFound { FaultCode::Unsupported } else { code })?)?;
    let synchronised = tracking.disciplined().ok_or(FaultCode::Malformed)?;
    let us = |ns: Option<i64>| ns.filter(|_| synchronised).map(|ns| ns.saturating_add(500).div_euclid(1000));
    Ok(ClockState {
        synchronised: Some(i64::from(synchronised)),
        // The correction that is still to come is what the clock is behind.
        offset_us: us(tracking.offset_ns.map(i64::saturating_neg)),
        // chrony's document on `tracking`: what the way to the reference clock can have added at most.
        max_error_us: us(tracking.root_dispersion_ns.zip(tracking.root_delay_ns).map(|(gathered, delay)| gathered.saturating_add(delay / 2))),
        ..ClockState::default()
    })
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
    use crate::probe::chrony::tests::{ALONE, FOLLOWS};
    use crate::probe::tests::{recorded, taken};

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
        let told = || {
            let (mut readings, mut faults) = (Readings::default(), Vec::new());
            read(&Sources::of(&Host::recorded(folder.path()), &crate::probe::Names::new(b"", [].into())), &mut readings, &mut faults);
            (readings.clock.and_then(|clock| clock.synchronised), faults.first().map(|fault| fault.probe.to_string()))
        };
        assert_eq!(told(), (None, Some("clock".to_owned())));
        std::fs::create_dir_all(folder.path().join(FOLDER)).unwrap();
        assert_eq!(told(), (Some(0), Some("clock.offset_us".to_owned())));
        put("recorded/modified", "run/systemd/timesync/synchronized 1800000050000\n");
        assert_eq!(told().0, Some(1));
    }

    #[test]
    fn without_timesyncd_chronyd_is_asked() {
        let answered = |hex: &str| taken(&recorded(&[("recorded/modified", ""), ("recorded/chrony", hex)]), "clock");
        let follows = r#"{"clock":{"synchronised":1,"offset_us":299999,"max_error_us":4}}"#;
        assert_eq!(answered(FOLLOWS), (follows.to_owned(), vec![]));
        let alone = r#"{"clock":{"synchronised":0}}"#;
        assert_eq!(answered(ALONE), (alone.to_owned(), vec![]));
        for (hex, code) in [(FOLLOWS.replacen("06", "05", 1), "unsupported"), (FOLLOWS[..60].to_owned(), "malformed"), (String::new(), "malformed")] {
            assert_eq!(answered(&hex), ("{}".to_owned(), vec![format!("clock {code}")]), "{hex}");
        }
        assert_eq!(taken(&recorded(&[]), "clock"), ("{}".to_owned(), vec!["clock unsupported".to_owned()]));
        // timesyncd's folder is there while it runs: then it is the one that keeps the clock.
        let both = recorded(&[
            ("proc/uptime", "100.00 50.00\n"),
            ("proc/stat", "btime 1800000000\n"),
            ("recorded/modified", ""),
            ("run/systemd/timesync/x", ""),
            ("recorded/chrony", FOLLOWS),
        ]);
        assert!(taken(&both, "clock").0.contains(r#""synchronised":0"#));
    }
}
