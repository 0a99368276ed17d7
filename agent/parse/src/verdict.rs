//! What was found in an input, gathered into one answer.

use crate::{Fault, Outcome, RECORDS_MAX, Status};
use std::collections::BTreeSet;

/// Findings named in a reason; the others are counted.
const NAMED_MAX: usize = 8;

/// What is wrong, what cannot be told, and what is only worth saying.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    bad: Vec<String>,
    unknown: Vec<String>,
    notes: Vec<String>,
}

impl Verdict {
    /// Something is wrong.
    pub(crate) fn bad(&mut self, what: impl Into<String>) {
        self.bad.push(what.into());
    }

    /// Something cannot be told.
    pub(crate) fn unknown(&mut self, what: impl Into<String>) {
        self.unknown.push(what.into());
    }

    /// Something a human should know that makes nothing bad.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// Whether something is wrong so far.
    pub(crate) fn is_bad(&self) -> bool {
        !self.bad.is_empty()
    }

    /// One answer: bad before unknown before fine, the reason naming what decides first.
    pub(crate) fn outcome(self, fine: impl Into<String>) -> Outcome {
        let status = match (self.bad.is_empty(), self.unknown.is_empty()) {
            (false, _) => Status::Bad,
            (true, false) => Status::Unknown,
            (true, true) => Status::Ok,
        };
        let mut parts = Vec::new();
        if status == Status::Ok {
            parts.push(fine.into());
        }
        for found in [self.bad, self.unknown, self.notes] {
            parts.extend(found.iter().take(NAMED_MAX).map(|what| crate::text::plain(what)));
            if found.len() > NAMED_MAX {
                parts.push(format!("and {} more", found.len() - NAMED_MAX));
            }
        }
        Outcome::new(status, parts.join("; "))
    }

    /// The answer with `faults`. What was left out for its number is not fine; a broken line costs itself only.
    pub(crate) fn outcome_with(mut self, fine: impl Into<String>, faults: Vec<Fault>) -> Outcome {
        for fault in faults.iter().filter(|fault| fault.code != "malformed") {
            self.unknown(if fault.detail.is_empty() { fault.code.to_owned() } else { fault.detail.clone() });
        }
        let mut outcome = self.outcome(fine);
        outcome.faults = faults;
        outcome
    }
}

/// The first few, and how many more.
pub(crate) fn named(what: &[String]) -> String {
    let mut named = what.iter().take(NAMED_MAX).map(|one| crate::text::plain(one)).collect::<Vec<_>>().join("; ");
    if what.len() > NAMED_MAX {
        named.push_str(&format!("; and {} more", what.len() - NAMED_MAX));
    }
    named
}

/// Adds to a list that is bounded; what is beyond it becomes one fault, `too_many`.
pub(crate) fn push<T>(list: &mut Vec<T>, item: T, faults: &mut Vec<Fault>) {
    if list.len() < RECORDS_MAX {
        list.push(item);
    } else if faults.last().is_none_or(|fault| fault.code != "too_many") {
        fault(faults, crate::trouble::fault("too_many", &format!("more than {RECORDS_MAX} records: the rest is left out")));
    }
}

/// A fault for each name that stands in the input more than once: which of them holds cannot be told.
pub(crate) fn twice<'a>(names: impl Iterator<Item = &'a str>, faults: &mut Vec<Fault>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            fault(faults, crate::trouble::fault("too_many", &format!("{name} stands here twice")));
        }
    }
}

/// Adds a fault; their number is bounded as that of the records.
pub(crate) fn fault(faults: &mut Vec<Fault>, fault: Fault) {
    if faults.len() < RECORDS_MAX {
        faults.push(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides_and_the_reason_stays_short() {
        let mut verdict = Verdict::default();
        verdict.note("warm");
        assert_eq!(verdict.outcome("fine"), Outcome::new(Status::Ok, "fine; warm"));
        let mut verdict = Verdict::default();
        verdict.unknown("no answer");
        (0..10).for_each(|n| verdict.bad(format!("b{n}")));
        assert_eq!(verdict.outcome("fine"), Outcome::new(Status::Bad, "b0; b1; b2; b3; b4; b5; b6; b7; and 2 more; no answer"));
        let mut verdict = Verdict::default();
        verdict.unknown("no answer");
        assert_eq!(verdict.outcome("fine").status, Status::Unknown);
    }

    #[test]
    fn wrong_comes_before_untold_and_a_broken_line_costs_itself() {
        let malformed = crate::trouble::malformed(0, "x");
        assert_eq!(Verdict::default().outcome_with("fine", vec![malformed.clone()]).status, Status::Ok);
        let mut verdict = Verdict::default();
        verdict.unknown("a");
        verdict.bad("b");
        let outcome = verdict.outcome_with("fine", vec![malformed]);
        assert_eq!((outcome.status, outcome.reason.as_str(), outcome.faults.len()), (Status::Bad, "b; a", 1));
    }

    #[test]
    fn what_was_left_out_is_not_fine() {
        let (mut list, mut faults) = (Vec::new(), Vec::new());
        (0..RECORDS_MAX + 5).for_each(|n| push(&mut list, n, &mut faults));
        assert_eq!((list.len(), faults.len()), (RECORDS_MAX, 1));
        assert_eq!(Verdict::default().outcome_with("fine", faults).status, Status::Unknown);
    }

    #[test]
    fn many_are_counted() {
        let many: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        assert_eq!(named(&many), "0; 1; 2; 3; 4; 5; 6; 7; and 4 more");
    }
}
