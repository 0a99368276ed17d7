//! Moments as tools of all languages write them: with or without a time of day, with or without an offset from UTC.
//!
//! A tool that writes its machine's own time tells a moment only within a day. Such a moment is shown as it was written,
//! without an offset, and is never taken for UTC: [`When::earliest_ms`] and [`When::latest_ms`] bound it.

use mimamori_shared::time;
use serde::{Serialize, Serializer};

mod scan;

/// No tool's word about patches, patterns or backups is older. What is, means "never": 1601-01-01, 0001-01-01, 1970-01-01.
const FIRST_YEAR: i64 = 1990;
/// The same on the other side, such as 9999-12-31.
const LAST_YEAR: i64 = 2199;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The farthest offsets that clocks on land have, to the east and to the west of UTC.
const EAST_MS: i64 = 14 * HOUR_MS;
const WEST_MS: i64 = 12 * HOUR_MS;

/// Which number of a date such as `07/08/2026` is the day, where nothing in it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As in `8/7/2026` for the 8th of July.
    DayFirst,
    /// As in `7/8/2026` for the 8th of July.
    MonthFirst,
    /// Not known: such a date is no date.
    Unknown,
}

/// A moment as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// Milliseconds since 1970, as if it were UTC.
    local_ms: i64,
    /// Whether a time of day was written.
    clock: bool,
    /// From UTC, in milliseconds, eastwards; `None` where it was not written.
    offset_ms: Option<i64>,
}

impl When {
    /// A moment in milliseconds since 1970 UTC; `None` for what means "never".
    #[must_use]
    pub fn utc(ms: i64) -> Option<When> {
        let (first, last) = (civil(FIRST_YEAR, 1, 1, 0)?, civil(LAST_YEAR, 12, 31, 0)?);
        (first..last).contains(&ms).then_some(When { local_ms: ms, clock: true, offset_ms: Some(0) })
    }

    /// Reads a moment out of a text: ISO 8601, the dates of Windows in any of its languages, `/Date(1657179430000)/` of
    /// old PowerShell, `20260705231232.000000+540` of WMI, `Thu Jul  7 07:37:10 2022`, `2022年07月07日 07時37分10秒`, …
    /// `None` when there is none, when it means "never", or when day and month cannot be told apart.
    #[must_use]
    pub fn read(text: &str, order: Order) -> Option<When> {
        scan::read(text, order)
    }

    /// A day and a time of day, `None` where there is no such moment. `clock_ms` is since midnight.
    fn new(year: i64, month: i64, day: i64, clock_ms: Option<i64>, offset_ms: Option<i64>) -> Option<When> {
        if !(FIRST_YEAR..=LAST_YEAR).contains(&year) {
            return None;
        }
        let clock = clock_ms.is_some();
        Some(When { local_ms: civil(year, month, day, clock_ms.unwrap_or(0))?, clock, offset_ms: offset_ms.filter(|_| clock) })
    }

    /// The moment in milliseconds since 1970 UTC, where it was written whole.
    #[must_use]
    pub fn moment(self) -> Option<i64> {
        self.offset_ms.map(|offset| self.local_ms.saturating_sub(offset))
    }

    /// The earliest that it can have been, in milliseconds since 1970 UTC. Nothing is fresher than its source: this is
    /// what stands for the freshness of a moment that was not written whole.
    #[must_use]
    pub fn earliest_ms(self) -> i64 {
        self.moment().unwrap_or(self.local_ms.saturating_sub(EAST_MS))
    }

    /// The latest that it can have been, in milliseconds since 1970 UTC.
    #[must_use]
    pub fn latest_ms(self) -> i64 {
        let day = if self.clock { 0 } else { DAY_MS };
        self.moment().unwrap_or(self.local_ms.saturating_add(WEST_MS).saturating_add(day))
    }

    /// RFC 3339 in UTC when it was written whole (`2022-07-06T22:37:10Z`); otherwise as much as was written, of the
    /// machine's own time (`2022-07-07T07:37:10`, `2022-07-07`).
    #[must_use]
    pub fn shown(self) -> String {
        if let Some(ms) = self.moment() {
            return time::show(ms);
        }
        let local = time::show(self.local_ms);
        let end = if self.clock { local.len().saturating_sub(1) } else { 10 };
        local.get(..end).map_or_else(String::new, str::to_owned)
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

/// A day of the calendar in milliseconds since 1970, and so many after its midnight; `None` where there is no such day.
fn civil(year: i64, month: i64, day: i64, clock_ms: i64) -> Option<i64> {
    if !(0..=9999).contains(&year) || !(0..DAY_MS).contains(&clock_ms) {
        return None;
    }
    Some(time::parse(&format!("{year:04}-{month:02}-{day:02}T00:00:00Z")).ok()? + clock_ms)
}

/// What the dates of one input tell of their order: a number above 12 is a day, and `7/07/2022` is written where the day
/// comes first. Where none tells, a clock of twelve hours is that of a country where the month does. What contradicts itself
/// tells nothing.
#[must_use]
pub fn order_of<'a>(texts: impl Iterator<Item = &'a str>) -> Order {
    let (mut seen, mut halves) = (Order::Unknown, false);
    for text in texts {
        halves |= text.ends_with(" AM") || text.ends_with(" PM");
        let Some(order) = scan::order(text) else { continue };
        if seen != Order::Unknown && seen != order {
            return Order::Unknown;
        }
        seen = order;
    }
    if seen == Order::Unknown && halves { Order::MonthFirst } else { seen }
}

#[cfg(test)]
mod tests;
