//! A power supply with a battery, whichever tool told of it: what is bad about it is decided here once.

use crate::verdict::Verdict;
use crate::{Outcome, RECORDS_MAX, Status, Unreadable, text};
use serde::Serialize;
use std::collections::BTreeMap;

/// Words of a status that are looked at.
const WORDS_MAX: usize = 64;

/// What a UPS says of itself. A UPS may be in several of these at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Fed by the mains.
    Online,
    /// Fed by its battery.
    OnBattery,
    /// The battery is nearly empty.
    LowBattery,
    /// The battery is charged too high.
    HighBattery,
    /// The battery has to be replaced.
    ReplaceBattery,
    /// There is no battery.
    NoBattery,
    /// The battery is being charged.
    Charging,
    /// The battery is being discharged.
    Discharging,
    /// The load hangs on the mains alone.
    Bypass,
    /// It measures its battery.
    Calibrating,
    /// It tests itself.
    Testing,
    /// Its output is off.
    Off,
    /// More hangs on it than it bears.
    Overloaded,
    /// It lowers the mains' voltage.
    Trimming,
    /// It raises the mains' voltage.
    Boosting,
    /// It is about to switch off.
    ShuttingDown,
    /// It raises an alarm of its own.
    Alarm,
    /// It is too hot.
    Overheated,
    /// The last self-test failed.
    TestFailed,
    /// The tool has lost it.
    CommunicationLost,
    /// The tool has only just started.
    Waiting,
    /// A word that we do not know.
    Other,
}

impl Flag {
    /// What is bad about it, in words; `None` when nothing is.
    fn bad(self) -> Option<&'static str> {
        Some(match self {
            Flag::OnBattery => "on battery",
            Flag::LowBattery => "battery nearly empty",
            Flag::ReplaceBattery => "battery to be replaced",
            Flag::NoBattery => "no battery",
            Flag::Off => "output is off",
            Flag::Overloaded => "overloaded",
            Flag::ShuttingDown => "about to switch off",
            Flag::Alarm => "alarm",
            Flag::Overheated => "too hot",
            Flag::TestFailed => "self-test failed",
            _ => return None,
        })
    }

    /// What is worth saying although it is not bad.
    fn note(self) -> Option<&'static str> {
        Some(match self {
            Flag::HighBattery => "battery charged too high",
            Flag::Bypass => "on bypass: not protected",
            Flag::Calibrating => "calibrating its battery",
            Flag::Testing => "testing itself",
            Flag::Trimming => "lowers the voltage",
            Flag::Boosting => "raises the voltage",
            Flag::Other => "says a word that is not known",
            _ => return None,
        })
    }
}

/// One UPS. Names, serial numbers and places that the facility gave it are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ups {
    /// The maker's name for it.
    pub model: Option<String>,
    /// What it says of itself; `None` when the input holds no status.
    pub flags: Option<Vec<Flag>>,
    /// In thousandths of a percent.
    pub battery_charge_milli: Option<i64>,
    /// Charge at which the battery counts as low, in thousandths of a percent.
    pub battery_charge_low_milli: Option<i64>,
    /// How long the battery would last, in seconds.
    pub battery_runtime_s: Option<i64>,
    /// Runtime at which the battery counts as low, in seconds.
    pub battery_runtime_low_s: Option<i64>,
    /// In thousandths of a volt.
    pub battery_voltage_milli: Option<i64>,
    /// In thousandths of a degree Celsius.
    pub battery_temperature_milli: Option<i64>,
    /// Of what it can bear, in thousandths of a percent.
    pub load_milli: Option<i64>,
    /// In thousandths of a watt.
    pub power_milli: Option<i64>,
    /// In thousandths of a volt.
    pub input_voltage_milli: Option<i64>,
    /// In thousandths of a hertz.
    pub input_frequency_milli: Option<i64>,
    /// In thousandths of a volt.
    pub output_voltage_milli: Option<i64>,
    /// In thousandths of an ampere.
    pub output_current_milli: Option<i64>,
    /// In thousandths of a degree Celsius.
    pub temperature_milli: Option<i64>,
    /// Changes to battery since the tool started.
    pub transfers: Option<i64>,
    /// How long it has been on battery, in seconds.
    pub on_battery_s: Option<i64>,
}

/// An answer about a UPS. On battery is bad even when it is a test: whoever planned the test knows.
pub(crate) fn outcome(ups: &Ups) -> Outcome {
    let mut verdict = Verdict::default();
    match ups.flags.as_deref() {
        None | Some([]) => verdict.unknown("the UPS tells no status"),
        Some(flags) => {
            for flag in flags {
                flag.bad().into_iter().for_each(|what| verdict.bad(what));
                flag.note().into_iter().for_each(|what| verdict.note(what));
            }
            if flags.contains(&Flag::CommunicationLost) {
                verdict.unknown("no communication with the UPS");
            } else if flags.contains(&Flag::Waiting) {
                verdict.unknown("the UPS has not answered yet");
            } else if !flags.iter().any(|flag| matches!(flag, Flag::Online | Flag::Bypass) || flag.bad().is_some()) {
                verdict.unknown("the UPS does not tell what feeds it");
            }
        }
    }
    let mut outcome = verdict.outcome("on mains");
    if outcome.status == Status::Unknown && ups.flags.as_ref().is_some_and(|flags| flags.contains(&Flag::CommunicationLost)) {
        outcome.fault("io_error", "no communication with the UPS");
    }
    let thousandth = |milli: Option<i64>| milli.map(|milli| text::float(milli) / 1000.0);
    for (name, value, unit) in [
        ("battery_charge", thousandth(ups.battery_charge_milli), "percent"),
        ("battery_charge_low", thousandth(ups.battery_charge_low_milli), "percent"),
        ("battery_runtime", ups.battery_runtime_s.map(text::float), "seconds"),
        ("battery_runtime_low", ups.battery_runtime_low_s.map(text::float), "seconds"),
        ("battery_voltage", thousandth(ups.battery_voltage_milli), "volts"),
        ("battery_temperature", thousandth(ups.battery_temperature_milli), "celsius"),
        ("load", thousandth(ups.load_milli), "percent"),
        ("power", thousandth(ups.power_milli), "watts"),
        ("input_voltage", thousandth(ups.input_voltage_milli), "volts"),
        ("input_frequency", thousandth(ups.input_frequency_milli), "hertz"),
        ("output_voltage", thousandth(ups.output_voltage_milli), "volts"),
        ("output_current", thousandth(ups.output_current_milli), "amperes"),
        ("temperature", thousandth(ups.temperature_milli), "celsius"),
        ("transfers", ups.transfers.map(text::float), "count"),
        ("on_battery", ups.on_battery_s.map(text::float), "seconds"),
    ] {
        outcome.reading(name, &[], value, unit);
    }
    outcome.record(ups);
    outcome
}

/// What a tool prints as one value a line.
pub(crate) struct Values<'a> {
    /// By their names; of a name that came twice the first.
    pub(crate) of: BTreeMap<&'a str, &'a str>,
    /// Lines that are no value, from 1, at most [`RECORDS_MAX`].
    pub(crate) malformed: Vec<usize>,
    /// Whether a name came twice with different values.
    pub(crate) twice: bool,
    /// The first line that is not empty, from 1.
    pub(crate) first: usize,
}

/// Reads them: `value` splits a line, and what is neither that nor `noise` is malformed.
///
/// # Errors
/// When there is nothing but empty lines.
pub(crate) fn values<'a>(input: &'a str, value: fn(&'a str) -> Option<(&'a str, &'a str)>, noise: fn(&str) -> bool) -> Result<Values<'a>, Unreadable> {
    let mut lines = input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(number, line)| (number + 1, line)).peekable();
    let Some((first, _)) = lines.peek().copied() else { return Err(Unreadable::Empty) };
    let mut values = Values { of: BTreeMap::new(), malformed: Vec::new(), twice: false, first };
    for (number, line) in lines {
        match value(line) {
            Some((name, value)) => values.twice |= *values.of.entry(name).or_insert(value) != value,
            None if noise(line) => {}
            None if values.malformed.len() < RECORDS_MAX => values.malformed.push(number),
            None => {}
        }
    }
    Ok(values)
}

/// The words of a status; those that say nothing of the UPS's health are left out.
pub(crate) fn flags(words: &str, known: &[(&str, Flag)], silent: &[&str]) -> Vec<Flag> {
    let flag = |word| known.iter().find(|(name, _)| *name == word).map_or(Flag::Other, |(_, flag)| *flag);
    words.split_whitespace().take(WORDS_MAX).filter(|word| !silent.contains(word)).map(flag).collect()
}

/// Whole seconds of a duration in thousandths.
pub(crate) fn seconds(milli: Option<i64>) -> Option<i64> {
    milli.map(|milli| milli.div_euclid(1000))
}
