//! What the store gives back.

use super::named::{ActorKind, ChainReason, FindingKind, KeyState, MachineState};
use super::network::Network;
use mimamori_shared::consent::Plan;
use mimamori_shared::id::{AgentId, BootId, ChainId, Hash, KeyId, TokenId};
use mimamori_shared::payload::{ConsentState, Finding};
use mimamori_shared::sign::PayloadType;
use mimamori_shared::word::Word;

/// A facility.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacilityRow {
    /// Its short name, unique; part of addresses.
    pub alias: Word,
    /// Its name as people write it.
    pub name: String,
    /// True for the one that `make run` makes.
    pub example: bool,
    /// When it was added.
    pub created_at_ms: i64,
    /// Machines in it that are not retired.
    pub machines: u64,
}

/// A machine with everything a page shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRow {
    /// The agent on it.
    pub agent_id: AgentId,
    /// The facility it belongs to.
    pub facility: Word,
    /// Its name there; among those not retired unique.
    pub alias: Word,
    /// Where it stands.
    pub state: MachineState,
    /// Its key; [`KeyId::fingerprint`] is what people compare.
    pub key_id: KeyId,
    /// When it enrolled.
    pub enrolled_at_ms: i64,
    /// When an operator approved it.
    pub approved_at_ms: Option<i64>,
    /// When an operator last let it open new chains: what was heard of two voices before is settled.
    pub chains_approved_at_ms: Option<i64>,
    /// When it was revoked or retired.
    pub ended_at_ms: Option<i64>,
    /// The machine whose place it took.
    pub replaces: Option<AgentId>,
    /// The consent it stated last.
    pub consent: Option<ConsentRow>,
    /// The plan it stated last.
    pub plan: Option<Plan>,
    /// Its newest chain.
    pub chain: Option<ChainRow>,
    /// Whether that chain is forked, and what an operator said of it.
    pub fork: Option<ForkMark>,
    /// Its newest report.
    pub latest: Option<LatestRow>,
    /// Older reports with sections that newer ones do not hold, oldest first.
    pub parts: Vec<LatestRow>,
    /// Whether it is there.
    pub presence: Option<PresenceRow>,
    /// What its self-diagnosis found and is not in order, the worst first.
    pub standing: Vec<StandingRow>,
}

/// How something stands that the self-diagnosis of a machine looks after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRow {
    /// What the machine said last, at most [`super::STANDING_EVIDENCE_MAX`] numbers of it.
    pub finding: Finding,
    /// The number of the chain it said so in.
    pub epoch: u64,
    /// The place there.
    pub seq: u64,
    /// When that arrived, by the collector's clock.
    pub received_at_ms: i64,
}

/// What the mark of a forked chain means now; the mark itself and the evidence stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkMark {
    /// The key was heard with two voices, and no operator has approved the machine since.
    Now,
    /// An operator approved the machine then (UTC, milliseconds since 1970), and nothing was heard since.
    Approved(i64),
}

/// A consent as stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRow {
    /// Its state.
    pub state: ConsentState,
    /// Its hash.
    pub hash: Hash,
    /// Its terms as JSON in normal form, while granted.
    pub terms: Option<String>,
    /// Its end, while granted.
    pub valid_to_ms: Option<i64>,
    /// Whether it is the example nobody approved.
    pub example: bool,
    /// When the collector learned of it.
    pub since_ms: i64,
}

/// A chain with its first branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRow {
    /// Its id.
    pub chain_id: ChainId,
    /// Its number among the agent's, from 1.
    pub epoch: u64,
    /// Why it was opened.
    pub reason: ChainReason,
    /// When its first entry arrived.
    pub opened_at_ms: i64,
    /// Whether the key spoke with two voices.
    pub forked: bool,
    /// The next place of branch 0.
    pub next_seq: u64,
    /// The hash before it.
    pub head: Hash,
    /// How many branches are held.
    pub branches: u32,
    /// The place the collector waits for since it refused what came behind it.
    pub waiting: Option<Waiting>,
}

/// A branch of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchRow {
    /// Its number; 0 is the first that was heard.
    pub branch: u32,
    /// The last place it shares with the branch it left; `None` from the beginning on.
    pub base: Option<u64>,
    /// The next place.
    pub next_seq: u64,
}

/// A hole in front of a chain's tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The place waited for.
    pub for_seq: u64,
    /// Since when.
    pub since_ms: i64,
}

/// The newest report of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestRow {
    /// Its chain.
    pub chain_id: ChainId,
    /// Its place.
    pub seq: u64,
    /// The machine's clock.
    pub taken_at_ms: i64,
    /// The collector's clock.
    pub received_at_ms: i64,
    /// Whether it came ahead of its place in the chain.
    pub is_preview: bool,
    /// The exact bytes.
    pub payload: Vec<u8>,
}

/// Whether a machine is there, as last judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceRow {
    /// The state's word; the domain knows which there are.
    pub state: Word,
    /// Since when.
    pub since_ms: i64,
    /// Why.
    pub because: Word,
    /// When to look again without being told.
    pub due_at_ms: Option<i64>,
    /// What else the domain remembers between two looks, as JSON, at most [`super::MEMORY_BYTES_MAX`] bytes.
    pub memory: String,
}

/// One line of a machine's history; never updated. Where two overlap, the later one holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionRow {
    /// Whose.
    pub agent_id: AgentId,
    /// The line.
    pub line: super::work::Transition,
    /// When it was written down.
    pub recorded_at_ms: i64,
}

/// A stretch of one boot on one branch of a chain, losses not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The chain.
    pub chain_id: ChainId,
    /// The branch.
    pub branch: u32,
    /// The boot.
    pub boot_id: BootId,
    /// First place.
    pub from_seq: u64,
    /// Last place.
    pub to_seq: u64,
    /// Milliseconds since boot at the first place.
    pub boottime_from_ms: i64,
    /// Milliseconds since boot at the last place.
    pub boottime_to_ms: i64,
    /// The machine's clock at the first place.
    pub taken_from_ms: i64,
    /// The machine's clock at the last place.
    pub taken_to_ms: i64,
    /// When the first arrived.
    pub received_from_ms: i64,
    /// When the last arrived.
    pub received_to_ms: i64,
    /// Milliseconds since boot without suspended time at the first place.
    pub monotonic_from_ms: i64,
    /// Milliseconds since boot without suspended time at the last place.
    pub monotonic_to_ms: i64,
    /// How many entries.
    pub entries: u64,
    /// Longest time between two entries, by boottime, in milliseconds.
    pub largest_gap_ms: i64,
}

/// A key and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The agent.
    pub agent_id: AgentId,
    /// The 32 bytes.
    pub public_key: [u8; 32],
    /// Where the key stands.
    pub state: KeyState,
    /// Where the machine stands.
    pub machine: MachineState,
}

/// Keys that are never taken again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revocations {
    /// How often there was such a decision; it only grows.
    pub epoch: u64,
    /// The keys, ascending.
    pub keys: Vec<KeyId>,
}

/// A key that was revoked again because it is known outside the database to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedAgain {
    /// Its id.
    pub key_id: KeyId,
    /// Facility and name of the machine it is of; `None` when this database does not know the key.
    pub machine: Option<(Word, Word)>,
}

/// A token; its secret is nowhere in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its public name.
    pub token_id: TokenId,
    /// The facility it enrols into.
    pub facility: Word,
    /// The alias it is for; machines without one wait for approval.
    pub slot: Option<Word>,
    /// When it was made.
    pub created_at_ms: i64,
    /// By whom.
    pub creator: Word,
    /// What for.
    pub reason: String,
    /// From where it may be redeemed; from anywhere without one.
    pub source: Option<Network>,
    /// When it ends.
    pub expires_at_ms: i64,
    /// When it was redeemed, and by which key.
    pub used: Option<(i64, KeyId)>,
    /// When it was taken back.
    pub revoked_at_ms: Option<i64>,
}

/// A finding, one row for all of its kind on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// About whom.
    pub agent_id: AgentId,
    /// What.
    pub kind: FindingKind,
    /// Days since 1970, UTC.
    pub day: i64,
    /// How often.
    pub count: u64,
    /// The first time that day.
    pub first_at_ms: i64,
    /// The last time that day.
    pub last_at_ms: i64,
    /// The chain at the last time.
    pub chain_id: ChainId,
    /// The place at the last time.
    pub seq: u64,
    /// More about the last time.
    pub detail: Word,
}

/// One entry as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceRow {
    /// The branch.
    pub branch: u32,
    /// The first place it fills.
    pub seq: u64,
    /// The last place it fills.
    pub last_seq: u64,
    /// What it was signed as.
    pub kind: PayloadType,
    /// The key that signed.
    pub key_id: KeyId,
    /// The signature.
    pub signature: [u8; 64],
    /// The exact bytes.
    pub payload: Vec<u8>,
    /// Its own hash.
    pub hash: Hash,
    /// The hash at its last place.
    pub tip_hash: Hash,
    /// The machine's clock.
    pub taken_at_ms: i64,
    /// The collector's clock.
    pub received_at_ms: i64,
}

/// Something somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at_ms: i64,
    /// In which role.
    pub actor_kind: ActorKind,
    /// Who.
    pub actor: Word,
    /// Did what.
    pub verb: Word,
    /// To what kind of thing.
    pub noun: Word,
    /// To which.
    pub id: String,
    /// In which facility.
    pub facility: Option<Word>,
    /// JSON, at most [`super::AUDIT_DETAIL_BYTES_MAX`] bytes.
    pub detail: String,
}

/// A new key that was named and not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedKey {
    /// Its id.
    pub key_id: KeyId,
    /// The chain its statement stands in.
    pub chain_id: ChainId,
    /// The statement's place.
    pub seq: u64,
    /// Why: `two_voices`, `second_successor`, `key_in_use` or `too_many_keys`.
    pub why: String,
    /// When it was last refused, milliseconds since 1970.
    pub at_ms: i64,
}
