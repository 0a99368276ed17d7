//! Updates of RPM distributions: `dnf check-update`, `dnf list --upgrades`, `dnf updateinfo list` (`dnf advisory list`), and
//! the same of yum, of yum 3 to dnf 5, in any language: the rows are the same in all of them.
//!
//! A list of advisories tells which updates are for security and leaves out those without an advisory; a list of packages
//! tells nothing of security. A list without a row says that nothing is pending only where the repositories were read.

use crate::patch::PatchRecord;
use crate::verdict::{Verdict, fault};
use crate::when::When;
use crate::{Fault, Outcome, Unreadable, complaint, trouble};
use std::collections::{BTreeMap, BTreeSet};

mod row;
mod said;

use row::Row;

const SUCH_AS: &str = "openssl-libs.x86_64  1:3.0.7-27.el9  baseos";

/// Everything in the output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Updates {
    /// What it comes to.
    pub record: PatchRecord,
    /// When the tool looked, in milliseconds since 1970 UTC.
    pub observed_at: Option<i64>,
    /// What the tool could not do.
    pub faults: Vec<Fault>,
}

/// What the rows below a heading are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Upgrades,
    /// Installed, available, obsoleting: no updates.
    Other,
}

#[derive(Debug, Default)]
struct Found {
    section: Section,
    packages: BTreeSet<String>,
    /// Packages of advisories, and whether one of theirs is for security.
    advised: BTreeMap<String, bool>,
    oldest_security: Option<When>,
    /// Rows that are no updates.
    other: usize,
    /// The first words of a row whose name was too long for its column.
    wrapped: Vec<String>,
    /// Packages for security and packages at all, where yum counted them.
    counted: Option<(i64, i64)>,
    reboot: bool,
    unregistered: bool,
    read: bool,
    fresh: Option<(When, Option<i64>)>,
    faults: Vec<Fault>,
}

/// Reads the output.
///
/// # Errors
/// When it is empty or something else.
pub fn parse(input: &str) -> Result<Updates, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let mut found = Found::default();
    input.lines().for_each(|line| found.line(line));
    let rows = found.packages.len() + found.advised.len();
    let familiar = rows > 0 || found.read || found.unregistered || found.counted.is_some();
    // A list of what is installed is none of updates.
    if !familiar || (rows == 0 && found.other > 0) {
        return Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS });
    }
    Ok(found.told())
}

impl Found {
    fn line(&mut self, line: &str) {
        let text = line.trim();
        if text.is_empty() {
            self.wrapped.clear();
            return;
        }
        let mut words: Vec<String> = std::mem::take(&mut self.wrapped);
        words.extend(text.split_whitespace().take(8).map(str::to_owned));
        match row::read(&words) {
            Some(Row::Part) => self.wrapped = words,
            Some(Row::Package { name, installed }) => {
                if installed || self.section == Section::Other {
                    self.other += 1;
                } else {
                    self.packages.insert(name);
                }
            }
            Some(Row::Advisory { installed: true, .. }) => self.other += 1,
            Some(Row::Advisory { package, security, issued, .. }) => {
                *self.advised.entry(package).or_default() |= security;
                let issued = issued.filter(|_| security);
                if issued.is_some_and(|issued| self.oldest_security.is_none_or(|oldest| issued.earliest_ms() < oldest.earliest_ms())) {
                    self.oldest_security = issued;
                }
            }
            None => self.word(text),
        }
    }

    /// A line that is no row.
    fn word(&mut self, text: &str) {
        if let Some(code) = said::trouble(text) {
            fault(&mut self.faults, trouble::fault(code, text));
        } else if said::unregistered(text) {
            self.unregistered = true;
        } else if let Some(fresh) = said::expiration(text) {
            self.read = true;
            self.fresh = Some(fresh);
        } else if let Some(counted) = said::counted(text) {
            self.counted = Some(counted);
        } else if said::reboot(text) {
            self.reboot = true;
        } else if said::progress(text) {
            self.read = true;
        } else if let Some(updates) = said::heading(text, !self.packages.is_empty() || self.other > 0) {
            self.section = if updates { Section::Upgrades } else { Section::Other };
        }
    }

    fn told(mut self) -> Updates {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (packages, advised) = (count(self.packages.len()), count(self.advised.len()));
        let security = count(self.advised.values().filter(|security| **security).count());
        if self.unregistered {
            fault(&mut self.faults, trouble::fault("not_registered", "this system is not registered: its maker's repositories are not read"));
        }
        let unknown = packages + advised == 0 && (self.unregistered || !self.faults.is_empty());
        let (pending, pending_security) = match self.counted {
            Some((security, all)) => (Some(all), Some(security)),
            None if unknown => (None, None),
            None if advised > 0 => (Some(packages.max(advised)), Some(security)),
            None if packages > 0 => (Some(packages), None),
            None => (Some(0), Some(0)),
        };
        let mut record = PatchRecord { pending, pending_security, oldest_security_at: self.oldest_security, ..PatchRecord::default() };
        record.reboot_required = self.reboot.then_some(true);
        record.metadata_fresh_at = self.fresh.map(|(fresh, _)| fresh);
        let observed_at = self.fresh.and_then(|(fresh, ago)| fresh.moment()?.checked_add(ago?));
        Updates { record, observed_at, faults: self.faults }
    }
}

const TOOL: &[&str] = &["dnf", "yum", "sh:", "bash:", "sudo:"];
/// Where nothing follows, it still waits.
const WAITS: &[(&str, &str)] = &[("waiting for process with pid", "locked")];

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let updates = match parse(input) {
        Ok(updates) => updates,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => {
            let told = input.lines().find_map(|line| Some((said::trouble(line.trim())?, line)));
            return told.or_else(|| complaint::find(input, TOOL, WAITS)).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error);
        }
    };
    let mut verdict = Verdict::default();
    updates.record.judge(at_ms, &mut verdict);
    if updates.record.pending.is_none() {
        verdict.unknown("what is pending is not told");
    }
    let mut outcome = verdict.outcome_with("the repositories that were read list no update", updates.faults);
    updates.record.tell(&mut outcome);
    outcome.observed_at = updates.observed_at;
    Ok(outcome)
}

#[cfg(test)]
mod tests;
