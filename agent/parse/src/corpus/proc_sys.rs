//! The kernel's folders and the outputs of tools around it.

use super::{files, folder, tree};
use crate::{Status, Tree, Unreadable, chronyc, dmesg, edac, hwmon, ipmi_sensor, physicaldisk, power_supply, systemd, timedatectl, upsc, w32tm};
use std::path::Path;

const GROUP: &str = "proc-sys";

/// A text archive of a folder (`Path:`, `Lines:`, then so many lines), without its links.
#[allow(clippy::disallowed_methods, reason = "gzip unpacks what the tests read")]
fn archive(path: &Path) -> Vec<(String, String)> {
    let unpacked = std::process::Command::new("gzip").arg("-dc").arg(path).output().unwrap().stdout;
    let text = String::from_utf8_lossy(&unpacked);
    let mut lines = text.lines();
    let (mut found, mut path) = (Vec::new(), String::new());
    while let Some(line) = lines.next() {
        if let Some(at) = line.strip_prefix("Path: ") {
            at.clone_into(&mut path);
        } else if let Some(count) = line.strip_prefix("Lines: ") {
            let held: Vec<&str> = lines.by_ref().take(count.parse().unwrap()).collect();
            found.push((std::mem::take(&mut path), held.join("\n")));
        }
    }
    found
}

/// The part of an archive's files below a folder.
fn below(files: &[(String, String)], folder: &str) -> Tree {
    let mut tree = Tree::default();
    for (path, text) in files {
        if let Some(rest) = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')) {
            tree.put(rest, text.as_str()).unwrap();
        }
    }
    tree
}

#[test]
fn sensors_of_a_server_are_read() {
    let Some(folder) = folder(GROUP, "sensors_of_a_server_are_read") else { return };
    let files = archive(&folder.join("node_exporter/sys.ttar.gz"));
    let mut seen = 0;
    let mut chips: Vec<&str> = files.iter().filter_map(|(path, _)| path.strip_suffix("/name")).filter(|path| path.contains("hwmon")).collect();
    chips.push("sys/class/hwmon");
    for chip in chips {
        let tree = below(&files, chip);
        let inputs = tree.paths().filter(|path| path.ends_with("_input") && !path.contains("bogus")).count();
        let outcome = hwmon::outcome(&tree, None).unwrap();
        assert_ne!(outcome.status, Status::Bad, "{chip}: {}", outcome.reason);
        let limits = outcome.readings.iter().filter(|reading| reading.name.ends_with("_limit")).count();
        assert_eq!(outcome.readings.len() - limits, inputs, "{chip}");
        assert!(outcome.faults.is_empty(), "{chip}");
        seen += inputs;
    }
    assert_eq!(seen, 4 + 5 + 5 + 3 + 4 + 1 + 3, "sensors with a value: {seen}");
}

#[test]
fn sensors_of_a_desktop_are_read() {
    let Some(folder) = folder(GROUP, "sensors_of_a_desktop_are_read") else { return };
    for case in ["general", "with_device_tag", "with_name"] {
        let class = folder.join("telegraf/temp").join(case).join("sys/class/hwmon");
        let outcome = hwmon::outcome(&tree(&class), None).unwrap();
        assert_eq!((outcome.status, outcome.faults.len()), (Status::Ok, 0), "{case}: {}", outcome.reason);
        for (path, bytes) in files(&class) {
            let Some(sensor) = path.strip_suffix("_input") else { continue };
            let (device, sensor) = sensor.split_once('/').unwrap();
            let millis: f64 = String::from_utf8(bytes).unwrap().trim().parse().unwrap();
            let found = outcome.readings.iter().find(|r| r.name == "temperature" && r.labels["device"] == device && r.labels["sensor"] == sensor);
            assert!((found.unwrap().value - millis / 1000.0).abs() < 1e-9, "{case}: {path}");
        }
    }
}

#[test]
fn memory_errors_of_a_server_are_read() {
    let Some(folder) = folder(GROUP, "memory_errors_of_a_server_are_read") else { return };
    let files = archive(&folder.join("node_exporter/sys.ttar.gz"));
    let outcome = edac::outcome(&below(&files, "sys/devices/system/edac"), None).unwrap();
    assert_eq!((outcome.status, outcome.faults.len()), (Status::Bad, 0), "{}", outcome.reason);
    for (path, text) in files.iter().filter(|(path, _)| path.contains("edac/mc/") && path.ends_with("e_count")) {
        let place = path.rsplit_once("mc0/").unwrap().1.replace('_', "/");
        let location = place.strip_suffix("/count").and_then(|place| place.rsplit_once('/')).map_or("", |(location, _)| location);
        let name = if path.ends_with("ue_count") { "memory_uncorrected_errors" } else { "memory_corrected_errors" };
        let found = outcome.readings.iter().find(|r| r.name == name && r.labels["location"] == location);
        assert_eq!(found.map(|r| r.value), text.parse().ok(), "{path}");
    }
}

/// The files of one of a monitoring project's cases, by case and text.
fn cases(group: &Path, check: &str) -> Vec<(String, String)> {
    files(&group.join("linuxfabrik").join(check)).into_iter().map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap())).collect()
}

#[test]
fn sensors_of_a_management_processor_are_read() {
    let Some(folder) = folder(GROUP, "sensors_of_a_management_processor_are_read") else { return };
    for (case, text) in cases(&folder, "ipmi-sensor") {
        let outcome = ipmi_sensor::outcome(&text, None).unwrap();
        assert_eq!((outcome.status, outcome.faults.len()), (Status::Ok, 0), "{case}: {}", outcome.reason);
        assert_eq!(outcome.records.len(), text.lines().count(), "{case}");
        let answering = text.lines().filter(|line| !line.contains("| na         |            |")).count();
        assert_eq!(outcome.reason, format!("{answering} sensors read"), "{case}");
    }
}

#[test]
fn a_ups_in_trouble_is_told() {
    let Some(folder) = folder(GROUP, "a_ups_in_trouble_is_told") else { return };
    let said = |case: &str| match case {
        "forced-shutdown" => "about to switch off",
        "on-battery" => "on battery",
        "on-battery-low" => "on battery; battery nearly empty",
        "overload" => "overloaded",
        _ => "battery to be replaced",
    };
    for (case, text) in cases(&folder, "ups-nut") {
        let outcome = upsc::outcome(&text, None).unwrap();
        assert_eq!((outcome.status, outcome.reason.as_str(), outcome.faults.len()), (Status::Bad, said(&case), 0), "{case}");
        let charge: f64 = text.lines().find_map(|line| line.strip_prefix("VAR dummy battery.charge \"")?.strip_suffix('"')?.parse().ok()).unwrap();
        let read = outcome.readings.iter().find(|reading| reading.name == "battery_charge").unwrap();
        assert!((read.value - charge).abs() < 1e-9, "{case}");
    }
}

#[test]
fn clocks_are_judged_as_their_cases_are_named() {
    let Some(folder) = folder(GROUP, "clocks_are_judged_as_their_cases_are_named") else { return };
    for (case, text) in cases(&folder, "ntp-chronyd") {
        let outcome = chronyc::outcome(&text, None).unwrap();
        assert_eq!((outcome.status, outcome.faults.len()), (Status::Bad, 0), "{case}: {}", outcome.reason);
    }
    for (case, text) in cases(&folder, "ntp-w32tm") {
        let outcome = w32tm::outcome(&text, None).unwrap();
        let expected = if case.starts_with("stratum-") { Status::Ok } else { Status::Bad };
        assert_eq!((outcome.status, outcome.faults.len()), (expected, 0), "{case}: {}", outcome.reason);
        let offset: f64 = text.lines().find_map(|line| line.strip_prefix("Phase Offset: ")?.strip_suffix('s')?.parse().ok()).unwrap();
        let read = outcome.readings.iter().find(|reading| reading.name == "clock_offset").unwrap();
        assert!((read.value - offset).abs() < 1e-9, "{case}");
    }
}

#[test]
fn clocks_of_systemd_are_judged_as_their_cases_are_named() {
    let Some(folder) = folder(GROUP, "clocks_of_systemd_are_judged_as_their_cases_are_named") else { return };
    for (case, text) in cases(&folder, "systemd-timedate-status") {
        let outcome = timedatectl::outcome(&text, None).unwrap();
        let expected = if case.ends_with("-ok") { Status::Ok } else { Status::Bad };
        assert_eq!((outcome.status, outcome.faults.len()), (expected, 0), "{case}: {}", outcome.reason);
    }
    for (case, text) in cases(&folder, "ntp-systemd-timesyncd") {
        let outcome = timedatectl::outcome(&text, None).unwrap();
        let expected = if case.starts_with("stratum-2-synced") { (Status::Ok, Some(2.0)) } else { (Status::Unknown, None) };
        let stratum = outcome.readings.iter().find(|reading| reading.name == "clock_stratum").map(|reading| reading.value);
        assert_eq!((outcome.status, stratum), expected, "{case}: {}", outcome.reason);
    }
    for name in ["centos-7.7__timedatectl", "ubuntu-18.04__timedatectl"] {
        let read = |end: &str| std::fs::read_to_string(folder.join("jc").join(format!("{name}.{end}"))).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&read("json")).unwrap();
        let outcome = timedatectl::outcome(&read("out"), None).unwrap();
        assert_eq!(outcome.observed_at, expected["epoch_utc"].as_i64().map(|s| s * 1000), "{name}");
        assert_eq!(outcome.records[0]["rtc_local"], expected["rtc_in_local_tz"], "{name}");
        assert_eq!(outcome.status, Status::Ok, "{name}");
    }
}

#[test]
fn messages_are_judged_as_their_cases_are_named() {
    let Some(folder) = folder(GROUP, "messages_are_judged_as_their_cases_are_named") else { return };
    for (case, text) in cases(&folder, "dmesg") {
        let outcome = dmesg::outcome(&text, None);
        let counted = outcome.as_ref().map(|outcome| (outcome.status, outcome.readings.iter().map(|reading| reading.value).sum::<f64>()));
        match case.as_str() {
            "errors-blk-update-request-two" => assert_eq!(counted, Ok((Status::Bad, 2.0)), "{case}"),
            "lorem-ipsum-with-error-keyword" => assert!(matches!(outcome, Err(Unreadable::Foreign { line: 1, .. })), "{case}"),
            _ => assert_eq!(counted, Ok((Status::Ok, 0.0)), "{case}"),
        }
    }
}

#[test]
fn units_are_read_as_others_read_them() {
    let Some(folder) = folder(GROUP, "units_are_read_as_others_read_them") else { return };
    for (case, text) in cases(&folder, "systemd-units-failed") {
        match case.as_str() {
            "no-failed-units" => assert_eq!(systemd::parse(&text), Err(Unreadable::Empty), "{case}"),
            _ => {
                let outcome = systemd::outcome(&text, None).unwrap();
                assert_eq!((outcome.status, outcome.records.len()), (Status::Bad, text.lines().count()), "{case}: {}", outcome.reason);
            }
        }
    }
    let read = |name: &str| std::fs::read_to_string(folder.join("jc").join(name)).unwrap();
    let expected: Vec<serde_json::Value> = serde_json::from_str(&read("centos-7.7__systemctl.json")).unwrap();
    let outcome = systemd::outcome(&read("centos-7.7__systemctl.out"), None).unwrap();
    assert_eq!((outcome.records.len(), outcome.faults.len()), (expected.len(), 0));
    for (unit, expected) in outcome.records.iter().zip(&expected) {
        for key in ["unit", "load", "active", "sub"] {
            assert_eq!(unit[key], expected[key], "{expected}");
        }
    }
}

#[test]
fn a_laptops_supplies_are_read() {
    let Some(folder) = folder(GROUP, "a_laptops_supplies_are_read") else { return };
    let files = archive(&folder.join("node_exporter/sys.ttar.gz"));
    let outcome = power_supply::outcome(&below(&files, "sys/class/power_supply"), None).unwrap();
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Bad, "BAT0: on battery"));
    assert_eq!(outcome.records[1]["charge_percent"], 81);
    assert!(!serde_json::to_string(&outcome).unwrap().contains("38109"));
}

#[test]
fn drives_of_windows_are_read() {
    let Some(folder) = folder("smart-linuxfabrik", "drives_of_windows_are_read") else { return };
    for (name, bytes) in files(&folder.join("msdocs")).into_iter().filter(|(name, _)| name.contains("PhysicalDisk")) {
        let text = String::from_utf8(bytes).unwrap();
        let outcome = physicaldisk::outcome(&text, None).unwrap();
        assert_eq!(outcome.records.len(), text.lines().filter(|line| line.contains("Healthy") || line.contains("Warning")).count(), "{name}");
        for disk in &outcome.records {
            let line = text.lines().find(|line| line.starts_with(disk["model"].as_str().unwrap())).unwrap();
            assert_eq!(disk["health_passed"], line.contains("Healthy"), "{name}");
            assert!(line.contains(&format!("{} GB", disk["capacity_bytes"].as_i64().unwrap() >> 30)), "{name}");
        }
    }
}

/// The files that a kind reads: how their paths begin.
const OWN: &[(&str, &[&str])] = &[
    ("ipmi-sensor", &["linuxfabrik/ipmi-sensor/"]),
    ("upsc", &["linuxfabrik/ups-nut/"]),
    ("chronyc", &["linuxfabrik/ntp-chronyd/"]),
    ("w32tm", &["linuxfabrik/ntp-w32tm/"]),
    (
        "timedatectl",
        &["linuxfabrik/systemd-timedate-status/", "linuxfabrik/ntp-systemd-timesyncd/", "jc/centos-7.7__timedatectl.out", "jc/ubuntu-18.04__timedatectl.out"],
    ),
    ("dmesg", &["linuxfabrik/dmesg/"]),
    ("systemd", &["linuxfabrik/systemd-units-failed/", "jc/centos-7.7__systemctl."]),
    ("physicaldisk", &["msdocs/Get-PhysicalDisk"]),
];

#[test]
fn no_kind_takes_the_files_of_another() {
    let groups = ["proc-sys", "smart", "smart-linuxfabrik", "patch-status", "backup", "antivirus", "exposition"];
    let names = ["ipmi-sensor", "upsc", "apcaccess", "chronyc", "w32tm", "timedatectl", "dmesg", "systemd", "physicaldisk"];
    let mut taken = Vec::new();
    for (group, folder) in groups.iter().filter_map(|group| Some((group, folder(group, "no_kind_takes_the_files_of_another")?))) {
        for (path, bytes) in files(&folder).into_iter().filter(|(path, bytes)| !path.ends_with(".gz") && bytes.len() < 1 << 16) {
            let text = crate::text::decode(&bytes);
            for name in names {
                let crate::Read::Text(read) = crate::find(name).unwrap().read else { continue };
                let own = OWN.iter().any(|(kind, paths)| *kind == name && paths.iter().any(|start| path.starts_with(start)));
                // An empty list is anybody's.
                if !own && text.trim() != "[]" && read(&text, None).is_ok() {
                    taken.push((name, format!("{group}/{path}")));
                }
            }
        }
    }
    assert_eq!(taken, []);
}
