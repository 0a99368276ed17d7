//! Backups: each real file against what it says itself, looked up the simple way.

use super::{files, folder};
use crate::{Outcome, Status, Unreadable, borg, pgbackrest, restic, text, veeam, wbadmin};
use mimamori_shared::time;
use serde_json::Value;

type Parser = fn(&str, Option<i64>) -> Result<Outcome, Unreadable>;

/// The files of the group whose path begins so, decoded; at least one.
fn read(test: &str, begin: &str) -> Vec<(String, String)> {
    let Some(folder) = folder("backup", test) else { return Vec::new() };
    let found: Vec<(String, String)> =
        files(&folder).into_iter().filter(|(path, _)| path.starts_with(begin)).map(|(path, bytes)| (path, text::decode(&bytes).into_owned())).collect();
    assert!(!found.is_empty(), "{begin}");
    found
}

/// One file as its parser has it; `None` without a corpus.
fn one(parser: Parser, path: &str) -> Option<Outcome> {
    let (_, text) = read(path, path).into_iter().next()?;
    Some(parser(&text, None).unwrap_or_else(|error| panic!("{path}: {error}")))
}

fn status_of(outcome: &Outcome) -> (Status, Option<&'static str>) {
    (outcome.status, outcome.faults.first().map(|fault| fault.code))
}

#[test]
fn restic_agrees_with_its_own_lists() {
    for (path, text) in read("restic's lists", "restic/") {
        let root: Value = serde_json::from_str(&text).unwrap();
        let times: Vec<i64> = root["keep"].as_array().into_iter().flatten().map(|snapshot| time::parse(snapshot["time"].as_str().unwrap()).unwrap()).collect();
        let outcome = restic::outcome(&text, None).unwrap();
        if times.is_empty() {
            assert_eq!((status_of(&outcome), outcome.records.len()), ((Status::Unknown, Some("empty")), 0), "{path}");
            continue;
        }
        let (newest, oldest) = (times.iter().max().map(|ms| time::show(*ms)), times.iter().min().map(|ms| time::show(*ms)));
        let record = &outcome.records[0];
        assert_eq!((status_of(&outcome), outcome.records.len()), ((Status::Ok, None), 1), "{path} {}", outcome.reason);
        assert_eq!((record["last_success_at"].as_str(), record["oldest_at"].as_str()), (newest.as_deref(), oldest.as_deref()), "{path}");
        assert_eq!(record["generations"], times.len(), "{path}");
        // Every one of these is years old.
        assert_eq!(restic::outcome(&text, time::parse("2026-11-28T00:00:00Z").ok()).unwrap().status, Status::Bad, "{path}");
    }
}

#[test]
fn restic_groups_are_sets() {
    let Some(outcome) = one(restic::outcome, "linuxfabrik/restic-snapshots/snapshots-v2") else { return };
    let shown: Vec<(&str, i64, &str)> =
        outcome.records.iter().map(|r| (r["set"].as_str().unwrap(), r["generations"].as_i64().unwrap(), r["last_success_at"].as_str().unwrap())).collect();
    assert_eq!(shown, [("/home", 5, "2022-12-04T16:10:05Z"), ("/home [tagA]", 2, "2022-12-05T10:46:45Z")]);
    assert_eq!(outcome.source_fresh_at, time::parse("2022-12-05T10:46:45Z").ok());
}

#[test]
fn restic_runs_and_messages_are_read() {
    for (name, size, added) in
        [("backup_1", 3_520_132, 3_562_342), ("backup_2", 4_120_148, 602_451), ("backup_3", 5_020_164, 903_140), ("backup_4", 6_220_180, 1_203_824)]
    {
        let Some(outcome) = one(restic::outcome, &format!("generated/restic_{name}.jsonl")) else { return };
        let record = &outcome.records[0];
        assert_eq!((status_of(&outcome), &record["result"]), ((Status::Ok, None), &"success".into()), "{name}");
        assert_eq!((&record["size_bytes"], &record["added_bytes"], &record["last_success_at"]), (&size.into(), &added.into(), &Value::Null), "{name}");
    }
    let stats = one(restic::outcome, "generated/restic_stats_restore.json").unwrap();
    assert_eq!((&stats.records[0]["size_bytes"], &stats.records[0]["generations"]), (&25_100_804.into(), &5.into()));
    let password = one(restic::outcome, "generated/restic_wrong_password.txt").unwrap();
    assert_eq!((status_of(&password), password.records.len()), ((Status::Unknown, Some("wrong_key")), 0));
    let missing = one(restic::outcome, "generated/restic_backup_missing_path.err").unwrap();
    assert_eq!((status_of(&missing), &missing.records[0]["result"]), ((Status::Bad, Some("not_found")), &"warning".into()));
}

#[test]
fn borg_is_read_in_every_form() {
    let Some(list) = one(borg::outcome, "generated/borg_list.json") else { return };
    for outcome in [list, one(borg::outcome, "generated/borg_list.txt").unwrap()] {
        let record = &outcome.records[0];
        assert_eq!((status_of(&outcome), &record["generations"]), ((Status::Ok, None), &4.into()));
        assert_eq!((&record["last_success_at"], &record["oldest_at"]), (&"2026-11-22T03:18:29".into(), &"2026-11-22T03:18:28".into()));
    }
    for (name, size) in [("borg_info_repo.json", 26_680_720), ("borg_info.txt", 26_680_000)] {
        let outcome = one(borg::outcome, &format!("generated/{name}")).unwrap();
        let record = &outcome.records[0];
        assert_eq!((outcome.status, &record["set"], &record["size_bytes"]), (Status::Ok, &"brepo".into(), &size.into()), "{name}");
        assert_eq!((&record["last_success_at"], &record["generations"]), (&Value::Null, &Value::Null), "{name}");
    }
    for (name, size) in [("borg_info_archive.json", 6_820_180), ("borg_create_missing.json", 6_820_693)] {
        let outcome = one(borg::outcome, &format!("generated/{name}")).unwrap();
        let record = &outcome.records[0];
        assert_eq!((status_of(&outcome), &record["size_bytes"], &record["added_bytes"]), ((Status::Ok, None), &size.into(), &525.into()), "{name}");
        assert_eq!(record["last_success_at"], "2026-11-22T03:18:29", "{name}");
    }
    let check = one(borg::outcome, "generated/borg_check_damaged.jsonl").unwrap();
    assert_eq!((status_of(&check), check.faults.len(), &check.records[0]["damaged"]), ((Status::Bad, Some("damaged")), 1, &true.into()));
    let locked = one(borg::outcome, "generated/borg_locked.err.jsonl").unwrap();
    assert_eq!((status_of(&locked), locked.observed_at), ((Status::Unknown, Some("locked")), Some(1_795_317_515_005)));
    let missing = one(borg::outcome, "generated/borg_create_missing.err.jsonl").unwrap();
    assert_eq!((missing.status, &missing.records[0]["result"]), (Status::Bad, &"warning".into()));
}

#[test]
fn pgbackrest_is_read_in_both_forms() {
    let Some(json) = one(pgbackrest::outcome, "generated/pgbackrest_info_ok.json") else { return };
    let text = one(pgbackrest::outcome, "generated/pgbackrest_info_ok.txt").unwrap();
    for (outcome, newest, size) in [(&json, "2026-11-22T03:19:04Z", 22_956_398), (&text, "2026-11-22T03:19:04", 22_963_814)] {
        let record = &outcome.records[0];
        assert_eq!((status_of(outcome), &record["set"], &record["generations"]), ((Status::Ok, None), &"main".into(), &3.into()));
        assert_eq!((&record["last_success_at"], &record["size_bytes"], &record["result"]), (&newest.into(), &size.into(), &"success".into()));
    }
    let none = one(pgbackrest::outcome, "generated/pgbackrest_info_nostanza.json").unwrap();
    assert_eq!((status_of(&none), none.records.len()), ((Status::Unknown, Some("empty")), 0));
}

#[test]
fn veeam_is_read_in_every_form() {
    let Some(jobs) = one(veeam::outcome, "checkmk/veeam_jobs.txt") else { return };
    assert_eq!((jobs.status, jobs.records.len()), (Status::Bad, 8));
    let results: Vec<&str> = jobs.records.iter().map(|record| record["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["success", "success", "failed", "failed", "success", "success", "success", "success"]);
    let good: Vec<Option<&str>> = jobs.records.iter().map(|record| record["last_success_at"].as_str()).collect();
    assert_eq!((good[0], good[2], good[5]), (Some("2013-10-27T22:06:12"), None, Some("2013-10-28T05:32:15")));
    // A clock does not show 44 hours.
    assert_eq!((good[4], status_of(&jobs).1), (None, Some("malformed")));
    let o365 = one(veeam::outcome, "checkmk/veeam_o365jobs.txt").unwrap();
    assert_eq!((o365.status, o365.records.len(), &o365.records[0]["last_success_at"]), (Status::Bad, 2, &"2020-05-29T16:47:55".into()));
    assert_eq!((&o365.records[1]["result"], &o365.records[1]["set"]), (&"failed".into(), &"cmk.onmicrosoft.com Outlook Online2".into()));
    for (case, status, result) in
        [("all-healthy-v13", Status::Ok, "success"), ("jobs-and-vms-failed-v13", Status::Bad, "failed"), ("ok-with-high-thresholds-v12", Status::Bad, "failed")]
    {
        let outcome = one(veeam::outcome, &format!("linuxfabrik/veeam-status/{case}")).unwrap();
        assert_eq!((outcome.status, &outcome.records[0]["result"]), (status, &result.into()), "{case} {}", outcome.reason);
    }
    let healthy = one(veeam::outcome, "linuxfabrik/veeam-status/all-healthy-v13").unwrap();
    assert_eq!((&healthy.records[0]["generations"], &healthy.records[0]["size_bytes"]), (&38.into(), &2_950_475_115_008_i64.into()));
}

#[test]
fn wbadmin_is_read_and_a_command_alone_is_not() {
    let Some(outcome) = one(wbadmin::outcome, "wbadmin/get-versions-2.txt") else { return };
    let shown: Vec<(&str, i64)> = outcome.records.iter().map(|r| (r["last_success_at"].as_str().unwrap(), r["generations"].as_i64().unwrap())).collect();
    assert_eq!((outcome.status, shown), (Status::Ok, vec![("2020-09-21T23:00:00Z", 1), ("2025-04-18T22:12:00Z", 1)]));
    let (_, command) = read("a command", "msdocs/").remove(0);
    assert!(matches!(wbadmin::outcome(&command, None), Err(Unreadable::Foreign { .. })));
}

/// No kind takes another's output for its own.
#[test]
fn each_file_is_read_by_its_own_kind_alone() {
    let kinds: [(&str, Parser); 5] =
        [("restic", restic::outcome), ("borg", borg::outcome), ("pgbackrest", pgbackrest::outcome), ("veeam", veeam::outcome), ("wbadmin", wbadmin::outcome)];
    for (path, text) in read("all kinds", "") {
        let read: Vec<&str> = kinds.iter().filter(|(_, parser)| parser(&text, None).is_ok()).map(|(name, _)| *name).collect();
        let expected: Vec<&str> = match path.as_str() {
            // Exit codes, other products, documents.
            path if path.ends_with(".rc") || path.contains("starface") || path.contains("infomaniak-swiss-backup-devices") || path.ends_with(".md") => vec![],
            path if path.contains("infomaniak-swiss-backup-products") || path.starts_with("msdocs") => vec![],
            // An empty list says nothing of who wrote it.
            path if path.contains("nostanza") => vec!["restic", "pgbackrest", "veeam", "wbadmin"],
            path => vec![kinds.iter().map(|(name, _)| *name).find(|name| path.contains(name)).unwrap_or_else(|| panic!("{path}"))],
        };
        assert_eq!(read, expected, "{path}");
    }
}
