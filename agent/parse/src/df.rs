//! Disk space: `df -PTk`, `df -Pk`, and inodes `df -Pi`, `df -PTi` (coreutils in any language, busybox, BSD); sizes with
//! letters, as `-h` prints them, are taken as well.

use crate::verdict::{self, Verdict};
use crate::{Fault, Outcome, Unreadable, text, trouble};
use serde::Serialize;

/// The whole output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Df {
    /// In the output's order.
    pub filesystems: Vec<Filesystem>,
    /// What the tool could not look at, and what could not be read.
    pub faults: Vec<Fault>,
}

/// One filesystem: bytes or inodes, whichever was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filesystem {
    /// A device's path or the word that stands in its place; `None` for what lies on another machine, as that names it.
    pub device: Option<String>,
    /// `ext4`, … when the output holds it.
    pub fstype: Option<String>,
    /// Where it is mounted.
    pub mountpoint: String,
    /// Size in bytes.
    pub size_bytes: Option<i64>,
    /// Used bytes.
    pub used_bytes: Option<i64>,
    /// Bytes that users without privilege may still write; below zero when they were overdrawn.
    pub available_bytes: Option<i64>,
    /// Inodes in all.
    pub inodes: Option<i64>,
    /// Used inodes.
    pub inodes_used: Option<i64>,
    /// Free inodes.
    pub inodes_free: Option<i64>,
    /// Used share of either, in percent, rounded up by the tool.
    pub used_percent: Option<i64>,
}

const SUCH_AS: &str = "Filesystem Type 1024-blocks Used Available Capacity Mounted on";
/// From here a filesystem counts as full, in percent.
const FULL_PERCENT: i64 = 99;
/// Kinds that are always full, and what is none of the machine's storage.
const NOT_FILLED: &[&str] = &[
    "squashfs",
    "iso9660",
    "udf",
    "erofs",
    "cramfs",
    "romfs",
    "efivarfs",
    "devfs",
    "autofs",
    "nsfs",
    "fdescfs",
    "procfs",
    "linprocfs",
    "overlayfs-ro",
    "fuse.snapfuse",
    "fuse.squashfuse",
    "fuse.portal",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuseiso",
    "fuse.fuseiso",
    "fuse.archivemount",
];

/// The head of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Head {
    inodes: bool,
    kind: bool,
    /// Bytes of one block.
    block: i64,
    /// Three columns about inodes stand behind the percentage (BSD).
    both: bool,
}

/// Reads the table.
///
/// # Errors
/// When it is empty or no such table.
pub fn parse(input: &str) -> Result<Df, Unreadable> {
    let mut df = Df::default();
    let mut table = None;
    let mut broken_off: Option<(usize, String)> = None;
    let mut first = None;
    for (index, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        first = first.or(Some(index));
        if let Some(fault) = complaint(line) {
            verdict::fault(&mut df.faults, fault);
            continue;
        }
        let Some(head) = table else {
            table = Some(head(line));
            continue;
        };
        // A long name breaks the line in two where POSIX's form is not asked for.
        let joined = broken_off.take().map(|(_, device)| format!("{device} {line}"));
        match row(joined.as_deref().unwrap_or(line), head) {
            Some(filesystem) => verdict::push(&mut df.filesystems, filesystem, &mut df.faults),
            None if joined.is_none() && line.split_whitespace().count() == 1 => broken_off = Some((index, line.trim().to_owned())),
            None => verdict::fault(&mut df.faults, trouble::malformed(index, line)),
        }
    }
    let Some(first) = first else { return Err(Unreadable::Empty) };
    if let Some((index, device)) = broken_off {
        verdict::fault(&mut df.faults, trouble::malformed(index, &device));
    }
    let told = df.faults.iter().any(|fault| fault.code != "malformed");
    if df.filesystems.is_empty() && !(told && table.is_none()) {
        return Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS });
    }
    Ok(df)
}

/// `df: /mnt/x: Stale file handle`, also with the program's whole path.
fn complaint(line: &str) -> Option<Fault> {
    let (program, rest) = line.split_once(": ")?;
    let df = program.rsplit('/').next() == Some("df") && !program.contains(char::is_whitespace);
    df.then(|| trouble::fault(trouble::code(line).unwrap_or(if rest.contains("no file systems") { "not_found" } else { "io_error" }), rest))
}

/// What the head says; its words are of any language, so the rows say the rest.
fn head(line: &str) -> Head {
    let lower = line.to_lowercase();
    let inodes = ["inode", "iノード", "i-node", "inœud", "nodos-i", "nodos i", "节点", "節點", "iused"].iter().any(|word| lower.contains(word));
    let kind = lower.split_whitespace().any(|word| matches!(word, "type" | "タイプ" | "typ" | "tipo" | "类型" | "類型" | "тип" | "유형" | "tyyppi"));
    let both = lower.contains("%iused") && !lower.starts_with("filesystem inodes");
    let block = if lower.contains("512-") { 512 } else { block(line) };
    Head { inodes: inodes && !both, kind, block, both }
}

/// `1024-blocks`, `1K-ブロック`, `1M-blocks`; without a number a kibibyte.
fn block(line: &str) -> i64 {
    let Some(at) = line.find(|c: char| c.is_ascii_digit()) else { return 1024 };
    let rest = line.get(at..).unwrap_or_default();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let unit = match rest.chars().nth(digits.len()) {
        Some('K' | 'k') => 10,
        Some('M') => 20,
        Some('G') => 30,
        _ => 0,
    };
    text::whole(&digits).filter(|digits| (1..=1 << 30).contains(digits)).map_or(1024, |digits| digits << unit)
}

/// One row: three figures and a share stand together; before them the device and the kind, behind them the mount point,
/// each of which may hold spaces.
fn row(line: &str, head: Head) -> Option<Filesystem> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let figure = |word: &&str| *word == "-" || number(word).is_some() || text::size(word).is_some();
    let share = |word: &str| word == "-" || word.strip_suffix('%').is_some_and(|digits| digits == "-" || number(digits).is_some());
    let lead = if head.kind { 2 } else { 1 };
    let at = words.windows(4).skip(lead).position(|four| four.iter().take(3).all(figure) && four.get(3).is_some_and(|word| share(word)))? + lead;
    let [size, used, available, percent] = words.get(at..at + 4)? else { return None };
    let behind = words.get(at + 3 + if head.both { 3 } else { 0 })?;
    // From that word's end in the line, so that spaces in the name stay.
    let from = (behind.as_ptr() as usize).checked_sub(line.as_ptr() as usize)?.checked_add(behind.len())?;
    let mountpoint = line.get(from..)?.trim();
    if !mountpoint.starts_with('/') {
        return None;
    }
    let (device, fstype) = if head.kind { (words.get(..at - 1)?, words.get(at - 1).map(|kind| text::plain(kind))) } else { (words.get(..at)?, None) };
    let count = |word: &str| number(word).or_else(|| text::size(word));
    let bytes = |word: &str| number(word).map_or_else(|| text::size(word), |blocks| blocks.checked_mul(head.block));
    let mut filesystem = Filesystem {
        device: local(&device.join(" ")),
        fstype,
        mountpoint: text::plain(mountpoint),
        used_percent: number(percent.trim_end_matches('%')),
        ..Filesystem::default()
    };
    if head.inodes {
        (filesystem.inodes, filesystem.inodes_used, filesystem.inodes_free) = (count(size), count(used), count(available));
    } else {
        (filesystem.size_bytes, filesystem.used_bytes, filesystem.available_bytes) = (bytes(size), bytes(used), bytes(available));
    }
    Some(filesystem)
}

/// A whole number with an optional minus.
fn number(word: &str) -> Option<i64> {
    word.strip_prefix('-').map_or_else(|| text::whole(word), |digits| text::whole(digits).map(|number| -number))
}

/// What does not name another machine.
fn local(device: &str) -> Option<String> {
    let elsewhere = device.starts_with("//") || (!device.starts_with("/dev/") && device.contains([':', '@']));
    Some(text::plain(device)).filter(|device| !device.is_empty() && !elsewhere)
}

impl Filesystem {
    /// There is nothing to fill, or it is full by nature.
    fn not_filled(&self) -> bool {
        let nothing = self.size_bytes.or(self.inodes).is_none_or(|size| size <= 0);
        // Without a kind: discs, and the images that packages are mounted from.
        let image = self.device.as_deref().is_some_and(|device| {
            self.fstype.is_none() && (["/dev/loop", "/dev/sr", "/dev/cd", "/dev/scd"].iter().any(|begin| device.starts_with(begin)) || device == "devfs")
        });
        nothing || image || self.fstype.as_deref().is_some_and(|kind| NOT_FILLED.contains(&kind))
    }

    /// No room, or next to none.
    #[must_use]
    pub fn full(&self) -> bool {
        let none = self.available_bytes.or(self.inodes_free).is_some_and(|free| free <= 0);
        !self.not_filled() && (none || self.used_percent.is_some_and(|percent| percent >= FULL_PERCENT))
    }
}

/// How the table reads: bad when a filesystem that one writes to is full.
///
/// # Errors
/// As [`parse`], unless it is a complaint of the shell's.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let df = match parse(input) {
        Ok(df) => df,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut verdict = Verdict::default();
    for filesystem in df.filesystems.iter().filter(|filesystem| filesystem.full()) {
        let what = if filesystem.inodes.is_some() { " of inodes" } else { "" };
        let percent = filesystem.used_percent.map(|percent| format!("{percent} %")).unwrap_or_default();
        verdict.bad(format!("{} is full{what}: {percent}", filesystem.mountpoint));
    }
    // What only its owner may look at is not known to be wrong; what does not answer is not known to be fine.
    let (closed, other): (Vec<Fault>, Vec<Fault>) = df.faults.into_iter().partition(|fault| fault.code == "permission_denied" && !df.filesystems.is_empty());
    let mut outcome = verdict.outcome_with(format!("{} filesystems, none full", df.filesystems.len()), other);
    outcome.faults.extend(closed);
    for filesystem in &df.filesystems {
        let of: &[(&'static str, &str)] = &[("mountpoint", &filesystem.mountpoint), ("fstype", filesystem.fstype.as_deref().unwrap_or_default())];
        let of = if filesystem.fstype.is_some() { of } else { of.get(..1).unwrap_or_default() };
        let share = if filesystem.inodes.is_some() { "filesystem_inodes_used_share" } else { "filesystem_used_share" };
        for (name, value, unit) in [
            ("filesystem_size", filesystem.size_bytes, "bytes"),
            ("filesystem_used", filesystem.used_bytes, "bytes"),
            ("filesystem_available", filesystem.available_bytes, "bytes"),
            ("filesystem_inodes", filesystem.inodes, "count"),
            ("filesystem_inodes_used", filesystem.inodes_used, "count"),
            ("filesystem_inodes_free", filesystem.inodes_free, "count"),
            (share, filesystem.used_percent, "percent"),
        ] {
            outcome.reading(name, of, value.map(text::float), unit);
        }
        outcome.record(filesystem);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    const HEAD: &str = "Filesystem Type 1024-blocks Used Available Capacity Mounted on\n";

    fn one(input: &str) -> Filesystem {
        parse(input).unwrap().filesystems.remove(0)
    }

    fn judged(rows: &str) -> (Status, String) {
        let outcome = outcome(&format!("{HEAD}{rows}"), None).unwrap();
        (outcome.status, outcome.reason)
    }

    #[test]
    fn a_row_is_read_in_every_form() {
        let row = one(&format!("{HEAD}/dev/mapper/vg-a_very_long_name_of_a_volume ext4  2000  1500   400      79% /srv/my  data\n"));
        assert_eq!((row.device.as_deref(), row.fstype.as_deref()), (Some("/dev/mapper/vg-a_very_long_name_of_a_volume"), Some("ext4")));
        assert_eq!((row.size_bytes, row.used_bytes, row.available_bytes), (Some(2_048_000), Some(1_536_000), Some(409_600)));
        assert_eq!((row.used_percent, row.mountpoint.as_str(), row.inodes), (Some(79), "/srv/my data", None));
        for (head, bytes) in
            [("512-blocks", 512 * 2000), ("1K-blocks", 1024 * 2000), ("1024-ブロック", 1024 * 2000), ("1M-blocks", 2000 << 20), ("1-blocks", 2000)]
        {
            let text = format!("ファイルシス {head} 使用 使用可 容量 マウント位置\n/dev/sda1 2000 1500 400 79% /\n");
            assert_eq!((one(&text).size_bytes, one(&text).fstype), (Some(bytes), None), "{head}");
        }
        let human = one("Filesystem Size Used Avail Use% Mounted on\n/dev/sda1 1.5G 1G 500M 67% /\n");
        assert_eq!(human.size_bytes, Some(1_610_612_736));
        let mac = one("Filesystem Size Used Avail Capacity iused ifree %iused Mounted on\n/dev/disk1s1 466Gi 144Gi 315Gi 32% 15 92 0% /Volumes/A B\n");
        assert_eq!((mac.size_bytes, mac.mountpoint.as_str(), mac.inodes), (Some(466 << 30), "/Volumes/A B", None));
    }

    #[test]
    fn inodes_are_told_by_the_head_of_any_language() {
        for head in [
            "Filesystem Inodes IUsed IFree IUse% Mounted on",
            "ファイルシス Iノード I使用 I残り I使用% マウント位置",
            "Dateisystem Inodes IBenut. IFrei IUse% Eingehängt auf",
        ] {
            let row = one(&format!("{head}\n/dev/sda1 100 30 70 30% /\n"));
            assert_eq!((row.inodes, row.inodes_used, row.inodes_free, row.size_bytes), (Some(100), Some(30), Some(70), None), "{head}");
        }
        let text = "ファイルシス タイプ Iノード I使用 I残り I使用% マウント位置\n/dev/sda1 ext4 100 100 0 100% /\n/dev/sdb1 btrfs 0 0 0 - /b\n\
                /dev/sdc1 vfat - - - - /c\n/dev/sdd1 xfs 100 99 1 99% /d\n";
        let outcome = outcome(text, None).unwrap();
        assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Bad, "/ is full of inodes: 100 %; /d is full of inodes: 99 %"));
        assert_eq!((&outcome.records[1]["inodes"], &outcome.records[2]["inodes"]), (&0.into(), &serde_json::Value::Null));
    }

    #[test]
    fn a_long_name_may_break_the_line() {
        let text = "Filesystem           1K-blocks      Used Available Use% Mounted on\n/dev/mapper/very-long-volume-name\n                       2000   1500    400  79% /\n";
        assert_eq!((one(text).device.as_deref(), one(text).used_percent), (Some("/dev/mapper/very-long-volume-name"), Some(79)));
    }

    #[test]
    fn what_is_full_is_bad_unless_it_is_full_by_nature() {
        for (row, status) in [
            ("/dev/a ext4 100 98 2 98% /", Status::Ok),
            ("/dev/a ext4 100 98 1 99% /", Status::Bad),
            ("/dev/a ext4 100 95 0 100% /", Status::Bad),
            ("/dev/a ufs 100 103 -8 109% /", Status::Bad),
            ("tmpfs tmpfs 100 100 0 100% /tmp", Status::Bad),
            ("/dev/a ext4 100 60 0 - /", Status::Bad),
            ("/dev/loop1 squashfs 100 100 0 100% /snap/a/1", Status::Ok),
            ("/dev/sr0 iso9660 100 100 0 100% /media/cdrom", Status::Ok),
            ("efivarfs efivarfs 100 99 1 99% /sys/firmware/efi/efivars", Status::Ok),
            ("proc proc 0 0 0 - /proc", Status::Ok),
            ("systemd-1 autofs - - - - /proc/sys/fs/binfmt_misc", Status::Ok),
        ] {
            assert_eq!(judged(&format!("{row}\n")).0, status, "{row}");
        }
        let without = |row: &str| outcome(&format!("Filesystem 1024-blocks Used Available Capacity Mounted on\n{row}\n"), None).unwrap().status;
        assert_eq!((without("/dev/loop3 9 9 0 100% /snap/x/1"), without("/dev/sda1 9 9 0 100% /")), (Status::Ok, Status::Bad));
    }

    #[test]
    fn what_the_tool_could_not_look_at_is_told() {
        let fine = "/dev/a ext4 100 9 91 9% /\n";
        let with = |line: &str| {
            let outcome = outcome(&format!("df: {line}\n{HEAD}{fine}"), None).unwrap();
            (outcome.status, outcome.records.len(), outcome.faults[0].code)
        };
        assert_eq!(with("/run/user/1000/doc: Operation not permitted"), (Status::Ok, 1, "permission_denied"));
        assert_eq!(with("'/mnt/x': Stale file handle"), (Status::Unknown, 1, "io_error"));
        assert_eq!(with("/mnt/x: そのようなファイルやディレクトリはありません"), (Status::Unknown, 1, "not_found"));
        for (line, code) in [
            ("df: no file systems processed", "not_found"),
            ("/bin/df: /x: Permission denied", "permission_denied"),
            ("bash: df: command not found", "not_found"),
        ] {
            let outcome = outcome(line, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{line}");
        }
    }

    #[test]
    fn other_machines_are_not_named() {
        let text = format!("{HEAD}nas01:/export nfs4 10 1 9 10% /mnt\n//nas01/my share cifs 10 1 9 10% /share\n");
        assert!(parse(&text).unwrap().filesystems.iter().all(|row| row.device.is_none() && row.size_bytes == Some(10_240)));
    }

    #[test]
    fn anything_else_is_refused_and_a_broken_line_costs_itself() {
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        for foreign in ["NAME SIZE ALLOC FREE FRAG CAP DEDUP HEALTH\ntank 9G 1G 8G 0% 0% 1.00x ONLINE\n", "MemTotal: 5 kB\n", HEAD, "{\n}\n"] {
            assert!(matches!(outcome(foreign, None), Err(Unreadable::Foreign { line: 1, .. })), "{foreign}");
        }
        let outcome = outcome(&format!("{HEAD}/dev/a ext4 100 9 91 9% /\nlong\n/dev/b ext4 x 9 91 9% /b\n"), None).unwrap();
        assert_eq!((outcome.status, outcome.records.len(), outcome.faults.len()), (Status::Ok, 1, 1));
        assert!(outcome.faults[0].detail.starts_with("line 4:"), "{:?}", outcome.faults);
        let huge = one(&format!("{HEAD}/dev/a ext4 9223372036854775807 1 9 1% /\n"));
        assert_eq!((huge.size_bytes, huge.used_bytes), (None, Some(1024)));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(head in "(Filesystem|ファイルシス)( Type)?( [0-9]{0,20}[KM]?-blocks| Inodes)?.*", rows in prop::collection::vec("([/a-z:]{0,9} ){1,2}( (-?[0-9.]{1,20}[KTZ]?|-)){0,4}( -|[0-9-]{1,9}%)? ?/?[a-zé ]{0,4}|df: .*|.*", 0..6)) {
            if let Ok(outcome) = outcome(&format!("{head}\n{}", rows.join("\n")), None) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
                prop_assert!(outcome.status == Status::Ok || !outcome.reason.is_empty());
            }
        }
    }
}
