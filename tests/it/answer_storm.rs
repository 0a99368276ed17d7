//! A storm of answers from whatever stands in the collector's place, some of them signed by one who holds the pinned
//! root itself: judged by the real code, given to the real core with the real outbox. Nothing panics, memory stays
//! bounded, nothing leaves the queue that was not genuinely receipted, and nobody but the facility decides how often
//! the agent measures. `MIMAMORI_ANSWERS=1000000` is the whole; what HTTP itself can do wrong is in `hostile_answers`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_agent::core::{Agent, Answered, Consent, Effect, Event, Identity, Now, Settings};
use mimamori_agent::outbox::{Outbox, Quota};
use mimamori_agent::uplink::{ANSWER_TYPE, Answer, Outcome, Sent, Trust, judge};
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Plan, ScopeTerms};
use mimamori_shared::fields::{Readings, Scope, System};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{AgentId, BootId, ChainId, CollectorId, Hash, KeyId, Lease};
use mimamori_shared::payload::{Certificate, Place, Receipt, ReceiptStatus, Refusal, RefusalReason, encode};
use mimamori_shared::sign::{PayloadType, SecretKey};
use mimamori_tests::Random;
use mimamori_tests::process::program;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;
use zeroize::Zeroizing;

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
        let plan = Plan { v: 1, interval_s: INTERVAL_S, sections: BTreeMap::from([("system".to_owned(), INTERVAL_S)]) };
        Storm {
            _dir: dir,
            agent: Agent::new(identity, Settings { plan }, restored),
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
                queue.push_back(Event::Sampled { readings, faults: Vec::new(), states: 0 });
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

    /// What the collector would say.
    fn receipt(&self, sent: &Sent) -> Receipt {
        let last = sent.frames.last().unwrap();
        Receipt {
            collector_id: COLLECTOR,
            agent_id: AGENT,
            chain_id: sent.chain_id,
            branch: 0,
            seq: last.last_seq,
            head_hash: last.tip_hash,
            received_at_ms: self.now.wall_ms,
            lease: Lease([4; 16]),
            status: ReceiptStatus::Ok,
        }
    }

    fn certificate(&self, issued_at_ms: i64, signer: &SecretKey) -> Vec<u8> {
        let public = signer.public();
        let body = Certificate { collector_id: COLLECTOR, key_id: public.id(), public_key: STANDARD.encode(public.to_bytes()), issued_at_ms };
        lines(PayloadType::Certificate, encode(PayloadType::Certificate, &[&body]), &key(11))
    }

    fn signed(&self, kind: PayloadType, payload: Vec<u8>) -> Vec<u8> {
        [lines(kind, payload, &key(12)), self.certificate(self.issued_ms, &key(12))].concat()
    }

    fn genuine_body(&self, sent: &Sent) -> Vec<u8> {
        self.signed(PayloadType::Receipt, encode(PayloadType::Receipt, &[&self.receipt(sent)]))
    }

    /// One answer; whether a genuine collector, or one who holds its root, may have said it.
    fn draw(&mut self, sent: &Sent) -> (Answer, bool) {
        let kind = self.random.between(0, 16);
        let status = [200, 200, 200, 409, 409, 201, 204, 302, 403, 413, 429, 500, 503][self.random.between(0, 13) as usize];
        let content_type = if self.random.between(0, 8) == 0 { "text/html" } else { ANSWER_TYPE }.to_owned();
        let retry_after_s = [None, None, Some(0), Some(1), Some(30), Some(3600), Some(86_400), Some(u64::MAX)][self.random.between(0, 8) as usize];
        let wrap = |body: Vec<u8>| Answer { status, content_type: content_type.clone(), retry_after_s, body };
        match kind {
            0 => (wrap(self.noise()), false),
            1 => (wrap(b"<html><body>Welcome. Please log in.</body></html>".repeat(1 + self.random.between(0, 300) as usize)), false),
            2..=4 => {
                let body = self.genuine_body(sent);
                (wrap(self.mutated(body)), false)
            }
            5..=7 => (wrap(self.wrong_receipt(sent)), false),
            8 => (wrap(self.malformed()), false),
            9 => (wrap(self.bad_certificate(sent)), false),
            10 | 11 => (wrap(self.refusal(sent, false)), false),
            12 | 13 => (Answer { status: 409, ..wrap(self.refusal(sent, true)) }, true),
            14 => (wrap(Vec::new()), false),
            _ if self.random.between(0, 4) == 0 => (Answer { status: 200, content_type: ANSWER_TYPE.to_owned(), ..wrap(self.genuine_body(sent)) }, true),
            // After a rewind an old receipt may be for what is sent once more, and counts.
            _ => {
                let body = self.old_receipt();
                (wrap(body), sent.frames.iter().any(|frame| self.old.iter().any(|old| (old.seq, old.head_hash) == (frame.last_seq, frame.tip_hash))))
            }
        }
    }

    fn noise(&mut self) -> Vec<u8> {
        let length = self.random.between(0, 2000) as usize;
        let text = self.random.between(0, 2) == 0;
        (0..length).map(|_| if text { b" \n{}\":,0aZ=\\"[self.random.between(0, 12) as usize] } else { self.random.next().to_le_bytes()[0] }).collect()
    }

    /// A genuine body with something changed; flips, cuts, repeats, lines in another order, a foreign half.
    fn mutated(&mut self, good: Vec<u8>) -> Vec<u8> {
        let mut body = good.clone();
        match self.random.between(0, 6) {
            0 => body.truncate(self.random.between(0, good.len() as u64) as usize),
            1 => body.extend_from_slice(&good),
            2 => {
                let mut parts: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
                parts.swap(self.random.between(0, 2) as usize, 2 + self.random.between(0, 2) as usize);
                body = parts.concat();
            }
            3 => {
                let at = self.random.between(0, good.len() as u64) as usize;
                let extra: [u8; 7] = self.random.bytes();
                body.splice(at..at, extra);
            }
            _ => {
                for _ in 0..=self.random.between(0, 3) {
                    let at = self.random.between(0, good.len() as u64) as usize;
                    body[at] ^= 1 << self.random.between(0, 8);
                }
            }
        }
        if body == good { b"\n".to_vec() } else { body }
    }

    /// Signed as it must be, but not about what was sent.
    fn wrong_receipt(&mut self, sent: &Sent) -> Vec<u8> {
        let good = self.receipt(sent);
        let huge = [u64::MAX, 1 << 62, (1 << 62) - 1, u64::from(u32::MAX), good.seq + 1, good.seq + 1000][self.random.between(0, 6) as usize];
        let receipt = match self.random.between(0, 7) {
            0 => Receipt { seq: huge, ..good },
            1 => Receipt { head_hash: Hash(self.random.bytes()), ..good },
            2 => Receipt { chain_id: ChainId(self.random.bytes()), ..good },
            3 => Receipt { agent_id: AgentId(self.random.bytes()), ..good },
            4 => Receipt { collector_id: CollectorId(self.random.bytes()), ..good },
            5 => Receipt { seq: huge, head_hash: Hash(self.random.bytes()), received_at_ms: i64::MIN, ..good },
            _ => {
                // What one place says, told of another.
                let other = sent.frames[self.random.between(0, sent.frames.len() as u64) as usize];
                Receipt { seq: other.last_seq.wrapping_sub(1), ..good }
            }
        };
        let by = if self.random.between(0, 4) == 0 { key(99) } else { key(12) };
        let body = lines(PayloadType::Receipt, encode(PayloadType::Receipt, &[&receipt]), &by);
        [body, self.certificate(self.issued_ms, &by)].concat()
    }

    fn old_receipt(&mut self) -> Vec<u8> {
        match self.old.len() as u64 {
            0 => b"x\n".to_vec(),
            count => {
                let receipt = self.old[self.random.between(0, count) as usize].clone();
                self.signed(PayloadType::Receipt, encode(PayloadType::Receipt, &[&receipt]))
            }
        }
    }

    /// Signed by the signing key, and no receipt all the same.
    fn malformed(&mut self) -> Vec<u8> {
        let kind = PayloadType::ALL[self.random.between(0, 9) as usize];
        let inner = match self.random.between(0, 7) {
            0 => "\"seq\":1e999".to_owned(),
            1 => format!("\"seq\":{}", "9".repeat(1 + self.random.between(0, 400) as usize)),
            2 => format!("\"a\":{}{}", "[".repeat(3000), "]".repeat(3000)),
            3 => format!("\"a\":\"{}\"", "\\u0000".repeat(2000)),
            4 => "\"seq\":1,\"seq\":2,\"collector_id\":null".to_owned(),
            5 => format!("\"exec\":\"/bin/sh\",\"url\":\"http://127.0.0.1/\",\"interval_s\":{}", self.random.next()),
            _ => "\"reason\":\"behind\",\"next_seq\":-1,\"head_hash\":\"\"".to_owned(),
        };
        self.signed(kind, format!("{}{inner}}}", kind.prefix()).into_bytes())
    }

    fn bad_certificate(&mut self, sent: &Sent) -> Vec<u8> {
        let body = lines(PayloadType::Receipt, encode(PayloadType::Receipt, &[&self.receipt(sent)]), &key(12));
        let public = key(12).public();
        let good = Certificate { collector_id: COLLECTOR, key_id: public.id(), public_key: STANDARD.encode(public.to_bytes()), issued_at_ms: self.issued_ms };
        // The key that signs here is a rival's: a certificate of the same moment or an earlier one does not bring it in.
        let (certificate, by) = match self.random.between(0, 6) {
            0 => (Certificate { public_key: "A".repeat(9000), ..good }, key(11)),
            1 => (Certificate { public_key: STANDARD.encode([0; 32]), ..good }, key(11)),
            2 => (Certificate { key_id: KeyId(self.random.bytes()), ..good }, key(11)),
            3 => (Certificate { collector_id: CollectorId(self.random.bytes()), ..good }, key(11)),
            4 => (Certificate { issued_at_ms: i64::MAX, ..good }, key(98)),
            _ => {
                let rival = key(13).public();
                let body = lines(PayloadType::Receipt, encode(PayloadType::Receipt, &[&self.receipt(sent)]), &key(13));
                let older = Certificate { key_id: rival.id(), public_key: STANDARD.encode(rival.to_bytes()), issued_at_ms: self.issued_ms - 1, ..good };
                return [body, lines(PayloadType::Certificate, encode(PayloadType::Certificate, &[&older]), &key(11))].concat();
            }
        };
        [body, lines(PayloadType::Certificate, encode(PayloadType::Certificate, &[&certificate]), &by)].concat()
    }

    /// A refusal under the genuine signature; `ours` when it answers this very request.
    fn refusal(&mut self, sent: &Sent, ours: bool) -> Vec<u8> {
        let last = sent.frames.last().unwrap();
        // Rarely what contradicts the ledger: each such word costs a chain, and of those there are three a day.
        let contradicts = !ours || self.random.between(0, 400) == 0;
        let near = sent.frames[0].seq.saturating_sub(self.random.between(0, 3));
        let next_seq = [0, near, near + 1][self.random.between(0, 3) as usize];
        let known = next_seq.checked_sub(1).map_or(Some(Hash::ZERO), |seq| self.made.get(&(sent.chain_id, seq)).copied());
        let (next_seq, head_hash) = match known {
            Some(hash) if !contradicts => (next_seq, hash),
            _ => ([next_seq, u64::MAX, self.random.next()][self.random.between(0, 3) as usize], Hash(self.random.bytes())),
        };
        let ancestor = Some(Place { chain_id: ChainId(self.random.bytes()), seq: self.random.next(), hash: head_hash });
        let reason = match self.random.between(0, 40) {
            0..=29 => RefusalReason::Behind { next_seq, head_hash },
            30..=36 => RefusalReason::Diverged { ancestor, branch: 9, seq: u64::MAX - next_seq, head_hash },
            37 if contradicts => RefusalReason::Diverged { ancestor: None, branch: 1, seq: last.last_seq, head_hash: last.tip_hash },
            37 => RefusalReason::TooManyChains,
            38 => RefusalReason::TooManyBranches,
            _ => RefusalReason::Revoked,
        };
        let in_reply_to = if ours { sent.first_hash } else { Hash(self.random.bytes()) };
        let refusal = Refusal { collector_id: COLLECTOR, agent_id: AGENT, chain_id: sent.chain_id, in_reply_to, reason };
        self.signed(PayloadType::Refusal, encode(PayloadType::Refusal, &[&refusal]))
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
    let scopes = Scope::ALL.into_iter().map(|scope| (scope, ScopeTerms { every_s: INTERVAL_S, except: Vec::new() })).collect();
    Consent::Valid(ConsentTerms {
        v: 1,
        valid_from_ms: 0,
        valid_to_ms: i64::MAX,
        mode: ConsentMode::Continuous,
        scopes,
        approval_hash: Hash::ZERO,
        example: true,
    })
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
    let number = |name: &str, otherwise| std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap());
    let (count, seed) = (number("MIMAMORI_ANSWERS", 20_000), number("MIMAMORI_SEED", 1));
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
