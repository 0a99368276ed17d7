//! What `status`, `check` and the page say when the collector answers and takes nothing, with the real programs.

use mimamori_tests::world::FACILITY;
use mimamori_tests::{AgentHome, World, wait_until};
use serde_json::Value;
use std::fs;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn noted(home: &AgentHome) -> Vec<String> {
    let status: Value = serde_json::from_str(&home.cli(&["status", "--json"])).unwrap();
    status["noted"].as_array().unwrap().iter().map(|noted| noted["kind"].as_str().unwrap().to_owned()).collect()
}

/// All three say the same, in both languages.
#[track_caller]
fn told(home: &AgentHome, en: &[&str], ja: &[&str]) {
    let page = home.state_dir().join("page.html");
    home.cli(&["report", "--html", &page.display().to_string()]);
    let page = fs::read_to_string(page).unwrap();
    for (lang, words) in [("en", en), ("ja", ja)] {
        let status = home.cli(&["status", "--lang", lang]);
        let check = home.try_cli(&["check", "--lang", lang]);
        let check = (check.status.code(), String::from_utf8(check.stdout).unwrap());
        for word in words {
            assert!(status.contains(word), "{word}: {status}");
            assert!(check.0 == Some(1) && check.1.contains(word), "{word}: {check:?}");
            assert!(page.contains(word), "{word}: {page}");
        }
        assert!(!status.contains("portal") && !status.contains("ポータル"), "the way is no suspect: {status}");
        assert!(check.1.lines().any(|line| line.starts_with("fail  noted")), "{}", check.1);
    }
}

#[test]
fn a_machine_that_waits_for_approval_says_so_and_goes_on_when_it_has_it() {
    let mut world = World::new("pending");
    world.start();
    let home = world.agent_home("ct-1");
    let said = home.enroll(&world.token_text(None));
    assert!(said.contains("State: pending"), "{said}");
    let _running = home.run();
    wait_until("it is noted", SOON, || noted(&home) == ["failing_http_403"]);
    told(&home, &["answers 403, as a collector does that waits for approval", "machine approve", "compare the fingerprint"], &["承認を待つ", "machine approve", "指紋"]);
    let name = world.machines()[0]["machine"].as_str().unwrap().to_owned();
    world.cli(&["machine", "approve", &format!("{FACILITY}/{name}")]);
    wait_until("it is over", Duration::from_secs(120), || noted(&home).is_empty());
}

#[test]
fn a_machine_enrolled_after_the_backup_that_was_restored_is_told_to_enrol_anew() {
    let mut world = World::new("forgotten");
    world.start();
    let database = world.state_dir().join("collector.db");
    let backup = world.dir.join("backup.db");
    rusqlite::Connection::open(&database).unwrap().execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    let home = world.agent_home("ct-1");
    home.enroll(&world.token_text(Some("ct-1")));
    let running = home.run();
    wait_until("two reports", SOON, || world.export("ct-1").len() >= 5);
    world.kill();
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(world.state_dir().join(format!("collector.db{suffix}"))));
    }
    fs::copy(&backup, &database).unwrap();
    world.start();
    wait_until("it is noted", Duration::from_secs(120), || noted(&home) == ["failing_http_401"]);
    told(&home, &["answers 401, as a collector does that does not know", "restored to a time before this machine was enrolled", "enrol anew"], &["401", "復元", "再登録"]);
    drop(running);
}
