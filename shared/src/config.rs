//! Layered configuration, driven by one table of keys per program.
//!
//! The table says what may be written; files, environment and flags are layers over its defaults.
//! [`resolve`] reports every fault at once. The same table prints the reference page and the
//! sample file, so neither can drift from what is accepted.
//!
//! Opens no file and reads no environment: text and maps come in, values go out. Does not know
//! how keys relate to each other; each program checks that on its own [`Values`].

mod docs;
mod key;
mod layer;
mod resolve;
mod secret;
mod suggest;
mod units;
mod value;
mod values;

pub use docs::{reference, sample_toml};
pub use key::{Key, Kind, table_faults};
pub use layer::Layer;
pub use resolve::resolve;
pub use secret::Secret;
pub use suggest::suggest;
pub use units::{BadQuantity, parse_duration, parse_size, show_duration, show_size};
pub use value::is_alias;
pub use values::Values;

use std::fmt;

/// The longest configuration file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 64 * 1024;
/// The longest single text value, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;
/// The most entries in a list or in an alias map.
pub const ENTRIES_MAX: usize = 256;
/// The longest alias, in bytes.
pub const ALIAS_BYTES_MAX: usize = 32;
/// The most faults one [`resolve`] lists; a last one says that there are more.
pub const FAULTS_MAX: usize = 100;

/// The most characters of a person's input that a fault repeats.
const ECHO_CHARS_MAX: usize = 60;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The key table.
    Default,
    /// A configuration file.
    File {
        /// The file's name as the caller gave it.
        name: String,
        /// The line, counted from 1; `None` when the whole file is meant.
        line: Option<usize>,
    },
    /// An environment variable, by name.
    Env(String),
    /// A `--set` flag, by its key.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { name, line: None } => f.write_str(name),
            Origin::File { name, line: Some(line) } => write!(f, "{name}:{line}"),
            Origin::Env(name) => write!(f, "environment {}", echo(name)),
            Origin::Flag(key) => write!(f, "--set {}", echo(key)),
        }
    }
}

/// One thing wrong with the configuration. Reads alone, and never shows a secret value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it was written; `None` when the fault is that nothing was written.
    pub origin: Option<Origin>,
    /// The dotted key, or the variable's name; empty when a whole file is at fault.
    pub key: String,
    /// What is wrong, naming the key again.
    pub what: String,
    /// The same in Japanese.
    pub what_ja: String,
}

impl Fault {
    /// The whole sentence in Japanese; its English is what [`fmt::Display`] shows.
    #[must_use]
    pub fn in_japanese(&self) -> String {
        match &self.origin {
            Some(Origin::Default) => format!("既定値：{}", self.what_ja),
            Some(Origin::Env(name)) => format!("環境変数 {}：{}", echo(name), self.what_ja),
            Some(origin) => format!("{origin}：{}", self.what_ja),
            None => self.what_ja.clone(),
        }
    }
}

/// A sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    en: String,
    ja: String,
}

impl Said {
    fn new(en: impl Into<String>, ja: impl Into<String>) -> Said {
        Said { en: en.into(), ja: ja.into() }
    }

    fn fault(self, origin: Option<Origin>, key: impl Into<String>) -> Fault {
        Fault { origin, key: key.into(), what: self.en, what_ja: self.ja }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Fault {}

/// A person's input made safe for a terminal: control characters escaped, and cut when long.
fn echo(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(ECHO_CHARS_MAX) {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(ECHO_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// The end of a fault's sentence when there is something to suggest.
fn did_you_mean(suggestion: Option<&str>) -> Said {
    suggestion.map_or_else(|| Said::new("", ""), |known| Said::new(format!(", did you mean `{known}`?"), format!("。`{known}` の誤りではありませんか")))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_refused;
#[cfg(test)]
mod tests_tables;
