//! `machine history`: what changed, and when: its state, and what its self-diagnosis found.

use super::history::{Span, spans};
use super::show::{found, found_json, span};
use crate::cli::{Lang, Output};
use crate::command::digest::day_of;
use crate::command::{Done, Failed, print, print_json};
use crate::store::{MachineRow, Scope, StandingRow, Store};
use crate::web::lang::Key;
use serde_json::{Value, json};

/// How far back is looked without being told, in milliseconds: 30 days.
const DAYS_MS: i64 = 30 * 86_400_000;

/// The first moment that is told of.
pub(super) fn from_ms(since: Option<&str>, now_ms: i64, utc_offset_h: i64, lang: Lang) -> Result<i64, Failed> {
    since.map_or(Ok(now_ms.saturating_sub(DAYS_MS)), |day| Ok(day_of("--since", day, utc_offset_h, lang)?.begins_ms()))
}

pub(super) async fn history(store: &Store, row: &MachineRow, (from_ms, limit): (i64, u32), output: Output, lang: Lang) -> Done {
    let mut states = spans(&store.transitions(&Scope::All, row.agent_id).await?);
    states.retain(|span| span.to_ms.is_none_or(|to_ms| to_ms > from_ms));
    let changes = store.found(&Scope::All, row.agent_id, from_ms, limit).await?;
    if output.json {
        let states: Vec<Value> =
            states.iter().map(|span| json!({"state": span.state, "from_ms": span.from_ms, "to_ms": span.to_ms, "because": span.because})).collect();
        print_json(
            &json!({"schema": "mimamori.machine_history/1", "facility": row.facility, "machine": row.alias, "agent_id": row.agent_id, "from_ms": from_ms,
            "limit": limit, "intervals": states, "changes": changes.iter().map(found_json).collect::<Vec<_>>()}),
        );
    } else {
        states.retain(Span::is_seen);
        print(&text(&states, &changes, limit, lang));
    }
    Ok(())
}

fn text(states: &[Span], changes: &[StandingRow], limit: u32, lang: Lang) -> String {
    let heading = |text: &str, is_empty: bool| format!("{text}{}\n", if is_empty { lang.of(": none", "：なし") } else { "" });
    let mut text = heading(lang.of("What its self-diagnosis found, since when by its clock", "自己診断の変化（日時は機器の時計）"), changes.is_empty());
    changes.iter().for_each(|row| text.push_str(&format!("  {}\n", found(row, lang))));
    if changes.len() as u64 >= u64::from(limit) {
        text.push_str(&lang.of(format!("  The newest {limit}; `--limit` shows more.\n"), format!("  新しい{limit}件です。`--limit`でさらに表示できます。\n")));
    }
    text.push_str(&format!("\n{}", heading(Key::State.text(lang), states.is_empty())));
    states.iter().for_each(|row| text.push_str(&format!("  {}\n", span(row, lang))));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests::found;
    use mimamori_shared::payload::Standing;

    #[test]
    fn changes_and_states_are_told_newest_first_in_both_languages() {
        let state = Span { from_ms: 0, to_ms: None, state: "up".parse().unwrap(), because: "first_report".parse().unwrap() };
        let changes = [found("drive_health", "sda", Standing::Bad), found("of_a_newer_agent", "", Standing::Ok)];
        let en = text(std::slice::from_ref(&state), &changes, 2, Lang::En);
        let drive = "2026-11-22T04:16:44Z  not in order                 A drive is failing. (Drives sda: pending 8, percentage_used 103 %)";
        assert!(en.contains(drive) && en.contains("in order                     of_a_newer_agent") && en.contains("The newest 2;"), "{en}");
        assert!(en.contains("1970-01-01T00:00:00Z – now"), "{en}");
        let ja = text(&[], &changes[..1], 2, Lang::Ja);
        assert!(ja.contains("2026-11-22T13:16:44+09:00  異常") && ja.contains("ドライブに故障の兆候があります。（ドライブ sda："), "{ja}");
        assert!(ja.ends_with("状態：なし\n") && !ja.contains("--limit"), "{ja}");
        assert!(text(&[], &[], 2, Lang::En).starts_with("What its self-diagnosis found, since when by its clock: none\n"));
    }
}
