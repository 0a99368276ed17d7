//! Copies of a machine, and new keys that must not be taken: whoever holds a key a second time cannot end it for the one
//! it belongs to.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a panic is a failed test")]

use crate::identity::{approve, chains, findings, reporting, signed};
use crate::identity_rig::{Centre, MINUTE, Machine, operator, word};
use mimamori_agent::core::{Consent, Event, Note};
use mimamori_collector::store::{Answered as Said, FindingKind, KeyState, MachineState, Scope};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{ChainId, Hash, KeyId};
use mimamori_shared::payload::{ConsentState, Head, RefusalReason, Statement, encode};
use mimamori_shared::sign::{PayloadType, SecretKey};

/// A frame in which a key hands over to another, with a proof of the new one or with one that does not hold.
fn handing_over(machine: &Machine, key: &SecretKey, place: (ChainId, u64, Hash), (new, proves): (&SecretKey, bool)) -> Frame {
    let mut head: Head = serde_json::from_slice(&signed(machine, key, place, false).payload).unwrap();
    head.boot_id = mimamori_shared::id::BootId([1; 16]);
    let mut statement = mimamori_shared::payload::hand_over(&head, new);
    if let Statement::Key { proof, .. } = &mut statement
        && !proves
    {
        proof.replace_range(0..1, if proof.starts_with('A') { "B" } else { "A" });
    }
    let payload = encode(PayloadType::Statement, &[&head, &statement]);
    Frame { key_id: key.public().id(), signature: key.sign(PayloadType::Statement, &payload), payload }
}

#[test]
fn a_machine_restored_to_before_its_rotation_is_refused_and_told_apart() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    let snapshot = machine.copy_of_state();
    machine.rotate(&centre);
    machine.pass(10 * MINUTE, &centre);
    let held = centre.held(machine.agent_id).len();
    let mut copy = Machine::start(snapshot, machine.agent_id, 2, machine.now.wall_ms);
    copy.consent(&centre);
    copy.pass(10 * MINUTE, &centre);
    assert!(copy.notes.contains(&Note::Revoked) && copy.unsent() > 0, "it keeps what it has, and says so");
    assert_eq!(centre.held(machine.agent_id).len(), held);
    assert!(findings(&centre, &machine, FindingKind::OldKeySpoke) > 0);
    machine.pass(5 * MINUTE, &centre);
    assert_eq!((machine.unsent(), machine.notes.contains(&Note::Revoked)), (0, false), "the machine itself is not concerned");
}

#[test]
fn a_new_key_that_is_anybodys_already_or_proves_nothing_is_not_taken() {
    let mut centre = Centre::new();
    let other = reporting(&mut centre, "ct-2", 1);
    let machine = reporting(&mut centre, "ct-1", 3);
    let key = machine.keys[0].clone();
    let stranger = SecretKey::from_seed(&zeroize::Zeroizing::new([99; 32]));
    for (new, proves) in [(&other.keys[0], true), (&key, true), (&stranger, false)] {
        let row = centre.runtime.block_on(centre.store().chains(&Scope::All, machine.agent_id)).unwrap().remove(0);
        let frame = handing_over(&machine, &key, (row.chain_id, row.next_seq, row.head), (new, proves));
        let said = centre.take(vec![frame], machine.now.wall_ms);
        assert!(matches!(said, Some(Said::Receipt(_))), "kept as evidence: {said:?}");
    }
    assert_eq!(findings(&centre, &machine, FindingKind::NewKeyRefused), 3);
    let row = centre.runtime.block_on(centre.store().machine_of(&Scope::All, machine.agent_id)).unwrap();
    assert_eq!((row.key_id, row.state), (key.public().id(), MachineState::Active), "the old key stays");
    let theirs = centre.runtime.block_on(centre.store().key(other.keys[0].public().id())).unwrap().unwrap();
    assert_eq!(theirs.agent_id, other.agent_id);
    centre.sound();
}

fn choose(centre: &Centre, machine: &Machine, key: KeyId) {
    let (actor, facility, alias) = (operator(), word("west"), word("ct-1"));
    centre.runtime.block_on(centre.store().choose_key(&Scope::All, &actor, &facility, &alias, key, machine.now.wall_ms)).unwrap();
}

/// Whoever copied the key vouched for one of his own at a place far ahead: the machine could never change its key again.
#[test]
fn a_key_that_was_only_vouched_for_gives_way_to_the_machines_own() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    let stolen = machine.keys[0].clone();
    let theirs = SecretKey::from_seed(&zeroize::Zeroizing::new([96; 32]));
    let ahead = handing_over(&machine, &stolen, (ChainId([95; 16]), 77, Hash([1; 32])), (&theirs, true));
    let said = centre.take(vec![ahead], machine.now.wall_ms);
    assert!(matches!(said, Some(Said::Refusal { reason: RefusalReason::Behind { .. }, .. })), "{said:?}");
    assert_eq!(findings(&centre, &machine, FindingKind::KeyVouched), 1);
    let known = |centre: &Centre| centre.runtime.block_on(centre.store().machine_of(&Scope::All, machine.agent_id)).unwrap().key_id;
    assert_eq!(known(&centre), stolen.public().id(), "the machine is known by its own key");
    let before = machine.key_id();
    machine.rotate(&centre);
    machine.pass(10 * MINUTE, &centre);
    assert!(machine.key_id() != before && machine.unsent() == 0);
    let row = centre.runtime.block_on(centre.store().machine_of(&Scope::All, machine.agent_id)).unwrap();
    assert_eq!(row.key_id, machine.key_id());
    let theirs = centre.runtime.block_on(centre.store().key(theirs.public().id())).unwrap().unwrap();
    assert_eq!(theirs.state, KeyState::Revoked);
    centre.holds_all_of(&machine);
    centre.sound();
}

/// More than a machine ever needs, and less than fills the collector: what is refused is bounded as well.
#[test]
fn new_keys_of_a_machine_are_bounded_by_the_day_and_so_is_what_is_listed() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    let mut key = machine.keys[0].clone();
    let mut taken = 0;
    for n in 0..130_u8 {
        let (next, chain) = (SecretKey::from_seed(&zeroize::Zeroizing::new([n.wrapping_add(101); 32])), ChainId([n; 16]));
        let ahead = handing_over(&machine, &key, (chain, 9, Hash([1; 32])), (&next, true));
        centre.take(vec![ahead], machine.now.wall_ms);
        if centre.runtime.block_on(centre.store().key(next.public().id())).unwrap().is_some() {
            (key, taken) = (next, taken + 1);
        }
    }
    // The key it enrolled with is not counted among those that were added by others.
    assert!((95..=96).contains(&taken), "{taken}");
    let refused = centre.runtime.block_on(centre.store().refused_keys(&Scope::All, machine.agent_id)).unwrap();
    assert_eq!(refused.len(), 16);
    assert!(refused.iter().all(|key| key.why == "too_many_keys"));
    machine.pass(5 * MINUTE, &centre);
    assert_eq!(machine.unsent(), 0, "its own key goes on");
    centre.sound();
}

/// What was heard by a clock that ran ahead is approved as well: it stayed forked for as long as that, whatever was decided.
#[test]
fn an_approval_covers_what_was_heard_by_a_clock_that_ran_ahead() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    let snapshot = machine.copy_of_state();
    machine.pass(60 * MINUTE, &centre);
    machine.restore_state(&snapshot, &centre);
    machine.pass(5 * MINUTE, &centre);
    let at_ms = machine.now.wall_ms - 60 * MINUTE;
    let (actor, facility, alias) = (operator(), word("west"), word("ct-1"));
    assert!(centre.runtime.block_on(centre.store().two_voices(&Scope::All, machine.agent_id)).unwrap());
    centre.runtime.block_on(centre.store().approve_machine(&Scope::All, &actor, &facility, &alias, None, at_ms)).unwrap();
    assert!(!centre.runtime.block_on(centre.store().two_voices(&Scope::All, machine.agent_id)).unwrap());
}

/// Its first word after the start was a new key, on a branch that nobody believes: it was lost for good.
#[test]
fn a_machine_restored_when_its_key_is_due_hears_first_whether_it_is_alone() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    let snapshot = machine.copy_of_state();
    machine.pass(60 * MINUTE, &centre);
    machine.set_rotate_after(Some(MINUTE));
    machine.restore_state(&snapshot, &centre);
    machine.pass(60 * MINUTE, &centre);
    assert_eq!((machine.keys.len(), machine.unsent(), machine.unknown_key), (1, 0, 0));
    approve(&centre, &machine);
    machine.set_rotate_after(None);
    machine.rotate(&centre);
    machine.pass(10 * MINUTE, &centre);
    assert_eq!((machine.keys.len(), machine.unsent(), machine.unknown_key), (2, 0, 0));
    centre.holds_all_of(&machine);
    centre.sound();
}

/// The collector holds a loss record where an image of the machine still has the entries: it got a receipt for what it had
/// never sent, and was silent from then on.
#[test]
fn a_machine_restored_to_before_its_loss_goes_on_in_a_new_chain() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    machine.online = false;
    machine.pass(30 * MINUTE, &centre);
    let image = machine.copy_of_state();
    machine.pass(60 * MINUTE, &centre);
    machine.event(Event::Consent(Consent::Invalid(ConsentState::Withdrawn)), &centre);
    machine.online = true;
    machine.pass(60 * MINUTE, &centre);
    machine.consent(&centre);
    machine.pass(10 * MINUTE, &centre);
    assert_eq!(machine.unsent(), 0);
    machine.restore_state(&image, &centre);
    let before = machine.reports;
    machine.pass(10 * MINUTE, &centre);
    assert!(machine.reports > before);
    assert_eq!(findings(&centre, &machine, FindingKind::Diverged), 1, "and somebody is told");
    let newest = centre.runtime.block_on(centre.store().chains(&Scope::All, machine.agent_id)).unwrap().pop().unwrap();
    assert!(newest.next_seq > 5, "its reports flow in a new chain: {newest:?}");
    centre.sound();
}

/// I17. A copy that was found out gave the machine a new key in a fresh chain, and the machine itself was shut out.
#[test]
fn whoever_copied_a_key_cannot_end_it_for_the_machine_once_two_are_heard() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    let stolen = machine.keys[0].clone();
    let mut copy = Machine::start(machine.copy_of_state(), machine.agent_id, 2, machine.now.wall_ms);
    copy.consent(&centre);
    copy.pass(5 * MINUTE, &centre);
    machine.pass(5 * MINUTE, &centre);
    assert!(chains(&centre, &machine).iter().any(|(_, forked)| *forked));
    let next = SecretKey::from_seed(&zeroize::Zeroizing::new([98; 32]));
    let fresh = ChainId([97; 16]);
    let open = signed(&machine, &stolen, (fresh, 0, Hash::ZERO), true);
    let head = mimamori_shared::sign::verify(open.clone(), &stolen.public()).unwrap().hash();
    let key = handing_over(&machine, &stolen, (fresh, 1, head), (&next, true));
    let said = centre.take(vec![open, key], machine.now.wall_ms);
    assert!(matches!(said, Some(Said::Receipt(_))), "kept as evidence: {said:?}");
    assert_eq!(findings(&centre, &machine, FindingKind::NewKeyRefused), 1);
    assert!(centre.runtime.block_on(centre.store().key(next.public().id())).unwrap().is_none());
    // The machine itself is told, keeps its key, although it is asked for another, and goes on being heard.
    machine.event(Event::Rotate, &centre);
    machine.pass(120 * MINUTE, &centre);
    assert!(machine.notes.contains(&Note::Forked) && !machine.notes.contains(&Note::Revoked));
    assert_eq!((machine.keys.len(), machine.unsent()), (1, 0));
    let row = centre.runtime.block_on(centre.store().machine_of(&Scope::All, machine.agent_id)).unwrap();
    assert_eq!((row.key_id, row.state), (stolen.public().id(), MachineState::Active));
    centre.sound();
}

/// It changed its key in the moment in which a copy was first heard: what it signs is not known until an operator
/// chooses its key, and then nothing is missing. An approval alone takes none of those that were refused.
#[test]
fn a_new_key_that_was_refused_because_two_spoke_is_taken_once_an_operator_chose_it() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    let mut copy = Machine::start(machine.copy_of_state(), machine.agent_id, 2, machine.now.wall_ms);
    machine.pass(5 * MINUTE, &centre);
    copy.consent(&centre);
    copy.pass(5 * MINUTE, &centre);
    machine.event(Event::Rotate, &centre);
    machine.pass(180 * MINUTE, &centre);
    assert_eq!(machine.keys.len(), 2, "it had not heard of the copy yet");
    assert!(machine.unsent() > 100 && machine.unknown_key > 0, "its reports are kept meanwhile");
    assert!(findings(&centre, &machine, FindingKind::NewKeyRefused) > 0);
    approve(&centre, &machine);
    machine.pass(120 * MINUTE, &centre);
    assert!(machine.unsent() > 100, "what was refused once stays refused");
    let refused = centre.runtime.block_on(centre.store().refused_keys(&Scope::All, machine.agent_id)).unwrap();
    assert_eq!(refused.iter().map(|key| (key.key_id, key.why.as_str())).collect::<Vec<_>>(), [(machine.key_id(), "two_voices")]);
    choose(&centre, &machine, machine.key_id());
    machine.pass(120 * MINUTE, &centre);
    assert_eq!((machine.unsent(), machine.key_id()), (0, machine.keys[1].public().id()));
    assert!(centre.runtime.block_on(centre.store().refused_keys(&Scope::All, machine.agent_id)).unwrap().is_empty());
    let row = centre.runtime.block_on(centre.store().machine_of(&Scope::All, machine.agent_id)).unwrap();
    assert_eq!(row.key_id, machine.key_id());
    let held = centre.held(machine.agent_id);
    assert!(machine.created.iter().all(|entry| held.contains(entry)), "nothing is missing");
    centre.sound();
}

fn refused(centre: &Centre, machine: &Machine) -> Vec<(KeyId, String)> {
    let refused = centre.runtime.block_on(centre.store().refused_keys(&Scope::All, machine.agent_id)).unwrap();
    refused.into_iter().map(|key| (key.key_id, key.why)).collect()
}

fn key_state(centre: &Centre, key: &SecretKey) -> Option<KeyState> {
    centre.runtime.block_on(centre.store().key(key.public().id())).unwrap().map(|row| row.state)
}

/// The operator chose the wrong one of two new keys, and then the right one: the first is revoked for it, and from the
/// machine nothing is missing.
#[test]
fn a_key_that_was_chosen_after_another_took_over_takes_its_place_and_the_other_is_revoked() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    let stolen = machine.keys[0].clone();
    let mut copy = Machine::start(machine.copy_of_state(), machine.agent_id, 2, machine.now.wall_ms);
    machine.pass(5 * MINUTE, &centre);
    copy.consent(&centre);
    copy.pass(5 * MINUTE, &centre);
    let theirs = SecretKey::from_seed(&zeroize::Zeroizing::new([94; 32]));
    let fresh = ChainId([93; 16]);
    let open = signed(&machine, &stolen, (fresh, 0, Hash::ZERO), true);
    let head = mimamori_shared::sign::verify(open.clone(), &stolen.public()).unwrap().hash();
    let named = vec![open, handing_over(&machine, &stolen, (fresh, 1, head), (&theirs, true))];
    centre.take(named.clone(), machine.now.wall_ms);
    machine.event(Event::Rotate, &centre);
    machine.pass(180 * MINUTE, &centre);
    assert!(machine.keys.len() == 2 && machine.unsent() > 100);
    let both = [(theirs.public().id(), "two_voices".to_owned()), (machine.key_id(), "two_voices".to_owned())];
    assert_eq!(refused(&centre, &machine), both, "both are listed to choose from");
    // The wrong one.
    choose(&centre, &machine, theirs.public().id());
    centre.take(named, machine.now.wall_ms);
    let known = |centre: &Centre| centre.runtime.block_on(centre.store().machine_of(&Scope::All, machine.agent_id)).unwrap().key_id;
    assert_eq!((known(&centre), key_state(&centre, &theirs)), (theirs.public().id(), Some(KeyState::Active)));
    machine.pass(120 * MINUTE, &centre);
    assert!(machine.unsent() > 100, "the machine's own is not taken");
    assert_eq!(refused(&centre, &machine), [(machine.key_id(), "second_successor".to_owned())], "and is named as what it is now");
    assert_eq!(key_state(&centre, &theirs), Some(KeyState::Active));
    // The right one.
    choose(&centre, &machine, machine.key_id());
    machine.pass(120 * MINUTE, &centre);
    assert_eq!((machine.unsent(), refused(&centre, &machine)), (0, Vec::new()));
    let row = centre.runtime.block_on(centre.store().machine_of(&Scope::All, machine.agent_id)).unwrap();
    assert_eq!((row.key_id, row.state), (machine.key_id(), MachineState::Active));
    assert_eq!((key_state(&centre, &theirs), key_state(&centre, &machine.keys[1])), (Some(KeyState::Revoked), Some(KeyState::Active)));
    let open = signed(&machine, &theirs, (ChainId([92; 16]), 0, Hash::ZERO), true);
    let said = centre.take(vec![open], machine.now.wall_ms);
    assert!(matches!(said, Some(Said::Refusal { reason: RefusalReason::Revoked, .. })), "{said:?}");
    let held = centre.held(machine.agent_id);
    assert!(machine.created.iter().all(|entry| held.contains(entry)), "nothing is missing");
    centre.sound();
}

/// A machine that was put back is told so in every receipt, and changes its key once an operator approved.
#[test]
fn a_restored_machine_keeps_its_key_until_an_operator_approved_and_goes_on_reporting_meanwhile() {
    let mut centre = Centre::new();
    let mut machine = reporting(&mut centre, "ct-1", 5);
    let snapshot = machine.copy_of_state();
    machine.pass(60 * MINUTE, &centre);
    machine.restore_state(&snapshot, &centre);
    machine.pass(5 * MINUTE, &centre);
    machine.event(Event::Rotate, &centre);
    machine.pass(120 * MINUTE, &centre);
    assert_eq!((machine.keys.len(), machine.unsent()), (1, 0));
    approve(&centre, &machine);
    machine.rotate(&centre);
    machine.pass(5 * MINUTE, &centre);
    assert_eq!((machine.keys.len(), machine.unsent()), (2, 0));
    assert_eq!(findings(&centre, &machine, FindingKind::NewKeyRefused), 0);
    centre.holds_all_of(&machine);
    centre.sound();
}
