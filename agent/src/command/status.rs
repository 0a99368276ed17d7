//! `status`: how the agent is doing, from what it keeps.

use super::consent_state::Standing;
use super::manifest::{consent_of, only_root_doubts};
use super::noted_words::noted_words;
use super::queue_state;
use super::{complain, print, print_json};
use crate::cli::{Lang, Output, exit};
use crate::config::Config;
use crate::consent_file::NoConsent;
use crate::core::Restored;
use crate::identity::{self, AS_IT_IS, Enrolment};
use crate::outbox::{Ledger, Noted, NotedKind, Outbox, noted};
use crate::setup::{Environment, quota_of};
use mimamori_shared::error::chain;
use mimamori_shared::frame::take;
use mimamori_shared::payload::Receipt;
use mimamori_shared::sign::SecretKey;
use serde_json::{Value, json};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The newest receipt held, as it came; verified by `ledger verify`, here only shown.
pub(super) fn newest_receipt(ledger: &Ledger) -> Option<Receipt> {
    let chains = ledger.chains().ok()?;
    let lines = chains.into_iter().rev().find_map(|chain| chain.held)?.receipt;
    let (frame, _) = take(&lines).ok()?;
    serde_json::from_slice(&frame.payload).ok()
}

/// Whether an agent holds the folder.
pub(super) fn is_running(dir: &Path) -> bool {
    let Ok(file) = std::fs::OpenOptions::new().read(true).custom_flags(AS_IT_IS).open(dir.join("lock")) else { return false };
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

/// Everything it says.
struct Status {
    key: SecretKey,
    given: Enrolment,
    running: bool,
    receipt: Option<Receipt>,
    restored: Restored,
    noted: Vec<Noted>,
    queue: queue_state::Standing,
    consent: Result<Standing, NoConsent>,
}

pub(super) fn status(config: &Config, output: Output, lang: Lang, environment: &Environment) -> u8 {
    let dir = config.state_dir();
    let (key, given) = match identity::load(&dir) {
        Ok(loaded) => loaded,
        Err(fault) => {
            complain(&fault.in_lang(lang));
            return exit::CONFIG;
        }
    };
    let ledger = match Ledger::open(&dir) {
        Ok(ledger) => ledger,
        Err(fault) => {
            complain(&chain(&fault));
            return exit::FAILED;
        }
    };
    let queue = match ledger.as_ref().map(Ledger::queue).transpose() {
        Ok(queue) => queue_state::Standing::of(queue.unwrap_or_default(), quota_of(config), &dir),
        Err(fault) => {
            complain(&chain(&fault));
            return exit::FAILED;
        }
    };
    let status = Status {
        key,
        given,
        running: is_running(&dir),
        receipt: ledger.as_ref().and_then(newest_receipt),
        restored: Outbox::peek(&dir).unwrap_or_default(),
        noted: noted(&dir).unwrap_or_default(),
        queue,
        consent: consent_of(config, environment).map(|consent| Standing::of(config, &consent)),
    };
    if output.json {
        print_json(&status.json());
    } else {
        print(&status.text(lang));
    }
    exit::OK
}

impl Status {
    fn unsent(&self) -> u64 {
        self.restored.chains.iter().map(|chain| chain.tip.next_seq.saturating_sub(chain.unsent_from)).sum()
    }

    fn json(&self) -> Value {
        let newest = self.restored.chains.last();
        let none = |why: &NoConsent| json!({"valid": if only_root_doubts(why) { None } else { Some(false) }, "why": why.to_string()});
        let consent = self.consent.as_ref().map_or_else(none, Standing::json);
        json!({
            "schema": "mimamori.status/1", "running": self.running, "agent_id": self.given.agent_id, "facility": self.given.facility,
            "machine": self.given.machine, "collector_url": self.given.url, "fingerprint": identity::fingerprint(&self.key),
            "chain_id": newest.map(|chain| chain.chain_id), "next_seq": newest.map(|chain| chain.tip.next_seq), "unsent_at_most": self.unsent(),
            "last_receipt": self.receipt.as_ref().map(|receipt| json!({"chain_id": receipt.chain_id, "seq": receipt.seq, "received_at_ms": receipt.received_at_ms})),
            "push_failed_ms": self.restored.push_fail_ms, "queue": self.queue.json(), "consent": consent,
            "noted": self.noted.iter().map(|noted| json!({"kind": noted.kind.name(), "at_ms": noted.at_ms})).collect::<Vec<_>>(),
        })
    }

    fn text(&self, lang: Lang) -> String {
        let newest = self.restored.chains.last();
        let last = self.receipt.as_ref().map_or_else(
            || lang.of("none yet", "まだありません").to_owned(),
            |receipt| format!("{} ({} {})", lang.when(receipt.received_at_ms), lang.of("up to place", "連番"), receipt.seq),
        );
        let rows = [
            (lang.of("Running", "稼働"), lang.of(if self.running { "yes" } else { "no" }, if self.running { "はい" } else { "いいえ" }).to_owned()),
            (lang.of("Facility / machine", "医療機関／機器"), format!("{} / {}", self.given.facility, self.given.machine)),
            (lang.of("Collector", "コレクター"), self.given.url.clone()),
            (lang.of("Fingerprint", "指紋"), identity::fingerprint(&self.key)),
            (lang.of("Consent", "同意"), self.consent(lang)),
            (lang.of("Chain", "チェーン"), newest.map_or_else(|| lang.of("none yet", "まだありません").to_owned(), |chain| chain.chain_id.to_string())),
            (lang.of("Created", "作成済み"), newest.map_or(0, |chain| chain.tip.next_seq).to_string()),
            (lang.of("Not yet noted as receipted", "未受領（記録済みの分）"), self.unsent().to_string()),
            (lang.of("Queue and ledger", "送信待ち・台帳"), self.queue.line(lang)),
            (lang.of("Last receipt", "最後の受領証"), last),
        ];
        let mut text: String = rows.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        text.push_str(&self.queue.alarms(lang));
        for noted in &self.noted {
            text.push_str(&noted_line(noted, lang));
        }
        text
    }

    fn consent(&self, lang: Lang) -> String {
        match &self.consent {
            Ok(standing) => {
                let terms: String = standing.terms(lang).iter().map(|line| format!("\n  {line}")).collect();
                let soon = lang.of("\n! it ends soon: ask the facility for a new one", "\n! 期限が近づいています。施設に新しい同意を依頼してください");
                let soon = if standing.ends_within_days().is_some() { soon } else { "" };
                format!("{}{terms}\n{}: {}{soon}", standing.until(lang), lang.of("Taken now", "現在の収集"), standing.now(lang))
            }
            Err(why) if only_root_doubts(why) => lang
                .of(
                    "cannot be told from root, to whom no consent is proven; look as the agent's account: `sudo -u mimamori-agent mimamori-agent status`",
                    "rootでは判断できません（rootには同意を証明できないため）。エージェントのアカウントで確認してください：`sudo -u mimamori-agent mimamori-agent status`",
                )
                .to_owned(),
            Err(why) => format!("{}: {}", lang.of("NONE, nothing is collected", "なし（収集していません）"), why.in_lang(lang)),
        }
    }
}

fn noted_line(noted: &Noted, lang: Lang) -> String {
    let (what, mend) = noted_words(noted.kind);
    let since = if noted.kind == NotedKind::WentBack { "" } else { lang.of("since ", "発生：") };
    format!("! {since}{}: {}\n  -> {}\n", lang.when(noted.at_ms), lang.of(what.en, what.ja), lang.of(mend.en, mend.ja))
}
