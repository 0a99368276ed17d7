//! What a consent in doubt, a hostile collector or a full disk cannot make the core do.

use super::rig::{Rig, identity, settings, terms};
use super::*;
use crate::uplink::Sent;
use mimamori_shared::fields::Scope;
use mimamori_shared::payload::{Body, FaultCode, Receipt, ReceiptStatus, Refusal, RefusalReason};

fn refusal(sent: &Sent, reason: RefusalReason) -> Event {
    let id = identity();
    let refusal = Refusal { collector_id: id.collector_id, agent_id: id.agent_id, chain_id: sent.chain_id, in_reply_to: sent.first_hash, reason };
    Event::Answered { sent: sent.clone(), answer: Answered::Refusal(refusal) }
}

/// A consent file that is just being written was read half, and seven unsent reports were purged and a withdrawal signed.
#[test]
fn a_consent_in_doubt_stops_everything_and_purges_nothing() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(300);
    let taken = rig.sample_value;
    rig.event(Event::Consent(Consent::Unclear));
    rig.online = true;
    rig.requests = 0;
    rig.pass(600);
    assert_eq!((rig.sample_value, rig.requests), (taken, 0), "nothing is taken and nothing is sent");
    rig.event(Event::Consent(Consent::Valid(terms())));
    rig.pass(120);
    assert_eq!(rig.arrived(), ((1..=rig.sample_value).collect(), 0));
    let entries = &rig.collector.values().next().unwrap().entries;
    let withdrawn = entries.iter().filter(|entry| matches!(entry.body, Body::Statement(Statement::Consent { state: ConsentState::Withdrawn, .. })));
    assert_eq!(withdrawn.count(), 0);
}

/// Two answers in turn made the agent ask 18 times a second.
#[test]
fn a_collector_that_refuses_in_turn_costs_waits() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(120);
    let chain = rig.agent.newest().unwrap().clone();
    let batch = rig.outbox.batch(chain.chain_id, chain.unsent_from, 1, 1 << 20).unwrap().unwrap().unwrap();
    let mut pushes = 0;
    let end = rig.now.boottime_ms + 60_000;
    for round in 0..1000 {
        let head_hash = Hash([9; 32]);
        let behind = RefusalReason::Behind { next_seq: round % 2, head_hash };
        let effects = rig.agent.step(refusal(&batch.sent, behind), rig.now, [7; 16]);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Push { .. })), "nothing is sent before the ledger was looked at");
        let held = Held::All { next_seq: round % 2 };
        let effects = rig.agent.step(Event::Rewound { chain_id: chain.chain_id, held }, rig.now, [7; 16]);
        pushes += 1;
        if !effects.iter().any(|effect| matches!(effect, Effect::Push { .. })) {
            // A wait: until it is over nothing is sent.
            rig.now.boottime_ms = rig.agent.push_state().due_at().unwrap();
            rig.agent.step(Event::Wake, rig.now, [7; 16]);
        }
        if rig.now.boottime_ms > end {
            break;
        }
    }
    // Half a second at the least lies between two: it was 18 a second.
    assert!((2..=120).contains(&pushes), "{pushes}");
}

#[test]
fn a_collector_that_contradicts_everything_gets_three_new_chains_a_day_and_no_backlog_is_lost() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(90);
    let first = rig.agent.newest().unwrap().chain_id;
    let unsent = |rig: &Rig| rig.agent.chains().iter().find(|chain| chain.chain_id == first).map(|chain| chain.tip.next_seq - chain.unsent_from);
    let before = unsent(&rig);
    for _ in 0..6 {
        let chain_id = rig.agent.newest().unwrap().chain_id;
        rig.event(Event::Rewound { chain_id, held: Held::Contradicts });
        rig.pass(3);
    }
    let opened = rig.notes.iter().filter(|note| matches!(note, Note::ChainOpened(OpenReason::StateLost))).count();
    assert_eq!(opened, 2, "the first of three was opened at enrolment");
    // It slept for no time at all, and woke again and again for a day.
    let wake = rig.agent.wake_at().unwrap();
    assert!(wake > rig.now.boottime_ms + 80_000_000, "the next chain is a day away: {wake} at {:?}", rig.now);
    assert_eq!(unsent(&rig), before, "what was not accepted stays in the ledger");
    rig.now.boottime_ms += 90_000_000;
    rig.event(Event::Wake);
    assert!(rig.notes.iter().filter(|note| matches!(note, Note::ChainOpened(OpenReason::StateLost))).count() > 2);
}

/// The refusal that says `diverged` got lost, and the next answer was a receipt on the branch: a machine put back to a
/// snapshot went on there for ever, where nobody believes what it says.
#[test]
fn a_receipt_on_a_branch_says_that_this_chain_is_not_the_first_voice() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(120);
    let chain = rig.agent.newest().unwrap().clone();
    let sent = rig.outbox.batch(chain.chain_id, chain.unsent_from, 100, 1 << 20).unwrap().unwrap().unwrap().sent;
    let (id, last) = (identity(), *sent.frames.last().unwrap());
    let mut receipt = Receipt {
        collector_id: id.collector_id,
        agent_id: id.agent_id,
        chain_id: sent.chain_id,
        branch: 0,
        seq: last.last_seq,
        head_hash: last.tip_hash,
        received_at_ms: 0,
        lease: Lease::ZERO,
        status: ReceiptStatus::Forked,
    };
    rig.event(Event::Answered { sent: sent.clone(), answer: Answered::Receipt(receipt.clone()) });
    assert_eq!(rig.agent.newest().unwrap().chain_id, chain.chain_id, "the first voice goes on, whoever else speaks");
    receipt.branch = 1;
    rig.event(Event::Answered { sent, answer: Answered::Receipt(receipt) });
    assert_ne!(rig.agent.newest().unwrap().chain_id, chain.chain_id);
    assert!(rig.notes.contains(&Note::ChainOpened(OpenReason::Restored)));
}

#[test]
fn faults_of_sections_without_consent_do_not_leave() {
    let mut agent = Agent::new(identity(), settings(), Restored::default());
    let mut only = terms();
    only.scopes.retain(|scope, _| *scope == Scope::Heartbeat);
    let now = Now { wall_ms: 0, boottime_ms: 0, monotonic_ms: 0 };
    let mut event = Event::Consent(Consent::Valid(only));
    let fault = |probe: &str| Fault { probe: probe.parse().unwrap(), code: FaultCode::PermissionDenied, name: Some("fs-00000000".parse().unwrap()) };
    for _ in 0..12 {
        let mut next = Event::Wake;
        for effect in agent.step(event, now, [1; 16]) {
            match effect {
                Effect::Commit(record) if record.states.is_none() => {
                    let payload = String::from_utf8(record.payload).unwrap();
                    assert!(payload.contains("system.uptime_ms") && !payload.contains("filesystem"), "{payload}");
                    return;
                }
                Effect::Commit(_) => next = Event::Committed,
                Effect::Sample => {
                    assert!(agent.may_take("system") && !agent.may_take("filesystem"));
                    let faults = vec![fault("filesystem"), fault("filesystem.kind"), fault("system.uptime_ms")];
                    next = Event::Sampled { readings: Box::default(), faults, states: BTreeMap::new() };
                }
                _ => {}
            }
        }
        event = next;
    }
    panic!("no report was made");
}
