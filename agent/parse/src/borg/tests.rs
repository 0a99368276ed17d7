use super::*;
use crate::Status;
use proptest::prelude::*;

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

fn archive(name: &str, day: u32, more: &str) -> String {
    format!(r#"{{"archive":"{name}","name":"{name}","id":"ab","start":"2026-11-{day:02}T03:18:28.000000","time":"2026-11-{day:02}T03:18:28.000000"{more}}}"#)
}

fn repository(what: &str) -> String {
    format!(
        r#"{{{what}"encryption":{{"mode":"repokey"}},"repository":{{"id":"8a","last_modified":"2026-11-22T03:18:29.000000","location":"ssh://yamada@pc1/srv/brepo"}}}}"#
    )
}

#[test]
fn a_list_of_archives_is_one_set() {
    let list = repository(&format!("\"archives\":[{},{},{}],", archive("web-1", 20, ""), archive("web-2", 22, ""), archive("web-3.checkpoint.1", 23, "")));
    let outcome = judged(&list);
    let record = &outcome.records[0];
    assert_eq!((outcome.status, &record["set"], &record["generations"]), (Status::Ok, &"brepo".into(), &2.into()));
    assert_eq!(&record["last_success_at"], "2026-11-22T03:18:28");
    assert_eq!(outcome.source_fresh_at, stamp(Some("2026-11-22T03:18:29")).map(|when| when.earliest_ms()));
    let shown = serde_json::to_string(&outcome).unwrap();
    assert!(!shown.contains("yamada") && !shown.contains("pc1"), "{shown}");
    let second = list.replace(":28.000000", ":28.000000+00:00");
    assert_eq!(judged(&second).records[0]["last_success_at"], "2026-11-22T03:18:28Z");
    assert_eq!(judged(&list.replace("web-1", "a.checkpoint").replace("web-2", "b.checkpoint")).status, Status::Bad);
}

#[test]
fn nothing_in_a_repository_is_a_state() {
    for what in ["\"archives\":[],", "\"cache\":{\"stats\":{\"total_size\":0}},"] {
        let outcome = judged(&repository(what));
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.records.len()), (Status::Unknown, "empty", 0), "{what}");
    }
    let undated = judged(&repository("\"archives\":[{\"name\":\"a\"}],"));
    assert_eq!((undated.status, undated.faults[0].code), (Status::Unknown, "malformed"));
}

#[test]
fn an_archive_tells_what_it_holds() {
    let stats = |files: u32| format!(r#","end":"2026-11-22T03:20:00.000000","stats":{{"original_size":68,"deduplicated_size":5,"nfiles":{files}}}"#);
    let made = |files| format!("\"archive\":{},", archive("web", 22, &stats(files)));
    let outcome = judged(&repository(&made(9)));
    let record = &outcome.records[0];
    assert_eq!((&record["size_bytes"], &record["added_bytes"], &record["generations"]), (&68.into(), &5.into(), &Value::Null));
    assert_eq!((outcome.status, &record["last_success_at"]), (Status::Ok, &"2026-11-22T03:20:00".into()));
    assert_eq!(judged(&repository(&made(0))).status, Status::Bad);
    assert_eq!(judged(&repository(&format!("\"archives\":[{}],", archive("web", 22, &stats(9))))).records[0]["size_bytes"], 68);
    let info = judged(&repository("\"cache\":{\"stats\":{\"total_size\":77,\"unique_csize\":6}},"));
    assert_eq!((&info.records[0]["size_bytes"], &info.records[0]["last_success_at"], info.status), (&77.into(), &Value::Null, Status::Ok));
}

fn said(level: &str, text: &str, name: &str) -> String {
    format!(
        "{{\"type\": \"log_message\", \"time\": 1795317515.005438, \"message\": \"{text}\", \"levelname\": \"{level}\", \"name\": \"borg.archiver\"{name}}}\n"
    )
}

#[test]
fn messages_are_read_alone_and_beside_an_answer() {
    for (line, code) in [
        (said("ERROR", "Failed to create/acquire the lock /home/yamada/lock.exclusive (timeout).", ", \"msgid\": \"LockTimeout\""), "locked"),
        (said("ERROR", "Repository /home/yamada/x does not exist.", ", \"msgid\": \"Repository.DoesNotExist\""), "not_found"),
        (said("ERROR", "passphrase supplied in BORG_PASSPHRASE is incorrect.", ""), "wrong_key"),
        (said("ERROR", "Connection closed by remote host", ", \"msgid\": \"ConnectionClosed\""), "unreachable"),
        (said("CRITICAL", "what no one foresaw", ""), "io_error"),
    ] {
        let outcome = judged(&line);
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.observed_at), (Status::Unknown, code, Some(1_795_317_515_005)), "{line}");
        assert!(!serde_json::to_string(&outcome).unwrap().contains("yamada"));
    }
    let warning = said("WARNING", "/home/yamada: [Errno 2] No such file or directory", "");
    assert_eq!((judged(&warning).status, &judged(&warning).records[0]["result"]), (Status::Bad, &"warning".into()));
    let both = judged(&format!("{warning}{}", repository(&format!("\"archive\":{},", archive("web", 22, "")))));
    assert_eq!((both.status, &both.records[0]["result"], &both.records[0]["last_success_at"]), (Status::Bad, &"warning".into(), &Value::Null));
    assert_eq!(judged(&said("INFO", "hello", "")).status, Status::Unknown);
}

#[test]
fn a_check_tells_of_damage() {
    let broken = said("ERROR", "Data integrity error: Segment entry checksum mismatch", "") + &said("WARNING", "ID: aa rebuilt index: <not found>", "");
    let outcome = judged(&broken);
    assert_eq!((outcome.status, outcome.faults[0].code, &outcome.records[0]["damaged"]), (Status::Bad, "damaged", &true.into()));
    let fine =
        said("INFO", "Finished full repository check, no problems found.", "") + &said("INFO", "Archive consistency check complete, no problems found.", "");
    assert_eq!((judged(&fine).status, &judged(&fine).records[0]["damaged"]), (Status::Ok, &false.into()));
    assert_eq!(judged("Starting repository check\nArchive consistency check complete, problems found.\n").status, Status::Bad);
    assert_eq!(judged("Archive consistency check complete, no problems found.\n").status, Status::Ok);
}

#[test]
fn text_is_read() {
    let id = "cb657899c221eacce7161549411d9a30f40690a78c7daa1e0f1f82efa4cd4672";
    let list = format!("web 1                Sun, 2026-11-22 03:18:28 [{id}]\nmiss                 Mon, 2026-11-23 03:18:29 [{id}]\n");
    let outcome = judged(&list);
    assert_eq!(
        (outcome.status, &outcome.records[0]["generations"], &outcome.records[0]["last_success_at"]),
        (Status::Ok, &2.into(), &"2026-11-23T03:18:29".into())
    );
    assert_eq!(judged(&format!("{list}x Sun, 9999-11-22 03:18:28 [{id}]\n")).status, Status::Unknown);
    let info = "Repository ID: 8a\nLocation: /srv/brepo\nEncrypted: Yes (repokey)\n---\n                       Original size      Compressed size    Deduplicated size\n\
        All archives:               26.68 MB             24.27 MB              6.24 MB\n";
    assert_eq!((&judged(info).records[0]["size_bytes"], &judged(info).records[0]["set"]), (&26_680_000.into(), &"brepo".into()));
    let one = "Archive name: web\nTime (start): Sun, 2026-11-22 03:18:28\nTime (end):   Sun, 2026-11-22 03:18:30\nNumber of files: 91\n\
        This archive:                6.82 MB              6.22 MB                525 B\n";
    assert_eq!((&judged(one).records[0]["size_bytes"], &judged(one).records[0]["last_success_at"]), (&6_820_000.into(), &"2026-11-22T03:18:30".into()));
    assert_eq!(judged("Repository /home/yamada/x does not exist.\n").faults[0].code, "not_found");
}

#[test]
fn another_format_is_refused() {
    assert_eq!(parse("\n"), Err(Unreadable::Empty));
    for foreign in ["a b\n", "{}", "[]", "{\"archives\":[]}", "{\"repository\":{}}", "[{\"time\":\"2026-11-22T03:18:28Z\"}]", "{"] {
        assert!(parse(foreign).is_err(), "{foreign}");
    }
    assert!(parse(&format!("{{\"repository\":{}", "[".repeat(100_000))).is_err());
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "(\\{\"type\": ?\"log_message\".{0,40}\\}\n|.* [A-Z][a-z]{2}, 2026-[0-9]{2}-22 [0-9:]{8} \\[[0-9a-f]{64}\\]\n|All archives: .*\n|.*\n){0,5}", at: Option<i64>) {
        if let Ok(outcome) = outcome(&input, at) {
            prop_assert!(outcome.status == Status::Ok || !outcome.reason.is_empty());
        }
    }
}
