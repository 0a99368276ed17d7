//! `POST /v1/reports`.

use super::{Ingest, Refused, decompress, proven};
use crate::clock;
use crate::export::selfmetrics::RefusedBecause;
use crate::net::{BodyPlace, ConnHandle, declared_within, read_body};
use crate::store::accept::SEQ_END;
use crate::store::{Answered, FindingKind, Heard, IngestBatch, Noted, StoreError, Taken, lease_known};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use mimamori_domain::abuse::Abuse;
use mimamori_shared::chain::Link;
use mimamori_shared::frame::{Batch, Frame};
use mimamori_shared::id::{AgentId, Lease};
use mimamori_shared::limits::{BODY_BYTES_MAX, FRAMES_MAX};
use mimamori_shared::payload::{Entry, Refusal, RefusalReason, encode};
use mimamori_shared::sign::{PayloadType, PublicKey, Verified, verify};
use std::sync::Arc;

/// Different leases of one request that are looked for.
const LEASES_MAX: usize = 4;

/// Takes a batch.
pub async fn reports(State(ingest): State<Arc<Ingest>>, Extension(connection): Extension<ConnHandle>, headers: HeaderMap, body: Body) -> Response {
    match take(&ingest, &connection, &headers, body).await {
        Ok(response) => response,
        Err(refused) => {
            ingest.count(&refused, &connection);
            if let Refused::Store(fault) = &refused {
                eprintln!("<3>the store failed: {}", mimamori_shared::error::chain(fault));
            }
            refused.into_response()
        }
    }
}

async fn take(ingest: &Arc<Ingest>, connection: &ConnHandle, headers: &HeaderMap, body: Body) -> Result<Response, Refused> {
    let is = |name: header::HeaderName, value: &str| headers.get(name).is_some_and(|found| found.as_bytes() == value.as_bytes());
    if !is(header::CONTENT_TYPE, "application/vnd.mimamori.reports") || !is(header::CONTENT_ENCODING, "zstd") {
        return Err(Refused::Type);
    }
    let length = declared_within(headers, BODY_BYTES_MAX)?;
    let sent = ingest.room(connection, length).await?;
    let body = read_body(body, headers, BODY_BYTES_MAX, &ingest.limits).await?;
    let place = ingest.plain_room(connection, body.len()).await?;
    // The room goes with the work: who hangs up meanwhile does not have it back while the body is still held.
    let (batch, place) = blocking(move || {
        let batch = Batch::parse(&decompress(&body)?, FRAMES_MAX)?;
        drop((body, sent));
        Ok((batch, place))
    })
    .await?;
    let key_id = batch.frames.first().or(batch.preview.as_ref()).ok_or(Refused::Empty)?.key_id;
    let (agent_id, key) = ingest.key(key_id).await?.ok_or(Refused::UnknownKey)?;
    // Before a signature is checked. Who only names the key takes nothing from its owner: that is paid below.
    if let Some(wait_ms) = ingest.admission.wait_ms(agent_id, clock::now_ms()) {
        ingest.note(Abuse::Rate, proven(agent_id, connection), 1, connection);
        return Err(Refused::Rate(wait_ms));
    }
    let here = Arc::clone(ingest);
    let (mut batch, place) = blocking(move || {
        let verified = verify_all(batch, &key, agent_id)?;
        let mut place = place;
        place.verified();
        Ok((read_all(&here, verified, agent_id)?, place))
    })
    .await?;
    batch.source = Some(connection.source().to_string());
    ingest.admission.took(agent_id, batch.entries.len() as u64, batch.bytes() as u64, batch.received_at_ms);
    // Verified: from here on this is a known agent's connection. Over the budget it only keeps the short idle limit.
    connection.mark_verified(&agent_id.to_string()).ok();
    // In a task of its own: an agent that hangs up stops neither what is being made durable nor its being counted,
    // and its body counts among those held until it is.
    let stored = tokio::spawn(store(Arc::clone(ingest), batch, place));
    let Taken { answered, heard } = stored.await.map_err(|_| Refused::Busy)?.map_err(Refused::store)?;
    hear(ingest, connection, agent_id, heard, &answered);
    answer(ingest, agent_id, answered)
}

/// Counts what was noticed on the way, and bars whom the store turned away as a whole.
fn hear(ingest: &Ingest, connection: &ConnHandle, agent_id: AgentId, heard: Heard, answered: &Answered) {
    let away = match answered {
        Answered::Refusal { reason: RefusalReason::Revoked, .. } | Answered::Pending => Some(Abuse::Barred),
        Answered::OverBudget => Some(Abuse::Budget),
        Answered::Receipt(_) | Answered::Refusal { .. } | Answered::NothingToSay => None,
    };
    ingest.admission.bar(agent_id, away.is_some(), clock::now_ms());
    let counts = [
        (Abuse::Replay, heard.replays),
        (Abuse::OtherContent, heard.other_content),
        (Abuse::SourceChanged, u64::from(heard.moved)),
        (Abuse::SourceFlapping, u64::from(heard.flapping)),
    ];
    for (abuse, count) in counts.into_iter().chain(away.map(|abuse| (abuse, 1))) {
        ingest.note(abuse, Some(agent_id), count, connection);
    }
}

async fn store(ingest: Arc<Ingest>, batch: IngestBatch, place: BodyPlace) -> Result<Taken, StoreError> {
    let frames = batch.entries.len();
    let timer = ingest.metrics.ingest_commit.start_timer();
    let taken = ingest.store.ingest(batch).await?;
    timer.observe_duration();
    drop(place);
    if let Answered::Receipt(_) = &taken.answered {
        ingest.metrics.frames_accepted.inc_by(frames as u64);
    }
    Ok(taken)
}

/// CPU work leaves the threads that serve connections.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refused> + Send + 'static) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refused::Busy)?
}

type Signed = (Vec<Verified>, Option<Verified>);

/// Every frame, before anything in any of them is read.
fn verify_all(batch: Batch, key: &PublicKey, agent_id: AgentId) -> Result<Signed, Refused> {
    let one = |frame: Frame| verify(frame, key).map_err(|_| Refused::Unsigned(Some(agent_id)));
    Ok((batch.frames.into_iter().map(one).collect::<Result<_, _>>()?, batch.preview.map(one).transpose()?))
}

fn read_all(ingest: &Ingest, (frames, preview): Signed, agent_id: AgentId) -> Result<IngestBatch, Refused> {
    let mut entries = Vec::with_capacity(frames.len());
    let mut noted = Vec::new();
    let mut leases = Leases::default();
    let mut next = None;
    let mut chain = None;
    for verified in frames {
        let entry = read(ingest, &verified, agent_id)?;
        let link = Link::of(&entry, verified.hash());
        if *chain.get_or_insert(entry.head.chain_id) != entry.head.chain_id || next.is_some_and(|next| next != link.seq) {
            return Err(Refused::Mixed);
        }
        next = link.last_seq.checked_add(1);
        if !leases.known(ingest, &entry) {
            noted.push(Noted { kind: FindingKind::LeaseUnknown, seq: entry.head.seq, detail: Default::default() });
        }
        entries.push((verified, entry));
    }
    let preview = match preview {
        None => None,
        Some(verified) => {
            let entry = read(ingest, &verified, agent_id)?;
            let elsewhere = chain.is_some_and(|chain| chain != entry.head.chain_id) || entry.head.seq >= SEQ_END;
            if verified.kind() != PayloadType::Report || elsewhere {
                return Err(Refused::Mixed);
            }
            Some((verified, entry))
        }
    };
    let key_id = entries.first().or(preview.as_ref()).ok_or(Refused::Empty)?.0.key_id();
    let day_bytes_max = ingest.admission.rates().day_bytes;
    Ok(IngestBatch { agent_id, key_id, entries, preview, noted, received_at_ms: clock::now_ms(), source: None, day_bytes_max })
}

/// Leases of one request: an honest one echoes one or two, and looking for one that was never given is dear.
#[derive(Default)]
struct Leases {
    judged: Vec<(Lease, bool)>,
}

impl Leases {
    fn known(&mut self, ingest: &Ingest, entry: &Entry) -> bool {
        let head = &entry.head;
        if let Some((_, known)) = self.judged.iter().find(|(lease, _)| *lease == head.lease) {
            return *known;
        }
        let known = self.judged.len() < LEASES_MAX && lease_known(ingest.keys().lease_secret.as_slice(), head.chain_id, head.seq, head.lease);
        if self.judged.len() < LEASES_MAX {
            self.judged.push((head.lease, known));
        }
        known
    }
}

fn read(ingest: &Ingest, verified: &Verified, agent_id: AgentId) -> Result<Entry, Refused> {
    if !matches!(verified.kind(), PayloadType::Report | PayloadType::Statement | PayloadType::Loss) {
        return Err(Refused::WrongKind);
    }
    let entry = Entry::read(verified).map_err(|fault| Refused::Head(fault.to_string()))?;
    if entry.head.collector_id != ingest.keys().collector_id {
        return Err(Refused::OtherCollector);
    }
    if entry.head.agent_id != agent_id {
        return Err(Refused::Unsigned(Some(agent_id)));
    }
    Ok(entry)
}

fn answer(ingest: &Ingest, agent_id: AgentId, answered: Answered) -> Result<Response, Refused> {
    match answered {
        Answered::Receipt(fields) => {
            let receipt = fields.receipt(ingest.keys().collector_id, ingest.keys().lease_secret.as_slice());
            Ok(ingest.signed(StatusCode::OK, PayloadType::Receipt, encode(PayloadType::Receipt, &[&receipt])))
        }
        Answered::Refusal { reason, chain_id, in_reply_to } => {
            ingest.metrics.refused(because(&reason)).inc();
            let refusal = Refusal { collector_id: ingest.keys().collector_id, agent_id, chain_id, in_reply_to, reason };
            Ok(ingest.signed(StatusCode::CONFLICT, PayloadType::Refusal, encode(PayloadType::Refusal, &[&refusal])))
        }
        Answered::Pending => Err(Refused::Pending),
        Answered::OverBudget => Err(Refused::Budget),
        Answered::NothingToSay => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

fn because(reason: &RefusalReason) -> RefusedBecause {
    match reason {
        RefusalReason::Behind { .. } => RefusedBecause::Behind,
        RefusalReason::Diverged { .. } => RefusedBecause::Diverged,
        RefusalReason::Revoked => RefusedBecause::Revoked,
        RefusalReason::TooManyBranches => RefusedBecause::TooManyBranches,
        RefusalReason::TooManyChains => RefusedBecause::TooManyChains,
    }
}
