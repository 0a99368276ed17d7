//! What is shown, to whom.

use super::agent::Agent;
use super::{ALL, NOW, ask, enrolled, operator, sound, terms, token, word};
use crate::store::{Actor, ActorKind, FindingKind, NewToken, Noted, Scope, Store, StoreError};
use mimamori_shared::consent::{ConsentTerms, Plan};
use mimamori_shared::id::{Hash, TokenId};
use mimamori_shared::payload::{ConsentState, Counts, OpenReason, Statement};
use mimamori_shared::sign::PayloadType;
use std::collections::BTreeMap;

pub(super) async fn the_newest_report_is_shown(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let reports = agent.reports(3);
    agent.send(store, vec![opened], NOW).await;
    assert_eq!(store.machine_of(&ALL, agent.id).await.unwrap().latest, None);
    agent.send(store, reports[..2].to_vec(), NOW + 1).await;
    agent.send(store, reports[..1].to_vec(), NOW + 2).await;
    let latest = store.machine_of(&ALL, agent.id).await.unwrap().latest.unwrap();
    assert_eq!((latest.seq, latest.received_at_ms, latest.is_preview), (2, NOW + 1, false));
    assert_eq!(latest.payload, reports[1].0.payload());
}

pub(super) async fn a_preview_goes_ahead_of_its_chain(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let reports = agent.reports(4);
    agent.send(store, vec![opened], NOW).await;
    let batch = agent.batch(reports[..1].to_vec(), Some(reports[3].clone()), NOW + 1);
    assert_eq!(Agent::receipt(&store.ingest(batch).await.unwrap().answered).seq, 1);
    let shown = async || store.machine_of(&ALL, agent.id).await.unwrap().latest.map(|row| (row.seq, row.is_preview)).unwrap();
    assert_eq!(shown().await, (4, true));
    agent.send(store, reports[1..2].to_vec(), NOW + 2).await;
    assert_eq!(shown().await, (4, true), "an older report does not hide it");
    let late = agent.batch(Vec::new(), Some(reports[2].clone()), NOW + 3);
    assert_eq!(store.ingest(late).await.unwrap().answered, crate::store::Answered::NothingToSay);
    assert_eq!(shown().await, (4, true));
    assert_eq!(store.evidence(&ALL, agent.id, agent.chain, 0, 0, 9).await.unwrap().len(), 3);
    agent.send(store, reports[2..].to_vec(), NOW + 4).await;
    assert_eq!(shown().await, (4, false));
    sound(store).await;
}

pub(super) async fn statements_are_believed_in_order(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let terms = terms(NOW * 2);
    let consent = |state, terms: Option<&ConsentTerms>| Statement::Consent {
        state,
        terms_hash: terms.map_or(Hash::ZERO, ConsentTerms::hash),
        terms: terms.cloned(),
        purged: Counts::default(),
    };
    let plan = Plan { v: 1, interval_s: 60, sections: BTreeMap::new() };
    let opened = agent.open();
    let granted = agent.say(PayloadType::Statement, &consent(ConsentState::Granted, Some(&terms)));
    let planned = agent.say(PayloadType::Statement, &Statement::Plan { plan: plan.clone() });
    agent.send(store, vec![opened, granted.clone(), planned], NOW).await;
    let row = store.machine_of(&ALL, agent.id).await.unwrap();
    let shown = row.consent.unwrap();
    assert_eq!((shown.state, shown.hash, shown.valid_to_ms, shown.example), (ConsentState::Granted, terms.hash(), Some(NOW * 2), true));
    assert_eq!((shown.terms, row.plan), (Some(serde_json::to_string(&terms).unwrap()), Some(plan.clone())));
    let mut old = agent.clone();
    let withdrawn = agent.say(PayloadType::Statement, &consent(ConsentState::Withdrawn, None));
    agent.send(store, vec![withdrawn], NOW + 1).await;
    agent.send(store, vec![granted], NOW + 2).await;
    let shown = store.machine_of(&ALL, agent.id).await.unwrap().consent.unwrap();
    assert_eq!((shown.state, shown.valid_to_ms, shown.since_ms), (ConsentState::Withdrawn, None, NOW + 1));
    // A newer chain's statement holds against one of an older chain that comes late.
    let opened = agent.restart(2, OpenReason::StateLost);
    let granted = agent.say(PayloadType::Statement, &consent(ConsentState::Granted, Some(&terms)));
    let planned = agent.say(PayloadType::Statement, &Statement::Plan { plan: Plan { interval_s: 30, ..plan.clone() } });
    agent.send(store, vec![opened, granted, planned], NOW + 3).await;
    let withdrawn = old.say(PayloadType::Statement, &consent(ConsentState::Withdrawn, None));
    let late = [old.say(PayloadType::Statement, &consent(ConsentState::Expired, None)), old.say(PayloadType::Statement, &Statement::Plan { plan })];
    Agent::receipt(&old.send(store, [vec![withdrawn], late.to_vec()].concat(), NOW + 4).await);
    let row = store.machine_of(&ALL, agent.id).await.unwrap();
    assert_eq!((row.consent.map(|row| row.state), row.plan.map(|plan| plan.interval_s)), (Some(ConsentState::Granted), Some(30)));
}

pub(super) async fn findings_are_counted_by_day(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let odd = agent.say(PayloadType::Report, &serde_json::json!({ "of_another_schema": true }));
    agent.noted = vec![Noted { kind: FindingKind::LeaseUnknown, seq: 0, detail: word("guessed") }];
    assert_eq!(Agent::receipt(&agent.send(store, vec![odd.clone()], NOW).await).seq, 0);
    agent.send(store, vec![odd], NOW + 1).await;
    let odd = agent.say(PayloadType::Report, &serde_json::json!({ "of_another_schema": true }));
    agent.send(store, vec![odd], NOW + 2).await;
    let mut rows = store.findings(&ALL).await.unwrap();
    rows.sort_by_key(|row| row.kind);
    let seen: Vec<_> = rows.iter().map(|row| (row.kind, row.count, row.first_at_ms, row.last_at_ms, row.seq)).collect();
    assert_eq!(
        seen,
        [(FindingKind::BodyUnusable, 2, NOW, NOW + 2, 1), (FindingKind::ChainWithoutOpen, 1, NOW, NOW, 0), (FindingKind::LeaseUnknown, 1, NOW, NOW, 0),]
    );
    sound(store).await;
}

pub(super) async fn nobody_sees_beyond_their_scope(store: &Store) {
    for (n, at) in [(1, "west"), (2, "east")] {
        let mut agent = enrolled(store, n, at, "ct-1").await;
        let odd = agent.say(PayloadType::Report, &serde_json::json!({}));
        agent.send(store, vec![odd], NOW).await;
    }
    let west = Scope::Facility(word("west"));
    let theirs = store.machine(&ALL, &word("east"), &word("ct-1")).await.unwrap();
    let ours = store.machine(&west, &word("west"), &word("ct-1")).await.unwrap();
    let chain = theirs.chain.unwrap().chain_id;
    assert_eq!(store.facilities(&west).await.unwrap().len(), 1);
    assert_eq!(store.machines(&west).await.unwrap(), std::slice::from_ref(&ours));
    assert_eq!(store.tokens(&west).await.unwrap().len(), 1);
    assert!(store.findings(&west).await.unwrap().iter().all(|row| row.agent_id == ours.agent_id));
    assert!(store.audit(&west, 0, 1000).await.unwrap().iter().all(|row| row.facility == Some(word("west"))));
    assert_eq!(store.dirty_machines(&west, 9).await.unwrap().len(), 1);
    assert!(store.due_machines(&west, NOW, 9).await.unwrap().is_empty());
    let hidden = |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::NotFound(_))), "{result:?}");
    hidden(store.machine(&west, &word("east"), &word("ct-1")).await.map(drop));
    hidden(store.machine_of(&west, theirs.agent_id).await.map(drop));
    hidden(store.transitions(&west, theirs.agent_id).await.map(drop));
    hidden(store.sessions(&west, theirs.agent_id).await.map(drop));
    hidden(store.chains(&west, theirs.agent_id).await.map(drop));
    hidden(store.evidence(&west, theirs.agent_id, chain, 0, 0, 9).await.map(drop));
    assert_eq!(store.fsck(&west).await.unwrap(), Vec::<String>::new());
}

pub(super) async fn nobody_changes_beyond_their_scope(store: &Store) {
    enrolled(store, 1, "west", "ct-1").await;
    let theirs = token(store, 2, "east", None).await;
    let before = store.audit(&ALL, 0, 1000).await.unwrap().len();
    let (west, actor) = (Scope::Facility(word("west")), operator());
    let (east, ct) = (word("east"), word("ct-1"));
    let hidden = |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::NotFound(_))), "{result:?}");
    store.redeem(ask(theirs, 2), NOW).await.unwrap();
    let waits = store.machines(&Scope::Facility(east.clone())).await.unwrap().remove(0).alias;
    hidden(store.add_facility(&west, &actor, &word("more"), "x", false, NOW).await);
    let new = NewToken {
        token_id: TokenId([3; 8]),
        public_key: [1; 32],
        facility: east.clone(),
        slot: None,
        reason: String::new(),
        source: None,
        expires_at_ms: NOW + 1,
    };
    hidden(store.add_token(&west, &actor, new, NOW).await);
    hidden(store.revoke_token(&west, &actor, theirs, NOW).await);
    hidden(store.approve_machine(&west, &actor, &east, &waits, None, NOW).await.map(drop));
    hidden(store.rename_machine(&west, &actor, &east, &waits, &word("x"), NOW).await);
    hidden(store.revoke_machine(&west, &actor, &east, &waits, NOW).await.map(drop));
    hidden(store.retire_machine(&west, &actor, &east, &waits, NOW).await);
    hidden(store.replace_machine(&west, &actor, &east, &waits, &ct, NOW).await);
    hidden(store.move_machine(&west, &actor, &word("west"), &ct, &east, NOW).await);
    assert_eq!(store.audit(&ALL, 0, 1000).await.unwrap().len(), before + 1, "only the enrolment");
}

pub(super) async fn what_people_do_is_written_down(store: &Store) {
    enrolled(store, 1, "west", "ct-1").await;
    let (west, ct) = (word("west"), word("ct-1"));
    let facility = Actor { kind: ActorKind::Facility, name: word("yamada") };
    store.rename_machine(&Scope::Facility(west.clone()), &facility, &west, &ct, &word("ct-2"), NOW + 1).await.unwrap();
    store.revoke_machine(&ALL, &operator(), &west, &word("ct-2"), NOW + 2).await.unwrap();
    store.revoke_machine(&ALL, &operator(), &west, &word("ct-2"), NOW + 3).await.unwrap();
    store.retire_machine(&ALL, &operator(), &west, &word("ct-2"), NOW + 4).await.unwrap();
    let rows = store.audit(&ALL, 0, 1000).await.unwrap();
    let deeds: Vec<_> = rows.iter().map(|row| (row.verb.as_str(), row.noun.as_str(), row.actor_kind.name())).collect();
    assert_eq!(
        deeds,
        [
            ("retire", "machine", "cli"),
            ("revoke", "machine", "cli"),
            ("rename", "machine", "facility"),
            ("enrol", "machine", "agent"),
            ("add", "token", "cli"),
            ("add", "facility", "cli"),
        ]
    );
    assert!(rows[2].detail.contains("ct-2"));
}

/// Bounds of what is shown before its place in the chain vouches for it.
pub(super) async fn a_preview_beyond_belief_is_not_shown(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let first = agent.report();
    agent.send(store, vec![opened, first], NOW).await;
    let shown = async || store.machine_of(&ALL, agent.id).await.unwrap().latest.map(|row| (row.seq, row.is_preview)).unwrap();
    let preview = |seq: u64, taken_at_ms: i64| {
        let mut far = agent.clone();
        (far.tip.next_seq, far.taken_at_ms) = (seq, taken_at_ms);
        far.report()
    };
    for (seq, taken_at_ms) in [(1_000_003, NOW + 120_000), (5, NOW + 86_400_002), (u64::MAX >> 3, NOW + 120_000)] {
        let batch = agent.batch(Vec::new(), Some(preview(seq, taken_at_ms)), NOW + 1);
        assert_eq!(store.ingest(batch).await.unwrap().answered, crate::store::Answered::NothingToSay);
        assert_eq!(shown().await, (1, false), "{seq} {taken_at_ms}");
    }
    let batch = agent.batch(Vec::new(), Some(preview(1_000_002, NOW + 86_400_000)), NOW + 1);
    store.ingest(batch).await.unwrap();
    assert_eq!(shown().await, (1_000_002, true), "as far as an outbox reaches and a clock may be ahead");
}
