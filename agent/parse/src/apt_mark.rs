//! Packages of Debian and Ubuntu that are put on hold: `apt-mark showhold`, one name a line; or `dpkg --get-selections`.
//! Without any hold the first prints nothing, which cannot be told from no output at all.

use crate::apt;
use crate::patch::PatchRecord;
use crate::verdict::{Verdict, fault};
use crate::{Fault, Outcome, Unreadable, complaint, trouble};
use std::collections::BTreeSet;

const SUCH_AS: &str = "linux-image-amd64";

/// How many packages are on hold, and the lines that are broken.
///
/// # Errors
/// When it is empty or something else.
pub fn parse(input: &str) -> Result<(PatchRecord, Vec<Fault>), Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let (mut held, mut faults, mut selections) = (BTreeSet::new(), Vec::new(), false);
    for (number, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [name] if apt::is_package(name) => drop(held.insert(*name)),
            [name, "hold"] if apt::is_package(name) => drop(held.insert(*name)),
            [name, "install" | "deinstall" | "purge"] if apt::is_package(name) => selections = true,
            _ => fault(&mut faults, trouble::malformed(number, line)),
        }
    }
    if (held.is_empty() && !selections) || faults.iter().any(|fault| fault.detail.starts_with(&format!("line {}:", first + 1))) {
        return Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS });
    }
    Ok((PatchRecord { held: i64::try_from(held.len()).ok(), ..PatchRecord::default() }, faults))
}

const TOOL: &[&str] = &["apt-mark", "dpkg"];

/// How the output reads for a human or a script. A hold is somebody's decision and makes nothing bad.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    if let Some((code, line)) = input.lines().find_map(|line| apt::trouble(line.trim())) {
        return Ok(Outcome::cannot(code, line));
    }
    let (record, faults) = match parse(input) {
        Ok(read) => read,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, &[]).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    record.judge(at_ms, &mut verdict);
    let mut outcome = verdict.outcome_with("read", faults);
    record.tell(&mut outcome);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    #[test]
    fn holds_are_counted() {
        let outcome = outcome("linux-image-amd64\nlibgcc-s1:i386\nlibgcc-s1\n", None).unwrap();
        assert_eq!((outcome.status, &outcome.records[0]["held"]), (Status::Ok, &serde_json::json!(3)));
        assert_eq!(outcome.records[0]["pending"], serde_json::Value::Null);
        assert!(!serde_json::to_string(&outcome).unwrap().contains("linux-image"));
        let selections = parse("bash\t\t\t\t\tinstall\nlibc6:amd64\t\t\thold\nold\t\tdeinstall\n").unwrap();
        assert_eq!((selections.0.held, selections.1.len()), (Some(1), 0));
        assert_eq!(parse("bash\t\tinstall\n").unwrap().0.held, Some(0));
    }

    #[test]
    fn what_the_tool_says_about_itself_is_unknown() {
        for (said, code) in [
            ("E: Unable to locate package x\n--force-yes\nA\n", "not_found"),
            ("E: Could not open lock file /var/lib/dpkg/lock - open (13: Permission denied)", "permission_denied"),
            ("bash: apt-mark: command not found\n", "not_found"),
        ] {
            let outcome = outcome(said, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code, outcome.records.len()), (Status::Unknown, code, 0), "{said}");
        }
    }

    #[test]
    fn another_format_is_refused_and_a_broken_line_costs_itself() {
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        for foreign in ["bash 5.2-2\n", "Listing...\n", "{}", "--force-yes\n", "A\n"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
        let (record, faults) = parse("bash\n--what is it\n").unwrap();
        assert_eq!((record.held, faults[0].code), (Some(1), "malformed"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "([a-z0-9:.+-]{0,12}[\t ]?(hold|install|.*)\n){0,6}.*") {
            if let Ok(outcome) = outcome(&input, None) {
                prop_assert!(outcome.records.len() <= 1);
            }
        }
    }
}
