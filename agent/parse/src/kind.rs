//! The table of everything that can be read.

use crate::{Outcome, Tree, Unreadable, btrfs, df, diskstats, lvs, mdadm, mdstat, mount, multipath, netdev, psi, zpool};

/// What a kind is given.
#[derive(Debug, Clone, Copy)]
pub enum Read {
    /// Text, decoded.
    Text(fn(&str, Option<i64>) -> Result<Outcome, Unreadable>),
    /// Bytes as they are.
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
];

/// The kind of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
