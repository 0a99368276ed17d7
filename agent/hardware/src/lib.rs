//! The hardware helper: runs the few tools that need rights, counts what is in the kernel's log and the journal, looks
//! at named services, and leaves one file for the agent, which takes it as hostile input.
//!
//! It has no network, takes no command and reads no file that the agent's account could write. What it starts is one
//! fixed table ([`table`]); what a tool may do and for how long stands there too. See `docs/HARDWARE.md`.

pub mod outside;
pub mod table;

mod clock;
mod config;
mod count;
mod leave;
mod look;
mod proc;
mod runner;
mod state;
mod take;
mod targets;
mod trust;

#[cfg(test)]
mod tests;

pub use count::ClassOf;

use mimamori_parse::hardware::REPORT_BYTES_MAX;
use mimamori_shared::error::plain;
use std::path::PathBuf;
use std::time::Duration;
use table::Row;

/// The file the agent reads.
pub const REPORT_FILE: &str = "report.json";
/// Its mode: root writes, the agent's group reads.
const REPORT_MODE: u32 = 0o640;
/// The state is nobody's but root's.
const STATE_MODE: u32 = 0o600;

/// Where everything is. `main` has one plan only, [`Plan::machine`]; tests have machines of their own.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is run.
    pub rows: Vec<Row>,
    /// Where tools are looked for, in this order.
    pub folders: Vec<PathBuf>,
    /// Above `/proc`, `/sys` and `/dev`.
    pub root: PathBuf,
    /// The folder of the report.
    pub out: PathBuf,
    /// The folder of what is remembered.
    pub state: PathBuf,
    /// What the facility wants looked at.
    pub config: PathBuf,
    /// Beside root, whose files count: root again, but in tests.
    pub owner: u32,
    /// For all runs together; what is left then is not run.
    pub budget: Duration,
    /// How a line of the kernel is classed.
    pub class_of: ClassOf,
}

impl Plan {
    /// This machine.
    #[must_use]
    pub fn machine() -> Plan {
        Plan {
            rows: table::table(),
            folders: table::FOLDERS.iter().map(PathBuf::from).collect(),
            root: PathBuf::from("/"),
            out: PathBuf::from("/run/mimamori-agent-hardware"),
            state: PathBuf::from("/var/lib/mimamori-agent-hardware"),
            config: PathBuf::from("/etc/mimamori/hardware.toml"),
            owner: 0,
            // Below the unit's TimeoutStartSec=10min.
            budget: Duration::from_secs(8 * 60),
            class_of: mimamori_parse::dmesg::class_of,
        }
    }
}

/// Runs everything and leaves the report. The status of the program: 0, 1 when it could not be left, 78 when the
/// facility's file cannot be used, which the report says too.
#[must_use]
pub fn carry_out(plan: &Plan) -> u8 {
    match carried_out(plan) {
        Ok(None) => 0,
        Ok(Some(config)) => {
            complain(&format!("{config}; nothing in it counts until it is mended"));
            78
        }
        Err(fault) => {
            complain(&fault);
            1
        }
    }
}

fn carried_out(plan: &Plan) -> Result<Option<String>, String> {
    let mut taken = take::take(plan)?;
    // First the state: what is counted twice would be worse than what is told late.
    let state = serde_json::to_vec(&taken.state).map_err(|fault| fault.to_string())?;
    if let Err(fault) = leave::leave(&plan.state, state::STATE_FILE, &state, STATE_MODE) {
        let what = format!("{}: {fault}", plan.state.join(state::STATE_FILE).display());
        complain(&format!("{what}; the next run counts anew from the same place"));
        taken.fault("state_not_kept", None, &what);
    }
    let report = serde_json::to_vec(&taken.report).map_err(|fault| fault.to_string())?;
    let place = plan.out.join(REPORT_FILE);
    if report.len() > REPORT_BYTES_MAX {
        return Err(format!("{}: {} bytes are more than the agent reads", place.display(), report.len()));
    }
    leave::leave(&plan.out, REPORT_FILE, &report, REPORT_MODE).map_err(|fault| {
        format!(
            "{}: {fault}. The report before it, if any, stays. mimamori-agent-hardware.service makes that folder; look at its space and its mount",
            place.display()
        )
    })?;
    Ok(taken.config_fault)
}

/// Runs everything and prints the report; nothing is left or remembered.
#[allow(clippy::print_stdout, reason = "what was asked for goes to standard output")]
#[must_use]
pub fn print(plan: &Plan) -> u8 {
    let text = take::take(plan).and_then(|taken| serde_json::to_string_pretty(&taken.report).map_err(|fault| fault.to_string()));
    match text {
        Ok(text) => {
            println!("{text}");
            0
        }
        Err(fault) => {
            complain(&fault);
            1
        }
    }
}

/// A line for the journal, with the priority that systemd understands.
fn complain(text: &str) {
    eprintln!("<4>{}", plain(text));
}
