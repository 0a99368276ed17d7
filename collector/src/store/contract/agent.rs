//! An agent that signs real frames.

use super::NOW;
use crate::store::{Answered, IngestBatch, Noted, ReceiptFields, Store};
use mimamori_shared::chain::{Link, Tip};
use mimamori_shared::fields::Readings;
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{AgentId, BootId, ChainId, CollectorId, Hash, KeyId, Lease};
use mimamori_shared::payload::{Class, Counts, Entry, Head, Loss, LossReason, OpenReason, PushFail, RefusalReason, Report, Statement, encode};
use mimamori_shared::sign::{PayloadType, SecretKey, Verified, verify};
use serde::Serialize;

pub(super) type Pair = (Verified, Entry);

/// Cloned, it is the copy of a machine that goes on by itself.
#[derive(Clone)]
pub(super) struct Agent {
    key: SecretKey,
    pub(super) id: AgentId,
    pub(super) chain: ChainId,
    pub(super) boot: BootId,
    pub(super) tip: Tip,
    pub(super) taken_at_ms: i64,
    /// How far its wall clock is ahead.
    pub(super) clock_ms: i64,
    pub(super) noted: Vec<Noted>,
}

impl Agent {
    pub(super) fn new(key: SecretKey, id: AgentId) -> Agent {
        let chain = ChainId([1; 16]);
        Agent { key, id, chain, boot: BootId([1; 16]), tip: Tip::EMPTY, taken_at_ms: NOW, clock_ms: 0, noted: Vec::new() }
    }

    pub(super) fn key_id(&self) -> KeyId {
        self.key.public().id()
    }

    fn head(&self) -> Head {
        Head {
            collector_id: CollectorId([2; 16]),
            agent_id: self.id,
            key_id: self.key_id(),
            chain_id: self.chain,
            seq: self.tip.next_seq,
            prev_hash: self.tip.head,
            lease: Lease::ZERO,
            boot_id: self.boot,
            taken_at_ms: self.taken_at_ms + self.clock_ms,
            boottime_ms: self.taken_at_ms - NOW + 1_000_000,
            monotonic_ms: self.taken_at_ms - NOW + 1_000_000,
            consent_hash: Hash::ZERO,
            plan_hash: Hash::ZERO,
            push_fail_s: PushFail::default(),
        }
    }

    /// Signs, and moves on.
    pub(super) fn say(&mut self, kind: PayloadType, body: &impl Serialize) -> Pair {
        let payload = encode(kind, &[&self.head(), &serde_json::to_value(body).unwrap()]);
        let frame = Frame { key_id: self.key_id(), signature: self.key.sign(kind, &payload), payload };
        let verified = verify(frame, &self.key.public()).unwrap();
        let entry = Entry::read(&verified).unwrap();
        let link = Link::of(&entry, verified.hash());
        self.tip = Tip { next_seq: link.last_seq + 1, head: link.tip_hash };
        self.taken_at_ms += 60_000;
        (verified, entry)
    }

    pub(super) fn open_for(&mut self, reason: OpenReason) -> Pair {
        self.say(PayloadType::Statement, &Statement::Open { reason, previous: None })
    }

    pub(super) fn open(&mut self) -> Pair {
        self.open_for(OpenReason::Enrolled)
    }

    pub(super) fn report(&mut self) -> Pair {
        self.say(PayloadType::Report, &Report { class: Class::Sample, readings: Readings::default(), faults: Vec::new(), findings: Vec::new() })
    }

    pub(super) fn reports(&mut self, count: usize) -> Vec<Pair> {
        (0..count).map(|_| self.report()).collect()
    }

    /// Opens another chain.
    pub(super) fn restart(&mut self, chain: u8, reason: OpenReason) -> Pair {
        self.chain = ChainId([chain; 16]);
        self.tip = Tip::EMPTY;
        self.open_for(reason)
    }

    /// A loss record in the place of these entries; the tip stays where it is.
    pub(super) fn bridge(&self, lost: &[Pair]) -> Pair {
        let (first, last) = (&lost[0].1, &lost[lost.len() - 1]);
        let loss = Loss {
            first_seq: first.head.seq,
            last_seq: last.1.head.seq,
            last_hash: last.0.hash(),
            counts: Counts { sample: lost.len() as u64, ..Counts::default() },
            from_ms: first.head.taken_at_ms,
            to_ms: last.1.head.taken_at_ms,
            reason: LossReason::Quota,
        };
        let mut at = self.clone();
        at.tip = Tip { next_seq: first.head.seq, head: first.head.prev_hash };
        at.say(PayloadType::Loss, &loss)
    }

    pub(super) fn batch(&self, entries: Vec<Pair>, preview: Option<Pair>, now_ms: i64) -> IngestBatch {
        IngestBatch {
            agent_id: self.id,
            key_id: self.key_id(),
            entries,
            preview,
            noted: self.noted.clone(),
            received_at_ms: now_ms,
            source: None,
            day_bytes_max: u64::MAX,
        }
    }

    pub(super) async fn send(&self, store: &Store, entries: Vec<Pair>, now_ms: i64) -> Answered {
        store.ingest(self.batch(entries, None, now_ms)).await.unwrap().answered
    }

    #[track_caller]
    pub(super) fn receipt(answered: &Answered) -> ReceiptFields {
        let Answered::Receipt(receipt) = answered else { panic!("{answered:?}") };
        *receipt
    }

    #[track_caller]
    pub(super) fn refusal(answered: &Answered) -> RefusalReason {
        let Answered::Refusal { reason, .. } = answered else { panic!("{answered:?}") };
        *reason
    }
}
