//! Identity over the years: keys that follow one another, copies and restores of machines, collectors that went back.
//! On a clock that is told, with the real core, outbox, key file and store. What needs real programs is in
//! `identity_programs.rs`.
//!
//! | Goal | Shown by |
//! |---|---|
//! | EN-01 one token, many keys at once | `enrolment::of_a_hundred_keys_that_redeem_one_token_at_once_exactly_one_gets_it` (rounds: `MIMAMORI_ENROL_ROUNDS`) |
//! | EN-02 what no token redeems | `enrolment::tokens_that_ran_out_were_revoked_or_never_existed_are_refused_alike`, `enrolment::a_secret_with_any_single_bit_flipped_redeems_nothing`, `identity_programs::a_token_for_a_network_is_redeemed_from_nowhere_else` |
//! | EN-03 lost answers | `enrolment::an_answer_that_is_lost_costs_nothing_the_same_key_gets_the_same_identity` (runs: `MIMAMORI_LOST_RUNS`) |
//! | EN-04 stolen database | `enrolment::a_stolen_database_holds_no_secret` |
//! | EN-05 somebody between | `somebody_between::before_an_authority_that_is_not_pinned_not_a_byte_of_the_enrolment_is_said` |
//! | EN-06 clone | `a_clone_is_noticed_within_two_intervals_in_either_order` (`MIMAMORI_CLONE_RUNS`) |
//! | EN-07 restored machine | `a_machine_restored_from_an_hour_old_snapshot_goes_on_in_a_new_chain` |
//! | EN-08 too many beginnings | `the_fourth_new_beginning_waits_for_approval_and_rotations_do_not_count` |
//! | EN-09 revocation | `identity_programs::a_revocation_holds_at_once_after_a_kill_and_against_a_restored_database`, `revocation::a_revocation_holds_at_once_while_agents_push_without_a_pause`, `revocation::a_revocation_owes_nothing_to_the_collector_that_runs` |
//! | EN-10 rotation | `rotations_under_load_lose_nothing_and_keep_nothing_twice` (`MIMAMORI_ROTATIONS`) |
//! | EN-11 weak and foreign keys | `identity_programs::weak_misspelt_and_foreign_keys_are_enrolled_by_nobody` |
//! | EN-12 strangers who try | `identity_programs::strangers_may_try_five_times_a_minute` |
//! | EN-13 what is said of a refusal | `identity_programs::a_refusal_names_who_asked_from_where_and_why_and_never_the_secret` |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests: a panic is a failed test")]

use crate::identity_rig::{Centre, DAY, MINUTE, Machine, NOW, operator, word};
use mimamori_agent::core::{Answered, Effect, Event, Note};
use mimamori_agent::uplink::Sent;
use mimamori_collector::store::{Answered as Said, ChainReason, FindingKind, Scope};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{ChainId, Hash, Lease};
use mimamori_shared::payload::{Head, Layer, OpenReason, PushFail, Refusal, RefusalReason, Report, Statement, encode};
use mimamori_shared::sign::{PayloadType, SecretKey};
use mimamori_tests::times;
use std::time::Instant;

pub(crate) fn findings(centre: &Centre, machine: &Machine, kind: FindingKind) -> u64 {
    let rows = centre.runtime.block_on(centre.store().findings(&Scope::All)).unwrap();
    rows.iter().filter(|row| row.agent_id == machine.agent_id && row.kind == kind).map(|row| row.count).sum()
}

pub(crate) fn chains(centre: &Centre, machine: &Machine) -> Vec<(ChainReason, bool)> {
    let rows = centre.runtime.block_on(centre.store().chains(&Scope::All, machine.agent_id)).unwrap();
    rows.iter().map(|row| (row.reason, row.forked)).collect()
}

pub(crate) fn reporting(centre: &mut Centre, name: &str, reports: u64) -> Machine {
    let mut machine = centre.enrol(name);
    machine.consent(centre);
    while machine.reports < reports {
        machine.pass(MINUTE, centre);
    }
    machine
}

/// A frame that a key signs at a place of a chain.
pub(crate) fn signed(machine: &Machine, key: &SecretKey, (chain_id, seq, prev_hash): (ChainId, u64, Hash), opens: bool) -> Frame {
    let head = Head {
        collector_id: mimamori_shared::id::CollectorId([2; 16]),
        agent_id: machine.agent_id,
        key_id: key.public().id(),
        chain_id,
        seq,
        prev_hash,
        lease: Lease::ZERO,
        boot_id: mimamori_shared::id::BootId([66; 16]),
        taken_at_ms: machine.now.wall_ms,
        boottime_ms: 1,
        monotonic_ms: 1,
        consent_hash: Hash::ZERO,
        plan_hash: Hash::ZERO,
        push_fail_s: PushFail::default(),
    };
    let (kind, payload) = if opens {
        let open = Statement::Open { reason: OpenReason::StateLost, previous: None };
        (PayloadType::Statement, encode(PayloadType::Statement, &[&head, &open]))
    } else {
        let report = Report { class: mimamori_shared::payload::Class::Sample, readings: Default::default(), faults: Vec::new(), findings: Vec::new() };
        (PayloadType::Report, encode(PayloadType::Report, &[&head, &report]))
    };
    Frame { key_id: key.public().id(), signature: key.sign(kind, &payload), payload }
}

pub(crate) fn approve(centre: &Centre, machine: &Machine) {
    let (actor, facility, alias) = (operator(), word("west"), word("ct-1"));
    centre.runtime.block_on(centre.store().approve_machine(&Scope::All, &actor, &facility, &alias, None, machine.now.wall_ms)).unwrap();
}

#[track_caller]
fn is_refused(centre: &Centre, machine: &Machine, frame: Frame) {
    let said = centre.take(vec![frame], machine.now.wall_ms);
    assert!(matches!(said, Some(Said::Refusal { reason: RefusalReason::Revoked, .. })), "{said:?}");
}

/// EN-10, I17: restarts, lost answers and outages on the way. Each round changes the key twice; 500 rounds make the thousand.
#[test]
fn rotations_under_load_lose_nothing_and_keep_nothing_twice() {
    let rotations = times("MIMAMORI_ROTATIONS", 40);
    let began = Instant::now();
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 3);
    for n in 0..rotations {
        if n % 40 == 39 {
            // More than 96 new keys a day are not taken.
            (machine.now.wall_ms, machine.now.boottime_ms) = (machine.now.wall_ms + DAY, machine.now.boottime_ms + DAY);
        }
        machine.lost_of_100 = if n % 3 == 0 { 30 } else { 0 };
        machine.event(Event::Rotate, &centre);
        if n % 5 == 0 {
            machine.restart(&centre);
        }
        if n % 7 == 0 {
            machine.online = false;
            machine.pass(5 * MINUTE, &centre);
            machine.online = true;
        }
        machine.rotate(&centre);
        machine.pass(MINUTE, &centre);
    }
    machine.lost_of_100 = 0;
    machine.pass(5 * MINUTE, &centre);
    assert_eq!(machine.unsent(), 0);
    centre.holds_all_of(&machine);
    let all = chains(&centre, &machine);
    assert!(all.len() as u64 > rotations && all.iter().skip(1).all(|chain| *chain == (ChainReason::Rotated, false)), "{} chains", all.len());
    assert_eq!(machine.keys.len(), all.len(), "a chain for each key");
    // The old keys are refused, whatever they say and wherever.
    let held = centre.held(machine.agent_id).len();
    let rows = centre.runtime.block_on(centre.store().chains(&Scope::All, machine.agent_id)).unwrap();
    let old = machine.keys.len() - 1;
    for (key, chain) in machine.keys[..old].iter().zip(&rows) {
        is_refused(&centre, &machine, signed(&machine, key, (chain.chain_id, chain.next_seq, chain.head), false));
        is_refused(&centre, &machine, signed(&machine, key, (ChainId([9; 16]), 0, Hash::ZERO), true));
        is_refused(&centre, &machine, signed(&machine, key, (chain.chain_id, 1, Hash([7; 32])), false));
    }
    assert_eq!(centre.held(machine.agent_id).len(), held, "nothing of them is kept");
    assert_eq!(findings(&centre, &machine, FindingKind::OldKeySpoke), 3 * old as u64);
    centre.sound();
    let row = centre.runtime.block_on(centre.store().machine_of(&Scope::All, machine.agent_id)).unwrap();
    assert_eq!(row.key_id, machine.key_id(), "the newest fingerprint is shown");
    let audit = centre.runtime.block_on(centre.store().audit(&Scope::All, 0, 1000)).unwrap();
    assert_eq!(audit.iter().filter(|row| row.verb.as_str() == "rotate").count(), old.min(998).min(audit.len()));
    println!(
        "{rotations} rotations: {} entries in {} chains, 0 lost, 0 twice; {} attempts of {old} old keys refused; {:.1?}",
        held,
        all.len(),
        3 * old,
        began.elapsed()
    );
}

#[test]
fn keys_change_by_themselves_over_five_years_and_none_ends_by_the_clock() {
    let every_days = times("MIMAMORI_YEARS_EVERY_DAYS", 5);
    let mut centre = Centre::new();
    for (name, after_ms) in [("ct-1", Some(90 * DAY)), ("ct-2", None)] {
        let mut machine = centre.enrol(name);
        machine.interval_s = 86_400 * every_days;
        machine.set_rotate_after(after_ms);
        machine.consent(&centre);
        let first = machine.key_id();
        machine.pass(5 * 365 * DAY, &centre);
        assert!(machine.reports >= 5 * 365 / every_days - 5, "{} reports", machine.reports);
        assert_eq!(machine.unsent(), 0, "it reports to the end");
        let expected = if after_ms.is_some() { 19..=21 } else { 0..=0 };
        assert!(expected.contains(&(machine.keys.len() - 1)), "{} rotations", machine.keys.len() - 1);
        assert_eq!(machine.key_id() == first, after_ms.is_none());
        centre.holds_all_of(&machine);
        println!("{name}: {} reports and {} rotations in five years", machine.reports, machine.keys.len() - 1);
    }
}

/// Whatever the network and whoever answers does: there is no way from there to another identity.
#[test]
fn ten_thousand_failures_of_every_kind_change_neither_key_nor_name() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 3);
    let (key, agent_id) = (machine.key_id(), machine.agent_id);
    machine.online = false;
    machine.pass(5 * MINUTE, &centre);
    let chain_id = machine.agent.newest().unwrap().chain_id;
    let mut pushes = 0;
    for n in 0..10_000_u32 {
        let sent = Sent { chain_id, first_hash: Hash([1; 32]), frames: Vec::new() };
        let layer = Layer::ALL[n as usize % Layer::ALL.len()];
        let refusal =
            Refusal { collector_id: mimamori_shared::id::CollectorId([2; 16]), agent_id, chain_id, in_reply_to: Hash([1; 32]), reason: RefusalReason::Revoked };
        let answer = if n % 50 == 0 { Answered::Refusal(refusal) } else { Answered::Failed { layer, retry_after_s: None, too_large: n % 7 == 0 } };
        let mut effects = Vec::new();
        if n % 3 == 0 {
            effects.extend(machine.agent.step(Event::KeyUnknown(chain_id), machine.now, [1; 16]));
        }
        effects.extend(machine.agent.step(Event::Answered { sent, answer }, machine.now, n.to_le_bytes().repeat(4).try_into().unwrap()));
        let harmless = |effect: &Effect| matches!(effect, Effect::Push { .. } | Effect::Sample | Effect::Recall { .. } | Effect::Note(Note::Revoked));
        assert!(effects.iter().all(harmless), "{effects:?}");
        pushes += effects.iter().filter(|effect| matches!(effect, Effect::Push { .. })).count();
        machine.now.boottime_ms += 3_600_001;
    }
    println!("10000 failures, {pushes} further pushes, the same key");
    machine.restart(&centre);
    assert_eq!(machine.key_id(), key);
    // Enrolment is asked for by one command and by nothing else.
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/src");
    let mut users = Vec::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).unwrap().contains("ENROL_PATH") {
                users.push(path.strip_prefix(&top).unwrap().display().to_string());
            }
        }
    }
    users.sort();
    assert_eq!(users, ["command/enroll.rs", "uplink/mod.rs"]);
}

/// EN-06.
#[test]
fn a_clone_is_noticed_within_two_intervals_in_either_order() {
    let runs = times("MIMAMORI_CLONE_RUNS", 40);
    let mut centre = Centre::new();
    let mut most_ms = 0;
    for n in 0..runs {
        let mut original = reporting(&mut centre, &format!("ct-{n}"), 3);
        let mut clone = Machine::start(original.copy_of_state(), original.agent_id, 2, original.now.wall_ms);
        clone.consent(&centre);
        let began = original.now.wall_ms;
        let is_forked = |centre: &Centre, machine: &Machine| chains(centre, machine).iter().any(|(_, forked)| *forked);
        let mut steps = 0;
        while !is_forked(&centre, &original) {
            steps += 1;
            assert!(steps <= 12, "run {n}: not noticed after two intervals");
            let (first, second) = if n % 2 == 0 { (&mut original, &mut clone) } else { (&mut clone, &mut original) };
            first.pass(10_000, &centre);
            second.pass(10_000, &centre);
        }
        most_ms = most_ms.max(original.now.wall_ms - began);
        // Both sides go on being heard.
        original.pass(5 * MINUTE, &centre);
        clone.pass(5 * MINUTE, &centre);
        let held = centre.held(original.agent_id).len();
        assert!(held + 4 >= original.created.len() + clone.created.len(), "run {n}: both sides are kept");
    }
    centre.sound();
    assert!(most_ms <= 2 * MINUTE);
    println!("{runs} clones, each forked within {} s of running (interval 60 s)", most_ms / 1000);
}

/// EN-07.
#[test]
fn a_machine_restored_from_an_hour_old_snapshot_goes_on_in_a_new_chain() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    let snapshot = machine.copy_of_state();
    machine.pass(60 * MINUTE, &centre);
    machine.restore_state(&snapshot, &centre);
    let before = machine.reports;
    machine.pass(2 * MINUTE, &centre);
    assert!(machine.reports > before && machine.unsent() == 0, "reports flow again within two intervals");
    assert_eq!(chains(&centre, &machine), [(ChainReason::Enrolled, true), (ChainReason::Restored, false)]);
    assert_eq!(findings(&centre, &machine, FindingKind::Diverged), 1, "one event");
    machine.pass(30 * MINUTE, &centre);
    assert_eq!(findings(&centre, &machine, FindingKind::Diverged), 1, "and it stays one");
    let mut held: Vec<_> = centre.held(machine.agent_id).iter().map(|(_, _, hash)| hash.0).collect();
    let all = held.len();
    held.sort_unstable();
    held.dedup();
    assert_eq!(held.len(), all, "nothing is held twice");
    centre.holds_all_of(&machine);
    centre.sound();
}

/// EN-08.
#[test]
fn the_fourth_new_beginning_waits_for_approval_and_rotations_do_not_count() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    for _ in 0..5 {
        machine.rotate(&centre);
    }
    for n in 0..4 {
        let snapshot = machine.copy_of_state();
        machine.pass(10 * MINUTE, &centre);
        machine.restore_state(&snapshot, &centre);
        machine.pass(10 * MINUTE, &centre);
        assert_eq!(machine.notes.contains(&Note::NeedsApproval), n == 3, "beginning {n}");
        // A day later, so that the agent's own limit is not what holds it back.
        (machine.now.wall_ms, machine.now.boottime_ms) = (machine.now.wall_ms + DAY, machine.now.boottime_ms + DAY);
        machine.pass(2 * MINUTE, &centre);
    }
    assert!(machine.unsent() > 0, "reports are kept meanwhile");
    assert!(findings(&centre, &machine, FindingKind::TooManyChains) > 0);
    approve(&centre, &machine);
    machine.pass(2 * 60 * MINUTE, &centre);
    assert_eq!(machine.unsent(), 0);
    centre.sound();
}

/// SG-10 and a key rotation between backup and restore.
#[test]
fn a_collector_that_went_back_gets_everything_again_also_across_rotations() {
    let mut centre = Centre::new();
    let mut machines: Vec<Machine> = (0..4).map(|n| reporting(&mut centre, &format!("ct-{n}"), 5)).collect();
    let old = centre.backup();
    let all = |centre: &Centre, machines: &mut [Machine], ms: i64| machines.iter_mut().for_each(|machine| machine.pass(ms, centre));
    all(&centre, &mut machines, 10 * MINUTE);
    machines[1].rotate(&centre);
    machines[2].rotate(&centre);
    machines[2].rotate(&centre);
    all(&centre, &mut machines, 10 * MINUTE);
    let newer = centre.backup();
    machines[3].rotate(&centre);
    all(&centre, &mut machines, 10 * MINUTE);
    for (backup, name) in [(&newer, "newer"), (&old, "old")] {
        machines.iter_mut().for_each(|machine| machine.notes.clear());
        centre.restore(backup);
        all(&centre, &mut machines, 30 * MINUTE);
        for (n, machine) in machines.iter().enumerate() {
            assert!(machine.notes.iter().any(|note| matches!(note, Note::CollectorWentBack { .. })), "{name}: machine {n} says so: {:?}", machine.notes);
            assert_eq!(machine.unsent(), 0, "{name}: machine {n}");
            centre.holds_all_of(machine);
            let row = centre.runtime.block_on(centre.store().machine_of(&Scope::All, machine.agent_id)).unwrap();
            assert_eq!(row.key_id, machine.key_id(), "{name}: machine {n} is known by its newest key");
            assert!(chains(&centre, machine).iter().all(|(_, forked)| !forked), "{name}: machine {n}");
        }
        centre.sound();
    }
    println!("asked with a key that was not known: {:?}", machines.iter().map(|machine| machine.unknown_key).collect::<Vec<_>>());
    assert!(NOW < machines[0].now.wall_ms);
}
