//! What the machine's wall clock is worth beside the collector's.
//!
//! Both times are kept. The offset of a boot is the smallest (received - boottime) over its live receipts: no delay
//! makes it smaller, so the wall clock minus it is the machine's skew and hardly the line's delay.

#[cfg(test)]
mod tests;

/// A wall clock further off than this is flagged, in milliseconds.
pub const SKEW_MS: i64 = 120_000;
/// A wall clock further off than this is not used at all, in milliseconds.
pub const QUARANTINE_MS: i64 = 86_400_000;
/// A report that waited longer than this was not taken when its clock says, in milliseconds: no outbox keeps one so long.
pub const BACKLOG_MS: i64 = 800 * 86_400_000;

/// What a wall clock is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clock {
    /// Within [`SKEW_MS`].
    Good,
    /// Off; the collector's time is used, and a finding says so.
    Skewed,
    /// So far off that its times are kept and used for nothing.
    Quarantined,
}

/// The machine's wall clock minus the collector's, in milliseconds: positive when the machine's is ahead.
#[must_use]
pub fn skew_ms(offset_ms: i64, taken_at_ms: i64, boottime_ms: i64) -> i64 {
    taken_at_ms.saturating_sub(boottime_ms).saturating_sub(offset_ms)
}

/// What a wall clock of that skew is worth.
#[must_use]
pub fn judge(skew_ms: i64) -> Clock {
    match skew_ms.saturating_abs() {
        0..=SKEW_MS => Clock::Good,
        ..=QUARANTINE_MS => Clock::Skewed,
        _ => Clock::Quarantined,
    }
}

/// Two entries of a boot taken closer together than this say nothing about the line, in milliseconds.
const APART_MS: i64 = 500;

/// Whether an entry was certainly taken after a moment of the collector's clock. `this` is (boottime, received) of the
/// entry, `known` are those of the first and of the last entry of its boot before it.
///
/// By the machine's own clock, if that is good beside the best offset of its boot. Whatever that clock says: when two
/// entries arrive as far apart as they were taken, the line holds nothing back, and the later one was taken after the
/// earlier one arrived.
#[must_use]
pub fn is_after(moment_ms: i64, known: Option<[(i64, i64); 2]>, this: (i64, i64), taken_at_ms: i64) -> bool {
    let offset = |(boottime_ms, received_ms): (i64, i64)| received_ms.saturating_sub(boottime_ms);
    let best_ms = known.iter().flatten().copied().map(offset).fold(offset(this), i64::min);
    if judge(skew_ms(best_ms, taken_at_ms, this.0)) == Clock::Good && taken_at_ms > moment_ms {
        return true;
    }
    known.is_some_and(|[_, (boottime_ms, received_ms)]| {
        let (taken, arrived) = (this.0.saturating_sub(boottime_ms), this.1.saturating_sub(received_ms));
        received_ms > moment_ms && taken >= APART_MS && arrived.saturating_sub(taken).saturating_abs() <= taken / 4
    })
}

/// When a report was taken, by the collector's clock: by the boot's offset; without one by the machine's wall clock,
/// as long as it can be true (`None` otherwise). Never later than it was received.
#[must_use]
pub fn evidence_ms(offset_ms: Option<i64>, (taken_at_ms, boottime_ms): (i64, i64), received_at_ms: i64) -> Option<i64> {
    if let Some(offset_ms) = offset_ms {
        return Some(offset_ms.saturating_add(boottime_ms).min(received_at_ms));
    }
    let waited_ms = received_at_ms.saturating_sub(taken_at_ms);
    (-QUARANTINE_MS..=BACKLOG_MS).contains(&waited_ms).then(|| taken_at_ms.min(received_at_ms))
}
