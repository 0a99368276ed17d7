//! Rows of the attribute table and of the log of self-tests.

use super::number;
use crate::drive::{Attribute, SelfTest, WhenFailed};
use crate::text;

/// Whose log of self-tests it is; each has its own columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tests {
    Ata,
    Scsi,
    Nvme,
}

/// Beginnings of the column that says how a self-test ended, or that it has not.
const ENDS: [&str; 10] = [
    "Completed",
    "Aborted",
    "Interrupted",
    "Fatal or unknown",
    "Self-test routine in progress",
    "Self test in progress",
    "Failed in",
    "Unknown status",
    "Unknown error",
    "Unknown result",
];

/// Above this a raw value is no count of hours or cycles: the same bound as smartctl's own.
const PLAUSIBLE_MAX: i64 = 0x00ff_ffff;

/// The heading of a log of self-tests.
pub(super) fn tests_header(line: &str) -> Option<Tests> {
    if !line.starts_with("Num ") || !line.contains("Test") {
        return None;
    }
    Some(match () {
        () if line.contains("LifeTime(hours)") => Tests::Ata,
        () if line.contains("Power_on_Hours") => Tests::Nvme,
        () => Tests::Scsi,
    })
}

/// `5 Reallocated_Sector_Ct 0x0033 100 100 036 Pre-fail Always - 0`, or in the brief form
/// `5 Reallocated_Sector_Ct PO--CK 100 100 036 - 0`; numbers also in hexadecimal.
pub(super) fn attribute(line: &str) -> Option<Attribute> {
    let mut words = Words(line);
    let id = number(words.next()?).filter(|id| (1..=255).contains(id))?;
    let (name, flags) = name_and_flags(&mut words)?;
    let mut column = || {
        let word = words.next()?;
        if word.starts_with("--") { Some(None) } else { number(word).map(Some) }
    };
    let (value, worst, threshold) = (column()?, column()?, column()?);
    let (mut prefailure, mut failed) = (flags, words.next()?);
    if let Some(named) = type_of(failed) {
        prefailure = Some(named);
        words.next()?;
        failed = words.next()?;
    }
    let when_failed = match failed {
        "-" => None,
        "FAILING_NOW" | "NOW" => Some(WhenFailed::Now),
        "In_the_past" | "Past" => Some(WhenFailed::Past),
        _ => return None,
    };
    let raw_text = text::plain(words.0);
    let raw = text::whole(&raw_text).filter(|_| !raw_text.is_empty());
    Some(Attribute { id, name: text::plain(name), value, worst, threshold, raw, raw_text, count: None, prefailure, when_failed })
}

/// Name and flags, which touch where the name is long; the flags tell whether it is pre-failure.
fn name_and_flags<'a>(words: &mut Words<'a>) -> Option<(&'a str, Option<bool>)> {
    let name = words.next()?;
    let prefailure = |flags: &str| {
        let hex = flags.strip_prefix("0x").filter(|hex| hex.len() == 4)?;
        u16::from_str_radix(hex, 16).ok().map(|bits| bits & 1 == 1)
    };
    let touching = name.len().checked_sub(6).and_then(|at| name.split_at_checked(at)).filter(|(name, _)| !name.is_empty());
    if let Some((name, Some(flags))) = touching.map(|(name, flags)| (name, prefailure(flags))) {
        return Some((name, Some(flags)));
    }
    let flags = words.next()?;
    let brief = flags.len() >= 6 && flags.bytes().all(|b| b"POSRCK+-".contains(&b));
    let known = prefailure(flags).or_else(|| brief.then(|| flags.starts_with('P')))?;
    Some((name, Some(known)))
}

fn type_of(word: &str) -> Option<bool> {
    match word {
        "Pre-fail" => Some(true),
        "Old_age" => Some(false),
        _ => None,
    }
}

fn number(word: &str) -> Option<i64> {
    match word.strip_prefix("0x") {
        Some(hex) => u8::from_str_radix(hex, 16).ok().map(i64::from),
        None => text::whole(word).filter(|_| !word.is_empty()),
    }
}

/// Words of a line, with what is left of it at any moment.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let line = self.0.trim_start();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// A row of the log of self-tests; `None` when it is none.
pub(super) fn self_test(line: &str, tests: Tests) -> Option<SelfTest> {
    let numbered = line.strip_prefix('#').unwrap_or(line).trim_start();
    number::leading(numbered)?;
    let row = numbered.trim_start_matches(|c: char| c.is_ascii_digit());
    let at = ENDS.iter().filter_map(|end| row.find(end)).min()?;
    let (kind, rest) = row.split_at_checked(at)?;
    let words: Vec<&str> = rest.split('[').next()?.split_whitespace().collect();
    // The columns behind the words are counted from the end: some of the words may look like columns.
    let hours_at = match tests {
        Tests::Ata => words.iter().position(|word| word.ends_with('%'))? + 1,
        Tests::Scsi => words.len().checked_sub(2)?,
        Tests::Nvme => words.len().checked_sub(6)?,
    };
    let status_end = hours_at.checked_sub(usize::from(tests != Tests::Nvme))?;
    let status = text::plain(&words.get(..status_end)?.join(" "));
    let passed = match status.as_str() {
        "Completed" | "Completed without error" => Some(true),
        "Fatal or unknown test error" => Some(false),
        _ if status.starts_with("Completed") || status.starts_with("Failed in") => Some(false),
        _ => None,
    };
    let at_power_on_hour = words.get(hours_at).and_then(|hours| text::whole(hours));
    Some(SelfTest { kind: text::plain(kind), status, passed, at_power_on_hour, age_hours: None })
}

/// Hours of power-on from attribute 9, whose raw value may hold minutes or milliseconds above 32 bits.
pub(super) fn hours(attributes: &[Attribute]) -> Option<i64> {
    let attribute = attributes.iter().find(|attribute| attribute.id == 9 && attribute.name.starts_with("Power_On_"))?;
    let hours = attribute.first_number()?;
    let low = if hours > PLAUSIBLE_MAX { hours & 0xffff_ffff } else { hours };
    (low <= PLAUSIBLE_MAX).then_some(low)
}

/// Power cycles from attribute 12.
pub(super) fn cycles(attributes: &[Attribute]) -> Option<i64> {
    let attribute = attributes.iter().find(|attribute| attribute.id == 12 && attribute.name == "Power_Cycle_Count")?;
    attribute.first_number().filter(|cycles| *cycles <= PLAUSIBLE_MAX)
}

/// The temperature from the attributes that smartctl takes it from, in its order; 0 is a drive without a sensor.
pub(super) fn celsius(attributes: &[Attribute]) -> Option<i64> {
    let of = |id| {
        let named = |attribute: &&Attribute| attribute.id == id && ["Temp", "Unknown"].iter().any(|part| attribute.name.contains(part));
        attributes.iter().find(named)?.first_number().filter(|celsius| (1..=127).contains(celsius))
    };
    [194, 190, 220].into_iter().find_map(of)
}
