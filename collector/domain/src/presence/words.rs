//! The states and their reasons, with the words people read.

/// What is known of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It reports.
    Up,
    /// It was proven not to run. Only ever said of the past.
    Down,
    /// It is silent; nobody can tell why.
    NotKnown,
    /// The facility does not allow to look.
    NotConsented,
    /// Out of service for good.
    Retired,
}

impl State {
    /// Every state, in the order in which pages and metrics list them.
    pub const ALL: [State; 5] = [State::Up, State::Down, State::NotKnown, State::NotConsented, State::Retired];

    /// The name in the store, in metrics and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Down => "down",
            State::NotKnown => "not_known",
            State::NotConsented => "not_consented",
            State::Retired => "retired",
        }
    }

    /// The state of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// For people, in English.
    #[must_use]
    pub fn words_en(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Down => "down",
            State::NotKnown => "not known",
            State::NotConsented => "not consented",
            State::Retired => "retired",
        }
    }

    /// For people, in Japanese.
    #[must_use]
    pub fn words_ja(self) -> &'static str {
        match self {
            State::Up => "稼働中",
            State::Down => "停止",
            State::NotKnown => "不明",
            State::NotConsented => "同意なし",
            State::Retired => "運用終了",
        }
    }
}

/// Why a machine is in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Because {
    /// Nothing was ever received.
    NeverReported,
    /// The first report arrived.
    FirstReport,
    /// A report arrived after silence.
    ReportArrived,
    /// No report within the grace.
    Silent {
        /// The grace, in seconds.
        grace_s: u64,
    },
    /// The machine booted anew.
    NewBoot,
    /// The boot went on through the silence.
    SameBoot,
    /// Reports that arrived late prove it.
    LateReport,
    /// The facility took its consent back.
    ConsentWithdrawn,
    /// The consent is past its last day.
    ConsentExpired,
    /// The facility consented; no report yet.
    ConsentGranted,
    /// The facility removed the agent and stated so.
    Uninstalled,
    /// A periodic consent, and no agreed window just now.
    OutsidePeriod,
    /// Quiet hours, in a consent that leaves out the heartbeat.
    QuietHours,
    /// A consent on demand, and nobody at the facility asks.
    OnDemand,
    /// An agreed window began; no report yet.
    PeriodBegan,
    /// An operator retired the machine.
    Retired,
    /// The state changed more often in a day than is told apart.
    TooManyChanges,
}

impl Because {
    /// Every reason; the silence stands with a grace of 0.
    pub const ALL: [Because; 17] = [
        Because::NeverReported,
        Because::FirstReport,
        Because::ReportArrived,
        Because::Silent { grace_s: 0 },
        Because::NewBoot,
        Because::SameBoot,
        Because::LateReport,
        Because::ConsentWithdrawn,
        Because::ConsentExpired,
        Because::ConsentGranted,
        Because::Uninstalled,
        Because::OutsidePeriod,
        Because::QuietHours,
        Because::OnDemand,
        Because::PeriodBegan,
        Because::Retired,
        Because::TooManyChanges,
    ];

    /// The code in the store and in the API; the grace stands beside it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Because::NeverReported => "never_reported",
            Because::FirstReport => "first_report",
            Because::ReportArrived => "report_arrived",
            Because::Silent { .. } => "silent",
            Because::NewBoot => "new_boot",
            Because::SameBoot => "same_boot",
            Because::LateReport => "late_report",
            Because::ConsentWithdrawn => "consent_withdrawn",
            Because::ConsentExpired => "consent_expired",
            Because::ConsentGranted => "consent_granted",
            Because::Uninstalled => "uninstalled",
            Because::OutsidePeriod => "outside_period",
            Because::QuietHours => "quiet_hours",
            Because::OnDemand => "on_demand",
            Because::PeriodBegan => "period_began",
            Because::Retired => "retired",
            Because::TooManyChanges => "too_many_changes",
        }
    }

    /// The grace of a silence, in seconds.
    #[must_use]
    pub fn grace_s(self) -> Option<u64> {
        match self {
            Because::Silent { grace_s } => Some(grace_s),
            _ => None,
        }
    }

    /// The reason with that code.
    #[must_use]
    pub fn from_code(code: &str, grace_s: Option<u64>) -> Option<Because> {
        let because = Because::ALL.into_iter().find(|because| because.code() == code)?;
        Some(if because.grace_s().is_some() { Because::Silent { grace_s: grace_s? } } else { because })
    }

    /// For people, in English.
    #[must_use]
    pub fn words_en(self) -> String {
        match self {
            Because::NeverReported => "no report has ever arrived".to_owned(),
            Because::FirstReport => "the first report arrived".to_owned(),
            Because::ReportArrived => "a report arrived".to_owned(),
            Because::Silent { grace_s } => format!("no report for {grace_s} s"),
            Because::NewBoot => "the machine booted anew".to_owned(),
            Because::SameBoot => "the same boot went on through the silence".to_owned(),
            Because::LateReport => "late reports prove it".to_owned(),
            Because::ConsentWithdrawn => "the facility withdrew its consent".to_owned(),
            Because::ConsentExpired => "the consent has expired".to_owned(),
            Because::ConsentGranted => "the facility consented; waiting for a report".to_owned(),
            Because::Uninstalled => "the facility removed the agent from the machine".to_owned(),
            Because::OutsidePeriod => "outside the agreed windows".to_owned(),
            Because::QuietHours => "quiet hours agreed with the facility".to_owned(),
            Because::OnDemand => "only on demand, and nobody at the facility asks now".to_owned(),
            Because::PeriodBegan => "an agreed window began; waiting for a report".to_owned(),
            Because::Retired => "taken out of service".to_owned(),
            Because::TooManyChanges => "it changed more often on this day than is written down".to_owned(),
        }
    }

    /// For people, in Japanese.
    #[must_use]
    pub fn words_ja(self) -> String {
        match self {
            Because::NeverReported => "レポートを一度も受信していません".to_owned(),
            Because::FirstReport => "最初のレポートを受信しました".to_owned(),
            Because::ReportArrived => "レポートを受信しました".to_owned(),
            Because::Silent { grace_s } => format!("{grace_s}秒間レポートがありません"),
            Because::NewBoot => "機器が再起動しました".to_owned(),
            Because::SameBoot => "無通信の間も同じ起動が続いていました".to_owned(),
            Because::LateReport => "遅れて届いたレポートで確認されました".to_owned(),
            Because::ConsentWithdrawn => "施設が同意を撤回しました".to_owned(),
            Because::ConsentExpired => "同意の有効期限が切れました".to_owned(),
            Because::ConsentGranted => "施設が同意しました。レポートを待っています".to_owned(),
            Because::Uninstalled => "施設が機器からエージェントを削除しました".to_owned(),
            Because::OutsidePeriod => "合意した時間帯の外です".to_owned(),
            Because::QuietHours => "施設と合意した静穏時間帯です".to_owned(),
            Because::OnDemand => "施設の依頼時のみ収集します。現在は依頼がありません".to_owned(),
            Because::PeriodBegan => "合意した時間帯に入りました。レポートを待っています".to_owned(),
            Because::Retired => "運用を終了しました".to_owned(),
            Because::TooManyChanges => "この日の状態変化が多すぎるため、以降は記録していません".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_survive_the_store() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
        for because in Because::ALL {
            assert_eq!(Because::from_code(because.code(), Some(0)), Some(because));
            assert!(!because.words_en().is_empty() && !because.words_ja().is_ascii());
        }
        assert_eq!(Because::from_code("silent", None), None);
        assert_eq!(Because::from_code("made_up", None), None);
    }
}
