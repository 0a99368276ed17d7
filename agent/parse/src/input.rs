//! What a parser is given, and what it says when that is not what it reads.

use crate::{INPUT_BYTES_MAX, RECORDS_MAX};
use std::collections::BTreeMap;
use std::fmt;

/// A small folder of the kernel's, read: relative paths such as `hwmon0/temp1_input`, and what they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
}

/// Files of one [`Tree`] at most.
const TREE_FILES_MAX: usize = 16 * RECORDS_MAX;

impl Tree {
    /// Adds a file.
    ///
    /// # Errors
    /// [`Unreadable::TooLarge`] when there are too many.
    pub fn put(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Result<(), Unreadable> {
        if self.files.len() >= TREE_FILES_MAX {
            return Err(Unreadable::TooLarge);
        }
        self.files.insert(path.into(), bytes.into());
        Ok(())
    }

    /// The first line of a file, without what surrounds it; `None` when there is no such file, or when it is not UTF-8.
    #[must_use]
    pub fn line(&self, path: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.files.get(path)?).ok()?;
        text.lines().next().map(str::trim)
    }

    /// All paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The names in a folder, sorted; an empty path is the top.
    #[must_use]
    pub fn names(&self, folder: &str) -> Vec<&str> {
        let below = |path| if folder.is_empty() { Some(path) } else { str::strip_prefix(path, folder)?.strip_prefix('/') };
        let mut names: Vec<&str> = self.paths().filter_map(below).map(|rest| rest.split_once('/').map_or(rest, |(name, _)| name)).collect();
        // Sorted paths do not make sorted names: `a/x` stands behind `a-b`.
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Why an input cannot be read at all. Bad health is none of these, and neither is what a tool says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// There is nothing in it.
    Empty,
    /// It is larger than anything this kind prints.
    TooLarge,
    /// It is something else.
    Foreign {
        /// The first line that does not belong, from 1.
        line: usize,
        /// What such an input looks like, in the tool's own words: `lines such as …` is put around it.
        such_as: &'static str,
    },
    /// A line that breaks a rule of its format.
    Broken {
        /// Which, from 1.
        line: usize,
        /// The rule.
        what: &'static str,
    },
    /// JSON with a mistake in it.
    Json {
        /// Where, from 1.
        line: usize,
        /// What, in the words of the reader.
        what: String,
    },
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Empty => f.write_str("empty"),
            Unreadable::TooLarge => write!(f, "larger than {} MiB, or too many files", INPUT_BYTES_MAX >> 20),
            Unreadable::Foreign { line, such_as } => write!(f, "line {line}: another format; expected lines such as `{such_as}`"),
            Unreadable::Broken { line, what } => write!(f, "line {line}: {what}"),
            Unreadable::Json { line, what } => write!(f, "line {line}: not the expected JSON: {what}"),
        }
    }
}

impl Unreadable {
    /// The same in Japanese.
    #[must_use]
    pub fn ja(&self) -> String {
        match self {
            Unreadable::Empty => "空です".to_owned(),
            Unreadable::TooLarge => format!("{} MiB を超えるか、ファイル数が多すぎます", INPUT_BYTES_MAX >> 20),
            Unreadable::Foreign { line, such_as } => format!("{line} 行目: 別の形式です（例: `{such_as}`）"),
            Unreadable::Broken { line, what } => format!("{line} 行目: {what}"),
            Unreadable::Json { line, what } => format!("{line} 行目: 想定したJSONではありません: {what}"),
        }
    }
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Unreadable {
        Unreadable::Json { line: error.line().max(1), what: crate::text::plain(&error.to_string()) }
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_lists_its_folders() {
        let mut tree = Tree::default();
        for path in ["a/x", "a-b", "a/y/z"] {
            tree.put(path, " 1 \n2\n").unwrap();
        }
        assert_eq!(tree.names(""), ["a", "a-b"]);
        assert_eq!(tree.names("a"), ["x", "y"]);
        assert_eq!((tree.line("a/x"), tree.line("a")), (Some("1"), None));
    }

    #[test]
    fn a_tree_is_bounded() {
        let mut tree = Tree::default();
        let full = (0..=TREE_FILES_MAX).map(|n| tree.put(n.to_string(), "")).position(|put| put.is_err());
        assert_eq!(full, Some(TREE_FILES_MAX));
    }
}
