use super::*;
use crate::Status;
use proptest::prelude::*;

/// An array of three, with the given state and counts of active, failed and spare devices.
fn detail(state: &str, [active, failed, spare]: [u8; 3], rest: &str) -> String {
    format!(
        "/dev/md7:\n           Version : 1.2\n        Raid Level : raid5\n        Array Size : 2048 (2.00 MiB 2.10 MB)\n      Raid Devices : 3\n     Total Devices : 3\n\n\
         \x20      Update Time : Mon Mar  2 01:02:03 2026\n             State : {state} \n    Active Devices : {active}\n\
                \x20  Working Devices : 3\n    Failed Devices : {failed}\n     Spare Devices : {spare}\n\n\
         {rest}\n              Name : anyhost:7  (local to host anyhost)\n\n    Number   Major   Minor   RaidDevice State\n\
                \x20      0       8        1        0      active sync   /dev/sda1\n"
    )
}

/// A superblock of version 1.2.
fn examine(lines: &str) -> String {
    format!(
        "/dev/sdb1:\n          Magic : a92b4efc\n        Version : 1.2\n     Raid Level : raid1\n   Raid Devices : 2\n\
                \x20    Array Size : 1024 KiB (1.00 MiB 1.05 MB)\n          State : clean\n{lines}\n"
    )
}

const ROLES: &str = "   Device Role : Active device 1\n   Array State : AA ('A' == active, '.' == missing, 'R' == replacing)";

fn judged(input: &str) -> (Status, String) {
    let outcome = outcome(input, None).unwrap();
    (outcome.status, outcome.reason)
}

#[test]
fn a_detail_is_read() {
    let text = detail("clean, degraded, recovering", [2, 1, 1], "    Rebuild Status : 24% complete")
        + "       3       8       33        1      writemostly spare rebuilding   /dev/sdc1\n\
                \x20      -       0        0        2      removed\n\n\
                \x20      1       8       17        -      faulty   /dev/sdb1\n";
    let mdadm = parse(&text).unwrap();
    let report = &mdadm.reports[0];
    assert_eq!((report.about, report.device.as_str(), report.level.as_deref()), (About::Array, "/dev/md7", Some("raid5")));
    assert_eq!((report.size_bytes, report.raid_devices, report.active_devices), (Some(2_097_152), Some(3), Some(2)));
    assert_eq!(report.progress, Some(Progress { operation: "rebuild".to_owned(), done_percent: Some(24) }));
    let rows: Vec<_> = report.members.iter().map(|m| (m.slot, m.state.as_str(), m.device.as_deref())).collect();
    assert_eq!(rows[1], (Some(1), "writemostly spare rebuilding", Some("/dev/sdc1")));
    assert_eq!(rows[2], (Some(2), "removed", None));
    assert_eq!(rows[3], (None, "faulty", Some("/dev/sdb1")));
    let (status, reason) = judged(&text);
    assert_eq!(status, Status::Bad);
    assert_eq!(reason, "/dev/md7: /dev/sdb1 is faulty; /dev/md7 is degraded: 2 of 3 members, recovering 24 %");
    let json = serde_json::to_string(&outcome(&text, None).unwrap()).unwrap();
    assert!(!json.contains("anyhost"), "{json}");
}

#[test]
fn states_of_an_array() {
    for state in ["clean", "active", "active, checking", "clean, resyncing", "active, resyncing (PENDING)", "clean, reshaping", "clean, recovering"] {
        assert_eq!(judged(&detail(state, [3, 0, 0], "")).0, Status::Ok, "{state}");
    }
    for (state, counts, reason) in [
        ("clean, degraded", [2, 0, 0], "/dev/md7 is degraded: 2 of 3 members"),
        ("active, FAILED", [3, 0, 0], "/dev/md7 has failed"),
        ("active, FAILED, Not Started", [3, 0, 0], "/dev/md7 has failed; /dev/md7 is not started"),
        ("inactive", [3, 0, 0], "/dev/md7 is inactive"),
        ("broken", [3, 0, 0], "/dev/md7 is broken"),
        ("clean", [2, 0, 0], "/dev/md7 is degraded: 2 of 3 members"),
        ("clean", [3, 1, 0], "/dev/md7: 1 failed devices"),
    ] {
        assert_eq!(judged(&detail(state, counts, "")), (Status::Bad, reason.to_owned()), "{state}");
    }
    assert_eq!(judged("/dev/md7:\n           Version : 1.2\n        Raid Level : raid1\n").0, Status::Unknown);
}

#[test]
fn a_stopped_array_and_a_container() {
    let table = "\n    Number   Major   Minor   RaidDevice\n\n       -       8       17        -        /dev/sdb1\n";
    let stopped = format!(
        "/dev/md127:\n           Version : 1.2\n        Raid Level : raid0\n     Total Devices : 1\n\n             State : inactive\n   Working Devices : 1\n{table}"
    );
    assert_eq!(judged(&stopped), (Status::Bad, "/dev/md127 is inactive".to_owned()));
    let container = format!(
        "/dev/md127:\n           Version : imsm\n        Raid Level : container\n     Total Devices : 2\n\n\
                \x20            State : inactive\n   Working Devices : 2\n     Member Arrays :\n{table}"
    );
    let report = parse(&container).unwrap().reports.remove(0);
    assert_eq!((report.members[0].device.as_deref(), report.members[0].state.as_str()), (Some("/dev/sdb1"), ""));
    assert_eq!(judged(&container).0, Status::Ok);
}

#[test]
fn several_arrays_in_one_text_are_judged_each() {
    let text = detail("clean", [3, 0, 0], "")
        + "mdadm: cannot open /dev/md9: No such file or directory\n"
        + &detail("clean, degraded", [2, 0, 0], "").replace("md7", "md8");
    let outcome = outcome(&text, None).unwrap();
    assert_eq!((outcome.status, outcome.records.len(), outcome.faults[0].code), (Status::Bad, 2, "not_found"));
    assert!(outcome.reason.starts_with("/dev/md8"), "{}", outcome.reason);
}

#[test]
fn superblocks_of_version_1() {
    assert_eq!(judged(&examine(ROLES)), (Status::Ok, "1 looked at, nothing wrong".to_owned()));
    assert_eq!(judged(&examine(&ROLES.replace(": AA", ": AR"))).0, Status::Ok);
    assert_eq!(judged(&examine("    Array Slot : 1 (0, 1)\n   Array State : uU 1 failed")).0, Status::Ok);
    assert_eq!(judged(&examine("")).0, Status::Unknown);
    for (lines, reason) in [
        (ROLES.replace(": AA", ": A."), "/dev/sdb1: its array is degraded: A."),
        ("   Array State : _U 1 failed".to_owned(), "/dev/sdb1: its array is degraded: _U"),
        (format!("{ROLES}\nRecovery Offset : 64 sectors"), "/dev/sdb1 is recovering: not in step yet"),
        (format!("{ROLES}\n       Checksum : 1 - expected 2"), "/dev/sdb1: the superblock's checksum is wrong"),
        (format!("{ROLES}\n  Bad Block Log : 512 entries available at offset 16 sectors - bad blocks present."), "/dev/sdb1: bad blocks are listed"),
    ] {
        assert_eq!(judged(&examine(&lines)), (Status::Bad, reason.to_owned()));
    }
    let filling = format!("{}\nRecovery Offset : 64 sectors", ROLES.replace("Active", "Replacement").replace(": AA", ": AR"));
    assert_eq!(judged(&examine(&filling)).0, Status::Ok);
}

#[test]
fn old_superblocks_count_in_sectors_and_say_so_in_brackets() {
    let size = |line: &str| parse(&examine(line)).unwrap().reports[0].size_bytes;
    assert_eq!(size("     Array Size : 3906765824 (1862.89 GiB 2000.26 GB)"), Some(3_906_765_824 * 512));
    assert_eq!(size("     Array Size : 101376 (99.00 MiB 103.81 MB)"), Some(101_376 * 1024));
    assert_eq!(size("     Array Size : 9223372036854775807 (1 GiB"), None);
}

#[test]
fn a_superblock_of_version_0_90() {
    let block = |active: u8, failed: u8, row: &str| {
        format!(
            "/dev/sda1:\n          Magic : a92b4efc\n        Version : 0.90.00\n     Raid Level : raid1\n\
                \x20  Raid Devices : 2\n  Total Devices : 2\n\n          State : clean\n Active Devices : {active}\n\
                \x20Failed Devices : {failed}\n       Checksum : 1 - correct\n\n\
             \x20     Number   Major   Minor   RaidDevice State\n\
                this     0       8        1        0      active sync   /dev/sda1\n\n\
                \x20  0     0       8        1        0      active sync   /dev/sda1\n   1     1       {row}\n"
        )
    };
    let fine = block(2, 0, "8       17        1      active sync   /dev/sdb1");
    let report = parse(&fine).unwrap().reports.remove(0);
    assert_eq!(report.members.iter().map(|m| m.slot).collect::<Vec<_>>(), [Some(0), Some(1)]);
    assert_eq!(judged(&fine).0, Status::Ok);
    assert_eq!(judged(&block(1, 1, "0        0        1      faulty removed")).1, "/dev/sda1 is degraded: 1 of 2 members");
}

#[test]
fn containers_of_firmware_raid() {
    let imsm = |map: &str, slots: &str, disk: &str| {
        format!(
            "/dev/sda:\n          Magic : Intel Raid ISM Cfg Sig.\n        Version : 1.3.00\n       Checksum : 0 correct\n\
                \x20         Disks : 2\n   RAID Devices : 1\n\n  Disk00 Serial : SECRET0\n          State : active\n\
                \x20            Id : 00000000\n\n[Vol0]:\n           UUID : 0\n     RAID Level : 1\n        Members : 2\n\
                \x20         Slots : {slots}\n    Failed disk : none\n  Migrate State : rebuild\n      Map State : {map}\n\
                \x20   Dirty State : clean\n\n  Disk01 Serial : SECRET1\n          State : {disk}\n"
        )
    };
    let fine = imsm("normal", "[UU]", "active");
    let report = parse(&fine).unwrap().reports.remove(0);
    assert_eq!((report.metadata.as_deref(), report.volumes.len(), report.members.len()), (Some("imsm"), 1, 2));
    assert_eq!(judged(&fine).0, Status::Ok);
    assert!(!serde_json::to_string(&outcome(&fine, None).unwrap()).unwrap().contains("SECRET"));
    assert_eq!(judged(&imsm("normal <-- degraded", "[UU]", "active")).1, "/dev/sda: volume 0 is normal <-- degraded, rebuild");
    assert_eq!(judged(&imsm("normal", "[U_]", "active")).1, "/dev/sda: volume 0 lacks members: [U_]");
    assert_eq!(judged(&imsm("normal", "[UU]", "active failed")).1, "/dev/sda: slot 1 is active failed");
    let first = fine.replacen("State : active\n             Id", "State : failed\n             Id", 1);
    assert_eq!(judged(&first).1, "/dev/sda: slot 0 is failed");
    let ddf = |state: &str, disk: &str| {
        format!(
            "/dev/vda:\n          Magic : de11de11\n        Version : 01.02.00\nController GUID : 4C\n\
                \x20                 (Linux-MD       x)\n  Virtual Disks : 1\n\n      VD GUID[0] : 4C\n\
                \x20        unit[0] : 1\n        state[0] : {state}\n   init state[0] : Fully Initialised\n\n\
                \x20Physical Disks : 2\n      Number    RefNo      Size       Device      Type/State\n\
                \x20        0    33552859    786432K /dev/vda        active/Online\n\
                \x20        1    1a6ba673    913408K                 {disk}\n"
        )
    };
    assert_eq!(judged(&ddf("Optimal, Consistent", "active/Online")).0, Status::Ok);
    assert_eq!(judged(&ddf("Degraded, Consistent", "active/Online")).1, "/dev/vda: volume 0 is Degraded, Consistent");
    assert_eq!(judged(&ddf("Optimal, Consistent", "active/Online, Failed")).1, "/dev/vda: slot 1 is active/Online, Failed");
}

#[test]
fn lines_of_a_scan_say_no_state_but_a_stopped_array() {
    assert_eq!(judged("ARRAY /dev/md0 level=raid1 metadata=1.2 num-devices=2 UUID=1:2\n   devices=/dev/sda1,/dev/sdb1\n").0, Status::Unknown);
    assert_eq!(judged("INACTIVE-ARRAY /dev/md127 metadata=1.2 UUID=1:2\n"), (Status::Bad, "/dev/md127 is inactive".to_owned()));
}

#[test]
fn what_the_tool_cannot_do_is_told() {
    for (line, code) in [
        ("mdadm: cannot open /dev/md0: No such file or directory", "not_found"),
        ("mdadm: cannot open /dev/sda: Permission denied", "permission_denied"),
        ("mdadm: must be super-user to perform this action", "permission_denied"),
        ("mdadm: /dev/sda1 does not appear to be an md device", "unsupported"),
        ("mdadm: No md superblock detected on /dev/sda1.", "not_found"),
        ("mdadm: md device /dev/md0 does not appear to be active.", "not_running"),
        ("mdadm: cannot open /dev/sdb: Device or resource busy", "busy"),
        ("mdadm: cannot get array info for /dev/md0", "io_error"),
        ("bash: mdadm: command not found", "not_found"),
    ] {
        let outcome = outcome(line, None).unwrap();
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{line}");
        assert!(!outcome.reason.is_empty());
    }
    assert_eq!(judged("/dev/sda:\n   MBR Magic : aa55\nPartition[0] :     204800 sectors at         2048 (type 83)\n").0, Status::Unknown);
}

#[test]
fn anything_else_is_refused_and_a_broken_line_costs_itself() {
    assert_eq!(parse("\n"), Err(Unreadable::Empty));
    for foreign in ["Personalities : [raid1]\n", "notes:\n  a : b\n", "{}", "\u{0}\n"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { line: 1, .. })), "{foreign:?}");
    }
    let outcome = outcome(&(detail("clean", [3, 0, 0], "what is this") + "   1 x\n"), None).unwrap();
    assert_eq!((outcome.status, outcome.faults.len(), outcome.faults[1].code), (Status::Ok, 2, "malformed"));
    assert!(outcome.faults[0].detail.starts_with("line 15:"), "{:?}", outcome.faults);
}

proptest! {
    #[test]
    fn any_text_is_taken(lines in prop::collection::vec(
        "(/dev/md[0-9]:|\\[.{0,4}\\]:|mdadm: .*|(INACTIVE-)?ARRAY .*| *(Magic|Version|State|Raid Devices|Active Devices|Array Size|Rebuild Status|VD GUID\\[0\\]|state\\[0\\]|Map State|Slots|Checksum|Disk00 Serial) : [0-9A-Za-z%(. ,\\[\\]]{0,22}|    Number   Major   Minor   RaidDevice State|this( +[0-9-]{1,20}){0,6} .*|( +[0-9-]{1,20}){0,6} [a-z /]*|.*)",
        0..14,
    )) {
        if let Ok(outcome) = outcome(&lines.join("\n"), None) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            prop_assert!(outcome.status == Status::Ok || !outcome.reason.is_empty());
        }
    }
}
