//! Making signed entries.

use super::{Agent, ChainState, Consent, Now};
use mimamori_shared::chain::Tip;
use mimamori_shared::id::{BootId, ChainId, Hash, KeyId, Lease};
use mimamori_shared::limits::REPORT_BYTES_MAX;
use mimamori_shared::payload::{Class, Counts, Fault, FaultCode, Head, Loss, LossReason, OpenReason, Place, Report, Statement, encode, hand_over};
use mimamori_shared::sign::{PayloadType, SecretKey, frame_hash};

/// One signed entry, for the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its chain.
    pub chain_id: ChainId,
    /// The first place it fills.
    pub seq: u64,
    /// The last place it fills.
    pub last_seq: u64,
    /// What it is.
    pub kind: PayloadType,
    /// For dropping and counting.
    pub class: Class,
    /// Exact bytes.
    pub payload: Vec<u8>,
    /// Who signed.
    pub key_id: KeyId,
    /// 64 bytes.
    pub signature: [u8; 64],
    /// Its own hash.
    pub hash: Hash,
    /// The hash the next entry follows.
    pub tip_hash: Hash,
    /// Wall clock, UTC, milliseconds since 1970.
    pub taken_at_ms: i64,
    /// The boot it was made in.
    pub boot_id: BootId,
    /// Set when it opens a chain.
    pub opens: Option<OpenReason>,
    /// Set when it is a statement.
    pub states: Option<Statement>,
    /// What the self-diagnosis looks after from here on, to be kept with the entry; `None` when nothing changed.
    pub diagnosis: Option<Vec<u8>>,
    /// Milliseconds of failed pushes up to here, by layer.
    pub push_fail_ms: [u64; 6],
    /// How far the chains are receipted: made durable together with the entry.
    pub receipts: Vec<ChainState>,
    pub(super) given: bool,
}

/// Entries that are gone, with what is known of them (I6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossSpec {
    /// Their chain.
    pub chain_id: ChainId,
    /// The first place.
    pub first_seq: u64,
    /// The last place.
    pub last_seq: u64,
    /// The hash before the first.
    pub prev_hash: Hash,
    /// The hash at the last.
    pub last_hash: Hash,
    /// How many of each class.
    pub counts: Counts,
    /// `taken_at_ms` of the first.
    pub from_ms: i64,
    /// `taken_at_ms` of the last.
    pub to_ms: i64,
    /// Why.
    pub reason: LossReason,
}

impl Agent {
    pub(super) fn make_report(&self, mut report: Report, now: Now) -> Option<Record> {
        let chain = self.newest()?;
        let head = self.head(chain.chain_id, chain.tip, chain.lease, now);
        let mut payload = encode(PayloadType::Report, &[&head, &report]);
        if payload.len() > REPORT_BYTES_MAX {
            // Only list sections can grow; without them the bound holds by construction.
            report.readings.clear_lists();
            report.faults.truncate(64);
            report.faults.push(Fault { probe: "report".parse().unwrap_or_default(), code: FaultCode::TooLarge, name: None });
            payload = encode(PayloadType::Report, &[&head, &report]);
        }
        Some(self.sign(PayloadType::Report, report.class, payload, &head))
    }

    pub(super) fn make_statement(&self, statement: Statement, now: Now) -> Option<Record> {
        let chain = self.newest()?;
        let head = self.head(chain.chain_id, chain.tip, chain.lease, now);
        Some(self.statement(statement, &head))
    }

    pub(super) fn make_open(&self, chain_id: ChainId, reason: OpenReason, previous: Option<Place>, now: Now) -> Record {
        let mut head = self.head(chain_id, Tip::EMPTY, Lease::ZERO, now);
        // Failures are counted per chain, and this one has had none.
        head.push_fail_s = Default::default();
        let mut record = self.statement(Statement::Open { reason, previous }, &head);
        record.opens = Some(reason);
        record.push_fail_ms = [0; 6];
        record
    }

    /// A loss record stands where the entries stood, so it takes the head of their place, and is signed by the key of
    /// their chain. `None` when that key is gone.
    pub(super) fn make_loss(&self, spec: &LossSpec, now: Now) -> Option<Record> {
        let key = self.key_of(spec.chain_id)?;
        let tip = Tip { next_seq: spec.first_seq, head: spec.prev_hash };
        let lease = self.chains.iter().find(|chain| chain.chain_id == spec.chain_id).map_or(Lease::ZERO, |chain| chain.lease);
        let mut head = self.head(spec.chain_id, tip, lease, now);
        head.key_id = key.public().id();
        let loss = Loss {
            first_seq: spec.first_seq,
            last_seq: spec.last_seq,
            last_hash: spec.last_hash,
            counts: spec.counts,
            from_ms: spec.from_ms,
            to_ms: spec.to_ms,
            reason: spec.reason,
        };
        let payload = encode(PayloadType::Loss, &[&head, &loss]);
        let mut record = self.sign_by(key, PayloadType::Loss, Class::Statement, payload, &head);
        record.last_seq = spec.last_seq;
        record.tip_hash = spec.last_hash;
        Some(record)
    }

    /// The entry by which the present key hands over to `next`.
    pub(super) fn make_key(&self, next: &SecretKey, now: Now) -> Option<Record> {
        let chain = self.newest()?;
        let head = self.head(chain.chain_id, chain.tip, chain.lease, now);
        Some(self.statement(hand_over(&head, next), &head))
    }

    fn statement(&self, statement: Statement, head: &Head) -> Record {
        let payload = encode(PayloadType::Statement, &[head, &statement]);
        let mut record = self.sign(PayloadType::Statement, Class::Statement, payload, head);
        record.states = Some(statement);
        record
    }

    fn sign(&self, kind: PayloadType, class: Class, payload: Vec<u8>, head: &Head) -> Record {
        self.sign_by(&self.identity.key, kind, class, payload, head)
    }

    fn sign_by(&self, key: &SecretKey, kind: PayloadType, class: Class, payload: Vec<u8>, head: &Head) -> Record {
        let hash = frame_hash(kind, &payload);
        Record {
            chain_id: head.chain_id,
            seq: head.seq,
            last_seq: head.seq,
            kind,
            class,
            key_id: head.key_id,
            signature: key.sign(kind, &payload),
            payload,
            hash,
            tip_hash: hash,
            taken_at_ms: head.taken_at_ms,
            boot_id: head.boot_id,
            opens: None,
            states: None,
            diagnosis: None,
            push_fail_ms: self.push.failed_ms(),
            receipts: Vec::new(),
            given: false,
        }
    }

    fn head(&self, chain_id: ChainId, tip: Tip, lease: Lease, now: Now) -> Head {
        let consent_hash = match &self.consent {
            Some(Consent::Valid(terms)) => terms.hash(),
            Some(Consent::Invalid(_) | Consent::Keeping | Consent::Unclear) | None => Hash::ZERO,
        };
        Head {
            collector_id: self.identity.collector_id,
            agent_id: self.identity.agent_id,
            key_id: self.identity.key.public().id(),
            chain_id,
            seq: tip.next_seq,
            prev_hash: tip.head,
            lease,
            boot_id: self.identity.boot_id,
            taken_at_ms: now.wall_ms,
            boottime_ms: now.boottime_ms,
            monotonic_ms: now.monotonic_ms,
            consent_hash,
            plan_hash: self.settings.plan.hash(),
            push_fail_s: self.push.failed_s(),
        }
    }
}
