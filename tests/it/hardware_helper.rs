//! The hardware helper and the agent together: the real helper in a machine of its own, its file read by the real agent,
//! figures at a real collector; and what the engineer on site is told of both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and figures are printed"
)]
#![allow(clippy::disallowed_methods, reason = "programs are run")]

use mimamori_agent::probe::PROBES;
use mimamori_tests::process::{binary, program};
use mimamori_tests::sim::now_ms;
use mimamori_tests::story::{enrolled, held, json, reports, said};
use mimamori_tests::{AgentHome, World, wait_until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(40);
const NOBODY: u32 = 65_534;
const BOOT: &str = "proc/sys/kernel/random/boot_id";
const REPORT: &str = "run/mimamori-agent-hardware/report.json";
/// In every text that a tool or a hostile file holds: it must not leave.
const PLANT: &str = "YAMADA-TARO-19510203";
const CONSENT: &str = "version = 1\napprover = \"A\"\nreason = \"B\"\nvalid_from = \"2020-01-01T00:00:00Z\"\nvalid_to = \"2199-01-01T00:00:00Z\"\n[scopes]\nhardware = { }\nos_state = { }\nlog_counts = { }\n";

fn write(path: &Path, bytes: impl AsRef<[u8]>, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A recorded machine of this hour, in which the helper can be run as if it were the whole machine.
struct Machine {
    root: PathBuf,
    is_root: bool,
}

impl Machine {
    fn new(root: PathBuf) -> Machine {
        let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/testdata/host/debian12");
        assert!(program(Path::new("/bin/cp")).arg("-r").args([&recorded, &root]).status().unwrap().success());
        let stat: String =
            fs::read_to_string(root.join("proc/stat")).unwrap().lines().filter(|line| !line.starts_with("btime")).map(|line| format!("{line}\n")).collect();
        let uptime = fs::read_to_string(root.join("proc/uptime")).unwrap();
        let up_s: i64 = uptime.split('.').next().unwrap().parse().unwrap();
        fs::write(root.join("proc/stat"), format!("{stat}btime {}\n", now_ms() / 1000 - up_s)).unwrap();
        fs::remove_file(root.join(REPORT)).unwrap();
        let is_root = mimamori_tests::process::is_root(&root);
        let machine = Machine { root, is_root };
        for folder in ["run/mimamori-agent-hardware", "var/lib/mimamori-agent-hardware", "etc/mimamori", "usr/sbin", "usr/bin", "dev", "tmp"] {
            fs::create_dir_all(machine.root.join(folder)).unwrap();
        }
        for folder in
            ["", "run", "run/mimamori-agent-hardware", "var", "var/lib", "var/lib/mimamori-agent-hardware", "etc", "etc/mimamori", "usr", "usr/sbin", "usr/bin"]
        {
            fs::set_permissions(machine.root.join(folder), fs::Permissions::from_mode(0o755)).unwrap();
        }
        machine
    }

    /// Puts the helper into it, with a shell and what both are linked with.
    fn install(&self) {
        let helper = self.root.join("usr/bin/mimamori-agent-hardware");
        for (from, to) in [(binary("mimamori-agent-hardware"), helper), (fs::canonicalize("/bin/sh").unwrap(), self.root.join("bin/sh"))] {
            let linked = program(Path::new("/usr/bin/ldd")).arg(&from).output().unwrap();
            for library in String::from_utf8(linked.stdout).unwrap().split_whitespace().filter(|word| word.starts_with('/')) {
                write(&self.root.join(library.trim_start_matches('/')), fs::read(library).unwrap(), 0o755);
            }
            write(&to, fs::read(from).unwrap(), 0o755);
        }
        fs::write(self.root.join("dev/null"), "").unwrap();
        self.consent(CONSENT);
    }

    fn consent(&self, text: &str) {
        write(&self.root.join("etc/mimamori/consent.toml"), text, 0o644);
    }

    /// A tool: what a shell does under that name.
    fn tool(&self, name: &str, script: &str) {
        write(&self.root.join("usr/sbin").join(name), format!("#!/bin/sh\n{script}\n"), 0o755);
    }

    /// A disk that judges itself.
    fn disk(&self, passed: bool) {
        let scan = r#"{"json_format_version":[1,0],"devices":[{"name":"/dev/sda","type":"sat","protocol":"ATA"}]}"#;
        let smart = format!(
            r#"{{"json_format_version":[1,0],"smartctl":{{"version":[7,3],"exit_status":0}},"device":{{"name":"/dev/sda","type":"sat","protocol":"ATA"}},"model_name":"Example","serial_number":"{PLANT}","smart_status":{{"passed":{passed}}},"power_on_time":{{"hours":4321}}}}"#
        );
        self.tool("smartctl", &format!("case \"$*\" in *--scan-open*) printf '%s' '{scan}';; *) printf '%s' '{smart}';; esac"));
    }

    /// Runs the helper as root of this machine; `None` where nobody may be one.
    fn helper(&self, args: &[&str]) -> Option<Output> {
        let mut command = if self.is_root {
            let mut command = program(Path::new("/usr/sbin/chroot"));
            command.arg(format!("--userspec=0:{NOBODY}"));
            command
        } else {
            let mut command = program(Path::new("/usr/bin/unshare"));
            command.args(["--user", "--map-root-user", "/usr/sbin/chroot"]);
            command
        };
        let done = command.arg(&self.root).arg("/usr/bin/mimamori-agent-hardware").args(args).output().unwrap();
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        if !self.is_root && text.starts_with("unshare:") {
            println!("not root, and no namespace where one could be ({}): the helper is not run", text.trim());
            return None;
        }
        Some(done)
    }
}

/// An agent of this machine that looks at it once, and then only at what is news within ten minutes.
fn agent_of(machine: &Machine, home: &mut AgentHome) {
    home.sets.retain(|set| !set.starts_with("interval="));
    home.sets.extend(["interval=10m".to_owned(), format!("host_root={}", machine.root.display())]);
}

fn newest(world: &World) -> Value {
    held(world).into_iter().rev().find(|payload| payload["type"] == "report").unwrap()
}

/// Whether a report says so of drives, as a fault of the whole section.
fn says(report: &Value, code: &str) -> bool {
    report["faults"].as_array().is_some_and(|faults| faults.iter().any(|fault| fault["probe"] == "drive" && fault["code"] == code))
}

/// Behind the last report lies as much as the consent lets pass between two of a scope.
fn the_consents_interval_is_over(world: &World) {
    let taken = newest(world)["taken_at_ms"].as_i64().unwrap();
    wait_until("five seconds since the last report", SOON, || now_ms() - taken > 5_500);
}

#[test]
fn what_the_helper_finds_is_noticed_at_once_and_arrives_as_figures() {
    let (world, mut home) = enrolled("helper");
    let machine = Machine::new(world.dir.join("machine"));
    machine.install();
    machine.disk(true);
    let line = format!(r#"{{"__CURSOR":"s=1;i=1","MESSAGE":"blk_update_request: I/O error, dev sda, sector 1 {PLANT}","_SYSTEMD_UNIT":""}}"#);
    machine.tool("journalctl", &format!("printf '%s\\n' '{line}'"));
    agent_of(&machine, &mut home);
    let running = home.run();
    wait_until("the first report", SOON, || reports(&world) >= 1);
    let first = newest(&world);
    assert!(says(&first, "not_found") && first["readings"]["drive"].is_null(), "without a file there is no figure, and never a zero: {first}");
    the_consents_interval_is_over(&world);
    let Some(done) = machine.helper(&[]) else { return };
    assert_eq!((done.status.code(), said(&done)), (Some(0), String::new()));
    assert!(fs::read_to_string(machine.root.join(REPORT)).unwrap().contains(PLANT), "the file stays on the machine, with what tools print");
    let took = wait_until("the figures, long before the next beat", SOON, || newest(&world)["readings"]["drive"][0]["verdict"] == "ok");
    let told = newest(&world);
    assert!(told["readings"]["drive"][0]["power_on_hours"] == 4321 && told["readings"]["kernel_log"]["io_errors"] == 1 && !says(&told, "not_found"), "{told}");
    the_consents_interval_is_over(&world);
    machine.disk(false);
    assert_eq!(machine.helper(&[]).unwrap().status.code(), Some(0));
    wait_until("the failing disk", SOON, || newest(&world)["readings"]["drive"][0]["verdict"] == "bad");
    hostile_files(&world, &home, &machine);
    // Its consent is taken back: nothing is left, and the engineer is told how it stands.
    machine.consent(&CONSENT.replace("version = 1", "version = 1\nwithdrawn = true"));
    let done = machine.helper(&[]).unwrap();
    assert!(done.status.code() == Some(0) && said(&done).contains("was withdrawn by the facility"), "{}", said(&done));
    let left = |folder: &str| fs::read_dir(machine.root.join(folder)).unwrap().count();
    assert_eq!((left("run/mimamori-agent-hardware"), left("var/lib/mimamori-agent-hardware")), (0, 0));
    let done = home.try_cli(&["probe", "run", "drive"]);
    assert!(done.status.code() == Some(1) && said(&done).contains("there is no file of this boot at"), "{}", said(&done));
    drop(running);
    let everything: String = world.export("ct-1").iter().map(Value::to_string).collect::<String>() + &home.log();
    assert!(!everything.contains(PLANT) && !everything.contains("YAMADA"), "what tools print leaves the machine");
    println!("from the helper's end to the collector: {took:?}");
}

/// The agent runs, and finds in the place of the file what is none: named as what it is, and nothing of it leaves.
fn hostile_files(world: &World, home: &AgentHome, machine: &Machine) {
    let place = machine.root.join(REPORT);
    let good = fs::read_to_string(&place).unwrap();
    let folder = place.parent().unwrap();
    let put = |text: &str, owner: Option<u32>| {
        let new = folder.join(".report.json.new");
        write(&new, text, 0o644);
        if let Some(owner) = owner {
            chown(&new, Some(owner), None).unwrap();
        }
        fs::rename(new, &place).unwrap();
    };
    let check = |what: &str, code: &str| {
        wait_until(what, SOON, || says(&newest(world), code));
        let told = newest(world);
        assert!(told["readings"]["drive"].is_null() && !told.to_string().contains("YAMADA"), "{what}: {told}");
        let shown = json(&String::from_utf8(home.try_cli(&["probe", "run", "drive", "--json"]).stdout).unwrap());
        assert!(shown["helper"]["fault"] == code && shown["helper"]["taken_at_ms"].is_null(), "{what}: {shown}");
        the_consents_interval_is_over(world);
    };
    the_consents_interval_is_over(world);
    put(&format!("{{\"schema\":\"mimamori.hardware/1\",\"{PLANT}\":"), None);
    check("garbage", "malformed");
    put(&(good.clone() + &" ".repeat(4 << 20)), None);
    check("a file that is too large", "too_large");
    fs::write(machine.root.join("elsewhere.json"), &good).unwrap();
    // In one step, as a file is left: a look between two would count for the consent's interval.
    symlink(machine.root.join("elsewhere.json"), folder.join("link")).unwrap();
    fs::rename(folder.join("link"), &place).unwrap();
    check("a link", "io_error");
    if machine.is_root {
        put(&good, Some(NOBODY));
        check("a file of the agent's own account", "permission_denied");
    } else {
        println!("only root can give a file away: a file that is not root's is not tried");
    }
    put(&good, None);
    wait_until("the good file counts again", SOON, || newest(world)["readings"]["drive"][0]["verdict"] == "bad");
    // Each report says which probe cost most.
    let reported = held(world).into_iter().rev().find(|payload| payload["readings"]["agent"].is_object()).unwrap();
    let agent = &reported["readings"]["agent"];
    let known = PROBES.iter().any(|probe| agent["slowest_probe"] == probe.name);
    assert!(known && agent["slowest_probe_ms"].as_i64() <= agent["probes_ms"].as_i64() && agent["slowest_probe_ms"].is_i64(), "{agent}");
}

#[test]
fn the_engineer_on_site_sees_every_probe_and_who_runs_it() {
    let world = World::new("probes");
    let mut home = world.agent_home("ct-1");
    let machine = Machine::new(world.dir.join("machine"));
    agent_of(&machine, &mut home);
    let (list, rows) = (home.cli(&["probe", "list"]), json(&home.cli(&["probe", "list", "--json"])));
    assert!(rows["schema"] == "mimamori.probes/1" && rows["probes"].as_array().unwrap().len() == PROBES.len(), "{rows}");
    for (probe, row) in PROBES.iter().zip(rows["probes"].as_array().unwrap()) {
        let runs_in = match probe.name {
            "array" | "sensor" | "power" => "agent + helper",
            "drive" | "pool" | "multipath" | "service" | "process" | "kernel_log" | "journal" => "hardware helper",
            _ => "agent",
        };
        assert!(row["name"] == probe.name && row["runs_in"] == runs_in && row["every_s"].as_u64() > Some(0), "{row}");
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(probe.name)).unwrap_or_else(|| panic!("{}: {list}", probe.name));
        assert!(line.contains(runs_in) && line.contains(probe.scope.name()) && line.contains(probe.about), "{line}");
        assert!(home.cli(&["probe", "list", "--lang", "ja"]).contains(probe.about_ja), "{}", probe.name);
    }
    for (lang, words) in [("en", "did you mean `drive`"), ("ja", "もしかして")] {
        let done = home.try_cli(&["probe", "run", "driv", "--lang", lang]);
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(2) && done.stdout.is_empty() && text.contains(words), "{text}");
        assert!(PROBES.iter().all(|probe| text.contains(&format!(" {}", probe.name))), "{text}");
    }
    assert_eq!(home.try_cli(&["probe", "run", "drive", "alias"]).status.code(), Some(2));
    // One that the agent runs itself says nothing of the helper.
    let own = json(&home.cli(&["probe", "run", "memory", "--json"]));
    assert!(own["schema"] == "mimamori.probe/1" && own["probe"] == "memory" && own["helper"].is_null() && own["faults"] == serde_json::json!([]), "{own}");
    assert!(own["readings"]["memory"]["total_bytes"].as_i64() > Some(0) && own["took_us"].as_u64() > Some(0), "{own}");
    assert!(home.cli(&["probe", "run", "memory"]).contains("\nTaken in ") && home.cli(&["probe", "run", "memory", "--lang", "ja"]).contains("\n所要時間 "));
    // One that the helper runs: there is no file, and how to start it.
    let place = machine.root.join(REPORT);
    for (lang, words) in [("en", "there is no file of this boot at"), ("ja", "今回の起動後の")] {
        let done = home.try_cli(&["probe", "run", "drive", "--lang", lang]);
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.code() == Some(1) && text.contains(words) && text.contains(&place.display().to_string()), "{text}");
        for command in ["sudo systemctl enable --now mimamori-agent-hardware.timer", "sudo systemctl start mimamori-agent-hardware", "docs/HARDWARE.md"] {
            assert!(text.contains(command), "{command}: {text}");
        }
    }
    machine.install();
    machine.disk(true);
    let Some(done) = machine.helper(&[]) else { return };
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let done = home.try_cli(&["probe", "run", "drive"]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && text.contains(&format!("hardware helper: {}, of 20", place.display())), "{text}");
    assert!(text.contains("drive[sda].power_on_hours") && text.contains("4321") && !text.contains("->"), "{text}");
    // Who stands before the machine has to find the drive: what is a hash elsewhere is told here.
    assert!(text.lines().any(|line| line.starts_with("sn-") && line.contains(&format!(" = {PLANT} "))), "{text}");
    let shown = json(&home.cli(&["probe", "run", "drive", "--json"]));
    assert!(shown["helper"]["file"] == place.display().to_string() && shown["helper"]["fault"].is_null(), "{shown}");
    assert!((now_ms() - shown["helper"]["taken_at_ms"].as_i64().unwrap()).abs() < 3_600_000, "{shown}");
    // What the helper left out for want of a consent is told apart from a tool that is not installed.
    machine.consent(&CONSENT.replace("hardware = { }\n", ""));
    machine.helper(&[]).unwrap();
    let shown = json(&String::from_utf8(home.try_cli(&["probe", "run", "drive", "--json"]).stdout).unwrap());
    assert_eq!(shown["faults"], serde_json::json!([{"probe": "drive", "code": "not_consented"}]));
}

#[test]
fn check_has_a_line_for_each_probe_with_the_mend_of_what_is_missing() {
    let world = World::new("checks");
    let mut home = world.agent_home("ct-1");
    let machine = Machine::new(world.dir.join("machine"));
    agent_of(&machine, &mut home);
    let checked = |home: &AgentHome, lang: &str| {
        let done = home.try_cli(&["check", "--json", "--lang", lang]);
        json(&String::from_utf8(done.stdout).unwrap())["lines"].as_array().unwrap().clone()
    };
    let line = |lines: &[Value], name: &str| -> Value {
        let found: Vec<&Value> = lines.iter().filter(|line| line["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0].clone()
    };
    for lang in ["en", "ja"] {
        let lines = checked(&home, lang);
        let helper = line(&lines, "hardware helper");
        for probe in PROBES {
            let line = line(&lines, &format!("probe {}", probe.name));
            let own = if lang == "en" { probe.mend } else { probe.mend_ja };
            let mend = if probe.runs_in.asks_helper() { helper["mend"].as_str().unwrap() } else { own };
            assert!(!line["text"].as_str().unwrap().is_empty() && line["mend"] == if line["verdict"] == "ok" { "" } else { mend }, "{line}");
            assert!(!probe.runs_in.asks_helper() || line["verdict"] == "warn", "without the helper: {line}");
        }
        assert!(helper["verdict"] == "warn" && helper["text"].as_str().unwrap().contains(REPORT), "{helper}");
        assert!(helper["mend"].as_str().unwrap().contains("sudo systemctl enable --now mimamori-agent-hardware.timer"), "{helper}");
    }
    let lines = checked(&home, "en");
    let text = line(&lines, "probe drive")["text"].as_str().unwrap().to_owned();
    assert!(text.contains("its source is not there"), "{text}");
    assert_eq!((line(&lines, "probe cpu")["verdict"].as_str(), line(&lines, "probe memory")["verdict"].as_str()), (Some("ok"), Some("ok")));
    // The helper ran: what it could not do, and each fault with the mend of its own.
    machine.install();
    machine.disk(true);
    machine.tool("storcli", "echo 'Segmentation fault' >&2; exit 139");
    write(&machine.root.join("etc/mimamori/hardware.toml"), "[services]\ndb = \"postgresql\"\n[tools]\noff = [\"smartctl\"]\n", 0o644);
    if machine.helper(&[]).is_some() {
        for (lang, words) in [("en", "journalctl -u mimamori-agent-hardware"), ("ja", "に示された箇所を直し")] {
            let lines = checked(&home, lang);
            let told: Vec<&Value> = lines.iter().filter(|line| line["name"] == "hardware helper").collect();
            let refused = told.iter().find(|line| line["text"].as_str().unwrap().starts_with("config_refused: ")).unwrap();
            assert!(refused["text"].as_str().unwrap().contains("hardware.toml") && refused["verdict"] == "warn", "{refused}");
            assert!(!refused.to_string().contains("postgresql"), "what stands in it stays in the journal: {refused}");
            assert!(refused["mend"].as_str().unwrap().contains(words), "{refused}");
            let mend = |name: &str| line(&lines, name)["mend"].as_str().unwrap().to_owned();
            assert!(mend("probe drive").contains("[tools] off") && mend("probe array").contains("sudo mimamori-agent-hardware --print"), "{lines:?}");
        }
        let text = String::from_utf8(home.try_cli(&["probe", "run", "drive"]).stdout).unwrap();
        assert!(text.contains("hardware helper: config_refused: ") && text.contains("names the place; mend it") && text.contains("[tools] off"), "{text}");
        let shown = json(&String::from_utf8(home.try_cli(&["probe", "run", "drive", "--json"]).stdout).unwrap());
        assert!(shown["helper"]["faults"][0]["code"] == "config_refused" && shown["helper"]["faults"][0]["subject"].is_null(), "{shown}");
    }
    // What the consent does not cover is not read, and lacks nothing.
    let consent = fs::read_to_string(home.dir.join("consent.toml")).unwrap();
    home.consent(&consent.lines().filter(|line| !line.starts_with("hardware")).map(|line| format!("{line}\n")).collect::<String>());
    let lines = checked(&home, "en");
    let drive = line(&lines, "probe drive");
    assert!(drive["verdict"] == "ok" && drive["text"].as_str().unwrap().contains("the consent does not cover it"), "{drive}");
}

/// What root installed, and what the helper left, below a machine's root.
fn installed(root: &Path) {
    for path in [
        BOOT,
        "etc/mimamori/hardware.toml",
        "run/mimamori-agent-hardware/report.json",
        "var/lib/mimamori-agent-hardware/state.json",
        "var/lib/mimamori-agent-hardware/.state.json.new",
        "etc/systemd/system/mimamori-agent-hardware.timer",
        "etc/systemd/system/mimamori-agent-hardware.service",
        "etc/systemd/system/mimamori-agent-hardware.service.d/named.conf",
        "etc/systemd/system/mimamori-agent.service",
        "etc/systemd/system/other.service",
        "usr/bin/mimamori-agent",
        "usr/bin/mimamori-agent-hardware",
        "usr/lib/sysusers.d/mimamori-agent.conf",
        "usr/local/share/man/man1/mimamori-agent.1",
        "usr/local/share/man/man1/mimamori-agent-consent.1",
        "usr/local/share/man/man1/mimamori-agents.1",
    ] {
        write(&root.join(path), if path == BOOT { "00112233-4455-6677-8899-aabbccddeeff\n" } else { "x" }, 0o644);
    }
    fs::set_permissions(root.join("var/lib/mimamori-agent-hardware"), fs::Permissions::from_mode(0o700)).unwrap();
}

fn files(folder: &Path, found: &mut Vec<String>, root: &Path) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files(&entry, found, root) } else { found.push(entry.strip_prefix(root).unwrap().display().to_string()) }
    }
    found.sort();
}

#[test]
fn a_removal_names_what_root_has_to_do_and_then_nothing_of_ours_is_left() {
    let (_world, mut home) = enrolled("removed_whole");
    let root = home.dir.join("machine");
    installed(&root);
    home.sets.push(format!("host_root={}", root.display()));
    let named = |value: &Value, key: &str| value[key].as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let of_helper =
        ["run/mimamori-agent-hardware", "var/lib/mimamori-agent-hardware", "etc/mimamori/hardware.toml"].map(|path| root.join(path).display().to_string());
    // As the agent's account, which may take none of it away.
    let plan = json(&home.cli(&["uninstall", "--purge", "--json"]));
    let key = if home.is_root() { "would_leave" } else { "would_remove" };
    assert!(of_helper.iter().all(|path| named(&plan, key).contains(path)), "{plan}");
    assert_eq!(plan["installed"].as_array().unwrap().len(), 9, "{plan}");
    assert!(root.join(REPORT).is_file(), "a plan removes nothing");
    let text = home.cli(&["uninstall", "--purge"]);
    assert!(text.contains("(hardware helper)") || text.contains("only root may remove it"), "{text}");
    assert!(text.contains("mimamori-agent-hardware.timer (installed, root removes it)"), "{text}");
    // As the administrator.
    let done = home.admin(&["uninstall", "--purge", "--yes", "--offline", "--json"]);
    let certificate = json(&String::from_utf8(done.stdout.clone()).unwrap());
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(of_helper.iter().all(|path| named(&certificate, "removed").contains(path) && !Path::new(path).exists()), "{certificate}");
    let commands: Vec<&str> = certificate["still_to_do"].as_array().unwrap().iter().map(|command| command.as_str().unwrap()).collect();
    assert_eq!(commands[..2], ["sudo systemctl disable --now mimamori-agent-hardware.timer", "sudo systemctl disable mimamori-agent"]);
    let at = |command: &str| commands.iter().position(|one| *one == command).unwrap_or_else(|| panic!("{command}: {commands:#?}"));
    assert!(at(&format!("sudo rm -rf {}", of_helper[0])) > 1 && at("sudo systemctl daemon-reload") < at("sudo userdel mimamori-agent"), "{commands:#?}");
    // The timer ran once more before root had come to it.
    write(&root.join(REPORT), "x", 0o640);
    let script = format!("sudo() {{ case $1 in systemctl|userdel) ;; *) \"$@\";; esac; }}\nset -e\n{}\n", commands.join("\n"));
    assert!(program(Path::new("/bin/sh")).args(["-c", &script]).status().unwrap().success(), "{script}");
    let mut left = Vec::new();
    files(&root, &mut left, &root);
    assert_eq!(left, ["etc/systemd/system/other.service", BOOT, "usr/local/share/man/man1/mimamori-agents.1"]);
    assert!(home.dir.join("consent.toml").is_file() && !home.state_dir().exists(), "the consent is the facility's record");
    // Where only the helper is left, that is said too.
    installed(&root);
    let done = home.admin(&["uninstall", "--purge", "--yes"]);
    let text = said(&done);
    assert!(done.status.code() == Some(2) && text.contains("nothing of the agent") && text.contains(&format!("sudo rm {}", of_helper[2])), "{text}");
    assert!(text.contains("sudo systemctl disable --now mimamori-agent-hardware.timer"), "{text}");
}
