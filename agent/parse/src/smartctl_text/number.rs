//! Numbers in the text: grouped by thousands as any locale does, with a unit behind them.

/// Most characters that separate two groups: one, or what is left of one after a wrong decoding.
const SEPARATOR_MAX: usize = 3;
/// No drive of this century is smaller.
const CAPACITY_BYTES_MIN: i64 = 1 << 20;

/// The whole number at the beginning of a text; what does not fit is held at the end of the range.
pub(super) fn leading(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    held(text.get(..end)?)
}

fn held(digits: &str) -> Option<i64> {
    if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(i64::MAX)) }
}

/// The whole number at the beginning of a text, its thousands apart by commas, points, apostrophes, spaces of any
/// kind, or what a wrong decoding made of them. A `~` before it says that it was longer than the tool could count.
pub(super) fn grouped(text: &str) -> Option<i64> {
    let mut rest = text.trim_start().trim_start_matches('~');
    let mut digits = String::new();
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (group, behind) = rest.split_at(end);
        digits.push_str(group);
        // A first group of more than three digits is a number without groups.
        if digits.len() == group.len() && group.len() > 3 {
            break;
        }
        let Some(next) = next_group(behind) else { break };
        rest = next;
    }
    held(&digits)
}

/// Bytes of a drive. Fewer than any drive has are the first group of a number whose separators could not be told.
pub(super) fn capacity(text: &str) -> Option<i64> {
    grouped(text).filter(|bytes| *bytes >= CAPACITY_BYTES_MIN)
}

/// What follows a separator, when exactly three digits stand there.
fn next_group(text: &str) -> Option<&str> {
    let separates = |c: char| matches!(c, ',' | '.' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\u{fffd}' | '\u{c2}' | '\u{ff}' | '\u{ac}');
    let end = text.find(|c: char| !separates(c))?;
    let (separator, next) = text.split_at(end);
    let digits = next.bytes().take_while(u8::is_ascii_digit).count();
    ((1..=SEPARATOR_MAX).contains(&separator.chars().count()) && digits == 3).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_every_locale_are_read() {
        for text in [
            "1,234,567 [1.23 MB]",
            "1'234'567",
            "1’234’567 bytes",
            "1 234 567 bytes [1,23 MB]",
            "1.234.567 [1,23 MB]",
            "1\u{a0}234\u{a0}567 [1,23 MB]",
            "1\u{c2}\u{a0}234\u{c2}\u{a0}567",
            "1\u{fffd}234\u{fffd}567 ",
            "1\u{202f}234\u{202f}567",
            "1234567",
            "1234567 890",
        ] {
            assert_eq!(grouped(text), Some(1_234_567), "{text}");
        }
        assert_eq!((grouped("37 Celsius"), grouped("100%"), grouped("0"), grouped("16 12")), (Some(37), Some(100), Some(0), Some(16)));
        assert_eq!((grouped("-"), grouped(""), grouped("x1")), (None, None, None));
        assert_eq!(grouped("~340282366920938463463374607431768211455"), Some(i64::MAX));
        assert_eq!((capacity("120_034_123_776 bytes [120 GB]"), capacity("120 bytes [120 GB]"), capacity("1,048,576 bytes")), (None, None, Some(1_048_576)));
        assert_eq!((leading("6206h+47m"), leading("-1")), (Some(6206), None));
    }
}
