//! One line of each of the tables.

use super::{Level, Sensor, events};
use crate::text;

/// Columns of freeipmi's table, by its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    separator: char,
    name: usize,
    reading: usize,
    units: usize,
    event: usize,
    state: Option<usize>,
}

/// freeipmi's header, which says where what stands.
pub(super) fn header(line: &str) -> Option<Columns> {
    let separator = if line.contains('|') { '|' } else { ',' };
    let names: Vec<&str> = line.split(separator).map(str::trim).collect();
    let at = |name: &str| names.iter().position(|column| column.eq_ignore_ascii_case(name));
    let event = at("Event").or_else(|| at("Sensor Event"))?;
    Some(Columns { separator, name: at("Name").or_else(|| at("Sensor Name"))?, reading: at("Reading")?, units: at("Units")?, event, state: at("State") })
}

/// A row of whichever table it is.
pub(super) fn read(line: &str, header: Option<&Columns>) -> Option<Sensor> {
    if let Some(columns) = header {
        let cells: Vec<&str> = line.split(columns.separator).map(str::trim).collect();
        return by_header(&cells, columns);
    }
    // `ipmitool -c` parts its columns by commas; behind the status stand some that we do not need.
    if !line.contains('|') {
        let cells: Vec<&str> = line.splitn(5, ',').map(str::trim).collect();
        return match cells.as_slice() {
            [_, _, _, _, ..] => sensor(cells.get(..4)?),
            [name, reading, status] => listed(name, reading, status),
            _ => None,
        };
    }
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    match cells.as_slice() {
        [_, _, _, _, _, _, _, _, _, _, ..] | [_, _, _, _] => sensor(&cells),
        [name, number, status, _entity, reading] if number.ends_with('h') => listed(name, reading, status),
        [name, reading, status] => listed(name, reading, status),
        _ => None,
    }
}

/// `ipmitool sensor`: name, value, unit, status, six thresholds.
fn sensor(cells: &[&str]) -> Option<Sensor> {
    let [name, value, unit, status, thresholds @ ..] = cells else { return None };
    let mut sensor = named(name)?;
    if *unit == "discrete" {
        sensor.kind = "discrete";
        sensor.states = states(status);
        let known = sensor.states.is_some();
        sensor.level = if known { Level::Ok } else { level(status)? };
        sensor.events = sensor.states.map(|states| events::of_states(&sensor.name, states)).unwrap_or_default();
        return Some(sensor);
    }
    sensor.level = level(status)?;
    measure(&mut sensor, value, unit)?;
    for (place, threshold) in sensor.thresholds_milli.iter_mut().zip(thresholds) {
        *place = text::milli(threshold);
    }
    Some(sensor)
}

/// `ipmitool sdr`: what is read stands with its unit, and for states as words or as a number.
fn listed(name: &str, reading: &str, status: &str) -> Option<Sensor> {
    let mut sensor = named(name)?;
    sensor.level = level(status)?;
    if let Some((value, unit)) = reading.split_once(' ')
        && text::decimal(value).is_some()
    {
        measure(&mut sensor, value, unit.trim())?;
    } else {
        sensor.kind = "discrete";
        sensor.events = events::of_words(reading);
        let silent = ["no reading", "not readable", "disabled", "not available", "na"].iter().any(|word| reading.eq_ignore_ascii_case(word));
        if silent {
            sensor.level = Level::NotAvailable;
        }
    }
    Some(sensor)
}

fn by_header(cells: &[&str], columns: &Columns) -> Option<Sensor> {
    let cell = |at: usize| cells.get(at).copied();
    let mut sensor = named(cell(columns.name)?)?;
    let (value, unit) = (cell(columns.reading)?, cell(columns.units)?);
    // With commas, an event may hold one itself.
    let event = cells.get(columns.event..)?.join(",");
    let nothing = value.eq_ignore_ascii_case("n/a");
    measure(&mut sensor, value, unit)?;
    if nothing {
        sensor.kind = "discrete";
    }
    sensor.events = events::of_words(&event);
    let state = columns.state.and_then(cell).unwrap_or_default();
    sensor.level = match state {
        "Critical" => Level::Critical,
        "Warning" => Level::NonCritical,
        _ if nothing && event.contains("N/A") => Level::NotAvailable,
        _ => Level::Ok,
    };
    if state == "Nominal" {
        sensor.events.clear();
    }
    Some(sensor)
}

fn named(name: &str) -> Option<Sensor> {
    let name = text::hardware(name);
    if name.is_empty() { None } else { Some(Sensor { name, ..Sensor::default() }) }
}

/// The status column, in its short, extended and verbose words.
fn level(status: &str) -> Option<Level> {
    Some(match status.to_ascii_lowercase().as_str() {
        "ok" => Level::Ok,
        "nc" | "lnc" | "unc" | "lower non-critical" | "upper non-critical" => Level::NonCritical,
        "cr" | "lcr" | "ucr" | "lower critical" | "upper critical" => Level::Critical,
        "nr" | "lnr" | "unr" | "lower non-recoverable" | "upper non-recoverable" => Level::NonRecoverable,
        "ns" | "na" | "us" => Level::NotAvailable,
        _ => return None,
    })
}

/// States as `0x0180`: bits 0 to 7 in the first byte, 8 to 14 in the second, whose highest bit is always set by some.
fn states(status: &str) -> Option<i64> {
    let digits = status.strip_prefix("0x").filter(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let both = i64::from_str_radix(digits, 16).ok()?;
    Some((both >> 8) | ((both & 0x7f) << 8))
}

/// Takes value and unit over; `None` when the value is neither a number nor one of the words for "nothing".
fn measure(sensor: &mut Sensor, value: &str, unit: &str) -> Option<()> {
    (sensor.kind, sensor.unit) = match unit {
        "degrees C" | "C" => ("temperature", "celsius"),
        "degrees F" | "F" => ("temperature", "fahrenheit"),
        "degrees K" | "K" => ("temperature", "kelvin"),
        "RPM" => ("fan_speed", "rpm"),
        "Volts" | "V" => ("voltage", "volts"),
        "Amps" | "A" => ("current", "amperes"),
        "Watts" | "W" => ("power", "watts"),
        "percent" | "%" => ("level", "percent"),
        _ => ("sensor", ""),
    };
    sensor.value_milli = text::milli(value);
    let nothing = ["na", "n/a", "disabled", "no reading"].iter().any(|word| value.eq_ignore_ascii_case(word)) || value.starts_with("0x");
    (sensor.value_milli.is_some() || nothing).then_some(())
}
