use super::*;
use crate::Status;
use proptest::prelude::*;

fn judged(input: &str) -> (Status, String) {
    let outcome = outcome(input, None).unwrap();
    (outcome.status, outcome.reason)
}

fn writing(line: &str) -> Writing {
    parse(line).unwrap().mounts.last().unwrap().writing
}

#[test]
fn both_forms_are_told_apart() {
    let mounts = parse("/dev/sda1 /data\\040set ext4 ro,relatime 0 0\n").unwrap().mounts;
    assert_eq!((mounts[0].device.as_deref(), mounts[0].mountpoint.as_str(), mounts[0].fstype.as_str()), (Some("/dev/sda1"), "/data set", "ext4"));
    assert_eq!((mounts[0].read_only, mounts[0].super_read_only), (true, None));
    let info = "36 35 8:1 /sub /data ro,relatime shared:1 master:2 - xfs /dev/sda1 rw,noquota\n40 36 0:5 / /x rw - tmpfs  rw\n41 36 0:6 / /y rw unbindable - ext4 /dev/sdb1 \n";
    let mounts = parse(info).unwrap().mounts;
    assert_eq!((mounts[0].read_only, mounts[0].super_read_only, mounts[0].mountpoint.as_str()), (true, Some(false), "/data"));
    assert_eq!((mounts[1].device.as_deref(), mounts[1].fstype.as_str(), mounts[1].super_read_only), (None, "tmpfs", Some(false)));
    assert_eq!((mounts[2].super_read_only, mounts[2].writing), (None, Writing::Writable));
}

#[test]
fn what_one_writes_to_must_be_writable() {
    for kind in ["ext2", "ext4", "xfs", "btrfs", "zfs", "vfat", "exfat", "ntfs3", "fuseblk", "nfs4", "cifs"] {
        assert_eq!(judged(&format!("/dev/a /data {kind} ro,relatime 0 0\n")), (Status::Bad, format!("/data ({kind}) is read-only")));
        assert_eq!(judged(&format!("/dev/a /data {kind} rw,errors=remount-ro 0 0\n")).0, Status::Ok);
    }
    let twice = "/dev/a /mnt/iso iso9660 ro 0 0\n/dev/a /mnt/iso iso9660 ro 0 0\n";
    assert_eq!(judged(twice), (Status::Bad, "/mnt/iso (iso9660) is read-only".to_owned()));
}

#[test]
fn what_is_read_only_by_nature_is_fine() {
    for line in [
        "/dev/loop1 /snap/core/1 squashfs ro,nodev 0 0",
        "/dev/loop1 /x erofs ro 0 0",
        "/dev/sr0 /media/cdrom0 iso9660 ro 0 0",
        "/dev/sr0 /run/media/user/DISC udf ro 0 0",
        "tmpfs /sys/fs/cgroup tmpfs ro,nosuid,mode=755 0 0",
        "ramfs /run/credentials/systemd-sysusers.service ramfs ro 0 0",
        "tmpfs /run/credentials/getty@tty1.service tmpfs ro 0 0",
        "proc /proc/sys proc ro 0 0",
        "overlay / overlay ro,lowerdir=/a 0 0",
        "tank@daily /tank/.zfs/snapshot/daily zfs ro 0 0",
        "36 35 11:0 / /media/x ro - iso9660 /dev/sr0 ro",
    ] {
        assert_eq!((writing(line), judged(line).0), (Writing::ByNature, Status::Ok), "{line}");
    }
}

#[test]
fn a_second_mount_may_be_read_only() {
    assert_eq!(writing("36 35 8:1 /etc/hosts /etc/hosts ro - ext4 /dev/sda1 rw"), Writing::ThisMountOnly);
    assert_eq!(writing("36 35 8:1 / / ro - ext4 /dev/sda1 ro,errors=remount-ro"), Writing::ReadOnly);
    assert_eq!(writing("36 35 8:1 / / rw - ext4 /dev/sda1 ro,errors=remount-ro"), Writing::ReadOnly);
    assert_eq!(writing("/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /srv/jail ext4 ro 0 0"), Writing::ThisMountOnly);
    assert_eq!(writing("/dev/sda1 / ext4 ro 0 0\n/dev/sda1 /srv/jail ext4 ro 0 0"), Writing::ReadOnly);
}

#[test]
fn other_machines_are_not_named() {
    for device in ["nas01.example:/export", "//nas01/share", "user@nas01:/x", "[2001:db8::1]:/x"] {
        assert_eq!(parse(&format!("{device} /mnt nfs4 rw 0 0\n")).unwrap().mounts[0].device, None, "{device}");
    }
    assert_eq!(parse("/dev/mapper/a:b /mnt xfs rw 0 0\n").unwrap().mounts[0].device.as_deref(), Some("/dev/mapper/a:b"));
}

#[test]
fn escapes_are_taken_back() {
    for (escaped, plain) in
        [("a\\040b", "a b"), ("\\134", "\\"), ("a\\043", "a#"), ("\\9", "\\9"), ("\\777", "\\777"), ("\\04\u{3042}", "\\04\u{3042}"), ("\\", "\\")]
    {
        assert_eq!(unescaped(escaped), plain);
    }
}

#[test]
fn anything_else_is_refused_and_a_broken_line_costs_itself() {
    assert_eq!(parse(" \n"), Err(Unreadable::Empty));
    for foreign in ["/dev/sda1 / ext4 defaults 0 1\n", "/dev/sda1 on / type ext4 (rw)\n", "Filesystem 1024-blocks Used\n", "{}", "1 2 3\n"] {
        assert!(matches!(outcome(foreign, None), Err(Unreadable::Foreign { line: 1, .. })), "{foreign}");
    }
    let outcome = outcome("/dev/a / ext4 rw 0 0\n/dev/b /b ext4\n/dev/c /c ext4 ro 0 0\n", None).unwrap();
    assert_eq!((outcome.status, outcome.records.len(), outcome.faults[0].code), (Status::Bad, 2, "malformed"));
    assert!(outcome.faults[0].detail.starts_with("line 2:"));
    assert_eq!(judged("cat: /proc/mounts: Permission denied\n").0, Status::Unknown);
    let many = "/dev/a / ext4 rw 0 0\n".repeat(2000);
    assert_eq!(judged(&many).0, Status::Unknown);
}

proptest! {
    #[test]
    fn any_text_is_taken(lines in prop::collection::vec("([0-9]{1,3} 1 [0-9]:[0-9] )?[/a-z\\\\0-9:@é]{0,8} [/a-z\\\\0-9]{0,8} (ext4|iso9660|xfs|tmpfs|zfs) r[ow](,[a-z]{0,3})?( - (ext4|udf) [a-z/]{0,5} r[ow])?( 0 0)?|.*", 0..8)) {
        if let Ok(outcome) = outcome(&lines.join("\n"), None) {
            prop_assert!(outcome.records.len() <= crate::RECORDS_MAX);
            prop_assert!(outcome.status != Status::Bad || outcome.reason.contains("read-only"));
        }
    }
}
