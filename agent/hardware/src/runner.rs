//! Runs one tool: without environment, in `/`, nothing to read, a process group of its own, and an end that comes in
//! any case. Whatever the tool started ends with it.

use crate::proc::{self, Stat};
use mimamori_parse::hardware::{ERR_BYTES_MAX, End};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, set_child_subreaper, wait, waitid,
};
use rustix::thread::{CapabilitySet, capability_is_in_ambient_set, configure_capability_in_ambient_set};
use rustix::time::Timespec;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a running tool is looked at, at least.
const LOOK: Duration = Duration::from_millis(20);
/// How long the kernel may take to end what was killed. What hangs in a driver cannot be killed: it is left behind.
const KILL: Duration = Duration::from_secs(2);

/// What is started, once.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) path: &'a Path,
    pub(crate) args: &'a [String],
    pub(crate) limit: Duration,
    /// Most bytes it may print.
    pub(crate) bytes: usize,
    pub(crate) needs: CapabilitySet,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) exit: Option<i32>,
    pub(crate) ms: u64,
    pub(crate) cpu_ms: u64,
    pub(crate) err: Vec<u8>,
    /// A process that could not be ended, and when it began in the kernel's ticks.
    pub(crate) left: Option<(i32, u64)>,
}

impl Ended {
    /// One that did not start.
    pub(crate) fn not(end: End, why: impl Into<String>) -> Ended {
        Ended { end, exit: None, ms: 0, cpu_ms: 0, err: why.into().into_bytes(), left: None }
    }
}

/// Starts tools, one at a time.
#[derive(Debug)]
pub(crate) struct Runner {
    /// Capabilities this program passes on to what it starts, of which each tool keeps what it needs.
    ambient: Vec<CapabilitySet>,
    /// No run goes on beyond it.
    deadline: Instant,
    /// Processes that could not be ended.
    left: Vec<i32>,
}

impl Runner {
    /// # Errors
    /// When the kernel does not let this process take over orphans (before Linux 3.4).
    pub(crate) fn new(budget: Duration) -> Result<Runner, Errno> {
        // What a tool leaves behind becomes a child of this process and is found.
        set_child_subreaper(Some(getpid()))?;
        let ambient = CapabilitySet::all().iter().filter(|one| capability_is_in_ambient_set(*one).unwrap_or(false)).collect();
        Ok(Runner { ambient, deadline: Instant::now() + budget, left: Vec::new() })
    }

    /// Starts it and waits for its end. `sink` gets what it prints, in pieces.
    pub(crate) fn run(&mut self, order: &Order<'_>, sink: &mut dyn FnMut(&[u8])) -> Ended {
        let begun = Instant::now();
        let until = self.deadline.min(begun + order.limit);
        if until <= begun {
            return Ended::not(End::TimedOut, "no time was left for it");
        }
        for one in &self.ambient {
            // Raising fails only for what this process does not hold; the tool then says itself what it lacks.
            configure_capability_in_ambient_set(*one, order.needs.contains(*one)).unwrap_or_default();
        }
        let before = proc::waited_ms();
        let mut child = match start(order) {
            Ok(child) => child,
            Err(fault) => {
                let end = match fault.kind() {
                    ErrorKind::NotFound => End::Missing,
                    ErrorKind::PermissionDenied => End::PermissionDenied,
                    _ => End::Failed,
                };
                return Ended::not(end, fault.to_string());
            }
        };
        let mut err = Vec::new();
        let end = follow(&mut child, order.bytes, until, sink, &mut err);
        let (status, left) = self.finish(&child);
        let end = if end == End::Done && status.is_none_or(|status| status.exit_status().is_none()) { End::Failed } else { end };
        if end == End::Failed {
            err = format!("killed by signal {}", status.and_then(WaitStatus::terminating_signal).unwrap_or_default()).into_bytes();
        }
        let exit = status.filter(|_| end == End::Done).and_then(WaitStatus::exit_status);
        Ended { end, exit, ms: ms(begun.elapsed()), cpu_ms: proc::waited_ms().saturating_sub(before), err, left }
    }

    /// Ends the group and everything that left it, and says how the tool itself ended.
    fn finish(&mut self, child: &Child) -> (Option<WaitStatus>, Option<(i32, u64)>) {
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return (None, None) };
        // Its id is still taken: nobody has waited for it, so no other group can have it.
        kill_process_group(pid, Signal::KILL).unwrap_or_default();
        let until = Instant::now() + KILL;
        let mut status = None;
        loop {
            while let Ok(Some((ended, how))) = wait(WaitOptions::NOHANG) {
                if ended == pid {
                    status = Some(how);
                }
            }
            let remain: Vec<Stat> = proc::children().into_iter().filter(|child| !self.left.contains(&child.pid)).collect();
            if remain.is_empty() {
                return (status, None);
            }
            for one in remain.iter().filter_map(|child| Pid::from_raw(child.pid)) {
                kill_process(one, Signal::KILL).unwrap_or_default();
            }
            if Instant::now() >= until {
                self.left.extend(remain.iter().map(|child| child.pid));
                return (status, remain.first().map(|child| (child.pid, child.started)));
            }
            poll(&mut [], Some(&timespec(Duration::from_millis(5)))).unwrap_or_default();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that starts programs, those of the table")]
fn start(order: &Order<'_>) -> std::io::Result<Child> {
    let mut command = Command::new(order.path);
    command.args(order.args).env_clear().current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Reads what the tool says until it ends, says too much or has no time left.
fn follow(child: &mut Child, bytes: usize, until: Instant, sink: &mut dyn FnMut(&[u8]), err: &mut Vec<u8>) -> End {
    let (mut out, mut complaints) = (child.stdout.take(), child.stderr.take());
    for pipe in [out.as_ref().map(AsFd::as_fd), complaints.as_ref().map(AsFd::as_fd)].into_iter().flatten() {
        if ioctl_fionbio(pipe, true).is_err() {
            return End::Failed;
        }
    }
    let mut room = bytes;
    loop {
        // Looked at before reading: what it printed before it ended is then read to the last byte.
        let ended = has_ended(child);
        let mut fits = true;
        if let Some(pipe) = &mut out {
            let goes_on = drain(pipe, until, &mut |piece| {
                fits &= piece.len() <= room;
                room = room.saturating_sub(piece.len());
                if fits {
                    sink(piece);
                }
                fits
            });
            if !goes_on {
                out = None;
            }
        }
        if let Some(pipe) = &mut complaints {
            // Beyond the bound they are read and forgotten: a tool that complains a lot is no reason to lose its figures.
            let goes_on = drain(pipe, until, &mut |piece| {
                err.extend(piece.iter().take(ERR_BYTES_MAX.saturating_sub(err.len())));
                true
            });
            if !goes_on {
                complaints = None;
            }
        }
        if !fits {
            return End::TooLarge;
        }
        if ended {
            return End::Done;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return End::TimedOut;
        }
        let mut pipes: Vec<PollFd<'_>> = Vec::new();
        pipes.extend(out.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        pipes.extend(complaints.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        // The end of a tool wakes nobody while something else holds its pipes.
        poll(&mut pipes, Some(&timespec(LOOK.min(left)))).unwrap_or_default();
    }
}

/// Whether it has ended; nobody has waited for it yet, so its id stays taken.
fn has_ended(child: &Child) -> bool {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return true };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

/// Reads what is there; `false` when there will be no more. A reader that is never faster than the writer stops in time.
fn drain(pipe: &mut impl Read, until: Instant, take: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let mut buffer = [0; 16 * 1024];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                if !take(buffer.get(..length).unwrap_or_default()) || Instant::now() >= until {
                    return true;
                }
            }
            Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
            Err(fault) => return fault.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn timespec(span: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(span.subsec_nanos()) }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
