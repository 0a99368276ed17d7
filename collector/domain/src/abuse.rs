//! What is counted of attacks and accidents on the line, and from when on it is an alarm.

/// One kind of event with its words and levels.
#[derive(Debug)]
struct Row {
    abuse: Abuse,
    name: &'static str,
    /// Counts of this and the last hour, and of the last 24 hours, from which on it is an alarm.
    levels: (u64, u64),
    words: (&'static str, &'static str),
    mend: (&'static str, &'static str),
}

macro_rules! abuse {
    ($( $variant:ident $name:literal $hour:literal $day:literal $en:literal $ja:literal $mend_en:literal $mend_ja:literal; )*) => {
        /// A kind of event that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Abuse { $( #[doc = $en] $variant, )* }

        impl Abuse {
            /// Every kind, in the order in which they are shown.
            pub const ALL: &'static [Abuse] = &[ $( Abuse::$variant, )* ];
        }

        const TABLE: &[Row] = &[ $( Row {
            abuse: Abuse::$variant, name: $name, levels: ($hour, $day), words: ($en, $ja), mend: ($mend_en, $mend_ja),
        }, )* ];
    };
}

abuse! {
    BadSignature "bad_signature" 10 50 "signature of a known key that does not hold" "既知の鍵の署名が不正"
        "Somebody sends in a machine's name without its key, or a line damages what it carries: look at the addresses in the digest." "機器の鍵を持たない者がその機器を名乗っているか、回線でデータが壊れています。日報の送信元を確認してください。";
    UnknownKey "unknown_key" 60 500 "key that was never enrolled" "未登録の鍵"
        "A machine of another collector, one whose database row is gone after a restore, or somebody who tries: look at the addresses." "別のコレクターの機器、復元で登録が失われた機器、または攻撃の試みです。送信元を確認してください。";
    Replay "replay" 600 5000 "entry that was held already" "保存済み記録の再送"
        "Answers get lost on the way back: look at the line of the machines named. Nothing is kept twice." "応答が機器に届いていません。該当機器の回線を確認してください。二重には保存されません。";
    OtherContent "other_content" 1 1 "other content for a place that is held" "保存済みの位置に異なる内容"
        "A key was heard from two places: a restored machine, or a copy of it. `mimamori-collector machine forks` says which key it is and what to do." "1つの鍵が2か所から使われています（復元された機器、または複製）。`mimamori-collector machine forks`で、該当する鍵と対処を確認してください。";
    Clock "clock" 30 300 "machine whose clock is off by more than 120 s" "時計が120秒以上ずれた機器"
        "Let the machine's time service reach a time server. Availability is computed by the collector's clock meanwhile." "機器の時刻同期を直してください。稼働率はコレクターの時計で計算されます。";
    Malformed "malformed" 60 500 "request that is no batch" "形式の不正な要求"
        "Scanners of the network do this; from a hospital's address look for a proxy that changes what it carries." "ネットワーク走査でよく起こります。病院の送信元なら、内容を書き換えるプロキシを疑ってください。";
    Oversize "oversize" 10 100 "request over a bound" "上限を超える要求"
        "No agent sends this: look at the addresses and keep them out at the firewall." "エージェントは送りません。送信元を確認し、ファイアウォールで遮断してください。";
    Enrolment "enrolment_refused" 10 50 "enrolment that was refused" "登録の拒否"
        "An old token was used, or somebody guesses: the log names token and address. Revoke tokens that are not needed." "古いトークンの使用か、推測の試みです。ログにトークンと送信元があります。不要なトークンは失効させてください。";
    SourceChanged "source_changed" 100 500 "machine that reports from another address" "送信元アドレスの変化"
        "One is a new line or router. Many at once mean that a provider or firewall changed." "1台なら回線やルーターの交換です。多数なら事業者やファイアウォールの変更です。";
    SourceFlapping "source_flapping" 1 1 "machine that reports from two addresses in turn" "2つの送信元を往復する機器"
        "A line with two ways out, or a copy of the machine with the same key: compare with `machine list`; when in doubt stop one." "出口が2つある回線か、同じ鍵を持つ複製です。疑わしければ片方を止めてください。";
    Rate "rate" 120 2000 "request beyond a rate (429)" "頻度の上限超過（429）"
        "A backlog drains so by itself. Without one, look at the machine: its agent sends more than it should." "滞留分の送信中なら自然に収まります。そうでなければ機器のエージェントを確認してください。";
    Budget "budget" 1 1 "machine beyond its storage of a day (429)" "1日の保存量の上限超過（429）"
        "Find out what the machine sends; what it keeps is sent after midnight UTC. Raise `ingest.rate.day_bytes` if it is right." "送信内容を確認してください。残りは協定世界時の0時以降に送られます。正当なら`ingest.rate.day_bytes`を上げてください。";
    Barred "barred" 30 300 "request of a machine that is revoked or waits for approval" "失効・承認待ちの機器からの要求"
        "Approve it, or stop the agent on it." "承認するか、その機器のエージェントを止めてください。";
    Connections "connections" 2000 20000 "connection beyond the shares" "接続数の上限超過"
        "Somebody holds connections open: look at the firewall's log for the address. Machines that are connected stay so." "接続を占有する者がいます。ファイアウォールの記録で送信元を確認してください。接続済みの機器は影響を受けません。";
}

impl Abuse {
    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.abuse == self)
    }

    /// The name in the store, in metrics and in the digest.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// The one of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Abuse> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.abuse)
    }

    /// For people, in English.
    #[must_use]
    pub fn words_en(self) -> &'static str {
        self.row().map_or("", |row| row.words.0)
    }

    /// For people, in Japanese.
    #[must_use]
    pub fn words_ja(self) -> &'static str {
        self.row().map_or("", |row| row.words.1)
    }

    /// What to do, in English.
    #[must_use]
    pub fn mend_en(self) -> &'static str {
        self.row().map_or("", |row| row.mend.0)
    }

    /// What to do, in Japanese.
    #[must_use]
    pub fn mend_ja(self) -> &'static str {
        self.row().map_or("", |row| row.mend.1)
    }

    /// From how many in this and the last hour, and in the last 24 hours, on it is an alarm.
    #[must_use]
    pub fn levels(self) -> (u64, u64) {
        self.row().map_or((u64::MAX, u64::MAX), |row| row.levels)
    }
}

/// How many of a kind fell into an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourCount {
    /// Hours since 1970, UTC.
    pub hour: i64,
    /// What.
    pub abuse: Abuse,
    /// How many.
    pub count: u64,
}

/// What an alarm does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// As before.
    Stays,
    /// A level is reached, by this many in the last 24 hours.
    Rises(u64),
    /// Below both levels again.
    Falls,
}

/// Whether a kind's alarm changes, given what was counted. Hours after `now_hour` count as now: a clock was set back.
#[must_use]
pub fn turn(abuse: Abuse, open: bool, counts: &[HourCount], now_hour: i64) -> Turn {
    let since = |hours: i64| {
        let counts = counts.iter().filter(|one| one.abuse == abuse && one.hour > now_hour.saturating_sub(hours));
        counts.map(|one| one.count).fold(0, u64::saturating_add)
    };
    let (per_hour, per_day) = abuse.levels();
    let day = since(24);
    match (open, since(2) >= per_hour || day >= per_day) {
        (false, true) => Turn::Rises(day),
        (true, false) => Turn::Falls,
        _ => Turn::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_name_words_and_a_mend() {
        let names: BTreeSet<&str> = Abuse::ALL.iter().map(|abuse| abuse.name()).collect();
        assert_eq!((names.len(), TABLE.len()), (Abuse::ALL.len(), Abuse::ALL.len()));
        for abuse in Abuse::ALL {
            assert_eq!(Abuse::from_name(abuse.name()), Some(*abuse));
            let (per_hour, per_day) = abuse.levels();
            assert!(0 < per_hour && per_hour <= per_day, "{abuse:?}");
            for text in [abuse.words_en(), abuse.words_ja(), abuse.mend_en(), abuse.mend_ja()] {
                assert!(!text.is_empty(), "{abuse:?}");
                // Read on the page, in the log and in the digest alike.
                assert!(!text.contains("this page") && !text.contains("の行を"), "{abuse:?} speaks of where it stands: {text}");
            }
        }
    }

    /// One key may be one machine that was put back: how many machines there are is not known.
    #[test]
    fn a_key_with_two_voices_is_said_to_be_heard_from_two_places_and_no_more() {
        let (en, ja) = (Abuse::OtherContent.mend_en(), Abuse::OtherContent.mend_ja());
        assert!(en.contains("heard from two places") && ja.contains("1つの鍵が2か所から"), "{en} {ja}");
        assert!(!ja.contains("2台") && [en, ja].iter().all(|text| text.contains("machine forks")), "{en} {ja}");
    }

    fn counted(hour: i64, count: u64) -> HourCount {
        HourCount { hour, abuse: Abuse::BadSignature, count }
    }

    #[test]
    fn an_alarm_rises_by_the_hour_or_by_the_day_and_falls_below_both() {
        let judged = |open, counts: &[HourCount]| turn(Abuse::BadSignature, open, counts, 100);
        assert_eq!(judged(false, &[]), Turn::Stays);
        assert_eq!(judged(false, &[counted(100, 9)]), Turn::Stays);
        assert_eq!(judged(false, &[counted(99, 5), counted(100, 5)]), Turn::Rises(10));
        assert_eq!(judged(true, &[counted(98, 10), counted(100, 5)]), Turn::Falls);
        let slow: Vec<HourCount> = (77..=100).map(|hour| counted(hour, 3)).collect();
        assert_eq!(judged(false, &slow), Turn::Rises(72));
        assert_eq!(judged(true, &slow), Turn::Stays);
        assert_eq!(judged(true, &[counted(76, 60)]), Turn::Falls);
        assert_eq!(judged(false, &[counted(2000, 10)]), Turn::Rises(10), "counted before the clock was set back");
        assert_eq!(turn(Abuse::Oversize, false, &[counted(100, 10_000)], 100), Turn::Stays, "kinds do not add up");
    }
}
