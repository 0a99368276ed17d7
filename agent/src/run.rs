//! The shell around [`crate::core`]: carries out its effects with the real clock, files and network.
//!
//! One loop on one thread. It sends the watchdog's sign of life itself, after having done a round of work, so a loop
//! that hangs is seen.

mod begin;
mod consent;
mod keys;
mod sampling;
mod telling;

pub use begin::RunError;
pub(crate) use begin::lock;

use crate::clock;
use crate::config::Config;
use crate::consent_file::{self, NoConsent, Pending};
use crate::core::{Agent, Answered, Effect, Event, Identity, Restored, Settings};
use crate::identity::{self, Enrolment};
use crate::keyring::Keyring;
use crate::notify_systemd::{self as systemd, tell};
use crate::outbox::{NotedKind, Outbox, OutboxError};
use crate::say::{complain, say, say_noticed};
use crate::setup::{Environment, boot_id, host_of, names_of, newest_signer, quota_of, rotate_after_ms_of, settings_of, uplink_of};
use crate::uplink::{self, Answer, Outcome, PushError, Sent, Trust, Uplink};
use crate::watch::watch;
use mimamori_shared::error::chain;
use mimamori_shared::id::ChainId;
use mimamori_shared::limits::{BODY_BYTES_MAX, REPORT_BYTES_MAX};
use mimamori_shared::payload::Layer;
use sampling::Sampling;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Longest sleep: the watchdog wants a sign of life, and the consent file is read again at least this often.
const NAP_MAX: Duration = Duration::from_secs(20);
/// Plain bytes of one request; a longer backlog goes in several.
const BATCH_BYTES: usize = 1024 * 1024;
/// How long a stop waits for a push that is under way.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a consent must be invalid for the same reason before that counts as its withdrawal, in milliseconds.
const DOUBT_MS: i64 = 4_000;
/// Longest sleep meanwhile.
const DOUBT_NAP: Duration = Duration::from_secs(1);
/// How often age is looked at, in milliseconds.
const TRIM_EVERY_MS: i64 = 3_600_000;

/// Everything the agent works with.
struct Shell {
    agent: Agent,
    identity: Identity,
    settings: Settings,
    /// The outbox was begun anew: the agent goes on from it after the present event.
    anew: Option<Restored>,
    outbox: Outbox,
    sampling: Sampling,
    uplink: Arc<Uplink>,
    trust: Trust,
    enrolment: Enrolment,
    dir: PathBuf,
    keyring: Keyring,
    rotate_after_ms: Option<i64>,
    /// The request for a new key was granted and could not be taken away.
    request_stays: bool,
    consent_path: PathBuf,
    config: Config,
    loopback: bool,
    salt: [u8; 32],
    answers: mpsc::Sender<(Sent, Result<Answer, PushError>)>,
    doubted: Option<(NoConsent, i64)>,
    /// The withdrawal being carried out, and since when, in boot time.
    withdrawing: Option<(Pending, i64)>,
    said: Said,
    trim_at: i64,
}

/// What was said last, so that nothing is said twice.
#[derive(Default)]
struct Said {
    consent: Option<NoConsent>,
    request: Option<String>,
    ends: Option<(i64, u32)>,
    failing: Option<NotedKind>,
    reached: bool,
    /// Nothing noted in the outbox is waiting for a receipt to be over.
    over: bool,
    /// What keeps the outbox from taking anything.
    trouble: Option<String>,
}

/// Runs until it is told to stop.
///
/// # Errors
/// [`RunError`] names the mend.
pub fn run(config: &Config, environment: &Environment) -> Result<(), RunError> {
    if rustix::process::geteuid().is_root() {
        return Err(RunError::Root);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
    runtime.block_on(async {
        let (answers, mut answered) = mpsc::channel(1);
        let Some((lock, mut shell)) = begin::begin(config, environment, &answers).await? else { return Ok(()) };
        let ended = shell.serve(&mut answered).await;
        drop(lock);
        ended
    })
}

impl Shell {
    fn start(config: &Config, environment: &Environment, answers: mpsc::Sender<(Sent, Result<Answer, PushError>)>) -> Result<Shell, RunError> {
        let dir = config.state_dir();
        let (_, enrolment) = identity::load(&dir)?;
        let root = enrolment.root().ok_or(identity::IdentityError::NotEnrolled)?;
        let salt = identity::salt(&dir, clock::random()?)?;
        let uplink = uplink_of(config, &enrolment.url, enrolment.ca_pin, environment).map_err(RunError::Config)?;
        let host = host_of(config);
        let (outbox, restored, noticed) = Outbox::open(&dir, quota_of(config), clock::now().wall_ms).map_err(|fault| RunError::Outbox(dir.clone(), fault))?;
        noticed.iter().for_each(say_noticed);
        let loopback = uplink.stays_here();
        let consent = consent_file::load(&config.consent_file(), &salt, clock::now().wall_ms, loopback).ok();
        let settings = settings_of(config, consent.as_ref().map(|consent| &consent.terms));
        let trust = Trust { collector_id: enrolment.collector_id, agent_id: enrolment.agent_id, root, certificate: newest_signer(&dir, &root) };
        let keyring = Keyring::open(&dir, enrolment.enrolled_at_ms, &restored, clock::now().wall_ms)?;
        let identity = Identity { collector_id: enrolment.collector_id, agent_id: enrolment.agent_id, key: keyring.key.clone(), boot_id: boot_id(&host)? };
        let mut shell = Shell {
            agent: Agent::new(identity.clone(), settings.clone(), restored),
            identity,
            settings,
            anew: None,
            outbox,
            sampling: Sampling::new(config, names_of(config, &salt).map_err(RunError::Config)?, uplink.resolves()),
            uplink: Arc::new(uplink),
            trust,
            enrolment,
            dir,
            keyring,
            rotate_after_ms: rotate_after_ms_of(config),
            request_stays: false,
            consent_path: config.consent_file(),
            config: config.clone(),
            loopback,
            salt,
            answers,
            doubted: None,
            withdrawing: None,
            said: Said::default(),
            trim_at: i64::MIN,
        };
        shell.agent.set_rotation(shell.rotation());
        Ok(shell)
    }

    async fn serve(&mut self, answered: &mut mpsc::Receiver<(Sent, Result<Answer, PushError>)>) -> Result<(), RunError> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (changed, mut changes) = mpsc::channel(1);
        let Some(mut taken) = self.sampling.take.take() else { return Ok(()) };
        let (noticed, mut news) = mpsc::channel(1);
        // Where there is no helper there is no folder to watch; then the beat finds its first file.
        let watchers = (watch(&self.consent_path, changed), watch(&self.sampling.helper_file(), noticed));
        say(&format!(
            "agent {} of machine {} at facility {} reports to {}",
            self.enrolment.agent_id, self.enrolment.machine, self.enrolment.facility, self.enrolment.url
        ));
        self.read_consent()?;
        tell(systemd::ready());
        loop {
            let nap = self.nap();
            tokio::select! {
                () = tokio::time::sleep(nap) => self.read_consent_then_wake()?,
                Some(taken) = taken.recv() => {
                    if let Some(event) = self.end_sample(taken) {
                        self.handle(event)?;
                    }
                }
                Some((sent, result)) = answered.recv() => self.take_answer(sent, result)?,
                Some(()) = changes.recv() => self.read_consent()?,
                Some(()) = news.recv() => self.handle(Event::News)?,
                _ = hangup.recv() => self.read_consent()?,
                _ = term.recv() => break,
                _ = interrupt.recv() => break,
            }
            tell(systemd::watchdog());
        }
        drop(watchers);
        tell(systemd::stopping());
        self.farewell(answered).await
    }

    /// A push under way may still bring its receipt; then everything receipted is made durable.
    async fn farewell(&mut self, answered: &mut mpsc::Receiver<(Sent, Result<Answer, PushError>)>) -> Result<(), RunError> {
        if self.agent.push_state().due_at().is_none()
            && let Ok(Some((sent, Ok(answer)))) = tokio::time::timeout(FAREWELL, answered.recv()).await
        {
            self.note_answer(&sent, &answer);
            if let Outcome::Receipted(receipt) = uplink::judge(&answer, &mut self.trust, &sent) {
                // The effects belong to a next round that does not come.
                drop(self.agent.step(Event::Answered { sent, answer: Answered::Receipt(receipt) }, clock::now(), clock::random()?));
            }
        }
        if let Err(fault) = self.outbox.save(self.agent.chains()) {
            complain(&format!("receipts were not saved and will be asked for again: {}", chain(&fault)));
        }
        say("stopped");
        Ok(())
    }

    fn nap(&self) -> Duration {
        let now = clock::now().boottime_ms;
        let wait = self.agent.wake_at().map_or(NAP_MAX.as_millis(), |at| u128::try_from(at.saturating_sub(now)).unwrap_or(0));
        let withdrawing = self.withdrawing.as_ref().is_some_and(|(_, since)| now.saturating_sub(*since) < DOUBT_MS);
        let most = if self.doubted.is_some() || withdrawing { DOUBT_NAP } else { NAP_MAX };
        Duration::from_millis(u64::try_from(wait).unwrap_or(0)).min(most)
    }

    fn read_consent_then_wake(&mut self) -> Result<(), RunError> {
        self.read_consent()?;
        let event = self.look_for_request().unwrap_or(Event::Wake);
        self.handle(event)
    }

    fn handle(&mut self, event: Event) -> Result<(), RunError> {
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            for effect in self.agent.step(event, clock::now(), clock::random()?) {
                self.carry_out(effect, &mut queue);
            }
            if let Some(restored) = self.anew.take() {
                self.begin_anew(restored);
                let consent = self.consent();
                queue = VecDeque::from([Event::Consent(consent)]);
            }
        }
        Ok(())
    }

    /// Says what failed, once; if the file itself is at fault, begins a new one.
    fn failed(&mut self, what: &str, fault: &OutboxError) {
        let text = format!("{what}: {}", chain(fault));
        if self.said.trouble.as_ref() != Some(&text) {
            complain(&text);
            tell(systemd::status(&text));
            self.said.trouble = Some(text);
        }
        match self.outbox.heal(fault, clock::now().wall_ms) {
            Ok(None) => {}
            Ok(Some((restored, noticed))) => {
                noticed.iter().for_each(say_noticed);
                self.anew = Some(restored);
            }
            Err(fault) => complain(&format!("the outbox cannot be begun anew: {}", chain(&fault))),
        }
    }

    fn carry_out(&mut self, effect: Effect, queue: &mut VecDeque<Event>) {
        match effect {
            Effect::Sample => match self.outbox.check_space() {
                Ok(()) => self.begin_sample(),
                Err(fault) => {
                    queue.push_back(Event::CommitFailed);
                    self.failed("nothing is collected", &fault);
                }
            },
            Effect::Commit(record) => {
                let committed = self.outbox.commit(&record);
                queue.push_front(match &committed {
                    Ok(()) => Event::Committed,
                    Err(OutboxError::Full) => Event::CommitRefused,
                    Err(_) => Event::CommitFailed,
                });
                match committed {
                    Ok(()) => self.works_again(),
                    Err(fault) => self.failed("a report could not be kept and was not created", &fault),
                }
                self.trim(queue);
            }
            Effect::Bridge(record) => match self.outbox.bridge(&record) {
                Ok(()) if self.outbox.over_quota() => self.trim(queue),
                Ok(()) => {}
                Err(fault) => {
                    queue.push_front(Event::BridgeFailed);
                    self.failed("a loss could not be recorded", &fault);
                }
            },
            Effect::Push { chain_id, from_seq, frames_max } => self.push(chain_id, from_seq, frames_max, queue),
            Effect::Rewind { chain_id, next_seq, head } => match self.outbox.rewind(chain_id, next_seq, head) {
                Ok(held) => queue.push_back(Event::Rewound { chain_id, held }),
                Err(fault) => {
                    queue.push_back(Event::PushFailed);
                    self.failed("the ledger cannot be read", &fault);
                }
            },
            Effect::Purge => {
                let unsent = self.outbox.unsent(self.agent.chains());
                let read = unsent.is_ok();
                if let Err(fault) = self.outbox.forget_set_aside() {
                    complain(&format!("files that were set aside as damaged stay: {}", chain(&fault)));
                }
                match unsent {
                    Ok(specs) => queue.extend(specs.into_iter().map(Event::Dropped)),
                    Err(fault) => self.failed("the outbox cannot be purged", &fault),
                }
                queue.push_back(Event::Purged(read));
            }
            Effect::Recall { before } => self.recall(before, queue),
            Effect::Keys(task) => self.key_task(task, queue),
            Effect::Note(note) => self.take_note(note),
        }
    }

    fn works_again(&mut self) {
        if self.said.trouble.take().is_some() {
            say("reports are kept again");
            tell(systemd::status("Reports are kept again"));
        }
    }

    /// Over the quota at once; over the age once an hour.
    fn trim(&mut self, queue: &mut VecDeque<Event>) {
        let now = clock::now();
        // A loss that is not recorded yet would be named again.
        let under_way = queue.iter().any(|event| matches!(event, Event::Dropped(_)));
        if under_way || (!self.outbox.over_quota() && now.boottime_ms < self.trim_at) {
            return;
        }
        self.trim_at = now.boottime_ms.saturating_add(TRIM_EVERY_MS);
        match self.outbox.trim(self.agent.chains(), now.wall_ms) {
            Ok(spec) => queue.extend(spec.map(Event::Dropped)),
            Err(fault) => self.failed("the outbox could not be trimmed", &fault),
        }
    }

    fn push(&mut self, chain_id: ChainId, from_seq: u64, frames_max: usize, queue: &mut VecDeque<Event>) {
        let batch = match self.outbox.batch(chain_id, from_seq, frames_max, BATCH_BYTES) {
            Ok(Ok(Some(batch))) => batch,
            Ok(Err(spec)) => {
                queue.push_back(Event::Dropped(spec));
                queue.push_back(Event::PushEmpty);
                return;
            }
            Ok(Ok(None)) => {
                queue.push_back(Event::PushFailed);
                return complain("the outbox holds nothing where something should be unsent");
            }
            Err(fault) => {
                queue.push_back(Event::PushFailed);
                return self.failed("the outbox cannot be read", &fault);
            }
        };
        let body = zstd::bulk::compress(&batch.body.to_bytes(), 3);
        let (uplink, answers, sent) = (Arc::clone(&self.uplink), self.answers.clone(), batch.sent);
        let now_ms = clock::now().wall_ms;
        tokio::spawn(async move {
            let result = match body {
                Ok(body) if body.len() <= BODY_BYTES_MAX => uplink.post(uplink::REPORTS_PATH, uplink::REPORTS_TYPE, Some("zstd"), body, now_ms).await,
                Ok(_) | Err(_) => Err(PushError::new(uplink::Detail::Status(413))),
            };
            // Nobody listens any more only when the agent stops.
            drop(answers.send((sent, result)).await);
        });
    }

    fn take_answer(&mut self, sent: Sent, result: Result<Answer, PushError>) -> Result<(), RunError> {
        let too_large = matches!(&result, Ok(answer) if answer.status == 413) || matches!(&result, Err(fault) if fault.detail == uplink::Detail::Status(413));
        let outcome = match &result {
            Ok(answer) => uplink::judge(answer, &mut self.trust, &sent),
            Err(fault) => Outcome::Failed(fault.clone(), None),
        };
        let answer = match outcome {
            Outcome::Receipted(receipt) => {
                if let Ok(answer) = &result {
                    self.note_answer(&sent, answer);
                }
                self.say_reached(receipt.status);
                Answered::Receipt(receipt)
            }
            Outcome::Refused(refusal) => Answered::Refusal(refusal),
            Outcome::PreviewTaken => Answered::Failed { layer: Layer::Receipt, retry_after_s: None, too_large: false },
            Outcome::Failed(fault, retry_after_s) => {
                self.say_failed(&fault);
                Answered::Failed { layer: fault.layer, retry_after_s, too_large }
            }
        };
        if matches!(&result, Ok(answer) if answer.status == 401) {
            self.handle(Event::KeyUnknown(sent.chain_id))?;
        }
        self.handle(Event::Answered { sent, answer })?;
        // Nothing more is committed now that could carry what was receipted.
        if self.agent.rests(clock::now())
            && let Err(fault) = self.outbox.save(self.agent.chains())
        {
            self.failed("receipts were not saved and will be asked for again", &fault);
        }
        Ok(())
    }

    /// Keeps the lines of a receipt as they came, for the ledger.
    fn note_answer(&mut self, sent: &Sent, answer: &Answer) {
        let mut lines = answer.body.split_inclusive(|b| *b == b'\n');
        let mut two = || lines.by_ref().take(2).flatten().copied().collect::<Vec<u8>>();
        let (receipt, certificate) = (two(), two());
        if receipt.len() + certificate.len() <= REPORT_BYTES_MAX {
            self.outbox.note_receipt(sent.chain_id, receipt, certificate);
        }
    }
}
