//! The one place that decides what becomes of a verified entry (I16).
//!
//! Pure: the chain's branches and a way to look at held rows go in, an [`Action`] comes out. Whether the key may
//! speak at all, and how many chains an agent may open, is decided before (see `sqlite::ingest`).

use mimamori_shared::chain::{Fit, Link, Tip};
use mimamori_shared::id::Hash;
use mimamori_shared::limits::BRANCHES_MAX;

/// Places end here: the databases count in 64 bits with a sign.
pub const SEQ_END: u64 = 1 << 62;

/// One branch of a chain. Branch 0 is the first that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    /// Its number.
    pub no: u32,
    /// The last place, and the hash there, that it shares with the branch it left; `None` from the beginning on.
    pub base: Option<(u64, Hash)>,
    /// How far it reaches.
    pub tip: Tip,
}

impl Branch {
    fn owns(&self, seq: u64) -> bool {
        seq < self.tip.next_seq && self.base.is_none_or(|(base, _)| seq > base)
    }
}

/// What the decision needs to know of a held row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The first place it fills.
    pub seq: u64,
    /// The last place it fills.
    pub last_seq: u64,
    /// Its own hash.
    pub hash: Hash,
    /// The hash at its last place; differs from `hash` for loss records only.
    pub tip_hash: Hash,
    /// When it became durable.
    pub received_at_ms: i64,
}

/// What to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Keep it on this branch, whose tip then is `tip`.
    Extend {
        /// The branch.
        branch: u32,
        /// The tip afterwards.
        tip: Tip,
    },
    /// Keep nothing: what it says is held, up to the end of `held`.
    Replay {
        /// The branch.
        branch: u32,
        /// The row that covers its last place.
        held: Held,
    },
    /// Keep it on a new branch, and say so.
    Fork {
        /// The new branch.
        branch: Branch,
        /// The branch it leaves.
        parent: u32,
    },
    /// Keep nothing: something is missing before it, or it follows what is not held.
    Behind {
        /// Where the collector stands.
        tip: Tip,
    },
    /// Keep nothing: it contradicts, and no further branch is kept.
    TooManyBranches,
}

/// Decides. `near` is the branch the entry before it in the same request went to; `held` finds the row of a branch
/// that covers a place which the branch itself holds.
///
/// # Errors
/// Only those of `held`.
pub fn decide<E>(
    branches: &[Branch],
    near: Option<u32>,
    link: &Link,
    hash: Hash,
    mut held: impl FnMut(u32, u64) -> Result<Option<Held>, E>,
) -> Result<Action, E> {
    let mut covering = Vec::new();
    for branch in branches.iter().filter(|branch| branch.owns(link.seq)) {
        match held(branch.no, link.seq)? {
            Some(row) if row.hash == hash => return Ok(Action::Replay { branch: branch.no, held: row }),
            Some(row) => covering.push((branch, row)),
            None => {}
        }
    }
    let behind = Action::Behind { tip: standing(branches, near) };
    if link.last_seq >= SEQ_END {
        return Ok(behind);
    }
    for branch in branches {
        if let Fit::Extends(tip) = branch.tip.fit(link) {
            return Ok(Action::Extend { branch: branch.no, tip });
        }
    }
    for (branch, row) in covering {
        if let Some(row) = agrees(branch, &row, link, &mut held)? {
            return Ok(Action::Replay { branch: branch.no, held: row });
        }
    }
    for branch in branches {
        if link.seq > branch.tip.next_seq || before(branch, link.seq, &mut held)? != Some(link.prev_hash) {
            continue;
        }
        // A loss record over the tip neither repeats nor disproves what is held: an agent whose receipt got lost
        // may have dropped what the collector holds. Asked to go on from the tip, it shows which of the two it is.
        if link.last_seq >= branch.tip.next_seq {
            return Ok(Action::Behind { tip: branch.tip });
        }
        return Ok(fork(branches, branch, link));
    }
    Ok(behind)
}

fn standing(branches: &[Branch], near: Option<u32>) -> Tip {
    let near = near.and_then(|no| branches.iter().find(|branch| branch.no == no));
    near.or(branches.first()).map_or(Tip::EMPTY, |branch| branch.tip)
}

fn fork(branches: &[Branch], parent: &Branch, link: &Link) -> Action {
    let no = branches.iter().map(|branch| branch.no + 1).max().unwrap_or(0);
    if no >= BRANCHES_MAX {
        return Action::TooManyBranches;
    }
    let base = link.seq.checked_sub(1).map(|seq| (seq, link.prev_hash));
    let tip = Tip { next_seq: link.last_seq + 1, head: link.tip_hash };
    Action::Fork { branch: Branch { no, base, tip }, parent: parent.no }
}

/// The hash on this branch before `seq`; `None` where it is not known, such as inside a loss.
fn before<E>(branch: &Branch, seq: u64, held: &mut impl FnMut(u32, u64) -> Result<Option<Held>, E>) -> Result<Option<Hash>, E> {
    let Some(last) = seq.checked_sub(1) else {
        return Ok(branch.base.is_none().then_some(Hash::ZERO));
    };
    if seq == branch.tip.next_seq {
        return Ok(Some(branch.tip.head));
    }
    match branch.base {
        Some((base, hash)) if base == last => Ok(Some(hash)),
        _ if branch.owns(last) => Ok(held(branch.no, last)?.filter(|row| row.last_seq == last).map(|row| row.tip_hash)),
        _ => Ok(None),
    }
}

/// Where a loss record is involved, two different entries can say the same: the row that covers the last place of
/// `link`, if `link` contradicts it at neither of its ends. Two entries that are no losses always differ at theirs.
fn agrees<E>(branch: &Branch, row: &Held, link: &Link, held: &mut impl FnMut(u32, u64) -> Result<Option<Held>, E>) -> Result<Option<Held>, E> {
    if !branch.owns(link.last_seq) {
        return Ok(None);
    }
    if link.seq == row.seq && before(branch, link.seq, held)?.is_some_and(|prev| prev != link.prev_hash) {
        return Ok(None);
    }
    let end = held(branch.no, link.last_seq)?;
    Ok(end.filter(|end| end.last_seq != link.last_seq || end.tip_hash == link.tip_hash))
}

#[cfg(test)]
mod tests;
