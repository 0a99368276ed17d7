//! Presence: what is new in a machine's evidence goes through the domain's step, in the order of its chains.

use super::memory::{self, CHAINS_MAX, Memory};
use crate::store::{Actor, EvidenceRow, FindingKind, MachineRow, MachineState, PresenceChange, Scope, Store, StoreError, Transition};
use mimamori_domain::presence::{Agreed, Change, Event, Presence, Seen, step};
use mimamori_domain::wall::{self, Clock};
use mimamori_shared::consent::{ConsentTerms, Plan};
use mimamori_shared::id::{AgentId, ChainId};
use mimamori_shared::payload::{ConsentState, Head, Statement, statement};
use mimamori_shared::sign::PayloadType;

/// Entries looked at in one judgement; more are left for the next.
const LOOK_MAX: usize = 4096;
/// Entries read at once.
const PAGE: u32 = 256;
/// The interval that counts before an agent has stated its plan, in seconds.
const INTERVAL_S: u64 = 60;

struct Judge {
    presence: Option<Presence>,
    changes: Vec<Change>,
    /// Live reports whose clock is off, and where.
    off: Vec<(FindingKind, ChainId, u64)>,
    plan: Option<Plan>,
    terms: Option<ConsentTerms>,
    now_ms: i64,
}

impl Judge {
    /// A report; of a live one the clock is judged by the offset of its boot.
    fn report(&mut self, head: &Head, received_at_ms: i64, live: bool) {
        self.take(Event::Report(seen(head, received_at_ms, live)));
        let boot = self.presence.as_ref().and_then(|presence| presence.boot).filter(|boot| live && boot.boot_id == head.boot_id);
        let Some(offset_ms) = boot.and_then(|boot| boot.offset_ms) else { return };
        let kind = match wall::judge(wall::skew_ms(offset_ms, head.taken_at_ms, head.boottime_ms)) {
            Clock::Good => return,
            Clock::Skewed => FindingKind::ClockSkewed,
            Clock::Quarantined => FindingKind::ClockQuarantined,
        };
        self.off.push((kind, head.chain_id, head.seq));
    }

    fn take(&mut self, event: Event) {
        let (presence, changes) = step(self.presence.as_ref(), event, self.now_ms, Agreed { interval_s: self.interval_s(), terms: self.terms.as_ref() });
        self.presence = Some(presence);
        self.changes.extend(changes);
    }

    fn interval_s(&self) -> u64 {
        self.plan.as_ref().map_or(INTERVAL_S, |plan| plan.longest_s(self.terms.as_ref()))
    }

    /// A consent holds from its statement on; up to there the one before it did.
    fn state(&mut self, state: ConsentState, terms: Option<ConsentTerms>) {
        self.take(Event::Tick);
        self.terms = terms;
        self.take(Event::Consent(state));
    }
}

/// The terms of the consent a machine stated last, while it is granted.
fn terms_of(machine: &MachineRow) -> Option<ConsentTerms> {
    serde_json::from_str(machine.consent.as_ref()?.terms.as_deref()?).ok()
}

/// Presence at a moment as far as time alone has changed it since it was last judged: silence that is due counts although
/// no collector runs that would have judged it, and so does retirement. `None` before the first judgement.
pub(crate) fn as_of(machine: &MachineRow, now_ms: i64) -> Option<Presence> {
    let presence = machine.presence.as_ref().and_then(memory::presence)?;
    let (event, now_ms) = match machine.state {
        MachineState::Retired => (Event::Retire, machine.ended_at_ms.unwrap_or(now_ms).max(presence.since_ms)),
        _ => (Event::Tick, now_ms),
    };
    let terms = terms_of(machine);
    let interval_s = machine.plan.as_ref().map_or(INTERVAL_S, |plan| plan.longest_s(terms.as_ref()));
    Some(step(Some(&presence), event, now_ms, Agreed { interval_s, terms: terms.as_ref() }).0)
}

/// Judges one machine and writes the judgement down, if nobody else did meanwhile.
///
/// How many live reports came with a clock that is off.
///
/// # Errors
/// When the database failed.
pub(super) async fn judge(store: &Store, actor: &Actor, agent: AgentId, mark: Option<i64>, now_ms: i64) -> Result<u64, StoreError> {
    let machine = store.machine_of(&Scope::All, agent).await?;
    let (mut memory, presence) = Memory::of(machine.presence.as_ref());
    let terms = terms_of(&machine);
    let mut judge = Judge { presence, changes: Vec::new(), off: Vec::new(), plan: machine.plan.clone(), terms, now_ms };
    let whole = look(store, &machine, &mut memory, &mut judge).await?;
    if machine.state == MachineState::Retired {
        judge.take(Event::Retire);
    }
    judge.take(Event::Tick);
    let Some(presence) = judge.presence else { return Ok(0) };
    let off = judge.off.len() as u64;
    let change = PresenceChange {
        agent_id: agent,
        seen: machine.presence.as_ref().map(|row| (row.state.clone(), row.since_ms)),
        row: memory.row(&presence),
        transitions: judge.changes.iter().map(line).collect(),
        noted: judge.off,
        dirty_mark: mark.filter(|_| whole),
        lease: None,
    };
    // Zero rows: somebody else judged it meanwhile, and the mark brings it back.
    store.save_presence(&Scope::All, actor, change, now_ms).await.map(|saved| if saved { off } else { 0 })
}

fn line(change: &Change) -> Transition {
    Transition {
        state: change.state.name().parse().unwrap_or_default(),
        from_ms: change.from_ms,
        to_ms: change.to_ms,
        because: change.because.code().parse().unwrap_or_default(),
        evidence: change.evidence.clone(),
    }
}

/// Goes through what is new. False when there is more than one judgement takes.
async fn look(store: &Store, machine: &MachineRow, memory: &mut Memory, judge: &mut Judge) -> Result<bool, StoreError> {
    let latest = machine.latest.as_ref();
    let live = latest.filter(|latest| !latest.is_preview).map(|latest| (latest.chain_id, latest.seq));
    let mut looked = 0;
    let chains = store.chains(&Scope::All, machine.agent_id).await?;
    // An older chain than these has nothing to say about now, and its cursor is forgotten.
    for chain in chains.iter().skip(chains.len().saturating_sub(CHAINS_MAX)) {
        loop {
            let from = memory.next_seq(chain.chain_id, 0);
            if from >= chain.next_seq {
                break;
            }
            let page = store.evidence(&Scope::All, machine.agent_id, chain.chain_id, 0, from, PAGE).await?;
            let Some(last) = page.last() else { break };
            let next_seq = last.last_seq.saturating_add(1);
            page.iter().for_each(|row| take(row, chain.chain_id, live, judge));
            memory.looked(chain.chain_id, 0, next_seq);
            looked += page.len();
            if looked >= LOOK_MAX {
                return Ok(false);
            }
        }
    }
    if let Some(preview) = latest.filter(|latest| latest.is_preview)
        && memory.preview != Some((preview.chain_id, preview.seq))
        && let Ok(head) = serde_json::from_slice::<Head>(&preview.payload)
    {
        memory.preview = Some((preview.chain_id, preview.seq));
        judge.report(&head, preview.received_at_ms, true);
    }
    Ok(true)
}

fn take(row: &EvidenceRow, chain_id: ChainId, live: Option<(ChainId, u64)>, judge: &mut Judge) {
    // The head was understood when it was taken in; a body that is not is no event.
    let Ok(head) = serde_json::from_slice::<Head>(&row.payload) else { return };
    match row.kind {
        PayloadType::Report => {
            let is_live = live == Some((chain_id, row.seq));
            judge.report(&head, row.received_at_ms, is_live);
        }
        PayloadType::Statement => match statement(&row.payload) {
            Ok(Statement::Consent { state, terms, .. }) => judge.state(state, terms),
            Ok(Statement::Plan { plan }) => {
                judge.plan = Some(plan);
                judge.take(Event::Plan { interval_s: judge.interval_s() });
            }
            Ok(Statement::Purge { .. }) => judge.take(Event::Uninstall),
            Ok(Statement::Open { .. } | Statement::Key { .. }) | Err(_) => {}
        },
        _ => {}
    }
}

fn seen(head: &Head, received_at_ms: i64, live: bool) -> Seen {
    Seen { received_at_ms, taken_at_ms: head.taken_at_ms, boot_id: head.boot_id, boottime_ms: head.boottime_ms, live }
}
