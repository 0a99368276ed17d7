//! What the collector knows: machines, evidence, findings, presence.
//!
//! [`Store`] is a concrete enum with one engine per database and one file of SQL per noun and engine. It reads no
//! clock and makes no random bytes: both are arguments. Every read takes a [`Scope`], every write by somebody takes
//! an [`Actor`] too. The exceptions are what happens before anybody is known ([`Store::key`],
//! [`Store::token_public_key`]), where the key itself is the actor ([`Store::redeem`], [`Store::ingest`]), and what
//! is nobody's: leases of work, the months' tables and [`Store::write_probe`].

mod abuse;
pub mod accept;
mod admin;
#[cfg(test)]
mod contract;
mod error;
mod ingest;
mod named;
mod network;
mod read;
mod rows;
mod scope;
pub mod sqlite;
mod work;

pub use abuse::{AbuseRow, AlarmRow, Who};
pub use admin::{Enrolment, NewToken, Redeem, Redeemed};
pub use error::StoreError;
pub use ingest::{Answered, Heard, IngestBatch, LEASE_SEARCH_MAX, Noted, ReceiptFields, Taken, lease_known};
pub use named::{ActorKind, ChainReason, FindingKind, KeyState, MachineState, RedeemRefusal};
pub use network::Network;
pub use read::PAGE_MAX;
pub use rows::{
    AuditRow, BranchRow, ChainRow, ConsentRow, EvidenceRow, FacilityRow, FindingRow, ForkMark, KeyRow, LatestRow, MachineRow, PresenceRow, RefusedKey,
    Revocations, RevokedAgain, SessionRow, StandingRow, TokenRow, TransitionRow, Waiting,
};
pub use scope::{Actor, Scope};
pub use work::{Dirty, PresenceChange, Transition, WorkLease};

use std::path::Path;

/// Longest detail of an audit row, in bytes.
pub const AUDIT_DETAIL_BYTES_MAX: usize = 1024;
/// Longest memory of a presence row, in bytes.
pub const MEMORY_BYTES_MAX: usize = 8192;
/// Things of one machine of which it is kept how they stand.
pub const STANDING_MAX: u32 = 1024;
/// Numbers of one finding that are kept beside the evidence itself.
pub const STANDING_EVIDENCE_MAX: usize = 16;
/// Longest name or reason that people write, in bytes.
pub const NAME_BYTES_MAX: usize = 200;

/// An open store. Clones share it; it closes when the last one is dropped.
#[derive(Debug, Clone)]
pub enum Store {
    /// One file on this machine.
    Sqlite(sqlite::Engine),
}

impl Store {
    /// Opens or makes a database file. Blocks: it is meant for the start of the program.
    ///
    /// # Errors
    /// When the file cannot be opened or was made by a newer version.
    pub fn open(path: &Path, now_ms: i64) -> Result<Store, StoreError> {
        sqlite::Engine::open(path, now_ms).map(Store::Sqlite)
    }

    /// Takes what an agent sent. What is answered is durable when this returns (I4); other agents' requests may have
    /// shared the transaction, and a failure of theirs does not touch this one.
    ///
    /// # Errors
    /// When nothing was kept: the request mixes chains, the key is not known, or the database failed.
    pub async fn ingest(&self, batch: IngestBatch) -> Result<Taken, StoreError> {
        match self {
            Store::Sqlite(engine) => {
                let (agent, bytes) = (batch.agent_id, batch.bytes());
                engine.write_for(Some(agent), bytes, move |db| sqlite::ingest::run(db, &batch)).await
            }
        }
    }

    /// Makes the tables of the month of `now_ms` and the next.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn make_months(&self, now_ms: i64) -> Result<(), StoreError> {
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::evidence::make_ahead(db, now_ms)).await,
        }
    }

    /// Writes and commits something: whether the store can.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn write_probe(&self, now_ms: i64) -> Result<(), StoreError> {
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::lease::probe(db, now_ms)).await,
        }
    }
}
