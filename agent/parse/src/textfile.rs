//! Metrics as other programs write them to a file: Prometheus' text (0.0.4) and OpenMetrics (1.0).
//!
//! As strict as the collectors that read such files: one line that breaks a rule refuses the whole file, and so does a series
//! that stands in it twice or a last line without its end, as a half-written file has. OpenMetrics is told by its `# EOF` or
//! by what only it has. Texts of help and exemplars are not kept.

use crate::verdict::Verdict;
use crate::when::When;
use crate::{Outcome, RECORDS_MAX, Unreadable, text};
use serde::Serialize;
use std::collections::BTreeMap;

mod classic;
mod family;
mod histogram;
mod openmetrics;
mod sample;

use sample::Sample;

/// A type of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the formats'")]
pub enum Type {
    /// Not told.
    Unknown,
    Gauge,
    Counter,
    Summary,
    Histogram,
    GaugeHistogram,
    Info,
    StateSet,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Its name, suffix included.
    pub metric: String,
    /// The type of the family it belongs to.
    #[serde(rename = "type")]
    pub kind: Type,
    /// By their names.
    pub labels: BTreeMap<String, String>,
    /// `None` for what is no number or without end: JSON has none of those.
    pub value: Option<f64>,
    /// `NaN`, `+Inf`, `-Inf` where it is one of those.
    pub special: Option<&'static str>,
    /// What the file calls the unit of the family.
    pub unit: Option<String>,
    /// When it was measured, where the file tells.
    pub measured_at: Option<When>,
}

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// In the file's order, at most [`RECORDS_MAX`].
    pub metrics: Vec<Metric>,
    /// Samples beyond.
    pub beyond: usize,
}

impl Metrics {
    fn put(&mut self, sample: Sample, kind: Type, unit: Option<&str>, measured_at: Option<When>) {
        if self.metrics.len() >= RECORDS_MAX {
            self.beyond += 1;
            return;
        }
        let value = sample.value;
        let special = if value.is_nan() {
            Some("NaN")
        } else if value.is_infinite() {
            Some(if value > 0.0 { "+Inf" } else { "-Inf" })
        } else {
            None
        };
        self.metrics.push(Metric {
            metric: text::plain(&sample.name),
            kind,
            labels: sample.labels.into_iter().map(|(name, value)| (text::plain(&name), text::plain(&value))).collect(),
            value: Some(value).filter(|value| value.is_finite()),
            special,
            unit: unit.map(text::plain).filter(|unit| !unit.is_empty()),
            measured_at,
        });
    }
}

/// Reads either format.
///
/// # Errors
/// When it is empty, or a line breaks a rule.
pub fn parse(input: &str) -> Result<Metrics, Unreadable> {
    if input.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    if is_openmetrics(input) { openmetrics::read(input) } else { classic::read(input) }
}

/// What only OpenMetrics has.
fn is_openmetrics(input: &str) -> bool {
    let only = |line: &str| {
        let kind = line.strip_prefix("# TYPE ").and_then(|rest| rest.rsplit(' ').next());
        line.starts_with("# EOF") || line.starts_with("# UNIT ") || matches!(kind, Some("info" | "stateset" | "gaugehistogram" | "unknown"))
    };
    input.lines().any(only)
}

/// Samples that were measured earlier than that before the moment given, in milliseconds, tell nothing of it: a day.
const AGE_MAX_MS: i64 = 86_400_000;

/// How the file reads for a human or a script. Nothing in it says what is bad, so what is read is fine; what holds no sample, or
/// tells itself that it is old, is unknown.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let metrics = parse(input)?;
    let mut verdict = Verdict::default();
    let oldest = metrics.metrics.iter().filter_map(|metric| metric.measured_at).map(When::earliest_ms).min();
    if metrics.metrics.is_empty() {
        verdict.unknown("no sample in it");
    }
    if let Some(age) = oldest.zip(at_ms).map(|(oldest, at)| at.saturating_sub(oldest)).filter(|age| *age > AGE_MAX_MS) {
        verdict.unknown(format!("measured up to {} days ago", age / AGE_MAX_MS));
    }
    if metrics.beyond > 0 {
        verdict.unknown(format!("{} samples beyond {RECORDS_MAX}", metrics.beyond));
    }
    let mut outcome = verdict.outcome(format!("{} samples", metrics.metrics.len()));
    if metrics.metrics.is_empty() {
        outcome.fault("empty", "no sample in it");
    }
    if metrics.beyond > 0 {
        outcome.fault("too_many", &format!("{} samples beyond {RECORDS_MAX}", metrics.beyond));
    }
    outcome.source_fresh_at = oldest;
    for metric in &metrics.metrics {
        let labels: Vec<String> = metric.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let series = if labels.is_empty() { metric.metric.clone() } else { format!("{}{{{}}}", metric.metric, labels.join(",")) };
        outcome.reading("metric", &[("series", &series)], metric.value, unit(metric));
        outcome.record(metric);
    }
    Ok(outcome)
}

/// The unit of a sample in the words of readings: by what the file says, else by the end of its name.
fn unit(metric: &Metric) -> &'static str {
    const UNITS: &[&str] = &["seconds", "bytes", "celsius", "volts", "amperes", "watts", "joules", "hertz", "ratio", "meters", "grams", "percent"];
    let name = metric.metric.trim_end_matches("_total");
    let named = |unit: &&&str| metric.unit.as_deref() == Some(**unit) || name.rsplit('_').next() == Some(**unit);
    if ["_bucket", "_count", "_created", "_gcount"].iter().any(|suffix| name.ends_with(suffix)) {
        return "count";
    }
    UNITS.iter().find(named).copied().unwrap_or("value")
}

#[cfg(test)]
mod tests;
