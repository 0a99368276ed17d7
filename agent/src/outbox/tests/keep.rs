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
        assert_eq!((spec.counts, spec.last_hash), (Counts { sample: seq as u64 - 3, ..Counts::default() }, hash(seq)));
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
    let kept: Vec<i64> =
        outbox.db.prepare("SELECT id & 0xffffffff FROM entry ORDER BY id").unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(kept, [0, 1, 2, 3, 4]);
    let chain = writer.chain();
    let (entries, tip) = writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY);
    assert_eq!((places(&entries).1, tip), (vec![(5, 9)], chain.tip));
}

/// Places of one chain whose payloads are kept.
fn kept(outbox: &Outbox) -> Vec<i64> {
    let mut statement = outbox.db.prepare("SELECT id & 0xffffffff FROM entry ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn all_used(outbox: &Outbox) -> u64 {
    heads::used(&outbox.db, i64::MIN, i64::MAX).unwrap()
}

#[test]
fn over_the_quota_what_is_receipted_goes_first_then_samples_then_unchanged_reports_and_nothing_else() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 2);
    writer.unchanged(&mut outbox);
    writer.sample(&mut outbox);
    writer.change(&mut outbox);
    writer.samples(&mut outbox, 2);
    writer.unchanged(&mut outbox);
    writer.sample(&mut outbox);
    writer.receipt(&mut outbox, 4);
    let chain = writer.chain();
    assert_eq!((chain.tip.next_seq, outbox.bytes), (13, all_used(&outbox)));
    outbox.quota.bytes = outbox.bytes - 1;
    assert_eq!(writer.trim(&mut outbox), []);
    assert_eq!(kept(&outbox), (1..=12).collect::<Vec<_>>(), "one receipted payload was enough");
    while kept(&outbox)[0] < 5 {
        outbox.quota.bytes = outbox.bytes - 1;
        assert_eq!(writer.trim(&mut outbox), [], "receipted ones first");
    }
    let mut dropped = Vec::new();
    let mut classes = Vec::new();
    loop {
        outbox.quota.bytes = 1.max(outbox.bytes - 1);
        let Some(spec) = outbox.trim(writer.agent.chains(), writer.now.wall_ms).unwrap() else { break };
        let before = kept(&outbox);
        writer.event(&mut outbox, Event::Dropped(spec.clone()));
        dropped.push((spec.first_seq, spec.last_seq, spec.reason));
        classes.extend(before.into_iter().filter(|id| !kept(&outbox).contains(id)));
        assert_eq!(outbox.bytes, all_used(&outbox), "what counts against the quota is what is there");
    }
    assert_eq!(classes, [5, 7, 9, 10, 6, 11], "samples, then unchanged ones: {dropped:?}");
    assert_eq!(kept(&outbox), [8, 12], "the change and the newest stay");
    let queue = Ledger::open(dir.path()).unwrap().unwrap().queue().unwrap();
    let taken = |seq: i64| 1_000_000 + 60_000 * (seq - 3);
    assert_eq!((queue.bytes, queue.dropped.sample, queue.dropped.unchanged, queue.dropped.total()), (outbox.bytes, 4, 2, 6));
    assert_eq!((queue.oldest_unsent_ms, queue.dropped_span_ms.map(|(_, to_ms)| to_ms)), (Some(taken(8)), Some(taken(11))), "what `status` says of it");
    let from = Tip { next_seq: 5, head: hash_before(&outbox.db, 1, 5).unwrap().unwrap() };
    let (entries, tip) = writer.drain(&mut outbox, chain.chain_id, from);
    assert_eq!((places(&entries), tip), ((vec![8, 12], vec![(5, 7), (9, 11)]), chain.tip));
    let counts = entries.iter().filter_map(|entry| if let Body::Loss(loss) = &entry.body { Some(loss.counts) } else { None }).collect::<Vec<_>>();
    assert_eq!(counts, [Counts { sample: 2, unchanged: 1, ..Counts::default() }; 2]);
    assert!(entries.iter().filter(|entry| entry.head.seq == 8).all(|entry| entry.class() == Class::Change));
    drop(outbox);
    let (outbox, restored, _) = open(dir.path());
    assert_eq!((outbox.bytes, restored.chains[0].unsent_from), (all_used(&outbox), 0), "receipts came with no later entry");
}

#[test]
fn when_changes_alone_fill_it_only_changes_and_statements_are_created() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    for _ in 0..5 {
        writer.change(&mut outbox);
    }
    outbox.quota.bytes = outbox.bytes - 1;
    assert_eq!(writer.trim(&mut outbox), []);
    let before = writer.chain().tip;
    writer.sample(&mut outbox);
    writer.unchanged(&mut outbox);
    assert_eq!((writer.failed, writer.chain().tip), (2, before), "not created, so nothing is lost");
    writer.change(&mut outbox);
    assert_eq!(writer.chain().tip.next_seq, before.next_seq + 1);
    // A receipt makes room, and then samples are taken again.
    writer.receipt(&mut outbox, before.next_seq);
    assert_eq!(writer.trim(&mut outbox), []);
    writer.sample(&mut outbox);
    assert_eq!((writer.failed, writer.chain().tip.next_seq), (2, before.next_seq + 2));
}

/// A chain whose key is gone cannot be bridged any more: naming its loss again and again would keep everything else waiting.
#[test]
fn a_loss_that_nobody_can_record_does_not_keep_the_outbox_from_being_full() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 5);
    outbox.quota.bytes = 1;
    let mut chains = writer.agent.chains().to_vec();
    chains[0].blocked = true;
    assert!(outbox.trim(&chains, writer.now.wall_ms).unwrap().is_some());
    assert_eq!(outbox.trim(&chains, writer.now.wall_ms).unwrap(), None);
    writer.sample(&mut outbox);
    assert_eq!(writer.failed, 1, "full, so that no sample makes it grow");
}

#[test]
fn many_receipted_payloads_go_before_the_first_unsent_sample_and_an_old_chain_does_not_shield_them() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 600);
    writer.receipt(&mut outbox, 599);
    let mut chains = writer.agent.chains().to_vec();
    outbox.quota.bytes = 60_000;
    assert_eq!(outbox.trim(&chains, writer.now.wall_ms).unwrap(), None);
    assert!(!outbox.over_quota() && kept(&outbox).contains(&600));
    // The same rows as a chain no longer carried, beside an older one that is unsent.
    outbox.quota.bytes = 1;
    let last = i64::try_from(chains[0].tip.next_seq).unwrap() - 1;
    chains.clear();
    assert_eq!(outbox.trim(&chains, writer.now.wall_ms).unwrap(), None);
    assert_eq!(kept(&outbox), [last], "how a chain ended stays");
    assert_eq!(outbox.bytes, all_used(&outbox));
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
    assert_eq!(heads::count(&outbox.db, id_of(1, 0), id_of(1, 99)).unwrap(), 7, "six receipted and one sample");
}

/// Heads are kept for ever: small, whole at every place, and a collector that lost everything is led over them.
#[test]
fn heads_of_what_is_gone_are_small_and_tell_the_hash_at_every_place() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 1_200);
    writer.change(&mut outbox);
    let chain = writer.chain();
    let (pristine, _) = writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY);
    writer.receipt(&mut outbox, 1_203);
    let before = outbox.bytes;
    // An hour at a time, as it is trimmed.
    for hour in (0..=20).rev() {
        outbox.quota.age_ms = (hour * 60 + 1) * 60_000 - 1;
        assert_eq!(writer.trim(&mut outbox), []);
    }
    let (gone, runs): (i64, i64) = outbox.db.query_row("SELECT SUM(LENGTH(classes)), COUNT(*) FROM heads", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!((gone, kept(&outbox)), (1_204, vec![1_204]));
    let each = outbox.bytes as f64 / gone as f64;
    println!("{before} bytes became {} in {runs} runs: {each:.1} a place", outbox.bytes);
    assert!(each < 37.0, "{each} bytes a place");
    for place in [0, 1, 255, 256, 257, 700, 1_203] {
        let head = pristine[place].head.prev_hash;
        let at = place as u64;
        let Held::Bridge(spec) = outbox.rewind(chain.chain_id, at, head).unwrap() else { panic!("place {place}") };
        assert_eq!((spec.first_seq, spec.last_seq, spec.prev_hash, spec.last_hash), (at, 1_203, head, pristine[1_204].head.prev_hash));
        let statements = 3_u64.saturating_sub(at);
        let changes = u64::from(at <= 3);
        assert_eq!(spec.counts, Counts { sample: 1_204 - at - statements - changes, unchanged: 0, change: changes, statement: statements });
    }
    let ledger = Ledger::open(dir.path()).unwrap().unwrap();
    let mut tip = Tip::EMPTY;
    ledger
        .walk::<OutboxError>(&ledger.chains().unwrap()[0], None, |entry| {
            let (seq, hash) = match entry {
                LedgerEntry::Head { seq, prev_hash, tip_hash, damaged, key_id, .. } => {
                    assert_eq!((prev_hash, damaged, key_id), (tip.head, false, Some(key().public().id())));
                    (seq, tip_hash)
                }
                LedgerEntry::Frame { seq, tip_hash, .. } => (seq, tip_hash),
            };
            assert_eq!(seq, tip.next_seq);
            tip = Tip { next_seq: seq + 1, head: hash };
            Ok(())
        })
        .unwrap();
    assert_eq!(tip, chain.tip);
    drop(outbox);
    let (outbox, restored, noticed) = open(dir.path());
    assert_eq!((restored.chains[0].tip, noticed.len(), outbox.bytes), (chain.tip, 0, all_used(&outbox)));
}

#[test]
fn a_wiped_payload_is_nowhere_in_the_file() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 30);
    let payload: Vec<u8> = outbox.db.query_row("SELECT payload FROM entry WHERE id & 0xff = 9", [], |row| row.get(0)).unwrap();
    let holds = || std::fs::read(dir.path().join(FILE)).unwrap().windows(payload.len()).any(|window| window == payload);
    outbox.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert!(holds());
    for spec in outbox.unsent(writer.agent.chains()).unwrap() {
        writer.event(&mut outbox, Event::Dropped(spec));
    }
    drop(outbox);
    assert!(!holds());
}

/// DU-08: reports of this very machine, all consented, for 30 days of a minute each.
#[test]
fn thirty_days_of_an_outage_fit_into_the_default_quota() {
    const REPORTS: i64 = 30 * 24 * 60;
    let dir = folder();
    let (mut outbox, restored, _) = open(dir.path());
    let mut writer = Writer::new(restored, 9);
    let mut all = terms();
    all.scopes = Scope::ALL.into_iter().map(|scope| (scope, ScopeTerms { every_s: 60, except: Vec::new(), include: Vec::new() })).collect();
    writer.event(&mut outbox, Event::Consent(Consent::Valid(all)));
    let names = crate::probe::Names::new(&[5; 32], BTreeMap::new());
    let (readings, faults) = crate::probe::sample(&crate::probe::Sources::of(&crate::host::Host::live(), &names), &|_| true);
    writer.readings = Some((readings, faults));
    let before = outbox.bytes;
    let on_disk = |outbox: &Outbox| {
        outbox.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        std::fs::metadata(dir.path().join(FILE)).unwrap().len() as i64
    };
    let empty = on_disk(&outbox);
    const TAKEN: i64 = 300;
    (0..TAKEN).for_each(|_| writer.sample(&mut outbox));
    let each = (outbox.bytes - before) as i64 / TAKEN;
    let file = (on_disk(&outbox) - empty) / TAKEN;
    println!("{each} bytes counted a report, {file} in the file: {} MiB in 30 days", (each.max(file) * REPORTS) >> 20);
    // Half of it for machines with more disks and interfaces than this one.
    assert!(each.max(file) * REPORTS < 128 << 20, "{each} bytes a report, {file} in the file");
    assert!(file <= each + each / 50, "the file takes {file} bytes a report, {each} are counted");
}

/// What a row is counted as is what it takes of the file, whatever its length: little and long ones, just below and above what
/// fits once, twice or three times on a page, and those that go on in further pages.
#[test]
fn rows_of_any_length_are_counted_as_what_they_take_of_the_file() {
    for length in [0, 60, 300, 1_195, 1_200, 1_203, 1_206, 1_215, 1_875, 1_882, 1_885, 1_890, 3_880, 3_900, 3_905, 3_910, 3_930, 4_500, 7_980, 8_020, 60_000] {
        let (taken, counted) = taken_and_counted(length);
        // A page of the tree above the leaves, and a leaf that is not yet full.
        assert!(taken <= counted + counted / 50 + 8_192, "{length}: {taken} taken, {counted} counted");
        // The head is counted at its longest: eight bytes may be what keeps a row from fitting.
        let (longer, _) = taken_and_counted(length + 8);
        assert!(counted <= longer, "{length}: {longer} taken by longer ones, {counted} counted");
    }
}

/// Bytes that 200 rows with payloads of a length take of a new file, and as what they count.
fn taken_and_counted(length: i64) -> (u64, u64) {
    let dir = folder();
    let db = schema::open(&dir.path().join(FILE)).unwrap();
    let pages = || {
        let query = "SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count";
        db.query_row::<i64, _, _>(query, [], |row| row.get(0)).unwrap().unsigned_abs()
    };
    let before = pages();
    let kind = mimamori_shared::sign::PayloadType::Statement.name();
    let insert = "INSERT INTO entry VALUES (?, ?, 3, 1800000000000, zeroblob(8), zeroblob(64), zeroblob(32), zeroblob(16), zeroblob(?))";
    (0..200).for_each(|seq| assert_eq!(db.execute(insert, rusqlite::params![id_of(1, seq), kind, length]).unwrap(), 1));
    ((pages() - before) * 4_096, heads::used(&db, i64::MIN, i64::MAX).unwrap())
}
