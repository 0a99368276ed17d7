//! The only strings a report may carry: short, plain ASCII, of a known class.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest word, in bytes. Aliases are shorter still, see [`Word::alias`].
pub const WORD_BYTES_MAX: usize = 64;
/// Longest alias, in bytes.
pub const ALIAS_BYTES_MAX: usize = 32;

/// 1 to 64 bytes of `[A-Za-z0-9._:+-]`: no spaces, no control characters, no way to carry a sentence.
///
/// The default is `x`, so that a word is never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Word(String);

/// A string that is no [`Word`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a word is 1 to 64 of the characters A-Z a-z 0-9 . _ : + -")]
pub struct BadWord;

impl Word {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A facility's own name for something: `[a-z0-9_-]{1,32}`.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn alias(text: &str) -> Result<Word, BadWord> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if (1..=ALIAS_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain) { Ok(Word(text.to_owned())) } else { Err(BadWord) }
    }

    /// What hardware says of itself, with everything that is no word character dropped and cut at 64 bytes;
    /// `None` when nothing is left.
    #[must_use]
    pub fn hardware(text: &str) -> Option<Word> {
        let kept: String = text.chars().filter(|c| c.is_ascii() && is_word_byte(*c as u8)).take(WORD_BYTES_MAX).collect();
        (!kept.is_empty()).then_some(Word(kept))
    }
}

fn is_word_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'+' | b'-')
}

impl Default for Word {
    fn default() -> Self {
        Word("x".to_owned())
    }
}

impl FromStr for Word {
    type Err = BadWord;
    fn from_str(text: &str) -> Result<Self, BadWord> {
        if (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_word_byte) { Ok(Word(text.to_owned())) } else { Err(BadWord) }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_refuse_what_could_carry_a_sentence_or_break_a_line() {
        for bad in ["", "a b", "山田", "a\n", "a\"", "<b>", "a/b", "a=b", &"x".repeat(65)] {
            assert!(bad.parse::<Word>().is_err(), "{bad:?}");
        }
        for good in ["sda", "fs-00ff00ff", "6.1.0+deb12", "nvme0n1", &"x".repeat(64)] {
            assert_eq!(good.parse::<Word>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn aliases_are_narrower_than_words() {
        assert!(Word::alias("data-1_a").is_ok());
        for bad in ["", "Data", "a.b", &"x".repeat(33)] {
            assert!(Word::alias(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hardware_names_are_filtered_and_cut() {
        assert_eq!(Word::hardware("WDC WD40 太郎").unwrap().as_str(), "WDCWD40");
        assert_eq!(Word::hardware("山 "), None);
        assert_eq!(Word::hardware(&"é".repeat(10)), None);
    }

    #[test]
    fn json_words_are_checked_on_the_way_in() {
        assert!(serde_json::from_str::<Word>("\"a b\"").is_err());
        assert_eq!(serde_json::from_str::<Word>("\"ext4\"").unwrap().as_str(), "ext4");
    }
}
