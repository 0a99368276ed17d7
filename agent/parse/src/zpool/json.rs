//! `zpool status -j` and `zpool list -j` (OpenZFS 2.3), with numbers as texts or, as `--json-int` asks, as numbers.

use super::{Pool, Scan, VDEVS_MAX, Vdev, Zpool, device, percent};
use crate::{Unreadable, text};
use serde_json::{Map, Value};

/// Keys of a pool that hold devices, and the group that these form.
const HOLDERS: &[(&str, Option<&str>)] =
    &[("vdevs", None), ("logs", Some("logs")), ("l2cache", Some("cache")), ("spares", Some("spares")), ("special", Some("special")), ("dedup", Some("dedup"))];

/// Reads all pools.
pub(super) fn read(input: &str, zpool: &mut Zpool) -> Result<(), Unreadable> {
    let value: Value = serde_json::from_str(input)?;
    let foreign = || Unreadable::Json { line: 1, what: "no `pools`".to_owned() };
    let command = value.get("output_version").and_then(|version| version.get("command")).and_then(Value::as_str).ok_or_else(foreign)?;
    let pools = value.get("pools").and_then(Value::as_object).ok_or_else(foreign)?;
    for (name, value) in pools {
        let mut pool = Pool { name: text::plain(name), health: word(value, "state"), from_status: command == "zpool status", ..Pool::default() };
        properties(value, &mut pool);
        pool.data_errors = number(value.get("error_count"));
        pool.damaged = pool.data_errors.map(|errors| errors > 0);
        pool.scans.extend(value.get("scan_stats").and_then(scan));
        for (key, group) in HOLDERS {
            vdevs(value.get(*key).and_then(Value::as_object), *group, 0, &mut pool);
        }
        zpool.pool(pool);
    }
    Ok(())
}

fn word(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(text::plain).filter(|word| !word.is_empty())
}

/// A number, or a text such as `1.5K`.
fn number(value: Option<&Value>) -> Option<i64> {
    value?.as_i64().filter(|number| *number >= 0).or_else(|| text::size(value?.as_str()?))
}

/// What `zpool list` says of a pool.
fn properties(value: &Value, pool: &mut Pool) {
    let value = |key: &str| value.get("properties")?.get(key)?.get("value");
    let share = |key: &str| value(key).and_then(|value| value.as_i64().or_else(|| percent(value.as_str()?)));
    pool.size_bytes = number(value("size"));
    pool.allocated_bytes = number(value("allocated"));
    pool.free_bytes = number(value("free"));
    pool.fragmentation_percent = share("fragmentation");
    pool.capacity_percent = share("capacity");
    let ratio = value("dedupratio").and_then(Value::as_str);
    pool.dedup_milli = ratio.and_then(|ratio| text::milli(ratio.trim_end_matches('x')));
    pool.health = value("health").and_then(Value::as_str).map(text::plain).or(pool.health.take());
}

fn scan(value: &Value) -> Option<Scan> {
    let state = match value.get("state")?.as_str()? {
        "SCANNING" => "running",
        "FINISHED" => "finished",
        "CANCELED" => "canceled",
        _ => return None,
    };
    let (issued, whole) = (number(value.get("issued")), number(value.get("to_examine")));
    let share = |issued: i64, whole: i64| i64::try_from(i128::from(issued) * 100_000 / i128::from(whole)).ok();
    Some(Scan {
        operation: value.get("function")?.as_str().map(|function| text::plain(&function.to_lowercase()))?,
        state: state.to_owned(),
        errors: number(value.get("errors")),
        done_milli_percent: issued.zip(whole).filter(|(_, whole)| state == "running" && *whole > 0).and_then(|(issued, whole)| share(issued, whole)),
        repaired_bytes: number(value.get("processed")),
    })
}

/// The devices below, in the order of their names; the reader of JSON bounds how deep they lie.
fn vdevs(below: Option<&Map<String, Value>>, group: Option<&str>, depth: usize, pool: &mut Pool) {
    for (name, value) in below.into_iter().flatten() {
        if pool.vdevs.len() >= VDEVS_MAX {
            return;
        }
        let counts = ["read_errors", "write_errors", "checksum_errors"].map(|key| number(value.get(key)));
        let [read_errors, write_errors, checksum_errors] = counts;
        // The pool itself is the first of its devices.
        if value.get("vdev_type").and_then(Value::as_str) == Some("root") {
            (pool.read_errors, pool.write_errors, pool.checksum_errors) = (read_errors, write_errors, checksum_errors);
        } else {
            let state = word(value, "state");
            let vdev = Vdev {
                name: device(name),
                depth: depth.max(1),
                group: group.map(str::to_owned),
                state,
                read_errors,
                write_errors,
                checksum_errors,
                note: None,
            };
            pool.vdevs.push(vdev);
        }
        vdevs(value.get("vdevs").and_then(Value::as_object), group, depth + 1, pool);
    }
}
