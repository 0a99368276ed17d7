//! Updates as JSON: one object, a list, or a list inside an object, with the names of Windows' interfaces in any case.

use super::title::{self, Class};
use super::{Pending, Updates};
use crate::patch::PatchRecord;
use crate::verdict::fault;
use crate::when::{Order, When, order_of};
use crate::{RECORDS_MAX, text, trouble};
use serde_json::Value;
use std::collections::BTreeMap;

/// Entries that are looked at: a history of years has some thousands.
const ENTRIES_MAX: usize = 16 * RECORDS_MAX;
/// Categories of one update.
const CATEGORIES_MAX: usize = 16;

/// The value of a name in any case, with or without `_` between its words; a value that PowerShell wraps in an object of its
/// own is taken out.
fn field<'a>(entry: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let object = entry.as_object()?;
    let same = |key: &str, name: &str| key.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase()).eq(name.bytes().map(|b| b.to_ascii_lowercase()));
    let value = names.iter().find_map(|name| object.iter().find(|(key, value)| same(key, name) && !value.is_null()))?.1;
    Some(value.get("value").unwrap_or(value))
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn said(entry: &Value, names: &[&str]) -> Option<String> {
    field(entry, names).and_then(word)
}

const DATES: &[&str] = &["Date", "InstalledOn", "InstallDate", "InstallTime"];
const RESULTS: &[&str] = &["ResultCode", "Result"];
const REBOOT: &[&str] = &["RebootRequired"];

/// How a try of the history ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Well,
    Badly,
    NotYet,
    Removed,
}

pub(super) fn read(root: &Value) -> Option<Updates> {
    let inner = field(root, &["value", "Updates", "History", "Entries"]).and_then(Value::as_array);
    let list: Vec<&Value> = match inner.or_else(|| root.as_array()) {
        Some(list) => list.iter().collect(),
        None => vec![root],
    };
    let mut updates = Updates::default();
    let known: Vec<&Value> = list.iter().copied().filter(|entry| said(entry, &["Title", "HotFixID", "KB"]).is_some()).collect();
    if known.is_empty() && !list.is_empty() {
        return None;
    }
    for (number, _) in list.iter().enumerate().filter(|(_, entry)| said(entry, &["Title", "HotFixID", "KB"]).is_none()) {
        fault(&mut updates.faults, trouble::fault("malformed", &format!("entry {}: without a title", number + 1)));
    }
    if known.len() > ENTRIES_MAX {
        fault(&mut updates.faults, trouble::fault("too_many", &format!("more than {ENTRIES_MAX} updates: the rest is left out")));
    }
    let known = known.get(..known.len().min(ENTRIES_MAX)).unwrap_or_default();
    let dates: Vec<String> = known.iter().filter_map(|entry| said(entry, DATES)).collect();
    let order = order_of(dates.iter().map(String::as_str));
    let (past, waiting): (Vec<&Value>, Vec<&Value>) = known.iter().copied().partition(|entry| is_history(entry));
    if !past.is_empty() {
        history(&past, order, &mut updates);
    }
    if !waiting.is_empty() {
        pending(&waiting, &mut updates.record);
    }
    let told = field(root, REBOOT).and_then(Value::as_bool);
    let any = known.iter().any(|entry| field(entry, REBOOT).and_then(Value::as_bool) == Some(true));
    updates.record.reboot_required = if any { Some(true) } else { told };
    Some(updates)
}

fn is_history(entry: &Value) -> bool {
    field(entry, RESULTS).is_some()
        || field(entry, &["HotFixID", "Operation", "OperationName"]).is_some()
        || field(entry, &["IsInstalled"]) == Some(&Value::Bool(true))
}

fn class(entry: &Value) -> Class {
    let names = |value: &Value| word(value).into_iter().chain(["Name", "CategoryID"].iter().filter_map(|name| said(value, &[name]))).collect::<Vec<_>>();
    let categories = match field(entry, &["Categories", "Category", "Classification", "Description"]) {
        Some(Value::Array(list)) => list.iter().take(CATEGORIES_MAX).flat_map(names).collect(),
        // A description is a sentence, but of `Get-HotFix`, where it is the category.
        Some(Value::String(text)) if text.len() <= 40 => vec![text.clone()],
        Some(value @ Value::Object(_)) => names(value),
        _ => Vec::new(),
    };
    title::of(&said(entry, &["Title", "HotFixID", "KB"]).unwrap_or_default(), &categories, said(entry, &["MsrcSeverity", "Severity"]).as_deref())
}

fn pending(waiting: &[&Value], record: &mut PatchRecord) {
    let mut pending = Pending::default();
    waiting.iter().for_each(|entry| pending.add(class(entry)));
    pending.tell(record);
}

/// Of each update the last try counts; the history is newest first where it has no dates.
fn history(past: &[&Value], order: Order, updates: &mut Updates) {
    let mut last: BTreeMap<String, (i64, Ended)> = BTreeMap::new();
    let (mut definitions, mut newest) = (0, None::<When>);
    for entry in past {
        if class(entry) == Class::Definitions {
            definitions += 1;
            continue;
        }
        let Some(ended) = ended(entry) else {
            fault(&mut updates.faults, trouble::fault("malformed", "an entry whose result cannot be read"));
            continue;
        };
        let date = field(entry, DATES).and_then(|value| date(value, order));
        if ended == Ended::Well && date.is_some_and(|date| newest.is_none_or(|newest| date.earliest_ms() > newest.earliest_ms())) {
            newest = date;
        }
        let at = date.map_or(i64::MIN, When::earliest_ms);
        let known = last.entry(identity(entry)).or_insert((at, ended));
        if at > known.0 {
            *known = (at, ended);
        }
    }
    let count = |wanted: Ended| i64::try_from(last.values().filter(|(_, ended)| *ended == wanted).count()).unwrap_or(i64::MAX);
    updates.record.applied = Some(count(Ended::Well));
    updates.record.failed = Some(count(Ended::Badly));
    updates.record.last_applied_at = newest;
    updates.record.definitions = Some(definitions);
    updates.begun = count(Ended::NotYet);
}

fn identity(entry: &Value) -> String {
    let nested = field(entry, &["UpdateIdentity"]).and_then(|identity| said(identity, &["UpdateID"]));
    let title = || said(entry, &["Title"]).map(|title| text::plain(&title));
    nested.or_else(|| said(entry, &["UpdateID", "HotFixID"])).or_else(title).or_else(|| said(entry, &["KB"])).unwrap_or_default()
}

fn ended(entry: &Value) -> Option<Ended> {
    let removed = said(entry, &["Operation", "OperationName"]).is_some_and(|operation| operation == "2" || operation.to_lowercase().starts_with("uninstall"));
    let Some(result) = said(entry, RESULTS) else {
        // What is listed as installed has no result.
        return Some(if removed { Ended::Removed } else { Ended::Well });
    };
    Some(match result.to_lowercase().replace([' ', '_', '-'], "").as_str() {
        "2" | "3" | "succeeded" | "succeededwitherrors" | "success" | "installed" | "orcsucceeded" | "orcsucceededwitherrors" | "成功" => {
            if removed {
                Ended::Removed
            } else {
                Ended::Well
            }
        }
        "4" | "5" | "failed" | "aborted" | "cancelled" | "orcfailed" | "orcaborted" | "失敗" | "中止" => Ended::Badly,
        "0" | "1" | "notstarted" | "inprogress" | "inprogress/rebootpending" | "orcinprogress" | "orcnotstarted" | "進行中" => Ended::NotYet,
        _ => return None,
    })
}

/// A text in any form, or seconds or milliseconds since 1970.
fn date(value: &Value, order: Order) -> Option<When> {
    match value {
        Value::String(text) if text.len() >= 9 && text.bytes().all(|b| b.is_ascii_digit()) => since_1970(text::whole(text)?),
        Value::String(text) => When::read(text, order),
        Value::Number(number) => since_1970(number.as_i64()?),
        Value::Object(_) => said(value, &["DateTime"]).and_then(|text| When::read(&text, order)),
        _ => None,
    }
}

fn since_1970(number: i64) -> Option<When> {
    When::utc(if number.abs() < 100_000_000_000 { number.checked_mul(1000)? } else { number })
}
