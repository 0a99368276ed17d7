//! Barman, versions 2.0 to 3.14: `list-backups` and `check`, as text or with `--format json`. A server is one set.

use crate::backup::{BackupRecord, Backups, Ended, complaint, seconds, stamp};
use crate::json::{count_at, text_at};
use crate::when::When;
use crate::{Outcome, Unreadable, text};
use serde_json::Value;

mod plain;

const SUCH_AS: &str = "main 20261122T031855 - Sun Nov 22 03:19:00 2026 - Size: 21.9 MiB - WAL Size: 0 B";

/// Reads any of them.
///
/// # Errors
/// When it is empty, or something else.
pub fn parse(input: &str) -> Result<Backups, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let foreign = Unreadable::Foreign { line: first + 1, such_as: SUCH_AS };
    // Messages of the log may stand before the answer.
    match input.find('{').filter(|_| input.lines().any(|line| line.trim_start().starts_with('{'))) {
        Some(begin) => json(&serde_json::from_str(input.get(begin..).unwrap_or_default())?).ok_or(foreign),
        None => plain::read(input).ok_or(foreign),
    }
}

/// How the output reads for a human or a script: bad when a check failed, or a backup did.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    Ok(parse(input)?.outcome(at_ms))
}

/// One backup of a server.
struct Copy {
    /// In the tool's words: `DONE`, `FAILED`, `STARTED`, `EMPTY`, `SYNCING`, `WAITING_FOR_WALS`.
    status: String,
    ended: Option<When>,
    size: Option<i64>,
}

fn json(root: &Value) -> Option<Backups> {
    let mut backups = Backups::default();
    let mut familiar = false;
    for (name, value) in root.as_object()? {
        match value {
            // What the tool has to say stands under names such as `_ERROR`.
            Value::Array(lines) if name.starts_with('_') => {
                for said in lines.iter().filter_map(Value::as_str).filter(|_| name == "_ERROR" || name == "_EXCEPTION") {
                    let (code, words) = complaint(said).unwrap_or(("io_error", "the tool tells of an error"));
                    backups.fault(code, words);
                    familiar = true;
                }
            }
            Value::Array(copies) if copies.iter().all(is_copy) => {
                familiar = true;
                let listed: Vec<Option<Copy>> = copies.iter().map(copy).collect();
                let unread = listed.iter().filter(|copy| copy.is_none()).count();
                if unread > 0 {
                    backups.fault("malformed", &format!("{unread} backups without a status"));
                }
                server(name, &listed.into_iter().flatten().collect::<Vec<_>>(), &mut backups);
            }
            Value::Object(checks) if !checks.is_empty() && checks.values().all(is_check) => {
                familiar = true;
                let word = |check: &'_ Value, key: &str| check.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let rows: Vec<(&str, String, String)> =
                    checks.iter().map(|(name, check)| (name.as_str(), word(check, "status"), word(check, "hint"))).collect();
                // Whatever is not said to be well is not.
                let rows: Vec<Check> = rows.iter().map(|(name, status, hint)| Check { name, passed: status == "OK", hint }).collect();
                checked(name, &rows, &mut backups);
            }
            _ => return None,
        }
    }
    familiar.then_some(backups)
}

/// A backup, or the identifier of one alone.
fn is_copy(value: &Value) -> bool {
    value.get("backup_id").or(Some(value)).and_then(Value::as_str).is_some_and(|id| id.len() == 15 && id.as_bytes().get(8) == Some(&b'T'))
}

fn is_check(value: &Value) -> bool {
    value.get("status").is_some_and(Value::is_string) && value.get("hint").is_some()
}

fn copy(value: &Value) -> Option<Copy> {
    Some(Copy {
        status: text_at(value, "/status")?,
        ended: count_at(value, "/end_time_timestamp").and_then(seconds).or_else(|| stamp(text_at(value, "/end_time").as_deref())),
        size: count_at(value, "/size_bytes").or_else(|| size(&text_at(value, "/size")?)),
    })
}

/// `21.9 MiB`, `0 B`.
fn size(words: &str) -> Option<i64> {
    text::size(&words.replace(' ', ""))
}

/// The record of a server's backups, in any order.
fn server(name: &str, copies: &[Copy], backups: &mut Backups) {
    let done: Vec<(When, Option<i64>)> =
        copies.iter().filter(|copy| ["DONE", "WAITING_FOR_WALS"].contains(&copy.status.as_str())).filter_map(|copy| Some((copy.ended?, copy.size))).collect();
    let times: Vec<When> = done.iter().map(|(when, _)| *when).collect();
    let newest = done.iter().max_by_key(|(when, _)| when.earliest_ms());
    let mut record = BackupRecord { size_bytes: newest.and_then(|(_, size)| *size), ..BackupRecord::of(Some(name.to_owned()), &times) };
    // The tool lists the newest first.
    record.result = match copies.first().map(|copy| copy.status.as_str()) {
        Some("FAILED") => Some(Ended::Failed),
        Some("STARTED" | "EMPTY" | "SYNCING") => Some(Ended::Running),
        _ => record.result,
    };
    if copies.is_empty() {
        backups.fault("empty", "a server has no backup");
    } else if record.last_success_at.is_none() && copies.iter().any(|copy| copy.status == "DONE") {
        backups.fault("malformed", "backups without a moment that can be meant");
    }
    backups.push(record);
}

/// One row of a check: its name with spaces or underscores, whether it passed, and the hint behind it.
struct Check<'a> {
    name: &'a str,
    passed: bool,
    hint: &'a str,
}

/// The record of a server that was checked. The hints tell how many backups there are; of a backup's age only words.
fn checked(name: &str, checks: &[Check], backups: &mut Backups) {
    let place = backups.sets.len() + 1;
    let words = |check: &Check| text::hardware(&check.name.replace('_', " "));
    for check in checks.iter().filter(|check| !check.passed) {
        backups.findings.push(format!("set {place}: the check of {} failed", words(check)));
    }
    let hint = |name: &str| checks.iter().find(|check| words(check) == name).map(|check| check.hint);
    let kept = hint("minimum redundancy requirements").and_then(|hint| hint.strip_prefix("have ")?.split(' ').next().and_then(text::whole));
    backups.push(BackupRecord {
        set: Some(text::plain(name)),
        generations: kept.filter(|count| *count > 0),
        size_bytes: hint("backup minimum size").filter(|_| kept != Some(0)).and_then(|hint| size(hint.split(',').next().unwrap_or_default())),
        ..BackupRecord::default()
    });
}

#[cfg(test)]
mod tests;
