//! Reads a request body within its bounds.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::ConnLimits;

/// Memory taken for a body before a byte of it came: a declared length costs the peer nothing.
const FIRST_ALLOCATION: usize = 16 * 1024;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// No usable Content-Length, or a transfer coding.
    #[error("the request must declare its length")]
    LengthRequired,
    /// Declared above the limit.
    #[error("a body of {declared} bytes is above the limit of {max}")]
    TooLarge {
        /// Bytes, as declared.
        declared: u64,
        /// Bytes allowed.
        max: usize,
    },
    /// Below the lowest rate, or over the whole time.
    #[error("the body came too slowly: {received} bytes in {after:?}")]
    TooSlow {
        /// Bytes so far.
        received: usize,
        /// Time since reading began.
        after: Duration,
    },
    /// The connection ended within the body.
    #[error("the body ended early")]
    Broken(#[source] axum::Error),
}

impl BodyError {
    /// The only place where a body failure becomes a status code.
    pub fn status(&self) -> StatusCode {
        match self {
            BodyError::LengthRequired => StatusCode::LENGTH_REQUIRED,
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body of declared length, at most `max_bytes`, no slower than `limits` allow.
pub async fn read_body(body: Body, headers: &HeaderMap, max_bytes: usize, limits: &ConnLimits) -> Result<Bytes, BodyError> {
    let length = declared_within(headers, max_bytes)?;
    let declared = length as u64;
    let start = Instant::now();
    let mut body = body;
    let mut data = BytesMut::with_capacity(length.min(FIRST_ALLOCATION));
    loop {
        let frame = match timeout_at(start + allowed(data.len(), limits), body.frame()).await {
            Err(_) => {
                return Err(BodyError::TooSlow { received: data.len(), after: start.elapsed() });
            }
            Ok(None) => return Ok(data.freeze()),
            Ok(Some(frame)) => frame.map_err(BodyError::Broken)?,
        };
        // hyper never yields more than was declared. Bodies made in tests and by layers may.
        let bytes = frame.data_ref().map_or(&[][..], |bytes| bytes);
        if data.len().saturating_add(bytes.len()) > max_bytes {
            return Err(BodyError::TooLarge { declared, max: max_bytes });
        }
        data.extend_from_slice(bytes);
    }
}

/// The declared length of a body, which is at most `max_bytes`.
pub fn declared_within(headers: &HeaderMap, max_bytes: usize) -> Result<usize, BodyError> {
    let declared = declared_length(headers).ok_or(BodyError::LengthRequired)?;
    usize::try_from(declared).ok().filter(|length| *length <= max_bytes).ok_or(BodyError::TooLarge { declared, max: max_bytes })
}

/// How long after the beginning the next byte may come, given those that did.
fn allowed(received: usize, limits: &ConnLimits) -> Duration {
    if limits.body_bytes_per_s == 0 {
        return limits.body_total;
    }
    let millis = (received as u64).saturating_mul(1000) / u64::from(limits.body_bytes_per_s);
    limits.body_grace.saturating_add(Duration::from_millis(millis)).min(limits.body_total)
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    let text = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    // `parse` alone would take a sign.
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}
