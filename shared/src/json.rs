//! Bounds on a payload's JSON, checked before it is used.

use crate::limits::{JSON_ARRAY_MAX, JSON_DEPTH_MAX, JSON_KEY_BYTES_MAX, JSON_STRING_BYTES_MAX};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// Checks that the bytes are one JSON value within the bounds: nesting, string and array sizes, keys of
/// `[a-z0-9_.]`, no key twice, finite numbers.
///
/// # Errors
/// The first bound broken, with its place.
pub fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Bounds { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()
}

#[derive(Clone, Copy)]
struct Bounds {
    depth: usize,
}

impl Bounds {
    fn deeper<E: Error>(self) -> Result<Bounds, E> {
        let depth = self.depth + 1;
        if depth > JSON_DEPTH_MAX { Err(E::custom(format!("nested deeper than {JSON_DEPTH_MAX}"))) } else { Ok(Bounds { depth }) }
    }
}

impl<'de> DeserializeSeed<'de> for Bounds {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounds {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON within the bounds")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if number.is_finite() { Ok(()) } else { Err(E::custom("a number that is not finite")) }
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if text.len() > JSON_STRING_BYTES_MAX {
            return Err(E::custom(format!("a string of more than {JSON_STRING_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut count = 0;
        while seq.next_element_seed(inner)?.is_some() {
            count += 1;
            if count > JSON_ARRAY_MAX {
                return Err(A::Error::custom(format!("an array of more than {JSON_ARRAY_MAX} members")));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'.';
            if key.len() > JSON_KEY_BYTES_MAX || !key.bytes().all(plain) {
                return Err(A::Error::custom("a key that is not 1 to 64 of a-z 0-9 _ ."));
            }
            if !seen.insert(key) {
                return Err(A::Error::custom("a key that stands twice"));
            }
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(text: &str, expected: Option<&str>) {
        match (check(text.as_bytes()), expected) {
            (Ok(()), None) => {}
            (Err(fault), Some(part)) => assert!(fault.to_string().contains(part), "{fault}"),
            (got, _) => panic!("{text:.60}: {got:?}"),
        }
    }

    #[test]
    fn bounds_are_held() {
        check_text(r#"{"a":[1,-2,0.5,"x",null,true],"b":{"c.d_1":{}}}"#, None);
        check_text(r#"{"a":1,"a":2}"#, Some("twice"));
        check_text(r#"{"A":1}"#, Some("key"));
        check_text(r#"{"a b":1}"#, Some("key"));
        check_text(&format!("{{\"{}\":1}}", "k".repeat(65)), Some("key"));
        check_text(&"[".repeat(17), Some("nested"));
        check_text(&format!("{}{}", "[".repeat(16), "]".repeat(16)), None);
        check_text(&format!("\"{}\"", "x".repeat(4097)), Some("string"));
        check_text(&format!("[{}1]", "1,".repeat(4096)), Some("array"));
        check_text("1e999", Some("number"));
        check_text("{} {}", Some("trailing"));
        check_text(&"[".repeat(10_000_000), Some("nested"));
    }
}
