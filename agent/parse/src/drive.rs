//! One drive, whoever told about it: the record that `smartctl`, `smartctl-text` and `nvme-cli` share.

mod answer;
mod faults;
mod verdict;

pub(crate) use answer::hosts_writes;
pub(crate) use faults::{code_of, screened};

use crate::Fault;
use serde::Serialize;

/// Rows of one attribute table at most; the standard has 30.
pub(crate) const ATTRIBUTES_MAX: usize = 256;
/// Self-tests of one drive at most; the logs hold 19 to 21, or a few hundred where the extended log has more pages.
pub(crate) const SELF_TESTS_MAX: usize = 512;

/// How the drive is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// ATA, also behind a bridge or a controller.
    Ata,
    /// SCSI and SAS.
    Scsi,
    /// NVMe.
    Nvme,
    /// The input does not say.
    #[default]
    Unknown,
}

/// One drive. What the input does not hold is `None`; the lists are empty then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Drive {
    /// What the system calls it, such as `/dev/sda`; never a name that holds the serial number.
    pub device: Option<String>,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Through what, in smartctl's words: `sat`, `megaraid,3`, `usbjmicron`, …
    pub controller: Option<String>,
    /// What the maker calls it.
    pub model: Option<String>,
    /// The family it is in, by smartctl's database.
    pub family: Option<String>,
    /// Its firmware.
    pub firmware: Option<String>,
    /// Its serial number; never printed.
    #[serde(skip)]
    pub serial: Option<String>,
    /// Size in bytes.
    pub capacity_bytes: Option<i64>,
    /// Turns per minute of a rotating drive.
    pub rotation_rpm: Option<i64>,
    /// Whether it is solid-state.
    pub ssd: Option<bool>,
    /// Whether it has health reporting at all.
    pub smart_available: Option<bool>,
    /// Whether that is switched on.
    pub smart_enabled: Option<bool>,
    /// It sleeps, and was not woken.
    pub standby: bool,
    /// The drive's own verdict.
    pub health_passed: Option<bool>,
    /// What a SCSI drive said instead of `OK`.
    pub health_words: Option<String>,
    /// Now, in degrees Celsius.
    pub temperature_celsius: Option<i64>,
    /// Since it was made.
    pub power_on_hours: Option<i64>,
    /// Since it was made.
    pub power_cycles: Option<i64>,
    /// Starts of the spindle of a SCSI drive.
    pub start_stop_cycles: Option<i64>,
    /// Sectors replaced by spare ones (attribute 5).
    pub reallocated: Option<i64>,
    /// Sectors that cannot be read at this moment (attribute 197, or the drive's list of pending defects).
    pub pending: Option<i64>,
    /// Sectors that a scan could not read (attribute 198); of a SCSI drive, errors that were not corrected.
    pub uncorrectable: Option<i64>,
    /// Errors told to the computer (attribute 187).
    pub reported_uncorrectable: Option<i64>,
    /// Errors on the cable (attribute 199).
    pub crc_errors: Option<i64>,
    /// Commands that took too long (attribute 188).
    pub command_timeout: Option<i64>,
    /// Endurance used, in percent; may exceed 100.
    pub percentage_used: Option<i64>,
    /// Spare blocks left, in percent (NVMe).
    pub available_spare: Option<i64>,
    /// Below this many percent of spare blocks the drive warns (NVMe).
    pub available_spare_threshold: Option<i64>,
    /// Errors of the media that could not be corrected (NVMe).
    pub media_errors: Option<i64>,
    /// Bits of the critical warning (NVMe).
    pub critical_warning: Option<i64>,
    /// Losses of power without notice (NVMe).
    pub unsafe_shutdowns: Option<i64>,
    /// Written by the computer, in bytes; only where the input tells the unit for certain.
    pub written_bytes: Option<i64>,
    /// Read by the computer, in bytes; only where the input tells the unit for certain.
    pub read_bytes: Option<i64>,
    /// Defects grown since it was made (SCSI).
    pub grown_defects: Option<i64>,
    /// Errors that had nothing to do with the media (SCSI).
    pub non_medium_errors: Option<i64>,
    /// Entries ever made in its error log.
    pub error_log_count: Option<i64>,
    /// Attributes at or below their threshold now, by name.
    pub failing_now: Vec<String>,
    /// Attributes that were at or below their threshold once, by name.
    pub failed_past: Vec<String>,
    /// smartctl's exit status: bits 0–2 are its own troubles, 3 the drive failing, 4 a pre-failure attribute failing now,
    /// 5 an attribute that failed in the past, 6 entries in the error log, 7 errors in the log of self-tests.
    pub exit_bits: Option<i64>,
    /// Self-tests, newest first.
    pub self_tests: Vec<SelfTest>,
    /// The attribute table (ATA).
    pub attributes: Vec<Attribute>,
}

/// One row of the attribute table of an ATA drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Attribute {
    /// Its number, 1 to 255.
    pub id: i64,
    /// Its name by smartctl's database.
    pub name: String,
    /// Normalised value; higher is better.
    pub value: Option<i64>,
    /// Lowest normalised value ever.
    pub worst: Option<i64>,
    /// Failing at or below this.
    pub threshold: Option<i64>,
    /// The 48 bits as one number; of many attributes they are several numbers packed together.
    pub raw: Option<i64>,
    /// The raw value as smartctl shows it.
    pub raw_text: String,
    /// The count in the raw value, where it is known how to read it: see [`Attribute::counted`].
    pub count: Option<i64>,
    /// Whether failing means loss soon (`true`) or only age (`false`).
    pub prefailure: Option<bool>,
    /// When it was at or below its threshold.
    pub when_failed: Option<WhenFailed>,
}

/// When an attribute was at or below its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenFailed {
    /// It is now.
    Now,
    /// It was once, and has recovered.
    Past,
}

/// One entry of the log of self-tests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SelfTest {
    /// Which test, in the tool's words.
    pub kind: String,
    /// How it ended, in the tool's words.
    pub status: String,
    /// Whether it passed; `None` when it was broken off or still runs.
    pub passed: Option<bool>,
    /// When, in hours of power-on; ATA and SCSI keep 16 bits of it.
    pub at_power_on_hour: Option<i64>,
    /// How long ago, in hours of power-on.
    pub age_hours: Option<i64>,
}

/// What one run of a tool told about a drive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The drive, as far as it is known.
    pub drive: Drive,
    /// When the tool looked, in milliseconds since 1970 UTC.
    pub observed_at_ms: Option<i64>,
    /// What it could not do.
    pub faults: Vec<Fault>,
}

/// Attributes with a count in them: number, and parts of the names they have. A number alone says little: of some
/// solid-state drives 197 and 198 are sectors read, and the name in smartctl's database tells.
const COUNTED: [(i64, &[&str]); 6] =
    [(5, &["realloc", "retired", "bad", "remap"]), (187, &["unc"]), (188, &["timeout"]), (197, &["pending"]), (198, &["unc"]), (199, &["crc"])];

/// What a nonsense raw value exceeds: no drive has more sectors to count.
const COUNT_MAX: i64 = u32::MAX as i64;

impl Attribute {
    /// The count in the raw value, for the attributes known to be one. Where smartctl shows several numbers the first
    /// is it. Seagate packs three counts of 16 bits into 188 (the lowest are the timeouts), and errors above
    /// operations into 1 and 7 (16 and 32 bits).
    fn counted(&self, seagate: bool) -> Option<i64> {
        let name = self.name.to_ascii_lowercase();
        if seagate && matches!(self.id, 1 | 7) {
            return self.raw.map(|raw| raw >> 32);
        }
        let (_, parts) = COUNTED.iter().find(|(id, _)| *id == self.id)?;
        if !name.contains("unknown") && !parts.iter().any(|part| name.contains(part)) {
            return None;
        }
        if self.id == 188 {
            let packed = |raw: i64| if seagate || raw > COUNT_MAX { raw & 0xffff } else { raw };
            return match self.raw_text.split(' ').next_back() {
                Some(last) if self.raw_text.contains(' ') => last.parse().ok(),
                _ => self.raw.map(packed),
            };
        }
        self.first_number().filter(|count| *count <= COUNT_MAX)
    }

    /// The first number of the raw value as it is shown; `12345` of `12345h+30m`.
    pub(crate) fn first_number(&self) -> Option<i64> {
        let end = self.raw_text.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.raw_text.len());
        self.raw_text.get(..end)?.parse().ok()
    }
}

impl Drive {
    /// Whether the drive turns, as far as is known: bridges and controllers leave out how fast, and sectors that cannot be read
    /// count unless it is known to have none.
    #[must_use]
    pub fn rotating(&self) -> bool {
        self.ssd != Some(true)
    }

    fn seagate(&self) -> bool {
        let says = |text: &Option<String>| text.as_ref().is_some_and(|text| text.to_ascii_lowercase().contains("seagate"));
        let numbered = |model: &str| model.strip_prefix("ST").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        says(&self.family) || says(&self.model) || self.model.as_deref().is_some_and(numbered)
    }

    /// Sets what follows from the rest: counts of attributes, who fails, ages of self-tests. Every reader ends with it.
    pub(crate) fn finish(&mut self) {
        let seagate = self.seagate();
        for attribute in &mut self.attributes {
            attribute.count = attribute.counted(seagate);
            match attribute.when_failed {
                Some(WhenFailed::Now) => self.failing_now.push(attribute.name.clone()),
                Some(WhenFailed::Past) => self.failed_past.push(attribute.name.clone()),
                None => {}
            }
        }
        let count = |id| self.attributes.iter().find(|attribute| attribute.id == id).and_then(|attribute| attribute.count);
        self.reallocated = count(5).or(self.reallocated);
        self.reported_uncorrectable = count(187).or(self.reported_uncorrectable);
        self.command_timeout = count(188).or(self.command_timeout);
        self.pending = count(197).or(self.pending);
        self.uncorrectable = count(198).or(self.uncorrectable);
        self.crc_errors = count(199).or(self.crc_errors);
        if self.protocol == Protocol::Nvme {
            // By the standard a drive of this kind has passed when it warns of nothing.
            self.health_passed = self.health_passed.or(self.critical_warning.map(|bits| bits == 0));
            self.ssd = Some(true);
        }
        for test in &mut self.self_tests {
            test.age_hours = age(self.protocol, self.power_on_hours, test.at_power_on_hour);
        }
        if self.device.as_ref().is_some_and(|device| faults::holds_serial(device, self.serial.as_deref())) {
            self.device = None;
        }
    }
}

fn age(protocol: Protocol, now: Option<i64>, then: Option<i64>) -> Option<i64> {
    let (now, then) = (now?, then?);
    match protocol {
        Protocol::Nvme => now.checked_sub(then).filter(|age| *age >= 0),
        // 16 bits: the log of a drive that ran 70000 hours says 4464.
        _ if (0..=0xffff).contains(&then) => Some((now - then).rem_euclid(0x1_0000)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
