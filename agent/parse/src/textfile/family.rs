//! The rules of one family of OpenMetrics.

use super::Type;
use super::histogram::Histogram;
use super::sample::{self, Broken, Sample};
use std::collections::BTreeSet;

/// One family so far.
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: Option<Type>,
    pub(super) help: bool,
    pub(super) unit: Option<String>,
    pub(super) has_samples: bool,
    /// Samples that are told apart by nothing but the label of a bucket, a quantile or a state stand together.
    group: Option<String>,
    groups: BTreeSet<String>,
    moment: Option<f64>,
    /// Series of the group at its moment.
    series: BTreeSet<String>,
    histogram: Histogram,
}

impl Family {
    pub(super) fn new(name: &str) -> Family {
        Family {
            name: name.to_owned(),
            kind: None,
            help: false,
            unit: None,
            has_samples: false,
            group: None,
            groups: BTreeSet::new(),
            moment: None,
            series: BTreeSet::new(),
            histogram: Histogram::default(),
        }
    }

    /// Names that its samples may have.
    pub(super) fn names(&self) -> Vec<String> {
        let suffixes: &[&str] = match self.kind.unwrap_or(Type::Unknown) {
            Type::Counter => &["_total", "_created"],
            Type::Summary => &["", "_sum", "_count", "_created"],
            Type::Histogram => &["_bucket", "_sum", "_count", "_created"],
            Type::GaugeHistogram => &["_bucket", "_gsum", "_gcount"],
            // Widespread exporters leave the suffix out.
            Type::Info => &["_info", ""],
            Type::Unknown | Type::Gauge | Type::StateSet => &[""],
        };
        suffixes.iter().map(|suffix| format!("{}{suffix}", self.name)).collect()
    }

    /// Takes a sample; false when the same one stood at the same moment, and counts once.
    pub(super) fn put(&mut self, sample: &Sample) -> Result<bool, Broken> {
        self.has_samples = true;
        let kind = self.kind.unwrap_or(Type::Unknown);
        let suffix = sample.name.get(self.name.len()..).unwrap_or_default().to_owned();
        check(sample, kind, &suffix, &self.name)?;
        let without = match (kind, suffix.as_str()) {
            (Type::Summary, "") => Some("quantile"),
            (Type::Histogram | Type::GaugeHistogram, "_bucket") => Some("le"),
            (Type::StateSet, _) => Some(self.name.as_str()),
            _ => None,
        };
        // Samples of information are told apart by all their labels, and stand together all the same.
        let group = if kind == Type::Info { String::new() } else { sample.key(without) };
        let new_moment = self.moment != sample.timestamp;
        if self.group.as_ref() == Some(&group) {
            if self.moment.is_some() != sample.timestamp.is_some() {
                return Err("samples with and without a moment stand together");
            }
            if kind != Type::Info && self.moment.zip(sample.timestamp).is_some_and(|(before, now)| before > now) {
                return Err("the moments of a series go backwards");
            }
        } else if !self.groups.insert(group.clone()) {
            return Err("samples that belong together stand apart");
        } else {
            self.series.clear();
        }
        if matches!(kind, Type::Histogram | Type::GaugeHistogram) {
            if new_moment || self.group.as_ref() != Some(&group) {
                std::mem::take(&mut self.histogram).close()?;
            }
            self.histogram.put(&suffix, sample)?;
        }
        if new_moment {
            self.series.clear();
        }
        self.group = Some(group);
        self.moment = sample.timestamp;
        let first = self.series.insert(format!("{}{{{}", sample.name, sample.key(None)));
        if !first && sample.timestamp.is_none() {
            return Err("the same series stands here twice");
        }
        Ok(first)
    }

    /// The rules that hold at its end.
    pub(super) fn close(self) -> Result<(), Broken> {
        if let Some(unit) = self.unit.as_deref().filter(|unit| !unit.is_empty()) {
            if !self.name.ends_with(&format!("_{unit}")) {
                return Err("the name of a metric ends with its unit");
            }
            if matches!(self.kind, Some(Type::Info | Type::StateSet)) {
                return Err("information and states have no unit");
            }
        }
        self.histogram.close()
    }
}

/// The rules of one sample.
fn check(sample: &Sample, kind: Type, suffix: &str, family: &str) -> Result<(), Broken> {
    let value = sample.value;
    if kind == Type::StateSet && sample.label(family).is_none() {
        return Err("a state has a label with the name of its metric");
    }
    if suffix == "_bucket"
        && !sample.label("le").is_some_and(|edge| sample::number(edge).is_some_and(|n| !n.is_nan() && (n != f64::INFINITY || edge == "+Inf")))
    {
        return Err("a bucket has its upper bound in the label le, the last one +Inf");
    }
    if ["_bucket", "_count", "_gcount"].contains(&suffix) && value.fract() != 0.0 {
        return Err("what is counted is a whole number");
    }
    if kind == Type::Summary && suffix.is_empty() {
        let quantile = sample.label("quantile").and_then(sample::number);
        if !quantile.is_some_and(|quantile| (0.0..=1.0).contains(&quantile)) || value < 0.0 {
            return Err("a quantile is from 0 to 1 in the label quantile, and not negative");
        }
    }
    if kind == Type::StateSet && value != 0.0 && value != 1.0 || kind == Type::Info && value != 1.0 {
        return Err("a state is 0 or 1, and information is 1");
    }
    if ["_total", "_sum", "_count", "_bucket", "_gcount", "_gsum"].contains(&suffix) && (value.is_nan() || value < 0.0 && suffix != "_gsum") {
        return Err("what only grows is a number that is not negative");
    }
    let may = matches!((kind, suffix), (Type::Histogram | Type::GaugeHistogram, "_bucket") | (Type::Counter, "_total"));
    if sample.exemplar && !may { Err("only buckets and counters have exemplars") } else { Ok(()) }
}
