//! The one reader of the machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since 1970 UTC by the machine's clock.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
}
