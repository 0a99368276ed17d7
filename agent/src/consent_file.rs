//! The facility's consent file: read, checked, and brought into the form that travels.
//!
//! A consent counts only if the account the agent runs under could not have written it: the file, and every folder
//! above it, must belong to others and be closed to writing for it, access lists included. The one exception is a
//! consent marked `example`, for trying the program on one's own machine against a collector on loopback.

use mimamori_shared::config::{parse_duration, suggest};
use mimamori_shared::consent::{ConsentMode, ConsentTerms, ScopeTerms};
use mimamori_shared::fields::{Scope, fields};
use mimamori_shared::limits::{INTERVAL_S_MAX, INTERVAL_S_MIN};
use mimamori_shared::sign::hmac;
use mimamori_shared::time;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Largest consent file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Links followed on the way to it.
const LINKS_MAX: usize = 16;

/// A consent with the people in it, for showing on this machine only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentFile {
    /// What travels.
    pub terms: ConsentTerms,
    /// Who approved. Stays here.
    pub approver: String,
    /// Why. Stays here.
    pub reason: String,
}

/// Why there is no consent. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoConsent {
    /// There is no file.
    #[error("there is no consent at {0}: the facility's administrator puts it there (see docs/CONSENT.md)")]
    Missing(String),
    /// It cannot be read.
    #[error("the consent at {0} cannot be read: {1}; let the agent's account read it")]
    Unreadable(String, String),
    /// It says something that cannot be understood; all faults.
    #[error("the consent at {0} is not understood: {1}")]
    Faults(String, String),
    /// The agent's own account could have written it.
    #[error("the consent at {path} proves nothing: the agent's account could change {what}; let the administrator own it and close it to writing")]
    NotProven {
        /// Which file.
        path: String,
        /// What could be changed.
        what: String,
    },
    /// It has not begun.
    #[error("the consent begins at {0}")]
    NotYet(String),
    /// It has ended.
    #[error("the consent ended at {0}; ask the facility for a new one")]
    Expired(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u8,
    approver: String,
    reason: String,
    valid_from: String,
    valid_to: String,
    #[serde(default)]
    mode: Option<ConsentMode>,
    #[serde(default)]
    example: bool,
    scopes: BTreeMap<String, RawScope>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScope {
    #[serde(default)]
    every: Option<String>,
    #[serde(default)]
    except: Vec<String>,
}

/// Reads and checks the text of a consent file. `salt` keys the hash of approver and reason.
///
/// # Errors
/// All faults, each naming the key and the mend.
pub fn parse(text: &str, salt: &[u8; 32]) -> Result<ConsentFile, Vec<String>> {
    let raw: Raw = toml::from_str(text).map_err(|fault| vec![fault.message().to_owned()])?;
    let mut faults = Vec::new();
    if raw.version != 1 {
        faults.push(format!("version = {}: this agent understands version 1", raw.version));
    }
    let mut moment = |key: &str, text: &str| {
        time::parse(text).unwrap_or_else(|fault| {
            faults.push(format!("{key} = \"{text}\": {fault}"));
            0
        })
    };
    let (valid_from_ms, valid_to_ms) = (moment("valid_from", &raw.valid_from), moment("valid_to", &raw.valid_to));
    if valid_to_ms <= valid_from_ms {
        faults.push("valid_to: it must lie behind valid_from".to_owned());
    }
    if raw.mode.is_some_and(|mode| mode != ConsentMode::Continuous) {
        faults.push("mode: this version collects continuously or not at all; write mode = \"continuous\" or leave it out".to_owned());
    }
    if raw.approver.trim().is_empty() {
        faults.push("approver: somebody at the facility must have approved".to_owned());
    }
    let mut scopes = BTreeMap::new();
    for (name, scope) in &raw.scopes {
        match Scope::from_name(name) {
            Some(known) => {
                scopes.insert(known, scope_terms(known, scope, &mut faults));
            }
            None => {
                let hint = suggest(name, Scope::ALL.into_iter().map(Scope::name));
                let hint = hint.map(|hint| format!(", did you mean `{hint}`?")).unwrap_or_default();
                faults.push(format!("scopes.{name}: there is no such scope{hint}"));
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let approval_hash = hmac(salt, format!("{}\n{}", raw.approver, raw.reason).as_bytes());
    let mode = raw.mode.unwrap_or(ConsentMode::Continuous);
    let terms = ConsentTerms { v: 1, valid_from_ms, valid_to_ms, mode, scopes, approval_hash, example: raw.example };
    Ok(ConsentFile { terms, approver: raw.approver, reason: raw.reason })
}

fn scope_terms(scope: Scope, raw: &RawScope, faults: &mut Vec<String>) -> ScopeTerms {
    let every_s = match raw.every.as_deref().map(parse_duration) {
        None => 60,
        Some(Ok(seconds)) if (INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(&seconds) => seconds,
        Some(Ok(_)) => {
            faults.push(format!("scopes.{}.every: must be from {INTERVAL_S_MIN}s to 1d", scope.name()));
            60
        }
        Some(Err(fault)) => {
            faults.push(format!("scopes.{}.every: {fault}", scope.name()));
            60
        }
    };
    let mut except = Vec::new();
    for path in &raw.except {
        match fields().find(|field| field.scope == scope && (field.path() == *path || field.section == path)) {
            Some(_) => except.extend(fields().filter(|field| field.scope == scope && (field.path() == *path || field.section == path)).map(|field| field.id)),
            None => {
                let paths: Vec<String> = fields().filter(|field| field.scope == scope).map(mimamori_shared::fields::Field::path).collect();
                let hint = suggest(path, paths.iter().map(String::as_str)).map(|hint| format!(", did you mean `{hint}`?")).unwrap_or_default();
                faults.push(format!("scopes.{}.except: `{path}` is no field of this scope{hint}", scope.name()));
            }
        }
    }
    except.sort_unstable();
    except.dedup();
    ScopeTerms { every_s, except }
}

/// Reads the consent in force at `now_ms`. `loopback` says whether the collector is on this machine: only then an
/// example is enough.
///
/// # Errors
/// [`NoConsent`] says why there is none and what to do.
pub fn load(path: &Path, salt: &[u8; 32], now_ms: i64, loopback: bool) -> Result<ConsentFile, NoConsent> {
    let shown = path.display().to_string();
    let text = read(path, &shown)?;
    let consent = parse(&text, salt).map_err(|faults| NoConsent::Faults(shown.clone(), faults.join("; ")))?;
    if !(consent.terms.example && loopback)
        && let Some(what) = writable(path)
    {
        return Err(NoConsent::NotProven { path: shown, what });
    }
    if now_ms < consent.terms.valid_from_ms {
        return Err(NoConsent::NotYet(time::show(consent.terms.valid_from_ms)));
    }
    if now_ms >= consent.terms.valid_to_ms {
        return Err(NoConsent::Expired(time::show(consent.terms.valid_to_ms)));
    }
    Ok(consent)
}

fn read(path: &Path, shown: &str) -> Result<String, NoConsent> {
    let unreadable = |fault: std::io::Error| match fault.kind() {
        std::io::ErrorKind::NotFound => NoConsent::Missing(shown.to_owned()),
        _ => NoConsent::Unreadable(shown.to_owned(), fault.to_string()),
    };
    let meta = fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() || meta.len() > FILE_BYTES_MAX {
        return Err(NoConsent::Unreadable(shown.to_owned(), format!("it is no file of at most {FILE_BYTES_MAX} bytes")));
    }
    fs::read_to_string(path).map_err(unreadable)
}

/// What of the file and the folders above it the running account could change; `None` when nothing.
fn writable(path: &Path) -> Option<String> {
    let me = rustix::process::geteuid().as_raw();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = fs::canonicalize(path).ok();
    // Every link on the way: whoever owns one of them decides where it leads.
    let mut links = Vec::new();
    let mut at = absolute.clone();
    while let (Ok(target), true) = (fs::read_link(&at), links.len() < LINKS_MAX) {
        at = at.parent().unwrap_or(Path::new("/")).join(target);
        links.push(at.clone());
    }
    // Both the way that is written down and the one behind links count. What cannot be looked at from here
    // cannot be changed from here.
    let ways: Vec<_> = [Some(path.to_owned()), Some(absolute), real].into_iter().flatten().chain(links).collect();
    for step in ways.iter().flat_map(|way| way.ancestors()).filter(|step| !step.as_os_str().is_empty()) {
        let owned = fs::symlink_metadata(step).is_ok_and(|meta| meta.uid() == me);
        let open = accessat(CWD, step, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
        // A folder with the sticky bit, such as /tmp, lets nobody rename what belongs to others.
        let sticky = fs::metadata(step).is_ok_and(|meta| meta.is_dir() && meta.mode() & 0o1000 != 0 && meta.uid() != me);
        if owned || (open && !sticky) {
            return Some(step.display().to_string());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
version = 1
approver = "Administrator on duty"
reason = "maintenance contract"
valid_from = "2026-01-01T00:00:00+09:00"
valid_to = "2027-01-01T00:00:00+09:00"
[scopes]
heartbeat = { every = "60s" }
performance = { every = "5m", except = ["cpu.steal_ms", "load"] }
"#;

    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let faults = parse(&text, &[0; 32]).unwrap_err().join("; ");
        assert!(faults.contains(expected), "{faults}");
    }

    #[test]
    fn a_good_file_gives_terms_without_people() {
        let consent = parse(GOOD, &[0; 32]).unwrap();
        let json = serde_json::to_string(&consent.terms).unwrap();
        assert!(!json.contains("duty") && !json.contains("contract"), "{json}");
        assert_eq!(consent.terms.scopes[&Scope::Performance], ScopeTerms { every_s: 300, except: vec![8, 20, 21, 22] });
        assert_ne!(parse(GOOD, &[1; 32]).unwrap().terms.approval_hash, consent.terms.approval_hash);
    }

    #[test]
    fn every_mistake_is_named_with_its_mend() {
        check("version = 1", "version = 2", "version 1");
        check("2026-01-01T00:00:00+09:00", "yesterday", "valid_from");
        check("2027-01-01", "2025-01-01", "behind valid_from");
        check("heartbeat", "hartbeat", "did you mean `heartbeat`");
        check("cpu.steal_ms", "cpu.stael_ms", "did you mean `cpu.steal_ms`");
        check("Administrator on duty", " ", "approver");
        check("every = \"5m\"", "every = \"often\"", "every");
        check("every = \"5m\"", "every = \"10000000000000000000s\"", "every");
        check("every = \"5m\"", "every = \"2d\"", "from 5s to 1d");
        check("version = 1", "version = 1\nmode = \"on_demand\"", "continuous");
        check("reason =", "raeson =", "raeson");
        check("[scopes]", "[scoops]", "scoops");
    }

    #[test]
    fn only_its_time_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("consent.toml");
        assert!(matches!(load(&path, &[0; 32], 0, true), Err(NoConsent::Missing(_))));
        fs::write(&path, GOOD.replace("version = 1", "version = 1\nexample = true")).unwrap();
        let at = |text: &str| load(&path, &[0; 32], time::parse(text).unwrap(), true);
        assert!(matches!(at("2025-12-31T23:59:59+09:00"), Err(NoConsent::NotYet(_))));
        assert!(at("2026-01-01T00:00:00+09:00").is_ok());
        assert!(matches!(at("2027-01-01T00:00:00+09:00"), Err(NoConsent::Expired(_))));
    }

    #[test]
    fn what_the_agent_could_have_written_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("consent.toml");
        fs::write(&path, GOOD).unwrap();
        let now = time::parse("2026-06-01T00:00:00Z").unwrap();
        assert!(matches!(load(&path, &[0; 32], now, true), Err(NoConsent::NotProven { .. })));
        fs::write(&path, GOOD.replace("version = 1", "version = 1\nexample = true")).unwrap();
        assert!(load(&path, &[0; 32], now, true).is_ok());
        assert!(matches!(load(&path, &[0; 32], now, false), Err(NoConsent::NotProven { .. })));
    }
}
