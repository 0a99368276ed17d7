//! Counts abuse in memory; the work writes it down every few seconds. A refused request writes nothing to the disk.

use crate::export::selfmetrics::SelfMetrics;
use crate::store::{AbuseRow, Who};
use mimamori_domain::abuse::Abuse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows between two writings; more fold into [`Who::Others`].
const ROWS_MAX: usize = 2048;
const HOUR_MS: i64 = 3_600_000;

type Key = (i64, Abuse, Who);

/// The counters since they were written down last.
#[derive(Debug)]
pub struct Tally {
    metrics: Arc<SelfMetrics>,
    rows: Mutex<HashMap<Key, AbuseRow>>,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(metrics: Arc<SelfMetrics>) -> Tally {
        Tally { metrics, rows: Mutex::default() }
    }

    /// Counts `count` events. `now_ms` is the collector's clock.
    pub fn note(&self, abuse: Abuse, who: Who, count: u64, now_ms: i64) {
        if count > 0 {
            self.metrics.abused(abuse).inc_by(count);
            self.add(AbuseRow { hour: now_ms.div_euclid(HOUR_MS), abuse, who, count, first_at_ms: now_ms, last_at_ms: now_ms });
        }
    }

    /// Everything counted since the last time.
    #[must_use]
    pub fn drain(&self) -> Vec<AbuseRow> {
        let rows = std::mem::take(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner));
        rows.into_values().collect()
    }

    /// Puts back what could not be written down.
    pub fn give_back(&self, rows: Vec<AbuseRow>) {
        rows.into_iter().for_each(|row| self.add(row));
    }

    fn add(&self, mut row: AbuseRow) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (row.hour, row.abuse, row.who.clone());
        if rows.len() >= ROWS_MAX && !rows.contains_key(&key) {
            key.2 = Who::Others;
            row.who = Who::Others;
        }
        let there = rows.entry(key).or_insert(AbuseRow { count: 0, ..row.clone() });
        there.count = there.count.saturating_add(row.count);
        there.first_at_ms = there.first_at_ms.min(row.first_at_ms);
        there.last_at_ms = there.last_at_ms.max(row.last_at_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_sources_takes_bounded_memory_and_loses_no_count() {
        let metrics = Arc::new(SelfMetrics::new("0.1.0", 0).unwrap());
        let tally = Tally::new(Arc::clone(&metrics));
        for n in 0..10_000_i64 {
            tally.note(Abuse::Malformed, Who::Source(format!("2001:db8:{n:x}::/64")), 1, n);
        }
        tally.note(Abuse::Malformed, Who::Others, 0, 1);
        let rows = tally.drain();
        assert_eq!(rows.len(), ROWS_MAX + 1);
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 10_000);
        assert_eq!(metrics.abused(Abuse::Malformed).get(), 10_000);
        assert!(tally.drain().is_empty());
        let others = rows.into_iter().find(|row| row.who == Who::Others).unwrap();
        assert_eq!((others.first_at_ms, others.last_at_ms), (2048, 9_999));
        tally.give_back(vec![others.clone()]);
        assert_eq!(tally.drain(), [others]);
    }
}
