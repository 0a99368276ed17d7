//! Writing the consent file for the facility's administrator: whole or not at all.

use crate::cli::Lang;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Window, show_offset};
use mimamori_shared::time;
use rustix::fs::Mode;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// What `consent grant` was told. Times are UTC, milliseconds since 1970.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Who approves.
    pub approver: String,
    /// Why.
    pub reason: String,
    /// From then on, included.
    pub from_ms: i64,
    /// Until then, not included.
    pub to_ms: i64,
    /// How.
    pub mode: ConsentMode,
    /// Local time of the windows, in seconds ahead of UTC.
    pub utc_offset_s: i32,
    /// Agreed windows.
    pub period: Vec<Window>,
    /// Quiet windows.
    pub quiet: Vec<Window>,
    /// Scopes.
    pub scopes: Vec<GrantedScope>,
    /// For trials.
    pub example: bool,
}

/// One scope, as the file names everything.
#[derive(Debug, Clone, Default)]
pub struct GrantedScope {
    /// The scope.
    pub name: String,
    /// Its shortest interval.
    pub every: Option<String>,
    /// Fields and sections that are held back.
    pub except: Vec<String>,
    /// Fields that leave only because they stand here.
    pub include: Vec<String>,
}

/// A text as TOML quotes it. JSON's escapes are TOML's; control characters do not come through `parse`'s callers.
fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default().replace('\u{7f}', "\\u007f")
}

/// The text of the consent file.
#[must_use]
pub fn text(grant: &Grant) -> String {
    let mut out = format!(
        "version = 1\napprover = {}\nreason = {}\nvalid_from = \"{}\"\nvalid_to = \"{}\"\nmode = \"{}\"\nutc_offset = \"{}\"\n",
        quote(&grant.approver),
        quote(&grant.reason),
        time::show(grant.from_ms),
        time::show(grant.to_ms),
        grant.mode.name(),
        show_offset(grant.utc_offset_s)
    );
    if grant.example {
        out.push_str("example = true\n");
    }
    for (key, windows) in [("period", &grant.period), ("quiet", &grant.quiet)] {
        for window in windows {
            let shown = window.show();
            let (days, hours) = shown.split_once(' ').unwrap_or_default();
            let (from, to) = hours.split_once('-').unwrap_or_default();
            out.push_str(&format!("\n[[{key}]]\ndays = \"{days}\"\nfrom = \"{from}\"\nto = \"{to}\"\n"));
        }
    }
    out.push_str("\n[scopes]\n");
    for scope in &grant.scopes {
        let mut parts: Vec<String> = scope.every.iter().map(|every| format!("every = {}", quote(every))).collect();
        for (key, names) in [("except", &scope.except), ("include", &scope.include)] {
            if !names.is_empty() {
                parts.push(format!("{key} = [{}]", names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")));
            }
        }
        out.push_str(&format!("{} = {{ {} }}\n", quote(&scope.name), parts.join(", ")));
    }
    out
}

/// The text of a consent file with its withdrawal; everything else in it stays.
#[must_use]
pub fn withdrawn(text: &str, keep: bool) -> String {
    let head_ends = text.lines().position(|line| line.trim_start().starts_with('[')).unwrap_or(usize::MAX);
    let is_ours =
        |line: &str| ["withdrawn", "unsent"].iter().any(|key| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('=')));
    let kept: Vec<&str> = text.lines().enumerate().filter(|(place, line)| *place >= head_ends || !is_ours(line)).map(|(_, line)| line).collect();
    format!("withdrawn = true\nunsent = \"{}\"\n{}\n", if keep { "keep" } else { "purge" }, kept.join("\n"))
}

/// Puts a file in its place so that a reader sees the old one or the new one, also after a power cut; everybody may
/// read it.
///
/// # Errors
/// When the folder cannot be written.
pub fn put(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let temporary = folder.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    // One that a process of the same number left behind when the power failed.
    drop(fs::remove_file(&temporary));
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary)?;
        // The account's umask may have taken bits away.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        // Nothing is left behind; whether it can be removed says nothing new.
        drop(fs::remove_file(&temporary));
    }
    written
}

/// What of a consent a person reads: how, when, and how often what.
#[must_use]
pub fn summary(terms: &ConsentTerms, lang: Lang) -> Vec<String> {
    let mode = match terms.mode {
        ConsentMode::Continuous => lang.of("continuous", "常時"),
        ConsentMode::Periodic => lang.of("periodic", "合意した時間帯のみ"),
        ConsentMode::OnDemand => lang.of("on demand", "依頼時のみ"),
    };
    let mut lines = vec![format!("{mode}, UTC{}", show_offset(terms.utc_offset_s))];
    lines.extend(terms.windows.iter().map(|window| format!("{} {}", lang.of("period", "時間帯"), window.show())));
    lines.extend(terms.quiet.iter().map(|window| format!("{} {}", lang.of("quiet", "静穏時間帯"), window.show())));
    lines
}
