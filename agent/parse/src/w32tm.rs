//! The clock as the Windows Time service keeps it: `w32tm /query /status [/verbose]`.
//!
//! The labels are in the language of Windows, and are often mangled on their way here; the order of the lines is the same
//! in all languages. So labels are read where they are English or Japanese, and places where they are neither.

use crate::verdict::Verdict;
use crate::{Outcome, Unreadable, clock, complaint, text};
use serde::Serialize;

/// What the clock follows. The source's name and address are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The machine's own clock.
    Own,
    /// The virtual machine's host.
    Host,
    /// A server or a domain controller.
    Server,
}

/// The tool's answer. The time of the last synchronisation is in the machine's zone and format: it cannot be read as a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Timekeeping {
    /// Leap indicator; 3 is not synchronised.
    pub leap: Option<i64>,
    /// Steps between the clock and a reference clock.
    pub stratum: Option<i64>,
    /// What the clock follows.
    pub source: Option<Source>,
    /// Finest step of the clock, as a power of two of a second.
    pub precision: Option<i64>,
    /// Way to the reference clock, in nanoseconds.
    pub root_delay_ns: Option<i64>,
    /// Error gathered on that way, in nanoseconds.
    pub root_dispersion_ns: Option<i64>,
    /// Between two questions to the source, in seconds.
    pub poll_interval_s: Option<i64>,
    /// The last measured difference, in nanoseconds; with `/verbose`.
    pub offset_ns: Option<i64>,
    /// 0 unset, 1 hold, 2 sync, 3 spike; with `/verbose`.
    pub state: Option<i64>,
    /// Why the last try failed; 0 is none; with `/verbose`.
    pub last_error: Option<i64>,
    /// Since the last good synchronisation, in milliseconds; with `/verbose`.
    pub since_good_ms: Option<i64>,
}

/// The lines in their order, with what their labels begin with in English and Japanese.
const LABELS: &[(&str, &[&str])] = &[
    ("leap", &["Leap Indicator", "閏インジケーター", "閏インジケータ", "うるう"]),
    ("stratum", &["Stratum", "階層"]),
    ("precision", &["Precision", "精度"]),
    ("delay", &["Root Delay", "ルート遅延"]),
    ("dispersion", &["Root Dispersion", "ルート分散"]),
    ("reference", &["ReferenceId", "Reference Id", "参照 ID", "参照ID"]),
    ("last", &["Last Successful Sync Time", "最終正常同期時刻"]),
    ("source", &["Source", "ソース"]),
    ("poll", &["Poll Interval", "ポーリング間隔", "ポーリング"]),
    ("offset", &["Phase Offset", "フェーズ オフセット", "フェーズオフセット", "位相オフセット"]),
    ("rate", &["ClockRate", "クロック レート", "クロックレート", "クロック速度"]),
    ("state", &["State Machine", "状態マシン", "ステート マシン", "ステートマシン"]),
    ("flags", &["Time Source Flags", "時刻ソース フラグ", "タイム ソース フラグ", "時刻ソースフラグ"]),
    ("role", &["Server Role", "サーバーの役割", "サーバー役割"]),
    ("error", &["Last Sync Error", "最終同期エラー"]),
    ("since", &["Time since Last Good Sync Time", "最終正常同期時刻からの時間", "最終正常同期からの"]),
];

const SUCH_AS: &str = "Leap Indicator: 0(no warning)";

/// Reads the output.
///
/// # Errors
/// When it is empty or no status.
pub fn parse(input: &str) -> Result<Timekeeping, Unreadable> {
    let mut lines = input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (first, _) = lines.next().ok_or(Unreadable::Empty)?;
    let pairs: Vec<(&str, &str)> = input.lines().filter_map(|line| line.split_once([':', '：'])).map(|(label, value)| (label.trim(), value.trim())).collect();
    let mut named: Vec<(&str, &str)> = pairs.iter().filter_map(|(label, value)| Some((field(label)?, *value))).collect();
    if !shaped(&named) {
        let start = pairs.windows(5).position(by_place).ok_or(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS })?;
        named = LABELS.iter().map(|(field, _)| *field).zip(pairs.iter().skip(start).map(|(_, value)| *value)).collect();
    }
    Ok(record(&named))
}

/// The field of a label; the longest beginning counts, as `最終正常同期時刻からの時間` begins with another label.
fn field(label: &str) -> Option<&'static str> {
    let begins = |(field, names): &(&'static str, &[&str])| Some((names.iter().filter(|name| label.starts_with(**name)).map(|name| name.len()).max()?, *field));
    LABELS.iter().filter_map(begins).max_by_key(|(length, _)| *length).map(|(_, field)| field)
}

/// Whether what the labels told is a status: `Source` and `Stratum` are labels of many.
fn shaped(named: &[(&str, &str)]) -> bool {
    let number = |field: &str| value(named, field).and_then(leading).is_some();
    named.len() >= 3 && (number("leap") || number("stratum")) && ["delay", "dispersion", "poll", "reference"].iter().any(|field| value(named, field).is_some())
}

/// Whether five values stand as leap indicator, stratum, precision, delay and dispersion do.
fn by_place(values: &[(&str, &str)]) -> bool {
    let [(_, leap), (_, stratum), (_, precision), (_, delay), (_, dispersion)] = values else { return false };
    let described = |value: &str| value.contains(['(', '（']) && leading(value).is_some();
    described(leap)
        && leading(leap).is_some_and(|leap| (0..=3).contains(&leap))
        && described(stratum)
        && described(precision)
        && [delay, dispersion].iter().all(|value| span(value, 1e9).is_some())
}

fn value<'a>(named: &[(&str, &'a str)], field: &str) -> Option<&'a str> {
    named.iter().find(|(name, _)| *name == field).map(|(_, value)| *value)
}

/// The whole number that a value begins with, such as `-6 (15.625ms per tick)`.
fn leading(value: &str) -> Option<i64> {
    let (sign, digits) = value.strip_prefix('-').map_or((1, value), |digits| (-1, digits));
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    text::whole(digits.get(..end).filter(|digits| !digits.is_empty())?).map(|number| sign * number)
}

/// A span such as `-0.0027702s`, in parts of a second; some languages write a comma.
fn span(value: &str, parts: f64) -> Option<i64> {
    text::parts(&value.strip_suffix('s')?.trim().replace(',', "."), parts)
}

fn record(named: &[(&str, &str)]) -> Timekeeping {
    let number = |field: &str| value(named, field).and_then(leading);
    let ns = |field: &str| value(named, field).and_then(|value| span(value, 1e9));
    // `LOCL` in letters.
    let own = value(named, "reference").is_some_and(|id| id.contains("4C4F434C") || id.contains("LOCL"));
    let poll = value(named, "poll").and_then(|poll| poll.split_once(['(', '（'])).and_then(|(_, inner)| leading(inner));
    Timekeeping {
        leap: number("leap"),
        stratum: number("stratum"),
        source: value(named, "source").filter(|source| !source.is_empty()).map(|source| source_of(source, own)),
        precision: number("precision"),
        root_delay_ns: ns("delay"),
        root_dispersion_ns: ns("dispersion"),
        poll_interval_s: poll,
        offset_ns: ns("offset"),
        state: number("state"),
        last_error: number("error"),
        since_good_ms: value(named, "since").and_then(|since| span(since, 1000.0)),
    }
}

fn source_of(source: &str, own: bool) -> Source {
    if own || source.contains("Local CMOS") || source.contains("Free-running") || source.contains("CMOS クロック") {
        Source::Own
    } else if source.contains("VM IC Time") {
        Source::Host
    } else {
        Source::Server
    }
}

const TOOL: &[&str] = &["w32tm"];
/// Windows' numbers of errors: the words around them are in its language.
const COMPLAINTS: &[(&str, &str)] =
    &[("0x80070426", "not_running"), ("0x80070005", "permission_denied"), ("0x800706ba", "not_running"), ("0x800705b4", "timed_out"), ("(0x8007", "io_error")];

/// Between good synchronisations, in milliseconds, above which a failed try counts: a day.
const SINCE_GOOD_MAX_MS: i64 = 86_400_000;

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let clock = match parse(input) {
        Ok(clock) => clock,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    match (clock.leap, clock.stratum, clock.source) {
        (Some(3), ..) | (_, Some(0 | 16..), _) => verdict.bad("the clock is not synchronised"),
        (_, _, Some(Source::Own)) => verdict.bad("the clock follows only itself"),
        (None, ..) | (_, None, _) => verdict.unknown("the service does not say whether the clock is synchronised"),
        _ => {}
    }
    if let Some(error) = clock.last_error.filter(|error| *error != 0) {
        let said = format!("the last synchronisation failed (error {error})");
        if clock.since_good_ms.is_some_and(|since| since > SINCE_GOOD_MAX_MS) { verdict.bad(said) } else { verdict.note(said) }
    }
    clock::judge_offset(clock.offset_ns, &mut verdict);
    let mut outcome = verdict.outcome("the clock is synchronised");
    for (name, ns) in [("clock_offset", clock.offset_ns), ("clock_root_delay", clock.root_delay_ns), ("clock_root_dispersion", clock.root_dispersion_ns)] {
        outcome.reading(name, &[], clock::seconds(ns), "seconds");
    }
    outcome.reading("clock_stratum", &[], clock.stratum.map(text::float), "count");
    outcome.reading("clock_poll_interval", &[], clock.poll_interval_s.map(text::float), "seconds");
    outcome.reading("clock_since_synchronised", &[], clock.since_good_ms.map(|ms| text::float(ms) / 1000.0), "seconds");
    outcome.record(&clock);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    const ENGLISH: &str = "Leap Indicator: 0(no warning)\r\nStratum: 4 (secondary reference - syncd by (S)NTP)\r\n\
        Precision: -23 (119.209ns per tick)\r\n\
        Root Delay: 0.0296267s\r\nRoot Dispersion: 0.0448955s\r\nReferenceId: 0xCB007109 (source IP:  203.0.113.9)\r\n\
        Last Successful Sync Time: 11/26/2026 10:20:30 AM\r\nSource: ntp.example.org,0x8\r\nPoll Interval: 10 (1024s)\r\n\r\n\
        Phase Offset: -0.0027702s\r\nClockRate: 0.0156250s\r\nState Machine: 2 (Sync)\r\nTime Source Flags: 0 (None)\r\nServer Role: 0 (None)\r\n\
        Last Sync Error: 0 (The command completed successfully.)\r\nTime since Last Good Sync Time: 105.8834592s\r\n";
    const JAPANESE: &str = "閏インジケーター: 0 (警告なし)\n階層: 4 (二次参照 - (S)NTP で同期)\n精度: -23 (ティックごとに 119.209ns)\nルート遅延: 0.0296267s\nルート分散: 0.0448955s\n\
        参照 ID: 0xCB007109 (ソース IP:  203.0.113.9)\n最終正常同期時刻: 2026/11/26 10:20:30\nソース: ntp.example.org,0x8\nポーリング間隔: 10 (1024s)\n\n\
        フェーズ オフセット: -0.0027702s\nクロック レート: 0.0156250s\n状態マシン: 2 (同期)\n時刻ソース フラグ: 0 (なし)\nサーバーの役割: 0 (なし)\n\
        最終同期エラー: 0 (コマンドは正しく完了しました。)\n最終正常同期時刻からの時間: 105.8834592s\n";

    /// The same as it looks when Shift_JIS was taken for UTF-8.
    fn mangled(text: &str) -> String {
        text.chars().map(|c| if c.is_ascii() { c } else { '\u{fffd}' }).collect()
    }

    fn with(old: &str, new: &str) -> Outcome {
        assert!(ENGLISH.contains(old));
        outcome(&ENGLISH.replace(old, new), None).unwrap()
    }

    #[test]
    fn every_language_says_the_same() {
        let english = parse(ENGLISH).unwrap();
        assert_eq!((english.leap, english.stratum, english.source, english.precision), (Some(0), Some(4), Some(Source::Server), Some(-23)));
        assert_eq!((english.root_delay_ns, english.poll_interval_s, english.offset_ns), (Some(29_626_700), Some(1024), Some(-2_770_200)));
        assert_eq!((english.state, english.last_error, english.since_good_ms), (Some(2), Some(0), Some(105_883)));
        assert_eq!(parse(JAPANESE).unwrap(), english);
        assert_eq!(parse(&mangled(JAPANESE)).unwrap(), english);
        let german = ENGLISH.replace("0.0296267s", "0,0296267s").replace("Leap", "Sprung").replace("Root", "Stamm").replace("Stratum", "Ebene");
        assert_eq!(parse(&german).unwrap().root_delay_ns, Some(29_626_700));
        let outcome = outcome(&format!("C:\\> w32tm /query /status\n\n{}", mangled(JAPANESE)), None).unwrap();
        assert_eq!((outcome.status, outcome.readings.len(), outcome.faults.len()), (Status::Ok, 6, 0));
        assert!(!serde_json::to_string(&outcome).unwrap().contains("example.org"));
    }

    #[test]
    fn without_verbose_there_is_less() {
        let short = parse(ENGLISH.split("\r\n\r\n").next().unwrap()).unwrap();
        assert_eq!((short.stratum, short.offset_ns, short.last_error, short.since_good_ms), (Some(4), None, None, None));
    }

    #[test]
    fn what_keeps_no_time_is_bad() {
        for (old, new, said) in [
            ("0(no warning)", "3(not synchronized)", "not synchronised"),
            ("Stratum: 4 (secondary reference - syncd by (S)NTP)", "Stratum: 0 (unspecified)", "not synchronised"),
            ("ntp.example.org,0x8", "Local CMOS Clock", "follows only itself"),
            ("ntp.example.org,0x8", "Free-running System Clock", "follows only itself"),
            ("-0.0027702s", "1.5000000s", "differs by 1.500 s"),
        ] {
            let outcome = with(old, new);
            assert!(outcome.status == Status::Bad && outcome.reason.contains(said), "{new}: {}", outcome.reason);
        }
        let japanese = mangled(&JAPANESE.replace("ntp.example.org,0x8", "Local CMOS Clock"));
        assert_eq!(outcome(&japanese, None).unwrap().reason, "the clock follows only itself");
        assert_eq!(with("ntp.example.org,0x8", "VM IC Time Synchronization Provider").status, Status::Ok);
    }

    #[test]
    fn one_failed_try_is_said_and_a_day_of_them_is_bad() {
        let failed = with("Last Sync Error: 0", "Last Sync Error: 2");
        assert_eq!((failed.status, failed.reason.as_str()), (Status::Ok, "the clock is synchronised; the last synchronisation failed (error 2)"));
        let long = ENGLISH.replace("Last Sync Error: 0", "Last Sync Error: 2").replace("105.8834592s", "86400.5s");
        assert_eq!(outcome(&long, None).unwrap().status, Status::Bad);
    }

    #[test]
    fn what_the_tool_says_about_itself_is_unknown() {
        for (said, code) in [
            ("The following error occurred: The service has not been started. (0x80070426)\n", "not_running"),
            ("次のエラーが発生しました: サービスは開始されていません。 (0x80070426)\n", "not_running"),
            ("\u{fffd}\u{fffd}: \u{fffd} (0x80070005)\n", "permission_denied"),
            ("The following error occurred: The RPC server is unavailable. (0x800706BA)\n", "not_running"),
            ("The following error occurred: something (0x80070057)\n", "io_error"),
            ("'w32tm' is not recognized as an internal or external command,\n", "not_found"),
        ] {
            let outcome = outcome(said, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
        }
    }

    #[test]
    fn another_format_is_refused() {
        assert_eq!(parse("\r\n"), Err(Unreadable::Empty));
        for foreign in [
            "Stratum         : 3\nSource: x\nLeap status     : Normal\n",
            "a: 1\nb: 2\nc: 3\nd: 4\n\
            e: 5\n",
            "Source: Local CMOS Clock\n",
            "{}",
        ] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "((Leap Indicator|階層|Precision|Root Delay|.): ?(-?[0-9]{0,21} ?\\(.*|-?[0-9.,]{0,30}s|.*)\n){0,12}.*") {
            if let Ok(outcome) = outcome(&input, None) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
