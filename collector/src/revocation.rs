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
//! is: the database's commit, then this file, then the command returns. A database behind the file went back: it counts
//! fewer decisions, or lacks a key that the file names. Root writes here too, and the folder is the collector's: no
//! symbolic link is followed.

use crate::cli::Lang;
use crate::config::Config;
use crate::keys::{Keys, give, write};
use crate::store::{Actor, Revocations, RevokedAgain, Scope, Store, StoreError};
use mimamori_shared::error::chain;
use mimamori_shared::id::{Hash, KeyId};
use mimamori_shared::sign::hmac;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const HEADER: &str = "mimamori-revocation 1\n";
/// Largest file that is read: a million keys.
const BYTES_MAX: u64 = 64 << 20;

/// Why the collector does not start, or does not decide.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The database forgot decisions.
    #[error(
        "the database went back: it knows {database} revocation decisions, {path} knows {file}, and {forgotten} of the keys revoked there are not revoked in it. Restore a newer database; or run `mimamori-collector serve --accept-rollback`, which revokes again what the file names before anything is taken"
    )]
    WentBack {
        /// The file.
        path: PathBuf,
        /// Its count.
        file: u64,
        /// The database's.
        database: u64,
        /// Keys that the file names and the database does not.
        forgotten: usize,
    },
    /// There is no file although there must be one.
    #[error(
        "{path} is missing, so nobody can tell whether the database went back and which keys it forgot to be revoked. Restore the file; or compare `mimamori-collector machine list` with what you know to be revoked and run `mimamori-collector serve --accept-rollback`, which writes it anew"
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

/// Keys that are named one by one where somebody is told of them; the audit has them all.
const NAMED_MAX: usize = 1000;

/// What accepting that the database went back came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// The database knew everything that the file names.
    Nothing,
    /// It did not know these to be revoked.
    Again(Vec<RevokedAgain>),
    /// There was no file that could be used: it was written anew with so many keys, which the database knew.
    Anew(usize),
}

impl Accepted {
    /// What the operator is told, a line for each key.
    #[must_use]
    pub fn lines(&self, lang: Lang) -> Vec<String> {
        let keys = match self {
            Accepted::Nothing => {
                let nothing = (
                    "nothing had to be accepted: the database knows every revocation that the revocation file names",
                    "承認の対象はありません。失効記録ファイルにある失効は、すべてデータベースにもあります",
                );
                return vec![lang.of(nothing.0, nothing.1).to_owned()];
            }
            Accepted::Anew(keys) => {
                return vec![lang.of(
                    format!("the revocation file could not be used and was written anew from the database, with the {keys} keys that are revoked there. What else was revoked is known to nobody here: compare `mimamori-collector audit list` and `machine list` with your own records"),
                    format!("失効記録ファイルが使用できないため、データベースの内容（失効した鍵{keys}個）から作り直しました。それ以外の失効はここでは分かりません。`mimamori-collector audit list`と`machine list`を手元の記録と照合してください"),
                )];
            }
            Accepted::Again(keys) => keys,
        };
        let count = keys.len();
        let mut lines = vec![lang.of(
            format!("the database went back, which was accepted: {count} keys of the revocation file were not revoked in it and are now"),
            format!("データベースが以前の状態に戻っていることが承認されました。失効記録ファイルにあり、データベースで失効していなかった鍵{count}個を再び失効させました"),
        )];
        lines.extend(keys.iter().take(NAMED_MAX).map(|again| {
            let key = again.key_id.fingerprint();
            match &again.machine {
                Some((facility, machine)) => {
                    lang.of(format!("revoked again: key {key} of {facility}/{machine}"), format!("再び失効：鍵 {key}（{facility}/{machine}）"))
                }
                None => lang.of(
                    format!("revoked again: key {key}, of no machine that this database knows"),
                    format!("再び失効：鍵 {key}（このデータベースにない機器）"),
                ),
            }
        }));
        if count > NAMED_MAX {
            lines.push(lang.of("the rest stands in `mimamori-collector audit list`", "残りは`mimamori-collector audit list`で確認できます").to_owned());
        }
        lines
    }
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

/// Neither a link is followed nor a pipe waited for.
const AS_IT_IS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

fn read(path: &Path, secret: &[u8]) -> Result<Option<Revocations>, RevocationError> {
    let damaged = |what| RevocationError::Damaged { path: path.to_owned(), what };
    let file = match fs::OpenOptions::new().read(true).custom_flags(AS_IT_IS).open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) if fault.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => return Err(damaged("it is a symbolic link")),
        Err(fault) => return Err(io_error(path)(fault)),
    };
    let meta = file.metadata().map_err(io_error(path))?;
    if !meta.is_file() {
        return Err(damaged("it is no file"));
    }
    if meta.len() > BYTES_MAX {
        return Err(damaged("it is too large"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(io_error(path))?;
    let text = String::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
    parse(&text, secret).map(Some).map_err(damaged)
}

/// What a database has forgotten that the file knows, if anything.
fn went_back(path: &Path, file: &Revocations, database: &Revocations) -> Option<RevocationError> {
    let known: BTreeSet<&KeyId> = database.keys.iter().collect();
    let forgotten = file.keys.iter().filter(|key| !known.contains(key)).count();
    let back = file.epoch > database.epoch || forgotten > 0;
    back.then(|| RevocationError::WentBack { path: path.to_owned(), file: file.epoch, database: database.epoch, forgotten })
}

/// Makes what the database knows durable in the file. Several commands may do so at once: each writes, under a lock,
/// what is committed by then, so the file never goes back.
///
/// # Errors
/// When the file cannot be written, or names what this database does not know: then the decision holds in this
/// database, and not against an older copy of it.
pub async fn keep(path: &Path, keys: &Keys, store: &Store) -> Result<(), RevocationError> {
    let _lock = lock(&path.with_extension("lock"))?;
    keep_locked(path, keys, store, false).await
}

/// The same with the lock already taken; `anew` also over a file that cannot be used.
async fn keep_locked(path: &Path, keys: &Keys, store: &Store, anew: bool) -> Result<(), RevocationError> {
    let known = store.revocations(&Scope::All).await?;
    let there = match read(path, keys.lease_secret.as_slice()) {
        Err(RevocationError::Damaged { .. }) if anew => None,
        there => there?,
    };
    if let Some(fault) = there.and_then(|file| went_back(path, &file, &known)) {
        return Err(fault);
    }
    write(path, text(&known, keys.lease_secret.as_slice()).as_bytes()).map_err(|fault| io_error(path)(io::Error::other(chain(&fault))))
}

fn lock(path: &Path) -> Result<fs::File, RevocationError> {
    let made = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(AS_IT_IS).open(path);
    let file = made.map_err(io_error(path))?;
    give(&file, path.parent().unwrap_or(Path::new("."))).map_err(io_error(path))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|fault| io_error(path)(fault.into()))?;
    Ok(file)
}

/// Holds database and file against each other and changes nothing. Every collector has the file since `init`, so none
/// is a fault here, whatever the database counts.
///
/// # Errors
/// [`RevocationError`] names the mend.
pub async fn compare(path: &Path, keys: &Keys, store: &Store) -> Result<(), RevocationError> {
    // The file first: what it names was committed before it was written, so a database that is read later has it, also
    // while somebody revokes. No lock, which would have to be made where nothing is changed.
    let file = read(path, keys.lease_secret.as_slice())?.ok_or_else(|| RevocationError::Missing { path: path.to_owned() })?;
    let database = store.revocations(&Scope::All).await?;
    went_back(path, &file, &database).map_or(Ok(()), Err)
}

/// Holds database and file against each other. A file that is behind is brought forward: the program ended between
/// the two. With `accept` what the file names is revoked again, and a file that cannot be used is written anew. Under
/// the lock of [`keep`], so that no other command writes the file between the two looks.
///
/// # Errors
/// [`RevocationError`] names the mend. Nothing may be taken then.
pub async fn check(path: &Path, keys: &Keys, store: &Store, accept: Option<&Actor>, now_ms: i64) -> Result<Accepted, RevocationError> {
    let _lock = lock(&path.with_extension("lock"))?;
    let database = store.revocations(&Scope::All).await?;
    let file = match (read(path, keys.lease_secret.as_slice()), accept) {
        (Ok(file), _) => file,
        (Err(RevocationError::Damaged { .. }), Some(_)) => None,
        (Err(fault), _) => return Err(fault),
    };
    let accepted = match (file, accept) {
        (Some(file), _) if file == database => return Ok(Accepted::Nothing),
        (Some(file), accept) => match (went_back(path, &file, &database), accept) {
            (Some(_), Some(actor)) => Accepted::Again(store.reapply_revocations(actor, file, now_ms).await?),
            (Some(fault), None) => return Err(fault),
            (None, _) => Accepted::Nothing,
        },
        (None, None) if database.epoch > 0 => return Err(RevocationError::Missing { path: path.to_owned() }),
        (None, _) => Accepted::Anew(database.keys.len()),
    };
    keep_locked(path, keys, store, accept.is_some()).await?;
    Ok(accepted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ActorKind;
    use std::os::unix::fs::symlink;

    const NOW: i64 = 1_795_324_604_000;

    /// A folder with keys and a database in which the key of that byte was revoked by one decision.
    struct Place {
        dir: tempfile::TempDir,
        keys: Keys,
        store: Store,
    }

    fn operator() -> Actor {
        Actor { kind: ActorKind::Cli, name: "operator".parse().unwrap() }
    }

    impl Place {
        async fn with(key: u8) -> Place {
            let dir = tempfile::tempdir().unwrap();
            let keys = crate::keys::init(dir.path(), &["127.0.0.1".to_owned()], NOW, &mut || Ok([7; 32])).unwrap();
            let store = Store::open(&dir.path().join("store.sqlite"), NOW).unwrap();
            store.reapply_revocations(&operator(), Revocations { epoch: 0, keys: vec![KeyId([key; 16])] }, NOW).await.unwrap();
            Place { dir, keys, store }
        }

        fn file(&self) -> PathBuf {
            self.dir.path().join("revocation")
        }

        async fn keep(&self) -> Result<(), RevocationError> {
            keep(&self.file(), &self.keys, &self.store).await
        }

        async fn check(&self, accept: Option<&Actor>) -> Result<Accepted, RevocationError> {
            check(&self.file(), &self.keys, &self.store, accept, NOW).await
        }

        fn kept(&self) -> Vec<KeyId> {
            read(&self.file(), self.keys.lease_secret.as_slice()).unwrap().unwrap().keys
        }
    }

    /// Two databases went on from one backup, each with one decision: the counts are the same, the keys are not.
    #[tokio::test]
    async fn a_database_that_lacks_a_key_of_the_file_went_back_whatever_it_counts() {
        let (one, other) = (Place::with(1).await, Place::with(2).await);
        one.keep().await.unwrap();
        fs::copy(one.file(), other.file()).unwrap();
        assert!(matches!(other.check(None).await, Err(RevocationError::WentBack { file: 1, database: 1, forgotten: 1, .. })));
        assert!(matches!(other.keep().await, Err(RevocationError::WentBack { .. })), "no command drops a key");
        assert_eq!(other.kept(), [KeyId([1; 16])]);
        other.store.reapply_revocations(&operator(), Revocations::default(), NOW).await.unwrap();
        assert!(matches!(other.check(None).await, Err(RevocationError::WentBack { file: 1, database: 2, forgotten: 1, .. })));
        let accepted = other.check(Some(&operator())).await.unwrap();
        assert_eq!(accepted, Accepted::Again(vec![RevokedAgain { key_id: KeyId([1; 16]), machine: None }]));
        let fingerprint = KeyId([1; 16]).fingerprint();
        for (lang, word) in [(Lang::En, "revoked again: key"), (Lang::Ja, "再び失効：鍵")] {
            let lines = accepted.lines(lang);
            assert!(lines.len() == 2 && lines[1].contains(word) && lines[1].contains(&fingerprint), "{lines:?}");
        }
        let audit = other.store.audit(&Scope::All, 0, 9).await.unwrap();
        assert!(audit.iter().any(|row| row.verb.as_str() == "revoke_again" && row.id == fingerprint), "{audit:?}");
        assert_eq!(other.kept(), [KeyId([1; 16]), KeyId([2; 16])]);
        assert_eq!(other.store.revocations(&Scope::All).await.unwrap().keys, other.kept());
        other.check(None).await.unwrap();
    }

    /// One command revokes while others look: none of them may see a decision in the file that it does not see in the
    /// database.
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn whoever_looks_while_another_revokes_never_sees_a_database_that_went_back() {
        let place = std::sync::Arc::new(Place::with(1).await);
        place.keep().await.unwrap();
        let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let look = |compares: bool| {
            let (place, over) = (std::sync::Arc::clone(&place), std::sync::Arc::clone(&over));
            tokio::spawn(async move {
                let mut looks = 0_u32;
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    let outcome = if compares { compare(&place.file(), &place.keys, &place.store).await } else { place.check(None).await.map(drop) };
                    outcome.unwrap_or_else(|fault| panic!("look {looks}: {fault}"));
                    looks += 1;
                }
                looks
            })
        };
        let looking = [look(true), look(false)];
        for round in 0..200_u16 {
            let mut key = [9; 16];
            key[..2].copy_from_slice(&round.to_be_bytes());
            place.store.reapply_revocations(&operator(), Revocations { epoch: 0, keys: vec![KeyId(key)] }, NOW).await.unwrap();
            place.keep().await.unwrap();
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        for looking in looking {
            assert!(looking.await.unwrap() > 20, "it looked on meanwhile");
        }
        assert_eq!(place.kept().len(), 201);
    }

    #[tokio::test]
    async fn links_that_wait_where_the_files_are_lead_nowhere() {
        let place = Place::with(1).await;
        let elsewhere = tempfile::tempdir().unwrap();
        let (lock, victim) = (place.file().with_extension("lock"), elsewhere.path().join("victim"));
        symlink(&victim, &lock).unwrap();
        let refused = place.keep().await.unwrap_err();
        assert!(matches!(&refused, RevocationError::Io { path, .. } if *path == lock), "{refused:?}");
        assert!(!victim.try_exists().unwrap(), "nothing is made behind the link");
        fs::remove_file(&lock).unwrap();
        place.keep().await.unwrap();
        fs::rename(place.file(), &victim).unwrap();
        symlink(&victim, place.file()).unwrap();
        for outcome in [place.check(None).await.map(drop), place.keep().await] {
            assert!(matches!(outcome, Err(RevocationError::Damaged { what: "it is a symbolic link", .. })), "{outcome:?}");
        }
        let before = fs::read(&victim).unwrap();
        place.check(Some(&operator())).await.unwrap();
        assert!(place.file().symlink_metadata().unwrap().is_file() && fs::read(&victim).unwrap() == before);
        fs::remove_file(place.file()).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, place.file(), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(matches!(place.check(None).await, Err(RevocationError::Damaged { what: "it is no file", .. })), "and no pipe is waited for");
    }

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
