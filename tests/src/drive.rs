//! The real core and outbox at full speed, in a process of its own that tests kill, starve and cut the power of.
//!
//! The clock is virtual, so that thousands of commits take a second, and the collector is the chain's rule and a file.
//! Every line of standard output is one thing that the agent was told: `C` is a commit that returned, so it must never
//! be missing again. [`Account`] reads these lines and the collector's file, and says whether everything adds up.

use crate::{Random, agreed};
use mimamori_agent::core::{Agent, Answered, Consent, Effect, Event, Identity, Now, Restored};
use mimamori_agent::outbox::{Batch, Noticed, Outbox, OutboxError, Quota};
use mimamori_agent::{clock, identity};
use mimamori_shared::chain::{Fit, Link, Tip, lease};
use mimamori_shared::consent::ConsentTerms;
use mimamori_shared::fields::{Filesystem, Readings, Scope, System};
use mimamori_shared::id::{AgentId, BootId, ChainId, CollectorId, Hash};
use mimamori_shared::payload::{Body, Entry, Layer, Receipt, ReceiptStatus, Refusal, RefusalReason};
use mimamori_shared::sign::{SecretKey, verify};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Tries that a start may need: each fault that is injected costs one.
const TRIES: usize = 40;

fn key() -> SecretKey {
    SecretKey::from_seed(&Zeroizing::new([3; 32]))
}

fn identity() -> Identity {
    Identity { collector_id: CollectorId([1; 16]), agent_id: AgentId([2; 16]), key: key(), boot_id: BootId([4; 16]) }
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
    online: bool,
}

impl Collector {
    fn open(path: &Path) -> Collector {
        let account = Account::read("", &fs::read_to_string(path).unwrap_or_default());
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        let mut collector = Collector { file, tips: BTreeMap::new(), held: BTreeMap::new(), losses: BTreeSet::new(), online: true };
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
        let (id, sent) = (identity(), batch.sent);
        let last = *sent.frames.last().unwrap();
        let (chain_id, in_reply_to) = (sent.chain_id, sent.first_hash);
        let behind = |tip: Tip| {
            let reason = RefusalReason::Behind { next_seq: tip.next_seq, head_hash: tip.head };
            Answered::Refusal(Refusal { collector_id: id.collector_id, agent_id: id.agent_id, chain_id, in_reply_to, reason })
        };
        for frame in batch.body.frames {
            let verified = verify(frame, &key().public()).unwrap();
            let entry = Entry::read(&verified).unwrap();
            let link = Link::of(&entry, verified.hash());
            let tip = self.tips.get(&sent.chain_id).copied().unwrap_or(Tip::EMPTY);
            let is_loss = if let Body::Loss(loss) = &entry.body { loss.counts.total() } else { 0 };
            match tip.fit(&link) {
                Fit::Extends(next) => {
                    let line = format!("{} {} {} {} {is_loss}\n", sent.chain_id, link.seq, link.last_seq, link.tip_hash);
                    self.file.write_all(line.as_bytes()).unwrap();
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
}

fn say_noticed(noticed: &[Noticed]) {
    for noticed in noticed {
        match noticed {
            Noticed::SetAside(path) => tell(&format!("ASIDE {}", path.display())),
            Noticed::TailLost { entries } => tell(&format!("TAIL {entries}")),
        }
    }
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
                self.agent = Agent::new(identity(), agreed::settings(60), restored);
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
            Effect::Keys(task) => panic!("no rotation was set: {task:?}"),
            Effect::Purge => panic!("nothing was withdrawn"),
            Effect::Note(note) => tell(&format!("NOTE {note:?}")),
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
/// what is unsent, and `key` for the seed only makes keys durable, one after another.
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
    let agent = Agent::new(identity(), agreed::settings(60), restored);
    let mut driver = Driver { outbox, agent, collector, now, random, states: 0, commits: 0, anew: None };
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
        identity::save_key(&folder, &key()).unwrap();
        tell(&format!("K k{number}"));
        // The next one would write this one's names to the disk too.
        std::thread::sleep(Duration::from_millis(40));
    }
}

/// What the collector holds at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEntry {
    /// Its chain.
    pub chain_id: ChainId,
    /// First place.
    pub seq: u64,
    /// Last place.
    pub last_seq: u64,
    /// The hash there.
    pub tip_hash: Hash,
    /// What a loss record counts; 0 for any other entry.
    pub counted: u64,
}

/// What was told, and what arrived.
#[derive(Debug, Default)]
pub struct Account {
    /// Commits that returned, in order.
    pub told: Vec<(ChainId, u64, Hash)>,
    /// What the collector holds, in the order of arrival.
    pub held: Vec<HeldEntry>,
    /// Milliseconds that each start took.
    pub opened_ms: Vec<u64>,
    /// Lines of faults and notices.
    pub said: Vec<String>,
}

/// Figures of an account that adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Chains.
    pub chains: usize,
    /// Entries that arrived.
    pub accepted: u64,
    /// Places that a loss record bridges.
    pub lost: u64,
}

fn id<const N: usize>(hex: &str) -> [u8; N] {
    mimamori_shared::id::from_hex(hex).unwrap()
}

impl Account {
    /// Reads the driver's lines and the collector's; a last line without an end is left out.
    ///
    /// # Panics
    /// When a line makes no sense.
    #[must_use]
    pub fn read(told: &str, held: &str) -> Account {
        let whole = |text: &str| text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect::<Vec<_>>();
        let mut account = Account::default();
        for line in whole(told) {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["C", chain, seq, hash] => account.told.push((ChainId(id(chain)), seq.parse().unwrap(), Hash(id(hash)))),
                ["OPEN", ms] => account.opened_ms.push(ms.parse().unwrap()),
                ["END"] => {}
                _ => account.said.push(line),
            }
        }
        for line in whole(held) {
            let words: Vec<&str> = line.split(' ').collect();
            account.held.push(HeldEntry {
                chain_id: ChainId(id(words[0])),
                seq: words[1].parse().unwrap(),
                last_seq: words[2].parse().unwrap(),
                tip_hash: Hash(id(words[3])),
                counted: words[4].parse().unwrap(),
            });
        }
        account
    }

    /// Fails unless everything that was told arrived or is counted as lost, once, in order, and nothing forked; and
    /// unless accepted and lost make created.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn adds_up(&self) -> Figures {
        let mut tips: BTreeMap<ChainId, u64> = BTreeMap::new();
        let (mut entries, mut losses) = (BTreeMap::new(), Vec::new());
        let mut figures = Figures { chains: 0, accepted: 0, lost: 0 };
        for held in &self.held {
            let next = tips.entry(held.chain_id).or_insert(0);
            assert_eq!(held.seq, *next, "out of order, or a hole");
            *next = held.last_seq + 1;
            if held.counted > 0 {
                assert_eq!(held.counted, held.last_seq - held.seq + 1, "a loss record counts what it bridges");
                figures.lost += held.counted;
                losses.push(held);
            } else {
                figures.accepted += 1;
                entries.insert((held.chain_id, held.seq), held.tip_hash);
            }
        }
        let mut seen = BTreeMap::new();
        for (chain_id, seq, hash) in &self.told {
            assert_eq!(seen.insert((*chain_id, *seq), *hash), None, "place {seq} was created twice: a fork");
            let lost = losses.iter().any(|held| held.chain_id == *chain_id && (held.seq..=held.last_seq).contains(seq));
            assert!(lost || entries.get(&(*chain_id, *seq)) == Some(hash), "place {seq} was told durable and is missing, or is another");
        }
        assert!(self.said.iter().all(|line| !line.starts_with("FORK")), "{:?}", self.said);
        figures.chains = tips.len();
        assert_eq!(figures.accepted + figures.lost, tips.values().sum::<u64>(), "accepted and lost make created");
        figures
    }
}
