//! Machines: what is decided about them. How they are shown is in `latest`.

use super::audit::{self, Deed};
use super::cell::{get, named};
use super::{facility, presence, revocation};
use crate::store::error::StoreError;
use crate::store::named::{KeyState, MachineState};
use crate::store::rows::KeyRow;
use crate::store::scope::{Actor, Scope};
use mimamori_shared::id::{AgentId, KeyId};
use mimamori_shared::word::Word;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

/// What a decision needs to know.
struct Found {
    agent: AgentId,
    state: MachineState,
    key_id: KeyId,
}

fn find(db: &Connection, scope: &Scope, at: &Word, alias: &Word) -> Result<Found, StoreError> {
    if !scope.covers(at) {
        return Err(StoreError::NotFound("machine"));
    }
    // The one in service, or the one retired last: of that nothing is decided any more.
    let mut statement =
        db.prepare_cached("SELECT agent, state, key_id FROM machine WHERE facility = ?1 AND alias = ?2 ORDER BY state = 'retired', ended_at_ms DESC")?;
    let found = statement.query_row(params![at.as_str(), alias.as_str()], |row| {
        Ok(Found { agent: get(row, "agent")?, state: named(row, "state", MachineState::of)?, key_id: get(row, "key_id")? })
    });
    let found: Found = found.optional()?.ok_or(StoreError::NotFound("machine"))?;
    if found.state == MachineState::Retired { Err(StoreError::Retired) } else { Ok(found) }
}

/// Whether a machine in service has the alias.
pub(super) fn taken(db: &Connection, at: &Word, alias: &Word) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached("SELECT 1 FROM machine WHERE facility = ?1 AND alias = ?2 AND state <> 'retired'")?;
    Ok(statement.exists(params![at.as_str(), alias.as_str()])?)
}

fn need_free(db: &Connection, at: &Word, alias: &Word) -> Result<(), StoreError> {
    Word::alias(alias.as_str()).map_err(|_| StoreError::Invalid("a machine's alias is 1 to 32 of a-z 0-9 _ -"))?;
    if taken(db, at, alias)? { Err(StoreError::Taken("machine's alias")) } else { Ok(()) }
}

fn did(db: &Connection, actor: &Actor, now_ms: i64, verb: &'static str, agent: AgentId, at: &Word, detail: Value) -> Result<(), StoreError> {
    audit::add(db, actor, now_ms, &Deed { verb, noun: "machine", id: agent.to_string(), facility: Some(at), detail })
}

/// Lets a machine report, and lets it open new chains again.
pub(in crate::store) fn approve(
    db: &Connection,
    scope: &Scope,
    actor: &Actor,
    (at, alias, rename): (&Word, &Word, Option<&Word>),
    now_ms: i64,
) -> Result<AgentId, StoreError> {
    let found = find(db, scope, at, alias)?;
    if found.state == MachineState::Revoked {
        return Err(StoreError::Invalid("the machine's key is revoked: it has to enrol again"));
    }
    let name = rename.unwrap_or(alias);
    if name != alias {
        need_free(db, at, name)?;
    }
    // What was heard by a clock that ran ahead is approved as well.
    let last: Option<i64> = db.query_row("SELECT max(last_at_ms) FROM finding WHERE agent = ?1", [found.agent.0], |row| row.get(0))?;
    let chains_ms = last.map_or(now_ms, |last| now_ms.max(last.saturating_add(1)));
    db.execute(
        "UPDATE machine SET state = 'active', alias = ?2, approved_at_ms = coalesce(approved_at_ms, ?3), chains_approved_at_ms = ?4
         WHERE agent = ?1",
        params![found.agent.0, name.as_str(), now_ms, chains_ms],
    )?;
    let detail = json!({ "alias": name, "was": alias, "key": found.key_id.fingerprint() });
    did(db, actor, now_ms, "approve", found.agent, at, detail)?;
    Ok(found.agent)
}

/// Decides which new key is the machine's: it is taken when its statement comes again, whatever was heard before.
pub(in crate::store) fn choose_key(
    db: &Connection,
    scope: &Scope,
    actor: &Actor,
    (at, alias): (&Word, &Word),
    key: KeyId,
    now_ms: i64,
) -> Result<(), StoreError> {
    let found = find(db, scope, at, alias)?;
    if found.state == MachineState::Revoked {
        return Err(StoreError::Invalid("the machine's key is revoked: it has to enrol again"));
    }
    db.execute("UPDATE machine SET chosen_key = ?2 WHERE agent = ?1", params![found.agent.0, key.0])?;
    did(db, actor, now_ms, "choose_key", found.agent, at, json!({ "alias": alias, "was": found.key_id.fingerprint(), "key": key.fingerprint() }))
}

/// Gives a machine another alias.
pub(in crate::store) fn rename(db: &Connection, scope: &Scope, actor: &Actor, (at, alias, name): (&Word, &Word, &Word), now_ms: i64) -> Result<(), StoreError> {
    let found = find(db, scope, at, alias)?;
    need_free(db, at, name)?;
    db.execute("UPDATE machine SET alias = ?2 WHERE agent = ?1", params![found.agent.0, name.as_str()])?;
    did(db, actor, now_ms, "rename", found.agent, at, json!({ "alias": name, "was": alias }))
}

/// Refuses a machine and its key from now on.
pub(in crate::store) fn revoke(db: &Connection, scope: &Scope, actor: &Actor, (at, alias): (&Word, &Word), now_ms: i64) -> Result<KeyId, StoreError> {
    let found = find(db, scope, at, alias)?;
    if found.state != MachineState::Revoked {
        end(db, found.agent, MachineState::Revoked, now_ms)?;
        db.execute("UPDATE agent_key SET state = 'revoked', revoked_at_ms = ?2 WHERE agent = ?1 AND state = 'active'", params![found.agent.0, now_ms])?;
        did(db, actor, now_ms, "revoke", found.agent, at, json!({ "alias": alias, "key": found.key_id.fingerprint() }))?;
    }
    Ok(found.key_id)
}

/// Takes a machine out of service; its alias becomes free, its history stays.
pub(in crate::store) fn retire(db: &Connection, scope: &Scope, actor: &Actor, (at, alias): (&Word, &Word), now_ms: i64) -> Result<(), StoreError> {
    let found = find(db, scope, at, alias)?;
    end(db, found.agent, MachineState::Retired, now_ms)?;
    did(db, actor, now_ms, "retire", found.agent, at, json!({ "alias": alias }))
}

fn end(db: &Connection, agent: AgentId, state: MachineState, now_ms: i64) -> Result<(), StoreError> {
    db.execute("UPDATE machine SET state = ?2, ended_at_ms = ?3 WHERE agent = ?1", params![agent.0, state.name(), now_ms])?;
    revocation::revoke_all(db, agent, now_ms)?;
    // Now, not when the next report is overdue: of a machine that is silent already none ever is.
    presence::mark(db, agent, now_ms)
}

/// Gives the place of `old` to `new`: the old machine is retired and keeps its alias, linked from the new one.
pub(in crate::store) fn replace(db: &Connection, scope: &Scope, actor: &Actor, (at, old, new): (&Word, &Word, &Word), now_ms: i64) -> Result<(), StoreError> {
    let was = find(db, scope, at, old)?;
    let comes = find(db, scope, at, new)?;
    if was.agent == comes.agent {
        return Err(StoreError::Invalid("a machine cannot replace itself"));
    }
    end(db, was.agent, MachineState::Retired, now_ms)?;
    db.execute("UPDATE machine SET alias = ?2, replaces = ?3 WHERE agent = ?1", params![comes.agent.0, old.as_str(), was.agent.0])?;
    did(db, actor, now_ms, "replace", comes.agent, at, json!({ "alias": old, "was": new, "replaces": was.agent }))
}

/// Moves a machine to another facility. Both must be inside the scope.
pub(in crate::store) fn relocate(db: &Connection, scope: &Scope, actor: &Actor, (at, alias, to): (&Word, &Word, &Word), now_ms: i64) -> Result<(), StoreError> {
    let found = find(db, scope, at, alias)?;
    facility::need(db, scope, to)?;
    need_free(db, to, alias)?;
    db.execute("UPDATE machine SET facility = ?2 WHERE agent = ?1", params![found.agent.0, to.as_str()])?;
    did(db, actor, now_ms, "move", found.agent, at, json!({ "alias": alias, "to": to }))?;
    did(db, actor, now_ms, "move", found.agent, to, json!({ "alias": alias, "from": at }))
}

/// A key and whose it is.
pub(in crate::store) fn key(db: &Connection, key_id: KeyId) -> Result<Option<KeyRow>, StoreError> {
    let mut statement = db
        .prepare_cached("SELECT k.agent, k.public_key, k.state, m.state AS machine FROM agent_key k JOIN machine m ON m.agent = k.agent WHERE k.key_id = ?1")?;
    let found = statement.query_row([key_id.0], |row| {
        Ok(KeyRow {
            agent_id: get(row, "agent")?,
            public_key: row.get("public_key")?,
            state: named(row, "state", KeyState::of)?,
            machine: named(row, "machine", MachineState::of)?,
        })
    });
    Ok(found.optional()?)
}

/// Every key of an agent and its public half, oldest first.
pub(in crate::store) fn keys_of(db: &Connection, scope: &Scope, agent: AgentId) -> Result<Vec<(KeyId, [u8; 32])>, StoreError> {
    need_agent(db, scope, agent)?;
    let mut statement = db.prepare_cached("SELECT key_id, public_key FROM agent_key WHERE agent = ?1 ORDER BY added_at_ms, key_id")?;
    let rows = statement.query_map([agent.0], |row| Ok((get(row, "key_id")?, row.get("public_key")?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Fails unless the agent's machine is inside the scope.
pub(super) fn need_agent(db: &Connection, scope: &Scope, agent: AgentId) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached("SELECT 1 FROM machine WHERE agent = ?1 AND (?2 IS NULL OR facility = ?2)")?;
    if statement.exists(params![agent.0, scope.facility()])? { Ok(()) } else { Err(StoreError::NotFound("machine")) }
}
