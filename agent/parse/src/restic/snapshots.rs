//! Lists of snapshots: plain, grouped, and what a policy keeps of them.

use super::{BackupRecord, Backups, Value, count_at, list_at, name, nothing, stamp, text_at};
use crate::RECORDS_MAX;
use crate::when::When;
use std::collections::BTreeMap;

/// Snapshots of one set.
#[derive(Default)]
struct Set<'a> {
    host: Option<String>,
    name: Option<String>,
    snapshots: Vec<&'a Value>,
}

/// A list of snapshots, of groups, or of what `forget` kept; `None` when it is none of these.
pub(super) fn list(items: &[Value]) -> Option<Backups> {
    let mut sets: Vec<Set> = Vec::new();
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    let mut malformed = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(group) = item.get("group_key") {
            sets.push(set_of(group, list_at(item, "/snapshots"), "/hostname"));
        } else if item.get("keep").is_some() {
            sets.push(set_of(item, list_at(item, "/keep"), "/host"));
        } else if item.get("time").is_some() {
            // Which snapshots belong together is told by machine and folders, as the tool itself has it.
            let key = format!("{:?} {:?}", item.get("hostname"), item.get("paths"));
            let place = *by_name.entry(key).or_insert_with(|| {
                sets.push(Set { host: text_at(item, "/hostname"), name: name(list_at(item, "/paths"), &[]), snapshots: Vec::new() });
                sets.len() - 1
            });
            if let Some(set) = sets.get_mut(place) {
                set.snapshots.push(item);
            }
        } else {
            malformed.push(index);
        }
    }
    if sets.is_empty() && !malformed.is_empty() {
        return None;
    }
    if sets.iter().all(|set| set.snapshots.is_empty()) {
        return Some(nothing());
    }
    let several = sets.iter().any(|set| set.host != sets.first().and_then(|first| first.host.clone()));
    let mut backups = Backups::default();
    malformed.into_iter().take(RECORDS_MAX).for_each(|index| backups.malformed(index, "no snapshot"));
    for set in sets {
        record(set, several, &mut backups);
    }
    Some(backups)
}

fn set_of<'a>(group: &Value, snapshots: &'a [Value], host: &str) -> Set<'a> {
    Set { host: text_at(group, host), name: name(list_at(group, "/paths"), list_at(group, "/tags")), snapshots: snapshots.iter().collect() }
}

/// The record of one set. A machine's name is part of the set's where there are several machines.
fn record(set: Set, several: bool, backups: &mut Backups) {
    let times: Vec<(When, &Value)> = set.snapshots.iter().filter_map(|item| Some((stamp(item.get("time")?.as_str())?, *item))).collect();
    let unread = set.snapshots.len() - times.len();
    if unread > 0 {
        backups.fault("malformed", &format!("{unread} snapshots without a moment that can be meant"));
    }
    let only: Vec<When> = times.iter().map(|(when, _)| *when).collect();
    let name = match set.host.filter(|_| several) {
        Some(host) => Some(format!("{host}:{}", set.name.unwrap_or_default())),
        None => set.name,
    };
    let newest = times.iter().max_by_key(|(when, _)| when.earliest_ms()).map(|(_, item)| *item).unwrap_or(&Value::Null);
    backups.push(BackupRecord {
        size_bytes: count_at(newest, "/summary/total_bytes_processed"),
        added_bytes: count_at(newest, "/summary/data_added"),
        generations: i64::try_from(set.snapshots.len()).ok().filter(|count| *count > 0),
        ..BackupRecord::of(name, &only)
    });
}
