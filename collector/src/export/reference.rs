//! docs/METRICS.md and docs/FIELDS.md, made from the tables that the code uses.

use super::exposition::MetricKind;
use super::metrics::{OWN, PREFIX, TOTALS, entry_label, families, help_of, kind_of};
use super::selfmetrics::SelfMetrics;
use mimamori_shared::fields::fields;

/// Every metric, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(
        "# Metrics\n\nMade from the code by `reference()`; do not edit. `GET /metrics` answers in Prometheus text 0.0.4 or OpenMetrics 1.0, by `Accept`.\n\
         Readings are left out once they are older than two intervals and 30 s, or when the machine is not up; its state stays.\n\
         Values are in base units; timestamps are seconds since 1970, UTC.\n\n## Machines: readings\n\n",
    );
    table_head(&mut out);
    for (metric, family) in families() {
        let field_label = family.first().map_or("", |field| field.label.0);
        let entry = family.first().map_or("", |field| entry_label(field));
        row(&mut out, &format!("{PREFIX}{metric}"), kind_of(&family), &["facility", "machine", entry, field_label], &help_of(&family));
    }
    out.push_str("\n## Machines: state, chain and consent\n\n");
    table_head(&mut out);
    for own in OWN {
        row(&mut out, &format!("{PREFIX}{}", own.name), own.kind, &[&["facility", "machine"], own.labels].concat(), own.help);
    }
    out.push_str("\n## Fleet\n\n");
    table_head(&mut out);
    for (name, help) in TOTALS {
        row(&mut out, name, MetricKind::Gauge, if name.ends_with("machines") { &["state"] } else { &[] }, help);
    }
    out.push_str("\n## Collector\n\n");
    table_head(&mut out);
    for own in SelfMetrics::new("", 0).iter().flat_map(SelfMetrics::describe) {
        let labels: Vec<&str> = own.labels.iter().map(String::as_str).collect();
        row(&mut out, &own.name, own.kind, &labels, &own.help);
    }
    out
}

fn table_head(out: &mut String) {
    out.push_str("| name | type | labels | meaning |\n|---|---|---|---|\n");
}

fn row(out: &mut String, name: &str, kind: MetricKind, labels: &[&str], help: &str) {
    let labels: Vec<&str> = labels.iter().copied().filter(|label| !label.is_empty()).collect();
    out.push_str(&format!("| `{name}` | {} | {} | {} |\n", kind.name(), labels.join(", "), cell(help)));
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Every value that may leave a machine, as Markdown.
#[must_use]
pub fn fields_reference() -> String {
    let mut out = String::from(
        "# Fields / 項目\n\nMade from `shared/src/fields.rs` by `fields_reference()`; do not edit. Nothing else leaves a machine as a reading.\n\
         Ids are never renumbered and never reused. `class` bounds the name of an entry in a list.\n\n\
         レポートに含まれる項目はこの表がすべてです。番号の変更・再利用はしません。\n\n\
         | id | path | unit | kind | class | scope | metric | meaning | 意味 |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for field in fields() {
        let label = if field.label.0.is_empty() { String::new() } else { format!("{{{}=\"{}\"}}", field.label.0, field.label.1) };
        let metric = if field.metric.is_empty() { String::new() } else { format!("`{PREFIX}{}{label}`", field.metric) };
        let (path, class, scope) = (field.path(), field.name_class, field.scope.name());
        let (unit, kind, id) = (field.unit, field.kind.name(), field.id);
        let (meaning, meaning_ja) = (cell(field.meaning), cell(field.meaning_ja));
        out.push_str(&format!("| {id} | `{path}` | {unit} | {kind} | {class} | {scope} | {metric} | {meaning} | {meaning_ja} |\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_references_name_everything_and_are_the_same_every_time() {
        let (metrics, fields_page) = (reference(), fields_reference());
        assert_eq!((&metrics, &fields_page), (&reference(), &fields_reference()));
        for field in fields() {
            assert!(fields_page.contains(&format!("| {} | `{}` |", field.id, field.path())), "{}", field.path());
            assert!(field.metric.is_empty() || metrics.contains(&format!("| `{PREFIX}{}` |", field.metric)), "{}", field.metric);
        }
        for name in ["mimamori_machine_state", "mimamori_machines", "mimamori_collector_ingest_commit_seconds", "mimamori_collector_build_info"] {
            assert!(metrics.contains(&format!("| `{name}` |")), "{name}");
        }
        assert!(metrics.contains("| `mimamori_collector_enrolments_total` | counter | result |"), "{metrics}");
        for page in [&metrics, &fields_page] {
            let bars = |line: &str| line.replace("\\|", "").matches('|').count();
            assert!(page.lines().filter(|line| line.starts_with('|')).all(|line| [5, 10].contains(&bars(line))));
        }
    }
}
