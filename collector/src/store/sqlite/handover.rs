//! Keys that follow one another. A key's last place is fixed by its own statement, which the new key proves.

use super::audit::{self, Deed};
use super::cell::{get, maybe, place};
use super::{machine, revocation};
use crate::store::error::StoreError;
use crate::store::named::ActorKind;
use crate::store::rows::RefusedKey;
use crate::store::scope::{Actor, Scope};
use mimamori_shared::chain::Link;
use mimamori_shared::id::{AgentId, ChainId, Hash, KeyId};
use mimamori_shared::payload::{Head, Place, successor};
use mimamori_shared::word::Word;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

/// New keys of one agent within a day; a machine changes its own every 90 days.
const KEYS_PER_DAY_MAX: u32 = 96;
/// Keys that were not taken and are kept for an operator to choose from, per agent.
const REFUSED_MAX: u32 = 16;
const DAY_MS: i64 = 86_400_000;

/// The end of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closing {
    pub(super) key_id: KeyId,
    /// Where its statement stands.
    pub(super) at: Place,
    /// Whether the statement is held there.
    pub(super) held: bool,
}

impl Closing {
    /// Whether an entry of `key_id` in `chain` that is not held yet still has a place.
    pub(super) fn leaves_room(&self, key_id: KeyId, chain: ChainId, link: &Link, hash: Hash) -> bool {
        if chain == self.at.chain_id && (link.last_seq > self.at.seq || (link.last_seq == self.at.seq && hash != self.at.hash)) {
            return false;
        }
        // Before the statement itself is held, what it stands behind may come; afterwards its key has said all.
        key_id != self.key_id || !self.held
    }
}

/// What closes a key or a chain, if anything does.
pub(super) fn closings(db: &Connection, agent: AgentId, key: KeyId, chain: ChainId) -> Result<Vec<Closing>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT key_id, closed_chain, closed_seq, closed_hash, closed FROM agent_key
         WHERE agent = ?1 AND closed_chain IS NOT NULL AND (key_id = ?2 OR closed_chain = ?3)",
    )?;
    let rows = statement.query_map(params![agent.0, key.0, chain.0], |row| {
        let at = Place { chain_id: get(row, "closed_chain")?, seq: get(row, "closed_seq")?, hash: get(row, "closed_hash")? };
        Ok(Closing { key_id: get(row, "key_id")?, at, held: row.get("closed")? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What a statement came to.
pub(super) enum HandOver {
    /// The new key is the agent's.
    Done(Closing),
    /// The new key may speak; the agent's it is when the statement stands at its place.
    Vouched(Closing),
    /// The old key stays; why.
    Refused(&'static str),
}

/// How a statement came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    /// The branch it stands on.
    pub(super) branch: u32,
    /// It stands in its chain; otherwise it comes ahead of its place and only vouches for the new key.
    pub(super) held: bool,
    /// It was held before, and was not acted upon then.
    pub(super) again: bool,
    /// Two are heard to hold the old key.
    pub(super) two_voices: bool,
    /// When, milliseconds since 1970.
    pub(super) now_ms: i64,
}

/// Acts on the statement at a place: the new key becomes the agent's, and the old one ends there.
///
/// A key that is only vouched for may speak, and gives way to one whose statement is held at its place: whoever copied the
/// old key could name any place ahead. What was refused once is taken only if an operator chose it.
pub(super) fn hand_over(db: &Connection, head: &Head, hash: Hash, (public_key, proof): (&str, &str), came: Came) -> Result<HandOver, StoreError> {
    let Some(new) = successor(head, public_key, proof) else { return Ok(HandOver::Refused("no_proof")) };
    let closing = Closing { key_id: head.key_id, at: Place { chain_id: head.chain_id, seq: head.seq, hash }, held: came.held };
    let refuse = |why| {
        remember(db, head, new.id(), why, came.now_ms)?;
        Ok(HandOver::Refused(why))
    };
    let chosen = db.prepare_cached("SELECT 1 FROM machine WHERE agent = ?1 AND chosen_key = ?2")?.exists(params![head.agent_id.0, new.id().0])?;
    let known: Option<(KeyId, bool)> = db
        .query_row("SELECT successor, closed FROM agent_key WHERE key_id = ?1", [head.key_id.0], |row| Ok(maybe(row, "successor")?.zip(row.get("closed")?)))
        .optional()?
        .flatten();
    if let Some((known, closed)) = known {
        let same = known == new.id()
            && closings(db, head.agent_id, head.key_id, head.chain_id)?.iter().any(|other| other.key_id == head.key_id && other.at == closing.at);
        if same {
            if came.held && !closed {
                took(db, head, &closing, new.id(), came.now_ms)?;
            }
            return Ok(HandOver::Done(closing));
        }
        if !chosen && (closed || !came.held || came.two_voices || came.branch > 0) {
            return refuse("second_successor");
        }
    }
    if !chosen && (came.two_voices || came.branch > 0 || came.again) {
        // Whoever holds the key a second time must not end it for the one it belongs to: an operator decides.
        return refuse("two_voices");
    }
    let there = machine::key(db, new.id())?;
    // One that was chosen may have been vouched for, or have given way to another, before.
    let may_be = there.as_ref().is_none_or(|there| chosen && there.agent_id == head.agent_id && new.id() != head.key_id);
    if !may_be || revocation::is_revoked(db, new.id())? {
        return refuse("key_in_use");
    }
    if there.is_none() && added(db, head.agent_id, came.now_ms)? >= KEYS_PER_DAY_MAX {
        return refuse("too_many_keys");
    }
    if let Some((known, _)) = known {
        db.execute("UPDATE agent_key SET state = 'revoked', revoked_at_ms = ?2 WHERE key_id = ?1", params![known.0, came.now_ms])?;
    }
    db.execute(
        "INSERT INTO agent_key (key_id, public_key, agent, state, added_at_ms) VALUES (?1, ?2, ?3, 'active', ?4)
         ON CONFLICT (key_id) DO UPDATE SET state = 'active', revoked_at_ms = NULL",
        params![new.id().0, new.to_bytes(), head.agent_id.0, came.now_ms],
    )?;
    db.execute(
        "UPDATE agent_key SET successor = ?2, closed_chain = ?3, closed_seq = ?4, closed_hash = ?5, closed = 0 WHERE key_id = ?1",
        params![head.key_id.0, new.id().0, head.chain_id.0, place(head.seq)?, hash.0],
    )?;
    db.execute("DELETE FROM key_refused WHERE agent = ?1 AND key_id = ?2", params![head.agent_id.0, new.id().0])?;
    if !came.held {
        return Ok(HandOver::Vouched(closing));
    }
    took(db, head, &closing, new.id(), came.now_ms)?;
    Ok(HandOver::Done(closing))
}

/// The statement stands at its place: from here on the machine is known by the new key.
fn took(db: &Connection, head: &Head, closing: &Closing, new: KeyId, now_ms: i64) -> Result<(), StoreError> {
    db.execute("UPDATE agent_key SET closed = 1 WHERE key_id = ?1", [head.key_id.0])?;
    db.execute(
        "UPDATE machine SET key_id = ?2, chosen_key = CASE WHEN chosen_key = ?2 THEN NULL ELSE chosen_key END WHERE agent = ?1",
        params![head.agent_id.0, new.0],
    )?;
    let facility: Word = db.query_row("SELECT facility FROM machine WHERE agent = ?1", [head.agent_id.0], |row| get(row, "facility"))?;
    let detail = json!({ "from": head.key_id.fingerprint(), "to": new.fingerprint(), "chain": closing.at.chain_id, "seq": closing.at.seq });
    let name = head.key_id.to_string().parse().map_err(|_| StoreError::Invalid("a key id is a word"))?;
    let deed = Deed { verb: "rotate", noun: "machine", id: head.agent_id.to_string(), facility: Some(&facility), detail };
    audit::add(db, &Actor { kind: ActorKind::Agent, name }, now_ms, &deed)
}

/// Keys that were added for an agent within the last day.
fn added(db: &Connection, agent: AgentId, now_ms: i64) -> Result<u32, StoreError> {
    let mut statement = db.prepare_cached("SELECT count(*) FROM agent_key WHERE agent = ?1 AND added_at_ms > ?2")?;
    Ok(statement.query_row(params![agent.0, now_ms.saturating_sub(DAY_MS)], |row| row.get(0))?)
}

/// Keeps for the operator what was named and not taken. The first ones stay: whoever floods takes no place from others'
/// choice, which may also fall on a key that is not listed.
fn remember(db: &Connection, head: &Head, new: KeyId, why: &'static str, now_ms: i64) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO key_refused (agent, key_id, old_key, chain, seq, why, at_ms)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (SELECT count(*) FROM key_refused WHERE agent = ?1) < ?8
         ON CONFLICT (agent, key_id) DO UPDATE SET why = excluded.why, at_ms = excluded.at_ms",
    )?
    .execute(params![head.agent_id.0, new.0, head.key_id.0, head.chain_id.0, place(head.seq)?, why, now_ms, REFUSED_MAX])?;
    Ok(())
}

/// The keys that were named for a machine and not taken, oldest first.
pub(in crate::store) fn refused(db: &Connection, scope: &Scope, agent: AgentId) -> Result<Vec<RefusedKey>, StoreError> {
    machine::need_agent(db, scope, agent)?;
    let mut statement = db.prepare_cached("SELECT key_id, chain, seq, why, at_ms FROM key_refused WHERE agent = ?1 ORDER BY at_ms, key_id")?;
    let rows = statement.query_map([agent.0], |row| {
        Ok(RefusedKey { key_id: get(row, "key_id")?, chain_id: get(row, "chain")?, seq: get(row, "seq")?, why: row.get("why")?, at_ms: row.get("at_ms")? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether `key` may open a chain that goes on from `previous` without counting as a new beginning: an earlier key
/// named it there, and it has opened no such chain yet.
pub(super) fn proves(db: &Connection, agent: AgentId, key: KeyId, previous: Place) -> Result<bool, StoreError> {
    let named = db
        .prepare_cached(
            "SELECT 1 FROM agent_key WHERE agent = ?1 AND successor = ?2 AND closed_chain = ?3 AND closed_seq = ?4 AND closed_hash = ?5 AND closed = 1",
        )?
        .exists(params![agent.0, key.0, previous.chain_id.0, place(previous.seq)?, previous.hash.0])?;
    if !named {
        return Ok(false);
    }
    let opened = db.prepare_cached("SELECT 1 FROM chain WHERE agent = ?1 AND proven = 1 AND proven_key = ?2")?.exists(params![agent.0, key.0])?;
    Ok(!opened)
}
