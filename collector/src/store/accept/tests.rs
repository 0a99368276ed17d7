//! The decision against rows in a map, with clones of one agent that talk over each other.

use super::*;
use mimamori_shared::sign::sha256;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// Clones of an agent: each shares its history with clone 0 before the place at which it was copied.
const COPIED_AT: [u64; 7] = [0, 4, 4, 8, 0, 12, 2];
const LENGTH: u64 = 24;

/// What stands at a place of a clone's own chain.
fn own(clone: usize, seq: u64) -> Hash {
    let owner = if seq < COPIED_AT[clone] { 0 } else { clone };
    sha256(format!("{owner} {seq}").as_bytes())
}

/// An entry, or a loss record when `last` lies behind `seq`.
fn link(clone: usize, seq: u64, last_seq: u64) -> (Link, Hash) {
    let prev_hash = if seq == 0 { Hash::ZERO } else { own(clone, seq - 1) };
    let tip_hash = own(clone, last_seq);
    let hash = if last_seq == seq { tip_hash } else { sha256(format!("loss {clone} {seq} {last_seq}").as_bytes()) };
    (Link { seq, last_seq, prev_hash, tip_hash }, hash)
}

#[derive(Default)]
struct Model {
    branches: Vec<Branch>,
    parents: Vec<Option<u32>>,
    rows: BTreeMap<(u32, u64), (Held, Hash)>,
    acknowledged: BTreeSet<(u32, u64, Hash)>,
}

impl Model {
    fn held(&self, branch: u32, seq: u64) -> Option<Held> {
        let (_, (held, _)) = self.rows.range((branch, 0)..=(branch, seq)).next_back()?;
        (held.last_seq >= seq).then_some(*held)
    }

    fn keep(&mut self, branch: u32, link: &Link, hash: Hash) {
        let held = Held { seq: link.seq, last_seq: link.last_seq, hash, tip_hash: link.tip_hash, received_at_ms: 0 };
        assert!(self.rows.insert((branch, link.seq), (held, link.prev_hash)).is_none(), "kept twice: {branch} {}", link.seq);
        self.acknowledged.insert((branch, link.last_seq, link.tip_hash));
    }

    fn send(&mut self, link: &Link, hash: Hash) -> Action {
        if self.branches.is_empty() {
            let Fit::Extends(tip) = Tip::EMPTY.fit(link) else { return Action::Behind { tip: Tip::EMPTY } };
            self.branches.push(Branch { no: 0, base: None, tip });
            self.parents.push(None);
            self.keep(0, link, hash);
            return Action::Extend { branch: 0, tip };
        }
        let action = decide(&self.branches, None, link, hash, |branch, seq| Ok::<_, Infallible>(self.held(branch, seq))).unwrap();
        match action {
            Action::Extend { branch, tip } => {
                self.branches[branch as usize].tip = tip;
                self.keep(branch, link, hash);
            }
            Action::Fork { branch, parent } => {
                assert_eq!(branch.no as usize, self.branches.len());
                self.branches.push(branch);
                self.parents.push(Some(parent));
                self.keep(branch.no, link, hash);
            }
            Action::Replay { branch, held } => {
                assert!(held.last_seq > link.last_seq || held.tip_hash == link.tip_hash, "acknowledged what is not held");
                self.acknowledged.insert((branch, held.last_seq, held.tip_hash));
            }
            Action::Behind { .. } | Action::TooManyBranches => {}
        }
        action
    }

    /// The tip of a branch up to a place, from the rows alone.
    fn recompute(&self, branch: u32, below: u64) -> Tip {
        let at = &self.branches[branch as usize];
        let mut tip = match (at.base, self.parents[branch as usize]) {
            (Some((seq, hash)), Some(parent)) => {
                let tip = self.recompute(parent, seq + 1);
                assert_eq!(tip, Tip { next_seq: seq + 1, head: hash }, "branch {branch} does not begin where it says");
                tip
            }
            _ => Tip::EMPTY,
        };
        if below <= tip.next_seq {
            // A branch that left this one's own trunk before this one did.
            return self.parents[branch as usize].filter(|_| below < tip.next_seq).map_or(tip, |parent| self.recompute(parent, below));
        }
        for ((_, seq), (held, prev)) in self.rows.range((branch, 0)..(branch, below)) {
            assert_eq!((*seq, *prev), (tip.next_seq, tip.head), "branch {branch} has a hole");
            tip = Tip { next_seq: held.last_seq + 1, head: held.tip_hash };
        }
        tip
    }

    fn check(&self) {
        assert!(self.branches.len() <= BRANCHES_MAX as usize);
        for branch in &self.branches {
            assert_eq!(self.recompute(branch.no, u64::MAX), branch.tip, "tip of branch {}", branch.no);
        }
        for (branch, seq, head) in &self.acknowledged {
            assert_eq!(self.recompute(*branch, seq + 1), Tip { next_seq: seq + 1, head: *head }, "acknowledged but not held");
        }
    }
}

fn sends(clones: usize) -> impl Strategy<Value = Vec<(usize, u64, u64, bool)>> {
    let send = (0..clones, 0..LENGTH, 1_u64..8, prop::bool::weighted(0.3));
    proptest::collection::vec(send, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Clones send any stretch at any time, with losses for what they dropped.
    #[test]
    fn property_whatever_clones_send_nothing_acknowledged_is_missing(sends in sends(COPIED_AT.len())) {
        let mut model = Model::default();
        for (clone, from, count, loss) in sends {
            let last = (from + count - 1).min(LENGTH - 1);
            if loss {
                let (link, hash) = link(clone, from, last);
                model.send(&link, hash);
            } else {
                for seq in from..=last {
                    let (link, hash) = link(clone, seq, seq);
                    if matches!(model.send(&link, hash), Action::Behind { .. } | Action::Fork { .. } | Action::TooManyBranches) {
                        break;
                    }
                }
            }
            model.check();
        }
    }

    /// An agent that is alone never contradicts itself, however it replays, drops and bridges.
    #[test]
    fn property_one_voice_never_forks(sends in sends(1)) {
        let mut model = Model::default();
        for (clone, from, count, loss) in sends {
            let last = (from + count - 1).min(LENGTH - 1);
            let (link, hash) = link(clone, from, if loss { last } else { from });
            let before = model.branches.first().map_or(Tip::EMPTY, |branch| branch.tip);
            match model.send(&link, hash) {
                Action::Extend { .. } => prop_assert_eq!(from, before.next_seq),
                Action::Replay { .. } => prop_assert!(link.last_seq < before.next_seq),
                Action::Behind { tip } => {
                    prop_assert_eq!(tip, before);
                    prop_assert!(from > before.next_seq || link.last_seq >= before.next_seq);
                }
                other => prop_assert!(false, "{other:?}"),
            }
            model.check();
        }
    }

    /// What was answered with a receipt is answered with the same place when it is sent again.
    #[test]
    fn property_a_replay_changes_nothing(sends in sends(COPIED_AT.len())) {
        let mut model = Model::default();
        for (clone, from, count, loss) in sends {
            let last = (from + count - 1).min(LENGTH - 1);
            let (link, hash) = link(clone, from, if loss { last } else { from });
            let first = model.send(&link, hash);
            let rows = model.rows.len();
            let again = model.send(&link, hash);
            prop_assert_eq!(rows, model.rows.len());
            match (first, again) {
                (Action::Extend { branch, tip }, Action::Replay { branch: same, held }) => {
                    prop_assert_eq!((branch, tip), (same, Tip { next_seq: held.last_seq + 1, head: held.tip_hash }));
                }
                (Action::Fork { branch, .. }, Action::Replay { branch: same, .. }) => prop_assert_eq!(branch.no, same),
                (first, again) => prop_assert_eq!(first, again),
            }
        }
    }
}

fn send(model: &mut Model, clone: usize, seq: u64, last: u64) -> Action {
    let (link, hash) = link(clone, seq, last);
    model.send(&link, hash)
}

#[test]
fn a_loss_over_the_tip_asks_to_go_on_from_the_tip() {
    let mut model = Model::default();
    for seq in 0..6 {
        send(&mut model, 0, seq, seq);
    }
    let tip = model.branches[0].tip;
    assert_eq!(send(&mut model, 0, 3, 9), Action::Behind { tip });
    assert!(matches!(send(&mut model, 0, 6, 9), Action::Extend { branch: 0, .. }));
    assert!(matches!(send(&mut model, 0, 3, 9), Action::Replay { .. }));
}

#[test]
fn what_is_inside_a_loss_is_a_replay_up_to_its_end() {
    let mut model = Model::default();
    send(&mut model, 0, 0, 0);
    send(&mut model, 0, 1, 6);
    let Action::Replay { branch: 0, held } = send(&mut model, 0, 3, 3) else { panic!("no replay") };
    assert_eq!((held.last_seq, held.tip_hash), (6, own(0, 6)));
    // At the loss's end the hash is known again: another voice is heard there, but not where it began.
    assert_eq!(send(&mut model, 1, 6, 6), Action::Behind { tip: model.branches[0].tip });
}

#[test]
fn another_voice_at_the_beginning_of_a_loss_is_no_replay() {
    let mut model = Model::default();
    for seq in 0..4 {
        send(&mut model, 0, seq, seq);
    }
    send(&mut model, 0, 4, 9);
    assert!(matches!(send(&mut model, 0, 4, 4), Action::Replay { .. }));
    assert_eq!(send(&mut model, 4, 4, 4), Action::Behind { tip: model.branches[0].tip });
}

#[test]
fn a_fifth_branch_is_refused_and_the_four_go_on() {
    let mut model = Model::default();
    for seq in 0..6 {
        send(&mut model, 0, seq, seq);
    }
    for (no, clone) in [(1, 1), (2, 2), (3, 6)] {
        let Action::Fork { branch, parent: 0 } = send(&mut model, clone, COPIED_AT[clone], COPIED_AT[clone]) else { panic!("no fork") };
        assert_eq!(branch.no, no);
    }
    let fifth = Link { prev_hash: own(0, 4), tip_hash: Hash([9; 32]), seq: 5, last_seq: 5 };
    assert_eq!(model.send(&fifth, Hash([9; 32])), Action::TooManyBranches);
    assert!(matches!(send(&mut model, 1, 5, 5), Action::Extend { branch: 1, .. }));
    assert!(matches!(send(&mut model, 0, 6, 6), Action::Extend { branch: 0, .. }));
}

#[test]
fn places_beyond_counting_are_not_taken() {
    let mut model = Model::default();
    send(&mut model, 0, 0, 0);
    let far = Link { seq: 1, last_seq: SEQ_END, prev_hash: own(0, 0), tip_hash: Hash([1; 32]) };
    assert!(matches!(model.send(&far, Hash([2; 32])), Action::Behind { .. }));
}
