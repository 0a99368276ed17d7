//! What was installed with root's hand: the hardware helper's files, and both programs with their units. Root alone may take
//! these away, and a helper whose timer still runs would make its files anew: the commands come in the order that ends it.

use super::inventory::{Item, What};
use mimamori_cli::print::quoted;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders of the hardware helper, and all that it ever has in them.
const HELPER: [(&str, [&str; 2]); 2] =
    [("run/mimamori-agent-hardware", ["report.json", ".report.json.new"]), ("var/lib/mimamori-agent-hardware", ["state.json", ".state.json.new"])];
/// What the facility names for it.
const HELPER_CONFIG: &str = "etc/mimamori/hardware.toml";
/// Units, programs and the account's entry, in the order in which they go.
const INSTALLED: [&str; 7] = [
    HELPER_TIMER,
    "etc/systemd/system/mimamori-agent-hardware.service",
    "etc/systemd/system/mimamori-agent-hardware.service.d",
    "usr/bin/mimamori-agent-hardware",
    AGENT_UNIT,
    "usr/bin/mimamori-agent",
    ACCOUNT,
];
const HELPER_TIMER: &str = "etc/systemd/system/mimamori-agent-hardware.timer";
const AGENT_UNIT: &str = "etc/systemd/system/mimamori-agent.service";
const ACCOUNT: &str = "usr/lib/sysusers.d/mimamori-agent.conf";
/// Where `mimamori-agent man` is told to put its pages, and what they are called.
const PAGES: (&str, &str) = ("usr/local/share/man/man1", "mimamori-agent");
/// Pages looked at in that folder, which is everybody's.
const PAGES_MAX: usize = 4096;

/// What this program never removes: it would take the ground from under itself, and systemd has to forget units first.
#[derive(Debug, Default)]
pub(super) struct Installed {
    root: PathBuf,
    pub(super) paths: Vec<PathBuf>,
}

impl Installed {
    /// Below the machine's root.
    pub(super) fn of(root: &Path) -> Installed {
        let mut paths: Vec<PathBuf> = INSTALLED.iter().map(|path| root.join(path)).filter(|path| fs::symlink_metadata(path).is_ok()).collect();
        let pages = fs::read_dir(root.join(PAGES.0)).into_iter().flatten().take(PAGES_MAX).flatten().map(|page| page.path());
        let own = |page: &PathBuf| page.file_name().and_then(|name| name.to_str()).is_some_and(is_page);
        let mut pages: Vec<PathBuf> = pages.filter(own).collect();
        pages.sort();
        paths.extend(pages);
        Installed { root: root.to_owned(), paths }
    }

    fn has(&self, path: &str) -> bool {
        self.paths.contains(&self.root.join(path))
    }

    /// What root does, in this order; `left` is what could not be removed of the rest.
    pub(super) fn still_to_do<'a>(&self, left: impl Iterator<Item = &'a Item>) -> Vec<String> {
        let mut commands = Vec::new();
        let mut when = |holds: bool, command: &str| commands.extend(holds.then(|| command.to_owned()));
        when(self.has(HELPER_TIMER), "sudo systemctl disable --now mimamori-agent-hardware.timer");
        when(self.has(AGENT_UNIT), "sudo systemctl disable mimamori-agent");
        let mut gone: Vec<&Path> = left.map(|item| item.path.as_path()).collect();
        // Its timer may have run once more meanwhile.
        let again: Vec<PathBuf> = HELPER.iter().map(|(folder, _)| self.root.join(folder)).filter(|_| self.has(HELPER_TIMER)).collect();
        gone.extend(again.iter().map(PathBuf::as_path).filter(|folder| !gone.contains(folder)).collect::<Vec<_>>());
        gone.extend(self.paths.iter().map(PathBuf::as_path));
        commands.extend(gone.iter().map(|path| {
            let how = if again.iter().any(|folder| folder == path) {
                "rm -rf"
            } else if path.is_dir() {
                "rm -r"
            } else {
                "rm"
            };
            format!("sudo {how} {}", quoted(path))
        }));
        let mut when = |holds: bool, command: &str| commands.extend(holds.then(|| command.to_owned()));
        when(self.paths.iter().any(|path| path.starts_with(self.root.join("etc/systemd/system"))), "sudo systemctl daemon-reload");
        when(self.has(ACCOUNT), "sudo userdel mimamori-agent");
        commands
    }
}

/// `mimamori-agent.1`, `mimamori-agent-consent.1`, …
fn is_page(name: &str) -> bool {
    name.strip_prefix(PAGES.1).is_some_and(|rest| rest.starts_with(['.', '-']) && rest.ends_with(".1"))
}

/// What the helper left, and what it was told.
pub(super) fn helper(root: &Path) -> Vec<Item> {
    let there = |path: &Path| match fs::symlink_metadata(path) {
        Ok(meta) => Some(meta.len()),
        Err(_) => None,
    };
    let folder = |(folder, names): &(&str, [&str; 2])| {
        let path = root.join(folder);
        there(&path)?;
        let bytes = names.iter().filter_map(|name| there(&path.join(name))).sum();
        Some(Item { path, what: What::Helper, bytes })
    };
    let config = root.join(HELPER_CONFIG);
    let config = there(&config).map(|bytes| Item { path: config, what: What::Helper, bytes });
    HELPER.iter().filter_map(folder).chain(config).collect()
}

/// Removes a file of the helper's, or one of its folders with the files that it has there and no others.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let Some((_, names)) = HELPER.iter().find(|(folder, _)| path.ends_with(folder)) else { return fs::remove_file(path) };
    for name in names {
        match fs::remove_file(path.join(name)) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
    }
    fs::remove_dir(path)
}
