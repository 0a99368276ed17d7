//! The rules of one group of a histogram's samples.

use super::sample::{self, Broken, Sample};

/// The buckets so far.
#[derive(Default)]
pub(super) struct Histogram {
    begun: bool,
    edge: Option<f64>,
    below: f64,
    negative: bool,
    count: Option<f64>,
    sum: bool,
    gauge_sum: bool,
    negative_sum: bool,
}

impl Histogram {
    pub(super) fn put(&mut self, suffix: &str, sample: &Sample) -> Result<(), Broken> {
        self.begun = true;
        match suffix {
            "_bucket" => {
                let edge = sample.label("le").and_then(sample::number).ok_or("a bucket has its upper bound in the label le")?;
                if self.edge.is_some_and(|before| edge <= before) || sample.value < self.below {
                    return Err("buckets stand by their bounds, and none holds less than one before it");
                }
                self.negative |= edge < 0.0;
                self.edge = Some(edge);
                self.below = sample.value;
            }
            "_count" | "_gcount" => self.count = Some(sample.value),
            "_sum" => self.sum = true,
            "_gsum" => {
                self.gauge_sum = true;
                self.negative_sum |= sample.value < 0.0;
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn close(self) -> Result<(), Broken> {
        if !self.begun {
            return Ok(());
        }
        if self.edge != Some(f64::INFINITY) {
            return Err("the bucket with le=\"+Inf\" is missing");
        }
        #[allow(clippy::float_cmp, reason = "both are whole numbers that the file states")]
        if self.count.is_some_and(|count| count != self.below) {
            return Err("the count is not that of the last bucket");
        }
        if (self.sum || self.gauge_sum) != self.count.is_some() {
            return Err("a sum and a count stand together or not at all");
        }
        if self.negative && self.sum {
            return Err("a histogram with bounds below zero has no sum");
        }
        if !self.negative && self.negative_sum { Err("a sum below zero needs bounds below zero") } else { Ok(()) }
    }
}
