//! ZFS: `zpool status` and `zpool list` (OpenZFS 0.6 to 2.3, FreeBSD, illumos), also `-x`, `-v`, `-p`, `-H`
//! and `-j`, and the state of one pool as the kernel gives it.

mod json;
mod judge;
mod list;
mod status;
#[cfg(test)]
mod tests;

use crate::verdict::{self, Verdict};
use crate::{Fault, Outcome, Unreadable, text, trouble};
use serde::Serialize;

/// What one output says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Zpool {
    /// The pools in the output's order.
    pub pools: Vec<Pool>,
    /// The tool says in one line that there is nothing to report: no pools, or all of them healthy.
    pub nothing: Option<String>,
    /// What the tool could not look at, and what could not be read.
    pub faults: Vec<Fault>,
}

/// One pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// `ONLINE`, `DEGRADED`, `FAULTED`, `OFFLINE`, `REMOVED`, `UNAVAIL`, `SUSPENDED`.
    pub health: Option<String>,
    /// Size in bytes; rounded where the tool rounds.
    pub size_bytes: Option<i64>,
    /// Used bytes.
    pub allocated_bytes: Option<i64>,
    /// Free bytes.
    pub free_bytes: Option<i64>,
    /// Fragmentation of what is free, in percent.
    pub fragmentation_percent: Option<i64>,
    /// Used share, in percent.
    pub capacity_percent: Option<i64>,
    /// How often a block is used, in thousandths.
    pub dedup_milli: Option<i64>,
    /// Errors in data: 0 when none are known; `None` when the output holds no number.
    pub data_errors: Option<i64>,
    /// The output says that there are errors in data.
    pub damaged: Option<bool>,
    /// Scrubs and resilvers.
    pub scans: Vec<Scan>,
    /// The rows below the pool.
    pub vdevs: Vec<Vdev>,
    /// Read errors of the pool's own row.
    pub read_errors: Option<i64>,
    /// Write errors of the pool's own row.
    pub write_errors: Option<i64>,
    /// Checksum errors of the pool's own row.
    pub checksum_errors: Option<i64>,
    /// The output came from `zpool status`.
    #[serde(skip)]
    from_status: bool,
}

/// A scrub or a resilver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scan {
    /// `scrub` or `resilver`.
    pub operation: String,
    /// `running`, `finished`, `canceled`, `paused`.
    pub state: String,
    /// Errors that it could not mend.
    pub errors: Option<i64>,
    /// Done, in thousandths of a percent.
    pub done_milli_percent: Option<i64>,
    /// Bytes mended, or filled in.
    pub repaired_bytes: Option<i64>,
}

/// A row below a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Vdev {
    /// Its name; a serial number in it is left out.
    pub name: String,
    /// How deep it stands: 1 for what the pool consists of.
    pub depth: usize,
    /// `logs`, `cache`, `spares`, `special`, `dedup` for what is none of the pool's own.
    pub group: Option<String>,
    /// As a pool's health, and `AVAIL`, `INUSE` for spares.
    pub state: Option<String>,
    /// Read errors.
    pub read_errors: Option<i64>,
    /// Write errors.
    pub write_errors: Option<i64>,
    /// Checksum errors.
    pub checksum_errors: Option<i64>,
    /// What stands behind: `(resilvering)`, `cannot open`.
    pub note: Option<String>,
}

const SUCH_AS: &str = "  pool: NAME";
/// Rows of one pool at most.
const VDEVS_MAX: usize = crate::RECORDS_MAX;
const HEALTHS: &[&str] = &["ONLINE", "DEGRADED", "FAULTED", "OFFLINE", "REMOVED", "UNAVAIL", "SUSPENDED"];
const GROUPS: &[&str] = &["logs", "log", "cache", "spares", "spare", "special", "dedup"];

/// Reads one output of `zpool status` or `zpool list`.
///
/// # Errors
/// When it is empty or something else.
pub fn parse(input: &str) -> Result<Zpool, Unreadable> {
    let mut zpool = Zpool::default();
    let lines: Vec<(usize, &str)> = input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).collect();
    let Some((first, _)) = lines.first() else { return Err(Unreadable::Empty) };
    let body = lines.iter().position(|(_, line)| !zpool.message(line)).unwrap_or(lines.len());
    let lines = lines.get(body..).unwrap_or_default();
    let known = match lines.first() {
        None => true,
        Some((_, line)) if line.trim_start().starts_with('{') => {
            json::read(input.get(input.find('{').unwrap_or_default()..).unwrap_or_default(), &mut zpool)?;
            true
        }
        Some((_, line)) if line.trim_start().starts_with("pool:") => {
            status::read(lines, &mut zpool);
            true
        }
        Some(_) => list::read(lines, &mut zpool),
    };
    verdict::twice(zpool.pools.iter().map(|pool| pool.name.as_str()), &mut zpool.faults);
    if known { Ok(zpool) } else { Err(Unreadable::Foreign { line: lines.first().map_or(*first, |(index, _)| *index) + 1, such_as: SUCH_AS }) }
}

impl Zpool {
    /// Takes a line that is a message of the tool's and no part of a report.
    fn message(&mut self, line: &str) -> bool {
        let line = line.trim();
        let has = |part: &str| line.contains(part);
        if line == "no pools available" || line == "all pools are healthy" || (line.starts_with("pool '") && line.ends_with("' is healthy")) {
            self.nothing = Some(text::plain(line));
            return true;
        }
        let code = if has("no such pool") {
            "not_found"
        } else if has("ZFS utilities must be run as root") || has("insufficient privileges") {
            "permission_denied"
        } else if has("currently suspended") {
            "io_error"
        } else if [
            "modules are not loaded",
            "module is not loaded",
            "modules cannot be",
            "/dev/zfs and /proc",
            "initialize ZFS library",
            "initialize the libzfs",
        ]
        .iter()
        .any(|part| has(part))
        {
            "not_running"
        } else if line.starts_with("Try running") || line.starts_with("Make sure the ZFS") {
            return true;
        } else if let (true, Some(code)) = (has(": "), trouble::code(line)) {
            code
        } else {
            return false;
        };
        verdict::fault(&mut self.faults, trouble::fault(code, line));
        true
    }

    fn pool(&mut self, pool: Pool) {
        verdict::push(&mut self.pools, pool, &mut self.faults);
    }
}

/// A percentage with or without its mark, without what stands behind its point.
fn percent(word: &str) -> Option<i64> {
    text::milli(word.strip_suffix('%').unwrap_or(word)).map(|milli| milli / 1000)
}

/// A device's name without a serial number: names below `/dev/disk/by-id` end in one.
fn device(name: &str) -> String {
    let name = text::plain(name);
    let by_id = ["ata-", "nvme-", "scsi-", "usb-", "sas-", "virtio-"].iter().any(|bus| name.rsplit('/').next().is_some_and(|name| name.starts_with(bus)));
    let (model, serial) = match name.rsplit_once('_') {
        Some(halves) if by_id => halves,
        _ => return name,
    };
    let part = serial.rfind("-part").and_then(|at| serial.get(at..)).unwrap_or_default();
    format!("{model}_…{part}")
}

/// How the output reads: bad when a pool or a device is not online, when errors are counted, while a resilver brings a
/// device back, or when a pool is full.
///
/// # Errors
/// As [`parse`], unless it is a complaint of the shell's.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let zpool = match parse(input) {
        Ok(zpool) => zpool,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut verdict = Verdict::default();
    zpool.pools.iter().for_each(|pool| judge::pool(pool, &mut verdict));
    let fine = zpool.nothing.unwrap_or_else(|| format!("{} pools online, no errors", zpool.pools.len()));
    let mut outcome = verdict.outcome_with(fine, zpool.faults);
    for pool in &zpool.pools {
        readings(pool, &mut outcome);
        outcome.record(pool);
    }
    Ok(outcome)
}

fn readings(pool: &Pool, outcome: &mut Outcome) {
    let of: &[(&'static str, &str)] = &[("pool", &pool.name)];
    outcome.reading("pool_size", of, pool.size_bytes.map(text::float), "bytes");
    outcome.reading("pool_allocated", of, pool.allocated_bytes.map(text::float), "bytes");
    outcome.reading("pool_free", of, pool.free_bytes.map(text::float), "bytes");
    outcome.reading("pool_fragmentation", of, pool.fragmentation_percent.map(text::float), "percent");
    outcome.reading("pool_capacity", of, pool.capacity_percent.map(text::float), "percent");
    outcome.reading("pool_dedup", of, pool.dedup_milli.map(|milli| text::float(milli) / 1000.0), "ratio");
    outcome.reading("pool_data_errors", of, pool.data_errors.map(text::float), "count");
    for scan in &pool.scans {
        let of = &[("pool", pool.name.as_str()), ("operation", scan.operation.as_str())];
        outcome.reading("pool_scan", of, scan.done_milli_percent.map(|milli| text::float(milli) / 1000.0), "percent");
        outcome.reading("pool_scan_errors", of, scan.errors.map(text::float), "count");
        outcome.reading("pool_scan_repaired", of, scan.repaired_bytes.map(text::float), "bytes");
    }
    let rows = pool.vdevs.iter().map(|vdev| (vdev.name.as_str(), [vdev.read_errors, vdev.write_errors, vdev.checksum_errors]));
    for (device, counts) in std::iter::once(("", [pool.read_errors, pool.write_errors, pool.checksum_errors])).chain(rows) {
        let of = &[("pool", pool.name.as_str()), ("device", device)];
        let of = if device.is_empty() { of.get(..1).unwrap_or_default() } else { of };
        for (name, count) in ["pool_read_errors", "pool_write_errors", "pool_checksum_errors"].into_iter().zip(counts) {
            outcome.reading(name, of, count.map(text::float), "count");
        }
    }
}

/// How the kernel's file `/proc/spl/kstat/zfs/POOL/state` reads: one word.
///
/// # Errors
/// When it is empty or holds anything else.
pub fn outcome_state(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let state = input.trim();
    if state.is_empty() {
        return Err(Unreadable::Empty);
    }
    let Some(health) = HEALTHS.iter().find(|health| **health == state) else {
        return trouble::told(input).ok_or(Unreadable::Foreign { line: 1, such_as: "ONLINE" });
    };
    let mut verdict = Verdict::default();
    if *health != "ONLINE" {
        verdict.bad(format!("the pool is {health}"));
    }
    let mut outcome = verdict.outcome_with("the pool is ONLINE", Vec::new());
    outcome.record(&serde_json::json!({ "health": health }));
    Ok(outcome)
}
