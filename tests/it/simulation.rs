//! A fleet through weeks of a virtual clock: what the real core, outbox, store and presence make of failing lines,
//! sleeping, dying, copied and restored machines, judged by a simulator that knows what truly happened.
//!
//! `MIMAMORI_SIM=200x30` is the whole (machines x days), `MIMAMORI_SEED` the seed; without them a small fleet lives.
//! `MIMAMORI_SIM_ONLY=31` lets one machine of that fleet live again.
#![allow(clippy::disallowed_methods, reason = "how long the long stories are is read from the environment")]

use mimamori_tests::fleet::Fleet;
use mimamori_tests::fleet::truth::Sum;
use mimamori_tests::times;
use std::path::PathBuf;
use std::time::Instant;

/// On a disk in memory, where there is one: durability is shown elsewhere, with real disks and power cuts.
fn folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    let at = if memory.is_dir() { memory } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("mimamori-fleet-").tempdir_in(at).unwrap()
}

fn size() -> (usize, i64) {
    let text = std::env::var("MIMAMORI_SIM").unwrap_or_else(|_| "8x3".to_owned());
    let parts = text.split_once('x').and_then(|(machines, days)| Some((machines.parse().ok()?, days.parse().ok()?)));
    parts.unwrap_or_else(|| panic!("MIMAMORI_SIM={text}: write MACHINESxDAYS, such as 200x30"))
}

/// Every demand on a fleet that has lived; prints what was. Of one machine alone nothing is demanded of how much was tried.
fn judge(fleet: &Fleet, seed: u64, is_whole: bool) {
    let sums = fleet.account();
    for ((name, chain_id), sum) in &sums {
        assert_eq!(sum.accepted + sum.lost + sum.indeterminate + sum.kept, sum.created, "seed {seed}: {name} chain {chain_id}");
    }
    let all: Sum = sums.values().copied().sum();
    let forked = fleet.only_clones_are_forked();
    let looks = fleet.looks(true);
    println!("seed {seed}: {:?}", fleet.happened);
    println!("seed {seed}: {} machines and chains, {all:?}, {} requests, {forked} forked", sums.len(), fleet.centre.requests);
    let (keys, shut): (u64, usize) = fleet.machines.iter().fold((0, 0), |(keys, shut), one| (keys + one.keys_changed, shut + usize::from(one.is_shut_out())));
    println!("seed {seed}: presence {looks:?}; {keys} keys changed, {shut} machines shut out");
    assert_eq!(looks.wrong, 0, "seed {seed}: presence is not what truly was");
    assert!(keys > 0 || !is_whole, "seed {seed}: no key was changed");
    assert!(looks.unprovable * 5 < looks.right || !is_whole, "seed {seed}: too little is judged: {looks:?}");
    assert!(fleet.centre.wait(fleet.centre.store.fsck(&mimamori_collector::store::Scope::All)).unwrap().is_empty(), "seed {seed}: fsck");
}

/// I6, I7, I14, I16.
#[test]
fn whatever_happens_to_a_fleet_everything_made_is_accounted_for_and_presence_is_what_truly_was() {
    let ((machines, days), seed) = (size(), times("MIMAMORI_SEED", 5));
    println!("seed {seed}: {machines} machines, {days} days");
    let (dir, start) = (folder(), Instant::now());
    let only = std::env::var("MIMAMORI_SIM_ONLY").ok().map(|text| text.parse().expect("MIMAMORI_SIM_ONLY is the number of a machine"));
    let fleet = Fleet::live(dir.path(), seed, machines, days, only);
    println!("seed {seed}: lived in {:?}, history {}", start.elapsed(), fleet.history());
    judge(&fleet, seed, only.is_none());
}

/// I6, I14. Found by 200 machines in 30 days: the record of what was purged covers places in which the collector holds others.
#[test]
fn what_a_machine_made_after_it_was_put_back_and_purged_is_told_to_be_unknown() {
    let dir = folder();
    let fleet = Fleet::put_back_and_withdrawn(dir.path());
    let sums = fleet.account();
    let all: Sum = sums.values().copied().sum();
    println!("{all:?}");
    assert_eq!(all.accepted + all.lost + all.indeterminate, all.created);
    assert!(all.indeterminate > 0 && all.accepted > 100, "{all:?}");
}

#[test]
fn the_same_seed_gives_the_same_history_and_another_seed_another() {
    let history = |seed: u64| {
        let dir = folder();
        Fleet::live(dir.path(), seed, 3, 1, None).history()
    };
    let first = history(7);
    assert_eq!(first, history(7));
    assert_ne!(first, history(8));
}
