//! The rows of [`PROBES`].

use super::hardware::{drive, log, pool, service};
use super::{Probe, Program, Sources};
use super::{
    agent, array, boot, clock, cpu, disk, ecc, filesystem, kernel, load, machine_check, memory, network, paging, power, pressure, sensor, swap, system, tcp,
    units, ups,
};
use mimamori_shared::fields::{Readings, Scope};
use mimamori_shared::payload::Fault;

const PROC: &str = "Mount /proc for the agent's service and let its account read it; look for ProcSubset= and hidepid=.";
const PROC_JA: &str = "エージェントのサービスに /proc を見せ、そのアカウントに読み取りを許可してください（ProcSubset= と hidepid= を確認）。";

type Read = fn(&Sources<'_>, &mut Readings, &mut Vec<Fault>);

/// Between two reports of a scope that is seldom news, in seconds, unless configuration or consent say otherwise; a
/// state that changes is told at once all the same. `None` for what stands in every report.
#[must_use]
pub const fn seldom_s(scope: Scope) -> Option<u64> {
    match scope {
        Scope::Heartbeat | Scope::Performance | Scope::OsState | Scope::Network | Scope::ApplicationProbe => None,
        Scope::Hardware | Scope::LogCounts | Scope::Backup => Some(900),
        Scope::Patch | Scope::Antivirus | Scope::Inventory | Scope::Accounts => Some(3600),
    }
}

const fn default_s(scope: Scope) -> u64 {
    match seldom_s(scope) {
        Some(seldom) => seldom,
        None => 60,
    }
}

/// A probe that the agent runs itself.
const fn own(name: &'static str, scope: Scope, about: [&'static str; 2], mend: [&'static str; 2], read: Read) -> Probe {
    let ([about, about_ja], [mend, mend_ja]) = (about, mend);
    Probe { name, scope, interval_s: default_s(scope), about, about_ja, mend, mend_ja, runs_in: Program::Agent, read }
}

/// A probe whose values the hardware helper hands over.
const fn helped(name: &'static str, scope: Scope, about: [&'static str; 2], mend: [&'static str; 2], read: Read) -> Probe {
    Probe { runs_in: Program::HardwareHelper, ..own(name, scope, about, mend, read) }
}

/// A probe that the agent runs itself and the helper adds to.
const fn both(name: &'static str, scope: Scope, about: [&'static str; 2], mend: [&'static str; 2], read: Read) -> Probe {
    Probe { runs_in: Program::AgentAndHelper, ..own(name, scope, about, mend, read) }
}

const HELPER: &str = "Run `systemctl enable --now mimamori-agent-hardware.timer`, and look at `systemctl status mimamori-agent-hardware`.";
const HELPER_JA: &str = "`systemctl enable --now mimamori-agent-hardware.timer` を実行し、`systemctl status mimamori-agent-hardware` を確認してください。";

/// What is measured, in the order of the table of fields.
pub const PROBES: &[Probe] = &[
    own("cpu", Scope::Performance, ["Processor time since boot, from /proc/stat.", "起動以降のプロセッサ時間（/proc/stat）。"], [PROC, PROC_JA], cpu::read),
    own("load", Scope::Performance, ["Run queue averages, from /proc/loadavg.", "負荷平均（/proc/loadavg）。"], [PROC, PROC_JA], load::read),
    own("memory", Scope::Performance, ["Main memory, from /proc/meminfo.", "メモリ（/proc/meminfo）。"], [PROC, PROC_JA], memory::read),
    own("swap", Scope::Performance, ["Swap space, from /proc/meminfo.", "スワップ領域（/proc/meminfo）。"], [PROC, PROC_JA], swap::read),
    own(
        "system",
        Scope::Heartbeat,
        ["Time since boot, from the kernel's clocks.", "起動からの経過時間（カーネルの時計）。"],
        ["The kernel always answers this; report a fault here to the maintainers.", "カーネルが必ず答える値です。失敗する場合は保守担当に連絡してください。"],
        system::read,
    ),
    own(
        "clock",
        Scope::Heartbeat,
        [
            "Whether systemd-timesyncd had an answer recently enough for the kernel to trust the clock, or what chronyd says (UDP 127.0.0.1:323).",
            "systemd-timesyncd の最後の応答が、カーネルが時計を信頼できるほど新しいか。または chronyd の回答（UDP 127.0.0.1:323）。",
        ],
        [
            "Run systemd-timesyncd or chrony (without cmdport 0) against the facility's time server; watch ntpd by its own means.",
            "施設の時刻サーバーに対して systemd-timesyncd か chrony（cmdport 0 なし）を動かしてください。ntpd はその仕組みで監視してください。",
        ],
        clock::read,
    ),
    own(
        "agent",
        Scope::Heartbeat,
        ["The agent's own memory and processor time, from /proc/self.", "エージェント自身のメモリとCPU時間（/proc/self）。"],
        [PROC, PROC_JA],
        agent::read,
    ),
    own(
        "pressure",
        Scope::Performance,
        ["Time in which tasks waited for processor, memory or disks, from /proc/pressure.", "CPU・メモリ・ディスクを待った時間（/proc/pressure）。"],
        [
            "Kernels before 4.20, and those started with psi=0, do not tell it: boot with psi=1.",
            "4.20より古いカーネルや psi=0 では得られません。psi=1 で起動してください。",
        ],
        pressure::read,
    ),
    own(
        "paging",
        Scope::Performance,
        [
            "Page faults, swapping and processes killed for want of memory, from /proc/vmstat.",
            "ページフォールト・スワップ・メモリ不足による終了（/proc/vmstat）。",
        ],
        [PROC, PROC_JA],
        paging::read,
    ),
    own(
        "kernel",
        Scope::Performance,
        [
            "File handles, threads and tasks, from /proc/sys/fs/file-nr, /proc/loadavg and /proc/stat.",
            "ファイルハンドル・スレッド・タスク数（/proc/sys/fs/file-nr、/proc/loadavg、/proc/stat）。",
        ],
        [PROC, PROC_JA],
        kernel::read,
    ),
    own(
        "tcp",
        Scope::Network,
        [
            "Retransmissions, connection table, default route and the time of a name lookup, from /proc/net.",
            "再送・接続追跡・デフォルト経路・名前解決時間（/proc/net）。",
        ],
        [
            "dns_us not_found: the machine cannot look up the collector; see /etc/resolv.conf. Anything else: let the service see /proc/net.",
            "dns_us の not_found は収集サーバーの名前解決失敗です（/etc/resolv.conf を確認）。それ以外は /proc/net を見せてください。",
        ],
        tcp::read,
    ),
    own(
        "boot",
        Scope::OsState,
        [
            "How the run before this one ended, from /var/log/wtmp and the kernel’s persistent store.",
            "前回の停止の種類（/var/log/wtmp とカーネルの永続記憶）。",
        ],
        [
            "Let the account read /var/log/wtmp (chmod 664); systems that no longer keep it cannot tell.",
            "/var/log/wtmp を読めるようにしてください（chmod 664）。このファイルがないOSでは判定できません。",
        ],
        boot::read,
    ),
    own(
        "units",
        Scope::OsState,
        [
            "How many units of systemd failed or are started again and again; systemd is asked over the system bus, and no name is kept.",
            "失敗または再起動を繰り返すsystemdユニットの数。システムバス経由でsystemdに問い合わせ、名前は保持しません。",
        ],
        [
            "Without systemd there is nothing to count; without a bus, `apt-get install dbus`; else let the service reach /run/dbus/system_bus_socket (AF_UNIX).",
            "systemdのない機器では数えられません。バスがなければ `apt-get install dbus`、それ以外はサービスから /run/dbus/system_bus_socket に届くようにしてください（AF_UNIX）。",
        ],
        units::read,
    ),
    helped(
        "kernel_log",
        Scope::LogCounts,
        ["Messages of the kernel, counted by class; their text stays with the helper.", "カーネルのメッセージの種類別件数（文面はヘルパーの外に出ません）。"],
        [HELPER, HELPER_JA],
        log::kernel,
    ),
    own(
        "machine_check",
        Scope::Hardware,
        [
            "Machine checks, thermal events and throttling of processors, from /proc/interrupts and /sys.",
            "マシンチェック・温度イベント・速度抑制（/proc/interrupts と /sys）。",
        ],
        ["Only x86 processors count them; otherwise mount /proc for the service.", "x86以外のCPUにはありません。それ以外は /proc をサービスに見せてください。"],
        machine_check::read,
    ),
    own(
        "filesystem",
        Scope::OsState,
        [
            "Local filesystems, from /proc/1/mountinfo and statvfs; network filesystems are never touched.",
            "ローカルのファイルシステム（/proc/1/mountinfo と statvfs）。ネットワークのものには触れません。",
        ],
        [
            "A hidden filesystem is behind the service's sandbox: name it in BindReadOnlyPaths= or drop ProtectHome=.",
            "hidden はサービスのサンドボックスに隠れています。BindReadOnlyPaths= に加えるか ProtectHome= を外してください。",
        ],
        filesystem::read,
    ),
    own(
        "disk",
        Scope::Performance,
        ["Operations of whole disks, from /proc/diskstats.", "ディスク単位の入出力（/proc/diskstats）。"],
        [PROC, PROC_JA],
        disk::read,
    ),
    own(
        "network",
        Scope::Network,
        [
            "Traffic and link state of interfaces, from /proc/net/dev and /sys/class/net.",
            "ネットワークの通信量とリンク状態（/proc/net/dev と /sys/class/net）。",
        ],
        [
            "Let the service see /sys and the machine's own network; look for PrivateNetwork=.",
            "サービスに /sys と機器のネットワークを見せてください（PrivateNetwork= を確認）。",
        ],
        network::read,
    ),
    helped(
        "service",
        Scope::OsState,
        ["Services the facility named: state, restarts, memory, open handles.", "施設が指定したサービスの状態・再起動・メモリ・ハンドル数。"],
        [HELPER, HELPER_JA],
        service::services,
    ),
    helped(
        "process",
        Scope::OsState,
        ["Programs the facility named: how many run, memory, processor time.", "施設が指定したプログラムの数・メモリ・CPU時間。"],
        [HELPER, HELPER_JA],
        service::processes,
    ),
    helped(
        "journal",
        Scope::LogCounts,
        ["Lines of the journal that hold a pattern of the facility, counted.", "施設が指定した語を含むジャーナルの行数。"],
        [HELPER, HELPER_JA],
        log::journal,
    ),
    helped(
        "drive",
        Scope::Hardware,
        [
            "Health of drives as they judge themselves, by smartctl; sleeping ones are left asleep.",
            "ドライブの自己診断による健全性（smartctl、スタンバイ中は起動させない）。",
        ],
        [
            "drive not_found: run `apt-get install smartmontools`; without the helper: `systemctl enable --now mimamori-agent-hardware.timer`.",
            "drive が not_found の場合は `apt-get install smartmontools`、ヘルパー未使用なら `systemctl enable --now mimamori-agent-hardware.timer` を実行してください。",
        ],
        drive::read,
    ),
    both(
        "array",
        Scope::Hardware,
        ["Arrays of the kernel, from /proc/mdstat, and of RAID controllers, by storcli.", "RAIDの状態（/proc/mdstat と storcli）。"],
        [PROC, PROC_JA],
        array::read,
    ),
    helped(
        "pool",
        Scope::Hardware,
        ["ZFS pools, btrfs devices and LVM volumes, by their tools.", "ZFSプール・btrfs・LVMの状態（各ツール）。"],
        [HELPER, HELPER_JA],
        pool::read,
    ),
    helped("multipath", Scope::Hardware, ["Paths to devices, by multipath.", "装置への経路（multipath）。"], [HELPER, HELPER_JA], pool::paths),
    both(
        "sensor",
        Scope::Hardware,
        ["Temperatures, fans, voltages, from /sys/class/hwmon and by ipmitool.", "温度・ファン・電圧（/sys/class/hwmon と ipmitool）。"],
        [
            "Load the board's driver (`sensors-detect`), or run `apt-get install ipmitool` where there is a management processor.",
            "`sensors-detect` でドライバーを読み込むか、管理プロセッサがあれば `apt-get install ipmitool` を実行してください。",
        ],
        sensor::read,
    ),
    own(
        "ecc",
        Scope::Hardware,
        ["Memory errors that were corrected or not, from /sys/devices/system/edac.", "訂正された／されなかったメモリエラー（/sys/devices/system/edac）。"],
        [
            "Load the EDAC driver of the memory controller (`modprobe`); memory without ECC has none.",
            "メモリコントローラーのEDACドライバーを読み込んでください（`modprobe`）。ECCなしのメモリにはありません。",
        ],
        ecc::read,
    ),
    own(
        "ups",
        Scope::Hardware,
        [
            "UPSes that Network UPS Tools or apcupsd watch on this machine, asked on loopback (TCP 127.0.0.1:3493 and 3551).",
            "この機器の NUT または apcupsd が監視するUPS（ループバックのTCP 3493・3551で確認）。",
        ],
        [
            "Look at the UPS and its driver (upsc, apcaccess status); let the service reach 127.0.0.1 (IPAddressAllow=localhost).",
            "UPSとそのドライバーを確認し（upsc、apcaccess status）、サービスから 127.0.0.1 に届くようにしてください（IPAddressAllow=localhost）。",
        ],
        ups::read,
    ),
    both(
        "power",
        Scope::Hardware,
        ["Batteries and power supplies, from /sys/class/power_supply and by ipmitool.", "バッテリーと電源ユニット（/sys/class/power_supply と ipmitool）。"],
        ["Run `apt-get install ipmitool` where there is a management processor.", "管理プロセッサがあれば `apt-get install ipmitool` を実行してください。"],
        power::read,
    ),
    own(
        "application",
        Scope::ApplicationProbe,
        ["Checks the facility defined: connections, web pages, certificates, DICOM echoes.", "施設が定めた確認：接続・Webページ・証明書・DICOMエコー。"],
        [
            "Run `mimamori-agent probe run application` to see what each check says, and mend its target or its table in the configuration.",
            "`mimamori-agent probe run application` で各確認の結果を見て、対象または設定を直してください。",
        ],
        elsewhere,
    ),
];

/// Checks wait for networks: they are asked beside the worker, see `run::sampling`.
fn elsewhere(_: &Sources<'_>, _: &mut Readings, _: &mut Vec<Fault>) {}
