//! How things stand that the self-diagnosis of machines looks after.

use super::agent::{Agent, Pair};
use super::{ALL, NOW, enrolled, sound, terms, word};
use crate::store::{FindingKind, STANDING_EVIDENCE_MAX, STANDING_MAX, Scope, Store};
use mimamori_shared::fields::Readings;
use mimamori_shared::id::Hash;
use mimamori_shared::payload::{Class, ConsentState, Counts, Finding, OpenReason, Report, Standing, Statement};
use mimamori_shared::sign::PayloadType;
use std::collections::BTreeMap;

pub(super) fn found(check: &str, name: &str, state: Standing, since_ms: i64) -> Finding {
    Finding { check: word(check), name: name.parse().ok(), state, since_ms, evidence: BTreeMap::from([(word("size_bytes"), since_ms)]) }
}

pub(super) fn says(agent: &mut Agent, findings: Vec<Finding>) -> Pair {
    agent.say(PayloadType::Report, &Report { class: Class::Change, readings: Readings::default(), faults: Vec::new(), findings })
}

fn disk(agent: &mut Agent, state: Standing, since_ms: i64) -> Pair {
    says(agent, vec![found("drive_health", "sda", state, since_ms)])
}

fn withdrawn(agent: &mut Agent, state: ConsentState) -> Pair {
    let terms = terms(NOW * 2);
    let granted = state == ConsentState::Granted;
    let terms_hash = if granted { terms.hash() } else { Hash::ZERO };
    agent.say(PayloadType::Statement, &Statement::Consent { state, terms_hash, terms: granted.then_some(terms), purged: Counts::default() })
}

/// Of the machine, as `check name state since`.
pub(super) async fn stands(store: &Store, agent: &Agent) -> Vec<String> {
    let rows = store.machine_of(&ALL, agent.id).await.unwrap().standing;
    let name = |one: &Finding| one.name.as_ref().map_or("-".to_owned(), ToString::to_string);
    rows.iter().map(|row| &row.finding).map(|one| format!("{} {} {} {}", one.check, name(one), one.state.name(), one.since_ms)).collect()
}

pub(super) async fn what_stands_is_what_was_said_last(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let [bad, well, gone] = [(Standing::Bad, 5), (Standing::Ok, 6), (Standing::Gone, 7)].map(|(state, since_ms)| disk(&mut agent, state, since_ms));
    let other = says(&mut agent, vec![found("oom_kill", "", Standing::Bad, 8), found("oom_kill", "", Standing::Unknown, 9), found("x", "", Standing::Bad, -3)]);
    agent.send(store, vec![opened, bad.clone()], NOW).await;
    assert_eq!(stands(store, &agent).await, ["drive_health sda bad 5"]);
    agent.send(store, vec![well], NOW + 1).await;
    assert_eq!(stands(store, &agent).await, [] as [&str; 0], "what is in order is no news");
    agent.send(store, vec![bad], NOW + 2).await;
    assert_eq!(stands(store, &agent).await, [] as [&str; 0], "a replay says nothing new");
    agent.send(store, vec![gone, other], NOW + 3).await;
    assert_eq!(stands(store, &agent).await, ["x - bad -3", "drive_health sda gone 7", "oom_kill - unknown 9"], "the worst first, the last word of a report");
    let row = store.machine_of(&ALL, agent.id).await.unwrap().standing.remove(1);
    assert_eq!((row.epoch, row.seq, row.received_at_ms, row.finding), (1, 3, NOW + 3, found("drive_health", "sda", Standing::Gone, 7)));
    sound(store).await;
}

pub(super) async fn what_an_older_chain_said_late_changes_nothing_newer(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    agent.send(store, vec![opened], NOW).await;
    let mut old = agent.clone();
    let again = agent.restart(2, OpenReason::StateLost);
    let well = disk(&mut agent, Standing::Ok, 9);
    agent.send(store, vec![again, well], NOW + 1).await;
    let late = [disk(&mut old, Standing::Bad, 5), says(&mut old, vec![found("oom_kill", "", Standing::Bad, 6)])];
    Agent::receipt(&old.send(store, late.to_vec(), NOW + 2).await);
    assert_eq!(stands(store, &agent).await, [] as [&str; 0], "an agent that lost its state tells everything anew");
}

pub(super) async fn previews_and_other_branches_store_nothing_of_how_things_stand(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let mut copy = agent.clone();
    let (plain, ahead) = (agent.report(), disk(&mut agent, Standing::Bad, 5));
    let batch = agent.batch(vec![opened], Some(ahead.clone()), NOW);
    store.ingest(batch).await.unwrap();
    assert!(store.machine_of(&ALL, agent.id).await.unwrap().latest.unwrap().is_preview);
    assert_eq!(stands(store, &agent).await, [] as [&str; 0], "a preview is shown, not kept");
    agent.send(store, vec![plain, ahead], NOW + 1).await;
    assert_eq!(stands(store, &agent).await, ["drive_health sda bad 5"]);
    let other = says(&mut copy, vec![found("drive_health", "sda", Standing::Ok, 6), found("oom_kill", "", Standing::Bad, 6)]);
    agent.send(store, vec![other], NOW + 2).await;
    assert_eq!(store.machine_of(&ALL, agent.id).await.unwrap().chain.unwrap().branches, 2);
    assert_eq!(stands(store, &agent).await, ["drive_health sda bad 5"], "another branch is not believed");
}

pub(super) async fn the_end_of_a_consent_ends_what_was_known(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let bad = disk(&mut agent, Standing::Bad, 5);
    agent.send(store, vec![opened, bad], NOW).await;
    let narrower = withdrawn(&mut agent, ConsentState::Granted);
    agent.send(store, vec![narrower], NOW + 1).await;
    assert_eq!(stands(store, &agent).await, ["drive_health sda bad 5"], "another consent ends nothing");
    let mut old = agent.clone();
    for (n, ending) in [(2, ConsentState::Withdrawn), (3, ConsentState::Expired)] {
        let (again, end) = (agent.restart(n, OpenReason::StateLost), withdrawn(&mut agent, ending));
        agent.send(store, vec![again, end], NOW + i64::from(n)).await;
        assert_eq!(stands(store, &agent).await, [] as [&str; 0]);
        // Of the same machine's older chain the end comes late.
        let late = says(&mut old, vec![found("oom_kill", "", Standing::Bad, 6)]);
        let (granted, bad) = (withdrawn(&mut agent, ConsentState::Granted), disk(&mut agent, Standing::Bad, 9));
        agent.send(store, vec![granted, bad], NOW + 10).await;
        Agent::receipt(&old.send(store, vec![late], NOW + 11).await);
        assert_eq!(stands(store, &agent).await, ["drive_health sda bad 9"]);
    }
    let purged = agent.say(PayloadType::Statement, &Statement::Purge { purged: Counts::default() });
    agent.send(store, vec![purged], NOW + 12).await;
    assert_eq!(stands(store, &agent).await, [] as [&str; 0]);
}

pub(super) async fn of_very_many_things_the_worst_are_kept_and_that_is_said(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let max = i64::from(STANDING_MAX);
    let opened = agent.open();
    let many = |from: i64, to: i64, state| (from..to).map(|n| found("drive_health", &format!("d-{n:05}"), state, n)).collect::<Vec<_>>();
    let (bad, well) = (says(&mut agent, many(0, max / 2, Standing::Bad)), says(&mut agent, many(max, max * 2, Standing::Ok)));
    agent.send(store, vec![opened, bad, well], NOW).await;
    let told =
        async || store.findings(&ALL).await.unwrap().into_iter().filter(|row| row.kind == FindingKind::StandingTooMany).map(|row| row.count).sum::<u64>();
    assert_eq!((stands(store, &agent).await.len(), told().await), (512, 0), "what is in order may go");
    let gone = says(&mut agent, many(max * 2, max * 3, Standing::Gone));
    agent.send(store, vec![gone], NOW + 1).await;
    let kept = stands(store, &agent).await;
    assert_eq!((kept.len(), told().await), (1024, 1));
    assert_eq!((kept.iter().filter(|line| line.contains(" bad ")).count(), kept[0].as_str()), (512, "drive_health d-00000 bad 0"));
    let mut long = found("drive_health", "d-00000", Standing::Bad, 1);
    long.evidence = (0..4000).map(|n| (word(&format!("e_{n:04}")), i64::MIN)).collect();
    let long = says(&mut agent, vec![long]);
    agent.send(store, vec![long], NOW + 2).await;
    let rows = store.machine_of(&ALL, agent.id).await.unwrap().standing;
    assert_eq!((rows.len(), rows[0].finding.evidence.len()), (1024, STANDING_EVIDENCE_MAX));
    sound(store).await;
}

pub(super) async fn every_change_can_be_read_again_newest_first(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let (opened, bad, plain) = (agent.open(), disk(&mut agent, Standing::Bad, 5), agent.report());
    let both = says(&mut agent, vec![found("oom_kill", "", Standing::Bad, 8), found("of_a_newer_agent", "findings", Standing::Gone, 9)]);
    agent.send(store, vec![opened, bad], NOW).await;
    agent.send(store, vec![plain, both], NOW + 40 * 24 * super::HOUR).await;
    let read = async |from_ms, limit| {
        let rows = store.found(&ALL, agent.id, from_ms, limit).await.unwrap();
        rows.iter().map(|row| format!("{} {} {}", row.finding.check, row.finding.state.name(), row.seq)).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 9).await, ["of_a_newer_agent gone 3", "oom_kill bad 3", "drive_health bad 1"], "over the end of a month");
    assert_eq!(read(NOW + 1, 9).await, ["of_a_newer_agent gone 3", "oom_kill bad 3"]);
    assert_eq!(read(0, 1).await, ["of_a_newer_agent gone 3"]);
    let east = Scope::Facility(word("east"));
    assert!(store.found(&east, agent.id, 0, 9).await.is_err() && store.machines(&east).await.unwrap().is_empty());
}
