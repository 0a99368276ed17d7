use super::*;
use crate::Status;
use mimamori_shared::time;
use proptest::prelude::*;

const LIST: &str = "PS C:\\> Get-MpComputerStatus\n\n\nAMEngineVersion                 : 1.1.26080.3\nAMProductVersion                : 4.18.26080.5\n\
    AMRunningMode                   : Normal\nAMServiceEnabled                : True\nAntivirusEnabled                : True\n\
    AntivirusSignatureAge           : 1\nAntivirusSignatureLastUpdated   : 9/7/2026 7:37:10 AM\nAntivirusSignatureVersion       : 1.435.556.0\n\
    ComputerID                      : 00000000-1111-2222-3333-444444444444\nComputerState                   : 0\nDefenderSignaturesOutOfDate     : False\n\
    FullScanAge                     : 4294967295\nFullScanEndTime                 :\nQuickScanEndTime                : 9/6/2026 2:29:59 AM\n\
    RealTimeProtectionEnabled       : True\n\n";

fn with(key: &str, value: &str) -> String {
    let lines = LIST.lines().map(|line| if line.starts_with(&format!("{key} ")) { format!("{key} : {value}") } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n")
}

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

#[test]
fn a_list_is_read() {
    let outcome = judged(LIST);
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Ok, "its pattern is told, and nothing is wrong"));
    let record = &outcome.records[0];
    let expected = [
        ("product", "Microsoft Defender Antivirus"),
        ("engine", "1.1.26080.3"),
        ("pattern_version", "1.435.556.0"),
        ("pattern_published_at", "2026-09-07T07:37:10"),
        ("product_version", "4.18.26080.5"),
        ("last_quick_scan_at", "2026-09-06T02:29:59"),
    ];
    expected.iter().for_each(|(key, value)| assert_eq!(record[*key], *value, "{key}"));
    assert_eq!((&record["realtime"], &record["last_full_scan_at"]), (&true.into(), &().into()));
    assert_eq!(outcome.source_fresh_at, Some(time::parse("2026-09-06T17:37:10Z").unwrap()), "the earliest that it can have been");
    assert!(!serde_json::to_string(&outcome).unwrap().contains("4444"));
}

#[test]
fn the_dates_of_every_language_are_read() {
    for (date, shown) in [
        ("2026/09/07 7:37:10", "2026-09-07T07:37:10"),
        ("07.09.2026 07:37:10", "2026-09-07T07:37:10"),
        ("2026-09-07 07:37:10", "2026-09-07T07:37:10"),
        ("07-09-2026 07:37:10", "2026-09-07T07:37:10"),
        ("2026-09-07 오전 7:37:10", "2026-09-07T07:37:10"),
        ("2026/9/7 下午 7:37:10", "2026-09-07T19:37:10"),
    ] {
        let text = with("AntivirusSignatureLastUpdated", date);
        assert_eq!(judged(&text).records[0]["pattern_published_at"], shown, "{date}");
    }
    // Another date of the same status tells which number is the day.
    let british = with("QuickScanEndTime", "23/09/2026 02:29:59").replace("9/7/2026 7:37:10 AM", "07/09/2026 07:37:10");
    assert_eq!(judged(&british).records[0]["pattern_published_at"], "2026-09-07T07:37:10");
    let ambiguous = with("QuickScanEndTime", "").replace("9/7/2026 7:37:10 AM", "07/09/2026 07:37:10");
    let outcome = judged(&ambiguous);
    assert_eq!((outcome.status, &outcome.records[0]["pattern_published_at"]), (Status::Ok, &().into()), "its own age still counts");
    assert_eq!(super::outcome(&ambiguous, Some(0)).unwrap().status, Status::Unknown);
}

#[test]
fn json_and_tables_say_the_same() {
    for date in [r#""\/Date(1788766630000)\/""#, r#""2026-09-07T05:37:10Z""#, r#"{"value":"\/Date(1788766630000)\/","DateTime":"Monday"}"#] {
        let json = format!(
            r#"{{"AMEngineVersion":"1.1.26080.3","AMServiceEnabled":true,"AntivirusEnabled":true,"AntivirusSignatureAge":0,"AntivirusSignatureVersion":"1.435.556.0",
            "AntivirusSignatureLastUpdated":{date},"RealTimeProtectionEnabled":true,"FullScanEndTime":null,"CimClass":{{"a":[1]}}}}"#
        );
        let outcome = judged(&json);
        assert_eq!((outcome.status, &outcome.records[0]["realtime"]), (Status::Ok, &true.into()), "{date}");
        let published = outcome.records[0]["pattern_published_at"].as_str().unwrap();
        assert!(["2026-09-07T07:37:10Z", "2026-09-07T05:37:10Z"].contains(&published), "{published}");
    }
    let table = "\nAntivirusEnabled RealTimeProtectionEnabled AntivirusSignatureLastUpdated AntivirusSignatureVersion\n\
        ---------------- ------------------------- ----------------------------- -------------------------\n\
        True             False                     2026/09/07 7:37:10            1.435.556.0\n\n";
    let outcome = judged(table);
    assert_eq!((outcome.status, &outcome.records[0]["pattern_version"]), (Status::Bad, &"1.435.556.0".into()));
}

#[test]
fn what_is_off_or_old_is_bad_and_who_only_looks_on_is_unknown() {
    for (key, value, status) in [
        ("RealTimeProtectionEnabled", "False", Status::Bad),
        ("AMServiceEnabled", "False", Status::Bad),
        ("AntivirusEnabled", "False", Status::Bad),
        ("AMRunningMode", "Not running", Status::Bad),
        ("AMRunningMode", "Passive Mode", Status::Unknown),
        ("AMRunningMode", "EDR Block Mode", Status::Unknown),
        ("DefenderSignaturesOutOfDate", "True", Status::Bad),
        ("AntivirusSignatureAge", "1168", Status::Bad),
        ("ComputerState", "16", Status::Bad),
    ] {
        assert_eq!(judged(&with(key, value)).status, status, "{key} {value}");
    }
    let at = |at| outcome(LIST, Some(time::parse(at).unwrap())).unwrap().status;
    assert_eq!((at("2026-09-12T00:00:00Z"), at("2026-12-01T00:00:00Z")), (Status::Ok, Status::Bad));
}

#[test]
fn never_is_a_state_and_no_number() {
    let never = with("AntivirusSignatureAge", "4294967295").replace("9/7/2026 7:37:10 AM", "1/1/1601 9:00:00 AM").replace("1.435.556.0", "0.0.0.0");
    let outcome = judged(&never);
    let record = &outcome.records[0];
    assert_eq!(outcome.status, Status::Unknown, "{}", outcome.reason);
    for key in ["pattern_version", "pattern_published_at", "pattern_age_minutes"] {
        assert!(record[key].is_null(), "{key}: {}", record[key]);
    }
    assert!(outcome.readings.iter().all(|reading| reading.name != "pattern_age"));
}

#[test]
fn what_windows_says_about_itself_is_unknown() {
    for (said, code) in [
        ("Get-MpComputerStatus : The term 'Get-MpComputerStatus' is not recognized as the name of a cmdlet\n", "not_found"),
        ("Get-MpComputerStatus : 用語 'Get-MpComputerStatus' は、コマンドレットとして認識されません。\n", "not_found"),
        ("Get-MpComputerStatus : The extrinsic Method could not be executed. HRESULT 0x800106ba,Get-MpComputerStatus\n", "not_running"),
        ("Get-MpComputerStatus : Access is denied.\n", "permission_denied"),
        ("Get-MpComputerStatus : Invalid class\n", "unsupported"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.records.len()), (Status::Unknown, code, 0), "{said}");
    }
    assert_eq!(parse("\r\n"), Err(Unreadable::Empty));
    for foreign in ["FriendlyName : X\n", "{}", "[]", "AMEngineVersion : 1.1\n", "MemTotal: 1 kB\n"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
    assert!(matches!(parse("{"), Err(Unreadable::Json { .. })));
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "((AntivirusEnabled|AMServiceEnabled|AntivirusSignatureAge|AntivirusSignatureLastUpdated|.{0,9}) : ?(True|[0-9/: ]{0,24}|.*)\n){0,8}.*") {
        if let Ok(outcome) = outcome(&input, Some(1_795_824_000_000)) {
            prop_assert!(outcome.records.len() == 1);
        }
    }
}
