//! Batteries and mains of the machine itself: a folder as under `/sys/class/power_supply` (Documentation/ABI/testing/sysfs-class-power).

use crate::verdict::Verdict;
use crate::{Outcome, RECORDS_MAX, Status, Tree, Unreadable, text};
use serde::Serialize;
use std::collections::BTreeSet;

/// One supply. The serial number is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Supply {
    /// Such as `BAT0` or `AC`.
    pub name: String,
    /// `battery`, `mains`, `ups`, `usb` or `other`.
    pub kind: &'static str,
    /// The maker's name for it.
    pub model: Option<String>,
    /// Whether a supply from outside feeds the machine.
    pub online: Option<bool>,
    /// Whether the battery is in its bay.
    pub present: Option<bool>,
    /// `charging`, `discharging`, `full`, `not_charging` or `unknown`.
    pub charging: Option<&'static str>,
    /// Charge in percent.
    pub charge_percent: Option<i64>,
    /// `good`, `overheat`, `dead`, `over_voltage`, `cold`, …
    pub health: Option<String>,
    /// Charged and discharged so often.
    pub cycles: Option<i64>,
    /// What it holds when full, of what it held when new, in thousandths of a percent.
    pub capacity_left_milli: Option<i64>,
    /// In microvolts.
    pub voltage_uv: Option<i64>,
    /// In microwatts.
    pub power_uw: Option<i64>,
    /// In tenths of a degree Celsius.
    pub temperature_tenths: Option<i64>,
}

const SUCH_AS: &str = "BAT0/type";
/// What a battery still holds, in thousandths of a percent, below which it is worth a word.
const WORN_MILLI: i64 = 50_000;

/// Reads the folder.
///
/// # Errors
/// When it is empty, or no folder in it has a `type`.
pub fn parse(tree: &Tree) -> Result<Vec<Supply>, Unreadable> {
    let mut any = false;
    let mut folders = BTreeSet::new();
    for path in tree.paths() {
        any = true;
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        if file == "type" && kind(tree.line(path).unwrap_or_default()).is_some() {
            folders.insert(folder);
        }
    }
    match (any, folders.is_empty()) {
        (false, _) => Err(Unreadable::Empty),
        (true, true) => Err(Unreadable::Foreign { line: 1, such_as: SUCH_AS }),
        // A bounded tree holds few more; what is beyond is no machine's.
        _ => Ok(folders.into_iter().take(RECORDS_MAX).map(|folder| supply(tree, folder)).collect()),
    }
}

fn kind(word: &str) -> Option<&'static str> {
    Some(match word {
        "Battery" => "battery",
        "Mains" => "mains",
        "UPS" => "ups",
        "USB" | "USB_DCP" | "USB_CDP" | "USB_ACA" | "USB_C" | "USB_PD" | "USB_PD_DRP" | "BrickID" => "usb",
        "Unknown" | "Wireless" => "other",
        _ => return None,
    })
}

fn supply(tree: &Tree, folder: &str) -> Supply {
    let line = |file: &str| if folder.is_empty() { tree.line(file) } else { tree.line(&format!("{folder}/{file}")) }.filter(|line| !line.is_empty());
    let number = |file: &str| line(file).and_then(|line| line.strip_prefix('-').map_or_else(|| text::whole(line), |digits| text::whole(digits).map(|n| -n)));
    let flag = |file: &str| number(file).map(|flag| flag != 0);
    let left = |full: &str, design: &str| number(full)?.checked_mul(100_000)?.checked_div(number(design).filter(|design| *design > 0)?);
    Supply {
        name: text::hardware(folder.rsplit('/').next().unwrap_or_default()),
        kind: line("type").and_then(kind).unwrap_or("other"),
        model: line("model_name").map(text::hardware).filter(|model| !model.is_empty()),
        online: flag("online"),
        present: flag("present"),
        charging: line("status").map(|word| match word {
            "Charging" => "charging",
            "Discharging" => "discharging",
            "Full" => "full",
            "Not charging" => "not_charging",
            _ => "unknown",
        }),
        charge_percent: number("capacity").filter(|percent| (0..=100).contains(percent)),
        health: line("health").map(|word| text::hardware(word).to_ascii_lowercase().replace(' ', "_")),
        cycles: number("cycle_count").filter(|cycles| *cycles > 0),
        capacity_left_milli: left("energy_full", "energy_full_design").or_else(|| left("charge_full", "charge_full_design")),
        voltage_uv: number("voltage_now"),
        power_uw: number("power_now"),
        temperature_tenths: number("temp"),
    }
}

/// How the folder reads for a human or a script. A machine on its battery is bad: somebody pulled the plug, or the power is out.
///
/// # Errors
/// As [`parse`].
pub fn outcome(tree: &Tree, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let supplies = parse(tree)?;
    let mut verdict = Verdict::default();
    let outside = |supply: &&Supply| ["mains", "usb", "ups"].contains(&supply.kind) && supply.online.is_some();
    let fed = supplies.iter().filter(outside).any(|supply| supply.online == Some(true));
    let mains_told = supplies.iter().any(|supply| supply.kind == "mains" && supply.online.is_some());
    for supply in &supplies {
        let own = supply.kind == "battery" && supply.present != Some(false);
        if let Some(health) = supply.health.as_deref().filter(|health| !["good", "unknown"].contains(health)) {
            verdict.bad(format!("{}: {}", supply.name, health.replace('_', " ")));
        }
        if own && supply.charging == Some("discharging") && !fed && mains_told {
            verdict.bad(format!("{}: on battery", supply.name));
        }
        if own && supply.capacity_left_milli.is_some_and(|left| left < WORN_MILLI) {
            verdict.note(format!("{}: holds less than half of what it held when new", supply.name));
        }
    }
    if mains_told && !fed && !supplies.iter().any(|supply| supply.charging == Some("discharging")) {
        verdict.bad("no mains");
    }
    let mut outcome = verdict.outcome("fed from outside");
    if outcome.status == Status::Ok && !fed {
        (outcome.status, outcome.reason) = (Status::Unknown, "it is not told what feeds the machine".to_owned());
    }
    for supply in &supplies {
        let labels = [("supply", supply.name.as_str())];
        let parts = |value: Option<i64>, parts: f64| value.map(|value| text::float(value) / parts);
        for (name, value, unit) in [
            ("supply_online", parts(supply.online.map(i64::from), 1.0), "boolean"),
            ("battery_charge", parts(supply.charge_percent, 1.0), "percent"),
            ("battery_capacity_left", parts(supply.capacity_left_milli, 1000.0), "percent"),
            ("battery_cycles", parts(supply.cycles, 1.0), "count"),
            ("battery_voltage", parts(supply.voltage_uv, 1e6), "volts"),
            ("battery_power", parts(supply.power_uw, 1e6), "watts"),
            ("battery_temperature", parts(supply.temperature_tenths, 10.0), "celsius"),
        ] {
            outcome.reading(name, &labels, value, unit);
        }
        outcome.record(supply);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        files.iter().for_each(|(path, text)| tree.put(*path, *text).unwrap());
        tree
    }

    fn laptop(online: &str, status: &str, health: &str, full: &str) -> Outcome {
        let files = [
            ("AC/type", "Mains\n"),
            ("AC/online", online),
            ("BAT0/type", "Battery\n"),
            ("BAT0/present", "1"),
            ("BAT0/status", status),
            ("BAT0/health", health),
            ("BAT0/capacity", "81"),
            ("BAT0/energy_full", full),
            ("BAT0/energy_full_design", "47520000"),
            ("BAT0/voltage_now", "11660000"),
            ("BAT0/serial_number", "SN38109"),
            ("BAT0/temp", "305"),
        ];
        outcome(&tree(&files), None).unwrap()
    }

    #[test]
    fn a_laptop_is_judged() {
        let fine = laptop("1", "Full", "Good", "45070000");
        assert_eq!((fine.status, fine.reason.as_str(), fine.readings.len(), fine.records.len()), (Status::Ok, "fed from outside", 5, 2));
        assert!(!serde_json::to_string(&fine).unwrap().contains("SN38109"));
        assert_eq!(laptop("0", "Discharging", "Good", "45070000").reason, "BAT0: on battery");
        assert_eq!(laptop("0", "Not charging", "Good", "45070000").reason, "no mains");
        assert_eq!(laptop("1", "Full", "Dead", "45070000").reason, "BAT0: dead");
        let worn = laptop("1", "Full", "Good", "20000000");
        assert_eq!((worn.status, worn.reason.contains("less than half")), (Status::Ok, true));
    }

    #[test]
    fn what_is_not_told_is_unknown() {
        assert_eq!(outcome(&tree(&[("hid-mouse/type", "Battery"), ("hid-mouse/capacity", "5")]), None).unwrap().status, Status::Unknown);
        assert_eq!(outcome(&tree(&[("type", "Mains"), ("online", "1")]), None).unwrap().status, Status::Ok);
        assert_eq!(parse(&tree(&[])), Err(Unreadable::Empty));
        assert!(matches!(parse(&tree(&[("hwmon0/type", "3")])), Err(Unreadable::Foreign { .. })));
    }

    proptest! {
        #[test]
        fn any_folder_is_taken(files in prop::collection::vec(("(AC|BAT0)/(type|online|status|capacity|energy_full|energy_full_design|\
            temp)", "(Battery|Mains|-?[0-9]{0,21}|.*)"), 0..9)) {
            let mut tree = Tree::default();
            for (path, text) in files {
                tree.put(path, text).unwrap();
            }
            if let Ok(outcome) = outcome(&tree, None) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
