//! OpenMetrics, version 1.0: lines, and what belongs together.

use super::family::Family;
use super::sample::{self, Broken, is_name};
use super::{Metrics, Type, Unreadable, When};
use std::collections::BTreeSet;

/// The file so far.
#[derive(Default)]
struct Reader {
    metrics: Metrics,
    family: Option<Family>,
    /// Names of samples that the families so far may have.
    names: BTreeSet<String>,
}

pub(super) fn read(input: &str) -> Result<Metrics, Unreadable> {
    let mut reader = Reader::default();
    let mut ended = false;
    let mut count = 0;
    for (index, line) in input.split_inclusive('\n').enumerate() {
        let broken = |what| Unreadable::Broken { line: index + 1, what };
        count = index + 1;
        if ended {
            return Err(broken("nothing belongs behind # EOF"));
        }
        let text = line.strip_suffix('\n').unwrap_or(line);
        if text == "# EOF" {
            ended = true;
            reader.close().map_err(broken)?;
        } else if text.is_empty() {
            return Err(broken("an empty line"));
        } else if text.starts_with('#') {
            reader.about(text).map_err(broken)?;
        } else {
            reader.sample(text).map_err(broken)?;
        }
    }
    if ended { Ok(reader.metrics) } else { Err(Unreadable::Broken { line: count, what: "# EOF is missing: the file is not whole" }) }
}

impl Reader {
    /// `# TYPE|HELP|UNIT NAME TEXT`
    fn about(&mut self, line: &str) -> Result<(), Broken> {
        let form = "a line with # is # TYPE, # HELP or # UNIT with the name of a metric and a text";
        let mut parts = line.splitn(4, ' ');
        let (Some("#"), Some(word), Some(name), Some(text)) = (parts.next(), parts.next(), parts.next(), parts.next()) else { return Err(form) };
        if !is_name(name, true) {
            return Err(form);
        }
        if self.family.as_ref().is_none_or(|family| family.name != name) {
            self.close()?;
            self.family = Some(Family::new(name));
        }
        let Some(family) = &mut self.family else { return Ok(()) };
        if family.has_samples {
            return Err("what tells of a metric stands behind its samples");
        }
        match word {
            "HELP" if !family.help => family.help = true,
            "UNIT" if family.unit.is_none() => family.unit = Some(text.to_owned()),
            "TYPE" if family.kind.is_none() => family.kind = Some(kind(text)?),
            "HELP" | "UNIT" | "TYPE" => return Err("a metric is told of twice"),
            _ => return Err(form),
        }
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), Broken> {
        let sample = sample::read(line, true)?;
        if self.family.as_ref().is_none_or(|family| !family.names().contains(&sample.name)) {
            self.close()?;
            self.family = Some(Family::new(&sample.name));
        }
        let Some(family) = &mut self.family else { return Ok(()) };
        if family.put(&sample)? {
            let measured_at = sample.timestamp.and_then(moment);
            self.metrics.put(sample, family.kind.unwrap_or(Type::Unknown), family.unit.as_deref(), measured_at);
        }
        Ok(())
    }

    /// The end of a family.
    fn close(&mut self) -> Result<(), Broken> {
        let Some(family) = self.family.take() else { return Ok(()) };
        // The name without an end is taken too.
        for name in family.names().into_iter().chain([family.name.clone()]).collect::<BTreeSet<_>>() {
            if !self.names.insert(name) {
                return Err("two metrics share a name, or the samples of one stand apart");
            }
        }
        family.close()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "what does not fit is held at the end of the range, and is no moment that can be meant")]
fn moment(seconds: f64) -> Option<When> {
    When::utc((seconds * 1000.0).floor() as i64)
}

fn kind(text: &str) -> Result<Type, Broken> {
    Ok(match text {
        "unknown" => Type::Unknown,
        "gauge" => Type::Gauge,
        "counter" => Type::Counter,
        "summary" => Type::Summary,
        "histogram" => Type::Histogram,
        "gaugehistogram" => Type::GaugeHistogram,
        "info" => Type::Info,
        "stateset" => Type::StateSet,
        _ => return Err("a type is unknown, gauge, counter, summary, histogram, gaugehistogram, info or stateset"),
    })
}
