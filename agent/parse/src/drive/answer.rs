//! What `mimamori-agent parse` says about a drive.

use super::{Drive, Report};
use crate::{Outcome, Status, text};

impl Report {
    /// The drive as an answer: its verdict, its record, every number in it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let drive = &self.drive;
        let (status, mut reason) = drive.verdict();
        if let (Status::Unknown, Some(fault)) = (status, self.faults.first()) {
            reason.clone_from(&fault.detail);
        }
        let mut outcome = Outcome::new(status, reason);
        outcome.observed_at = self.observed_at_ms;
        outcome.faults.clone_from(&self.faults);
        outcome.record(drive);
        drive.readings(&mut outcome);
        outcome
    }
}

impl Drive {
    fn readings(&self, outcome: &mut Outcome) {
        let device: Vec<(&'static str, &str)> = self.device.iter().map(|device| ("device", device.as_str())).collect();
        for (name, value, unit) in [
            ("drive_capacity", self.capacity_bytes, "bytes"),
            ("drive_rotation", self.rotation_rpm, "rpm"),
            ("drive_health_passed", self.health_passed.map(i64::from), "boolean"),
            ("drive_temperature", self.temperature_celsius, "celsius"),
            ("drive_power_on_time", self.power_on_hours, "hours"),
            ("drive_power_cycles", self.power_cycles, "count"),
            ("drive_start_stop_cycles", self.start_stop_cycles, "count"),
            ("drive_reallocated", self.reallocated, "count"),
            ("drive_pending", self.pending, "count"),
            ("drive_uncorrectable", self.uncorrectable, "count"),
            ("drive_reported_uncorrectable", self.reported_uncorrectable, "count"),
            ("drive_crc_errors", self.crc_errors, "count"),
            ("drive_command_timeouts", self.command_timeout, "count"),
            ("drive_endurance_used", self.percentage_used, "percent"),
            ("drive_available_spare", self.available_spare, "percent"),
            ("drive_available_spare_threshold", self.available_spare_threshold, "percent"),
            ("drive_media_errors", self.media_errors, "count"),
            ("drive_critical_warning", self.critical_warning, "bits"),
            ("drive_unsafe_shutdowns", self.unsafe_shutdowns, "count"),
            ("drive_written", self.written_bytes, "bytes"),
            ("drive_read", self.read_bytes, "bytes"),
            ("drive_grown_defects", self.grown_defects, "count"),
            ("drive_non_medium_errors", self.non_medium_errors, "count"),
            ("drive_error_log", self.error_log_count, "count"),
            ("smartctl_exit", self.exit_bits, "bits"),
        ] {
            outcome.reading(name, &device, value.map(text::float), unit);
        }
        for attribute in &self.attributes {
            let id = attribute.id.to_string();
            let labels = [("id", id.as_str()), ("attribute", attribute.name.as_str())];
            let labels: Vec<(&'static str, &str)> = device.iter().copied().chain(labels).collect();
            for (name, value) in [
                ("smart_attribute_value", attribute.value),
                ("smart_attribute_worst", attribute.worst),
                ("smart_attribute_threshold", attribute.threshold),
                ("smart_attribute_raw", attribute.raw),
            ] {
                outcome.reading(name, &labels, value.map(text::float), "number");
            }
        }
        for (number, test) in self.self_tests.iter().enumerate() {
            let number = number.to_string();
            let labels = [("test", number.as_str()), ("kind", test.kind.as_str())];
            let labels: Vec<(&'static str, &str)> = device.iter().copied().chain(labels).collect();
            outcome.reading("drive_self_test_passed", &labels, test.passed.map(|passed| text::float(i64::from(passed))), "boolean");
            outcome.reading("drive_self_test_age", &labels, test.age_hours.map(text::float), "hours");
        }
    }
}

/// Bytes written and read by the computer, from attributes whose name tells the unit, such as `Host_Writes_32MiB`.
pub(crate) fn hosts_writes(drive: &mut Drive) {
    for attribute in &drive.attributes {
        let Some((whose, rest)) = attribute.name.split_once('_') else { continue };
        let Some((what, unit)) = rest.split_once('_') else { continue };
        let bytes = match unit {
            "32MiB" => 32 << 20,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => continue,
        };
        let total = attribute.raw.and_then(|raw| raw.checked_mul(bytes));
        match (whose, what) {
            ("Host" | "Lifetime" | "Total", "Writes") => drive.written_bytes = drive.written_bytes.or(total),
            ("Host" | "Lifetime" | "Total", "Reads") => drive.read_bytes = drive.read_bytes.or(total),
            _ => {}
        }
    }
}
