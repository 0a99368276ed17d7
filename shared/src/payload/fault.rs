//! What could not be read, and why.

use crate::word::Word;
use serde::{Deserialize, Serialize};

/// Why a value is missing. "Cannot measure" is neither bad nor fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// The source does not exist here.
    NotFound,
    /// The agent may not read the source.
    PermissionDenied,
    /// The source says something that cannot be understood.
    Malformed,
    /// The source is larger than the agent reads.
    TooLarge,
    /// The source did not answer in time.
    TimedOut,
    /// Reading failed in another way.
    IoError,
    /// This system does not offer it.
    Unsupported,
    /// More entries than a section holds; the rest is not reported.
    TooMany,
    /// Hidden from the agent by its own sandbox.
    Hidden,
    /// The source has not spoken since the machine started, or since the consent let it look again, and is still to.
    NotYet,
    /// Not looked at: the facility's consent did not cover it when the hardware helper ran.
    NotConsented,
}

impl FaultCode {
    /// Every one.
    pub const ALL: [FaultCode; 11] = [
        FaultCode::NotFound,
        FaultCode::PermissionDenied,
        FaultCode::Malformed,
        FaultCode::TooLarge,
        FaultCode::TimedOut,
        FaultCode::IoError,
        FaultCode::Unsupported,
        FaultCode::TooMany,
        FaultCode::Hidden,
        FaultCode::NotYet,
        FaultCode::NotConsented,
    ];

    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FaultCode::NotFound => "not_found",
            FaultCode::PermissionDenied => "permission_denied",
            FaultCode::Malformed => "malformed",
            FaultCode::TooLarge => "too_large",
            FaultCode::TimedOut => "timed_out",
            FaultCode::IoError => "io_error",
            FaultCode::Unsupported => "unsupported",
            FaultCode::TooMany => "too_many",
            FaultCode::Hidden => "hidden",
            FaultCode::NotYet => "not_yet",
            FaultCode::NotConsented => "not_consented",
        }
    }

    /// What it means, in English.
    #[must_use]
    pub fn words_en(self) -> &'static str {
        match self {
            FaultCode::NotFound => "its source is not there",
            FaultCode::PermissionDenied => "the agent may not read it",
            FaultCode::Malformed => "its source cannot be understood",
            FaultCode::TooLarge => "its source is larger than the agent reads",
            FaultCode::TimedOut => "its source did not answer in time",
            FaultCode::IoError => "reading it failed",
            FaultCode::Unsupported => "this system does not offer it",
            FaultCode::TooMany => "there are more than are reported",
            FaultCode::Hidden => "the agent's own sandbox hides it",
            FaultCode::NotYet => "its source has not spoken yet, since the machine started or may be looked at again",
            FaultCode::NotConsented => "the consent did not cover it when the hardware helper ran, or the facility switched its tool off",
        }
    }

    /// What it means, in Japanese.
    #[must_use]
    pub fn words_ja(self) -> &'static str {
        match self {
            FaultCode::NotFound => "取得元がありません",
            FaultCode::PermissionDenied => "エージェントに読み取り権限がありません",
            FaultCode::Malformed => "取得元の内容を解釈できません",
            FaultCode::TooLarge => "取得元が読み取りの上限を超えています",
            FaultCode::TimedOut => "取得元が時間内に応答しませんでした",
            FaultCode::IoError => "読み取りに失敗しました",
            FaultCode::Unsupported => "この機器では提供されていません",
            FaultCode::TooMany => "報告できる件数を超えています",
            FaultCode::Hidden => "エージェント自身の保護設定により見えません",
            FaultCode::NotYet => "機器の起動後または収集再開後、取得元がまだ値を出していません",
            FaultCode::NotConsented => "ハードウェアヘルパーの実行時に同意の対象外、またはツールが無効でした",
        }
    }
}

/// A reading that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fault {
    /// The probe that failed, or `section.name` of the value.
    pub probe: Word,
    /// Why.
    pub code: FaultCode,
    /// Which entry of a list section, if one alone is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Word>,
}

impl Fault {
    /// The section it speaks of.
    #[must_use]
    pub fn section(&self) -> &str {
        let probe = self.probe.as_str();
        probe.split('.').next().unwrap_or(probe)
    }
}
