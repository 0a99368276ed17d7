//! Updates of Debian and Ubuntu: `apt-get -s upgrade` or `dist-upgrade` (also with `-qq`, and cut down to its `Inst` lines),
//! and `apt list --upgradable`, of apt 0.9 to 3, in any language: what counts is written in English in all of them, but
//! for the sums, which have the same numbers in the same order.
//!
//! Neither command says when the lists of packages were fetched.

use crate::patch::PatchRecord;
use crate::verdict::{Verdict, fault};
use crate::{Fault, Outcome, Unreadable, complaint, trouble};
use std::collections::BTreeMap;

mod listed;
mod said;

pub(crate) use listed::is_package;
pub(crate) use said::trouble;

const SUCH_AS: &str = "libc6/stable-security 2.36-9+deb12u9 amd64 [upgradable from: 2.36-9+deb12u8]";

/// Everything in the output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Updates {
    /// What it comes to.
    pub record: PatchRecord,
    /// What apt could not do, and lines that are broken.
    pub faults: Vec<Fault>,
}

/// What is gathered line by line.
#[derive(Debug, Default)]
struct Found {
    /// Packages of a list by name and architecture, and whether they are for security.
    listed: BTreeMap<(String, String), bool>,
    /// Whether a version of Debian up to 10 is listed: its repository of security has the same name as the other.
    nameless: bool,
    installs: i64,
    installs_security: i64,
    removals: i64,
    /// Upgraded, newly installed, removed, not upgraded.
    sums: Option<[i64; 4]>,
    withheld: i64,
    /// Whether apt said what it is doing.
    begun: bool,
    list: bool,
    none: bool,
    faults: Vec<Fault>,
}

/// Reads the output.
///
/// # Errors
/// When it is empty or something else.
pub fn parse(input: &str) -> Result<Updates, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let mut found = Found::default();
    let mut withheld = false;
    for (number, line) in input.lines().enumerate() {
        let indented = line.starts_with("  ");
        if withheld && indented {
            found.withheld = found.withheld.saturating_add(i64::try_from(line.split_whitespace().count()).unwrap_or(i64::MAX));
            continue;
        }
        withheld = said::begins_withheld(line);
        found.line(number, line);
    }
    let begun = found.begun && input.contains("package lists");
    let familiar = found.list || found.none || begun || found.sums.is_some() || found.installs + found.removals > 0 || !found.listed.is_empty();
    if familiar { Ok(found.told()) } else { Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS }) }
}

impl Found {
    fn line(&mut self, number: usize, line: &str) {
        let text = line.trim();
        if let Some((code, text)) = said::trouble(text) {
            fault(&mut self.faults, trouble::fault(code, text));
        } else if let Some(rest) = text.strip_prefix("Inst ") {
            match listed::installs(rest) {
                Some(security) => {
                    self.installs += 1;
                    self.installs_security += i64::from(security);
                }
                None => fault(&mut self.faults, trouble::malformed(number, line)),
            }
        } else if text.starts_with("Remv ") || text.starts_with("Purg ") {
            self.removals += 1;
        } else if let Some(row) = listed::row(text) {
            if row.upgradable {
                self.nameless |= row.nameless;
                *self.listed.entry((row.name, row.architecture)).or_default() |= row.security;
            }
            self.list = true;
        } else if said::begins_list(text) {
            self.list = true;
        } else if said::nothing(text) {
            self.none = true;
        } else if let Some(sums) = said::sums(text).filter(|_| self.begun || text.contains("not upgraded") || text.contains("保留: ")) {
            self.sums = Some(sums);
        } else if said::progress(text) {
            self.begun = true;
        }
    }

    /// What the lines come to. Sums without lines tell how many, and lines that are fewer than the sums were cut.
    fn told(mut self) -> Updates {
        let listed = i64::try_from(self.listed.len()).unwrap_or(i64::MAX);
        let listed_security = i64::try_from(self.listed.values().filter(|security| **security).count()).unwrap_or(i64::MAX);
        let mut record = PatchRecord { withheld_security: (self.withheld > 0).then_some(self.withheld), ..PatchRecord::default() };
        let simulated = self.installs > 0 || self.removals > 0 || self.sums.is_some() || self.none;
        if simulated {
            let summed = self.sums.map(|[upgraded, new, ..]| upgraded.saturating_add(new));
            let cut = summed.is_some_and(|summed| summed > self.installs);
            record.pending = Some(summed.map_or(self.installs, |summed| summed.max(self.installs)));
            record.pending_security = (!cut).then_some(self.installs_security);
            record.removals = Some(self.sums.map_or(self.removals, |[_, _, removed, _]| removed.max(self.removals)));
            record.held = self.sums.map(|[.., kept]| kept);
        } else if self.list {
            record.pending = Some(listed);
            record.pending_security = (listed_security > 0 || !self.nameless).then_some(listed_security);
        } else if self.faults.is_empty() {
            fault(&mut self.faults, trouble::fault("malformed", "the output ends before its sums"));
        }
        Updates { record, faults: self.faults }
    }
}

const TOOL: &[&str] = &["apt", "apt-get", "sh:", "bash:", "sudo:"];

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let updates = match parse(input) {
        Ok(updates) => updates,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => {
            let told = input.lines().find_map(|line| said::trouble(line.trim()));
            return told.or_else(|| complaint::find(input, TOOL, &[])).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error);
        }
    };
    let mut verdict = Verdict::default();
    updates.record.judge(at_ms, &mut verdict);
    if updates.record.pending.is_none() {
        verdict.unknown("what is pending is not told");
    }
    let mut outcome = verdict.outcome_with("no updates are pending for this machine's list of packages", updates.faults);
    updates.record.tell(&mut outcome);
    Ok(outcome)
}

#[cfg(test)]
mod tests;
