//! The two languages that people read.

use clap::ValueEnum;
use mimamori_shared::time;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English.
    En,
    /// Japanese.
    Ja,
}

/// The variables that name the language of messages, the strongest first (POSIX.1-2017, 8.2).
pub const VARIABLES: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

impl Lang {
    /// The one of two texts.
    #[must_use]
    pub fn of<T>(self, en: T, ja: T) -> T {
        match self {
            Lang::En => en,
            Lang::Ja => ja,
        }
    }

    /// Its tag (BCP 47).
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.of("en", "ja")
    }

    /// A moment: UTC; for Japanese readers also Japan's time.
    #[must_use]
    pub fn when(self, ms: i64) -> String {
        match self {
            Lang::En => time::show(ms),
            Lang::Ja => format!("{} ({})", time::show(ms), time::show_japan(ms)),
        }
    }

    /// A moment in a column: UTC, or for Japanese readers Japan's time, with the offset.
    #[must_use]
    pub fn brief(self, ms: i64) -> String {
        match self {
            Lang::En => time::show(ms),
            Lang::Ja => time::show_japan(ms),
        }
    }

    /// The language of a user: what was asked for, else what the first of [`VARIABLES`] that is not empty says.
    #[must_use]
    pub fn chosen(asked: Option<Lang>, var: impl Fn(&str) -> Option<String>) -> Lang {
        let spoken = || VARIABLES.into_iter().find_map(|name| var(name).filter(|value| !value.is_empty()));
        asked.unwrap_or_else(|| if spoken().is_some_and(|lang| lang.starts_with("ja")) { Lang::Ja } else { Lang::En })
    }
}

#[cfg(test)]
mod tests {
    use super::Lang;

    #[track_caller]
    fn check(asked: Option<Lang>, vars: &[(&str, &str)], expected: Lang) {
        let var = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        assert_eq!(Lang::chosen(asked, var), expected, "{asked:?} {vars:?}");
    }

    #[test]
    fn japanese_readers_get_japans_time_with_its_offset() {
        let ms = 1_795_324_604_000;
        assert_eq!((Lang::En.when(ms), Lang::En.brief(ms)), ("2026-11-22T05:16:44Z".to_owned(), "2026-11-22T05:16:44Z".to_owned()));
        assert_eq!(
            (Lang::Ja.when(ms), Lang::Ja.brief(ms)),
            ("2026-11-22T05:16:44Z (2026-11-22T14:16:44+09:00)".to_owned(), "2026-11-22T14:16:44+09:00".to_owned())
        );
    }

    #[test]
    fn the_option_wins_over_the_environment_and_an_empty_variable_says_nothing() {
        check(None, &[], Lang::En);
        check(None, &[("LANG", "ja_JP.UTF-8")], Lang::Ja);
        check(None, &[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "C")], Lang::En);
        check(None, &[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "")], Lang::Ja);
        check(Some(Lang::En), &[("LANG", "ja_JP.UTF-8")], Lang::En);
    }
}
