//! Sessions: one boot on one branch. Losses are left out: their head is that of the boot that wrote them down.

use super::cell::{get, place};
use super::evidence::At;
use super::machine;
use crate::store::error::StoreError;
use crate::store::rows::SessionRow;
use crate::store::scope::Scope;
use mimamori_shared::id::{AgentId, BootId};
use mimamori_shared::payload::Head;
use rusqlite::{Connection, OptionalExtension, Row, params};

fn read(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        chain_id: get(row, "chain")?,
        branch: row.get("branch")?,
        boot_id: get(row, "boot")?,
        from_seq: get(row, "from_seq")?,
        to_seq: get(row, "to_seq")?,
        boottime_from_ms: row.get("boottime_from_ms")?,
        boottime_to_ms: row.get("boottime_to_ms")?,
        taken_from_ms: row.get("taken_from_ms")?,
        taken_to_ms: row.get("taken_to_ms")?,
        received_from_ms: row.get("received_from_ms")?,
        received_to_ms: row.get("received_to_ms")?,
        monotonic_from_ms: row.get("monotonic_from_ms")?,
        monotonic_to_ms: row.get("monotonic_to_ms")?,
        entries: get(row, "entries")?,
        largest_gap_ms: row.get("largest_gap_ms")?,
    })
}

/// The session with one more entry; the same for the store and for `fsck`.
pub(super) fn extend(session: Option<SessionRow>, branch: u32, head: &Head, received_at_ms: i64) -> SessionRow {
    let mut session = session.unwrap_or(SessionRow {
        chain_id: head.chain_id,
        branch,
        boot_id: head.boot_id,
        from_seq: head.seq,
        to_seq: head.seq,
        boottime_from_ms: head.boottime_ms,
        boottime_to_ms: head.boottime_ms,
        taken_from_ms: head.taken_at_ms,
        taken_to_ms: head.taken_at_ms,
        received_from_ms: received_at_ms,
        received_to_ms: received_at_ms,
        monotonic_from_ms: head.monotonic_ms,
        monotonic_to_ms: head.monotonic_ms,
        entries: 0,
        largest_gap_ms: 0,
    });
    let gap_ms = head.boottime_ms.saturating_sub(session.boottime_to_ms);
    session.largest_gap_ms = session.largest_gap_ms.max(gap_ms);
    session.entries += 1;
    session.monotonic_to_ms = head.monotonic_ms;
    session.to_seq = head.seq;
    session.boottime_to_ms = head.boottime_ms;
    session.taken_to_ms = head.taken_at_ms;
    session.received_to_ms = received_at_ms;
    session
}

pub(super) fn find(db: &Connection, at: At, boot: BootId) -> Result<Option<SessionRow>, StoreError> {
    let mut statement = db.prepare_cached("SELECT * FROM session WHERE agent = ?1 AND chain = ?2 AND branch = ?3 AND boot = ?4")?;
    Ok(statement.query_row(params![at.agent.0, at.chain.0, at.branch, boot.0], read).optional()?)
}

pub(super) fn save(db: &Connection, agent: AgentId, session: &SessionRow) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR REPLACE INTO session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)")?.execute(params![
        agent.0,
        session.chain_id.0,
        session.branch,
        session.boot_id.0,
        place(session.from_seq)?,
        place(session.to_seq)?,
        session.boottime_from_ms,
        session.boottime_to_ms,
        session.taken_from_ms,
        session.taken_to_ms,
        session.received_from_ms,
        session.received_to_ms,
        session.monotonic_from_ms,
        session.monotonic_to_ms,
        place(session.entries)?,
        session.largest_gap_ms
    ])?;
    Ok(())
}

pub(in crate::store) fn list(db: &Connection, scope: &Scope, agent: AgentId) -> Result<Vec<SessionRow>, StoreError> {
    machine::need_agent(db, scope, agent)?;
    let mut statement = db.prepare_cached("SELECT * FROM session WHERE agent = ?1 ORDER BY received_from_ms, chain, branch, from_seq")?;
    let rows = statement.query_map([agent.0], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
