//! Consents that end soon: a finding at each mark before the end, once.

use super::cell::get;
use super::finding::{self, Seen};
use crate::store::error::StoreError;
use crate::store::named::FindingKind;
use crate::store::scope::Scope;
use mimamori_shared::consent::{EXPIRY_DAYS, expiry_mark};
use mimamori_shared::id::{AgentId, ChainId};
use rusqlite::{Connection, params};

const DAY_MS: i64 = 86_400_000;

/// A consent at a mark of which nothing was said.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Due {
    agent: AgentId,
    chain: ChainId,
    seq: u64,
    end_day: i64,
    days: u32,
}

pub(in crate::store) fn due(db: &Connection, scope: &Scope, now_ms: i64, limit: u32) -> Result<Vec<Due>, StoreError> {
    let widest_ms = i64::from(EXPIRY_DAYS.into_iter().max().unwrap_or(0)) * DAY_MS;
    let mut statement = db.prepare_cached(
        "SELECT s.agent, s.seq, s.valid_to_ms, c.chain FROM machine_consent s
         JOIN machine m ON m.agent = s.agent JOIN chain c ON c.agent = s.agent AND c.epoch = s.epoch
         WHERE s.state = 'granted' AND m.state = 'active' AND s.valid_to_ms > ?2 AND s.valid_to_ms <= ?3 AND (?1 IS NULL OR m.facility = ?1)
         ORDER BY s.valid_to_ms, s.agent",
    )?;
    let mut said = db.prepare_cached("SELECT 1 FROM consent_notice WHERE agent = ?1 AND end_day = ?2 AND days = ?3")?;
    let mut rows = statement.query(params![scope.facility(), now_ms, now_ms.saturating_add(widest_ms)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let end_ms: i64 = row.get("valid_to_ms")?;
        let Some(days) = expiry_mark(end_ms, now_ms) else { continue };
        let due = Due { agent: get(row, "agent")?, chain: get(row, "chain")?, seq: get(row, "seq")?, end_day: end_ms.div_euclid(DAY_MS), days };
        if !said.exists(params![due.agent.0, due.end_day, due.days])? {
            found.push(due);
        }
        if found.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(found)
}

/// Says it; how many were not said meanwhile by somebody else.
pub(in crate::store) fn note(db: &Connection, due: &[Due], now_ms: i64) -> Result<usize, StoreError> {
    let mut noted = 0;
    for one in due {
        let added = db.execute(
            "INSERT INTO consent_notice (agent, end_day, days, at_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![one.agent.0, one.end_day, one.days, now_ms],
        )?;
        if added == 0 {
            continue;
        }
        noted += added;
        let detail = format!("within_{}_days", one.days);
        finding::add(db, one.agent, Seen { kind: FindingKind::ConsentExpires, chain: one.chain, seq: one.seq, detail: &detail }, now_ms)?;
        db.execute("DELETE FROM consent_notice WHERE agent = ?1 AND end_day < ?2", params![one.agent.0, now_ms.div_euclid(DAY_MS)])?;
    }
    Ok(noted)
}
