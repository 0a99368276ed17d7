//! From what is wrong to one answer: the same words for every kind that judges.

use crate::{Fault, Outcome, RECORDS_MAX, Status};
use std::collections::BTreeSet;

/// Things named in one reason; the records hold all.
const NAMED_MAX: usize = 8;

/// What was found while judging.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    wrong: Vec<String>,
    untold: Vec<String>,
}

impl Verdict {
    /// Something is wrong.
    pub(crate) fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    /// Something cannot be told.
    pub(crate) fn untold(&mut self, what: impl Into<String>) {
        self.untold.push(what.into());
    }

    /// The answer, with `faults`; `fine` is the reason when nothing is wrong. What was left out for its number is not fine.
    pub(crate) fn outcome(mut self, fine: impl Into<String>, faults: Vec<Fault>) -> Outcome {
        for fault in faults.iter().filter(|fault| fault.code != "malformed") {
            self.untold(fault.detail.clone());
        }
        let mut outcome = if !self.wrong.is_empty() {
            Outcome::new(Status::Bad, named(&self.wrong))
        } else if !self.untold.is_empty() {
            Outcome::new(Status::Unknown, named(&self.untold))
        } else {
            Outcome::new(Status::Ok, fine)
        };
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
    fn wrong_comes_before_untold_and_a_broken_line_costs_itself() {
        let malformed = crate::trouble::malformed(0, "x");
        assert_eq!(Verdict::default().outcome("fine", vec![malformed.clone()]).status, Status::Ok);
        let mut verdict = Verdict::default();
        verdict.untold("a");
        verdict.wrong("b");
        let outcome = verdict.outcome("fine", vec![malformed]);
        assert_eq!((outcome.status, outcome.reason.as_str(), outcome.faults.len()), (Status::Bad, "b", 1));
    }

    #[test]
    fn what_was_left_out_is_not_fine() {
        let (mut list, mut faults) = (Vec::new(), Vec::new());
        (0..RECORDS_MAX + 5).for_each(|n| push(&mut list, n, &mut faults));
        assert_eq!((list.len(), faults.len()), (RECORDS_MAX, 1));
        assert_eq!(Verdict::default().outcome("fine", faults).status, Status::Unknown);
    }

    #[test]
    fn many_are_counted() {
        let many: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        assert_eq!(named(&many), "0; 1; 2; 3; 4; 5; 6; 7; and 4 more");
    }
}
