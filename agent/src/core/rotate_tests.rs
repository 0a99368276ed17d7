//! A withdrawal in the middle of a change of the key: one statement leaves, or none (DECISIONS 18).

use super::rig::{Rig, terms};
use super::*;
use mimamori_shared::consent::ConsentTerms;
use mimamori_shared::payload::Body;

const WITHDRAWN: Event = Event::Consent(Consent::Invalid(ConsentState::Withdrawn));

/// A machine that has reported for a while, all of it receipted.
fn reporting() -> Rig {
    let mut rig = Rig::granted();
    rig.pass(300);
    assert!(!rig.agent.newest().unwrap().has_unsent());
    rig
}

fn grant_anew(rig: &mut Rig) {
    rig.event(Event::Consent(Consent::Valid(ConsentTerms { valid_from_ms: 7, ..terms() })));
}

/// What the collector holds, by kind, in the order of the chains' ids.
fn said(rig: &Rig) -> Vec<String> {
    let name = |body: &Body| match body {
        Body::Statement(Statement::Open { reason, .. }) => format!("open {reason:?}"),
        Body::Statement(Statement::Consent { state, .. }) => format!("consent {state:?}"),
        Body::Statement(Statement::Key { .. }) => "key".to_owned(),
        Body::Statement(_) => "plan".to_owned(),
        Body::Loss(_) => "loss".to_owned(),
        Body::Report(_) | Body::Unusable(_) => "report".to_owned(),
    };
    rig.collector.values().flat_map(|held| &held.entries).map(|entry| name(&entry.body)).collect()
}

fn count(said: &[String], what: &str) -> usize {
    said.iter().filter(|said| said.as_str() == what).count()
}

/// What arrived since, in no order.
fn more(rig: &Rig, before: &[String]) -> Vec<String> {
    let mut now = said(rig);
    for said in before {
        now.remove(now.iter().position(|other| other == said).unwrap());
    }
    now
}

/// Everything that waited arrives, the new key signs, and reports flow in its chain.
fn all_is_well_under_a_new_consent(rig: &mut Rig) {
    grant_anew(rig);
    let before = count(&said(rig), "report");
    rig.pass(600);
    let said = said(rig);
    assert!(count(&said, "report") >= before + 9, "{said:?}");
    assert_eq!((count(&said, "key"), count(&said, "consent Granted")), (1, 2), "{said:?}");
    assert!(rig.agent.chains().iter().all(|chain| !chain.has_unsent()));
    assert_eq!(rig.agent.newest().unwrap().key_id, Some(rig.keys[1].public().id()));
}

#[test]
fn behind_a_change_that_is_delivered_the_new_key_states_the_withdrawal() {
    let mut rig = reporting();
    rig.event(Event::Rotate);
    rig.pass(300);
    assert_eq!((rig.keys.len(), rig.agent.chains().len()), (2, 1));
    let before = said(&rig);
    rig.event(WITHDRAWN);
    rig.pass(3600);
    assert_eq!(more(&rig, &before), ["consent Withdrawn"]);
}

#[test]
fn a_change_that_is_not_delivered_waits_for_the_next_consent_and_nothing_leaves_meanwhile() {
    for lose_answers in [false, true] {
        let mut rig = reporting();
        (rig.online, rig.lose_answers) = (lose_answers, lose_answers);
        rig.event(Event::Rotate);
        rig.pass(200);
        assert_eq!((rig.keys.len(), rig.agent.chains().len()), (2, 2), "stated, and the next chain is open");
        let (before, requests) = (said(&rig), rig.requests);
        rig.event(WITHDRAWN);
        (rig.online, rig.lose_answers) = (true, false);
        rig.pass(86_400);
        assert_eq!((more(&rig, &before), rig.requests), (Vec::<String>::new(), requests));
        grant_anew(&mut rig);
        rig.pass(300);
        let since = more(&rig, &before);
        assert_eq!((count(&since, "key"), count(&since, "consent Withdrawn")), (usize::from(!lose_answers), 1), "the withdrawal is on record: {since:?}");
        assert_eq!((count(&since, "open Rotated"), count(&since, "loss")), (0, 1), "what was purged never leaves: {since:?}");
        assert!(count(&since, "report") >= 3);
    }
}

#[test]
fn once_the_new_key_is_believed_only_the_withdrawal_leaves_and_what_was_purged_is_a_loss() {
    let mut rig = reporting();
    // The statement about the key is receipted, and then the line fails.
    rig.requests_max = rig.requests + 1;
    rig.event(Event::Rotate);
    rig.pass(200);
    let before = said(&rig);
    assert_eq!((count(&before, "key"), count(&before, "open Rotated"), rig.agent.chains().len()), (1, 0, 1));
    rig.event(WITHDRAWN);
    rig.requests_max = usize::MAX;
    rig.pass(3600);
    assert_eq!(more(&rig, &before), ["loss", "consent Withdrawn"]);
    all_is_well_under_a_new_consent(&mut rig);
}

#[test]
fn a_chain_that_was_not_opened_before_the_withdrawal_is_opened_under_the_next_consent() {
    let mut rig = reporting();
    rig.full = true;
    rig.event(Event::Rotate);
    let before = said(&rig);
    rig.event(WITHDRAWN);
    rig.full = false;
    rig.pass(3600);
    assert_eq!(more(&rig, &before), Vec::<String>::new());
    assert!(rig.agent.has_ended(), "a new consent may count");
    assert_eq!(rig.agent.chains().len(), 1, "nothing was opened");
    all_is_well_under_a_new_consent(&mut rig);
    assert_eq!(count(&said(&rig), "open Rotated"), 1);
}

#[test]
fn a_key_is_changed_only_while_everything_is_receipted() {
    let mut rig = reporting();
    rig.online = false;
    rig.pass(120);
    rig.event(Event::Rotate);
    rig.pass(7200);
    assert_eq!(rig.keys.len(), 1, "the line is down");
    rig.online = true;
    rig.pass(7200);
    assert_eq!(rig.keys.len(), 2);
}
