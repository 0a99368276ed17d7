//! What counts as a state: when it differs from the report before, the report is a change and is never dropped.

use crate::core::States;
use mimamori_shared::fields::{Kind, Readings, SECTIONS, Value};
use mimamori_shared::payload::Fault;
use mimamori_shared::sign::sha256;
use std::collections::BTreeSet;

/// For each section a number that changes when a state in it does: a flag or a word, the set of names, the set of faults.
/// Figures, and the order in which the machine lists things, do not touch it. It is the same in every run and build,
/// so it can be kept over a restart.
#[must_use]
pub fn state_fingerprints(readings: &Readings, faults: &[Fault]) -> States {
    SECTIONS.iter().map(|section| (*section, fingerprint(section, readings, faults))).collect()
}

fn fingerprint(section: &str, readings: &Readings, faults: &[Fault]) -> u64 {
    let mut only = Readings::default();
    only.put(section, readings);
    let readings = only;
    let mut states = BTreeSet::new();
    for fault in faults.iter().filter(|fault| fault.section() == section) {
        let name = fault.name.as_ref().map_or("", |name| name.as_str());
        states.insert(format!("fault {} {} {name}", fault.probe, fault.code.name()));
    }
    if let Some(clock) = &readings.clock {
        // A step is no figure that grows by itself.
        states.insert(format!("clock steps {:?}", clock.steps));
    }
    readings.visit(|field, name, value| {
        // That there is such an entry is a state of its own.
        states.extend(name.map(|name| format!("entry {name}")));
        let name = name.unwrap_or_default();
        match (field.kind, value) {
            (Kind::Flag | Kind::Text, Value::Number(number)) => states.insert(format!("{name} {} {number}", field.name)),
            (Kind::Flag | Kind::Text, Value::Text(word)) => states.insert(format!("{name} {} {word}", field.name)),
            (Kind::Counter | Kind::Gauge | Kind::Table, _) => false,
        };
    });
    let text: Vec<String> = states.into_iter().collect();
    let hash = sha256(text.join("\n").as_bytes());
    hash.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimamori_shared::fields::{Application, ClockState, Cpu, Disk, Filesystem, Network};
    use mimamori_shared::payload::FaultCode;

    fn readings() -> Readings {
        let network = |name: &str| Network { name: name.parse().unwrap(), link_up: Some(1), ..Network::default() };
        Readings {
            cpu: Some(Cpu { user_ms: Some(1), ..Cpu::default() }),
            clock: Some(ClockState { synchronised: Some(1), offset_us: Some(5), ..ClockState::default() }),
            filesystem: vec![Filesystem { name: "data".parse().unwrap(), read_only: Some(0), ..Filesystem::default() }],
            disk: vec![Disk { name: "sda".parse().unwrap(), reads: Some(1), ..Disk::default() }],
            network: vec![network("eth0"), network("eth1")],
            application: vec![Application { name: "pacs".parse().unwrap(), up: Some(1), latency_us: Some(9), ..Application::default() }],
            ..Readings::default()
        }
    }

    fn fault(name: Option<&str>, code: FaultCode) -> Fault {
        Fault { probe: "disk".parse().unwrap(), code, name: name.map(|name| name.parse().unwrap()) }
    }

    #[track_caller]
    fn check(same: bool, change: impl Fn(&mut Readings, &mut Vec<Fault>)) {
        let (before, faults) = (readings(), vec![fault(None, FaultCode::TooMany), fault(Some("sda"), FaultCode::IoError)]);
        let (mut after, mut faults_after) = (before.clone(), faults.clone());
        change(&mut after, &mut faults_after);
        assert_eq!(state_fingerprints(&before, &faults) == state_fingerprints(&after, &faults_after), same);
    }

    #[test]
    fn figures_and_order_are_no_state() {
        check(true, |r, _| r.cpu = None);
        check(true, |r, _| r.clock.as_mut().unwrap().offset_us = Some(6));
        check(true, |r, _| r.disk[0].reads = Some(2));
        check(true, |r, _| r.network[0].carrier_changes = Some(4));
        check(true, |r, _| r.network.reverse());
        check(true, |r, _| r.application[0].latency_us = None);
        check(true, |_, f| f.reverse());
    }

    #[test]
    fn flags_names_and_faults_are_states() {
        check(false, |r, _| r.clock.as_mut().unwrap().synchronised = Some(0));
        check(false, |r, _| r.clock.as_mut().unwrap().steps = Some(1));
        check(false, |r, _| r.clock = None);
        check(false, |r, _| r.filesystem[0].read_only = Some(1));
        check(false, |r, _| r.filesystem.clear());
        check(false, |r, _| r.network[0].link_up = Some(0));
        check(false, |r, _| r.network[1].link_up = None);
        check(false, |r, _| r.application[0].up = Some(0));
        check(false, |r, _| r.application[0].error = Some("refused".parse().unwrap()));
        check(false, |r, _| r.disk[0].name = "sdb".parse().unwrap());
        check(false, |_, f| f.clear());
        check(false, |_, f| f[0].code = FaultCode::IoError);
        check(false, |_, f| f[1].name = None);
    }

    #[test]
    fn it_is_the_same_in_every_build() {
        let none = state_fingerprints(&Readings::default(), &[]);
        assert!(none.len() == SECTIONS.len() && none.values().all(|state| *state == 0xe3b0_c442_98fc_1c14), "{none:?}");
    }

    #[test]
    fn a_state_changes_its_own_section_only() {
        let before = state_fingerprints(&readings(), &[]);
        let mut after = readings();
        after.network[0].link_up = Some(0);
        let after = state_fingerprints(&after, &[fault(None, FaultCode::IoError)]);
        let changed: Vec<_> = after.iter().filter(|(section, state)| before[*section] != **state).map(|(section, _)| *section).collect();
        assert_eq!(changed, ["disk", "network"]);
    }
}
