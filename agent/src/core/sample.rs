//! A sample becomes a report: what may leave, what of it is news, and what the self-diagnosis says to it.

use super::{Agent, Now, States};
use mimamori_shared::fields::{Readings, SECTIONS, Scope, fields};
use mimamori_shared::payload::{Class, Fault, Report};

impl Agent {
    pub(super) fn sampled(&mut self, mut readings: Readings, mut faults: Vec<Fault>, states: States, now: Now) {
        let was_sampling = std::mem::take(&mut self.sampling);
        // Behind the entry that hands over nothing follows: the next report is for the next chain.
        let handed_over = self.newest().is_some_and(|chain| chain.successor.is_some());
        if !was_sampling || self.pending.is_some() || !self.may_collect() || handed_over {
            return;
        }
        self.filter(&mut readings, &mut faults);
        // Compared is what this report holds with what the last one that held it said.
        let mut states: States = states.into_iter().filter(|(section, _)| self.may_take(section)).collect();
        self.drop_unchanged(&mut readings, &mut faults, &mut states, now);
        let first_of_boot = self.last_boot != Some(self.identity.boot_id);
        let changed = first_of_boot || states.iter().any(|(section, state)| self.last_states.get(section) != Some(state));
        let looked_at = |section: &str| states.contains_key(section);
        let (diagnosis, findings) = self.diagnosis.look(&readings, &faults, &looked_at, now.wall_ms);
        let class = match (changed || !findings.is_empty(), readings.has_state()) {
            (true, _) => Class::Change,
            (false, true) => Class::Unchanged,
            (false, false) => Class::Sample,
        };
        let report = Report { class, readings, faults, findings };
        self.pending = self.make_report(report, now).map(Box::new);
        if let Some(record) = &mut self.pending {
            record.diagnosis = (diagnosis != self.diagnosis).then(|| diagnosis.keep());
        }
        self.pending_states = states;
        self.pending_diagnosis = Some(diagnosis);
    }

    /// Takes out of a sample what is not due and has not changed. What is left of it is told now.
    fn drop_unchanged(&mut self, readings: &mut Readings, faults: &mut Vec<Fault>, states: &mut States, now: Now) {
        let scope_of = |section: &str| fields().find(|field| field.section == section).map(|field| field.scope);
        let unchanged =
            |section: &str| scope_of(section).is_some_and(|scope| self.watching.contains(&scope)) && states.get(section) == self.last_states.get(section);
        let rest: Vec<&str> = SECTIONS.iter().copied().filter(|section| unchanged(section)).collect();
        readings.keep(&|field| !rest.contains(&field.section));
        faults.retain(|fault| !rest.contains(&fault.section()));
        states.retain(|section, _| !rest.contains(section));
        let told: Vec<Scope> = self.watching.iter().copied().filter(|scope| states.keys().any(|section| scope_of(section) == Some(*scope))).collect();
        self.told.extend(told.into_iter().map(|scope| (scope, now.boottime_ms)));
    }
}
