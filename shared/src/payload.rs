//! What is inside the frames: the head every agent payload begins with, and the bodies (docs/WIRE.md).
//!
//! Reading is in two steps. The head must be understood, or the chain cannot be followed. A body that cannot
//! be used (a newer schema, a bound broken) is still evidence and is kept: [`Body::Unusable`].

mod answers;
mod fault;
mod finding;
mod handover;
mod push_fail;

pub use answers::{Certificate, Enrol, EnrolState, Enrolled, Receipt, ReceiptStatus, Refusal, RefusalReason};
pub use fault::{Fault, FaultCode};
pub use finding::{Finding, Standing};
pub use handover::{hand_over, successor};
pub use push_fail::{Layer, PushFail};

use crate::consent::{ConsentTerms, Plan};
use crate::fields::{Readings, SECTIONS};
use crate::id::{AgentId, BootId, ChainId, CollectorId, Hash, KeyId, Lease};
use crate::json;
use crate::limits::{INTERVAL_S_MAX, INTERVAL_S_MIN};
use crate::sign::{PayloadType, Verified};
use serde::{Deserialize, Serialize};

/// The head of every payload an agent chains. `v` and `type` stand before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Whom it is meant for: no other collector accepts it.
    pub collector_id: CollectorId,
    /// Who says it.
    pub agent_id: AgentId,
    /// The key it is signed with.
    pub key_id: KeyId,
    /// The chain it belongs to.
    pub chain_id: ChainId,
    /// Its place, from 0. A loss record stands at the first place it bridges.
    pub seq: u64,
    /// Hash of the entry before; zero at place 0.
    pub prev_hash: Hash,
    /// The lease of the newest receipt the agent holds for this chain; zero before the first.
    pub lease: Lease,
    /// The boot it was taken in.
    pub boot_id: BootId,
    /// Wall clock of the machine, UTC, milliseconds since 1970.
    pub taken_at_ms: i64,
    /// Milliseconds since boot, suspended time included (`CLOCK_BOOTTIME`).
    pub boottime_ms: i64,
    /// Milliseconds since boot without suspended time (`CLOCK_MONOTONIC`).
    pub monotonic_ms: i64,
    /// [`ConsentTerms::hash`] of the consent it was taken under; zero when there is none.
    pub consent_hash: Hash,
    /// [`Plan::hash`] of the plan it was taken under.
    pub plan_hash: Hash,
    /// Seconds of failed pushes in this chain, by layer.
    pub push_fail_s: PushFail,
}

/// How much of an entry's story is lost if it is dropped; also the order in which a full outbox drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Raw measures alone.
    Sample,
    /// Readings of states, none of which changed.
    Unchanged,
    /// Readings in which a state changed, or the first of a boot. Never dropped.
    Change,
    /// A statement. Never dropped.
    Statement,
}

/// Readings of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether a state changed.
    pub class: Class,
    /// What was measured.
    pub readings: Readings,
    /// What could not be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What the self-diagnosis found to have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Report {
    /// The sections it tells of: by a value, or by what could not be read.
    #[must_use]
    pub fn sections(&self) -> Vec<&'static str> {
        let held = self.readings.sections();
        let told = |section: &&'static str| held.contains(section) || self.faults.iter().any(|fault| fault.section() == *section);
        SECTIONS.iter().copied().filter(told).collect()
    }
}

/// A place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The chain.
    pub chain_id: ChainId,
    /// The place.
    pub seq: u64,
    /// The hash that stands there.
    pub hash: Hash,
}

/// Why a chain was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenReason {
    /// The agent is new.
    Enrolled,
    /// The machine was restored from a backup or snapshot.
    Restored,
    /// The agent's state was lost; what came after `previous` is indeterminate.
    StateLost,
    /// The key was rotated.
    Rotated,
}

/// State of the facility's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// In force.
    Granted,
    /// Taken back, or no longer readable as a consent.
    Withdrawn,
    /// Past its last day.
    Expired,
}

/// Entries dropped or purged, by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Of [`Class::Sample`].
    pub sample: u64,
    /// Of [`Class::Unchanged`].
    pub unchanged: u64,
    /// Of [`Class::Change`].
    pub change: u64,
    /// Of [`Class::Statement`].
    pub statement: u64,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, class: Class) {
        let count = match class {
            Class::Sample => &mut self.sample,
            Class::Unchanged => &mut self.unchanged,
            Class::Change => &mut self.change,
            Class::Statement => &mut self.statement,
        };
        *count = count.saturating_add(1);
    }

    /// Counts others too.
    pub fn add_all(&mut self, other: &Counts) {
        self.sample = self.sample.saturating_add(other.sample);
        self.unchanged = self.unchanged.saturating_add(other.unchanged);
        self.change = self.change.saturating_add(other.change);
        self.statement = self.statement.saturating_add(other.statement);
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sample.saturating_add(self.unchanged).saturating_add(self.change).saturating_add(self.statement)
    }
}

/// What an agent states about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "statement", rename_all = "snake_case")]
pub enum Statement {
    /// Opens a chain; stands at place 0 and nowhere else.
    Open {
        /// Why.
        reason: OpenReason,
        /// The place it goes on from; `null` when unknown or when there was none.
        previous: Option<Place>,
    },
    /// The consent in force from here on, without the people in it; after a withdrawal the only thing that leaves.
    Consent {
        /// Its state.
        state: ConsentState,
        /// [`ConsentTerms::hash`] of it; the head's `consent_hash` is zero once it is no longer in force.
        terms_hash: Hash,
        /// Its terms while granted.
        terms: Option<ConsentTerms>,
        /// Unsent entries purged with a withdrawal.
        purged: Counts,
    },
    /// The intervals in force from here on.
    Plan {
        /// The plan.
        plan: Plan,
    },
    /// A new key; signed by the old one, and by the new one in `proof`.
    Key {
        /// The new key, 32 bytes in base64.
        public_key: String,
        /// Signature of the new key (docs/WIRE.md, "key"), base64.
        proof: String,
    },
    /// What will be removed from the machine when the agent is uninstalled.
    Purge {
        /// Unsent entries that go with it.
        purged: Counts,
    },
}

/// Why entries are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// The outbox was full.
    Quota,
    /// Older than the outbox keeps.
    Age,
    /// Consent was withdrawn.
    Withdrawn,
    /// The file was damaged.
    Damage,
}

/// Takes the place of entries that are gone. It stands at `first_seq` and moves the tip behind `last_seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The first place bridged; equals the head's `seq`.
    pub first_seq: u64,
    /// The last place bridged.
    pub last_seq: u64,
    /// The hash that stood at the last place: the tip afterwards.
    pub last_hash: Hash,
    /// What was there.
    pub counts: Counts,
    /// `taken_at_ms` of the first.
    pub from_ms: i64,
    /// `taken_at_ms` of the last.
    pub to_ms: i64,
    /// Why it is gone.
    pub reason: LossReason,
}

/// The body of a chained payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Readings.
    Report(Box<Report>),
    /// A statement.
    Statement(Statement),
    /// A loss record.
    Loss(Loss),
    /// Evidence that cannot be used; why.
    Unusable(String),
}

/// A verified payload of a chain, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it belongs.
    pub head: Head,
    /// What it says.
    pub body: Body,
}

/// A payload whose head, or whose loss record, cannot be understood: it has no place in a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BadPayload {
    /// What is wrong.
    pub what: String,
}

impl Entry {
    /// Reads what was verified.
    ///
    /// # Errors
    /// When it is no payload of a chain, its head is not understood or contradicts the frame, or it is a loss
    /// record that makes no sense.
    pub fn read(verified: &Verified) -> Result<Entry, BadPayload> {
        let bad = |what: String| BadPayload { what };
        let head: Head = serde_json::from_slice(verified.payload()).map_err(|e| bad(format!("head: {e}")))?;
        if head.key_id != verified.key_id() {
            return Err(bad("head: key_id is not the key that signed".to_owned()));
        }
        let body = match verified.kind() {
            PayloadType::Report => usable(verified, |report| Body::Report(Box::new(report))),
            PayloadType::Statement => statement(verified.payload()).map_or_else(Body::Unusable, Body::Statement),
            PayloadType::Loss => {
                let loss: Loss = serde_json::from_slice(verified.payload()).map_err(|e| bad(format!("loss: {e}")))?;
                if loss.first_seq != head.seq || loss.last_seq < loss.first_seq || loss.last_seq == u64::MAX {
                    return Err(bad("loss: it must stand at its first place and end at or behind it".to_owned()));
                }
                Body::Loss(loss)
            }
            other => return Err(bad(format!("a {} has no place in a chain", other.name()))),
        };
        Ok(Entry { head, body })
    }

    /// Its class, for counting.
    #[must_use]
    pub fn class(&self) -> Class {
        match &self.body {
            Body::Report(report) => report.class,
            Body::Statement(_) | Body::Loss(_) => Class::Statement,
            Body::Unusable(_) => Class::Sample,
        }
    }
}

/// Reads the statement in a payload that was verified before, such as one that is kept.
///
/// # Errors
/// Why it cannot be used.
pub fn statement(payload: &[u8]) -> Result<Statement, String> {
    json::check(payload).map_err(|fault| fault.to_string())?;
    let statement: Statement = serde_json::from_slice(payload).map_err(|fault| fault.to_string())?;
    match &statement {
        Statement::Plan { plan } if !(INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(&plan.interval_s) => {
            Err(format!("an interval is {INTERVAL_S_MIN} to {INTERVAL_S_MAX} seconds"))
        }
        Statement::Plan { plan } if !plan.sections.values().all(|own| (INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(own)) => {
            Err(format!("a section's interval is {INTERVAL_S_MIN} to {INTERVAL_S_MAX} seconds"))
        }
        Statement::Consent { terms: Some(terms), .. } => terms.check().map(|()| statement).map_err(str::to_owned),
        _ => Ok(statement),
    }
}

fn usable<'de, T: Deserialize<'de>>(verified: &'de Verified, wrap: fn(T) -> Body) -> Body {
    if let Err(fault) = json::check(verified.payload()) {
        return Body::Unusable(fault.to_string());
    }
    match serde_json::from_slice(verified.payload()) {
        Ok(body) => wrap(body),
        Err(fault) => Body::Unusable(fault.to_string()),
    }
}

/// Writes a payload: the type's prefix, then the parts' members in order, compact.
#[must_use]
pub fn encode(kind: PayloadType, parts: &[&dyn ErasedSerialize]) -> Vec<u8> {
    let mut text = kind.prefix();
    let mut first = true;
    for part in parts {
        let json = part.to_json();
        let members = json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        if members.is_empty() {
            continue;
        }
        if !first {
            text.push(',');
        }
        first = false;
        text.push_str(members);
    }
    text.push('}');
    text.into_bytes()
}

/// What [`encode`] takes: anything that serialises to a JSON object.
pub trait ErasedSerialize {
    /// Compact JSON.
    fn to_json(&self) -> String;
}

impl<T: Serialize> ErasedSerialize for T {
    fn to_json(&self) -> String {
        // The wire's types hold numbers, words and hex only; none of them can fail to serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Reads a verified payload that is not part of a chain.
///
/// # Errors
/// When it is of another type or not understood.
pub fn read<'de, T: Deserialize<'de>>(verified: &'de Verified, kind: PayloadType) -> Result<T, BadPayload> {
    if verified.kind() != kind {
        return Err(BadPayload { what: format!("expected a {}, got a {}", kind.name(), verified.kind().name()) });
    }
    serde_json::from_slice(verified.payload()).map_err(|e| BadPayload { what: format!("{}: {e}", kind.name()) })
}
