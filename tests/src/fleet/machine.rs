//! One simulated machine with the real core and the real outbox on a disk in memory; its clocks and its life are told.

use super::script::Traits;
use super::{INTERVAL_S, MINUTE_MS, START_MS};
use crate::{Random, agreed};
use mimamori_agent::core::{Agent, Answered, Consent, Effect, Event, Identity, KeyTask, Note, Now, Rotation};
use mimamori_agent::identity::save_key;
use mimamori_agent::keyring::Keyring;
use mimamori_agent::outbox::{Outbox, OutboxError, Quota};
use mimamori_agent::uplink::{Answer, Detail, Outcome, PushError, Sent, Trust, judge};
use mimamori_shared::consent::ConsentTerms;
use mimamori_shared::fields::{Readings, Scope, System};
use mimamori_shared::id::{BootId, ChainId, Hash};
use mimamori_shared::payload::{Class, ConsentState, Layer};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// An entry the machine made: durably committed.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its chain.
    pub chain_id: ChainId,
    /// Its place.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    /// For counting.
    pub class: Class,
    /// The true moment, whatever the machine's clock said.
    pub at_ms: i64,
    /// The boot it was made in.
    pub boot_id: BootId,
    /// The true moment of that boot.
    pub booted_ms: i64,
    /// How wrong the wall clock was.
    pub clock_ms: i64,
    /// The outbox that held it was destroyed before anybody else had it.
    pub orphan: bool,
}

/// A machine. A clone is a machine of its own with the same identity.
#[derive(Debug)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Who it is.
    pub identity: Identity,
    /// Whom it believes.
    pub trust: Trust,
    /// Everything it made, in order; of a clone what it made itself.
    pub made: Vec<Made>,
    /// When it was first copied.
    pub cloned_ms: Option<i64>,
    /// Whether it was put back to a snapshot.
    pub restored: bool,
    /// When the collector took something of it.
    pub heard: Vec<i64>,
    /// Whether its line works.
    pub line: bool,
    /// Whether nothing can be written.
    pub full: bool,
    /// What was noted, for the history.
    pub notes: Vec<Note>,
    /// Consent statements made: true moment and state.
    pub consented: Vec<(i64, ConsentState)>,
    /// How often its key changed.
    pub keys_changed: u64,
    /// Answers to a key that nobody vouched for.
    pub key_unknown: u64,
    pub(super) random: Random,
    pub(super) life: Option<Life>,
    pub(super) lives: u64,
    pub(super) wakes: u64,
    pub(super) powered: bool,
    pub(super) suspended: Option<i64>,
    pub(super) waiting: Vec<(u64, Sent, Reply)>,
    dir: PathBuf,
    quota: Quota,
    booted_ms: i64,
    slept_ms: i64,
    clock_ms: i64,
    consent: Consent,
    grants: i64,
    snapshot: Option<(PathBuf, usize)>,
    trim_at: i64,
    pub(super) rotate_after_ms: Option<i64>,
}

/// The running agent.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) agent: Agent,
    outbox: Outbox,
    keyring: Keyring,
}

/// How a request ended.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Answered(Answer),
    Failed(Detail),
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) body: Vec<u8>,
    pub(super) sent: Sent,
}

/// The consent of a facility that allows all; `since_ms` makes each one another.
fn terms(since_ms: i64) -> ConsentTerms {
    agreed::terms(&Scope::ALL, INTERVAL_S, since_ms)
}

impl Machine {
    pub(super) fn new(name: String, dir: PathBuf, identity: Identity, trust: Trust, traits: Traits, random: Random) -> Machine {
        fs::create_dir_all(&dir).unwrap();
        let quota = Quota { bytes: traits.quota_bytes, age_ms: traits.quota_age_ms, free_floor_bytes: 0 };
        Machine {
            name,
            identity,
            trust,
            made: Vec::new(),
            cloned_ms: None,
            restored: false,
            heard: Vec::new(),
            line: true,
            full: false,
            notes: Vec::new(),
            consented: Vec::new(),
            keys_changed: 0,
            key_unknown: 0,
            random,
            life: None,
            lives: 0,
            wakes: 0,
            powered: false,
            suspended: None,
            waiting: Vec::new(),
            dir,
            quota,
            booted_ms: 0,
            slept_ms: 0,
            clock_ms: traits.clock_ms,
            consent: Consent::Valid(terms(0)),
            grants: 0,
            snapshot: None,
            trim_at: 0,
            rotate_after_ms: Some(traits.rotate_after_ms),
        }
    }

    /// The machine's three clocks at a true moment.
    fn now(&self, at_ms: i64) -> Now {
        let boottime_ms = at_ms - self.booted_ms;
        Now { wall_ms: at_ms + self.clock_ms, boottime_ms, monotonic_ms: boottime_ms - self.slept_ms }
    }

    pub(super) fn power_on(&mut self, at_ms: i64) {
        self.powered = true;
        self.suspended = None;
        self.slept_ms = 0;
        // The kernel runs for a while before the agent does.
        self.booted_ms = at_ms - i64::try_from(self.random.between(5_000, 90_000)).unwrap();
        self.identity.boot_id = BootId(self.random.bytes());
    }

    /// The agent begins; gives its requests.
    pub(super) fn begin(&mut self, at_ms: i64) -> Vec<Request> {
        let (outbox, restored, _) = Outbox::open(&self.dir, self.quota, at_ms).unwrap();
        let wall_ms = self.now(at_ms).wall_ms;
        if !self.dir.join("identity.key").try_exists().unwrap() {
            save_key(&self.dir, &self.identity.key).unwrap();
        }
        let keyring = Keyring::open(&self.dir, START_MS, &restored, wall_ms).unwrap();
        self.identity.key = keyring.key.clone();
        let mut agent = Agent::new(self.identity.clone(), agreed::settings(INTERVAL_S), restored);
        agent.set_rotation(Rotation { since_ms: keyring.since_ms(), after_ms: self.rotate_after_ms, old: keyring.old.clone() });
        self.life = Some(Life { agent, outbox, keyring });
        self.lives += 1;
        self.waiting.clear();
        let consent = self.consent.clone();
        self.event(Event::Consent(consent), at_ms)
    }

    /// The agent ends, in an orderly way or not.
    pub(super) fn end(&mut self, clean: bool) {
        if let Some(mut life) = self.life.take()
            && clean
        {
            life.outbox.save(life.agent.chains()).unwrap();
        }
        self.lives += 1;
    }

    pub(super) fn power_off(&mut self, clean: bool) {
        self.end(clean);
        self.powered = false;
        self.suspended = None;
    }

    pub(super) fn resume(&mut self, at_ms: i64) {
        if let Some(since_ms) = self.suspended.take() {
            self.slept_ms += at_ms - since_ms;
        }
    }

    pub(super) fn step_clock(&mut self, by_ms: i64) {
        self.clock_ms += by_ms;
    }

    /// Copies the state folder as a disk image would: between two writes.
    fn copy_to(&self, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for name in ["outbox.db", "outbox.db-wal", "tip", "identity.key", "identity.history"] {
            let from = self.dir.join(name);
            if from.try_exists().unwrap() {
                fs::copy(from, to.join(name)).unwrap();
            }
        }
    }

    pub(super) fn take_snapshot(&mut self) {
        let to = self.dir.with_extension("snapshot");
        drop(fs::remove_dir_all(&to));
        self.copy_to(&to);
        self.snapshot = Some((to, self.made.len()));
    }

    /// Puts the disk back. What was made since exists nowhere but where it was sent.
    pub(super) fn restore(&mut self) -> bool {
        let Some((from, count)) = self.snapshot.take() else { return false };
        self.end(false);
        fs::remove_dir_all(&self.dir).unwrap();
        fs::rename(from, &self.dir).unwrap();
        self.made.iter_mut().skip(count).for_each(|made| made.orphan = true);
        self.restored = true;
        true
    }

    /// The copy of a running machine, which boots beside it.
    pub(super) fn clone_of(&mut self, at_ms: i64) -> Machine {
        self.cloned_ms.get_or_insert(at_ms);
        let dir = self.dir.with_extension("clone");
        self.copy_to(&dir);
        let rotate_after_ms = self.rotate_after_ms.unwrap_or(i64::MAX);
        let traits = Traits { clock_ms: self.clock_ms, quota_bytes: self.quota.bytes, quota_age_ms: self.quota.age_ms, rotate_after_ms };
        let random = Random(self.random.next());
        let mut twin = Machine::new(format!("{}-clone", self.name), dir, self.identity.clone(), self.trust.clone(), traits, random);
        twin.consent = self.consent.clone();
        twin.grants = self.grants;
        twin
    }

    /// Everything of it that nobody else has is gone.
    pub(super) fn forget(&mut self) {
        self.power_off(false);
        self.made.iter_mut().for_each(|made| made.orphan = true);
    }

    pub(super) fn lose_state(&mut self) {
        self.end(false);
        for name in ["outbox.db", "outbox.db-wal"] {
            let path = self.dir.join(name);
            if path.try_exists().unwrap() {
                fs::write(path, self.random.bytes::<200>()).unwrap();
            }
        }
        self.made.iter_mut().for_each(|made| made.orphan = true);
    }

    pub(super) fn withdraw(&mut self, at_ms: i64) -> Vec<Request> {
        self.consent = Consent::Invalid(ConsentState::Withdrawn);
        self.consented.push((at_ms, ConsentState::Withdrawn));
        self.tell_consent(at_ms)
    }

    pub(super) fn grant(&mut self, at_ms: i64) -> Vec<Request> {
        self.grants += 1;
        self.consent = Consent::Valid(terms(self.grants));
        self.consented.push((at_ms, ConsentState::Granted));
        self.tell_consent(at_ms)
    }

    fn tell_consent(&mut self, at_ms: i64) -> Vec<Request> {
        if self.life.is_none() || self.suspended.is_some() {
            return Vec::new();
        }
        self.event(Event::Consent(self.consent.clone()), at_ms)
    }

    /// What a shell does when the machine wakes: looks at the consent, then at the time.
    pub(super) fn wake(&mut self, at_ms: i64) -> Vec<Request> {
        let mut requests = self.tell_consent(at_ms);
        requests.extend(self.event(Event::Wake, at_ms));
        requests
    }

    /// The true moment at which the agent wants to be woken.
    pub(super) fn wake_at(&self) -> Option<i64> {
        let life = self.life.as_ref().filter(|_| self.suspended.is_none())?;
        Some(life.agent.wake_at()? + self.booted_ms)
    }

    /// How a request ended, as the shell tells the core.
    pub(super) fn answered(&mut self, sent: Sent, reply: Reply, at_ms: i64) -> Vec<Request> {
        let answer = match reply {
            // As the shell: nobody vouched for this key, so how the chain before ended is looked up.
            Reply::Answered(Answer { status: 401, .. }) => {
                self.key_unknown += 1;
                let mut requests = self.event(Event::KeyUnknown(sent.chain_id), at_ms);
                let answer = Answered::Failed { layer: Layer::Http, retry_after_s: None, too_large: false };
                requests.extend(self.event(Event::Answered { sent, answer }, at_ms));
                return requests;
            }
            Reply::Failed(detail) => Answered::Failed { layer: PushError::from(detail).layer, retry_after_s: None, too_large: false },
            Reply::Answered(answer) => match judge(&answer, &mut self.trust, &sent) {
                Outcome::Receipted(receipt) => {
                    let mut lines = answer.body.split_inclusive(|b| *b == b'\n');
                    let mut two = || lines.by_ref().take(2).flatten().copied().collect::<Vec<u8>>();
                    let (receipt_lines, certificate) = (two(), two());
                    if let Some(life) = &mut self.life {
                        life.outbox.note_receipt(sent.chain_id, receipt_lines, certificate);
                    }
                    Answered::Receipt(receipt)
                }
                Outcome::Refused(refusal) => Answered::Refusal(refusal),
                Outcome::PreviewTaken => panic!("nothing but a preview was sent"),
                Outcome::Failed(fault, retry_after_s) => panic!("{}: the collector's answer is worth nothing: {fault} {retry_after_s:?}", self.name),
            },
        };
        self.event(Event::Answered { sent, answer }, at_ms)
    }

    fn event(&mut self, event: Event, at_ms: i64) -> Vec<Request> {
        let mut requests = Vec::new();
        let Some(mut life) = self.life.take() else { return requests };
        let mut queue = VecDeque::from([event]);
        let mut steps = 0;
        while let Some(event) = queue.pop_front() {
            steps += 1;
            assert!(steps < 20_000, "{}: the agent turns in a circle", self.name);
            let (now, random) = (self.now(at_ms), self.random.bytes());
            for effect in life.agent.step(event, now, random) {
                self.carry_out(effect, at_ms, &mut life, &mut queue, &mut requests);
            }
        }
        self.life = Some(life);
        requests
    }

    fn carry_out(&mut self, effect: Effect, at_ms: i64, life: &mut Life, queue: &mut VecDeque<Event>, requests: &mut Vec<Request>) {
        match effect {
            Effect::Sample => queue.push_back(self.sample(at_ms)),
            Effect::Commit(record) if self.full => {
                drop(record);
                queue.push_front(Event::CommitFailed);
            }
            Effect::Commit(record) => {
                match life.outbox.commit(&record) {
                    // It is shut out or cut off for so long that everything that may be dropped was: nothing is created.
                    Err(OutboxError::Full) => {
                        queue.push_front(Event::CommitRefused);
                        return self.trim(at_ms, life, queue);
                    }
                    committed => committed.unwrap(),
                }
                let (boot_id, booted_ms, clock_ms) = (self.identity.boot_id, self.booted_ms, self.clock_ms);
                let (chain_id, seq, hash, class) = (record.chain_id, record.seq, record.hash, record.class);
                self.made.push(Made { chain_id, seq, hash, class, at_ms, boot_id, booted_ms, clock_ms, orphan: false });
                queue.push_front(Event::Committed);
                self.trim(at_ms, life, queue);
            }
            Effect::Bridge(record) => life.outbox.bridge(&record).unwrap(),
            Effect::Push { chain_id, from_seq, frames_max } => match life.outbox.batch(chain_id, from_seq, frames_max, 1 << 20).unwrap() {
                Ok(Some(batch)) => requests.push(Request { body: zstd::bulk::compress(&batch.body.to_bytes(), 1).unwrap(), sent: batch.sent }),
                Ok(None) => panic!("{}: nothing to send at {from_seq}", self.name),
                Err(spec) => queue.extend([Event::Dropped(spec), Event::PushEmpty]),
            },
            Effect::Rewind { chain_id, next_seq, head } => {
                let held = life.outbox.rewind(chain_id, next_seq, head).unwrap();
                queue.push_back(Event::Rewound { chain_id, held });
            }
            Effect::Recall { before } => queue.push_back(Event::Recalled { before, chain: life.outbox.before(before).unwrap() }),
            Effect::Keys(task) => self.key_task(task, life, queue),
            Effect::Purge => {
                queue.extend(life.outbox.unsent(life.agent.chains()).unwrap().into_iter().map(Event::Dropped));
                queue.push_back(Event::Purged(true));
            }
            Effect::Note(note) => self.notes.push(note),
        }
    }

    /// What the shell does about the key's files.
    fn key_task(&mut self, task: KeyTask, life: &mut Life, queue: &mut VecDeque<Event>) {
        match task {
            KeyTask::Make => {
                let seed = Zeroizing::new(self.random.bytes());
                let made = (!self.full).then(|| life.keyring.make_next(&seed).unwrap());
                queue.push_front(Event::KeyMade(made));
            }
            KeyTask::Changed { since_ms } => {
                life.keyring.changed(since_ms).unwrap();
                self.identity.key = life.keyring.key.clone();
                self.keys_changed += 1;
            }
            KeyTask::ForgetOld => life.keyring.forget_old().unwrap(),
        }
    }

    /// Whether the collector does not take what it says: its key was revoked, another holder of it handed it over, or
    /// nobody vouched for it.
    #[must_use]
    pub fn is_shut_out(&self) -> bool {
        self.key_unknown > 0 || self.notes.contains(&Note::Revoked)
    }

    fn sample(&mut self, at_ms: i64) -> Event {
        let system = System { uptime_ms: Some(self.now(at_ms).boottime_ms), ..System::default() };
        let readings = Readings { system: Some(system), ..Readings::default() };
        // Now and then something about the machine's state is another: such a report is never dropped.
        let states = BTreeMap::from([("system", u64::from(self.random.between(0, 20) == 0))]);
        Event::Sampled { readings: Box::new(readings), faults: Vec::new(), states }
    }

    fn trim(&mut self, at_ms: i64, life: &mut Life, queue: &mut VecDeque<Event>) {
        if life.outbox.over_quota() || at_ms >= self.trim_at {
            self.trim_at = at_ms + 60 * MINUTE_MS;
            queue.extend(life.outbox.trim(life.agent.chains(), self.now(at_ms).wall_ms).unwrap().map(Event::Dropped));
        }
    }
}
