//! The agent is removed just when its key changes: the statement that hands over lies there, and no receipt for it is held.
//! The last words are then those of the new key.

use mimamori_tests::process::{AgentHome, Guard};
use mimamori_tests::story::{enrolled, held, json, reports, said, signal, stop};
use mimamori_tests::{World, wait_until};
use serde_json::Value;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(40);

fn key(home: &AgentHome) -> Value {
    json(&home.cli(&["key", "show", "--json"]))
}

fn hands_over(entry: &Value) -> bool {
    entry["statement"] == "key"
}

/// An agent that has handed over to a new key towards a collector that takes everything and answers nothing.
fn caught(name: &str) -> (World, AgentHome, String) {
    let (world, mut home) = enrolled(name);
    home.sets[0] = "interval=30s".to_owned();
    let running: Guard = home.run();
    for _ in 0..5 {
        wait_until("no change is under way", SOON, || key(&home)["requested"] == false && key(&home)["old_key_kept"] == false);
        let first = key(&home)["fingerprint"].as_str().unwrap().to_owned();
        // Just behind a report and its receipt there is time until the next one; the agent looks for wishes every 20 s.
        let before = reports(&world);
        wait_until("a report", SOON, || reports(&world) > before);
        std::thread::sleep(Duration::from_secs(2));
        signal(world.pid().unwrap(), "STOP");
        home.cli(&["key", "rotate"]);
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(27) && key(&home)["fingerprint"] == first.as_str() {
            std::thread::sleep(Duration::from_millis(500));
        }
        if key(&home)["fingerprint"] != first.as_str() && key(&home)["old_key_kept"] == true {
            // Time to send it.
            std::thread::sleep(Duration::from_secs(1));
            stop(running);
            return (world, home, first);
        }
        // Something was under way just then, and nothing is handed over before its receipt.
        signal(world.pid().unwrap(), "CONT");
    }
    panic!("it never hands over: {}", home.log());
}

/// The end as the collector holds it: handed over, opened by the new key, removed.
#[track_caller]
fn ended(world: &World, home: &str, certificate: &Value, consents: bool) {
    assert!(certificate["receipted"] == true && certificate["agent_fingerprint"] == home, "{certificate}");
    let held = held(world);
    let at = held.iter().rposition(hands_over).expect("what hands over");
    let (over, opening, end) = (&held[at], &held[at + 1], held.last().unwrap());
    // Without a consent the opening may not leave any more: a record stands for it and all that was behind it.
    let opens = opening["statement"] == "open" && opening["reason"] == "rotated" && opening["previous"]["seq"] == over["seq"];
    let bridges = opening["type"] == "loss" && opening["reason"] == "withdrawn" && opening["first_seq"] == 0;
    assert!(if consents { opens } else { bridges }, "{opening}");
    assert!(held[at + 1..].iter().all(|entry| entry["key_id"] == opening["key_id"] && entry["key_id"] != over["key_id"]), "{held:#?}");
    assert!(end["statement"] == "purge" && end["seq"] == certificate["statement_place"]["seq"], "{end}");
    wait_until("the collector knows that nothing will come", SOON, || world.machines()[0]["presence"] == "not_consented");
    assert_eq!(
        (world.machines()[0]["fingerprint"].as_str(), world.machines()[0]["epoch"].as_u64()),
        (Some(home), Some(1 + held.iter().filter(|entry| hands_over(entry)).count() as u64))
    );
    world.fsck();
}

#[test]
fn removed_while_its_key_changes_the_collector_takes_the_last_words_of_the_new_key() {
    let cases = [("lost", true), ("noconsent", false)];
    std::thread::scope(|scope| cases.map(|(name, consents)| scope.spawn(move || removed(name, consents))).map(|case| case.join().unwrap()));
}

fn removed(name: &str, consents: bool) {
    let (mut world, home, first) = caught(name);
    world.kill();
    world.start();
    assert!(!held(&world).last().is_some_and(hands_over), "{name}: it was never taken");
    let before = held(&world).len();
    if !consents {
        std::fs::remove_file(home.dir.join("consent.toml")).unwrap();
    }
    let certificate = json(&home.cli(&["uninstall", "--purge", "--yes", "--json"]));
    let now = certificate["agent_fingerprint"].as_str().unwrap().to_owned();
    assert!(now != first && certificate["handover"].is_null(), "{certificate}");
    ended(&world, &now, &certificate, consents);
    println!("{name}: {before} entries held before, {} after", held(&world).len());
}

#[test]
fn removed_without_the_collector_while_its_key_changes_the_certificate_carries_who_vouches_for_the_new_key() {
    let (mut world, home, first) = caught("paper");
    world.kill();
    let done = home.try_cli(&["uninstall", "--purge", "--yes", "--offline"]);
    let text = said(&done);
    assert!(done.status.success() && text.contains("NOT receipted"), "{text}");
    let (_, paper) = text.split_once("to be handed over").unwrap();
    let payloads: Vec<Value> = paper.lines().filter(|line| line.starts_with('{')).map(json).collect();
    assert!(payloads.len() == 2 && hands_over(&payloads[0]) && payloads[1]["statement"] == "purge", "{paper}");
    assert!(text.contains("hands over") && payloads[0]["key_id"] != payloads[1]["key_id"], "{text}");
    let by = mimamori_shared::id::from_hex::<16>(payloads[0]["key_id"].as_str().unwrap()).unwrap();
    assert_eq!(mimamori_shared::id::KeyId(by).fingerprint(), first, "the key the collector knows");
}
