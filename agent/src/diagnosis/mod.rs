//! Self-diagnosis: what the readings say about how things stand, and since when.
//!
//! Pure. The core keeps what stands together with the outbox, so a change is durable before it is sent, survives
//! restarts, and is told once (I19). Only readings that may leave are judged: what is not consented is not found either.

mod checks;

pub use checks::{CHECKS, Check};

use mimamori_shared::fields::{Readings, Value};
use mimamori_shared::payload::{Fault, FaultCode, Finding, Standing};
use mimamori_shared::word::Word;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Findings that are kept at most; far above what 64 entries of every list give.
const STANDING_MAX: usize = 1024;

/// What is looked after: a check, and which one of a list.
pub type Subject = (Word, Option<Word>);

/// How it stands, and since when by the machine's clock in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// How.
    pub state: Standing,
    /// Since when.
    pub since_ms: i64,
}

/// Everything that is looked after, as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnosis {
    standing: BTreeMap<Subject, Since>,
}

/// The values of one entry of a section.
pub(crate) struct Entry<'a> {
    values: BTreeMap<&'static str, Value<'a>>,
}

impl Entry<'_> {
    /// A number.
    pub(crate) fn number(&self, field: &str) -> Option<i64> {
        match self.values.get(field) {
            Some(Value::Number(number)) => Some(*number),
            Some(Value::Text(_)) | None => None,
        }
    }

    /// A word.
    pub(crate) fn word(&self, field: &str) -> Option<&str> {
        match self.values.get(field) {
            Some(Value::Text(word)) => Some(word),
            Some(Value::Number(_)) | None => None,
        }
    }

    /// Whether a flag is set.
    pub(crate) fn flag(&self, field: &str) -> Option<bool> {
        self.number(field).map(|number| number != 0)
    }
}

impl Diagnosis {
    /// What was kept; what cannot be read is begun anew.
    #[must_use]
    pub fn read(kept: &[u8]) -> Diagnosis {
        let rows: Vec<(Word, Option<Word>, Since)> = serde_json::from_slice(kept).unwrap_or_default();
        let standing = rows.into_iter().take(STANDING_MAX).map(|(check, name, since)| ((check, name), since)).collect();
        Diagnosis { standing }
    }

    /// The same, to be kept.
    #[must_use]
    pub fn keep(&self) -> Vec<u8> {
        let rows: Vec<(&Word, &Option<Word>, &Since)> = self.standing.iter().map(|((check, name), since)| (check, name, since)).collect();
        serde_json::to_vec(&rows).unwrap_or_default()
    }

    /// What is looked after, with how it stands.
    pub fn standing(&self) -> impl Iterator<Item = (&Subject, &Since)> {
        self.standing.iter()
    }

    /// With one more look: what stands now, and what of it is new. `looked_at` says which sections the sample covers:
    /// the others stand as before.
    #[must_use]
    pub fn look(&self, readings: &Readings, faults: &[Fault], looked_at: &dyn Fn(&str) -> bool, now_ms: i64) -> (Diagnosis, Vec<Finding>) {
        let entries = entries(readings);
        let (mut standing, mut found) = (self.standing.clone(), Vec::new());
        for check in CHECKS.iter().filter(|check| looked_at(check.section())) {
            let (mut judged, mut silent) = (BTreeSet::new(), BTreeSet::new());
            for ((_, name), entry) in entries.iter().filter(|((section, _), _)| *section == check.section()) {
                let Some(subject) = subject(check, *name) else { continue };
                let before = self.standing.get(&subject).map(|since| since.state);
                let Some(state) = (check.judge)(entry, before) else {
                    silent.insert(subject);
                    continue;
                };
                judged.insert(subject.clone());
                // That something is in order is told only after it was not.
                if before == Some(state) {
                    continue;
                }
                if before.is_none() && standing.len() >= STANDING_MAX && !make_room(&mut standing) {
                    continue;
                }
                standing.insert(subject.clone(), Since { state, since_ms: now_ms });
                if before.is_some() || state != Standing::Ok {
                    found.push(finding(check, subject, state, now_ms, Some(entry)));
                }
            }
            // What was seen before and is not among the readings: it cannot be measured, or it is gone.
            let missing: Vec<Subject> = standing.keys().filter(|subject| subject.0.as_str() == check.id && !judged.contains(*subject)).cloned().collect();
            for subject in missing {
                let there = silent.contains(&subject) || is_faulty(check, &subject, faults);
                // The helper will tell.
                if faults.iter().any(|fault| fault.code == FaultCode::NotYet && is_faulty(check, &subject, std::slice::from_ref(fault))) {
                    continue;
                }
                // Sensors answer `na` at times; that is not gone.
                let state = if there || check.id == "sensor_alarm" { Standing::Unknown } else { Standing::Gone };
                if standing.get(&subject).is_some_and(|since| since.state == state) {
                    continue;
                }
                let before = standing.insert(subject.clone(), Since { state, since_ms: now_ms });
                // One thing that goes in good order is told once, not by every check that looked after it.
                let is_told = |found: &Finding| found.state == Standing::Gone && found.name == subject.1 && section_of(found) == check.section();
                let in_order = before.is_some_and(|before| before.state == Standing::Ok);
                if !(state == Standing::Gone && in_order && found.iter().any(is_told)) {
                    found.push(finding(check, subject, state, now_ms, None));
                }
            }
        }
        (Diagnosis { standing }, found)
    }
}

/// Forgets what has been gone for longest, else what nobody has known for longest, else what has been in order for longest;
/// never what is bad. False when everything is.
fn make_room(standing: &mut BTreeMap<Subject, Since>) -> bool {
    let rank = |since: &Since| match since.state {
        Standing::Gone => Some(0),
        Standing::Unknown => Some(1),
        Standing::Ok => Some(2),
        Standing::Bad => None,
    };
    let least = standing.iter().filter_map(|(subject, since)| Some((rank(since)?, since.since_ms, subject))).min();
    let Some(least) = least.map(|(.., subject)| subject.clone()) else { return false };
    standing.remove(&least).is_some()
}

/// A fault of the whole section, or of this very entry, says that it could not be measured.
fn is_faulty(check: &Check, subject: &Subject, faults: &[Fault]) -> bool {
    faults.iter().any(|fault| fault.section() == check.section() && (fault.name.is_none() || fault.name == subject.1))
}

fn section_of(finding: &Finding) -> &'static str {
    CHECKS.iter().find(|check| check.id == finding.check.as_str()).map_or("", |check| check.section())
}

fn subject(check: &Check, name: Option<&str>) -> Option<Subject> {
    let name = match name {
        Some(name) => Some(name.parse().ok()?),
        None => None,
    };
    Some((check.id.parse().ok()?, name))
}

fn finding(check: &Check, (id, name): Subject, state: Standing, since_ms: i64, entry: Option<&Entry<'_>>) -> Finding {
    let number = |field: &&'static str| Some((field.parse().ok()?, entry?.number(field)?));
    Finding { check: id, name, state, since_ms, evidence: check.evidence.iter().filter_map(number).collect() }
}

fn entries(readings: &Readings) -> BTreeMap<(&'static str, Option<&str>), Entry<'_>> {
    let mut entries = BTreeMap::new();
    readings.visit(|field, name, value| {
        let entry: &mut Entry<'_> = entries.entry((field.section, name)).or_insert_with(|| Entry { values: BTreeMap::new() });
        entry.values.insert(field.name, value);
    });
    entries
}

#[cfg(test)]
mod tests;
