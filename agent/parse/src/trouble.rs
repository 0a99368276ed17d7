//! What a tool or the shell says when it cannot look: the system's own error texts, and the codes we give them. The codes
//! are words that programs may rely on: `not_found`, `permission_denied`, `no_device`, `busy`, `io_error`, `timed_out`,
//! `not_running`, `unsupported`, and of our own `malformed` and `too_many`.

use crate::{Fault, Outcome, text};

/// Lines that are looked at; a tool that cannot look says so at once.
const LINES_MAX: usize = 8;

/// How a complaint ends, in small letters without a full stop, and its code. The Japanese ones are glibc's and bash's.
const ENDINGS: &[(&str, &str)] = &[
    ("no such file or directory", "not_found"),
    ("そのようなファイルやディレクトリはありません", "not_found"),
    ("command not found", "not_found"),
    ("コマンドが見つかりません", "not_found"),
    ("not found", "not_found"),
    ("permission denied", "permission_denied"),
    ("許可がありません", "permission_denied"),
    ("operation not permitted", "permission_denied"),
    ("許可されていない操作です", "permission_denied"),
    ("a password is required", "permission_denied"),
    ("no such device", "no_device"),
    ("そのようなデバイスはありません", "no_device"),
    ("no such device or address", "no_device"),
    ("そのようなデバイスやアドレスはありません", "no_device"),
    ("no medium found", "no_device"),
    ("device or resource busy", "busy"),
    ("デバイスもしくはリソースがビジー状態です", "busy"),
    ("resource temporarily unavailable", "busy"),
    ("input/output error", "io_error"),
    ("入力/出力エラーです", "io_error"),
    ("stale file handle", "io_error"),
    ("transport endpoint is not connected", "io_error"),
    ("connection timed out", "timed_out"),
    ("timeout", "timed_out"),
    ("接続がタイムアウトしました", "timed_out"),
    ("connection refused", "not_running"),
    ("接続を拒否されました", "not_running"),
    ("operation not supported", "unsupported"),
    ("function not implemented", "unsupported"),
    ("inappropriate ioctl for device", "unsupported"),
    ("invalid argument", "unsupported"),
];

/// The code of one line, when it ends as a complaint of the system does.
pub(crate) fn code(line: &str) -> Option<&'static str> {
    let line = line.trim().trim_end_matches(['.', '。']).to_lowercase();
    if line.is_empty() {
        return None;
    }
    // One shell puts the program's name behind it.
    let unknown = line.contains(": command not found: ").then_some("not_found");
    unknown.or_else(|| ENDINGS.iter().find(|(ending, _)| line.ends_with(ending)).map(|(_, code)| *code))
}

/// The answer for an input that is no output but a complaint, as `cat: /proc/mdstat: No such file or directory`.
pub(crate) fn told(input: &str) -> Option<Outcome> {
    let mut lines = input.lines().filter(|line| !line.trim().is_empty()).take(LINES_MAX);
    // A complaint names who complains.
    lines.find_map(|line| Some(Outcome::cannot(code(line.split_once(':').map(|_| line)?)?, line)))
}

/// The code of the first line that ends as a complaint of the system does; `None` when no line does.
#[must_use]
pub fn complaint_code(text: &str) -> Option<&'static str> {
    text.lines().take(LINES_MAX).find_map(code)
}

/// A fault with its text made plain.
pub(crate) fn fault(code: &'static str, detail: &str) -> Fault {
    Fault { code, detail: text::plain(detail) }
}

/// The fault of a line that is broken among good ones; `index` counts from 0.
pub(crate) fn malformed(index: usize, line: &str) -> Fault {
    fault("malformed", &format!("line {}: {}", index + 1, line.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_complaint_has_a_code_in_both_languages() {
        for (line, code) in [
            ("cat: /proc/mdstat: No such file or directory", "not_found"),
            ("cat: /proc/mdstat: 許可がありません", "permission_denied"),
            ("bash: zpool: コマンドが見つかりません", "not_found"),
            ("df: /mnt/x: Stale file handle", "io_error"),
            ("mdadm: cannot open /dev/md0: Device or resource busy.", "busy"),
        ] {
            let outcome = told(&format!("\n{line}\n")).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (crate::Status::Unknown, code), "{line}");
        }
    }

    #[test]
    fn what_names_nobody_or_ends_otherwise_is_no_complaint() {
        assert_eq!(told("permission denied\n"), None);
        assert_eq!(told("MemTotal: 1 kB\n"), None);
        assert_eq!(told(&format!("{}cat: x: permission denied\n", "a: b\n".repeat(LINES_MAX))), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "(.*: .*\n?){0,9}") {
            prop_assert!(told(&input).is_none_or(|outcome| outcome.faults.len() == 1));
        }
    }
}
