//! Changing the key: the last entry of a chain hands over to a new key, which opens the next chain (docs/WIRE.md,
//! "key").
//!
//! Before anything is stated the new key is durable beside the old one; once the statement is, the new key holds, and
//! the ledger proves it after any crash. The old key only signs losses of its own chain any more, until that is wholly
//! receipted. A change is begun only when nothing older is carried, so at most two keys exist at a time. No clock ends
//! a key: one that is old and cannot be changed goes on.
//!
//! After a withdrawal one statement may leave, that of the withdrawal. A change that is not wholly delivered then waits
//! for the next consent, and so does everything that only the new key could say.

use super::push::PATIENCE_MS;
use super::{Agent, ChainState, Effect, KeyTask, Now, Record};
use mimamori_shared::id::ChainId;
use mimamori_shared::payload::{OpenReason, Place};
use mimamori_shared::sign::SecretKey;

/// How long no new key is asked for after one could not be made, in milliseconds.
const PAUSE_MS: i64 = 600_000;

/// The keys besides the present one, and when that is to be changed.
#[derive(Debug, Clone, Default)]
pub struct Rotation {
    /// Since when the present key signs: wall clock, UTC, milliseconds since 1970.
    pub since_ms: i64,
    /// After how long it is changed, in milliseconds; `None` never by itself.
    pub after_ms: Option<i64>,
    /// The key before it, while its chain is not wholly receipted.
    pub old: Option<SecretKey>,
}

/// How far a change is.
#[derive(Debug)]
pub(super) enum Step {
    Idle,
    Wanted,
    Making,
    Paused { until: i64 },
    Ready(Box<SecretKey>),
}

/// What has to be opened behind a chain that hands over.
pub(super) fn goes_on(chain: &ChainState) -> Option<(OpenReason, Option<Place>)> {
    chain.successor?;
    Some((OpenReason::Rotated, Some(Place { chain_id: chain.chain_id, seq: chain.tip.next_seq.saturating_sub(1), hash: chain.tip.head })))
}

impl Agent {
    /// Says when the key is to be changed, and which one is kept beside it.
    pub fn set_rotation(&mut self, rotation: Rotation) {
        self.rotation = rotation;
    }

    pub(super) fn want_rotation(&mut self) {
        // After a pause one is made without being asked again.
        if matches!(self.rotate, Step::Idle) {
            self.rotate = Step::Wanted;
        }
    }

    /// Nothing else is going on, everything signed before is held by a collector that has said since the start that it trusts
    /// this key, so the line works just now, and the facility consents: a statement about a key leaves under a consent only.
    fn may_rotate(&self) -> bool {
        let settled = self.to_open.is_none() && self.owed.is_none() && self.rotation.old.is_none() && self.push.is_alone();
        let [chain] = self.chains.as_slice() else { return false };
        settled && self.may_collect() && !chain.blocked && chain.successor.is_none() && chain.unsent_from > 0 && !chain.has_unsent()
    }

    /// A wall clock that is far off in either direction costs one change too many, and nothing else.
    fn is_due(&self, now: Now) -> bool {
        self.rotation.after_ms.is_some_and(|after_ms| now.wall_ms.abs_diff(self.rotation.since_ms) >= after_ms.unsigned_abs())
    }

    pub(super) fn rotate_on(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let wanted = match self.rotate {
            Step::Idle => self.is_due(now),
            Step::Wanted => true,
            Step::Paused { until } => now.boottime_ms >= until,
            Step::Making | Step::Ready(_) => false,
        };
        if wanted && self.may_rotate() {
            self.rotate = Step::Making;
            effects.push(Effect::Keys(KeyTask::Make));
        }
    }

    /// A statement about a key is not receipted yet: nothing behind it can be believed.
    pub(super) fn hands_over(&self) -> bool {
        self.chains.iter().any(|chain| chain.successor.is_some() && chain.has_unsent())
    }

    pub(super) fn key_made(&mut self, key: Option<SecretKey>, now: Now) {
        let paused = Step::Paused { until: now.boottime_ms.saturating_add(PAUSE_MS) };
        self.rotate = key.map_or(paused, |key| Step::Ready(Box::new(key)));
    }

    pub(super) fn make_handover(&self, now: Now) -> Option<Record> {
        let Step::Ready(next) = &self.rotate else { return None };
        if self.may_rotate() { self.make_key(next, now) } else { None }
    }

    /// The statement is durable: from here on the new key signs.
    pub(super) fn handed_over(&mut self, record: &Record, effects: &mut Vec<Effect>) {
        let Step::Ready(next) = std::mem::replace(&mut self.rotate, Step::Idle) else { return };
        if let Some(chain) = self.chains.last_mut() {
            chain.successor = Some(next.public().id());
            self.to_open = goes_on(chain);
        }
        self.rotation.old = Some(std::mem::replace(&mut self.identity.key, *next));
        self.rotation.since_ms = record.taken_at_ms;
        effects.push(Effect::Keys(KeyTask::Changed { since_ms: record.taken_at_ms }));
    }

    /// The old key goes when no chain of its is carried any more.
    pub(super) fn forget_old_key(&mut self, effects: &mut Vec<Effect>) {
        let Some(old) = self.rotation.old.as_ref().map(|old| old.public().id()) else { return };
        if self.chains.iter().all(|chain| chain.key_id != Some(old)) {
            self.rotation.old = None;
            effects.push(Effect::Keys(KeyTask::ForgetOld));
        }
    }

    /// The key that signs for a chain; `None` when it is gone.
    pub(super) fn key_of(&self, chain_id: ChainId) -> Option<&SecretKey> {
        let chain = self.chains.iter().find(|chain| chain.chain_id == chain_id);
        let Some(key_id) = chain.and_then(|chain| chain.key_id) else { return Some(&self.identity.key) };
        [Some(&self.identity.key), self.rotation.old.as_ref()].into_iter().flatten().find(|key| key.public().id() == key_id)
    }

    /// Whoever answered does not know the chain, or its key: a collector that was restored to a time before both. How
    /// the chain before it ended tells it the key, or shows from where on that one has to be sent again. Each chain is
    /// looked up once an hour until a receipt for the newest, so that a proxy that answers so for ever costs little, and
    /// a collector that took no new key until an operator approved hears of it again. Without a consent nothing is looked
    /// up: what left once would leave again.
    pub(super) fn recall(&mut self, before: ChainId, now: Now, effects: &mut Vec<Effect>) {
        self.recalled.retain(|(_, at)| now.boottime_ms.saturating_sub(*at) < PATIENCE_MS);
        if self.may_repeat() && self.recalled.iter().all(|(chain_id, _)| *chain_id != before) {
            self.recalled.push((before, now.boottime_ms));
            effects.push(Effect::Recall { before });
        }
    }

    pub(super) fn take_recalled(&mut self, before: ChainId, chain: Option<ChainState>) {
        let Some(chain) = chain.filter(|chain| self.chains.iter().all(|carried| carried.chain_id != chain.chain_id)) else { return };
        let at = self.chains.iter().position(|carried| carried.chain_id == before).unwrap_or(0);
        self.chains.insert(at, chain);
    }
}
