//! Units of systemd: `systemctl list-units [--all|--failed]` of versions 219 to 256 with any of its marks and footers, or
//! the same with `-o json`. Descriptions are not kept.

use crate::verdict::Verdict;
use crate::{Outcome, RECORDS_MAX, Unreadable, complaint, text};
use serde::Serialize;
use std::collections::BTreeMap;

/// One unit. Its name is the facility's: whoever sends it on has to hash or rename it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// Such as `sshd.service`; long ones may come shortened.
    pub unit: String,
    /// Whether its file could be read: `loaded`, `not-found`, `bad-setting`, `error`, `masked`, …
    pub load: &'static str,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: &'static str,
    /// The state of its kind, such as `running` or `auto-restart`.
    pub sub: String,
}

impl Unit {
    /// Whether it ended badly and stays so.
    #[must_use]
    pub fn failed(&self) -> bool {
        ["failed", "maintenance"].contains(&self.active)
    }

    /// Whether it ended and waits to be started again.
    #[must_use]
    pub fn restarting(&self) -> bool {
        waits_to_restart(&self.sub)
    }

    /// Whether its file cannot be used although it is there.
    #[must_use]
    pub fn unusable(&self) -> bool {
        ["bad-setting", "error"].contains(&self.load)
    }

    fn troubled(&self) -> bool {
        self.failed() || self.restarting() || self.unusable()
    }
}

/// Everything in the output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Units {
    /// In the tool's order: at most [`RECORDS_MAX`], and as many more of those in trouble.
    pub units: Vec<Unit>,
    /// All units by their active state.
    pub states: BTreeMap<&'static str, i64>,
    /// Units beyond.
    pub beyond: usize,
    /// Lines that begin like a unit and are none, from 1, at most [`RECORDS_MAX`].
    pub malformed: Vec<usize>,
}

/// Whether that is the state of a unit that ended and waits to be started again; since version 254 there are several.
pub(crate) fn waits_to_restart(sub: &str) -> bool {
    sub.starts_with("auto-restart")
}

const LOADS: &[&str] = &["loaded", "not-found", "bad-setting", "error", "merged", "masked", "stub"];
const ACTIVES: &[&str] = &["active", "reloading", "refreshing", "inactive", "failed", "activating", "deactivating", "maintenance"];
const SUFFIXES: &[&str] = &["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope", "snapshot"];

const SUCH_AS: &str = "sshd.service loaded active running OpenSSH server";

/// Reads the output. A list without any unit is what `--failed` prints on a healthy machine.
///
/// # Errors
/// When it is empty or no list of units.
pub fn parse(input: &str) -> Result<Units, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let foreign = Unreadable::Foreign { line: first + 1, such_as: SUCH_AS };
    let mut units = Units::default();
    if input.trim_start().starts_with('[') {
        let rows: Vec<serde_json::Value> = serde_json::from_str(input)?;
        for (number, row) in rows.iter().enumerate() {
            let field = |name: &str| row.get(name).and_then(serde_json::Value::as_str);
            let read = || unit(field("unit")?, field("load")?, field("active")?, field("sub")?);
            match read() {
                Some(unit) => units.put(unit),
                None => units.malformed(number + 1),
            }
        }
        return if units.units.is_empty() && !rows.is_empty() { Err(foreign) } else { Ok(units) };
    }
    let mut familiar = false;
    for (number, line) in input.lines().enumerate() {
        let mut words = line.split_whitespace().peekable();
        // Marks of several versions and encodings: `●`, `*`, `○`, `×`, `↻`, `?`.
        words.next_if(|word| !word.contains(|c: char| c.is_ascii_alphanumeric()) || *word == "x");
        let (name, load, active, sub) = (words.next(), words.next(), words.next(), words.next());
        if let (Some(name), Some(load), Some(active), Some(sub)) = (name, load, active, sub)
            && let Some(unit) = unit(name, load, active, sub)
        {
            units.put(unit);
        } else if name.and_then(|name| name.rsplit_once('.')).is_some_and(|(_, suffix)| SUFFIXES.contains(&suffix)) {
            units.malformed(number + 1);
        } else {
            familiar |= (name, load, active) == (Some("UNIT"), Some("LOAD"), Some("ACTIVE")) || line.contains(" loaded units listed.");
        }
    }
    if units.units.is_empty() && (!familiar || !units.malformed.is_empty()) { Err(foreign) } else { Ok(units) }
}

fn unit(name: &str, load: &str, active: &str, sub: &str) -> Option<Unit> {
    let known = |words: &[&'static str], word: &str| words.iter().find(|known| **known == word).copied();
    Some(Unit { load: known(LOADS, load)?, active: known(ACTIVES, active)?, unit: text::plain(name), sub: text::hardware(sub) })
}

impl Units {
    fn put(&mut self, unit: Unit) {
        *self.states.entry(unit.active).or_default() += 1;
        let room = if unit.troubled() { 2 * RECORDS_MAX } else { RECORDS_MAX };
        if self.units.len() < room { self.units.push(unit) } else { self.beyond += 1 }
    }

    fn malformed(&mut self, line: usize) {
        if self.malformed.len() < RECORDS_MAX {
            self.malformed.push(line);
        }
    }
}

const TOOL: &[&str] = &["systemctl", "failed to list units", "failed to get d-bus connection", "failed to connect to bus"];
const COMPLAINTS: &[(&str, &str)] = &[
    ("system has not been booted with systemd", "unsupported"),
    ("failed to connect to bus: permission denied", "permission_denied"),
    ("failed to connect to bus: operation not permitted", "permission_denied"),
    ("failed to connect to bus", "not_running"),
    ("failed to connect to system scope bus", "not_running"),
    ("failed to get d-bus connection: operation not permitted", "permission_denied"),
    ("failed to get d-bus connection", "not_running"),
];

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let units = match parse(input) {
        Ok(units) => units,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    for unit in &units.units {
        if unit.failed() {
            verdict.bad(format!("{} failed", unit.unit));
        } else if unit.restarting() {
            verdict.bad(format!("{} ended and is being restarted", unit.unit));
        } else if unit.unusable() {
            verdict.note(format!("{} has a unit file that cannot be used", unit.unit));
        }
    }
    let total: i64 = units.states.values().sum();
    let mut outcome = verdict.outcome(format!("{total} units, none failed"));
    let failed = units.units.iter().filter(|unit| unit.failed()).count();
    let restarting = units.units.iter().filter(|unit| unit.restarting()).count();
    for (state, count) in &units.states {
        outcome.reading("systemd_units", &[("state", state)], Some(text::float(*count)), "count");
    }
    for (name, count) in [("systemd_units_failed", failed), ("systemd_units_restarting", restarting)] {
        outcome.reading(name, &[], i64::try_from(count).ok().map(text::float), "count");
    }
    units.units.iter().for_each(|unit| outcome.record(unit));
    units.malformed.iter().for_each(|line| outcome.fault("malformed", &format!("line {line}: no unit")));
    if units.beyond > 0 {
        outcome.fault("too_many", &format!("{} units beyond {RECORDS_MAX}", units.beyond));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    const LIST: &str = "  UNIT                LOAD      ACTIVE     SUB          DESCRIPTION\n  boot.mount          loaded    active     mounted      /boot\n\
        ● gone.service        not-found inactive   dead         gone.service\n  sshd.service        loaded    active     running      OpenSSH server daemon\n\
        \nLOAD   = Reflects whether the unit definition was properly loaded.\n\
            ACTIVE = The high-level unit activation state, i.e. generalization of SUB.\n\
        SUB    = The low-level unit activation state, values depend on unit type.\n\n3 loaded units listed.\n\
            To show all installed unit files use 'systemctl list-unit-files'.\n";

    fn judged(input: &str) -> Outcome {
        outcome(input, None).unwrap()
    }

    #[test]
    fn a_list_is_read_whole() {
        let units = parse(LIST).unwrap();
        assert_eq!((units.units.len(), units.malformed.len(), units.states["active"], units.states["inactive"]), (3, 0, 2, 1));
        assert_eq!(units.units[1], Unit { unit: "gone.service".to_owned(), load: "not-found", active: "inactive", sub: "dead".to_owned() });
        let outcome = judged(LIST);
        assert_eq!((outcome.status, outcome.reason.as_str(), outcome.records.len()), (Status::Ok, "3 units, none failed", 3));
        assert!(!serde_json::to_string(&outcome).unwrap().contains("OpenSSH"));
    }

    #[test]
    fn every_version_marks_a_failed_unit_in_its_way() {
        for mark in ["", "● ", "* ", "× ", "x ", "? ", "\u{fffd} ", "  "] {
            let outcome = judged(&format!("{mark}a@b\\x2dc.service loaded failed failed Something\n"));
            assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Bad, "a@b\\x2dc.service failed"), "{mark}");
        }
        let footer = "Legend: LOAD   → Reflects x.\n        ACTIVE → The y\n\n1 個のユニット\n";
        assert_eq!(judged(&format!("● a.service loaded failed failed 説明\n\n{footer}")).faults.len(), 0);
        assert_eq!(judged("sys-devices-…-net-eth0.device loaded active plugged X\ndev-disk-by\\x2did-... loaded active plugged Y").records.len(), 2);
    }

    #[test]
    fn restarting_is_told_apart() {
        let outcome = judged(
            "a.service loaded activating auto-restart A\nb.service loaded activating start B\n\
            c.service bad-setting inactive dead C\n",
        );
        assert_eq!(outcome.status, Status::Bad);
        assert_eq!(outcome.reason, "a.service ended and is being restarted; c.service has a unit file that cannot be used");
        let count = |name: &str| outcome.readings.iter().find(|reading| reading.name == name).map(|reading| reading.value);
        assert_eq!((count("systemd_units_failed"), count("systemd_units_restarting")), (Some(0.0), Some(1.0)));
        assert_eq!(judged("a.service loaded activating start A\n").status, Status::Ok);
    }

    #[test]
    fn json_is_read() {
        let json = r#"[{"unit":"a.service","load":"loaded","active":"failed","sub":"failed","description":"A"},{"unit":"b.mount","load":"loaded","active":"active","sub":"x"}]"#;
        assert_eq!((judged(json).status, judged(json).records.len()), (Status::Bad, 2));
        assert_eq!(judged("[]").status, Status::Ok);
        let half = r#"[{"unit":"a.service","load":"loaded","active":"active","sub":"x"},{"unit":1}]"#;
        assert_eq!(judged(half).faults[0].code, "malformed");
    }

    #[test]
    fn no_unit_in_a_list_is_fine() {
        assert_eq!(judged("0 loaded units listed. Pass --all to see loaded but inactive units, too.\n").status, Status::Ok);
        assert_eq!(judged("  UNIT LOAD ACTIVE SUB DESCRIPTION\n0 読み込み済み\n").status, Status::Ok);
    }

    #[test]
    fn what_the_tool_says_about_itself_is_unknown() {
        for (said, code) in [
            (
                "System has not been booted with systemd as init system (PID 1). Can't operate.\n\
                Failed to connect to bus: Host is down\n",
                "unsupported",
            ),
            ("Failed to connect to bus: No such file or directory\n", "not_running"),
            ("Failed to connect to bus: Permission denied\n", "permission_denied"),
            ("Failed to get D-Bus connection: Operation not permitted\n", "permission_denied"),
            ("Failed to list units: Connection timed out\n", "timed_out"),
            ("sh: systemctl: command not found\n", "not_found"),
        ] {
            let outcome = judged(said);
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
        }
    }

    #[test]
    fn another_format_is_refused_and_a_broken_line_costs_itself() {
        assert_eq!(parse(" \n"), Err(Unreadable::Empty));
        for foreign in ["MemTotal: 1 kB\n", "a.service enabled enabled\n", "{\"a\":1}", "[{\"a\":1}]", "[1]"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
        assert!(matches!(parse("[{"), Err(Unreadable::Json { .. })));
        assert!(parse(&"[".repeat(100_000)).is_err());
        let outcome = judged(&format!("{LIST}cut.service loa\0\n"));
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Ok, "malformed"));
    }

    #[test]
    fn units_in_trouble_are_never_lost_to_the_bound() {
        let many = format!("{}z.service loaded failed failed Z\n", "a.service loaded active running A\n".repeat(RECORDS_MAX + 1));
        let outcome = judged(&many);
        assert_eq!((outcome.status, outcome.records.len(), outcome.faults[0].code), (Status::Bad, RECORDS_MAX + 1, "too_many"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "(● |\\[|\\{)?([a-z@.-]{0,9}\\.service (loaded|.) (active|failed|.) (running|auto-restart|.)?.*\n){0,6}.*") {
            if let Ok(outcome) = outcome(&input, None) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
