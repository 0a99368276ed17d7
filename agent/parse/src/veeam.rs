//! Veeam: what is exported of its jobs and their sessions.
//!
//! Sections of monitoring agents (`<<<veeam_jobs:sep(9)>>>`, also tape, CDP, Microsoft 365 and per-machine ones); objects of
//! its PowerShell module and of `veeamconfig session list` as list, table, CSV or JSON; answers of its REST interfaces
//! (`sessions`, `jobs/states`, `backupSessions`); and the statistics of its Enterprise Manager. A job is one set.

use crate::backup::{BackupRecord, Backups, Ended, complaint};
use crate::powershell::{self, Row};
use crate::when::{Order, When, order_of};
use crate::{Outcome, Unreadable};
use serde_json::Value;

mod sections;
mod statistics;
mod table;

const SUCH_AS: &str = "<<<veeam_jobs:sep(9)>>>";

/// Reads any of them.
///
/// # Errors
/// When it is empty, or something else.
pub fn parse(input: &str) -> Result<Backups, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let foreign = Unreadable::Foreign { line: first + 1, such_as: SUCH_AS };
    if input.trim_start().starts_with(['{', '[']) {
        return json(&serde_json::from_str(input)?).ok_or(foreign);
    }
    if let Some(rows) = sections::read(input) {
        return Ok(jobs(&rows));
    }
    let rows = match table::read(input) {
        rows if rows.is_empty() => powershell::read(input)?,
        rows => rows,
    };
    let rows: Vec<Row> = rows.into_iter().filter(tells_of_a_job).collect();
    if !rows.is_empty() {
        return Ok(jobs(&rows));
    }
    let (code, words) = input.lines().find_map(said).ok_or(foreign)?;
    let mut backups = Backups::default();
    backups.fault(code, words);
    Ok(backups)
}

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    Ok(parse(input)?.outcome(at_ms))
}

/// What PowerShell and the module say when they cannot look.
fn said(line: &str) -> Option<(&'static str, &'static str)> {
    let lower = line.to_lowercase();
    if lower.contains("failed to connect to veeam") || lower.contains("unable to connect to veeam") {
        return Some(("unreachable", "the server of the backups cannot be reached"));
    }
    let names = ["get-vbr", "add-pssnapin", "veeam", "connect-vbrserver"];
    complaint(line).filter(|_| names.iter().any(|name| lower.contains(name)))
}

fn json(root: &Value) -> Option<Backups> {
    if let Some(backups) = statistics::read(root) {
        return Some(backups);
    }
    let mut backups = Backups::default();
    if let Some(error) = root.get("errorCode").and_then(Value::as_str) {
        let denied = ["AccessDenied", "Forbidden", "Unauthorized"].contains(&error);
        backups.fault(if denied { "permission_denied" } else { "io_error" }, "the server refuses to tell");
        return Some(backups);
    }
    let lists = ["data", "results", "BackupJobSessions", "Entities", "value"];
    let list = lists.iter().find_map(|name| root.get(name).and_then(Value::as_array)).or_else(|| root.as_array());
    let alone = std::slice::from_ref(root);
    let items = list.map_or(alone, Vec::as_slice);
    if items.is_empty() {
        backups.fault("empty", "no session in it");
        return Some(backups);
    }
    let rows: Vec<Row> = items.iter().take(crate::RECORDS_MAX * 4).map(properties).filter(tells_of_a_job).collect();
    (!rows.is_empty()).then(|| jobs(&rows))
}

/// The properties of one object, by name in lower case; of an object within it, the value of the same name.
fn properties(item: &Value) -> Row {
    let word = |key: &str, value: &Value| match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(inner) => inner.get(key).or_else(|| inner.get("value")).and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    item.as_object().into_iter().flatten().take(256).filter_map(|(key, value)| Some((key.to_ascii_lowercase(), word(key, value)?))).collect()
}

fn get<'a>(row: &'a Row, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| row.get(*name)).map(String::as_str).filter(|value| !value.is_empty())
}

const NAME: &[&str] = &["jobname", "job name", "name"];
const RESULT: &[&str] = &["result", "lastresult", "last result", "status", "lastsessionresult"];
const STATE: &[&str] = &["state", "laststate", "status"];
const BEGUN: &[&str] = &["creationtime", "creationtimeutc", "starttime", "started at", "created at", "executionstarttime", "lastrun"];
const ENDED: &[&str] = &["endtime", "endtimeutc", "stoptime", "finished at", "executionstoptime"];
const SIZE: &[&str] = &["totalsizebyte", "totalsize", "totalobjectssize"];
const ADDED: &[&str] = &["transferedsizebyte", "transferedsize", "transferredsize"];

fn tells_of_a_job(row: &Row) -> bool {
    get(row, NAME).is_some() && (ended(row).is_some() || get(row, &["result", "lastresult", "laststate"]).is_some())
}

/// How a session ended, in words or in the module's numbers.
fn ended(row: &Row) -> Option<Ended> {
    let word = |names: &[&str]| names.iter().filter_map(|name| row.get(*name)).find_map(|value| ended_word(value));
    let numbered = get(row, &["result", "lastresult"]).and_then(|value| match value {
        "0" => Some(Ended::Success),
        "1" => Some(Ended::Warning),
        "2" => Some(Ended::Failed),
        _ => None,
    });
    let (result, state) = (word(RESULT).or(numbered), word(STATE));
    match (result, state) {
        // While it runs, the result is that of nothing yet.
        (None | Some(Ended::Never), Some(Ended::Running)) => Some(Ended::Running),
        (result, state) => result.or(state),
    }
}

fn ended_word(word: &str) -> Option<Ended> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "success" | "成功" => Ended::Success,
        "warning" | "警告" => Ended::Warning,
        "failed" | "error" | "失敗" | "canceled" | "cancelled" => Ended::Failed,
        "working" | "running" | "inprogress" | "starting" | "stopping" | "postprocessing" | "pending" | "resuming" | "waitingtape" | "waitingrepository"
        | "runningwitherror" | "runningwithwarning" => Ended::Running,
        "none" | "never" | "neverexecuted" | "disabled" | "" => Ended::Never,
        _ => return None,
    })
}

/// One session: how it ended, and when. An end that is told and cannot be read is `unread`.
struct Session {
    ended: Option<Ended>,
    at: Option<When>,
    unread: bool,
    size: Option<i64>,
    added: Option<i64>,
}

/// One record for each job, from its sessions in any order.
fn jobs(rows: &[Row]) -> Backups {
    let mut backups = Backups::default();
    let moments = rows.iter().flat_map(|row| BEGUN.iter().chain(ENDED).filter_map(|name| row.get(*name))).map(String::as_str);
    let order = order_of(moments);
    let mut named: Vec<(&str, Vec<Session>)> = Vec::new();
    let mut place_of: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for row in rows {
        let Some(name) = get(row, NAME) else { continue };
        // The name of a session is its job's, and the moment behind it.
        let name = if row.contains_key("jobname") {
            name
        } else {
            name.rsplit_once('@').filter(|(_, when)| When::read(when, order).is_some()).map_or(name, |(job, _)| job)
        };
        let place = *place_of.entry(name).or_insert_with(|| {
            named.push((name, Vec::new()));
            named.len() - 1
        });
        if let Some((_, sessions)) = named.get_mut(place) {
            sessions.push(session(row, order));
        }
    }
    if rows.is_empty() {
        backups.fault("empty", "no job in it");
    }
    let unread = named.iter().flat_map(|(_, sessions)| sessions).filter(|session| session.unread).count();
    if unread > 0 {
        backups.fault("malformed", &format!("{unread} sessions without a moment that can be meant"));
    }
    named.iter().for_each(|(name, sessions)| backups.push(job(name, sessions)));
    backups
}

fn session(row: &Row, order: Order) -> Session {
    let told = get(row, ENDED).or_else(|| get(row, BEGUN));
    let at = [ENDED, BEGUN].iter().find_map(|names| moment(get(row, names)?, names.contains(&"endtimeutc") && row.contains_key("endtimeutc"), order));
    // Of a session that has not ended, the module tells the first day of all calendars.
    let ended = ended(row);
    let bytes = |names| get(row, names).and_then(crate::text::grouped);
    let unread = told.is_some()
        && (at.is_none() || get(row, ENDED).is_some_and(|text| moment(text, false, order).is_none()))
        && !matches!(ended, Some(Ended::Running | Ended::Never));
    Session { ended, at: at.filter(|_| !unread), unread, size: bytes(SIZE), added: bytes(ADDED) }
}

fn moment(text: &str, utc: bool, order: Order) -> Option<When> {
    let when = When::read(text, order)?;
    if utc && when.moment().is_none() { When::read(&format!("{text}Z"), order) } else { Some(when) }
}

fn job(name: &str, sessions: &[Session]) -> BackupRecord {
    let good: Vec<When> = sessions.iter().filter(|session| session.ended == Some(Ended::Success)).filter_map(|session| session.at).collect();
    let last = sessions.iter().reduce(|best, next| {
        let key = |session: &Session| session.at.map(When::earliest_ms);
        // Of those whose moment is not told, the first stands for the last run.
        if key(next) > key(best) { next } else { best }
    });
    let mut record = BackupRecord::of(Some(name.to_owned()), &good);
    record.result = last.and_then(|session| session.ended);
    record.last_run_at = last.and_then(|session| session.at);
    record.size_bytes = last.and_then(|session| session.size);
    record.added_bytes = last.and_then(|session| session.added);
    // Sessions are no backups that are kept.
    record.generations = None;
    record.oldest_at = None;
    record
}

#[cfg(test)]
mod tests;
