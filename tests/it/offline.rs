//! Outages: the real core, outbox and way out against a real collector, with a clock of their own, so that 500 reports
//! do not take a night. The readings are this machine's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and figures are printed"
)]

use mimamori_agent::core::{Agent, Answered, Consent, Effect, Event, Held, Identity, LossSpec, Note, Now, Settings};
use mimamori_agent::host::Host;
use mimamori_agent::outbox::{Batch, Outbox, Quota};
use mimamori_agent::probe::{self, Names};
use mimamori_agent::uplink::{Outcome, PushError, REPORTS_PATH, REPORTS_TYPE, Sent, Trust, Uplink, UplinkConfig, judge};
use mimamori_collector::store::Scope;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Plan, ScopeTerms};
use mimamori_shared::fields::Scope as Purpose;
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{AgentId, BootId, CollectorId, Hash};
use mimamori_shared::payload::RefusalReason;
use mimamori_shared::sign::{PayloadType, PublicKey, SecretKey, frame_hash};
use mimamori_shared::token::Token;
use mimamori_tests::sim::{key_of, now_ms, packed};
use mimamori_tests::{Random, SimAgent, World, get};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

const LARGE: Quota = Quota { bytes: 1 << 30, age_ms: 1 << 50, free_floor_bytes: 0 };

/// What `run.rs` does, one step at a time and with a clock that is told.
pub(crate) struct Rig {
    pub(crate) agent: Agent,
    pub(crate) outbox: Outbox,
    pub(crate) now: Now,
    /// At most so many frames in a request.
    pub(crate) frames_max: usize,
    /// How each request ended.
    pub(crate) ends: Vec<Outcome>,
    /// What was sent last.
    pub(crate) sent: Option<Sent>,
    pub(crate) samples: usize,
    pub(crate) losses: Vec<LossSpec>,
    uplink: Uplink,
    trust: Trust,
    identity: Identity,
    dir: PathBuf,
    quota: Quota,
    names: Names,
    random: Random,
}

impl Rig {
    pub(crate) fn new(dir: PathBuf, ids: (CollectorId, AgentId), key: SecretKey, root: PublicKey, uplink: UplinkConfig, quota: Quota) -> Rig {
        std::fs::create_dir_all(&dir).unwrap();
        let identity = Identity { collector_id: ids.0, agent_id: ids.1, key, boot_id: BootId([9; 16]) };
        let trust = Trust { collector_id: ids.0, agent_id: ids.1, root, certificate: None };
        let (outbox, restored, noticed) = Outbox::open(&dir, quota, 0).unwrap();
        assert!(noticed.is_empty(), "{noticed:?}");
        let plan = Plan { v: 1, interval_s: 60, sections: BTreeMap::new() };
        let agent = Agent::new(identity.clone(), Settings { plan, except: BTreeSet::new() }, restored);
        // A day ago, so that no report comes from the future.
        let now = Now { wall_ms: now_ms() - 86_400_000, boottime_ms: 10_000_000, monotonic_ms: 10_000_000 };
        Rig {
            agent,
            outbox,
            now,
            frames_max: usize::MAX,
            ends: Vec::new(),
            sent: None,
            samples: 0,
            losses: Vec::new(),
            uplink: Uplink::new(uplink).unwrap(),
            trust,
            identity,
            dir,
            quota,
            names: Names::new(&[3; 32], BTreeMap::new()),
            random: Random(7),
        }
    }

    /// Enrols at a world's collector.
    pub(crate) async fn enrolled(world: &World, token: &Token, quota: Quota) -> Rig {
        let given = SimAgent::enrol(token, "rig").await.unwrap().enrolled;
        let mut uplink = UplinkConfig::new(token.url.clone(), token.ca_pin);
        (uplink.connect_timeout, uplink.request_timeout) = (Duration::from_secs(5), Duration::from_secs(9));
        let root = PublicKey::from_bytes(&token.root_key).unwrap();
        Rig::new(world.dir.join("rig"), (given.collector_id, given.agent_id), key_of(token, "rig"), root, uplink, quota)
    }

    /// The program ends and starts again; nothing is said to it.
    pub(crate) fn reopen(&mut self) {
        let (outbox, restored, noticed) = Outbox::open(&self.dir, self.quota, 0).unwrap();
        assert!(noticed.is_empty(), "{noticed:?}");
        self.outbox = outbox;
        let plan = Plan { v: 1, interval_s: 60, sections: BTreeMap::new() };
        self.agent = Agent::new(self.identity.clone(), Settings { plan, except: BTreeSet::new() }, restored);
    }

    pub(crate) async fn consent(&mut self) {
        let scopes = Purpose::ALL.into_iter().map(|scope| (scope, ScopeTerms { every_s: 60, except: Vec::new(), include: Vec::new() })).collect();
        let terms = ConsentTerms {
            v: 1,
            valid_from_ms: 0,
            valid_to_ms: i64::MAX,
            mode: ConsentMode::Continuous,
            utc_offset_s: 0,
            windows: Vec::new(),
            quiet: Vec::new(),
            scopes,
            approval_hash: Hash::ZERO,
            example: true,
        };
        self.handle(Event::Consent(Consent::Valid(terms))).await;
    }

    /// Lets the clock run to the next thing to do.
    pub(crate) async fn wake(&mut self) {
        assert!(self.ends.len() < 5000, "a story that never ends; last: {:?}", self.ends.last());
        let ms = (self.agent.wake_at().expect("something to wait for") - self.now.boottime_ms).max(1);
        self.now = Now { wall_ms: self.now.wall_ms + ms, boottime_ms: self.now.boottime_ms + ms, monotonic_ms: self.now.monotonic_ms + ms };
        self.handle(Event::Wake).await;
    }

    pub(crate) async fn reports(&mut self, count: usize) {
        let goal = self.samples + count;
        while self.samples < goal {
            self.wake().await;
        }
    }

    pub(crate) fn unsent(&self) -> u64 {
        self.outbox.size(self.agent.chains()).0
    }

    async fn handle(&mut self, event: Event) {
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            for effect in self.agent.step(event, self.now, self.random.bytes()) {
                self.carry_out(effect, &mut queue).await;
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect, queue: &mut VecDeque<Event>) {
        match effect {
            Effect::Sample => {
                self.samples += 1;
                let (readings, faults) = probe::sample(&probe::Sources::of(&Host::live(), &self.names), &|_| true);
                let states = probe::state_fingerprints(&readings, &faults);
                queue.push_back(Event::Sampled { readings: Box::new(readings), faults, states });
            }
            Effect::Commit(record) => {
                self.outbox.commit(&record).unwrap();
                queue.push_front(Event::Committed);
                if self.outbox.over_quota() {
                    let spec = self.outbox.trim(self.agent.chains(), self.now.wall_ms).unwrap();
                    self.losses.extend(spec.clone());
                    queue.extend(spec.map(Event::Dropped));
                }
            }
            Effect::Bridge(record) => self.outbox.bridge(&record).unwrap(),
            Effect::Push { chain_id, from_seq, frames_max } => {
                let most = frames_max.min(self.frames_max);
                match self.outbox.batch(chain_id, from_seq, most, 1024 * 1024).unwrap() {
                    Ok(batch) => {
                        let answered = self.push(batch.expect("something unsent")).await;
                        queue.push_back(answered);
                    }
                    Err(spec) => queue.extend([Event::Dropped(spec), Event::PushEmpty]),
                }
            }
            Effect::Rewind { chain_id, next_seq, head } => {
                let held: Held = self.outbox.rewind(chain_id, next_seq, head).unwrap();
                queue.push_back(Event::Rewound { chain_id, held });
            }
            Effect::Recall { before } => {
                let chain = self.outbox.before(before).unwrap();
                queue.push_back(Event::Recalled { before, chain });
            }
            Effect::Keys(task) => panic!("no rotation was set: {task:?}"),
            Effect::Purge => queue.push_back(Event::Purged(true)),
            Effect::Note(note) => assert!(matches!(note, Note::ChainOpened(_)), "{note:?}"),
        }
    }

    async fn push(&mut self, batch: Batch) -> Event {
        let sent = batch.sent.clone();
        self.sent = Some(sent.clone());
        let outcome = self.post(&batch.body, &sent).await;
        self.ends.push(outcome.clone());
        let answer = match outcome {
            Outcome::Receipted(receipt) => Answered::Receipt(receipt),
            Outcome::Refused(refusal) => Answered::Refusal(refusal),
            Outcome::PreviewTaken => panic!("nothing but a preview was sent"),
            Outcome::Failed(fault, retry_after_s) => Answered::Failed { layer: fault.layer, retry_after_s, too_large: false },
        };
        Event::Answered { sent, answer }
    }

    /// Sends a body by the real way out and judges the answer; tells the agent nothing.
    pub(crate) async fn post(&mut self, body: &mimamori_shared::frame::Batch, sent: &Sent) -> Outcome {
        match self.uplink.post(REPORTS_PATH, REPORTS_TYPE, Some("zstd"), packed(body), self.now.wall_ms).await {
            Ok(answer) => judge(&answer, &mut self.trust, sent),
            Err(fault) => Outcome::Failed(fault, None),
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.ends.iter().filter(|end| !matches!(end, Outcome::Failed(..))).count()
    }

    pub(crate) fn last_fault(&self) -> &PushError {
        match self.ends.last() {
            Some(Outcome::Failed(fault, _)) => fault,
            other => panic!("no failed push: {other:?}"),
        }
    }
}

/// Every place from 0 on stands once, in order; how many reports.
#[track_caller]
fn once_and_in_order(lines: &[Value]) -> usize {
    let mut next = 0;
    for line in lines {
        assert_eq!((line["seq"].as_u64(), line["branch"].as_u64()), (Some(next), Some(0)), "{line}");
        next = line["last_seq"].as_u64().unwrap() + 1;
    }
    lines.iter().filter(|line| line["frame"][0].as_str().unwrap().starts_with("{\"v\":1,\"type\":\"report\"")).count()
}

/// A day-long outage, two restarts of the agent in it.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_reports_of_an_outage_arrive_once_in_order_and_in_few_requests() {
    let world = World::new("outage");
    let running = world.start_within().await;
    let mut rig = Rig::enrolled(&world, &world.token(Some("ct-1")), LARGE).await;
    running.stop().await;
    rig.consent().await;
    // Nobody answers, so the size of what is tried does not matter; it would only take the test's time.
    rig.frames_max = 1;
    for part in [180, 170, 149] {
        rig.reports(part).await;
        rig.reopen();
        rig.consent().await;
    }
    rig.frames_max = usize::MAX;
    let (unsent, failed) = (rig.unsent(), rig.ends.len());
    assert!(rig.requests() == 0 && failed > 50, "{failed} tries while nobody answered");
    assert_eq!(rig.last_fault().layer.name(), "tcp");
    let running = world.start_within().await;
    while rig.unsent() > 0 {
        rig.wake().await;
    }
    let requests = rig.requests();
    assert!(requests <= 5, "{requests} requests for {unsent} entries");
    let lines = world.export("ct-1");
    let reports = once_and_in_order(&lines);
    assert!(
        reports >= 500 && lines.len() == usize::try_from(rig.agent.newest().unwrap().tip.next_seq).unwrap(),
        "{reports} reports in {} entries",
        lines.len()
    );
    assert_eq!(world.machines()[0]["epoch"], 1, "one chain over both restarts");
    assert!(rig.losses.is_empty());
    world.fsck();
    println!("{reports} reports ({unsent} entries) after {failed} failed tries: {requests} requests");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_backlog_drains_the_newest_report_is_shown_at_once() {
    let world = World::new("preview");
    let running = world.start_within().await;
    let mut rig = Rig::enrolled(&world, &world.token(Some("ct-1")), LARGE).await;
    let agent_id = rig.identity.agent_id;
    running.stop().await;
    rig.frames_max = 1;
    rig.consent().await;
    rig.reports(160).await;
    let newest = rig.now.wall_ms;
    let running = world.start_within().await;
    rig.frames_max = 50;
    // Of the first drain only one request: the others are made once the state was looked at.
    let chain = rig.agent.newest().unwrap().clone();
    let batch = rig.outbox.batch(chain.chain_id, chain.unsent_from, 50, 1 << 20).unwrap().unwrap().unwrap();
    assert!(batch.body.frames.len() == 50 && batch.body.preview.is_some());
    let Outcome::Receipted(receipt) = rig.post(&batch.body, &batch.sent).await else { panic!("no receipt") };
    assert_eq!(receipt.seq, 49);
    let row = running.store.machine_of(&Scope::All, agent_id).await.unwrap();
    let latest = row.latest.unwrap();
    assert!(latest.is_preview && latest.taken_at_ms == newest, "{} {} {newest}", latest.is_preview, latest.taken_at_ms);
    assert_eq!((latest.seq, row.chain.unwrap().next_seq), (chain.tip.next_seq - 1, 50));
    assert_eq!(world.machines()[0]["preview"], true);
    while rig.unsent() > 0 {
        rig.wake().await;
    }
    assert!(rig.requests() >= 4, "{} requests", rig.requests());
    let latest = running.store.machine_of(&Scope::All, agent_id).await.unwrap().latest.unwrap();
    assert!(!latest.is_preview && latest.taken_at_ms >= newest);
    let lines = world.export("ct-1");
    assert!(once_and_in_order(&lines) >= 160);
    // The preview was no entry: its place was filled later, by the same bytes.
    let place = lines.iter().find(|line| line["seq"] == chain.tip.next_seq - 1).unwrap();
    assert_eq!(place["frame"][0].as_str().unwrap().as_bytes(), batch.body.preview.unwrap().payload);
    world.fsck();
    println!("fresh after the first of {} requests with {} of {} entries", rig.requests(), 50, lines.len());
    running.stop().await;
}

fn waiting(world: &World, metrics: std::net::SocketAddr) -> (Option<u64>, String) {
    let (status, page) = get(metrics, "/metrics").unwrap();
    assert_eq!(status, 200);
    let line = page.lines().find(|line| line.starts_with("mimamori_machine_chain_waiting{")).expect("chain_waiting in the metrics");
    (world.machines()[0]["waiting_for"].as_u64(), line.rsplit(' ').next().unwrap().to_owned())
}

/// I7.
#[tokio::test(flavor = "multi_thread")]
async fn a_hole_is_bridged_by_a_loss_record_and_by_nothing_else() {
    let world = World::new("hole");
    let running = world.start_within().await;
    let quota = Quota { bytes: 60_000, ..LARGE };
    let mut rig = Rig::enrolled(&world, &world.token(Some("ct-1")), quota).await;
    rig.consent().await;
    rig.reports(3).await;
    assert_eq!(rig.unsent(), 0);
    let held = world.export("ct-1").len() as u64;
    running.stop().await;
    // The collector is away for long, and the outbox is small.
    while rig.losses.len() < 3 {
        rig.reports(10).await;
    }
    let running = world.start_within().await;
    let chain = rig.agent.newest().unwrap().clone();
    let batch = rig.outbox.batch(chain.chain_id, chain.unsent_from, 1000, 1 << 20).unwrap().unwrap().unwrap();
    let is_loss = |frame: &Frame| PayloadType::of(&frame.payload) == Some(PayloadType::Loss);
    let at = batch.body.frames.iter().position(is_loss).expect("a loss record");
    let lost: Vec<_> = batch.sent.frames[at..=at].iter().map(|frame| (frame.seq, frame.last_seq)).collect();
    assert!(lost[0].1 > lost[0].0, "{lost:?}");
    // Without the loss record: what lies before the hole is taken, then the chain stands still, and says so.
    let behind: Vec<Frame> = batch.body.frames[at + 1..].iter().take_while(|frame| !is_loss(frame)).cloned().collect();
    assert!(!behind.is_empty(), "losses side by side are one");
    let sends = [(&batch.body.frames[..at], true), (&behind[..], false), (&behind[..], false)];
    for (frames, fits) in sends.into_iter().filter(|(frames, _)| !frames.is_empty()) {
        let first_hash = frame_hash(PayloadType::of(&frames[0].payload).unwrap(), &frames[0].payload);
        let places = batch
            .sent
            .frames
            .iter()
            .filter(|place| frames.iter().any(|frame| frame_hash(PayloadType::of(&frame.payload).unwrap(), &frame.payload) == place.tip_hash));
        let sent = Sent { chain_id: chain.chain_id, first_hash, frames: places.copied().collect() };
        let outcome = rig.post(&mimamori_shared::frame::Batch { frames: frames.to_vec(), preview: None }, &sent).await;
        if fits {
            assert!(matches!(outcome, Outcome::Receipted(_)), "{outcome:?}");
            continue;
        }
        let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(refusal.reason, RefusalReason::Behind { next_seq, .. } if next_seq == lost[0].0), "{refusal:?}");
        assert_eq!(waiting(&world, running.metrics), (Some(lost[0].0), "1".to_owned()));
        assert_eq!(world.export("ct-1").len() as u64, held + at as u64, "something went over the hole");
    }
    // With it the chain goes on, and the hole is told for ever.
    while rig.unsent() > 0 {
        rig.wake().await;
    }
    assert_eq!(waiting(&world, running.metrics), (None, "0".to_owned()));
    let lines = world.export("ct-1");
    once_and_in_order(&lines);
    let losses: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line["frame"][0].as_str().unwrap()).unwrap())
        .filter(|payload| payload["type"] == "loss")
        .collect();
    let told: u64 = losses.iter().map(|loss| loss["last_seq"].as_u64().unwrap() - loss["first_seq"].as_u64().unwrap() + 1).sum();
    let counted: u64 =
        losses.iter().map(|loss| ["sample", "unchanged", "change", "statement"].iter().filter_map(|class| loss["counts"][class].as_u64()).sum::<u64>()).sum();
    assert!(told > 0 && told == counted && losses.iter().all(|loss| loss["reason"] == "quota"), "{losses:?}");
    let created = rig.agent.newest().unwrap().tip.next_seq;
    assert_eq!(lines.len() as u64 - losses.len() as u64 + told, created, "accepted and lost make created");
    world.fsck();
    println!("{created} created = {} accepted + {told} lost in {} record(s)", lines.len() - losses.len(), losses.len());
    running.stop().await;
}
