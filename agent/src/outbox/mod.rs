//! Queue, state and outbound ledger in one SQLite file, with the tip beside it.
//!
//! An entry is created when [`Outbox::commit`] returns: its row is durable (WAL, `synchronous=FULL`) and the tip
//! file knows it. Entries are numbered `chain number << 40 | seq`, so that a commit touches one tree. The queue is
//! a view: what lies at or behind `unsent_from` is unsent. A row whose payload is gone keeps its hash, so that a
//! loss record can be cut again at any place.
//!
//! A file that cannot be used is set aside and reported; it never keeps the agent from starting.

mod batch;
mod ledger;
mod schema;
#[cfg(test)]
mod tests;
mod tip;
mod trim;

pub use batch::Batch;
pub use ledger::{Held as HeldReceipt, Ledger, LedgerChain, LedgerEntry};

use crate::core::{ChainState, Held, LossSpec, Record, Restored};
use mimamori_shared::chain::Tip;
use mimamori_shared::id::{BootId, ChainId, Hash, Lease};
use mimamori_shared::payload::{Class, ConsentState, Counts, LossReason, Place, Statement};
use mimamori_shared::sign::PayloadType;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use tip::TipFile;

/// What the outbox may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of payloads kept, sent and unsent.
    pub bytes: u64,
    /// Age of payloads kept, in milliseconds.
    pub age_ms: i64,
    /// Free bytes on the filesystem below which nothing more is created.
    pub free_floor_bytes: u64,
}

/// Why the outbox failed.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// SQLite failed.
    #[error("the outbox file failed")]
    Sqlite(#[from] rusqlite::Error),
    /// A file beside it failed.
    #[error("the outbox folder failed")]
    Io(#[from] io::Error),
    /// Less than the floor is free.
    #[error("less than {0} bytes are free on the outbox's filesystem")]
    NoSpace(u64),
    /// Compression failed.
    #[error("the outbox holds a payload that cannot be read")]
    Damaged,
}

/// What was noticed while opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noticed {
    /// The file could not be used and was set aside under this name.
    SetAside(PathBuf),
    /// The tip file knows entries that the database lost.
    TailLost {
        /// How many.
        entries: u64,
    },
}

/// Number of a chain within this file.
type ChainNo = i64;

/// The outbox.
#[derive(Debug)]
pub struct Outbox {
    db: Connection,
    tip: TipFile,
    dir: PathBuf,
    quota: Quota,
    payload_bytes: u64,
    numbers: BTreeMap<ChainId, ChainNo>,
    receipts: BTreeMap<ChainId, (Vec<u8>, Vec<u8>)>,
}

/// File name of the database within the state folder.
pub const FILE: &str = "outbox.db";

fn id_of(no: ChainNo, seq: u64) -> i64 {
    no << 40 | i64::try_from(seq).unwrap_or(i64::MAX) & ((1 << 40) - 1)
}

fn seq_of(id: i64) -> u64 {
    u64::try_from(id & ((1 << 40) - 1)).unwrap_or(0)
}

impl Outbox {
    /// Opens or makes the outbox in `dir`; `now_ms` names a file that is set aside.
    ///
    /// # Errors
    /// Only when the folder itself cannot be used.
    pub fn open(dir: &Path, quota: Quota, now_ms: i64) -> Result<(Outbox, Restored, Vec<Noticed>), OutboxError> {
        let mut noticed = Vec::new();
        let tip = TipFile::open(&dir.join("tip"))?;
        let path = dir.join(FILE);
        let first = path.try_exists().map(|exists| !exists).unwrap_or(false);
        let (db, fresh) = match schema::open(&path).and_then(|db| schema::check(&db).map(|()| db)) {
            Ok(db) => (db, first),
            Err(_) => {
                noticed.push(Noticed::SetAside(set_aside(&path, now_ms)?));
                (schema::open(&path)?, true)
            }
        };
        let mut outbox = Outbox { db, tip, dir: dir.to_owned(), quota, payload_bytes: 0, numbers: BTreeMap::new(), receipts: BTreeMap::new() };
        let bytes: i64 = outbox.db.query_row("SELECT COALESCE(SUM(LENGTH(payload)), 0) FROM entry", [], |row| row.get(0))?;
        outbox.payload_bytes = u64::try_from(bytes).unwrap_or(0);
        let mut restored = restore(&outbox.db, &mut outbox.numbers)?;
        let remembered = outbox.tip.newest();
        if let (true, Some(place)) = (fresh, remembered) {
            restored.lost = Some(Some(place));
        } else if let Some(place) = remembered {
            outbox.mend_tail(place, &mut restored, &mut noticed)?;
        }
        Ok((outbox, restored, noticed))
    }

    /// What an agent would go on from, read beside a running one; nothing is changed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn peek(dir: &Path) -> Result<Restored, OutboxError> {
        let path = dir.join(FILE);
        if !path.try_exists()? {
            return Ok(Restored::default());
        }
        restore(&schema::open_read_only(&path)?, &mut BTreeMap::new())
    }

    /// Whether more is kept than the quota allows.
    #[must_use]
    pub fn over_quota(&self) -> bool {
        self.payload_bytes > self.quota.bytes
    }
    /// Entries that the tip file knows and the database does not: their hash is known, so the chain goes on behind them.
    fn mend_tail(&mut self, place: Place, restored: &mut Restored, noticed: &mut Vec<Noticed>) -> Result<(), OutboxError> {
        let Some(chain) = restored.chains.iter_mut().find(|chain| chain.chain_id == place.chain_id) else {
            if !restored.chains.iter().any(|chain| chain.chain_id == place.chain_id) && !self.numbers.contains_key(&place.chain_id) {
                restored.lost = Some(Some(place));
            }
            return Ok(());
        };
        if place.seq < chain.tip.next_seq {
            return Ok(());
        }
        noticed.push(Noticed::TailLost { entries: place.seq - chain.tip.next_seq + 1 });
        let no = self.number(place.chain_id)?;
        // The row stands for all that is missing; a batch that reaches it asks for the loss record.
        self.db.execute(
            "INSERT INTO gap (first_id, last_id, prev_hash, last_hash, from_ms, to_ms) VALUES (?, ?, ?, ?, 0, 0)",
            params![id_of(no, chain.tip.next_seq), id_of(no, place.seq), chain.tip.head.0, place.hash.0],
        )?;
        chain.tip = Tip { next_seq: place.seq.saturating_add(1), head: place.hash };
        Ok(())
    }

    fn number(&self, chain_id: ChainId) -> Result<ChainNo, OutboxError> {
        self.numbers.get(&chain_id).copied().ok_or(OutboxError::Damaged)
    }

    /// Makes an entry durable together with the receipts so far.
    ///
    /// # Errors
    /// Then nothing was created.
    pub fn commit(&mut self, record: &Record) -> Result<(), OutboxError> {
        self.check_space()?;
        let payload = zstd::bulk::compress(&record.payload, 3)?;
        let transaction = self.db.transaction()?;
        let no = match self.numbers.get(&record.chain_id) {
            Some(no) => *no,
            None => open_chain(&transaction, record)?,
        };
        transaction.prepare_cached(
            "INSERT INTO entry (id, kind, class, taken_at_ms, key_id, signature, hash, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id_of(no, record.seq), record.kind.name(), class_no(record.class), record.taken_at_ms,
            record.key_id.0, record.signature, record.hash.0, payload
        ])?;
        save_receipts(&transaction, &record.receipts, &self.receipts)?;
        save_state(&transaction, record)?;
        transaction.commit()?;
        self.numbers.insert(record.chain_id, no);
        self.receipts.clear();
        self.payload_bytes = self.payload_bytes.saturating_add(payload.len() as u64);
        // The row is durable already: a tip file that cannot be written only loses its second opinion.
        let place = Place { chain_id: record.chain_id, seq: record.last_seq, hash: record.tip_hash };
        self.tip.write(place).or_else(|fault| if fault.kind() == io::ErrorKind::StorageFull { Ok(()) } else { Err(fault) })?;
        Ok(())
    }

    /// Makes receipts durable without an entry: at a clean stop.
    ///
    /// # Errors
    /// Then they are only remembered, and a replay brings them back.
    pub fn save(&mut self, chains: &[ChainState]) -> Result<(), OutboxError> {
        let transaction = self.db.transaction()?;
        save_receipts(&transaction, chains, &self.receipts)?;
        transaction.commit()?;
        self.receipts.clear();
        Ok(())
    }

    /// Remembers the newest receipt of a chain with its certificate, as the lines that came; durable with the next commit.
    pub fn note_receipt(&mut self, chain_id: ChainId, receipt: Vec<u8>, certificate: Vec<u8>) {
        self.receipts.insert(chain_id, (receipt, certificate));
    }

    /// What the ledger holds from a place the collector asks for.
    ///
    /// # Errors
    /// When the file fails.
    pub fn rewind(&self, chain_id: ChainId, next_seq: u64, head: Hash) -> Result<Held, OutboxError> {
        let no = self.number(chain_id)?;
        if next_seq > tip_of(&self.db, no)?.next_seq || hash_before(&self.db, no, next_seq)? != Some(head) {
            return Ok(Held::Contradicts);
        }
        Ok(match self.gap_at(no, chain_id, next_seq)? {
            Some(spec) => Held::Bridge(spec),
            None => Held::All { next_seq },
        })
    }

    /// Unsent entries, and bytes of the file with its log.
    #[must_use]
    pub fn size(&self, chains: &[ChainState]) -> (u64, u64) {
        let unsent = chains.iter().map(|chain| chain.tip.next_seq.saturating_sub(chain.unsent_from)).sum();
        let length = |name: &str| std::fs::metadata(self.dir.join(name)).map_or(0, |meta| meta.len());
        (unsent, length(FILE) + length(&format!("{FILE}-wal")))
    }

    fn check_space(&self) -> Result<(), OutboxError> {
        let free = rustix::fs::statvfs(&self.dir).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize)).unwrap_or(u64::MAX);
        if free < self.quota.free_floor_bytes { Err(OutboxError::NoSpace(self.quota.free_floor_bytes)) } else { Ok(()) }
    }
}

fn restore(db: &Connection, numbers: &mut BTreeMap<ChainId, ChainNo>) -> Result<Restored, OutboxError> {
    let chains = load_chains(db, numbers)?;
    let newest = chains.last().map(|chain| chain.chain_id);
    let chains = chains.into_iter().filter(|chain| chain.unsent_from < chain.tip.next_seq || Some(chain.chain_id) == newest);
    Ok(Restored {
        chains: chains.collect(),
        stated_consent: state(db, "consent")?.and_then(|bytes| bytes.try_into().ok()).map(Hash),
        stated_plan: state(db, "plan")?.and_then(|bytes| bytes.try_into().ok()).map(Hash),
        last_boot: state(db, "boot")?.and_then(|bytes| bytes.try_into().ok()).map(BootId),
        push_fail_ms: state(db, "push_fail_ms")?.map(|bytes| read_numbers(&bytes)).unwrap_or_default(),
        lost: None,
    })
}

fn load_chains(db: &Connection, numbers: &mut BTreeMap<ChainId, ChainNo>) -> Result<Vec<ChainState>, OutboxError> {
    let mut chains = Vec::new();
    let mut statement = db.prepare("SELECT no, chain_id, unsent_from, lease FROM chain ORDER BY no")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let no: ChainNo = row.get(0)?;
        let chain_id = ChainId(row.get(1)?);
        let unsent_from: i64 = row.get(2)?;
        numbers.insert(chain_id, no);
        let tip = tip_of(db, no)?;
        chains.push(ChainState { chain_id, tip, unsent_from: u64::try_from(unsent_from).unwrap_or(0), lease: Lease(row.get(3)?) });
    }
    Ok(chains)
}

fn state(db: &Connection, key: &str) -> Result<Option<Vec<u8>>, OutboxError> {
    Ok(db.query_row("SELECT value FROM state WHERE key = ?", [key], |row| row.get(0)).optional()?)
}

fn open_chain(transaction: &Transaction<'_>, record: &Record) -> Result<ChainNo, rusqlite::Error> {
    transaction.execute("INSERT INTO chain (chain_id, unsent_from, lease) VALUES (?, 0, ?)", params![record.chain_id.0, Lease::ZERO.0])?;
    Ok(transaction.last_insert_rowid())
}

fn save_receipts(
    transaction: &Transaction<'_>, chains: &[ChainState], receipts: &BTreeMap<ChainId, (Vec<u8>, Vec<u8>)>,
) -> Result<(), rusqlite::Error> {
    let mut update = transaction.prepare_cached(
        "UPDATE chain SET unsent_from = ?2, lease = ?3, receipt = COALESCE(?4, receipt), certificate = COALESCE(?5, certificate)
         WHERE chain_id = ?1 AND (unsent_from <> ?2 OR lease <> ?3 OR ?4 IS NOT NULL)",
    )?;
    for chain in chains {
        let held = receipts.get(&chain.chain_id);
        let unsent_from = i64::try_from(chain.unsent_from).unwrap_or(i64::MAX);
        update.execute(params![chain.chain_id.0, unsent_from, chain.lease.0, held.map(|(receipt, _)| receipt), held.map(|(_, certificate)| certificate)])?;
    }
    // A chain that is no longer carried is wholly receipted.
    for (chain_id, (receipt, certificate)) in receipts {
        if !chains.iter().any(|chain| chain.chain_id == *chain_id) {
            transaction.execute(
                "UPDATE chain SET unsent_from = (SELECT COALESCE(MAX(id) & 1099511627775, -1) + 1 FROM entry WHERE id >= chain.no << 40 AND id < (chain.no + 1) << 40),
                 receipt = ?2, certificate = ?3 WHERE chain_id = ?1",
                params![chain_id.0, receipt, certificate],
            )?;
        }
    }
    Ok(())
}

fn save_state(transaction: &Transaction<'_>, record: &Record) -> Result<(), rusqlite::Error> {
    let mut put = transaction.prepare_cached("INSERT INTO state (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2 WHERE value <> ?2")?;
    put.execute(params!["push_fail_ms", write_numbers(record.push_fail_ms)])?;
    put.execute(params!["boot", record.boot_id.0])?;
    if record.opens.is_some() {
        transaction.execute("DELETE FROM state WHERE key IN ('consent', 'plan')", [])?;
    }
    match &record.states {
        Some(Statement::Consent { state: ConsentState::Granted, terms_hash, .. }) => put.execute(params!["consent", terms_hash.0]).map(|_| ()),
        Some(Statement::Consent { .. }) => transaction.execute("DELETE FROM state WHERE key = 'consent'", []).map(|_| ()),
        Some(Statement::Plan { plan }) => put.execute(params!["plan", plan.hash().0]).map(|_| ()),
        Some(Statement::Open { .. } | Statement::Key { .. } | Statement::Purge { .. }) | None => Ok(()),
    }
}

fn write_numbers(numbers: [u64; 6]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn read_numbers(bytes: &[u8]) -> [u64; 6] {
    let mut numbers = [0; 6];
    for (number, chunk) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
        *number = chunk.try_into().map_or(0, u64::from_le_bytes);
    }
    numbers
}

fn set_aside(path: &Path, now_ms: i64) -> io::Result<PathBuf> {
    let aside = path.with_file_name(format!("{FILE}.broken-{now_ms}"));
    for suffix in ["", "-wal", "-shm"] {
        let mut from = path.as_os_str().to_owned();
        from.push(suffix);
        let mut to = aside.as_os_str().to_owned();
        to.push(suffix);
        match std::fs::rename(from, to) {
            Ok(()) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(aside)
}

fn class_no(class: Class) -> i64 {
    match class {
        Class::Sample => 0,
        Class::Change => 1,
        Class::Statement => 2,
    }
}

fn class_of(no: i64) -> Class {
    match no {
        0 => Class::Sample,
        1 => Class::Change,
        _ => Class::Statement,
    }
}

fn kind_of(name: &str) -> Option<PayloadType> {
    PayloadType::ALL.into_iter().find(|kind| kind.name() == name)
}

/// Where a chain ends: behind its last row, or behind a gap that reaches further.
fn tip_of(db: &Connection, no: ChainNo) -> Result<Tip, rusqlite::Error> {
    let (from, to) = (id_of(no, 0), id_of(no + 1, 0));
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?));
    let row = db.query_row("SELECT id, hash FROM entry WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1", [from, to], read).optional()?;
    let gap = db.query_row("SELECT last_id, last_hash FROM gap WHERE last_id >= ? AND last_id < ? ORDER BY last_id DESC LIMIT 1", [from, to], read).optional()?;
    Ok(row.into_iter().chain(gap).max_by_key(|(id, _)| *id).map_or(Tip::EMPTY, |(id, hash)| Tip { next_seq: seq_of(id) + 1, head: Hash(hash) }))
}

/// The hash before a place; zero before the first.
fn hash_before(db: &Connection, no: ChainNo, seq: u64) -> Result<Option<Hash>, rusqlite::Error> {
    let Some(before) = seq.checked_sub(1) else { return Ok(Some(Hash::ZERO)) };
    let id = id_of(no, before);
    let row = db.query_row("SELECT hash FROM entry WHERE id = ?", [id], |row| row.get(0)).optional()?;
    let gap = db.query_row("SELECT last_hash FROM gap WHERE last_id = ?", [id], |row| row.get(0)).optional()?;
    Ok(row.or(gap).map(Hash))
}

/// Counts of nothing known: what a damaged tail held can only be counted.
fn unknown_counts(entries: u64) -> Counts {
    Counts { sample: entries, ..Counts::default() }
}

impl Outbox {
    /// The run of entries without payload that begins exactly at a place, if one does; with whatever loss record
    /// covers it cut off before that place.
    fn gap_at(&self, no: ChainNo, chain_id: ChainId, seq: u64) -> Result<Option<LossSpec>, OutboxError> {
        let id = id_of(no, seq);
        let tail = self.db.query_row("SELECT last_id, last_hash, prev_hash FROM gap WHERE first_id <= ?1 AND last_id >= ?1", [id], |row| {
            Ok((row.get::<_, i64>(0)?, Hash(row.get(1)?), Hash(row.get(2)?)))
        });
        let end = id_of(no + 1, 0);
        let mut statement = self.db.prepare("SELECT id, class, taken_at_ms, hash, payload IS NULL FROM entry WHERE id >= ? AND id < ? ORDER BY id")?;
        let mut rows = statement.query([id, end])?;
        let mut spec: Option<LossSpec> = None;
        let prev_hash = hash_before(&self.db, no, seq)?;
        let mut expected = id;
        while let Some(row) = rows.next()? {
            let (row_id, class, taken): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if row_id != expected || !row.get::<_, bool>(4)? {
                break;
            }
            expected += 1;
            let hash = Hash(row.get(3)?);
            let prev_hash = prev_hash.ok_or(OutboxError::Damaged)?;
            let spec = spec.get_or_insert(LossSpec {
                chain_id, first_seq: seq, last_seq: seq, prev_hash, last_hash: hash,
                counts: Counts::default(), from_ms: taken, to_ms: taken, reason: LossReason::Quota,
            });
            spec.last_seq = seq_of(row_id);
            spec.last_hash = hash;
            spec.counts.add(class_of(class));
            spec.to_ms = taken;
        }
        if spec.is_some() {
            return Ok(spec);
        }
        Ok(tail.optional()?.map(|(last, last_hash, gap_prev)| LossSpec {
            chain_id, first_seq: seq, last_seq: seq_of(last), prev_hash: prev_hash.unwrap_or(gap_prev), last_hash,
            counts: unknown_counts(seq_of(last) - seq + 1), from_ms: 0, to_ms: 0, reason: LossReason::Damage,
        }))
    }
}
