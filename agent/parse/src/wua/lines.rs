//! Pending updates as scripts of monitoring print them.

use super::title::{self, Class};
use super::{Pending, Updates};
use crate::patch::PatchRecord;
use crate::text;
use crate::verdict::fault;
use crate::when::{When, order_of};
use crate::{Fault, trouble};

/// Lines that are not the script's own.
fn lines(input: &str) -> impl Iterator<Item = (usize, &str)> {
    input.lines().enumerate().map(|(number, line)| (number, line.trim())).filter(|(_, line)| !line.is_empty() && !line.starts_with("<<<"))
}

/// What the script of sums says where it could not look: `x x x`, and why below; or nothing at all below its heading.
pub(super) fn failed(input: &str) -> Option<&str> {
    let mut lines = lines(input).map(|(_, line)| line);
    match lines.next() {
        Some(sums) if sums.split_whitespace().eq(["x", "x", "x"]) => Some(lines.next().unwrap_or("the script tells of an error and not of which")),
        None if input.contains("<<<") => Some("the script tells nothing"),
        _ => None,
    }
}

pub(super) fn read(input: &str) -> Option<Updates> {
    let first = lines(input).next().map(|(_, line)| line)?;
    let numbers: Vec<i64> = first.split_whitespace().filter_map(text::whole).collect();
    match numbers.as_slice() {
        [reboot @ (0 | 1), important, optional] if first.split_whitespace().count() == 3 => sums(input, *reboot == 1, *important, *optional),
        _ => titles(input),
    }
}

/// `reboot important optional`; below, where there are some, the important titles in one line and the optional in another.
fn sums(input: &str, reboot: bool, important: i64, optional: i64) -> Option<Updates> {
    let mut rest = lines(input).skip(1).map(|(_, line)| line);
    let mut pending = Pending::default();
    for count in [important, optional] {
        let titles = if count > 0 { rest.next().unwrap_or_default() } else { "" };
        let classes: Vec<Class> = titles.split("; ").filter(|title| !title.trim().is_empty()).map(title::of_title).collect();
        let told = i64::try_from(classes.len()).ok()?.min(count);
        classes.into_iter().take(usize::try_from(told).ok()?).for_each(|class| pending.add(class));
        // What has no title is there all the same.
        pending.all = pending.all.saturating_add(count - told);
        pending.untold = pending.untold.saturating_add(count - told);
    }
    let mut record = PatchRecord { reboot_required: Some(reboot), ..PatchRecord::default() };
    pending.tell(&mut record);
    Some(Updates { record, ..Updates::default() })
}

/// One title a line, as a list or not, with the date of its publication in brackets behind it.
fn titles(input: &str) -> Option<Updates> {
    let mut pending = Pending::default();
    let mut faults: Vec<Fault> = Vec::new();
    let (mut rows, mut nothing) = (Vec::new(), false);
    for (number, line) in lines(input) {
        let line = line.strip_prefix("* ").or_else(|| line.strip_prefix("- ")).unwrap_or(line);
        let date = line.strip_suffix(']').and_then(|line| line.rsplit_once(" [")).map(|(_, date)| date).filter(|date| date.bytes().any(|b| b.is_ascii_digit()));
        if date.is_some() || !title::articles(&line.to_lowercase()).is_empty() {
            rows.push((line, date));
        } else if line.starts_with("There are no pending updates") {
            nothing = true;
        } else if !(line.starts_with("There ") && line.contains(" pending update")) {
            fault(&mut faults, trouble::malformed(number, line));
        }
    }
    if rows.is_empty() && !nothing {
        return None;
    }
    let order = order_of(rows.iter().filter_map(|(_, date)| *date));
    let mut oldest: Option<When> = None;
    for (title, date) in &rows {
        let class = title::of_title(title);
        pending.add(class);
        let date = date.and_then(|date| When::read(date, order)).filter(|_| class == Class::Security);
        if date.is_some_and(|date| oldest.is_none_or(|oldest| date.earliest_ms() < oldest.earliest_ms())) {
            oldest = date;
        }
    }
    let mut record = PatchRecord { oldest_security_at: oldest, ..PatchRecord::default() };
    pending.tell(&mut record);
    // Among titles a line that is none may be one that we do not know: then the number is not known.
    if !faults.is_empty() {
        record.pending_security = None;
    }
    Some(Updates { record, begun: 0, faults })
}
