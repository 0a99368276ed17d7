//! The rule of the chain, for the collector, the agent and every verifier.

use crate::id::{ChainId, Hash, Lease};
use crate::payload::{Body, Entry};
use crate::sign::hmac;

/// How far a chain reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The next place.
    pub next_seq: u64,
    /// The hash before it; zero at place 0.
    pub head: Hash,
}

impl Tip {
    /// Of a chain that holds nothing.
    pub const EMPTY: Tip = Tip { next_seq: 0, head: Hash::ZERO };
}

/// What an entry claims about its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The first place it fills.
    pub seq: u64,
    /// The last place it fills; differs from `seq` for a loss record only.
    pub last_seq: u64,
    /// The hash it follows.
    pub prev_hash: Hash,
    /// The hash others follow it by: its own, or for a loss record the hash that stood at its last place.
    pub tip_hash: Hash,
}

impl Link {
    /// Of a verified entry with its own hash.
    #[must_use]
    pub fn of(entry: &Entry, hash: Hash) -> Link {
        let (last_seq, tip_hash) = match &entry.body {
            Body::Loss(loss) => (loss.last_seq, loss.last_hash),
            Body::Report(_) | Body::Statement(_) | Body::Unusable(_) => (entry.head.seq, hash),
        };
        Link { seq: entry.head.seq, last_seq, prev_hash: entry.head.prev_hash, tip_hash }
    }
}

/// How an entry fits a tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It is the next one; the tip afterwards.
    Extends(Tip),
    /// It lies behind the tip: known already, or contradicting.
    Before,
    /// Something is missing before it.
    Ahead,
    /// It is at the next place but follows another hash.
    Contradicts,
}

impl Tip {
    /// How `link` fits.
    #[must_use]
    pub fn fit(self, link: &Link) -> Fit {
        if link.seq < self.next_seq {
            Fit::Before
        } else if link.seq > self.next_seq {
            Fit::Ahead
        } else if link.prev_hash == self.head {
            Fit::Extends(Tip { next_seq: link.last_seq.saturating_add(1), head: link.tip_hash })
        } else {
            Fit::Contradicts
        }
    }
}

/// What a receipt for a place gives and later payloads echo: the first half of HMAC-SHA-256 over chain and place.
#[must_use]
pub fn lease(secret: &[u8], chain: ChainId, seq: u64) -> Lease {
    let mut message = chain.0.to_vec();
    message.extend_from_slice(&seq.to_be_bytes());
    let Hash(mac) = hmac(secret, &message);
    let mut lease = [0; 16];
    lease.copy_from_slice(mac.split_at(16).0);
    Lease(lease)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(n: u64) -> Hash {
        crate::sign::sha256(&n.to_be_bytes())
    }

    fn link(seq: u64, last_seq: u64) -> Link {
        let prev_hash = if seq == 0 { Hash::ZERO } else { hash(seq - 1) };
        Link { seq, last_seq, prev_hash, tip_hash: hash(last_seq) }
    }

    #[test]
    fn a_loss_record_moves_the_tip_behind_what_it_bridges() {
        let tip = Tip { next_seq: 3, head: hash(2) };
        assert_eq!(tip.fit(&link(3, 9)), Fit::Extends(Tip { next_seq: 10, head: hash(9) }));
    }

    #[test]
    fn what_does_not_follow_is_told_apart() {
        let tip = Tip { next_seq: 3, head: hash(2) };
        assert_eq!(tip.fit(&link(2, 2)), Fit::Before);
        assert_eq!(tip.fit(&link(4, 4)), Fit::Ahead);
        assert_eq!(tip.fit(&Link { prev_hash: hash(9), ..link(3, 3) }), Fit::Contradicts);
        assert_eq!(Tip::EMPTY.fit(&Link { prev_hash: hash(9), ..link(0, 0) }), Fit::Contradicts);
    }

    #[test]
    fn leases_differ_by_chain_and_place() {
        let one = lease(b"secret", ChainId([1; 16]), 1);
        assert_ne!(one, lease(b"secret", ChainId([1; 16]), 2));
        assert_ne!(one, lease(b"secret", ChainId([2; 16]), 1));
        assert_ne!(one, lease(b"other", ChainId([1; 16]), 1));
    }

    proptest! {
        /// However entries are bridged by loss records, the chain ends at the same tip.
        #[test]
        fn property_bridging_never_changes_where_a_chain_ends(cuts in proptest::collection::btree_set(1_u64..50, 0..10)) {
            let mut tip = Tip::EMPTY;
            let mut first = 0;
            for last in cuts.iter().map(|cut| cut - 1).chain([49]) {
                if last < first { continue; }
                match tip.fit(&link(first, last)) {
                    Fit::Extends(next) => tip = next,
                    other => prop_assert!(false, "{other:?}"),
                }
                first = last + 1;
            }
            prop_assert_eq!(tip, Tip { next_seq: 50, head: hash(49) });
        }
    }
}
