//! From what was written to a checked value, by the kind of its key.

use super::key::{Key, Kind};
use super::layer::Node;
use super::values::Values;
use super::{ALIAS_BYTES_MAX, ENTRIES_MAX, Said, Secret, TEXT_BYTES_MAX, did_you_mean, echo, suggest, units};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What was written, before its key is known.
#[derive(Debug)]
pub(super) enum Raw {
    /// A string in a file.
    Text(String),
    /// Text from the environment, a flag or the key table; the kind decides how it is read.
    Loose(String),
    Flag(bool),
    Integer(i64),
    List(Vec<Raw>),
    Table(Vec<Node>),
    /// Something that no key takes, in words of both languages.
    Other(&'static str, &'static str),
}

impl Raw {
    /// What a fault repeats of it.
    fn show(&self) -> Said {
        let same = |text: String| Said::new(text.clone(), text);
        match self {
            Raw::Text(text) | Raw::Loose(text) => same(format!("`{}`", echo(text))),
            Raw::Flag(flag) => same(format!("`{flag}`")),
            Raw::Integer(number) => same(format!("`{number}`")),
            Raw::List(_) => Said::new("a list", "一覧"),
            Raw::Table(_) => Said::new("a section", "セクション"),
            Raw::Other(en, ja) => Said::new(*en, *ja),
        }
    }
}

/// A checked value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Of kind text, URL or one-of.
    Text(String),
    Secret(Secret),
    Flag(bool),
    Count(u64),
    Seconds(u64),
    Bytes(u64),
    Path(PathBuf),
    Address(SocketAddr),
    List(Vec<String>),
    Aliases(BTreeMap<String, String>),
    Tables(BTreeMap<String, Values>),
}

impl Value {
    /// Reads `raw` as `key` asks, or says in a sentence why not. The sentence names the whole `path` and keeps secrets.
    ///
    /// Tables are put together elsewhere: here they are refused.
    pub(super) fn read(key: &Key, path: &str, raw: Raw) -> Result<Value, Said> {
        let secret = format!("`{}`", Secret::SHOWN);
        let shown = if key.secret { Said::new(secret.clone(), secret) } else { raw.show() };
        let mistyped = match (key.kind, &raw) {
            (Kind::OneOf(words), Raw::Text(text) | Raw::Loose(text)) => did_you_mean(suggest(text, words.iter().copied())),
            _ => Said::new("", ""),
        };
        let value = match key.kind {
            Kind::TextList => texts(raw).map(Value::List),
            Kind::AliasMap => aliases(raw).map(Value::Aliases),
            kind => scalar(kind, raw).ok_or_else(|| is(&shown)),
        };
        match value {
            Ok(Value::Text(text)) if text.is_empty() && key.required => {
                Err(Said::new(format!("`{path}` is required and must not be empty"), format!("`{path}` は必須です。空にはできません")))
            }
            Ok(Value::Text(text)) if key.secret => Ok(Value::Secret(Secret::new(text))),
            Ok(value) => Ok(value),
            Err(is) => Err(Said::new(
                format!("`{path}` {}, must be {}{}", is.en, key.kind.describe(), mistyped.en),
                format!("`{path}` {}。{}を書いてください{}", is.ja, key.kind.describe_ja(), mistyped.ja),
            )),
        }
    }

    /// The value as it would be written in a file, or `[secret]`.
    pub(super) fn show(&self) -> String {
        match self {
            Value::Text(text) => quote(text),
            Value::Secret(_) => Secret::SHOWN.to_owned(),
            Value::Flag(flag) => flag.to_string(),
            Value::Count(number) => number.to_string(),
            Value::Seconds(seconds) => quote(&units::show_duration(*seconds)),
            Value::Bytes(bytes) => quote(&units::show_size(*bytes)),
            Value::Path(path) => quote(&path.to_string_lossy()),
            Value::Address(address) => quote(&address.to_string()),
            Value::List(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quote(text)).collect();
                format!("[{}]", texts.join(", "))
            }
            Value::Aliases(map) if map.is_empty() => "{}".to_owned(),
            Value::Aliases(map) => {
                let pair = |(text, alias): (&String, &String)| format!("{} = {}", quote(text), quote(alias));
                format!("{{ {} }}", map.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
            // `Values::effective` shows them key by key.
            Value::Tables(tables) => format!("[{}]", tables.keys().cloned().collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Whether `text` may stand for a name that must not leave the site.
pub fn is_alias(text: &str) -> bool {
    (1..=ALIAS_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn is(shown: &Said) -> Said {
    with("is ", shown, "", "の値", "は使えません")
}

/// What is shown between words of both languages.
fn with(before: &str, shown: &Said, after: &str, before_ja: &str, after_ja: &str) -> Said {
    Said::new(format!("{before}{}{after}", shown.en), format!("{before_ja}{}{after_ja}", shown.ja))
}

fn scalar(kind: Kind, raw: Raw) -> Option<Value> {
    let text = match (kind, raw) {
        (Kind::Flag, Raw::Flag(flag)) => return Some(Value::Flag(flag)),
        (Kind::Count { min, max }, Raw::Integer(number)) => {
            let number = u64::try_from(number).ok()?;
            return (min..=max).contains(&number).then_some(Value::Count(number));
        }
        // A quoted number or flag in a file is a mistake about types, so it is refused.
        (Kind::Flag | Kind::Count { .. }, Raw::Text(_)) => return None,
        (_, Raw::Text(text) | Raw::Loose(text)) => one_line(text).ok()?,
        _ => return None,
    };
    match kind {
        Kind::Text => Some(Value::Text(text)),
        Kind::Flag => text.parse().ok().map(Value::Flag),
        Kind::Count { min, max } => {
            let number = text.parse().ok().filter(|number| (min..=max).contains(number));
            number.map(Value::Count)
        }
        Kind::Duration { min_s, max_s } => {
            let seconds = units::parse_duration(&text).ok()?;
            (min_s..=max_s).contains(&seconds).then_some(Value::Seconds(seconds))
        }
        Kind::Size { min, max } => {
            let bytes = units::parse_size(&text).ok()?;
            (min..=max).contains(&bytes).then_some(Value::Bytes(bytes))
        }
        Kind::Path => (!text.is_empty()).then(|| Value::Path(PathBuf::from(text))),
        Kind::Url => is_url(&text).then_some(Value::Text(text)),
        Kind::Address => text.parse().ok().map(Value::Address),
        Kind::OneOf(words) => words.contains(&text.as_str()).then_some(Value::Text(text)),
        Kind::TextList | Kind::AliasMap | Kind::Tables { .. } => None,
    }
}

/// Lets through a text that fits on one line and within its limit.
fn one_line(text: String) -> Result<String, Raw> {
    let fits = text.len() <= TEXT_BYTES_MAX && !text.contains(char::is_control);
    if fits { Ok(text) } else { Err(Raw::Text(text)) }
}

/// Reads a list, or says what is wrong as the words after the key.
fn texts(raw: Raw) -> Result<Vec<String>, Said> {
    let items = match raw {
        Raw::Loose(text) => pieces(&text)?,
        Raw::List(items) => items,
        other => return Err(is(&other.show())),
    };
    within_limit(items.len())?;
    let item = |item: Raw| match item {
        Raw::Text(text) if !text.is_empty() => one_line(text),
        other => Err(other),
    };
    let texts = items.into_iter().map(item).collect::<Result<_, Raw>>();
    texts.map_err(|bad| with("has the entry ", &bad.show(), "", "に使えない項目", "があります"))
}

/// Reads a table of aliases, or says what is wrong as the words after the key.
fn aliases(raw: Raw) -> Result<BTreeMap<String, String>, Said> {
    let pairs: Vec<(String, Raw)> = match raw {
        Raw::Loose(text) => pieces(&text)?.into_iter().map(pair).collect::<Result<_, _>>()?,
        Raw::Table(nodes) => nodes.into_iter().map(|node| (node.name, node.raw)).collect(),
        other => return Err(is(&other.show())),
    };
    within_limit(pairs.len())?;
    let mut map = BTreeMap::new();
    for (text, raw) in pairs {
        let name = echo(&text);
        let (text, alias) = match (one_line(text), raw) {
            (Ok(text), Raw::Text(alias)) if !text.is_empty() && is_alias(&alias) => (text, alias),
            (_, raw) => return Err(with("has ", &raw.show(), &format!(" for `{name}`"), &format!("の `{name}` が"), "です")),
        };
        if map.insert(text, alias).is_some() {
            return Err(Said::new(format!("has `{name}` twice"), format!("に `{name}` が2回あります")));
        }
    }
    Ok(map)
}

/// Splits `text=alias` at the last `=`.
fn pair(piece: Raw) -> Result<(String, Raw), Said> {
    match &piece {
        Raw::Text(text) => text.rsplit_once('='),
        _ => None,
    }
    .map(|(text, alias)| (text.trim().to_owned(), Raw::Text(alias.trim().to_owned())))
    .ok_or_else(|| with("has the entry ", &piece.show(), " without `=`", "の項目", "に `=` がありません"))
}

/// Splits at commas and trims; an empty text has no pieces.
fn pieces(text: &str) -> Result<Vec<Raw>, Said> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    within_limit(text.bytes().filter(|b| *b == b',').count() + 1)?;
    Ok(text.split(',').map(|piece| Raw::Text(piece.trim().to_owned())).collect())
}

fn within_limit(entries: usize) -> Result<(), Said> {
    if entries <= ENTRIES_MAX {
        return Ok(());
    }
    Err(Said::new(format!("has {entries} entries and may have {ENTRIES_MAX}"), format!("に{entries}項目あります。{ENTRIES_MAX}項目までです")))
}

/// Checks the outline of a URL. A name or a password is refused, because URLs are shown.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.filter(|rest| rest.bytes().all(|b| b.is_ascii_graphic())) else {
        return false;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at(end);
    let (host, port) = match authority.strip_prefix('[').map(|inner| inner.split_once(']')) {
        Some(Some((host, after))) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
            return after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
        }
        Some(_) => return false,
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !host.is_empty() && host.bytes().all(plain) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Writes `text` as a TOML basic string.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
