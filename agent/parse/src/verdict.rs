//! What was found in an input, gathered into one answer.

use crate::{Outcome, Status};

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
}
