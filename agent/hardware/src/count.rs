//! Counts lines of the journal while journalctl prints them. Their text ends here: what comes out is numbers.

use mimamori_parse::hardware::ALIASES_MAX;
use serde::Deserialize;
use serde_json::Value;

/// Longest line that is looked at, in bytes. journalctl itself leaves out fields above 4 KiB.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Longest cursor, in bytes.
const CURSOR_BYTES_MAX: usize = 512;

/// How a line of the kernel is classed; `None` when it is of no class.
pub type ClassOf = fn(&str) -> Option<&'static str>;

/// One entry of the journal, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "MESSAGE", default)]
    message: Value,
    #[serde(rename = "_SYSTEMD_UNIT", default)]
    unit: Value,
    #[serde(rename = "__CURSOR")]
    cursor: String,
}

/// What came of reading.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    /// The present line is too long and is passed over.
    over: bool,
    /// The place behind the last entry that was counted.
    pub(crate) cursor: Option<String>,
    /// Lines that were no entries.
    pub(crate) foreign: u64,
}

impl Reader {
    /// Takes a piece of what journalctl prints; `each` gets text and unit of every whole entry.
    pub(crate) fn take(&mut self, piece: &[u8], each: &mut dyn FnMut(&str, Option<&str>)) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            if self.line.len() + text.len() > LINE_BYTES_MAX {
                self.over = true;
                self.line.clear();
            }
            if !self.over {
                self.line.extend_from_slice(text);
            }
            if whole {
                self.end_of_line(each);
            }
        }
    }

    fn end_of_line(&mut self, each: &mut dyn FnMut(&str, Option<&str>)) {
        let entry = if self.over { None } else { serde_json::from_slice::<Entry>(&self.line).ok().filter(|entry| is_cursor(&entry.cursor)) };
        self.line.clear();
        self.over = false;
        let Some(entry) = entry else {
            self.foreign += 1;
            return;
        };
        if let Some(text) = text(&entry.message) {
            each(&text, entry.unit.as_str());
        }
        self.cursor = Some(entry.cursor);
    }
}

/// The message: text, or a list of bytes where it is no UTF-8.
fn text(message: &Value) -> Option<String> {
    match message {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> = bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => None,
    }
}

/// A cursor becomes an argument in the next run.
pub(crate) fn is_cursor(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'=' | b';' | b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= CURSOR_BYTES_MAX && text.bytes().all(inner)
}

/// Adds one, unless that would make too many names.
pub(crate) fn add_one(counts: &mut std::collections::BTreeMap<String, u64>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count = count.saturating_add(1);
    } else if counts.len() < ALIASES_MAX {
        counts.insert(name.to_owned(), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn seen(reader: &mut Reader, pieces: &[&[u8]]) -> Vec<(String, Option<String>)> {
        let mut seen = Vec::new();
        for piece in pieces {
            reader.take(piece, &mut |text, unit| seen.push((text.to_owned(), unit.map(str::to_owned))));
        }
        seen
    }

    #[test]
    fn entries_are_read_from_any_pieces() {
        let lines = format!(
            "{}\n{}\n{}\n{}\nnoise\n",
            json!({"__CURSOR": "s=1;i=1", "MESSAGE": "one", "_SYSTEMD_UNIT": "a.service"}),
            json!({"__CURSOR": "s=1;i=2", "MESSAGE": [116, 119, 111, 255]}),
            json!({"__CURSOR": "s=1;i=3", "MESSAGE": null}),
            json!({"__CURSOR": "--rm -rf", "MESSAGE": "hostile cursor"}),
        );
        let want = vec![("one".to_owned(), Some("a.service".to_owned())), ("two\u{fffd}".to_owned(), None)];
        for size in [1, 7, 4096] {
            let mut reader = Reader::default();
            let pieces: Vec<&[u8]> = lines.as_bytes().chunks(size).collect();
            assert_eq!(seen(&mut reader, &pieces), want, "{size}");
            assert_eq!((reader.cursor.as_deref(), reader.foreign), (Some("s=1;i=3"), 2));
        }
    }

    #[test]
    fn what_is_cut_off_is_not_counted_and_is_read_again() {
        let mut reader = Reader::default();
        let line = json!({"__CURSOR": "s=1;i=1", "MESSAGE": "one"}).to_string();
        assert_eq!(seen(&mut reader, &[line.as_bytes()]).len(), 0);
        assert_eq!(reader.cursor, None);
    }

    #[test]
    fn an_endless_line_takes_no_memory_and_the_next_one_counts() {
        let mut reader = Reader::default();
        for _ in 0..1000 {
            reader.take(&[b'x'; 4096], &mut |_, _| {});
            assert!(reader.line.len() <= LINE_BYTES_MAX);
        }
        let line = format!("\n{}\n", json!({"__CURSOR": "s=1;i=1", "MESSAGE": "one"}));
        assert_eq!((seen(&mut reader, &[line.as_bytes()]).len(), reader.foreign), (1, 1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, cut in 0_usize..64) {
            let mut reader = Reader::default();
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            let count = seen(&mut reader, &[a, b, b"\n"]).len();
            prop_assert!(count == 0 && reader.cursor.is_none());
        }
    }
}
