//! Sensors of a server's management processor: `ipmitool [-c] sensor`, `ipmitool [-c] sdr [list|elist|type …]`, and freeipmi's
//! `ipmi-sensors` with its header, as table or with commas.

use crate::verdict::Verdict;
use crate::{Outcome, RECORDS_MAX, Status, Unreadable, complaint, text};
use serde::Serialize;

mod events;
mod row;

/// How the management processor sees a value against its thresholds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Within all thresholds, or a discrete sensor that answers.
    Ok,
    /// Beyond a non-critical threshold.
    NonCritical,
    /// Beyond a critical threshold.
    Critical,
    /// Beyond the last threshold.
    NonRecoverable,
    /// Nothing is connected, the sensor is off, or the machine is.
    #[default]
    NotAvailable,
}

/// One sensor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sensor {
    /// The vendor's name, such as `CPU Temp`; several may bear the same.
    pub name: String,
    /// What it measures: `temperature`, `fan_speed`, `voltage`, `current`, `power`, `level`, `sensor`; `discrete` for states.
    pub kind: &'static str,
    /// `celsius`, `rpm`, `volts`, `amperes`, `watts`, `percent`, …; empty for states and unknown units.
    pub unit: &'static str,
    /// What it reads, in thousandths of the unit.
    pub value_milli: Option<i64>,
    /// How that stands.
    pub level: Level,
    /// Asserted states of a discrete sensor, bit by bit.
    pub states: Option<i64>,
    /// Events that the sensor tells of, by our words; what is usual is left out.
    pub events: Vec<&'static str>,
    /// Thresholds in thousandths of the unit: lower non-recoverable, critical, non-critical, upper non-critical, critical, non-recoverable.
    pub thresholds_milli: [Option<i64>; 6],
}

/// Everything in the output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sensors {
    /// In the tool's order, at most [`RECORDS_MAX`].
    pub sensors: Vec<Sensor>,
    /// Lines that are no row of the table, from 1, at most [`RECORDS_MAX`].
    pub malformed: Vec<usize>,
    /// Sensors beyond.
    pub beyond: usize,
}

const SUCH_AS: &str = "CPU Temp | 52.000 | degrees C | ok";

/// Reads the output.
///
/// # Errors
/// When it is empty or holds no row of any of the tables.
pub fn parse(input: &str) -> Result<Sensors, Unreadable> {
    let mut found = Sensors::default();
    let mut header = None;
    let mut first = None;
    for (number, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        first.get_or_insert(number + 1);
        if let Some(columns) = row::header(line) {
            header = Some(columns);
            continue;
        }
        match row::read(line, header.as_ref()) {
            Some(_) if found.sensors.len() == RECORDS_MAX => found.beyond += 1,
            Some(sensor) => found.sensors.push(sensor),
            None if found.malformed.len() < RECORDS_MAX => found.malformed.push(number + 1),
            None => {}
        }
    }
    match first {
        None => Err(Unreadable::Empty),
        // Somebody else's table may hold a row or two that look like ours.
        Some(line) if found.sensors.len() <= found.malformed.len() / 2 => Err(Unreadable::Foreign { line, such_as: SUCH_AS }),
        Some(_) => Ok(found),
    }
}

const TOOL: &[&str] = &["ipmi"];
const COMPLAINTS: &[(&str, &str)] = &[
    ("unable to establish", "io_error"),
    ("get device id command failed", "io_error"),
    ("unable to open sdr", "io_error"),
    ("could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: permission denied", "permission_denied"),
    ("could not open device at", "no_device"),
    ("password invalid", "permission_denied"),
    ("username invalid", "permission_denied"),
    ("bmc busy", "busy"),
    ("session timeout", "timed_out"),
    ("driver timeout", "timed_out"),
];

impl Sensor {
    /// Whether something is wrong with what it measures or tells of.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(self.level, Level::Critical | Level::NonRecoverable) || self.events.iter().any(|event| events::is_bad(event))
    }
}

/// How the output reads for a human or a script. Beyond a non-critical threshold alone is said and not bad.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let found = match parse(input) {
        Ok(found) => found,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    for sensor in &found.sensors {
        match sensor.level {
            Level::Critical => verdict.bad(format!("{}: critical", sensor.name)),
            Level::NonRecoverable => verdict.bad(format!("{}: non-recoverable", sensor.name)),
            Level::NonCritical => verdict.note(format!("{}: beyond its non-critical threshold", sensor.name)),
            Level::Ok | Level::NotAvailable => {}
        }
        for event in &sensor.events {
            let said = format!("{}: {}", sensor.name, event.replace('_', " "));
            if events::is_bad(event) { verdict.bad(said) } else { verdict.note(said) }
        }
    }
    let answering = found.sensors.iter().filter(|sensor| sensor.level != Level::NotAvailable).count();
    let mut outcome = verdict.outcome(format!("{answering} sensors read"));
    if outcome.status == Status::Ok && answering == 0 {
        (outcome.status, outcome.reason) = (Status::Unknown, "no sensor answers".to_owned());
    }
    for sensor in &found.sensors {
        readings(sensor, &mut outcome);
        outcome.record(sensor);
    }
    found.malformed.iter().for_each(|line| outcome.fault("malformed", &format!("line {line}: no sensor")));
    if found.beyond > 0 {
        outcome.fault("too_many", &format!("{} sensors beyond {RECORDS_MAX}", found.beyond));
    }
    Ok(outcome)
}

fn readings(sensor: &Sensor, outcome: &mut Outcome) {
    let shown = |milli: Option<i64>| milli.map(|milli| text::float(milli) / 1000.0);
    outcome.reading(sensor.kind, &[("sensor", &sensor.name)], shown(sensor.value_milli), sensor.unit);
    let limit = match sensor.kind {
        "temperature" => "temperature_limit",
        "fan_speed" => "fan_speed_limit",
        "voltage" => "voltage_limit",
        "current" => "current_limit",
        "power" => "power_limit",
        _ => "sensor_limit",
    };
    let names = ["lower_non_recoverable", "lower_critical", "lower_non_critical", "upper_non_critical", "upper_critical", "upper_non_recoverable"];
    for (name, milli) in names.into_iter().zip(sensor.thresholds_milli) {
        outcome.reading(limit, &[("sensor", &sensor.name), ("limit", name)], shown(milli), sensor.unit);
    }
}

#[cfg(test)]
mod tests;
