//! Keys that are never taken again, and how often there was such a decision: what a restored database is held against.

use super::audit::{self, Deed};
use super::cell::{get, place};
use crate::store::error::StoreError;
use crate::store::rows::{Revocations, RevokedAgain};
use crate::store::scope::{Actor, Scope};
use mimamori_shared::id::{AgentId, KeyId};
use mimamori_shared::word::Word;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

/// Every key of an agent, for good; one decision more.
pub(super) fn revoke_all(db: &Connection, agent: AgentId, now_ms: i64) -> Result<(), StoreError> {
    let added = db.execute(
        "INSERT INTO revoked_key (key_id, revoked_at_ms) SELECT key_id, ?2 FROM agent_key WHERE agent = ?1 ON CONFLICT DO NOTHING",
        params![agent.0, now_ms],
    )?;
    if added > 0 {
        db.execute("UPDATE revocation SET epoch = epoch + 1", [])?;
    }
    Ok(())
}

pub(super) fn is_revoked(db: &Connection, key: KeyId) -> Result<bool, StoreError> {
    Ok(db.prepare_cached("SELECT 1 FROM revoked_key WHERE key_id = ?1")?.exists([key.0])?)
}

pub(in crate::store) fn all(db: &Connection, scope: &Scope) -> Result<Revocations, StoreError> {
    if *scope != Scope::All {
        return Err(StoreError::NotFound("revocations of one facility"));
    }
    let epoch = db.query_row("SELECT epoch FROM revocation", [], |row| get(row, "epoch"))?;
    let mut statement = db.prepare_cached("SELECT key_id FROM revoked_key ORDER BY key_id")?;
    let keys = statement.query_map([], |row| get(row, "key_id"))?.collect::<Result<_, _>>()?;
    Ok(Revocations { epoch, keys })
}

/// Takes over what a database that went back has forgotten; each key has its own line of the audit.
pub(in crate::store) fn reapply(db: &Connection, actor: &Actor, known: &Revocations, now_ms: i64) -> Result<Vec<RevokedAgain>, StoreError> {
    let mut agents = 0;
    let mut again = Vec::new();
    for key in &known.keys {
        let added = db.execute("INSERT INTO revoked_key (key_id, revoked_at_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING", params![key.0, now_ms])?;
        agents += db.execute(
            "UPDATE machine SET state = 'revoked', ended_at_ms = ?2
             WHERE state IN ('active', 'pending') AND agent IN (SELECT agent FROM agent_key WHERE key_id = ?1)",
            params![key.0, now_ms],
        )?;
        db.execute("UPDATE agent_key SET state = 'revoked', revoked_at_ms = coalesce(revoked_at_ms, ?2) WHERE key_id = ?1", params![key.0, now_ms])?;
        if added > 0 {
            again.push(revoked_again(db, actor, *key, now_ms)?);
        }
    }
    let own: u64 = db.query_row("SELECT epoch FROM revocation", [], |row| get(row, "epoch"))?;
    let epoch = own.max(known.epoch).saturating_add(1);
    db.execute("UPDATE revocation SET epoch = ?1", [place(epoch)?])?;
    let detail = json!({ "epoch_of_database": own, "epoch_of_file": known.epoch, "keys": known.keys.len(), "keys_revoked_again": again.len(),
                         "machines_revoked_again": agents });
    audit::add(db, actor, now_ms, &Deed { verb: "accept_rollback", noun: "collector", id: epoch.to_string(), facility: None, detail })?;
    Ok(again)
}

fn revoked_again(db: &Connection, actor: &Actor, key_id: KeyId, now_ms: i64) -> Result<RevokedAgain, StoreError> {
    let mut statement = db.prepare_cached("SELECT m.facility, m.alias FROM agent_key k JOIN machine m ON m.agent = k.agent WHERE k.key_id = ?1")?;
    let machine: Option<(Word, Word)> = statement.query_row([key_id.0], |row| Ok((get(row, "facility")?, get(row, "alias")?))).optional()?;
    let detail = json!({ "alias": machine.as_ref().map(|(_, alias)| alias) });
    let facility = machine.as_ref().map(|(facility, _)| facility);
    audit::add(db, actor, now_ms, &Deed { verb: "revoke_again", noun: "key", id: key_id.fingerprint(), facility, detail })?;
    Ok(RevokedAgain { key_id, machine })
}
