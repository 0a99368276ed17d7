//! Drives as Windows sees them: `Get-PhysicalDisk` and `Get-StorageReliabilityCounter`, as list (`| fl`), table or JSON
//! (Microsoft's classes `MSFT_PhysicalDisk` and `MSFT_StorageReliabilityCounter`).

use crate::powershell::{self, Row};
use crate::verdict::Verdict;
use crate::{Outcome, RECORDS_MAX, Unreadable, complaint, text};
use serde::Serialize;

/// Windows' verdict on a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing is wrong.
    Healthy,
    /// It still works, and something is wrong.
    Warning,
    /// It does not work as it should.
    Unhealthy,
    /// Windows does not know.
    Unknown,
}

/// One drive. The keys of other kinds of drive reports are there, and empty where Windows does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// Windows' number of it.
    pub device: Option<String>,
    /// The maker's name for it; a name that somebody gave to a drive stands here too.
    pub model: Option<String>,
    /// Its serial number, for the agent to hash; never shown.
    #[serde(skip)]
    pub serial: Option<String>,
    /// `ata`, `nvme`, `scsi`, or `unknown`.
    pub protocol: &'static str,
    /// Windows' verdict.
    pub health: Option<Health>,
    /// The same as other kinds of drive reports have it: false from a warning on.
    pub health_passed: Option<bool>,
    /// What Windows says of its work, such as `ok` or `predictive_failure`.
    pub operational: Vec<String>,
    /// In bytes.
    pub capacity_bytes: Option<i64>,
    /// In degrees Celsius.
    pub temperature_celsius: Option<i64>,
    /// Since it was made, in hours.
    pub power_on_hours: Option<i64>,
    /// Windows does not tell.
    pub reallocated: Option<i64>,
    /// Windows does not tell.
    pub pending: Option<i64>,
    /// Errors of reading and writing that were not mended.
    pub uncorrectable: Option<i64>,
    /// How much of its endurance is used, in percent.
    pub percentage_used: Option<i64>,
    /// Windows does not tell.
    pub failing_now: Vec<String>,
    /// Windows does not tell.
    pub failed_past: Vec<String>,
    /// Windows does not tell.
    pub exit_bits: Option<i64>,
}

/// Everything in the output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disks {
    /// In the tool's order, at most [`RECORDS_MAX`].
    pub disks: Vec<Disk>,
    /// Drives beyond.
    pub beyond: usize,
}

const SUCH_AS: &str = "FriendlyName : Samsung SSD 870";

/// Reads the output of one of the commands, or of both one after the other: counters find their drive by its number.
///
/// # Errors
/// When it is empty, is no JSON although it begins so, or tells of no drive.
pub fn parse(input: &str) -> Result<Disks, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let mut disks = Disks::default();
    for row in powershell::read(input)?.iter().filter(|row| tells_of_a_drive(row)) {
        let told = disk(row);
        let counters_alone = told.health.is_none() && told.model.is_none() && told.device.is_some();
        let known = disks.disks.iter().position(|disk| counters_alone && disk.device == told.device);
        if let Some(disk) = known.and_then(|at| disks.disks.get_mut(at)) {
            disk.add(told);
        } else if disks.disks.len() < RECORDS_MAX {
            disks.disks.push(told);
        } else {
            disks.beyond += 1;
        }
    }
    if disks.disks.is_empty() { Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS }) } else { Ok(disks) }
}

const COUNTERS: &[&str] = &["wear", "temperature", "poweronhours", "readerrorstotal", "readerrorsuncorrected", "writeerrorstotal", "writeerrorsuncorrected"];

fn tells_of_a_drive(row: &Row) -> bool {
    let has = |key: &&&str| row.contains_key(**key);
    let counters = COUNTERS.iter().filter(has).count();
    row.contains_key("healthstatus") || counters >= 2 || (counters == 1 && row.contains_key("deviceid"))
}

fn disk(row: &Row) -> Disk {
    let shown = |key: &str| row.get(key).map(|value| text::hardware(value)).filter(|value| !value.is_empty());
    let number = |key: &str| row.get(key).and_then(|value| text::grouped(value)).filter(|_| row.get(key).is_some_and(|value| !value.is_empty()));
    let health = row.get("healthstatus").and_then(|word| health(word));
    let read = number("readerrorsuncorrected");
    let written = number("writeerrorsuncorrected");
    Disk {
        device: shown("deviceid").or_else(|| shown("number")),
        model: shown("friendlyname").or_else(|| shown("model")),
        serial: shown("serialnumber"),
        protocol: row.get("bustype").map_or("unknown", |bus| protocol(bus)),
        health,
        health_passed: health.and_then(|health| match health {
            Health::Healthy => Some(true),
            Health::Warning | Health::Unhealthy => Some(false),
            Health::Unknown => None,
        }),
        operational: row.get("operationalstatus").map(|words| operational(words)).unwrap_or_default(),
        capacity_bytes: row.get("size").and_then(|size| bytes(size)),
        // Zero is what a drive without a sensor is told to have.
        temperature_celsius: number("temperature").filter(|celsius| (1..200).contains(celsius)),
        power_on_hours: number("poweronhours"),
        uncorrectable: read.map_or(written, |read| Some(read.saturating_add(written.unwrap_or(0)))),
        percentage_used: number("wear").filter(|percent| *percent <= 255),
        ..Disk::default()
    }
}

fn health(word: &str) -> Option<Health> {
    Some(match word.to_ascii_lowercase().as_str() {
        "0" | "healthy" | "正常" => Health::Healthy,
        "1" | "warning" | "警告" => Health::Warning,
        "2" | "unhealthy" | "異常" => Health::Unhealthy,
        "5" | "unknown" | "不明" => Health::Unknown,
        _ => return None,
    })
}

fn protocol(bus: &str) -> &'static str {
    match bus.to_ascii_lowercase().as_str() {
        "ata" | "3" | "sata" | "11" => "ata",
        "nvme" | "17" => "nvme",
        "scsi" | "1" | "sas" | "10" => "scsi",
        _ => "unknown",
    }
}

/// Numbers of states (`MSFT_PhysicalDisk`), the word for each, and whether it is bad.
const OPERATIONAL: &[(i64, &str, bool)] = &[
    (0, "unknown", false),
    (2, "ok", false),
    (3, "degraded", true),
    (4, "stressed", false),
    (5, "predictive_failure", true),
    (6, "error", true),
    (7, "non_recoverable_error", true),
    (8, "starting", false),
    (9, "stopping", false),
    (10, "stopped", true),
    (11, "in_service", false),
    (12, "no_contact", true),
    (13, "lost_communication", true),
    (14, "aborted", true),
    (15, "dormant", false),
    (53_250, "failed_media", true),
    (53_251, "split", true),
    (53_252, "stale_metadata", true),
    (53_253, "io_error", true),
    (53_254, "unrecognized_metadata", true),
    (53_284, "removing_from_pool", false),
    (53_285, "in_maintenance_mode", false),
    (53_286, "updating_firmware", false),
    (53_287, "device_hardware_error", true),
    (53_288, "not_usable", true),
    (53_289, "transient_error", true),
];

/// `OK`, `{Predictive Failure, IO Error}`, `2` or `5,53253`.
fn operational(words: &str) -> Vec<String> {
    let word = |word: &str| match text::whole(word).filter(|_| !word.is_empty()) {
        Some(number) => OPERATIONAL.iter().find(|row| row.0 == number).map_or_else(|| format!("state_{number}"), |row| row.1.to_owned()),
        None => text::plain(word).to_lowercase().replace([' ', '-'], "_").chars().take(64).collect(),
    };
    words.trim_matches(['{', '}']).split(',').map(str::trim).filter(|word| !word.is_empty()).take(16).map(word).collect()
}

/// `512110190592`, or `476.94 GB` with units of 1024.
fn bytes(size: &str) -> Option<i64> {
    let (number, unit) = size.split_once(' ').unwrap_or((size, ""));
    let one = match unit.trim() {
        "" => return text::grouped(number).filter(|_| !number.is_empty()),
        "B" | "Bytes" => 1.0,
        "KB" => 1024.0,
        "MB" => 1024.0 * 1024.0,
        "GB" => 1024.0 * 1024.0 * 1024.0,
        "TB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "PB" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    text::parts(&number.replace(',', "."), one)
}

impl Disk {
    /// Takes over what the counters tell.
    fn add(&mut self, counters: Disk) {
        self.temperature_celsius = self.temperature_celsius.or(counters.temperature_celsius);
        self.power_on_hours = self.power_on_hours.or(counters.power_on_hours);
        self.uncorrectable = self.uncorrectable.or(counters.uncorrectable);
        self.percentage_used = self.percentage_used.or(counters.percentage_used);
    }

    fn judge(&self, verdict: &mut Verdict) {
        let name = match (&self.device, &self.model) {
            (Some(device), Some(model)) => format!("{model} (disk {device})"),
            (Some(device), None) => format!("disk {device}"),
            (None, model) => model.clone().unwrap_or_else(|| "a disk".to_owned()),
        };
        let wrong: Vec<&str> = OPERATIONAL.iter().filter(|row| row.2 && self.operational.iter().any(|word| word == row.1)).map(|row| row.1).collect();
        match self.health {
            Some(Health::Warning) => verdict.bad(format!("{name}: warning")),
            Some(Health::Unhealthy) => verdict.bad(format!("{name}: unhealthy")),
            None | Some(Health::Unknown) if wrong.is_empty() => verdict.unknown(format!("{name}: health not told")),
            _ => {}
        }
        wrong.iter().for_each(|word| verdict.bad(format!("{name}: {}", word.replace('_', " "))));
        if let Some(errors) = self.uncorrectable.filter(|errors| *errors > 0) {
            verdict.note(format!("{name}: {errors} errors not corrected since it was made"));
        }
        if self.percentage_used.is_some_and(|percent| percent >= 100) {
            verdict.note(format!("{name}: its endurance is used up"));
        }
    }
}

const TOOL: &[&str] = &["get-physicaldisk", "get-storagereliabilitycounter", "get-disk"];
const COMPLAINTS: &[(&str, &str)] = &[
    ("access to a cim resource was not available", "permission_denied"),
    ("get-physicaldisk : アクセス", "permission_denied"),
    ("cim リソース", "permission_denied"),
];

/// How the output reads for a human or a script. Counters without Windows' verdict tell nothing of health; errors that
/// once happened are said, and their growth is the collector's to judge.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let disks = match parse(input) {
        Ok(disks) => disks,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    disks.disks.iter().for_each(|disk| disk.judge(&mut verdict));
    let mut outcome = verdict.outcome(format!("{} disks healthy", disks.disks.len()));
    for disk in &disks.disks {
        let labels = [("device", disk.device.as_deref().unwrap_or_default()), ("model", disk.model.as_deref().unwrap_or_default())];
        for (name, value, unit) in [
            ("drive_health_passed", disk.health_passed.map(i64::from), "boolean"),
            ("drive_capacity", disk.capacity_bytes, "bytes"),
            ("drive_temperature", disk.temperature_celsius, "celsius"),
            ("drive_power_on_time", disk.power_on_hours, "hours"),
            ("drive_uncorrectable", disk.uncorrectable, "count"),
            ("drive_endurance_used", disk.percentage_used, "percent"),
        ] {
            outcome.reading(name, &labels, value.map(text::float), unit);
        }
        outcome.record(disk);
    }
    if disks.beyond > 0 {
        outcome.fault("too_many", &format!("{} disks beyond {RECORDS_MAX}", disks.beyond));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests;
