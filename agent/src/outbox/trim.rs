//! What is dropped when the outbox grows too large or too old: first payloads that are receipted, which costs
//! nothing but the ledger's memory; then unsent samples, then unsent reports of states that did not change, each run
//! recorded as a loss. Changes and statements stay. Of whatever goes, hash and class stay (`heads.rs`).

use super::rows::{self, Head, class_no};
use super::{ChainNo, Outbox, OutboxError, heads, id_of, seq_of};
use crate::core::{ChainState, LossSpec, Record};
use mimamori_shared::id::ChainId;
use mimamori_shared::payload::{Class, LossReason};
use rusqlite::params;

/// Entries dropped at once, so that one trim stays short.
const RUN_MAX: i64 = 256;

impl Outbox {
    /// Brings the outbox within its quota: drops receipted payloads itself, and names the next run of unsent entries
    /// that must go. Call again after the loss was recorded, until it names none. If the outbox is over its quota even
    /// then, only changes and statements are created from now on ([`OutboxError::Full`]), until there is room again.
    ///
    /// # Errors
    /// When the file fails.
    pub fn trim(&mut self, chains: &[ChainState], now_ms: i64) -> Result<Option<LossSpec>, OutboxError> {
        let oldest = now_ms.saturating_sub(self.quota.age_ms);
        while self.drop_receipted(chains, oldest)? {}
        let over = self.over_quota();
        // By age both kinds go together; for room the raw measures go first.
        let classes: &[Class] = if over { &[Class::Sample, Class::Unchanged] } else { &[Class::Unchanged] };
        for class in classes {
            for chain in chains {
                // A chain that goes no further, and of which a loss was named in vain: its key is gone.
                if chain.blocked && self.unbridged.contains(&chain.chain_id) {
                    continue;
                }
                let spec = if over { self.run_for_room(chain, *class)? } else { self.run_by_age(chain, *class, oldest)? };
                if spec.is_some() {
                    if chain.blocked {
                        self.unbridged.insert(chain.chain_id);
                    }
                    return Ok(spec);
                }
            }
        }
        self.full = over;
        Ok(None)
    }

    /// Drops a run of receipted payloads, oldest first; whether there may be more to drop.
    fn drop_receipted(&mut self, chains: &[ChainState], oldest_ms: i64) -> Result<bool, OutboxError> {
        let enough = self.too_much();
        let mut numbers: Vec<(ChainNo, ChainId)> = self.numbers.iter().map(|(chain_id, no)| (*no, *chain_id)).collect();
        numbers.sort_unstable();
        for (no, chain_id) in numbers {
            // A chain that is no longer carried is wholly receipted.
            let carried = chains.iter().find(|chain| chain.chain_id == chain_id);
            // How a chain ended stays: it is what a collector that went back is told first ([`Outbox::before`]).
            let end = carried.map_or(rows::last(&self.db, no)?.map_or(id_of(no, 0), |head| head.id), |chain| {
                id_of(no, chain.unsent_from.min(chain.tip.next_seq.saturating_sub(1)))
            });
            if let Some((first, last)) = self.oldest_run(id_of(no, 0), end, enough, oldest_ms)? {
                let transaction = self.db.transaction()?;
                let before = heads::used(&transaction, first, last)?;
                heads::pack(&transaction, no, first, last)?;
                heads::drop_losses(&transaction, no, last)?;
                let after = heads::used(&transaction, first, last)?;
                transaction.commit()?;
                self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The oldest entries of a range that together free enough or are too old.
    fn oldest_run(&self, from: i64, end: i64, enough: u64, oldest_ms: i64) -> Result<Option<(i64, i64)>, OutboxError> {
        let mut run: Option<(i64, i64)> = None;
        let mut freed = 0_u64;
        let mut statement = self.db.prepare_cached("SELECT id, LENGTH(payload), taken_at_ms FROM entry WHERE id >= ? AND id < ? ORDER BY id LIMIT ?")?;
        let mut rows = statement.query([from, end, RUN_MAX])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if freed >= enough && row.get::<_, i64>(2)? >= oldest_ms {
                break;
            }
            freed = freed.saturating_add(rows::room_of(row, 1)?);
            run = Some((run.map_or(id, |(first, _)| first), id));
        }
        Ok(run)
    }

    /// Bytes to free: some slack beyond what is over, so that a full outbox is not trimmed at every commit.
    fn too_much(&self) -> u64 {
        if self.over_quota() { self.bytes.saturating_sub(self.quota.bytes).saturating_add(self.quota.bytes / 64) } else { 0 }
    }

    /// The oldest run of unsent entries of a class and below that are too old.
    fn run_by_age(&self, chain: &ChainState, class: Class, oldest_ms: i64) -> Result<Option<LossSpec>, OutboxError> {
        let no = self.number(chain.chain_id)?;
        let run = self.run(id_of(no, chain.unsent_from), chain, class, oldest_ms, u64::MAX)?;
        run.map(|run| self.loss_over(chain.chain_id, run, chain.unsent_from, LossReason::Age)).transpose()
    }

    /// The oldest run of unsent entries of a class and below, as many as are too much.
    fn run_for_room(&mut self, chain: &ChainState, class: Class) -> Result<Option<LossSpec>, OutboxError> {
        let no = self.number(chain.chain_id)?;
        // Where nothing was found before, nothing is now: an outbox full of changes is not read through at every commit.
        let searched = (no, class_no(class));
        let from = id_of(no, chain.unsent_from).max(self.searched.get(&searched).copied().unwrap_or(i64::MIN));
        let run = self.run(from, chain, class, i64::MAX, self.too_much())?;
        let to = run.map_or(id_of(no, chain.tip.next_seq.saturating_sub(1)), |(first, _)| id_of(no, first));
        self.searched.insert(searched, to.max(from));
        run.map(|run| self.loss_over(chain.chain_id, run, chain.unsent_from, LossReason::Quota)).transpose()
    }

    fn run(&self, from: i64, chain: &ChainState, class: Class, before_ms: i64, enough: u64) -> Result<Option<(u64, u64)>, OutboxError> {
        let no = self.number(chain.chain_id)?;
        let mut run: Option<(u64, u64)> = None;
        let mut freed = 0_u64;
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT {}, LENGTH(payload) FROM entry WHERE id >= ? AND id < ? AND class <= ? AND taken_at_ms < ? ORDER BY id LIMIT ?",
            Head::COLUMNS
        ))?;
        // The newest entry stays: it is what is happening now.
        let end = id_of(no, chain.tip.next_seq.saturating_sub(1));
        let mut rows = statement.query(params![from, end, class_no(class), before_ms, RUN_MAX])?;
        while let Some(row) = rows.next()? {
            let Some(head) = Head::read(row) else { continue };
            let seq = seq_of(head.id);
            match &mut run {
                None => run = Some((seq, seq)),
                Some((_, last)) if *last + 1 == seq => *last = seq,
                Some(_) => break,
            }
            freed = freed.saturating_add(rows::room_of(row, 8)?);
            if freed >= enough {
                break;
            }
        }
        Ok(run)
    }

    /// Describes the loss of a run of places and of what is already lost beside it, not reaching before `not_before`.
    fn loss_over(&self, chain_id: ChainId, run: (u64, u64), not_before: u64, reason: LossReason) -> Result<LossSpec, OutboxError> {
        let no = self.number(chain_id)?;
        let (mut first_id, mut last_id) = (id_of(no, run.0), id_of(no, run.1));
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
                specs.push(self.loss_over(chain.chain_id, (chain.unsent_from, end - 1), chain.unsent_from, LossReason::Withdrawn)?);
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
        let transaction = self.db.transaction()?;
        let before = heads::used(&transaction, first, last)?;
        transaction.execute("DELETE FROM loss WHERE first_id <= ? AND last_id >= ?", [last, first])?;
        heads::pack(&transaction, no, first, last)?;
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
        let after = heads::used(&transaction, first, last)?;
        transaction.commit()?;
        self.unbridged.remove(&record.chain_id);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
        Ok(())
    }
}
