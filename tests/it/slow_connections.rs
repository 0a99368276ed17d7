//! Connections that are held open and say little: each ends within its limit, and a healthy agent notices nothing.
//!
//! The limits are those of `ConnLimits::default()`. That a verified connection is closed after 90 s of silence is not
//! waited for here; that it outlives the unverified ones is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests: a panic is a failed test")]

use mimamori_agent::uplink::{ENROL_PATH, ENROL_TYPE, REPORTS_PATH, REPORTS_TYPE};
use mimamori_collector::net::ConnLimits;
use mimamori_shared::frame::Batch;
use mimamori_shared::token::Token;
use mimamori_tests::raw::{read_answer, send};
use mimamori_tests::sim::packed;
use mimamori_tests::{Random, Raw, SimAgent, World, get, wait_until};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How much later than its limit a connection may end.
const SLACK: Duration = Duration::from_secs(1);
/// How often a slow client writes, and looks whether it has been closed.
const PACE: Duration = Duration::from_millis(100);
/// A healthy agent's slowest receipts; generous, because the tests share the machine.
const P99_MAX: Duration = Duration::from_secs(2);

/// How a slow connection ended.
#[derive(Debug)]
struct End {
    after: Duration,
    status: Option<u16>,
}

/// Writes `drip` again and again until the other side closes.
fn outlast(stream: &mut (impl Read + Write), start: Instant, drip: &[u8]) -> End {
    let (mut got, mut chunk) = (Vec::new(), [0; 4096]);
    while start.elapsed() < Duration::from_secs(22) {
        if !drip.is_empty() && send(stream, drip).is_err() {
            break;
        }
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => got.extend_from_slice(&chunk[..length]),
            // The socket's read timeout sets the pace.
            Err(fault) if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let status = String::from_utf8_lossy(&got).strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    End { after: start.elapsed(), status }
}

fn paced(socket: &TcpStream) {
    socket.set_read_timeout(Some(PACE)).unwrap();
}

/// TCP, some bytes of a handshake, and then `drip`.
fn below_tls(raw: &Raw, member: u8, first: &[u8], drip: &[u8]) -> End {
    let start = Instant::now();
    let mut stream = raw.tcp(4, member).unwrap();
    paced(&stream);
    send(&mut stream, first).unwrap();
    outlast(&mut stream, start, drip)
}

/// TLS, some bytes of a request, and then `drip`.
fn above_tls(raw: &Raw, member: u8, first: &[u8], drip: &[u8]) -> End {
    let mut stream = raw.tls(4, member).unwrap();
    paced(&stream.sock);
    let start = Instant::now();
    send(&mut stream, first).unwrap();
    outlast(&mut stream, start, drip)
}

/// A whole request and its answer, and then silence.
fn idle(raw: &Raw, member: u8) -> End {
    let mut stream = raw.tls(4, member).unwrap();
    send(&mut stream, &raw.post(ENROL_PATH, &[("Content-Type", ENROL_TYPE)], b"x")).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 400, "an enrolment that is none, on a connection that stays open");
    paced(&stream.sock);
    outlast(&mut stream, Instant::now(), b"")
}

/// The beginning of a record that holds a `ClientHello` of 512 bytes.
const HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

type Case = (&'static str, Duration, Option<u16>, Box<dyn Fn(&Raw, u8) -> End + Send + Sync>);

fn cases() -> Vec<Case> {
    let limits = ConnLimits::default();
    let head = |length: usize| {
        format!("POST {REPORTS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {REPORTS_TYPE}\r\nContent-Encoding: zstd\r\nContent-Length: {length}\r\n")
    };
    let body = move |length, first: usize| format!("{}\r\n{}", head(length), "x".repeat(first)).into_bytes();
    // 200 bytes a second: the allowed time runs out where 2 s + received / 1024 B/s meets the clock.
    let slow = limits.body_grace.mul_f64(1.0 / (1.0 - 200.0 / 1024.0));
    vec![
        ("silent TCP", limits.handshake, None, Box::new(|raw, n| below_tls(raw, n, b"", b""))),
        ("stalled handshake", limits.handshake, None, Box::new(|raw, n| below_tls(raw, n, HELLO, b""))),
        ("dripping handshake", limits.handshake, None, Box::new(|raw, n| below_tls(raw, n, HELLO, b"\0"))),
        ("no request", limits.idle_unverified, None, Box::new(|raw, n| above_tls(raw, n, b"", b""))),
        ("partial head", limits.head, None, Box::new(|raw, n| above_tls(raw, n, b"POST /v1/reports HTTP/1.1\r\nHo", b""))),
        ("dripping head", limits.head, None, Box::new(|raw, n| above_tls(raw, n, b"POST /v1/reports HTTP/1.1\r\nX: ", b"x"))),
        ("stalled body", limits.body_grace, Some(408), Box::new(move |raw, n| above_tls(raw, n, &body(60_000, 10), b""))),
        ("body dripping below 1 KiB/s", slow, Some(408), Box::new(move |raw, n| above_tls(raw, n, &body(60_000, 0), &[b'x'; 20]))),
        ("body dripping above 1 KiB/s", limits.body_total, Some(408), Box::new(move |raw, n| above_tls(raw, n, &body(60_000, 0), &[b'x'; 150]))),
        ("idle keep-alive", limits.idle_unverified, None, Box::new(idle)),
    ]
}

/// Reports every 200 ms until told to stop; gives the time each receipt took, ascending.
fn healthy(token: &Token, stop: &AtomicBool) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut agent = SimAgent::enrol(token, "healthy").await.unwrap();
        let mut beat = tokio::time::interval(Duration::from_millis(200));
        let mut took = Vec::new();
        while !stop.load(Relaxed) {
            beat.tick().await;
            let start = Instant::now();
            agent.report_now().await;
            took.push(start.elapsed());
        }
        took.sort();
        took
    })
}

#[track_caller]
fn unharmed(took: &[Duration], during: Duration, what: &str) {
    let (median, p99, max) = (took[took.len() / 2], took[took.len() * 99 / 100], took[took.len() - 1]);
    println!("healthy agent {what}: {} receipts, median {median:.1?}, p99 {p99:.1?}, longest {max:.1?}", took.len());
    let beats = during.as_millis() / 200;
    assert!(took.len() as u128 >= beats * 8 / 10, "only {} receipts in {during:?}", took.len());
    assert!(p99 < P99_MAX, "p99 {p99:?}");
}

/// A connection that brought a verified report, then silence for longer than any unverified one gets, then a report.
fn verified_stays(raw: &Raw, token: &Token) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let agent = runtime.block_on(SimAgent::enrol(token, "patient")).unwrap();
    let body = packed(&Batch { frames: vec![agent.made[0].frame.clone()], preview: None });
    let request = raw.post(REPORTS_PATH, &[("Content-Type", REPORTS_TYPE), ("Content-Encoding", "zstd")], &body);
    let mut stream = raw.tls(4, 200).unwrap();
    send(&mut stream, &request).unwrap();
    let first = read_answer(&mut stream).unwrap();
    assert_eq!(first.status, 200);
    stream.sock.set_read_timeout(Some(Duration::from_secs(12))).unwrap();
    let fault = stream.read(&mut [0; 1]).expect_err("a verified connection is not closed after 12 s");
    assert!(matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{fault}");
    send(&mut stream, &request).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap(), first, "the same entry, the same receipt, on the same connection");
}

#[test]
fn every_slow_connection_ends_within_its_limit_while_a_healthy_agent_reports() {
    let mut world = World::new("slow");
    world.start();
    let raw = Raw::new(&world);
    let (token, patient) = (world.token(Some("ct-1")), world.token(Some("ct-2")));
    let (stop, start) = (AtomicBool::new(false), Instant::now());
    let cases = cases();
    let (ends, took) = thread::scope(|scope| {
        let beating = scope.spawn(|| healthy(&token, &stop));
        let staying = scope.spawn(|| verified_stays(&raw, &patient));
        // Three of each at once, from three addresses.
        let slow: Vec<_> = (0..cases.len() * 3)
            .map(|n| {
                let (raw, case) = (&raw, &cases[n % cases.len()]);
                scope.spawn(move || (case, (case.3)(raw, u8::try_from(n / 10 + 1).unwrap())))
            })
            .collect();
        let ends: Vec<_> = slow.into_iter().map(|thread| thread.join()).collect();
        let stayed = staying.join();
        // Also when something failed: or the scope would wait for ever.
        stop.store(true, Relaxed);
        let took = beating.join().unwrap();
        stayed.unwrap();
        (ends.into_iter().map(Result::unwrap).collect::<Vec<_>>(), took)
    });
    // The answer is followed by a moment in which the client may still send.
    let linger = ConnLimits::default().linger;
    for (name, limit, status, _) in &cases {
        let mine: Vec<&End> = ends.iter().filter(|(case, _)| case.0 == *name).map(|(_, end)| end).collect();
        let (least, most) = (mine.iter().map(|end| end.after).min().unwrap(), mine.iter().map(|end| end.after).max().unwrap());
        println!("{name}: limit {limit:.2?}, ended after {least:.2?} to {most:.2?}");
        assert!(mine.len() == 3 && mine.iter().all(|end| end.status == *status), "{name}: {mine:?}");
        assert!(least + PACE * 2 >= *limit, "{name}: a client in trouble would be cut off too early, after {least:?}");
        assert!(most <= *limit + SLACK + if status.is_some() { linger } else { Duration::ZERO }, "{name}: ended only after {most:?}");
    }
    unharmed(&took, start.elapsed(), "beside 30 slow connections");
    world.fsck();
}

/// Whether the other side has closed; nothing is sent to silent connections.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(0) => true,
        Ok(_) => panic!("something was sent to a connection that has said nothing"),
        Err(fault) => fault.kind() != ErrorKind::WouldBlock,
    }
}

#[test]
fn three_hundred_slow_connections_from_three_addresses_take_only_their_shares() {
    let mut world = World::new("crowd");
    world.start();
    let raw = Raw::new(&world);
    let (token, late) = (world.token(Some("ct-1")), world.token(Some("ct-2")));
    let (stop, begun) = (AtomicBool::new(false), Instant::now());
    let share = ConnLimits::default().per_source_max;
    let took = thread::scope(|scope| {
        let beating = scope.spawn(|| healthy(&token, &stop));
        let crowd = scope.spawn(|| {
            let start = Instant::now();
            let mut slow: Vec<TcpStream> = (0..300_u16).map(|n| raw.tcp(5, u8::try_from(n % 3 + 1).unwrap()).unwrap()).collect();
            slow.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
            let came = start.elapsed();
            let refused = wait_until("what is over the shares is closed at once", SLACK, || {
                slow.retain_mut(|stream| !is_closed(stream));
                slow.len() <= share * 3
            });
            assert_eq!(slow.len(), share * 3, "each address keeps its share");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut agent = runtime.block_on(SimAgent::enrol(&late, "late")).unwrap();
            assert_eq!(runtime.block_on(agent.report_now()).seq, 1, "an agent from elsewhere gets in meanwhile");
            slow.retain_mut(|stream| !is_closed(stream));
            assert_eq!(slow.len(), share * 3, "that was while the slow ones were there");
            wait_until("the rest is closed after the handshake's limit", ConnLimits::default().handshake + SLACK, || {
                slow.retain_mut(|stream| !is_closed(stream));
                slow.is_empty()
            });
            println!("300 connections in {came:.1?}: {} refused within {refused:.1?}, the last closed after {:.2?}", 300 - share * 3, start.elapsed());
        });
        let crowded = crowd.join();
        stop.store(true, Relaxed);
        let took = beating.join().unwrap();
        crowded.unwrap();
        took
    });
    unharmed(&took, begun.elapsed(), "beside 300 slow connections");
}

#[test]
fn what_an_agent_sent_before_it_hung_up_is_kept_and_counted() {
    let mut world = World::new("hangup");
    world.start();
    let raw = Raw::new(&world);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "one")).unwrap();
    let seed = 4_712;
    let mut random = Random(seed);
    let counted = || {
        let (_, page) = get(world.metrics, "/metrics").unwrap();
        page.lines().find_map(|line| line.strip_prefix("mimamori_collector_frames_accepted_total ")).unwrap().parse::<usize>().unwrap()
    };
    let mut cut = 0;
    for round in 0..50 {
        agent.sample();
        let frames = agent.made[agent.unsent_from..].iter().map(|made| made.frame.clone()).collect();
        let request = raw.post(REPORTS_PATH, &[("Content-Type", REPORTS_TYPE), ("Content-Encoding", "zstd")], &packed(&Batch { frames, preview: None }));
        let mut stream = raw.tls(6, 1).unwrap();
        send(&mut stream, &request).unwrap();
        // Not waiting for anything: the moment of the cut is the test's input.
        thread::sleep(Duration::from_micros(random.between(0, 2000 * (round + 1))));
        stream.sock.shutdown(std::net::Shutdown::Both).unwrap();
        let kept = world.export("ct-1").len();
        wait_until(&format!("round {round}, seed {seed}: {kept} entries are kept, so as many are counted"), SLACK, || counted() >= kept);
        // What is not kept is sent again in the next round.
        cut += usize::from(kept == agent.made.len());
        agent.unsent_from = kept;
    }
    println!("50 agents hung up, {cut} times after the entry was kept");
    assert!(cut >= 10, "only {cut} of 50 hung up behind the commit");
    world.fsck();
}
