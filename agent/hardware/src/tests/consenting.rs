//! Nothing without the facility's consent: nothing is run, and nothing of what was left stays.

use super::{CONSENT, Machine, QUIET, codes, of, row};
use crate::state::State;
use crate::table::{Row, journal, table, units};
use crate::{REPORT_FILE, carry_out, consent, proc};
use mimamori_parse::hardware::End;
use mimamori_shared::fields::{SECTIONS, Scope, fields};
use mimamori_shared::sign::sha256;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A machine whose only tool says that it ran.
fn machine() -> Machine {
    let machine = Machine::new(vec![row("works", 60_000)]);
    machine.tool("works", "echo ran >>\"${0%/*}/ran\"; echo fine");
    machine.tool("journalctl", QUIET);
    machine
}

impl Machine {
    fn consent(&self, text: &str) {
        put(&self.plan.consent, text);
    }

    fn ran(&self) -> bool {
        fs::remove_file(self.dir.path().join("tools/ran")).is_ok()
    }

    fn left(&self) -> Vec<PathBuf> {
        let folders = [&self.plan.out, &self.plan.state];
        folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()).collect()
    }
}

fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

/// Behind a run under a good consent: the next one runs nothing and leaves nothing, with this status, for this reason.
#[track_caller]
fn nothing_is_left(machine: &Machine, status: u8, why: &str) {
    let no = consent::terms(&machine.plan).unwrap_err();
    assert!(no.why.contains(why) && !no.stays, "{why}: {no:?}");
    machine.ran();
    fs::write(machine.plan.out.join(".report.json.new"), "cut off").unwrap();
    assert_eq!(carry_out(&machine.plan), status, "{why}");
    assert!(!machine.ran() && machine.left().is_empty(), "{why}: {:?}", machine.left());
    // Once more, where there is nothing to take away.
    assert_eq!((carry_out(&machine.plan), machine.ran(), machine.left().len()), (status, false, 0), "{why}");
}

#[test]
fn without_a_consent_in_force_nothing_is_run_and_what_was_left_is_gone() {
    let machine = machine();
    for (from, to, status, why) in [
        ("version = 1", "version = 1\nwithdrawn = true", 0, "was withdrawn by the facility"),
        ("version = 1", "version = 1\nwithdrawn = true\nunsent = \"keep\"", 0, "was withdrawn by the facility"),
        ("2199-01-01T00:00:00Z", "2020-01-01T00:00:01Z", 0, "ended at 2020-01-01T00:00:01"),
        ("2020-01-01T00:00:00Z", "2198-01-01T00:00:00Z", 0, "begins at 2198-01-01T00:00:00"),
        ("version = 1", "version = 2", 78, "version 1"),
        ("hardware", "hardwear", 78, "did you mean `hardware`"),
        ("version", "?", 78, "consent.toml:1"),
        (CONSENT, "", 78, "missing field"),
    ] {
        machine.consent(CONSENT);
        assert_eq!((machine.run().runs.len(), machine.ran(), machine.left().len()), (2, true, 2));
        machine.consent(&CONSENT.replace(from, to));
        nothing_is_left(&machine, status, why);
    }
    fs::remove_file(&machine.plan.consent).unwrap();
    nothing_is_left(&machine, 0, "there is no consent at");
    machine.consent(CONSENT);
    assert!(machine.run().runs.len() == 2 && machine.ran(), "a new one counts");
}

#[test]
fn a_consent_that_others_could_have_written_is_none() {
    let machine = machine();
    let (path, dir) = (&machine.plan.consent, machine.dir.path());
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    for bad in [0o664, 0o646] {
        mode(path, bad);
        nothing_is_left(&machine, 78, "can be written by others: chmod go-w");
    }
    mode(path, 0o644);
    mode(dir, 0o757);
    nothing_is_left(&machine, 78, "can be written by others: chmod go-w");
    mode(dir, 0o755);
    fs::rename(path, dir.join("elsewhere.toml")).unwrap();
    symlink(dir.join("elsewhere.toml"), path).unwrap();
    assert!(machine.run().runs.len() == 2, "a link to a good one is one");
    mode(&dir.join("elsewhere.toml"), 0o666);
    nothing_is_left(&machine, 78, "elsewhere.toml can be written by others");
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    nothing_is_left(&machine, 78, "is no file");
    fs::remove_dir(path).unwrap();
    machine.consent(&format!("{CONSENT}# {}", "x".repeat(64 * 1024)));
    nothing_is_left(&machine, 78, "larger than 64 KiB");
    fs::write(path, b"version = 1 # \xff\xfe").unwrap();
    nothing_is_left(&machine, 78, "consent.toml");
    if rustix::process::geteuid().is_root() {
        machine.consent(CONSENT);
        std::os::unix::fs::chown(path, Some(65_534), None).unwrap();
        nothing_is_left(&machine, 78, "belongs to account 65534, not to root: chown root");
    } else {
        println!("only root can give a file away: a foreign owner is not tried");
    }
}

#[test]
fn a_withdrawal_that_was_cut_off_is_one() {
    let machine = machine();
    let mark = machine.plan.consent.with_file_name("withdrawn.toml");
    for key in ["purging", "keeping"] {
        put(&mark, &format!("{key} = \"{}\"\n", sha256(CONSENT.as_bytes())));
        nothing_is_left(&machine, 0, "was withdrawn by the facility");
    }
    put(&mark, "purged_at_ms = 1\n");
    assert!(machine.run().runs.len() == 2, "an older withdrawal takes back nothing newer");
    put(&mark, "purged_at = 1\n");
    nothing_is_left(&machine, 78, "withdrawn.toml");
    put(&mark, "purged_at_ms = 1\n");
    fs::set_permissions(&mark, Permissions::from_mode(0o666)).unwrap();
    nothing_is_left(&machine, 78, "withdrawn.toml can be written by others");
}

#[test]
fn in_a_quiet_window_nothing_is_run_and_what_was_left_before_it_stays() {
    let machine = machine();
    machine.run();
    let (before, all_week) = (machine.left(), "days = \"mon-sun\"\nfrom = \"00:00\"\nto = \"24:00\"\n");
    let bytes = |left: &[PathBuf]| left.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>();
    let kept = bytes(&before);
    let waits = |status: u8, why: &str| {
        machine.ran();
        let no = consent::terms(&machine.plan).unwrap_err();
        assert!(no.why.contains(why) && no.stays, "{why}: {no:?}");
        assert_eq!((carry_out(&machine.plan), machine.ran()), (status, false), "{why}");
        assert!(machine.left() == before && bytes(&before) == kept, "{why}");
    };
    machine.consent(&format!("{CONSENT}[[quiet]]\n{all_week}"));
    waits(0, "quiet window");
    machine.consent(&format!("{}[[quiet]]\n{all_week}", CONSENT.replace("heartbeat = { }\n", "")));
    waits(0, "quiet window");
    // Of seven days one second is agreed upon, and it is not now: two windows of which at most one holds.
    let never = |day: &str| format!("mode = \"periodic\"\n{CONSENT}[[period]]\ndays = \"{day}\"\nfrom = \"00:00\"\nto = \"00:01\"\n");
    machine.consent(&never("mon"));
    if consent::terms(&machine.plan).is_ok() {
        machine.consent(&never("thu"));
    }
    waits(0, "outside the agreed windows");
    machine.consent(&format!("mode = \"on_demand\"\n{CONSENT}"));
    waits(0, "nobody at the facility asks");
    let request = machine.plan.consent.with_file_name("collect.toml");
    let from = |from: &str, until: &str| format!("from = \"{from}\"\nuntil = \"{until}\"\n");
    put(&request, &from("2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z"));
    waits(0, "nobody at the facility asks");
    put(&request, &from("2020-01-01T00:00:00Z", "2199-01-01T00:00:00Z"));
    waits(78, "longer than a day");
    let now_ms = crate::clock::now_ms();
    let hour = from(&mimamori_shared::time::show(now_ms - 1000), &mimamori_shared::time::show(now_ms + 3_600_000));
    put(&request, &hour);
    assert!(machine.run().runs.len() == 2 && machine.ran(), "somebody asks");
    fs::set_permissions(&request, Permissions::from_mode(0o666)).unwrap();
    let no = consent::terms(&machine.plan).unwrap_err();
    assert!(no.stays && no.broken && no.why.contains("collect.toml can be written by others"), "{no:?}");
}

#[test]
fn only_the_tools_of_consented_scopes_are_run() {
    let machine = Machine::new(table());
    machine.config("[services]\ndb = \"postgresql.service\"\n[processes]\nnone = \"absent\"\n[journal.patterns]\nfatal = \"FATAL\"\n");
    fs::create_dir_all(machine.plan.root.join("dev")).unwrap();
    for device in ["dev/zfs", "dev/ipmi0"] {
        fs::write(machine.plan.root.join(device), "").unwrap();
    }
    fs::write(machine.plan.root.join("proc/self/mountinfo"), "33 1 0:40 / /mnt rw - btrfs /dev/sdb rw\n").unwrap();
    let hardware = ["smartctl", "ipmitool", "storcli", "zpool", "btrfs", "lvs", "multipath"];
    for (scopes, expected, processes) in [
        ("hardware = { }", &hardware[..], false),
        ("os_state = { }", &["systemctl"], true),
        ("log_counts = { }", &["journalctl"], false),
        ("heartbeat = { }\nperformance = { }\nnetwork = { }", &[], false),
        ("hardware = { except = [\"drive\", \"array\", \"pool\", \"sensor\"] }", &["ipmitool", "multipath"], false),
        ("log_counts = { except = [\"journal\"] }", &["journalctl"], false),
    ] {
        machine.consent(&format!("{}[scopes]\n{scopes}\n", CONSENT.split("[scopes]").next().unwrap()));
        let report = machine.run();
        // No tool is installed here: what would be run is missing, and that is not the same as not consented.
        let of_end = |end: End| report.runs.iter().filter(|run| run.outcome == end).map(|run| run.tool.as_str()).collect::<BTreeSet<_>>();
        assert_eq!(of_end(End::Missing), expected.iter().copied().collect(), "{scopes}");
        let withheld = of_end(End::NotConsented);
        let whole = |tool: &&str| !expected.contains(tool);
        assert!(hardware.iter().chain(&["systemctl", "journalctl"]).filter(|tool| whole(tool)).all(|tool| withheld.contains(tool)), "{scopes}: {withheld:?}");
        assert_eq!((report.processes.is_some(), codes(&report).contains(&"not_consented")), (processes, !processes), "{scopes}");
        assert_eq!(report.services, None, "{scopes}");
        let mounted = report.runs.iter().filter(|run| run.subject.as_deref() == Some("/mnt")).count();
        assert_eq!(mounted, usize::from(expected.contains(&"btrfs")), "{scopes}: the kernel is not asked for what may not be looked at");
        let all: Vec<_> = report.runs.iter().filter(|run| run.tool == "journalctl").map(|run| (run.subject.as_deref().unwrap(), run.outcome)).collect();
        let kernel = if expected.contains(&"journalctl") { End::Missing } else { End::NotConsented };
        let journal = if scopes.contains("except = [\"journal\"]") { End::NotConsented } else { kernel };
        assert_eq!(all, [("kernel_log", kernel), ("journal", journal)], "{scopes}");
    }
}

#[test]
fn a_withdrawal_while_tools_run_ends_it() {
    let machine = Machine::new(vec![row("first", 60_000), row("works", 60_000)]);
    machine.tool("journalctl", QUIET);
    machine.tool("works", "echo ran >>\"${0%/*}/ran\"");
    machine.run();
    assert!(machine.ran());
    machine.tool("first", &format!("/bin/rm '{}'", machine.plan.consent.display()));
    assert_eq!((carry_out(&machine.plan), machine.ran(), machine.left().len()), (0, false, 0));
    // A quiet window that begins meanwhile: the rest is not run, and what the last run left stays.
    machine.consent(CONSENT);
    machine.tool("first", "echo before");
    assert_eq!(of(&machine.run(), "first").out, "before\n");
    assert!(machine.ran());
    let quiet = "[[quiet]]\ndays = \"mon-sun\"\nfrom = \"00:00\"\nto = \"24:00\"";
    machine.tool("first", &format!("echo '{quiet}' >>'{}'; echo found", machine.plan.consent.display()));
    let report = machine.run();
    assert_eq!((of(&report, "first").out.as_str(), of(&report, "works").outcome, machine.ran()), ("before\n", End::Done, false));
}

#[test]
fn what_was_taken_before_the_consent_was_narrowed_is_not_left() {
    let narrowed = CONSENT.replace("hardware = { }\n", "");
    assert_ne!(narrowed, CONSENT);
    let machine = Machine::new(vec![row("first", 60_000), row("works", 60_000)]);
    machine.tool("journalctl", QUIET);
    machine.tool("works", "echo ran >>\"${0%/*}/ran\"");
    let (from, to) = (machine.dir.path().join("narrowed"), &machine.plan.consent);
    std::fs::write(&from, &narrowed).unwrap();
    machine.tool("first", &format!("echo secret; /bin/cat '{}' >'{}'", from.display(), to.display()));
    let report = machine.run();
    assert_eq!((of(&report, "first").out.as_str(), of(&report, "first").outcome, machine.ran()), ("", End::NotConsented, false));
    assert!(!std::fs::read_to_string(machine.plan.out.join(crate::REPORT_FILE)).unwrap().contains("secret"));
}

#[test]
fn which_tools_hang_is_known_beyond_a_withdrawal_and_nothing_else() {
    let machine = machine();
    machine.run();
    let place = machine.plan.state.join("state.json");
    let mut state: State = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    // This process stands for one that cannot be ended.
    let pid = i32::try_from(std::process::id()).unwrap();
    let started = proc::one(pid).unwrap().started;
    state.left.push(crate::state::Left { tool: "works".to_owned(), args: vec!["--fixed".to_owned()], pid, started });
    assert!(state.kernel.cursor.is_some());
    fs::write(&place, serde_json::to_vec(&state).unwrap()).unwrap();
    fs::remove_file(&machine.plan.consent).unwrap();
    assert_eq!(carry_out(&machine.plan), 0);
    let kept: State = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    assert_eq!((machine.left(), kept), (vec![place], State { boot_id: state.boot_id, left: state.left, ..State::default() }));
    machine.ran();
    machine.consent(CONSENT);
    assert_eq!((codes(&machine.run()), machine.ran()), (vec!["stuck"], false));
}

#[test]
fn what_cannot_be_taken_away_is_status_1() {
    let machine = machine();
    machine.run();
    fs::remove_file(&machine.plan.consent).unwrap();
    let report = machine.plan.out.join(REPORT_FILE);
    fs::remove_file(&report).unwrap();
    // A folder in the place of a file is nobody's who leaves files.
    fs::create_dir(&report).unwrap();
    assert_eq!(carry_out(&machine.plan), 1);
}

#[test]
fn every_tool_feeds_sections_of_the_three_scopes_that_are_the_helpers() {
    let rows: Vec<Row> = table().into_iter().chain([journal(), units()]).collect();
    for row in &rows {
        assert!(!row.feeds.is_empty() && row.feeds.iter().all(|section| SECTIONS.contains(section)), "{row:?}");
        let scopes: BTreeSet<Scope> = fields().filter(|field| row.feeds.contains(&field.section)).map(|field| field.scope).collect();
        assert!(scopes.len() == 1 && [Scope::Hardware, Scope::OsState, Scope::LogCounts].contains(scopes.first().unwrap()), "{row:?} {scopes:?}");
    }
}
