//! The table of checks: what each looks at, and where it draws the line.

use super::Entry;
use Standing::{Bad, Ok};
use mimamori_shared::payload::Standing;

/// One row of [`CHECKS`].
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name on the wire; never used for anything else.
    pub id: &'static str,
    /// The section it judges, entry by entry.
    pub section: &'static str,
    /// The fields that travel as evidence.
    pub evidence: &'static [&'static str],
    /// What is wrong when it is bad, in English.
    pub about: &'static str,
    /// What is wrong when it is bad, in Japanese.
    pub about_ja: &'static str,
    /// From the values of an entry and how it stood before; `None` when the values do not tell.
    pub(super) judge: fn(&Entry<'_>, Option<Standing>) -> Option<Standing>,
}

const fn row(
    id: &'static str,
    section: &'static str,
    evidence: &'static [&'static str],
    about: [&'static str; 2],
    judge: fn(&Entry<'_>, Option<Standing>) -> Option<Standing>,
) -> Check {
    let [about, about_ja] = about;
    Check { id, section, evidence, about, about_ja, judge }
}

/// Every check, in the order in which findings stand in a report.
#[rustfmt::skip]
pub const CHECKS: &[Check] = &[
    row("filesystem_full", "filesystem", &["size_bytes", "available_bytes"], ["A filesystem is nearly full.", "ファイルシステムの空きがわずかです。"], |e, was| scarce(e.number("available_bytes")?, e.number("size_bytes")?, was)),
    row("filesystem_inodes", "filesystem", &["inodes", "inodes_free"], ["A filesystem has hardly any inodes left.", "ファイルシステムのiノードがわずかです。"], |e, was| scarce(e.number("inodes_free")?, e.number("inodes")?, was)),
    row("filesystem_read_only", "filesystem", &["read_only", "errors"], ["A filesystem became read-only.", "ファイルシステムが読み取り専用になりました。"], read_only),
    row("filesystem_errors", "filesystem", &["errors"], ["A filesystem recorded errors about itself.", "ファイルシステムがエラーを記録しました。"], |e, _| some(e, "errors")),
    row("drive_health", "drive", &["health_passed", "failing_now", "pending", "uncorrectable", "media_errors", "critical_warning", "percentage_used"], ["A drive is failing.", "ドライブに故障の兆候があります。"], drive),
    row("array_degraded", "array", &["members", "members_active", "failed", "progress_milli"], ["An array lacks redundancy.", "RAIDの冗長性が失われています。"], |e, _| when(e.flag("degraded")?)),
    row("pool_degraded", "pool", &["devices", "devices_bad", "read_errors", "write_errors", "checksum_errors"], ["A storage pool lacks redundancy or a device.", "ストレージプールの装置または冗長性が失われています。"], |e, _| when(e.flag("degraded")?)),
    row("multipath_failed", "multipath", &["paths", "paths_failed"], ["A path to a device failed.", "装置への経路が故障しています。"], |e, _| some(e, "paths_failed")),
    row("sensor_alarm", "sensor", &["temperature_milli", "critical_milli", "fan_rpm", "voltage_milli"], ["A sensor raises an alarm.", "センサーが警報を出しています。"], |e, _| when(e.flag("alarm")?)),
    row("ecc_uncorrected", "ecc", &["corrected", "uncorrected"], ["Memory had errors that could not be corrected.", "訂正できないメモリエラーがありました。"], |e, _| some(e, "uncorrected")),
    row("machine_check", "machine_check", &["exceptions"], ["A processor reported machine checks.", "CPUがマシンチェックを報告しました。"], |e, _| some(e, "exceptions")),
    row("power_failed", "power", &["present", "failed", "input_lost"], ["A power supply failed or gets no power.", "電源ユニットの故障または入力喪失です。"], |e, _| when(e.flag("failed")? || e.flag("input_lost") == Some(true))),
    row("ups_on_battery", "ups", &["charge_percent", "runtime_s", "load_percent"], ["The machine runs on the battery of its UPS.", "UPSのバッテリーで動作しています。"], |e, _| when(e.flag("on_battery")?)),
    row("ups_battery", "ups", &["charge_percent", "runtime_s"], ["The battery of the UPS is low or must be replaced.", "UPSのバッテリーが少ないか、交換が必要です。"], |e, _| when(e.flag("battery_low")? || e.flag("replace_battery") == Some(true))),
    row("units_failed", "units", &["failed", "restarting"], ["Units of the service manager failed.", "サービス管理のユニットが失敗しています。"], |e, _| some(e, "failed")),
    row("service_down", "service", &["active", "restarts"], ["A service that is watched is not active.", "監視対象のサービスが稼働していません。"], |e, _| when(!e.flag("active")?)),
    row("process_missing", "process", &["count"], ["A program that is watched does not run.", "監視対象のプログラムが動作していません。"], |e, _| when(e.number("count")? == 0)),
    row("oom_kill", "paging", &["oom_kills"], ["The kernel killed processes for want of memory.", "メモリ不足でプロセスが終了させられました。"], |e, _| some(e, "oom_kills")),
    row("file_handles", "kernel", &["file_handles", "file_handles_max"], ["The kernel has hardly any file handles left.", "ファイルハンドルの残りがわずかです。"], |e, was| scarce_of(e, "file_handles", "file_handles_max", was)),
    row("threads", "kernel", &["threads", "threads_max"], ["The kernel allows hardly any more threads.", "スレッド数が上限に近づいています。"], |e, was| scarce_of(e, "threads", "threads_max", was)),
    row("connection_table", "tcp", &["tracked", "tracked_max"], ["The connection table is nearly full.", "接続追跡テーブルがほぼ一杯です。"], |e, was| scarce_of(e, "tracked", "tracked_max", was)),
    row("default_route", "tcp", &["default_route"], ["There is no default route.", "デフォルト経路がありません。"], |e, was| lost(e.flag("default_route")?, was)),
    row("link_down", "network", &["link_up", "carrier_changes"], ["A network link went down.", "ネットワークリンクが切れました。"], |e, was| lost(e.flag("link_up")?, was)),
    row("clock_unsynchronised", "clock", &["offset_us", "max_error_us"], ["The clock is not synchronised.", "時計が同期していません。"], |e, _| when(!e.flag("synchronised")?)),
    row("unclean_boot", "boot", &[], ["The run before this one ended by a crash or without power.", "前回は異常停止または電源断で終わりました。"], |e, _| when(matches!(e.word("previous_shutdown")?, "crash" | "power_loss"))),
    row("application_down", "application", &["latency_us", "status"], ["An application check of the facility fails.", "施設が定めたアプリケーション確認が失敗しています。"], |e, _| when(e.flag("up")?)),
    row("agent_over_budget", "agent", &["resident_bytes", "cpu_ms", "written_bytes"], ["The agent uses more of the machine than it may.", "エージェントが自身の上限を超えています。"], |e, _| when(e.flag("over_budget")?)),
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

/// The verdict is the parser's; a drive that sleeps or cannot be read stands as before.
fn drive(entry: &Entry<'_>, was: Option<Standing>) -> Option<Standing> {
    match entry.word("verdict")? {
        "ok" => Some(Ok),
        "bad" => Some(Bad),
        _ if entry.flag("standby") == Some(true) => was,
        _ => was.map(|_| Standing::Unknown),
    }
}
