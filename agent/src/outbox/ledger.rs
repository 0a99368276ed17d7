//! Reading the file as what it also is: the ledger of everything that left.

use super::heads::{self, Run};
use super::rows::{self, Head, hash_before, tip_of};
use super::{FILE, OutboxError, id_of, schema, seq_of, tip};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{ChainId, Hash, KeyId};
use mimamori_shared::payload::Place;
use rusqlite::Connection;
use std::path::Path;

/// The ledger, opened beside a running agent.
#[derive(Debug)]
pub struct Ledger {
    pub(super) db: Connection,
    newest: Option<Place>,
}

/// A receipt as it came: the two lines of it and of its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Receipt.
    pub receipt: Vec<u8>,
    /// Certificate.
    pub certificate: Vec<u8>,
}

/// One chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerChain {
    pub(super) no: i64,
    /// Its id.
    pub chain_id: ChainId,
    /// The first place without a receipt.
    pub unsent_from: u64,
    /// The newest receipt.
    pub held: Option<Held>,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerEntry {
    /// An entry or a loss record, with the hash the ledger keeps for the last place it fills.
    Frame {
        /// The frame.
        frame: Frame,
        /// First place.
        seq: u64,
        /// Last place.
        last_seq: u64,
        /// Hash at the last place.
        tip_hash: Hash,
    },
    /// The payload is gone; the hash is kept.
    Head {
        /// First place.
        seq: u64,
        /// Last place; another than the first only when not even rows are left.
        last_seq: u64,
        /// Hash before it.
        prev_hash: Hash,
        /// Hash at it.
        tip_hash: Hash,
        /// Who signed, when that is still known.
        key_id: Option<KeyId>,
        /// It was not dropped on purpose: the file was damaged.
        damaged: bool,
    },
}

impl Ledger {
    /// Opens the ledger of a state folder; `Ok(None)` when there is none yet, or it is just being made.
    ///
    /// # Errors
    /// When the file cannot be read, or nothing is in it although something was.
    pub fn open(dir: &Path) -> Result<Option<Ledger>, OutboxError> {
        // Read first: whatever the agent commits meanwhile makes the database newer, never older.
        let newest = tip::newest(&dir.join("tip"));
        match schema::open_read_only(&dir.join(FILE))? {
            Some(db) => Ok(Some(Ledger { db, newest })),
            None if newest.is_some() => Err(OutboxError::Damaged),
            None => Ok(None),
        }
    }

    /// The chains, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn chains(&self) -> Result<Vec<LedgerChain>, OutboxError> {
        let mut statement = self.db.prepare("SELECT no, chain_id, unsent_from, receipt, certificate FROM chain ORDER BY no")?;
        let rows = statement.query_map([], |row| {
            // Damaged ones count as none: they are the collector's to give again.
            let (receipt, certificate): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(3).unwrap_or(None), row.get(4).unwrap_or(None));
            Ok(LedgerChain {
                no: row.get(0)?,
                chain_id: ChainId(row.get(1)?),
                unsent_from: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                held: receipt.zip(certificate).map(|(receipt, certificate)| Held { receipt, certificate }),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest place as the file beside the database knows it, if it can be read.
    #[must_use]
    pub fn newest(&self) -> Option<Place> {
        self.newest
    }

    /// How many places a chain has.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn places(&self, chain: &LedgerChain) -> Result<u64, OutboxError> {
        Ok(tip_of(&self.db, chain.no)?.next_seq)
    }

    /// The newest `most` places of a chain, or all with `None`, in order, one after another: memory stays small.
    ///
    /// # Errors
    /// When the file cannot be read, or `see` ends it.
    pub fn walk<E: From<OutboxError>>(&self, chain: &LedgerChain, most: Option<u64>, mut see: impl FnMut(LedgerEntry) -> Result<(), E>) -> Result<(), E> {
        let next = tip_of(&self.db, chain.no)?.next_seq;
        let mut seq = most.map_or(0, |most| next.saturating_sub(most));
        let mut run = None;
        while seq < next {
            // One moment's view of each place: the running agent may be packing it just now. Not one of them all: a
            // reader that takes its time would make the log grow.
            let moment = self.db.unchecked_transaction().map_err(OutboxError::from)?;
            let entry = self.at(chain.no, seq, next, &mut run)?;
            drop(moment);
            let (LedgerEntry::Frame { last_seq, .. } | LedgerEntry::Head { last_seq, .. }) = &entry;
            seq = last_seq + 1;
            see(entry)?;
        }
        Ok(())
    }

    /// `packed` is the run of packed places that was read last.
    fn at(&self, no: i64, seq: u64, next: u64, packed: &mut Option<Run>) -> Result<LedgerEntry, OutboxError> {
        let id = id_of(no, seq);
        if let Some(loss) = rows::loss(&self.db, id)? {
            return Ok(LedgerEntry::Frame { frame: loss.frame, seq, last_seq: loss.last_seq, tip_hash: loss.last_hash });
        }
        if packed.as_ref().is_none_or(|run| run.at(id).is_none()) {
            *packed = heads::find(&self.db, id)?;
        }
        if let Some(run) = packed
            && let Some((tip_hash, _)) = run.at(id)
        {
            let prev_hash = run.at(id - 1).map_or(run.prev_hash, |(hash, _)| hash);
            return Ok(LedgerEntry::Head { seq, last_seq: seq, prev_hash, tip_hash, key_id: Some(run.key_id), damaged: false });
        }
        let hash = |seq: u64| Ok::<_, OutboxError>(hash_before(&self.db, no, seq)?.unwrap_or(Hash::ZERO));
        let Some(head) = rows::head(&self.db, id)? else {
            let last_seq = self.next_known(no, seq, next)? - 1;
            return Ok(LedgerEntry::Head { seq, last_seq, prev_hash: hash(seq)?, tip_hash: hash(last_seq + 1)?, key_id: None, damaged: true });
        };
        if let Some(frame) = rows::frame(&self.db, &head)? {
            return Ok(LedgerEntry::Frame { frame, seq, last_seq: seq, tip_hash: head.hash });
        }
        Ok(LedgerEntry::Head { seq, last_seq: seq, prev_hash: hash(seq)?, tip_hash: head.hash, key_id: Some(head.key_id), damaged: true })
    }

    /// The first place behind `seq` of which a whole row or a packed hash is left, or the end.
    fn next_known(&self, no: i64, seq: u64, next: u64) -> Result<u64, OutboxError> {
        let (from, to) = (id_of(no, seq), id_of(no, next));
        let packed = heads::next(&self.db, from, to)?.map_or(next, seq_of);
        let mut statement = self.db.prepare_cached(&format!("SELECT {} FROM entry WHERE id > ? AND id < ? ORDER BY id", Head::COLUMNS))?;
        let mut rows = statement.query([from, to])?;
        while let Some(row) = rows.next()? {
            if let Some(head) = Head::read(row) {
                return Ok(packed.min(seq_of(head.id)));
            }
        }
        Ok(packed)
    }
}
