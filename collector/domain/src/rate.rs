//! Token buckets: how much of something one agent or source may take, and how long it waits otherwise.
//!
//! A bucket may go into debt by what was taken last, so that a request larger than what is left is taken whole and
//! paid for afterwards: over any time no more than the burst, the time's worth and one request are taken.

#[cfg(test)]
mod tests;

/// Tokens fill by the millisecond; levels are kept in tokens times this.
const MINUTE_MS: i64 = 60_000;

/// How fast a bucket fills and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens per minute.
    pub per_min: u64,
    /// Tokens it holds.
    pub burst: u64,
}

impl Rate {
    fn full(self) -> i64 {
        i64::try_from(self.burst).unwrap_or(i64::MAX).saturating_mul(MINUTE_MS)
    }

    fn per_min(self) -> i64 {
        i64::try_from(self.per_min).unwrap_or(i64::MAX)
    }
}

/// What is left of a rate at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Tokens times [`MINUTE_MS`]; below zero in debt.
    level: i64,
    at_ms: i64,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(rate: Rate, now_ms: i64) -> Bucket {
        Bucket { level: rate.full(), at_ms: now_ms }
    }

    /// The bucket as it is now. A clock that was set back fills nothing, and the time from then on counts.
    fn at(self, rate: Rate, now_ms: i64) -> Bucket {
        let passed_ms = now_ms.saturating_sub(self.at_ms).max(0);
        Bucket { level: self.level.saturating_add(passed_ms.saturating_mul(rate.per_min())).min(rate.full()), at_ms: now_ms }
    }

    /// `None` when something may be taken now; otherwise the milliseconds until then.
    #[must_use]
    pub fn wait_ms(self, rate: Rate, now_ms: i64) -> Option<i64> {
        let Bucket { level, .. } = self.at(rate, now_ms);
        // Something may be taken from the first whole token on.
        let missing = MINUTE_MS.min(rate.full()).saturating_sub(level);
        (missing > 0).then(|| missing.saturating_add(rate.per_min() - 1).checked_div(rate.per_min()).unwrap_or(i64::MAX).max(1))
    }

    /// Takes `tokens`, into debt where they are not there. Ask [`Bucket::wait_ms`] before.
    pub fn take(&mut self, rate: Rate, tokens: u64, now_ms: i64) {
        *self = self.at(rate, now_ms);
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(MINUTE_MS);
        self.level = self.level.saturating_sub(tokens);
    }
}

/// Seconds to ask somebody to wait: drawn evenly from `[b, 3b]`, so that those refused together do not come back
/// together. `b` is `wait_ms` in whole seconds, at least 1 and at most `most_s / 3`.
#[must_use]
pub fn retry_after_s(wait_ms: i64, most_s: u64, random: u64) -> u64 {
    let wait_s = u64::try_from(wait_ms.max(0)).unwrap_or_default().div_ceil(1000);
    let base = wait_s.clamp(1, (most_s / 3).max(1));
    base + random % (2 * base + 1)
}
