//! Whatever happens to the outbox, it holds what a list would hold.

use super::*;
use mimamori_shared::payload::Class;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Commit {
        class: Class,
    },
    Receipt {
        part: u8,
    },
    Trim {
        bytes: u64,
    },
    /// Reads everything unsent, so that gaps are bridged.
    Drain,
    Reopen,
    Crash,
    /// Loses what is newer than the last crash copy but for the tip file.
    LoseTail,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => prop_oneof![Just(Class::Sample), Just(Class::Unchanged), Just(Class::Change)].prop_map(|class| Op::Commit { class }),
        2 => any::<u8>().prop_map(|part| Op::Receipt { part }),
        2 => (0_u64..6000).prop_map(|bytes| Op::Trim { bytes }),
        1 => Just(Op::Drain),
        1 => Just(Op::Reopen),
        1 => Just(Op::Crash),
        1 => Just(Op::LoseTail),
    ]
}

/// The naive model: one cell a place.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Sample,
    Kept,
    Lost,
}

/// The folder moves on to a copy of its files, as after a power cut.
fn restart(dir: &mut tempfile::TempDir, from: Option<&Path>) -> (Outbox, Writer) {
    let copy = folder();
    crash(from.unwrap_or(dir.path()), copy.path());
    if from.is_some() {
        std::fs::copy(dir.path().join("tip"), copy.path().join("tip")).unwrap();
    }
    *dir = copy;
    let (mut outbox, restored, _) = open(dir.path());
    assert_eq!(restored.lost, None);
    let mut writer = Writer::new(restored, 9);
    writer.event(&mut outbox, Event::Consent(Consent::Valid(terms())));
    (outbox, writer)
}

fn play(ops: Vec<Op>) {
    let mut dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    let chain_id = writer.chain().chain_id;
    let mut cells = vec![Cell::Kept; 4];
    let mut delivered = Tip::EMPTY;
    let mut saved: Option<(tempfile::TempDir, Vec<Cell>)> = None;
    for op in ops {
        match op {
            Op::Commit { class } => match class {
                Class::Sample => writer.sample(&mut outbox),
                Class::Unchanged => writer.unchanged(&mut outbox),
                Class::Change | Class::Statement => writer.change(&mut outbox),
            },
            Op::Receipt { part } => {
                // What is receipted was delivered; the collector checked it.
                let (entries, _) = writer.drain(&mut outbox, chain_id, delivered);
                let count = entries.len() * usize::from(part) / 255;
                for entry in entries.into_iter().take(count) {
                    let (last, head) = match &entry.body {
                        Body::Loss(loss) => (loss.last_seq, loss.last_hash),
                        _ => (entry.head.seq, hash_before(&outbox.db, 1, entry.head.seq + 1).unwrap().unwrap()),
                    };
                    delivered = Tip { next_seq: last + 1, head };
                }
                if let Some(seq) = delivered.next_seq.checked_sub(1) {
                    writer.receipt(&mut outbox, seq);
                }
            }
            Op::Trim { bytes } => {
                outbox.quota.bytes = bytes;
                writer.trim(&mut outbox);
                assert_eq!(outbox.bytes, heads::used(&outbox.db, i64::MIN, i64::MAX).unwrap());
                outbox.quota.bytes = QUOTA.bytes;
            }
            Op::Drain => drop(writer.drain(&mut outbox, chain_id, delivered)),
            Op::Reopen => {
                outbox.save(writer.agent.chains()).unwrap();
                drop(outbox);
                (outbox, writer) = restart(&mut dir, None);
            }
            Op::Crash => {
                let copy = folder();
                crash(dir.path(), copy.path());
                saved = Some((copy, cells.clone()));
                (outbox, writer) = restart(&mut dir, None);
            }
            Op::LoseTail => {
                // A collector that holds places of which the agent knows nothing any more contradicts it: a new chain, which
                // is the core's affair.
                let Some((copy, before)) = saved.take().filter(|(_, before)| delivered.next_seq <= before.len() as u64) else { continue };
                // What was dropped since the copy was made is there again; what was made since is not.
                let made = cells.len();
                cells = before;
                cells.resize(made, Cell::Lost);
                (outbox, writer) = restart(&mut dir, Some(copy.path()));
                // The receipt is given again.
                if delivered.next_seq > 0 {
                    writer.receipt(&mut outbox, delivered.next_seq - 1);
                }
            }
        }
        let chain = writer.chain();
        assert_eq!(chain.chain_id, chain_id);
        while cells.len() < usize::try_from(chain.tip.next_seq).unwrap() {
            let head = rows::head(&outbox.db, id_of(1, cells.len() as u64)).unwrap();
            cells.push(head.map_or(Cell::Lost, |head| if head.class <= Class::Unchanged { Cell::Sample } else { Cell::Kept }));
        }
        let (entries, tip) = writer.drain(&mut outbox, chain_id, delivered);
        assert_eq!(tip, chain.tip);
        compare(&entries, &mut cells);
    }
}

fn compare(entries: &[Entry], cells: &mut [Cell]) {
    let (kept, lost) = places(entries);
    for seq in lost.into_iter().flat_map(|(first, last)| first..=last) {
        let cell = &mut cells[usize::try_from(seq).unwrap()];
        assert_ne!(*cell, Cell::Kept, "a change or a statement is never dropped: {seq}");
        *cell = Cell::Lost;
    }
    for seq in kept {
        assert_ne!(cells[usize::try_from(seq).unwrap()], Cell::Lost, "what is lost stays lost: {seq}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn property_the_outbox_holds_what_a_list_would_hold(ops in proptest::collection::vec(op(), 1..40)) {
        play(ops);
    }
}
