//! Sections that the hardware helper fills: its one file is read as what it is, somebody else's (DECISIONS 19).
//!
//! The helper runs the tools with its rights; this reads what they said with none. Names of the machine's own become
//! words here, as everywhere.

pub(super) mod drive;
pub(super) mod log;
pub(super) mod pool;
pub(super) mod service;

use crate::host::Host;
use mimamori_parse::hardware::{self, End, Report, Run};
use mimamori_shared::id::BootId;
use mimamori_shared::payload::FaultCode;

/// Where the helper leaves its file.
pub(crate) const FILE: &str = "run/mimamori-agent-hardware/report.json";
/// The timer runs it every 15 minutes, with up to 2 of delay: what is older than three turns says nothing about now.
const FRESH_MS: i64 = 3 * 17 * 60_000;

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

/// The runs of a tool.
pub(super) fn runs<'a>(report: &'a Report, tool: &'a str) -> impl Iterator<Item = &'a Run> {
    report.runs.iter().filter(move |run| run.tool == tool)
}

/// What a tool printed, or why it did not.
pub(super) fn printed(run: &Run) -> Result<&str, FaultCode> {
    match run.outcome {
        End::Done => Ok(&run.out),
        End::Missing => Err(FaultCode::NotFound),
        End::TimedOut => Err(FaultCode::TimedOut),
        End::Failed => Err(FaultCode::IoError),
        End::TooLarge => Err(FaultCode::TooLarge),
        End::PermissionDenied => Err(FaultCode::PermissionDenied),
        End::NotConsented => Err(FaultCode::NotConsented),
    }
}

/// Why the report is silent on something that the helper itself looks at: `kernel_log`, `journal`, `services`, `processes`.
pub(super) fn silent(report: &Report, subject: &str) -> FaultCode {
    let withheld = |run: &Run| run.outcome == End::NotConsented && run.subject.as_deref() == Some(subject);
    let said = |fault: &hardware::Fault| fault.code.as_str() == "not_consented" && fault.subject.as_deref() == Some(subject);
    if report.runs.iter().any(withheld) || report.faults.iter().any(said) { FaultCode::NotConsented } else { FaultCode::PermissionDenied }
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
