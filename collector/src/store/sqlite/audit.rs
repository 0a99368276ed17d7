//! What people and the collector did.

use super::cell::{get, maybe, named};
use crate::store::AUDIT_DETAIL_BYTES_MAX;
use crate::store::error::StoreError;
use crate::store::named::ActorKind;
use crate::store::rows::AuditRow;
use crate::store::scope::{Actor, Scope};
use mimamori_shared::word::Word;
use rusqlite::{Connection, params};
use serde_json::Value;

/// One deed.
pub(super) struct Deed<'a> {
    pub(super) verb: &'static str,
    pub(super) noun: &'static str,
    pub(super) id: String,
    pub(super) facility: Option<&'a Word>,
    pub(super) detail: Value,
}

pub(super) fn add(db: &Connection, actor: &Actor, now_ms: i64, deed: &Deed<'_>) -> Result<(), StoreError> {
    let mut detail = deed.detail.to_string();
    if detail.len() > AUDIT_DETAIL_BYTES_MAX {
        "{\"cut\":true}".clone_into(&mut detail);
    }
    let facility = deed.facility.map(Word::as_str);
    db.prepare_cached("INSERT INTO audit (at_ms, actor_kind, actor, verb, noun, id, facility, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![now_ms, actor.kind.name(), actor.name.as_str(), deed.verb, deed.noun, deed.id, facility, detail])?;
    Ok(())
}

pub(in crate::store) fn list(db: &Connection, scope: &Scope, from_ms: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT * FROM audit WHERE (?1 IS NULL OR facility = ?1) AND at_ms >= ?2 ORDER BY at_ms DESC, rowid DESC LIMIT ?3")?;
    let rows = statement.query_map(params![scope.facility(), from_ms, limit], |row| {
        Ok(AuditRow {
            at_ms: row.get("at_ms")?,
            actor_kind: named(row, "actor_kind", ActorKind::of)?,
            actor: get(row, "actor")?,
            verb: get(row, "verb")?,
            noun: get(row, "noun")?,
            id: row.get("id")?,
            facility: maybe(row, "facility")?,
            detail: row.get("detail")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
