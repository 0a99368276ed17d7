//! Whether a machine is up, as far as the collector can tell: state + event + now -> state + changes.
//!
//! This is the only place that decides it. Changes are appended to a history that is never edited: where two
//! overlap, the later one holds ([`state_at`]). Moments are the collector's: a live report stands at its receipt,
//! the boot of a machine at (received - boottime), so that a wrong clock beside the scanner moves nothing; only
//! without a live report of a boot is the machine's own clock believed. No result depends on how often
//! [`Event::Tick`] comes. Where the consent lets nothing be taken (outside agreed windows, past its end, on demand
//! while nobody asks) a machine is not consented, by the stated terms and the collector's clock alone.

mod words;

#[cfg(test)]
mod tests;

use crate::wall::evidence_ms;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Pause, Reach};
use mimamori_shared::id::BootId;
use mimamori_shared::payload::ConsentState;
use mimamori_shared::time::show;
pub use words::{Because, State};

/// What is added to two intervals before silence counts, in seconds.
pub const GRACE_EXTRA_S: u64 = 30;

/// How long a machine may be silent, in seconds: two intervals and [`GRACE_EXTRA_S`].
#[must_use]
pub fn grace_s(interval_s: u64) -> u64 {
    interval_s.saturating_mul(2).saturating_add(GRACE_EXTRA_S)
}

/// [`grace_s`] in milliseconds, for sums with moments.
#[must_use]
pub fn grace_ms(interval_s: u64) -> i64 {
    i64::try_from(grace_s(interval_s)).unwrap_or(i64::MAX).saturating_mul(1000)
}

/// A boot of a machine and how far it is proven to have lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// The boot.
    pub boot_id: BootId,
    /// Largest milliseconds since boot that were reported.
    pub boottime_ms: i64,
    /// Smallest (received - boottime) of its live reports: the moment of the boot on the collector's clock.
    pub offset_ms: Option<i64>,
    /// Up to here the machine is proven to have been up.
    pub proven_ms: i64,
    /// Up to here the history says so.
    pub told_ms: i64,
}

/// What is known of one machine. `boot_id`, `last_boottime_ms` are those of [`Presence::boot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The state.
    pub state: State,
    /// Since when.
    pub since_ms: i64,
    /// Why.
    pub because: Because,
    /// When the newest live report was received.
    pub last_received_ms: Option<i64>,
    /// The newest boot.
    pub boot: Option<Boot>,
    /// The boot before it: its late reports still correct where it ended.
    pub past: Option<Boot>,
    /// When silence begins; only while up.
    pub due_at_ms: Option<i64>,
    /// When the consent next begins or ends to let something be taken.
    pub turn_at_ms: Option<i64>,
    /// When the consent last began to let something be taken, by itself: what late reports tell of before that is left to
    /// the evidence, because it would speak of the time in which nobody may look.
    pub agreed_from_ms: Option<i64>,
}

/// What was agreed, as last stated.
#[derive(Debug, Clone, Copy)]
pub struct Agreed<'a> {
    /// The longest time between two reports that is no silence, in seconds.
    pub interval_s: u64,
    /// The consent's terms while it is granted.
    pub terms: Option<&'a ConsentTerms>,
}

impl Agreed<'_> {
    /// Why nothing is taken at a moment, if the terms say so.
    fn pause(&self, at_ms: i64) -> Option<Because> {
        match self.terms?.reach(at_ms) {
            Reach::Nothing(Pause::Ended) => Some(Because::ConsentExpired),
            Reach::Nothing(Pause::OutsidePeriod) => Some(Because::OutsidePeriod),
            Reach::Nothing(Pause::Quiet) => Some(Because::QuietHours),
            // A machine whose clock is ahead may begin early: its reports count.
            Reach::Nothing(Pause::NotYet) | Reach::All | Reach::Heartbeat => None,
        }
    }

    /// The reason when nobody asks, if the consent is on demand.
    fn unasked(&self) -> Option<Because> {
        self.terms.filter(|terms| terms.mode == ConsentMode::OnDemand).map(|_| Because::OnDemand)
    }
}

impl Presence {
    /// When to look again without being told.
    #[must_use]
    pub fn look_at_ms(&self) -> Option<i64> {
        self.due_at_ms.into_iter().chain(self.turn_at_ms).min()
    }

    /// The newest boot's id.
    #[must_use]
    pub fn boot_id(&self) -> Option<BootId> {
        self.boot.map(|boot| boot.boot_id)
    }

    /// The newest boot's largest boottime.
    #[must_use]
    pub fn last_boottime_ms(&self) -> Option<i64> {
        self.boot.map(|boot| boot.boottime_ms)
    }

    fn unseen(now_ms: i64) -> Presence {
        Presence {
            state: State::NotKnown,
            since_ms: now_ms,
            because: Because::NeverReported,
            last_received_ms: None,
            boot: None,
            past: None,
            due_at_ms: None,
            turn_at_ms: None,
            agreed_from_ms: None,
        }
    }
}

/// A report, as far as presence is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When the collector received it.
    pub received_at_ms: i64,
    /// The machine's wall clock.
    pub taken_at_ms: i64,
    /// The boot.
    pub boot_id: BootId,
    /// Milliseconds since boot, suspended time included.
    pub boottime_ms: i64,
    /// Whether it was taken just now; false for what waited in an outbox.
    pub live: bool,
}

/// What can happen to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A report or preview was accepted.
    Report(Seen),
    /// The consent changed.
    Consent(ConsentState),
    /// The interval changed.
    Plan {
        /// Between two reports, in seconds.
        interval_s: u64,
    },
    /// The facility removed the agent: nothing more will come, and that is no failure.
    Uninstall,
    /// The machine is taken out of service.
    Retire,
    /// Time passed.
    Tick,
}

/// One line of a machine's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The state.
    pub state: State,
    /// From when, included.
    pub from_ms: i64,
    /// Until when, not included; open until a later line says otherwise.
    pub to_ms: Option<i64>,
    /// Why.
    pub because: Because,
    /// What it rests on.
    pub evidence: String,
}

/// The state at a moment: the last line that covers it holds.
#[must_use]
pub fn state_at(history: &[Change], at_ms: i64) -> Option<State> {
    let covers = |change: &&Change| change.from_ms <= at_ms && change.to_ms.is_none_or(|to_ms| at_ms < to_ms);
    history.iter().rev().find(covers).map(|change| change.state)
}

/// Whether a presence makes sense; for assertions, properties and checks of a live database.
#[must_use]
pub fn holds(presence: &Presence) -> bool {
    let up = presence.state == State::Up;
    let proofs = presence.boot.iter().chain(&presence.past);
    up == presence.due_at_ms.is_some() && (!up || presence.boot.is_some()) && proofs.into_iter().all(|boot| boot.told_ms <= boot.proven_ms)
}

/// Decides. `agreed` is what is in force: by its interval silence is judged from the next report on. Of an event that
/// changes it, `agreed` is what it is changed to.
#[must_use]
pub fn step(presence: Option<&Presence>, event: Event, now_ms: i64, agreed: Agreed<'_>) -> (Presence, Vec<Change>) {
    let is = presence.cloned().unwrap_or_else(|| Presence::unseen(now_ms));
    let mut step = Step { is, changes: Vec::new(), grace_ms: grace_ms(agreed.interval_s), agreed };
    if step.is.state != State::Retired {
        step.take(event, now_ms);
    }
    debug_assert!(holds(&step.is), "{:?}", step.is);
    (step.is, step.changes)
}

/// Turns that are told one by one; after a longer sleep of the collector only the last one is.
const TURNS_MAX: usize = 4096;

struct Step<'a> {
    is: Presence,
    changes: Vec<Change>,
    grace_ms: i64,
    agreed: Agreed<'a>,
}

impl Step<'_> {
    fn take(&mut self, event: Event, now_ms: i64) {
        let at_ms = match event {
            Event::Report(seen) if seen.live => seen.received_at_ms.min(now_ms),
            _ => now_ms,
        };
        self.pass(at_ms);
        if !matches!(event, Event::Report(Seen { live: false, .. })) {
            self.settle();
        }
        match event {
            Event::Report(seen) if self.is.state == State::NotConsented && !(seen.live && self.is.because == Because::OnDemand) => {}
            Event::Report(seen) if seen.live => self.live(seen),
            Event::Report(seen) => self.late(seen),
            Event::Consent(ConsentState::Withdrawn) => self.revoke(Because::ConsentWithdrawn, now_ms),
            Event::Consent(ConsentState::Expired) => self.revoke(Because::ConsentExpired, now_ms),
            Event::Consent(ConsentState::Granted) => self.grant(now_ms),
            Event::Plan { interval_s } => {
                // A shorter interval is no reason to call the past silent.
                let due_ms = self.is.last_received_ms.unwrap_or(now_ms).saturating_add(grace_ms(interval_s)).max(now_ms);
                self.is.due_at_ms = self.is.due_at_ms.map(|_| due_ms);
            }
            Event::Uninstall => self.revoke(Because::Uninstalled, now_ms),
            Event::Retire => {
                self.is.turn_at_ms = None;
                self.stop(State::Retired, Because::Retired, now_ms);
            }
            Event::Tick => {}
        }
    }

    fn append(&mut self, state: State, (from_ms, to_ms): (i64, Option<i64>), because: Because, evidence: String) {
        if to_ms.is_none_or(|to_ms| from_ms < to_ms) {
            self.changes.push(Change { state, from_ms, to_ms, because, evidence });
        }
    }

    fn enter(&mut self, state: State, since_ms: i64, because: Because, evidence: String) {
        (self.is.state, self.is.since_ms, self.is.because) = (state, since_ms, because);
        self.append(state, (since_ms, None), because, evidence);
    }

    /// Everything that time alone has changed up to a moment, in its order, whenever somebody looks.
    fn pass(&mut self, at_ms: i64) {
        for _ in 0..TURNS_MAX {
            let Some(turn_ms) = self.is.turn_at_ms.filter(|turn_ms| *turn_ms <= at_ms) else { break };
            self.lapse(turn_ms);
            self.settle();
            self.turn(turn_ms);
        }
        if self.is.turn_at_ms.is_some_and(|turn_ms| turn_ms <= at_ms) {
            self.lapse(at_ms);
            self.settle();
            self.turn(at_ms);
        }
        self.lapse(at_ms);
    }

    /// The consent begins or ends to let something be taken.
    fn turn(&mut self, at_ms: i64) {
        self.is.turn_at_ms = self.agreed.terms.and_then(|terms| terms.next_turn(at_ms));
        match self.agreed.pause(at_ms) {
            Some(because) => self.stop(State::NotConsented, because, at_ms),
            None if matches!(self.is.because, Because::OutsidePeriod | Because::QuietHours) => {
                self.is.agreed_from_ms = Some(at_ms);
                self.enter(State::NotKnown, at_ms, Because::PeriodBegan, String::new());
            }
            None => {}
        }
    }

    /// Silence begins where the grace ran out.
    fn lapse(&mut self, at_ms: i64) {
        let Some(due_ms) = self.is.due_at_ms.filter(|due_ms| *due_ms < at_ms) else { return };
        self.is.due_at_ms = None;
        if let Some(boot) = &mut self.is.boot {
            boot.told_ms = boot.told_ms.max(boot.proven_ms);
        }
        if let Some(because) = self.agreed.unasked() {
            self.settle();
            return self.stop(State::NotConsented, because, due_ms);
        }
        let last_ms = self.is.last_received_ms.unwrap_or(due_ms);
        let grace_s = u64::try_from(due_ms.saturating_sub(last_ms) / 1000).unwrap_or_default();
        self.enter(State::NotKnown, due_ms, Because::Silent { grace_s }, format!("last report received {}", show(last_ms)));
    }

    /// Tells the history what late reports have proven meanwhile, in one line for all of them.
    fn settle(&mut self) {
        let mut lines = Vec::new();
        let up = self.is.state == State::Up;
        for boot in self.is.past.iter_mut().chain(self.is.boot.iter_mut().filter(|_| !up)) {
            if boot.told_ms < boot.proven_ms {
                lines.push(((boot.told_ms, Some(boot.proven_ms)), format!("boot {} at {} ms since boot", boot.boot_id, boot.boottime_ms)));
                boot.told_ms = boot.proven_ms;
            }
        }
        for (span, evidence) in lines {
            self.append(State::Up, span, Because::LateReport, evidence);
        }
    }

    fn live(&mut self, seen: Seen) {
        let at_ms = seen.received_at_ms;
        let booted_ms = at_ms.saturating_sub(seen.boottime_ms);
        let evidence = format!("boot {} taken {} received {}", seen.boot_id, show(seen.taken_at_ms), show(at_ms));
        let (was, first) = (self.is.state, self.is.last_received_ms.is_none());
        if was == State::NotConsented {
            self.is.agreed_from_ms = Some(at_ms);
        }
        let mut up = (at_ms, if first { Because::FirstReport } else { Because::ReportArrived });
        let same = self.is.boot.filter(|boot| boot.boot_id == seen.boot_id);
        if let Some(boot) = same {
            // The same boot goes on: the machine was up while nothing came (DECISIONS 22).
            if was == State::NotKnown && boot.boottime_ms < seen.boottime_ms {
                self.append(State::Up, (boot.told_ms, Some(at_ms)), Because::SameBoot, evidence.clone());
            }
        } else if self.is_older(booted_ms, seen) {
            return;
        } else if let Some(boot) = self.is.boot {
            up = (self.reboot(boot, booted_ms, &evidence), Because::NewBoot);
        }
        self.prove(seen, at_ms, Some(booted_ms));
        self.is.last_received_ms = self.is.last_received_ms.max(Some(at_ms));
        self.is.due_at_ms = self.is.last_received_ms.map(|last_ms| last_ms.saturating_add(self.grace_ms));
        if was != State::Up || up.1 == Because::NewBoot {
            self.enter(State::Up, up.0, up.1, evidence);
        }
    }

    fn late(&mut self, seen: Seen) {
        let known = self.is.boot.iter().chain(&self.is.past).find(|boot| boot.boot_id == seen.boot_id);
        let offset_ms = known.and_then(|boot| boot.offset_ms);
        // A wall clock that cannot be true proves nothing; a live report of the same boot will tell when it was.
        let Some(at_ms) = evidence_ms(offset_ms, (seen.taken_at_ms, seen.boottime_ms), seen.received_at_ms) else { return };
        let booted_ms = at_ms.saturating_sub(seen.boottime_ms);
        if self.is.agreed_from_ms.is_some_and(|from_ms| at_ms < from_ms) {
            return;
        }
        if let Some(past) = self.is.past.as_mut().filter(|past| past.boot_id == seen.boot_id) {
            // It cannot have lasted beyond the boot that came after it.
            let end_ms = self.is.boot.and_then(|boot| boot.offset_ms).unwrap_or(i64::MAX);
            if past.boottime_ms < seen.boottime_ms {
                past.boottime_ms = seen.boottime_ms;
                past.proven_ms = past.proven_ms.max(at_ms.min(end_ms));
            }
            return;
        }
        match self.is.boot {
            Some(boot) if boot.boot_id == seen.boot_id || self.is_older(booted_ms, seen) => {}
            Some(boot) => {
                self.settle();
                let evidence = format!("boot {} taken {} received {}", seen.boot_id, show(seen.taken_at_ms), show(seen.received_at_ms));
                let from_ms = self.reboot(boot, booted_ms, &evidence);
                self.prove(seen, at_ms.max(from_ms), None);
                if let Some(boot) = &mut self.is.boot {
                    boot.told_ms = from_ms;
                }
                return;
            }
            None => {}
        }
        if self.is.boot.is_none_or(|boot| boot.boot_id == seen.boot_id) {
            self.prove(seen, at_ms, None);
        }
    }

    /// A boot that is not the newest: reports of it say nothing about now.
    fn is_older(&self, booted_ms: i64, seen: Seen) -> bool {
        let past = self.is.past.is_some_and(|past| past.boot_id == seen.boot_id);
        let before = self.is.boot.is_some_and(|boot| booted_ms < boot.proven_ms);
        past || (!seen.live && before)
    }

    /// The machine was not up between the last proof of the old boot and the new one; when the new one began.
    fn reboot(&mut self, old: Boot, booted_ms: i64, evidence: &str) -> i64 {
        let from_ms = booted_ms.max(old.proven_ms);
        self.append(State::Down, (old.proven_ms, Some(from_ms)), Because::NewBoot, evidence.to_owned());
        self.is.past = Some(Boot { told_ms: old.proven_ms, ..old });
        self.is.boot = None;
        from_ms
    }

    fn prove(&mut self, seen: Seen, at_ms: i64, offset_ms: Option<i64>) {
        let fresh = Boot { boot_id: seen.boot_id, boottime_ms: seen.boottime_ms, offset_ms, proven_ms: at_ms, told_ms: at_ms };
        let boot = self.is.boot.get_or_insert(fresh);
        boot.offset_ms = boot.offset_ms.into_iter().chain(offset_ms).min();
        if boot.boottime_ms <= seen.boottime_ms {
            boot.boottime_ms = seen.boottime_ms;
            boot.proven_ms = boot.proven_ms.max(at_ms);
        }
        if offset_ms.is_some() {
            boot.told_ms = boot.proven_ms;
        }
    }

    fn revoke(&mut self, because: Because, now_ms: i64) {
        self.is.turn_at_ms = None;
        self.stop(State::NotConsented, because, now_ms);
    }

    fn stop(&mut self, state: State, because: Because, now_ms: i64) {
        if (self.is.state, self.is.because) != (state, because) {
            (self.is.boot, self.is.past, self.is.due_at_ms) = (None, None, None);
            self.enter(state, now_ms, because, String::new());
        }
    }

    fn grant(&mut self, now_ms: i64) {
        self.is.turn_at_ms = self.agreed.terms.and_then(|terms| terms.next_turn(now_ms));
        let waits = self.is.because == Because::NeverReported && self.is.boot.is_none();
        let waits = waits || self.is.state == State::NotConsented;
        // A machine that reports under a consent on demand goes on until it is silent.
        let unasked = self.agreed.unasked().filter(|_| self.is.state != State::Up);
        match self.agreed.pause(now_ms).or(unasked) {
            Some(because) => self.stop(State::NotConsented, because, now_ms),
            None if waits => self.enter(State::NotKnown, now_ms, Because::ConsentGranted, String::new()),
            None => {}
        }
    }
}
