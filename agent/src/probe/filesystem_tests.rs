use super::*;
use crate::probe::tests::{corpus, shown};
use proptest::prelude::*;

const ROOT: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n";

/// Own view, view of process 1, answers of `statvfs`; expected section and faults.
#[track_caller]
fn check(own: &str, machine: Option<&str>, statvfs: &str, expected: &[&str], faults: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let files = [("proc/self/mountinfo", Some(own)), ("proc/1/mountinfo", machine), ("recorded/statvfs", Some(statvfs))];
    for (path, text) in files.into_iter().filter_map(|(path, text)| Some((path, text?))) {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let (mut readings, mut found) = (Readings::default(), Vec::new());
    let aliases = ["/", "/home", "/data", "/boot"].map(|m| (m.to_owned(), m.replace('/', "at-").parse().unwrap()));
    read(&Sources::of(&Host::recorded(folder.path()), &crate::probe::Names::new(b"salt", aliases.into())), &mut readings, &mut found);
    let lines: Vec<String> = readings.filesystem.iter().map(|f| serde_json::to_string(f).unwrap()).collect();
    assert_eq!(lines, expected);
    assert_eq!(shown(&found), faults);
}

#[test]
fn network_fuse_and_pseudo_filesystems_are_never_asked() {
    let own = [
        ROOT,
        "23 22 0:22 / /sys rw - sysfs sysfs rw\n",
        "24 22 0:50 / /mnt/nas rw - nfs4 nas:/x rw\n",
        "25 22 0:51 / /mnt/usb rw - fuseblk /dev/sdb1 rw\n",
        "26 22 0:52 / /srv rw - overlay overlay rw\n",
        "27 22 7:0 / /snap ro - squashfs /dev/loop0 ro\n",
        "28 22 0:53 / /auto rw - autofs systemd-1 rw\n",
    ];
    let only = r#"{"name":"at-","kind":"ext4","size_bytes":40960,"free_bytes":20480,"available_bytes":16384,"inodes":7,"inodes_free":3,"read_only":0}"#;
    check(&own.concat(), None, "/ 4096 10 5 4 7 3\n", &[only], &[]);
}

#[test]
fn a_device_is_taken_once_where_it_was_mounted_first() {
    let own = [ROOT, "23 22 8:1 /var/lib /data rw - ext4 /dev/sda1 rw\n", "24 22 8:2 / /boot rw - vfat /dev/sda2 rw\n"];
    let root = r#"{"name":"at-","kind":"ext4","size_bytes":1,"free_bytes":1,"available_bytes":1,"inodes":1,"inodes_free":1,"read_only":0}"#;
    let boot = r#"{"name":"at-boot","kind":"vfat","size_bytes":9,"free_bytes":8,"available_bytes":7,"read_only":0}"#;
    check(&own.concat(), None, "/ 1 1 1 1 1 1\n/boot 1 9 8 7 0 0\n", &[root, boot], &[]);
}

#[test]
fn the_sandbox_neither_makes_disks_read_only_nor_lends_its_own_size() {
    let machine = [ROOT, "23 22 8:3 / /home rw - xfs /dev/sda3 rw\n", "24 22 8:4 / /data ro - ext4 /dev/sda4 rw\n"].concat();
    let own = machine.replace(" rw,relatime ", " ro,relatime ") + "30 22 0:30 /inaccessible /home ro - tmpfs tmpfs rw\n";
    let statvfs = "/ 1 1 1 1 0 0\n/home 1 77 77 77 0 0\n/data 1 1 1 1 0 0\n";
    let root = r#"{"name":"at-","kind":"ext4","size_bytes":1,"free_bytes":1,"available_bytes":1,"read_only":0}"#;
    let home = r#"{"name":"at-home","kind":"xfs","read_only":0}"#;
    let data = r#"{"name":"at-data","kind":"ext4","size_bytes":1,"free_bytes":1,"available_bytes":1,"read_only":1}"#;
    check(&own, Some(&machine), statvfs, &[root, home, data], &["filesystem at-home hidden"]);
    // Without process 1's view the covered mount is as good as not there, and only the filesystems' own flags count.
    check(&own, None, statvfs, &[root, &data.replace("only\":1", "only\":0")], &[]);
}

#[test]
fn a_disk_the_kernel_made_read_only_after_an_error_is_read_only_in_every_view() {
    let own = ROOT.replace(" rw,errors", " ro,errors");
    let root = r#"{"name":"at-","kind":"ext4","size_bytes":1,"free_bytes":1,"available_bytes":1,"read_only":1}"#;
    check(&own, None, "/ 1 1 1 1 0 0\n", &[root], &[]);
    check(&own, Some(&own), "/ 1 1 1 1 0 0\n", &[root], &[]);
}

#[test]
fn what_cannot_be_asked_is_a_fault_and_no_zero() {
    let own = [ROOT, "23 22 8:3 / /home rw - xfs /dev/sda3 rw\n", "broken line\n", "24 22 8:x / /data rw - ext4 a rw\n"];
    let lines = [r#"{"name":"at-","kind":"ext4","free_bytes":0,"available_bytes":0,"read_only":0}"#, r#"{"name":"at-home","kind":"xfs","read_only":0}"#];
    let faults = ["filesystem malformed", "filesystem malformed", "filesystem.size_bytes at- malformed"];
    let huge = "/ 4096 18446744073709551615 0 0 0 0\n";
    check(&own.concat(), None, &format!("{huge}/home permission_denied\n"), &lines, &[&faults[..], &["filesystem at-home permission_denied"]].concat());
    check(&own.concat(), None, huge, &lines, &[&faults[..], &["filesystem at-home hidden"]].concat());
    check("", None, "", &[], &["filesystem malformed"]);
}

#[test]
fn two_mount_points_of_one_alias_are_one_entry_and_a_fault() {
    let mut faults = Vec::new();
    let mut take = Take::new("filesystem", &mut faults);
    let mut entries = Entries::default();
    let name = "data".parse().unwrap();
    assert!(entries.admit(&name, &mut take) && !entries.admit(&name, &mut take));
    assert_eq!(shown(&faults), ["filesystem data too_many"]);
}

#[test]
fn octal_escapes_are_undone_and_bytes_kept() {
    for (text, plain) in [
        (&br"/a\040b"[..], &b"/a b"[..]),
        (br"/\134040", br"/\040"),
        (br"/x\", br"/x\"),
        (br"/\0", br"/\0"),
        (br"/\777", br"/\777"),
        (b"/\x8e\xa9", b"/\x8e\xa9"),
    ] {
        assert_eq!(unescape(text), plain);
    }
}

#[test]
fn real_files_are_read() {
    let Some(text) = corpus("filesystem::real_files_are_read", "proc-sys/jc/linux-proc__pid_mountinfo") else { return };
    let mut faults = Vec::new();
    let mounts = parse(text.as_bytes(), &mut Take::new("filesystem", &mut faults));
    assert_eq!((mounts.len(), faults.len()), (text.lines().count(), 0));
    assert!(devices(&mounts).iter().any(|mount| mount.mount_point == b"/" && !mount.super_read_only));
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_panic(bytes: Vec<u8>, text in "([0-9]* [0-9]* [0-9]:[0-9] / /[a-z\\\\0-9]* r[ow] -? ?[a-z0-9]* ?x? r[ow]\n)*") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let mounts = parse(bytes, &mut Take::new("filesystem", &mut Vec::new()));
            devices(&mounts);
            unescape(bytes);
        }
    }

    #[test]
    fn any_answer_of_statvfs_is_taken_without_panic(block_bytes: u64, blocks: u64, inodes: u64) {
        let space = Space { block_bytes, blocks, blocks_free: blocks, blocks_available: blocks, inodes, inodes_free: inodes };
        sizes(space, &mut Take::new("filesystem", &mut Vec::new()));
    }
}
