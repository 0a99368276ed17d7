//! Which operating system it is, and until when it is supported where its maker says so: `/etc/os-release`
//! (os-release(5) of systemd).

use crate::patch::PatchRecord;
use crate::verdict::{Verdict, fault};
use crate::when::{Order, When};
use crate::{Fault, Outcome, Unreadable, complaint, text, trouble};

const SUCH_AS: &str = "ID=debian";
/// Longest value that is looked at, in bytes.
const VALUE_MAX: usize = 4096;

/// Reads the file: what it comes to, and the lines that are broken. Of a name that stands twice the last counts, as in a shell.
///
/// # Errors
/// When it is empty or something else.
pub fn parse(input: &str) -> Result<(PatchRecord, Vec<Fault>), Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let (mut record, mut faults) = (PatchRecord::default(), Vec::new());
    let mut name = None;
    for (number, line) in input.lines().enumerate() {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let is_key = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        let pair = text.split_once('=').filter(|(key, value)| is_key(key) && value.len() <= VALUE_MAX);
        let Some((key, value)) = pair.and_then(|(key, value)| Some((key, unquoted(value)?))) else {
            fault(&mut faults, trouble::malformed(number, line));
            continue;
        };
        let shown = Some(text::hardware(&value)).filter(|value| !value.is_empty());
        match key {
            "ID" => record.os = shown,
            "NAME" => name = shown,
            "VERSION_ID" => record.os_version = shown,
            "SUPPORT_END" => record.support_end = When::read(&value, Order::Unknown),
            _ => {}
        }
    }
    record.os = record.os.or(name);
    if record.os.is_none() {
        return Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS });
    }
    Ok((record, faults))
}

/// A value without the quotes and escapes of a shell; `None` where they do not end.
fn unquoted(value: &str) -> Option<String> {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let inner = match quote {
        Some(quote) => value.get(1..)?.strip_suffix(quote)?,
        None => value,
    };
    if quote == Some('\'') {
        return Some(inner.to_owned());
    }
    let (mut plain, mut escaped) = (String::new(), false);
    for letter in inner.chars() {
        if escaped || letter != '\\' {
            plain.push(letter);
            escaped = false;
        } else {
            escaped = true;
        }
    }
    (!escaped).then_some(plain)
}

/// How the file reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let (record, faults) = match parse(input) {
        Ok(read) => read,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, &["os-release"], &[]).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    record.judge(at_ms, &mut verdict);
    let named = [record.os.as_deref(), record.os_version.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let mut outcome = verdict.outcome_with(named, faults);
    record.tell(&mut outcome);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use mimamori_shared::time;
    use proptest::prelude::*;

    const FILE: &str = "NAME=\"Some Linux\"\nVERSION=\"42 (Server)\"\n# a comment\nID=some\nVERSION_ID=42\nPRETTY_NAME='Some Linux 42'\nHOME_URL=\"https://a.test/\"\nSUPPORT_END=2027-05-13\n";

    #[test]
    fn the_system_and_the_end_of_its_support_are_read() {
        let outcome = outcome(FILE, None).unwrap();
        assert_eq!((outcome.status, outcome.reason.as_str(), outcome.faults.len()), (Status::Ok, "some 42", 0));
        let record = &outcome.records[0];
        assert_eq!((&record["os"], &record["os_version"], &record["support_end"]), (&"some".into(), &"42".into(), &"2027-05-13".into()));
        assert_eq!((&record["pending"], &record["reboot_required"]), (&serde_json::Value::Null, &serde_json::Value::Null));
        let at = |at| super::outcome(FILE, Some(time::parse(at).unwrap())).unwrap().status;
        assert_eq!((at("2027-05-13T12:00:00Z"), at("2027-05-15T00:00:00Z")), (Status::Ok, Status::Bad));
    }

    #[test]
    fn quotes_and_names_are_those_of_a_shell() {
        let record = |input: &str| parse(input).unwrap().0;
        assert_eq!(record("NAME=\"A \\\"B\\\"\"\n").os.as_deref(), Some("A \"B\""));
        assert_eq!((record("ID='x'\n").os_version, record("ID=x\nID=y\n").os.as_deref()), (None, Some("y")));
        let (_, faults) = parse("ID=x\nVERSION_ID=\"4\nwhat\n").unwrap();
        assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["malformed", "malformed"]);
    }

    #[test]
    fn another_format_is_refused() {
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        for foreign in ["Debian 12\n", "{}", "id=debian\n", "PATH=/bin\n"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
        let outcome = outcome("cat: /etc/os-release: No such file or directory\n", None).unwrap();
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, "not_found"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "((ID|NAME|SUPPORT_END|[A-Z_]{0,9})=[\"']?(.*|[0-9-]{0,12})[\"']?\n){0,8}.*") {
            if let Ok(outcome) = outcome(&input, Some(1_795_824_000_000)) {
                prop_assert!(outcome.records.len() == 1);
            }
        }
    }
}
