//! What is gone, and what the collector says it lacks: bridged by a loss record, or by nothing (I6, I7).

use super::{Agent, Effect, Held, LossSpec, Note, Now, OpenReason, Purging, push};
use mimamori_shared::id::ChainId;

impl Agent {
    pub(super) fn dropped(&mut self, spec: &LossSpec, now: Now, effects: &mut Vec<Effect>) {
        if self.purging != Purging::No {
            self.purged.add_all(&spec.counts);
        }
        self.bridge(spec, now, effects);
    }

    /// Has a loss recorded; false when its chain's key is gone. Then the chain stays as it is, and is not sent.
    pub(super) fn bridge(&mut self, spec: &LossSpec, now: Now, effects: &mut Vec<Effect>) -> bool {
        if let Some(record) = self.make_loss(spec, now) {
            effects.push(Effect::Bridge(Box::new(record)));
            return true;
        }
        if let Some(chain) = self.chains.iter_mut().find(|chain| chain.chain_id == spec.chain_id) {
            chain.blocked = true;
        }
        effects.push(Effect::Note(Note::Unbridgeable { seq: spec.first_seq }));
        false
    }

    /// The collector knows this chain otherwise than the ledger does: what is unsent of it stays in the ledger, and a
    /// new chain is begun.
    pub(super) fn contradicted(&mut self, chain_id: ChainId, now: Now) {
        let newest = self.chains.last().map(|chain| chain.chain_id);
        if let Some(chain) = self.chains.iter_mut().find(|chain| chain.chain_id == chain_id) {
            chain.blocked = true;
        }
        if newest == Some(chain_id) {
            self.to_open.get_or_insert((OpenReason::StateLost, None));
        }
        self.push.stall(now.boottime_ms);
    }

    pub(super) fn rewound(&mut self, chain_id: ChainId, held: Held, now: Now, effects: &mut Vec<Effect>) {
        self.push.none_sent();
        let next_seq = match &held {
            Held::All { next_seq } => *next_seq,
            Held::Bridge(spec) => spec.first_seq,
            Held::Contradicts => return self.contradicted(chain_id, now),
        };
        let unsent_from = self.chains.iter().find(|chain| chain.chain_id == chain_id).map_or(0, |chain| chain.unsent_from);
        if self.push.was_not_sent(next_seq) || (next_seq < unsent_from && !self.may_repeat()) {
            // Places that were never sent cannot be held there (I5). And without a consent nothing leaves a second time:
            // a collector that went back learns of the withdrawal under the next one (I9).
            return self.push.stall(now.boottime_ms.saturating_add(push::PATIENCE_MS));
        }
        if next_seq == 0 {
            // It does not know the chain at all: does it know how the one before it ended?
            self.recall(chain_id, now, effects);
        }
        if let Held::Bridge(spec) = &held
            && !self.bridge(spec, now, effects)
        {
            return;
        }
        if let Some(chain) = self.chains.iter_mut().find(|chain| chain.chain_id == chain_id) {
            if next_seq < chain.unsent_from {
                self.push.went_back(chain_id, now);
                effects.push(Effect::Note(Note::CollectorWentBack { next_seq }));
            }
            chain.unsent_from = next_seq;
        }
    }
}
