//! Attacks and accidents as counted, the alarms they became, and the digest of each day.

use super::error::StoreError;
use super::scope::{Actor, Scope};
use super::{Store, sqlite};
use mimamori_domain::abuse::Abuse;
use mimamori_shared::id::AgentId;

/// Whom an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// An agent, proven by a signature.
    Agent(AgentId),
    /// An address, for what came without one.
    Source(String),
    /// Those beyond the number that is told apart.
    Others,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Agent(agent) => write!(f, "{agent}"),
            Who::Source(address) => f.write_str(address),
            Who::Others => f.write_str("*"),
        }
    }
}

/// Events of one kind, hour and origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbuseRow {
    /// Hours since 1970, UTC.
    pub hour: i64,
    /// What.
    pub abuse: Abuse,
    /// About whom.
    pub who: Who,
    /// How many.
    pub count: u64,
    /// The first of that hour, milliseconds since 1970.
    pub first_at_ms: i64,
    /// The last of that hour, milliseconds since 1970.
    pub last_at_ms: i64,
}

/// A level that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlarmRow {
    /// What.
    pub abuse: Abuse,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// Until when; `None` while it lasts.
    pub until_ms: Option<i64>,
    /// How many in the 24 hours before it rose.
    pub count: u64,
}

impl Store {
    /// Adds to the counters. The number of origins of one hour and kind is bounded; the rest becomes [`Who::Others`].
    ///
    /// # Errors
    /// When the database failed.
    pub async fn count_abuse(&self, _: &Actor, counts: Vec<AbuseRow>) -> Result<(), StoreError> {
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::abuse::count(db, &counts)).await,
        }
    }

    /// The counters of hours `from..to`, by hour, kind and origin. A facility sees those of its agents.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn abuse(&self, scope: &Scope, from_hour: i64, to_hour: i64) -> Result<Vec<AbuseRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::abuse::list(db, &scope, from_hour, to_hour)).await,
        }
    }

    /// Alarms that held at some moment of `from..to`, oldest first. They are about the collector: a facility sees none.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn alarms(&self, scope: &Scope, from_ms: i64, to_ms: i64) -> Result<Vec<AlarmRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::abuse::alarms(db, &scope, from_ms, to_ms)).await,
        }
    }

    /// Writes an alarm down; false when one of its kind is open.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn raise_alarm(&self, _: &Actor, abuse: Abuse, count: u64, now_ms: i64) -> Result<bool, StoreError> {
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::abuse::raise(db, abuse, count, now_ms)).await,
        }
    }

    /// Ends the open alarm of a kind; false when there is none.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn end_alarm(&self, _: &Actor, abuse: Abuse, now_ms: i64) -> Result<bool, StoreError> {
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::abuse::end(db, abuse, now_ms)).await,
        }
    }

    /// Entries and bytes that were stored in the hours (since 1970, UTC) `from..to`.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn hour_use(&self, scope: &Scope, from_hour: i64, to_hour: i64) -> Result<(u64, u64), StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::abuse::hour_use(db, &scope, from_hour, to_hour)).await,
        }
    }

    /// Keeps the line of a day (days since 1970 in the operator's zone) and lets go of counters that are too old, and of
    /// alarms that are over and too old or too many; false when it was kept before.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn keep_digest(&self, _: &Actor, day: i64, line: String, now_ms: i64) -> Result<bool, StoreError> {
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::abuse::keep_digest(db, day, &line, now_ms)).await,
        }
    }
}
