//! One machine with all its readings and faults.

use super::fleet::{consent_cell, state_cell};
use super::html::{Html, segment};
use super::layout;
use super::readings;
use super::words::{ago, chain, life, moment, more};
use crate::view::{FacilityView, FleetView, Life, MachineView};
use crate::web::lang::{Key, Lang};
use crate::words;
use mimamori_shared::id::AgentId;
use mimamori_shared::payload::{Layer, Report, Standing};

/// Faults that are shown.
const FAULTS_MAX: usize = 256;

/// Where its page is: a retired machine's by its agent id, for its name may be another one's.
pub(super) fn path(facility: &str, machine: &MachineView) -> String {
    let name = if machine.life == Life::Retired { machine.agent_id.to_string() } else { machine.alias.clone() };
    format!("/machines/{}/{}", segment(facility), segment(&name))
}

/// The page at `/machines/FACILITY/MACHINE`, or with an agent id in the place of the name; `None` when there is no such machine.
#[must_use]
pub fn page(view: &FleetView, facility: &str, machine: &str, lang: Lang) -> Option<String> {
    let facility = view.facilities.iter().find(|one| one.alias == facility)?;
    let id = machine.parse::<AgentId>().ok();
    let machines = || facility.machines.iter();
    let machine = machines().find(|one| one.alias == machine).or_else(|| machines().find(|one| Some(one.agent_id) == id))?;
    let here = path(&facility.alias, machine);
    let title = format!("{} / {}", facility.name, machine.alias);
    Some(layout(view, lang, &here, &title, |page| {
        page.open("p", &[]).leaf("a", &[("href", &format!("/?lang={}", lang.tag()))], Key::AllMachines.text(lang)).close("p");
        summary(page, facility, machine, view.at_ms, lang);
        standing(page, machine, view.at_ms, lang);
        if let Some(report) = &machine.report {
            readings::readings(page, machine, report, view.at_ms, lang);
            faults(page, report, lang);
        }
    }))
}

fn summary(page: &mut Html, facility: &FacilityView, machine: &MachineView, at_ms: i64, lang: Lang) {
    if facility.example {
        page.open("p", &[("class", "example")]).text(Key::Example.text(lang)).raw(": ").text(Key::ExampleFacility.text(lang)).close("p");
    }
    page.raw("<table><tbody><tr>").leaf("th", &[("scope", "row")], Key::State.text(lang)).raw("<td>");
    state_cell(page, machine, lang);
    page.raw("</td></tr><tr>").leaf("th", &[("scope", "row")], Key::Consent.text(lang)).raw("<td>");
    consent_cell(page, machine, lang);
    page.raw("</td></tr>");
    let unknown = || Key::Unknown.text(lang).to_owned();
    let (chain, _) = chain(machine, at_ms, lang);
    let received = machine.last_received_ms.map(|ms| format!("{} ({})", moment(ms), ago(ms, at_ms, lang)));
    let failed = |layer: &Layer| machine.push_fail.of(*layer) > 0;
    let failed: Vec<String> =
        Layer::ALL.iter().filter(|layer| failed(layer)).map(|layer| format!("{} {}", layer.name(), machine.push_fail.of(*layer))).collect();
    for (key, value) in [
        (Key::Life, life(machine.life, lang).to_owned()),
        (Key::LastReport, received.unwrap_or_else(|| Key::Never.text(lang).to_owned())),
        (Key::Taken, machine.last_taken_ms.map_or_else(unknown, moment)),
        (Key::Skew, machine.skew_ms.map_or_else(unknown, |ms| seconds(ms, lang))),
        (Key::Interval, format!("{} {}", machine.interval_s, Key::Seconds.text(lang))),
        (Key::Chain, chain),
        (Key::Epoch, machine.epoch.to_string()),
        (Key::Findings, machine.findings.to_string()),
        (Key::PushFailed, if failed.is_empty() { "0".to_owned() } else { failed.join(", ") }),
        (Key::AgentVersion, machine.agent_version.clone()),
        (Key::Fingerprint, machine.fingerprint.clone()),
        (Key::AgentId, machine.agent_id.to_string()),
    ] {
        page.raw("<tr>").leaf("th", &[("scope", "row")], key.text(lang)).leaf("td", &[], &value).raw("</tr>");
    }
    page.raw("</tbody></table>");
}

/// Seconds with their sign, such as `+1.000 s`.
fn seconds(ms: i64, lang: Lang) -> String {
    let (sign, size) = (if ms < 0 { "-" } else { "+" }, ms.unsigned_abs());
    format!("{sign}{}.{:03} {}", size / 1000, size % 1000, Key::Seconds.text(lang))
}

/// What the machine itself says is not in order.
fn standing(page: &mut Html, machine: &MachineView, at_ms: i64, lang: Lang) {
    let columns = [Key::State, Key::Meaning, Key::Subject, Key::SinceByMachine, Key::Evidence, Key::Received];
    if machine.standing.is_empty() {
        page.leaf("h2", &[], Key::Standing.text(lang)).leaf("p", &[], Key::NothingStands.text(lang));
        return;
    }
    page.leaf("h2", &[], Key::Standing.text(lang));
    if machine.current_report(at_ms).is_none() {
        page.leaf("p", &[("class", "bad")], Key::LastSaid.text(lang));
    }
    columns_of(page, &columns, lang);
    for one in &machine.standing {
        let finding = &one.finding;
        let class = if finding.state == Standing::Bad { "bad" } else { "" };
        page.raw("<tr>").leaf("td", &[("class", class)], words::standing(finding, lang)).raw("<td>").text(words::check(finding, lang));
        page.raw("<br>").leaf("code", &[], finding.check.as_str()).raw("</td>").leaf("td", &[], &words::subject(finding, lang));
        page.leaf("td", &[], &moment(finding.since_ms)).leaf("td", &[], &words::evidence(finding, lang));
        page.leaf("td", &[], &ago(one.received_at_ms, at_ms, lang)).raw("</tr>\n");
    }
    page.raw("</tbody></table>");
}

/// Begins a table.
pub(super) fn columns_of(page: &mut Html, columns: &[Key], lang: Lang) {
    page.raw("<table><thead><tr>");
    for key in columns {
        page.leaf("th", &[("scope", "col")], key.text(lang));
    }
    page.raw("</tr></thead><tbody>");
}

/// Lines that are not shown any more: what an agent names is bounded by bytes only.
pub(super) fn rest(page: &mut Html, left: usize, lang: Lang) {
    if left > 0 {
        page.leaf("p", &[("class", "dim")], &more(left, lang));
    }
}

fn faults(page: &mut Html, report: &Report, lang: Lang) {
    if report.faults.is_empty() {
        page.leaf("p", &[], Key::NoFaults.text(lang));
        return;
    }
    page.leaf("h2", &[], Key::Faults.text(lang));
    columns_of(page, &[Key::Probe, Key::Entry, Key::Code], lang);
    for fault in report.faults.iter().take(FAULTS_MAX) {
        let entry = fault.name.as_ref().map_or("", |name| name.as_str());
        page.raw("<tr><td>").text(words::section(fault.section(), lang)).raw("<br>").leaf("code", &[], fault.probe.as_str()).raw("</td>");
        page.leaf("td", &[], entry).raw("<td>").text(words::fault(fault, lang)).raw("<br>").leaf("code", &[], fault.code.name()).raw("</td></tr>\n");
    }
    page.raw("</tbody></table>");
    rest(page, report.faults.len().saturating_sub(FAULTS_MAX), lang);
}
