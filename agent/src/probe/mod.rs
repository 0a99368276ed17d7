//! What is measured: one row per section of the table of fields, and the one function that takes a sample.
//!
//! A probe is a bounded read and a pure `parse`. A source that is broken costs its own values and becomes a fault;
//! it never costs the report. Nothing here writes, speaks to another machine (but the resolver, through the system), or
//! looks at processes other than the agent.

pub mod agent;
mod array;
mod boot;
mod chrony;
pub mod clock;
mod cpu;
mod disk;
mod ecc;
mod filesystem;
pub(crate) mod hardware;
mod kernel;
mod load;
mod machine_check;
mod memory;
pub mod names;
mod network;
pub(crate) mod outside;
mod paging;
mod power;
pub(crate) mod pressure;
mod sensor;
pub mod state;
mod swap;
mod system;
mod table;
mod take;
mod tcp;
pub mod text;
pub(crate) mod tree;
mod units;
mod ups;
mod worker;

pub use names::Names;
pub use state::state_fingerprints;
pub use table::{PROBES, seldom_s};
use take::Take;
pub use worker::{Machine, Worker};

use crate::host::Host;
use mimamori_parse::hardware::Report;
use mimamori_shared::fields::{Readings, Scope};
use mimamori_shared::payload::{Fault, FaultCode};
use std::cell::OnceCell;

/// Which of the product's programs runs a probe: what needs privileges never runs in the one that talks outwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The agent itself, sandboxed and unprivileged.
    Agent,
    /// The hardware helper.
    HardwareHelper,
    /// Both: some of it the agent reads itself, the rest the helper hands over.
    AgentAndHelper,
    /// The runner of checks the facility defined.
    FacilityChecks,
}

impl Program {
    /// How `probe list` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Program::Agent => "agent",
            Program::HardwareHelper => "hardware helper",
            Program::AgentAndHelper => "agent + helper",
            Program::FacilityChecks => "facility checks",
        }
    }

    /// Whether some of it or all comes from the hardware helper's file.
    #[must_use]
    pub fn asks_helper(self) -> bool {
        matches!(self, Program::HardwareHelper | Program::AgentAndHelper)
    }
}

/// One row of [`PROBES`].
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// The section it fills.
    pub name: &'static str,
    /// The consent it needs.
    pub scope: Scope,
    /// Between two reports unless the configuration or the consent says otherwise, in seconds.
    pub interval_s: u64,
    /// What it reads, in English.
    pub about: &'static str,
    /// What it reads, in Japanese.
    pub about_ja: &'static str,
    /// What an administrator does when it cannot be read, in English.
    pub mend: &'static str,
    /// What an administrator does when it cannot be read, in Japanese.
    pub mend_ja: &'static str,
    /// Which program runs it.
    pub runs_in: Program,
    /// Reads it into the report.
    pub read: fn(&Sources<'_>, &mut Readings, &mut Vec<Fault>),
}

/// Where probes read from.
#[derive(Debug)]
pub struct Sources<'a> {
    /// The machine.
    pub host: &'a Host,
    /// Its names, as they may leave.
    pub names: &'a Names,
    /// A name that the machine's resolver is timed with; `None` where nothing is looked up.
    pub resolve: Option<&'a str>,
    /// The helper's report, read once for all sections it fills.
    helper: OnceCell<Result<Report, FaultCode>>,
}

impl<'a> Sources<'a> {
    /// A machine, without a look at its resolver.
    #[must_use]
    pub fn of(host: &'a Host, names: &'a Names) -> Sources<'a> {
        Sources { host, names, resolve: None, helper: OnceCell::new() }
    }

    /// What the hardware helper found.
    fn helper(&self) -> Result<&Report, FaultCode> {
        self.helper.get_or_init(|| hardware::report(self.host)).as_ref().map_err(|code| *code)
    }
}

/// Takes the sections that are wanted. What could not be taken stands among the faults, each fault once.
pub fn sample(sources: &Sources<'_>, wanted: &dyn Fn(&str) -> bool) -> (Readings, Vec<Fault>) {
    let mut readings = Readings::default();
    let mut faults = Vec::new();
    for probe in PROBES.iter().filter(|probe| wanted(probe.name)) {
        (probe.read)(sources, &mut readings, &mut faults);
    }
    faults.sort();
    faults.dedup();
    (readings, faults)
}

#[cfg(test)]
mod hosts_tests;
#[cfg(test)]
pub(crate) mod tests;
