//! The text of `list-backups` and `check`.

use super::{Backups, Check, Copy, checked, complaint, server, size, stamp};
use crate::text;

/// Reads the lines; `None` when they are none of this tool's.
pub(super) fn read(input: &str) -> Option<Backups> {
    let mut backups = Backups::default();
    let mut listed: Vec<(&str, Vec<Copy>)> = Vec::new();
    let mut checks: Vec<(&str, Vec<Check>)> = Vec::new();
    let mut familiar = false;
    for (index, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if let Some((name, copy)) = row(line) {
            familiar = true;
            // The backups of a server stand together.
            match listed.last_mut().filter(|(known, _)| *known == name) {
                Some((_, copies)) => copies.push(copy),
                None => listed.push((name, vec![copy])),
            }
        } else if let Some(name) = line.strip_prefix("Server ").and_then(|rest| rest.trim_end().strip_suffix(':')) {
            checks.push((name.split(" (").next().unwrap_or(name), Vec::new()));
        } else if let (Some((_, rows)), Some(check)) = (checks.last_mut(), check(line)) {
            familiar = true;
            rows.push(check);
        } else if line.contains(" barman.") {
            // Lines of the log, which repeat what the answer says.
        } else if line.starts_with("ERROR: ") || line.starts_with("EXCEPTION: ") || line.contains("barman: ") && complaint(line).is_some() {
            let (code, words) = complaint(line).unwrap_or(("io_error", "the tool gave up"));
            backups.fault(code, words);
            familiar = true;
        } else if familiar {
            backups.malformed(index, "neither a backup nor a check");
        }
    }
    if !familiar {
        return None;
    }
    listed.iter().for_each(|(name, copies)| server(name, copies, &mut backups));
    checks.iter().for_each(|(name, rows)| checked(name, rows, &mut backups));
    Some(backups)
}

/// `main 20261122T031855 'weekly' - F - Sun Nov 22 03:19:00 2026 - Size: 21.9 MiB - WAL Size: 0 B - OBSOLETE`, `… - FAILED`.
fn row(line: &str) -> Option<(&str, Copy)> {
    let (name, rest) = line.trim().split_once(' ')?;
    let id = rest.get(..15)?;
    let (day, clock) = id.split_once('T')?;
    if day.len() != 8 || text::whole(day).is_none() || text::whole(clock).is_none() {
        return None;
    }
    let mut parts = rest.split(" - ").skip(1).map(str::trim).peekable();
    // The kind of backup, in new versions: full, incremental, snapshot, rsync.
    parts.next_if(|part| part.len() == 1);
    let first = parts.next()?;
    let Some(bytes) = parts.next() else {
        let word = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        return word.then(|| (name, Copy { status: first.to_owned(), ended: None, size: None }));
    };
    Some((name, Copy { status: "DONE".to_owned(), ended: stamp(Some(first)), size: bytes.strip_prefix("Size: ").and_then(size) }))
}

/// Indented: `wal_level: OK`, `failed backups: FAILED (there are 2 failed backups)`.
fn check(line: &str) -> Option<Check<'_>> {
    let (name, rest) = line.strip_prefix(['\t', ' '])?.trim().split_once(": ")?;
    let (word, hint) = rest.split_once(" (").unwrap_or((rest, ""));
    let passed = match word {
        "OK" => true,
        "FAILED" => false,
        _ => return None,
    };
    Some(Check { name, passed, hint: hint.strip_suffix(')').unwrap_or(hint) })
}
