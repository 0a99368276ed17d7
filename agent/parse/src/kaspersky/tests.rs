use super::*;
use crate::Status;
use mimamori_shared::time;
use proptest::prelude::*;

const INFO: &str = "Name:                                       Kaspersky Endpoint Security 12 for Linux\nVersion:                                    12.1.0.1543\n\
    Key status:                                 Valid\nLicense expiration date:                    2027-07-09\n\
    Last run date of the Scan_My_Computer task: Never run\nLast release date of databases:             2026-08-23 04:11:00\n\
    Anti-virus databases loaded:                Yes\nAnti-virus database records:                11969941\n\
    File monitoring:                            Available and running\n";

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

#[test]
fn the_products_own_information_is_read() {
    let outcome = judged(INFO);
    let record = &outcome.records[0];
    assert_eq!(outcome.status, Status::Ok, "{}", outcome.reason);
    assert_eq!((&record["product"], &record["product_version"]), (&"Kaspersky Endpoint Security 12 for Linux".into(), &"12.1.0.1543".into()));
    assert_eq!(
        (&record["pattern_published_at"], &record["realtime"], &record["signatures"]),
        (&"2026-08-23T04:11:00".into(), &true.into(), &11_969_941.into())
    );
    assert_eq!((&record["last_full_scan_at"], &record["pattern_version"], &record["engine"]), (&().into(), &().into(), &().into()));
    let piped = INFO.replace(": ", "|").replace("  ", "");
    assert_eq!(judged(&piped).records[0]["signatures"], 11_969_941);
    let json = r#"{"Name":"Kaspersky Endpoint Security","Last release date of databases":"2026-08-23 04:11:00","Anti-virus databases loaded":"No"}"#;
    assert_eq!((judged(json).status, &judged(json).records[0]["product"]), (Status::Bad, &"Kaspersky Endpoint Security".into()));
    let russian = "Название: Kaspersky Endpoint Security\nБазы программы загружены: Нет\nДата последнего выпуска баз программы: 2026-08-23 04:11:00\n";
    assert_eq!((judged(russian).status, &judged(russian).records[0]["pattern_published_at"]), (Status::Bad, &"2026-08-23T04:11:00".into()));
}

#[test]
fn what_is_off_or_old_is_bad() {
    for (from, to) in [
        ("Available and running", "Available and stopped"),
        ("databases loaded:                Yes", "databases loaded: No"),
        ("Valid", "Expired"),
        ("Available and running", "Unavailable due to license limitation"),
    ] {
        assert!(INFO.contains(from), "{from}");
        assert_eq!(judged(&INFO.replace(from, to)).status, Status::Bad, "{to}");
    }
    let at = |at| outcome(INFO, Some(time::parse(at).unwrap())).unwrap();
    assert_eq!((at("2026-08-25T00:00:00Z").status, at("2026-09-25T00:00:00Z").status), (Status::Ok, Status::Bad));
    assert!(at("2027-08-25T00:00:00Z").reason.starts_with("its licence does not hold"));
    let never = judged(&INFO.replace("2026-08-23 04:11:00", "1970-01-01 00:00:00"));
    assert_eq!((never.status, &never.records[0]["pattern_published_at"]), (Status::Unknown, &().into()));
}

#[test]
fn the_two_lines_of_windows_are_read() {
    let outcome = judged("<<<kaspersky_av_client>>>\nSignatures 08.05.2026 01:23:00\nFullscan 07.05.2026 05:43:16 0\n");
    let record = &outcome.records[0];
    assert_eq!(
        (outcome.status, &record["pattern_published_at"], &record["last_full_scan_at"]),
        (Status::Ok, &"2026-05-08T01:23:00".into(), &"2026-05-07T05:43:16".into())
    );
    assert_eq!(judged("Signatures 13.12.2026 11:55:00\n").status, Status::Ok);
    assert_eq!(judged("Signatures 01.02.2026\n").records[0]["pattern_published_at"], "2026-02-01");
    let failed = judged("Signatures 08.05.2026 01:23:00\nFullscan 07.05.2026 05:43:16 2\n");
    assert!(failed.reason.contains("the last full scan did not end well"));
    let missing = judged("<<<kaspersky_av_client>>>\nSignatures Missing\nFullscan Missing\n");
    assert_eq!((missing.status, &missing.records[0]["pattern_published_at"]), (Status::Unknown, &().into()));
    let error = judged("<<<kaspersky_av_client>>>\nGetKasperskySignatureStatus Error: Registry error\nFullscan Missing\n");
    assert_eq!((error.status, error.faults[0].code), (Status::Unknown, "io_error"));
}

#[test]
fn the_older_products_lists_are_read() {
    let updates = "Current AV databases date     : 2026-05-27 03:54:00\nLast AV databases update date : 2026-05-27 09:00:40\n\
        Current AV databases state    : UpToDate\nCurrent AV databases records  : 8015301\n";
    let outcome = judged(updates);
    assert_eq!((outcome.status, &outcome.records[0]["pattern_published_at"]), (Status::Ok, &"2026-05-27T03:54:00".into()));
    assert_eq!(judged(&updates.replace("UpToDate", "Obsolete")).status, Status::Bad);
    let tasks = "Number of tasks: 2\nName: System:EventManager\n        Id: 1\n        Runtime ID: 13\n        State: Started\nName: Real-time protection\n        State: Stopped\n";
    assert_eq!((judged(tasks).status, &judged(tasks).records[0]["realtime"]), (Status::Bad, &false.into()));
    let quarantine = judged("Quarantine/backup statistics:\n        Objects: 3\n        Size: 0\n        Last added: unknown\n");
    assert_eq!((quarantine.status, &quarantine.records[0]["quarantined"]), (Status::Unknown, &3.into()), "the pattern is not told");
}

#[test]
fn another_format_is_refused_and_what_the_tool_says_is_unknown() {
    assert_eq!(parse("\n"), Err(Unreadable::Empty));
    for foreign in ["Name: x\nVersion: 1\nState: Started\n", "Objects: 3\n", "{}", "Signatures\n", "Signatures of x\n", "MemTotal: 1 kB\n"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
    for (said, code) in [("bash: kesl-control: command not found\n", "not_found"), ("kesl-control: Failed to connect to the service\n", "not_running")] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
    }
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "((Signatures [0-9. :]{0,20}|Fullscan .*|Name: .*|Objects: [0-9]{0,24}|Anti-virus database records: .*|.*)\n){0,8}") {
        if let Ok(outcome) = outcome(&input, Some(1_795_824_000_000)) {
            prop_assert!(outcome.records.len() == 1);
        }
    }
}
