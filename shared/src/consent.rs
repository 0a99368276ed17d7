//! The facility's consent and the plan, in the form in which they travel: without any person in them.
//!
//! What may be taken at a moment is a pure function of the terms and the moment, so that agent and collector, which
//! knows the terms as stated, come to the same answer without a message.

mod file;
#[cfg(test)]
mod file_tests;
mod mark;
mod plan;
mod request;
#[cfg(test)]
mod tests;
mod window;

pub use file::{ConsentFile, FILE_BYTES_MAX, Fault, Lapse, parse};
pub use mark::{MARK_BYTES_MAX, MARK_FILE, Mark};
pub use plan::Plan;
pub use request::{REQUEST_FILE, asked_until};
pub use window::{DAYS, Window, parse_offset, show_offset};

use crate::fields::{Field, Scope, fields};
use crate::id::Hash;
use crate::limits::{INTERVAL_S_MAX, INTERVAL_S_MIN};
use crate::sign::sha256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use window::{DAY_MS, is_offset};

/// Windows of one kind in one consent.
pub const WINDOWS_MAX: usize = 32;
/// Japan has no daylight saving: local time is this many seconds ahead of UTC.
pub const UTC_OFFSET_S: i32 = 9 * 3600;
/// Longest session of a consent on demand, in seconds.
pub const SESSION_S_MAX: u64 = 86_400;
/// So many days before its end a consent warns, narrowest first.
pub const EXPIRY_DAYS: [u32; 3] = [1, 7, 30];

/// How the consent allows to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentMode {
    /// At the plan's intervals.
    Continuous,
    /// In agreed windows only.
    Periodic,
    /// Only while somebody at the facility asks.
    OnDemand,
}

impl ConsentMode {
    /// Every one.
    pub const ALL: [ConsentMode; 3] = [ConsentMode::Continuous, ConsentMode::Periodic, ConsentMode::OnDemand];

    /// The word in consent files and on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ConsentMode::Continuous => "continuous",
            ConsentMode::Periodic => "periodic",
            ConsentMode::OnDemand => "on_demand",
        }
    }
}

/// What one scope allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeTerms {
    /// Shortest interval, in seconds.
    pub every_s: u64,
    /// Fields of the scope that the facility holds back, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<u16>,
    /// Fields that leave only if they are named ([`Field::needs_naming`]) and are, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<u16>,
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
    /// How far the local time of the windows is ahead of UTC, in seconds.
    pub utc_offset_s: i32,
    /// The agreed windows of [`ConsentMode::Periodic`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// In these nothing but [`Scope::Heartbeat`] is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quiet: Vec<Window>,
    /// What.
    pub scopes: BTreeMap<Scope, ScopeTerms>,
    /// Keyed hash of approver and reason, which stay on the machine.
    pub approval_hash: Hash,
    /// True for the example that `make run` makes: nobody approved it.
    pub example: bool,
}

/// What the terms let be taken at a moment. Whether somebody asked, in a consent on demand, is not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everything consented to.
    All,
    /// Only [`Scope::Heartbeat`].
    Heartbeat,
    /// Nothing; why.
    Nothing(Pause),
}

/// Why nothing is taken although a consent was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// It has not begun.
    NotYet,
    /// It is past its last day.
    Ended,
    /// No agreed window.
    OutsidePeriod,
    /// A quiet window, in a consent without heartbeat.
    Quiet,
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
        let named = |terms: &ScopeTerms| !field.needs_naming() || terms.include.contains(&field.id);
        self.scopes.get(&field.scope).is_some_and(|terms| !terms.except.contains(&field.id) && named(terms))
    }

    /// Whether `now_ms` lies in the consented time.
    #[must_use]
    pub fn covers(&self, now_ms: i64) -> bool {
        (self.valid_from_ms..self.valid_to_ms).contains(&now_ms)
    }

    /// What may be taken at `now_ms`, UTC, milliseconds since 1970.
    #[must_use]
    pub fn reach(&self, now_ms: i64) -> Reach {
        let local_ms = self.local(now_ms);
        let within = |windows: &[Window]| windows.iter().any(|window| window.holds(local_ms));
        if now_ms < self.valid_from_ms {
            Reach::Nothing(Pause::NotYet)
        } else if now_ms >= self.valid_to_ms {
            Reach::Nothing(Pause::Ended)
        } else if self.mode == ConsentMode::Periodic && !within(&self.windows) {
            Reach::Nothing(Pause::OutsidePeriod)
        } else if !within(&self.quiet) {
            Reach::All
        } else if fields().any(|field| field.scope == Scope::Heartbeat && self.allows(field)) {
            Reach::Heartbeat
        } else {
            Reach::Nothing(Pause::Quiet)
        }
    }

    /// The next moment behind `now_ms` at which [`ConsentTerms::reach`] may change, UTC, milliseconds since 1970.
    #[must_use]
    pub fn next_turn(&self, now_ms: i64) -> Option<i64> {
        let local_ms = self.local(now_ms);
        let windows = self.windows.iter().chain(&self.quiet).flat_map(|window| window.turns(local_ms));
        let turns = windows.map(|edge| edge.saturating_sub(i64::from(self.utc_offset_s) * 1000));
        turns.chain([self.valid_from_ms, self.valid_to_ms]).filter(|turn| *turn > now_ms).min()
    }

    fn local(&self, now_ms: i64) -> i64 {
        now_ms.saturating_add(i64::from(self.utc_offset_s) * 1000)
    }

    /// Whether it is in the form that this version writes; what an agent states is judged by it.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self) -> Result<(), &'static str> {
        let windows = [&self.windows, &self.quiet];
        let every = |scope: &ScopeTerms| (INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(&scope.every_s);
        if windows.iter().any(|windows| windows.len() > WINDOWS_MAX || !windows.iter().all(Window::is_sound)) {
            Err("a window of a consent is not in its form, or there are too many")
        } else if !is_offset(self.utc_offset_s) {
            Err("an offset from UTC is whole minutes, at most 14 hours")
        } else if (self.mode == ConsentMode::Periodic) == self.windows.is_empty() {
            Err("a consent has windows if and only if it is periodic")
        } else if !self.scopes.values().all(every) {
            Err("an interval of a consent is out of bounds")
        } else {
            Ok(())
        }
    }
}

/// The narrowest of [`EXPIRY_DAYS`] that a consent which ends at `valid_to_ms` has reached at `now_ms`; `None` while
/// its end is further off, and when it has ended.
#[must_use]
pub fn expiry_mark(valid_to_ms: i64, now_ms: i64) -> Option<u32> {
    let left_ms = valid_to_ms.saturating_sub(now_ms);
    EXPIRY_DAYS.into_iter().find(|days| left_ms > 0 && left_ms <= i64::from(*days) * DAY_MS)
}
