//! A backup set, whichever tool told of it: what is bad about it is decided here once.
//!
//! What a backup is called, and where it lies, may name a person: it stands in `set` and in the label of the same name,
//! for whoever runs the command on site, and nowhere else. Reasons and faults count the sets instead.

use crate::verdict::Verdict;
use crate::when::{Order, When};
use crate::{Fault, Outcome, text, trouble, verdict};
use serde::Serialize;

/// How the last run of a backup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// As it should.
    Success,
    /// With something left out.
    Warning,
    /// It did not.
    Failed,
    /// It runs still.
    Running,
    /// It never ran, or it is switched off.
    Never,
}

/// One backup set: what is backed up together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupRecord {
    /// Its name, such as a job's, or the folders in it.
    pub set: Option<String>,
    /// When the newest good backup was made, as the tool wrote it: without an offset where it writes its machine's clock.
    pub last_success_at: Option<When>,
    /// How the last run ended.
    pub result: Option<Ended>,
    /// What the newest backup holds, in bytes, before anything is compressed.
    pub size_bytes: Option<i64>,
    /// Backups that are kept.
    pub generations: Option<i64>,
    /// When the last run ended, however it did.
    pub last_run_at: Option<When>,
    /// When the oldest backup that is kept was made.
    pub oldest_at: Option<When>,
    /// What the last run wrote, in bytes.
    pub added_bytes: Option<i64>,
    /// Whether a check found the stored backups damaged; `None` when none looked.
    pub damaged: Option<bool>,
    /// Usual time between two backups, in milliseconds, as those that are kept show it.
    #[serde(skip)]
    pub rhythm_ms: Option<i64>,
}

/// Without a rhythm of its own, a set whose newest backup is older is not kept up: a week and a day.
const AGE_MAX_MS: i64 = 8 * DAY_MS;
/// A rhythm is no excuse beyond it: two months.
const RHYTHM_AGE_MAX_MS: i64 = 62 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
/// Backups by which the rhythm is told: the newest, because old ones are thinned out.
const RHYTHM_OF: usize = 8;

impl BackupRecord {
    /// A set with backups made at these moments.
    pub(crate) fn of(set: Option<String>, times: &[When]) -> BackupRecord {
        let mut sorted = times.to_vec();
        sorted.sort_by_key(|when| when.earliest_ms());
        let newest = sorted.last().copied();
        BackupRecord {
            set: set.as_deref().map(text::plain).filter(|name| !name.is_empty()),
            last_success_at: newest,
            last_run_at: newest,
            oldest_at: sorted.first().copied(),
            result: newest.map(|_| Ended::Success),
            generations: i64::try_from(sorted.len()).ok().filter(|count| *count > 0),
            rhythm_ms: rhythm(&sorted),
            ..BackupRecord::default()
        }
    }

    /// Its run left something out: there is a backup, and it is none to rely on.
    pub(crate) fn warned(&mut self) {
        self.result = Some(Ended::Warning);
        self.last_success_at = None;
    }

    /// Oldest that the newest backup may be, in milliseconds.
    fn age_max_ms(&self) -> i64 {
        self.rhythm_ms.map_or(AGE_MAX_MS, |rhythm| rhythm.saturating_mul(2).saturating_add(DAY_MS).min(RHYTHM_AGE_MAX_MS))
    }

    fn judge(&self, name: &str, at_ms: Option<i64>, verdict: &mut Verdict) {
        match self.result {
            Some(Ended::Failed) => verdict.bad(format!("{name}: the last run failed")),
            Some(Ended::Warning) => verdict.bad(format!("{name}: the last run ended with warnings")),
            Some(Ended::Never) => verdict.unknown(format!("{name}: has not run")),
            Some(Ended::Running) if self.last_success_at.is_none() => verdict.unknown(format!("{name}: is running, and no earlier success is told")),
            None if self.damaged.is_none() && self.size_bytes.is_none() && self.generations.is_none() => {
                verdict.unknown(format!("{name}: how the last run ended is not told"));
            }
            Some(Ended::Success | Ended::Running) | None => {}
        }
        if self.damaged == Some(true) {
            verdict.bad(format!("{name}: what is stored is damaged"));
        }
        if self.size_bytes == Some(0) && matches!(self.result, None | Some(Ended::Success)) {
            verdict.bad(format!("{name}: the newest backup holds nothing"));
        }
        match (at_ms, self.last_success_at) {
            (Some(at), Some(made)) => self.judge_age(name, at, made, verdict),
            // A check that looked into what is stored says nothing of when it was made, and does not claim to.
            (Some(_), None) if matches!(self.result, None | Some(Ended::Success)) && self.damaged.is_none() => {
                verdict.unknown(format!("{name}: when the newest backup was made is not told"));
            }
            _ => {}
        }
    }

    /// Where the moment is not told to the hour, it is old when it is old at its latest.
    fn judge_age(&self, name: &str, at_ms: i64, made: When, verdict: &mut Verdict) {
        let age_ms = at_ms.saturating_sub(made.latest_ms());
        if age_ms > self.age_max_ms() {
            verdict.bad(format!("{name}: the newest backup is {} days old", age_ms / DAY_MS));
        } else if made.earliest_ms().saturating_sub(at_ms) > DAY_MS {
            verdict.unknown(format!("{name}: the newest backup lies in the future"));
        }
    }
}

/// The median of what lies between the newest moments of a sorted list; at least three are needed.
fn rhythm(sorted: &[When]) -> Option<i64> {
    let newest = sorted.get(sorted.len().saturating_sub(RHYTHM_OF)..)?;
    let mut gaps: Vec<i64> = newest.windows(2).filter_map(|pair| pair.last()?.earliest_ms().checked_sub(pair.first()?.earliest_ms())).collect();
    gaps.sort_unstable();
    if gaps.len() < 2 { None } else { gaps.get(gaps.len() / 2).copied() }
}

/// Everything that one output tells of backups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backups {
    /// In the output's order, at most [`crate::RECORDS_MAX`].
    pub sets: Vec<BackupRecord>,
    /// When the tool looked, in milliseconds since 1970 UTC.
    pub observed_at: Option<i64>,
    /// When what it looked at last changed, where that is told apart from the backups themselves.
    pub changed_at: Option<When>,
    /// What the tool could not do, and what could not be read.
    pub faults: Vec<Fault>,
    /// Findings of the tool about the whole, in words of ours.
    pub findings: Vec<String>,
}

impl Backups {
    /// Adds a set; too many become a fault.
    pub(crate) fn push(&mut self, set: BackupRecord) {
        verdict::push(&mut self.sets, set, &mut self.faults);
    }

    /// Adds a fault of which our words tell, not the tool's: its own may name people and places. The same one once.
    pub(crate) fn fault(&mut self, code: &'static str, words: &str) {
        let fault = trouble::fault(code, words);
        if !self.faults.contains(&fault) {
            verdict::fault(&mut self.faults, fault);
        }
    }

    /// Adds the fault of a line, counted from 0, that cannot be read; what it holds is not repeated.
    pub(crate) fn malformed(&mut self, index: usize, what: &str) {
        verdict::fault(&mut self.faults, trouble::fault("malformed", &format!("line {}: {what}", index + 1)));
    }

    /// The answer: bad before unknown before fine. Nothing found is not fine.
    pub(crate) fn outcome(self, at_ms: Option<i64>) -> Outcome {
        let mut verdict = Verdict::default();
        let several = self.sets.len() > 1;
        for (place, set) in self.sets.iter().enumerate() {
            let name = if several { format!("set {}", place + 1) } else { "the backup".to_owned() };
            set.judge(&name, at_ms, &mut verdict);
        }
        self.findings.iter().for_each(|finding| verdict.bad(finding.as_str()));
        if self.sets.is_empty() && self.faults.is_empty() {
            verdict.unknown("no backup in it");
        }
        let unreadable = self.faults.iter().filter(|fault| fault.code == "malformed").count();
        if unreadable > 0 {
            verdict.unknown(format!("{unreadable} parts cannot be read"));
        }
        let told = self.sets.iter().any(|set| set.result == Some(Ended::Success));
        let fine = match (told, several) {
            (false, _) => "nothing is wrong with what is told".to_owned(),
            (true, false) => "backed up".to_owned(),
            (true, true) => format!("{} sets backed up", self.sets.len()),
        };
        let mut outcome = verdict.outcome_with(fine, self.faults);
        outcome.observed_at = self.observed_at;
        let told = self.sets.iter().flat_map(|set| [set.last_success_at, set.last_run_at]).flatten().map(When::earliest_ms).max();
        outcome.source_fresh_at = self.changed_at.map(When::earliest_ms).or(told);
        for set in &self.sets {
            let labels = [("set", set.set.as_deref().unwrap_or_default())];
            let seconds = set.last_success_at.and_then(When::moment).map(|ms| text::float(ms.div_euclid(1000)));
            outcome.reading("backup_last_success_timestamp", &labels, seconds, "seconds");
            outcome.reading("backup_size", &labels, set.size_bytes.map(text::float), "bytes");
            outcome.reading("backup_added", &labels, set.added_bytes.map(text::float), "bytes");
            outcome.reading("backup_generations", &labels, set.generations.map(text::float), "count");
            outcome.record(set);
        }
        outcome
    }
}

/// Lines in which a tool may say that it cannot look: it says so at once.
pub(crate) const COMPLAINT_LINES_MAX: usize = 12;

/// Words of the tools in lower case, the code they mean, and what is said instead. The first that fits wins.
const WORDS: &[(&str, &str, &str)] = &[
    ("wrong password", "wrong_key", "the password or key does not open the repository"),
    ("no key found", "wrong_key", "the password or key does not open the repository"),
    ("passphrase supplied", "wrong_key", "the password or key does not open the repository"),
    ("passphrase is incorrect", "wrong_key", "the password or key does not open the repository"),
    ("incorrect passphrase", "wrong_key", "the password or key does not open the repository"),
    ("no key file for repository", "wrong_key", "the password or key does not open the repository"),
    ("key file for repository", "wrong_key", "the password or key does not open the repository"),
    ("empty password", "wrong_key", "no password or key is given"),
    ("cipher header invalid", "wrong_key", "the password or key does not open the repository"),
    ("cryptoerror", "wrong_key", "the password or key does not open the repository"),
    ("create/acquire the lock", "locked", "the repository is locked"),
    ("already locked", "locked", "the repository is locked"),
    ("unable to create lock", "locked", "the repository is locked"),
    ("failed to lock repository", "locked", "the repository is locked"),
    ("unable to acquire lock", "locked", "the repository is locked"),
    ("lock is already", "locked", "the repository is locked"),
    ("another action is in progress", "locked", "the repository is locked"),
    ("another barman process", "locked", "the repository is locked"),
    ("data integrity error:", "damaged", "the repository is damaged"),
    ("integrityerror", "damaged", "the repository is damaged"),
    ("inconsistency detected", "damaged", "the repository is damaged"),
    ("repository contains errors", "damaged", "the repository is damaged"),
    ("has no manifest", "damaged", "the repository is damaged"),
    ("invalid data returned", "damaged", "the repository is damaged"),
    ("ciphertext verification failed", "damaged", "the repository is damaged"),
    ("checksumerror", "damaged", "the repository is damaged"),
    ("invalid checksum", "damaged", "the repository is damaged"),
    ("connection refused", "unreachable", "the repository cannot be reached"),
    ("connection reset", "unreachable", "the repository cannot be reached"),
    ("connection closed by remote host", "unreachable", "the repository cannot be reached"),
    ("connection closed", "unreachable", "the repository cannot be reached"),
    ("connection timed out", "unreachable", "the repository cannot be reached"),
    ("no route to host", "unreachable", "the repository cannot be reached"),
    ("network is unreachable", "unreachable", "the repository cannot be reached"),
    ("could not resolve", "unreachable", "the repository cannot be reached"),
    ("no such host", "unreachable", "the repository cannot be reached"),
    ("dial tcp", "unreachable", "the repository cannot be reached"),
    ("i/o timeout", "unreachable", "the repository cannot be reached"),
    ("host key verification failed", "unreachable", "the repository cannot be reached"),
    ("repository does not exist", "not_found", "there is no repository"),
    ("unable to open config file", "not_found", "there is no repository"),
    ("is there a repository at", "not_found", "there is no repository"),
    ("not a valid repository", "not_found", "there is no repository"),
    ("no repository specified", "not_found", "no repository is named"),
    ("please specify repository location", "not_found", "no repository is named"),
    ("unknown server", "not_found", "there is no such server"),
    ("no space left", "io_error", "no space is left"),
    ("permission denied", "permission_denied", "the tool may not read it"),
    ("access is denied", "permission_denied", "the tool may not read it"),
    ("アクセスが拒否されました", "permission_denied", "the tool may not read it"),
    ("command not found", "not_found", "the tool is not installed"),
    ("コマンドが見つかりません", "not_found", "the tool is not installed"),
    ("is not recognized as", "not_found", "the tool is not installed"),
    ("認識されていません", "not_found", "the tool is not installed"),
    ("認識されません", "not_found", "the tool is not installed"),
    ("no such file or directory", "not_found", "something named is not there"),
];

/// The code that a line of a tool's means, and our words for it.
pub(crate) fn complaint(line: &str) -> Option<(&'static str, &'static str)> {
    let lower = line.chars().take(800).collect::<String>().to_lowercase();
    let borg = lower.contains("repository ") && lower.contains(" does not exist");
    let gone = borg.then_some(("not_found", "there is no repository"));
    gone.or_else(|| WORDS.iter().find(|(words, ..)| lower.contains(words)).map(|(_, code, said)| (*code, *said)))
}

/// The same of a line of text in which any tool may have complained: it names one of `tools` (in small letters), or what only
/// backups have.
pub(crate) fn complaint_of(tools: &[&str], line: &str) -> Option<(&'static str, &'static str)> {
    let lower = line.chars().take(800).collect::<String>().to_lowercase();
    let named = tools.iter().chain(&["repository"]).any(|tool| lower.contains(tool));
    complaint(line).filter(|(code, _)| named || ["wrong_key", "locked", "damaged"].contains(code))
}

/// A moment in a text whose dates are never of two meanings; what stands for never is none.
pub(crate) fn stamp(value: Option<&str>) -> Option<When> {
    When::read(value?, Order::Unknown)
}

/// A moment in seconds since 1970; the largest number of 32 bits stands for never.
pub(crate) fn seconds(since_1970: i64) -> Option<When> {
    When::utc(since_1970.checked_mul(1000)?).filter(|_| since_1970 < i64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
