//! Moments as the tools of the world write them: with and without a zone, day or month first, in words.

use mimamori_shared::time;

/// A moment that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When {
    /// In milliseconds since 1970 UTC. Without a zone the clock's reading is taken as UTC.
    pub(crate) ms: i64,
    /// Whether the text names its zone, or is in UTC by definition.
    pub(crate) zone_stated: bool,
}

/// Longest text that can be a moment.
const TEXT_MAX: usize = 64;
/// Below it lie the dates that mean never (1601-01-01, 0001-01-01, zero): 1990, in milliseconds.
const REAL_FROM_MS: i64 = 631_152_000_000;
/// Above it lie those that mean never too (4294967295 s, 9999-12-31): 2100, in milliseconds.
const REAL_UNTIL_MS: i64 = 4_102_444_800_000;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A moment that can be meant; `None` for one that stands for never.
pub(crate) fn real(ms: i64) -> Option<i64> {
    (REAL_FROM_MS..REAL_UNTIL_MS).contains(&ms).then_some(ms)
}

/// The same of seconds since 1970.
pub(crate) fn real_s(seconds: i64) -> Option<i64> {
    seconds.checked_mul(1000).and_then(real)
}

/// A day and a time of it, in milliseconds since 1970 as if the clock showed UTC; `None` for what is on no calendar or clock.
pub(crate) fn civil(day: [i64; 3], clock: [i64; 3]) -> Option<i64> {
    let ([year, month, day], [hour, minute, second]) = (day, clock);
    let fits = (0..=9999).contains(&year) && [month, day, hour, minute, second].iter().all(|part| (0..=99).contains(part));
    // A calendar's rules live in one place.
    fits.then(|| time::parse(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")).ok())?
}

/// Reads a moment in any of the forms below; `None` also when it stands for never, or when day and month cannot be told apart.
///
/// `2026-11-22T03:18:29.000000[Z|+09:00]`, `Sun, 2026-11-22 03:18:28`, `2026/11/22 3:18`, `22.11.2026 03:18:28`, `11/22/2026 3:18 PM`,
/// `Tue Nov 10 13:21:15 2020`, `/Date(1382911217000)/`.
pub(crate) fn written(text: &str) -> Option<When> {
    let text = text.trim();
    if text.len() > TEXT_MAX {
        return None;
    }
    if let Ok(ms) = time::parse(text) {
        return Some(When { ms: real(ms)?, zone_stated: true });
    }
    if let Some(inner) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        // What follows the number is only the zone to show it in.
        let digits = inner.split(['+', '-']).next().unwrap_or_default();
        return Some(When { ms: real(whole(digits)?)?, zone_stated: true });
    }
    let spaced = text.replacen('T', " ", usize::from(text.as_bytes().get(10) == Some(&b'T')));
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let half = words.iter().find_map(|word| half(word));
    let (clock, offset_ms) = match words.iter().find(|word| word.contains(':')) {
        Some(word) => clock(word, half)?,
        None => return None,
    };
    let zone = words.last().and_then(|word| zone(word));
    let day = words.iter().find_map(|word| day(word, half.is_some())).or_else(|| named(&words))?;
    let offset_ms = offset_ms.or(zone);
    let ms = civil(day, clock)?.checked_sub(offset_ms.unwrap_or(0))?;
    Some(When { ms: real(ms)?, zone_stated: offset_ms.is_some() })
}

fn whole(text: &str) -> Option<i64> {
    crate::text::whole(text).filter(|_| !text.is_empty())
}

/// Whether a word tells the half of the day: true after noon.
fn half(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "am" | "a.m." | "午前" => Some(false),
        "pm" | "p.m." | "午後" => Some(true),
        _ => None,
    }
}

/// `13:21[:15[.123]][+09:00]`, and the offset behind it in milliseconds.
fn clock(word: &str, half: Option<bool>) -> Option<([i64; 3], Option<i64>)> {
    let zone_at = word.find(['+', '-', 'Z']).unwrap_or(word.len());
    let (clock, zone_word) = word.split_at_checked(zone_at)?;
    let offset = if zone_word.is_empty() { None } else { Some(zone(zone_word)?) };
    let clock = clock.split(['.', ',']).next().unwrap_or_default();
    let mut parts = clock.split(':').map(whole);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_some() || half.is_some() && !(1..=12).contains(&hour) {
        return None;
    }
    let hour = half.map_or(hour, |after_noon| hour % 12 + if after_noon { 12 } else { 0 });
    Some(([hour, minute, second], offset))
}

/// `Z`, `UTC`, `+09:00`, `+0900`, `+09`, in milliseconds.
fn zone(word: &str) -> Option<i64> {
    if ["Z", "UTC", "GMT"].contains(&word) {
        return Some(0);
    }
    let sign = match word.chars().next() {
        Some('+') => 1,
        Some('-') => -1,
        _ => return None,
    };
    let digits: String = word.chars().skip(1).filter(|c| *c != ':').collect();
    let (hours, minutes) = match digits.len() {
        2 => (whole(&digits)?, 0),
        4 => (whole(digits.get(..2)?)?, whole(digits.get(2..)?)?),
        _ => return None,
    };
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// `2026-11-22`, `2026/11/22`, `22.11.2026`, `11/22/2026`.
fn day(word: &str, halves: bool) -> Option<[i64; 3]> {
    let mark = word.chars().find(|c| ['-', '/', '.'].contains(c))?;
    let parts: Vec<&str> = word.split(mark).collect();
    let [first, second, third] = parts.as_slice() else { return None };
    let (a, b, c) = (whole(first)?, whole(second)?, whole(third)?);
    match (first.len(), third.len(), mark) {
        (4, ..) => Some([a, b, c]),
        (_, 4, '.') => Some([c, b, a]),
        // Where halves of the day are told, and where the second number is no month, the month comes first.
        (_, 4, '/') if halves || b > 12 => Some([c, a, b]),
        (_, 4, '/') if a > 12 || a == b => Some([c, b, a]),
        _ => None,
    }
}

/// `Tue Nov 10 13:21:15 2020`, `10 Nov 2020 13:21:15`.
fn named(words: &[&str]) -> Option<[i64; 3]> {
    let month = words.iter().find_map(|word| MONTHS.iter().position(|name| word.to_ascii_lowercase().trim_end_matches(',') == *name))?;
    let numbers: Vec<i64> = words.iter().filter_map(|word| whole(word.trim_end_matches(','))).collect();
    let year = numbers.iter().find(|number| **number > 31)?;
    let day = numbers.iter().find(|number| **number <= 31)?;
    Some([*year, i64::try_from(month).ok()? + 1, *day])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read() {
        for (text, shown, zone_stated) in [
            ("2026-11-22T03:18:29Z", "2026-11-22T03:18:29Z", true),
            ("2026-11-22T12:18:29.000123+09:00", "2026-11-22T03:18:29Z", true),
            ("2026-11-22T03:18:29.0000000", "2026-11-22T03:18:29Z", false),
            ("2026-11-22 03:18:29 +0900", "2026-11-21T18:18:29Z", true),
            ("Sun, 2026-11-22 03:18:28", "2026-11-22T03:18:28Z", false),
            ("Sun, 2026-11-22 12:18:28 +0900", "2026-11-22T03:18:28Z", true),
            ("2023/03/01 18:13", "2023-03-01T18:13:00Z", false),
            ("2023/03/01 午後 6:13", "2023-03-01T18:13:00Z", false),
            ("27.10.2013 22:06:12", "2013-10-27T22:06:12Z", false),
            ("9/21/2020 4:00 PM", "2020-09-21T16:00:00Z", false),
            ("4/8/2025 12:12 AM", "2025-04-08T00:12:00Z", false),
            ("21/09/2020 16:00:01", "2020-09-21T16:00:01Z", false),
            ("Tue Nov 10 13:21:15 2020", "2020-11-10T13:21:15Z", false),
            ("Tue Jan  5 13:21:15 2021", "2021-01-05T13:21:15Z", false),
            ("/Date(1382911217000)/", "2013-10-27T22:00:17Z", true),
            ("/Date(1382911217000+0900)/", "2013-10-27T22:00:17Z", true),
        ] {
            let read = written(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((time::show(read.ms).as_str(), read.zone_stated), (shown, zone_stated), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_or_means_never_is_none() {
        for text in [
            "",
            "never",
            "27.10.2013 44:00:01",
            "30.02.2013 10:00:00",
            "4/8/2025 16:12",
            "13:00 PM 2020-01-01",
            "2020-01-01",
            "1601-01-01T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "01.01.1900 00:00:00",
            "/Date(-62135596800000)/",
            "9999-12-31T23:59:59Z",
            "2020-01-01 10:00:00+99:00",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
        assert_eq!((real_s(4_294_967_295), real_s(0), real_s(1_795_317_540)), (None, None, Some(1_795_317_540_000)));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "([0-9/.: TZ+-]{0,30}|.*)", parts: [i64; 3], clock: [i64; 3]) {
            prop_assert!(written(&text).is_none_or(|when| real(when.ms).is_some()));
            prop_assert!(civil(parts, clock).is_none() || parts[1] <= 12);
        }
    }
}
