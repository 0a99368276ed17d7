//! Damaged files: opening never fails, and everything that was created is accepted, lost or indeterminate.

use super::*;
use crate::core::Held;
use mimamori_shared::payload::{LossReason, OpenReason, Statement};
use std::time::{Duration, Instant};

#[test]
fn a_tip_ahead_of_the_database_is_a_loss_of_exactly_those_places() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 3);
    let old = folder();
    crash(dir.path(), old.path());
    writer.samples(&mut outbox, 4);
    let chain = writer.chain();
    std::fs::copy(dir.path().join("tip"), old.path().join("tip")).unwrap();
    for _ in 0..2 {
        let (mut outbox, mut writer, noticed) = Writer::start(old.path());
        assert!(noticed.is_empty() || noticed == [Noticed::TailLost { entries: 4 }], "said once: {noticed:?}");
        writer.sample(&mut outbox);
        let (entries, _) = writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY);
        let loss = entries.iter().find_map(|entry| if let Body::Loss(loss) = &entry.body { Some(loss.clone()) } else { None }).unwrap();
        assert_eq!((loss.first_seq, loss.last_seq, loss.last_hash, loss.reason), (7, 10, chain.tip.head, LossReason::Damage));
        assert_eq!(entries.iter().find(|entry| entry.head.seq == 11).unwrap().head.prev_hash, chain.tip.head);
        // Beside it, a rewind into the middle of what is not known cannot be answered, but its beginning can.
        assert_eq!(outbox.rewind(chain.chain_id, 9, Hash([1; 32])).unwrap(), Held::Contradicts);
    }
}

#[test]
fn a_lost_database_is_told_with_the_place_that_the_tip_file_knows() {
    for (what, tip_too) in [("gone", false), ("garbage", false), ("empty", false), ("short", false), ("gone", true), ("garbage", true)] {
        let dir = folder();
        let (mut outbox, mut writer, _) = Writer::start(dir.path());
        writer.samples(&mut outbox, 3);
        let chain = writer.chain();
        drop(outbox);
        let path = dir.path().join(FILE);
        match what {
            "gone" => std::fs::remove_file(&path).unwrap(),
            "garbage" => std::fs::write(&path, vec![0x5a; 20_000]).unwrap(),
            "empty" => std::fs::write(&path, b"").unwrap(),
            _ => std::fs::write(&path, &std::fs::read(&path).unwrap()[..3000]).unwrap(),
        }
        if tip_too {
            std::fs::remove_file(dir.path().join("tip")).unwrap();
        }
        let place = Place { chain_id: chain.chain_id, seq: chain.tip.next_seq - 1, hash: chain.tip.head };
        let expected = match (what, tip_too) {
            (_, false) => Some(Some(place)),
            ("gone", true) => None,
            (_, true) => Some(None),
        };
        let (_, restored, noticed) = open(dir.path());
        assert_eq!((restored.lost, restored.chains.len()), (expected, 0), "{what}");
        let aside = dir.path().join("outbox.db.broken-7");
        let set_aside = matches!(what, "garbage" | "short");
        assert_eq!(noticed, if set_aside { vec![Noticed::SetAside(aside.clone())] } else { vec![] }, "{what}");
        assert_eq!(aside.try_exists().unwrap(), set_aside);
        let (mut outbox, mut writer, _) = Writer::start(dir.path());
        let newest = writer.chain().chain_id;
        let (entries, _) = writer.drain(&mut outbox, newest, Tip::EMPTY);
        let Body::Statement(Statement::Open { reason, previous }) = &entries[0].body else { panic!("open") };
        if !tip_too {
            assert_eq!((*reason, *previous), (OpenReason::StateLost, Some(place)), "{what}, also after another start");
        }
    }
}

#[test]
fn a_second_file_set_aside_does_not_overwrite_the_first_and_a_third_ousts_it() {
    let dir = folder();
    for count in 1..4 {
        std::fs::write(dir.path().join(FILE), vec![count; 5000]).unwrap();
        let (_, _, noticed) = open(dir.path());
        assert_eq!(noticed.len(), 1);
        let aside = std::fs::read_dir(dir.path()).unwrap().filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("broken")).count();
        assert_eq!(aside, usize::from(count).min(2));
    }
}

#[test]
fn a_damaged_payload_head_or_loss_record_costs_its_own_place_only() {
    for (harm, lost) in [
        ("UPDATE entry SET payload = zeroblob(LENGTH(payload)) WHERE id & 0xff = 6", vec![(6, 6)]),
        ("UPDATE entry SET payload = (SELECT payload FROM entry WHERE id & 0xff = 7) WHERE id & 0xff = 6", vec![(6, 6)]),
        ("UPDATE entry SET payload = zeroblob(0) WHERE id & 0xff IN (5, 6)", vec![(5, 6)]),
        ("UPDATE entry SET hash = zeroblob(32) WHERE id & 0xff = 6", vec![(6, 6)]),
        ("UPDATE entry SET hash = 'text' WHERE id & 0xff IN (6, 7)", vec![(6, 7)]),
        ("UPDATE entry SET signature = zeroblob(64) WHERE id & 0xff = 9", vec![(9, 9)]),
        ("UPDATE entry SET class = 9, taken_at_ms = -1 WHERE id & 0xff = 6", vec![(6, 6)]),
        ("DELETE FROM entry WHERE id & 0xff IN (4, 5, 8)", vec![(4, 5), (8, 8)]),
        ("UPDATE entry SET id = id + 100 WHERE id & 0xff = 9", vec![(9, 9)]),
        ("UPDATE entry SET id = id + (5 << 40) WHERE id & 0xff = 9", vec![(9, 9)]),
        ("DELETE FROM entry", vec![(0, 9)]),
    ] {
        let dir = folder();
        let (mut outbox, mut writer, _) = Writer::start(dir.path());
        writer.samples(&mut outbox, 6);
        outbox.db.execute_batch(harm).unwrap();
        drop(outbox);
        let (mut outbox, mut writer, _) = Writer::start(dir.path());
        writer.sample(&mut outbox);
        let chain = writer.chain();
        let (entries, tip) = writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY);
        assert_eq!((places(&entries).1, tip), (lost, chain.tip), "{harm}");
        assert!(entries.iter().all(|entry| if let Body::Loss(loss) = &entry.body { loss.reason == LossReason::Damage } else { true }), "{harm}");
        for harm in ["UPDATE loss SET payload = X'00'", "UPDATE loss SET last_id = last_id + 1", "UPDATE loss SET signature = zeroblob(64)"] {
            outbox.db.execute_batch(harm).unwrap();
            assert_eq!(writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY).1, chain.tip, "made again after {harm}");
        }
    }
}

#[test]
fn damage_to_what_cannot_be_made_again_sets_the_file_aside() {
    for harm in [
        "UPDATE chain SET chain_id = zeroblob(16)",
        "UPDATE chain SET unsent_from = 9",
        "UPDATE chain SET no = -5",
        "UPDATE chain SET lease = 'x'",
        "UPDATE state SET value = X'01' WHERE key = 'push_fail_ms'",
        "UPDATE state SET key = 'other' WHERE key = 'consent'",
        "ALTER TABLE entry RENAME COLUMN taken_at_ms TO token_at_ms",
        "DROP TABLE gap",
        "DROP TABLE heads",
        "CREATE TABLE other (a)",
        "INSERT INTO gap VALUES (1, 2, X'', X'', X'')",
    ] {
        let dir = folder();
        let (outbox, writer, _) = Writer::start(dir.path());
        let chain = writer.chain();
        outbox.db.execute_batch(harm).unwrap();
        drop(outbox);
        let (mut outbox, restored, noticed) = open(dir.path());
        assert_eq!(restored.lost.unwrap().unwrap().chain_id, chain.chain_id, "{harm}");
        assert!(matches!(noticed.as_slice(), [Noticed::SetAside(_)]));
        let mut writer = Writer::new(restored, 77);
        writer.event(&mut outbox, Event::Consent(Consent::Valid(terms())));
        assert_eq!((writer.created, writer.failed), (4, 0));
    }
}

#[test]
fn healing_while_running_begins_a_new_file_and_a_full_disk_does_not() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 3);
    let chain = writer.chain();
    assert!(outbox.heal(&OutboxError::NoSpace(5), 1).unwrap().is_none());
    let full = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
    assert!(outbox.heal(&full.into(), 1).unwrap().is_none());
    assert_eq!(writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY).1, chain.tip);
    outbox.db.execute_batch("DROP TABLE loss").unwrap();
    let fault = outbox.batch(chain.chain_id, 0, 5, 5000).unwrap_err();
    let (restored, noticed) = outbox.heal(&fault, 1).unwrap().unwrap();
    assert_eq!((restored.lost.unwrap().unwrap().hash, noticed.len()), (chain.tip.head, 1));
    let mut writer = Writer::new(restored, 50);
    writer.event(&mut outbox, Event::Consent(Consent::Valid(terms())));
    writer.samples(&mut outbox, 3);
    drop(outbox);
    let (_, restored, noticed) = open(dir.path());
    assert_eq!((restored.chains, restored.lost, noticed.len()), (vec![writer.chain()], None, 0));
}

/// Nine entries, some in the file and some in its log, a receipt, a loss and packed heads, on pages so small that every
/// byte can be tried.
fn small_outbox() -> (tempfile::TempDir, Vec<Entry>, ChainState) {
    let dir = folder();
    let small = Connection::open(dir.path().join(FILE)).unwrap();
    small.execute_batch("PRAGMA page_size = 512; PRAGMA journal_mode = WAL;").unwrap();
    drop(small);
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.sample(&mut outbox);
    let chain_id = writer.chain().chain_id;
    let (mut pristine, _) = writer.drain(&mut outbox, chain_id, Tip::EMPTY);
    writer.receipt(&mut outbox, 3);
    writer.sample(&mut outbox);
    drop(outbox);
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 2);
    let chain = writer.chain();
    let from = Tip { next_seq: 5, head: hash_before(&outbox.db, 1, 5).unwrap().unwrap() };
    pristine.extend(writer.drain(&mut outbox, chain_id, from).0);
    let spec = rows::describe(&outbox.db, 1, chain_id, (5, 6), LossReason::Age).unwrap();
    writer.event(&mut outbox, Event::Dropped(spec));
    let copy = folder();
    crash(dir.path(), copy.path());
    (copy, pristine, chain)
}

/// Says which harm it was when a test fails deep within.
struct Told<'a>(&'a str);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("this was {}", self.0);
        }
    }
}

/// Opens harmed files, goes on, and gives an account: the account's parts are asserted on the way.
fn survives(good: &Path, name: &str, harmed: &[u8], pristine: &[Entry], chain: &ChainState, what: &str) {
    let _told = Told(what);
    let dir = folder();
    crash(good, dir.path());
    std::fs::write(dir.path().join(name), harmed).unwrap();
    let began = Instant::now();
    let (mut outbox, restored, _) = open(dir.path());
    assert!(began.elapsed() < Duration::from_secs(2), "{what}");
    let (lost, chains) = (restored.lost, restored.chains.clone());
    let mut writer = Writer::new(restored, 100);
    writer.event(&mut outbox, Event::Consent(Consent::Valid(terms())));
    writer.sample(&mut outbox);
    assert!(writer.created >= 1 && writer.failed == 0, "{what}: the next commit works");
    for held in &chains {
        assert_eq!(held.chain_id, chain.chain_id, "{what}");
        let at = usize::try_from(held.unsent_from).unwrap();
        let from = pristine.get(at).map_or(chain.tip, |entry| Tip { next_seq: held.unsent_from, head: entry.head.prev_hash });
        let (entries, tip) = match writer.try_drain(&mut outbox, chain.chain_id, from) {
            Ok(drained) => drained,
            // Not even the hash before the harm is left: the file is set aside while running, and the rest is indeterminate.
            Err(fault) => return begins_anew(&mut outbox, &fault, what),
        };
        let (kept, bridged) = places(&entries);
        let account = kept.len() as u64 + bridged.iter().map(|(first, last)| last - first + 1).sum::<u64>();
        assert_eq!(account, tip.next_seq - held.unsent_from, "{what}");
        if lost.is_none() && name != "tip" {
            assert!(tip.next_seq > chain.tip.next_seq, "{what}: what was created is accounted for");
        }
    }
    let newest = writer.chain();
    if newest.chain_id != chain.chain_id {
        assert!(lost.is_some(), "{what}: a new chain is opened only when the state was lost");
        assert_eq!(writer.drain(&mut outbox, newest.chain_id, Tip::EMPTY).1, newest.tip, "{what}");
    }
    outbox.trim(writer.agent.chains(), i64::MAX).unwrap();
    let ledger = Ledger::open(dir.path()).unwrap().unwrap();
    for chain in ledger.chains().unwrap() {
        ledger.walk::<OutboxError>(&chain, None, |_| Ok(())).unwrap();
    }
}

/// As the shell does with a file that turns out to be beyond use.
fn begins_anew(outbox: &mut Outbox, fault: &OutboxError, what: &str) {
    let (restored, noticed) = outbox.heal(fault, 7).unwrap().unwrap();
    assert!(restored.lost.is_some() && matches!(noticed.as_slice(), [Noticed::SetAside(_)]), "{what}");
    let mut writer = Writer::new(restored, 55);
    writer.event(outbox, Event::Consent(Consent::Valid(terms())));
    writer.sample(outbox);
    assert!(writer.created >= 5 && writer.failed == 0, "{what}");
    let newest = writer.chain();
    assert_eq!(writer.drain(outbox, newest.chain_id, Tip::EMPTY).1, newest.tip, "{what}");
}

/// Flips a bit of a byte, and cuts the file there. `make torture` does it at every byte (`MIMAMORI_EVERY_BYTE`), which
/// takes minutes; otherwise every 13th is tried, beginning somewhere else each time.
#[allow(clippy::disallowed_methods, reason = "make torture raises the figures of ordinary tests")]
fn harm(name: &str, part: usize, parts: usize) {
    let (dir, pristine, chain) = small_outbox();
    let good = std::fs::read(dir.path().join(name)).unwrap();
    let began = Instant::now();
    survives(dir.path(), name, &good, &pristine, &chain, "unharmed");
    let (step, from) = if std::env::var("MIMAMORI_EVERY_BYTE").is_ok() { (1, 0) } else { (13, std::process::id() as usize % 13) };
    let mut count = 0;
    for position in (part + from * parts..good.len()).step_by(parts * step) {
        let mut bad = good.clone();
        bad[position] ^= 1 << (position % 8);
        survives(dir.path(), name, &bad, &pristine, &chain, &format!("{name} byte {position}"));
        survives(dir.path(), name, &good[..position], &pristine, &chain, &format!("{name} cut at {position}"));
        count += 2;
    }
    println!("{name}: {} bytes, {count} harms in {:.1?}", good.len(), began.elapsed());
}

#[test]
fn any_harm_to_the_database_is_survived() {
    harm(FILE, 0, 2);
}

#[test]
fn any_harm_to_the_other_half_of_the_database_is_survived() {
    harm(FILE, 1, 2);
}

#[test]
fn any_harm_to_its_log_is_survived() {
    harm("outbox.db-wal", 0, 2);
}

#[test]
fn any_harm_to_the_other_half_of_its_log_is_survived() {
    harm("outbox.db-wal", 1, 2);
}

#[test]
fn any_harm_to_the_tip_file_is_survived() {
    harm("tip", 0, 1);
}

#[test]
fn the_newest_two_files_that_were_set_aside_stay_and_a_purge_removes_them_too() {
    let dir = folder();
    let (outbox, _, _) = Writer::start(dir.path());
    let names = || {
        let mut names: Vec<String> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.contains("broken"));
        names.sort();
        names
    };
    for name in ["9", "9-wal", "9-2", "10", "10-shm", "8-3"] {
        std::fs::write(dir.path().join(format!("outbox.db.broken-{name}")), name).unwrap();
    }
    open::forget_set_aside(&dir.path().join(FILE), 2).unwrap();
    assert_eq!(names(), ["outbox.db.broken-10", "outbox.db.broken-10-shm", "outbox.db.broken-9-2"]);
    outbox.forget_set_aside().unwrap();
    assert_eq!(names(), [""; 0]);
}
