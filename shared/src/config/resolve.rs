//! Laying the layers over the table.

use super::key::{Key, Kind, is_below};
use super::layer::{Layer, Node};
use super::suggest::suggest_path;
use super::value::{Raw, Value};
use super::values::{Row, Values};
use super::{FAULTS_MAX, Fault, Origin, Said, did_you_mean, echo, is_alias};
use std::collections::BTreeMap;

/// Checks every layer against the table and lets the last one win, key by key.
///
/// `layers` go from lowest to highest precedence; the table's defaults lie below all of them. A
/// list or an alias map replaces the one below it as a whole. A wrong value is a fault even where
/// a higher layer covers it.
///
/// # Errors
/// Every fault, up to [`FAULTS_MAX`]: unknown keys, wrong types, values out of range, missing
/// required keys, and secrets on the command line.
pub fn resolve(keys: &[Key], layers: Vec<Layer>) -> Result<Values, Vec<Fault>> {
    let mut desk = Desk::new(String::new(), keys);
    for layer in layers {
        for node in layer.nodes {
            let path = node.name.clone();
            // A file's names are single segments; elsewhere they are whole paths already.
            let path = if matches!(node.origin, Origin::File { .. }) { segment(&path) } else { path };
            desk.place(keys, path, node);
        }
    }
    desk.look_for_missing();
    desk.finish()
}

/// The work in progress: of the whole configuration, or of one table within it.
struct Desk {
    /// What stands before the paths of this table, such as `application.pacs.`; empty for the whole.
    prefix: String,
    rows: Vec<Row>,
    faults: Vec<Fault>,
    /// Faults beyond the limit.
    unlisted: usize,
}

impl Desk {
    fn new(prefix: String, keys: &[Key]) -> Desk {
        let mut desk = Desk { prefix, rows: Vec::with_capacity(keys.len()), faults: Vec::new(), unlisted: 0 };
        for key in keys {
            let value = matches!(key.kind, Kind::Tables { .. }).then(|| Value::Tables(BTreeMap::new()));
            desk.rows.push(Row { key: *key, value, origin: Origin::Default });
            if let Some(default) = key.default {
                desk.put(key, Origin::Default, Raw::Loose(default.to_owned()));
            }
        }
        desk
    }

    /// Finds the key that `node` sets, going down sections.
    fn place(&mut self, keys: &[Key], path: String, node: Node) {
        let holds = |key: &&Key| key.path == path || matches!(key.kind, Kind::Tables { .. }) && is_below(&path, key.path);
        if let Some(key) = keys.iter().find(holds) {
            return self.put(key, node.origin, node.raw);
        }
        let is_section = keys.iter().any(|key| is_below(key.path, &path));
        let whole = format!("{}{path}", self.prefix);
        match node.raw {
            Raw::Table(inner) if is_section || !inner.is_empty() => {
                for node in inner {
                    self.place(keys, format!("{path}.{}", segment(&node.name)), node);
                }
            }
            _ if is_section => {
                let said = Said::new(format!("`{}` is a section, not a value", echo(&whole)), format!("`{}` は値ではなくセクションです", echo(&whole)));
                self.fault(said.fault(Some(node.origin), whole));
            }
            _ if self.faults.len() < FAULTS_MAX => {
                let near = suggest_path(&path, keys.iter().map(|key| key.path)).map(|near| format!("{}{near}", self.prefix));
                let hint = did_you_mean(near.as_deref());
                let said = Said::new(format!("unknown key `{}`{}", echo(&whole), hint.en), format!("`{}` というキーはありません{}", echo(&whole), hint.ja));
                self.fault(said.fault(Some(node.origin), whole));
            }
            _ => self.unlisted += 1,
        }
    }

    /// Checks what was written for `key` and keeps it.
    fn put(&mut self, key: &Key, origin: Origin, raw: Raw) {
        let path = format!("{}{}", self.prefix, key.path);
        let raw = match (key.kind, raw, &origin) {
            (Kind::Tables { keys, max }, Raw::Table(nodes), Origin::File { .. }) => return self.put_tables(key, &path, keys, max, nodes),
            (_, raw, _) => raw,
        };
        let read = if key.secret && matches!(origin, Origin::Flag(_)) {
            Err(Said::new(
                format!("`{path}` is secret: a command line can be read by everybody on the machine"),
                format!("`{path}` は秘密の値です。コマンドラインは機器の全員に見えます"),
            ))
        } else {
            Value::read(key, &path, raw)
        };
        match read {
            Ok(value) => {
                if let Some(row) = self.rows.iter_mut().find(|row| row.key.path == key.path) {
                    row.value = Some(value);
                    row.origin = origin;
                }
            }
            Err(said) => self.fault(said.fault(Some(origin), path)),
        }
    }

    /// Lays the tables of one file over those of the files before it.
    fn put_tables(&mut self, key: &Key, path: &str, keys: &[Key], max: usize, nodes: Vec<Node>) {
        for node in nodes {
            let whole = format!("{path}.{}", segment(&node.name));
            let Some(tables) = self.tables(key) else { continue };
            let room = tables.len() < max || tables.contains_key(&node.name);
            let (inner, said) = match node.raw {
                Raw::Table(inner) if is_alias(&node.name) && room => (inner, None),
                Raw::Table(_) if room => (Vec::new(), Some(("is not named by an alias", "の名前は別名として使えません"))),
                Raw::Table(_) => (Vec::new(), Some(("is one too many", "は多すぎます"))),
                _ => (Vec::new(), Some(("is a value, not a table", "は表ではなく値です"))),
            };
            if let Some((en, ja)) = said {
                let (shown, must, must_ja) = (echo(&whole), key.kind.describe(), key.kind.describe_ja());
                let said = Said::new(format!("`{shown}` {en}: there may be {must}"), format!("`{shown}` {ja}。{must_ja}を書いてください"));
                self.fault(said.fault(Some(node.origin), whole));
                continue;
            }
            let before = tables.remove(&node.name);
            let mut desk = Desk::new(format!("{whole}."), keys);
            if let Some(before) = before {
                desk.rows = before.rows;
            }
            for below in inner {
                desk.place(keys, segment(&below.name), below);
            }
            if let Some(tables) = self.tables(key) {
                tables.insert(node.name, Values { rows: desk.rows });
            }
            self.unlisted += desk.unlisted;
            desk.faults.into_iter().for_each(|fault| self.fault(fault));
        }
    }

    fn tables(&mut self, key: &Key) -> Option<&mut BTreeMap<String, Values>> {
        let row = self.rows.iter_mut().find(|row| row.key.path == key.path)?;
        if let Some(Value::Tables(tables)) = &mut row.value { Some(tables) } else { None }
    }

    /// A required key that was written wrongly has its fault already.
    fn look_for_missing(&mut self) {
        for (path, key) in missing(&self.prefix, &self.rows) {
            if !self.faults.iter().any(|fault| fault.key == path) {
                let said = Said::new(format!("`{path}` is required: {}", key.meaning), format!("`{path}` は必須です：{}", key.meaning_ja));
                self.fault(said.fault(None, path));
            }
        }
    }

    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        } else {
            self.unlisted += 1;
        }
    }

    fn finish(mut self) -> Result<Values, Vec<Fault>> {
        if self.unlisted > 0 {
            let said = Said::new(format!("{} more faults are not listed", self.unlisted), format!("ほかに{}件の誤りがあります", self.unlisted));
            self.faults.push(said.fault(None, ""));
        }
        if self.faults.is_empty() { Ok(Values { rows: self.rows }) } else { Err(self.faults) }
    }
}

/// Required keys without a value, in tables too, each with its whole path.
fn missing(prefix: &str, rows: &[Row]) -> Vec<(String, Key)> {
    let mut found = Vec::new();
    for row in rows {
        let path = format!("{prefix}{}", row.key.path);
        match &row.value {
            None if row.key.required => found.push((path, row.key)),
            Some(Value::Tables(tables)) => {
                for (alias, values) in tables {
                    found.extend(missing(&format!("{path}.{alias}."), &values.rows));
                }
            }
            _ => {}
        }
    }
    found
}

/// A file's name as part of a dotted path; quoted unless bare, so that `"a.b"` is not `a.b`.
fn segment(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { format!("\"{name}\"") }
}
