//! What can go wrong between the collector and its store.

use std::sync::Arc;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none, or it lies outside the caller's scope; the two are not told apart.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Another one has the name, id or key.
    #[error("the {0} is taken already")]
    Taken(&'static str),
    /// The machine is out of service for good.
    #[error("the machine is retired already: nothing is decided about it any more, its history stays and its name is free")]
    Retired,
    /// A value breaks a rule; which one.
    #[error("{0}")]
    Invalid(&'static str),
    /// The database was made by a newer version of this program.
    #[error("the database has migration {0}, which this version does not know: install the version that made it")]
    Newer(u32),
    /// A migration that was applied is not the one this program carries.
    #[error("migration {0} of the database is not the one this version carries")]
    OtherMigration(u32),
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    /// The database did not do one statement.
    #[error("the database refused")]
    Database(#[from] rusqlite::Error),
    /// The transaction that this work shared with others was not committed.
    #[error("the database did not commit")]
    Commit(#[source] Arc<rusqlite::Error>),
    /// The thread that writes could not be started.
    #[error("the writer could not be started")]
    Thread(#[source] std::io::Error),
}
