//! When to send, and what an answer changes.

use super::{Agent, ChainState, Consent, DAY_MS, Effect, Note, Now};
use crate::uplink::{Sent, next_delay};
use mimamori_shared::id::{ChainId, Hash};
use mimamori_shared::limits::FRAMES_MAX;
use mimamori_shared::payload::{Layer, OpenReason, Place, PushFail, Receipt, ReceiptStatus, Refusal, RefusalReason};

/// How a push ended. Receipts and refusals are verified already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The collector holds it.
    Receipt(Receipt),
    /// The collector does not go on.
    Refusal(Refusal),
    /// Nothing that changes anything.
    Failed {
        /// The layer it failed at.
        layer: Layer,
        /// What the collector asked for, in seconds.
        retry_after_s: Option<u64>,
        /// The body was too large: send less at once.
        too_large: bool,
    },
}

/// How long to wait when only a person can mend it, in milliseconds.
pub(super) const PATIENCE_MS: i64 = 3_600_000;

/// How often a day the collector may go back in one chain and be sent everything again at once.
const WENT_BACK_A_DAY: usize = 3;

/// How pushing goes.
#[derive(Debug, Clone)]
pub struct Push {
    under_way: bool,
    failures: u32,
    not_before: i64,
    frames_max: usize,
    failed_ms: [u64; 6],
    failing: Option<(Layer, i64)>,
    refusals: u32,
    /// The last place that was sent when the collector last said `behind`.
    sent_to: u64,
    /// The chains that the collector went back in, and when: boot time, milliseconds.
    went_back: Vec<(ChainId, i64)>,
    /// Whether the collector said that this key is used twice, in the last receipt since the start.
    forked: Option<bool>,
}

impl Push {
    pub(super) fn new(failed_ms: [u64; 6]) -> Push {
        Push {
            under_way: false,
            failures: 0,
            not_before: i64::MIN,
            frames_max: FRAMES_MAX,
            failed_ms,
            failing: None,
            refusals: 0,
            sent_to: u64::MAX,
            went_back: Vec::new(),
            forked: None,
        }
    }

    /// When a push may begin, in boot time; `None` while one is under way.
    #[must_use]
    pub fn due_at(&self) -> Option<i64> {
        (!self.under_way).then_some(self.not_before)
    }

    /// Pushes that failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The layer the last push failed at, if it failed.
    #[must_use]
    pub fn failing(&self) -> Option<Layer> {
        self.failing.map(|(layer, _)| layer)
    }

    /// Milliseconds of failed pushes, by layer in the order of [`Layer::ALL`].
    #[must_use]
    pub fn failed_ms(&self) -> [u64; 6] {
        self.failed_ms
    }

    /// Whether a receipt since the start says that nobody else uses this key: what starts may be an old image of the machine.
    pub(super) fn is_alone(&self) -> bool {
        self.forked == Some(false)
    }

    pub(super) fn failed_s(&self) -> PushFail {
        let mut seconds = PushFail::default();
        for (layer, ms) in Layer::ALL.into_iter().zip(self.failed_ms) {
            seconds.add(layer, ms / 1000);
        }
        seconds
    }

    /// Nothing was sent, and asking again at once would change nothing.
    pub(super) fn stall(&mut self, until: i64) {
        self.under_way = false;
        self.not_before = self.not_before.max(until);
    }

    pub(super) fn none_sent(&mut self) {
        self.under_way = false;
    }

    /// Whether a collector that was behind claims to hold what it was not sent.
    pub(super) fn was_not_sent(&self, next_seq: u64) -> bool {
        next_seq > self.sent_to.saturating_add(1)
    }

    /// The collector waits for a place that it receipted before. One that was restored does so once; one that does it again
    /// and again would be sent the whole ledger at the speed of the line, so it waits longer.
    pub(super) fn went_back(&mut self, chain_id: ChainId, now: Now) {
        self.went_back.retain(|(_, at)| now.boottime_ms.saturating_sub(*at) < DAY_MS);
        if self.went_back.iter().filter(|(chain, _)| *chain == chain_id).count() < WENT_BACK_A_DAY {
            self.went_back.push((chain_id, now.boottime_ms));
        } else {
            self.stall(now.boottime_ms.saturating_add(PATIENCE_MS));
        }
    }

    pub(super) fn forget_failures(&mut self) {
        self.failed_ms = [0; 6];
    }

    /// Books the time since the first failed attempt on the layer that failed.
    fn book(&mut self, now: Now) {
        if let Some((layer, since)) = &mut self.failing {
            let ms = u64::try_from(now.boottime_ms.saturating_sub(*since)).unwrap_or(0);
            let slot = Layer::ALL.iter().position(|each| each == layer);
            if let Some(total) = slot.and_then(|slot| self.failed_ms.get_mut(slot)) {
                *total = total.saturating_add(ms);
            }
            *since = now.boottime_ms;
        }
    }
}

impl Agent {
    /// Whether what left once may leave again.
    pub(super) fn may_repeat(&self) -> bool {
        self.may_collect() || self.consent == Some(Consent::Keeping)
    }

    /// The chain to send from: the oldest with anything unsent.
    pub(super) fn push_chain(&self) -> Option<&ChainState> {
        // Without a consent nothing leaves but the statement that says so (and the record of what was purged). Where a
        // statement about a key would have to go before it, that waits too.
        // After a withdrawal that keeps what is unsent, that goes first.
        let alone = self.stated_consent.is_none() && self.owed.is_none() && !self.hands_over();
        let may = self.may_repeat() || alone;
        self.chains.iter().find(|chain| chain.has_unsent() && !chain.blocked).filter(|_| may)
    }

    pub(super) fn push_on(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.push.book(now);
        if self.push.due_at().is_none_or(|at| now.boottime_ms < at) {
            return;
        }
        let Some(chain) = self.push_chain() else { return };
        effects.push(Effect::Push { chain_id: chain.chain_id, from_seq: chain.unsent_from, frames_max: self.push.frames_max });
        self.push.under_way = true;
    }

    pub(super) fn answered(&mut self, sent: &Sent, answer: Answered, now: Now, random: [u8; 16], effects: &mut Vec<Effect>) {
        self.push.under_way = false;
        self.push.book(now);
        match answer {
            Answered::Receipt(receipt) => self.receipted(&receipt, effects),
            Answered::Refusal(refusal) => self.refused(sent, &refusal, now, random, effects),
            Answered::Failed { layer, retry_after_s, too_large } => {
                if too_large {
                    self.push.frames_max = (self.push.frames_max / 2).max(1);
                }
                self.failed(layer, retry_after_s, now, random);
            }
        }
    }

    fn failed(&mut self, layer: Layer, retry_after_s: Option<u64>, now: Now, random: [u8; 16]) {
        self.push.failures = self.push.failures.saturating_add(1);
        self.push.failing = Some((layer, now.boottime_ms));
        let [a, b, c, d, e, f, g, h, ..] = random;
        let random = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let wait = next_delay(self.push.failures, self.settings.plan.interval_s, retry_after_s, random).as_millis();
        self.push.not_before = now.boottime_ms.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
    }

    fn receipted(&mut self, receipt: &Receipt, effects: &mut Vec<Effect>) {
        self.push.failures = 0;
        self.push.refusals = 0;
        self.push.failing = None;
        self.push.not_before = i64::MIN;
        self.push.frames_max = FRAMES_MAX;
        let forked = receipt.status == ReceiptStatus::Forked;
        if forked && self.push.forked != Some(true) {
            effects.push(Effect::Note(Note::Forked));
        }
        self.push.forked = Some(forked);
        if let Some(chain) = self.chains.iter_mut().find(|chain| chain.chain_id == receipt.chain_id) {
            chain.unsent_from = chain.unsent_from.max(receipt.seq.saturating_add(1)).min(chain.tip.next_seq);
            chain.lease = receipt.lease;
        }
        if receipt.branch > 0 {
            // The refusal that told of the divergence got lost: what it says holds all the same.
            self.begin_anew(receipt.chain_id);
        }
        let newest = self.chains.last().map(|chain| chain.chain_id);
        self.chains.retain(|chain| chain.has_unsent() || Some(chain.chain_id) == newest);
        if Some(receipt.chain_id) == newest {
            self.recalled.clear();
        }
        self.forget_old_key(effects);
    }

    /// This machine goes on in a chain of its own, if it still goes on in this one.
    fn begin_anew(&mut self, chain_id: ChainId) {
        let Some(chain) = self.chains.last().filter(|chain| chain.chain_id == chain_id) else { return };
        let place = Place { chain_id, seq: chain.tip.next_seq.saturating_sub(1), hash: chain.tip.head };
        self.to_open.get_or_insert((OpenReason::Restored, Some(place)));
    }

    fn refused(&mut self, sent: &Sent, refusal: &Refusal, now: Now, random: [u8; 16], effects: &mut Vec<Effect>) {
        // The first refusal is acted on at once; without a receipt since, each further one costs a longer wait.
        let again = self.push.refusals > 0;
        self.push.refusals = self.push.refusals.saturating_add(1);
        if again {
            self.failed(Layer::Receipt, None, now, random);
        } else {
            self.push.failing = None;
            self.push.not_before = i64::MIN;
        }
        match refusal.reason {
            RefusalReason::Behind { next_seq, head_hash } => {
                // Nothing is sent until the ledger was looked at.
                self.push.under_way = true;
                self.push.sent_to = sent.frames.last().map_or(0, |frame| frame.last_seq);
                effects.push(Effect::Rewind { chain_id: sent.chain_id, next_seq, head: head_hash });
            }
            RefusalReason::Diverged { seq, head_hash, .. } => self.diverged(sent, seq, head_hash),
            RefusalReason::Revoked => {
                effects.push(Effect::Note(Note::Revoked));
                self.push.not_before = now.boottime_ms.saturating_add(PATIENCE_MS);
            }
            RefusalReason::TooManyBranches | RefusalReason::TooManyChains => {
                effects.push(Effect::Note(Note::NeedsApproval));
                self.push.not_before = now.boottime_ms.saturating_add(PATIENCE_MS);
            }
        }
    }

    /// What was sent is held on a branch of its own. The rest of the old chain follows it there, and this
    /// machine, restored from a snapshot or a copy of another, goes on in a chain of its own.
    fn diverged(&mut self, sent: &Sent, seq: u64, head_hash: Hash) {
        if !sent.frames.iter().any(|frame| frame.last_seq == seq && frame.tip_hash == head_hash) {
            return;
        }
        let Some(chain) = self.chains.iter_mut().find(|chain| chain.chain_id == sent.chain_id) else { return };
        chain.unsent_from = seq.saturating_add(1).min(chain.tip.next_seq);
        self.begin_anew(sent.chain_id);
    }
}
