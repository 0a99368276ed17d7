//! What happens to the agent, and what it wants done.

use super::{LossSpec, Record};
use crate::core::push::Answered;
use crate::diagnosis::Diagnosis;
use crate::uplink::Sent;
use mimamori_shared::chain::Tip;
use mimamori_shared::consent::ConsentTerms;
use mimamori_shared::fields::Readings;
use mimamori_shared::id::{AgentId, BootId, ChainId, CollectorId, Hash, KeyId, Lease};
use mimamori_shared::payload::{ConsentState, Fault, OpenReason, Place};
use mimamori_shared::sign::SecretKey;
use std::collections::BTreeMap;

/// One reading of the machine's three clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, UTC, milliseconds since 1970. May jump.
    pub wall_ms: i64,
    /// Milliseconds since boot, suspended time included. All waiting is measured by it.
    pub boottime_ms: i64,
    /// Milliseconds since boot without suspended time.
    pub monotonic_ms: i64,
}

/// Who the agent is. Only its key changes while it runs, see [`super::Rotation`].
#[derive(Debug, Clone)]
pub struct Identity {
    /// Whom it reports to.
    pub collector_id: CollectorId,
    /// Its name there.
    pub agent_id: AgentId,
    /// Its key.
    pub key: SecretKey,
    /// The boot it runs in.
    pub boot_id: BootId,
}

/// One chain as the outbox holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainState {
    /// Its id.
    pub chain_id: ChainId,
    /// Where it ends.
    pub tip: Tip,
    /// The first place without a receipt.
    pub unsent_from: u64,
    /// The lease of its newest receipt; zero before the first.
    pub lease: Lease,
    /// The collector knows it otherwise, or a hole in it can no longer be signed for: it is kept as it is, and not sent.
    pub blocked: bool,
    /// The key that signs it, as far as its rows tell.
    pub key_id: Option<KeyId>,
    /// Its last entry hands over to this key: nothing follows it.
    pub successor: Option<KeyId>,
}

impl ChainState {
    pub(super) fn has_unsent(&self) -> bool {
        self.unsent_from < self.tip.next_seq
    }
}

/// What the outbox knew when the agent started.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Chains with anything unsent, oldest first, and the newest one last.
    pub chains: Vec<ChainState>,
    /// Hash of the consent last stated, while it was granted.
    pub stated_consent: Option<Hash>,
    /// Hash of the plan last stated.
    pub stated_plan: Option<Hash>,
    /// What the self-diagnosis looked after.
    pub diagnosis: Diagnosis,
    /// The boot of the newest entry.
    pub last_boot: Option<BootId>,
    /// Milliseconds of failed pushes in the newest chain, by layer.
    pub push_fail_ms: [u64; 6],
    /// Why a new chain must be opened although the agent is not new: its state was lost.
    pub lost: Option<Option<Place>>,
}

/// What the facility allows now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    /// In force.
    Valid(ConsentTerms),
    /// Not in force; why.
    Invalid(ConsentState),
    /// Taken back, but what was collected under it and is unsent may still leave; then the statement, then nothing.
    Keeping,
    /// Nothing sure can be said just now: nothing is taken or sent, and nothing is purged or stated either.
    Unclear,
}

/// Fingerprints of what counts as a state, by section.
pub type States = BTreeMap<&'static str, u64>;

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Time passed.
    Wake,
    /// The consent file was read; also the first event of all.
    Consent(Consent),
    /// Something that is looked at has news, such as the hardware helper's file: what changed is told now.
    News,
    /// Until when somebody at the facility asks, in a consent on demand, by the wall clock in UTC milliseconds since 1970.
    Asked(Option<i64>),
    /// A sample was taken, with a fingerprint of everything in it that counts as a state.
    Sampled {
        /// What was measured.
        readings: Box<Readings>,
        /// What could not be.
        faults: Vec<Fault>,
        /// By section; one changes when a state in its section changes.
        states: States,
    },
    /// The last [`Effect::Commit`] is durable.
    Committed,
    /// The last [`Effect::Commit`] failed, or [`Effect::Sample`] found no room to keep one; nothing was created.
    CommitFailed,
    /// The last [`Effect::Commit`] was refused: the outbox is full of what matters more. Nothing was created.
    CommitRefused,
    /// The outbox must drop entries, or finds them gone, and wants the loss recorded in their place.
    Dropped(LossSpec),
    /// [`Effect::Purge`] was carried out; false when the outbox could not be read, and nothing may leave yet.
    Purged(bool),
    /// The last [`Effect::Bridge`] failed; nothing was dropped.
    BridgeFailed,
    /// [`Effect::Push`] could not read the outbox, and nothing was sent.
    PushFailed,
    /// A push ended.
    Answered {
        /// What was sent.
        sent: Sent,
        /// How it ended.
        answer: Answered,
    },
    /// [`Effect::Push`] found a place whose entries are gone; [`Event::Dropped`] with them came first.
    PushEmpty,
    /// Somebody at the machine wants a new key.
    Rotate,
    /// [`KeyTask::Make`] was carried out: the new key is durable; `None` when it could not be made so.
    KeyMade(Option<SecretKey>),
    /// The push whose answer comes next failed because its key is not known to whoever answered.
    KeyUnknown(ChainId),
    /// [`Effect::Recall`] was carried out.
    Recalled {
        /// The chain whose predecessor was looked for.
        before: ChainId,
        /// It, with its last entry as unsent; `None` when there is none or its last entry is gone.
        chain: Option<ChainState>,
    },
    /// [`Effect::Rewind`] was carried out.
    Rewound {
        /// The chain.
        chain_id: ChainId,
        /// What the ledger still holds from the place on.
        held: Held,
    },
}

/// What the ledger holds at a place the collector asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Everything from there on; the hash before the place is the collector's.
    All {
        /// The place.
        next_seq: u64,
    },
    /// The first part is gone; what is known of it.
    Bridge(LossSpec),
    /// The hash before the place is another than the collector's.
    Contradicts,
}

/// What the shell shall do, in order.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Take a sample and answer with [`Event::Sampled`].
    Sample,
    /// Make this entry durable, with the receipts so far; answer at once.
    Commit(Box<Record>),
    /// Put this loss record in the place of what it bridges; no answer.
    Bridge(Box<Record>),
    /// Send unsent entries; answer with [`Event::Answered`] when done.
    Push {
        /// The chain.
        chain_id: ChainId,
        /// From this place on.
        from_seq: u64,
        /// At most so many entries.
        frames_max: usize,
    },
    /// Look what the ledger holds from a place on; answer at once.
    Rewind {
        /// The chain.
        chain_id: ChainId,
        /// The place the collector waits for.
        next_seq: u64,
        /// The hash it holds before that.
        head: Hash,
    },
    /// Look for the chain before this one in the ledger; answer at once with [`Event::Recalled`].
    Recall {
        /// The chain.
        before: ChainId,
    },
    /// Do something to the key file.
    Keys(KeyTask),
    /// Entries unsent in all chains may no longer leave: drop them, keep their hashes; answer with
    /// [`Event::Dropped`] for each gap, then [`Event::Purged`].
    Purge,
    /// Tell the person who reads the log.
    Note(Note),
}

/// What is done to the key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyTask {
    /// Make a new key durable beside the present one; answer at once with [`Event::KeyMade`].
    Make,
    /// The new key has taken over, and signs since then. Should this fail, the ledger says so at the next start.
    Changed {
        /// Wall clock, UTC, milliseconds since 1970.
        since_ms: i64,
    },
    /// The old key's chain is wholly receipted: remove it for good.
    ForgetOld,
}

/// What is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The collector holds less than it once receipted: it was restored or replaced.
    CollectorWentBack {
        /// The place it waits for.
        next_seq: u64,
    },
    /// The collector sees two holders of this key.
    Forked,
    /// A new chain was opened.
    ChainOpened(OpenReason),
    /// The collector no longer takes this agent's reports.
    Revoked,
    /// The collector wants an operator's approval first.
    NeedsApproval,
    /// A chain of an earlier key has a hole, and the key that could sign for it is gone.
    Unbridgeable {
        /// The first place that is gone.
        seq: u64,
    },
    /// Nothing is collected: no valid consent.
    NoConsent(ConsentState),
}
