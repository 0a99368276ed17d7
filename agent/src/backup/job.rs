//! The job itself: started with this program's own streams, asked to stop when this program is, and waited for.
//!
//! The one place in which the agent's program starts another: what whoever calls it has written behind `--`, with the rights
//! and in the place of that caller. The running agent never comes here.
#![allow(clippy::disallowed_methods, reason = "the job that was asked for on the command line")]

use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// It could not be started; the status that a shell gives then: 127 when there is no such program, otherwise 126.
    NotStarted(u8),
}

impl Ended {
    /// The status this program ends with. After a signal it ends by that signal, as the job did; where it cannot, with 128 and
    /// the signal's number, as a shell.
    #[must_use]
    pub fn pass_on(self) -> u8 {
        match self {
            Ended::Status(status) => u8::try_from(status).unwrap_or(u8::MAX),
            Ended::Signal(signal) => {
                // What this program hears of signals ends where another begins in its place.
                drop(Command::new("/bin/sh").args(["-c", &format!("kill -{signal} $$")]).exec());
                u8::try_from(128_i32.saturating_add(signal)).unwrap_or(u8::MAX)
            }
            Ended::NotStarted(status) => status,
        }
    }
}

/// Signals that are handed on, and whether a terminal sends them to the job by itself.
const HANDED_ON: [(SignalKind, Signal, bool); 6] = [
    (SignalKind::terminate(), Signal::TERM, false),
    (SignalKind::hangup(), Signal::HUP, true),
    (SignalKind::interrupt(), Signal::INT, true),
    (SignalKind::quit(), Signal::QUIT, true),
    (SignalKind::user_defined1(), Signal::USR1, false),
    (SignalKind::user_defined2(), Signal::USR2, false),
];

/// Runs a command to its end.
pub(super) fn run(command: &[OsString], complain: &dyn Fn(&str)) -> Ended {
    let Some((program, args)) = command.split_first() else { return Ended::NotStarted(126) };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        // Without it no signal can be handed on; the job comes first all the same.
        return ended(Command::new(program).args(args).status(), program, complain);
    };
    runtime.block_on(async {
        // Before the job begins: what asks this program to stop from here on is for the job. Its end is heard as a signal too, not by a
        // thread that waits: a machine at its end has none to give.
        let (mut asked, ends) = (listen(), signal(SignalKind::child()));
        let mut child = match Command::new(program).args(args).spawn() {
            Ok(child) => child,
            Err(fault) => return ended(Err(fault), program, complain),
        };
        let Ok(mut ends) = ends else { return ended(child.wait(), program, complain) };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        loop {
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return ended(Ok(status), program, complain),
                Err(fault) => return ended(Err(fault), program, complain),
            }
            tokio::select! {
                Some(()) = ends.recv() => {}
                Some(signal) = asked.recv() => {
                    // It has not been waited for: its number is still its own.
                    if let Some(pid) = pid { kill_process(pid, signal).unwrap_or_default() }
                }
                else => return ended(child.wait(), program, complain),
            }
        }
    })
}

fn ended(status: io::Result<ExitStatus>, program: &OsString, complain: &dyn Fn(&str)) -> Ended {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Status(code),
            (None, Some(signal)) => Ended::Signal(signal),
            (None, None) => Ended::Status(i32::from(u8::MAX)),
        },
        Err(fault) => {
            complain(&format!("{}: {fault}", program.display()));
            Ended::NotStarted(if fault.kind() == ErrorKind::NotFound { 127 } else { 126 })
        }
    }
}

/// What this program is asked to do, to be handed on. What is ignored stays so, for the job inherits it (nohup).
fn listen() -> mpsc::Receiver<Signal> {
    let (tell, told) = mpsc::channel(16);
    let (ignored, at_terminal) = (ignored(), io::stdin().is_terminal() || io::stderr().is_terminal());
    for (kind, to_job, by_terminal) in HANDED_ON {
        if ignored & (1 << to_job.as_raw().saturating_sub(1)) != 0 {
            continue;
        }
        if let Ok(mut heard) = signal(kind) {
            let tell = tell.clone();
            tokio::spawn(async move {
                // At a terminal it is heard, so that this program outlives the job, and the job has got it already.
                while heard.recv().await.is_some() {
                    if !(by_terminal && at_terminal) && tell.send(to_job).await.is_err() {
                        return;
                    }
                }
            });
        }
    }
    told
}

/// The signals this program was started to ignore, one bit each (proc_pid_status(5), `SigIgn`).
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
