//! `--help` in Japanese: a program's table of texts laid over the one command line that clap reads.
//!
//! A text is found by the words of its command (`ledger show`), and for an argument with its id behind a `#`
//! (`ledger show #last`); an argument that many commands have may stand once, without a command (`#json`).

use crate::Lang;
use crate::print::complain;
use crate::wrong::in_japanese;
use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Command, Parser};
use std::ffi::OsString;

/// Texts by their place.
pub type Texts = &'static [(&'static str, &'static str)];

/// What both programs have.
const COMMON: Texts = &[
    ("#set", "設定キーを1つ指定します（最優先）。繰り返し可。"),
    ("#sets", "設定キーを1つ指定します（最優先）。繰り返し可。"),
    ("#lang", "表示言語。既定はLANGに従います。"),
    ("#json", "スキーマ版付きのJSONで出力します。"),
    ("#help", "ヘルプを表示します。"),
    ("#version", "版を表示します。"),
    ("help", "このヘルプ、または指定したコマンドのヘルプを表示します。"),
    ("config", "設定。"),
    ("config check", "設定を読み、すべての誤り、または読んだ内容を示します。"),
    ("config show", "設定を表示します。"),
    ("config show #effective", "既定値も表示します。"),
    ("config show #origin", "各値の出所を表示します。"),
    ("completion", "補完スクリプトを出力します。"),
    ("completion #shell", "対象のシェル。"),
    ("man", "マニュアルページを出力するか、全コマンドの分をフォルダー（/usr/local/share/man/man1など）に書き出します。"),
    ("man #folder", "書き出すフォルダー（なければ作成します）。"),
];

const TEMPLATE: &str = "{about-with-newline}\n使い方: {usage}\n\n{all-args}{after-help}\n";

/// Reads this process's command line; help, and what is
/// wrong with it, are in the language that is asked for there, or else by the environment.
#[must_use]
pub fn parse<P: Parser>(texts: Texts, var: impl Fn(&str) -> Option<String>) -> P {
    let arguments = sets_first(std::env::args_os());
    if Lang::chosen(asked(std::env::args_os()), var) == Lang::En {
        return P::parse_from(arguments);
    }
    let matches = japanese(P::command(), texts).try_get_matches_from(arguments);
    matches.and_then(|matches| P::from_arg_matches(&matches)).unwrap_or_else(|fault| refuse(P::command().get_name(), &fault))
}

/// Help and version are no faults: they are said as they are.
fn refuse(program: &str, fault: &clap::Error) -> ! {
    if matches!(fault.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
        fault.exit();
    }
    complain(program, &in_japanese(fault));
    std::process::exit(fault.exit_code())
}

/// The same line with every `--set` in front of the command. Where some stand before it and some behind, clap keeps only
/// the latter, without a word.
fn sets_first(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.fuse();
    let mut first: Vec<OsString> = arguments.next().into_iter().collect();
    let mut rest = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            rest.push(argument);
            rest.extend(arguments.by_ref());
        } else if argument == "--set" {
            first.push(argument);
            first.extend(arguments.next());
        } else if argument.to_str().is_some_and(|text| text.starts_with("--set=")) {
            first.push(argument);
        } else {
            rest.push(argument);
        }
    }
    first.append(&mut rest);
    first
}

/// The language a command line asks for, before it is read as a whole.
fn asked(arguments: impl Iterator<Item = OsString>) -> Option<Lang> {
    let arguments: Vec<String> = arguments.filter_map(|argument| argument.into_string().ok()).take_while(|argument| argument != "--").collect();
    let next = arguments.iter().zip(arguments.iter().skip(1)).filter(|(flag, _)| *flag == "--lang").map(|(_, value)| value.as_str());
    let joined = arguments.iter().filter_map(|argument| argument.strip_prefix("--lang="));
    match next.chain(joined).last() {
        Some("ja") => Some(Lang::Ja),
        Some("en") => Some(Lang::En),
        _ => None,
    }
}

/// The command line with Japanese help; it is read the same.
#[must_use]
pub fn japanese(mut command: Command, texts: Texts) -> Command {
    // Builds what clap adds by itself, so that it can be translated too.
    command.build();
    translated(command, "", texts)
}

fn translated(command: Command, path: &str, texts: Texts) -> Command {
    let mut command = match find(texts, path) {
        Some(text) => command.about(text).long_about(Resettable::Reset),
        None => command,
    };
    command = command.help_template(TEMPLATE).subcommand_help_heading("コマンド").mut_args(|argument| {
        let heading = if argument.is_positional() { "引数" } else { "オプション" };
        let text = of_argument(texts, path, argument.get_id().as_str());
        let argument = argument.help_heading(heading);
        match text {
            Some(text) => argument.help(text).long_help(Resettable::Reset),
            None => argument,
        }
    });
    if find(texts, "after").is_some() && path.is_empty() {
        command = command.after_help(find(texts, "after").unwrap_or_default());
    }
    for below in command.get_subcommands_mut() {
        let name = below_of(path, below.get_name());
        *below = translated(std::mem::take(below), &name, texts);
    }
    command
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path} {name}") }
}

/// clap's own `help` stands in every group and repeats the commands beside it: they have their texts already.
fn below_of(path: &str, name: &str) -> String {
    match (path.strip_suffix("help").map(str::trim_end), name) {
        (_, "help") => "help".to_owned(),
        (Some(above), _) => joined(above, name),
        (None, _) => joined(path, name),
    }
}

fn find(texts: Texts, place: &str) -> Option<&'static str> {
    texts.iter().chain(COMMON).find(|(key, _)| *key == place).map(|(_, text)| *text)
}

fn of_argument(texts: Texts, path: &str, id: &str) -> Option<&'static str> {
    find(texts, &joined(path, &format!("#{id}"))).or_else(|| find(texts, &format!("#{id}")))
}

/// What lacks a Japanese text, and texts of what does not exist; empty when the table is whole.
#[must_use]
pub fn faults(mut command: Command, texts: Texts) -> Vec<String> {
    command.build();
    let mut places = vec!["after".to_owned()];
    let mut faults = Vec::new();
    missing(&command, "", texts, &mut places, &mut faults);
    for (key, text) in texts {
        if !places.iter().any(|place| place == key) {
            faults.push(format!("`{key}` is no command and no argument"));
        }
        if text.is_ascii() {
            faults.push(format!("`{key}` is not Japanese: {text}"));
        }
    }
    faults
}

fn missing(command: &Command, path: &str, texts: Texts, places: &mut Vec<String>, faults: &mut Vec<String>) {
    places.push(path.to_owned());
    if find(texts, path).is_none() {
        faults.push(format!("`{path}` has no Japanese text"));
    }
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        places.extend([joined(path, &format!("#{id}")), format!("#{id}")]);
        if of_argument(texts, path, id).is_none() {
            faults.push(format!("`{}` has no Japanese text", joined(path, &format!("#{id}"))));
        }
    }
    // clap's own `help` repeats the others.
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        missing(below, &joined(path, below.get_name()), texts, places, faults);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    /// Says a thing.
    #[derive(Debug, Parser)]
    #[command(name = "sayer", version)]
    struct Sayer {
        #[command(subcommand)]
        what: What,
    }

    #[derive(Debug, clap::Subcommand)]
    enum What {
        /// Says it loudly.
        Loudly {
            /// How often.
            #[arg(long, default_value_t = 3)]
            times: u8,
            /// What.
            text: String,
        },
    }

    #[test]
    fn settings_count_in_front_of_the_command_and_behind_it() {
        #[derive(Debug, Parser)]
        struct Set {
            #[command(flatten)]
            common: crate::Common,
            #[command(subcommand)]
            what: What,
        }
        let read = |line: &str| Set::parse_from(sets_first(line.split(' ').map(OsString::from))).common.sets;
        assert_eq!(read("sayer --set a=1 loudly --set b=2 x --set=c=3"), ["a=1", "b=2", "c=3"]);
        assert_eq!(read("sayer loudly x"), Vec::<String>::new());
        assert_eq!(read("sayer --set=a=1 loudly -- --set"), ["a=1"]);
        assert!(Set::try_parse_from(sets_first(["sayer", "loudly", "x", "--set"].map(OsString::from).into_iter())).is_err(), "a value is missing");
    }

    const TEXTS: Texts = &[("", "言います。"), ("loudly", "大声で言います。"), ("loudly #times", "回数。"), ("loudly #text", "内容。")];

    #[test]
    fn help_is_japanese_and_the_line_is_read_the_same() {
        let mut command = japanese(Sayer::command(), TEXTS);
        let below = command.find_subcommand_mut("loudly").unwrap().render_long_help().to_string();
        for words in ["大声で言います。", "使い方:", "回数。", "内容。", "引数:", "オプション:", "ヘルプを表示します。", "[default: 3]"]
        {
            assert!(below.contains(words), "{words}: {below}");
        }
        for english in ["Usage", "Options", "How often", "Print help"] {
            assert!(!below.contains(english), "{english}: {below}");
        }
        let all = command.render_help().to_string();
        assert!(all.contains("help    このヘルプ") && !all.contains("Print this"), "{all}");
        let matches = command.try_get_matches_from(["sayer", "loudly", "--times", "5", "a"]).unwrap();
        let What::Loudly { times, text } = <Sayer as clap::FromArgMatches>::from_arg_matches(&matches).unwrap().what;
        assert_eq!((times, text.as_str()), (5, "a"));
    }

    #[test]
    fn what_lacks_a_text_or_has_one_too_many_is_named() {
        assert_eq!(faults(Sayer::command(), TEXTS), Vec::<String>::new());
        const PART: Texts = &[("", "言います。"), ("loudly", "loudly"), ("loudly #text", "内容。"), ("softly", "小声。")];
        let faults = faults(Sayer::command(), PART).join("\n");
        for named in ["`loudly #times` has no", "`softly` is no command", "`loudly` is not Japanese"] {
            assert!(faults.contains(named), "{named}: {faults}");
        }
    }

    #[test]
    fn the_language_is_seen_before_the_line_is_read() {
        let of = |line: &str| asked(line.split(' ').map(OsString::from));
        assert_eq!(of("x --lang ja ledger"), Some(Lang::Ja));
        assert_eq!(of("x ledger --lang=en --help"), Some(Lang::En));
        assert_eq!(of("x --lang=ja --lang en"), Some(Lang::Ja));
        assert_eq!(of("x -- --lang ja"), None);
        assert_eq!(of("x --lang fr"), None);
    }
}
