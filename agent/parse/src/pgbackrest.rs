//! pgBackRest, versions 2.0 to 2.57: `info --output=json`, and the text of `info`. A stanza is one set.

use crate::backup::{BackupRecord, Backups, Ended, complaint, seconds, stamp};
use crate::json::{bool_at, count_at, int_at, list_at, text_at};
use crate::when::When;
use crate::{Outcome, Unreadable, text};
use serde_json::Value;

const SUCH_AS: &str = r#"[{"name":"main","status":{"code":0,"message":"ok"},"backup":[]}]"#;

/// Reads either form.
///
/// # Errors
/// When it is empty, or something else.
pub fn parse(input: &str) -> Result<Backups, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let foreign = Unreadable::Foreign { line: first + 1, such_as: SUCH_AS };
    let trimmed = input.trim();
    if trimmed.starts_with('[') {
        let stanzas: Vec<Value> = serde_json::from_str(trimmed)?;
        return json(&stanzas).ok_or(foreign);
    }
    plain(input).ok_or(foreign)
}

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    Ok(parse(input)?.outcome(at_ms))
}

/// A repository in which no stanza was made, or none of the name that was asked for.
fn nothing(backups: &mut Backups) {
    backups.fault("empty", "no stanza in it");
}

fn json(stanzas: &[Value]) -> Option<Backups> {
    let mut backups = Backups::default();
    for (index, stanza) in stanzas.iter().enumerate() {
        let Some(code) = int_at(stanza, "/status/code") else {
            backups.malformed(index, "no stanza with a status");
            continue;
        };
        let record = stanza_of(stanza);
        let repositories = list_at(stanza, "/repo");
        // One of several repositories may fail while another does not: each is told apart.
        let codes: Vec<(i64, Option<String>)> =
            repositories.iter().filter_map(|one| Some((int_at(one, "/status/code")?, text_at(one, "/status/message")))).collect();
        if code != 4 || codes.is_empty() {
            status(code, &text_at(stanza, "/status/message").unwrap_or_default(), &mut backups);
        }
        codes.iter().filter(|_| code == 4 || code == 99).for_each(|(code, said)| status(*code, said.as_deref().unwrap_or_default(), &mut backups));
        backups.push(record);
    }
    if stanzas.is_empty() {
        nothing(&mut backups);
    }
    (stanzas.is_empty() || !backups.sets.is_empty()).then_some(backups)
}

/// What a status says of a stanza or a repository.
fn status(code: i64, said: &str, backups: &mut Backups) {
    match code {
        0 => {}
        1 => backups.fault("not_found", "a stanza has no folder in the repository"),
        2 => backups.findings.push("a stanza has no valid backup".to_owned()),
        3 => backups.fault("not_found", "a stanza has no data in the repository"),
        4 => backups.findings.push("a stanza is not the same in every repository".to_owned()),
        5 => backups.findings.push("a stanza's database is not the same in every repository".to_owned()),
        6 => backups.fault("not_found", "the backup that was asked for is not there"),
        _ => match complaint(said) {
            Some((code, words)) => backups.fault(code, words),
            None => backups.fault("io_error", "the tool could not look at a stanza"),
        },
    }
}

fn stanza_of(stanza: &Value) -> BackupRecord {
    let all = list_at(stanza, "/backup");
    let good: Vec<(When, &Value)> = all.iter().filter(|one| bool_at(one, "/error") != Some(true)).filter_map(|one| Some((stopped(one)?, one))).collect();
    let times: Vec<When> = good.iter().map(|(when, _)| *when).collect();
    let newest = good.iter().max_by_key(|(when, _)| when.earliest_ms()).map_or(&Value::Null, |(_, one)| *one);
    let last = all.iter().filter_map(|one| Some((stopped(one)?, bool_at(one, "/error")))).max_by_key(|(when, _)| when.earliest_ms());
    let mut record = BackupRecord {
        size_bytes: count_at(newest, "/info/size"),
        added_bytes: count_at(newest, "/info/repository/delta").or_else(|| count_at(newest, "/info/delta")),
        generations: i64::try_from(all.len()).ok().filter(|count| *count > 0),
        ..BackupRecord::of(text_at(stanza, "/name"), &times)
    };
    if let Some((when, error)) = last {
        record.last_run_at = Some(when);
        // Pages of the database whose checksums are wrong are in this backup.
        record.damaged = error.filter(|error| *error);
    } else if bool_at(stanza, "/status/lock/backup/held") == Some(true) {
        record.result = Some(Ended::Running);
    }
    record
}

fn stopped(backup: &Value) -> Option<When> {
    count_at(backup, "/timestamp/stop").and_then(seconds)
}

/// One stanza of the text.
#[derive(Default)]
struct Stanza<'a> {
    name: &'a str,
    status: &'a str,
    backups: Vec<(Option<When>, Option<i64>, bool)>,
}

fn plain(input: &str) -> Option<Backups> {
    let mut backups = Backups::default();
    let mut stanzas: Vec<Stanza> = Vec::new();
    let mut familiar = false;
    for line in input.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("stanza: ") {
            stanzas.push(Stanza { name, ..Stanza::default() });
        } else if line.starts_with("No stanzas exist in") {
            nothing(&mut backups);
            familiar = true;
        } else if let Some(stanza) = stanzas.last_mut() {
            stanza.line(line);
        } else if line.contains("ERROR: [") || line.contains("pgbackrest: ") && complaint(line).is_some() {
            let (code, words) = complaint(line).unwrap_or(("io_error", "the tool gave up"));
            backups.fault(code, words);
            familiar = true;
        }
    }
    for stanza in stanzas.iter().filter(|stanza| !stanza.status.is_empty()) {
        familiar = true;
        stanza.close(&mut backups);
    }
    familiar.then_some(backups)
}

impl<'a> Stanza<'a> {
    fn line(&mut self, line: &'a str) {
        if let Some(status) = line.strip_prefix("status: ").filter(|_| self.status.is_empty()) {
            self.status = status;
        } else if ["full backup: ", "incr backup: ", "diff backup: "].iter().any(|kind| line.starts_with(kind)) {
            self.backups.push((None, None, false));
        } else if let Some(backup) = self.backups.last_mut() {
            if let Some(both) = line.strip_prefix("timestamp start/stop: ") {
                backup.0 = stamp(both.split_once(" / ").map(|(_, stop)| stop));
            } else if let Some(size) = line.strip_prefix("database size: ") {
                backup.1 = size.split(',').next().and_then(|word| text::size(word.trim()));
            } else if line.starts_with("error(s) detected during backup") || line.starts_with("error list:") {
                backup.2 = true;
            }
        }
    }

    fn close(&self, backups: &mut Backups) {
        let good: Vec<(When, Option<i64>)> = self.backups.iter().filter(|(.., error)| !error).filter_map(|(when, size, _)| Some(((*when)?, *size))).collect();
        let times: Vec<When> = good.iter().map(|(when, _)| *when).collect();
        let newest = good.iter().max_by_key(|(when, _)| when.earliest_ms());
        let damaged = self.backups.last().is_some_and(|(.., error)| *error);
        let undated = self.backups.iter().filter(|(when, ..)| when.is_none()).count();
        if undated > 0 {
            backups.fault("malformed", &format!("{undated} backups without a moment that can be meant"));
        }
        let (word, rest) = self.status.split_once(' ').unwrap_or((self.status, ""));
        match word {
            "ok" => {}
            "error" | "mixed" if rest.contains("no valid backups") => status(2, "", backups),
            "error" | "mixed" if rest.contains("missing stanza") => status(3, "", backups),
            "mixed" => status(4, "", backups),
            _ => status(99, rest, backups),
        }
        backups.push(BackupRecord {
            size_bytes: newest.and_then(|(_, size)| *size),
            generations: i64::try_from(self.backups.len()).ok().filter(|count| *count > 0),
            damaged: damaged.then_some(true),
            ..BackupRecord::of(Some(self.name.to_owned()), &times)
        });
    }
}

#[cfg(test)]
mod tests;
