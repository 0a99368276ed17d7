//! The one thread that writes. It drains what is queued and commits it together: one flush to disk for many agents.

use mimamori_shared::id::AgentId;
use rusqlite::{Connection, Error, TransactionBehavior};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Jobs in one transaction.
const GROUP_JOBS_MAX: usize = 256;
/// Bytes after which no further job joins a transaction.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

type Shared = Arc<Error>;
type Run = dyn FnOnce(Result<&Connection, Shared>) -> Done + Send;
type Tell = dyn FnOnce(Result<(), Shared>) + Send;

/// Work to be done inside a transaction that is shared with other jobs.
pub(super) struct Job {
    /// Neighbours in the tables are written together.
    pub(super) agent: Option<AgentId>,
    /// What it weighs.
    pub(super) bytes: usize,
    /// The work; it is told when there is no transaction.
    pub(super) run: Box<Run>,
}

/// What a job leaves behind.
pub(super) struct Done {
    /// Whether its changes stay.
    pub(super) keep: bool,
    /// Tells the caller, once it is known whether the transaction was committed.
    pub(super) tell: Box<Tell>,
}

/// Runs until every sender is gone.
pub(super) fn run(mut connection: Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let group = drain(first, &mut queue);
        commit(&mut connection, group);
    }
}

fn drain(first: Job, queue: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = first.bytes;
    let mut group = vec![first];
    while group.len() < GROUP_JOBS_MAX && bytes < GROUP_BYTES_MAX {
        let Ok(job) = queue.try_recv() else { break };
        bytes = bytes.saturating_add(job.bytes);
        group.push(job);
    }
    group.sort_by_key(|job| job.agent);
    group
}

fn commit(connection: &mut Connection, group: Vec<Job>) {
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => return refuse(group, &Arc::new(error)),
    };
    let mut done = Vec::with_capacity(group.len());
    let mut left = group.into_iter();
    let mut failed = None;
    for job in left.by_ref() {
        match apart(&transaction, job) {
            Ok(one) => done.extend(one),
            Err(error) => {
                failed = Some(Arc::new(error));
                break;
            }
        }
    }
    let committed = match failed {
        None => transaction.commit().map_err(Arc::new),
        // Dropped, the transaction is rolled back.
        Some(error) => {
            drop(transaction);
            refuse(left.collect(), &error);
            Err(error)
        }
    };
    for one in done {
        (one.tell)(committed.clone());
    }
}

/// Runs one job so that its failure undoes its own changes only. An error means that the transaction itself is broken.
fn apart(transaction: &Connection, job: Job) -> Result<Option<Done>, Error> {
    transaction.execute_batch("SAVEPOINT job")?;
    // A job that panics answers nobody; it must not take the writer with it.
    let done = catch_unwind(AssertUnwindSafe(|| (job.run)(Ok(transaction)))).ok();
    let end = if done.as_ref().is_some_and(|done| done.keep) { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    match transaction.execute_batch(end) {
        Ok(()) => Ok(done),
        Err(error) => {
            let shared = Arc::new(error);
            if let Some(done) = done {
                (done.tell)(Err(Arc::clone(&shared)));
            }
            Err(Arc::try_unwrap(shared).unwrap_or(Error::InvalidQuery))
        }
    }
}

fn refuse(group: Vec<Job>, error: &Shared) {
    for job in group {
        let done = (job.run)(Err(Arc::clone(error)));
        (done.tell)(Ok(()));
    }
}
