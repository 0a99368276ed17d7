//! Laying the layers over the table.

use super::key::{Key, is_below};
use super::layer::{Layer, Node};
use super::suggest::suggest_path;
use super::value::{Raw, Value};
use super::values::{Row, Values};
use super::{FAULTS_MAX, Fault, Origin, Said, did_you_mean, echo};

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
    let mut desk = Desk { rows: Vec::with_capacity(keys.len()), faults: Vec::new(), unlisted: 0 };
    for key in keys {
        desk.rows.push(Row { key: *key, value: None, origin: Origin::Default });
        if let Some(default) = key.default {
            desk.put(key, Origin::Default, Raw::Loose(default.to_owned()));
        }
    }
    for layer in layers {
        for node in layer.nodes {
            let path = node.name.clone();
            // A file's names are single segments; elsewhere they are whole paths already.
            let path = if matches!(node.origin, Origin::File { .. }) { segment(&path) } else { path };
            desk.place(keys, path, node);
        }
    }
    desk.look_for_missing(keys);
    desk.finish()
}

/// The work in progress.
struct Desk {
    rows: Vec<Row>,
    faults: Vec<Fault>,
    /// Faults beyond the limit.
    unlisted: usize,
}

impl Desk {
    /// Finds the key that `node` sets, going down sections.
    fn place(&mut self, keys: &[Key], path: String, node: Node) {
        if let Some(key) = keys.iter().find(|key| key.path == path) {
            return self.put(key, node.origin, node.raw);
        }
        let is_section = keys.iter().any(|key| is_below(key.path, &path));
        match node.raw {
            Raw::Table(inner) if is_section || !inner.is_empty() => {
                for node in inner {
                    self.place(keys, format!("{path}.{}", segment(&node.name)), node);
                }
            }
            _ if is_section => {
                let said = Said::new(format!("`{}` is a section, not a value", echo(&path)), format!("`{}` は値ではなくセクションです", echo(&path)));
                self.fault(said.fault(Some(node.origin), path));
            }
            _ if self.faults.len() < FAULTS_MAX => {
                let near = suggest_path(&path, keys.iter().map(|key| key.path));
                let hint = did_you_mean(near);
                let said = Said::new(format!("unknown key `{}`{}", echo(&path), hint.en), format!("`{}` というキーはありません{}", echo(&path), hint.ja));
                self.fault(said.fault(Some(node.origin), path));
            }
            _ => self.unlisted += 1,
        }
    }

    /// Checks what was written for `key` and keeps it.
    fn put(&mut self, key: &Key, origin: Origin, raw: Raw) {
        let read = if key.secret && matches!(origin, Origin::Flag(_)) {
            Err(Said::new(
                format!("`{}` is secret: a command line can be read by everybody on the machine", key.path),
                format!("`{}` は秘密の値です。コマンドラインは機器の全員に見えます", key.path),
            ))
        } else {
            Value::read(key, raw)
        };
        match read {
            Ok(value) => {
                if let Some(row) = self.rows.iter_mut().find(|row| row.key.path == key.path) {
                    row.value = Some(value);
                    row.origin = origin;
                }
            }
            Err(said) => self.fault(said.fault(Some(origin), key.path)),
        }
    }

    /// A required key that was written wrongly has its fault already.
    fn look_for_missing(&mut self, keys: &[Key]) {
        for key in keys.iter().filter(|key| key.required) {
            let written = self.rows.iter().any(|row| row.key.path == key.path && row.value.is_some()) || self.faults.iter().any(|fault| fault.key == key.path);
            if !written {
                let said = Said::new(format!("`{}` is required: {}", key.path, key.meaning), format!("`{}` は必須です：{}", key.path, key.meaning_ja));
                self.fault(said.fault(None, key.path));
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

/// A file's name as part of a dotted path; quoted unless bare, so that `"a.b"` is not `a.b`.
fn segment(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { format!("\"{name}\"") }
}
