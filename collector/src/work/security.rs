//! Writes down what was counted of abuse, lets alarms rise and fall, and says once a day what happened.

use super::complain;
use crate::digest::{self, Day};
use crate::export::selfmetrics::SelfMetrics;
use crate::ingest::Tally;
use crate::net::{Closed, NetTelemetry};
use crate::store::{Actor, Scope, Store, StoreError, Who};
use mimamori_domain::abuse::{Abuse, HourCount, Turn, turn};
use std::sync::Arc;

/// How often the counters are written down, in milliseconds: what a crash may lose.
const EVERY_MS: i64 = 5_000;
const HOUR_MS: i64 = 3_600_000;

/// What watches over the line.
#[derive(Debug)]
pub struct Security {
    /// What is counted.
    pub tally: Arc<Tally>,
    /// Where alarms are shown.
    pub metrics: Arc<SelfMetrics>,
    /// What the ingest listener counts.
    pub net: Arc<NetTelemetry>,
    /// Hours that the operator's day is ahead of UTC.
    pub utc_offset_h: i64,
    refused: u64,
    next_ms: i64,
    told: Option<i64>,
}

impl Security {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(tally: Arc<Tally>, metrics: Arc<SelfMetrics>, net: Arc<NetTelemetry>, utc_offset_h: i64) -> Security {
        Security { tally, metrics, net, utc_offset_h, refused: 0, next_ms: i64::MIN, told: None }
    }

    /// Does what is due. What fails is tried again.
    pub(super) async fn tend(&mut self, store: &Store, actor: &Actor, now_ms: i64) {
        // A clock that was set back must not stop the counting.
        if now_ms >= self.next_ms || self.next_ms.saturating_sub(now_ms) > EVERY_MS {
            self.next_ms = now_ms.saturating_add(EVERY_MS);
            if let Err(fault) = self.look(store, actor, now_ms).await {
                complain("abuse was not judged", &fault);
            }
        }
    }

    /// Writes the counters down. Those that could not be written are kept.
    pub(super) async fn write(&mut self, store: &Store, actor: &Actor, now_ms: i64) -> Result<(), StoreError> {
        let refused = self.net.closed(Closed::TooManyFromSource).saturating_add(self.net.closed(Closed::TooManyUnauthenticated));
        self.tally.note(Abuse::Connections, Who::Others, refused.saturating_sub(self.refused), now_ms);
        self.refused = refused;
        let rows = self.tally.drain();
        if rows.is_empty() {
            return Ok(());
        }
        let written = store.count_abuse(actor, rows.clone()).await;
        if written.is_err() {
            self.tally.give_back(rows);
        }
        written
    }

    async fn look(&mut self, store: &Store, actor: &Actor, now_ms: i64) -> Result<(), StoreError> {
        self.write(store, actor, now_ms).await?;
        let hour = now_ms.div_euclid(HOUR_MS);
        let rows = store.abuse(&Scope::All, hour.saturating_sub(23), i64::MAX).await?;
        let counts: Vec<HourCount> = rows.iter().map(|row| HourCount { hour: row.hour, abuse: row.abuse, count: row.count }).collect();
        let open = store.alarms(&Scope::All, i64::MAX, i64::MAX).await?;
        for abuse in Abuse::ALL.iter().copied() {
            let is_open = open.iter().any(|alarm| alarm.abuse == abuse && alarm.until_ms.is_none());
            let turned = turn(abuse, is_open, &counts, hour);
            match turned {
                Turn::Rises(count) if store.raise_alarm(actor, abuse, count, now_ms).await? => {
                    eprintln!("<4>alarm {}: {count} in 24 h: {}. {}", abuse.name(), abuse.words_en(), abuse.mend_en());
                }
                Turn::Falls if store.end_alarm(actor, abuse, now_ms).await? => eprintln!("<5>alarm {} is over", abuse.name()),
                Turn::Stays | Turn::Rises(_) | Turn::Falls => {}
            }
            self.metrics.alarm(abuse, matches!((is_open, turned), (true, Turn::Stays) | (_, Turn::Rises(_))));
        }
        self.tell(store, actor, now_ms).await
    }

    /// Says what happened on the day that ended last, once, also when the collector was not there at its end.
    async fn tell(&mut self, store: &Store, actor: &Actor, now_ms: i64) -> Result<(), StoreError> {
        let today = Day::of(now_ms, self.utc_offset_h);
        let day = Day { number: today.number.saturating_sub(1), ..today };
        if self.told != Some(day.number) {
            let line = digest::load(store, &Scope::All, day).await?.line();
            if store.keep_digest(actor, day.number, line.clone(), now_ms).await? {
                eprintln!("<5>{line}");
            }
            self.told = Some(day.number);
        }
        Ok(())
    }
}
