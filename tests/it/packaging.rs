//! What people run first, and what systemd runs: the example script and the units, as they are in the repository.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and figures are printed"
)]
#![allow(clippy::disallowed_methods, reason = "scripts and systemd's own tool are run")]

use mimamori_tests::process::{binary, program};
use mimamori_tests::wait_until;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const NOBODY: u32 = 65_534;
const LONG: Duration = Duration::from_secs(90);

fn top() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

/// A folder that every account may pass, with the script and both binaries in it.
struct Example {
    dir: tempfile::TempDir,
    /// Whether the script runs as an ordinary user although the tests run as root.
    nobody: bool,
    /// The script takes ports by looking which are free: two that look at the same moment take the same.
    _alone: MutexGuard<'static, ()>,
}

impl Example {
    fn new(nobody: bool) -> Example {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::Builder::new().prefix("mimamori-example-").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(dir.path().join("packaging/example")).unwrap();
        fs::copy(top().join("packaging/example/run.sh"), dir.path().join("packaging/example/run.sh")).unwrap();
        for name in ["mimamori-agent", "mimamori-collector"] {
            fs::copy(binary(name), dir.path().join(name)).unwrap();
        }
        if nobody && is_root() {
            fs::create_dir(dir.path().join("state")).unwrap();
            chown(dir.path().join("state"), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Example { dir, nobody: nobody && is_root(), _alone: alone }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The script, in a process group of its own: a Ctrl-C reaches it and nobody else.
    fn command(&self) -> Command {
        let script = self.dir.path().join("packaging/example/run.sh");
        let mut command = if self.nobody {
            let mut command = program(Path::new("/usr/bin/setpriv"));
            command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]).arg(script);
            command
        } else {
            program(&script)
        };
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("MIMAMORI_STATE", self.state());
        for (name, file) in [("MIMAMORI_AGENT_BIN", "mimamori-agent"), ("MIMAMORI_COLLECTOR_BIN", "mimamori-collector")] {
            command.env(name, self.dir.path().join(file));
        }
        command.stdin(Stdio::null()).current_dir(self.dir.path()).process_group(0);
        command
    }

    fn once(&self) -> Output {
        self.command().env("ONCE", "1").output().unwrap()
    }

    /// Processes that run on this state folder, by their command line or folder.
    fn processes(&self) -> Vec<String> {
        let here = self.dir.path().to_str().unwrap();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().map(Result::unwrap) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let folder = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            if !line.is_empty() && (line.contains(here) || folder.starts_with(here)) {
                found.push(format!("{} {line}", entry.file_name().display()));
            }
        }
        found
    }

    fn agent_id(&self) -> String {
        let text = fs::read_to_string(self.state().join("agent/state/identity.toml")).unwrap();
        text.lines().find(|line| line.starts_with("agent_id")).unwrap().to_owned()
    }
}

#[track_caller]
fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The reports that the script showed, as they left.
fn shown(said: &str) -> Vec<serde_json::Value> {
    let payloads = said.lines().map(str::trim).filter(|line| line.starts_with("{\"v\":1,\"type\":\"report\""));
    payloads.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Twice: the second run goes on where the first one ended.
fn runs_twice(example: &Example) {
    let first = example.once();
    assert!(first.status.success(), "{} {}", first.status, text(&first));
    let reports = shown(&text(&first));
    assert_eq!(reports.len(), 3, "{}", text(&first));
    assert!(reports.iter().all(|report| report["readings"].as_object().is_some_and(|readings| !readings.is_empty())));
    assert_eq!(example.processes(), Vec::<String>::new());
    let (id, last) = (example.agent_id(), reports[2]["seq"].as_u64().unwrap());
    let second = example.once();
    assert!(second.status.success(), "{} {}", second.status, text(&second));
    let reports = shown(&text(&second));
    assert!(reports.len() == 3 && reports[0]["seq"].as_u64().unwrap() > last, "{}", text(&second));
    assert_eq!(example.agent_id(), id, "the second run enrolled again");
    assert_eq!(reports[0]["agent_id"].as_str().unwrap(), id.split('"').nth(1).unwrap());
    println!("two runs, places {last} and {}, one identity", reports[2]["seq"]);
}

#[test]
fn the_example_shows_three_reports_and_goes_on() {
    let example = Example::new(false);
    runs_twice(&example);
    relative_paths_are_the_callers(&example);
}

/// The commands for people stay in the caller's folder.
fn relative_paths_are_the_callers(example: &Example) {
    let run = |name: &str, args: &[&str]| {
        let mut command = program(&example.state().join(name));
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").args(args).current_dir(example.dir.path()).output().unwrap()
    };
    let kept = run("collectorctl", &["export", "example/this-machine", "--output", "kept.jsonl"]);
    assert!(kept.status.success() && example.dir.path().join("kept.jsonl").is_file(), "{}", text(&kept));
    // As root the agent's account may not write here, and is told where that is and what to do.
    let ledger = run("agentctl", &["ledger", "export", "--output", "ledger.jsonl"]);
    let place = example.dir.path().join("ledger.jsonl");
    assert_eq!((ledger.status.success(), place.is_file()), (!is_root(), !is_root()), "{}", text(&ledger));
    assert!(text(&ledger).contains(place.to_str().unwrap()) && text(&ledger).contains("> FILE") == is_root(), "{}", text(&ledger));
}

#[test]
fn the_example_runs_as_an_ordinary_user() {
    if !is_root() {
        println!("the_example_runs_as_an_ordinary_user: the tests run as one, so the story above has shown it");
        return;
    }
    let example = Example::new(true);
    runs_twice(&example);
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(example.state().join("agent/etc/consent.toml")).unwrap()), NOBODY);
}

/// The example as it goes on until Ctrl-C, when its reports are verified; and what it says.
fn started(example: &Example) -> (Child, PathBuf) {
    let log = example.dir.path().join("said");
    let out = fs::File::create(&log).unwrap();
    let mut child = example.command().stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
    wait_until("three verified reports", LONG, || {
        assert!(child.try_wait().unwrap().is_none(), "{}", fs::read_to_string(&log).unwrap());
        fs::read_to_string(&log).unwrap().contains("Three reports of this machine are verified")
    });
    (child, log)
}

/// What a terminal does: SIGINT to the whole foreground group.
fn interrupted(child: &mut Child, log: &Path) -> (Duration, String) {
    assert!(program(Path::new("/bin/kill")).args(["-s", "INT", "--", &format!("-{}", child.id())]).status().unwrap().success());
    let took = wait_until("the end after Ctrl-C", Duration::from_secs(30), || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
    (took, fs::read_to_string(log).unwrap())
}

/// Whoever tries it types what the program says; as root too, although the agent runs under another account.
#[test]
fn the_examples_consent_is_taken_back_with_its_own_command() {
    let example = Example::new(false);
    let (mut child, log) = started(&example);
    let run = |name: &str, args: &[&str]| {
        let mut command = program(&example.state().join(name));
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").args(args).current_dir("/").output().unwrap()
    };
    assert!(fs::read_to_string(&log).unwrap().contains("/agentctl consent withdraw"), "it is said");
    let done = run("agentctl", &["--lang", "en", "consent", "withdraw"]);
    assert!(done.status.success() && text(&done).contains("Nothing is collected any more"), "{}", text(&done));
    wait_until("the collector knows", LONG, || text(&run("collectorctl", &["machine", "list", "--json"])).contains("\"not_consented\""));
    interrupted(&mut child, &log);
    let again = example.once();
    assert!(!again.status.success() && text(&again).contains("withdrawn") && text(&again).contains("rm "), "{}", text(&again));
    fs::remove_file(example.state().join("agent/etc/consent.toml")).unwrap();
    let anew = example.once();
    assert!(anew.status.success() && shown(&text(&anew)).len() == 3, "{}", text(&anew));
    let granted = run("agentctl", &["consent", "grant", "--approver", "A", "--reason", "B", "--for", "1d", "--scope", "heartbeat", "--example", "--replace"]);
    assert!(granted.status.success(), "{}", text(&granted));
}

#[test]
fn ctrl_c_leaves_no_process() {
    let example = Example::new(false);
    let (mut child, log) = started(&example);
    let running = example.processes();
    assert!(running.iter().any(|line| line.contains("mimamori-agent")) && running.iter().any(|line| line.contains("mimamori-collector")), "{running:?}");
    let (took, said) = interrupted(&mut child, &log);
    assert!(said.contains("Stopped."), "{said}");
    assert_eq!(example.processes(), Vec::<String>::new());
    println!("Ctrl-C: both programs gone after {took:?}");
}

#[test]
fn a_run_that_cannot_work_says_so_and_fails() {
    let example = Example::new(false);
    let done = example.command().env("ONCE", "1").env("MIMAMORI_AGENT_BIN", "/nonexistent/agent").output().unwrap();
    assert!(!done.status.success() && text(&done).contains("/nonexistent/agent"), "{}", text(&done));
}

/// `NAME=value` lines of a unit.
fn lines(unit: &str) -> Vec<String> {
    fs::read_to_string(top().join("systemd").join(unit)).unwrap().lines().map(str::trim).filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// Those of the binding lines that a unit lacks, and those that undo them.
fn lacking(lines: &[String], binding: &[&str]) -> Vec<String> {
    let mut faults: Vec<String> = binding.iter().filter(|line| !lines.iter().any(|have| have == *line)).map(|line| format!("{line} is missing")).collect();
    for line in lines {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let undoes = match name {
            "CapabilityBoundingSet" | "AmbientCapabilities" => !value.is_empty(),
            "DynamicUser" | "User" => value == "yes" || value == "root",
            "ListenStream" | "ListenDatagram" | "Sockets" => true,
            "ReadWritePaths" => value.split_whitespace().any(|path| path == "/"),
            _ => false,
        };
        if undoes {
            faults.push(format!("{line} undoes what the unit promises"));
        }
    }
    faults
}

const BINDING: &[&str] = &[
    "Type=notify",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "RestartPreventExitStatus=2 78",
    "Restart=on-failure",
    "SocketBindDeny=any",
    "MemoryDenyWriteExecute=yes",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectProc=invisible",
    "UMask=0077",
    "StateDirectoryMode=0700",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
];

#[test]
fn units_hold_the_binding_lines() {
    for (unit, own) in [
        ("mimamori-agent.service", &["User=mimamori-agent", "ExecStart=/usr/bin/mimamori-agent run", "TimeoutStopSec=5", "WatchdogSec=60"][..]),
        ("mimamori-collector.service", &["User=mimamori-collector", "ExecStart=/usr/bin/mimamori-collector serve", "WatchdogSec=60"]),
    ] {
        let lines = lines(unit);
        assert_eq!(lacking(&lines, BINDING), Vec::<String>::new(), "{unit}");
        assert_eq!(lacking(&lines, own), Vec::<String>::new(), "{unit}");
    }
    assert!(!lines("mimamori-agent.service").iter().any(|line| line.starts_with("SocketBindAllow")), "the agent binds no port");
    let bad = |line: &str| lacking(&[line.to_owned()], &[]).len();
    assert_eq!((bad("CapabilityBoundingSet=CAP_NET_ADMIN"), bad("User=root"), bad("Sockets=x.socket"), bad("User=mimamori-agent")), (1, 1, 1, 0));
    assert_eq!(lacking(&["Type=simple".to_owned()], &["Type=notify"]), ["Type=notify is missing"]);
}

/// What the agent's and the collector's units promise too, but for the account and the kind of service.
const BINDING_HARDWARE: &[&str] = &[
    "Type=oneshot",
    "ExecStart=/usr/bin/mimamori-agent-hardware",
    // Any of them: before a consent nothing is started, and after one what was left is taken away.
    "ConditionPathExists=|/etc/mimamori/consent.toml",
    "ConditionPathExists=|/run/mimamori-agent-hardware/report.json",
    "ConditionPathExists=|/var/lib/mimamori-agent-hardware/state.json",
    "Group=mimamori-agent",
    "SecureBits=noroot noroot-locked",
    "CapabilityBoundingSet=CAP_SYS_RAWIO CAP_SYS_ADMIN",
    "AmbientCapabilities=CAP_SYS_RAWIO CAP_SYS_ADMIN",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectKernelLogs=yes",
    "ProtectProc=invisible",
    "PrivateNetwork=yes",
    "RestrictAddressFamilies=none",
    "MemoryDenyWriteExecute=yes",
    "RestrictNamespaces=yes",
    "DevicePolicy=closed",
    "KillMode=control-group",
    "RuntimeDirectory=mimamori-agent-hardware",
    "RuntimeDirectoryPreserve=yes",
    "StateDirectoryMode=0700",
    "UMask=0077",
    "TimeoutStartSec=10min",
];

#[test]
fn the_hardware_helper_has_two_rights_no_network_and_no_way_to_be_asked() {
    let unit = lines("mimamori-agent-hardware.service");
    let faults: Vec<&&str> = BINDING_HARDWARE.iter().filter(|line| !unit.iter().any(|have| have == *line)).collect();
    assert!(faults.is_empty(), "missing: {faults:?}");
    // Nothing but the timer starts it, and nothing that others could write is given to it.
    for name in ["Environment", "PassEnvironment", "Sockets", "StandardInput", "ExecStartPre", "BusName", "SupplementaryGroups"] {
        assert!(!unit.iter().any(|line| line.starts_with(name)), "{name}");
    }
    assert_eq!(unit.iter().filter(|line| line.starts_with("ReadWritePaths")).collect::<Vec<_>>(), ["ReadWritePaths=-/run/lock/lvm -/run/lvm"]);
    let devices: Vec<&String> = unit.iter().filter(|line| line.starts_with("DeviceAllow")).collect();
    assert!(devices.len() == 7 && devices.iter().all(|line| !line.contains("char-mem") && !line.contains("kmsg")), "{devices:?}");
    let timer = lines("mimamori-agent-hardware.timer");
    for line in ["OnCalendar=*:00/15", "Persistent=no", "WantedBy=timers.target"] {
        assert!(timer.iter().any(|have| have == line), "{line}");
    }
    // The drop-in opens these and nothing else.
    let opened = ["CapabilityBoundingSet=CAP_DAC_READ_SEARCH", "AmbientCapabilities=CAP_DAC_READ_SEARCH", "ProtectProc=default"];
    let sockets = ["RestrictAddressFamilies=", "RestrictAddressFamilies=AF_UNIX"];
    let named: Vec<String> = lines("mimamori-agent-hardware-named.conf").into_iter().filter(|line| line.contains('=')).collect();
    assert_eq!(named, [&opened[..], &sockets[..]].concat());
}

#[test]
fn systemd_finds_the_units_closed() {
    let analyze = |file: &Path| {
        let run = program(Path::new("systemd-analyze")).args(["security", "--no-pager", "--offline=true", "--threshold=15"]).arg(file).output();
        run.unwrap_or_else(|fault| panic!("systemd-analyze is missing ({fault}): `make setup` installs it (Debian: systemd)"))
    };
    for unit in ["mimamori-agent.service", "mimamori-collector.service", "mimamori-agent-hardware.service"] {
        let done = analyze(&top().join("systemd").join(unit));
        let said = text(&done);
        let verdict = said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{unit}: no verdict: {said}"));
        assert!(done.status.success(), "{unit}: {verdict}");
        println!("{}", verdict.trim());
    }
    // A unit that forgets one line of ours is noticed by the same command.
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open.service");
    let text = lines("mimamori-agent.service")
        .into_iter()
        .filter(|line| !["PrivateUsers=", "CapabilityBoundingSet=", "RestrictAddressFamilies="].iter().any(|name| line.starts_with(name)));
    fs::write(&open, text.collect::<Vec<_>>().join("\n")).unwrap();
    assert!(!analyze(&open).status.success(), "the threshold notices nothing");
}
