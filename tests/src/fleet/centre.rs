//! The collector's decision, store and presence in this process, on a clock that is told: what `POST /v1/reports` does,
//! without HTTP.

use super::DAY_MS;
use crate::Random;
use mimamori_agent::uplink::{ANSWER_TYPE, Answer, Trust};
use mimamori_collector::export::selfmetrics::SelfMetrics;
use mimamori_collector::ingest::{Tally, decompress};
use mimamori_collector::keys::{self, Keys};
use mimamori_collector::store::{Actor, ActorKind, Answered, IngestBatch, NewToken, Redeem, Redeemed, Scope, Store};
use mimamori_collector::work;
use mimamori_shared::frame::{Batch, Frame};
use mimamori_shared::id::{AgentId, KeyId, TokenId};
use mimamori_shared::limits::FRAMES_MAX;
use mimamori_shared::payload::{Entry, Refusal, encode};
use mimamori_shared::sign::{PayloadType, PublicKey, SecretKey, Verified, verify};
use mimamori_shared::word::Word;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A collector without a network.
#[derive(Debug)]
pub struct Centre {
    /// What it keeps.
    pub store: Store,
    /// Requests it took.
    pub requests: u64,
    keys: Keys,
    known: BTreeMap<KeyId, (AgentId, PublicKey)>,
    tally: Tally,
    runtime: Runtime,
}

fn word(text: &str) -> Word {
    text.parse().unwrap()
}

impl Centre {
    /// A new collector with one facility.
    ///
    /// # Panics
    /// When the folder cannot be used.
    #[must_use]
    pub fn new(dir: &Path, random: &mut Random, now_ms: i64) -> Centre {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let keys = keys::init(&dir.join("collector"), &["127.0.0.1".to_owned()], now_ms, &mut || Ok(random.bytes())).unwrap();
        let store = Store::open(&dir.join("store.sqlite"), now_ms).unwrap();
        let centre =
            Centre { store, requests: 0, keys, known: BTreeMap::new(), tally: Tally::new(Arc::new(SelfMetrics::new("sim", now_ms).unwrap())), runtime };
        let (operator, facility) = (Centre::operator(), word("hcf-1"));
        centre.wait(centre.store.add_facility(&Scope::All, &operator, &facility, "Example hospital", true, now_ms)).unwrap();
        centre
    }

    fn operator() -> Actor {
        Actor { kind: ActorKind::Cli, name: word("operator") }
    }

    /// Enrols a machine, as a token would.
    ///
    /// # Panics
    /// When the store refuses.
    pub fn enrol(&mut self, machine: &str, key: &SecretKey, random: &mut Random, now_ms: i64) -> AgentId {
        let token_id = TokenId(random.bytes());
        let token = NewToken {
            token_id,
            public_key: SecretKey::from_seed(&random.bytes().into()).public().to_bytes(),
            facility: word("hcf-1"),
            slot: Some(word(machine)),
            reason: "simulation".to_owned(),
            source: None,
            expires_at_ms: now_ms + DAY_MS,
        };
        let ask = Redeem {
            token_id,
            key_id: key.public().id(),
            public_key: key.public().to_bytes(),
            agent_id: AgentId(random.bytes()),
            source: [127, 0, 0, 1].into(),
        };
        self.runtime.block_on(async {
            self.store.add_token(&Scope::All, &Centre::operator(), token, now_ms).await.unwrap();
            match self.store.redeem(ask, now_ms).await.unwrap() {
                Redeemed::Enrolled { enrolment, .. } => enrolment.agent_id,
                refused @ Redeemed::Refused(_) => panic!("{refused:?}"),
            }
        })
    }

    /// Whom an agent of this collector believes.
    #[must_use]
    pub fn trust(&self, agent_id: AgentId) -> Trust {
        Trust { collector_id: self.keys.collector_id, agent_id, root: self.keys.root, certificate: None }
    }

    /// Takes a request's body as it travels and gives the answer.
    pub fn take(&mut self, body: &[u8], now_ms: i64) -> Answer {
        self.requests += 1;
        let plain = |status| Answer { status, content_type: String::new(), retry_after_s: None, body: Vec::new() };
        let batch = match self.read(body, now_ms) {
            Ok(batch) => batch,
            Err(status) => return plain(status),
        };
        let agent_id = batch.agent_id;
        let signed =
            |status, kind, payload| Answer { status, content_type: ANSWER_TYPE.to_owned(), retry_after_s: None, body: self.keys.answer(kind, payload) };
        match self.runtime.block_on(self.store.ingest(batch)).map(|taken| taken.answered) {
            Ok(Answered::Receipt(fields)) => {
                let receipt = fields.receipt(self.keys.collector_id, self.keys.lease_secret.as_slice());
                signed(200, PayloadType::Receipt, encode(PayloadType::Receipt, &[&receipt]))
            }
            Ok(Answered::Refusal { reason, chain_id, in_reply_to }) => {
                let refusal = Refusal { collector_id: self.keys.collector_id, agent_id, chain_id, in_reply_to, reason };
                signed(409, PayloadType::Refusal, encode(PayloadType::Refusal, &[&refusal]))
            }
            Ok(Answered::Pending) => plain(403),
            Ok(Answered::OverBudget) => plain(429),
            Ok(Answered::NothingToSay) => plain(204),
            Err(fault) => panic!("the store failed: {fault:?}"),
        }
    }

    /// Verify before parse, as `ingest` does it.
    fn read(&mut self, body: &[u8], now_ms: i64) -> Result<IngestBatch, u16> {
        let plain = decompress(body).map_err(|_| 400_u16)?;
        let batch = Batch::parse(&plain, FRAMES_MAX).map_err(|_| 400_u16)?;
        let key_id = batch.frames.first().or(batch.preview.as_ref()).ok_or(400_u16)?.key_id;
        let (agent_id, key) = self.key(key_id).ok_or(401_u16)?;
        let read = |frame: Frame| -> Option<(Verified, Entry)> {
            let verified = verify(frame, &key).ok()?;
            let entry = Entry::read(&verified).ok()?;
            let ours = entry.head.collector_id == self.keys.collector_id && entry.head.agent_id == agent_id;
            ours.then_some((verified, entry))
        };
        let entries = batch.frames.into_iter().map(read).collect::<Option<Vec<_>>>().ok_or(400_u16)?;
        let preview = match batch.preview {
            Some(frame) => Some(read(frame).ok_or(400_u16)?),
            None => None,
        };
        Ok(IngestBatch { agent_id, key_id, entries, preview, noted: Vec::new(), received_at_ms: now_ms, source: None, day_bytes_max: u64::MAX })
    }

    fn key(&mut self, key_id: KeyId) -> Option<(AgentId, PublicKey)> {
        if !self.known.contains_key(&key_id) {
            let row = self.runtime.block_on(self.store.key(key_id)).unwrap()?;
            self.known.insert(key_id, (row.agent_id, PublicKey::from_bytes(&row.public_key).unwrap()));
        }
        self.known.get(&key_id).copied()
    }

    /// One round of the collector's own work: presence.
    ///
    /// # Panics
    /// When the store fails.
    pub fn round(&self, now_ms: i64) {
        self.runtime.block_on(work::round(&self.store, &self.tally, now_ms)).unwrap();
    }

    /// Waits for something the store is asked.
    pub fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.runtime.block_on(asked)
    }
}
