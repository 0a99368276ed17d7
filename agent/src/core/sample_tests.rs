//! What of a sample becomes a report: changes at once, the rest in its turn, findings once.

use super::rig::identity;
use super::*;
use crate::outbox::{Outbox, Quota};
use mimamori_shared::consent::{ConsentTerms, ScopeTerms};
use mimamori_shared::fields::{Filesystem, Readings, System};
use mimamori_shared::payload::{Class, Report, Standing};

const START: Now = Now { wall_ms: 0, boottime_ms: 5_000, monotonic_ms: 5_000 };
const MINUTE_MS: i64 = 60_000;

/// An agent whose machine has one filesystem, beside a real outbox.
struct Bench {
    agent: Agent,
    outbox: Outbox,
    now: Now,
    available: i64,
    read_only: i64,
    reports: Vec<(i64, Report)>,
    /// Samples for which the filesystem was measured.
    looks: usize,
    _dir: tempfile::TempDir,
}

fn settings_of(terms: &ConsentTerms, os_state_s: u64) -> Settings {
    let configured = |scope| if scope == Scope::OsState { os_state_s } else { 60 };
    Settings { plan: Plan::of(Some(terms), configured, |_| true), except: BTreeSet::new() }
}

impl Bench {
    fn new(consented_s: u64, os_state_s: u64) -> Bench {
        let scope = |every_s| ScopeTerms { every_s, except: Vec::new(), include: Vec::new() };
        let scopes = [(Scope::Heartbeat, scope(60)), (Scope::OsState, scope(consented_s))].into();
        let terms = ConsentTerms { scopes, ..super::rig::terms() };
        let dir = tempfile::tempdir().unwrap();
        let (outbox, restored, _) = Outbox::open(dir.path(), quota(), 0).unwrap();
        let agent = Agent::new(identity(), settings_of(&terms, os_state_s), restored);
        let mut bench = Bench { agent, outbox, now: START, available: 500, read_only: 0, reports: Vec::new(), looks: 0, _dir: dir };
        bench.event(Event::Consent(Consent::Valid(terms)));
        bench
    }

    fn event(&mut self, event: Event) {
        let mut queue = vec![event];
        while let Some(event) = queue.pop() {
            for effect in self.agent.step(event, self.now, [1; 16]) {
                match effect {
                    Effect::Sample => {
                        self.looks += usize::from(self.agent.may_take("filesystem"));
                        let data = Filesystem {
                            name: "data".parse().unwrap(),
                            size_bytes: Some(1000),
                            available_bytes: Some(self.available),
                            read_only: Some(self.read_only),
                            ..Filesystem::default()
                        };
                        let system = Some(System { uptime_ms: Some(1), ..System::default() });
                        let mut readings = Readings { system, filesystem: vec![data], ..Readings::default() };
                        let mut faults = Vec::new();
                        self.agent.filter(&mut readings, &mut faults);
                        let states = crate::probe::state_fingerprints(&readings, &faults);
                        queue.push(Event::Sampled { readings: Box::new(readings), faults, states });
                    }
                    Effect::Commit(record) => {
                        self.outbox.commit(&record).unwrap();
                        if record.states.is_none() {
                            self.reports.push((self.now.boottime_ms, serde_json::from_slice(&record.payload).unwrap()));
                        }
                        queue.push(Event::Committed);
                    }
                    _ => {}
                }
            }
        }
    }

    fn pass(&mut self, minutes: i64) {
        let end = self.now.boottime_ms + minutes * MINUTE_MS;
        while self.now.boottime_ms < end {
            let at = self.agent.wake_at().filter(|at| *at > self.now.boottime_ms).unwrap_or(end).min(end);
            self.now = Now { wall_ms: self.now.wall_ms + at - self.now.boottime_ms, boottime_ms: at, monotonic_ms: at };
            self.event(Event::Wake);
        }
    }

    /// How many reports held the filesystem since the last call.
    fn told(&mut self) -> usize {
        std::mem::take(&mut self.reports).iter().filter(|(_, report)| !report.readings.filesystem.is_empty()).count()
    }

    fn findings(&mut self) -> Vec<String> {
        let found = std::mem::take(&mut self.reports).into_iter().flat_map(|(_, report)| report.findings);
        found.map(|f| format!("{} {} {}", f.check, f.state.name(), f.since_ms / MINUTE_MS)).collect()
    }
}

fn quota() -> Quota {
    Quota { bytes: 1 << 24, age_ms: i64::MAX, free_floor_bytes: 0 }
}

#[test]
fn what_is_seldom_due_is_told_seldom_and_a_change_of_it_within_a_beat() {
    let mut bench = Bench::new(60, 900);
    bench.pass(46);
    assert_eq!(bench.told(), 4, "at the start and every quarter of an hour");
    bench.read_only = 1;
    bench.pass(1);
    let (_, report) = bench.reports.last().unwrap();
    assert_eq!((report.class, report.readings.filesystem.len()), (Class::Change, 1));
    assert_eq!(bench.told(), 1);
    bench.pass(5);
    assert_eq!(bench.told(), 0, "and not again until it is due");
}

#[test]
fn a_busy_machine_is_looked_at_as_seldom_as_it_is_measured() {
    let mut bench = Bench::new(60, 3600);
    let looks = |bench: &mut Bench, minutes| {
        bench.looks = 0;
        bench.pass(minutes);
        bench.looks
    };
    bench.pass(2);
    assert_eq!(looks(&mut bench, 16), 16, "every beat");
    let plan = bench.agent.settings.plan.clone();
    bench.agent.set_plan(plan.clone(), 8);
    assert_eq!(looks(&mut bench, 32), 4, "every eighth beat");
    bench.told();
    bench.read_only = 1;
    bench.pass(8);
    assert_eq!(bench.told(), 1, "what changed is told within eight beats");
    bench.agent.set_plan(plan, 1);
    bench.read_only = 0;
    bench.pass(1);
    assert_eq!(bench.told(), 1, "calm again: within a beat");
}

#[test]
fn no_change_leaves_sooner_than_the_consent_lets_it() {
    let mut bench = Bench::new(900, 900);
    bench.pass(2);
    assert_eq!(bench.told(), 1);
    bench.read_only = 1;
    bench.pass(11);
    assert_eq!(bench.told(), 0);
    bench.pass(4);
    assert_eq!(bench.told(), 1);
}

#[test]
fn news_is_looked_at_at_once_and_moves_no_beat() {
    let mut bench = Bench::new(60, 900);
    bench.pass(5);
    let beat = bench.agent.wake_at();
    bench.reports.clear();
    bench.now = Now { boottime_ms: bench.now.boottime_ms + 7_000, ..bench.now };
    bench.event(Event::News);
    assert_eq!((bench.reports.len(), bench.agent.wake_at()), (0, beat), "nothing new was in it");
    bench.read_only = 1;
    bench.event(Event::News);
    let (at, report) = bench.reports.last().unwrap();
    assert_eq!((*at, report.class, report.readings.system.is_none()), (bench.now.boottime_ms, Class::Change, true));
    assert_eq!(bench.agent.wake_at(), beat);
}

#[test]
fn a_finding_is_told_once_although_its_section_is_not_due_and_is_known_after_a_restart() {
    let mut bench = Bench::new(60, 900);
    bench.pass(3);
    assert_eq!(bench.findings(), [] as [&str; 0]);
    bench.available = 10;
    bench.pass(20);
    let found = bench.findings();
    assert!(found.len() == 1 && found[0].starts_with("filesystem_full bad 3"), "{found:?}");
    let Bench { agent, outbox, now, _dir, .. } = bench;
    let terms = agent.terms().unwrap().clone();
    drop((agent, outbox));
    let (outbox, restored, _) = Outbox::open(_dir.path(), quota(), 0).unwrap();
    assert_eq!(restored.diagnosis.standing().filter(|(_, since)| since.state == Standing::Bad).count(), 1);
    let agent = Agent::new(identity(), settings_of(&terms, 900), restored);
    let mut bench = Bench { agent, outbox, now, available: 10, read_only: 0, reports: Vec::new(), looks: 0, _dir };
    bench.event(Event::Consent(Consent::Valid(terms)));
    bench.pass(20);
    assert_eq!(bench.findings(), [] as [&str; 0], "what was told is not told again");
    bench.available = 500;
    bench.pass(2);
    assert!(bench.findings().iter().all(|found| found.starts_with("filesystem_full ok")));
}

#[test]
fn a_finding_whose_report_could_not_be_kept_is_still_to_be_told() {
    let mut bench = Bench::new(60, 60);
    bench.pass(2);
    bench.available = 10;
    bench.now = Now { wall_ms: bench.now.wall_ms + MINUTE_MS, boottime_ms: bench.now.boottime_ms + MINUTE_MS, ..bench.now };
    let sampling = bench.agent.step(Event::Wake, bench.now, [1; 16]);
    assert!(sampling.iter().any(|effect| matches!(effect, Effect::Sample)));
    let data = Filesystem { name: "data".parse().unwrap(), size_bytes: Some(1000), available_bytes: Some(10), ..Filesystem::default() };
    let readings = Readings { filesystem: vec![data], ..Readings::default() };
    let states = crate::probe::state_fingerprints(&readings, &[]);
    let made = bench.agent.step(Event::Sampled { readings: Box::new(readings), faults: Vec::new(), states }, bench.now, [1; 16]);
    assert!(made.iter().any(|effect| matches!(effect, Effect::Commit(_))));
    bench.event(Event::CommitFailed);
    bench.reports.clear();
    bench.pass(3);
    let found = bench.findings();
    assert!(found.len() == 1 && found[0].starts_with("filesystem_full bad"), "{found:?}");
}
