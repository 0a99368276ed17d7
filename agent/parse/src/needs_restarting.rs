//! What has to be restarted after updates on RPM distributions: `needs-restarting -r` (`--reboothint`), or without it, one
//! process a line, or with `-s`, one service a line; of yum-utils, dnf 4 and dnf 5, in English or Japanese. Also what Debian and
//! Ubuntu leave in `/run/reboot-required`.
//!
//! Where no process has to be restarted it prints nothing, which cannot be told from no output at all. Command lines name
//! people and patients: they are counted, not kept.

use crate::patch::PatchRecord;
use crate::verdict::Verdict;
use crate::{Outcome, Unreadable, complaint, text};

const SUCH_AS: &str = "Reboot should not be necessary.";

/// Sentences that say that a reboot is needed, in lower case.
const NEEDED: &[&str] = &["reboot is required", "reboot is probably required", "system restart required", "再起動が必要", "再起動する必要があります"];
/// Sentences that say that none is.
const NOT_NEEDED: &[&str] =
    &["reboot should not be necessary", "reboot is probably not necessary", "再起動は必要ありません", "再起動の必要はありません", "再起動は不要"];
/// How sentences around them begin, and those that subscription-manager prints first.
const AROUND: &[&str] = &[
    "core libraries or services have been updated",
    "core libraries or services have not been updated",
    "no core libraries or services have been updated",
    "コアライブラリー",
    "コアライブラリ",
    "more information:",
    "詳細情報",
    "https://",
    "updating subscription management repositories",
    "unable to read consumer identity",
    "this system is registered",
    "this system is not registered",
    "not root, subscription management repositories",
];

/// Reads the output.
///
/// # Errors
/// When it is empty or something else.
pub fn parse(input: &str) -> Result<PatchRecord, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let (mut record, mut running, mut around, mut unknown) = (PatchRecord::default(), 0_i64, false, None);
    for (number, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let lower = line.trim().chars().take(400).collect::<String>().to_lowercase();
        let says = |sentences: &[&str]| sentences.iter().any(|sentence| lower.contains(sentence));
        if says(NEEDED) {
            record.reboot_required = Some(true);
        } else if says(NOT_NEEDED) {
            record.reboot_required = record.reboot_required.or(Some(false));
        } else if is_process(&lower) || is_service(&lower) {
            running += 1;
        } else if AROUND.iter().any(|begin| lower.starts_with(begin)) {
            around = true;
        } else if !is_bullet(line) {
            unknown = unknown.or(Some(number));
        }
    }
    if record.reboot_required.is_none() {
        // A line of another form among processes is a name that broke over lines; alone it is another format.
        if running == 0 && (!around || unknown.is_some()) {
            return Err(Unreadable::Foreign { line: unknown.unwrap_or(first) + 1, such_as: SUCH_AS });
        }
        record.services_outdated = Some(running);
    }
    Ok(record)
}

/// `1234 : /usr/sbin/sshd -D`.
fn is_process(line: &str) -> bool {
    line.split_once(" : ").is_some_and(|(pid, _)| !pid.is_empty() && text::whole(pid.trim()).is_some_and(|pid| pid > 0))
}

/// `sshd.service`.
fn is_service(line: &str) -> bool {
    line.ends_with(".service") && !line.contains(char::is_whitespace)
}

/// `  * kernel`, `  kernel -> 3.10.0-957.el7`.
fn is_bullet(line: &str) -> bool {
    line.starts_with("  ")
}

const TOOL: &[&str] = &["needs-restarting", "needs_restarting", "dnf", "yum"];
const COMPLAINTS: &[(&str, &str)] = &[
    ("no such command", "not_found"),
    ("unknown argument \"needs-restarting\"", "not_found"),
    ("must be root", "permission_denied"),
    ("superuser privileges", "permission_denied"),
];

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let record = match parse(input) {
        Ok(record) => record,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    record.judge(at_ms, &mut verdict);
    let mut outcome = verdict.outcome("nothing has to be restarted");
    record.tell(&mut outcome);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    fn told(input: &str) -> (Status, Option<bool>, Option<i64>) {
        let record = parse(input).unwrap();
        (outcome(input, None).unwrap().status, record.reboot_required, record.services_outdated)
    }

    #[test]
    fn every_versions_hint_is_read() {
        for (hint, required) in [
            (
                "Core libraries or services have been updated since boot-up:\n  * kernel\n\nReboot is required to fully utilize these updates.\nMore information: https://a.test\n",
                true,
            ),
            (
                "Core libraries or services have been updated:\n  kernel -> 3.10.0-957.el7\n\nReboot is required to ensure that your system benefits from these updates.\n",
                true,
            ),
            ("No core libraries or services have been updated since boot-up.\nReboot should not be necessary.\n", false),
            ("No core libraries or services have been updated.\nReboot is probably not necessary.\n", false),
            (
                "Updating Subscription Management repositories.\nThis system is not registered with an entitlement server.\n\nReboot should not be necessary.\n",
                false,
            ),
            ("コアライブラリーまたはサービスが起動後に更新されています:\n  * glibc\n\nこれらの更新を完全に利用するには、再起動が必要です。\n", true),
            ("*** System restart required ***\n", true),
        ] {
            let status = if required { Status::Bad } else { Status::Ok };
            assert_eq!(told(hint), (status, Some(required), None), "{hint}");
        }
    }

    #[test]
    fn processes_are_counted_and_not_kept() {
        let list =
            "Updating Subscription Management repositories.\n1 : /usr/lib/systemd/systemd --system \n656 : /usr/sbin/sshd -D\n832 : viewer --patient 山田\n";
        assert_eq!(told(list), (Status::Bad, None, Some(3)));
        assert!(!serde_json::to_string(&outcome(list, None).unwrap()).unwrap().contains("sshd"));
        assert_eq!(told("sshd.service\nchronyd.service\n"), (Status::Bad, None, Some(2)));
        assert_eq!(told("Updating Subscription Management repositories.\n"), (Status::Ok, None, Some(0)));
    }

    #[test]
    fn what_the_tool_says_about_itself_is_unknown() {
        for (said, code) in [
            ("bash: needs-restarting: command not found\n", "not_found"),
            ("No such command: needs-restarting. Please use /usr/bin/dnf --help\n", "not_found"),
            ("Error: This command has to be run with superuser privileges.\n", "permission_denied"),
        ] {
            let outcome = outcome(said, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
        }
        assert_eq!(parse(" \n"), Err(Unreadable::Empty));
        for foreign in ["MemTotal: 1 kB\n", "NEEDRESTART-VER: 3.6\n", "a : b\n", "  x\n", "{}"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "([0-9]{0,9} : .*|Reboot is required.*|[a-z]{0,5}\\.service|  \\* .*|.*\n){0,8}") {
            if let Ok(outcome) = outcome(&input, None) {
                prop_assert!(outcome.records.len() <= 1);
            }
        }
    }
}
