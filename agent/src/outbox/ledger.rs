//! Reading the file as what it also is: the ledger of everything that left.

use super::batch::{read_frame, unpack};
use super::{FILE, OutboxError, hash_before, id_of, schema, seq_of};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{ChainId, Hash, KeyId};
use rusqlite::Connection;
use std::path::Path;

/// The ledger, opened beside a running agent.
#[derive(Debug)]
pub struct Ledger {
    db: Connection,
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
    no: i64,
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
        /// Place.
        seq: u64,
        /// Hash before it.
        prev_hash: Hash,
        /// Hash at it.
        tip_hash: Hash,
        /// Who signed.
        key_id: KeyId,
    },
}

impl Ledger {
    /// Opens the ledger of a state folder; `Ok(None)` when there is none yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(dir: &Path) -> Result<Option<Ledger>, OutboxError> {
        let path = dir.join(FILE);
        if !path.try_exists()? {
            return Ok(None);
        }
        Ok(Some(Ledger { db: schema::open_read_only(&path)? }))
    }

    /// The chains, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn chains(&self) -> Result<Vec<LedgerChain>, OutboxError> {
        let mut statement = self.db.prepare("SELECT no, chain_id, unsent_from, receipt, certificate FROM chain ORDER BY no")?;
        let rows = statement.query_map([], |row| {
            let (receipt, certificate): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
            Ok(LedgerChain {
                no: row.get(0)?,
                chain_id: ChainId(row.get(1)?),
                unsent_from: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                held: receipt.zip(certificate).map(|(receipt, certificate)| Held { receipt, certificate }),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest `most` places of a chain, or all with `None`, in order, one after another: memory stays small.
    ///
    /// # Errors
    /// When the file cannot be read, or `see` ends it.
    pub fn walk<E: From<OutboxError>>(&self, chain: &LedgerChain, most: Option<u64>, mut see: impl FnMut(LedgerEntry) -> Result<(), E>) -> Result<(), E> {
        let sql = |fault: rusqlite::Error| E::from(OutboxError::from(fault));
        let next = super::tip_of(&self.db, chain.no).map_err(sql)?.next_seq;
        let mut seq = most.map_or(0, |most| next.saturating_sub(most));
        while seq < next {
            let entry = self.at(chain.no, seq)?;
            seq = match &entry {
                Some(LedgerEntry::Frame { last_seq, .. }) => last_seq + 1,
                Some(LedgerEntry::Head { .. }) | None => seq + 1,
            };
            if let Some(entry) = entry {
                see(entry)?;
            }
        }
        Ok(())
    }

    fn at(&self, no: i64, seq: u64) -> Result<Option<LedgerEntry>, OutboxError> {
        let id = id_of(no, seq);
        let mut loss = self.db.prepare_cached("SELECT last_id, key_id, signature, payload FROM loss WHERE first_id = ?")?;
        let mut rows = loss.query([id])?;
        if let Some(row) = rows.next()? {
            let last_seq = seq_of(row.get(0)?);
            let frame = unpack(read_frame(row, 1)?)?;
            let tip_hash = hash_before(&self.db, no, last_seq + 1)?.unwrap_or(Hash::ZERO);
            return Ok(Some(LedgerEntry::Frame { frame, seq, last_seq, tip_hash }));
        }
        let mut entry = self.db.prepare_cached("SELECT hash, key_id, signature, payload FROM entry WHERE id = ?")?;
        let mut rows = entry.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let tip_hash = Hash(row.get(0)?);
        if row.get_ref(3)?.as_blob_or_null().ok().flatten().is_none() {
            let prev_hash = hash_before(&self.db, no, seq)?.unwrap_or(Hash::ZERO);
            return Ok(Some(LedgerEntry::Head { seq, prev_hash, tip_hash, key_id: KeyId(row.get(1)?) }));
        }
        Ok(Some(LedgerEntry::Frame { frame: unpack(read_frame(row, 1)?)?, seq, last_seq: seq, tip_hash }))
    }
}
