//! The file's tables.

use super::OutboxError;
use rusqlite::{Connection, OpenFlags};
use std::io;
use std::path::Path;
use std::time::Duration;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS chain (
    no INTEGER PRIMARY KEY,
    chain_id BLOB NOT NULL,
    unsent_from INTEGER NOT NULL,
    lease BLOB NOT NULL,
    sum BLOB NOT NULL,
    receipt BLOB,
    certificate BLOB
);
-- Every row has a sum of what stands in it; a payload has its hash.
-- id = chain number << 40 | seq.
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    class INTEGER NOT NULL,
    taken_at_ms INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    signature BLOB NOT NULL,
    hash BLOB NOT NULL,
    sum BLOB NOT NULL,
    payload BLOB NOT NULL
);
-- Neighbouring entries whose payloads are gone: 32 bytes of hash and one of class a place.
CREATE TABLE IF NOT EXISTS heads (
    first_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    prev_hash BLOB NOT NULL,
    key_id BLOB NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    classes BLOB NOT NULL,
    sum BLOB NOT NULL
);
-- Loss records, in the place of what they bridge.
CREATE TABLE IF NOT EXISTS loss (
    first_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    signature BLOB NOT NULL,
    hash BLOB NOT NULL,
    sum BLOB NOT NULL,
    payload BLOB NOT NULL
);
-- Entries of which nothing else is left, only the hash of the last.
CREATE TABLE IF NOT EXISTS gap (
    first_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    prev_hash BLOB NOT NULL,
    last_hash BLOB NOT NULL,
    sum BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value BLOB NOT NULL, sum BLOB NOT NULL) WITHOUT ROWID;
";

/// The only version of the file so far.
const VERSION: i64 = 1;
/// A larger file is not looked through at the start (77 MB take 60 ms from memory, 260 ms from disk): a start is to
/// take less than two seconds. Its damage is met when it is read.
const CHECKED_BYTES_MAX: u64 = 256 << 20;

pub(super) fn open(path: &Path) -> Result<Connection, OutboxError> {
    let db = Connection::open(path)?;
    // SQLite would go on with a file that cannot be written, and say so at the first commit only.
    if db.is_readonly("main")? {
        return Err(OutboxError::Io(io::ErrorKind::ReadOnlyFilesystem.into()));
    }
    db.busy_timeout(Duration::from_secs(5))?;
    // What is wiped is overwritten: a consent that is withdrawn leaves nothing behind.
    db.pragma_update(None, "secure_delete", "ON")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // Small on purpose: the working set is the last page, and memory beside a CT scanner is not ours.
    db.pragma_update(None, "cache_size", -128)?;
    db.pragma_update(None, "wal_autocheckpoint", 256)?;
    db.pragma_update(None, "journal_size_limit", 1_048_576)?;
    // A file that is as it should be is not written to: it must open on a full disk too.
    if tables(&db)?.is_empty() {
        db.execute_batch(&format!("BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"))?;
    }
    Ok(db)
}

/// The tables of a file, as they were made.
fn tables(db: &Connection) -> Result<Vec<(String, Option<String>)>, rusqlite::Error> {
    db.prepare("SELECT name, sql FROM sqlite_master ORDER BY name")?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// For commands that only read, beside a running agent. `None` when there is no file yet, or an agent that starts for the
/// first time is just making it: its tables are made in one step, so there are all of them or none.
pub(super) fn open_read_only(path: &Path) -> Result<Option<Connection>, OutboxError> {
    if !path.try_exists()? {
        return Ok(None);
    }
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(Duration::from_secs(5))?;
    match tables(&db).map_err(OutboxError::from) {
        Ok(found) if found.is_empty() => Ok(None),
        Ok(found) if found == wanted()? => Ok(Some(db)),
        Ok(_) => Err(OutboxError::Damaged),
        Err(fault) if fault.is_damage() => Err(OutboxError::Damaged),
        Err(fault) => Err(fault),
    }
}

/// The tables as they are to be.
fn wanted() -> Result<Vec<(String, Option<String>)>, rusqlite::Error> {
    let good = Connection::open_in_memory()?;
    good.execute_batch(SCHEMA)?;
    tables(&good)
}

/// Whether the file is whole enough to be used.
pub(super) fn check(db: &Connection, path: &Path) -> Result<(), OutboxError> {
    if tables(db)? != wanted()? {
        return Err(OutboxError::Damaged);
    }
    if std::fs::metadata(path)?.len() > CHECKED_BYTES_MAX {
        return Ok(());
    }
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(OutboxError::Damaged) }
}
