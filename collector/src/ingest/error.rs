//! Why a request changes nothing, and the one place where that becomes a status.

use super::Stranger;
use crate::clock;
use crate::export::selfmetrics::RefusedBecause;
use crate::net::BodyError;
use crate::store::StoreError;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use mimamori_domain::abuse::Abuse;
use mimamori_domain::rate::retry_after_s;
use mimamori_shared::frame::BadFrame;
use mimamori_shared::id::{AgentId, TokenId};
use mimamori_shared::limits::RETRY_AFTER_S_MAX;

/// Unsigned answers: they change nothing but the time of an agent's next try.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The body did not arrive.
    #[error("the body did not arrive")]
    Body(#[from] BodyError),
    /// Not what this address takes.
    #[error("send application/vnd.mimamori.reports with Content-Encoding: zstd")]
    Type,
    /// Compressed wrongly.
    #[error("the body is not one zstd stream")]
    Zstd,
    /// Over a bound that needs decompressing to see.
    #[error("the body is larger decompressed than /limits allows")]
    TooLarge,
    /// Not frames.
    #[error("{0}")]
    Frames(#[from] BadFrame),
    /// Not one agent's chain in order.
    #[error("a request carries entries of one key and one chain, in order")]
    Mixed,
    /// Nothing in it.
    #[error("there is no frame in it")]
    Empty,
    /// An unknown key; the caller cannot tell it from [`Refused::Unsigned`].
    #[error("not signed by a known key")]
    UnknownKey,
    /// The signature of a known key does not hold, or the payload is another agent's.
    #[error("not signed by a known key")]
    Unsigned(Option<AgentId>),
    /// More than its rate; in how many milliseconds it may come again.
    #[error("too much at once: come again later")]
    Rate(i64),
    /// More than its storage of a day.
    #[error("stored as much as it may today")]
    Budget,
    /// Signed by a known key, but no entry of a chain.
    #[error("no entry of a chain")]
    WrongKind,
    /// For another collector.
    #[error("meant for another collector")]
    OtherCollector,
    /// The head is not understood.
    #[error("{0}")]
    Head(String),
    /// The machine is not approved yet.
    #[error("the machine waits for approval")]
    Pending,
    /// An enrolment that is not granted although this token's signature holds; why, is not said.
    #[error("not granted")]
    NotGranted(TokenId),
    /// The same where no token's signature holds; the caller cannot tell it from [`Refused::NotGranted`].
    #[error("not granted")]
    Unvouched,
    /// Too much at once.
    #[error("busy")]
    Busy,
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
}

impl Refused {
    /// From the store.
    #[must_use]
    pub fn store(fault: StoreError) -> Refused {
        Refused::Store(fault)
    }

    /// The only place where a refusal becomes a status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Refused::Body(fault) => fault.status(),
            Refused::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refused::Zstd | Refused::Mixed | Refused::Empty | Refused::WrongKind => StatusCode::BAD_REQUEST,
            Refused::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::Frames(BadFrame::TooMany(_) | BadFrame::Size) => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::Frames(BadFrame::Lines | BadFrame::Wrapper) => StatusCode::BAD_REQUEST,
            Refused::UnknownKey | Refused::Unsigned(_) => StatusCode::UNAUTHORIZED,
            Refused::Rate(_) | Refused::Budget => StatusCode::TOO_MANY_REQUESTS,
            Refused::OtherCollector => StatusCode::MISDIRECTED_REQUEST,
            Refused::Head(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::Pending | Refused::NotGranted(_) | Refused::Unvouched => StatusCode::FORBIDDEN,
            Refused::Busy | Refused::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// How it is counted.
    #[must_use]
    pub fn because(&self) -> RefusedBecause {
        match self {
            Refused::Body(fault) => match fault.status() {
                StatusCode::LENGTH_REQUIRED => RefusedBecause::Length,
                StatusCode::PAYLOAD_TOO_LARGE => RefusedBecause::TooLarge,
                StatusCode::REQUEST_TIMEOUT => RefusedBecause::Slow,
                _ => RefusedBecause::Shape,
            },
            Refused::Type => RefusedBecause::MediaType,
            Refused::Zstd | Refused::Frames(BadFrame::Lines | BadFrame::Wrapper) => RefusedBecause::Shape,
            Refused::Mixed | Refused::Empty | Refused::WrongKind => RefusedBecause::Shape,
            Refused::TooLarge | Refused::Frames(BadFrame::TooMany(_) | BadFrame::Size) => RefusedBecause::TooLarge,
            Refused::UnknownKey => RefusedBecause::UnknownKey,
            Refused::Unsigned(_) => RefusedBecause::Signature,
            Refused::Rate(_) => RefusedBecause::TooMany,
            Refused::Budget => RefusedBecause::Budget,
            Refused::Head(_) => RefusedBecause::Head,
            Refused::OtherCollector => RefusedBecause::OtherCollector,
            Refused::Pending => RefusedBecause::Pending,
            Refused::NotGranted(_) | Refused::Unvouched => RefusedBecause::Token,
            Refused::Busy | Refused::Store(_) => RefusedBecause::Unavailable,
        }
    }

    /// As what it is counted among abuse, and about whom if that is known.
    #[must_use]
    pub fn abuse(&self) -> Option<(Abuse, Option<AgentId>)> {
        match self {
            Refused::Unsigned(agent) => Some((Abuse::BadSignature, *agent)),
            Refused::UnknownKey => Some((Abuse::UnknownKey, None)),
            Refused::NotGranted(_) | Refused::Unvouched => Some((Abuse::Enrolment, None)),
            _ => match self.because() {
                RefusedBecause::TooLarge => Some((Abuse::Oversize, None)),
                RefusedBecause::Unavailable | RefusedBecause::TooMany | RefusedBecause::Budget | RefusedBecause::Pending => None,
                _ => Some((Abuse::Malformed, None)),
            },
        }
    }

    /// Whose enrolment was refused so; `None` when the trouble is the collector's own.
    #[must_use]
    pub fn stranger(&self) -> Option<Stranger> {
        match self {
            Refused::Busy | Refused::Store(_) => None,
            Refused::NotGranted(token) => Some(Stranger::Vouched(*token)),
            Refused::Unvouched => Some(Stranger::Unvouched),
            _ => Some(Stranger::Malformed),
        }
    }

    /// How long to stay away, in milliseconds, where that is said.
    fn wait_ms(&self) -> Option<i64> {
        match self {
            Refused::Rate(wait_ms) => Some(*wait_ms),
            Refused::Budget => Some(BUDGET_WAIT_MS),
            Refused::Busy | Refused::Store(_) => Some(BUSY_WAIT_MS),
            _ => None,
        }
    }
}

/// A day's budget comes back at midnight; until then asking is cheap.
const BUDGET_WAIT_MS: i64 = 600_000;
/// Trouble of the collector's own is usually over soon.
const BUSY_WAIT_MS: i64 = 2_000;

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        let mut response = (status, [(header::CONTENT_TYPE, text)], format!("{self}\n")).into_response();
        if let Some(wait_ms) = self.wait_ms() {
            // Without randomness everybody comes back after the same time; the agents' own jitter is left.
            let random = clock::random().map_or(0, u64::from_le_bytes);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s(wait_ms, RETRY_AFTER_S_MAX, random)));
        }
        response
    }
}
