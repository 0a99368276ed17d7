//! What is left of entries whose payloads are gone: for each place its hash and its class, packed in runs. They are
//! kept for ever, so they are small (about 34 bytes a place), and a loss record can be cut from them anywhere.

use super::rows::{self, Head, class_no, class_of, hash_before, sum};
use super::{ChainNo, OutboxError, id_of};
use mimamori_shared::id::{Hash, KeyId};
use mimamori_shared::payload::Class;
use rusqlite::{Connection, Row, params};

/// Places of one run: its row fills whole pages, and writing it again stays cheap.
const RUN_MAX: usize = 256;
const HASH_BYTES: usize = 32;

/// Neighbouring places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first_id: i64,
    /// The hash before the first.
    pub(super) prev_hash: Hash,
    pub(super) key_id: KeyId,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    hashes: Vec<u8>,
    classes: Vec<u8>,
}

impl Run {
    const COLUMNS: &str = "first_id, last_id, prev_hash, key_id, from_ms, to_ms, hashes, classes, sum";

    /// From [`Run::COLUMNS`]; `None` when the row is damaged.
    fn read(row: &Row<'_>) -> Option<Run> {
        let run = Run {
            first_id: row.get(0).ok()?,
            prev_hash: Hash(row.get(2).ok()?),
            key_id: KeyId(row.get(3).ok()?),
            from_ms: row.get(4).ok()?,
            to_ms: row.get(5).ok()?,
            hashes: row.get(6).ok()?,
            classes: row.get(7).ok()?,
        };
        let fits = !run.classes.is_empty() && run.classes.len().checked_mul(HASH_BYTES) == Some(run.hashes.len());
        let whole = row.get::<_, i64>(1).ok() == Some(run.last_id()) && row.get::<_, [u8; 16]>(8).ok() == Some(run.sum());
        (fits && whole).then_some(run)
    }

    fn of(head: &Head, prev_hash: Hash) -> Run {
        let (from_ms, to_ms) = (head.taken_at_ms, head.taken_at_ms);
        Run { first_id: head.id, prev_hash, key_id: head.key_id, from_ms, to_ms, hashes: head.hash.0.to_vec(), classes: vec![class_byte(head.class)] }
    }

    fn sum(&self) -> [u8; 16] {
        sum(&[
            &self.first_id.to_le_bytes(),
            &self.last_id().to_le_bytes(),
            &self.prev_hash.0,
            &self.key_id.0,
            &self.from_ms.to_le_bytes(),
            &self.to_ms.to_le_bytes(),
            &self.hashes,
            &self.classes,
        ])
    }

    pub(super) fn last_id(&self) -> i64 {
        self.first_id.saturating_add(i64::try_from(self.classes.len()).unwrap_or(i64::MAX)).saturating_sub(1)
    }

    /// Hash and class at a place of the run.
    pub(super) fn at(&self, id: i64) -> Option<(Hash, Class)> {
        let at = usize::try_from(id.checked_sub(self.first_id)?).ok()?;
        let hash = self.hashes.chunks_exact(HASH_BYTES).nth(at)?.try_into().ok()?;
        Some((Hash(hash), class_of(i64::from(*self.classes.get(at)?))?))
    }

    /// Classes of the places from `first` to `last` that the run has.
    pub(super) fn classes(&self, first: i64, last: i64) -> impl Iterator<Item = Class> {
        (first.max(self.first_id)..=last.min(self.last_id())).filter_map(|id| self.at(id).map(|(_, class)| class))
    }

    /// Takes the run behind it in, if it may.
    fn take(&mut self, next: &Run) -> bool {
        let fits = self.last_id().checked_add(1) == Some(next.first_id) && self.key_id == next.key_id && self.classes.len() + next.classes.len() <= RUN_MAX;
        if fits {
            self.hashes.extend_from_slice(&next.hashes);
            self.classes.extend_from_slice(&next.classes);
            self.to_ms = next.to_ms;
        }
        fits
    }

    fn save(&self, db: &Connection) -> Result<(), OutboxError> {
        // What is damaged does not stand in the way.
        db.prepare_cached(
            "INSERT OR REPLACE INTO heads (first_id, last_id, prev_hash, key_id, from_ms, to_ms, hashes, classes, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            self.first_id,
            self.last_id(),
            self.prev_hash.0,
            self.key_id.0,
            self.from_ms,
            self.to_ms,
            self.hashes,
            self.classes,
            self.sum()
        ])?;
        Ok(())
    }
}

fn class_byte(class: Class) -> u8 {
    u8::try_from(class_no(class)).unwrap_or(u8::MAX)
}

/// Shows the whole runs with any place from `first` to `last`, in order.
pub(super) fn each(db: &Connection, first: i64, last: i64, mut see: impl FnMut(Run)) -> Result<(), OutboxError> {
    let mut statement = db.prepare_cached(&format!("SELECT {} FROM heads WHERE first_id > ? AND first_id <= ? ORDER BY first_id", Run::COLUMNS))?;
    let mut rows = statement.query([first.saturating_sub(RUN_MAX as i64), last])?;
    while let Some(row) = rows.next()? {
        if let Some(run) = Run::read(row).filter(|run| run.last_id() >= first) {
            see(run);
        }
    }
    Ok(())
}

/// The run that a place is in.
pub(super) fn find(db: &Connection, id: i64) -> Result<Option<Run>, OutboxError> {
    let mut found = None;
    each(db, id, id, |run| found = Some(run))?;
    Ok(found)
}

/// The last place of a chain that is in a run, with its hash.
pub(super) fn last(db: &Connection, no: ChainNo) -> Result<Option<(i64, Hash)>, OutboxError> {
    let mut statement = db.prepare_cached(&format!("SELECT {} FROM heads WHERE first_id >= ? AND first_id < ? ORDER BY first_id DESC", Run::COLUMNS))?;
    let mut rows = statement.query([id_of(no, 0), id_of(no + 1, 0)])?;
    while let Some(row) = rows.next()? {
        if let Some(run) = Run::read(row) {
            let id = run.last_id();
            return Ok(run.at(id).map(|(hash, _)| (id, hash)));
        }
    }
    Ok(None)
}

/// The first place behind `id` and before `end` that is in a run.
pub(super) fn next(db: &Connection, id: i64, end: i64) -> Result<Option<i64>, OutboxError> {
    let mut statement = db.prepare_cached(&format!("SELECT {} FROM heads WHERE first_id > ? AND first_id < ? ORDER BY first_id", Run::COLUMNS))?;
    let mut rows = statement.query([id, end])?;
    while let Some(row) = rows.next()? {
        if let Some(run) = Run::read(row) {
            return Ok(Some(run.first_id));
        }
    }
    Ok(None)
}

/// How many of the places from `first` to `last` are in runs.
pub(super) fn count(db: &Connection, first: i64, last: i64) -> Result<u64, OutboxError> {
    let mut count = 0;
    each(db, first, last, |run| count += run.classes(first, last).count() as u64)?;
    Ok(count)
}

/// Wipes the payloads of the entries from `first` to `last`, and keeps what is left of them in runs. Of damaged rows
/// nothing is left.
pub(super) fn pack(db: &Connection, no: ChainNo, first: i64, last: i64) -> Result<(), OutboxError> {
    let mut runs: Vec<Run> = Vec::new();
    {
        let mut statement = db.prepare_cached(&format!("SELECT {} FROM entry WHERE id BETWEEN ? AND ? ORDER BY id", Head::COLUMNS))?;
        let mut rows = statement.query([first, last])?;
        while let Some(row) = rows.next()? {
            let Some(head) = Head::read(row) else { continue };
            if let Some(run) = runs.last_mut()
                && run.take(&Run::of(&head, Hash::ZERO))
            {
                continue;
            }
            let before = match runs.last().and_then(|run| run.at(head.id - 1)) {
                Some((hash, _)) => Some(hash),
                None => hash_before(db, no, super::seq_of(head.id))?,
            };
            // A place of which nobody knows what it follows is as good as gone.
            runs.extend(before.map(|prev_hash| Run::of(&head, prev_hash)));
        }
    }
    db.prepare_cached("DELETE FROM entry WHERE id BETWEEN ? AND ?")?.execute([first, last])?;
    for run in runs {
        join(db, run)?;
    }
    Ok(())
}

/// Saves a run together with its neighbours, where all fit into one row.
fn join(db: &Connection, run: Run) -> Result<(), OutboxError> {
    let mut joined = run;
    if let Some(mut before) = find(db, joined.first_id - 1)?
        && before.take(&joined)
    {
        joined = before;
    }
    if let Some(behind) = find(db, joined.last_id() + 1)?
        && joined.take(&behind)
    {
        db.prepare_cached("DELETE FROM heads WHERE first_id = ?")?.execute([behind.first_id])?;
    }
    joined.save(db)
}

/// Deletes the receipted loss records up to a place of whose places all hashes are kept in runs: the runs say as much.
pub(super) fn drop_losses(db: &Connection, no: ChainNo, last: i64) -> Result<(), OutboxError> {
    let mut statement = db.prepare_cached("SELECT first_id, last_id FROM loss WHERE first_id >= ? AND last_id <= ?")?;
    let spans = statement.query_map([id_of(no, 0), last], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(i64, i64)>, _>>()?;
    for (from, to) in spans {
        if count(db, from, to)? == to.abs_diff(from).saturating_add(1) {
            db.prepare_cached("DELETE FROM loss WHERE first_id = ?")?.execute([from])?;
        }
    }
    Ok(())
}

/// Bytes of the file that the entries and runs of a range and all loss records take ([`rows::room`]).
pub(super) fn used(db: &Connection, first: i64, last: i64) -> Result<u64, OutboxError> {
    let entries = "SELECT LENGTH(payload) FROM entry WHERE id BETWEEN ? AND ?";
    let runs = "SELECT LENGTH(hashes) + LENGTH(classes) FROM heads WHERE first_id BETWEEN ? AND ?";
    let losses = "SELECT LENGTH(payload) FROM loss WHERE ? <= ?";
    let mut bytes = 0_u64;
    for query in [entries, runs, losses] {
        let mut statement = db.prepare_cached(query)?;
        let mut found = statement.query([first.saturating_sub(RUN_MAX as i64), last.saturating_add(RUN_MAX as i64)])?;
        while let Some(row) = found.next()? {
            bytes = bytes.saturating_add(rows::room_of(row, 0)?);
        }
    }
    Ok(bytes)
}
