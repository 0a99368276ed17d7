//! The newest report of each machine, and machines as pages show them.

use super::cell::{get, maybe, named, place};
use super::evidence::At;
use super::{chain, stated};
use crate::store::error::StoreError;
use crate::store::named::MachineState;
use crate::store::rows::{LatestRow, MachineRow, PresenceRow};
use crate::store::scope::Scope;
use mimamori_shared::id::AgentId;
use mimamori_shared::word::Word;
use rusqlite::{Connection, Row, params};

/// A report that may be the newest.
#[derive(Debug, Clone, Copy)]
pub(super) struct New<'a> {
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) taken_at_ms: i64,
    pub(super) received_at_ms: i64,
    pub(super) payload: &'a [u8],
}

/// How long a preview stands before settled reports, in milliseconds: it is renewed with every request of a backlog.
const PREVIEW_MS: i64 = 120_000;

/// Takes a report at its place in the chain, unless a later place of the same or a newer chain is known; a preview that
/// was not renewed gives way to any.
pub(super) fn settle(db: &Connection, at: At, new: New<'_>) -> Result<bool, StoreError> {
    let stale = format!("(is_preview AND excluded.received_at_ms - received_at_ms > {PREVIEW_MS})");
    put(db, at, new, false, &format!("(excluded.epoch, excluded.seq) >= (epoch, seq) OR {stale}"))
}

/// Takes a preview, if it is of a later place and later by the machine's own clock than what is known of its chain.
pub(super) fn preview(db: &Connection, at: At, new: New<'_>) -> Result<bool, StoreError> {
    let newer = "excluded.epoch > epoch OR (excluded.epoch = epoch AND excluded.seq > seq AND excluded.taken_at_ms > taken_at_ms)";
    put(db, at, new, true, newer)
}

fn put(db: &Connection, at: At, new: New<'_>, is_preview: bool, newer: &str) -> Result<bool, StoreError> {
    let changed = db
        .prepare_cached(&format!(
            "INSERT INTO latest (agent, chain, epoch, seq, taken_at_ms, received_at_ms, is_preview, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (agent) DO UPDATE SET chain = excluded.chain, epoch = excluded.epoch, seq = excluded.seq,
                taken_at_ms = excluded.taken_at_ms, received_at_ms = excluded.received_at_ms,
                is_preview = excluded.is_preview, payload = excluded.payload
             WHERE {newer}"
        ))?
        .execute(params![at.agent.0, at.chain.0, place(new.epoch)?, place(new.seq)?, new.taken_at_ms, new.received_at_ms, is_preview, new.payload])?;
    Ok(changed > 0)
}

/// Which machines to show.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store) struct Only<'a> {
    pub(in crate::store) facility: Option<&'a Word>,
    pub(in crate::store) alias: Option<&'a Word>,
    pub(in crate::store) agent: Option<AgentId>,
}

pub(in crate::store) fn machines(db: &Connection, scope: &Scope, only: Only<'_>) -> Result<Vec<MachineRow>, StoreError> {
    let columns = chain::COLUMNS;
    let mut statement = db.prepare_cached(&format!(
        "SELECT m.agent, m.facility, m.alias, m.state, m.key_id, m.enrolled_at_ms, m.approved_at_ms, m.ended_at_ms, m.replaces,
            s.state AS consent_state, s.hash AS consent_hash, s.terms AS consent_terms, s.valid_to_ms AS consent_valid_to_ms,
            s.example AS consent_example, s.since_ms AS consent_since_ms,
            p.interval_s, {columns},
            l.chain AS latest_chain, l.seq AS latest_seq, l.taken_at_ms, l.received_at_ms, l.is_preview, l.payload,
            r.state AS presence_state, r.since_ms AS presence_since_ms, r.because, r.due_at_ms, r.memory
         FROM machine m
         LEFT JOIN machine_consent s ON s.agent = m.agent
         LEFT JOIN machine_plan p ON p.agent = m.agent
         LEFT JOIN chain c ON c.agent = m.agent AND c.epoch = (SELECT max(n.epoch) FROM chain n WHERE n.agent = m.agent)
         LEFT JOIN branch b ON b.agent = c.agent AND b.chain = c.chain AND b.branch = 0
         LEFT JOIN latest l ON l.agent = m.agent
         LEFT JOIN presence r ON r.agent = m.agent
         WHERE (?1 IS NULL OR m.facility = ?1) AND (?2 IS NULL OR m.facility = ?2) AND (?3 IS NULL OR m.alias = ?3)
            AND (?4 IS NULL OR m.agent = ?4)
         ORDER BY m.facility, m.alias, m.state = 'retired', m.ended_at_ms DESC"
    ))?;
    let (facility, alias) = (only.facility.map(Word::as_str), only.alias.map(Word::as_str));
    let rows = statement.query_map(params![scope.facility(), facility, alias, only.agent.map(|agent| agent.0)], machine)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn machine(row: &Row<'_>) -> rusqlite::Result<MachineRow> {
    let has_chain = row.get::<_, Option<i64>>("epoch")?.is_some();
    Ok(MachineRow {
        agent_id: get(row, "agent")?,
        facility: get(row, "facility")?,
        alias: get(row, "alias")?,
        state: named(row, "state", MachineState::of)?,
        key_id: get(row, "key_id")?,
        enrolled_at_ms: row.get("enrolled_at_ms")?,
        approved_at_ms: row.get("approved_at_ms")?,
        ended_at_ms: row.get("ended_at_ms")?,
        replaces: maybe(row, "replaces")?,
        consent: stated::shown(row)?,
        interval_s: maybe(row, "interval_s")?,
        chain: if has_chain { Some(chain::shown(row)?) } else { None },
        latest: latest(row)?,
        presence: presence(row)?,
    })
}

fn latest(row: &Row<'_>) -> rusqlite::Result<Option<LatestRow>> {
    let Some(chain_id) = maybe(row, "latest_chain")? else { return Ok(None) };
    Ok(Some(LatestRow {
        chain_id,
        seq: get(row, "latest_seq")?,
        taken_at_ms: row.get("taken_at_ms")?,
        received_at_ms: row.get("received_at_ms")?,
        is_preview: row.get("is_preview")?,
        payload: row.get("payload")?,
    }))
}

fn presence(row: &Row<'_>) -> rusqlite::Result<Option<PresenceRow>> {
    let Some(state) = maybe(row, "presence_state")? else { return Ok(None) };
    Ok(Some(PresenceRow {
        state,
        since_ms: row.get("presence_since_ms")?,
        because: get(row, "because")?,
        due_at_ms: row.get("due_at_ms")?,
        memory: row.get("memory")?,
    }))
}
