//! A UPS as Network UPS Tools tell of it: `upsc NAME`, or the list of the protocol (`VAR NAME KEY "VALUE"`; NUT's
//! documents on variables and on the network protocol).

use crate::ups::{self, Flag, Ups};
use crate::{Outcome, Unreadable, complaint, text};
use std::collections::BTreeMap;

const SUCH_AS: &str = "ups.status: OL";

/// What the driver's words mean.
const FLAGS: &[(&str, Flag)] = &[
    ("OL", Flag::Online),
    ("OB", Flag::OnBattery),
    ("LB", Flag::LowBattery),
    ("HB", Flag::HighBattery),
    ("RB", Flag::ReplaceBattery),
    ("CHRG", Flag::Charging),
    ("DISCHRG", Flag::Discharging),
    ("BYPASS", Flag::Bypass),
    ("CAL", Flag::Calibrating),
    ("TEST", Flag::Testing),
    ("OFF", Flag::Off),
    ("OVER", Flag::Overloaded),
    ("TRIM", Flag::Trimming),
    ("BOOST", Flag::Boosting),
    ("FSD", Flag::ShuttingDown),
    ("ALARM", Flag::Alarm),
    ("OVERHEAT", Flag::Overheated),
    ("NOCOMM", Flag::CommunicationLost),
    ("COMMBAD", Flag::CommunicationLost),
    ("WAIT", Flag::Waiting),
];
/// Words that say nothing of the UPS's health.
const SILENT: &[&str] = &["COMM", "COMMOK", "ECO", "HE", "ONLINE"];

const TOOL: &[&str] = &["upsc"];
const COMPLAINTS: &[(&str, &str)] = &[
    ("data stale", "timed_out"),
    ("data-stale", "timed_out"),
    ("driver not connected", "not_running"),
    ("driver-not-connected", "not_running"),
    ("connection failure", "not_running"),
    ("server disconnected", "not_running"),
    ("unknown ups", "not_found"),
    ("unknown-ups", "not_found"),
    ("no such host", "not_found"),
    ("unknown host", "not_found"),
    ("invalid ups definition", "not_found"),
    ("access-denied", "permission_denied"),
    ("variable not supported by ups", "unsupported"),
    ("var-not-supported", "unsupported"),
];

/// A UPS, and the lines around it that are no variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// What was told.
    pub ups: Ups,
    /// Lines that are no variable although others are, from 1, at most [`crate::RECORDS_MAX`].
    pub malformed: Vec<usize>,
    /// Whether a variable came twice; the first counts.
    pub twice: bool,
}

/// Reads the output.
///
/// # Errors
/// When it is empty or holds no variable of a UPS.
pub fn parse(input: &str) -> Result<Read, Unreadable> {
    let told = ups::values(input, variable, is_noise)?;
    // `battery.` and `input.` alone could be anybody's keys: a UPS has a status, a driver, or both.
    let familiar = ["ups.", "driver.", "device.", "battery."].iter().filter(|prefix| told.of.keys().any(|key| key.starts_with(*prefix))).count();
    if familiar == 0 || told.malformed.len() > told.of.len() {
        return Err(Unreadable::Foreign { line: told.first, such_as: SUCH_AS });
    }
    Ok(Read { ups: ups(&told.of), malformed: told.malformed, twice: told.twice })
}

/// `key: value`, or `VAR NAME key "value"`.
fn variable(line: &str) -> Option<(&str, &str)> {
    let (key, value) = if let Some(rest) = line.strip_prefix("VAR ") {
        let (key, value) = rest.split_once(' ')?.1.split_once(' ')?;
        (key, value.trim().strip_prefix('"')?.strip_suffix('"')?)
    } else {
        line.split_once(':')?
    };
    let named = key.contains('.') && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    named.then_some((key, value.trim()))
}

fn is_noise(line: &str) -> bool {
    ["Init SSL", "Warning:", "BEGIN LIST VAR", "END LIST VAR", "Network UPS Tools", "Connected to"].iter().any(|start| line.starts_with(start))
}

fn ups(variables: &BTreeMap<&str, &str>) -> Ups {
    let milli = |key: &str| variables.get(key).copied().and_then(text::milli);
    let name = |key: &str| variables.get(key).map(|name| text::hardware(name)).filter(|name| !name.is_empty());
    let mut flags: Option<Vec<Flag>> = variables.get("ups.status").map(|words| ups::flags(words, FLAGS, SILENT));
    if variables.get("ups.alarm").is_some_and(|alarm| !alarm.is_empty()) {
        let flags = flags.get_or_insert_default();
        if !flags.contains(&Flag::Alarm) {
            flags.push(Flag::Alarm);
        }
    }
    Ups {
        model: name("device.model").or_else(|| name("ups.model")),
        flags,
        battery_charge_milli: milli("battery.charge"),
        battery_charge_low_milli: milli("battery.charge.low"),
        battery_runtime_s: ups::seconds(milli("battery.runtime")),
        battery_runtime_low_s: ups::seconds(milli("battery.runtime.low")),
        battery_voltage_milli: milli("battery.voltage"),
        battery_temperature_milli: milli("battery.temperature"),
        load_milli: milli("ups.load"),
        power_milli: milli("ups.realpower").or_else(|| milli("output.realpower")),
        input_voltage_milli: milli("input.voltage"),
        input_frequency_milli: milli("input.frequency"),
        output_voltage_milli: milli("output.voltage"),
        output_current_milli: milli("output.current"),
        temperature_milli: milli("ups.temperature"),
        transfers: None,
        on_battery_s: None,
    }
}

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
    read.malformed.iter().for_each(|line| outcome.fault("malformed", &format!("line {line}: no variable")));
    if read.twice {
        outcome.fault("too_many", "a variable came twice with different values; the first counts");
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    const LINES: &str = "Init SSL without certificate database\nbattery.charge: 97\nbattery.charge.low: 10\nbattery.runtime: 1840\n\
        battery.voltage: 27.3\n\
        device.mfr: MAKER\ndevice.model: Pro 1500\ndevice.serial: AS00000\ninput.voltage: 101.0\noutput.voltage: 101.5\nups.load: 23\n\
            ups.realpower: 210\n\
        ups.serial: AS00000\nups.status: OL CHRG\nups.temperature: 29.4\nups.test.result: No test initiated\n";

    fn with(status: &str) -> Outcome {
        outcome(&LINES.replace("OL CHRG", status), None).unwrap()
    }

    #[test]
    fn a_healthy_ups_is_read_whole() {
        let read = parse(LINES).unwrap();
        assert_eq!((read.ups.model.as_deref(), read.malformed.len(), read.twice), (Some("Pro 1500"), 0, false));
        assert_eq!(read.ups.flags, Some(vec![Flag::Online, Flag::Charging]));
        assert_eq!((read.ups.battery_charge_milli, read.ups.battery_runtime_s, read.ups.input_frequency_milli), (Some(97_000), Some(1840), None));
        let outcome = outcome(LINES, None).unwrap();
        assert_eq!((outcome.status, outcome.readings.len(), outcome.reason.as_str()), (Status::Ok, 9, "on mains"));
        assert!(!serde_json::to_string(&outcome).unwrap().contains("AS00000"));
    }

    #[test]
    fn flags_decide() {
        for (status, expected) in [
            ("OL", Status::Ok),
            ("OL TRIM", Status::Ok),
            ("OL BOOST DISCHRG", Status::Ok),
            ("OL BYPASS", Status::Ok),
            ("OL HB COMM", Status::Ok),
            ("CAL OL", Status::Ok),
            ("OL NOVEL", Status::Ok),
            ("OB DISCHRG", Status::Bad),
            ("OB LB", Status::Bad),
            ("OL RB", Status::Bad),
            ("OL OVER", Status::Bad),
            ("FSD OL", Status::Bad),
            ("OFF", Status::Bad),
            ("ALARM OL", Status::Bad),
            ("OL OVERHEAT", Status::Bad),
            ("WAIT", Status::Unknown),
            ("NOCOMM", Status::Unknown),
            ("CHRG", Status::Unknown),
            ("", Status::Unknown),
        ] {
            let outcome = with(status);
            assert_eq!(outcome.status, expected, "{status}: {}", outcome.reason);
        }
        assert_eq!(with("OB LB RB").reason, "on battery; battery nearly empty; battery to be replaced");
        assert_eq!(outcome("battery.charge: 5\nups.load: 1\n", None).unwrap().status, Status::Unknown);
        assert_eq!(outcome("ups.alarm: Battery hot!\nups.status: OL\n", None).unwrap().status, Status::Bad);
    }

    #[test]
    fn the_protocols_list_is_read() {
        let list = "BEGIN LIST VAR su700\nVAR su700 battery.charge \"100\"\nVAR su700 ups.mfr \"A \\\"B\\\"\"\nVAR su700 ups.status \"OL\"\n\
                END LIST VAR su700\n";
        let outcome = outcome(list, None).unwrap();
        assert_eq!((outcome.status, outcome.readings.len(), outcome.faults.len()), (Status::Ok, 1, 0));
        assert!(!serde_json::to_string(&outcome).unwrap().contains("su700"));
    }

    #[test]
    fn what_the_tool_says_about_itself_is_unknown() {
        for (said, code) in [
            ("Error: Data stale", "timed_out"),
            ("Error: Driver not connected", "not_running"),
            ("Error: Unknown UPS", "not_found"),
            ("Error: Connection failure: Connection refused", "not_running"),
            ("Init SSL without certificate database\nError: Connection failure: Connection refused", "not_running"),
            ("ERR DATA-STALE", "timed_out"),
            ("ERR DRIVER-NOT-CONNECTED", "not_running"),
            ("ERR UNKNOWN-UPS", "not_found"),
            ("sh: 1: upsc: command not found", "not_found"),
        ] {
            let outcome = outcome(said, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
        }
    }

    #[test]
    fn another_format_is_refused_and_a_broken_line_costs_itself() {
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        for foreign in ["MemTotal: 5", "Init SSL without certificate database\n", "STATUS   : ONLINE\n", "a.b: c\n", "ups\n", "{\"ups.status\":\"OL\"}"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
        let outcome = outcome(&format!("{LINES}gar\0bage\nups.status: OB\n"), None).unwrap();
        assert_eq!(outcome.faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["malformed", "too_many"]);
        assert_eq!(outcome.status, Status::Ok);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "((VAR . )?(ups|battery|input|.)\\.(status|charge|runtime|voltage|.)(: | \")(OL|\
            OB|[0-9.]{0,30}|.*)\"?\n){0,6}.*") {
            if let Ok(outcome) = outcome(&input, None) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
