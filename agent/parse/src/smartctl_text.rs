//! The text of `smartctl` 5.40 and later about one device: `-i`, `-H`, `-A`, `-a`, `-x`, of ATA, SCSI and NVMe drives.
//!
//! The same record as from its JSON. Numbers may be grouped as any locale does.

mod health;
mod identity;
mod number;
mod rows;

use crate::drive::{ATTRIBUTES_MAX, Protocol, Report, SELF_TESTS_MAX, code_of, hosts_writes, screened};
use crate::smartctl::scan;
use crate::{Fault, Outcome, RECORDS_MAX, Unreadable};
use rows::Tests;

const SUCH_AS: &str = "smartctl 7.3 2022-02-28 r5338 [x86_64-linux]";

/// Words that only smartctl writes; one of them tells its text from another's.
const OURS: [&str; 13] = [
    "=== START OF ",
    "SMART overall-health self-assessment test result:",
    "SMART Health Status:",
    "SMART support is:",
    "ID# ATTRIBUTE_NAME",
    "SMART/Health Information (NVMe",
    "Smartctl open device:",
    "Vendor Specific SMART Attributes with Thresholds:",
    "Elements in grown defect list:",
    "Smartctl: ",
    "Device supports SMART and is",
    "Critical Warning:",
    "Copyright (C) 2002-",
];

/// Parts of lines by which smartctl says that it could not do something.
const TROUBLES: [&str; 23] = [
    "Smartctl open device:",
    "Unable to detect device type",
    "Unknown USB bridge",
    "please try adding '-d",
    "Device Read Identity Failed",
    "A mandatory SMART command failed",
    "SMART Status, Attributes and Thresholds cannot be read",
    "Standard Inquiry (",
    "Short INQUIRY response",
    "Probable ATA device behind a SAT layer",
    "device is NOT READY",
    "device becoming ready",
    "NO MEDIUM present",
    "=======> ",
    "Smartctl: ",
    "SMART Disabled.",
    " failed: ",
    " Failed: ",
    " failed [",
    " Failed [",
    "SMART Status not supported",
    "Neither ATA",
    "invalid SMART checksum",
];

/// What the lines that follow belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Other,
    Attributes,
    Tests(Tests),
}

/// What has been read so far.
#[derive(Debug)]
struct Reader {
    report: Report,
    section: Section,
    /// Bytes in a logical sector.
    sector: Option<i64>,
    vendor: Option<String>,
    /// The current temperature from the drive's own status log, for drives without such an attribute.
    sct_celsius: Option<i64>,
    /// Hours from the device statistics, for drives without such an attribute.
    statistics_hours: Option<i64>,
    ours: bool,
    /// Lines that told a trouble: what is beyond [`RECORDS_MAX`] of them is not even looked at.
    troubles: usize,
    left_out: usize,
}

/// Reads the text.
///
/// # Errors
/// When it is empty or another tool's.
pub fn parse(input: &str) -> Result<Report, Unreadable> {
    let mut first = None;
    let mut reader = Reader::new();
    for (number, line) in input.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        first.get_or_insert(number + 1);
        reader.line(number + 1, line);
    }
    match first {
        None => Err(Unreadable::Empty),
        Some(line) if !reader.ours => Err(Unreadable::Foreign { line, such_as: SUCH_AS }),
        Some(_) => Ok(reader.finish()),
    }
}

impl Reader {
    fn new() -> Reader {
        Reader {
            report: Report::default(),
            section: Section::Other,
            sector: None,
            vendor: None,
            sct_celsius: None,
            statistics_hours: None,
            ours: false,
            troubles: 0,
            left_out: 0,
        }
    }

    fn line(&mut self, number: usize, line: &str) {
        self.ours |= OURS.iter().any(|words| line.starts_with(words)) || versioned(line);
        if line.starts_with("ID#") {
            self.section = Section::Attributes;
            return self.speaks(Protocol::Ata);
        }
        if let Some(tests) = rows::tests_header(line) {
            self.section = Section::Tests(tests);
            return;
        }
        if self.section != Section::Other && self.row(number, line) {
            return;
        }
        self.section = Section::Other;
        if let Some((key, value)) = line.split_once(':') {
            let (key, value) = (key.trim_end(), value.trim());
            if self.identity(key, value) || self.health(key, value) {
                return;
            }
        }
        self.lone(line);
        self.trouble(line);
    }

    /// A row of the table that is being read; `false` when the table has ended.
    fn row(&mut self, number: usize, line: &str) -> bool {
        let drive = &mut self.report.drive;
        match self.section {
            Section::Other => false,
            Section::Attributes => {
                if !line.starts_with(|c: char| c.is_ascii_digit()) {
                    return false;
                }
                match rows::attribute(line) {
                    Some(attribute) if drive.attributes.len() < ATTRIBUTES_MAX => drive.attributes.push(attribute),
                    Some(_) => self.left_out += 1,
                    None => self.fault("malformed", format!("line {number}: no row of the attribute table")),
                }
                true
            }
            // The heading of a SCSI drive's log has a second line.
            Section::Tests(Tests::Scsi) if line.starts_with("Description ") => true,
            Section::Tests(tests) => {
                let Some(test) = rows::self_test(line, tests) else { return false };
                if drive.self_tests.len() < SELF_TESTS_MAX {
                    drive.self_tests.push(test);
                } else {
                    self.left_out += 1;
                }
                true
            }
        }
    }

    /// Lines that are no `key: value`.
    fn lone(&mut self, line: &str) {
        let drive = &mut self.report.drive;
        match line {
            "=== START OF SMART DATA SECTION ===" => self.speaks(Protocol::Nvme),
            "Device does not support SMART" => drive.smart_available = Some(false),
            "No Errors Logged" if drive.protocol == Protocol::Ata => {
                drive.error_log_count.get_or_insert(0);
            }
            _ => {
                if let Some(hours) = line.strip_prefix("number of hours powered up = ") {
                    drive.power_on_hours = drive.power_on_hours.or_else(|| number::leading(hours));
                } else if let Some(state) = line.strip_prefix("Device supports SMART and is ") {
                    drive.smart_available = Some(true);
                    drive.smart_enabled = Some(state.starts_with("Enabled"));
                    self.speaks(Protocol::Scsi);
                } else {
                    self.statistic(line);
                }
            }
        }
    }

    fn trouble(&mut self, line: &str) {
        let asleep = line.starts_with("Device is in ") && line.contains(" mode");
        if asleep {
            self.ours |= line.contains("exit(");
            self.report.drive.standby = true;
            return self.fault("standby", screened(line));
        }
        if TROUBLES.iter().any(|words| line.contains(words)) {
            self.troubles += 1;
            if self.troubles > RECORDS_MAX {
                self.left_out += 1;
                return;
            }
            // Such a message may stand alone, when the rest went elsewhere.
            self.ours |= ["Unable to detect device type", "Unknown USB bridge"].iter().any(|words| line.contains(words));
            self.fault(code_of(line), screened(line));
        }
    }

    fn fault(&mut self, code: &'static str, detail: String) {
        let fault = Fault { code, detail };
        if self.report.faults.len() >= RECORDS_MAX {
            self.left_out += 1;
        } else if self.report.faults.last() != Some(&fault) {
            self.report.faults.push(fault);
        }
    }

    /// The protocol a line speaks of; the first word counts.
    fn speaks(&mut self, protocol: Protocol) {
        if self.report.drive.protocol == Protocol::Unknown {
            self.report.drive.protocol = protocol;
        }
    }

    fn finish(mut self) -> Report {
        if self.report.drive.health_passed.is_some() {
            // Only ATA says so little of itself.
            self.speaks(Protocol::Ata);
        }
        let drive = &mut self.report.drive;
        drive.standby &= drive.health_passed.is_none();
        if drive.protocol == Protocol::Ata {
            drive.power_on_hours = rows::hours(&drive.attributes).or(self.statistics_hours);
            drive.power_cycles = rows::cycles(&drive.attributes);
            drive.temperature_celsius = rows::celsius(&drive.attributes).or(self.sct_celsius);
            hosts_writes(drive);
        }
        drive.finish();
        if drive.smart_available == Some(false) {
            self.fault("unsupported", "the drive has no health reporting".to_owned());
        } else if drive.smart_enabled == Some(false) {
            self.fault("not_running", "health reporting is switched off in the drive".to_owned());
        }
        if self.left_out > 0 {
            let detail = format!("{} more rows are left out", self.left_out);
            self.report.faults.push(Fault { code: "too_many", detail });
        }
        self.report
    }
}

/// The first line: `smartctl 7.3 2022-02-28 …`, in old versions `smartctl version 5.40 …`.
fn versioned(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("smartctl ") else { return false };
    let version = rest.strip_prefix("version ").or_else(|| rest.strip_prefix("pre-")).unwrap_or(rest);
    version.split_once('.').is_some_and(|(major, _)| number::leading(major).is_some_and(|major| (5..100).contains(&major)))
}

/// The answer about one device; of a list of devices, that nothing is known about their health.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    if let Some(scan) = scan::text(input) {
        return Ok(scan::answer(&scan));
    }
    Ok(parse(input)?.outcome())
}

#[cfg(test)]
mod tests;
