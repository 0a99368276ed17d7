use super::*;
use crate::{Outcome, Status};
use proptest::prelude::*;
use serde_json::json;

fn of(data: &Value) -> Outcome {
    let root = json!({"Controllers": [{"Command Status": {"Controller": 0, "Status": "Success", "Description": "None"}, "Response Data": data}]});
    outcome(&root.to_string(), None).unwrap()
}

fn all() -> Value {
    json!({
        "Basics": {"Controller": 0, "Model": "RAID 9", "Serial Number": "SER12345"},
        "Version": {"Firmware Version": "1.2"},
        "Status": {"Controller Status": "Optimal", "Memory Correctable Errors": 1, "Memory Uncorrectable Errors": 0},
        "HwCfg": {"ROC temperature(Degree Celsius)": 55},
        "VD LIST": [{"DG/VD": "0/0", "TYPE": "RAID1", "State": "Optl", "Cache": "RWBD", "Size": "1.745 TB", "Name": "patients"}],
        "PD LIST": [
            {"EID:Slt": "252:0", "DID": 9, "State": "Onln", "DG": 0, "Size": "1.745 TB", "Intf": "SATA", "Med": "SSD", "Model": "MAKER  S1 "},
            {"EID:Slt": " :1", "DID": 10, "State": "GHS", "DG": "-", "Intf": "SAS", "Med": "HDD", "Model": "MAKER S2"}
        ],
        "PDs for VD 0": [{"EID:Slt": "252:0", "DID": 9, "State": "Onln"}],
        "Cachevault_Info": [{"Model": "CV1", "State": "Optimal", "Temp": "29C"}],
        "Drive /c0/e252/s0 - Detailed Information": {
            "Drive /c0/e252/s0 State": {"Media Error Count": 2, "Other Error Count": 3, "Drive Temperature": " 21C (69.80 F)",
                "Predictive Failure Count": 0, "S.M.A.R.T alert flagged by drive": "No"},
            "Drive /c0/e252/s0 Device attributes": {"SN": "SER12345"}
        },
        "Drive /c0/s1 - Detailed Information": {"Drive /c0/s1 State": {"Media Error Count": 0, "Drive Temperature": "N/A"}}
    })
}

#[test]
fn everything_with_a_state_is_read_once() {
    let outcome = of(&all());
    assert_eq!((outcome.status, outcome.records.len()), (Status::Ok, 5), "{}", outcome.reason);
    let part = |name: &str| outcome.records.iter().find(|record| record["part"] == name).unwrap();
    let controller = part("controller");
    assert_eq!((&controller["model"], &controller["firmware"], &controller["temperature_celsius"]), (&json!("RAID 9"), &json!("1.2"), &json!(55)));
    assert_eq!((&controller["memory_correctable"], &controller["state"]), (&json!(1), &json!("Optimal")));
    assert_eq!((&part("virtual")["level"], &part("virtual")["state"]), (&json!("RAID1"), &json!("Optl")));
    let drive = part("physical");
    assert_eq!((&drive["slot"], &drive["device_id"], &drive["model"]), (&json!("252:0"), &json!(9), &json!("MAKER S1")));
    assert_eq!((&drive["media_errors"], &drive["other_errors"], &drive["temperature_celsius"]), (&json!(2), &json!(3), &json!(21)));
    assert_eq!(drive["health_passed"], json!(true));
    let direct = outcome.records.iter().find(|record| record["slot"] == ":1").unwrap();
    assert_eq!((&direct["media_errors"], &direct["temperature_celsius"], &direct["health_passed"]), (&json!(0), &json!(null), &json!(null)));
    assert_eq!((&part("backup")["model"], &part("backup")["temperature_celsius"]), (&json!("CV1"), &json!(29)));
    assert!(outcome.reason.contains("2 media errors"), "{}", outcome.reason);
    let printed = serde_json::to_string(&outcome).unwrap();
    assert!(!printed.contains("SER12345") && !printed.contains("patients"));
}

#[test]
fn what_is_wrong_is_bad_and_named() {
    let change = |path: &str, value: &str| {
        let mut data = all();
        *data.pointer_mut(path).unwrap() = json!(value);
        of(&data)
    };
    for (path, value, words) in [
        ("/VD LIST/0/State", "Dgrd", "virtual drive 0/0 is degraded"),
        ("/VD LIST/0/State", "Pdgd", "partially degraded"),
        ("/VD LIST/0/State", "OfLn", "offline"),
        ("/VD LIST/0/State", "Rec", "recovering"),
        ("/PD LIST/0/State", "Offln", "drive 252:0 is offline"),
        ("/PD LIST/0/State", "UBad", "is bad"),
        ("/PD LIST/0/State", "Failed", "has failed"),
        ("/PD LIST/0/State", "Msng", "is missing"),
        ("/PD LIST/0/State", "Rbld", "is being rebuilt"),
        ("/Status/Controller Status", "Needs Attention", "controller 0 needs attention"),
        ("/Status/Controller Status", "Failed", "has failed"),
        ("/Status/Memory Uncorrectable Errors", "3", "uncorrectable errors of its memory"),
        ("/Cachevault_Info/0/State", "Dgd (Needs Attention)", "cache backup of controller 0 needs attention"),
        ("/Drive ~1c0~1e252~1s0 - Detailed Information/Drive ~1c0~1e252~1s0 State/S.M.A.R.T alert flagged by drive", "Yes", "flags a health alarm"),
        ("/Drive ~1c0~1e252~1s0 - Detailed Information/Drive ~1c0~1e252~1s0 State/Predictive Failure Count", "1", "foretells its failure"),
    ] {
        let outcome = change(path, value);
        assert!(outcome.status == Status::Bad && outcome.reason.contains(words), "{value}: {}", outcome.reason);
    }
    for (path, value, words) in
        [("/PD LIST/0/State", "Cpybck", "copied back"), ("/PD LIST/0/State", "UGShld", "examined"), ("/Cachevault_Info/0/State", "Learning", "learning")]
    {
        let outcome = change(path, value);
        assert!(outcome.status == Status::Ok && outcome.reason.contains(words), "{value}: {}", outcome.reason);
    }
    for (path, value) in [("/VD LIST/0/State", "Xyz"), ("/PD LIST/0/State", "Xyz"), ("/Status/Controller Status", "Xyz")] {
        assert_eq!(change(path, value).status, Status::Unknown, "{value}");
    }
}

#[test]
fn the_other_commands_of_the_tool_are_read() {
    let overview = |health: &str, backup: &str| of(&json!({"System Overview": [{"Ctl": 0, "Model": "RAID9", "BBU": backup, "Hlth": health}]}));
    assert_eq!((overview("Opt", "Opt").status, overview("Opt", "N/A").records.len()), (Status::Ok, 1));
    assert_eq!((overview("NdAtn", "Opt").status, overview("Opt", "Fld").status), (Status::Bad, Status::Bad));
    let adapter = of(&json!({"IT System Overview": [{"Ctl": 0, "Model": "HBA 9"}]}));
    assert_eq!((adapter.status, adapter.records.len(), adapter.faults.len()), (Status::Unknown, 1, 0));
    let property = |name: &str, value: &str| json!({"Property": name, "Value": value});
    let properties = |state: &str| of(&json!({"Cachevault_Info": [property("Type", "CV1"), property("Temperature", "30 C"), property("State", state)]}));
    assert_eq!((properties("Optimal").status, &properties("Optimal").records[0]["temperature_celsius"]), (Status::Ok, &json!(30)));
    assert_eq!(properties("Failed").status, Status::Bad);
    let drives = of(&json!({"Drive Information": [{"EID:Slt": "8:6", "State": "Onln"}]}));
    assert_eq!((drives.status, drives.records.len()), (Status::Ok, 1));
    let short = of(&json!({"Product Name": "RAID 9", "FW Version": "2", "VD LIST": [{"DG/VD": "0/0", "State": "Optl"}]}));
    assert_eq!((short.status, &short.records[0]["model"]), (Status::Ok, &json!("RAID 9")));
    assert_eq!(of(&json!({"Product Name": "RAID 9"})).status, Status::Unknown);
}

#[test]
fn a_failed_command_is_unknown_and_named() {
    for (status, code, words) in [
        (json!({"Controller": 5, "Status": "Failure", "Description": "Controller 5 not found"}), "no_device", "controller 5: Controller 5 not found"),
        (json!({"Status": "Failure", "Description": "No Controller found"}), "no_device", "No Controller found"),
        (json!({"Status": "Failure", "Description": "None", "Detailed Status": [{"ErrMsg": "Un-supported command"}]}), "unsupported", "Un-supported command"),
        (json!({}), "io_error", "the command failed"),
    ] {
        let outcome = outcome(&json!({"Controllers": [{"Command Status": status}]}).to_string(), None).unwrap();
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.reason.as_str()), (Status::Unknown, code, words));
    }
    // Another controller that answers does not make it fine, and a degraded one is bad all the same.
    let failed = json!({"Command Status": {"Controller": 0, "Status": "Failure", "Description": "x"}});
    let with = |state: &str| {
        let good = json!({"Command Status": {"Controller": 1, "Status": "Success"}, "Response Data": {"VD LIST": [{"DG/VD": "0/0", "State": state}]}});
        outcome(&json!({"Controllers": [failed, good]}).to_string(), None).unwrap().status
    };
    assert_eq!((with("Optl"), with("Dgrd")), (Status::Unknown, Status::Bad));
    assert_eq!(of(&json!({})).faults[0].code, "no_device");
}

#[test]
fn too_many_parts_are_left_out_and_told() {
    let rows: Vec<Value> = (0..RECORDS_MAX + 7).map(|n| json!({"EID:Slt": format!("1:{n}"), "State": "Onln"})).collect();
    let outcome = of(&json!({"PD LIST": rows}));
    assert_eq!((outcome.records.len(), outcome.faults[0].code), (RECORDS_MAX, "too_many"));
}

#[test]
fn anything_else_is_refused() {
    assert_eq!(parse(" \n"), Err(Unreadable::Empty));
    for foreign in ["{}", "[]", "7", r#"{"Controllers": []}"#, r#"{"Controllers": 7}"#, r#"{"Controllers": [{}]}"#, r#"{"smartctl": {}}"#] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
    for broken in ["CLI Version = 007", "{", "\0", &"[".repeat(100_000)] {
        assert!(matches!(parse(broken), Err(Unreadable::Json { .. })));
    }
}

const PLACES: &str = "(Basics|Status|HwCfg|VD LIST|PD LIST|BBU_Info|Cachevault_Info|Drive /c0/[es/0-9]{0,6} State|.{0,9})";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_state_and_any_place_is_taken(path in PLACES, text in ".{0,20}", number: f64) {
        let row = json!([{"State": text, "EID:Slt": text, "Property": text}]);
        for value in [json!(text), json!(number), row, json!({"State": text, &path: [[number], text]})] {
            let mut data = all();
            data[path.as_str()] = value;
            let outcome = of(&data);
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            prop_assert!(!outcome.reason.is_empty());
        }
    }
}
