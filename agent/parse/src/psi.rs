//! Pressure stall information: a file of `/proc/pressure` (kernel 4.20 and later, Documentation/accounting/psi.rst).

use crate::{Outcome, Status, Unreadable, text, trouble};
use serde::Serialize;

/// Share of time in which tasks waited for one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Psi {
    /// At least one task waited.
    pub some: Option<Stall>,
    /// All tasks waited. The kernel has no such line for the processor before 5.13.
    pub full: Option<Stall>,
}

/// One line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stall {
    /// Over the last 10 s, in thousandths of a percent.
    pub avg10_milli: Option<i64>,
    /// Over the last 60 s, in thousandths of a percent.
    pub avg60_milli: Option<i64>,
    /// Over the last 300 s, in thousandths of a percent.
    pub avg300_milli: Option<i64>,
    /// Since boot, in microseconds.
    pub total_us: Option<i64>,
}

const SUCH_AS: &str = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0";

/// Reads the file.
///
/// # Errors
/// When it is empty or holds a line of another kind.
pub fn parse(input: &str) -> Result<Psi, Unreadable> {
    if input.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    let mut psi = Psi::default();
    for (number, line) in input.lines().enumerate() {
        let foreign = Unreadable::Foreign { line: number + 1, such_as: SUCH_AS };
        let (name, rest) = line.split_once(' ').ok_or(foreign.clone())?;
        let place = match name {
            "some" => &mut psi.some,
            "full" => &mut psi.full,
            _ => return Err(foreign),
        };
        *place = Some(stall(rest).ok_or(foreign)?);
    }
    Ok(psi)
}

fn stall(rest: &str) -> Option<Stall> {
    let value = |key: &str| rest.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let total_us = text::whole(value("total")?)?;
    let avg = |key| value(key).and_then(text::milli);
    Some(Stall { avg10_milli: avg("avg10"), avg60_milli: avg("avg60"), avg300_milli: avg("avg300"), total_us: Some(total_us) })
}

/// How the file reads for a human or a script. Pressure is a figure and no verdict: what is too much is the collector's rule.
///
/// # Errors
/// As [`parse`], unless it is a complaint: a kernel started without the feature has the file and refuses to read it.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let psi = match parse(input) {
        Ok(psi) => psi,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut outcome = Outcome::new(Status::Ok, "pressure is a figure, no verdict");
    for (share, stall) in [("some", psi.some), ("full", psi.full)] {
        let Some(stall) = stall else { continue };
        for (window, milli) in [("10", stall.avg10_milli), ("60", stall.avg60_milli), ("300", stall.avg300_milli)] {
            let percent = milli.map(|milli| text::float(milli) / 1000.0);
            outcome.reading("pressure", &[("share", share), ("window_seconds", window)], percent, "percent");
        }
        outcome.reading("pressure_total", &[("share", share)], stall.total_us.map(|us| text::float(us) / 1e6), "seconds");
    }
    outcome.record(&psi);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IO: &str = "some avg10=1.25 avg60=0.50 avg300=0.00 total=2000000\nfull avg10=0.75 avg60=0.00 avg300=0.00 total=1500000\n";

    #[test]
    fn both_lines_are_read() {
        let psi = parse(IO).unwrap();
        assert_eq!(psi.some.unwrap(), Stall { avg10_milli: Some(1250), avg60_milli: Some(500), avg300_milli: Some(0), total_us: Some(2_000_000) });
        assert_eq!(psi.full.unwrap().total_us, Some(1_500_000));
    }

    #[test]
    fn an_old_kernel_has_no_full_line() {
        let psi = parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n").unwrap();
        assert_eq!((psi.some.unwrap().total_us, psi.full), (Some(7), None));
    }

    #[test]
    fn interrupts_have_a_full_line_alone_and_a_kernel_may_refuse() {
        let outcome = |text| outcome(text, None).unwrap();
        assert_eq!(outcome("full avg10=0.00 avg60=0.00 avg300=0.00 total=8494").readings.len(), 4);
        let refused = outcome("cat: /proc/pressure/cpu: Operation not supported\n");
        assert_eq!((refused.status, refused.faults[0].code), (Status::Unknown, "unsupported"));
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        assert_eq!(parse(" \n"), Err(Unreadable::Empty));
        for (bad, line) in [("cpu 1 2 3\n", 1), ("some avg10=0.00 total=1\nMemTotal: 1\n", 2), ("some total=x\n", 1)] {
            assert!(matches!(parse(bad), Err(Unreadable::Foreign { line: at, .. }) if at == line), "{bad}");
        }
    }

    #[test]
    fn the_answer_holds_every_number() {
        let outcome = outcome(IO, None).unwrap();
        assert_eq!((outcome.status, outcome.readings.len(), outcome.records.len()), (Status::Ok, 8, 1));
        assert!((outcome.readings[3].value - 2.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "(some|full|[a-z]*) (avg10|total|.)=.*\n?") {
            if let Ok(outcome) = outcome(&input, None) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
