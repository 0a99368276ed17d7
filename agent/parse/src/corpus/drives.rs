//! smartctl, nvme-cli: each real file against what it says itself, looked up the simple way.

use super::{files, folder};
use crate::{Status, nvme_cli, smartctl, smartctl_text};
use serde_json::Value;
use std::path::Path;

/// The files below a folder whose names are taken, decoded.
fn decoded(folder: &Path, takes: fn(&str) -> bool) -> Vec<(String, String)> {
    let all = files(folder).into_iter().filter(|(name, _)| takes(name));
    all.map(|(name, bytes)| (name, crate::text::decode(&bytes).into_owned())).collect()
}

/// What smartctl's own fields say, against the record; the verdict against smartctl's own.
#[test]
fn smartctl_json_agrees_with_its_own_fields() {
    let Some(folder) = folder("smart", "the drives of the corpus") else { return };
    let mut bad = Vec::new();
    let files = decoded(&folder, |name| name.ends_with(".json"));
    let ours: Vec<(String, String, Value)> = files
        .into_iter()
        .map(|(name, text)| {
            let root: Value = serde_json::from_str(&text).unwrap();
            (name, text, root)
        })
        .filter(|(_, _, root)| root.get("smartctl").is_some() || root.get("device").is_some())
        .collect();
    assert!(ours.len() > 100, "{}", ours.len());
    for (name, text, root) in &ours {
        let outcome = smartctl::outcome(text, None).unwrap();
        let at = |path| root.pointer(path).cloned().unwrap_or(Value::Null);
        if root.get("devices").is_some() {
            assert_eq!((outcome.status, outcome.records.len()), (Status::Unknown, at("/devices").as_array().unwrap().len()), "{name}");
            continue;
        }
        let record = &outcome.records[0];
        assert_eq!(record["health_passed"], at("/smart_status/passed"), "{name}");
        assert_eq!(record["temperature_celsius"], at("/temperature/current"), "{name}");
        assert_eq!(record["power_on_hours"], at("/power_on_time/hours"), "{name}");
        assert_eq!(record["power_cycles"], at("/power_cycle_count"), "{name}");
        assert_eq!(record["exit_bits"], at("/smartctl/exit_status"), "{name}");
        // A drive with several namespaces has no one size; its own total stands for it.
        let total = if at("/user_capacity/bytes").is_null() { at("/nvme_total_capacity") } else { at("/user_capacity/bytes") };
        assert_eq!(record["capacity_bytes"], total, "{name}");
        for field in ["percentage_used", "media_errors", "critical_warning", "available_spare", "unsafe_shutdowns"] {
            let log = root.get("nvme_smart_health_information_log").map_or(Value::Null, |log| log[field].clone());
            assert_eq!(record[field], log, "{name} {field}");
        }
        let table = at("/ata_smart_attributes/table").as_array().cloned().unwrap_or_default();
        let failing = |when: &str| table.iter().filter(|row| row["when_failed"] == when).map(|row| row["name"].clone()).collect::<Vec<_>>();
        assert_eq!(record["failing_now"], Value::Array(failing("now")), "{name}");
        assert_eq!(record["failed_past"], Value::Array(failing("past")), "{name}");
        assert_eq!(record["attributes"].as_array().unwrap().len(), table.len(), "{name}");
        for (field, id) in [("reallocated", 5), ("pending", 197), ("uncorrectable", 198), ("crc_errors", 199)] {
            let of_attribute = table.iter().find(|row| row["id"] == id && row["name"] != "Not_In_Use").map(|row| row["raw"]["value"].clone());
            if let Some(raw) = of_attribute {
                assert_eq!(record[field], raw, "{name} {field}");
            }
        }
        let serial = at("/serial_number").as_str().unwrap_or("-----").to_owned();
        assert!(serial == "REDACTED" || !serde_json::to_string(&outcome).unwrap().contains(&serial), "{name}");
        let own = (record["health_passed"].as_bool(), at("/smartctl/exit_status").as_u64().unwrap_or(0) & 0b1_1000 != 0);
        let expected = match own {
            (Some(false), _) | (_, true) => Status::Bad,
            (Some(true), false) => Status::Ok,
            (None, false) => Status::Unknown,
        };
        assert_eq!(outcome.status, expected, "{name}: {}", outcome.reason);
        if outcome.status == Status::Bad {
            bad.push(name.clone());
        }
    }
    assert!(bad.len() == 1 && bad[0].ends_with("scrutiny/smart-fail2.json"), "{bad:?}");
}

/// The value after a key at the beginning of a line, the first one.
fn said<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim_start().strip_prefix(key)).map(str::trim)
}

fn digits(text: &str) -> Option<i64> {
    text.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
}

#[test]
fn smartctl_text_agrees_with_its_own_lines() {
    let (Some(one), Some(other)) =
        (folder("smart/zbx-smartctl", "the drives of the corpus"), folder("smart-linuxfabrik/linuxfabrik/disk-smart", "the drives of the corpus"))
    else {
        return;
    };
    let mut texts = decoded(&one, |name| !name.ends_with("scan-open.txt"));
    texts.extend(decoded(&other, |name| !name.ends_with("-scan")));
    assert!(texts.len() > 25);
    let mut bad = Vec::new();
    for (name, text) in &texts {
        let outcome = smartctl_text::outcome(text, None).unwrap();
        let record = &outcome.records[0];
        let health = said(text, "SMART overall-health self-assessment test result:").or_else(|| said(text, "SMART Health Status:"));
        let health = health.map(|word| word == "PASSED" || word == "OK");
        let warning = said(text, "Critical Warning:").map(|bits| bits == "0x00");
        assert_eq!(record["health_passed"].as_bool(), health.or(warning), "{name}");
        let expected = match health.or(warning) {
            Some(true) => Status::Ok,
            Some(false) => Status::Bad,
            None => Status::Unknown,
        };
        assert_eq!(outcome.status, expected, "{name}: {}", outcome.reason);
        if expected == Status::Bad {
            bad.push(name.rsplit('/').next().unwrap());
        }
        // Rows of the attribute table: a number, a name, …
        let row = |id: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|words| words.len() > 7 && words[0] == id);
        let raw = |id| row(id).and_then(|words| words[if words[2].starts_with("0x") { 9 } else { 7 }].split(['h', '/']).next().and_then(digits));
        let hours = raw("9").or_else(|| said(text, "Power On Hours:").and_then(digits));
        let hours = hours.or_else(|| said(text, "number of hours powered up =").and_then(|hours| digits(hours.split(['.', ',']).next()?)));
        let hours = hours.or_else(|| said(text, "Accumulated power on time, hours:minutes").and_then(|hours| digits(hours.split(':').next()?)));
        assert_eq!(record["power_on_hours"].as_i64(), hours, "{name}");
        let celsius = raw("194").or_else(|| raw("190")).or_else(|| said(text, "Temperature:").and_then(digits));
        let celsius = celsius.or_else(|| said(text, "Current Drive Temperature:").or_else(|| said(text, "Current Temperature:")).and_then(digits));
        assert_eq!(record["temperature_celsius"].as_i64(), celsius.filter(|celsius| *celsius != 0), "{name}");
        let wear = said(text, "Percentage Used:").or_else(|| said(text, "Percentage used endurance indicator:")).and_then(digits);
        let wear = wear.or_else(|| {
            text.lines().find(|line| line.ends_with("Percentage Used Endurance Indicator")).and_then(|line| digits(line.split_whitespace().nth(3)?))
        });
        assert_eq!(record["percentage_used"].as_i64(), wear, "{name}");
        let rows = text.lines().filter(|line| line.contains(" Pre-fail ") || line.contains(" Old_age ")).count();
        assert!(rows == 0 || record["attributes"].as_array().unwrap().len() == rows, "{name}");
        let serial = said(text, "Serial Number:").or_else(|| said(text, "Serial number:")).unwrap_or("-----");
        assert!(!serde_json::to_string(&outcome).unwrap().contains(serial), "{name}");
        assert!(outcome.faults.iter().all(|fault| fault.code != "too_many"), "{name}: {:?}", outcome.faults);
    }
    assert_eq!(bad, ["examples_failed-test-2.txt", "smartctl-v6-text-st32000542as-health-failed"]);
}

#[test]
fn scans_as_text_list_their_drives() {
    let (Some(one), Some(other)) =
        (folder("smart/zbx-smartctl", "the drives of the corpus"), folder("smart-linuxfabrik/linuxfabrik/disk-smart", "the drives of the corpus"))
    else {
        return;
    };
    let mut scans = decoded(&one, |name| name.ends_with("scan-open.txt"));
    scans.extend(decoded(&other, |name| name.ends_with("-scan")));
    assert_eq!(scans.len(), 4);
    for (name, text) in &scans {
        let outcome = smartctl_text::outcome(text, None).unwrap();
        let listed = text.lines().filter(|line| line.contains(" -d ")).count();
        assert_eq!((outcome.status, outcome.records.len()), (Status::Unknown, listed), "{name}");
        assert_eq!(outcome.faults.is_empty(), listed > 0, "{name}");
    }
}

/// A number as any version of nvme-cli writes it.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).or_else(|| value.to_string().strip_suffix(".0")?.parse().ok())
}

#[test]
fn nvme_cli_agrees_with_its_own_fields() {
    let Some(folder) = folder("smart/netdata", "the drives of the corpus") else { return };
    let logs = decoded(&folder, |name| name.contains("smart-log"));
    assert_eq!(logs.len(), 4);
    for (name, text) in &logs {
        let root: Value = serde_json::from_str(text).unwrap();
        let outcome = nvme_cli::outcome(text, None).unwrap();
        let record = &outcome.records[0];
        assert_eq!(outcome.status, Status::Ok, "{name}: {}", outcome.reason);
        assert_eq!(record["temperature_celsius"].as_i64(), number(&root["temperature"]).map(|kelvin| kelvin - 273), "{name}");
        let fields =
            [("percentage_used", "percent_used"), ("power_on_hours", "power_on_hours"), ("available_spare", "avail_spare"), ("media_errors", "media_errors")];
        for (ours, theirs) in fields {
            assert_eq!(record[ours].as_i64(), number(&root[theirs]), "{name} {ours}");
            assert!(record[ours].is_i64(), "{name} {ours}");
        }
    }
    let lists = decoded(&folder, |name| name.contains("nvme-list"));
    assert_eq!(lists.len(), 3);
    for (name, text) in &lists {
        let outcome = nvme_cli::outcome(text, None).unwrap();
        assert_eq!((outcome.status, outcome.records.len()), (Status::Unknown, text.matches("\"ModelNumber\"").count()), "{name}");
        assert_eq!(text.matches("\"PhysicalSize\": 4000787030016").count(), outcome.readings.len(), "{name}");
    }
}
