//! What apt says beside its packages.

/// Words of apt's and dpkg's troubles, in lower case, with the fault code they mean. The first that fits wins.
const TROUBLES: &[(&str, &str)] = &[
    ("permission denied", "permission_denied"),
    ("許可がありません", "permission_denied"),
    ("are you root", "permission_denied"),
    ("could not get lock", "locked"),
    ("unable to acquire the dpkg frontend lock", "locked"),
    ("unable to lock", "locked"),
    ("ロックが取得できませんでした", "locked"),
    ("is expired", "stale"),
    ("is not valid yet", "stale"),
    ("old ones used instead", "unreachable"),
    ("no_pubkey", "wrong_key"),
    ("expkeysig", "wrong_key"),
    ("keyexpired", "wrong_key"),
    ("badsig", "wrong_key"),
    ("gpg error", "wrong_key"),
    ("is not signed", "wrong_key"),
    ("verification of the signature", "wrong_key"),
    ("failed to fetch", "unreachable"),
    ("temporary failure resolving", "unreachable"),
    ("could not resolve", "unreachable"),
    ("could not connect", "unreachable"),
    ("unable to connect", "unreachable"),
    ("does not have a release file", "unreachable"),
    ("no longer has a release file", "unreachable"),
    ("unable to locate package", "not_found"),
    ("no packages found", "not_found"),
];

/// A line of trouble: an error, a warning, or a source that did not answer. Its code, and the line.
pub(crate) fn trouble(line: &str) -> Option<(&'static str, &str)> {
    let of_apt = line.starts_with("E: ") || line.starts_with("W: ");
    if line.starts_with("Err:") {
        return Some(("unreachable", line));
    }
    if !of_apt {
        return None;
    }
    let lower = line.chars().take(400).collect::<String>().to_lowercase();
    let known = TROUBLES.iter().find(|(words, _)| lower.contains(words)).map(|(_, code)| *code);
    // A warning that we do not know is no failure.
    known.or_else(|| line.starts_with("E: ").then_some("io_error")).map(|code| (code, line))
}

/// How lists of updates begin that need a contract, in lower case; the names follow, indented.
const WITHHELD: &[&str] = &["security updates require ubuntu pro", "more security updates through ubuntu pro", "could receive security updates with"];

/// Whether such a list begins here.
pub(super) fn begins_withheld(line: &str) -> bool {
    let lower = line.chars().take(200).collect::<String>().to_lowercase();
    WITHHELD.iter().any(|words| lower.contains(words))
}

const LISTS: &[&str] = &["Listing...", "一覧表示...", "Auflistung...", "En train de lister...", "Listando...", "Elencazione...", "列表...", "正在列表..."];

/// Whether that is how `apt list` begins, in the languages we know; other ones are known by their packages.
pub(super) fn begins_list(line: &str) -> bool {
    let line = line.replace('…', "...");
    LISTS.iter().any(|begin| line.starts_with(begin)) && line.split_whitespace().count() <= 5
}

/// Whether that is what a well-known script of monitoring writes when nothing is pending.
pub(super) fn nothing(line: &str) -> bool {
    line == "No updates pending for installation"
}

/// Whether that is how apt says what it is doing, such as `Reading package lists... Done`, in any language.
pub(super) fn progress(line: &str) -> bool {
    let line = line.replace('…', "...");
    line.split_once("...").is_some_and(|(begin, end)| begin.chars().any(char::is_alphabetic) && end.split_whitespace().count() <= 2)
}

/// The sums at the end of a simulation, in any language: `3 upgraded, 1 newly installed, 0 to remove and 2 not upgraded.`,
/// `アップグレード: 3 個、新規インストール: 1 個、削除: 0 個、保留: 2 個。`, `Upgrading: 3, Installing: 1, Removing: 0, Not Upgrading: 2`.
/// Reinstalled and downgraded ones may stand between the second and the last two.
pub(super) fn sums(line: &str) -> Option<[i64; 4]> {
    let letters: Vec<char> = line.chars().take(400).collect();
    if letters.iter().any(|c| "/[]()%<>|".contains(*c)) || letters.len() >= 400 {
        return None;
    }
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(letter) = letters.get(at) {
        if !letter.is_ascii_digit() {
            at += 1;
            continue;
        }
        let digits: String = letters.iter().skip(at).take_while(|c| c.is_ascii_digit()).collect();
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let after = letters.get(at + digits.len());
        // A number in a word or a version is no sum.
        let alone = |c: Option<&char>| c.is_none_or(|c| c.is_whitespace() || (!c.is_ascii_alphanumeric() && !".-_+~:".contains(*c)));
        if !alone(after) || !(alone(before) || before == Some(&':')) {
            return None;
        }
        numbers.push(crate::text::whole(&digits)?);
        at += digits.len();
    }
    let parted = letters.iter().filter(|c| matches!(c, ',' | '、' | '，')).count();
    match numbers.as_slice() {
        [upgraded, new, .., removed, kept] if numbers.len() <= 6 && parted >= 2 => Some([*upgraded, *new, *removed, *kept]),
        _ => None,
    }
}
