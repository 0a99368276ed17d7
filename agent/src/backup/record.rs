//! The file of a set's runs: read, changed and put back whole, with room set aside before the job begins.

use crate::host::Host;
use crate::probe::text::whole;
use mimamori_parse::backup_runs::{self, End, FILE_BYTES_MAX, RUNNING_MAX, Run, Running, Runs};
use mimamori_shared::id::BootId;
use mimamori_shared::word::Word;
use rustix::fs::{FallocateFlags, FlockOperation, OFlags, fallocate, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Root or the job's account writes, others may read. What stands in it is figures.
const MODE: u32 = 0o644;
/// Longest wait for another job of the same set that is writing.
const LOCK: Duration = Duration::from_secs(5);

/// The records of one set.
#[derive(Debug)]
pub struct Records {
    folder: PathBuf,
    set: Word,
    host: Host,
}

impl Records {
    /// Below this folder, which has to be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn of(folder: &Path, set: Word, host: &Host) -> Result<Records, String> {
        let shown = folder.display();
        let not = |why: String| {
            format!("{shown}: {why}; make it with `install -d -m 0755 {shown}`, owned by the account that runs the job. The job runs without a record")
        };
        let meta = fs::metadata(folder).map_err(|fault| not(fault.to_string()))?;
        if !meta.is_dir() {
            return Err(not("is no folder".to_owned()));
        }
        Ok(Records { folder: folder.to_owned(), set, host: host.clone() })
    }

    /// The file of the set.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.set))
    }

    /// Writes down that a job begins, and sets room aside for its end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn begin(&self, running: &Running) -> Result<(), String> {
        self.changed(running, |runs| {
            let unseen: Vec<Running> = runs.running.extract_if(.., |other| !self.lives(other, running.boot_id)).collect();
            for lost in unseen {
                self.drop_spare(&lost);
                runs.push(unseen_end(lost, running.boot_id));
            }
            if runs.running.len() >= RUNNING_MAX {
                return Err(format!("{RUNNING_MAX} jobs of this set run already; the job runs without a record"));
            }
            runs.running.push(running.clone());
            Ok(())
        })?;
        // Where no room can be set aside the end is written all the same, if there is room then.
        if self.make_spare(&self.spare(running)).is_err() {
            self.drop_spare(running);
        }
        Ok(())
    }

    /// Writes down how it ended.
    ///
    /// # Errors
    /// When it cannot be written: then it stands there that the job began, and the next one finds it gone.
    pub(super) fn end(&self, running: &Running, run: Run) -> Result<(), String> {
        let done = self.changed(running, |runs| {
            runs.running.retain(|other| other.id != running.id);
            runs.push(run);
            Ok(())
        });
        self.drop_spare(running);
        done
    }

    /// Whether the process that wraps a job is still the one that began it.
    fn lives(&self, running: &Running, boot_id: BootId) -> bool {
        running.boot_id == boot_id && ticks(&self.host, running.pid) == Some(running.pid_ticks)
    }

    /// Reads, changes and puts back, one job of a set at a time.
    fn changed(&self, running: &Running, change: impl FnOnce(&mut Runs) -> Result<(), String>) -> Result<(), String> {
        let path = self.path();
        let told = |fault: std::io::Error| format!("{}: {fault}; the run is not recorded", path.display());
        let lock = self.folder.join(format!(".{}.lock", self.set));
        let _lock = self.locked(&lock).map_err(|fault| format!("{}: {fault}; the run is not recorded", lock.display()))?;
        let mut runs = self.read()?;
        change(&mut runs)?;
        let text = serde_json::to_vec(&runs).map_err(|fault| told(fault.into()))?;
        // Into the room that was set aside: a full disk has none to give.
        let spare = self.spare(running);
        self.put(&spare, &text).and_then(|()| fs::rename(&spare, &path)).map_err(told)
    }

    /// What is there. What cannot be used is set aside: it must not keep later runs from being recorded.
    fn read(&self) -> Result<Runs, String> {
        let path = self.path();
        let fresh = || Runs::new(self.set.clone());
        let mut bytes = Vec::new();
        let most = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        // A link is not followed and a pipe is not waited for: neither is a record.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let read = OpenOptions::new().read(true).custom_flags(flags).open(&path).and_then(|file| file.take(most).read_to_end(&mut bytes));
        match (read, backup_runs::read(&bytes)) {
            (Err(fault), _) if fault.kind() == ErrorKind::NotFound => Ok(fresh()),
            (Ok(_), Ok(runs)) if runs.set == self.set => Ok(runs),
            _ => {
                let aside = self.folder.join(format!("{}.json.bad", self.set));
                fs::rename(&path, &aside).map_err(|fault| format!("{}: {fault}; the run is not recorded", path.display()))?;
                Ok(fresh())
            }
        }
    }

    fn locked(&self, path: &Path) -> std::io::Result<File> {
        let file = self.opened(path)?;
        let end = Instant::now() + LOCK;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(fault) if Instant::now() >= end => return Err(fault.into()),
                Err(_) => sleep(Duration::from_millis(20)),
            }
        }
    }

    fn spare(&self, running: &Running) -> PathBuf {
        self.folder.join(format!(".{}.{}.spare", self.set, running.id))
    }

    /// A file with blocks behind it, however full the disk will be.
    fn make_spare(&self, path: &Path) -> std::io::Result<()> {
        let file = self.opened(path)?;
        let bytes = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
        match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Err(rustix::io::Errno::OPNOTSUPP) => (&file).write_all(&vec![b' '; FILE_BYTES_MAX])?,
            other => other?,
        }
        file.sync_all()
    }

    fn opened(&self, path: &Path) -> std::io::Result<File> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        OpenOptions::new().create(true).truncate(false).write(true).mode(MODE).custom_flags(flags).open(path)
    }

    fn put(&self, path: &Path, text: &[u8]) -> std::io::Result<()> {
        let mut file = self.opened(path)?;
        file.write_all(text)?;
        file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
        file.sync_all()
    }

    fn drop_spare(&self, running: &Running) {
        // Nothing hangs on it: the next job of the set would take it away.
        drop(fs::remove_file(self.spare(running)));
    }
}

/// A job of which nobody saw the end.
fn unseen_end(lost: Running, boot_id: BootId) -> Run {
    let Running { id, started_at_ms, before, .. } = lost;
    Run { id, boot_id, started_at_ms, ended_at_ms: None, outcome: End::Unseen, exit: None, signal: None, before, after: None }
}

/// When a process began, in ticks since boot (proc_pid_stat(5), field 22); `None` when there is none.
pub(super) fn ticks(host: &Host, pid: u32) -> Option<u64> {
    let stat = host.read(&format!("proc/{pid}/stat"), 4096).ok()?;
    // The name may hold spaces and brackets of its own.
    let (_, behind) = stat.rsplit_once(") ")?;
    whole(behind.split(' ').nth(19)?).and_then(|ticks| u64::try_from(ticks).ok())
}
