//! Pools of storage (ZFS, btrfs, LVM) and paths to devices, from what their tools told the helper. Names are somebody's
//! own and leave as a hash.

use super::{code_of, left_out, printed, runs};
use crate::probe::take::Entries;
use crate::probe::{Sources, Take};
use mimamori_parse::{Fault as Said, Unreadable, btrfs, lvs, multipath, zpool};
use mimamori_shared::fields::{Multipath, Pool, Readings};
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;

pub(in crate::probe) fn read(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("pool", faults);
    let Some(report) = take.whole(sources.helper()) else { return };
    let mut found = Vec::new();
    for run in runs(report, "zpool").filter(|run| run.args.iter().any(|arg| arg == "status")) {
        if let Some(zpool) = told(printed(run), &mut take, zpool::parse) {
            complain(&zpool.faults, &mut take);
            found.extend(zpool.pools.iter().map(|pool| Pool { name: sources.names.pool(&pool.name), ..zfs(pool) }));
        }
    }
    for run in runs(report, "btrfs") {
        if let Some(btrfs) = told(printed(run), &mut take, btrfs::parse) {
            complain(&btrfs.faults, &mut take);
            let name = sources.names.pool(run.subject.as_deref().unwrap_or_default());
            found.extend((!btrfs.devices.is_empty()).then(|| Pool { name, ..btrfs_pool(&btrfs.devices) }));
        }
    }
    for run in runs(report, "lvs") {
        if let Some(lvs) = told(printed(run), &mut take, lvs::parse) {
            complain(&lvs.faults, &mut take);
            // Of the volumes only those say something of themselves that are pools, mirrors or broken.
            let says = |volume: &&lvs::Volume| volume.is_bad() || volume.data_milli_percent.is_some() || volume.sync_milli_percent.is_some();
            let name = |volume: &lvs::Volume| sources.names.pool(&format!("{}/{}", volume.group.as_deref().unwrap_or_default(), volume.name));
            found.extend(lvs.volumes.iter().filter(says).map(|volume| Pool { name: name(volume), ..lvm(volume) }));
        }
    }
    left_out(report, "btrfs", &mut take);
    let mut entries = Entries::default();
    for pool in found {
        if entries.admit(&pool.name, &mut take) {
            readings.pool.push(pool);
        }
    }
}

/// What a tool printed, read. Nothing printed, no such tool: there is nothing of that kind.
fn told<T>(text: Result<&str, FaultCode>, take: &mut Take<'_>, parse: fn(&str) -> Result<T, Unreadable>) -> Option<T> {
    match text.map(parse) {
        Ok(Ok(told)) => Some(told),
        Ok(Err(Unreadable::Empty)) | Err(FaultCode::NotFound) => None,
        Ok(Err(_)) => {
            take.fail(FaultCode::Malformed);
            None
        }
        Err(code) => {
            take.fail(code);
            None
        }
    }
}

fn complain(said: &[Said], take: &mut Take<'_>) {
    said.iter().filter(|fault| !matches!(fault.code, "no_device" | "not_found")).for_each(|fault| take.fail(code_of(fault.code)));
}

fn zfs(pool: &zpool::Pool) -> Pool {
    // A leaf has no row deeper than itself behind it.
    let leaves: Vec<&zpool::Vdev> = pool
        .vdevs
        .iter()
        .zip(pool.vdevs.iter().skip(1).map(|next| next.depth).chain([0]))
        .filter(|(vdev, next)| *next <= vdev.depth)
        .map(|(vdev, _)| vdev)
        .collect();
    let bad = leaves.iter().filter(|vdev| vdev.state.as_deref().is_some_and(|state| !matches!(state, "ONLINE" | "AVAIL" | "INUSE"))).count();
    let sum = |count: fn(&zpool::Vdev) -> Option<i64>| leaves.iter().filter_map(|vdev| count(vdev)).reduce(i64::saturating_add);
    Pool {
        kind: "zfs".parse().ok(),
        state: pool.health.as_deref().and_then(Word::hardware),
        degraded: pool.health.as_ref().map(|_| i64::from(pool.is_bad())),
        read_errors: sum(|vdev| vdev.read_errors),
        write_errors: sum(|vdev| vdev.write_errors),
        checksum_errors: sum(|vdev| vdev.checksum_errors),
        devices: i64::try_from(leaves.len()).ok(),
        devices_bad: i64::try_from(bad).ok(),
        used_permille: pool.capacity_percent.map(|percent| percent.saturating_mul(10)),
        ..Pool::default()
    }
}

/// btrfs counts errors and says nothing else: counted once is not known to be over.
fn btrfs_pool(devices: &[btrfs::Device]) -> Pool {
    let sum = |count: fn(&btrfs::Device) -> Option<i64>| devices.iter().filter_map(count).reduce(i64::saturating_add);
    let counts = |device: &btrfs::Device| [device.read_io_errs, device.write_io_errs, device.flush_io_errs, device.corruption_errs, device.generation_errs];
    let bad = devices.iter().filter(|device| device.missing() || counts(device).into_iter().flatten().any(|count| count > 0)).count();
    Pool {
        kind: "btrfs".parse().ok(),
        degraded: Some(i64::from(bad > 0)),
        read_errors: sum(|device| device.read_io_errs),
        write_errors: sum(|device| device.write_io_errs),
        checksum_errors: sum(|device| device.corruption_errs),
        devices: i64::try_from(devices.len()).ok(),
        devices_bad: i64::try_from(bad).ok(),
        ..Pool::default()
    }
}

fn lvm(volume: &lvs::Volume) -> Pool {
    let used = volume.data_milli_percent.into_iter().chain(volume.metadata_milli_percent).max();
    Pool {
        kind: "lvm".parse().ok(),
        state: volume.health.as_deref().and_then(|health| Word::hardware(&health.replace(' ', "-"))),
        degraded: Some(i64::from(volume.is_bad())),
        used_permille: used.map(|milli_percent| milli_percent / 100),
        ..Pool::default()
    }
}

pub(in crate::probe) fn paths(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("multipath", faults);
    let Some(report) = take.whole(sources.helper()) else { return };
    let mut entries = Entries::default();
    for run in runs(report, "multipath") {
        let Some(told) = told(printed(run), &mut take, multipath::parse) else { continue };
        complain(&told.faults, &mut take);
        for map in &told.maps {
            let name = sources.names.pool(&map.name);
            if entries.admit(&name, &mut take) {
                let failed = map.paths.iter().filter(|path| path.lost()).count();
                readings.multipath.push(Multipath { name, paths: i64::try_from(map.paths.len()).ok(), paths_failed: i64::try_from(failed).ok() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW_MS, machine, run};
    use crate::probe::tests::taken;
    use serde_json::{Value, json};

    const ZPOOL: &str = "  pool: yamada\n state: DEGRADED\nstatus: One or more devices are faulted.\n  scan: none requested\nconfig:\n\n\tNAME        STATE     READ WRITE CKSUM\n\tyamada      DEGRADED     0     0     0\n\t  mirror-0  DEGRADED     0     0     0\n\t    sda     ONLINE       0     0     0\n\t    sdb     FAULTED      3     1     2  too many errors\n\nerrors: No known data errors\n";
    const BTRFS: &str = "[/dev/sda].write_io_errs    0\n[/dev/sda].read_io_errs     4\n[/dev/sda].flush_io_errs    0\n[/dev/sda].corruption_errs  0\n[/dev/sda].generation_errs  0\n";
    const MULTIPATH: &str = "mpatha (3600508b400105e210000900000490000) dm-2 EXAMPLE,DISK\nsize=10G features='0' hwhandler='0' wp=rw\n|-+- policy='service-time 0' prio=1 status=active\n| `- 1:0:0:1 sdb 8:16 active ready running\n`-+- policy='service-time 0' prio=1 status=enabled\n  `- 2:0:0:1 sdc 8:32 failed faulty running\n";

    fn taken_of(section: &str, runs: Vec<Value>) -> (Value, Vec<String>) {
        let (readings, faults) = taken(&machine(NOW_MS, |report| report["runs"] = json!(runs), &[]), section);
        (serde_json::from_str(&readings).unwrap(), faults)
    }

    #[test]
    fn pools_are_told_without_their_names() {
        let lvs = json!({"report": [{"lv": [
            {"lv_name": "thin", "vg_name": "vg0", "lv_attr": "twi-aotz--", "data_percent": "97.50", "metadata_percent": "12.00", "copy_percent": "", "lv_health_status": ""},
            {"lv_name": "root", "vg_name": "vg0", "lv_attr": "-wi-ao----", "data_percent": "", "metadata_percent": "", "copy_percent": "", "lv_health_status": ""}]}]});
        let runs = vec![
            run("zpool", None, &["status", "-p"], "done", ZPOOL),
            run("btrfs", Some("/srv/taro"), &["device", "stats", "/srv/taro"], "done", BTRFS),
            run("lvs", None, &["--reportformat", "json"], "done", &lvs.to_string()),
        ];
        let (readings, faults) = taken_of("pool", runs);
        let pools = readings["pool"].as_array().unwrap();
        let told = |field: &str| pools.iter().map(|pool| pool[field].clone()).collect::<Vec<_>>();
        assert_eq!((told("kind"), told("degraded")), (vec![json!("zfs"), json!("btrfs"), json!("lvm")], vec![json!(1); 3]), "{readings}");
        assert_eq!((&pools[0]["devices"], &pools[0]["devices_bad"], &pools[0]["read_errors"]), (&json!(2), &json!(1), &json!(3)));
        assert_eq!((&pools[1]["read_errors"], &pools[2]["used_permille"]), (&json!(4), &json!(975)));
        assert!(!readings.to_string().contains("yamada") && !readings.to_string().contains("taro") && faults.is_empty(), "{readings} {faults:?}");
    }

    #[test]
    fn a_path_that_failed_is_counted() {
        let (readings, faults) = taken_of("multipath", vec![run("multipath", None, &["-ll"], "done", MULTIPATH)]);
        assert_eq!((&readings["multipath"][0]["paths"], &readings["multipath"][0]["paths_failed"]), (&json!(2), &json!(1)), "{faults:?}");
    }

    #[test]
    fn a_map_without_a_path_and_a_missing_device_are_bad() {
        use crate::diagnosis::Diagnosis;
        let found = |section: &str, run: Value| {
            let (readings, _) = taken(&machine(NOW_MS, |report| report["runs"] = json!([run]), &[]), section);
            let (_, found) = Diagnosis::default().look(&serde_json::from_str(&readings).unwrap(), &[], &|_| true, 1);
            found.into_iter().map(|finding| format!("{} {}", finding.check, finding.state.name())).collect::<Vec<_>>()
        };
        let lost = MULTIPATH.lines().take(2).fold(String::new(), |text, line| text + line + "\n");
        assert_eq!(found("multipath", run("multipath", None, &["-ll"], "done", &lost)), ["multipath_failed bad"]);
        let gone = MULTIPATH.replace("2:0:0:1 sdc 8:32 failed faulty running", "#:#:#:# -   #:#  active undef unknown");
        assert_eq!(found("multipath", run("multipath", None, &["-ll"], "done", &gone)), ["multipath_failed bad"]);
        let missing = BTRFS.replace("/dev/sda", "devid:2").replace("     4", "     0");
        assert_eq!(found("pool", run("btrfs", Some("/srv"), &["device", "stats"], "done", &missing)), ["pool_degraded bad"]);
    }

    #[test]
    fn tools_that_are_not_there_have_nothing_to_tell() {
        for section in ["pool", "multipath"] {
            let runs = ["zpool", "btrfs", "lvs", "multipath"].map(|tool| run(tool, None, &["status"], "missing", ""));
            assert_eq!(taken_of(section, runs.to_vec()), (json!({}), vec![]), "{section}");
            assert_eq!(taken(&crate::probe::tests::recorded(&[]), section).1, [format!("{section} not_found")]);
        }
        assert_eq!(taken_of("pool", vec![run("zpool", None, &["status"], "timed_out", "")]).1, ["pool timed_out"]);
    }
}
