//! The payloads, in one table per month of arrival: a month is dropped whole.
//!
//! Table names are made from a [`Month`] and nothing else.

use super::cell::{Cell, get, place};
use super::machine;
use crate::store::accept::Held;
use crate::store::error::StoreError;
use crate::store::rows::{EvidenceRow, StandingRow};
use crate::store::scope::Scope;
use mimamori_shared::chain::Link;
use mimamori_shared::id::{AgentId, ChainId, KeyId};
use mimamori_shared::payload::Report;
use mimamori_shared::sign::{PayloadType, Verified};
use mimamori_shared::time::month;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A month as `202611`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(i32);

impl Month {
    /// Behind all there are.
    const LAST: Month = Month(999_912);

    pub(super) fn of(at_ms: i64) -> Month {
        let (year, month) = month(at_ms);
        Month(year.clamp(1970, 9999) * 100 + i32::from(month))
    }

    pub(super) fn number(self) -> i32 {
        self.0
    }

    pub(super) fn from_number(number: i32) -> Month {
        Month(number)
    }

    fn next(self) -> Month {
        if self.0 % 100 >= 12 { Month(self.0 - self.0 % 100 + 101) } else { Month(self.0 + 1) }
    }

    fn table(self) -> String {
        format!("evidence_{:04}_{:02}", self.0 / 100, self.0 % 100)
    }
}

/// Makes the tables of this month and the next.
pub(in crate::store) fn make_ahead(db: &Connection, now_ms: i64) -> Result<(), StoreError> {
    let month = Month::of(now_ms);
    make(db, month)?;
    make(db, month.next())
}

/// Makes the table of a month unless it is there.
pub(super) fn make(db: &Connection, month: Month) -> Result<(), StoreError> {
    if db.prepare_cached("SELECT 1 FROM evidence_month WHERE month = ?1")?.exists([month.0])? {
        return Ok(());
    }
    db.execute_batch(&format!(
        "CREATE TABLE {} (
            agent BLOB NOT NULL,
            chain BLOB NOT NULL,
            branch INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            last_seq INTEGER NOT NULL,
            kind TEXT NOT NULL,
            key_id BLOB NOT NULL,
            signature BLOB NOT NULL,
            payload BLOB NOT NULL,
            hash BLOB NOT NULL,
            tip_hash BLOB NOT NULL,
            taken_at_ms INTEGER NOT NULL,
            received_at_ms INTEGER NOT NULL,
            PRIMARY KEY (agent, chain, branch, seq)
        ) STRICT",
        month.table()
    ))?;
    db.execute("INSERT INTO evidence_month (month) VALUES (?1)", [month.0])?;
    Ok(())
}

/// The months there are, newest first, within what a branch touches.
pub(super) fn months(db: &Connection, first: Month, last: Month) -> Result<Vec<Month>, StoreError> {
    let mut statement = db.prepare_cached("SELECT month FROM evidence_month WHERE month BETWEEN ?1 AND ?2 ORDER BY month DESC")?;
    let rows = statement.query_map([first.0, last.0], |row| row.get(0).map(Month))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Where a row goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) agent: AgentId,
    pub(super) chain: ChainId,
    pub(super) branch: u32,
}

pub(super) fn add(db: &Connection, at: At, verified: &Verified, link: &Link, taken_at_ms: i64, received_at_ms: i64) -> Result<(), StoreError> {
    let table = Month::of(received_at_ms).table();
    db.prepare_cached(&format!(
        "INSERT INTO {table} (agent, chain, branch, seq, last_seq, kind, key_id, signature, payload, hash, tip_hash, taken_at_ms, received_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    ))?
    .execute(params![
        at.agent.0,
        at.chain.0,
        at.branch,
        place(link.seq)?,
        place(link.last_seq)?,
        verified.kind().name(),
        verified.key_id().0,
        verified.signature(),
        verified.payload(),
        verified.hash().0,
        link.tip_hash.0,
        taken_at_ms,
        received_at_ms
    ])?;
    Ok(())
}

/// The row of the branch that covers `seq`. A clock that was set back puts later places into earlier months, so
/// every month of the branch is looked at until one covers it.
pub(super) fn covering(db: &Connection, at: At, seq: u64, months: &[Month]) -> Result<Option<Held>, StoreError> {
    let seq = place(seq)?;
    for month in months {
        let sql = format!(
            "SELECT seq, last_seq, hash, tip_hash, received_at_ms FROM {}
             WHERE agent = ?1 AND chain = ?2 AND branch = ?3 AND seq <= ?4 ORDER BY seq DESC LIMIT 1",
            month.table()
        );
        let found = db.prepare_cached(&sql)?.query_row(params![at.agent.0, at.chain.0, at.branch, seq], |row| {
            Ok(Held {
                seq: get(row, "seq")?,
                last_seq: get(row, "last_seq")?,
                hash: get(row, "hash")?,
                tip_hash: get(row, "tip_hash")?,
                received_at_ms: row.get("received_at_ms")?,
            })
        });
        if let Some(held) = found.optional()?.filter(|held| place(held.last_seq).is_ok_and(|last| last >= seq)) {
            return Ok(Some(held));
        }
    }
    Ok(None)
}

fn read(row: &Row<'_>) -> rusqlite::Result<EvidenceRow> {
    let kind: String = row.get("kind")?;
    let known = PayloadType::ALL.into_iter().find(|one| one.name() == kind);
    Ok(EvidenceRow {
        branch: row.get("branch")?,
        seq: get(row, "seq")?,
        last_seq: get(row, "last_seq")?,
        kind: known.ok_or(rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, "an unknown kind".into()))?,
        key_id: get::<KeyId>(row, "key_id")?,
        signature: row.get("signature")?,
        payload: row.get("payload")?,
        hash: get(row, "hash")?,
        tip_hash: get(row, "tip_hash")?,
        taken_at_ms: row.get("taken_at_ms")?,
        received_at_ms: row.get("received_at_ms")?,
    })
}

/// The rows of a branch from a place on, in order, at most `limit`.
pub(super) fn page(db: &Connection, at: At, from_seq: u64, limit: u32, months: &[Month]) -> Result<Vec<EvidenceRow>, StoreError> {
    let from = place(from_seq)?;
    let mut places: Vec<(u64, Month)> = Vec::new();
    for month in months {
        let sql = format!("SELECT seq FROM {} WHERE agent = ?1 AND chain = ?2 AND branch = ?3 AND seq >= ?4 ORDER BY seq LIMIT ?5", month.table());
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_map(params![at.agent.0, at.chain.0, at.branch, from, limit], |row| row.get::<_, Cell<u64>>(0))?;
        for row in rows {
            let Cell(seq) = row?;
            places.push((seq, *month));
        }
    }
    places.sort_unstable();
    places.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut page = Vec::with_capacity(places.len());
    for (seq, month) in places {
        let sql = format!("SELECT * FROM {} WHERE agent = ?1 AND chain = ?2 AND branch = ?3 AND seq = ?4", month.table());
        page.push(db.prepare_cached(&sql)?.query_row(params![at.agent.0, at.chain.0, at.branch, place(seq)?], read)?);
    }
    Ok(page)
}

/// How many rows there are of a branch.
pub(super) fn count(db: &Connection, at: At, months: &[Month]) -> Result<u64, StoreError> {
    let mut rows = 0_u64;
    for month in months {
        let sql = format!("SELECT count(*) FROM {} WHERE agent = ?1 AND chain = ?2 AND branch = ?3", month.table());
        let Cell(here) = db.prepare_cached(&sql)?.query_row(params![at.agent.0, at.chain.0, at.branch], |row| row.get::<_, Cell<u64>>(0))?;
        rows = rows.saturating_add(here);
    }
    Ok(rows)
}

/// Branches of which a month has rows although the agent has no such branch.
pub(super) fn strays(db: &Connection, agent: AgentId, months: &[Month]) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for month in months {
        let sql = format!(
            "SELECT DISTINCT chain, branch FROM {0} e WHERE agent = ?1 AND NOT EXISTS
             (SELECT 1 FROM branch b WHERE b.agent = e.agent AND b.chain = e.chain AND b.branch = e.branch)",
            month.table()
        );
        let mut statement = db.prepare(&sql)?;
        let rows = statement.query_map([agent.0], |row| Ok((get::<ChainId>(row, "chain")?, row.get::<_, u32>("branch")?)))?;
        for row in rows {
            let (chain, branch) = row?;
            found.push(format!("agent {agent} chain {chain} branch {branch}: {} holds rows of a branch that is not known", month.table()));
        }
    }
    Ok(found)
}

pub(in crate::store) fn list(
    db: &Connection,
    scope: &Scope,
    (agent, chain, branch): (AgentId, ChainId, u32),
    from_seq: u64,
    limit: u32,
) -> Result<Vec<EvidenceRow>, StoreError> {
    machine::need_agent(db, scope, agent)?;
    let branches = super::chain::branches(db, agent, chain)?;
    let Some(stored) = branches.iter().find(|stored| stored.branch.no == branch) else { return Ok(Vec::new()) };
    let months = months(db, stored.first, stored.last)?;
    page(db, At { agent, chain, branch }, from_seq, limit, &months)
}

/// What reports of the first branches found, newest first by place; older months are not looked at once there is enough.
pub(in crate::store) fn found(db: &Connection, scope: &Scope, agent: AgentId, from_ms: i64, limit: u32) -> Result<Vec<StandingRow>, StoreError> {
    machine::need_agent(db, scope, agent)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found: Vec<StandingRow> = Vec::new();
    for month in months(db, Month::of(from_ms), Month::LAST)? {
        // Very few reports found something: the others are passed over without being read as JSON.
        let mut statement = db.prepare_cached(&format!(
            "SELECT c.epoch, e.seq, e.received_at_ms, e.payload FROM {} e JOIN chain c ON c.agent = e.agent AND c.chain = e.chain
             WHERE e.agent = ?1 AND e.branch = 0 AND e.kind = 'report' AND e.received_at_ms >= ?2
                AND instr(e.payload, CAST('\"findings\"' AS BLOB)) > 0
             ORDER BY c.epoch DESC, e.seq DESC",
            month.table()
        ))?;
        let mut rows = statement.query(params![agent.0, from_ms])?;
        let enough = found.len().saturating_add(limit);
        while let Some(row) = rows.next()?.filter(|_| found.len() < enough) {
            let payload: Vec<u8> = row.get("payload")?;
            let Ok(report) = serde_json::from_slice::<Report>(&payload) else { continue };
            for finding in report.findings.into_iter().rev() {
                found.push(StandingRow { finding, epoch: get(row, "epoch")?, seq: get(row, "seq")?, received_at_ms: row.get("received_at_ms")? });
            }
        }
        if found.len() >= limit {
            break;
        }
    }
    // Stable: within a report they stay as they are.
    found.sort_by_key(|row| std::cmp::Reverse((row.epoch, row.seq)));
    found.truncate(limit);
    Ok(found)
}
