//! What has to be restarted after updates on Debian and Ubuntu: `needrestart -b` of versions 1 to 3. Services, sessions and
//! containers are counted; sessions name users.

use crate::patch::PatchRecord;
use crate::verdict::{Verdict, fault};
use crate::{Fault, Outcome, Unreadable, complaint, text, trouble};

const SUCH_AS: &str = "NEEDRESTART-KSTA: 1";

/// Reads the output: what it comes to, and the lines that are broken. Where the state of the kernel is not told, whether a
/// reboot is needed is not known.
///
/// # Errors
/// When it is empty or something else.
pub fn parse(input: &str) -> Result<(PatchRecord, Vec<Fault>), Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let (mut known, mut faults) = (false, Vec::new());
    let (mut kernel, mut microcode, mut outdated) = (None, None, 0_i64);
    for (number, line) in input.lines().enumerate() {
        let Some((key, value)) = line.trim().strip_prefix("NEEDRESTART-").and_then(|rest| rest.split_once(':')) else { continue };
        known = true;
        let state = || text::whole(value.trim()).filter(|state| !value.trim().is_empty() && (0..=3).contains(state));
        match key {
            "KSTA" | "UCSTA" => match state() {
                Some(state) if key == "KSTA" => kernel = Some(state),
                Some(state) => microcode = Some(state),
                None => fault(&mut faults, trouble::malformed(number, line)),
            },
            "SVC" | "SESS" | "CONT" | "PID" => outdated += 1,
            _ => {}
        }
    }
    if !known {
        return Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS });
    }
    // 0 unknown, 1 current, 2 another build, 3 another version. Of microcode 2 is obsolete.
    let waits = |state: Option<i64>| state.is_some_and(|state| state >= 2);
    let reboot_required = if waits(kernel) || waits(microcode) { Some(true) } else { (kernel == Some(1)).then_some(false) };
    // With a version alone nothing was looked at.
    let services_outdated = (kernel.is_some() || outdated > 0).then_some(outdated);
    Ok((PatchRecord { reboot_required, services_outdated, ..PatchRecord::default() }, faults))
}

const TOOL: &[&str] = &["needrestart", "sh:", "bash:", "sudo:"];

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let (record, faults) = match parse(input) {
        Ok(read) => read,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, &[]).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    record.judge(at_ms, &mut verdict);
    if record.reboot_required.is_none() {
        verdict.unknown("whether another kernel waits for a reboot is not told");
    }
    let mut outcome = verdict.outcome_with("nothing has to be restarted", faults);
    record.tell(&mut outcome);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    fn told(input: &str) -> (Status, Option<bool>, Option<i64>) {
        let (record, _) = parse(input).unwrap();
        (outcome(input, None).unwrap().status, record.reboot_required, record.services_outdated)
    }

    #[test]
    fn the_kernels_state_and_the_services_are_read() {
        let head = "NEEDRESTART-VER: 3.6\nNEEDRESTART-KCUR: 6.1.0-13-amd64\nNEEDRESTART-KEXP: 6.1.0-15-amd64\n";
        assert_eq!(told(&format!("{head}NEEDRESTART-KSTA: 1\n")), (Status::Ok, Some(false), Some(0)));
        for state in [2, 3] {
            assert_eq!(told(&format!("{head}NEEDRESTART-KSTA: {state}\n")), (Status::Bad, Some(true), Some(0)));
        }
        assert_eq!(told(&format!("{head}NEEDRESTART-KSTA: 0\n")), (Status::Unknown, None, Some(0)));
        assert_eq!(told(&format!("{head}NEEDRESTART-KSTA: 1\nNEEDRESTART-UCSTA: 2\n")), (Status::Bad, Some(true), Some(0)));
        let services = format!("{head}NEEDRESTART-KSTA: 1\nNEEDRESTART-SVC: sshd.service\nNEEDRESTART-SESS: yamada @ user manager service\n");
        assert_eq!(told(&services), (Status::Bad, Some(false), Some(2)));
        assert!(!serde_json::to_string(&outcome(&services, None).unwrap()).unwrap().contains("yamada"));
        assert_eq!(told("NEEDRESTART-VER: 3.11\n"), (Status::Unknown, None, None));
    }

    #[test]
    fn another_format_is_refused_and_a_broken_line_costs_itself() {
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        for foreign in ["Reboot should not be necessary.\n", "{}", "KSTA: 1\n"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
        let (record, faults) = parse("NEEDRESTART-KSTA: 9\nNEEDRESTART-KSTA: 1\n").unwrap();
        assert_eq!((record.reboot_required, faults[0].code), (Some(false), "malformed"));
        let outcome = outcome("sudo: needrestart: command not found\n", None).unwrap();
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, "not_found"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "(NEEDRESTART-(KSTA|UCSTA|SVC|VER): ?([0-9]{0,20}|.*)\n){0,8}.*") {
            if let Ok(outcome) = outcome(&input, None) {
                prop_assert!(outcome.records.len() == 1);
            }
        }
    }
}
