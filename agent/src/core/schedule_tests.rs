//! Per-scope intervals, quiet and agreed windows, requests, and a withdrawal that keeps what is unsent.

use super::rig::{QUOTA, Rig, identity, settings, terms};
use super::*;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, ScopeTerms, Window};
use mimamori_shared::fields::{Cpu, Field, Filesystem, Network, Readings, System, fields};
use mimamori_shared::payload::{Body, Class, Fault, FaultCode, Loss, Report};
use proptest::prelude::*;

/// Thursday, 1970-01-01, 00:00 UTC: windows are written in UTC here.
const START: Now = Now { wall_ms: 0, boottime_ms: 5_000, monotonic_ms: 5_000 };
const HOUR_MS: i64 = 3_600_000;

fn every(scopes: &[(Scope, u64)]) -> ConsentTerms {
    let scopes = scopes.iter().map(|(scope, every_s)| (*scope, ScopeTerms { every_s: *every_s, except: Vec::new(), include: Vec::new() })).collect();
    ConsentTerms { scopes, ..terms() }
}

fn window(line: &str) -> Window {
    Window::parse_line(line).unwrap()
}

/// Everything a machine could say, consented or not.
fn everything() -> (Readings, Vec<Fault>) {
    let readings = Readings {
        cpu: Some(Cpu { user_ms: Some(1), idle_ms: Some(2), ..Cpu::default() }),
        system: Some(System { uptime_ms: Some(3), boot_at_ms: Some(4) }),
        filesystem: vec![Filesystem { name: "data".parse().unwrap(), size_bytes: Some(5), read_only: Some(0), ..Filesystem::default() }],
        network: vec![Network { name: "eth0".parse().unwrap(), rx_bytes: Some(6), link_up: Some(1), ..Network::default() }],
        ..Readings::default()
    };
    let fault = |probe: &str| Fault { probe: probe.parse().unwrap(), code: FaultCode::IoError, name: None };
    (readings, vec![fault("disk"), fault("memory.free_bytes"), fault("agent")])
}

fn reports(terms: &ConsentTerms, settings: Settings, asked: Option<i64>, span_ms: i64) -> Vec<(i64, Report)> {
    reports_of(terms, settings, asked, span_ms, |_| States::new())
}

/// Runs an agent without an outbox for a while; gives the moments of its reports with what stood in them.
fn reports_of(terms: &ConsentTerms, settings: Settings, asked: Option<i64>, span_ms: i64, mut states: impl FnMut(&Agent) -> States) -> Vec<(i64, Report)> {
    let mut agent = Agent::new(identity(), settings, Restored::default());
    let mut now = START;
    let mut made = Vec::new();
    let mut queue = vec![Event::Wake, Event::Asked(asked), Event::Consent(Consent::Valid(terms.clone()))];
    while now.boottime_ms < START.boottime_ms + span_ms {
        while let Some(event) = queue.pop() {
            for effect in agent.step(event, now, [1; 16]) {
                match effect {
                    Effect::Sample => {
                        let (readings, faults) = everything();
                        queue.push(Event::Sampled { readings: Box::new(readings), faults, states: states(&agent) });
                    }
                    Effect::Commit(record) => {
                        if record.states.is_none() {
                            made.push((now.wall_ms, serde_json::from_slice(&record.payload).unwrap()));
                        }
                        queue.push(Event::Committed);
                    }
                    _ => {}
                }
            }
        }
        let at = agent.wake_at().filter(|at| *at > now.boottime_ms).unwrap_or(now.boottime_ms + 60_000).min(now.boottime_ms + 60_000);
        let step = at - now.boottime_ms;
        now = Now { wall_ms: now.wall_ms + step, boottime_ms: at, monotonic_ms: at };
        queue.push(Event::Wake);
    }
    made
}

fn planned(terms: &ConsentTerms, configured_s: u64, except: &[u16]) -> Settings {
    let except: BTreeSet<u16> = except.iter().copied().collect();
    Settings { plan: Plan::of(Some(terms), |_| configured_s, |field| !except.contains(&field.id)), except }
}

fn moments(reports: &[(i64, Report)], section: &str) -> Vec<i64> {
    reports.iter().filter(|(_, report)| report.sections().contains(&section)).map(|(at, _)| *at).collect()
}

#[test]
fn a_report_holds_what_is_due_of_each_scope_and_nothing_else() {
    let terms = every(&[(Scope::Heartbeat, 60), (Scope::Performance, 300), (Scope::OsState, 1800)]);
    let made = reports(&terms, planned(&terms, 60, &[]), None, 2 * HOUR_MS);
    let counts = ["system", "cpu", "filesystem", "network"].map(|section| moments(&made, section).len());
    assert!((118..=121).contains(&counts[0]) && (23..=25).contains(&counts[1]) && (4..=5).contains(&counts[2]) && counts[3] == 0, "{counts:?}");
    for (section, least_ms) in [("system", 60_000), ("cpu", 300_000), ("filesystem", 1_800_000)] {
        assert!(moments(&made, section).windows(2).skip(1).all(|pair| pair[1] - pair[0] >= least_ms), "{section}");
    }
}

#[test]
fn the_beat_is_the_shortest_consented_interval_and_never_shorter_than_configured() {
    let terms = every(&[(Scope::Heartbeat, 300), (Scope::Performance, 30)]);
    let made = reports(&terms, planned(&terms, 60, &[]), None, HOUR_MS);
    assert!((57..=61).contains(&made.len()), "{}", made.len());
    assert_eq!(moments(&made, "system").len(), 13);
}

#[test]
fn in_a_quiet_window_only_the_heartbeat_is_taken() {
    let terms = ConsentTerms { quiet: vec![window("thu 01:00-02:00")], ..every(&[(Scope::Heartbeat, 60), (Scope::Performance, 60)]) };
    let made = reports(&terms, planned(&terms, 60, &[]), None, 3 * HOUR_MS);
    let in_window = |at: &i64| (HOUR_MS..2 * HOUR_MS).contains(at);
    assert!(!moments(&made, "cpu").iter().any(in_window));
    assert!(moments(&made, "system").iter().filter(|at| in_window(at)).count() >= 58);
    assert!(moments(&made, "cpu").iter().any(|at| *at >= 2 * HOUR_MS && *at < 2 * HOUR_MS + 60_000), "it goes on at once");
}

#[test]
fn a_periodic_consent_takes_nothing_outside_its_windows_and_begins_on_time() {
    let windows = vec![window("thu 01:00-02:00"), window("fri 00:00-00:30")];
    let terms = ConsentTerms { mode: ConsentMode::Periodic, windows, ..every(&[(Scope::Heartbeat, 60)]) };
    let made = reports(&terms, planned(&terms, 60, &[]), None, 30 * HOUR_MS);
    let within = |at: i64| (HOUR_MS..2 * HOUR_MS).contains(&at) || (24 * HOUR_MS..24 * HOUR_MS + HOUR_MS / 2).contains(&at);
    assert!(made.iter().all(|(at, _)| within(*at)), "{:?}", made.iter().find(|(at, _)| !within(*at)));
    assert!(made.len() > 80 && made[0].0 == HOUR_MS, "{} from {}", made.len(), made[0].0);
}

#[test]
fn on_demand_nothing_is_taken_until_somebody_asks_and_nothing_after() {
    let terms = ConsentTerms { mode: ConsentMode::OnDemand, ..every(&[(Scope::Heartbeat, 60)]) };
    assert!(reports(&terms, planned(&terms, 60, &[]), None, HOUR_MS).is_empty());
    let made = reports(&terms, planned(&terms, 60, &[]), Some(HOUR_MS / 2), HOUR_MS);
    assert!(made.len() >= 28 && made.iter().all(|(at, _)| *at < HOUR_MS / 2));
}

#[test]
fn a_change_is_told_by_what_was_taken_and_not_by_what_was_not_due() {
    let terms = every(&[(Scope::Heartbeat, 60), (Scope::Network, 3600)]);
    let mut round = 0;
    // What is not taken is given another state each time: it must not count.
    let states = |agent: &Agent| {
        round += 1;
        States::from([("system", 1), ("network", if agent.may_take("network") { 7 } else { 100 + round })])
    };
    let made = reports_of(&terms, planned(&terms, 60, &[]), None, 3 * HOUR_MS, states);
    let changes = made.iter().filter(|(_, report)| report.class == Class::Change).count();
    assert!(made.len() > 170 && changes == 1, "{changes} of {}: the first report only", made.len());
    let mut round = 0;
    let flapping = |_: &Agent| {
        round += 1;
        States::from([("network", round)])
    };
    let made = reports_of(&terms, planned(&terms, 60, &[]), None, 3 * HOUR_MS, flapping);
    let changed: Vec<bool> = made.iter().map(|(_, report)| report.class == Class::Change).collect();
    let network: Vec<bool> = made.iter().map(|(_, report)| !report.readings.network.is_empty()).collect();
    assert_eq!(changed, network, "a change is told by the reports that hold it");
}

fn backlog() -> Rig {
    let mut rig = Rig::granted();
    rig.online = false;
    rig.pass(600);
    rig
}

fn tail(rig: &Rig) -> Vec<Body> {
    rig.collector.values().flat_map(|held| held.entries.iter().map(|entry| entry.body.clone())).collect()
}

#[test]
fn a_withdrawal_that_keeps_lets_the_unsent_leave_then_says_so_once_and_then_nothing() {
    for restart in [false, true] {
        let mut rig = backlog();
        let taken = rig.sample_value;
        rig.event(Event::Consent(Consent::Keeping));
        rig.pass(600);
        if restart {
            let (outbox, restored, _) = crate::outbox::Outbox::open(rig.dir.path(), QUOTA, 0).unwrap();
            rig.outbox = outbox;
            rig.agent = Agent::new(identity(), settings(), restored);
            rig.event(Event::Consent(Consent::Keeping));
        }
        rig.online = true;
        rig.pass(600);
        assert_eq!((rig.sample_value, rig.arrived()), (taken, ((1..=taken).collect(), 0)), "nothing is taken, everything taken arrives");
        let Some(Body::Statement(Statement::Consent { state: ConsentState::Withdrawn, purged, terms: None, .. })) = tail(&rig).last().cloned() else {
            panic!("{:?}", tail(&rig).last());
        };
        assert_eq!(purged.total(), 0);
        assert!(rig.agent.rests(rig.now));
        rig.requests = 0;
        rig.pass(7200);
        assert_eq!(rig.requests, 0, "after the statement nothing leaves");
    }
}

#[test]
fn a_withdrawal_that_kept_can_still_be_made_one_that_purges() {
    let mut rig = backlog();
    let arrived = rig.arrived().0.len();
    rig.event(Event::Consent(Consent::Keeping));
    rig.pass(60);
    rig.event(Event::Consent(Consent::Invalid(ConsentState::Withdrawn)));
    rig.online = true;
    rig.pass(600);
    assert_eq!(rig.arrived().0.len(), arrived, "what was unsent did not leave");
    let body = tail(&rig);
    let [Body::Loss(Loss { counts, .. }), Body::Statement(Statement::Consent { purged, .. })] = &body[body.len() - 2..] else { panic!("{body:?}") };
    assert_eq!(counts, purged);
}

#[test]
fn granted_again_while_it_was_kept_it_goes_on_without_a_statement() {
    let mut rig = backlog();
    rig.event(Event::Consent(Consent::Keeping));
    rig.pass(60);
    rig.event(Event::Consent(Consent::Valid(terms())));
    rig.online = true;
    rig.pass(600);
    assert!(!tail(&rig).iter().any(|body| matches!(body, Body::Statement(Statement::Consent { state: ConsentState::Withdrawn, .. }))));
    assert_eq!(rig.arrived().0.len(), usize::try_from(rig.sample_value).unwrap());
}

fn any_windows() -> impl Strategy<Value = Vec<Window>> {
    let one = (prop::collection::btree_set(1_u8..8, 1..7), 0_u16..1400, 30_u16..600);
    let read =
        |(days, from_min, length): (BTreeSet<u8>, u16, u16)| Window { days: days.into_iter().collect(), from_min, to_min: (from_min + length).min(1440) };
    prop::collection::vec(one.prop_map(read), 0..3)
}

fn any_terms() -> impl Strategy<Value = ConsentTerms> {
    let ids: Vec<u16> = fields().map(|field| field.id).collect();
    let scope = (5_u64..4000, prop::collection::btree_set(prop::sample::select(ids), 0..20));
    let scopes = prop::collection::btree_map(prop::sample::select(Scope::ALL.to_vec()), scope, 0..8);
    (scopes, any_windows(), any_windows(), any::<bool>()).prop_map(|(scopes, quiet, windows, on_demand)| {
        let own = |scope: Scope, ids: BTreeSet<u16>| fields().filter(|field| field.scope == scope && ids.contains(&field.id)).map(|field| field.id).collect();
        let scopes = scopes.into_iter().map(|(scope, (every_s, ids))| (scope, ScopeTerms { every_s, except: own(scope, ids), include: Vec::new() })).collect();
        let mode = match windows.is_empty() {
            true if on_demand => ConsentMode::OnDemand,
            true => ConsentMode::Continuous,
            false => ConsentMode::Periodic,
        };
        ConsentTerms { mode, windows, quiet, scopes, ..terms() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever consent and configuration say: no field outside both, never more often than either, never in a quiet
    /// window but the heartbeat, never outside an agreed one, and nothing unasked.
    #[test]
    fn property_the_narrower_of_configuration_and_consent_holds_for_every_field(
        terms in any_terms(), configured_s in 5_u64..600, except in prop::collection::btree_set(0_u16..130, 0..40), asked in 0_i64..40_000_000,
    ) {
        prop_assert_eq!(terms.check(), Ok(()));
        let except: Vec<u16> = except.into_iter().collect();
        let made = reports(&terms, planned(&terms, configured_s, &except), Some(asked), 12 * HOUR_MS);
        let mut last: BTreeMap<Scope, i64> = BTreeMap::new();
        for (at, report) in &made {
            let mut held: Vec<&Field> = Vec::new();
            report.readings.visit(|field, _, _| held.push(field));
            prop_assert!(held.iter().all(|field| terms.allows(field) && !except.contains(&field.id)));
            let told = |fault: &Fault| fields().any(|field| field.section == fault.section() && terms.allows(field) && !except.contains(&field.id));
            prop_assert!(report.faults.iter().all(told));
            let scopes: BTreeSet<Scope> = fields().filter(|field| report.sections().contains(&field.section)).map(|field| field.scope).collect();
            let local = |windows: &[Window]| windows.iter().any(|window| {
                let weekday = u8::try_from((at / 86_400_000 + 3) % 7 + 1).unwrap();
                let minute = u16::try_from(at % 86_400_000 / 60_000).unwrap();
                window.days.contains(&weekday) && (window.from_min..window.to_min).contains(&minute)
            });
            prop_assert!(!local(&terms.quiet) || scopes.iter().all(|scope| *scope == Scope::Heartbeat), "quiet");
            prop_assert!(terms.mode != ConsentMode::Periodic || local(&terms.windows), "outside");
            prop_assert!(terms.mode != ConsentMode::OnDemand || *at < asked, "unasked");
            for scope in scopes {
                // A start takes everything once, whenever its beat goes on.
                let start = made[0].0;
                let least_ms = i64::try_from(terms.scopes[&scope].every_s.max(configured_s)).unwrap() * 1000;
                let before = last.insert(scope, *at);
                prop_assert!(before.is_none_or(|before| before == start || at - before >= least_ms), "{:?} {:?} {}", scope, before, at);
            }
        }
    }
}
