//! Copies of a machine, and new keys that must not be taken: whoever holds a key a second time cannot end it for the one
//! it belongs to.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a panic is a failed test")]

use crate::identity::{approve, chains, findings, reporting, signed};
use crate::identity_rig::{Centre, MINUTE, Machine};
use mimamori_agent::core::{Event, Note};
use mimamori_collector::store::{Answered as Said, FindingKind, MachineState, Scope};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{ChainId, Hash};
use mimamori_shared::payload::{Head, Statement, encode};
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
/// approves, and then nothing is missing.
#[test]
fn a_new_key_that_was_refused_because_two_spoke_is_taken_once_an_operator_approved() {
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
    assert_eq!((machine.unsent(), machine.key_id()), (0, machine.keys[1].public().id()));
    let row = centre.runtime.block_on(centre.store().machine_of(&Scope::All, machine.agent_id)).unwrap();
    assert_eq!(row.key_id, machine.key_id());
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
