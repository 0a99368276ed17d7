//! `ledger show`, `ledger verify` and `ledger export`.

use super::{complain, print, print_json};
use crate::cli::{Lang, Output, exit};
use crate::config::Config;
use crate::identity::{self, Enrolment};
use crate::keyring::Keyring;
use crate::outbox::{Ledger, LedgerChain, LedgerEntry, OutboxError};
use crate::{clock, uplink};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_shared::chain::{Fit, Link, Tip};
use mimamori_shared::error::chain as words;
use mimamori_shared::frame::{Frame, take, wrapper};
use mimamori_shared::id::Hash;
use mimamori_shared::payload::{Certificate, Entry, Receipt, read};
use mimamori_shared::sign::{PayloadType, PublicKey, frame_hash, verify as verify_frame};
use mimamori_shared::time;
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;

/// Why a ledger cannot be gone through.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the ledger cannot be read")]
    Outbox(#[from] OutboxError),
    #[error("the export cannot be written")]
    Io(#[from] io::Error),
    #[error("{0}")]
    False(String),
}

/// Every key there was, oldest first; whose they are; and the ledger.
type Opened = (Vec<PublicKey>, Enrolment, Ledger);

fn opened(config: &Config) -> Result<Opened, (u8, String)> {
    let dir = config.state_dir();
    let (_, given) = identity::load(&dir).map_err(|fault| (exit::CONFIG, words(&fault)))?;
    let key = Keyring::read(&dir, given.enrolled_at_ms).map_err(|fault| (exit::CONFIG, words(&fault)))?.history().iter().map(|past| past.key).collect();
    match Ledger::open(&dir) {
        Ok(Some(ledger)) => Ok((key, given, ledger)),
        Ok(None) => Err((exit::USAGE, "the ledger is empty: nothing has left this machine".to_owned())),
        Err(fault) => Err((exit::USAGE, words(&fault))),
    }
}

fn finish(done: Result<(), (u8, String)>) -> u8 {
    match done {
        Ok(()) => exit::OK,
        Err((code, fault)) => {
            complain(&fault);
            code
        }
    }
}

fn unreadable(fault: &Fault) -> (u8, String) {
    let code = if matches!(fault, Fault::False(_)) { exit::FAILED } else { exit::USAGE };
    (code, words(fault))
}

pub(super) fn show(config: &Config, last: u64, full: bool, output: Output) -> u8 {
    finish(opened(config).and_then(|(_, _, ledger)| {
        let chains = ledger.chains().map_err(|fault| (exit::USAGE, words(&fault)))?;
        let Some(chain) = chains.last() else { return Ok(()) };
        let seen = ledger.walk::<Fault>(chain, Some(last), |entry| {
            show_entry(chain, &entry, full, output);
            Ok(())
        });
        seen.map_err(|fault| unreadable(&fault))
    }))
}

fn show_entry(chain: &LedgerChain, entry: &LedgerEntry, full: bool, output: Output) {
    let LedgerEntry::Frame { frame, seq, last_seq, tip_hash } = entry else {
        if let LedgerEntry::Head { seq, last_seq, tip_hash, damaged, .. } = entry {
            let places = if last_seq > seq { format!(" (to {last_seq})") } else { String::new() };
            let why = if *damaged { "payload cannot be read" } else { "payload no longer kept" };
            print(&format!("{seq:>8}  {why}{places}, hash {tip_hash}\n"));
        }
        return;
    };
    let kind = PayloadType::of(&frame.payload).map_or("unknown", PayloadType::name);
    let payload: serde_json::Value = serde_json::from_slice(&frame.payload).unwrap_or_default();
    let taken = payload.get("taken_at_ms").and_then(serde_json::Value::as_i64).unwrap_or(0);
    let receipted = *last_seq < chain.unsent_from;
    if output.json {
        print_json(&json!({"schema": "mimamori.ledger.entry/1", "chain_id": chain.chain_id, "seq": seq, "last_seq": last_seq, "kind": kind,
                           "hash": tip_hash, "bytes": frame.payload.len(), "receipted": receipted, "payload": payload}));
        return;
    }
    let consent = payload.get("consent_hash").and_then(serde_json::Value::as_str).unwrap_or_default().get(..12).unwrap_or_default();
    let state = if receipted { "receipted" } else { "unsent or not yet noted" };
    print(&format!("{seq:>8}  {}  {kind:<9}  {:>6} bytes  consent {consent}  {state}\n", time::show(taken), frame.payload.len()));
    if full {
        print(&format!("          {}\n", String::from_utf8_lossy(&frame.payload)));
    }
}

pub(super) fn verify(config: &Config, output: Output, lang: Lang) -> u8 {
    finish(opened(config).and_then(|(keys, given, ledger)| {
        let verdict = verify_all(&ledger, &keys, &given);
        let (fault, counts) = match verdict {
            Ok(counts) => (None, counts),
            Err(fault @ Fault::False(_)) => (Some(words(&fault)), Counts::default()),
            Err(fault) => return Err(unreadable(&fault)),
        };
        if output.json {
            print_json(&json!({"schema": "mimamori.verify/1", "ok": fault.is_none(), "reports": counts.frames, "heads": counts.heads,
                               "receipts": counts.receipts, "chains": counts.chains, "first_fault": fault}));
        } else if fault.is_none() {
            print(&format!(
                "{}: {} / {} / {}\n",
                lang.of("The ledger holds (chains / entries / receipts)", "台帳は正しい（チェーン／エントリ／受領証）"),
                counts.chains,
                counts.frames + counts.heads,
                counts.receipts
            ));
        }
        fault.map_or(Ok(()), |fault| Err((exit::FAILED, fault)))
    }))
}

#[derive(Default)]
struct Counts {
    chains: u64,
    frames: u64,
    heads: u64,
    receipts: u64,
}

fn verify_all(ledger: &Ledger, keys: &[PublicKey], given: &Enrolment) -> Result<Counts, Fault> {
    let mut counts = Counts::default();
    for chain in ledger.chains()? {
        counts.chains += 1;
        let wrong = |seq: u64, what: &str| Fault::False(format!("chain {} place {seq}: {what}", chain.chain_id));
        let receipt = match &chain.held {
            Some(held) => Some(verified_receipt(&held.receipt, &held.certificate, given).map_err(|what| wrong(0, what))?),
            None => None,
        };
        let mut tip = Tip::EMPTY;
        let mut receipted = receipt.is_none();
        ledger.walk::<Fault>(&chain, None, |entry| {
            match entry {
                LedgerEntry::Frame { frame, seq, tip_hash, .. } => {
                    counts.frames += 1;
                    let key = keys.iter().find(|key| key.id() == frame.key_id).ok_or_else(|| wrong(seq, "signed by none of this machine's keys"))?;
                    let verified = verify_frame(frame, key).map_err(|fault| wrong(seq, &fault.to_string()))?;
                    let entry = Entry::read(&verified).map_err(|fault| wrong(seq, &fault.to_string()))?;
                    let link = Link::of(&entry, verified.hash());
                    let Fit::Extends(next) = tip.fit(&link) else { return Err(wrong(seq, "it does not follow the entry before")) };
                    if link.tip_hash != tip_hash || entry.head.chain_id != chain.chain_id || entry.head.agent_id != given.agent_id {
                        return Err(wrong(seq, "the hash kept beside it is another"));
                    }
                    tip = next;
                }
                LedgerEntry::Head { seq, damaged: true, .. } => return Err(wrong(seq, "what is kept of it is damaged")),
                LedgerEntry::Head { seq, last_seq, prev_hash, tip_hash, .. } => {
                    counts.heads += 1;
                    let link = Link { seq, last_seq, prev_hash, tip_hash };
                    let Fit::Extends(next) = tip.fit(&link) else { return Err(wrong(seq, "the head kept does not follow the entry before")) };
                    tip = next;
                }
            }
            if let Some(receipt) = &receipt
                && receipt.seq + 1 == tip.next_seq
            {
                receipted = receipt.head_hash == tip.head && receipt.chain_id == chain.chain_id;
            }
            Ok(())
        })?;
        if !receipted {
            return Err(wrong(receipt.map_or(0, |receipt| receipt.seq), "the receipt held names another hash"));
        }
        counts.receipts += u64::from(chain.held.is_some());
    }
    Ok(counts)
}

/// A receipt under its certificate under the root that enrolment gave.
fn verified_receipt(receipt: &[u8], certificate: &[u8], given: &Enrolment) -> Result<Receipt, &'static str> {
    let root = given.root().ok_or("the root key kept is damaged")?;
    let (frame, _) = take(certificate).map_err(|_| "the certificate kept is damaged")?;
    let verified = verify_frame(frame, &root).map_err(|_| "the certificate is not the root's")?;
    let certificate: Certificate = read(&verified, PayloadType::Certificate).map_err(|_| "the certificate is not understood")?;
    let signer = uplink::Signer::of(&certificate).map_err(|_| "the certificate's key cannot be used")?;
    let (frame, _) = take(receipt).map_err(|_| "the receipt kept is damaged")?;
    let verified = verify_frame(frame, &signer.key).map_err(|_| "the receipt is not the collector's")?;
    let receipt: Receipt = read(&verified, PayloadType::Receipt).map_err(|_| "the receipt is not understood")?;
    if receipt.agent_id != given.agent_id || receipt.collector_id != given.collector_id {
        return Err("the receipt is for another agent");
    }
    Ok(receipt)
}

pub(super) fn export(config: &Config, output: Option<&Path>) -> u8 {
    finish(opened(config).and_then(|(keys, given, ledger)| {
        let made = match output {
            Some(path) => std::fs::File::create(path).map_err(Fault::from).and_then(|file| write_export(&ledger, &keys, &given, io::BufWriter::new(file))),
            None => write_export(&ledger, &keys, &given, io::BufWriter::new(io::stdout().lock())),
        };
        made.map_err(|fault| unreadable(&fault))
    }))
}

/// The form is docs/WIRE.md, "Ledger export".
fn write_export(ledger: &Ledger, keys: &[PublicKey], given: &Enrolment, mut out: impl Write) -> Result<(), Fault> {
    let root = given.root().ok_or_else(|| Fault::False("the root key kept is damaged".to_owned()))?;
    let key = |key: &PublicKey| ordered(&[("key_id", json!(key.id())), ("public_key", json!(STANDARD.encode(key.to_bytes())))]);
    let newest = keys.last().map(PublicKey::id).unwrap_or_default();
    let keys: Vec<String> = keys.iter().map(key).collect();
    let head = [
        ("schema", json!("mimamori.ledger/1")),
        ("collector_id", json!(given.collector_id)),
        ("agent_id", json!(given.agent_id)),
        ("root_key", json!(STANDARD.encode(root.to_bytes()))),
        ("root_fingerprint", json!(root.id().fingerprint())),
    ];
    let head = ordered(&head);
    let opening = head.strip_suffix('}').unwrap_or(&head);
    writeln!(out, "{opening},\"keys\":[{}],\"exported_at_ms\":{}}}", keys.join(","), clock::now().wall_ms)?;
    for chain in ledger.chains()? {
        ledger.walk::<Fault>(&chain, None, |entry| {
            match entry {
                LedgerEntry::Frame { frame, .. } => {
                    let kind = PayloadType::of(&frame.payload).ok_or_else(|| Fault::False("an entry of no known type".to_owned()))?;
                    let hash: Hash = frame_hash(kind, &frame.payload);
                    writeln!(out, "{{\"frame\":{},\"hash\":\"{hash}\"}}", two(&frame))?;
                }
                LedgerEntry::Head { seq, last_seq, prev_hash, tip_hash, key_id, .. } => {
                    let chain_id = chain.chain_id;
                    let key_id = key_id.unwrap_or(newest);
                    writeln!(out, "{{\"head\":{{\"chain_id\":\"{chain_id}\",\"seq\":{seq},\"last_seq\":{last_seq},\"prev_hash\":\"{prev_hash}\",\"tip_hash\":\"{tip_hash}\",\"key_id\":\"{key_id}\"}}}}")?;
                }
            }
            Ok(())
        })?;
        if let Some(held) = &chain.held
            && let (Ok((receipt, _)), Ok((certificate, _))) = (take(&held.receipt), take(&held.certificate))
        {
            writeln!(out, "{{\"receipt\":{},\"certificate\":{}}}", two(&receipt), two(&certificate))?;
        }
    }
    out.flush()?;
    Ok(())
}

/// A JSON object with its members in the order given.
fn ordered(members: &[(&str, serde_json::Value)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn two(frame: &Frame) -> String {
    format!("[{},{}]", json!(String::from_utf8_lossy(&frame.payload)), json!(wrapper(frame.key_id, &frame.signature)))
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
