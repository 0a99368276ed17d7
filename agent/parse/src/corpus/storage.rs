//! RAID, ZFS, mounts and disk space.

use super::root;
use crate::{Outcome, Status, df, mdadm, mdstat, mount, psi, text, zpool};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A file's text.
fn read(path: &Path) -> String {
    text::decode(&fs::read(path).unwrap()).into_owned()
}

/// The files of a folder whose name begins and ends so, sorted; at least one.
fn files(folder: &Path, begin: &str, end: &str) -> Vec<PathBuf> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| name(path).starts_with(begin) && name(path).ends_with(end));
    found.sort();
    assert!(!found.is_empty(), "{} {begin}*{end}", folder.display());
    found
}

#[test]
fn mdstat_of_a_machine_with_every_kind_of_array() {
    let Some(root) = root("mdstat") else { return };
    let text = read(&root.join("proc-sys/node_exporter/proc/mdstat"));
    let mdstat = mdstat::parse(&text).unwrap();
    assert_eq!(mdstat.faults, []);
    assert_eq!(mdstat.arrays.len(), text.lines().filter(|line| line.starts_with("md")).count());
    for array in &mdstat.arrays {
        let block = text.split("\n\n").find(|block| block.trim_start().starts_with(&format!("{} :", array.name))).unwrap();
        assert_eq!(array.members.iter().filter(|member| member.failed).count(), block.matches("(F)").count(), "{}", array.name);
        assert_eq!(array.members.iter().filter(|member| member.spare).count(), block.matches("(S)").count(), "{}", array.name);
        assert_eq!(array.degraded(), block.contains("U_"), "{}", array.name);
        assert_eq!(array.progress.is_some(), block.contains("finish=") || block.contains("resync="), "{}", array.name);
        assert!(array.size_bytes.is_some(), "{}", array.name);
    }
    let outcome = mdstat::outcome(&text, None).unwrap();
    assert_eq!(outcome.status, Status::Bad);
    for named in ["md4 is inactive", "md6: sdb2 has failed", "md6 is degraded: 1 of 2 members, recovering 8.5 %", "md7: sdc1"] {
        assert!(outcome.reason.contains(named), "{} lacks {named}", outcome.reason);
    }
    assert!(!outcome.reason.contains("md219") && !outcome.reason.contains("md8 "), "{}", outcome.reason);
}

#[test]
fn mdstat_of_a_machine_without_the_driver() {
    let Some(root) = root("mdstat without the driver") else { return };
    let outcome: Outcome = mdstat::outcome(&read(&root.join("proc-sys/generated/mdstat_vm.txt")), None).unwrap();
    assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, "not_found"));
}

#[test]
fn mdadm_agrees_with_the_result_that_lies_beside_each_file() {
    let Some(root) = root("mdadm") else { return };
    for path in files(&root.join("proc-sys/jc"), "mdadm-", ".out") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let beside: Value = serde_json::from_str(&read(&path.with_extension("json"))).unwrap();
        let outcome = mdadm::outcome(&read(&path), None).unwrap();
        assert_eq!((outcome.records.len(), outcome.faults.len()), (1, 0), "{name} {:?}", outcome.faults);
        let record = &outcome.records[0];
        for key in ["device", "raid_devices", "total_devices", "active_devices", "failed_devices", "spare_devices"] {
            assert_eq!(record[key], beside[key], "{name} {key}");
        }
        if beside["magic"] != "de11de11" {
            assert_eq!((&record["level"], &record["state"]), (&beside["raid_level"], &beside["state"]), "{name}");
            assert_eq!(record["size_bytes"].as_i64(), beside["array_size_num"].as_i64().map(|size| size * 1024), "{name}");
        }
        let states = |value: &Value| value["state"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ");
        if let (Some(rows), true) = (beside["device_table"].as_array(), beside["magic"].is_null()) {
            let beside: Vec<_> = rows.iter().map(|row| (row["raid_device"].clone(), states(row), row["device"].clone())).collect();
            let ours: Vec<_> = record["members"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| (row["slot"].clone(), row["state"].as_str().unwrap().to_owned(), row["device"].clone()))
                .collect();
            assert_eq!(ours, beside, "{name}");
        }
        let bad = name.contains("faulty") || name.contains("rebuild-failfast");
        assert_eq!(outcome.status == Status::Bad, bad, "{name} {}", outcome.reason);
        assert!(outcome.status != Status::Unknown, "{name} {}", outcome.reason);
    }
}

#[test]
fn zpool_agrees_with_what_another_collector_made_of_each_list() {
    let Some(root) = root("zpool") else { return };
    let mut pools = 0;
    for name in ["cache", "cache_poolmetrics", "freebsd14", "freenas_zfetchstats", "unavailable_poolmetrics"] {
        let folder = root.join("proc-sys/telegraf/zfs/freebsd").join(name);
        let list = read(&folder.join("zpool.txt"));
        let outcome = zpool::outcome(&list, None).unwrap();
        assert_eq!((outcome.records.len(), outcome.faults.len()), (list.lines().count(), 0), "{name}");
        assert_eq!(outcome.status == Status::Bad, list.contains("UNAVAIL"), "{name} {}", outcome.reason);
        let expected = read(&folder.join("expected.out"));
        for line in expected.lines().filter(|line| line.starts_with("zfs_pool,")) {
            let told = |key: &str| line.split([',', ' ']).find_map(|part| part.strip_prefix(key)?.strip_prefix('=')).map(|value| value.trim_end_matches('i'));
            let record = outcome.records.iter().find(|record| record["name"].as_str() == told("pool")).unwrap();
            assert_eq!(record["health"].as_str(), told("health"), "{line}");
            for (ours, theirs) in
                [("allocated_bytes", "allocated"), ("free_bytes", "free"), ("capacity_percent", "capacity"), ("fragmentation_percent", "fragmentation")]
            {
                // The other collector has 0 where the tool has a dash.
                let theirs = told(theirs).and_then(|value| value.parse::<i64>().ok());
                assert_eq!(record[ours].as_i64().or(theirs.filter(|value| *value == 0)), theirs, "{line} {ours}");
            }
            pools += 1;
        }
    }
    assert_eq!(pools, 6);
    let datasets = read(&root.join("proc-sys/telegraf/zfs/freebsd/dataset/zdataset.txt"));
    assert!(zpool::outcome(&datasets, None).is_err());
}

#[test]
fn the_kernels_word_about_each_pool() {
    let Some(root) = root("zpool-state") else { return };
    for (path, status) in [
        ("node_exporter/proc/spl/kstat/zfs/pool1/state", Status::Ok),
        ("node_exporter/proc/spl/kstat/zfs/pool2/state", Status::Bad),
        ("node_exporter/proc/spl/kstat/zfs/poolz1/state", Status::Bad),
        ("telegraf/zfs/linux/issue_17952/zfs/store/state", Status::Ok),
    ] {
        assert_eq!(zpool::outcome_state(&read(&root.join("proc-sys").join(path)), None).unwrap().status, status, "{path}");
    }
}

#[test]
fn mounts_are_judged_as_the_folder_says() {
    let Some(root) = root("mount") else { return };
    for path in files(&root.join("proc-sys/linuxfabrik/fs-ro"), "", "") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = read(&path);
        let outcome = mount::outcome(&text, None).unwrap();
        assert_eq!((outcome.records.len(), outcome.faults.len()), (text.lines().count(), 0), "{name}");
        assert_eq!(outcome.status, if name.contains("healthy") { Status::Ok } else { Status::Bad }, "{name} {}", outcome.reason);
    }
}

#[test]
fn mountinfo_agrees_with_the_result_that_lies_beside_it() {
    let Some(root) = root("mountinfo") else { return };
    let path = root.join("proc-sys/jc/linux-proc__pid_mountinfo");
    let beside: Value = serde_json::from_str(&read(&path.with_extension("json"))).unwrap();
    let outcome = mount::outcome(&read(&path), None).unwrap();
    assert_eq!((outcome.status, outcome.faults.len()), (Status::Ok, 0), "{}", outcome.reason);
    assert_eq!(outcome.records.len(), beside.as_array().unwrap().len());
    for (ours, theirs) in outcome.records.iter().zip(beside.as_array().unwrap()) {
        assert_eq!((&ours["mountpoint"], &ours["fstype"]), (&theirs["mount_point"], &theirs["fs_type"]));
        assert_eq!(ours["read_only"].as_bool(), Some(theirs["mount_options"].as_array().unwrap().iter().any(|option| option == "ro")));
    }
}

#[test]
fn df_agrees_with_the_result_that_lies_beside_each_file() {
    let Some(root) = root("df") else { return };
    let mut paths = files(&root.join("proc-sys/jc"), "", "df-h.out");
    paths.extend(["ubuntu-18.04__df.out", "generic__df-long-filesystem.out"].map(|name| root.join("proc-sys/jc").join(name)));
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let beside: Value = serde_json::from_str(&read(&path.with_extension("json"))).unwrap();
        let outcome = df::outcome(&read(&path), None).unwrap();
        assert_eq!((outcome.status, outcome.faults.len()), (Status::Ok, 0), "{name} {}", outcome.reason);
        assert_eq!(outcome.records.len(), beside.as_array().unwrap().len(), "{name}");
        for (ours, theirs) in outcome.records.iter().zip(beside.as_array().unwrap()) {
            assert_eq!(ours["mountpoint"], theirs["mounted_on"], "{name}");
            let percent = if theirs["use_percent"].is_null() { &theirs["capacity_percent"] } else { &theirs["use_percent"] };
            assert_eq!(&ours["used_percent"], percent, "{name}");
            let kibibytes = theirs["1k_blocks"].as_i64().or(theirs["1024_blocks"].as_i64()).map(|blocks| blocks * 1024);
            let size = theirs["size"].as_i64().or(kibibytes).unwrap();
            assert!(ours["size_bytes"].as_i64().unwrap().abs_diff(size) <= 1, "{name} {ours}");
        }
    }
    for (name, key, value) in [("df_PTk_vm.txt", "size_bytes", 264_212_084 * 1024), ("df_Pi_vm.txt", "inodes", 16_777_216)] {
        let outcome = df::outcome(&read(&root.join("proc-sys/generated").join(name)), None).unwrap();
        assert_eq!((outcome.status, outcome.records.len()), (Status::Ok, 5), "{name}");
        assert_eq!(outcome.records[2][key].as_i64(), Some(value), "{name}");
    }
}

#[test]
fn pressure_of_every_resource() {
    let Some(root) = root("psi") else { return };
    for path in files(&root.join("proc-sys/node_exporter/proc/pressure"), "", "") {
        let text = read(&path);
        let outcome = psi::outcome(&text, None).unwrap();
        assert_eq!(outcome.readings.len(), 4 * text.lines().count(), "{}", path.display());
    }
}
