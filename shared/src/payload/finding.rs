//! What the agent's self-diagnosis found (SLA sample A2.1(1)(2)).

use crate::word::Word;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How something that is looked after stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// In order.
    Ok,
    /// It was seen before and cannot be measured now.
    Unknown,
    /// It was seen before and is not there any more.
    Gone,
    /// Not in order.
    Bad,
}

impl Standing {
    /// Every one.
    pub const ALL: [Standing; 4] = [Standing::Ok, Standing::Unknown, Standing::Gone, Standing::Bad];

    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Standing::Ok => "ok",
            Standing::Unknown => "unknown",
            Standing::Gone => "gone",
            Standing::Bad => "bad",
        }
    }

    /// What it means, in English.
    #[must_use]
    pub fn words_en(self) -> &'static str {
        match self {
            Standing::Ok => "in order",
            Standing::Unknown => "cannot be measured any more",
            Standing::Gone => "not there any more",
            Standing::Bad => "not in order",
        }
    }

    /// What it means, in Japanese.
    #[must_use]
    pub fn words_ja(self) -> &'static str {
        match self {
            Standing::Ok => "正常",
            Standing::Unknown => "測定できなくなりました",
            Standing::Gone => "見つからなくなりました",
            Standing::Bad => "異常",
        }
    }
}

/// A change of how something stands. Each change stands in exactly one report, and its report is never dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which check found it.
    pub check: Word,
    /// Which disk, filesystem, … ; `None` where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Word>,
    /// How it stands.
    pub state: Standing,
    /// Since when, by the machine's clock, in milliseconds since 1970 UTC.
    pub since_ms: i64,
    /// The numbers that say so, by field; empty when there are none any more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<Word, i64>,
}
