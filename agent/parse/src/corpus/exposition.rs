//! Metrics in files: the conformance suite of OpenMetrics, and files of other collectors.

use super::{files, folder};
use crate::textfile::{self, Type};
use crate::{Status, Unreadable, text};

#[test]
fn openmetrics_conformance_is_met() {
    let Some(folder) = folder("exposition/openmetrics", "OpenMetrics' conformance") else { return };
    let all = files(&folder);
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    for (path, bytes) in all.iter().filter(|(path, _)| path.ends_with("/metrics")) {
        let told = path.replace("/metrics", "/test.json");
        let told: serde_json::Value = serde_json::from_slice(&all.iter().find(|(path, _)| *path == told).unwrap().1).unwrap();
        let should = told["shouldParse"].as_bool().unwrap();
        let read = textfile::outcome(&text::decode(bytes), None);
        if read.is_ok() != should {
            wrong.push(format!("{path}: {read:?}"));
        }
        if should { good += 1 } else { bad += 1 }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(good > 15 && bad > 70, "{good} {bad}");
}

#[test]
fn files_of_other_collectors_are_read_whole() {
    let Some(folder) = folder("exposition", "files of other collectors") else { return };
    let mut seen = 0;
    for (path, bytes) in files(&folder).iter().filter(|(path, _)| path.ends_with("/input.txt") || path.ends_with(".om.txt")) {
        let text = text::decode(bytes);
        let outcome = textfile::outcome(&text, None).unwrap_or_else(|error| panic!("{path}: {error}"));
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!((outcome.status, outcome.records.len()), (Status::Ok, lines.len()), "{path}");
        for (line, record) in lines.iter().zip(&outcome.records) {
            assert!(line.starts_with(record["metric"].as_str().unwrap()), "{path} {line}");
            let value: f64 =
                line.split(" # ").next().unwrap().rsplit_once('}').map_or(*line, |(_, rest)| rest).split(' ').find_map(|word| word.parse().ok()).unwrap();
            assert_eq!(record["value"].as_f64(), Some(value), "{path} {line}");
        }
        seen += 1;
    }
    assert_eq!(seen, 8);
    let (_, bytes) = files(&folder).into_iter().find(|(path, _)| path.ends_with("metric_with_timestamp/input.txt")).unwrap();
    let metrics = textfile::parse(&text::decode(&bytes)).unwrap().metrics;
    assert_eq!((metrics[0].kind, metrics[0].measured_at.map(|when| when.earliest_ms())), (Type::Counter, Some(1_601_830_800_000)));
}

#[test]
fn what_is_no_metric_is_refused() {
    let Some(folder) = folder("exposition", "what is no metric") else { return };
    let others = ["proc_meminfo", "ps-axwo.debian", "ps-axwo.darwin", "input.bin", "webhook-v4-shape.txt", "test.json", "expected_v2.out"];
    let mut seen = 0;
    for (path, bytes) in files(&folder).iter().filter(|(path, _)| others.iter().any(|name| path.ends_with(name))) {
        assert!(matches!(textfile::outcome(&text::decode(bytes), None), Err(Unreadable::Broken { .. })), "{path}");
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}
