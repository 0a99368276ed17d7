//! Sensors of the kernel: a folder as under `/sys/class/hwmon` (Documentation/hwmon/sysfs-interface.rst).
//!
//! Old kernels keep a chip's files in `hwmon0/device/`, and a folder that was copied with its links may hold them deeper
//! still: a chip is wherever a file such as `temp1_input` lies, and `hwmonN` in its path names it.

use crate::verdict::Verdict;
use crate::{Outcome, RECORDS_MAX, Status, Tree, Unreadable, text};
use serde::Serialize;
use std::collections::BTreeMap;

/// One sensor. Values and limits are in the kernel's unit, which [`Sensor::unit`] names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sensor {
    /// The driver, such as `coretemp`.
    pub chip: Option<String>,
    /// The chip's place, such as `hwmon0`; it may change at each boot.
    pub device: String,
    /// Which of the chip, such as `temp1`.
    pub sensor: String,
    /// What the driver calls it, such as `Core 0`.
    pub label: Option<String>,
    /// `temperature`, `fan_speed`, `voltage`, `current`, `power`, `energy`, `humidity`, `frequency` or `intrusion`.
    pub kind: &'static str,
    /// `millicelsius`, `rpm`, `millivolts`, `milliamperes`, `microwatts`, `microjoules`, `millipercent` or `hertz`.
    pub unit: &'static str,
    /// What it reads; for power its average where the chip measures nothing else.
    pub value: Option<i64>,
    /// Whether a sensor seems to be there: false where nothing is connected or the sensor is switched off.
    pub connected: bool,
    /// Low limit.
    pub min: Option<i64>,
    /// High limit.
    pub max: Option<i64>,
    /// Critical low limit.
    pub lcrit: Option<i64>,
    /// Critical high limit.
    pub crit: Option<i64>,
    /// Limit above the critical one.
    pub emergency: Option<i64>,
    /// Power limit that the machine keeps to.
    pub cap: Option<i64>,
    /// A limit of whatever kind was passed, by the chip's word.
    pub alarm: Option<bool>,
    /// A critical or emergency limit was passed, by the chip's word.
    pub crit_alarm: Option<bool>,
    /// The sensor is broken, by the chip's word.
    pub fault: Option<bool>,
    /// The kernel's number of the sensor's make (3 diode, 4 thermistor, 5 AMD, 6 Intel PECI).
    pub make: Option<i64>,
}

/// Everything in the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hwmon {
    /// By chip and sensor, at most [`RECORDS_MAX`].
    pub sensors: Vec<Sensor>,
    /// Sensors beyond that.
    pub beyond: usize,
    /// Files that hold no number, at most [`RECORDS_MAX`].
    pub malformed: Vec<String>,
}

/// One kind of sensor: prefix of its files, name, name of its limits as readings, the kernel's unit, unit shown, parts of it.
type KindRow = (&'static str, &'static str, &'static str, &'static str, &'static str, f64);

const SENSOR_KINDS: &[KindRow] = &[
    ("temp", "temperature", "temperature_limit", "millicelsius", "celsius", 1000.0),
    ("fan", "fan_speed", "fan_speed_limit", "rpm", "rpm", 1.0),
    ("in", "voltage", "voltage_limit", "millivolts", "volts", 1000.0),
    ("curr", "current", "current_limit", "milliamperes", "amperes", 1000.0),
    ("power", "power", "power_limit", "microwatts", "watts", 1_000_000.0),
    ("energy", "energy", "energy_limit", "microjoules", "joules", 1_000_000.0),
    ("humidity", "humidity", "humidity_limit", "millipercent", "percent", 1000.0),
    ("freq", "frequency", "frequency_limit", "hertz", "hertz", 1.0),
    ("intrusion", "intrusion", "intrusion_limit", "", "", 1.0),
];

const SUCH_AS: &str = "hwmon0/temp1_input";

/// Temperatures that a machine can have, in millidegrees. Chips answer -128 or 127 °C where nothing is connected.
const TEMPERATURES: std::ops::Range<i64> = -40_000..127_000;
/// Critical temperatures that somebody meant, in millidegrees; 127 and 65261.85 °C mean "not set".
const LIMITS: std::ops::Range<i64> = 30_000..127_000;

/// The files of one sensor, by what they hold: `input`, `max`, …
type Attributes<'a> = BTreeMap<&'a str, &'a str>;

/// The sensors of one chip, by prefix and number.
type Chip<'a> = BTreeMap<(&'static str, u32), (&'static KindRow, Attributes<'a>)>;

/// Reads the folder.
///
/// # Errors
/// When it is empty, or nothing in it is a sensor's file or a chip's name.
pub fn parse(tree: &Tree) -> Result<Hwmon, Unreadable> {
    let mut chips: BTreeMap<&str, Chip> = BTreeMap::new();
    for path in tree.paths() {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some((row, number, attribute)) = split(file) {
            let sensors = chips.entry(chip_of(folder)).or_default();
            sensors.entry((row.0, number)).or_insert_with(|| (row, Attributes::new())).1.entry(attribute).or_insert(path);
        }
    }
    let named = tree.paths().any(|path| path == "name" || path.ends_with("/name"));
    match (tree.paths().next(), chips.is_empty() && !named) {
        (None, _) => return Err(Unreadable::Empty),
        (_, true) => return Err(Unreadable::Foreign { line: 1, such_as: SUCH_AS }),
        _ => {}
    }
    let mut hwmon = Hwmon::default();
    for (chip, sensors) in &chips {
        let name = ["name", "device/name"].iter().find_map(|file| tree.line(&format!("{chip}/{file}"))).or_else(|| tree.line("name"));
        for ((prefix, number), (row, files)) in sensors {
            if hwmon.sensors.len() == RECORDS_MAX {
                hwmon.beyond += 1;
                continue;
            }
            let mut sensor = sensor(tree, row, files, &mut hwmon.malformed);
            sensor.chip = name.or_else(|| beside(tree, files)).map(text::hardware);
            sensor.device = text::hardware(chip.rsplit('/').next().unwrap_or_default());
            sensor.sensor = format!("{prefix}{number}");
            hwmon.sensors.push(sensor);
        }
    }
    Ok(hwmon)
}

/// A file's name in parts: `temp1_max_alarm` is temperature, 1, `max_alarm`.
fn split(file: &str) -> Option<(&'static KindRow, u32, &str)> {
    let (sensor, attribute) = file.split_once('_')?;
    let digits = sensor.find(|c: char| c.is_ascii_digit())?;
    let (prefix, number) = sensor.split_at(digits);
    let row = SENSOR_KINDS.iter().find(|row| row.0 == prefix)?;
    Some((row, text::whole(number)?.try_into().ok()?, attribute))
}

/// The chip that a folder belongs to: up to the first `hwmonN` in it, else the folder itself.
fn chip_of(folder: &str) -> &str {
    let mut end = 0;
    for part in folder.split('/') {
        end += part.len();
        if part.strip_prefix("hwmon").is_some_and(|number| !number.is_empty() && text::whole(number).is_some()) {
            return folder.get(..end).unwrap_or(folder);
        }
        end += 1;
    }
    folder.strip_suffix("/device").unwrap_or(folder)
}

/// The name that lies beside a sensor's files.
fn beside<'a>(tree: &'a Tree, files: &Attributes) -> Option<&'a str> {
    let (folder, _) = files.values().next()?.rsplit_once('/')?;
    tree.line(&format!("{folder}/name"))
}

fn sensor(tree: &Tree, row: &'static KindRow, files: &Attributes, malformed: &mut Vec<String>) -> Sensor {
    let mut number = |attribute: &str| {
        let path = files.get(attribute)?;
        let line = tree.line(path).filter(|line| !line.is_empty())?;
        let value = line.strip_prefix('-').map_or_else(|| text::whole(line), |digits| text::whole(digits).map(|n| -n));
        if value.is_none() && malformed.len() < RECORDS_MAX {
            malformed.push((*path).to_owned());
        }
        value
    };
    let mut sensor = Sensor { kind: row.1, unit: row.3, value: number("input").or_else(|| number("average")), ..Sensor::default() };
    let switched_off = number("enable") == Some(0);
    (sensor.min, sensor.max, sensor.lcrit, sensor.crit) = (number("min"), number("max"), number("lcrit"), number("crit"));
    (sensor.emergency, sensor.cap, sensor.make) = (number("emergency"), number("cap"), number("type"));
    let mut flag = |names: &[&str]| {
        let raised: Vec<bool> = names.iter().filter_map(|name| number(name)).map(|flag| flag != 0).collect();
        if raised.is_empty() { None } else { Some(raised.contains(&true)) }
    };
    sensor.alarm = flag(&["alarm", "min_alarm", "max_alarm", "cap_alarm"]);
    sensor.crit_alarm = flag(&["crit_alarm", "lcrit_alarm", "emergency_alarm"]);
    sensor.fault = flag(&["fault"]);
    let plausible = |value| row.1 != "temperature" || (TEMPERATURES.contains(&value) && value != 0);
    sensor.connected = !switched_off && sensor.value.is_some_and(plausible);
    sensor.label = files.get("label").and_then(|path| tree.line(path)).filter(|label| !label.is_empty()).map(text::hardware);
    sensor
}

impl Sensor {
    /// Whether something is wrong with what it measures, or with itself.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        let mut verdict = Verdict::default();
        self.judge(&mut verdict);
        verdict.is_bad()
    }

    /// Says what is wrong with it, or worth knowing.
    fn judge(&self, verdict: &mut Verdict) {
        let name = self.name();
        if self.kind == "intrusion" {
            // Latched until somebody resets it, and on most boards nothing is connected.
            if self.alarm == Some(true) {
                verdict.note(format!("{name}: chassis was opened at some time, or has no switch"));
            }
            return;
        }
        if self.fault == Some(true) {
            verdict.bad(format!("{name}: sensor fault"));
        }
        let beyond = self.beyond();
        if self.crit_alarm == Some(true) && (self.connected || self.value.is_none()) {
            verdict.bad(format!("{name}: critical alarm"));
        } else if let Some(limit) = beyond {
            verdict.bad(format!("{name}: beyond its {limit} limit"));
        } else if self.alarm == Some(true) && self.alarm_counts() {
            verdict.bad(format!("{name}: alarm"));
        } else if self.alarm == Some(true) || self.crit_alarm == Some(true) {
            verdict.note(format!("{name}: alarm without a limit or a sensor, not counted"));
        } else if self.above_max() {
            verdict.note(format!("{name}: above its high limit"));
        }
    }

    fn name(&self) -> String {
        let label = self.label.as_deref().map(|label| format!(" ({label})")).unwrap_or_default();
        format!("{} {}{label}", self.chip.as_deref().unwrap_or(&self.device), self.sensor)
    }

    /// The limit that ends in damage and is passed.
    fn beyond(&self) -> Option<&'static str> {
        let value = self.value.filter(|_| self.connected)?;
        let sane = |limit: &i64| if self.kind == "temperature" { LIMITS.contains(limit) } else { *limit > 0 };
        if self.emergency.filter(sane).is_some_and(|limit| value >= limit) {
            return Some("emergency");
        }
        if self.crit.filter(sane).is_some_and(|limit| value >= limit) {
            return Some("critical");
        }
        if self.kind != "temperature" && self.lcrit.filter(sane).is_some_and(|limit| value <= limit) {
            return Some("low critical");
        }
        // A fan has no critical limit: what is below its minimum is stopping. Where the chip has an alarm, that decides.
        let slow = self.kind == "fan_speed" && self.alarm.is_none() && self.min.filter(sane).is_some_and(|limit| value < limit);
        if slow { Some("minimum") } else { None }
    }

    /// Whether the chip's alarm means something: boards leave unused inputs with limits of zero, and those alarm for ever.
    fn alarm_counts(&self) -> bool {
        let limits = [self.min, self.max, self.lcrit, self.crit, self.emergency, self.cap];
        let mut set = limits.iter().flatten().peekable();
        let unset = set.peek().is_some() && set.all(|limit| *limit == 0);
        !unset && (self.connected || self.value.is_none())
    }

    fn above_max(&self) -> bool {
        let sane = |limit: &i64| *limit > 0 && (self.kind != "temperature" || LIMITS.contains(limit));
        self.connected && self.value.zip(self.max.filter(sane)).is_some_and(|(value, limit)| value > limit)
    }
}

/// How the folder reads for a human or a script. Above the high limit alone is said and not bad: that is where fans speed up.
///
/// # Errors
/// As [`parse`].
pub fn outcome(tree: &Tree, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let hwmon = parse(tree)?;
    let mut verdict = Verdict::default();
    hwmon.sensors.iter().for_each(|sensor| sensor.judge(&mut verdict));
    let measured = hwmon.sensors.iter().filter(|sensor| sensor.connected).count();
    let mut outcome = verdict.outcome(format!("{measured} sensors read"));
    if outcome.status == Status::Ok && measured == 0 {
        (outcome.status, outcome.reason) = (Status::Unknown, "no sensor with a value".to_owned());
    }
    for sensor in &hwmon.sensors {
        readings(sensor, &mut outcome);
        outcome.record(sensor);
    }
    hwmon.malformed.iter().for_each(|path| outcome.fault("malformed", &format!("{path}: no whole number")));
    if hwmon.beyond > 0 {
        outcome.fault("too_many", &format!("{} sensors beyond {RECORDS_MAX}", hwmon.beyond));
    }
    Ok(outcome)
}

fn readings(sensor: &Sensor, outcome: &mut Outcome) {
    let Some((_, name, limits, _, unit, parts)) = SENSOR_KINDS.iter().find(|row| row.1 == sensor.kind) else { return };
    let chip = sensor.chip.as_deref().unwrap_or_default();
    let label = sensor.label.as_deref().unwrap_or_default();
    let labels = [("chip", chip), ("device", &sensor.device), ("sensor", &sensor.sensor), ("label", label)];
    let shown = |value: Option<i64>| value.map(|value| text::float(value) / parts);
    outcome.reading(name, &labels, shown(sensor.value.filter(|_| sensor.connected)), unit);
    let all = [("min", sensor.min), ("max", sensor.max), ("lcrit", sensor.lcrit), ("crit", sensor.crit), ("emergency", sensor.emergency), ("cap", sensor.cap)];
    for (limit, value) in all {
        let meant = |value: &i64| sensor.kind != "temperature" || TEMPERATURES.contains(value);
        let labels: Vec<_> = labels.iter().copied().chain([("limit", limit)]).collect();
        outcome.reading(limits, &labels, shown(value.filter(meant)), unit);
    }
}

#[cfg(test)]
mod tests;
