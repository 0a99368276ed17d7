//! Windows Update: its history, or what it has found, as JSON out of PowerShell (`QueryHistory`, `Search`, `Get-WUHistory`,
//! `Get-WindowsUpdate`, `Get-HotFix`), and the lines about pending updates of common scripts of monitoring: one title a line with
//! its date, and `reboot important optional` with the titles below.
//!
//! Neither says when Windows asked its server. Definitions of antivirus products are no patches: they are counted apart.

use crate::patch::PatchRecord;
use crate::verdict::Verdict;
use crate::{Fault, Outcome, Unreadable, complaint};

mod entries;
mod lines;
mod title;

use title::Class;

const SUCH_AS: &str = "2026-08 Cumulative Update for Windows Server 2022 (KB5065432) [08/12/2026 03:00:00]";

/// Everything in the input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Updates {
    /// What it comes to.
    pub record: PatchRecord,
    /// Updates whose installation has begun and not ended.
    pub begun: i64,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

/// Reads the input.
///
/// # Errors
/// When it is empty or something else.
pub fn parse(input: &str) -> Result<Updates, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let foreign = Unreadable::Foreign { line: first + 1, such_as: SUCH_AS };
    if input.trim_start().starts_with(['{', '[']) {
        return entries::read(&serde_json::from_str(input)?).ok_or(foreign);
    }
    lines::read(input).ok_or(foreign)
}

/// Pending updates, told apart.
#[derive(Debug, Default)]
struct Pending {
    all: i64,
    security: i64,
    untold: i64,
    definitions: i64,
}

impl Pending {
    fn add(&mut self, class: Class) {
        match class {
            Class::Definitions => {
                self.definitions += 1;
                return;
            }
            Class::Security => self.security += 1,
            Class::Untold => self.untold += 1,
            Class::Other => {}
        }
        self.all += 1;
    }

    /// Where a title does not tell what it is for, the number of those for security is not known.
    fn tell(&self, record: &mut PatchRecord) {
        record.pending = Some(self.all);
        record.pending_security = (self.untold == 0).then_some(self.security);
        record.definitions = Some(self.definitions);
    }
}

const TOOL: &[&str] = &["get-", "exception", "windowsupdate", "microsoft.update"];
/// Numbers of Windows Update's errors: the words around them are in its language.
const COMPLAINTS: &[(&str, &str)] = &[
    ("0x80070005", "permission_denied"),
    ("0x80240044", "permission_denied"),
    ("0x80070422", "not_running"),
    ("0x8024001e", "not_running"),
    ("0x8024002e", "unsupported"),
    ("0x80072ee2", "timed_out"),
    ("0x8024401c", "timed_out"),
    ("0x80072ee7", "unreachable"),
    ("0x80072efd", "unreachable"),
    ("0x80072efe", "unreachable"),
    ("0x80072f8f", "unreachable"),
    ("0x8024402c", "unreachable"),
    ("0x80244", "unreachable"),
    ("0x8024", "io_error"),
    ("error getting update information", "io_error"),
];

/// How the input reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    if let Some(said) = lines::failed(input) {
        let code = complaint::find(said, TOOL, COMPLAINTS).map_or("io_error", |(code, _)| code);
        return Ok(Outcome::cannot(code, said));
    }
    let updates = match parse(input) {
        Ok(updates) => updates,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    let record = &updates.record;
    record.judge(at_ms, &mut verdict);
    if record.pending.is_none() && record.applied.is_none() {
        verdict.unknown("the history is empty: what is installed and what is pending is not told");
    }
    if updates.begun > 0 {
        verdict.note(format!("updates whose installation has not ended: {}", updates.begun));
    }
    if let Some(definitions) = record.definitions.filter(|count| *count > 0) {
        verdict.note(format!("definitions of antivirus products, no patches: {definitions}"));
    }
    let fine = if record.pending.is_some() { "no updates are pending".to_owned() } else { format!("updates installed: {}", record.applied.unwrap_or(0)) };
    let mut outcome = verdict.outcome_with(fine, updates.faults);
    updates.record.tell(&mut outcome);
    Ok(outcome)
}

#[cfg(test)]
mod tests;
