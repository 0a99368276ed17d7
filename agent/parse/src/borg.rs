//! BorgBackup, versions 1.1 to 2: `list|info|create --json`, the messages of `--log-json` (also those of `check`), and the
//! text of `list`, `info` and `check`.
//!
//! A repository is one set: Borg knows none smaller. Version 1 writes its machine's clock without a zone.

use crate::backup::{BackupRecord, Backups, Ended, complaint, stamp};
use crate::json::{count_at, list_at, text_at};
use crate::when::When;
use crate::{Outcome, Unreadable};
use serde_json::Value;

mod log;
mod plain;

const SUCH_AS: &str = r#"{"archives": [{"name": "web", "start": "2026-11-22T03:18:28.000000"}], "repository": {}}"#;

/// Reads any of them; messages and an answer may stand in one input.
///
/// # Errors
/// When it is empty, or something else.
pub fn parse(input: &str) -> Result<Backups, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let foreign = Unreadable::Foreign { line: first + 1, such_as: SUCH_AS };
    let (messages, rest): (Vec<_>, Vec<_>) = input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).partition(|(_, line)| is_message(line));
    let mut log = log::Log::default();
    messages.iter().for_each(|(index, line)| log.message(*index, line));
    let answer = rest.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
    let backups = if rest.is_empty() {
        Backups::default()
    } else if answer.trim_start().starts_with(['{', '[']) {
        json(&serde_json::from_str(&answer)?).ok_or(foreign)?
    } else {
        plain::read(&rest, &mut log).ok_or(foreign)?
    };
    Ok(log.close(backups))
}

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    Ok(parse(input)?.outcome(at_ms))
}

/// `{"type": "log_message", …}` on one line.
fn is_message(line: &str) -> bool {
    let line = line.trim();
    let kinds = ["\"log_message\"", "\"archive_progress\"", "\"progress_message\"", "\"progress_percent\"", "\"file_status\"", "\"question_"];
    line.starts_with("{\"type\"") && line.ends_with('}') && kinds.iter().any(|kind| line.contains(kind))
}

/// An answer of `list`, `info` or `create`; `None` when it is none.
fn json(root: &Value) -> Option<Backups> {
    let repository = root.get("repository").filter(|repository| repository.get("id").is_some() || repository.get("location").is_some())?;
    let mut backups = Backups { changed_at: stamp(text_at(repository, "/last_modified").as_deref()), ..Backups::default() };
    let set = text_at(repository, "/location").as_deref().and_then(last_part);
    if let Some(archive) = root.get("archive") {
        backups.push(archives(set, &[archive], &mut Vec::new()));
    } else if root.get("archives").is_some() {
        let all: Vec<&Value> = list_at(root, "/archives").iter().collect();
        let mut malformed = Vec::new();
        let record = archives(set, &all, &mut malformed);
        malformed.into_iter().for_each(|index: usize| backups.fault("malformed", &format!("archive {}: no moment that can be meant", index + 1)));
        if all.is_empty() {
            backups.fault("empty", "no archive in it");
        } else if record.generations.is_none() && record.last_success_at.is_none() && backups.faults.is_empty() {
            backups.findings.push("only backups that were broken off are in it".to_owned());
        } else {
            backups.push(record);
        }
    } else {
        let size = count_at(root, "/cache/stats/total_size");
        if size == Some(0) {
            backups.fault("empty", "no archive in it");
        } else {
            backups.push(BackupRecord { set, size_bytes: size, damaged: None, ..BackupRecord::default() });
        }
    }
    Some(backups)
}

/// The record of a repository's archives. Only `list` tells how many there are: what `info` and `create` show may be a part.
fn archives(set: Option<String>, all: &[&Value], malformed: &mut Vec<usize>) -> BackupRecord {
    let mut made: Vec<(When, &Value)> = Vec::new();
    for (index, archive) in all.iter().enumerate() {
        if text_at(archive, "/name").or_else(|| text_at(archive, "/archive")).is_some_and(|name| broken_off(&name)) {
            continue;
        }
        let moments = ["/end", "/time", "/start"].iter().find_map(|path| stamp(text_at(archive, path).as_deref()));
        match moments {
            Some(when) => made.push((when, archive)),
            None => malformed.push(index),
        }
    }
    let times: Vec<When> = made.iter().map(|(when, _)| *when).collect();
    let newest = made.iter().max_by_key(|(when, _)| when.earliest_ms());
    let stats = newest.and_then(|(_, archive)| archive.get("stats"));
    let empty = stats.is_some_and(|stats| count_at(stats, "/nfiles") == Some(0));
    let mut record = BackupRecord {
        size_bytes: stats.and_then(|stats| count_at(stats, "/original_size")).map(|size| if empty { 0 } else { size }),
        added_bytes: stats.and_then(|stats| count_at(stats, "/deduplicated_size")),
        ..BackupRecord::of(set, &times)
    };
    if stats.is_some() {
        record.generations = None;
        record.oldest_at = None;
    }
    record
}

/// What a run that did not come to its end leaves behind.
fn broken_off(name: &str) -> bool {
    name.rsplit_once(".checkpoint").is_some_and(|(_, rest)| rest.is_empty() || rest.strip_prefix('.').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())))
}

/// The last part of a repository's place: what stands before it names machines and people.
fn last_part(location: &str) -> Option<String> {
    let part = location.trim_end_matches(['/', '\\']).rsplit(['/', '\\', ':', '@']).next()?;
    (!part.is_empty()).then(|| part.to_owned())
}

#[cfg(test)]
mod tests;
