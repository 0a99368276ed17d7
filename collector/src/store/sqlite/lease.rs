//! Who does a piece of work, until when, and the fence that shuts out whoever did it before.

use crate::store::error::StoreError;
use crate::store::work::WorkLease;
use mimamori_shared::word::Word;
use rusqlite::{Connection, OptionalExtension, params};

/// Takes the lease, or keeps it: the holder's own fence stays, everybody else gets the next one after the lease ran out.
pub(in crate::store) fn take(db: &Connection, name: &Word, holder: &Word, until_ms: i64, now_ms: i64) -> Result<Option<WorkLease>, StoreError> {
    let fence: Option<i64> = db
        .prepare_cached(
            "INSERT INTO lease (name, holder, fence, until_ms) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT (name) DO UPDATE SET fence = fence + (holder <> excluded.holder OR until_ms <= ?4),
                holder = excluded.holder, until_ms = excluded.until_ms
             WHERE holder = excluded.holder OR until_ms <= ?4
             RETURNING fence",
        )?
        .query_row(params![name.as_str(), holder.as_str(), until_ms, now_ms], |row| row.get(0))
        .optional()?;
    Ok(fence.map(|fence| WorkLease { name: name.clone(), fence }))
}

/// Gives the lease up early.
pub(in crate::store) fn end(db: &Connection, lease: &WorkLease) -> Result<(), StoreError> {
    db.execute("UPDATE lease SET until_ms = 0 WHERE name = ?1 AND fence = ?2", params![lease.name.as_str(), lease.fence])?;
    Ok(())
}

/// Whether the fence is still the newest.
pub(super) fn holds(db: &Connection, lease: &WorkLease) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached("SELECT 1 FROM lease WHERE name = ?1 AND fence = ?2")?;
    Ok(statement.exists(params![lease.name.as_str(), lease.fence])?)
}

/// A row that is written for the sake of writing.
pub(in crate::store) fn probe(db: &Connection, now_ms: i64) -> Result<(), StoreError> {
    db.execute("INSERT OR REPLACE INTO probe (one, at_ms) VALUES (1, ?1)", [now_ms])?;
    Ok(())
}
