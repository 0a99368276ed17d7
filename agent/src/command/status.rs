//! `status`: how the agent is doing, from what it keeps.

use super::consent_state::Standing;
use super::manifest::consent_of;
use super::{complain, print, print_json};
use crate::cli::{Lang, Output, exit};
use crate::config::Config;
use crate::identity;
use crate::outbox::Ledger;
use crate::setup::Environment;
use mimamori_shared::error::chain;
use mimamori_shared::frame::take;
use mimamori_shared::payload::Receipt;
use mimamori_shared::time;
use serde_json::json;
use std::path::Path;

/// The newest receipt held, as it came; verified by `ledger verify`, here only shown.
pub(super) fn newest_receipt(ledger: &Ledger) -> Option<Receipt> {
    let chains = ledger.chains().ok()?;
    let lines = chains.into_iter().rev().find_map(|chain| chain.held)?.receipt;
    let (frame, _) = take(&lines).ok()?;
    serde_json::from_slice(&frame.payload).ok()
}

fn is_running(dir: &Path) -> bool {
    let Ok(file) = std::fs::File::open(dir.join("lock")) else { return false };
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

pub(super) fn status(config: &Config, output: Output, lang: Lang, environment: &Environment) -> u8 {
    let dir = config.state_dir();
    let (key, given) = match identity::load(&dir) {
        Ok(loaded) => loaded,
        Err(fault) => {
            complain(&chain(&fault));
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
    let receipt = ledger.as_ref().and_then(newest_receipt);
    let restored = crate::outbox::Outbox::peek(&dir).unwrap_or_default();
    let unsent: u64 = restored.chains.iter().map(|chain| chain.tip.next_seq.saturating_sub(chain.unsent_from)).sum();
    let newest = restored.chains.last();
    let running = is_running(&dir);
    let consent = consent_of(config, environment).map(|consent| Standing::of(config, &consent));
    if output.json {
        print_json(&json!({
            "schema": "mimamori.status/1", "running": running, "agent_id": given.agent_id, "facility": given.facility, "machine": given.machine,
            "collector_url": given.url, "fingerprint": identity::fingerprint(&key), "chain_id": newest.map(|chain| chain.chain_id),
            "next_seq": newest.map(|chain| chain.tip.next_seq), "unsent_at_most": unsent,
            "last_receipt": receipt.as_ref().map(|receipt| json!({"chain_id": receipt.chain_id, "seq": receipt.seq, "received_at_ms": receipt.received_at_ms})),
            "push_failed_ms": restored.push_fail_ms,
            "consent": consent.as_ref().map_or_else(|why| json!({"why": why.to_string()}), Standing::json),
        }));
        return exit::OK;
    }
    let last = receipt.map_or_else(
        || lang.of("none yet", "まだありません").to_owned(),
        |receipt| format!("{} ({} {})", time::show(receipt.received_at_ms), lang.of("up to place", "連番"), receipt.seq),
    );
    let rows = [
        (lang.of("Running", "稼働"), lang.of(if running { "yes" } else { "no" }, if running { "はい" } else { "いいえ" }).to_owned()),
        (lang.of("Facility / machine", "医療機関／機器"), format!("{} / {}", given.facility, given.machine)),
        (lang.of("Collector", "コレクター"), given.url.clone()),
        (lang.of("Fingerprint", "指紋"), identity::fingerprint(&key)),
        (lang.of("Created", "作成済み"), newest.map_or(0, |chain| chain.tip.next_seq).to_string()),
        (lang.of("Not yet noted as receipted", "未受領（記録済みの分）"), unsent.to_string()),
        (lang.of("Last receipt", "最後の受領証"), last),
    ];
    for (name, value) in rows {
        print(&format!("{name}: {value}\n"));
    }
    match &consent {
        Ok(standing) => {
            print(&format!("{}: {}\n", lang.of("Consent", "同意"), standing.until(lang)));
            standing.terms().iter().for_each(|line| print(&format!("  {line}\n")));
            print(&format!("{}: {}\n", lang.of("Taken now", "現在の収集"), standing.now(lang)));
            if standing.ends_within_days().is_some() {
                print(
                    lang.of("The consent ends soon: ask the facility for a new one.\n", "同意の期限が近づいています。施設に新しい同意を依頼してください。\n"),
                );
            }
        }
        Err(why) => print(&format!("{}: {why}\n", lang.of("Consent", "同意"))),
    }
    exit::OK
}
