//! Who this agent is, on disk: the key in a file of its own, the rest as readable TOML beside it.
//!
//! `identity.key` (0600) holds the seed in hex (and a second one while keys change, see [`crate::keyring`]); `identity.toml` what enrolment gave; `salt` the facility's salt, by
//! which outside names are hashed. None of them is in the SQLite file: losing that one does not lose the identity.

use mimamori_shared::id::{AgentId, CollectorId, Hash, KeyId, from_hex, to_hex};
use mimamori_shared::sign::{PublicKey, SecretKey};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How files of the state folder are opened that root's commands open too: the folder is the agent's, so neither a link
/// is followed nor a pipe waited for.
pub(crate) const AS_IT_IS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// What enrolment gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The collector.
    pub collector_id: CollectorId,
    /// This agent there.
    pub agent_id: AgentId,
    /// Where it reports to.
    pub url: String,
    /// The collector's root key, 32 bytes in hex.
    pub root_key: String,
    /// SHA-256 of the DER of the certificate authority.
    pub ca_pin: Hash,
    /// `age` recipient for bundles carried by hand.
    pub recipient: String,
    /// The facility's alias.
    pub facility: String,
    /// The machine's alias.
    pub machine: String,
    /// When, UTC, milliseconds since 1970.
    pub enrolled_at_ms: i64,
}

impl Enrolment {
    /// The root key, checked.
    #[must_use]
    pub fn root(&self) -> Option<PublicKey> {
        from_hex::<32>(&self.root_key).and_then(|bytes| PublicKey::from_bytes(&bytes).ok())
    }
}

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none.
    #[error("this machine is not enrolled: run `mimamori-agent enroll --token-file FILE`")]
    NotEnrolled,
    /// A file failed.
    #[error("cannot use {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file says something else than it should.
    #[error("{path} is not what enrolment wrote: restore it from a backup, or enrol again with a new token")]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// Others can read the key.
    #[error("{path} can be read by others (mode {mode:o}): run `chmod 600 {path}`; if others had access, ask the RSC to revoke the key")]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> IdentityError + '_ {
    move |source| IdentityError::Io { path: path.to_owned(), source }
}

/// Reads key and enrolment.
///
/// # Errors
/// [`IdentityError`] names the file and the mend.
pub fn load(dir: &Path) -> Result<(SecretKey, Enrolment), IdentityError> {
    let path = dir.join("identity.toml");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Err(IdentityError::NotEnrolled),
        Err(fault) => return Err(io_error(&path)(fault)),
    };
    let enrolment: Enrolment = toml_from(&text).ok_or_else(|| IdentityError::Damaged { path: path.clone() })?;
    if enrolment.root().is_none() {
        return Err(IdentityError::Damaged { path });
    }
    let key = load_key(dir)?.ok_or(IdentityError::NotEnrolled)?;
    Ok((key, enrolment))
}

fn toml_from(text: &str) -> Option<Enrolment> {
    toml::from_str(text).ok()
}

/// Reads the key that holds; `None` when there is none yet.
///
/// # Errors
/// [`IdentityError`] names the file and the mend.
pub fn load_key(dir: &Path) -> Result<Option<SecretKey>, IdentityError> {
    let Some(text) = read_key_file(dir)? else { return Ok(None) };
    let seed = text.lines().next().and_then(|line| from_hex::<32>(line.trim())).ok_or_else(|| IdentityError::Damaged { path: dir.join("identity.key") })?;
    Ok(Some(SecretKey::from_seed(&Zeroizing::new(seed))))
}

/// The lines of the key file; [`crate::keyring`] says what they mean. `None` when there is none yet.
pub(crate) fn read_key_file(dir: &Path) -> Result<Option<Zeroizing<String>>, IdentityError> {
    let path = dir.join("identity.key");
    let meta = match fs::metadata(&path) {
        Ok(meta) => meta,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(io_error(&path)(fault)),
    };
    if meta.mode() & 0o077 != 0 {
        return Err(IdentityError::Exposed { mode: meta.mode() & 0o777, path });
    }
    fs::read_to_string(&path).map(|text| Some(Zeroizing::new(text))).map_err(io_error(&path))
}

/// Makes a key durable before it is used: an answer that is lost can then be asked for again with the same key.
///
/// # Errors
/// When the file cannot be written.
pub fn save_key(dir: &Path, key: &SecretKey) -> Result<(), IdentityError> {
    let text = Zeroizing::new(format!("{}\n", to_hex(key.seed().as_slice())));
    write_durable(&dir.join("identity.key"), text.as_bytes())
}

/// Makes what enrolment gave durable.
///
/// # Errors
/// When the file cannot be written.
pub fn save(dir: &Path, enrolment: &Enrolment) -> Result<(), IdentityError> {
    let text = toml::to_string(enrolment).map_err(|_| IdentityError::Damaged { path: dir.join("identity.toml") })?;
    write_durable(&dir.join("identity.toml"), text.as_bytes())
}

/// The salt by which outside names are hashed; made on first use from `fresh`.
///
/// # Errors
/// When the file cannot be read or written.
pub fn salt(dir: &Path, fresh: [u8; 32]) -> Result<[u8; 32], IdentityError> {
    let path = dir.join("salt");
    match fs::read_to_string(&path) {
        Ok(text) => from_hex(text.trim()).ok_or(IdentityError::Damaged { path }),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            write_durable(&path, format!("{}\n", to_hex(&fresh)).as_bytes())?;
            Ok(fresh)
        }
        Err(fault) => Err(io_error(&path)(fault)),
    }
}

/// New file, synced, renamed over the old one, folder synced: after a power cut there is the old or the new.
pub(crate) fn write_durable(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let fresh = path.with_extension("new");
    let write = || {
        // Root may write here too (`key rotate`), and the folder is the agent's: a link that waits there is not followed.
        match fs::remove_file(&fresh) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
            Ok(()) | Err(_) => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(io_error(path))
}

/// The fingerprint a person compares.
#[must_use]
pub fn fingerprint(key: &SecretKey) -> String {
    let id: KeyId = key.public().id();
    id.fingerprint()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_waits_where_a_file_is_written_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (other, path) = (dir.path().join("other"), dir.path().join("salt"));
        fs::write(&other, "of somebody else").unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join("salt.new")).unwrap();
        write_durable(&path, b"salt").unwrap();
        assert_eq!((fs::read_to_string(other).unwrap(), fs::read_to_string(&path).unwrap()), ("of somebody else".to_owned(), "salt".to_owned()));
        assert!(path.symlink_metadata().unwrap().is_file());
    }
    use std::os::unix::fs::PermissionsExt as _;

    fn enrolment(key: &SecretKey) -> Enrolment {
        Enrolment {
            collector_id: CollectorId([1; 16]),
            agent_id: AgentId([2; 16]),
            url: "https://127.0.0.1:8443".to_owned(),
            root_key: to_hex(&key.public().to_bytes()),
            ca_pin: Hash([3; 32]),
            recipient: "age1x".to_owned(),
            facility: "example".to_owned(),
            machine: "m-1".to_owned(),
            enrolled_at_ms: 5,
        }
    }

    #[test]
    fn an_identity_is_read_back_and_kept_from_others() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(load(dir.path()), Err(IdentityError::NotEnrolled)));
        let key = SecretKey::from_seed(&Zeroizing::new([7; 32]));
        save_key(dir.path(), &key).unwrap();
        assert!(matches!(load(dir.path()), Err(IdentityError::NotEnrolled)));
        save(dir.path(), &enrolment(&key)).unwrap();
        let (read, given) = load(dir.path()).unwrap();
        assert_eq!((read.public(), given), (key.public(), enrolment(&key)));
        let path = dir.path().join("identity.key");
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let fault = load(dir.path()).unwrap_err().to_string();
            assert!(fault.contains("chmod 600"), "{fault}");
        }
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::from_seed(&Zeroizing::new([7; 32]));
        save_key(dir.path(), &key).unwrap();
        save(dir.path(), &enrolment(&key)).unwrap();
        for (name, text) in [("identity.key", "zz"), ("identity.toml", "agent_id = 1"), ("identity.toml", "")] {
            let good = fs::read(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name), text).unwrap();
            let fault = load(dir.path()).unwrap_err().to_string();
            assert!(fault.contains(name), "{fault}");
            fs::write(dir.path().join(name), good).unwrap();
        }
    }

    #[test]
    fn the_salt_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(salt(dir.path(), [1; 32]).unwrap(), [1; 32]);
        assert_eq!(salt(dir.path(), [2; 32]).unwrap(), [1; 32]);
    }
}
