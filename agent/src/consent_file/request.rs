//! The facility's request to collect now, under a consent on demand: a file beside the consent, by the same rule of
//! ownership.

use super::{NoConsent, prove, read};
use mimamori_shared::consent::{self, REQUEST_FILE};
use mimamori_shared::time;
use std::path::{Path, PathBuf};

/// Where the request of a consent lies.
#[must_use]
pub fn request_path(consent: &Path) -> PathBuf {
    consent.with_file_name(REQUEST_FILE)
}

/// The text of a request.
#[must_use]
pub fn request_text(from_ms: i64, until_ms: i64) -> String {
    format!(
        "# The facility asks the agent to collect in this time. Remove this file to end it at once.\nfrom = \"{}\"\nuntil = \"{}\"\n",
        time::show(from_ms),
        time::show(until_ms)
    )
}

/// Until when somebody at the facility asks, UTC, milliseconds since 1970; `None` when nobody does at `now_ms`.
/// `example` says that the consent is one that needs no proof here.
///
/// # Errors
/// A request that does not count, and why.
pub fn asked_until(consent: &Path, example: bool, now_ms: i64) -> Result<Option<i64>, String> {
    let path = request_path(consent);
    let shown = path.display().to_string();
    let text = match read(&path, &shown) {
        Ok(text) => text,
        Err(NoConsent::Missing(_)) => return Ok(None),
        Err(why) => return Err(why.to_string()),
    };
    if !example && let Some(what) = prove(&path) {
        return Err(format!("the request at {shown} proves nothing: the agent's account could change {what}"));
    }
    consent::asked_until(&text, now_ms).map_err(|what| format!("the request at {shown} is not understood: {what}; run `mimamori-agent collect --for 1h` again"))
}
