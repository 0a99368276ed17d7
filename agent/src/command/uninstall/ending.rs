//! The agent's last words: what is unsent leaves under the consent or not at all, then the signed statement.

use super::before;
use crate::cli::Lang;
use crate::clock;
use crate::command::manifest::consent_of;
use crate::config::Config;
use crate::consent_file::{self, ConsentFile};
use crate::core::{Agent, ChainState, Consent, Identity, Restored, Rotation};
use crate::identity::{self, Enrolment};
use crate::keyring::Keyring;
use crate::outbox::{Outbox, Quota};
use crate::setup::{self, Environment};
use crate::uplink::{self, Answer, Detail, Outcome, Trust, Uplink};
use mimamori_shared::chain::Tip;
use mimamori_shared::error::chain as words;
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{ChainId, Lease};
use mimamori_shared::limits::FRAMES_MAX;
use mimamori_shared::payload::{Counts, Place, Receipt, RefusalReason};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long unsent entries, and then the statement, may take to leave.
const SENDING: Duration = Duration::from_secs(30);
/// Plain bytes of one request.
const BATCH_BYTES: usize = 1024 * 1024;

/// What came of it.
#[derive(Default)]
pub(super) struct Ended {
    /// The statement as its two lines; none when no chain was ever opened.
    pub(super) statement: Option<String>,
    /// Where the collector may not have heard of the key that signs it: the entry by which the key before hands over, as
    /// its two lines.
    pub(super) handover: Option<String>,
    /// Where it stands.
    pub(super) place: Option<Place>,
    /// The collector's receipt for it.
    pub(super) receipt: Option<Receipt>,
    /// Unsent entries that left before it.
    pub(super) sent: u64,
    /// Unsent entries that go with the agent.
    pub(super) purged: Counts,
}

/// Why it did not come to that; keys, ledger and configuration are not removed then.
pub(super) struct NotEnded {
    pub(super) why: String,
    /// Unsent entries that were dropped by then.
    pub(super) dropped: Counts,
    /// The statement lies there.
    pub(super) stated: bool,
}

impl From<String> for NotEnded {
    fn from(why: String) -> NotEnded {
        NotEnded { why, dropped: Counts::default(), stated: false }
    }
}

/// Why not everything left.
enum Unsent {
    /// There was not time enough. The collector takes what it is sent.
    Late,
    /// It cannot leave now, or the collector does not take it.
    Failed(String),
}

impl From<String> for Unsent {
    fn from(why: String) -> Unsent {
        Unsent::Failed(why)
    }
}

impl Unsent {
    fn words(self, lang: Lang) -> String {
        let seconds = SENDING.as_secs();
        match self {
            Unsent::Late => lang.of(format!("not everything left within {seconds} s"), format!("{seconds}秒以内にすべてを送信できませんでした")),
            Unsent::Failed(why) => why,
        }
    }
}

/// Signs and sends. `offline` signs alone.
pub(super) fn end(config: &Config, environment: &Environment, given: &Enrolment, offline: bool, lang: Lang) -> Result<Ended, NotEnded> {
    let dir = config.state_dir();
    // A withdrawal that nobody has acted upon comes before a newer consent: what was collected before it does not leave.
    let withdrawn = match consent_file::pending(&config.consent_file(), &dir, true) {
        Ok(pending) => pending.is_some(),
        Err(_) if offline => true,
        Err(why) => return Err(why.in_lang(lang).into()),
    };
    let consent = consent_of(config, environment).ok().filter(|_| !withdrawn);
    let mut way = if offline { None } else { Some(Way::open(config, environment, given, &dir, lang)?) };
    let quota = Quota { free_floor_bytes: 0, ..setup::quota_of(config) };
    let (mut outbox, restored, _) = Outbox::open(&dir, quota, clock::now().wall_ms).map_err(|fault| words(&fault))?;
    let keyring = Keyring::open(&dir, given.enrolled_at_ms, &restored, clock::now().wall_ms).map_err(|fault| words(&fault))?;
    let mut chains = restored.chains.clone();
    let agent_of = |chains: &[ChainState]| ending(config, &keyring, given, Restored { chains: chains.to_vec(), ..restored.clone() }, consent.as_ref());
    let mut ended = Ended::default();
    let said = match before::said(&outbox, &chains, &keyring.key.public()).map_err(|fault| words(&fault))? {
        // It was signed by an earlier removal, and behind everything: nothing more is dropped, and it is not said twice.
        Some(said) => {
            ended = said;
            Ok(())
        }
        None => {
            if let (Some(way), Some(_)) = (&mut way, &consent) {
                ended.sent = send_unsent(way, &mut outbox, &mut chains, lang)?;
            }
            open_behind(&mut outbox, &agent_of(&chains)?, &mut chains)?;
            sign(&mut outbox, &agent_of(&chains)?, &mut chains, &mut ended)
        }
    };
    match said.and_then(|()| last_words(&mut outbox, &mut chains, way.as_mut(), &mut ended, lang)) {
        Ok(()) => {
            ended.receipt = ended.receipt.take().or_else(|| before::receipted(&dir, ended.place.as_ref()));
            Ok(ended)
        }
        Err(why) => Err(NotEnded { why, dropped: ended.purged, stated: ended.statement.is_some() }),
    }
}

/// What was collected under the consent leaves first; gives how many.
fn send_unsent(way: &mut Way, outbox: &mut Outbox, chains: &mut [ChainState], lang: Lang) -> Result<u64, String> {
    let before = unsent(chains);
    match way.send(outbox, chains) {
        // What does not leave in time is counted behind it.
        Ok(()) | Err(Unsent::Late) => Ok(before.saturating_sub(unsent(chains))),
        // A collector that does not take this takes no statement either: nothing is dropped for one.
        Err(fault) => Err(fault.words(lang)),
    }
}

/// Sends what was signed if there is a way.
fn last_words(outbox: &mut Outbox, chains: &mut [ChainState], way: Option<&mut Way>, ended: &mut Ended, lang: Lang) -> Result<(), String> {
    let (Some(way), Some(_)) = (way, &ended.statement) else {
        ended.handover = handover(outbox, chains)?;
        return Ok(());
    };
    way.deadline = Instant::now() + SENDING;
    // The receipt of what was sent before it is none for it.
    way.receipt = None;
    way.send(outbox, chains).map_err(|fault| fault.words(lang))?;
    ended.receipt = way.receipt.take();
    Ok(())
}

/// The entry that hands over to a new key, as long as no receipt for it is held.
fn handover(outbox: &Outbox, chains: &[ChainState]) -> Result<Option<String>, String> {
    let Some(chain) = chains.iter().find(|chain| chain.successor.is_some() && chain.unsent_from < chain.tip.next_seq) else { return Ok(None) };
    let batch = outbox.batch(chain.chain_id, chain.tip.next_seq.saturating_sub(1), 1, BATCH_BYTES).map_err(|fault| words(&fault))?;
    let frame = batch.ok().flatten().and_then(|batch| batch.body.frames.into_iter().next());
    Ok(frame.map(|frame| String::from_utf8_lossy(&frame.to_lines()).into_owned()))
}

fn unsent(chains: &[ChainState]) -> u64 {
    chains.iter().map(|chain| chain.tip.next_seq.saturating_sub(chain.unsent_from)).sum()
}

fn ending(config: &Config, keyring: &Keyring, given: &Enrolment, restored: Restored, consent: Option<&ConsentFile>) -> Result<Agent, String> {
    let boot_id = setup::boot_id(&setup::host_of(config)).map_err(|fault| fault.to_string())?;
    let identity = Identity { collector_id: given.collector_id, agent_id: given.agent_id, key: keyring.key.clone(), boot_id };
    let terms = consent.map(|consent| consent.terms.clone());
    let settings = setup::settings_of(config, terms.as_ref());
    let mut agent = Agent::ending(identity, settings, restored, terms.map(Consent::Valid));
    agent.set_rotation(Rotation { old: keyring.old.clone(), ..Rotation::default() });
    Ok(agent)
}

/// Behind a statement that hands over nothing stands: the new key says the rest in a chain of its own.
fn open_behind(outbox: &mut Outbox, agent: &Agent, chains: &mut Vec<ChainState>) -> Result<(), String> {
    let chain_id = ChainId(clock::random().map_err(|fault| fault.to_string())?);
    let Some(mut record) = agent.purge_opening(chain_id, clock::now()) else { return Ok(()) };
    record.receipts = chains.clone();
    outbox.commit(&record).map_err(|fault| words(&fault))?;
    let tip = Tip { next_seq: 1, head: record.tip_hash };
    chains.push(ChainState { chain_id, tip, unsent_from: 0, lease: Lease::ZERO, blocked: false, key_id: Some(record.key_id), successor: None });
    Ok(())
}

/// What is still unsent becomes a loss, and the statement stands behind it.
fn sign(outbox: &mut Outbox, agent: &Agent, chains: &mut [ChainState], ended: &mut Ended) -> Result<(), String> {
    let failed = |fault: crate::outbox::OutboxError| words(&fault);
    let now = clock::now();
    for spec in outbox.unsent(chains).map_err(failed)? {
        match agent.purge_loss(&spec, now) {
            Some(record) => outbox.bridge(&record).map_err(failed)?,
            // The key of that chain is gone, and nobody can sign for it: it is counted, and does not leave.
            None => chains.iter_mut().filter(|chain| chain.chain_id == spec.chain_id).for_each(|chain| chain.unsent_from = chain.tip.next_seq),
        }
        ended.purged.add_all(&spec.counts);
    }
    let Some(mut record) = agent.purge_statement(ended.purged, now) else { return Ok(()) };
    record.receipts = chains.to_vec();
    outbox.commit(&record).map_err(failed)?;
    if let Some(newest) = chains.last_mut() {
        newest.tip = Tip { next_seq: record.last_seq.saturating_add(1), head: record.tip_hash };
    }
    ended.place = Some(Place { chain_id: record.chain_id, seq: record.seq, hash: record.hash });
    let lines = Frame { payload: record.payload, key_id: record.key_id, signature: record.signature }.to_lines();
    ended.statement = Some(String::from_utf8_lossy(&lines).into_owned());
    Ok(())
}

/// The way to the collector, for a bounded time.
struct Way {
    uplink: Uplink,
    trust: Trust,
    runtime: tokio::runtime::Runtime,
    deadline: Instant,
    receipt: Option<Receipt>,
    lang: Lang,
}

impl Way {
    /// Opens it, and makes sure that the collector is there before anything is changed.
    fn open(config: &Config, environment: &Environment, given: &Enrolment, dir: &Path, lang: Lang) -> Result<Way, String> {
        let uplink = setup::uplink_of(config, &given.url, given.ca_pin, environment)?;
        let root = given.root().ok_or_else(|| identity::IdentityError::NotEnrolled.in_lang(lang))?;
        let trust = Trust { collector_id: given.collector_id, agent_id: given.agent_id, root, certificate: setup::newest_signer(dir, &root) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|fault| fault.to_string())?;
        runtime.block_on(async {
            let addresses = uplink.resolve().await.result.map_err(|fault| fault.in_lang(lang))?;
            let stream = uplink.connect(&addresses).await.result.map_err(|fault| fault.in_lang(lang))?;
            uplink.tls_handshake(stream).await.result.map_err(|fault| fault.in_lang(lang))
        })?;
        Ok(Way { uplink, trust, runtime, deadline: Instant::now() + SENDING, receipt: None, lang })
    }

    fn send(&mut self, outbox: &mut Outbox, chains: &mut [ChainState]) -> Result<(), Unsent> {
        let lang = self.lang;
        for at in 0..chains.len() {
            while let Some((chain_id, from_seq)) = chains.get(at).filter(|chain| chain.unsent_from < chain.tip.next_seq).map(|c| (c.chain_id, c.unsent_from)) {
                if Instant::now() >= self.deadline {
                    return Err(Unsent::Late);
                }
                let batch = outbox.batch(chain_id, from_seq, FRAMES_MAX, BATCH_BYTES).map_err(|fault| words(&fault))?;
                let Ok(Some(batch)) = batch else { return Err(damaged(lang).to_owned().into()) };
                let body = zstd::bulk::compress(&batch.body.to_bytes(), 3).map_err(|fault| fault.to_string())?;
                let posted = self.runtime.block_on(self.uplink.post(uplink::REPORTS_PATH, uplink::REPORTS_TYPE, Some("zstd"), body, clock::now().wall_ms));
                let answer = posted.map_err(|fault| fault.in_lang(lang))?;
                let receipt = match uplink::judge(&answer, &mut self.trust, &batch.sent) {
                    Outcome::Receipted(receipt) => receipt,
                    Outcome::Refused(refusal) => return Err(refused(&refusal.reason, lang).to_owned().into()),
                    Outcome::Failed(fault, _) => return Err(fault.in_lang(lang).into()),
                    Outcome::PreviewTaken => return Err(uplink::PushError::new(Detail::Portal).in_lang(lang).into()),
                };
                if receipt.seq < from_seq {
                    return Err(lang.of("the collector's receipt goes back", "コレクターの受領証が以前の位置に戻っています").to_owned().into());
                }
                if let Some(chain) = chains.get_mut(at) {
                    chain.unsent_from = receipt.seq.saturating_add(1);
                    chain.lease = receipt.lease;
                }
                keep(outbox, chain_id, &answer);
                self.receipt = Some(receipt);
            }
        }
        Ok(outbox.save(chains).map_err(|fault| words(&fault))?)
    }
}

fn damaged(lang: Lang) -> &'static str {
    lang.of(
        "what is unsent is damaged: start the agent, let it record the loss and send the rest, stop it, and try again",
        "未送信分が壊れています。エージェントを起動して欠損を記録させ、残りを送信させてから停止し、再実行してください",
    )
}

/// The receipt's lines as they came: a ledger that stays, because something else fails, has them.
fn keep(outbox: &mut Outbox, chain_id: ChainId, answer: &Answer) {
    let mut lines = answer.body.split_inclusive(|b| *b == b'\n');
    let mut two = || lines.by_ref().take(2).flatten().copied().collect::<Vec<u8>>();
    let (receipt, certificate) = (two(), two());
    outbox.note_receipt(chain_id, receipt, certificate);
}

fn refused(reason: &RefusalReason, lang: Lang) -> &'static str {
    match reason {
        RefusalReason::Revoked => lang.of("the collector takes no more of this machine's key", "コレクターがこの機器の鍵を受け付けません"),
        RefusalReason::TooManyBranches | RefusalReason::TooManyChains => {
            lang.of("the collector wants an operator's approval first", "コレクターが担当者の承認を待っています")
        }
        RefusalReason::Behind { .. } => lang.of(
            "the collector lacks earlier entries: start the agent, let it send them, stop it, and try again",
            "コレクターに以前の分がありません。エージェントを起動して送信させ、停止してから再実行してください",
        ),
        RefusalReason::Diverged { .. } => lang.of("the collector holds another story of this chain", "コレクターが保持するチェーンの内容が異なります"),
    }
}
