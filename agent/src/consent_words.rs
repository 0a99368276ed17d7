//! Why there is no consent, in the reader's language.

use crate::cli::Lang;
use crate::consent_file::NoConsent;
use mimamori_shared::time;

impl NoConsent {
    /// The reason and the mend. What stands in the file itself, and what the system says, is repeated as it is.
    #[must_use]
    pub fn in_lang(&self, lang: Lang) -> String {
        if lang == Lang::En {
            return self.to_string();
        }
        match self {
            NoConsent::Missing(path) => format!("{path} に同意書がありません。医療機関の管理者が置いてください（docs/CONSENT.md）"),
            NoConsent::Unreadable(path, why) => format!("{path} の同意書を読み取れません（{why}）。エージェントのアカウントが読めるようにしてください"),
            NoConsent::Faults(path, faults) => format!("{path} の同意書を解釈できません：{}", faults.ja),
            NoConsent::NotProven { path, what } => {
                format!("{path} の同意書は証拠になりません。エージェントのアカウントが {what} を変更できます。管理者の所有とし、書き込みを禁止してください")
            }
            NoConsent::Withdrawn { path, .. } => format!("{path} の同意は医療機関によって撤回されました"),
            NoConsent::NotYet(at) => format!("同意の有効期間は {} に始まります", japanese(at)),
            NoConsent::Expired(at) => format!("同意の有効期間は {} に終わりました。医療機関に新しい同意を依頼してください", japanese(at)),
        }
    }
}

fn japanese(moment: &str) -> String {
    time::parse(moment).map_or_else(|_| moment.to_owned(), |ms| Lang::Ja.when(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent_file::Fault;

    #[test]
    fn every_reason_is_said_in_both_languages_and_names_the_same_things() {
        let text = |text: &str| text.to_owned();
        for why in [
            NoConsent::Missing(text("/a/b")),
            NoConsent::Unreadable(text("/a/b"), text("denied")),
            NoConsent::Faults(text("/a/b"), Fault { en: text("/a/b:3: version = 2"), ja: text("/a/b:3：version = 2") }),
            NoConsent::NotProven { path: text("/a/b"), what: text("/a") },
            NoConsent::Withdrawn { path: text("/a/b"), keep: false },
            NoConsent::NotYet(text("2026-01-01T00:00:00Z")),
            NoConsent::Expired(text("2026-01-01T00:00:00Z")),
        ] {
            let (en, ja) = (why.in_lang(Lang::En), why.in_lang(Lang::Ja));
            assert!(en.is_ascii() && ja.contains("同意"), "{en} {ja}");
            for named in ["/a/b", "denied", "version = 2", "2026-01-01T00:00:00Z"] {
                assert_eq!(en.contains(named), ja.contains(named), "{ja}");
            }
        }
    }
}
