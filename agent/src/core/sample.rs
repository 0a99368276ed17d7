//! A sample becomes a report: what may leave, what of it is news, and what the self-diagnosis says to it.

use super::{Agent, Now, States};
use crate::diagnosis::CHECKS;
use mimamori_shared::fields::{Readings, SECTIONS, Scope, fields};
use mimamori_shared::payload::{Class, Fault, Report};
use std::collections::BTreeSet;

impl Agent {
    pub(super) fn sampled(&mut self, mut readings: Readings, mut faults: Vec<Fault>, states: States, now: Now) {
        let was_sampling = std::mem::take(&mut self.sampling);
        // Behind the entry that hands over nothing follows: the next report is for the next chain.
        let handed_over = self.newest().is_some_and(|chain| chain.successor.is_some());
        if !was_sampling || self.pending.is_some() || !self.may_collect() || handed_over {
            return;
        }
        // It may have taken a while: what may not leave any more at this moment does not.
        let open = self.open_scopes(now);
        self.taking.retain(|scope| open.contains(scope));
        self.watching.retain(|scope| open.contains(scope));
        if self.taking.is_empty() && self.watching.is_empty() {
            return;
        }
        self.filter(&mut readings, &mut faults);
        // Compared is what this report holds with what the last one that held it said.
        let mut states: States = states.into_iter().filter(|(section, _)| self.may_take(section)).collect();
        let looked_at: BTreeSet<&str> = states.keys().copied().collect();
        let (diagnosis, findings) = self.diagnosis.look(&readings, &faults, &|section| looked_at.contains(section), now.wall_ms);
        let found: BTreeSet<&str> = CHECKS.iter().filter(|check| findings.iter().any(|f| f.check.as_str() == check.id)).map(|check| check.section()).collect();
        self.drop_unchanged(&mut readings, &mut faults, &mut states, &found);
        if self.taking.is_empty() && states.is_empty() {
            // Somebody had news for a look, and there was nothing new in it.
            return;
        }
        let first_of_boot = self.last_boot != Some(self.identity.boot_id);
        let changed = first_of_boot || states.iter().any(|(section, state)| self.last_states.get(section) != Some(state));
        let class = match (changed || !findings.is_empty(), readings.has_state()) {
            (true, _) => Class::Change,
            (false, true) => Class::Unchanged,
            (false, false) => Class::Sample,
        };
        let report = Report { class, readings, faults, findings };
        self.told.extend(self.watching.iter().filter(|scope| told(scope, &states)).map(|scope| (*scope, now.boottime_ms)));
        self.pending = self.make_report(report, now).map(Box::new);
        if let Some(record) = &mut self.pending {
            record.diagnosis = (diagnosis != self.diagnosis).then(|| diagnosis.keep());
        }
        self.pending_states = states;
        self.pending_diagnosis = Some(diagnosis);
    }

    /// Takes out of a sample what is not due, has not changed, and has nothing found in it. What is left of it is told now.
    fn drop_unchanged(&self, readings: &mut Readings, faults: &mut Vec<Fault>, states: &mut States, found: &BTreeSet<&str>) {
        let watched = |section: &str| scope_of(section).is_some_and(|scope| self.watching.contains(&scope));
        let is_news = |section: &str| found.contains(section) || states.get(section) != self.last_states.get(section);
        let rest: Vec<&str> = SECTIONS.iter().copied().filter(|section| watched(section) && !is_news(section)).collect();
        readings.keep(&|field| !rest.contains(&field.section));
        faults.retain(|fault| !rest.contains(&fault.section()));
        states.retain(|section, _| !rest.contains(section));
    }
}

fn scope_of(section: &str) -> Option<Scope> {
    fields().find(|field| field.section == section).map(|field| field.scope)
}

/// Whether a section of the scope is among those.
fn told(scope: &Scope, states: &States) -> bool {
    states.keys().any(|section| scope_of(section) == Some(*scope))
}
