//! Arrays: the kernel's own, from `proc/mdstat`, and those of a RAID controller, from what storcli told the helper.

use super::hardware::{code_of, left_out, printed, runs};
use super::take::Entries;
use super::{Names, Sources, Take, text};
use crate::host::Host;
use mimamori_parse::storcli::{self, Part, Standing};
use mimamori_parse::{Unreadable, mdstat};
use mimamori_shared::fields::{Array, Readings};
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;

const BYTES_MAX: u64 = 256 * 1024;

pub(super) fn read(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("array", faults);
    let mut found = Vec::new();
    match sources.host.read("proc/mdstat", BYTES_MAX) {
        Ok(text) => kernel(sources.host, sources.names, &text, &mut found, &mut take),
        // The driver is not loaded: there are no such arrays.
        Err(FaultCode::NotFound) => {}
        Err(code) => take.fail(code),
    }
    controllers(sources, &mut found, &mut take);
    let mut entries = Entries::default();
    for array in found {
        if entries.admit(&array.name, &mut take) {
            readings.array.push(array);
        }
    }
}

fn kernel(host: &Host, names: &Names, text: &str, found: &mut Vec<Array>, take: &mut Take<'_>) {
    let mdstat = match mdstat::parse(text) {
        Ok(mdstat) => mdstat,
        Err(Unreadable::Empty) => return,
        Err(_) => return take.fail(FaultCode::Malformed),
    };
    if !mdstat.faults.is_empty() {
        take.fail(FaultCode::Malformed);
    }
    for array in &mdstat.arrays {
        // Containers of the firmware hold arrays and are none.
        let is_container = array.level.is_none() && array.slots.is_none() && array.metadata.as_deref().is_some_and(|version| version.starts_with("external:"));
        if is_container {
            continue;
        }
        let count = |counted: fn(&mdstat::Member) -> bool| i64::try_from(array.members.iter().filter(|member| counted(member)).count()).ok();
        let state = match array.state {
            mdstat::State::Active => "active",
            mdstat::State::Inactive => "inactive",
            mdstat::State::Broken => "broken",
        };
        // One that could not be started has lost more than redundancy.
        let degraded = array.degraded() || array.state != mdstat::State::Active;
        let mismatches = host.read(&format!("sys/block/{}/md/mismatch_cnt", array.name), 64).ok();
        found.push(Array {
            name: names.device(&array.name),
            level: array.level.as_deref().and_then(Word::hardware),
            state: state.parse().ok(),
            degraded: Some(i64::from(degraded)),
            members: array.slots,
            members_active: array.slots_up,
            failed: count(|member| member.failed),
            spare: count(|member| member.spare),
            action: array.progress.as_ref().map_or("idle", |progress| progress.operation.as_str()).parse().ok(),
            progress_milli: array.progress.as_ref().and_then(|progress| progress.done_milli_percent),
            mismatches: mismatches.and_then(|text| text::whole(text.trim_end())),
        });
    }
}

fn controllers(sources: &Sources<'_>, found: &mut Vec<Array>, take: &mut Take<'_>) {
    let Some(report) = take.whole(sources.helper()) else { return };
    left_out(report, "storcli", take);
    for run in runs(report, "storcli") {
        let text = match printed(run) {
            Ok(text) if text.trim().is_empty() => continue,
            Ok(text) => text,
            // No such controller, no such tool.
            Err(FaultCode::NotFound) => continue,
            Err(code) => return take.fail(code),
        };
        match storcli::parse(text) {
            Ok(raid) => {
                raid.faults.iter().filter(|fault| fault.code != "no_device").for_each(|fault| take.fail(code_of(fault.code)));
                found.extend(raid.parts.iter().filter_map(controller));
            }
            Err(_) => take.fail(FaultCode::Malformed),
        }
    }
}

/// An array of a controller; other parts are none.
fn controller(part: &Part) -> Option<Array> {
    let Part::Virtual(drive) = part else { return None };
    let number = drive.controller.map_or_else(String::new, |number| number.to_string());
    let degraded = match part.standing() {
        Standing::Fine | Standing::Noted(_) => Some(0),
        Standing::Wrong(_) => Some(1),
        Standing::Unknown(_) => None,
    };
    Some(Array {
        name: Word::hardware(&format!("c{number}-v{}", drive.id.replace('/', "-")))?,
        level: drive.level.as_deref().and_then(|level| Word::hardware(&level.to_ascii_lowercase())),
        state: drive.state.as_deref().and_then(Word::hardware),
        degraded,
        ..Array::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::hardware::tests::{NOW_MS, machine, run};
    use crate::probe::tests::{recorded, taken};
    use serde_json::{Value, json};

    const DEGRADED: &str = "Personalities : [raid1]\nmd0 : active raid1 sdb1[2] sda1[0](F)\n      1046528 blocks super 1.2 [2/1] [_U]\n      [==>..................]  recovery = 12.5% (130816/1046528) finish=0.5min speed=30000K/sec\n\nunused devices: <none>\n";

    #[test]
    fn an_array_without_redundancy_is_degraded_while_it_recovers() {
        let host = recorded(&[("proc/mdstat", DEGRADED), ("sys/block/md0/md/mismatch_cnt", "128\n")]);
        let (readings, faults) = taken(&host, "array");
        let expected = json!({"array": [{"name": "md0", "level": "raid1", "state": "active", "degraded": 1, "members": 2, "members_active": 1, "failed": 1,
            "spare": 0, "action": "recovery", "progress_milli": 12_500, "mismatches": 128}]});
        assert_eq!(serde_json::from_str::<Value>(&readings).unwrap(), expected);
        assert_eq!(faults, ["array not_found"], "what a controller holds, nobody knows without the helper");
    }

    #[test]
    fn no_arrays_are_no_fault_and_nonsense_is_one() {
        let with = |mdstat: &str| taken(&machine(NOW_MS, |_| {}, &[("proc/mdstat", mdstat)]), "array");
        assert_eq!(taken(&machine(NOW_MS, |_| {}, &[]), "array"), ("{}".to_owned(), vec![]));
        assert_eq!(with("Personalities : \nunused devices: <none>\n"), ("{}".to_owned(), vec![]));
        assert_eq!(with("what is this\n").1, ["array malformed"]);
    }

    #[test]
    fn arrays_of_a_controller_stand_beside_them() {
        let storcli = json!({"Controllers": [{"Command Status": {"Controller": 0, "Status": "Success"}, "Response Data": {
            "Basics": {"Controller": 0, "Model": "Example 9300"}, "Status": {"Controller Status": "Optimal"},
            "VD LIST": [{"DG/VD": "0/0", "TYPE": "RAID1", "State": "Dgrd", "Size": "1 TB"}, {"DG/VD": "1/1", "TYPE": "RAID5", "State": "Optl", "Size": "1 TB"}]}}]});
        let host = machine(NOW_MS, |report| report["runs"] = json!([run("storcli", None, &["/call"], "done", &storcli.to_string())]), &[]);
        let (readings, faults) = taken(&host, "array");
        let expected = json!({"array": [{"name": "c0-v0-0", "level": "raid1", "state": "Dgrd", "degraded": 1},
                                        {"name": "c0-v1-1", "level": "raid5", "state": "Optl", "degraded": 0}]});
        assert_eq!((serde_json::from_str::<Value>(&readings).unwrap(), faults.len()), (expected, 0), "{faults:?}");
        let host = machine(NOW_MS, |report| report["runs"] = json!([run("storcli", None, &["/call"], "missing", "")]), &[]);
        assert_eq!(taken(&host, "array"), ("{}".to_owned(), vec![]));
    }
}
