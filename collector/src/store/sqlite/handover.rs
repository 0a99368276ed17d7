//! Keys that follow one another. A key's last place is fixed by its own statement, which the new key proves.

use super::audit::{self, Deed};
use super::cell::{get, maybe, place};
use super::{machine, revocation};
use crate::store::error::StoreError;
use crate::store::named::ActorKind;
use crate::store::scope::Actor;
use mimamori_shared::chain::Link;
use mimamori_shared::id::{AgentId, ChainId, Hash, KeyId};
use mimamori_shared::payload::{Head, Place, successor};
use mimamori_shared::word::Word;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

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
    /// The old key stays; why.
    Refused(&'static str),
}

/// Acts on the statement at a place: the new key becomes the agent's, and the old one ends there. `held` tells whether
/// the statement stands in its chain already; before that it only vouches for the new key.
pub(super) fn hand_over(
    db: &Connection,
    head: &Head,
    hash: Hash,
    (public_key, proof): (&str, &str),
    (forked, held): (bool, bool),
    now_ms: i64,
) -> Result<HandOver, StoreError> {
    let Some(new) = successor(head, public_key, proof) else { return Ok(HandOver::Refused("no_proof")) };
    let closing = Closing { key_id: head.key_id, at: Place { chain_id: head.chain_id, seq: head.seq, hash }, held };
    let known: Option<KeyId> =
        db.query_row("SELECT successor FROM agent_key WHERE key_id = ?1", [head.key_id.0], |row| maybe(row, "successor")).optional()?.flatten();
    if let Some(known) = known {
        let same = known == new.id()
            && closings(db, head.agent_id, head.key_id, head.chain_id)?.iter().any(|other| other.key_id == head.key_id && other.at == closing.at);
        if !same {
            return Ok(HandOver::Refused("second_successor"));
        }
        if held {
            db.execute("UPDATE agent_key SET closed = 1 WHERE key_id = ?1", [head.key_id.0])?;
        }
        return Ok(HandOver::Done(closing));
    }
    if forked {
        // Whoever holds the key a second time must not end it for the one it belongs to: an operator decides.
        return Ok(HandOver::Refused("two_voices"));
    }
    if machine::key(db, new.id())?.is_some() || revocation::is_revoked(db, new.id())? {
        return Ok(HandOver::Refused("key_in_use"));
    }
    db.execute(
        "INSERT INTO agent_key (key_id, public_key, agent, state, added_at_ms) VALUES (?1, ?2, ?3, 'active', ?4)",
        params![new.id().0, new.to_bytes(), head.agent_id.0, now_ms],
    )?;
    db.execute(
        "UPDATE agent_key SET successor = ?2, closed_chain = ?3, closed_seq = ?4, closed_hash = ?5, closed = ?6 WHERE key_id = ?1",
        params![head.key_id.0, new.id().0, head.chain_id.0, place(head.seq)?, hash.0, held],
    )?;
    db.execute("UPDATE machine SET key_id = ?2 WHERE agent = ?1", params![head.agent_id.0, new.id().0])?;
    let facility: Word = db.query_row("SELECT facility FROM machine WHERE agent = ?1", [head.agent_id.0], |row| get(row, "facility"))?;
    let detail = json!({ "from": head.key_id.fingerprint(), "to": new.id().fingerprint(), "chain": head.chain_id, "seq": head.seq });
    let name = head.key_id.to_string().parse().map_err(|_| StoreError::Invalid("a key id is a word"))?;
    let deed = Deed { verb: "rotate", noun: "machine", id: head.agent_id.to_string(), facility: Some(&facility), detail };
    audit::add(db, &Actor { kind: ActorKind::Agent, name }, now_ms, &deed)?;
    Ok(HandOver::Done(closing))
}

/// Whether `key` may open a chain that goes on from `previous` without counting as a new beginning: an earlier key
/// named it there, and it has opened no such chain yet.
pub(super) fn proves(db: &Connection, agent: AgentId, key: KeyId, previous: Place) -> Result<bool, StoreError> {
    let named = db
        .prepare_cached("SELECT 1 FROM agent_key WHERE agent = ?1 AND successor = ?2 AND closed_chain = ?3 AND closed_seq = ?4 AND closed_hash = ?5")?
        .exists(params![agent.0, key.0, previous.chain_id.0, place(previous.seq)?, previous.hash.0])?;
    if !named {
        return Ok(false);
    }
    let opened = db.prepare_cached("SELECT 1 FROM chain WHERE agent = ?1 AND proven = 1 AND proven_key = ?2")?.exists(params![agent.0, key.0])?;
    Ok(!opened)
}
