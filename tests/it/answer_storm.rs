//! A storm of answers from whatever stands in the collector's place, some of them signed by one who holds the pinned
//! root itself: judged by the real code, given to the real core with the real outbox. Nothing panics, memory stays
//! bounded, nothing leaves the queue that was not genuinely receipted, and nobody but the facility decides how often
//! the agent measures. `MIMAMORI_ANSWERS=1000000` is the whole; what HTTP itself can do wrong is in `hostile_answers`.
#![allow(clippy::disallowed_methods, reason = "how long the long stories are is read from the environment")]

use mimamori_agent::core::{Agent, Answered, Consent, Effect, Event, Identity, Now};
use mimamori_agent::outbox::{Outbox, Quota};
use mimamori_agent::uplink::{Answer, Outcome, Sent, Trust, judge};
use mimamori_shared::fields::{Readings, Scope, System};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{AgentId, BootId, ChainId, CollectorId, Hash};
use mimamori_shared::payload::{Receipt, RefusalReason};
use mimamori_shared::sign::{PayloadType, SecretKey};
use mimamori_tests::agreed;
use mimamori_tests::process::program;
use mimamori_tests::{Random, times};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;
use zeroize::Zeroizing;

mod draw;

const COLLECTOR: CollectorId = CollectorId([1; 16]);
const AGENT: AgentId = AgentId([2; 16]);
const INTERVAL_S: u64 = 600;
/// HD-09: the longest the collector can make an agent wait, and what memory may grow by.
const WAIT_MAX_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
const GROWTH_KIB_MAX: i64 = 4096;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn lines(kind: PayloadType, payload: Vec<u8>, by: &SecretKey) -> Vec<u8> {
    Frame { key_id: by.public().id(), signature: by.sign(kind, &payload), payload }.to_lines()
}

/// The agent, its outbox and what the facility's side knows to be true.
struct Storm {
    _dir: tempfile::TempDir,
    agent: Agent,
    outbox: Outbox,
    trust: Trust,
    now: Now,
    random: Random,
    /// Everything that was made, by chain and place.
    made: BTreeMap<(ChainId, u64), Hash>,
    /// How far each chain was genuinely receipted: the next place.
    genuine: BTreeMap<ChainId, u64>,
    sent: Option<Sent>,
    old: Vec<Receipt>,
    samples: i64,
    pushes: u64,
    chains: u64,
    /// The newest certificate's time, and the key it is for.
    issued_ms: i64,
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let memory = std::path::Path::new("/dev/shm");
        let dir = tempfile::tempdir_in(if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }).unwrap();
        let quota = Quota { bytes: 1 << 32, age_ms: i64::MAX / 2, free_floor_bytes: 0 };
        let (outbox, restored, _) = Outbox::open(dir.path(), quota, 0).unwrap();
        let identity = Identity { collector_id: COLLECTOR, agent_id: AGENT, key: key(21), boot_id: BootId([9; 16]) };
        Storm {
            _dir: dir,
            agent: Agent::new(identity, agreed::settings(INTERVAL_S), restored),
            outbox,
            trust: Trust { collector_id: COLLECTOR, agent_id: AGENT, root: key(11).public(), certificate: None },
            now: Now { wall_ms: 1_777_593_600_000, boottime_ms: 5000, monotonic_ms: 5000 },
            random: Random(seed),
            made: BTreeMap::new(),
            genuine: BTreeMap::new(),
            sent: None,
            old: Vec::new(),
            samples: 0,
            pushes: 0,
            chains: 0,
            issued_ms: 1000,
        }
    }

    fn event(&mut self, event: Event) {
        let answered = matches!(event, Event::Answered { .. });
        let mut queue = VecDeque::from([event]);
        let mut steps = 0;
        while let Some(event) = queue.pop_front() {
            steps += 1;
            assert!(steps < 1000, "the agent turns in a circle");
            let random = self.random.bytes();
            for effect in self.agent.step(event, self.now, random) {
                // HD-08: there is no other effect, and an answer never leads to the one that drops.
                assert!(!(answered && matches!(effect, Effect::Purge)), "an answer made the agent purge");
                self.carry_out(effect, &mut queue);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, queue: &mut VecDeque<Event>) {
        match effect {
            Effect::Sample => {
                self.samples += 1;
                let system = System { uptime_ms: Some(self.samples), ..System::default() };
                let readings = Box::new(Readings { system: Some(system), ..Readings::default() });
                queue.push_back(Event::Sampled { readings, faults: Vec::new(), states: BTreeMap::new() });
            }
            Effect::Commit(record) => {
                self.outbox.commit(&record).unwrap();
                self.chains += u64::from(record.opens.is_some());
                assert!(self.made.insert((record.chain_id, record.seq), record.hash).is_none(), "one place was signed twice");
                queue.push_front(Event::Committed);
            }
            Effect::Push { chain_id, from_seq, frames_max } => {
                self.pushes += 1;
                let batch = self.outbox.batch(chain_id, from_seq, frames_max.min(64), 1 << 20).unwrap().expect("nothing is gone");
                self.sent = Some(batch.expect("something is unsent").sent);
            }
            Effect::Rewind { chain_id, next_seq, head } => {
                let held = self.outbox.rewind(chain_id, next_seq, head).unwrap();
                queue.push_back(Event::Rewound { chain_id, held });
            }
            Effect::Bridge(record) => panic!("something was dropped: {record:?}"),
            Effect::Recall { before } => queue.push_back(Event::Recalled { before, chain: self.outbox.before(before).unwrap() }),
            Effect::Keys(task) => panic!("nobody asked for a new key: {task:?}"),
            Effect::Purge => panic!("nobody withdrew anything"),
            Effect::Note(_) => {}
        }
    }

    fn pass(&mut self, ms: i64) {
        self.now = Now { wall_ms: self.now.wall_ms + ms, boottime_ms: self.now.boottime_ms + ms, monotonic_ms: self.now.monotonic_ms + ms };
        self.event(Event::Wake);
    }

    /// Goes on until something is on its way.
    fn until_sent(&mut self) -> Sent {
        let mut naps = 0;
        while self.sent.is_none() {
            naps += 1;
            assert!(naps < 10_000, "nothing is sent any more");
            let at = self.agent.wake_at().expect("something to wait for").max(self.now.boottime_ms + 1);
            self.pass(at - self.now.boottime_ms);
        }
        self.sent.clone().unwrap()
    }

    /// Judges one answer as the shell does and tells the core.
    fn take(&mut self, sent: &Sent, answer: &Answer, may: bool) {
        let trusted = self.trust.certificate;
        let outcome = judge(answer, &mut self.trust, sent);
        let answered = match outcome {
            Outcome::Receipted(receipt) => {
                assert!(may, "a receipt nobody gave: {receipt:?}");
                let next = self.genuine.entry(receipt.chain_id).or_default();
                *next = (*next).max(receipt.seq + 1);
                let next = *next;
                // What is receipted need not be remembered, but for what a rewind may ask for.
                self.made.retain(|(chain_id, seq), _| *chain_id != receipt.chain_id || seq + 200 > next);
                if self.old.len() < 64 {
                    self.old.push(receipt.clone());
                }
                Answered::Receipt(receipt)
            }
            Outcome::Refused(refusal) => {
                assert!(may, "a refusal nobody gave: {refusal:?}");
                // A signed word that names the right hash of a place says as much as a receipt: all up to there is held.
                let told = match refusal.reason {
                    RefusalReason::Diverged { seq, head_hash, .. } => Some((seq, head_hash)),
                    RefusalReason::Behind { next_seq, head_hash } => next_seq.checked_sub(1).map(|seq| (seq, head_hash)),
                    RefusalReason::Revoked | RefusalReason::TooManyBranches | RefusalReason::TooManyChains => None,
                };
                if let Some((seq, hash)) = told
                    && self.made.get(&(refusal.chain_id, seq)) == Some(&hash)
                {
                    let next = self.genuine.entry(refusal.chain_id).or_default();
                    *next = (*next).max(seq + 1);
                }
                Answered::Refusal(refusal)
            }
            Outcome::PreviewTaken => panic!("nothing but a preview was sent"),
            Outcome::Failed(fault, retry_after_s) => {
                assert_eq!(self.trust.certificate, trusted, "a worthless answer moved whom the agent believes");
                Answered::Failed { layer: fault.layer, retry_after_s, too_large: answer.status == 413 }
            }
        };
        let settled = !matches!(answered, Answered::Failed { .. });
        if settled || self.random.between(0, 20) == 0 {
            self.sent = None;
        }
        self.event(Event::Answered { sent: sent.clone(), answer: answered });
    }

    /// What must hold behind every answer.
    fn holds(&self) {
        for chain in self.agent.chains() {
            let most = self.genuine.get(&chain.chain_id).copied().unwrap_or(0);
            assert!(chain.unsent_from <= most, "{chain:?} counts as receipted, genuinely it is up to {most}");
        }
        let next = self.agent.push_state().due_at();
        assert!(next.is_none_or(|at| at.saturating_sub(self.now.boottime_ms) <= WAIT_MAX_MS), "the next try is {next:?} at {:?}", self.now);
        let wake = self.agent.wake_at().expect("a sample or a chain is due some time");
        assert!(wake - self.now.boottime_ms <= DAY_MS, "{wake}: it sleeps for more than a day");
    }

    /// Everything without a genuine receipt can still be read from the real outbox, with the hash it was made with.
    fn nothing_is_missing(&self) -> usize {
        let mut looked = 0;
        for (&(chain_id, seq), hash) in &self.made {
            if seq < self.genuine.get(&chain_id).copied().unwrap_or(0) {
                continue;
            }
            let batch = self.outbox.batch(chain_id, seq, 1, 1 << 20).unwrap().expect("not gone").expect("there");
            assert_eq!(batch.sent.frames[0].tip_hash, *hash, "place {seq} of chain {chain_id}");
            looked += 1;
        }
        looked
    }
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn consent() -> Consent {
    Consent::Valid(agreed::terms(&Scope::ALL, INTERVAL_S, 0))
}

fn storm(count: u64, seed: u64) {
    let start = Instant::now();
    let mut storm = Storm::new(seed);
    storm.event(Event::Consent(consent()));
    let (mut before, mut genuine) = (0, 0);
    let first_ms = storm.now.boottime_ms;
    for number in 0..count {
        if number == count / 10 {
            before = resident_kib();
        }
        let sent = storm.until_sent();
        let (answer, may) = storm.draw(&sent);
        genuine += u64::from(may);
        storm.take(&sent, &answer, may);
        storm.holds();
        storm.pass(200);
    }
    let grown = resident_kib() - before;
    let looked = storm.nothing_is_missing();
    let passed_ms = storm.now.boottime_ms - first_ms;
    let due = passed_ms / (i64::try_from(INTERVAL_S).unwrap() * 1000);
    // The model itself keeps a hash for every entry made.
    let own_kib = i64::try_from(storm.made.len() * 120 / 1024).unwrap();
    println!(
        "seed {seed}: {count} answers ({genuine} under the collector's own signature) in {:?}; {} h passed, {} samples of {due} due, {} pushes, {} chains; \
         {looked} unreceipted entries of {} all there; memory grew by {grown} KiB, of it {own_kib} KiB the test's own",
        start.elapsed(),
        passed_ms / 3_600_000,
        storm.samples,
        storm.pushes,
        storm.chains,
        storm.made.len()
    );
    assert!(storm.samples <= due + i64::try_from(storm.chains).unwrap() + 2, "nobody but the facility says how often is measured");
    assert!(storm.chains <= 3 + 3 * (u64::try_from(passed_ms).unwrap() / 86_400_000 + 1), "new chains have a bound");
    assert!(genuine > count / 20 && looked > 0);
    assert!(grown - own_kib <= GROWTH_KIB_MAX, "memory grew by {grown} KiB");
}

/// SG-09, HD-09. In a process of its own: memory is measured.
#[test]
fn a_storm_of_answers_moves_nothing_but_the_time_of_the_next_try() {
    let (count, seed) = (times("MIMAMORI_ANSWERS", 20_000), times("MIMAMORI_SEED", 1));
    if std::env::var_os("MIMAMORI_ALONE").is_some() {
        return storm(count, seed);
    }
    let mut alone = program(&std::env::current_exe().unwrap());
    alone.args(["--exact", "answer_storm::a_storm_of_answers_moves_nothing_but_the_time_of_the_next_try", "--nocapture"]);
    let done = alone.env("MIMAMORI_ALONE", "1").env("MIMAMORI_ANSWERS", count.to_string()).env("MIMAMORI_SEED", seed.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "seed {seed}: {said}\n{}", String::from_utf8_lossy(&done.stderr));
    said.lines().filter(|line| line.contains("answers (")).for_each(|line| println!("{line}"));
}
