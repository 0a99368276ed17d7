//! The two languages of the pages. Every text stands here once, in both.

pub use mimamori_cli::Lang;

/// The language of a reader: `?lang=` decides, then `Accept-Language`, then Japanese: the product's home.
#[must_use]
pub fn chosen(query: Option<&str>, accept: Option<&str>) -> Lang {
    if let Some(lang) = query.and_then(from_tag) {
        return lang;
    }
    let ranges = accept.unwrap_or_default().split(',').take(32).filter_map(|range| {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0));
        from_tag(tag.trim()).filter(|_| weight > 0.0).map(|lang| (lang, weight))
    });
    let first_of_the_heaviest = |best: Option<(Lang, f32)>, next: (Lang, f32)| best.filter(|best| best.1 >= next.1).or(Some(next));
    ranges.fold(None, first_of_the_heaviest).map_or(Lang::Ja, |(lang, _)| lang)
}

fn from_tag(tag: &str) -> Option<Lang> {
    let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    [Lang::En, Lang::Ja].into_iter().find(|lang| lang.tag() == primary)
}

macro_rules! texts {
    ($( $key:ident $en:literal $ja:literal; )*) => {
        /// A text of the pages.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Key { $( #[doc = $en] $key, )* }

        impl Key {
            /// Every one.
            pub const ALL: &'static [Key] = &[ $( Key::$key, )* ];

            /// The text.
            #[must_use]
            pub fn text(self, lang: Lang) -> &'static str {
                match self { $( Key::$key => lang.of($en, $ja), )* }
            }
        }
    };
}

texts! {
    Title "Mimamori: machines" "Mimamori：機器の一覧";
    OtherLanguage "日本語" "English";
    AsOf "as of" "時点：";
    Collector "Collector" "コレクター";
    AllMachines "All machines" "機器の一覧へ";
    NoFacility "No facility yet. Add one:" "施設がまだ登録されていません。次のコマンドで追加してください：";
    NoMachine "No machine yet. Make an enrolment token for one." "機器がまだ登録されていません。登録トークンを発行してください。";
    Example "EXAMPLE" "例";
    ExampleFacility "This facility is an example, not a real one." "この施設は例です。実在しません。";
    ExampleConsent "example consent, approved by nobody" "例の同意です。誰も承認していません";
    Machine "Machine" "機器";
    State "State" "状態";
    Since "since" "開始：";
    Why "Why" "理由";
    LastReport "Last report" "最終受信";
    Never "never" "なし";
    Consent "Consent" "同意";
    ConsentNone "no statement yet" "まだ表明されていません";
    ConsentGranted "granted" "有効";
    ConsentWithdrawn "withdrawn" "撤回";
    ConsentExpired "expired" "期限切れ";
    ConsentPeriodic "in agreed windows only" "合意した時間帯のみ";
    ConsentOnDemand "only while the facility asks" "施設の依頼時のみ";
    ConsentEnds "It ends soon: ask the facility for a new one." "まもなく期限が切れます。施設に新しい同意を依頼してください。";
    Received "Received" "受信";
    Until "until" "期限：";
    Readings "Latest readings" "最新の測定値";
    Standing "Not in order, by the machine's own diagnosis" "自己診断による異常";
    NothingStands "The machine says of nothing that it is out of order." "機器から異常の報告はありません。";
    LastSaid "as it said last" "最後の報告による";
    Subject "Of what" "対象";
    SinceByMachine "Since, by the machine's clock" "開始（機器の時計）";
    Evidence "Figures" "数値";
    More "more" "ほか";
    NotCurrent "no current readings" "現在の測定値はありません";
    OldReadings "These readings are not current." "これらの測定値は現在のものではありません。";
    Preview "ahead of the backlog, not yet in the chain" "未送信分より先に届いた最新値（チェーン未登録）";
    Cpu "CPU busy since boot" "CPU使用率（起動以降）";
    Load "load, 1 min" "負荷（1分）";
    Memory "memory used" "メモリ使用率";
    Fullest "fullest filesystem" "最も使用率の高いファイルシステム";
    ReadOnly "mounted read-only" "読み取り専用";
    Chain "Evidence chain" "証跡チェーン";
    ChainFine "unbroken; next place" "連続。次の位置：";
    ChainNone "no chain yet" "チェーンはまだありません";
    WasForked "was forked, approved" "分岐の記録あり、承認済み";
    Forked "FORKED: two machines or copies speak with one key; its reports are kept but not trusted" "分岐：同じ鍵を複数の機器または複製が使用しています。レポートは保存しますが信頼しません";
    Waiting "WAITING for the missing place" "待機中：不足している位置";
    Findings "Findings" "指摘事項";
    Today "Line and security today" "本日の回線・セキュリティ";
    NothingToday "nothing to look at" "異常なし";
    Alarm "ALARM" "警報";
    ClockOff "CLOCK OFF by" "時計のずれ";
    ClockUnused "its times are not used" "この機器の時刻は使用しません";
    Faults "Could not be measured" "測定できなかった項目";
    NoFaults "Everything planned was measured." "予定した項目はすべて測定できました。";
    Field "Field" "項目";
    Entry "Entry" "対象";
    Value "Value" "値";
    Unit "Unit" "単位";
    Meaning "Meaning" "意味";
    Probe "Probe" "測定項目";
    Code "Reason" "理由";
    Fingerprint "Key fingerprint" "鍵の指紋";
    AgentVersion "Agent version" "エージェントのバージョン";
    AgentId "Agent" "エージェントID";
    Interval "Interval" "送信間隔";
    Seconds "s" "秒";
    Ago "ago" "前";
    Ahead "ahead" "先";
    Epoch "Chain number" "チェーン番号";
    Skew "Clock, against the collector's" "時計のずれ（コレクター基準）";
    Taken "Taken, by the machine's clock" "測定時刻（機器の時計）";
    PushFailed "Failed pushes, seconds by layer" "送信失敗の秒数（層別）";
    Life "Registration" "登録状態";
    LifePending "waits for approval: compare the fingerprint" "承認待ち：指紋を照合してください";
    LifeActive "approved" "承認済み";
    LifeRevoked "key revoked" "鍵は失効済み";
    LifeRetired "taken out of service" "運用終了";
    Unknown "not known" "不明";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_stands_in_both_languages() {
        for key in Key::ALL {
            let (en, ja) = (key.text(Lang::En), key.text(Lang::Ja));
            assert!(!en.trim().is_empty() && !ja.trim().is_empty() && en != ja, "{key:?}");
            let swapped = *key == Key::OtherLanguage;
            assert_eq!(en.is_ascii(), !swapped, "{key:?}: {en}");
            assert_eq!(ja.is_ascii(), swapped, "{key:?}: {ja}");
        }
    }

    #[test]
    fn the_language_is_chosen_by_query_then_by_the_browser() {
        for (query, accept, lang) in [
            (Some("en"), Some("ja"), Lang::En),
            (Some("ja"), Some("en"), Lang::Ja),
            (Some("fr"), Some("en-GB,en;q=0.9,ja;q=0.8"), Lang::En),
            (None, Some("fr, ja-JP;q=0.7, en;q=0.3"), Lang::Ja),
            (None, Some("ja;q=0.2,en;q=0.9"), Lang::En),
            (None, Some("en;q=0"), Lang::Ja),
            (None, Some("en;q=nonsense"), Lang::Ja),
            (None, None, Lang::Ja),
        ] {
            assert_eq!(chosen(query, accept), lang, "{query:?} {accept:?}");
        }
    }
}
