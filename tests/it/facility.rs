//! What the facility's person sees and can do on the machine: the page, the removal, what outlives a process, the ledger.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and figures are printed"
)]

use clap::CommandFactory as _;
use mimamori_cli::help;
use mimamori_tests::story::{enrolled, held, json, ledger, reports, said, stop};
use mimamori_tests::{AgentHome, World, wait_until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(25);

fn status(home: &AgentHome) -> Value {
    json(&home.cli(&["status", "--json"]))
}

fn noted(home: &AgentHome) -> Vec<String> {
    status(home)["noted"].as_array().unwrap().iter().map(|noted| noted["kind"].as_str().unwrap().to_owned()).collect()
}

/// The folder for the page belongs to the agent's account, as the state folder does.
fn page(home: &AgentHome) -> String {
    let path = home.state_dir().join("page.html");
    let told = home.cli(&["report", "--html", &path.display().to_string()]);
    assert!(told.contains("page.html"), "{told}");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "the approver's name is nobody else's business");
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(path).unwrap();
    text
}

#[test]
fn the_page_says_what_is_so_at_every_stage() {
    let mut world = World::new("page");
    world.start();
    let home = world.agent_home("ct-1");
    let bare = page(&home);
    assert!(bare.contains("This machine has no identity") && bare.contains("The ledger is empty") && bare.contains("未登録"), "{bare}");
    home.enroll(&world.token_text(Some("ct-1")));
    let consent = home.dir.join("consent.toml");
    let text = fs::read_to_string(&consent).unwrap();
    home.consent(&text.replace("Nobody", "<script>alert('承認')</script>").replace("\"Example\"", "\"\\\"><img src=http://evil.example/>\""));
    let guard = home.run();
    wait_until("two reports", SOON, || reports(&world) >= 2);
    stop(guard);
    let full = page(&home);
    assert!(full.contains("&lt;script&gt;alert(&#39;承認&#39;)&lt;/script&gt;") && full.contains("&quot;&gt;&lt;img src=http://evil.example/&gt;"), "{full}");
    for outside in ["<script", "<img", "<link", "<iframe", "<object", "<a ", "src=\"", "href=", "url(", "@import", "onload="] {
        assert!(!full.contains(outside), "{outside}");
    }
    for words in
        ["Verified offline", "オフライン検証済み", "cpu.user_ms", "sudo systemctl disable --now mimamori-agent", "uninstall --purge --yes", &world.url()]
    {
        assert!(full.contains(words), "{words}");
    }
    let today = full.split("What was sent today").nth(1).unwrap();
    let row = today.split("readings").nth(1).unwrap().split("<td>").nth(1).unwrap();
    let sent: usize = row.split('<').next().unwrap().parse().unwrap();
    assert!((2..=held(&world).len()).contains(&sent), "{sent} of {}", held(&world).len());
    fs::remove_file(&consent).unwrap();
    let without = page(&home);
    assert!(without.contains("Nothing is collected") && without.contains("何も収集していません") && without.contains("There is no valid consent"));
    let stdout = home.cli(&["report", "--html", "-"]);
    assert!(stdout.starts_with("<!DOCTYPE html>") && stdout.trim_end().ends_with("</html>"));
    let nowhere = home.try_cli(&["report", "--html", "/nonexistent/page.html"]);
    assert!(nowhere.status.code() == Some(2) && said(&nowhere).contains("/nonexistent/page.html"), "{}", said(&nowhere));
    println!("the page has {} bytes, {sent} reports today", full.len());
}

#[test]
fn removal_is_refused_until_it_is_meant_and_the_agent_is_stopped() {
    let (world, home) = enrolled("refused");
    let guard = home.run();
    wait_until("a report", SOON, || reports(&world) >= 1);
    for (args, code, words) in [
        (&["uninstall"][..], 2, "--purge"),
        (&["uninstall", "--yes"], 2, "--purge"),
        (&["uninstall", "--purge", "--yes"], 1, "systemctl disable --now mimamori-agent"),
        (&["uninstall", "--purge", "--yes", "--offline"], 1, "stop it first"),
    ] {
        let done = home.try_cli(args);
        assert!(done.status.code() == Some(code) && said(&done).contains(words), "{args:?}: {:?} {}", done.status, said(&done));
    }
    what_removal_would_leave(&home);
    assert!(home.state_dir().join("identity.key").is_file());
    let before = reports(&world);
    wait_until("it goes on unharmed", SOON, || reports(&world) > before);
    stop(guard);
}

/// Without `--yes` it only says so: on standard output, what would go and what would stay.
fn what_removal_would_leave(home: &AgentHome) {
    let config = home.dir.join("agent.toml");
    fs::write(&config, "").unwrap();
    let shown = home.try_cli(&["uninstall", "--purge", "--json", "--config", &config.display().to_string()]);
    let plan = json(&String::from_utf8_lossy(&shown.stdout));
    assert!(shown.status.success() && plan["schema"] == "mimamori.uninstall-plan/1" && plan["done"] == false, "{plan}");
    let names = |key: &str| plan[key].as_array().unwrap().iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ");
    assert!(names("would_remove").contains("identity.key") && names("would_remove").contains("outbox.db"), "{plan}");
    // The folder of the configuration is root's where the tests run as root, and the agent's account may not remove it.
    let key = if home.is_root() { "would_leave" } else { "would_remove" };
    assert!(names(key).contains("agent.toml"), "{plan}");
    assert_eq!(names("still_to_do").contains("sudo rm "), home.is_root(), "{plan}");
    assert!(plan["consent_stays"].as_str().unwrap().ends_with("consent.toml"), "{plan}");
    let text = home.try_cli(&["uninstall", "--purge"]);
    let (out, err) = (String::from_utf8_lossy(&text.stdout), String::from_utf8_lossy(&text.stderr));
    for words in ["Nothing is removed yet", "identity.key (key or identity)", "consent.toml (the facility's record)", "ledger export", "--purge --yes"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(err.is_empty() && home.cli(&["uninstall", "--purge", "--lang", "ja"]).contains("まだ何も削除していません"), "{err}");
    fs::remove_file(config).unwrap();
}

#[test]
fn a_removal_is_stated_receipted_and_certified() {
    let (mut world, home) = enrolled("removed");
    let guard = home.run();
    wait_until("two reports", SOON, || reports(&world) >= 2);
    // Two unsent reports: they leave under the consent that is in force.
    world.kill();
    let made = status(&home)["next_seq"].as_u64().unwrap();
    wait_until("unsent ones", SOON, || status(&home)["next_seq"].as_u64().unwrap() >= made + 2);
    stop(guard);
    let done = home.try_cli(&["uninstall", "--purge", "--yes"]);
    assert!(done.status.code() == Some(1) && said(&done).contains("nothing was removed") && said(&done).contains("--offline"), "{}", said(&done));
    assert_eq!(noted(&home), ["failing_tcp"], "and status still knows why nothing was sent");
    world.start();
    let fingerprint = status(&home)["fingerprint"].as_str().unwrap().to_owned();
    fs::write(home.state_dir().join("notes.txt"), "the administrator's own").unwrap();
    let certificate = json(&home.cli(&["uninstall", "--purge", "--yes", "--json"]));
    let names = |key: &str| certificate[key].as_array().unwrap().iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ");
    assert!(certificate["receipted"] == true && certificate["agent_fingerprint"] == fingerprint.as_str(), "{certificate}");
    assert!(certificate["unsent_sent_before"].as_u64().unwrap() >= 2 && certificate["purged"]["sample"] == 0, "{certificate}");
    assert!(["identity.key", "identity.toml", "salt", "outbox.db", "tip", "lock"].iter().all(|name| names("removed").contains(name)), "{certificate}");
    assert!(names("not_the_agents").contains("notes.txt"), "{certificate}");
    let left: Vec<_> = fs::read_dir(home.state_dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    let last = held(&world).pop().unwrap();
    assert!(last["statement"] == "purge" && last["seq"] == certificate["statement_place"]["seq"], "{last}");
    wait_until("the collector knows that nothing will come", SOON, || world.machines()[0]["presence"] == "not_consented");
    let shown = world.cli(&["machine", "show", "hcf-1/ct-1"]);
    assert!(shown.contains("the facility removed the agent from the machine"), "{shown}");
    world.fsck();
    let again = home.try_cli(&["uninstall", "--purge", "--yes"]);
    assert!(again.status.code() == Some(2) && said(&again).contains("nothing of the agent"), "{}", said(&again));
}

#[test]
fn without_the_collector_the_statement_is_handed_over() {
    let (mut world, home) = enrolled("handed");
    let guard = home.run();
    wait_until("two reports", SOON, || reports(&world) >= 2);
    world.kill();
    let made = status(&home)["next_seq"].as_u64().unwrap();
    wait_until("unsent ones", SOON, || status(&home)["next_seq"].as_u64().unwrap() >= made + 2);
    stop(guard);
    let text = home.cli(&["uninstall", "--purge", "--yes", "--offline"]);
    for words in
        ["Certificate of removal / 削除証明", "NOT receipted / 未受領", "{\"v\":1,\"type\":\"statement\"", "\"statement\":\"purge\"", "+09:00", "consent.toml"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let purged = text.lines().find(|line| line.starts_with("Unsent entries removed")).unwrap();
    assert!(!purged.contains(": 0 ("), "{purged}");
    assert!(!home.state_dir().join("identity.key").try_exists().unwrap() && home.dir.join("consent.toml").is_file());
}

#[test]
fn without_a_consent_only_the_statement_leaves() {
    let (mut world, home) = enrolled("silent");
    let guard = home.run();
    wait_until("two reports", SOON, || reports(&world) >= 2);
    world.kill();
    let made = status(&home)["next_seq"].as_u64().unwrap();
    wait_until("unsent ones", SOON, || status(&home)["next_seq"].as_u64().unwrap() >= made + 2);
    stop(guard);
    fs::remove_file(home.dir.join("consent.toml")).unwrap();
    world.start();
    let before = held(&world).len();
    let certificate = json(&home.cli(&["uninstall", "--purge", "--yes", "--json"]));
    let after = held(&world);
    let fresh: Vec<&str> = after[before..].iter().map(|payload| payload["type"].as_str().unwrap()).collect();
    assert_eq!(fresh, ["loss", "statement"], "{certificate}");
    assert!(after[before]["reason"] == "withdrawn" && after[before + 1]["statement"] == "purge");
    assert_eq!(after[before + 1]["purged"], certificate["purged"]);
    assert!(["sample", "unchanged", "change"].iter().map(|class| certificate["purged"][class].as_u64().unwrap()).sum::<u64>() >= 2, "{certificate}");
    world.fsck();
}

/// Reports that a collector which takes no more of this key has not got; the agent is stopped.
fn unsent_and_revoked(name: &str) -> (World, AgentHome) {
    let (mut world, home) = enrolled(name);
    let guard = home.run();
    wait_until("two reports", SOON, || reports(&world) >= 2);
    world.kill();
    let made = status(&home)["next_seq"].as_u64().unwrap();
    wait_until("unsent ones", SOON, || status(&home)["next_seq"].as_u64().unwrap() >= made + 2);
    stop(guard);
    world.start();
    world.cli(&["machine", "revoke", "hcf-1/ct-1"]);
    (world, home)
}

#[test]
fn a_collector_that_refuses_stops_the_removal_before_anything_is_dropped() {
    let (world, home) = unsent_and_revoked("refuses");
    let before = ledger(&home);
    for (lang, words) in [("en", "nothing was removed"), ("ja", "何も削除していません")] {
        let done = home.try_cli(&["uninstall", "--purge", "--yes", "--lang", lang]);
        assert!(done.status.code() == Some(1) && said(&done).contains(words) && said(&done).contains("--offline"), "{}", said(&done));
        assert_eq!(ledger(&home), before, "what was unsent still is, and nothing was signed");
    }
    assert!(held(&world).iter().all(|entry| entry["type"] != "loss" && entry["statement"] != "purge"));
}

#[test]
fn a_removal_that_fails_after_signing_says_what_is_dropped_and_what_lies_there() {
    let (_world, home) = unsent_and_revoked("signed");
    // Without a consent nothing but the statement may leave: it is signed before anything is sent.
    fs::remove_file(home.dir.join("consent.toml")).unwrap();
    let done = home.try_cli(&["uninstall", "--purge", "--yes"]);
    let text = said(&done);
    assert!(done.status.code() == Some(1) && !text.contains("nothing was removed"), "{text}");
    let entries = ledger(&home);
    let [.., loss, statement] = entries.as_slice() else { panic!("{entries:?}") };
    assert!(loss["payload"].to_string().contains("loss") && statement["payload"].to_string().contains("purge"), "{entries:#?}");
    let purged = &json(&statement["payload"].to_string())["purged"];
    let dropped: u64 = ["sample", "unchanged", "change", "statement"].iter().map(|class| purged[class].as_u64().unwrap()).sum();
    assert!(dropped >= 2 && text.contains(&format!("{dropped} unsent entries were dropped")) && text.contains("lies there unsent"), "{purged} {text}");
    assert!(home.state_dir().join("identity.key").is_file());
}

#[test]
fn a_machine_that_never_ran_and_one_that_was_never_enrolled_can_be_removed() {
    let (_world, home) = enrolled("unused");
    let certificate = json(&home.cli(&["uninstall", "--purge", "--yes", "--json"]));
    assert!(certificate["statement"].is_null() && certificate["receipted"] == false, "{certificate}");
    assert!(!home.state_dir().join("identity.key").try_exists().unwrap());
    let done = home.try_cli(&["uninstall", "--purge", "--yes"]);
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
}

#[test]
fn a_revocation_outlives_the_process() {
    let (world, home) = enrolled("revoked");
    let guard = home.run();
    wait_until("a report", SOON, || reports(&world) >= 1);
    assert_eq!(noted(&home), Vec::<String>::new());
    world.cli(&["machine", "revoke", "hcf-1/ct-1"]);
    wait_until("it is noted", SOON, || noted(&home).contains(&"revoked".to_owned()));
    stop(guard);
    assert!(noted(&home).contains(&"revoked".to_owned()), "after the process");
    let text = home.cli(&["status"]);
    assert!(text.contains("Running: no") && text.contains("takes no more of this machine's key") && text.contains("-> ask the RSC"), "{text}");
    let checked = home.try_cli(&["check", "--json"]);
    let lines = json(&String::from_utf8_lossy(&checked.stdout));
    let line = lines["lines"].as_array().unwrap().iter().find(|line| line["name"] == "noted").unwrap().clone();
    assert!(line["verdict"] == "fail" && checked.status.code() == Some(1), "{line}");
    assert!(page(&home).contains("takes no more of this machine&#39;s key"));
}

#[test]
fn check_goes_the_whole_way_and_says_what_answers() {
    let (mut world, home) = enrolled("way");
    let guard = home.run();
    wait_until("a report", SOON, || reports(&world) >= 1);
    let lines = |home: &AgentHome| {
        let done = home.try_cli(&["check", "--json"]);
        let said = json(&String::from_utf8_lossy(&done.stdout));
        said["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| (line["name"].as_str().unwrap().to_owned(), line["verdict"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let all = lines(&home);
    for name in ["agent", "dns", "connection", "tls", "http", "disk space", "identity", "consent"] {
        assert!(all.contains(&(name.to_owned(), "ok".to_owned())) || name == "consent", "{name}: {all:?}");
    }
    world.kill();
    assert!(lines(&home).contains(&("connection".to_owned(), "fail".to_owned())));
    wait_until("the failure is noted", SOON, || noted(&home) == ["failing_tcp"]);
    world.start();
    wait_until("and over with the next receipt", SOON, || noted(&home).is_empty());
    stop(guard);
    assert!(lines(&home).contains(&("agent".to_owned(), "warn".to_owned())));
}

#[test]
fn the_ledger_says_when_under_which_consent_and_with_which_receipt() {
    let (mut world, home) = enrolled("ledgers");
    let guard = home.run();
    wait_until("two reports", SOON, || reports(&world) >= 2);
    let text = fs::read_to_string(home.dir.join("consent.toml")).unwrap();
    home.consent(&text.replace("\"Example\"", "\"Another\""));
    wait_until("the new consent's report", SOON, || {
        held(&world).iter().filter(|payload| payload["statement"] == "consent").count() == 2 && held(&world).last().unwrap()["type"] == "report"
    });
    wait_until("the receipt is noted", SOON, || status(&home)["unsent_at_most"].as_u64().unwrap() <= 1);
    world.kill();
    let made = status(&home)["next_seq"].as_u64().unwrap();
    wait_until("unsent ones", SOON, || status(&home)["next_seq"].as_u64().unwrap() >= made + 2);
    stop(guard);
    let lines: Vec<Value> = home.cli(&["ledger", "show", "--last", "1000", "--json"]).lines().map(json).collect();
    let first = lines.iter().find(|line| line["kind"] == "report").unwrap();
    let last = lines.last().unwrap();
    assert!(first["consent_is_present"] == false && first["receipted"] == true && first["receipt"]["seq"].as_u64() >= first["last_seq"].as_u64(), "{first}");
    assert!(last["consent_is_present"] == true && last["receipted"] == false && last["receipt"].is_null(), "{last}");
    let shown = home.cli(&["ledger", "show", "--last", "1000"]);
    for words in ["(present)", "(another)", "receipt up to", "not yet"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let ja = home.cli(&["ledger", "show", "--last", "3", "--lang", "ja"]);
    assert!(ja.contains("+09:00)") && ja.contains("現在の同意") && ja.contains("未受領"), "{ja}");
    home.cli(&["ledger", "verify"]);
    // The trust anchor is the form that verifiers take.
    let trust = home.cli(&["ledger", "trust"]);
    let parsed: toml::Table = trust.parse().unwrap();
    assert_eq!(parsed["agents"][0].as_str(), status(&home)["fingerprint"].as_str());
    let same = json(&home.cli(&["ledger", "trust", "--json"]));
    assert_eq!(same, serde_json::json!({"schema": "mimamori.trust/1", "collector_root": parsed["collector_root"], "agents": parsed["agents"]}));
    let (file, shown) = (home.state_dir().join("trust.toml"), home.state_dir().join("trust.toml").display().to_string());
    assert_eq!(json(&home.cli(&["ledger", "trust", "--json", "--output", &shown]))["path"], shown.as_str());
    assert_eq!(fs::read_to_string(file).unwrap(), trust, "a file is what verifiers take");
    let (path, export) = (world.dir.join("trust.toml"), home.state_dir().join("ledger.jsonl"));
    fs::write(&path, trust).unwrap();
    home.cli(&["ledger", "export", "--output", &export.display().to_string()]);
    let verified = mimamori_tests::process::python("verify.py", &[&export.display().to_string(), "--trust", &path.display().to_string()]);
    let verdict = json(&String::from_utf8_lossy(&verified.stdout));
    assert!(verdict["ok"] == true && verdict["trusted"] == true, "{verdict}");
}

/// Also that no text speaks of a command that does not exist.
#[test]
fn every_command_and_argument_of_both_programs_is_explained_in_japanese() {
    for (command, texts) in [
        (mimamori_agent::cli::Cli::command(), mimamori_agent::cli_ja::JAPANESE),
        (mimamori_collector::cli::Cli::command(), mimamori_collector::cli_ja::JAPANESE),
    ] {
        assert_eq!(help::faults(command, texts), Vec::<String>::new());
    }
    let home = World::new("japanese").agent_home("ct-1");
    let help = home.cli(&["ledger", "show", "--lang", "ja", "--help"]);
    assert!(help.contains("使い方:") && help.contains("日本時間") && !help.contains("Usage"), "{help}");
    let wrong = home.try_cli(&["config", "check", "--lang", "ja", "--set", "intervall=5s"]);
    assert!(wrong.status.code() == Some(78) && said(&wrong).contains("`interval` の誤りではありませんか"), "{}", said(&wrong));
    let none = home.try_cli(&["status", "--lang", "ja"]);
    assert!(none.status.code() == Some(78) && said(&none).contains("未登録"), "{}", said(&none));
}
