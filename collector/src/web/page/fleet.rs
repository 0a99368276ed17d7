//! All facilities and machines on one page.

use super::html::Html;
use super::layout;
use super::machine::path;
use super::words::{ago, because, chain, consent, headlines, life, moment, more, shape, state};
use crate::view::{FacilityView, FleetView, Life, MachineView};
use crate::web::lang::{Key, Lang};
use crate::words;
use mimamori_domain::wall::{self, Clock};
use mimamori_shared::payload::Standing;

/// Things that are not in order which the list of all machines names of one.
const STANDING_MAX: usize = 3;

/// The page at `/`.
#[must_use]
pub fn page(view: &FleetView, lang: Lang) -> String {
    layout(view, lang, "/", Key::Title.text(lang), |page| {
        security(page, view, lang);
        if view.facilities.is_empty() {
            page.open("p", &[]).text(Key::NoFacility.text(lang)).raw(" <code>mimamori-collector facility add …</code>").close("p");
        }
        for one in &view.facilities {
            facility(page, one, view.at_ms, lang);
        }
    })
}

/// Alarms first, with what to do; then what was counted today.
fn security(page: &mut Html, view: &FleetView, lang: Lang) {
    let today = &view.security;
    page.open("h2", &[]).text(Key::Today.text(lang)).text(" ").text(&today.day.to_string()).close("h2").raw("<ul>");
    for alarm in today.alarms.iter().filter(|alarm| alarm.until_ms.is_none()) {
        let abuse = alarm.abuse;
        page.open("li", &[]).leaf("span", &[("class", "bad")], Key::Alarm.text(lang)).raw(" ");
        page.text(lang.of(abuse.words_en(), abuse.words_ja())).text(": ").text(Key::Since.text(lang)).text(" ").text(&moment(alarm.since_ms));
        page.raw("<br>").leaf("span", &[("class", "dim")], lang.of(abuse.mend_en(), abuse.mend_ja())).close("li");
    }
    for (abuse, counted) in &today.events {
        page.open("li", &[]).text(lang.of(abuse.words_en(), abuse.words_ja())).text(": ").text(&counted.count.to_string()).close("li");
    }
    if today.events.is_empty() && today.alarms.is_empty() {
        page.leaf("li", &[], Key::NothingToday.text(lang));
    }
    page.raw("</ul>");
}

/// What is wrong with the machine's clock.
fn clock_off(machine: &MachineView, lang: Lang) -> Option<String> {
    let skew_ms = machine.skew_ms?;
    let off = format!("{} {} s", Key::ClockOff.text(lang), skew_ms / 1000);
    match wall::judge(skew_ms) {
        Clock::Good => None,
        Clock::Skewed => Some(off),
        Clock::Quarantined => Some(format!("{off}: {}", Key::ClockUnused.text(lang))),
    }
}

fn facility(page: &mut Html, facility: &FacilityView, at_ms: i64, lang: Lang) {
    page.open("h2", &[]).text(&facility.name).raw(" ").leaf("code", &[], &facility.alias);
    if facility.example {
        page.raw(" ").leaf("span", &[("class", "example")], Key::Example.text(lang));
    }
    page.close("h2");
    if facility.example {
        page.leaf("p", &[("class", "example")], Key::ExampleFacility.text(lang));
    }
    if facility.machines.is_empty() {
        page.leaf("p", &[], Key::NoMachine.text(lang));
        return;
    }
    page.raw("<table><thead><tr>");
    for key in [Key::Machine, Key::State, Key::LastReport, Key::Readings, Key::Consent, Key::Chain, Key::Findings] {
        page.leaf("th", &[("scope", "col")], key.text(lang));
    }
    page.raw("</tr></thead><tbody>");
    for machine in &facility.machines {
        row(page, &facility.alias, machine, at_ms, lang);
    }
    page.raw("</tbody></table>");
}

fn row(page: &mut Html, facility: &str, machine: &MachineView, at_ms: i64, lang: Lang) {
    let href = format!("{}?lang={}", path(facility, machine), lang.tag());
    page.raw("<tr>").open("th", &[("scope", "row")]).leaf("a", &[("href", &href)], &machine.alias);
    if machine.life != Life::Active {
        page.raw("<br>").leaf("span", &[("class", "bad")], life(machine.life, lang));
    }
    if let Some(words) = clock_off(machine, lang) {
        page.raw("<br>").leaf("span", &[("class", "bad")], &words);
    }
    page.close("th").raw("<td>");
    state_cell(page, machine, lang);
    page.raw("</td><td>");
    match machine.last_received_ms {
        Some(ms) => page.text(&ago(ms, at_ms, lang)).raw("<br>").leaf("span", &[("class", "dim")], &moment(ms)),
        None => page.text(Key::Never.text(lang)),
    };
    page.raw("</td><td>");
    match machine.current_report(at_ms) {
        Some(report) => {
            page.raw("<ul>");
            for line in headlines(&report, lang) {
                page.leaf("li", &[], &line);
            }
            if machine.preview {
                page.leaf("li", &[("class", "dim")], Key::Preview.text(lang));
            }
            page.raw("</ul>")
        }
        None => page.leaf("span", &[("class", "dim")], Key::NotCurrent.text(lang)),
    };
    page.raw("</td><td>");
    consent_cell(page, machine, lang);
    page.raw("</td><td>");
    let (words, wrong) = chain(machine, at_ms, lang);
    page.leaf("span", if wrong { &[("class", "bad")] } else { &[] }, &words).raw("</td><td>");
    page.leaf("span", if machine.findings > 0 { &[("class", "bad")] } else { &[] }, &machine.findings.to_string());
    standing(page, machine, lang);
    page.raw("</td></tr>\n");
}

/// The worst of what the machine itself says is not in order.
fn standing(page: &mut Html, machine: &MachineView, lang: Lang) {
    if machine.standing.is_empty() {
        return;
    }
    page.raw("<ul>");
    for one in machine.standing.iter().take(STANDING_MAX) {
        let name = one.finding.name.as_ref().map_or("", |name| name.as_str());
        let text = format!("{}: {} {name}", words::standing(&one.finding, lang), words::check(&one.finding, lang));
        page.leaf("li", &[("class", if one.finding.state == Standing::Bad { "bad" } else { "" })], text.trim_end());
    }
    let left = machine.standing.len().saturating_sub(STANDING_MAX);
    if left > 0 {
        page.leaf("li", &[("class", "dim")], &more(left, lang));
    }
    page.raw("</ul>");
}

/// The state by shape and by word, since when and why.
pub(super) fn state_cell(page: &mut Html, machine: &MachineView, lang: Lang) {
    page.open("span", &[("class", &format!("state {}", machine.state.name()))]);
    page.open("span", &[("aria-hidden", "true")]).text(shape(machine.state)).close("span").raw(" ");
    page.text(state(machine.state, lang)).close("span").raw("<br>").text(Key::Since.text(lang)).raw(" ").text(&moment(machine.since_ms));
    page.raw("<br>").leaf("span", &[("class", "dim")], &because(machine, lang));
}

/// The consent, and whether it is the example's.
pub(super) fn consent_cell(page: &mut Html, machine: &MachineView, lang: Lang) {
    page.text(&consent(machine, lang));
    if machine.consent_ends_in_days.is_some() {
        page.raw("<br>").leaf("span", &[("class", "bad")], Key::ConsentEnds.text(lang));
    }
    if machine.consent_example {
        page.raw("<br>").open("span", &[("class", "example")]);
        page.text(Key::Example.text(lang)).raw(": ").text(Key::ExampleConsent.text(lang)).close("span");
    }
}
