//! The hardware helper: runs the few tools that need rights, counts what is in the kernel's log and the journal, looks
//! at named services, and leaves one file for the agent, which takes it as hostile input.
//!
//! It has no network, takes no command and reads no file that the agent's account could write. It runs nothing without the
//! facility's consent ([`consent`]). What it starts is one fixed table ([`table`]); what a tool may do and for how long
//! stands there too. See `docs/HARDWARE.md`.

pub mod outside;
pub mod table;

mod clock;
mod config;
mod consent;
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

use consent::No;
use mimamori_parse::hardware::REPORT_BYTES_MAX;
use mimamori_shared::error::plain;
use state::State;
use std::path::PathBuf;
use std::time::Duration;
use table::Row;
use take::Taken;

/// The file the agent reads.
pub const REPORT_FILE: &str = "report.json";
/// Its mode: root writes, the agent's group reads.
const REPORT_MODE: u32 = 0o640;
/// The state is nobody's but root's.
const STATE_MODE: u32 = 0o600;
/// The status of the program where a file of the facility's has to be mended.
const UNUSABLE: u8 = 78;

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
    /// The facility's consent. Without one nothing is run.
    pub consent: PathBuf,
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
            consent: PathBuf::from("/etc/mimamori/consent.toml"),
            config: PathBuf::from("/etc/mimamori/hardware.toml"),
            owner: 0,
            // Below the unit's TimeoutStartSec=10min.
            budget: Duration::from_secs(8 * 60),
            class_of: mimamori_parse::dmesg::class_of,
        }
    }
}

/// Runs what the consent allows and leaves the report; without a consent it takes away what it left. The status of the
/// program: 0, also when nothing may be run; 1 when the report could not be left or taken away; 78 when the consent, or
/// the facility's own file, cannot be used, which the report says of the latter too.
#[must_use]
pub fn carry_out(plan: &Plan) -> u8 {
    match taken(plan) {
        Ok(taken) => ended(left(plan, taken)),
        Err(Stop::Consent(no)) if no.stays => nothing(&no),
        Err(Stop::Consent(no)) => match taken_away(plan) {
            Ok(()) => nothing(&no),
            Err(fault) => ended(Err(fault)),
        },
        Err(Stop::Fault(fault)) => ended(Err(fault)),
    }
}

/// Why there is nothing to leave.
enum Stop {
    Consent(No),
    Fault(String),
}

/// What the tools say, under a consent that still holds behind them.
fn taken(plan: &Plan) -> Result<Taken, Stop> {
    consent::terms(plan).map_err(Stop::Consent)?;
    let mut taken = take::take(plan).map_err(Stop::Fault)?;
    // Narrowed meanwhile: what was taken before goes too. A window that began meanwhile leaves what the last run left.
    let terms = consent::terms(plan).map_err(Stop::Consent)?;
    taken.narrow(&terms, &plan.rows);
    Ok(taken)
}

/// Nothing is run, and the journal says why.
fn nothing(no: &No) -> u8 {
    tell(if no.broken { 4 } else { 6 }, &format!("nothing is run: {}", no.why));
    if no.broken { UNUSABLE } else { 0 }
}

fn ended(done: Result<Option<String>, String>) -> u8 {
    match done {
        Ok(None) => 0,
        Ok(Some(config)) => {
            tell(4, &format!("{config}; nothing in it counts until it is mended"));
            UNUSABLE
        }
        Err(fault) => {
            tell(4, &fault);
            1
        }
    }
}

/// Leaves state and report; gives why the facility's file does not count.
fn left(plan: &Plan, mut taken: Taken) -> Result<Option<String>, String> {
    // First the state: what is counted twice would be worse than what is told late.
    let state = serde_json::to_vec(&taken.state).map_err(|fault| fault.to_string())?;
    if let Err(fault) = leave::leave(&plan.state, state::STATE_FILE, &state, STATE_MODE) {
        let what = format!("{}: {fault}", plan.state.join(state::STATE_FILE).display());
        tell(4, &format!("{what}; the next run counts anew from the same place"));
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

/// Without a consent nothing stays of what was found; only which tools hang in a driver is still known, so that they are
/// not started again.
fn taken_away(plan: &Plan) -> Result<(), String> {
    let not = |place: PathBuf| move |fault: std::io::Error| format!("{}: {fault}; remove it by hand", place.display());
    leave::take_away(&plan.out, REPORT_FILE).map_err(not(plan.out.join(REPORT_FILE)))?;
    let hanging = take::boot_id(plan).ok().map(|boot_id| State::load(&plan.state, boot_id).0).filter(|state| !state.left.is_empty());
    let kept = match hanging {
        Some(State { boot_id, left, .. }) => {
            let state = serde_json::to_vec(&State { boot_id, left, ..State::default() }).map_err(|fault| fault.to_string())?;
            leave::leave(&plan.state, state::STATE_FILE, &state, STATE_MODE)
        }
        None => leave::take_away(&plan.state, state::STATE_FILE),
    };
    kept.map_err(not(plan.state.join(state::STATE_FILE)))
}

/// Runs what the consent allows and prints the report; nothing is left, taken away or remembered.
#[allow(clippy::print_stdout, reason = "what was asked for goes to standard output")]
#[must_use]
pub fn print(plan: &Plan) -> u8 {
    let text = taken(plan).and_then(|taken| serde_json::to_string_pretty(&taken.report).map_err(|fault| Stop::Fault(fault.to_string())));
    match text {
        Ok(text) => {
            println!("{text}");
            0
        }
        Err(Stop::Consent(no)) => nothing(&no),
        Err(Stop::Fault(fault)) => ended(Err(fault)),
    }
}

/// A line for the journal, with the priority that systemd understands.
fn tell(priority: u8, text: &str) {
    eprintln!("<{priority}>{}", plain(text));
}
