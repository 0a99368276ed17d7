use super::*;
use crate::Status;
use proptest::prelude::*;

const LIST: &str = "\r\n\r\nObjectId                         : {1}\\\\HOST-A\\root/Microsoft/Windows/Storage:PhysicalDisk\r\n\
    DeviceId                         : 0\r\n\
    FriendlyName                     : MAKER SSD 512\r\nHealthStatus                     : Healthy\r\nOperationalStatus                : OK\r\n\
    BusType                          : NVMe\r\nSerialNumber                     : S1234ABC\r\n\
        Size                             : 512110190592\r\nPSComputerName                   : \r\n\r\n\r\n";
const COUNTERS: &str = "DeviceId                : 0\nPowerOnHours            : 4210\nReadErrorsTotal         : 3\n\
    ReadErrorsUncorrected   : 1\nTemperature             : 41\n\
    TemperatureMax          : 70\nWear                    : 7\nWriteErrorsUncorrected  : 2\n";

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

#[test]
fn the_list_is_read_whole() {
    let disk = parse(LIST).unwrap().disks.remove(0);
    assert_eq!((disk.device.as_deref(), disk.model.as_deref(), disk.serial.as_deref()), (Some("0"), Some("MAKER SSD 512"), Some("S1234ABC")));
    assert_eq!((disk.health, disk.health_passed, disk.protocol, disk.capacity_bytes), (Some(Health::Healthy), Some(true), "nvme", Some(512_110_190_592)));
    assert_eq!((disk.temperature_celsius, disk.uncorrectable, disk.percentage_used, disk.operational), (None, None, None, vec!["ok".to_owned()]));
    let outcome = judged(LIST);
    assert_eq!((outcome.status, outcome.reason.as_str(), outcome.readings.len()), (Status::Ok, "1 disks healthy", 2));
    let shown = serde_json::to_string(&outcome).unwrap();
    assert!(!shown.contains("S1234ABC") && !shown.contains("HOST-A"));
    for key in [
        "model",
        "protocol",
        "health_passed",
        "temperature_celsius",
        "power_on_hours",
        "reallocated",
        "pending",
        "uncorrectable",
        "percentage_used",
        "failing_now",
        "failed_past",
        "exit_bits",
    ] {
        assert!(outcome.records[0].get(key).is_some(), "{key}");
    }
}

#[test]
fn counters_alone_tell_no_health_and_find_their_drive() {
    let alone = judged(COUNTERS);
    assert_eq!((alone.status, alone.readings.len()), (Status::Unknown, 4));
    let both = parse(&format!("{LIST}{COUNTERS}")).unwrap();
    assert_eq!(both.disks.len(), 1);
    let disk = &both.disks[0];
    assert_eq!((disk.temperature_celsius, disk.power_on_hours, disk.uncorrectable, disk.percentage_used), (Some(41), Some(4210), Some(3), Some(7)));
    let outcome = judged(&format!("{LIST}{COUNTERS}"));
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Ok, "1 disks healthy; MAKER SSD 512 (disk 0): 3 errors not corrected since it was made"));
    let empty = parse("DeviceId : 1\nTemperature : 0\nWear : \nPowerOnHours : \nReadErrorsUncorrected :\n").unwrap();
    assert_eq!((empty.disks[0].temperature_celsius, empty.disks[0].percentage_used, empty.disks[0].uncorrectable), (None, None, None));
}

#[test]
fn health_is_a_word_or_a_number() {
    for (word, expected, passed) in [
        ("Healthy", Status::Ok, Some(true)),
        ("0", Status::Ok, Some(true)),
        ("正常", Status::Ok, Some(true)),
        ("Warning", Status::Bad, Some(false)),
        ("1", Status::Bad, Some(false)),
        ("警告", Status::Bad, Some(false)),
        ("Unhealthy", Status::Bad, Some(false)),
        ("2", Status::Bad, Some(false)),
        ("異常", Status::Bad, Some(false)),
        ("Unknown", Status::Unknown, None),
        ("5", Status::Unknown, None),
        ("novel", Status::Unknown, None),
    ] {
        let text = LIST.replace("Healthy", word);
        assert_eq!((judged(&text).status, parse(&text).unwrap().disks[0].health_passed), (expected, passed), "{word}");
    }
}

#[test]
fn what_windows_says_of_its_work_counts_too() {
    for (words, expected, said) in [
        ("OK", Status::Ok, "healthy"),
        ("{OK}", Status::Ok, "healthy"),
        ("2", Status::Ok, "healthy"),
        ("In Maintenance Mode", Status::Ok, "healthy"),
        ("Predictive Failure", Status::Bad, "predictive failure"),
        ("{OK, IO Error}", Status::Bad, "io error"),
        ("Lost Communication", Status::Bad, "lost communication"),
        ("5", Status::Bad, "predictive failure"),
        ("Transient Error", Status::Bad, "transient error"),
    ] {
        let outcome = judged(&LIST.replace(": OK", &format!(": {words}")));
        assert!(outcome.status == expected && outcome.reason.contains(said), "{words}: {}", outcome.reason);
    }
}

#[test]
fn tables_are_cut_where_their_columns_are() {
    let table = "\nNumber FriendlyName         SerialNumber MediaType CanPool OperationalStatus HealthStatus Usage            Size\n\
        ------ ------------         ------------ --------- ------- ----------------- ------------ -----            ----\n\
        0      MAKER SSD 512        S1234ABC     SSD       False   OK                Healthy      Auto-Select 476.94 GB\n\
        1      MAKER HDD 2000       W9           HDD       False   Predictive Fail   Warning      Auto-Select   1.82 TB\n\n";
    let disks = parse(table).unwrap().disks;
    assert_eq!(
        (disks[0].model.as_deref(), disks[0].serial.as_deref(), disks[0].capacity_bytes),
        (Some("MAKER SSD 512"), Some("S1234ABC"), Some(512_110_425_539))
    );
    assert_eq!((disks[1].device.as_deref(), disks[1].health), (Some("1"), Some(Health::Warning)));
    assert_eq!(judged(table).status, Status::Bad);
    let wide = "FriendlyName OperationalStatus HealthStatus Usage\n------------ ----------------- ------------ -----\n\
        ディスクA        OK                正常           自動\nB            OK                異常         自動\n";
    let disks = parse(wide).unwrap().disks;
    assert_eq!((disks[0].health, disks[1].health), (Some(Health::Healthy), Some(Health::Unhealthy)));
    let counters = "DeviceId Temperature ReadErrorsUncorrected Wear PowerOnHours\n\
        -------- ----------- --------------------- ---- ------------\n0        35                              0    1         1234\n";
    let disk = parse(counters).unwrap().disks.remove(0);
    assert_eq!((disk.temperature_celsius, disk.uncorrectable, disk.percentage_used, disk.power_on_hours), (Some(35), Some(0), Some(1), Some(1234)));
}

#[test]
fn json_is_read_as_every_version_writes_it() {
    for json in [
        r#"{"FriendlyName":"A","DeviceId":"0","HealthStatus":0,"OperationalStatus":[2],"BusType":11,"Size":1000,"CimClass":{"x":1}}"#,
        r#"[{"FriendlyName":"A","DeviceId":"0","HealthStatus":"Healthy","OperationalStatus":"OK","BusType":"SATA","Size":1000}]"#,
        r#"{"value":[{"FriendlyName":"A","DeviceId":"0","HealthStatus":"Healthy","OperationalStatus":["OK"],"BusType":"ATA","Size":1000}],"Count":1}"#,
        r#"{"FriendlyName":"A","DeviceId":"0","HealthStatus":"Healthy","OperationalStatus":{"value":["OK"],"Count":1},"BusType":"ATA","Size":1000}"#,
    ] {
        let disk = parse(json).unwrap().disks.remove(0);
        assert_eq!((disk.model.as_deref(), disk.health, disk.protocol, disk.capacity_bytes), (Some("A"), Some(Health::Healthy), "ata", Some(1000)), "{json}");
        assert_eq!(disk.operational, ["ok"], "{json}");
    }
    let counters = parse(r#"{"DeviceId":"0","Temperature":33,"Wear":null,"ReadErrorsUncorrected":0,"WriteErrorsUncorrected":null,"PowerOnHours":12}"#).unwrap();
    assert_eq!((counters.disks[0].uncorrectable, counters.disks[0].percentage_used), (Some(0), None));
}

#[test]
fn what_the_tool_says_about_itself_is_unknown() {
    for (said, code) in [
        ("Get-StorageReliabilityCounter : Access to a CIM resource was not available to the client.\n", "permission_denied"),
        ("Get-PhysicalDisk : Access denied\n", "permission_denied"),
        ("Get-PhysicalDisk : The term 'Get-PhysicalDisk' is not recognized as the name of a cmdlet\n", "not_found"),
        ("Get-PhysicalDisk : 用語 'Get-PhysicalDisk' は、コマンドレットの名前として認識されません。\n", "not_found"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
    }
}

#[test]
fn another_format_is_refused() {
    assert_eq!(parse("\r\n"), Err(Unreadable::Empty));
    for foreign in ["MemTotal: 1 kB\n", "a b\n- -\n1 2\n", "{}", "[]", "[[1]]", "{\"Temperature\":1}"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
    assert!(matches!(parse("{\"a\""), Err(Unreadable::Json { .. })));
    assert!(parse(&"{\"a\":".repeat(100_000)).is_err());
}

#[test]
fn drives_without_end_are_bounded() {
    let outcome = judged(&"FriendlyName : A\nHealthStatus : Healthy\n\n".repeat(RECORDS_MAX + 5));
    assert_eq!((outcome.records.len(), outcome.faults[0].code), (RECORDS_MAX, "too_many"));
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "((HealthStatus|DeviceId|Size|Wear|.) {0,9}: ?(Healthy|[0-9]{0,21}|[0-9.]{0,9} GB|.*)\n|\n\
        |(-{1,5} ){0,4}\n|.*\n){0,9}") {
        if let Ok(outcome) = outcome(&input, None) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
        }
    }
}
