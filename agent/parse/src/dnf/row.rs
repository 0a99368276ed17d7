//! Rows of dnf's and yum's lists.

use crate::when::{Order, When};

/// A row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// The beginning of a row; the next line goes on.
    Part,
    /// `name.arch version repository`.
    Package { name: String, installed: bool },
    /// `advisory type package`, or of dnf 5 `advisory type severity package date time`.
    Advisory { package: String, security: bool, issued: Option<When>, installed: bool },
}

const ARCHITECTURES: &[&str] = &[
    "x86_64",
    "noarch",
    "i686",
    "i586",
    "i486",
    "i386",
    "aarch64",
    "armv7hl",
    "armv7l",
    "ppc64le",
    "ppc64",
    "ppc",
    "s390x",
    "s390",
    "riscv64",
    "loongarch64",
    "sw_64",
    "ia64",
    "src",
];
const TYPES: &[&str] =
    &["security", "bugfix", "enhancement", "newpackage", "recommended", "optional", "feature", "unknown", "unspecified", "none", "unknown/sec."];
const SEVERITIES: &[&str] = &["none", "low", "moderate", "medium", "important", "critical", "unknown", "unspecified"];

/// What the words of a line are, when they are a row. Marks of colour or order before it (`i`, `*`) are left out.
pub(super) fn read(words: &[String]) -> Option<Row> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["i" | "I", rest @ ..] => advisory(rest, true),
        [name] if with_architecture(name) => Some(Row::Part),
        [name, version] if with_architecture(name) && is_version(version) => Some(Row::Part),
        [name, version, repository] if with_architecture(name) && is_version(version) => {
            Some(Row::Package { name: (*name).to_owned(), installed: repository.starts_with('@') })
        }
        rest => advisory(rest, false),
    }
}

fn advisory(words: &[&str], installed: bool) -> Option<Row> {
    let (id, kind, package, date) = match words {
        [id, kind, package] => (id, kind, package, None),
        [id, kind, severity, package, date @ ..] if date.len() <= 2 && SEVERITIES.contains(&severity.to_ascii_lowercase().as_str()) => {
            (id, kind, package, Some(date.join(" ")))
        }
        _ => return None,
    };
    let kind = kind.to_ascii_lowercase();
    let security = kind == "security" || kind.ends_with("/sec.");
    if !(security || TYPES.contains(&kind.as_str())) || !id.bytes().any(|b| b.is_ascii_digit()) || !with_architecture(package) {
        return None;
    }
    // Without a zone.
    let issued = date.and_then(|date| When::read(&date, Order::Unknown));
    Some(Row::Advisory { package: without_version(package), security, issued, installed })
}

fn with_architecture(name: &str) -> bool {
    name.len() <= 256 && name.rsplit_once('.').is_some_and(|(name, architecture)| !name.is_empty() && ARCHITECTURES.contains(&architecture))
}

fn is_version(word: &str) -> bool {
    word.bytes().any(|b| b.is_ascii_digit()) && word.contains('-')
}

/// `glibc-2.29-29.fc30.x86_64` without its version and release: of one package an advisory follows another.
fn without_version(package: &str) -> String {
    let (package, architecture) = package.rsplit_once('.').unwrap_or((package, ""));
    let name = package.rsplit_once('-').and_then(|(package, _)| package.rsplit_once('-')).map_or(package, |(name, _)| name);
    format!("{name}.{architecture}")
}
