//! The beginning: alone on the state folder, and only once it can be used.

use super::Shell;
use crate::config::Config;
use crate::identity::{self, AS_IT_IS};
use crate::notify_systemd::{self as systemd, tell};
use crate::outbox::OutboxError;
use crate::say::{complain, say};
use crate::setup::Environment;
use crate::uplink::{Answer, PushError, Sent};
use mimamori_shared::error::chain;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// How soon a state folder that could not be used is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// As root it could write its own consent.
    #[error("the agent does not run as root: as root it could write its own consent; start it under its own account (systemd does: User=mimamori-agent)")]
    Root,
    /// The identity.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    /// Something configured.
    #[error("{0}")]
    Config(String),
    /// The outbox.
    #[error("the outbox in {0} cannot be used")]
    Outbox(PathBuf, #[source] OutboxError),
    /// Another agent.
    #[error("another agent runs on {0}: two at once would fork the chain")]
    Locked(PathBuf),
    /// The operating system.
    #[error("the operating system refused")]
    System(#[from] std::io::Error),
}

impl RunError {
    /// Whether starting again cannot help.
    #[must_use]
    pub fn is_config(&self) -> bool {
        match self {
            RunError::Root | RunError::Identity(_) | RunError::Config(_) => true,
            RunError::Outbox(..) | RunError::Locked(_) | RunError::System(_) => false,
        }
    }

    /// Whether it passes by itself, or by making room: a full or failing disk, a folder that is read-only for a while.
    fn is_passing(&self) -> bool {
        let passes = |fault: &std::io::Error| {
            use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, ResourceBusy, StorageFull};
            let eio = rustix::io::Errno::IO.raw_os_error();
            matches!(fault.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem | ResourceBusy) || fault.raw_os_error() == Some(eio)
        };
        match self {
            RunError::System(fault) | RunError::Outbox(_, OutboxError::Io(fault)) => passes(fault),
            RunError::Identity(identity::IdentityError::Io { source, .. }) => passes(source),
            RunError::Outbox(_, fault) => !fault.is_damage(),
            RunError::Root | RunError::Identity(_) | RunError::Config(_) | RunError::Locked(_) => false,
        }
    }
}

/// Starts, as soon as the state folder lets it: until then nothing is collected, and the service lives and says why.
/// `None` when it was told to stop meanwhile.
pub(super) async fn begin(
    config: &Config,
    environment: &Environment,
    answers: &mpsc::Sender<(Sent, Result<Answer, PushError>)>,
) -> Result<Option<(std::fs::File, Shell)>, RunError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut said: Option<String> = None;
    loop {
        let started = lock(&config.state_dir()).and_then(|lock| Ok((lock, Shell::start(config, environment, answers.clone())?)));
        let fault = match started {
            Ok(both) => {
                said.iter().for_each(|_| say("the state folder can be used again"));
                return Ok(Some(both));
            }
            Err(fault) if fault.is_passing() => chain(&fault),
            Err(fault) => return Err(fault),
        };
        if said.as_ref() != Some(&fault) {
            complain(&format!("nothing is collected until the state folder can be used: {fault}"));
            tell(systemd::ready());
            tell(systemd::status(&format!("Waiting for the state folder: {fault}")));
            said = Some(fault);
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = term.recv() => return Ok(None),
            _ = interrupt.recv() => return Ok(None),
        }
        tell(systemd::watchdog());
    }
}

pub(crate) fn lock(dir: &Path) -> Result<std::fs::File, RunError> {
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).custom_flags(AS_IT_IS).open(dir.join("lock"))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(RunError::Locked(dir.to_owned())),
        Err(fault) => Err(RunError::System(fault.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_waits_where_the_lock_is_leads_nowhere() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, victim) = (dir.path().join("lock"), elsewhere.path().join("victim"));
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(matches!(lock(dir.path()), Err(RunError::System(_))) && !victim.try_exists().unwrap());
        std::fs::remove_file(&path).unwrap();
        let held = lock(dir.path()).unwrap();
        assert!(matches!(lock(dir.path()), Err(RunError::Locked(_))));
        drop(held);
        lock(dir.path()).unwrap();
    }
}
