//! The real core and outbox at full speed, in a process of its own that tests kill, starve and cut the power of.
//!
//! The clock is virtual, so that thousands of commits take a second, and the collector is the chain's rule and a file.
//! Every line of standard output is one thing that the agent was told: `C` is a commit that returned, so it must never
//! be missing again. [`Account`] reads these lines and the collector's file, and says whether everything adds up.

mod account;

pub use account::{Account, Figures, HeldEntry};

use crate::{Random, agreed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_agent::core::{Agent, Answered, Consent, Effect, Event, Identity, KeyTask, Now, Restored, Rotation};
use mimamori_agent::identity::IdentityError;
use mimamori_agent::keyring::Keyring;
use mimamori_agent::outbox::{Batch, Noticed, Outbox, OutboxError, Quota};
use mimamori_agent::{clock, identity as identities};
use mimamori_shared::chain::{Fit, Link, Tip, lease};
use mimamori_shared::consent::ConsentTerms;
use mimamori_shared::fields::{Filesystem, Readings, Scope, System};
use mimamori_shared::id::{AgentId, BootId, ChainId, CollectorId, Hash, KeyId};
use mimamori_shared::payload::{Body, Entry, Layer, Receipt, ReceiptStatus, Refusal, RefusalReason, Statement};
use mimamori_shared::sign::{PublicKey, SecretKey, verify};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Tries that a start may need: each fault that is injected costs one.
const TRIES: usize = 40;

/// The key a driver begins with.
#[must_use]
pub fn key() -> SecretKey {
    SecretKey::from_seed(&Zeroizing::new([3; 32]))
}

fn identity(key: SecretKey) -> Identity {
    Identity { collector_id: CollectorId([1; 16]), agent_id: AgentId([2; 16]), key, boot_id: BootId([4; 16]) }
}

fn terms() -> ConsentTerms {
    agreed::terms(&[Scope::Heartbeat, Scope::OsState], 60, 0)
}

/// One whole line at once: a kill cannot tear it.
#[allow(clippy::print_stdout, reason = "what the driver prints is what it is for")]
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// A collector made of the chain's rule and a file that outlives the driver.
struct Collector {
    file: File,
    tips: BTreeMap<ChainId, Tip>,
    held: BTreeMap<(ChainId, u64), Hash>,
    losses: BTreeSet<(ChainId, u64)>,
    keys: BTreeMap<KeyId, PublicKey>,
    online: bool,
}

impl Collector {
    fn open(path: &Path) -> Collector {
        let account = Account::read("", &fs::read_to_string(path).unwrap_or_default());
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        let mut collector = Collector { file, tips: BTreeMap::new(), held: BTreeMap::new(), losses: BTreeSet::new(), keys: BTreeMap::new(), online: true };
        let later = account.keys.iter().map(|key| PublicKey::from_bytes(key).unwrap());
        collector.keys.extend([key().public()].into_iter().chain(later).map(|key| (key.id(), key)));
        for held in account.held {
            collector.tips.insert(held.chain_id, Tip { next_seq: held.last_seq + 1, head: held.tip_hash });
            collector.held.insert((held.chain_id, held.seq), held.tip_hash);
            if held.counted > 0 {
                collector.losses.insert((held.chain_id, held.seq));
            }
        }
        collector
    }

    fn take(&mut self, batch: Batch) -> Answered {
        if !self.online {
            return Answered::Failed { layer: Layer::Tcp, retry_after_s: None, too_large: false };
        }
        let (id, sent) = (identity(key()), batch.sent);
        let last = *sent.frames.last().unwrap();
        let (chain_id, in_reply_to) = (sent.chain_id, sent.first_hash);
        let behind = |tip: Tip| {
            let reason = RefusalReason::Behind { next_seq: tip.next_seq, head_hash: tip.head };
            Answered::Refusal(Refusal { collector_id: id.collector_id, agent_id: id.agent_id, chain_id, in_reply_to, reason })
        };
        for frame in batch.body.frames {
            let known = self.keys.get(&frame.key_id).expect("a key that somebody vouched for");
            let verified = verify(frame, known).unwrap();
            let entry = Entry::read(&verified).unwrap();
            let link = Link::of(&entry, verified.hash());
            let tip = self.tips.get(&sent.chain_id).copied().unwrap_or(Tip::EMPTY);
            let is_loss = if let Body::Loss(loss) = &entry.body { loss.counts.total() } else { 0 };
            match tip.fit(&link) {
                Fit::Extends(next) => {
                    let line = format!("{} {} {} {} {is_loss}\n", sent.chain_id, link.seq, link.last_seq, link.tip_hash);
                    self.file.write_all(line.as_bytes()).unwrap();
                    if let Body::Statement(Statement::Key { public_key, .. }) = &entry.body {
                        let bytes: [u8; 32] = STANDARD.decode(public_key).unwrap().try_into().unwrap();
                        self.file.write_all(format!("KEY {}\n", mimamori_shared::id::to_hex(&bytes)).as_bytes()).unwrap();
                        let next = PublicKey::from_bytes(&bytes).unwrap();
                        self.keys.insert(next.id(), next);
                    }
                    self.tips.insert(sent.chain_id, next);
                    self.held.insert((sent.chain_id, link.seq), link.tip_hash);
                    if is_loss > 0 {
                        self.losses.insert((sent.chain_id, link.seq));
                    }
                }
                // What was delivered and not noted as such may be dropped, and is then told as lost: known already, or cut
                // again behind what is held.
                Fit::Before if is_loss > 0 && link.last_seq < tip.next_seq => {}
                Fit::Before if is_loss > 0 => return behind(tip),
                Fit::Before if self.held.get(&(sent.chain_id, link.seq)).is_none_or(|hash| *hash == link.tip_hash) => {}
                Fit::Before if self.losses.contains(&(sent.chain_id, link.seq)) => {}
                Fit::Before | Fit::Contradicts => tell(&format!("FORK {} {}", sent.chain_id, link.seq)),
                Fit::Ahead => return behind(tip),
            }
        }
        Answered::Receipt(Receipt {
            collector_id: id.collector_id,
            agent_id: id.agent_id,
            chain_id: sent.chain_id,
            branch: 0,
            seq: last.last_seq,
            head_hash: last.tip_hash,
            received_at_ms: 0,
            lease: lease(b"secret", sent.chain_id, last.last_seq),
            status: ReceiptStatus::Ok,
        })
    }
}

struct Driver {
    outbox: Outbox,
    agent: Agent,
    collector: Collector,
    now: Now,
    random: Random,
    states: u64,
    commits: u64,
    anew: Option<Restored>,
    dir: PathBuf,
    /// Where there is a key file; otherwise the key is the first one for ever.
    keyring: Option<Keyring>,
}

fn say_noticed(noticed: &[Noticed]) {
    for noticed in noticed {
        match noticed {
            Noticed::SetAside(path) => tell(&format!("ASIDE {}", path.display())),
            Noticed::TailLost { entries } => tell(&format!("TAIL {entries}")),
        }
    }
}

/// The keys of a folder that has any; what passes is tried again.
fn keyring(dir: &Path, restored: &Restored) -> Option<Keyring> {
    if !dir.join("identity.key").try_exists().unwrap() {
        return None;
    }
    for _ in 0..TRIES {
        match Keyring::open(dir, 0, restored, clock::now().wall_ms) {
            Ok(keyring) => return Some(keyring),
            Err(fault) => tell(&format!("WAIT {fault:?}")),
        }
    }
    panic!("its keys are never read");
}

fn agent(restored: Restored, keyring: Option<&Keyring>) -> Agent {
    let mut agent = Agent::new(identity(keyring.map_or_else(key, |keys| keys.key.clone())), agreed::settings(60), restored);
    if let Some(keys) = keyring {
        agent.set_rotation(Rotation { since_ms: keys.since_ms(), after_ms: None, old: keys.old.clone() });
    }
    agent
}

/// As the shell: what passes is tried again.
fn open(dir: &Path, quota: Quota) -> (Outbox, Restored) {
    for _ in 0..TRIES {
        match Outbox::open(dir, quota, clock::now().wall_ms) {
            Ok((outbox, restored, noticed)) => {
                say_noticed(&noticed);
                return (outbox, restored);
            }
            Err(fault) => tell(&format!("WAIT {fault:?}")),
        }
    }
    panic!("it never starts");
}

impl Driver {
    fn event(&mut self, event: Event) {
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            for effect in self.agent.step(event, self.now, self.random.bytes()) {
                self.carry_out(effect, &mut queue);
            }
            if let Some(restored) = self.anew.take() {
                self.keyring = keyring(&self.dir, &restored);
                self.agent = agent(restored, self.keyring.as_ref());
                queue = VecDeque::from([Event::Consent(Consent::Valid(terms()))]);
            }
        }
    }

    fn failed(&mut self, fault: &OutboxError) {
        tell(&format!("FAILED {fault:?}"));
        match self.outbox.heal(fault, clock::now().wall_ms) {
            Ok(None) => {}
            Ok(Some((restored, noticed))) => {
                say_noticed(&noticed);
                self.anew = Some(restored);
            }
            Err(fault) => tell(&format!("WAIT {fault:?}")),
        }
    }

    fn carry_out(&mut self, effect: Effect, queue: &mut VecDeque<Event>) {
        match effect {
            Effect::Sample => {
                if self.random.between(0, 10) == 0 {
                    self.states += 1;
                }
                let disk = Filesystem { name: "root".parse().unwrap(), read_only: Some(0), ..Filesystem::default() };
                let filesystem = if self.random.between(0, 3) == 0 { vec![disk] } else { Vec::new() };
                let readings =
                    Readings { system: Some(System { uptime_ms: Some(self.now.boottime_ms), ..System::default() }), filesystem, ..Readings::default() };
                queue.push_back(Event::Sampled { readings: Box::new(readings), faults: Vec::new(), states: BTreeMap::from([("system", self.states)]) });
            }
            Effect::Commit(record) => {
                let done = self.outbox.commit(&record);
                queue.push_front(match &done {
                    Ok(()) => Event::Committed,
                    Err(OutboxError::Full) => Event::CommitRefused,
                    Err(_) => Event::CommitFailed,
                });
                match done {
                    Ok(()) => {
                        self.commits += 1;
                        tell(&format!("C {} {} {}", record.chain_id, record.seq, record.hash));
                    }
                    Err(OutboxError::Full) => {}
                    Err(fault) => self.failed(&fault),
                }
                self.trim(queue);
            }
            Effect::Bridge(record) => match self.outbox.bridge(&record) {
                Ok(()) => self.trim(queue),
                Err(fault) => {
                    queue.push_front(Event::BridgeFailed);
                    self.failed(&fault);
                }
            },
            Effect::Push { chain_id, from_seq, frames_max } => match self.outbox.batch(chain_id, from_seq, frames_max.min(50), 1 << 20) {
                Ok(Ok(Some(batch))) => {
                    let sent = batch.sent.clone();
                    let answer = self.collector.take(batch);
                    queue.push_back(Event::Answered { sent, answer });
                }
                Ok(Err(spec)) => queue.extend([Event::Dropped(spec), Event::PushEmpty]),
                Ok(Ok(None)) => panic!("nothing is unsent where something should be"),
                Err(fault) => {
                    queue.push_back(Event::PushFailed);
                    self.failed(&fault);
                }
            },
            Effect::Rewind { chain_id, next_seq, head } => match self.outbox.rewind(chain_id, next_seq, head) {
                Ok(held) => queue.push_back(Event::Rewound { chain_id, held }),
                Err(fault) => {
                    queue.push_back(Event::PushFailed);
                    self.failed(&fault);
                }
            },
            Effect::Recall { before } => {
                let chain = self.outbox.before(before).unwrap_or_else(|fault| {
                    self.failed(&fault);
                    None
                });
                queue.push_back(Event::Recalled { before, chain });
            }
            Effect::Keys(task) => self.key_task(task, queue),
            Effect::Purge => panic!("nothing was withdrawn"),
            Effect::Note(note) => tell(&format!("NOTE {note:?}")),
        }
    }

    /// As the shell.
    fn key_task(&mut self, task: KeyTask, queue: &mut VecDeque<Event>) {
        let seed = Zeroizing::new(self.random.bytes());
        let keys = self.keyring.as_mut().expect("a key file");
        let done: Result<(), IdentityError> = match task {
            KeyTask::Make => match keys.make_next(&seed) {
                Ok(key) => return queue.push_front(Event::KeyMade(Some(key))),
                Err(fault) => {
                    queue.push_front(Event::KeyMade(None));
                    Err(fault)
                }
            },
            KeyTask::Changed { since_ms } => keys.changed(since_ms),
            KeyTask::ForgetOld => keys.forget_old(),
        };
        if let Err(fault) = done {
            tell(&format!("FAILED {fault:?}"));
        }
    }

    fn trim(&mut self, queue: &mut VecDeque<Event>) {
        if queue.iter().any(|event| matches!(event, Event::Dropped(_))) {
            return;
        }
        match self.outbox.trim(self.agent.chains(), self.now.wall_ms) {
            Ok(spec) => queue.extend(spec.map(Event::Dropped)),
            Err(fault) => self.failed(&fault),
        }
    }

    fn wake(&mut self) {
        let ms = (self.agent.wake_at().unwrap_or(0) - self.now.boottime_ms).max(1);
        self.now = Now { wall_ms: self.now.wall_ms + ms, boottime_ms: self.now.boottime_ms + ms, monotonic_ms: self.now.monotonic_ms + ms };
        self.event(Event::Wake);
    }

    fn unsent(&self) -> u64 {
        self.outbox.size(self.agent.chains()).0
    }
}

/// The driver's program: `STATE_DIR COLLECTOR_FILE SEED COMMITS QUOTA_BYTES`, where `drain` for the commits delivers
/// what is unsent, and `key` for the seed only makes keys durable, one after another. In a folder with a key file its keys
/// change all the time.
///
/// # Panics
/// When it is used wrongly, or cannot go on.
pub fn drive(arguments: &[String]) {
    let [dir, collector, seed, commits, quota] = arguments else { panic!("STATE_DIR COLLECTOR_FILE SEED COMMITS QUOTA_BYTES") };
    let dir = PathBuf::from(dir);
    if seed == "key" {
        return keys(&dir);
    }
    let began = Instant::now();
    let quota = Quota { bytes: quota.parse().unwrap(), age_ms: i64::MAX / 2, free_floor_bytes: 0 };
    let (outbox, restored) = open(&dir, quota);
    tell(&format!("OPEN {}", began.elapsed().as_millis()));
    let random = Random(seed.parse().unwrap());
    let mut random = random;
    let mut collector = Collector::open(Path::new(collector));
    collector.online = commits == "drain" || random.between(0, 4) == 0;
    let now = Now { wall_ms: clock::now().wall_ms, boottime_ms: 1_000_000, monotonic_ms: 1_000_000 };
    let keyring = keyring(&dir, &restored);
    let agent = agent(restored, keyring.as_ref());
    let mut driver = Driver { outbox, agent, collector, now, random, states: 0, commits: 0, anew: None, dir, keyring };
    driver.event(Event::Consent(Consent::Valid(terms())));
    if commits == "drain" {
        for _ in 0..10_000 {
            if driver.unsent() == 0 {
                break;
            }
            driver.wake();
        }
        assert_eq!(driver.unsent(), 0, "it is never delivered");
    } else {
        let commits: u64 = commits.parse().unwrap();
        for _ in 0..commits.saturating_mul(20) {
            if driver.commits >= commits {
                break;
            }
            if driver.random.between(0, 8) == 0 {
                driver.collector.online = driver.random.between(0, 2) == 0;
            }
            if driver.keyring.is_some() {
                // Keys change while the line works, and as often as they can.
                driver.collector.online = true;
                driver.event(Event::Rotate);
            }
            driver.wake();
        }
        assert!(driver.commits >= commits, "it does not go on");
    }
    if let Err(fault) = driver.outbox.save(driver.agent.chains()) {
        tell(&format!("FAILED {fault:?}"));
    }
    tell("END");
}

/// Keys as an enrolment makes them durable, each in a folder of its own.
fn keys(dir: &Path) {
    for number in 0.. {
        let folder = dir.join(format!("k{number}"));
        fs::create_dir(&folder).and_then(|()| File::open(dir)?.sync_all()).unwrap();
        identities::save_key(&folder, &key()).unwrap();
        tell(&format!("K k{number}"));
        // The next one would write this one's names to the disk too.
        std::thread::sleep(Duration::from_millis(40));
    }
}
