//! Machines in trouble: each is the healthy one with a few files laid over it, and has a golden report of what differs,
//! and of what the self-diagnosis finds when the healthy one becomes it.

use super::tests::names;
use super::{Machine, Worker};
use crate::diagnosis::Diagnosis;
use crate::host::Host;
use mimamori_shared::fields::{Readings, SECTIONS};
use mimamori_shared::payload::Fault;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn tree(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/host")).join(name)
}

fn lay(from: &Path, over: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = over.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            lay(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Everything the agent takes of a machine, by the worker that takes it in production.
fn sample(root: &Path) -> (Readings, Vec<Fault>) {
    let machine = Machine { host: Host::recorded(root), names: Arc::new(names()), resolve: None };
    let wanted: BTreeSet<&'static str> = SECTIONS.iter().copied().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(Worker::default().sample(&machine, &wanted))
}

/// The sections that differ from the healthy machine's.
fn differing(healthy: &Readings, ill: &Readings) -> Value {
    let (healthy, mut ill) = (json!(healthy), json!(ill));
    let lost: Vec<String> = healthy.as_object().unwrap().keys().filter(|section| ill.get(section.as_str()).is_none()).cloned().collect();
    ill.as_object_mut().unwrap().retain(|section, values| section != "agent" && healthy.get(section) != Some(values));
    lost.into_iter().for_each(|section| drop(ill.as_object_mut().unwrap().insert(section, Value::Null)));
    ill
}

/// Written anew with `MIMAMORI_BLESS=1`; read the difference before committing it.
#[track_caller]
fn check(name: &str, prepare: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    lay(&tree("debian12"), folder.path());
    let (healthy, healthy_faults) = sample(folder.path());
    let (before, found) = Diagnosis::default().look(&healthy, &healthy_faults, &|_| true, 1);
    assert_eq!(found, [], "nothing is wrong with the healthy one");
    lay(&tree(name), folder.path());
    prepare(folder.path());
    let (ill, mut faults) = sample(folder.path());
    let (_, findings) = before.look(&ill, &faults, &|_| true, 2);
    faults.retain(|fault| !healthy_faults.contains(fault));
    let taken = json!({"readings": differing(&healthy, &ill), "faults": faults, "findings": findings});
    let taken = serde_json::to_string_pretty(&taken).unwrap() + "\n";
    let golden = tree(&format!("{name}.golden.json"));
    if std::env::var_os("MIMAMORI_BLESS").is_some() {
        std::fs::write(&golden, &taken).unwrap();
    }
    assert_eq!(taken, std::fs::read_to_string(golden).unwrap(), "{name}");
}

#[test]
fn a_degraded_array() {
    check("degraded-array", |_| {});
}

#[test]
fn a_failing_disk() {
    check("failing-disk", |_| {});
}

#[test]
fn a_full_filesystem() {
    check("full-filesystem", |_| {});
}

#[test]
fn no_permission_anywhere() {
    check("no-permission", |_| {});
}

#[test]
fn a_machine_without_any_optional_tool() {
    check("no-tools", |_| {});
}

/// What `statvfs` would say never comes: the section is told as late, and all the others are there.
#[test]
fn a_hung_mount() {
    check("hung-mount", |root| {
        let statvfs = root.join("recorded/statvfs");
        std::fs::remove_file(&statvfs).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &statvfs, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    });
}
