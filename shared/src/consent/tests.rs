use super::*;
use crate::time;
use proptest::prelude::*;

fn terms() -> ConsentTerms {
    let performance = ScopeTerms { every_s: 60, except: vec![1], include: Vec::new() };
    ConsentTerms {
        v: 1,
        valid_from_ms: 1000,
        valid_to_ms: 2000,
        mode: ConsentMode::Continuous,
        utc_offset_s: UTC_OFFSET_S,
        windows: Vec::new(),
        quiet: Vec::new(),
        scopes: BTreeMap::from([(Scope::Performance, performance)]),
        approval_hash: Hash::ZERO,
        example: true,
    }
}

fn window(line: &str) -> Window {
    Window::parse_line(line).unwrap()
}

fn lasting() -> ConsentTerms {
    let every = ScopeTerms { every_s: 60, except: Vec::new(), include: Vec::new() };
    ConsentTerms { valid_from_ms: 0, valid_to_ms: i64::MAX, scopes: Scope::ALL.into_iter().map(|scope| (scope, every.clone())).collect(), ..terms() }
}

#[test]
fn only_consented_fields_are_allowed() {
    let allowed: Vec<u16> = fields().filter(|field| terms().allows(field)).map(|field| field.id).collect();
    assert!(allowed.contains(&2) && !allowed.contains(&1) && !allowed.contains(&120));
}

#[test]
fn the_end_is_not_included() {
    assert!(!terms().covers(999) && terms().covers(1000) && terms().covers(1999) && !terms().covers(2000));
    let reach = [999, 1000, 1999, 2000].map(|now_ms| terms().reach(now_ms));
    assert_eq!(reach, [Reach::Nothing(Pause::NotYet), Reach::All, Reach::All, Reach::Nothing(Pause::Ended)]);
}

#[test]
fn any_change_changes_the_hash() {
    let mut other = terms();
    other.valid_to_ms += 1;
    assert_ne!(terms().hash(), other.hash());
    assert_ne!(terms().hash(), ConsentTerms { quiet: vec![window("mon 09:00-10:00")], ..terms() }.hash());
    assert_eq!(terms().hash(), serde_json::from_str::<ConsentTerms>(&serde_json::to_string(&terms()).unwrap()).unwrap().hash());
}

/// 2026-11-27 is a Friday.
#[test]
fn in_exam_hours_only_the_heartbeat_is_taken() {
    let quiet = ConsentTerms { quiet: vec![window("mon-fri 08:30-12:00")], ..lasting() };
    let at = |text: &str| quiet.reach(time::parse(text).unwrap());
    assert_eq!(at("2026-11-27T08:29:59+09:00"), Reach::All);
    assert_eq!(at("2026-11-27T08:30:00+09:00"), Reach::Heartbeat);
    assert_eq!(at("2026-11-27T11:59:59+09:00"), Reach::Heartbeat);
    assert_eq!(at("2026-11-27T12:00:00+09:00"), Reach::All);
    assert_eq!(at("2026-11-28T09:00:00+09:00"), Reach::All, "a Saturday");
    let mut silent = quiet.clone();
    silent.scopes.remove(&Scope::Heartbeat);
    assert_eq!(silent.reach(time::parse("2026-11-27T09:00:00+09:00").unwrap()), Reach::Nothing(Pause::Quiet));
}

#[test]
fn a_periodic_consent_holds_in_its_windows_and_over_midnight_in_two() {
    let night = vec![window("fri 22:00-24:00"), window("sat 00:00-06:00")];
    let night = ConsentTerms { mode: ConsentMode::Periodic, windows: night, ..lasting() };
    let at = |text: &str| night.reach(time::parse(text).unwrap());
    assert_eq!(at("2026-11-27T21:59:59+09:00"), Reach::Nothing(Pause::OutsidePeriod));
    assert_eq!(at("2026-11-27T22:00:00+09:00"), Reach::All);
    assert_eq!(at("2026-11-28T00:00:00+09:00"), Reach::All);
    assert_eq!(at("2026-11-28T06:00:00+09:00"), Reach::Nothing(Pause::OutsidePeriod));
    let next = |text: &str| night.next_turn(time::parse(text).unwrap()).map(time::show);
    assert_eq!(next("2026-11-27T12:00:00+09:00").as_deref(), Some("2026-11-27T13:00:00Z"));
    assert_eq!(next("2026-11-28T06:00:00+09:00").as_deref(), Some("2026-12-04T13:00:00Z"));
}

#[test]
fn what_an_agent_states_is_bounded() {
    assert_eq!(lasting().check(), Ok(()));
    let one = window("mon 09:00-10:00");
    for bad in [
        ConsentTerms { quiet: vec![one.clone(); WINDOWS_MAX + 1], ..lasting() },
        ConsentTerms { windows: vec![one], ..lasting() },
        ConsentTerms { mode: ConsentMode::Periodic, ..lasting() },
        ConsentTerms { utc_offset_s: 30, ..lasting() },
        ConsentTerms { utc_offset_s: i32::MAX, ..lasting() },
        ConsentTerms { quiet: vec![Window { days: vec![9], from_min: 0, to_min: 1 }], ..lasting() },
        ConsentTerms { scopes: BTreeMap::from([(Scope::Patch, ScopeTerms { every_s: 0, except: Vec::new(), include: Vec::new() })]), ..lasting() },
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
    }
}

#[test]
fn a_consent_warns_at_30_7_and_1_days() {
    let day = 86_400_000;
    let marks = [31 * day, 30 * day, 8 * day, 7 * day, day + 1, day, 1, 0, -1].map(|left| expiry_mark(1_000 * day, 1_000 * day - left));
    assert_eq!(marks, [None, Some(30), Some(30), Some(7), Some(7), Some(1), Some(1), None, None]);
}

#[test]
fn of_configuration_and_consent_the_longer_interval_holds_per_scope() {
    let mut terms = lasting();
    let mut every = |scope: Scope, every_s: u64| terms.scopes.get_mut(&scope).unwrap().every_s = every_s;
    every(Scope::Performance, 90);
    every(Scope::OsState, 3600);
    every(Scope::Patch, 5);
    let plan = Plan::of(Some(&terms), |scope| if scope == Scope::Network { 600 } else { 60 }, |field| field.section != "load");
    let seldom = [(120, "cpu disk kernel memory paging pressure swap"), (600, "network tcp"), (3600, "boot filesystem process service units")];
    let expected = seldom.into_iter().flat_map(|(own, sections)| sections.split(' ').map(move |section| (section.to_owned(), own)));
    assert_eq!(plan.interval_s, 60, "a scope without fields does not make the beat");
    assert_eq!(plan.sections, expected.collect());
    assert_eq!((plan.section_s("system"), plan.scope_s(Scope::OsState)), (60, 3600));
    assert_eq!(Plan::of(None, |_| 30, |_| true), Plan { v: 1, interval_s: 30, sections: BTreeMap::new() });
}

proptest! {
    /// Whatever the windows: between two turns the reach is the same everywhere.
    #[test]
    fn property_the_reach_changes_at_turns_only(
        windows in prop::collection::vec((prop::collection::btree_set(1_u8..8, 1..7), 0_u16..1440, 1_u16..1440), 0..5),
        periodic in any::<bool>(), offset in -840_i32..840, now in 0_i64..4_000_000_000_000, share in 0.0_f64..1.0,
    ) {
        let windows: Vec<Window> = windows.into_iter().map(|(days, from_min, length)| {
            Window { days: days.into_iter().collect(), from_min, to_min: (from_min + length).min(1440) }
        }).collect();
        let (mode, agreed) = match windows.first() {
            Some(first) if periodic => (ConsentMode::Periodic, vec![first.clone()]),
            _ => (ConsentMode::Continuous, Vec::new()),
        };
        let terms = ConsentTerms { mode, windows: agreed, quiet: windows, utc_offset_s: offset * 60, ..lasting() };
        prop_assert_eq!(terms.check(), Ok(()));
        let turn = terms.next_turn(now).unwrap();
        prop_assert!(turn > now);
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment between the two will do")]
        let between = now + ((turn.min(now + 9 * 86_400_000) - now - 1) as f64 * share) as i64;
        prop_assert_eq!(terms.reach(between), terms.reach(now));
    }
}

#[test]
fn a_field_that_needs_naming_leaves_only_where_it_is_named_and_not_where_it_is_held_back_as_well() {
    let serial = fields().find(|field| field.path() == "drive.serial_number").unwrap();
    let allowed = |except: Vec<u16>, include: Vec<u16>| {
        let scopes = BTreeMap::from([(Scope::Hardware, ScopeTerms { every_s: 60, except, include })]);
        ConsentTerms { scopes, ..lasting() }.allows(serial)
    };
    assert!(serial.needs_naming() && fields().filter(|field| field.needs_naming()).count() == 1);
    assert_eq!((allowed(vec![], vec![]), allowed(vec![], vec![serial.id]), allowed(vec![serial.id], vec![serial.id])), (false, true, false));
    let named = ScopeTerms { every_s: 60, except: vec![], include: vec![serial.id] };
    assert_eq!(serde_json::to_string(&named).unwrap(), r#"{"every_s":60,"include":[271]}"#);
    assert_eq!(serde_json::from_str::<ScopeTerms>(r#"{"every_s":60}"#).unwrap(), ScopeTerms { every_s: 60, except: vec![], include: vec![] });
}
