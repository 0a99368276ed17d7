use super::*;
use crate::{RECORDS_MAX, Status};

/// 2026-11-20, UTC.
const AT: i64 = 1_795_132_800_000;

fn judged(set: BackupRecord, at_ms: Option<i64>) -> (Status, String) {
    let mut backups = Backups::default();
    backups.push(set);
    let outcome = backups.outcome(at_ms);
    (outcome.status, outcome.reason)
}

fn at(ms: i64) -> When {
    When::utc(ms).unwrap()
}

fn daily(newest: i64, count: i64) -> Vec<When> {
    (0..count).map(|n| at(newest - n * DAY_MS)).collect()
}

#[test]
fn a_set_of_moments_is_counted() {
    let set = BackupRecord::of(Some("home\n".to_owned()), &daily(AT, 9));
    assert_eq!((set.last_success_at, set.oldest_at, set.generations), (Some(at(AT)), Some(at(AT - 8 * DAY_MS)), Some(9)));
    assert_eq!((set.set.as_deref(), set.result, set.rhythm_ms), (Some("home"), Some(Ended::Success), Some(DAY_MS)));
    let none = BackupRecord::of(None, &[]);
    assert_eq!((none.generations, none.result, none.last_success_at), (None, None, None));
    assert_eq!(judged(none, None).0, Status::Unknown);
}

#[test]
fn a_set_that_is_not_kept_up_is_bad_by_its_own_rhythm() {
    let age = |set: &BackupRecord, days: i64| judged(set.clone(), Some(AT + days * DAY_MS)).0;
    let (day, week) = (BackupRecord::of(None, &daily(AT, 9)), BackupRecord::of(None, &[at(AT), at(AT - 7 * DAY_MS), at(AT - 14 * DAY_MS)]));
    assert_eq!((age(&day, 3), age(&day, 4)), (Status::Ok, Status::Bad));
    assert_eq!((age(&week, 15), age(&week, 16)), (Status::Ok, Status::Bad));
    let year = BackupRecord::of(None, &[at(AT), at(AT - 365 * DAY_MS), at(AT - 730 * DAY_MS)]);
    assert_eq!((age(&year, 62), age(&year, 63)), (Status::Ok, Status::Bad));
    let alone = BackupRecord::of(None, &[at(AT)]);
    assert_eq!((age(&alone, 8), age(&alone, 9)), (Status::Ok, Status::Bad));
    assert_eq!(judged(alone.clone(), Some(AT + 9 * DAY_MS)).1, "the backup: the newest backup is 9 days old");
    assert_eq!(judged(alone.clone(), None).0, Status::Ok);
    // A clock without an offset may have shown the moment half a day later elsewhere.
    let (local, ahead) = (BackupRecord::of(None, &[stamp(Some("2026-11-20T00:00:00")).unwrap()]), BackupRecord::of(None, &[at(AT + 2 * DAY_MS)]));
    let half = 12 * 3_600_000;
    assert_eq!((judged(local.clone(), Some(AT + 8 * DAY_MS + half)).0, judged(local, Some(AT + 8 * DAY_MS + half + 1)).0), (Status::Ok, Status::Bad));
    assert_eq!(judged(ahead, Some(AT)).0, Status::Unknown);
}

#[test]
fn success_that_wrote_nothing_is_never_fine() {
    let good = BackupRecord::of(None, &[at(AT)]);
    for (set, status) in [
        (BackupRecord { size_bytes: Some(0), ..good.clone() }, Status::Bad),
        (BackupRecord { damaged: Some(true), ..good.clone() }, Status::Bad),
        (BackupRecord { result: Some(Ended::Failed), ..good.clone() }, Status::Bad),
        (BackupRecord { result: Some(Ended::Warning), ..good.clone() }, Status::Bad),
        (BackupRecord { result: Some(Ended::Never), ..BackupRecord::default() }, Status::Unknown),
        (BackupRecord { result: Some(Ended::Running), ..BackupRecord::default() }, Status::Unknown),
        (BackupRecord { result: Some(Ended::Running), ..good.clone() }, Status::Ok),
        (BackupRecord { size_bytes: Some(7), ..good }, Status::Ok),
    ] {
        assert_eq!(judged(set.clone(), None).0, status, "{set:?}");
    }
}

#[test]
fn without_a_moment_nothing_is_fine_by_a_clock() {
    let set = BackupRecord { result: Some(Ended::Success), size_bytes: Some(5), ..BackupRecord::default() };
    assert_eq!((judged(set.clone(), None).0, judged(set, Some(AT)).0), (Status::Ok, Status::Unknown));
    assert_eq!(Backups::default().outcome(None).status, Status::Unknown);
}

#[test]
fn too_many_sets_are_told() {
    let mut backups = Backups::default();
    (0..=RECORDS_MAX).for_each(|_| backups.push(BackupRecord::of(None, &[at(AT)])));
    let outcome = backups.outcome(None);
    assert_eq!((outcome.status, outcome.records.len(), outcome.faults[0].code), (Status::Unknown, RECORDS_MAX, "too_many"));
}

#[test]
fn a_name_stands_in_the_set_alone() {
    let mut backups = Backups::default();
    backups.push(BackupRecord { result: Some(Ended::Failed), ..BackupRecord::of(Some("/home/yamada".to_owned()), &[at(AT)]) });
    backups.push(BackupRecord::of(None, &[at(AT)]));
    let shown = serde_json::to_value(backups.outcome(Some(AT))).unwrap();
    assert_eq!((&shown["reason"], &shown["records"][0]["set"]), (&"set 1: the last run failed".into(), &"/home/yamada".into()));
    assert_eq!(shown.to_string().matches("yamada").count(), 1 + shown["readings"].as_array().unwrap().iter().filter(|r| r["labels"]["set"] != "").count());
    assert_eq!(shown["records"][0]["last_success_at"], "2026-11-20T00:00:00Z");
}

#[test]
fn a_moment_without_an_offset_is_shown_so_and_its_freshness_is_its_earliest() {
    let mut backups = Backups::default();
    backups.push(BackupRecord::of(None, &[stamp(Some("2026-11-20 00:00:00")).unwrap()]));
    let outcome = backups.outcome(None);
    assert_eq!((&outcome.records[0]["last_success_at"], outcome.source_fresh_at), (&"2026-11-20T00:00:00".into(), Some(AT - 14 * 3_600_000)));
    assert!(outcome.readings.iter().all(|reading| reading.name != "backup_last_success_timestamp"));
    assert_eq!((seconds(4_294_967_295), seconds(0), seconds(1_795_317_540).is_some()), (None, None, true));
}

#[test]
fn complaints_are_told_in_our_words() {
    for (line, code) in [
        ("Fatal: wrong password or no key found", "wrong_key"),
        ("Failed to create/acquire the lock /srv/x/lock.exclusive (timeout).", "locked"),
        ("unable to create lock in backend: repository is already locked by PID 7 on pc by yamada (UID 0, GID 0)", "locked"),
        ("Repository /srv/x does not exist.", "not_found"),
        ("Fatal: repository does not exist: unable to open config file: stat /x/config: no such file or directory", "not_found"),
        ("Get \"https://h/\": dial tcp: lookup h: no such host", "unreachable"),
        ("bash: restic: command not found", "not_found"),
        ("Data integrity error: Segment entry checksum mismatch", "damaged"),
    ] {
        let (told, words) = complaint(line).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(told, code, "{line}");
        assert!(!words.contains("yamada") && !words.contains('/'), "{words}");
    }
    assert_eq!(complaint("all is well"), None);
}
