//! What is wrong with a pool.

use super::{HEALTHS, Pool, Scan, Vdev};
use crate::verdict::Verdict;

/// From here a pool counts as full, in percent.
const FULL_PERCENT: i64 = 99;

impl Pool {
    /// Whether something is wrong with it or with one of its devices.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        let mut verdict = Verdict::default();
        pool(self, &mut verdict);
        verdict.is_bad()
    }
}

/// Adds what is wrong with a pool, or that it does not say.
pub(super) fn pool(pool: &Pool, verdict: &mut Verdict) {
    let name = &pool.name;
    match pool.health.as_deref() {
        Some("ONLINE") if pool.from_status && (pool.read_errors.is_none() || pool.damaged.is_none()) => {
            verdict.unknown(format!("{name}: the report is cut short"));
        }
        Some("ONLINE") => {}
        Some(health) if HEALTHS.contains(&health) => verdict.bad(format!("{name} is {health}")),
        Some(_) | None => verdict.unknown(format!("{name}: its health is not said")),
    }
    match (pool.damaged, pool.data_errors) {
        (Some(true), Some(errors)) => verdict.bad(format!("{name}: {errors} data errors")),
        (Some(true), None) => verdict.bad(format!("{name}: data errors")),
        _ => {}
    }
    for vdev in &pool.vdevs {
        let state = vdev.state.as_deref();
        if let Some(state) = state.filter(|state| !matches!(*state, "ONLINE" | "AVAIL" | "INUSE")) {
            verdict.bad(format!("{name}: {} is {state}", vdev.name));
        }
        counts(name, &vdev.name, [vdev.read_errors, vdev.write_errors, vdev.checksum_errors], verdict);
    }
    counts(name, "the pool", [pool.read_errors, pool.write_errors, pool.checksum_errors], verdict);
    let missing = pool.scans.iter().any(|scan| scan.operation == "resilver" && scan.state == "running") && !only_replacing(&pool.vdevs);
    for scan in &pool.scans {
        let operation = &scan.operation;
        if let Some(errors) = scan.errors.filter(|errors| *errors > 0) {
            verdict.bad(format!("{name}: the last {operation} left {errors} errors"));
        }
        if operation == "resilver" && scan.state == "running" && missing {
            verdict.bad(format!("{name}: resilvering{}", done(scan)));
        }
    }
    if pool.capacity_percent.is_some_and(|percent| percent >= FULL_PERCENT) || (pool.free_bytes == Some(0) && pool.size_bytes.is_some_and(|size| size > 0)) {
        verdict.bad(format!("{name} is full"));
    }
}

fn counts(pool: &str, what: &str, counts: [Option<i64>; 3], verdict: &mut Verdict) {
    let counts = counts.map(|count| count.unwrap_or(0));
    if counts.iter().any(|count| *count > 0) {
        let [read, write, checksum] = counts;
        verdict.bad(format!("{pool}: {what} has {read} read, {write} write, {checksum} checksum errors"));
    }
}

fn done(scan: &Scan) -> String {
    scan.done_milli_percent.map(|milli| format!(", {}.{:02} % done", milli / 1000, milli % 1000 / 10)).unwrap_or_default()
}

/// What is being filled takes the place of a device that still works: nothing is missing.
fn only_replacing(vdevs: &[Vdev]) -> bool {
    let filling = |vdev: &Vdev| vdev.note.as_deref().is_some_and(|note| note.contains("resilvering") || note.contains("awaiting resilver"));
    let works = |vdev: &Vdev| vdev.state.as_deref() == Some("ONLINE") && !filling(vdev);
    let mut found = false;
    // Where the replacing group ends, and whether one of it works.
    let mut group = (0, false);
    for (at, vdev) in vdevs.iter().enumerate() {
        if vdev.name.starts_with("replacing") {
            let rest = vdevs.get(at + 1..).unwrap_or_default();
            let length = rest.iter().position(|other| other.depth <= vdev.depth).unwrap_or(rest.len());
            group = (at + 1 + length, rest.iter().take(length).any(works));
        } else if filling(vdev) {
            if at >= group.0 || !group.1 {
                return false;
            }
            found = true;
        }
    }
    found
}
