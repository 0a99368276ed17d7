//! Revocation beside a collector that is busy, or stopped: the decision is the command's own, and holds when it returns.

use crate::identity_programs::{is_revoked, runtime, signal};
use mimamori_agent::uplink::Outcome;
use mimamori_shared::token::Token;
use mimamori_tests::world::FACILITY;
use mimamori_tests::{SimAgent, World, wait_until};
use std::fs;
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

/// A restore that left the database out, or brought an older one, or left the file of revocations out.
#[test]
fn a_restore_that_lacks_a_part_is_told_by_every_command_and_made_good_by_none() {
    let mut world = World::new("restore");
    world.start();
    let runtime = runtime();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "one")).unwrap();
    runtime.block_on(agent.report_now());
    let (database, file) = (world.state_dir().join("collector.db"), world.state_dir().join("revocation"));
    let backup = world.dir.join("backup.db");
    rusqlite::Connection::open(&database).unwrap().execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    world.kill();
    let clear = || {
        for suffix in ["", "-wal", "-shm"] {
            drop(fs::remove_file(world.state_dir().join(format!("collector.db{suffix}"))));
        }
    };
    clear();
    for empty in [false, true] {
        if empty {
            fs::write(&database, "").unwrap();
        }
        for args in [
            &["machine", "list"][..],
            &["fsck"],
            &["digest"],
            &["token", "list"],
            &["audit", "list"],
            &["facility", "list"],
            &["export", "hcf-1/ct-1"],
            &["serve"],
        ] {
            for (lang, word) in [("en", "Restore it"), ("ja", "復元してください")] {
                let refused = world.try_cli(&[args, &["--lang", lang]].concat());
                let said = String::from_utf8_lossy(&refused.stderr);
                assert!(refused.status.code() == Some(78) && said.contains(word) && said.contains("collector.db"), "{args:?}: {} {said}", refused.status);
            }
        }
        assert_eq!(database.metadata().map_or(0, |meta| meta.len()), 0, "no command makes one");
    }
    clear();
    fs::copy(&backup, &database).unwrap();
    world.fsck();
    world.cli(&["machine", "revoke", &format!("{FACILITY}/ct-1")]);
    world.fsck();
    let fsck_fails = |word: &str, ja: &str| {
        let done = world.try_cli(&["fsck", "--json"]);
        let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert!(done.status.code() == Some(1) && said["ok"] == false && said["faults"][0].as_str().unwrap().contains(word), "{} {said}", done.status);
        let done = world.try_cli(&["fsck", "--lang", "ja"]);
        assert!(done.status.code() == Some(1) && String::from_utf8_lossy(&done.stdout).contains(ja), "{done:?}");
    };
    let good = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fsck_fails("is missing", "確認できません");
    assert!(!file.try_exists().unwrap(), "fsck writes nothing");
    fs::write(&file, good).unwrap();
    clear();
    fs::copy(&backup, &database).unwrap();
    fsck_fails("went back", "以前の状態");
    // Lost for good: an empty one is begun on purpose only, and forgets no revocation.
    clear();
    world.serve_args = vec!["--accept-rollback"];
    world.start();
    world.fsck();
    assert!(world.machines().is_empty() && world.log().contains("of no machine that this database knows"), "{}", world.log());
}
