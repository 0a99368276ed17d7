//! The fleet as metrics: one family at a time, all machines under it. Beside the text only the current values are held.
//!
//! What an agent says is hostile: names stand in labels only, escaped; an entry that stands twice makes one series;
//! no machine makes more than [`SERIES_PER_AGENT_MAX`], no facility more than [`SERIES_PER_FACILITY_MAX`]. Readings that no longer say how the machine is now are left
//! out, so that a stale value never looks current; the machine's state stays. A retired machine makes no series: another one may have its name, and
//! Prometheus refuses a page on which a series stands twice. It is counted.

use super::exposition::{Exposition, Format, MetricKind, Number};
use super::selfmetrics::SelfMetrics;
use crate::store::ForkMark;
use crate::view::{FleetView, Life, MachineView};
use mimamori_domain::presence::State;
use mimamori_shared::consent::EXPIRY_DAYS;
use mimamori_shared::fields::{Field, Kind, Value, fields};
use mimamori_shared::limits::{SERIES_PER_AGENT_MAX, SERIES_PER_FACILITY_MAX};
use mimamori_shared::payload::{ConsentState, Finding, Layer, Report, Standing};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// Before every name of a reading.
pub const PREFIX: &str = "mimamori_machine_";
/// Pairs of probe and code that one machine may show.
const FAULTS_MAX: usize = 32;
/// Things that are not in order of which one machine may show how they stand, the worst first.
const FINDINGS_MAX: usize = 64;

/// All metrics of the collector: its own and the fleet's.
#[must_use]
pub fn page(own: &SelfMetrics, view: &FleetView, format: Format) -> String {
    let mut out = String::new();
    let mut exposition = Exposition::new(&mut out, format);
    // Writing to a string does not fail.
    let written = own.write(&mut exposition).and_then(|()| fleet(view, &mut exposition)).and_then(|()| exposition.end());
    debug_assert!(written.is_ok());
    out
}

/// The fleet's part, without an end.
///
/// # Errors
/// When the writer fails.
pub fn fleet(view: &FleetView, out: &mut Exposition<'_>) -> fmt::Result {
    let families = families();
    let numbered = families.iter().enumerate().flat_map(|(number, (_, rows))| rows.iter().map(move |field| (field.id, number)));
    let order: HashMap<u16, usize> = numbered.collect();
    let machines = view.facilities.iter().flat_map(|facility| facility.machines.iter().map(move |machine| (facility, machine)));
    let machines = machines.filter(|(_, machine)| machine.life != Life::Retired);
    let current: Vec<_> = machines.map(|(facility, machine)| (facility, machine, machine.current_report(view.at_ms))).collect();
    let mut left: HashMap<&str, usize> = HashMap::new();
    let rows: Vec<Row<'_>> = current
        .iter()
        .map(|(facility, machine, report)| {
            let left = left.entry(&facility.alias).or_insert(SERIES_PER_FACILITY_MAX);
            Row::of(&facility.alias, machine, report.as_ref(), &order).within(left)
        })
        .collect();
    totals(view, out)?;
    for own in OWN {
        out.family(&format!("{PREFIX}{}", own.name), own.kind, own.help)?;
        for row in &rows {
            (own.samples)(row, &mut Samples { row, own, out })?;
        }
    }
    for (number, (metric, family)) in families.iter().enumerate() {
        let mut named = false;
        let name = format!("{PREFIX}{metric}");
        for row in &rows {
            let from = row.readings.partition_point(|reading| reading.family < number);
            for Reading { field, entry, value, .. } in row.readings.iter().skip(from).take_while(|reading| reading.family == number) {
                if !named {
                    out.family(&name, kind_of(family), &help_of(family))?;
                    named = true;
                }
                let entry = entry.map_or(("", ""), |entry| (entry_label(field), entry));
                out.sample(&name, &[("facility", row.facility), ("machine", &row.machine.alias), entry, field.label], scaled(field, *value))?;
            }
        }
    }
    Ok(())
}

fn totals(view: &FleetView, out: &mut Exposition<'_>) -> fmt::Result {
    let [(facilities, facilities_help), (machines, machines_help)] = TOTALS;
    out.family(facilities, MetricKind::Gauge, facilities_help)?;
    out.sample(facilities, &[], count(view.facilities.len()))?;
    out.family(machines, MetricKind::Gauge, machines_help)?;
    for state in State::ALL {
        let number = view.facilities.iter().flat_map(|facility| &facility.machines).filter(|machine| counted(machine) == state).count();
        out.sample(machines, &[("state", state.name())], count(number))?;
    }
    Ok(())
}

/// What a machine counts as: out of service from the decision on, also before its presence is judged.
fn counted(machine: &MachineView) -> State {
    if machine.life == Life::Retired { State::Retired } else { machine.state }
}

/// Totals over the fleet: name and help.
pub const TOTALS: [(&str, &str); 2] =
    [("mimamori_facilities", "Facilities."), ("mimamori_machines", "Machines, by state. Retired ones are counted here and make no other series.")];

/// A metric of a machine that is no reading.
#[derive(Debug)]
pub struct Own {
    /// Its name without [`PREFIX`].
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// Labels beside facility and machine.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
    samples: fn(&Row<'_>, &mut Samples<'_, '_>) -> fmt::Result,
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str, samples: fn(&Row<'_>, &mut Samples<'_, '_>) -> fmt::Result) -> Own {
    Own { name, kind: MetricKind::Gauge, labels, help, samples }
}

/// Every metric of a machine that is no reading.
pub const OWN: &[Own] = &[
    gauge("state", &["state"], "1 for the state the machine is in, 0 for the others.", |row, out| {
        State::ALL.into_iter().try_for_each(|state| out.one(&[state.name()], flag(row.machine.state == state)))
    }),
    gauge("state_since_timestamp_seconds", &[], "Since when the machine is in its state.", |row, out| out.moment(Some(row.machine.since_ms))),
    gauge("last_report_timestamp_seconds", &[], "When the newest report was received.", |row, out| out.moment(row.machine.last_received_ms)),
    gauge("report_taken_timestamp_seconds", &[], "The machine's clock in the newest report.", |row, out| out.moment(row.machine.last_taken_ms)),
    gauge("clock_skew_seconds", &[], "The machine's clock minus the collector's.", |row, out| out.moment(row.machine.skew_ms)),
    gauge("report_interval_seconds", &[], "Planned time between two reports.", |row, out| out.one(&[], Number::Count(row.machine.interval_s))),
    gauge("chain_epoch", &[], "Ordinal of the machine's newest chain.", |row, out| out.one(&[], Number::Whole(row.machine.epoch.into()))),
    gauge("chain_next_seq", &[], "The place its newest chain goes on at.", |row, out| out.one(&[], Number::Count(row.machine.next_seq))),
    gauge("chain_forked", &[], "Whether a key of the machine was heard with two voices and no operator has approved the machine since.", |row, out| {
        out.one(&[], flag(row.machine.fork == Some(ForkMark::Now)))
    }),
    gauge(
        "chain_fork_approved_timestamp_seconds",
        &[],
        "When an operator approved a machine whose newest chain is forked and was heard no more since.",
        |row, out| out.moment(if let Some(ForkMark::Approved(ms)) = row.machine.fork { Some(ms) } else { None }),
    ),
    gauge("chain_waiting", &[], "Whether the collector waits for a missing place of the chain.", |row, out| {
        out.one(&[], flag(row.machine.waiting_for.is_some()))
    }),
    gauge("consent_state", &["state"], "1 for the state of the consent, 0 for the others; all 0 before the first statement.", |row, out| {
        CONSENTS.into_iter().try_for_each(|(state, name)| out.one(&[name], flag(row.machine.consent == Some(state))))
    }),
    gauge("consent_end_timestamp_seconds", &[], "End of the consent.", |row, out| out.moment(row.machine.consent_valid_to_ms)),
    gauge("consent_ends_soon", &["days"], "1 when the granted consent ends within so many days, else 0.", |row, out| {
        let ends = |days: u32| row.machine.consent_ends_in_days.is_some_and(|within| within <= days);
        EXPIRY_DAYS.into_iter().try_for_each(|days| out.one(&[&days.to_string()], flag(ends(days))))
    }),
    gauge("finding", &["check", "name", "state"], FINDING_HELP, |row, out| {
        let name = |one: &Finding| one.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default();
        row.standing().try_for_each(|one| out.one(&[one.check.as_str(), &name(one), one.state.name()], flag(true)))
    }),
    gauge("findings_standing", &["state"], "Things that are not in order by the machine's self-diagnosis, as it said last, by state.", |row, out| {
        let number = |state: Standing| row.machine.standing.iter().filter(|one| one.finding.state == state).count();
        [Standing::Unknown, Standing::Gone, Standing::Bad].into_iter().try_for_each(|state| out.one(&[state.name()], count(number(state))))
    }),
    gauge("findings", &[], "How often something was found of the machine, by what is kept of findings: nothing closes one.", |row, out| {
        out.one(&[], Number::Count(row.machine.findings))
    }),
    Own {
        name: "push_failed_seconds_total",
        kind: MetricKind::Counter,
        labels: &["layer"],
        help: "Time during which pushes failed, by layer, in the newest chain.",
        samples: |row, out| Layer::ALL.into_iter().try_for_each(|layer| out.one(&[layer.name()], Number::Count(row.machine.push_fail.of(layer)))),
    },
    gauge("faults", &["probe", "code"], "Readings of the newest report that could not be taken.", |row, out| {
        row.faults.iter().try_for_each(|((probe, code), number)| out.one(&[probe, code], count(*number)))
    }),
    gauge("series_dropped", &[], "What makes no series of the newest report and of what is not in order: over the bounds, or named twice.", |row, out| {
        out.one(&[], count(row.dropped))
    }),
    gauge("info", &["version", "fingerprint"], "The agent's version and its key's fingerprint; always 1.", |row, out| {
        out.one(&[&row.machine.agent_version, &row.machine.fingerprint], flag(true))
    }),
];

const FINDING_HELP: &str = "1 for each thing that is not in order by the machine's self-diagnosis (bad, gone or unknown), as it said last: it ends when the machine says so, \
    and stays while the machine is silent. Of very many the worst; see findings_standing.";

const CONSENTS: [(ConsentState, &str); 3] = [(ConsentState::Granted, "granted"), (ConsentState::Withdrawn, "withdrawn"), (ConsentState::Expired, "expired")];

struct Samples<'a, 'w> {
    row: &'a Row<'a>,
    own: &'a Own,
    out: &'a mut Exposition<'w>,
}

impl Samples<'_, '_> {
    fn one(&mut self, values: &[&str], value: Number) -> fmt::Result {
        let mut labels = vec![("facility", self.row.facility), ("machine", self.row.machine.alias.as_str())];
        labels.extend(self.own.labels.iter().copied().zip(values.iter().copied()));
        self.out.sample(&format!("{PREFIX}{}", self.own.name), &labels, value)
    }

    fn moment(&mut self, ms: Option<i64>) -> fmt::Result {
        ms.map_or(Ok(()), |ms| self.one(&[], Number::Millis(ms)))
    }
}

struct Reading<'a> {
    family: usize,
    field: &'static Field,
    entry: Option<&'a str>,
    value: i64,
}

/// A machine with what of its newest report becomes series, in the order of the families.
struct Row<'a> {
    facility: &'a str,
    machine: &'a MachineView,
    readings: Vec<Reading<'a>>,
    faults: BTreeMap<(&'a str, &'static str), usize>,
    dropped: usize,
}

impl<'a> Row<'a> {
    fn of(facility: &'a str, machine: &'a MachineView, report: Option<&'a Report>, order: &HashMap<u16, usize>) -> Row<'a> {
        let dropped = machine.standing.len().saturating_sub(FINDINGS_MAX);
        let mut row = Row { facility, machine, readings: Vec::new(), faults: BTreeMap::new(), dropped };
        let Some(report) = report else { return row };
        for fault in &report.faults {
            let key = (fault.probe.as_str(), fault.code.name());
            if row.faults.len() < FAULTS_MAX || row.faults.contains_key(&key) {
                *row.faults.entry(key).or_default() += 1;
            } else {
                row.dropped += 1;
            }
        }
        let room = SERIES_PER_AGENT_MAX.saturating_sub(row.faults.len() + row.standing().count());
        let mut seen = HashSet::new();
        report.readings.visit(|field, entry, value| {
            let (Some(family), Value::Number(value)) = (order.get(&field.id), value) else { return };
            if row.readings.len() < room && seen.insert((field.id, entry)) {
                row.readings.push(Reading { family: *family, field, entry, value });
            } else {
                row.dropped += 1;
            }
        });
        row.readings.sort_by_key(|reading| reading.family);
        row
    }
}

impl Row<'_> {
    /// What of its self-diagnosis makes series.
    fn standing(&self) -> impl Iterator<Item = &Finding> {
        self.machine.standing.iter().map(|one| &one.finding).take(FINDINGS_MAX)
    }

    /// Keeps what its facility has room for. What is left out is counted with what the machine itself is too much.
    fn within(mut self, left: &mut usize) -> Self {
        let kept = self.readings.len().min(*left);
        self.dropped += self.readings.len() - kept;
        self.readings.truncate(kept);
        *left -= kept;
        self
    }
}

/// The readings' families in the order of the table: a metric and the rows that make it.
#[must_use]
pub fn families() -> Vec<(&'static str, Vec<&'static Field>)> {
    let mut families: Vec<(&'static str, Vec<&'static Field>)> = Vec::new();
    for field in fields().filter(|field| !field.metric.is_empty() && field.kind != Kind::Text) {
        match families.iter_mut().find(|(metric, _)| *metric == field.metric) {
            Some((_, rows)) => rows.push(field),
            None => families.push((field.metric, vec![field])),
        }
    }
    families
}

/// How a family behaves.
#[must_use]
pub fn kind_of(family: &[&Field]) -> MetricKind {
    if family.iter().any(|field| field.kind == Kind::Counter) { MetricKind::Counter } else { MetricKind::Gauge }
}

/// What a family means: the meaning of its row, or of each with the label's value before it.
#[must_use]
pub fn help_of(family: &[&Field]) -> String {
    let meaning = |field: &&Field| match field.label {
        ("", _) => field.meaning.to_owned(),
        (label, value) => format!("{label}={value}: {}", field.meaning),
    };
    family.iter().map(meaning).collect::<Vec<_>>().join(" ")
}

/// The label that carries the name of an entry; empty for sections without entries.
#[must_use]
pub fn entry_label(field: &Field) -> &'static str {
    match (field.name_class, field.section) {
        ("", _) => "",
        ("device", _) => "device",
        (_, section) => section,
    }
}

/// Dividing by a power of ten rounds once; multiplying by 0.001 would show 35 ms as 0.035000000000000003 s.
#[allow(clippy::cast_precision_loss, reason = "Prometheus knows doubles only")]
fn scaled(field: &Field, value: i64) -> Number {
    if (field.scale - 1.0).abs() < 1e-9 {
        Number::Whole(value)
    } else if field.scale > 1.0 {
        Number::Real(value as f64 * field.scale)
    } else if (field.scale - 0.001).abs() < 1e-9 {
        Number::Millis(value)
    } else {
        Number::Real(value as f64 / (1.0_f64 / field.scale).round())
    }
}

fn flag(yes: bool) -> Number {
    Number::Whole(i64::from(yes))
}

fn count(number: usize) -> Number {
    Number::Count(u64::try_from(number).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
