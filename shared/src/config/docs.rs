//! The reference page and the sample file, both printed from the key table.

use super::Secret;
use super::key::{Key, Kind};
use super::value::{Raw, Value};

/// A Markdown table of all keys, in table order.
pub fn reference(keys: &[Key], env_prefix: &str) -> String {
    let mut out = String::from("| Key | Type | Default | Environment variable | Meaning | 意味 |\n|---|---|---|---|---|---|\n");
    for key in keys {
        if let Kind::Tables { keys, .. } = key.kind {
            out.push_str(&reference_row(key, key.path, "only in a file"));
            keys.iter().for_each(|inner| out.push_str(&reference_row(inner, &format!("{}.ALIAS.{}", key.path, inner.path), "only in a file")));
        } else {
            out.push_str(&reference_row(key, key.path, &format!("`{}`", key.env_name(env_prefix))));
        }
    }
    out
}

fn reference_row(key: &Key, path: &str, variable: &str) -> String {
    let default = match key.default {
        Some(_) => format!("`{}`", written(key)),
        None if key.required => "required".to_owned(),
        None => "not set".to_owned(),
    };
    let secret = if key.secret { "; secret, not with `--set`" } else { "" };
    let cells = [format!("`{path}`"), key.kind.describe() + secret, default, variable.to_owned(), key.meaning.to_owned(), key.meaning_ja.to_owned()];
    let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
    format!("| {} |\n", cells.join(" | "))
}

/// A file with every key commented out at its default, or at an example where there is none.
pub fn sample_toml(keys: &[Key]) -> String {
    let (tables, keys): (Vec<&Key>, Vec<&Key>) = keys.iter().partition(|key| matches!(key.kind, Kind::Tables { .. }));
    let mut sections: Vec<&str> = Vec::new();
    for key in &keys {
        if !sections.contains(&split(key).0) {
            sections.push(split(key).0);
        }
    }
    // Keys without a section must come before the first header.
    sections.sort_by_key(|section| !section.is_empty());
    let mut out = String::new();
    for section in sections {
        if !section.is_empty() {
            out.push_str(&format!("[{section}]\n\n"));
        }
        for key in keys.iter().filter(|key| split(key).0 == section) {
            out.push_str(&entry(key, split(key).1));
        }
    }
    for key in tables {
        let (meaning, meaning_ja, kind, path) = (key.meaning, key.meaning_ja, key.kind.describe(), key.path);
        out.push_str(&format!("# {meaning}\n# {meaning_ja}\n# {kind}\n#[{path}.alias]\n\n"));
        if let Kind::Tables { keys, .. } = key.kind {
            keys.iter().for_each(|inner| out.push_str(&entry(inner, inner.path)));
        }
    }
    out
}

fn entry(key: &Key, name: &str) -> String {
    let state = match (key.required, key.default) {
        (true, _) => "; required",
        (false, None) => "; not set unless written",
        (false, Some(_)) => "",
    };
    let kind = key.kind.describe();
    let (meaning, meaning_ja) = (key.meaning, key.meaning_ja);
    format!("# {meaning}\n# {meaning_ja}\n# {kind}{state}\n#{name} = {}\n\n", written(key))
}

/// Section and last segment; the section is empty for a key at the top.
fn split(key: &Key) -> (&'static str, &'static str) {
    key.path.rsplit_once('.').unwrap_or(("", key.path))
}

/// The default, or else an example, as a file would have it.
fn written(key: &Key) -> String {
    let text = key.default.map_or_else(|| key.kind.example(), str::to_owned);
    match Value::read(key, key.path, Raw::Loose(text)) {
        // A secret's example has to be valid TOML, which the shown form is not.
        Ok(Value::Secret(_)) => format!("\"{}\"", Kind::Text.example()),
        Ok(value) => value.show(),
        Err(_) => Secret::SHOWN.to_owned(),
    }
}
