//! `backup run`: wraps a job without being in its way, and leaves a record of it ([`mimamori_parse::backup_runs`]).
//!
//! The job's own outcome comes first: its output and its exit status pass through, and nothing that goes wrong here keeps
//! it from running. The record is written by whoever runs the job, below a folder of that account's.

mod job;
mod record;
mod size;

pub use job::Ended;
pub use record::Records;
pub use size::measured;

use crate::clock;
use crate::host::Host;
use mimamori_parse::backup_runs::{End, Run, Running, Size};
use mimamori_shared::id::{BootId, to_hex};
use mimamori_shared::word::Word;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Where records stand unless the command says otherwise.
pub const RECORDS_FOLDER: &str = "/var/lib/mimamori-backup";
/// Longest look at a target, before and after.
const LOOK: Duration = Duration::from_secs(10);
/// Longest wait for look and record together: a target or a folder of records may be on a mount that hangs.
const WAIT: Duration = Duration::from_secs(20);

/// One job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Of which set.
    pub set: String,
    /// What it writes to, where that can be looked at.
    pub target: Option<PathBuf>,
    /// Program and arguments.
    pub command: Vec<OsString>,
}

/// Runs a job and leaves its record below `folder`. `complain` is told what went wrong with the record.
pub fn run(job: &Job, folder: &Path, complain: &dyn Fn(&str)) -> Ended {
    let (set, target, folder) = (job.set.clone(), job.target.clone(), folder.to_owned());
    let begun = within(WAIT, move || begin(&set, target.as_deref(), &folder)).map_err(|why| complain(&why)).ok();
    let ended = job::run(&job.command, complain);
    if let Some(begun) = begun {
        let (target, ended_at_ms) = (job.target.clone(), clock::now().wall_ms);
        let written = within(WAIT, move || {
            let after = target.as_deref().and_then(|target| measured(target, LOOK));
            begun.records.end(&begun.running, begun.run(ended, ended_at_ms, after))
        });
        written.unwrap_or_else(|why| complain(&why));
    }
    ended
}

/// Does what may hang, and waits no longer than this for it.
fn within<T: Send + 'static>(limit: Duration, act: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let (tell, told) = mpsc::channel();
    // Nobody listens any more where it was too late.
    let begun = thread::Builder::new().spawn(move || tell.send(act()).unwrap_or_default());
    begun.map_err(|fault| format!("the system has no thread to give: {fault}; the run is not recorded"))?;
    told.recv_timeout(limit).unwrap_or_else(|_| Err(format!("no answer from the disk within {} s; the run is not recorded", limit.as_secs())))
}

/// A job whose beginning is written down.
struct Begun {
    records: Records,
    running: Running,
}

impl Begun {
    fn run(&self, ended: Ended, ended_at_ms: i64, after: Option<Size>) -> Run {
        let Running { id, boot_id, started_at_ms, before, .. } = self.running.clone();
        let (outcome, exit, signal) = match ended {
            Ended::Status(status) => (End::Exited, Some(status), None),
            Ended::Signal(signal) => (End::Signalled, None, Some(signal)),
            Ended::NotStarted(_) => (End::NotStarted, None, None),
        };
        Run { id, boot_id, started_at_ms, ended_at_ms: Some(ended_at_ms), outcome, exit, signal, before, after }
    }
}

fn begin(set: &str, target: Option<&Path>, folder: &Path) -> Result<Begun, String> {
    let set = Word::alias(set).map_err(|_| format!("--set {set:?}: an alias is 1 to 32 of a-z 0-9 _ -; the job runs without a record"))?;
    let host = Host::live();
    let records = Records::of(folder, set, &host)?;
    let running = Running {
        id: to_hex(&clock::random::<8>().map_err(|fault| format!("no random number can be had: {fault}"))?).parse().unwrap_or_default(),
        boot_id: boot_id(&host)?,
        started_at_ms: clock::now().wall_ms,
        pid: std::process::id(),
        pid_ticks: record::ticks(&host, std::process::id()).ok_or("/proc/self/stat cannot be read")?,
        before: target.and_then(|target| measured(target, LOOK)),
    };
    records.begin(&running)?;
    Ok(Begun { records, running })
}

fn boot_id(host: &Host) -> Result<BootId, String> {
    let text = host.read("proc/sys/kernel/random/boot_id", 256).ok();
    text.and_then(|text| BootId::from_uuid(&text)).ok_or_else(|| "/proc/sys/kernel/random/boot_id cannot be read".to_owned())
}

#[cfg(test)]
mod tests;
