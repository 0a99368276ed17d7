//! Findings, one row per agent, kind and day: however often something happens, the table stays small.

use super::cell::{get, named, place};
use super::machine;
use crate::store::error::StoreError;
use crate::store::named::FindingKind;
use crate::store::rows::FindingRow;
use crate::store::scope::Scope;
use mimamori_shared::id::{AgentId, ChainId};
use rusqlite::{Connection, params};

/// Days of one kind that are kept per agent.
const DAYS_MAX: u32 = 1000;
const DAY_MS: i64 = 86_400_000;

/// Something that was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) kind: FindingKind,
    pub(super) chain: ChainId,
    pub(super) seq: u64,
    pub(super) detail: &'a str,
}

pub(super) fn add(db: &Connection, agent: AgentId, seen: Seen<'_>, now_ms: i64) -> Result<(), StoreError> {
    let day = now_ms.div_euclid(DAY_MS);
    let seq = place(seen.seq.min(crate::store::accept::SEQ_END))?;
    let updated = db
        .prepare_cached(
            "UPDATE finding SET count = count + 1, last_at_ms = max(last_at_ms, ?4), chain = ?5, seq = ?6, detail = ?7
             WHERE agent = ?1 AND kind = ?2 AND day = ?3",
        )?
        .execute(params![agent.0, seen.kind.name(), day, now_ms, seen.chain.0, seq, seen.detail])?;
    if updated > 0 {
        return Ok(());
    }
    db.execute(
        "INSERT INTO finding (agent, kind, day, count, first_at_ms, last_at_ms, chain, seq, detail) VALUES (?1, ?2, ?3, 1, ?4, ?4, ?5, ?6, ?7)",
        params![agent.0, seen.kind.name(), day, now_ms, seen.chain.0, seq, seen.detail],
    )?;
    db.execute(
        "DELETE FROM finding WHERE agent = ?1 AND kind = ?2 AND day <=
         (SELECT day FROM finding WHERE agent = ?1 AND kind = ?2 ORDER BY day DESC LIMIT 1 OFFSET ?3)",
        params![agent.0, seen.kind.name(), DAYS_MAX],
    )?;
    Ok(())
}

/// Whether the key of a `machine m` was heard with two voices since an operator last approved it, as a condition.
pub(super) const TWO_VOICES: &str = "EXISTS (SELECT 1 FROM finding f WHERE f.agent = m.agent AND f.kind IN ('diverged', 'boots_interleaved', 'old_chain_spoke')
    AND f.last_at_ms >= coalesce(m.chains_approved_at_ms, f.last_at_ms))";

/// The same of one agent.
pub(super) fn two_voices(db: &Connection, agent: AgentId) -> Result<bool, StoreError> {
    Ok(db.prepare_cached(&format!("SELECT 1 FROM machine m WHERE m.agent = ?1 AND {TWO_VOICES}"))?.exists([agent.0])?)
}

/// The same, for whoever asks within their scope.
pub(in crate::store) fn heard_twice(db: &Connection, scope: &Scope, agent: AgentId) -> Result<bool, StoreError> {
    machine::need_agent(db, scope, agent)?;
    two_voices(db, agent)
}

/// Of one agent, or of all.
pub(in crate::store) fn list(db: &Connection, scope: &Scope, only: Option<AgentId>, limit: u32) -> Result<Vec<FindingRow>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT f.* FROM finding f JOIN machine m ON m.agent = f.agent WHERE (?1 IS NULL OR m.facility = ?1) AND (?3 IS NULL OR f.agent = ?3)
         ORDER BY f.last_at_ms DESC, f.agent, f.kind LIMIT ?2",
    )?;
    let rows = statement.query_map(params![scope.facility(), limit, only.map(|agent| agent.0)], |row| {
        Ok(FindingRow {
            agent_id: get(row, "agent")?,
            kind: named(row, "kind", FindingKind::of)?,
            day: row.get("day")?,
            count: get(row, "count")?,
            first_at_ms: row.get("first_at_ms")?,
            last_at_ms: row.get("last_at_ms")?,
            chain_id: get(row, "chain")?,
            seq: get(row, "seq")?,
            detail: get(row, "detail")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
