//! The values of the schema, each held to its rule while it is read.

use crate::when::When;
use mimamori_shared::time;
use serde::{Deserialize, Deserializer, Serialize};

/// What a value may be at most, either side of zero.
const NUMBER_MAX: f64 = 1e15;

/// A vendor's identifier: `[a-z0-9_-]{1,32}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Alias(pub(super) String);

/// A version: `[0-9A-Za-z.+_-]{1,32}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Version(pub(super) String);

/// A value, within plus and minus 10^15.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Number(pub(super) f64);

/// The same, not negative.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Used(pub(super) f64);

/// The same, above zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Limit(pub(super) f64);

/// The same, whole and not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Count(pub(super) i64);

/// RFC 3339 with an offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Moment(String);

/// Units of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are the schema's")]
pub enum Unit {
    Amperes,
    Bytes,
    Celsius,
    Count,
    Cycles,
    Days,
    Exposures,
    Hertz,
    Hours,
    Kilovolts,
    Liters,
    LitersPerMinute,
    MilliampereSeconds,
    Millimeters,
    Pages,
    Pascals,
    Percent,
    Ratio,
    Revolutions,
    Seconds,
    Volts,
    Watts,
}

impl Unit {
    /// The word in the schema.
    pub(super) fn word(self) -> &'static str {
        match self {
            Unit::Amperes => "amperes",
            Unit::Bytes => "bytes",
            Unit::Celsius => "celsius",
            Unit::Count => "count",
            Unit::Cycles => "cycles",
            Unit::Days => "days",
            Unit::Exposures => "exposures",
            Unit::Hertz => "hertz",
            Unit::Hours => "hours",
            Unit::Kilovolts => "kilovolts",
            Unit::Liters => "liters",
            Unit::LitersPerMinute => "liters_per_minute",
            Unit::MilliampereSeconds => "milliampere_seconds",
            Unit::Millimeters => "millimeters",
            Unit::Pages => "pages",
            Unit::Pascals => "pascals",
            Unit::Percent => "percent",
            Unit::Ratio => "ratio",
            Unit::Revolutions => "revolutions",
            Unit::Seconds => "seconds",
            Unit::Volts => "volts",
            Unit::Watts => "watts",
        }
    }
}

fn short(text: &str, fits: fn(u8) -> bool) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(fits)
}

impl TryFrom<String> for Alias {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Alias, &'static str> {
        let fits = short(&text, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        if fits { Ok(Alias(text)) } else { Err("an identifier is [a-z0-9_-]{1,32}") }
    }
}

impl TryFrom<String> for Version {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Version, &'static str> {
        let fits = short(&text, |byte| byte.is_ascii_alphanumeric() || b".+_-".contains(&byte));
        if fits { Ok(Version(text)) } else { Err("a version is [0-9A-Za-z.+_-]{1,32}") }
    }
}

impl TryFrom<String> for Moment {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Moment, &'static str> {
        // The reader of moments takes small letters, a space and any fraction too; the schema does not.
        let fraction = text.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
        let fits = text.as_bytes().get(10) == Some(&b'T') && !text.contains('z') && fraction <= 9;
        if fits && time::parse(&text).is_ok() { Ok(Moment(text)) } else { Err("a moment is RFC 3339 with an offset, such as 2026-11-22T09:00:00+09:00") }
    }
}

impl Moment {
    /// The moment; `None` when it stands for never.
    pub(super) fn when(&self) -> Option<When> {
        time::parse(&self.0).ok().and_then(When::utc)
    }
}

fn held(number: f64, least: f64) -> Option<f64> {
    (least..=NUMBER_MAX).contains(&number).then_some(number)
}

impl TryFrom<f64> for Number {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Number, &'static str> {
        held(number, -NUMBER_MAX).map(Number).ok_or("a value lies within plus and minus 1e15")
    }
}

impl TryFrom<f64> for Used {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Used, &'static str> {
        held(number, 0.0).map(Used).ok_or("what is used is from 0 to 1e15")
    }
}

impl TryFrom<f64> for Limit {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Limit, &'static str> {
        held(number, 0.0).filter(|number| *number > 0.0).map(Limit).ok_or("a limit is above 0, up to 1e15")
    }
}

impl TryFrom<f64> for Count {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Count, &'static str> {
        #[allow(clippy::cast_possible_truncation, reason = "it is whole, and within 1e15")]
        let whole = held(number, 0.0).filter(|number| number.fract() == 0.0).map(|number| number as i64);
        whole.map(Count).ok_or("a count is a whole number from 0 to 1e15")
    }
}

/// A key that has to be there, and may be null.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}
