//! The facility's request to collect now, under a consent on demand: what it says, without the file.

use super::SESSION_S_MAX;
use crate::time;
use serde::Deserialize;

/// Its name, in the folder of the consent.
pub const REQUEST_FILE: &str = "collect.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    from: String,
    until: String,
}

/// Until when it asks, UTC, milliseconds since 1970; `None` when not at `now_ms`.
///
/// # Errors
/// Why the text does not count.
pub fn asked_until(text: &str, now_ms: i64) -> Result<Option<i64>, String> {
    let raw: Raw = toml::from_str(text).map_err(|fault| fault.message().to_owned())?;
    let moment = |text: &str| time::parse(text).map_err(|fault| fault.to_string());
    let (from_ms, until_ms) = (moment(&raw.from)?, moment(&raw.until)?);
    let longest_ms = i64::try_from(SESSION_S_MAX).unwrap_or(i64::MAX / 1000).saturating_mul(1000);
    if until_ms.saturating_sub(from_ms) > longest_ms {
        return Err("it lasts longer than a day".to_owned());
    }
    Ok((from_ms..until_ms).contains(&now_ms).then_some(until_ms))
}
