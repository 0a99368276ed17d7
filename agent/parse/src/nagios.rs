//! The output of one plugin as Nagios, Icinga, Naemon and Checkmk run it: a line of text, performance data behind `|`, and
//! longer text below it.
//!
//! The state is the plugin's exit code, and that is not in the text. It is taken from the word of state that the guidelines
//! ask for near the beginning of the first line (`DISK CRITICAL - …`, `OK: …`, `[WARNING] …`); where there is none, from the
//! words in brackets that stand anywhere (`… 99 % [CRITICAL]`), and where there are none either, from a value that lies in one
//! of its own ranges. `state_from` says which it was. Nothing of the text is kept but that word.

use crate::verdict::{self, Verdict};
use crate::{Fault, Outcome, Unreadable, complaint, text, trouble};
use serde::Serialize;

mod performance;

pub use performance::{Performance, Range};

/// What a plugin says of what it looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the guidelines'")]
pub enum State {
    Ok,
    Unknown,
    Warning,
    Critical,
}

/// Where the state was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ToldBy {
    /// The word near the beginning.
    Word,
    /// Words in brackets.
    Marks,
    /// The ranges of the values.
    Ranges,
}

/// One plugin's output.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Check {
    /// `None` when nothing tells it.
    pub state: Option<State>,
    /// What told it.
    pub state_from: Option<ToldBy>,
    /// In the plugin's order, at most [`crate::RECORDS_MAX`].
    pub performance: Vec<Performance>,
    /// Values that could not be read.
    #[serde(skip)]
    pub faults: Vec<Fault>,
}

const SUCH_AS: &str = "DISK OK - free space: / 3326 MB | /=2643MB;5948;5958;0;5968";
/// Words of the first line among which the state is looked for.
const WORDS_MAX: usize = 6;

/// Reads the output.
///
/// # Errors
/// When it is empty, or holds neither a word of state nor a value.
pub fn parse(input: &str) -> Result<Check, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let (mut words, mut values) = (Vec::new(), String::new());
    let mut behind = false;
    for (number, line) in input.lines().skip(first).enumerate() {
        let (text, data) = match line.split_once('|') {
            _ if behind => ("", Some(line)),
            Some((text, data)) => (text, Some(data)),
            None => (line, None),
        };
        // Below the first line, everything behind the first bar is performance data, up to the end.
        behind |= number > 0 && data.is_some();
        words.push(text);
        if let Some(data) = data {
            values.push_str(data);
            values.push(' ');
        }
    }
    let mut check = Check::default();
    performance::read(&values, &mut check.performance, &mut check.faults);
    let head = words.first().copied().unwrap_or_default();
    let told = word(head).map(|state| (state, ToldBy::Word)).or_else(|| Some((marks(&words)?, ToldBy::Marks)));
    let ranges = check.performance.iter().filter_map(Performance::level).max();
    let told = told.or_else(|| Some((ranges.filter(|state| *state > State::Ok)?, ToldBy::Ranges)));
    check.state = told.map(|(state, _)| state);
    check.state_from = told.map(|(_, from)| from);
    // Without a word for it, only values that are all as they should be tell that this is a plugin's output.
    let strange = !check.faults.is_empty() || input.contains(|c: char| c == '\u{fffd}' || c.is_control() && !c.is_whitespace());
    let nothing = !matches!(check.state_from, Some(ToldBy::Word | ToldBy::Marks)) && (check.performance.is_empty() || strange);
    if nothing { Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS }) } else { Ok(check) }
}

fn state(word: &str) -> Option<State> {
    Some(match word {
        "OK" => State::Ok,
        "WARNING" | "WARN" => State::Warning,
        "CRITICAL" | "CRIT" => State::Critical,
        "UNKNOWN" => State::Unknown,
        _ => return None,
    })
}

/// The word of state near the beginning: in capitals, or as the first word in any letters.
fn word(head: &str) -> Option<State> {
    if head.trim_start().to_lowercase().starts_with("everything is ok") {
        return Some(State::Ok);
    }
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    let words: Vec<String> = head.split_whitespace().take(WORDS_MAX).map(bare).collect();
    let first = words.first().map(|word| word.to_ascii_uppercase());
    first.and_then(|word| state(&word)).or_else(|| words.iter().find_map(|word| state(word)))
}

/// The worst of the words in brackets.
fn marks(lines: &[&str]) -> Option<State> {
    let marked = |line: &str| line.split('[').skip(1).filter_map(|part| state(part.split_once(']')?.0)).max();
    lines.iter().filter_map(|line| marked(line)).max()
}

const TOOL: &[&str] = &["check_", "nrpe", "connect to address", "plugin"];
const COMPLAINTS: &[(&str, &str)] = &[
    ("no output returned from plugin", "io_error"),
    ("unable to read output", "io_error"),
    ("check timed out", "timed_out"),
    ("plugin timed out", "timed_out"),
];

/// How the output reads for a human or a script: warning and critical are bad, unknown is unknown.
///
/// # Errors
/// As [`parse`], unless it is a complaint.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let told = input.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| word(line).is_some());
    if let Some((code, _)) = complaint::find(input, TOOL, COMPLAINTS).filter(|_| !told) {
        return Ok(Outcome::cannot(code, "the plugin could not be run"));
    }
    let check = parse(input)?;
    let mut verdict = Verdict::default();
    match (check.state, check.state_from) {
        (Some(State::Critical), Some(ToldBy::Ranges)) => verdict.bad("a value lies in its critical range"),
        (Some(State::Warning), Some(ToldBy::Ranges)) => verdict.bad("a value lies in its warning range"),
        (Some(State::Critical), _) => verdict.bad("the plugin says critical"),
        (Some(State::Warning), _) => verdict.bad("the plugin says warning"),
        (Some(State::Unknown), _) => verdict.unknown("the plugin says unknown"),
        (None, _) => verdict.unknown("nothing in the text tells the state"),
        (Some(State::Ok), _) => {
            // Who wrote the plugin knows what its ranges are good for.
            let beyond = check.performance.iter().filter(|one| one.level() > Some(State::Ok)).count();
            if beyond > 0 {
                verdict.note(format!("{beyond} values lie in ranges of their own"));
            }
        }
    }
    let mut outcome = verdict.outcome_with("the plugin says ok", check.faults.clone());
    for one in &check.performance {
        let (value, unit) = one.base();
        outcome.reading("check_value", &[("label", &one.label)], value, unit);
    }
    outcome.record(&check);
    Ok(outcome)
}

#[cfg(test)]
mod tests;
