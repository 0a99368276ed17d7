//! Machines and a store on a clock that is told: the real core, outbox, key file and store, without a network between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a harness for tests: a panic is a failed test")]

use mimamori_agent::core::{Agent, Answered, Consent, Effect, Event, Identity, KeyTask, Note, Now, Rotation};
use mimamori_agent::identity::save_key;
use mimamori_agent::keyring::Keyring;
use mimamori_agent::outbox::{Batch, Outbox, Quota};
use mimamori_collector::store::{Actor, ActorKind, Answered as Said, IngestBatch, NewToken, Redeem, Redeemed, Scope, Store};
use mimamori_shared::fields::{Readings, Scope as Purpose, System};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{AgentId, BootId, ChainId, CollectorId, Hash, TokenId};
use mimamori_shared::payload::{Entry, Layer, Refusal};
use mimamori_shared::sign::{PublicKey, SecretKey, sha256, verify};
use mimamori_shared::word::Word;
use mimamori_tests::Random;
use mimamori_tests::agreed;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

/// 2026-11-22T05:16:44Z.
pub(crate) const NOW: i64 = 1_795_324_604_000;
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const DAY: i64 = 86_400_000;
const COLLECTOR: CollectorId = CollectorId([2; 16]);
const QUOTA: Quota = Quota { bytes: 1 << 30, age_ms: 1 << 50, free_floor_bytes: 0 };

pub(crate) fn word(text: &str) -> Word {
    text.parse().unwrap()
}

pub(crate) fn operator() -> Actor {
    Actor { kind: ActorKind::Cli, name: word("operator") }
}

/// A collector's database, and who answers for it.
pub(crate) struct Centre {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) runtime: Runtime,
    store: Option<Store>,
    machines: u64,
}

impl Centre {
    pub(crate) fn new() -> Centre {
        // Thousands of commits: in memory, where there is such a place. Power cuts are another story's.
        let memory = Path::new("/dev/shm");
        let folder = tempfile::tempdir_in(if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut centre = Centre { folder, runtime, store: None, machines: 0 };
        centre.reopen();
        centre.runtime.block_on(centre.store().add_facility(&Scope::All, &operator(), &word("west"), "病院", true, NOW)).unwrap();
        centre
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("store.sqlite")
    }

    fn reopen(&mut self) {
        self.store = Some(Store::open(&self.file(), NOW).unwrap());
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// A copy of the whole database, as of a moment at which nobody writes.
    pub(crate) fn backup(&self) -> PathBuf {
        let to = self.folder.path().join(format!("backup-{}", fs::read_dir(self.folder.path()).unwrap().count()));
        let database = rusqlite::Connection::open(self.file()).unwrap();
        database.execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
        to
    }

    /// The database goes back to a backup.
    pub(crate) fn restore(&mut self, from: &Path) {
        self.store = None;
        for suffix in ["", "-wal", "-shm"] {
            drop(fs::remove_file(format!("{}{suffix}", self.file().display())));
        }
        fs::copy(from, self.file()).unwrap();
        self.reopen();
    }

    /// Enrols a machine whose state is in a folder of its own.
    pub(crate) fn enrol(&mut self, name: &str) -> Machine {
        self.machines += 1;
        let n = self.machines;
        let Hash(seed) = sha256(format!("{name} {n}").as_bytes());
        let key = SecretKey::from_seed(&Zeroizing::new(seed));
        let token_id = TokenId(n.to_be_bytes());
        let token = NewToken {
            token_id,
            public_key: key.public().to_bytes(),
            facility: word("west"),
            slot: Some(word(name)),
            reason: "test".to_owned(),
            source: None,
            expires_at_ms: NOW + 3_600_000,
        };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let ask = Redeem { token_id, key_id: key.public().id(), public_key: key.public().to_bytes(), agent_id: AgentId(id), source: [127, 0, 0, 1].into() };
        let redeemed = self.runtime.block_on(async {
            self.store().add_token(&Scope::All, &operator(), token, NOW).await.unwrap();
            self.store().redeem(ask, NOW).await.unwrap()
        });
        assert!(matches!(redeemed, Redeemed::Enrolled { .. }), "{redeemed:?}");
        let dir = self.folder.path().join(format!("{name}-{n}"));
        fs::create_dir_all(&dir).unwrap();
        save_key(&dir, &key).unwrap();
        Machine::start(dir, AgentId(id), 1, NOW + n.cast_signed() * 1000)
    }

    /// What ingest does with one body: the key, the signatures, the heads, then the store.
    pub(crate) fn take(&self, frames: Vec<Frame>, at_ms: i64) -> Option<Said> {
        let key_id = frames.first().unwrap().key_id;
        self.runtime.block_on(async {
            let row = self.store().key(key_id).await.unwrap()?;
            let key = PublicKey::from_bytes(&row.public_key).unwrap();
            let entries: Vec<_> = frames
                .into_iter()
                .map(|frame| {
                    let verified = verify(frame, &key).unwrap();
                    let entry = Entry::read(&verified).unwrap();
                    (verified, entry)
                })
                .collect();
            let batch = IngestBatch {
                agent_id: row.agent_id,
                key_id,
                entries,
                preview: None,
                noted: Vec::new(),
                received_at_ms: at_ms,
                source: None,
                day_bytes_max: u64::MAX,
            };
            Some(self.store().ingest(batch).await.unwrap().answered)
        })
    }

    /// Every place that is held of a machine, over all chains and branches, with its hash.
    pub(crate) fn held(&self, agent: AgentId) -> Vec<(ChainId, u64, Hash)> {
        self.runtime.block_on(async {
            let mut held = Vec::new();
            for chain in self.store().chains(&Scope::All, agent).await.unwrap() {
                for branch in self.store().branches(&Scope::All, agent, chain.chain_id).await.unwrap() {
                    let mut from = 0;
                    loop {
                        let page = self.store().evidence(&Scope::All, agent, chain.chain_id, branch.branch, from, 1000).await.unwrap();
                        let Some(last) = page.last() else { break };
                        from = last.last_seq + 1;
                        held.extend(page.iter().map(|row| (chain.chain_id, row.seq, row.hash)));
                    }
                }
            }
            held
        })
    }

    pub(crate) fn sound(&self) {
        assert_eq!(self.runtime.block_on(self.store().fsck(&Scope::All)).unwrap(), Vec::<String>::new());
    }

    /// Everything the machine created is held once, and nothing else is.
    #[track_caller]
    pub(crate) fn holds_all_of(&self, machine: &Machine) {
        let held = self.held(machine.agent_id);
        let once: BTreeSet<_> = held.iter().copied().map(|(chain, seq, hash)| (chain, seq, hash.0)).collect();
        assert_eq!(once.len(), held.len(), "something is held twice");
        let created: BTreeSet<_> = machine.created.iter().copied().map(|(chain, seq, hash)| (chain, seq, hash.0)).collect();
        assert_eq!(created.difference(&once).count(), 0, "created and not held");
        assert_eq!(once.difference(&created).count(), 0, "held and not created");
    }
}

/// One machine: what `run.rs` does, with a clock that is told.
pub(crate) struct Machine {
    pub(crate) dir: PathBuf,
    pub(crate) agent: Agent,
    pub(crate) agent_id: AgentId,
    pub(crate) now: Now,
    pub(crate) notes: Vec<Note>,
    /// Place and hash of everything that was made durable.
    pub(crate) created: Vec<(ChainId, u64, Hash)>,
    /// Every key that ever signed.
    pub(crate) keys: Vec<SecretKey>,
    /// Answers that do not arrive, of a hundred.
    pub(crate) lost_of_100: u64,
    pub(crate) online: bool,
    pub(crate) rotate_after_ms: Option<i64>,
    pub(crate) reports: u64,
    pub(crate) unknown_key: u64,
    pub(crate) interval_s: u64,
    keyring: Keyring,
    outbox: Outbox,
    boot: u8,
    random: Random,
}

impl Machine {
    /// Starts on what is in a folder.
    pub(crate) fn start(dir: PathBuf, agent_id: AgentId, boot: u8, wall_ms: i64) -> Machine {
        let (outbox, restored, _) = Outbox::open(&dir, QUOTA, wall_ms).unwrap();
        let keyring = Keyring::open(&dir, NOW, &restored, wall_ms).unwrap();
        let now = Now { wall_ms, boottime_ms: 1_000_000, monotonic_ms: 1_000_000 };
        let identity = Identity { collector_id: COLLECTOR, agent_id, key: keyring.key.clone(), boot_id: BootId([boot; 16]) };
        let agent = Agent::new(identity, agreed::settings(60), restored);
        let mut machine = Machine {
            keys: vec![keyring.key.clone()],
            dir,
            agent,
            agent_id,
            now,
            notes: Vec::new(),
            created: Vec::new(),
            lost_of_100: 0,
            online: true,
            rotate_after_ms: None,
            reports: 0,
            unknown_key: 0,
            interval_s: 60,
            keyring,
            outbox,
            boot,
            random: Random(u64::from(boot) + wall_ms.unsigned_abs()),
        };
        machine.agent.set_rotation(machine.rotation());
        machine
    }

    fn rotation(&self) -> Rotation {
        Rotation { since_ms: self.keyring.since_ms(), after_ms: self.rotate_after_ms, old: self.keyring.old.clone() }
    }

    /// The program ends, as if killed, and starts again.
    pub(crate) fn restart(&mut self, centre: &Centre) {
        let (outbox, restored, _) = Outbox::open(&self.dir, QUOTA, self.now.wall_ms).unwrap();
        self.keyring = Keyring::open(&self.dir, NOW, &restored, self.now.wall_ms).unwrap();
        self.outbox = outbox;
        let identity = Identity { collector_id: COLLECTOR, agent_id: self.agent_id, key: self.keyring.key.clone(), boot_id: BootId([self.boot; 16]) };
        self.agent = Agent::new(identity, agreed::settings(self.interval_s), restored);
        self.agent.set_rotation(self.rotation());
        self.consent(centre);
    }

    pub(crate) fn set_rotate_after(&mut self, after_ms: Option<i64>) {
        self.rotate_after_ms = after_ms;
        self.agent.set_rotation(self.rotation());
    }

    /// A copy of the state folder: a snapshot, or a clone that has not started yet.
    pub(crate) fn copy_of_state(&self) -> PathBuf {
        let parent = self.dir.parent().unwrap();
        let to = parent.join(format!("copy-{}", fs::read_dir(parent).unwrap().count()));
        copy(&self.dir, &to);
        to
    }

    /// The machine is put back to a snapshot of its state, in a new boot.
    pub(crate) fn restore_state(&mut self, from: &Path, centre: &Centre) {
        fs::remove_dir_all(&self.dir).unwrap();
        copy(from, &self.dir);
        self.boot += 1;
        self.restart(centre);
    }

    pub(crate) fn key_id(&self) -> mimamori_shared::id::KeyId {
        self.keyring.key.public().id()
    }

    pub(crate) fn keeps_an_old_key(&self) -> bool {
        self.keyring.old.is_some()
    }

    pub(crate) fn unsent(&self) -> u64 {
        self.outbox.size(self.agent.chains()).0
    }

    pub(crate) fn consent(&mut self, centre: &Centre) {
        let every_s = self.interval_s;
        let terms = agreed::terms(&[Purpose::Heartbeat], every_s, 0);
        self.agent.set_plan(agreed::settings(every_s).plan, 1);
        self.event(Event::Consent(Consent::Valid(terms)), centre);
    }

    /// Lets time pass, waking the agent whenever it wants.
    pub(crate) fn pass(&mut self, ms: i64, centre: &Centre) {
        let end = self.now.boottime_ms + ms;
        while self.now.boottime_ms < end {
            let at = self.agent.wake_at().unwrap_or(i64::MAX).max(self.now.boottime_ms + 1).min(end);
            let step = at - self.now.boottime_ms;
            self.now = Now { wall_ms: self.now.wall_ms + step, boottime_ms: at, monotonic_ms: self.now.monotonic_ms + step };
            self.event(Event::Wake, centre);
        }
    }

    /// Hands over to a new key, and lets time pass until that is receipted.
    #[track_caller]
    pub(crate) fn rotate(&mut self, centre: &Centre) {
        let before = self.key_id();
        self.event(Event::Rotate, centre);
        for _ in 0..100 {
            if self.key_id() != before && !self.keeps_an_old_key() {
                return;
            }
            self.pass(MINUTE, centre);
        }
        panic!("the key did not change");
    }

    pub(crate) fn event(&mut self, event: Event, centre: &Centre) {
        let mut queue = VecDeque::from([event]);
        let mut steps = 0;
        while let Some(event) = queue.pop_front() {
            steps += 1;
            assert!(steps < 20_000, "the agent turns in a circle");
            for effect in self.agent.step(event, self.now, self.random.bytes()) {
                self.carry_out(effect, centre, &mut queue);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, centre: &Centre, queue: &mut VecDeque<Event>) {
        match effect {
            Effect::Sample => {
                self.reports += 1;
                let system = System { uptime_ms: i64::try_from(self.reports).ok(), ..System::default() };
                let readings = Readings { system: Some(system), ..Readings::default() };
                queue.push_back(Event::Sampled { readings: Box::new(readings), faults: Vec::new(), states: BTreeMap::new() });
            }
            Effect::Commit(record) => {
                self.outbox.commit(&record).unwrap();
                self.created.push((record.chain_id, record.seq, record.hash));
                queue.push_front(Event::Committed);
            }
            Effect::Bridge(record) => self.outbox.bridge(&record).unwrap(),
            Effect::Push { chain_id, from_seq, frames_max } => match self.outbox.batch(chain_id, from_seq, frames_max.min(100), 1 << 20).unwrap() {
                Ok(batch) => self.push(batch.expect("something unsent"), centre, queue),
                Err(spec) => queue.extend([Event::Dropped(spec), Event::PushEmpty]),
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
                let seed = Zeroizing::new(self.random.bytes());
                queue.push_front(Event::KeyMade(Some(self.keyring.make_next(&seed).unwrap())));
            }
            Effect::Keys(KeyTask::Changed { since_ms }) => {
                self.keyring.changed(since_ms).unwrap();
                self.keys.push(self.keyring.key.clone());
            }
            Effect::Keys(KeyTask::ForgetOld) => self.keyring.forget_old().unwrap(),
            Effect::Purge => {
                queue.extend(self.outbox.unsent(self.agent.chains()).unwrap().into_iter().map(Event::Dropped));
                queue.push_back(Event::Purged(true));
            }
            Effect::Note(note) => self.notes.push(note),
        }
    }

    fn push(&mut self, batch: Batch, centre: &Centre, queue: &mut VecDeque<Event>) {
        let Batch { body, sent } = batch;
        let failed = |layer| Answered::Failed { layer, retry_after_s: None, too_large: false };
        if !self.online {
            return queue.push_back(Event::Answered { sent, answer: failed(Layer::Tcp) });
        }
        let said = centre.take(body.frames, self.now.wall_ms);
        if self.random.between(0, 100) < self.lost_of_100 {
            return queue.push_back(Event::Answered { sent, answer: failed(Layer::Http) });
        }
        let answer = match said {
            None => {
                self.unknown_key += 1;
                queue.push_back(Event::KeyUnknown(sent.chain_id));
                failed(Layer::Http)
            }
            Some(Said::Receipt(fields)) => Answered::Receipt(fields.receipt(COLLECTOR, b"secret")),
            Some(Said::Refusal { reason, chain_id, in_reply_to }) => {
                Answered::Refusal(Refusal { collector_id: COLLECTOR, agent_id: self.agent_id, chain_id, in_reply_to, reason })
            }
            Some(other) => panic!("{other:?}"),
        };
        queue.push_back(Event::Answered { sent, answer });
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
