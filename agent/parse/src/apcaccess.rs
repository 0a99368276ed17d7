//! A UPS as apcupsd tells of it: `apcaccess status` (the manual's chapter on the status report).

use crate::ups::{self, Flag, Ups};
use crate::{Outcome, Unreadable, complaint, text};
use mimamori_shared::time;
use std::collections::BTreeMap;

const SUCH_AS: &str = "STATUS   : ONLINE";

/// What the words of STATUS mean.
const FLAGS: &[(&str, Flag)] = &[
    ("ONLINE", Flag::Online),
    ("ONBATT", Flag::OnBattery),
    ("LOWBATT", Flag::LowBattery),
    ("REPLACEBATT", Flag::ReplaceBattery),
    ("NOBATT", Flag::NoBattery),
    ("OVERLOAD", Flag::Overloaded),
    ("SHUTTING", Flag::ShuttingDown),
    ("CAL", Flag::Calibrating),
    ("SELFTEST", Flag::Testing),
    ("TRIM", Flag::Trimming),
    ("BOOST", Flag::Boosting),
    ("BYPASS", Flag::Bypass),
    ("OFF", Flag::Off),
    ("COMMLOST", Flag::CommunicationLost),
    ("SLAVEDOWN", Flag::CommunicationLost),
];
/// Words that say nothing of the UPS's health; `DOWN` follows `SHUTTING`.
const SILENT: &[&str] = &["DOWN", "SLAVE", "NETWORK"];

/// A UPS, and when the report and what is in it were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// What was told.
    pub ups: Ups,
    /// When the report was written, in milliseconds since 1970 UTC; `None` without an offset.
    pub written_ms: Option<i64>,
    /// When the UPS was last asked, in milliseconds since 1970 UTC; `None` without an offset.
    pub asked_ms: Option<i64>,
    /// Lines that are no value although others are, from 1, at most [`crate::RECORDS_MAX`].
    pub malformed: Vec<usize>,
    /// Whether a value came twice; the first counts.
    pub twice: bool,
}

/// Reads the output.
///
/// # Errors
/// When it is empty or no report of apcupsd.
pub fn parse(input: &str) -> Result<Read, Unreadable> {
    let told = ups::values(input, value, |_| false)?;
    let familiar = ["APC", "UPSMODE", "STATUS", "STATFLAG", "END APC", "BCHARGE", "STARTTIME"].iter().filter(|key| told.of.contains_key(*key)).count();
    if familiar < 2 || told.malformed.len() > told.of.len() {
        return Err(Unreadable::Foreign { line: told.first, such_as: SUCH_AS });
    }
    let moment = |key: &str| told.of.get(key).and_then(|stamp| moment(stamp));
    Ok(Read { ups: ups(&told.of), written_ms: moment("END APC"), asked_ms: moment("DATE"), malformed: told.malformed, twice: told.twice })
}

/// `KEY      : value`.
fn value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim();
    let named = !key.is_empty() && key.len() <= 10 && key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ');
    named.then_some((key, value.trim()))
}

/// `2024-11-02 09:15:00 +0900`. Older versions print a zone's name instead of its offset: such a stamp is no moment.
fn moment(stamp: &str) -> Option<i64> {
    let mut words = stamp.split_whitespace();
    let (date, clock, offset) = (words.next()?, words.next()?, words.next()?);
    let (hours, minutes) = offset.split_at_checked(3)?;
    time::parse(&format!("{date}T{clock}{hours}:{minutes}")).ok()
}

fn ups(values: &BTreeMap<&str, &str>) -> Ups {
    // `28.5 Minutes`, `12.0 Percent Load Capacity`, or with `-u` the number alone.
    let milli = |key: &str| values.get(key)?.split_whitespace().next().and_then(text::milli);
    let minutes = |key: &str| milli(key).and_then(|milli| milli.checked_mul(60));
    let mut flags: Option<Vec<Flag>> = values.get("STATUS").map(|words| ups::flags(words, FLAGS, SILENT));
    // NG: failed; BT: failed for want of capacity. Anything else is no failure.
    if values.get("SELFTEST").is_some_and(|result| ["NG", "BT"].contains(result)) {
        flags.get_or_insert_default().push(Flag::TestFailed);
    }
    Ups {
        model: values.get("MODEL").map(|model| text::hardware(model)).filter(|model| !model.is_empty()),
        flags,
        battery_charge_milli: milli("BCHARGE"),
        battery_charge_low_milli: milli("MBATTCHG"),
        battery_runtime_s: ups::seconds(minutes("TIMELEFT")),
        battery_runtime_low_s: ups::seconds(minutes("MINTIMEL")),
        battery_voltage_milli: milli("BATTV"),
        battery_temperature_milli: None,
        load_milli: milli("LOADPCT"),
        power_milli: None,
        input_voltage_milli: milli("LINEV"),
        input_frequency_milli: milli("LINEFREQ"),
        output_voltage_milli: milli("OUTPUTV"),
        output_current_milli: milli("OUTCURNT"),
        temperature_milli: milli("ITEMP"),
        transfers: values.get("NUMXFERS").copied().and_then(text::whole),
        on_battery_s: ups::seconds(milli("TONBATT")),
    }
}

const TOOL: &[&str] = &["apcaccess", "apcupsd"];
const COMPLAINTS: &[(&str, &str)] = &[("error contacting apcupsd", "not_running"), ("error contacting host", "not_running")];

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let read = match parse(input) {
        Ok(read) => read,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut outcome = ups::outcome(&read.ups);
    (outcome.observed_at, outcome.source_fresh_at) = (read.written_ms, read.asked_ms);
    read.malformed.iter().for_each(|line| outcome.fault("malformed", &format!("line {line}: no value")));
    if read.twice {
        outcome.fault("too_many", "a value came twice; the first counts");
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    const REPORT: &str = "APC      : 001,038,0934\nDATE     : 2024-11-02 09:14:57 +0900  \nHOSTNAME : ct-room\n\
        VERSION  : 3.14.14 (31 May 2016) debian\n\
        UPSNAME  : rack\nCABLE    : USB Cable\nDRIVER   : USB UPS Driver\nUPSMODE  : Stand Alone\nSTARTTIME: 2024-10-30 08:00:01 +0900  \n\
            MODEL    : Smart-UPS 1500\n\
        STATUS   : ONLINE \nLINEV    : 101.5 Volts\nLOADPCT  : 21.0 Percent\nBCHARGE  : 100.0 Percent\nTIMELEFT : 47.5 Minutes\n\
            MBATTCHG : 5 Percent\nMINTIMEL : 3 Minutes\n\
        ITEMP    : 28.4 C\nBATTV    : 27.2 Volts\nLINEFREQ : 50.0 Hz\nNUMXFERS : 2\nTONBATT  : 0 Seconds\nCUMONBATT: 31 Seconds\n\
            XOFFBATT : N/A\nSELFTEST : NO\n\
        STATFLAG : 0x05000008\nSERIALNO : AS00000\nBATTDATE : 2020-01-01\nEND APC  : 2024-11-02 09:15:00 +0900  \n";

    fn with(status: &str) -> Outcome {
        outcome(&REPORT.replace("ONLINE ", status), None).unwrap()
    }

    #[test]
    fn a_healthy_ups_is_read_whole() {
        let read = parse(REPORT).unwrap();
        assert_eq!((read.ups.flags.clone(), read.ups.model.as_deref()), (Some(vec![Flag::Online]), Some("Smart-UPS 1500")));
        assert_eq!((read.ups.battery_runtime_s, read.ups.battery_runtime_low_s, read.ups.load_milli), (Some(2850), Some(180), Some(21_000)));
        let outcome = outcome(REPORT, None).unwrap();
        assert_eq!((outcome.status, outcome.readings.len(), outcome.faults.len()), (Status::Ok, 11, 0));
        assert_eq!((outcome.observed_at, outcome.source_fresh_at), (Some(1_730_506_500_000), Some(1_730_506_497_000)));
        let shown = serde_json::to_string(&outcome).unwrap();
        assert!(["ct-room", "rack", "AS00000"].iter().all(|secret| !shown.contains(secret)));
    }

    #[test]
    fn flags_decide() {
        for (status, expected) in [
            ("ONLINE", Status::Ok),
            ("TRIM ONLINE", Status::Ok),
            ("CAL ONLINE", Status::Ok),
            ("ONLINE SLAVE", Status::Ok),
            ("ONBATT", Status::Bad),
            ("ONBATT LOWBATT", Status::Bad),
            ("ONLINE REPLACEBATT", Status::Bad),
            ("ONLINE NOBATT", Status::Bad),
            ("ONLINE OVERLOAD", Status::Bad),
            ("SHUTTING DOWN", Status::Bad),
            ("COMMLOST", Status::Unknown),
            ("", Status::Unknown),
        ] {
            let outcome = with(status);
            assert_eq!(outcome.status, expected, "{status}: {}", outcome.reason);
        }
        assert_eq!(with("COMMLOST").faults[0].code, "io_error");
        assert_eq!(outcome(&REPORT.replace("SELFTEST : NO", "SELFTEST : NG"), None).unwrap().reason, "self-test failed");
    }

    #[test]
    fn older_and_shorter_reports_are_read() {
        let old = "APC      : 001,030,0760\nDATE     : Sat Dec 08 13:37:20 JST 2007\nSTATUS   : ONLINE\nLOADPCT  : 14.3 Percent Load Capacity\n\
            BCHARGE  : 100.0 Percent\nITEMP    : 29.2 C Internal\nEND APC  : Sat Dec 08 13:37:21 JST 2007\n";
        let read = parse(old).unwrap();
        assert_eq!((read.written_ms, read.ups.load_milli, read.ups.temperature_milli), (None, Some(14_300), Some(29_200)));
        assert_eq!(parse("STATUS   : ONLINE\nBCHARGE  : 99.0\nTIMELEFT : 10.0\n").unwrap().ups.battery_runtime_s, Some(600));
    }

    #[test]
    fn what_the_tool_says_about_itself_is_unknown() {
        let refused = outcome("Error contacting apcupsd @ localhost:3551: Connection refused\n", None).unwrap();
        assert_eq!((refused.status, refused.faults[0].code), (Status::Unknown, "not_running"));
        assert_eq!(outcome("bash: apcaccess: command not found", None).unwrap().faults[0].code, "not_found");
    }

    #[test]
    fn another_format_is_refused_and_a_broken_line_costs_itself() {
        assert_eq!(parse(""), Err(Unreadable::Empty));
        for foreign in ["ups.status: OL\nbattery.charge: 1\n", "STATUS : 1\n", "a\nb\n", "APC"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
        let outcome = outcome(&format!("{REPORT}gar\0bage\nSTATUS   : ONBATT\n"), None).unwrap();
        assert_eq!(outcome.faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["malformed", "too_many"]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "((STATUS|APC|DATE|END APC|\
            TIMELEFT|.) ?: ?(ONLINE|[0-9.]{0,30} Minutes|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} .*|.*)\n){0,8}.*") {
            if let Ok(outcome) = outcome(&input, None) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
