//! The table of checks: what each looks at, and where it draws the line. Their words stand in [`mimamori_shared::checks`].

use super::Entry;
use Standing::{Bad, Ok};
use mimamori_shared::checks::words;
use mimamori_shared::payload::Standing;

/// One row of [`CHECKS`].
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name on the wire, by which its words are found.
    pub id: &'static str,
    /// The fields that travel as evidence.
    pub evidence: &'static [&'static str],
    /// From the values of an entry and how it stood before; `None` when the values do not tell.
    pub(super) judge: fn(&Entry<'_>, Option<Standing>) -> Option<Standing>,
}

impl Check {
    /// The section it judges, entry by entry.
    #[must_use]
    pub fn section(&self) -> &'static str {
        words(self.id).map_or("", |words| words.section)
    }
}

const fn row(id: &'static str, evidence: &'static [&'static str], judge: fn(&Entry<'_>, Option<Standing>) -> Option<Standing>) -> Check {
    Check { id, evidence, judge }
}

/// Every check, in the order in which findings stand in a report.
#[rustfmt::skip]
pub const CHECKS: &[Check] = &[
    row("filesystem_full", &["size_bytes", "available_bytes"], |e, was| scarce(e.number("available_bytes")?, e.number("size_bytes")?, was)),
    row("filesystem_inodes", &["inodes", "inodes_free"], |e, was| scarce(e.number("inodes_free")?, e.number("inodes")?, was)),
    row("filesystem_read_only", &["read_only", "errors"], read_only),
    row("filesystem_errors", &["errors"], |e, _| some(e, "errors")),
    row("drive_health", &["health_passed", "failing_now", "pending", "uncorrectable", "media_errors", "critical_warning", "percentage_used"], drive),
    row("array_degraded", &["members", "members_active", "failed", "progress_milli"], |e, _| {
        when(e.flag("degraded")? || e.number("failed").is_some_and(|failed| failed > 0))
    }),
    row("pool_degraded", &["devices", "devices_bad", "read_errors", "write_errors", "checksum_errors"], |e, _| when(e.flag("degraded")?)),
    row("multipath_failed", &["paths", "paths_failed"], |e, _| when(e.number("paths_failed")? > 0 || e.number("paths") == Some(0))),
    row("sensor_alarm", &["temperature_milli", "critical_milli", "fan_rpm", "voltage_milli"], |e, _| when(e.flag("alarm")?)),
    row("ecc_uncorrected", &["corrected", "uncorrected"], |e, _| some(e, "uncorrected")),
    row("machine_check", &["exceptions"], |e, _| some(e, "exceptions")),
    row("power_failed", &["present", "failed", "input_lost"], |e, _| when(e.flag("failed")? || e.flag("input_lost") == Some(true))),
    row("ups_on_battery", &["charge_percent", "runtime_s", "load_percent"], |e, _| when(e.flag("on_battery")?)),
    row("ups_battery", &["charge_percent", "runtime_s"], |e, _| when(e.flag("battery_low")? || e.flag("replace_battery") == Some(true))),
    row("ups_failed", &["load_percent"], |e, _| when(e.flag("alarm")? || e.flag("overload") == Some(true) || e.word("status") == Some("off"))),
    row("units_failed", &["failed", "restarting"], |e, _| some(e, "failed")),
    row("service_down", &["active", "restarts"], |e, _| when(!e.flag("active")?)),
    row("process_missing", &["count"], |e, _| when(e.number("count")? == 0)),
    row("oom_kill", &["oom_kills"], |e, _| some(e, "oom_kills")),
    row("file_handles", &["file_handles", "file_handles_max"], |e, was| scarce_of(e, "file_handles", "file_handles_max", was)),
    row("threads", &["threads", "threads_max"], |e, was| scarce_of(e, "threads", "threads_max", was)),
    row("connection_table", &["tracked", "tracked_max"], |e, was| scarce_of(e, "tracked", "tracked_max", was)),
    row("default_route", &["default_route"], |e, was| lost(e.flag("default_route")?, was)),
    row("link_down", &["link_up", "carrier_changes"], |e, was| lost(e.flag("link_up")?, was)),
    row("clock_unsynchronised", &["offset_us", "max_error_us"], |e, _| when(!e.flag("synchronised")?)),
    row("unclean_boot", &[], |e, was| unclean(e.word("previous_shutdown")?, was)),
    row("application_down", &["latency_us", "status"], |e, _| when(!e.flag("up")?)),
    row("agent_over_budget", &["resident_bytes", "cpu_ms", "written_bytes"], |e, was| e.flag("over_budget").map_or(was, when)),
];

fn when(bad: bool) -> Option<Standing> {
    Some(if bad { Bad } else { Ok })
}

/// Bad as soon as there is one.
fn some(entry: &Entry<'_>, field: &str) -> Option<Standing> {
    when(entry.number(field)? > 0)
}

/// Bad below a twentieth, until there is more than a fourteenth again: one file more or less does not turn it to and fro.
fn scarce(left: i64, all: i64, was: Option<Standing>) -> Option<Standing> {
    let share = if was == Some(Bad) { 14 } else { 20 };
    if all <= 0 { None } else { when(left.saturating_mul(share) < all) }
}

fn scarce_of(entry: &Entry<'_>, used: &str, all: &str, was: Option<Standing>) -> Option<Standing> {
    let all = entry.number(all)?;
    scarce(all.saturating_sub(entry.number(used)?), all, was)
}

/// What was never there is not missed: a spare network port, a machine without a way out. What was there and is not, is.
fn lost(is_there: bool, was: Option<Standing>) -> Option<Standing> {
    match (is_there, was) {
        (true, _) => Some(Ok),
        (false, None) => None,
        (false, Some(_)) => Some(Bad),
    }
}

/// Read-only from the beginning is somebody's wish, unless the filesystem has recorded errors.
fn read_only(entry: &Entry<'_>, was: Option<Standing>) -> Option<Standing> {
    let read_only = entry.flag("read_only")?;
    let has_errors = entry.number("errors").is_some_and(|errors| errors > 0);
    lost(!read_only, if has_errors { Some(Bad) } else { was })
}

/// That nobody knows how the last run ended takes nothing back.
fn unclean(word: &str, was: Option<Standing>) -> Option<Standing> {
    match word {
        "clean" => Some(Ok),
        "crash" | "power_loss" | "unclean" => Some(Bad),
        _ => was,
    }
}

/// The verdict is the parser's; a drive that sleeps or cannot be read stands as before.
fn drive(entry: &Entry<'_>, was: Option<Standing>) -> Option<Standing> {
    match entry.word("verdict")? {
        "ok" => Some(Ok),
        "bad" => Some(Bad),
        _ if entry.flag("standby") == Some(true) => was,
        _ => was.map(|_| Standing::Unknown),
    }
}
