//! What a target holds, as far as it can be told in a bounded time.

use mimamori_parse::backup_runs::Size;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Most entries that are looked at.
const ENTRIES_MAX: u64 = 1_000_000;
/// Deepest folder below the target.
const DEPTH_MAX: usize = 64;

/// Looks at a file, or at everything below a folder on its filesystem, for no longer than `limit`. `None` when there is
/// nothing to be looked at, or it may not be.
#[must_use]
pub fn measured(target: &Path, limit: Duration) -> Option<Size> {
    let (end, top) = (Instant::now() + limit, fs::metadata(target).ok()?);
    let mut size = Size { bytes: 0, files: 0, newest_ms: 0, whole: true };
    if top.is_file() {
        add(&mut size, &top);
        return Some(size);
    }
    let mut seen = 0_u64;
    let mut left: Vec<(PathBuf, usize)> = vec![(target.to_owned(), 0)];
    // The target itself must be readable; what is below it and is not makes the figures those of a part.
    fs::read_dir(target).ok()?;
    while let Some((folder, depth)) = left.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            size.whole = false;
            continue;
        };
        for entry in entries {
            seen += 1;
            if seen > ENTRIES_MAX || Instant::now() > end {
                size.whole = false;
                return Some(size);
            }
            let Some((path, meta)) = entry.ok().and_then(|entry| Some((entry.path(), entry.metadata().ok()?))) else {
                size.whole = false;
                continue;
            };
            if !meta.is_dir() {
                add(&mut size, &meta);
            } else if meta.dev() == top.dev() && depth < DEPTH_MAX {
                left.push((path, depth + 1));
            } else {
                size.whole = false;
            }
        }
    }
    Some(size)
}

fn add(size: &mut Size, meta: &Metadata) {
    size.files = size.files.saturating_add(1);
    size.bytes = size.bytes.saturating_add(meta.len());
    size.newest_ms = size.newest_ms.max(meta.mtime().saturating_mul(1000).saturating_add(meta.mtime_nsec() / 1_000_000));
}
