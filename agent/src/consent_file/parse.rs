//! From the text of a consent file to terms without people.

use super::ConsentFile;
use mimamori_shared::config::{parse_duration, suggest};
use mimamori_shared::consent::{ConsentMode, ConsentTerms, ScopeTerms, UTC_OFFSET_S, WINDOWS_MAX, Window, parse_offset};
use mimamori_shared::fields::{Field, Scope, fields, named};
use mimamori_shared::limits::{INTERVAL_S_MAX, INTERVAL_S_MIN};
use mimamori_shared::sign::hmac;
use mimamori_shared::time;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The interval of a scope that names none, in seconds.
const EVERY_S: u64 = 60;

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
    utc_offset: Option<String>,
    #[serde(default)]
    period: Vec<RawWindow>,
    #[serde(default)]
    quiet: Vec<RawWindow>,
    #[serde(default)]
    example: bool,
    #[serde(default)]
    withdrawn: bool,
    #[serde(default)]
    unsent: Option<Unsent>,
    scopes: BTreeMap<String, RawScope>,
}

/// What a withdrawal does with what was not sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unsent {
    Purge,
    Keep,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    days: String,
    from: String,
    to: String,
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
    let (valid_from_ms, valid_to_ms) = validity(&raw, &mut faults);
    if raw.approver.trim().is_empty() {
        faults.push("approver: somebody at the facility must have approved".to_owned());
    }
    if raw.unsent.is_some() && !raw.withdrawn {
        faults.push("unsent: it says what a withdrawal does; write withdrawn = true with it, or leave it out".to_owned());
    }
    let mode = raw.mode.unwrap_or(ConsentMode::Continuous);
    if (mode == ConsentMode::Periodic) == raw.period.is_empty() {
        faults.push("mode = \"periodic\" and [[period]] belong together: write both or neither".to_owned());
    }
    let utc_offset_s = raw.utc_offset.as_deref().map_or(Ok(UTC_OFFSET_S), parse_offset).unwrap_or_else(|fault| {
        faults.push(format!("utc_offset: {fault}"));
        UTC_OFFSET_S
    });
    let windows = windows("period", &raw.period, &mut faults);
    let quiet = self::windows("quiet", &raw.quiet, &mut faults);
    let scopes = scopes(&raw.scopes, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let approval_hash = hmac(salt, format!("{}\n{}", raw.approver, raw.reason).as_bytes());
    let terms = ConsentTerms { v: 1, valid_from_ms, valid_to_ms, mode, utc_offset_s, windows, quiet, scopes, approval_hash, example: raw.example };
    let withdrawn_keeping = raw.withdrawn.then_some(raw.unsent == Some(Unsent::Keep));
    Ok(ConsentFile { terms, approver: raw.approver, reason: raw.reason, withdrawn_keeping })
}

fn validity(raw: &Raw, faults: &mut Vec<String>) -> (i64, i64) {
    let mut moment = |key: &str, text: &str| {
        time::parse(text).unwrap_or_else(|fault| {
            faults.push(format!("{key} = \"{text}\": {fault}"));
            0
        })
    };
    let (from_ms, to_ms) = (moment("valid_from", &raw.valid_from), moment("valid_to", &raw.valid_to));
    if to_ms <= from_ms {
        faults.push("valid_to: it must lie behind valid_from".to_owned());
    }
    (from_ms, to_ms)
}

fn windows(key: &str, raw: &[RawWindow], faults: &mut Vec<String>) -> Vec<Window> {
    if raw.len() > WINDOWS_MAX {
        faults.push(format!("{key}: at most {WINDOWS_MAX} windows"));
    }
    let mut read = Vec::new();
    for window in raw.iter().take(WINDOWS_MAX) {
        match Window::parse(&window.days, &window.from, &window.to) {
            Ok(window) => read.push(window),
            Err(fault) => faults.push(format!("{key}: {fault}")),
        }
    }
    read
}

fn scopes(raw: &BTreeMap<String, RawScope>, faults: &mut Vec<String>) -> BTreeMap<Scope, ScopeTerms> {
    let mut scopes = BTreeMap::new();
    for (name, scope) in raw {
        match Scope::from_name(name) {
            Some(known) => {
                scopes.insert(known, scope_terms(known, scope, faults));
            }
            None => {
                let hint = suggest(name, Scope::ALL.into_iter().map(Scope::name));
                let hint = hint.map(|hint| format!(", did you mean `{hint}`?")).unwrap_or_default();
                faults.push(format!("scopes.{name}: there is no such scope{hint}"));
            }
        }
    }
    scopes
}

fn scope_terms(scope: Scope, raw: &RawScope, faults: &mut Vec<String>) -> ScopeTerms {
    let every_s = match raw.every.as_deref().map(parse_duration) {
        None => EVERY_S,
        Some(Ok(seconds)) if (INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(&seconds) => seconds,
        Some(Ok(_)) => {
            faults.push(format!("scopes.{}.every: must be from {INTERVAL_S_MIN}s to 1d", scope.name()));
            EVERY_S
        }
        Some(Err(fault)) => {
            faults.push(format!("scopes.{}.every: {fault}", scope.name()));
            EVERY_S
        }
    };
    let own: Vec<&Field> = fields().filter(|field| field.scope == scope).collect();
    let mut except = Vec::new();
    for name in &raw.except {
        let ids = named(name);
        let mut held_back: Vec<u16> = own.iter().map(|field| field.id).filter(|id| ids.contains(id)).collect();
        if held_back.is_empty() {
            let paths: Vec<String> = own.iter().map(|field| field.path()).collect();
            let hint = suggest(name, paths.iter().map(String::as_str)).map(|hint| format!(", did you mean `{hint}`?")).unwrap_or_default();
            faults.push(format!("scopes.{}.except: `{name}` is no field of this scope{hint}", scope.name()));
        }
        except.append(&mut held_back);
    }
    except.sort_unstable();
    except.dedup();
    ScopeTerms { every_s, except }
}
