//! Of what tools are run: names that smartctl and the kernel gave, checked before they become arguments.

use serde::Deserialize;

/// Most disks or filesystems.
pub(crate) const TARGETS_MAX: usize = 64;
/// Longest device or type, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Below these folders nothing can be seen: the unit lays empty ones over them (`ProtectHome=yes`).
const HIDDEN: &[&str] = &["/home", "/root", "/run/user"];

/// One thing a tool is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What the report calls it.
    pub(crate) subject: String,
    /// What is added to the row's arguments.
    pub(crate) args: Vec<String>,
}

/// What was found, and what was left out with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) targets: Vec<Target>,
    /// Code and detail of faults.
    pub(crate) left_out: Vec<(&'static str, String)>,
}

impl Found {
    fn add(&mut self, subject: &str, args: Vec<String>) {
        let target = Target { subject: subject.to_owned(), args };
        if self.targets.contains(&target) {
            return;
        }
        if self.targets.len() < TARGETS_MAX {
            self.targets.push(target);
        } else if self.left_out.iter().all(|(code, _)| *code != "too_many") {
            self.left_out.push(("too_many", format!("more than {TARGETS_MAX}: the rest is left out")));
        }
    }

    fn refuse(&mut self, code: &'static str, detail: String) {
        if self.left_out.len() < TARGETS_MAX {
            self.left_out.push((code, detail));
        }
    }
}

/// A device: below `/dev`, of `[a-z0-9/_-]`, without empty parts. A dot is not in it, so nothing leads upwards.
fn is_device(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'/' | b'_' | b'-');
    let Some(rest) = name.strip_prefix("/dev/") else { return false };
    name.len() <= NAME_BYTES_MAX && rest.bytes().all(inner) && rest.split('/').all(|part| !part.is_empty() && !part.starts_with('-'))
}

/// smartctl's name of a way to talk to a disk, such as `sat`, `nvme`, `megaraid,8`, `sat+megaraid,0`.
fn is_type(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b',' | b'_' | b'/' | b'-');
    name.len() <= NAME_BYTES_MAX && name.bytes().all(inner) && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
}

/// The disks of `smartctl --json --scan-open`. An answer that cannot be read is a fault, not an empty machine.
pub(crate) fn disks(scan: &str) -> Found {
    #[derive(Deserialize)]
    struct Scan {
        #[serde(default)]
        devices: Vec<Disk>,
    }
    #[derive(Deserialize)]
    struct Disk {
        name: String,
        #[serde(rename = "type")]
        by: String,
    }
    let mut found = Found::default();
    match serde_json::from_str::<Scan>(scan) {
        Ok(scan) => {
            for Disk { name, by } in scan.devices {
                match name.strip_prefix("/dev/") {
                    Some(short) if is_device(&name) && is_type(&by) => found.add(short, vec![by, name.clone()]),
                    _ => found.refuse("refused", format!("no device or type: {name:?} {by:?}")),
                }
            }
        }
        Err(fault) => found.refuse("unreadable", format!("the list of disks: {fault}")),
    }
    found
}

/// One mount point of every btrfs in `/proc/self/mountinfo`.
pub(crate) fn btrfs(mountinfo: &str) -> Found {
    let mut found = Found::default();
    // Of each filesystem, whether a mount point was found that can be seen.
    let mut filesystems: Vec<(&str, String, bool)> = Vec::new();
    for line in mountinfo.lines() {
        let Some((head, tail)) = line.split_once(" - ") else { continue };
        let fields: Vec<&str> = head.split(' ').collect();
        let (Some(device), Some(point), true) = (fields.get(2), fields.get(4), tail.starts_with("btrfs ")) else { continue };
        let point = unescaped(point);
        let hidden = |folder: &str| point.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let seen = point.starts_with('/') && point.len() < 4096 && !HIDDEN.iter().any(|folder| hidden(folder));
        match filesystems.iter_mut().find(|(known, ..)| known == device) {
            Some(known) if !known.2 && seen => (known.1, known.2) = (point, true),
            Some(_) => {}
            None => filesystems.push((device, point, seen)),
        }
    }
    for (_, point, seen) in filesystems {
        if seen {
            found.add(&point, vec![point.clone()]);
        } else {
            found.refuse("hidden", format!("a btrfs is mounted at {point:?} only, which this program does not see"));
        }
    }
    found
}

/// The kernel writes space, tab, newline and backslash as a backslash and three octal digits.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if byte.is_ascii() => {
                out.push(char::from(byte));
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(devices: &[(&str, &str)]) -> String {
        let devices: Vec<_> = devices.iter().map(|(name, by)| serde_json::json!({"name": name, "type": by, "protocol": "ATA"})).collect();
        serde_json::json!({"json_format_version": [1, 0], "devices": devices}).to_string()
    }

    #[test]
    fn disks_are_found_with_their_types() {
        let found =
            disks(&scan(&[("/dev/sda", "sat"), ("/dev/nvme0", "nvme"), ("/dev/bus/0", "megaraid,8"), ("/dev/bus/0", "sat+megaraid,9"), ("/dev/sda", "sat")]));
        assert_eq!(found.left_out, []);
        let names: Vec<_> = found.targets.iter().map(|target| (target.subject.as_str(), target.args.join(" "))).collect();
        let want = [("sda", "sat /dev/sda"), ("nvme0", "nvme /dev/nvme0"), ("bus/0", "megaraid,8 /dev/bus/0"), ("bus/0", "sat+megaraid,9 /dev/bus/0")];
        assert_eq!(names, want.map(|(subject, args)| (subject, args.to_owned())));
    }

    #[test]
    fn a_hostile_list_is_refused_name_by_name() {
        let bad = [
            "/dev/sda;reboot",
            "/dev/sd a",
            "/dev/../etc/shadow",
            "/dev/",
            "/dev//sda",
            "/dev/-x",
            "/dev/a/-x",
            "sda",
            "-t",
            "/etc/shadow",
            "/dev/sda\n",
            "/dev/SDA",
            "/dev/sda\0",
            "/dev/$(x)",
            "/dev/日",
            "",
        ];
        for name in bad {
            let found = disks(&scan(&[(name, "sat"), ("/dev/sdb", "sat")]));
            assert_eq!((found.targets.len(), found.left_out.len()), (1, 1), "{name:?}");
        }
        for by in ["-t", "sat --x", "", "SAT", "sat;x", "sat\n", ",8", "../x"] {
            let found = disks(&scan(&[("/dev/sda", by)]));
            assert_eq!((found.targets.len(), found.left_out[0].0), (0, "refused"), "{by:?}");
        }
        let many: Vec<String> = (0..200).map(|n| format!("/dev/sd{n}")).collect();
        let found = disks(&scan(&many.iter().map(|name| (name.as_str(), "sat")).collect::<Vec<_>>()));
        assert_eq!((found.targets.len(), found.left_out.len(), found.left_out[0].0), (TARGETS_MAX, 1, "too_many"));
        let hostile: Vec<(&str, &str)> = vec![("x", "y"); 5000];
        assert_eq!(disks(&scan(&hostile)).left_out.len(), TARGETS_MAX);
    }

    #[test]
    fn a_list_that_is_none_is_a_fault_and_an_empty_one_is_not() {
        assert_eq!(disks("{}"), Found::default());
        for bad in ["", "smartctl 5.0", "{\"devices\":3}", "{\"devices\":[{\"name\":\"/dev/sda\"}]}"] {
            assert_eq!(disks(bad).left_out[0].0, "unreadable", "{bad}");
        }
    }

    #[test]
    fn of_each_btrfs_one_visible_mount_point_is_asked() {
        let text = "30 1 0:26 /@home /home rw,noatime shared:1 - btrfs /dev/sda2 rw\n31 1 0:26 /@ / rw - btrfs /dev/sda2 rw\n32 1 0:26 /@x /x rw - btrfs /dev/sda2 rw\n\
            33 1 0:40 / /mnt/a\\040b rw - btrfs /dev/sdb rw\n34 1 0:50 / /home/data rw - btrfs /dev/sdc rw\n35 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n36 1 0:60 / /homes rw - btrfs /dev/sdd rw\n";
        let found = btrfs(text);
        assert_eq!(found.targets.iter().map(|target| target.subject.as_str()).collect::<Vec<_>>(), ["/", "/mnt/a b", "/homes"]);
        assert_eq!((found.left_out.len(), found.left_out[0].0), (1, "hidden"));
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_a_plain_argument(text in ".*", name in ".*", by in ".*") {
            for found in [disks(&text), disks(&scan(&[(&name, &by)])), btrfs(&text)] {
                for arg in found.targets.iter().flat_map(|target| &target.args) {
                    prop_assert!(!arg.starts_with('-') && !arg.contains('\0') && !arg.is_empty());
                }
            }
            prop_assert!(unescaped(&name).len() <= name.len());
        }
    }
}
