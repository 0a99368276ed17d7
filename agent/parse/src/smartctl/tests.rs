use super::*;
use crate::drive::ATTRIBUTES_MAX;
use proptest::prelude::*;
use serde_json::json;

fn read_of(value: &Value) -> Outcome {
    outcome(&value.to_string(), None).unwrap()
}

fn row(id: i64, name: &str, raw: i64, shown: &str) -> Value {
    json!({"id": id, "name": name, "value": 100, "worst": 100, "thresh": 21, "when_failed": "", "flags": {"prefailure": true},
        "raw": {"value": raw, "string": shown}})
}

fn ata(extra: &Value) -> Value {
    let mut root = json!({
        "smartctl": {"version": [7, 3], "exit_status": 0},
        "local_time": {"time_t": 1_700_000_000},
        "device": {"name": "/dev/sda", "type": "sat+megaraid,3", "protocol": "ATA"},
        "model_name": "MAKER 1000", "model_family": "Maker Drives", "serial_number": "SER12345", "firmware_version": "F1",
        "user_capacity": {"bytes": 1_000_204_886_016_i64}, "logical_block_size": 512, "rotation_rate": 7200,
        "smart_status": {"passed": true}, "temperature": {"current": 31}, "power_on_time": {"hours": 100}, "power_cycle_count": 7,
        "ata_smart_attributes": {"table": [
            row(3, "Spin_Up_Time", 4166, "4166"), row(5, "Reallocated_Sector_Ct", 2, "2"),
            {"id": 190, "name": "Airflow_Temperature_Cel", "value": 60, "worst": 40, "thresh": 45, "when_failed": "past",
                "flags": {"prefailure": false}, "raw": {"value": 40, "string": "40 (Min/Max 20/60)"}},
            row(197, "Current_Pending_Sector", 0, "0")
        ]},
        "ata_smart_error_log": {"summary": {"count": 3}},
        "ata_smart_self_test_log": {"standard": {"table": [
            {"type": {"string": "Short offline"}, "status": {"value": 25, "string": "Aborted by host"}, "lifetime_hours": 95},
            {"type": {"string": "Extended offline"}, "status": {"value": 0, "string": "Completed without error"}, "lifetime_hours": 90},
            {"type": {"string": "Extended offline"}, "status": {"value": 121, "string": "Completed: read failure"}, "lifetime_hours": 9}
        ]}},
        "ata_device_statistics": {"pages": [
            {"number": 1, "table": [{"offset": 24, "value": 1000, "flags": {"valid": true}}, {"offset": 40, "value": 5, "flags": {"valid": false}}]},
            {"number": 7, "table": [{"offset": 8, "value": 6, "flags": {"valid": true}}]}
        ]}
    });
    let (Some(root_map), Some(extra)) = (root.as_object_mut(), extra.as_object()) else { return root };
    root_map.extend(extra.clone());
    root
}

#[test]
fn an_ata_drive_is_read_whole() {
    let outcome = read_of(&ata(&json!({})));
    let record = &outcome.records[0];
    assert_eq!((outcome.status, outcome.observed_at), (Status::Ok, Some(1_700_000_000_000)));
    for (key, value) in [
        ("protocol", json!("ata")),
        ("controller", json!("sat+megaraid,3")),
        ("model", json!("MAKER 1000")),
        ("rotation_rpm", json!(7200)),
        ("ssd", json!(false)),
        ("health_passed", json!(true)),
        ("temperature_celsius", json!(31)),
        ("power_on_hours", json!(100)),
        ("reallocated", json!(2)),
        ("pending", json!(0)),
        ("uncorrectable", json!(null)),
        ("percentage_used", json!(6)),
        ("written_bytes", json!(512_000)),
        ("read_bytes", json!(null)),
        ("error_log_count", json!(3)),
        ("failing_now", json!([])),
        ("failed_past", json!(["Airflow_Temperature_Cel"])),
        ("exit_bits", json!(0)),
    ] {
        assert_eq!(record[key], value, "{key}");
    }
    assert_eq!(record["self_tests"][0]["passed"], json!(null));
    assert_eq!((&record["self_tests"][1]["age_hours"], &record["self_tests"][2]["passed"]), (&json!(10), &json!(false)));
    assert!(record.get("serial").is_none() && outcome.readings.iter().any(|reading| reading.name == "drive_temperature"));
    assert_eq!(parse(&ata(&json!({})).to_string()).unwrap().drive.serial.as_deref(), Some("SER12345"));
}

#[test]
fn a_failing_attribute_is_bad_although_the_drive_passes() {
    let table = json!({"table": [{"id": 5, "name": "Reallocated_Sector_Ct", "value": 4, "worst": 4, "thresh": 36, "when_failed": "now",
        "flags": {"prefailure": true}, "raw": {"value": 3956, "string": "3956"}}]});
    let outcome = read_of(&ata(&json!({"ata_smart_attributes": table})));
    assert_eq!((outcome.status, &outcome.records[0]["failing_now"]), (Status::Bad, &json!(["Reallocated_Sector_Ct"])));
}

#[test]
fn a_broken_row_costs_itself_and_too_many_are_told() {
    let mut rows = vec![json!({"id": "x"}), json!(7)];
    rows.extend((0..=ATTRIBUTES_MAX).map(|_| row(5, "Reallocated_Sector_Ct", 1, "1")));
    let outcome = read_of(&ata(&json!({"ata_smart_attributes": {"table": rows}})));
    let codes: Vec<&str> = outcome.faults.iter().map(|fault| fault.code).collect();
    assert_eq!((outcome.status, codes), (Status::Ok, vec!["malformed", "too_many"]));
    assert_eq!(outcome.records[0]["attributes"].as_array().unwrap().len(), ATTRIBUTES_MAX);
}

#[test]
fn a_scsi_drive_is_read_whole() {
    let outcome = read_of(&json!({
        "smartctl": {"exit_status": 0},
        "device": {"name": "/dev/bus/0", "type": "megaraid,0", "protocol": "SCSI"},
        "scsi_model_name": "MAKER S1", "revision": "A1", "rotation_rate": 0, "temperature": {"current": 30}, "power_on_time": {"hours": 50},
        "smart_status": {"passed": true}, "scsi_grown_defect_list": 2, "scsi_percentage_used_endurance_indicator": 3,
        "scsi_error_counter_log": {"read": {"total_uncorrected_errors": 1, "gigabytes_processed": "1.500"},
            "write": {"total_uncorrected_errors": 2, "gigabytes_processed": "x"}},
        "scsi_start_stop_cycle_counter": {"accumulated_start_stop_cycles": 4},
        "scsi_self_test_0": {"code": {"string": "Background long"}, "result": {"value": 0, "string": "Completed"}, "power_on_time": {"hours": 45}},
        "scsi_self_test_1": {"code": {"string": "Background long"}, "result": {"value": 4, "string": "Completed, segment failed"},
            "power_on_time": {"hours": 5}}
    }));
    let record = &outcome.records[0];
    assert_eq!(outcome.status, Status::Ok, "{}", outcome.reason);
    for (key, value) in [
        ("model", json!("MAKER S1")),
        ("firmware", json!("A1")),
        ("ssd", json!(true)),
        ("grown_defects", json!(2)),
        ("percentage_used", json!(3)),
        ("uncorrectable", json!(3)),
        ("read_bytes", json!(1_500_000_000)),
        ("written_bytes", json!(null)),
        ("start_stop_cycles", json!(4)),
    ] {
        assert_eq!(record[key], value, "{key}");
    }
    let failing = json!({"device": {"protocol": "SCSI"}, "smart_status": {"passed": false, "scsi": {"asc": 93, "ascq": 16, "ie_string": "DRIVE IS TIRED"}}});
    let outcome = read_of(&failing);
    assert_eq!(outcome.status, Status::Bad);
    assert!(outcome.reason.contains("DRIVE IS TIRED"));
}

#[test]
fn an_nvme_drive_is_read_whole() {
    let log = json!({"critical_warning": 0, "temperature": 36, "available_spare": 99, "available_spare_threshold": 10, "percentage_used": 3,
        "data_units_read": 2, "data_units_written": 1e30, "power_cycles": 5, "power_on_hours": 80,
        "unsafe_shutdowns": 1, "media_errors": 7, "num_err_log_entries": 62});
    let mut root = json!({"smartctl": {"exit_status": 0}, "device": {"name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"}, "nvme_total_capacity": 500,
        "smart_status": {"passed": true, "nvme": {"value": 0}}, "nvme_smart_health_information_log": log, "temperature": {"current": 35},
        "nvme_self_test_log": {"table": [null, {"self_test_code": {"string": "Short"}, "self_test_result": {"value": 7, "string": "Completed: failed segments"},
            "power_on_hours": 70}]}});
    let outcome = read_of(&root);
    let record = &outcome.records[0];
    assert_eq!(outcome.status, Status::Bad, "its last self-test failed");
    for (key, value) in [
        ("temperature_celsius", json!(35)),
        ("percentage_used", json!(3)),
        ("read_bytes", json!(1_024_000)),
        ("written_bytes", json!(i64::MAX)),
        ("capacity_bytes", json!(500)),
        ("media_errors", json!(7)),
        ("error_log_count", json!(62)),
        ("ssd", json!(true)),
    ] {
        assert_eq!(record[key], value, "{key}");
    }
    root["nvme_self_test_log"] = json!(null);
    assert_eq!(read_of(&root).status, Status::Ok);
    root["nvme_smart_health_information_log"]["critical_warning"] = json!(4);
    let outcome = read_of(&root);
    assert!(outcome.status == Status::Bad && outcome.reason.contains("reliability"));
}

#[test]
fn the_tools_own_troubles_are_unknown_and_named() {
    let with =
        |text: &str, severity: &str, exit: u8| read_of(&json!({"smartctl": {"messages": [{"string": text, "severity": severity}], "exit_status": exit}}));
    for (text, severity, code) in [
        ("Smartctl open device: /dev/sda failed: Permission denied", "error", "permission_denied"),
        ("Smartctl open device: /dev/sdz failed: No such device", "error", "no_device"),
        ("/dev/sdq: Unable to detect device type", "error", "unsupported"),
        ("Device is in STANDBY mode, exit(2)", "information", "standby"),
        ("Read Device Identity failed: Input/output error", "error", "io_error"),
    ] {
        let outcome = with(text, severity, 2);
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.reason.as_str()), (Status::Unknown, code, text));
        assert_eq!((&outcome.records[0]["exit_bits"], &outcome.records[0]["health_passed"]), (&json!(2), &json!(null)));
    }
    assert_eq!(with("CHECK POWER MODE not implemented, ignoring -n option", "information", 0).status, Status::Unknown);
    assert!(with("CHECK POWER MODE not implemented, ignoring -n option", "information", 0).faults.is_empty());
    let asleep = read_of(&json!({"smartctl": {"exit_status": 2}, "device": {"protocol": "ATA"}, "power_mode": {"name": "STANDBY_Y"}}));
    assert_eq!((asleep.status, asleep.faults[0].code, &asleep.records[0]["standby"]), (Status::Unknown, "standby", &json!(true)));
    for (bits, code) in [(1, "unsupported"), (2, "io_error"), (4, "io_error")] {
        let outcome = read_of(&json!({"smartctl": {"exit_status": bits}}));
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code));
    }
    // A command that failed while the drive still gave its verdict.
    let outcome = read_of(&ata(&json!({"smartctl": {"exit_status": 4}})));
    assert_eq!((outcome.status, outcome.faults[0].code), (Status::Ok, "io_error"));
}

#[test]
fn without_health_there_is_no_verdict() {
    let only = |root: Value| read_of(&root);
    assert_eq!(only(json!({"device": {"name": "/dev/sda", "protocol": "ATA"}, "smart_support": true})).status, Status::Unknown);
    let outcome = only(json!({"device": {"protocol": "ATA"}, "smart_support": {"available": false}}));
    assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, "unsupported"));
    let outcome = only(json!({"device": {"protocol": "ATA"}, "smart_support": {"available": true, "enabled": false}}));
    assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, "not_running"));
    assert_eq!(only(json!({"smartctl": {"exit_status": 0}})).status, Status::Unknown);
    assert_eq!(only(ata(&json!({"smart_status": null}))).status, Status::Unknown);
}

#[test]
fn a_scan_lists_drives_and_no_health() {
    let root = json!({"smartctl": {"exit_status": 0}, "devices": [
        {"name": "/dev/sda", "info_name": "/dev/sda [SAT]", "type": "sat", "protocol": "ATA"},
        {"name": "/dev/bus/0", "type": "megaraid,1", "protocol": "SCSI", "open_error": "INQUIRY failed"}
    ]});
    let scan = scan::parse(&root.to_string()).unwrap();
    assert_eq!((scan.found[1].name.as_str(), scan.found[1].controller.as_str(), scan.found[1].protocol), ("/dev/bus/0", "megaraid,1", Protocol::Scsi));
    let outcome = read_of(&root);
    assert_eq!((outcome.status, outcome.records.len(), outcome.faults[0].code), (Status::Unknown, 2, "io_error"));
    assert!(scan::parse(&ata(&json!({})).to_string()).is_err());
    let none = json!({"smartctl": {"exit_status": 0}, "devices": []});
    assert_eq!((read_of(&none).status, read_of(&none).records.len()), (Status::Unknown, 0));
    let many: Vec<Value> = (0..crate::RECORDS_MAX + 3).map(|n| json!({"name": n.to_string()})).collect();
    let outcome = read_of(&json!({"smartctl": {}, "devices": many}));
    assert_eq!((outcome.records.len(), outcome.faults[0].code), (crate::RECORDS_MAX, "too_many"));
}

#[test]
fn a_scan_as_text_is_read() {
    let scan = scan::text("/dev/sda -d sat # /dev/sda [SAT], ATA device\n# /dev/sdb -d scsi # /dev/sdb, SCSI device open failed: Permission denied\n").unwrap();
    assert_eq!((scan.found[0].protocol, scan.found[0].open_error.as_deref()), (Protocol::Ata, None));
    assert_eq!(
        (scan.found[1].name.as_str(), scan.found[1].protocol, scan.found[1].open_error.as_deref()),
        ("/dev/sdb", Protocol::Scsi, Some("Permission denied"))
    );
    assert_eq!((scan::text(""), scan::text("smartctl 7.3\n")), (None, None));
    assert_eq!(scan::answer(&scan::text("# scan_smart_devices: glob(3) aborted\n").unwrap()).faults[0].code, "io_error");
}

#[test]
fn anything_else_is_refused() {
    assert_eq!(parse(" \n"), Err(Unreadable::Empty));
    for foreign in ["{}", "[]", "7", r#"{"Devices": []}"#, r#"{"smartctl": 7}"#, r#"{"device": {"name": "x"}}"#] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
    for broken in ["smartctl 7.3", "{", "{\"smartctl\": {}", "\0", &"[".repeat(100_000)] {
        assert!(matches!(parse(broken), Err(Unreadable::Json { .. })));
    }
}

/// Documents near the grammar, with anything in any place.
fn near() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9]{0,40}|.{0,9}".prop_map(Value::from),
    ];
    let keys = "smartctl|exit_status|device|protocol|name|devices|ata_smart_attributes|table|id|raw|value|string|when_failed|messages|power_on_time|hours|\
        local_time|time_t|nvme_smart_health_information_log|critical_warning|data_units_read|scsi_error_counter_log|read|gigabytes_processed|\
        ata_device_statistics|pages|number|offset|logical_block_size|host_writes|units|bytes_per_unit|ata_smart_self_test_log|standard|lifetime_hours|status";
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((keys, inner), 0..8).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

const PLACES: &str = "device|smartctl|ata_smart_attributes|nvme_smart_health_information_log|ata_device_statistics";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_json_is_taken(near in near(), protocol in "ATA|SCSI|NVMe|x", put in PLACES) {
        let mut root = ata(&json!({put: near}));
        if let Some(device) = root["device"].as_object_mut() {
            device.insert("protocol".to_owned(), json!(protocol));
        }
        if let Ok(outcome) = outcome(&root.to_string(), None) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            prop_assert!(outcome.status != Status::Unknown || !outcome.reason.is_empty());
        }
    }

    #[test]
    fn any_text_is_taken(text in "\\PC{0,200}|\\{\"smartctl\":.{0,80}\\}") {
        prop_assert!(parse(&text).is_err() || text.contains("smartctl"));
    }
}
