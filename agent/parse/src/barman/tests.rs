use super::*;
use crate::Status;
use proptest::prelude::*;

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

const LIST: &str = "main 20261122T031855 'weekly' - F - Sun Nov 22 03:19:00 2026 - Size: 21.9 MiB - WAL Size: 0 B - WAITING_FOR_WALS\n\
    main 20261121T031855 - I - Sat Nov 21 03:19:00 2026 - Size: 8.0 KiB - WAL Size: 16.0 MiB - OBSOLETE\nmain 20261120T031855 - FAILED\n\
    side 20261119T031855 - Thu Nov 19 03:19:00 2026 - Size: 2.0 GiB - WAL Size: 0 B (tablespaces: t:/srv/t)\n";

#[test]
fn a_list_tells_of_each_server() {
    let outcome = judged(LIST);
    assert_eq!((outcome.status, outcome.records.len(), outcome.faults.len()), (Status::Ok, 2, 0), "{}", outcome.reason);
    let (main, side) = (&outcome.records[0], &outcome.records[1]);
    assert_eq!((&main["set"], &main["generations"], &main["last_success_at"]), (&"main".into(), &2.into(), &"2026-11-22T03:19:00".into()));
    assert_eq!((&main["size_bytes"], &side["size_bytes"]), (&22_963_814.into(), &2_147_483_648_i64.into()));
}

#[test]
fn a_newest_backup_that_failed_is_bad_whatever_came_before() {
    let failed = format!("main 20261123T031855 - F - FAILED\n{LIST}");
    let outcome = judged(&failed);
    assert_eq!((outcome.status, &outcome.records[0]["result"]), (Status::Bad, &"failed".into()));
    assert_eq!(outcome.records[0]["last_success_at"], "2026-11-22T03:19:00");
    assert_eq!(judged("main 20261123T031855 - STARTED\n").status, Status::Unknown);
    assert_eq!(judged("main 20261123T031855 - F - Sun Nov 42 03:19:00 2026 - Size: 0 B - WAL Size: 0 B\n").status, Status::Unknown);
}

#[test]
fn json_says_the_same() {
    let done = r#"{"backup_id":"20261122T031855","backup_type":"full","end_time":"Sun Nov 22 12:19:00 2026","end_time_timestamp":"1795317540","size":"21.9 MiB","size_bytes":22956398,"status":"DONE","retention_status":"-"}"#;
    let outcome = judged(&format!(r#"{{"main":[{done},{{"backup_id":"20261120T031855","status":"FAILED"}}]}}"#));
    let record = &outcome.records[0];
    assert_eq!((outcome.status, &record["generations"], &record["last_success_at"]), (Status::Ok, &1.into(), &"2026-11-22T03:19:00Z".into()));
    assert_eq!(&record["size_bytes"], 22_956_398);
    assert_eq!(judged(&format!(r#"{{"main":[{{"backup_id":"20261120T031855","status":"FAILED"}},{done}]}}"#)).status, Status::Bad);
    let none = judged(r#"{"main":[]}"#);
    assert_eq!((none.status, none.faults[0].code, &none.records[0]["generations"]), (Status::Unknown, "empty", &Value::Null));
    assert_eq!(judged(r#"{"_ERROR":["Unknown server 'x'"]}"#).faults[0].code, "not_found");
    let minimal = judged(r#"{"main":["20261122T031855"]}"#);
    assert_eq!((minimal.status, minimal.faults[0].code), (Status::Unknown, "malformed"));
}

#[test]
fn a_check_is_bad_when_one_of_them_failed() {
    let text = "2026-11-22 03:19:04,123 [7] barman.utils WARNING: Failed opening the requested log file.\nServer main:\n\tPostgreSQL: OK\n\
        \tbackup maximum age: OK (interval provided: 4 days, latest backup age: 2 hours)\n\tbackup minimum size: OK (21.9 MiB)\n\
        \tminimum redundancy requirements: OK (have 2 backups, expected at least 1)\n";
    let fine = judged(text);
    assert_eq!((fine.status, fine.faults.len(), &fine.records[0]["generations"]), (Status::Ok, 0, &2.into()), "{}", fine.reason);
    assert_eq!(fine.records[0]["size_bytes"], 22_963_814);
    let failed = judged(&text.replace("PostgreSQL: OK", "PostgreSQL: FAILED"));
    assert_eq!((failed.status, failed.reason.as_str()), (Status::Bad, "set 1: the check of PostgreSQL failed"));
    // Everything passes and nothing was ever backed up.
    let none = judged(&text.replace("have 2 backups, expected at least 1", "have 0 backups, expected at least 0").replace("21.9 MiB", "0 B"));
    assert_eq!((none.status, &none.records[0]["generations"]), (Status::Unknown, &Value::Null));
    let check = |status: &str| {
        format!(
            r#"{{"main":{{"minimum_redundancy_requirements":{{"hint":"have 2 backups, expected at least 1","status":"OK"}},"postgresql":{{"hint":"","status":"{status}"}}}}}}"#
        )
    };
    assert_eq!((judged(&check("OK")).status, judged(&check("FAILED")).status), (Status::Ok, Status::Bad));
}

#[test]
fn what_the_tool_says_of_itself_is_unknown_and_another_format_is_refused() {
    for (said, code) in [
        ("ERROR: Unknown server 'x'\n", "not_found"),
        ("ERROR: Another action is in progress for the backup server\n", "locked"),
        ("ERROR: Something\n", "io_error"),
        ("bash: barman: command not found\n", "not_found"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
    }
    assert_eq!(parse("\n"), Err(Unreadable::Empty));
    for foreign in ["a b\n", "{}", "{\"a\":1}", "{\"a\":{\"b\":1}}", "{", "Server main:\n", "main 2026 - FAILED\n"] {
        assert!(parse(foreign).is_err(), "{foreign}");
    }
    assert!(parse(&"{\"a\":".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "(\\{\"|Server m:\n)?(\t[a-z_ ]{0,9}: (OK|FAILED)( \\(have .*\\))?\n|m 20261122T031855 - .*\n|.*\n){0,6}", at: Option<i64>) {
        if let Ok(outcome) = outcome(&input, at) {
            prop_assert!(outcome.status == Status::Ok || !outcome.reason.is_empty());
        }
    }
}
