use super::*;
use proptest::prelude::*;

const RATE: Rate = Rate { per_min: 60, burst: 10 };

#[test]
fn a_burst_is_taken_at_once_and_then_one_a_second() {
    let mut bucket = Bucket::full(RATE, 0);
    for _ in 0..10 {
        assert_eq!(bucket.wait_ms(RATE, 0), None);
        bucket.take(RATE, 1, 0);
    }
    assert_eq!(bucket.wait_ms(RATE, 0), Some(1000));
    assert_eq!(bucket.wait_ms(RATE, 999), Some(1));
    assert_eq!(bucket.wait_ms(RATE, 1000), None);
}

#[test]
fn what_is_larger_than_the_burst_is_taken_whole_and_paid_for_afterwards() {
    let mut bucket = Bucket::full(RATE, 0);
    bucket.take(RATE, 1_010, 0);
    assert_eq!(bucket.wait_ms(RATE, 0), Some(1_001_000));
    assert_eq!(bucket.wait_ms(RATE, 1_001_000), None);
}

#[test]
fn a_clock_set_back_neither_fills_nor_locks() {
    let mut bucket = Bucket::full(RATE, 1_000_000);
    bucket.take(RATE, 10, 1_000_000);
    bucket.take(RATE, 0, 0);
    assert_eq!(bucket.wait_ms(RATE, 0), Some(1000));
    assert_eq!(bucket.wait_ms(RATE, 1000), None);
}

proptest! {
    /// Over any sequence, no more than the burst, the time's worth and one request are taken.
    #[test]
    fn no_more_is_taken_than_granted(
        per_min in 1..10_000_u64,
        burst in 1..10_000_u64,
        asks in prop::collection::vec((0..5_000_i64, 1..2_000_u64), 1..200),
    ) {
        let rate = Rate { per_min, burst };
        let (mut bucket, mut now_ms, mut taken, mut largest) = (Bucket::full(rate, 0), 0, 0, 0);
        for (passed_ms, tokens) in asks {
            now_ms += passed_ms;
            match bucket.wait_ms(rate, now_ms) {
                None => {
                    bucket.take(rate, tokens, now_ms);
                    taken += tokens;
                    largest = largest.max(tokens);
                }
                Some(wait_ms) => {
                    // Who waits as told is let in, and not much later than needed.
                    prop_assert_eq!(bucket.wait_ms(rate, now_ms + wait_ms), None);
                    prop_assert!(bucket.wait_ms(rate, now_ms + wait_ms - 1).is_some());
                }
            }
            let granted = burst + u64::try_from(now_ms).unwrap() * per_min / 60_000 + 1;
            prop_assert!(taken <= granted + largest, "{taken} of {granted}");
        }
    }

    #[test]
    fn the_wait_is_drawn_between_once_and_three_times(wait_ms in any::<i64>(), random in any::<u64>()) {
        let base = u64::try_from(wait_ms.max(0)).unwrap().div_ceil(1000).clamp(1, 1200);
        prop_assert!((base..=3 * base).contains(&retry_after_s(wait_ms, 3600, random)));
    }
}
