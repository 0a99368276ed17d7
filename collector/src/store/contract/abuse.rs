//! Counters of abuse, alarms and digests.

use super::{ALL, HOUR, NOW, enrolled, operator};
use crate::store::{AbuseRow, Scope, Store, Who};
use mimamori_domain::abuse::Abuse;

fn row(hour: i64, who: Who, count: u64, at_ms: i64) -> AbuseRow {
    AbuseRow { hour, abuse: Abuse::Malformed, who, count, first_at_ms: at_ms, last_at_ms: at_ms }
}

fn source(n: usize) -> Who {
    Who::Source(format!("192.0.2.{n}"))
}

pub(super) async fn counters_add_up_by_hour_and_origin(store: &Store) {
    let agent = enrolled(store, 1, "west", "ct-1").await.id;
    let other = enrolled(store, 2, "east", "ct-1").await.id;
    let count = async |rows| store.count_abuse(&operator(), rows).await.unwrap();
    count(vec![row(7, source(1), 2, 50), row(8, Who::Agent(agent), 1, 60)]).await;
    count(vec![row(7, source(1), 3, 40), row(8, Who::Agent(other), 4, 70), row(9, Who::Others, 5, 80)]).await;
    let first = AbuseRow { first_at_ms: 40, last_at_ms: 50, ..row(7, source(1), 5, 0) };
    assert_eq!(store.abuse(&ALL, 7, 8).await.unwrap(), [first]);
    let rows = store.abuse(&ALL, 0, 100).await.unwrap();
    assert_eq!((rows.len(), rows.iter().map(|row| row.count).sum::<u64>(), rows[3].who.clone()), (4, 15, Who::Others));
    let west = store.abuse(&Scope::Facility("west".parse().unwrap()), 0, 100).await.unwrap();
    assert_eq!(west, [row(8, Who::Agent(agent), 1, 60)], "a facility sees its own agents only");
}

pub(super) async fn origins_are_bounded_and_no_count_is_lost(store: &Store) {
    let rows = (0..500).map(|n| row(7, source(n), 1, 50)).collect();
    store.count_abuse(&operator(), rows).await.unwrap();
    store.count_abuse(&operator(), vec![row(7, source(3), 1, 51), row(7, source(499), 1, 51)]).await.unwrap();
    let rows = store.abuse(&ALL, 7, 8).await.unwrap();
    let of = |who: Who| rows.iter().find(|row| row.who == who).map(|row| row.count);
    assert_eq!((rows.len(), rows.iter().map(|row| row.count).sum::<u64>()), (129, 502));
    assert_eq!((of(source(3)), of(source(499)), of(Who::Others)), (Some(2), None, Some(500 - 128 + 1)));
}

pub(super) async fn an_alarm_of_a_kind_is_open_once(store: &Store) {
    let raise = async |abuse, now_ms| store.raise_alarm(&operator(), abuse, 9, now_ms).await.unwrap();
    assert!(raise(Abuse::Rate, NOW).await && !raise(Abuse::Rate, NOW + 1).await && raise(Abuse::Budget, NOW + 1).await);
    assert!(store.end_alarm(&operator(), Abuse::Rate, NOW + HOUR).await.unwrap());
    assert!(!store.end_alarm(&operator(), Abuse::Rate, NOW + HOUR).await.unwrap());
    assert!(raise(Abuse::Rate, NOW + 2 * HOUR).await);
    let alarms = store.alarms(&ALL, NOW, NOW + HOUR).await.unwrap();
    let spans: Vec<_> = alarms.iter().map(|alarm| (alarm.abuse, alarm.since_ms - NOW, alarm.until_ms.map(|ms| ms - NOW))).collect();
    assert_eq!(spans, [(Abuse::Rate, 0, Some(HOUR)), (Abuse::Budget, 1, None)]);
    assert_eq!(store.alarms(&ALL, i64::MAX, i64::MAX).await.unwrap().len(), 2, "the open ones");
    assert!(store.alarms(&Scope::Facility("west".parse().unwrap()), NOW, NOW + HOUR).await.unwrap().is_empty());
}

pub(super) async fn a_digest_is_kept_once(store: &Store) {
    let keep = async |day, now_ms| store.keep_digest(&operator(), day, "nothing".to_owned(), now_ms).await.unwrap();
    let hour = NOW / HOUR;
    store.count_abuse(&operator(), vec![row(hour, source(1), 1, NOW)]).await.unwrap();
    assert!(keep(1, NOW).await && !keep(1, NOW).await);
    assert_eq!(store.abuse(&ALL, 0, i64::MAX).await.unwrap().len(), 1);
    assert!(keep(2, NOW + 93 * 24 * HOUR).await);
    assert!(store.abuse(&ALL, 0, i64::MAX).await.unwrap().is_empty(), "counters are let go of after three months");
}
