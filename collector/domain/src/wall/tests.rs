use super::*;
use proptest::prelude::*;

const TEN_YEARS_MS: i64 = 3_653 * 86_400_000;
/// 2026-11-22T05:16:44Z.
const NOW: i64 = 1_795_324_604_000;

#[test]
fn the_bounds_are_where_they_are_said_to_be() {
    for (skew, expected) in [
        (0, Clock::Good),
        (SKEW_MS, Clock::Good),
        (-SKEW_MS - 1, Clock::Skewed),
        (QUARANTINE_MS, Clock::Skewed),
        (QUARANTINE_MS + 1, Clock::Quarantined),
        (i64::MIN, Clock::Quarantined),
        (i64::MAX, Clock::Quarantined),
    ] {
        assert_eq!(judge(skew), expected, "{skew}");
    }
}

#[test]
fn without_a_live_receipt_only_a_clock_that_can_be_true_is_believed() {
    let taken = |taken_ms| evidence_ms(None, (taken_ms, 5_000), NOW);
    assert_eq!(taken(NOW - 30 * 86_400_000), Some(NOW - 30 * 86_400_000));
    assert_eq!(taken(NOW + 60_000), Some(NOW), "a clock that is ahead a little says nothing later than the receipt");
    assert_eq!(taken(NOW + TEN_YEARS_MS), None);
    assert_eq!(taken(NOW - TEN_YEARS_MS), None);
    assert_eq!(taken(i64::MIN), None);
}

proptest! {
    /// However late the receipts are, the skew that is told lies within the smallest delay of the true one.
    #[test]
    fn the_skew_is_told_up_to_the_smallest_delay(
        true_skew_ms in -TEN_YEARS_MS..TEN_YEARS_MS,
        booted_ms in 0..NOW,
        reports in prop::collection::vec((0..10_000_000_i64, 0..60_000_i64), 1..30),
    ) {
        let offset_ms = reports.iter().map(|(boottime_ms, delay_ms)| booted_ms + boottime_ms + delay_ms - boottime_ms).min().unwrap();
        let smallest_ms = reports.iter().map(|(_, delay_ms)| *delay_ms).min().unwrap();
        for (boottime_ms, _) in reports {
            let taken_ms = booted_ms + boottime_ms + true_skew_ms;
            prop_assert_eq!(skew_ms(offset_ms, taken_ms, boottime_ms), true_skew_ms - smallest_ms);
            let at_ms = evidence_ms(Some(offset_ms), (taken_ms, boottime_ms), i64::MAX).unwrap();
            prop_assert_eq!(at_ms, booted_ms + boottime_ms + smallest_ms, "the wall clock moves nothing");
        }
    }

    #[test]
    fn nothing_overflows(offset: Option<i64>, taken: i64, boottime: i64, received: i64) {
        let at_ms = evidence_ms(offset, (taken, boottime), received);
        prop_assert!(at_ms.is_none_or(|at_ms| at_ms <= received));
        let skew = skew_ms(offset.unwrap_or(0), taken, boottime);
        prop_assert_eq!(judge(skew) == Clock::Good, (-SKEW_MS..=SKEW_MS).contains(&skew));
    }
}

/// Who speaks after a moment is told from who delivers late, with a good clock and with any other.
#[test]
fn an_entry_is_after_a_moment_by_a_good_clock_or_by_a_line_that_holds_nothing_back() {
    const OPENED: i64 = 1_000_000_000;
    const DAY: i64 = 86_400_000;
    // The boot was at 0 by the collector's clock; the machine's clock is off by `skew_ms`.
    let entry =
        |taken_ms: i64, received_ms: i64, skew_ms: i64, known: Option<[(i64, i64); 2]>| is_after(OPENED, known, (taken_ms, received_ms), taken_ms + skew_ms);
    let live = |ms: i64| (ms, ms + 200);
    for skew_ms in [0, 100_000, -100_000] {
        assert!(entry(OPENED + 200_000, OPENED + 200_100, skew_ms, None));
        assert!(!entry(OPENED - 200_000, OPENED + 300, skew_ms, Some([live(5), live(OPENED - 260_000)])), "a backlog of a boot whose first entry was live");
    }
    for skew_ms in [3_600_000, -3_600_000, 9 * DAY, -9 * DAY] {
        // What was taken before and comes in one go afterwards, under a clock that says anything.
        let mut known = [live(5), live(OPENED - 7_200_000)];
        for n in 1..100 {
            let this = (OPENED - 7_200_000 + n * 60_000, OPENED + 500 + n);
            assert!(!entry(this.0, this.1, skew_ms, Some(known)), "{skew_ms} {n}");
            known[1] = this;
        }
        assert!(!entry(OPENED - 60_000, OPENED + 300, skew_ms, None), "{skew_ms}");
        // A second voice that goes on with the line in order.
        let (first, second) = (live(OPENED + 60_000), live(OPENED + 120_000));
        assert!(!entry(first.0, first.1, skew_ms, Some([live(5), live(OPENED - 60_000)])), "one entry may have been on its way: {skew_ms}");
        assert!(entry(second.0, second.1, skew_ms, Some([live(5), first])), "{skew_ms}");
    }
    // Entries of one moment that arrive together prove nothing about the line.
    assert!(!entry(OPENED - 1000, OPENED + 600, 9 * DAY, Some([(OPENED - 1010, OPENED + 590); 2])));
}
