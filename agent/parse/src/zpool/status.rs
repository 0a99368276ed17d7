//! The grammar of `zpool status`: paragraphs of `key: text`, and a table.

use super::{GROUPS, Pool, Scan, VDEVS_MAX, Vdev, Zpool, device};
use crate::verdict;
use crate::{text, trouble};

/// The keys, which stand right-aligned before a colon.
const KEYS: &[&str] = &["pool", "state", "status", "action", "see", "scan", "scrub", "remove", "checkpoint", "config", "errors", "dedup", "expand", "comment"];

#[derive(Default)]
struct Open {
    pool: Pool,
    key: &'static str,
    /// Indent of the pool's own row.
    base: Option<usize>,
    group: Option<String>,
    /// Files with errors that were listed.
    listed: i64,
}

/// Reads all pools. The lines are numbered from 0 and not blank.
pub(super) fn read(lines: &[(usize, &str)], zpool: &mut Zpool) {
    let mut open = Open::default();
    for (index, line) in lines {
        if let Some((key, value)) = key(line) {
            if key == "pool" {
                finish(std::mem::take(&mut open), zpool);
                open.pool.name = text::plain(value);
                open.pool.from_status = true;
            }
            open.key = key;
            open.begin(value);
        } else if !line.starts_with([' ', '\t']) && zpool.message(line) {
            // Said about another pool.
        } else if !open.more(line) {
            verdict::fault(&mut zpool.faults, trouble::malformed(*index, line));
        }
    }
    finish(open, zpool);
}

fn finish(mut open: Open, zpool: &mut Zpool) {
    if open.listed > 0 {
        open.pool.data_errors = Some(open.listed);
    }
    if !open.pool.name.is_empty() {
        zpool.pool(open.pool);
    }
}

/// ` state: ONLINE`
fn key(line: &str) -> Option<(&'static str, &str)> {
    let (word, value) = line.split_once(':')?;
    // Rows of the table and lists of files stand behind a tab.
    let key = KEYS.iter().find(|key| **key == word.trim_start_matches(' '))?;
    (word.len() <= 12).then(|| (*key, value.trim()))
}

impl Open {
    fn begin(&mut self, value: &str) {
        match self.key {
            "state" => self.pool.health = value.split_whitespace().next().map(text::plain),
            "scan" | "scrub" => self.scan(value),
            "errors" => {
                self.pool.damaged = Some(value != "No known data errors");
                let number = value.split_whitespace().next().and_then(text::size);
                self.pool.data_errors = if self.pool.damaged == Some(false) { Some(0) } else { number.filter(|_| value.contains("data errors")) };
            }
            _ => {}
        }
    }

    /// A further line of the paragraph.
    fn more(&mut self, line: &str) -> bool {
        match self.key {
            "config" => self.row(line),
            "errors" => {
                self.listed += i64::from(self.pool.damaged == Some(true));
                true
            }
            "scan" | "scrub" => {
                if let Some(scan) = self.pool.scans.last_mut() {
                    progress(scan, line);
                }
                true
            }
            "" => false,
            _ => line.starts_with([' ', '\t']),
        }
    }

    fn scan(&mut self, value: &str) {
        let words: Vec<&str> = value.split_whitespace().collect();
        let operation = match words.first() {
            Some(word) if word.starts_with("resilver") => "resilver",
            Some(&("scrub" | "error")) => "scrub",
            _ => return,
        };
        let has = |word: &str| words.contains(&word);
        let state = if value.contains("in progress") {
            "running"
        } else if has("paused") {
            "paused"
        } else if has("canceled") || has("cancelled") || has("stopped") {
            "canceled"
        } else {
            "finished"
        };
        let before = |after: &str| words.windows(2).find_map(|pair| if pair.get(1)?.trim_end_matches(',') == after { text::size(pair.first()?) } else { None });
        let errors = before("errors");
        let after = |word: &str| words.windows(2).find_map(|pair| if *pair.first()? == word { text::size(pair.get(1)?) } else { None });
        let filled = || words.iter().skip(1).find(|word| !word.starts_with('(')).and_then(|word| text::size(word));
        let repaired_bytes = if operation == "scrub" { after("repaired") } else { filled() };
        let mut scan = Scan { operation: operation.to_owned(), state: state.to_owned(), errors, done_milli_percent: None, repaired_bytes };
        progress(&mut scan, value);
        if self.pool.scans.len() < 8 {
            self.pool.scans.push(scan);
        }
    }

    fn row(&mut self, line: &str) -> bool {
        let indent = line.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 8 } else { 1 }).sum::<usize>();
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { return true };
        let state = words.next();
        if name == "NAME" && state == Some("STATE") {
            return true;
        }
        if state.is_none() && GROUPS.contains(&name) {
            self.group = Some(name.to_owned());
            return true;
        }
        let rest: Vec<&str> = words.collect();
        let counts: Vec<i64> = rest.iter().take(3).map_while(|word| text::size(word)).collect();
        let count = |at: usize| if counts.len() == 3 { counts.get(at).copied() } else { None };
        // Further numbers are the columns that -s and -g ask for.
        let from = if counts.len() == 3 { 3 } else { 0 };
        let note: Vec<&str> = rest.iter().skip(from).skip_while(|word| **word == "-" || text::size(word).is_some()).copied().collect();
        let note = (!note.is_empty()).then(|| text::plain(&note.join(" ")));
        let Some(base) = self.base else {
            self.base = Some(indent);
            (self.pool.read_errors, self.pool.write_errors, self.pool.checksum_errors) = (count(0), count(1), count(2));
            return state.is_some();
        };
        if self.pool.vdevs.len() >= VDEVS_MAX || state.is_some_and(|state| !state.bytes().all(|b| b.is_ascii_uppercase())) {
            return false;
        }
        let depth = (indent.saturating_sub(base) / 2).max(1);
        self.pool.vdevs.push(Vdev {
            name: device(name),
            depth,
            group: self.group.clone(),
            state: state.map(text::plain),
            read_errors: count(0),
            write_errors: count(1),
            checksum_errors: count(2),
            note,
        });
        state.is_some()
    }
}

/// `1.5M repaired, 12.34% done, 00:10:00 to go`
fn progress(scan: &mut Scan, line: &str) {
    for part in line.split(',').map(str::trim) {
        let first = part.split_whitespace().next();
        if let Some(done) = part.strip_suffix("% done") {
            scan.done_milli_percent = text::milli(done);
        } else if part.ends_with(" repaired") || part.ends_with(" resilvered") {
            scan.repaired_bytes = first.and_then(text::size).or(scan.repaired_bytes);
        }
    }
}
