//! The agent's decisions: a deterministic state machine. Clock and entropy are arguments, every effect is
//! returned; simulations run this very code (docs: ARCHITECTURE.md, I3).
//!
//! Knows nothing of files, sockets or timers. The shell ([`crate::run`]) carries the effects out and answers
//! with events: a [`Effect::Commit`] is answered by [`Event::Committed`] or [`Event::CommitFailed`] before any
//! other event.

mod event;
#[cfg(test)]
mod hostile_tests;
mod loss;
mod purge;
mod push;
mod record;
#[cfg(test)]
pub(crate) mod rig;
mod rotate;
#[cfg(test)]
mod rotate_tests;
mod sample;
#[cfg(test)]
mod sample_tests;
mod schedule;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod tests;

pub use event::{ChainState, Consent, Effect, Event, Held, Identity, KeyTask, Note, Now, Restored, States};
pub use push::{Answered, Push};
pub use record::{LossSpec, Record};
pub use rotate::Rotation;

use crate::diagnosis::Diagnosis;
use mimamori_shared::chain::Tip;
use mimamori_shared::consent::Plan;
use mimamori_shared::fields::Scope;
use mimamori_shared::id::{BootId, ChainId, Hash, Lease};
use mimamori_shared::payload::{ConsentState, Counts, OpenReason, Place, Statement};
use mimamori_shared::sign::PayloadType;
use std::collections::{BTreeMap, BTreeSet};

/// How long nothing is committed after a commit failed, in milliseconds: space that is free again is used within a
/// second.
const STALL_MS: i64 = 1_000;

/// Chains opened within a day; the next one waits.
const NEW_CHAINS_A_DAY: usize = 3;
const DAY_MS: i64 = 86_400_000;

/// Whether what is unsent must go before anything else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purging {
    No,
    UnderWay { whole: bool },
    Again { at: i64 },
}

/// The machine's settings that decide when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The intervals.
    pub plan: Plan,
    /// Fields that the configuration holds back, whatever the consent says.
    pub except: BTreeSet<u16>,
}

/// The state machine.
#[derive(Debug)]
pub struct Agent {
    identity: Identity,
    settings: Settings,
    consent: Option<Consent>,
    chains: Vec<ChainState>,
    stated_consent: Option<Hash>,
    stated_plan: Option<Hash>,
    last_boot: Option<BootId>,
    last_states: States,
    /// States of the report that is pending.
    pending_states: States,
    /// What the self-diagnosis looks after, and the same as of the report that is pending.
    diagnosis: Diagnosis,
    pending_diagnosis: Option<Diagnosis>,
    purged: Counts,
    purging: Purging,
    stalled_until: i64,
    to_open: Option<(OpenReason, Option<Place>)>,
    opened_at: Vec<i64>,
    opening_at: i64,
    owed: Option<(ConsentState, Hash)>,
    rotation: Rotation,
    rotate: rotate::Step,
    /// Chains that were looked up, and when: boot time, milliseconds.
    recalled: Vec<(ChainId, i64)>,
    pending: Option<Box<Record>>,
    sampling: bool,
    sample_at: Option<i64>,
    /// Where the beat was moved to by a sample that came late, in boot time.
    phase: Option<i64>,
    /// The scopes of the sample that is being taken.
    taking: BTreeSet<Scope>,
    /// Scopes that are not due and are looked at all the same, for a state that changed.
    watching: BTreeSet<Scope>,
    /// When they were looked at last, in boot time, and how many beats lie between two looks.
    looked_at: Option<i64>,
    beats_to_look: u64,
    /// When such a change was told, in boot time.
    told: BTreeMap<Scope, i64>,
    /// When each scope was taken last, in boot time.
    taken: BTreeMap<Scope, i64>,
    /// The same before the sample under way, and whether that is being tried again.
    taken_before: BTreeMap<Scope, i64>,
    again: bool,
    /// Something outside says that there is something new to see.
    news: bool,
    /// Until when somebody at the facility asks, by the wall clock.
    asked_until_ms: i64,
    push: Push,
}

impl Agent {
    /// An agent that goes on from what the outbox holds.
    #[must_use]
    pub fn new(identity: Identity, settings: Settings, restored: Restored) -> Agent {
        let to_open = match (&restored.lost, restored.chains.last()) {
            (Some(previous), _) => Some((OpenReason::StateLost, *previous)),
            (None, None) => Some((OpenReason::Enrolled, None)),
            (None, Some(newest)) => rotate::goes_on(newest),
        };
        Agent {
            identity,
            settings,
            consent: None,
            chains: restored.chains,
            stated_consent: restored.stated_consent,
            stated_plan: restored.stated_plan,
            last_boot: restored.last_boot,
            last_states: States::new(),
            pending_states: States::new(),
            diagnosis: restored.diagnosis,
            pending_diagnosis: None,
            purged: Counts::default(),
            purging: Purging::No,
            stalled_until: i64::MIN,
            to_open,
            opened_at: Vec::new(),
            opening_at: 0,
            owed: None,
            rotation: Rotation::default(),
            rotate: rotate::Step::Idle,
            recalled: Vec::new(),
            pending: None,
            sampling: false,
            sample_at: None,
            phase: None,
            taking: BTreeSet::new(),
            watching: BTreeSet::new(),
            looked_at: None,
            beats_to_look: 1,
            told: BTreeMap::new(),
            taken: BTreeMap::new(),
            taken_before: BTreeMap::new(),
            again: false,
            news: false,
            asked_until_ms: i64::MIN,
            push: Push::new(restored.push_fail_ms),
        }
    }

    /// Takes one event and says what to do. `random` is fresh entropy.
    pub fn step(&mut self, event: Event, now: Now, random: [u8; 16]) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Wake => {}
            Event::Consent(consent) => self.consent_read(consent, &mut effects),
            Event::News => {
                self.news = true;
                self.sample_at = Some(now.boottime_ms);
            }
            Event::Asked(until_ms) => self.asked(until_ms),
            Event::Sampled { readings, faults, states } => self.sampled(*readings, faults, states, now),
            Event::Committed => self.committed(&mut effects),
            Event::CommitFailed => self.commit_failed(now),
            Event::CommitRefused => {
                self.pending = None;
                self.pending_states = States::new();
                self.pending_diagnosis = None;
            }
            Event::Dropped(spec) => self.dropped(&spec, now, &mut effects),
            Event::Purged(whole) => self.purged(whole, now),
            Event::BridgeFailed => self.bridge_failed(now),
            Event::PushFailed => self.push.stall(now.boottime_ms.saturating_add(STALL_MS)),
            Event::PushEmpty => self.push.none_sent(),
            Event::Answered { sent, answer } => self.answered(&sent, answer, now, random, &mut effects),
            Event::Rotate => self.want_rotation(),
            Event::KeyMade(key) => self.key_made(key, now),
            Event::KeyUnknown(chain_id) => self.recall(chain_id, now, &mut effects),
            Event::Recalled { before, chain } => self.take_recalled(before, chain),
            Event::Rewound { chain_id, held } => self.rewound(chain_id, held, now, &mut effects),
        }
        self.go_on(now, random, &mut effects);
        effects
    }

    /// When [`Event::Wake`] is wanted next, in boot time; `None` when only an event from outside can change anything.
    #[must_use]
    pub fn wake_at(&self) -> Option<i64> {
        // Nothing is sampled before there is a chain for it; when that may not be opened yet, waking earlier changes nothing.
        let sample = match &self.to_open {
            // While a sample is being taken, waking changes nothing: its end is an event.
            _ if !self.may_collect() || self.sampling => None,
            Some(_) => self.may_open_at(),
            None => self.sample_at,
        };
        let push = if self.push_chain().is_some() { self.push.due_at() } else { None };
        if let Purging::Again { at } = self.purging {
            return Some(at);
        }
        let stalled = (self.stalled_until != i64::MIN).then_some(self.stalled_until);
        [sample, push, stalled].into_iter().flatten().min()
    }

    /// The newest chain, if one is open.
    #[must_use]
    pub fn newest(&self) -> Option<&ChainState> {
        self.chains.last()
    }

    /// Chains as they stand, with what is receipted: what a clean stop makes durable.
    #[must_use]
    pub fn chains(&self) -> &[ChainState] {
        &self.chains
    }

    /// How pushing goes.
    #[must_use]
    pub fn push_state(&self) -> &Push {
        &self.push
    }

    fn may_collect(&self) -> bool {
        matches!(self.consent, Some(Consent::Valid(_)))
    }

    fn consent_read(&mut self, consent: Consent, effects: &mut Vec<Effect>) {
        if self.consent.as_ref() == Some(&consent) {
            return;
        }
        match &consent {
            Consent::Invalid(state) => {
                effects.push(Effect::Note(Note::NoConsent(*state)));
                if let Some(stated) = self.stated_consent {
                    // What was collected under the consent may no longer leave; one statement says so.
                    self.purged = Counts::default();
                    self.owed = Some((*state, stated));
                    self.purging = Purging::UnderWay { whole: true };
                    effects.push(Effect::Purge);
                }
                self.sampling = false;
            }
            Consent::Keeping => {
                effects.push(Effect::Note(Note::NoConsent(ConsentState::Withdrawn)));
                if let Some(stated) = self.stated_consent {
                    self.purged = Counts::default();
                    self.owed = Some((ConsentState::Withdrawn, stated));
                }
                self.sampling = false;
            }
            Consent::Unclear => self.sampling = false,
            Consent::Valid(_) => {
                self.owed = None;
                self.sample_at = None;
            }
        }
        self.consent = Some(consent);
    }

    fn asked(&mut self, until_ms: Option<i64>) {
        let until_ms = until_ms.unwrap_or(i64::MIN);
        if self.asked_until_ms != until_ms {
            self.asked_until_ms = until_ms;
            self.sample_at = None;
        }
    }

    fn committed(&mut self, effects: &mut Vec<Effect>) {
        let Some(record) = self.pending.take() else { return };
        // Not before: a change whose report could not be kept is still to be told.
        self.last_states.append(&mut self.pending_states);
        if let Some(diagnosis) = self.pending_diagnosis.take() {
            self.diagnosis = diagnosis;
        }
        if let Some(opened) = record.opens {
            self.chains.retain(ChainState::has_unsent);
            self.chains.push(ChainState {
                chain_id: record.chain_id,
                tip: Tip::EMPTY,
                unsent_from: 0,
                lease: Lease::ZERO,
                blocked: false,
                key_id: Some(record.key_id),
                successor: None,
            });
            self.to_open = None;
            // A rotation is no new beginning: it cannot happen again before the old chain is receipted.
            if opened != OpenReason::Rotated {
                // What was found on the branch that is left, or before the state was lost, is told anew; the collector
                // forgets it at this very place.
                self.diagnosis = Diagnosis::default();
                self.opened_at.push(self.opening_at);
            }
            // The consent that was stated stays known until it is stated here: what older chains hold was taken under it.
            self.stated_plan = None;
            self.push.forget_failures();
            effects.push(Effect::Note(Note::ChainOpened(opened)));
        }
        if let Some(chain) = self.chains.last_mut() {
            chain.tip = Tip { next_seq: record.last_seq.saturating_add(1), head: record.tip_hash };
        }
        self.last_boot = Some(self.identity.boot_id);
        match &record.states {
            Some(Statement::Consent { state: ConsentState::Granted, terms_hash, .. }) => self.stated_consent = Some(*terms_hash),
            Some(Statement::Consent { .. }) => {
                self.diagnosis = Diagnosis::default();
                self.stated_consent = None;
                self.owed = None;
            }
            Some(Statement::Plan { plan }) => self.stated_plan = Some(plan.hash()),
            Some(Statement::Key { .. }) => self.handed_over(&record, effects),
            Some(Statement::Open { .. } | Statement::Purge { .. }) | None => {}
        }
    }

    /// The disk is full or failing: nothing was created, and asking again at once would change nothing.
    fn commit_failed(&mut self, now: Now) {
        let until = now.boottime_ms.saturating_add(STALL_MS);
        self.stalled_until = until;
        let report = self.pending.take().is_some_and(|record| record.kind == PayloadType::Report);
        self.pending_states = States::new();
        self.pending_diagnosis = None;
        if std::mem::take(&mut self.sampling) || report {
            self.sample_again(until);
        }
    }

    /// Until every unsent entry is gone, neither the statement nor anything else leaves.
    fn purged(&mut self, read: bool, now: Now) {
        let whole = read && self.purging == (Purging::UnderWay { whole: true });
        self.purging = if whole { Purging::No } else { Purging::Again { at: now.boottime_ms.saturating_add(STALL_MS) } };
    }

    fn bridge_failed(&mut self, now: Now) {
        let until = now.boottime_ms.saturating_add(STALL_MS);
        self.stalled_until = until;
        self.push.stall(until);
        if let Purging::UnderWay { whole } = &mut self.purging {
            *whole = false;
        }
    }

    /// Whatever is due now: a statement owed, a sample, a push.
    fn go_on(&mut self, now: Now, random: [u8; 16], effects: &mut Vec<Effect>) {
        match self.purging {
            Purging::No => {}
            Purging::Again { at } if now.boottime_ms >= at => {
                // What is unsent is named anew, as a whole.
                self.purged = Counts::default();
                self.purging = Purging::UnderWay { whole: true };
                effects.push(Effect::Purge);
                return;
            }
            Purging::Again { .. } | Purging::UnderWay { .. } => return,
        }
        self.rotate_on(now, effects);
        if self.pending.is_none() && now.boottime_ms >= self.stalled_until {
            self.pending = self.next_statement(now, random).map(Box::new);
        }
        if let Some(record) = &self.pending {
            if !record.given {
                let mut given = record.clone();
                given.receipts.clone_from(&self.chains);
                effects.push(Effect::Commit(given));
                if let Some(record) = &mut self.pending {
                    record.given = true;
                }
            }
            return;
        }
        let stalled = now.boottime_ms < self.stalled_until;
        if self.may_collect() && !self.sampling && !stalled && self.to_open.is_none() {
            let due = self.sample_at.is_none_or(|at| now.boottime_ms >= at);
            if due && self.begin_sample(now) {
                self.sampling = true;
                effects.push(Effect::Sample);
            }
        }
        self.push_on(now, effects);
        if now.boottime_ms >= self.stalled_until {
            self.stalled_until = i64::MIN;
        }
    }

    /// When the next chain may be opened, if that is not now.
    fn may_open_at(&self) -> Option<i64> {
        let oldest = self.opened_at.len().checked_sub(NEW_CHAINS_A_DAY)?;
        self.opened_at.get(oldest).map(|at| at.saturating_add(DAY_MS))
    }

    fn next_statement(&mut self, now: Now, random: [u8; 16]) -> Option<Record> {
        if let Some((reason, previous)) = self.to_open {
            // A collector that refuses everything does not make the agent fill the disk with new beginnings.
            self.opened_at.retain(|at| now.boottime_ms.saturating_sub(*at) < DAY_MS);
            if reason != OpenReason::Rotated && self.may_open_at().is_some() {
                return None;
            }
            self.opening_at = now.boottime_ms;
            // A chain is opened under a consent only: without one nothing is said at all.
            return self.may_collect().then(|| self.make_open(ChainId(random), reason, previous, now));
        }
        let only_opened = self.newest()?.tip.next_seq <= 1;
        if let Some((state, terms_hash)) = self.owed {
            // What was collected under the consent and may still leave goes first.
            if self.consent == Some(Consent::Keeping) && self.push_chain().is_some() {
                return None;
            }
            let statement = Statement::Consent { state, terms_hash, terms: None, purged: self.purged };
            return self.make_statement(statement, now);
        }
        let Some(Consent::Valid(terms)) = &self.consent else { return None };
        let terms_hash = terms.hash();
        if only_opened || self.stated_consent != Some(terms_hash) {
            let terms = Some(terms.clone());
            let statement = Statement::Consent { state: ConsentState::Granted, terms_hash, terms, purged: Counts::default() };
            return self.make_statement(statement, now);
        }
        if self.stated_plan != Some(self.settings.plan.hash()) {
            return self.make_statement(Statement::Plan { plan: self.settings.plan.clone() }, now);
        }
        self.make_handover(now)
    }
}
