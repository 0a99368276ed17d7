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
use std::collections::BTreeMap;

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

/// Boots of one branch that begin a session of their own on one day (UTC); further ones share that of [`BootId::ZERO`].
pub(super) const BOOTS_PER_DAY_MAX: u32 = 96;
const DAY_MS: i64 = 86_400_000;

/// The day, UTC, as `from..to` in milliseconds since 1970.
fn day_of(now_ms: i64) -> std::ops::Range<i64> {
    let from = now_ms.div_euclid(DAY_MS).saturating_mul(DAY_MS);
    from..from.saturating_add(DAY_MS)
}

/// Sessions of the branch that began on the day of `now_ms`.
pub(super) fn begun(db: &Connection, at: At, now_ms: i64) -> Result<u32, StoreError> {
    let day = day_of(now_ms);
    let mut statement =
        db.prepare_cached("SELECT count(*) FROM session WHERE agent = ?1 AND chain = ?2 AND branch = ?3 AND received_from_ms >= ?4 AND received_from_ms < ?5")?;
    Ok(statement.query_row(params![at.agent.0, at.chain.0, at.branch, day.start, day.end], |row| row.get(0))?)
}

/// The session an entry belongs to, given all that the branch has so far: what [`begun`] decides, for `fsck`.
pub(super) fn boot_of(sessions: &BTreeMap<BootId, SessionRow>, boot: BootId, now_ms: i64) -> BootId {
    let day = day_of(now_ms);
    let begun = || sessions.values().filter(|session| day.contains(&session.received_from_ms)).count();
    if sessions.contains_key(&boot) || begun() < BOOTS_PER_DAY_MAX as usize { boot } else { BootId::ZERO }
}

/// The session with one more entry; the same for the store and for `fsck`.
pub(super) fn extend(session: Option<SessionRow>, (branch, boot_id): (u32, BootId), head: &Head, received_at_ms: i64) -> SessionRow {
    let mut session = session.unwrap_or(SessionRow {
        chain_id: head.chain_id,
        branch,
        boot_id,
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
