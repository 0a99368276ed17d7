//! The rules of ARCHITECTURE.md that no compiler checks. Each rule is a function over paths and texts, so that a bad
//! sample shows that it can fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and figures are printed"
)]
#![allow(clippy::disallowed_methods, reason = "git is asked which files are tracked")]

use mimamori_collector::web::{Access, Listener, ROUTES, Route};
use mimamori_tests::{SimAgent, World};
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file: path from the top, and text.
type Source = (String, String);

/// What stands at the top, and nothing else.
const TOP: &[&str] = &[
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "rustfmt.toml",
    "README.md",
    "agent",
    "clippy.toml",
    "collector",
    "docs",
    "packaging",
    "shared",
    "systemd",
    "tests",
];
/// Lines of a Rust file.
const LINES_MAX: usize = 450;
/// Files that are longer, with their length. The numbers may only go down, and a file that fits leaves the list.
const LONG: &[(&str, usize)] = &[("agent/src/uplink/fault.rs", 467), ("shared/tests/vectors.rs", 534), ("tests/it/tidy.rs", 462)];
/// What is pure, and what it must not name.
const PURE: &[&str] = &["collector/domain/src/", "agent/src/core/"];
const IMPURE: &[&str] = &["std::fs", "std::net", "std::env", "tokio", "rusqlite", "reqwest", "clock::", "::now(", "getrandom", "SystemTime", "Instant"];
/// What nobody writes. This file is left out: it has to name them.
const NEVER: &[&str] = &[".verify(", "verify_batch", "legacy_compatibility", "todo!", "unimplemented!", "dbg!", "#[ignore", "#[should_panic]"];
/// Crates and what each may depend on within the workspace.
#[rustfmt::skip]
const ARROWS: &[(&str, &str)] = &[("shared", ""), ("shared/cli", "shared"), ("agent/parse", "shared"), ("agent/hardware", "parse shared"), ("agent", "cli parse shared"), ("collector/domain", "shared"), ("collector", "cli domain shared")];
/// What `shared` and the domain do without.
const HEAVY: &[&str] = &["tokio", "reqwest", "rusqlite", "rustls", "axum", "hyper", "rustix", "sysinfo", "notify", "getrandom"];
/// Functions of the store that nobody asks: `store/mod.rs` says why.
const ASKED_BY_NOBODY: &[&str] = &["ingest", "make_months", "write_probe", "redeem", "key", "token_public_key", "end_lease"];
/// Tables to which rows are only added.
const APPENDED: &[&str] = &["transition", "audit", "evidence", "{}"];
const SELF: &str = "tests/it/tidy.rs";

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every tracked file.
fn tracked() -> Vec<String> {
    let listed = Command::new("git").arg("-C").arg(top()).args(["ls-files", "-z"]).output();
    let listed = listed.ok().filter(|done| done.status.success()).map(|done| String::from_utf8(done.stdout).unwrap());
    let files: Vec<String> = match listed {
        Some(text) => text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).filter(|name| top().join(name).is_file()).collect(),
        None => {
            println!("no git here: every file counts as tracked");
            let mut found = Vec::new();
            walk(&top(), "", &mut found);
            found
        }
    };
    assert!(files.len() > 200, "{} files: looked in the wrong place?", files.len());
    files
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if [".git", "target", ".mimamori", ".venv", "__pycache__"].contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() { walk(&entry.path(), &format!("{path}/"), found) } else { found.push(path) }
    }
}

fn rust() -> Vec<Source> {
    let all: Vec<Source> =
        tracked().into_iter().filter(|path| path.ends_with(".rs")).map(|path| (path.clone(), fs::read_to_string(top().join(&path)).unwrap())).collect();
    for folder in ["agent/src/", "agent/src/core/", "collector/src/", "collector/src/store/", "collector/domain/src/", "shared/src/", "tests/it/"] {
        assert!(all.iter().filter(|(path, _)| path.starts_with(folder)).count() >= 3, "{folder} yields no files: was it renamed?");
    }
    all
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

#[track_caller]
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Lines without their comments, numbered.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, if line.trim_start().starts_with("//") { "" } else { line.split(" // ").next().unwrap_or(line) }))
}

fn naming(files: &[Source], applies: impl Fn(&str) -> bool, words: &[&str], why: &str) -> Vec<String> {
    let files = files.iter().filter(|(path, _)| applies(path));
    let lines = files.flat_map(|(path, text)| code(text).map(move |(number, line)| (path, number, line)));
    lines
        .flat_map(|(path, number, line)| words.iter().filter(|word| line.contains(**word)).map(move |word| format!("{path}:{number} names {word}: {why}")))
        .collect()
}

fn impure(files: &[Source]) -> Vec<String> {
    naming(files, |path| PURE.iter().any(|folder| path.starts_with(folder)), IMPURE, "clock, entropy, files and network are arguments here (I3, I12)")
}

#[test]
fn core_and_domain_are_pure() {
    none(impure(&rust()));
}

fn strict(files: &[Source]) -> Vec<String> {
    let mut faults =
        naming(files, |path| path != "shared/src/sign.rs" && path != SELF, &["ed25519_dalek", "curve25519_dalek"], "only shared/src/sign.rs does (I10)");
    faults.extend(naming(files, |path| path != SELF, NEVER, "nobody does"));
    faults
}

#[test]
fn only_one_file_knows_the_signature_library() {
    none(strict(&rust()));
    let sign = read("shared/src/sign.rs");
    assert!(sign.contains("verify_strict") && sign.contains("is_weak"), "the strict rules are gone from shared/src/sign.rs");
}

fn too_long(files: &[Source], long: &[(&str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in files {
        let lines = text.lines().count();
        match long.iter().find(|(name, _)| name == path) {
            Some((_, most)) if lines > *most => faults.push(format!("{path} grew from {most} to {lines} lines: split it")),
            Some(_) if lines <= LINES_MAX => faults.push(format!("{path} has only {lines} lines now: take it off the list")),
            None if lines > LINES_MAX => faults.push(format!("{path} has {lines} lines, {LINES_MAX} are the most: split it")),
            Some(_) | None => {}
        }
    }
    faults.extend(long.iter().filter(|(name, _)| !files.iter().any(|(path, _)| path == name)).map(|(name, _)| format!("{name} is gone: take it off the list")));
    faults
}

#[test]
fn files_are_short() {
    none(too_long(&rust(), LONG));
}

/// Absolute paths of the machine somebody wrote on.
fn machine_paths(files: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path != SELF) {
        for (number, line) in text.lines().enumerate() {
            for place in ["/work/", "/root/", "/home/user", "/Users/"] {
                // Part of a longer path is no absolute path.
                let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-./}".contains(c));
                if line.match_indices(place).any(|(at, _)| begins(at)) {
                    faults.push(format!("{path}:{} names {place}", number + 1));
                }
            }
        }
    }
    faults
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let texts = tracked().into_iter().filter_map(|path| Some((path.clone(), fs::read_to_string(top().join(&path)).ok()?)));
    none(machine_paths(&texts.collect::<Vec<_>>()));
}

fn strangers(files: &[String]) -> Vec<String> {
    let names: BTreeSet<&str> = files.iter().filter_map(|path| path.split('/').next()).collect();
    names.into_iter().filter(|name| !TOP.contains(name)).map(|name| format!("{name} does not belong at the top")).collect()
}

#[test]
fn only_known_names_stand_at_the_top() {
    none(strangers(&tracked()));
}

fn wrong_arrows(name: &str, manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let (_, allowed) = ARROWS.iter().find(|(crate_name, _)| *crate_name == name).unwrap();
    let pure = matches!(name, "shared" | "agent/parse" | "collector/domain");
    let mut faults = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for dependency in manifest.get(section).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys) {
            if dependency.strip_prefix("mimamori-").is_some_and(|ours| !allowed.split(' ').any(|one| one == ours)) {
                faults.push(format!("{name} must not depend on {dependency}"));
            }
            if pure && HEAVY.contains(&dependency.as_str()) {
                faults.push(format!("{name} does without {dependency}"));
            }
        }
    }
    if manifest.contains_key("target") {
        faults.push(format!("{name}: dependencies by target are not looked at by this rule"));
    }
    faults
}

#[test]
fn arrows_point_one_way() {
    for (name, _) in ARROWS {
        let manifest = read(&format!("{name}/Cargo.toml"));
        assert!(manifest.contains("[dependencies]"), "{name}");
        none(wrong_arrows(name, &manifest));
    }
}

fn asked_by_nobody(files: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    // The store's own functions; the engines below take what these hand on.
    for (path, text) in files.iter().filter(|(path, _)| path.strip_prefix("collector/src/store/").is_some_and(|rest| !rest.contains('/'))) {
        for part in text.split("pub async fn ").skip(1) {
            let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let signature = part.split('{').next().unwrap_or_default();
            if !(signature.contains("&Scope") || signature.contains("&Actor") || ASKED_BY_NOBODY.contains(&name.as_str())) {
                faults.push(format!("{path}: {name} is not told who asks (I13)"));
            }
        }
    }
    faults
}

#[test]
fn every_function_of_the_store_is_told_who_asks() {
    let files = rust();
    none(asked_by_nobody(&files));
    let functions: usize =
        files.iter().filter(|(path, _)| path.starts_with("collector/src/store/")).map(|(_, text)| text.matches("pub async fn ").count()).sum();
    assert!(functions > 20, "{functions} functions: was the store renamed?");
}

fn rewritten(files: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.starts_with("collector/src/") && !path.ends_with("tests.rs") && !path.contains("/contract/")) {
        // What tests do to a database stands in the contract or behind this line.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for table in APPENDED {
            for verb in ["UPDATE", "DELETE FROM", "REPLACE INTO", "DROP TABLE"] {
                for stem in [format!("{verb} {table} "), format!("{verb} {table}\n"), format!("{verb} {table}_"), format!("{verb} {table}\"")] {
                    if text.contains(&stem) {
                        faults.push(format!("{path}: {stem:?}: rows of it are only added (I14)"));
                    }
                }
            }
        }
    }
    faults
}

#[test]
fn history_is_only_appended() {
    let files = rust();
    none(rewritten(&files));
    for table in ["transition", "audit"] {
        assert!(
            files.iter().any(|(path, text)| path.starts_with("collector/src/store/sqlite/") && text.contains(&format!("INSERT INTO {table}"))),
            "{table}: was it renamed?"
        );
    }
}

/// Numbers such as `I7` that stand in a text as words of their own.
fn numbers(text: &str) -> BTreeSet<u32> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words
        .filter_map(|word| word.strip_prefix('I'))
        .filter(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|rest| rest.parse().ok())
        .collect()
}

/// What is wrong between the invariants of the page, the tests they name and the places that cite them.
fn uncited(page: &str, files: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut stated = BTreeSet::new();
    for line in page.lines() {
        let Some((number, rest)) = line.strip_prefix("- **I").and_then(|line| line.split_once("** ")) else { continue };
        let number: u32 = number.parse().unwrap();
        assert!(stated.insert(number), "I{number} stands twice");
        let tests: Vec<&str> = rest.split('`').filter(|chunk| chunk.contains(".rs::")).collect();
        if tests.is_empty() {
            faults.push(format!("I{number} names no test"));
        }
        for test in tests {
            let (path, name) = test.split_once("::").unwrap();
            let there = files
                .iter()
                .find(|(file, _)| file == path)
                .is_some_and(|(_, text)| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name));
            if !there {
                faults.push(format!("I{number}: there is no {test}"));
            }
        }
    }
    if stated.iter().copied().ne(1..=u32::try_from(stated.len()).unwrap()) {
        faults.push(format!("the invariants are not numbered without holes: {stated:?}"));
    }
    let cited: BTreeSet<u32> = files.iter().flat_map(|(_, text)| numbers(text)).collect();
    faults.extend(stated.difference(&cited).map(|number| format!("I{number} is cited by no test and no source")));
    faults.extend(cited.difference(&stated).map(|number| format!("I{number} is cited, but is no invariant")));
    faults
}

#[test]
fn every_invariant_has_a_test_and_is_cited() {
    let page = read("ARCHITECTURE.md");
    none(uncited(&page, &rust()));
    assert!(numbers(&page).len() >= 14);
    assert!(page.lines().count() <= 110, "ARCHITECTURE.md is to be one page: cut");
}

#[test]
fn every_rule_notices_its_bad_sample() {
    let one = |path: &str, text: &str| vec![(path.to_owned(), text.to_owned())];
    #[track_caller]
    fn bad(faults: Vec<String>, part: &str) {
        assert!(faults.len() == 1 && faults[0].contains(part), "{part}: {faults:?}");
    }
    for word in IMPURE {
        bad(impure(&one("collector/domain/src/x.rs", &format!("let a = {word}b;"))), word);
        bad(impure(&one("agent/src/core/x.rs", &format!("let a = {word}b;"))), word);
    }
    none(impure(&one("agent/src/core/x.rs", "// as std::fs does\n    //! tokio")));
    none(impure(&one("agent/src/run.rs", "use std::fs;")));
    for word in NEVER {
        bad(strict(&one("tests/it/x.rs", word)), word);
    }
    bad(strict(&one("agent/src/x.rs", "use ed25519_dalek::Signature;")), "sign.rs");
    let lines = "x\n".repeat(LINES_MAX + 1);
    bad(too_long(&one("a.rs", &lines), &[]), "split");
    bad(too_long(&one("a.rs", &lines), &[("a.rs", LINES_MAX)]), "grew");
    bad(too_long(&one("a.rs", "x"), &[("a.rs", LINES_MAX)]), "off the list");
    bad(too_long(&[], &[("a.rs", 1)]), "gone");
    none(too_long(&one("a.rs", &lines), &[("a.rs", LINES_MAX + 1)]));
    bad(machine_paths(&one("docs/x.md", "see `/work/elsewhere`")), "/work/");
    bad(machine_paths(&one("docs/x.md", "state = \"/root/.mimamori\"")), "/root/");
    none(machine_paths(&one("docs/x.md", "collector/src/work/mod.rs and https://example.com/work/x")));
    bad(strangers(&["notes.txt".to_owned(), "agent/src/lib.rs".to_owned()]), "notes.txt");
    bad(wrong_arrows("agent", "[dependencies]\nmimamori-collector.workspace = true"), "mimamori-collector");
    bad(wrong_arrows("collector", "[dev-dependencies]\nmimamori-agent.workspace = true"), "mimamori-agent");
    bad(wrong_arrows("collector/domain", "[dependencies]\ntokio = \"1\""), "tokio");
    bad(wrong_arrows("shared", "[dependencies]\nmimamori-domain.workspace = true"), "mimamori-domain");
    bad(wrong_arrows("agent", "[target.x.dependencies]\na = \"1\""), "by target");
    bad(asked_by_nobody(&one("collector/src/store/read.rs", "pub async fn all(&self) -> X {")), "all");
    none(asked_by_nobody(&one("collector/src/store/read.rs", "pub async fn all(\n    &self, scope: &Scope,\n) -> X {")));
    bad(rewritten(&one("collector/src/store/sqlite/x.rs", "db.execute(\"UPDATE transition SET to_ms = 1\")")), "transition");
    bad(rewritten(&one("collector/src/store/sqlite/x.rs", "db.execute(\"DELETE FROM evidence_2026_05 WHERE seq = 1\")")), "evidence");
    // Written so that this file does not cite what the samples cite.
    let told = |page: &str| uncited(&page.replace('#', "I"), &one("tests/it/x.rs", &"// #1\nfn a_test() {}".replace('#', "I")));
    none(told("- **#1** x `tests/it/x.rs::a_test`"));
    bad(told("- **#1** x"), "names no test");
    bad(told("- **#1** x `tests/it/x.rs::another`"), "another");
    bad(told("- **#1** x `tests/it/x.rs::a_test`\n- **#2** x `tests/it/x.rs::a_test`"), "is cited by no test");
    assert_eq!(told("- **#1** x `tests/it/x.rs::a_test`\n- **#3** x `tests/it/x.rs::a_test`").len(), 2);
    bad(told(""), "is no invariant");
}

/// How a route must answer a caller who brings nothing.
fn fitting(access: Access, status: u16) -> bool {
    match access {
        Access::Open | Access::Operator => status == 200,
        Access::Signed | Access::Token => (400..500).contains(&status),
    }
}

/// Every route by every listener with nothing in hand (I11, I13): as its access says where it belongs, and not there elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_as_its_access_says() {
    let world = World::new("routes");
    let running = world.start_within().await;
    let mut agent = SimAgent::enrol(&world.token(Some("ct-1")), "one").await.unwrap();
    agent.report_now().await;
    rustls::crypto::ring::default_provider().install_default().ok();
    let authority = reqwest::Certificate::from_pem(&fs::read(world.state_dir().join("ca.pem")).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let base = |listener: Listener| match listener {
        Listener::Ingest => format!("https://{}", running.ingest),
        Listener::Pages => format!("http://{}", running.pages),
        Listener::Metrics => format!("http://{}", running.metrics),
    };
    let call = async |listener: Listener, method: &str, path: &str| -> u16 {
        let path = path.replace("{facility}", mimamori_tests::world::FACILITY).replace("{machine}", "ct-1");
        let request = client.request(method.parse().unwrap(), format!("{}{path}", base(listener)));
        request.send().await.unwrap_or_else(|fault| panic!("{method} {path}: {fault:?}")).status().as_u16()
    };
    for Route { listener, method, path, access } in ROUTES.iter().copied() {
        let status = call(listener, method, path).await;
        assert!(fitting(access, status), "{method} {path} ({access:?}) by {listener:?}: {status}");
        for elsewhere in [Listener::Ingest, Listener::Pages, Listener::Metrics] {
            let belongs = ROUTES.iter().any(|route| route.listener == elsewhere && route.path == path);
            let status = call(elsewhere, method, path).await;
            assert_eq!(status == 404, !belongs, "{method} {path} by {elsewhere:?}: {status}");
        }
        let other = if method == "GET" { "DELETE" } else { "GET" };
        assert_eq!(call(listener, other, path).await, 405, "{other} {path}");
    }
    assert!(ROUTES.iter().all(|route| route.listener != Listener::Ingest || route.access != Access::Operator), "an operator's route is public");
    for address in [running.pages, running.metrics] {
        assert!(SocketAddr::ip(&address).is_loopback(), "{address}");
    }
    assert!(!fitting(Access::Signed, 204) && !fitting(Access::Token, 500) && !fitting(Access::Open, 404));
    println!("{} routes called on each of three listeners", ROUTES.len());
    running.stop().await;
}

/// I15: after a life with enrolment, reports and receipts.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_collectors_database() {
    let world = World::new("secrets");
    let running = world.start_within().await;
    let token = world.token(Some("ct-1"));
    let mut agent = SimAgent::enrol(&token, "one").await.unwrap();
    agent.report_now().await;
    running.stop().await;
    let mut kept = Vec::new();
    for entry in fs::read_dir(world.state_dir()).unwrap().map(Result::unwrap) {
        if entry.file_name().into_string().unwrap().starts_with("collector.db") {
            kept.extend(fs::read(entry.path()).unwrap());
        }
    }
    assert!(kept.len() > 10_000, "{} bytes: was the database renamed?", kept.len());
    let holds = |bytes: &[u8]| kept.windows(bytes.len()).any(|window| window == bytes);
    // What is there is found: the machine's public key.
    assert!(holds(&agent.key.public().to_bytes()));
    let mut secrets = vec![token.seed.to_vec(), agent.key.seed().to_vec()];
    for name in ["root.key", "signing.key", "lease.secret", "age.key"] {
        let text = fs::read_to_string(world.state_dir().join(name)).unwrap();
        secrets.push(text.trim().as_bytes().to_vec());
        secrets.extend(mimamori_shared::id::from_hex::<32>(text.trim()).map(|raw| raw.to_vec()));
    }
    assert!(secrets.len() >= 9, "{} secrets", secrets.len());
    for secret in &secrets {
        assert!(!holds(secret), "a secret of {} bytes is in the database", secret.len());
    }
}
