//! The facility's consent as its administrator grants, narrows, asks under and withdraws it: the real agent and collector.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and figures are printed"
)]

use mimamori_tests::story::{self, held, json, ledger, said};
use mimamori_tests::{AgentHome, World, get, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Output;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(40);
const HEARTBEAT: [&str; 3] = ["agent", "clock", "system"];

/// As every story begins, and the agent has no consent.
fn enrolled(name: &str) -> (World, AgentHome) {
    let (world, home) = story::enrolled(name);
    fs::remove_file(home.dir.join("consent.toml")).unwrap();
    (world, home)
}

/// Grants as the administrator does. Where the tests do not run as root there is only one account: then it is an example.
fn grant(home: &AgentHome, flags: &[&str]) -> Output {
    let mut args = vec!["consent", "grant", "--approver", "Example administrator", "--reason", "Example contract"];
    args.extend((!home.is_root()).then_some("--example"));
    args.extend(flags);
    home.admin(&args)
}

#[track_caller]
fn granted(home: &AgentHome, flags: &[&str]) {
    let done = grant(home, flags);
    assert!(done.status.success(), "{flags:?}: {}", said(&done));
}

/// The reports under a consent, by its hash: the names of the sections in each.
fn under(world: &World, hash: &str) -> Vec<BTreeSet<String>> {
    let reports = held(world).into_iter().filter(|payload| payload["type"] == "report" && payload["consent_hash"] == hash);
    reports.map(|payload| payload["readings"].as_object().unwrap().keys().cloned().collect()).collect()
}

fn hash(home: &AgentHome) -> String {
    json(&home.cli(&["consent", "show", "--json"]))["hash"].as_str().unwrap().to_owned()
}

fn presence(world: &World) -> (String, String) {
    let machine = &world.machines()[0];
    (machine["presence"].as_str().unwrap_or_default().to_owned(), machine["because"].as_str().unwrap_or_default().to_owned())
}

fn metrics(world: &World) -> String {
    get(world.metrics, "/metrics").unwrap().1
}

#[test]
fn an_administrator_grants_and_narrows_and_every_report_keeps_to_it() {
    let (world, home) = enrolled("granted");
    let scopes = ["--for", "5d", "--scope", "heartbeat=5s", "--scope", "performance=5s", "--scope", "os_state=15s"];
    granted(&home, &scopes);
    let meta = fs::metadata(home.dir.join("consent.toml")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o644);
    assert!(said(&grant(&home, &scopes)).contains("--replace"), "what is there is not overwritten");
    if home.is_root() {
        let own = home.try_cli(&["consent", "grant", "--approver", "a", "--reason", "b", "--for", "1d", "--scope", "heartbeat", "--replace"]);
        assert!(own.status.code() == Some(2) && said(&own).contains("own account"), "{}", said(&own));
        assert_eq!(meta.uid(), 0);
    }
    let guard = home.run();
    wait_until("a report", SOON, || held(&world).iter().any(|payload| payload["type"] == "report"));
    let first = hash(&home);
    wait_until("reports with and without filesystems", SOON, || {
        let made = under(&world, &first);
        made.iter().filter(|sections| sections.contains("filesystem")).count() >= 2
            && made.iter().filter(|sections| !sections.contains("filesystem")).count() >= 2
    });
    // A section that was not due does not vanish.
    wait_until("the newest report holds no filesystem, and it is shown all the same", SOON, || {
        let without = !under(&world, &first).last().unwrap().contains("filesystem");
        let page = get(world.pages, &format!("/machines/{}/ct-1?lang=en", mimamori_tests::world::FACILITY)).unwrap().1;
        without
            && metrics(&world).contains("mimamori_machine_filesystem_size_bytes{")
            && page.contains("filesystem.size_bytes")
            && page.contains("It ends soon")
    });
    let shown = metrics(&world);
    assert!(shown.lines().any(|line| line.contains("consent_ends_soon{") && line.ends_with("days=\"7\"} 1")), "{shown}");
    assert!(shown.lines().any(|line| line.contains("consent_ends_soon{") && line.ends_with("days=\"1\"} 0")), "{shown}");
    wait_until("a finding of it", SOON, || metrics(&world).lines().any(|line| line.starts_with("mimamori_machine_findings{") && line.ends_with(" 1")));
    assert_eq!(home.log().matches("ends within 7 days").count(), 1, "{}", home.log());
    drop(guard);
    let _guard = home.run();
    // Narrower: no processor times, and the configuration holds nothing back.
    let narrower = ["--for", "60d", "--scope", "heartbeat=5s", "--scope", "performance=5s", "--except", "cpu", "--replace"];
    let told = said(&grant(&home, &narrower));
    assert!(told.contains("is unsent still leaves") && told.contains("`consent withdraw` before the new grant removes it"), "{told}");
    let second = hash(&home);
    wait_until("reports under the narrower consent", SOON, || under(&world, &second).len() >= 2);
    assert!(under(&world, &second).iter().all(|sections| !sections.contains("cpu") && !sections.contains("filesystem")));
    assert_eq!(home.log().matches("ends within 7 days").count(), 1, "said once, also over a restart: {}", home.log());
    // Exam hours all day long.
    granted(&home, &["--for", "60d", "--scope", "heartbeat=5s", "--scope", "performance=5s", "--quiet", "mon-sun 00:00-24:00", "--replace"]);
    let third = hash(&home);
    wait_until("reports in quiet hours", SOON, || under(&world, &third).len() >= 2);
    for sections in under(&world, &third) {
        assert!(sections.iter().all(|section| HEARTBEAT.contains(&section.as_str())), "{sections:?}");
    }
    assert!(home.cli(&["status"]).contains("heartbeat only"));
    println!("{} reports, {} narrower, {} in quiet hours", under(&world, &first).len(), under(&world, &second).len(), under(&world, &third).len());
    world.fsck();
}

#[test]
fn a_withdrawal_lets_the_unsent_leave_or_removes_it_as_it_says() {
    for (flag, keeps) in [("--keep-unsent", true), ("--purge-unsent", false)] {
        let (mut world, home) = enrolled(if keeps { "keeps" } else { "purges" });
        let scopes = ["--for", "1y", "--scope", "heartbeat=5s", "--replace"];
        granted(&home, &scopes);
        let mut guard = home.run();
        wait_until("a report", SOON, || held(&world).iter().any(|payload| payload["type"] == "report"));
        world.kill();
        let sent = ledger(&home).len();
        wait_until("unsent reports", SOON, || ledger(&home).len() >= sent + 3);
        let done = home.admin(&["consent", "withdraw", flag]);
        assert!(done.status.success(), "{}", said(&done));
        let text = fs::read_to_string(home.dir.join("consent.toml")).unwrap();
        assert!(text.contains("Example administrator") && text.contains("withdrawn = true"), "the record stays: {text}");
        wait_until("the agent says so", SOON, || home.log().contains("withdrawn by the facility"));
        if keeps {
            // In between the machine is switched off and on.
            drop(guard);
            guard = home.run();
        }
        world.start();
        wait_until("the collector knows", SOON, || presence(&world) == ("not_consented".to_owned(), "consent_withdrawn".to_owned()));
        let arrived = held(&world);
        let last = arrived.last().unwrap();
        assert!(last["statement"] == "consent" && last["state"] == "withdrawn", "{last}");
        let losses = arrived.iter().filter(|payload| payload["type"] == "loss").count();
        assert_eq!((losses, last["purged"]["sample"].as_u64().unwrap() > 0), if keeps { (0, false) } else { (1, true) });
        if keeps {
            assert_eq!(arrived.len(), ledger(&home).len(), "everything collected under the consent arrived");
        }
        // The receipt of the statement itself is noted at once.
        wait_until("all is noted as receipted", SOON, || ledger(&home).iter().all(|entry| entry["receipted"] == true));
        std::thread::sleep(Duration::from_secs(7));
        assert_eq!(held(&world).len(), arrived.len(), "nothing leaves after the statement");
        let again = home.admin(&["consent", "withdraw", "--keep-unsent"]);
        assert!(again.status.code() == Some(2) && said(&again).contains("withdrawn already"), "{}", said(&again));
        let past = grant(&home, &["--from", "2025-01-01T00:00:00+09:00", "--to", "2025-02-01T00:00:00+09:00", "--scope", "heartbeat", "--replace"]);
        assert!(past.status.code() == Some(2) && said(&past).contains("over already"), "{}", said(&past));
        granted(&home, &scopes);
        wait_until("granted again it goes on", SOON, || held(&world).last().is_some_and(|payload| payload["type"] == "report"));
        drop(guard);
        world.fsck();
    }
}

/// Reports that were not sent, an agent that is stopped, a withdrawal, and a consent granted again before it starts.
fn withdrawn_and_granted_while_stopped(name: &str, flag: &str) -> (World, AgentHome, Vec<String>) {
    let (mut world, home) = enrolled(name);
    let scopes = ["--for", "1y", "--scope", "heartbeat=5s", "--replace"];
    granted(&home, &scopes);
    let guard = home.run();
    wait_until("a report", SOON, || held(&world).iter().any(|payload| payload["type"] == "report"));
    world.kill();
    let sent = ledger(&home).len();
    wait_until("unsent reports", SOON, || ledger(&home).len() >= sent + 3);
    story::stop(guard);
    let arrived = held(&world);
    let fresh = |entry: &serde_json::Value| entry["payload"]["type"] == "report" && !arrived.iter().any(|held| held["seq"] == entry["payload"]["seq"]);
    let unsent: Vec<String> = ledger(&home).iter().filter(|entry| fresh(entry)).map(|entry| entry["payload"]["seq"].to_string()).collect();
    assert!(unsent.len() >= 3, "{unsent:?}");
    assert!(home.admin(&["consent", "withdraw", flag]).status.success());
    assert!(fs::read_to_string(home.dir.join("withdrawn.toml")).unwrap().contains("_at_ms = "));
    granted(&home, &["--for", "2y", "--scope", "heartbeat=5s", "--replace"]);
    world.start();
    (world, home, unsent)
}

/// What of these places arrived as a report.
fn arrived(world: &World, places: &[String]) -> usize {
    held(world).iter().filter(|payload| payload["type"] == "report" && places.contains(&payload["seq"].to_string())).count()
}

#[test]
fn a_withdrawal_while_the_agent_was_stopped_happens_before_a_newer_consent_counts() {
    for (flag, keeps) in [("--purge-unsent", false), ("--keep-unsent", true)] {
        let (world, home, unsent) = withdrawn_and_granted_while_stopped(if keeps { "later-keeps" } else { "later-purges" }, flag);
        let second = hash(&home);
        assert!(home.cli(&["consent", "show"]).contains("a withdrawal before this consent"));
        let guard = home.run();
        wait_until("reports under the new consent", SOON, || under(&world, &second).len() >= 2);
        assert_eq!(arrived(&world, &unsent), if keeps { unsent.len() } else { 0 }, "{unsent:?}");
        let statements = |world: &World| -> Vec<String> {
            held(world).iter().filter(|payload| payload["statement"] == "consent").map(|payload| payload["state"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(statements(&world), ["granted", "withdrawn", "granted"]);
        let withdrawn = held(&world).into_iter().find(|payload| payload["state"] == "withdrawn").unwrap();
        assert_eq!(withdrawn["purged"]["sample"].as_u64().unwrap() > 0, !keeps, "{withdrawn}");
        // Acted upon once: neither the next look nor the next start does it again.
        story::stop(guard);
        let _guard = home.run();
        let before = under(&world, &second).len();
        wait_until("it goes on", SOON, || under(&world, &second).len() >= before + 3);
        assert_eq!(statements(&world), ["granted", "withdrawn", "granted"]);
        println!("{flag}: {} of {} unsent reports arrived", arrived(&world, &unsent), unsent.len());
        world.fsck();
    }
}

/// The power fails between the mark and the rewriting of the consent: the old consent stands there, and does not count.
#[test]
fn a_withdrawal_that_was_cut_off_behind_its_mark_is_a_withdrawal() {
    let (world, home) = enrolled("cutoff");
    granted(&home, &["--for", "1y", "--scope", "heartbeat=5s"]);
    let guard = home.run();
    wait_until("a report", SOON, || story::reports(&world) >= 1);
    let first = hash(&home);
    story::stop(guard);
    let consent = home.dir.join("consent.toml");
    let text = fs::read_to_string(&consent).unwrap();
    mimamori_agent::consent_file::mark(&consent, &text, false, mimamori_tests::sim::now_ms()).unwrap();
    let statements = |world: &World| held(world).iter().filter(|payload| payload["state"] == "withdrawn").count();
    let withdrawn = |world: &World| presence(world) == ("not_consented".to_owned(), "consent_withdrawn".to_owned());
    let before = under(&world, &first).len();
    for _ in 0..2 {
        let guard = home.run();
        wait_until("the collector knows", SOON, || withdrawn(&world));
        wait_until("the agent has acted on it", SOON, || home.state_dir().join("consent-withdrawn").is_file());
        // Longer than the agent takes to look again, and than the consent's shortest interval.
        std::thread::sleep(Duration::from_secs(22));
        story::stop(guard);
        assert_eq!((under(&world, &first).len(), statements(&world)), (before, 1), "the old consent came back: {}", home.log());
    }
    assert!(said(&home.try_cli(&["consent", "show"])).contains("was withdrawn by the facility"));
    assert_eq!(fs::read_to_string(&consent).unwrap(), text, "the file does not say so yet");
    let _guard = home.run();
    let completed = home.admin(&["consent", "withdraw"]);
    assert!(completed.status.success() && fs::read_to_string(&consent).unwrap().contains("withdrawn = true"), "{}", said(&completed));
    granted(&home, &["--for", "2y", "--scope", "heartbeat=5s", "--replace"]);
    let second = hash(&home);
    wait_until("granted again it goes on", SOON, || under(&world, &second).len() >= 2);
    assert_eq!(statements(&world), 1, "one withdrawal, one statement");
    world.fsck();
}

#[test]
fn a_removal_sends_nothing_that_a_withdrawal_nobody_acted_upon_took_back() {
    let (world, home, unsent) = withdrawn_and_granted_while_stopped("later-removed", "--purge-unsent");
    let certificate = json(&home.cli(&["uninstall", "--purge", "--yes", "--json"]));
    assert!(certificate["receipted"] == true && certificate["unsent_sent_before"] == 0, "{certificate}");
    assert_eq!(arrived(&world, &unsent), 0);
    assert_eq!(held(&world).last().unwrap()["statement"], "purge");
    world.fsck();
}

#[test]
fn on_demand_nothing_is_taken_until_the_facility_asks() {
    let (world, home) = enrolled("demand");
    granted(&home, &["--for", "1y", "--mode", "on_demand", "--scope", "heartbeat=5s"]);
    let _guard = home.run();
    wait_until("the collector knows the terms", SOON, || presence(&world) == ("not_consented".to_owned(), "on_demand".to_owned()));
    std::thread::sleep(Duration::from_secs(7));
    let reports = || held(&world).iter().filter(|payload| payload["type"] == "report").count();
    assert_eq!(reports(), 0);
    assert!(home.cli(&["status"]).contains("nobody asked"));
    assert!(home.admin(&["collect", "--for", "2d"]).status.code() == Some(2), "at most a day");
    if home.is_root() {
        assert!(said(&home.try_cli(&["collect", "--for", "1h"])).contains("own account"));
    }
    let done = home.admin(&["collect", "--for", "15s"]);
    assert!(done.status.success(), "{}", said(&done));
    wait_until("reports while asked", SOON, || reports() >= 2 && presence(&world).0 == "up");
    std::thread::sleep(Duration::from_secs(16));
    let after = reports();
    wait_until("silence after the session is no outage", Duration::from_secs(60), || {
        let now = presence(&world);
        assert!(now.0 != "not_known" && now.0 != "down", "{now:?}");
        now == ("not_consented".to_owned(), "on_demand".to_owned())
    });
    assert_eq!(reports(), after);
    println!("{after} reports in a session of 15 s");
}

#[test]
fn outside_the_agreed_windows_nothing_is_taken_and_the_collector_knows_why() {
    let (world, home) = enrolled("period");
    // 1970-01-01 was a Thursday; Japan is nine hours ahead. Three days from now is neither today nor tomorrow.
    let days = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];
    let today = (u64::try_from(mimamori_tests::sim::now_ms()).unwrap() / 1000 + 9 * 3600) / 86_400;
    let window = |ahead: u64| format!("{} 00:00-24:00", days[usize::try_from((today + ahead) % 7).unwrap()]);
    granted(&home, &["--for", "1y", "--mode", "periodic", "--period", &window(3), "--scope", "heartbeat=5s"]);
    let _guard = home.run();
    wait_until("the collector knows the terms", SOON, || presence(&world) == ("not_consented".to_owned(), "outside_period".to_owned()));
    std::thread::sleep(Duration::from_secs(7));
    assert!(held(&world).iter().all(|payload| payload["type"] == "statement"), "not even a heartbeat");
    let page = get(world.pages, &format!("/machines/{}/ct-1?lang=ja", mimamori_tests::world::FACILITY)).unwrap().1;
    assert!(page.contains("合意した時間帯の外です"), "{page}");
    granted(&home, &["--for", "1y", "--mode", "periodic", "--period", &window(0), "--period", &window(1), "--scope", "heartbeat=5s", "--replace"]);
    wait_until("within a window it reports", SOON, || presence(&world).0 == "up");
}
