//! Local filesystems, from `mountinfo` and `statvfs`.
//!
//! Only kinds whose `statvfs` a local kernel driver answers are asked. Network filesystems, automounts and FUSE are
//! left out: their servers may be dead, and one such call would hang the agent for ever.
//!
//! Two views are compared. What the machine has mounted is process 1's; what the agent can reach is its own, and its
//! sandbox changes that one: it makes mounts read-only and lays empty folders over others. Figures of such a folder
//! would look like figures of the disk beneath, so a mount point that is another device here is a fault, `hidden`.

use super::take::Entries;
use super::{Sources, Take, text};
use crate::host::{Host, Space};
use mimamori_shared::fields::{Filesystem, Readings};
use mimamori_shared::payload::{Fault, FaultCode};
use std::collections::HashSet;

const BYTES_MAX: u64 = 1024 * 1024;
const UEVENT_BYTES_MAX: u64 = 4096;
const LOCAL_KINDS: [&str; 13] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "exfat", "f2fs", "zfs", "ntfs", "ntfs3", "jfs", "reiserfs"];

/// One line of `mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    device: String,
    mount_point: Vec<u8>,
    kind: String,
    mount_read_only: bool,
    super_read_only: bool,
}

pub(super) fn read(Sources { host, names, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("filesystem", faults);
    let Some(own) = take.whole(host.read_bytes("proc/self/mountinfo", BYTES_MAX)) else { return };
    let own = parse(&own, &mut take);
    // Process 1 may be invisible to the agent. Then its own view must do, but the flags of the mounts in it are the
    // sandbox's; the flag of the filesystem beneath is the machine's, also when the kernel set it after an error.
    let machine = host.read_bytes("proc/1/mountinfo", BYTES_MAX).ok().map(|bytes| parse(&bytes, &mut take));
    let trust_mount_flag = machine.is_some();
    let mut entries = Entries::default();
    for mount in devices(machine.as_deref().unwrap_or(&own)) {
        let name = names.mount(&mount.mount_point);
        if !entries.admit(&name, &mut take) {
            continue;
        }
        let reachable = top(&own, &mount.mount_point).is_some_and(|top| top.device == mount.device);
        let space = if reachable { host.space(&mount.mount_point) } else { Err(FaultCode::Hidden) };
        let space = space.map_err(|code| if code == FaultCode::NotFound { FaultCode::Hidden } else { code });
        let mut take = take.entry(&name);
        let mut filesystem = take.whole(space).map(|space| sizes(space, &mut take)).unwrap_or_default();
        filesystem.name = name;
        filesystem.kind = mount.kind.parse().ok();
        filesystem.errors = errors(host, &mount.device).and_then(|found| take.value("errors", found));
        filesystem.read_only = Some(i64::from(mount.super_read_only || (trust_mount_flag && mount.mount_read_only)));
        readings.filesystem.push(filesystem);
    }
}

fn sizes(space: Space, take: &mut Take<'_>) -> Filesystem {
    let mut bytes = |field, blocks: u64| {
        let bytes = blocks.checked_mul(space.block_bytes).and_then(|bytes| i64::try_from(bytes).ok());
        take.value(field, bytes.ok_or(FaultCode::Malformed))
    };
    let size_bytes = bytes("size_bytes", space.blocks);
    let free_bytes = bytes("free_bytes", space.blocks_free);
    let available_bytes = bytes("available_bytes", space.blocks_available);
    // btrfs and vfat make inodes as they need them and say 0: there is no such figure, and nothing is wrong.
    let mut count = |field, number: u64| {
        let number = i64::try_from(number).map_err(|_| FaultCode::Malformed);
        if space.inodes == 0 { None } else { take.value(field, number) }
    };
    let inodes = count("inodes", space.inodes);
    let inodes_free = count("inodes_free", space.inodes_free);
    Filesystem { size_bytes, free_bytes, available_bytes, inodes, inodes_free, ..Filesystem::default() }
}

/// What an ext4 filesystem has recorded about itself; `None` for those that keep no such count.
fn errors(host: &Host, device: &str) -> Option<Result<i64, FaultCode>> {
    let uevent = host.read(&format!("sys/dev/block/{device}/uevent"), UEVENT_BYTES_MAX).ok()?;
    let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    let count = host.read(&format!("sys/fs/ext4/{name}/errors_count"), UEVENT_BYTES_MAX).ok()?;
    Some(text::whole(count.trim_end()).ok_or(FaultCode::Malformed))
}

/// The local filesystems, each device once, where it was mounted first and nothing covers it.
pub(super) fn devices(mounts: &[Mount]) -> Vec<&Mount> {
    let mut seen = HashSet::new();
    let local = |mount: &Mount| LOCAL_KINDS.contains(&mount.kind.as_str()) || (mount.kind == "overlay" && mount.mount_point == b"/");
    let covered = |mount: &Mount| top(mounts, &mount.mount_point).is_some_and(|top| top.device != mount.device);
    mounts.iter().filter(|m| local(m) && !covered(m)).filter(|m| seen.insert(m.device.as_str())).collect()
}

/// What one reaches at a mount point: the last that was mounted there.
fn top<'a>(mounts: &'a [Mount], mount_point: &[u8]) -> Option<&'a Mount> {
    mounts.iter().rev().find(|mount| mount.mount_point == mount_point)
}

/// Mount points are bytes: on old servers they are not UTF-8.
pub(super) fn parse(bytes: &[u8], take: &mut Take<'_>) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        match mount(line) {
            Some(mount) => mounts.push(mount),
            None => take.fail(FaultCode::Malformed),
        }
    }
    if mounts.is_empty() {
        take.fail(FaultCode::Malformed);
    }
    mounts
}

/// `id parent major:minor root mount_point options [optional fields] - kind source super_options`.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|b| *b == b' ');
    let device = str::from_utf8(words.nth(2)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    (text::whole(major).is_some() && text::whole(minor).is_some()).then_some(())?;
    let mount_point = unescape(words.nth(1)?);
    let options = words.next()?;
    let mut behind = words.skip_while(|word| *word != b"-").skip(1);
    let kind = str::from_utf8(behind.next()?).ok()?;
    let super_options = behind.nth(1)?;
    let read_only = |options: &[u8]| options.split(|b| *b == b',').any(|option| option == b"ro");
    mount_point.starts_with(b"/").then(|| Mount {
        device: device.to_owned(),
        mount_point,
        kind: kind.to_owned(),
        mount_read_only: read_only(options),
        super_read_only: read_only(super_options),
    })
}

/// The kernel writes space, tab, newline, backslash and `#` as a backslash and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..]) => {
                plain.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = behind;
            }
            _ => plain.push(*first),
        }
    }
    plain
}

#[cfg(test)]
#[path = "filesystem_tests.rs"]
mod tests;
