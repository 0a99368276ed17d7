//! Reading numbers strictly: digits only, nothing negative, nothing that does not fit.

/// A whole number.
#[must_use]
pub fn whole(text: &str) -> Option<i64> {
    // `parse` alone would take a leading plus.
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A decimal number in thousandths, cut after the third place: `1.25` is 1250.
#[must_use]
pub fn milli(text: &str) -> Option<i64> {
    let (integer, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    whole(integer)?.checked_mul(1000)?.checked_add(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_are_digits_that_fit() {
        let table = [("0", Some(0)), ("9223372036854775807", Some(i64::MAX)), ("9223372036854775808", None)];
        for (text, expected) in table.into_iter().chain(["", "-1", "+1", "1 ", "0x1", "１"].map(|bad| (bad, None))) {
            assert_eq!(whole(text), expected, "{text:?}");
        }
    }

    #[test]
    fn decimals_become_thousandths() {
        let good = [("0.21", 210), ("1", 1000), ("12.3456", 12345), ("0.001", 1), ("719.5", 719_500)];
        let bad = ["", ".", "1.", ".5", "-0.1", "1.2.3", "1,5", "nan", "9223372036854775807.0"];
        for (text, expected) in good.map(|(t, e)| (t, Some(e))).into_iter().chain(bad.map(|t| (t, None))) {
            assert_eq!(milli(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in ".*") {
            prop_assert!(whole(&text).is_none_or(|n| n >= 0));
            prop_assert!(milli(&text).is_none_or(|n| n >= 0));
        }
    }
}
