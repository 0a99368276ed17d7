//! The collector has what a removal said, and its answer is lost on the way: run again, the removal finishes. It says nothing
//! twice and drops nothing more.

use mimamori_tests::process::AgentHome;
use mimamori_tests::story::{held, json, ledger, reports, said, stop};
use mimamori_tests::tap::Tap;
use mimamori_tests::{World, wait_until};
use serde_json::Value;
use std::fs;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(40);
const PURGE: &str = "\"statement\":\"purge\"";
const KEY: &str = "\"statement\":\"key\"";
const REMOVE: [&str; 4] = ["uninstall", "--purge", "--yes", "--json"];

/// An agent that reports through a tap, and has reported.
fn tapped(name: &str) -> (World, AgentHome, Tap) {
    let mut world = World::new(name);
    world.start();
    let home = world.agent_home("ct-1");
    let tap = Tap::new(&world);
    let mut token = world.token(Some("ct-1"));
    token.url = format!("https://{}", tap.address);
    home.enroll(&token.to_text());
    (world, home, tap)
}

fn made(home: &AgentHome) -> u64 {
    json(&home.cli(&["status", "--json"]))["next_seq"].as_u64().unwrap()
}

/// Reports that the collector has not got, and an agent that is stopped.
fn unsent(world: &mut World, home: &AgentHome) -> Vec<String> {
    let guard = home.run();
    wait_until("a report", SOON, || reports(world) >= 1);
    world.kill();
    let before = made(home);
    wait_until("unsent ones", SOON, || made(home) >= before + 2);
    stop(guard);
    world.start();
    let arrived: Vec<Value> = held(world).iter().map(|entry| entry["seq"].clone()).collect();
    let entries = ledger(home).into_iter().map(|entry| entry["payload"]["seq"].clone());
    entries.filter(|seq| !arrived.contains(seq)).map(|seq| seq.to_string()).collect()
}

fn statements(world: &World, what: &str) -> usize {
    held(world).iter().filter(|entry| entry["statement"] == what).count()
}

/// A removal whose answer is lost, and what the collector and the machine have then.
#[track_caller]
fn cut(world: &World, home: &AgentHome, tap: &Tap, what: &str) -> (usize, Vec<Value>) {
    tap.lose_answers(Some(what));
    let lost = tap.lost();
    let done = home.try_cli(&REMOVE);
    assert!(done.status.code() == Some(1) && tap.lost() == lost + 1, "{} lost: {}", tap.lost() - lost, said(&done));
    assert!(home.state_dir().join("identity.key").is_file(), "{}", said(&done));
    tap.lose_answers(None);
    (held(world).len(), ledger(home))
}

/// Run again: the same statement is receipted, and the collector got nothing more than `more` entries.
#[track_caller]
fn finished(world: &World, home: &AgentHome, (arrived, lines): &(usize, Vec<Value>), more: usize) -> Value {
    let certificate = json(&home.cli(&REMOVE));
    let held = held(world);
    assert!(certificate["receipted"] == true, "{certificate}");
    assert_eq!((held.len(), statements(world, "purge")), (arrived + more, 1), "{lines:#?}");
    let last = held.last().unwrap();
    assert!(last["statement"] == "purge" && last["seq"] == certificate["statement_place"]["seq"] && last["purged"] == certificate["purged"], "{last}");
    assert!(!home.state_dir().join("identity.key").try_exists().unwrap());
    wait_until("the collector knows that nothing will come", SOON, || world.machines()[0]["presence"] == "not_consented");
    world.fsck();
    certificate
}

#[test]
fn the_statement_of_a_removal_that_arrived_unanswered_is_not_made_twice() {
    for consents in [true, false] {
        let (mut world, home, tap) = tapped(if consents { "unheard" } else { "unheard-silent" });
        let unsent = unsent(&mut world, &home);
        assert!(unsent.len() >= 2, "{unsent:?}");
        if !consents {
            fs::remove_file(home.dir.join("consent.toml")).unwrap();
        }
        let before = cut(&world, &home, &tap, PURGE);
        assert_eq!(statements(&world, "purge"), 1, "it has arrived");
        let arrived = |world: &World| held(world).iter().filter(|entry| entry["type"] != "loss" && unsent.contains(&entry["seq"].to_string())).count();
        assert_eq!(arrived(&world), if consents { unsent.len() } else { 0 }, "{unsent:?}");
        // Cut off once more: neither then is anything signed or dropped.
        let again = cut(&world, &home, &tap, PURGE);
        assert_eq!((again.0, again.1.len()), (before.0, before.1.len()), "{:#?}", again.1);
        let certificate = finished(&world, &home, &before, 0);
        let purged = certificate["purged"]["sample"].as_u64().unwrap() + certificate["purged"]["change"].as_u64().unwrap();
        assert_eq!(purged + certificate["purged"]["unchanged"].as_u64().unwrap() > 0, !consents, "{certificate}");
    }
}

#[test]
fn run_again_without_the_collector_it_hands_over_the_statement_that_was_signed_before() {
    let (mut world, home, tap) = tapped("heard");
    unsent(&mut world, &home);
    let before = cut(&world, &home, &tap, PURGE);
    assert_eq!(statements(&world, "purge"), 1);
    world.kill();
    let paper = json(&home.cli(&[&REMOVE[..], &["--offline"]].concat()));
    assert!(paper["receipted"] == false && paper["statement"].as_str().unwrap().contains("purge"), "{paper}");
    let signed = before.1.last().unwrap()["payload"].clone();
    assert_eq!(json(paper["statement"].as_str().unwrap().lines().next().unwrap()), signed, "the one that was signed before");
}

/// What hands over to a new key has arrived, and nobody told the agent; then its removal is not told either.
#[test]
fn what_hands_over_and_arrived_unanswered_stands_once_when_the_agent_is_removed() {
    for consents in [true, false] {
        let (world, home, tap) = tapped(if consents { "handed-unheard" } else { "handed-silent" });
        tap.lose_answers(Some(KEY));
        let guard = home.run();
        wait_until("a report", SOON, || reports(&world) >= 1);
        home.cli(&["key", "rotate"]);
        wait_until("what hands over has arrived", SOON, || statements(&world, "key") == 1 && tap.lost() > 0);
        stop(guard);
        if !consents {
            fs::remove_file(home.dir.join("consent.toml")).unwrap();
        }
        let before = cut(&world, &home, &tap, KEY);
        // Under a consent nothing is signed until everything has left; without one the end is signed already.
        assert_eq!(before.1.iter().filter(|entry| entry["payload"]["statement"] == "purge").count(), usize::from(!consents), "{:#?}", before.1);
        let losses = |world: &World| held(world).iter().filter(|entry| entry["type"] == "loss").count();
        // What the new key's chain holds leaves and then the end, or a record in its place and the end.
        let fresh = before.1.iter().filter(|entry| entry["chain_id"] != before.1[0]["chain_id"]).count();
        finished(&world, &home, &before, if consents { fresh + 1 } else { 2 });
        assert_eq!((statements(&world, "key"), losses(&world)), (1, usize::from(!consents)));
        let held = held(&world);
        let at = held.iter().position(|entry| entry["statement"] == "key").unwrap();
        assert!(held[at + 1..].iter().all(|entry| entry["key_id"] != held[at]["key_id"]), "{held:#?}");
    }
}
