//! The statistics of the Enterprise Manager: runs and machines of the last day, counted.

use super::{BackupRecord, Backups, Ended, Value};
use crate::json;
use std::collections::BTreeMap;

/// The counts of a report, or of several under names of their own; `None` when there are none.
pub(super) fn read(root: &Value) -> Option<Backups> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let object = root.as_object()?;
    for part in object.values().filter_map(Value::as_object).chain([object]) {
        let numbers = part.iter().filter_map(|(key, value)| Some((key.to_ascii_lowercase(), json::count(value).filter(|_| value.is_number())?)));
        counts.extend(numbers.take(256));
    }
    let count = |name: &str| counts.get(name).copied();
    let runs = count("totaljobruns");
    if runs.is_none() && count("successfulvmlasteststates").is_none() && count("protectedvms").is_none() {
        return None;
    }
    let any = |names: &[&str]| names.iter().any(|name| count(name).is_some_and(|count| count > 0));
    let mut backups = Backups::default();
    let result = if any(&["failedjobruns", "failedvmlasteststates"]) {
        Some(Ended::Failed)
    } else if any(&["warningsjobruns", "warningvmlasteststates"]) {
        Some(Ended::Warning)
    } else if any(&["successfuljobruns", "successfulvmlasteststates"]) {
        Some(Ended::Success)
    } else if any(&["runningjobs"]) {
        Some(Ended::Running)
    } else {
        // Nothing failed because nothing ran.
        Some(Ended::Never)
    };
    for (name, words) in [("failedjobruns", "runs failed"), ("failedvmlasteststates", "machines failed"), ("warningsjobruns", "runs had warnings")] {
        if let Some(count) = count(name).filter(|count| *count > 0) {
            backups.findings.push(format!("{count} {words}"));
        }
    }
    if let Some(percent) = count("successbackuppercents").filter(|percent| *percent < 100) {
        backups.findings.push(format!("{percent} % of the protected machines are backed up"));
    }
    if count("scheduledjobs") == Some(0) {
        backups.fault("empty", "no job is scheduled");
    }
    backups.push(BackupRecord {
        result,
        size_bytes: count("sourcevmssize"),
        generations: count("restorepoints").filter(|count| *count > 0),
        ..BackupRecord::default()
    });
    Some(backups)
}
