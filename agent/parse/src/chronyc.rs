//! The clock as chronyd keeps it: `chronyc tracking`, or `chronyc -c tracking` (chrony's documentation of `chronyc`).

use crate::verdict::Verdict;
use crate::{Outcome, Unreadable, clock, complaint, text};
use mimamori_shared::time;
use serde::Serialize;

/// What the clock follows. The source's name and address are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// Nothing.
    #[default]
    None,
    /// Itself: chronyd was told to serve time without a source.
    Own,
    /// A server, or a clock attached to the machine.
    Source,
}

/// The tool's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tracking {
    /// Whether chronyd says that the clock is synchronised.
    pub synchronised: Option<bool>,
    /// What the clock follows.
    pub reference: Reference,
    /// Steps between the clock and a reference clock.
    pub stratum: Option<i64>,
    /// When the source was last heard, in milliseconds since 1970 UTC.
    pub heard_ms: Option<i64>,
    /// How far the system's clock is ahead of the source's time (behind: negative), in nanoseconds.
    pub offset_ns: Option<i64>,
    /// The last measured difference, in nanoseconds.
    pub last_offset_ns: Option<i64>,
    /// Its long-term mean, in nanoseconds.
    pub rms_offset_ns: Option<i64>,
    /// How fast the clock would run by itself (slow: negative), in thousandths of a part per million.
    pub frequency_ppb: Option<i64>,
    /// What is wrong with that, in thousandths of a part per million.
    pub residual_frequency_ppb: Option<i64>,
    /// How sure that is, in thousandths of a part per million.
    pub skew_ppb: Option<i64>,
    /// Way to the reference clock, in nanoseconds.
    pub root_delay_ns: Option<i64>,
    /// Error gathered on that way, in nanoseconds.
    pub root_dispersion_ns: Option<i64>,
    /// Between the last two updates, in milliseconds.
    pub update_interval_ms: Option<i64>,
}

impl Tracking {
    /// Whether a source disciplines the clock; `None` when chronyd does not say.
    #[must_use]
    pub fn disciplined(&self) -> Option<bool> {
        match (self.synchronised, self.reference, self.stratum) {
            (Some(false), ..) | (_, Reference::None | Reference::Own, _) | (_, _, Some(0 | 16..)) => Some(false),
            (told, Reference::Source, _) => told,
        }
    }

    /// Whether chronyd was told to call the clock good by itself.
    fn follows_itself(&self) -> bool {
        self.synchronised != Some(false) && self.reference == Reference::Own && !matches!(self.stratum, Some(0 | 16..))
    }
}

const SUCH_AS: &str = "Reference ID    : CB007123 (ntp.example.org)";

/// A record, and the lines that hold no value, from 1.
type Read = (Tracking, Vec<usize>);

/// Reads the output.
///
/// # Errors
/// When it is empty or no tracking report.
pub fn parse(input: &str) -> Result<Read, Unreadable> {
    let mut lines = input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (first, line) = lines.next().ok_or(Unreadable::Empty)?;
    if let Some(tracking) = with_commas(line.trim()) {
        return Ok((tracking, Vec::new()));
    }
    let mut tracking = Tracking::default();
    let (mut known, mut malformed) = (0, Vec::new());
    for (number, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match line.split_once(':').and_then(|(label, value)| put(&mut tracking, label.trim(), value.trim())) {
            Some(()) => known += 1,
            None if malformed.len() < crate::RECORDS_MAX => malformed.push(number + 1),
            None => {}
        }
    }
    // `Stratum` alone is printed by many.
    if known < 3 || malformed.len() > known {
        return Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS });
    }
    Ok((tracking, malformed))
}

/// One line; `None` when its label or value is none of tracking's.
fn put(tracking: &mut Tracking, label: &str, value: &str) -> Option<()> {
    let word = value.split_whitespace().next().unwrap_or_default();
    let number = Some(word).filter(|word| text::decimal(word).is_some());
    let slow = value.split_whitespace().any(|word| word == "slow");
    let signed = |value: Option<i64>| value.map(|value| if slow { -value } else { value });
    match label {
        "Reference ID" => tracking.reference = reference(word),
        "Stratum" => tracking.stratum = Some(text::whole(word)?),
        "Ref time (UTC)" => tracking.heard_ms = moment(value)?,
        "System time" => tracking.offset_ns = signed(text::parts(number?, 1e9)),
        "Last offset" => tracking.last_offset_ns = text::parts(number?, 1e9),
        "RMS offset" => tracking.rms_offset_ns = text::parts(number?, 1e9),
        "Frequency" => tracking.frequency_ppb = signed(text::milli(number?)),
        "Residual freq" => tracking.residual_frequency_ppb = text::milli(number?),
        "Skew" => tracking.skew_ppb = text::milli(number?),
        "Root delay" => tracking.root_delay_ns = text::parts(number?, 1e9),
        "Root dispersion" => tracking.root_dispersion_ns = text::parts(number?, 1e9),
        "Update interval" => tracking.update_interval_ms = text::milli(number?),
        "Leap status" => tracking.synchronised = Some(synchronised(value)?),
        _ => return None,
    }
    Some(())
}

fn synchronised(leap: &str) -> Option<bool> {
    match leap {
        "Normal" | "Insert second" | "Delete second" => Some(true),
        "Not synchronised" => Some(false),
        _ => None,
    }
}

/// `7F7F0101` is chronyd itself, zeros are nothing; versions before 3 print an address or four letters.
fn reference(id: &str) -> Reference {
    match id {
        "7F7F0101" | "127.127.1.1" => Reference::Own,
        "00000000" | "0.0.0.0" | "" | "()" => Reference::None,
        _ => Reference::Source,
    }
}

/// `Thu Nov 26 10:20:30 2026`; inside, `None` is the beginning of 1970, which means never.
fn moment(stamp: &str) -> Option<Option<i64>> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = stamp.split_whitespace().skip(1);
    let (month, day, clock, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.find(month).filter(|at| month.len() == 3 && at % 3 == 0)? / 3 + 1;
    let ms = time::parse(&format!("{year:0>4}-{month:02}-{day:0>2}T{clock}Z")).ok()?;
    Some(Some(ms).filter(|ms| *ms > 0))
}

/// `chronyc -c tracking`: fourteen fields. There a clock that is behind has a positive offset.
fn with_commas(line: &str) -> Option<Tracking> {
    let fields: Vec<&str> = line.split(',').collect();
    let [id, _name, stratum, heard, system, last, rms, frequency, residual, skew, delay, dispersion, interval, leap] = fields.as_slice() else {
        return None;
    };
    Some(Tracking {
        synchronised: Some(synchronised(leap)?),
        reference: reference(id),
        stratum: Some(text::whole(stratum)?),
        heard_ms: text::milli(heard).filter(|ms| *ms > 0),
        offset_ns: text::parts(system, 1e9).map(|ns| -ns),
        last_offset_ns: text::parts(last, 1e9),
        rms_offset_ns: text::parts(rms, 1e9),
        frequency_ppb: text::milli(frequency),
        residual_frequency_ppb: text::milli(residual),
        skew_ppb: text::milli(skew),
        root_delay_ns: text::parts(delay, 1e9),
        root_dispersion_ns: text::parts(dispersion, 1e9),
        update_interval_ms: text::milli(interval),
    })
}

const TOOL: &[&str] = &["chronyc"];
const COMPLAINTS: &[(&str, &str)] =
    &[("506 cannot talk to daemon", "not_running"), ("could not open connection to daemon", "not_running"), ("501 not authorised", "permission_denied")];

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let (tracking, malformed) = match parse(input) {
        Ok(read) => read,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    match tracking.disciplined() {
        Some(true) => {}
        Some(false) if tracking.follows_itself() => verdict.bad("the clock follows only itself"),
        Some(false) => verdict.bad("the clock is not synchronised"),
        None => verdict.unknown("chronyd does not say whether the clock is synchronised"),
    }
    clock::judge_offset(tracking.offset_ns, &mut verdict);
    clock::judge_age(tracking.heard_ms, at_ms, &mut verdict);
    let mut outcome = verdict.outcome("the clock is synchronised");
    outcome.source_fresh_at = tracking.heard_ms;
    for (name, ns) in [
        ("clock_offset", tracking.offset_ns),
        ("clock_last_offset", tracking.last_offset_ns),
        ("clock_rms_offset", tracking.rms_offset_ns),
        ("clock_root_delay", tracking.root_delay_ns),
        ("clock_root_dispersion", tracking.root_dispersion_ns),
    ] {
        outcome.reading(name, &[], clock::seconds(ns), "seconds");
    }
    let thousandth = |value: Option<i64>| value.map(|value| text::float(value) / 1000.0);
    outcome.reading("clock_update_interval", &[], thousandth(tracking.update_interval_ms), "seconds");
    outcome.reading("clock_frequency", &[], thousandth(tracking.frequency_ppb), "ppm");
    outcome.reading("clock_residual_frequency", &[], thousandth(tracking.residual_frequency_ppb), "ppm");
    outcome.reading("clock_skew", &[], thousandth(tracking.skew_ppb), "ppm");
    outcome.reading("clock_stratum", &[], tracking.stratum.map(text::float), "count");
    outcome.record(&tracking);
    malformed.iter().for_each(|line| outcome.fault("malformed", &format!("line {line}: no value of tracking")));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    const REPORT: &str = "Reference ID    : CB007123 (ntp.example.org)\nStratum         : 3\nRef time (UTC)  : Thu Nov 26 10:20:30 2026\n\
        System time     : 0.000012345 seconds slow of NTP time\nLast offset     : -0.000006747 seconds\nRMS offset      : 0.000035822 seconds\n\
        Frequency       : 3.225 ppm slow\nResidual freq   : -0.001 ppm\nSkew            : 0.129 ppm\nRoot delay      : 0.013639022 seconds\n\
        Root dispersion : 0.001100737 seconds\nUpdate interval : 64.2 seconds\nLeap status     : Normal\n";
    const COMMAS: &str =
        "CB007123,203.0.113.35,3,1795688430.500000000,0.000012345,-0.000006747,0.000035822,-3.225,-0.001,0.129,0.013639022,0.001100737,64.2,Normal\n";

    fn with(old: &str, new: &str) -> Outcome {
        assert!(REPORT.contains(old));
        outcome(&REPORT.replace(old, new), None).unwrap()
    }

    #[test]
    fn both_forms_say_the_same() {
        let (lines, malformed) = parse(REPORT).unwrap();
        assert_eq!((lines.synchronised, lines.reference, lines.stratum, malformed.len()), (Some(true), Reference::Source, Some(3), 0));
        assert_eq!((lines.heard_ms, lines.offset_ns, lines.frequency_ppb), (Some(1_795_688_430_000), Some(-12_345), Some(-3225)));
        assert_eq!((lines.last_offset_ns, lines.update_interval_ms), (Some(-6747), Some(64_200)));
        assert_eq!(parse(COMMAS).unwrap().0, Tracking { heard_ms: Some(1_795_688_430_500), ..lines });
        let outcome = outcome(REPORT, None).unwrap();
        assert_eq!((outcome.status, outcome.readings.len(), outcome.source_fresh_at), (Status::Ok, 10, Some(1_795_688_430_000)));
        assert!(!serde_json::to_string(&outcome).unwrap().contains("example.org"));
    }

    #[test]
    fn what_keeps_no_time_is_bad() {
        for (old, new, said) in [
            ("Leap status     : Normal", "Leap status     : Not synchronised", "not synchronised"),
            ("Stratum         : 3", "Stratum         : 0", "not synchronised"),
            ("CB007123 (ntp.example.org)", "00000000 ()", "not synchronised"),
            ("CB007123 (ntp.example.org)", "7F7F0101 ()", "follows only itself"),
            ("0.000012345 seconds slow", "2.500000000 seconds fast", "the clock differs by 2.500 s"),
        ] {
            let outcome = with(old, new);
            assert!(outcome.status == Status::Bad && outcome.reason.contains(said), "{new}: {}", outcome.reason);
        }
        assert_eq!(with("Leap status     : Normal", "Leap status     : Insert second").status, Status::Ok);
        assert_eq!(with("Leap status     : Normal\n", "").status, Status::Unknown);
        assert_eq!(with("Thu Nov 26 10:20:30 2026", "Thu Jan 01 00:00:00 1970").source_fresh_at, None);
    }

    #[test]
    fn an_age_is_judged_only_by_a_moment() {
        let at = |ms| outcome(REPORT, Some(ms)).unwrap().status;
        assert_eq!((at(1_795_688_430_000 + 86_400_000), at(1_795_688_430_000 + 86_400_001)), (Status::Ok, Status::Bad));
    }

    #[test]
    fn what_the_tool_says_about_itself_is_unknown() {
        for said in ["506 Cannot talk to daemon\n", "Could not open connection to daemon\n"] {
            let outcome = outcome(said, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, "not_running"), "{said}");
        }
        assert_eq!(outcome("501 Not authorised\n", None).unwrap().faults[0].code, "permission_denied");
        assert_eq!(outcome("bash: chronyc: command not found\n", None).unwrap().faults[0].code, "not_found");
    }

    #[test]
    fn another_format_is_refused_and_a_broken_line_costs_itself() {
        assert_eq!(parse(" \n"), Err(Unreadable::Empty));
        for foreign in ["Stratum: 3 (secondary)\nPrecision: -6\n", "210 Number of sources = 4\n", "a,b,c,d,e,f,g,h,i,j,k,l,m,n\n", "{}"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
        let outcome = with("Skew            : 0.129 ppm", "Skew            : wide\n\0");
        assert_eq!((outcome.status, outcome.faults.len(), outcome.faults[0].code), (Status::Ok, 2, "malformed"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "((Reference ID|Stratum|Ref time \\(UTC\\)|System time|Skew|Leap status)( )*:( )*([0-9A-F.]{0,30}|\
            Thu [A-Z][a-z]{2} [0-9]{1,2} [0-9:]{8} [0-9]{1,6}|Normal|.*)\n){0,8}.*") {
            if let Ok(outcome) = outcome(&input, Some(0)) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
