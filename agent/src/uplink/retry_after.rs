//! `Retry-After`: seconds, or an HTTP date.

use mimamori_shared::limits::RETRY_AFTER_S_MAX;
use mimamori_shared::time;

/// Seconds to wait, at most [`RETRY_AFTER_S_MAX`]; anything not understood is `None`.
///
/// A date is measured from the answer's own `Date`, if it has one, so that a wrong clock here does no harm.
#[must_use]
pub(super) fn retry_after_s(value: &str, date: Option<&str>, now_ms: i64) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number holds is still "very long".
        return Some(value.parse().unwrap_or(u64::MAX).min(RETRY_AFTER_S_MAX));
    }
    let until_ms = http_date(value)?;
    let from_ms = date.and_then(|date| http_date(date.trim())).unwrap_or(now_ms);
    let wait_ms = u64::try_from(until_ms.saturating_sub(from_ms)).unwrap_or(0);
    Some(wait_ms.div_ceil(1000).min(RETRY_AFTER_S_MAX))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that may be sent (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year, clock, zone) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if zone != "GMT" || parts.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    time::parse(&format!("{year}-{month:02}-{day}T{clock}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds_and_dates_are_understood_and_bounded() {
        let now = time::parse("1994-11-06T08:49:00Z").unwrap();
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (value, expected) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(RETRY_AFTER_S_MAX)),
            (date, Some(37)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:48:00 GMT", Some(RETRY_AFTER_S_MAX)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37 JST", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 31 Feb 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(retry_after_s(value, None, now), expected, "{value:?}");
        }
        assert_eq!(retry_after_s(date, Some("Sun, 06 Nov 1994 08:49:36 GMT"), i64::MAX), Some(1));
        assert_eq!(retry_after_s(date, Some("nonsense"), now), Some(37));
        assert_eq!(retry_after_s(date, None, i64::MIN), Some(RETRY_AFTER_S_MAX));
    }

    proptest! {
        #[test]
        fn property_nothing_panics_and_nothing_exceeds_the_bound(value in ".{0,40}", date in ".{0,40}", now: i64) {
            prop_assert!(retry_after_s(&value, Some(&date), now).is_none_or(|s| s <= RETRY_AFTER_S_MAX));
        }
    }
}
