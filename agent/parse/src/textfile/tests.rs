use super::*;
use crate::Status;
use proptest::prelude::*;

fn broken(input: &str) -> (usize, &'static str) {
    match parse(input) {
        Err(Unreadable::Broken { line, what }) => (line, what),
        other => panic!("{input:?}: {other:?}"),
    }
}

#[test]
fn prometheus_text_is_read() {
    let text = "# a comment\n# HELP up_seconds A \\n text\n#TYPE up_seconds gauge\n\nup_seconds 3.5\n  up_seconds { ward = \"3\\\"\\\\\\n\" , } 1e3 1795317540000 \n\
        # TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\nmy:thing NaN\nworst -Inf\n";
    let metrics = parse(text).unwrap().metrics;
    let shown: Vec<(&str, Type, Option<f64>)> = metrics.iter().map(|m| (m.metric.as_str(), m.kind, m.value)).collect();
    assert_eq!(shown[..3], [("up_seconds", Type::Gauge, Some(3.5)), ("up_seconds", Type::Gauge, Some(1000.0)), ("h_bucket", Type::Histogram, Some(3.0))]);
    assert_eq!((shown[4].1, metrics[5].special, metrics[6].special), (Type::Histogram, Some("NaN"), Some("-Inf")));
    assert_eq!((metrics[1].labels["ward"].as_str(), metrics[1].measured_at.map(When::shown).as_deref()), ("3\"\\", Some("2026-11-22T03:19:00Z")));
    let outcome = outcome(text, None).unwrap();
    assert_eq!((outcome.status, outcome.reason.as_str(), outcome.records.len(), outcome.readings.len()), (Status::Ok, "7 samples", 7, 5));
    assert_eq!((outcome.readings[0].unit, outcome.readings[0].labels["series"].as_str()), ("seconds", "up_seconds"));
    assert_eq!(outcome.source_fresh_at, Some(1_795_317_540_000));
    assert!(!serde_json::to_string(&outcome).unwrap().contains("text"));
}

#[test]
fn one_wrong_line_refuses_the_whole_file() {
    for (text, line) in [
        ("a 1\na 2\n", 2),
        ("a{b=\"1\",c=\"2\"} 1\na{c=\"2\",b=\"1\"} 1\n", 2),
        ("a 1\nb 2", 2),
        ("a 1\nb\n", 2),
        ("a 1\nb x\n", 2),
        ("a 1_0\n", 1),
        ("a 0x1p-2\n", 1),
        ("a 1 1.5\n", 1),
        ("a 1 1 1\n", 1),
        ("a{b=\"\\z\"} 1\n", 1),
        ("a{b=\"1\",b=\"1\"} 1\n", 1),
        ("a{b=1} 1\n", 1),
        ("a{b=\"1\" 1\n", 1),
        ("1a 1\n", 1),
        ("a 1\r\n", 1),
        ("# TYPE a meh\n", 1),
        ("# TYPE a gauge\n# TYPE a gauge\n", 2),
        ("# HELP a x\n# HELP a x\n", 2),
        ("a 1\n# TYPE a gauge\n", 2),
        ("# TYPE a histogram\na_bucket 1\n", 2),
        ("# TYPE a summary\na{quantile=\"x\"} 1\n", 2),
    ] {
        assert_eq!(broken(text).0, line, "{text:?}");
    }
    assert_eq!(parse(" \n"), Err(Unreadable::Empty));
}

#[test]
fn openmetrics_is_told_by_its_end_and_by_what_only_it_has() {
    let text = "# TYPE up_seconds gauge\n# UNIT up_seconds seconds\nup_seconds{a=\"\\z\"} 1 1795317540.5\n# TYPE c counter\nc_total 3 # {trace=\"yamada\"} 0.5 1\n# EOF";
    let metrics = parse(text).unwrap().metrics;
    assert_eq!((metrics[0].unit.as_deref(), metrics[0].labels["a"].as_str(), metrics[1].kind), (Some("seconds"), "\\z", Type::Counter));
    assert_eq!(metrics[0].measured_at.map(When::shown).as_deref(), Some("2026-11-22T03:19:00Z"));
    assert!(!serde_json::to_string(&outcome(text, None).unwrap()).unwrap().contains("yamada"));
    for (text, what) in [
        ("# TYPE a info\na_info 1\n", "# EOF is missing: the file is not whole"),
        ("a 1\n# EOF\n\n", "nothing belongs behind # EOF"),
        ("a 1\n\n# EOF\n", "an empty line"),
        ("a  1\n# EOF\n", "a value belongs behind the name"),
        ("a 1\na 2\n# EOF\n", "the same series stands here twice"),
        ("a{b=\"1\",} 1\n# EOF\n", "a label is NAME=\"VALUE\""),
        ("# UNIT a seconds\n# EOF\n", "the name of a metric ends with its unit"),
        ("# TYPE a gauge\na 1 # {b=\"c\"} 1\n# EOF\n", "only buckets and counters have exemplars"),
        ("# TYPE a histogram\na_bucket{le=\"1\"} 1\n# EOF\n", "the bucket with le=\"+Inf\" is missing"),
        ("# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n# EOF\n", "buckets stand by their bounds, and none holds less than one before it"),
        ("a{b=\"1\"} 1 2\na{b=\"1\"} 1 1\n# EOF\n", "the moments of a series go backwards"),
        ("a{b=\"1\"} 1\na{b=\"2\"} 1\nb 1\na{b=\"3\"} 1\n# EOF\n", "two metrics share a name, or the samples of one stand apart"),
    ] {
        assert_eq!(broken(text).1, what, "{text:?}");
    }
    assert_eq!(parse("a 1 1\na 2 1\na 3 2\n# EOF\n").unwrap().metrics.len(), 2);
}

#[test]
fn nothing_in_it_is_unknown_and_so_is_what_is_old() {
    let empty = outcome("# EOF\n", None).unwrap();
    assert_eq!((empty.status, empty.faults[0].code), (Status::Unknown, "empty"));
    assert_eq!(outcome("# nothing\n", None).unwrap().status, Status::Unknown);
    let at = |days: i64| outcome("a 1 1795317540000\nb 1\n", Some(1_795_317_540_000 + days * AGE_MAX_MS)).unwrap().status;
    assert_eq!((at(1), at(2)), (Status::Ok, Status::Unknown));
    let many: String = (0..RECORDS_MAX + 3).map(|n| format!("a{n} 1\n")).collect();
    let outcome = outcome(&many, None).unwrap();
    assert_eq!((outcome.status, outcome.records.len(), outcome.faults[0].code), (Status::Unknown, RECORDS_MAX, "too_many"));
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "(# TYPE a (gauge|counter|histogram|info|summary|.*)\n)?(a(_bucket|_total|_sum|)?(\\{(le|b)=\"[0-9+Inf.]{0,5}\"\\})? [0-9.-]{1,9}( [0-9]{1,20})?( # \\{.*)?\n|.*\n){0,6}(# EOF)?") {
        if let Ok(outcome) = outcome(&input, Some(0)) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
        }
    }
}
