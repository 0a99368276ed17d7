//! The one table of everything that may leave a machine as a reading.
//!
//! `sections!` makes from each row: the field of the wire structure with its documentation, the row of
//! [`fields`], the consent filter ([`Readings::keep`]) and the walk that metrics and rules use
//! ([`Readings::visit`]). Nothing else names a reading; `docs/FIELDS.md` is generated from here.
//! Rows are never renumbered and never reused: an id means the same for ever.

#[macro_use]
mod section;
mod hardware;
mod os;
mod scope;

pub use hardware::{Array, Drive, Ecc, MachineCheck, Multipath, Pool, Power, Sensor, Ups};
pub use os::{Boot, Journal, Kernel, KernelLog, Paging, Pressure, Process, Service, Tcp, Units};
pub use scope::Scope;

use crate::word::Word;
use serde::{Deserialize, Serialize};

/// How a value behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows since boot; starts again at zero with a new boot id.
    Counter,
    /// Goes up and down.
    Gauge,
    /// 0 or 1.
    Flag,
    /// A word, no number.
    Text,
    /// Rows of numbers as their source gave them: evidence, never a series.
    Table,
}

impl Kind {
    /// The word used in generated documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Flag => "flag",
            Kind::Text => "text",
            Kind::Table => "table",
        }
    }
}

/// One row: a value that may leave a machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Never renumbered, never reused.
    pub id: u16,
    /// The section on the wire.
    pub section: &'static str,
    /// The key within the section. The unit is the last part of the name.
    pub name: &'static str,
    /// Unit on the wire.
    pub unit: &'static str,
    /// How the value behaves.
    pub kind: Kind,
    /// For list sections: which rule bounds the `name` of an entry; empty for the others.
    pub name_class: &'static str,
    /// The consent this needs.
    pub scope: Scope,
    /// The name outwards, without the prefix `mimamori_machine_`; empty when it makes no series.
    pub metric: &'static str,
    /// A label that tells this row from others of the same metric: name and value; empty when there is none.
    pub label: (&'static str, &'static str),
    /// What a wire value is multiplied by to reach the metric's base unit.
    pub scale: f64,
    /// Meaning in English.
    pub meaning: &'static str,
    /// Meaning in Japanese.
    pub meaning_ja: &'static str,
}

impl Field {
    /// `section.name`, the path rules and documents use.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// Whether it leaves only under a consent that names it: its scope does not cover it.
    #[must_use]
    pub fn needs_naming(&self) -> bool {
        NEED_NAMING.contains(&self.id)
    }
}

/// `drive.serial_number`: it tells which one a device is, not how it is.
const NEED_NAMING: [u16; 1] = [271];

/// A value as [`Readings::visit`] shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer in the field's wire unit.
    Number(i64),
    /// A bounded word.
    Text(&'a str),
}

macro_rules! readings {
    ( one { $( $one:ident : $One:ident ),* $(,)? } many { $( $many:ident : $Many:ident ),* $(,)? } ) => {
        /// The readings of one report. What could not be taken is absent and stands among the faults.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Readings {
            $( #[doc = concat!("Section `", stringify!($one), "`.")]
               #[serde(default, skip_serializing_if = "Option::is_none")] pub $one: Option<$One>, )*
            $( #[doc = concat!("Section `", stringify!($many), "`, one entry per name.")]
               #[serde(default, skip_serializing_if = "Vec::is_empty")] pub $many: Vec<$Many>, )*
        }

        impl Readings {
            /// Shows every value with its row, in the order of the table; list sections show their name too.
            pub fn visit<'a>(&'a self, mut see: impl FnMut(&'static Field, Option<&'a str>, Value<'a>)) {
                $( if let Some(section) = &self.$one { section.visit(&mut see); } )*
                $( for entry in &self.$many { entry.visit(&mut see); } )*
            }

            /// Removes every value that `allowed` refuses, and sections left with nothing.
            pub fn keep(&mut self, allowed: &dyn Fn(&Field) -> bool) {
                $( if let Some(section) = &mut self.$one { section.keep(allowed); }
                   if self.$one.as_ref().is_some_and($One::is_empty) { self.$one = None; } )*
                $( for entry in &mut self.$many { entry.keep(allowed); }
                   self.$many.retain(|entry| !entry.is_empty()); )*
            }

            /// The sections that hold something.
            #[must_use]
            pub fn sections(&self) -> Vec<&'static str> {
                let mut held = Vec::new();
                $( if self.$one.is_some() { held.push(stringify!($one)); } )*
                $( if !self.$many.is_empty() { held.push(stringify!($many)); } )*
                held
            }

            /// Empties the sections that hold a list: only they can grow.
            pub fn clear_lists(&mut self) {
                $( self.$many.clear(); )*
            }

            /// Replaces one section by that of others, whole.
            pub fn put(&mut self, section: &str, from: &Readings) {
                $( if section == stringify!($one) { self.$one.clone_from(&from.$one); } )*
                $( if section == stringify!($many) { self.$many.clone_from(&from.$many); } )*
            }
        }

        impl Readings {
            /// Whether any value of a scope that [`Scope::is_state`] is among them.
            #[must_use]
            pub fn has_state(&self) -> bool {
                let mut has = false;
                self.visit(|field, _, _| has |= field.scope.is_state());
                has
            }
        }

        /// Every row, in the order of their sections.
        pub fn fields() -> impl Iterator<Item = &'static Field> {
            std::iter::empty() $( .chain($One::FIELDS) )* $( .chain($Many::FIELDS) )*
        }

        /// The names of all sections: what a plan may name.
        pub const SECTIONS: &[&str] = &[ $( stringify!($one), )* $( stringify!($many), )* ];
    };
}

/// The fields that a path, a section or a scope names, ascending; none when there is no such name.
#[must_use]
pub fn named(name: &str) -> Vec<u16> {
    let mut ids: Vec<u16> =
        fields().filter(|field| field.path() == name || field.section == name || field.scope.name() == name).map(|field| field.id).collect();
    ids.sort_unstable();
    ids
}

readings! {
    one {
        cpu: Cpu, load: Load, memory: Memory, swap: Swap, system: System, clock: ClockState, agent: AgentSelf,
        pressure: Pressure, paging: Paging, kernel: Kernel, tcp: Tcp, boot: Boot, units: Units, kernel_log: KernelLog, machine_check: MachineCheck,
    }
    many {
        filesystem: Filesystem, disk: Disk, network: Network,
        service: Service, process: Process, journal: Journal,
        drive: Drive, array: Array, pool: Pool, multipath: Multipath, sensor: Sensor, ecc: Ecc, ups: Ups, power: Power,
        application: Application,
    }
}

section! {
    /// Processor time since boot, all logical processors added up.
    Cpu "cpu" Performance
    1 user_ms Counter "ms" "cpu_seconds_total" "mode" "user" 0.001 "Time in user programs, guests included." "ユーザープログラムの実行時間（ゲストを含む）。";
    2 nice_ms Counter "ms" "cpu_seconds_total" "mode" "nice" 0.001 "Time in user programs of lowered priority." "優先度を下げたユーザープログラムの実行時間。";
    3 system_ms Counter "ms" "cpu_seconds_total" "mode" "system" 0.001 "Time in the kernel." "カーネルの実行時間。";
    4 idle_ms Counter "ms" "cpu_seconds_total" "mode" "idle" 0.001 "Time without work." "アイドル時間。";
    5 iowait_ms Counter "ms" "cpu_seconds_total" "mode" "iowait" 0.001 "Idle time while disk operations were pending." "ディスク入出力待ちのアイドル時間。";
    6 irq_ms Counter "ms" "cpu_seconds_total" "mode" "irq" 0.001 "Time in hardware interrupts." "ハードウェア割り込みの処理時間。";
    7 softirq_ms Counter "ms" "cpu_seconds_total" "mode" "softirq" 0.001 "Time in software interrupts." "ソフトウェア割り込みの処理時間。";
    8 steal_ms Counter "ms" "cpu_seconds_total" "mode" "steal" 0.001 "Time the hypervisor gave to other guests." "ハイパーバイザーが他の仮想マシンに割り当てた時間。";
    9 logical_count Gauge "1" "cpu_logical_processors" "" "" 1.0 "Logical processors online." "オンラインの論理プロセッサ数。";
}
section! {
    /// Run queue averages.
    Load "load" Performance
    20 load1_milli Gauge "1/1000" "load_average" "minutes" "1" 0.001 "Load average over 1 minute." "直近1分の負荷平均。";
    21 load5_milli Gauge "1/1000" "load_average" "minutes" "5" 0.001 "Load average over 5 minutes." "直近5分の負荷平均。";
    22 load15_milli Gauge "1/1000" "load_average" "minutes" "15" 0.001 "Load average over 15 minutes." "直近15分の負荷平均。";
}
section! {
    /// Main memory.
    Memory "memory" Performance
    30 total_bytes Gauge "bytes" "memory_total_bytes" "" "" 1.0 "Memory the kernel manages." "カーネルが管理するメモリの総量。";
    31 available_bytes Gauge "bytes" "memory_available_bytes" "" "" 1.0 "Memory that programs can still get without swapping." "スワップなしでプログラムが利用できるメモリ。";
    32 free_bytes Gauge "bytes" "memory_free_bytes" "" "" 1.0 "Memory not used at all." "未使用メモリ。";
    33 buffers_bytes Gauge "bytes" "memory_buffers_bytes" "" "" 1.0 "Memory for block device buffers." "ブロックデバイスのバッファ。";
    34 cached_bytes Gauge "bytes" "memory_cached_bytes" "" "" 1.0 "Memory for the page cache." "ページキャッシュ。";
}
section! {
    /// Swap space.
    Swap "swap" Performance
    40 total_bytes Gauge "bytes" "swap_total_bytes" "" "" 1.0 "Swap space." "スワップ領域の総量。";
    41 free_bytes Gauge "bytes" "swap_free_bytes" "" "" 1.0 "Swap space not used." "未使用のスワップ領域。";
}
section! {
    /// The machine as a whole.
    System "system" Heartbeat
    50 uptime_ms Gauge "ms" "uptime_seconds" "" "" 0.001 "Time since boot, suspended time included." "起動からの経過時間（サスペンド中を含む）。";
    51 boot_at_ms Gauge "ms since 1970 UTC" "boot_timestamp_seconds" "" "" 0.001 "Wall-clock time of the boot as the machine's clock has it now." "現在の時計に基づく起動時刻。";
}
section! {
    /// State of the machine's clock.
    ClockState "clock" Heartbeat
    60 synchronised Flag "0 or 1" "clock_synchronised" "" "" 1.0 "Whether the kernel's clock is disciplined by a time source." "時計が時刻源に同期しているか。";
    61 offset_us Gauge "us" "clock_offset_seconds" "" "" 0.000001 "Correction the kernel is still applying." "カーネルが補正中の時刻差。";
    62 max_error_us Gauge "us" "clock_max_error_seconds" "" "" 0.000001 "Largest error the time service claims." "時刻サービスが示す最大誤差。";
    63 steps Counter "1" "clock_steps_total" "" "" 1.0 "Times the clock was set by more than 2 s, since the agent's start." "エージェント起動以降に時計が2秒を超えて変更された回数。";
    64 step_ms Gauge "ms" "clock_step_seconds" "" "" 0.001 "By how much it was set the last time; ahead is positive." "最後の変更量。進む向きが正。";
}
section! {
    /// The agent's own footprint.
    AgentSelf "agent" Heartbeat
    70 version Text "version" "" "" "" 1.0 "Version of the agent." "エージェントのバージョン。";
    71 resident_bytes Gauge "bytes" "agent_resident_bytes" "" "" 1.0 "Resident memory of the agent." "エージェントの常駐メモリ。";
    72 cpu_ms Counter "ms" "agent_cpu_seconds_total" "" "" 0.001 "Processor time of the agent since its start." "起動以降にエージェントが使ったCPU時間。";
    73 outbox_entries Gauge "1" "agent_outbox_entries" "" "" 1.0 "Entries not yet receipted." "未受領のエントリ数。";
    74 outbox_bytes Gauge "bytes" "agent_outbox_bytes" "" "" 1.0 "Bytes of the outbox and ledger file." "送信待ちと台帳のファイルサイズ。";
    75 stretch Gauge "1" "agent_stretch_factor" "" "" 1.0 "By how much the agent has lengthened its own intervals because the machine is busy; 1 is not at all." "機器の負荷のためにエージェントが測定間隔を延ばしている倍率。1は延長なし。";
    76 over_budget Flag "0 or 1" "agent_over_budget" "" "" 1.0 "Whether the agent used more processor time, memory or disk writes than it may." "エージェントが自身の上限（CPU・メモリ・書き込み）を超えているか。";
    77 written_bytes Counter "bytes" "agent_written_bytes_total" "" "" 1.0 "Bytes the agent has written to disks since its start." "起動以降にエージェントがディスクへ書き込んだ量。";
    78 probes_ms Counter "ms" "agent_probes_seconds_total" "" "" 0.001 "Time the probes took since the agent's start, added up; what a slow disk or mount costs shows here." "起動以降に測定に要した時間の合計（遅いディスクやマウントの影響が表れる）。";
    79 slowest_probe Text "vocabulary" "" "" "" 1.0 "The probe that took longest in the newest sample." "直近の測定で最も時間のかかった項目。";
    69 slowest_probe_ms Gauge "ms" "agent_slowest_probe_seconds" "" "" 0.001 "How long that took; one that hangs is given up after 6 s." "その所要時間（応答しない場合は6秒で打ち切る）。";
}
section! {
    /// One local filesystem. Its name is the facility's alias, or `fs-` and a keyed hash of the mount point.
    Filesystem "filesystem" OsState { name "alias" }
    80 kind Text "vocabulary" "" "" "" 1.0 "Kind of filesystem." "ファイルシステムの種類。";
    81 size_bytes Gauge "bytes" "filesystem_size_bytes" "" "" 1.0 "Size." "総容量。";
    82 free_bytes Gauge "bytes" "filesystem_free_bytes" "" "" 1.0 "Free for the administrator." "管理者が利用できる空き容量。";
    83 available_bytes Gauge "bytes" "filesystem_available_bytes" "" "" 1.0 "Free for ordinary programs." "一般プログラムが利用できる空き容量。";
    84 inodes Gauge "1" "filesystem_inodes" "" "" 1.0 "Inodes." "iノードの総数。";
    85 inodes_free Gauge "1" "filesystem_inodes_free" "" "" 1.0 "Inodes not used." "未使用のiノード数。";
    86 read_only Flag "0 or 1" "filesystem_read_only" "" "" 1.0 "Whether it is mounted read-only." "読み取り専用でマウントされているか。";
    87 errors Counter "1" "filesystem_errors_total" "" "" 1.0 "Errors the filesystem has recorded about itself, over its whole life." "ファイルシステム自身が記録したエラーの累計。";
}
section! {
    /// One block device, by the kernel's own name.
    Disk "disk" Performance { name "device" }
    100 reads Counter "1" "disk_reads_total" "" "" 1.0 "Reads completed." "完了した読み取り回数。";
    101 read_bytes Counter "bytes" "disk_read_bytes_total" "" "" 1.0 "Bytes read." "読み取りバイト数。";
    102 read_ms Counter "ms" "disk_read_time_seconds_total" "" "" 0.001 "Time all reads took, added up." "読み取りに要した時間の合計。";
    103 writes Counter "1" "disk_writes_total" "" "" 1.0 "Writes completed." "完了した書き込み回数。";
    104 write_bytes Counter "bytes" "disk_written_bytes_total" "" "" 1.0 "Bytes written." "書き込みバイト数。";
    105 write_ms Counter "ms" "disk_write_time_seconds_total" "" "" 0.001 "Time all writes took, added up." "書き込みに要した時間の合計。";
    106 busy_ms Counter "ms" "disk_busy_seconds_total" "" "" 0.001 "Time with at least one operation under way." "入出力処理中の時間。";
    107 weighted_ms Counter "ms" "disk_weighted_seconds_total" "" "" 0.001 "Operations under way, multiplied by time: queue length over time." "処理中の入出力数に時間を掛けた値（待ち行列の長さ）。";
}
section! {
    /// One network interface, by the kernel's name, or `if-` and a keyed hash where the name is somebody's own.
    Network "network" Network { name "device" }
    120 rx_bytes Counter "bytes" "network_receive_bytes_total" "" "" 1.0 "Bytes received." "受信バイト数。";
    121 rx_packets Counter "1" "network_receive_packets_total" "" "" 1.0 "Packets received." "受信パケット数。";
    122 rx_errors Counter "1" "network_receive_errors_total" "" "" 1.0 "Receive errors." "受信エラー数。";
    123 rx_drops Counter "1" "network_receive_drops_total" "" "" 1.0 "Received packets dropped." "破棄された受信パケット数。";
    124 tx_bytes Counter "bytes" "network_transmit_bytes_total" "" "" 1.0 "Bytes sent." "送信バイト数。";
    125 tx_packets Counter "1" "network_transmit_packets_total" "" "" 1.0 "Packets sent." "送信パケット数。";
    126 tx_errors Counter "1" "network_transmit_errors_total" "" "" 1.0 "Transmit errors." "送信エラー数。";
    127 tx_drops Counter "1" "network_transmit_drops_total" "" "" 1.0 "Packets dropped before sending." "破棄された送信パケット数。";
    128 link_up Flag "0 or 1" "network_link_up" "" "" 1.0 "Whether the link has a carrier." "リンクが確立しているか。";
    129 carrier_changes Counter "1" "network_carrier_changes_total" "" "" 1.0 "How often the carrier came or went." "リンク状態が変化した回数。";
    130 speed_mbit Gauge "Mbit/s" "network_speed_bytes_per_second" "" "" 125000.0 "Speed the link negotiated." "リンク速度。";
    131 full_duplex Flag "0 or 1" "network_full_duplex" "" "" 1.0 "Whether both ends send at once." "全二重で接続しているか。";
}

section! {
    /// One check that the facility defined, by the facility's alias. Hosts, addresses and titles stay on the machine.
    Application "application" ApplicationProbe { name "alias" }
    400 up Flag "0 or 1" "application_up" "" "" 1.0 "Whether the check found what was expected." "確認結果が期待どおりか。";
    401 latency_us Gauge "us" "application_latency_seconds" "" "" 0.000001 "Time from the beginning of the check to its answer; absent without an answer." "確認開始から応答までの時間（応答がなければなし）。";
    402 error Text "vocabulary" "" "" "" 1.0 "What it failed by; ok when it did not." "失敗の種類。成功ならok。";
    403 status Gauge "1" "application_status" "" "" 1.0 "HTTP status, DICOM status of a C-ECHO, or source * 256 + reason of a rejected association." "HTTPステータス、C-ECHOのDICOMステータス、または拒否された接続の「発生元×256＋理由」。";
    404 certificate_expires_at_ms Gauge "ms since 1970 UTC" "application_certificate_expiry_timestamp_seconds" "" "" 0.001 "When the certificate ends; the earliest where there are several." "証明書の有効期限（複数ある場合は最も早いもの）。";
    405 kind Text "vocabulary" "" "" "" 1.0 "Kind of check." "確認の種類。";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_and_paths_are_unique_and_every_row_is_explained_in_both_languages() {
        let mut ids = HashSet::new();
        let mut paths = HashSet::new();
        for field in fields() {
            assert!(ids.insert(field.id), "id {} stands twice", field.id);
            assert!(paths.insert(field.path()), "{} stands twice", field.path());
            assert!(field.meaning.ends_with('.') && field.meaning_ja.ends_with('。'), "{}", field.path());
            assert!(SECTIONS.contains(&field.section), "{}", field.path());
        }
        assert!(ids.len() > 40);
    }

    #[test]
    fn metric_names_follow_the_conventions() {
        for field in fields().filter(|field| !field.metric.is_empty()) {
            assert_eq!(field.kind == Kind::Counter, field.metric.ends_with("_total"), "{}", field.path());
            assert!(field.metric.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", field.metric);
        }
    }

    #[test]
    fn keep_removes_what_is_refused_and_empty_sections_with_it() {
        let mut readings = Readings {
            cpu: Some(Cpu { user_ms: Some(1), idle_ms: Some(2), ..Cpu::default() }),
            load: Some(Load { load1_milli: Some(5), ..Load::default() }),
            disk: vec![Disk { name: "sda".parse().unwrap(), reads: Some(7), ..Disk::default() }],
            ..Readings::default()
        };
        readings.keep(&|field| field.name == "user_ms");
        let mut seen = Vec::new();
        readings.visit(|field, name, value| seen.push((field.path(), name, value)));
        assert_eq!(seen, vec![("cpu.user_ms".to_owned(), None, Value::Number(1))]);
        assert_eq!(serde_json::to_string(&readings).unwrap(), r#"{"cpu":{"user_ms":1}}"#);
    }

    #[test]
    fn a_section_is_replaced_whole_and_names_select_fields() {
        let disk = |name: &str| Disk { name: name.parse().unwrap(), reads: Some(7), ..Disk::default() };
        let mut held = Readings { disk: vec![disk("sda"), disk("sdb")], load: Some(Load::default()), ..Readings::default() };
        held.put("disk", &Readings { disk: vec![disk("sdc")], ..Readings::default() });
        assert_eq!((held.disk.len(), held.sections()), (1, vec!["load", "disk"]));
        assert_eq!((named("load"), named("cpu.steal_ms"), named("log_counts").len()), (vec![20, 21, 22], vec![8], 15));
        assert_eq!(named("patient"), Vec::<u16>::new());
    }

    #[test]
    fn visit_names_list_entries() {
        let readings = Readings { disk: vec![Disk { name: "sda".parse().unwrap(), reads: Some(7), ..Disk::default() }], ..Readings::default() };
        let mut seen = Vec::new();
        readings.visit(|field, name, value| seen.push((field.id, name, value)));
        assert_eq!(seen, vec![(100, Some("sda"), Value::Number(7))]);
    }
}
