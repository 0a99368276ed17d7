//! Presence and who judges it.

use super::{ALL, HOUR, NOW, enrolled, operator, word};
use crate::export::selfmetrics::SelfMetrics;
use crate::ingest::Tally;
use crate::store::{Actor, ActorKind, FindingKind, PresenceChange, PresenceRow, Store, Transition};
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Pause, Reach, ScopeTerms, Window};
use mimamori_shared::id::{AgentId, Hash};
use mimamori_shared::payload::{ConsentState, Counts, Statement};
use mimamori_shared::sign::PayloadType;
use mimamori_shared::word::Word;
use std::sync::Arc;

fn change(agent_id: AgentId, was: Option<(&str, i64)>, now: &str, since_ms: i64) -> PresenceChange {
    PresenceChange {
        agent_id,
        seen: was.map(|(state, since_ms)| (word(state), since_ms)),
        row: PresenceRow { state: word(now), since_ms, because: word("test"), due_at_ms: Some(since_ms + 100), memory: "{}".to_owned() },
        transitions: vec![Transition { state: word(now), from_ms: since_ms, to_ms: None, because: word("test"), evidence: "seq 1".to_owned() }],
        noted: Vec::new(),
        dirty_mark: None,
        lease: None,
    }
}

pub(super) async fn presence_changes_once(store: &Store) {
    let agent = enrolled(store, 1, "west", "ct-1").await.id;
    let save = async |change| store.save_presence(&ALL, &operator(), change, NOW).await.unwrap();
    assert!(!save(change(agent, Some(("up", 1)), "down", 2)).await);
    assert!(save(change(agent, None, "up", 1)).await);
    assert!(!save(change(agent, None, "up", 1)).await);
    assert!(save(change(agent, Some(("up", 1)), "down", 2)).await);
    assert!(!save(change(agent, Some(("up", 1)), "gone", 3)).await);
    let row = store.machine_of(&ALL, agent).await.unwrap().presence.unwrap();
    assert_eq!((row.state.as_str(), row.since_ms, row.due_at_ms), ("down", 2, Some(102)));
    let steps = store.transitions(&ALL, agent).await.unwrap();
    assert_eq!(steps.iter().map(|step| step.line.state.as_str()).collect::<Vec<_>>(), ["down", "up"]);
    assert!(store.due_machines(&ALL, 101, 9).await.unwrap().is_empty());
    assert_eq!(store.due_machines(&ALL, 102, 9).await.unwrap(), [agent]);
}

/// A presence that alternates, one change a second, and the row it leaves.
async fn alternate(store: &Store, agent: AgentId, from_ms: i64, times: i64) -> (Word, i64) {
    let mut seen = None;
    for n in 0..times {
        let (state, at_ms) = (if n % 2 == 0 { "up" } else { "not_consented" }, from_ms + n * 1000);
        let mut change = change(agent, seen, state, at_ms);
        change.row.due_at_ms = None;
        assert!(store.save_presence(&ALL, &operator(), change, at_ms).await.unwrap());
        seen = Some((state, at_ms));
    }
    let (state, since_ms) = seen.unwrap();
    (word(state), since_ms)
}

pub(super) async fn changes_beyond_what_is_told_apart_are_one_and_the_next_day_goes_on(store: &Store) {
    let agent = enrolled(store, 1, "west", "ct-1").await.id;
    let other = enrolled(store, 2, "west", "ct-2").await.id;
    let (state, since_ms) = alternate(store, agent, NOW, 300).await;
    alternate(store, other, NOW, 96).await;
    let told = async |agent| store.transitions(&ALL, agent).await.unwrap();
    assert_eq!((told(agent).await.len(), told(other).await.len()), (97, 96), "96, and one that stands for the rest");
    let last = told(agent).await[0].line.clone();
    assert_eq!((last.state.as_str(), last.because.as_str(), last.from_ms, last.to_ms), ("not_known", "too_many_changes", NOW + 96_000, None));
    let row = store.machine_of(&ALL, agent).await.unwrap().presence.unwrap();
    assert_eq!((row.state.clone(), row.since_ms), (state.clone(), since_ms), "what is so now is known");
    let findings = store.findings(&ALL).await.unwrap();
    let finding: Vec<_> =
        findings.iter().filter(|finding| finding.kind == FindingKind::ChangesTooMany).map(|finding| (finding.agent_id, finding.count)).collect();
    assert_eq!(finding, [(agent, 204)]);
    // The next day it is looked at again, also if nothing comes, and its history goes on with what is so.
    let midnight = (NOW.div_euclid(24 * HOUR) + 1) * 24 * HOUR;
    assert_eq!(store.due_machines(&ALL, midnight - 1, 9).await.unwrap(), []);
    assert_eq!(store.due_machines(&ALL, midnight, 9).await.unwrap(), [agent]);
    let row = PresenceRow { due_at_ms: None, ..row };
    let judged = PresenceChange { transitions: Vec::new(), row, ..change(agent, Some((state.as_str(), since_ms)), state.as_str(), since_ms) };
    for n in 0..2 {
        assert!(store.save_presence(&ALL, &operator(), judged.clone(), midnight + n).await.unwrap());
        let lines = told(agent).await;
        assert_eq!((lines.len(), &lines[0].line.state, lines[0].line.from_ms, lines[0].line.to_ms), (98, &state, since_ms, None));
    }
    assert_eq!(store.due_machines(&ALL, i64::MAX, 9).await.unwrap(), [], "and then it is as before");
}

/// A consent whose windows begin and end as often as its form allows.
fn restless() -> ConsentTerms {
    let windows =
        |from_min: u16, to_min: u16| (0..32).map(|n| Window { days: (1..=7).collect(), from_min: n * 45 + from_min, to_min: n * 45 + to_min }).collect();
    let terms = ConsentTerms {
        v: 1,
        valid_from_ms: 0,
        valid_to_ms: NOW * 2,
        mode: ConsentMode::Periodic,
        utc_offset_s: 0,
        windows: windows(0, 40),
        quiet: windows(10, 20),
        scopes: [(mimamori_shared::fields::Scope::Performance, ScopeTerms { every_s: 60, except: Vec::new(), include: Vec::new() })].into(),
        approval_hash: Hash::ZERO,
        example: true,
    };
    terms.check().unwrap();
    terms
}

pub(super) async fn a_consent_of_very_many_windows_writes_so_many_lines_a_day_and_no_more(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let terms = restless();
    let said = Statement::Consent { state: ConsentState::Granted, terms_hash: terms.hash(), terms: Some(terms.clone()), purged: Counts::default() };
    let entries = vec![agent.open(), agent.say(PayloadType::Statement, &said), agent.report()];
    let midnight = (NOW.div_euclid(24 * HOUR) + 1) * 24 * HOUR;
    agent.send(store, entries, midnight - HOUR).await;
    let tally = Tally::new(Arc::new(SelfMetrics::new("0.1.0", 0).unwrap()));
    let days = 3;
    for hour in 0..24 * days {
        crate::work::round(store, &tally, midnight + hour * HOUR).await.unwrap();
    }
    let lines = store.transitions(&ALL, agent.id).await.unwrap();
    for day in 0..days {
        let from_ms = midnight + day * 24 * HOUR;
        let written = lines.iter().filter(|line| (from_ms..from_ms + 24 * HOUR).contains(&line.recorded_at_ms)).count();
        assert!((90..=97).contains(&written), "{written} lines on day {day}");
    }
    let counted: u64 =
        store.findings(&ALL).await.unwrap().iter().filter(|finding| finding.kind == FindingKind::ChangesTooMany).map(|finding| finding.count).sum();
    assert!(counted >= 60, "{counted} were left out");
    // In the middle of a gap, late on a day of which nothing more is written: what is so now is known.
    let gap_ms = midnight + (24 * days - 1) * HOUR + 57 * 60_000;
    crate::work::round(store, &tally, gap_ms).await.unwrap();
    let state = store.machine_of(&ALL, agent.id).await.unwrap().presence.unwrap().state;
    assert_eq!((state.as_str(), terms.reach(gap_ms)), ("not_consented", Reach::Nothing(Pause::OutsidePeriod)));
}

pub(super) async fn a_machine_that_changed_too_often_is_retired_all_the_same(store: &Store) {
    let agent = enrolled(store, 1, "west", "ct-1").await.id;
    let (state, since_ms) = alternate(store, agent, NOW, 300).await;
    let end = change(agent, Some((state.as_str(), since_ms)), "retired", NOW + 400_000);
    assert!(store.save_presence(&ALL, &operator(), end, NOW + 400_000).await.unwrap());
    let lines = store.transitions(&ALL, agent).await.unwrap();
    assert_eq!((lines.len(), lines[0].line.state.as_str()), (98, "retired"));
}

/// A machine that is silent has no report that could be overdue: the decision itself makes it looked at.
pub(super) async fn what_is_retired_or_revoked_is_looked_at_at_once_however_silent(store: &Store) {
    let tally = Tally::new(Arc::new(SelfMetrics::new("0", NOW).unwrap()));
    let (west, actor) = (word("west"), operator());
    let mut agents = Vec::new();
    for (n, alias) in [(1, "retired"), (2, "old"), (3, "new"), (4, "revoked"), (5, "never-heard")] {
        let mut agent = enrolled(store, n, "west", alias).await;
        if n < 5 {
            let sent = vec![agent.open(), agent.report()];
            agent.send(store, sent, NOW).await;
        }
        agents.push(agent.id);
    }
    crate::work::round(store, &tally, NOW + 1).await.unwrap();
    crate::work::round(store, &tally, NOW + 10 * 60_000).await.unwrap();
    let now = NOW + 14 * 60_000;
    assert!(store.dirty_machines(&ALL, 9).await.unwrap().is_empty() && store.due_machines(&ALL, now, 9).await.unwrap().is_empty(), "all is judged");
    store.retire_machine(&ALL, &actor, &west, &word("retired"), now).await.unwrap();
    store.replace_machine(&ALL, &actor, &west, &word("old"), &word("new"), now).await.unwrap();
    store.revoke_machine(&ALL, &actor, &west, &word("revoked"), now).await.unwrap();
    store.retire_machine(&ALL, &actor, &west, &word("never-heard"), now).await.unwrap();
    let shown = crate::work::as_of(&store.machine_of(&ALL, agents[0]).await.unwrap(), now + 1).unwrap();
    assert_eq!((shown.state.name(), shown.since_ms), ("retired", now), "also where no collector runs");
    assert_eq!(store.dirty_machines(&ALL, 9).await.unwrap().len(), 4);
    crate::work::round(store, &tally, now + 1000).await.unwrap();
    let mut states = Vec::new();
    for agent in agents {
        states.push(store.machine_of(&ALL, agent).await.unwrap().presence.unwrap().state.to_string());
    }
    assert_eq!(states, ["retired", "retired", "not_known", "not_known", "retired"]);
}

pub(super) async fn news_that_comes_meanwhile_stays(store: &Store) {
    let mut agent = enrolled(store, 1, "west", "ct-1").await;
    let (opened, report) = (agent.open(), agent.report());
    agent.send(store, vec![opened], NOW).await;
    let seen = store.dirty_machines(&ALL, 9).await.unwrap()[0];
    assert_eq!(seen.agent_id, agent.id);
    agent.send(store, vec![report], NOW + 1).await;
    let judged = PresenceChange { dirty_mark: Some(seen.mark), ..change(agent.id, None, "up", 1) };
    assert!(store.save_presence(&ALL, &operator(), judged, NOW).await.unwrap());
    let left = store.dirty_machines(&ALL, 9).await.unwrap()[0];
    let judged = PresenceChange { dirty_mark: Some(left.mark), ..change(agent.id, Some(("up", 1)), "up", 1) };
    assert!(store.save_presence(&ALL, &operator(), judged, NOW).await.unwrap());
    assert!(store.dirty_machines(&ALL, 9).await.unwrap().is_empty());
}

pub(super) async fn a_lease_has_one_holder(store: &Store) {
    let agent = enrolled(store, 1, "west", "ct-1").await.id;
    let (one, other) = (Actor { kind: ActorKind::System, name: word("a") }, Actor { kind: ActorKind::System, name: word("b") });
    let name = word("presence");
    let held = store.take_lease(&one, &name, NOW + 15, NOW).await.unwrap().unwrap();
    assert_eq!(store.take_lease(&other, &name, NOW + 20, NOW + 5).await.unwrap(), None);
    assert_eq!(store.take_lease(&one, &name, NOW + 20, NOW + 5).await.unwrap(), Some(held.clone()));
    let next = store.take_lease(&other, &name, NOW + 40, NOW + 20).await.unwrap().unwrap();
    assert!(next.fence > held.fence);
    let late = PresenceChange { lease: Some(held), ..change(agent, None, "up", 1) };
    assert!(!store.save_presence(&ALL, &one, late, NOW).await.unwrap());
    let judged = PresenceChange { lease: Some(next.clone()), ..change(agent, None, "up", 1) };
    assert!(store.save_presence(&ALL, &other, judged, NOW).await.unwrap());
    store.end_lease(&next).await.unwrap();
    assert!(store.take_lease(&one, &name, NOW + 40, NOW + 21).await.unwrap().is_some());
}

pub(super) async fn the_store_says_that_it_can_write(store: &Store) {
    store.write_probe(NOW).await.unwrap();
    store.write_probe(NOW).await.unwrap();
    store.make_months(NOW + 90 * 86_400_000).await.unwrap();
}
