use super::*;
use proptest::prelude::*;

fn fold(reports: &[ReportPoint]) -> Vec<Session> {
    let mut done = Vec::new();
    let mut open = None;
    for report in reports {
        open = match extend(open, report) {
            Extend::Same(session) => Some(session),
            Extend::New { closed, opened } => {
                done.push(closed);
                Some(opened)
            }
        };
    }
    done.into_iter().chain(open).collect()
}

fn join(left: &[Session], right: &[Session]) -> Vec<Session> {
    let mut whole = left.to_vec();
    for session in right {
        match whole.pop().map(|last| last.join(*session)) {
            Some(Extend::New { closed, opened }) => whole.extend([closed, opened]),
            Some(Extend::Same(joined)) => whole.push(joined),
            None => whole.push(*session),
        }
    }
    whole
}

/// One report a letter, a minute apart: the letter is the boot, `-` a minute without one, `z` a suspended minute,
/// `|` a new chain.
fn reports(script: &str) -> Vec<ReportPoint> {
    let (mut boot, mut boottime_ms, mut suspended_ms, mut chain, mut seq, mut at_ms) = ('a', 0, 0, 0, 0, 0);
    let mut reports = Vec::new();
    for letter in script.chars() {
        if letter == '|' {
            (chain, seq) = (chain + 1, 0);
            continue;
        }
        (boottime_ms, at_ms) = (boottime_ms + 60_000, at_ms + 60_000);
        match letter {
            '-' => continue,
            'z' => {
                suspended_ms += 60_000;
                continue;
            }
            letter if letter != boot => (boot, boottime_ms, suspended_ms) = (letter, 10_000, 0),
            _ => {}
        }
        let edge = Edge { seq, taken_at_ms: at_ms, boottime_ms, monotonic_ms: boottime_ms - suspended_ms, received_at_ms: at_ms };
        let boot_id = BootId([u8::try_from(boot).unwrap(); 16]);
        reports.push(ReportPoint { agent_id: AgentId::ZERO, chain_id: ChainId([chain; 16]), boot_id, edge });
        seq += 1;
    }
    reports
}

/// Each session as reports, length, largest gap and suspended time in minutes.
#[track_caller]
fn check(script: &str, expected: &[(u64, i64, i64, i64)]) {
    let minutes = |ms: i64| ms / 60_000;
    let sessions = fold(&reports(script));
    let shown: Vec<_> = sessions.iter().map(|one| (one.reports, minutes(one.length_ms()), minutes(one.largest_gap_ms), minutes(one.suspended_ms()))).collect();
    assert_eq!(shown, expected, "{script}");
}

#[test]
fn reports_of_one_boot_are_one_session() {
    check("aaaa", &[(4, 3, 1, 0)]);
}

#[test]
fn a_gap_stays_within_the_session() {
    check("aa---aa", &[(4, 6, 4, 0)]);
}

#[test]
fn a_new_boot_begins_a_session() {
    check("aaa--bb", &[(3, 2, 1, 0), (2, 1, 1, 0)]);
}

#[test]
fn a_new_chain_begins_a_session() {
    check("aa|aa", &[(2, 1, 1, 0), (2, 1, 1, 0)]);
}

#[test]
fn suspended_time_is_told_apart() {
    check("aazzza", &[(3, 5, 4, 3)]);
}

#[test]
fn a_clock_that_ran_backwards_within_a_boot_begins_a_session() {
    let mut points = reports("aaa");
    points[2].edge.boottime_ms = 1;
    assert_eq!(fold(&points).len(), 2);
}

proptest! {
    #[test]
    fn property_splitting_loses_nothing(script in "[ab|z-]{0,40}", cut in 0..40usize) {
        let all = reports(&script);
        let (left, right) = all.split_at(cut.min(all.len()));
        let whole = fold(&all);
        prop_assert_eq!(&join(&fold(left), &fold(right)), &whole);
        prop_assert!(whole.iter().all(Session::holds));
        let counted: u64 = whole.iter().map(|session| session.reports).sum();
        prop_assert_eq!(counted, u64::try_from(all.len()).unwrap());
    }

    #[test]
    fn property_a_replay_changes_nothing(script in "a{1,10}(z|-|a){0,20}", at in 0..10usize) {
        let all = reports(&script);
        let [session] = fold(&all)[..] else { panic!("one boot is one session") };
        prop_assert_eq!(extend(Some(session), &all[at.min(all.len() - 1)]), Extend::Same(session));
    }
}
