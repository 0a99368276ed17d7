//! Printing for people and programs: no text of a stranger draws, hides or begins lines.

use crate::{Lang, Output};
use mimamori_shared::error::plain;
use serde_json::Value;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Data goes to standard output.
pub fn print(text: &str) {
    let shown: Vec<String> = text.split('\n').map(|line| line.split('\t').map(plain).collect::<Vec<_>>().join("\t")).collect();
    // A reader that has gone away wants nothing more.
    drop(io::stdout().lock().write_all(shown.join("\n").as_bytes()));
}

/// One compact JSON object a line.
pub fn print_json(value: &Value) {
    print(&format!("{value}\n"));
}

impl Output {
    /// Says what was done or found: lines for people, or one object with a schema version.
    pub fn say(self, value: &Value, text: &str) {
        if self.json { print_json(value) } else { print(text) }
    }
}

/// Reasons go to standard error, each line behind the program's name.
pub fn complain(program: &str, text: &str) {
    for line in text.lines() {
        // Nobody may be listening: no reason to fail a second time.
        drop(writeln!(io::stderr(), "{program}: {}", plain(line)));
    }
}

/// Whether writing failed only because the reader has seen enough, as behind `| head`.
#[must_use]
pub fn reader_left(fault: &io::Error) -> bool {
    fault.kind() == io::ErrorKind::BrokenPipe
}

/// A path as it is found from every folder: a wrapper may have started the program in another one than its caller's.
#[must_use]
pub fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Why a file that was asked for cannot be written, and the mend.
#[must_use]
pub fn unwritable(path: &Path, fault: &io::Error, lang: Lang) -> String {
    let (shown, no) = (whole(path), lang.of("cannot be written", "に書き込めません"));
    let mend = match fault.kind() {
        io::ErrorKind::PermissionDenied => lang.of(
            "; where this account may not write, leave the option out and write `> FILE` behind the command",
            "。このアカウントが書き込めない場所には、オプションを付けずに`> FILE`で書き出してください",
        ),
        io::ErrorKind::AlreadyExists => lang.of("; name a file that is not there yet", "。まだないファイルを指定してください"),
        _ => "",
    };
    format!("{} {no}: {fault}{mend}", shown.display())
}

/// A path as a shell takes it.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let (path, harmless) = (path.display().to_string(), |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_'));
    if path.chars().all(harmless) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// Text with spaces behind it up to `width` columns of a terminal, on which a Japanese character takes two.
#[must_use]
pub fn padded(text: &str, width: usize) -> String {
    let taken: usize = text.chars().map(|c| if c >= '\u{1100}' { 2 } else { 1 }).sum();
    format!("{text}{}", " ".repeat(width.saturating_sub(taken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_named_with_its_whole_path_and_the_mend() {
        let fault = io::Error::from(io::ErrorKind::PermissionDenied);
        let here = std::env::current_dir().unwrap().join("some/file");
        for (lang, mend) in [(Lang::En, "leave the option out"), (Lang::Ja, "オプションを付けずに")] {
            let said = unwritable(Path::new("some/file"), &fault, lang);
            assert!(said.starts_with(&here.display().to_string()) && said.contains(mend), "{said}");
        }
        assert!(!unwritable(Path::new("/x"), &io::Error::from(io::ErrorKind::NotFound), Lang::En).contains("option"));
    }

    #[test]
    fn a_path_is_quoted_for_the_shell_only_where_it_must_be() {
        assert_eq!((quoted(Path::new("/a/b-1.x")), quoted(Path::new("/a b/it's"))), ("/a/b-1.x".to_owned(), "'/a b/it'\\''s'".to_owned()));
    }

    #[test]
    fn columns_stand_below_each_other_in_both_languages() {
        assert_eq!((padded("up", 6), padded("稼働", 6), padded("too long", 3)), ("up    ".to_owned(), "稼働  ".to_owned(), "too long".to_owned()));
    }
}
