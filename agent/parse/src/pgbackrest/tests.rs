use super::*;
use crate::Status;
use proptest::prelude::*;

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

fn backup(stop: i64, error: &str) -> String {
    format!(
        r#"{{"error":{error},"info":{{"delta":8458,"repository":{{"delta":432,"size":3031887}},"size":22956398}},"label":"20261122-031855F","timestamp":{{"start":{},"stop":{stop}}},"type":"full"}}"#,
        stop - 5
    )
}

fn stanza(name: &str, code: i64, backups: &[String]) -> String {
    format!(
        r#"{{"backup":[{}],"name":"{name}","repo":[{{"key":1,"status":{{"code":{code},"message":"x"}}}}],"status":{{"code":{code},"lock":{{"backup":{{"held":false}}}},"message":"x"}}}}"#,
        backups.join(",")
    )
}

#[test]
fn a_stanza_is_a_set() {
    let outcome = judged(&format!("[{}]", stanza("main", 0, &[backup(1_795_317_540, "false"), backup(1_795_317_544, "false")])));
    let record = &outcome.records[0];
    assert_eq!((outcome.status, &record["set"], &record["generations"]), (Status::Ok, &"main".into(), &2.into()));
    assert_eq!((&record["last_success_at"], &record["size_bytes"], &record["added_bytes"]), (&"2026-11-22T03:19:04Z".into(), &22_956_398.into(), &432.into()));
    let broken = judged(&format!("[{}]", stanza("main", 0, &[backup(1_795_317_540, "false"), backup(1_795_317_544, "true")])));
    assert_eq!(
        (broken.status, &broken.records[0]["damaged"], &broken.records[0]["last_success_at"]),
        (Status::Bad, &true.into(), &"2026-11-22T03:19:00Z".into())
    );
}

#[test]
fn a_status_is_told_apart() {
    for (code, status, fault) in [
        (1, Status::Unknown, Some("not_found")),
        (2, Status::Bad, None),
        (3, Status::Unknown, Some("not_found")),
        (5, Status::Bad, None),
        (6, Status::Unknown, Some("not_found")),
        (99, Status::Unknown, Some("io_error")),
    ] {
        let outcome = judged(&format!("[{}]", stanza("main", code, &[])));
        assert_eq!((outcome.status, outcome.faults.first().map(|fault| fault.code)), (status, fault), "{code} {}", outcome.reason);
        assert_eq!((&outcome.records[0]["generations"], &outcome.records[0]["last_success_at"]), (&Value::Null, &Value::Null), "{code}");
    }
    let mixed = stanza("main", 4, &[backup(1_795_317_540, "false")]).replacen("\"code\":4", "\"code\":2", 1);
    assert_eq!(judged(&format!("[{mixed}]")).status, Status::Bad);
    let key = stanza("main", 99, &[]).replace("\"message\":\"x\"", "\"message\":\"other: [CryptoError] unable to flush\"");
    assert_eq!(judged(&format!("[{key}]")).faults[0].code, "wrong_key");
}

#[test]
fn no_stanza_is_a_state() {
    for input in ["[]", "No stanzas exist in the repository.\n"] {
        let outcome = judged(input);
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.records.len()), (Status::Unknown, "empty", 0), "{input}");
    }
}

#[test]
fn text_says_the_same() {
    let text = "stanza: main\n    status: ok\n    cipher: none\n\n    db (current)\n        wal archive min/max (15): 1/6\n\n        full backup: 20261122-031855F\n\
        \x20           timestamp start/stop: 2026-11-22 03:18:55 / 2026-11-22 03:19:00\n            database size: 21.9MB, database backup size: 21.9MB\n\n\
        \x20       incr backup: 20261122-031855F_20261122-031901I\n            timestamp start/stop: 2026-11-22 12:19:01+09 / 2026-11-22 12:19:02+09\n\
        \x20           database size: 22MB, database backup size: 8.3KB\n";
    let outcome = judged(text);
    let record = &outcome.records[0];
    assert_eq!((outcome.status, &record["set"], &record["generations"]), (Status::Ok, &"main".into(), &2.into()));
    assert_eq!((&record["last_success_at"], &record["size_bytes"]), (&"2026-11-22T03:19:02Z".into(), &23_068_672.into()));
    let none = judged("stanza: main\n    status: error (no valid backups)\n");
    assert_eq!((none.status, &none.records[0]["generations"]), (Status::Bad, &Value::Null));
    assert_eq!(judged("stanza: main\n    status: error (missing stanza path)\n").faults[0].code, "not_found");
    assert_eq!(judged(&text.replace("03:19:00", "33:19:00")).status, Status::Unknown);
}

#[test]
fn what_the_tool_says_of_itself_is_unknown() {
    for (said, code) in [
        ("ERROR: [050]: unable to acquire lock on file '/tmp/pgbackrest/main.lock': Resource temporarily unavailable\n", "locked"),
        ("ERROR: [037]: info command requires option: pg1-path\n", "io_error"),
        ("2026-11-22 03:19:04.123 P00  ERROR: [041]: unable to open file '/x' for read: [13] Permission denied\n", "permission_denied"),
        ("sh: pgbackrest: command not found\n", "not_found"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
    }
}

#[test]
fn another_format_is_refused() {
    assert_eq!(parse(""), Err(Unreadable::Empty));
    for foreign in ["a\n", "{}", "[1]", "[{\"name\":\"x\"}]", "[", "stanza: main\n"] {
        assert!(parse(foreign).is_err(), "{foreign}");
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
    let half = judged(&format!("[{},7]", stanza("main", 0, &[backup(1_795_317_540, "null")])));
    assert_eq!((half.status, half.faults[0].code, half.records.len()), (Status::Unknown, "malformed", 1));
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "(\\[|stanza: .*\n)?( *(status: (ok|error .*)|full backup: .*|timestamp start/stop: [0-9: /-]{0,45}|database size: .*|.*)\n){0,6}", at: Option<i64>) {
        if let Ok(outcome) = outcome(&input, at) {
            prop_assert!(outcome.status == Status::Ok || !outcome.reason.is_empty());
        }
    }
}
