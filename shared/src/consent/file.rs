//! From the text of a consent file to terms without people, and whether it still counts: for every program on the
//! machine alike. Who may have written the file is judged by whoever opens it.

use super::{ConsentMode, ConsentTerms, Mark, ScopeTerms, UTC_OFFSET_S, WINDOWS_MAX, Window, parse_offset};
use crate::config::{parse_duration, suggest};
use crate::fields::{Field, Scope, fields, named};
use crate::limits::{INTERVAL_S_MAX, INTERVAL_S_MIN};
use crate::sign::hmac;
use crate::time;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Largest consent file, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;
/// The interval of a scope that names none, in seconds.
const EVERY_S: u64 = 60;

/// A consent with the people in it, for showing on this machine only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentFile {
    /// What travels.
    pub terms: ConsentTerms,
    /// Who approved. Stays here.
    pub approver: String,
    /// Why. Stays here.
    pub reason: String,
    /// Set when it was taken back: whether what is unsent may still leave.
    pub withdrawn_keeping: Option<bool>,
}

/// Why a consent that can be understood does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    /// The facility took it back.
    Withdrawn {
        /// Whether what was collected under it and is unsent may still leave.
        keep: bool,
    },
    /// It begins at this moment, UTC, milliseconds since 1970.
    NotYet(i64),
    /// It ended at this moment, the same.
    Expired(i64),
}

impl ConsentFile {
    /// Whether it counts at `now_ms`, UTC, milliseconds since 1970. `text` is what it was read from, `mark` the mark of a
    /// withdrawal beside it, if there is one.
    ///
    /// # Errors
    /// Why it does not.
    pub fn in_force(&self, text: &str, mark: Option<&Mark>, now_ms: i64) -> Result<(), Lapse> {
        // Only what the file does not say itself is looked up in the mark.
        if let Some(keep) = self.withdrawn_keeping.or_else(|| mark?.takes_back(text)) {
            Err(Lapse::Withdrawn { keep })
        } else if now_ms < self.terms.valid_from_ms {
            Err(Lapse::NotYet(self.terms.valid_from_ms))
        } else if now_ms >= self.terms.valid_to_ms {
            Err(Lapse::Expired(self.terms.valid_to_ms))
        } else {
            Ok(())
        }
    }
}

/// What is wrong with the text, in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In English.
    pub en: String,
    /// In Japanese.
    pub ja: String,
}

impl Fault {
    /// What the TOML library says, behind the place: `name` is how the file is called.
    #[must_use]
    pub(super) fn unread(name: &str, text: &str, fault: &toml::de::Error) -> Fault {
        let line = fault.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
        let message = fault.message().replace(char::is_control, " ");
        let ja = match message.split_once('`').and_then(|(_, rest)| rest.split_once('`')) {
            Some((key, _)) if message.starts_with("missing field") => format!("項目`{key}`がありません"),
            Some((key, _)) if message.starts_with("unknown field") => format!("`{key}`という項目はありません"),
            _ if message.starts_with("invalid type") => format!("値の種類が違います（{message}）"),
            _ => format!("読み取れません（{message}）"),
        };
        Fault::new(format!("{name}:{line}: {message}"), format!("{name}:{line}：{ja}"))
    }

    fn new(en: impl Into<String>, ja: impl Into<String>) -> Fault {
        Fault { en: en.into(), ja: ja.into() }
    }

    /// Several as one.
    #[must_use]
    pub fn all(faults: &[Fault]) -> Fault {
        let joined = |of: fn(&Fault) -> &str, between: &str| faults.iter().map(of).collect::<Vec<_>>().join(between);
        Fault { en: joined(|fault| &fault.en, "; "), ja: joined(|fault| &fault.ja, "；") }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en)
    }
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
#[serde(deny_unknown_fields, expecting = "days, from and to, such as days = \"mon-fri\"")]
struct RawWindow {
    days: String,
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "braces, such as { every = \"60s\" } or { }")]
struct RawScope {
    #[serde(default)]
    every: Option<String>,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
}

/// Reads and checks the text of a consent file. `name` is how faults call it; `salt` keys the hash of approver and reason.
///
/// # Errors
/// All faults, each naming the key and the mend.
pub fn parse(name: &str, text: &str, salt: &[u8; 32]) -> Result<ConsentFile, Vec<Fault>> {
    let raw: Raw = toml::from_str(text).map_err(|fault| vec![Fault::unread(name, text, &fault)])?;
    let mut faults = Vec::new();
    if raw.version != 1 {
        let version = raw.version;
        faults.push(Fault::new(
            format!("version = {version}: this agent understands version 1"),
            format!("version = {version}：このエージェントが扱えるのは1です"),
        ));
    }
    let (valid_from_ms, valid_to_ms) = validity(&raw, &mut faults);
    if raw.approver.trim().is_empty() {
        faults.push(Fault::new("approver: somebody at the facility must have approved", "approver：医療機関の承認者が必要です"));
    }
    if raw.unsent.is_some() && !raw.withdrawn {
        faults.push(Fault::new(
            "unsent: it says what a withdrawal does; write withdrawn = true with it, or leave it out",
            "unsent：撤回時の扱いの指定です。withdrawn = trueとともに書くか、削除してください",
        ));
    }
    let mode = raw.mode.unwrap_or(ConsentMode::Continuous);
    if (mode == ConsentMode::Periodic) == raw.period.is_empty() {
        faults.push(Fault::new(
            "mode = \"periodic\" and [[period]] belong together: write both or neither",
            "mode = \"periodic\"と[[period]]は両方書くか、どちらも書かないでください",
        ));
    }
    let utc_offset_s = raw.utc_offset.as_deref().map_or(Ok(UTC_OFFSET_S), parse_offset).unwrap_or_else(|fault| {
        faults.push(Fault::new(format!("utc_offset: {fault}"), format!("utc_offset：+09:00のように書いてください（{fault}）")));
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

fn validity(raw: &Raw, faults: &mut Vec<Fault>) -> (i64, i64) {
    let mut moment = |key: &str, text: &str| {
        time::parse(text).unwrap_or_else(|fault| {
            faults.push(Fault::new(format!("{key} = \"{text}\": {fault}"), format!("{key} = \"{text}\"：2026-11-22T09:00:00+09:00のような時刻ではありません")));
            0
        })
    };
    let (from_ms, to_ms) = (moment("valid_from", &raw.valid_from), moment("valid_to", &raw.valid_to));
    if to_ms <= from_ms {
        faults.push(Fault::new("valid_to: it must lie behind valid_from", "valid_to：valid_fromより後にしてください"));
    }
    (from_ms, to_ms)
}

fn windows(key: &str, raw: &[RawWindow], faults: &mut Vec<Fault>) -> Vec<Window> {
    if raw.len() > WINDOWS_MAX {
        faults.push(Fault::new(format!("{key}: at most {WINDOWS_MAX} windows"), format!("{key}：時間帯は{WINDOWS_MAX}個までです")));
    }
    let mut read = Vec::new();
    for window in raw.iter().take(WINDOWS_MAX) {
        match Window::parse(&window.days, &window.from, &window.to) {
            Ok(window) => read.push(window),
            Err(fault) => faults.push(Fault::new(format!("{key}: {fault}"), format!("{key}：時間帯を読み取れません（{fault}）"))),
        }
    }
    read
}

fn scopes(raw: &BTreeMap<String, RawScope>, faults: &mut Vec<Fault>) -> BTreeMap<Scope, ScopeTerms> {
    let mut scopes = BTreeMap::new();
    for (name, scope) in raw {
        match Scope::from_name(name) {
            Some(known) => {
                scopes.insert(known, scope_terms(known, scope, faults));
            }
            None => {
                let hint = suggest(name, Scope::ALL.into_iter().map(Scope::name));
                let (en, ja) = hinted(hint);
                faults.push(Fault::new(format!("scopes.{name}: there is no such scope{en}"), format!("scopes.{name}：そのような範囲はありません{ja}")));
            }
        }
    }
    scopes
}

/// `, did you mean …` in both languages.
fn hinted(hint: Option<&str>) -> (String, String) {
    let Some(hint) = hint else { return Default::default() };
    (format!(", did you mean `{hint}`?"), format!("。`{hint}`の誤りではありませんか"))
}

fn scope_terms(scope: Scope, raw: &RawScope, faults: &mut Vec<Fault>) -> ScopeTerms {
    let every_s = match raw.every.as_deref().map(parse_duration) {
        None => EVERY_S,
        Some(Ok(seconds)) if (INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(&seconds) => seconds,
        Some(Ok(_)) => {
            let key = scope.name();
            faults.push(Fault::new(
                format!("scopes.{key}.every: must be from {INTERVAL_S_MIN}s to 1d"),
                format!("scopes.{key}.every：{INTERVAL_S_MIN}sから1dまでです"),
            ));
            EVERY_S
        }
        Some(Err(fault)) => {
            let key = scope.name();
            faults.push(Fault::new(format!("scopes.{key}.every: {fault}"), format!("scopes.{key}.every：60sや5mのように書いてください（{fault}）")));
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
            let (key, (en, ja)) = (scope.name(), hinted(suggest(name, paths.iter().map(String::as_str))));
            faults.push(Fault::new(
                format!("scopes.{key}.except: `{name}` is no field of this scope{en}"),
                format!("scopes.{key}.except：`{name}`はこの範囲の項目ではありません{ja}"),
            ));
        }
        except.append(&mut held_back);
    }
    except.sort_unstable();
    except.dedup();
    ScopeTerms { every_s, except, include: include(scope, &raw.include, faults) }
}

/// The fields of a scope that leave because they are named.
fn include(scope: Scope, names: &[String], faults: &mut Vec<Fault>) -> Vec<u16> {
    let able: Vec<&Field> = fields().filter(|field| field.scope == scope && field.needs_naming()).collect();
    let mut included = Vec::new();
    for name in names {
        match able.iter().find(|field| field.path() == *name) {
            Some(field) => included.push(field.id),
            None => {
                let able = able.iter().map(|field| field.path()).collect::<Vec<_>>().join(", ");
                let (key, able) = (scope.name(), if able.is_empty() { "-" } else { able.as_str() });
                faults.push(Fault::new(
                    format!("scopes.{key}.include: `{name}` is no field of this scope that must be named to leave; such are: {able}"),
                    format!("scopes.{key}.include：`{name}`はこの範囲の明示が必要な項目ではありません（該当する項目：{able}）"),
                ));
            }
        }
    }
    included.sort_unstable();
    included.dedup();
    included
}
