//! Windows of the week: hours in which little or nothing is taken, or in which alone something is.

use serde::{Deserialize, Serialize};

/// Days of the week as a consent file names them, Monday first.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
/// Minutes of a day: the end of a window that lasts until midnight.
const DAY_MIN: u16 = 1440;
/// Furthest offset of local time from UTC, in seconds.
const OFFSET_S_MAX: i32 = 14 * 3600;

/// One window: from and to on the same day, on each of some days of the week, in the consent's local time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Days of the week, 1 (Monday) to 7 (Sunday), ascending.
    pub days: Vec<u8>,
    /// Minutes after midnight, included.
    pub from_min: u16,
    /// Minutes after midnight, not included; 1440 is the end of the day.
    pub to_min: u16,
}

impl Window {
    /// Reads what people write: `mon-fri` or `sat,sun`, `08:30`, `12:00`.
    ///
    /// # Errors
    /// What is wrong and how it is written.
    pub fn parse(days: &str, from: &str, to: &str) -> Result<Window, String> {
        let window = Window { days: parse_days(days)?, from_min: parse_minute(from)?, to_min: parse_minute(to)? };
        if window.from_min < window.to_min {
            Ok(window)
        } else {
            Err(format!("from {from} to {to}: the end must lie behind the beginning; over midnight, write two windows, the first until \"24:00\""))
        }
    }

    /// Reads one window from one line, such as `mon-fri 08:30-12:00`.
    ///
    /// # Errors
    /// As [`Window::parse`].
    pub fn parse_line(line: &str) -> Result<Window, String> {
        let parts = line.split_once(' ').and_then(|(days, hours)| Some((days, hours.trim().split_once('-')?)));
        let (days, (from, to)) = parts.ok_or_else(|| format!("`{line}` is no window such as \"mon-fri 08:30-12:00\""))?;
        Window::parse(days, from, to)
    }

    /// The window as people read it, such as `mon,tue 08:30-12:00`.
    #[must_use]
    pub fn show(&self) -> String {
        let days: Vec<&str> = self.days.iter().filter_map(|day| DAYS.get(usize::from(*day).wrapping_sub(1)).copied()).collect();
        format!("{} {}-{}", days.join(","), show_minute(self.from_min), show_minute(self.to_min))
    }

    /// Whether it is in normal form; what an agent states is judged by it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let ascending = self.days.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
        !self.days.is_empty() && ascending && self.days.iter().all(|day| (1..=7).contains(day)) && self.from_min < self.to_min && self.to_min <= DAY_MIN
    }

    /// Whether a moment of local time lies in it.
    pub(super) fn holds(&self, local_ms: i64) -> bool {
        let minute = local_ms.rem_euclid(DAY_MS) / MINUTE_MS;
        self.on(local_ms.div_euclid(DAY_MS)) && (i64::from(self.from_min)..i64::from(self.to_min)).contains(&minute)
    }

    /// The next moments of local time behind `local_ms` at which it begins or ends, within eight days.
    pub(super) fn turns(&self, local_ms: i64) -> impl Iterator<Item = i64> {
        let today = local_ms.div_euclid(DAY_MS);
        let days = (today..=today.saturating_add(8)).filter(|day| self.on(*day));
        let edges = days.flat_map(|day| [self.from_min, self.to_min].map(|minute| day.saturating_mul(DAY_MS).saturating_add(i64::from(minute) * MINUTE_MS)));
        edges.filter(move |edge| *edge > local_ms)
    }

    /// Whether it stands on a day since 1970-01-01, which was a Thursday.
    fn on(&self, day: i64) -> bool {
        let weekday = day.saturating_add(3).rem_euclid(7) + 1;
        self.days.iter().any(|one| i64::from(*one) == weekday)
    }
}

fn parse_days(text: &str) -> Result<Vec<u8>, String> {
    let number = |name: &str| {
        let place = DAYS.iter().position(|day| *day == name.trim().to_ascii_lowercase());
        place.ok_or_else(|| format!("`{}` is no day; write mon, tue, wed, thu, fri, sat, sun, a range such as mon-fri, or several with commas", name.trim()))
    };
    let mut on = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        let length = (last + 7 - first) % 7;
        for day in (first..=first + length).map(|day| day % 7) {
            if let Some(slot) = on.get_mut(day) {
                *slot = true;
            }
        }
    }
    Ok((1_u8..).zip(on).filter(|(_, on)| *on).map(|(day, _)| day).collect())
}

fn parse_minute(text: &str) -> Result<u16, String> {
    let two = |part: &str| if part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) { part.parse::<u16>().ok() } else { None };
    let read = text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
    match read {
        Some((hour, minute)) if minute < 60 && hour * 60 + minute <= DAY_MIN => Ok(hour * 60 + minute),
        Some(_) | None => Err(format!("`{text}` is no time of day from 00:00 to 24:00")),
    }
}

fn show_minute(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Whether local time may be so many seconds ahead of UTC: whole minutes, at most 14 hours.
pub(super) fn is_offset(seconds: i32) -> bool {
    seconds % 60 == 0 && (-OFFSET_S_MAX..=OFFSET_S_MAX).contains(&seconds)
}

/// Reads an offset from UTC such as `+09:00`, in seconds.
///
/// # Errors
/// How it is written.
pub fn parse_offset(text: &str) -> Result<i32, String> {
    let bad = || format!("`{text}` is no offset from UTC such as \"+09:00\"");
    let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (1, rest),
        (_, Some(rest)) => (-1, rest),
        (None, None) => return Err(bad()),
    };
    let seconds = parse_minute(rest).map(|minutes| sign * i32::from(minutes) * 60).map_err(|_| bad())?;
    if is_offset(seconds) { Ok(seconds) } else { Err(bad()) }
}

/// Writes an offset as [`parse_offset`] reads it.
#[must_use]
pub fn show_offset(seconds: i32) -> String {
    let minutes = seconds.unsigned_abs() / 60;
    format!("{}{:02}:{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, shown: &str) {
        assert_eq!(Window::parse_line(line).map(|window| window.show()).unwrap_or_else(|fault| fault), shown);
    }

    #[test]
    fn windows_are_read_as_people_write_them() {
        check("mon-fri 08:30-12:00", "mon,tue,wed,thu,fri 08:30-12:00");
        check("sun,sat 00:00-24:00", "sat,sun 00:00-24:00");
        check("sat-mon 22:00-24:00", "mon,sat,sun 22:00-24:00");
        check("Mon 09:00-10:00", "mon 09:00-10:00");
    }

    #[test]
    fn every_mistake_says_how_it_is_written() {
        for (line, says) in [
            ("mon", "mon-fri 08:30-12:00"),
            ("moon 08:30-12:00", "no day"),
            ("mon 8:30-12:00", "no time of day"),
            ("mon 08:60-12:00", "no time of day"),
            ("mon 08:30-24:01", "no time of day"),
            ("mon 22:00-06:00", "two windows"),
            ("mon 08:30-08:30", "two windows"),
        ] {
            let fault = Window::parse_line(line).unwrap_err();
            assert!(fault.contains(says), "{line}: {fault}");
        }
        for bad in ["09:00", "+9:00", "+15:00", "+09:60", "Z"] {
            assert!(parse_offset(bad).is_err(), "{bad}");
        }
        assert_eq!((parse_offset("+09:00"), parse_offset("-03:30")), (Ok(32_400), Ok(-12_600)));
        assert_eq!((show_offset(32_400), show_offset(-12_600)), ("+09:00".to_owned(), "-03:30".to_owned()));
    }

    #[test]
    fn what_is_not_in_normal_form_is_unsound() {
        let good = Window { days: vec![1, 5], from_min: 0, to_min: 1440 };
        assert!(good.is_sound());
        for bad in [
            Window { days: vec![], ..good.clone() },
            Window { days: vec![5, 1], ..good.clone() },
            Window { days: vec![0], ..good.clone() },
            Window { days: vec![8], ..good.clone() },
            Window { from_min: 1440, ..good.clone() },
            Window { to_min: 1441, ..good.clone() },
        ] {
            assert!(!bad.is_sound(), "{bad:?}");
        }
    }
}
