//! What an operator is told of forks, from the first word to the last thing to do: by the real collector.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a panic is a failed test")]

use crate::identity_programs::runtime;
use mimamori_agent::uplink::Outcome;
use mimamori_shared::payload::{OpenReason, RefusalReason, Statement};
use mimamori_tests::story::{json, said};
use mimamori_tests::world::FACILITY;
use mimamori_tests::{SimAgent, World, get, wait_until};
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A machine that reports as ct-1, and one with the same key that was told that it contradicts it.
fn with_a_copy(world: &World, runtime: &Runtime) -> (SimAgent, SimAgent) {
    let token = world.token(Some("ct-1"));
    let mut one = runtime.block_on(SimAgent::enrol(&token, "one")).unwrap();
    runtime.block_on(one.report_now());
    std::thread::sleep(Duration::from_millis(5));
    let mut copy = runtime.block_on(SimAgent::enrol(&token, "one")).unwrap();
    let outcome = runtime.block_on(copy.push(1));
    assert!(matches!(&outcome, Outcome::Refused(refusal) if matches!(refusal.reason, RefusalReason::Diverged { .. })), "{outcome:?}");
    (one, copy)
}

/// It goes on in a chain of its own, as a machine does that was put back.
fn begin_anew(agent: &mut SimAgent) {
    agent.chain_id.0[0] = agent.chain_id.0[0].wrapping_add(1);
    (agent.made, agent.receipt, agent.unsent_from) = (Vec::new(), None, 0);
    agent.receipted.clear();
    agent.state(&Statement::Open { reason: OpenReason::Restored, previous: None });
}

fn forks(world: &World, which: &str) -> Vec<Value> {
    json(&world.cli(&["machine", "forks", which, "--json"]))["forks"].as_array().unwrap().clone()
}

#[test]
fn two_copies_are_followed_from_the_first_word_to_the_replacement_of_the_machine() {
    let mut world = World::new("two-copies");
    world.start();
    let (runtime, name) = (runtime(), format!("{FACILITY}/ct-1"));
    let (mut one, mut copy) = with_a_copy(&world, &runtime);
    runtime.block_on(one.report_now());
    begin_anew(&mut copy);
    runtime.block_on(copy.report_now());
    runtime.block_on(one.report_now());
    assert!(is_forked_now(&world));
    let (id, key) = (one.enrolled.agent_id.to_string(), one.key.public().id().fingerprint());
    let text = world.cli(&["machine", "forks"]);
    assert!(text.contains(&id[..8]) && text.contains(&key) && text.contains(&format!("`machine revoke {name}`")), "{text}");
    assert!(text.matches("What to do").count() == 1 && !text.contains("<-"), "both report, and there is one thing to say: {text}");
    let approved = world.cli(&["machine", "approve", &name]);
    assert!(approved.contains(&key) && approved.contains("the fork stays") && approved.contains(&format!("machine revoke {name}")), "{approved}");
    let japanese = world.cli(&["machine", "approve", &name, "--lang", "ja"]);
    assert!(japanese.contains("分岐は解消していません") && !japanese.contains("But"), "{japanese}");
    assert!(forks(&world, &name).iter().all(|fork| fork["cause"] == "two_copies" && fork["settled_at_ms"].is_null()));
    rests_after_the_approval(&world, &name);
    runtime.block_on(one.report_now());
    assert!(is_forked_now(&world) && !world.cli(&["machine", "list"]).contains("was forked"), "the second voice was heard again");
    assert!(world.cli(&["machine", "revoke", &name]).starts_with(&format!("Revoked: {name}, key {key}")));
    let text = world.cli(&["machine", "forks"]);
    assert!(text.contains("revoked already") && text.contains(&format!("machine replace {name} NEW")) && !text.contains("machine revoke"), "{text}");
    for list in [false, true] {
        let csv = world.dir.join("one.csv").display().to_string();
        std::fs::write(&csv, "other\nct-1\n").unwrap();
        let which = if list { ["--csv", &csv] } else { ["--machine", "ct-1"] };
        let refused = world.try_cli(&[&["token", "create", "--facility", FACILITY][..], &which].concat());
        let words = ["taken already", "machine retire", "machine replace"];
        assert!(refused.status.code() == Some(2) && words.iter().all(|word| said(&refused).contains(word)), "{}", said(&refused));
    }
    assert_eq!(json(&world.cli(&["token", "list", "--json"]))["tokens"].as_array().unwrap().len(), 1, "no half of a list was made");
    let mut new = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1b")), "new")).unwrap();
    runtime.block_on(new.report_now());
    world.cli(&["machine", "replace", &name, "ct-1b"]);
    assert!(world.cli(&["machine", "forks"]).contains("No key speaks with two voices"), "the healthy one is not accused");
    replaced(&world, &id, &new.enrolled.agent_id.to_string());
}

/// What list, screen and metric say of the one machine; the metric is what alarms hang on.
#[track_caller]
fn is_forked_now(world: &World) -> bool {
    let row = &world.machines()[0];
    let now = row["forked"].as_bool().unwrap();
    let shows = |words: &str| world.cli(&["machine", "list"]).contains(words) && world.cli(&["machine", "show", "hcf-1/ct-1"]).contains(words);
    assert!(shows(if now { "FORKED" } else { "was forked, approved 20" }), "{row}");
    assert_eq!(row["fork_approved_at_ms"].is_null(), now, "{row}");
    let page = get(world.metrics, "/metrics").unwrap().1;
    let of =
        |name: &str| page.lines().find(|line| line.starts_with(&format!("mimamori_machine_{name}{{"))).map(|line| line.rsplit(' ').next().unwrap().to_owned());
    assert_eq!(of("chain_forked").as_deref(), Some(if now { "1" } else { "0" }));
    assert_eq!(of("chain_fork_approved_timestamp_seconds").is_some(), !now);
    now
}

/// Receipts say `ok` again, and so does everything that alarms; what was heard stays listed.
fn rests_after_the_approval(world: &World, name: &str) {
    assert!(!is_forked_now(world));
    let japanese = world.cli(&["machine", "list", "--lang", "ja"]);
    assert!(japanese.contains("分岐の記録あり、承認済み 20"), "{japanese}");
    let page = get(world.pages, "/?lang=en").unwrap().1;
    assert!(page.contains("was forked, approved") && !page.contains("FORKED"), "{page}");
    assert!(!forks(world, name).is_empty() && world.cli(&["machine", "forks", name]).contains("two copies of the machine"), "the evidence stays");
}

/// The old machine is reached by its id alone, the new one by the name; and the metrics know one of that name.
fn replaced(world: &World, old: &str, new: &str) {
    let name = format!("{FACILITY}/ct-1");
    let text = world.cli(&["machine", "forks", old]);
    assert!(text.contains("this machine is retired") && text.contains(&format!("export {old}")), "{text}");
    assert!(world.cli(&["machine", "list"]).lines().any(|line| line.contains(&name) && line.ends_with(&format!("agent id {old}"))));
    for (which, agent) in [(old, old), (name.as_str(), new)] {
        assert_eq!(json(&world.cli(&["machine", "show", which, "--json"]))["machine"]["agent_id"], agent);
        assert_eq!(json(world.cli(&["export", which]).lines().next().unwrap())["agent_id"], agent);
    }
    let page = get(world.pages, &format!("/machines/{FACILITY}/{old}?lang=en")).unwrap();
    assert!(page.0 == 200 && page.1.contains(old), "{page:?}");
    let wrong = world.try_cli(&["machine", "show", "ct-1"]);
    assert!(wrong.status.code() == Some(2) && said(&wrong).contains("32 hexadecimal digits"), "{}", said(&wrong));
    let page = || get(world.metrics, "/metrics").unwrap().1;
    wait_until("it counts as retired", Duration::from_secs(5), || page().contains("mimamori_machines{state=\"retired\"} 1\n"));
    let page = page();
    let series: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(series.len(), series.iter().collect::<HashSet<_>>().len(), "{page}");
    wait_until("it is judged", Duration::from_secs(10), || {
        world.machines().iter().any(|machine| machine["agent_id"] == old && machine["because"] == "retired")
    });
    world.cli(&["machine", "retire", &name]);
    for deed in ["retire", "revoke", "approve"] {
        let again = world.try_cli(&["machine", deed, &name]);
        assert!(again.status.code() == Some(2) && said(&again).contains("retired already"), "{}", said(&again));
    }
    world.fsck();
}

#[test]
fn an_approved_restore_is_at_rest_until_the_old_side_speaks_again() {
    let mut world = World::new("restored");
    world.start();
    let (runtime, name) = (runtime(), format!("{FACILITY}/ct-1"));
    let (mut one, mut restored) = with_a_copy(&world, &runtime);
    begin_anew(&mut restored);
    runtime.block_on(restored.report_now());
    let text = world.cli(&["machine", "forks"]);
    assert!(text.contains("was restored from") && text.contains(&format!("If so: `machine approve {name}`")), "{text}");
    let approved = world.cli(&["machine", "approve", &name]);
    assert!(approved.contains("it may change its key and open new chains again") && approved.lines().count() == 1, "{approved}");
    runtime.block_on(restored.report_now());
    let text = world.cli(&["machine", "forks"]);
    assert!(text.contains("approved at") && text.contains("nothing to do") && !text.contains("If so"), "{text}");
    let at_rest = forks(&world, &name);
    assert!(at_rest.len() == 1 && at_rest[0]["settled_at_ms"].is_i64() && at_rest[0]["cause"] == "restored", "{at_rest:?}");
    // Which new key is the machine's can be said beforehand, and a typing error is told.
    let chosen = "0011-2233-4455-6677-8899-aabb-ccdd-eeff";
    let said_so = world.cli(&["machine", "approve", &name, "--key", chosen]);
    assert!(said_so.contains(&format!("The new key {chosen} is taken when the machine names it again")), "{said_so}");
    let japanese = world.cli(&["machine", "approve", &name, "--key", chosen, "--lang", "ja"]);
    assert!(japanese.contains(&format!("新しい鍵 {chosen} は")), "{japanese}");
    let wrong = world.try_cli(&["machine", "approve", &name, "--key", "0011-2233"]);
    assert!(wrong.status.code() == Some(2) && said(&wrong).contains("eight groups of four hex digits"), "{}", said(&wrong));
    // So it was no restore: there are two.
    runtime.block_on(one.report_now());
    let text = world.cli(&["machine", "forks"]);
    assert!(text.contains("two copies of the machine") && !text.contains("nothing to do"), "{text}");
    assert!(forks(&world, &name)[0]["settled_at_ms"].is_null());
}
