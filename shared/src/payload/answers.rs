//! Enrolment, and what the collector signs: receipts, refusals, identities, its signing key's certificate.

use super::Place;
use crate::id::{AgentId, BootId, ChainId, CollectorId, Hash, KeyId, Lease, TokenId};
use crate::word::Word;
use serde::{Deserialize, Serialize};

/// Whether the two branches of a chain are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptStatus {
    /// One branch.
    Ok,
    /// The key speaks with two voices; kept, but not trusted.
    Forked,
}

/// How far the collector holds a chain. A function of stored columns only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Who holds it.
    pub collector_id: CollectorId,
    /// Whose chain.
    pub agent_id: AgentId,
    /// The chain.
    pub chain_id: ChainId,
    /// The branch; 0 unless forked.
    pub branch: u32,
    /// The last place held.
    pub seq: u64,
    /// The hash at that place.
    pub head_hash: Hash,
    /// When the entry at that place became durable, UTC, milliseconds since 1970.
    pub received_at_ms: i64,
    /// What the next payload echoes.
    pub lease: Lease,
    /// Whether the chain is forked.
    pub status: ReceiptStatus,
}

/// Why the collector does not go on; these change what the agent does, so they are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum RefusalReason {
    /// Something is missing before what was sent.
    Behind {
        /// The place the collector waits for.
        next_seq: u64,
        /// The hash it holds before that place; zero at place 0.
        head_hash: Hash,
    },
    /// What was sent contradicts what is held; kept on a branch of its own, untrusted.
    Diverged {
        /// The last place both have in common; `null` when it is the very beginning.
        ancestor: Option<Place>,
        /// The branch that keeps it.
        branch: u32,
        /// The last place held on that branch.
        seq: u64,
        /// The hash there.
        head_hash: Hash,
    },
    /// The key or the machine is no longer welcome.
    Revoked,
    /// No further branch is kept.
    TooManyBranches,
    /// More new chains than an agent may open without approval.
    TooManyChains,
}

/// A signed refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Who refuses.
    pub collector_id: CollectorId,
    /// Whom.
    pub agent_id: AgentId,
    /// Which chain.
    pub chain_id: ChainId,
    /// Hash of the first frame of the request it answers: an old refusal answers nothing new.
    pub in_reply_to: Hash,
    /// Why.
    #[serde(flatten)]
    pub reason: RefusalReason,
}

/// Asks for an identity. Signed by the new key and by the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrol {
    /// The collector the token names.
    pub collector_id: CollectorId,
    /// The token.
    pub token_id: TokenId,
    /// The new key's id.
    pub key_id: KeyId,
    /// The new key, 32 bytes in base64.
    pub public_key: String,
    /// The boot it is asked in.
    pub boot_id: BootId,
    /// Wall clock of the machine, UTC, milliseconds since 1970.
    pub taken_at_ms: i64,
    /// The agent's version.
    pub agent_version: Word,
}

/// Whether an operator has approved the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrolState {
    /// Waits for an operator who compares the fingerprint.
    Pending,
    /// Reports are taken.
    Active,
}

/// The identity given. A function of stored columns only, so that a lost answer can be had again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Who gives it.
    pub collector_id: CollectorId,
    /// The identity.
    pub agent_id: AgentId,
    /// The key it is bound to.
    pub key_id: KeyId,
    /// The token it was given for.
    pub token_id: TokenId,
    /// The facility's alias.
    pub facility: Word,
    /// The machine's alias.
    pub machine: Word,
    /// Whether reports are taken already, as it was at enrolment.
    pub state: EnrolState,
    /// When, UTC, milliseconds since 1970.
    pub enrolled_at_ms: i64,
}

/// The collector's signing key, signed by its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whose key.
    pub collector_id: CollectorId,
    /// The signing key's id.
    pub key_id: KeyId,
    /// The signing key, 32 bytes in base64.
    pub public_key: String,
    /// When it was signed, UTC, milliseconds since 1970. An agent never goes back to an older one.
    pub issued_at_ms: i64,
}
