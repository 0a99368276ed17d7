//! Presence and who judges it.

use super::{ALL, NOW, enrolled, operator, word};
use crate::store::{Actor, ActorKind, PresenceChange, PresenceRow, Store, Transition};
use mimamori_shared::id::AgentId;

fn change(agent_id: AgentId, was: Option<(&str, i64)>, now: &str, since_ms: i64) -> PresenceChange {
    PresenceChange {
        agent_id,
        seen: was.map(|(state, since_ms)| (word(state), since_ms)),
        row: PresenceRow { state: word(now), since_ms, because: word("test"), due_at_ms: Some(since_ms + 100), memory: "{}".to_owned() },
        transitions: vec![Transition { state: word(now), from_ms: since_ms, to_ms: None, because: word("test"), evidence: "seq 1".to_owned() }],
        noted: Vec::new(),
        dirty_mark: None,
        lease: None,
    }
}

pub(super) async fn presence_changes_once(store: &Store) {
    let agent = enrolled(store, 1, "west", "ct-1").await.id;
    let save = async |change| store.save_presence(&ALL, &operator(), change, NOW).await.unwrap();
    assert!(!save(change(agent, Some(("up", 1)), "down", 2)).await);
    assert!(save(change(agent, None, "up", 1)).await);
    assert!(!save(change(agent, None, "up", 1)).await);
    assert!(save(change(agent, Some(("up", 1)), "down", 2)).await);
    assert!(!save(change(agent, Some(("up", 1)), "gone", 3)).await);
    let row = store.machine_of(&ALL, agent).await.unwrap().presence.unwrap();
    assert_eq!((row.state.as_str(), row.since_ms, row.due_at_ms), ("down", 2, Some(102)));
    let steps = store.transitions(&ALL, agent).await.unwrap();
    assert_eq!(steps.iter().map(|step| step.line.state.as_str()).collect::<Vec<_>>(), ["down", "up"]);
    assert!(store.due_machines(&ALL, 101, 9).await.unwrap().is_empty());
    assert_eq!(store.due_machines(&ALL, 102, 9).await.unwrap(), [agent]);
}

pub(super) async fn news_that_comes_meanwhile_stays(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let (opened, report) = (agent.open(), agent.report());
    agent.send(store, vec![opened], NOW).await;
    let seen = store.dirty_machines(&ALL, 9).await.unwrap()[0];
    assert_eq!(seen.agent_id, agent.id);
    agent.send(store, vec![report], NOW + 1).await;
    let judged = PresenceChange { dirty_mark: Some(seen.mark), ..change(agent.id, None, "up", 1) };
    assert!(store.save_presence(&ALL, &operator(), judged, NOW).await.unwrap());
    let left = store.dirty_machines(&ALL, 9).await.unwrap()[0];
    let judged = PresenceChange { dirty_mark: Some(left.mark), ..change(agent.id, Some(("up", 1)), "up", 1) };
    assert!(store.save_presence(&ALL, &operator(), judged, NOW).await.unwrap());
    assert!(store.dirty_machines(&ALL, 9).await.unwrap().is_empty());
}

pub(super) async fn a_lease_has_one_holder(store: &Store) {
    let agent = enrolled(store, 1, "west", "ct-1").await.id;
    let (one, other) = (Actor { kind: ActorKind::System, name: word("a") }, Actor { kind: ActorKind::System, name: word("b") });
    let name = word("presence");
    let held = store.take_lease(&one, &name, NOW + 15, NOW).await.unwrap().unwrap();
    assert_eq!(store.take_lease(&other, &name, NOW + 20, NOW + 5).await.unwrap(), None);
    assert_eq!(store.take_lease(&one, &name, NOW + 20, NOW + 5).await.unwrap(), Some(held.clone()));
    let next = store.take_lease(&other, &name, NOW + 40, NOW + 20).await.unwrap().unwrap();
    assert!(next.fence > held.fence);
    let late = PresenceChange { lease: Some(held), ..change(agent, None, "up", 1) };
    assert!(!store.save_presence(&ALL, &one, late, NOW).await.unwrap());
    let judged = PresenceChange { lease: Some(next.clone()), ..change(agent, None, "up", 1) };
    assert!(store.save_presence(&ALL, &other, judged, NOW).await.unwrap());
    store.end_lease(&next).await.unwrap();
    assert!(store.take_lease(&one, &name, NOW + 40, NOW + 21).await.unwrap().is_some());
}

pub(super) async fn the_store_says_that_it_can_write(store: &Store) {
    store.write_probe(NOW).await.unwrap();
    store.write_probe(NOW).await.unwrap();
    store.make_months(NOW + 90 * 86_400_000).await.unwrap();
}
