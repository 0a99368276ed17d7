//! What a consent in doubt, a hostile collector or a full disk cannot make the core do.

use super::rig::{Rig, identity, settings, terms};
use super::*;
use crate::outbox::Outbox;
use crate::uplink::Sent;
use mimamori_shared::fields::Scope;
use mimamori_shared::payload::{Body, Fault, FaultCode, Receipt, ReceiptStatus, Refusal, RefusalReason};

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

/// A chain was opened, its consent could not be stated yet, and the facility withdrew: the backlog of the chain before it
/// left all the same, because nothing seemed to have been collected under any consent.
#[test]
fn a_withdrawal_behind_a_chain_that_was_only_opened_purges_the_backlog_of_the_one_before() {
    for restarted in [false, true] {
        let mut rig = Rig::granted();
        rig.pass(120);
        rig.online = false;
        rig.pass(300);
        let chain = rig.agent.newest().unwrap().clone();
        let batch = rig.outbox.batch(chain.chain_id, chain.unsent_from, 1, 1 << 20).unwrap().unwrap().unwrap();
        rig.online = true;
        let Event::Answered { sent, answer: Answered::Receipt(receipt) } = rig.deliver(batch.body, batch.sent) else { panic!("no receipt") };
        (rig.online, rig.mute) = (false, true);
        rig.event(Event::Answered { sent, answer: Answered::Receipt(Receipt { branch: 1, ..receipt }) });
        assert_eq!((rig.agent.chains().len(), rig.agent.newest().unwrap().tip.next_seq), (2, 1), "opened, and nothing else");
        let before = rig.arrived().0;
        if restarted {
            let (outbox, restored, _) = Outbox::open(rig.dir.path(), rig.quota, 0).unwrap();
            (rig.outbox, rig.agent) = (outbox, Agent::new(identity(), settings(), restored));
        }
        rig.event(Event::Consent(Consent::Invalid(ConsentState::Withdrawn)));
        (rig.online, rig.mute) = (true, false);
        rig.pass(7200);
        let (values, lost) = rig.arrived();
        assert_eq!(values, before, "nothing that was collected leaves");
        assert!(lost >= 4, "{lost}");
        let last = rig
            .collector
            .values()
            .flat_map(|held| &held.entries)
            .filter(|entry| matches!(entry.body, Body::Statement(Statement::Consent { state: ConsentState::Withdrawn, .. })));
        assert_eq!(last.count(), 1);
        rig.event(Event::Consent(Consent::Valid(terms())));
        rig.pass(120);
        assert!(rig.arrived().0.len() > before.len());
    }
}

/// A collector that was restored to a time before got every reading again, after the withdrawal.
#[test]
fn after_a_withdrawal_a_collector_that_went_back_gets_no_reading_again() {
    let mut rig = Rig::granted();
    rig.pass(300);
    let taken = rig.sample_value;
    rig.online = false;
    rig.event(Event::Consent(Consent::Invalid(ConsentState::Withdrawn)));
    rig.collector.clear();
    (rig.online, rig.requests) = (true, 0);
    rig.pass(7200);
    assert_eq!(rig.arrived(), (Vec::new(), 0));
    assert!((1..=4).contains(&rig.requests), "{}", rig.requests);
    let newest = rig.agent.newest().unwrap().chain_id;
    let effects = rig.agent.step(Event::KeyUnknown(newest), rig.now, [1; 16]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Recall { .. })));
    rig.event(Event::Consent(Consent::Valid(terms())));
    rig.pass(7200);
    let (values, lost) = rig.arrived();
    assert_eq!((values.get(..usize::try_from(taken).unwrap()), lost), (Some((1..=taken).collect::<Vec<_>>().as_slice()), 0), "under a consent it does");
}

/// Receipt and `behind 0` in turn made the agent send its whole ledger again at the speed of the line.
#[test]
fn a_collector_that_goes_back_again_and_again_is_sent_everything_three_times_and_then_once_an_hour() {
    let mut rig = Rig::granted();
    rig.pass(600);
    let before = rig.requests;
    let end = rig.now.boottime_ms + 3 * 3_600_000;
    while rig.now.boottime_ms < end {
        if rig.requests.is_multiple_of(2) {
            rig.collector.clear();
        }
        rig.pass(30);
    }
    let went_back = rig.notes.iter().filter(|note| matches!(note, Note::CollectorWentBack { .. })).count();
    assert!((4..=6).contains(&went_back), "three at once and one an hour: {went_back}");
    assert!(rig.requests - before < 3 * 60 + 60, "{}", rig.requests - before);
    rig.pass(3 * 3600);
    assert_eq!(rig.arrived(), ((1..=rig.sample_value).collect(), 0), "one that is honest from here on has everything");
}

/// It answered `behind` with the hash of the preview, and the backlog counted as delivered although nobody has it.
#[test]
fn a_collector_cannot_be_behind_at_a_place_that_it_was_not_sent() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(600);
    let chain = rig.agent.newest().unwrap().clone();
    let batch = rig.outbox.batch(chain.chain_id, chain.unsent_from, 1, 1 << 20).unwrap().unwrap().unwrap();
    rig.event(refusal(&batch.sent, RefusalReason::Behind { next_seq: chain.tip.next_seq, head_hash: chain.tip.head }));
    assert_eq!(rig.agent.newest().unwrap().unsent_from, chain.unsent_from);
    rig.online = true;
    rig.pass(7200);
    assert_eq!(rig.arrived(), ((1..=rig.sample_value).collect(), 0));
}

/// The second try added what the first had counted already.
#[test]
fn a_purge_that_needs_a_second_try_counts_everything_once() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(300);
    let chain = rig.agent.newest().unwrap().clone();
    let unsent = chain.tip.next_seq - chain.unsent_from;
    let step = |rig: &mut Rig, event| rig.agent.step(event, rig.now, [1; 16]);
    step(&mut rig, Event::Consent(Consent::Invalid(ConsentState::Withdrawn)));
    let spec = rig.outbox.unsent(rig.agent.chains()).unwrap().remove(0);
    step(&mut rig, Event::Dropped(spec));
    step(&mut rig, Event::BridgeFailed);
    step(&mut rig, Event::Purged(true));
    rig.pass(30);
    rig.online = true;
    rig.pass(7200);
    let purged = rig.collector.values().flat_map(|held| &held.entries).find_map(|entry| match &entry.body {
        Body::Statement(Statement::Consent { state: ConsentState::Withdrawn, purged, .. }) => Some(purged.total()),
        _ => None,
    });
    assert_eq!(purged, Some(unsent));
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
