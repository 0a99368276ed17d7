//! The grammar: sections of `key : value` lines and tables.

use super::{About, Mdadm, Member, Progress, Report, Volume};
use crate::verdict;
use crate::{RECORDS_MAX, Unreadable, text, trouble};

const SUCH_AS: &str = "/dev/md0:";

/// A section being read.
#[derive(Default)]
struct Open {
    report: Report,
    table: Table,
    /// It says what only this tool says.
    known: bool,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Table {
    #[default]
    None,
    /// Number, Major, Minor, RaidDevice, State.
    Devices,
    /// Number, `RefNo`, Size, Device, Type/State.
    Disks,
}

/// Reads an output with one section or several.
///
/// # Errors
/// When it is empty or holds neither a section nor a message of the tool's.
pub fn parse(input: &str) -> Result<Mdadm, Unreadable> {
    let Some((first, _)) = input.lines().enumerate().find(|(_, line)| !line.trim().is_empty()) else { return Err(Unreadable::Empty) };
    let mut mdadm = Mdadm::default();
    let mut open: Option<Open> = None;
    for (index, line) in input.lines().enumerate().skip(first) {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            continue;
        }
        if let Some(message) = trimmed.strip_prefix("mdadm:").map(text::plain).filter(|message| !message.is_empty()) {
            verdict::fault(&mut mdadm.faults, trouble::fault(code(trimmed), &message));
        } else if let Some(device) = section(line) {
            mdadm.close(open.replace(Open { report: Report { device: text::plain(device), ..Report::default() }, ..Open::default() }));
        } else if let Some(report) = brief(line) {
            mdadm.close(open.replace(Open { report, table: Table::None, known: true }));
        } else if let Some(open) = &mut open {
            if !open.line(trimmed) {
                verdict::fault(&mut mdadm.faults, trouble::malformed(index, line));
            }
        } else {
            return Err(Unreadable::Foreign { line: index + 1, such_as: SUCH_AS });
        }
    }
    mdadm.close(open);
    if mdadm.reports.is_empty() && mdadm.faults.iter().all(|fault| fault.code == "malformed" && fault.detail.starts_with("line ")) {
        return Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS });
    }
    Ok(mdadm)
}

impl Mdadm {
    fn close(&mut self, open: Option<Open>) {
        let Some(open) = open.filter(|open| open.known) else { return };
        verdict::push(&mut self.reports, open.report, &mut self.faults);
    }
}

/// What a message of the tool's means. One that is none of these says something beside the point.
fn code(message: &str) -> &'static str {
    let has = |part: &str| message.contains(part);
    if has("does not appear to be an md device") || has("is not an md array") || has("not a block device") || has("unrecognised") {
        "unsupported"
    } else if has("No md superblock") || has("No superblock") {
        "not_found"
    } else if has("does not appear to be active") || has("No arrays") || has("md driver") {
        "not_running"
    } else if has("super-user") {
        "permission_denied"
    } else if let Some(code) = trouble::code(message) {
        code
    } else if has("annot open") || has("annot get") || has("ailed to") || has("rror") {
        "io_error"
    } else {
        "malformed"
    }
}

/// `/dev/md0:`
fn section(line: &str) -> Option<&str> {
    let name = line.trim_end().strip_suffix(':')?;
    let plain = !name.is_empty() && !name.starts_with([' ', '\t', '[']) && !name.contains(" :") && !name.contains(": ");
    plain.then_some(name)
}

/// `ARRAY /dev/md0 level=raid1 …`, `INACTIVE-ARRAY /dev/md127 …`
fn brief(line: &str) -> Option<Report> {
    let mut words = line.split_whitespace();
    let state = match words.next()? {
        "ARRAY" => None,
        "INACTIVE-ARRAY" => Some("inactive".to_owned()),
        _ => return None,
    };
    let words: Vec<&str> = words.collect();
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    // The device may be missing when only its identity is known.
    let device = words.first().filter(|word| !word.contains('=')).map_or("an array", |word| word);
    Some(Report {
        device: text::plain(device),
        about: About::Line,
        metadata: value("metadata").map(text::plain),
        level: value("level").map(text::plain),
        state,
        raid_devices: value("num-devices").and_then(text::whole),
        spare_devices: value("spares").and_then(text::whole),
        ..Report::default()
    })
}

impl Open {
    /// Takes a line of the section, without what surrounds it; false when it is none.
    fn line(&mut self, line: &str) -> bool {
        if line.starts_with("Number ") && line.contains("RaidDevice") {
            self.table = Table::Devices;
            return true;
        }
        if line.starts_with("Number ") && line.contains("RefNo") {
            self.table = Table::Disks;
            return true;
        }
        if self.table != Table::None && !line.contains(" : ") {
            let member = if self.table == Table::Devices { device_row(line) } else { disk_row(line) };
            let Some((member, this)) = member else { return false };
            if !this && self.report.members.len() < RECORDS_MAX {
                self.report.members.push(member);
            }
            return true;
        }
        if line.starts_with('[') && line.ends_with("]:") {
            self.volume();
            return true;
        }
        if self.report.about == About::Line {
            return line.starts_with("devices=") || line.contains('=');
        }
        match line.split_once(" :").or_else(|| line.strip_suffix(':').map(|key| (key, ""))) {
            Some((key, value)) => {
                self.pair(key.trim(), value.trim());
                true
            }
            // The second half of a DDF identity, and what else is put in brackets.
            None => line.starts_with('(') || line.starts_with("Partition["),
        }
    }

    fn volume(&mut self) {
        let number = self.report.volumes.len();
        if number < RECORDS_MAX {
            self.report.volumes.push(Volume { number, ..Volume::default() });
        }
    }

    fn pair(&mut self, key: &str, value: &str) {
        self.known |= matches!(key, "Magic" | "MBR Magic" | "Version" | "Raid Level");
        let report = &mut self.report;
        let words = (!value.is_empty()).then(|| text::plain(value));
        // A container's volumes: keys with a number behind (DDF), or what stands below `[name]:` (IMSM).
        if let Some((key, _)) = key.split_once('[') {
            match key.trim() {
                "VD GUID" => self.volume(),
                "state" => report.volumes.last_mut().into_iter().for_each(|volume| volume.state.clone_from(&words)),
                _ => {}
            }
            return;
        }
        if let Some(volume) = report.volumes.last_mut() {
            match key {
                "Map State" => volume.state = words,
                "Slots" => volume.slots = words,
                "Migrate State" => volume.migration = words.map(|words| words.to_lowercase()),
                _ => disk(report, key, value),
            }
            return;
        }
        if report.metadata.as_deref() == Some("imsm") && (key == "State" || key.ends_with(" Serial")) {
            // The disk itself stands before the first volume.
            disk(report, key, value);
        } else if key == "Magic" {
            report.about = About::Superblock;
            report.metadata = match value {
                "de11de11" => Some("ddf".to_owned()),
                _ if value.starts_with("Intel") => Some("imsm".to_owned()),
                _ => report.metadata.take(),
            };
        } else if key == "MBR Magic" {
            report.about = About::Superblock;
        } else if key == "Version" && report.metadata.is_none() {
            report.metadata = words;
        } else if !number(report, key, value) {
            described(report, key, value, words);
        }
    }
}

/// `Disk01 Serial` and the state below it (IMSM). The serial number is not kept.
fn disk(report: &mut Report, key: &str, value: &str) {
    if key.ends_with(" Serial") && report.members.len() < RECORDS_MAX {
        let slot = key.strip_prefix("Disk").and_then(|key| text::whole(key.strip_suffix(" Serial")?));
        report.members.push(Member { device: None, slot, state: String::new() });
    } else if key == "State"
        && let Some(member) = report.members.last_mut()
    {
        member.state = text::plain(value);
    }
}

/// The lines that hold a count.
fn number(report: &mut Report, key: &str, value: &str) -> bool {
    let place = match key {
        "Raid Devices" => &mut report.raid_devices,
        "Total Devices" => &mut report.total_devices,
        "Active Devices" => &mut report.active_devices,
        "Working Devices" => &mut report.working_devices,
        "Failed Devices" => &mut report.failed_devices,
        "Spare Devices" => &mut report.spare_devices,
        _ => return false,
    };
    *place = value.split_whitespace().next().and_then(text::whole);
    true
}

fn described(report: &mut Report, key: &str, value: &str, words: Option<String>) {
    match key {
        "Raid Level" => report.level = words,
        "State" => report.state = words,
        "Update Time" => report.updated = words,
        "Device Role" => report.role = words,
        "Recovery Offset" => report.recovering = true,
        "Bad Block Log" => report.bad_blocks = value.contains("bad blocks present"),
        "Checksum" => report.checksum_holds = checksum(value),
        "Array Size" => report.size_bytes = size(value),
        // Old ones count lost slots behind it, `Uu_ 1 failed`, and count those that were never used.
        "Array State" => report.array_state = value.split([' ', '(']).next().filter(|slots| !slots.is_empty()).map(text::plain),
        _ => {
            if let Some(operation) = key.strip_suffix(" Status") {
                let done_percent = value.split_once('%').and_then(|(done, _)| text::whole(done.trim()));
                report.progress = Some(Progress { operation: operation.to_lowercase(), done_percent });
            }
        }
    }
}

/// `5b482818 - correct`, `5b482818 - expected 5b482817`, `5b482818 correct`, `… incorrect`.
fn checksum(value: &str) -> Option<bool> {
    match value.split_whitespace().find(|word| matches!(*word, "correct" | "incorrect" | "expected"))? {
        "correct" => Some(true),
        _ => Some(false),
    }
}

/// `101376 (99.00 MiB 103.81 MB)`: kibibytes, but sectors in superblocks as mdadm 3 prints them; the brackets tell which.
fn size(value: &str) -> Option<i64> {
    let number = text::whole(value.split_whitespace().next()?)?;
    let kibibytes = number.checked_mul(1024)?;
    let told = || {
        let (figure, rest) = value.split_once('(')?.1.split_once(' ')?;
        let unit = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("PiB", 50)].iter().find(|(unit, _)| rest.starts_with(unit))?.1;
        text::milli(figure)?.checked_mul(1 << unit).map(|bytes| bytes / 1000)
    };
    let sectors = told().is_some_and(|told: i64| told.abs_diff(number * 512) < told.abs_diff(kibibytes));
    Some(if sectors { number * 512 } else { kibibytes })
}

/// `0 254 1 0 active sync /dev/vda1`, as a superblock of version 0.90 writes it with one or two words before; and
/// whether it is the row that repeats the device itself.
fn device_row(line: &str) -> Option<(Member, bool)> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let numeric = |word: &&str| *word == "-" || *word == "-1" || text::whole(word).is_some();
    let this = words.first() == Some(&"this");
    if this {
        words.remove(0);
    }
    let lead = words.iter().take_while(|word| numeric(word)).count();
    if !(4..=5).contains(&lead) {
        return None;
    }
    let slot = words.get(lead - 1).and_then(|word| text::whole(word));
    let mut rest = words.split_off(lead);
    let device = rest.pop_if(|word| word.starts_with('/')).map(text::plain);
    Some((Member { device, slot, state: text::plain(&rest.join(" ")) }, this))
}

/// `0 33552859 786432K /dev/vda active/Online`
fn disk_row(line: &str) -> Option<(Member, bool)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let slot = Some(text::whole(words.first()?)?);
    let device = words.iter().find(|word| word.starts_with('/')).map(|word| text::plain(word));
    let from = words.iter().skip(3).position(|word| !word.starts_with('/') && word.contains('/'))? + 3;
    Some((Member { device, slot, state: text::plain(&words.get(from..)?.join(" ")) }, false))
}
