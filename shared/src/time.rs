//! Moments as people read them. Inside, a moment is milliseconds since 1970, UTC, in an `i64` named `…_ms`.

use ::time::format_description::well_known::Rfc3339;
use ::time::{OffsetDateTime, UtcOffset};

/// RFC 3339 in UTC with seconds, such as `2026-11-22T05:16:44Z`; moments beyond the year 9999 are shown as their number.
#[must_use]
pub fn show(ms: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).ok();
    moment.and_then(|moment| moment.to_offset(UtcOffset::UTC).format(&Rfc3339).ok()).unwrap_or_else(|| format!("{ms} ms"))
}

/// Japan's offset from UTC, in milliseconds: one for the whole country, the whole year.
const JAPAN_MS: i64 = 9 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// The same moment as Japan's clocks show it, such as `2026-11-22T14:16:44+09:00`.
#[must_use]
pub fn show_japan(ms: i64) -> String {
    let shown = show(ms.saturating_add(JAPAN_MS));
    shown.strip_suffix('Z').map_or_else(|| format!("{ms} ms"), |clock| format!("{clock}+09:00"))
}

/// When the day of a moment began in Japan.
#[must_use]
pub fn japan_day(ms: i64) -> i64 {
    ms.saturating_sub(ms.saturating_add(JAPAN_MS).rem_euclid(DAY_MS))
}

/// Text that is no RFC 3339 moment with an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time such as 2026-11-22T09:00:00+09:00")]
pub struct BadMoment;

/// Reads RFC 3339 with an offset.
///
/// # Errors
/// [`BadMoment`].
pub fn parse(text: &str) -> Result<i64, BadMoment> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| BadMoment)?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).map_err(|_| BadMoment)
}

/// The month of a moment in UTC, as `(2026, 11)`.
#[must_use]
pub fn month(ms: i64) -> (i32, u8) {
    OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).map_or((1970, 1), |moment| (moment.year(), moment.month().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_and_read() {
        assert_eq!(show(1_795_324_604_999), "2026-11-22T05:16:44Z");
        assert_eq!(parse("2026-11-22T14:16:44+09:00"), Ok(1_795_324_604_000));
        assert_eq!(month(1_795_324_604_000), (2026, 11));
        for bad in ["", "2026-11-22", "2026-11-22T14:16:44", "2026-13-22T14:16:44Z"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(show(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn japans_day_begins_at_fifteen_oclock_utc() {
        assert_eq!(show_japan(1_795_324_604_999), "2026-11-22T14:16:44+09:00");
        assert_eq!(show(japan_day(1_795_324_604_999)), "2026-11-21T15:00:00Z");
        for at in ["2026-11-21T15:00:00Z", "2026-11-22T14:59:59Z"] {
            assert_eq!(show_japan(japan_day(parse(at).unwrap())), "2026-11-22T00:00:00+09:00");
        }
        assert_eq!(show(japan_day(-1)), "1969-12-31T15:00:00Z");
        assert_eq!(show_japan(i64::MAX), "9223372036854775807 ms");
    }
}
