//! `POST /v1/enrol`.

use super::{Ingest, Refused};
use crate::clock;
use crate::export::selfmetrics::{EnrolResult, RefusedBecause};
use crate::net::{ConnHandle, declared_within, read_body};
use crate::store::{Redeem, Redeemed, StoreError};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};
use mimamori_domain::abuse::Abuse;
use mimamori_shared::frame::{Frame, line, parse_signature_line, take};
use mimamori_shared::id::{AgentId, TokenId};
use mimamori_shared::limits::ENROL_BYTES_MAX;
use mimamori_shared::payload::{Enrol, EnrolState, Enrolled, encode, read};
use mimamori_shared::sign::{PayloadType, PublicKey, verify};
use std::sync::Arc;

/// Redeems a token.
pub async fn enrol(State(ingest): State<Arc<Ingest>>, Extension(connection): Extension<ConnHandle>, headers: HeaderMap, body: Body) -> Response {
    match redeem(&ingest, &connection, &headers, body).await {
        Ok(response) => response,
        Err(Said { refused, line }) => {
            let told = |stranger| ingest.admission.enrol_refused(connection.source(), stranger, clock::now_ms());
            let waits_ms = if let Refused::Rate(wait_ms) = refused { Some(wait_ms) } else { refused.stranger().and_then(told) };
            if let Some(wait_ms) = waits_ms {
                return too_often(&ingest, &connection, wait_ms);
            }
            line.into_iter().for_each(|line| eprintln!("{line}"));
            ingest.count(&refused, &connection);
            ingest.metrics.enrolled(EnrolResult::Refused).inc();
            refused.into_response()
        }
    }
}

fn too_often(ingest: &Ingest, connection: &ConnHandle, wait_ms: i64) -> Response {
    ingest.note(Abuse::Rate, None, 1, connection);
    ingest.metrics.refused(RefusedBecause::TooMany).inc();
    Refused::Rate(wait_ms).into_response()
}

/// A refusal with what the log says of it, unless its like were too many.
struct Said {
    refused: Refused,
    line: Option<String>,
}

impl<T: Into<Refused>> From<T> for Said {
    fn from(refused: T) -> Said {
        Said { refused: refused.into(), line: None }
    }
}

async fn redeem(ingest: &Arc<Ingest>, connection: &ConnHandle, headers: &HeaderMap, body: Body) -> Result<Response, Said> {
    if headers.get(header::CONTENT_TYPE).is_none_or(|found| found.as_bytes() != b"application/vnd.mimamori.enrol")
        || headers.contains_key(header::CONTENT_ENCODING)
    {
        return Err(Refused::Type.into());
    }
    let length = declared_within(headers, ENROL_BYTES_MAX)?;
    let _room = ingest.room(connection, length).await?;
    let body = read_body(body, headers, ENROL_BYTES_MAX, &ingest.limits).await?;
    let (frame, rest) = take(&body)?;
    let (third, rest) = line(rest)?;
    let (token, by_token) = parse_signature_line::<8>(third)?;
    if !rest.is_empty() {
        return Err(Refused::Zstd.into());
    }
    let (token_id, source) = (TokenId(token), connection.peer.ip());
    let line = |why: &str| Some(format!("<5>enrolment refused: token {token_id}, key {}, from {source}: {why}", frame.key_id));
    let unvouched = |why: &str| Said { refused: Refused::Unvouched, line: line(why) };
    let refused = |why: &str| Said { refused: Refused::NotGranted(token_id), line: line(why) };
    // The token's signature first: what it does not vouch for is not read at all. Where there is no such token the root,
    // which signs no enrolment, stands for its key: the answer takes as long, so that time does not tell which there are.
    let known = ingest.store.token_public_key(token_id).await.map_err(Refused::store)?.and_then(|key| PublicKey::from_bytes(&key).ok());
    let token_key = known.unwrap_or(ingest.keys().root);
    let vouched = verify(Frame { payload: frame.payload.clone(), key_id: token_key.id(), signature: by_token }, &token_key);
    known.ok_or_else(|| unvouched("no such token"))?;
    let vouched = vouched.map_err(|_| unvouched("the token's signature does not hold"))?;
    if let Some(wait_ms) = ingest.admission.enrol_wait_ms(connection.source(), token_id, clock::now_ms()) {
        return Err(Refused::Rate(wait_ms).into());
    }
    let enrol: Enrol = read(&vouched, PayloadType::Enrol).map_err(|_| refused("the payload is not understood"))?;
    let key = STANDARD.decode(&enrol.public_key).ok().and_then(|bytes| PublicKey::from_bytes(&bytes).ok()).ok_or_else(|| refused("the key cannot be used"))?;
    let key_id = frame.key_id;
    if enrol.collector_id != ingest.keys().collector_id || enrol.token_id != token_id || enrol.key_id != key_id {
        return Err(refused("the payload contradicts its signatures"));
    }
    verify(frame.clone(), &key).map_err(|_| refused("the new key's signature does not hold"))?;
    let agent_id = AgentId(clock::random().map_err(|_| Refused::Busy)?);
    let ask = Redeem { token_id, key_id, public_key: key.to_bytes(), agent_id, source };
    // In a task of its own: who hangs up does not stop what was made durable from being counted and said.
    let redeemed = tokio::spawn(noted(Arc::clone(ingest), ask)).await.map_err(|_| Refused::Busy)?;
    match redeemed.map_err(Refused::store)? {
        Redeemed::Refused(why) => Err(refused(why.name())),
        Redeemed::Enrolled { enrolment, .. } => {
            let enrolled = Enrolled {
                collector_id: ingest.keys().collector_id,
                agent_id: enrolment.agent_id,
                key_id: enrolment.key_id,
                token_id: enrolment.token_id,
                facility: enrolment.facility,
                machine: enrolment.machine,
                state: enrolment.state,
                enrolled_at_ms: enrolment.enrolled_at_ms,
            };
            Ok(ingest.signed(StatusCode::OK, PayloadType::Enrolled, encode(PayloadType::Enrolled, &[&enrolled])))
        }
    }
}

/// Redeems, counts and says so.
async fn noted(ingest: Arc<Ingest>, ask: Redeem) -> Result<Redeemed, StoreError> {
    let source = ask.source;
    let redeemed = ingest.store.redeem(ask, clock::now_ms()).await?;
    if let Redeemed::Enrolled { enrolment, first_time } = &redeemed {
        let result = match (first_time, enrolment.state) {
            (false, _) => EnrolResult::Repeated,
            (true, EnrolState::Active) => EnrolResult::Active,
            (true, EnrolState::Pending) => EnrolResult::Pending,
        };
        ingest.metrics.enrolled(result).inc();
        eprintln!(
            "<5>enrolled: token {}, key {}, {}/{}, from {source}",
            enrolment.token_id,
            enrolment.key_id.fingerprint(),
            enrolment.facility,
            enrolment.machine
        );
    }
    Ok(redeemed)
}
