//! Facilities.

use super::audit::{self, Deed};
use super::cell::get;
use crate::store::NAME_BYTES_MAX;
use crate::store::error::StoreError;
use crate::store::rows::FacilityRow;
use crate::store::scope::{Actor, Scope};
use mimamori_shared::word::Word;
use rusqlite::{Connection, params};
use serde_json::json;

pub(in crate::store) fn add(db: &Connection, scope: &Scope, actor: &Actor, (alias, name, example): (&Word, &str, bool), now_ms: i64) -> Result<(), StoreError> {
    if *scope != Scope::All {
        return Err(StoreError::NotFound("facility"));
    }
    Word::alias(alias.as_str()).map_err(|_| StoreError::Invalid("a facility's alias is 1 to 32 of a-z 0-9 _ -"))?;
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(StoreError::Invalid("a facility's name is one line of 1 to 200 bytes"));
    }
    let added = db.execute(
        "INSERT INTO facility (alias, name, example, created_at_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![alias.as_str(), name, example, now_ms],
    )?;
    if added == 0 {
        return Err(StoreError::Taken("facility's alias"));
    }
    let detail = json!({ "name": name, "example": example });
    audit::add(db, actor, now_ms, &Deed { verb: "add", noun: "facility", id: alias.to_string(), facility: Some(alias), detail })
}

/// Fails unless the facility is there and inside the scope.
pub(super) fn need(db: &Connection, scope: &Scope, alias: &Word) -> Result<(), StoreError> {
    let there = scope.covers(alias) && db.prepare_cached("SELECT 1 FROM facility WHERE alias = ?1")?.exists([alias.as_str()])?;
    if there { Ok(()) } else { Err(StoreError::NotFound("facility")) }
}

pub(in crate::store) fn list(db: &Connection, scope: &Scope) -> Result<Vec<FacilityRow>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT f.*, (SELECT count(*) FROM machine m WHERE m.facility = f.alias AND m.state <> 'retired') AS machines
         FROM facility f WHERE ?1 IS NULL OR alias = ?1 ORDER BY alias",
    )?;
    let rows = statement.query_map([scope.facility()], |row| {
        Ok(FacilityRow {
            alias: get(row, "alias")?,
            name: row.get("name")?,
            example: row.get("example")?,
            created_at_ms: row.get("created_at_ms")?,
            machines: get(row, "machines")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
