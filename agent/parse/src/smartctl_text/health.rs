//! The sections about health: verdicts, the log of an NVMe drive, counters of a SCSI drive, the device statistics.

use super::{Reader, number};
use crate::drive::Protocol;
use crate::smartctl::{NVME_UNIT_BYTES, gigabytes};
use crate::text;

impl Reader {
    /// Takes a line about health; `false` when it is none.
    pub(super) fn health(&mut self, key: &str, value: &str) -> bool {
        let drive = &mut self.report.drive;
        match key {
            "SMART overall-health self-assessment test result" => {
                drive.health_passed = match value.trim_end_matches('!') {
                    "PASSED" => Some(true),
                    "FAILED" => Some(false),
                    _ => None,
                };
            }
            "SMART Error Log Version" | "SMART Extended Comprehensive Error Log Version" => self.speaks(Protocol::Ata),
            "SMART Health Status" => {
                drive.health_passed = Some(value == "OK");
                drive.health_words = (value != "OK").then(|| text::plain(value));
                self.speaks(Protocol::Scsi);
            }
            "Current Temperature" => self.sct_celsius = signed(value).filter(|celsius| *celsius != 0),
            "ATA Error Count" | "Device Error Count" => {
                drive.error_log_count = number::leading(value);
                self.speaks(Protocol::Ata);
            }
            _ => return self.nvme(key, value) || self.scsi(key, value),
        }
        true
    }

    fn nvme(&mut self, key: &str, value: &str) -> bool {
        let drive = &mut self.report.drive;
        let count = number::grouped(value);
        match key {
            "Critical Warning" => {
                drive.critical_warning = value.strip_prefix("0x").and_then(|hex| i64::from_str_radix(hex, 16).ok()).filter(|bits| *bits >= 0);
                self.speaks(Protocol::Nvme);
            }
            "Temperature" => drive.temperature_celsius = signed(value),
            "Available Spare" => drive.available_spare = count,
            "Available Spare Threshold" => drive.available_spare_threshold = count,
            "Percentage Used" => drive.percentage_used = count,
            "Data Units Read" => drive.read_bytes = count.map(|units| units.saturating_mul(NVME_UNIT_BYTES)),
            "Data Units Written" => drive.written_bytes = count.map(|units| units.saturating_mul(NVME_UNIT_BYTES)),
            "Power Cycles" => drive.power_cycles = count,
            "Power On Hours" => drive.power_on_hours = count,
            "Unsafe Shutdowns" => drive.unsafe_shutdowns = count,
            "Media and Data Integrity Errors" => drive.media_errors = count,
            "Error Information Log Entries" => drive.error_log_count = count,
            _ => return false,
        }
        true
    }

    fn scsi(&mut self, key: &str, value: &str) -> bool {
        let drive = &mut self.report.drive;
        let count = number::leading(value);
        match key {
            "Current Drive Temperature" => {
                drive.temperature_celsius = signed(value);
                self.speaks(Protocol::Scsi);
            }
            "Elements in grown defect list" => {
                drive.grown_defects = count;
                self.speaks(Protocol::Scsi);
            }
            "Percentage used endurance indicator" | "SS Media used endurance indicator" => drive.percentage_used = count,
            "Accumulated start-stop cycles" => drive.start_stop_cycles = count,
            "Non-medium error count" => drive.non_medium_errors = count,
            "Pending defect count" => drive.pending = count,
            "Accumulated power on time, hours" => {
                let hours = value.strip_prefix("minutes").and_then(|rest| number::leading(rest.trim_start()));
                drive.power_on_hours = hours.or(drive.power_on_hours);
            }
            "read" | "write" | "verify" => return self.counters(key, value),
            _ => return false,
        }
        true
    }

    /// A row of the error counter log: the sixth number is thousand millions of bytes, the seventh errors not corrected.
    fn counters(&mut self, way: &str, value: &str) -> bool {
        let columns: Vec<&str> = value.split_whitespace().collect();
        let [_, _, _, _, _, processed, uncorrected] = columns.as_slice() else { return false };
        let Some(uncorrected) = text::whole(uncorrected) else { return false };
        let drive = &mut self.report.drive;
        drive.uncorrectable = Some(drive.uncorrectable.unwrap_or(0).saturating_add(uncorrected));
        match way {
            "read" => drive.read_bytes = gigabytes(processed),
            "write" => drive.written_bytes = gigabytes(processed),
            _ => {}
        }
        self.speaks(Protocol::Scsi);
        true
    }

    /// A row of the device statistics: `0x01  0x018  6      3399647866  ---  Logical Sectors Written`. The value has a
    /// `~` or an `N` where it is normalised, and is `-` where the drive has none.
    pub(super) fn statistic(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (Some(page), Some(offset), Some(_), Some(value)) = (words.next(), words.next(), words.next(), words.next()) else { return };
        if !offset.starts_with("0x") {
            return;
        }
        let Some(value) = text::whole(value.trim_end_matches('~')) else { return };
        let bytes = self.sector.and_then(|sector| sector.checked_mul(value));
        let drive = &mut self.report.drive;
        match (page.trim_start_matches("0x").trim_start_matches('0'), offset) {
            ("1", "0x010") => self.statistics_hours = Some(value),
            ("1", "0x018") => drive.written_bytes = bytes,
            ("1", "0x028") => drive.read_bytes = bytes,
            ("3", "0x020") => drive.reallocated = Some(value),
            ("4", "0x008") => drive.reported_uncorrectable = Some(value),
            ("7", "0x008") => drive.percentage_used = Some(value),
            _ => {}
        }
    }
}

/// A temperature: `37 Celsius`, `-3 C`; `None` for `-` and `<not available>`.
fn signed(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(rest) => number::leading(rest).map(|celsius| -celsius),
        None => number::leading(text),
    }
}
