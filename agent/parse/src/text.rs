//! Reading text strictly: numbers that are there whole, and words that are safe to show.

use std::borrow::Cow;

/// Longest text taken over from an input into an answer, in characters.
const PLAIN_MAX: usize = 200;
/// Longest name of a piece of hardware, in characters.
const HARDWARE_MAX: usize = 64;

/// Text as the tools of the world write it: UTF-8, with or without a mark, or UTF-16 with one. What is neither is
/// taken byte by byte where it is ASCII and replaced where it is not.
#[must_use]
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |from: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units: Vec<u16> = bytes.chunks_exact(2).filter_map(|pair| pair.first_chunk().copied()).map(from).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => wide(u16::from_be_bytes, rest),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// A text fit to be shown: no control characters, single spaces, at most 200 characters.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.push_str(word);
        if plain.len() > PLAIN_MAX {
            break;
        }
    }
    // Marks that turn the direction of writing around make one thing look like another.
    plain.retain(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'));
    plain.chars().take(PLAIN_MAX).collect()
}

/// A name that hardware bears: printable ASCII only, at most 64 characters.
#[must_use]
pub fn hardware(text: &str) -> String {
    let printable: String = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(HARDWARE_MAX).collect();
    printable.trim().to_owned()
}

/// A whole number, not negative: digits only.
#[must_use]
pub fn whole(text: &str) -> Option<i64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A whole number with digits grouped by commas, as `1,234,567`.
#[must_use]
pub fn grouped(text: &str) -> Option<i64> {
    whole(&text.replace(',', ""))
}

/// A decimal number with an optional sign; finite.
#[must_use]
pub fn decimal(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = digits.bytes().any(|b| b.is_ascii_digit()) && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// A decimal number in thousandths, rounded to nearest; `None` when it does not fit.
#[must_use]
pub fn milli(text: &str) -> Option<i64> {
    parts(text, 1000.0)
}

/// A decimal number in parts of one, such as 1e9 for billionths, rounded to nearest; `None` when it does not fit.
#[must_use]
pub fn parts(text: &str, of_one: f64) -> Option<i64> {
    let parts = (decimal(text)? * of_one).round();
    // 2^53: above it a float no longer holds every whole number.
    #[allow(clippy::cast_possible_truncation, reason = "the bound is checked in the same line")]
    if parts.abs() <= 9_007_199_254_740_992.0 { Some(parts as i64) } else { None }
}

/// A size as tools shorten it, by powers of 1024: `9.50G`, `466Gi`, `512B`, `0`; in bytes. `-` is no size.
#[must_use]
pub fn size(word: &str) -> Option<i64> {
    let word = word.strip_suffix('B').unwrap_or(word);
    let word = word.strip_suffix('i').map_or(word, |word| word.strip_suffix('B').unwrap_or(word));
    let Some(power) = word.chars().last().and_then(|last| "KMGTPEZ".find(last)) else { return whole(word) };
    let milli = milli(word.get(..word.len().checked_sub(1)?)?).filter(|milli| *milli >= 0)?;
    let bytes = i128::from(milli).checked_shl(u32::try_from(power + 1).ok()? * 10)? / 1000;
    i64::try_from(bytes).ok()
}

/// A whole number as a float, for an answer's readings.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "readings are shown; the record holds the exact number")]
pub fn float(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_of_every_usual_encoding_is_read() {
        assert_eq!(decode("層".as_bytes()), "層");
        assert_eq!(decode(b"\xef\xbb\xbfa"), "a");
        assert_eq!(decode(b"\xff\xfea\0"), "a");
        assert_eq!(decode(b"\xfe\xff\0a"), "a");
        assert_eq!(decode(b"a\x91w"), "a\u{fffd}w");
    }

    #[test]
    fn what_is_shown_is_plain() {
        assert_eq!(plain(" a\u{1b}[31m\tb\r\n\u{202e}c "), "a [31m b c");
        assert_eq!(plain(&"x".repeat(900)).len(), PLAIN_MAX);
    }

    #[test]
    fn names_of_hardware_are_ascii() {
        assert_eq!(hardware(" LNV-45N1\u{fffd}\u{1b}層 "), "LNV-45N1");
        assert_eq!(hardware(&"x".repeat(900)).len(), HARDWARE_MAX);
    }

    #[test]
    fn numbers_are_read_strictly() {
        assert_eq!((whole("12"), whole(""), whole("+1"), whole("9223372036854775808")), (Some(12), None, None, None));
        assert_eq!((grouped("1,234"), grouped(",")), (Some(1234), None));
        assert_eq!((decimal("-1.5"), decimal("."), decimal("nan"), decimal("1e9")), (Some(-1.5), None, None, None));
        assert_eq!((milli("1.2346"), milli("-0.0005"), milli("99999999999999")), (Some(1235), Some(-1), None));
    }

    #[test]
    fn sizes_are_read_with_and_without_letters() {
        for (word, bytes) in [
            ("0", Some(0)),
            ("512B", Some(512)),
            ("1.5K", Some(1536)),
            ("2T", Some(2 << 40)),
            ("466Gi", Some(466 << 30)),
            ("0Bi", Some(0)),
            ("4KiB", Some(4096)),
            ("-", None),
            ("", None),
            ("K", None),
            ("9Z", None),
            ("-1K", None),
            ("1é", None),
        ] {
            assert_eq!(size(word), bytes, "{word}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in ".*", bytes: Vec<u8>) {
            prop_assert!(size(&text).is_none_or(|n| n >= 0));
            prop_assert!(plain(&text).chars().count() <= PLAIN_MAX);
            prop_assert!(whole(&text).is_none_or(|n| n >= 0));
            prop_assert!(decimal(&text).is_none_or(f64::is_finite));
            prop_assert!(milli(&text).is_none() || decimal(&text).is_some());
            prop_assert!(decode(&bytes).len() <= 3 * bytes.len());
        }
    }
}
