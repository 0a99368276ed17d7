use super::*;
use crate::{RECORDS_MAX, Status};
use proptest::prelude::*;

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

#[test]
fn the_state_is_the_word_near_the_beginning() {
    for (text, status, state) in [
        ("DISK OK - free space: / 3326 MB (56%);", Status::Ok, "ok"),
        ("OK: all is well, 0 CRITICAL", Status::Ok, "ok"),
        ("Ok - fine", Status::Ok, "ok"),
        ("[WARNING] half full", Status::Bad, "warning"),
        ("PING CRITICAL - Packet loss = 100%", Status::Bad, "critical"),
        ("SERVICE X: WARN, slow", Status::Bad, "warning"),
        ("UNKNOWN: no answer", Status::Unknown, "unknown"),
        ("Everything is ok.", Status::Ok, "ok"),
    ] {
        let outcome = judged(text);
        assert_eq!((outcome.status, &outcome.records[0]["state"], &outcome.records[0]["state_from"]), (status, &state.into(), &"word".into()), "{text}");
    }
    let marks = judged("/ 56% used\n/home 99% [WARNING]\n/srv 100% [CRITICAL]\n");
    assert_eq!((marks.status, &marks.records[0]["state"], &marks.records[0]["state_from"]), (Status::Bad, &"critical".into(), &"marks".into()));
}

#[test]
fn without_a_word_a_value_in_its_own_range_tells() {
    let ranges = judged("load is high | load1=9;4;8");
    assert_eq!(
        (ranges.status, &ranges.records[0]["state_from"], ranges.reason.as_str()),
        (Status::Bad, &"ranges".into(), "a value lies in its critical range")
    );
    let fine = judged("load | load1=1;4;8");
    assert_eq!((fine.status, &fine.records[0]["state"]), (Status::Unknown, &serde_json::Value::Null));
    let word = judged("OK - load | load1=9;4;8");
    assert_eq!((word.status, word.reason.as_str()), (Status::Ok, "the plugin says ok; 1 values lie in ranges of their own"));
}

#[test]
fn ranges_are_the_guidelines() {
    for (range, wrong, right) in [
        ("10", &[-0.1, 10.1][..], &[0.0, 10.0][..]),
        ("10:", &[9.9], &[10.0, 1e9]),
        ("~:10", &[10.1], &[-1e9, 10.0]),
        ("10:20", &[9.9, 20.1], &[10.0, 20.0]),
        ("@10:20", &[10.0, 20.0], &[9.9, 20.1]),
        ("@~:5", &[-9.0, 5.0], &[5.1]),
        (":5", &[-1.0, 6.0], &[0.0, 5.0]),
        ("-5:-1", &[-6.0, 0.0], &[-5.0, -1.0]),
    ] {
        let check = parse(&format!("OK | a=1;{range}")).unwrap();
        let read = check.performance[0].warning.unwrap();
        assert!(wrong.iter().all(|value| read.wrong(*value)) && right.iter().all(|value| !read.wrong(*value)), "{range} {read:?}");
    }
    for bad in ["a", "20:10", "@", "~", "1:2:3", "nan"] {
        let outcome = judged(&format!("OK | a=1;{bad} b=2"));
        assert_eq!((outcome.faults[0].code, outcome.records[0]["performance"].as_array().unwrap().len()), ("malformed", 1), "{bad}");
    }
}

#[test]
fn performance_data_is_read_over_all_lines() {
    let text =
        "DISK OK - free | /=2643MB;5948;5958;0;5968 'a ''b'' c'=12.5%;;;0;100\n/ 15272 MB\n/boot 68 MB | /boot=68KB;;88\n'more lines'=3c\ntime=1500ms;;;0\n";
    let outcome = judged(text);
    let shown: Vec<(&str, f64, &str)> = outcome.readings.iter().map(|r| (r.labels["label"].as_str(), r.value, r.unit)).collect();
    assert_eq!(
        shown,
        [("/", 2_771_386_368.0, "bytes"), ("a 'b' c", 12.5, "percent"), ("/boot", 69_632.0, "bytes"), ("more lines", 3.0, "count"), ("time", 1.5, "seconds")]
    );
    let first = &outcome.records[0]["performance"][0];
    assert_eq!((&first["value"], &first["unit"], &first["most"], &first["critical"]["to"]), (&2643.0.into(), &"MB".into(), &5968.0.into(), &5958.0.into()));
    assert!(!serde_json::to_string(&outcome).unwrap().contains("15272"));
    let unmeasured = judged("OK | a=U;;;; b=1,5s c=1.5lm");
    assert_eq!((&unmeasured.records[0]["performance"][0]["value"], unmeasured.readings.len(), unmeasured.faults.len()), (&serde_json::Value::Null, 2, 0));
    assert_eq!((unmeasured.readings[0].value, unmeasured.readings[1].unit), (1.5, "value"));
}

#[test]
fn what_the_plugin_could_not_do_is_unknown_and_another_format_is_refused() {
    for (said, code) in [
        ("(No output returned from plugin)\n", "io_error"),
        ("NRPE: Unable to read output\n", "io_error"),
        ("(Service check timed out after 60.01 seconds)\n", "timed_out"),
        ("connect to address 192.0.2.7 port 5666: Connection refused\n", "not_running"),
        ("sh: check_disk: command not found\n", "not_found"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
        assert!(!outcome.reason.contains("192"));
    }
    // A plugin that ran, and says that something else did not answer.
    assert_eq!(judged("CRITICAL - check_x: connection refused\n").status, Status::Bad);
    assert_eq!(parse("\n"), Err(Unreadable::Empty));
    for foreign in ["hello\n", "{\"a\":1}", "a | b\n", "MemTotal: 1 kB\n", "a=1\n"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
}

#[test]
fn many_values_are_bounded() {
    let many = (0..RECORDS_MAX + 5).map(|n| format!("a{n}=1")).collect::<Vec<_>>().join(" ");
    let outcome = judged(&format!("OK | {many}"));
    assert_eq!((outcome.status, outcome.readings.len(), outcome.faults[0].code), (Status::Unknown, RECORDS_MAX, "too_many"));
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "(OK|.{0,5}) ?(.{0,9}\\| ?('?[a-z/' ]{0,5}'?=[0-9U.,e-]{0,6}(ms|%|.)?(;@?[0-9~:]{0,5}){0,5} ?){0,4}\n?){0,4}.*") {
        if let Ok(outcome) = outcome(&input, None) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
        }
    }
}
