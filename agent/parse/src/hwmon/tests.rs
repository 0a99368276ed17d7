use super::*;
use proptest::prelude::*;

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    files.iter().for_each(|(path, text)| tree.put(*path, *text).unwrap());
    tree
}

fn judged(files: &[(&str, &str)]) -> Outcome {
    outcome(&tree(files), None).unwrap()
}

const CPU: &[(&str, &str)] = &[
    ("hwmon2/name", "coretemp\n"),
    ("hwmon2/temp1_label", "Package id 0\n"),
    ("hwmon2/temp1_input", "48000\n"),
    ("hwmon2/temp1_max", "84000\n"),
    ("hwmon2/temp1_crit", "100000\n"),
    ("hwmon2/temp1_crit_alarm", "0\n"),
];

fn with(path: &'static str, text: &'static str) -> Outcome {
    let mut files: Vec<_> = CPU.iter().copied().filter(|(name, _)| *name != path).collect();
    files.push((path, text));
    judged(&files)
}

#[test]
fn a_healthy_chip_is_read_whole() {
    let sensor = parse(&tree(CPU)).unwrap().sensors.remove(0);
    assert_eq!((sensor.chip.as_deref(), sensor.device.as_str(), sensor.sensor.as_str()), (Some("coretemp"), "hwmon2", "temp1"));
    assert_eq!((sensor.label.as_deref(), sensor.value, sensor.max, sensor.crit), (Some("Package id 0"), Some(48_000), Some(84_000), Some(100_000)));
    assert_eq!((sensor.crit_alarm, sensor.alarm, sensor.fault, sensor.min), (Some(false), None, None, None));
    let outcome = judged(CPU);
    assert_eq!((outcome.status, outcome.readings.len(), outcome.faults.len()), (Status::Ok, 3, 0));
    assert!((outcome.readings[0].value - 48.0).abs() < 1e-9 && outcome.readings[0].unit == "celsius");
}

#[test]
fn flags_and_critical_limits_are_bad() {
    for (path, text, said) in [
        ("hwmon2/temp1_crit_alarm", "1", "coretemp temp1 (Package id 0): critical alarm"),
        ("hwmon2/temp1_alarm", "1", "alarm"),
        ("hwmon2/temp1_max_alarm", "1", "alarm"),
        ("hwmon2/temp1_fault", "1", "sensor fault"),
        ("hwmon2/temp1_input", "100000", "beyond its critical limit"),
        ("hwmon2/temp1_emergency", "48000", "beyond its emergency limit"),
    ] {
        let outcome = with(path, text);
        assert!(outcome.status == Status::Bad && outcome.reason.contains(said), "{path}: {}", outcome.reason);
    }
}

#[test]
fn above_the_high_limit_is_said_and_not_bad() {
    let outcome = with("hwmon2/temp1_input", "85000");
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Ok, "1 sensors read; coretemp temp1 (Package id 0): above its high limit"));
}

#[test]
fn limits_that_nobody_meant_alarm_nothing() {
    for crit in ["0", "-273150", "127000", "127500", "65261850", "1000"] {
        let outcome = with("hwmon2/temp1_crit", crit);
        assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Ok, "1 sensors read"), "{crit}");
    }
    let unused = judged(&[("hwmon0/in1_input", "1024"), ("hwmon0/in1_min", "0"), ("hwmon0/in1_max", "0"), ("hwmon0/in1_alarm", "1")]);
    assert_eq!(unused.status, Status::Ok, "{}", unused.reason);
    let used = judged(&[("hwmon0/in1_input", "1024"), ("hwmon0/in1_min", "0"), ("hwmon0/in1_max", "900"), ("hwmon0/in1_alarm", "1")]);
    assert_eq!(used.status, Status::Bad);
    assert_eq!(judged(&[("hwmon0/in1_input", "1024"), ("hwmon0/intrusion0_alarm", "1")]).status, Status::Ok);
}

#[test]
fn where_nothing_is_connected_nothing_is_measured() {
    for value in ["0", "-128000", "127000", "127500", "255000"] {
        let outcome = with("hwmon2/temp1_input", value);
        assert_eq!((outcome.status, outcome.readings.iter().filter(|r| r.name == "temperature").count()), (Status::Unknown, 0), "{value}");
    }
    let alarmed = judged(&[("hwmon0/temp3_input", "-128000"), ("hwmon0/temp3_alarm", "1"), ("hwmon0/temp1_input", "30000")]);
    assert_eq!(alarmed.status, Status::Ok, "{}", alarmed.reason);
    let off = judged(&[("hwmon0/temp3_input", "200"), ("hwmon0/temp3_enable", "0"), ("hwmon0/temp1_input", "30000")]);
    assert_eq!(off.readings.len(), 1);
}

#[test]
fn fans_voltages_power_and_currents_have_their_units() {
    let outcome = judged(&[
        ("hwmon0/name", "board"),
        ("hwmon0/fan2_input", "1098"),
        ("hwmon0/fan2_min", "0"),
        ("hwmon0/in0_input", "792"),
        ("hwmon0/power1_average", "12500000"),
        ("hwmon0/curr1_input", "1500"),
        ("hwmon0/energy1_input", "2000000"),
        ("hwmon0/humidity1_input", "45500"),
        ("hwmon0/freq1_input", "214000000"),
    ]);
    let value = |name: &str| outcome.readings.iter().find(|reading| reading.name == name).map(|reading| (reading.value, reading.unit));
    assert_eq!(value("fan_speed"), Some((1098.0, "rpm")));
    assert_eq!(value("voltage"), Some((0.792, "volts")));
    assert_eq!(value("power"), Some((12.5, "watts")));
    assert_eq!(value("current"), Some((1.5, "amperes")));
    assert_eq!(value("energy"), Some((2.0, "joules")));
    assert_eq!(value("humidity"), Some((45.5, "percent")));
    assert_eq!(value("frequency"), Some((214e6, "hertz")));
}

#[test]
fn a_fan_that_stops_is_bad() {
    let stopped = |files: &[(&str, &str)]| judged(files).status;
    assert_eq!(stopped(&[("hwmon0/fan1_input", "0"), ("hwmon0/fan1_min", "600"), ("hwmon0/fan1_alarm", "1")]), Status::Bad);
    assert_eq!(stopped(&[("hwmon0/fan1_input", "0"), ("hwmon0/fan1_min", "600")]), Status::Bad);
    assert_eq!(stopped(&[("hwmon0/fan1_input", "0"), ("hwmon0/fan1_min", "0"), ("hwmon0/fan1_alarm", "1")]), Status::Ok);
    assert_eq!(stopped(&[("hwmon0/in1_input", "100"), ("hwmon0/in1_lcrit", "900")]), Status::Bad);
}

#[test]
fn chips_are_found_wherever_they_lie() {
    for (chip, value) in [
        (("name", "k10temp"), ("temp1_input", "30000")),
        (("hwmon0/device/name", "k10temp"), ("hwmon0/device/temp1_input", "30000")),
        (("hwmon0/name", "k10temp"), ("hwmon0/device/temp1_input", "30000")),
        (("hwmon0/name", "k10temp"), ("hwmon0/device/hwmon/hwmon0/temp1_input", "30000")),
        (("sys/class/hwmon/hwmon0/name", "k10temp"), ("sys/class/hwmon/hwmon0/temp1_input", "30000")),
        (("devices/pci/hwmon/hwmon0/name", "k10temp"), ("devices/pci/hwmon/hwmon0/temp1_input", "30000")),
    ] {
        let hwmon = parse(&tree(&[chip, value])).unwrap();
        assert_eq!(hwmon.sensors[0].chip.as_deref(), Some("k10temp"), "{}", value.0);
    }
    let twice = tree(&[("hwmon0/temp1_input", "1"), ("hwmon0/device/hwmon/hwmon0/temp1_input", "1")]);
    assert_eq!(parse(&twice).unwrap().sensors.len(), 1);
}

#[test]
fn what_is_no_sensor_is_refused_and_what_has_none_is_unknown() {
    assert_eq!(parse(&tree(&[])), Err(Unreadable::Empty));
    assert!(matches!(parse(&tree(&[("cpu0/online", "1")])), Err(Unreadable::Foreign { .. })));
    assert_eq!(judged(&[("hwmon0/name", "asus")]).status, Status::Unknown);
    let broken = judged(&[("hwmon0/temp1_input", "hot"), ("hwmon0/temp2_input", "30000"), ("hwmon0/temp3_input", "")]);
    assert_eq!((broken.status, broken.faults.len(), broken.faults[0].code), (Status::Ok, 1, "malformed"));
}

#[test]
fn a_chip_without_end_is_bounded() {
    let mut endless = Tree::default();
    (0..=RECORDS_MAX).for_each(|n| endless.put(format!("hwmon0/temp{n}_input"), "30000").unwrap());
    let outcome = outcome(&endless, None).unwrap();
    assert_eq!((outcome.records.len(), outcome.faults[0].code), (RECORDS_MAX, "too_many"));
}

proptest! {
    #[test]
    fn any_folder_is_taken(files in prop::collection::vec(("(hwmon[0-9]?/|device/|.)?(temp|fan|in)[0-9]{0,12}_(input|crit|alarm|\
        max|.*)", "-?[0-9]{0,21}|.*"), 0..8)) {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.put(path, text).unwrap();
        }
        if let Ok(outcome) = outcome(&tree, None) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
        }
    }
}
