//! `ledger show`: each entry with its moment, its consent and its receipt.

use super::{Fault, finish, opened, unreadable};
use crate::cli::{Lang, Output, exit};
use crate::command::manifest::consent_of;
use crate::command::{print, print_json};
use crate::config::Config;
use crate::outbox::{LedgerChain, LedgerEntry};
use crate::setup::Environment;
use mimamori_shared::error::chain as words;
use mimamori_shared::frame::{Frame, take};
use mimamori_shared::id::Hash;
use mimamori_shared::payload::Receipt;
use mimamori_shared::sign::PayloadType;
use serde_json::{Value, json};

/// How it is shown.
struct Shown {
    /// Hash of the consent in force.
    present: Option<Hash>,
    full: bool,
    output: Output,
    lang: Lang,
}

pub(in crate::command) fn show(config: &Config, last: u64, full: bool, output: Output, lang: Lang, environment: &Environment) -> u8 {
    let present = consent_of(config, environment).ok().map(|consent| consent.terms.hash());
    let shown = Shown { present, full, output, lang };
    finish(opened(config, lang).and_then(|(_, _, ledger)| {
        let chains = ledger.chains().map_err(|fault| (exit::USAGE, words(&fault)))?;
        // Back from the newest chain until there are enough places.
        let mut parts = Vec::new();
        let mut wanted = last;
        for chain in chains.iter().rev() {
            if wanted == 0 {
                break;
            }
            let places = ledger.places(chain).map_err(|fault| (exit::USAGE, words(&fault)))?;
            parts.push((chain, wanted.min(places)));
            wanted = wanted.saturating_sub(places);
        }
        for (chain, most) in parts.into_iter().rev() {
            let receipt = receipt_of(chain);
            let seen = ledger.walk::<Fault>(chain, Some(most), |entry| {
                shown.entry(chain, receipt.as_ref(), &entry);
                Ok(())
            });
            seen.map_err(|fault| unreadable(&fault))?;
        }
        Ok(())
    }))
}

/// The newest receipt of a chain as it came: `ledger verify` proves it, here it is only shown.
fn receipt_of(chain: &LedgerChain) -> Option<Receipt> {
    let (frame, _) = take(&chain.held.as_ref()?.receipt).ok()?;
    serde_json::from_slice(&frame.payload).ok()
}

impl Shown {
    fn entry(&self, chain: &LedgerChain, receipt: Option<&Receipt>, entry: &LedgerEntry) {
        match entry {
            LedgerEntry::Frame { frame, seq, last_seq, tip_hash } => self.frame(chain, receipt, frame, (*seq, *last_seq), *tip_hash),
            LedgerEntry::Head { seq, last_seq, tip_hash, damaged, .. } if self.output.json => {
                print_json(&json!({"schema": "mimamori.ledger.entry/1", "chain_id": chain.chain_id, "seq": seq, "last_seq": last_seq, "kind": "head",
                                   "hash": tip_hash, "damaged": damaged, "receipted": *last_seq < chain.unsent_from, "payload": null}));
            }
            LedgerEntry::Head { seq, last_seq, tip_hash, damaged, .. } => {
                let places = if last_seq > seq { format!(" (– {last_seq})") } else { String::new() };
                let why = if *damaged {
                    self.lang.of("payload cannot be read", "内容を読み取れません")
                } else {
                    self.lang.of("payload no longer kept", "内容の保持期間が過ぎています")
                };
                print(&format!("{seq:>8}  {why}{places}, {} {tip_hash}\n", self.lang.of("hash", "ハッシュ")));
            }
        }
    }

    fn frame(&self, chain: &LedgerChain, receipt: Option<&Receipt>, frame: &Frame, (seq, last_seq): (u64, u64), hash: Hash) {
        let kind = PayloadType::of(&frame.payload).map_or("unknown", PayloadType::name);
        let payload: Value = serde_json::from_slice(&frame.payload).unwrap_or_default();
        let taken = payload.get("taken_at_ms").and_then(Value::as_i64).unwrap_or(0);
        let consent = payload.get("consent_hash").and_then(Value::as_str).unwrap_or_default();
        let present = self.present.is_some_and(|present| present.to_string() == consent);
        let receipted = last_seq < chain.unsent_from;
        let receipt = receipt.filter(|receipt| last_seq <= receipt.seq);
        if self.output.json {
            let receipt = receipt.map(|receipt| json!({"seq": receipt.seq, "received_at_ms": receipt.received_at_ms}));
            print_json(&json!({"schema": "mimamori.ledger.entry/1", "chain_id": chain.chain_id, "seq": seq, "last_seq": last_seq, "kind": kind,
                               "hash": hash, "bytes": frame.payload.len(), "taken_at_ms": taken, "consent_hash": consent, "consent_is_present": present,
                               "receipted": receipted, "receipt": receipt, "payload": payload}));
            return;
        }
        let state = self.state(receipted, receipt);
        let consent = self.consent(consent, present);
        print(&format!("{seq:>8}  {}  {kind:<9}  {:>6} B  {consent}  {state}\n", self.lang.when(taken), frame.payload.len()));
        if self.full {
            print(&format!("          {}\n", String::from_utf8_lossy(&frame.payload)));
        }
    }

    fn consent(&self, hash: &str, present: bool) -> String {
        if hash.chars().all(|digit| digit == '0') {
            return self.lang.of("no consent in force", "有効な同意なし").to_owned();
        }
        let which = if present { self.lang.of("present", "現在の同意") } else { self.lang.of("another", "以前の同意") };
        format!("{} {} ({which})", self.lang.of("consent", "同意"), hash.get(..12).unwrap_or_default())
    }

    fn state(&self, receipted: bool, receipt: Option<&Receipt>) -> String {
        match receipt {
            Some(receipt) => {
                let (by, at) = (self.lang.of("receipt up to", "受領証（連番"), self.lang.when(receipt.received_at_ms));
                let of = self.lang.of("of", "まで）");
                format!("{by} {} {of} {at}", receipt.seq)
            }
            None if receipted => self.lang.of("receipted", "受領済み").to_owned(),
            None => self.lang.of("not yet", "未受領").to_owned(),
        }
    }
}
