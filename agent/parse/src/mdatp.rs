//! Microsoft Defender for Endpoint of Linux and macOS: `mdatp health --output json`, or its text, of versions 100 and 101.
//! Names in JSON are `likeThis` and in text `like_this`; values come plain or in an object with `value` or `$type`. The
//! machine's, the organisation's and the device's identifiers and tags are left out.

use crate::antivirus::{self, AntivirusRecord};
use crate::verdict::Verdict;
use crate::when::{Order, When};
use crate::{Outcome, Unreadable, complaint, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// What it says of itself beside the record. `None` where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// The record.
    pub record: AntivirusRecord,
    /// Its own verdict.
    pub healthy: Option<bool>,
    /// Whether it has a licence.
    pub licensed: Option<bool>,
    /// How it calls its pattern, such as `up_to_date`.
    pub definitions: Option<String>,
    /// Whether the last try to renew the pattern failed.
    pub renewal_failed: Option<bool>,
    /// The day on which this version stops.
    pub expires_at: Option<When>,
}

const SUCH_AS: &str = "definitions_version : \"1.407.417.0\"";
/// Names of which a status has at least two.
const KNOWN: &[&str] = &[
    "healthy",
    "licensed",
    "engineversion",
    "appversion",
    "definitionsversion",
    "definitionsstatus",
    "definitionsupdated",
    "realtimeprotectionenabled",
    "passivemodeenabled",
    "automaticdefinitionupdateenabled",
    "cloudenabled",
];
/// Values looked at.
const VALUES_MAX: usize = 512;

/// Values by name, in small letters and without what parts words.
type Values = BTreeMap<String, String>;

/// Reads the status.
///
/// # Errors
/// When it is empty, no JSON although it begins so, or something else.
pub fn parse(input: &str) -> Result<Health, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let values = if input.trim_start().starts_with(['{', '[']) { of_json(&serde_json::from_str(input)?) } else { of_text(input) };
    if KNOWN.iter().filter(|name| values.contains_key(**name)).count() < 2 {
        return Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS });
    }
    Ok(health(&values))
}

fn name(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

fn of_json(root: &Value) -> Values {
    let word = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(list) => Some(if list.is_empty() { String::new() } else { format!("[{}]", list.len()) }),
        _ => None,
    };
    let root = root.get(0).unwrap_or(root);
    let object = root.as_object().into_iter().flatten().take(VALUES_MAX);
    object.filter_map(|(key, value)| Some((name(key), word(value.get("value").or_else(|| value.get("$type")).unwrap_or(value))?))).collect()
}

/// `name : value`, where the value is plain, in quotes or a list, with `[managed]` behind what the organisation decides.
fn of_text(input: &str) -> Values {
    let mut values = Values::new();
    for (key, value) in input.lines().filter_map(|line| line.split_once(':')).take(VALUES_MAX) {
        let value = value.trim();
        let value = value.strip_suffix("[managed]").unwrap_or(value).trim();
        values.insert(name(key), if value == "[]" { String::new() } else { value.trim_matches('"').to_owned() });
    }
    values
}

fn health(values: &Values) -> Health {
    let said = |key: &str| values.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
    let truth = |key: &str| match said(key) {
        Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        _ => None,
    };
    let enabled = truth("realtimeprotectionenabled");
    // Enabled and not there is off.
    let realtime = if truth("realtimeprotectionavailable") == Some(false) { enabled.map(|_| false) } else { enabled };
    Health {
        record: AntivirusRecord {
            product: "Microsoft Defender for Endpoint".to_owned(),
            engine: said("engineversion").and_then(antivirus::version),
            pattern_version: said("definitionsversion").and_then(antivirus::version),
            pattern_published_at: said("definitionsupdated").and_then(when),
            realtime,
            product_version: said("appversion").and_then(antivirus::version),
            pattern_age_minutes: said("definitionsupdatedminutesago").and_then(text::whole).filter(|age| *age < 4_294_967_295),
            passive: truth("passivemodeenabled"),
            ..AntivirusRecord::default()
        },
        healthy: truth("healthy"),
        licensed: truth("licensed"),
        definitions: said("definitionsstatus").map(snake),
        renewal_failed: values.get("definitionsupdatefailreason").map(|reason| !reason.trim().is_empty()),
        expires_at: said("productexpiration").and_then(when),
    }
}

/// `upToDate` and `up_to_date` are one word.
fn snake(word: &str) -> String {
    let mut snake = String::new();
    for letter in text::hardware(word).chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// A text, or a number of seconds, milliseconds or microseconds since 1970.
fn when(text: &str) -> Option<When> {
    if text.len() < 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return When::read(text, Order::Unknown);
    }
    let number = text::whole(text)?;
    When::utc(match number {
        0..100_000_000_000 => number.checked_mul(1000)?,
        100_000_000_000..100_000_000_000_000 => number,
        _ => number / 1000,
    })
}

const TOOL: &[&str] = &["mdatp", "sudo:"];
const COMPLAINTS: &[(&str, &str)] = &[
    ("could not connect to the daemon", "not_running"),
    ("daemon is not running", "not_running"),
    ("connection to the server is not established", "not_running"),
    ("unable to connect to the daemon", "not_running"),
    ("operation timed out", "timed_out"),
];

/// How the status reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let health = match parse(input) {
        Ok(health) => health,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    if health.healthy == Some(false) {
        verdict.bad("it is not healthy by its own word");
    }
    if health.licensed == Some(false) {
        verdict.bad("it has no licence");
    }
    match health.definitions.as_deref() {
        None | Some("up_to_date" | "updated") => {}
        // What it does not know itself, and what it is about to do, is not bad yet.
        Some(word @ ("unknown" | "updating" | "pending")) => verdict.unknown(format!("it calls its pattern {word}")),
        Some(word) => verdict.bad(format!("it calls its pattern {word}")),
    }
    if health.renewal_failed == Some(true) {
        verdict.bad("the last try to renew the pattern failed");
    }
    if health.expires_at.zip(at_ms).is_some_and(|(end, at)| end.latest_ms() < at) {
        verdict.bad("this version of the product has expired");
    }
    health.record.judge(at_ms, &mut verdict);
    let mut outcome = verdict.outcome("it is healthy, and its pattern is told");
    health.record.tell(&mut outcome);
    let observed = health.record.pattern_published_at.and_then(When::moment).zip(health.record.pattern_age_minutes);
    outcome.observed_at = observed.and_then(|(published, age)| published.checked_add(age.checked_mul(60_000)?));
    Ok(outcome)
}

#[cfg(test)]
mod tests;
