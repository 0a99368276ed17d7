//! Presence, its changes, and what is to be looked at again.

mod fold;

use super::cell::get;
use super::{finding, lease, machine};
use crate::store::error::StoreError;
use crate::store::rows::TransitionRow;
use crate::store::scope::Scope;
use crate::store::work::{Dirty, PresenceChange, Transition};
use crate::store::{MEMORY_BYTES_MAX, NAME_BYTES_MAX};
use mimamori_shared::id::AgentId;
use rusqlite::{Connection, params};

/// Says that something about the agent is new.
pub(super) fn mark(db: &Connection, agent: AgentId, now_ms: i64) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO dirty (agent, mark, since_ms) VALUES (?1, 1, ?2) ON CONFLICT (agent) DO UPDATE SET mark = mark + 1")?
        .execute(params![agent.0, now_ms])?;
    Ok(())
}

pub(in crate::store) fn dirty(db: &Connection, scope: &Scope, limit: u32) -> Result<Vec<Dirty>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT d.agent, d.mark FROM dirty d JOIN machine m ON m.agent = d.agent
         WHERE ?1 IS NULL OR m.facility = ?1 ORDER BY d.since_ms, d.agent LIMIT ?2",
    )?;
    let rows = statement.query_map(params![scope.facility(), limit], |row| Ok(Dirty { agent_id: get(row, "agent")?, mark: row.get("mark")? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(in crate::store) fn due(db: &Connection, scope: &Scope, now_ms: i64, limit: u32) -> Result<Vec<AgentId>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT p.agent FROM presence p JOIN machine m ON m.agent = p.agent
         WHERE p.due_at_ms <= ?2 AND (?1 IS NULL OR m.facility = ?1) ORDER BY p.due_at_ms, p.agent LIMIT ?3",
    )?;
    let rows = statement.query_map(params![scope.facility(), now_ms, limit], |row| get(row, "agent"))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Exactly one row changes, or nothing does.
pub(in crate::store) fn save(db: &Connection, scope: &Scope, change: &PresenceChange, now_ms: i64) -> Result<bool, StoreError> {
    machine::need_agent(db, scope, change.agent_id)?;
    if let Some(held) = &change.lease
        && !lease::holds(db, held)?
    {
        return Ok(false);
    }
    let row = &change.row;
    if row.memory.len() > MEMORY_BYTES_MAX || change.transitions.iter().any(|line| line.evidence.len() > NAME_BYTES_MAX) {
        return Err(StoreError::Invalid("what is remembered of a presence is bounded"));
    }
    let fold = fold::Fold::of(db, change, now_ms)?;
    let (state, because) = (row.state.as_str(), row.because.as_str());
    let changed = match &change.seen {
        None => db.execute(
            "INSERT INTO presence (agent, state, since_ms, because, due_at_ms, memory) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            params![change.agent_id.0, state, row.since_ms, because, row.due_at_ms, row.memory],
        )?,
        Some((seen, since_ms)) => db.execute(
            "UPDATE presence SET state = ?2, since_ms = ?3, because = ?4, due_at_ms = ?5, memory = ?6
             WHERE agent = ?1 AND state = ?7 AND since_ms = ?8",
            params![change.agent_id.0, state, row.since_ms, because, row.due_at_ms, row.memory, seen.as_str(), since_ms],
        )?,
    };
    if changed != 1 {
        return Ok(false);
    }
    fold.tell(db, change, now_ms)?;
    for (kind, chain, seq) in &change.noted {
        finding::add(db, change.agent_id, finding::Seen { kind: *kind, chain: *chain, seq: *seq, detail: "live_report" }, now_ms)?;
    }
    if let Some(mark) = change.dirty_mark {
        db.execute("DELETE FROM dirty WHERE agent = ?1 AND mark = ?2", params![change.agent_id.0, mark])?;
    }
    Ok(true)
}

pub(in crate::store) fn transitions(db: &Connection, scope: &Scope, agent: AgentId, limit: u32) -> Result<Vec<TransitionRow>, StoreError> {
    machine::need_agent(db, scope, agent)?;
    let mut statement = db.prepare_cached("SELECT * FROM transition WHERE agent = ?1 ORDER BY recorded_at_ms DESC, rowid DESC LIMIT ?2")?;
    let rows = statement.query_map(params![agent.0, limit], |row| {
        Ok(TransitionRow {
            agent_id: agent,
            line: Transition {
                state: get(row, "state")?,
                from_ms: row.get("from_ms")?,
                to_ms: row.get("to_ms")?,
                because: get(row, "because")?,
                evidence: row.get("evidence")?,
            },
            recorded_at_ms: row.get("recorded_at_ms")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
