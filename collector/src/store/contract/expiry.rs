//! Consents that end soon: told 30, 7 and 1 days before, each once.

use super::agent::Agent;
use super::{ALL, HOUR, NOW, enrolled, operator, terms, word};
use crate::store::{FindingKind, Scope, Store};
use mimamori_shared::payload::{ConsentState, Counts, Statement};
use mimamori_shared::sign::PayloadType;

const DAY: i64 = 24 * HOUR;
/// More than are due.
const MANY: u32 = 100;

/// Has the agent state a consent that ends at a moment, or that there is none any more.
pub(super) async fn consents(store: &Store, agent: &mut Agent, valid_to_ms: Option<i64>, now_ms: i64) {
    let terms = valid_to_ms.map(terms);
    let state = if terms.is_some() { ConsentState::Granted } else { ConsentState::Withdrawn };
    let terms_hash = terms.as_ref().map_or(mimamori_shared::id::Hash::ZERO, mimamori_shared::consent::ConsentTerms::hash);
    let opening = (agent.tip.next_seq == 0).then(|| agent.open());
    let stated = agent.say(PayloadType::Statement, &Statement::Consent { state, terms_hash, terms, purged: Counts::default() });
    Agent::receipt(&agent.send(store, opening.into_iter().chain([stated]).collect(), now_ms).await);
}

/// How many ends were told just now.
pub(super) async fn told(store: &Store, now_ms: i64) -> usize {
    store.note_expiring_consents(&ALL, &operator(), now_ms, MANY).await.unwrap()
}

/// What the findings say, oldest first.
pub(super) async fn said(store: &Store) -> Vec<(String, u64)> {
    let mut rows = store.findings(&ALL).await.unwrap();
    rows.retain(|row| row.kind == FindingKind::ConsentExpires);
    rows.sort_by_key(|row| row.first_at_ms);
    rows.iter().map(|row| (row.detail.to_string(), row.count)).collect()
}

pub(super) async fn an_end_is_told_thirty_seven_and_one_days_before_each_once(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let end = NOW + 40 * DAY;
    consents(store, &mut agent, Some(end), NOW).await;
    let mut counts = Vec::new();
    // Every six hours from now to beyond the end.
    for hours in (0..=45 * 24).step_by(6) {
        let now_ms = NOW + hours * HOUR;
        if told(store, now_ms).await > 0 {
            counts.push((end - now_ms) / DAY);
            assert_eq!(told(store, now_ms).await, 0, "and not again");
        }
    }
    assert_eq!(counts, [30, 7, 1]);
    assert_eq!(told(store, end - 20 * DAY).await, 0, "nor when the clock is set back");
    let days = |days: u32| (format!("within_{days}_days"), 1);
    assert_eq!(said(store).await, [days(30), days(7), days(1)]);
}

pub(super) async fn another_end_is_told_anew_and_a_withdrawn_or_far_one_never(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    consents(store, &mut agent, Some(NOW + 5 * DAY), NOW).await;
    assert_eq!(told(store, NOW).await, 1, "only the narrowest mark of those that are past");
    // The same end in other words: the facility narrowed something.
    consents(store, &mut agent, Some(NOW + 5 * DAY), NOW + HOUR).await;
    assert_eq!(told(store, NOW + HOUR).await, 0);
    consents(store, &mut agent, Some(NOW + 6 * DAY), NOW + 2 * HOUR).await;
    assert_eq!(told(store, NOW + 2 * HOUR).await, 1, "another end");
    consents(store, &mut agent, Some(NOW + 400 * DAY), NOW + 3 * HOUR).await;
    assert_eq!(told(store, NOW + 3 * HOUR).await, 0, "a far one");
    consents(store, &mut agent, Some(NOW + 3 * DAY), NOW + 4 * HOUR).await;
    consents(store, &mut agent, None, NOW + 5 * HOUR).await;
    assert_eq!(told(store, NOW + 5 * HOUR).await, 0, "a withdrawn one");
    assert_eq!(said(store).await, [("within_7_days".to_owned(), 2)]);
}

pub(super) async fn ends_are_told_within_their_scope_and_no_more_than_asked_for(store: &Store) {
    for n in 1..=5 {
        let mut agent = enrolled(store, n, if n == 1 { "west" } else { "east" }, &format!("ct-{n}")).await;
        consents(store, &mut agent, Some(NOW + 3 * DAY), NOW).await;
    }
    let west = Scope::Facility(word("west"));
    assert_eq!(store.note_expiring_consents(&west, &operator(), NOW, MANY).await.unwrap(), 1);
    let mut each = Vec::new();
    for _ in 0..4 {
        each.push(store.note_expiring_consents(&ALL, &operator(), NOW, 2).await.unwrap());
    }
    assert_eq!(each, [2, 2, 0, 0]);
    assert_eq!(said(store).await.len(), 5);
}

pub(super) async fn of_two_who_tell_at_once_one_does(store: &Store) {
    for n in 1..=20 {
        let mut agent = enrolled(store, n, "west", &format!("ct-{n}")).await;
        consents(store, &mut agent, Some(NOW + 3 * DAY), NOW).await;
    }
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { told(&store, NOW).await })
        })
        .collect();
    let mut all = 0;
    for task in tasks {
        all += task.await.unwrap();
    }
    assert_eq!((all, said(store).await.iter().map(|(_, count)| count).sum::<u64>()), (20, 20));
}
