//! What people read of both command lines: in both languages, with what was done, why not, and where.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use mimamori_shared::token::Token;
use mimamori_tests::process::command;
use mimamori_tests::story::held;
use mimamori_tests::world::FACILITY;
use mimamori_tests::{AgentHome, SimAgent, World, wait_until};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(25);

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"))
}

/// A world with an agent that has reported and stopped.
fn reported(name: &str) -> (World, AgentHome) {
    let mut world = World::new(name);
    world.start();
    let home = world.agent_home("ct-1");
    home.enroll(&world.token_text(Some("ct-1")));
    let running = home.run();
    wait_until("two reports", SOON, || world.export("ct-1").len() >= 5);
    drop(running);
    (world, home)
}

#[test]
fn at_night_an_operator_reads_who_where_how_since_when_and_why() {
    let (mut world, home) = reported("night");
    let name = format!("{FACILITY}/ct-1");
    let fingerprint = json(&home.cli(&["status", "--json"]))["fingerprint"].as_str().unwrap().to_owned();
    let shown = world.cli(&["machine", "show", &name]);
    for words in [
        "Example hospital",
        &fingerprint,
        "up since 20",
        ": the first report arrived",
        "granted; until 2098-12-31T15:00:00Z",
        "heartbeat 5s",
        " – now ",
        "Findings: none",
        "entries, longest gap",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let ja = world.cli(&["machine", "show", &name, "--lang", "ja"]);
    for words in ["稼働中（20", "最初のレポートを受信しました", "期限 2099-01-01T00:00:00+09:00", "指摘事項：なし", "– 現在"] {
        assert!(ja.contains(words), "{words}: {ja}");
    }
    assert!(!ja.contains("00Z"), "Japan's time with its offset: {ja}");
    // The agent is gone, and with it the collector that would judge its silence: the screen judges by the clock.
    world.kill();
    let whole = json(&world.cli(&["machine", "show", &name, "--json"]));
    let intervals = whole["intervals"].as_array().unwrap();
    assert!(intervals[0]["to_ms"].is_null() && intervals.iter().skip(1).all(|one| one["to_ms"].is_i64()), "one line is open: {whole}");
    assert!(whole["terms"]["scopes"]["heartbeat"]["every_s"] == 5 && whole["findings"].as_array().unwrap().is_empty(), "{whole}");
    for (lang, words) in [("en", ["MACHINE", "active", "up"]), ("ja", ["最終受信", "承認済み", "+09:00"])] {
        let list = world.cli(&["machine", "list", "--lang", lang]);
        assert!(words.iter().all(|word| list.contains(word)), "{list}");
    }
}

#[test]
fn why_an_application_check_fails_is_told_on_the_machine_and_at_the_rsc() {
    let mut world = World::new("checked");
    world.start();
    let home = world.agent_home("ct-1");
    let shut = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fs::write(home.dir.join("agent.toml"), format!("[application.pacs]\nkind = \"tcp\"\ntarget = \"127.0.0.1:{shut}\"\n")).unwrap();
    home.enroll(&world.token_text(Some("ct-1")));
    let running = home.run();
    wait_until("a report with the check", SOON, || held(&world).iter().any(|held| held["readings"]["application"][0]["name"] == "pacs"));
    drop(running);
    let name = format!("{FACILITY}/ct-1");
    let shown = world.cli(&["machine", "show", &name]);
    assert!(shown.lines().any(|line| line.contains("An application check of the facility fails.") && line.ends_with("pacs): refused")), "{shown}");
    let whole = json(&world.cli(&["machine", "show", &name, "--json"]));
    let check = &whole["readings"]["application"][0];
    assert!(check["name"] == "pacs" && check["up"] == 0 && check["error"] == "refused" && check["kind"] == "tcp", "{whole}");
    let own = json(&String::from_utf8(home.try_cli(&["probe", "run", "application", "--json"]).stdout).unwrap());
    assert!(own["readings"]["application"][0]["error"] == "refused" && own["faults"] == serde_json::json!([]) && own["helper"].is_null(), "{own}");
}

#[test]
fn what_was_done_is_said_in_a_line_or_as_json() {
    let (world, home) = reported("done");
    let token = world.dir.join("new-token");
    let created = json(&world.cli(&["token", "create", "--facility", FACILITY, "--machine", "ct-2", "--output", &token.display().to_string(), "--json"]));
    assert!(created["schema"] == "mimamori.done/1" && created["did"] == "token create" && created["about"]["path"] == token.display().to_string(), "{created}");
    assert!(
        !created.to_string().contains("mimamori_enr1_") && fs::read_to_string(&token).unwrap().starts_with("mimamori_enr1_"),
        "the secret is in the file alone"
    );
    let id = created["about"]["tokens"][0]["token_id"].as_str().unwrap().to_owned();
    assert!(world.cli(&["token", "list", "--lang", "ja"]).lines().any(|line| line.contains(&id) && line.contains("未使用")));
    let out = world.dir.join("evidence.jsonl").display().to_string();
    for (args, words) in [
        (&["facility", "add", "west", "--name", "西病院"][..], "Added: west (西病院)"),
        (&["token", "revoke", &id], "Revoked: token"),
        (&["token", "revoke", &id, "--lang", "ja"], "取り消しました：トークン"),
        (&["machine", "approve", "hcf-1/ct-1"], "Approved: hcf-1/ct-1, key "),
        (&["export", "hcf-1/ct-1", "--output", &out], "entries of hcf-1/ct-1"),
        (&["fsck"], "Sound: 1 machines, 1 chains, "),
        (&["fsck", "--lang", "ja"], "問題ありません"),
        (&["config", "check"], "The configuration holds: "),
        (&["config", "check", "--json"], "\"schema\":\"mimamori.config-check/1\""),
    ] {
        let line = world.cli(args);
        assert!(line.contains(words) && line.lines().count() == 1, "{args:?}: {line}");
    }
    let fsck = json(&world.cli(&["fsck", "--json"]));
    assert!(fsck["ok"] == true && fsck["places"].as_u64().unwrap() >= 5, "{fsck}");
    let ledger = home.state_dir().join("ledger.jsonl");
    let written = json(&home.cli(&["ledger", "export", "--json", "--output", &ledger.display().to_string()]));
    assert_eq!(written["lines"], fs::read_to_string(&ledger).unwrap().lines().count());
    assert!(home.cli(&["ledger", "verify"]).starts_with("The ledger verifies ("));
    assert!(home.cli(&["config", "check"]).contains("The configuration holds"));
    let bad = home.try_cli(&["config", "check", "--json", "--set", "intervall=5s"]);
    let faults = json(&String::from_utf8_lossy(&bad.stdout));
    assert!(bad.status.code() == Some(78) && faults["ok"] == false && faults["faults"][0].as_str().unwrap().contains("intervall"), "{faults}");
}

#[test]
fn what_was_not_done_says_why_where_and_what_to_do() {
    let (world, home) = reported("why");
    #[track_caller]
    fn check(done: &Output, code: i32, words: &[&str]) {
        assert!(done.status.code() == Some(code) && words.iter().all(|word| said(done).contains(word)), "{:?} {words:?}: {}", done.status, said(done));
    }
    // Whatever host is asked for: there is a collector.
    check(&world.try_cli(&["init", "--host", "other.example"]), 78, &["holds a collector already", "state_dir"]);
    check(&world.try_cli(&["init", "--host", "other.example", "--lang", "ja"]), 78, &["既にコレクターがあります"]);
    check(&world.try_cli(&["machine", "show", "hcf-1/none", "--lang", "ja"]), 2, &["該当する機器がありません"]);
    check(&world.try_cli(&["token", "revoke", "zz"]), 2, &["zz: a token's id is 16 lower-case hexadecimal digits"]);
    check(&world.try_cli(&["token", "revoke", "zz", "--lang", "ja"]), 2, &["zz: トークンのIDは16桁の16進数（小文字）です"]);
    check(&world.try_cli(&["token", "revoke", "0011223344556677", "--lang", "ja"]), 2, &["該当するトークンがありません"]);
    check(&world.try_cli(&["token", "create", "--facility", FACILITY, "--ttl", "soon"]), 2, &["--ttl soon: a length of time"]);
    check(&world.try_cli(&["token", "create", "--facility", FACILITY, "--ttl", "soon", "--lang", "ja"]), 2, &["--ttl soon: 時間は"]);
    check(&world.try_cli(&["export", "hcf-1/ct-1", "--output", "/nonexistent/x"]), 2, &["--output /nonexistent/x cannot be written"]);
    check(&home.try_cli(&["ledger", "export", "--output", "/nonexistent/x"]), 2, &["--output /nonexistent/x cannot be written"]);
    if home.is_root() {
        let refused = home.dir.join("x");
        check(&home.try_cli(&["ledger", "trust", "--output", &refused.display().to_string()]), 2, &[&refused.display().to_string(), "> FILE"]);
    }
    let grant = |more: &[&str]| {
        home.admin(&[&["consent", "grant", "--approver", "A", "--reason", "B", "--scope", "heartbeat", "--example", "--replace"], more].concat())
    };
    check(&grant(&["--for", "1d", "--except", "network.rx_bytes"]), 2, &["its scope `network` is not given", "add --scope network"]);
    check(&grant(&["--for", "1d", "--include", "drive.serial_number"]), 2, &["its scope `hardware` is not given", "add --scope hardware"]);
    check(
        &grant(&["--for", "1d", "--scope", "hardware", "--include", "drive.model"]),
        2,
        &["scopes.hardware.include: `drive.model` is no field", "drive.serial_number"],
    );
    check(&grant(&["--for", "1d", "--except", "netwrk.rx_bytes"]), 2, &["no such field", "did you mean `network.rx_bytes`"]);
    check(&grant(&["--for", "1d", "--except", "network.rx_bytes", "--lang", "ja"]), 2, &["範囲`network`が指定されていない"]);
    check(&grant(&[]), 2, &["<--to <TIME>|--for <DURATION>>"]);
    check(&grant(&["--for", "1d", "--to", "2099-01-01T00:00:00Z"]), 2, &["cannot be used with"]);
    fs::remove_file(home.dir.join("consent.toml")).unwrap();
    check(&home.admin(&["consent", "withdraw"]), 2, &["there is no consent at", "consent.toml"]);
    check(&home.admin(&["consent", "withdraw", "--lang", "ja"]), 2, &["同意書がありません"]);
}

/// What is an example looks like one: a machine of a hospital must not get among them by a typing error.
#[test]
fn a_move_into_the_example_facility_is_warned_of_and_no_other_move() {
    let world = World::new("example-move");
    for facility in ["north", "south"] {
        world.cli(&["facility", "add", facility, "--name", "病院"]);
    }
    let token = Token::parse(&world.cli(&["token", "create", "--facility", "north", "--machine", "ct-1"])).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut world = world;
    world.start();
    runtime.block_on(SimAgent::enrol(&token, "one")).unwrap();
    let moved = |from: &str, to: &str, lang: &str| {
        let done = world.try_cli(&["machine", "move", &format!("{from}/ct-1"), "--to", to, "--lang", lang]);
        assert!(done.status.success(), "{}", said(&done));
        String::from_utf8(done.stderr).unwrap()
    };
    assert_eq!(moved("north", "south", "en"), "");
    let warned = moved("south", FACILITY, "en");
    assert!(
        warned.contains(&format!("{FACILITY} is marked as an example")) && warned.contains(&format!("machine move {FACILITY}/ct-1 --to south")),
        "{warned}"
    );
    assert_eq!(moved(FACILITY, "north", "ja"), "", "out of it is no mistake");
    let warned = moved("north", FACILITY, "ja");
    assert!(warned.contains("例として印が付いています") && !warned.contains("example"), "{warned}");
}

#[test]
fn a_reader_that_leaves_early_is_no_fault() {
    let (world, home) = reported("head");
    let sets = world.sets();
    let mut export = command("mimamori-collector");
    export.args(sets.iter().flat_map(|set| ["--set", set])).args(["export", "hcf-1/ct-1"]);
    for mut program in [home.command(&["ledger", "export"]), home.command(&["manifest"]), export] {
        let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{program:?}: {:?} {}", done.status, said(&done));
    }
}

#[test]
fn japanese_readers_get_japans_time_and_the_help_of_help() {
    let (_world, mut home) = reported("japan");
    for args in [&["consent", "show"][..], &["key", "show"], &["status"]] {
        let text = home.cli(&[args, &["--lang", "ja"]].concat());
        assert!(text.contains("+09:00)"), "{args:?}: {text}");
    }
    let help = home.cli(&["ledger", "--help", "--lang", "ja"]);
    assert!(help.contains("このヘルプ") && !help.contains("Print this"), "{help}");
    let status = json(&home.cli(&["status", "--json"]));
    assert!(status["queue"]["state"] == "ok" && status["queue"]["bytes"].as_u64().unwrap() > 1000, "{status}");
    home.sets = vec!["outbox.free_floor=1TiB".to_owned()];
    let floor = json(&home.cli(&["status", "--json"]));
    let short = floor["queue"]["free_bytes"].as_u64().unwrap() < 1 << 40;
    assert_eq!(floor["queue"]["state"], if short { "no_space" } else { "ok" }, "{floor}");
    assert_eq!(home.cli(&["status"]).contains("nothing is collected"), short);
}

#[test]
fn man_pages_are_written_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("man1");
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    for (name, page) in [("mimamori-agent", "mimamori-agent-ledger-verify.1"), ("mimamori-collector", "mimamori-collector-machine-show.1")] {
        let done = command(name).args(["man", &folder.display().to_string()]).output().unwrap();
        assert!(done.status.success() && said(&done).contains(&format!("{name}.1")), "{}", said(&done));
        assert!(readme.contains(&format!("sudo {name} man /usr/local/share/man/man1")), "the README says how they are installed");
        assert!(folder.join(page).is_file() && folder.join(format!("{name}.1")).is_file(), "the units' Documentation= names {name}(1)");
    }
}

/// Neither program needs a file or a folder for this: the line itself is wrong.
#[test]
fn what_is_wrong_with_a_line_is_said_in_the_readers_language() {
    #[track_caller]
    fn check(program: &str, line: &str, words: &[&str]) {
        let run = |more: &[&str], lang: &str| command(program).args(more).args(line.split(' ')).env("LANG", lang).stdin(Stdio::null()).output().unwrap();
        for done in [run(&["--lang", "ja"], "C"), run(&[], "ja_JP.UTF-8")] {
            let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            assert!(done.status.code() == Some(2) && out.is_empty() && words.iter().all(|word| err.contains(word)), "{line}: {:?} {out}{err}", done.status);
            assert!(err.lines().all(|line| line.starts_with(&format!("{program}: "))) && !err.contains("error") && !err.contains("Usage"), "{err}");
        }
        let english = run(&[], "C");
        let err = String::from_utf8_lossy(&english.stderr);
        assert!(english.status.code() == Some(2) && err.starts_with("error: ") && err.is_ascii(), "{err}");
    }
    let (agent, collector) = ("mimamori-agent", "mimamori-collector");
    check(agent, "statsu", &["不明なコマンドです", "もしかして：`status`"]);
    check(agent, "ledger show --last many", &["`--last <LAST>` の値`many`は正しくありません：0以上の整数"]);
    check(agent, "consent grant --approver A", &["必須の引数がありません", "--reason <TEXT>"]);
    check(agent, "consent withdraw --keep-unsent --purge-unsent", &["同時に指定できません"]);
    check(agent, "consent grant --mode often", &["`continuous`、`periodic`、`on_demand`"]);
    check(agent, "status --jsn", &["不明な引数です：`--jsn`", "もしかして：`--json`", "使い方： mimamori-agent status"]);
    check(collector, "machine approve hcf-1/ct-1 --key x", &["`--key <FINGERPRINT>` の値`x`は正しくありません：指紋は4桁の16進数8組です"]);
    check(collector, "machine approve ct-1", &["機器はFACILITY/MACHINEの形で"]);
    check(collector, "machine approve a/B", &["別名はa-z 0-9 _ -の1～32文字です"]);
    check(collector, "machine show ct-1", &["エージェントIDで指定してください"]);
    check(collector, "token create --facility a --machine b --source 192.0.2.1/24", &["アドレス範囲は192.0.2.0/24"]);
    check(collector, "token create --facility a --machine b --csv c", &["同時に指定できません"]);
    check(collector, "facility add a", &["必須の引数がありません：`--name <NAME>`"]);
}
