//! Batteries of the machine, from `sys/class/power_supply`, and power supplies, from the management processor.

use super::hardware::{printed, runs};
use super::take::Entries;
use super::{Names, Sources, Take, sensor, tree};
use mimamori_parse::ipmi_sensor::{self, Level};
use mimamori_parse::power_supply;
use mimamori_shared::fields::{Power, Readings};
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;
use std::collections::BTreeMap;

const DEPTH: usize = 2;

pub(super) fn read(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("power", faults);
    let mut found = Vec::new();
    match tree::read(sources.host, "sys/class/power_supply", DEPTH, |_| true) {
        Ok(tree) if tree.paths().next().is_none() => {}
        Ok(tree) => match power_supply::parse(&tree) {
            Ok(supplies) => found.extend(supplies.iter().filter(|supply| supply.kind == "battery").filter_map(|supply| battery(supply, sources.names))),
            Err(_) => take.fail(FaultCode::Malformed),
        },
        Err(FaultCode::NotFound) => {}
        Err(code) => take.fail(code),
    }
    supplies(sources, &mut found, &mut take);
    let mut entries = Entries::default();
    for power in found {
        if entries.admit(&power.name, &mut take) {
            readings.power.push(power);
        }
    }
}

fn battery(supply: &power_supply::Supply, names: &Names) -> Option<Power> {
    let is_dead = supply.health.as_deref().map(|health| i64::from(!matches!(health, "good" | "unknown")));
    Some(Power {
        name: names.battery(&supply.name),
        present: supply.present.map(i64::from),
        failed: is_dead,
        input_lost: None,
        charge_percent: supply.charge_percent,
        health_percent: supply.capacity_left_milli.map(|milli| milli / 1000),
    })
}

fn supplies(sources: &Sources<'_>, found: &mut Vec<Power>, take: &mut Take<'_>) {
    let Some(report) = take.whole(sources.helper()) else { return };
    let Some(run) = runs(report, "ipmitool").find(|run| run.args.iter().any(|arg| arg == "Power Supply")) else { return };
    let text = match printed(run) {
        Ok(text) => text,
        Err(FaultCode::NotFound) => return,
        Err(code) => return take.fail(code),
    };
    let sensors = match ipmi_sensor::parse(text) {
        Ok(sensors) => sensors.sensors,
        Err(_) => return sensor::complaint(text, &run.err, take),
    };
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for supply in sensors {
        // Some processors call all of their supplies `Status`.
        let times = names.entry(supply.name.clone()).and_modify(|times| *times += 1).or_insert(1);
        let number = if *times == 1 { String::new() } else { format!("-{times}") };
        let told = |events: &[&str]| i64::from(supply.events.iter().any(|event| events.contains(event)));
        let Some(name) = Word::hardware(&format!("psu:{}{number}", supply.name)) else { continue };
        let is_there = supply.level != Level::NotAvailable;
        // A bay that is empty has neither failed nor lost its input.
        let of = |flag: i64| is_there.then_some(flag);
        let failed = of(told(&["failure_detected", "predictive_failure", "configuration_error"]));
        let input_lost = of(told(&["input_lost", "input_out_of_range"]));
        found.push(Power { name, present: Some(i64::from(is_there)), failed, input_lost, ..Power::default() });
    }
}

#[cfg(test)]
mod tests {
    use super::super::hardware::tests::{NOW_MS, machine, run};
    use crate::probe::tests::{recorded, taken};
    use serde_json::{Value, json};

    #[test]
    fn a_battery_is_told_with_what_is_left_of_it() {
        let host = recorded(&[
            ("sys/class/power_supply/AC/type", "Mains\n"),
            ("sys/class/power_supply/AC/online", "1\n"),
            ("sys/class/power_supply/BAT0/type", "Battery\n"),
            ("sys/class/power_supply/BAT0/present", "1\n"),
            ("sys/class/power_supply/BAT0/capacity", "87\n"),
            ("sys/class/power_supply/BAT0/energy_full", "40000000\n"),
            ("sys/class/power_supply/BAT0/energy_full_design", "50000000\n"),
        ]);
        assert_eq!(taken(&host, "power").0, r#"{"power":[{"name":"BAT0","present":1,"charge_percent":87,"health_percent":80}]}"#);
        assert_eq!(taken(&recorded(&[]), "power"), ("{}".to_owned(), vec!["power not_found".to_owned()]), "there is no helper");
        // A mouse or a UPS on the USB: the kernel puts its address or serial number into the name.
        let own = "sys/class/power_supply/hid-00:1f:20:aa:bb:cc-battery/type";
        let (readings, _) = taken(&recorded(&[(own, "Battery\n"), (&own.replace("type", "capacity"), "5\n")]), "power");
        assert!(readings.contains("bat-") && !readings.contains("aa:bb"), "{readings}");
    }

    #[test]
    fn supplies_of_one_name_are_told_apart() {
        let text = "Status | 85h | ok | 10.1 | Presence detected\nStatus | 86h | ok | 10.2 | Presence detected, Failure detected\n";
        let host = machine(NOW_MS, |report| report["runs"] = json!([run("ipmitool", None, &["sdr", "type", "Power Supply"], "done", text)]), &[]);
        let readings: Value = serde_json::from_str(&taken(&host, "power").0).unwrap();
        assert_eq!((&readings["power"][1]["name"], &readings["power"][1]["failed"]), (&json!("psu:Status-2"), &json!(1)));
    }

    #[test]
    fn a_supply_that_failed_is_told_from_one_without_input() {
        let text = "PS1 Status | C8h | ok | 10.1 | Presence detected, Failure detected\nPS2 Status | C9h | ok | 10.2 | Presence detected, Power Supply AC lost\nPS3 Status | CAh | ok | 10.3 | Presence detected\n";
        let host = machine(NOW_MS, |report| report["runs"] = json!([run("ipmitool", None, &["sdr", "type", "Power Supply"], "done", text)]), &[]);
        let (readings, faults) = taken(&host, "power");
        let expected = json!({"power": [
            {"name": "psu:PS1Status", "present": 1, "failed": 1, "input_lost": 0},
            {"name": "psu:PS2Status", "present": 1, "failed": 0, "input_lost": 1},
            {"name": "psu:PS3Status", "present": 1, "failed": 0, "input_lost": 0}
        ]});
        assert_eq!((serde_json::from_str::<Value>(&readings).unwrap(), faults.len()), (expected, 0), "{faults:?}");
    }
}
