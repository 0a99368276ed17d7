//! What reaches the collector from outside: floods, garbage, bodies that are held, wrong clocks; and what the operator
//! is told of it.

use mimamori_agent::uplink::{ENROL_PATH, ENROL_TYPE, Outcome, REPORTS_PATH, REPORTS_TYPE};
use mimamori_shared::fields::Readings;
use mimamori_shared::frame::{Batch, Frame};
use mimamori_shared::payload::{Class, OpenReason, Report, Statement, encode};
use mimamori_shared::sign::{PayloadType, SecretKey, frame_hash};
use mimamori_tests::process::{cpu_ms, rss_kb};
use mimamori_tests::raw::{RawAnswer, Tls, read_answer, send};
use mimamori_tests::sim::packed;
use mimamori_tests::world::FACILITY;
use mimamori_tests::{Made, Raw, SimAgent, World, get, wait_until};
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

/// Counters are written down every five seconds.
const WRITTEN: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn started(name: &str, sets: &[&str]) -> World {
    let mut world = World::new(name);
    world.more = sets.iter().map(|set| (*set).to_owned()).collect();
    world.start();
    world
}

/// The value of a metric's line, named up to the space before it.
fn metric(world: &World, line: &str) -> f64 {
    let (_, page) = get(world.metrics, "/metrics").unwrap();
    let found = page.lines().find_map(|each| each.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or_else(|| panic!("no metric {line}"))
}

fn events(world: &World, kind: &str) -> u64 {
    metric(world, &format!("mimamori_collector_security_events_total{{kind=\"{kind}\"}}")) as u64
}

fn alarm(world: &World, kind: &str) -> bool {
    metric(world, &format!("mimamori_collector_security_alarm{{kind=\"{kind}\"}}")) > 0.5
}

fn digest(world: &World) -> Value {
    serde_json::from_str(&world.cli(&["digest", "--json"])).unwrap()
}

/// What the digest counts of a kind.
fn counted(digest: &Value, kind: &str) -> u64 {
    let events = digest["events"].as_array().unwrap();
    events.iter().find(|event| event["kind"] == kind).map_or(0, |event| event["count"].as_u64().unwrap())
}

fn post(stream: &mut Tls, raw: &Raw, body: &[u8]) -> RawAnswer {
    send(stream, &raw.post(REPORTS_PATH, &[("Content-Type", REPORTS_TYPE), ("Content-Encoding", "zstd")], body)).unwrap();
    read_answer(stream).unwrap()
}

fn body_of(frames: Vec<Frame>) -> Vec<u8> {
    packed(&Batch { frames, preview: None })
}

/// A report whose wall clock is off by so much.
fn report_off(agent: &mut SimAgent, off_ms: i64) {
    let mut head = agent.head();
    head.taken_at_ms += off_ms;
    let report = Report { class: Class::Sample, readings: Readings::default(), faults: Vec::new(), findings: Vec::new() };
    let payload = encode(PayloadType::Report, &[&head, &report]);
    let frame = Frame { key_id: head.key_id, signature: agent.key.sign(PayloadType::Report, &payload), payload };
    agent.made.push(Made { seq: head.seq, hash: frame_hash(PayloadType::Report, &frame.payload), frame });
}

#[test]
fn a_flooding_agent_is_told_to_wait_and_nothing_of_what_was_refused_is_kept() {
    let world = started("flood", &["ingest.rate.entries=600"]);
    let runtime = runtime();
    let (flooding, calm) = (world.token(Some("ct-1")), world.token(Some("ct-2")));
    let mut agent = runtime.block_on(SimAgent::enrol(&flooding, "flood")).unwrap();
    (0..4000).for_each(|_| agent.sample());
    // Three minutes' worth at once is 1,800: the second request goes beyond it, the third is refused.
    for _ in 0..2 {
        assert!(matches!(runtime.block_on(agent.push(1024)), Outcome::Receipted(_)));
    }
    for _ in 0..20 {
        let Outcome::Failed(fault, Some(asked_s)) = runtime.block_on(agent.push(1024)) else { panic!("it is taken") };
        assert!(fault.to_string().contains("429") && (1..=90).contains(&asked_s), "{fault} {asked_s}");
    }
    assert_eq!(world.export("ct-1").len(), 2048);
    let mut other = runtime.block_on(SimAgent::enrol(&calm, "calm")).unwrap();
    assert_eq!(runtime.block_on(other.report_now()).seq, 1, "another agent notices nothing");
    assert_eq!(events(&world, "rate"), 20);
    // Who merely names its key meanwhile is told the same, and is told of by the address.
    let raw = Raw::new(&world);
    let mut forged = agent.made[0].frame.clone();
    forged.signature[3] ^= 1;
    let mut stranger = raw.tls(7, 9).unwrap();
    for _ in 0..5 {
        assert_eq!(post(&mut stranger, &raw, &body_of(vec![forged.clone()])).status, 429);
    }
    wait_until("the counters are written", WRITTEN, || counted(&digest(&world), "rate") == 25);
    let rate = digest(&world)["events"].as_array().unwrap().iter().find(|event| event["kind"] == "rate").unwrap()["origins"].clone();
    assert_eq!(rate, serde_json::json!([{"who": agent.enrolled.agent_id.to_string(), "count": 20}, {"who": "127.0.7.9", "count": 5}]));
    let (status, limits) = get(world.metrics, "/limits").unwrap();
    assert!(status == 200 && limits.contains("{\"name\":\"entries_per_min\",\"unit\":\"1 per agent\",\"value\":600}"), "{limits}");
    world.fsck();
}

#[test]
fn a_machine_that_stores_absurdly_much_is_stopped_for_the_day_and_told_of() {
    let world = started("budget", &["ingest.rate.day_bytes=1MiB"]);
    let runtime = runtime();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "much")).unwrap();
    let mut pushes = 0;
    let asked_s = loop {
        (0..500).for_each(|_| agent.sample());
        pushes += 1;
        match runtime.block_on(agent.push(500)) {
            Outcome::Receipted(_) => assert!(pushes < 10, "nothing stops it"),
            Outcome::Failed(_, asked_s) => break asked_s,
            other => panic!("{other:?}"),
        }
    };
    assert!(asked_s.is_some_and(|asked_s| (600..=1800).contains(&asked_s)), "{asked_s:?}");
    assert_eq!(world.export("ct-1").len(), agent.unsent_from);
    wait_until("the alarm is there", WRITTEN, || alarm(&world, "budget"));
    let digest = digest(&world);
    assert_eq!(counted(&digest, "budget"), 1);
    assert!(digest["findings"].as_array().unwrap().iter().any(|finding| finding["kind"] == "budget_exceeded"), "{digest}");
    let (_, page) = get(world.pages, "/?lang=en").unwrap();
    assert!(page.contains("ALARM") && page.contains("machine beyond its storage of a day"), "{page}");
    assert!(world.log().contains("<4>alarm budget: 1 in 24 h"), "{}", world.log());
}

#[test]
fn garbage_is_refused_cheaply_counted_by_cause_and_told_in_the_digest() {
    let world = started("garbage", &["ingest.rate.enrol_refusals=5"]);
    assert!(world.cli(&["digest"]).contains("Nothing to look at"), "the empty state is said too");
    let raw = Raw::new(&world);
    let runtime = runtime();
    let agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "one")).unwrap();
    let mut forged = agent.made[0].frame.clone();
    forged.signature[3] ^= 1;
    let stranger = SecretKey::from_seed(&Zeroizing::new([9; 32]));
    let unknown = Frame { key_id: stranger.public().id(), ..forged.clone() };
    let cases = [
        ("malformed", 400, b"no zstd at all".to_vec()),
        ("unknown_key", 401, body_of(vec![unknown])),
        ("bad_signature", 401, body_of(vec![forged])),
        ("oversize", 413, zstd::bulk::compress(&vec![0; 4 << 20], 3).unwrap()),
    ];
    let mut stream = raw.tls(7, 1).unwrap();
    for (kind, status, body) in &cases {
        let (start, before) = (Instant::now(), cpu_ms(world.pid().unwrap()));
        for _ in 0..500 {
            assert_eq!(post(&mut stream, &raw, body).status, *status, "{kind}");
        }
        let spent_us = (cpu_ms(world.pid().unwrap()) - before) * 1000 / 500;
        println!("{kind}: {spent_us} us of processor time per refused request (this build), 500 in {:.1?}", start.elapsed());
        assert_eq!(events(&world, kind), 500, "{kind}");
    }
    let enrol = raw.post(ENROL_PATH, &[("Content-Type", ENROL_TYPE)], b"x\r\n\x1b[31m<3>forged line\n");
    let statuses: Vec<u16> = (0..8)
        .map(|_| {
            send(&mut stream, &enrol).unwrap();
            read_answer(&mut stream).unwrap().status
        })
        .collect();
    assert_eq!(statuses, [400, 400, 400, 400, 400, 429, 429, 429]);
    wait_until("the counters are written", WRITTEN, || counted(&digest(&world), "oversize") == 500);
    let told = digest(&world);
    assert_eq!([counted(&told, "unknown_key"), counted(&told, "bad_signature"), counted(&told, "rate")], [500, 500, 3]);
    assert_eq!(counted(&told, "malformed"), 505);
    let malformed = told["events"].as_array().unwrap().iter().find(|event| event["kind"] == "malformed").unwrap();
    assert_eq!(malformed["origins"][0]["who"], "127.0.7.1");
    let forged = told["events"].as_array().unwrap().iter().find(|event| event["kind"] == "bad_signature").unwrap();
    assert_eq!(forged["origins"][0]["who"], "127.0.7.1", "the one who named the key, not the machine it is of");
    let rows: i64 =
        rusqlite::Connection::open(world.state_dir().join("collector.db")).unwrap().query_row("SELECT count(*) FROM abuse", [], |row| row.get(0)).unwrap();
    assert!(rows <= 12, "2,008 refusals left {rows} rows");
    wait_until("the alarms are there", WRITTEN, || ["bad_signature", "unknown_key", "oversize"].into_iter().all(|kind| alarm(&world, kind)));
    let (_, page) = get(world.pages, "/?lang=ja").unwrap();
    assert!(page.contains("警報") && page.contains("ファイアウォールで遮断"), "{page}");
    for line in world.log().lines() {
        assert!(line.starts_with('<') && !line.contains('\x1b') && !line.contains("forged"), "{line:?}");
    }
    assert!(world.log().contains("<5>digest of "), "yesterday's line stands in the log: {}", world.log());
}

#[test]
fn bodies_that_are_held_take_bounded_memory_and_a_healthy_agent_gets_through() {
    let mut world = started("held", &[]);
    let raw = Raw::new(&world);
    let runtime = runtime();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "healthy")).unwrap();
    runtime.block_on(agent.report_now());
    let (pid, start) = (world.pid().unwrap(), Instant::now());
    let before_kb = rss_kb(pid);
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let open_files = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    let limit: u64 = open_files.unwrap_or(u64::MAX);
    let silent_many = usize::try_from(limit.saturating_sub(600).min(2000)).unwrap();
    let head =
        format!("POST {REPORTS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {REPORTS_TYPE}\r\nContent-Encoding: zstd\r\nContent-Length: {}\r\n\r\n", 1024 * 1024);
    let part = vec![7; 700 * 1024];
    // As many as their shares let in, with most of a large body each, and then nothing more.
    let mut held = Vec::new();
    for n in 0..160_u32 {
        let Ok(mut stream) = raw.tls(8, u8::try_from(n % 8 + 1).unwrap()) else { continue };
        stream.sock.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
        // Where there is no room the rest stays with the client.
        drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&part)));
        held.push(stream);
    }
    let silent: Vec<TcpStream> = (0..silent_many).filter_map(|n| raw.tcp(8, u8::try_from(n % 8 + 1).unwrap()).ok()).collect();
    let mut took = Vec::new();
    let mut most_kb = 0;
    for _ in 0..60 {
        let begun = Instant::now();
        runtime.block_on(agent.report_now());
        took.push(begun.elapsed());
        most_kb = most_kb.max(rss_kb(pid));
    }
    took.sort();
    println!(
        "{} bodies held and {} silent connections from 8 addresses (limit {limit}): +{} kB resident; healthy agent: median {:.1?}, p99 {:.1?}; {:.1?} in all",
        held.len(),
        silent.len(),
        most_kb.saturating_sub(before_kb),
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        start.elapsed()
    );
    assert!(held.len() > 100, "the attack does not get through: {}", held.len());
    assert!(most_kb.saturating_sub(before_kb) <= 64 * 1024, "+{} kB", most_kb - before_kb);
    drop((held, silent));
    world.kill();
}

#[test]
fn one_key_heard_from_two_addresses_in_turn_is_told_as_a_possible_copy() {
    let world = started("sources", &[]);
    let raw = Raw::new(&world);
    let runtime = runtime();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "one")).unwrap();
    for n in 0..5 {
        runtime.block_on(agent.report_now());
        let again = body_of(vec![agent.made.last().unwrap().frame.clone()]);
        assert_eq!(post(&mut raw.tls(9, 1).unwrap(), &raw, &again).status, 200, "{n}");
    }
    assert_eq!(events(&world, "replay"), 5);
    assert!(events(&world, "source_changed") >= 8);
    wait_until("the alarm is there", WRITTEN, || alarm(&world, "source_flapping"));
    let digest = digest(&world);
    let flapping = digest["events"].as_array().unwrap().iter().find(|event| event["kind"] == "source_flapping").unwrap();
    assert_eq!(flapping["origins"][0]["who"], agent.enrolled.agent_id.to_string());
    world.fsck();
}

#[test]
fn a_clock_ten_years_off_is_told_and_moves_nothing() {
    let world = started("clock", &[]);
    let runtime = runtime();
    let names = ["good", "ahead", "behind", "slow"];
    let off_ms = [0, 3653 * 86_400_000, -3653 * 86_400_000, -300_000];
    for (name, off_ms) in names.into_iter().zip(off_ms) {
        let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some(name)), name)).unwrap();
        for _ in 0..3 {
            report_off(&mut agent, off_ms);
            assert!(matches!(runtime.block_on(agent.push(9)), Outcome::Receipted(_)), "{name} is accepted");
        }
    }
    wait_until("all are up by the collector's clock", WRITTEN, || {
        (0..4).all(|n| metric(&world, &format!("mimamori_machine_state{{facility=\"{FACILITY}\",machine=\"{}\",state=\"up\"}}", names[n])) > 0.5)
    });
    let skew = |name: &str| metric(&world, &format!("mimamori_machine_clock_skew_seconds{{facility=\"{FACILITY}\",machine=\"{name}\"}}"));
    assert!(skew("good").abs() < 2.0 && (skew("ahead") - 315_619_200.0).abs() < 5.0 && (skew("slow") + 300.0).abs() < 5.0);
    wait_until("the clocks are counted", WRITTEN, || counted(&digest(&world), "clock") >= 3);
    let findings = digest(&world)["findings"].clone();
    let has = |kind: &str| findings.as_array().unwrap().iter().any(|finding| finding["kind"] == kind);
    assert!(has("clock_quarantined") && has("clock_skewed"), "{findings}");
    let (_, page) = get(world.pages, "/?lang=en").unwrap();
    assert!(page.contains("CLOCK OFF by -300 s") && page.matches("its times are not used").count() == 2);
    // Both times are kept: the evidence has the machine's, the collector's stands beside it.
    let kept = &world.export("ahead")[1];
    let taken = serde_json::from_str::<Value>(kept["frame"][0].as_str().unwrap()).unwrap()["taken_at_ms"].as_i64().unwrap();
    assert!(taken - kept["received_at_ms"].as_i64().unwrap() > 3652 * 86_400_000, "{kept}");
}

#[test]
fn a_machine_with_seven_chains_is_up_by_the_newest() {
    let world = started("chains", &[]);
    let runtime = runtime();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "many")).unwrap();
    runtime.block_on(agent.report_now());
    for n in 1..7 {
        world.cli(&["machine", "approve", &format!("{FACILITY}/ct-1")]);
        agent.chain_id.0[0] = agent.chain_id.0[0].wrapping_add(1);
        (agent.made, agent.receipt, agent.unsent_from) = (Vec::new(), None, 0);
        agent.receipted.clear();
        agent.state(&Statement::Open { reason: OpenReason::Restored, previous: None });
        assert_eq!(runtime.block_on(agent.report_now()).seq, 1, "chain {n}");
    }
    let of = format!("{{facility=\"{FACILITY}\",machine=\"ct-1\"");
    assert!((metric(&world, &format!("mimamori_machine_chain_epoch{of}}}")) - 7.0).abs() < 0.1);
    wait_until("it is up", WRITTEN, || metric(&world, &format!("mimamori_machine_state{of},state=\"up\"}}")) > 0.5);
    world.fsck();
}

#[test]
fn pages_answer_only_to_this_machines_own_names() {
    let world = started("host", &[]);
    for (address, path) in [(world.pages, "/"), (world.metrics, "/metrics")] {
        for (host, expected) in [("attacker.example", "421"), ("127.0.0.1.attacker.example:80", "421"), ("localhost", "200")] {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text.split(' ').nth(1), Some(expected), "{host} {path}");
        }
    }
}

#[test]
fn a_public_url_the_certificate_is_not_for_is_told_before_any_token_carries_it() {
    let mut world = World::new("url");
    assert!(world.try_cli(&["config", "check"]).status.success());
    let port = world.ingest.port();
    world.more = vec![format!("ingest.public_url=https://other.example:{port}")];
    let done = world.try_cli(&["config", "check"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(78) && said.contains("not for other.example") && said.contains("init --host"), "{said}");
    // A certificate of the operator's own is read for its names.
    world.start();
    assert!(world.log().contains("<4>ingest.public_url"), "{}", world.log());
    world.kill();
    let tls = |name: &str| world.state_dir().join(name).display().to_string();
    let own = [format!("tls.certificate_file={}", tls("tls.pem")), format!("tls.key_file={}", tls("tls.key"))];
    world.more.extend(own.clone());
    assert_eq!(world.try_cli(&["config", "check"]).status.code(), Some(78));
    world.more = own.to_vec();
    assert!(world.try_cli(&["config", "check"]).status.success(), "the address it was made for is in it");
    let state = world.dir.join("another");
    world.more = vec![format!("state_dir={}", state.display()), "ingest.public_url=https://other.example".to_owned()];
    let done = world.try_cli(&["init", "--host", "one.example"]);
    assert!(done.status.code() == Some(2) && !state.try_exists().unwrap(), "{}", String::from_utf8_lossy(&done.stderr));
    world.cli(&["init", "--host", "one.example", "--host", "other.example"]);
}
