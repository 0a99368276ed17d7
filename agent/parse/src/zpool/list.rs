//! The grammar of `zpool list`: a table with a head, or columns between tabs without one.

use super::{GROUPS, HEALTHS, Pool, VDEVS_MAX, Vdev, Zpool, device, percent};
use crate::verdict;
use crate::{text, trouble};

/// The columns when nothing else is asked for, by their number: today's, before checkpoints, before fragmentation, and
/// before deduplication.
const USUAL: &[&[&str]] = &[
    &["NAME", "SIZE", "ALLOC", "FREE", "CKPOINT", "EXPANDSZ", "FRAG", "CAP", "DEDUP", "HEALTH", "ALTROOT"],
    &["NAME", "SIZE", "ALLOC", "FREE", "EXPANDSZ", "FRAG", "CAP", "DEDUP", "HEALTH", "ALTROOT"],
    &["NAME", "SIZE", "ALLOC", "FREE", "CAP", "DEDUP", "HEALTH", "ALTROOT"],
    &["NAME", "SIZE", "ALLOC", "FREE", "CAP", "HEALTH", "ALTROOT"],
];
/// As a common collector asks for them: `-o name,health,size,alloc,free,fragmentation,capacity,dedupratio`.
const HEALTH_SECOND: &[&str] = &["NAME", "HEALTH", "SIZE", "ALLOC", "FREE", "FRAG", "CAP", "DEDUP"];

/// Reads all rows; false when they are of another table.
pub(super) fn read(lines: &[(usize, &str)], zpool: &mut Zpool) -> bool {
    let head: Option<Vec<&str>> = lines
        .first()
        .map(|(_, line)| line.split_whitespace().collect())
        .filter(|words: &Vec<&str>| words.first() == Some(&"NAME") && words.iter().any(|word| matches!(*word, "HEALTH" | "SIZE" | "CAP")));
    let rows = lines.get(usize::from(head.is_some())..).unwrap_or_default();
    let before = zpool.pools.len();
    let mut group = None;
    let mut broken = false;
    for (index, line) in rows {
        if !line.starts_with([' ', '\t']) && zpool.message(line) {
            continue;
        }
        let words: Vec<&str> =
            if line.contains('\t') { line.split('\t').skip_while(|word| word.is_empty()).collect() } else { line.split_whitespace().collect() };
        // The name of a group of -v stands where a pool's does, without figures.
        let of_group = words.first().is_some_and(|name| GROUPS.contains(name)) && words.iter().skip(1).all(|word| *word == "-");
        let deep = of_group || line.starts_with([' ', '\t']);
        let columns = head.as_deref().or_else(|| columns(&words)).or(if deep { USUAL.first().copied() } else { None });
        let row = columns.and_then(|columns| row(columns, &words, deep));
        match row {
            Some(pool) if deep => below(pool, line, zpool, &mut group),
            Some(pool) => {
                group = None;
                zpool.pool(pool);
            }
            // The first row decides which table it is.
            None if head.is_none() && zpool.pools.len() == before => return false,
            None => {
                broken = true;
                verdict::fault(&mut zpool.faults, trouble::malformed(*index, line));
            }
        }
    }
    // A head without rows is a list without pools; rows of which none fits are another table.
    zpool.pools.len() > before || (head.is_some() && !broken)
}

/// The columns of a row without a head, by where the health stands in it.
fn columns(words: &[&str]) -> Option<&'static [&'static str]> {
    let at = words.iter().position(|word| HEALTHS.contains(word))?;
    if at == 1 && words.len() == HEALTH_SECOND.len() {
        return Some(HEALTH_SECOND);
    }
    let usual = USUAL.iter().find(|columns| columns.len() == words.len() && columns.get(at) == Some(&"HEALTH")).copied();
    usual.or(if at == 1 { HEALTH_SECOND.get(..2) } else { None })
}

fn row(columns: &[&str], words: &[&str], deep: bool) -> Option<Pool> {
    // A name with spaces in it.
    let extra = if deep { 0 } else { words.len().saturating_sub(columns.len()) };
    let name = words.get(..=extra)?.join(" ");
    if columns.first() != Some(&"NAME") || (!deep && words.len() < columns.len()) || words.len() > 64 {
        return None;
    }
    let value = |names: &[&str]| {
        let at = columns.iter().position(|column| names.contains(column))?;
        words.get(at + extra).copied().map(str::trim).filter(|word| *word != "-" && !word.is_empty())
    };
    let pool = Pool {
        name: text::plain(&name),
        health: value(&["HEALTH"]).map(text::plain),
        size_bytes: value(&["SIZE"]).and_then(text::size),
        allocated_bytes: value(&["ALLOC", "ALLOCATED", "USED"]).and_then(text::size),
        free_bytes: value(&["FREE", "AVAIL"]).and_then(text::size),
        fragmentation_percent: value(&["FRAG", "FRAGMENTATION"]).and_then(percent),
        capacity_percent: value(&["CAP", "CAPACITY"]).and_then(percent),
        dedup_milli: value(&["DEDUP", "DEDUPRATIO"]).and_then(|word| text::milli(word.trim_end_matches('x'))),
        ..Pool::default()
    };
    // Rows below a pool may lack their last columns.
    let fits = value(&["SIZE"]).is_none() || pool.size_bytes.is_some();
    fits.then_some(pool)
}

/// A row of -v: what a pool consists of, or the name of a group.
fn below(row: Pool, line: &str, zpool: &mut Zpool, group: &mut Option<String>) {
    let Some(pool) = zpool.pools.last_mut() else { return };
    let indent = line.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 2 } else { 1 }).sum::<usize>();
    if indent == 0 {
        *group = Some(row.name);
    } else if pool.vdevs.len() < VDEVS_MAX {
        let state = row.health.filter(|health| HEALTHS.contains(&health.as_str()) || matches!(health.as_str(), "AVAIL" | "INUSE"));
        pool.vdevs.push(Vdev { name: device(&row.name), depth: (indent / 2).max(1), group: group.clone(), state, ..Vdev::default() });
    }
}
