//! The table of everything that can be read.

use crate::{Outcome, Tree, Unreadable, nvme_cli, psi, smartctl, smartctl_text, storcli};

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
