//! `audit`.

use super::digest::day_of;
use super::{Done, print};
use crate::cli::{AuditCommand, Lang};
use crate::config::Config;
use crate::store::{AuditRow, Scope, Store};
use mimamori_cli::print::padded;
use mimamori_shared::word::Word;
use serde_json::{Value, json};

pub(super) async fn carry_out(config: &Config, store: &Store, command: &AuditCommand, lang: Lang) -> Done {
    let AuditCommand::List { since, limit, output } = command;
    let from_ms = match since {
        None => i64::MIN,
        Some(day) => day_of("--since", day, config.utc_offset_h(), lang)?.begins_ms(),
    };
    let rows = store.audit(&Scope::All, from_ms, *limit).await?;
    if output.json {
        let entries: Vec<Value> = rows.iter().map(entry).collect();
        output.say(&json!({"schema": "mimamori.audit/1", "entries": entries, "limit": limit}), "");
        return Ok(());
    }
    if rows.is_empty() {
        print(lang.of("Nothing was done.\n", "記録はありません。\n"));
    }
    for row in &rows {
        print(&line(row, lang));
    }
    if rows.len() as u64 >= u64::from(*limit) {
        print(&lang.of(format!("The newest {limit}; `--limit` shows more.\n"), format!("新しい{limit}件です。`--limit`でさらに表示できます。\n")));
    }
    Ok(())
}

fn entry(row: &AuditRow) -> Value {
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    json!({"at_ms": row.at_ms, "actor_kind": row.actor_kind.name(), "actor": row.actor, "verb": row.verb, "noun": row.noun, "id": row.id,
           "facility": row.facility, "detail": detail})
}

fn line(row: &AuditRow, lang: Lang) -> String {
    let (kind, actor) = (row.actor_kind.name(), row.actor.as_str());
    let actor = if actor.is_empty() { kind.to_owned() } else { format!("{kind}:{actor}") };
    let words = words(row.verb.as_str(), row.noun.as_str()).map_or_else(|| format!("{} {}", row.verb, row.noun), |(en, ja)| lang.of(en, ja).to_owned());
    let facility = row.facility.as_ref().map_or("-", Word::as_str);
    let detail = if row.detail == "{}" { "" } else { &row.detail };
    format!("{}  {} {}  {} {} {detail}\n", lang.brief(row.at_ms), padded(&actor, 16), padded(&words, 28), padded(facility, 12), row.id).replace(" \n", "\n")
}

/// What was done to what, in English and Japanese. A newer version may have written what this one has no words for.
fn words(verb: &str, noun: &str) -> Option<(&'static str, &'static str)> {
    Some(match (noun, verb) {
        ("facility", "add") => ("facility added", "医療機関を追加"),
        ("token", "add") => ("token made", "トークンを作成"),
        ("token", "revoke") => ("token taken back", "トークンを取り消し"),
        ("token", "contest") => ("used token, another key", "使用済みトークンを別の鍵が提示"),
        ("machine", "enrol") => ("machine enrolled", "機器を登録"),
        ("machine", "approve") => ("machine approved", "機器を承認"),
        ("machine", "choose_key") => ("machine's key chosen", "機器の鍵を選択"),
        ("machine", "rotate") => ("machine's key changed", "機器の鍵を更新"),
        ("machine", "rename") => ("machine renamed", "機器の名前を変更"),
        ("machine", "revoke") => ("machine revoked", "機器を失効"),
        ("machine", "retire") => ("machine retired", "機器の運用を終了"),
        ("machine", "replace") => ("machine replaced", "機器を置き換え"),
        ("machine", "move") => ("machine moved", "機器を移動"),
        ("key", "revoke_again") => ("key revoked again", "鍵を再び失効"),
        ("collector", "accept_rollback") => ("went back, accepted", "以前の状態に戻ったことを承認"),
        _ => return None,
    })
}
