//! Prometheus' text, version 0.0.4.

use super::sample::{self, Broken, Sample, is_name};
use super::{Metrics, Type, Unreadable, When};
use std::collections::{BTreeMap, BTreeSet};

/// What is told of a family, and whether samples of it stood before.
#[derive(Default)]
struct Family {
    kind: Option<Type>,
    help: bool,
    samples: bool,
}

pub(super) fn read(input: &str) -> Result<Metrics, Unreadable> {
    let mut metrics = Metrics::default();
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (index, line) in input.split_inclusive('\n').enumerate() {
        let broken = |what| Unreadable::Broken { line: index + 1, what };
        let text = line.strip_suffix('\n').ok_or(broken("the last line has no end: the file is not whole"))?;
        let trimmed = text.trim_matches([' ', '\t']);
        if trimmed.is_empty() {
            continue;
        }
        if let Some(comment) = trimmed.strip_prefix('#') {
            about(comment, &mut families).map_err(broken)?;
            continue;
        }
        let sample = sample::read(text, false).map_err(broken)?;
        let kind = family(&sample, &mut families).map_err(broken)?;
        if !seen.insert(format!("{}{{{}", sample.name, sample.key(None))) {
            return Err(broken("the same series stands here twice"));
        }
        #[allow(clippy::cast_possible_truncation, reason = "it was read from whole milliseconds")]
        let measured = sample.timestamp.and_then(|ms| When::utc(ms as i64));
        metrics.put(sample, kind, None, measured);
    }
    Ok(metrics)
}

/// ` TYPE NAME KIND`, ` HELP NAME TEXT`; any other comment says nothing.
fn about(comment: &str, families: &mut BTreeMap<String, Family>) -> Result<(), Broken> {
    let comment = comment.trim_start_matches([' ', '\t']);
    let (word, rest) = comment.split_once([' ', '\t']).unwrap_or((comment, ""));
    if !["TYPE", "HELP"].contains(&word) {
        return Ok(());
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    let (name, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    if !is_name(name, true) {
        return Err("the name of a metric belongs behind TYPE or HELP");
    }
    let family = families.entry(name.to_owned()).or_default();
    if word == "HELP" {
        return if std::mem::replace(&mut family.help, true) { Err("a second HELP of the same metric") } else { Ok(()) };
    }
    let kind = match rest.trim_matches([' ', '\t']).to_ascii_lowercase().as_str() {
        "counter" => Type::Counter,
        "gauge" => Type::Gauge,
        "summary" => Type::Summary,
        "histogram" => Type::Histogram,
        "untyped" => Type::Unknown,
        _ => return Err("a type is counter, gauge, summary, histogram or untyped"),
    };
    if family.samples {
        return Err("TYPE stands behind samples of its metric");
    }
    if family.kind.replace(kind).is_some() { Err("a second TYPE of the same metric") } else { Ok(()) }
}

/// The type of a sample's family.
fn family(sample: &Sample, families: &mut BTreeMap<String, Family>) -> Result<Type, Broken> {
    for (suffix, kinds) in [("_bucket", &[Type::Histogram][..]), ("_sum", &[Type::Histogram, Type::Summary]), ("_count", &[Type::Histogram, Type::Summary])] {
        let Some(family) = sample.name.strip_suffix(suffix).and_then(|base| families.get_mut(base)) else { continue };
        if let Some(kind) = family.kind.filter(|kind| kinds.contains(kind)) {
            family.samples = true;
            let edge = sample.label("le").and_then(sample::number);
            return if suffix == "_bucket" && edge.is_none() { Err("a bucket has its upper bound in the label le") } else { Ok(kind) };
        }
    }
    let family = families.entry(sample.name.clone()).or_default();
    family.samples = true;
    let kind = family.kind.unwrap_or(Type::Unknown);
    if kind == Type::Summary && sample.label("quantile").and_then(sample::number).is_none() {
        return Err("a quantile is a number in the label quantile");
    }
    Ok(kind)
}
