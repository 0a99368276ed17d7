use super::*;
use mimamori_shared::consent::{ScopeTerms, Window};
use mimamori_shared::fields::Scope;
use mimamori_shared::id::Hash;
use proptest::prelude::*;

/// One character is 30 s; the interval is 15 s, so the grace is 60 s: two characters.
const STEP_MS: i64 = 30_000;
const INTERVAL_S: u64 = 15;

fn plain(interval_s: u64) -> Agreed<'static> {
    Agreed { interval_s, terms: None }
}

struct Machine {
    is: Option<Presence>,
    terms: Option<ConsentTerms>,
    history: Vec<Change>,
    boot: u8,
    booted_ms: i64,
    queued: Vec<Seen>,
    skew_ms: i64,
}

impl Machine {
    fn event(&mut self, event: Event, now_ms: i64) {
        let (is, changes) = step(self.is.as_ref(), event, now_ms, Agreed { interval_s: INTERVAL_S, terms: self.terms.as_ref() });
        assert!(holds(&is), "{is:?}");
        self.is = Some(is);
        self.history.extend(changes);
    }

    fn seen(&self, now_ms: i64) -> Seen {
        let boot_id = BootId([self.boot; 16]);
        Seen { received_at_ms: now_ms, taken_at_ms: now_ms + self.skew_ms, boot_id, boottime_ms: now_ms - self.booted_ms, live: true }
    }

    /// r report, b report of a boot half a minute old, q report kept in the outbox, L the outbox arrives,
    /// w withdrawn, x expired, g granted, p a plan as before, u uninstalled, R retired, - nothing;
    /// P granted for windows of 4 minutes, 2 minutes apart, O granted on demand, E granted until in 2 minutes.
    fn play(&mut self, letter: char, now_ms: i64) {
        match letter {
            'r' => self.event(Event::Report(self.seen(now_ms)), now_ms),
            'b' => {
                (self.boot, self.booted_ms) = (self.boot + 1, now_ms - STEP_MS);
                self.event(Event::Report(self.seen(now_ms)), now_ms);
            }
            'q' => self.queued.push(self.seen(now_ms)),
            'L' => {
                for seen in std::mem::take(&mut self.queued) {
                    self.event(Event::Report(Seen { received_at_ms: now_ms, live: false, ..seen }), now_ms);
                }
            }
            'w' => {
                self.event(Event::Tick, now_ms);
                self.terms = None;
                self.event(Event::Consent(ConsentState::Withdrawn), now_ms);
            }
            'x' => self.event(Event::Consent(ConsentState::Expired), now_ms),
            'g' => self.event(Event::Consent(ConsentState::Granted), now_ms),
            'p' => self.event(Event::Plan { interval_s: INTERVAL_S }, now_ms),
            'u' => self.event(Event::Uninstall, now_ms),
            'P' | 'O' | 'E' => {
                self.event(Event::Tick, now_ms);
                self.terms = Some(agreed(letter, now_ms));
                self.event(Event::Consent(ConsentState::Granted), now_ms);
            }
            'R' => self.event(Event::Retire, now_ms),
            '-' => {}
            other => panic!("no such letter: {other}"),
        }
    }
}

fn agreed(letter: char, now_ms: i64) -> ConsentTerms {
    let day = (1..=7).collect::<Vec<u8>>();
    let windows = (0..20).map(|n| Window { days: day.clone(), from_min: n * 6, to_min: n * 6 + 4 }).collect();
    let mode = match letter {
        'P' => ConsentMode::Periodic,
        'O' => ConsentMode::OnDemand,
        _ => ConsentMode::Continuous,
    };
    ConsentTerms {
        v: 1,
        valid_from_ms: 0,
        valid_to_ms: if letter == 'E' { now_ms + 120_000 } else { i64::MAX },
        mode,
        utc_offset_s: 0,
        windows: if letter == 'P' { windows } else { Vec::new() },
        quiet: Vec::new(),
        scopes: Scope::ALL.into_iter().map(|scope| (scope, ScopeTerms { every_s: INTERVAL_S, except: Vec::new(), include: Vec::new() })).collect(),
        approval_hash: Hash::ZERO,
        example: false,
    }
}

/// Plays a script and shows the state at each character; `ticks` is the time between two looks.
fn timeline(script: &str, ticks: Option<usize>) -> (String, Vec<Change>) {
    let mut machine = Machine { is: None, terms: None, history: Vec::new(), boot: 1, booted_ms: -3_600_000, queued: Vec::new(), skew_ms: 0 };
    let mut now_ms = 0;
    for letter in script.chars() {
        machine.play(letter, now_ms);
        for tick_ms in ticks.into_iter().flat_map(|ticks| (now_ms + 1..now_ms + STEP_MS).step_by(ticks)) {
            machine.event(Event::Tick, tick_ms);
        }
        now_ms += STEP_MS;
    }
    machine.event(Event::Tick, now_ms);
    let letter = |at: usize| match state_at(&machine.history, STEP_MS * i64::try_from(at).unwrap()) {
        None => '.',
        Some(State::Up) => 'U',
        Some(State::Down) => 'D',
        Some(State::NotKnown) => '?',
        Some(State::NotConsented) => 'n',
        Some(State::Retired) => 'X',
    };
    ((0..script.len()).map(letter).collect(), machine.history)
}

#[track_caller]
fn check(script: &str, expected: &str) {
    assert_eq!(timeline(script, Some(10_000)).0, expected, "{script} looked at every 10 s");
    assert_eq!(timeline(script, None).0, expected, "{script} looked at once, at the end");
}

#[test]
fn an_unseen_machine_has_no_history() {
    check("-----", ".....");
}

#[test]
fn silence_past_the_grace_is_not_known_and_not_down() {
    check("r------", "UU?????");
    check("rr-----", "UUU????");
}

#[test]
fn a_report_in_time_keeps_it_up() {
    check("r-r-r-r", "UUUUUUU");
}

#[test]
fn the_same_boot_proves_the_silence_up() {
    check("r-----r", "UUUUUUU");
}

#[test]
fn a_new_boot_proves_the_machine_was_not_up_in_between() {
    check("r-----b-", "DDDDDUUU");
    check("r-b--", "DUUU?");
}

#[test]
fn late_reports_prove_what_was_and_not_what_is() {
    check("rqqqq-L--", "UUUU?????");
    check("qqq---L--", "UU.......");
}

#[test]
fn late_reports_of_the_old_boot_correct_where_it_ended_in_either_order() {
    check("rqqq--bL", "UUUDDUUU");
    check("rqqq-Lb-", "UUUDDUUU");
}

#[test]
fn a_withdrawn_consent_is_neither_down_nor_not_known_until_granted_again() {
    check("rw------g-r-", "Unnnnnnn??UU");
    check("rx------gb", "Unnnnnnn?U");
    check("rw-r-b-", "Unnnnnn");
    check("wg-r", "n??U");
}

/// Windows are minutes 0 to 4, 6 to 10, ...: eight letters each, four between them.
#[test]
fn outside_the_agreed_windows_a_machine_is_not_consented_without_a_message() {
    check("Prrrrrrr-----rrr", "?UUUUUUUnnnn?UUU");
    check("P---------------", "????????nnnn????");
    // A new boot in the next window proves nothing about the time in which nobody may look.
    check("Prr------r--b-r", "?UUU????nnnnUUU");
    check("PrrrrrrrwwwwwRrr", "?UUUUUUUnnnnnXXX");
    let (_, history) = timeline("Pr--------------", None);
    let reasons: Vec<&str> = history.iter().map(|change| change.because.code()).collect();
    assert_eq!(reasons, ["consent_granted", "first_report", "silent", "outside_period", "period_began"]);
    assert_eq!((history[3].from_ms, history[4].from_ms), (240_000, 360_000));
}

#[test]
fn on_demand_silence_is_not_consented_and_a_session_is_up() {
    check("O----rrr------rr", "nnnnnUUUUnnnnnUU");
    check("rr-O----", "UUUnnnnn");
    check("rrO-----", "UUUnnnnn");
    let (_, history) = timeline("O-r-----", None);
    assert_eq!(history.iter().map(|change| change.because.code()).collect::<Vec<_>>(), ["on_demand", "first_report", "on_demand"]);
}

#[test]
fn past_its_last_day_a_consent_has_expired_without_a_message() {
    check("Err-----r--", "?UUUnnnnnnn");
    check("Err---x-g-r", "?UUUnnnnnnn");
}

#[test]
fn a_removed_agent_is_not_down_and_may_come_back() {
    check("ru-------", "Unnnnnnnn");
    check("rwu-r-g-r", "Unnnnn??U");
    let (_, history) = timeline("rwu", None);
    assert_eq!(history.iter().map(|change| change.because).collect::<Vec<_>>()[1..], [Because::ConsentWithdrawn, Because::Uninstalled]);
}

#[test]
fn retired_is_final() {
    check("r-R--rbwg", "UUXXXXXXX");
}

#[test]
fn silence_starts_exactly_where_the_grace_ran_out() {
    let (_, history) = timeline("r--------", None);
    assert_eq!(history[1].from_ms, 60_000);
    assert_eq!(history[1].because, Because::Silent { grace_s: 60 });
    assert_eq!(history[1].evidence, "last report received 1970-01-01T00:00:00Z");
    assert_eq!(history.len(), 2);
}

#[test]
fn a_wrong_clock_on_the_machine_moves_nothing() {
    let live = |at_ms: i64, boot: u8, boottime_ms: i64, taken_at_ms: i64| {
        Event::Report(Seen { received_at_ms: at_ms, taken_at_ms, boot_id: BootId([boot; 16]), boottime_ms, live: true })
    };
    let (is, first) = step(None, live(1_000_000, 1, 500_000, 7), 1_000_000, plain(15));
    let (is, second) = step(Some(&is), live(1_300_000, 2, 40_000, i64::MAX), 1_300_000, plain(15));
    assert_eq!((is.state, is.since_ms, is.because), (State::Up, 1_260_000, Because::NewBoot));
    let spans: Vec<_> = first.iter().chain(&second).map(|change| (change.state, change.from_ms, change.to_ms)).collect();
    let expected = [(State::Up, 1_000_000, None), (State::NotKnown, 1_060_000, None), (State::Down, 1_000_000, Some(1_260_000)), (State::Up, 1_260_000, None)];
    assert_eq!(spans, expected);
}

/// A report that was received in time but decided on after the sweeper had looked.
#[test]
fn a_report_behind_the_sweeper_counts_from_its_receipt() {
    let seen = Seen { received_at_ms: 0, taken_at_ms: 0, boot_id: BootId::ZERO, boottime_ms: 5, live: true };
    let (is, mut history) = step(None, Event::Report(seen), 0, plain(15));
    let (is, changes) = step(Some(&is), Event::Tick, 70_000, plain(15));
    history.extend(changes);
    let (is, changes) = step(Some(&is), Event::Report(Seen { received_at_ms: 59_000, boottime_ms: 59_005, ..seen }), 70_001, plain(15));
    history.extend(changes);
    assert_eq!((is.state, is.due_at_ms), (State::Up, Some(119_000)));
    assert_eq!(state_at(&history, 65_000), Some(State::Up));
}

#[test]
fn a_shorter_plan_does_not_call_the_past_silent() {
    let seen = Seen { received_at_ms: 0, taken_at_ms: 0, boot_id: BootId::ZERO, boottime_ms: 5, live: true };
    let (is, _) = step(None, Event::Report(seen), 0, plain(3600));
    let (is, changes) = step(Some(&is), Event::Plan { interval_s: 15 }, 1_000_000, plain(15));
    assert_eq!((is.state, is.due_at_ms, changes.len()), (State::Up, Some(1_000_000), 0));
}

#[test]
fn grace_never_overflows() {
    assert_eq!((grace_s(60), grace_ms(60)), (150, 150_000));
    assert_eq!(grace_ms(u64::MAX), i64::MAX);
}

proptest! {
    #[test]
    fn property_the_history_does_not_depend_on_how_often_one_looks(script in "[-rbqLwgpPOE]{1,24}R?-{0,4}", ticks in 1_000..29_000usize) {
        prop_assert_eq!(timeline(&script, Some(ticks)).0, timeline(&script, None).0);
    }

    #[test]
    fn property_no_consent_means_neither_down_nor_not_known(script in "[-rbqLp]{1,12}w[-rbqLp]{1,12}") {
        let shown = timeline(&script, None).0;
        let from = script.find('w').unwrap();
        prop_assert!(shown[from..].chars().all(|letter| letter == 'n'), "{} {}", script, shown);
    }

    /// Nobody may look between the windows: whatever is sent or booted meanwhile, that time is neither down nor not known.
    #[test]
    fn property_outside_the_windows_is_neither_down_nor_not_known(script in "P[-rbqLp]{12,40}", ticks in 1_000..29_000usize) {
        let shown = timeline(&script, Some(ticks)).0;
        prop_assert_eq!(&shown, &timeline(&script, None).0);
        for (place, letter) in shown.chars().enumerate().filter(|(place, _)| place % 12 >= 8) {
            prop_assert_eq!(letter, 'n', "{} {} at {}", &script, &shown, place);
        }
    }

    #[test]
    fn property_late_and_early_arrival_of_an_outbox_tell_the_same(queued in 1..6usize, silence in 2..6usize) {
        let (waiting, silence) = ("q".repeat(queued), "-".repeat(silence));
        let before = timeline(&format!("r{waiting}{silence}Lb-"), None).0;
        let after = timeline(&format!("r{waiting}{silence}-bL"), None).0;
        prop_assert_eq!(before.replace('D', ""), after.replace('D', "").as_str().to_owned());
    }

    /// A clock ten years off moves nothing that a live report tells, nor what late ones of the same boot prove.
    #[test]
    fn property_a_clock_years_off_tells_the_same(script in "r[-rbqLp]{1,24}r", skew_days in prop_oneof![-3653..-1i64, 2..3653i64]) {
        let told = |skew_ms: i64| {
            let mut machine = Machine { is: None, terms: None, history: Vec::new(), boot: 1, booted_ms: -3_600_000, queued: Vec::new(), skew_ms };
            let mut now_ms = 0;
            for letter in script.chars() {
                machine.play(letter, now_ms);
                now_ms += STEP_MS;
            }
            let spans = machine.history.into_iter().map(|change| (change.state, change.from_ms, change.to_ms, change.because));
            (machine.is.map(|is| (is.state, is.since_ms, is.last_received_ms, is.due_at_ms)), spans.collect::<Vec<_>>())
        };
        prop_assert_eq!(told(0), told(skew_days * 86_400_000));
    }

    #[test]
    fn property_no_event_panics(events in prop::collection::vec((any::<[i64; 3]>(), 0..3u8, any::<bool>(), any::<u64>()), 1..20)) {
        let mut is = None;
        for ([a, b, c], boot, live, interval_s) in events {
            let seen = Seen { received_at_ms: a, taken_at_ms: b, boot_id: BootId([boot; 16]), boottime_ms: c, live };
            is = Some(step(is.as_ref(), Event::Report(seen), a.max(b), plain(interval_s)).0);
        }
        prop_assert!(is.as_ref().is_some_and(holds));
    }
}
