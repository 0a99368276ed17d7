//! When what is taken: of plan and consent the longer interval, per scope; nothing where the terms forbid it.

use super::{Agent, Consent, Now, Purging};
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Plan, Reach};
use mimamori_shared::fields::{Field, Readings, Scope, fields};
use mimamori_shared::id::AgentId;
use mimamori_shared::payload::Fault;

/// How long at the most nothing is looked at while nothing may be taken, in milliseconds: the wall clock may jump.
const IDLE_MS: i64 = 60_000;
/// What is taken so soon after its moment counts as taken at it, in milliseconds.
const PUNCTUAL_MS: i64 = 1_000;

impl Agent {
    /// The plan under another consent, or of a machine that became busy or calm: it holds from the next entry on, which states
    /// it. `stretch` is by how much its intervals are lengthened; looks for news between them are as rare.
    pub fn set_plan(&mut self, plan: Plan, stretch: u64) {
        self.beats_to_look = stretch.max(1);
        if self.settings.plan != plan {
            self.sample_at = None;
            self.settings.plan = plan;
        }
    }

    /// The terms in force.
    #[must_use]
    pub fn terms(&self) -> Option<&ConsentTerms> {
        match &self.consent {
            Some(Consent::Valid(terms)) => Some(terms),
            Some(Consent::Keeping | Consent::Invalid(_) | Consent::Unclear) | None => None,
        }
    }

    /// Whether consent and configuration both let the field leave.
    fn leaves(&self, field: &Field) -> bool {
        self.terms().is_some_and(|terms| terms.allows(field)) && !self.settings.except.contains(&field.id)
    }

    /// Whether a section may be measured for the report that is being made.
    #[must_use]
    pub fn may_take(&self, section: &str) -> bool {
        fields().any(|field| field.section == section && self.looks_at(field.scope) && self.leaves(field))
    }

    /// Whether a scope is in the report that is being made: because it is due, or to see whether a state in it changed.
    fn looks_at(&self, scope: Scope) -> bool {
        self.taking.contains(&scope) || self.watching.contains(&scope)
    }

    /// Removes what may not stand in the report that is being made: nothing else can leave.
    pub fn filter(&self, readings: &mut Readings, faults: &mut Vec<Fault>) {
        readings.keep(&|field| self.looks_at(field.scope) && self.leaves(field));
        faults.retain(|fault| self.concerns(fault));
    }

    /// Whether a fault speaks of a section that may leave: "cannot measure" tells something too.
    fn concerns(&self, fault: &Fault) -> bool {
        let (probe, section) = (fault.probe.as_str(), fault.section());
        let own = |field: &&Field| field.section == section && (section == probe || field.path() == probe);
        fields().filter(own).any(|field| self.looks_at(field.scope) && self.leaves(field))
    }

    /// The scopes of which something may be taken at this moment.
    pub(super) fn open_scopes(&self, now: Now) -> Vec<Scope> {
        let Some(terms) = self.terms() else { return Vec::new() };
        if terms.mode == ConsentMode::OnDemand && now.wall_ms >= self.asked_until_ms {
            return Vec::new();
        }
        let reach = terms.reach(now.wall_ms);
        let reached = |scope: &Scope| match reach {
            Reach::All => true,
            Reach::Heartbeat => *scope == Scope::Heartbeat,
            Reach::Nothing(_) => false,
        };
        let filled = |scope: &Scope| fields().any(|field| field.scope == *scope && self.leaves(field));
        terms.scopes.keys().copied().filter(reached).filter(filled).collect()
    }

    /// Whether nothing is being taken and nothing waits to be sent: what is known of receipts had better be durable now.
    #[must_use]
    pub fn rests(&self, now: Now) -> bool {
        self.open_scopes(now).is_empty() && !self.chains.iter().any(super::ChainState::has_unsent)
    }

    /// Whether an end of the consent is carried out: what must go is gone, and the statement stands, or there is no chain
    /// to say it in before one is opened under a new consent.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let unsaid = self.to_open.is_some() || self.chains.is_empty();
        match &self.consent {
            Some(Consent::Invalid(_)) => self.purging == Purging::No && (self.owed.is_none() || unsaid),
            Some(Consent::Keeping) => self.owed.is_none() || (unsaid && self.push_chain().is_none()),
            Some(Consent::Valid(_) | Consent::Unclear) | None => false,
        }
    }

    /// When a scope may be taken again, in boot time.
    fn due_at(&self, scope: Scope, now: Now) -> i64 {
        let consented = self.terms().and_then(|terms| terms.scopes.get(&scope)).map_or(0, |scope| scope.every_s);
        let interval_ms = milliseconds(self.settings.plan.scope_s(scope).max(consented));
        let due = self.taken.get(&scope).map_or(now.boottime_ms, |at| at.saturating_add(interval_ms));
        // A change that was told in between counts for the consent too.
        self.told.get(&scope).map_or(due, |at| due.max(at.saturating_add(milliseconds(consented))))
    }

    /// Whether the consent would let a scope leave again, although it is not due by the plan: a change in it is told at once.
    fn may_watch(&self, scope: Scope, now: Now) -> bool {
        let consented_ms = self.terms().and_then(|terms| terms.scopes.get(&scope)).map_or(0, |scope| milliseconds(scope.every_s));
        let left = [&self.taken, &self.told].into_iter().filter_map(|times| times.get(&scope)).max();
        // Checks of applications ask others: no more often than they are planned.
        scope.is_state() && scope != Scope::ApplicationProbe && left.is_none_or(|at| at.saturating_add(consented_ms) <= now.boottime_ms)
    }

    /// Begins a sample of what is due, with a look at what is not. False when nothing is due.
    pub(super) fn begin_sample(&mut self, now: Now) -> bool {
        let open = self.open_scopes(now);
        self.taking = open.iter().copied().filter(|scope| self.due_at(*scope, now) <= now.boottime_ms).collect();
        self.watching = open.into_iter().filter(|scope| !self.taking.contains(scope) && self.may_watch(*scope, now)).collect();
        // On a busy machine a look is work too. Half a beat early is in time: beats are not exact.
        let rest_ms = i64::try_from(self.beats_to_look).unwrap_or(1).saturating_mul(self.beat_ms()).saturating_sub(self.beat_ms() / 2);
        if self.beats_to_look > 1 && self.looked_at.is_some_and(|at| now.boottime_ms < at.saturating_add(rest_ms)) {
            self.watching.clear();
        } else if !self.watching.is_empty() {
            self.looked_at = Some(now.boottime_ms);
        }
        self.taken_before.clone_from(&self.taken);
        let news = std::mem::take(&mut self.news);
        if news && self.taking.is_empty() {
            // The beat stays where it is.
            self.sample_at = Some(self.next_sample(now));
            return !self.watching.is_empty();
        }
        let again = std::mem::take(&mut self.again);
        let punctual = self.sample_at.filter(|at| !again && now.boottime_ms.saturating_sub(*at) < PUNCTUAL_MS);
        let at = punctual.unwrap_or_else(|| {
            if self.taken.is_empty() {
                // A start takes everything at once, and goes on at the agent's own beat.
                return self.slot_after(now.boottime_ms).saturating_sub(self.beat_ms());
            }
            // A sample that comes late moves the beat, so that the next one is neither early nor left out.
            self.phase = Some(now.boottime_ms);
            now.boottime_ms
        });
        self.taken.extend(self.taking.iter().map(|scope| (*scope, at)));
        self.sample_at = Some(self.next_sample(now));
        !self.taking.is_empty()
    }

    /// Nothing of the sample under way was kept: it is taken again, as one that comes late.
    pub(super) fn sample_again(&mut self, at: i64) {
        self.taken.clone_from(&self.taken_before);
        self.again = true;
        self.sample_at = Some(at);
    }

    /// The next moment at which something is due or may be.
    fn next_sample(&self, now: Now) -> i64 {
        let due = self.open_scopes(now).into_iter().map(|scope| self.due_at(scope, now)).min();
        let next = match due {
            Some(due) => self.slot_after(now.boottime_ms.max(due.saturating_sub(1))),
            None => now.boottime_ms.saturating_add(IDLE_MS),
        };
        let turn = self.terms().and_then(|terms| terms.next_turn(now.wall_ms));
        let turn = turn.map_or(i64::MAX, |turn| now.boottime_ms.saturating_add(turn.saturating_sub(now.wall_ms)));
        next.min(turn.max(now.boottime_ms.saturating_add(1)))
    }

    fn beat_ms(&self) -> i64 {
        milliseconds(self.settings.plan.interval_s).max(1)
    }

    /// The next moment of this agent's own beat: agents do not all report at the full minute.
    fn slot_after(&self, at: i64) -> i64 {
        let interval = self.beat_ms();
        let AgentId(id) = self.identity.agent_id;
        let seed = id.iter().fold(0_i64, |seed, byte| (seed * 31 + i64::from(*byte)) % 86_400_000);
        let offset = self.phase.unwrap_or(seed).rem_euclid(interval);
        let since = at.saturating_sub(offset).rem_euclid(interval);
        at.saturating_add(interval - since)
    }
}

fn milliseconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000)
}
