//! What `mimamori-agent parse` prints: one shape for every kind.

use mimamori_shared::time;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// How what was read stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Read, and nothing is wrong.
    Ok,
    /// It cannot be told: the tool failed, or the source is too old. Never the same as fine.
    Unknown,
    /// Read, and something is wrong.
    Bad,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// What, by the field's standard name; the unit is not part of it.
    pub name: &'static str,
    /// Which one, where there are several.
    pub labels: BTreeMap<&'static str, String>,
    /// How much; always finite.
    pub value: f64,
    /// Of what: `celsius`, `bytes`, `seconds`, `percent`, `count`, …
    pub unit: &'static str,
}

/// Something that could not be read although the rest could.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// A word that programs may rely on.
    pub code: &'static str,
    /// What it was, for a human; plain text of bounded length.
    pub detail: String,
}

/// The answer of one kind about one input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// How it stands.
    pub status: Status,
    /// Why, in English; empty only when there is nothing to say.
    pub reason: String,
    /// When the tool looked, in milliseconds since 1970 UTC; `None` when the input does not say.
    #[serde(serialize_with = "moment")]
    pub observed_at: Option<i64>,
    /// How fresh that is which the tool looked at, in milliseconds since 1970 UTC; `None` when the input does not say.
    #[serde(serialize_with = "moment")]
    pub source_fresh_at: Option<i64>,
    /// The typed records, as JSON; a value the input does not hold is `null`.
    pub records: Vec<serde_json::Value>,
    /// The numbers in them.
    pub readings: Vec<Reading>,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

#[allow(clippy::ref_option, reason = "serde's signature")]
fn moment<S: Serializer>(ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    ms.map(time::show).serialize(serializer)
}

impl Outcome {
    /// An answer without numbers or faults yet.
    #[must_use]
    pub fn new(status: Status, reason: impl Into<String>) -> Outcome {
        Outcome { status, reason: reason.into(), observed_at: None, source_fresh_at: None, records: Vec::new(), readings: Vec::new(), faults: Vec::new() }
    }

    /// The answer when the tool itself says that it could not look: `unknown`, with its reason as a fault.
    #[must_use]
    pub fn cannot(code: &'static str, detail: &str) -> Outcome {
        let detail = crate::text::plain(detail);
        let mut outcome = Outcome::new(Status::Unknown, detail.clone());
        outcome.faults.push(Fault { code, detail });
        outcome
    }

    /// Adds a record.
    pub fn record(&mut self, record: &impl Serialize) {
        // A record is a plain structure of numbers and strings: making JSON of it cannot fail.
        self.records.push(serde_json::to_value(record).unwrap_or_default());
    }

    /// Adds a number, when there is one and it is finite.
    pub fn reading(&mut self, name: &'static str, labels: &[(&'static str, &str)], value: Option<f64>, unit: &'static str) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let labels = labels.iter().map(|(key, value)| (*key, crate::text::plain(value))).collect();
        self.readings.push(Reading { name, labels, value, unit });
    }

    /// Adds what could not be read.
    pub fn fault(&mut self, code: &'static str, detail: &str) {
        self.faults.push(Fault { code, detail: crate::text::plain(detail) });
    }
}
