//! What of the agent is on this machine, and taking it away.

use super::folder::{Folder, Rights};
use super::installed::{self, Installed};
use crate::config;
use mimamori_cli::print::{quoted, whole};
use rustix::fs::{Access, AtFlags, CWD, FileType, accessat};
use rustix::process::geteuid;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The agent's own files in its state folder, and what they are: these names, and what a name is followed by behind a
/// dot or a dash.
const OWN: [(&str, What); 8] = [
    ("identity", What::Keys),
    ("rotate", What::Keys),
    ("salt", What::Keys),
    ("outbox.db", What::Queue),
    ("tip", What::Queue),
    ("consent-warned", What::Queue),
    ("consent-withdrawn", What::Queue),
    // The lock goes last: until then no other agent can start.
    ("lock", What::Lock),
];
/// What a file of this name is, if it is the agent's.
fn own(name: &str) -> Option<What> {
    let is = |own: &str| name.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']));
    OWN.iter().find(|(own, _)| is(own)).map(|(_, what)| *what)
}

/// The file with the key that signs for this machine.
const KEY: &str = "identity.key";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Keys,
    Queue,
    Configuration,
    Helper,
    Lock,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            What::Keys => "keys",
            What::Queue => "queue_and_ledger",
            What::Configuration => "configuration",
            What::Helper => "hardware_helper",
            What::Lock => "lock",
        }
    }

    /// English and Japanese.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            What::Keys => ("key or identity", "鍵・識別情報"),
            What::Queue => ("queue and ledger", "送信待ち・台帳"),
            What::Configuration => ("configuration", "設定"),
            What::Helper => ("hardware helper", "ハードウェアヘルパー"),
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
    /// Links under the agent's names: it makes none, and what is opened through one is somebody else's.
    pub(super) links: Vec<PathBuf>,
    /// Programs and units, which root removes.
    pub(super) installed: Installed,
}

impl Inventory {
    /// What is in the state folder, if there is one, the configuration that comes from `file`, and what was installed below
    /// the machine's root.
    pub(super) fn of(folder: Option<&Folder>, file: &Path, root: &Path) -> io::Result<Inventory> {
        let mut found = Inventory { items: installed::helper(root), installed: Installed::of(root), ..Inventory::default() };
        if let Some(folder) = folder {
            found.look_in(folder)?;
        }
        for path in config::files(file) {
            if let Ok(meta) = fs::symlink_metadata(&path) {
                found.items.push(Item { path, what: What::Configuration, bytes: meta.len() });
            }
        }
        found.items.sort_by(|a, b| (a.what, &a.path).cmp(&(b.what, &b.path)));
        Ok(found)
    }

    fn look_in(&mut self, folder: &Folder) -> io::Result<()> {
        for entry in folder.entries()? {
            let path = folder.path.join(&entry.name);
            match (own(&entry.name.to_string_lossy()), entry.kind) {
                (Some(what), FileType::RegularFile) => self.items.push(Item { path, what, bytes: entry.bytes }),
                (Some(_), FileType::Symlink) => self.links.push(path),
                (Some(_) | None, _) => self.strange.push(path),
            }
        }
        Ok(())
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
    /// What only root may do.
    pub(super) fn still_to_do(&self, installed: &Installed, dir: &Path) -> Vec<String> {
        let mut commands = installed.still_to_do(self.left.iter().map(|(item, _)| item));
        if !self.folder_gone {
            commands.push(format!("sudo rmdir {}", quoted(dir)));
        }
        commands
    }

    /// Whether nothing of the state folder is left; what only root may remove does not count.
    pub(super) fn is_whole(&self) -> bool {
        self.left.iter().all(|(item, _)| matches!(item.what, What::Configuration | What::Helper))
    }

    /// Whether the key that signs for this machine is still there.
    pub(super) fn key_is_left(&self) -> bool {
        self.left.iter().any(|(item, _)| item.path.file_name().is_some_and(|name| name == KEY))
    }
}

/// Whether this account may remove what stands at a path: its folder decides, and in one like `/tmp` also whose it is.
pub(super) fn may_remove(path: &Path) -> bool {
    let path = whole(path);
    let Some(folder) = path.parent() else { return false };
    let me = geteuid().as_raw();
    let sticky = fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o1000 != 0 && folder.uid() != me);
    let whose = fs::symlink_metadata(&path).map(|meta| meta.uid());
    let open = accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok();
    open && (!sticky || geteuid().is_root() || whose.is_ok_and(|uid| uid == me))
}

/// Removes everything, keys first: whatever stops it, nobody can sign for this machine any more.
pub(super) fn remove(inventory: &Inventory, folder: &Folder, rights: &Rights) -> Removed {
    let mut removed = Removed::default();
    for item in &inventory.items {
        let done = match (item.what, item.path.file_name()) {
            (What::Helper, _) => rights.remove(&item.path, installed::remove),
            (What::Configuration, _) | (_, None) => rights.remove(&item.path, |path| fs::remove_file(path)),
            (_, Some(name)) => folder.remove(Path::new(name)),
        };
        match done {
            Ok(()) => removed.gone.push(item.clone()),
            // SQLite takes its own side files away when the database is closed.
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => removed.left.push((item.clone(), fault.to_string())),
        }
    }
    let alone = folder.sync().is_ok() && inventory.strange.is_empty();
    removed.folder_gone = alone && rights.remove(&folder.path, |path| fs::remove_dir(path)).is_ok();
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agents_own_files_are_named_and_a_link_among_them_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let own = [
            "consent-warned",
            "consent-withdrawn",
            "identity.history",
            "identity.key",
            "lock",
            "outbox.db",
            "outbox.db-wal",
            "outbox.db.broken-7",
            "rotate.request",
            "tip",
        ];
        for name in own.iter().chain(&["lockers.csv", "saltmine", "tips.txt", "outbox.dbx"]) {
            fs::write(dir.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("salt")).unwrap();
        let mut found = Inventory::default();
        found.look_in(&Folder::open(dir.path()).unwrap().unwrap()).unwrap();
        let names = |paths: &mut dyn Iterator<Item = &PathBuf>| {
            let mut names: Vec<String> = paths.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&mut found.items.iter().map(|item| &item.path)), own);
        assert_eq!(names(&mut found.strange.iter()), ["lockers.csv", "outbox.dbx", "saltmine", "tips.txt"]);
        assert_eq!(names(&mut found.links.iter()), ["salt"]);
    }
}
