//! Objects of the PowerShell module: a summary, backup sets, jobs.

use super::{BackupRecord, Backups, Ended, Order, Row, Unreadable, When, order_of, powershell, text};

/// Reads them; `None` when none is of these.
///
/// # Errors
/// When it begins as JSON and is none.
pub(super) fn read(input: &str) -> Result<Option<Backups>, Unreadable> {
    let rows = powershell::read(input)?;
    let moments = ["lastsuccessfulbackuptime", "lastbackuptime", "backuptime", "starttime", "endtime"];
    let order = order_of(rows.iter().flat_map(|row| moments.iter().filter_map(|name| row.get(*name))).map(String::as_str));
    let mut backups = Backups::default();
    let mut familiar = false;
    let (sets, jobs): (Vec<&Row>, Vec<&Row>) = (
        rows.iter().filter(|row| row.contains_key("backuptime")).collect(),
        rows.iter().filter(|row| row.contains_key("jobtype") || row.contains_key("jobstate")).collect(),
    );
    for row in rows.iter().filter(|row| row.contains_key("lastbackupresulthr") || row.contains_key("lastsuccessfulbackuptime")) {
        familiar = true;
        summary(row, order, &mut backups);
    }
    if !sets.is_empty() {
        familiar = true;
        let made: Vec<When> = sets.iter().filter_map(|row| When::read(row.get("backuptime")?, order)).collect();
        if made.len() < sets.len() {
            backups.fault("malformed", &format!("{} backups without a moment that can be meant", sets.len() - made.len()));
        }
        let target = sets.first().and_then(|row| row.get("backuptarget")).cloned();
        backups.push(BackupRecord { generations: i64::try_from(sets.len()).ok(), ..BackupRecord::of(target, &made) });
    }
    for row in jobs {
        familiar = true;
        job(row, order, &mut backups);
    }
    Ok(familiar.then_some(backups))
}

/// A result of Windows: zero is success, in any of its notations.
fn succeeded(row: &Row, key: &str) -> Option<bool> {
    let value = row.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())?;
    Some(value.trim_start_matches("0x").bytes().all(|byte| byte == b'0'))
}

fn summary(row: &Row, order: Order, backups: &mut Backups) {
    let moment = |key: &str| row.get(key).and_then(|value| When::read(value, order));
    let (good, last) = (moment("lastsuccessfulbackuptime"), moment("lastbackuptime"));
    for key in ["lastsuccessfulbackuptime", "lastbackuptime"] {
        // A date that stands for never is a state of its own; one of two meanings is none.
        if moment(key).is_none() && row.get(key).is_some_and(|value| value.contains("20")) {
            backups.fault("malformed", "a moment that cannot be told");
        }
    }
    let versions = row.get("numberofversions").and_then(|count| text::whole(count)).filter(|count| *count > 0);
    let detailed = succeeded(row, "lastbackupresultdetailedhr").unwrap_or(true);
    let working = row.get("currentoperationstatus").is_some_and(|word| !word.is_empty() && !word.eq_ignore_ascii_case("NoOperationInProgress"));
    let result = match succeeded(row, "lastbackupresulthr") {
        Some(false) => Some(Ended::Failed),
        Some(true) if !detailed => Some(Ended::Warning),
        _ if last.is_none() && good.is_none() => Some(if working { Ended::Running } else { Ended::Never }),
        Some(true) => Some(Ended::Success),
        None => None,
    };
    let times: Vec<When> = good.into_iter().collect();
    backups.push(BackupRecord {
        result,
        generations: versions,
        last_run_at: last.or(good),
        oldest_at: None,
        ..BackupRecord::of(row.get("lastbackuptarget").cloned(), &times)
    });
}

fn job(row: &Row, order: Order, backups: &mut Backups) {
    let kind = row.get("jobtype").map(String::as_str).unwrap_or_default();
    if kind.eq_ignore_ascii_case("recovery") {
        return;
    }
    let ended = row.get("endtime").and_then(|value| When::read(value, order));
    let running = row.get("jobstate").is_some_and(|state| !state.eq_ignore_ascii_case("completed"));
    let result = match succeeded(row, "hresult") {
        _ if running => Some(Ended::Running),
        Some(true) => Some(Ended::Success),
        Some(false) => Some(Ended::Failed),
        None => None,
    };
    let good: Vec<When> = ended.filter(|_| result == Some(Ended::Success)).into_iter().collect();
    backups.push(BackupRecord { result, generations: None, oldest_at: None, last_run_at: ended, ..BackupRecord::of(None, &good) });
}
