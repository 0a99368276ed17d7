//! What the kinds about the machine's clock share.

use crate::text;
use crate::verdict::Verdict;

/// A clock that differs by this much, in nanoseconds, orders events wrongly: a second.
const OFFSET_MAX_NS: i64 = 1_000_000_000;
/// A clock that has heard nothing for so long, in milliseconds, is not kept any more: a day, above the widest usual interval.
const SILENT_MAX_MS: i64 = 86_400_000;

/// Judges how far the clock is from its source's time, in nanoseconds.
pub(crate) fn judge_offset(offset_ns: Option<i64>, verdict: &mut Verdict) {
    if let Some(off) = offset_ns.filter(|offset| offset.saturating_abs() >= OFFSET_MAX_NS) {
        verdict.bad(format!("the clock differs by {:.3} s", text::float(off) / 1e9));
    }
}

/// Judges when the clock last heard its source. Without a moment to judge by, no age is judged.
pub(crate) fn judge_age(heard_ms: Option<i64>, at_ms: Option<i64>, verdict: &mut Verdict) {
    if let Some(age) = heard_ms.zip(at_ms).map(|(heard, at)| at.saturating_sub(heard)).filter(|age| *age > SILENT_MAX_MS) {
        verdict.bad(format!("the time source was last heard {} h ago", age / 3_600_000));
    }
}

/// Seconds of nanoseconds, for readings.
pub(crate) fn seconds(ns: Option<i64>) -> Option<f64> {
    ns.map(|ns| text::float(ns) / 1e9)
}
