//! One source of configuration, not yet checked against the key table.

use super::key::Key;
use super::value::Raw;
use super::{FILE_BYTES_MAX, Fault, Origin, Said, did_you_mean, suggest};
use toml::de::{DeTable, DeValue};

/// What one source says. Later layers win over earlier ones, key by key.
#[derive(Debug, Default)]
pub struct Layer {
    pub(super) nodes: Vec<Node>,
}

/// Something written: a value or a section.
#[derive(Debug)]
pub(super) struct Node {
    /// One segment in a file, a whole dotted path elsewhere.
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) raw: Raw,
}

impl Layer {
    /// Reads the text of one TOML file; `name` is how faults call it.
    ///
    /// # Errors
    /// When the text is over [`FILE_BYTES_MAX`] or is not TOML; the fault names line and column.
    pub fn from_toml(name: &str, text: &str) -> Result<Layer, Fault> {
        let lines = Lines::of(name, text);
        if text.len() > FILE_BYTES_MAX {
            let said = Said::new(
                format!("the file has {} bytes, at most {FILE_BYTES_MAX} are read", text.len()),
                format!("ファイルが{}バイトあります。{FILE_BYTES_MAX}バイトまでです", text.len()),
            );
            return Err(said.fault(Some(lines.whole_file()), ""));
        }
        match DeTable::parse(text) {
            Ok(table) => Ok(Layer { nodes: section(&lines, table.get_ref()) }),
            Err(error) => {
                let start = error.span().map(|span| span.start);
                let column = start.map_or(1, |start| lines.column(text, start));
                // Only the message: the error's Display repeats the line, which may be secret.
                let message = error.message().replace(char::is_control, " ");
                let said = Said::new(format!("column {column}: not TOML: {message}"), format!("{column}文字目：TOMLとして読めません（{message}）"));
                Err(said.fault(Some(start.map_or_else(|| lines.whole_file(), |start| lines.origin(start))), ""))
            }
        }
    }

    /// Takes the variables that begin with `prefix`; see [`Key::env_name`].
    ///
    /// Variables the program uses otherwise (such as the one that names the file) must be left
    /// out by the caller: a variable with the prefix that is no key is a fault.
    pub fn from_env(prefix: &str, keys: &[Key], vars: impl Iterator<Item = (String, String)>) -> (Layer, Vec<Fault>) {
        let known: Vec<(String, &Key)> = keys.iter().map(|key| (key.env_name(prefix), key)).collect();
        let mut vars: Vec<(String, String)> = vars.filter(|(name, _)| name.starts_with(prefix)).collect();
        vars.sort_unstable();
        let mut layer = Layer::default();
        let mut faults = Vec::new();
        for (name, text) in vars {
            match known.iter().find(|(variable, _)| *variable == name) {
                Some((_, key)) => layer.nodes.push(Node { name: key.path.to_owned(), origin: Origin::Env(name), raw: Raw::Loose(text) }),
                None => {
                    let near = suggest(&name, known.iter().map(|(variable, _)| variable.as_str()));
                    let hint = did_you_mean(near);
                    let said = Said::new(format!("no such variable{}", hint.en), format!("そのような変数はありません{}", hint.ja));
                    faults.push(said.fault(Some(Origin::Env(name.clone())), name));
                }
            }
        }
        (layer, faults)
    }

    /// Takes repeated `--set key=value` arguments; the last of a key wins.
    ///
    /// # Errors
    /// At the first argument without `=` or without a key.
    pub fn from_flags(arguments: &[String]) -> Result<Layer, Fault> {
        let mut layer = Layer::default();
        for argument in arguments {
            let Some((key, text)) = argument.split_once('=').filter(|(key, _)| !key.trim().is_empty()) else {
                let said = Said::new("must be written key=value", "key=valueの形で書いてください");
                // Without a key the rest might be a secret value, so it is not repeated.
                let key = if argument.contains('=') { "=" } else { argument.as_str() };
                return Err(said.fault(Some(Origin::Flag(key.to_owned())), key));
            };
            let key = key.trim().to_owned();
            layer.nodes.push(Node { name: key.clone(), origin: Origin::Flag(key), raw: Raw::Loose(text.to_owned()) });
        }
        Ok(layer)
    }
}

/// Copies a section out of the parsed text, keeping the line of every key.
fn section(lines: &Lines, table: &DeTable<'_>) -> Vec<Node> {
    let node = |(name, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| Node {
        name: name.get_ref().to_string(),
        origin: lines.origin(name.span().start),
        raw: raw(lines, value.get_ref()),
    };
    table.iter().map(node).collect()
}

/// The recursion is as deep as the parser allows, which is a fixed number of levels.
fn raw(lines: &Lines, value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            i64::from_str_radix(&digits, number.radix()).map_or(Raw::Other("a number of more than 63 bits", "63ビットを超える数"), Raw::Integer)
        }
        DeValue::Float(_) => Raw::Other("a number with a fraction", "小数"),
        DeValue::Datetime(_) => Raw::Other("a date or time", "日時"),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(lines, item.get_ref())).collect()),
        DeValue::Table(table) => Raw::Table(section(lines, table)),
    }
}

/// Turns byte offsets of a file into lines.
struct Lines<'a> {
    name: &'a str,
    /// The offset after each line feed.
    starts: Vec<usize>,
}

impl Lines<'_> {
    fn of<'a>(name: &'a str, text: &str) -> Lines<'a> {
        Lines { name, starts: text.match_indices('\n').map(|(at, _)| at + 1).collect() }
    }

    fn whole_file(&self) -> Origin {
        Origin::File { name: self.name.to_owned(), line: None }
    }

    fn origin(&self, offset: usize) -> Origin {
        let line = self.starts.partition_point(|start| *start <= offset) + 1;
        Origin::File { name: self.name.to_owned(), line: Some(line) }
    }

    /// Counted from 1, in characters.
    fn column(&self, text: &str, offset: usize) -> usize {
        let start = self.starts.iter().rev().find(|start| **start <= offset).copied().unwrap_or(0);
        text.get(start..offset).map_or(1, |before| before.chars().count() + 1)
    }
}
