use super::*;
use crate::Status;

type Change = Box<dyn Fn(&mut Drive)>;

fn drive(change: impl FnOnce(&mut Drive)) -> (Status, String) {
    let mut drive = Drive { protocol: Protocol::Ata, health_passed: Some(true), rotation_rpm: Some(7200), ssd: Some(false), ..Drive::default() };
    change(&mut drive);
    drive.finish();
    drive.verdict()
}

fn row(id: i64, name: &str, raw_text: &str) -> Attribute {
    Attribute { id, name: name.to_owned(), raw: raw_text.parse().ok(), raw_text: raw_text.to_owned(), ..Attribute::default() }
}

fn failed(when: WhenFailed, prefailure: bool) -> Attribute {
    Attribute { when_failed: Some(when), prefailure: Some(prefailure), ..row(5, "Reallocated_Sector_Ct", "9") }
}

#[test]
fn a_drive_is_bad_by_what_is_wrong_now() {
    let test = |passed| SelfTest { passed, status: "Completed: read failure".to_owned(), ..SelfTest::default() };
    let cases: [(&str, Change); 12] = [
        ("own verdict", Box::new(|d| d.health_passed = Some(false))),
        ("own verdict", Box::new(|d| d.exit_bits = Some(8))),
        ("failing now: Reallocated_Sector_Ct", Box::new(|d| d.attributes.push(failed(WhenFailed::Now, true)))),
        ("pre-failure attribute is failing now", Box::new(|d| d.exit_bits = Some(16))),
        ("spare below threshold", Box::new(|d| d.critical_warning = Some(1))),
        ("media is read-only", Box::new(|d| d.critical_warning = Some(8))),
        ("of an unknown kind", Box::new(|d| d.critical_warning = Some(0x80))),
        ("spare 4 % is below its threshold 5 %", Box::new(|d| (d.available_spare, d.available_spare_threshold) = (Some(4), Some(5)))),
        ("3 sectors cannot be read now", Box::new(|d| d.attributes.push(row(197, "Current_Pending_Sector", "3")))),
        ("3 sectors cannot be read now", Box::new(|d| d.pending = Some(3))),
        ("last self-test failed", Box::new(move |d| d.self_tests.push(test(Some(false))))),
        ("last self-test failed", Box::new(|d| d.self_tests.extend([SelfTest::default(), SelfTest { passed: Some(false), ..SelfTest::default() }]))),
    ];
    for (words, change) in cases {
        let (status, reason) = drive(|d| change(d));
        assert_eq!(status, Status::Bad, "{words}");
        assert!(reason.contains(words), "{words}: {reason}");
    }
}

#[test]
fn what_was_once_is_told_and_is_not_bad() {
    let passed = SelfTest { passed: Some(true), ..SelfTest::default() };
    let broken = SelfTest { passed: Some(false), ..SelfTest::default() };
    let cases: [(&str, Change); 13] = [
        ("failed in the past (pre-failure): Reallocated_Sector_Ct", Box::new(|d| d.attributes.push(failed(WhenFailed::Past, true)))),
        ("failed in the past: Reallocated_Sector_Ct", Box::new(|d| d.attributes.push(failed(WhenFailed::Past, false)))),
        ("at its limit by age or use", Box::new(|d| d.attributes.push(failed(WhenFailed::Now, false)))),
        ("an attribute failed in the past", Box::new(|d| d.exit_bits = Some(32))),
        ("reallocated 9", Box::new(|d| d.attributes.push(row(5, "Reallocated_Sector_Ct", "9")))),
        ("uncorrectable 9", Box::new(|d| d.attributes.push(row(198, "Offline_Uncorrectable", "9")))),
        ("12 errors logged", Box::new(|d| d.error_log_count = Some(12))),
        ("self-tests have failed", Box::new(|d| d.exit_bits = Some(128))),
        ("self-tests have failed", Box::new(move |d| d.self_tests.extend([passed.clone(), broken.clone()]))),
        ("media errors 7", Box::new(|d| (d.protocol, d.media_errors) = (Protocol::Nvme, Some(7)))),
        ("grown defects 2", Box::new(|d| (d.protocol, d.grown_defects) = (Protocol::Scsi, Some(2)))),
        ("104 % of its endurance is used", Box::new(|d| d.percentage_used = Some(104))),
        ("pending 1", Box::new(|d| (d.ssd, d.attributes) = (Some(true), vec![row(197, "Current_Pending_ECC_Cnt", "1")]))),
    ];
    for (words, change) in cases {
        let (status, reason) = drive(|d| change(d));
        assert_eq!(status, Status::Ok, "{words}: {reason}");
        assert!(reason.contains(words), "{words}: {reason}");
    }
}

#[test]
fn without_a_verdict_nothing_is_known() {
    for (words, change) in [
        ("no verdict", (|d| d.health_passed = None) as fn(&mut Drive)),
        ("no health reporting", |d| (d.health_passed, d.smart_available) = (None, Some(false))),
        ("switched off", |d| (d.health_passed, d.smart_enabled) = (None, Some(false))),
        ("sleeps", |d| (d.health_passed, d.standby) = (None, true)),
    ] {
        let (status, reason) = drive(change);
        assert_eq!(status, Status::Unknown, "{words}");
        assert!(reason.contains(words), "{words}: {reason}");
    }
    // The log of an NVMe drive holds its verdict.
    assert_eq!(drive(|d| (d.protocol, d.health_passed, d.critical_warning) = (Protocol::Nvme, None, Some(0))).0, Status::Ok);
}

#[test]
fn packed_raw_values_are_read_for_what_they_are() {
    // Seagate: 4 commands above 7.5 s, 4 above 5 s, 4 timeouts; 0 errors in 83905456 reads; 2 errors in 10 seeks.
    let seagate = [("188", "17180131332", 4), ("188", "65538", 2), ("188", "1 2 3", 3), ("1", "83905456", 0), ("7", "8589934602", 2)];
    for (id, raw, count) in seagate {
        let mut attribute = row(id.parse().unwrap(), "Command_Timeout", raw);
        attribute.raw = raw.parse().ok();
        assert_eq!(attribute.counted(true), Some(count), "{id} {raw}");
    }
    assert_eq!(row(1, "Raw_Read_Error_Rate", "83905456").counted(false), None);
    assert_eq!(row(188, "Command_Timeout", "70000").counted(false), Some(70_000));
    assert_eq!(row(188, "Command_Timeout", "4295032833").counted(false), Some(1));
    // Several numbers: the first one counts. Another thing under the same number does not.
    assert_eq!(row(5, "Reallocated_Sector_Ct", "21 (0 7)").counted(false), Some(21));
    assert_eq!(row(198, "Read_Sectors_Tot_Ct", "21").counted(false), None);
    assert_eq!(row(197, "Unknown_Attribute", "21").counted(false), Some(21));
    assert_eq!(row(197, "Current_Pending_Sector", "281474976710655").counted(false), None);
    assert!(Drive { model: Some("ST4000NM0035".to_owned()), ..Drive::default() }.seagate());
    assert!(!Drive { model: Some("STARK".to_owned()), ..Drive::default() }.seagate());
}

#[test]
fn the_age_of_a_self_test_knows_sixteen_bits() {
    assert_eq!(age(Protocol::Ata, Some(65_592), Some(42)), Some(14));
    assert_eq!(age(Protocol::Scsi, Some(100), Some(90)), Some(10));
    assert_eq!(age(Protocol::Nvme, Some(70_000), Some(10)), Some(69_990));
    assert_eq!((age(Protocol::Nvme, Some(1), Some(2)), age(Protocol::Ata, None, Some(2)), age(Protocol::Ata, Some(1), Some(70_000))), (None, None, None));
}

#[test]
fn bytes_are_taken_where_the_name_tells_the_unit() {
    let mut drive = Drive { attributes: vec![row(241, "Host_Writes_32MiB", "2"), row(242, "Lifetime_Reads_GiB", "3")], ..Drive::default() };
    hosts_writes(&mut drive);
    assert_eq!((drive.written_bytes, drive.read_bytes), (Some(64 << 20), Some(3 << 30)));
    let mut drive = Drive { attributes: vec![row(241, "Total_LBAs_Written", "2"), row(249, "NAND_Writes_1GiB", "2")], ..Drive::default() };
    hosts_writes(&mut drive);
    assert_eq!(drive.written_bytes, None);
}

#[test]
fn a_serial_number_is_never_printed() {
    let mut drive = Drive { serial: Some("SER12345".to_owned()), device: Some("/dev/disk/by-id/ata-M_SER12345".to_owned()), ..Drive::default() };
    drive.finish();
    let outcome = Report { drive, ..Report::default() }.outcome();
    assert!(!serde_json::to_string(&outcome).unwrap().contains("SER12345"));
}
