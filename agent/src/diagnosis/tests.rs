use super::*;
use mimamori_shared::fields::{Array, Filesystem, Network, Paging, SECTIONS, Sensor, fields};
use mimamori_shared::payload::FaultCode;
use proptest::prelude::*;

fn disk(available: i64) -> Readings {
    let filesystem =
        |name: &str, available| Filesystem { name: name.parse().unwrap(), size_bytes: Some(1000), available_bytes: Some(available), ..Filesystem::default() };
    Readings { filesystem: vec![filesystem("data", available), filesystem("root", 900)], ..Readings::default() }
}

fn shown(found: &[Finding]) -> Vec<String> {
    found.iter().map(|f| format!("{} {} {} {}", f.check, f.name.as_ref().map_or("-", Word::as_str), f.state.name(), f.since_ms)).collect()
}

fn all(_: &str) -> bool {
    true
}

#[test]
fn every_check_judges_a_section_that_exists_by_fields_that_exist_and_has_words() {
    let judged: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    let worded: Vec<&str> = mimamori_shared::checks::CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(judged, worded, "what is judged and what has words, in the same order");
    for check in CHECKS {
        assert!(SECTIONS.contains(&check.section()), "{}", check.id);
        for field in check.evidence {
            assert!(fields().any(|row| row.section == check.section() && row.name == *field), "{}.{field}", check.section());
        }
    }
}

#[test]
fn a_change_is_found_once_with_its_evidence_and_its_end_is_found_too() {
    let (state, found) = Diagnosis::default().look(&disk(100), &[], &all, 1);
    assert_eq!(shown(&found), [] as [&str; 0], "what is in order is no news");
    let (state, found) = state.look(&disk(49), &[], &all, 2);
    assert_eq!(shown(&found), ["filesystem_full data bad 2"]);
    assert_eq!(found[0].evidence.iter().map(|(k, v)| (k.as_str(), *v)).collect::<Vec<_>>(), [("available_bytes", 49), ("size_bytes", 1000)]);
    let (state, found) = state.look(&disk(60), &[], &all, 3);
    assert_eq!(shown(&found), [] as [&str; 0], "a little room does not end it");
    let (_, found) = state.look(&disk(80), &[], &all, 4);
    assert_eq!(shown(&found), ["filesystem_full data ok 4"]);
}

#[test]
fn what_cannot_be_measured_is_neither_fine_nor_gone() {
    let (state, _) = Diagnosis::default().look(&disk(100), &[], &all, 1);
    let fault = |name: Option<&str>| Fault { probe: "filesystem".parse().unwrap(), code: FaultCode::TimedOut, name: name.map(|name| name.parse().unwrap()) };
    let (unknown, found) = state.look(&Readings::default(), &[fault(None)], &all, 2);
    assert_eq!(shown(&found), ["filesystem_full data unknown 2", "filesystem_full root unknown 2"]);
    assert_eq!(shown(&unknown.look(&disk(100), &[], &all, 3).1), ["filesystem_full data ok 3", "filesystem_full root ok 3"]);
    let mut one = disk(100);
    one.filesystem.remove(0);
    assert_eq!(shown(&state.look(&one, &[fault(Some("data"))], &all, 2).1), ["filesystem_full data unknown 2"]);
    assert_eq!(shown(&state.look(&one, &[], &all, 2).1), ["filesystem_full data gone 2"]);
}

#[test]
fn what_is_still_to_be_told_after_a_boot_stands_as_before_and_what_is_told_of_the_same_section_counts() {
    let array = |name: &str, degraded| Array { name: name.parse().unwrap(), degraded: Some(degraded), ..Array::default() };
    let arrays = |of: &[(&str, i64)]| Readings { array: of.iter().map(|(name, degraded)| array(name, *degraded)).collect(), ..Readings::default() };
    let fault = |code| [Fault { probe: "array".parse().unwrap(), code, name: None }];
    let (state, _) = Diagnosis::default().look(&arrays(&[("md0", 0), ("c0-v0", 1), ("c0-v1", 0)]), &[], &all, 1);
    let (state, found) = state.look(&arrays(&[("md0", 1)]), &fault(FaultCode::NotYet), &all, 2);
    assert_eq!(shown(&found), ["array_degraded md0 bad 2"], "the kernel's own arrays are told at once");
    let (_, found) = state.look(&arrays(&[("md0", 1)]), &fault(FaultCode::NotConsented), &all, 3);
    assert_eq!(shown(&found), ["array_degraded c0-v0 unknown 3", "array_degraded c0-v1 unknown 3"], "what nobody may look at is not known");
    let (_, found) = state.look(&arrays(&[("md0", 1), ("c0-v0", 1)]), &[], &all, 3);
    assert_eq!(shown(&found), ["array_degraded c0-v1 gone 3"], "what stood before the boot and does now is no news");
}

#[test]
fn what_goes_in_good_order_is_told_once_and_what_was_bad_about_it_too() {
    let mut whole = disk(100);
    for filesystem in &mut whole.filesystem {
        (filesystem.read_only, filesystem.errors, filesystem.inodes, filesystem.inodes_free) = (Some(0), Some(0), Some(1000), Some(900));
    }
    whole.filesystem[0].errors = Some(3);
    let (state, found) = Diagnosis::default().look(&whole, &[], &all, 1);
    assert_eq!(shown(&found), ["filesystem_errors data bad 1"]);
    let (state, found) = state.look(&Readings::default(), &[], &all, 2);
    assert_eq!(shown(&found), ["filesystem_full data gone 2", "filesystem_full root gone 2", "filesystem_errors data gone 2"]);
    assert!(state.standing().all(|(_, since)| since.state == Standing::Gone), "{state:?}");
}

#[test]
fn when_all_places_are_taken_what_is_bad_keeps_its_own() {
    let sensors = |from: usize, alarm| Readings {
        sensor: (from..from + 64).map(|n| Sensor { name: format!("ipmi:{n}").parse().unwrap(), alarm: Some(alarm), ..Sensor::default() }).collect(),
        ..Readings::default()
    };
    let (mut state, found) = Diagnosis::default().look(&sensors(0, 1), &[], &all, 0);
    assert_eq!(found.len(), 64);
    for round in 1..40 {
        // A board that calls its sensors otherwise each time; those of the first round go on.
        let mut readings = sensors(round * 64, 0);
        readings.sensor.extend(sensors(0, 1).sensor);
        state = state.look(&readings, &[], &all, i64::try_from(round).unwrap()).0;
        assert!(state.standing().count() <= STANDING_MAX);
    }
    let mut readings = disk(10);
    readings.sensor = sensors(0, 1).sensor;
    let (state, found) = state.look(&readings, &[], &all, 50);
    assert!(shown(&found).contains(&"filesystem_full data bad 50".to_owned()), "{:?}", shown(&found));
    assert_eq!(state.standing().filter(|(_, since)| since.state == Standing::Bad).count(), 65);
}

#[test]
fn sections_that_were_not_looked_at_stand_as_they_were() {
    let (state, _) = Diagnosis::default().look(&disk(10), &[], &all, 1);
    assert_eq!(state.look(&Readings::default(), &[], &|section| section != "filesystem", 2), (state.clone(), vec![]));
}

#[test]
fn what_was_never_up_is_not_missed_and_what_was_is() {
    let link = |up| Readings { network: vec![Network { name: "eth1".parse().unwrap(), link_up: Some(up), ..Network::default() }], ..Readings::default() };
    let (spare, found) = Diagnosis::default().look(&link(0), &[], &all, 1);
    assert_eq!((shown(&found), spare.standing().count()), (vec![], 0));
    let (used, _) = spare.look(&link(1), &[], &all, 2);
    let (down, found) = used.look(&link(0), &[], &all, 3);
    assert_eq!(shown(&found), ["link_down eth1 bad 3"]);
    assert_eq!(shown(&down.look(&link(0), &[], &all, 4).1), [] as [&str; 0]);
}

#[test]
fn read_only_from_the_beginning_is_a_wish_unless_there_were_errors() {
    let mounted = |read_only, errors| {
        let data = Filesystem { name: "data".parse().unwrap(), read_only: Some(read_only), errors, ..Filesystem::default() };
        Readings { filesystem: vec![data], ..Readings::default() }
    };
    let fresh = Diagnosis::default();
    assert_eq!(shown(&fresh.look(&mounted(1, Some(0)), &[], &all, 1).1), [] as [&str; 0]);
    assert_eq!(shown(&fresh.look(&mounted(1, Some(2)), &[], &all, 1).1), ["filesystem_read_only data bad 1", "filesystem_errors data bad 1"]);
    let (was, _) = fresh.look(&mounted(0, None), &[], &all, 1);
    assert_eq!(shown(&was.look(&mounted(1, None), &[], &all, 2).1), ["filesystem_read_only data bad 2"]);
}

#[test]
fn what_stands_is_kept_and_read_again_and_nonsense_is_begun_anew() {
    let killed = Readings { paging: Some(Paging { oom_kills: Some(1), ..Paging::default() }), ..disk(10) };
    let (state, found) = Diagnosis::default().look(&killed, &[], &all, 7);
    assert_eq!(shown(&found), ["filesystem_full data bad 7", "oom_kill - bad 7"]);
    assert_eq!(Diagnosis::read(&state.keep()), state);
    for nonsense in [&b""[..], b"{}", b"[[\"a b\",null,{}]]"] {
        assert_eq!(Diagnosis::read(nonsense), Diagnosis::default());
    }
}

/// Every check by a machine in order and by one in trouble: a flag that is read the wrong way round shows here.
#[test]
fn every_check_tells_trouble_from_order() {
    let table = [
        (
            "filesystem_inodes",
            r#"{"filesystem":[{"name":"a","inodes":100,"inodes_free":50}]}"#,
            r#"{"filesystem":[{"name":"a","inodes":100,"inodes_free":1}]}"#,
        ),
        ("drive_health", r#"{"drive":[{"name":"a","verdict":"ok"}]}"#, r#"{"drive":[{"name":"a","verdict":"bad"}]}"#),
        ("array_degraded", r#"{"array":[{"name":"a","degraded":0}]}"#, r#"{"array":[{"name":"a","degraded":1}]}"#),
        ("pool_degraded", r#"{"pool":[{"name":"a","degraded":0}]}"#, r#"{"pool":[{"name":"a","degraded":1}]}"#),
        ("multipath_failed", r#"{"multipath":[{"name":"a","paths_failed":0}]}"#, r#"{"multipath":[{"name":"a","paths_failed":1}]}"#),
        ("sensor_alarm", r#"{"sensor":[{"name":"a","alarm":0}]}"#, r#"{"sensor":[{"name":"a","alarm":1}]}"#),
        ("ecc_uncorrected", r#"{"ecc":[{"name":"a","uncorrected":0}]}"#, r#"{"ecc":[{"name":"a","uncorrected":1}]}"#),
        ("machine_check", r#"{"machine_check":{"exceptions":0}}"#, r#"{"machine_check":{"exceptions":2}}"#),
        ("power_failed", r#"{"power":[{"name":"a","failed":0,"input_lost":0}]}"#, r#"{"power":[{"name":"a","failed":0,"input_lost":1}]}"#),
        ("ups_on_battery", r#"{"ups":[{"name":"a","on_battery":0}]}"#, r#"{"ups":[{"name":"a","on_battery":1}]}"#),
        ("ups_battery", r#"{"ups":[{"name":"a","battery_low":0}]}"#, r#"{"ups":[{"name":"a","battery_low":0,"replace_battery":1}]}"#),
        ("ups_failed", r#"{"ups":[{"name":"a","alarm":0,"overload":0,"status":"online"}]}"#, r#"{"ups":[{"name":"a","alarm":1}]}"#),
        ("units_failed", r#"{"units":{"failed":0}}"#, r#"{"units":{"failed":1}}"#),
        ("service_down", r#"{"service":[{"name":"a","active":1}]}"#, r#"{"service":[{"name":"a","active":0}]}"#),
        ("process_missing", r#"{"process":[{"name":"a","count":1}]}"#, r#"{"process":[{"name":"a","count":0}]}"#),
        ("oom_kill", r#"{"paging":{"oom_kills":0}}"#, r#"{"paging":{"oom_kills":1}}"#),
        ("file_handles", r#"{"kernel":{"file_handles":1,"file_handles_max":100}}"#, r#"{"kernel":{"file_handles":99,"file_handles_max":100}}"#),
        ("threads", r#"{"kernel":{"threads":1,"threads_max":100}}"#, r#"{"kernel":{"threads":99,"threads_max":100}}"#),
        ("connection_table", r#"{"tcp":{"tracked":1,"tracked_max":100}}"#, r#"{"tcp":{"tracked":99,"tracked_max":100}}"#),
        ("default_route", r#"{"tcp":{"default_route":1}}"#, r#"{"tcp":{"default_route":0}}"#),
        ("clock_unsynchronised", r#"{"clock":{"synchronised":1}}"#, r#"{"clock":{"synchronised":0}}"#),
        ("unclean_boot", r#"{"boot":{"previous_shutdown":"clean"}}"#, r#"{"boot":{"previous_shutdown":"power_loss"}}"#),
        ("application_down", r#"{"application":[{"name":"a","up":1}]}"#, r#"{"application":[{"name":"a","up":0}]}"#),
        ("agent_over_budget", r#"{"agent":{"over_budget":0}}"#, r#"{"agent":{"over_budget":1}}"#),
    ];
    for (check, good, bad) in table {
        let [good, bad] = [good, bad].map(|json| serde_json::from_str::<Readings>(json).unwrap());
        let (state, found) = Diagnosis::default().look(&good, &[], &all, 1);
        assert_eq!(found, [], "{check}");
        let found: Vec<String> = state.look(&bad, &[], &all, 2).1.iter().map(|f| format!("{} {}", f.check, f.state.name())).collect();
        assert_eq!(found, [format!("{check} bad")]);
    }
    // More than one way to be in trouble.
    for (section, values) in [
        ("array", r#""degraded":0,"failed":1"#),
        ("multipath", r#""paths":0,"paths_failed":0"#),
        ("ups", r#""alarm":0,"overload":1"#),
        ("ups", r#""alarm":0,"status":"off""#),
    ] {
        let readings = serde_json::from_str(&format!(r#"{{"{section}":[{{"name":"a",{values}}}]}}"#)).unwrap();
        assert!(Diagnosis::default().look(&readings, &[], &all, 1).1.iter().any(|found| found.state == Standing::Bad), "{values}");
    }
    let elsewhere = ["filesystem_full", "filesystem_read_only", "filesystem_errors", "link_down"];
    assert_eq!(table.len() + elsewhere.len(), CHECKS.len(), "every check stands in a test");
}

proptest! {
    /// Whatever happens, every change is told exactly once, and telling them all gives what stands.
    #[test]
    fn the_changes_add_up_to_what_stands(looks in proptest::collection::vec((0_i64..120, any::<bool>(), any::<bool>()), 1..30)) {
        let mut state = Diagnosis::default();
        let mut told: BTreeMap<Subject, Standing> = BTreeMap::new();
        for (now, (available, there, faulty)) in looks.into_iter().enumerate() {
            let readings = if there { disk(available) } else { Readings::default() };
            let fault = Fault { probe: "filesystem".parse().unwrap(), code: FaultCode::IoError, name: None };
            let faults = if faulty { vec![fault] } else { vec![] };
            let (next, found) = state.look(&readings, &faults, &all, now as i64);
            for finding in found {
                let before = told.insert((finding.check, finding.name), finding.state);
                prop_assert_ne!(before, Some(finding.state));
            }
            for (subject, since) in next.standing() {
                prop_assert_eq!(told.get(subject).copied().unwrap_or(Standing::Ok), since.state);
            }
            prop_assert_eq!(&Diagnosis::read(&next.keep()), &next);
            state = next;
        }
    }
}
