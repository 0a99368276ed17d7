//! Kaspersky's products: `kesl-control --app-info` (text or JSON, English or Russian), what `kav4fs-control` prints of updates,
//! tasks and quarantine, and the two lines of a well-known script of monitoring on Windows. Dates are in the machine's own time.

use crate::antivirus::{self, AntivirusRecord};
use crate::verdict::{Verdict, fault};
use crate::when::{Order, When};
use crate::{Fault, Outcome, Unreadable, complaint, text, trouble};
use serde_json::Value;

/// What it says of itself beside the record. `None` where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kaspersky {
    /// The record.
    pub record: AntivirusRecord,
    /// Whether its pattern is in use.
    pub loaded: Option<bool>,
    /// Whether it calls its pattern up to date.
    pub up_to_date: Option<bool>,
    /// Whether its licence holds.
    pub licensed: Option<bool>,
    /// The day on which its licence ends.
    pub licence_end: Option<When>,
    /// Whether the last full scan ended well.
    pub scan_failed: Option<bool>,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

const SUCH_AS: &str = "Signatures 08.05.2026 01:23:00";

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Version,
    Published,
    Loaded,
    Records,
    UpToDate,
    Protection,
    TaskState,
    Objects,
    Licence,
    LicenceEnd,
    FullScan,
}

/// How names begin, in small letters, and whether such a name tells that it is Kaspersky's.
const FIELDS: &[(&str, Field, bool)] = &[
    ("name", Field::Name, false),
    ("название", Field::Name, false),
    ("version", Field::Version, false),
    ("версия", Field::Version, false),
    ("last release date of databases", Field::Published, true),
    ("дата последнего выпуска баз", Field::Published, true),
    ("current av databases date", Field::Published, true),
    ("anti-virus databases loaded", Field::Loaded, true),
    ("application databases loaded", Field::Loaded, true),
    ("базы программы загружены", Field::Loaded, true),
    ("антивирусные базы загружены", Field::Loaded, true),
    ("anti-virus database records", Field::Records, true),
    ("application database records", Field::Records, true),
    ("current av databases records", Field::Records, true),
    ("current av databases state", Field::UpToDate, true),
    ("file monitoring", Field::Protection, true),
    ("file threat protection", Field::Protection, true),
    ("защита от файловых угроз", Field::Protection, true),
    ("state", Field::TaskState, false),
    ("objects", Field::Objects, false),
    ("key status", Field::Licence, false),
    ("application license information", Field::Licence, false),
    ("license expiration date", Field::LicenceEnd, false),
    ("application license expiration date", Field::LicenceEnd, false),
    ("дата окончания срока действия лицензии", Field::LicenceEnd, false),
    ("last run date of the scan_my_computer task", Field::FullScan, true),
];
/// Headings and names that tell the same.
const OWN: &[&str] = &["<<<kaspersky_av", "quarantine/backup statistics", "runtime id"];
/// Tasks that look at what is opened, in small letters.
const PROTECTION_TASKS: &[&str] = &["real-time protection", "file monitoring", "file_monitoring", "file_threat_protection", "file threat protection"];

/// Reads the output.
///
/// # Errors
/// When it is empty, no JSON although it begins so, or something else.
pub fn parse(input: &str) -> Result<Kaspersky, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let mut found = Found::default();
    found.it.record.product = "Kaspersky".to_owned();
    if input.trim_start().starts_with('{') {
        found.object(&serde_json::from_str(input)?, 0);
    } else {
        input.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| found.line(line));
    }
    if found.own { Ok(found.it) } else { Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS }) }
}

#[derive(Debug, Default)]
struct Found {
    it: Kaspersky,
    /// Whether anything tells that it is Kaspersky's.
    own: bool,
    /// The task whose state comes.
    task: String,
}

impl Found {
    /// Names and values of an object, and of those in it.
    fn object(&mut self, value: &Value, depth: usize) {
        for (key, value) in value.as_object().into_iter().flatten().take(512) {
            match value {
                Value::String(text) => self.pair(key, text),
                Value::Bool(_) | Value::Number(_) => self.pair(key, &value.to_string()),
                Value::Object(_) if depth < 2 => self.object(value, depth + 1),
                _ => {}
            }
        }
    }

    fn line(&mut self, line: &str) {
        let lower = line.chars().take(200).collect::<String>().to_lowercase();
        self.own |= OWN.iter().any(|own| lower.starts_with(own));
        if let Some(date) = line.strip_prefix("Signatures ") {
            let published = When::read(date, Order::DayFirst);
            self.own |= published.is_some() || date.trim() == "Missing";
            self.it.record.pattern_published_at = published;
        } else if let Some(rest) = line.strip_prefix("Fullscan ") {
            self.own |= rest.trim() == "Missing";
            self.it.record.last_full_scan_at = When::read(rest, Order::DayFirst);
            let ended = rest.split_whitespace().nth(2).and_then(text::whole);
            self.it.scan_failed = ended.map(|ended| ended != 0);
        } else if lower.starts_with("getkaspersky") && lower.contains(" error:") {
            self.own = true;
            fault(&mut self.it.faults, trouble::fault("io_error", line));
        } else if let Some((key, value)) = line.split_once([':', '|']) {
            self.pair(key, value);
        }
    }

    fn pair(&mut self, key: &str, value: &str) {
        let (key, value) = (key.trim().to_lowercase(), value.trim());
        let Some((_, field, own)) = FIELDS.iter().find(|(name, ..)| key.starts_with(name)) else { return };
        self.own |= own;
        let it = &mut self.it;
        let word = value.to_lowercase();
        match field {
            Field::Name if word.contains("kaspersky") => {
                self.own = true;
                it.record.product = text::hardware(value);
            }
            Field::Name => self.task = word,
            Field::Version => it.record.product_version = antivirus::version(value),
            Field::Published => it.record.pattern_published_at = When::read(value, Order::DayFirst),
            Field::Loaded => it.loaded = yes(&word),
            Field::Records => it.record.signatures = text::grouped(value).filter(|_| !value.is_empty()),
            Field::UpToDate => it.up_to_date = Some(word.replace([' ', '_', '-'], "") == "uptodate"),
            Field::Protection => it.record.realtime = runs(&word),
            Field::TaskState if PROTECTION_TASKS.contains(&self.task.as_str()) => {
                self.own = true;
                it.record.realtime = runs(&word);
            }
            Field::TaskState => {}
            Field::Objects => it.record.quarantined = text::grouped(value).filter(|_| !value.is_empty()),
            Field::Licence => it.licensed = licence(&word),
            Field::LicenceEnd => it.licence_end = When::read(value, Order::DayFirst),
            Field::FullScan => it.record.last_full_scan_at = When::read(value, Order::DayFirst),
        }
    }
}

fn yes(word: &str) -> Option<bool> {
    match word {
        "yes" | "true" | "да" | "はい" => Some(true),
        "no" | "false" | "нет" | "いいえ" => Some(false),
        _ => None,
    }
}

/// Whether a part runs: `Available and running`, `Started`, `Available and stopped`, `Unavailable due to license limitation`.
fn runs(word: &str) -> Option<bool> {
    let has = |words: &[&str]| words.iter().any(|part| word.contains(part));
    if has(&[
        "stopped",
        "not running",
        "unavailable",
        "not available",
        "not started",
        "notstarted",
        "failed",
        "suspended",
        "disabled",
        "остановлен",
        "не запущен",
        "недоступ",
    ]) {
        Some(false)
    } else if has(&["running", "started", "enabled", "запущен", "включен"]) {
        Some(true)
    } else {
        None
    }
}

fn licence(word: &str) -> Option<bool> {
    let has = |words: &[&str]| words.iter().any(|part| word.contains(part));
    if has(&["invalid", "expired", "blocked", "not valid", "no key", "missing", "истек"]) {
        Some(false)
    } else {
        has(&["valid", "active", "действ"]).then_some(true)
    }
}

const TOOL: &[&str] = &["kesl", "kav", "kaspersky", "sudo:"];
const COMPLAINTS: &[(&str, &str)] =
    &[("failed to connect to", "not_running"), ("service is not running", "not_running"), ("не удалось подключиться", "not_running")];

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let it = match parse(input) {
        Ok(it) => it,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    if it.loaded == Some(false) {
        verdict.bad("its pattern is not loaded");
    }
    if it.up_to_date == Some(false) {
        verdict.bad("it calls its pattern too old");
    }
    if it.licensed == Some(false) || it.licence_end.zip(at_ms).is_some_and(|(end, at)| end.latest_ms() < at) {
        verdict.bad("its licence does not hold");
    }
    if it.scan_failed == Some(true) {
        verdict.note("the last full scan did not end well");
    }
    it.record.judge(at_ms, &mut verdict);
    let mut outcome = verdict.outcome_with("the date of its pattern is told, and nothing is wrong", it.faults);
    outcome.reading("pattern_signatures", &[], it.record.signatures.map(text::float), "count");
    it.record.tell(&mut outcome);
    Ok(outcome)
}

#[cfg(test)]
mod tests;
