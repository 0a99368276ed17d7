//! What a machine's own diagnosis says: for people, for programs and for alerts, over a power cut of the collector; and every
//! section full on a page in a browser.

use crate::page_in_a_browser::looks;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, ScopeTerms};
use mimamori_shared::fields::{Kind, Readings, SECTIONS, Scope, fields};
use mimamori_shared::id::Hash;
use mimamori_shared::limits::{NAMES_PER_SECTION_MAX, REPORT_BYTES_MAX};
use mimamori_shared::payload::{Class, ConsentState, Counts, Fault, FaultCode, Finding, Report, Standing, Statement};
use mimamori_tests::sim::now_ms;
use mimamori_tests::story::json;
use mimamori_tests::world::FACILITY;
use mimamori_tests::{SimAgent, World, get};
use serde_json::{Map, Value, json as value};
use std::collections::BTreeMap;
use std::fs;

fn consent(state: ConsentState) -> Statement {
    let given = ScopeTerms { every_s: 60, except: Vec::new(), include: Vec::new() };
    let terms = ConsentTerms {
        v: 1,
        valid_from_ms: 0,
        valid_to_ms: now_ms() + 400 * 86_400_000,
        mode: ConsentMode::Continuous,
        utc_offset_s: 0,
        windows: Vec::new(),
        quiet: Vec::new(),
        scopes: Scope::ALL.into_iter().map(|scope| (scope, given.clone())).collect(),
        approval_hash: Hash::ZERO,
        example: true,
    };
    let terms = (state == ConsentState::Granted).then_some(terms);
    Statement::Consent { state, terms_hash: terms.as_ref().map_or(Hash::ZERO, ConsentTerms::hash), terms, purged: Counts::default() }
}

fn finding(check: &str, name: Option<&str>, state: Standing) -> Finding {
    let evidence = BTreeMap::from([("pending".parse().unwrap(), 8)]);
    Finding { check: check.parse().unwrap(), name: name.map(|name| name.parse().unwrap()), state, since_ms: 1_795_324_604_000, evidence }
}

fn found(findings: Vec<Finding>) -> Report {
    Report { class: Class::Change, readings: Readings::default(), faults: Vec::new(), findings }
}

/// Every section with every value, and lists of as many entries as there may be.
fn full() -> Readings {
    let mut sections = Map::new();
    for section in SECTIONS {
        let mut values = Map::new();
        for field in fields().filter(|field| field.section == *section) {
            let one = match field.kind {
                Kind::Text => value!("W".repeat(12)),
                Kind::Table => continue,
                Kind::Flag => value!(1),
                Kind::Counter | Kind::Gauge => value!(123_456_789),
            };
            values.insert(field.name.to_owned(), one);
        }
        let is_list = fields().any(|field| field.section == *section && !field.name_class.is_empty());
        let entry = |n: usize| {
            let name = ("name".to_owned(), value!(format!("{}{n:02}", "W".repeat(30))));
            Value::Object(std::iter::once(name).chain(values.clone()).collect())
        };
        sections.insert((*section).to_owned(), if is_list { (0..NAMES_PER_SECTION_MAX).map(entry).collect() } else { values.into() });
    }
    serde_json::from_value(sections.into()).unwrap()
}

/// `/metrics`, the lines of what stands.
fn series(world: &World) -> Vec<String> {
    let page = get(world.metrics, "/metrics").unwrap().1;
    page.lines().filter(|line| line.starts_with("mimamori_machine_finding{")).map(str::to_owned).collect()
}

#[test]
fn what_a_machine_finds_is_told_until_it_says_otherwise() {
    let mut world = World::new("stands");
    world.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "one")).unwrap();
    let name = format!("{FACILITY}/ct-1");
    agent.state(&consent(ConsentState::Granted));
    agent.tell(&found(vec![finding("drive_health", Some("sda"), Standing::Bad), finding("of_a_newer_agent", None, Standing::Gone)]));
    let fault = Fault { probe: "drive.pending".parse().unwrap(), code: FaultCode::PermissionDenied, name: Some("sdb".parse().unwrap()) };
    agent.tell(&Report { faults: vec![fault], ..found(Vec::new()) });
    runtime.block_on(agent.report_now());
    let line = r#"mimamori_machine_finding{facility="hcf-1",machine="ct-1",check="drive_health",name="sda",state="bad"} 1"#;
    for restarted in [false, true] {
        let (en, ja) = (world.cli(&["machine", "show", &name]), world.cli(&["machine", "show", &name, "--lang", "ja"]));
        let said = "2026-11-22T05:16:44Z  not in order                 A drive is failing. (Drives sda: pending 8)";
        assert!(en.contains(said) && en.contains("not there any more           of_a_newer_agent"), "{en}");
        assert!(en.contains("Drives sdb: the agent may not read it (drive.pending)") && en.contains("\n  System: received 20"), "{en}");
        assert!(
            ja.contains("ドライブに故障の兆候があります。（ドライブ sda：pending 8）") && ja.contains("ドライブ sdb：エージェントに読み取り権限がありません"),
            "{ja}"
        );
        let shown = json(&world.cli(&["machine", "show", &name, "--json"]));
        let standing = &shown["standing"];
        assert_eq!(
            (standing.as_array().unwrap().len(), &standing[0]["words"], &standing[1]["words_ja"]),
            (2, &value!("A drive is failing."), &value!("of_a_newer_agent"))
        );
        assert_eq!(
            (&standing[0]["state"], &standing[0]["since_ms"], &standing[0]["evidence"]["pending"]),
            (&value!("bad"), &value!(1_795_324_604_000_i64), &value!(8))
        );
        assert_eq!((&shown["not_measured"][0]["code"], &shown["measured"][0]["section"]), (&value!("permission_denied"), &value!("system")));
        assert!(series(&world).len() == 2 && series(&world).contains(&line.to_owned()), "{:?}", series(&world));
        let page = get(world.pages, &format!("/machines/{name}?lang=ja")).unwrap().1;
        assert!(page.contains("ドライブに故障の兆候があります。<br><code>drive_health</code>"), "{page}");
        if !restarted {
            world.kill();
            world.start();
        }
    }
    agent.tell(&found(vec![finding("drive_health", Some("sda"), Standing::Ok)]));
    // Its connection ended with the collector that was killed.
    runtime.block_on(agent.push(usize::MAX));
    runtime.block_on(agent.report_now());
    assert_eq!(series(&world).len(), 1, "{:?}", series(&world));
    let past = json(&world.cli(&["machine", "history", &name, "--json"]));
    let changes: Vec<String> = past["changes"].as_array().unwrap().iter().map(|row| format!("{} {}", row["check"], row["state"])).collect();
    assert_eq!(changes, ["\"drive_health\" \"ok\"", "\"of_a_newer_agent\" \"gone\"", "\"drive_health\" \"bad\""]);
    let text = world.cli(&["machine", "history", &name, "--limit", "1", "--lang", "ja"]);
    assert!(text.contains("正常") && text.contains("新しい1件です") && !text.contains("of_a_newer_agent"), "{text}");
    let refused = world.try_cli(&["machine", "history", &name, "--since", "yesterday"]);
    assert!(refused.status.code() == Some(2) && String::from_utf8_lossy(&refused.stderr).contains("2026-11-27"));
    agent.state(&consent(ConsentState::Withdrawn));
    runtime.block_on(agent.push(usize::MAX));
    assert_eq!(series(&world), [] as [&str; 0], "without a consent nothing is known");
    world.fsck();
}

#[test]
fn a_page_with_every_section_full_fits_every_screen() {
    let mut world = World::new("full");
    world.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "one")).unwrap();
    agent.state(&consent(ConsentState::Granted));
    let long = "W".repeat(64);
    let faults = FaultCode::ALL.map(|code| Fault { probe: "drive".parse().unwrap(), code, name: Some(long.parse().unwrap()) });
    let findings =
        mimamori_shared::checks::CHECKS.iter().map(|check| finding(check.id, Some(&long), Standing::Bad)).chain([finding(&long, Some(&long), Standing::Gone)]);
    let report = Report { faults: faults.to_vec(), readings: full(), ..found(findings.collect()) };
    let size = serde_json::to_vec(&report).unwrap().len();
    assert!(size < REPORT_BYTES_MAX - 1024, "{size} bytes are more than a report may have");
    agent.tell(&report);
    runtime.block_on(agent.push(usize::MAX));
    let dir = world.dir.join("browser");
    fs::create_dir(&dir).unwrap();
    for lang in ["en", "ja"] {
        let page = get(world.pages, &format!("/machines/{FACILITY}/ct-1?lang={lang}")).unwrap().1;
        fs::write(dir.join(format!("{lang}.html")), page.replace("<meta http-equiv=\"refresh\" content=\"30\">", "")).unwrap();
    }
    // The way of looking finds what is too wide: the same page without what keeps its tables within the screen.
    let page = fs::read_to_string(dir.join("en.html")).unwrap();
    assert!(page.contains(".wide{overflow-x:auto}"));
    fs::write(dir.join("control.html"), page.replace(".wide{overflow-x:auto}", "")).unwrap();
    let (mut looks, log) = looks(&dir, &[("control.html", 390), ("en.html", 1280), ("en.html", 390), ("ja.html", 1280), ("ja.html", 390)]);
    assert_eq!(looks.len(), 5, "{log}");
    assert!(looks.remove(0)["scroll"].as_u64() > Some(390), "{log}");
    for look in &looks {
        assert!(
            look["scroll"] == look["width"] && look["scripts"] == 0 && look["asked"] == json("[]"),
            "{} {} {}",
            look["file"],
            look["width"],
            look["scroll"]
        );
        let text = look["text"].as_str().unwrap();
        let drives = (0..NAMES_PER_SECTION_MAX).all(|n| text.contains(&format!("{}{n:02}", "W".repeat(30))));
        assert!(drives && text.contains(if look["file"] == "ja.html" { "電源ユニット" } else { "Power supplies" }), "{text}");
    }
    println!("{size} bytes of report, {} px high on {} px", looks[1]["height"], looks[1]["width"]);
}
