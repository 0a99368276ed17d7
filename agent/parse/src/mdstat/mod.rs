//! Software RAID as the kernel lists it: `/proc/mdstat` (drivers/md/md.c `md_seq_show`, kernel 2.6 and later).

use crate::verdict::{self, Verdict};
use crate::{Fault, Outcome, Unreadable, text, trouble};
use serde::Serialize;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mdstat {
    /// The arrays in the file's order.
    pub arrays: Vec<Array>,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

/// Whether an array runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs.
    Active,
    /// It does not: a container of the firmware's, or an array that could not be started.
    #[default]
    Inactive,
    /// It ran and lost too many members.
    Broken,
}

/// One array.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Array {
    /// `md0`.
    pub name: String,
    /// Whether it runs.
    pub state: State,
    /// `read-only` or `auto-read-only` (until the first write).
    pub access: Option<String>,
    /// `raid1`, `linear`, …; a stopped array has none.
    pub level: Option<String>,
    /// Usable size in bytes.
    pub size_bytes: Option<i64>,
    /// Version of the metadata: `1.2`, `external:imsm`; version 0.90 is not printed.
    pub metadata: Option<String>,
    /// Members that there should be; arrays without redundancy say none.
    pub slots: Option<i64>,
    /// Members in working order.
    pub slots_up: Option<i64>,
    /// One letter per slot: `U` up, `_` missing.
    pub map: Option<String>,
    /// Devices, also spare and failed ones.
    pub members: Vec<Member>,
    /// What is being done to the array.
    pub progress: Option<Progress>,
    /// Whether a bitmap notes what is out of step.
    pub bitmap: bool,
}

/// One device of an array.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "the kernel's flags are independent of each other")]
pub struct Member {
    /// `sda1`.
    pub device: String,
    /// The number in brackets; not the slot.
    pub number: Option<i64>,
    /// (F)
    pub failed: bool,
    /// (S)
    pub spare: bool,
    /// (W)
    pub write_mostly: bool,
    /// (R)
    pub replacement: bool,
    /// (J)
    pub journal: bool,
}

/// A running or waiting operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// `recovery`, `resync`, `reshape`, `check`.
    pub operation: String,
    /// `delayed`, `pending` or `remote` when it does not run now.
    pub waiting: Option<String>,
    /// Done, in thousandths of a percent.
    pub done_milli_percent: Option<i64>,
    /// Expected rest in seconds.
    pub finish_seconds: Option<i64>,
    /// Bytes a second.
    pub speed_bytes_per_second: Option<i64>,
}

const SUCH_AS: &str = "Personalities : [raid1]";

impl Array {
    /// Holds arrays of the firmware's metadata and is never active itself.
    #[must_use]
    pub fn container(&self) -> bool {
        self.metadata.as_deref().and_then(|metadata| metadata.strip_prefix("external:")).is_some_and(|kind| !kind.starts_with(['/', '-']))
    }

    /// A member is missing or not in step yet.
    #[must_use]
    pub fn degraded(&self) -> bool {
        let counted = self.slots.zip(self.slots_up).is_some_and(|(slots, up)| up < slots);
        counted || self.map.as_deref().is_some_and(|map| map.contains('_'))
    }

    /// A level whose members the kernel counts.
    fn redundant(&self) -> bool {
        self.level.as_deref().is_some_and(|level| matches!(level, "raid1" | "raid4" | "raid5" | "raid6" | "raid10"))
    }

    fn judge(&self, verdict: &mut Verdict) {
        let name = &self.name;
        match self.state {
            State::Broken => verdict.bad(format!("{name} is broken")),
            State::Inactive if !self.container() => verdict.bad(format!("{name} is inactive")),
            _ => {}
        }
        for member in self.members.iter().filter(|member| member.failed) {
            verdict.bad(format!("{name}: {} has failed", member.device));
        }
        if self.degraded() {
            let count = self.slots.zip(self.slots_up).map(|(slots, up)| format!(" {up} of {slots} members")).unwrap_or_default();
            verdict.bad(format!("{name} is degraded:{count}{}", self.progress.as_ref().map(Progress::words).unwrap_or_default()));
        } else if self.state == State::Active && self.redundant() && self.slots.is_none() {
            verdict.unknown(format!("{name}: no count of its members"));
        }
    }
}

impl Progress {
    /// `, recovering 8.5 %`
    fn words(&self) -> String {
        let doing = if self.operation == "recovery" { "recovering" } else { &self.operation };
        match (self.waiting.as_deref(), self.done_milli_percent) {
            (Some(waiting), _) => format!(", {} {waiting}", self.operation),
            (None, Some(milli)) => format!(", {doing} {}.{} %", milli / 1000, milli % 1000 / 100),
            (None, None) => format!(", {doing}"),
        }
    }
}

/// Reads the file.
///
/// # Errors
/// When it is empty or does not begin as the kernel's file does.
pub fn parse(input: &str) -> Result<Mdstat, Unreadable> {
    let Some((first, _)) = input.lines().enumerate().find(|(_, line)| !line.trim().is_empty()) else { return Err(Unreadable::Empty) };
    let mut mdstat = Mdstat::default();
    let mut open: Option<Array> = None;
    for (index, line) in input.lines().enumerate().skip(first) {
        let known = if line.trim().is_empty() {
            true
        } else if let Some((array, whole)) = header(line) {
            mdstat.close(open.replace(array));
            whole
        } else if ["Personalities", "unused devices:", "read_ahead", "Event:"].iter().any(|word| line.starts_with(word)) {
            mdstat.close(open.take());
            true
        } else if line.starts_with("md") {
            // What stands below a broken head belongs to no other array.
            mdstat.close(open.take());
            false
        } else {
            open.as_mut().is_some_and(|array| detail(array, line.trim()).is_some())
        };
        if index == first && !known {
            return Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS });
        }
        if !known {
            verdict::fault(&mut mdstat.faults, trouble::malformed(index, line));
        }
    }
    mdstat.close(open);
    verdict::twice(mdstat.arrays.iter().map(|array| array.name.as_str()), &mut mdstat.faults);
    Ok(mdstat)
}

impl Mdstat {
    fn close(&mut self, array: Option<Array>) {
        let Some(array) = array else { return };
        verdict::push(&mut self.arrays, array, &mut self.faults);
    }
}

/// `md0 : active (read-only) raid1 sda1[0] sdb1[1](F)`, and whether all of it was understood.
fn header(line: &str) -> Option<(Array, bool)> {
    let (name, rest) = line.split_once(" : ")?;
    if !name.starts_with("md") || name.contains(char::is_whitespace) {
        return None;
    }
    let mut words = rest.split_whitespace().peekable();
    let state = match words.next()? {
        "active" => State::Active,
        "inactive" => State::Inactive,
        "broken" => State::Broken,
        _ => return None,
    };
    let mut array = Array { name: text::plain(name), state, ..Array::default() };
    let access = words.next_if(|word| word.starts_with('('));
    array.access = access.map(|word| text::plain(word.trim_matches(['(', ')'])));
    array.level = words.next_if(|word| !word.contains('[')).map(text::plain);
    let mut whole = true;
    for word in words {
        match member(word) {
            Some(member) if array.members.len() < crate::RECORDS_MAX => array.members.push(member),
            _ => whole = false,
        }
    }
    Some((array, whole))
}

/// `sda1[0](W)(F)`
fn member(word: &str) -> Option<Member> {
    let (device, rest) = word.split_once('[').filter(|(device, _)| !device.is_empty())?;
    let (number, flags) = rest.split_once(']')?;
    let has = |flag| flags.contains(flag);
    Some(Member {
        device: text::plain(device),
        number: Some(text::whole(number)?),
        failed: has("(F)"),
        spare: has("(S)"),
        write_mostly: has("(W)"),
        replacement: has("(R)"),
        journal: has("(J)"),
    })
}

/// A line below an array's first.
fn detail(array: &mut Array, line: &str) -> Option<()> {
    if let Some((blocks, rest)) = line.split_once(" blocks") {
        array.size_bytes = Some(text::whole(blocks)?.checked_mul(1024)?);
        return sizes(array, rest);
    }
    if line.starts_with("bitmap:") {
        array.bitmap = true;
        return Some(());
    }
    let progress = if line.starts_with('[') { running(line)? } else { waiting(line)? };
    array.progress = Some(progress);
    Some(())
}

/// What stands behind the blocks: metadata, layout, and `[2/1] [U_]`.
fn sizes(array: &mut Array, rest: &str) -> Option<()> {
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        let inner = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
        match (word, inner) {
            ("super", _) => array.metadata = words.next().map(text::plain),
            (_, Some(inner)) if inner.contains('/') => {
                let (slots, up) = inner.split_once('/')?;
                (array.slots, array.slots_up) = (Some(text::whole(slots)?), Some(text::whole(up)?));
            }
            (_, Some(inner)) if !inner.is_empty() && inner.chars().all(|slot| matches!(slot, 'U' | '_')) => array.map = Some(inner.to_owned()),
            _ => {}
        }
    }
    Some(())
}

/// `[=>....]  recovery =  8.5% (1/10) finish=17.0min speed=259783K/sec`
fn running(line: &str) -> Option<Progress> {
    let rest = line.split_once(']')?.1.trim_start();
    let (operation, rest) = rest.split_once('=')?;
    let (percent, rest) = rest.split_once('%')?;
    let value = |key: &str| rest.split_whitespace().find_map(|word| word.strip_prefix(key));
    let minutes = value("finish=").and_then(|word| text::milli(word.strip_suffix("min")?));
    let kibibytes = value("speed=").and_then(|word| text::whole(word.strip_suffix("K/sec")?));
    Some(Progress {
        operation: text::plain(operation),
        waiting: None,
        done_milli_percent: Some(text::milli(percent.trim())?),
        finish_seconds: minutes.map(|milli| milli.saturating_mul(60) / 1000),
        speed_bytes_per_second: kibibytes.and_then(|speed| speed.checked_mul(1024)),
    })
}

/// `resync=DELAYED`
fn waiting(line: &str) -> Option<Progress> {
    let (operation, how) = line.split_once('=')?;
    matches!(how, "DELAYED" | "PENDING" | "REMOTE").then(|| Progress {
        operation: text::plain(operation),
        waiting: Some(how.to_lowercase()),
        ..Progress::default()
    })
}

/// How the file reads: bad when an array lacks members, is stopped, or holds a failed device. A check or a resync of an
/// array with all members is no fault.
///
/// # Errors
/// As [`parse`], unless it is a complaint such as `cat: /proc/mdstat: No such file or directory`.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let mdstat = match parse(input) {
        Ok(mdstat) => mdstat,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut verdict = Verdict::default();
    mdstat.arrays.iter().for_each(|array| array.judge(&mut verdict));
    let fine = if mdstat.arrays.is_empty() { "no arrays".to_owned() } else { format!("{} arrays, none degraded", mdstat.arrays.len()) };
    let mut outcome = verdict.outcome_with(fine, mdstat.faults);
    for array in &mdstat.arrays {
        let of: &[(&'static str, &str)] = &[("array", &array.name)];
        outcome.reading("raid_size", of, array.size_bytes.map(text::float), "bytes");
        outcome.reading("raid_members", of, array.slots.map(text::float), "count");
        outcome.reading("raid_members_up", of, array.slots_up.map(text::float), "count");
        let count = |counted: fn(&Member) -> bool| array.members.iter().filter(|member| counted(member)).count();
        outcome.reading("raid_members_failed", of, i64::try_from(count(|member| member.failed)).ok().map(text::float), "count");
        outcome.reading("raid_members_spare", of, i64::try_from(count(|member| member.spare)).ok().map(text::float), "count");
        if let Some(progress) = &array.progress {
            let of = &[("array", array.name.as_str()), ("operation", progress.operation.as_str())];
            outcome.reading("raid_progress", of, progress.done_milli_percent.map(|milli| text::float(milli) / 1000.0), "percent");
            outcome.reading("raid_finish", of, progress.finish_seconds.map(text::float), "seconds");
            outcome.reading("raid_speed", of, progress.speed_bytes_per_second.map(text::float), "bytes_per_second");
        }
        outcome.record(array);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests;
