//! How much of one agent is taken: asked before a signature is checked, paid once it held.
//!
//! Who merely names a key takes nothing from its owner. What is remembered is bounded: one entry per known key's agent,
//! and at most [`AGENTS_MAX`].
//!
//! Of enrolments for which no token's signature holds each source may have a few answered as refused, and all sources
//! together a few more. Where a token's signature holds, the token is rated at that source and nothing else is:
//! strangers, however many and be it behind the same address, keep nobody out who has a token. Judging one stranger
//! costs a look at a table and one signature, whether there is such a token or not, as a report of a strange key does.

use crate::net::Source;
use mimamori_domain::rate::{Bucket, Rate};
use mimamori_shared::id::{AgentId, TokenId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Agents remembered.
const AGENTS_MAX: usize = 16_384;
/// Sources remembered, and tokens at a source.
const SOURCES_MAX: usize = 4_096;
/// Minutes' worth of entries and bytes that are taken at once: what a day's outage left behind drains without waiting.
const BURST_MIN: u64 = 3;
/// Strangers' enrolments of all sources together that are answered as refused, as a multiple of one source's.
const ALL_SOURCES: u64 = 12;
/// The longest wait that is asked for because of a rate, in milliseconds: previews keep presence sharp during a backlog.
const WAIT_MS_MAX: i64 = 30_000;

/// What one agent may do, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Requests per minute.
    pub requests: u64,
    /// Entries per minute.
    pub entries: u64,
    /// Bytes of payloads per minute.
    pub bytes: u64,
    /// Bytes of payloads stored per day (UTC).
    pub day_bytes: u64,
    /// Refused enrolments per minute: of a source without a good token, and of a token at a source.
    pub enrol_refusals: u64,
}

impl Default for Rates {
    fn default() -> Self {
        Rates { requests: 60, entries: 3_000, bytes: 16 << 20, day_bytes: 256 << 20, enrol_refusals: 5 }
    }
}

impl Rates {
    fn requests(self) -> Rate {
        Rate { per_min: self.requests, burst: self.requests }
    }

    fn entries(self) -> Rate {
        Rate { per_min: self.entries, burst: self.entries.saturating_mul(BURST_MIN) }
    }

    fn bytes(self) -> Rate {
        Rate { per_min: self.bytes, burst: self.bytes.saturating_mul(BURST_MIN) }
    }

    /// Of a machine whose reports are not taken: its signed refusal, now and then.
    fn barred(self) -> Rate {
        Rate { per_min: self.requests.div_ceil(10), burst: self.requests.div_ceil(6) }
    }

    fn refusals(self) -> Rate {
        Rate { per_min: self.enrol_refusals, burst: self.enrol_refusals }
    }

    fn all_refusals(self) -> Rate {
        let most = self.enrol_refusals.saturating_mul(ALL_SOURCES);
        Rate { per_min: most, burst: most }
    }

    /// The rows that `/limits` serves beside the compiled bounds.
    #[must_use]
    pub fn table(self) -> [(&'static str, u64, &'static str); 8] {
        [
            ("requests_per_min", self.requests, "1 per agent"),
            ("entries_per_min", self.entries, "1 per agent"),
            ("entries_burst", self.entries().burst, "1 per agent"),
            ("payload_bytes_per_min", self.bytes, "bytes per agent"),
            ("payload_bytes_burst", self.bytes().burst, "bytes per agent"),
            ("payload_bytes_per_day", self.day_bytes, "bytes per agent"),
            ("enrol_refusals_per_min", self.enrol_refusals, "1 per source"),
            ("enrol_strangers_per_min", self.all_refusals().burst, "1"),
        ]
    }
}

#[derive(Debug, Clone, Copy)]
struct Agent {
    requests: Bucket,
    entries: Bucket,
    bytes: Bucket,
    /// While its machine is revoked, waits for approval, or has stored its day's worth.
    barred: Option<Bucket>,
    used_ms: i64,
}

/// The buckets of agents, sources and tokens.
#[derive(Debug)]
pub struct Admission {
    rates: Rates,
    agents: Mutex<HashMap<AgentId, Agent>>,
    enrolling: Mutex<Enrolling>,
}

/// How far a refused enrolment got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// It is no enrolment: nothing was looked up for it.
    Malformed,
    /// It names a token, whose signature does not hold.
    Unvouched,
    /// This token's signature holds, and it is not granted for another reason.
    Vouched(TokenId),
}

#[derive(Debug, Default)]
struct Enrolling {
    /// Of those for which no token's signature holds.
    strangers: Option<Bucket>,
    sources: HashMap<(Source, Asking), Trying>,
}

/// What shares a bucket at one source. A scanner behind the same router must not use up an agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asking {
    /// What is no enrolment.
    Malformed,
    /// Without a token whose signature holds.
    Unvouched,
    /// With this one.
    Token(TokenId),
}

/// What is left of the refusals there.
#[derive(Debug, Clone, Copy)]
struct Trying {
    refused: Bucket,
    used_ms: i64,
}

impl Admission {
    /// Nobody has taken anything.
    #[must_use]
    pub fn new(rates: Rates) -> Admission {
        Admission { rates, agents: Mutex::default(), enrolling: Mutex::default() }
    }

    /// The figures in force.
    #[must_use]
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// `None` when a request of the agent may be looked at; otherwise how long it has to wait, in milliseconds.
    #[must_use]
    pub fn wait_ms(&self, agent: AgentId, now_ms: i64) -> Option<i64> {
        let agent = *lock(&self.agents).get(&agent)?;
        let rates = self.rates;
        let waits = [
            agent.requests.wait_ms(rates.requests(), now_ms),
            agent.entries.wait_ms(rates.entries(), now_ms),
            agent.bytes.wait_ms(rates.bytes(), now_ms),
            agent.barred.and_then(|barred| barred.wait_ms(rates.barred(), now_ms)),
        ];
        waits.into_iter().flatten().max().map(|wait_ms| wait_ms.min(WAIT_MS_MAX))
    }

    /// A verified request of the agent was taken in.
    pub fn took(&self, agent: AgentId, entries: u64, bytes: u64, now_ms: i64) {
        let rates = self.rates;
        self.with(agent, now_ms, |agent| {
            agent.requests.take(rates.requests(), 1, now_ms);
            agent.entries.take(rates.entries(), entries, now_ms);
            agent.bytes.take(rates.bytes(), bytes, now_ms);
        });
    }

    /// Whether the store turned the agent away as a whole.
    pub fn bar(&self, agent: AgentId, barred: bool, now_ms: i64) {
        let rate = self.rates.barred();
        self.with(agent, now_ms, |agent| {
            agent.barred = barred.then(|| {
                let mut bucket = agent.barred.unwrap_or_else(|| Bucket::full(rate, now_ms));
                bucket.take(rate, 1, now_ms);
                bucket
            });
        });
    }

    fn with(&self, id: AgentId, now_ms: i64, change: impl FnOnce(&mut Agent)) {
        let mut agents = lock(&self.agents);
        make_room(&mut agents, &id, AGENTS_MAX, |agent| agent.used_ms);
        let fresh = || Agent {
            requests: Bucket::full(self.rates.requests(), now_ms),
            entries: Bucket::full(self.rates.entries(), now_ms),
            bytes: Bucket::full(self.rates.bytes(), now_ms),
            barred: None,
            used_ms: now_ms,
        };
        let agent = agents.entry(id).or_insert_with(fresh);
        agent.used_ms = now_ms;
        change(agent);
    }

    /// `None` when an enrolment with this token, whose signature holds, may be judged for that source; otherwise how long
    /// it has to wait, in milliseconds.
    #[must_use]
    pub fn enrol_wait_ms(&self, source: Source, token: TokenId, now_ms: i64) -> Option<i64> {
        let trying = *lock(&self.enrolling).sources.get(&(source, Asking::Token(token)))?;
        trying.refused.wait_ms(self.rates.refusals(), now_ms)
    }

    /// An enrolment from there is refused. How long to wait, in milliseconds, when its like have used up what is told
    /// them. Granted ones cost nothing: a hospital may enrol all its machines at once.
    pub fn enrol_refused(&self, source: Source, stranger: Stranger, now_ms: i64) -> Option<i64> {
        let mut enrolling = lock(&self.enrolling);
        let Enrolling { strangers, sources } = &mut *enrolling;
        let (rate, all) = (self.rates.refusals(), self.rates.all_refusals());
        let asking = match stranger {
            Stranger::Malformed => Asking::Malformed,
            Stranger::Unvouched => Asking::Unvouched,
            Stranger::Vouched(token) => Asking::Token(token),
        };
        make_room(sources, &(source, asking), SOURCES_MAX, |trying| trying.used_ms);
        let trying = sources.entry((source, asking)).or_insert_with(|| Trying { refused: Bucket::full(rate, now_ms), used_ms: now_ms });
        trying.used_ms = now_ms;
        let waits_ms = trying.refused.wait_ms(rate, now_ms);
        trying.refused.take(rate, u64::from(waits_ms.is_none()), now_ms);
        if matches!(asking, Asking::Token(_)) {
            return waits_ms;
        }
        let strangers = strangers.get_or_insert_with(|| Bucket::full(all, now_ms));
        let waits_ms = waits_ms.max(strangers.wait_ms(all, now_ms));
        strangers.take(all, u64::from(waits_ms.is_none()), now_ms);
        waits_ms
    }
}

/// Forgets the one that was used least lately when another does not fit beside it.
fn make_room<K: Copy + Eq + Hash, V>(map: &mut HashMap<K, V>, key: &K, most: usize, used_ms: impl Fn(&V) -> i64) {
    if map.len() >= most
        && !map.contains_key(key)
        && let Some(oldest) = map.iter().min_by_key(|(_, value)| used_ms(value)).map(|(key, _)| *key)
    {
        map.remove(&oldest);
    }
}

/// No code panics while holding these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: AgentId = AgentId([1; 16]);
    const OTHER: AgentId = AgentId([2; 16]);

    #[test]
    fn a_flood_of_one_agent_is_stopped_and_no_other_one_notices() {
        let admission = Admission::new(Rates::default());
        let mut taken = 0;
        while admission.wait_ms(ONE, 0).is_none() {
            admission.took(ONE, 1024, 1024 * 700, 0);
            taken += 1;
        }
        assert_eq!(taken, 9, "9,000 entries at once, and the request that goes beyond them");
        assert!(admission.wait_ms(ONE, 0).is_some_and(|wait_ms| wait_ms > 1000));
        assert_eq!(admission.wait_ms(OTHER, 0), None);
    }

    /// Bytes bound what a few large requests store.
    #[test]
    fn a_hundred_megabytes_do_not_fit_into_seconds() {
        let admission = Admission::new(Rates::default());
        let mut bytes = 0_u64;
        for ms in 0..4_000 {
            if admission.wait_ms(ONE, ms).is_none() {
                admission.took(ONE, 32, 8 << 20, ms);
                bytes += 8 << 20;
            }
        }
        assert!(bytes <= (48 + 8 + 2) << 20, "{bytes}");
    }

    /// Thirty days at a report a minute, 3 kB each, 1,024 in a request, waiting as long as told, at most three times.
    #[test]
    fn a_healthy_machine_drains_thirty_days_within_an_hour() {
        for factor in [1, 3] {
            let admission = Admission::new(Rates::default());
            let (mut left, mut now_ms) = (43_200_u64, 0);
            while left > 0 {
                if let Some(wait_ms) = admission.wait_ms(ONE, now_ms) {
                    now_ms += (wait_ms * factor).max(1000);
                    continue;
                }
                let entries = left.min(1024);
                admission.took(ONE, entries, entries * 3_000, now_ms);
                left -= entries;
                now_ms += 500;
            }
            println!("30 days drained in {} min, waiting {factor} times as long as needed", now_ms / 60_000);
            assert!(now_ms < 3_600_000, "{now_ms}");
        }
    }

    #[test]
    fn an_outage_of_eight_hours_drains_at_once() {
        let admission = Admission::new(Rates::default());
        for seconds in [60, 5] {
            let agent = AgentId([seconds; 16]);
            let entries = 8 * 3600 / u64::from(seconds);
            for _ in 0..entries.div_ceil(1024) {
                assert_eq!(admission.wait_ms(agent, 0), None, "every {seconds} s");
                admission.took(agent, entries.min(1024), entries.min(1024) * 3_000, 0);
            }
        }
    }

    #[test]
    fn a_barred_agent_is_answered_now_and_then_until_it_is_taken_again() {
        let admission = Admission::new(Rates::default());
        let mut answered = 0;
        for s in 0..60 {
            if admission.wait_ms(ONE, s * 1000).is_none() {
                admission.took(ONE, 1, 1000, s * 1000);
                admission.bar(ONE, true, s * 1000);
                answered += 1;
            }
        }
        assert_eq!(answered, 10 + 5, "ten at once and one in ten seconds");
        admission.bar(ONE, false, 60_000);
        assert_eq!(admission.wait_ms(ONE, 60_000), None);
    }

    fn source(n: u8) -> Source {
        Source::V4([192, 0, 2, n].into())
    }

    const TOKEN: TokenId = TokenId([1; 8]);
    const OTHER_TOKEN: TokenId = TokenId([2; 8]);

    /// Whether it is answered as refused, and not told to wait.
    fn refused(admission: &Admission, n: u8, stranger: Stranger) -> bool {
        let waits = matches!(stranger, Stranger::Vouched(token) if admission.enrol_wait_ms(source(n), token, 0).is_some());
        !waits && admission.enrol_refused(source(n), stranger, 0).is_none()
    }

    #[test]
    fn strangers_enrolments_are_bounded_for_each_source_and_for_all() {
        let admission = Admission::new(Rates::default());
        assert_eq!((0..100).filter(|_| refused(&admission, 1, Stranger::Unvouched)).count(), 5);
        let kinds = [Stranger::Unvouched, Stranger::Malformed];
        let from_all = (2..200).flat_map(|n| (0..10).map(move |m| (n, kinds[m % 2])));
        assert_eq!(from_all.filter(|(n, kind)| refused(&admission, *n, *kind)).count(), 55);
        assert_eq!(admission.enrol_refused(source(250), Stranger::Unvouched, 60_000), None, "a minute later there is room again");
    }

    #[test]
    fn strangers_use_up_nothing_of_those_who_have_a_token_also_behind_the_same_address() {
        let admission = Admission::new(Rates::default());
        for n in (1..=60).cycle().take(300) {
            refused(&admission, n, Stranger::Unvouched);
            refused(&admission, n, Stranger::Malformed);
        }
        assert!(admission.enrol_refused(source(200), Stranger::Unvouched, 0).is_some(), "the strangers' part is used up");
        for n in [1, 201] {
            assert!(refused(&admission, n, Stranger::Vouched(TOKEN)), "judged by its token alone");
        }
    }

    #[test]
    fn a_token_that_is_not_granted_is_rated_where_it_is_shown_and_stands_in_nobodys_way() {
        let admission = Admission::new(Rates::default());
        assert_eq!((0..100).filter(|_| refused(&admission, 1, Stranger::Vouched(TOKEN))).count(), 5);
        assert_eq!(admission.enrol_wait_ms(source(1), OTHER_TOKEN, 0), None, "another token behind the same address");
        assert_eq!(admission.enrol_wait_ms(source(2), TOKEN, 0), None, "the same token elsewhere: whoever copied it keeps its owner out of nothing");
        assert_eq!(admission.enrol_wait_ms(source(1), TOKEN, 60_000), None);
    }

    #[test]
    fn what_is_no_enrolment_uses_up_nothing_of_those_behind_the_same_address() {
        let admission = Admission::new(Rates::default());
        assert_eq!((0..100).filter(|_| refused(&admission, 1, Stranger::Malformed)).count(), 5);
        assert_eq!((0..100).filter(|_| refused(&admission, 1, Stranger::Unvouched)).count(), 5);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let admission = Admission::new(Rates::default());
        for n in 0..AGENTS_MAX as u128 + 100 {
            admission.took(AgentId(n.to_be_bytes()), 1, 1, i64::try_from(n).unwrap());
        }
        assert_eq!(lock(&admission.agents).len(), AGENTS_MAX);
        assert!(!lock(&admission.agents).contains_key(&AgentId(0_u128.to_be_bytes())), "the one that waits longest is forgotten");
        for n in 0..SOURCES_MAX as u64 + 100 {
            admission.enrol_refused(source(1), Stranger::Vouched(TokenId(n.to_be_bytes())), i64::try_from(n).unwrap());
        }
        assert_eq!(lock(&admission.enrolling).sources.len(), SOURCES_MAX);
    }
}
