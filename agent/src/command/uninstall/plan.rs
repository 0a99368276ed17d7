//! What `uninstall --purge` would remove and what it would leave: said without `--yes`, and nothing is done.

use super::installed::Installed;
use super::inventory::{Inventory, Item, may_remove};
use crate::cli::{Lang, Output};
use mimamori_cli::print::quoted;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Everything it says.
pub(super) struct Plan<'a> {
    removes: Vec<&'a Item>,
    /// Only root may remove these.
    leaves: Vec<&'a Item>,
    strange: &'a [PathBuf],
    installed: &'a Installed,
    folder: &'a Path,
    folder_stays: bool,
    /// The consent file, if there is one: it is the facility's record.
    consent: Option<PathBuf>,
}

impl<'a> Plan<'a> {
    pub(super) fn of(inventory: &'a Inventory, folder: &'a Path, consent: Option<PathBuf>) -> Plan<'a> {
        let (removes, leaves) = inventory.items.iter().partition(|item| may_remove(&item.path));
        Plan {
            removes,
            leaves,
            strange: &inventory.strange,
            installed: &inventory.installed,
            folder,
            folder_stays: !inventory.strange.is_empty() || !may_remove(folder),
            consent,
        }
    }

    pub(super) fn say(&self, output: Output, lang: Lang) {
        output.say(&self.json(), &self.text(lang));
    }

    /// What only root may do afterwards.
    fn still_to_do(&self) -> Vec<String> {
        let commands = self.installed.still_to_do(self.leaves.iter().copied()).into_iter();
        commands.chain(self.folder_stays.then(|| format!("sudo rmdir {}", quoted(self.folder)))).collect()
    }

    fn json(&self) -> Value {
        let item = |item: &&Item| json!({"path": item.path, "what": item.what.name(), "bytes": item.bytes});
        json!({
            "schema": "mimamori.uninstall-plan/1", "done": false, "would_remove": self.removes.iter().map(item).collect::<Vec<_>>(),
            "would_leave": self.leaves.iter().map(item).collect::<Vec<_>>(), "not_the_agents": self.strange, "installed": self.installed.paths, "consent_stays": self.consent,
            "still_to_do": self.still_to_do(),
        })
    }

    fn text(&self, lang: Lang) -> String {
        let mut text = lang
            .of("Nothing is removed yet. This would be removed, and cannot be undone:\n", "まだ何も削除していません。削除対象（元に戻せません）：\n")
            .to_owned();
        let mut line = |path: &Path, what: &str| text.push_str(&format!("  {}{what}\n", path.display()));
        let words = |item: &Item| format!(" ({})", lang.of(item.what.words().0, item.what.words().1));
        self.removes.iter().for_each(|item| line(&item.path, &words(item)));
        if !self.leaves.is_empty() || !self.strange.is_empty() || !self.installed.paths.is_empty() || self.consent.is_some() {
            text.push_str(lang.of("This would be left:\n", "残るもの：\n"));
        }
        let mut left = |path: &Path, why: &str| text.push_str(&format!("  {} ({why})\n", path.display()));
        let root = lang.of("only root may remove it", "rootのみ削除できます");
        self.leaves.iter().for_each(|item| left(&item.path, root));
        self.strange.iter().for_each(|path| left(path, lang.of("not the agent's", "エージェントのものではありません")));
        self.installed.paths.iter().for_each(|path| left(path, lang.of("installed, root removes it", "インストール済み、rootが削除")));
        if let Some(consent) = &self.consent {
            left(consent, lang.of("the facility's record", "医療機関の記録"));
        }
        text.push_str(lang.of("The program, its service and its account stay too.\n", "プログラム・サービス・アカウントも残ります。\n"));
        let commands = self.still_to_do();
        if !commands.is_empty() {
            text.push_str(lang.of("Still to be done afterwards, by root:\n", "その後の作業（root）：\n"));
            commands.iter().for_each(|command| text.push_str(&format!("  {command}\n")));
        }
        text.push_str(lang.of(
            "The ledger goes too: keep a copy first with `mimamori-agent ledger export --output FILE` and `mimamori-agent ledger trust --output FILE`.\nTo do it, say --purge --yes.\n",
            "台帳も削除されます。先に`mimamori-agent ledger export --output FILE`と`mimamori-agent ledger trust --output FILE`で控えを取ってください。\n実行するには --purge --yes を付けてください。\n",
        ));
        text
    }
}
