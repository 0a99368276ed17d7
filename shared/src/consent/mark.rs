//! The mark of a withdrawal, as it lies beside the consent: what it says, without the file.

use super::Fault;
use crate::id::Hash;
use crate::sign::sha256;
use crate::time;
use serde::Deserialize;

/// Its name, in the folder of the consent.
pub const MARK_FILE: &str = "withdrawn.toml";
/// Largest mark, in bytes.
pub const MARK_BYTES_MAX: u64 = 4096;

/// The newest withdrawal of each kind, UTC, milliseconds since 1970. One that keeps does not hide an earlier one that
/// purges and was not acted upon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// When the last one purged.
    pub purged_at_ms: Option<i64>,
    /// When the last one kept what was unsent.
    pub kept_at_ms: Option<i64>,
    /// The consent that is withdrawn though its file may not say so yet: SHA-256 of its text.
    pub purging: Option<Hash>,
    /// The same of a withdrawal that keeps. At most one of both is there.
    pub keeping: Option<Hash>,
}

impl Mark {
    /// Reads it. `name` is how a fault calls the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Mark, Fault> {
        toml::from_str(text).map_err(|fault| Fault::unread(name, text, &fault))
    }

    /// As [`Mark::parse`] reads it, with the meaning beside it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text =
            String::from("# The facility took its consent back. Written by `mimamori-agent consent withdraw`; leave it here, the agent acts on it once.\n");
        for (key, at) in [("purged_at_ms", self.purged_at_ms), ("kept_at_ms", self.kept_at_ms)] {
            at.iter().for_each(|at| text.push_str(&format!("{key} = {at} # {}\n", time::show(*at))));
        }
        for (key, of) in [("purging", self.purging), ("keeping", self.keeping)] {
            of.iter().for_each(|of| text.push_str(&format!("{key} = \"{of}\" # the consent of this SHA-256, until its file says so itself\n")));
        }
        text
    }

    /// Whether it takes back the consent of this text, because rewriting that was cut off; and whether what is unsent may
    /// still leave.
    #[must_use]
    pub fn takes_back(&self, text: &str) -> Option<bool> {
        let this = Some(sha256(text.as_bytes()));
        [(self.purging, false), (self.keeping, true)].into_iter().find(|(of, _)| *of == this).map(|(_, keep)| keep)
    }
}
