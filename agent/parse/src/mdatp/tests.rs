use super::*;
use crate::Status;
use mimamori_shared::time;
use proptest::prelude::*;

const JSON: &str = r#"{
  "appVersion": "101.98.64", "engineVersion": "1.1.20300.4", "healthy": true, "healthIssues": [], "licensed": true, "machineGuid": "00000000-aaaa", "orgId": "bbbb",
  "edrDeviceTags": [{"key": "GROUP", "value": "ward 5"}],
  "realTimeProtectionEnabled": {"$type": "featureEnabledState", "value": true, "managed": true},
  "realTimeProtectionAvailable": true, "passiveModeEnabled": {"value": false},
  "definitionsStatus": {"$type": "upToDate"}, "definitionsUpdated": "1788766630000", "definitionsUpdatedMinutesAgo": 90, "definitionsVersion": "1.435.556.0",
  "productExpiration": 1798766630000
}"#;

const TEXT: &str = "healthy                                     : true\nhealth_issues                               : []\nlicensed                                    : true\n\
    engine_version                              : \"1.1.20300.4\"\napp_version                                 : \"101.98.64\"\norg_id                                      : \"bbbb\"\n\
    passive_mode_enabled                        : false\nreal_time_protection_enabled                : true [managed]\nreal_time_protection_available              : true\n\
    definitions_updated                         : Sep 07, 2026 at 07:37:10 PM\ndefinitions_updated_minutes_ago             : 90\n\
    definitions_version                         : \"1.435.556.0\"\ndefinitions_status                          : \"up_to_date\"\ndefinitions_update_fail_reason              : \"\"\n";

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

#[test]
fn json_is_read_with_plain_and_with_wrapped_values() {
    let outcome = judged(JSON);
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Ok, "it is healthy, and its pattern is told"));
    let record = &outcome.records[0];
    assert_eq!((&record["engine"], &record["pattern_version"], &record["realtime"]), (&"1.1.20300.4".into(), &"1.435.556.0".into(), &true.into()));
    assert_eq!((&record["pattern_published_at"], &record["pattern_age_minutes"]), (&"2026-09-07T07:37:10Z".into(), &90.into()));
    assert_eq!((outcome.source_fresh_at, outcome.observed_at), (Some(1_788_766_630_000), Some(1_788_772_030_000)));
    let shown = serde_json::to_string(&outcome).unwrap();
    assert!(!shown.contains("ward 5") && !shown.contains("bbbb") && !shown.contains("aaaa"), "{shown}");
    for number in ["1788766630", "1788766630000000"] {
        assert_eq!(judged(&JSON.replace("1788766630000", number)).records[0]["pattern_published_at"], "2026-09-07T07:37:10Z");
    }
}

#[test]
fn text_says_the_same() {
    let outcome = judged(TEXT);
    let record = &outcome.records[0];
    assert_eq!((outcome.status, &record["pattern_published_at"], &record["realtime"]), (Status::Ok, &"2026-09-07T19:37:10".into(), &true.into()));
    assert_eq!((outcome.observed_at, outcome.source_fresh_at), (None, Some(time::parse("2026-09-07T05:37:10Z").unwrap())));
}

#[test]
fn up_to_date_by_its_own_word_is_not_believed_when_its_pattern_is_old() {
    let old = JSON.replace("\"definitionsUpdatedMinutesAgo\": 90", "\"definitionsUpdatedMinutesAgo\": 20160");
    assert_eq!((judged(&old).status, judged(&old).reason.as_str()), (Status::Bad, "the pattern was 14 days old"));
    let at = |at| outcome(JSON, Some(time::parse(at).unwrap())).unwrap().status;
    assert_eq!((at("2026-09-10T00:00:00Z"), at("2026-09-20T00:00:00Z")), (Status::Ok, Status::Bad));
    let expired = outcome(JSON, Some(time::parse("2027-09-20T00:00:00Z").unwrap())).unwrap();
    assert!(expired.reason.starts_with("this version of the product has expired"), "{}", expired.reason);
}

#[test]
fn what_is_off_is_bad() {
    for (from, to, status) in [
        ("\"healthy\": true", "\"healthy\": false", Status::Bad),
        ("\"licensed\": true", "\"licensed\": false", Status::Bad),
        ("\"value\": true, \"managed\"", "\"value\": false, \"managed\"", Status::Bad),
        ("\"realTimeProtectionAvailable\": true", "\"realTimeProtectionAvailable\": false", Status::Bad),
        ("{\"value\": false}", "{\"value\": true}", Status::Unknown),
        ("upToDate", "outOfDate", Status::Bad),
        ("upToDate", "updateFailed", Status::Bad),
        ("upToDate", "unknown", Status::Unknown),
    ] {
        assert!(JSON.contains(from));
        assert_eq!(judged(&JSON.replace(from, to)).status, status, "{to}");
    }
    let failed = TEXT.replace("definitions_update_fail_reason              : \"\"", "definitions_update_fail_reason : \"no mirror\"");
    assert_eq!(judged(&failed).status, Status::Bad);
    let never = JSON.replace("\"1788766630000\"", "\"0\"").replace("\"definitionsUpdatedMinutesAgo\": 90", "\"definitionsUpdatedMinutesAgo\": 4294967295");
    let outcome = judged(&never);
    assert_eq!((outcome.status, &outcome.records[0]["pattern_published_at"]), (Status::Unknown, &().into()));
}

#[test]
fn what_the_tool_says_about_itself_is_unknown() {
    for (said, code) in [
        ("Could not connect to the daemon\n", "not_running"),
        ("bash: mdatp: command not found\n", "not_found"),
        ("mdatp: Permission denied\n", "permission_denied"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
    }
    assert_eq!(parse("\n"), Err(Unreadable::Empty));
    for foreign in ["{}", "healthy : true\n", "a: 1\nb: 2\n", "{\"healthy\": true}"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
    assert!(matches!(parse("{"), Err(Unreadable::Json { .. })));
    assert!(parse(&"{\"a\":".repeat(50_000)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "((healthy|licensed|definitions_updated|definitions_updated_minutes_ago|.{0,9}) : ?(true|[0-9]{0,24}|.*)\n){0,8}.*") {
        if let Ok(outcome) = outcome(&input, Some(1_795_824_000_000)) {
            prop_assert!(outcome.records.len() == 1);
        }
    }

    #[test]
    fn any_json_is_taken(word in ".*", number: i64) {
        let input = serde_json::json!({"healthy": word, "licensed": {"value": number}, "definitionsUpdated": number.to_string(), "definitionsStatus": {"$type": word}});
        prop_assert!(outcome(&input.to_string(), Some(0)).is_ok());
    }
}
