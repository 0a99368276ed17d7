//! What agents send, and what they are told.

use super::agent::{Agent, Pair};
use super::{ALL, HOUR, NOW, ask, enrolled, operator, sound, token, word};
use crate::store::{Answered, FindingKind, MachineState, Redeemed, Store, StoreError, Waiting};
use mimamori_shared::id::{BootId, Hash};
use mimamori_shared::payload::{OpenReason, ReceiptStatus, RefusalReason};
use mimamori_shared::sign::sha256;
use mimamori_shared::time::parse;

async fn rows(store: &Store, agent: &Agent, branch: u32) -> usize {
    store.evidence(&ALL, agent.id, agent.chain, branch, 0, 1000).await.unwrap().len()
}

async fn found(store: &Store, kind: FindingKind) -> u64 {
    store.findings(&ALL).await.unwrap().iter().filter(|row| row.kind == kind).map(|row| row.count).sum()
}

pub(super) async fn a_replay_gives_the_same_receipt_and_keeps_nothing(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let mut entries = vec![agent.open()];
    entries.extend(agent.reports(9));
    let first = agent.send(store, entries.clone(), NOW).await;
    let receipt = Agent::receipt(&first);
    assert_eq!((receipt.seq, receipt.head_hash, receipt.received_at_ms), (9, agent.tip.head, NOW));
    assert_eq!((receipt.branch, receipt.status), (0, ReceiptStatus::Ok));
    assert_eq!(agent.send(store, entries.clone(), NOW + 77).await, first);
    let middle = Agent::receipt(&agent.send(store, entries[2..4].to_vec(), NOW + 77).await);
    assert_eq!((middle.seq, middle.received_at_ms), (3, NOW));
    assert_eq!(rows(store, &agent, 0).await, 10);
    let sessions = store.sessions(&ALL, agent.id).await.unwrap();
    assert_eq!(sessions.iter().map(|row| (row.from_seq, row.to_seq, row.largest_gap_ms)).collect::<Vec<_>>(), [(0, 9, 60_000)]);
    sound(store).await;
}

pub(super) async fn a_gap_is_waited_for(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let unknown = agent.clone().reports(2).split_off(1);
    let nothing = RefusalReason::Behind { next_seq: 0, head_hash: Hash::ZERO };
    let answered = agent.send(store, unknown.clone(), NOW).await;
    assert_eq!(answered, Answered::Refusal { reason: nothing, chain_id: agent.chain, in_reply_to: unknown[0].0.hash() });
    let opened = vec![agent.open()];
    agent.send(store, opened.clone(), NOW).await;
    let late = agent.report();
    let early = agent.report();
    let behind = RefusalReason::Behind { next_seq: 1, head_hash: opened[0].0.hash() };
    for at in [NOW + 1, NOW + 2] {
        assert_eq!(Agent::refusal(&agent.send(store, vec![early.clone()], at).await), behind);
    }
    let chain = store.chains(&ALL, agent.id).await.unwrap().remove(0);
    assert_eq!((chain.next_seq, chain.waiting), (1, Some(Waiting { for_seq: 1, since_ms: NOW + 1 })));
    assert_eq!(Agent::receipt(&agent.send(store, vec![late, early], NOW + 3).await).seq, 2);
    assert_eq!(store.chains(&ALL, agent.id).await.unwrap()[0].waiting, None);
    sound(store).await;
}

pub(super) async fn a_loss_bridges(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let lost = agent.reports(5);
    let bridge = agent.bridge(&lost);
    let after = agent.report();
    let receipt = Agent::receipt(&agent.send(store, vec![opened, bridge.clone(), after], NOW).await);
    assert_eq!((receipt.seq, receipt.head_hash), (6, agent.tip.head));
    assert_eq!(rows(store, &agent, 0).await, 3);
    let bridged = Agent::receipt(&agent.send(store, vec![bridge.clone()], NOW + 9).await);
    assert_eq!((bridged.seq, bridged.head_hash, bridged.received_at_ms), (5, lost[4].0.hash(), NOW));
    // What was inside comes after all, up to the loss's end: it agrees, and the receipt is for what was sent.
    assert_eq!(Agent::receipt(&agent.send(store, lost.clone(), NOW + 9).await), bridged);
    assert!(store.findings(&ALL).await.unwrap().is_empty());
    // Only a part of it: a receipt for the end would be for what was never sent. An older image of the machine spoke.
    let refused = Agent::refusal(&agent.send(store, vec![lost[2].clone()], NOW + 9).await);
    assert_eq!(refused, RefusalReason::Behind { next_seq: 7, head_hash: agent.tip.head });
    let found = store.findings(&ALL).await.unwrap();
    assert_eq!((found[0].kind, found[0].detail.as_str()), (FindingKind::Diverged, "inside_loss"));
    assert_eq!(rows(store, &agent, 0).await, 3);
    sound(store).await;
}

pub(super) async fn a_fork_is_told_and_kept_apart(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    agent.send(store, vec![opened.clone()], NOW).await;
    let mut copy = agent.clone();
    copy.taken_at_ms += 1;
    let ours = agent.reports(2);
    let before = Agent::receipt(&agent.send(store, ours.clone(), NOW).await);
    let theirs = copy.reports(3);
    let reason = Agent::refusal(&copy.send(store, theirs[..1].to_vec(), NOW + 1).await);
    let RefusalReason::Diverged { ancestor: Some(ancestor), branch: 1, seq: 1, head_hash } = reason else { panic!("{reason:?}") };
    assert_eq!((ancestor.seq, ancestor.hash, head_hash), (0, opened.0.hash(), theirs[0].0.hash()));
    let kept = Agent::receipt(&copy.send(store, theirs.clone(), NOW + 2).await);
    assert_eq!((kept.branch, kept.seq, kept.status), (1, 3, ReceiptStatus::Forked));
    let after = Agent::receipt(&agent.send(store, ours, NOW + 3).await);
    assert_eq!(after.status, ReceiptStatus::Forked);
    assert_eq!((after.head_hash, after.received_at_ms), (before.head_hash, before.received_at_ms));
    // The other voice's report is not shown.
    let row = store.machine_of(&ALL, agent.id).await.unwrap();
    assert_eq!(row.latest.unwrap().seq, 2);
    assert_eq!(row.chain.map(|chain| (chain.forked, chain.branches)), Some((true, 2)));
    assert_eq!((rows(store, &agent, 0).await, rows(store, &agent, 1).await), (3, 3));
    assert_eq!(found(store, FindingKind::Diverged).await, 1);
    sound(store).await;
}

pub(super) async fn a_fifth_branch_is_refused(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let at = agent.clone();
    let report = agent.report();
    agent.send(store, vec![opened, report], NOW).await;
    for n in 1..=4 {
        let mut copy = at.clone();
        copy.taken_at_ms += n;
        let theirs = copy.report();
        let reason = Agent::refusal(&copy.send(store, vec![theirs], NOW).await);
        if n < 4 {
            assert!(matches!(reason, RefusalReason::Diverged { seq: 1, .. }), "{n}: {reason:?}");
        } else {
            assert_eq!(reason, RefusalReason::TooManyBranches);
        }
    }
    let more = agent.report();
    assert_eq!(Agent::receipt(&agent.send(store, vec![more], NOW).await).seq, 2);
    assert_eq!(found(store, FindingKind::TooManyBranches).await, 1);
    sound(store).await;
}

pub(super) async fn boots_that_take_turns_mark_the_chain(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    agent.boot = BootId([2; 16]);
    let second = agent.report();
    let receipt = Agent::receipt(&agent.send(store, vec![opened, second], NOW).await);
    assert_eq!(receipt.status, ReceiptStatus::Ok);
    agent.boot = BootId([1; 16]);
    let third = agent.report();
    let receipt = Agent::receipt(&agent.send(store, vec![third], NOW).await);
    assert_eq!(receipt.status, ReceiptStatus::Forked);
    assert_eq!(found(store, FindingKind::BootsInterleaved).await, 1);
    sound(store).await;
}

/// A loss that was written down after a reboot stands before entries of the boot before.
pub(super) async fn a_boot_written_into_a_loss_marks_nothing(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let lost = agent.reports(2);
    let unsent = agent.report();
    agent.boot = BootId([2; 16]);
    let bridge = agent.bridge(&lost);
    let next = agent.report();
    let receipt = Agent::receipt(&agent.send(store, vec![opened, bridge, unsent, next], NOW).await);
    assert_eq!(receipt.status, ReceiptStatus::Ok);
    assert_eq!(store.sessions(&ALL, agent.id).await.unwrap().len(), 2);
    sound(store).await;
}

pub(super) async fn an_old_chain_that_speaks_marks_both(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    agent.taken_at_ms = NOW;
    let mut old = agent.clone();
    agent.send(store, vec![opened], NOW).await;
    let restored = agent.restart(2, OpenReason::Restored);
    assert_eq!(Agent::receipt(&agent.send(store, vec![restored], NOW + 10).await).status, ReceiptStatus::Ok);
    // Queued before the newer chain was opened: late, but the same voice.
    let queued = old.report();
    assert_eq!(Agent::receipt(&old.send(store, vec![queued], NOW + 20).await).status, ReceiptStatus::Ok);
    old.taken_at_ms = NOW + 15;
    let speaks = old.report();
    assert_eq!(Agent::receipt(&old.send(store, vec![speaks], NOW + 20).await).status, ReceiptStatus::Forked);
    let chains = store.chains(&ALL, agent.id).await.unwrap();
    assert_eq!(chains.iter().map(|chain| (chain.epoch, chain.forked)).collect::<Vec<_>>(), [(1, true), (2, true)]);
    sound(store).await;
}

pub(super) async fn an_old_chain_that_speaks_is_told_from_a_backlog_under_any_clock(store: &Store) {
    for (n, clock_ms) in [(1, 72 * HOUR), (2, -72 * HOUR)] {
        let mut agent = enrolled(store, n, "west", &format!("ct-{n}")).await;
        agent.clock_ms = clock_ms;
        let opened = agent.open();
        agent.send(store, vec![opened], NOW).await;
        let mut old = agent.clone();
        let queued = old.reports(3);
        let restored = agent.restart(2, OpenReason::Restored);
        agent.send(store, vec![restored], NOW + 200_000).await;
        let status = async |old: &Agent, entries, at_ms| Agent::receipt(&old.send(store, entries, at_ms).await).status;
        assert_eq!(status(&old, queued, NOW + 300_000).await, ReceiptStatus::Ok, "taken before, and late: {clock_ms}");
        old.taken_at_ms = NOW + 360_000;
        let (first, second) = (old.report(), old.report());
        assert_eq!(status(&old, vec![first], NOW + 360_100).await, ReceiptStatus::Ok, "it may have been on its way");
        assert_eq!(status(&old, vec![second], NOW + 420_100).await, ReceiptStatus::Forked, "{clock_ms}");
    }
    sound(store).await;
}

pub(super) async fn new_chains_need_approval_after_three(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    agent.send(store, vec![opened], NOW).await;
    for chain in 2..=4 {
        let opened = agent.restart(chain, OpenReason::StateLost);
        Agent::receipt(&agent.send(store, vec![opened], NOW + 1).await);
    }
    let fifth = agent.restart(5, OpenReason::Enrolled);
    let refused = agent.send(store, vec![fifth.clone()], NOW + 2).await;
    assert_eq!(Agent::refusal(&refused), RefusalReason::TooManyChains);
    store.approve_machine(&ALL, &operator(), &word("west"), &word("ct-1"), None, NOW + 3).await.unwrap();
    Agent::receipt(&agent.send(store, vec![fifth], NOW + 4).await);
    assert_eq!(store.chains(&ALL, agent.id).await.unwrap().last().unwrap().epoch, 5);
    sound(store).await;
}

pub(super) async fn revoked_and_pending_machines_are_told(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    agent.send(store, vec![opened.clone()], NOW).await;
    store.revoke_machine(&ALL, &operator(), &word("west"), &word("ct-1"), NOW).await.unwrap();
    let report = agent.report();
    for entries in [vec![report], vec![opened]] {
        assert_eq!(Agent::refusal(&agent.send(store, entries, NOW).await), RefusalReason::Revoked);
    }
    assert_eq!(rows(store, &agent, 0).await, 1);
    let waiting = token(store, 2, "west", None).await;
    let Redeemed::Enrolled { enrolment, .. } = store.redeem(ask(waiting, 2), NOW).await.unwrap() else { panic!("refused") };
    let mut pending = Agent::new(super::key(2), enrolment.agent_id);
    let opened = pending.open();
    assert_eq!(pending.send(store, vec![opened], NOW).await, Answered::Pending);
    let row = store.machine_of(&ALL, pending.id).await.unwrap();
    assert_eq!((row.state, row.chain), (MachineState::Pending, None));
}

pub(super) async fn fifty_agents_share_commits(store: &Store) {
    let mut tasks = Vec::new();
    for n in 0..50 {
        let mut agent = enrolled(store, n, "west", &format!("ct-{n}")).await;
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut entry = agent.open();
            for round in 0..5 {
                let receipt = Agent::receipt(&agent.send(&store, vec![entry], NOW + round).await);
                assert_eq!((receipt.agent_id, receipt.head_hash), (agent.id, agent.tip.head));
                entry = agent.report();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let machines = store.machines(&ALL).await.unwrap();
    assert!(machines.iter().all(|row| row.chain.as_ref().is_some_and(|chain| chain.next_seq == 5)));
    sound(store).await;
}

pub(super) async fn a_failing_request_does_not_touch_its_neighbours(store: &Store) {
    let mut tasks = Vec::new();
    for n in 0..20 {
        let mut agent = enrolled(store, n, "west", &format!("ct-{n}")).await;
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let opened = agent.open();
            let mut batch = agent.batch(vec![opened], None, NOW);
            if n % 2 == 0 {
                batch.key_id = super::key(99).public().id();
                assert!(matches!(store.ingest(batch).await, Err(StoreError::Invalid(_))));
            } else {
                Agent::receipt(&store.ingest(batch).await.unwrap().answered);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let kept = store.machines(&ALL).await.unwrap().iter().filter(|row| row.chain.is_some()).count();
    assert_eq!(kept, 10);
    sound(store).await;
}

pub(super) async fn months_change_at_midnight_utc(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let reports = agent.reports(3);
    let midnight = parse("2027-01-01T00:00:00Z").unwrap();
    agent.send(store, vec![opened.clone()], midnight - 1).await;
    agent.send(store, reports[..1].to_vec(), midnight).await;
    agent.send(store, reports[1..].to_vec(), parse("2027-04-30T23:59:59Z").unwrap()).await;
    let seqs: Vec<u64> = store.evidence(&ALL, agent.id, agent.chain, 0, 0, 9).await.unwrap().iter().map(|row| row.seq).collect();
    assert_eq!(seqs, [0, 1, 2, 3]);
    let page = store.evidence(&ALL, agent.id, agent.chain, 0, 1, 2).await.unwrap();
    assert_eq!(page.iter().map(|row| (row.seq, &row.payload[..])).collect::<Vec<_>>(), [(1, reports[0].0.payload()), (2, reports[1].0.payload())]);
    let replay = Agent::receipt(&agent.send(store, vec![opened], midnight + 5).await);
    assert_eq!(replay.received_at_ms, midnight - 1);
    sound(store).await;
}

pub(super) async fn a_clock_set_back_loses_nothing(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let reports = agent.reports(2);
    let january = parse("2027-01-05T00:00:00Z").unwrap();
    agent.send(store, vec![opened], NOW).await;
    agent.send(store, reports[..1].to_vec(), january).await;
    let last = agent.send(store, reports[1..].to_vec(), NOW + 60_000).await;
    assert_eq!(agent.send(store, reports.clone(), january).await, last);
    let seqs: Vec<u64> = store.evidence(&ALL, agent.id, agent.chain, 0, 0, 9).await.unwrap().iter().map(|row| row.seq).collect();
    assert_eq!(seqs, [0, 1, 2]);
    sound(store).await;
}

pub(super) async fn fsck_finds_what_was_changed(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let mut entries = vec![agent.open()];
    entries.extend(agent.reports(4));
    agent.send(store, entries, NOW).await;
    sound(store).await;
    let Store::Sqlite(engine) = store;
    for harm in [
        "UPDATE evidence_2026_11 SET payload = CAST(replace(CAST(payload AS TEXT), 'sample', 'change') AS BLOB) WHERE seq = 2",
        "UPDATE evidence_2026_11 SET signature = zeroblob(64) WHERE seq = 3",
        "UPDATE evidence_2026_11 SET tip_hash = zeroblob(32) WHERE seq = 1",
        "UPDATE evidence_2026_11 SET taken_at_ms = 1 WHERE seq = 1",
        "UPDATE evidence_2026_11 SET branch = 2 WHERE seq = 4",
        "DELETE FROM evidence_2026_11 WHERE seq = 4",
        "DELETE FROM evidence_2026_11 WHERE seq = 1",
        "INSERT INTO evidence_2026_12 SELECT * FROM evidence_2026_11 WHERE seq = 1",
        "UPDATE branch SET next_seq = 4",
        "UPDATE branch SET head = zeroblob(32)",
        "UPDATE session SET to_seq = 3",
        "UPDATE agent_key SET key_id = zeroblob(16)",
        "UPDATE chain SET epoch = 7",
    ] {
        let faults = engine.harmed(harm).await;
        assert!(!faults.is_empty(), "{harm}");
    }
    sound(store).await;
}

/// Three copies of a machine send any stretch of theirs in any order, with losses between, over months.
pub(super) async fn copies_that_talk_over_each_other_lose_nothing(store: &Store) {
    for case in 0..12_u64 {
        let mut agent = enrolled(store, case, "west", &format!("ct-{case}")).await;
        let mut shared = vec![agent.open()];
        shared.extend(agent.reports(3));
        let voices: Vec<Vec<Pair>> = (0..3)
            .map(|n| {
                let mut copy = agent.clone();
                copy.taken_at_ms += n;
                let mut said = shared.clone();
                said.extend(copy.reports(8));
                said
            })
            .collect();
        let mut acknowledged = Vec::new();
        for step in 0..40_u64 {
            let Hash(dice) = sha256(format!("{case} {step}").as_bytes());
            let voice = &voices[usize::from(dice[0]) % 3];
            let from = usize::from(dice[1]) % voice.len();
            let to = (from + 1 + usize::from(dice[2]) % 4).min(voice.len());
            let stretch = voice[from..to].to_vec();
            let entries = if dice[3] % 4 == 0 { vec![agent.bridge(&stretch)] } else { stretch };
            let at = NOW + i64::from(dice[4]) * 86_400_000;
            let answered = agent.send(store, entries.clone(), at).await;
            if let Answered::Receipt(receipt) = answered {
                acknowledged.push(receipt);
                let again = Agent::receipt(&agent.send(store, entries, at + 1).await);
                assert_eq!(
                    (again.branch, again.seq, again.head_hash, again.received_at_ms),
                    (receipt.branch, receipt.seq, receipt.head_hash, receipt.received_at_ms)
                );
            }
        }
        for receipt in acknowledged {
            let mut found = false;
            for branch in 0..=receipt.branch {
                let rows = store.evidence(&ALL, agent.id, agent.chain, branch, 0, 1000).await.unwrap();
                found |= rows.iter().any(|row| (row.last_seq, row.tip_hash, row.received_at_ms) == (receipt.seq, receipt.head_hash, receipt.received_at_ms));
            }
            assert!(found, "{receipt:?}");
        }
    }
    sound(store).await;
}

pub(super) async fn boots_beyond_what_is_told_apart_share_one_session(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    agent.send(store, vec![opened], NOW).await;
    for n in 0..150_u8 {
        agent.boot = BootId([n + 2; 16]);
        let report = agent.report();
        Agent::receipt(&agent.send(store, vec![report], NOW + i64::from(n)).await);
    }
    let sessions = store.sessions(&ALL, agent.id).await.unwrap();
    let folded = sessions.iter().find(|session| session.boot_id == BootId::ZERO).unwrap();
    assert_eq!((sessions.len(), folded.entries), (97, 150 + 1 - 96));
    let finding = store.findings(&ALL).await.unwrap().into_iter().find(|finding| finding.kind == FindingKind::BootsTooMany).unwrap();
    assert_eq!(finding.count, 55);
    assert!(!store.machine_of(&ALL, agent.id).await.unwrap().chain.unwrap().forked, "booting often is no second voice");
    agent.boot = BootId([200; 16]);
    let report = agent.report();
    agent.send(store, vec![report], NOW + 24 * HOUR).await;
    assert_eq!(store.sessions(&ALL, agent.id).await.unwrap().len(), 98, "the next day tells apart again");
    sound(store).await;
}

pub(super) async fn a_day_has_its_budget(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let bytes = opened.0.payload().len() as u64;
    agent.send(store, vec![opened], NOW).await;
    let report = agent.report();
    let send = async |now_ms| {
        let batch = crate::store::IngestBatch { day_bytes_max: bytes, ..agent.batch(vec![report.clone()], None, now_ms) };
        store.ingest(batch).await.unwrap().answered
    };
    assert_eq!(send(NOW + 1).await, crate::store::Answered::OverBudget);
    assert_eq!(store.evidence(&ALL, agent.id, agent.chain, 0, 0, 9).await.unwrap().len(), 1, "nothing is kept");
    let hour = NOW.div_euclid(HOUR);
    assert_eq!(store.hour_use(&ALL, hour, hour + 1).await.unwrap(), (1, bytes));
    Agent::receipt(&send(NOW + 24 * HOUR).await);
    assert!(store.findings(&ALL).await.unwrap().iter().any(|finding| finding.kind == FindingKind::BudgetExceeded));
    sound(store).await;
}

pub(super) async fn what_is_noticed_of_a_request_is_told(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let opened = agent.open();
    let mut copy = agent.clone();
    let (one, other) = (agent.report(), {
        copy.taken_at_ms += 1;
        copy.report()
    });
    let heard = async |entries: Vec<Pair>, from: &str| {
        let batch = crate::store::IngestBatch { source: Some(from.to_owned()), ..agent.batch(entries, None, NOW) };
        let heard = store.ingest(batch).await.unwrap().heard;
        (heard.replays, heard.other_content, heard.moved, heard.flapping)
    };
    assert_eq!(heard(vec![opened.clone(), one.clone()], "a").await, (0, 0, false, false));
    assert_eq!(heard(vec![opened, one.clone()], "a").await, (2, 0, false, false));
    assert_eq!(heard(vec![other], "b").await, (0, 1, true, false));
    for (from, flapping) in [("a", false), ("b", false), ("a", true)] {
        assert_eq!(heard(vec![one.clone()], from).await, (1, 0, true, flapping), "{from}");
    }
    let flapping = store.findings(&ALL).await.unwrap().into_iter().find(|finding| finding.kind == FindingKind::SourceFlapping);
    assert_eq!(flapping.map(|finding| finding.count), Some(1));
}
