//! What the core does, driven by the rig.

use super::rig::{QUOTA, Rig, identity, settings, terms};
use super::*;
use crate::outbox::{Outbox, Quota};
use mimamori_shared::fields::Readings;
use mimamori_shared::payload::{Body, Class, Refusal, RefusalReason};
use proptest::prelude::*;

#[test]
fn a_new_agent_opens_its_chain_states_consent_and_plan_and_reports_at_once() {
    let rig = Rig::granted();
    let held = rig.collector.values().next().unwrap();
    let kinds: Vec<&str> = held
        .entries
        .iter()
        .map(|entry| match &entry.body {
            Body::Statement(Statement::Open { .. }) => "open",
            Body::Statement(Statement::Consent { .. }) => "consent",
            Body::Statement(Statement::Plan { .. }) => "plan",
            Body::Report(_) => "report",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["open", "consent", "plan", "report"]);
}

#[test]
fn without_a_consent_nothing_is_taken_said_or_created() {
    let mut rig = Rig::new(QUOTA);
    rig.event(Event::Consent(Consent::Invalid(ConsentState::Withdrawn)));
    rig.pass(3600);
    assert_eq!((rig.sample_value, rig.collector.len(), rig.agent.chains().len()), (0, 0, 0));
}

#[test]
fn an_outage_of_500_reports_with_two_restarts_loses_nothing_and_needs_few_requests() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(170 * 60);
    rig.restart();
    rig.pass(170 * 60);
    rig.restart();
    rig.pass(160 * 60);
    rig.online = true;
    rig.requests = 0;
    rig.pass(120);
    let (values, lost) = rig.arrived();
    assert_eq!(values, (1..=rig.sample_value).collect::<Vec<_>>());
    assert!(values.len() > 500 && lost == 0 && rig.requests <= 9, "{} in {} requests", values.len(), rig.requests);
    assert_eq!(rig.agent.chains().len(), 1);
}

#[test]
fn failed_time_is_booked_by_layer_and_carried_in_the_head() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(600);
    rig.online = true;
    rig.pass(120);
    let last = rig.collector.values().next().unwrap().entries.last().unwrap().clone();
    let tcp = last.head.push_fail_s.tcp;
    assert!((540..=720).contains(&tcp), "{tcp}");
    let before = tcp;
    rig.pass(600);
    let last = rig.collector.values().next().unwrap().entries.last().unwrap().clone();
    assert_eq!(last.head.push_fail_s.tcp, before, "time without failure is not booked");
}

#[test]
fn answers_that_are_lost_cost_replays_and_nothing_else() {
    let mut rig = Rig::granted();
    rig.lose_answers = true;
    rig.pass(600);
    rig.lose_answers = false;
    rig.pass(120);
    let (values, _) = rig.arrived();
    assert_eq!(values, (1..=rig.sample_value).collect::<Vec<_>>());
}

#[test]
fn withdrawal_purges_what_is_unsent_says_so_once_and_then_nothing_leaves() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(600);
    rig.event(Event::Consent(Consent::Invalid(ConsentState::Withdrawn)));
    let taken = rig.sample_value;
    rig.online = true;
    rig.pass(600);
    let entries = &rig.collector.values().next().unwrap().entries;
    let after: Vec<&Body> = entries.iter().skip(4).map(|entry| &entry.body).collect();
    let [Body::Loss(loss), Body::Statement(Statement::Consent { state, purged, terms: None, .. })] = after.as_slice() else {
        panic!("{after:?}");
    };
    assert_eq!((*state, purged.total()), (ConsentState::Withdrawn, loss.counts.total()));
    assert!(purged.total() >= 9);
    assert_eq!(rig.sample_value, taken, "nothing is taken any more");
    rig.requests = 0;
    rig.pass(3600);
    assert_eq!(rig.requests, 0);
    rig.event(Event::Consent(Consent::Valid(terms())));
    rig.pass(60);
    let last = rig.collector.values().next().unwrap().entries.last().unwrap();
    assert!(matches!(last.body, Body::Report(_)), "granted again, it goes on");
}

#[test]
fn a_withdrawal_is_over_when_it_is_stated_or_there_is_no_chain_to_state_it_in() {
    let withdrawn = || Event::Consent(Consent::Invalid(ConsentState::Withdrawn));
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(300);
    assert!(!rig.agent.has_ended());
    rig.mute = true;
    rig.event(withdrawn());
    assert!(!rig.agent.has_ended(), "the statement could not be kept");
    rig.mute = false;
    rig.pass(5);
    assert!(rig.agent.has_ended(), "the statement stands; it may leave later");
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(300);
    rig.event(Event::Consent(Consent::Keeping));
    rig.pass(60);
    assert!(!rig.agent.has_ended(), "what may still leave has not left");
    rig.online = true;
    rig.pass(600);
    assert!(rig.agent.has_ended());
    let mut rig = Rig::new(QUOTA);
    rig.event(withdrawn());
    assert!(rig.agent.has_ended(), "nothing was ever said");
}

#[test]
fn a_withdrawal_survives_a_crash_before_it_was_stated() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(300);
    let (outbox, restored, _) = Outbox::open(rig.dir.path(), QUOTA, 0).unwrap();
    rig.outbox = outbox;
    rig.agent = Agent::new(identity(), settings(), restored);
    rig.event(Event::Consent(Consent::Invalid(ConsentState::Expired)));
    rig.online = true;
    rig.pass(300);
    let last = rig.collector.values().next().unwrap().entries.last().unwrap();
    assert!(matches!(last.body, Body::Statement(Statement::Consent { state: ConsentState::Expired, .. })));
}

#[test]
fn a_full_outbox_drops_samples_and_every_drop_is_recorded() {
    let quota = Quota { bytes: 40_000, ..QUOTA };
    let mut rig = Rig::new(quota);
    rig.event(Event::Consent(Consent::Valid(terms())));
    rig.online = false;
    rig.pass(300 * 60);
    rig.restart();
    rig.pass(10 * 60);
    rig.online = true;
    rig.pass(300);
    let (values, lost) = rig.arrived();
    assert!(lost > 100, "{lost}");
    assert_eq!(values.len() as u64 + lost + rig.refused, u64::try_from(rig.sample_value).unwrap());
    let statements = rig.collector.values().next().unwrap().entries.iter().filter(|entry| matches!(entry.body, Body::Statement(_))).count();
    assert!(statements >= 3, "statements are never dropped");
}

#[test]
fn a_collector_restored_from_a_backup_gets_everything_again() {
    let mut rig = Rig::granted();
    rig.pass(600);
    let backup = rig.collector.clone();
    rig.pass(600);
    rig.collector = backup;
    rig.pass(600);
    let (values, lost) = rig.arrived();
    assert_eq!((values, lost), ((1..=rig.sample_value).collect::<Vec<_>>(), 0));
    assert!(rig.notes.iter().any(|note| matches!(note, Note::CollectorWentBack { .. })));
}

#[test]
fn an_empty_collector_gets_the_whole_ledger() {
    let mut rig = Rig::granted();
    rig.pass(600);
    rig.collector.clear();
    rig.pass(600);
    assert_eq!(rig.arrived().0, (1..=rig.sample_value).collect::<Vec<_>>());
}

#[test]
fn diverged_opens_one_new_chain_and_the_rest_of_the_old_one_is_delivered() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(120);
    let chain = rig.agent.newest().unwrap().clone();
    let batch = rig.outbox.batch(chain.chain_id, chain.unsent_from, 1, 1 << 20).unwrap().unwrap().unwrap();
    let (seq, head_hash) = (batch.sent.frames[0].last_seq, batch.sent.frames[0].tip_hash);
    let id = identity();
    let reason = RefusalReason::Diverged { ancestor: None, branch: 1, seq, head_hash };
    let refusal = Refusal { collector_id: id.collector_id, agent_id: id.agent_id, chain_id: chain.chain_id, in_reply_to: batch.sent.first_hash, reason };
    rig.event(Event::Answered { sent: batch.sent, answer: Answered::Refusal(refusal) });
    let newest = rig.agent.newest().unwrap().clone();
    assert_ne!(newest.chain_id, chain.chain_id);
    assert!(rig.notes.contains(&Note::ChainOpened(OpenReason::Restored)));
    assert_eq!(rig.agent.chains()[0].unsent_from, seq + 1);
}

#[test]
fn a_ledger_that_contradicts_the_collector_begins_a_new_chain() {
    let mut rig = Rig::granted();
    rig.pass(120);
    let chain_id = rig.agent.newest().unwrap().chain_id;
    rig.event(Event::Rewound { chain_id, held: Held::Contradicts });
    rig.pass(120);
    assert_ne!(rig.agent.newest().unwrap().chain_id, chain_id);
    assert!(rig.notes.contains(&Note::ChainOpened(OpenReason::StateLost)));
}

#[test]
fn a_commit_that_fails_creates_nothing_and_is_not_tried_in_a_circle() {
    let mut agent = Agent::new(identity(), settings(), Restored::default());
    let now = Now { wall_ms: 0, boottime_ms: 0, monotonic_ms: 0 };
    let effects = agent.step(Event::Consent(Consent::Valid(terms())), now, [1; 16]);
    assert!(matches!(effects.as_slice(), [Effect::Commit(_)]));
    assert!(agent.step(Event::CommitFailed, now, [2; 16]).is_empty());
    assert_eq!(agent.wake_at(), Some(STALL_MS));
    let later = Now { boottime_ms: STALL_MS, ..now };
    assert!(matches!(agent.step(Event::Wake, later, [3; 16]).as_slice(), [Effect::Commit(_)]));
}

#[test]
fn until_what_is_unsent_is_purged_nothing_leaves() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(300);
    let withdrawn = Event::Consent(Consent::Invalid(ConsentState::Withdrawn));
    let effects = rig.agent.step(withdrawn, rig.now, [1; 16]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Purge)));
    // The disk is full: the losses cannot be recorded.
    for event in [Event::BridgeFailed, Event::Purged(true), Event::Wake] {
        assert!(rig.agent.step(event, rig.now, [2; 16]).is_empty());
    }
    let later = Now { boottime_ms: rig.now.boottime_ms + STALL_MS, ..rig.now };
    assert_eq!(rig.agent.wake_at(), Some(later.boottime_ms));
    assert!(matches!(rig.agent.step(Event::Wake, later, [3; 16]).as_slice(), [Effect::Purge]));
}

#[test]
fn a_push_that_cannot_read_the_outbox_is_tried_again_later() {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(61);
    let later = Now { boottime_ms: rig.now.boottime_ms + 3_600_000, ..rig.now };
    let effects = rig.agent.step(Event::Wake, later, [1; 16]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Push { .. })), "{effects:?}");
    let effects = rig.agent.step(Event::PushFailed, later, [2; 16]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Push { .. })));
    assert_eq!(rig.agent.push_state().due_at(), Some(later.boottime_ms + STALL_MS));
}

/// What could not be kept was not told: the next report is a change again.
#[test]
fn a_change_whose_report_was_not_kept_is_told_by_the_next() {
    let mut rig = Rig::granted();
    rig.online = false;
    let class = |rig: &mut Rig, states: u64, fails: bool| {
        let at = rig.agent.wake_at().unwrap().max(rig.now.boottime_ms);
        rig.now.boottime_ms = at;
        let effects = rig.agent.step(Event::Wake, rig.now, [1; 16]);
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Sample)), "{effects:?}");
        let readings = Box::new(Readings { system: Some(mimamori_shared::fields::System { uptime_ms: Some(1), ..Default::default() }), ..Readings::default() });
        let effects = rig.agent.step(Event::Sampled { readings, faults: Vec::new(), states: BTreeMap::from([("system", states)]) }, rig.now, [2; 16]);
        let [Effect::Commit(record)] = effects.as_slice() else { panic!("{effects:?}") };
        let class = record.class;
        if fails {
            rig.agent.step(Event::CommitFailed, rig.now, [3; 16]);
        } else {
            rig.outbox.commit(record).unwrap();
            rig.agent.step(Event::Committed, rig.now, [3; 16]);
        }
        class
    };
    // The push under way is never answered, so only samples wake it.
    rig.pass(1);
    assert_eq!(class(&mut rig, 7, true), Class::Change);
    assert_eq!(rig.agent.wake_at(), Some(rig.now.boottime_ms + STALL_MS), "tried again as soon as there may be room");
    assert_eq!(class(&mut rig, 7, false), Class::Change);
    assert_eq!(class(&mut rig, 7, false), Class::Sample);
}

#[derive(Debug, Clone)]
enum Act {
    Pass(i64),
    Online(bool),
    LoseAnswers(bool),
    Restart,
    Backup,
    Restore,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1_i64..1200).prop_map(Act::Pass),
        2 => any::<bool>().prop_map(Act::Online),
        1 => any::<bool>().prop_map(Act::LoseAnswers),
        1 => Just(Act::Restart),
        1 => Just(Act::Backup),
        1 => Just(Act::Restore),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens on the way: in the end accepted + lost = created, in order, nothing twice.
    #[test]
    fn property_accepted_and_lost_make_created(acts in proptest::collection::vec(act(), 1..25), small in any::<bool>()) {
        let quota = if small { Quota { bytes: 24_000, ..QUOTA } } else { QUOTA };
        let mut rig = Rig::new(quota);
        rig.event(Event::Consent(Consent::Valid(terms())));
        let mut backup = rig.collector.clone();
        let restored = acts.iter().any(|act| matches!(act, Act::Restore));
        for act in acts {
            match act {
                Act::Pass(seconds) => rig.pass(seconds),
                Act::Online(online) => rig.online = online,
                Act::LoseAnswers(lose) => rig.lose_answers = lose,
                Act::Restart => rig.restart(),
                Act::Backup => backup = rig.collector.clone(),
                Act::Restore => rig.collector = backup.clone(),
            }
        }
        rig.online = true;
        rig.lose_answers = false;
        rig.pass(7200);
        let (values, lost) = rig.arrived();
        prop_assert!(values.windows(2).all(|pair| pair[0] < pair[1]), "out of order");
        prop_assert_eq!(values.len() as u64 + lost + rig.refused, u64::try_from(rig.sample_value).unwrap());
        // Of a ledger that was receipted once, everything may be gone when a collector asks for it again.
        let bridged = rig.collector.values().flat_map(|held| &held.entries).filter_map(|entry| if let Body::Loss(loss) = &entry.body { Some(loss.counts) } else { None });
        let dropped: u64 = bridged.map(|counts| counts.change + counts.statement).sum();
        prop_assert!(dropped == 0 || restored, "a change or a statement was dropped");
        prop_assert_eq!(rig.agent.chains().len(), 1);
    }
}
