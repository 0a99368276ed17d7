//! The text of `list`, `info`, `create --stats` and `check`.

use super::log::Log;
use super::{BackupRecord, Backups, broken_off, last_part, stamp};
use crate::backup::COMPLAINT_LINES_MAX;
use crate::text;
use crate::when::When;

/// Reads the lines, each with its number from 0; `None` when they are none of this tool's.
pub(super) fn read(lines: &[(usize, &str)], log: &mut Log) -> Option<Backups> {
    let mut backups = Backups::default();
    let listed: Vec<(&str, Option<When>)> = lines.iter().filter_map(|(_, line)| row(line)).collect();
    if listed.is_empty() {
        let info = info(lines);
        let told = lines.iter().filter(|(index, line)| log.said(line) || *index < COMPLAINT_LINES_MAX && log.complained(line)).count();
        return match info {
            Some(record) => {
                backups.push(record);
                Some(backups)
            }
            None => (told > 0).then_some(backups),
        };
    }
    let made: Vec<When> = listed.iter().filter(|(name, _)| !broken_off(name)).filter_map(|(_, when)| *when).collect();
    for (index, line) in lines.iter().filter(|(_, line)| row(line).is_none_or(|(_, when)| when.is_none())) {
        if !log.said(line) && !log.complained(line) {
            backups.malformed(*index, "no archive with a moment that can be meant");
        }
    }
    if made.is_empty() {
        backups.findings.push("only backups that were broken off are in it".to_owned());
    } else {
        backups.push(BackupRecord::of(None, &made));
    }
    Some(backups)
}

/// `web-1    Sun, 2026-11-22 03:18:28 [cb65…]`, with the length of a hash in the brackets.
fn row(line: &str) -> Option<(&str, Option<When>)> {
    let (before, id) = line.trim_end().strip_suffix(']')?.rsplit_once(" [")?;
    if id.len() < 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let comma = before.rfind(", ")?;
    let day = comma.checked_sub(3)?;
    Some((before.get(..day)?.trim(), stamp(before.get(day..))))
}

/// `Location: …`, `All archives: …`, `Archive name: …`, `Time (start): …`.
fn info(lines: &[(usize, &str)]) -> Option<BackupRecord> {
    let value = |label: &str| lines.iter().find_map(|(_, line)| line.trim_start().strip_prefix(label).map(str::trim));
    // The first of three sizes: what it holds before it is compressed.
    let size = |label: &str| value(label).and_then(|sizes| decimal_size(sizes.split("  ").next()?));
    if value("Repository ID:").is_none() && value("Archive name:").is_none() {
        return None;
    }
    let set = value("Location:").or_else(|| value("Repository:")).and_then(last_part).map(|part| text::plain(&part));
    if value("Archive name:").is_none() {
        return Some(BackupRecord { set, size_bytes: size("All archives:"), ..BackupRecord::default() });
    }
    let made = stamp(value("Time (end):").or_else(|| value("Time (start):")));
    let times: Vec<When> = made.into_iter().collect();
    let holds_none = value("Number of files:").is_some_and(|count| count == "0");
    Some(BackupRecord {
        size_bytes: if holds_none { Some(0) } else { size("This archive:") },
        generations: None,
        oldest_at: None,
        ..BackupRecord::of(set, &times)
    })
}

/// `26.68 MB`, by powers of 1000 as this tool has it.
fn decimal_size(words: &str) -> Option<i64> {
    let (number, unit) = words.trim().split_once(' ')?;
    let power = ["B", "kB", "MB", "GB", "TB", "PB"].iter().position(|name| *name == unit.trim())?;
    text::parts(number, (0..power).map(|_| 1000.0).product())
}
