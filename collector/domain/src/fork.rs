//! What most likely happened where one key spoke with two voices, judged from when and in which boots it spoke.

use mimamori_shared::id::BootId;

/// One voice behind the place both have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Its branch.
    pub branch: u32,
    /// Its boots, in order.
    pub boots: Vec<BootId>,
    /// When the collector received its first entry behind the common place, UTC, milliseconds since 1970.
    pub first_ms: i64,
    /// When it received its last.
    pub last_ms: i64,
}

/// What followed the fork.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct After {
    /// When a new chain was opened for the reason `restored`, if one was.
    pub restored_ms: Option<i64>,
    /// The newest boot of the newest chain.
    pub newest_boot: Option<BootId>,
    /// An older chain reported after a newer one was opened.
    pub old_chain_spoke: bool,
    /// Two boots took turns on one branch.
    pub boots_interleaved: bool,
}

/// The most likely cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The machine, or its state folder, was restored from a snapshot, noticed it, and went on in a chain of its own.
    Restored,
    /// Two copies of the machine or of its state folder ran at the same time.
    TwoCopies,
    /// One voice fell silent before the other began, and no new chain followed yet: a restore, or a copy that replaced it.
    NotYetClear,
}

/// Judges. Two sides that were heard in turns ran at the same time; a restore is heard as one side that ends before
/// the other begins, or as a new chain for that reason behind which the old one keeps silent.
#[must_use]
pub fn cause(sides: &[Side], after: &After) -> Cause {
    let ends_of_first = sides.first().map_or(i64::MIN, |side| side.last_ms);
    // The first voice was heard again after the second was.
    let in_turns = sides.iter().skip(1).any(|side| side.first_ms < ends_of_first);
    if after.boots_interleaved || after.old_chain_spoke {
        return Cause::TwoCopies;
    }
    match after.restored_ms {
        Some(at_ms) if ends_of_first <= at_ms => Cause::Restored,
        Some(_) => Cause::TwoCopies,
        None if in_turns => Cause::TwoCopies,
        None => Cause::NotYetClear,
    }
}

/// The side that the machine of the newest chain continues, if one shares its boot.
#[must_use]
pub fn goes_on(sides: &[Side], after: &After) -> Option<u32> {
    let newest = after.newest_boot?;
    // The later side first: a boot from before the fork is on both.
    sides.iter().rev().find(|side| side.boots.last() == Some(&newest)).map(|side| side.branch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(branch: u32, boot: u8, first_ms: i64, last_ms: i64) -> Side {
        Side { branch, boots: vec![BootId([boot; 16])], first_ms, last_ms }
    }

    #[test]
    fn a_restore_is_told_from_two_copies() {
        let restored = After { restored_ms: Some(200), ..After::default() };
        let apart = [side(0, 1, 10, 90), side(1, 2, 150, 150)];
        let in_turns = [side(0, 1, 10, 300), side(1, 2, 150, 150)];
        for (sides, after, expected) in [
            (&apart, restored.clone(), Cause::Restored),
            (&apart, After::default(), Cause::NotYetClear),
            (&in_turns, restored.clone(), Cause::TwoCopies),
            (&in_turns, After::default(), Cause::TwoCopies),
            (&apart, After { old_chain_spoke: true, ..restored.clone() }, Cause::TwoCopies),
            (&apart, After { boots_interleaved: true, ..restored }, Cause::TwoCopies),
        ] {
            assert_eq!(cause(sides, &after), expected, "{sides:?} {after:?}");
        }
        assert_eq!(cause(&[], &After { boots_interleaved: true, ..After::default() }), Cause::TwoCopies);
    }

    #[test]
    fn the_side_that_goes_on_is_the_one_of_the_newest_boot() {
        let sides = [side(0, 1, 10, 90), side(1, 2, 150, 150)];
        let after = |boot| After { newest_boot: Some(BootId([boot; 16])), ..After::default() };
        assert_eq!(goes_on(&sides, &after(2)), Some(1));
        assert_eq!(goes_on(&sides, &after(1)), Some(0));
        assert_eq!(goes_on(&sides, &after(3)), None);
    }
}
