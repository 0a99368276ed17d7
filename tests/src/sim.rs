//! A simulated agent: the shared crate's types, the real way out, and a model of its own of what must be true.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_agent::uplink::{
    ENROL_PATH, ENROL_TYPE, Outcome, REPORTS_PATH, REPORTS_TYPE, Sent, SentFrame, Signer, Trust, Uplink, UplinkConfig, judge, judge_enrolled,
};
use mimamori_shared::chain::Tip;
use mimamori_shared::fields::{Readings, System};
use mimamori_shared::frame::{Batch, Frame};
use mimamori_shared::id::{BootId, ChainId, Hash, Lease};
use mimamori_shared::payload::{Class, Enrol, Enrolled, Head, OpenReason, PushFail, Receipt, RefusalReason, Report, Statement, encode};
use mimamori_shared::sign::{PayloadType, PublicKey, SecretKey, frame_hash, sha256};
use mimamori_shared::token::Token;
use std::collections::BTreeMap;
use std::time::Duration;
use zeroize::Zeroizing;

/// One entry the agent made.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its place.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    /// The signed payload.
    pub frame: Frame,
}

/// A simulated agent with one chain.
#[derive(Debug)]
pub struct SimAgent {
    /// Its key.
    pub key: SecretKey,
    /// What enrolment gave.
    pub enrolled: Enrolled,
    /// Its chain.
    pub chain_id: ChainId,
    /// Everything it made, by place.
    pub made: Vec<Made>,
    /// What was acknowledged: each place with the hash the receipt named for it or for one behind it.
    pub receipted: BTreeMap<u64, Hash>,
    /// The newest receipt.
    pub receipt: Option<Receipt>,
    /// The first place to send next.
    pub unsent_from: usize,
    uplink: Uplink,
    trust: Trust,
    boot_id: BootId,
    start_ms: i64,
}

/// The key that the simulated agent `name` makes for a token.
#[must_use]
pub fn key_of(token: &Token, name: &str) -> SecretKey {
    let Hash(seed) = sha256(format!("{} {name}", token.id).as_bytes());
    SecretKey::from_seed(&Zeroizing::new(seed))
}

/// The body of an enrolment: `key` asks, `vouches` (usually the token's key) signs for it.
#[must_use]
pub fn enrol_body(token: &Token, key: &SecretKey, vouches: &SecretKey) -> Vec<u8> {
    let enrol = Enrol {
        collector_id: token.collector_id,
        token_id: token.id,
        key_id: key.public().id(),
        public_key: STANDARD.encode(key.public().to_bytes()),
        boot_id: BootId([7; 16]),
        taken_at_ms: 0,
        agent_version: "sim".parse().unwrap(),
    };
    let payload = encode(PayloadType::Enrol, &[&enrol]);
    let by_token = vouches.sign(PayloadType::Enrol, &payload);
    let frame = Frame { key_id: key.public().id(), signature: key.sign(PayloadType::Enrol, &payload), payload };
    let mut body = frame.to_lines();
    body.extend_from_slice(format!("{} {}\n", token.id, STANDARD.encode(by_token)).as_bytes());
    body
}

/// The way out for a token.
///
/// # Panics
/// When the token's URL cannot be used.
#[must_use]
pub fn uplink(token: &Token) -> Uplink {
    let mut config = UplinkConfig::new(token.url.clone(), token.ca_pin);
    (config.connect_timeout, config.request_timeout) = (Duration::from_secs(9), Duration::from_secs(10));
    Uplink::new(config).unwrap()
}

impl SimAgent {
    /// Redeems a token with the key of `name`. The chain is opened, and nothing is sent yet.
    ///
    /// # Errors
    /// What the collector answered or what failed.
    ///
    /// # Panics
    /// When the token cannot be used.
    pub async fn enrol(token: &Token, name: &str) -> Result<SimAgent, String> {
        let key = key_of(token, name);
        let uplink = uplink(token);
        let answer = uplink.post(ENROL_PATH, ENROL_TYPE, None, enrol_body(token, &key, &token.key()), now_ms()).await;
        let answer = answer.map_err(|fault| fault.to_string())?;
        let (enrolled, certificate) = judge_enrolled(&answer, token, &key.public()).map_err(|fault| format!("{}: {fault}", answer.status))?;
        let root = PublicKey::from_bytes(&token.root_key).unwrap();
        let signer = Signer::of(&certificate).map_err(|fault| format!("{fault:?}"))?;
        let trust = Trust { collector_id: enrolled.collector_id, agent_id: enrolled.agent_id, root, certificate: Some(signer) };
        let Hash(random) = sha256(format!("chain {} {name}", token.id).as_bytes());
        let half = |at: usize| std::array::from_fn::<u8, 16, _>(|n| random[at + n]);
        let mut agent = SimAgent {
            key,
            enrolled,
            chain_id: ChainId(half(0)),
            made: Vec::new(),
            receipted: BTreeMap::new(),
            receipt: None,
            unsent_from: 0,
            uplink,
            trust,
            boot_id: BootId(half(16)),
            start_ms: now_ms(),
        };
        agent.state(&Statement::Open { reason: OpenReason::Enrolled, previous: None });
        Ok(agent)
    }

    /// Makes a statement.
    pub fn state(&mut self, statement: &Statement) {
        let head = self.head();
        self.chain(PayloadType::Statement, encode(PayloadType::Statement, &[&head, statement]));
    }

    /// Makes a report with these readings.
    pub fn report(&mut self, readings: Readings) {
        self.tell(&Report { class: Class::Sample, readings, faults: Vec::new(), findings: Vec::new() });
    }

    /// Makes this report.
    pub fn tell(&mut self, report: &Report) {
        let head = self.head();
        self.chain(PayloadType::Report, encode(PayloadType::Report, &[&head, report]));
    }

    /// Makes a report with an ordinary reading.
    pub fn sample(&mut self) {
        let system = System { uptime_ms: i64::try_from(self.made.len()).ok(), ..System::default() };
        self.report(Readings { system: Some(system), ..Readings::default() });
    }

    /// How far the chain reaches.
    #[must_use]
    pub fn tip(&self) -> Tip {
        self.made.last().map_or(Tip::EMPTY, |last| Tip { next_seq: last.seq + 1, head: last.hash })
    }

    /// The head of the next entry.
    #[must_use]
    pub fn head(&self) -> Head {
        let tip = self.tip();
        let now = now_ms();
        Head {
            collector_id: self.enrolled.collector_id,
            agent_id: self.enrolled.agent_id,
            key_id: self.key.public().id(),
            chain_id: self.chain_id,
            seq: tip.next_seq,
            prev_hash: tip.head,
            lease: self.receipt.as_ref().map_or(Lease::ZERO, |receipt| receipt.lease),
            boot_id: self.boot_id,
            taken_at_ms: now,
            boottime_ms: now - self.start_ms + 1000,
            monotonic_ms: now - self.start_ms + 1000,
            consent_hash: Hash::ZERO,
            plan_hash: Hash::ZERO,
            push_fail_s: PushFail::default(),
        }
    }

    fn chain(&mut self, kind: PayloadType, payload: Vec<u8>) {
        let made = Made {
            seq: self.tip().next_seq,
            hash: frame_hash(kind, &payload),
            frame: Frame { key_id: self.key.public().id(), signature: self.key.sign(kind, &payload), payload },
        };
        self.made.push(made);
    }

    /// Sends what is unsent, at most `most` entries, and books the answer: a receipt moves on, `behind` goes back.
    pub async fn push(&mut self, most: usize) -> Outcome {
        let first = self.unsent_from;
        let last = self.made.len().min(first.saturating_add(most));
        let sending = self.made.get(first..last).unwrap_or_default();
        assert!(!sending.is_empty(), "nothing to send");
        let sent = Sent {
            chain_id: self.chain_id,
            first_hash: sending[0].hash,
            frames: sending.iter().map(|made| SentFrame { seq: made.seq, last_seq: made.seq, tip_hash: made.hash }).collect(),
        };
        let body = packed(&Batch { frames: sending.iter().map(|made| made.frame.clone()).collect(), preview: None });
        let answer = match self.uplink.post(REPORTS_PATH, REPORTS_TYPE, Some("zstd"), body, now_ms()).await {
            Ok(answer) => answer,
            Err(fault) => return Outcome::Failed(fault, None),
        };
        let outcome = judge(&answer, &mut self.trust, &sent);
        match &outcome {
            Outcome::Receipted(receipt) => self.book(receipt),
            Outcome::Refused(refusal) => {
                if let RefusalReason::Behind { next_seq, .. } = refusal.reason {
                    self.unsent_from = usize::try_from(next_seq).unwrap();
                }
            }
            Outcome::PreviewTaken | Outcome::Failed(..) => {}
        }
        outcome
    }

    /// A receipt for a place holds for every place before it.
    fn book(&mut self, receipt: &Receipt) {
        let upto = usize::try_from(receipt.seq).unwrap() + 1;
        for made in &self.made[self.receipted.len().min(upto)..upto] {
            self.receipted.insert(made.seq, made.hash);
        }
        self.unsent_from = self.unsent_from.max(upto);
        self.receipt = Some(receipt.clone());
    }

    /// Makes a report and sends it.
    ///
    /// # Panics
    /// When no receipt comes back.
    #[track_caller]
    pub fn report_now(&mut self) -> impl Future<Output = Receipt> {
        self.sample();
        let at = std::panic::Location::caller();
        async move {
            match self.push(usize::MAX).await {
                Outcome::Receipted(receipt) => receipt,
                other => panic!("{at}: no receipt: {other:?}"),
            }
        }
    }
}

/// A body as it travels.
///
/// # Panics
/// When zstd fails.
#[must_use]
pub fn packed(batch: &Batch) -> Vec<u8> {
    zstd::bulk::compress(&batch.to_bytes(), 3).unwrap()
}

/// The wall clock, UTC, milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    mimamori_collector::clock::now_ms()
}
