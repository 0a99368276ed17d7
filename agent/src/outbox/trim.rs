//! What is dropped when the outbox grows too large or too old: first payloads that are receipted, which costs
//! nothing but the ledger's memory; then unsent samples, each run recorded as a loss. Changes and statements stay.

use super::rows::{self, Head, class_no};
use super::{ChainNo, Outbox, OutboxError, id_of, seq_of};
use crate::core::{ChainState, LossSpec, Record};
use mimamori_shared::id::ChainId;
use mimamori_shared::payload::{Class, LossReason};
use rusqlite::params;

/// Entries dropped at once, so that one trim stays short.
const RUN_MAX: i64 = 256;

impl Outbox {
    /// Brings the outbox within its quota: drops receipted payloads itself, and names the next run of unsent samples
    /// that must go. Call again after the loss was recorded, until it names none.
    ///
    /// # Errors
    /// When the file fails.
    pub fn trim(&mut self, chains: &[ChainState], now_ms: i64) -> Result<Option<LossSpec>, OutboxError> {
        let oldest = now_ms.saturating_sub(self.quota.age_ms);
        while self.drop_receipted(chains, oldest)? {}
        let full = self.over_quota();
        let reason = if full { LossReason::Quota } else { LossReason::Age };
        for chain in chains {
            let spec = self.run_of_samples(chain, (!full).then_some(oldest), reason)?;
            if spec.is_some() {
                return Ok(spec);
            }
        }
        Ok(None)
    }

    /// Drops a run of receipted payloads, oldest first; whether there may be more to drop.
    fn drop_receipted(&mut self, chains: &[ChainState], oldest_ms: i64) -> Result<bool, OutboxError> {
        let over = self.payload_bytes.saturating_sub(self.quota.bytes);
        let mut gone: Vec<i64> = Vec::new();
        let mut freed = 0_u64;
        let mut numbers: Vec<(ChainNo, ChainId)> = self.numbers.iter().map(|(chain_id, no)| (*no, *chain_id)).collect();
        numbers.sort_unstable();
        for (no, chain_id) in numbers {
            // A chain that is no longer carried is wholly receipted.
            let carried = chains.iter().find(|chain| chain.chain_id == chain_id);
            // How a chain ended stays: it is what a collector that went back is told first ([`Outbox::before`]).
            let end = carried.map_or(rows::last(&self.db, no)?.map_or(id_of(no, 0), |head| head.id), |chain| id_of(no, chain.unsent_from));
            let mut statement = self
                .db
                .prepare_cached("SELECT id, LENGTH(payload), taken_at_ms FROM entry WHERE id >= ? AND id < ? AND payload IS NOT NULL ORDER BY id LIMIT ?")?;
            let mut rows = statement.query([id_of(no, 0), end, RUN_MAX])?;
            while let Some(row) = rows.next()? {
                if freed >= over && row.get::<_, i64>(2)? >= oldest_ms {
                    break;
                }
                freed = freed.saturating_add(u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0));
                gone.push(row.get(0)?);
            }
            if !gone.is_empty() {
                break;
            }
        }
        if gone.is_empty() {
            return Ok(false);
        }
        let transaction = self.db.transaction()?;
        for id in &gone {
            transaction.prepare_cached("UPDATE entry SET payload = NULL WHERE id = ?")?.execute([id])?;
        }
        transaction.commit()?;
        self.payload_bytes = self.payload_bytes.saturating_sub(freed);
        Ok(true)
    }

    /// The oldest run of unsent samples of a chain, grown by what is already lost on either side of it.
    fn run_of_samples(&self, chain: &ChainState, older_than_ms: Option<i64>, reason: LossReason) -> Result<Option<LossSpec>, OutboxError> {
        let no = self.number(chain.chain_id)?;
        let mut run: Option<(u64, u64)> = None;
        // Some slack beyond what is over, so that a full outbox is not trimmed at every commit.
        let enough = older_than_ms.map_or_else(|| self.payload_bytes.saturating_sub(self.quota.bytes) + self.quota.bytes / 64, |_| u64::MAX);
        let mut freed = 0_u64;
        {
            let mut statement = self.db.prepare_cached(&format!(
                "SELECT {}, LENGTH(payload) FROM entry WHERE id >= ? AND id < ? AND payload IS NOT NULL AND class = ? AND taken_at_ms < ? ORDER BY id LIMIT ?",
                Head::COLUMNS
            ))?;
            let before = older_than_ms.unwrap_or(i64::MAX);
            // The newest entry stays: it is what is happening now.
            let end = id_of(no, chain.tip.next_seq.saturating_sub(1));
            let mut rows = statement.query(params![id_of(no, chain.unsent_from), end, class_no(Class::Sample), before, RUN_MAX])?;
            while let Some(row) = rows.next()? {
                let Some(head) = Head::read(row) else { continue };
                let seq = seq_of(head.id);
                match &mut run {
                    None => run = Some((seq, seq)),
                    Some((_, last)) if *last + 1 == seq => *last = seq,
                    Some(_) => break,
                }
                freed += row.get::<_, i64>(9)?.unsigned_abs();
                if freed >= enough {
                    break;
                }
            }
        }
        let Some((first, last)) = run else { return Ok(None) };
        self.loss_over(chain.chain_id, first, last, chain.unsent_from, reason).map(Some)
    }

    /// Describes the loss of `first..=last` and of what is already lost beside it, not reaching before `not_before`.
    fn loss_over(&self, chain_id: ChainId, first: u64, last: u64, not_before: u64, reason: LossReason) -> Result<LossSpec, OutboxError> {
        let no = self.number(chain_id)?;
        let (mut first_id, mut last_id) = (id_of(no, first), id_of(no, last));
        let neighbours = "SELECT first_id, last_id FROM loss WHERE (last_id = ?1 - 1 AND first_id >= ?3) OR first_id = ?2 + 1";
        let mut statement = self.db.prepare_cached(neighbours)?;
        let mut rows = statement.query([first_id, last_id, id_of(no, not_before)])?;
        while let Some(row) = rows.next()? {
            first_id = first_id.min(row.get(0)?);
            last_id = last_id.max(row.get(1)?);
        }
        rows::describe(&self.db, no, chain_id, (seq_of(first_id), seq_of(last_id)), reason)
    }

    /// What is unsent in these chains and may no longer leave, as one loss for each chain that has any.
    ///
    /// # Errors
    /// When the file fails.
    pub fn unsent(&self, chains: &[ChainState]) -> Result<Vec<LossSpec>, OutboxError> {
        let mut specs = Vec::new();
        for chain in chains {
            // That the key was handed over says nothing about the machine, and without it nothing more could be believed.
            let end = chain.tip.next_seq.saturating_sub(u64::from(chain.successor.is_some()));
            if chain.unsent_from < end {
                specs.push(self.loss_over(chain.chain_id, chain.unsent_from, end - 1, chain.unsent_from, LossReason::Withdrawn)?);
            }
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
            "INSERT INTO loss (first_id, last_id, key_id, signature, hash, sum, payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                first,
                last,
                record.key_id.0,
                record.signature,
                record.hash.0,
                rows::loss_sum(first, last, record.key_id, &record.signature, record.hash),
                payload
            ],
        )?;
        transaction.commit()?;
        self.payload_bytes = self.payload_bytes.saturating_sub(u64::try_from(freed).unwrap_or(0));
        Ok(())
    }
}
