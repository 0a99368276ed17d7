//! What a message of the kernel is about. Only what the kernel's own sources print counts: a word such as "error" does not.

use serde::Serialize;

/// Classes of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A disk or its controller failed to read or write.
    IoError,
    /// A file system is damaged, or was made read-only.
    FilesystemError,
    /// A software RAID lost a disk.
    RaidFailure,
    /// A task has waited for minutes.
    HungTask,
    /// A processor was busy with the kernel for seconds.
    Lockup,
    /// The kernel tripped over itself.
    KernelFault,
    /// The hardware reported an error to the processor.
    MachineCheck,
    /// Memory errors, not mended.
    MemoryUncorrected,
    /// Memory errors, mended.
    MemoryCorrected,
    /// Errors on the PCI bus, not mended.
    PcieError,
    /// The machine is too hot.
    Thermal,
    /// A program was killed for want of memory.
    Oom,
    /// A network link went down after it was up.
    LinkFlap,
    /// A program crashed.
    Segfault,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 14] = [
        Class::IoError,
        Class::FilesystemError,
        Class::RaidFailure,
        Class::HungTask,
        Class::Lockup,
        Class::KernelFault,
        Class::MachineCheck,
        Class::MemoryUncorrected,
        Class::MemoryCorrected,
        Class::PcieError,
        Class::Thermal,
        Class::Oom,
        Class::LinkFlap,
        Class::Segfault,
    ];

    /// Its name, for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Class::IoError => "io_error",
            Class::FilesystemError => "filesystem_error",
            Class::RaidFailure => "raid_failure",
            Class::HungTask => "hung_task",
            Class::Lockup => "lockup",
            Class::KernelFault => "kernel_fault",
            Class::MachineCheck => "machine_check",
            Class::MemoryUncorrected => "memory_uncorrected",
            Class::MemoryCorrected => "memory_corrected",
            Class::PcieError => "pcie_error",
            Class::Thermal => "thermal",
            Class::Oom => "oom",
            Class::LinkFlap => "link_flap",
            Class::Segfault => "segfault",
        }
    }

    /// From how many on it is bad. A pulled cable is no fault, a link that goes down again and again is; a crashed
    /// program and mended memory errors are figures, whose growth the collector judges.
    pub(super) fn bad_from(self) -> i64 {
        match self {
            Class::LinkFlap => 3,
            Class::MemoryCorrected | Class::Segfault => i64::MAX,
            _ => 1,
        }
    }
}

/// Words that all have to stand in a message, the first of them at its beginning where it starts with `^`.
type Pattern = (Class, &'static [&'static str]);

/// The first that fits wins.
const PATTERNS: &[Pattern] = &[
    (Class::Thermal, &["temperature above threshold"]),
    (Class::Thermal, &["critical temperature reached"]),
    (Class::IoError, &["^blk_update_request: ", " error, dev "]),
    (Class::IoError, &["^end_request: ", " error, dev "]),
    (Class::IoError, &["^print_req_error: ", " error, dev "]),
    (Class::IoError, &["^I/O error, dev "]),
    (Class::IoError, &["^critical ", " error, dev "]),
    (Class::IoError, &["^timeout error, dev "]),
    (Class::IoError, &["^Buffer I/O error on "]),
    (Class::IoError, &["^lost page write due to I/O error on "]),
    (Class::IoError, &["^Write-error on swap-device"]),
    (Class::IoError, &["^Read-error on swap-device"]),
    (Class::IoError, &["^ata", ": exception Emask "]),
    (Class::IoError, &["^nvme", "I/O ", " timeout, "]),
    (Class::IoError, &["^nvme", "controller is down; will reset"]),
    (Class::IoError, &["^nvme", "Removing after probe failure"]),
    (Class::IoError, &["^nvme", "Device not ready; aborting"]),
    (Class::IoError, &["^sd ", "Sense Key : Medium Error"]),
    (Class::IoError, &["^sd ", "Sense Key : Hardware Error"]),
    (Class::IoError, &["^sd ", "rejecting I/O to offline device"]),
    (Class::IoError, &["^device-mapper: multipath: ", "Failing path "]),
    (Class::FilesystemError, &["^EXT", "-fs error "]),
    (Class::FilesystemError, &["^EXT", "Remounting filesystem read-only"]),
    (Class::FilesystemError, &["^EXT", "mounting fs with errors"]),
    (Class::FilesystemError, &["^Aborting journal on device "]),
    (Class::FilesystemError, &["^JBD2: Detected IO errors"]),
    (Class::FilesystemError, &["^XFS (", "orruption"]),
    (Class::FilesystemError, &["^XFS (", " error"]),
    (Class::FilesystemError, &["^XFS (", "Shutting down filesystem"]),
    (Class::FilesystemError, &["^XFS (", "xfs_do_force_shutdown"]),
    (Class::FilesystemError, &["^XFS: Internal error"]),
    (Class::FilesystemError, &["^BTRFS error"]),
    (Class::FilesystemError, &["^BTRFS critical"]),
    (Class::FilesystemError, &["^BTRFS: error"]),
    (Class::FilesystemError, &["^BTRFS warning", "csum failed"]),
    (Class::FilesystemError, &["^BTRFS warning", "checksum error"]),
    (Class::FilesystemError, &["^FAT-fs (", "error"]),
    (Class::FilesystemError, &["^NTFS-fs error"]),
    (Class::FilesystemError, &["^SQUASHFS error"]),
    (Class::RaidFailure, &["^md/raid", "Disk failure on "]),
    (Class::RaidFailure, &["^raid", ": Disk failure on "]),
    (Class::HungTask, &["^INFO: task ", " blocked for more than "]),
    (Class::Lockup, &["soft lockup - CPU"]),
    (Class::Lockup, &["Watchdog detected hard LOCKUP"]),
    (Class::Lockup, &["rcu", "detected stall"]),
    (Class::Lockup, &["rcu", "self-detected stall"]),
    (Class::MachineCheck, &["[Hardware Error]", "achine check"]),
    (Class::MachineCheck, &["[Hardware Error]", "Machine Check"]),
    (Class::MachineCheck, &["[Hardware Error]", "Hardware error from APEI"]),
    (Class::MachineCheck, &["^Machine check events logged"]),
    (Class::MachineCheck, &["^BERT: Error records from previous boot"]),
    (Class::MachineCheck, &["^Kernel panic - not syncing: ", "achine check"]),
    (Class::KernelFault, &["^Kernel panic - not syncing"]),
    (Class::KernelFault, &["^BUG: "]),
    (Class::KernelFault, &["^kernel BUG at "]),
    (Class::KernelFault, &["^general protection fault"]),
    (Class::KernelFault, &["^Unable to handle kernel "]),
    (Class::MemoryUncorrected, &["^EDAC MC", " UE "]),
    (Class::MemoryCorrected, &["^EDAC MC", " CE "]),
    (Class::PcieError, &["PCIe Bus Error: severity=Uncorrect"]),
    (Class::PcieError, &["PCIe Bus Error: severity=Fatal"]),
    (Class::Segfault, &["]: segfault at "]),
    (Class::Segfault, &["^traps: ", "]"]),
];

/// Drives without a medium, at which the kernel tries in vain.
const EMPTY_DRIVES: &[&str] = &["dev fd", "dev sr", "device fd", "device sr"];

/// The class of a message.
pub(super) fn of(text: &str) -> Option<Class> {
    let fits = |words: &[&str]| {
        words.iter().all(|word| match word.strip_prefix('^') {
            Some(start) => text.starts_with(start),
            None => text.contains(word),
        })
    };
    let class = PATTERNS.iter().find(|(_, words)| fits(words)).map(|(class, _)| *class)?;
    let nothing_in = class == Class::IoError && EMPTY_DRIVES.iter().any(|drive| text.contains(drive));
    if nothing_in { None } else { Some(class) }
}

/// The step of an out-of-memory event that a message is.
pub(super) fn oom(text: &str) -> Option<usize> {
    if text.contains(" invoked oom-killer: ") {
        Some(0)
    } else if text.starts_with("oom-kill:") {
        Some(1)
    } else if ["Out of memory: ", "Out of memory (", "Memory cgroup out of memory: "].iter().any(|start| text.starts_with(start)) {
        Some(2)
    } else {
        None
    }
}

/// The interface whose link a message says to be up (true) or down. Drivers write `e1000e: eth0 NIC Link is Down`,
/// `igb 0000:01:00.0 eno1: igb: eno1 NIC Link is Up …`, `tg3 0000:02:00.0: eth0: Link is down`, `r8169 …: eth0: link down`.
pub(super) fn link(text: &str) -> Option<(&str, bool)> {
    let words = ["NIC Link is ", "Link is ", "link is ", "NIC Link ", "Link ", "link "];
    let (before, after) = words.iter().find_map(|words| text.split_once(words))?;
    let state = after.split([' ', ',', '.', '-', '!']).next().unwrap_or_default().to_ascii_lowercase();
    let up = match state.as_str() {
        "up" => true,
        "down" => false,
        _ => return None,
    };
    // Disks and buses have links too.
    let interface = before.trim_end().trim_end_matches(':').rsplit([' ', ':']).find(|word| !word.is_empty())?;
    let other = before.starts_with("ata") || before.contains("pcieport") || before.contains("SATA") || before.contains("fc_host");
    if other { None } else { Some((interface, up)) }
}
