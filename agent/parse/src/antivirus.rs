//! What the kinds about antivirus products share: one record, and how it is judged.

use crate::verdict::Verdict;
use crate::when::When;
use crate::{Outcome, text};
use serde::Serialize;

/// What is known of a product that looks for malware. Neither users nor files nor machines are named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AntivirusRecord {
    /// Its name.
    pub product: String,
    /// Version of the engine.
    pub engine: Option<String>,
    /// Version of the pattern (definitions, signatures), as the product writes it.
    pub pattern_version: Option<String>,
    /// When the pattern was made, or, of products that tell no more, last renewed.
    pub pattern_published_at: Option<When>,
    /// Whether what is opened is looked at, now.
    pub realtime: Option<bool>,
    /// Version of the product.
    pub product_version: Option<String>,
    /// How old the pattern was by the product's own word, in minutes.
    pub pattern_age_minutes: Option<i64>,
    /// How many signatures the pattern has.
    pub signatures: Option<i64>,
    /// Whether it only looks on while another product protects.
    pub passive: Option<bool>,
    /// The end of the last quick scan.
    pub last_quick_scan_at: Option<When>,
    /// The end of the last full scan.
    pub last_full_scan_at: Option<When>,
    /// Objects in quarantine.
    pub quarantined: Option<i64>,
}

/// A pattern that is older does not know what goes around: a week, in milliseconds. Products warn then themselves.
const PATTERN_AGE_MAX_MS: i64 = 7 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// A version, or `None` for what stands there when there is none.
pub(crate) fn version(text: &str) -> Option<String> {
    let version = text::hardware(text);
    version.bytes().any(|b| (b'1'..=b'9').contains(&b)).then_some(version)
}

impl AntivirusRecord {
    /// Judges what is known. `at_ms` is the moment to judge ages by; without it only what the product itself says of the
    /// pattern's age counts.
    pub(crate) fn judge(&self, at_ms: Option<i64>, verdict: &mut Verdict) {
        match (self.passive, self.realtime) {
            (Some(true), _) => verdict.unknown("it only looks on: another product has to protect this machine"),
            (_, Some(false)) => verdict.bad("protection in real time is off"),
            _ => {}
        }
        if let Some(age) = self.pattern_age_minutes.filter(|age| age.saturating_mul(MINUTE_MS) > PATTERN_AGE_MAX_MS) {
            verdict.bad(format!("the pattern was {} days old", age / (24 * 60)));
        }
        match (self.pattern_published_at, at_ms) {
            (None, _) if self.pattern_age_minutes.is_none() => verdict.unknown("the date of the pattern is not told"),
            (None, Some(_)) => verdict.unknown("the date of the pattern cannot be read"),
            (Some(published), Some(at)) if published.earliest_ms() > at.saturating_add(DAY_MS) => verdict.unknown("the pattern is from the future"),
            (Some(published), Some(at)) if at.saturating_sub(published.latest_ms()) > PATTERN_AGE_MAX_MS => {
                verdict.bad(format!("the pattern is {} days old", at.saturating_sub(published.latest_ms()) / DAY_MS));
            }
            _ => {}
        }
        if let Some(count) = self.quarantined.filter(|count| *count > 0) {
            verdict.note(format!("objects in quarantine: {count}"));
        }
    }

    /// The answer's numbers, record and freshness.
    pub(crate) fn tell(&self, outcome: &mut Outcome) {
        let age_s = self.pattern_age_minutes.map(|age| text::float(age.saturating_mul(60)));
        outcome.reading("pattern_age", &[], age_s, "seconds");
        outcome.reading("antivirus_realtime", &[], self.realtime.map(|on| if on { 1.0 } else { 0.0 }), "boolean");
        outcome.reading("antivirus_quarantined", &[], self.quarantined.map(text::float), "count");
        outcome.source_fresh_at = self.pattern_published_at.map(When::earliest_ms);
        outcome.record(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use crate::when::Order;
    use mimamori_shared::time;

    fn judged(record: &AntivirusRecord, at: Option<&str>) -> (Status, String) {
        let mut verdict = Verdict::default();
        record.judge(at.map(|at| time::parse(at).unwrap()), &mut verdict);
        let outcome = verdict.outcome("fine");
        (outcome.status, outcome.reason)
    }

    fn record(published: &str) -> AntivirusRecord {
        AntivirusRecord { pattern_published_at: When::read(published, Order::Unknown), realtime: Some(true), ..AntivirusRecord::default() }
    }

    #[test]
    fn a_pattern_is_fine_only_while_it_is_young() {
        let young = record("2026-11-20T00:00:00Z");
        assert_eq!((judged(&young, None).0, judged(&young, Some("2026-11-26T00:00:00Z")).0), (Status::Ok, Status::Ok));
        assert_eq!(judged(&young, Some("2026-11-28T00:00:00Z")), (Status::Bad, "the pattern is 8 days old".to_owned()));
        assert_eq!(judged(&young, Some("2026-11-01T00:00:00Z")).0, Status::Unknown);
        assert_eq!(judged(&record("1601-01-01"), None), (Status::Unknown, "the date of the pattern is not told".to_owned()));
        let told = AntivirusRecord { pattern_age_minutes: Some(8 * 24 * 60), ..record("") };
        assert_eq!(judged(&told, None), (Status::Bad, "the pattern was 8 days old".to_owned()));
    }

    #[test]
    fn protection_that_is_off_is_bad_unless_another_product_protects() {
        let off = AntivirusRecord { realtime: Some(false), ..record("2026-11-20") };
        assert_eq!(judged(&off, None).0, Status::Bad);
        assert_eq!(judged(&AntivirusRecord { passive: Some(true), ..off }, None).0, Status::Unknown);
    }

    #[test]
    fn zeros_are_no_version() {
        assert_eq!((version("0.0.0.0"), version(""), version("1.369.923.0")), (None, None, Some("1.369.923.0".to_owned())));
    }
}
