//! Everything this program ever starts: a fixed table. Nothing in it comes from a network, from the agent, or from an
//! account; what a row adds to its arguments (a disk, a mount point) comes from the kernel or from smartctl's
//! own list and is checked in [`crate::targets`].

use rustix::thread::CapabilitySet;
use std::time::Duration;

/// One tool with its arguments.
#[derive(Debug, Clone)]
pub struct Row {
    /// What it is called in the report.
    pub tool: &'static str,
    /// Its file names, the first that is there counts.
    pub names: &'static [&'static str],
    /// Its arguments.
    pub args: &'static [&'static str],
    /// Sections of the report that are made of what it says. It is run only where the consent lets some of them leave.
    pub feeds: &'static [&'static str],
    /// Of what it is run, once each.
    pub each: Each,
    /// Longest time of one run.
    pub limit: Duration,
    /// Most bytes it may print.
    pub bytes: usize,
    /// Capabilities it keeps. All others are taken from it, whatever this program holds.
    pub needs: CapabilitySet,
    /// Below the root: without any of these files it is not run at all, because there is nothing to ask. Always where there are none.
    pub only_if: &'static [&'static str],
}

/// Of what a row is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Each {
    /// Of the machine, once.
    Machine,
    /// Of every disk smartctl found: type and device are added.
    Disk,
    /// Of every mounted btrfs: one of its mount points is added.
    Btrfs,
}

/// Where tools are looked for, in this order. Not `/usr/local`: on Debian a group may write there (`staff`), and what
/// is installed by hand is not what the vendor of the machine tested. `MegaRAID` is where the maker's packages put storcli.
pub const FOLDERS: &[&str] = &["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/MegaRAID/storcli"];

const NONE: CapabilitySet = CapabilitySet::empty();
const KIB: usize = 1024;
const SYSTEMD: &[&str] = &["journalctl"];

/// smartctl's own list of disks; [`crate::targets::disks`] reads it.
pub(crate) const SCAN: &[&str] = &["--json=c", "--scan-open"];

type Words = &'static [&'static str];

const fn row(tool: &'static str, names: Words, args: Words, feeds: Words) -> Row {
    Row { tool, names, args, feeds, each: Each::Machine, limit: Duration::from_secs(30), bytes: 256 * KIB, needs: NONE, only_if: &[] }
}

/// The tools whose output is handed over.
#[must_use]
pub fn table() -> Vec<Row> {
    // SATA's pass-through asks for RAWIO, NVMe's admin commands, the device mapper, btrfs and MegaRAID's node for SYS_ADMIN.
    let disk = CapabilitySet::SYS_RAWIO | CapabilitySet::SYS_ADMIN;
    let admin = CapabilitySet::SYS_ADMIN;
    let smartctl = |args, each| Row { each, needs: disk, ..row("smartctl", &["smartctl"], args, &["drive"]) };
    let ipmitool = |args, feeds| Row { limit: Duration::from_secs(90), only_if: IPMI, ..row("ipmitool", &["ipmitool"], args, feeds) };
    // libzfs would load the module and wait for it.
    let zpool = |args| Row { only_if: &["dev/zfs"], ..row("zpool", &["zpool"], args, &["pool"]) };
    vec![
        smartctl(SCAN, Each::Machine),
        // A sleeping disk is left asleep and says so by its status (mimamori_parse::hardware::SMARTCTL_ASLEEP).
        smartctl(&["--json=c", "-n", "standby,3", "-x", "-d"], Each::Disk),
        ipmitool(&["sensor"], &["sensor"]),
        ipmitool(&["sdr", "type", "Power Supply"], &["power"]),
        Row {
            needs: admin,
            limit: Duration::from_secs(60),
            bytes: 1024 * KIB,
            ..row("storcli", &["storcli64", "storcli"], &["/call", "show", "all", "J", "nolog"], &["array"])
        },
        zpool(&["status", "-p"]),
        zpool(&["list", "-Hp"]),
        Row { needs: admin, each: Each::Btrfs, ..row("btrfs", &["btrfs"], &["device", "stats"], &["pool"]) },
        Row { needs: admin, ..row("lvs", &["lvs"], LVS, &["pool"]) },
        // Not `multipathd show maps json`: its socket is in the network namespace of the host, which is closed here.
        Row { needs: admin, ..row("multipath", &["multipath"], &["-ll"], &["multipath"]) },
    ]
}

/// The nodes that ipmitool opens, and what the firmware says of a management processor (SMBIOS, type 38): one whose driver is not
/// loaded is a fault, and a machine without one is not worth a tenth of a second each time.
const IPMI: &[&str] = &["dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0", "sys/firmware/dmi/entries/38-0"];

const LVS: &[&str] =
    &["--reportformat", "json", "-a", "-o", "lv_name,vg_name,lv_attr,lv_size,data_percent,metadata_percent,copy_percent,lv_health_status,raid_mismatch_count"];

/// The journal of this boot; what is asked for and the place to go on from are added. `/dev/kmsg` and dmesg would need
/// `CAP_SYSLOG`, and lose what the ring lost between two runs.
pub(crate) fn journal() -> Row {
    let args: &[&str] = &["--no-pager", "--quiet", "--boot", "--output=json", "--output-fields=MESSAGE,_SYSTEMD_UNIT"];
    Row { limit: Duration::from_secs(60), bytes: 32 * 1024 * KIB, ..row("journalctl", SYSTEMD, args, &["kernel_log", "journal"]) }
}

/// What systemd knows of units; their names are added.
pub(crate) fn units() -> Row {
    let args: &[&str] = &["--no-pager", "show", "--property=LoadState,ActiveState,SubState,MemoryCurrent,NRestarts,TasksCurrent,ControlGroup", "--"];
    row("systemctl", &["systemctl"], args, &["service"])
}
