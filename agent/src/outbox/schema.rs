//! The file's tables.

use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS chain (
    no INTEGER PRIMARY KEY,
    chain_id BLOB NOT NULL UNIQUE,
    unsent_from INTEGER NOT NULL,
    lease BLOB NOT NULL,
    receipt BLOB,
    certificate BLOB
);
-- id = chain number << 40 | seq; a payload that is gone leaves its hash.
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    class INTEGER NOT NULL,
    taken_at_ms INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    signature BLOB NOT NULL,
    hash BLOB NOT NULL,
    payload BLOB
);
-- Loss records, in the place of what they bridge.
CREATE TABLE IF NOT EXISTS loss (
    first_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    signature BLOB NOT NULL,
    hash BLOB NOT NULL,
    payload BLOB NOT NULL
);
-- Entries of which not even a row is left, only the hash of the last.
CREATE TABLE IF NOT EXISTS gap (
    first_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    prev_hash BLOB NOT NULL,
    last_hash BLOB NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
";

/// The only version of the file so far.
const VERSION: i64 = 1;

pub(super) fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // Small on purpose: the working set is the last page, and memory beside a CT scanner is not ours.
    db.pragma_update(None, "cache_size", -128)?;
    db.pragma_update(None, "wal_autocheckpoint", 256)?;
    db.pragma_update(None, "journal_size_limit", 1_048_576)?;
    db.execute_batch(SCHEMA)?;
    db.pragma_update(None, "user_version", VERSION)?;
    Ok(db)
}

/// For commands that only read, beside a running agent.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, rusqlite::Error> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(Duration::from_secs(5))?;
    Ok(db)
}

/// Whether the file is whole enough to be used.
pub(super) fn check(db: &Connection) -> Result<(), rusqlite::Error> {
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(verdict)))
    }
}
