//! The table of everything that can be read.

use crate::{
    Outcome, Tree, Unreadable, apcaccess, btrfs, chronyc, df, diskstats, dmesg, edac, hwmon, ipmi_sensor, lvs, mdadm, mdstat, mount, multipath, netdev,
    nvme_cli, physicaldisk, power_supply, psi, smartctl, smartctl_text, storcli, systemd, timedatectl, upsc, w32tm, zpool,
};
use crate::{apt, apt_mark, clamav_cvd, defender, dnf, kaspersky, mdatp, needrestart, needs_restarting, os_release, symantec, wua};
use crate::{barman, borg, drop_json, nagios, pgbackrest, restic, textfile, veeam, wbadmin};

/// What a kind is given.
#[derive(Debug, Clone, Copy)]
pub enum Read {
    /// Text, decoded.
    Text(fn(&str, Option<i64>) -> Result<Outcome, Unreadable>),
    /// Bytes as they are. Of a file that is larger than any text, its beginning.
    Bytes(fn(&[u8], Option<i64>) -> Result<Outcome, Unreadable>),
    /// A folder.
    Tree(fn(&Tree, Option<i64>) -> Result<Outcome, Unreadable>),
}

/// One row of [`KINDS`].
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it reads, in English.
    pub about: &'static str,
    /// What it reads, in Japanese.
    pub about_ja: &'static str,
    /// How. The second argument is the moment to judge ages by, in milliseconds since 1970 UTC; without it no age is judged.
    pub read: Read,
}

/// Everything that can be read, by name.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "smartctl",
        about: "health of one drive: smartctl --json (-a, -x, -H), or a scan",
        about_ja: "ディスク1台の健康状態（smartctl --json の -a・-x・-H、または scan）",
        read: Read::Text(smartctl::outcome),
    },
    Kind {
        name: "smartctl-text",
        about: "the same from smartctl's text",
        about_ja: "同上（smartctl のテキスト出力）",
        read: Read::Text(smartctl_text::outcome),
    },
    Kind {
        name: "nvme-cli",
        about: "NVMe drives: nvme smart-log -o json, nvme list -o json",
        about_ja: "NVMeドライブ（nvme smart-log・nvme list の -o json）",
        read: Read::Text(nvme_cli::outcome),
    },
    Kind {
        name: "storcli",
        about: "RAID controllers: storcli or perccli, show all J",
        about_ja: "RAIDコントローラー（storcli・perccli の show all J）",
        read: Read::Text(storcli::outcome),
    },
    Kind { name: "mdstat", about: "software RAID: /proc/mdstat", about_ja: "ソフトウェアRAID（/proc/mdstat）", read: Read::Text(mdstat::outcome) },
    Kind {
        name: "mdadm",
        about: "software RAID: mdadm --detail or --examine",
        about_ja: "ソフトウェアRAID（mdadm --detail、--examine）",
        read: Read::Text(mdadm::outcome),
    },
    Kind {
        name: "zpool", about: "ZFS pools: zpool status or zpool list", about_ja: "ZFSプール（zpool status、zpool list）", read: Read::Text(zpool::outcome)
    },
    Kind {
        name: "zpool-state",
        about: "one ZFS pool: /proc/spl/kstat/zfs/POOL/state",
        about_ja: "ZFSプールひとつ（/proc/spl/kstat/zfs/POOL/state）",
        read: Read::Text(zpool::outcome_state),
    },
    Kind {
        name: "btrfs",
        about: "Btrfs' counters of errors: btrfs device stats (text or JSON)",
        about_ja: "Btrfsのエラー累計（btrfs device stats、テキストまたはJSON）",
        read: Read::Text(btrfs::outcome),
    },
    Kind {
        name: "lvs",
        about: "logical volumes: lvs --reportformat json",
        about_ja: "論理ボリューム（lvs --reportformat json）",
        read: Read::Text(lvs::outcome),
    },
    Kind {
        name: "multipath",
        about: "paths to disks: multipath -ll, multipathd show maps json",
        about_ja: "ディスクへの経路（multipath -ll、multipathd show maps json）",
        read: Read::Text(multipath::outcome),
    },
    Kind {
        name: "hwmon",
        about: "sensors of the kernel: a folder as under /sys/class/hwmon",
        about_ja: "温度・ファン・電圧などのセンサー（/sys/class/hwmon のフォルダー）",
        read: Read::Tree(hwmon::outcome),
    },
    Kind {
        name: "edac",
        about: "memory errors: a folder as under /sys/devices/system/edac",
        about_ja: "メモリーエラー（/sys/devices/system/edac のフォルダー）",
        read: Read::Tree(edac::outcome),
    },
    Kind {
        name: "power-supply",
        about: "batteries and mains: a folder as under /sys/class/power_supply",
        about_ja: "バッテリーと電源（/sys/class/power_supply のフォルダー）",
        read: Read::Tree(power_supply::outcome),
    },
    Kind {
        name: "ipmi-sensor",
        about: "sensors of the management processor: ipmitool sensor, ipmitool sdr, ipmi-sensors",
        about_ja: "管理プロセッサのセンサー（ipmitool sensor・sdr、ipmi-sensors の出力）",
        read: Read::Text(ipmi_sensor::outcome),
    },
    Kind {
        name: "upsc",
        about: "a UPS by Network UPS Tools: upsc NAME",
        about_ja: "無停電電源装置（NUT の upsc NAME の出力）",
        read: Read::Text(upsc::outcome),
    },
    Kind {
        name: "apcaccess",
        about: "a UPS by apcupsd: apcaccess status",
        about_ja: "無停電電源装置（apcupsd の apcaccess status の出力）",
        read: Read::Text(apcaccess::outcome),
    },
    Kind {
        name: "chronyc",
        about: "the clock by chrony: chronyc tracking",
        about_ja: "時刻同期（chrony の chronyc tracking の出力）",
        read: Read::Text(chronyc::outcome),
    },
    Kind {
        name: "w32tm",
        about: "the clock by Windows: w32tm /query /status, in any language",
        about_ja: "時刻同期（Windows の w32tm /query /status の出力、言語を問わない）",
        read: Read::Text(w32tm::outcome),
    },
    Kind {
        name: "timedatectl",
        about: "the clock by systemd: timedatectl status, show, show-timesync, timesync-status",
        about_ja: "時刻同期（systemd の timedatectl の出力）",
        read: Read::Text(timedatectl::outcome),
    },
    Kind {
        name: "mount",
        about: "mounted filesystems: /proc/mounts or /proc/self/mountinfo",
        about_ja: "マウント中のファイルシステム（/proc/mounts、/proc/self/mountinfo）",
        read: Read::Text(mount::outcome),
    },
    Kind { name: "df", about: "disk space or inodes: df -PTk, df -Pi", about_ja: "ディスクの空き（df -PTk、df -Pi）", read: Read::Text(df::outcome) },
    Kind {
        name: "diskstats",
        about: "counters of block devices: /proc/diskstats",
        about_ja: "ブロックデバイスの累計（/proc/diskstats）",
        read: Read::Text(diskstats::outcome),
    },
    Kind {
        name: "netdev",
        about: "counters of network interfaces: /proc/net/dev",
        about_ja: "ネットワークインターフェースの累計（/proc/net/dev）",
        read: Read::Text(netdev::outcome),
    },
    Kind {
        name: "psi",
        about: "pressure of one resource: a file of /proc/pressure",
        about_ja: "資源の逼迫度（/proc/pressure のファイル）",
        read: Read::Text(psi::outcome),
    },
    Kind {
        name: "dmesg",
        about: "messages of the kernel, counted by class: dmesg",
        about_ja: "カーネルのメッセージ（dmesg の出力、種類ごとの件数のみ）",
        read: Read::Text(dmesg::outcome),
    },
    Kind {
        name: "systemd",
        about: "units of systemd: systemctl list-units, as text or JSON",
        about_ja: "systemd のユニット（systemctl list-units の出力、テキストまたは JSON）",
        read: Read::Text(systemd::outcome),
    },
    Kind {
        name: "physicaldisk",
        about: "drives by Windows: Get-PhysicalDisk, Get-StorageReliabilityCounter, as list, table or JSON",
        about_ja: "Windows のディスク（Get-PhysicalDisk・Get-StorageReliabilityCounter の出力、一覧・表・JSON）",
        read: Read::Text(physicaldisk::outcome),
    },
    Kind {
        name: "apt",
        about: "updates of Debian and Ubuntu: apt-get -s upgrade, apt-get -s dist-upgrade, apt list --upgradable",
        about_ja: "Debian・Ubuntu の更新（apt-get -s upgrade・dist-upgrade、apt list --upgradable の出力）",
        read: Read::Text(apt::outcome),
    },
    Kind {
        name: "apt-mark",
        about: "packages on hold of Debian and Ubuntu: apt-mark showhold",
        about_ja: "Debian・Ubuntu の保留中パッケージ（apt-mark showhold の出力）",
        read: Read::Text(apt_mark::outcome),
    },
    Kind {
        name: "dnf",
        about: "updates of RPM distributions: dnf check-update, dnf updateinfo list, also yum",
        about_ja: "RPM系ディストリビューションの更新（dnf check-update・dnf updateinfo list、yum も可）",
        read: Read::Text(dnf::outcome),
    },
    Kind {
        name: "needs-restarting",
        about: "what waits for a restart on RPM distributions: needs-restarting, needs-restarting -r",
        about_ja: "更新後に再起動が必要なもの（RPM系：needs-restarting、needs-restarting -r の出力）",
        read: Read::Text(needs_restarting::outcome),
    },
    Kind {
        name: "needrestart",
        about: "what waits for a restart on Debian and Ubuntu: needrestart -b",
        about_ja: "更新後に再起動が必要なもの（Debian・Ubuntu：needrestart -b の出力）",
        read: Read::Text(needrestart::outcome),
    },
    Kind {
        name: "os-release",
        about: "the operating system and the end of its support: /etc/os-release",
        about_ja: "OSの種類・版とサポート終了日（/etc/os-release）",
        read: Read::Text(os_release::outcome),
    },
    Kind {
        name: "wua",
        about: "Windows Update: its history as JSON, or pending updates as scripts of monitoring print them",
        about_ja: "Windows Update（履歴のJSON、または監視スクリプトが出力する未適用の更新）",
        read: Read::Text(wua::outcome),
    },
    Kind {
        name: "clamav-cvd",
        about: "a pattern file of ClamAV (.cvd, .cld), or its first 512 bytes",
        about_ja: "ClamAV のパターンファイル（.cvd・.cld、または先頭512バイト）",
        read: Read::Bytes(clamav_cvd::outcome),
    },
    Kind {
        name: "mdatp",
        about: "Microsoft Defender for Endpoint of Linux: mdatp health --output json, or its text",
        about_ja: "Linux の Microsoft Defender for Endpoint（mdatp health --output json、またはテキスト）",
        read: Read::Text(mdatp::outcome),
    },
    Kind {
        name: "defender",
        about: "Microsoft Defender Antivirus of Windows: Get-MpComputerStatus, as list, table or JSON",
        about_ja: "Windows の Microsoft Defender（Get-MpComputerStatus の出力、一覧・表・JSON、言語を問わない）",
        read: Read::Text(defender::outcome),
    },
    Kind {
        name: "symantec",
        about: "Symantec Endpoint Protection: sav info, or its state as scripts of monitoring print it",
        about_ja: "Symantec Endpoint Protection（sav info の出力、監視スクリプトの出力）",
        read: Read::Text(symantec::outcome),
    },
    Kind {
        name: "kaspersky",
        about: "Kaspersky's products: kesl-control --app-info, or their state as scripts of monitoring print it",
        about_ja: "Kaspersky 製品（kesl-control --app-info の出力、監視スクリプトの出力）",
        read: Read::Text(kaspersky::outcome),
    },
    Kind {
        name: "restic",
        about: "backups by restic: snapshots, stats, check, forget or backup with --json",
        about_ja: "resticのバックアップ（snapshots・stats・check・forget・backup の --json）",
        read: Read::Text(restic::outcome),
    },
    Kind {
        name: "borg",
        about: "backups by BorgBackup: list, info or create with --json, messages of --log-json, or text",
        about_ja: "BorgBackupのバックアップ（list・info・create の --json、--log-json のメッセージ、テキスト）",
        read: Read::Text(borg::outcome),
    },
    Kind {
        name: "pgbackrest",
        about: "backups by pgBackRest: info --output=json, or text",
        about_ja: "pgBackRestのバックアップ（info --output=json、またはテキスト）",
        read: Read::Text(pgbackrest::outcome),
    },
    Kind {
        name: "barman",
        about: "backups by Barman: list-backups or check, as text or JSON",
        about_ja: "Barmanのバックアップ（list-backups・check の出力、テキストまたはJSON）",
        read: Read::Text(barman::outcome),
    },
    Kind {
        name: "veeam",
        about: "backups by Veeam: exported jobs, sessions or statistics",
        about_ja: "Veeamのバックアップ（ジョブ・セッション・統計の書き出し）",
        read: Read::Text(veeam::outcome),
    },
    Kind {
        name: "wbadmin",
        about: "backups by Windows Server: wbadmin get versions in any language, Get-WBSummary, Get-WBBackupSet",
        about_ja: "Windows Server バックアップ（wbadmin get versions〔言語を問わない〕、Get-WBSummary、Get-WBBackupSet）",
        read: Read::Text(wbadmin::outcome),
    },
    Kind {
        name: "nagios",
        about: "one plugin's output: the word of state in its first line, performance data",
        about_ja: "プラグインひとつの出力（1行目の状態語、性能データ）",
        read: Read::Text(nagios::outcome),
    },
    Kind {
        name: "textfile",
        about: "metrics in a file: Prometheus' text or OpenMetrics",
        about_ja: "ファイルに書かれた計測値（Prometheusのテキスト形式、OpenMetrics）",
        read: Read::Text(textfile::outcome),
    },
    Kind {
        name: "drop-json",
        about: "equipment's self-diagnosis in our published form, mimamori.drop/1 (docs/drop-1.schema.json)",
        about_ja: "機器の自己診断（公開している形式 mimamori.drop/1、docs/drop-1.schema.json）",
        read: Read::Text(drop_json::outcome),
    },
];

/// The kind of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
