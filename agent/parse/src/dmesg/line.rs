//! What stands before a message: level, time, caller, or what syslog put there.

use crate::text;

/// One line in parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line<'a> {
    /// The message.
    pub(super) text: &'a str,
    /// Whether a time or a level stands before it.
    pub(super) stamped: bool,
    /// Whether a program wrote it into the kernel's buffer.
    pub(super) program: bool,
    /// Seconds since boot, where the time says them.
    pub(super) uptime_s: Option<f64>,
}

/// Takes the line apart.
pub(super) fn read(line: &str) -> Line<'_> {
    let mut read = Line { text: line.trim(), stamped: false, program: false, uptime_s: None };
    // `<6>`: the level, plus eight times the facility.
    if let Some((level, rest)) = read.text.strip_prefix('<').and_then(|rest| rest.split_once('>'))
        && let Some(level) = text::whole(level).filter(|level| *level < 192)
    {
        (read.text, read.stamped, read.program) = (rest.trim_start(), true, level > 7);
    }
    // `kern  :err   : `: facility and level in words.
    let mut parts = read.text.splitn(3, ':');
    if let (Some(facility), Some(level), Some(rest)) = (parts.next(), parts.next(), parts.next())
        && LEVELS.contains(&level.trim())
        && FACILITIES.contains(&facility.trim())
    {
        (read.text, read.stamped, read.program) = (rest.trim_start(), true, facility.trim() != "kern");
    }
    syslog(&mut read);
    while let Some((stamp, rest)) = read.text.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && is_stamp(stamp)
    {
        let seconds = stamp.split('<').next().unwrap_or_default().trim();
        read.uptime_s = read.uptime_s.or_else(|| text::decimal(seconds).filter(|_| !seconds.starts_with('+')));
        (read.text, read.stamped) = (rest.trim_start(), true);
    }
    let name = read.text.split_once("]: ").map_or("", |(name, _)| name);
    read.program |= name.split_once('[').is_some_and(|(name, pid)| !name.contains(' ') && !name.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()))
        && !read.text.contains("]: segfault at ");
    read
}

const LEVELS: &[&str] = &["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// A time of day before the message (`--time-format iso`), or a whole syslog line of the kernel's.
fn syslog(read: &mut Line) {
    let (head, rest) = read.text.split_once(' ').unwrap_or((read.text, ""));
    let bytes = head.as_bytes();
    let iso = bytes.len() >= 19 && bytes.get(4) == Some(&b'-') && bytes.get(10) == Some(&b'T') && bytes.first().is_some_and(u8::is_ascii_digit);
    if iso {
        (read.text, read.stamped) = (rest.trim_start(), true);
    }
    // `Nov 26 10:20:30 host kernel: `: few words, the third with colons.
    if let Some((before, after)) = read.text.split_once(" kernel: ")
        && before.split_whitespace().count() <= 5
        && (iso || before.split_whitespace().any(|word| word.len() >= 8 && word.matches(':').count() == 2))
    {
        (read.text, read.stamped) = (after.trim_start(), true);
    }
}

/// What stands in square brackets: seconds, a difference, a date, or the caller (`T12`, `C3`).
fn is_stamp(stamp: &str) -> bool {
    let inner = stamp.trim();
    let begins = inner.split('<').next().unwrap_or_default().trim();
    let caller = inner.strip_prefix(['T', 'C']).is_some_and(|number| !number.is_empty() && text::whole(number).is_some());
    let mut words = inner.split_whitespace();
    let clock = |word: &str| word.contains(':') && word.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.');
    let dated = words.clone().count() >= 2 && words.any(clock);
    text::decimal(begins).is_some() || caller || dated
}
