//! The newest report of each machine, and machines as pages show them.

use super::cell::{get, maybe, named, place};
use super::evidence::At;
use super::{chain, finding, standing, stated};
use crate::store::error::StoreError;
use crate::store::named::MachineState;
use crate::store::rows::{ForkMark, LatestRow, MachineRow, PresenceRow};
use crate::store::scope::Scope;
use mimamori_shared::fields::SECTIONS;
use mimamori_shared::id::AgentId;
use mimamori_shared::payload::Report;
use mimamori_shared::word::Word;
use rusqlite::{Connection, Row, params};
use std::collections::HashMap;

/// A report that may be the newest.
#[derive(Debug, Clone, Copy)]
pub(super) struct New<'a> {
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) taken_at_ms: i64,
    pub(super) received_at_ms: i64,
    /// Which sections it tells of: see [`shape`].
    pub(super) shape: i64,
    pub(super) payload: &'a [u8],
}

/// Older reports that are kept for their sections, per machine.
const PARTS_MAX: u32 = 16;

/// Which sections a report tells of, one bit each. The bits are of this version: after a change of the table they may
/// say too much or too little until the next report.
pub(super) fn shape(report: &Report) -> i64 {
    let bit = |section: &&str| SECTIONS.iter().position(|one| one == section).map_or(0, |place| 1 << place.min(62));
    report.sections().iter().fold(0, |shape, section| shape | bit(section))
}

/// How long a preview stands before settled reports, in milliseconds: it is renewed with every request of a backlog.
const PREVIEW_MS: i64 = 120_000;

/// Takes a report at its place in the chain, unless a later place of the same or a newer chain is known; a preview that
/// was not renewed gives way to any.
pub(super) fn settle(db: &Connection, at: At, new: New<'_>) -> Result<bool, StoreError> {
    preserve(db, at, new.shape)?;
    let stale = format!("(is_preview AND excluded.received_at_ms - received_at_ms > {PREVIEW_MS})");
    let settled = put(db, at, new, false, &format!("(excluded.epoch, excluded.seq) >= (epoch, seq) OR {stale}"))?;
    if !settled {
        part(db, at, new)?;
    }
    prune(db, at, new)?;
    Ok(settled)
}

const PART: &str = "INSERT INTO latest_part (agent, shape, chain, epoch, seq, taken_at_ms, received_at_ms, payload)";
const NEWER_PART: &str = "ON CONFLICT (agent, shape) DO UPDATE SET chain = excluded.chain, epoch = excluded.epoch, seq = excluded.seq,
        taken_at_ms = excluded.taken_at_ms, received_at_ms = excluded.received_at_ms, payload = excluded.payload
     WHERE (excluded.epoch, excluded.seq) > (latest_part.epoch, latest_part.seq)";

/// Keeps the newest report for what the one that comes now does not tell of.
fn preserve(db: &Connection, at: At, shape: i64) -> Result<(), StoreError> {
    let columns = "agent, shape, chain, epoch, seq, taken_at_ms, received_at_ms, payload";
    db.prepare_cached(&format!("{PART} SELECT {columns} FROM latest WHERE agent = ?1 AND NOT is_preview AND shape & ~?2 <> 0 {NEWER_PART}"))?
        .execute(params![at.agent.0, shape])?;
    Ok(())
}

fn part(db: &Connection, at: At, new: New<'_>) -> Result<(), StoreError> {
    db.prepare_cached(&format!("{PART} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) {NEWER_PART}"))?.execute(params![
        at.agent.0,
        new.shape,
        at.chain.0,
        place(new.epoch)?,
        place(new.seq)?,
        new.taken_at_ms,
        new.received_at_ms,
        new.payload
    ])?;
    Ok(())
}

/// Older reports of which this one tells all that they do, and more than are kept.
fn prune(db: &Connection, at: At, new: New<'_>) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM latest_part WHERE agent = ?1 AND shape & ~?2 = 0 AND (epoch, seq) < (?3, ?4)")?.execute(params![
        at.agent.0,
        new.shape,
        place(new.epoch)?,
        place(new.seq)?
    ])?;
    db.prepare_cached(
        "DELETE FROM latest_part WHERE agent = ?1 AND shape IN
         (SELECT shape FROM latest_part WHERE agent = ?1 ORDER BY epoch DESC, seq DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![at.agent.0, PARTS_MAX])?;
    Ok(())
}

/// Takes a preview, if it is of a later place and later by the machine's own clock than what is known of its chain.
pub(super) fn preview(db: &Connection, at: At, new: New<'_>) -> Result<bool, StoreError> {
    let newer = "excluded.epoch > epoch OR (excluded.epoch = epoch AND excluded.seq > seq AND excluded.taken_at_ms > taken_at_ms)";
    preserve(db, at, new.shape)?;
    put(db, at, new, true, newer)
}

fn put(db: &Connection, at: At, new: New<'_>, is_preview: bool, newer: &str) -> Result<bool, StoreError> {
    let changed = db
        .prepare_cached(&format!(
            "INSERT INTO latest (agent, chain, epoch, seq, taken_at_ms, received_at_ms, is_preview, payload, shape)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (agent) DO UPDATE SET chain = excluded.chain, epoch = excluded.epoch, seq = excluded.seq,
                taken_at_ms = excluded.taken_at_ms, received_at_ms = excluded.received_at_ms,
                is_preview = excluded.is_preview, payload = excluded.payload, shape = excluded.shape
             WHERE {newer}"
        ))?
        .execute(params![
            at.agent.0,
            at.chain.0,
            place(new.epoch)?,
            place(new.seq)?,
            new.taken_at_ms,
            new.received_at_ms,
            is_preview,
            new.payload,
            new.shape
        ])?;
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
    let (columns, two_voices) = (chain::COLUMNS, finding::TWO_VOICES);
    let mut statement = db.prepare_cached(&format!(
        "SELECT m.agent, m.facility, m.alias, m.state, m.key_id, m.enrolled_at_ms, m.approved_at_ms, m.chains_approved_at_ms, m.ended_at_ms, m.replaces,
            s.state AS consent_state, s.hash AS consent_hash, s.terms AS consent_terms, s.valid_to_ms AS consent_valid_to_ms,
            s.example AS consent_example, s.since_ms AS consent_since_ms,
            p.plan, {columns},
            l.chain AS latest_chain, l.seq AS latest_seq, l.taken_at_ms, l.received_at_ms, l.is_preview, l.payload,
            {two_voices} AS two_voices,
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
    let mut machines = rows.collect::<Result<Vec<MachineRow>, _>>()?;
    let (mut parts, mut standing) = (parts(db, scope, only)?, standing::list(db, scope, only)?);
    for machine in &mut machines {
        machine.standing = standing.remove(&machine.agent_id).unwrap_or_default();
        machine.parts = parts.remove(&machine.agent_id).unwrap_or_default();
    }
    Ok(machines)
}

fn parts(db: &Connection, scope: &Scope, only: Only<'_>) -> Result<HashMap<AgentId, Vec<LatestRow>>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT p.agent, p.chain AS latest_chain, p.seq AS latest_seq, p.taken_at_ms, p.received_at_ms, 0 AS is_preview, p.payload
         FROM latest_part p JOIN machine m ON m.agent = p.agent
         WHERE (?1 IS NULL OR m.facility = ?1) AND (?2 IS NULL OR m.facility = ?2) AND (?3 IS NULL OR m.alias = ?3)
            AND (?4 IS NULL OR m.agent = ?4)
         ORDER BY p.epoch, p.seq",
    )?;
    let (facility, alias) = (only.facility.map(Word::as_str), only.alias.map(Word::as_str));
    let mut rows = statement.query(params![scope.facility(), facility, alias, only.agent.map(|agent| agent.0)])?;
    let mut parts: HashMap<AgentId, Vec<LatestRow>> = HashMap::new();
    while let Some(row) = rows.next()? {
        parts.entry(get(row, "agent")?).or_default().extend(latest(row)?);
    }
    Ok(parts)
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
        chains_approved_at_ms: row.get("chains_approved_at_ms")?,
        ended_at_ms: row.get("ended_at_ms")?,
        replaces: maybe(row, "replaces")?,
        consent: stated::shown(row)?,
        plan: row.get::<_, Option<String>>("plan")?.and_then(|plan| serde_json::from_str(&plan).ok()),
        fork: fork(row)?,
        chain: if has_chain { Some(chain::shown(row)?) } else { None },
        latest: latest(row)?,
        parts: Vec::new(),
        presence: presence(row)?,
        standing: Vec::new(),
    })
}

/// Of the newest chain. Receipts say `forked` as long as [`ForkMark::Now`] holds.
fn fork(row: &Row<'_>) -> rusqlite::Result<Option<ForkMark>> {
    let (forked, two_voices): (Option<bool>, bool) = (row.get("forked")?, row.get("two_voices")?);
    let approved_at_ms: Option<i64> = row.get("chains_approved_at_ms")?;
    let mark = if two_voices { ForkMark::Now } else { approved_at_ms.map_or(ForkMark::Now, ForkMark::Approved) };
    Ok(forked.unwrap_or_default().then_some(mark))
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
