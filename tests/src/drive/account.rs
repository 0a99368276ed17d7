//! What a driver was told and what its collector's file holds, and whether both add up.

use mimamori_shared::id::{ChainId, Hash};
use std::collections::BTreeMap;

/// What the collector holds at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEntry {
    /// Its chain.
    pub chain_id: ChainId,
    /// First place.
    pub seq: u64,
    /// Last place.
    pub last_seq: u64,
    /// The hash there.
    pub tip_hash: Hash,
    /// What a loss record counts; 0 for any other entry.
    pub counted: u64,
}

/// What was told, and what arrived.
#[derive(Debug, Default)]
pub struct Account {
    /// Commits that returned, in order.
    pub told: Vec<(ChainId, u64, Hash)>,
    /// What the collector holds, in the order of arrival.
    pub held: Vec<HeldEntry>,
    /// Milliseconds that each start took.
    pub opened_ms: Vec<u64>,
    /// Lines of faults and notices.
    pub said: Vec<String>,
    /// Keys that earlier keys handed over to, in order.
    pub keys: Vec<[u8; 32]>,
}

/// Figures of an account that adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Chains.
    pub chains: usize,
    /// Entries that arrived.
    pub accepted: u64,
    /// Places that a loss record bridges.
    pub lost: u64,
}

fn id<const N: usize>(hex: &str) -> [u8; N] {
    mimamori_shared::id::from_hex(hex).unwrap()
}

impl Account {
    /// Reads the driver's lines and the collector's; a last line without an end is left out.
    ///
    /// # Panics
    /// When a line makes no sense.
    #[must_use]
    pub fn read(told: &str, held: &str) -> Account {
        let whole = |text: &str| text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect::<Vec<_>>();
        let mut account = Account::default();
        for line in whole(told) {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["C", chain, seq, hash] => account.told.push((ChainId(id(chain)), seq.parse().unwrap(), Hash(id(hash)))),
                ["OPEN", ms] => account.opened_ms.push(ms.parse().unwrap()),
                ["END"] => {}
                _ => account.said.push(line),
            }
        }
        for line in whole(held) {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["KEY", key] = words.as_slice() {
                account.keys.push(id(key));
                continue;
            }
            account.held.push(HeldEntry {
                chain_id: ChainId(id(words[0])),
                seq: words[1].parse().unwrap(),
                last_seq: words[2].parse().unwrap(),
                tip_hash: Hash(id(words[3])),
                counted: words[4].parse().unwrap(),
            });
        }
        account
    }

    /// Fails unless everything that was told arrived or is counted as lost, once, in order, and nothing forked; and
    /// unless accepted and lost make created.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn adds_up(&self) -> Figures {
        let mut tips: BTreeMap<ChainId, u64> = BTreeMap::new();
        let (mut entries, mut losses) = (BTreeMap::new(), Vec::new());
        let mut figures = Figures { chains: 0, accepted: 0, lost: 0 };
        for held in &self.held {
            let next = tips.entry(held.chain_id).or_insert(0);
            assert_eq!(held.seq, *next, "out of order, or a hole");
            *next = held.last_seq + 1;
            if held.counted > 0 {
                assert_eq!(held.counted, held.last_seq - held.seq + 1, "a loss record counts what it bridges");
                figures.lost += held.counted;
                losses.push(held);
            } else {
                figures.accepted += 1;
                entries.insert((held.chain_id, held.seq), held.tip_hash);
            }
        }
        let mut seen = BTreeMap::new();
        for (chain_id, seq, hash) in &self.told {
            assert_eq!(seen.insert((*chain_id, *seq), *hash), None, "place {seq} was created twice: a fork");
            let lost = losses.iter().any(|held| held.chain_id == *chain_id && (held.seq..=held.last_seq).contains(seq));
            assert!(lost || entries.get(&(*chain_id, *seq)) == Some(hash), "place {seq} was told durable and is missing, or is another");
        }
        assert!(self.said.iter().all(|line| !line.starts_with("FORK")), "{:?}", self.said);
        figures.chains = tips.len();
        assert_eq!(figures.accepted + figures.lost, tips.values().sum::<u64>(), "accepted and lost make created");
        figures
    }
}
