//! The facility's consent file: read, checked, and brought into the form that travels.
//!
//! A consent counts only if the account the agent runs under could not have written it: the file, and every folder
//! above it, must belong to others and be closed to writing for it, access lists included. The one exception is a
//! consent marked `example`, for trying the program on one's own machine against a collector on loopback.

mod request;
#[cfg(test)]
mod tests;
mod withdrawal;
mod write;

pub use mimamori_shared::consent::{ConsentFile, Fault, parse};
pub use request::{asked_until, request_path, request_text};
pub use withdrawal::{Pending, cut_off, mark, mark_path, pending, settle};
pub use write::{Grant, GrantedScope, put, summary, text, withdrawn};

use mimamori_shared::consent::{FILE_BYTES_MAX, Lapse};
use mimamori_shared::time;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use withdrawal::read_mark;

/// Links followed on the way to it.
const LINKS_MAX: usize = 16;

/// Why there is no consent. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoConsent {
    /// There is no file.
    #[error("there is no consent at {0}: the facility's administrator puts it there (see docs/CONSENT.md)")]
    Missing(String),
    /// It cannot be read.
    #[error("the consent at {0} cannot be read: {1}; let the agent's account read it")]
    Unreadable(String, String),
    /// It says something that cannot be understood; all faults.
    #[error("the consent at {0} is not understood: {1}")]
    Faults(String, Fault),
    /// The agent's own account could have written it.
    #[error("the consent at {path} proves nothing: the agent's account could change {what}; let the administrator own it and close it to writing")]
    NotProven {
        /// Which file.
        path: String,
        /// What could be changed.
        what: String,
    },
    /// The facility took it back.
    #[error("the consent at {path} was withdrawn by the facility")]
    Withdrawn {
        /// Which file.
        path: String,
        /// Whether what was collected under it and is unsent may still leave.
        keep: bool,
    },
    /// It has not begun.
    #[error("the consent begins at {0}")]
    NotYet(String),
    /// It has ended.
    #[error("the consent ended at {0}; ask the facility for a new one")]
    Expired(String),
}

/// Reads the consent in force at `now_ms`. `loopback` says whether the collector is on this machine: only then an
/// example is enough.
///
/// # Errors
/// [`NoConsent`] says why there is none and what to do.
pub fn load(path: &Path, salt: &[u8; 32], now_ms: i64, loopback: bool) -> Result<ConsentFile, NoConsent> {
    let shown = path.display().to_string();
    let text = read(path, &shown)?;
    let consent = parse(&shown, &text, salt).map_err(|faults| NoConsent::Faults(shown.clone(), Fault::all(&faults)))?;
    if !(consent.terms.example && loopback)
        && let Some(what) = prove(path)
    {
        return Err(NoConsent::NotProven { path: shown, what });
    }
    let mark = if consent.withdrawn_keeping.is_none() { read_mark(&mark_path(path))? } else { None };
    consent.in_force(&text, mark.as_ref(), now_ms).map_err(|lapse| match lapse {
        Lapse::Withdrawn { keep } => NoConsent::Withdrawn { path: shown, keep },
        Lapse::NotYet(at) => NoConsent::NotYet(time::show(at)),
        Lapse::Expired(at) => NoConsent::Expired(time::show(at)),
    })?;
    Ok(consent)
}

fn read(path: &Path, shown: &str) -> Result<String, NoConsent> {
    let unreadable = |fault: std::io::Error| match fault.kind() {
        std::io::ErrorKind::NotFound => NoConsent::Missing(shown.to_owned()),
        _ => NoConsent::Unreadable(shown.to_owned(), fault.to_string()),
    };
    let meta = fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() || meta.len() > FILE_BYTES_MAX {
        return Err(NoConsent::Unreadable(shown.to_owned(), format!("it is no file of at most {FILE_BYTES_MAX} bytes")));
    }
    fs::read_to_string(path).map_err(unreadable)
}

/// What of the file and the folders above it the running account could change; `None` when nothing.
pub(crate) fn prove(path: &Path) -> Option<String> {
    let me = rustix::process::geteuid().as_raw();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = fs::canonicalize(path).ok();
    // Every link on the way: whoever owns one of them decides where it leads.
    let mut links = Vec::new();
    let mut at = absolute.clone();
    while let (Ok(target), true) = (fs::read_link(&at), links.len() < LINKS_MAX) {
        at = at.parent().unwrap_or(Path::new("/")).join(target);
        links.push(at.clone());
    }
    // Both the way that is written down and the one behind links count. What cannot be looked at from here
    // cannot be changed from here.
    let ways: Vec<_> = [Some(path.to_owned()), Some(absolute), real].into_iter().flatten().chain(links).collect();
    for step in ways.iter().flat_map(|way| way.ancestors()).filter(|step| !step.as_os_str().is_empty()) {
        let owned = fs::symlink_metadata(step).is_ok_and(|meta| meta.uid() == me);
        let open = accessat(CWD, step, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
        // A folder with the sticky bit, such as /tmp, lets nobody rename what belongs to others.
        let sticky = fs::metadata(step).is_ok_and(|meta| meta.is_dir() && meta.mode() & 0o1000 != 0 && meta.uid() != me);
        if owned || (open && !sticky) {
            return Some(step.display().to_string());
        }
    }
    None
}
