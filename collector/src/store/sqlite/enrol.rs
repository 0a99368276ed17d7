//! A token becomes a machine, once.

use super::audit::{self, Deed};
use super::cell::{get, maybe};
use super::{machine, revocation};
use crate::store::admin::{Enrolment, Redeem, Redeemed};
use crate::store::error::StoreError;
use crate::store::named::{ActorKind, RedeemRefusal};
use crate::store::network::Network;
use crate::store::scope::Actor;
use mimamori_shared::id::{AgentId, KeyId, to_hex};
use mimamori_shared::payload::EnrolState;
use mimamori_shared::sign::PublicKey;
use mimamori_shared::word::Word;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

struct Token {
    facility: Word,
    slot: Option<Word>,
    expires_at_ms: i64,
    revoked: bool,
    source: Option<Network>,
    used: Option<Used>,
}

struct Used {
    key: KeyId,
    agent: AgentId,
    alias: Word,
    active: bool,
    at_ms: i64,
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    let used = match maybe(row, "used_key")? {
        None => None,
        Some(key) => Some(Used {
            key,
            agent: get(row, "used_agent")?,
            alias: get(row, "used_alias")?,
            active: row.get::<_, String>("used_state")? == "active",
            at_ms: row.get("used_at_ms")?,
        }),
    };
    Ok(Token {
        facility: get(row, "facility")?,
        slot: maybe(row, "slot")?,
        expires_at_ms: row.get("expires_at_ms")?,
        revoked: row.get::<_, Option<i64>>("revoked_at_ms")?.is_some(),
        source: super::token::source(row)?,
        used,
    })
}

pub(in crate::store) fn redeem(db: &Connection, ask: &Redeem, now_ms: i64) -> Result<Redeemed, StoreError> {
    let key = PublicKey::from_bytes(&ask.public_key).map_err(|_| StoreError::Invalid("the public key cannot be used"))?;
    if key.id() != ask.key_id {
        return Err(StoreError::Invalid("the key id is not the public key's"));
    }
    let found = db.query_row("SELECT * FROM token WHERE token = ?1", [ask.token_id.0], token).optional()?;
    let Some(token) = found else {
        return Ok(Redeemed::Refused(RedeemRefusal::Unknown));
    };
    if let Some(used) = &token.used {
        if used.key == ask.key_id {
            return Ok(Redeemed::Enrolled { enrolment: enrolment(ask, &token, used), first_time: false });
        }
        contested(db, ask, &token, used, now_ms)?;
        return Ok(Redeemed::Refused(RedeemRefusal::UsedByAnotherKey));
    }
    if let Some(refusal) = refused(db, ask, &token, now_ms)? {
        return Ok(Redeemed::Refused(refusal));
    }
    let used = use_up(db, ask, &token, now_ms)?;
    Ok(Redeemed::Enrolled { enrolment: enrolment(ask, &token, &used), first_time: true })
}

fn refused(db: &Connection, ask: &Redeem, token: &Token, now_ms: i64) -> Result<Option<RedeemRefusal>, StoreError> {
    if token.revoked {
        return Ok(Some(RedeemRefusal::Revoked));
    }
    if now_ms >= token.expires_at_ms {
        return Ok(Some(RedeemRefusal::Expired));
    }
    if token.source.is_some_and(|network| !network.contains(ask.source)) {
        return Ok(Some(RedeemRefusal::OtherSource));
    }
    if machine::key(db, ask.key_id)?.is_some() || revocation::is_revoked(db, ask.key_id)? {
        return Ok(Some(RedeemRefusal::KeyInUse));
    }
    let taken = match &token.slot {
        Some(slot) => machine::taken(db, &token.facility, slot)?,
        None => false,
    };
    Ok(taken.then_some(RedeemRefusal::AliasTaken))
}

fn use_up(db: &Connection, ask: &Redeem, token: &Token, now_ms: i64) -> Result<Used, StoreError> {
    let (alias, active) = match &token.slot {
        Some(slot) => (slot.clone(), true),
        None => (waiting_alias(ask.agent_id)?, false),
    };
    if !active && machine::taken(db, &token.facility, &alias)? {
        return Err(StoreError::Taken("agent id"));
    }
    let state = if active { "active" } else { "pending" };
    db.execute(
        "INSERT INTO machine (agent, facility, alias, state, key_id, token, enrolled_at_ms, approved_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![ask.agent_id.0, token.facility.as_str(), alias.as_str(), state, ask.key_id.0, ask.token_id.0, now_ms, active.then_some(now_ms)],
    )?;
    db.execute(
        "INSERT INTO agent_key (key_id, public_key, agent, state, added_at_ms) VALUES (?1, ?2, ?3, 'active', ?4)",
        params![ask.key_id.0, ask.public_key, ask.agent_id.0, now_ms],
    )?;
    db.execute(
        "UPDATE token SET used_at_ms = ?2, used_key = ?3, used_agent = ?4, used_alias = ?5, used_state = ?6 WHERE token = ?1",
        params![ask.token_id.0, now_ms, ask.key_id.0, ask.agent_id.0, alias.as_str(), state],
    )?;
    let detail = json!({ "token": ask.token_id, "key": ask.key_id, "alias": alias, "state": state });
    let deed = Deed { verb: "enrol", noun: "machine", id: ask.agent_id.to_string(), facility: Some(&token.facility), detail };
    audit::add(db, &agent(ask.key_id)?, now_ms, &deed)?;
    Ok(Used { key: ask.key_id, agent: ask.agent_id, alias, active, at_ms: now_ms })
}

/// Keys that contest one token and are written down by name: whoever copied a token cannot fill the audit with more.
const CONTESTS_MAX: u64 = 128;

/// Two keys with one token: somebody copied it. Written down once per pair, so that asking on fills nothing.
fn contested(db: &Connection, ask: &Redeem, token: &Token, used: &Used, now_ms: i64) -> Result<(), StoreError> {
    let detail = json!({ "used_by": used.key, "asked_by": ask.key_id, "asked_from": ask.source.to_string() });
    let id = ask.token_id.to_string();
    let held: u64 = db
        .prepare_cached("SELECT COUNT(*) FROM audit WHERE noun = 'token' AND id = ?1 AND verb = 'contest'")?
        .query_row([&id], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)?;
    if held >= CONTESTS_MAX {
        return Ok(());
    }
    let known = db
        .prepare_cached("SELECT 1 FROM audit WHERE verb = 'contest' AND noun = 'token' AND id = ?1 AND detail = ?2")?
        .exists(params![id, detail.to_string()])?;
    if known {
        return Ok(());
    }
    let deed = Deed { verb: "contest", noun: "token", id, facility: Some(&token.facility), detail };
    audit::add(db, &agent(ask.key_id)?, now_ms, &deed)
}

fn enrolment(ask: &Redeem, token: &Token, used: &Used) -> Enrolment {
    Enrolment {
        agent_id: used.agent,
        key_id: used.key,
        token_id: ask.token_id,
        facility: token.facility.clone(),
        machine: used.alias.clone(),
        state: if used.active { EnrolState::Active } else { EnrolState::Pending },
        enrolled_at_ms: used.at_ms,
    }
}

fn waiting_alias(agent: AgentId) -> Result<Word, StoreError> {
    let AgentId(bytes) = agent;
    let (first, _) = bytes.split_at(4);
    Word::alias(&format!("m-{}", to_hex(first))).map_err(|_| StoreError::Invalid("an alias made from an id is one"))
}

fn agent(key: KeyId) -> Result<Actor, StoreError> {
    let name = key.to_string().parse().map_err(|_| StoreError::Invalid("a key id is a word"))?;
    Ok(Actor { kind: ActorKind::Agent, name })
}
