//! When to try again: exponential with full jitter, or what the collector asks for and a little more.

use mimamori_shared::limits::RETRY_AFTER_S_MAX;
use std::time::Duration;

/// Nothing shorter: a broken link must not become a busy loop.
const SHORTEST_MS: u64 = 500;
/// First window.
const BASE_MS: u64 = 1000;
/// The largest window is the interval, but never below this (DECISIONS 13): presence stays sharp.
const CAP_S_MIN: u64 = 60;

/// The wait after `failures` failed tries in a row. `random` is 64 fresh random bits.
///
/// Without a `Retry-After` it lies between 0.5 s and the window; with one of `r` seconds between `r` and 1.2 `r`,
/// so that the collector's spacing holds and the fleet does not return as one.
#[must_use]
pub fn next_delay(failures: u32, interval_s: u64, retry_after_s: Option<u64>, random: u64) -> Duration {
    // "Retry-After: 0" asks for nothing; taken literally it would take the spacing away.
    if let Some(asked_s) = retry_after_s.filter(|s| *s > 0) {
        let asked_ms = asked_s.min(RETRY_AFTER_S_MAX).saturating_mul(1000);
        return Duration::from_millis(asked_ms.saturating_add(up_to(asked_ms / 5, random)));
    }
    let cap_ms = interval_s.max(CAP_S_MIN).saturating_mul(1000);
    let doublings = failures.saturating_sub(1).min(32);
    let window_ms = BASE_MS.saturating_mul(1 << doublings).min(cap_ms);
    Duration::from_millis(up_to(window_ms, random).max(SHORTEST_MS))
}

/// Uniform in `0..=most`: the high half of the 128-bit product has no bias worth naming.
fn up_to(most: u64, random: u64) -> u64 {
    let product = u128::from(random) * (u128::from(most) + 1);
    u64::try_from(product >> 64).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_window_doubles_up_to_the_cap() {
        let longest = |failures, interval| next_delay(failures, interval, None, u64::MAX).as_millis();
        assert_eq!([0, 1, 2, 3, 6, 7].map(|n| longest(n, 30)), [1000, 1000, 2000, 4000, 32_000, 60_000]);
        assert_eq!(longest(u32::MAX, 30), 60_000);
        assert_eq!(longest(u32::MAX, 300), 300_000);
    }

    #[test]
    fn no_luck_makes_a_busy_loop() {
        assert_eq!([1, 5, 99].map(|failures| next_delay(failures, 60, None, 0).as_millis()), [500; 3]);
    }

    #[test]
    fn nothing_asked_is_not_obeyed() {
        assert_eq!(next_delay(7, 30, Some(0), u64::MAX), next_delay(7, 30, None, u64::MAX));
    }

    #[test]
    fn the_jitter_fills_the_window() {
        let quarter = u64::MAX / 4;
        assert_eq!([0, quarter, 2 * quarter, 3 * quarter].map(|r| up_to(399, r)), [0, 99, 199, 299]);
    }

    proptest! {
        #[test]
        fn property_without_a_wish_the_wait_is_within_the_window(failures: u32, interval in 0_u64..=86_400, random: u64) {
            let wait = next_delay(failures, interval, None, random).as_millis();
            prop_assert!(wait >= 500);
            prop_assert!(wait <= u128::from(interval.max(60) * 1000));
        }

        #[test]
        fn property_a_wish_is_never_undercut_and_exceeded_by_a_fifth_at_most(
            failures: u32, interval: u64, asked in 1_u64..=RETRY_AFTER_S_MAX, random: u64,
        ) {
            let wait = next_delay(failures, interval, Some(asked), random).as_millis();
            prop_assert!(wait >= u128::from(asked) * 1000);
            prop_assert!(wait <= u128::from(asked) * 1200);
        }

        #[test]
        fn property_no_wish_stops_an_agent_for_long(failures: u32, asked: u64, random: u64) {
            prop_assert!(next_delay(failures, 60, Some(asked), random).as_secs() <= RETRY_AFTER_S_MAX * 6 / 5);
        }
    }
}
