//! `smartctl --scan` and `--scan-open`: which drives there are, and how each is reached. As JSON and as text.

use super::{SUCH_AS, document};
use crate::drive::{Drive, Protocol, code_of, screened};
use crate::json::{list_at, text_at};
use crate::{Outcome, RECORDS_MAX, Status, Unreadable, text};
use serde_json::Value;

/// What a scan found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// The drives, in the order of the scan; at most [`RECORDS_MAX`].
    pub found: Vec<Found>,
    /// How many more there were.
    pub left_out: usize,
    /// Why the scan itself failed, in the tool's words.
    pub failed: Option<String>,
}

/// One drive of a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What smartctl is to be given as its device, such as `/dev/sda`, `/dev/bus/0`.
    pub name: String,
    /// What smartctl is to be given after `-d`, such as `sat`, `megaraid,3`.
    pub controller: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Why it could not be opened, in the tool's words.
    pub open_error: Option<String>,
}

/// Reads the JSON of a scan.
///
/// # Errors
/// When it is empty, no JSON, another tool's, or smartctl's about one device.
pub fn parse(input: &str) -> Result<Scan, Unreadable> {
    let root = document(input)?;
    if root.get("device").is_some() {
        return Err(Unreadable::Foreign { line: 1, such_as: SUCH_AS });
    }
    Ok(read(&root))
}

/// The devices of a document that is known to be a scan.
pub(super) fn read(root: &Value) -> Scan {
    let mut scan = Scan::default();
    for device in list_at(root, "/devices") {
        let Some(name) = text_at(device, "/name") else { continue };
        scan.push(Found {
            name,
            controller: text_at(device, "/type").unwrap_or_default(),
            protocol: protocol(&text_at(device, "/protocol").unwrap_or_default()),
            open_error: text_at(device, "/open_error"),
        });
    }
    scan
}

impl Scan {
    fn push(&mut self, found: Found) {
        if self.found.len() < RECORDS_MAX {
            self.found.push(found);
        } else {
            self.left_out += 1;
        }
    }
}

fn protocol(name: &str) -> Protocol {
    match name {
        "ATA" | "ATA+SCSI" => Protocol::Ata,
        "SCSI" => Protocol::Scsi,
        "NVMe" => Protocol::Nvme,
        _ => Protocol::Unknown,
    }
}

/// Reads the text of a scan; `None` when a line is something else.
#[must_use]
pub fn text(input: &str) -> Option<Scan> {
    let mut scan = Scan::default();
    let mut any = false;
    for line in input.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(why) = line.strip_prefix("# scan_smart_devices: ") {
            scan.failed = Some(screened(why));
        } else {
            scan.push(found(line)?);
        }
        any = true;
    }
    any.then_some(scan)
}

/// One line: `/dev/sda -d sat # /dev/sda [SAT], ATA device`, with a `#` before it when it could not be opened.
fn found(line: &str) -> Option<Found> {
    let (head, said) = line.trim_start_matches("# ").split_once(" # ")?;
    let (name, controller) = head.split_once(" -d ")?;
    let (told, open_error) = match said.split_once(" device open failed: ") {
        Some((told, why)) => (told, Some(screened(why))),
        None => (said.strip_suffix(" device")?, None),
    };
    let (_, kind) = told.rsplit_once(", ")?;
    Some(Found { name: text::plain(name), controller: text::plain(controller), protocol: protocol(kind), open_error })
}

/// The answer about a scan: a record for each drive, and that nothing is known about their health.
#[must_use]
pub fn answer(scan: &Scan) -> Outcome {
    let mut outcome = match &scan.failed {
        Some(why) => Outcome::cannot(code_of(why), why),
        None => Outcome::new(Status::Unknown, format!("a list of {} drives; it says nothing about their health", scan.found.len())),
    };
    for found in &scan.found {
        let mut drive = Drive {
            device: Some(found.name.clone()),
            controller: Some(found.controller.clone()).filter(|controller| !controller.is_empty()),
            protocol: found.protocol,
            ..Drive::default()
        };
        drive.finish();
        if let Some(why) = &found.open_error {
            let name = drive.device.as_deref().unwrap_or("(device)");
            outcome.fault(code_of(why), &format!("{name}: {}", screened(why)));
        }
        // A list tells nothing about what a drive is made of.
        drive.ssd = None;
        outcome.record(&drive);
    }
    if scan.left_out > 0 {
        outcome.fault("too_many", &format!("{} more drives are left out", scan.left_out));
    }
    outcome
}
