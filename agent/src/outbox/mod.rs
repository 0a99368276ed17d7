//! Queue, state and outbound ledger in one SQLite file, with the tip beside it.
//!
//! An entry is created when [`Outbox::commit`] returns: its row is durable (WAL, `synchronous=FULL`) and the tip
//! file knows it. Entries are numbered `chain number << 40 | seq`, so that a commit touches one tree. The queue is
//! a view: what lies at or behind `unsent_from` is unsent. Of an entry whose payload is gone the hash is kept for ever
//! (`heads.rs`), so that a loss record can be cut again at any place.
//!
//! No row is trusted: each carries a sum (`rows.rs`). A damaged entry is one loss; a file that cannot be used as a
//! whole is set aside and reported. Neither ever keeps the agent from starting.

mod batch;
mod heads;
mod ledger;
mod noted;
mod open;
mod queue;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod tip;
mod trim;

pub use batch::Batch;
pub use ledger::{Held as HeldReceipt, Ledger, LedgerChain, LedgerEntry};
pub use noted::{Kind as NotedKind, Noted, noted};
pub use queue::Queue;

use crate::core::{ChainState, Held, Record};
use mimamori_shared::id::{ChainId, Hash, Lease};
use mimamori_shared::payload::{Class, ConsentState, OpenReason, Place, Statement};
use rows::{Head, class_no, hash_before, sum, tip_of};
use rusqlite::{Connection, ErrorCode, Transaction, params};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use tip::TipFile;

/// What the outbox may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of everything kept: entries sent and unsent, loss records, heads.
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
    /// Changes and statements alone fill it; nothing else is created.
    #[error("changes and statements that were not sent yet fill the outbox")]
    Full,
    /// What the file says contradicts itself.
    #[error("the outbox file is damaged")]
    Damaged,
}

impl OutboxError {
    /// Whether the file itself is at fault, so that trying again cannot help but [`Outbox::heal`] can. Not so a full
    /// disk, missing rights or another program's lock: the file is good, and is kept.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            OutboxError::Damaged => true,
            OutboxError::Io(_) | OutboxError::NoSpace(_) | OutboxError::Full => false,
            OutboxError::Sqlite(rusqlite::Error::SqliteFailure(fault, _)) => match fault.code {
                ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::OperationInterrupted
                | ErrorCode::FileLockingProtocolFailed => false,
                // Reading fails for good where a disk has a bad sector; writing fails for many reasons that pass.
                ErrorCode::SystemIoFailure => {
                    matches!(
                        fault.extended_code,
                        rusqlite::ffi::SQLITE_IOERR_READ | rusqlite::ffi::SQLITE_IOERR_SHORT_READ | rusqlite::ffi::SQLITE_IOERR_CORRUPTFS
                    )
                }
                _ => true,
            },
            OutboxError::Sqlite(_) => true,
        }
    }

    /// Whether the file is good but what is open of it is not: a sync that failed leaves a handle on which no later one
    /// can be believed, and a file opened while its filesystem was read-only stays so.
    fn wants_opening(&self) -> bool {
        let OutboxError::Sqlite(rusqlite::Error::SqliteFailure(fault, _)) = self else { return false };
        matches!(fault.code, ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::CannotOpen)
    }
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
    /// Healing is under way: nothing is open.
    closed: bool,
    /// What counts against the quota.
    bytes: u64,
    /// Over the quota, and nothing left that may be dropped.
    full: bool,
    /// By chain and class: before this id nothing of the class is left to drop.
    searched: BTreeMap<(ChainNo, i64), i64>,
    /// Chains of which a loss was named that nobody recorded.
    unbridged: BTreeSet<ChainId>,
    numbers: BTreeMap<ChainId, ChainNo>,
    receipts: BTreeMap<ChainId, (Vec<u8>, Vec<u8>)>,
}

/// Chains one file can number; an agent opens a few in its life.
const CHAINS_MAX: ChainNo = 1 << 20;

/// File name of the database within the state folder.
pub const FILE: &str = "outbox.db";

fn id_of(no: ChainNo, seq: u64) -> i64 {
    no << 40 | i64::try_from(seq).unwrap_or(i64::MAX) & ((1 << 40) - 1)
}

fn seq_of(id: i64) -> u64 {
    u64::try_from(id & ((1 << 40) - 1)).unwrap_or(0)
}

impl Outbox {
    /// Whether more is kept than the quota allows.
    #[must_use]
    pub fn over_quota(&self) -> bool {
        self.bytes > self.quota.bytes
    }

    /// Whether a report can be created just now. Costs no write.
    ///
    /// # Errors
    /// [`OutboxError::NoSpace`].
    pub fn check_space(&self) -> Result<(), OutboxError> {
        let free = rustix::fs::statvfs(&self.dir).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize)).unwrap_or(u64::MAX);
        if free < self.quota.free_floor_bytes { Err(OutboxError::NoSpace(self.quota.free_floor_bytes)) } else { Ok(()) }
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
        if self.full && self.over_quota() && record.class <= Class::Unchanged {
            return Err(OutboxError::Full);
        }
        let payload = zstd::bulk::compress(&record.payload, 3)?;
        let transaction = self.db.transaction()?;
        let no = match self.numbers.get(&record.chain_id) {
            Some(no) => *no,
            None => open_chain(&transaction, &self.numbers, record.chain_id)?,
        };
        let head = Head {
            id: id_of(no, record.seq),
            kind: record.kind,
            class: record.class,
            taken_at_ms: record.taken_at_ms,
            key_id: record.key_id,
            signature: record.signature,
            hash: record.hash,
        };
        transaction
            .prepare_cached("INSERT INTO entry (id, kind, class, taken_at_ms, key_id, signature, hash, sum, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?
            .execute(params![
                head.id,
                head.kind.name(),
                class_no(head.class),
                head.taken_at_ms,
                head.key_id.0,
                head.signature,
                head.hash.0,
                head.sum(),
                payload
            ])?;
        save_receipts(&transaction, &self.numbers, &record.receipts, &self.receipts)?;
        save_state(&transaction, record)?;
        transaction.commit()?;
        self.numbers.insert(record.chain_id, no);
        self.receipts.clear();
        self.bytes = self.bytes.saturating_add(rows::room(payload.len() as u64));
        // The entry is created, whatever becomes of the tip file: one that cannot be written lags behind, and the next
        // commit writes it again. To report a failure here would make the agent sign this place a second time.
        drop(self.tip.write(Place { chain_id: record.chain_id, seq: record.last_seq, hash: record.tip_hash }));
        Ok(())
    }

    /// Makes receipts durable without an entry: at a clean stop.
    ///
    /// # Errors
    /// Then they are only remembered, and a replay brings them back.
    pub fn save(&mut self, chains: &[ChainState]) -> Result<(), OutboxError> {
        let transaction = self.db.transaction()?;
        save_receipts(&transaction, &self.numbers, chains, &self.receipts)?;
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
    pub fn rewind(&mut self, chain_id: ChainId, next_seq: u64, head: Hash) -> Result<Held, OutboxError> {
        let no = self.number(chain_id)?;
        // What was receipted is unsent again, and may be dropped.
        self.searched.clear();
        if next_seq > tip_of(&self.db, no)?.next_seq || hash_before(&self.db, no, next_seq)? != Some(head) {
            return Ok(Held::Contradicts);
        }
        Ok(match rows::gap_at(&self.db, no, chain_id, next_seq)? {
            Some(spec) => Held::Bridge(spec),
            None => Held::All { next_seq },
        })
    }

    /// The chain before this one, with its last entry as unsent: sent again, that tells a collector which went back how
    /// the chain ended. `None` when there is none, or the payload of that entry is gone.
    ///
    /// # Errors
    /// When the file fails.
    pub fn before(&self, chain_id: ChainId) -> Result<Option<ChainState>, OutboxError> {
        let no = self.number(chain_id)?;
        let before = self.numbers.iter().filter(|(_, other)| **other < no).max_by_key(|(_, other)| **other);
        let Some((chain_id, no)) = before else { return Ok(None) };
        let lease: [u8; 16] = self.db.query_row("SELECT lease FROM chain WHERE no = ?", [no], |row| row.get(0))?;
        let chain = open::chain_state(&self.db, *no, *chain_id, u64::MAX, Lease(lease))?;
        let last = rows::last(&self.db, *no)?.filter(|head| seq_of(head.id).saturating_add(1) == chain.tip.next_seq);
        Ok(last.map(|head| ChainState { unsent_from: seq_of(head.id), ..chain }))
    }

    /// Removes what was set aside as damaged: after a withdrawal nothing that was collected stays but the ledger.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn forget_set_aside(&self) -> Result<(), OutboxError> {
        Ok(open::forget_set_aside(&self.dir.join(FILE), 0)?)
    }

    /// Unsent entries, and bytes of the file with its log.
    #[must_use]
    pub fn size(&self, chains: &[ChainState]) -> (u64, u64) {
        let unsent = chains.iter().map(|chain| chain.tip.next_seq.saturating_sub(chain.unsent_from)).sum();
        let length = |name: &str| std::fs::metadata(self.dir.join(name)).map_or(0, |meta| meta.len());
        (unsent, length(FILE) + length(&format!("{FILE}-wal")))
    }
}

fn open_chain(transaction: &Transaction<'_>, numbers: &BTreeMap<ChainId, ChainNo>, chain_id: ChainId) -> Result<ChainNo, OutboxError> {
    let no = numbers.values().max().map_or(1, |no| no + 1);
    if no > CHAINS_MAX {
        return Err(OutboxError::Damaged);
    }
    transaction.execute(
        "INSERT INTO chain (no, chain_id, unsent_from, lease, sum) VALUES (?, ?, 0, ?, ?)",
        params![no, chain_id.0, Lease::ZERO.0, chain_sum(no, chain_id, 0, Lease::ZERO)],
    )?;
    Ok(no)
}

/// The sum of a row of `chain`. Receipt and certificate are outside: they are signed.
fn chain_sum(no: ChainNo, chain_id: ChainId, unsent_from: i64, lease: Lease) -> [u8; 16] {
    sum(&[&no.to_le_bytes(), &chain_id.0, &unsent_from.to_le_bytes(), &lease.0])
}

fn save_receipts(
    transaction: &Transaction<'_>,
    numbers: &BTreeMap<ChainId, ChainNo>,
    chains: &[ChainState],
    receipts: &BTreeMap<ChainId, (Vec<u8>, Vec<u8>)>,
) -> Result<(), OutboxError> {
    let mut update = transaction.prepare_cached("UPDATE chain SET unsent_from = ?2, lease = ?3, sum = ?4 WHERE no = ?1 AND sum <> ?4")?;
    for chain in chains {
        let Some(no) = numbers.get(&chain.chain_id) else { continue };
        let unsent_from = i64::try_from(chain.unsent_from).unwrap_or(i64::MAX);
        update.execute(params![no, unsent_from, chain.lease.0, chain_sum(*no, chain.chain_id, unsent_from, chain.lease)])?;
    }
    for (chain_id, (receipt, certificate)) in receipts {
        let Some(no) = numbers.get(chain_id) else { continue };
        transaction.execute("UPDATE chain SET receipt = ?2, certificate = ?3 WHERE no = ?1", params![no, receipt, certificate])?;
        // A chain that is no longer carried is wholly receipted.
        if !chains.iter().any(|chain| chain.chain_id == *chain_id) {
            let unsent_from = i64::try_from(tip_of(transaction, *no)?.next_seq).unwrap_or(i64::MAX);
            let lease: [u8; 16] = transaction.query_row("SELECT lease FROM chain WHERE no = ?", [no], |row| row.get(0))?;
            update.execute(params![no, unsent_from, lease, chain_sum(*no, *chain_id, unsent_from, Lease(lease))])?;
        }
    }
    Ok(())
}

fn save_state(transaction: &Transaction<'_>, record: &Record) -> Result<(), rusqlite::Error> {
    let mut statement = transaction
        .prepare_cached("INSERT INTO state (key, value, sum) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET value = ?2, sum = ?3 WHERE sum <> ?3")?;
    let mut put = |key: &str, value: &[u8]| statement.execute(params![key, value, sum(&[key.as_bytes(), value])]).map(|_| ());
    put("push_fail_ms", &write_numbers(record.push_fail_ms))?;
    put("boot", &record.boot_id.0)?;
    if let Some(diagnosis) = &record.diagnosis {
        put("diagnosis", diagnosis)?;
    }
    if let Some(opened) = record.opens {
        transaction.execute("DELETE FROM state WHERE key = 'plan'", [])?;
        if opened != OpenReason::Rotated {
            transaction.execute("DELETE FROM state WHERE key = 'diagnosis'", [])?;
        }
    }
    match &record.states {
        Some(Statement::Consent { state: ConsentState::Granted, terms_hash, .. }) => put("consent", &terms_hash.0),
        // After a statement of its end an agent that is started all the same states its consent anew.
        Some(Statement::Consent { .. } | Statement::Purge { .. }) => {
            transaction.execute("DELETE FROM state WHERE key IN ('consent', 'diagnosis')", []).map(|_| ())
        }
        Some(Statement::Plan { plan }) => put("plan", &plan.hash().0),
        Some(Statement::Open { .. } | Statement::Key { .. }) | None => Ok(()),
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
