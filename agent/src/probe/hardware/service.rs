//! Services and programs the facility named, and how many units failed, from the helper's report.

use super::{printed, runs, silent};
use crate::probe::{Sources, Take};
use mimamori_parse::hardware::Run;
use mimamori_parse::systemd;
use mimamori_shared::fields::{Process, Readings, Service, Units};
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;

pub(in crate::probe) fn units(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("units", faults);
    let Some(report) = take.whole(sources.helper()) else { return };
    let listed = runs(report, "systemctl").find(|run| run.args.iter().any(|arg| arg == "list-units"));
    // Without the drop-in the helper has no socket to systemd (docs/HARDWARE.md).
    let answered = |run: &Run| match (printed(run), run.exit) {
        (Err(FaultCode::NotConsented), _) => Err(FaultCode::NotConsented),
        (told, Some(0)) => told.map(str::to_owned),
        _ => Err(FaultCode::PermissionDenied),
    };
    let Some(text) = take.whole(listed.ok_or(FaultCode::NotFound).and_then(answered)) else { return };
    let Some(units) = take.whole(systemd::parse(&text).map_err(|_| FaultCode::Malformed)) else { return };
    let restarting = units.units.iter().filter(|unit| unit.sub == "auto-restart").count();
    readings.units = Some(Units {
        total: Some(units.states.values().sum()),
        failed: Some(units.states.get("failed").copied().unwrap_or(0)),
        restarting: i64::try_from(restarting).ok(),
    });
}

pub(in crate::probe) fn services(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("service", faults);
    let Some(report) = take.whole(sources.helper()) else { return };
    let Some(services) = take.whole(report.services.as_ref().ok_or_else(|| silent(report, "services"))) else { return };
    for (name, service) in services {
        let mut take = take.entry(name);
        // A unit that is not there is not one that is stopped.
        if service.load.as_ref().is_none_or(|load| load.as_str() != "loaded") {
            take.fail(FaultCode::NotFound);
            continue;
        }
        readings.service.push(Service {
            name: name.clone(),
            state: service.active.clone(),
            active: service.active.as_ref().map(|state| i64::from(state.as_str() == "active")),
            restarts: number(service.restarts),
            memory_bytes: number(service.memory_bytes),
            tasks: number(service.tasks),
            open_handles: number(service.handles),
        });
    }
}

pub(in crate::probe) fn processes(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("process", faults);
    let Some(report) = take.whole(sources.helper()) else { return };
    let Some(processes) = take.whole(report.processes.as_ref().ok_or_else(|| silent(report, "processes"))) else { return };
    let one = |(name, process): (&Word, &mimamori_parse::hardware::Process)| Process {
        name: name.clone(),
        count: number(Some(process.count)),
        memory_bytes: number(Some(process.rss_bytes)),
        cpu_ms: number(Some(process.cpu_ms)),
        open_handles: number(process.handles),
    };
    readings.process.extend(processes.iter().map(one));
}

fn number(number: Option<u64>) -> Option<i64> {
    number.and_then(|number| i64::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW_MS, machine, run};
    use crate::probe::tests::taken;
    use serde_json::json;

    #[test]
    fn failed_and_restarting_units_are_counted_and_never_named() {
        let list = "a.service loaded active running A\nb.service loaded failed failed B\nc.service loaded activating auto-restart C\n";
        let args = ["--no-pager", "list-units", "--all", "--plain", "--no-legend"];
        let (readings, faults) = taken(&machine(NOW_MS, |report| report["runs"] = json!([run("systemctl", None, &args, "done", list)]), &[]), "units");
        assert_eq!((readings.as_str(), faults.len()), (r#"{"units":{"total":3,"failed":1,"restarting":1}}"#, 0), "{faults:?}");
        assert_eq!(taken(&machine(NOW_MS, |_| {}, &[]), "units").1, ["units not_found"]);
    }

    #[test]
    fn named_services_and_programs_travel_by_their_alias() {
        let host = machine(
            NOW_MS,
            |report| {
                report["services"] = json!({"db": {"load": "loaded", "active": "failed", "sub": "failed", "memory_bytes": 5, "restarts": 2, "tasks": null, "handles": 4},
                                            "gone": {"load": "not-found", "active": "inactive", "sub": "dead", "memory_bytes": null, "restarts": null, "tasks": null, "handles": null}});
                report["processes"] = json!({"viewer": {"count": 0, "rss_bytes": 0, "cpu_ms": 0, "handles": null}});
            },
            &[],
        );
        let (readings, faults) = taken(&host, "service");
        assert_eq!(readings, r#"{"service":[{"name":"db","state":"failed","active":0,"restarts":2,"memory_bytes":5,"open_handles":4}]}"#);
        assert_eq!(faults, ["service gone not_found"]);
        assert_eq!(taken(&host, "process").0, r#"{"process":[{"name":"viewer","count":0,"memory_bytes":0,"cpu_ms":0}]}"#);
        assert_eq!(taken(&machine(NOW_MS, |_| {}, &[]), "service").1, ["service permission_denied"]);
    }
}
