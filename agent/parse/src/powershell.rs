//! PowerShell's three ways to show objects, each as rows of properties.

use crate::{RECORDS_MAX, Unreadable};
use serde_json::Value;
use std::collections::BTreeMap;

/// Properties of one object, by name in lower case.
pub(crate) type Row = BTreeMap<String, String>;

/// Rows looked at: two commands may tell of each thing, and once more.
const ROWS_MAX: usize = 4 * RECORDS_MAX;
/// Properties of one object; Windows has about sixty.
const PROPERTIES_MAX: usize = 256;
/// Widest table, in columns of text.
const TABLE_MAX: usize = 4096;
/// Longest value, in bytes.
const VALUE_MAX: usize = 1024;

/// The rows of whichever form it is.
pub(crate) fn read(input: &str) -> Result<Vec<Row>, Unreadable> {
    if input.trim_start().starts_with(['{', '[']) {
        return Ok(json(&serde_json::from_str(input)?));
    }
    let lines: Vec<&str> = input.lines().collect();
    let mut rows = list(&lines);
    for (number, line) in lines.iter().enumerate() {
        let columns = columns(line);
        if columns.len() >= 2
            && let Some(header) = number.checked_sub(1).and_then(|above| lines.get(above))
        {
            table(header, &columns, lines.get(number + 1..).unwrap_or_default(), &mut rows);
        }
    }
    Ok(rows)
}

/// One object, a list of them, or a list in `value`, as old versions wrap it.
fn json(root: &Value) -> Vec<Row> {
    let list = root.get("value").and_then(Value::as_array).or_else(|| root.as_array());
    let objects: Vec<&Value> = list.map_or_else(|| vec![root], |list| list.iter().collect());
    let words = |value: &Value| match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    };
    let property = |(key, value): (&String, &Value)| {
        let shown = match value.get("value").unwrap_or(value) {
            Value::Array(list) => list.iter().take(16).filter_map(words).collect::<Vec<_>>().join(","),
            value => words(value)?,
        };
        (shown.len() <= VALUE_MAX).then(|| (key.to_ascii_lowercase(), shown))
    };
    objects
        .iter()
        .take(ROWS_MAX)
        .filter_map(|object| object.as_object())
        .map(|object| object.iter().take(PROPERTIES_MAX).filter_map(property).collect())
        .collect()
}

/// `Name   : value`, objects parted by empty lines or by a name that comes again.
fn list(lines: &[&str]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = Row::new();
    for line in lines {
        let property = line.split_once(" :").or_else(|| line.split_once(':')).map(|(key, value)| (key.trim(), value.trim()));
        let property = property.filter(|(key, _)| !key.is_empty() && key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric()));
        let again = property.is_some_and(|(key, _)| row.contains_key(&key.to_ascii_lowercase()));
        if (line.trim().is_empty() || again) && !row.is_empty() {
            rows.push(std::mem::take(&mut row));
        }
        if let Some((key, value)) = property.filter(|(_, value)| value.len() <= VALUE_MAX && row.len() < PROPERTIES_MAX) {
            row.insert(key.to_ascii_lowercase(), value.to_owned());
        }
        if rows.len() >= ROWS_MAX {
            return rows;
        }
    }
    if !row.is_empty() {
        rows.push(row);
    }
    rows
}

/// Where the columns of a table begin: the line of dashes below its header.
fn columns(line: &str) -> Vec<usize> {
    let dashes = line.trim_end();
    if dashes.is_empty() || dashes.len() > TABLE_MAX || dashes.bytes().any(|b| b != b'-' && b != b' ') {
        return Vec::new();
    }
    let begins = |(at, byte): (usize, u8)| (byte == b'-' && (at == 0 || dashes.as_bytes().get(at - 1) == Some(&b' '))).then_some(at);
    dashes.bytes().enumerate().filter_map(begins).take(PROPERTIES_MAX).collect()
}

/// The rows below a header, up to an empty line.
fn table(header: &str, columns: &[usize], lines: &[&str], rows: &mut Vec<Row>) {
    let names = cells(header, columns);
    for line in lines.iter().take_while(|line| !line.trim().is_empty()) {
        if rows.len() >= ROWS_MAX {
            return;
        }
        let named = names.iter().zip(cells(line, columns)).filter(|(name, value)| !name.is_empty() && value.len() <= VALUE_MAX);
        rows.push(named.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect());
    }
}

/// A line cut at the columns. A number that is longer than its header begins left of it, and wide characters shift what
/// stands right of them: so a cut moves left to where a space is.
fn cells(line: &str, columns: &[usize]) -> Vec<String> {
    let letters: Vec<char> = line.chars().collect();
    let mut cuts = vec![0];
    for column in columns.iter().skip(1) {
        let floor = cuts.last().copied().unwrap_or(0);
        let mut cut = (*column).min(letters.len());
        while cut > floor && letters.get(cut - 1).is_some_and(|letter| *letter != ' ') {
            cut -= 1;
        }
        cuts.push(cut);
    }
    cuts.push(letters.len());
    cuts.windows(2)
        .map(
            |pair| if let [from, to] = pair { letters.get(*from..*to).unwrap_or_default().iter().collect::<String>().trim().to_owned() } else { String::new() },
        )
        .collect()
}
