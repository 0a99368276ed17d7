//! `smartctl --json` of smartmontools 7.0 and later, of one device: ATA, SCSI or NVMe, alone or behind a controller.

mod ata;
pub mod scan;
mod scsi;

pub(crate) use scsi::gigabytes;

use crate::drive::{Drive, Protocol, Report, SelfTest, code_of, screened};
use crate::json::{bool_at, count_at, int_at, list_at, text_at};
use crate::{Fault, Outcome, Status, Unreadable};
use serde_json::Value;

const SUCH_AS: &str = r#"{"json_format_version": [1, 0], "smartctl": {…}, "device": {…}}"#;

/// Bytes in one data unit of an NVMe drive, by the standard.
pub(crate) const NVME_UNIT_BYTES: i64 = 512_000;

/// smartctl's exit status: its command line was wrong.
const EXIT_COMMAND_LINE: i64 = 1;
/// smartctl's exit status: the device could not be opened or identified, or sleeps.
const EXIT_OPEN: i64 = 1 << 1;
/// smartctl's exit status: some command to the drive failed, or an answer had a wrong checksum.
const EXIT_COMMAND: i64 = 1 << 2;

/// Reads the JSON of one device. A list of devices is for [`scan::parse`].
///
/// # Errors
/// When it is empty, no JSON, or another tool's.
pub fn parse(input: &str) -> Result<Report, Unreadable> {
    Ok(read(&document(input)?))
}

/// The JSON, when it is smartctl's.
fn document(input: &str) -> Result<Value, Unreadable> {
    if input.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    let root: Value = serde_json::from_str(input)?;
    // Some hand on only the part about the device; then its name and its protocol stand for the tool.
    let ours = root.get("smartctl").is_some_and(Value::is_object) || text_at(&root, "/device/protocol").is_some();
    if ours { Ok(root) } else { Err(Unreadable::Foreign { line: 1, such_as: SUCH_AS }) }
}

fn read(root: &Value) -> Report {
    let mut drive = identity(root);
    drive.exit_bits = count_at(root, "/smartctl/exit_status").filter(|bits| *bits <= 0xff);
    health(root, &mut drive);
    let mut unread = Vec::new();
    match drive.protocol {
        Protocol::Ata => unread = ata::read(root, &mut drive),
        Protocol::Scsi => scsi::read(root, &mut drive),
        Protocol::Nvme => nvme(root, &mut drive),
        Protocol::Unknown => {}
    }
    let mut faults = faults(root, &mut drive);
    faults.append(&mut unread);
    drive.finish();
    let observed_at_ms = count_at(root, "/local_time/time_t").and_then(|seconds| seconds.checked_mul(1000));
    Report { drive, observed_at_ms, faults }
}

fn identity(root: &Value) -> Drive {
    let text = |path| text_at(root, path);
    let protocol = match text("/device/protocol").as_deref() {
        Some("ATA" | "ATA+SCSI") => Protocol::Ata,
        Some("SCSI") => Protocol::Scsi,
        Some("NVMe") => Protocol::Nvme,
        _ if root.get("nvme_smart_health_information_log").is_some() => Protocol::Nvme,
        _ if root.get("ata_smart_attributes").is_some() => Protocol::Ata,
        _ => Protocol::Unknown,
    };
    let rotation = count_at(root, "/rotation_rate");
    Drive {
        device: text("/device/name"),
        protocol,
        controller: text("/device/type"),
        model: text("/model_name").or_else(|| text("/scsi_model_name")).or_else(|| text("/scsi_product")).or_else(|| text("/product")),
        family: text("/model_family"),
        firmware: text("/firmware_version").or_else(|| text("/scsi_revision")).or_else(|| text("/revision")),
        serial: text("/serial_number"),
        capacity_bytes: count_at(root, "/user_capacity/bytes").or_else(|| count_at(root, "/nvme_total_capacity")),
        // 0 is how smartctl writes that nothing turns.
        rotation_rpm: rotation.filter(|rpm| *rpm > 0),
        ssd: rotation.map(|rpm| rpm == 0),
        // Versions of some vendors write one truth instead of two.
        smart_available: bool_at(root, "/smart_support/available").or_else(|| bool_at(root, "/smart_support")),
        smart_enabled: bool_at(root, "/smart_support/enabled"),
        ..Drive::default()
    }
}

fn health(root: &Value, drive: &mut Drive) {
    drive.health_passed = bool_at(root, "/smart_status/passed");
    drive.health_words = text_at(root, "/smart_status/scsi/ie_string");
    drive.temperature_celsius = int_at(root, "/temperature/current");
    drive.power_on_hours = count_at(root, "/power_on_time/hours");
    drive.power_cycles = count_at(root, "/power_cycle_count");
    drive.percentage_used = count_at(root, "/endurance_used/current_percent");
    let bytes = |name: &str| count_at(root, &format!("/{name}/units"))?.checked_mul(count_at(root, &format!("/{name}/bytes_per_unit"))?);
    drive.written_bytes = bytes("host_writes");
    drive.read_bytes = bytes("host_reads");
}

fn nvme(root: &Value, drive: &mut Drive) {
    let log = |name: &str| count_at(root, &format!("/nvme_smart_health_information_log/{name}"));
    let bytes = |name: &str| log(name).map(|units| units.saturating_mul(NVME_UNIT_BYTES));
    drive.temperature_celsius = drive.temperature_celsius.or_else(|| int_at(root, "/nvme_smart_health_information_log/temperature"));
    drive.critical_warning = log("critical_warning").or_else(|| count_at(root, "/smart_status/nvme/value"));
    drive.available_spare = log("available_spare");
    drive.available_spare_threshold = log("available_spare_threshold");
    drive.percentage_used = log("percentage_used").or(drive.percentage_used);
    drive.power_on_hours = drive.power_on_hours.or_else(|| log("power_on_hours"));
    drive.power_cycles = drive.power_cycles.or_else(|| log("power_cycles"));
    drive.unsafe_shutdowns = log("unsafe_shutdowns");
    drive.media_errors = log("media_errors");
    drive.error_log_count = log("num_err_log_entries");
    drive.written_bytes = bytes("data_units_written").or(drive.written_bytes);
    drive.read_bytes = bytes("data_units_read").or(drive.read_bytes);
    let tests = list_at(root, "/nvme_self_test_log/table").iter().filter(|test| test.is_object());
    drive.self_tests.extend(tests.take(crate::drive::SELF_TESTS_MAX).map(|test| SelfTest {
        kind: text_at(test, "/self_test_code/string").unwrap_or_default(),
        status: text_at(test, "/self_test_result/string").unwrap_or_default(),
        passed: match count_at(test, "/self_test_result/value") {
            Some(0) => Some(true),
            Some(5..=7) => Some(false),
            _ => None,
        },
        at_power_on_hour: count_at(test, "/power_on_hours"),
        age_hours: None,
    }));
}

/// What smartctl could not do, by its messages and its exit status.
fn faults(root: &Value, drive: &mut Drive) -> Vec<Fault> {
    let mut faults = Vec::new();
    let asleep = |mode: &str| mode.starts_with("STANDBY") || mode == "SLEEP";
    for message in list_at(root, "/smartctl/messages").iter().take(crate::RECORDS_MAX) {
        let Some(words) = text_at(message, "/string") else { continue };
        let words = screened(&words);
        let code = code_of(&words);
        if code == "standby" && words.starts_with("Device is in ") {
            drive.standby = drive.health_passed.is_none();
        } else if text_at(message, "/severity").as_deref() != Some("error") {
            continue;
        }
        faults.push(Fault { code, detail: words });
    }
    if faults.is_empty() && drive.health_passed.is_none() && text_at(root, "/power_mode/name").is_some_and(|mode| asleep(&mode)) {
        drive.standby = true;
        faults.push(Fault { code: "standby", detail: "the drive sleeps and was not woken".to_owned() });
    }
    let exit = |bit| drive.exit_bits.is_some_and(|bits| bits & bit != 0);
    let mut add = |code, words: &str| faults.push(Fault { code, detail: words.to_owned() });
    if drive.smart_available == Some(false) {
        add("unsupported", "the drive has no health reporting");
    } else if drive.smart_enabled == Some(false) {
        add("not_running", "health reporting is switched off in the drive");
    }
    if exit(EXIT_COMMAND) {
        add("io_error", "some command to the drive failed, or an answer had a wrong checksum (exit status bit 2)");
    }
    if faults.is_empty() && exit(EXIT_OPEN) {
        faults.push(Fault { code: "io_error", detail: "the drive could not be opened or identified (exit status bit 1)".to_owned() });
    } else if faults.is_empty() && exit(EXIT_COMMAND_LINE) {
        faults.push(Fault { code: "unsupported", detail: "smartctl did not understand its command line (exit status bit 0)".to_owned() });
    }
    faults
}

/// The answer about one device; of a list of devices, that nothing is known about their health.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let root = document(input)?;
    if root.get("devices").is_some() && root.get("device").is_none() {
        return Ok(scan::answer(&scan::read(&root)));
    }
    let report = read(&root);
    if report.drive.protocol == Protocol::Unknown && report.faults.is_empty() {
        return Ok(Outcome::new(Status::Unknown, "the input names no drive"));
    }
    Ok(report.outcome())
}

#[cfg(test)]
mod tests;
