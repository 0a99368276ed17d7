//! What is dropped when the outbox grows too large or too old: first payloads that are receipted, which costs
//! nothing but the ledger's memory; then unsent samples, each run recorded as a loss. Changes and statements stay.

use super::{Outbox, OutboxError, class_no, class_of, hash_before, id_of, seq_of};
use crate::core::{ChainState, LossSpec, Record};
use mimamori_shared::id::{ChainId, Hash};
use mimamori_shared::payload::{Class, Counts, LossReason};
use rusqlite::params;

/// Entries dropped at once, so that one trim stays short.
const RUN_MAX: usize = 256;

impl Outbox {
    /// Brings the outbox within its quota: drops receipted payloads itself, and names the next run of unsent samples
    /// that must go. Call again after the loss was recorded, until it names none.
    ///
    /// # Errors
    /// When the file fails.
    pub fn trim(&mut self, chains: &[ChainState], now_ms: i64) -> Result<Option<LossSpec>, OutboxError> {
        let oldest = now_ms.saturating_sub(self.quota.age_ms);
        self.drop_receipted(chains, oldest)?;
        let full = self.payload_bytes > self.quota.bytes;
        let reason = if full { LossReason::Quota } else { LossReason::Age };
        for chain in chains {
            let spec = self.run_of_samples(chain, (!full).then_some(oldest), reason)?;
            if spec.is_some() {
                return Ok(spec);
            }
        }
        Ok(None)
    }

    fn drop_receipted(&mut self, chains: &[ChainState], oldest_ms: i64) -> Result<(), OutboxError> {
        let over = self.payload_bytes.saturating_sub(self.quota.bytes);
        let mut gone = Vec::new();
        let mut freed = 0_u64;
        {
            let mut statement = self.db.prepare_cached("SELECT id, LENGTH(payload), taken_at_ms FROM entry WHERE payload IS NOT NULL ORDER BY id LIMIT ?")?;
            let mut rows = statement.query([i64::try_from(RUN_MAX).unwrap_or(256)])?;
            while let Some(row) = rows.next()? {
                let (id, bytes, taken): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let sent = chains.iter().all(|chain| self.numbers.get(&chain.chain_id).is_none_or(|no| id < id_of(*no, chain.unsent_from) || id >= id_of(no + 1, 0)));
                if !sent || (freed >= over && taken >= oldest_ms) {
                    break;
                }
                freed = freed.saturating_add(u64::try_from(bytes).unwrap_or(0));
                gone.push(id);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        let transaction = self.db.transaction()?;
        for id in gone {
            transaction.prepare_cached("UPDATE entry SET payload = NULL WHERE id = ?")?.execute([id])?;
        }
        transaction.commit()?;
        self.payload_bytes = self.payload_bytes.saturating_sub(freed);
        Ok(())
    }

    /// The oldest run of unsent samples of a chain, grown by what is already lost on either side of it.
    fn run_of_samples(&self, chain: &ChainState, older_than_ms: Option<i64>, reason: LossReason) -> Result<Option<LossSpec>, OutboxError> {
        let no = self.number(chain.chain_id)?;
        let mut ids = Vec::new();
        {
            let mut statement = self.db.prepare_cached(
                "SELECT id FROM entry WHERE id >= ? AND id < ? AND payload IS NOT NULL AND class = ? AND taken_at_ms < ? ORDER BY id LIMIT ?",
            )?;
            let before = older_than_ms.unwrap_or(i64::MAX);
            let limit = i64::try_from(RUN_MAX).unwrap_or(256);
            // The newest entry stays: it is what is happening now.
            let end = id_of(no, chain.tip.next_seq.saturating_sub(1));
            let mut rows = statement.query(params![id_of(no, chain.unsent_from), end, class_no(Class::Sample), before, limit])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                if ids.last().is_some_and(|last| last + 1 != id) {
                    break;
                }
                ids.push(id);
            }
        }
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(None) };
        self.loss_over(chain.chain_id, seq_of(*first), seq_of(*last), chain.unsent_from, reason).map(Some)
    }

    /// Describes the loss of `first..=last` and of what is already lost beside it, not reaching before `not_before`.
    fn loss_over(&self, chain_id: ChainId, first: u64, last: u64, not_before: u64, reason: LossReason) -> Result<LossSpec, OutboxError> {
        let no = self.number(chain_id)?;
        let (mut first_id, mut last_id) = (id_of(no, first), id_of(no, last));
        let neighbours = "SELECT first_id, last_id FROM loss WHERE (last_id = ?1 - 1 AND first_id >= ?3) OR first_id = ?2 + 1";
        let mut statement = self.db.prepare(neighbours)?;
        let mut rows = statement.query([first_id, last_id, id_of(no, not_before)])?;
        let (mut from, mut to) = (first_id, last_id);
        while let Some(row) = rows.next()? {
            from = from.min(row.get(0)?);
            to = to.max(row.get(1)?);
        }
        (first_id, last_id) = (from, to);
        let mut counts = Counts::default();
        let (mut from_ms, mut to_ms, mut last_hash) = (None, 0, Hash::ZERO);
        let mut statement = self.db.prepare("SELECT class, taken_at_ms, hash FROM entry WHERE id BETWEEN ? AND ? ORDER BY id")?;
        let mut rows = statement.query([first_id, last_id])?;
        while let Some(row) = rows.next()? {
            counts.add(class_of(row.get(0)?));
            to_ms = row.get(1)?;
            from_ms = from_ms.or(Some(to_ms));
            last_hash = Hash(row.get(2)?);
        }
        let prev_hash = hash_before(&self.db, no, seq_of(first_id))?.ok_or(OutboxError::Damaged)?;
        Ok(LossSpec { chain_id, first_seq: seq_of(first_id), last_seq: seq_of(last_id), prev_hash, last_hash, counts, from_ms: from_ms.unwrap_or(0), to_ms, reason })
    }

    /// What is unsent in these chains and may no longer leave, as one loss for each chain that has any.
    ///
    /// # Errors
    /// When the file fails.
    pub fn unsent(&self, chains: &[ChainState]) -> Result<Vec<LossSpec>, OutboxError> {
        let mut specs = Vec::new();
        for chain in chains.iter().filter(|chain| chain.unsent_from < chain.tip.next_seq) {
            specs.push(self.loss_over(chain.chain_id, chain.unsent_from, chain.tip.next_seq - 1, chain.unsent_from, LossReason::Withdrawn)?);
        }
        Ok(specs)
    }

    /// Puts a loss record in the place of what it bridges; payloads there are wiped, hashes stay.
    ///
    /// # Errors
    /// Then nothing was dropped.
    pub fn bridge(&mut self, record: &Record) -> Result<(), OutboxError> {
        let no = self.number(record.chain_id)?;
        let (first, last) = (id_of(no, record.seq), id_of(no, record.last_seq));
        let payload = zstd::bulk::compress(&record.payload, 3)?;
        let freed: i64 = self.db.query_row("SELECT COALESCE(SUM(LENGTH(payload)), 0) FROM entry WHERE id BETWEEN ? AND ?", [first, last], |row| row.get(0))?;
        let transaction = self.db.transaction()?;
        transaction.execute("DELETE FROM loss WHERE first_id <= ? AND last_id >= ?", [last, first])?;
        transaction.execute("UPDATE entry SET payload = NULL WHERE id BETWEEN ? AND ?", [first, last])?;
        transaction.execute(
            "INSERT INTO loss (first_id, last_id, key_id, signature, hash, payload) VALUES (?, ?, ?, ?, ?, ?)",
            params![first, last, record.key_id.0, record.signature, record.hash.0, payload],
        )?;
        transaction.commit()?;
        self.payload_bytes = self.payload_bytes.saturating_sub(u64::try_from(freed).unwrap_or(0));
        Ok(())
    }
}
