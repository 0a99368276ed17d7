//! Where an agent reports from: a change is noted, and one that goes to and fro hints at two machines with one key.

/// How often it has to come back to the address before within [`FLAP_MS`] to count as going to and fro.
pub const FLIPS: u32 = 3;
/// Changes further apart than this are no going to and fro, in milliseconds.
pub const FLAP_MS: i64 = 3_600_000;

/// What is remembered of one agent. Addresses are opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources<A> {
    /// Where it reported from last.
    pub address: A,
    /// Where from before.
    pub before: Option<A>,
    /// When it changed last.
    pub changed_at_ms: i64,
    /// How often in a row it went back to where it had come from.
    pub flips: u32,
}

/// What a report says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// As before, or the first one.
    None,
    /// Another address.
    Moved,
    /// To and fro between two: a multi-homed line, or a copy of the machine.
    Flapping,
}

/// The next report's address.
#[must_use]
pub fn step<A: PartialEq>(known: Option<Sources<A>>, address: A, now_ms: i64) -> (Sources<A>, Change) {
    let Some(known) = known else { return (Sources { address, before: None, changed_at_ms: now_ms, flips: 0 }, Change::None) };
    if known.address == address {
        return (known, Change::None);
    }
    let back = known.before.as_ref() == Some(&address) && now_ms.saturating_sub(known.changed_at_ms) < FLAP_MS;
    let flips = if back { known.flips.saturating_add(1) } else { 0 };
    let change = if flips >= FLIPS { Change::Flapping } else { Change::Moved };
    (Sources { address, before: Some(known.address), changed_at_ms: now_ms, flips }, change)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(reports: &[(i64, &'static str)]) -> Vec<Change> {
        let mut known = None;
        let step = |&(now_ms, address): &(i64, &'static str)| {
            let (next, change) = step(known.take(), address, now_ms);
            known = Some(next);
            change
        };
        reports.iter().map(step).collect()
    }

    #[test]
    fn a_move_is_told_once() {
        use Change::{Moved, None};
        assert_eq!(changes(&[(0, "a"), (1, "a"), (2, "b"), (3, "b"), (4, "c")]), [None, None, Moved, None, Moved]);
    }

    #[test]
    fn going_to_and_fro_is_told_from_the_third_return_on() {
        use Change::{Flapping, Moved, None};
        let quick: Vec<_> = (0..7).map(|n| (n, ["a", "b"][usize::try_from(n % 2).unwrap()])).collect();
        assert_eq!(changes(&quick), [None, Moved, Moved, Moved, Flapping, Flapping, Flapping]);
        let daily: Vec<_> = (0..7).map(|n| (n * 86_400_000, ["a", "b"][usize::try_from(n % 2).unwrap()])).collect();
        assert_eq!(changes(&daily), [None, Moved, Moved, Moved, Moved, Moved, Moved]);
    }
}
