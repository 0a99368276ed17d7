//! The certificate of what was removed, in both languages.

use super::ending::Ended;
use super::installed::Installed;
use super::inventory::{Item, Removed};
use crate::identity::Enrolment;
use mimamori_shared::time;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Everything it says.
pub(super) struct Certificate {
    pub(super) at_ms: i64,
    pub(super) given: Option<Enrolment>,
    /// This machine's key, the collector's root.
    pub(super) fingerprints: Option<(String, String)>,
    pub(super) ended: Ended,
    pub(super) removed: Removed,
    pub(super) strange: Vec<PathBuf>,
    /// Programs and units, which stay until root removes them.
    pub(super) installed: Installed,
    pub(super) dir: PathBuf,
    /// The consent file, if there is one: it stays.
    pub(super) consent: Option<PathBuf>,
}

impl Certificate {
    pub(super) fn json(&self) -> Value {
        let item = |item: &Item| json!({"path": item.path, "what": item.what.name(), "bytes": item.bytes});
        let ended = &self.ended;
        json!({
            "schema": "mimamori.uninstall/1",
            "removed_at_ms": self.at_ms,
            "facility": self.given.as_ref().map(|given| &given.facility),
            "machine": self.given.as_ref().map(|given| &given.machine),
            "agent_id": self.given.as_ref().map(|given| given.agent_id),
            "agent_fingerprint": self.fingerprints.as_ref().map(|(agent, _)| agent),
            "collector_root_fingerprint": self.fingerprints.as_ref().map(|(_, root)| root),
            "removed": self.removed.gone.iter().map(item).collect::<Vec<_>>(),
            "left": self.removed.left.iter().map(|(left, why)| json!({"path": left.path, "what": left.what.name(), "why": why})).collect::<Vec<_>>(),
            "not_the_agents": self.strange,
            "installed": self.installed.paths,
            "unsent_sent_before": ended.sent,
            "purged": ended.purged,
            "handover": ended.handover,
            "statement": ended.statement,
            "statement_place": ended.place,
            "receipted": ended.receipt.is_some(),
            "receipt": ended.receipt,
            "still_to_do": self.removed.still_to_do(&self.installed, &self.dir),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::from("Certificate of removal / 削除証明\n\n");
        let mut row = |en: &str, ja: &str, value: String| text.push_str(&format!("{en} / {ja}: {value}\n"));
        row("Removed at", "削除日時", format!("{} ({})", time::show(self.at_ms), time::show_japan(self.at_ms)));
        if let Some(given) = &self.given {
            row("Facility / machine", "医療機関／機器", format!("{} / {}", given.facility, given.machine));
            row("Agent", "エージェント", given.agent_id.to_string());
        }
        if let Some((agent, root)) = &self.fingerprints {
            let (en, ja) = if self.removed.key_is_left() {
                ("Fingerprint of this machine's key (STILL THERE, see below)", "この機器の鍵の指紋（鍵は残存：下記参照）")
            } else {
                ("Fingerprint of this machine's key (now gone)", "この機器の鍵の指紋（鍵は削除済み）")
            };
            row(en, ja, agent.clone());
            row("Fingerprint of the collector's root", "コレクターのルート鍵の指紋", root.clone());
        }
        row("Unsent entries sent before", "削除前に送信した未送信分", self.ended.sent.to_string());
        let purged = self.ended.purged;
        let counts = format!(
            "{} (sample {} / unchanged {} / change {} / statement {})",
            purged.total(),
            purged.sample,
            purged.unchanged,
            purged.change,
            purged.statement
        );
        row("Unsent entries removed", "削除した未送信分", counts);
        row("Statement to the collector", "コレクターへの通知", self.stated());
        for item in &self.removed.gone {
            let (en, ja) = item.what.words();
            text.push_str(&format!("  removed / 削除: {} ({en} / {ja}, {} B)\n", item.path.display(), item.bytes));
        }
        for (item, why) in &self.removed.left {
            let (en, ja) = item.what.words();
            text.push_str(&format!("  LEFT / 残存: {} ({en} / {ja}): {why}\n", item.path.display()));
        }
        for path in &self.installed.paths {
            text.push_str(&format!("  installed, root removes it / インストール済み（rootが削除）: {}\n", path.display()));
        }
        for path in &self.strange {
            text.push_str(&format!("  not the agent's, left alone / エージェントのものではないため残しました: {}\n", path.display()));
        }
        let commands = self.removed.still_to_do(&self.installed, &self.dir);
        if !commands.is_empty() {
            text.push_str("\nStill to be done, by root / 残りの作業（root）:\n");
            commands.iter().for_each(|command| text.push_str(&format!("  {command}\n")));
        }
        if let Some(consent) = &self.consent {
            let path = consent.display();
            text.push_str(&format!("\nThe consent stays: it is the facility's record / 同意書は医療機関の記録のため残します: {path}\n"));
        }
        if let (Some(statement), None) = (&self.ended.statement, &self.ended.receipt) {
            text.push_str("\nThe signed statement, to be handed over / 署名付きの通知（お渡し用）:\n");
            if let Some(handover) = &self.ended.handover {
                text.push_str(&format!("(The key was being changed: by the first entry the key the collector knows hands over to the one that signs the second / 鍵の更新中でした。1件目は旧鍵から新鍵への引き継ぎです)\n{handover}"));
            }
            text.push_str(statement);
        }
        text
    }

    fn stated(&self) -> String {
        match (&self.ended.place, &self.ended.receipt) {
            (Some(place), Some(receipt)) => format!(
                "chain {} place {}, receipted / 受領済み {} ({})",
                place.chain_id,
                place.seq,
                time::show(receipt.received_at_ms),
                time::show_japan(receipt.received_at_ms)
            ),
            (Some(place), None) => format!("chain {} place {}, NOT receipted / 未受領", place.chain_id, place.seq),
            (None, _) if self.given.is_none() => {
                "none: the identity cannot be read, so nothing could be signed / なし：識別情報を読み取れず、署名できませんでした".to_owned()
            }
            (None, _) => "none: nothing was ever sent / なし：送信したことがありません".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::uninstall::inventory::What;

    #[test]
    fn the_key_is_said_to_be_gone_only_when_it_is() {
        let item = |name: &str| Item { path: PathBuf::from("/state").join(name), what: What::Keys, bytes: 65 };
        let text = |left: &str, gone: &str| {
            let removed = Removed { gone: vec![item(gone)], left: vec![(item(left), "Operation not permitted".to_owned())], folder_gone: false };
            let fingerprints = Some(("agent's".to_owned(), "root's".to_owned()));
            let (ended, dir) = (Ended::default(), PathBuf::from("/state"));
            Certificate { at_ms: 0, given: None, fingerprints, ended, removed, strange: Vec::new(), installed: Installed::default(), dir, consent: None }.text()
        };
        let left = text("identity.key", "salt");
        assert!(left.contains("STILL THERE") && left.contains("鍵は残存") && !left.contains("now gone") && !left.contains("鍵は削除済み"), "{left}");
        let gone = text("salt", "identity.key");
        assert!(gone.contains("(now gone)") && gone.contains("鍵は削除済み") && !gone.contains("STILL THERE"), "{gone}");
    }
}
