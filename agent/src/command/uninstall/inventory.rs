//! What of the agent is on this machine, and taking it away.

use crate::config::{self, Config};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How the names of the agent's own files in its state folder begin, and what they are.
const OWN: [(&str, What); 6] = [
    ("identity.", What::Keys),
    ("rotate.request", What::Keys),
    ("salt", What::Keys),
    ("outbox.db", What::Queue),
    ("tip", What::Queue),
    // The lock goes last: until then no other agent can start.
    ("lock", What::Lock),
];
/// Files looked at in a folder.
const FILES_MAX: usize = 4096;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Keys,
    Queue,
    Configuration,
    Lock,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            What::Keys => "keys",
            What::Queue => "queue_and_ledger",
            What::Configuration => "configuration",
            What::Lock => "lock",
        }
    }

    /// English and Japanese.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            What::Keys => ("key or identity", "鍵・識別情報"),
            What::Queue => ("queue and ledger", "送信待ち・台帳"),
            What::Configuration => ("configuration", "設定"),
            What::Lock => ("lock", "ロック"),
        }
    }
}

/// A file of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) path: PathBuf,
    pub(super) what: What,
    pub(super) bytes: u64,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) items: Vec<Item>,
    /// In the state folder, but none of the agent's names: left alone.
    pub(super) strange: Vec<PathBuf>,
}

impl Inventory {
    pub(super) fn of(config: &Config, file: &Path) -> io::Result<Inventory> {
        let mut found = Inventory::default();
        let dir = config.state_dir();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(fault) => return Err(fault),
        };
        for entry in entries.take(FILES_MAX) {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let meta = fs::symlink_metadata(&path)?;
            match OWN.iter().find(|(begin, _)| name.starts_with(begin)).filter(|_| meta.is_file()) {
                Some((_, what)) => found.items.push(Item { path, what: *what, bytes: meta.len() }),
                None => found.strange.push(path),
            }
        }
        for path in config::files(file) {
            if let Ok(meta) = fs::symlink_metadata(&path) {
                found.items.push(Item { path, what: What::Configuration, bytes: meta.len() });
            }
        }
        found.items.sort_by(|a, b| (a.what, &a.path).cmp(&(b.what, &b.path)));
        Ok(found)
    }
}

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) gone: Vec<Item>,
    pub(super) left: Vec<(Item, String)>,
    pub(super) folder_gone: bool,
}

impl Removed {
    /// Whether nothing of the state folder is left; configuration that only root may remove does not count.
    pub(super) fn is_whole(&self) -> bool {
        self.left.iter().all(|(item, _)| item.what == What::Configuration)
    }
}

/// Removes everything, keys first: whatever stops it, nobody can sign for this machine any more.
pub(super) fn remove(inventory: &Inventory, dir: &Path) -> Removed {
    let mut removed = Removed::default();
    for item in &inventory.items {
        match fs::remove_file(&item.path) {
            Ok(()) => removed.gone.push(item.clone()),
            // SQLite takes its own side files away when the database is closed.
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => removed.left.push((item.clone(), fault.to_string())),
        }
    }
    let synced = fs::File::open(dir).and_then(|folder| folder.sync_all());
    removed.folder_gone = synced.is_ok() && inventory.strange.is_empty() && fs::remove_dir(dir).is_ok();
    removed
}
