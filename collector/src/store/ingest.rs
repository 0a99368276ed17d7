//! What agents send, from verified frames to the answer.

use super::named::FindingKind;
use mimamori_shared::chain::lease;
use mimamori_shared::id::{AgentId, ChainId, CollectorId, Hash, KeyId, Lease};
use mimamori_shared::payload::{Entry, Receipt, ReceiptStatus, RefusalReason};
use mimamori_shared::sign::Verified;
use mimamori_shared::word::Word;

/// How far back a lease is looked for.
pub const LEASE_SEARCH_MAX: u64 = 4096;

/// One request. All of it is of one agent, one key and one chain, in the order of the chain.
#[derive(Debug, Clone)]
pub struct IngestBatch {
    /// Whose.
    pub agent_id: AgentId,
    /// The key that signed.
    pub key_id: KeyId,
    /// The entries, in order.
    pub entries: Vec<(Verified, Entry)>,
    /// The newest report, for current state only.
    pub preview: Option<(Verified, Entry)>,
    /// What the caller found out itself; written down when the entry at that place is kept.
    pub noted: Vec<Noted>,
    /// The collector's clock.
    pub received_at_ms: i64,
    /// Where the request came from.
    pub source: Option<String>,
    /// Bytes after which nothing more of this agent is stored on a day (UTC).
    pub day_bytes_max: u64,
}

impl IngestBatch {
    /// What it weighs in a group commit.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|(verified, _)| verified.payload().len() + 256).sum()
    }
}

/// A finding of the caller's about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// What.
    pub kind: FindingKind,
    /// The entry's place.
    pub seq: u64,
    /// More about it.
    pub detail: Word,
}

/// A request's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What to answer.
    pub answered: Answered,
    /// What was noticed on the way.
    pub heard: Heard,
}

/// What is counted of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Entries that were held already.
    pub replays: u64,
    /// Entries that contradict what is held.
    pub other_content: u64,
    /// Whether it came from another address than the one before.
    pub moved: bool,
    /// Whether the addresses take turns.
    pub flapping: bool,
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// A receipt for the last entry.
    Receipt(ReceiptFields),
    /// A signed refusal; entries before the refused one are kept.
    Refusal {
        /// Why.
        reason: RefusalReason,
        /// The chain.
        chain_id: ChainId,
        /// Hash of the first frame of the request.
        in_reply_to: Hash,
    },
    /// The machine waits for approval; nothing was kept.
    Pending,
    /// It stored as much as it may today; nothing was kept.
    OverBudget,
    /// There was nothing but a preview.
    NothingToSay,
}

/// All of a receipt that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptFields {
    /// Whose chain.
    pub agent_id: AgentId,
    /// The chain.
    pub chain_id: ChainId,
    /// The branch.
    pub branch: u32,
    /// The last place held.
    pub seq: u64,
    /// The hash there.
    pub head_hash: Hash,
    /// When it became durable.
    pub received_at_ms: i64,
    /// Whether the chain is forked.
    pub status: ReceiptStatus,
}

impl ReceiptFields {
    /// The receipt, with what is not stored.
    #[must_use]
    pub fn receipt(&self, collector_id: CollectorId, lease_secret: &[u8]) -> Receipt {
        Receipt {
            collector_id,
            agent_id: self.agent_id,
            chain_id: self.chain_id,
            branch: self.branch,
            seq: self.seq,
            head_hash: self.head_hash,
            received_at_ms: self.received_at_ms,
            lease: lease(lease_secret, self.chain_id, self.seq),
            status: self.status,
        }
    }
}

/// Whether an entry at `seq` echoes a lease that a receipt of its chain can have given. When not, the caller notes
/// [`FindingKind::LeaseUnknown`].
#[must_use]
pub fn lease_known(secret: &[u8], chain: ChainId, seq: u64, echoed: Lease) -> bool {
    let from = seq.saturating_sub(LEASE_SEARCH_MAX);
    echoed == Lease::ZERO || (from..seq).rev().any(|place| lease(secret, chain, place) == echoed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_of_earlier_places_are_known() {
        let chain = ChainId([1; 16]);
        for (echoed, seq, known) in [
            (Lease::ZERO, 0, true),
            (lease(b"s", chain, 4), 5, true),
            (lease(b"s", chain, 0), 5, true),
            (lease(b"s", chain, 5), 5, false),
            (lease(b"t", chain, 4), 5, false),
            (lease(b"s", chain, 4), 4 + LEASE_SEARCH_MAX, true),
            (lease(b"s", chain, 4), 5 + LEASE_SEARCH_MAX, false),
        ] {
            assert_eq!(lease_known(b"s", chain, seq, echoed), known, "{seq}");
        }
    }
}
