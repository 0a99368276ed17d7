//! Sections that the hardware helper fills: its one file is read as what it is, somebody else's (DECISIONS 19).
//!
//! The helper runs the tools with its rights; this reads what they said with none. Names of the machine's own become
//! words here, as everywhere.

pub(super) mod drive;
pub(super) mod log;
pub(super) mod pool;
pub(super) mod service;

use super::{PROBES, Take};
use crate::host::Host;
use mimamori_parse::hardware::{self, End, Report, Run};
use mimamori_shared::id::BootId;
use mimamori_shared::payload::{Fault, FaultCode};

/// Where the helper leaves its file.
pub(crate) const FILE: &str = "run/mimamori-agent-hardware/report.json";
/// The timer runs it every 15 minutes, with up to 2 of delay: what is older than three turns says nothing about now.
const FRESH_MS: i64 = 3 * 17 * 60_000;

/// From one turn's beginning to the next one's end.
pub(crate) const TURN_MS: i64 = (17 + 8) * 60_000;
/// Its first turn begins within 6 minutes of a boot and has 8.
const FIRST_TURN_MS: i64 = 15 * 60_000;

/// The helper's newest report, if it is one of this boot and fresh.
pub(crate) fn report(host: &Host) -> Result<Report, FaultCode> {
    match newest(host) {
        // A restart is no reason to call a disk unknown.
        Err(FaultCode::NotFound) if host.now().is_ok_and(|now| now.boottime_ms < FIRST_TURN_MS) => Err(FaultCode::NotYet),
        newest => newest,
    }
}

fn newest(host: &Host) -> Result<Report, FaultCode> {
    let most = u64::try_from(hardware::REPORT_BYTES_MAX).unwrap_or(u64::MAX);
    let report = hardware::read(&host.read_left(FILE, most)?).map_err(|_| FaultCode::Malformed)?;
    let boot = host.read("proc/sys/kernel/random/boot_id", 256)?;
    // Left from before the last boot: nothing was read since.
    if BootId::from_uuid(&boot) != Some(report.boot_id) {
        return Err(FaultCode::NotFound);
    }
    let age_ms = host.now()?.wall_ms.saturating_sub(report.taken_at_ms);
    if (-FRESH_MS..=FRESH_MS).contains(&age_ms) { Ok(report) } else { Err(FaultCode::TimedOut) }
}

/// The consent let the helper look at nothing for a while: what it could not tell then, its next turn will.
pub(crate) fn await_turn(faults: &mut [Fault]) {
    let waits = |fault: &Fault| fault.name.is_none() && is_fed(fault.probe.as_str()) && matches!(fault.code, FaultCode::TimedOut | FaultCode::NotConsented);
    faults.iter_mut().filter(|fault| waits(fault)).for_each(|fault| fault.code = FaultCode::NotYet);
}

/// Whether the helper tells all or some of a section.
fn is_fed(section: &str) -> bool {
    PROBES.iter().any(|probe| probe.name == section && probe.runs_in.asks_helper())
}

/// The runs of a tool.
pub(super) fn runs<'a>(report: &'a Report, tool: &'a str) -> impl Iterator<Item = &'a Run> {
    report.runs.iter().filter(move |run| run.tool == tool)
}

/// What a tool printed, or why it did not.
pub(super) fn printed(run: &Run) -> Result<&str, FaultCode> {
    match run.outcome {
        End::Done => match run.exit {
            Some(exit) if exit != 0 && run.out.trim().is_empty() => Err(failed(run)),
            _ => Ok(&run.out),
        },
        End::Missing => Err(FaultCode::NotFound),
        End::TimedOut => Err(FaultCode::TimedOut),
        End::Failed => Err(FaultCode::IoError),
        End::TooLarge => Err(FaultCode::TooLarge),
        End::PermissionDenied => Err(FaultCode::PermissionDenied),
        End::NotConsented => Err(FaultCode::NotConsented),
    }
}

/// Why a tool that printed nothing ended badly. That there is nothing of its kind is no fault.
fn failed(run: &Run) -> FaultCode {
    let says = |words: &[&str]| words.iter().any(|word| run.err.contains(word));
    // multipath ends so without a word where there are no maps.
    let is_none = says(&["driver not loaded", "No Controller found", "no pools available"]) || (run.tool == "multipath" && run.err.trim().is_empty());
    if is_none {
        return FaultCode::NotFound;
    }
    mimamori_parse::complaint_code(&run.err).map_or(FaultCode::IoError, code_of)
}

/// What of the machine's devices of a tool the helper left out, as it says itself: then what is missing is not gone.
pub(super) fn left_out(report: &Report, tool: &str, take: &mut Take<'_>) {
    for fault in report.faults.iter().filter(|fault| fault.subject.as_deref() == Some(tool)) {
        match fault.code.as_str() {
            "refused" => take.fail(FaultCode::Malformed),
            "too_many" => take.fail(FaultCode::TooMany),
            "hidden" => take.fail(FaultCode::Hidden),
            "unreadable" => take.fail(FaultCode::IoError),
            "stuck" => take.fail(FaultCode::TimedOut),
            _ => {}
        }
    }
}

/// Why the report is silent on something that the helper itself looks at: `kernel_log`, `journal`, `services`, `processes`.
pub(super) fn silent(report: &Report, subject: &str) -> FaultCode {
    let withheld = |run: &Run| run.outcome == End::NotConsented && run.subject.as_deref() == Some(subject);
    let said = |fault: &hardware::Fault| fault.code.as_str() == "not_consented" && fault.subject.as_deref() == Some(subject);
    if report.runs.iter().any(withheld) || report.faults.iter().any(said) {
        return FaultCode::NotConsented;
    }
    // What the facility named cannot be known from a file that cannot be used.
    let is_named = subject != "kernel_log" && report.faults.iter().any(|fault| fault.code.as_str() == "config_refused");
    if is_named { FaultCode::Malformed } else { FaultCode::PermissionDenied }
}

/// What a parser's word for a trouble is on the wire.
pub(super) fn code_of(word: &str) -> FaultCode {
    match word {
        "permission_denied" => FaultCode::PermissionDenied,
        "not_found" | "no_device" | "not_running" => FaultCode::NotFound,
        "timed_out" | "busy" | "locked" => FaultCode::TimedOut,
        "unsupported" => FaultCode::Unsupported,
        "malformed" => FaultCode::Malformed,
        "too_many" => FaultCode::TooMany,
        _ => FaultCode::IoError,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::probe::tests::recorded;
    use serde_json::{Value, json};

    const BOOT: &str = "00112233-4455-6677-8899-aabbccddeeff";
    pub(in crate::probe) const NOW_MS: i64 = 1_800_000_100_000;

    /// A machine with a report of the helper in it.
    pub(in crate::probe) fn machine(taken_at_ms: i64, change: impl FnOnce(&mut Value), more: &[(&str, &str)]) -> Host {
        let mut report = json!({
            "schema": hardware::SCHEMA, "started_at_ms": taken_at_ms, "taken_at_ms": taken_at_ms, "boot_id": BOOT.replace('-', ""),
            "runs": [], "counts": {"kernel_log": null, "journal": null}, "services": null, "processes": null, "faults": []
        });
        change(&mut report);
        let report = report.to_string();
        let own = [(FILE, report.as_str()), ("proc/sys/kernel/random/boot_id", BOOT), ("proc/uptime", "100.00 50.00\n"), ("proc/stat", "btime 1800000000\n")];
        recorded(&own.iter().chain(more).copied().collect::<Vec<_>>())
    }

    pub(in crate::probe) fn run(tool: &str, subject: Option<&str>, args: &[&str], outcome: &str, out: &str) -> Value {
        let exit = (outcome == "done").then_some(0);
        json!({"tool": tool, "subject": subject, "args": args, "outcome": outcome, "exit": exit, "ms": 1, "cpu_ms": 1, "out": out, "err": ""})
    }

    #[test]
    fn only_a_fresh_report_of_this_boot_counts() {
        assert!(report(&machine(NOW_MS, |_| {}, &[])).is_ok());
        assert!(report(&machine(NOW_MS - FRESH_MS, |_| {}, &[])).is_ok());
        assert_eq!(report(&machine(NOW_MS - FRESH_MS - 1, |_| {}, &[])).unwrap_err(), FaultCode::TimedOut);
        assert_eq!(report(&machine(NOW_MS, |report| report["boot_id"] = json!("ff".repeat(16)), &[])).unwrap_err(), FaultCode::NotYet);
        assert_eq!(report(&machine(NOW_MS, |report| report["schema"] = json!("x"), &[])).unwrap_err(), FaultCode::Malformed);
        assert_eq!(report(&recorded(&[])).unwrap_err(), FaultCode::NotFound);
    }

    #[test]
    fn a_tool_that_fails_without_a_word_is_not_a_machine_without_devices() {
        let told = |section: &str, tool: &str, subject: Option<&str>, args: &[&str], exit: i64, err: &str| {
            let mut failed = run(tool, subject, args, "done", "");
            (failed["exit"], failed["err"]) = (json!(exit), json!(err));
            crate::probe::tests::taken(&machine(NOW_MS, |report| report["runs"] = json!([failed]), &[]), section).1
        };
        assert_eq!(told("pool", "zpool", None, &["status", "-p"], 1, "internal error: cannot open: Permission denied"), ["pool permission_denied"]);
        assert_eq!(told("pool", "btrfs", Some("/srv"), &["device", "stats"], 1, "ERROR: getting device info failed: Input/output error\n"), ["pool io_error"]);
        assert_eq!(told("pool", "lvs", None, &[], 5, "  /dev/sdb: read failed: Input/output error"), ["pool io_error"]);
        assert_eq!(told("multipath", "multipath", None, &["-ll"], 1, "error receiving packet; timeout"), ["multipath timed_out"]);
        assert_eq!(told("multipath", "multipath", None, &["-ll"], 1, ""), [] as [&str; 0], "there are no maps");
        assert_eq!(told("array", "storcli", None, &["/call"], 255, "Segmentation fault"), ["array io_error"]);
        assert_eq!(told("array", "storcli", None, &["/call"], 1, "No Controller found"), [] as [&str; 0]);
        assert_eq!(told("drive", "smartctl", None, &["--json=c", "--scan-open"], 4, ""), ["drive io_error"]);
    }

    #[test]
    fn what_the_helper_left_out_is_not_gone() {
        let told = |section: &str, code: &str, tool: &str| {
            let scan = run("smartctl", None, &["--json=c", "--scan-open"], "done", "{}");
            let change = |report: &mut Value| {
                report["runs"] = json!([scan]);
                report["faults"] = json!([{"code": code, "subject": tool, "detail": "x"}]);
            };
            crate::probe::tests::taken(&machine(NOW_MS, change, &[]), section).1
        };
        assert_eq!(told("drive", "refused", "smartctl"), ["drive malformed"]);
        assert_eq!(told("drive", "too_many", "smartctl"), ["drive too_many"]);
        assert_eq!(told("drive", "unreadable", "smartctl"), ["drive io_error"]);
        assert_eq!(told("pool", "hidden", "btrfs"), ["pool hidden"]);
        assert_eq!(told("array", "stuck", "storcli"), ["array timed_out"]);
        assert_eq!(told("drive", "hidden", "btrfs"), [] as [&str; 0]);
    }

    #[test]
    fn what_the_facility_named_in_a_file_that_cannot_be_used_is_not_forbidden() {
        let refused = |report: &mut Value| report["faults"] = json!([{"code": "config_refused", "subject": null, "detail": "x"}]);
        for section in ["service", "process", "journal"] {
            assert_eq!(crate::probe::tests::taken(&machine(NOW_MS, refused, &[]), section).1, [format!("{section} malformed")]);
        }
        assert_eq!(crate::probe::tests::taken(&machine(NOW_MS, refused, &[]), "kernel_log").1, ["kernel_log permission_denied"]);
    }

    #[test]
    fn every_section_that_waits_for_the_helper_is_known_to_be_awaited() {
        let silent: Vec<&str> = PROBES
            .iter()
            .map(|probe| probe.name)
            .filter(|name| {
                let told = |host: &Host| crate::probe::tests::taken(host, name).1.contains(&format!("{name} timed_out"));
                told(&machine(NOW_MS - FRESH_MS - 1, |_| {}, &[]))
            })
            .collect();
        let fed: Vec<&str> = PROBES.iter().map(|probe| probe.name).filter(|name| is_fed(name)).collect();
        assert_eq!(silent, fed);
    }

    #[test]
    fn after_a_rest_the_helper_is_awaited_and_a_drive_that_hangs_is_not() {
        let fault = |probe: &str, code, name: Option<&str>| Fault { probe: probe.parse().unwrap(), code, name: name.map(|name| name.parse().unwrap()) };
        let mut faults = vec![
            fault("drive", FaultCode::TimedOut, None),
            fault("array", FaultCode::NotConsented, None),
            fault("drive", FaultCode::TimedOut, Some("sda")),
            fault("drive", FaultCode::Malformed, None),
            fault("filesystem", FaultCode::TimedOut, None),
        ];
        await_turn(&mut faults);
        let codes: Vec<FaultCode> = faults.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, [FaultCode::NotYet, FaultCode::NotYet, FaultCode::TimedOut, FaultCode::Malformed, FaultCode::TimedOut]);
    }

    #[test]
    fn its_first_turn_is_awaited_for_a_while_after_a_boot_and_only_until_it_has_left_something() {
        let up = |uptime: &str| report(&recorded(&[("proc/sys/kernel/random/boot_id", BOOT), ("proc/uptime", uptime), ("proc/stat", "btime 1800000000\n")]));
        assert_eq!(up("899.99 1.00\n"), Err(FaultCode::NotYet));
        assert_eq!(up("900.00 1.00\n"), Err(FaultCode::NotFound));
    }

    #[test]
    fn what_the_consent_did_not_cover_is_neither_missing_nor_forbidden() {
        let tools = ["smartctl", "storcli", "zpool", "multipath"].map(|tool| run(tool, None, &["status"], "not_consented", ""));
        let ipmitool = [&["sensor"][..], &["sdr", "type", "Power Supply"]].map(|args| run("ipmitool", None, args, "not_consented", ""));
        let systemctl = [run("systemctl", Some("services"), &["show"], "not_consented", "")];
        let journal = ["kernel_log", "journal"].map(|subject| run("journalctl", Some(subject), &["--boot"], "not_consented", ""));
        let runs: Vec<Value> = tools.into_iter().chain(ipmitool).chain(systemctl).chain(journal).collect();
        let change = |report: &mut Value| {
            report["runs"] = json!(runs);
            report["faults"] = json!([{"code": "not_consented", "subject": "processes", "detail": "x"}]);
        };
        for section in ["drive", "array", "pool", "multipath", "sensor", "power", "service", "process", "kernel_log", "journal"] {
            let faults = crate::probe::tests::taken(&machine(NOW_MS, change, &[]), section).1;
            assert!(faults.contains(&format!("{section} not_consented")), "{section}: {faults:?}");
        }
    }
}
