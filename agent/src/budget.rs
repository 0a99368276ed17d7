//! What the agent may use of the machine, and whether it does (DOMAIN R83).
//!
//! Pure. Looked at over the last hour, so that a single busy minute is no excess and a leak is.

use std::collections::VecDeque;

/// One percent of one processor.
const CPU_PERMILLE_MAX: i64 = 10;
const RESIDENT_BYTES_MAX: i64 = 50 * 1024 * 1024;
const WRITTEN_BYTES_PER_HOUR_MAX: i64 = 64 * 1024 * 1024;
const HOUR_MS: i64 = 3_600_000;
/// Nothing is judged by less than this: a start costs more than what follows.
const SHORTEST_MS: i64 = 600_000;
const LOOKS_MAX: usize = 1024;

/// What the kernel says the agent has used since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Boot time of the look, in milliseconds.
    pub at_ms: i64,
    /// Processor time, in milliseconds.
    pub cpu_ms: i64,
    /// Written to disks, in bytes.
    pub written_bytes: i64,
    /// Resident memory now, in bytes.
    pub resident_bytes: i64,
}

/// The looks of the last hour.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    looks: VecDeque<Used>,
}

impl Budget {
    /// With one more look: whether the agent uses more than it may; `None` while it is too early to tell.
    pub fn look(&mut self, used: Used) -> Option<bool> {
        self.looks.push_back(used);
        let early = |look: &Used| look.at_ms < used.at_ms.saturating_sub(HOUR_MS);
        while self.looks.len() > LOOKS_MAX || self.looks.get(1).is_some_and(early) {
            self.looks.pop_front();
        }
        if used.resident_bytes > RESIDENT_BYTES_MAX {
            return Some(true);
        }
        let first = self.looks.front()?;
        let span_ms = used.at_ms.saturating_sub(first.at_ms);
        if span_ms < SHORTEST_MS {
            return None;
        }
        let cpu_ms = used.cpu_ms.saturating_sub(first.cpu_ms);
        let written = used.written_bytes.saturating_sub(first.written_bytes);
        let over_cpu = cpu_ms.saturating_mul(1000) > span_ms.saturating_mul(CPU_PERMILLE_MAX);
        let over_writes = written.saturating_mul(HOUR_MS) > WRITTEN_BYTES_PER_HOUR_MAX.saturating_mul(span_ms);
        Some(over_cpu || over_writes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn run(minutes: i64, cpu_ms: i64, written_bytes: i64, resident_bytes: i64) -> Option<bool> {
        let mut budget = Budget::default();
        let look = |minute: i64| Used { at_ms: minute * MINUTE_MS, cpu_ms: minute * cpu_ms, written_bytes: minute * written_bytes, resident_bytes };
        (0..=minutes).map(|minute| budget.look(look(minute))).last().flatten()
    }

    #[test]
    fn each_limit_is_kept_or_passed() {
        assert_eq!(run(60, 599, 1 << 20, 40 << 20), Some(false));
        assert_eq!(run(60, 601, 0, 0), Some(true), "more than one percent");
        assert_eq!(run(60, 0, (64 << 20) / 60 + 1, 0), Some(true), "more than 64 MiB an hour");
        assert_eq!(run(1, 0, 0, (50 << 20) + 1), Some(true), "memory is judged at once");
        assert_eq!(run(9, 9_000, 0, 0), None, "too early");
    }

    #[test]
    fn an_excess_is_over_an_hour_after_it_ended() {
        let mut budget = Budget::default();
        let mut said = Vec::new();
        for minute in 0..=140 {
            let cpu_ms = minute.min(20) * 6_000;
            said.push(budget.look(Used { at_ms: minute * MINUTE_MS, cpu_ms, written_bytes: 0, resident_bytes: 0 }));
        }
        assert_eq!((said[20], said[70], said[100], said[140]), (Some(true), Some(true), Some(false), Some(false)));
        assert!(budget.looks.len() <= 62);
    }
}
