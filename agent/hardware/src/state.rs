//! What is remembered from one run to the next within a boot: how far the journal was read, and what could not be ended.

use crate::count::is_cursor;
use crate::proc;
use mimamori_shared::id::BootId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Its name in the state folder.
pub(crate) const STATE_FILE: &str = "state.json";
/// Largest file, in bytes: 64 patterns of the largest size twice over.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Of another boot, nothing counts.
    pub(crate) boot_id: BootId,
    /// The kernel's lines by class.
    pub(crate) kernel: Tally,
    /// Lines by pattern: alias, unit and text, so that a changed pattern begins anew.
    pub(crate) journal: Tally,
    /// Processes that could not be ended.
    pub(crate) left: Vec<Left>,
}

/// Counts up to a place in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// `None` at the beginning of the boot.
    pub(crate) cursor: Option<String>,
    pub(crate) counts: BTreeMap<String, u64>,
}

/// A tool that hangs in the kernel, where no signal reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    pub(crate) tool: String,
    pub(crate) args: Vec<String>,
    pub(crate) pid: i32,
    /// In the kernel's ticks since boot: another process of the same number began at another time.
    pub(crate) started: u64,
}

impl State {
    /// Reads the file. What cannot be read, or is of another boot, is begun anew; the former says why.
    pub(crate) fn load(folder: &Path, boot_id: BootId) -> (State, Option<String>) {
        let fresh = State { boot_id, ..State::default() };
        let mut bytes = Vec::new();
        match File::open(folder.join(STATE_FILE)).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(fault) if fault.kind() == ErrorKind::NotFound => return (fresh, None),
            Err(fault) => return (fresh, Some(fault.to_string())),
        }
        match serde_json::from_slice::<State>(&bytes) {
            Ok(state) if state.boot_id != boot_id => (fresh, None),
            Ok(mut state) => {
                let usable = |tally: &Tally| tally.cursor.as_deref().is_none_or(is_cursor);
                if !usable(&state.kernel) || !usable(&state.journal) {
                    return (fresh, Some("a place in the journal is none".to_owned()));
                }
                state.left.retain(|left| proc::one(left.pid).is_some_and(|process| process.started == left.started));
                (state, None)
            }
            Err(fault) => (fresh, Some(fault.to_string())),
        }
    }
}
