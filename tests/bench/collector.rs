//! Measures the collector under attack, on loopback: what a healthy agent notices of slow connections, and what a
//! request that is refused costs. Prints figures and judges none; `make bench-collector` runs it in a release build.
//!
//! usage: mimamori-bench-collector [SECONDS] [REQUESTS]
//!
//! Attackers and healthy agent run on the same machine, so the times are upper bounds; processor time and memory are
//! the collector's alone, as the kernel counts them (10 ms, pages). Connections are as many as the limit of open files
//! allows (`ulimit -n`), at most 2,000.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a measurement that cannot go on has failed")]

use mimamori_agent::uplink::{ENROL_PATH, ENROL_TYPE, REPORTS_PATH, REPORTS_TYPE};
use mimamori_shared::frame::{Batch, Frame};
use mimamori_shared::sign::SecretKey;
use mimamori_tests::process::{cpu_ms, rss_kb, written_bytes};
use mimamori_tests::raw::{Tls, read_answer, send};
use mimamori_tests::sim::{enrol_body, key_of, packed};
use mimamori_tests::{Raw, SimAgent, World};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

/// Connections held at a time.
const SLOW: usize = 2000;
/// Addresses they come from.
const SOURCES: usize = 8;
/// How long each is held; the collector closes it earlier.
const HELD: Duration = Duration::from_secs(5);
/// Files that this program and the collector need beside the connections.
const OTHER_FILES: usize = 400;
/// Between two reports of the healthy agent.
const BEAT: Duration = Duration::from_millis(50);
/// Connections on which refused requests are sent at the same time.
const LANES: u8 = 2;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>().expect("usage: mimamori-bench-collector [SECONDS] [REQUESTS]"));
    let seconds = Duration::from_secs(arguments.next().unwrap_or(30).into());
    let requests = arguments.next().unwrap_or(10_000);
    println!("build: {}", if cfg!(debug_assertions) { "debug (figures of a release build are several times better)" } else { "release" });
    slow_connections(seconds);
    refused_requests(requests);
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The time each receipt took, until told to stop.
fn receipts(agent: &mut SimAgent, stop: impl Fn() -> bool) -> Vec<Duration> {
    runtime().block_on(async {
        let (mut beat, mut took) = (tokio::time::interval(BEAT), Vec::new());
        while !stop() {
            beat.tick().await;
            let begun = Instant::now();
            agent.report_now().await;
            took.push(begun.elapsed());
        }
        took.sort();
        took
    })
}

fn tell(took: &[Duration], when: &str) {
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    println!("healthy agent {when}: {} receipts of as many reports, p50 {:.1?}, p99 {:.1?}, longest {:.1?}", took.len(), at(50), at(99), at(100));
}

/// RX-02.
fn slow_connections(seconds: Duration) {
    let mut world = World::new("bench-slow");
    world.start();
    let raw = Raw::new(&world);
    let mut agent = runtime().block_on(SimAgent::enrol(&world.token(Some("ct-1")), "healthy")).unwrap();
    let begun = Instant::now();
    tell(&receipts(&mut agent, || begun.elapsed() >= seconds / 3), "alone");
    let pid = world.pid().unwrap();
    let (before_kb, before_ms) = (rss_kb(pid), cpu_ms(pid));
    let many = SLOW.min(files_max().saturating_sub(OTHER_FILES));
    let (full, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let (took, most_kb, most_files) = thread::scope(|scope| {
        scope.spawn(|| hold(&raw, many, &full, &over));
        while !full.load(Relaxed) {
            thread::sleep(BEAT);
        }
        let begun = Instant::now();
        let watching = scope.spawn(|| {
            let (mut most_kb, mut most_files) = (0, 0);
            while !over.load(Relaxed) {
                most_kb = most_kb.max(rss_kb(pid));
                most_files = most_files.max(fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count));
                thread::sleep(BEAT);
            }
            (most_kb, most_files)
        });
        let took = receipts(&mut agent, || begun.elapsed() >= seconds);
        over.store(true, Relaxed);
        let (most_kb, most_files) = watching.join().unwrap();
        (took, most_kb, most_files)
    });
    tell(&took, &format!("beside {many} slow connections from {SOURCES} addresses, each held for {HELD:?}"));
    println!(
        "  collector: +{} kB resident, at most {most_files} open files, {} ms of processor time",
        most_kb.saturating_sub(before_kb),
        cpu_ms(pid) - before_ms
    );
}

/// Keeps that many connections open, each for [`HELD`]: silent ones, and one that stops within its handshake in two.
fn hold(raw: &Raw, many: usize, full: &AtomicBool, over: &AtomicBool) {
    let (mut held, mut n) = (VecDeque::<TcpStream>::new(), 0);
    let pause = HELD / u32::try_from(many.max(1)).unwrap();
    while !over.load(Relaxed) {
        if held.len() >= many {
            full.store(true, Relaxed);
            held.pop_front();
        }
        n += 1;
        if let Ok(mut stream) = raw.tcp(8, u8::try_from(n % SOURCES + 1).unwrap()) {
            if n % 2 == 0 {
                // The collector may have closed it already: that is its way to refuse one.
                drop(send(&mut stream, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]));
            }
            held.push_back(stream);
        }
        thread::sleep(pause);
    }
}

fn files_max() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok()).unwrap_or(usize::MAX)
}

/// RX-06.
fn refused_requests(requests: u32) {
    let mut world = World::new("bench-refused");
    world.more = vec!["ingest.rate.enrol_refusals=5".to_owned()];
    world.start();
    let raw = Raw::new(&world);
    let mut agent = runtime().block_on(SimAgent::enrol(&world.token(Some("ct-1")), "healthy")).unwrap();
    let cases = cases(&world, &raw, &agent);
    let written = written_bytes(world.pid().unwrap());
    println!("refused requests, {requests} of each on {LANES} connections:");
    for (name, request) in &cases {
        let (begun, before_ms) = (Instant::now(), cpu_ms(world.pid().unwrap()));
        let statuses = flood(&raw, request, requests);
        let spent_us = (cpu_ms(world.pid().unwrap()) - before_ms) * 1000 / u64::from(requests);
        let rate = f64::from(requests) / begun.elapsed().as_secs_f64();
        println!("  {name}: {spent_us} us of the collector's processor time each, {rate:.0} a second, answered {statuses:?}");
    }
    let over = AtomicBool::new(false);
    let took = thread::scope(|scope| {
        scope.spawn(|| {
            cases.iter().for_each(|(_, request)| drop(flood(&raw, request, requests)));
            over.store(true, Relaxed);
        });
        receipts(&mut agent, || over.load(Relaxed))
    });
    tell(&took, "beside all of them in turn");
    println!("  collector: {} kB written to disk meanwhile, reports and counters included", (written_bytes(world.pid().unwrap()) - written) / 1024);
}

fn cases(world: &World, raw: &Raw, agent: &SimAgent) -> Vec<(&'static str, Vec<u8>)> {
    let report = |body: &[u8]| raw.post(REPORTS_PATH, &[("Content-Type", REPORTS_TYPE), ("Content-Encoding", "zstd")], body);
    let body = |frame: Frame| packed(&Batch { frames: vec![frame], preview: None });
    let mut forged = agent.made[0].frame.clone();
    forged.signature[3] ^= 1;
    let stranger = SecretKey::from_seed(&Zeroizing::new([9; 32]));
    let unknown = Frame { key_id: stranger.public().id(), ..forged.clone() };
    let token = world.token(Some("ct-2"));
    let guessed = enrol_body(&token, &key_of(&token, "x"), &key_of(&token, "guess"));
    vec![
        ("another content type", raw.post(REPORTS_PATH, &[("Content-Type", "text/html")], b"x")),
        ("no zstd", report(b"no zstd at all")),
        ("a key nobody has", report(&body(unknown))),
        ("a signature that does not hold", report(&body(forged))),
        ("a bomb of 4 MiB", report(&zstd::bulk::compress(&vec![0; 4 << 20], 3).unwrap())),
        ("an enrolment with a guessed token", raw.post(ENROL_PATH, &[("Content-Type", ENROL_TYPE)], &guessed)),
    ]
}

/// Sends a request again and again; how often each status came back.
fn flood(raw: &Raw, request: &[u8], requests: u32) -> BTreeMap<u16, u32> {
    let lane = |lane: u8| {
        let connect = || -> Tls { raw.tls(7, lane + 1).unwrap() };
        let (mut stream, mut statuses) = (connect(), BTreeMap::<u16, u32>::new());
        for _ in 0..requests / u32::from(LANES) {
            send(&mut stream, request).unwrap();
            let answer = read_answer(&mut stream).unwrap();
            *statuses.entry(answer.status).or_default() += 1;
            if answer.headers.iter().any(|line| line == "connection: close") {
                stream = connect();
            }
        }
        statuses
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|n| scope.spawn(move || lane(n))).collect();
        let mut all = BTreeMap::new();
        for (status, count) in lanes.into_iter().flat_map(|lane| lane.join().unwrap()) {
            *all.entry(status).or_default() += count;
        }
        all
    })
}
