//! Sections of the operating system and its network.

use super::{Field, Kind, Scope, Value};
use crate::word::Word;
use serde::{Deserialize, Serialize};

section! {
    /// Pressure stall information: time in which tasks waited for a resource, since boot.
    Pressure "pressure" Performance
    140 cpu_some_us Counter "us" "pressure_waiting_seconds_total" "resource" "cpu" 0.000001 "Time at least one task waited for a processor." "少なくとも1つのタスクがCPUを待った時間。";
    141 memory_some_us Counter "us" "pressure_waiting_seconds_total" "resource" "memory" 0.000001 "Time at least one task waited for memory." "少なくとも1つのタスクがメモリを待った時間。";
    142 memory_full_us Counter "us" "pressure_stalled_seconds_total" "resource" "memory" 0.000001 "Time all tasks waited for memory." "すべてのタスクがメモリを待った時間。";
    143 io_some_us Counter "us" "pressure_waiting_seconds_total" "resource" "io" 0.000001 "Time at least one task waited for a disk." "少なくとも1つのタスクがディスクを待った時間。";
    144 io_full_us Counter "us" "pressure_stalled_seconds_total" "resource" "io" 0.000001 "Time all tasks waited for a disk." "すべてのタスクがディスクを待った時間。";
}
section! {
    /// Traffic between memory and disk, and what the kernel killed for want of memory.
    Paging "paging" Performance
    150 faults Counter "1" "paging_faults_total" "" "" 1.0 "Page faults." "ページフォールト数。";
    151 major_faults Counter "1" "paging_major_faults_total" "" "" 1.0 "Page faults that needed a disk." "ディスク読み込みを伴うページフォールト数。";
    152 swap_in_pages Counter "pages" "paging_swap_in_pages_total" "" "" 1.0 "Pages read from swap." "スワップから読み込んだページ数。";
    153 swap_out_pages Counter "pages" "paging_swap_out_pages_total" "" "" 1.0 "Pages written to swap." "スワップへ書き出したページ数。";
    154 oom_kills Counter "1" "paging_oom_kills_total" "" "" 1.0 "Processes the kernel killed for want of memory." "メモリ不足でカーネルが終了させたプロセス数。";
}
section! {
    /// What the kernel hands out: file handles, tasks.
    Kernel "kernel" Performance
    160 file_handles Gauge "1" "kernel_file_handles" "" "" 1.0 "File handles in use." "使用中のファイルハンドル数。";
    161 file_handles_max Gauge "1" "kernel_file_handles_max" "" "" 1.0 "File handles the kernel gives out at most." "ファイルハンドルの上限。";
    162 threads Gauge "1" "kernel_threads" "" "" 1.0 "Threads of all processes." "全プロセスのスレッド数。";
    163 threads_max Gauge "1" "kernel_threads_max" "" "" 1.0 "Threads the kernel allows." "スレッド数の上限。";
    164 running Gauge "1" "kernel_tasks_running" "" "" 1.0 "Tasks that run or could run now." "実行中または実行可能なタスク数。";
    165 blocked Gauge "1" "kernel_tasks_blocked" "" "" 1.0 "Tasks that wait for a disk and cannot be interrupted." "入出力待ちで中断できないタスク数。";
    166 forks Counter "1" "kernel_forks_total" "" "" 1.0 "Processes and threads started since boot." "起動以降に生成されたプロセスとスレッドの数。";
    167 processes Gauge "1" "kernel_processes" "" "" 1.0 "Processes." "プロセス数。";
}
section! {
    /// The machine's network as a whole.
    Tcp "tcp" Network
    170 segments_sent Counter "1" "tcp_segments_sent_total" "" "" 1.0 "TCP segments sent." "送信したTCPセグメント数。";
    171 retransmits Counter "1" "tcp_retransmits_total" "" "" 1.0 "TCP segments sent again." "再送したTCPセグメント数。";
    172 listen_drops Counter "1" "tcp_listen_drops_total" "" "" 1.0 "Connections dropped because a program did not take them." "受け付けられず破棄された接続数。";
    173 established Gauge "1" "tcp_connections" "" "" 1.0 "TCP connections." "確立中のTCP接続数。";
    174 time_wait Gauge "1" "tcp_connections_time_wait" "" "" 1.0 "TCP connections that wait out their end." "TIME_WAIT状態の接続数。";
    175 tracked Gauge "1" "conntrack_entries" "" "" 1.0 "Entries of the connection table." "接続追跡テーブルの使用数。";
    176 tracked_max Gauge "1" "conntrack_entries_max" "" "" 1.0 "Entries the connection table holds." "接続追跡テーブルの上限。";
    177 default_route Flag "0 or 1" "network_default_route" "" "" 1.0 "Whether there is a default route." "デフォルト経路があるか。";
    178 dns_us Gauge "us" "dns_lookup_seconds" "" "" 0.000001 "Time it took to look up the collector's name." "収集サーバーの名前解決に要した時間。";
}
section! {
    /// How the machine came up.
    Boot "boot" OsState
    180 previous_shutdown Text "vocabulary" "" "" "" 1.0 "How the run before this one ended: clean, crash, power_loss, unclean (one of these two), unknown." "前回の停止の種類：clean（正常）・crash（異常停止）・power_loss（電源断）・unclean（両者のいずれか）・unknown（不明）。";
}
section! {
    /// The service manager's units, counted.
    Units "units" OsState
    190 total Gauge "1" "units" "" "" 1.0 "Units that are loaded." "読み込まれているユニット数。";
    191 failed Gauge "1" "units_failed" "" "" 1.0 "Units that failed." "失敗状態のユニット数。";
    192 restarting Gauge "1" "units_restarting" "" "" 1.0 "Units that the manager is starting again and again." "再起動を繰り返しているユニット数。";
}
section! {
    /// One service the facility named, by its alias.
    Service "service" OsState { name "alias" }
    200 state Text "vocabulary" "" "" "" 1.0 "Its state: active, inactive, activating, deactivating, failed." "状態：active・inactive・activating・deactivating・failed。";
    201 active Flag "0 or 1" "service_active" "" "" 1.0 "Whether it is active." "稼働中か。";
    202 restarts Counter "1" "service_restarts_total" "" "" 1.0 "Times the manager started it again." "サービス管理が再起動した回数。";
    203 memory_bytes Gauge "bytes" "service_memory_bytes" "" "" 1.0 "Memory of all its processes." "全プロセスのメモリ使用量。";
    204 tasks Gauge "1" "service_tasks" "" "" 1.0 "Its threads and processes." "スレッドとプロセスの数。";
    205 open_handles Gauge "1" "service_open_handles" "" "" 1.0 "Files and sockets its processes hold open." "開いているファイルとソケットの数。";
}
section! {
    /// One program the facility named, by its alias; all its processes added up.
    Process "process" OsState { name "alias" }
    210 count Gauge "1" "process_running" "" "" 1.0 "Processes of it." "プロセス数。";
    211 memory_bytes Gauge "bytes" "process_memory_bytes" "" "" 1.0 "Resident memory." "常駐メモリ。";
    212 cpu_ms Counter "ms" "process_cpu_seconds_total" "" "" 0.001 "Processor time." "CPU時間。";
    213 open_handles Gauge "1" "process_open_handles" "" "" 1.0 "Files and sockets they hold open." "開いているファイルとソケットの数。";
}
section! {
    /// Messages of the kernel since boot, counted by class; the text stays on the machine.
    KernelLog "kernel_log" LogCounts
    220 io_errors Counter "1" "kernel_log_messages_total" "class" "io_error" 1.0 "A disk could not be read or written." "ディスク入出力エラー。";
    221 hung_tasks Counter "1" "kernel_log_messages_total" "class" "hung_task" 1.0 "A task was blocked for minutes." "長時間応答しないタスク。";
    222 link_flaps Counter "1" "kernel_log_messages_total" "class" "link_flap" 1.0 "A network link went down." "ネットワークリンクの切断。";
    223 machine_checks Counter "1" "kernel_log_messages_total" "class" "machine_check" 1.0 "The processor or memory reported an error." "CPU・メモリのハードウェアエラー。";
    224 thermal Counter "1" "kernel_log_messages_total" "class" "thermal" 1.0 "A processor was too hot." "CPUの過熱。";
    225 oom_kills Counter "1" "kernel_log_messages_total" "class" "oom" 1.0 "A process was killed for want of memory." "メモリ不足によるプロセス終了。";
    226 filesystem_errors Counter "1" "kernel_log_messages_total" "class" "filesystem_error" 1.0 "A filesystem found itself damaged." "ファイルシステムの破損検出。";
    227 raid_failures Counter "1" "kernel_log_messages_total" "class" "raid_failure" 1.0 "A software array lost a disk." "ソフトウェアRAIDのディスク喪失。";
    228 lockups Counter "1" "kernel_log_messages_total" "class" "lockup" 1.0 "A processor was busy with the kernel for seconds." "CPUがカーネル内で長時間停止。";
    229 kernel_faults Counter "1" "kernel_log_messages_total" "class" "kernel_fault" 1.0 "The kernel tripped over itself." "カーネル自身の異常。";
    230 memory_uncorrected Counter "1" "kernel_log_messages_total" "class" "memory_uncorrected" 1.0 "Memory errors that were not corrected." "訂正されなかったメモリエラー。";
    231 memory_corrected Counter "1" "kernel_log_messages_total" "class" "memory_corrected" 1.0 "Memory errors that were corrected." "訂正されたメモリエラー。";
    232 pcie_errors Counter "1" "kernel_log_messages_total" "class" "pcie_error" 1.0 "Errors on the PCI bus." "PCIバスのエラー。";
    233 segfaults Counter "1" "kernel_log_messages_total" "class" "segfault" 1.0 "A program crashed." "プログラムの異常終了。";
}
section! {
    /// A pattern the facility looks for in the journal, by its alias; the lines stay on the machine.
    Journal "journal" LogCounts { name "alias" }
    238 matches Counter "1" "journal_matches_total" "" "" 1.0 "Lines that matched since boot." "起動以降に一致した行数。";
}
