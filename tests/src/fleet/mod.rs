//! A fleet on a virtual clock: the real core, outbox, chain rule, store and presence, and a simulator that knows what
//! truly happened. One seed makes one history.
//!
//! What is real: `Agent::step`, `Outbox` (on a disk in memory), `uplink::judge`, `collector::store`, `work`, the
//! domain. What is not: HTTP and TLS, files of consent, the probes.

pub mod centre;
pub mod machine;
pub mod script;
pub mod truth;

use crate::Random;
use centre::Centre;
use machine::{Machine, Reply, Request};
use mimamori_agent::core::Identity;
use mimamori_agent::uplink::{Detail, Sent};
use mimamori_shared::id::{BootId, CollectorId, Hash};
use mimamori_shared::sign::{SecretKey, sha256};
use script::Act;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

/// Seconds between two reports.
pub const INTERVAL_S: u64 = 900;
/// The same in milliseconds.
pub const INTERVAL_MS: i64 = 900_000;
/// A minute.
pub const MINUTE_MS: i64 = 60_000;
/// An hour.
pub const HOUR_MS: i64 = 3_600_000;
/// A day.
pub const DAY_MS: i64 = 86_400_000;
/// Machines are switched on within this time.
const FIRST_MS_MAX: u64 = 600_000;
/// 2026-05-01T00:00:00Z.
pub const START_MS: i64 = 1_777_593_600_000;
/// Everything is well again and there is time to deliver what is left.
pub const DRAIN_MS: i64 = 6 * HOUR_MS;

/// What happens at a moment; the number orders what happens at the same one.
#[derive(Debug)]
enum Due {
    Wake { machine: usize, wakes: u64 },
    Answer { machine: usize, life: u64, sent: Sent, reply: Reply },
    Act { machine: usize, act: Act },
    CentreDown,
    CentreUp,
    Round,
    Heal,
}

struct Timed {
    at_ms: i64,
    number: u64,
    due: Due,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Timed) -> bool {
        (self.at_ms, self.number) == (other.at_ms, other.number)
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Timed) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timed {
    fn cmp(&self, other: &Timed) -> std::cmp::Ordering {
        (self.at_ms, self.number).cmp(&(other.at_ms, other.number))
    }
}

/// A fleet and its collector.
pub struct Fleet {
    /// The collector.
    pub centre: Centre,
    /// Machines, and behind them the clones.
    pub machines: Vec<Machine>,
    /// When it ended.
    pub end_ms: i64,
    /// How often each thing happened.
    pub happened: std::collections::BTreeMap<String, u64>,
    up: bool,
    random: Random,
    queue: BinaryHeap<Reverse<Timed>>,
    number: u64,
    history: Vec<u8>,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fleet of {} machines", self.machines.len())
    }
}

impl Fleet {
    /// Lives `machines` through `days`, heals everything and lets the rest be delivered. With `only`, the one of that number
    /// lives its own life of the same fleet, and the others are not there: what went wrong with it is seen in a minute.
    ///
    /// # Panics
    /// When anything does what it must not.
    #[must_use]
    pub fn live(dir: &Path, seed: u64, machines: usize, days: i64, only: Option<usize>) -> Fleet {
        let mut fleet = Fleet::new(dir, seed, days);
        for number in 0..machines {
            if only.is_none_or(|only| only == number) {
                fleet.add(dir, number, |random| script::script(random, START_MS, days));
            } else {
                // What it would have drawn.
                fleet.random.next();
                fleet.random.between(0, FIRST_MS_MAX);
            }
        }
        fleet.plan(days);
        fleet.run()
    }

    /// One machine that reports for an hour, lies in a drawer for so many days and is switched on again.
    ///
    /// # Panics
    /// When anything does what it must not.
    #[must_use]
    pub fn in_a_drawer(dir: &Path, days: i64) -> Fleet {
        let mut fleet = Fleet::new(dir, 1, days);
        let back_ms = START_MS + days * DAY_MS;
        fleet.add(dir, 0, |_| vec![(START_MS + 2 * HOUR_MS, Act::PowerOff { clean: true }), (back_ms, Act::PowerOn)]);
        // One key for all these years.
        fleet.machines[0].rotate_after_ms = None;
        // Nobody looks every minute for years.
        fleet.at(back_ms, Due::Round);
        fleet.run()
    }

    /// One machine that is put back to a snapshot while its line is down, and whose consent is withdrawn and given again before
    /// the line is back: what it made since the snapshot is partly purged, and the collector holds other entries in its places.
    ///
    /// # Panics
    /// When anything does what it must not.
    #[must_use]
    pub fn put_back_and_withdrawn(dir: &Path) -> Fleet {
        let mut fleet = Fleet::new(dir, 1, 3);
        let acts = [(4, Act::Snapshot), (10, Act::LineDown), (11, Act::Restore), (20, Act::Withdraw), (24, Act::Grant), (40, Act::LineUp)];
        fleet.add(dir, 0, |_| acts.into_iter().map(|(hours, act)| (START_MS + hours * HOUR_MS, act)).collect());
        fleet.machines[0].rotate_after_ms = None;
        fleet.at(START_MS, Due::Round);
        fleet.run()
    }

    fn new(dir: &Path, seed: u64, days: i64) -> Fleet {
        let mut random = Random(seed);
        let centre = Centre::new(dir, &mut random, START_MS);
        Fleet {
            centre,
            machines: Vec::new(),
            end_ms: START_MS + days * DAY_MS + DRAIN_MS,
            happened: Default::default(),
            up: true,
            random,
            queue: BinaryHeap::new(),
            number: 0,
            history: Vec::new(),
        }
    }

    fn run(mut self) -> Fleet {
        let fleet = &mut self;
        while let Some(Reverse(Timed { at_ms, due, .. })) = fleet.queue.pop() {
            if at_ms > fleet.end_ms {
                break;
            }
            fleet.happen(at_ms, due);
        }
        fleet.centre.round(fleet.end_ms);
        self
    }

    fn add(&mut self, dir: &Path, number: usize, script: impl FnOnce(&mut Random) -> Vec<(i64, Act)>) {
        let mut random = Random(self.random.next());
        let key = SecretKey::from_seed(&random.bytes().into());
        let name = format!("m-{number}");
        let agent_id = self.centre.enrol(&name, &key, &mut random, START_MS);
        let trust = self.centre.trust(agent_id);
        let identity = Identity { collector_id: trust.collector_id, agent_id, key, boot_id: BootId([0; 16]) };
        debug_assert_ne!(trust.collector_id, CollectorId::ZERO);
        let traits = script::traits(&mut random);
        let acts = script(&mut random);
        let machine = self.machines.len();
        self.machines.push(Machine::new(name.clone(), dir.join(name), identity, trust, traits, random));
        let first_ms = START_MS + i64::try_from(self.random.between(0, FIRST_MS_MAX)).unwrap();
        self.at(first_ms, Due::Act { machine, act: Act::PowerOn });
        acts.into_iter().for_each(|(at_ms, act)| self.at(at_ms, Due::Act { machine, act }));
    }

    /// What happens to the collector, its own rounds, and the end of all trouble.
    fn plan(&mut self, days: i64) {
        let last_ms = START_MS + days * DAY_MS;
        let mut at_ms = START_MS + 3 * HOUR_MS;
        loop {
            at_ms += i64::try_from(self.random.between(6, 72)).unwrap() * HOUR_MS;
            let length = i64::try_from(self.random.between(1, 240)).unwrap() * MINUTE_MS;
            if at_ms + length >= last_ms {
                break;
            }
            self.at(at_ms, Due::CentreDown);
            self.at(at_ms + length, Due::CentreUp);
        }
        self.at(START_MS, Due::Round);
        self.at(last_ms, Due::Heal);
    }

    fn at(&mut self, at_ms: i64, due: Due) {
        self.number += 1;
        self.queue.push(Reverse(Timed { at_ms, number: self.number, due }));
    }

    fn note(&mut self, at_ms: i64, what: &str) {
        self.history.extend_from_slice(format!("{at_ms} {what}\n").as_bytes());
    }

    fn count(&mut self, what: &str) {
        *self.happened.entry(what.to_owned()).or_default() += 1;
    }

    fn happen(&mut self, at_ms: i64, due: Due) {
        match due {
            Due::Round => {
                if self.up {
                    self.centre.round(at_ms);
                }
                self.at(at_ms + MINUTE_MS, Due::Round);
            }
            Due::CentreDown => {
                self.count("collector outages");
                self.up = false;
            }
            Due::CentreUp => self.up = true,
            Due::Heal => self.heal(at_ms),
            Due::Wake { machine, wakes } => {
                if self.machines[machine].wakes == wakes {
                    let requests = self.machines[machine].wake(at_ms);
                    self.send(at_ms, machine, requests);
                }
            }
            Due::Answer { machine, life, sent, reply } => self.answer(at_ms, machine, life, sent, reply),
            Due::Act { machine, act } => self.act(at_ms, machine, act),
        }
    }

    fn answer(&mut self, at_ms: i64, machine: usize, life: u64, sent: Sent, reply: Reply) {
        let one = &mut self.machines[machine];
        if one.life.is_none() || one.lives != life {
            return;
        }
        if one.suspended.is_some() {
            // The connection does not survive the sleep.
            one.waiting.push((life, sent, Reply::Failed(Detail::Cut)));
            return;
        }
        let requests = one.answered(sent, reply, at_ms);
        self.send(at_ms, machine, requests);
    }

    /// Carries requests to the collector, and asks to be called when the agent wants to be woken.
    fn send(&mut self, at_ms: i64, machine: usize, requests: Vec<Request>) {
        for Request { body, sent } in requests {
            let one = &mut self.machines[machine];
            let (luck, wait) = (one.random.between(0, 100), one.random.between(20, 400));
            let (line, life) = (one.line, one.lives);
            let (reply, wait) = if !self.up || !line {
                (Reply::Failed(if line { Detail::Refused } else { Detail::NameTimeout }), 10_000)
            } else {
                one.heard.push(at_ms);
                let answer = self.centre.take(&body, at_ms);
                let status = answer.status;
                self.note(at_ms, &format!("{machine} sent {} {} got {status}", sent.frames.len(), sha256(&answer.body)));
                // Now and then the collector has taken it and the answer is lost.
                if luck < 3 { (Reply::Failed(Detail::AnswerTimeout), 30_000) } else { (Reply::Answered(answer), wait) }
            };
            self.count(if matches!(reply, Reply::Failed(_)) { "requests failed" } else { "requests answered" });
            let at_ms = at_ms + i64::try_from(wait).unwrap();
            self.at(at_ms, Due::Answer { machine, life, sent, reply });
        }
        let one = &mut self.machines[machine];
        one.wakes += 1;
        if let Some(wake_ms) = one.wake_at() {
            let wakes = one.wakes;
            // A shell naps at most so long before it looks at the consent again; here changes are told.
            self.at(wake_ms.max(at_ms + 1), Due::Wake { machine, wakes });
        }
    }

    fn act(&mut self, at_ms: i64, machine: usize, act: Act) {
        let word = format!("{act:?}");
        self.note(at_ms, &format!("{machine} {word}"));
        self.count(word.split(' ').next().unwrap_or_default());
        let one = &mut self.machines[machine];
        let mut requests = Vec::new();
        match act {
            Act::LineDown => one.line = false,
            Act::LineUp => one.line = true,
            Act::PowerOff { clean } => one.power_off(clean),
            Act::PowerOn => {
                one.power_on(at_ms);
                requests = one.begin(at_ms);
            }
            Act::AgentEnds => one.end(false),
            Act::AgentStarts => requests = one.begin(at_ms),
            Act::Suspend => one.suspended = Some(at_ms),
            Act::Resume => {
                one.resume(at_ms);
                for (life, sent, reply) in std::mem::take(&mut one.waiting) {
                    self.at(at_ms + 5, Due::Answer { machine, life, sent, reply });
                }
                requests = self.machines[machine].wake(at_ms);
            }
            Act::ClockStep { by_ms } => one.step_clock(by_ms),
            Act::Snapshot => one.take_snapshot(),
            Act::Restore => {
                one.power_off(false);
                if one.restore() {
                    one.power_on(at_ms);
                    requests = one.begin(at_ms);
                }
            }
            Act::CloneStarts => {
                let mut twin = one.clone_of(at_ms);
                twin.power_on(at_ms);
                let begun = twin.begin(at_ms);
                self.machines.push(twin);
                let clone = self.machines.len() - 1;
                self.send(at_ms, clone, begun);
            }
            Act::CloneEnds => {
                let name = format!("{}-clone", one.name);
                self.machines.iter_mut().filter(|other| other.name == name).for_each(Machine::forget);
            }
            Act::StateLost => {
                one.lose_state();
                requests = one.begin(at_ms);
            }
            Act::Withdraw | Act::Grant => return self.consent(at_ms, machine, act),
            Act::DiskFull => one.full = true,
            Act::DiskFree => one.full = false,
        }
        self.send(at_ms, machine, requests);
    }

    /// The facility decides for the machine and for what it does not know to be a copy of it.
    fn consent(&mut self, at_ms: i64, machine: usize, act: Act) {
        let agent_id = self.machines[machine].identity.agent_id;
        for machine in 0..self.machines.len() {
            let one = &mut self.machines[machine];
            if one.identity.agent_id == agent_id {
                let requests = if act == Act::Grant { one.grant(at_ms) } else { one.withdraw(at_ms) };
                self.send(at_ms, machine, requests);
            }
        }
    }

    /// Everything that is still wrong is mended, so that what is left can be delivered.
    fn heal(&mut self, at_ms: i64) {
        self.up = true;
        for machine in 0..self.machines.len() {
            let one = &mut self.machines[machine];
            (one.line, one.full) = (true, false);
            let mut requests = Vec::new();
            if !one.name.ends_with("-clone") {
                if one.suspended.is_some() {
                    self.act(at_ms, machine, Act::Resume);
                }
                let one = &mut self.machines[machine];
                if !one.powered {
                    one.power_on(at_ms);
                }
                if one.life.is_none() {
                    requests = one.begin(at_ms);
                }
            }
            self.send(at_ms, machine, requests);
        }
    }

    /// The hash of everything that happened and was answered, made and judged.
    #[must_use]
    pub fn history(&self) -> Hash {
        let mut text = self.history.clone();
        for machine in &self.machines {
            for made in &machine.made {
                text.extend_from_slice(format!("{} {} {} {}\n", machine.name, made.at_ms, made.seq, made.hash).as_bytes());
            }
            text.extend_from_slice(format!("{:?}\n", machine.notes).as_bytes());
            for row in self.transitions(machine) {
                text.extend_from_slice(format!("{row:?}\n").as_bytes());
            }
        }
        sha256(&text)
    }
}
