//! Whether a drive is fine.
//!
//! What counts is how the drive stands now: its own verdict, thresholds that are crossed at this moment, sectors that
//! cannot be read at this moment, a last self-test that failed. What is counted since it was made — reallocated sectors,
//! entries in logs, attributes that failed once, errors of the media — is told beside the verdict and does not make it:
//! such a number never falls again, and a drive would be called bad for ever. How fast it rises is for the collector.

use super::{Drive, Protocol, WhenFailed};
use crate::{Status, text};

/// Meanings of the bits of an NVMe critical warning, from bit 0.
const WARNINGS: [&str; 6] = [
    "spare below threshold",
    "temperature out of its limits",
    "reliability degraded by media or internal errors",
    "media is read-only",
    "backup of volatile memory failed",
    "persistent memory unreliable",
];

/// smartctl's exit status: the drive says it is failing.
const EXIT_FAILING: i64 = 1 << 3;
/// smartctl's exit status: a pre-failure attribute is at or below its threshold.
const EXIT_PREFAIL_NOW: i64 = 1 << 4;
/// smartctl's exit status: an attribute was at or below its threshold once.
const EXIT_FAILED_PAST: i64 = 1 << 5;
/// smartctl's exit status: the log of self-tests has errors.
const EXIT_TEST_ERRORS: i64 = 1 << 7;

impl Drive {
    /// How the drive stands, and why.
    #[must_use]
    pub fn verdict(&self) -> (Status, String) {
        let (bad, notes) = (self.wrong(), self.notes());
        let (status, mut said) = if !bad.is_empty() {
            (Status::Bad, bad)
        } else if self.standby {
            (Status::Unknown, vec!["the drive sleeps and was not woken".to_owned()])
        } else if self.health_passed == Some(true) {
            (Status::Ok, vec!["the drive's own verdict is passed".to_owned()])
        } else {
            (Status::Unknown, vec![self.untold().to_owned()])
        };
        said.extend(notes);
        (status, text::plain(&said.join("; ")))
    }

    fn untold(&self) -> &'static str {
        match (self.smart_available, self.smart_enabled) {
            (Some(false), _) => "the drive has no health reporting",
            (_, Some(false)) => "health reporting is switched off in the drive",
            _ => "the input holds no verdict of the drive",
        }
    }

    /// What is wrong now.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let exit = |bit| self.exit_bits.is_some_and(|bits| bits & bit != 0);
        if self.health_passed == Some(false) || exit(EXIT_FAILING) {
            let words = self.health_words.as_ref().map_or_else(String::new, |words| format!(": {words}"));
            wrong.push(format!("the drive's own verdict is failing{words}"));
        }
        let prefail: Vec<&str> = self.failing(WhenFailed::Now, true).collect();
        if !prefail.is_empty() {
            wrong.push(format!("failing now: {}", prefail.join(", ")));
        } else if exit(EXIT_PREFAIL_NOW) {
            wrong.push("a pre-failure attribute is failing now".to_owned());
        }
        if let Some(bits) = self.critical_warning.filter(|bits| *bits != 0) {
            let named = WARNINGS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name);
            let other = (bits >> WARNINGS.len() != 0).then_some("of an unknown kind");
            wrong.push(format!("critical warning: {}", named.chain(other).collect::<Vec<_>>().join(", ")));
        }
        if let (Some(spare), Some(threshold)) = (self.available_spare, self.available_spare_threshold)
            && spare < threshold
        {
            wrong.push(format!("spare {spare} % is below its threshold {threshold} %"));
        }
        // Solid-state drives count blocks that they are about to rewrite as pending, for a moment and with nothing lost.
        if let Some(pending) = self.pending.filter(|pending| *pending > 0 && self.rotating()) {
            wrong.push(format!("{pending} sectors cannot be read now"));
        }
        if let Some(test) = self.self_tests.iter().find(|test| test.passed.is_some()).filter(|test| test.passed == Some(false)) {
            wrong.push(format!("the last self-test failed ({})", test.status));
        }
        wrong
    }

    /// What is worth knowing and says nothing about now.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut attributes = |when, prefailure, words: &str| {
            let names: Vec<&str> = self.failing(when, prefailure).collect();
            if !names.is_empty() {
                notes.push(format!("{words}: {}", names.join(", ")));
            }
        };
        attributes(WhenFailed::Now, false, "at its limit by age or use");
        attributes(WhenFailed::Past, true, "failed in the past (pre-failure)");
        attributes(WhenFailed::Past, false, "failed in the past");
        if self.attributes.is_empty() && self.exit_bits.is_some_and(|bits| bits & EXIT_FAILED_PAST != 0) {
            notes.push("an attribute failed in the past".to_owned());
        }
        if let Some(percent) = self.percentage_used.filter(|percent| *percent >= 100) {
            notes.push(format!("{percent} % of its endurance is used"));
        }
        let pending = self.pending.filter(|_| !self.rotating());
        for (count, words) in [
            (self.reallocated, "reallocated"),
            (pending, "pending"),
            (self.uncorrectable, "uncorrectable"),
            (self.media_errors, "media errors"),
            (self.grown_defects, "grown defects"),
        ] {
            if let Some(count) = count.filter(|count| *count > 0) {
                notes.push(format!("{words} {count}"));
            }
        }
        // An NVMe drive logs every command it does not know.
        if let Some(count) = self.error_log_count.filter(|count| *count > 0 && self.protocol != Protocol::Nvme) {
            notes.push(format!("{count} errors logged since it was made"));
        }
        let failed_before = self.self_tests.iter().any(|test| test.passed == Some(false));
        if failed_before || self.exit_bits.is_some_and(|bits| bits & EXIT_TEST_ERRORS != 0) {
            notes.push("self-tests have failed".to_owned());
        }
        notes
    }

    fn failing(&self, when: WhenFailed, prefailure: bool) -> impl Iterator<Item = &str> {
        let fails = move |attribute: &&super::Attribute| attribute.when_failed == Some(when) && attribute.prefailure.unwrap_or(true) == prefailure;
        self.attributes.iter().filter(fails).map(|attribute| attribute.name.as_str())
    }
}
