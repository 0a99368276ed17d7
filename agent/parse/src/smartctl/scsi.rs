//! What is said of SCSI and SAS drives only.

use crate::drive::{Drive, SelfTest};
use crate::json::{bool_at, count_at, text_at};
use crate::text;
use serde_json::Value;

/// Entries of the log of self-tests, by the standard.
const TESTS: usize = 20;

/// Adds it to the drive.
pub(super) fn read(root: &Value, drive: &mut Drive) {
    let tell = "/scsi_percentage_used_endurance_indicator";
    drive.percentage_used = count_at(root, tell).or(drive.percentage_used);
    drive.grown_defects = count_at(root, "/scsi_grown_defect_list");
    drive.pending = count_at(root, "/scsi_pending_defects/count");
    // The keys of this counter were written as in the text before 7.3.
    drive.start_stop_cycles = ["accumulated_start_stop_cycles", "Accumulated start-stop cycles"]
        .iter()
        .find_map(|key| count_at(root, &format!("/scsi_start_stop_cycle_counter/{key}")));
    drive.uncorrectable = ["read", "write", "verify"]
        .iter()
        .filter_map(|way| count_at(root, &format!("/scsi_error_counter_log/{way}/total_uncorrected_errors")))
        .reduce(i64::saturating_add);
    drive.read_bytes = processed(root, "read").or(drive.read_bytes);
    drive.written_bytes = processed(root, "write").or(drive.written_bytes);
    drive.self_tests.extend((0..TESTS).map_while(|number| root.get(format!("scsi_self_test_{number}"))).map(self_test));
}

/// Bytes processed: smartctl writes thousand millions of them, with three decimals, as a text.
fn processed(root: &Value, way: &str) -> Option<i64> {
    let gigabytes = text_at(root, &format!("/scsi_error_counter_log/{way}/gigabytes_processed"))?;
    self::gigabytes(&gigabytes)
}

/// Thousand millions of bytes with decimals, as bytes. Some locales write a comma.
pub(crate) fn gigabytes(gigabytes: &str) -> Option<i64> {
    text::milli(&gigabytes.replace(',', ".")).filter(|milli| *milli >= 0)?.checked_mul(1_000_000)
}

fn self_test(test: &Value) -> SelfTest {
    SelfTest {
        kind: text_at(test, "/code/string").unwrap_or_default(),
        status: text_at(test, "/result/string").unwrap_or_default(),
        passed: match count_at(test, "/result/value") {
            Some(0) if bool_at(test, "/self_test_in_progress") != Some(true) => Some(true),
            Some(4..=7) => Some(false),
            _ => None,
        },
        at_power_on_hour: count_at(test, "/power_on_time/hours"),
        age_hours: None,
    }
}
