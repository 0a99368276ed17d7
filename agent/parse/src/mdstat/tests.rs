use super::*;
use crate::Status;
use proptest::prelude::*;

fn judged(body: &str) -> Outcome {
    outcome(&format!("Personalities : [raid1] [raid6] [raid5] [raid4] [raid0]\n{body}\nunused devices: <none>\n"), None).unwrap()
}

#[test]
fn every_part_of_an_array_is_read() {
    let text = "Personalities : [raid6]\nmd5 : active (auto-read-only) raid6 sdc1[2] sdb1[1](W) nvme0n1p3[0](R) sdd1[4](F) sde1[5](S) sdf1[6](J)\n\
                \x20     2000 blocks super 1.2 level 6, 64k chunk, algorithm 2 [4/3] [UU_U]\n\
                \x20     [==>....]  recovery = 12.6% (126/1000) finish=1.5min speed=2048K/sec\n\
                \x20     bitmap: 0/30 pages [0KB], 65536KB chunk\n\nunused devices: <none>\n";
    let mdstat = parse(text).unwrap();
    let array = &mdstat.arrays[0];
    assert_eq!((array.state, array.access.as_deref(), array.level.as_deref()), (State::Active, Some("auto-read-only"), Some("raid6")));
    assert_eq!((array.size_bytes, array.metadata.as_deref()), (Some(2_048_000), Some("1.2")));
    assert_eq!((array.slots, array.slots_up, array.map.as_deref(), array.bitmap), (Some(4), Some(3), Some("UU_U"), true));
    let flags: Vec<_> = array.members.iter().map(|m| (m.device.as_str(), m.failed, m.spare, m.write_mostly, m.replacement, m.journal)).collect();
    assert_eq!(flags[0], ("sdc1", false, false, false, false, false));
    assert_eq!(flags[1], ("sdb1", false, false, true, false, false));
    assert_eq!(flags[2], ("nvme0n1p3", false, false, false, true, false));
    assert_eq!(flags[3], ("sdd1", true, false, false, false, false));
    assert_eq!(flags[4], ("sde1", false, true, false, false, false));
    assert_eq!(flags[5], ("sdf1", false, false, false, false, true));
    let progress = array.progress.as_ref().unwrap();
    assert_eq!((progress.operation.as_str(), progress.done_milli_percent), ("recovery", Some(12_600)));
    assert_eq!((progress.finish_seconds, progress.speed_bytes_per_second), (Some(90), Some(2_097_152)));
    let reason = outcome(text, None).unwrap().reason;
    assert!(reason.contains("md5: sdd1 has failed") && reason.contains("3 of 4 members, recovering 12.6 %"), "{reason}");
}

#[test]
fn arrays_with_all_members_are_fine_whatever_is_done_to_them() {
    for body in [
        "",
        "md0 : active raid1 sdb1[1] sda1[0]\n      1000 blocks [2/2] [UU]\n      ",
        "md0 : active raid1 sdb1[1] sda1[0]\n      1000 blocks super 1.2 [2/2] [UU]\n      [>...]  check =  0.1% (1/1000) finish=9.9min speed=1K/sec\n",
        "md0 : active raid1 sdb1[1] sda1[0]\n      1000 blocks super 1.2 [2/2] [UU]\n      [>...]  resync =100.0% (1000/1000) finish=0.0min speed=1K/sec\n",
        "md0 : active raid5 sdb1[1] sda1[0]\n      1000 blocks level 5, 4k chunk, algorithm 2 [2/2] [UU]\n      \tresync=DELAYED\n",
        "md0 : active raid10 sdb1[1] sda1[0]\n      1000 blocks super 1.2 2 near-copies [2/2] [UU]\n      \tresync=PENDING\n",
        "md0 : active raid1 sdc[2](R) sdb1[1] sda1[0]\n      1000 blocks super 1.2 [2/2] [UU]\n      [=>..]  recovery = 9.0% (9/100) finish=1min speed=1K/sec\n",
        "md0 : active raid0 md2[1] md1[0]\n      1000 blocks super 1.2 512k chunks\n",
        "md0 : active linear sdb1[1] sda1[0]\n      1000 blocks super 1.2 0k rounding\n",
        "md0 : active (read-only) raid0 sdb1[1]\n      1000 blocks super 1.2 512k chunks\n",
        "md126 : active raid1 sda[1] sdb[0]\n      1000 blocks super external:/md127/0 [2/2] [UU]\n\n\
                md127 : inactive sda[1](S) sdb[0](S)\n      62 blocks super external:imsm\n",
    ] {
        let outcome = judged(body);
        assert_eq!((outcome.status, outcome.faults.len()), (Status::Ok, 0), "{body} {outcome:?}");
    }
    assert_eq!(outcome("unused devices: <none>\n", None).unwrap().status, Status::Ok);
    assert_eq!(outcome("Personalities : \nunused devices: <none>\n", None).unwrap().reason, "no arrays");
}

#[test]
fn what_lacks_a_member_is_bad_and_says_so() {
    for (body, reason) in [
        ("md0 : active raid1 sda1[0]\n      1000 blocks [2/1] [U_]\n", "md0 is degraded: 1 of 2 members"),
        ("md0 : active raid1 sda1[0] sdb1[1](F)\n      1000 blocks [2/2] [UU]\n", "md0: sdb1 has failed"),
        ("md0 : inactive sda1[0](S)\n      1000 blocks super 1.2\n", "md0 is inactive"),
        ("md0 : inactive sda1[0](S)\n      1000 blocks super external:/md127/0\n", "md0 is inactive"),
        ("md0 : inactive sda1[0](S)\n      1000 blocks super external:-md127/0\n", "md0 is inactive"),
        ("md_d0 : broken raid0 sda1[0]\n      1000 blocks super 1.2 512k chunks\n", "md_d0 is broken"),
        ("md0 : active raid5 a[0] b[1]\n      9 blocks level 5 [3/2] [UU_]\n      resync=DELAYED\n", "md0 is degraded: 2 of 3 members, resync delayed"),
        (
            "md0 : active raid5 a[0] b[1]\n      9 blocks level 5 [3/2] [UU_]\n      [=>.]  reshape = 56.1% (5/9) finish=1868.1min speed=7640K/sec\n",
            "md0 is degraded: 2 of 3 members, reshape 56.1 %",
        ),
    ] {
        let outcome = judged(body);
        assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Bad, reason), "{body}");
    }
}

#[test]
fn a_file_cut_short_is_not_fine() {
    let outcome = outcome("Personalities : [raid1]\nmd0 : active raid1 sda1[0]\n", None).unwrap();
    assert_eq!(outcome.status, Status::Unknown);
    assert_eq!(outcome.records[0]["slots"], serde_json::Value::Null);
}

#[test]
fn a_broken_line_costs_itself() {
    let outcome = judged(
        "md0 : active raid1 sda1[0] sdb1[\n      1000 blocks [2/1] [U_]\nmd1 ; what\n      9 blocks [2/2] [UU]\n\nmd2 : active raid0 a[0]\n      8 blocks 4k chunks",
    );
    let faults: Vec<_> = outcome.faults.iter().map(|fault| (fault.code, fault.detail.split(':').next().unwrap())).collect();
    assert_eq!(faults, [("malformed", "line 2"), ("malformed", "line 4"), ("malformed", "line 5")]);
    assert_eq!((outcome.status, outcome.records.len(), outcome.records[0]["map"].as_str()), (Status::Bad, 2, Some("U_")));
}

#[test]
fn anything_else_is_refused_and_a_complaint_is_told() {
    assert_eq!(parse(" \n\n"), Err(Unreadable::Empty));
    for foreign in ["MemTotal: 1 kB\n", "\u{0}\u{0}md", "{\"a\": 1}", "md : x\n", "   12 blocks\n"] {
        assert!(matches!(outcome(foreign, None), Err(Unreadable::Foreign { line: 1, .. })), "{foreign:?}");
    }
    let absent = outcome("cat: /proc/mdstat: No such file or directory\n", None).unwrap();
    assert_eq!((absent.status, absent.faults[0].code), (Status::Unknown, "not_found"));
}

#[test]
fn more_than_a_machine_has_is_bounded_and_not_fine() {
    let many: String = (0..2000).map(|n| format!("md{n} : active raid0 a[0]\n      8 blocks 4k chunks\n")).collect();
    let outcome = judged(&many);
    assert_eq!((outcome.records.len(), outcome.status, outcome.faults[0].code), (crate::RECORDS_MAX, Status::Unknown, "too_many"));
    let twice = judged(&"md0 : active raid1 a[0]\n      8 blocks [2/2] [UU]\n".repeat(2));
    assert_eq!((twice.status, twice.faults[0].code), (Status::Unknown, "too_many"));
}

proptest! {
    #[test]
    fn any_text_is_taken(lines in prop::collection::vec(
        "(md[0-9]{1,3} : (in)?active( \\(read-only\\))?( raid[0-9]+)?( [a-z0-9\\[\\]()FSWRJ]{0,9}){0,4}| {0,6}[0-9]{1,20} blocks( super [a-z0-9.:/]*)?( \\[[0-9/]{0,25}\\]| \\[[U_]{0,5}\\]){0,3}| +\\[.*\\] +[a-z]* = *[0-9.]*%.*|\t(resync|x)=[A-Z]*|.*)",
        0..8,
    )) {
        if let Ok(outcome) = outcome(&lines.join("\n"), None) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            prop_assert!(outcome.status != Status::Bad || !outcome.reason.is_empty());
        }
    }
}
