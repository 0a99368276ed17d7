//! A rig for the tests of the core: the real outbox, a virtual clock and a collector made of the chain's rule alone.

use super::*;
use crate::outbox::{Outbox, OutboxError, Quota};
use crate::uplink::Sent;
use mimamori_shared::chain::{Fit, Link, lease};
use mimamori_shared::consent::ConsentTerms;
use mimamori_shared::fields::{Filesystem, Readings, Scope, System};
use mimamori_shared::id::{AgentId, CollectorId, KeyId};
use mimamori_shared::payload::{Body, Entry, Layer, Receipt, ReceiptStatus, Refusal, RefusalReason, successor};
use mimamori_shared::sign::{PublicKey, SecretKey, verify};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use zeroize::Zeroizing;

pub(crate) fn terms() -> ConsentTerms {
    let all = mimamori_shared::consent::ScopeTerms { every_s: 60, except: Vec::new(), include: Vec::new() };
    ConsentTerms {
        v: 1,
        valid_from_ms: 0,
        valid_to_ms: i64::MAX,
        mode: mimamori_shared::consent::ConsentMode::Continuous,
        utc_offset_s: 0,
        windows: Vec::new(),
        quiet: Vec::new(),
        scopes: BTreeMap::from([(Scope::Heartbeat, all.clone()), (Scope::OsState, all)]),
        approval_hash: Hash::ZERO,
        example: true,
    }
}

/// What a collector holds of one chain: every entry, in order.
#[derive(Default, Clone)]
pub(super) struct Held0 {
    pub(super) tip: Option<Tip>,
    pub(super) entries: Vec<Entry>,
}

pub(super) struct Rig {
    pub(super) dir: tempfile::TempDir,
    pub(super) agent: Agent,
    pub(super) outbox: Outbox,
    pub(super) now: Now,
    pub(super) collector: BTreeMap<ChainId, Held0>,
    pub(super) online: bool,
    pub(super) lose_answers: bool,
    pub(super) notes: Vec<Note>,
    pub(super) requests: usize,
    /// After so many the line fails.
    pub(super) requests_max: usize,
    /// No chain can be opened: the disk is full just then.
    pub(super) full: bool,
    /// No consent can be stated: the disk is full just then.
    pub(super) mute: bool,
    /// Every key the agent has had; the last one signs.
    pub(super) keys: Vec<SecretKey>,
    next: Option<SecretKey>,
    believed: BTreeMap<KeyId, PublicKey>,
    pub(super) sample_value: i64,
    /// Samples that a full outbox did not take.
    pub(super) refused: u64,
    pub(super) random: u8,
    pub(super) quota: Quota,
}

pub(super) const QUOTA: Quota = Quota { bytes: 1 << 30, age_ms: i64::MAX / 2, free_floor_bytes: 0 };

pub(super) fn identity() -> Identity {
    Identity { collector_id: CollectorId([1; 16]), agent_id: AgentId([2; 16]), key: SecretKey::from_seed(&Zeroizing::new([3; 32])), boot_id: BootId([4; 16]) }
}

pub(super) fn settings() -> Settings {
    Settings { plan: Plan { v: 1, interval_s: 60, sections: BTreeMap::from([("system".to_owned(), 60)]) }, except: BTreeSet::new() }
}

impl Rig {
    pub(super) fn new(quota: Quota) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let (outbox, restored, _) = Outbox::open(dir.path(), quota, 0).unwrap();
        let now = Now { wall_ms: 1_000_000, boottime_ms: 5_000, monotonic_ms: 5_000 };
        Rig {
            agent: Agent::new(identity(), settings(), restored),
            outbox,
            dir,
            now,
            collector: BTreeMap::new(),
            online: true,
            lose_answers: false,
            notes: Vec::new(),
            requests: 0,
            requests_max: usize::MAX,
            full: false,
            mute: false,
            keys: vec![identity().key],
            next: None,
            believed: BTreeMap::from([(identity().key.public().id(), identity().key.public())]),
            sample_value: 0,
            refused: 0,
            random: 0,
            quota,
        }
    }

    pub(super) fn restart(&mut self) {
        let (outbox, restored, _) = Outbox::open(self.dir.path(), self.quota, 0).unwrap();
        self.outbox = outbox;
        self.agent = Agent::new(identity(), settings(), restored);
        self.event(Event::Consent(Consent::Valid(terms())));
    }

    pub(super) fn event(&mut self, event: Event) {
        let mut queue = VecDeque::from([event]);
        let mut steps = 0;
        while let Some(event) = queue.pop_front() {
            steps += 1;
            assert!(steps < 10_000, "the agent turns in a circle");
            self.random = self.random.wrapping_add(1);
            for effect in self.agent.step(event.clone(), self.now, [self.random; 16]) {
                self.carry_out(effect, &mut queue);
            }
            if let Some(spec) = self.outbox.trim(self.agent.chains(), self.now.wall_ms).unwrap() {
                queue.push_back(Event::Dropped(spec));
            }
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect, queue: &mut VecDeque<Event>) {
        match effect {
            Effect::Sample => {
                self.sample_value += 1;
                let system = System { uptime_ms: Some(self.sample_value), ..System::default() };
                // Every third report holds a state, and now and then it is another.
                let disk = Filesystem { name: "root".parse().unwrap(), read_only: Some(0), ..Filesystem::default() };
                let filesystem = if self.sample_value % 3 == 0 { vec![disk] } else { Vec::new() };
                let readings = Readings { system: Some(system), filesystem, ..Readings::default() };
                let states = BTreeMap::from([("system", (self.sample_value / 40).unsigned_abs())]);
                queue.push_back(Event::Sampled { readings: Box::new(readings), faults: Vec::new(), states });
            }
            Effect::Commit(record) if self.full && record.opens.is_some() => queue.push_front(Event::CommitFailed),
            Effect::Commit(record) if self.mute && matches!(record.states, Some(Statement::Consent { .. })) => queue.push_front(Event::CommitFailed),
            Effect::Commit(record) => {
                queue.push_front(match self.outbox.commit(&record) {
                    Ok(()) => Event::Committed,
                    Err(OutboxError::Full) => {
                        self.refused += 1;
                        Event::CommitRefused
                    }
                    Err(fault) => panic!("{fault}"),
                });
            }
            Effect::Bridge(record) => self.outbox.bridge(&record).unwrap(),
            Effect::Push { chain_id, from_seq, frames_max } => match self.outbox.batch(chain_id, from_seq, frames_max.min(100), 1 << 20).unwrap() {
                Ok(Some(batch)) => queue.push_back(self.deliver(batch.body, batch.sent)),
                Ok(None) => panic!("nothing to send at {from_seq}"),
                Err(spec) => {
                    queue.push_back(Event::Dropped(spec));
                    queue.push_back(Event::PushEmpty);
                }
            },
            Effect::Rewind { chain_id, next_seq, head } => {
                let held = self.outbox.rewind(chain_id, next_seq, head).unwrap();
                queue.push_back(Event::Rewound { chain_id, held });
            }
            Effect::Recall { before } => {
                let chain = self.outbox.before(before).unwrap();
                queue.push_back(Event::Recalled { before, chain });
            }
            Effect::Keys(KeyTask::Make) => {
                let next = SecretKey::from_seed(&Zeroizing::new([u8::MAX - u8::try_from(self.keys.len()).unwrap(); 32]));
                self.next = Some(next.clone());
                queue.push_front(Event::KeyMade(Some(next)));
            }
            Effect::Keys(KeyTask::Changed { .. }) => self.keys.extend(self.next.take()),
            Effect::Keys(KeyTask::ForgetOld) => {}
            Effect::Purge => {
                for spec in self.outbox.unsent(self.agent.chains()).unwrap() {
                    queue.push_back(Event::Dropped(spec));
                }
                queue.push_back(Event::Purged(true));
            }
            Effect::Note(note) => self.notes.push(note),
        }
    }

    /// The collector's side, by the chain's rule alone.
    pub(super) fn deliver(&mut self, body: mimamori_shared::frame::Batch, sent: Sent) -> Event {
        if !self.online || self.requests >= self.requests_max {
            let answer = Answered::Failed { layer: Layer::Tcp, retry_after_s: None, too_large: false };
            return Event::Answered { sent, answer };
        }
        self.requests += 1;
        let mut answer = None;
        for frame in body.frames {
            let public = self.believed.get(&frame.key_id).expect("a key that nobody vouched for");
            let verified = verify(frame, public).unwrap();
            let entry = Entry::read(&verified).unwrap();
            if let Body::Statement(Statement::Key { public_key, proof }) = &entry.body {
                let next = successor(&entry.head, public_key, proof).expect("a proof");
                self.believed.insert(next.id(), next);
            }
            let link = Link::of(&entry, verified.hash());
            let held = self.collector.entry(entry.head.chain_id).or_default();
            let tip = held.tip.unwrap_or(Tip::EMPTY);
            match tip.fit(&link) {
                Fit::Extends(next) => {
                    held.tip = Some(next);
                    held.entries.push(entry);
                }
                Fit::Before => {}
                Fit::Ahead | Fit::Contradicts => {
                    answer = Some(RefusalReason::Behind { next_seq: tip.next_seq, head_hash: tip.head });
                    break;
                }
            }
        }
        let id = identity();
        let answer = match answer {
            Some(reason) => Answered::Refusal(Refusal {
                collector_id: id.collector_id,
                agent_id: id.agent_id,
                chain_id: sent.chain_id,
                in_reply_to: sent.first_hash,
                reason,
            }),
            None => {
                let last = *sent.frames.last().unwrap();
                let (seq, head_hash) = (last.last_seq, last.tip_hash);
                Answered::Receipt(Receipt {
                    collector_id: id.collector_id,
                    agent_id: id.agent_id,
                    chain_id: sent.chain_id,
                    branch: 0,
                    seq,
                    head_hash,
                    received_at_ms: 0,
                    lease: lease(b"secret", sent.chain_id, seq),
                    status: ReceiptStatus::Ok,
                })
            }
        };
        let answer = if self.lose_answers { Answered::Failed { layer: Layer::Http, retry_after_s: None, too_large: false } } else { answer };
        Event::Answered { sent, answer }
    }

    /// Lets time pass, waking the agent whenever it wants.
    pub(super) fn pass(&mut self, seconds: i64) {
        let end = self.now.boottime_ms + seconds * 1000;
        loop {
            let at = self.agent.wake_at().unwrap_or(i64::MAX).max(self.now.boottime_ms + 1).min(end);
            let step = at - self.now.boottime_ms;
            self.now = Now { wall_ms: self.now.wall_ms + step, boottime_ms: at, monotonic_ms: self.now.monotonic_ms + step };
            self.event(Event::Wake);
            if at == end {
                return;
            }
        }
    }

    pub(super) fn granted() -> Rig {
        let mut rig = Rig::new(QUOTA);
        rig.event(Event::Consent(Consent::Valid(terms())));
        rig
    }

    /// What arrived: reports' values, places bridged, in the order of the newest chain.
    pub(super) fn arrived(&self) -> (Vec<i64>, u64) {
        let mut values = Vec::new();
        let mut lost = 0;
        for entry in self.collector.values().flat_map(|held| &held.entries) {
            match &entry.body {
                Body::Report(report) => values.extend(report.readings.system.as_ref().and_then(|system| system.uptime_ms)),
                Body::Loss(loss) => lost += loss.last_seq - loss.first_seq + 1,
                Body::Statement(_) | Body::Unusable(_) => {}
            }
        }
        (values, lost)
    }
}
