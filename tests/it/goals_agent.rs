//! Goals of the security plan about the agent that no other story shows: it never listens, whoever can write its
//! configuration is told, nothing a collector can say is a command, and no span of time strands it.

#![allow(clippy::disallowed_methods, reason = "sources and files of tests are looked at")]

use mimamori_shared::payload::{Certificate, EnrolState, Enrolled, Place, Receipt, ReceiptStatus, Refusal, RefusalReason, encode};
use mimamori_shared::sign::PayloadType;
use mimamori_tests::World;
use mimamori_tests::fleet::Fleet;
use mimamori_tests::process::{is_root, program};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

/// Calls by which something asks to be reached, in a trace; only the kernel's own answers (netlink) are no peer.
fn asks(trace: &Path) -> Vec<String> {
    let text = fs::read_to_string(trace).unwrap();
    let reachable = |line: &&str| line.contains("listen(") || line.contains("accept") || (line.contains("bind(") && !line.contains("AF_NETLINK"));
    text.lines().filter(reachable).map(str::to_owned).collect()
}

/// HD-02: TCP, UDP and Unix sockets, abstract ones too, whatever it is told to do.
#[test]
fn no_command_of_the_agent_asks_the_kernel_to_listen() {
    let strace = Path::new("/usr/bin/strace");
    assert!(strace.exists(), "strace is missing: `make setup` installs it");
    let mut world = World::new("strace");
    world.start();
    let home = world.agent_home("ct-1");
    home.enroll(&world.token_text(Some("ct-1")));
    let trace = world.dir.join("trace");
    let traced = |command: &std::process::Command| {
        let mut traced = program(strace);
        traced.args(["-f", "-qq", "-e", "trace=bind,listen,accept,accept4", "-o"]).arg(&trace);
        traced.args(["/usr/bin/timeout", "-s", "TERM", "8"]).arg(command.get_program()).args(command.get_args());
        traced.output().unwrap()
    };
    let mut modes = 0;
    for args in [
        &["run"][..],
        &["status"],
        &["check"],
        &["preview"],
        &["manifest"],
        &["consent", "show"],
        &["ledger", "verify"],
        &["ledger", "export"],
        &["config", "check"],
    ] {
        let done = traced(&home.command(args));
        assert!(matches!(done.status.code(), Some(0 | 1 | 124)), "{args:?}: {done:?}");
        assert_eq!(asks(&trace), Vec::<String>::new(), "{args:?}");
        modes += 1;
    }
    // The way of looking finds what there is.
    let mut listens = program(Path::new("/usr/bin/python3"));
    listens.args(["-c", "import socket; s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + 'mimamori-test'); s.listen()"]);
    assert!(traced(&listens).status.success());
    assert_eq!(asks(&trace).len(), 2);
    println!("{modes} modes traced: nothing listens, nothing is bound");
}

/// HD-06.
#[test]
fn files_that_others_may_read_or_write_are_refused() {
    let world = World::new("modes");
    let home = world.agent_home("ct-1");
    let file = home.dir.join("agent.toml");
    fs::write(&file, "interval = \"60s\"\n").unwrap();
    let root = is_root(&home.dir);
    let owners: &[Option<u32>] = if root { &[Some(0), Some(65_534), Some(12_345)] } else { &[None] };
    let (mut tried, mut refused) = (0, 0);
    for owner in owners {
        if let Some(owner) = owner {
            chown(&file, Some(*owner), Some(*owner)).unwrap();
        }
        for mode in [0o644, 0o600, 0o640, 0o664, 0o646, 0o666, 0o622, 0o602, 0o777, 0o444, 0o400] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let mut command = home.command(&["config", "check"]);
            command.args(["--config", &file.display().to_string()]);
            let arguments: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
            // The harness names a file that is not there; this one stands in its place.
            let mut command = program(Path::new(command.get_program()));
            let pair = arguments.windows(2).position(|pair| pair[0] == "--config").unwrap();
            command.args(arguments.iter().enumerate().filter(|(at, _)| *at != pair && *at != pair + 1).map(|(_, argument)| argument));
            let done = command.output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            let by_others = mode & 0o022 != 0 || *owner == Some(12_345);
            let unreadable = root && !matches!(owner, Some(65_534)) && mode & 0o004 == 0;
            tried += 1;
            assert_eq!(done.status.success(), !by_others && !unreadable, "mode {mode:o}, owner {owner:?}: {said}");
            assert_eq!(said.contains("chmod go-w"), by_others, "mode {mode:o}, owner {owner:?}: {said}");
            refused += usize::from(!done.status.success());
        }
    }
    println!("{tried} modes and owners of the configuration: {refused} refused");
    assert!(refused * 2 > tried && refused < tried);
}

/// Words a collector may say.
const WORDS: &[&str] = &[
    "receipt",
    "refusal",
    "enrolled",
    "certificate",
    "ok",
    "forked",
    "behind",
    "diverged",
    "revoked",
    "too_many_branches",
    "too_many_chains",
    "pending",
    "active",
    "hcf-1",
    "ct-1",
];

/// HD-08, by the types: a further field or reason does not compile here until somebody has looked at it.
#[test]
fn what_a_collector_can_say_is_numbers_names_and_hashes() {
    for kind in PayloadType::ALL {
        match kind {
            PayloadType::Receipt | PayloadType::Refusal | PayloadType::Enrolled | PayloadType::Certificate => {}
            // What agents and tools sign.
            PayloadType::Report | PayloadType::Statement | PayloadType::Loss | PayloadType::Enrol | PayloadType::Bundle => {}
        }
    }
    let (zero, hash) = (Default::default(), mimamori_shared::id::Hash([0xab; 32]));
    let receipt = Receipt {
        collector_id: zero,
        agent_id: Default::default(),
        chain_id: Default::default(),
        branch: 1,
        seq: 2,
        head_hash: hash,
        received_at_ms: 3,
        lease: Default::default(),
        status: ReceiptStatus::Forked,
    };
    let place = Place { chain_id: receipt.chain_id, seq: 4, hash };
    let enrolled = Enrolled {
        collector_id: zero,
        agent_id: receipt.agent_id,
        key_id: Default::default(),
        token_id: Default::default(),
        facility: "hcf-1".parse().unwrap(),
        machine: "ct-1".parse().unwrap(),
        state: EnrolState::Active,
        enrolled_at_ms: 5,
    };
    let certificate = Certificate { collector_id: zero, key_id: Default::default(), public_key: "A".repeat(44), issued_at_ms: 6 };
    let mut said =
        vec![encode(PayloadType::Receipt, &[&receipt]), encode(PayloadType::Enrolled, &[&enrolled]), encode(PayloadType::Certificate, &[&certificate])];
    let reasons = [
        RefusalReason::Behind { next_seq: 1, head_hash: hash },
        RefusalReason::Diverged { ancestor: Some(place), branch: 1, seq: 2, head_hash: hash },
        RefusalReason::Revoked,
        RefusalReason::TooManyBranches,
        RefusalReason::TooManyChains,
    ];
    for reason in reasons {
        match reason {
            RefusalReason::Behind { next_seq: _, head_hash: _ } | RefusalReason::Diverged { ancestor: _, branch: _, seq: _, head_hash: _ } => {}
            RefusalReason::Revoked | RefusalReason::TooManyBranches | RefusalReason::TooManyChains => {}
        }
        let refusal = Refusal { collector_id: zero, agent_id: receipt.agent_id, chain_id: receipt.chain_id, in_reply_to: hash, reason };
        said.push(encode(PayloadType::Refusal, &[&refusal]));
    }
    let mut leaves = 0;
    for payload in &said {
        look(&serde_json::from_slice(payload).unwrap(), &mut leaves);
    }
    println!("{} sayings of a collector, {leaves} values: numbers, known words and hashes", said.len());
    assert!(leaves > 60);
}

fn look(value: &Value, leaves: &mut usize) {
    *leaves += 1;
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => assert!(number.is_i64() || number.is_u64(), "{number} is no whole number"),
        Value::String(text) => {
            let hex = [16, 32, 64].contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(hex || text.len() == 44 || WORDS.contains(&text.as_str()), "{text} is neither hash, key nor known word");
        }
        Value::Array(items) => items.iter().for_each(|item| look(item, leaves)),
        Value::Object(members) => members.values().for_each(|member| look(member, leaves)),
    }
}

pub(crate) fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// What of a file is no test.
fn product(path: &Path) -> Option<String> {
    let shown = path.display().to_string();
    let (_, shown) = shown.split_once("/../").unwrap();
    if ["/tests", "_tests", "/contract/", "/rig.rs", "/corpus"].iter().any(|part| shown.contains(part)) {
        return None;
    }
    let text = fs::read_to_string(path).unwrap();
    let tests = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(super) mod tests {"];
    Some(tests.iter().fold(text.as_str(), |text, begins| text.split(begins).next().unwrap()).to_owned())
}

fn starts_others(text: &str) -> bool {
    ["Command::new(", "process::Command", "CommandExt", "posix_spawn", "execve", "libc::fork"].iter().any(|way| text.contains(way))
}

/// HD-08: there is nothing that a collector's word could start. The hardware helper starts tools; it hears nobody.
#[test]
fn neither_program_starts_others() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    ["agent/src", "agent/parse/src", "collector/src", "collector/domain/src", "shared/src"].iter().for_each(|folder| sources(&top.join(folder), &mut files));
    let looked: Vec<(PathBuf, String)> = files.into_iter().filter_map(|path| product(&path).map(|text| (path, text))).collect();
    let named = |what: fn(&str) -> bool| -> Vec<String> {
        let found = looked.iter().filter(|(_, text)| what(text)).map(|(path, _)| path.strip_prefix(&top).unwrap().display().to_string());
        let mut found: Vec<String> = found.filter(|path| !path.starts_with("agent/src/backup/")).collect();
        found.sort();
        found
    };
    assert_eq!(named(starts_others), Vec::<String>::new());
    // `backup run` starts what its caller wrote on the command line. Nothing else knows of it: neither the running agent nor
    // anything that a collector's word reaches.
    let mut knows = named(|text| text.contains("crate::backup::"));
    knows.retain(|path| path.starts_with("agent/src/"));
    assert_eq!(knows, ["agent/src/cli.rs", "agent/src/command/mod.rs"]);
    assert!(looked.len() > 100 && starts_others("std::process::Command::new(\"sh\")"), "{} files", looked.len());
}

/// Incident 36: nothing about an agent ends by itself.
#[test]
fn after_years_in_a_drawer_an_agent_still_reports() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::in_a_drawer(dir.path(), 5 * 365);
    let sums = fleet.account();
    let (created, accepted) = sums.values().fold((0, 0), |(created, accepted), sum| (created + sum.created, accepted + sum.accepted));
    let years = 5 * 365 * mimamori_tests::fleet::DAY_MS;
    let after = fleet.machines[0].made.iter().filter(|made| made.at_ms > mimamori_tests::fleet::START_MS + years).count();
    assert_eq!((created, sums.len()), (accepted, 1), "all of it arrived, in the one chain it always had");
    assert!(after >= 20, "{after} entries after five years");
    println!("{created} entries, {after} of them after five years: all accepted, no new chain, no new key");
}
