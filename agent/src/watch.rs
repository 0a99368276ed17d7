//! Watching for news in files of others: the consent, and what the hardware helper leaves.

use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Tells at once when a file or its folder changes; the nap catches what this misses.
pub(crate) fn watch(path: &Path, changed: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    use notify::Watcher as _;
    let folder = path.parent()?.to_owned();
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    // Reading the file is an event too, and must not lead to reading it again.
    let tell = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| event.kind.is_create() || event.kind.is_modify() || event.kind.is_remove()) {
            changed.try_send(()).unwrap_or_default();
        }
    };
    let mut watcher = notify::recommended_watcher(tell).ok()?;
    watcher.watch(&folder, notify::RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}
