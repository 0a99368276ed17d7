//! restic, versions 0.9 to 0.18: `snapshots|stats|check|forget --json`, the lines of `backup --json`, the text of `check`,
//! and what the tool says when it cannot do any of these.

use crate::backup::{BackupRecord, Backups, Ended, complaint, stamp};
use crate::json::{count_at, list_at, text_at};
use crate::{Outcome, Unreadable};
use serde_json::Value;

mod lines;
mod snapshots;

const SUCH_AS: &str = r#"[{"time":"2026-11-22T03:18:29Z","paths":["/srv"]}]"#;

/// Reads any of them.
///
/// # Errors
/// When it is empty, or something else.
pub fn parse(input: &str) -> Result<Backups, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let trimmed = input.trim();
    let foreign = Unreadable::Foreign { line: first + 1, such_as: SUCH_AS };
    if trimmed == "null" {
        return Ok(nothing());
    }
    if trimmed.starts_with('[') && !trimmed.starts_with("[0:") {
        let root: Vec<Value> = serde_json::from_str(trimmed)?;
        return snapshots::list(&root).ok_or(foreign);
    }
    match serde_json::from_str::<Value>(trimmed) {
        Ok(root) if root.get("message_type").is_none() => object(&root).ok_or(foreign),
        // The tool's messages stand one on a line, and its text among them.
        Ok(_) => lines::read(input).ok_or(foreign),
        Err(error) => lines::read(input).ok_or(if trimmed.starts_with('{') { error.into() } else { foreign }),
    }
}

/// One object that is no message: `stats`, or what `forget` keeps of one set.
fn object(root: &Value) -> Option<Backups> {
    if root.get("keep").is_some() {
        return snapshots::list(std::slice::from_ref(root));
    }
    let size = count_at(root, "/total_size")?;
    let mut backups = Backups::default();
    let snapshots = count_at(root, "/snapshots_count");
    if snapshots == Some(0) {
        return Some(nothing());
    }
    backups.push(BackupRecord { size_bytes: Some(size), generations: snapshots, ..BackupRecord::default() });
    Some(backups)
}

/// A repository without a snapshot, or a question that none answers to.
fn nothing() -> Backups {
    let mut backups = Backups::default();
    backups.fault("empty", "no snapshot in it");
    backups
}

/// How the output reads for a human or a script: bad when a backup or a check failed, left something out, or is old;
/// unknown when the repository could not be looked at, or holds nothing.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    Ok(parse(input)?.outcome(at_ms))
}

/// The name of a set: its folders, and its tags where sets are told apart by them.
fn name(paths: &[Value], tags: &[Value]) -> Option<String> {
    let join = |list: &[Value]| list.iter().take(8).filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let (paths, tags) = (join(paths), join(tags));
    let name = if tags.is_empty() { paths } else { format!("{paths} [{tags}]") };
    (!name.trim().is_empty()).then_some(name)
}

/// What the summary of one run tells.
fn run(summary: &Value) -> BackupRecord {
    let ended = stamp(text_at(summary, "/backup_end").or_else(|| text_at(summary, "/backup_start")).as_deref());
    BackupRecord {
        result: Some(Ended::Success),
        size_bytes: count_at(summary, "/total_bytes_processed"),
        added_bytes: count_at(summary, "/data_added"),
        last_success_at: ended,
        last_run_at: ended,
        ..BackupRecord::default()
    }
}

/// Takes a message of the tool's over as a fault.
fn complain(backups: &mut Backups, said: &str) -> bool {
    let Some((code, words)) = said.lines().find_map(complaint) else { return false };
    backups.fault(code, words);
    true
}

#[cfg(test)]
mod tests;
