//! Messages of the kernel and lines of the journal, counted by the helper. Their text never got here.

use super::silent;
use crate::probe::{Sources, Take};
use mimamori_shared::fields::{Journal, KernelLog, Readings};
use mimamori_shared::payload::Fault;

pub(in crate::probe) fn kernel(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("kernel_log", faults);
    let Some(report) = take.whole(sources.helper()) else { return };
    let Some(counts) = take.whole(report.counts.kernel_log.as_ref().ok_or_else(|| silent(report, "kernel_log"))) else { return };
    // A class that is absent was looked for and not seen.
    let count = |class: &str| Some(counts.iter().find(|(name, _)| name.as_str() == class).map_or(0, |(_, count)| i64::try_from(*count).unwrap_or(i64::MAX)));
    readings.kernel_log = Some(KernelLog {
        io_errors: count("io_error"),
        hung_tasks: count("hung_task"),
        link_flaps: count("link_flap"),
        machine_checks: count("machine_check"),
        thermal: count("thermal"),
        oom_kills: count("oom"),
        filesystem_errors: count("filesystem_error"),
        raid_failures: count("raid_failure"),
        lockups: count("lockup"),
        kernel_faults: count("kernel_fault"),
        memory_uncorrected: count("memory_uncorrected"),
        memory_corrected: count("memory_corrected"),
        pcie_errors: count("pcie_error"),
        segfaults: count("segfault"),
    });
}

pub(in crate::probe) fn journal(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("journal", faults);
    let Some(report) = take.whole(sources.helper()) else { return };
    let Some(counts) = take.whole(report.counts.journal.as_ref().ok_or_else(|| silent(report, "journal"))) else { return };
    let one = |(name, count): (&mimamori_shared::word::Word, &u64)| Journal { name: name.clone(), matches: i64::try_from(*count).ok() };
    readings.journal.extend(counts.iter().map(one));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW_MS, machine};
    use crate::probe::tests::taken;
    use mimamori_parse::dmesg::Class;
    use serde_json::json;

    #[test]
    fn every_class_the_helper_counts_has_its_field() {
        for class in Class::ALL {
            let host = machine(NOW_MS, |report| report["counts"]["kernel_log"] = json!({ class.word(): 7 }), &[]);
            let (readings, faults) = taken(&host, "kernel_log");
            assert_eq!((readings.matches(":7").count(), readings.matches(":0").count(), faults.len()), (1, Class::ALL.len() - 1, 0), "{}", class.word());
        }
        assert_eq!(taken(&machine(NOW_MS, |_| {}, &[]), "kernel_log").1, ["kernel_log permission_denied"]);
    }

    #[test]
    fn patterns_travel_by_their_alias() {
        let host = machine(NOW_MS, |report| report["counts"]["journal"] = json!({"login_failed": 3}), &[]);
        assert_eq!(taken(&host, "journal").0, r#"{"journal":[{"name":"login_failed","matches":3}]}"#);
    }
}
