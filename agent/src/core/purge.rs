//! The end of an agent: the statement of what is removed, and the losses that lead to it.
//!
//! Nothing is collected and no beat is kept: these are only the entries that an uninstallation signs.

use super::{Agent, Consent, Identity, LossSpec, Now, Record, Restored, Settings};
use mimamori_shared::id::ChainId;
use mimamori_shared::payload::{Counts, OpenReason, Statement};

impl Agent {
    /// An agent that is only to sign its own end, under the consent in force or under none.
    #[must_use]
    pub fn ending(identity: Identity, settings: Settings, restored: Restored, consent: Option<Consent>) -> Agent {
        Agent { consent, ..Agent::new(identity, settings, restored) }
    }

    /// The record of unsent entries that go with the agent; `None` when the key that could sign it is gone.
    #[must_use]
    pub fn purge_loss(&self, spec: &LossSpec, now: Now) -> Option<Record> {
        self.make_loss(spec, now)
    }

    /// Where the key was handed over and nothing stands behind that yet: the opening of the chain that goes on.
    #[must_use]
    pub fn purge_opening(&self, chain_id: ChainId, now: Now) -> Option<Record> {
        let (OpenReason::Rotated, previous) = self.to_open? else { return None };
        Some(self.make_open(chain_id, OpenReason::Rotated, previous, now))
    }

    /// The last statement of the newest chain; `None` when no chain was ever opened, and nothing was ever said.
    #[must_use]
    pub fn purge_statement(&self, purged: Counts, now: Now) -> Option<Record> {
        self.make_statement(Statement::Purge { purged }, now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rig::{identity, settings, terms};
    use super::*;
    use crate::core::ChainState;
    use mimamori_shared::chain::Tip;
    use mimamori_shared::id::{Hash, Lease};
    use mimamori_shared::payload::{Body, Entry};
    use mimamori_shared::sign::{sha256, verify};

    #[test]
    fn behind_a_key_that_was_handed_over_the_end_has_a_chain_of_the_new_key() {
        let now = Now { wall_ms: 5, boottime_ms: 4, monotonic_ms: 3 };
        let tip = Tip { next_seq: 7, head: sha256(b"six") };
        let chain = ChainState { chain_id: ChainId([9; 16]), tip, unsent_from: 6, lease: Lease::ZERO, blocked: false, key_id: None, successor: None };
        let opening = |successor| {
            let restored = Restored { chains: vec![ChainState { successor, ..chain.clone() }], ..Restored::default() };
            Agent::ending(identity(), settings(), restored, None).purge_opening(ChainId([8; 16]), now)
        };
        assert_eq!(opening(None), None);
        let record = opening(Some(identity().key.public().id())).unwrap();
        let previous = Some(mimamori_shared::payload::Place { chain_id: chain.chain_id, seq: 6, hash: tip.head });
        assert_eq!((record.chain_id, record.seq, record.states), (ChainId([8; 16]), 0, Some(Statement::Open { reason: OpenReason::Rotated, previous })));
    }

    #[test]
    fn the_end_is_signed_behind_everything_and_under_the_consent_in_force() {
        let now = Now { wall_ms: 5, boottime_ms: 4, monotonic_ms: 3 };
        let none = Agent::ending(identity(), settings(), Restored::default(), None);
        assert_eq!(none.purge_statement(Counts::default(), now), None);
        let tip = Tip { next_seq: 7, head: sha256(b"six") };
        let chain = ChainState { chain_id: ChainId([9; 16]), tip, unsent_from: 7, lease: Lease([1; 16]), blocked: false, key_id: None, successor: None };
        let restored = Restored { chains: vec![chain], ..Restored::default() };
        for (consent, hash) in [(None, Hash::ZERO), (Some(Consent::Valid(terms())), terms().hash())] {
            let purged = Counts { sample: 1, unchanged: 4, change: 2, statement: 3 };
            let agent = Agent::ending(identity(), settings(), restored.clone(), consent);
            let record = agent.purge_statement(purged, now).unwrap();
            let frame = mimamori_shared::frame::Frame { payload: record.payload.clone(), key_id: record.key_id, signature: record.signature };
            let entry = Entry::read(&verify(frame, &identity().key.public()).unwrap()).unwrap();
            assert_eq!((entry.head.seq, entry.head.prev_hash, entry.head.consent_hash), (7, sha256(b"six"), hash));
            assert_eq!(entry.body, Body::Statement(Statement::Purge { purged }));
        }
    }
}
