//! The facility's consent and the plan, in the form in which they travel: without any person in them.

use crate::fields::{Field, Scope};
use crate::id::Hash;
use crate::sign::sha256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the consent allows to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentMode {
    /// At the plan's intervals.
    Continuous,
    /// In agreed periods.
    Periodic,
    /// Only when somebody at the facility asks.
    OnDemand,
}

/// What one scope allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeTerms {
    /// Shortest interval, in seconds.
    pub every_s: u64,
    /// Fields of the scope that the facility holds back, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<u16>,
}

/// A consent in normal form. Its JSON, as written by serde, is what is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentTerms {
    /// Version of this form: 1.
    pub v: u8,
    /// From when, UTC, milliseconds since 1970, included.
    pub valid_from_ms: i64,
    /// Until when, UTC, milliseconds since 1970, not included.
    pub valid_to_ms: i64,
    /// How.
    pub mode: ConsentMode,
    /// What.
    pub scopes: BTreeMap<Scope, ScopeTerms>,
    /// Keyed hash of approver and reason, which stay on the machine.
    pub approval_hash: Hash,
    /// True for the example that `make run` makes: nobody approved it.
    pub example: bool,
}

impl ConsentTerms {
    /// SHA-256 over the JSON.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }

    /// Whether the field may leave.
    #[must_use]
    pub fn allows(&self, field: &Field) -> bool {
        self.scopes.get(&field.scope).is_some_and(|terms| !terms.except.contains(&field.id))
    }

    /// Whether `now_ms` lies in the consented time.
    #[must_use]
    pub fn covers(&self, now_ms: i64) -> bool {
        (self.valid_from_ms..self.valid_to_ms).contains(&now_ms)
    }
}

/// How often each section is taken. Silence is judged by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this form: 1.
    pub v: u8,
    /// Between two reports, in seconds.
    pub interval_s: u64,
    /// Sections and their own intervals, in seconds.
    pub sections: BTreeMap<String, u64>,
}

impl Plan {
    /// SHA-256 over the JSON.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::fields;

    fn terms() -> ConsentTerms {
        let performance = ScopeTerms { every_s: 60, except: vec![1] };
        ConsentTerms {
            v: 1,
            valid_from_ms: 1000,
            valid_to_ms: 2000,
            mode: ConsentMode::Continuous,
            scopes: BTreeMap::from([(Scope::Performance, performance)]),
            approval_hash: Hash::ZERO,
            example: true,
        }
    }

    #[test]
    fn only_consented_fields_are_allowed() {
        let allowed: Vec<u16> = fields().filter(|field| terms().allows(field)).map(|field| field.id).collect();
        assert!(allowed.contains(&2) && !allowed.contains(&1) && !allowed.contains(&120));
    }

    #[test]
    fn the_end_is_not_included() {
        assert!(!terms().covers(999) && terms().covers(1000) && terms().covers(1999) && !terms().covers(2000));
    }

    #[test]
    fn any_change_changes_the_hash() {
        let mut other = terms();
        other.valid_to_ms += 1;
        assert_ne!(terms().hash(), other.hash());
        assert_eq!(terms().hash(), serde_json::from_str::<ConsentTerms>(&serde_json::to_string(&terms()).unwrap()).unwrap().hash());
    }
}
