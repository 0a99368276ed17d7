//! Why a request changes nothing, and the one place where that becomes a status.

use crate::export::selfmetrics::RefusedBecause;
use crate::net::BodyError;
use crate::store::StoreError;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use mimamori_shared::frame::BadFrame;

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
    /// Unknown key or bad signature; which, is not said.
    #[error("not signed by a known key")]
    Unsigned,
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
    /// An enrolment that is not granted; why, is not said.
    #[error("not granted")]
    NotGranted,
    /// Too many tries; the seconds until the next.
    #[error("too many tries: wait")]
    TooOften(u64),
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
            Refused::Unsigned => StatusCode::UNAUTHORIZED,
            Refused::OtherCollector => StatusCode::MISDIRECTED_REQUEST,
            Refused::Head(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::Pending | Refused::NotGranted => StatusCode::FORBIDDEN,
            Refused::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
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
            Refused::Unsigned => RefusedBecause::Signature,
            Refused::Head(_) => RefusedBecause::Head,
            Refused::OtherCollector => RefusedBecause::OtherCollector,
            Refused::Pending => RefusedBecause::Pending,
            Refused::NotGranted => RefusedBecause::Token,
            Refused::TooOften(_) => RefusedBecause::TooMany,
            Refused::Busy | Refused::Store(_) => RefusedBecause::Unavailable,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        let mut response = (status, [(header::CONTENT_TYPE, text)], format!("{self}\n")).into_response();
        if let Refused::TooOften(seconds) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // Spread by the agents' own jitter on top.
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}
