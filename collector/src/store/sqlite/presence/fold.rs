//! How much of a machine's changes is written down: all of them, as long as they are not too many in a day.
//!
//! Whoever writes a consent decides how often its windows begin and end. Where a day's lines are used up one more says
//! that the state is not known from there on, and a finding how many were left out; the presence itself stays true. On
//! the next day the history goes on with what was so when it was looked at first.

use super::super::cell::get;
use super::super::finding;
use crate::store::error::StoreError;
use crate::store::named::FindingKind;
use crate::store::work::{PresenceChange, Transition};
use mimamori_domain::presence::{Because, State};
use mimamori_shared::id::ChainId;
use mimamori_shared::word::Word;
use rusqlite::{Connection, OptionalExtension, params};

/// Lines of one machine's history that are written on one day (UTC), those that say there were more left out.
const LINES_PER_DAY_MAX: usize = 96;
const DAY_MS: i64 = 86_400_000;

/// What stood before a judgement is written.
#[derive(Debug)]
pub(super) struct Fold {
    /// The day since which the history says no more.
    folded_day: Option<i64>,
    /// What the history then goes on with.
    was: Option<Transition>,
}

impl Fold {
    pub(super) fn of(db: &Connection, change: &PresenceChange, now_ms: i64) -> Result<Fold, StoreError> {
        let mut statement = db.prepare_cached("SELECT folded_day, state, since_ms, because FROM presence WHERE agent = ?1")?;
        let found = statement.query_row([change.agent_id.0], |row| {
            let (state, because): (Word, Word) = (get(row, "state")?, get(row, "because")?);
            let line = Transition { state, from_ms: row.get("since_ms")?, to_ms: None, because, evidence: String::new() };
            Ok((row.get::<_, Option<i64>>("folded_day")?, line))
        });
        let Some((folded_day, line)) = found.optional()? else { return Ok(Fold { folded_day: None, was: None }) };
        let over = folded_day.is_some_and(|day| day != now_ms.div_euclid(DAY_MS));
        Ok(Fold { folded_day, was: over.then_some(line) })
    }

    /// Writes the changes, or what stands for them.
    pub(super) fn tell(self, db: &Connection, change: &PresenceChange, now_ms: i64) -> Result<(), StoreError> {
        let day = now_ms.div_euclid(DAY_MS);
        let lines: Vec<&Transition> = self.was.iter().chain(&change.transitions).collect();
        let mut folded = if self.was.is_some() { None } else { self.folded_day };
        let room = if lines.is_empty() || folded.is_some() { 0 } else { LINES_PER_DAY_MAX.saturating_sub(told(db, change, day)?) };
        let (kept, rest) = lines.split_at_checked(room).unwrap_or((&lines, &[]));
        for line in kept {
            write(db, change, line, now_ms)?;
        }
        if folded.is_none()
            && let Some(first) = rest.iter().find(|line| line.to_ms.is_none())
        {
            write(db, change, &too_many(first.from_ms), now_ms)?;
            folded = Some(day);
        }
        // The last thing that is ever said of a machine, and an operator says it.
        if let Some(end) = rest.iter().find(|line| line.state.as_str() == State::Retired.name()) {
            write(db, change, end, now_ms)?;
            folded = None;
        }
        for _ in rest {
            finding::add(db, change.agent_id, finding::Seen { kind: FindingKind::ChangesTooMany, chain: ChainId::ZERO, seq: 0, detail: "folded" }, now_ms)?;
        }
        if folded.is_none() && self.folded_day.is_none() {
            return Ok(());
        }
        // It is looked at again when the day is over, also if nothing comes.
        let again_ms = folded.map(|day| day.saturating_add(1).saturating_mul(DAY_MS));
        db.prepare_cached("UPDATE presence SET folded_day = ?2, due_at_ms = min(coalesce(due_at_ms, ?3), coalesce(?3, due_at_ms)) WHERE agent = ?1")?
            .execute(params![change.agent_id.0, folded, again_ms])?;
        Ok(())
    }
}

/// Lines that were written on the day.
fn told(db: &Connection, change: &PresenceChange, day: i64) -> Result<usize, StoreError> {
    let from_ms = day.saturating_mul(DAY_MS);
    let mut statement = db.prepare_cached("SELECT count(*) FROM transition WHERE agent = ?1 AND recorded_at_ms >= ?2 AND recorded_at_ms < ?3")?;
    let count: i64 = statement.query_row(params![change.agent_id.0, from_ms, from_ms.saturating_add(DAY_MS)], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn too_many(from_ms: i64) -> Transition {
    let word = |text: &str| text.parse().unwrap_or_default();
    let (state, because) = (word(State::NotKnown.name()), word(Because::TooManyChanges.code()));
    Transition { state, from_ms, to_ms: None, because, evidence: String::new() }
}

fn write(db: &Connection, change: &PresenceChange, line: &Transition, now_ms: i64) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO transition (agent, state, from_ms, to_ms, because, evidence, recorded_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![change.agent_id.0, line.state.as_str(), line.from_ms, line.to_ms, line.because.as_str(), line.evidence, now_ms])?;
    Ok(())
}
