//! Why the agent does not run.

use crate::identity;
use crate::outbox::OutboxError;
use std::path::PathBuf;

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
}
