use super::*;
use crate::Status;
use proptest::prelude::*;

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

const LIST: &str = r#"[
 {"time":"2026-11-20T03:00:00.123456789+09:00","paths":["/srv/db"],"hostname":"pc1","username":"yamada","id":"aa","summary":{"total_bytes_processed":500,"data_added":7}},
 {"time":"2026-11-21T03:00:00+09:00","paths":["/srv/db"],"hostname":"pc1","username":"yamada","id":"bb","summary":{"total_bytes_processed":600,"data_added":9}},
 {"time":"2026-11-19T03:00:00+09:00","paths":["/etc","/opt"],"hostname":"pc1","username":"yamada","id":"cc"}]"#;

#[test]
fn snapshots_are_gathered_into_sets() {
    let outcome = judged(LIST);
    assert_eq!((outcome.status, outcome.records.len(), outcome.faults.len()), (Status::Ok, 2, 0));
    let (first, second) = (&outcome.records[0], &outcome.records[1]);
    assert_eq!((&first["set"], &first["last_success_at"], &first["generations"]), (&"/srv/db".into(), &"2026-11-20T18:00:00Z".into(), &2.into()));
    assert_eq!((&first["size_bytes"], &first["added_bytes"], &first["result"]), (&600.into(), &9.into(), &"success".into()));
    assert_eq!((&second["set"], &second["size_bytes"]), (&"/etc, /opt".into(), &Value::Null));
    assert_eq!(outcome.source_fresh_at, stamp(Some("2026-11-20T18:00:00Z")).map(|when| when.earliest_ms()));
    let shown = serde_json::to_string(&outcome).unwrap();
    assert!(!shown.contains("yamada") && !shown.contains("pc1"), "{shown}");
    let two = LIST.replacen("pc1", "pc2", 1);
    assert_eq!(
        judged(&two).records.iter().map(|r| r["set"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        ["pc2:/srv/db", "pc1:/srv/db", "pc1:/etc, /opt"]
    );
}

#[test]
fn age_is_judged_by_the_moment_given() {
    let at = |text: &str| stamp(Some(text)).map(|when| when.earliest_ms());
    assert_eq!(outcome(LIST, at("2026-11-22T00:00:00Z")).unwrap().status, Status::Ok);
    let late = outcome(LIST, at("2027-04-01T00:00:00Z")).unwrap();
    assert_eq!((late.status, late.reason.as_str()), (Status::Bad, "set 1: the newest backup is 131 days old; set 2: the newest backup is 133 days old"));
}

#[test]
fn groups_and_what_a_policy_keeps_are_sets() {
    let snapshot = r#"{"time":"2026-11-20T03:00:00Z","paths":["/a"]}"#;
    let grouped = format!(r#"[{{"group_key":{{"hostname":"h","paths":["/a"],"tags":["daily"]}},"snapshots":[{snapshot},{snapshot}]}}]"#);
    let outcome = judged(&grouped);
    assert_eq!((&outcome.records[0]["set"], &outcome.records[0]["generations"]), (&"/a [daily]".into(), &2.into()));
    let forgot = format!(r#"[{{"tags":null,"host":"h","paths":["/a"],"keep":[{snapshot}],"remove":[{snapshot},{snapshot}]}}]"#);
    assert_eq!(judged(&forgot).records[0]["generations"], 1);
    assert_eq!(judged(&format!(r#"{{"keep":[{snapshot}]}}"#)).records[0]["last_success_at"], "2026-11-20T03:00:00Z");
}

#[test]
fn an_empty_repository_is_a_state_and_no_zero() {
    for input in ["[]", "null", r#"{"keep":null}"#, r#"{"total_size":0,"snapshots_count":0}"#, r#"[{"group_key":{},"snapshots":[]}]"#] {
        let outcome = judged(input);
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.records.len()), (Status::Unknown, "empty", 0), "{input}");
    }
    let never = judged(r#"[{"time":"0001-01-01T00:00:00Z","paths":["/a"]}]"#);
    assert_eq!((never.status, &never.records[0]["last_success_at"]), (Status::Unknown, &Value::Null));
}

#[test]
fn stats_tell_of_size_alone() {
    let outcome = judged(r#"{"total_size":25,"total_file_count":6,"snapshots_count":5}"#);
    let record = &outcome.records[0];
    assert_eq!((outcome.status, &record["size_bytes"], &record["generations"], &record["last_success_at"]), (Status::Ok, &25.into(), &5.into(), &Value::Null));
}

fn summary(files: u32, bytes: u32, more: &str) -> String {
    format!(
        "{{\"message_type\":\"status\",\"percent_done\":0,\"current_files\":[\"/home/yamada\"]}}\n{{\"message_type\":\"summary\",\"files_new\":0,\
        \"data_added\":3,\"total_files_processed\":{files},\"total_bytes_processed\":{bytes}{more},\"snapshot_id\":\"aa\"}}\n"
    )
}

#[test]
fn a_run_is_read_to_its_end() {
    let fine = judged(&summary(4, 99, r#","backup_end":"2026-11-22T03:18:29Z""#));
    let record = &fine.records[0];
    assert_eq!((fine.status, &record["size_bytes"], &record["last_success_at"]), (Status::Ok, &99.into(), &"2026-11-22T03:18:29Z".into()));
    let untold = judged(&summary(4, 99, ""));
    assert_eq!((untold.status, &untold.records[0]["last_success_at"], &untold.records[0]["added_bytes"]), (Status::Ok, &Value::Null, &3.into()));
    assert_eq!(judged(&summary(0, 0, "")).status, Status::Bad);
    assert_eq!(judged(&summary(4, 9, r#","dry_run":true"#)).status, Status::Unknown);
    let begun = judged("{\"message_type\":\"status\",\"percent_done\":0.5}\n");
    assert_eq!((begun.status, &begun.records[0]["result"]), (Status::Unknown, &"running".into()));
    let skipped = "{\"message_type\":\"error\",\"error\":{\"message\":\"denied\"},\"during\":\"archival\",\"item\":\"/home/yamada\"}\n";
    let warned = judged(&format!("{skipped}{}", summary(4, 9, "")));
    assert_eq!((warned.status, &warned.records[0]["result"], warned.faults[0].code), (Status::Bad, &"warning".into(), "not_found"));
    assert!(!serde_json::to_string(&warned).unwrap().contains("yamada"));
    assert_eq!(judged("/home/yamada does not exist, skipping\n").status, Status::Bad);
}

#[test]
fn a_check_tells_of_damage() {
    let line = |errors: u32| format!("{{\"message_type\":\"summary\",\"num_errors\":{errors},\"broken_packs\":null,\"suggest_repair_index\":false}}");
    assert_eq!((judged(&line(0)).status, judged(&line(2)).status), (Status::Ok, Status::Bad));
    assert_eq!(
        judged("create exclusive lock for repository\nload indexes\ncheck all packs\n[0:00] 100.00%  2 / 2 snapshots\nno errors were found\n").status,
        Status::Ok
    );
    assert_eq!(judged("load indexes\ncheck all packs\npack e577c6b0: does not exist\n").status, Status::Bad);
    assert_eq!(judged("check all packs\ncheck snapshots, trees and blobs\n").status, Status::Unknown);
    let bad = judged("Fatal: repository contains errors\n");
    assert_eq!((bad.status, &bad.records[0]["damaged"]), (Status::Bad, &true.into()));
}

#[test]
fn what_the_tool_says_of_itself_is_unknown() {
    for (said, code) in [
        ("Fatal: wrong password or no key found\n", "wrong_key"),
        (
            "Fatal: unable to open config file: Lstat: stat /x/config: no such file or directory\nIs there a repository at the following location?\n/x\n",
            "not_found",
        ),
        ("repo already locked, waiting up to 0s for the lock\nunable to create lock in backend: repository is already locked exclusively by PID 1\n", "locked"),
        (r#"{"message_type":"exit_error","code":10,"message":"Fatal: repository does not exist"}"#, "not_found"),
        (r#"{"message_type":"exit_error","code":11,"message":"Fatal: unable to create lock"}"#, "locked"),
        (r#"{"message_type":"exit_error","code":12,"message":"Fatal: wrong password"}"#, "wrong_key"),
        (r#"{"message_type":"exit_error","code":1,"message":"Fatal: dial tcp: timeout"}"#, "unreachable"),
        (r#"{"message_type":"exit_error","code":1,"message":"Fatal: something"}"#, "io_error"),
        ("Fatal: something new\n", "io_error"),
        ("bash: restic: command not found\n", "not_found"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.records.len()), (Status::Unknown, code, 0), "{said}");
    }
}

#[test]
fn another_format_is_refused_and_a_broken_part_is_told() {
    assert_eq!(parse(" \n"), Err(Unreadable::Empty));
    for foreign in ["a: 1\n", "[1]", "{\"a\":1}", "[{\"a\":1}]", "[{", "{\"message_type\""] {
        assert!(parse(foreign).is_err(), "{foreign}");
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
    let half = judged(&LIST.replacen("{\"time\"", "{\"tome\"", 1));
    assert_eq!((half.status, half.faults[0].code, half.records.len()), (Status::Unknown, "malformed", 2));
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "(\\[|\\{|Fatal: )?(\\{\"(message_type|time|keep)\":\"?(summary|status|error|.{0,9})\"?[,}].*\n?){0,5}.*", at: Option<i64>) {
        if let Ok(outcome) = outcome(&input, at) {
            prop_assert!(outcome.status == Status::Ok || !outcome.reason.is_empty());
        }
    }
}
