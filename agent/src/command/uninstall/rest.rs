//! What was removed where there is no identity: that is no certificate, for nobody is left to certify anything of.

use super::installed::Installed;
use super::inventory::{Item, Removed, What};
use crate::cli::{Lang, Output, exit};
use serde_json::json;
use std::path::Path;

/// Says it and gives the exit code.
pub(super) fn say(removed: &Removed, installed: &Installed, dir: &Path, output: Output, lang: Lang) -> u8 {
    // The lock was made to look: it is no remains of an agent.
    let gone: Vec<&Item> = removed.gone.iter().filter(|item| item.what != What::Lock).collect();
    let commands = removed.still_to_do(installed, dir);
    let value = json!({
        "schema": "mimamori.uninstall-rest/1", "identity": false, "certificate": false,
        "removed": gone.iter().map(|item| json!({"path": item.path, "what": item.what.name(), "bytes": item.bytes})).collect::<Vec<_>>(),
        "left": removed.left.iter().map(|(left, why)| json!({"path": left.path, "what": left.what.name(), "why": why})).collect::<Vec<_>>(),
        "still_to_do": commands,
    });
    output.say(&value, &text(&gone, removed, &commands, lang));
    if !removed.is_whole() {
        return exit::FAILED;
    }
    if gone.is_empty() { exit::USAGE } else { exit::OK }
}

fn text(gone: &[&Item], removed: &Removed, commands: &[String], lang: Lang) -> String {
    let mut text = lang
        .of(
            "There is no identity on this machine (any more): nothing can be stated to the collector, and no certificate is made. The one of the first removal holds.\n",
            "この機器に識別情報はありません（既に削除されたか、未登録です）。コレクターへの通知も削除証明の作成も行いません。最初の削除時の証明が有効です。\n",
        )
        .to_owned();
    if gone.is_empty() {
        text.push_str(lang.of("Nothing was removed.\n", "何も削除していません。\n"));
    }
    for item in gone {
        let (en, ja) = item.what.words();
        text.push_str(&format!("  {}: {} ({})\n", lang.of("removed", "削除"), item.path.display(), lang.of(en, ja)));
    }
    for (item, why) in &removed.left {
        let (en, ja) = item.what.words();
        text.push_str(&format!("  {}: {} ({}): {why}\n", lang.of("LEFT", "残存"), item.path.display(), lang.of(en, ja)));
    }
    if !commands.is_empty() {
        text.push_str(lang.of("Still to be done, by root:\n", "残りの作業（root）：\n"));
        commands.iter().for_each(|command| text.push_str(&format!("  {command}\n")));
    }
    text
}
