//! Turns the machine's own names into words that may leave it (docs/FIELDS.md, string classes).
//!
//! A mount point or an interface may be named after a person or a department. What no grammar of the kernel's
//! explains leaves only as a keyed hash; the key stays on the machine, and so does the meaning.

use mimamori_shared::id::to_hex;
use mimamori_shared::sign::hmac;
use mimamori_shared::word::Word;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

/// Longest name the kernel gives an interface, in bytes.
const INTERFACE_BYTES_MAX: usize = 15;

/// Most words whose meaning is kept for whoever sits at the machine.
const MEANINGS_MAX: usize = 1024;

/// The facility's aliases, and its key for what has none.
pub struct Names {
    salt: Vec<u8>,
    mounts: BTreeMap<String, Word>,
    /// What the words stand for, where that is wanted.
    meanings: Option<Mutex<BTreeMap<Word, String>>>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("mounts", &self.mounts).finish_non_exhaustive()
    }
}

impl Names {
    /// From the facility's salt and its aliases by mount point.
    #[must_use]
    pub fn new(salt: &[u8], mounts: BTreeMap<String, Word>) -> Names {
        Names { salt: salt.to_vec(), mounts, meanings: None }
    }

    /// The same, keeping what its words stand for: for the engineer on site, who has to find the drive. Nothing of it leaves.
    #[must_use]
    pub fn explained(self) -> Names {
        Names { meanings: Some(Mutex::default()), ..self }
    }

    /// What the words that were given out stand for; nothing unless it was asked for.
    #[must_use]
    pub fn meanings(&self) -> BTreeMap<Word, String> {
        self.meanings.as_ref().and_then(|meanings| Some(meanings.lock().ok()?.clone())).unwrap_or_default()
    }

    /// The word for a mount point; `/` is no exception.
    #[must_use]
    pub fn mount(&self, mount_point: &[u8]) -> Word {
        let alias = std::str::from_utf8(mount_point).ok().and_then(|text| self.mounts.get(text));
        let Some(alias) = alias else { return self.hashed("fs-", mount_point) };
        self.explain(alias, mount_point);
        alias.clone()
    }

    /// The word for a UPS, by the name that its daemon has for it.
    #[must_use]
    pub fn ups(&self, name: &str) -> Word {
        self.hashed("ups-", name.as_bytes())
    }

    /// The word for a network interface; `None` for those that say nothing about the machine's network:
    /// the loopback and the ends of containers, which come and go with every start of one.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<Word> {
        let container = name.starts_with("veth") || name.strip_prefix("br-").is_some_and(|id| is_hex(id, 12));
        if name == "lo" || container {
            return None;
        }
        let plain = if is_kernel_interface(name) { name.parse().ok() } else { None };
        Some(plain.unwrap_or_else(|| self.hashed("if-", name.as_bytes())))
    }

    /// The word for a serial number: tells that a drive was replaced, and not which one it is.
    #[must_use]
    pub fn serial(&self, serial: &str) -> Word {
        self.hashed("sn-", serial.trim().as_bytes())
    }

    /// The word for an array or a drive as the kernel or its tool calls it: what they make up themselves passes, what
    /// somebody chose (`md_archive`, a link named after a serial number) leaves as a hash.
    #[must_use]
    pub fn device(&self, name: &str) -> Word {
        let numbered = |prefix: &str| name.strip_prefix(prefix).is_some_and(is_number);
        // A controller of NVMe, a generic SCSI device, a bus of MegaRAID.
        let made_up = disk(name).is_some() || ["nvme", "sg", "bus-", "twa", "twe", "twl"].iter().any(|prefix| numbered(prefix));
        if made_up { name.parse().unwrap_or_default() } else { self.hashed("dev-", name.as_bytes()) }
    }

    /// The word for a battery: the firmware's numbers pass; devices on a bus carry their address or serial number in it.
    #[must_use]
    pub fn battery(&self, name: &str) -> Word {
        let numbered = ["BAT", "CMB"].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(is_number));
        if numbered { name.parse().unwrap_or_default() } else { self.hashed("bat-", name.as_bytes()) }
    }

    /// The word for a pool of storage; somebody named it.
    #[must_use]
    pub fn pool(&self, name: &str) -> Word {
        self.hashed("pool-", name.as_bytes())
    }

    fn hashed(&self, prefix: &str, secret_name: &[u8]) -> Word {
        let hex: String = to_hex(&hmac(&self.salt, secret_name).0).chars().take(8).collect();
        let word = format!("{prefix}{hex}").parse().unwrap_or_default();
        self.explain(&word, secret_name);
        word
    }

    fn explain(&self, word: &Word, name: &[u8]) {
        if let Some(mut meanings) = self.meanings.as_ref().and_then(|meanings| meanings.lock().ok())
            && meanings.len() < MEANINGS_MAX
        {
            meanings.insert(word.clone(), String::from_utf8_lossy(name).into_owned());
        }
    }
}

/// The word for a whole disk; `None` for partitions and for what is no disk (loop, ram, zram, sr, fd).
#[must_use]
pub fn disk(name: &str) -> Option<Word> {
    let tail = |prefix: &str| name.strip_prefix(prefix);
    let lettered = ["sd", "vd", "xvd", "hd"].iter().any(|prefix| tail(prefix).is_some_and(|rest| is_letters(rest) && rest.len() <= 3));
    let numbered = ["mmcblk", "dm-", "md"].iter().any(|prefix| tail(prefix).is_some_and(is_number));
    let nvme = tail("nvme").and_then(|rest| rest.split_once('n')).is_some_and(|(c, n)| is_number(c) && is_number(n));
    if lettered || numbered || nvme { name.parse().ok() } else { None }
}

/// Whether the kernel or udev made the name up: a known prefix and numbers, so that no word of a person fits in.
fn is_kernel_interface(name: &str) -> bool {
    const NUMBERED: [&str; 13] = ["eth", "wlan", "wwan", "ib", "bond", "br", "team", "docker", "virbr", "tun", "tap", "vlan", "ppp"];
    const PLACED: [&str; 4] = ["en", "wl", "ww", "ib"];
    if name.len() > INTERFACE_BYTES_MAX {
        return false;
    }
    let (base, vlan) = name.split_once('.').unwrap_or((name, "0"));
    let numbered = NUMBERED.iter().any(|prefix| base.strip_prefix(prefix).is_some_and(is_number));
    let placed = PLACED.iter().filter_map(|prefix| base.strip_prefix(prefix));
    is_number(vlan) && (numbered || placed.into_iter().any(|rest| is_place(rest) || is_mac(rest)))
}

/// udev's path of a card: one or two letters and a number, repeated, the first one of `o`, `s`, `p`, `P`.
fn is_place(text: &str) -> bool {
    let mut letters = 0;
    let mut digits = 0;
    for b in text.bytes() {
        match b {
            b'0'..=b'9' if letters > 0 => digits += 1,
            b'a'..=b'z' | b'P' if digits > 0 => (letters, digits) = (1, 0),
            b'a'..=b'z' | b'P' if letters < 2 => letters += 1,
            _ => return false,
        }
    }
    digits > 0 && text.starts_with(['o', 's', 'p', 'P'])
}

fn is_mac(text: &str) -> bool {
    text.strip_prefix('x').is_some_and(|rest| is_hex(rest, 12))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_letters(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Names {
        Names::new(b"salt", BTreeMap::from([("/srv/pacs".to_owned(), Word::alias("pacs").unwrap())]))
    }

    #[test]
    fn names_of_the_kernels_own_grammar_pass() {
        for name in [
            "eth0",
            "eth0.100",
            "eno1",
            "ens192",
            "enp3s0",
            "enp162s0f0np0",
            "enP2p1s0",
            "enx001122aabbcc",
            "wlan0",
            "wlp2s0",
            "wwan0",
            "ib0",
            "ibp5s0",
            "bond0",
            "bond0.20",
            "br0",
            "team0",
            "docker0",
            "virbr0",
            "tun0",
            "tap1",
            "vlan100",
        ] {
            assert_eq!(names().interface(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_somebody_chose_leave_as_a_hash() {
        let long = "enp1s0f1n2p3d4u5";
        for name in ["dmz", "yamada", "bryamada", "br-mri", "entaro", "enotaro", "eth", "eth0.lab", "ethernet1", "wlsato", "", "山", long] {
            let word = names().interface(name).unwrap();
            assert!(word.as_str().starts_with("if-") && word.as_str().len() == 11, "{name}: {word}");
        }
    }

    #[test]
    fn loopback_and_ends_of_containers_are_left_out() {
        for name in ["lo", "veth1a2b3c", "br-0123456789ab"] {
            assert_eq!(names().interface(name), None, "{name}");
        }
    }

    #[test]
    fn mounts_are_an_alias_or_a_hash_that_depends_on_the_salt() {
        assert_eq!(names().mount(b"/srv/pacs").as_str(), "pacs");
        let other = Names::new(b"other", BTreeMap::new());
        for mount in [&b"/"[..], b"/home/yamada", b"/mnt/\x8e\xa9"] {
            let word = names().mount(mount);
            assert!(word.as_str().starts_with("fs-") && word.as_str().len() == 11, "{word}");
            assert_ne!(word, other.mount(mount));
        }
    }

    #[test]
    fn a_ups_leaves_as_a_hash_that_depends_on_the_salt() {
        let word = names().ups("ct-room");
        assert!(word.as_str().starts_with("ups-") && word.as_str().len() == 12, "{word}");
        assert_ne!(word, Names::new(b"other", BTreeMap::new()).ups("ct-room"));
        assert_ne!(word, names().ups("ct-room2"));
    }

    #[test]
    fn the_salt_is_not_shown() {
        assert!(!format!("{:?}", Names::new(b"hush", BTreeMap::new())).contains("104"));
    }

    #[test]
    fn devices_that_somebody_named_leave_as_a_hash() {
        for name in ["sda", "md127", "nvme0", "nvme0n1", "sg3", "bus-0"] {
            assert_eq!(names().device(name).as_str(), name);
        }
        for name in ["md_archive", "disk-by-id-ata-EXAMPLE_SN1", "sdyamada", "bus-", "nvme", ""] {
            assert!(names().device(name).as_str().starts_with("dev-"), "{name}");
        }
    }

    #[test]
    fn only_whole_disks_are_disks() {
        for name in ["sda", "sdaa", "nvme0n1", "nvme10n12", "vda", "xvda", "hda", "mmcblk0", "dm-0", "md127"] {
            assert_eq!(disk(name).unwrap().as_str(), name);
        }
        for name in [
            "sda1",
            "nvme0n1p2",
            "nvme0",
            "nvme0c0n1",
            "mmcblk0p1",
            "mmcblk0boot0",
            "loop0",
            "ram0",
            "zram0",
            "sr0",
            "fd0",
            "md",
            "sd",
            "dm-",
            "sdyamada",
            "SDA",
            "",
        ] {
            assert_eq!(disk(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_name_becomes_a_word_or_nothing(name in ".*", bytes: Vec<u8>) {
            prop_assert!(names().interface(&name).is_none_or(|word| word.as_str() == name || word.as_str().starts_with("if-")));
            prop_assert!(disk(&name).is_none_or(|word| word.as_str() == name));
            prop_assert!(names().mount(&bytes).as_str().starts_with("fs-"));
            prop_assert!(names().ups(&name).as_str().starts_with("ups-"));
        }
    }
}
