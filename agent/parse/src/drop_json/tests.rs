use super::*;
use crate::Status;
use proptest::prelude::*;
use serde_json::{Value, json};

mod schema;

fn example() -> Value {
    json!({
        "schema": "mimamori.drop/1", "device": "ct-1", "software": "3.1.0+b2", "observed_at": "2026-11-22T09:00:00+09:00", "result": "ok",
        "wear_parts": [
            {"part": "xray_tube", "used": 41_200, "limit": 80_000, "unit": "exposures", "replaced_at": "2025-01-10T00:00:00Z"},
            {"part": "air_filter", "used": 1900.5, "limit": 2000, "unit": "hours"},
            {"part": "belt", "used": 12, "limit": null, "unit": "cycles", "replaced_at": null}
        ],
        "readings": [{"reading": "detector_temperature", "value": 31.5, "unit": "celsius", "low": 10, "high": 40}],
        "checks": [{"check": "gantry", "result": "ok", "code": "g-00"}],
        "errors": [{"code": "e-77", "count": 3}]
    })
}

fn judged(value: &Value) -> Outcome {
    outcome(&value.to_string(), None).unwrap()
}

/// The example with what stands at a path replaced.
fn with(path: &str, value: Value) -> Value {
    let mut example = example();
    *example.pointer_mut(path).unwrap() = value;
    example
}

#[test]
fn parts_that_wear_out_are_readings_with_limit_and_unit() {
    let outcome = judged(&example());
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Ok, "self-diagnosis ok; air_filter: 95 % of its limit used"));
    let of =
        |name: &str, part: &str| outcome.readings.iter().find(|r| r.name == name && r.labels.get("part").is_some_and(|p| p == part)).map(|r| (r.value, r.unit));
    assert_eq!((of("wear_used", "xray_tube"), of("wear_limit", "xray_tube")), (Some((41_200.0, "exposures")), Some((80_000.0, "exposures"))));
    assert_eq!((of("wear", "xray_tube"), of("wear_used", "belt"), of("wear_limit", "belt")), (Some((51.5, "percent")), Some((12.0, "cycles")), None));
    assert_eq!((outcome.observed_at, outcome.records[0]["device"].as_str()), (time_of("2026-11-22T00:00:00Z"), Some("ct-1")));
    assert_eq!(outcome.readings.len(), 3 + 3 + 1 + 1 + 1);
}

fn time_of(text: &str) -> Option<i64> {
    mimamori_shared::time::parse(text).ok()
}

#[test]
fn what_is_wrong_is_named() {
    for (path, value, status, reason) in [
        ("/result", json!("failed"), Status::Bad, "self-diagnosis: failed"),
        ("/result", json!("unknown"), Status::Unknown, "self-diagnosis: not known"),
        ("/checks/0/result", json!("warning"), Status::Bad, "gantry: warning"),
        ("/wear_parts/0/used", json!(80_000), Status::Bad, "xray_tube: used up, 100 % of its limit"),
        ("/wear_parts/0/used", json!(null), Status::Unknown, "xray_tube: how much is used is not known"),
        ("/readings/0/value", json!(41), Status::Bad, "detector_temperature: 41 celsius is out of its limits"),
        ("/readings/0/value", json!(null), Status::Unknown, "detector_temperature: not measured"),
        ("/observed_at", json!("0001-01-01T00:00:00Z"), Status::Unknown, "when it looked at itself stands for never"),
        ("/wear_parts/1/part", json!("xray_tube"), Status::Unknown, "xray_tube stands here twice"),
    ] {
        let outcome = judged(&with(path, value));
        assert_eq!(outcome.status, status, "{path}");
        assert!(outcome.reason.starts_with(reason), "{path}: {}", outcome.reason);
    }
    let at = |text: &str| outcome(&example().to_string(), time_of(text)).unwrap().status;
    assert_eq!((at("2026-11-23T23:00:00Z"), at("2026-11-24T01:00:00Z"), at("2026-11-01T00:00:00Z")), (Status::Ok, Status::Unknown, Status::Unknown));
}

#[test]
fn a_key_twice_and_another_format_are_refused() {
    assert_eq!(parse(" "), Err(Unreadable::Empty));
    let twice = example().to_string().replacen("\"result\":\"ok\"", "\"result\":\"ok\",\"result\":\"failed\"", 1);
    for foreign in [twice.as_str(), "[]", "{}", "a", "{", "null", "1e999"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Json { .. })), "{foreign}");
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
}

/// Values of which each rule of the schema lets some pass and some not.
fn values() -> Vec<Value> {
    let mut values: Vec<Value> =
        ["", "ok", "failed", "Ok", "ct-1", "CT 1", "患者", "mimamori.drop/1", "mimamori.drop/2", "celsius", "exposures", "litres", "1.2+a_b-C"]
            .map(Value::from)
            .to_vec();
    values.extend([json!("a".repeat(32)), json!("a".repeat(33)), json!(null), json!(true), json!({}), json!([]), json!([1])]);
    values.extend([json!(0), json!(-1), json!(1), json!(1.5), json!(3.0), json!(1e15), json!(1.1e15), json!(-1e15), json!(-1.1e15), json!(u64::MAX)]);
    values.extend(
        [
            "2026-11-22T09:00:00Z",
            "2026-11-22T09:00:00.5-03:30",
            "2026-11-22t09:00:00Z",
            "2026-11-22T09:00:00z",
            "2026-11-22 09:00:00Z",
            "2026-11-22T09:00:00",
            "2026-13-22T09:00:00Z",
            "9999-12-31T23:59:59Z",
            "2026-11-22T09:00:00.1234567891Z",
        ]
        .map(Value::from),
    );
    values
}

/// Every place in a value, as a path.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), found)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), found)),
        _ => {}
    }
}

#[test]
fn schema_and_parser_agree_wherever_the_example_is_changed() {
    let schema = schema::published();
    let agree = |value: &Value| {
        let (by_schema, by_parser) = (schema.accepts(value), parse(&value.to_string()));
        assert_eq!(by_schema, by_parser.is_ok(), "{value}: {by_parser:?}");
        by_schema
    };
    assert!(agree(&example()));
    let mut paths = Vec::new();
    places(&example(), "", &mut paths);
    let (mut accepted, mut refused) = (0, 0);
    let mut count = |accepts: bool| if accepts { accepted += 1 } else { refused += 1 };
    for path in &paths {
        for value in values() {
            count(agree(&with(path, value)));
        }
        // Each key left out, and one more beside each.
        let (parent, key) = path.rsplit_once('/').unwrap_or(("", ""));
        let mut less = example();
        if less.pointer_mut(parent).and_then(Value::as_object_mut).and_then(|object| object.remove(key)).is_some() {
            count(agree(&less));
        }
        let mut more = example();
        if let Some(object) = more.pointer_mut(path).and_then(Value::as_object_mut) {
            object.insert("note".to_owned(), json!("free text"));
            assert!(!agree(&more), "{path}");
        }
    }
    for list in ["wear_parts", "readings", "checks", "errors"] {
        let entry = example()[list][0].clone();
        assert!(agree(&with(&format!("/{list}"), json!(vec![entry.clone(); LIST_MAX]))), "{list}");
        assert!(!agree(&with(&format!("/{list}"), json!(vec![entry; LIST_MAX + 1]))), "{list}");
    }
    assert!(accepted > 50 && refused > 500, "{accepted} {refused}");
}

#[test]
fn the_schema_names_every_unit_and_no_other() {
    for unit in schema::published().units() {
        let value = with("/readings/0/unit", json!(unit));
        assert_eq!(parse(&value.to_string()).unwrap().readings[0].unit.word(), unit);
    }
    assert_eq!(schema::published().units().len(), 22);
}

proptest! {
    #[test]
    fn any_text_is_taken(text in ".*", at in 0usize..900, until in 0usize..40) {
        let example = example().to_string();
        let changed: String = example.chars().take(at).chain(text.chars()).chain(example.chars().skip(at + until)).collect();
        for input in [text, changed] {
            if let Ok(outcome) = outcome(&input, Some(0)) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
