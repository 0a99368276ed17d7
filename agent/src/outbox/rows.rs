//! Reading rows without trusting them. Every row carries a sum of what stands in it, and a payload must have the
//! hash its row names: a row that does not fit is a place of which nothing is left, and the places around it say
//! which hash stood there.

use super::{ChainNo, OutboxError, heads, id_of, seq_of};
use crate::core::LossSpec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_shared::chain::Tip;
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{ChainId, Hash, KeyId};
use mimamori_shared::limits::REPORT_BYTES_MAX;
use mimamori_shared::payload::{Class, Counts, Loss, LossReason, Statement, statement};
use mimamori_shared::sign::{PayloadType, PublicKey, frame_hash, sha256};
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::Deserialize;

/// A page of the file, and what of it rows can use.
const PAGE: u64 = 4096;
const PAGE_ROWS: u64 = PAGE - 8;
/// Head, signature, hash, sum and SQLite's own bytes of the longest row that has no contents.
const ROW_HEAD: u64 = 160;
/// The longest row that stands in one page. Of a longer one at least so much stands in it, and each page it goes on in takes
/// so much (SQLite's file format, 1.6: X with a cell's own bytes, M, and U - 4 of a table's leaf).
const ROW_WHOLE: u64 = PAGE - 35 + 12;
const SPILLED_LEAST: u64 = 489;
const SPILLED_PAGE: u64 = PAGE - 4;

/// What a row with contents of this length takes of the file, together with its share of the rest of a page on which
/// no further row like it fits.
pub(super) fn room(contents: u64) -> u64 {
    let row = contents.saturating_add(ROW_HEAD);
    let like_it = |row: u64| PAGE / (PAGE_ROWS / row).max(1);
    if row <= ROW_WHOLE {
        return like_it(row);
    }
    let (pages, rest) = ((row - SPILLED_LEAST) / SPILLED_PAGE, (row - SPILLED_LEAST) % SPILLED_PAGE);
    let (pages, rest) = if rest + SPILLED_LEAST <= ROW_WHOLE { (pages, rest) } else { (pages + 1, 0) };
    pages.saturating_mul(PAGE).saturating_add(like_it(SPILLED_LEAST + rest))
}

/// As [`room`], of a length as the file tells it.
pub(super) fn room_of(row: &Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    Ok(room(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0)))
}

/// The sum of a row: the first half of a SHA-256 over its values, each with its length.
pub(super) fn sum(parts: &[&[u8]]) -> [u8; 16] {
    let mut all = Vec::with_capacity(256);
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    }
    let Hash(whole) = sha256(&all);
    let mut half = [0; 16];
    half.copy_from_slice(whole.split_at(16).0);
    half
}

/// What a row of `entry` says about its payload.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) kind: PayloadType,
    pub(super) class: Class,
    pub(super) taken_at_ms: i64,
    pub(super) key_id: KeyId,
    pub(super) signature: [u8; 64],
    pub(super) hash: Hash,
}

impl Head {
    pub(super) const COLUMNS: &str = "id, kind, class, taken_at_ms, key_id, signature, hash, sum";

    pub(super) fn sum(&self) -> [u8; 16] {
        sum(&[
            &self.id.to_le_bytes(),
            self.kind.name().as_bytes(),
            &class_no(self.class).to_le_bytes(),
            &self.taken_at_ms.to_le_bytes(),
            &self.key_id.0,
            &self.signature,
            &self.hash.0,
        ])
    }

    /// From [`Head::COLUMNS`]; `None` when the row is damaged.
    pub(super) fn read(row: &Row<'_>) -> Option<Head> {
        let kind: String = row.get(1).ok()?;
        let head = Head {
            id: row.get(0).ok()?,
            kind: kind_of(&kind)?,
            class: class_of(row.get(2).ok()?)?,
            taken_at_ms: row.get(3).ok()?,
            key_id: KeyId(row.get(4).ok()?),
            signature: row.get(5).ok()?,
            hash: Hash(row.get(6).ok()?),
        };
        (row.get::<_, [u8; 16]>(7).ok()? == head.sum()).then_some(head)
    }
}

/// In the order in which a full outbox drops.
pub(super) fn class_no(class: Class) -> i64 {
    match class {
        Class::Sample => 0,
        Class::Unchanged => 1,
        Class::Change => 2,
        Class::Statement => 3,
    }
}

pub(super) fn class_of(no: i64) -> Option<Class> {
    [Class::Sample, Class::Unchanged, Class::Change, Class::Statement].into_iter().find(|class| class_no(*class) == no)
}

fn kind_of(name: &str) -> Option<PayloadType> {
    PayloadType::ALL.into_iter().find(|kind| kind.name() == name)
}

/// The row at a place, when it is whole.
pub(super) fn head(db: &Connection, id: i64) -> Result<Option<Head>, OutboxError> {
    let mut statement = db.prepare_cached(&format!("SELECT {} FROM entry WHERE id = ?", Head::COLUMNS))?;
    let mut rows = statement.query([id])?;
    Ok(rows.next()?.and_then(Head::read))
}

/// The entry whose row this is, when its payload is the one that was signed.
pub(super) fn frame(db: &Connection, head: &Head) -> Result<Option<Frame>, OutboxError> {
    let mut statement = db.prepare_cached("SELECT payload FROM entry WHERE id = ?")?;
    let mut rows = statement.query([head.id])?;
    let packed: Option<Vec<u8>> = rows.next()?.and_then(|row| row.get(0).ok());
    Ok(packed.and_then(|packed| unpack(&packed, head.kind, head.hash)).map(|payload| Frame { payload, key_id: head.key_id, signature: head.signature }))
}

fn unpack(packed: &[u8], kind: PayloadType, hash: Hash) -> Option<Vec<u8>> {
    let payload = zstd::bulk::decompress(packed, REPORT_BYTES_MAX).ok()?;
    (PayloadType::of(&payload) == Some(kind) && frame_hash(kind, &payload) == hash).then_some(payload)
}

/// The sum of a row of `loss`.
pub(super) fn loss_sum(first_id: i64, last_id: i64, key_id: KeyId, signature: &[u8; 64], hash: Hash) -> [u8; 16] {
    sum(&[&first_id.to_le_bytes(), &last_id.to_le_bytes(), &key_id.0, signature, &hash.0])
}

/// A loss record that is kept.
pub(super) struct KeptLoss {
    pub(super) last_seq: u64,
    pub(super) last_hash: Hash,
    pub(super) frame: Frame,
}

/// The loss record that begins at a place. One that is damaged counts as none: it can be made again from the rows.
pub(super) fn loss(db: &Connection, first_id: i64) -> Result<Option<KeptLoss>, OutboxError> {
    let mut statement = db.prepare_cached("SELECT last_id, key_id, signature, hash, sum, payload FROM loss WHERE first_id = ?")?;
    let mut rows = statement.query([first_id])?;
    Ok(rows.next()?.and_then(|row| read_loss(first_id, row)))
}

fn read_loss(first_id: i64, row: &Row<'_>) -> Option<KeptLoss> {
    let last_id = row.get(0).ok()?;
    let (key_id, signature, hash) = (KeyId(row.get(1).ok()?), row.get(2).ok()?, Hash(row.get(3).ok()?));
    if row.get::<_, [u8; 16]>(4).ok()? != loss_sum(first_id, last_id, key_id, &signature, hash) {
        return None;
    }
    let payload = unpack(&row.get::<_, Vec<u8>>(5).ok()?, PayloadType::Loss, hash)?;
    let said: Loss = serde_json::from_slice(&payload).ok()?;
    let last_seq = seq_of(last_id);
    (said.last_seq == last_seq).then_some(KeptLoss { last_seq, last_hash: said.last_hash, frame: Frame { payload, key_id, signature } })
}

/// Where a chain ends: behind its last whole row, or behind packed places or a gap that reach further.
pub(super) fn tip_of(db: &Connection, no: ChainNo) -> Result<Tip, OutboxError> {
    let (from, to) = (id_of(no, 0), id_of(no + 1, 0));
    let mut statement = db.prepare_cached(&format!("SELECT {} FROM entry WHERE id >= ? AND id < ? ORDER BY id DESC", Head::COLUMNS))?;
    let mut rows = statement.query([from, to])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        last = Head::read(row).map(|head| (head.id, head.hash));
        if last.is_some() {
            break;
        }
    }
    let gap = db
        .prepare_cached("SELECT last_id, last_hash FROM gap WHERE last_id >= ? AND last_id < ? ORDER BY last_id DESC LIMIT 1")?
        .query_row([from, to], |row| Ok((row.get(0)?, Hash(row.get(1)?))))
        .optional()?;
    let packed = heads::last(db, no)?;
    let end = [last, gap, packed].into_iter().flatten().max_by_key(|(id, _)| *id);
    Ok(end.map_or(Tip::EMPTY, |(id, head)| Tip { next_seq: seq_of(id) + 1, head }))
}

/// The last whole row of a chain.
pub(super) fn last(db: &Connection, no: ChainNo) -> Result<Option<Head>, OutboxError> {
    let mut statement = db.prepare_cached(&format!("SELECT {} FROM entry WHERE id >= ? AND id < ? ORDER BY id DESC", Head::COLUMNS))?;
    let mut rows = statement.query([id_of(no, 0), id_of(no + 1, 0)])?;
    while let Some(row) = rows.next()? {
        if let Some(head) = Head::read(row) {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

/// The key that an entry hands over to, if it is such a statement.
pub(super) fn successor(db: &Connection, head: &Head) -> Result<Option<KeyId>, OutboxError> {
    if head.kind != PayloadType::Statement {
        return Ok(None);
    }
    let Some(frame) = frame(db, head)? else { return Ok(None) };
    let Ok(Statement::Key { public_key, .. }) = statement(&frame.payload) else { return Ok(None) };
    Ok(STANDARD.decode(public_key).ok().and_then(|bytes| PublicKey::from_bytes(&bytes).ok()).map(|key| key.id()))
}

#[derive(Deserialize)]
struct Follows {
    prev_hash: Hash,
}

/// The hash before a place; zero before the first. `None` when neither the place before nor the place itself tells.
pub(super) fn hash_before(db: &Connection, no: ChainNo, seq: u64) -> Result<Option<Hash>, OutboxError> {
    let Some(before) = seq.checked_sub(1) else { return Ok(Some(Hash::ZERO)) };
    if let Some(head) = head(db, id_of(no, before))? {
        return Ok(Some(head.hash));
    }
    if let Some((hash, _)) = heads::find(db, id_of(no, before))?.and_then(|run| run.at(id_of(no, before))) {
        return Ok(Some(hash));
    }
    let gap = db
        .prepare_cached("SELECT last_hash, prev_hash, last_id = ?1 FROM gap WHERE last_id = ?1 OR first_id = ?1 + 1")?
        .query_row([id_of(no, before)], |row| Ok(Hash(if row.get(2)? { row.get(0)? } else { row.get(1)? })))
        .optional()?;
    if gap.is_some() {
        return Ok(gap);
    }
    if let Some(run) = heads::find(db, id_of(no, seq))?.filter(|run| run.first_id == id_of(no, seq)) {
        return Ok(Some(run.prev_hash));
    }
    let Some(next) = head(db, id_of(no, seq))? else { return Ok(None) };
    let follows = frame(db, &next)?.and_then(|frame| serde_json::from_slice::<Follows>(&frame.payload).ok());
    Ok(follows.map(|follows| follows.prev_hash))
}

/// The run of places without a usable payload that begins exactly at a place, if one does; whatever loss record
/// covers it is cut off before that place.
pub(super) fn gap_at(db: &Connection, no: ChainNo, chain_id: ChainId, seq: u64) -> Result<Option<LossSpec>, OutboxError> {
    let mut end = tip_of(db, no)?.next_seq;
    let mut statement = db.prepare_cached(&format!("SELECT {} FROM entry WHERE id >= ? AND id < ? ORDER BY id", Head::COLUMNS))?;
    let mut rows = statement.query([id_of(no, seq), id_of(no, end)])?;
    while let Some(row) = rows.next()? {
        // A row that is damaged leaves a hole: what it says of its own place cannot be relied upon either.
        let Some(head) = Head::read(row) else { continue };
        if frame(db, &head)?.is_some() {
            end = seq_of(head.id);
            break;
        }
    }
    drop(rows);
    if end <= seq {
        return Ok(None);
    }
    // What was dropped on purpose is packed; everything else there should be a payload.
    let packed = heads::count(db, id_of(no, seq), id_of(no, end - 1))?;
    let reason = if packed == end - seq { LossReason::Quota } else { LossReason::Damage };
    describe(db, no, chain_id, (seq, end - 1), reason).map(Some)
}

/// The loss of all places from the first to the last of `run`. What nothing is left of can only be counted.
pub(super) fn describe(db: &Connection, no: ChainNo, chain_id: ChainId, run: (u64, u64), reason: LossReason) -> Result<LossSpec, OutboxError> {
    let (first_seq, last_seq) = run;
    let (first_id, last_id) = (id_of(no, first_seq), id_of(no, last_seq));
    let mut counts = Counts::default();
    let (mut first, mut last) = (None::<(i64, i64)>, None::<(i64, i64)>);
    let mut saw = |id: i64, from_ms: i64, to_ms: i64| {
        first = first.filter(|(known, _)| *known < id).or(Some((id, from_ms)));
        last = last.filter(|(known, _)| *known > id).or(Some((id, to_ms)));
    };
    heads::each(db, first_id, last_id, |run| {
        run.classes(first_id, last_id).for_each(|class| counts.add(class));
        saw(run.first_id, run.from_ms, run.to_ms);
    })?;
    let mut statement = db.prepare_cached(&format!("SELECT {} FROM entry WHERE id BETWEEN ? AND ? ORDER BY id", Head::COLUMNS))?;
    let mut rows = statement.query([first_id, last_id])?;
    while let Some(row) = rows.next()? {
        let Some(head) = Head::read(row) else { continue };
        counts.add(head.class);
        saw(head.id, head.taken_at_ms, head.taken_at_ms);
    }
    let places = last_seq.saturating_sub(first_seq).saturating_add(1);
    counts.sample = counts.sample.saturating_add(places.saturating_sub(counts.total()));
    let prev_hash = hash_before(db, no, first_seq)?.ok_or(OutboxError::Damaged)?;
    let last_hash = hash_before(db, no, last_seq.saturating_add(1))?.ok_or(OutboxError::Damaged)?;
    let (from_ms, to_ms) = (first.map_or(0, |(_, ms)| ms), last.map_or(0, |(_, ms)| ms));
    Ok(LossSpec { chain_id, first_seq, last_seq, prev_hash, last_hash, counts, from_ms, to_ms, reason })
}
