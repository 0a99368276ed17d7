//! The store on SQLite: one thread writes, two connections read.
//!
//! Other processes, such as the command line, may have the same file open. SQL lives in the files of the nouns;
//! nothing here is built from text that came from outside.

pub(super) mod abuse;
pub(super) mod audit;
mod cell;
pub(super) mod chain;
pub(super) mod enrol;
pub(super) mod evidence;
pub(super) mod expiry;
pub(super) mod facility;
pub(super) mod finding;
pub(super) mod fsck;
pub(super) mod handover;
pub(super) mod ingest;
pub(super) mod latest;
pub(super) mod lease;
pub(super) mod machine;
mod migrate;
pub(super) mod presence;
pub(super) mod revocation;
pub(super) mod session;
pub(super) mod standing;
pub(super) mod stated;
pub(super) mod token;
mod writer;

use super::error::StoreError;
use mimamori_shared::id::AgentId;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use writer::{Done, Job};

/// Jobs that wait for the writer before callers are made to wait.
const QUEUE_MAX: usize = 1024;
/// Connections that read.
const READERS: usize = 2;
/// How long another process may hold the file.
const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENTS: usize = 128;

/// An open database file. Clones share it; it is closed when the drop of the last one returns.
#[derive(Debug, Clone)]
pub struct Engine {
    // In this order: the connection that may write closes last, and its thread ends when every sender is gone.
    readers: Arc<Readers>,
    queue: mpsc::Sender<Job>,
    _writer: Arc<Writer>,
}

/// The thread that writes, waited for when it is dropped: closing the file takes its log away by name, which must not
/// happen to a file that was put in its place meanwhile.
#[derive(Debug)]
struct Writer(Option<JoinHandle<()>>);

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take().filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // It catches the panics of its jobs; there is nobody to tell one of its own to.
            drop(thread.join());
        }
    }
}

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Engine {
    /// Opens or makes the file, brings it to this version, and makes the tables of this month and the next.
    ///
    /// # Errors
    /// When the file cannot be opened, or is of a newer version.
    pub fn open(path: &Path, now_ms: i64) -> Result<Engine, StoreError> {
        let mut connection = Connection::open(path)?;
        prepare(&connection)?;
        let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            return Err(StoreError::Invalid("the database must be a file on a local disk: it cannot be put into WAL mode"));
        }
        connection.pragma_update(None, "synchronous", "full")?;
        migrate::apply(&mut connection, migrate::MIGRATIONS, now_ms)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        evidence::make_ahead(&transaction, now_ms)?;
        transaction.commit()?;
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let writer = thread.spawn(move || writer::run(connection, jobs)).map_err(StoreError::Thread)?;
        let readers = Readers { path: path.to_owned(), idle: Mutex::default(), permits: Arc::new(Semaphore::new(READERS)) };
        Ok(Engine { readers: Arc::new(readers), queue, _writer: Arc::new(Writer(Some(writer))) })
    }

    /// Does work in a transaction that it may share with others; it is committed when this returns.
    pub(super) async fn write<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
        self.write_for(None, 0, work).await
    }

    /// [`Engine::write`] for an agent, weighing `bytes`.
    pub(super) async fn write_for<T: Send + 'static>(
        &self,
        agent: Option<AgentId>,
        bytes: usize,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let run = Box::new(move |transaction: Result<&Connection, _>| {
            let result = transaction.map_err(StoreError::Commit).and_then(work);
            Done {
                keep: result.is_ok(),
                // Nobody listens any more when the caller gave up; the work is done all the same.
                tell: Box::new(move |committed| drop(answer.send(result.and_then(|value| committed.map_err(StoreError::Commit).map(|()| value))))),
            }
        });
        self.queue.send(Job { agent, bytes, run }).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Reads from one consistent state.
    pub(super) async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let permit = Arc::clone(&readers.permits).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let task = tokio::task::spawn_blocking(move || {
            let mut connection = readers.take()?;
            let transaction = connection.transaction()?;
            let result = work(&transaction);
            transaction.finish()?;
            readers.give(connection);
            drop(permit);
            result
        });
        task.await.map_err(|_| StoreError::Closed)?
    }
}

impl Readers {
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        prepare(&connection)?;
        Ok(connection)
    }

    fn give(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

fn prepare(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

#[cfg(test)]
impl Engine {
    /// What `fsck` says after one statement that is undone again.
    pub(super) async fn harmed(&self, sql: &'static str) -> Vec<String> {
        let look = move |db: &Connection| {
            db.execute_batch("PRAGMA defer_foreign_keys = ON; SAVEPOINT harm")?;
            let changed = db.execute(sql, [])?;
            assert!(changed > 0, "{sql} changes nothing");
            let mut faults = Vec::new();
            for agent in fsck::agents(db, &super::Scope::All)? {
                faults.extend(fsck::agent(db, agent)?);
            }
            db.execute_batch("ROLLBACK TO harm; RELEASE harm")?;
            Ok(faults)
        };
        self.write(look).await.unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(db: &Connection, name: &str) -> Result<usize, StoreError> {
        Ok(db.execute("INSERT INTO facility VALUES (?1, 'x', 0, 0)", [name])?)
    }

    /// One job in a group panics, one fails, one breaks the rules: the others are committed.
    #[test]
    fn one_job_does_not_take_the_others_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(&folder.path().join("store.sqlite"), 0).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let good = async { assert_eq!(engine.write(|db| insert(db, "a")).await.unwrap(), 1) };
            let panics = async {
                let work = |db: &Connection| -> Result<(), StoreError> {
                    insert(db, "p")?;
                    panic!("on purpose")
                };
                assert!(matches!(engine.write(work).await, Err(StoreError::Closed)));
            };
            let fails = async {
                let work = |db: &Connection| {
                    insert(db, "b")?;
                    insert(db, "b")
                };
                assert!(matches!(engine.write(work).await, Err(StoreError::Database(_))));
            };
            let last = async { assert_eq!(engine.write(|db| insert(db, "c")).await.unwrap(), 1) };
            tokio::join!(good, panics, fails, last);
            let names = engine.read(|db| Ok(db.query_row("SELECT group_concat(alias) FROM facility", [], |row| row.get::<_, String>(0))?));
            assert_eq!(names.await.unwrap(), "a,c");
        });
    }

    /// SQLite takes the log away when the last connection closes: after the drop of the last clone it is gone, each time.
    #[test]
    fn the_file_is_closed_when_the_last_clone_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let is_open = || folder.path().join("store.sqlite-wal").try_exists().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        for n in 0..20 {
            let engine = Engine::open(&path, 0).unwrap();
            let clone = engine.clone();
            let name = format!("f-{n}");
            let written = runtime.block_on(engine.write(move |db| insert(db, &name)));
            assert_eq!(written.unwrap(), 1);
            let read = runtime.block_on(engine.read(|db| Ok(db.query_row("SELECT count(*) FROM facility", [], |row| row.get::<_, i64>(0))?)));
            assert_eq!(read.unwrap(), n + 1);
            drop(engine);
            assert!(is_open(), "a clone still has it open");
            drop(clone);
            assert!(!is_open(), "round {n}");
        }
    }

    /// A group whose commit fails tells each of its callers.
    #[test]
    fn a_commit_that_fails_is_told_to_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(&folder.path().join("store.sqlite"), 0).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // Deferred to the commit, a broken reference fails there.
            let work = |db: &Connection| {
                db.execute_batch(
                    "PRAGMA defer_foreign_keys = ON; INSERT INTO token VALUES (x'00', x'00', 'none', NULL, 0, 'x', '', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
                )?;
                Ok(())
            };
            assert!(matches!(engine.write(work).await, Err(StoreError::Commit(_))));
            assert!(engine.write(|_| Ok(())).await.is_ok());
        });
    }
}
