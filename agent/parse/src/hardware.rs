//! The file the hardware helper leaves for the agent (`/run/mimamori-agent-hardware/report.json`): its shape, its
//! bounds, and the one way to read it. The helper writes these structures; to the agent they are hostile input.

use crate::Unreadable;
use mimamori_shared::id::BootId;
use mimamori_shared::word::Word;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which form it has. A form that differs in meaning gets another number, and older readers refuse it.
pub const SCHEMA: &str = "mimamori.hardware/1";
/// Largest file, in bytes.
pub const REPORT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most runs of tools.
pub const RUNS_MAX: usize = 256;
/// Most arguments of one run.
pub const ARGS_MAX: usize = 16;
/// Largest output of one run, in bytes, before JSON's escapes.
pub const OUT_BYTES_MAX: usize = 1024 * 1024;
/// Largest complaint of one run, in bytes; what is beyond is cut off.
pub const ERR_BYTES_MAX: usize = 2048;
/// Most aliases of one kind (patterns, services, processes).
pub const ALIASES_MAX: usize = 64;
/// Most faults.
pub const FAULTS_MAX: usize = 256;
/// Longest tool, subject, argument or detail, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;
/// With this status smartctl says that a disk sleeps and was left alone: the helper asks for `-n standby,3`, and bit 0
/// never stands beside another bit otherwise (smartctl(8), EXIT STATUS).
pub const SMARTCTL_ASLEEP: i32 = 3;

/// What the helper found in one run of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// When it began, in milliseconds since 1970 UTC by the machine's clock.
    pub started_at_ms: i64,
    /// When it was done, the same.
    pub taken_at_ms: i64,
    /// Of which boot it speaks.
    pub boot_id: BootId,
    /// Every tool it ran or would have run, in order.
    pub runs: Vec<Run>,
    /// What was counted in logs. Their text is not here.
    pub counts: Counts,
    /// Services the facility named, by alias; `None` when its file cannot be used, systemd did not answer, or the consent
    /// does not cover them.
    pub services: Option<BTreeMap<Word, Service>>,
    /// Programs the facility named, by alias; `None` when its file cannot be used, `/proc` cannot be read, or the consent
    /// does not cover them.
    pub processes: Option<BTreeMap<Word, Process>>,
    /// What it could not do.
    pub faults: Vec<Fault>,
}

/// One run of one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name, such as `smartctl`.
    pub tool: String,
    /// Of which part of the machine: `sda`, `bus/0`, `md0`, a mount point. `None` when of the whole machine.
    pub subject: Option<String>,
    /// With which arguments.
    pub args: Vec<String>,
    /// How it ended.
    pub outcome: End,
    /// Its exit status; `None` unless it ended by itself.
    pub exit: Option<i32>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Processor time of it and of what it started, in milliseconds.
    pub cpu_ms: u64,
    /// What it printed, whole: empty unless [`End::Done`], since half a table reads like a whole one. Bytes that are no
    /// UTF-8 are replaced. May hold serial numbers and local names.
    pub out: String,
    /// What it complained about, cut at [`ERR_BYTES_MAX`]; the reason when it did not start.
    pub err: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By itself. Its exit status says what it thinks.
    Done,
    /// There is no such program.
    Missing,
    /// It was killed after its time, or there was no time left for it.
    TimedOut,
    /// It could not be started, may not be trusted, or died of a signal.
    Failed,
    /// It printed more than it may, or the report has no room for it.
    TooLarge,
    /// The system does not let the helper run it.
    PermissionDenied,
    /// It was not run: the facility's consent does not cover what it says.
    NotConsented,
}

/// Counted since boot, by what was in the journal when the helper looked. A count never falls within a boot unless the
/// helper's state was lost; where the journal no longer holds the beginning, counts begin where it does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Lines of the kernel by class; a class that is absent was not seen. `None` when the journal could not be read,
    /// or the consent does not cover it.
    pub kernel_log: Option<BTreeMap<Word, u64>>,
    /// Lines that hold a pattern of the facility, by alias, each from the run on that first knew it; `None` when the
    /// journal or the facility's file could not be read, or the consent does not cover it.
    pub journal: Option<BTreeMap<Word, u64>>,
}

/// A unit of systemd. What systemd does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// `loaded`, `not-found`, `masked`, …
    pub load: Option<Word>,
    /// `active`, `failed`, `inactive`, …
    pub active: Option<Word>,
    /// `running`, `exited`, `dead`, …
    pub sub: Option<Word>,
    /// Memory in use, in bytes.
    pub memory_bytes: Option<u64>,
    /// Restarts by systemd itself since the unit was loaded.
    pub restarts: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// Open handles of the processes in its control group, without groups below it.
    pub handles: Option<u64>,
}

/// All processes of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// How many there are.
    pub count: u64,
    /// Resident memory, in bytes; shared pages count in each of them.
    pub rss_bytes: u64,
    /// Processor time of those that run now, in milliseconds: falls when one ends.
    pub cpu_ms: u64,
    /// Open handles; `None` when one of them could not be looked at.
    pub handles: Option<u64>,
}

/// Something the helper could not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A word that programs may rely on; `docs/HARDWARE.md` lists them.
    pub code: Word,
    /// Of what, where that matters.
    pub subject: Option<String>,
    /// What it was, for a human at the machine.
    pub detail: String,
}

/// Reads the helper's file.
///
/// # Errors
/// When it is empty, another form, or beyond a bound.
pub fn read(bytes: &[u8]) -> Result<Report, Unreadable> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        schema: Option<std::borrow::Cow<'a, str>>,
    }
    if bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    let head: Head<'_> = serde_json::from_slice(bytes)?;
    if head.schema.as_deref() != Some(SCHEMA) {
        return Err(Unreadable::Foreign { line: 1, such_as: "{\"schema\":\"mimamori.hardware/1\",…}" });
    }
    let report: Report = serde_json::from_slice(bytes)?;
    if within(&report) { Ok(report) } else { Err(Unreadable::TooLarge) }
}

/// Whether everything is within the bounds, and every alias is one.
fn within(report: &Report) -> bool {
    let short = |text: &str| text.len() <= TEXT_BYTES_MAX;
    let aliases = |mut names: Vec<&Word>| names.len() <= ALIASES_MAX && names.drain(..).all(|name| Word::alias(name.as_str()).is_ok());
    let run = |run: &Run| {
        let args = run.args.len() <= ARGS_MAX && run.args.iter().all(|arg| short(arg));
        // A byte that is no UTF-8 becomes three.
        args && short(&run.tool) && run.subject.as_deref().is_none_or(short) && run.out.len() <= 3 * OUT_BYTES_MAX && run.err.len() <= 3 * ERR_BYTES_MAX
    };
    let fault = |fault: &Fault| short(&fault.detail) && fault.subject.as_deref().is_none_or(short);
    report.runs.len() <= RUNS_MAX
        && report.runs.iter().all(run)
        && report.faults.len() <= FAULTS_MAX
        && report.faults.iter().all(fault)
        && report.counts.kernel_log.as_ref().is_none_or(|classes| classes.len() <= ALIASES_MAX)
        && report.counts.journal.as_ref().is_none_or(|named| aliases(named.keys().collect()))
        && report.services.as_ref().is_none_or(|named| aliases(named.keys().collect()))
        && report.processes.as_ref().is_none_or(|named| aliases(named.keys().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn sample() -> Value {
        json!({
            "schema": SCHEMA, "started_at_ms": 1_000, "taken_at_ms": 2_000, "boot_id": "00112233445566778899aabbccddeeff",
            "runs": [{"tool": "smartctl", "subject": "sda", "args": ["-x"], "outcome": "done", "exit": 0, "ms": 5, "cpu_ms": 1, "out": "{}", "err": ""},
                     {"tool": "ipmitool", "subject": null, "args": ["sensor"], "outcome": "missing", "exit": null, "ms": 0, "cpu_ms": 0, "out": "", "err": ""}],
            "counts": {"kernel_log": {"io_error": 3}, "journal": null},
            "services": {"db": {"load": "loaded", "active": "active", "sub": "running", "memory_bytes": 1, "restarts": 0, "tasks": null, "handles": 4}},
            "processes": {}, "faults": [{"code": "behind", "subject": "journal", "detail": "x"}]
        })
    }

    #[test]
    fn a_report_is_read_and_written_alike() {
        let report = read(sample().to_string().as_bytes()).unwrap();
        assert_eq!((report.runs[0].outcome, report.runs[1].outcome), (End::Done, End::Missing));
        assert_eq!(report.counts.journal, None);
        assert_eq!(report.services.as_ref().unwrap().values().next().unwrap().handles, Some(4));
        assert_eq!(serde_json::to_value(&report).unwrap(), sample());
    }

    #[test]
    fn another_form_is_refused() {
        assert_eq!(read(b""), Err(Unreadable::Empty));
        assert!(matches!(read(b"{}"), Err(Unreadable::Foreign { .. })));
        assert!(matches!(read(br#"{"schema":"mimamori.hardware/2"}"#), Err(Unreadable::Foreign { .. })));
        assert!(matches!(read(br#"{"schema":"mimamori.hardware/1"}"#), Err(Unreadable::Json { .. })));
        assert!(matches!(read(b"[1"), Err(Unreadable::Json { .. })));
        assert!(matches!(read("[".repeat(100_000).as_bytes()), Err(Unreadable::Json { .. })));
        assert_eq!(read(&vec![b' '; REPORT_BYTES_MAX + 1]), Err(Unreadable::TooLarge));
    }

    #[test]
    fn every_bound_holds() {
        let changed = |pointer: &str, value: Value| {
            let mut report = sample();
            *report.pointer_mut(pointer).unwrap() = value;
            read(report.to_string().as_bytes())
        };
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let many: serde_json::Map<String, Value> = (0..=ALIASES_MAX).map(|n| (format!("a{n}"), json!(1))).collect();
        for (pointer, value) in [
            ("/runs", Value::Array(vec![sample()["runs"][0].clone(); RUNS_MAX + 1])),
            ("/runs/0/args", json!(vec!["x"; ARGS_MAX + 1])),
            ("/runs/0/args/0", json!(long)),
            ("/runs/0/subject", json!(long)),
            ("/runs/0/tool", json!(long)),
            ("/runs/0/err", json!("x".repeat(3 * ERR_BYTES_MAX + 1))),
            ("/runs/0/out", json!("x".repeat(3 * OUT_BYTES_MAX + 1))),
            ("/faults", Value::Array(vec![sample()["faults"][0].clone(); FAULTS_MAX + 1])),
            ("/faults/0/detail", json!(long)),
            ("/counts/kernel_log", Value::Object(many.clone())),
            ("/counts/journal", Value::Object(many)),
            ("/counts/journal", json!({"Not.An.Alias": 1})),
            ("/services", json!({"A": {}})),
        ] {
            assert!(changed(pointer, value).is_err(), "{pointer}");
        }
        for (pointer, value) in [
            ("/counts/kernel_log", json!({"a sentence": 1})),
            ("/services", json!({"db": {"active": "see 山田"}})),
            ("/runs/0/ms", json!(-1)),
            ("/faults/0/code", json!("a b")),
        ] {
            assert!(matches!(changed(pointer, value), Err(Unreadable::Json { .. })), "{pointer}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, at in 0_usize..900, with: u8) {
            prop_assert!(read(&bytes).is_err());
            let mut near = sample().to_string().into_bytes();
            let at = at % near.len();
            near[at] = with;
            if let Ok(report) = read(&near) {
                prop_assert_eq!(report.schema, SCHEMA);
            }
        }
    }
}
