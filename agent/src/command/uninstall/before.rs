//! The statement of a removal that did not come to its end: it may have arrived although its answer was lost.

use super::ending::Ended;
use crate::command::status::newest_receipt;
use crate::core::ChainState;
use crate::outbox::{Ledger, Outbox, OutboxError};
use mimamori_shared::payload::{Body, Entry, Place, Receipt, Statement};
use mimamori_shared::sign::{PublicKey, verify};
use std::path::Path;

/// What an earlier removal signed, if nothing stands behind it: an agent that was started meanwhile goes on, and is
/// removed anew.
pub(super) fn said(outbox: &Outbox, chains: &[ChainState], key: &PublicKey) -> Result<Option<Ended>, OutboxError> {
    let Some((chain, seq)) = chains.last().and_then(|chain| Some((chain, chain.tip.next_seq.checked_sub(1)?))) else { return Ok(None) };
    let batch = outbox.batch(chain.chain_id, seq, 1, usize::MAX)?;
    let Some(frame) = batch.ok().flatten().and_then(|batch| batch.body.frames.into_iter().next()) else { return Ok(None) };
    let lines = String::from_utf8_lossy(&frame.to_lines()).into_owned();
    let entry = verify(frame, key).ok().and_then(|verified| Entry::read(&verified).ok());
    Ok(entry.and_then(|entry| match entry.body {
        Body::Statement(Statement::Purge { purged }) => {
            let place = Some(Place { chain_id: chain.chain_id, seq, hash: chain.tip.head });
            Some(Ended { statement: Some(lines), place, purged, ..Ended::default() })
        }
        _ => None,
    }))
}

/// The receipt that the ledger holds for a place, from a removal before this one.
pub(super) fn receipted(dir: &Path, place: Option<&Place>) -> Option<Receipt> {
    let receipt = newest_receipt(&Ledger::open(dir).ok()??)?;
    place.filter(|place| place.chain_id == receipt.chain_id && place.seq <= receipt.seq)?;
    Some(receipt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Agent, Identity, Now, Restored, Settings};
    use crate::outbox::Quota;
    use mimamori_shared::consent::Plan;
    use mimamori_shared::frame::Frame;
    use mimamori_shared::id::{AgentId, BootId, ChainId, CollectorId, Hash, KeyId, Lease};
    use mimamori_shared::payload::{Counts, ReceiptStatus};
    use mimamori_shared::sign::SecretKey;
    use std::collections::{BTreeMap, BTreeSet};
    use zeroize::Zeroizing;

    const NOW: Now = Now { wall_ms: 5, boottime_ms: 4, monotonic_ms: 3 };
    const CHAIN: ChainId = ChainId([8; 16]);

    fn agent(restored: Restored) -> Agent {
        let key = SecretKey::from_seed(&Zeroizing::new([3; 32]));
        let identity = Identity { collector_id: CollectorId([1; 16]), agent_id: AgentId([2; 16]), key, boot_id: BootId([4; 16]) };
        let plan = Plan { v: 1, interval_s: 60, sections: BTreeMap::new() };
        Agent::ending(identity, Settings { plan, except: BTreeSet::new() }, restored, None)
    }

    /// As the ledger holds it when the program ended between the receipt and the removal of its files.
    fn receipt(chain_id: ChainId, seq: u64) -> Vec<u8> {
        let receipt = Receipt {
            collector_id: CollectorId([1; 16]),
            agent_id: AgentId([2; 16]),
            chain_id,
            branch: 0,
            seq,
            head_hash: Hash([0; 32]),
            received_at_ms: 7,
            lease: Lease([1; 16]),
            status: ReceiptStatus::Ok,
        };
        Frame { payload: serde_json::to_vec(&receipt).unwrap(), key_id: KeyId([0; 16]), signature: [0; 64] }.to_lines()
    }

    #[test]
    fn a_statement_is_found_where_nothing_stands_behind_it_and_its_receipt_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mut outbox, ..) = Outbox::open(dir.path(), Quota { bytes: 1 << 30, age_ms: i64::MAX / 2, free_floor_bytes: 0 }, 0).unwrap();
        let key = SecretKey::from_seed(&Zeroizing::new([3; 32])).public();
        let handed = ChainState {
            chain_id: ChainId([9; 16]),
            tip: mimamori_shared::chain::Tip { next_seq: 7, head: Hash([1; 32]) },
            unsent_from: 7,
            lease: Lease::ZERO,
            blocked: false,
            key_id: None,
            successor: Some(key.id()),
        };
        let opening = agent(Restored { chains: vec![handed], ..Restored::default() }).purge_opening(CHAIN, NOW).unwrap();
        outbox.commit(&opening).unwrap();
        let chains = || Outbox::peek(dir.path()).unwrap().chains;
        assert!(said(&outbox, &chains(), &key).unwrap().is_none() && said(&outbox, &[], &key).unwrap().is_none());
        let purged = Counts { sample: 4, ..Counts::default() };
        let record = agent(Restored { chains: chains(), ..Restored::default() }).purge_statement(purged, NOW).unwrap();
        outbox.commit(&record).unwrap();
        let found = said(&outbox, &chains(), &key).unwrap().unwrap();
        let place = found.place.unwrap();
        assert_eq!((place.chain_id, place.seq, place.hash, found.purged), (CHAIN, 1, record.hash, purged));
        assert!(found.statement.unwrap().contains("\"purge\"") && found.receipt.is_none() && found.sent == 0);
        for (chain_id, seq, counts) in [(CHAIN, 0, false), (ChainId([9; 16]), 1, false), (CHAIN, 1, true)] {
            outbox.note_receipt(CHAIN, receipt(chain_id, seq), b"{}\nx\n".to_vec());
            outbox.save(&chains()).unwrap();
            assert_eq!(receipted(dir.path(), Some(&place)).is_some(), counts, "{chain_id} {seq}");
        }
        assert!(receipted(dir.path(), None).is_none());
    }
}
