//! `ledger verify`, `ledger export` and `ledger trust`; `ledger show` is in [`show`].

mod show;

pub(super) use show::show;

use super::{complain, print, print_json};
use crate::cli::{Lang, Output, exit};
use crate::config::Config;
use crate::identity::{self, Enrolment};
use crate::keyring::Keyring;
use crate::outbox::{Ledger, LedgerEntry, OutboxError};
use crate::{clock, uplink};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_cli::print::{reader_left, unwritable, whole};
use mimamori_shared::chain::{Fit, Link, Tip};
use mimamori_shared::error::chain as words;
use mimamori_shared::frame::{Frame, take, wrapper};
use mimamori_shared::id::Hash;
use mimamori_shared::payload::{Body, Certificate, ConsentState, Entry, Receipt, Statement, read, successor};
use mimamori_shared::sign::{PayloadType, PublicKey, frame_hash, verify as verify_frame};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

/// Why a ledger cannot be gone through.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the ledger cannot be read")]
    Outbox(#[from] OutboxError),
    #[error("the export cannot be written")]
    Io(#[from] io::Error),
    #[error("{0}")]
    False(String),
}

/// Every key there was, oldest first; whose they are; and the ledger.
type Opened = (Vec<PublicKey>, Enrolment, Ledger);

fn identified(config: &Config, lang: Lang) -> Result<(Vec<PublicKey>, Enrolment), (u8, String)> {
    let dir = config.state_dir();
    let damaged = |fault: identity::IdentityError| (exit::CONFIG, fault.in_lang(lang));
    let (_, given) = identity::load(&dir).map_err(damaged)?;
    let keys = Keyring::read(&dir, given.enrolled_at_ms).map_err(damaged)?.publics();
    Ok((keys, given))
}

pub(super) fn opened(config: &Config, lang: Lang) -> Result<Opened, (u8, String)> {
    let (keys, given) = identified(config, lang)?;
    match Ledger::open(&config.state_dir()) {
        Ok(Some(ledger)) => Ok((keys, given, ledger)),
        Ok(None) => {
            let empty = lang.of("the ledger is empty: nothing has left this machine", "台帳は空です：この機器から送信したものはありません");
            Err((exit::USAGE, empty.to_owned()))
        }
        Err(fault) => Err((exit::USAGE, words(&fault))),
    }
}

pub(super) fn finish(done: Result<(), (u8, String)>) -> u8 {
    match done {
        Ok(()) => exit::OK,
        Err((code, fault)) => {
            complain(&fault);
            code
        }
    }
}

pub(super) fn unreadable(fault: &Fault) -> (u8, String) {
    let code = if matches!(fault, Fault::False(_)) { exit::FAILED } else { exit::USAGE };
    (code, words(fault))
}

pub(super) fn verify(config: &Config, output: Output, lang: Lang) -> u8 {
    finish(opened(config, lang).and_then(|(keys, given, ledger)| {
        let verdict = verify_all(&ledger, &keys, &given);
        let (fault, counts) = match verdict {
            Ok(counts) => (None, counts),
            Err(fault @ Fault::False(_)) => (Some(words(&fault)), Counts::default()),
            Err(fault) => return Err(unreadable(&fault)),
        };
        if output.json {
            print_json(&json!({"schema": "mimamori.verify/1", "ok": fault.is_none(), "entries": counts.frames + counts.heads,
                               "reports": counts.reports, "heads": counts.heads, "receipts": counts.receipts, "chains": counts.chains, "first_fault": fault}));
        } else if fault.is_none() {
            print(&format!(
                "{}: {} / {} / {} / {}\n",
                lang.of("The ledger verifies (chains / entries / reports among them / receipts)", "台帳は正しい（チェーン／エントリ／うちレポート／受領証）"),
                counts.chains,
                counts.frames + counts.heads,
                counts.reports,
                counts.receipts
            ));
        }
        fault.map_or(Ok(()), |fault| Err((exit::FAILED, fault)))
    }))
}

/// An entry is whatever fills places of a chain: a report, a statement, a loss record, or of one that is no longer kept
/// its head.
#[derive(Default)]
struct Counts {
    chains: u64,
    frames: u64,
    reports: u64,
    heads: u64,
    receipts: u64,
}

fn verify_all(ledger: &Ledger, keys: &[PublicKey], given: &Enrolment) -> Result<Counts, Fault> {
    let mut counts = Counts::default();
    let mut ends = BTreeMap::new();
    for chain in ledger.chains()? {
        counts.chains += 1;
        let wrong = |seq: u64, what: &str| Fault::False(format!("chain {} place {seq}: {what}", chain.chain_id));
        let receipt = match &chain.held {
            Some(held) => Some(verified_receipt(&held.receipt, &held.certificate, given).map_err(|what| wrong(0, what))?),
            None => None,
        };
        let mut tip = Tip::EMPTY;
        let mut receipted = receipt.is_none();
        let mut stated = Stated::default();
        ledger.walk::<Fault>(&chain, None, |entry| {
            match entry {
                LedgerEntry::Frame { frame, seq, tip_hash, .. } => {
                    counts.frames += 1;
                    let key = keys.iter().find(|key| key.id() == frame.key_id).ok_or_else(|| wrong(seq, "signed by none of this machine's keys"))?;
                    let verified = verify_frame(frame, key).map_err(|fault| wrong(seq, &fault.to_string()))?;
                    let entry = Entry::read(&verified).map_err(|fault| wrong(seq, &fault.to_string()))?;
                    counts.reports += u64::from(matches!(entry.body, Body::Report(_)));
                    let link = Link::of(&entry, verified.hash());
                    let Fit::Extends(next) = tip.fit(&link) else { return Err(wrong(seq, "it does not follow the entry before")) };
                    if link.tip_hash != tip_hash || entry.head.chain_id != chain.chain_id || entry.head.agent_id != given.agent_id {
                        return Err(wrong(seq, "the hash kept beside it is another"));
                    }
                    stated.take(&entry).and_then(|()| follows(&entry, keys)).map_err(|what| wrong(seq, what))?;
                    tip = next;
                }
                LedgerEntry::Head { seq, damaged: true, .. } => return Err(wrong(seq, "what is kept of it is damaged")),
                LedgerEntry::Head { seq, last_seq, prev_hash, tip_hash, .. } => {
                    counts.heads += 1;
                    stated.partly = true;
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
        if let Some(receipt) = receipt.as_ref().filter(|_| !receipted) {
            let longer = receipt.seq >= tip.next_seq;
            let what = if longer { "the receipt held covers this place, and the ledger does not hold it" } else { "the receipt held names another hash" };
            return Err(wrong(if longer { tip.next_seq } else { receipt.seq }, what));
        }
        ends.insert(chain.chain_id, tip);
        counts.receipts += u64::from(chain.held.is_some());
    }
    // The file beside the database knows the newest place; one that lags behind is no fault, a commit writes it last.
    if let Some(newest) = ledger.newest() {
        let tip = ends.get(&newest.chain_id).copied().unwrap_or(Tip::EMPTY);
        let missing = newest.seq >= tip.next_seq || newest.seq + 1 == tip.next_seq && newest.hash != tip.head;
        if missing {
            let what = format!("chain {} place {}: the file `tip` names it as the newest, and the ledger ends before it", newest.chain_id, tip.next_seq);
            return Err(Fault::False(what));
        }
    }
    Ok(counts)
}

/// The consents that a chain stated so far.
#[derive(Default)]
struct Stated {
    known: BTreeSet<Hash>,
    /// False once a payload is no longer kept: it may have stated any.
    partly: bool,
}

impl Stated {
    /// A report is taken under a consent that its chain stated before.
    fn take(&mut self, entry: &Entry) -> Result<(), &'static str> {
        match &entry.body {
            Body::Statement(Statement::Consent { state: ConsentState::Granted, terms_hash, terms, .. }) => {
                if terms.as_ref().is_some_and(|terms| terms.hash() != *terms_hash) {
                    return Err("the consent stated has another hash");
                }
                self.known.insert(*terms_hash);
                Ok(())
            }
            Body::Report(_) if !self.partly && !self.known.contains(&entry.head.consent_hash) => Err("it was taken under a consent that was never stated"),
            _ => Ok(()),
        }
    }
}

/// A statement that hands over names one of this machine's keys, and that key proves it.
fn follows(entry: &Entry, keys: &[PublicKey]) -> Result<(), &'static str> {
    let Body::Statement(Statement::Key { public_key, proof }) = &entry.body else { return Ok(()) };
    let new = successor(&entry.head, public_key, proof).ok_or("the new key's proof does not hold")?;
    if keys.contains(&new) { Ok(()) } else { Err("it hands over to a key that is not this machine's") }
}

/// A receipt under its certificate under the root that enrolment gave.
pub(super) fn verified_receipt(receipt: &[u8], certificate: &[u8], given: &Enrolment) -> Result<Receipt, &'static str> {
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

pub(super) fn export(config: &Config, output: Option<&Path>, told: Output, lang: Lang) -> u8 {
    finish(opened(config, lang).and_then(|(keys, given, ledger)| {
        let Some(path) = output else {
            return match write_export(&ledger, &keys, &given, io::BufWriter::new(io::stdout().lock())) {
                // Whoever read it has seen enough.
                Err(Fault::Io(fault)) if reader_left(&fault) => Ok(()),
                made => made.map(drop).map_err(|fault| unreadable(&fault)),
            };
        };
        let refused = |fault: io::Error| (exit::USAGE, format!("--output {}", unwritable(path, &fault, lang)));
        let made = std::fs::File::create(path).map_err(Fault::from).and_then(|file| write_export(&ledger, &keys, &given, io::BufWriter::new(file)));
        let lines = made.map_err(|fault| match fault {
            Fault::Io(fault) => refused(fault),
            fault => unreadable(&fault),
        })?;
        let shown = whole(path);
        let text = format!("{} {} ({lines} {})\n", lang.of("Written:", "書き出しました："), shown.display(), lang.of("lines", "行"));
        told.say(&json!({"schema": "mimamori.written/1", "path": shown, "lines": lines}), &text);
        Ok(())
    }))
}

/// The fingerprints that prove later what this machine said, in the form that verifiers take as `--trust`; a file is
/// always in that form.
pub(super) fn trust(config: &Config, output: Option<&Path>, told: Output, lang: Lang) -> u8 {
    let made = identified(config, lang).and_then(|(keys, given)| {
        let trust = Trust::of(&keys, &given).ok_or_else(|| (exit::CONFIG, "the root key kept is damaged".to_owned()))?;
        let text = trust.toml();
        match output {
            Some(path) => {
                std::fs::write(path, &text).map_err(|fault| (exit::USAGE, format!("--output {}", unwritable(path, &fault, lang))))?;
                let (shown, lines) = (whole(path), text.lines().count());
                let line = format!("{} {}\n", lang.of("Written:", "書き出しました："), shown.display());
                told.say(&json!({"schema": "mimamori.written/1", "path": shown, "lines": lines}), &line);
                Ok(())
            }
            None => {
                told.say(&json!({"schema": "mimamori.trust/1", "collector_root": trust.root, "agents": trust.agents}), &text);
                Ok(())
            }
        }
    });
    finish(made)
}

/// Fingerprints to compare with later.
struct Trust {
    /// The collector's root.
    root: String,
    /// Every key of this machine there was: the first leads a verifier to the others, unless what handed over is lost with
    /// an outbox.
    agents: Vec<String>,
}

impl Trust {
    fn of(keys: &[PublicKey], given: &Enrolment) -> Option<Trust> {
        Some(Trust { root: given.root()?.id().fingerprint(), agents: keys.iter().map(|key| key.id().fingerprint()).collect() })
    }

    fn toml(&self) -> String {
        let agents: Vec<String> = self.agents.iter().map(|key| format!("\"{key}\"")).collect();
        format!("collector_root = \"{}\"\nagents = [{}]\n", self.root, agents.join(", "))
    }
}

/// The form is docs/WIRE.md, "Ledger export". How many lines were written.
fn write_export(ledger: &Ledger, keys: &[PublicKey], given: &Enrolment, mut out: impl Write) -> Result<u64, Fault> {
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
    let mut lines = 1;
    for chain in ledger.chains()? {
        ledger.walk::<Fault>(&chain, None, |entry| {
            lines += 1;
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
            lines += 1;
        }
    }
    out.flush()?;
    Ok(lines)
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
