//! What an update is for, by its categories or its title. Titles are in Windows' language; numbers of articles are not.

use crate::text;

/// What an update is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Definitions of an antivirus product.
    Definitions,
    Security,
    /// Certainly not for security.
    Other,
    Untold,
}

/// Articles that stand for definitions, whatever version: Defender, Defender of Windows 7, Security Essentials, Endpoint Protection.
const DEFINITIONS: &[i64] = &[2_267_602, 915_597, 2_310_138, 2_461_484];
const DEFINITION_WORDS: &[&str] = &[
    "definition update",
    "security intelligence",
    "セキュリティ インテリジェンス",
    "セキュリティインテリジェンス",
    "定義の更新",
    "定義更新",
    "定義ファイル",
    "definitionsupdate",
    "mise à jour de définition",
    "veille de sécurité",
    "inteligencia de seguridad",
    "e0789628-ce08-4437-be74-2495b842f43b",
];
/// Articles that are not for security: the tool that removes malware, the platforms of Defender and of Windows Security.
const OTHERS: &[i64] = &[890_830, 4_052_623, 5_007_651];
const OTHER_WORDS: &[&str] = &[
    "preview",
    "プレビュー",
    "vorschau",
    "malicious software removal",
    "悪意のあるソフトウェアの削除",
    "entfernen bösartiger",
    "windows security platform",
    "windows セキュリティ プラットフォーム",
    "antimalware platform",
    "マルウェア対策プラットフォーム",
];
const SECURITY_WORDS: &[&str] = &[
    "security update",
    "security monthly quality rollup",
    "security only",
    "セキュリティ更新",
    "セキュリティ問題の修正",
    "セキュリティ マンスリー品質ロールアップ",
    "セキュリティのみ",
    "sicherheitsupdate",
    "sicherheitsqualitäts",
    "mise à jour de sécurité",
    "mises à jour de la sécurité",
    "actualización de seguridad",
    "aggiornamento della protezione",
    "aggiornamento della sicurezza",
    "0fa1201d-4330-4fa8-9476-b877473b6441",
];
/// Categories that say that an update is not for security.
const PLAIN_CATEGORIES: &[&str] =
    &["updates", "update rollups", "feature packs", "drivers", "upgrades", "service packs", "tools", "更新", "修正プログラム集", "ドライバー"];

/// By the title, in any language that we know.
pub(super) fn of_title(title: &str) -> Class {
    let lower = title.chars().take(400).collect::<String>().to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let articles = articles(&lower);
    let is = |known: &[i64]| articles.iter().any(|article| known.contains(article));
    if is(DEFINITIONS) || has(DEFINITION_WORDS) {
        Class::Definitions
    } else if is(OTHERS) || has(OTHER_WORDS) {
        Class::Other
    } else if has(SECURITY_WORDS) {
        Class::Security
    } else {
        Class::Untold
    }
}

/// By its categories and severity where they are told, and by its title where not.
pub(super) fn of(title: &str, categories: &[String], severity: Option<&str>) -> Class {
    let by_title = of_title(title);
    let lower: Vec<String> = categories.iter().map(|category| category.to_lowercase()).collect();
    let has = |words: &[&str]| lower.iter().any(|category| words.iter().any(|word| category.contains(word)));
    if by_title == Class::Definitions || has(DEFINITION_WORDS) {
        return Class::Definitions;
    }
    let severe = severity.is_some_and(|severity| ["critical", "important", "moderate", "low"].contains(&severity.to_lowercase().as_str()));
    if severe || has(SECURITY_WORDS) {
        return Class::Security;
    }
    if by_title == Class::Untold && lower.iter().any(|category| PLAIN_CATEGORIES.contains(&category.as_str())) { Class::Other } else { by_title }
}

/// Numbers behind `kb`, in a text in small letters.
pub(super) fn articles(lower: &str) -> Vec<i64> {
    let mut found = Vec::new();
    for (at, _) in lower.match_indices("kb").take(16) {
        let digits: String = lower.get(at + 2..).unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
        if (5..=8).contains(&digits.len()) {
            found.extend(text::whole(&digits));
        }
    }
    found
}
