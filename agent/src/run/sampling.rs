//! Samples are taken beside the loop: a disk that hangs delays its own section, not the watchdog, a push or a stop.

use super::Shell;
use crate::application::{self, Check};
use crate::budget::{Budget, Used};
use crate::clock;
use crate::config::Config;
use crate::core::Event;
use crate::probe::{self, Machine, Names, Worker};
use crate::say::say;
use crate::setup::{host_of, stretched};
use crate::stretch::{Pressure, Stretch};
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Reach};
use mimamori_shared::fields::{AgentSelf, Readings, SECTIONS};
use mimamori_shared::payload::Fault;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A sample, with the worker that took it.
pub(super) struct Taken {
    worker: Worker,
    readings: Readings,
    faults: Vec<Fault>,
}

/// What takes the samples.
pub(super) struct Sampling {
    machine: Machine,
    checks: Arc<[Check]>,
    /// `None` while a sample is being taken.
    worker: Option<Worker>,
    /// The sample under way was asked for under other terms: it is thrown away, and another one is taken.
    stale: bool,
    give: mpsc::Sender<Taken>,
    /// Taken out by the loop.
    pub(super) take: Option<mpsc::Receiver<Taken>>,
    steps: probe::clock::Steps,
    budget: Budget,
    pub(super) stretch: Stretch,
    took: Duration,
}

impl Sampling {
    pub(super) fn new(config: &Config, names: Names, resolve: Option<String>) -> Sampling {
        let (give, take) = mpsc::channel(1);
        let machine = Machine { host: host_of(config), names: Arc::new(names), resolve };
        Sampling {
            machine,
            checks: application::configured(config).into(),
            worker: Some(Worker::default()),
            stale: false,
            give,
            take: Some(take),
            steps: probe::clock::Steps::default(),
            budget: Budget::default(),
            stretch: Stretch::default(),
            took: Duration::ZERO,
        }
    }
}

impl Sampling {
    /// Where the hardware helper leaves its file.
    pub(super) fn helper_file(&self) -> PathBuf {
        self.machine.host.root().join(probe::hardware::FILE)
    }
}

/// Whether within the helper's last turn there was a time at which the consent let it look at nothing: its file is old, or says
/// so, and the next turn will tell. On demand, every session begins so.
fn rested(terms: &ConsentTerms, now_ms: i64) -> bool {
    let open = |ago_ms: i64| matches!(terms.reach(now_ms.saturating_sub(ago_ms)), Reach::All);
    terms.mode == ConsentMode::OnDemand || !(0..=probe::hardware::TURN_MS / MINUTE_MS).all(|minutes| open(minutes * MINUTE_MS))
}

const MINUTE_MS: i64 = 60_000;

impl Shell {
    /// Begins a sample of what is due.
    pub(super) fn begin_sample(&mut self) {
        let Some(mut worker) = self.sampling.worker.take() else {
            self.sampling.stale = true;
            return;
        };
        let wanted: BTreeSet<&str> = SECTIONS.iter().copied().filter(|section| self.agent.may_take(section)).collect();
        let (machine, checks, give) = (self.sampling.machine.clone(), Arc::clone(&self.sampling.checks), self.sampling.give.clone());
        tokio::spawn(async move {
            let (mut readings, mut faults) = worker.sample(&machine, &wanted).await;
            if wanted.contains("application") {
                let (found, more) = application::check_all(&checks).await;
                readings.application = found;
                faults.extend(more);
            }
            // Nobody listens any more only when the agent stops.
            drop(give.send(Taken { worker, readings, faults }).await);
        });
    }

    /// A sample is there: what the machine cannot tell is added, and what may not leave is taken out.
    pub(super) fn end_sample(&mut self, taken: Taken) -> Option<Event> {
        let Taken { worker, mut readings, mut faults } = taken;
        let took = worker.took.saturating_sub(std::mem::replace(&mut self.sampling.took, worker.took));
        let slowest = worker.slowest;
        self.sampling.worker = Some(worker);
        if std::mem::take(&mut self.sampling.stale) {
            self.begin_sample();
            return None;
        }
        self.sampling.steps.look(&self.sampling.machine.host, self.agent.may_take("clock").then_some(&mut readings));
        self.stretch(took);
        self.own(&mut readings, slowest);
        // What may not leave must not even decide whether a report tells of a change.
        self.agent.filter(&mut readings, &mut faults);
        if self.agent.terms().is_some_and(|terms| rested(terms, clock::now().wall_ms)) {
            probe::hardware::await_turn(&mut faults);
        }
        let states = probe::state_fingerprints(&readings, &faults);
        Some(Event::Sampled { readings: Box::new(readings), faults, states })
    }

    /// Lengthens or shortens the intervals by how busy the machine is; the core states the plan that follows.
    fn stretch(&mut self, took: Duration) {
        if !self.config.values().flag("collect.less_when_busy") {
            return;
        }
        let host = &self.sampling.machine.host;
        let psi = |resource| probe::pressure::psi(host, resource).ok();
        let (cpu, memory, io) = (psi("cpu"), psi("memory"), psi("io"));
        let pressure = Pressure::of(cpu.and_then(|psi| psi.some), memory.and_then(|psi| psi.full), io.and_then(|psi| psi.full));
        let before = self.sampling.stretch.factor();
        self.sampling.stretch = self.sampling.stretch.next(pressure, took);
        let factor = self.sampling.stretch.factor();
        if factor == before {
            return;
        }
        match factor {
            1 => say("the machine is calm again: intervals are as configured"),
            _ => say(&format!("the machine is busy: all intervals but heartbeat's are {factor} times as long")),
        }
        if let Some(terms) = self.agent.terms().cloned() {
            self.settings = stretched(&self.config, Some(&terms), factor);
            self.agent.set_plan(self.settings.plan.clone(), factor);
        }
    }

    /// What only the agent knows of itself.
    fn own(&mut self, readings: &mut Readings, slowest: Option<(&'static str, Duration)>) {
        let (entries, bytes) = self.outbox.size(self.agent.chains());
        let own = readings.agent.get_or_insert_with(AgentSelf::default);
        own.outbox_entries = i64::try_from(entries).ok();
        own.outbox_bytes = i64::try_from(bytes).ok();
        own.probes_ms = i64::try_from(self.sampling.took.as_millis()).ok();
        own.slowest_probe = slowest.and_then(|(name, _)| name.parse().ok());
        own.slowest_probe_ms = slowest.and_then(|(_, took)| i64::try_from(took.as_millis()).ok());
        own.stretch = i64::try_from(self.sampling.stretch.factor()).ok();
        if let (Some(cpu_ms), Some(resident_bytes), Some(written_bytes)) = (own.cpu_ms, own.resident_bytes, own.written_bytes) {
            let used = Used { at_ms: clock::now().boottime_ms, cpu_ms, written_bytes, resident_bytes };
            own.over_budget = self.sampling.budget.look(used).map(i64::from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimamori_shared::consent::Window;

    #[test]
    fn the_helper_is_awaited_for_a_turn_after_every_rest_and_no_longer() {
        let quiet = Window::parse_line("mon-sun 08:30-12:00").unwrap();
        let day = ConsentTerms { utc_offset_s: 0, valid_from_ms: 0, valid_to_ms: i64::MAX, quiet: vec![quiet], ..crate::core::rig::terms() };
        let at = |hours: i64, minutes: i64| 20_000 * 24 * 60 * MINUTE_MS + (hours * 60 + minutes) * MINUTE_MS;
        assert!(!rested(&day, at(8, 0)), "all night it could look");
        assert!(rested(&day, at(12, 0)) && rested(&day, at(12, 24)) && !rested(&day, at(12, 25)));
        let always = ConsentTerms { quiet: Vec::new(), ..day };
        assert!(!rested(&always, at(12, 0)));
        let begun = ConsentTerms { valid_from_ms: at(9, 0), ..always.clone() };
        assert!(rested(&begun, at(9, 10)) && !rested(&begun, at(9, 25)));
        assert!(rested(&ConsentTerms { mode: ConsentMode::OnDemand, ..always }, at(12, 0)), "every session begins so");
    }
}
