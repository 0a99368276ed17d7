//! How often enrolment may be tried: it is the one thing that strangers can ask for.
//!
//! What is granted does not count, so a fleet behind one address enrols at its own pace; guesses do, those under way
//! included.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

const WINDOW_MS: i64 = 60_000;

/// Tries of one minute. Never holds more addresses than tries are allowed altogether.
#[derive(Debug)]
pub struct Pace {
    per_source: u32,
    all: u32,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    from_ms: i64,
    all: u32,
    by_source: HashMap<IpAddr, u32>,
}

/// A try that counts until it is granted.
#[derive(Debug, Clone, Copy)]
pub struct Try {
    source: IpAddr,
    from_ms: i64,
}

/// A /64 is one household or one hospital network, and whoever has one address of it has all.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (!0 << 64))),
    }
}

impl Pace {
    /// At most so many tries a minute from one address, and from all together.
    #[must_use]
    pub fn new(per_source: u32, all: u32) -> Pace {
        Pace { per_source, all, window: Mutex::default() }
    }

    /// Takes a try, or says in how many seconds to come again.
    ///
    /// # Errors
    /// The seconds, at least 1.
    pub fn take(&self, address: IpAddr, now_ms: i64) -> Result<Try, u64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        // Also when the clock was set back.
        if now_ms.abs_diff(window.from_ms) >= WINDOW_MS.unsigned_abs() {
            *window = Window { from_ms: now_ms, ..Window::default() };
        }
        let source = source(address);
        let held = window.by_source.get(&source).copied().unwrap_or(0);
        if window.all >= self.all || held >= self.per_source {
            let left_ms = window.from_ms.saturating_add(WINDOW_MS).saturating_sub(now_ms);
            return Err(u64::try_from(left_ms).unwrap_or(0).div_ceil(1000).max(1));
        }
        window.all += 1;
        window.by_source.insert(source, held + 1);
        Ok(Try { source, from_ms: window.from_ms })
    }

    /// Gives a try back: it was granted.
    pub fn granted(&self, taken: Try) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.from_ms != taken.from_ms {
            return;
        }
        window.all = window.all.saturating_sub(1);
        if let Some(held) = window.by_source.get_mut(&taken.source) {
            *held = held.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn five_a_minute_from_one_address_sixty_from_all() {
        let pace = Pace::new(5, 60);
        for _ in 0..5 {
            pace.take(ip("192.0.2.1"), 1000).unwrap();
        }
        assert_eq!(pace.take(ip("::ffff:192.0.2.1"), 31_000).unwrap_err(), 30);
        for n in 0..55 {
            pace.take(ip(&format!("198.51.100.{n}")), 31_000).unwrap();
        }
        assert_eq!(pace.take(ip("203.0.113.1"), 60_999).unwrap_err(), 1);
        assert!(pace.window.lock().unwrap().by_source.len() <= 60);
        pace.take(ip("192.0.2.1"), 61_000).unwrap();
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_what_is_granted_does_not_count() {
        let pace = Pace::new(2, 60);
        for n in 0..50 {
            let taken = pace.take(ip("2001:db8::1"), n).unwrap();
            pace.granted(taken);
        }
        pace.take(ip("2001:db8::1"), 60).unwrap();
        pace.take(ip("2001:db8::2:3"), 60).unwrap();
        pace.take(ip("2001:db8::ffff"), 60).unwrap_err();
        pace.take(ip("2001:db8:0:1::1"), 60).unwrap();
    }
}
