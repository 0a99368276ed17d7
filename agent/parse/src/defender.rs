//! Microsoft Defender Antivirus of Windows: `Get-MpComputerStatus` as list, table or JSON, of all versions, with the dates of
//! any language of Windows. Dates are in the machine's own time, but for JSON. `ComputerID` is left out.

use crate::antivirus::{self, AntivirusRecord};
use crate::powershell::{self, Row};
use crate::verdict::Verdict;
use crate::when::{When, order_of};
use crate::{Outcome, Unreadable, complaint, text};

/// What it says of itself beside the record. `None` where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defender {
    /// The record.
    pub record: AntivirusRecord,
    /// Whether its service runs.
    pub service: Option<bool>,
    /// Whether it is switched on.
    pub enabled: Option<bool>,
    /// Whether it runs, whatever its mode.
    pub running: Option<bool>,
    /// Whether it calls its own pattern too old.
    pub out_of_date: Option<bool>,
    /// Whether a reboot has to end what it did to something harmful.
    pub reboot_required: Option<bool>,
    /// Whether something harmful could not be removed.
    pub critical: Option<bool>,
}

const SUCH_AS: &str = "AntivirusSignatureVersion : 1.369.923.0";
/// Properties of which a status has at least two.
const KNOWN: &[&str] = &[
    "amengineversion",
    "amproductversion",
    "amserviceenabled",
    "amrunningmode",
    "antivirusenabled",
    "antispywareenabled",
    "antivirussignatureage",
    "antivirussignaturelastupdated",
    "antivirussignatureversion",
    "realtimeprotectionenabled",
    "nisenabled",
    "onaccessprotectionenabled",
    "istamperprotected",
    "behaviormonitorenabled",
];
const DATES: &[&str] = &[
    "antivirussignaturelastupdated",
    "antispywaresignaturelastupdated",
    "nissignaturelastupdated",
    "quickscanstarttime",
    "quickscanendtime",
    "fullscanstarttime",
    "fullscanendtime",
];
/// "Never" among ages, in days, of 32 and of 16 bits.
const NEVER: &[i64] = &[4_294_967_295, 65_535];
/// Bit of `ComputerState`: cleaning failed.
const CRITICAL: i64 = 16;

/// Reads the status.
///
/// # Errors
/// When it is empty, no JSON although it begins so, or something else.
pub fn parse(input: &str) -> Result<Defender, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let rows = powershell::read(input)?;
    let known = |row: &&Row| KNOWN.iter().filter(|key| row.contains_key(**key)).count() >= 2;
    let row = rows.iter().find(known).ok_or(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS })?;
    Ok(status(row))
}

fn status(row: &Row) -> Defender {
    let said = |key: &str| row.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
    let truth = |key: &str| {
        said(key).and_then(|value| match value.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    };
    let order = order_of(DATES.iter().filter_map(|key| said(key)));
    let when = |key: &str| said(key).and_then(|text| When::read(text, order));
    let number = |key: &str| said(key).and_then(text::grouped);
    let version = |key: &str| said(key).and_then(antivirus::version);
    let age = number("antivirussignatureage").filter(|age| !NEVER.contains(age));
    let mode = said("amrunningmode").map(str::to_ascii_lowercase);
    let passive = mode.as_deref().map(|mode| mode.contains("passive") || mode.contains("edr block"));
    Defender {
        record: AntivirusRecord {
            product: "Microsoft Defender Antivirus".to_owned(),
            engine: version("amengineversion"),
            pattern_version: version("antivirussignatureversion"),
            pattern_published_at: when("antivirussignaturelastupdated"),
            realtime: truth("realtimeprotectionenabled"),
            product_version: version("amproductversion"),
            pattern_age_minutes: age.map(|days| days.saturating_mul(24 * 60)),
            passive,
            last_quick_scan_at: when("quickscanendtime"),
            last_full_scan_at: when("fullscanendtime"),
            ..AntivirusRecord::default()
        },
        service: truth("amserviceenabled"),
        enabled: truth("antivirusenabled"),
        running: mode.as_deref().map(|mode| mode != "not running"),
        out_of_date: truth("defendersignaturesoutofdate"),
        reboot_required: truth("rebootrequired"),
        critical: number("computerstate").map(|state| state & CRITICAL != 0),
    }
}

impl Defender {
    fn judge(&self, at_ms: Option<i64>, verdict: &mut Verdict) {
        if self.service == Some(false) || self.running == Some(false) {
            verdict.bad("it does not run");
        } else if self.enabled == Some(false) && self.record.passive != Some(true) {
            verdict.bad("it is switched off");
        }
        if self.out_of_date == Some(true) {
            verdict.bad("it calls its pattern too old");
        }
        if self.critical == Some(true) {
            verdict.bad("something harmful could not be removed");
        }
        if self.reboot_required == Some(true) {
            verdict.note("it waits for a reboot");
        }
        self.record.judge(at_ms, verdict);
    }
}

const TOOL: &[&str] = &["get-mpcomputerstatus", "get-mp"];
const COMPLAINTS: &[(&str, &str)] = &[
    ("0x800106ba", "not_running"),
    ("0x80070422", "not_running"),
    ("0x80070005", "permission_denied"),
    ("invalid class", "unsupported"),
    ("無効なクラス", "unsupported"),
    ("0x80041010", "unsupported"),
    ("provider load failure", "io_error"),
    ("0x80041013", "io_error"),
    ("0x800106", "io_error"),
];

/// How the status reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let defender = match parse(input) {
        Ok(defender) => defender,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    defender.judge(at_ms, &mut verdict);
    if defender.record.realtime.is_none() {
        verdict.note("whether it protects in real time is not told");
    }
    let mut outcome = verdict.outcome("its pattern is told, and nothing is wrong");
    defender.record.tell(&mut outcome);
    Ok(outcome)
}

#[cfg(test)]
mod tests;
