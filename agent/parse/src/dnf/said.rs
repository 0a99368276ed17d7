//! What dnf and yum say beside their rows.

use crate::text;
use crate::when::{Order, When};

/// Words of troubles, in lower case, with the fault code they mean. The first that fits wins.
const TROUBLES: &[(&str, &str)] = &[
    ("another app is currently holding", "locked"),
    ("run with superuser privileges", "permission_denied"),
    ("need to be root to perform", "permission_denied"),
    ("must be root to", "permission_denied"),
    ("スーパーユーザー特権", "permission_denied"),
    ("gpg signature verification", "wrong_key"),
    ("bad gpg signature", "wrong_key"),
    ("public key for", "wrong_key"),
    ("gpg check failed", "wrong_key"),
    ("cache-only enabled but no cache", "stale"),
    ("cache only enabled but no cache", "stale"),
    ("failed to download metadata", "unreachable"),
    ("failed to synchronize cache", "unreachable"),
    ("failed to load repodata", "unreachable"),
    ("failed to retrieve repodata", "unreachable"),
    ("errors during downloading metadata", "unreachable"),
    ("cannot download repomd", "unreachable"),
    ("cannot prepare internal mirrorlist", "unreachable"),
    ("cannot retrieve metalink", "unreachable"),
    ("cannot find a valid baseurl", "unreachable"),
    ("could not resolve host", "unreachable"),
    ("could not retrieve mirrorlist", "unreachable"),
    ("all mirrors were tried", "unreachable"),
    ("no more mirrors to try", "unreachable"),
    ("ignoring repositories:", "unreachable"),
    ("のメタデータのダウンロードに失敗しました", "unreachable"),
    ("のキャッシュの同期に失敗しました", "unreachable"),
    ("リポジトリーを無視します", "unreachable"),
    ("there are no enabled repo", "not_found"),
    ("有効なリポジトリーがありません", "not_found"),
    ("no such command", "not_found"),
    ("unknown argument", "unsupported"),
    ("unrecognized arguments", "unsupported"),
    ("rpmdb open failed", "io_error"),
];

/// Words that others write too: they count behind the tool's own beginning.
const ERRORS: &[(&str, &str)] = &[("permission denied", "permission_denied"), ("許可がありません", "permission_denied"), ("curl error", "unreachable")];

/// The code of a line of trouble.
pub(super) fn trouble(line: &str) -> Option<&'static str> {
    let lower = line.chars().take(400).collect::<String>().to_lowercase();
    let known = TROUBLES.iter().find(|(words, _)| lower.contains(words)).map(|(_, code)| *code);
    if known.is_some() || !(lower.starts_with("error: ") || lower.starts_with("エラー: ")) {
        return known;
    }
    Some(ERRORS.iter().find(|(words, _)| lower.contains(words)).map_or("io_error", |(_, code)| *code))
}

/// Whether the system has no right to its maker's repositories.
pub(super) fn unregistered(line: &str) -> bool {
    ["is not registered", "unable to read consumer identity", "not registered with", "登録されていません"]
        .iter()
        .any(|words| line.to_lowercase().contains(words))
}

/// `Last metadata expiration check: 0:10:00 ago on Mon 16 Jun 2025 12:32:14 AM EDT.`, in any language: since when the list
/// is, and how long that was ago, in milliseconds.
pub(super) fn expiration(line: &str) -> Option<(When, Option<i64>)> {
    let lower = line.to_lowercase();
    if !["metadata expiration", "メタデータ", "metadat", "métadonnées"].iter().any(|words| lower.contains(words)) {
        return None;
    }
    let (_, rest) = line.split_once([':', '：'])?;
    // The span stands first, and looks like a time of day.
    let begin = rest.find(|c: char| c.is_ascii_digit())?;
    let rest = rest.get(begin..)?;
    let (days, rest) = match rest.split_once(" day") {
        Some((days, rest)) if text::whole(days).is_some() => (text::whole(days), rest.trim_start_matches(['s', ',', ' '])),
        _ => (Some(0), rest),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(rest.len());
    let (span, rest) = rest.split_at_checked(end)?;
    let numbers: Vec<i64> = span.split(':').filter_map(text::whole).collect();
    let ago = if let [hours, minutes, seconds] = numbers.as_slice() {
        // At most what fits: the numbers are short.
        let seconds = days?.checked_mul(24)?.checked_add(*hours)?.checked_mul(60)?.checked_add(*minutes)?.checked_mul(60)?.checked_add(*seconds)?;
        seconds.checked_mul(1000)
    } else {
        return None;
    };
    Some((When::read(rest, Order::Unknown)?, ago))
}

/// How yum counts with `--security`: packages for security, and all that are available.
pub(super) fn counted(line: &str) -> Option<(i64, i64)> {
    let lower = line.to_lowercase();
    let numbers: Vec<i64> = lower.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()).filter_map(text::whole).collect();
    match numbers.as_slice() {
        [security, all] if lower.contains("needed for security, out of") => Some((*security, *all)),
        [all] if lower.starts_with("no packages needed for security") => Some((0, *all)),
        _ => None,
    }
}

/// Whether an update for security is installed that does not run yet.
pub(super) fn reboot(line: &str) -> bool {
    line.starts_with("Security: ") && line.ends_with("is an installed security update")
}

/// What is only printed once repositories are read.
pub(super) fn progress(line: &str) -> bool {
    let lower = line.to_lowercase();
    let clock = |word: &str| word.len() >= 5 && word.contains(':') && word.bytes().all(|b| b.is_ascii_digit() || b == b':');
    let timed = lower.contains(" | ") && lower.split_whitespace().last().is_some_and(clock);
    let transfer = lower.contains("b/s |") || (lower.contains("% |") && lower.contains("b/s")) || timed;
    let words = ["repositories loaded.", "last metadata expiration check", "メタデータの期限切れの最終確認", "loading mirror speeds", "updateinfo list done"];
    transfer || words.iter().any(|words| lower.starts_with(words)) || lower.starts_with("updating subscription management repositories")
}

const UPDATES: &[&str] =
    &["available upgrades", "upgraded packages", "updated packages", "available updates", "利用可能なアップグレード", "更新したパッケージ"];
const OTHERS: &[&str] = &[
    "installed packages",
    "available packages",
    "obsoleting packages",
    "extra packages",
    "recently added packages",
    "autoremove packages",
    "インストール済み",
    "利用可能なパッケージ",
    "廃止",
    "不要",
];

/// Whether the rows below a heading are updates; `None` when it is no heading. A heading that we do not know comes first above
/// updates, and behind them above what is none.
pub(super) fn heading(line: &str, behind_rows: bool) -> Option<bool> {
    let lower = line.to_lowercase();
    if UPDATES.iter().any(|words| lower.starts_with(words)) {
        return Some(true);
    }
    if OTHERS.iter().any(|words| lower.starts_with(words)) {
        return Some(false);
    }
    let plain = line.split_whitespace().count() <= 4 && !line.contains([':', '.', '|', '/']) && line.chars().next().is_some_and(char::is_uppercase);
    (plain && behind_rows).then_some(false)
}
