//! One row of the key table: what may be written, and what it means.

use super::value::{Raw, Value};
use super::{ALIAS_BYTES_MAX, TEXT_BYTES_MAX, units};

/// What kind of value a key takes. The comment shows how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One line of text without control characters.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Count {
        /// Smallest allowed.
        min: u64,
        /// Largest allowed.
        max: u64,
    },
    /// `"1h30m"`.
    Duration {
        /// Shortest allowed, in seconds.
        min_s: u64,
        /// Longest allowed, in seconds.
        max_s: u64,
    },
    /// `"512KiB"`.
    Size {
        /// Smallest allowed, in bytes.
        min: u64,
        /// Largest allowed, in bytes.
        max: u64,
    },
    /// A file or folder. Not looked at here.
    Path,
    /// `http://` or `https://`, a host, and no name or password.
    Url,
    /// `ip:port`; no names are looked up.
    Address,
    /// `["a", "b"]`, or `a,b` outside of a file.
    TextList,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A table from free text to an alias, or `text=alias,text=alias` outside of a file.
    AliasMap,
    /// `[path.ALIAS]` tables in files, and nowhere else; a later file changes a table key by key.
    Tables {
        /// What each of them may hold.
        keys: &'static [Key],
        /// The most tables.
        max: usize,
    },
}

impl Kind {
    /// The words after "must be" in a fault and in the reference's type column.
    pub(super) fn describe(self) -> String {
        let duration = units::show_duration;
        match self {
            Kind::Text => format!("one line of text, at most {TEXT_BYTES_MAX} bytes"),
            Kind::Flag => "true or false".to_owned(),
            Kind::Count { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Duration { min_s, max_s } => {
                format!("a duration from {} to {}, such as \"1h30m\"", duration(min_s), duration(max_s))
            }
            Kind::Size { min, max } => format!("a size from {} to {}, such as \"512KiB\"", units::show_size(min), units::show_size(max)),
            Kind::Path => "a path".to_owned(),
            Kind::Url => "an http:// or https:// URL without name or password".to_owned(),
            Kind::Address => "an ip:port address".to_owned(),
            Kind::TextList => "a list of texts".to_owned(),
            Kind::OneOf(words) => format!("one of {}", words.join(", ")),
            Kind::AliasMap => format!("a table from text to alias (1 to {ALIAS_BYTES_MAX} of a-z, 0-9, _ and -), such as {{ \"/data\" = \"data\" }}"),
            Kind::Tables { max, .. } => format!("at most {max} tables in a file, each named by an alias (1 to {ALIAS_BYTES_MAX} of a-z, 0-9, _ and -)"),
        }
    }

    /// [`Kind::describe`] in Japanese: what is to be written.
    pub(super) fn describe_ja(self) -> String {
        let duration = units::show_duration;
        match self {
            Kind::Text => format!("1行の文字列（{TEXT_BYTES_MAX}バイトまで）"),
            Kind::Flag => "trueまたはfalse".to_owned(),
            Kind::Count { min, max } => format!("{min}から{max}までの整数"),
            Kind::Duration { min_s, max_s } => format!("{}から{}までの時間（例：\"1h30m\"）", duration(min_s), duration(max_s)),
            Kind::Size { min, max } => format!("{}から{}までの容量（例：\"512KiB\"）", units::show_size(min), units::show_size(max)),
            Kind::Path => "パス".to_owned(),
            Kind::Url => "利用者名とパスワードを含まないhttp://またはhttps://のURL".to_owned(),
            Kind::Address => "ip:portの形のアドレス".to_owned(),
            Kind::TextList => "文字列の一覧".to_owned(),
            Kind::OneOf(words) => format!("{} のいずれか", words.join(", ")),
            Kind::AliasMap => format!("文字列から別名（a-z、0-9、_、-の1～{ALIAS_BYTES_MAX}文字）への表（例：{{ \"/data\" = \"data\" }}）"),
            Kind::Tables { max, .. } => format!("設定ファイルに、別名（a-z、0-9、_、-の1～{ALIAS_BYTES_MAX}文字）を付けた表（{max}個まで）"),
        }
    }

    /// A value of this kind, for the sample file where there is no default.
    pub(super) fn example(self) -> String {
        match self {
            Kind::Text => "text".to_owned(),
            Kind::Flag => "false".to_owned(),
            Kind::Count { min, .. } => min.to_string(),
            Kind::Duration { min_s, .. } => units::show_duration(min_s),
            Kind::Size { min, .. } => units::show_size(min),
            Kind::Path => "/path/to/it".to_owned(),
            Kind::Url => "https://host.example".to_owned(),
            Kind::Address => "127.0.0.1:8080".to_owned(),
            Kind::TextList => "one,two".to_owned(),
            Kind::OneOf(words) => words.first().copied().unwrap_or_default().to_owned(),
            Kind::AliasMap => "/data=data".to_owned(),
            Kind::Tables { .. } => String::new(),
        }
    }
}

/// One row of a program's key table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Dotted, such as `collector.url`: segments of `a-z`, `0-9` and `_`.
    pub path: &'static str,
    /// What may be written.
    pub kind: Kind,
    /// As a person would write it outside of a file; never together with `required`.
    pub default: Option<&'static str>,
    /// Whether leaving it out is a fault.
    pub required: bool,
    /// What it does, in English.
    pub meaning: &'static str,
    /// What it does, in Japanese.
    pub meaning_ja: &'static str,
    /// Whether the value is never shown, and refused on the command line. Only with [`Kind::Text`].
    pub secret: bool,
}

impl Key {
    /// A key that has a value when nobody writes one.
    pub const fn with_default(path: &'static str, kind: Kind, default: &'static str, meaning: &'static str, meaning_ja: &'static str) -> Key {
        Key { default: Some(default), ..Key::optional(path, kind, meaning, meaning_ja) }
    }

    /// A key that must be written.
    pub const fn required(path: &'static str, kind: Kind, meaning: &'static str, meaning_ja: &'static str) -> Key {
        Key { required: true, ..Key::optional(path, kind, meaning, meaning_ja) }
    }

    /// A key that may stay unset; read it with an `_opt` getter.
    pub const fn optional(path: &'static str, kind: Kind, meaning: &'static str, meaning_ja: &'static str) -> Key {
        Key { path, kind, default: None, required: false, meaning, meaning_ja, secret: false }
    }

    /// A secret text that may stay unset; read it with [`super::Values::secret_opt`].
    pub const fn secret(path: &'static str, meaning: &'static str, meaning_ja: &'static str) -> Key {
        Key { secret: true, ..Key::optional(path, Kind::Text, meaning, meaning_ja) }
    }

    /// Whether a resolved configuration always has a value for this key.
    pub(super) fn always_set(&self) -> bool {
        self.required || self.default.is_some()
    }

    /// The environment variable for this key: `collector.url` is `<PREFIX>COLLECTOR_URL`.
    pub fn env_name(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.path.replace('.', "_").to_ascii_uppercase())
    }
}

/// What is wrong with a key table itself; each program asserts in a test that this is empty.
pub fn table_faults(keys: &[Key]) -> Vec<String> {
    let mut faults = Vec::new();
    for (place, key) in keys.iter().enumerate() {
        let path = key.path;
        let mut fault = |what: &str| faults.push(format!("`{path}` {what}"));
        if !path.split('.').all(is_segment) {
            fault("must be segments of a-z, 0-9 and _, joined by dots");
        }
        if key.required && key.default.is_some() {
            fault("is required and has a default");
        }
        if matches!(key.kind, Kind::Tables { .. }) && (key.required || key.default.is_some()) {
            fault("has tables, so it can neither be required nor have a default");
        }
        if key.secret && (key.kind != Kind::Text || key.default.is_some()) {
            fault("is secret, so it must be a text without a default");
        }
        if key.meaning.is_empty() || key.meaning_ja.is_empty() {
            fault("lacks a meaning in English or in Japanese");
        }
        let written = key.default.map_or_else(|| key.kind.example(), str::to_owned);
        match key.kind {
            Kind::Tables { keys, .. } => faults.extend(table_faults(keys).into_iter().map(|fault| format!("`{path}`: {fault}"))),
            _ => faults.extend(Value::read(key, path, Raw::Loose(written)).err().map(|said| said.en)),
        }
        for other in keys.iter().skip(place + 1) {
            if other.env_name("") == key.env_name("") {
                faults.push(format!("`{path}` and `{}` share an environment variable", other.path));
            }
            if is_below(path, other.path) || is_below(other.path, path) {
                faults.push(format!("`{path}` and `{}`: one is a section of the other", other.path));
            }
        }
    }
    faults
}

/// Whether `path` lies in the section `section`.
pub(super) fn is_below(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
