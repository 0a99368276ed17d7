//! Counters of abuse, alarms and digests.

use super::{ALL, HOUR, NOW, enrolled, operator};
use crate::digest::{self, Day};
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

pub(super) async fn alarms_that_are_over_are_let_go_of(store: &Store) {
    let operator = operator();
    for n in 0..1200 {
        assert!(store.raise_alarm(&operator, Abuse::Rate, 9, NOW + n * 1000).await.unwrap());
        assert!(store.end_alarm(&operator, Abuse::Rate, NOW + n * 1000 + 1).await.unwrap());
    }
    assert!(store.raise_alarm(&operator, Abuse::Budget, 9, NOW).await.unwrap());
    assert!(store.raise_alarm(&operator, Abuse::Clock, 9, NOW).await.unwrap() && store.end_alarm(&operator, Abuse::Clock, NOW + HOUR).await.unwrap());
    let left = async |day: i64, now_ms| {
        assert!(store.keep_digest(&operator, day, "nothing".to_owned(), now_ms).await.unwrap());
        let alarms = store.alarms(&ALL, 0, i64::MAX).await.unwrap();
        [Abuse::Rate, Abuse::Budget, Abuse::Clock].map(|kind| alarms.iter().filter(|alarm| alarm.abuse == kind).count())
    };
    assert_eq!(left(1, NOW + 2 * HOUR).await, [1000, 1, 1], "the newest of each kind stay");
    assert_eq!(left(2, NOW + 399 * 24 * HOUR).await, [1000, 1, 1]);
    assert_eq!(left(3, NOW + 401 * 24 * HOUR).await, [0, 1, 0], "what is open stays, however old");
}

/// The day is half-open and the operator's own, whatever UTC says.
pub(super) async fn a_digest_counts_what_was_stored_on_its_own_day(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let day = Day::of(NOW, 9);
    let mut at_ms: Vec<i64> =
        [9, 0, -11].iter().flat_map(|offset_h| (-1..=1).map(|n| Day::of(NOW + n * 24 * HOUR, *offset_h).begins_ms())).flat_map(|ms| [ms - 1, ms]).collect();
    at_ms.sort_unstable();
    let mut entry = Some(agent.open());
    for ms in &at_ms {
        let next = entry.take().unwrap_or_else(|| agent.report());
        agent.send(store, vec![next], *ms).await;
    }
    for (offset_h, expected) in [9, 0, -11].into_iter().flat_map(|offset_h| (-2..=2).map(move |n| (offset_h, n))) {
        let day = Day { number: Day::of(NOW, offset_h).number + expected, offset_h };
        let held = (day.begins_ms()..day.begins_ms() + 24 * HOUR, at_ms.clone());
        let counted = digest::load(store, &ALL, day).await.unwrap().stored.0;
        assert_eq!(counted, held.1.iter().filter(|ms| held.0.contains(ms)).count() as u64, "{day}");
    }
    let stored = digest::load(store, &Scope::Facility("east".parse().unwrap()), day).await.unwrap().stored;
    assert_eq!(stored, (0, 0), "another facility's");
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
