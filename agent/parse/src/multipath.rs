//! Several ways to one disk: `multipath -ll` (multipath-tools 0.4 to 0.11) and `multipathd show maps json`.

use crate::verdict::{self, Verdict};
use crate::{Fault, Outcome, RECORDS_MAX, Unreadable, text, trouble};
use serde::Serialize;
use serde_json::Value;

/// The whole output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Multipath {
    /// In the output's order.
    pub maps: Vec<Map>,
    /// What the tool could not look at, and what could not be read.
    pub faults: Vec<Fault>,
}

/// One disk with its paths. Its identity is not kept: a serial number stands in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Map {
    /// The name somebody gave it, or the kernel's, `dm-2`.
    pub name: String,
    /// The ways to it.
    pub paths: Vec<Path>,
}

/// One way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Path {
    /// `sdb`
    pub device: String,
    /// As the kernel holds it: `active`, `failed`, `undef`.
    pub kernel: Option<String>,
    /// As the last check found it: `ready`, `ghost`, `faulty`, `shaky`, `i/o timeout`, `undef`, …
    pub checker: Option<String>,
    /// As the device itself stands: `running`, `offline`, …
    pub state: Option<String>,
    /// The kernel has no such device any more: `#:#` in its place.
    pub gone: bool,
}

const SUCH_AS: &str = "mpatha (360…) dm-2 VENDOR,PRODUCT";

/// Reads either form.
///
/// # Errors
/// When it is empty, or something else.
pub fn parse(input: &str) -> Result<Multipath, Unreadable> {
    match input.trim_start().chars().next() {
        None => Err(Unreadable::Empty),
        Some('{') => json(input),
        Some(_) => lines(input),
    }
}

fn lines(input: &str) -> Result<Multipath, Unreadable> {
    let mut multipath = Multipath::default();
    let mut open: Option<Map> = None;
    for (index, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if let Some(fault) = message(line) {
            fault.into_iter().for_each(|fault| verdict::fault(&mut multipath.faults, fault));
        } else if let Some(name) = head(line) {
            let closed = open.replace(Map { name, paths: Vec::new() });
            closed.into_iter().for_each(|map| verdict::push(&mut multipath.maps, map, &mut multipath.faults));
        } else if let Some(map) = &mut open {
            match path(line) {
                Some(path) if map.paths.len() < RECORDS_MAX => map.paths.push(path),
                // The second line, and those of the groups.
                None if line.contains("size=") || line.contains("policy=") || line.contains("[prio=") || line.contains("prio=") => {}
                _ => verdict::fault(&mut multipath.faults, trouble::malformed(index, line)),
            }
        } else {
            return Err(Unreadable::Foreign { line: index + 1, such_as: SUCH_AS });
        }
    }
    open.into_iter().for_each(|map| verdict::push(&mut multipath.maps, map, &mut multipath.faults));
    Ok(multipath)
}

/// A line of the log, or of the daemon's about itself; `Some(None)` when there is nothing in it for us.
fn message(line: &str) -> Option<Option<Fault>> {
    let line = line.trim();
    let code = match line {
        "timeout" => Some("timed_out"),
        "fail" => Some("io_error"),
        "need to be root" => Some("permission_denied"),
        _ if line.contains("multipath kernel driver not loaded") => Some("not_running"),
        _ => None,
    };
    if let Some(code) = code {
        return Some(Some(trouble::fault(code, line)));
    }
    let (before, told) = line.split_once(" | ")?;
    let stamped = before.len() < 32 && before.rsplit(':').next().is_some_and(|seconds| text::whole(seconds).is_some());
    stamped.then(|| trouble::code(told).map(|code| trouble::fault(code, told)))
}

/// `mpatha (360…) dm-2 VENDOR,PRODUCT`, with `reload: ` before it while it is being changed.
fn head(line: &str) -> Option<String> {
    if line.starts_with([' ', '|', '`', '\\', '[']) {
        return None;
    }
    let line = line.split_once(": ").filter(|(doing, _)| doing.bytes().all(|b| b.is_ascii_lowercase())).map_or(line, |(_, line)| line);
    let words: Vec<&str> = line.split_whitespace().collect();
    let kernel = words.iter().skip(1).take(2).find(|word| word.strip_prefix("dm-").is_some_and(|number| text::whole(number).is_some()))?;
    // Without a name of its own a map is called by its identity.
    let named = words.get(1).is_some_and(|word| word.starts_with('('));
    Some(text::plain(if named { words.first()? } else { kernel }))
}

/// `| |- 1:0:0:1 sdb 8:16 active ready running`, `\_ 1:0:0:1 sdb 8:16 [active][ready]`
fn path(line: &str) -> Option<Path> {
    let line = line.trim_start_matches([' ', '|', '`', '-', '+', '\\', '_']).replace(['[', ']'], " ");
    // Two words in one state.
    let line = line.replace("i/o ", "i/o-");
    let mut words = line.split_whitespace();
    words.next().filter(|place| place.contains(':'))?;
    let device = words.next()?;
    let (major, minor) = words.next()?.split_once(':')?;
    let number = |word: &str| word == "#" || text::whole(word).is_some();
    let mut state = || words.next().map(|word| text::plain(&word.replace("i/o-", "i/o ")));
    let gone = (major, minor) == ("#", "#");
    (number(major) && number(minor)).then(|| Path { device: text::plain(device), kernel: state(), checker: state(), state: state(), gone })
}

fn json(input: &str) -> Result<Multipath, Unreadable> {
    let value: Value = serde_json::from_str(input)?;
    let one = value.get("map").into_iter();
    let maps = value.get("maps").and_then(Value::as_array);
    if maps.is_none() && value.get("map").is_none() {
        return Err(Unreadable::Json { line: 1, what: "no `maps`".to_owned() });
    }
    let mut multipath = Multipath::default();
    for map in maps.into_iter().flatten().chain(one) {
        let word = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(text::plain).filter(|word| !word.is_empty());
        let name = word(map, "name").filter(|name| Some(name) != word(map, "uuid").as_ref()).or_else(|| word(map, "sysfs"));
        let groups = map.get("path_groups").and_then(Value::as_array).into_iter().flatten();
        let paths = groups.filter_map(|group| group.get("paths")?.as_array()).flatten().take(RECORDS_MAX);
        let paths = paths.map(|path| Path {
            device: word(path, "dev").unwrap_or_default(),
            kernel: word(path, "dm_st"),
            checker: word(path, "chk_st"),
            state: word(path, "dev_st"),
            gone: word(path, "dev_t").is_some_and(|numbers| numbers == "#:#"),
        });
        let map = Map { name: name.unwrap_or_default(), paths: paths.collect() };
        verdict::push(&mut multipath.maps, map, &mut multipath.faults);
    }
    Ok(multipath)
}

impl Path {
    /// It carries nothing: failed, or found faulty. A ghost waits on the passive side of an array and is in order.
    #[must_use]
    pub fn lost(&self) -> bool {
        let checker = self.checker.as_deref();
        self.gone
            || self.kernel.as_deref() == Some("failed")
            || matches!(checker, Some("faulty" | "shaky" | "i/o timeout" | "removed" | "disconnected"))
            || matches!(self.state.as_deref(), Some("offline"))
    }

    fn told(&self) -> bool {
        self.kernel.as_deref() == Some("active") || matches!(self.checker.as_deref(), Some("ready" | "ghost"))
    }
}

/// How the output reads: bad when a path is lost or a map has none.
///
/// # Errors
/// As [`parse`], unless it is a complaint of the shell's or the daemon's.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let multipath = match parse(input) {
        Ok(multipath) => multipath,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut verdict = Verdict::default();
    let count = |counted: usize| i64::try_from(counted).ok();
    for map in &multipath.maps {
        let lost: Vec<&Path> = map.paths.iter().filter(|path| path.lost()).collect();
        let name = if map.name.is_empty() { "a map" } else { &map.name };
        if lost.len() == map.paths.len() {
            verdict.bad(format!("{name} has no path left"));
        } else if !lost.is_empty() {
            let devices = lost.iter().map(|path| path.device.clone()).collect::<Vec<_>>();
            verdict.bad(format!("{name} has lost {} of {} paths: {}", lost.len(), map.paths.len(), verdict::named(&devices)));
        }
        if let Some(path) = map.paths.iter().find(|path| !path.lost() && !path.told()) {
            verdict.unknown(format!("{name}: the state of {} is not known", path.device));
        }
    }
    let mut outcome = verdict.outcome_with(format!("{} maps, all paths up", multipath.maps.len()), multipath.faults);
    for map in &multipath.maps {
        let lost = map.paths.iter().filter(|path| path.lost()).count();
        outcome.reading("paths", &[("map", &map.name)], count(map.paths.len()).map(text::float), "count");
        outcome.reading("paths_failed", &[("map", &map.name)], count(lost).map(text::float), "count");
        outcome.record(map);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    fn map(first: &str, second: &str) -> String {
        format!(
            "mpatha (3600SECRET) dm-2 ACME,DISK\nsize=1.0G features='1 queue_if_no_path' hwhandler='0' wp=rw\n\
                |-+- policy='service-time 0' prio=50 status=active\n| `- 1:0:0:1 sdb 8:16 {first}\n\
                `-+- policy='service-time 0' prio=10 status=enabled\n  `- 2:0:0:1 sdc 8:32 {second}\n"
        )
    }

    fn judged(input: &str) -> (Status, String) {
        let outcome = outcome(input, None).unwrap();
        (outcome.status, outcome.reason)
    }

    #[test]
    fn paths_are_read_and_judged() {
        let maps = parse(&map("active ready running", "failed i/o timeout offline")).unwrap().maps;
        let path = &maps[0].paths[1];
        assert_eq!((maps[0].name.as_str(), path.device.as_str(), path.kernel.as_deref()), ("mpatha", "sdc", Some("failed")));
        assert_eq!((path.checker.as_deref(), path.state.as_deref()), (Some("i/o timeout"), Some("offline")));
        for fine in ["active ready running", "active ghost running", "active undef unknown", "active i/o pending running"] {
            assert_eq!(judged(&map("active ready running", fine)), (Status::Ok, "1 maps, all paths up".to_owned()), "{fine}");
        }
        for lost in ["failed faulty offline", "active faulty running", "failed ready running", "active shaky running", "active ready offline"] {
            assert_eq!(judged(&map("active ready running", lost)), (Status::Bad, "mpatha has lost 1 of 2 paths: sdc".to_owned()), "{lost}");
        }
        assert_eq!(judged(&map("failed faulty running", "failed faulty running")).1, "mpatha has no path left");
        assert_eq!(judged(&map("active ready running", "undef undef unknown")).0, Status::Unknown);
        assert_eq!(judged("mpatha (3600) dm-2 ACME,DISK\nsize=1G features='0' hwhandler='0' wp=rw\n").1, "mpatha has no path left");
    }

    #[test]
    fn maps_of_every_age_and_no_serial_number() {
        let old = "mpath1 (3600SECRET) dm-1 IFT,A16F\n[size=1.0T][features=0][hwhandler=0][rw]\n\
                \\_ round-robin 0 [prio=1][active]\n \\_ 2:0:0:6 sdb 8:16 [active][ready]\n\
                \x20\\_ 3:0:0:6 sdc 8:32 [failed][faulty]\n";
        assert_eq!(judged(old).1, "mpath1 has lost 1 of 2 paths: sdc");
        let unnamed = map("active ready running", "active ready running").replace("mpatha (3600SECRET)", "3600SECRET")
            + "reload: mpathb (3600SECRET) dm-3 ACME,DISK\nsize=1G\n`- #:#:#:# - #:# failed undef unknown\n";
        let outcome = outcome(&unnamed, None).unwrap();
        assert_eq!((outcome.records[0]["name"].as_str(), outcome.records[1]["name"].as_str()), (Some("dm-2"), Some("mpathb")));
        assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Bad, "mpathb has no path left"));
        assert!(!serde_json::to_string(&outcome).unwrap().contains("SECRET"));
    }

    #[test]
    fn json_is_read() {
        let json = |state: &str| {
            format!(
                r#"{{"major_version":0,"maps":[{{"name":"3600SECRET","uuid":"3600SECRET","sysfs":"dm-0","path_groups":[{{"paths":[{{"dev":"sda","dm_st":"active","dev_st":"running","chk_st":"ready"}},{{"dev":"sdb","dm_st":"{state}","dev_st":"running","chk_st":"ready"}}]}}]}}]}}"#
            )
        };
        assert_eq!(judged(&json("active")).0, Status::Ok);
        assert_eq!(judged(&json("failed")).1, "dm-0 has lost 1 of 2 paths: sdb");
        assert_eq!(judged(r#"{"maps":[]}"#).0, Status::Ok);
        assert_eq!(judged(r#"{"map":{"name":"a","path_groups":[]}}"#).1, "a has no path left");
        assert!(matches!(parse("{}"), Err(Unreadable::Json { .. })));
        assert!(matches!(parse(&"{\"maps\":[".repeat(5000)), Err(Unreadable::Json { .. })));
    }

    #[test]
    fn what_the_tool_cannot_do_is_told_and_anything_else_refused() {
        for (text, code) in [
            ("timeout\n", "timed_out"),
            ("need to be root\n", "permission_denied"),
            ("Nov 27 10:00:00 | DM multipath kernel driver not loaded\n", "not_running"),
            ("ux_socket_connect: Connection refused\n", "not_running"),
            ("bash: multipath: command not found\n", "not_found"),
        ] {
            let outcome = outcome(text, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{text}");
        }
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        for foreign in ["Personalities : [raid1]\n", "sda 8:0 0 1G 0 disk\n", "dm-2\n"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { line: 1, .. })), "{foreign}");
        }
        let text =
            format!("10:00:01 | /etc/multipath.conf does not exist, blacklisting all devices.\n{}what\n", map("active ready running", "active ready running"));
        let outcome = outcome(&text, None).unwrap();
        assert_eq!((outcome.status, outcome.faults.len(), outcome.faults[0].code), (Status::Ok, 1, "malformed"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(lines in prop::collection::vec("[a-z]{0,3}( \\([0-9]*\\))? dm-[0-9]{0,3} .*|[ |`+-]{0,4}[0-9:#]{0,7} [a-z]{0,3} [0-9#]{1,20}:[0-9]( (active|failed|i/o|\\[ready\\])){0,3}|.*", 0..8)) {
            if let Ok(outcome) = outcome(&lines.join("\n"), None) {
                prop_assert!(outcome.status != Status::Bad || !outcome.reason.is_empty());
            }
        }
    }
}
