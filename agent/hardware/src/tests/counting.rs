//! The kernel's log, the journal and what the facility named.

use super::{Machine, QUIET, codes, of};
use crate::carry_out;
use mimamori_parse::hardware::{End, Report};
use serde_json::json;
use std::fs;

/// A journalctl that goes on behind the entry whose cursor it is given, from `entries` beside it (one `CURSOR<tab>JSON`
/// per line), and notes its arguments.
const JOURNAL: &str = r#"here=${0%/*}
echo "$*" >>"$here/asked"
after=
for arg; do case $arg in --after-cursor=*) after=${arg#--after-cursor=};; esac; done
skip=$after
[ -e "$here/entries" ] || { echo 'No journal files were found.' >&2; exit 1; }
while IFS='	' read -r cursor line; do
    [ -n "$skip" ] || printf '%s\n' "$line"
    [ "$cursor" != "$skip" ] || skip=
done <"$here/entries""#;

impl Machine {
    fn write(&self, first: u64, messages: &[(&str, &str)]) {
        let entries: String = messages
            .iter()
            .zip(first..)
            .map(|((unit, text), n)| format!("i={n}\t{}\n", json!({"__CURSOR": format!("i={n}"), "MESSAGE": text, "_SYSTEMD_UNIT": unit})))
            .collect();
        let place = self.dir.path().join("tools/entries");
        let before = fs::read_to_string(&place).unwrap_or_default();
        fs::write(place, before + &entries).unwrap();
    }

    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.dir.path().join("tools/asked")).unwrap_or_default();
        fs::remove_file(self.dir.path().join("tools/asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }
}

fn kernel(report: &Report) -> Option<u64> {
    report.counts.kernel_log.as_ref().map(|classes| classes.get(&"io_error".parse().unwrap()).copied().unwrap_or(0))
}

fn pattern(report: &Report, alias: &str) -> Option<u64> {
    report.counts.journal.as_ref()?.get(&alias.parse().unwrap()).copied()
}

#[test]
fn counts_grow_over_runs_and_begin_anew_with_a_boot() {
    let machine = Machine::new(Vec::new());
    machine.tool("journalctl", JOURNAL);
    machine.write(1, &[("", "sda: I/O error, 山田太郎"), ("", "fine"), ("", "I/O error")]);
    assert_eq!(kernel(&machine.run()), Some(2));
    let asked = machine.asked();
    assert!(
        asked.len() == 1 && asked[0].contains("--boot") && asked[0].ends_with("_TRANSPORT=kernel SYSLOG_FACILITY=0") && !asked[0].contains("cursor"),
        "{asked:?}"
    );
    assert_eq!(kernel(&machine.run()), Some(2));
    machine.write(4, &[("", "I/O error")]);
    assert_eq!(kernel(&machine.run()), Some(3));
    assert!(machine.asked()[1].contains("--after-cursor=i=3"));
    // What the helper counted it does not pass on.
    let left = fs::read_to_string(machine.plan.out.join("report.json")).unwrap() + &fs::read_to_string(machine.plan.state.join("state.json")).unwrap();
    assert!(!left.contains("山田") && !left.contains("sda"), "{left}");
    // Another boot: the fake journal is of that boot as a whole.
    fs::write(machine.plan.root.join("proc/sys/kernel/random/boot_id"), "ffffffff-4455-6677-8899-aabbccddeeff\n").unwrap();
    let report = machine.run();
    assert_eq!((kernel(&report), report.boot_id.to_string().get(..8)), (Some(3), Some("ffffffff")));
    assert!(!machine.asked()[0].contains("cursor"));
}

#[test]
fn what_one_run_may_not_read_is_read_by_the_next_ones() {
    let mut machine = Machine::new(Vec::new());
    machine.tool("journalctl", &format!("{JOURNAL}\n/bin/sleep 87654.1"));
    machine.write(1, &[("", "I/O error"), ("", "I/O error")]);
    machine.plan.budget = std::time::Duration::from_secs(5);
    let report = machine.run();
    assert_eq!((kernel(&report), of(&report, "journalctl").outcome, codes(&report)), (Some(2), End::TimedOut, vec!["behind"]));
    machine.tool("journalctl", JOURNAL);
    machine.write(3, &[("", "I/O error")]);
    let report = machine.run();
    assert_eq!((kernel(&report), codes(&report)), (Some(3), vec![]));
}

#[test]
fn a_journal_that_cannot_be_read_is_not_a_quiet_one() {
    let machine = Machine::new(Vec::new());
    machine.tool("journalctl", JOURNAL);
    let report = machine.run();
    assert_eq!((kernel(&report), codes(&report)), (None, vec!["unreadable"]));
    assert!(report.faults[0].detail.contains("No journal files were found"), "{:?}", report.faults);
    // Where there is no journal at all journalctl is content, and prints nothing.
    fs::write(machine.dir.path().join("tools/entries"), "").unwrap();
    machine.config("[journal.patterns]\nfatal = \"FATAL\"\n");
    let report = machine.run();
    assert_eq!((kernel(&report), pattern(&report, "fatal"), codes(&report)), (None, None, vec!["unreadable"; 2]));
    machine.write(1, &[("", "I/O error")]);
    let report = machine.run();
    assert_eq!((kernel(&report), pattern(&report, "fatal")), (Some(1), Some(0)));
    // One failure in between loses nothing.
    fs::rename(machine.dir.path().join("tools/entries"), machine.dir.path().join("tools/kept")).unwrap();
    assert_eq!(kernel(&machine.run()), None);
    fs::rename(machine.dir.path().join("tools/kept"), machine.dir.path().join("tools/entries")).unwrap();
    machine.write(2, &[("", "I/O error")]);
    assert_eq!(kernel(&machine.run()), Some(2));
}

#[test]
fn a_state_that_cannot_be_read_is_counted_anew_and_says_so() {
    let machine = Machine::new(Vec::new());
    machine.tool("journalctl", JOURNAL);
    machine.write(1, &[("", "I/O error")]);
    assert_eq!(kernel(&machine.run()), Some(1));
    let place = machine.plan.state.join("state.json");
    let good = fs::read_to_string(&place).unwrap();
    for bad in ["".to_owned(), "{\"boot_id\":3}".to_owned(), good.replace("i=1", "--rotate --x y")] {
        fs::write(&place, &bad).unwrap();
        machine.asked();
        let report = machine.run();
        assert_eq!((kernel(&report), codes(&report)), (Some(1), vec!["state_lost"]), "{bad}");
        assert!(!machine.asked().concat().contains("--rotate"));
    }
}

#[test]
fn patterns_are_counted_by_alias_each_in_its_unit() {
    let machine = Machine::new(Vec::new());
    machine.tool("journalctl", JOURNAL);
    machine.config("[journal.patterns]\nfatal = \"FATAL\"\npacs = { contains = \"FATAL\", unit = \"pacs.service\" }\n");
    machine.write(1, &[("db.service", "FATAL: x"), ("pacs.service", "FATAL"), ("pacs.service", "fine")]);
    let report = machine.run();
    assert_eq!((pattern(&report, "fatal"), pattern(&report, "pacs")), (Some(2), Some(1)));
    machine.asked();
    // Only units are named: the journal is asked for nothing else. What is new or changed counts from now on.
    machine.config("[journal.patterns]\npacs = { contains = \"FATAL\", unit = \"pacs.service\" }\nfatal = { contains = \"F\", unit = \"db.service\" }\n");
    machine.write(4, &[("pacs.service", "FATAL"), ("db.service", "F")]);
    let report = machine.run();
    assert_eq!((pattern(&report, "fatal"), pattern(&report, "pacs")), (Some(1), Some(2)));
    assert!(machine.asked().iter().any(|line| line.ends_with("_SYSTEMD_UNIT=db.service _SYSTEMD_UNIT=pacs.service")));
    let left = fs::read_to_string(machine.plan.out.join("report.json")).unwrap();
    assert!(!left.contains("FATAL") && !left.contains("pacs.service"), "{left}");
}

#[test]
fn a_refused_file_is_said_and_the_rest_is_done() {
    let machine = Machine::new(vec![super::row("works", 60_000)]);
    machine.tool("works", "echo fine");
    machine.tool("journalctl", QUIET);
    machine.config("[services]\ndb = \"postgresql\"\n");
    assert_eq!(carry_out(&machine.plan), 78);
    let report = machine.report();
    assert_eq!((of(&report, "works").outcome, codes(&report)), (End::Done, vec!["config_refused"]));
    assert_eq!((report.services, report.processes, report.counts.journal), (None, None, None));
    assert_eq!(kernel(&machine.report()), Some(0));
}

#[test]
fn where_it_cannot_be_told_what_is_switched_off_nothing_is_run() {
    let machine = Machine::new(vec![super::row("works", 60_000)]);
    machine.tool("works", "echo ran >>\"${0%/*}/ran\"");
    machine.tool("journalctl", "echo ran >>\"${0%/*}/ran\"");
    for text in ["[tool]\noff = [\"works\"]\n", "nonsense\n"] {
        machine.config(text);
        assert_eq!(carry_out(&machine.plan), 78, "{text}");
        let report = machine.report();
        assert!(report.runs.iter().all(|run| run.outcome == End::NotConsented) && of(&report, "works").tool == "works", "{text}: {:?}", report.runs);
        assert_eq!((codes(&report), &report.counts.kernel_log), (vec!["config_refused"], &None), "{text}");
    }
    machine.config("[services]\ndb = \"postgresql\"\n[tools]\noff = [\"works\", \"journalctl\"]\n");
    assert_eq!(carry_out(&machine.plan), 78);
    assert!(machine.report().runs.iter().all(|run| run.outcome == End::NotConsented));
    assert!(!machine.dir.path().join("tools/ran").exists());
}

#[test]
fn named_services_are_asked_of_systemd() {
    let machine = Machine::new(Vec::new());
    machine.tool("journalctl", QUIET);
    let place = machine.dir.path().join("tools/units");
    let script = format!("echo \"$*\" >'{}'\nprintf 'LoadState=loaded\\nActiveState=failed\\nSubState=failed\\nNRestarts=5\\n'", place.display());
    machine.tool("systemctl", &script);
    machine.config("[services]\ndb = \"postgresql.service\"\n[processes]\nnone = \"absent\"\n");
    let report = machine.run();
    let db = &report.services.as_ref().unwrap()[&"db".parse().unwrap()];
    assert_eq!((db.active.as_ref().unwrap().as_str(), db.restarts, db.memory_bytes), ("failed", Some(5), None));
    assert!(fs::read_to_string(&place).unwrap().trim().ends_with("-- postgresql.service"));
    assert_eq!(report.processes.as_ref().unwrap().len(), 1);
    machine.tool("systemctl", "echo 'Failed to connect to bus' >&2; exit 1");
    let report = machine.run();
    assert_eq!((report.services.is_none(), codes(&report)), (true, vec!["unreadable"]));
}
