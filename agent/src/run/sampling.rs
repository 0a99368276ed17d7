//! Samples are taken beside the loop: a disk that hangs delays its own section, not the watchdog, a push or a stop.

use super::Shell;
use crate::config::Config;
use crate::core::Event;
use crate::probe::{self, Machine, Names, Worker};
use crate::setup::host_of;
use mimamori_shared::fields::{Readings, SECTIONS};
use mimamori_shared::payload::Fault;
use std::sync::Arc;
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
    /// `None` while a sample is being taken.
    worker: Option<Worker>,
    /// The sample under way was asked for under other terms: it is thrown away, and another one is taken.
    stale: bool,
    give: mpsc::Sender<Taken>,
    /// Taken out by the loop.
    pub(super) take: Option<mpsc::Receiver<Taken>>,
    steps: probe::clock::Steps,
}

impl Sampling {
    pub(super) fn new(config: &Config, names: Names, resolve: Option<String>) -> Sampling {
        let (give, take) = mpsc::channel(1);
        let machine = Machine { host: host_of(config), names: Arc::new(names), resolve };
        Sampling { machine, worker: Some(Worker::default()), stale: false, give, take: Some(take), steps: probe::clock::Steps::default() }
    }
}

impl Shell {
    /// Begins a sample of what is due.
    pub(super) fn begin_sample(&mut self) {
        let Some(mut worker) = self.sampling.worker.take() else {
            self.sampling.stale = true;
            return;
        };
        let wanted = SECTIONS.iter().copied().filter(|section| self.agent.may_take(section)).collect();
        let (machine, give) = (self.sampling.machine.clone(), self.sampling.give.clone());
        tokio::spawn(async move {
            let (readings, faults) = worker.sample(&machine, &wanted).await;
            // Nobody listens any more only when the agent stops.
            drop(give.send(Taken { worker, readings, faults }).await);
        });
    }

    /// A sample is there: what the machine cannot tell is added, and what may not leave is taken out.
    pub(super) fn end_sample(&mut self, taken: Taken) -> Option<Event> {
        let Taken { worker, mut readings, mut faults } = taken;
        let took_ms = i64::try_from(worker.took.as_millis()).unwrap_or(i64::MAX);
        self.sampling.worker = Some(worker);
        if std::mem::take(&mut self.sampling.stale) {
            self.begin_sample();
            return None;
        }
        self.sampling.steps.look(&self.sampling.machine.host, self.agent.may_take("clock").then_some(&mut readings));
        probe::agent::own(&mut readings, self.outbox.size(self.agent.chains()), took_ms);
        // What may not leave must not even decide whether a report tells of a change.
        self.agent.filter(&mut readings, &mut faults);
        let states = probe::state_fingerprints(&readings, &faults);
        Some(Event::Sampled { readings: Box::new(readings), faults, states })
    }
}
