//! Counters of abuse, alarms, digests, sources of agents, and what they stored. Every table is bounded.

use super::cell::{get, maybe, named, place};
use crate::store::abuse::{AbuseRow, AlarmRow, Who};
use crate::store::error::StoreError;
use crate::store::scope::Scope;
use mimamori_domain::abuse::Abuse;
use mimamori_domain::source::{self, Change, Sources};
use mimamori_shared::id::AgentId;
use rusqlite::{Connection, OptionalExtension, params};

/// Origins of one hour and kind that are told apart.
const ORIGINS_MAX: i64 = 128;
/// How long counters are kept, in hours.
const KEPT_HOURS: i64 = 92 * 24;
/// How long alarms that are over are kept, in days: a year's review has them all.
const ALARM_KEPT_DAYS: i64 = 400;
/// Alarms of one kind that are kept.
const ALARMS_MAX: u32 = 1000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

pub(in crate::store) fn count(db: &Connection, counts: &[AbuseRow]) -> Result<(), StoreError> {
    for row in counts {
        if !add(db, row, &row.who, false)? {
            let known: i64 = db
                .prepare_cached("SELECT count(*) FROM abuse WHERE hour = ?1 AND kind = ?2")?
                .query_row(params![row.hour, row.abuse.name()], |row| row.get(0))?;
            let who = if known < ORIGINS_MAX { &row.who } else { &Who::Others };
            add(db, row, who, true)?;
        }
    }
    Ok(())
}

/// False when there is no such row yet and none is to be made.
fn add(db: &Connection, row: &AbuseRow, who: &Who, make: bool) -> Result<bool, StoreError> {
    let agent = match who {
        Who::Agent(agent) => Some(agent.0),
        Who::Source(_) | Who::Others => None,
    };
    let (who, count) = (who.to_string(), place(row.count)?);
    let updated = db
        .prepare_cached(
            "UPDATE abuse SET count = count + ?4, first_at_ms = min(first_at_ms, ?5), last_at_ms = max(last_at_ms, ?6)
             WHERE hour = ?1 AND kind = ?2 AND who = ?3",
        )?
        .execute(params![row.hour, row.abuse.name(), who, count, row.first_at_ms, row.last_at_ms])?;
    if updated == 0 && make {
        db.prepare_cached("INSERT INTO abuse (hour, kind, who, agent, count, first_at_ms, last_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![row.hour, row.abuse.name(), who, agent, count, row.first_at_ms, row.last_at_ms])?;
    }
    Ok(updated > 0 || make)
}

pub(in crate::store) fn list(db: &Connection, scope: &Scope, from_hour: i64, to_hour: i64) -> Result<Vec<AbuseRow>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT * FROM abuse WHERE hour >= ?2 AND hour < ?3 AND (?1 IS NULL OR agent IN (SELECT m.agent FROM machine m WHERE m.facility = ?1))
         ORDER BY hour, kind, who",
    )?;
    let rows = statement.query_map(params![scope.facility(), from_hour, to_hour], |row| {
        let who: String = row.get("who")?;
        Ok(AbuseRow {
            hour: row.get("hour")?,
            abuse: named(row, "kind", Abuse::from_name)?,
            who: match maybe(row, "agent")? {
                Some(agent) => Who::Agent(agent),
                None if who == "*" => Who::Others,
                None => Who::Source(who),
            },
            count: get(row, "count")?,
            first_at_ms: row.get("first_at_ms")?,
            last_at_ms: row.get("last_at_ms")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(in crate::store) fn alarms(db: &Connection, scope: &Scope, from_ms: i64, to_ms: i64) -> Result<Vec<AlarmRow>, StoreError> {
    if *scope != Scope::All {
        return Ok(Vec::new());
    }
    let mut statement = db.prepare_cached("SELECT * FROM alarm WHERE since_ms < ?2 AND (until_ms IS NULL OR until_ms >= ?1) ORDER BY since_ms, kind")?;
    let rows = statement.query_map(params![from_ms, to_ms], |row| {
        Ok(AlarmRow { abuse: named(row, "kind", Abuse::from_name)?, since_ms: row.get("since_ms")?, until_ms: row.get("until_ms")?, count: get(row, "count")? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(in crate::store) fn raise(db: &Connection, abuse: Abuse, count: u64, now_ms: i64) -> Result<bool, StoreError> {
    let raised = db.execute(
        "INSERT INTO alarm (kind, since_ms, until_ms, count) SELECT ?1, ?2, NULL, ?3
         WHERE NOT EXISTS (SELECT 1 FROM alarm WHERE kind = ?1 AND until_ms IS NULL) ON CONFLICT DO NOTHING",
        params![abuse.name(), now_ms, place(count)?],
    )?;
    Ok(raised > 0)
}

pub(in crate::store) fn end(db: &Connection, abuse: Abuse, now_ms: i64) -> Result<bool, StoreError> {
    Ok(db.execute("UPDATE alarm SET until_ms = max(since_ms, ?2) WHERE kind = ?1 AND until_ms IS NULL", params![abuse.name(), now_ms])? > 0)
}

pub(in crate::store) fn keep_digest(db: &Connection, day: i64, line: &str, now_ms: i64) -> Result<bool, StoreError> {
    let kept = db.execute("INSERT INTO digest (day, at_ms, line) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", params![day, now_ms, line])?;
    if kept > 0 {
        let hour = now_ms.div_euclid(HOUR_MS) - KEPT_HOURS;
        db.execute("DELETE FROM abuse WHERE hour < ?1", [hour])?;
        db.execute("DELETE FROM day_use WHERE day < ?1", [hour.div_euclid(24)])?;
        db.execute("DELETE FROM hour_use WHERE hour < ?1", [hour])?;
        forget_alarms(db, now_ms)?;
    }
    Ok(kept > 0)
}

/// Lets go of alarms that are over: the old ones, and of each kind all but the newest.
fn forget_alarms(db: &Connection, now_ms: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM alarm WHERE until_ms < ?1", [now_ms.saturating_sub(ALARM_KEPT_DAYS * DAY_MS)])?;
    db.execute(
        "DELETE FROM alarm WHERE until_ms IS NOT NULL AND since_ms <=
         (SELECT newer.since_ms FROM alarm newer WHERE newer.kind = alarm.kind ORDER BY newer.since_ms DESC LIMIT 1 OFFSET ?1)",
        [ALARMS_MAX],
    )?;
    Ok(())
}

/// Where an agent reports from now, and whether that is new.
pub(super) fn heard_from(db: &Connection, agent: AgentId, address: &str, now_ms: i64) -> Result<Change, StoreError> {
    let known = db
        .prepare_cached("SELECT address, before, changed_at_ms, flips FROM agent_source WHERE agent = ?1")?
        .query_row([agent.0], |row| {
            Ok(Sources {
                address: row.get::<_, String>("address")?,
                before: row.get("before")?,
                changed_at_ms: row.get("changed_at_ms")?,
                flips: row.get("flips")?,
            })
        })
        .optional()?;
    let first = known.is_none();
    let (sources, change) = source::step(known, address.to_owned(), now_ms);
    if first || change != Change::None {
        db.prepare_cached("INSERT OR REPLACE INTO agent_source (agent, address, before, changed_at_ms, flips) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![agent.0, sources.address, sources.before, sources.changed_at_ms, sources.flips])?;
    }
    Ok(change)
}

/// Bytes an agent stored on the day of `now_ms`, UTC.
pub(super) fn used_today(db: &Connection, agent: AgentId, now_ms: i64) -> Result<u64, StoreError> {
    let used = db
        .prepare_cached("SELECT bytes FROM day_use WHERE agent = ?1 AND day = ?2")?
        .query_row(params![agent.0, now_ms.div_euclid(DAY_MS)], |row| get(row, "bytes"))
        .optional()?;
    Ok(used.unwrap_or(0))
}

/// Adds to what an agent stored today, and to what its facility stored in this hour.
pub(super) fn use_today(db: &Connection, agent: AgentId, (entries, bytes): (u64, u64), now_ms: i64) -> Result<(), StoreError> {
    let (entries, bytes) = (place(entries)?, place(bytes)?);
    db.prepare_cached(
        "INSERT INTO day_use (agent, day, entries, bytes) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (agent, day) DO UPDATE SET entries = entries + excluded.entries, bytes = bytes + excluded.bytes",
    )?
    .execute(params![agent.0, now_ms.div_euclid(DAY_MS), entries, bytes])?;
    db.prepare_cached(
        "INSERT INTO hour_use (hour, facility, entries, bytes) SELECT ?2, m.facility, ?3, ?4 FROM machine m WHERE m.agent = ?1
         ON CONFLICT (hour, facility) DO UPDATE SET entries = entries + excluded.entries, bytes = bytes + excluded.bytes",
    )?
    .execute(params![agent.0, now_ms.div_euclid(HOUR_MS), entries, bytes])?;
    Ok(())
}

pub(in crate::store) fn hour_use(db: &Connection, scope: &Scope, from_hour: i64, to_hour: i64) -> Result<(u64, u64), StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT coalesce(sum(entries), 0) AS entries, coalesce(sum(bytes), 0) AS bytes FROM hour_use
         WHERE hour >= ?2 AND hour < ?3 AND (?1 IS NULL OR facility = ?1)",
    )?;
    Ok(statement.query_row(params![scope.facility(), from_hour, to_hour], |row| Ok((get(row, "entries")?, get(row, "bytes")?)))?)
}
