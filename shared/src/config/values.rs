//! The resolved configuration.
//!
//! Each getter names its kind. Reading a key that is not in the table, by the wrong kind, or an
//! optional key without `_opt`, is a mistake of ours: debug builds stop there, release builds
//! answer with the fallback each getter states.

use super::key::Key;
use super::value::Value;
use super::{Origin, Secret};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;

/// Every key with its checked value and where it was written.
#[derive(Debug, Clone)]
pub struct Values {
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) value: Option<Value>,
    pub(super) origin: Origin,
}

impl Row {
    fn shown(&self) -> Vec<(String, String, &Origin)> {
        let path = self.key.path;
        match &self.value {
            None => Vec::new(),
            Some(Value::Tables(tables)) => {
                let rows = tables.iter().flat_map(|(alias, values)| values.effective().map(move |row| (alias, row)));
                rows.map(|(alias, (below, value, origin))| (format!("{path}.{alias}.{below}"), value, origin)).collect()
            }
            Some(value) => vec![(path.to_owned(), value.show(), &self.origin)],
        }
    }
}

static NO_ALIASES: BTreeMap<String, String> = BTreeMap::new();
static NO_TABLES: BTreeMap<String, Values> = BTreeMap::new();
const NO_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

impl Values {
    /// A text, a URL or one of a set of words; fallback `""`.
    pub fn text(&self, path: &str) -> &str {
        self.set(path, self.text_opt(path)).unwrap_or_default()
    }

    /// As [`Values::text`], `None` when unset.
    pub fn text_opt(&self, path: &str) -> Option<&str> {
        self.pick(path, |value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    /// A flag; fallback `false`.
    pub fn flag(&self, path: &str) -> bool {
        self.set(path, self.flag_opt(path)).unwrap_or_default()
    }

    /// As [`Values::flag`], `None` when unset.
    pub fn flag_opt(&self, path: &str) -> Option<bool> {
        self.pick(path, |value| if let Value::Flag(flag) = value { Some(*flag) } else { None })
    }

    /// A whole number; fallback 0.
    pub fn count(&self, path: &str) -> u64 {
        self.set(path, self.count_opt(path)).unwrap_or_default()
    }

    /// As [`Values::count`], `None` when unset.
    pub fn count_opt(&self, path: &str) -> Option<u64> {
        self.pick(path, |value| if let Value::Count(count) = value { Some(*count) } else { None })
    }

    /// A duration in seconds; fallback 0.
    pub fn duration_s(&self, path: &str) -> u64 {
        self.set(path, self.duration_s_opt(path)).unwrap_or_default()
    }

    /// As [`Values::duration_s`], `None` when unset.
    pub fn duration_s_opt(&self, path: &str) -> Option<u64> {
        self.pick(path, |value| if let Value::Seconds(s) = value { Some(*s) } else { None })
    }

    /// A size in bytes; fallback 0.
    pub fn size_bytes(&self, path: &str) -> u64 {
        self.set(path, self.size_bytes_opt(path)).unwrap_or_default()
    }

    /// As [`Values::size_bytes`], `None` when unset.
    pub fn size_bytes_opt(&self, path: &str) -> Option<u64> {
        self.pick(path, |value| if let Value::Bytes(bytes) = value { Some(*bytes) } else { None })
    }

    /// A path; fallback the empty path.
    pub fn path(&self, path: &str) -> &Path {
        self.set(path, self.path_opt(path)).unwrap_or(Path::new(""))
    }

    /// As [`Values::path`], `None` when unset.
    pub fn path_opt(&self, path: &str) -> Option<&Path> {
        self.pick(path, |value| if let Value::Path(found) = value { Some(found.as_path()) } else { None })
    }

    /// An address; fallback port 0 of the local host.
    pub fn address(&self, path: &str) -> SocketAddr {
        self.set(path, self.address_opt(path)).unwrap_or(NO_ADDRESS)
    }

    /// As [`Values::address`], `None` when unset.
    pub fn address_opt(&self, path: &str) -> Option<SocketAddr> {
        self.pick(path, |value| if let Value::Address(address) = value { Some(*address) } else { None })
    }

    /// A secret text, `None` when unset.
    pub fn secret_opt(&self, path: &str) -> Option<&Secret> {
        self.pick(path, |value| if let Value::Secret(secret) = value { Some(secret) } else { None })
    }

    /// A list of texts; empty when unset.
    pub fn list(&self, path: &str) -> &[String] {
        let texts = self.pick(path, |value| if let Value::List(texts) = value { Some(texts) } else { None });
        texts.map_or(&[], Vec::as_slice)
    }

    /// A table from text to alias; empty when unset.
    pub fn alias_map(&self, path: &str) -> &BTreeMap<String, String> {
        let map = self.pick(path, |value| if let Value::Aliases(map) = value { Some(map) } else { None });
        map.unwrap_or(&NO_ALIASES)
    }

    /// The tables below a key, by alias, each with values of its own; empty when none is written.
    pub fn tables(&self, path: &str) -> &BTreeMap<String, Values> {
        let tables = self.pick(path, |value| if let Value::Tables(tables) = value { Some(tables) } else { None });
        tables.unwrap_or(&NO_TABLES)
    }

    /// Whether the key has a value, of whatever kind.
    pub fn is_set(&self, path: &str) -> bool {
        self.row(path).is_some_and(|row| row.value.is_some())
    }

    /// Where the key was written; [`Origin::Default`] also when it is unset.
    pub fn origin(&self, path: &str) -> &Origin {
        self.row(path).map_or(&Origin::Default, |row| &row.origin)
    }

    /// Every key that has a value, in table order: path, value as a file would have it (or
    /// `[secret]`), and origin. Tables are shown key by key.
    pub fn effective(&self) -> impl Iterator<Item = (String, String, &Origin)> {
        self.rows.iter().flat_map(Row::shown)
    }

    fn row(&self, path: &str) -> Option<&Row> {
        let row = self.rows.iter().find(|row| row.key.path == path);
        debug_assert!(row.is_some(), "`{path}` is not in the key table");
        row
    }

    fn pick<'a, T>(&'a self, path: &str, kind: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.row(path)?.value.as_ref()?;
        let picked = kind(value);
        debug_assert!(picked.is_some(), "`{path}` is of another kind");
        picked
    }

    /// Passes `found` on after checking that the key can be relied on to be set.
    fn set<T>(&self, path: &str, found: Option<T>) -> Option<T> {
        let reliable = self.row(path).is_some_and(|row| row.key.always_set());
        debug_assert!(reliable, "`{path}` may be unset, so it needs an `_opt` getter");
        found
    }
}
