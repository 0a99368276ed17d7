//! What `status`, `check` and the page say when the collector answers and takes nothing, with the real programs.

use mimamori_tests::process::program;
use mimamori_tests::world::FACILITY;
use mimamori_tests::{AgentHome, World, wait_until};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn noted(home: &AgentHome) -> Vec<String> {
    // In the moment in which the first start makes its file there is nothing to read yet.
    let Ok(status) = serde_json::from_slice::<Value>(&home.try_cli(&["status", "--json"]).stdout) else { return vec!["unreadable".to_owned()] };
    status["noted"].as_array().unwrap().iter().map(|noted| noted["kind"].as_str().unwrap().to_owned()).collect()
}

/// All three say the same, in both languages.
#[track_caller]
fn told(home: &AgentHome, en: &[&str], ja: &[&str]) {
    let page = home.state_dir().join("page.html");
    home.cli(&["report", "--html", &page.display().to_string()]);
    let page = fs::read_to_string(page).unwrap();
    for (lang, words) in [("en", en), ("ja", ja)] {
        let status = home.cli(&["status", "--lang", lang]);
        let check = home.try_cli(&["check", "--lang", lang]);
        let check = (check.status.code(), String::from_utf8(check.stdout).unwrap());
        for word in words {
            assert!(status.contains(word), "{word}: {status}");
            assert!(check.0 == Some(1) && check.1.contains(word), "{word}: {check:?}");
            assert!(page.contains(word), "{word}: {page}");
        }
        assert!(!status.contains("portal") && !status.contains("ポータル"), "the way is no suspect: {status}");
        assert!(check.1.lines().any(|line| line.starts_with("fail  noted")), "{}", check.1);
    }
}

#[test]
fn a_machine_that_waits_for_approval_says_so_and_goes_on_when_it_has_it() {
    let mut world = World::new("pending");
    world.start();
    let home = world.agent_home("ct-1");
    let said = home.enroll(&world.token_text(None));
    assert!(said.contains("State: pending"), "{said}");
    let _running = home.run();
    wait_until("it is noted", SOON, || noted(&home) == ["failing_http_403"]);
    told(
        &home,
        &["answers 403, as a collector does that waits for approval", "machine approve", "compare the fingerprint"],
        &["承認を待つ", "machine approve", "指紋"],
    );
    let name = world.machines()[0]["machine"].as_str().unwrap().to_owned();
    world.cli(&["machine", "approve", &format!("{FACILITY}/{name}")]);
    wait_until("it is over", Duration::from_secs(120), || noted(&home).is_empty());
}

#[test]
fn a_machine_enrolled_after_the_backup_that_was_restored_is_told_to_enrol_anew() {
    let mut world = World::new("forgotten");
    world.start();
    let database = world.state_dir().join("collector.db");
    let backup = world.dir.join("backup.db");
    rusqlite::Connection::open(&database).unwrap().execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    let home = world.agent_home("ct-1");
    home.enroll(&world.token_text(Some("ct-1")));
    let running = home.run();
    wait_until("two reports", SOON, || world.export("ct-1").len() >= 5);
    world.kill();
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(world.state_dir().join(format!("collector.db{suffix}"))));
    }
    fs::copy(&backup, &database).unwrap();
    world.start();
    wait_until("it is noted", Duration::from_secs(120), || noted(&home) == ["failing_http_401"]);
    told(
        &home,
        &["answers 401, as a collector does that does not know", "restored to a time before this machine was enrolled", "enrol anew"],
        &["401", "復元", "再登録"],
    );
    drop(running);
}

/// Two hold one key: the change that was asked for waits, and whoever asks is told for what.
#[test]
fn a_key_that_two_speak_with_is_not_changed_until_somebody_approved_and_says_so() {
    let mut world = World::new("twice");
    world.start();
    let first = world.agent_home("ct-1");
    first.enroll(&world.token_text(Some("ct-1")));
    let running = first.run();
    wait_until("two reports", SOON, || world.export("ct-1").len() >= 5);
    drop(running);
    let second = world.agent_home("ct-1-again");
    let from = first.state_dir().join(".").display().to_string();
    let copied = program(Path::new("/bin/cp")).args(["-a", &from, &second.state_dir().display().to_string()]).status().unwrap();
    assert!(copied.success());
    let _running = [first.run(), second.run()];
    let forked = |home: &AgentHome| noted(home).contains(&"forked".to_owned());
    wait_until("one of them is told", Duration::from_secs(90), || forked(&first) || forked(&second));
    let home = if forked(&first) { &first } else { &second };
    for (lang, words) in [
        ("en", ["the change waits until the RSC", "machine forks", "machine approve"]),
        ("ja", ["同じ鍵が二重に使われています", "machine forks", "machine approve"]),
    ] {
        for args in [["key", "rotate", "--lang", lang], ["key", "show", "--lang", lang]] {
            let text = home.cli(&args);
            assert!(words.iter().all(|word| text.contains(word)) && !text.contains("as soon as") && !text.contains("受領され次第"), "{text}");
        }
    }
    let shown: Value = serde_json::from_str(&home.cli(&["key", "show", "--json"])).unwrap();
    assert!(shown["requested"] == true && shown["waits_for_approval"] == true, "{shown}");
    told(home, &["if this machine was restored from a backup or snapshot, tell the RSC: it approves"], &["復元した場合は", "同じ鍵が二重に使われています"]);
}

#[test]
fn where_nobody_is_enrolled_any_more_no_certificate_is_made() {
    let mut world = World::new("gone");
    world.start();
    let home = world.agent_home("ct-1");
    home.enroll(&world.token_text(Some("ct-1")));
    let config = home.dir.join("agent.toml");
    fs::write(&config, "").unwrap();
    let config = config.display().to_string();
    let purge = ["uninstall", "--purge", "--yes", "--config", &config];
    assert!(home.cli(&purge).contains("Certificate of removal"));
    if !home.is_root() {
        return;
    }
    for (lang, words) in [
        ("en", ["There is no identity on this machine", "Nothing was removed", "sudo rm "]),
        ("ja", ["識別情報はありません", "何も削除していません", "sudo rm "]),
    ] {
        let again = home.try_cli(&[&purge[..], &["--lang", lang]].concat());
        let text = String::from_utf8(again.stdout).unwrap();
        assert!(again.status.code() == Some(2) && words.iter().all(|word| text.contains(word)), "{:?} {text}", again.status);
        assert!(!text.contains("Certificate of removal") && !text.contains("nothing was ever sent"), "{text}");
    }
    let rest = home.admin(&[&purge[..], &["--json"]].concat());
    let rest: Value = serde_json::from_slice(&rest.stdout).unwrap();
    assert!(rest["certificate"] == false && rest["removed"][0]["path"] == config.as_str() && rest["removed"].as_array().unwrap().len() == 1, "{rest}");
    assert!(!Path::new(&config).try_exists().unwrap());
}

#[test]
fn a_state_folder_that_was_moved_away_is_made_by_the_line_that_is_said() {
    let mut world = World::new("moved");
    world.start();
    let home = world.agent_home("ct-1");
    fs::remove_dir(home.state_dir()).unwrap();
    if !home.is_root() {
        return;
    }
    let token = world.token_text(Some("ct-1"));
    let made = home.state_dir().display().to_string();
    for (lang, word) in [("en", "let the administrator run"), ("ja", "管理者が")] {
        let refused = home.enroll_command(&token).args(["--lang", lang]).output().unwrap();
        let text = String::from_utf8(refused.stderr).unwrap();
        let line = format!("`sudo install -d -m 0700 -o mimamori-agent -g mimamori-agent {made}`");
        assert!(refused.status.code() == Some(78) && text.contains(&line) && text.contains(word), "{text}");
    }
    // There, and root's: the same line mends it.
    fs::create_dir(home.state_dir()).unwrap();
    fs::set_permissions(home.state_dir(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let refused = home.enroll_command(&token).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("sudo install -d -m 0700"), "{refused:?}");
    std::os::unix::fs::chown(home.state_dir(), Some(65_534), Some(65_534)).unwrap();
    assert!(home.enroll(&token).contains("State: active"), "the token was not spent");
}

#[test]
fn a_consent_written_by_hand_is_corrected_by_its_line_or_withdrawn_without_being_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let home = AgentHome::new(dir.path());
    home.consent(
        "version = 1\napprover = \"A\"\nreason = \"B\"\nvalid_from = \"2020-01-01T00:00:00Z\"\nvalid_to = \"2099-01-01T00:00:00Z\"\n[scopes]\nheartbeat = 1\n",
    );
    let path = home.dir.join("consent.toml").display().to_string();
    for (lang, words, removal) in [
        ("en", ["consent.toml:7: ", "expected braces, such as { every = \"60s\" }"], "to withdraw at once, remove the file"),
        ("ja", ["consent.toml:7：", "値の種類が違います"], "すぐに撤回するには"),
    ] {
        let shown = String::from_utf8(home.try_cli(&["consent", "show", "--lang", lang]).stderr).unwrap();
        assert!(words.iter().all(|word| shown.contains(word)) && !shown.contains("RawScope"), "{shown}");
        let done = home.admin(&["consent", "withdraw", "--lang", lang]);
        let text = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(2) && text.contains(removal) && text.contains(&format!("`sudo rm {path}`")) && text.contains(words[0]), "{text}");
    }
}

#[test]
fn what_only_root_cannot_see_is_not_called_missing() {
    let mut world = World::new("root");
    world.start();
    let home = world.agent_home("ct-1");
    home.enroll(&world.token_text(Some("ct-1")));
    if !home.is_root() {
        return;
    }
    let consent = fs::read_to_string(home.dir.join("consent.toml")).unwrap();
    home.consent(&consent.replace("example = true\n", ""));
    assert!(home.cli(&["status"]).contains("Consent: valid until"), "{}", home.cli(&["status"]));
    for (lang, word) in [("en", "cannot be told from root"), ("ja", "rootでは判断できません")] {
        for command in ["status", "check"] {
            let text = String::from_utf8(home.admin(&[command, "--lang", lang]).stdout).unwrap();
            assert!(text.contains(word) && text.contains("sudo -u mimamori-agent mimamori-agent"), "{text}");
            assert!(!text.contains("NONE") && !text.contains("収集していません") && !text.contains("fail  consent"), "{text}");
        }
    }
    let manifest = String::from_utf8(home.admin(&["manifest"]).stdout).unwrap();
    assert!(manifest.contains("cannot be told from root") && !manifest.contains("Nothing leaves"), "{manifest}");
    let page = String::from_utf8(home.admin(&["report", "--html", "-"]).stdout).unwrap();
    assert!(page.contains("cannot be told from root") && !page.contains("Nothing is collected"), "{page}");
    let status: Value = serde_json::from_slice(&home.admin(&["status", "--json"]).stdout).unwrap();
    assert!(status["consent"]["valid"].is_null() && status["consent"]["why"].is_string(), "{status}");
}

#[test]
fn of_a_day_to_come_the_digest_says_that_nothing_is_known() {
    let world = World::new("days");
    for day in ["2999-01-01", "2001-01-01"] {
        for (lang, words) in [("en", "Nothing is known of that day"), ("ja", "何も分かりません")] {
            let text = world.cli(&["digest", "--day", day, "--lang", lang]);
            assert!(text.contains(words) && !text.contains("Nothing to look at") && !text.contains("異常なし"), "{text}");
        }
        let told: Value = serde_json::from_str(&world.cli(&["digest", "--day", day, "--json"])).unwrap();
        assert!(told["known"] == false && told["nothing"].is_null(), "{told}");
    }
    let today: Value = serde_json::from_str(&world.cli(&["digest", "--json"])).unwrap();
    assert!(today["known"] == true && today["nothing"] == true && world.cli(&["digest"]).contains("Nothing to look at"), "{today}");
}

/// In the instant of an agent's first start its outbox is a file without tables: to those who look that is none yet.
#[test]
fn an_outbox_that_is_being_made_is_none_yet_and_half_a_one_is_damaged() {
    let mut world = World::new("firststart");
    world.start();
    let home = world.agent_home("ct-1");
    home.enroll(&world.token_text(Some("ct-1")));
    let path = home.state_dir().join("outbox.db");
    let commands: [&[&str]; 8] = [
        &["status"],
        &["key", "show"],
        &["check"],
        &["preview"],
        &["report", "--html", "-"],
        &["ledger", "show"],
        &["ledger", "verify"],
        &["ledger", "export"],
    ];
    let look = |what: &str| {
        commands.map(|args| {
            let done = home.try_cli(args);
            let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            assert!(!text.contains("no such table") && !text.contains("not a database") && !text.contains("the outbox file failed"), "{what} {args:?}: {text}");
            (done.status.code(), text)
        })
    };
    let none = look("no file");
    fs::write(&path, b"").unwrap();
    let empty = look("an empty file");
    assert!(none[0].0 == Some(0) && none[0].1.contains("Chain") && none[0].1.contains("none yet"), "{}", none[0].1);
    for (none, empty) in none.iter().zip(&empty) {
        assert_eq!(none.0, empty.0, "{} {}", none.1, empty.1);
    }
    assert!(empty[0].1 == none[0].1 && empty[5..].iter().all(|(code, text)| *code == Some(2) && text.contains("the ledger is empty")), "{empty:#?}");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE chain (no INTEGER PRIMARY KEY)").unwrap();
    let half = look("half a schema");
    for at in [0, 3, 5, 6, 7] {
        assert!(half[at].0 != Some(0) && half[at].1.contains("the outbox file is damaged"), "{:?} {:?}", commands[at], half[at]);
    }
}
