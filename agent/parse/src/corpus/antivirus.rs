//! States of antivirus products, each real file against what it says.

use super::{files, folder};
use crate::{Outcome, Status, Unreadable, clamav_cvd, defender, kaspersky, symantec};
use mimamori_shared::time;
use serde_json::{Value, json};

const GROUP: &str = "antivirus";

fn file(name: &str, test: &str) -> Option<Vec<u8>> {
    let files = files(&folder(GROUP, test)?);
    Some(files.into_iter().find(|(file, _)| file == name).unwrap_or_else(|| panic!("{name} is not in the corpus")).1)
}

fn text(name: &str, test: &str) -> Option<String> {
    Some(crate::text::decode(&file(name, test)?).into_owned())
}

fn keys(outcome: &Outcome) -> [&Value; 5] {
    ["product", "engine", "pattern_version", "pattern_published_at", "realtime"].map(|key| &outcome.records[0][key])
}

#[test]
fn pattern_files_are_read_whole_and_by_their_first_bytes() {
    for (name, version, signatures, published) in [
        ("clamav/test-2.cvd", "2", 0, "2021-06-22T20:55:01Z"),
        ("clamav/test-4.cvd", "4", 12, "2021-06-23T01:29:36Z"),
        ("clamav/test-5.cvd", "5", 13, "2021-06-23T01:31:42Z"),
    ] {
        let Some(bytes) = file(name, "pattern_files") else { return };
        let outcome = clamav_cvd::outcome(&bytes, None).unwrap();
        assert_eq!(outcome.status, Status::Ok, "{name}: {}", outcome.reason);
        assert_eq!(keys(&outcome), [&json!("ClamAV"), &Value::Null, &json!(version), &json!(published), &Value::Null], "{name}");
        assert_eq!((&outcome.records[0]["signatures"], outcome.source_fresh_at), (&json!(signatures), time::parse(published).ok()), "{name}");
        assert_eq!(clamav_cvd::outcome(&bytes[..512], None).unwrap(), outcome, "{name}");
        assert!(!serde_json::to_string(&outcome).unwrap().contains("snyd"), "{name}");
        assert_eq!(clamav_cvd::outcome(&bytes[..100], None).unwrap().faults[0].code, "malformed", "{name}");
        let at = |at| clamav_cvd::outcome(&bytes, Some(time::parse(at).unwrap())).unwrap().status;
        assert_eq!((at("2021-06-25T00:00:00Z"), at("2026-11-28T00:00:00Z")), (Status::Ok, Status::Bad), "{name}");
    }
    for name in ["test-2.cdiff", "test-4.cdiff", "test-5.cdiff", "test-5.cvd.sign"] {
        let bytes = file(&format!("clamav/{name}"), "pattern_files").unwrap();
        assert!(matches!(clamav_cvd::outcome(&bytes, None), Err(Unreadable::Foreign { .. })), "{name}");
    }
}

#[test]
fn states_of_defender_are_read() {
    for (name, engine, version, published, realtime) in [
        ("defender/mpcomputerstatus-2022-07-pastebin.txt", "1.1.19300.2", "1.369.923.0", "2022-07-07T07:37:10", Value::Null),
        ("msdocs/Get-MpComputerStatus.ws2016.1.txt", "1.1.9700.0", "1.155.1107.0", "2013-07-30T03:01:45", json!(true)),
        ("msdocs/Get-MpComputerStatus.ws2019.1.txt", "1.1.9700.0", "1.155.1107.0", "2013-07-30T03:01:45", json!(true)),
    ] {
        let Some(text) = text(name, "states_of_defender") else { return };
        let outcome = defender::outcome(&text, None).unwrap();
        assert_eq!(outcome.status, Status::Ok, "{name}: {}", outcome.reason);
        assert_eq!(keys(&outcome), [&json!("Microsoft Defender Antivirus"), &json!(engine), &json!(version), &json!(published), &realtime], "{name}");
        // It never scanned whole: that is no age of four billion days.
        assert_eq!(outcome.records[0]["last_full_scan_at"], Value::Null, "{name}");
        assert!(!serde_json::to_string(&outcome).unwrap().contains("4294967295"), "{name}");
        assert!(!serde_json::to_string(&outcome).unwrap().contains("A69DA5B8"), "{name}");
        assert_eq!(defender::outcome(&text, Some(1_795_824_000_000)).unwrap().status, Status::Bad, "{name}");
    }
}

#[test]
fn lines_of_scripts_are_read() {
    let read = |name: &str, read: fn(&str, Option<i64>) -> Result<Outcome, Unreadable>| Some(read(&text(name, "lines_of_scripts")?, None).unwrap());
    let Some(symantec) = read("checkmk/symantec_av_updates_1.txt", symantec::outcome) else { return };
    let null = &Value::Null;
    assert_eq!(keys(&symantec), [&json!("Symantec Endpoint Protection"), null, &json!("15.05.2015 rev. 1"), &json!("2015-05-15"), null]);
    let first = read("checkmk/kaspersky_av_client_1.txt", kaspersky::outcome).unwrap();
    assert_eq!(keys(&first), [&json!("Kaspersky"), null, null, &json!("2015-05-08T01:23:00"), null]);
    assert_eq!(first.records[0]["last_full_scan_at"], "2015-05-08T05:43:16");
    let second = read("checkmk/kaspersky_av_client_2.txt", kaspersky::outcome).unwrap();
    assert_eq!(keys(&second), [&json!("Kaspersky"), null, null, &json!("2016-12-13T11:55:00"), null]);
    assert_eq!((symantec.status, first.status, second.status, &second.records[0]["last_full_scan_at"]), (Status::Ok, Status::Ok, Status::Ok, null));
    let quarantine = read("checkmk/kaspersky_av_quarantine.txt", kaspersky::outcome).unwrap();
    assert_eq!((quarantine.status, &quarantine.records[0]["quarantined"]), (Status::Unknown, &json!(0)), "the pattern is not told");
}
