//! Opening what is there, in whatever state it is.

use super::rows::{self, sum, tip_of};
use super::tip::TipFile;
use super::{CHAINS_MAX, ChainNo, FILE, Noticed, Outbox, OutboxError, Quota, chain_sum, heads, id_of, read_numbers, schema, seq_of};
use crate::core::{ChainState, Restored};
use crate::diagnosis::Diagnosis;
use mimamori_shared::chain::Tip;
use mimamori_shared::id::{BootId, ChainId, Hash, KeyId, Lease};
use mimamori_shared::payload::Place;
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// What a good file holds, with the numbers of its chains.
struct Loaded {
    db: Connection,
    bytes: u64,
    numbers: BTreeMap<ChainId, ChainNo>,
    restored: Restored,
    noticed: Vec<Noticed>,
}

impl Outbox {
    /// Opens or makes the outbox in `dir`; `now_ms` names a file that is set aside.
    ///
    /// # Errors
    /// Only when the folder itself cannot be used: no rights, no space, another program's lock. Whatever the files in
    /// it say is no error.
    pub fn open(dir: &Path, quota: Quota, now_ms: i64) -> Result<(Outbox, Restored, Vec<Noticed>), OutboxError> {
        let tip = TipFile::open(&dir.join("tip"))?;
        let path = dir.join(FILE);
        let mut aside = None;
        let loaded = match load(&path, &tip) {
            Err(fault) if fault.is_damage() => {
                aside = Some(set_aside(&path, now_ms)?);
                load(&path, &tip)?
            }
            loaded => loaded?,
        };
        let Loaded { db, bytes, numbers, mut restored, mut noticed } = loaded;
        if let Some(path) = aside {
            restored.lost = Some(tip.newest());
            noticed.push(Noticed::SetAside(path));
        }
        let (searched, receipts) = (BTreeMap::new(), BTreeMap::new());
        let outbox = Outbox { db, tip, dir: dir.to_owned(), quota, closed: false, bytes, full: false, searched, unbridged: BTreeSet::new(), numbers, receipts };
        Ok((outbox, restored, noticed))
    }

    /// Mends what an operation stumbled over while running. `None` when trying again later is right; otherwise the file
    /// was opened anew, or, when it is itself at fault ([`OutboxError::is_damage`]), set aside and a new one begun. Then an
    /// agent must go on from what is restored, as after a start.
    ///
    /// # Errors
    /// As [`Outbox::open`]; then every operation fails until healing, tried again, works.
    pub fn heal(&mut self, fault: &OutboxError, now_ms: i64) -> Result<Option<(Restored, Vec<Noticed>)>, OutboxError> {
        let mut aside = None;
        if !self.closed {
            if !fault.is_damage() && !fault.wants_opening() {
                return Ok(None);
            }
            // Closed before anything is moved: SQLite names its log by path, and would take away the new file's.
            drop(std::mem::replace(&mut self.db, Connection::open_in_memory()?));
            self.closed = true;
            if fault.is_damage() {
                aside = Some(set_aside(&self.dir.join(FILE), now_ms)?);
            }
        }
        let (fresh, mut restored, mut noticed) = Outbox::open(&self.dir, self.quota, now_ms)?;
        // What a log holds whose sync failed is perhaps in memory only: from here it goes to the file, which is synced.
        fresh.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let receipts = std::mem::take(&mut self.receipts);
        *self = Outbox { receipts, ..fresh };
        if let Some(aside) = aside {
            noticed.push(Noticed::SetAside(aside));
            restored.lost = Some(self.tip.newest());
        }
        Ok(Some((restored, noticed)))
    }

    /// What an agent would go on from, read beside a running one; nothing is changed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn peek(dir: &Path) -> Result<Restored, OutboxError> {
        let Some(db) = schema::open_read_only(&dir.join(FILE))? else { return Ok(Restored::default()) };
        let (chains, _) = load_chains(&db)?;
        restore(&db, chains)
    }
}

fn load(path: &Path, tip: &TipFile) -> Result<Loaded, OutboxError> {
    let mut db = schema::open(path)?;
    schema::check(&db, path)?;
    sweep(&mut db)?;
    let (mut chains, numbers) = load_chains(&db)?;
    let mut noticed = Vec::new();
    let mut lost = None;
    match tip.newest() {
        Some(place) => match chains.iter_mut().find(|chain| chain.chain_id == place.chain_id) {
            Some(chain) => mend_tail(&db, *numbers.get(&place.chain_id).ok_or(OutboxError::Damaged)?, place, chain, &mut noticed)?,
            None => lost = Some(Some(place)),
        },
        None if chains.is_empty() && tip.was_written() => lost = Some(None),
        None => {}
    }
    let bytes = heads::used(&db, i64::MIN, i64::MAX)?;
    let restored = Restored { lost, ..restore(&db, chains)? };
    Ok(Loaded { db, bytes, numbers, restored, noticed })
}

/// Entries that the tip file knows and the database does not: their hash is known, so the chain goes on behind them.
/// The row made here stands for all that is missing; a batch that reaches it asks for the loss record.
fn mend_tail(db: &Connection, no: ChainNo, place: Place, chain: &mut ChainState, noticed: &mut Vec<Noticed>) -> Result<(), OutboxError> {
    let Tip { next_seq, head } = chain.tip;
    if place.seq < next_seq {
        return Ok(());
    }
    noticed.push(Noticed::TailLost { entries: place.seq - next_seq + 1 });
    let (first_id, last_id) = (id_of(no, next_seq), id_of(no, place.seq));
    db.execute(
        "INSERT INTO gap (first_id, last_id, prev_hash, last_hash, sum) VALUES (?, ?, ?, ?, ?)",
        params![first_id, last_id, head.0, place.hash.0, gap_sum(first_id, last_id, head, place.hash)],
    )?;
    chain.tip = Tip { next_seq: place.seq + 1, head: place.hash };
    Ok(())
}

fn gap_sum(first_id: i64, last_id: i64, prev_hash: Hash, last_hash: Hash) -> [u8; 16] {
    sum(&[&first_id.to_le_bytes(), &last_id.to_le_bytes(), &prev_hash.0, &last_hash.0])
}

/// Takes away what would stand in the way of rows to come: rows behind the end of a chain, whose own place cannot be
/// believed, and loss records that cannot be read, which are made again when they are wanted. The small tables must
/// be whole.
fn sweep(db: &mut Connection) -> Result<(), OutboxError> {
    let transaction = db.transaction()?;
    let gaps = transaction
        .prepare("SELECT first_id, last_id, prev_hash, last_hash, sum FROM gap")?
        .query_map([], |row| {
            let sum = gap_sum(row.get(0)?, row.get(1)?, Hash(row.get(2)?), Hash(row.get(3)?));
            Ok(row.get::<_, [u8; 16]>(4)? == sum)
        })?
        .collect::<Result<Vec<bool>, _>>()?;
    if gaps.contains(&false) {
        return Err(OutboxError::Damaged);
    }
    let (_, numbers) = load_chains(&transaction)?;
    let mut ends = vec![];
    for no in numbers.values() {
        ends.push((id_of(*no, tip_of(&transaction, *no)?.next_seq), id_of(no + 1, 0)));
    }
    ends.push((i64::MIN, id_of(1, 0)));
    ends.push((id_of(numbers.values().max().map_or(1, |no| no + 1), 0), i64::MAX));
    for (from, to) in ends {
        let stray: bool = transaction.query_row("SELECT EXISTS (SELECT 1 FROM entry WHERE id >= ? AND id < ?)", [from, to], |row| row.get(0))?;
        if stray {
            transaction.execute("DELETE FROM entry WHERE id >= ? AND id < ?", [from, to])?;
        }
    }
    let losses = transaction
        .prepare("SELECT first_id, last_id, key_id, signature, hash, sum FROM loss")?
        .query_map([], |row| {
            let sum = rows::loss_sum(row.get(0)?, row.get(1)?, KeyId(row.get(2)?), &row.get(3)?, Hash(row.get(4)?));
            Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 16]>(5)? == sum))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (first_id, _) in losses.into_iter().filter(|(_, whole)| !whole) {
        transaction.execute("DELETE FROM loss WHERE first_id = ?", [first_id])?;
    }
    transaction.commit()?;
    Ok(())
}

/// A chain as its rows tell it.
pub(super) fn chain_state(db: &Connection, no: ChainNo, chain_id: ChainId, unsent_from: u64, lease: Lease) -> Result<ChainState, OutboxError> {
    let tip = tip_of(db, no)?;
    let last = rows::last(db, no)?;
    let successor = match &last {
        Some(head) if seq_of(head.id).saturating_add(1) == tip.next_seq => rows::successor(db, head)?,
        Some(_) | None => None,
    };
    let key_id = last.map(|head| head.key_id);
    Ok(ChainState { chain_id, tip, unsent_from: unsent_from.min(tip.next_seq), lease, blocked: false, key_id, successor })
}

type Chains = (Vec<ChainState>, BTreeMap<ChainId, ChainNo>);

fn load_chains(db: &Connection) -> Result<Chains, OutboxError> {
    let mut chains = Vec::new();
    let mut numbers = BTreeMap::new();
    let mut statement = db.prepare("SELECT no, chain_id, unsent_from, lease, sum FROM chain ORDER BY no")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let no: ChainNo = row.get(0)?;
        let (chain_id, unsent_from, lease) = (ChainId(row.get(1)?), row.get::<_, i64>(2)?, Lease(row.get(3)?));
        if row.get::<_, [u8; 16]>(4)? != chain_sum(no, chain_id, unsent_from, lease) || !(1..=CHAINS_MAX).contains(&no) {
            return Err(OutboxError::Damaged);
        }
        numbers.insert(chain_id, no);
        chains.push(chain_state(db, no, chain_id, u64::try_from(unsent_from).unwrap_or(0), lease)?);
    }
    Ok((chains, numbers))
}

fn restore(db: &Connection, mut chains: Vec<ChainState>) -> Result<Restored, OutboxError> {
    let newest = chains.last().map(|chain| chain.chain_id);
    chains.retain(|chain| chain.unsent_from < chain.tip.next_seq || Some(chain.chain_id) == newest);
    let mut state = BTreeMap::new();
    let mut statement = db.prepare("SELECT key, value, sum FROM state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (key, value): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if row.get::<_, [u8; 16]>(2)? != sum(&[key.as_bytes(), &value]) {
            return Err(OutboxError::Damaged);
        }
        state.insert(key, value);
    }
    let hash = |key: &str| state.get(key).and_then(|bytes| bytes.as_slice().try_into().ok()).map(Hash);
    Ok(Restored {
        chains,
        stated_consent: hash("consent"),
        stated_plan: hash("plan"),
        diagnosis: state.get("diagnosis").map(|kept| Diagnosis::read(kept)).unwrap_or_default(),
        last_boot: state.get("boot").and_then(|bytes| bytes.as_slice().try_into().ok()).map(BootId),
        push_fail_ms: state.get("push_fail_ms").map(|bytes| read_numbers(bytes)).unwrap_or_default(),
        lost: None,
    })
}

fn set_aside(path: &Path, now_ms: i64) -> io::Result<PathBuf> {
    let mut aside = path.with_file_name(format!("{FILE}.broken-{now_ms}"));
    let mut number = 1;
    while aside.try_exists()? {
        number += 1;
        aside = path.with_file_name(format!("{FILE}.broken-{now_ms}-{number}"));
    }
    // The log first: if only that was moved when the power went, the file without it is looked at anew.
    for suffix in ["-wal", "-shm", ""] {
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
    // The newest two are enough to find out what the disk does.
    forget_set_aside(path, 2)?;
    Ok(aside)
}

/// Removes files that were set aside, all but the newest `keep`.
pub(super) fn forget_set_aside(path: &Path, keep: usize) -> io::Result<()> {
    let prefix = format!("{FILE}.broken-");
    let Some(folder) = path.parent() else { return Ok(()) };
    let mut found: Vec<((i64, i64), PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(rest) = name.strip_prefix(&prefix) {
            let mut numbers = rest.trim_end_matches("-wal").trim_end_matches("-shm").split('-').map(|part| part.parse().unwrap_or(0));
            found.push(((numbers.next().unwrap_or(0), numbers.next().unwrap_or(1)), entry.path()));
        }
    }
    let mut moments: Vec<(i64, i64)> = found.iter().map(|(moment, _)| *moment).collect();
    moments.sort_unstable();
    moments.dedup();
    let kept: Vec<(i64, i64)> = moments.into_iter().rev().take(keep).collect();
    for (_, path) in found.iter().filter(|(moment, _)| !kept.contains(moment)) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}
