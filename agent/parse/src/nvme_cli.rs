//! `nvme smart-log -o json` and `nvme list -o json` of nvme-cli 1.x and 2.x.
//!
//! Numbers stand as integers, floats or texts, by version; counters have 128 bits and are held at the end of the range.
//! Temperatures are in kelvin.

use crate::drive::{Drive, Protocol, Report, code_of, screened};
use crate::json::{count_at, text_at};
use crate::smartctl::NVME_UNIT_BYTES;
use crate::{Fault, Outcome, RECORDS_MAX, Status, Unreadable};
use serde_json::Value;

const SUCH_AS: &str = r#"{"critical_warning": 0, "temperature": 310, "avail_spare": 100, …} or {"Devices": […]}"#;

/// Fields that only a log has; two of them tell one from other JSON.
const LOG_FIELDS: [&str; 5] = ["critical_warning", "avail_spare", "spare_thresh", "percent_used", "media_errors"];

/// Beginnings of what the tool says instead of JSON when it cannot.
const TROUBLES: [&str; 7] = ["NVMe status", "nvme status", "Failed to", "failed to", "No such file", "Permission denied", "Operation not permitted"];

/// A tool's message is a few lines.
const MESSAGE_MAX: usize = 4096;

/// Kelvin at 0 °C, rounded as the standard's tools do.
const KELVIN: i64 = 273;
const KELVIN_MIN: i64 = 200;

/// What the tool printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nvme {
    /// The health of one drive.
    Log(Box<Report>),
    /// The drives there are, at most [`RECORDS_MAX`], and how many more.
    List(Vec<Drive>, usize),
    /// It could not look.
    Refused(Fault),
}

/// Reads what the tool printed.
///
/// # Errors
/// When it is empty, no JSON, or another tool's.
pub fn parse(input: &str) -> Result<Nvme, Unreadable> {
    if input.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    let root: Value = match serde_json::from_str(input) {
        Ok(root) => root,
        Err(error) => return message(input).map(Nvme::Refused).ok_or_else(|| error.into()),
    };
    if let Some(log) = log_of(&root) {
        return Ok(Nvme::Log(Box::new(log)));
    }
    if root.get("Devices").is_some_and(Value::is_array) {
        let mut list = List::default();
        list.walk(&root);
        return Ok(Nvme::List(list.drives, list.left_out));
    }
    let refusal = text_at(&root, "/error").or_else(|| root.as_object()?.values().find_map(|part| text_at(part, "/error")));
    let refusal = refusal.map(|words| screened(&words)).map(|detail| Fault { code: code_of(&detail), detail });
    refusal.map(Nvme::Refused).ok_or(Unreadable::Foreign { line: 1, such_as: SUCH_AS })
}

fn message(input: &str) -> Option<Fault> {
    let line = input.lines().map(str::trim).find(|line| !line.is_empty()).filter(|_| input.len() <= MESSAGE_MAX)?;
    let said = TROUBLES.iter().any(|words| line.contains(words)) && !line.starts_with(['{', '[']);
    said.then(|| Fault { code: code_of(line), detail: screened(line) })
}

/// The log, which may stand below the name of its drive.
fn log_of(root: &Value) -> Option<Report> {
    let is_log = |value: &Value| LOG_FIELDS.iter().filter(|field| value.get(field).is_some()).count() >= 2;
    if is_log(root) {
        return Some(log(root, None));
    }
    let (name, log_below) = root.as_object()?.iter().find(|(_, value)| is_log(value))?;
    Some(log(log_below, Some(name)))
}

fn log(root: &Value, name: Option<&String>) -> Report {
    let count = |field: &str| count_at(root, &format!("/{field}"));
    let bytes = |field: &str| count(field).map(|units| units.saturating_mul(NVME_UNIT_BYTES));
    let mut drive = Drive {
        device: name.map(|name| crate::text::plain(name)),
        protocol: Protocol::Nvme,
        critical_warning: count("critical_warning").or_else(|| count("critical_warning/value")),
        temperature_celsius: count("temperature").and_then(celsius),
        available_spare: count("avail_spare"),
        available_spare_threshold: count("spare_thresh"),
        percentage_used: count("percent_used").or_else(|| count("percentage_used")),
        power_on_hours: count("power_on_hours"),
        power_cycles: count("power_cycles"),
        unsafe_shutdowns: count("unsafe_shutdowns"),
        media_errors: count("media_errors"),
        error_log_count: count("num_err_log_entries"),
        written_bytes: bytes("data_units_written"),
        read_bytes: bytes("data_units_read"),
        ..Drive::default()
    };
    drive.finish();
    Report { drive, ..Report::default() }
}

/// 0 is a drive without a sensor, and what is far below freezing is no temperature of a running drive.
fn celsius(kelvin: i64) -> Option<i64> {
    (kelvin >= KELVIN_MIN).then(|| kelvin - KELVIN)
}

#[derive(Default)]
struct List {
    drives: Vec<Drive>,
    seen: std::collections::BTreeSet<(Option<String>, Option<String>)>,
    left_out: usize,
}

impl List {
    /// Every object with a model is a drive: a namespace in the flat list, a controller in the nested ones.
    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.walk(value)),
            Value::Object(fields) if fields.contains_key("ModelNumber") => self.push(value),
            Value::Object(fields) => fields.values().for_each(|value| self.walk(value)),
            _ => {}
        }
    }

    fn push(&mut self, value: &Value) {
        let serial = text_at(value, "/SerialNumber");
        let device = text_at(value, "/DevicePath").or_else(|| text_at(value, "/Controller"));
        // A drive reached over two paths stands there twice.
        if !self.seen.insert((serial.clone(), device.clone())) {
            return;
        }
        if self.drives.len() >= RECORDS_MAX {
            self.left_out += 1;
            return;
        }
        let spaces = value.get("Namespaces").and_then(Value::as_array);
        let below = spaces.and_then(|spaces| spaces.iter().filter_map(|space| count_at(space, "/PhysicalSize")).reduce(i64::saturating_add));
        let mut drive = Drive {
            device,
            protocol: Protocol::Nvme,
            controller: text_at(value, "/Transport"),
            model: text_at(value, "/ModelNumber"),
            firmware: text_at(value, "/Firmware"),
            serial,
            capacity_bytes: count_at(value, "/PhysicalSize").or(below),
            ..Drive::default()
        };
        drive.finish();
        self.drives.push(drive);
    }
}

/// The answer: the verdict of one drive, or of a list that nothing is known about health.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let (drives, left_out) = match parse(input)? {
        Nvme::Log(report) => return Ok(report.outcome()),
        Nvme::Refused(fault) => return Ok(Outcome::cannot(fault.code, &fault.detail)),
        Nvme::List(drives, left_out) => (drives, left_out),
    };
    let mut outcome = Outcome::new(Status::Unknown, format!("a list of {} drives; it says nothing about their health", drives.len()));
    for drive in &drives {
        outcome.record(drive);
        let device: Vec<(&'static str, &str)> = drive.device.iter().map(|device| ("device", device.as_str())).collect();
        outcome.reading("drive_capacity", &device, drive.capacity_bytes.map(crate::text::float), "bytes");
    }
    if left_out > 0 {
        outcome.fault("too_many", &format!("{left_out} more drives are left out"));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(value: &Value) -> Outcome {
        outcome(&value.to_string(), None).unwrap()
    }

    #[test]
    fn a_log_is_read_however_its_numbers_are_written() {
        let forms = [
            json!({"critical_warning": 0, "temperature": 310, "avail_spare": 100, "spare_thresh": 5, "percent_used": 2, "data_units_written": 3,
                "power_on_hours": 4974, "power_cycles": 64, "unsafe_shutdowns": 39, "media_errors": 0, "num_err_log_entries": 110}),
            json!({"critical_warning": "0", "temperature": "310", "avail_spare": "100", "spare_thresh": "5", "percent_used": "2", "data_units_written": "3",
                "power_on_hours": "4,974", "power_cycles": "64", "unsafe_shutdowns": "39", "media_errors": "0", "num_err_log_entries": "110"}),
            json!({"critical_warning": {"value": 0, "ro": 0}, "temperature": 310.0, "avail_spare": 100.0, "spare_thresh": 5.0, "percent_used": 2.0,
                "data_units_written": 3.0, "power_on_hours": 4974.0, "power_cycles": 64.0, "unsafe_shutdowns": 39.0,
                "media_errors": 0.0, "num_err_log_entries": 110.0}),
        ];
        for form in forms {
            let outcome = of(&form);
            let record = &outcome.records[0];
            assert_eq!((outcome.status, &record["health_passed"]), (Status::Ok, &json!(true)), "{}", outcome.reason);
            for (key, value) in [
                ("protocol", json!("nvme")),
                ("temperature_celsius", json!(37)),
                ("percentage_used", json!(2)),
                ("power_on_hours", json!(4974)),
                ("power_cycles", json!(64)),
                ("unsafe_shutdowns", json!(39)),
                ("written_bytes", json!(1_536_000)),
                ("read_bytes", json!(null)),
                ("error_log_count", json!(110)),
                ("critical_warning", json!(0)),
            ] {
                assert_eq!(record[key], value, "{key}");
            }
        }
        let below = of(&json!({"nvme0": {"critical_warning": 0, "avail_spare": 1}}));
        assert_eq!((below.status, &below.records[0]["device"]), (Status::Ok, &json!("nvme0")));
    }

    #[test]
    fn counters_of_128_bits_do_not_fail() {
        let text = r#"{"critical_warning":0,"avail_spare":100,"temperature":0,
            "data_units_read":340282366920938463463374607431768211455,"power_on_hours":"99999999999999999999"}"#;
        let outcome = outcome(text, None).unwrap();
        assert_eq!((outcome.status, &outcome.records[0]["read_bytes"]), (Status::Ok, &json!(i64::MAX)));
        assert_eq!((&outcome.records[0]["power_on_hours"], &outcome.records[0]["temperature_celsius"]), (&json!(i64::MAX), &json!(null)));
    }

    #[test]
    fn a_warning_or_too_little_spare_is_bad() {
        let log = |warning: Value, spare: i64| of(&json!({"critical_warning": warning, "avail_spare": spare, "spare_thresh": 10}));
        for (outcome, words) in [
            (log(json!(2), 100), "temperature"),
            (log(json!({"value": 8}), 100), "read-only"),
            (log(json!("4"), 100), "reliability"),
            (log(json!(0), 9), "below its threshold"),
        ] {
            assert!(outcome.status == Status::Bad && outcome.reason.contains(words), "{words}: {}", outcome.reason);
        }
        assert_eq!(log(json!(0), 10).status, Status::Ok);
        assert_eq!(log(json!(null), 100).status, Status::Unknown);
    }

    #[test]
    fn lists_of_every_shape_name_their_drives() {
        let flat = json!({"Devices": [{"DevicePath": "/dev/nvme0n1", "ModelNumber": "M", "SerialNumber": "SER12345", "Firmware": "F", "PhysicalSize": 500}]});
        let controller = json!({"Controller": "nvme0", "ModelNumber": "M", "SerialNumber": "SER12345", "Firmware": "F", "Transport": "pcie",
            "Namespaces": [{"PhysicalSize": 200}, {"PhysicalSize": 300}]});
        let nested = json!({"Devices": [{"HostNQN": "nqn.secret", "Subsystems": [{"Controllers": [controller.clone()], "Namespaces": []}]}]});
        let older = json!({"Devices": [{"Subsystem": "nvme-subsys0", "Controllers": [controller.clone(), controller]}]});
        for list in [flat, nested, older] {
            let outcome = of(&list);
            assert_eq!((outcome.status, outcome.records.len()), (Status::Unknown, 1));
            assert_eq!((&outcome.records[0]["model"], &outcome.records[0]["capacity_bytes"]), (&json!("M"), &json!(500)));
            let printed = serde_json::to_string(&outcome).unwrap();
            assert!(!printed.contains("SER12345") && !printed.contains("nqn"));
        }
        assert_eq!((of(&json!({"Devices": []})).status, of(&json!({"Devices": []})).records.len()), (Status::Unknown, 0));
        let many: Vec<Value> = (0..=RECORDS_MAX).map(|n| json!({"ModelNumber": "M", "SerialNumber": n.to_string()})).collect();
        assert_eq!(of(&json!({"Devices": many})).faults[0].code, "too_many");
    }

    #[test]
    fn the_tools_own_troubles_are_unknown_and_named() {
        for (text, code) in [
            ("/dev/nvme9: No such file or directory\n", "no_device"),
            ("Failed to open /dev/nvme0: Permission denied\nUsage: …\n", "permission_denied"),
            ("NVMe status: Invalid Field in Command: A reserved coded value(0x4002)\n", "unsupported"),
            (r#"{"error": "/dev/nvme0: Permission denied"}"#, "permission_denied"),
            (r#"{"status: -2": {"error": "No such file or directory"}}"#, "no_device"),
        ] {
            let outcome = outcome(text, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(parse(" \n"), Err(Unreadable::Empty));
        for foreign in ["{}", "[]", "7", r#"{"smartctl": {}}"#, r#"{"Devices": 7}"#] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
        for broken in ["smartctl 7.3", "{\"Devices\": ", "\0", &"[".repeat(100_000), &format!("No such file {}", "x".repeat(MESSAGE_MAX))] {
            assert!(matches!(parse(broken), Err(Unreadable::Json { .. })));
        }
    }

    proptest! {
        #[test]
        fn any_value_is_taken(field in "[a-z_/0-9]{1,12}", number: f64, big: u64, text in ".{0,30}", warning: i64) {
            let root = json!({"critical_warning": warning, "avail_spare": big, "spare_thresh": number,
                "temperature": text, "data_units_read": number, field: [text]});
            let outcome = outcome(&root.to_string(), None).unwrap();
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            let list = json!({"Devices": [{"ModelNumber": text, "Namespaces": [{"PhysicalSize": big}, number]}, number]});
            prop_assert_eq!(self::outcome(&list.to_string(), None).unwrap().status, Status::Unknown);
        }
    }
}
