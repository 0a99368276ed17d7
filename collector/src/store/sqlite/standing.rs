//! What the self-diagnosis of machines found and how it stands, one row for each check and what it looks at. The newest by
//! place in the newest chain holds, whenever it arrives.

use super::cell::{get, named, place};
use super::latest::Only;
use super::stated::When;
use crate::store::error::StoreError;
use crate::store::rows::StandingRow;
use crate::store::scope::Scope;
use crate::store::{STANDING_EVIDENCE_MAX, STANDING_MAX};
use mimamori_shared::id::AgentId;
use mimamori_shared::payload::{ConsentState, Finding, OpenReason, Standing, Statement};
use mimamori_shared::word::Word;
use rusqlite::{Connection, Row, params};
use std::collections::{BTreeMap, HashMap};

/// The worst first.
const RANK: &str = "CASE state WHEN 'bad' THEN 0 WHEN 'gone' THEN 1 WHEN 'unknown' THEN 2 ELSE 3 END";

/// Takes what a report found; gives whether more stands than is kept, so that something was let go that is not in order.
pub(super) fn settle(db: &Connection, agent: AgentId, when: &When, findings: &[Finding]) -> Result<bool, StoreError> {
    for finding in findings {
        let evidence: BTreeMap<&Word, i64> = finding.evidence.iter().take(STANDING_EVIDENCE_MAX).map(|(field, value)| (field, *value)).collect();
        db.prepare_cached(
            "INSERT INTO standing (agent, check_id, name, state, since_ms, evidence, epoch, seq, received_at_ms)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
             WHERE NOT EXISTS (SELECT 1 FROM standing_from f WHERE f.agent = ?1 AND (f.epoch, f.seq) > (?7, ?8))
             ON CONFLICT (agent, check_id, name) DO UPDATE SET state = excluded.state, since_ms = excluded.since_ms, evidence = excluded.evidence,
                epoch = excluded.epoch, seq = excluded.seq, received_at_ms = excluded.received_at_ms
             WHERE (excluded.epoch, excluded.seq) >= (epoch, seq)",
        )?
        .execute(params![
            agent.0,
            finding.check.as_str(),
            finding.name.as_ref().map_or("", Word::as_str),
            finding.state.name(),
            finding.since_ms,
            serde_json::to_string(&evidence).unwrap_or_default(),
            place(when.epoch)?,
            place(when.seq)?,
            when.now_ms
        ])?;
    }
    if findings.is_empty() { Ok(false) } else { prune(db, agent) }
}

/// What is in order goes first, then the oldest of what is least urgent.
fn prune(db: &Connection, agent: AgentId) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "DELETE FROM standing WHERE agent = ?1 AND (check_id, name) IN
         (SELECT check_id, name FROM standing WHERE agent = ?1 ORDER BY {RANK}, epoch DESC, seq DESC, check_id, name LIMIT -1 OFFSET ?2)
         RETURNING state <> 'ok'"
    ))?;
    let gone = statement.query_map(params![agent.0, STANDING_MAX], |row| row.get::<_, bool>(0))?;
    gone.into_iter().try_fold(false, |any, one| Ok(any | one?))
}

/// After the end of a consent, and of the agent, nothing that was known before counts; the agent begins anew as well, and
/// so it does in a chain that goes on from a backup or without its state.
pub(super) fn end(db: &Connection, agent: AgentId, when: &When, statement: &Statement) -> Result<(), StoreError> {
    match statement {
        Statement::Consent { state: ConsentState::Withdrawn | ConsentState::Expired, .. } | Statement::Purge { .. } => {}
        Statement::Open { reason: OpenReason::Enrolled | OpenReason::Restored | OpenReason::StateLost, .. } => {}
        Statement::Consent { state: ConsentState::Granted, .. }
        | Statement::Open { reason: OpenReason::Rotated, .. }
        | Statement::Plan { .. }
        | Statement::Key { .. } => return Ok(()),
    }
    let (epoch, seq) = (place(when.epoch)?, place(when.seq)?);
    db.prepare_cached(
        "INSERT INTO standing_from (agent, epoch, seq) VALUES (?1, ?2, ?3)
         ON CONFLICT (agent) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq WHERE (excluded.epoch, excluded.seq) > (epoch, seq)",
    )?
    .execute(params![agent.0, epoch, seq])?;
    db.prepare_cached("DELETE FROM standing WHERE agent = ?1 AND (epoch, seq) < (?2, ?3)")?.execute(params![agent.0, epoch, seq])?;
    Ok(())
}

/// What is not in order, the worst first.
pub(super) fn list(db: &Connection, scope: &Scope, only: Only<'_>) -> Result<HashMap<AgentId, Vec<StandingRow>>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT s.* FROM standing s JOIN machine m ON m.agent = s.agent
         WHERE (?1 IS NULL OR m.facility = ?1) AND (?2 IS NULL OR m.facility = ?2) AND (?3 IS NULL OR m.alias = ?3)
            AND (?4 IS NULL OR m.agent = ?4) AND s.state <> 'ok'
         ORDER BY {}, s.check_id, s.name",
        RANK.replace("state", "s.state")
    ))?;
    let (facility, alias) = (only.facility.map(Word::as_str), only.alias.map(Word::as_str));
    let mut rows = statement.query(params![scope.facility(), facility, alias, only.agent.map(|agent| agent.0)])?;
    let mut standing: HashMap<AgentId, Vec<StandingRow>> = HashMap::new();
    while let Some(row) = rows.next()? {
        standing.entry(get(row, "agent")?).or_default().push(read(row)?);
    }
    Ok(standing)
}

fn read(row: &Row<'_>) -> rusqlite::Result<StandingRow> {
    let (name, evidence): (String, String) = (row.get("name")?, row.get("evidence")?);
    let finding = Finding {
        check: get(row, "check_id")?,
        name: name.parse().ok(),
        state: named(row, "state", |word| Standing::ALL.into_iter().find(|state| state.name() == word))?,
        since_ms: row.get("since_ms")?,
        evidence: serde_json::from_str(&evidence).unwrap_or_default(),
    };
    Ok(StandingRow { finding, epoch: get(row, "epoch")?, seq: get(row, "seq")?, received_at_ms: row.get("received_at_ms")? })
}
