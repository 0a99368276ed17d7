//! The helper on machines of its own: folders with scripts as tools, a `/proc` and a facility's file.

#![allow(clippy::disallowed_methods, reason = "tests run programs, and tell themselves apart by the environment")]

mod consenting;
mod counting;
mod leaving;
mod running;

use crate::table::{Each, Row, SCAN};
use crate::{Plan, REPORT_FILE, carry_out};
use mimamori_parse::hardware::{Report, Run, read};
use rustix::thread::CapabilitySet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The helper ends every child of its process, so two of them must not be in one process at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const BOOT: &str = "00112233-4455-6677-8899-aabbccddeeff\n";

/// A consent to all that the helper can look at.
const CONSENT: &str = "version = 1\napprover = \"A\"\nreason = \"B\"\nvalid_from = \"2020-01-01T00:00:00Z\"\nvalid_to = \"2199-01-01T00:00:00Z\"\n\n[scopes]\nheartbeat = { }\nhardware = { }\nos_state = { }\nlog_counts = { }\n";

struct Machine {
    dir: tempfile::TempDir,
    plan: Plan,
    _alone: MutexGuard<'static, ()>,
}

impl Machine {
    fn new(rows: Vec<Row>) -> Machine {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["tools", "out", "state", "root/proc/sys/kernel/random", "root/proc/self"] {
            fs::create_dir_all(path(folder)).unwrap();
            fs::set_permissions(path(folder), Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(path("root/proc/sys/kernel/random/boot_id"), BOOT).unwrap();
        let consent = path("consent.toml");
        fs::write(&consent, CONSENT).unwrap();
        fs::set_permissions(&consent, Permissions::from_mode(0o644)).unwrap();
        let plan = Plan {
            rows,
            folders: vec![path("nowhere"), path("tools")],
            root: path("root"),
            out: path("out"),
            state: path("state"),
            consent,
            config: path("hardware.toml"),
            owner: fs::metadata(dir.path()).unwrap().uid(),
            budget: Duration::from_secs(120),
            class_of: |line| line.contains("I/O error").then_some("io_error"),
        };
        Machine { dir, plan, _alone: alone }
    }

    /// A tool: what a shell does under that name.
    fn tool(&self, name: &str, script: &str) -> PathBuf {
        let path = self.dir.path().join("tools").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn config(&self, text: &str) {
        fs::write(&self.plan.config, text).unwrap();
        fs::set_permissions(&self.plan.config, Permissions::from_mode(0o644)).unwrap();
    }

    /// The report as the agent reads it.
    fn report(&self) -> Report {
        read(&fs::read(self.plan.out.join(REPORT_FILE)).unwrap()).unwrap()
    }

    /// Runs everything.
    #[track_caller]
    fn run(&self) -> Report {
        assert_eq!(carry_out(&self.plan), 0);
        self.report()
    }
}

fn row(tool: &'static str, limit_ms: u64) -> Row {
    let (names, args): (&'static [&'static str], _) = (Box::leak(Box::new([tool])), &["--fixed"][..]);
    Row {
        tool,
        names,
        args,
        feeds: &["drive"],
        each: Each::Machine,
        limit: Duration::from_millis(limit_ms),
        bytes: 10_000,
        needs: CapabilitySet::empty(),
        only_if: &[],
    }
}

#[track_caller]
fn of<'a>(report: &'a Report, tool: &str) -> &'a Run {
    report.runs.iter().find(|run| run.tool == tool).unwrap_or_else(|| panic!("{tool} did not run: {report:?}"))
}

fn codes(report: &Report) -> Vec<&str> {
    report.faults.iter().map(|fault| fault.code.as_str()).collect()
}

/// A journalctl with one line of no class, for runs that are not about it.
const QUIET: &str = "echo '{\"__CURSOR\":\"i=0\",\"MESSAGE\":\"Linux version\"}'";
const SMARTCTL_ROW: Row = Row {
    tool: "smartctl",
    names: &["smartctl"],
    args: SCAN,
    feeds: &["drive"],
    each: Each::Machine,
    limit: Duration::from_secs(60),
    bytes: 100_000,
    needs: CapabilitySet::empty(),
    only_if: &[],
};
