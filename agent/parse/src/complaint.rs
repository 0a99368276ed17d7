//! What a tool prints when it could not look: the system's own words for why.

/// Lines looked at: a tool that cannot look says so at once.
const LINES_MAX: usize = 12;

/// Words of the system and of shells, in lower case, with the fault code they mean. The first that fits wins.
const WORDS: &[(&str, &str)] = &[
    ("permission denied", "permission_denied"),
    ("operation not permitted", "permission_denied"),
    ("access denied", "permission_denied"),
    ("access is denied", "permission_denied"),
    ("must be root", "permission_denied"),
    ("アクセスが拒否されました", "permission_denied"),
    ("command not found", "not_found"),
    ("is not recognized as", "not_found"),
    ("として認識されません", "not_found"),
    ("no such device", "no_device"),
    ("no such file or directory", "not_found"),
    ("connection refused", "not_running"),
    ("timed out", "timed_out"),
    ("timeout", "timed_out"),
    ("resource busy", "busy"),
    ("input/output error", "io_error"),
    ("not supported", "unsupported"),
];

/// The fault code and the line of a tool's complaint: a line near the top that names the tool (`tool`, in lower case)
/// and holds a word of the kind's own (`own`, in lower case) or of the system's.
pub(crate) fn find<'a>(input: &'a str, tool: &[&str], own: &[(&str, &'static str)]) -> Option<(&'static str, &'a str)> {
    for line in input.lines().filter(|line| !line.trim().is_empty()).take(LINES_MAX) {
        // What is longer is no message.
        let lower = line.chars().take(400).collect::<String>().to_lowercase();
        if let Some((_, code)) = own.iter().find(|(words, _)| lower.contains(words)) {
            return Some((code, line));
        }
        if tool.iter().any(|name| lower.contains(name))
            && let Some((_, code)) = WORDS.iter().find(|(words, _)| lower.contains(words))
        {
            return Some((code, line));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_complaint_names_its_tool() {
        let denied = "\nchronyc: Permission denied\n";
        assert_eq!(find(denied, &["chronyc"], &[]), Some(("permission_denied", "chronyc: Permission denied")));
        assert_eq!(find(denied, &["upsc"], &[]), None);
        assert_eq!(find("Error: Data stale", &["upsc"], &[("data stale", "timed_out")]), Some(("timed_out", "Error: Data stale")));
        assert_eq!(find("bash: upsc: command not found", &["upsc"], &[]).map(|(code, _)| code), Some("not_found"));
        assert_eq!(find(&format!("{}chronyc: timeout", "a\n".repeat(50)), &["chronyc"], &[]), None);
    }
}
