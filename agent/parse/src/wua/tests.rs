use super::*;
use crate::Status;
use mimamori_shared::time;
use proptest::prelude::*;

fn told(input: &str) -> (Status, Option<i64>, Option<i64>, Option<i64>) {
    let record = parse(input).unwrap().record;
    (outcome(input, None).unwrap().status, record.pending, record.pending_security, record.definitions)
}

#[test]
fn titles_are_counted_without_definitions_and_not_called_secure_where_they_do_not_tell() {
    let english = "2026-08 Cumulative Update for Windows Server 2022 (KB5065432) [08/12/2026 03:00:00]\n\
        Security Intelligence Update for Microsoft Defender Antivirus (KB2267602) [08/13/2026 01:14:00]\n";
    assert_eq!(told(english), (Status::Unknown, Some(1), None, Some(1)));
    let german = "Update für Windows Security platform - KB5007651 (Version 10.0.1) [30.07.2026 00:00:00]\n\
        2026-09 .NET Framework Sicherheitsupdate (KB5126052) [08.09.2026 00:00:00]\n2026-08 Sicherheitsupdate (KB5129195) [14.08.2026 00:00:00]\n";
    assert_eq!(told(german), (Status::Bad, Some(3), Some(2), Some(0)));
    assert_eq!(parse(german).unwrap().record.oldest_security_at.unwrap().shown(), "2026-08-14T00:00:00");
    let japanese = "2026-09 x64 ベース システム用 Windows 11 のセキュリティ更新プログラム (KB5129195) [2026/09/14 0:00:00]\n\
        Microsoft Defender Antivirus のセキュリティ インテリジェンス更新プログラム - KB2267602 (バージョン 1.4) [2026/09/15 0:00:00]\n\
        悪意のあるソフトウェアの削除ツール x64 - v5.1 (KB890830) [2026/09/08 0:00:00]\n";
    assert_eq!(told(japanese), (Status::Bad, Some(2), Some(1), Some(1)));
    let definitions = "* Definition Update for Windows Defender - KB915597 (Definition 1.2) [8/13/2026 1:14:00 AM]\n";
    assert_eq!(told(definitions), (Status::Ok, Some(0), Some(0), Some(1)));
    assert_eq!(told("There are no pending updates.\n"), (Status::Ok, Some(0), Some(0), Some(0)));
    assert!(!serde_json::to_string(&outcome(german, None).unwrap()).unwrap().contains("KB5126052"));
}

#[test]
fn sums_with_titles_below_are_read() {
    let sums = "<<<windows_updates>>>\n1 2 1\nSecurity Update for X (KB951847); Definition Update for Y - KB915597\nPlayer 11\n2026-01-01T00:00:00\n";
    assert_eq!(told(sums), (Status::Bad, Some(2), None, Some(1)));
    assert_eq!(parse(sums).unwrap().record.reboot_required, Some(true));
    assert_eq!(told("<<<windows_updates>>>\n0 0 0\n\n\nno_key\n"), (Status::Ok, Some(0), Some(0), Some(0)));
    assert_eq!(told("0 3 0\n"), (Status::Unknown, Some(3), None, Some(0)));
    for (failed, code) in [
        ("<<<windows_updates>>>\nx x x\nThere was an error getting update information. Error Number: -2145107924\n", "io_error"),
        ("x x x\nException: 0x80240044\n", "permission_denied"),
        ("<<<windows_updates>>>\n", "io_error"),
        ("Exception calling \"Search\" with \"1\" argument(s): \"Exception from HRESULT: 0x80072EE2\"\n", "timed_out"),
    ] {
        let outcome = outcome(failed, None).unwrap();
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.records.len()), (Status::Unknown, code, 0), "{failed}");
    }
}

#[test]
fn of_each_update_of_the_history_the_last_try_counts() {
    let history = r#"[
        {"Title":"2026-08 Cumulative Update (KB5065432)","Date":"2026-08-13T02:00:00Z","Operation":1,"ResultCode":2,"UpdateIdentity":{"UpdateID":"a","RevisionNumber":1}},
        {"Title":"2026-08 Cumulative Update (KB5065432)","Date":"2026-08-12T02:00:00Z","Operation":1,"ResultCode":4,"UpdateIdentity":{"UpdateID":"a"}},
        {"Title":"Driver X","Date":"\/Date(1786500000000)\/","Operation":1,"ResultCode":4,"UpdateIdentity":{"UpdateID":"b"}},
        {"Title":"Definition Update - KB2267602","Date":"2026-08-20T02:00:00Z","Operation":1,"ResultCode":2},
        {"Title":"Old one","Date":"2026-01-20T02:00:00Z","Operation":2,"ResultCode":2},
        {"Title":"Half","Date":"2026-01-20T02:00:00Z","Operation":1,"ResultCode":1}]"#;
    let updates = parse(history).unwrap();
    let record = &updates.record;
    assert_eq!((record.applied, record.failed, record.definitions, updates.begun, record.pending), (Some(1), Some(1), Some(1), 1, None));
    assert_eq!(record.last_applied_at.unwrap().shown(), "2026-08-13T02:00:00Z");
    assert_eq!(outcome(history, None).unwrap().status, Status::Bad);
    let words = r#"{"value":[{"Operation":"Installation","ResultCode":"Succeeded","Title":"X (KB5065432)","Date":"2026-08-13 02:00:00Z"}],"Count":1}"#;
    assert_eq!((outcome(words, None).unwrap().status, parse(words).unwrap().record.applied), (Status::Ok, Some(1)));
    let at = Some(time::parse("2026-11-28T00:00:00Z").unwrap());
    assert_eq!(outcome(words, at).unwrap().status, Status::Unknown, "nothing was installed for months");
    let snake = r#"[{"title":"X (KB5065432)","date":"1786500000","operation":"Installation","result_code":"Failed","update_id":"a"}]"#;
    assert_eq!((parse(snake).unwrap().record.failed, parse(snake).unwrap().record.applied), (Some(1), Some(0)));
    let hotfix = r#"[{"HotFixID":"KB5065432","Description":"Security Update","InstalledBy":"HOSPITAL\\yamada","InstalledOn":{"value":"/Date(1786500000000)/","DateTime":"x"}}]"#;
    let outcome = outcome(hotfix, None).unwrap();
    assert_eq!((outcome.status, &outcome.records[0]["applied"]), (Status::Ok, &serde_json::json!(1)));
    assert!(!serde_json::to_string(&outcome).unwrap().contains("yamada"));
}

#[test]
fn what_waits_is_told_by_its_categories() {
    let pending = r#"[
        {"Title":"A (KB5065432)","IsInstalled":false,"MsrcSeverity":"Critical","RebootRequired":false,"Categories":[{"Name":"Security Updates"}]},
        {"Title":"B (KB5065433)","IsInstalled":false,"MsrcSeverity":null,"RebootRequired":true,"Categories":[{"Name":"Updates"},{"Name":"Windows 11"}]},
        {"Title":"C","IsInstalled":false,"Categories":["Definition Updates"]}]"#;
    assert_eq!(told(pending), (Status::Bad, Some(2), Some(1), Some(1)));
    assert_eq!(parse(pending).unwrap().record.reboot_required, Some(true));
}

#[test]
fn an_empty_history_says_nothing() {
    let outcome = outcome("[]", None).unwrap();
    assert_eq!((outcome.status, &outcome.records[0]["pending"], &outcome.records[0]["applied"]), (Status::Unknown, &().into(), &().into()));
}

#[test]
fn another_format_is_refused() {
    assert_eq!(parse("\n"), Err(Unreadable::Empty));
    for foreign in ["{\"a\":1}", "[1]", "[{}]", "MemTotal: 1 kB\n", "a b c\n", "x: y\n"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
    assert!(matches!(parse("[{"), Err(Unreadable::Json { .. })));
    assert!(parse(&"[".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "(([01x] [0-9]{0,20} [0-9]{0,20}|.* \\(KB[0-9]{0,9}\\) \\[.*\\]|<<<.*|.*)\n){0,6}.*") {
        if let Ok(outcome) = outcome(&input, Some(1_795_824_000_000)) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value >= 0.0));
        }
    }

    #[test]
    fn any_json_is_taken(title in ".*", date in "(/Date\\(.*|[0-9]{0,20}|.*)", code in any::<i64>()) {
        let entry = serde_json::json!([{"Title": title, "Date": date, "ResultCode": code, "Categories": [title]}, {"Title": title, "RebootRequired": code}, title, code]);
        if let Ok(outcome) = outcome(&entry.to_string(), Some(0)) {
            prop_assert!(outcome.records.len() == 1);
        }
    }
}
