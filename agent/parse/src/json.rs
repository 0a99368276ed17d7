//! Reading JSON that other programs wrote: a number may stand as an integer, a float or a string, whatever the version.

use crate::text;
use serde_json::Value;

/// A whole number, however it is written; what does not fit is held at the end of the range. `null` and anything else: `None`.
pub(crate) fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_u64().map(|_| i64::MAX)).or_else(|| number.as_f64().and_then(rounded)),
        Value::String(text) => written(text.trim()),
        _ => None,
    }
}

fn written(text: &str) -> Option<i64> {
    let digits = text.replace(',', "");
    let unsigned = digits.strip_prefix('-').unwrap_or(&digits);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        // Counters of NVMe have 128 bits: longer than an `i64`, and still a number.
        return Some(digits.parse().unwrap_or(if digits.starts_with('-') { i64::MIN } else { i64::MAX }));
    }
    text::decimal(&digits).and_then(rounded)
}

#[allow(clippy::cast_possible_truncation, reason = "a cast from float to integer stops at the ends of the range")]
fn rounded(number: f64) -> Option<i64> {
    number.is_finite().then(|| number.round() as i64)
}

/// A whole number, not negative.
pub(crate) fn count(value: &Value) -> Option<i64> {
    int(value).filter(|number| *number >= 0)
}

/// What stands at a path such as `/temperature/current`, as [`int`] reads it.
pub(crate) fn int_at(root: &Value, path: &str) -> Option<i64> {
    root.pointer(path).and_then(int)
}

/// What stands at a path, as [`count`] reads it.
pub(crate) fn count_at(root: &Value, path: &str) -> Option<i64> {
    root.pointer(path).and_then(count)
}

/// A text at a path, fit to be shown; an empty one is none.
pub(crate) fn text_at(root: &Value, path: &str) -> Option<String> {
    let text = text::plain(root.pointer(path)?.as_str()?);
    (!text.is_empty()).then_some(text)
}

/// A truth at a path.
pub(crate) fn bool_at(root: &Value, path: &str) -> Option<bool> {
    root.pointer(path)?.as_bool()
}

/// The elements of a list at a path; nothing when there is no list.
pub(crate) fn list_at<'a>(root: &'a Value, path: &str) -> &'a [Value] {
    root.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_is_read_however_it_is_written() {
        for (value, read) in [
            (json!(7), Some(7)),
            (json!(7.0), Some(7)),
            (json!("7"), Some(7)),
            (json!("1,234"), Some(1234)),
            (json!("310.0"), Some(310)),
            (json!(-3), Some(-3)),
            (json!(u64::MAX), Some(i64::MAX)),
            (json!(1e300), Some(i64::MAX)),
            (json!("340282366920938463463374607431768211455"), Some(i64::MAX)),
            (json!(""), None),
            (json!("7 hours"), None),
            (json!(null), None),
            (json!([7]), None),
        ] {
            assert_eq!(int(&value), read, "{value}");
        }
        assert_eq!((count(&json!(-3)), count(&json!(3))), (None, Some(3)));
    }

    #[test]
    fn what_is_not_there_is_none() {
        let root = json!({"a": {"b": [1, "x", true]}, "e": " "});
        assert_eq!((int_at(&root, "/a/b/0"), int_at(&root, "/a/c")), (Some(1), None));
        assert_eq!((text_at(&root, "/a/b/1"), text_at(&root, "/e")), (Some("x".to_owned()), None));
        assert_eq!((bool_at(&root, "/a/b/2"), list_at(&root, "/a/b").len(), list_at(&root, "/a").len()), (Some(true), 3, 0));
    }
}
