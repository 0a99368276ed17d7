//! What happens to one machine, made from the seed.

use super::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::Random;

/// Something that happens to a machine at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Its own line fails.
    LineDown,
    /// Its line works again.
    LineUp,
    /// Power off; the agent ends with it, in an orderly way or not.
    PowerOff {
        /// Whether the agent had time to save.
        clean: bool,
    },
    /// Power on: a new boot.
    PowerOn,
    /// The agent alone ends.
    AgentEnds,
    /// The agent alone starts.
    AgentStarts,
    /// The machine sleeps.
    Suspend,
    /// It wakes.
    Resume,
    /// The wall clock jumps.
    ClockStep {
        /// By so much, in milliseconds.
        by_ms: i64,
    },
    /// The disk is copied.
    Snapshot,
    /// The machine is put back to the copy and boots.
    Restore,
    /// A copy of the running machine starts beside it.
    CloneStarts,
    /// The copy ends.
    CloneEnds,
    /// The outbox's file turns to garbage, and the agent starts anew.
    StateLost,
    /// The facility withdraws its consent.
    Withdraw,
    /// The facility gives it again.
    Grant,
    /// Nothing can be written any more.
    DiskFull,
    /// There is space again.
    DiskFree,
}

/// What a machine may write, and how wrong its clock is.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    /// Offset of the wall clock at the start, in milliseconds.
    pub clock_ms: i64,
    /// Bytes its outbox may hold.
    pub quota_bytes: u64,
    /// Age its outbox may hold, in milliseconds.
    pub quota_age_ms: i64,
    /// After how long it changes its key, in milliseconds.
    pub rotate_after_ms: i64,
}

/// Draws a machine.
pub fn traits(random: &mut Random) -> Traits {
    // Half the machines have a good clock; of the others some are an hour off and a few years.
    let clock_ms = match random.between(0, 20) {
        0..=9 => i64::try_from(random.between(0, 4000)).unwrap() - 2000,
        10..=18 => i64::try_from(random.between(0, 7_200_000)).unwrap() - HOUR_MS,
        _ => -2000 * DAY_MS,
    };
    // A third of the outboxes fill up in a long outage, and a few drop by age.
    let quota_bytes = if random.between(0, 3) == 0 { 48 * 1024 } else { 64 << 20 };
    let quota_age_ms = if random.between(0, 8) == 0 { DAY_MS } else { 60 * DAY_MS };
    // A third change their keys again and again.
    let longest = if random.between(0, 3) == 0 { DAY_MS } else { 10 * DAY_MS };
    Traits { clock_ms, quota_bytes, quota_age_ms, rotate_after_ms: span(random, 8 * HOUR_MS, longest) }
}

fn span(random: &mut Random, from_ms: i64, to_ms: i64) -> i64 {
    let width = u64::try_from(to_ms - from_ms).unwrap();
    from_ms + i64::try_from(random.between(0, width)).unwrap()
}

/// Everything that happens to a machine between the first hours and `days`, in order.
#[must_use]
pub fn script(random: &mut Random, start_ms: i64, days: i64) -> Vec<(i64, Act)> {
    let (from, to) = (start_ms + 2 * HOUR_MS, start_ms + days * DAY_MS);
    let mut acts = Vec::new();
    power(random, from, to, &mut acts);
    // Of their own: the line, the consent, the disk, the clock.
    spells(random, (from, to), 2 * DAY_MS, &mut acts, |random| {
        let long = random.between(0, 6) == 0;
        (Act::LineDown, Act::LineUp, if long { span(random, DAY_MS, 4 * DAY_MS) } else { span(random, MINUTE_MS, 8 * HOUR_MS) })
    });
    spells(random, (from, to), 12 * DAY_MS, &mut acts, |random| (Act::Withdraw, Act::Grant, span(random, 2 * HOUR_MS, DAY_MS)));
    spells(random, (from, to), 10 * DAY_MS, &mut acts, |random| (Act::DiskFull, Act::DiskFree, span(random, MINUTE_MS, 6 * HOUR_MS)));
    let mut at = from + span(random, 0, 10 * DAY_MS);
    while at < to {
        acts.push((at, Act::ClockStep { by_ms: span(random, -2 * HOUR_MS, 2 * HOUR_MS) }));
        at += span(random, DAY_MS, 12 * DAY_MS);
    }
    acts.sort_unstable();
    acts
}

/// Spells that do not overlap each other, on average one in `every` milliseconds.
fn spells(random: &mut Random, (from, to): (i64, i64), every: i64, acts: &mut Vec<(i64, Act)>, draw: impl Fn(&mut Random) -> (Act, Act, i64)) {
    let mut at = from + span(random, 0, every);
    loop {
        let (begins, ends, length) = draw(random);
        if at + length >= to {
            return;
        }
        acts.extend([(at, begins), (at + length, ends)]);
        at += length + span(random, HOUR_MS, 2 * every);
    }
}

/// What ends or replaces the agent: one after another, so that each finds the machine running.
fn power(random: &mut Random, from: i64, to: i64, acts: &mut Vec<(i64, Act)>) {
    let mut once = [true; 3];
    let mut at = from + span(random, 0, DAY_MS);
    loop {
        let kind = random.between(0, 20);
        let (spell, length): (Vec<(i64, Act)>, i64) = match kind {
            0 if std::mem::take(&mut once[0]) => {
                let length = span(random, 26 * HOUR_MS, 40 * HOUR_MS);
                (vec![(0, Act::CloneStarts), (length, Act::CloneEnds)], length)
            }
            1 | 2 if std::mem::take(&mut once[1]) => {
                let length = span(random, HOUR_MS, 12 * HOUR_MS);
                (vec![(0, Act::Snapshot), (length, Act::Restore)], length)
            }
            3 | 4 if std::mem::take(&mut once[2]) => (vec![(0, Act::StateLost)], 0),
            5..=10 => {
                let length = span(random, MINUTE_MS, 12 * HOUR_MS);
                (vec![(0, Act::PowerOff { clean: random.between(0, 2) == 0 }), (length, Act::PowerOn)], length)
            }
            11..=14 => {
                let length = span(random, MINUTE_MS, 3 * HOUR_MS);
                (vec![(0, Act::AgentEnds), (length, Act::AgentStarts)], length)
            }
            _ => {
                let length = span(random, MINUTE_MS, 10 * HOUR_MS);
                (vec![(0, Act::Suspend), (length, Act::Resume)], length)
            }
        };
        if at + length >= to {
            return;
        }
        acts.extend(spell.into_iter().map(|(after, act)| (at + after, act)));
        at += length + span(random, HOUR_MS, 2 * DAY_MS);
    }
}
