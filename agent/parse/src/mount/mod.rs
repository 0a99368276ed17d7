//! Mounted filesystems: `/proc/mounts` and `/proc/self/mountinfo` (proc(5)), and which of them cannot be written although
//! one writes to their kind.

#[cfg(test)]
mod tests;

use crate::verdict::{self, Verdict};
use crate::{Fault, Outcome, Unreadable, text, trouble};
use serde::Serialize;
use std::collections::BTreeSet;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts {
    /// In the file's order.
    pub mounts: Vec<Mount>,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// A device's path or the word that stands in its place; `None` for what lies on another machine, as that names it.
    pub device: Option<String>,
    /// Where it is mounted.
    pub mountpoint: String,
    /// `ext4`, `nfs4`, …
    pub fstype: String,
    /// The mount's own flag; in `/proc/mounts` also the filesystem's.
    pub read_only: bool,
    /// The filesystem's own flag; only mountinfo tells it apart.
    pub super_read_only: Option<bool>,
    /// Why it may be read-only, or that it should not be.
    pub writing: Writing,
}

/// Whether a mount can be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Writing {
    /// It can.
    #[default]
    Writable,
    /// It cannot, and nobody writes to such a one: an image, a disc in its drive, a file system of the kernel's.
    ByNature,
    /// This mount cannot, and the filesystem below can: somebody mounted it so a second time.
    ThisMountOnly,
    /// It cannot although one writes to its kind: the kernel's answer to an error, or an administrator's will.
    ReadOnly,
}

const SUCH_AS: &str = "/dev/sda1 / ext4 rw 0 0";
/// Kinds that one writes to.
const WRITTEN: &[&str] = &[
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "zfs",
    "vfat",
    "msdos",
    "exfat",
    "ntfs",
    "ntfs3",
    "fuseblk",
    "f2fs",
    "jfs",
    "reiserfs",
    "reiser4",
    "nilfs2",
    "bcachefs",
    "hfs",
    "hfsplus",
    "ufs",
    "ocfs2",
    "gfs",
    "gfs2",
    "minix",
    "ubifs",
    "jffs2",
    "nfs",
    "nfs3",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "fuse.glusterfs",
    "glusterfs",
    "lustre",
    "gpfs",
    "vxfs",
    "fuse.sshfs",
    "fuse.ceph",
    "9p",
    "virtiofs",
    "vboxsf",
    "vmhgfs",
    "fuse.vmhgfs-fuse",
];
/// Discs: read-only by nature, but one left mounted elsewhere than where discs go is somebody's image, forgotten.
const DISCS: &[&str] = &["iso9660", "udf"];
/// Where discs go: drives by the desktop's and the distributions' customs, and live systems.
const DRIVES: &[&str] =
    &["/media/", "/run/media/", "/cdrom", "/mnt/cdrom", "/mnt/dvd", "/run/live/", "/run/initramfs/", "/lib/live/", "/run/archiso/", "/run/install/"];

/// Reads either file.
///
/// # Errors
/// When it is empty or its first line is of another file.
pub fn parse(input: &str) -> Result<Mounts, Unreadable> {
    let mut mounts = Mounts::default();
    let mut any = false;
    for (index, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let read = if line.trim_start().starts_with(|c: char| c.is_ascii_digit()) { mountinfo(line).or_else(|| mount(line)) } else { mount(line) };
        match read {
            Some(mount) => verdict::push(&mut mounts.mounts, mount, &mut mounts.faults),
            None if any => verdict::fault(&mut mounts.faults, trouble::malformed(index, line)),
            None => return Err(Unreadable::Foreign { line: index + 1, such_as: SUCH_AS }),
        }
        any = true;
    }
    if !any {
        return Err(Unreadable::Empty);
    }
    mounts.judge();
    Ok(mounts)
}

/// `device mountpoint kind options 0 0`
fn mount(line: &str) -> Option<Mount> {
    // A name may be empty: then two spaces stand beside each other.
    let mut words: Vec<&str> = line.split(' ').collect();
    if words.len() != 6 {
        words = line.split_whitespace().collect();
    }
    let [device, mountpoint, fstype, options, dump, pass] = words.as_slice() else { return None };
    text::whole(dump).and(text::whole(pass))?;
    made(device, mountpoint, fstype, read_only(options)?, None)
}

/// `36 35 98:0 /root /mountpoint options [tags] - kind device options`
fn mountinfo(line: &str) -> Option<Mount> {
    let (own, rest) = line.split_once(" - ")?;
    let mut own = own.split_whitespace();
    text::whole(own.next()?).and(text::whole(own.next()?))?;
    let (major, minor) = own.next()?.split_once(':')?;
    text::whole(major).and(text::whole(minor))?;
    let (_root, mountpoint, options) = (own.next()?, own.next()?, own.next()?);
    let mut rest = rest.split(' ');
    let (fstype, device, of_super) = (rest.next()?, rest.next()?, rest.next().unwrap_or_default());
    made(device, mountpoint, fstype, read_only(options)?, read_only(of_super))
}

/// The first option is one of these two.
fn read_only(options: &str) -> Option<bool> {
    match options.split(',').next()? {
        "ro" => Some(true),
        "rw" => Some(false),
        _ => None,
    }
}

fn made(device: &str, mountpoint: &str, fstype: &str, read_only: bool, super_read_only: Option<bool>) -> Option<Mount> {
    let device = unescaped(device);
    let elsewhere = device.starts_with("//") || (device.contains([':', '@', '\\']) && !device.starts_with("/dev/") && fstype != "zfs");
    let device = Some(text::plain(&device)).filter(|device| !device.is_empty() && !elsewhere);
    let mountpoint = text::plain(&unescaped(mountpoint));
    let fstype = text::plain(fstype);
    (!mountpoint.is_empty() && !fstype.is_empty()).then_some(Mount { device, mountpoint, fstype, read_only, super_read_only, writing: Writing::Writable })
}

/// Takes back what the kernel writes as `\040`: space, tab, line end, backslash, `#`.
fn unescaped(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        plain.push(code.map_or('\\', char::from));
        rest = if code.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    plain.push_str(rest);
    plain
}

impl Mounts {
    fn judge(&mut self) {
        // The kernel makes all mounts of a filesystem read-only when it fails: one that can be written speaks for the others.
        let written: BTreeSet<String> = self.mounts.iter().filter(|mount| !mount.read_only).filter_map(|mount| mount.device.clone()).collect();
        for mount in &mut self.mounts {
            let elsewhere =
                mount.super_read_only.is_none() && mount.device.as_ref().is_some_and(|device| device.starts_with("/dev/") && written.contains(device));
            mount.writing = mount.writing(elsewhere);
        }
    }
}

impl Mount {
    fn writing(&self, written_elsewhere: bool) -> Writing {
        if !self.read_only && self.super_read_only != Some(true) {
            return Writing::Writable;
        }
        let kind = self.fstype.as_str();
        let disc = DISCS.contains(&kind);
        let in_its_drive = DRIVES.iter().any(|drive| self.mountpoint.starts_with(drive)) || self.mountpoint == "/media";
        // A snapshot of a ZFS filesystem is one for good.
        let snapshot = kind == "zfs" && self.device.as_ref().is_some_and(|device| device.contains('@'));
        if snapshot || (disc && in_its_drive) || !(disc || WRITTEN.contains(&kind)) {
            Writing::ByNature
        } else if !disc && (self.super_read_only == Some(false) || written_elsewhere) {
            Writing::ThisMountOnly
        } else {
            Writing::ReadOnly
        }
    }
}

/// How the file reads: bad when a mount is read-only that should not be.
///
/// # Errors
/// As [`parse`], unless it is a complaint such as `cat: /proc/mounts: Permission denied`.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let mounts = match parse(input) {
        Ok(mounts) => mounts,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut verdict = Verdict::default();
    let mut named = BTreeSet::new();
    for mount in mounts.mounts.iter().filter(|mount| mount.writing == Writing::ReadOnly) {
        // The same may be mounted on itself.
        if named.insert((&mount.mountpoint, &mount.fstype)) {
            verdict.bad(format!("{} ({}) is read-only", mount.mountpoint, mount.fstype));
        }
    }
    let mut outcome = verdict.outcome_with(format!("{} mounts, none read-only that should not be", mounts.mounts.len()), mounts.faults);
    for mount in &mounts.mounts {
        if mount.writing != Writing::ByNature && WRITTEN.contains(&mount.fstype.as_str()) {
            let of = &[("mountpoint", mount.mountpoint.as_str()), ("fstype", mount.fstype.as_str())];
            outcome.reading("filesystem_read_only", of, Some(f64::from(u8::from(mount.writing != Writing::Writable))), "bool");
        }
        outcome.record(mount);
    }
    Ok(outcome)
}
