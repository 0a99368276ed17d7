//! What the page says, gathered from consent, identity and ledger.

use crate::cli::Cli;
use crate::clock;
use crate::command::ledger::verified_receipt;
use crate::command::manifest::consent_of;
use crate::command::status::is_running;
use crate::config::{Config, DEFAULT_FILE};
use crate::consent_file::{ConsentFile, NoConsent};
use crate::core::Settings;
use crate::identity::{self, Enrolment};
use crate::outbox::{Ledger, LedgerChain, LedgerEntry, Noted, Outbox, OutboxError, noted};
use crate::setup::{self, Environment};
use mimamori_cli::print::quoted;
use mimamori_shared::error::chain as words;
use mimamori_shared::payload::{Loss, LossReason, Receipt};
use mimamori_shared::sign::PayloadType;
use mimamori_shared::time;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Ranges listed one by one; the rest is counted.
const RANGES_MAX: usize = 50;

/// Everything the page says.
pub(super) struct Facts {
    pub(super) now_ms: i64,
    /// Who this is, or why nobody can tell.
    pub(super) identity: Result<Who, String>,
    pub(super) consent: Result<ConsentFile, NoConsent>,
    /// Between two reports, in seconds.
    pub(super) settings: Settings,
    pub(super) running: bool,
    /// What is in the ledger, or why it cannot be read.
    pub(super) ledger: Result<Kept, String>,
    pub(super) noted: Vec<Noted>,
    /// Milliseconds of failed pushes of the present chain, by layer.
    pub(super) push_fail_ms: [u64; 6],
    pub(super) unsent: u64,
    /// How the programs are called on this machine.
    pub(super) call: String,
    pub(super) consent_path: String,
}

pub(super) struct Who {
    pub(super) given: Enrolment,
    pub(super) agent_fingerprint: String,
    pub(super) root_fingerprint: String,
}

/// Entries of one kind.
#[derive(Default, Clone, Copy)]
pub(super) struct Sum {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

/// Places without what once stood there.
pub(super) struct Gone {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// `None`: what is kept on this machine is damaged.
    pub(super) reason: Option<LossReason>,
    pub(super) span_ms: Option<(i64, i64)>,
}

/// What the ledger holds.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) entries: u64,
    /// Taken today and receipted, by kind.
    pub(super) sent_today: BTreeMap<&'static str, Sum>,
    /// First and last of them.
    pub(super) span_ms: Option<(i64, i64)>,
    /// Taken today, not receipted yet.
    pub(super) waiting_today: Sum,
    pub(super) gone: Vec<Gone>,
    /// Ranges beyond those listed.
    pub(super) more_gone: u64,
    /// The newest receipt, and whether it holds offline.
    pub(super) receipt: Option<(Receipt, Result<(), &'static str>)>,
}

pub(super) fn gather(config: &Config, cli: &Cli, environment: &Environment) -> Facts {
    let dir = config.state_dir();
    let now_ms = clock::now().wall_ms;
    let identity = identity::load(&dir).map(|(key, given)| Who {
        agent_fingerprint: identity::fingerprint(&key),
        root_fingerprint: given.root().map(|root| root.id().fingerprint()).unwrap_or_default(),
        given,
    });
    let identity = identity.map_err(|fault| words(&fault));
    let ledger = Ledger::open(&dir).and_then(|ledger| match ledger {
        Some(ledger) => kept(&ledger, now_ms, identity.as_ref().ok().map(|who| &who.given)),
        None => Ok(Kept::default()),
    });
    let restored = Outbox::peek(&dir).unwrap_or_default();
    let consent = consent_of(config, environment);
    let settings = setup::settings_of(config, consent.as_ref().ok().map(|consent| &consent.terms));
    let at = if cli.config.as_os_str() == DEFAULT_FILE { String::new() } else { format!(" --config {}", quoted(&cli.config)) };
    Facts {
        now_ms,
        identity,
        consent,
        settings,
        running: is_running(&dir),
        ledger: ledger.map_err(|fault| words(&fault)),
        noted: noted(&dir).unwrap_or_default(),
        push_fail_ms: restored.push_fail_ms,
        unsent: restored.chains.iter().map(|chain| chain.tip.next_seq.saturating_sub(chain.unsent_from)).sum(),
        call: format!("mimamori-agent{at}"),
        consent_path: config.consent_file().display().to_string(),
    }
}

#[derive(Deserialize)]
struct Taken {
    taken_at_ms: i64,
}

fn kept(ledger: &Ledger, now_ms: i64, given: Option<&Enrolment>) -> Result<Kept, OutboxError> {
    let mut kept = Kept::default();
    let today = time::japan_day(now_ms);
    for chain in ledger.chains()? {
        ledger.walk::<OutboxError>(&chain, None, |entry| {
            kept.take(&chain, &entry, today);
            Ok(())
        })?;
        if let (Some(held), Some(given)) = (&chain.held, given) {
            let verified = verified_receipt(&held.receipt, &held.certificate, given);
            let shown = mimamori_shared::frame::take(&held.receipt).ok().and_then(|(frame, _)| serde_json::from_slice(&frame.payload).ok());
            kept.receipt = shown.map(|receipt: Receipt| (receipt, verified.map(|_| ()))).or(kept.receipt);
        }
    }
    Ok(kept)
}

impl Kept {
    fn take(&mut self, chain: &LedgerChain, entry: &LedgerEntry, today: i64) {
        let (frame, last_seq) = match entry {
            LedgerEntry::Frame { frame, last_seq, .. } => (frame, *last_seq),
            LedgerEntry::Head { seq, last_seq, damaged, .. } => {
                if *damaged {
                    self.lacks(Gone { first_seq: *seq, last_seq: *last_seq, reason: None, span_ms: None });
                }
                return;
            }
        };
        self.entries += 1;
        let kind = PayloadType::of(&frame.payload);
        if kind == Some(PayloadType::Loss)
            && let Ok(loss) = serde_json::from_slice::<Loss>(&frame.payload)
        {
            let (first_seq, last_seq) = (loss.first_seq, loss.last_seq);
            self.lacks(Gone { first_seq, last_seq, reason: Some(loss.reason), span_ms: Some((loss.from_ms, loss.to_ms)) });
        }
        let Ok(Taken { taken_at_ms }) = serde_json::from_slice(&frame.payload) else { return };
        if taken_at_ms < today {
            return;
        }
        let sent = last_seq < chain.unsent_from;
        let sum = if sent { self.sent_today.entry(kind.map_or("unknown", PayloadType::name)).or_default() } else { &mut self.waiting_today };
        sum.entries += 1;
        sum.bytes += frame.payload.len() as u64;
        if sent {
            let (first, last) = self.span_ms.unwrap_or((taken_at_ms, taken_at_ms));
            self.span_ms = Some((first.min(taken_at_ms), last.max(taken_at_ms)));
        }
    }

    fn lacks(&mut self, gone: Gone) {
        if self.gone.len() < RANGES_MAX {
            self.gone.push(gone);
        } else {
            self.more_gone += 1;
        }
    }
}
