//! Health of drives, from what smartctl told the helper.

use super::{code_of, left_out, printed, runs};
use crate::probe::take::Entries;
use crate::probe::{Names, Sources, Take};
use mimamori_parse::drive::{self, Attribute, Protocol, WhenFailed};
use mimamori_parse::hardware::{Run, SMARTCTL_ASLEEP};
use mimamori_parse::{Status, smartctl};
use mimamori_shared::fields::{Drive, Readings};
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;

/// Rows of an attribute table that travel; the standard has 30.
const ATTRIBUTES_MAX: usize = 64;

pub(in crate::probe) fn read(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("drive", faults);
    let Some(report) = take.whole(sources.helper()) else { return };
    let mut entries = Entries::default();
    let mut asked = false;
    for run in runs(report, "smartctl") {
        asked = true;
        let Some(subject) = &run.subject else {
            // The list of drives: without it there are no runs of a drive. Its lowest bits say that it could not be made.
            if take.whole(printed(run)).is_some() && run.exit.is_some_and(|exit| exit & 0b111 != 0) {
                take.fail(FaultCode::IoError);
            }
            continue;
        };
        let name = name(subject, run, sources.names);
        if entries.admit(&name, &mut take) {
            let mut take = take.entry(&name);
            readings.drive.extend(one(name.clone(), run, sources.names, &mut take));
        }
    }
    if !asked {
        take.fail(FaultCode::NotFound);
    }
    left_out(report, "smartctl", &mut take);
}

/// The kernel's name, and behind a controller the place there: `bus-0:megaraid-3`.
fn name(subject: &str, run: &Run, names: &Names) -> Word {
    let device_type = run.args.iter().skip_while(|arg| *arg != "-d").nth(1);
    let place = device_type.and_then(|kind| kind.rsplit('+').next()).filter(|kind| kind.contains(','));
    let device = names.device(&subject.replace('/', "-"));
    let Some(place) = place else { return device };
    Word::hardware(&format!("{device}:{}", place.replace(',', "-"))).unwrap_or(device)
}

fn one(name: Word, run: &Run, names: &Names, take: &mut Take<'_>) -> Option<Drive> {
    if run.exit == Some(SMARTCTL_ASLEEP) {
        let (verdict, standby) = ("unknown".parse().ok(), Some(1));
        return Some(Drive { name, verdict, standby, ..Drive::default() });
    }
    let out = take.whole(printed(run))?;
    let report = match smartctl::parse(out) {
        Ok(report) => report,
        Err(_) => return take.whole(Err(FaultCode::Malformed)),
    };
    for fault in report.faults.iter().filter(|fault| fault.code != "standby") {
        take.fail(code_of(fault.code));
    }
    Some(section(name, &report.drive, names))
}

fn section(name: Word, drive: &drive::Drive, names: &Names) -> Drive {
    let verdict = match drive.verdict().0 {
        Status::Ok => "ok",
        Status::Bad => "bad",
        Status::Unknown => "unknown",
    };
    let protocol = match drive.protocol {
        Protocol::Ata => Some("ata"),
        Protocol::Scsi => Some("scsi"),
        Protocol::Nvme => Some("nvme"),
        Protocol::Unknown => None,
    };
    let count = |list: &[String]| i64::try_from(list.len()).ok();
    // A drive without a table of attributes has none that fail.
    let has_attributes = !drive.attributes.is_empty();
    // Some bridges write the serial number there too.
    let serial = drive.serial.as_deref().map(str::trim).filter(|serial| serial.len() >= 4);
    // One that was broken off or still runs says nothing yet.
    let self_test = drive.self_tests.iter().find(|test| test.passed.is_some());
    Drive {
        name,
        model: nameless(drive.model.as_deref(), serial).and_then(Word::hardware),
        protocol: protocol.and_then(|protocol| protocol.parse().ok()),
        serial: drive.serial.as_deref().map(|serial| names.serial(serial)),
        serial_number: drive.serial.as_deref().and_then(Word::hardware),
        firmware: nameless(drive.firmware.as_deref(), serial).and_then(Word::hardware),
        capacity_bytes: drive.capacity_bytes,
        verdict: verdict.parse().ok(),
        health_passed: drive.health_passed.map(i64::from),
        temperature_celsius: drive.temperature_celsius,
        power_on_hours: drive.power_on_hours,
        power_cycles: drive.power_cycles,
        reallocated: drive.reallocated,
        pending: drive.pending,
        uncorrectable: drive.uncorrectable,
        crc_errors: drive.crc_errors,
        command_timeouts: drive.command_timeout,
        percentage_used: drive.percentage_used,
        available_spare: drive.available_spare,
        available_spare_threshold: drive.available_spare_threshold,
        media_errors: drive.media_errors,
        critical_warning: drive.critical_warning,
        grown_defects: drive.grown_defects,
        failing_now: has_attributes.then(|| count(&drive.failing_now)).flatten(),
        failed_past: has_attributes.then(|| count(&drive.failed_past)).flatten(),
        exit_bits: drive.exit_bits,
        self_test_passed: self_test.and_then(|test| test.passed).map(i64::from),
        self_test_age_hours: self_test.and_then(|test| test.age_hours),
        standby: Some(i64::from(drive.standby)),
        written_bytes: drive.written_bytes,
        unsafe_shutdowns: drive.unsafe_shutdowns,
        error_log_entries: drive.error_log_count,
        attributes: has_attributes.then(|| drive.attributes.iter().take(ATTRIBUTES_MAX).map(row).collect()),
    }
}

/// Number, normalised value, worst, threshold, raw, and bits: 1 pre-failure, 2 failing now, 4 failed in the past. What the
/// drive does not say is -1.
fn row(attribute: &Attribute) -> [i64; 6] {
    let told = |value: Option<i64>| value.unwrap_or(-1);
    let failed = match attribute.when_failed {
        Some(WhenFailed::Now) => 2,
        Some(WhenFailed::Past) => 4,
        None => 0,
    };
    let bits = i64::from(attribute.prefailure == Some(true)) | failed;
    [attribute.id, told(attribute.value), told(attribute.worst), told(attribute.threshold), told(attribute.raw), bits]
}

/// A text of the drive's in which its serial number does not stand.
fn nameless<'a>(text: Option<&'a str>, serial: Option<&str>) -> Option<&'a str> {
    text.filter(|text| serial.is_none_or(|serial| !text.contains(serial)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW_MS, machine, run};
    use crate::probe::tests::taken;
    use mimamori_shared::consent::{ConsentTerms, ScopeTerms};
    use mimamori_shared::fields::{Readings, Scope};
    use serde_json::{Value, json};

    const ARGS: [&str; 6] = ["--json=c", "-n", "standby,3", "-x", "-d", "sat"];

    fn smart(passed: bool) -> String {
        json!({
            "json_format_version": [1, 0], "smartctl": {"version": [7, 3], "exit_status": 0}, "device": {"name": "/dev/sda", "type": "sat", "protocol": "ATA"},
            "model_name": "Example Disk 1000", "serial_number": "YAMADA-TARO-1", "firmware_version": "1.0", "smart_status": {"passed": passed},
            "temperature": {"current": 31}, "power_on_time": {"hours": 4000},
            "ata_smart_attributes": {"table": [{"id": 5, "name": "Reallocated_Sector_Ct", "value": 100, "worst": 100, "thresh": 10, "when_failed": "",
              "flags": {"prefailure": true}, "raw": {"value": 3, "string": "3"}}]}
        })
        .to_string()
    }

    fn taken_of(runs: Vec<Value>) -> (Value, Vec<String>) {
        let (readings, faults) = taken(&machine(NOW_MS, |report| report["runs"] = json!(runs), &[]), "drive");
        (serde_json::from_str(&readings).unwrap(), faults)
    }

    #[test]
    fn a_drive_is_told_with_its_verdict_and_with_its_serial_number_only_where_the_consent_names_it() {
        let scan = run("smartctl", None, &["--json=c", "--scan-open"], "done", "{}");
        let (readings, faults) = taken_of(vec![scan, run("smartctl", Some("sda"), &ARGS, "done", &smart(true))]);
        let drive = &readings["drive"][0];
        let told = |field: &str| drive[field].clone();
        assert_eq!((told("name"), told("verdict"), told("health_passed"), told("power_on_hours")), (json!("sda"), json!("ok"), json!(1), json!(4000)));
        assert_eq!((told("model"), told("reallocated"), told("attributes")), (json!("ExampleDisk1000"), json!(3), json!([[5, 100, 100, 10, 3, 1]])));
        assert!(told("serial").as_str().unwrap().starts_with("sn-") && told("serial_number") == "YAMADA-TARO-1", "{readings}");
        let left = |include: Vec<u16>| {
            let scope = ScopeTerms { every_s: 60, except: Vec::new(), include };
            let terms = ConsentTerms { scopes: [(Scope::Hardware, scope)].into(), ..crate::core::rig::terms() };
            let mut readings: Readings = serde_json::from_value(readings.clone()).unwrap();
            readings.keep(&|field| terms.allows(field));
            serde_json::to_string(&readings).unwrap()
        };
        assert!(!left(Vec::new()).contains("YAMADA") && left(Vec::new()).contains("sn-"), "{}", left(Vec::new()));
        assert!(left(vec![271]).contains("YAMADA-TARO-1"));
        assert_eq!(faults, [] as [&str; 0]);
        let (readings, _) = taken_of(vec![run("smartctl", Some("sda"), &ARGS, "done", &smart(false))]);
        assert_eq!(readings["drive"][0]["verdict"], "bad");
    }

    #[test]
    fn a_bridge_that_writes_the_serial_number_elsewhere_tells_it_nowhere() {
        let bridge =
            smart(true).replace("Example Disk 1000", "BRIDGE YAMADA-TARO-1").replace(r#""firmware_version":"1.0""#, r#""firmware_version":"YAMADA-TARO-1""#);
        assert_ne!(bridge, smart(true));
        let (readings, _) = taken_of(vec![run("smartctl", Some("sda"), &ARGS, "done", &bridge)]);
        let drive = &readings["drive"][0];
        assert_eq!((&drive["model"], &drive["firmware"], &drive["serial_number"]), (&Value::Null, &Value::Null, &json!("YAMADA-TARO-1")), "{readings}");
    }

    #[test]
    fn drives_behind_a_controller_have_names_of_their_own() {
        let behind = |place: &str| run("smartctl", Some("bus/0"), &["-x", "-d", place], "done", &smart(true));
        let (readings, faults) = taken_of(vec![behind("sat+megaraid,0"), behind("sat+megaraid,1"), behind("sat+megaraid,1")]);
        assert_eq!((&readings["drive"][0]["name"], &readings["drive"][1]["name"]), (&json!("bus-0:megaraid-0"), &json!("bus-0:megaraid-1")));
        assert_eq!(faults, ["drive bus-0:megaraid-1 too_many"]);
    }

    #[test]
    fn a_sleeping_drive_is_no_bad_one_and_what_fails_is_a_fault_of_its_own() {
        let mut asleep = run("smartctl", Some("sdb"), &ARGS, "done", "{}");
        asleep["exit"] = json!(3);
        let (readings, faults) =
            taken_of(vec![asleep, run("smartctl", Some("sdc"), &ARGS, "timed_out", ""), run("smartctl", Some("sdd"), &ARGS, "done", "no json")]);
        assert_eq!(readings, json!({"drive": [{"name": "sdb", "verdict": "unknown", "standby": 1}]}));
        assert_eq!(faults, ["drive sdd malformed", "drive sdc timed_out"]);
    }

    #[test]
    fn without_the_tool_or_the_helper_nothing_is_known() {
        let (readings, faults) = taken_of(vec![run("smartctl", None, &["--scan-open"], "missing", "")]);
        assert_eq!((readings, faults), (json!({}), vec!["drive not_found".to_owned()]));
        assert_eq!(taken_of(vec![]).1, ["drive not_found"]);
        assert_eq!(taken(&crate::probe::tests::recorded(&[]), "drive").1, ["drive not_found"]);
    }
}
