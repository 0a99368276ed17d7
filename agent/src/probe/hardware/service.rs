//! Services and programs the facility named, from the helper's report.

use super::silent;
use crate::probe::{Sources, Take};
use mimamori_shared::fields::{Process, Readings, Service};
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;

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
            active: service.active.as_ref().and_then(|state| is_active(state.as_str())),
            restarts: number(service.restarts),
            memory_bytes: number(service.memory_bytes),
            tasks: number(service.tasks),
            open_handles: number(service.handles),
        });
    }
}

/// Whether a unit in this state does its work; one on the way up or down is neither (org.freedesktop.systemd1, `ActiveState`).
fn is_active(state: &str) -> Option<i64> {
    match state {
        "active" | "reloading" | "refreshing" => Some(1),
        "activating" | "deactivating" => None,
        _ => Some(0),
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
    use super::super::tests::{NOW_MS, machine};
    use crate::probe::tests::taken;
    use serde_json::json;

    #[test]
    fn a_service_that_reads_its_configuration_again_is_not_down_and_one_on_the_way_is_not_known() {
        let told = ["active", "reloading", "refreshing", "activating", "deactivating", "inactive", "failed", "maintenance"].map(super::is_active);
        assert_eq!(told, [Some(1), Some(1), Some(1), None, None, Some(0), Some(0), Some(0)]);
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
