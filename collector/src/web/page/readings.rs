//! Everything that was measured, section by section: what there is once as rows, what there are several of as a table
//! with a row for each.

use super::html::Html;
use super::machine::{columns_of, rest};
use super::words::ago;
use crate::view::MachineView;
use crate::web::lang::{Key, Lang};
use crate::words;
use mimamori_shared::fields::{Field, Value};
use mimamori_shared::limits::NAMES_PER_SECTION_MAX;
use mimamori_shared::payload::Report;

/// One entry of a section: its name, where it has one, and its values in the order of the fields.
struct Entry<'a> {
    name: Option<&'a str>,
    values: Vec<(&'static Field, Value<'a>)>,
}

/// The sections in order, each with its entries.
fn sections(report: &Report) -> Vec<(&'static str, Vec<Entry<'_>>)> {
    let mut sections: Vec<(&'static str, Vec<Entry<'_>>)> = Vec::new();
    report.readings.visit(|field, name, value| {
        if sections.last().is_none_or(|(section, _)| *section != field.section) {
            sections.push((field.section, Vec::new()));
        }
        let Some((_, entries)) = sections.last_mut() else { return };
        // Two entries may have one name: the second begins where the fields begin again.
        let same = |entry: &Entry<'_>| entry.name == name && entry.values.last().is_none_or(|(last, _)| last.id < field.id);
        match entries.last_mut().filter(|entry| same(entry)) {
            Some(entry) => entry.values.push((field, value)),
            None => entries.push(Entry { name, values: vec![(field, value)] }),
        }
    });
    sections
}

pub(super) fn readings(page: &mut Html, machine: &MachineView, report: &Report, at_ms: i64, lang: Lang) {
    page.leaf("h2", &[], Key::Readings.text(lang));
    for (shown, key) in [(machine.current_report(at_ms).is_none(), Key::OldReadings), (machine.preview, Key::Preview)] {
        if shown {
            page.leaf("p", &[("class", "bad")], key.text(lang));
        }
    }
    for (section, entries) in sections(report) {
        page.open("h3", &[]).text(words::section(section, lang)).raw(" ").leaf("code", &[], section);
        if let Some(taken) = machine.taken(section) {
            let class = if machine.is_current(section, at_ms) { "dim" } else { "bad" };
            page.raw(" ").leaf("small", &[("class", class)], &format!("{} {}", Key::Received.text(lang), ago(taken.received_ms, at_ms, lang)));
        }
        page.close("h3");
        match entries.as_slice() {
            [only] if only.name.is_none() => rows(page, only, lang),
            several => table(page, several, lang),
        }
    }
}

fn rows(page: &mut Html, entry: &Entry<'_>, lang: Lang) {
    columns_of(page, &[Key::Field, Key::Value, Key::Meaning], lang);
    for (field, value) in &entry.values {
        page.raw("<tr><td>").leaf("code", &[], &field.path()).raw("</td>").leaf("td", &[], &words::value(field, *value, lang));
        page.leaf("td", &[], lang.of(field.meaning, field.meaning_ja)).raw("</tr>\n");
    }
    page.raw("</tbody></table>");
}

fn table(page: &mut Html, entries: &[Entry<'_>], lang: Lang) {
    let shown = entries.get(..NAMES_PER_SECTION_MAX).unwrap_or(entries);
    let mut columns: Vec<&'static Field> = shown.iter().flat_map(|entry| &entry.values).map(|(field, _)| *field).collect();
    columns.sort_by_key(|field| field.id);
    columns.dedup_by_key(|field| field.id);
    page.raw("<div class=\"wide\"><table><thead><tr>").leaf("th", &[("scope", "col")], Key::Entry.text(lang));
    for field in &columns {
        page.open("th", &[("scope", "col")]).text(lang.of(field.meaning, field.meaning_ja)).raw("<br>").leaf("code", &[], &field.path()).close("th");
    }
    page.raw("</tr></thead><tbody>");
    for entry in shown {
        page.raw("<tr>").leaf("th", &[("scope", "row")], entry.name.unwrap_or_default());
        for column in &columns {
            let value = entry.values.iter().find(|(field, _)| field.id == column.id);
            page.leaf("td", &[], &value.map(|(field, value)| words::value(field, *value, lang)).unwrap_or_default());
        }
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table></div>");
    rest(page, entries.len().saturating_sub(shown.len()), lang);
}
