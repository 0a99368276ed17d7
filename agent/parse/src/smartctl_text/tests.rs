use super::*;
use crate::Status;
use proptest::prelude::*;
use serde_json::{Value, json};

const HEAD: &str =
    "smartctl 6.5 2016-05-07 r4318 [x86_64-linux] (local build)\nCopyright (C) 2002-16, Bruce Allen, Christian Franke, www.smartmontools.org\n\n";

const ATA: &str = "=== START OF INFORMATION SECTION ===
Model Family:     Maker Drives
Device Model:     MAKER 1000
Serial Number:    SER12345
Firmware Version: F1
User Capacity:    1’000’204’886’016 bytes [1.00 TB]
Sector Sizes:     512 bytes logical, 4096 bytes physical
Rotation Rate:    7200 rpm
ATA Version is:   ATA8-ACS
Local Time is:    Tue Dec  3 16:03:52 2019 JST
SMART support is: Available - device has SMART capability.
SMART support is: Enabled

=== START OF READ SMART DATA SECTION ===
SMART overall-health self-assessment test result: PASSED

SMART Attributes Data Structure revision number: 16
Vendor Specific SMART Attributes with Thresholds:
ID# ATTRIBUTE_NAME          FLAG     VALUE WORST THRESH TYPE      UPDATED  WHEN_FAILED RAW_VALUE
  3 Spin_Up_Time            0x0027   136   134   021    Pre-fail  Always       -       4166
  5 Reallocated_Sector_Ct   0x0033   200   200   140    Pre-fail  Always       -       2
  9 Power_On_Hours          0x0032   077   077   000    Old_age   Always       -       1200h+30m+12.100s
 12 Power_Cycle_Count       0x0032   100   100   000    Old_age   Always       -       7
190 Airflow_Temperature_Cel 0x0022   051   039   045    Old_age   Always   In_the_past 49 (Min/Max 38/50)
194 Temperature_Celsius     0x0022   049   061   ---    Old_age   Always       -       31 (0 17 0 0 0)
197 Current_Pending_Sector  0x0032   200   200   000    Old_age   Always       -       0
198 Offline_Uncorrectable   0x0030   ---   200   000    Old_age   Offline      -       0

SMART Error Log Version: 1
ATA Error Count: 3

SMART Self-test log structure revision number 1
Num  Test_Description    Status                  Remaining  LifeTime(hours)  LBA_of_first_error
# 1  Short offline       Aborted by host               10%      1195         -
# 2  Extended offline    Completed without error       00%      1190         -
#10  Extended offline    Completed: read failure       90%         9         104870168
Selective self-test flags (0x0):

Device Statistics (GP Log 0x04)
Page  Offset Size        Value Flags Description
0x01  0x018  6            1000  ---  Logical Sectors Written
0x01  0x028  6               -  ---  Logical Sectors Read
0x07  0x008  1               6  N--  Percentage Used Endurance Indicator
";

fn of(text: &str) -> Outcome {
    outcome(&format!("{HEAD}{text}"), None).unwrap()
}

fn agrees(record: &Value, expected: &[(&str, Value)]) {
    for (key, value) in expected {
        assert_eq!(&record[key], value, "{key}");
    }
}

#[test]
fn an_ata_drive_is_read_whole() {
    let outcome = of(ATA);
    assert_eq!(outcome.status, Status::Ok, "{}", outcome.reason);
    assert_eq!(outcome.observed_at, mimamori_shared::time::parse("2019-12-03T07:03:52Z").ok());
    let record = &outcome.records[0];
    agrees(
        record,
        &[
            ("protocol", json!("ata")),
            ("model", json!("MAKER 1000")),
            ("family", json!("Maker Drives")),
            ("firmware", json!("F1")),
            ("capacity_bytes", json!(1_000_204_886_016_i64)),
            ("rotation_rpm", json!(7200)),
            ("ssd", json!(false)),
            ("smart_available", json!(true)),
            ("smart_enabled", json!(true)),
            ("health_passed", json!(true)),
            ("temperature_celsius", json!(31)),
            ("power_on_hours", json!(1200)),
            ("power_cycles", json!(7)),
            ("reallocated", json!(2)),
            ("pending", json!(0)),
            ("uncorrectable", json!(0)),
            ("crc_errors", json!(null)),
            ("percentage_used", json!(6)),
            ("written_bytes", json!(512_000)),
            ("read_bytes", json!(null)),
            ("error_log_count", json!(3)),
            ("failing_now", json!([])),
            ("failed_past", json!(["Airflow_Temperature_Cel"])),
            ("exit_bits", json!(null)),
        ],
    );
    assert_eq!(record["attributes"][7]["value"], json!(null));
    assert_eq!(record["attributes"][5]["threshold"], json!(null));
    assert_eq!((&record["attributes"][1]["prefailure"], &record["attributes"][2]["prefailure"]), (&json!(true), &json!(false)));
    let tests = &record["self_tests"];
    assert_eq!(tests[0], json!({"kind": "Short offline", "status": "Aborted by host", "passed": null, "at_power_on_hour": 1195, "age_hours": 5}));
    assert_eq!((&tests[1]["passed"], &tests[2]["passed"], &tests[2]["at_power_on_hour"]), (&json!(true), &json!(false), &json!(9)));
    assert!(!serde_json::to_string(&outcome).unwrap().contains("SER12345"));
    assert_eq!(parse(&format!("{HEAD}{ATA}")).unwrap().drive.serial.as_deref(), Some("SER12345"));
}

#[test]
fn every_form_of_a_row_is_read() {
    for (row, id, when, prefailure, raw) in [
        ("5 Reallocated_Sector_Ct 0x0033 009 009 010 Pre-fail Always FAILING_NOW 7461", 5, Some(WhenFailed::Now), true, "7461"),
        ("  5 Reallocated_Sector_Ct   PO--CK   004   004   036    NOW  3956", 5, Some(WhenFailed::Now), true, "3956"),
        ("190 Airflow_Temperature_Cel -O---K   078   040   045    Past 22 (Min/Max 22/22)", 190, Some(WhenFailed::Past), false, "22 (Min/Max 22/22)"),
        ("0xc5 Current_Pending_Sector  -O--C-   0x64  0x64  0x00   -    0", 197, None, false, "0"),
        ("  9 A_Name_Of_Four_And_20_Ch0x0032   077   077   000    Old_age   Always       -       16812", 9, None, false, "16812"),
        ("  1 Raw_Read_Error_Rate     POSR--+  ---   ---   ---    -    2/66714750", 1, None, true, "2/66714750"),
    ] {
        let attribute = rows::attribute(row.trim()).unwrap_or_else(|| panic!("{row}"));
        assert_eq!((attribute.id, attribute.when_failed, attribute.prefailure, attribute.raw_text.as_str()), (id, when, Some(prefailure), raw), "{row}");
    }
    for bad in [
        "",
        "5",
        "5 Name",
        "5 Name 0x0033 1 2",
        "5 Name 0x0033 1 2 3 Pre-fail Always MAYBE 7",
        "300 Name 0x0033 1 2 3 Pre-fail Always - 7",
        "5 Name words 1 2 3 - 7",
    ] {
        assert_eq!(rows::attribute(bad), None, "{bad}");
    }
}

use crate::drive::WhenFailed;

#[test]
fn a_failing_drive_is_bad() {
    let failing = "=== START OF READ SMART DATA SECTION ===
SMART overall-health self-assessment test result: FAILED!
Drive failure expected in less than 24 hours. SAVE ALL DATA.
Failed Attributes:
ID# ATTRIBUTE_NAME          FLAG     VALUE WORST THRESH TYPE      UPDATED  WHEN_FAILED RAW_VALUE
  5 Reallocated_Sector_Ct   0x0033   009   009   010    Pre-fail  Always   FAILING_NOW 7461
";
    let outcome = of(failing);
    assert_eq!((outcome.status, &outcome.records[0]["failing_now"]), (Status::Bad, &json!(["Reallocated_Sector_Ct"])));
    let scsi = "=== START OF READ SMART DATA SECTION ===\nSMART Health Status: DATA CHANNEL IMPENDING FAILURE [asc=5d, ascq=30]\n";
    let outcome = of(scsi);
    assert!(outcome.status == Status::Bad && outcome.reason.contains("IMPENDING"), "{}", outcome.reason);
    assert_eq!(outcome.records[0]["protocol"], json!("scsi"));
}

#[test]
fn a_scsi_drive_is_read_whole() {
    let outcome = of("=== START OF INFORMATION SECTION ===
Vendor:               MAKER
Product:              S1
Revision:             A1
User Capacity:        4 000 787 030 016 bytes [4,00 TB]
Rotation Rate:        Solid State Device
Serial number:        SER12345
Transport protocol:   SAS (SPL-3)
SMART support is:     Available - device has SMART capability.
SMART support is:     Enabled

=== START OF READ SMART DATA SECTION ===
SMART Health Status: OK

SS Media used endurance indicator: 3%
Current Drive Temperature:     28 C
Drive Trip Temperature:        70 C
Accumulated start-stop cycles:  12
Elements in grown defect list: 4

  number of hours powered up = 1668,58

Error counter log:
           fast | delayed   rewrites  corrected  invocations   [10^9 bytes]  errors
read:      56244        0         0     56244          0          1,500           1
write:         0        0         0         0          0          0.250           2
verify:        0        0         0         0          0          0.000           0

Non-medium error count:        5

SMART Self-test log
Num  Test              Status                 segment  LifeTime  LBA_first_err [SK ASC ASQ]
     Description                              number   (hours)
# 1  Background long   Completed                   -    1660                 - [-   -    -]
# 2  Background short  Failed in segment -->       3    1600           1234567 [0x3 0x11 0x0]
# 3  Background short  Self test in progress ...   -     NOW                 - [-   -    -]
");
    assert_eq!(outcome.status, Status::Ok, "{}", outcome.reason);
    let record = &outcome.records[0];
    agrees(
        record,
        &[
            ("protocol", json!("scsi")),
            ("model", json!("MAKER S1")),
            ("firmware", json!("A1")),
            ("capacity_bytes", json!(4_000_787_030_016_i64)),
            ("ssd", json!(true)),
            ("percentage_used", json!(3)),
            ("temperature_celsius", json!(28)),
            ("start_stop_cycles", json!(12)),
            ("grown_defects", json!(4)),
            ("power_on_hours", json!(1668)),
            ("uncorrectable", json!(3)),
            ("read_bytes", json!(1_500_000_000)),
            ("written_bytes", json!(250_000_000)),
            ("non_medium_errors", json!(5)),
        ],
    );
    let tests = record["self_tests"].as_array().unwrap();
    let ends: Vec<(&Value, &Value)> = tests.iter().map(|test| (&test["passed"], &test["at_power_on_hour"])).collect();
    assert_eq!(ends, [(&json!(true), &json!(1660)), (&json!(false), &json!(1600)), (&json!(null), &json!(null))]);
    let old = of(
        "Device: MAKER    S300SS           Version: 0004\nSerial number: X\nDevice type: disk\nDevice supports SMART and is Enabled\nSMART Health Status: OK\n",
    );
    agrees(&old.records[0], &[("model", json!("MAKER S300SS")), ("firmware", json!("0004")), ("smart_enabled", json!(true)), ("health_passed", json!(true))]);
}

#[test]
fn an_nvme_drive_is_read_whole() {
    let nvme = "=== START OF INFORMATION SECTION ===
Model Number:                       MAKER N1
Serial Number:                      SER12345
Firmware Version:                   F1
Total NVM Capacity:                 500,107,862,016 [500 GB]

=== START OF SMART DATA SECTION ===
SMART overall-health self-assessment test result: PASSED

SMART/Health Information (NVMe Log 0x02, NSID 0x1)
Critical Warning:                   0x00
Temperature:                        37 Celsius
Available Spare:                    90%
Available Spare Threshold:          10%
Percentage Used:                    2%
Data Units Read:                    1\u{a0}000 [512 MB]
Data Units Written:                 ~340282366920938463463374607431768211455
Power Cycles:                       11
Power On Hours:                     11'044
Unsafe Shutdowns:                   7
Media and Data Integrity Errors:    71
Error Information Log Entries:      72

Error Information (NVMe Log 0x01, max 64 entries)
No Errors Logged

Self-test Log (NVMe Log 0x06)
Self-test status: No self-test in progress
Num  Test_Description  Status                       Power_on_Hours  Failing_LBA  NSID Seg SCT Code
 0   Short             Completed without error               11000            -     -   -   -    -
 1   Extended          Completed: failed segments            10000      1234567     1   3 0x2 0x81
";
    let outcome = of(nvme);
    assert_eq!(outcome.status, Status::Ok, "{}", outcome.reason);
    agrees(
        &outcome.records[0],
        &[
            ("protocol", json!("nvme")),
            ("model", json!("MAKER N1")),
            ("capacity_bytes", json!(500_107_862_016_i64)),
            ("temperature_celsius", json!(37)),
            ("available_spare", json!(90)),
            ("available_spare_threshold", json!(10)),
            ("percentage_used", json!(2)),
            ("read_bytes", json!(512_000_000)),
            ("written_bytes", json!(i64::MAX)),
            ("power_cycles", json!(11)),
            ("power_on_hours", json!(11_044)),
            ("unsafe_shutdowns", json!(7)),
            ("media_errors", json!(71)),
            ("error_log_count", json!(72)),
            ("critical_warning", json!(0)),
        ],
    );
    let tests = &outcome.records[0]["self_tests"];
    assert_eq!((&tests[0]["passed"], &tests[0]["age_hours"], &tests[1]["passed"]), (&json!(true), &json!(44), &json!(false)));
    let failing = nvme.replace("PASSED", "FAILED!\n- media has been placed in read only mode").replace("0x00", "0x08");
    let outcome = of(&failing);
    assert!(outcome.status == Status::Bad && outcome.reason.contains("read-only"));
}

#[test]
fn hours_and_temperature_are_read_as_smartctl_reads_them() {
    let table = |rows: &str| {
        of(&format!("ID# ATTRIBUTE_NAME          FLAG     VALUE WORST THRESH TYPE      UPDATED  WHEN_FAILED RAW_VALUE\n{rows}\n")).records[0].clone()
    };
    let row = |id: &str, name: &str, raw: &str| table(&format!("{id} {name} 0x0032 100 100 000 Old_age Always - {raw}"));
    for (name, raw, hours) in [
        ("Power_On_Hours", "263 (114 71 0)", json!(263)),
        ("Power_On_Minutes", "100h+05m", json!(100)),
        ("Power_On_Hours", "47244640292", json!(36)),
        ("Power_On_Hours", "281474976710655", json!(null)),
        ("Thing_Nine", "5", json!(null)),
    ] {
        assert_eq!(row("9", name, raw)["power_on_hours"], hours, "{name} {raw}");
    }
    assert_eq!(row("190", "Airflow_Temperature_Cel", "45 (Min/Max 1/2)")["temperature_celsius"], json!(45));
    assert_eq!(row("194", "Temperature_Celsius", "0")["temperature_celsius"], json!(null));
    let both = table("190 Airflow_Temperature_Cel 0x0022 1 1 0 Old_age Always - 45\n194 Temperature_Celsius 0x0022 1 1 0 Old_age Always - 31.5");
    assert_eq!(both["temperature_celsius"], json!(31));
    let status = of("SMART overall-health self-assessment test result: PASSED\nCurrent Temperature:                    24 Celsius\n");
    assert_eq!(status.records[0]["temperature_celsius"], json!(24));
}

#[test]
fn the_tools_own_troubles_are_unknown_and_named() {
    for (text, code) in [
        ("Smartctl open device: /dev/sda failed: Permission denied", "permission_denied"),
        ("Smartctl open device: /dev/sdz failed: No such device", "no_device"),
        ("/dev/sdq: Unable to detect device type\nPlease specify device type with the -d option.", "unsupported"),
        ("/dev/sdd: Unknown USB bridge [0x1234:0x5678 (0x100)]\nPlease specify device type with the -d option.", "unsupported"),
        ("Device is in STANDBY mode, exit(2)", "standby"),
        ("Read Device Identity failed: Input/output error\n\nA mandatory SMART command failed: exiting.", "io_error"),
        ("Smartctl open device: /dev/sda [megaraid_disk_09] failed: INQUIRY failed", "io_error"),
        ("/dev/sda: DELL or MegaRaid controller, please try adding '-d megaraid,N'", "unsupported"),
        ("=======> UNRECOGNIZED OPTION: j", "unsupported"),
        ("SMART support is:     Unavailable - device lacks SMART capability.", "unsupported"),
        ("SMART support is: Available - device has SMART capability.\nSMART support is: Disabled", "not_running"),
        ("SMART Status command failed: scsi error\nSMART overall-health self-assessment test result: UNKNOWN!", "io_error"),
    ] {
        let outcome = of(text);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{text}");
        assert_eq!((outcome.records.len(), &outcome.records[0]["health_passed"]), (1, &json!(null)), "{text}");
    }
    // A message may stand alone, when the heading went elsewhere.
    assert_eq!(outcome("Smartctl open device: /dev/sda failed: Permission denied\n", None).unwrap().faults[0].code, "permission_denied");
    assert_eq!(outcome("/dev/sdq: Unable to detect device type\n", None).unwrap().faults[0].code, "unsupported");
    // A failed command beside a verdict stays a fault.
    let outcome = of(
        "Read SMART Data failed: SAT command failed\n\n=== START OF READ SMART DATA SECTION ===\nSMART overall-health self-assessment test result: PASSED\n",
    );
    assert_eq!((outcome.status, outcome.faults[0].code), (Status::Ok, "io_error"));
    assert_eq!(of("=== START OF INFORMATION SECTION ===\nDevice Model:     X\n").status, Status::Unknown);
}

#[test]
fn one_broken_row_costs_itself() {
    let outcome = of(&ATA.replace("9 Power_On_Hours          0x0032   077", "9 Power_On_Hours          0x0032   x"));
    assert_eq!((outcome.status, outcome.faults[0].code, outcome.records[0]["attributes"].as_array().unwrap().len()), (Status::Ok, "malformed", 7));
    assert!(outcome.faults[0].detail.contains("line 25"), "{}", outcome.faults[0].detail);
    assert_eq!(outcome.records[0]["power_on_hours"], json!(null));
}

#[test]
fn too_many_rows_are_left_out_and_told() {
    let rows = "  5 Name 0x0033 1 1 1 Pre-fail Always - 7\n".repeat(ATTRIBUTES_MAX + 2);
    let outcome = of(&format!("ID# ATTRIBUTE_NAME\n{rows}"));
    assert_eq!((outcome.faults[0].code, outcome.records[0]["attributes"].as_array().unwrap().len()), ("too_many", ATTRIBUTES_MAX));
    let messages: String = (0..RECORDS_MAX + 2).map(|n| format!("Read {n} failed: x\n")).collect();
    assert_eq!(of(&messages).faults.last().unwrap().code, "too_many");
}

#[test]
fn anything_else_is_refused() {
    assert_eq!(parse("\n \r\n"), Err(Unreadable::Empty));
    for foreign in ["some avg10=0.00 total=1\n", "{\"smartctl\": {}}", "\0\0", "smartctl\n", "Temperature: 37 Celsius\n", "/dev/md0:\n Version : 1.2\n"] {
        assert_eq!(parse(&format!("\n{foreign}")), Err(Unreadable::Foreign { line: 2, such_as: SUCH_AS }), "{foreign}");
    }
    for ours in ["smartctl version 5.40 2010-03-16 [x86_64-linux]\n", "smartctl 7.5 2025-04-30 r5714 [x]\n", "smartctl pre-7.5 2024-01-01 [x]\n"] {
        assert!(parse(ours).is_ok(), "{ours}");
    }
}

proptest! {
    #[test]
    fn any_text_is_taken(
        lines in proptest::collection::vec(
            prop_oneof![
                "[ #]?[0-9]{0,25}[ #]+[A-Za-z_]{0,30} ?(0x[0-9a-f]{0,5}|PO--C[K-]?)? ?[0-9x-]{0,9} [0-9-]{0,4} [0-9-]{0,4} \
                    (Pre-fail  Always)? (-|NOW|Past|FAILING_NOW) .{0,20}",
                "(Num  Test|ID#|ATA Error Count:|Critical Warning:|User Capacity:|Temperature:|read:|Power On Hours:|Local Time is:).{0,60}",
                "[0-9 #]{0,9}(Short offline|Background long) +(Completed|Aborted|Failed in)[^\\n]{0,60}",
                "(0x)?0?[1-7] +0x0[0-9a-f]{2} +[1-8] +[0-9-]{0,22}~?.{0,20}",
                ".{0,60}",
            ],
            0..12,
        )
    ) {
        let text = format!("{HEAD}{}", lines.join("\n"));
        let outcome = outcome(&text, None).unwrap();
        prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
        prop_assert_eq!(outcome.records.len(), 1);
    }
}
