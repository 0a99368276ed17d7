//! The mark of a withdrawal: a file beside the consent that outlives a new consent put into its place, so that also an
//! agent that was not running then acts upon it before anything newer counts.
//!
//! The agent cannot remove it: it remembers in its own state folder what it has acted upon. Compared is only whether a
//! moment is another one; no clock decides.
//!
//! The mark is durable before the consent is rewritten, and until that is done it names the text that it takes back: where
//! the power fails in between, the old consent stands there and counts as withdrawn all the same.

use super::{NoConsent, prove, put};
use crate::identity::AS_IT_IS;
use mimamori_shared::consent::{MARK_BYTES_MAX, MARK_FILE, Mark};
use mimamori_shared::sign::sha256;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The copy in the state folder, of the mark that was acted upon last.
const ACTED: &str = "consent-withdrawn";

/// `None` when there is none.
pub(super) fn read_mark(path: &Path) -> Result<Option<Mark>, NoConsent> {
    let shown = path.display().to_string();
    match text_of(path) {
        Ok(text) => Mark::parse(&shown, &text).map(Some).map_err(|fault| NoConsent::Faults(shown, fault)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(NoConsent::Unreadable(shown, fault.to_string())),
    }
}

/// A withdrawal that the agent has not acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Whether what is unsent may still leave.
    pub keep: bool,
    mark: Mark,
}

impl Pending {
    /// Remembers, durably, that it is acted upon.
    ///
    /// # Errors
    /// When the state folder cannot be written.
    pub fn acted(&self, state: &Path) -> io::Result<()> {
        put(&state.join(ACTED), &self.mark.text())
    }
}

/// Where the mark of a consent lies.
#[must_use]
pub fn mark_path(consent: &Path) -> PathBuf {
    consent.with_file_name(MARK_FILE)
}

/// Leaves the mark, durably; `text` is the consent that it takes back. `at_ms` is UTC, milliseconds since 1970.
///
/// # Errors
/// When the folder cannot be written, or the mark that is there is not one.
pub fn mark(consent: &Path, text: &str, keep: bool, at_ms: i64) -> io::Result<()> {
    let path = mark_path(consent);
    let before = read_mark(&path).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, format!("{why}; remove that file")))?.unwrap_or_default();
    let of = Some(sha256(text.as_bytes()));
    let mark = if keep {
        Mark { kept_at_ms: Some(at_ms), keeping: of, purging: None, ..before }
    } else {
        Mark { purged_at_ms: Some(at_ms), purging: of, keeping: None, ..before }
    };
    put(&path, &mark.text())
}

/// The consent's file says for itself how it stands: whatever is written into it by hand from here on counts again.
///
/// # Errors
/// When the folder cannot be written. A mark that is not understood stays, and whoever acts on it says so.
pub fn settle(consent: &Path) -> io::Result<()> {
    let path = mark_path(consent);
    match read_mark(&path) {
        Ok(Some(mark)) if mark.purging.is_some() || mark.keeping.is_some() => put(&path, &Mark { purging: None, keeping: None, ..mark }.text()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether this text of a consent is withdrawn though it does not say so, because rewriting it was cut off; and whether
/// what is unsent may still leave.
///
/// # Errors
/// When the mark cannot be read or understood.
pub fn cut_off(consent: &Path, text: &str) -> Result<Option<bool>, NoConsent> {
    let Some(mark) = read_mark(&mark_path(consent))? else { return Ok(None) };
    Ok(mark.takes_back(text))
}

/// The withdrawal that is not acted upon yet. `state` is the agent's state folder; `loopback` says whether the collector
/// is on this machine: then no proof is needed, as for an example.
///
/// # Errors
/// Why nothing sure can be said about it, and the mend.
pub fn pending(consent: &Path, state: &Path, loopback: bool) -> Result<Option<Pending>, NoConsent> {
    let path = mark_path(consent);
    let Some(mark) = read_mark(&path)? else { return Ok(None) };
    if !loopback && let Some(what) = prove(&path) {
        return Err(NoConsent::NotProven { path: path.display().to_string(), what });
    }
    let acted = read_mark(&state.join(ACTED))?.unwrap_or_default();
    let purges = mark.purged_at_ms.is_some() && mark.purged_at_ms != acted.purged_at_ms;
    let keeps = mark.kept_at_ms.is_some() && mark.kept_at_ms != acted.kept_at_ms;
    // Whether the consent was rewritten meanwhile makes it no other withdrawal.
    let mark = Mark { purging: None, keeping: None, ..mark };
    Ok((purges || keeps).then_some(Pending { keep: !purges, mark }))
}

/// Neither a link is followed nor a pipe waited for.
fn text_of(path: &Path) -> io::Result<String> {
    let file = fs::OpenOptions::new().read(true).custom_flags(AS_IT_IS).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > MARK_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is no file of at most {MARK_BYTES_MAX} bytes")));
    }
    let mut text = String::new();
    file.take(MARK_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_acted_upon_once_and_one_that_keeps_hides_none_that_purges() {
        let (etc, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let consent = etc.path().join("consent.toml");
        let keep = || pending(&consent, state.path(), true).unwrap().map(|pending| pending.keep);
        assert_eq!(keep(), None);
        mark(&consent, "", true, 1_000).unwrap();
        assert_eq!(keep(), Some(true));
        mark(&consent, "", false, 2_000).unwrap();
        mark(&consent, "", true, 3_000).unwrap();
        assert_eq!(keep(), Some(false), "what was to be purged is not kept by a later withdrawal");
        pending(&consent, state.path(), true).unwrap().unwrap().acted(state.path()).unwrap();
        assert_eq!(keep(), None);
        // The clock was set back meanwhile.
        mark(&consent, "", true, 500).unwrap();
        assert_eq!(keep(), Some(true));
    }

    #[test]
    fn a_mark_that_is_none_is_neither_believed_nor_passed_over() {
        let (etc, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let consent = etc.path().join("consent.toml");
        let path = mark_path(&consent);
        let why = || pending(&consent, state.path(), true).unwrap_err();
        fs::write(&path, "kept_at = 1\n").unwrap();
        assert!(matches!(why(), NoConsent::Faults(..)));
        assert!(mark(&consent, "", true, 1).unwrap_err().to_string().contains("remove that file"));
        fs::write(&path, " ".repeat(4097)).unwrap();
        assert!(matches!(why(), NoConsent::Unreadable(..)));
        fs::remove_file(&path).unwrap();
        let elsewhere = etc.path().join("elsewhere");
        fs::write(&elsewhere, "kept_at_ms = 1\n").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(matches!(why(), NoConsent::Unreadable(..)), "a link is not followed");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "kept_at_ms = 1\n").unwrap();
        assert!(matches!(pending(&consent, state.path(), false), Err(NoConsent::NotProven { .. })), "this account could have written it");
        fs::write(state.path().join(ACTED), "?").unwrap();
        assert!(matches!(why(), NoConsent::Faults(..)), "nothing is purged because the memory of it is damaged");
    }

    /// The power fails behind each step of a withdrawal: from the first on, the consent counts as withdrawn, before and
    /// after the agent has acted on the mark; and the command run again completes it without a second withdrawal.
    #[test]
    fn wherever_a_withdrawal_is_cut_off_the_consent_is_withdrawn() {
        let given = "version = 1\nexample = true\napprover = \"A\"\nreason = \"B\"\nvalid_from = \"2020-01-01T00:00:00Z\"\nvalid_to = \"2099-01-01T00:00:00Z\"\n[scopes]\nheartbeat = { }\n";
        for (keep, steps) in [false, true].into_iter().flat_map(|keep| (0..=3).map(move |steps| (keep, steps))) {
            let (etc, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let consent = etc.path().join("consent.toml");
            put(&consent, given).unwrap();
            let doing: [&dyn Fn() -> io::Result<()>; 3] =
                [&|| mark(&consent, given, keep, 1_000), &|| put(&consent, &super::super::withdrawn(given, keep)), &|| settle(&consent)];
            doing.iter().take(steps).for_each(|step| step().unwrap());
            let stands = || match super::super::load(&consent, &[0; 32], 1_790_000_000_000, true) {
                Err(NoConsent::Withdrawn { keep, .. }) => Some(keep),
                Ok(_) => None,
                Err(other) => panic!("{other}"),
            };
            let expected = (steps > 0).then_some(keep);
            assert_eq!(stands(), expected, "{keep} {steps}");
            let waits = pending(&consent, state.path(), true).unwrap();
            assert_eq!(waits.as_ref().map(|waits| waits.keep), expected, "{keep} {steps}");
            if let Some(waits) = waits {
                waits.acted(state.path()).unwrap();
                assert_eq!((stands(), pending(&consent, state.path(), true).unwrap()), (expected, None), "acted upon it still stands: {keep} {steps}");
                doing.iter().skip(steps).for_each(|step| step().unwrap());
                assert_eq!((stands(), pending(&consent, state.path(), true).unwrap()), (expected, None), "no second one: {keep} {steps}");
                // Given again by hand, word for word.
                put(&consent, given).unwrap();
                assert_eq!(stands(), None, "{keep} {steps}");
            }
        }
    }
}
