//! One machine with all its readings and faults.

use super::fleet::{consent_cell, state_cell};
use super::html::{Html, segment};
use super::layout;
use super::words::{ago, chain, life, moment};
use crate::view::{FacilityView, FleetView, Life, MachineView};
use crate::web::lang::{Key, Lang};
use mimamori_shared::fields::Value;
use mimamori_shared::id::AgentId;
use mimamori_shared::payload::{Layer, Report};

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
        if let Some(report) = &machine.report {
            readings(page, machine, report, view.at_ms, lang);
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

fn head(page: &mut Html, title: Key, columns: &[Key], lang: Lang) {
    page.leaf("h2", &[], title.text(lang)).raw("<table><thead><tr>");
    for key in columns {
        page.leaf("th", &[("scope", "col")], key.text(lang));
    }
    page.raw("</tr></thead><tbody>");
}

fn readings(page: &mut Html, machine: &MachineView, report: &Report, at_ms: i64, lang: Lang) {
    for (shown, key) in [(machine.current_report(at_ms).is_none(), Key::OldReadings), (machine.preview, Key::Preview)] {
        if shown {
            page.leaf("p", &[("class", "bad")], key.text(lang));
        }
    }
    head(page, Key::Readings, &[Key::Field, Key::Entry, Key::Value, Key::Unit, Key::Meaning, Key::Received], lang);
    report.readings.visit(|field, entry, value| {
        let value = match value {
            Value::Number(number) => number.to_string(),
            Value::Text(word) => word.to_owned(),
        };
        page.raw("<tr>").raw("<td>").leaf("code", &[], &field.path()).raw("</td>").leaf("td", &[], entry.unwrap_or_default());
        page.leaf("td", &[], &value).leaf("td", &[], field.unit).leaf("td", &[], lang.of(field.meaning, field.meaning_ja));
        let received = machine.taken(field.section).map(|taken| ago(taken.received_ms, at_ms, lang)).unwrap_or_default();
        let class = if machine.is_current(field.section, at_ms) { "" } else { "dim" };
        page.leaf("td", &[("class", class)], &received).raw("</tr>\n");
    });
    page.raw("</tbody></table>");
}

fn faults(page: &mut Html, report: &Report, lang: Lang) {
    if report.faults.is_empty() {
        page.leaf("p", &[], Key::NoFaults.text(lang));
        return;
    }
    head(page, Key::Faults, &[Key::Probe, Key::Entry, Key::Code], lang);
    for fault in &report.faults {
        let entry = fault.name.as_ref().map_or("", |name| name.as_str());
        page.raw("<tr>").leaf("td", &[], fault.probe.as_str()).leaf("td", &[], entry).leaf("td", &[], fault.code.name()).raw("</tr>\n");
    }
    page.raw("</tbody></table>");
}
