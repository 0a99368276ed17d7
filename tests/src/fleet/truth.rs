//! What must be true of a fleet that has lived: judged from what the simulator did, not from what the programs say.

use super::machine::{Machine, Made};
use super::{Fleet, INTERVAL_MS, MINUTE_MS};
use mimamori_collector::store::{ChainRow, EvidenceRow, FindingKind, Scope, TransitionRow};
use mimamori_domain::presence::grace_ms;
use mimamori_shared::id::{AgentId, ChainId, Hash};
use mimamori_shared::payload::{ConsentState, Loss, OpenReason, Statement, statement};
use mimamori_shared::sign::PayloadType;
use std::collections::{BTreeMap, BTreeSet};

/// Entries, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Durably committed by agents.
    pub created: u64,
    /// Held by the collector.
    pub accepted: u64,
    /// Named by a loss record that the collector holds.
    pub lost: u64,
    /// Destroyed with the disk they were on, or of a chain of which its machine said itself that it could not go on.
    pub indeterminate: u64,
    /// Kept in the ledger of a machine that is shut out: a copy of it, or a machine put back to before its key changed.
    pub kept: u64,
}

impl std::iter::Sum for Sum {
    fn sum<I: Iterator<Item = Sum>>(sums: I) -> Sum {
        sums.fold(Sum::default(), |all, sum| Sum {
            created: all.created + sum.created,
            accepted: all.accepted + sum.accepted,
            lost: all.lost + sum.lost,
            indeterminate: all.indeterminate + sum.indeterminate,
            kept: all.kept + sum.kept,
        })
    }
}

/// How presence was judged, in looks at a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looks {
    /// The state was what truly was.
    pub right: u64,
    /// It was not.
    pub wrong: u64,
    /// Nothing the collector can know says which: only a wrong clock speaks, or what was withdrawn unheard.
    pub unprovable: u64,
    /// A copy speaks too: there is no one truth about two machines.
    pub cloned: u64,
    /// How often truth was: up, down, not known, not consented.
    pub states: [u64; 4],
}

/// Everything the collector holds of one agent.
struct Evidence {
    chains: Vec<ChainRow>,
    rows: Vec<(ChainId, EvidenceRow)>,
}

/// A loss record that the collector holds.
struct Bridge {
    chain_id: ChainId,
    first_seq: u64,
    last_seq: u64,
    last_hash: Hash,
    counted: u64,
}

impl Fleet {
    fn evidence(&self, agent: AgentId) -> Evidence {
        let store = &self.centre.store;
        self.centre.wait(async {
            let chains = store.chains(&Scope::All, agent).await.unwrap();
            let mut rows = Vec::new();
            for chain in &chains {
                for branch in 0..chain.branches {
                    let mut from = 0;
                    loop {
                        let page = store.evidence(&Scope::All, agent, chain.chain_id, branch, from, 1000).await.unwrap();
                        let Some(last) = page.last() else { break };
                        from = last.last_seq + 1;
                        rows.extend(page.into_iter().map(|row| (chain.chain_id, row)));
                    }
                }
            }
            Evidence { chains, rows }
        })
    }

    /// The lines of a machine's history, oldest first.
    ///
    /// # Panics
    /// When there are more than one answer holds.
    #[must_use]
    pub fn transitions(&self, machine: &Machine) -> Vec<TransitionRow> {
        let mut rows = self.centre.wait(self.centre.store.transitions(&Scope::All, machine.identity.agent_id)).unwrap();
        assert!(rows.len() < 1000, "{}: more lines than one answer holds", machine.name);
        rows.reverse();
        rows
    }

    /// The machines, each with its clones.
    fn families(&self) -> BTreeMap<AgentId, Vec<&Machine>> {
        let mut families: BTreeMap<AgentId, Vec<&Machine>> = BTreeMap::new();
        for machine in &self.machines {
            families.entry(machine.identity.agent_id).or_default().push(machine);
        }
        families
    }

    /// Fails unless every entry is accepted, lost, indeterminate or kept, exactly one of the four, per machine and chain;
    /// and unless every loss record counts what it bridges.
    ///
    /// # Panics
    /// When an entry is none of them.
    #[must_use]
    pub fn account(&self) -> BTreeMap<(String, ChainId), Sum> {
        let mut sums: BTreeMap<(String, ChainId), Sum> = BTreeMap::new();
        for (agent, family) in self.families() {
            let evidence = self.evidence(agent);
            let held: BTreeSet<Hash> = evidence.rows.iter().map(|(_, row)| row.hash).collect();
            let bridges: Vec<Bridge> = evidence.rows.iter().filter_map(bridge).collect();
            for bridge in &bridges {
                assert_eq!(bridge.counted, bridge.last_seq - bridge.first_seq + 1, "a loss record of {} does not count what it bridges", family[0].name);
            }
            // The hash at the end of a bridge says whose line it is.
            let ends: BTreeSet<(ChainId, u64, Hash)> =
                family.iter().flat_map(|machine| &machine.made).map(|made| (made.chain_id, made.seq, made.hash)).collect();
            let given_up = given_up(&evidence);
            for (machine, made) in family.iter().flat_map(|machine| machine.made.iter().map(move |made| (machine, made))) {
                let sum = sums.entry((machine.name.clone(), made.chain_id)).or_default();
                sum.created += 1;
                let bridged = || {
                    bridges.iter().any(|bridge| {
                        bridge.chain_id == made.chain_id
                            && (bridge.first_seq..=bridge.last_seq).contains(&made.seq)
                            && ends.contains(&(bridge.chain_id, bridge.last_seq, bridge.last_hash))
                    })
                };
                if held.contains(&made.hash) {
                    sum.accepted += 1;
                } else if bridged() {
                    sum.lost += 1;
                } else if made.orphan || machine.made.iter().any(|later| later.at_ms >= made.at_ms && given_up.get(&later.hash) == Some(&made.chain_id)) {
                    sum.indeterminate += 1;
                } else if machine.is_shut_out() && (family[0].cloned_ms.is_some() || family[0].restored) {
                    sum.kept += 1;
                } else {
                    panic!("{}: entry {} of chain {} ({:?}) is nowhere; chains {:?}", machine.name, made.seq, made.chain_id, made.class, evidence.chains);
                }
            }
        }
        sums
    }

    /// Fails unless exactly the machines that were cloned are told to speak with two voices. Gives how many. A copy of which only one voice was heard while both spoke looks like a machine put back to a snapshot.
    ///
    /// # Panics
    /// When another is, or one of them is not.
    #[must_use]
    pub fn only_clones_are_forked(&self) -> usize {
        let findings = self.centre.wait(self.centre.store.findings(&Scope::All)).unwrap();
        let mut forked = 0;
        for (agent, family) in self.families() {
            let chains = self.evidence(agent).chains;
            let (cloned, must) = (family[0].cloned_ms.is_some(), two_voices(&family));
            // A second voice that may open no further chain stays on its branch, which says it too.
            let stuck =
                chains.last().is_some_and(|chain| chain.forked) && findings.iter().any(|row| row.agent_id == agent && row.kind == FindingKind::TooManyChains);
            let spoke = findings.iter().any(|row| row.agent_id == agent && matches!(row.kind, FindingKind::OldChainSpoke | FindingKind::BootsInterleaved));
            // Whoever does not have the newest key of the two is told apart by that.
            let old_key =
                findings.iter().any(|row| row.agent_id == agent && row.kind == FindingKind::OldKeySpoke) || family.iter().any(|one| one.key_unknown > 0);
            let (told, name) = (spoke || stuck, &family[0].name);
            assert!(!spoke || chains.iter().any(|chain| chain.forked), "{name}: {chains:?}");
            assert!(!old_key || cloned || family[0].restored, "{name}: an old key spoke");
            assert!((!told || cloned) && (told || old_key || !must), "{name}: told {told}, cloned {cloned}, must {must}; {chains:?}");
            let apart = chains.iter().filter(|chain| chain.branches > 1).count();
            assert!(apart <= usize::from(cloned) + usize::from(family[0].restored), "{name}: {chains:?}");
            forked += usize::from(told || old_key && cloned);
        }
        forked
    }

    /// Looks at every machine every five minutes and compares what the collector says now of that moment with what
    /// truly was, a report's interval to either side.
    #[must_use]
    pub fn looks(&self, complain: bool) -> Looks {
        let mut looks = Looks::default();
        for (agent, family) in self.families() {
            let machine = family[0];
            let past = self.past(machine, &self.evidence(agent));
            let lines = self.transitions(machine);
            let from_ms = machine.made.first().map_or(self.end_ms, |made| made.at_ms + INTERVAL_MS);
            let to_ms = machine.cloned_ms.unwrap_or(self.end_ms) - 2 * INTERVAL_MS;
            looks.cloned += u64::try_from((self.end_ms - 2 * INTERVAL_MS - to_ms) / (5 * MINUTE_MS)).unwrap_or(0);
            let mut last_wrong = i64::MIN;
            for at_ms in (from_ms..to_ms).step_by(usize::try_from(5 * MINUTE_MS).unwrap()) {
                let said = lines.iter().rev().find(|row| row.line.from_ms <= at_ms && row.line.to_ms.is_none_or(|to_ms| at_ms < to_ms));
                let said = said.map_or("nothing", |row| row.line.state.as_str());
                let could = past.iter().filter(|(from, to, _)| *from < at_ms + INTERVAL_MS && at_ms - INTERVAL_MS < *to);
                let mut words = could.map(|(_, _, was)| *was).peekable();
                if words.clone().any(|was| was == Was::Unprovable) || words.peek().is_none() {
                    looks.unprovable += 1;
                } else if words.any(|was| was.word() == said) {
                    looks.right += 1;
                    let kind = ["up", "down", "not_known", "not_consented"].iter().position(|word| *word == said);
                    looks.states[kind.unwrap()] += 1;
                } else {
                    looks.wrong += 1;
                    if complain && last_wrong < at_ms - 10 * MINUTE_MS {
                        complain_of(machine, at_ms, said, &past, &lines);
                    }
                    last_wrong = at_ms;
                }
            }
        }
        looks
    }

    /// The simulator's own model: what was, where the reports that the collector holds can prove it.
    fn past(&self, machine: &Machine, evidence: &Evidence) -> Vec<(i64, i64, Was)> {
        let by_hash: BTreeMap<Hash, &Made> = machine.made.iter().map(|made| (made.hash, made)).collect();
        let mut proofs: Vec<(&Made, i64)> = Vec::new();
        let mut ends: Vec<(i64, ConsentState)> = Vec::new();
        for (_, row) in evidence.rows.iter().filter(|(_, row)| row.branch == 0) {
            match row.kind {
                PayloadType::Report => proofs.extend(by_hash.get(&row.hash).map(|made| (*made, row.received_at_ms))),
                PayloadType::Statement => {
                    if let Ok(Statement::Consent { state, .. }) = statement(&row.payload) {
                        ends.push((row.received_at_ms, state));
                    }
                }
                _ => {}
            }
        }
        proofs.sort_by_key(|(made, _)| made.at_ms);
        ends.sort_by_key(|(at_ms, _)| *at_ms);
        let mut past = Vec::new();
        for pair in proofs.windows(2) {
            between(pair[0].0, Some(pair[1].0), &ends, pair[1].0.at_ms, &mut past);
        }
        if let Some((last, _)) = proofs.last() {
            between(last, None, &ends, self.end_ms, &mut past);
        }
        unprovable(machine, &proofs, &ends, &mut past);
        past
    }
}

/// Whether the original was heard between two words of its copy, and again an interval after the copy began to speak.
fn two_voices(family: &[&Machine]) -> bool {
    let [original, copy] = family else { return false };
    let (Some(first), Some(last)) = (copy.heard.first(), copy.heard.last()) else { return false };
    let between = original.heard.iter().find(|at_ms| (first + 2 * INTERVAL_MS..last - 2 * INTERVAL_MS).contains(*at_ms));
    between.is_some_and(|at_ms| original.heard.iter().any(|later| *later > at_ms + 2 * INTERVAL_MS))
}

fn bridge((chain_id, row): &(ChainId, EvidenceRow)) -> Option<Bridge> {
    if row.kind != PayloadType::Loss {
        return None;
    }
    let loss: Loss = serde_json::from_slice(&row.payload).unwrap();
    Some(Bridge { chain_id: *chain_id, first_seq: loss.first_seq, last_seq: loss.last_seq, last_hash: loss.last_hash, counted: loss.counts.total() })
}

/// The chains that ended with what is not known (DECISIONS 5), by the hash of the signed opening of the next one, which says so:
/// its reason is a lost state, and it knows no place behind what the collector holds of the one before.
fn given_up(evidence: &Evidence) -> BTreeMap<Hash, ChainId> {
    let opening = |(chain_id, row): &(ChainId, EvidenceRow)| {
        let is_one = row.kind == PayloadType::Statement && row.seq == 0;
        let Some(Statement::Open { reason: OpenReason::StateLost, previous: None }) = is_one.then(|| statement(&row.payload).ok()).flatten() else {
            return None;
        };
        let at = evidence.chains.iter().position(|chain| chain.chain_id == *chain_id)?;
        Some((row.hash, evidence.chains.get(at.checked_sub(1)?)?.chain_id))
    };
    evidence.rows.iter().filter_map(opening).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Was {
    Up,
    Down,
    NotKnown,
    NotConsented,
    Unprovable,
}

impl Was {
    fn word(self) -> &'static str {
        match self {
            Was::Up => "up",
            Was::Down => "down",
            Was::NotKnown => "not_known",
            Was::NotConsented => "not_consented",
            Was::Unprovable => "unprovable",
        }
    }
}

/// What was between two reports, or after the last.
fn between(one: &Made, other: Option<&Made>, ends: &[(i64, ConsentState)], to_ms: i64, past: &mut Vec<(i64, i64, Was)>) {
    let ended = ends.iter().find(|(at_ms, state)| *state != ConsentState::Granted && (one.at_ms..to_ms).contains(at_ms));
    match (ended, other) {
        (None, Some(other)) if one.boot_id == other.boot_id => past.push((one.at_ms, to_ms, Was::Up)),
        (None, Some(other)) => {
            past.push((one.at_ms, other.booted_ms, Was::Down));
            past.push((other.booted_ms, to_ms, Was::Up));
        }
        _ => {
            // Silence: still believed to be up for the grace, not known behind it.
            let (ends_ms, granted_ms) = match ended {
                Some((at_ms, _)) => {
                    (*at_ms, ends.iter().find(|(granted, state)| granted > at_ms && *state == ConsentState::Granted).map_or(to_ms, |row| row.0))
                }
                None => (to_ms, to_ms),
            };
            let silent_ms = one.at_ms + grace_ms(super::INTERVAL_S);
            past.push((one.at_ms, silent_ms.min(ends_ms), Was::Up));
            past.push((silent_ms - INTERVAL_MS, ends_ms, Was::NotKnown));
            past.push((ends_ms, granted_ms.min(to_ms), Was::NotConsented));
            past.push((granted_ms.min(to_ms), to_ms, Was::NotKnown));
        }
    }
}

/// What nobody can know: a boot of which no report came live is dated by the machine's own clock only, and a consent
/// that ended unheard stands at the moment it was heard of.
fn unprovable(machine: &Machine, proofs: &[(&Made, i64)], ends: &[(i64, ConsentState)], past: &mut Vec<(i64, i64, Was)>) {
    let live = |(made, received_ms): &(&Made, i64)| received_ms - made.at_ms < 2 * MINUTE_MS;
    let lives: Vec<i64> = proofs.iter().filter(|proof| live(proof)).map(|(made, _)| made.at_ms).collect();
    let mut shroud = |at_ms: i64, until_ms: i64| {
        let from = lives.iter().rev().find(|live| **live < at_ms).copied().unwrap_or(at_ms);
        let to = lives.iter().find(|live| **live > until_ms).copied().unwrap_or(i64::MAX);
        past.push((from, to, Was::Unprovable));
    };
    let told: BTreeSet<_> = proofs.iter().filter(|proof| live(proof)).map(|(made, _)| made.boot_id).collect();
    let mut first = BTreeSet::new();
    for proof in proofs {
        let made = proof.0;
        // A boot that is first heard of late by a clock that is behind stays where that clock puts it.
        let behind = first.insert(made.boot_id) && !live(proof) && made.clock_ms < -MINUTE_MS;
        if behind || (made.clock_ms.abs() > MINUTE_MS && !told.contains(&made.boot_id)) {
            shroud(made.at_ms, made.at_ms);
        }
    }
    for (at_ms, state) in &machine.consented {
        let heard = ends.iter().find(|(heard, said)| heard >= at_ms && said == state);
        match heard {
            Some((heard, _)) if heard - at_ms < 2 * MINUTE_MS => {}
            Some((heard, _)) => shroud(*at_ms, *heard),
            None => shroud(*at_ms, *at_ms),
        }
    }
}

fn complain_of(machine: &Machine, at_ms: i64, said: &str, past: &[(i64, i64, Was)], lines: &[TransitionRow]) {
    println!("{} at {at_ms} is said to be {said}", machine.name);
    for (from, to, was) in past.iter().filter(|(from, to, _)| *from < at_ms + 4 * INTERVAL_MS && at_ms - 4 * INTERVAL_MS < *to) {
        println!("  truly {} from {} to {}", was.word(), from - at_ms, to - at_ms);
    }
    for row in lines
        .iter()
        .filter(|row| row.line.from_ms < at_ms + 8 * INTERVAL_MS && row.line.to_ms.is_none_or(|to_ms| at_ms - 8 * INTERVAL_MS < to_ms))
        .rev()
        .take(12)
    {
        let to = row.line.to_ms.map(|to_ms| to_ms - at_ms);
        println!("  line {} {} from {} to {to:?} recorded {}", row.line.state, row.line.because, row.line.from_ms - at_ms, row.recorded_at_ms - at_ms);
    }
}
