//! Consents and settings for tests: example data, approved by nobody.

use mimamori_agent::core::Settings;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Plan, ScopeTerms};
use mimamori_shared::fields::Scope;
use mimamori_shared::id::Hash;
use std::collections::{BTreeMap, BTreeSet};

/// A consent in these scopes without an end, each taken at most every so many seconds; `from_ms` makes it another.
#[must_use]
pub fn terms(scopes: &[Scope], every_s: u64, from_ms: i64) -> ConsentTerms {
    ConsentTerms {
        v: 1,
        valid_from_ms: from_ms,
        valid_to_ms: i64::MAX,
        mode: ConsentMode::Continuous,
        utc_offset_s: 32_400,
        windows: Vec::new(),
        quiet: Vec::new(),
        scopes: scopes.iter().map(|scope| (*scope, ScopeTerms { every_s, except: Vec::new(), include: Vec::new() })).collect(),
        approval_hash: Hash::ZERO,
        example: true,
    }
}

/// Everything at one interval, and nothing held back.
#[must_use]
pub fn settings(interval_s: u64) -> Settings {
    Settings { plan: Plan { v: 1, interval_s, sections: BTreeMap::new() }, except: BTreeSet::new() }
}
