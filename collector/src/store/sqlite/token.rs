//! Enrolment tokens.

use super::audit::{self, Deed};
use super::cell::{get, maybe};
use super::facility;
use crate::store::NAME_BYTES_MAX;
use crate::store::admin::NewToken;
use crate::store::error::StoreError;
use crate::store::network::Network;
use crate::store::rows::TokenRow;
use crate::store::scope::{Actor, Scope};
use mimamori_shared::id::TokenId;
use mimamori_shared::limits::TOKEN_TTL_S_MAX;
use mimamori_shared::word::Word;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

pub(in crate::store) fn add(db: &Connection, scope: &Scope, actor: &Actor, new: &NewToken, now_ms: i64) -> Result<(), StoreError> {
    facility::need(db, scope, &new.facility)?;
    let longest = i64::try_from(TOKEN_TTL_S_MAX).unwrap_or(i64::MAX).saturating_mul(1000);
    if new.expires_at_ms <= now_ms || new.expires_at_ms.saturating_sub(now_ms) > longest {
        return Err(StoreError::Invalid("a token ends within 24 hours"));
    }
    if new.reason.len() > NAME_BYTES_MAX || new.reason.chars().any(char::is_control) {
        return Err(StoreError::Invalid("a token's reason is one line of at most 200 bytes"));
    }
    if let Some(slot) = &new.slot {
        Word::alias(slot.as_str()).map_err(|_| StoreError::Invalid("a machine's alias is 1 to 32 of a-z 0-9 _ -"))?;
        if super::machine::taken(db, &new.facility, slot)? {
            return Err(StoreError::Taken("machine's alias"));
        }
    }
    let slot = new.slot.as_ref().map(Word::as_str);
    let added = db.execute(
        "INSERT INTO token (token, public_key, facility, slot, created_at_ms, creator, reason, expires_at_ms, source)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        params![
            new.token_id.0,
            new.public_key,
            new.facility.as_str(),
            slot,
            now_ms,
            actor.name.as_str(),
            new.reason,
            new.expires_at_ms,
            new.source.map(|source| source.to_string())
        ],
    )?;
    if added == 0 {
        return Err(StoreError::Taken("token's id"));
    }
    let detail = json!({ "slot": slot, "reason": new.reason, "expires_at_ms": new.expires_at_ms, "source": new.source.map(|source| source.to_string()) });
    let id = new.token_id.to_string();
    audit::add(db, actor, now_ms, &Deed { verb: "add", noun: "token", id, facility: Some(&new.facility), detail })
}

pub(in crate::store) fn revoke(db: &Connection, scope: &Scope, actor: &Actor, token: TokenId, now_ms: i64) -> Result<(), StoreError> {
    let facility: Option<Word> = db.query_row("SELECT facility FROM token WHERE token = ?1", [token.0], |row| get(row, "facility")).optional()?;
    let facility = facility.filter(|facility| scope.covers(facility)).ok_or(StoreError::NotFound("token"))?;
    let revoked = db.execute("UPDATE token SET revoked_at_ms = ?2 WHERE token = ?1 AND revoked_at_ms IS NULL", params![token.0, now_ms])?;
    if revoked == 0 {
        return Ok(());
    }
    let deed = Deed { verb: "revoke", noun: "token", id: token.to_string(), facility: Some(&facility), detail: json!({}) };
    audit::add(db, actor, now_ms, &deed)
}

/// From where it may be redeemed. What cannot be read as a network is none that anybody is in.
pub(super) fn source(row: &Row<'_>) -> rusqlite::Result<Option<Network>> {
    let text: Option<String> = row.get("source")?;
    Ok(text.map(|text| text.parse().unwrap_or(Network::NOWHERE)))
}

/// The public key of a token, whatever its state.
pub(in crate::store) fn public_key(db: &Connection, token: TokenId) -> Result<Option<[u8; 32]>, StoreError> {
    Ok(db.query_row("SELECT public_key FROM token WHERE token = ?1", [token.0], |row| row.get(0)).optional()?)
}

pub(in crate::store) fn list(db: &Connection, scope: &Scope) -> Result<Vec<TokenRow>, StoreError> {
    let mut statement = db.prepare_cached("SELECT * FROM token WHERE ?1 IS NULL OR facility = ?1 ORDER BY created_at_ms DESC, token")?;
    let rows = statement.query_map([scope.facility()], |row| {
        Ok(TokenRow {
            token_id: get(row, "token")?,
            facility: get(row, "facility")?,
            slot: maybe(row, "slot")?,
            created_at_ms: row.get("created_at_ms")?,
            creator: get(row, "creator")?,
            reason: row.get("reason")?,
            source: source(row)?,
            expires_at_ms: row.get("expires_at_ms")?,
            used: row.get::<_, Option<i64>>("used_at_ms")?.zip(maybe(row, "used_key")?),
            revoked_at_ms: row.get("revoked_at_ms")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
