//! The collector is killed a hundred times under load: what it acknowledged, it has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests: a panic is a failed test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_agent::uplink::Outcome;
use mimamori_shared::payload::{ReceiptStatus, RefusalReason};
use mimamori_tests::sim::now_ms;
use mimamori_tests::{Random, SimAgent, World, times};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const AGENTS: usize = 20;
/// Entries that an agent does not go on beyond while pushes fail.
const BACKLOG: usize = 60;
const READY_WITHIN: Duration = Duration::from_secs(3);

/// What happened to all agents together.
#[derive(Debug, Default)]
struct Tally {
    stop: AtomicBool,
    receipts: AtomicU64,
    failures: AtomicU64,
    behind: AtomicU64,
}

/// Reports as fast as receipts come, until told to stop; then until everything is acknowledged.
async fn live(mut agent: SimAgent, tally: Arc<Tally>, mut random: Random) -> SimAgent {
    loop {
        let stopping = tally.stop.load(Relaxed);
        if stopping && agent.unsent_from == agent.made.len() {
            return agent;
        }
        // Also after a failure: the same entries come again in another batch.
        if !stopping && agent.made.len() - agent.unsent_from < BACKLOG {
            (0..random.between(1, 10)).for_each(|_| agent.sample());
        }
        if agent.unsent_from == agent.made.len() {
            continue;
        }
        let most = usize::try_from(random.between(1, 40)).unwrap();
        let name = agent.enrolled.machine.clone();
        match agent.push(most).await {
            Outcome::Receipted(receipt) => {
                assert_eq!(receipt.status, ReceiptStatus::Ok, "{name} is forked");
                tally.receipts.fetch_add(1, Relaxed);
            }
            Outcome::Refused(refusal) => {
                let RefusalReason::Behind { next_seq, .. } = refusal.reason else { panic!("{name}: {refusal:?}") };
                // It may want what was never acknowledged, and nothing else.
                let acknowledged = agent.receipt.as_ref().map_or(0, |receipt| receipt.seq + 1);
                assert!(next_seq >= acknowledged, "{name}: the collector forgot places {next_seq} to {acknowledged}");
                tally.behind.fetch_add(1, Relaxed);
            }
            Outcome::Failed(..) => {
                tally.failures.fetch_add(1, Relaxed);
                tokio::time::sleep(Duration::from_millis(random.between(2, 20))).await;
            }
            Outcome::PreviewTaken => panic!("{name} sent no preview"),
        }
    }
}

/// Everything acknowledged stands in the export once, byte for byte as it was made, and nothing else does.
fn compare(agent: &SimAgent, kept: &[Value]) {
    let name = &agent.enrolled.machine;
    let places: BTreeSet<u64> = kept.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(places.len(), kept.len(), "{name}: a place stands twice");
    assert_eq!(agent.receipted.len(), agent.made.len(), "{name}: in the end everything is acknowledged");
    assert_eq!(kept.len(), agent.made.len(), "{name}: as much is kept as was made");
    for (line, made) in kept.iter().zip(&agent.made) {
        let (seq, hash) = (line["seq"].as_u64().unwrap(), line["hash"].as_str().unwrap());
        assert_eq!(agent.receipted.get(&seq).map(ToString::to_string).as_deref(), Some(hash), "{name}: place {seq} is not what was acknowledged");
        assert_eq!((line["branch"].as_u64(), line["chain_id"].as_str()), (Some(0), Some(agent.chain_id.to_string().as_str())), "{name}: place {seq}");
        assert_eq!(line["frame"][0].as_str().unwrap().as_bytes(), made.frame.payload, "{name}: place {seq}");
        let wrapper = format!("{} {}", made.frame.key_id, STANDARD.encode(made.frame.signature));
        assert_eq!(line["frame"][1], wrapper, "{name}: place {seq}");
    }
}

/// Rows of evidence, counted in the file itself.
fn rows(world: &World) -> i64 {
    let database = rusqlite::Connection::open(world.state_dir().join("collector.db")).unwrap();
    let mut months = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'evidence_2*'").unwrap();
    let names: Vec<String> = months.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(!names.is_empty(), "no table of evidence");
    names.iter().map(|name| database.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get::<_, i64>(0)).unwrap()).sum()
}

#[test]
fn a_hundred_kills_under_load_lose_nothing_that_was_acknowledged_and_keep_nothing_twice() {
    let kills = usize::try_from(times("MIMAMORI_KILLS", 100)).unwrap();
    let seed = u64::try_from(now_ms()).unwrap();
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut world = World::new("chaos");
    world.start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let tally = Arc::new(Tally::default());
    let names: Vec<String> = (0..AGENTS).map(|n| format!("ct-{n:02}")).collect();
    let mut living = Vec::new();
    for token in &world.tokens(&names) {
        let agent = runtime.block_on(SimAgent::enrol(token, "chaos")).unwrap();
        living.push(runtime.spawn(live(agent, Arc::clone(&tally), Random(random.next()))));
    }
    let (mut ready, mut quiet) = (Vec::new(), 0);
    for kill in 0..kills {
        let before = tally.receipts.load(Relaxed);
        // Not waiting for anything: the moment of the kill is the test's input.
        std::thread::sleep(Duration::from_millis(random.between(300, 1000)));
        quiet += usize::from(tally.receipts.load(Relaxed) == before);
        assert!(living.iter().all(|task| !task.is_finished()), "kill {kill}, seed {seed}: an agent has given up, see above");
        world.kill();
        let took = world.start();
        assert!(took < READY_WITHIN, "kill {kill}, seed {seed}: ready only after {took:?}");
        ready.push(took);
    }
    tally.stop.store(true, Relaxed);
    let draining = Instant::now();
    let drained = runtime.block_on(async {
        let mut agents = Vec::new();
        for task in living {
            agents.push(tokio::time::timeout(Duration::from_secs(60), task).await.expect("everything is delivered within a minute").unwrap());
        }
        agents
    });
    ready.sort();
    let total: usize = drained.iter().map(|agent| agent.made.len()).sum();
    println!(
        "{kills} kills: {total} entries, {} receipts, {} failed pushes, {} times behind, {quiet} quiet intervals; ready after {:?} (median), {:?} (longest); drained in {:.1?}",
        tally.receipts.load(Relaxed),
        tally.failures.load(Relaxed),
        tally.behind.load(Relaxed),
        ready[kills / 2],
        ready[kills - 1],
        draining.elapsed()
    );
    for agent in &drained {
        compare(agent, &world.export(agent.enrolled.machine.as_str()));
    }
    assert_eq!(rows(&world), i64::try_from(total).unwrap(), "rows beside what `export` shows");
    world.fsck();
    // The load was one, and the kills hit it.
    assert!(quiet <= kills / 10, "no receipt at all in {quiet} of {kills} intervals");
    assert!(tally.failures.load(Relaxed) >= kills as u64, "the kills were hardly noticed");
    assert!(total >= AGENTS * kills, "hardly any load: {total}");
}
