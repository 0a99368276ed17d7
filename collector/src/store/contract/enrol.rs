//! Tokens become machines, once.

use super::{ALL, HOUR, NOW, ask, enrolled, operator, token, word};
use crate::store::{MachineState, RedeemRefusal, Redeemed, Store, StoreError};
use mimamori_shared::id::TokenId;
use mimamori_shared::payload::EnrolState;

#[track_caller]
fn given(redeemed: &Redeemed) -> (&crate::store::Enrolment, bool) {
    let Redeemed::Enrolled { enrolment, first_time } = redeemed else { panic!("{redeemed:?}") };
    (enrolment, *first_time)
}

pub(super) async fn enrolling_twice_gives_the_same(store: &Store) {
    let token = token(store, 1, "west", None).await;
    let first = store.redeem(ask(token, 5), NOW + 1).await.unwrap();
    assert!(given(&first).1);
    // Past its end, after a rename, with another agent id at hand: the same.
    let at = given(&first).0;
    store.approve_machine(&ALL, &operator(), &at.facility, &at.machine, Some(&word("ct-1")), NOW + 2).await.unwrap();
    let mut again = ask(token, 5);
    again.agent_id = ask(token, 6).agent_id;
    let second = store.redeem(again, NOW + 2 * HOUR).await.unwrap();
    assert_eq!(given(&second), (at, false));
    assert_eq!(store.machines(&ALL).await.unwrap().len(), 1);
}

pub(super) async fn a_hundred_at_once_and_one_is_enrolled(store: &Store) {
    let token = token(store, 1, "west", Some("ct-1")).await;
    let asked: Vec<_> = (100..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.redeem(ask(token, n), NOW).await.unwrap() })
        })
        .collect();
    let mut enrolled = 0;
    for task in asked {
        match task.await.unwrap() {
            Redeemed::Enrolled { first_time, .. } => enrolled += usize::from(first_time),
            Redeemed::Refused(why) => assert_eq!(why, RedeemRefusal::UsedByAnotherKey),
        }
    }
    assert_eq!(enrolled, 1);
    assert_eq!(store.machines(&ALL).await.unwrap().len(), 1);
    let contests: Vec<_> = store.audit(&ALL, 0, 1000).await.unwrap().into_iter().filter(|row| row.verb == word("contest")).collect();
    assert_eq!(contests.len(), 99);
    assert!(contests[0].detail.contains("used_by") && contests[0].detail.contains("asked_by"));
    // Whoever copied the token and goes on asking with ever new keys fills nothing.
    for n in 0..100 {
        assert!(matches!(store.redeem(ask(token, n), NOW).await.unwrap(), Redeemed::Refused(_)));
    }
    let contests = store.audit(&ALL, 0, 1000).await.unwrap().into_iter().filter(|row| row.verb == word("contest")).count();
    assert_eq!(contests, 128);
}

pub(super) async fn tokens_that_do_not_count_are_refused(store: &Store) {
    let (late, gone) = (token(store, 1, "west", None).await, token(store, 2, "west", None).await);
    store.revoke_token(&ALL, &operator(), gone, NOW).await.unwrap();
    for (ask, now_ms, why) in [
        (ask(TokenId([9; 8]), 1), NOW, RedeemRefusal::Unknown),
        (ask(late, 1), NOW + HOUR, RedeemRefusal::Expired),
        (ask(gone, 1), NOW, RedeemRefusal::Revoked),
    ] {
        assert_eq!(store.redeem(ask, now_ms).await.unwrap(), Redeemed::Refused(why));
    }
    let mut wrong = ask(late, 1);
    wrong.key_id = ask(late, 2).key_id;
    assert!(matches!(store.redeem(wrong, NOW).await, Err(StoreError::Invalid(_))));
    assert!(store.machines(&ALL).await.unwrap().is_empty());
    assert_eq!(store.token_public_key(gone).await.unwrap(), Some(super::key(1_000_002).public().to_bytes()));
    assert_eq!(store.token_public_key(TokenId([9; 8])).await.unwrap(), None);
}

pub(super) async fn a_key_belongs_to_one_agent(store: &Store) {
    let agent = enrolled(store, 1, "west", "ct-1").await;
    let second = token(store, 2, "east", Some("ct-1")).await;
    assert_eq!(store.redeem(ask(second, 1), NOW).await.unwrap(), Redeemed::Refused(RedeemRefusal::KeyInUse));
    let key = store.key(agent.key_id()).await.unwrap().unwrap();
    assert_eq!((key.agent_id, key.public_key, key.machine), (agent.id, ask(second, 1).public_key, MachineState::Active));
    assert_eq!(store.key(ask(second, 9).key_id).await.unwrap(), None);
}

pub(super) async fn a_slot_is_active_and_others_wait(store: &Store) {
    let (slot, open) = (token(store, 1, "west", Some("ct-1")).await, token(store, 2, "west", None).await);
    let active = store.redeem(ask(slot, 1), NOW).await.unwrap();
    assert_eq!((given(&active).0.state, given(&active).0.machine.as_str()), (EnrolState::Active, "ct-1"));
    let waits = store.redeem(ask(open, 0x0102_0304_0000_0000), NOW).await.unwrap();
    assert_eq!((given(&waits).0.state, given(&waits).0.machine.as_str()), (EnrolState::Pending, "m-01020304"));
    let alias = &given(&waits).0.machine;
    let taken = store.approve_machine(&ALL, &operator(), &word("west"), alias, Some(&word("ct-1")), NOW).await;
    assert!(matches!(taken, Err(StoreError::Taken(_))));
    store.approve_machine(&ALL, &operator(), &word("west"), alias, Some(&word("ct-2")), NOW).await.unwrap();
    let row = store.machine(&ALL, &word("west"), &word("ct-2")).await.unwrap();
    assert_eq!((row.state, row.approved_at_ms), (MachineState::Active, Some(NOW)));
}

pub(super) async fn a_new_machine_takes_the_place_of_an_old_one(store: &Store) {
    let old = enrolled(store, 1, "west", "ct-1").await;
    let new = enrolled(store, 2, "west", "new").await;
    let (west, east, alias) = (word("west"), word("east"), word("ct-1"));
    store.replace_machine(&ALL, &operator(), &west, &alias, &word("new"), NOW + 1).await.unwrap();
    let row = store.machine(&ALL, &west, &alias).await.unwrap();
    assert_eq!((row.agent_id, row.replaces), (new.id, Some(old.id)));
    let row = store.machine_of(&ALL, old.id).await.unwrap();
    assert_eq!((row.state, row.alias, row.ended_at_ms), (MachineState::Retired, alias.clone(), Some(NOW + 1)));
    super::facility(store, "east").await;
    store.move_machine(&ALL, &operator(), &west, &alias, &east, NOW + 2).await.unwrap();
    assert_eq!(store.machine(&ALL, &east, &alias).await.unwrap().agent_id, new.id);
    let machines: Vec<u64> = store.facilities(&ALL).await.unwrap().iter().map(|row| row.machines).collect();
    assert_eq!(machines, [1, 0]);
}

pub(super) async fn nothing_is_decided_about_a_retired_machine_any_more(store: &Store) {
    enrolled(store, 1, "west", "ct-1").await;
    let (west, ct, actor) = (word("west"), word("ct-1"), operator());
    store.retire_machine(&ALL, &actor, &west, &ct, NOW).await.unwrap();
    let done = [
        store.retire_machine(&ALL, &actor, &west, &ct, NOW).await,
        store.revoke_machine(&ALL, &actor, &west, &ct, NOW).await.map(drop),
        store.approve_machine(&ALL, &actor, &west, &ct, None, NOW).await.map(drop),
        store.rename_machine(&ALL, &actor, &west, &ct, &word("x"), NOW).await,
    ];
    assert!(done.iter().all(|done| matches!(done, Err(StoreError::Retired))), "{done:?}");
    assert!(matches!(store.retire_machine(&ALL, &actor, &west, &word("none"), NOW).await, Err(StoreError::NotFound(_))));
    // Its name is free, and then it is the new machine's.
    let new = enrolled(store, 2, "west", "ct-1").await.id;
    assert_eq!(store.revoke_machine(&ALL, &actor, &west, &ct, NOW).await.unwrap(), store.machine_of(&ALL, new).await.unwrap().key_id);
}
