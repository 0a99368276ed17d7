//! `storcli … show [all] J` of RAID controllers by Broadcom, and `perccli`, its twin by Dell: controllers, virtual and
//! physical drives, batteries and capacitors that keep the cache.

mod answer;
mod state;

pub use state::Standing;

use crate::drive::code_of;
use crate::json::{count, count_at, int, int_at, text_at};
use crate::{Fault, RECORDS_MAX, Unreadable, text};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const SUCH_AS: &str = r#"{"Controllers": [{"Command Status": {…}, "Response Data": {…}}]}"#;

/// What the tool told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raid {
    /// Everything that has a state, at most [`RECORDS_MAX`] of them.
    pub parts: Vec<Part>,
    /// How many more there were.
    pub left_out: usize,
    /// What it could not do.
    pub faults: Vec<Fault>,
}

/// One thing with a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Part {
    /// A controller.
    Controller(Controller),
    /// A virtual drive, which is what the system sees.
    Virtual(Virtual),
    /// A physical drive.
    Physical(Physical),
    /// A battery or a capacitor.
    Backup(Backup),
}

/// A controller. Nothing here is its serial number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// Which one, from 0.
    pub controller: Option<i64>,
    /// What the maker calls it.
    pub model: Option<String>,
    /// Its firmware.
    pub firmware: Option<String>,
    /// How it stands, in the tool's words.
    pub state: Option<String>,
    /// Its processor, in degrees Celsius.
    pub temperature_celsius: Option<i64>,
    /// Errors of its memory that were corrected.
    pub memory_correctable: Option<i64>,
    /// Errors of its memory that were not.
    pub memory_uncorrectable: Option<i64>,
}

/// A virtual drive. Its name is not read: people choose it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Virtual {
    /// On which controller.
    pub controller: Option<i64>,
    /// Drive group and number, such as `0/0`.
    pub id: String,
    /// Such as `RAID1`.
    pub level: Option<String>,
    /// How it stands, in the tool's words: `Optl`, `Dgrd`, …
    pub state: Option<String>,
    /// Whether its cache writes through or back, and reads ahead, in the tool's letters.
    pub cache: Option<String>,
    /// As the tool writes it, in units of 1024.
    pub size: Option<String>,
}

/// A physical drive. Nothing here is its serial number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Physical {
    /// On which controller.
    pub controller: Option<i64>,
    /// Enclosure and slot, such as `252:0`; the enclosure is missing where a drive is attached directly.
    pub slot: String,
    /// Number of the device on the controller: what `smartctl -d megaraid,N` wants.
    pub device_id: Option<i64>,
    /// `SAS`, `SATA`, `NVMe`.
    pub interface: Option<String>,
    /// `HDD`, `SSD`.
    pub medium: Option<String>,
    /// What the maker calls it.
    pub model: Option<String>,
    /// How it stands, in the tool's words: `Onln`, `UBad`, …
    pub state: Option<String>,
    /// As the tool writes it, in units of 1024.
    pub size: Option<String>,
    /// Whether the drive raised no alarm about its own health.
    pub health_passed: Option<bool>,
    /// In degrees Celsius.
    pub temperature_celsius: Option<i64>,
    /// Errors of the media.
    pub media_errors: Option<i64>,
    /// Other errors, mostly of the link.
    pub other_errors: Option<i64>,
    /// How often it foretold its failure.
    pub predictive_failures: Option<i64>,
}

/// A battery or a capacitor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// On which controller.
    pub controller: Option<i64>,
    /// What the maker calls it.
    pub model: Option<String>,
    /// How it stands, in the tool's words.
    pub state: Option<String>,
    /// In degrees Celsius.
    pub temperature_celsius: Option<i64>,
}

/// Reads what the tool printed.
///
/// # Errors
/// When it is empty, no JSON, or another tool's.
pub fn parse(input: &str) -> Result<Raid, Unreadable> {
    if input.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    let root: Value = serde_json::from_str(input)?;
    let foreign = Unreadable::Foreign { line: 1, such_as: SUCH_AS };
    let controllers = root.get("Controllers").and_then(Value::as_array).ok_or(foreign.clone())?;
    if !controllers.iter().all(|controller| controller.get("Command Status").is_some_and(Value::is_object)) || controllers.is_empty() {
        return Err(foreign);
    }
    let mut reader = Reader::default();
    for controller in controllers {
        reader.controller(controller);
    }
    reader.attach();
    Ok(reader.raid)
}

#[derive(Default)]
struct Reader {
    raid: Raid,
    at: Option<i64>,
    seen: BTreeSet<(Option<i64>, &'static str, String)>,
    /// Counters of physical drives by controller and slot: they stand apart from the rows with the states.
    counters: BTreeMap<(Option<i64>, String), Physical>,
}

impl Reader {
    fn controller(&mut self, answer: &Value) {
        let status = |key: &str| answer.get("Command Status").and_then(|status| status.get(key)).and_then(Value::as_str);
        self.at = int_at(answer, "/Command Status/Controller");
        if !status("Status").is_some_and(|status| status.eq_ignore_ascii_case("success")) {
            let detail = text_at(answer, "/Command Status/Detailed Status/0/ErrMsg").filter(|words| words != "-");
            let words = detail.or_else(|| status("Description").map(text::plain)).unwrap_or_else(|| "the command failed".to_owned());
            let named = self.at.map_or_else(|| words.clone(), |number| format!("controller {number}: {words}"));
            if self.raid.faults.len() < RECORDS_MAX {
                self.raid.faults.push(Fault { code: code_of(&words), detail: text::plain(&named) });
            }
        }
        let Some(data) = answer.get("Response Data").and_then(Value::as_object) else { return };
        self.summary(data);
        self.fields(data);
    }

    /// The controller itself: in `show all` in several objects, in `show` at the top.
    fn summary(&mut self, data: &Map<String, Value>) {
        let at = |object: &str, key: &str| data.get(object).and_then(|object| object.get(key));
        let words = |value: Option<&Value>| value.and_then(Value::as_str).map(text::plain).filter(|words| !words.is_empty());
        self.at = self.at.or_else(|| at("Basics", "Controller").and_then(int));
        let controller = Controller {
            controller: self.at,
            model: words(at("Basics", "Model")).or_else(|| words(data.get("Product Name"))),
            firmware: words(at("Version", "Firmware Version")).or_else(|| words(data.get("FW Version"))),
            state: words(at("Status", "Controller Status")).or_else(|| words(data.get("Controller Status"))),
            temperature_celsius: ["ROC temperature(Degree Celsius)", "ROC temperature(Degree Celcius)"]
                .iter()
                .find_map(|key| at("HwCfg", key))
                .and_then(celsius),
            memory_correctable: at("Status", "Memory Correctable Errors").and_then(count),
            memory_uncorrectable: at("Status", "Memory Uncorrectable Errors").and_then(count),
        };
        if controller.model.is_some() || controller.state.is_some() {
            self.push("controller", String::new(), Part::Controller(controller));
        }
    }

    fn fields(&mut self, object: &Map<String, Value>) {
        for (key, value) in object {
            match value {
                Value::Array(rows) if matches!(key.as_str(), "BBU_Info" | "Cachevault_Info") => self.backup(rows),
                Value::Object(fields) => {
                    if let Some(slot) = key.strip_prefix("Drive ").and_then(|rest| rest.strip_suffix(" State")).and_then(slot_of_path) {
                        self.counted(slot, value);
                    }
                    self.fields(fields);
                }
                Value::Array(rows) => rows.iter().filter_map(Value::as_object).for_each(|row| self.row(row)),
                _ => {}
            }
        }
    }

    /// A row of any table; which table it is from is known by its columns.
    fn row(&mut self, row: &Map<String, Value>) {
        let words = |key: &str| row.get(key).and_then(Value::as_str).map(text::plain).filter(|words| !words.is_empty() && words != "-");
        if let Some(id) = words("DG/VD") {
            let part = Virtual { controller: self.at, id: id.clone(), level: words("TYPE"), state: words("State"), cache: words("Cache"), size: words("Size") };
            self.push("virtual", id, Part::Virtual(part));
        } else if let Some(slot) = row.get("EID:Slt").and_then(Value::as_str).map(slot) {
            let part = Physical {
                controller: self.at,
                slot: slot.clone(),
                device_id: row.get("DID").and_then(count),
                interface: words("Intf"),
                medium: words("Med"),
                model: words("Model"),
                state: words("State"),
                size: words("Size"),
                ..Physical::default()
            };
            self.push("physical", slot, Part::Physical(part));
        } else if let Some(number) = row.get("Ctl").and_then(count) {
            // Host adapters without RAID stand there without a state.
            let controller = Controller { controller: Some(number), model: words("Model"), state: words("Hlth"), ..Controller::default() };
            self.at = Some(number);
            self.push("controller", String::new(), Part::Controller(controller));
            if let Some(state) = words("BBU").filter(|state| !matches!(state.as_str(), "N/A" | "NA")) {
                let backup = Backup { controller: Some(number), state: Some(state), ..Backup::default() };
                self.push("backup", String::new(), Part::Backup(backup));
            }
        }
    }

    /// Batteries: rows of columns, or rows of one property each.
    fn backup(&mut self, rows: &[Value]) {
        let property = |name: &str| rows.iter().find(|row| text_at(row, "/Property").as_deref() == Some(name));
        let value = |name: &str| property(name).and_then(|row| text_at(row, "/Value"));
        let by_property = Backup {
            controller: self.at,
            model: value("Type"),
            state: value("State").or_else(|| value("Battery State")),
            temperature_celsius: property("Temperature").and_then(|row| row.get("Value")).and_then(celsius),
        };
        if by_property.state.is_some() || by_property.model.is_some() {
            return self.push("backup", String::new(), Part::Backup(by_property));
        }
        for (number, row) in rows.iter().enumerate() {
            let backup = Backup {
                controller: self.at,
                model: text_at(row, "/Model"),
                state: text_at(row, "/State"),
                temperature_celsius: row.get("Temp").and_then(celsius),
            };
            if backup.state.is_some() {
                self.push("backup", number.to_string(), Part::Backup(backup));
            }
        }
    }

    fn counted(&mut self, slot: String, state: &Value) {
        if self.counters.len() >= RECORDS_MAX {
            return;
        }
        let alert = state.get("S.M.A.R.T alert flagged by drive").and_then(Value::as_str);
        let counters = Physical {
            health_passed: alert.and_then(|alert| match alert.trim() {
                "No" => Some(true),
                "Yes" => Some(false),
                _ => None,
            }),
            temperature_celsius: state.get("Drive Temperature").and_then(celsius),
            media_errors: count_at(state, "/Media Error Count"),
            other_errors: count_at(state, "/Other Error Count"),
            predictive_failures: count_at(state, "/Predictive Failure Count"),
            ..Physical::default()
        };
        self.counters.insert((self.at, slot), counters);
    }

    /// Adds a part once: the same drive stands in several tables.
    fn push(&mut self, kind: &'static str, id: String, part: Part) {
        if !self.seen.insert((self.at, kind, id)) {
            return;
        }
        if self.raid.parts.len() < RECORDS_MAX {
            self.raid.parts.push(part);
        } else {
            self.raid.left_out += 1;
        }
    }

    /// Gives the physical drives their counters.
    fn attach(&mut self) {
        for part in &mut self.raid.parts {
            let Part::Physical(drive) = part else { continue };
            let Some(counters) = self.counters.get(&(drive.controller, drive.slot.clone())) else { continue };
            drive.health_passed = counters.health_passed;
            drive.temperature_celsius = counters.temperature_celsius;
            drive.media_errors = counters.media_errors;
            drive.other_errors = counters.other_errors;
            drive.predictive_failures = counters.predictive_failures;
        }
    }
}

/// `252:0`, without the spaces that stand for a missing enclosure.
fn slot(text: &str) -> String {
    text::plain(&text.replace(' ', ""))
}

/// The slot in a path such as `/c0/e252/s0` or `/c0/s0`.
fn slot_of_path(path: &str) -> Option<String> {
    let part = |letter: char| path.split('/').find_map(|part| part.strip_prefix(letter));
    part('s').map(|slot| text::plain(&format!("{}:{slot}", part('e').unwrap_or_default())))
}

/// A temperature: `29C`, ` 27C (80.60 F)`, or a number.
fn celsius(value: &Value) -> Option<i64> {
    match value.as_str().map(str::trim) {
        None => int(value),
        Some(words) => {
            let end = words.find(|c: char| !c.is_ascii_digit()).unwrap_or(words.len());
            words.get(..end)?.parse().ok()
        }
    }
}

pub use answer::outcome;

#[cfg(test)]
mod tests;
