//! Lists of updates, each real file against what its own lines say, looked up the simple way.

use super::{files, folder};
use crate::{Status, Unreadable, apt, apt_mark, dnf, needrestart, needs_restarting, wua};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const GROUP: &str = "patch-status";

/// The files below a folder of the group, as text.
fn texts(below: &str, test: &str) -> Option<Vec<(String, String)>> {
    let all = files(&folder(GROUP, test)?.join(below));
    Some(all.into_iter().map(|(name, bytes)| (name, crate::text::decode(&bytes).into_owned())).collect())
}

#[test]
fn lists_of_apt_agree_with_their_own_lines() {
    let Some(texts) = texts("linuxfabrik/deb-updates", "lists_of_apt") else { return };
    assert_eq!(texts.len(), 6);
    let mut bad = Vec::new();
    for (name, text) in &texts {
        let outcome = apt::outcome(text, None).unwrap();
        let record = &outcome.records[0];
        let rows = text.lines().filter(|line| line.contains("[upgradable from: ")).count();
        let security = text.lines().filter(|line| line.split_once(' ').is_some_and(|(name, _)| name.contains("-security"))).count();
        assert_eq!(record["pending"], rows, "{name}");
        // The repository of security of Debian 10 has the same name as the other: how many are for security is not told.
        let told = if name == "debian10" { Value::Null } else { json!(security) };
        assert_eq!(record["pending_security"], told, "{name}");
        assert_eq!((&record["held"], &record["metadata_fresh_at"], outcome.faults.len()), (&Value::Null, &Value::Null, 0), "{name}");
        let expected = if name == "debian10" { Status::Unknown } else { [Status::Ok, Status::Bad][usize::from(security > 0)] };
        assert_eq!(outcome.status, expected, "{name}: {}", outcome.reason);
        bad.extend((outcome.status == Status::Bad).then_some((name.as_str(), rows, security)));
        // Whoever asks for an age gets no green answer from a list that does not tell its own.
        assert_ne!(apt::outcome(text, Some(1_795_824_000_000)).unwrap().status, Status::Ok, "{name}");
    }
    assert_eq!(bad, [("debian11", 19, 19), ("debian12", 37, 3), ("ubuntu2204", 33, 27), ("ubuntu2404", 39, 24)]);
}

#[test]
fn holds_are_counted() {
    let Some(texts) = texts("linuxfabrik/deb-versionlock", "holds") else { return };
    let mut seen = 0;
    for (name, text) in texts.iter().filter(|(name, _)| name.ends_with("-showhold")) {
        let outcome = apt_mark::outcome(text, None);
        match name.as_str() {
            "no-holds-showhold" => assert_eq!(outcome, Err(Unreadable::Empty), "{name}"),
            "malformed-showhold" => {
                let outcome = outcome.unwrap();
                assert_eq!((outcome.status, outcome.faults[0].code, outcome.records.len()), (Status::Unknown, "not_found", 0));
            }
            _ => {
                let outcome = outcome.unwrap();
                assert_eq!((outcome.status, &outcome.records[0]["held"]), (Status::Ok, &json!(text.lines().count())), "{name}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 6);
}

/// Names of packages by the rows of a list, and of advisories: all and those for security.
fn rows(text: &str) -> (BTreeSet<String>, BTreeSet<String>, BTreeSet<String>) {
    let (mut packages, mut advised, mut security) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for words in text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        let arch = |word: &str| word.ends_with(".x86_64") || word.ends_with(".noarch");
        if words.len() == 3 && arch(words[0]) {
            packages.insert(words[0].to_owned());
        } else if let Some(package) = words.iter().skip(2).find(|word| arch(word)) {
            let name = package.rsplitn(3, '-').nth(2).unwrap().to_owned();
            advised.insert(name.clone());
            if words[1] == "security" || words[1].ends_with("/Sec.") {
                security.insert(name);
            }
        }
    }
    (packages, advised, security)
}

#[test]
fn lists_of_dnf_agree_with_their_own_rows() {
    let Some(texts) = texts("linuxfabrik/rpm-updates", "lists_of_dnf") else { return };
    assert_eq!(texts.len(), 18);
    for (name, text) in &texts {
        let outcome = dnf::outcome(text, None);
        if name.ends_with("-installed") {
            assert!(matches!(outcome, Err(Unreadable::Foreign { .. })), "{name}: what is installed is no list of updates");
            continue;
        }
        let outcome = outcome.unwrap();
        let record = &outcome.records[0];
        let (packages, advised, security) = rows(text);
        let unregistered = text.contains("This system is not registered");
        let (pending, pending_security) = match (packages.len(), advised.len()) {
            (0, 0) if unregistered => (Value::Null, Value::Null),
            (0, 0) => (json!(0), json!(0)),
            (0, advised) => (json!(advised), json!(security.len())),
            (packages, _) => (json!(packages), Value::Null),
        };
        assert_eq!((&record["pending"], &record["pending_security"]), (&pending, &pending_security), "{name}");
        let codes: Vec<&str> = outcome.faults.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, if unregistered { vec!["not_registered"] } else { vec![] }, "{name}");
        let expected = match (pending.as_i64(), pending_security.as_i64()) {
            (_, Some(1..)) => Status::Bad,
            (Some(0), Some(0)) => Status::Ok,
            _ => Status::Unknown,
        };
        assert_eq!(outcome.status, expected, "{name}: {}", outcome.reason);
    }
    let golden = |name: &str| {
        let text = &texts.iter().find(|(file, _)| file == name).unwrap().1;
        let record = dnf::outcome(text, None).unwrap().records[0].clone();
        (record["pending"].clone(), record["pending_security"].clone(), record["oldest_security_at"].clone())
    };
    assert_eq!(golden("fedora30-updateinfo"), (json!(40), json!(8), Value::Null));
    assert_eq!(golden("fedora30-upgrades"), (json!(40), Value::Null, Value::Null));
    assert_eq!(golden("fedora42-updateinfo"), (json!(2), json!(2), json!("2026-04-08T07:44:03")));
    assert_eq!(golden("rhel9-upgrades"), (json!(100), Value::Null, Value::Null));
    assert_eq!(golden("fedora40-upgrades"), (json!(0), json!(0), Value::Null));
    assert_eq!(golden("rhel10-upgrades"), (Value::Null, Value::Null, Value::Null));
}

#[test]
fn what_waits_for_a_restart_is_read() {
    let Some(texts) = texts("linuxfabrik/needs-restarting", "restarts") else { return };
    let text = |name: &str| texts.iter().find(|(file, _)| file == name).unwrap().1.as_str();
    let told = |outcome: crate::Outcome| (outcome.status, outcome.records[0]["reboot_required"].clone(), outcome.records[0]["services_outdated"].clone());
    assert_eq!(told(needrestart::outcome(text("debian-clean-needrestart"), None).unwrap()), (Status::Ok, json!(false), json!(0)));
    assert_eq!(told(needrestart::outcome(text("debian-kernel-pending-needrestart"), None).unwrap()), (Status::Bad, json!(true), json!(2)));
    assert_eq!(told(needs_restarting::outcome(text("rhel-clean-reboothint"), None).unwrap()), (Status::Ok, json!(false), Value::Null));
    assert_eq!(told(needs_restarting::outcome(text("rhel-reboot-required-reboothint"), None).unwrap()), (Status::Bad, json!(true), Value::Null));
    assert_eq!(needs_restarting::outcome(text("rhel-clean-services"), None), Err(Unreadable::Empty));
    assert_eq!(texts.len(), 5);
}

#[test]
fn what_is_something_else_is_refused() {
    let Some(texts) = texts("", "foreign lists") else { return };
    let foreign = texts.iter().filter(|(name, _)| name.starts_with("jc/") || name.contains("/pip-updates/"));
    let mut seen = 0;
    for (name, text) in foreign {
        for read in [apt::outcome, apt_mark::outcome, dnf::outcome, needs_restarting::outcome, needrestart::outcome, wua::outcome] {
            assert!(read(text, None).is_err(), "{name}");
        }
        seen += 1;
    }
    assert_eq!(seen, 12);
    let nothing = &texts.iter().find(|(name, _)| name == "linuxfabrik/updates/none-pending").unwrap().1;
    assert_eq!(wua::outcome(nothing, None), Err(Unreadable::Empty));
}
