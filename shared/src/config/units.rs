//! Durations and sizes as a person writes them.
//!
//! Whole numbers with units only: a bare number is refused, because nobody remembers which unit
//! a key is in.

/// Why a duration or a size could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadQuantity {
    /// Empty, or something other than a digit where a number belongs.
    #[error("a whole number with a unit is needed")]
    NoNumber,
    /// No unit after a number, or one that is not known.
    #[error("unknown or missing unit, known are {known}")]
    Unit {
        /// The known units.
        known: &'static str,
    },
    /// `30m1h`, or a unit twice.
    #[error("units must go from large to small, each once")]
    Order,
    /// More than 64 bits.
    #[error("too large")]
    TooLarge,
}

const DURATIONS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Binary before decimal, so that a tie is shown in binary.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads `30s`, `5m`, `1h30m` or `2d`; the answer is in seconds.
///
/// # Errors
/// [`BadQuantity`] when a unit is missing, unknown, repeated or out of order, or on overflow.
pub fn parse_duration(text: &str) -> Result<u64, BadQuantity> {
    let mut left: &[(&str, u64)] = &DURATIONS;
    let mut rest = text;
    let mut seconds: u64 = 0;
    loop {
        let (number, tail) = take_number(rest)?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at(end);
        let Some(place) = left.iter().position(|(name, _)| *name == unit) else {
            let known = DURATIONS.iter().any(|(name, _)| *name == unit);
            return Err(if known { BadQuantity::Order } else { BadQuantity::Unit { known: "d, h, m, s" } });
        };
        let scale = left.get(place).map_or(1, |(_, scale)| *scale);
        seconds = number.checked_mul(scale).and_then(|part| seconds.checked_add(part)).ok_or(BadQuantity::TooLarge)?;
        left = left.get(place + 1..).unwrap_or_default();
        rest = after;
        if rest.is_empty() {
            return Ok(seconds);
        }
    }
}

/// Reads `512KiB`, `1GiB` or `10MB`; the answer is in bytes. `KB` to `TB` are powers of 1000.
///
/// # Errors
/// [`BadQuantity`] when the number or the unit is missing, the unit is unknown, or on overflow.
pub fn parse_size(text: &str) -> Result<u64, BadQuantity> {
    let (number, unit) = take_number(text)?;
    let scale = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
    let scale = scale.ok_or(BadQuantity::Unit { known: "B, KiB, MiB, GiB, TiB, KB, MB, GB, TB" })?;
    number.checked_mul(scale).ok_or(BadQuantity::TooLarge)
}

/// Writes `seconds` as [`parse_duration`] reads it, largest units first.
pub fn show_duration(seconds: u64) -> String {
    let mut out = String::new();
    let mut left = seconds;
    for (name, scale) in DURATIONS {
        if left >= scale {
            out.push_str(&format!("{}{name}", left / scale));
            left %= scale;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// Writes `bytes` as [`parse_size`] reads it, exactly, in the unit that gives the shortest number.
pub fn show_size(bytes: u64) -> String {
    let exact = SIZES.iter().filter(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale));
    match exact.min_by_key(|(_, scale)| bytes / scale) {
        Some((name, scale)) => format!("{}{name}", bytes / scale),
        None => "0B".to_owned(),
    }
}

/// Splits the digits off the front.
fn take_number(text: &str) -> Result<(u64, &str), BadQuantity> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Err(BadQuantity::NoNumber);
    }
    Ok((digits.parse().map_err(|_| BadQuantity::TooLarge)?, rest))
}

#[cfg(test)]
mod tests {
    use super::{BadQuantity, parse_duration, parse_size, show_duration, show_size};
    use proptest::prelude::*;

    /// The duration in seconds and how it is shown again, or why it is refused.
    #[track_caller]
    fn check_duration(text: &str, expected: &str) {
        let got = match parse_duration(text) {
            Ok(seconds) => format!("{seconds} {}", show_duration(seconds)),
            Err(why) => format!("{why:?}"),
        };
        assert_eq!(got, expected, "{text:?}");
    }

    #[track_caller]
    fn check_size(text: &str, expected: &str) {
        let got = match parse_size(text) {
            Ok(bytes) => format!("{bytes} {}", show_size(bytes)),
            Err(why) => format!("{why:?}"),
        };
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn durations_are_read_and_shown() {
        check_duration("30s", "30 30s");
        check_duration("5m", "300 5m");
        check_duration("1h30m", "5400 1h30m");
        check_duration("2d", "172800 2d");
        check_duration("90s", "90 1m30s");
        check_duration("1d1s", "86401 1d1s");
        check_duration("0s", "0 0s");
        check_duration("007s", "7 7s");
        check_duration("18446744073709551615s", "18446744073709551615 213503982334601d7h15s");
    }

    #[test]
    fn bad_durations_say_why() {
        let unit = r#"Unit { known: "d, h, m, s" }"#;
        check_duration("", "NoNumber");
        check_duration("m", "NoNumber");
        check_duration("-5m", "NoNumber");
        check_duration(" 5m", "NoNumber");
        check_duration("５分", "NoNumber");
        check_duration("5", unit);
        check_duration("5 m", unit);
        check_duration("1.5h", unit);
        check_duration("5分", unit);
        check_duration("1h30", unit);
        check_duration("30m1h", "Order");
        check_duration("1m1m", "Order");
        check_duration("18446744073709551616s", "TooLarge");
        check_duration("18446744073709551615d", "TooLarge");
        check_duration("213503982334601d23h", "TooLarge");
    }

    #[test]
    fn sizes_are_read_and_shown() {
        check_size("512KiB", "524288 512KiB");
        check_size("1GiB", "1073741824 1GiB");
        check_size("10MB", "10000000 10MB");
        check_size("1024KiB", "1048576 1MiB");
        check_size("1500B", "1500 1500B");
        check_size("2TB", "2000000000000 2TB");
        check_size("0B", "0 0B");
        check_size("0GiB", "0 0B");
    }

    #[test]
    fn bad_sizes_say_why() {
        let unit = r#"Unit { known: "B, KiB, MiB, GiB, TiB, KB, MB, GB, TB" }"#;
        check_size("", "NoNumber");
        check_size("KiB", "NoNumber");
        check_size("-1B", "NoNumber");
        check_size("10", unit);
        check_size("10M", unit);
        check_size("1.5GiB", unit);
        check_size("1GiB1MiB", unit);
        check_size("18446744073709551616B", "TooLarge");
        check_size("16777216TiB", "TooLarge");
    }

    #[test]
    fn messages_read_alone() {
        assert_eq!(BadQuantity::Unit { known: "d, h, m, s" }.to_string(), "unknown or missing unit, known are d, h, m, s");
    }

    proptest! {
        #[test]
        fn property_a_duration_survives_being_shown(seconds in any::<u64>()) {
            prop_assert_eq!(parse_duration(&show_duration(seconds)), Ok(seconds));
        }

        #[test]
        fn property_a_size_survives_being_shown(small in 0..4096_u64, shift in 0..52_u32, raw in any::<u64>()) {
            prop_assert_eq!(parse_size(&show_size(small << shift)), Ok(small << shift));
            prop_assert_eq!(parse_size(&show_size(raw)), Ok(raw));
        }

        #[test]
        fn property_any_text_is_answered(text in any::<String>()) {
            if let Ok(seconds) = parse_duration(&text) {
                prop_assert_eq!(parse_duration(&show_duration(seconds)), Ok(seconds));
            }
            if let Ok(bytes) = parse_size(&text) {
                prop_assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
            }
        }
    }
}
