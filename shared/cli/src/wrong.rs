//! What is wrong with a command line, in Japanese: clap knows it in English only.
//!
//! The sentence follows from the kind of the fault and from what clap tells beside it; the form of a value from the
//! sentence of whoever refused it.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error as _;

/// What those who read a value say of it, and the same in Japanese.
const FORMS: &[(&str, &str)] = &[
    ("invalid digit found in string", "0以上の整数で指定してください"),
    ("cannot parse integer from empty string", "0以上の整数で指定してください"),
    ("number too large to fit in target type", "数値が大きすぎます"),
    ("an alias is ", "別名はa-z 0-9 _ -の1～32文字です"),
    ("a fingerprint is ", "指紋は4桁の16進数8組です。例：0011-2233-4455-6677-8899-aabb-ccdd-eeff"),
    ("a machine is named FACILITY/MACHINE, or ", "機器はFACILITY/MACHINE、または32桁の16進数のエージェントIDで指定してください"),
    ("a machine is named ", "機器はFACILITY/MACHINEの形で指定してください"),
    ("a range of addresses is ", "アドレス範囲は192.0.2.0/24や2001:db8::/32の形で、プレフィックスより後ろのビットを0にして指定してください"),
];

fn text(fault: &clap::Error, kind: ContextKind) -> Option<&str> {
    match fault.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// One or several, each in quotes.
fn quoted(fault: &clap::Error, kind: ContextKind) -> Option<String> {
    match fault.get(kind) {
        Some(ContextValue::String(text)) => Some(format!("`{text}`")),
        Some(ContextValue::Strings(texts)) if !texts.is_empty() => Some(texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join("、")),
        _ => None,
    }
}

/// The form of a value in Japanese, by the sentence of who refused it; an unknown sentence stays as it is.
#[must_use]
pub fn form(said: &str) -> String {
    FORMS.iter().find(|(english, _)| said.starts_with(english)).map_or_else(|| said.to_owned(), |(_, japanese)| (*japanese).to_owned())
}

/// What is wrong, why, and what was perhaps meant: lines for people.
#[must_use]
pub fn in_japanese(fault: &clap::Error) -> String {
    let mut lines = vec![sentence(fault)];
    for kind in [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue] {
        lines.extend(quoted(fault, kind).map(|near| format!("もしかして：{near}")));
    }
    if let Some(ContextValue::StyledStrs(more)) = fault.get(ContextKind::Suggested) {
        lines.extend(more.iter().filter_map(|more| suggestion(&more.to_string())));
    }
    if let Some(ContextValue::StyledStr(usage)) = fault.get(ContextKind::Usage) {
        lines.push(usage.to_string().replacen("Usage:", "使い方：", 1).trim().to_owned());
    }
    lines.push("詳しくは`--help`をご覧ください".to_owned());
    lines.join("\n")
}

fn sentence(fault: &clap::Error) -> String {
    let argument = quoted(fault, ContextKind::InvalidArg);
    let value = text(fault, ContextKind::InvalidValue);
    let command = text(fault, ContextKind::InvalidSubcommand);
    let possible = |kind| quoted(fault, kind).map(|values| format!("。指定できるもの：{values}")).unwrap_or_default();
    match (fault.kind(), argument, value, command) {
        (ErrorKind::InvalidValue, Some(argument), Some("") | None, _) => format!("{argument} には値が必要です{}", possible(ContextKind::ValidValue)),
        (ErrorKind::InvalidValue, Some(argument), Some(value), _) => format!("{argument} の値`{value}`は指定できません{}", possible(ContextKind::ValidValue)),
        (ErrorKind::ValueValidation, Some(argument), Some(value), _) => {
            let why = fault.source().map(|why| format!("：{}", form(&why.to_string()))).unwrap_or_default();
            format!("{argument} の値`{value}`は正しくありません{why}")
        }
        (ErrorKind::TooManyValues, Some(argument), Some(value), _) => format!("{argument} に値`{value}`は指定できません"),
        (ErrorKind::UnknownArgument, Some(argument), ..) => format!("不明な引数です：{argument}"),
        (ErrorKind::InvalidSubcommand, _, _, Some(command)) => format!("不明なコマンドです：`{command}`"),
        (ErrorKind::MissingSubcommand, _, _, Some(command)) => {
            format!("`{command}` にはコマンドの指定が必要です{}", possible(ContextKind::ValidSubcommand))
        }
        (ErrorKind::MissingRequiredArgument, Some(arguments), ..) => format!("必須の引数がありません：{arguments}"),
        (ErrorKind::ArgumentConflict, Some(argument), ..) => match quoted(fault, ContextKind::PriorArg) {
            Some(other) if other == argument => format!("{argument} は1回だけ指定できます"),
            Some(others) => format!("{argument} は{others} と同時に指定できません"),
            None => format!("{argument} は他の引数と同時に指定できません"),
        },
        (ErrorKind::InvalidUtf8, ..) => "引数にUTF-8として正しくない文字があります".to_owned(),
        _ => "コマンドラインの指定が正しくありません".to_owned(),
    }
}

/// clap's own tips, which it hands over as sentences.
fn suggestion(said: &str) -> Option<String> {
    let mut parts = said.split('\'').skip(1).step_by(2);
    let (first, second) = (parts.next()?, parts.next());
    match second {
        Some(line) if said.starts_with("to pass") => Some(format!("`{first}`を値として渡すには`{line}`と書いてください")),
        Some(dashes) if said.starts_with("subcommand") => Some(format!("コマンド`{first}`を使うには、その前の`{dashes}`を除いてください")),
        None if said.ends_with("exists") => Some(format!("`{first}`ならあります")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::help::japanese;
    use clap::{CommandFactory as _, Parser};
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    /// Says a thing.
    #[derive(Debug, Parser)]
    #[command(name = "sayer", version)]
    struct Sayer {
        /// Language.
        #[command(flatten)]
        common: crate::Common,
        #[command(subcommand)]
        what: What,
    }

    #[derive(Debug, clap::Subcommand)]
    enum What {
        /// Says it.
        Say {
            /// How often.
            #[arg(long, default_value_t = 3)]
            times: u64,
            /// How.
            #[arg(long, conflicts_with = "times")]
            softly: bool,
            /// What.
            #[arg(value_name = "TEXT")]
            text: String,
        },
    }

    fn told(line: &[OsString]) -> (ErrorKind, String) {
        let fault = japanese(Sayer::command(), &[]).try_get_matches_from(line).unwrap_err();
        assert_eq!(fault.exit_code(), 2);
        (fault.kind(), in_japanese(&fault))
    }

    #[track_caller]
    fn check(line: &str, kind: ErrorKind, words: &[&str]) {
        let (is, said) = told(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(is, kind, "{said}");
        assert!(words.iter().all(|word| said.contains(word)) && said.contains("--help"), "{words:?}: {said}");
        for english in ["Usage", "error", "tip", "invalid", "argument", "required", "possible", "value ", "found"] {
            assert!(!said.contains(english), "{english}: {said}");
        }
    }

    #[test]
    fn every_kind_of_fault_that_can_be_reached_is_said_in_japanese() {
        check("sayer say a --lang fr", ErrorKind::InvalidValue, &["`--lang <LANG>` の値`fr`は指定できません", "`en`、`ja`"]);
        check("sayer say a --times", ErrorKind::InvalidValue, &["`--times <TIMES>` には値が必要です"]);
        check("sayer say a --times x", ErrorKind::ValueValidation, &["の値`x`は正しくありません：0以上の整数で指定してください"]);
        check("sayer say a --softly=yes", ErrorKind::TooManyValues, &["`--softly` に値`yes`は指定できません"]);
        check("sayer say a --softyl", ErrorKind::UnknownArgument, &["不明な引数です：`--softyl`", "もしかして：`--softly`", "使い方： sayer say"]);
        check("sayer say a b", ErrorKind::UnknownArgument, &["不明な引数です：`b`"]);
        check("sayer say --x", ErrorKind::UnknownArgument, &["`--x`を値として渡すには`-- --x`と書いてください"]);
        check("sayer --softly say a", ErrorKind::UnknownArgument, &["`say --softly`ならあります"]);
        check("sayer -- say", ErrorKind::UnknownArgument, &["コマンド`say`を使うには、その前の`--`を除いてください"]);
        check("sayer sayy", ErrorKind::InvalidSubcommand, &["不明なコマンドです：`sayy`", "もしかして：`say`"]);
        check("sayer --lang ja", ErrorKind::MissingSubcommand, &["`sayer` にはコマンドの指定が必要です。指定できるもの：`say`"]);
        check("sayer say", ErrorKind::MissingRequiredArgument, &["必須の引数がありません：`<TEXT>`"]);
        check("sayer say a --softly --times 4", ErrorKind::ArgumentConflict, &["`--softly` は`--times <TIMES>` と同時に指定できません"]);
        check("sayer say a --softly --softly", ErrorKind::ArgumentConflict, &["`--softly` は1回だけ指定できます"]);
        let (kind, said) = told(&["sayer".into(), "say".into(), OsString::from_vec(vec![0xff])]);
        assert!(kind == ErrorKind::InvalidUtf8 && said.contains("UTF-8"), "{said}");
    }

    #[test]
    fn a_sentence_that_is_not_known_stays_as_it_is() {
        assert_eq!(form("an alias is 1 to 32 of"), "別名はa-z 0-9 _ -の1～32文字です");
        assert_eq!(form("it is too late"), "it is too late");
    }
}
