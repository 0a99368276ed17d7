//! Messages of `--log-json`, one on a line.

use super::{BackupRecord, Backups, Ended, Value, complaint, text_at};
use crate::backup::complaint_of;
use crate::when::When;

/// What the messages told so far.
#[derive(Default)]
pub(super) struct Log {
    faults: Vec<(&'static str, &'static str)>,
    broken: Vec<usize>,
    warned: bool,
    pub(super) damaged: Option<bool>,
    newest_ms: Option<i64>,
    any: bool,
}

/// Names that the tool gives to its errors, their code, and what is said of them.
const NAMES: &[(&str, &str, &str)] = &[
    ("lock", "locked", "the repository is locked"),
    ("passphrase", "wrong_key", "the password or key does not open the repository"),
    ("password", "wrong_key", "the password or key does not open the repository"),
    ("keyfile", "wrong_key", "the password or key does not open the repository"),
    ("repokey", "wrong_key", "the password or key does not open the repository"),
    ("doesnotexist", "not_found", "there is no repository"),
    ("invalidrepository", "not_found", "there is no repository"),
    ("pathpermissiondenied", "permission_denied", "the tool may not read it"),
    ("integrityerror", "damaged", "the repository is damaged"),
    ("checkneeded", "damaged", "the repository is damaged"),
    ("nomanifesterror", "damaged", "the repository is damaged"),
    ("connectionclosed", "unreachable", "the repository cannot be reached"),
    ("connectionbroken", "unreachable", "the repository cannot be reached"),
];

impl Log {
    pub(super) fn message(&mut self, index: usize, line: &str) {
        self.any = true;
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            self.broken.push(index);
            return;
        };
        if let Some(ms) = message.get("time").and_then(Value::as_f64).and_then(milliseconds) {
            self.newest_ms = self.newest_ms.max(Some(ms));
        }
        let said = text_at(&message, "/message").unwrap_or_default();
        let name = text_at(&message, "/msgid").unwrap_or_default().to_ascii_lowercase();
        let level = text_at(&message, "/levelname").unwrap_or_default();
        self.said(&said);
        if ["ERROR", "CRITICAL"].contains(&level.as_str()) && self.damaged != Some(true) {
            let named = NAMES.iter().find(|(part, ..)| name.contains(part)).map(|(_, code, words)| (*code, *words));
            self.fault(named.or_else(|| complaint(&said)).unwrap_or(("io_error", "the tool tells of an error")));
        }
        self.warned |= level == "WARNING";
    }

    /// What a check says, as a message or as text; whether it was that.
    pub(super) fn said(&mut self, line: &str) -> bool {
        let lower = line.to_lowercase();
        let check = lower.contains("check");
        if check && (lower.contains("no problems found") || lower.contains("no errors found")) {
            self.damaged = self.damaged.or(Some(false));
        } else if check && (lower.contains("problems found") || lower.contains("errors found")) || lower.contains("index object count mismatch") {
            self.damaged = Some(true);
            self.fault(("damaged", "the repository is damaged"));
        } else {
            return false;
        }
        true
    }

    /// A complaint in text; whether it was one.
    pub(super) fn complained(&mut self, line: &str) -> bool {
        // Another tool begins so.
        complaint_of(&["borg", "remote: "], line).filter(|_| !line.starts_with("Fatal: ")).map(|told| self.fault(told)).is_some()
    }

    fn fault(&mut self, (code, words): (&'static str, &'static str)) {
        if code == "damaged" {
            self.damaged = Some(true);
        }
        if !self.faults.contains(&(code, words)) {
            self.faults.push((code, words));
        }
    }

    /// Puts what the messages told to the answer beside them.
    pub(super) fn close(self, mut backups: Backups) -> Backups {
        backups.observed_at = self.newest_ms;
        self.faults.iter().for_each(|(code, words)| backups.fault(code, words));
        self.broken.iter().for_each(|index| backups.malformed(*index, "no message"));
        let alone = backups.sets.is_empty() && backups.findings.is_empty();
        if let Some(damaged) = self.damaged {
            backups.push(BackupRecord { damaged: Some(damaged), ..BackupRecord::default() });
        } else if self.warned && self.faults.is_empty() {
            match backups.sets.last_mut() {
                Some(record) => record.warned(),
                None => backups.push(BackupRecord { result: Some(Ended::Warning), ..BackupRecord::default() }),
            }
        } else if self.any && alone && backups.faults.is_empty() {
            backups.fault("io_error", "the tool does not tell how it ended");
        }
        backups
    }
}

#[allow(clippy::cast_possible_truncation, reason = "what does not fit is held at the end of the range, and is no moment that can be meant")]
fn milliseconds(seconds: f64) -> Option<i64> {
    When::utc((seconds * 1000.0).floor() as i64)?.moment()
}
