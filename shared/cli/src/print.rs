//! Printing for people and programs: no text of a stranger draws, hides or begins lines.

use mimamori_shared::error::plain;
use std::io::Write as _;

/// Data goes to standard output.
pub fn print(text: &str) {
    let shown: Vec<String> = text.split('\n').map(|line| line.split('\t').map(plain).collect::<Vec<_>>().join("\t")).collect();
    // A reader that has gone away wants nothing more.
    drop(std::io::stdout().lock().write_all(shown.join("\n").as_bytes()));
}

/// One compact JSON object a line.
pub fn print_json(value: &serde_json::Value) {
    print(&format!("{value}\n"));
}

/// Reasons go to standard error, each line behind the program's name.
pub fn complain(program: &str, text: &str) {
    for line in text.lines() {
        eprintln!("{program}: {}", plain(line));
    }
}
