//! What `mimamori-agent backup run` leaves of a backup job (`SET.json` in the folder of records): its shape, its bounds,
//! and the one way to read it. The wrapper, with the job's rights, writes it; to whoever reads it, it is hostile input.

use crate::Unreadable;
use mimamori_shared::id::BootId;
use mimamori_shared::word::Word;
use serde::{Deserialize, Serialize};

/// Which form it has. A form that differs in meaning gets another number, and older readers refuse it.
pub const SCHEMA: &str = "mimamori.backup-runs/1";
/// Largest file, in bytes: what is set aside for it before a job begins, so that a job that fills the disk can be told of.
pub const FILE_BYTES_MAX: usize = 64 * 1024;
/// Most runs that are kept; the oldest goes first.
pub const RUNS_MAX: usize = 32;
/// Most jobs of one set at the same time.
pub const RUNNING_MAX: usize = 8;

/// One set's runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// [`SCHEMA`].
    pub schema: String,
    /// The set's alias.
    pub set: Word,
    /// Jobs that have begun and whose end is not known, oldest first.
    pub running: Vec<Running>,
    /// Jobs that are over, oldest first.
    pub runs: Vec<Run>,
}

/// A job that has begun. Times are UTC, milliseconds since 1970, by the machine's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Random, of this run alone.
    pub id: Word,
    /// In which boot.
    pub boot_id: BootId,
    /// When.
    pub started_at_ms: i64,
    /// The wrapper's process.
    pub pid: u32,
    /// When that process began, in the kernel's ticks since boot: a number of a process is given out again.
    pub pid_ticks: u64,
    /// What the declared target held.
    pub before: Option<Size>,
}

/// A job that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// As it was while it ran.
    pub id: Word,
    /// In which boot it ended.
    pub boot_id: BootId,
    /// When it began.
    pub started_at_ms: i64,
    /// When it ended; `None` when nobody saw it end.
    pub ended_at_ms: Option<i64>,
    /// How.
    pub outcome: End,
    /// Its exit status, where it has one.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What the declared target held when it began.
    pub before: Option<Size>,
    /// What it held at the end.
    pub after: Option<Size>,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By itself, with a status.
    Exited,
    /// By a signal.
    Signalled,
    /// It could not be started.
    NotStarted,
    /// The wrapper was ended, or the machine went down, before the job's end was seen.
    Unseen,
}

impl End {
    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            End::Exited => "exited",
            End::Signalled => "signalled",
            End::NotStarted => "not_started",
            End::Unseen => "unseen",
        }
    }
}

/// What a target holds: a file, or everything below a folder. Links are counted and not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Bytes, as files say.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// When the newest of them was written, UTC, milliseconds since 1970; 0 without a file.
    pub newest_ms: i64,
    /// Whether all of it was looked at; otherwise the figures are of a part.
    pub whole: bool,
}

impl Run {
    /// Whether the job says that it worked.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.outcome == End::Exited && self.exit == Some(0)
    }

    /// Whether the target is another than before; `None` where that cannot be told.
    #[must_use]
    pub fn changed(&self) -> Option<bool> {
        let (before, after) = (self.before?, self.after?);
        if before != after { Some(true) } else { after.whole.then_some(false) }
    }
}

impl Runs {
    /// A set without runs.
    #[must_use]
    pub fn new(set: Word) -> Runs {
        Runs { schema: SCHEMA.to_owned(), set, running: Vec::new(), runs: Vec::new() }
    }

    /// Puts a run to the others; the oldest goes where there are too many.
    pub fn push(&mut self, run: Run) {
        self.runs.push(run);
        let over = self.runs.len().saturating_sub(RUNS_MAX);
        self.runs.drain(..over);
    }
}

/// Reads the file.
///
/// # Errors
/// When it is empty, larger than [`FILE_BYTES_MAX`], of another form, or beyond the bounds.
pub fn read(bytes: &[u8]) -> Result<Runs, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    let runs: Runs = serde_json::from_slice(bytes)?;
    if runs.schema != SCHEMA {
        return Err(Unreadable::Foreign { line: 1, such_as: "{\"schema\":\"mimamori.backup-runs/1\",…}" });
    }
    let within = runs.running.len() <= RUNNING_MAX && runs.runs.len() <= RUNS_MAX && Word::alias(runs.set.as_str()).is_ok();
    if within { Ok(runs) } else { Err(Unreadable::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn size(bytes: u64) -> Size {
        Size { bytes, files: 1, newest_ms: 5, whole: true }
    }

    fn run(number: i64) -> Run {
        let (before, after) = (Some(size(1)), Some(size(2)));
        Run {
            id: "0011223344556677".parse().unwrap(),
            boot_id: BootId::from_uuid("00112233-4455-6677-8899-aabbccddeeff").unwrap(),
            started_at_ms: number,
            ended_at_ms: Some(number),
            outcome: End::Exited,
            exit: Some(0),
            signal: None,
            before,
            after,
        }
    }

    #[test]
    fn what_is_written_is_read_and_the_largest_has_room() {
        let mut runs = Runs::new(Word::alias(&"x".repeat(32)).unwrap());
        for number in 0..40 {
            let mut one = run(i64::MAX - number);
            (one.before, one.after) = (Some(Size { bytes: u64::MAX, files: u64::MAX, newest_ms: i64::MIN, whole: false }), one.before);
            (one.exit, one.signal, one.outcome) = (Some(i32::MIN), Some(i32::MIN), End::NotStarted);
            runs.push(one);
        }
        for _ in 0..RUNNING_MAX {
            let Run { id, boot_id, started_at_ms, before, .. } = run(i64::MIN);
            runs.running.push(Running { id, boot_id, started_at_ms, pid: u32::MAX, pid_ticks: u64::MAX, before });
        }
        let bytes = serde_json::to_vec(&runs).unwrap();
        assert!(bytes.len() < FILE_BYTES_MAX / 2, "{}", bytes.len());
        assert_eq!(read(&bytes).unwrap(), runs);
        assert_eq!((runs.runs.len(), runs.runs[0].started_at_ms), (RUNS_MAX, i64::MAX - 8), "the oldest went");
    }

    #[test]
    fn what_is_no_record_of_runs_is_refused() {
        assert_eq!(read(b"").unwrap_err(), Unreadable::Empty);
        assert_eq!(read(&vec![b' '; FILE_BYTES_MAX + 1]).unwrap_err(), Unreadable::TooLarge);
        assert!(read(br#"{"schema":"mimamori.backup-runs/1"}"#).is_err());
        assert!(read(br#"{"schema":"mimamori.backup-runs/2","set":"a","running":[],"runs":[]}"#).is_err());
        assert!(read(br#"{"schema":"mimamori.backup-runs/1","set":"A.b","running":[],"runs":[]}"#).is_err(), "no alias");
        let many = json!({"schema": SCHEMA, "set": "a", "running": [], "runs": vec![run(1); RUNS_MAX + 1]});
        assert_eq!(read(many.to_string().as_bytes()).unwrap_err(), Unreadable::TooLarge);
    }

    #[test]
    fn a_success_without_a_change_is_told_apart() {
        let mut one = run(1);
        assert_eq!((one.succeeded(), one.changed()), (true, Some(true)));
        one.after = one.before;
        assert_eq!(one.changed(), Some(false));
        let part = Some(Size { whole: false, ..size(1) });
        (one.before, one.after) = (part, part);
        assert_eq!(one.changed(), None, "what was not looked at may have changed");
        one.after = None;
        assert_eq!(one.changed(), None);
        one.exit = Some(1);
        assert!(!one.succeeded());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes).is_err());
        }
    }
}
