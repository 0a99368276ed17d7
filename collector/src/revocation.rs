//! The revocations outside the database: a small signed file that no backup of the database brings back.
//!
//! ```text
//! mimamori-revocation 1
//! epoch 7
//! key 00112233445566778899aabbccddeeff
//! mac …
//! ```
//! `epoch` counts decisions and only grows; the keys are all that were ever revoked. The last line is HMAC-SHA-256 by
//! `lease.secret` over what stands before it (a lease is an HMAC over 24 bytes; no such text is that short). The order
//! is: the database's commit, then this file, then the command returns. A database behind the file went back.

use crate::config::Config;
use crate::keys::{Keys, write};
use crate::store::{Actor, Revocations, Scope, Store, StoreError};
use mimamori_shared::error::chain;
use mimamori_shared::id::{Hash, KeyId};
use mimamori_shared::sign::hmac;
use rustix::fs::{FlockOperation, flock};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const HEADER: &str = "mimamori-revocation 1\n";
/// Largest file that is read: a million keys.
const BYTES_MAX: u64 = 64 << 20;

/// Why the collector does not start, or does not decide.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The database forgot decisions.
    #[error(
        "the database went back: it knows {database} revocation decisions, {path} knows {file}. Restore a newer database; or run `mimamori-collector serve --accept-rollback`, which revokes again what the file names before anything is taken"
    )]
    WentBack {
        /// The file.
        path: PathBuf,
        /// Its count.
        file: u64,
        /// The database's.
        database: u64,
    },
    /// There is no file although there were decisions.
    #[error(
        "{path} is missing although keys were revoked, so nobody can tell whether the database went back. Restore the file; or compare `mimamori-collector machine list` with what you know to be revoked and run `mimamori-collector serve --accept-rollback`, which writes it anew"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what this collector wrote.
    #[error(
        "{path} is damaged, forged or of another collector ({what}). Restore it; or compare `mimamori-collector machine list` with what you know to be revoked and run `mimamori-collector serve --accept-rollback`, which writes it anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The file failed.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the file is.
#[must_use]
pub fn path(config: &Config) -> PathBuf {
    config.values().path_opt("revocation_file").map_or_else(|| config.state_dir().join("revocation"), Path::to_owned)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RevocationError + '_ {
    move |source| RevocationError::Io { path: path.to_owned(), source }
}

fn text(known: &Revocations, secret: &[u8]) -> String {
    let keys: String = known.keys.iter().map(|key| format!("key {key}\n")).collect();
    let body = format!("{HEADER}epoch {}\n{keys}", known.epoch);
    let mac = hmac(secret, body.as_bytes());
    format!("{body}mac {mac}\n")
}

fn parse(text: &str, secret: &[u8]) -> Result<Revocations, &'static str> {
    let (body, mac) = text.strip_suffix('\n').and_then(|text| text.rsplit_once("mac ")).ok_or("no mac line")?;
    let mac: Hash = mac.parse().map_err(|_| "no mac line")?;
    // Whoever can ask here often enough to measure time has the file, and the secret beside it.
    if hmac(secret, body.as_bytes()) != mac {
        return Err("the mac does not hold");
    }
    let mut lines = body.strip_prefix(HEADER).ok_or("no such header")?.lines();
    let epoch = lines.next().and_then(|line| line.strip_prefix("epoch ")?.parse().ok()).ok_or("no epoch")?;
    let keys = lines.map(|line| line.strip_prefix("key ")?.parse::<KeyId>().ok()).collect::<Option<_>>().ok_or("a line is no key")?;
    Ok(Revocations { epoch, keys })
}

fn read(path: &Path, secret: &[u8]) -> Result<Option<Revocations>, RevocationError> {
    let length = match fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(io_error(path)(fault)),
    };
    let damaged = |what| RevocationError::Damaged { path: path.to_owned(), what };
    if length > BYTES_MAX {
        return Err(damaged("it is too large"));
    }
    let bytes = fs::read(path).map_err(io_error(path))?;
    let text = String::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
    parse(&text, secret).map(Some).map_err(damaged)
}

/// Makes what the database knows durable in the file. Several commands may do so at once: each writes, under a lock,
/// what is committed by then, so the file never goes back.
///
/// # Errors
/// When the file cannot be written: then the decision holds in this database, and not against an older copy of it.
pub async fn keep(path: &Path, keys: &Keys, store: &Store) -> Result<(), RevocationError> {
    let lock = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path.with_extension("lock")).map_err(io_error(path))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|fault| io_error(path)(fault.into()))?;
    let known = store.revocations(&Scope::All).await?;
    write(path, text(&known, keys.lease_secret.as_slice()).as_bytes()).map_err(|fault| io_error(path)(io::Error::other(chain(&fault))))
}

/// Holds database and file against each other. A file that is behind is brought forward: the program ended between
/// the two. With `accept` what the file names is revoked again, and a file that cannot be used is written anew.
///
/// # Errors
/// [`RevocationError`] names the mend. Nothing may be taken then.
pub async fn check(path: &Path, keys: &Keys, store: &Store, accept: Option<&Actor>, now_ms: i64) -> Result<(), RevocationError> {
    let database = store.revocations(&Scope::All).await?;
    let file = match (read(path, keys.lease_secret.as_slice()), accept) {
        (Ok(file), _) => file,
        (Err(RevocationError::Damaged { .. }), Some(_)) => None,
        (Err(fault), _) => return Err(fault),
    };
    match (file, accept) {
        (Some(file), Some(actor)) if file.epoch > database.epoch => store.reapply_revocations(actor, file, now_ms).await?,
        (Some(file), None) if file.epoch > database.epoch => {
            return Err(RevocationError::WentBack { path: path.to_owned(), file: file.epoch, database: database.epoch });
        }
        (Some(file), _) if file == database => return Ok(()),
        (None, None) if database.epoch > 0 => return Err(RevocationError::Missing { path: path.to_owned() }),
        (Some(_) | None, _) => {}
    }
    keep(path, keys, store).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Revocations {
        Revocations { epoch: 7, keys: vec![KeyId([1; 16]), KeyId([2; 16])] }
    }

    #[test]
    fn the_file_is_read_back_under_its_own_secret_only() {
        let text = text(&known(), b"secret");
        assert_eq!(parse(&text, b"secret"), Ok(known()));
        assert_eq!(parse(&text, b"secreT"), Err("the mac does not hold"));
        let none = Revocations::default();
        assert_eq!(parse(&super::text(&none, b"s"), b"s"), Ok(none));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = text(&known(), b"secret").into_bytes();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(String::from_utf8(bad).map_or(true, |text| parse(&text, b"secret").is_err()), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(parse(std::str::from_utf8(&good[..length]).unwrap(), b"secret").is_err(), "cut at {length}");
        }
    }
}
