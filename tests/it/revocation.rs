//! Revocation beside a collector that is busy, or stopped: the decision is the command's own, and holds when it returns.

use crate::identity_programs::{is_revoked, runtime, signal};
use mimamori_agent::uplink::Outcome;
use mimamori_shared::token::Token;
use mimamori_tests::world::FACILITY;
use mimamori_tests::{SimAgent, World, wait_until};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The command makes it durable by itself: the collector is stopped before it begins and killed before it goes on.
#[test]
fn a_revocation_owes_nothing_to_the_collector_that_runs() {
    let mut world = World::new("stopped");
    world.start();
    let runtime = runtime();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "one")).unwrap();
    runtime.block_on(agent.report_now());
    let done = (0..5).any(|_| {
        signal(&world, "-STOP");
        let done = world.try_cli(&["machine", "revoke", &format!("{FACILITY}/ct-1")]).status.success();
        // Stopped within a write of its own it keeps the database closed: then nothing was decided, and it goes on.
        signal(&world, if done { "-KILL" } else { "-CONT" });
        done
    });
    assert!(done, "the command fails each time");
    world.kill();
    world.start();
    agent.sample();
    assert!(is_revoked(&runtime.block_on(agent.push(usize::MAX))));
    world.fsck();
}

/// What one agent saw that pushes without a pause until it is refused or nobody answers.
struct Pushed {
    agent: SimAgent,
    /// When the last push that was accepted began.
    last: Option<Instant>,
    /// When it was told that it is revoked.
    refused: Option<Instant>,
}

async fn push_on(mut agent: SimAgent, accepted: Arc<AtomicUsize>) -> Pushed {
    let mut last = None;
    loop {
        agent.sample();
        let begun = Instant::now();
        match agent.push(usize::MAX).await {
            Outcome::Receipted(_) => {
                accepted.fetch_add(1, Relaxed);
                last = Some(begun);
            }
            Outcome::Failed(..) => return Pushed { agent, last, refused: None },
            outcome => {
                assert!(is_revoked(&outcome), "{outcome:?}");
                return Pushed { agent, last, refused: Some(Instant::now()) };
            }
        }
    }
}

/// EN-09, I18.
#[test]
fn a_revocation_holds_at_once_while_agents_push_without_a_pause() {
    let mut world = World::new("busy");
    world.start();
    let runtime = runtime();
    let names: Vec<String> = (1..=8).map(|n| format!("ct-{n}")).collect();
    let tokens = world.tokens(&names);
    let began = Instant::now();
    let accepted = Arc::new(AtomicUsize::new(0));
    let enrol = |token: &Token| runtime.block_on(SimAgent::enrol(token, "one")).unwrap();
    let pushing: Vec<_> = tokens.iter().map(|token| runtime.spawn(push_on(enrol(token), Arc::clone(&accepted)))).collect();
    wait_until("all push", Duration::from_secs(30), || accepted.load(Relaxed) >= 80);
    let revoke = |name: &str| {
        world.cli(&["machine", "revoke", &format!("{FACILITY}/{name}")]);
        Instant::now()
    };
    let mut returned: Vec<Instant> = names[..4].iter().map(|name| revoke(name)).collect();
    // The fifth one's decision is followed by the kill with nothing between.
    returned.push(revoke(&names[4]));
    world.kill();
    let spent = began.elapsed();
    let mut pushed: Vec<Pushed> = pushing.into_iter().map(|task| runtime.block_on(task).unwrap()).collect();
    println!("{} pushes of 8 agents accepted in {spent:.1?}", accepted.load(Relaxed));
    for (n, returned) in returned.iter().enumerate() {
        let Pushed { last, refused, .. } = &pushed[n];
        assert!(last.is_none_or(|last| last <= *returned), "{}: a push was accepted that began after the command had returned", names[n]);
        if let Some(refused) = refused {
            println!("{}: told {:.1?} after the command returned", names[n], refused.saturating_duration_since(*returned));
            assert!(refused.saturating_duration_since(*returned) < Duration::from_secs(1));
        } else {
            assert_eq!(n, 4, "only the last one may not have been told before the kill");
        }
    }
    world.start();
    for (n, one) in pushed.iter_mut().enumerate() {
        one.agent.sample();
        let outcome = runtime.block_on(one.agent.push(usize::MAX));
        assert_eq!(is_revoked(&outcome), n < 5, "{}: {outcome:?}", names[n]);
    }
    world.fsck();
}
