//! The agent's keys on disk while one follows another.
//!
//! `identity.key` (0600): the seed of the key that holds, in hex; while a change is under way a second line, `next SEED`
//! before the ledger hands over and `old SEED` until the old key's chain is wholly receipted. `identity.history`: every
//! key there was with the moment from which it held, oldest first; nothing in it is secret. Both are written whole and
//! renamed into place, so that after a power cut there is the old or the new. Which key holds is decided by the newest
//! entry of the ledger, whatever the file says ([`Keyring::open`]).

use crate::core::Restored;
use crate::identity::{IdentityError, io_error, read_key_file, write_durable};
use mimamori_shared::id::{from_hex, to_hex};
use mimamori_shared::sign::{PublicKey, SecretKey};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A wish for a new key: an empty file in the state folder.
const REQUEST: &str = "rotate.request";
/// Keys remembered; one every 90 days for a hundred years.
const HISTORY_MAX: usize = 400;

/// A key there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Its public half.
    pub key: PublicKey,
    /// From when it signed: wall clock, UTC, milliseconds since 1970.
    pub since_ms: i64,
}

/// The keys of one state folder.
#[derive(Debug)]
pub struct Keyring {
    dir: PathBuf,
    /// The key that holds.
    pub key: SecretKey,
    /// Made, and not yet handed over to.
    next: Option<SecretKey>,
    /// Handed over, and still needed to sign losses of its chain.
    pub old: Option<SecretKey>,
    history: Vec<Past>,
}

impl Keyring {
    /// Reads the keys and lets the ledger decide which one holds. `enrolled_at_ms` is when the first key began.
    ///
    /// # Errors
    /// [`IdentityError`] names the file and the mend.
    pub fn open(dir: &Path, enrolled_at_ms: i64, restored: &Restored, now_ms: i64) -> Result<Keyring, IdentityError> {
        let mut keys = Keyring::read(dir, enrolled_at_ms)?;
        let said = restored.chains.last().and_then(|chain| chain.successor.or(chain.key_id));
        let next = keys.next.as_ref().map(|key| key.public().id());
        let old = keys.old.as_ref().map(|key| key.public().id());
        if next.is_some() && said == next {
            // The program ended between the statement and the file.
            keys.changed(now_ms)?;
        } else if old.is_some() && (said == old || (said.is_none() && restored.lost.is_some())) {
            // The statement is gone with the ledger, or the ledger is older than the file, and nobody heard of the new key.
            keys.take_back()?;
        }
        Ok(keys)
    }

    /// Reads the keys as the files have them.
    ///
    /// # Errors
    /// [`IdentityError`] names the file and the mend.
    pub fn read(dir: &Path, enrolled_at_ms: i64) -> Result<Keyring, IdentityError> {
        let path = dir.join("identity.key");
        let damaged = || IdentityError::Damaged { path: path.clone() };
        let text = read_key_file(dir)?.ok_or(IdentityError::NotEnrolled)?;
        let mut lines = text.lines();
        let key = lines.next().and_then(secret).ok_or_else(damaged)?;
        let mut keys = Keyring { dir: dir.to_owned(), history: history(dir)?, key, next: None, old: None };
        for line in lines {
            match line.split_once(' ') {
                Some(("next", seed)) => keys.next = Some(secret(seed).ok_or_else(damaged)?),
                Some(("old", seed)) => keys.old = Some(secret(seed).ok_or_else(damaged)?),
                _ => return Err(damaged()),
            }
        }
        if keys.history.is_empty() {
            keys.history.push(Past { key: keys.key.public(), since_ms: enrolled_at_ms });
        }
        Ok(keys)
    }

    /// Every key there was up to the one that holds, oldest first.
    #[must_use]
    pub fn history(&self) -> &[Past] {
        &self.history
    }

    /// Every key that may sign or be named in the ledger, oldest first: the history, and the one that follows if one is made.
    #[must_use]
    pub fn publics(&self) -> Vec<PublicKey> {
        let mut keys: Vec<PublicKey> = self.history.iter().map(|past| past.key).collect();
        keys.extend(self.next.as_ref().map(SecretKey::public).filter(|next| !keys.contains(next)));
        keys
    }

    /// Since when the present key holds: wall clock, UTC, milliseconds since 1970.
    #[must_use]
    pub fn since_ms(&self) -> i64 {
        self.history.iter().rev().find(|past| past.key == self.key.public()).map_or(0, |past| past.since_ms)
    }

    /// Makes a key durable beside the present one, or finds the one made before.
    ///
    /// # Errors
    /// When it cannot be made durable; then it must not be named.
    pub fn make_next(&mut self, seed: &Zeroizing<[u8; 32]>) -> Result<SecretKey, IdentityError> {
        let next = self.next.get_or_insert_with(|| SecretKey::from_seed(seed)).clone();
        self.save()?;
        Ok(next)
    }

    /// The ledger has handed over to the next key.
    ///
    /// # Errors
    /// When a file cannot be written; the next start finds the same in the ledger.
    pub fn changed(&mut self, since_ms: i64) -> Result<(), IdentityError> {
        let Some(next) = self.next.take() else { return Ok(()) };
        self.old = Some(std::mem::replace(&mut self.key, next));
        self.history.retain(|past| past.key != self.key.public());
        self.history.push(Past { key: self.key.public(), since_ms });
        self.save_history()?;
        self.save()
    }

    fn take_back(&mut self) -> Result<(), IdentityError> {
        let Some(old) = self.old.take() else { return Ok(()) };
        self.next = Some(std::mem::replace(&mut self.key, old));
        self.save()
    }

    /// Removes the old key for good.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_old(&mut self) -> Result<(), IdentityError> {
        self.old = None;
        self.save()
    }

    fn save(&self) -> Result<(), IdentityError> {
        let seed = |key: &SecretKey| Zeroizing::new(to_hex(key.seed().as_slice()));
        let mut text = Zeroizing::new(String::with_capacity(256));
        text.push_str(&seed(&self.key));
        text.push('\n');
        for (name, key) in [("next", &self.next), ("old", &self.old)] {
            if let Some(key) = key {
                text.push_str(name);
                text.push(' ');
                text.push_str(&seed(key));
                text.push('\n');
            }
        }
        write_durable(&self.dir.join("identity.key"), text.as_bytes())
    }

    fn save_history(&mut self) -> Result<(), IdentityError> {
        let more = self.history.len().saturating_sub(HISTORY_MAX);
        self.history.drain(..more);
        let lines: String = self.history.iter().map(|past| format!("{} {}\n", to_hex(&past.key.to_bytes()), past.since_ms)).collect();
        write_durable(&self.dir.join("identity.history"), lines.as_bytes())
    }
}

fn secret(text: &str) -> Option<SecretKey> {
    from_hex::<32>(text.trim()).map(|seed| SecretKey::from_seed(&Zeroizing::new(seed)))
}

fn history(dir: &Path) -> Result<Vec<Past>, IdentityError> {
    let path = dir.join("identity.history");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(io_error(&path)(fault)),
    };
    let past = |line: &str| {
        let (key, since_ms) = line.split_once(' ')?;
        Some(Past { key: PublicKey::from_bytes(&from_hex::<32>(key)?).ok()?, since_ms: since_ms.parse().ok()? })
    };
    text.lines().map(past).collect::<Option<_>>().ok_or(IdentityError::Damaged { path })
}

/// Asks for a new key; the agent sees it within seconds, or at its next start.
///
/// # Errors
/// When the file cannot be made.
pub fn request(dir: &Path) -> Result<(), IdentityError> {
    write_durable(&dir.join(REQUEST), b"")
}

/// Whether somebody asked.
#[must_use]
pub fn is_requested(dir: &Path) -> bool {
    dir.join(REQUEST).try_exists().unwrap_or(false)
}

/// The wish was granted.
///
/// # Errors
/// When it cannot be taken away: it asks for another key at the next start.
pub fn request_is_done(dir: &Path) -> Result<(), IdentityError> {
    let path = dir.join(REQUEST);
    match fs::remove_file(&path) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(io_error(&path)(fault)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ChainState;
    use crate::identity::save_key;
    use mimamori_shared::chain::Tip;
    use mimamori_shared::id::{ChainId, KeyId, Lease};

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_seed(&Zeroizing::new([byte; 32]))
    }

    fn id(byte: u8) -> KeyId {
        key(byte).public().id()
    }

    fn ledger(key_id: u8, successor: Option<u8>) -> Restored {
        let chain = ChainState {
            chain_id: ChainId([1; 16]),
            tip: Tip::EMPTY,
            unsent_from: 0,
            lease: Lease::ZERO,
            blocked: false,
            key_id: Some(id(key_id)),
            successor: successor.map(id),
        };
        Restored { chains: vec![chain], ..Restored::default() }
    }

    fn holds(dir: &Path, restored: &Restored) -> (KeyId, Option<KeyId>, Option<KeyId>) {
        let keys = Keyring::open(dir, 5, restored, 9).unwrap();
        let of = |key: &Option<SecretKey>| key.as_ref().map(|key| key.public().id());
        (keys.key.public().id(), of(&keys.next), of(&keys.old))
    }

    /// A crash at any step of a change: the files are what they were before or after it, and the newest entry of the
    /// ledger says which key holds.
    #[test]
    fn after_a_crash_at_any_step_the_ledger_decides_which_key_holds() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        save_key(dir, &key(1)).unwrap();
        let file = dir.join("identity.key");
        assert_eq!(holds(dir, &ledger(1, None)), (id(1), None, None));
        Keyring::open(dir, 5, &ledger(1, None), 9).unwrap().make_next(&Zeroizing::new([2; 32])).unwrap();
        let made = fs::read(&file).unwrap();
        // Made and not stated: the old key holds, and the new one is kept for the next try.
        assert_eq!(holds(dir, &ledger(1, None)), (id(1), Some(id(2)), None));
        let again = Keyring::open(dir, 5, &ledger(1, None), 9).unwrap().make_next(&Zeroizing::new([3; 32])).unwrap();
        assert_eq!(again.public().id(), id(2));
        // Stated, and the file not yet written: with and without the next chain opened.
        for restored in [ledger(1, Some(2)), ledger(2, None)] {
            fs::write(&file, &made).unwrap();
            assert_eq!(holds(dir, &restored), (id(2), None, Some(id(1))));
        }
        // All done; and the old key is forgotten in its time.
        assert_eq!(holds(dir, &ledger(2, None)), (id(2), None, Some(id(1))));
        let mut keys = Keyring::open(dir, 5, &ledger(2, None), 9).unwrap();
        assert_eq!(keys.history().iter().map(|past| (past.key.id(), past.since_ms)).collect::<Vec<_>>(), [(id(1), 5), (id(2), 9)]);
        keys.forget_old().unwrap();
        assert_eq!(holds(dir, &ledger(2, None)), (id(2), None, None));
        assert!(!fs::read_to_string(&file).unwrap().contains(&to_hex(&[1; 32])), "the old seed is on no line any more");
    }

    #[test]
    fn a_statement_that_is_lost_with_the_ledger_gives_the_old_key_back() {
        let dir = tempfile::tempdir().unwrap();
        save_key(dir.path(), &key(1)).unwrap();
        let mut keys = Keyring::open(dir.path(), 5, &ledger(1, None), 9).unwrap();
        keys.make_next(&Zeroizing::new([2; 32])).unwrap();
        keys.changed(9).unwrap();
        let lost = Restored { lost: Some(None), ..Restored::default() };
        assert_eq!(holds(dir.path(), &lost), (id(1), Some(id(2)), None));
    }

    #[test]
    fn damaged_lines_are_named() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "zz", "00\n", &format!("{}\nelse {}\n", to_hex(&[1; 32]), to_hex(&[2; 32])), &format!("{}\nold 12\n", to_hex(&[1; 32]))] {
            write_durable(&dir.path().join("identity.key"), text.as_bytes()).unwrap();
            assert!(matches!(Keyring::read(dir.path(), 5), Err(IdentityError::Damaged { .. })), "{text}");
        }
    }
}
