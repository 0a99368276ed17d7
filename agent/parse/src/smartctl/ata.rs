//! What is said of ATA drives only: the attribute table, the logs, the device statistics of the standard.

use crate::Fault;
use crate::drive::{ATTRIBUTES_MAX, Attribute, Drive, SELF_TESTS_MAX, SelfTest, WhenFailed, hosts_writes};
use crate::json::{bool_at, count, count_at, list_at, text_at};
use serde_json::Value;

/// Adds it to the drive, and tells what of it could not be read.
pub(super) fn read(root: &Value, drive: &mut Drive) -> Vec<Fault> {
    let table = list_at(root, "/ata_smart_attributes/table");
    drive.attributes.extend(table.iter().filter_map(attribute).take(ATTRIBUTES_MAX));
    drive.error_log_count = count_at(root, "/ata_smart_error_log/extended/count").or_else(|| count_at(root, "/ata_smart_error_log/summary/count"));
    let extended = list_at(root, "/ata_smart_self_test_log/extended/table");
    let standard = list_at(root, "/ata_smart_self_test_log/standard/table");
    let tests = if extended.is_empty() { standard } else { extended };
    drive.self_tests.extend(tests.iter().filter(|test| test.is_object()).take(SELF_TESTS_MAX).map(self_test));
    drive.pending = count_at(root, "/ata_pending_defects_log/count");
    statistics(root, drive);
    hosts_writes(drive);
    let broken = table.iter().filter(|row| attribute(row).is_none()).count();
    let left_out = table.len() - broken - drive.attributes.len() + tests.len().saturating_sub(SELF_TESTS_MAX);
    let told = [("malformed", broken, "rows of the attribute table cannot be read"), ("too_many", left_out, "more rows are left out")];
    let told = told.into_iter().filter(|(_, count, _)| *count > 0);
    told.map(|(code, count, words)| Fault { code, detail: format!("{count} {words}") }).collect()
}

fn attribute(row: &Value) -> Option<Attribute> {
    Some(Attribute {
        id: count_at(row, "/id").filter(|id| (1..=255).contains(id))?,
        name: text_at(row, "/name").unwrap_or_default(),
        value: count_at(row, "/value"),
        worst: count_at(row, "/worst"),
        threshold: count_at(row, "/thresh"),
        raw: count_at(row, "/raw/value"),
        raw_text: text_at(row, "/raw/string").unwrap_or_default(),
        count: None,
        prefailure: bool_at(row, "/flags/prefailure"),
        when_failed: match text_at(row, "/when_failed").as_deref() {
            Some("now") => Some(WhenFailed::Now),
            Some("past") => Some(WhenFailed::Past),
            _ => None,
        },
    })
}

fn self_test(test: &Value) -> SelfTest {
    SelfTest {
        kind: text_at(test, "/type/string").unwrap_or_default(),
        status: text_at(test, "/status/string").unwrap_or_default(),
        // The high half of the byte says how it ended: 1 to 3 broken off, 15 still running.
        passed: match count_at(test, "/status/value").map(|status| status >> 4) {
            Some(0) => Some(true),
            Some(4..=8) => Some(false),
            _ => None,
        },
        at_power_on_hour: count_at(test, "/lifetime_hours"),
        age_hours: None,
    }
}

/// The device statistics, whose pages and units the ATA standard defines for every maker.
fn statistics(root: &Value, drive: &mut Drive) {
    let sector = count_at(root, "/logical_block_size");
    let bytes = |sectors: i64| sector.and_then(|sector| sectors.checked_mul(sector));
    for page in list_at(root, "/ata_device_statistics/pages").iter().take(256) {
        for entry in list_at(page, "/table").iter().take(256) {
            if bool_at(entry, "/flags/valid") == Some(false) {
                continue;
            }
            let (Some(page), Some(offset), Some(value)) = (count_at(page, "/number"), count_at(entry, "/offset"), entry.get("value").and_then(count)) else {
                continue;
            };
            match (page, offset) {
                (1, 0x18) => drive.written_bytes = drive.written_bytes.or_else(|| bytes(value)),
                (1, 0x28) => drive.read_bytes = drive.read_bytes.or_else(|| bytes(value)),
                (3, 0x20) => drive.reallocated = Some(value),
                (4, 0x08) => drive.reported_uncorrectable = Some(value),
                (7, 0x08) => drive.percentage_used = Some(value),
                _ => {}
            }
        }
    }
}
