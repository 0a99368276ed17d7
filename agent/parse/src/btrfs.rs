//! Btrfs' own counters of errors per device: `btrfs device stats`, as text and as `--format json`.

use crate::verdict::{self, Verdict};
use crate::{Fault, Outcome, Unreadable, text, trouble};
use serde::Serialize;
use serde_json::Value;

/// The whole output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Btrfs {
    /// In the output's order.
    pub devices: Vec<Device>,
    /// What the tool could not look at, and what could not be read.
    pub faults: Vec<Fault>,
}

/// Errors of one device since they were last set to zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are the tool's")]
pub struct Device {
    /// Its path, or what stands in its place when it is missing.
    pub device: String,
    pub write_io_errs: Option<i64>,
    pub read_io_errs: Option<i64>,
    pub flush_io_errs: Option<i64>,
    pub corruption_errs: Option<i64>,
    pub generation_errs: Option<i64>,
}

const SUCH_AS: &str = "[/dev/sda].write_io_errs    0";

/// Reads either form.
///
/// # Errors
/// When it is empty, or something else.
pub fn parse(input: &str) -> Result<Btrfs, Unreadable> {
    match input.trim_start().chars().next() {
        None => Err(Unreadable::Empty),
        Some('{') => json(input),
        Some(_) => lines(input),
    }
}

fn lines(input: &str) -> Result<Btrfs, Unreadable> {
    let mut btrfs = Btrfs::default();
    let mut any = false;
    for (index, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let complaint = line.strip_prefix("ERROR: ").or_else(|| line.strip_prefix("WARNING: "));
        if let Some(complaint) = complaint.filter(|complaint| !text::plain(complaint).is_empty()) {
            verdict::fault(&mut btrfs.faults, trouble::fault(code(complaint), complaint));
        } else if let Some((device, counter, count)) = counter(line) {
            let device = text::plain(device);
            if btrfs.devices.last().is_none_or(|last| last.device != device) {
                verdict::push(&mut btrfs.devices, Device { device, ..Device::default() }, &mut btrfs.faults);
            }
            if let Some(place) = btrfs.devices.last_mut().and_then(|last| last.place(counter)) {
                *place = Some(count);
            }
        } else if any {
            verdict::fault(&mut btrfs.faults, trouble::malformed(index, line));
        } else {
            return Err(Unreadable::Foreign { line: index + 1, such_as: SUCH_AS });
        }
        any = true;
    }
    Ok(btrfs)
}

/// `[/dev/sda].write_io_errs    0`
fn counter(line: &str) -> Option<(&str, &str, i64)> {
    let (device, rest) = line.trim().strip_prefix('[')?.rsplit_once("].")?;
    let (counter, count) = rest.split_once(char::is_whitespace)?;
    Some((device, counter, text::whole(count.trim())?))
}

fn code(complaint: &str) -> &'static str {
    let unsupported = complaint.contains("not a btrfs") || complaint.contains("not a mounted btrfs");
    if unsupported { "unsupported" } else { trouble::code(complaint).unwrap_or("io_error") }
}

fn json(input: &str) -> Result<Btrfs, Unreadable> {
    let value: Value = serde_json::from_str(input)?;
    let foreign = Unreadable::Json { line: 1, what: "no `device-stats`".to_owned() };
    let rows = value.get("device-stats").and_then(Value::as_array).ok_or(foreign)?;
    let mut btrfs = Btrfs::default();
    for row in rows {
        let mut device = Device { device: row.get("device").and_then(Value::as_str).map(text::plain).unwrap_or_default(), ..Device::default() };
        for (key, value) in row.as_object().into_iter().flatten() {
            if let Some(place) = device.place(key) {
                // Older ones write the numbers as texts.
                *place = value.as_i64().or_else(|| value.as_str().and_then(text::whole)).filter(|count| *count >= 0);
            }
        }
        verdict::push(&mut btrfs.devices, device, &mut btrfs.faults);
    }
    Ok(btrfs)
}

impl Device {
    fn place(&mut self, counter: &str) -> Option<&mut Option<i64>> {
        match counter {
            "write_io_errs" => Some(&mut self.write_io_errs),
            "read_io_errs" => Some(&mut self.read_io_errs),
            "flush_io_errs" => Some(&mut self.flush_io_errs),
            "corruption_errs" => Some(&mut self.corruption_errs),
            "generation_errs" => Some(&mut self.generation_errs),
            _ => None,
        }
    }

    /// Whether something else stands in its place: it is gone.
    #[must_use]
    pub fn missing(&self) -> bool {
        self.device.contains("missing") || self.device.starts_with("devid:")
    }

    fn counts(&self) -> [(&'static str, Option<i64>); 5] {
        [
            ("write", self.write_io_errs),
            ("read", self.read_io_errs),
            ("flush", self.flush_io_errs),
            ("corruption", self.corruption_errs),
            ("generation", self.generation_errs),
        ]
    }
}

/// How the counters read: bad when one of them is above zero, or a device is missing.
///
/// # Errors
/// As [`parse`], unless it is a complaint of the shell's.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let btrfs = match parse(input) {
        Ok(btrfs) => btrfs,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut verdict = Verdict::default();
    for device in &btrfs.devices {
        let name = if device.device.is_empty() { "a device" } else { &device.device };
        if device.missing() {
            verdict.bad(format!("{name}: the device is missing"));
        }
        let counts = device.counts();
        for (what, count) in counts.iter().filter_map(|(what, count)| Some((what, count.filter(|count| *count > 0)?))) {
            verdict.bad(format!("{name}: {count} {what} errors"));
        }
        if counts.iter().any(|(_, count)| count.is_none()) {
            verdict.unknown(format!("{name}: not all counters are there"));
        }
    }
    if btrfs.devices.is_empty() && btrfs.faults.is_empty() {
        verdict.unknown("no devices in it");
    }
    let mut outcome = verdict.outcome_with(format!("{} devices without errors", btrfs.devices.len()), btrfs.faults);
    for device in &btrfs.devices {
        for (kind, count) in device.counts() {
            outcome.reading("device_errors", &[("device", &device.device), ("kind", kind)], count.map(text::float), "count");
        }
        outcome.record(device);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    fn stats(device: &str, counts: [u8; 5]) -> String {
        let names = ["write_io_errs", "read_io_errs", "flush_io_errs", "corruption_errs", "generation_errs"];
        names.iter().zip(counts).map(|(name, count)| format!("[{device}].{name}    {count}\n")).collect()
    }

    fn judged(input: &str) -> (Status, String) {
        let outcome = outcome(input, None).unwrap();
        (outcome.status, outcome.reason)
    }

    #[test]
    fn counters_are_read_and_judged() {
        let text = stats("/dev/sda", [0; 5]) + &stats("/dev/mapper/x]y", [1, 0, 2, 0, 0]);
        let devices = parse(&text).unwrap().devices;
        assert_eq!((devices.len(), devices[1].device.as_str(), devices[1].flush_io_errs, devices[0].write_io_errs), (2, "/dev/mapper/x]y", Some(2), Some(0)));
        assert_eq!(judged(&text), (Status::Bad, "/dev/mapper/x]y: 1 write errors; /dev/mapper/x]y: 2 flush errors".to_owned()));
        assert_eq!(judged(&stats("/dev/sda", [0; 5])).0, Status::Ok);
        assert_eq!(judged(&stats("devid:2", [0; 5])).0, Status::Bad);
        assert_eq!(judged("[/dev/sda].write_io_errs 0\n").0, Status::Unknown);
    }

    #[test]
    fn json_is_read_with_numbers_and_with_texts() {
        let row = |count: &str| {
            format!(
                r#"{{"__header":{{"version":"1"}},"device-stats":[{{"device":"/dev/sda","devid":"1","write_io_errs":{count},"read_io_errs":"0","flush_io_errs":0,"corruption_errs":"0","generation_errs":0}}]}}"#
            )
        };
        assert_eq!((judged(&row("0")).0, judged(&row("\"0\"")).0), (Status::Ok, Status::Ok));
        assert_eq!(judged(&row("\"7\"")).1, "/dev/sda: 7 write errors");
        assert_eq!(judged(&row("null")).0, Status::Unknown);
        assert_eq!(judged(r#"{"device-stats":[]}"#).0, Status::Unknown);
        assert!(matches!(parse("{\"a\":1}"), Err(Unreadable::Json { .. })));
        assert!(matches!(parse(&format!("{{\"device-stats\":{}", "[".repeat(9000))), Err(Unreadable::Json { .. })));
    }

    #[test]
    fn what_the_tool_cannot_do_is_told_and_anything_else_refused() {
        for (line, code) in [
            ("ERROR: not a btrfs filesystem: /", "unsupported"),
            ("ERROR: '/dev/sda' is not a mounted btrfs device", "unsupported"),
            ("ERROR: cannot access '/x': No such file or directory", "not_found"),
            ("ERROR: getting device info for / failed: Operation not permitted", "permission_denied"),
            ("ERROR: something", "io_error"),
            ("bash: btrfs: command not found", "not_found"),
        ] {
            let outcome = outcome(line, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{line}");
        }
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        assert!(matches!(parse("[x] 1\n"), Err(Unreadable::Foreign { line: 1, .. })));
        let broken = outcome(&(stats("/dev/sda", [0; 5]) + "[/dev/sda].write_io_errs x\n"), None).unwrap();
        assert_eq!((broken.status, broken.faults[0].code), (Status::Ok, "malformed"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(lines in prop::collection::vec("\\[[a-z/\\]]{0,5}\\]\\.(write_io_errs|x) +[0-9]{1,20}|ERROR: .*|.*", 0..6)) {
            if let Ok(outcome) = outcome(&lines.join("\n"), None) {
                prop_assert!(outcome.status == Status::Ok || !outcome.reason.is_empty());
            }
        }
    }
}
