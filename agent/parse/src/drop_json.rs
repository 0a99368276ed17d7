//! Our own published form for what a vendor's equipment says of its health: `mimamori.drop/1`, as `docs/drop-1.schema.json`
//! has it. Parts that wear out stand first among its readings, each with its limit and its unit.
//!
//! Strict: an unknown key, a key that stands twice and free text refuse the whole file.

use crate::verdict::{self, Verdict};
use crate::when::When;
use crate::{Outcome, Unreadable, text};
use serde::Serialize;

mod read;

pub use read::{Alias, Count, Limit, Moment, Number, Unit, Used, Version};

/// How a check, or the whole, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words are the schema's")]
pub enum Ending {
    Ok,
    Warning,
    Failed,
    Unknown,
}

/// One step of a diagnosis.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Which.
    pub check: Alias,
    /// How it ended.
    pub result: Ending,
    /// The vendor's code for what was found.
    #[serde(default)]
    pub code: Option<Alias>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Of what.
    pub reading: Alias,
    /// How much, in `unit`; null when it could not be measured.
    #[serde(deserialize_with = "read::present")]
    pub value: Option<Number>,
    /// Of it.
    pub unit: Unit,
    /// Least that is right, in `unit`.
    #[serde(default)]
    pub low: Option<Number>,
    /// Most that is right, in `unit`.
    #[serde(default)]
    pub high: Option<Number>,
}

/// One part that is used up.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WearPart {
    /// Which.
    pub part: Alias,
    /// How much of it is used since it is new, in `unit`.
    #[serde(deserialize_with = "read::present")]
    pub used: Option<Used>,
    /// How much may be used before it has to be replaced, in `unit`.
    #[serde(deserialize_with = "read::present")]
    pub limit: Option<Limit>,
    /// Of both.
    pub unit: Unit,
    /// When it was last replaced.
    #[serde(default)]
    pub replaced_at: Option<Moment>,
}

/// Errors of one code.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// The vendor's.
    pub code: Alias,
    /// How many since the equipment counts.
    pub count: Count,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// `mimamori.drop/1`.
    pub schema: Schema,
    /// Which equipment.
    pub device: Alias,
    /// Of its software.
    #[serde(default)]
    pub software: Option<Version>,
    /// When it looked at itself.
    pub observed_at: Moment,
    /// Of the whole.
    pub result: Ending,
    /// Parts that are used up.
    #[serde(default)]
    pub wear_parts: Vec<WearPart>,
    /// What was measured.
    #[serde(default)]
    pub readings: Vec<Measured>,
    /// Single steps.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Counted by code.
    #[serde(default)]
    pub errors: Vec<Errors>,
}

/// The schema's name and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
pub enum Schema {
    /// This one.
    #[serde(rename = "mimamori.drop/1")]
    One,
}

/// Entries of each list.
const LIST_MAX: usize = 256;
/// What looked at itself earlier than that before the moment given tells nothing of it, in milliseconds: two days.
const AGE_MAX_MS: i64 = 2 * 86_400_000;
/// From there on, in hundredths, a part is worth a word.
const WORN: f64 = 90.0;

/// Reads the file.
///
/// # Errors
/// When it is empty, or not as the schema has it.
pub fn parse(input: &str) -> Result<Diagnosis, Unreadable> {
    if input.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    let drop: Diagnosis = serde_json::from_str(input)?;
    let longest = [drop.wear_parts.len(), drop.readings.len(), drop.checks.len(), drop.errors.len()].into_iter().max();
    if longest > Some(LIST_MAX) { Err(Unreadable::Json { line: 1, what: format!("a list has more than {LIST_MAX} entries") }) } else { Ok(drop) }
}

fn judge(result: Ending, what: &str, verdict: &mut Verdict) {
    match result {
        Ending::Ok => {}
        Ending::Warning => verdict.bad(format!("{what}: warning")),
        Ending::Failed => verdict.bad(format!("{what}: failed")),
        Ending::Unknown => verdict.unknown(format!("{what}: not known")),
    }
}

impl WearPart {
    /// How much of it is used, in hundredths; `None` when one of both is not known.
    fn percent(&self) -> Option<f64> {
        self.used.as_ref().zip(self.limit.as_ref()).map(|(used, limit)| used.0 / limit.0 * 100.0)
    }

    fn judge(&self, verdict: &mut Verdict) {
        let part = &self.part.0;
        match (self.percent(), self.used.is_some()) {
            (Some(percent), _) if percent >= 100.0 => verdict.bad(format!("{part}: used up, {percent:.0} % of its limit")),
            (Some(percent), _) if percent >= WORN => verdict.note(format!("{part}: {percent:.0} % of its limit used")),
            (None, false) => verdict.unknown(format!("{part}: how much is used is not known")),
            _ => {}
        }
    }
}

impl Measured {
    fn judge(&self, verdict: &mut Verdict) {
        let name = &self.reading.0;
        let Some(value) = self.value.as_ref().map(|value| value.0) else {
            verdict.unknown(format!("{name}: not measured"));
            return;
        };
        if self.low.as_ref().is_some_and(|low| value < low.0) || self.high.as_ref().is_some_and(|high| value > high.0) {
            verdict.bad(format!("{name}: {value} {} is out of its limits", self.unit.word()));
        }
    }
}

/// How the file reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let drop = parse(input)?;
    let (mut verdict, mut faults) = (Verdict::default(), Vec::new());
    verdict::twice(drop.wear_parts.iter().map(|one| one.part.0.as_str()), &mut faults);
    verdict::twice(drop.readings.iter().map(|one| one.reading.0.as_str()), &mut faults);
    verdict::twice(drop.checks.iter().map(|one| one.check.0.as_str()), &mut faults);
    verdict::twice(drop.errors.iter().map(|one| one.code.0.as_str()), &mut faults);
    judge(drop.result, "self-diagnosis", &mut verdict);
    drop.checks.iter().for_each(|one| judge(one.result, &one.check.0, &mut verdict));
    drop.wear_parts.iter().for_each(|part| part.judge(&mut verdict));
    drop.readings.iter().for_each(|one| one.judge(&mut verdict));
    let observed = drop.observed_at.when().map(When::earliest_ms);
    match (observed, at_ms) {
        (None, _) => verdict.unknown("when it looked at itself stands for never"),
        (Some(observed), Some(at)) if at.saturating_sub(observed) > AGE_MAX_MS => {
            verdict.unknown(format!("it last looked at itself {} h ago", at.saturating_sub(observed) / 3_600_000));
        }
        (Some(observed), Some(at)) if observed.saturating_sub(at) > AGE_MAX_MS => verdict.unknown("it looked at itself in the future"),
        _ => {}
    }
    let mut outcome = verdict.outcome_with("self-diagnosis ok", faults);
    outcome.observed_at = observed;
    outcome.source_fresh_at = observed;
    for part in &drop.wear_parts {
        let labels = [("device", drop.device.0.as_str()), ("part", part.part.0.as_str())];
        outcome.reading("wear_used", &labels, part.used.as_ref().map(|used| used.0), part.unit.word());
        outcome.reading("wear_limit", &labels, part.limit.as_ref().map(|limit| limit.0), part.unit.word());
        outcome.reading("wear", &labels, part.percent(), "percent");
    }
    for one in &drop.readings {
        let labels = [("device", drop.device.0.as_str()), ("reading", one.reading.0.as_str())];
        outcome.reading("equipment_value", &labels, one.value.as_ref().map(|value| value.0), one.unit.word());
    }
    for one in &drop.errors {
        let labels = [("device", drop.device.0.as_str()), ("code", one.code.0.as_str())];
        outcome.reading("equipment_errors", &labels, Some(text::float(one.count.0)), "count");
    }
    outcome.record(&drop);
    Ok(outcome)
}

#[cfg(test)]
mod tests;
