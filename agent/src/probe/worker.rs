//! Takes samples on a thread of its own, so that a disk or mount that hangs never stops the agent (I20).
//!
//! A thread that waits in the kernel cannot be stopped: it is left behind, and its section is not tried again before it
//! comes back. So at most one thread per section ever waits, and all other sections go on being taken.

use super::{Names, PROBES, Probe, Sources};
use crate::host::Host;
use mimamori_shared::fields::Readings;
use mimamori_shared::payload::{Fault, FaultCode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Longest time one section may take. The slowest source that answers at all, a name server, gives up after 5 s.
const SECTION_MAX: Duration = Duration::from_secs(6);
/// Probes keep their buffers on the heap; the system's default is made for more.
const STACK_BYTES: usize = 512 * 1024;

/// What the worker reads from, for as long as a thread may hang.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The machine.
    pub host: Host,
    /// Its names, as they may leave.
    pub names: Arc<Names>,
    /// A name that the machine's resolver is timed with.
    pub resolve: Option<String>,
}

/// Takes samples; remembers what hangs.
#[derive(Debug, Default)]
pub struct Worker {
    /// Sections whose thread has not come back, each with the sign it gives when it does.
    hanging: BTreeMap<&'static str, Arc<AtomicBool>>,
    /// Time the probes took since the start, added up; waiting for what hangs is no work.
    pub took: Duration,
    /// Which probe took longest in the newest sample, and how long; one that hangs took what was waited for it.
    pub slowest: Option<(&'static str, Duration)>,
}

/// One section of a thread.
struct Section {
    name: &'static str,
    readings: Readings,
    faults: Vec<Fault>,
    took: Duration,
}

impl Worker {
    /// Takes the sections that are wanted. What could not be taken, or not in time, stands among the faults.
    pub async fn sample(&mut self, machine: &Machine, wanted: &BTreeSet<&'static str>) -> (Readings, Vec<Fault>) {
        self.hanging.retain(|_, back| !back.load(Ordering::Acquire));
        self.slowest = None;
        let (begun, mut hung) = (Instant::now(), Duration::ZERO);
        let mut readings = Readings::default();
        let mut faults: Vec<Fault> = self.hanging.keys().filter(|name| wanted.contains(*name)).map(|name| late(name)).collect();
        let mut left: Vec<&'static Probe> = PROBES.iter().filter(|probe| wanted.contains(probe.name) && !self.hanging.contains_key(probe.name)).collect();
        while !left.is_empty() {
            let back = Arc::new(AtomicBool::new(false));
            let Some(mut sections) = start(machine.clone(), left.clone(), Arc::clone(&back)) else {
                // No thread to be had: the machine is at its end, and says so.
                faults.extend(left.iter().map(|probe| fault(probe.name, FaultCode::IoError)));
                break;
            };
            while let Ok(Some(section)) = tokio::time::timeout(SECTION_MAX, sections.recv()).await {
                left.retain(|probe| probe.name != section.name);
                self.cost(section.name, section.took);
                readings.put(section.name, &section.readings);
                faults.extend(section.faults);
            }
            // Either all are there, or the first that is left hangs.
            if let Some(first) = left.first() {
                faults.push(late(first.name));
                self.cost(first.name, SECTION_MAX);
                hung += SECTION_MAX;
                self.hanging.insert(first.name, back);
                left.remove(0);
            }
        }
        self.took = self.took.saturating_add(begun.elapsed().saturating_sub(hung));
        faults.sort();
        faults.dedup();
        (readings, faults)
    }

    fn cost(&mut self, name: &'static str, took: Duration) {
        if self.slowest.is_none_or(|(_, most)| took > most) {
            self.slowest = Some((name, took));
        }
    }
}

fn late(section: &str) -> Fault {
    fault(section, FaultCode::TimedOut)
}

fn fault(section: &str, code: FaultCode) -> Fault {
    Fault { probe: section.parse().unwrap_or_default(), code, name: None }
}

/// A thread that takes sections one after another until nobody wants them any more.
fn start(machine: Machine, probes: Vec<&'static Probe>, back: Arc<AtomicBool>) -> Option<mpsc::Receiver<Section>> {
    let (give, sections) = mpsc::channel(probes.len().max(1));
    let work = move || {
        let sources = Sources { resolve: machine.resolve.as_deref(), ..Sources::of(&machine.host, &machine.names) };
        for probe in probes {
            let mut section = Section { name: probe.name, readings: Readings::default(), faults: Vec::new(), took: Duration::ZERO };
            let begun = Instant::now();
            (probe.read)(&sources, &mut section.readings, &mut section.faults);
            section.took = begun.elapsed();
            if give.blocking_send(section).is_err() {
                break;
            }
        }
        back.store(true, Ordering::Release);
    };
    std::thread::Builder::new().name("probes".to_owned()).stack_size(STACK_BYTES).spawn(work).ok().map(|_| sections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::recorded;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    fn machine(host: Host) -> Machine {
        Machine { host, names: Arc::new(Names::new(b"salt", BTreeMap::new())), resolve: None }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// A machine whose `proc/loadavg` answers only when somebody writes to it.
    fn hangs() -> (Host, PathBuf) {
        let folder = tempfile::tempdir().unwrap().keep();
        std::fs::create_dir_all(folder.join("proc/pressure")).unwrap();
        std::fs::write(folder.join("proc/meminfo"), "MemTotal: 8 kB\n").unwrap();
        std::fs::write(folder.join("proc/vmstat"), "pgfault 1\n").unwrap();
        let fifo = folder.join("proc/loadavg");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        (Host::recorded(folder), fifo)
    }

    #[test]
    fn a_source_that_hangs_costs_its_own_section_and_is_not_asked_again_before_it_came_back() {
        let (host, fifo) = hangs();
        let machine = machine(host);
        let wanted = BTreeSet::from(["load", "memory", "paging"]);
        let mut worker = Worker::default();
        let (readings, faults) = run(worker.sample(&machine, &wanted));
        assert_eq!(readings.sections(), ["memory", "paging"]);
        assert!(faults.contains(&late("load")), "{faults:?}");
        assert_eq!(worker.slowest, Some(("load", SECTION_MAX)));
        let begun = Instant::now();
        let (again, faults) = run(worker.sample(&machine, &wanted));
        assert_eq!(again.sections(), ["memory", "paging"]);
        assert!(faults.contains(&late("load")) && begun.elapsed() < SECTION_MAX, "{faults:?}");
        assert!(worker.slowest.is_some_and(|(name, took)| name != "load" && took < SECTION_MAX), "it was not waited for again: {:?}", worker.slowest);
        // It comes back: whoever opened it reads what is written now.
        std::fs::write(&fifo, "0.10 0.20 0.30 1/2 3\n").unwrap();
        std::fs::remove_file(&fifo).unwrap();
        std::fs::write(&fifo, "0.40 0.50 0.60 1/2 3\n").unwrap();
        let back = |worker: &Worker| worker.hanging.values().all(|back| back.load(Ordering::Acquire));
        while !back(&worker) {
            std::thread::yield_now();
        }
        let (readings, _) = run(worker.sample(&machine, &wanted));
        assert_eq!(readings.load.unwrap().load1_milli, Some(400));
    }

    #[test]
    fn it_takes_what_is_wanted_and_nothing_else() {
        let machine = machine(recorded(&[("proc/loadavg", "0.10 0.20 0.30 1/2 3\n"), ("proc/meminfo", "MemTotal: 8 kB\n")]));
        let mut worker = Worker::default();
        let (readings, faults) = run(worker.sample(&machine, &BTreeSet::from(["load"])));
        assert_eq!((readings.sections(), faults), (vec!["load"], vec![]));
        assert!(worker.slowest.is_some_and(|(name, took)| name == "load" && took > Duration::ZERO && took <= worker.took), "{:?}", worker.slowest);
        assert_eq!((run(worker.sample(&machine, &BTreeSet::new())), worker.slowest), ((Readings::default(), vec![]), None));
    }
}
