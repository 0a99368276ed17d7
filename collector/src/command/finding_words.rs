//! What was found of a machine, in words.

use crate::cli::Lang;
use crate::store::{FindingKind, FindingRow};

/// What it means for somebody who looks at the machine.
pub(super) fn words(finding: &FindingRow, lang: Lang) -> String {
    let (en, ja) = match finding.kind {
        FindingKind::BodyUnusable => ("a report could not be read; it is kept as evidence", "読み取れないレポートがありました（証跡として保管）"),
        FindingKind::ChainWithoutOpen => ("a chain does not begin with its opening statement", "チェーンが開始の通知なしに始まっています"),
        FindingKind::LeaseUnknown => ("a report echoes a receipt that was never given", "渡していない受領証に基づくレポートがありました"),
        FindingKind::Diverged => ("a report contradicts what is held: see `machine forks`", "保管内容と矛盾するレポートがありました（`machine forks`で確認）"),
        FindingKind::BootsInterleaved => ("two boots report in turns: see `machine forks`", "2つの起動が交互に報告しています（`machine forks`で確認）"),
        FindingKind::OldChainSpoke => ("an older chain reported again: see `machine forks`", "以前のチェーンから再び報告がありました（`machine forks`で確認）"),
        FindingKind::TooManyBranches => ("a further branch was refused: see `machine forks`", "これ以上の分岐を拒否しました（`machine forks`で確認）"),
        FindingKind::TooManyChains => ("a new chain waits for `machine approve`", "新しいチェーンが承認待ちです（`machine approve`）"),
        FindingKind::BootsTooMany => ("it booted more often in a day than is told apart", "1日の起動回数が区別できる数を超えました"),
        FindingKind::ChangesTooMany => {
            ("its state changed more often in a day than is written down", "1日の状態変化が記録できる数を超えました（翌日まで履歴は「不明」です）")
        }
        FindingKind::BudgetExceeded => ("it sent more than it may store in a day; the rest was refused", "1日の保存量の上限を超え、以後を拒否しました"),
        FindingKind::ClockSkewed => ("its clock is more than 120 s off", "時計が120秒以上ずれています"),
        FindingKind::ClockQuarantined => ("its clock is more than a day off; its times are not used", "時計が1日以上ずれています（時刻は使用しません）"),
        FindingKind::SourceFlapping => ("it reports from two addresses in turn", "2つのアドレスから交互に報告しています"),
        FindingKind::ConsentExpires => return consent_ends(finding.detail.as_str(), lang),
        FindingKind::OldKeySpoke => {
            ("a key that has handed over was used again: see `machine forks`", "引き継ぎ済みの旧い鍵が使われました（`machine forks`で確認）")
        }
        FindingKind::KeyVouched => ("a new key was named ahead of what is held here", "保管済みの範囲より先で新しい鍵が示されました"),
        FindingKind::NewKeyRefused => {
            ("a new key was not taken; the old one stays: see `machine forks`", "新しい鍵を受け入れませんでした（旧い鍵のまま。`machine forks`で確認）")
        }
        FindingKind::StandingTooMany => {
            ("more of it is out of order than is kept; the least urgent was let go", "異常が保持できる件数を超えたため、緊急度の低いものから除きました")
        }
    };
    lang.of(en, ja).to_owned()
}

/// The detail is a word such as `within_30_days`.
fn consent_ends(detail: &str, lang: Lang) -> String {
    let days = detail.split('_').nth(1).unwrap_or("?");
    let en = if days == "1" { "a day".to_owned() } else { format!("{days} days") };
    lang.of(
        format!("the consent ends within {en}: ask the facility for a new one"),
        format!("同意の期限まで{days}日以内です。施設に新しい同意を依頼してください"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimamori_shared::id::{AgentId, ChainId};

    #[test]
    fn every_finding_is_said_in_words_of_both_languages() {
        let of = |kind: FindingKind, detail: &str| FindingRow {
            agent_id: AgentId::ZERO,
            kind,
            day: 0,
            count: 1,
            first_at_ms: 0,
            last_at_ms: 0,
            chain_id: ChainId([0; 16]),
            seq: 0,
            detail: detail.parse().unwrap(),
        };
        for kind in FindingKind::ALL {
            let (en, ja) = (words(&of(*kind, "within_30_days"), Lang::En), words(&of(*kind, "within_30_days"), Lang::Ja));
            assert!(en.is_ascii() && en.contains(' ') && !ja.is_ascii(), "{en} {ja}");
        }
        assert!(words(&of(FindingKind::ConsentExpires, "within_1_days"), Lang::En).contains("within a day:"));
        assert!(words(&of(FindingKind::ConsentExpires, "within_7_days"), Lang::En).contains("within 7 days:"));
    }
}
