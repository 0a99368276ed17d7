//! What is kept, what is dropped and in which order.

use super::*;
use crate::core::Held;
use mimamori_shared::payload::{Class, Counts, LossReason};

#[test]
fn entries_survive_a_crash_and_a_clean_end() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 5);
    let before = writer.chain();
    let copy = folder();
    crash(dir.path(), copy.path());
    drop(outbox);
    for dir in [dir, copy] {
        let (mut outbox, restored, noticed) = open(dir.path());
        assert_eq!((restored.chains.as_slice(), noticed.as_slice(), restored.lost), ([before.clone()].as_slice(), [].as_slice(), None));
        assert_eq!((restored.stated_consent, restored.last_boot), (Some(terms().hash()), Some(BootId([4; 16]))));
        let (entries, tip) = writer.drain(&mut outbox, before.chain_id, Tip::EMPTY);
        assert_eq!((entries.len(), tip), (9, before.tip), "open, consent, plan, first report and five more");
    }
}

#[test]
fn a_receipt_is_durable_with_the_next_entry_or_a_clean_stop() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.receipt(&mut outbox, 1);
    let unsent_from = || {
        let copy = folder();
        crash(dir.path(), copy.path());
        let (_, restored, _) = open(copy.path());
        let held = Ledger::open(copy.path()).unwrap().unwrap().chains().unwrap().remove(0).held;
        (restored.chains[0].unsent_from, restored.chains[0].lease, held.map(|held| (held.receipt, held.certificate)))
    };
    assert_eq!(unsent_from(), (0, Lease::ZERO, None));
    writer.sample(&mut outbox);
    let held = Some((b"rrr".to_vec(), b"ccc".to_vec()));
    assert_eq!(unsent_from(), (2, Lease([6; 16]), held.clone()));
    writer.receipt(&mut outbox, 3);
    outbox.save(writer.agent.chains()).unwrap();
    assert_eq!(unsent_from(), (4, Lease([6; 16]), held));
}

#[test]
fn a_batch_keeps_to_frames_and_bytes_and_carries_a_preview_when_cut() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 10);
    let chain_id = writer.chain().chain_id;
    let batch = |frames, bytes| outbox.batch(chain_id, 0, frames, bytes).unwrap().unwrap().unwrap().body;
    let whole = batch(100, 1 << 20);
    assert_eq!((whole.frames.len(), whole.preview), (14, None));
    let three = batch(3, 1 << 20);
    assert_eq!(three.frames, whole.frames[..3]);
    assert_eq!(three.preview.as_ref(), whole.frames.last());
    let size = |count: usize| whole.frames.iter().take(count).map(|frame| frame.to_lines().len()).sum::<usize>();
    for count in 1..14 {
        assert_eq!(batch(100, size(count)).frames.len(), count);
        assert_eq!(batch(100, size(count + 1) - 1).frames.len(), count);
    }
    assert_eq!(batch(100, 1).frames.len(), 1, "one always goes");
    assert_eq!(outbox.batch(chain_id, 14, 100, 1 << 20).unwrap().unwrap(), None);
}

#[test]
fn adjacent_losses_become_one_and_are_cut_again_where_a_collector_stands() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 10);
    let chain = writer.chain();
    let (pristine, _) = writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY);
    let hash = |seq: usize| pristine[seq + 1].head.prev_hash;
    outbox.quota.age_ms = 0;
    let limit = |writer: &Writer, seq: usize| pristine[seq].head.taken_at_ms + 1 - writer.now.wall_ms;
    for seq in [5, 8] {
        let spec = outbox.trim(writer.agent.chains(), writer.now.wall_ms + limit(&writer, seq)).unwrap().unwrap();
        assert_eq!((spec.first_seq, spec.last_seq, spec.reason), (4, seq as u64, LossReason::Age));
        assert_eq!((spec.counts, spec.last_hash), (Counts { sample: seq as u64 - 3, change: 0, statement: 0 }, hash(seq)));
        writer.event(&mut outbox, Event::Dropped(spec));
        let (entries, tip) = writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY);
        assert_eq!((places(&entries).1, tip), (vec![(4, seq as u64)], chain.tip));
    }
    // A collector that stands in the middle gets the rest of the loss, and one that went back the whole.
    let Held::Bridge(spec) = outbox.rewind(chain.chain_id, 6, hash(5)).unwrap() else { panic!("bridge") };
    assert_eq!((spec.first_seq, spec.last_seq, spec.prev_hash, spec.last_hash), (6, 8, hash(5), hash(8)));
    writer.event(&mut outbox, Event::Dropped(spec));
    let (entries, tip) = writer.drain(&mut outbox, chain.chain_id, Tip { next_seq: 6, head: hash(5) });
    assert_eq!((places(&entries).1, tip), (vec![(6, 8)], chain.tip));
    let (entries, tip) = writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY);
    assert_eq!((places(&entries).1, tip), (vec![(4, 8)], chain.tip));
    assert!(matches!(outbox.rewind(chain.chain_id, 6, hash(4)).unwrap(), Held::Contradicts));
    assert!(matches!(outbox.rewind(chain.chain_id, 99, hash(4)).unwrap(), Held::Contradicts));
    assert_eq!(outbox.rewind(chain.chain_id, 10, hash(9)).unwrap(), Held::All { next_seq: 10 });
}

#[test]
fn a_purge_takes_every_unsent_payload_from_the_file() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 6);
    writer.receipt(&mut outbox, 4);
    let specs = outbox.unsent(writer.agent.chains()).unwrap();
    assert_eq!(specs.iter().map(|spec| (spec.first_seq, spec.last_seq, spec.reason)).collect::<Vec<_>>(), [(5, 9, LossReason::Withdrawn)]);
    for spec in specs {
        writer.event(&mut outbox, Event::Dropped(spec));
    }
    let kept: Vec<i64> = outbox
        .db
        .prepare("SELECT id & 0xffffffff FROM entry WHERE payload IS NOT NULL ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(kept, [0, 1, 2, 3, 4]);
    let chain = writer.chain();
    let (entries, tip) = writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY);
    assert_eq!((places(&entries).1, tip), (vec![(5, 9)], chain.tip));
}

/// Payload bytes of the first entries.
fn bytes(outbox: &Outbox, from: i64, to: i64) -> u64 {
    let sum: i64 = outbox.db.query_row("SELECT SUM(LENGTH(payload)) FROM entry WHERE id & 0xffffffff BETWEEN ? AND ?", [from, to], |row| row.get(0)).unwrap();
    u64::try_from(sum).unwrap()
}

#[test]
fn over_the_quota_what_is_receipted_goes_first_then_unsent_samples_and_nothing_else() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 4);
    writer.change(&mut outbox);
    writer.samples(&mut outbox, 4);
    writer.receipt(&mut outbox, 5);
    let chain = writer.chain();
    let total = bytes(&outbox, 0, 99);
    outbox.quota.bytes = total - 1;
    assert_eq!(writer.trim(&mut outbox), []);
    let kept = |outbox: &Outbox| {
        outbox
            .db
            .prepare("SELECT id & 0xffffffff FROM entry WHERE payload IS NOT NULL ORDER BY id")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect::<Vec<i64>>()
    };
    assert_eq!(kept(&outbox), (1..=12).collect::<Vec<_>>(), "one receipted payload was enough");
    outbox.quota.bytes = bytes(&outbox, 6, 99);
    assert_eq!(writer.trim(&mut outbox), []);
    assert_eq!(kept(&outbox), (6..=12).collect::<Vec<_>>());
    outbox.quota.bytes = 1;
    let specs = writer.trim(&mut outbox);
    assert_eq!(specs.iter().map(|spec| (spec.first_seq, spec.last_seq, spec.counts.sample)).collect::<Vec<_>>(), [(6, 7, 2), (9, 11, 3)]);
    assert_eq!(kept(&outbox), [8, 12], "the change and the newest stay");
    assert!(outbox.over_quota());
    let from = Tip { next_seq: 6, head: hash_before(&outbox.db, 1, 6).unwrap().unwrap() };
    let (entries, tip) = writer.drain(&mut outbox, chain.chain_id, from);
    assert_eq!((places(&entries), tip), ((vec![8, 12], vec![(6, 7), (9, 11)]), chain.tip));
    assert!(entries.iter().filter(|entry| entry.head.seq == 8).all(|entry| entry.class() == Class::Change));
    drop(outbox);
    let (outbox, restored, _) = open(dir.path());
    assert_eq!((outbox.payload_bytes, restored.chains[0].unsent_from), (bytes(&outbox, 0, 99), 0), "receipts came with no later entry");
}

#[test]
fn many_receipted_payloads_go_before_the_first_unsent_sample_and_an_old_chain_does_not_shield_them() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 600);
    writer.receipt(&mut outbox, 599);
    let mut chains = writer.agent.chains().to_vec();
    outbox.quota.bytes = bytes(&outbox, 600, 999);
    assert_eq!(outbox.trim(&chains, writer.now.wall_ms).unwrap(), None);
    assert!(!outbox.over_quota());
    // The same rows as a chain no longer carried, beside an older one that is unsent.
    outbox.quota.bytes = 1;
    let last = i64::try_from(chains[0].tip.next_seq).unwrap() - 1;
    chains.clear();
    assert_eq!(outbox.trim(&chains, writer.now.wall_ms).unwrap(), None);
    assert_eq!(outbox.payload_bytes, bytes(&outbox, last, last), "how a chain ended stays");
}

#[test]
fn what_is_too_old_goes_and_what_is_younger_stays() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 8);
    writer.receipt(&mut outbox, 5);
    outbox.quota.age_ms = 5 * 60_000 - 1;
    let specs = writer.trim(&mut outbox);
    assert_eq!(specs.iter().map(|spec| (spec.first_seq, spec.last_seq, spec.reason)).collect::<Vec<_>>(), [(6, 6, LossReason::Age)]);
    let heads: i64 = outbox.db.query_row("SELECT COUNT(*) FROM entry WHERE payload IS NULL", [], |row| row.get(0)).unwrap();
    assert_eq!(heads, 7, "six receipted and one sample");
}
