//! Tools that hang, flood, fork, fail or are not what they seem.

use super::{Machine, QUIET, SMARTCTL_ROW, codes, of, row};
use crate::proc;
use crate::table::{Each, FOLDERS, Row, table};
use crate::tests::Report;
use mimamori_parse::hardware::{ARGS_MAX, End, OUT_BYTES_MAX, SMARTCTL_ASLEEP};
use rustix::thread::CapabilitySet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// No tool here may take so long, however busy the machine is: those that hang do for half a day.
const LONG: Duration = Duration::from_secs(50);

/// Processes of this machine that run a command with this mark in it.
fn alive(mark: &str) -> Vec<String> {
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(mark)).collect()
}

#[test]
fn a_tool_that_hangs_is_ended_with_everything_it_started_and_the_others_still_run() {
    let machine = Machine::new(vec![row("hangs", 300), row("works", 60_000)]);
    // One child in the group, one that left it with a session of its own, and a tool that ignores being asked to end.
    machine.tool(
        "hangs",
        "trap '' TERM INT HUP\n/bin/sleep 54321.1 &\n/usr/bin/setsid /bin/sh -c 'trap \"\" TERM; /bin/sleep 54321.2; :' &\necho half\n/bin/sleep 54321.3",
    );
    machine.tool("works", "echo fine");
    machine.tool("journalctl", QUIET);
    let begun = Instant::now();
    let report = machine.run();
    let hung = of(&report, "hangs");
    assert_eq!((hung.outcome, hung.exit, hung.out.as_str()), (End::TimedOut, None, ""));
    assert!(hung.ms >= 300 && begun.elapsed() < LONG, "{hung:?} {:?}", begun.elapsed());
    assert_eq!((of(&report, "works").outcome, of(&report, "works").out.as_str()), (End::Done, "fine\n"));
    assert_eq!(alive("54321."), Vec::<String>::new());
}

#[test]
fn a_grandchild_that_keeps_the_pipe_does_not_keep_the_helper() {
    let machine = Machine::new(vec![row("forks", 60_000), row("leaves", 60_000)]);
    machine.tool("forks", "/bin/sleep 65432.1 &\necho said");
    machine.tool("leaves", "/usr/bin/setsid -f /bin/sleep 65432.2\necho said");
    machine.tool("journalctl", QUIET);
    let begun = Instant::now();
    let report = machine.run();
    for tool in ["forks", "leaves"] {
        let run = of(&report, tool);
        assert_eq!((run.outcome, run.exit, run.out.as_str()), (End::Done, Some(0), "said\n"), "{tool}");
    }
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    assert_eq!(alive("65432."), Vec::<String>::new());
}

#[test]
fn a_flood_is_cut_off_and_a_flood_of_complaints_is_not() {
    let machine = Machine::new(vec![row("floods", 60_000), row("exact", 60_000), row("moans", 60_000)]);
    machine.tool("floods", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done");
    machine.tool("exact", "printf %10000d 7");
    machine.tool("moans", "i=0; while [ $i -lt 3000 ]; do echo no no no no no no no no no >&2; i=$((i+1)); done; echo said");
    machine.tool("journalctl", QUIET);
    let begun = Instant::now();
    let report = machine.run();
    let run = of(&report, "floods");
    assert_eq!((run.outcome, run.exit, run.out.len()), (End::TooLarge, None, 0));
    assert_eq!((of(&report, "exact").outcome, of(&report, "exact").out.len()), (End::Done, 10_000));
    assert_eq!((of(&report, "moans").out.as_str(), of(&report, "moans").err.len()), ("said\n", 2048));
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
}

#[test]
fn what_cannot_be_run_says_why() {
    let machine = Machine::new(vec![
        row("absent", 60_000),
        row("locked", 60_000),
        row("folder", 60_000),
        row("shared", 60_000),
        row("fails", 60_000),
        row("dies", 60_000),
        row("garbage", 60_000),
        row("no-program", 60_000),
    ]);
    let mode = |name: &str, mode| fs::set_permissions(machine.dir.path().join("tools").join(name), Permissions::from_mode(mode)).unwrap();
    machine.tool("locked", "echo no");
    mode("locked", 0o644);
    fs::create_dir(machine.dir.path().join("tools/folder")).unwrap();
    machine.tool("shared", "echo no");
    mode("shared", 0o775);
    machine.tool("fails", "echo partly\necho why >&2\nexit 3");
    machine.tool("dies", "echo partly\nkill -SEGV $$");
    machine.tool("garbage", "printf 'a\\377\\000\\201b'");
    fs::write(machine.dir.path().join("tools/no-program"), [0_u8; 64]).unwrap();
    mode("no-program", 0o755);
    machine.tool("journalctl", QUIET);
    let report = machine.run();
    let ends = |tool| (of(&report, tool).outcome, of(&report, tool).exit);
    assert_eq!(ends("absent"), (End::Missing, None));
    assert_eq!(ends("locked"), (End::PermissionDenied, None));
    assert_eq!(ends("folder"), (End::Failed, None));
    assert_eq!(ends("shared"), (End::Failed, None));
    assert!(of(&report, "shared").err.contains("can be written by others: chmod go-w"), "{report:?}");
    assert_eq!(ends("fails"), (End::Done, Some(3)));
    assert_eq!((of(&report, "fails").out.as_str(), of(&report, "fails").err.as_str()), ("partly\n", "why\n"));
    assert_eq!(ends("dies"), (End::Failed, None));
    assert_eq!((of(&report, "dies").out.as_str(), of(&report, "dies").err.as_str()), ("", "killed by signal 11"));
    assert_eq!((ends("garbage"), of(&report, "garbage").out.as_str()), ((End::Done, Some(0)), "a\u{fffd}\0\u{fffd}b"));
    assert_eq!(ends("no-program"), (End::Failed, None));
}

#[test]
fn a_tool_gets_no_environment_no_input_and_the_top_as_its_folder() {
    let machine = Machine::new(vec![row("looks", 60_000)]);
    machine.tool("looks", "/usr/bin/tr '\\0' '\\n' </proc/$$/environ\necho \"at $(/bin/readlink /proc/$$/cwd)\"\n/bin/cat\necho \"args $*\"");
    machine.tool("journalctl", QUIET);
    assert_eq!(of(&machine.run(), "looks").out, "at /\nargs --fixed\n");
}

#[test]
fn time_for_all_runs_is_limited_too() {
    let mut machine = Machine::new(vec![row("slow", 60_000), row("late", 60_000)]);
    machine.plan.budget = Duration::from_millis(400);
    machine.tool("slow", "/bin/sleep 76543.1");
    machine.tool("late", "echo too late");
    machine.tool("journalctl", QUIET);
    let report = machine.run();
    assert_eq!((of(&report, "slow").outcome, of(&report, "late").outcome), (End::TimedOut, End::TimedOut));
    assert_eq!((of(&report, "late").ms, of(&report, "late").err.as_str()), (0, "no time was left for it"));
}

fn disk_rows() -> Vec<Row> {
    vec![SMARTCTL_ROW, Row { args: &["-x", "-d"], each: Each::Disk, ..SMARTCTL_ROW }]
}

fn shown(report: &Report) -> Vec<String> {
    report.runs.iter().filter(|run| run.tool == "smartctl" && run.subject.is_some()).map(|run| run.out.trim().to_owned()).collect()
}

#[test]
fn every_disk_is_asked_and_a_hostile_list_does_not_choose_arguments() {
    let machine = Machine::new(disk_rows());
    let list = r#"{"devices":[{"name":"/dev/sda","type":"sat"},{"name":"/dev/sdb;/bin/sleep 9","type":"sat"},{"name":"/dev/sd c","type":"sat"},
        {"name":"/dev/../etc/shadow","type":"sat"},{"name":"-t","type":"long"},{"name":"/dev/sdd","type":"-t"},{"name":"/dev/bus/0","type":"megaraid,8"}]}"#;
    machine.tool("smartctl", &format!("case $1 in --json=c) /bin/cat <<'END'\n{list}\nEND\n;; *) echo \"$# $*\";; esac"));
    machine.tool("journalctl", QUIET);
    let report = machine.run();
    assert_eq!(shown(&report), ["4 -x -d sat /dev/sda", "4 -x -d megaraid,8 /dev/bus/0"]);
    assert_eq!(codes(&report), ["refused"; 5]);
    machine.tool("smartctl", "echo 'no JSON'");
    let report = machine.run();
    assert_eq!((shown(&report).len(), codes(&report)), (0, vec!["unreadable"]));
}

#[test]
fn a_report_that_would_grow_too_large_leaves_out_what_was_said_last() {
    let mut machine = Machine::new(disk_rows());
    machine.plan.rows[1].bytes = OUT_BYTES_MAX;
    let devices: Vec<String> = (0..30).map(|n| format!(r#"{{"name":"/dev/sd{n}","type":"sat"}}"#)).collect();
    // Every byte of it takes six in JSON.
    let script = format!("case $1 in --json=c) echo '{{\"devices\":[{}]}}';; *) /usr/bin/head -c 30000 /dev/zero;; esac", devices.join(","));
    machine.tool("smartctl", &script);
    machine.tool("journalctl", QUIET);
    let report = machine.run();
    let ends: Vec<End> = report.runs.iter().filter(|run| run.subject.as_deref().is_some_and(|name| name.starts_with("sd"))).map(|run| run.outcome).collect();
    let fit = ends.iter().position(|end| *end == End::TooLarge).unwrap();
    assert!(ends.len() == 30 && fit >= 15 && ends.get(fit..).unwrap().iter().all(|end| *end == End::TooLarge), "{ends:?}");
}

#[test]
fn a_tool_that_hangs_in_the_kernel_is_not_started_a_second_time() {
    let machine = Machine::new(vec![row("stuck", 60_000), row("works", 60_000)]);
    machine.tool("stuck", "echo started");
    machine.tool("works", "echo fine");
    machine.tool("journalctl", QUIET);
    let own = proc::one(rustix::process::getpid().as_raw_nonzero().get()).unwrap();
    let state = |started: u64| {
        format!(
            r#"{{"boot_id":"00112233445566778899aabbccddeeff","kernel":{{"cursor":null,"counts":{{}}}},"journal":{{"cursor":null,"counts":{{}}}},
            "left":[{{"tool":"stuck","args":["--fixed"],"pid":{},"started":{started}}}]}}"#,
            own.pid
        )
    };
    fs::write(machine.plan.state.join("state.json"), state(own.started)).unwrap();
    for _ in 0..2 {
        let report = machine.run();
        assert_eq!((of(&report, "stuck").outcome, of(&report, "works").outcome), (End::TimedOut, End::Done));
        assert_eq!(codes(&report), ["stuck"]);
    }
    // Another process has that number by now.
    fs::write(machine.plan.state.join("state.json"), state(own.started + 1)).unwrap();
    assert_eq!(of(&machine.run(), "stuck").outcome, End::Done);
}

#[test]
fn what_is_switched_off_or_has_nothing_to_ask_is_not_run() {
    let mut machine = Machine::new(vec![row("a", 60_000), row("b", 60_000), row("c", 60_000)]);
    machine.plan.rows[1].only_if = &["dev/zfs", "dev/other"];
    for tool in ["a", "b", "c"] {
        machine.tool(tool, "echo ran");
    }
    machine.tool("journalctl", QUIET);
    machine.config("[tools]\noff = [\"a\", \"journalctl\"]\n");
    let report = machine.run();
    let mut told: Vec<(&str, End, &str)> = report.runs.iter().map(|run| (run.tool.as_str(), run.outcome, run.out.as_str())).collect();
    told.retain(|(tool, ..)| *tool != "journalctl");
    assert_eq!(told, [("a", End::NotConsented, ""), ("c", End::Done, "ran\n")], "switched off is said, for it is not the same as nothing there");
    assert!(report.runs.iter().filter(|run| run.tool == "journalctl").all(|run| run.outcome == End::NotConsented));
    assert_eq!((report.counts.kernel_log, report.faults.len()), (None, 0));
    // One of the files is enough.
    fs::create_dir_all(machine.plan.root.join("dev")).unwrap();
    fs::write(machine.plan.root.join("dev/other"), "").unwrap();
    assert_eq!(of(&machine.run(), "b").outcome, End::Done);
}

#[test]
fn every_mounted_btrfs_is_asked() {
    let machine = Machine::new(vec![Row { each: Each::Btrfs, ..row("btrfs", 60_000) }]);
    machine.tool("btrfs", "echo \"$# $*\"");
    machine.tool("journalctl", QUIET);
    assert!(machine.run().runs.iter().all(|run| run.tool == "journalctl"));
    fs::write(machine.plan.root.join("proc/self/mountinfo"), "33 1 0:40 / /mnt/a\\040b rw - btrfs /dev/sdb rw\n").unwrap();
    let report = machine.run();
    assert_eq!((of(&report, "btrfs").subject.as_deref(), of(&report, "btrfs").out.as_str()), (Some("/mnt/a b"), "2 --fixed /mnt/a b\n"));
}

/// Run by the test below with the capabilities of the unit.
const INNER: &str = "MIMAMORI_CAPABILITIES";

#[test]
fn a_tool_keeps_only_the_capabilities_of_its_row() {
    const SELF: &str = "tests::running::a_tool_keeps_only_the_capabilities_of_its_row";
    if std::env::var_os(INNER).is_some() {
        let raw = CapabilitySet::SYS_RAWIO;
        let machine = Machine::new(vec![row("none", 60_000), Row { needs: raw, ..row("raw", 60_000) }, row("none-again", 60_000)]);
        for tool in ["none", "raw", "none-again"] {
            machine.tool(tool, "while read name value; do case $name in CapEff:|CapPrm:|CapAmb:) echo $value;; esac; done </proc/self/status");
        }
        machine.tool("journalctl", QUIET);
        let report = machine.run();
        let line = |bits: u64| format!("{bits:016x}\n").repeat(3);
        assert_eq!(of(&report, "none").out, line(0));
        assert_eq!(of(&report, "raw").out, line(raw.bits()));
        assert_eq!(of(&report, "none-again").out, line(0));
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("a_tool_keeps_only_the_capabilities_of_its_row: only root can hand out capabilities");
        return;
    }
    let caps = "-all,+sys_rawio,+sys_admin,+dac_read_search";
    let mut command = Command::new("/usr/bin/setpriv");
    command.args([&format!("--inh-caps={caps}"), &format!("--ambient-caps={caps}"), &format!("--bounding-set={caps}")]);
    command.args(["--securebits", "+noroot,+noroot_locked", "--no-new-privs"]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", SELF, "--nocapture"]);
    // A helper in another test would end it with all other children of this process.
    let _alone = super::ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let done = command.env(INNER, "1").output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn the_page_names_everything_that_runs_and_every_fault() {
    let page = include_str!("../../../../docs/HARDWARE.md");
    for row in table() {
        // Of the long list of columns the beginning stands for all.
        let args = row.args.join(" ").replace("Power Supply", "\"Power Supply\"");
        let args = args.split(" lv_name").next().unwrap();
        let (first, rest) = args.split_once(' ').unwrap_or((args, ""));
        assert!(page.contains(format!("{first} {rest}").trim()) && row.names.iter().all(|name| page.contains(&format!("`{name}"))), "{row:?}");
        assert!(page.contains(&format!("{} s, ", row.limit.as_secs())), "{row:?}");
        // Its line says for which sections it is run; where it says `the same`, the line above it.
        let lines: Vec<&str> = page.lines().collect();
        let at = lines.iter().position(|line| line.starts_with("| `") && line.contains(first) && line.contains(rest)).unwrap();
        let told = if lines[at].contains("| the same | ") { lines[at - 1] } else { lines[at] };
        assert!(row.feeds.iter().all(|section| told.contains(&format!("`{section}`"))), "{row:?}: {told}");
    }
    for row in [crate::table::journal(), crate::table::units()] {
        assert!(page.contains(&format!("`{} {}", row.tool, row.args.first().unwrap())), "{row:?}");
    }
    for folder in FOLDERS {
        assert!(page.contains(&format!("`{folder}`")), "{folder}");
    }
    let sources = concat!(include_str!("../take.rs"), include_str!("../targets.rs"), include_str!("../lib.rs"));
    let codes = sources.split("fault(\"").chain(sources.split("refuse(\"")).chain(sources.split("push((\"")).filter_map(|rest| rest.split('"').next());
    let codes: std::collections::BTreeSet<&str> = codes.filter(|code| !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).collect();
    assert!(codes.len() >= 9, "{codes:?}");
    for code in codes {
        assert!(page.contains(&format!("| `{code}` |")), "{code}");
    }
}

#[test]
fn the_program_has_nothing_that_talks() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let names: Vec<&str> = manifest["dependencies"].as_table().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["mimamori-parse", "mimamori-shared", "rustix", "serde", "serde_json", "toml"]);
    let features = manifest["dependencies"]["rustix"]["features"].as_array().unwrap();
    assert!(!features.iter().any(|feature| feature.as_str() == Some("net")));
}

#[test]
fn the_table_is_fixed_bounded_and_asks_for_little() {
    let rows = table();
    let known = CapabilitySet::SYS_RAWIO | CapabilitySet::SYS_ADMIN;
    for row in rows.iter().chain([&crate::table::journal(), &crate::table::units()]) {
        // Two arguments are added at most: type and device.
        assert!(row.args.len() + 2 <= ARGS_MAX && row.names.iter().all(|name| !name.contains('/')), "{row:?}");
        assert!(row.limit <= Duration::from_secs(90) && known.contains(row.needs), "{row:?}");
    }
    assert!(rows.iter().all(|row| row.bytes <= OUT_BYTES_MAX));
    assert!(FOLDERS.iter().all(|folder| folder.starts_with('/') && !folder.contains("local")));
    // A sleeping disk is recognised by the status that is asked for here.
    let disk = rows.iter().find(|row| row.each == Each::Disk).unwrap();
    assert!(disk.args.contains(&format!("standby,{SMARTCTL_ASLEEP}").as_str()), "{disk:?}");
}
