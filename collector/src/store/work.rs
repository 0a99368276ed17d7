//! What the collector does by itself: presence, and who does the work.

use super::error::StoreError;
use super::named::FindingKind;
use super::rows::PresenceRow;
use super::scope::{Actor, Scope};
use super::{Store, sqlite};
use mimamori_shared::id::{AgentId, ChainId};
use mimamori_shared::word::Word;

/// A machine about which something is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dirty {
    /// Which.
    pub agent_id: AgentId,
    /// Grows with each news: given back in [`PresenceChange::dirty_mark`], it is cleared unless there was more.
    pub mark: i64,
}

/// A line of a machine's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The state's word.
    pub state: Word,
    /// From when, included.
    pub from_ms: i64,
    /// Until when, not included; open until a later line says otherwise.
    pub to_ms: Option<i64>,
    /// Why.
    pub because: Word,
    /// What it rests on, at most [`super::NAME_BYTES_MAX`] bytes.
    pub evidence: String,
}

/// A judgement about one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// Which.
    pub agent_id: AgentId,
    /// State and since of the row it was judged from; `None` when there was none.
    pub seen: Option<(Word, i64)>,
    /// The row it becomes.
    pub row: PresenceRow,
    /// What changed, in order.
    pub transitions: Vec<Transition>,
    /// Findings about its live reports, each with chain and place.
    pub noted: Vec<(FindingKind, ChainId, u64)>,
    /// The news it has taken into account.
    pub dirty_mark: Option<i64>,
    /// The lease under which it was judged.
    pub lease: Option<WorkLease>,
}

/// A lease that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkLease {
    /// Of which work.
    pub name: Word,
    /// Grows with each holder.
    pub fence: i64,
}

impl Store {
    /// Machines with news, those that wait longest first.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn dirty_machines(&self, scope: &Scope, limit: u32) -> Result<Vec<Dirty>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::presence::dirty(db, &scope, limit)).await,
        }
    }

    /// Machines whose presence is to be looked at by now.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn due_machines(&self, scope: &Scope, now_ms: i64, limit: u32) -> Result<Vec<AgentId>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::presence::due(db, &scope, now_ms, limit)).await,
        }
    }

    /// Makes a finding of every consent that has come to a mark before its end ([`mimamori_shared::consent::EXPIRY_DAYS`])
    /// of which none was made; at most `limit`. How many were made.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn note_expiring_consents(&self, scope: &Scope, actor: &Actor, now_ms: i64, limit: u32) -> Result<usize, StoreError> {
        let (scope, _) = (scope.clone(), actor);
        match self {
            Store::Sqlite(engine) => {
                let due = engine.read(move |db| sqlite::expiry::due(db, &scope, now_ms, limit)).await?;
                if due.is_empty() { Ok(0) } else { engine.write(move |db| sqlite::expiry::note(db, &due, now_ms)).await }
            }
        }
    }

    /// Compare-and-set: true when the row was as seen, the lease still held, and everything is written; false when
    /// nothing is.
    ///
    /// # Errors
    /// When the machine is not in scope or the database failed.
    pub async fn save_presence(&self, scope: &Scope, actor: &Actor, change: PresenceChange, now_ms: i64) -> Result<bool, StoreError> {
        let (scope, _) = (scope.clone(), actor);
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::presence::save(db, &scope, &change, now_ms)).await,
        }
    }

    /// Takes or renews a lease; `None` while somebody else holds it. The holder's name is the actor's.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn take_lease(&self, actor: &Actor, name: &Word, until_ms: i64, now_ms: i64) -> Result<Option<WorkLease>, StoreError> {
        let (holder, name) = (actor.name.clone(), name.clone());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::lease::take(db, &name, &holder, until_ms, now_ms)).await,
        }
    }

    /// Gives a lease up.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn end_lease(&self, lease: &WorkLease) -> Result<(), StoreError> {
        let lease = lease.clone();
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::lease::end(db, &lease)).await,
        }
    }
}
