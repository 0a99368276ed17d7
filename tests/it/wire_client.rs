//! A second implementation, made from docs/WIRE.md alone, against the real programs: what is written down is what is done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests: a panic is a failed test")]

use mimamori_tests::process::python;
use mimamori_tests::world::FACILITY;
use mimamori_tests::{Random, World, wait_until};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

fn client(world: &World, machine: &str, attack: bool) -> Value {
    let token = world.dir.join(format!("{machine}.token"));
    fs::write(&token, world.token_text(Some(machine))).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let (token, ca) = (token.display().to_string(), world.state_dir().join("ca.pem").display().to_string());
    let mut args = vec!["--token-file", &token, "--ca", &ca];
    args.extend(attack.then_some("--attack"));
    let done = python("client.py", &args);
    assert_eq!(done.status.code(), Some(0), "{}\n{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn a_client_made_from_the_document_alone_enrols_reports_and_is_receipted() {
    let mut world = World::new("wire");
    world.start();
    let said = client(&world, "ct-1", false);
    assert_eq!((&said["ok"], &said["fault"], &said["enrolled"]["state"]), (&true.into(), &Value::Null, &"active".into()), "{said}");
    let kept = world.export("ct-1");
    let places: Vec<u64> = kept.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(places, [0, 1, 2, 3], "an opening and three reports");
    assert_eq!(kept[3]["hash"], said["chain"]["head_hash"], "both sides name the same tip");
    assert_eq!(kept[3]["chain_id"], said["chain"]["chain_id"]);
    world.fsck();
}

#[test]
fn whatever_that_client_attacks_with_is_refused_and_nothing_moves() {
    let mut world = World::new("attack");
    world.start();
    let start = Instant::now();
    let said = client(&world, "ct-1", true);
    let checks = said["checks"].as_array().unwrap();
    let wrong: Vec<&Value> = checks.iter().filter(|check| check["ok"] != true).collect();
    assert!(said["ok"] == true && said["fault"].is_null() && wrong.is_empty(), "{wrong:?} {}", said["fault"]);
    assert!(checks.len() >= 35, "only {} attacks", checks.len());
    let flips = checks.iter().find(|check| check["name"] == "every bit flipped").expect("flips");
    let count = |status: &str| flips["by_status"][status].as_u64().unwrap_or(0);
    let requests = flips["requests"].as_u64().unwrap();
    assert!(requests > 5000 && count("400") + count("401") == requests, "{flips}");
    assert!(count("401") > 1000 && count("400") > 100, "both the form and the signature refuse: {flips}");
    println!("{} attacks, {requests} bit flips ({}) refused in {:.1?}", checks.len(), flips["by_status"], start.elapsed());
    // 4 entries, the one that was flipped, and the fork made on purpose: two entries on a branch of their own.
    let kept: Vec<(u64, u64)> = world.export("ct-1").iter().map(|line| (line["branch"].as_u64().unwrap(), line["seq"].as_u64().unwrap())).collect();
    assert_eq!(kept, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 4), (1, 5)]);
    assert_eq!(world.machines()[0]["forked"], true);
    world.fsck();
}

fn verify(file: &Path, trust: &Path) -> Output {
    python("verify.py", &[&file.display().to_string(), "--trust", &trust.display().to_string()])
}

/// The value of a line that `enroll` printed.
fn printed<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[test]
fn the_ledger_of_the_real_agent_verifies_without_any_code_of_ours_and_one_byte_breaks_it() {
    let mut world = World::new("ledger");
    world.start();
    let home = world.agent_home("ct-1");
    let said = home.enroll(&world.token_text(Some("ct-1")));
    let running = home.run();
    wait_until("the agent reports three times at 5 s", Duration::from_secs(30), || world.export("ct-1").len() >= 6);
    drop(running);
    let ledger = world.dir.join("ledger.jsonl");
    fs::write(&ledger, home.cli(&["ledger", "export"])).unwrap();
    let trust = world.dir.join("trust.toml");
    let (machine, root) = (printed(&said, "Fingerprint of this machine's key"), printed(&said, "Fingerprint of the collector's root"));
    fs::write(&trust, format!("collector_root = \"{root}\"\nagents = [\"{machine}\"]\n")).unwrap();
    let done = verify(&ledger, &trust);
    let found: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
    assert_eq!(done.status.code(), Some(0), "{found} {}", String::from_utf8_lossy(&done.stderr));
    assert!(found["ok"] == true && found["trusted"] == true, "{found}");
    assert!(found["reports"].as_u64().unwrap() >= 3 && found["receipts"].as_u64().unwrap() >= 1, "{found}");
    let ours: Value = serde_json::from_str(&home.cli(&["ledger", "verify", "--json"])).unwrap();
    for counted in ["entries", "reports", "receipts"] {
        assert_eq!(ours[counted], found[counted], "both verifiers count {counted} alike");
    }
    assert!(found["entries"].as_u64() > found["reports"].as_u64(), "statements are entries and no reports: {found}");
    fs::write(&trust, format!("collector_root = \"{root}\"\nagents = [\"{root}\"]\n")).unwrap();
    assert_eq!(verify(&ledger, &trust).status.code(), Some(1), "a key the facility did not write down");
    fs::write(&trust, format!("collector_root = \"{root}\"\nagents = [\"{machine}\"]\n")).unwrap();
    one_byte_breaks_it(&fs::read(&ledger).unwrap(), &world.dir.join("changed.jsonl"), &trust);
    world.fsck();
}

/// What the collector keeps, through a change of the machine's key and a fork, by the same verifier.
#[test]
fn what_a_collector_exports_verifies_without_any_code_of_ours_and_one_byte_breaks_it() {
    let mut world = World::new("evidence");
    world.start();
    let home = world.agent_home("ct-1");
    let said = home.enroll(&world.token_text(Some("ct-1")));
    let running = home.run();
    wait_until("the agent reports", SOON, || world.export("ct-1").len() >= 4);
    home.cli(&["key", "rotate"]);
    let signers = |world: &World| -> HashSet<String> {
        let wrapper = |line: &Value| line["frame"][1].as_str().unwrap().split(' ').next().unwrap().to_owned();
        world.export("ct-1").iter().map(wrapper).collect()
    };
    wait_until("two keys have signed", SOON, || signers(&world).len() == 2);
    drop(running);
    let trust = world.dir.join("trust.toml");
    let (machine, root) = (printed(&said, "Fingerprint of this machine's key"), printed(&said, "Fingerprint of the collector's root"));
    let trusting = |agent: &str| fs::write(&trust, format!("collector_root = \"{root}\"\nagents = [\"{agent}\"]\n")).unwrap();
    trusting(machine);
    let verdict = |file: &Path| -> (Option<i32>, Value) {
        let done = verify(file, &trust);
        (done.status.code(), serde_json::from_slice(&done.stdout).unwrap())
    };
    let (file, good) = exported(&world, "ct-1");
    let kept = world.export("ct-1").len();
    let (code, found) = verdict(&file);
    assert!(code == Some(0) && found["ok"] == true && found["trusted"] == true && found["entries"] == kept, "{found}");
    assert!(found["reports"].as_u64() > Some(0) && found["chains"][0]["branch"] == 0, "{found}");
    one_byte_breaks_it(good.as_bytes(), &world.dir.join("changed.jsonl"), &trust);
    // What is cut off, or put behind; and what is whole, but of a key that nobody wrote down.
    let lines: Vec<&str> = good.lines().collect();
    for bad in [lines[..lines.len() - 1].join("\n") + "\n", format!("{good}{}\n", lines[lines.len() - 1]), good.replacen(lines[2], lines[3], 1)] {
        fs::write(&file, bad).unwrap();
        let (code, found) = verdict(&file);
        assert!(code == Some(1) && found["first_fault"].is_string(), "{found}");
    }
    fs::write(&file, &good).unwrap();
    trusting(root);
    assert_eq!(verdict(&file).0, Some(1));
    world.fsck();
}

#[test]
fn an_export_with_a_fork_verifies_branch_by_branch() {
    let mut world = World::new("branches");
    world.start();
    let said = client(&world, "ct-1", true);
    assert_eq!(said["ok"], true, "{said}");
    let (file, _) = exported(&world, "ct-1");
    let done = python("verify.py", &[&file.display().to_string()]);
    let found: Value = serde_json::from_slice(&done.stdout).unwrap();
    let branches: Vec<_> = found["chains"].as_array().unwrap().iter().map(|chain| [&chain["branch"], &chain["first_seq"], &chain["last_seq"]]).collect();
    assert_eq!(serde_json::json!(branches), serde_json::json!([[0, 0, 4], [1, 4, 5]]), "{found}");
    assert!(done.status.code() == Some(0) && found["trusted"] == false && found["note"].is_string(), "{found}");
}

/// The file that `export` writes of a machine, and what is in it.
fn exported(world: &World, machine: &str) -> (PathBuf, String) {
    let file = world.dir.join("evidence.jsonl");
    world.cli(&["export", &format!("{FACILITY}/{machine}"), "--output", &file.display().to_string()]);
    let text = fs::read_to_string(&file).unwrap();
    (file, text)
}

/// One byte in each line, and more at random places; the change keeps to ASCII, so that the file stays readable.
/// The one thing of a ledger that nobody signs is when the file was written.
fn one_byte_breaks_it(good: &[u8], path: &Path, trust: &Path) {
    let seed = 20_261_122;
    let mut random = Random(seed);
    let mut at: Vec<usize> = (0..40).map(|_| usize::try_from(random.between(0, good.len() as u64)).unwrap()).collect();
    let ends: Vec<usize> = good.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    at.extend(&ends);
    at.extend(ends.iter().map(|end| end - 20));
    if let Some(stamp) = String::from_utf8_lossy(good).find("\"exported_at_ms\":") {
        let digits = stamp + "\"exported_at_ms\":".len();
        at.retain(|place| !(digits..digits + 13).contains(place));
    }
    for place in &at {
        let mut bad = good.to_vec();
        bad[*place] ^= 1;
        fs::write(path, bad).unwrap();
        let code = verify(path, trust).status.code();
        let around = String::from_utf8_lossy(&good[place.saturating_sub(40)..(place + 20).min(good.len())]).into_owned();
        assert_eq!(code, Some(1), "byte {place} (seed {seed}), near {around:?}");
    }
    println!("{} single bytes changed in {}: each was found", at.len(), good.len());
}
