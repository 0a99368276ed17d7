//! The plan: how often each section is taken.

use super::{ConsentTerms, ScopeTerms};
use crate::fields::{Field, SECTIONS, Scope, fields};
use crate::id::Hash;
use crate::limits::INTERVAL_S_MAX;
use crate::sign::sha256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often each section is taken. Silence is judged by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this form: 1.
    pub v: u8,
    /// The beat: between two reports, in seconds.
    pub interval_s: u64,
    /// Sections that are taken less often than at every beat, and their own intervals, in seconds.
    pub sections: BTreeMap<String, u64>,
}

impl Plan {
    /// The plan that configuration and consent leave: of two intervals the longer. `configured` is the configuration's
    /// interval of a scope, in seconds, and `wanted` whether it lets a field leave.
    #[must_use]
    pub fn of(terms: Option<&ConsentTerms>, configured: impl Fn(Scope) -> u64, wanted: impl Fn(&Field) -> bool) -> Plan {
        let leaves = |field: &&Field| wanted(field) && terms.is_none_or(|terms| terms.allows(field));
        let every = |scope: Scope| terms.and_then(|terms| terms.scopes.get(&scope)).map_or(0, |scope: &ScopeTerms| scope.every_s);
        let own = |scope: Scope| configured(scope).max(every(scope)).max(1);
        let taken: BTreeMap<&str, u64> = fields().filter(leaves).map(|field| (field.section, own(field.scope))).collect();
        let interval_s = taken.values().min().copied().unwrap_or_else(|| own(Scope::Heartbeat));
        // A section is taken at the first beat at which it is due.
        let beats = taken.into_iter().map(|(section, own)| (section.to_owned(), own.div_ceil(interval_s).saturating_mul(interval_s).min(INTERVAL_S_MAX)));
        Plan { v: 1, interval_s, sections: beats.filter(|(_, own)| *own != interval_s).collect() }
    }

    /// SHA-256 over the JSON.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }

    /// Between two readings of a section, in seconds.
    #[must_use]
    pub fn section_s(&self, section: &str) -> u64 {
        self.sections.get(section).copied().unwrap_or(self.interval_s)
    }

    /// Between two readings of the sections of a scope, in seconds.
    #[must_use]
    pub fn scope_s(&self, scope: Scope) -> u64 {
        let sections = SECTIONS.iter().filter(|section| fields().any(|field| field.section == **section && field.scope == scope));
        sections.map(|section| self.section_s(section)).max().unwrap_or(self.interval_s)
    }

    /// The longest time between two reports that is no silence, in seconds: in quiet windows only heartbeat is taken.
    #[must_use]
    pub fn longest_s(&self, terms: Option<&ConsentTerms>) -> u64 {
        let quiet = terms.is_some_and(|terms| !terms.quiet.is_empty());
        if quiet { self.interval_s.max(self.scope_s(Scope::Heartbeat)) } else { self.interval_s }
    }
}
