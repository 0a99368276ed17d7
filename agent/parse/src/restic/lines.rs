//! Messages, one on a line: JSON of `backup` and `check`, and the tool's text.

use crate::backup::{COMPLAINT_LINES_MAX, complaint_of};

use super::{BackupRecord, Backups, Ended, Value, complain, count_at, run, text_at};

/// What the lines told so far.
#[derive(Default)]
struct Told {
    backups: Backups,
    /// Something that only this tool writes was there.
    familiar: bool,
    /// A run of `backup` was begun, or something was left out of it.
    running: bool,
    left_out: bool,
    ended: bool,
    damaged: Option<bool>,
}

/// Reads them; `None` when there is nothing of this tool in them.
pub(super) fn read(input: &str) -> Option<Backups> {
    let mut told = Told::default();
    for (index, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if !line.trim_start().starts_with('{') {
            told.text(line, told.familiar || index < COMPLAINT_LINES_MAX);
        } else if let Ok(message) = serde_json::from_str::<Value>(line) {
            told.message(&message);
        } else {
            told.backups.malformed(index, "no message");
        }
    }
    told.close()
}

impl Told {
    fn message(&mut self, message: &Value) {
        let Some(kind) = text_at(message, "/message_type") else { return };
        self.familiar = true;
        match kind.as_str() {
            "status" | "verbose_status" => self.running = true,
            "summary" if message.get("num_errors").is_some() => self.checked(message),
            "summary" if message.get("total_files_processed").is_some() => self.ran(message),
            "error" if message.get("during").is_some() || message.get("item").is_some() => self.left_out = true,
            "exit_error" => self.stopped(message),
            "error" => {
                let said = text_at(message, "/message").or_else(|| text_at(message, "/error/message")).unwrap_or_default();
                if !complain(&mut self.backups, &said) {
                    self.backups.fault("io_error", "the tool tells of an error");
                }
            }
            _ => {}
        }
    }

    /// The end of a check.
    fn checked(&mut self, message: &Value) {
        let errors = count_at(message, "/num_errors");
        let packs = message.get("broken_packs").and_then(Value::as_array).is_some_and(|packs| !packs.is_empty());
        self.damaged = errors.map(|errors| errors > 0 || packs);
    }

    /// The end of a run.
    fn ran(&mut self, message: &Value) {
        self.ended = true;
        let mut record = run(message);
        if message.get("dry_run").and_then(Value::as_bool) == Some(true) {
            record = BackupRecord { result: Some(Ended::Never), ..BackupRecord::default() };
        } else if count_at(message, "/total_files_processed") == Some(0) {
            record.size_bytes = Some(0);
        }
        self.backups.push(record);
    }

    /// Why the tool gave up, by its own exit code.
    fn stopped(&mut self, message: &Value) {
        let said = text_at(message, "/message").unwrap_or_default();
        match count_at(message, "/code") {
            Some(3) => self.left_out = true,
            Some(10) => self.backups.fault("not_found", "there is no repository"),
            Some(11) => self.backups.fault("locked", "the repository is locked"),
            Some(12) => self.backups.fault("wrong_key", "the password or key does not open the repository"),
            Some(130) => self.backups.fault("io_error", "the tool was interrupted"),
            _ if complain(&mut self.backups, &said) => {}
            _ => self.backups.fault("io_error", "the tool gave up"),
        }
    }

    /// A line of text, in which a complaint may stand or not.
    fn text(&mut self, line: &str, complaints: bool) {
        let line = line.trim();
        if line.contains("no errors were found") {
            self.familiar = true;
            self.damaged = self.damaged.or(Some(false));
        } else if line.contains("repository contains errors") || (line.starts_with("pack ") && line.contains("does not exist")) {
            self.familiar = true;
            self.damaged = Some(true);
        } else if line.ends_with("does not exist, skipping") || line.contains("at least one source file could not be read") {
            self.familiar = true;
            self.left_out = true;
        } else if line.starts_with("check all packs")
            || line.starts_with("check snapshots, trees and blobs")
            || complaints && complaint_of(&["restic", "fatal: "], line).is_some_and(|(code, words)| self.fault(code, words))
        {
            self.familiar = true;
        } else if complaints && line.starts_with("Fatal: ") {
            self.familiar = true;
            self.backups.fault("io_error", "the tool gave up");
        }
    }

    fn fault(&mut self, code: &'static str, words: &str) -> bool {
        self.backups.fault(code, words);
        true
    }

    fn close(mut self) -> Option<Backups> {
        if !self.familiar {
            return None;
        }
        // A complaint of damage is the finding of a check, whichever command came upon it.
        if self.backups.faults.iter().any(|fault| fault.code == "damaged") {
            self.damaged = Some(true);
        }
        if self.left_out {
            self.backups.fault("not_found", "a source could not be read and was left out");
            match self.backups.sets.last_mut() {
                Some(record) => record.warned(),
                None => self.backups.push(BackupRecord { result: Some(Ended::Warning), ..BackupRecord::default() }),
            }
        } else if self.running && !self.ended && self.backups.faults.is_empty() {
            self.backups.push(BackupRecord { result: Some(Ended::Running), ..BackupRecord::default() });
        }
        if let Some(damaged) = self.damaged {
            self.backups.push(BackupRecord { damaged: Some(damaged), ..BackupRecord::default() });
        } else if self.backups.sets.is_empty() && self.backups.faults.is_empty() {
            self.backups.fault("io_error", "the tool does not tell how it ended");
        }
        Some(self.backups)
    }
}
