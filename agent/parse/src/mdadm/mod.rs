//! `mdadm --detail`, `--examine` and their one-line forms (mdadm 2.6 to 4.4): arrays, members' superblocks, and the
//! containers of firmware RAID (IMSM, DDF).

mod judge;
mod read;
#[cfg(test)]
mod tests;

use crate::verdict::Verdict;
use crate::{Fault, Outcome, Unreadable, text, trouble};
pub use read::parse;
use serde::Serialize;

/// All sections of one output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mdadm {
    /// In the output's order.
    pub reports: Vec<Report>,
    /// What the tool could not look at, and what could not be read.
    pub faults: Vec<Fault>,
}

/// What a section is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// An array: `--detail`.
    #[default]
    Array,
    /// A member's own superblock: `--examine`.
    Superblock,
    /// A line of `--scan` or `--brief`, which says no state.
    Line,
}

/// One section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was asked about: `/dev/md0`, `/dev/sda1`.
    pub device: String,
    /// What the section is about.
    pub about: About,
    /// `1.2`, `0.90.00`, `imsm`, `ddf`, …
    pub metadata: Option<String>,
    /// `raid1`, `container`, …
    pub level: Option<String>,
    /// The words of the line `State`.
    pub state: Option<String>,
    /// Usable size of the array in bytes.
    pub size_bytes: Option<i64>,
    /// Slots of the array.
    pub raid_devices: Option<i64>,
    /// Devices in the array, spare and failed ones included.
    pub total_devices: Option<i64>,
    /// Devices in step.
    pub active_devices: Option<i64>,
    /// Devices that have not failed.
    pub working_devices: Option<i64>,
    /// Devices that have failed.
    pub failed_devices: Option<i64>,
    /// Spare devices, also those being filled.
    pub spare_devices: Option<i64>,
    /// What is being done to the array.
    pub progress: Option<Progress>,
    /// One letter per slot as a superblock knows them: `A` active, `R` replacing, `.` missing.
    pub array_state: Option<String>,
    /// The device's place: `Active device 0`, `spare`.
    pub role: Option<String>,
    /// When the superblock was written, in the machine's own zone, as the tool prints it.
    pub updated: Option<String>,
    /// Whether the superblock's checksum holds.
    pub checksum_holds: Option<bool>,
    /// Whether the superblock lists bad blocks.
    pub bad_blocks: bool,
    /// The device is being filled.
    pub recovering: bool,
    /// The volumes of a container.
    pub volumes: Vec<Volume>,
    /// The rows of the table of devices.
    pub members: Vec<Member>,
}

/// A running operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// `rebuild`, `resync`, `check`, `reshape`.
    pub operation: String,
    /// Done, in percent.
    pub done_percent: Option<i64>,
}

/// A volume in a container of firmware RAID.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Which one, by its number from 0: its name is the facility's.
    pub number: usize,
    /// `normal`, `degraded`; `Optimal, Consistent`.
    pub state: Option<String>,
    /// One letter per slot: `U` up, `_` missing.
    pub slots: Option<String>,
    /// `idle`, `rebuild`, …
    pub migration: Option<String>,
}

/// A device in a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its path, when the system knows the device.
    pub device: Option<String>,
    /// Its slot; spare and failed devices have none.
    pub slot: Option<i64>,
    /// `active sync`, `faulty`, `removed`, `spare rebuilding`; `active/Online`.
    pub state: String,
}

/// How the output reads: bad when an array lacks members, is stopped or failed, or when a superblock says so.
///
/// # Errors
/// As [`parse`], unless it is a complaint of the shell's.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let mdadm = match parse(input) {
        Ok(mdadm) => mdadm,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut verdict = Verdict::default();
    mdadm.reports.iter().for_each(|report| judge::report(report, &mut verdict));
    if let (true, Some(fault)) = (mdadm.reports.is_empty(), mdadm.faults.first()) {
        verdict.unknown(fault.detail.clone());
    }
    let mut outcome = verdict.outcome_with(format!("{} looked at, nothing wrong", mdadm.reports.len()), mdadm.faults);
    for report in &mdadm.reports {
        let of: &[(&'static str, &str)] = &[("device", &report.device)];
        outcome.reading("raid_size", of, report.size_bytes.map(text::float), "bytes");
        for (name, count) in [
            ("raid_members", report.raid_devices),
            ("raid_members_up", report.active_devices),
            ("raid_members_failed", report.failed_devices),
            ("raid_members_spare", report.spare_devices),
        ] {
            outcome.reading(name, of, count.map(text::float), "count");
        }
        if let Some(progress) = &report.progress {
            let of = &[("device", report.device.as_str()), ("operation", progress.operation.as_str())];
            outcome.reading("raid_progress", of, progress.done_percent.map(text::float), "percent");
        }
        outcome.record(report);
    }
    Ok(outcome)
}
