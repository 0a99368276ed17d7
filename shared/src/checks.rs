//! The words of the self-diagnosis: which checks there are and what each means, for whoever tells people about them.
//! How an agent judges is its own (`agent/src/diagnosis`).

/// A check as people read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckWords {
    /// Its name on the wire; never used for anything else.
    pub id: &'static str,
    /// The section it judges, entry by entry.
    pub section: &'static str,
    /// What is wrong when it is bad, in English.
    pub about: &'static str,
    /// What is wrong when it is bad, in Japanese.
    pub about_ja: &'static str,
}

const fn row(id: &'static str, section: &'static str, about: &'static str, about_ja: &'static str) -> CheckWords {
    CheckWords { id, section, about, about_ja }
}

/// Every check, in the order in which findings stand in a report.
#[rustfmt::skip]
pub const CHECKS: &[CheckWords] = &[
    row("filesystem_full", "filesystem", "A filesystem is nearly full.", "ファイルシステムの空きがわずかです。"),
    row("filesystem_inodes", "filesystem", "A filesystem has hardly any inodes left.", "ファイルシステムのiノードがわずかです。"),
    row("filesystem_read_only", "filesystem", "A filesystem became read-only.", "ファイルシステムが読み取り専用になりました。"),
    row("filesystem_errors", "filesystem", "A filesystem recorded errors about itself.", "ファイルシステムがエラーを記録しました。"),
    row("drive_health", "drive", "A drive is failing.", "ドライブに故障の兆候があります。"),
    row("array_degraded", "array", "An array lacks redundancy, or a member of it failed.", "RAIDの冗長性が失われているか、構成ディスクが故障しています。"),
    row("pool_degraded", "pool", "A storage pool lacks redundancy or a device.", "ストレージプールの装置または冗長性が失われています。"),
    row("multipath_failed", "multipath", "A path to a device failed, or there is none left.", "装置への経路が故障しているか、残っていません。"),
    row("sensor_alarm", "sensor", "A sensor raises an alarm.", "センサーが警報を出しています。"),
    row("ecc_uncorrected", "ecc", "Memory had errors that could not be corrected.", "訂正できないメモリエラーがありました。"),
    row("machine_check", "machine_check", "A processor reported machine checks.", "CPUがマシンチェックを報告しました。"),
    row("power_failed", "power", "A power supply failed or gets no power.", "電源ユニットの故障または入力喪失です。"),
    row("ups_on_battery", "ups", "The machine runs on the battery of its UPS.", "UPSのバッテリーで動作しています。"),
    row("ups_battery", "ups", "The battery of the UPS is low or must be replaced.", "UPSのバッテリーが少ないか、交換が必要です。"),
    row("ups_failed", "ups", "The UPS is off, overloaded, or raises an alarm.", "UPSが出力停止・過負荷・警報の状態です。"),
    row("units_failed", "units", "Units of the service manager failed.", "サービス管理のユニットが失敗しています。"),
    row("service_down", "service", "A service that is watched is not active.", "監視対象のサービスが稼働していません。"),
    row("process_missing", "process", "A program that is watched does not run.", "監視対象のプログラムが動作していません。"),
    row("oom_kill", "paging", "The kernel killed processes for want of memory.", "メモリ不足でプロセスが終了させられました。"),
    row("file_handles", "kernel", "The kernel has hardly any file handles left.", "ファイルハンドルの残りがわずかです。"),
    row("threads", "kernel", "The kernel allows hardly any more threads.", "スレッド数が上限に近づいています。"),
    row("connection_table", "tcp", "The connection table is nearly full.", "接続追跡テーブルがほぼ一杯です。"),
    row("default_route", "tcp", "There is no default route.", "デフォルト経路がありません。"),
    row("link_down", "network", "A network link went down.", "ネットワークリンクが切れました。"),
    row("clock_unsynchronised", "clock", "The clock is not synchronised.", "時計が同期していません。"),
    row("unclean_boot", "boot", "The run before this one ended by a crash or without power.", "前回は異常停止または電源断で終わりました。"),
    row("application_down", "application", "An application check of the facility fails.", "施設が定めたアプリケーション確認が失敗しています。"),
    row("agent_over_budget", "agent", "The agent uses more of the machine than it may.", "エージェントが自身の上限を超えています。"),
];

/// The words of a check; a newer agent may have checks that are not known here.
#[must_use]
pub fn words(id: &str) -> Option<&'static CheckWords> {
    CHECKS.iter().find(|check| check.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::word::Word;
    use std::collections::BTreeSet;

    #[test]
    fn every_check_has_a_name_of_its_own_and_a_sentence_in_both_languages() {
        let ids: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), CHECKS.len());
        for check in CHECKS {
            assert!(check.id.parse::<Word>().is_ok() && words(check.id) == Some(check), "{}", check.id);
            assert!(check.about.is_ascii() && check.about.ends_with('.'), "{}", check.id);
            assert!(!check.about_ja.is_ascii() && check.about_ja.ends_with('。'), "{}", check.id);
        }
        assert_eq!(words("of_a_newer_agent"), None);
    }
}
