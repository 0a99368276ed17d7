//! Temperatures, fans, voltages and power: the kernel's own sensors, and those of the management processor where the
//! helper reached it.

use super::hardware::{code_of, printed, runs};
use super::take::Entries;
use super::{Sources, Take, tree};
use mimamori_parse::ipmi_sensor::{self, Level};
use mimamori_parse::{Outcome, Unreadable, hwmon};
use mimamori_shared::fields::{Readings, Sensor};
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;
use std::collections::BTreeMap;

/// `hwmon0/temp1_input`, and on old kernels `hwmon0/device/temp1_input`.
const DEPTH: usize = 3;

pub(super) fn read(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("sensor", faults);
    let mut found = Vec::new();
    match tree::read(sources.host, "sys/class/hwmon", DEPTH, |name| name == "name" || name.contains('_')) {
        Ok(tree) => kernel(hwmon::parse(&tree), &mut found, &mut take),
        // A machine without the class has no sensors the kernel knows; most virtual ones are so.
        Err(FaultCode::NotFound) => {}
        Err(code) => take.fail(code),
    }
    management(sources, &mut found, &mut take);
    // Of more than a report holds, what is wrong stays, and then what says most.
    found.sort_by_key(|(sensor, order)| (sensor.alarm != Some(1), *order));
    let mut entries = Entries::default();
    for (sensor, _) in found {
        if entries.admit(&sensor.name, &mut take) {
            readings.sensor.push(sensor);
        }
    }
}

/// Sensors in the order in which they matter.
fn order(kind: &str) -> Option<u8> {
    ["temperature", "fan_speed", "power", "voltage", "current"].iter().position(|known| *known == kind).and_then(|place| u8::try_from(place).ok())
}

fn kernel(parsed: Result<hwmon::Hwmon, Unreadable>, found: &mut Vec<(Sensor, u8)>, take: &mut Take<'_>) {
    let hwmon = match parsed {
        Ok(hwmon) => hwmon,
        Err(Unreadable::Empty) => return,
        Err(_) => return take.fail(FaultCode::Malformed),
    };
    // Chips of one kind are told apart by their order, not by `hwmonN`, which changes at a boot.
    let mut chips: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for sensor in &hwmon.sensors {
        let devices = chips.entry(sensor.chip.as_deref().unwrap_or("hwmon")).or_default();
        if !devices.contains(&sensor.device.as_str()) {
            devices.push(&sensor.device);
        }
    }
    for sensor in hwmon.sensors.iter().filter(|sensor| sensor.connected) {
        let (Some(order), Some(value)) = (order(sensor.kind), sensor.value) else { continue };
        let chip = sensor.chip.as_deref().unwrap_or("hwmon");
        let place = chips.get(chip).and_then(|devices| devices.iter().position(|device| *device == sensor.device)).unwrap_or(0);
        let number = if place == 0 { String::new() } else { format!("-{}", place + 1) };
        let Some(name) = Word::hardware(&format!("{chip}{number}:{}", sensor.sensor)) else { continue };
        let critical_milli = sensor.crit.filter(|_| sensor.kind == "temperature");
        let mut section = Sensor { name, critical_milli, alarm: Some(i64::from(sensor.is_bad())), ..Sensor::default() };
        match sensor.kind {
            "temperature" => section.temperature_milli = Some(value),
            "fan_speed" => section.fan_rpm = Some(value),
            "voltage" => section.voltage_milli = Some(value),
            "current" => section.current_milli = Some(value),
            // The kernel counts in microwatts.
            _ => section.power_milli = Some(value / 1000),
        }
        found.push((section, order));
    }
}

/// Where the helper ran `ipmitool sensor`. A machine without a management processor lacks nothing.
fn management(sources: &Sources<'_>, found: &mut Vec<(Sensor, u8)>, take: &mut Take<'_>) {
    let Some(report) = take.whole(sources.helper()) else { return };
    let Some(run) = runs(report, "ipmitool").find(|run| run.args == ["sensor"]) else { return };
    let text = match printed(run) {
        Ok(text) => text,
        Err(FaultCode::NotFound) => return,
        Err(code) => return take.fail(code),
    };
    let sensors = match ipmi_sensor::parse(text) {
        Ok(sensors) => sensors,
        Err(_) => return complaint(text, &run.err, take),
    };
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for sensor in sensors.sensors.iter().filter(|sensor| sensor.level != Level::NotAvailable) {
        let times = names.entry(&sensor.name).and_modify(|times| *times += 1).or_insert(1);
        let number = if *times == 1 { String::new() } else { format!("-{times}") };
        let is_bad = sensor.is_bad();
        // States without a number come last, in order or not: one that is only told while it is bad would seem gone.
        let order = order(sensor.kind).or_else(|| (sensor.kind == "discrete").then_some(u8::MAX));
        let (Some(order), Some(name)) = (order, Word::hardware(&format!("ipmi:{}{number}", sensor.name))) else { continue };
        let mut section = Sensor { name, alarm: Some(i64::from(is_bad)), ..Sensor::default() };
        match sensor.kind {
            "temperature" => (section.temperature_milli, section.critical_milli) = (sensor.value_milli, sensor.thresholds_milli[4]),
            "fan_speed" => section.fan_rpm = sensor.value_milli.map(|milli| milli / 1000),
            "voltage" => section.voltage_milli = sensor.value_milli,
            "current" => section.current_milli = sensor.value_milli,
            "power" => section.power_milli = sensor.value_milli,
            _ => {}
        }
        found.push((section, order));
    }
}

/// The tool says itself that it could not look. That there is no such device is no fault of the machine's.
pub(super) fn complaint(out: &str, err: &str, take: &mut Take<'_>) {
    let told = [out, err].into_iter().find_map(|text| ipmi_sensor::outcome(text, None).ok());
    match told.as_ref().and_then(|outcome: &Outcome| outcome.faults.first()) {
        Some(fault) if matches!(fault.code, "no_device" | "not_found") => {}
        Some(fault) => take.fail(code_of(fault.code)),
        None if out.trim().is_empty() && err.trim().is_empty() => {}
        None => take.fail(FaultCode::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::hardware::tests::{NOW_MS, machine, run};
    use crate::probe::tests::{recorded, taken};
    use serde_json::{Value, json};

    const CHIPS: [(&str, &str); 9] = [
        ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "45000\n"),
        ("sys/class/hwmon/hwmon0/temp1_crit", "100000\n"),
        ("sys/class/hwmon/hwmon1/name", "coretemp\n"),
        ("sys/class/hwmon/hwmon1/temp1_input", "101000\n"),
        ("sys/class/hwmon/hwmon1/temp1_crit", "100000\n"),
        ("sys/class/hwmon/hwmon2/name", "nct6775\n"),
        ("sys/class/hwmon/hwmon2/fan1_input", "1200\n"),
        ("sys/class/hwmon/hwmon2/in0_input", "888\n"),
    ];
    const IPMI: &str = "CPU Temp | 77.000 | degrees C | ok | 0.000 | 0.000 | 0.000 | 96.000 | 101.000 | 101.000\nFAN 1 | 300.000 | RPM | cr | na | 500.000 | 700.000 | na | na | na\nDIMM 3 | na | degrees C | na | na | na | na | na | na | na\n";

    #[test]
    fn sensors_of_the_kernel_have_stable_names_and_what_is_wrong_comes_first() {
        let (readings, faults) = taken(&recorded(&CHIPS), "sensor");
        let expected = json!({"sensor": [
            {"name": "coretemp-2:temp1", "temperature_milli": 101_000, "critical_milli": 100_000, "alarm": 1},
            {"name": "coretemp:temp1", "temperature_milli": 45_000, "critical_milli": 100_000, "alarm": 0},
            {"name": "nct6775:fan1", "fan_rpm": 1200, "alarm": 0}, {"name": "nct6775:in0", "voltage_milli": 888, "alarm": 0}
        ]});
        assert_eq!(serde_json::from_str::<Value>(&readings).unwrap(), expected);
        assert_eq!(faults, ["sensor not_found"]);
    }

    #[test]
    fn the_management_processor_adds_its_own() {
        let host = machine(NOW_MS, |report| report["runs"] = json!([run("ipmitool", None, &["sensor"], "done", IPMI)]), &[]);
        let (readings, faults) = taken(&host, "sensor");
        let expected = json!({"sensor": [
            {"name": "ipmi:FAN1", "fan_rpm": 300, "alarm": 1},
            {"name": "ipmi:CPUTemp", "temperature_milli": 77_000, "critical_milli": 101_000, "alarm": 0}
        ]});
        assert_eq!((serde_json::from_str::<Value>(&readings).unwrap(), faults.len()), (expected, 0), "{faults:?}");
    }

    #[test]
    fn a_machine_without_sensors_lacks_nothing_and_a_tool_that_fails_is_a_fault() {
        assert_eq!(taken(&machine(NOW_MS, |_| {}, &[]), "sensor"), ("{}".to_owned(), vec![]));
        assert_eq!(taken(&recorded(&[]), "sensor").1, ["sensor not_found"], "without the helper nobody knows");
        let with = |outcome: &str, out: &str| {
            taken(&machine(NOW_MS, |report| report["runs"] = json!([run("ipmitool", None, &["sensor"], outcome, out)]), &[]), "sensor").1
        };
        assert_eq!(with("missing", ""), [] as [&str; 0]);
        assert_eq!(with("done", "Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: No such file or directory"), [] as [&str; 0]);
        assert_eq!(with("timed_out", ""), ["sensor timed_out"]);
        assert_eq!(with("done", "what is this"), ["sensor malformed"]);
    }

    #[test]
    fn of_too_many_the_bad_ones_stay() {
        let lines: String = (0..100).map(|n| format!("V{n} | 1.000 | Volts | {} | na | na | na | na | na | na\n", if n == 99 { "cr" } else { "ok" })).collect();
        let host = machine(NOW_MS, |report| report["runs"] = json!([run("ipmitool", None, &["sensor"], "done", &lines)]), &[]);
        let (readings, faults) = taken(&host, "sensor");
        let readings: Value = serde_json::from_str(&readings).unwrap();
        assert_eq!((readings["sensor"].as_array().unwrap().len(), &readings["sensor"][0]["name"]), (64, &json!("ipmi:V99")));
        assert_eq!(faults, ["sensor too_many"]);
    }
}
