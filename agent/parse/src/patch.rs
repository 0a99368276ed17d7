//! What the kinds about updates share: one record, and how it is judged.

use crate::verdict::Verdict;
use crate::when::When;
use crate::{Outcome, text};
use serde::Serialize;

/// What is known of a machine's updates. No package, service or user is named: names tell what a machine is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PatchRecord {
    /// Updates that the tool lists and that are not installed. Definitions of antivirus products are none.
    pub pending: Option<i64>,
    /// Of those, the ones for security; `None` where the list does not tell them apart.
    pub pending_security: Option<i64>,
    /// Packages that the tool keeps as they are: put on hold, or left out of an upgrade.
    pub held: Option<i64>,
    /// Whether what was installed takes effect only after a reboot.
    pub reboot_required: Option<bool>,
    /// When the list was fetched from which this is known.
    pub metadata_fresh_at: Option<When>,
    /// Updates for security that exist and are not offered to this machine, as they need another contract.
    pub withheld_security: Option<i64>,
    /// When the oldest update for security in the list was published.
    pub oldest_security_at: Option<When>,
    /// Packages that an upgrade would remove.
    pub removals: Option<i64>,
    /// Services, sessions and containers that still run what was replaced.
    pub services_outdated: Option<i64>,
    /// Updates in the history that are installed.
    pub applied: Option<i64>,
    /// Updates in the history whose last try failed.
    pub failed: Option<i64>,
    /// When the last update of the history was installed.
    pub last_applied_at: Option<When>,
    /// Definitions of antivirus products among what was listed; they are in no other number.
    pub definitions: Option<i64>,
    /// Name of the operating system, such as `debian`.
    pub os: Option<String>,
    /// Its version, such as `12`.
    pub os_version: Option<String>,
    /// The day on which its maker's support ends.
    pub support_end: Option<When>,
}

/// A list that is older says nothing of what is pending now: a week, in milliseconds.
const LIST_AGE_MAX_MS: i64 = 7 * DAY_MS;
/// A machine that gets updates gets some every month; two months, in milliseconds.
const HISTORY_AGE_MAX_MS: i64 = 62 * DAY_MS;
const DAY_MS: i64 = 86_400_000;

impl PatchRecord {
    /// Judges what is known. `at_ms` is the moment to judge ages by; without it none is judged.
    pub(crate) fn judge(&self, at_ms: Option<i64>, verdict: &mut Verdict) {
        let some = |count: Option<i64>| count.filter(|count| *count > 0);
        match (some(self.pending), self.pending_security) {
            (_, Some(count @ 1..)) => verdict.bad(format!("updates for security pending: {count}")),
            (Some(count), None) => verdict.unknown(format!("updates pending, whether for security is not told: {count}")),
            (Some(count), Some(_)) => verdict.note(format!("updates pending, none for security: {count}")),
            _ => {}
        }
        if let Some(count) = some(self.withheld_security) {
            verdict.bad(format!("updates for security that need another contract: {count}"));
        }
        if self.reboot_required == Some(true) {
            verdict.bad("updates take effect only after a reboot");
        }
        if let Some(count) = some(self.services_outdated) {
            verdict.bad(format!("services or processes that still run what was replaced: {count}"));
        }
        if let Some(count) = some(self.failed) {
            verdict.bad(format!("updates that failed to install: {count}"));
        }
        if let Some(count) = some(self.held) {
            verdict.note(format!("packages held back: {count}"));
        }
        if let Some(at) = at_ms {
            self.judge_ages(at, verdict);
        }
    }

    fn judge_ages(&self, at_ms: i64, verdict: &mut Verdict) {
        if self.pending.is_some() {
            match self.metadata_fresh_at {
                None => verdict.unknown("the input does not tell how old the list of updates is"),
                Some(fresh) if fresh.earliest_ms() > at_ms.saturating_add(DAY_MS) => verdict.unknown("the list of updates is from the future"),
                Some(fresh) if at_ms.saturating_sub(fresh.latest_ms()) > LIST_AGE_MAX_MS => {
                    verdict.unknown(format!("the list of updates is {} days old", at_ms.saturating_sub(fresh.latest_ms()) / DAY_MS));
                }
                Some(_) => {}
            }
        }
        if let Some(age) = self.last_applied_at.map(|last| at_ms.saturating_sub(last.latest_ms())).filter(|age| *age > HISTORY_AGE_MAX_MS) {
            verdict.unknown(format!("no update was installed for {} days", age / DAY_MS));
        }
        if let Some(end) = self.support_end.filter(|end| end.latest_ms() < at_ms) {
            verdict.bad(format!("support of this version ended on {}", end.shown().chars().take(10).collect::<String>()));
        }
    }

    /// The answer's numbers, record and freshness.
    pub(crate) fn tell(&self, outcome: &mut Outcome) {
        for (name, count) in [
            ("patches_pending", self.pending),
            ("patches_pending_security", self.pending_security),
            ("patches_held", self.held),
            ("patches_withheld_security", self.withheld_security),
            ("patches_failed", self.failed),
            ("services_outdated", self.services_outdated),
        ] {
            outcome.reading(name, &[], count.map(text::float), "count");
        }
        outcome.reading("reboot_required", &[], self.reboot_required.map(|required| if required { 1.0 } else { 0.0 }), "boolean");
        outcome.source_fresh_at = self.metadata_fresh_at.map(When::earliest_ms);
        outcome.record(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use crate::when::Order;
    use mimamori_shared::time;

    fn judged(record: &PatchRecord, at: Option<&str>) -> (Status, String) {
        let mut verdict = Verdict::default();
        record.judge(at.map(|at| time::parse(at).unwrap()), &mut verdict);
        let outcome = verdict.outcome("fine");
        (outcome.status, outcome.reason)
    }

    fn record(pending: i64, security: Option<i64>, fresh: Option<&str>) -> PatchRecord {
        let metadata_fresh_at = fresh.and_then(|fresh| When::read(fresh, Order::Unknown));
        PatchRecord { pending: Some(pending), pending_security: security, metadata_fresh_at, ..PatchRecord::default() }
    }

    #[test]
    fn nothing_pending_is_fine_only_while_the_list_is_fresh() {
        let fresh = Some("2026-11-20T00:00:00Z");
        assert_eq!(judged(&record(0, Some(0), None), None).0, Status::Ok);
        assert_eq!(judged(&record(0, Some(0), fresh), Some("2026-11-26T00:00:00Z")).0, Status::Ok);
        let (status, reason) = judged(&record(0, Some(0), fresh), Some("2026-11-28T00:00:00Z"));
        assert_eq!((status, reason.as_str()), (Status::Unknown, "the list of updates is 8 days old"));
        assert_eq!(judged(&record(0, Some(0), None), Some("2026-11-26T00:00:00Z")).0, Status::Unknown);
        assert_eq!(judged(&record(0, Some(0), fresh), Some("2026-11-01T00:00:00Z")).0, Status::Unknown);
        // Without a zone it may be half a day younger than it looks.
        assert_eq!(judged(&record(0, Some(0), Some("2026-11-20 00:00:00")), Some("2026-11-27T11:00:00Z")).0, Status::Ok);
    }

    #[test]
    fn updates_for_security_are_bad_and_what_is_not_told_is_unknown() {
        assert_eq!(judged(&record(5, Some(2), None), None), (Status::Bad, "updates for security pending: 2".to_owned()));
        assert_eq!(judged(&record(5, None, None), None).0, Status::Unknown);
        assert_eq!(judged(&record(5, Some(0), None), None), (Status::Ok, "fine; updates pending, none for security: 5".to_owned()));
        let withheld = PatchRecord { withheld_security: Some(1), ..PatchRecord::default() };
        assert_eq!(judged(&withheld, None).0, Status::Bad);
        let old = PatchRecord { support_end: When::read("2026-06-30", Order::Unknown), ..PatchRecord::default() };
        assert_eq!((judged(&old, None).0, judged(&old, Some("2026-06-30T12:00:00Z")).0), (Status::Ok, Status::Ok));
        assert_eq!(judged(&old, Some("2026-07-02T00:00:00Z")), (Status::Bad, "support of this version ended on 2026-06-30".to_owned()));
    }
}
