//! What machines state about themselves: consent and plan. The newest by place in the newest chain holds.

use super::cell::{get, place};
use super::evidence::At;
use crate::store::error::StoreError;
use crate::store::rows::ConsentRow;
use mimamori_shared::consent::{ConsentTerms, Plan};
use mimamori_shared::id::Hash;
use mimamori_shared::payload::{ConsentState, Statement};
use rusqlite::{Connection, Row, params};

/// Which statement it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct When {
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) now_ms: i64,
}

pub(super) fn state(db: &Connection, at: At, when: When, statement: &Statement) -> Result<(), StoreError> {
    match statement {
        Statement::Consent { state, terms_hash, terms, purged: _ } => consent(db, at, when, *state, *terms_hash, terms.as_ref()),
        Statement::Plan { plan } => self::plan(db, at, when, plan),
        Statement::Open { .. } | Statement::Key { .. } | Statement::Purge { .. } => Ok(()),
    }
}

fn consent(db: &Connection, at: At, when: When, state: ConsentState, hash: Hash, terms: Option<&ConsentTerms>) -> Result<(), StoreError> {
    let json = terms.map(|terms| serde_json::to_string(terms).unwrap_or_default());
    db.prepare_cached(
        "INSERT INTO machine_consent (agent, epoch, seq, state, hash, terms, valid_to_ms, example, since_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (agent) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, state = excluded.state, hash = excluded.hash,
            terms = excluded.terms, valid_to_ms = excluded.valid_to_ms, example = excluded.example, since_ms = excluded.since_ms
         WHERE (excluded.epoch, excluded.seq) > (epoch, seq)",
    )?
    .execute(params![
        at.agent.0,
        place(when.epoch)?,
        place(when.seq)?,
        word(state),
        hash.0,
        json,
        terms.map(|terms| terms.valid_to_ms),
        terms.is_some_and(|terms| terms.example),
        when.now_ms
    ])?;
    Ok(())
}

fn plan(db: &Connection, at: At, when: When, plan: &Plan) -> Result<(), StoreError> {
    let json = serde_json::to_string(plan).unwrap_or_default();
    db.prepare_cached(
        "INSERT INTO machine_plan (agent, epoch, seq, hash, plan, interval_s, since_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (agent) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, hash = excluded.hash, plan = excluded.plan,
            interval_s = excluded.interval_s, since_ms = excluded.since_ms
         WHERE (excluded.epoch, excluded.seq) > (epoch, seq)",
    )?
    .execute(params![
        at.agent.0,
        place(when.epoch)?,
        place(when.seq)?,
        plan.hash().0,
        json,
        i64::try_from(plan.interval_s).unwrap_or(i64::MAX),
        when.now_ms
    ])?;
    Ok(())
}

fn word(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Granted => "granted",
        ConsentState::Withdrawn => "withdrawn",
        ConsentState::Expired => "expired",
    }
}

fn of(word: &str) -> Option<ConsentState> {
    [ConsentState::Granted, ConsentState::Withdrawn, ConsentState::Expired].into_iter().find(|state| self::word(*state) == word)
}

/// Reads the consent of a joined row; its columns begin with `consent_`.
pub(super) fn shown(row: &Row<'_>) -> rusqlite::Result<Option<ConsentRow>> {
    if row.get::<_, Option<String>>("consent_state")?.is_none() {
        return Ok(None);
    }
    Ok(Some(ConsentRow {
        state: super::cell::named(row, "consent_state", of)?,
        hash: get(row, "consent_hash")?,
        terms: row.get("consent_terms")?,
        valid_to_ms: row.get("consent_valid_to_ms")?,
        example: row.get("consent_example")?,
        since_ms: row.get("consent_since_ms")?,
    }))
}
