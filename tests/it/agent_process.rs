//! The real agent as a process: what it opens, what it keeps, how it ends, what it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and figures are printed"
)]
#![allow(clippy::disallowed_methods, reason = "processes are looked at through their files")]

use mimamori_tests::process::Guard;
use mimamori_tests::story::{enrolled, held, ledger, reports, said, signal, stop};
use mimamori_tests::{AgentHome, World, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);
/// Nobody's account, under which the agent runs when the tests run as root.
const NOBODY: u32 = 65_534;

/// Inodes of a process's sockets.
fn sockets(pid: u32) -> BTreeSet<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// Those of a process's sockets that somebody else could reach: what listens, and datagram sockets bound to no peer.
fn reachable(pid: u32) -> Vec<String> {
    let own = sockets(pid);
    let mut found = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6", "unix"] {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/net/{table}")) else { continue };
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split_ascii_whitespace().collect();
            // proc(5): `st` 0A listens, 07 is unconnected; unix sockets carry __SO_ACCEPTCON in `Flags`, and a path when bound.
            let (inode, open) = match table {
                "tcp" | "tcp6" => (cells[9], cells[3] == "0A"),
                "udp" | "udp6" => (cells[9], cells[3] == "07"),
                _ => (cells[6], cells[3] == "00010000" || cells.get(7).is_some_and(|path| !path.is_empty())),
            };
            if open && own.contains(inode) {
                found.push(format!("{table} {line}"));
            }
        }
    }
    found
}

/// I1.
#[test]
fn it_listens_nowhere_while_it_reports() {
    let (world, home) = enrolled("listens");
    let guard = home.run();
    let mut looked = 0;
    let mut connected = false;
    wait_until("three reports", SOON, || {
        assert_eq!(reachable(guard.0.id()), Vec::<String>::new());
        connected |= !sockets(guard.0.id()).is_empty();
        looked += 1;
        reports(&world) >= 3
    });
    assert!(connected && looked > 20, "looked {looked} times, sockets seen: {connected}");
    // The way of looking finds what there is: the collector's three listeners, and a datagram socket of this process.
    assert_eq!(reachable(world.pid().unwrap()).len(), 3);
    let _udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let _unix = UnixDatagram::bind(world.dir.join("bound")).unwrap();
    let own = reachable(std::process::id());
    assert!(own.iter().any(|line| line.starts_with("udp ")) && own.iter().any(|line| line.starts_with("unix ") && line.ends_with("/bound")), "{own:?}");
    println!("looked {looked} times: no socket that anybody could reach");
}

#[test]
fn sigterm_ends_it_at_once_and_a_second_start_goes_on() {
    let (mut world, home) = enrolled("sigterm");
    let guard = home.run();
    wait_until("two reports", SOON, || reports(&world) >= 2);
    let (code, took) = stop(guard);
    assert!(code == Some(0) && took < Duration::from_secs(5), "{code:?} after {took:?}: {}", home.log());
    let first = ledger(&home);
    assert!(first.iter().all(|entry| entry["receipted"] == true), "a clean stop keeps what was receipted: {first:?}");
    assert_eq!(first.len(), held(&world).len());
    // With nobody to answer it ends as fast, and what it made meanwhile is there.
    world.kill();
    let guard = home.run();
    wait_until("two reports more", SOON, || ledger(&home).len() >= first.len() + 2);
    let seen = ledger(&home);
    let (code, took) = stop(guard);
    assert!(code == Some(0) && took < Duration::from_secs(5), "{code:?} after {took:?}");
    let second = ledger(&home);
    assert!(second.len() >= seen.len() && second[..seen.len()].iter().zip(&seen).all(|(a, b)| a["hash"] == b["hash"]));
    let status: Value = serde_json::from_str(&home.cli(&["status", "--json"])).unwrap();
    assert_eq!(status["chain_id"], first[0]["chain_id"], "{status}");
    assert_eq!((second.last().unwrap()["seq"].as_u64(), second[0]["seq"].as_u64()), (Some(second.len() as u64 - 1), Some(0)));
    world.start();
    let guard = home.run();
    wait_until("everything arrives", SOON, || held(&world).len() > second.len());
    stop(guard);
    assert_eq!(world.machines()[0]["epoch"], 1, "one chain all along");
    println!("{} entries over three starts in one chain; ends {took:?} after SIGTERM", ledger(&home).len());
    world.fsck();
}

#[test]
fn a_second_agent_on_the_same_folder_is_refused() {
    let (world, home) = enrolled("second");
    let _guard = home.run();
    wait_until("a report", SOON, || reports(&world) >= 1);
    let second = home.try_cli(&["run"]);
    assert!(second.status.code() == Some(1) && said(&second).contains("another agent runs"), "{:?} {}", second.status, said(&second));
    let before = reports(&world);
    wait_until("the first one goes on", SOON, || reports(&world) > before);
    assert_eq!(world.machines()[0]["forked"], false);
}

#[test]
fn root_is_refused() {
    if !Path::new("/proc/self").metadata().is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0) {
        println!("root_is_refused: only root can try; not run as root here");
        return;
    }
    let (_world, home) = enrolled("root");
    let mut command = mimamori_tests::process::command("mimamori-agent");
    let done = command.args(["--set", &format!("state_dir={}", home.state_dir().display()), "run"]).output().unwrap();
    assert!(done.status.code() == Some(78) && said(&done).contains("does not run as root"), "{:?} {}", done.status, said(&done));
}

/// I9.
#[test]
fn a_withdrawn_consent_stops_everything_but_one_statement() {
    let (mut world, mut home) = enrolled("withdrawn");
    let consent = home.dir.join("consent.toml");
    let text = fs::read_to_string(&consent).unwrap();
    let guard = home.run();
    wait_until("two reports", SOON, || reports(&world) >= 2);
    fs::remove_file(&consent).unwrap();
    wait_until("the collector knows", Duration::from_secs(5), || world.machines()[0]["presence"] == "not_consented");
    let after = held(&world);
    let last = after.last().unwrap();
    assert!(last["type"] == "statement" && last["reason"] == "consent" || last.to_string().contains("withdrawn"), "{last}");
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(held(&world).len(), after.len(), "something left after the withdrawal");
    let created = ledger(&home).len();
    assert_eq!(created, after.len());
    home.consent(&text);
    wait_until("it goes on", SOON, || reports(&world) > after.iter().filter(|payload| payload["type"] == "report").count());
    wait_until("and is seen", SOON, || world.machines()[0]["presence"] == "up");
    // With reports unsent: they are dropped, and the loss is told.
    world.kill();
    let sent = ledger(&home).len();
    wait_until("unsent reports", SOON, || ledger(&home).len() >= sent + 2);
    fs::remove_file(&consent).unwrap();
    wait_until("the purge", SOON, || ledger(&home).last().is_some_and(|entry| entry["payload"].to_string().contains("withdrawn")));
    world.start();
    // Its tries were further and further apart while the collector was gone.
    wait_until("the collector knows again", Duration::from_secs(90), || world.machines()[0]["presence"] == "not_consented");
    let tail = held(&world);
    let (loss, statement) = (&tail[tail.len() - 2], &tail[tail.len() - 1]);
    assert!(loss["type"] == "loss" && loss["reason"] == "withdrawn", "{loss}");
    assert!(
        statement.to_string().contains("\"withdrawn\"")
            && ["sample", "unchanged", "change"].iter().map(|class| statement["purged"][class].as_u64().unwrap()).sum::<u64>() >= 2,
        "{statement}"
    );
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(held(&world).len(), tail.len());
    // The longer of two intervals counts, also when the consent comes while it runs.
    home.sets.clear();
    home.consent(&text.replace("\"5s\"", "\"20s\""));
    // The scope was taken under the old terms just now, so up to 20 s pass before it is due.
    wait_until("the new consent's report", Duration::from_secs(45), || held(&world).last().is_some_and(|last| last["type"] == "report"));
    let plan = held(&world).into_iter().rev().find(|payload| payload["type"] == "statement" && payload.get("plan").is_some());
    assert_eq!(plan.unwrap()["plan"]["interval_s"], 20);
    let count = reports(&world);
    std::thread::sleep(Duration::from_secs(11));
    assert!(reports(&world) <= count + 1, "consented every 20 s, but {} reports in 11 s", reports(&world) - count);
    assert_eq!(stop(guard).0, Some(0));
    world.fsck();
}

/// I8: plain, in the outbox's file, in the export.
#[test]
fn nothing_that_left_names_the_approver_or_the_reason() {
    let (world, home) = enrolled("people");
    let text = fs::read_to_string(home.dir.join("consent.toml")).unwrap();
    let (approver, reason) = ("Yamada-Hanako-7731", "Contract-QX-2290");
    home.consent(&text.replace("\"Nobody\"", &format!("\"{approver}\"")).replace("\"Example\"", &format!("\"{reason}\"")));
    let guard = home.run();
    wait_until("two reports", SOON, || reports(&world) >= 2);
    stop(guard);
    assert!(home.cli(&["consent", "show"]).contains(approver), "it is shown on the machine itself");
    let mut bytes = Vec::new();
    for entry in fs::read_dir(home.state_dir()).unwrap().map(Result::unwrap) {
        bytes.extend(fs::read(entry.path()).unwrap());
    }
    for entry in fs::read_dir(world.state_dir()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        bytes.extend(fs::read(entry.path()).unwrap());
    }
    bytes.extend(home.cli(&["ledger", "export"]).into_bytes());
    bytes.extend(home.cli(&["ledger", "show", "--last", "1000", "--full"]).into_bytes());
    let holds = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    assert!(holds("approval_hash") && bytes.len() > 50_000, "{} bytes", bytes.len());
    for word in [approver, reason, "Yamada", "QX-2290", "WWFtYWRh"] {
        assert!(!holds(word), "{word} left the machine");
    }
    for entry in ledger(&home) {
        let payload = entry["payload"].to_string();
        assert!(!payload.contains("Hanako") && !payload.contains("Contract"), "{payload}");
    }
}

#[test]
fn every_command_speaks_json_with_a_schema() {
    let (world, home) = enrolled("json");
    let guard = home.run();
    wait_until("two reports", SOON, || reports(&world) >= 2);
    for (args, schema) in [
        (&["manifest", "--json"][..], "mimamori.manifest/1"),
        (&["consent", "show", "--json"], "mimamori.consent/1"),
        (&["status", "--json"], "mimamori.status/1"),
        (&["ledger", "verify", "--json"], "mimamori.verify/1"),
        (&["check", "--json"], "mimamori.check/1"),
        (&["config", "show", "--effective", "--origin", "--json"], "mimamori.config/1"),
    ] {
        let text = home.cli(args);
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{args:?}: {fault}: {text}"));
        assert_eq!(value["schema"], schema, "{args:?}");
    }
    let shown = ledger(&home);
    assert!(shown.len() >= 5 && shown.iter().all(|entry| entry["schema"] == "mimamori.ledger.entry/1"));
    let before = held(&world).len();
    let preview = home.cli(&["preview"]);
    let payloads: Vec<Value> = preview.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let next = payloads.last().unwrap();
    assert!(next["v"] == 1 && next["type"] == "report" && next["agent_id"] == shown[0]["payload"]["agent_id"], "{next}");
    assert!(next["seq"].as_u64() >= Some(before as u64), "{next}");
    stop(guard);
}

#[test]
fn exit_codes_are_as_documented() {
    let mut world = World::new("codes");
    world.start();
    let home = world.agent_home("ct-1");
    #[track_caller]
    fn check(home: &AgentHome, args: &[&str], code: i32, words: &str) {
        let done = home.try_cli(args);
        assert!(done.status.code() == Some(code) && said(&done).contains(words), "{args:?}: {:?}, wanted {code} and {words:?}: {}", done.status, said(&done));
    }
    check(&home, &["config", "check"], 0, "");
    check(&home, &["completion", "bash"], 0, "");
    check(&home, &["no-such-command"], 2, "no-such-command");
    check(&home, &["enroll"], 2, "--token-file");
    check(&home, &["enroll", "--token-file", "/nonexistent/token"], 2, "/nonexistent/token");
    check(&home, &["run"], 78, "not enrolled");
    check(&home, &["status"], 78, "not enrolled");
    check(&home, &["ledger", "verify"], 78, "not enrolled");
    check(&home, &["check"], 1, "");
    home.enroll(&world.token_text(Some("ct-1")));
    check(&home, &["ledger", "verify"], 2, "empty");
    check(&home, &["check"], 0, "");
    fs::remove_file(home.dir.join("consent.toml")).unwrap();
    check(&home, &["consent", "show"], 1, "there is no consent");
    check(&home, &["preview"], 1, "nothing would leave");
    check(&home, &["check"], 1, "");
}

#[test]
fn all_mistakes_of_a_configuration_are_named_at_once() {
    let world = World::new("mistakes");
    let mut home = world.agent_home("ct-1");
    home.sets = ["intervall=5s", "interval=1s", "outbox.size=much", "collector.url=ftp://x", "proxy.from_environment=perhaps"].map(str::to_owned).to_vec();
    for args in [&["config", "check"][..], &["run"], &["status"]] {
        let done = home.try_cli(args);
        assert_eq!(done.status.code(), Some(78), "{args:?}");
        for word in ["intervall", "did you mean `interval`", "outbox.size", "collector.url", "proxy.from_environment"] {
            assert!(said(&done).contains(word), "{args:?} does not name {word}: {}", said(&done));
        }
        assert_eq!(said(&done).lines().filter(|line| line.contains("mimamori-agent: ")).count(), 5, "{}", said(&done));
    }
}

/// I15.
#[test]
fn secrets_that_others_can_read_are_refused() {
    let (_world, mut home) = enrolled("exposed");
    let key = home.state_dir().join("identity.key");
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let done = home.try_cli(&["run"]);
        assert!(done.status.code() == Some(78) && said(&done).contains("chmod 600"), "{mode:o}: {:?} {}", done.status, said(&done));
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let password = home.dir.join("password");
    fs::write(&password, "secret-word").unwrap();
    if fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0) {
        chown(&password, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    home.sets.extend([format!("proxy.password_file={}", password.display()), "proxy.user=u".to_owned(), "proxy.url=http://127.0.0.1:9".to_owned()]);
    for (mode, code) in [(0o644, 78), (0o600, 0)] {
        fs::set_permissions(&password, fs::Permissions::from_mode(mode)).unwrap();
        let done = home.try_cli(&["config", "check"]);
        assert!(done.status.code() == Some(code) && !said(&done).contains("secret-word"), "{mode:o}: {:?} {}", done.status, said(&done));
        assert_eq!(said(&done).contains("chmod 600"), code == 78);
    }
    let token = home.dir.join("token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let done = home.try_cli(&["enroll", "--token-file", &token.display().to_string()]);
    assert!(matches!(done.status.code(), Some(2 | 78)), "{:?} {}", done.status, said(&done));
}

#[test]
fn the_manager_hears_ready_and_the_watchdog() {
    let (world, home) = enrolled("notify");
    let path = world.dir.join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut command = home.command(&["run"]);
    let log = fs::File::create(home.dir.join("agent.log")).unwrap();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "10000000").stdout(std::process::Stdio::null()).stderr(log);
    let guard = Guard(command.spawn().unwrap());
    let hear = || {
        let mut buffer = [0; 512];
        let length = manager.recv(&mut buffer).unwrap_or_else(|fault| panic!("the manager hears nothing: {fault}"));
        String::from_utf8(buffer[..length].to_vec()).unwrap().trim().to_owned()
    };
    let first = hear();
    assert_eq!(first, "READY=1");
    let start = Instant::now();
    let mut beats = 0;
    while beats < 4 {
        if hear() == "WATCHDOG=1" {
            beats += 1;
        }
    }
    // Four signs of life within as many watchdog times; systemd waits for one in each.
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
    signal(guard.0.id(), "TERM");
    let mut words = Vec::new();
    while words.last().is_none_or(|word| word != "STOPPING=1") {
        words.push(hear());
    }
    println!("READY=1, then {beats} times WATCHDOG=1 in {:?}, then STOPPING=1", start.elapsed());
}
