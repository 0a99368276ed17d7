//! The report is there whole, or the one before it.

use super::{Machine, QUIET, row};
use crate::leave::leave;
use crate::{REPORT_FILE, carry_out};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn machine() -> Machine {
    let machine = Machine::new(vec![row("works", 60_000)]);
    machine.tool("works", "echo fine");
    machine.tool("journalctl", QUIET);
    machine
}

#[test]
fn a_link_in_the_place_of_the_report_is_replaced_and_not_followed() {
    let machine = machine();
    let victim = machine.dir.path().join("victim");
    fs::write(&victim, "kept").unwrap();
    for name in [REPORT_FILE, ".report.json.new"] {
        symlink(&victim, machine.plan.out.join(name)).unwrap();
        machine.run();
        let meta = fs::symlink_metadata(machine.plan.out.join(REPORT_FILE)).unwrap();
        assert!(meta.is_file() && meta.permissions().mode() & 0o777 == 0o640, "{name}: {meta:?}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept", "{name}");
        fs::remove_file(machine.plan.out.join(REPORT_FILE)).unwrap();
    }
    assert_eq!(fs::read_dir(&machine.plan.out).unwrap().count(), 0);
    assert_eq!(fs::metadata(machine.plan.state.join("state.json")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_folder_that_takes_nothing_is_status_1_and_the_old_report_stays() {
    let machine = machine();
    machine.run();
    let kept = fs::read(machine.plan.out.join(REPORT_FILE)).unwrap();
    let try_again = |what: &str| {
        assert_eq!(carry_out(&machine.plan), 1, "{what}");
        let fault = leave(&machine.plan.out, REPORT_FILE, &[b'x'; 200_000], 0o640).unwrap_err().to_string();
        assert_eq!(fs::read(machine.plan.out.join(REPORT_FILE)).unwrap(), kept, "{what}");
        fault
    };
    if rustix::process::geteuid().is_root() {
        // Root writes where modes say no: a small filesystem of its own instead.
        let at = machine.plan.out.clone();
        let mount = |args: &[&str]| assert!(Command::new("/bin/mount").args(args).arg(&at).status().unwrap().success(), "{args:?}");
        mount(&["-t", "tmpfs", "-o", "size=64k", "small"]);
        let _away = Mounted(&at);
        fs::write(at.join(REPORT_FILE), &kept).unwrap();
        let filler = fs::write(at.join("filler"), [b'x'; 200_000]);
        assert!(filler.is_err(), "the filesystem is not full");
        assert!(try_again("full").contains("No space left"));
        assert!(!at.join(".report.json.new").try_exists().unwrap());
        fs::remove_file(at.join("filler")).unwrap();
        mount(&["-o", "remount,ro"]);
        assert!(try_again("read-only").contains("Read-only"));
    } else {
        fs::set_permissions(&machine.plan.out, Permissions::from_mode(0o555)).unwrap();
        assert!(try_again("read-only").contains("denied"));
        fs::set_permissions(&machine.plan.out, Permissions::from_mode(0o755)).unwrap();
    }
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        Command::new("/bin/umount").arg("-l").arg(self.0).status().ok();
    }
}

#[test]
fn a_state_that_cannot_be_kept_does_not_keep_the_report() {
    let mut machine = machine();
    machine.plan.state = machine.dir.path().join("nowhere");
    assert_eq!(super::codes(&machine.run()), ["state_not_kept"]);
}

/// Run by the test below, until it is killed.
const INNER: &str = "MIMAMORI_WRITES_TO";

#[test]
fn a_kill_at_any_moment_leaves_a_whole_report() {
    const SELF: &str = "tests::leaving::a_kill_at_any_moment_leaves_a_whole_report";
    let text = |byte: u8| vec![byte; 300_000];
    if let Some(folder) = std::env::var_os(INNER) {
        for byte in (b'a'..=b'z').cycle() {
            leave(Path::new(&folder), REPORT_FILE, &text(byte), 0o640).unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    leave(dir.path(), REPORT_FILE, &text(b'a'), 0o640).unwrap();
    let place = dir.path().join(REPORT_FILE);
    let inode = || fs::metadata(&place).unwrap().ino();
    let _alone = super::ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (mut kinds, mut cut) = (std::collections::BTreeSet::new(), 0);
    for round in 0..40 {
        let mut writer = Command::new(std::env::current_exe().unwrap());
        let mut writer = writer.args(["--exact", SELF, "--nocapture"]).env(INNER, dir.path()).stdout(Stdio::null()).spawn().unwrap();
        // After a few reports, wherever it is then.
        for _ in 0..=round % 5 {
            let before = inode();
            let begun = Instant::now();
            while inode() == before {
                assert!(begun.elapsed() < Duration::from_secs(60), "the writer writes nothing");
                std::thread::yield_now();
            }
        }
        // Every other time in the middle of the next one: its beginning is there.
        let begun = Instant::now();
        while round % 2 == 1 && !fs::metadata(dir.path().join(".report.json.new")).is_ok_and(|meta| meta.len() > 0) {
            assert!(begun.elapsed() < Duration::from_secs(60), "the writer begins nothing");
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        let left = fs::read(&place).unwrap();
        assert!(left.len() == 300_000 && left.iter().all(|byte| *byte == left[0]), "{} bytes in round {round}", left.len());
        kinds.insert(left[0]);
        cut += u32::from(dir.path().join(".report.json.new").try_exists().unwrap());
    }
    // The kills met writers at work, and some of them in the middle of a file.
    assert!(kinds.len() > 3 && cut > 0, "{} different reports, {cut} cut off", kinds.len());
    leave(dir.path(), REPORT_FILE, &text(b'!'), 0o640).unwrap();
    assert_eq!((fs::read(dir.path().join(REPORT_FILE)).unwrap()[0], fs::read_dir(dir.path()).unwrap().count()), (b'!', 1));
}
