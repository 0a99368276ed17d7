//! How most stories with the real agent begin, look and end.

use crate::process::{Guard, program};
use crate::{AgentHome, World, wait_until};
use serde_json::Value;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

/// A world with a running collector and an enrolled agent `ct-1`, which does not run yet.
///
/// # Panics
/// When either fails.
#[track_caller]
#[must_use]
pub fn enrolled(name: &str) -> (World, AgentHome) {
    let mut world = World::new(name);
    world.start();
    let home = world.agent_home("ct-1");
    home.enroll(&world.token_text(Some("ct-1")));
    (world, home)
}

/// Everything the collector holds of `ct-1`, in order: the payloads as they were signed.
///
/// # Panics
/// When they cannot be read.
#[track_caller]
#[must_use]
pub fn held(world: &World) -> Vec<Value> {
    world.export("ct-1").iter().map(|line| json(line["frame"][0].as_str().unwrap())).collect()
}

/// How many of them are reports.
///
/// # Panics
/// When they cannot be read.
#[track_caller]
#[must_use]
pub fn reports(world: &World) -> usize {
    held(world).iter().filter(|payload| payload["type"] == "report").count()
}

/// The ledger's entries as the agent shows them.
///
/// # Panics
/// When they cannot be read.
#[track_caller]
#[must_use]
pub fn ledger(home: &AgentHome) -> Vec<Value> {
    home.cli(&["ledger", "show", "--last", "100000", "--json"]).lines().map(json).collect()
}

/// A text that must be JSON.
///
/// # Panics
/// When it is not.
#[track_caller]
#[must_use]
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

/// What a command said, on both its outputs.
#[must_use]
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Sends a signal by its name, such as `TERM`, to one process.
///
/// # Panics
/// When there is no such process.
#[track_caller]
pub fn signal(pid: u32, name: &str) {
    let done = program(Path::new("/bin/kill")).args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(done.success(), "kill -s {name}");
}

/// Ends it in an orderly way; gives exit code and time.
///
/// # Panics
/// When it does not end.
#[track_caller]
pub fn stop(mut guard: Guard) -> (Option<i32>, Duration) {
    let start = Instant::now();
    signal(guard.0.id(), "TERM");
    wait_until("it ends after SIGTERM", Duration::from_secs(8), || guard.0.try_wait().unwrap().is_some());
    (guard.0.wait().unwrap().code(), start.elapsed())
}
