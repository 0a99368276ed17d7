use super::*;
use proptest::prelude::*;

const GOOD: &str = r#"
version = 1
approver = "Administrator on duty"
reason = "maintenance contract"
valid_from = "2026-01-01T00:00:00+09:00"
valid_to = "2027-01-01T00:00:00+09:00"
[[quiet]]
days = "mon-fri"
from = "08:30"
to = "12:00"
[scopes]
heartbeat = { every = "60s" }
performance = { every = "5m", except = ["cpu.steal_ms", "load"] }
"#;

#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    let text = GOOD.replace(from, to);
    assert_ne!(text, GOOD, "{from}");
    let faults = Fault::all(&parse("c.toml", &text, &[0; 32]).unwrap_err());
    assert!(faults.en.contains(expected), "{faults}");
    assert!(faults.en.is_ascii() && !faults.ja.is_ascii(), "{faults:?}");
}

#[test]
fn a_good_file_gives_terms_without_people() {
    let consent = parse("c.toml", GOOD, &[0; 32]).unwrap();
    let json = serde_json::to_string(&consent.terms).unwrap();
    assert!(!json.contains("duty") && !json.contains("contract"), "{json}");
    assert_eq!(consent.terms.scopes[&Scope::Performance], ScopeTerms { every_s: 300, except: vec![8, 20, 21, 22], include: Vec::new() });
    assert_eq!(consent.terms.quiet, [Window { days: vec![1, 2, 3, 4, 5], from_min: 510, to_min: 720 }]);
    assert_eq!((consent.terms.utc_offset_s, consent.terms.check()), (32_400, Ok(())));
    assert_ne!(parse("c.toml", GOOD, &[1; 32]).unwrap().terms.approval_hash, consent.terms.approval_hash);
}

#[test]
fn every_mistake_is_named_with_its_mend() {
    check(
        "performance =",
        "hardware = { include = [\"drive.serial\"] }\nperformance =",
        "scopes.hardware.include: `drive.serial` is no field of this scope that must be named to leave; such are: drive.serial_number",
    );
    check(
        "performance = {",
        "performance = { include = [\"drive.serial_number\"],",
        "scopes.performance.include: `drive.serial_number` is no field of this scope",
    );
    check("version = 1", "version = 2", "version 1");
    check("2026-01-01T00:00:00+09:00", "yesterday", "valid_from");
    check("2027-01-01", "2025-01-01", "behind valid_from");
    check("heartbeat", "hartbeat", "did you mean `heartbeat`");
    check("cpu.steal_ms", "cpu.stael_ms", "did you mean `cpu.steal_ms`");
    check("cpu.steal_ms", "network", "no field of this scope");
    check("Administrator on duty", " ", "approver");
    check("every = \"5m\"", "every = \"often\"", "every");
    check("every = \"5m\"", "every = \"10000000000000000000s\"", "every");
    check("every = \"5m\"", "every = \"2d\"", "from 5s to 1d");
    check("version = 1", "version = 1\nmode = \"periodic\"", "[[period]]");
    check("[[quiet]]", "[[period]]", "mode = \"periodic\"");
    check("version = 1", "version = 1\nmode = \"sometimes\"", "sometimes");
    check("version = 1", "version = 1\nutc_offset = \"JST\"", "utc_offset");
    check("version = 1", "version = 1\nunsent = \"keep\"", "withdrawn = true");
    check("mon-fri", "mon-fry", "no day");
    check("12:00", "08:00", "two windows");
    check("reason =", "raeson =", "raeson");
    check("[scopes]", "[scoops]", "scoops");
    let many = "[[quiet]]\ndays = \"mon\"\nfrom = \"08:30\"\nto = \"12:00\"\n".repeat(40);
    check("[scopes]", &format!("{many}[scopes]"), "at most 32");
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_its_line_in_plain_words() {
    check("heartbeat = { every = \"60s\" }", "heartbeat = 1", "c.toml:12: invalid type: integer `1`, expected braces, such as { every = \"60s\" } or { }");
    check("days = \"mon-fri\"", "days = 5", "c.toml:8: invalid type: integer `5`, expected a string");
    check("reason = \"maintenance contract\"", "reason = maintenance", "c.toml:4: ");
}

#[test]
fn a_consent_counts_in_its_time_until_it_is_taken_back() {
    let consent = parse("c.toml", GOOD, &[0; 32]).unwrap();
    let (from_ms, to_ms) = (consent.terms.valid_from_ms, consent.terms.valid_to_ms);
    let at = |now_ms: i64| consent.in_force(GOOD, None, now_ms);
    assert_eq!((at(from_ms - 1), at(from_ms)), (Err(Lapse::NotYet(from_ms)), Ok(())));
    assert_eq!((at(to_ms - 1), at(to_ms)), (Ok(()), Err(Lapse::Expired(to_ms))));
    for keep in [false, true] {
        let own = ConsentFile { withdrawn_keeping: Some(keep), ..consent.clone() };
        assert_eq!(own.in_force(GOOD, None, to_ms), Err(Lapse::Withdrawn { keep }), "taken back comes before its end");
        // A withdrawal that was cut off before the file says so itself.
        let of = Some(crate::sign::sha256(GOOD.as_bytes()));
        let mark = if keep { Mark { keeping: of, ..Mark::default() } } else { Mark { purging: of, ..Mark::default() } };
        assert_eq!(Mark::parse("m.toml", &mark.text()), Ok(mark.clone()));
        assert_eq!(consent.in_force(GOOD, Some(&mark), from_ms), Err(Lapse::Withdrawn { keep }));
        assert_eq!(consent.in_force(&format!("{GOOD}#"), Some(&mark), from_ms), Ok(()), "another text is another consent");
    }
    let acted = Mark { purged_at_ms: Some(1), ..Mark::default() };
    assert_eq!(consent.in_force(GOOD, Some(&acted), from_ms), Ok(()), "an older withdrawal takes back nothing newer");
}

proptest! {
    #[test]
    fn any_text_is_taken(text in "(?s).*", at in 0_usize..400, with in "(?s).{0,3}", now_ms: i64) {
        let at = (0..=at.min(GOOD.len())).rev().find(|at| GOOD.is_char_boundary(*at)).unwrap_or(0);
        let near = format!("{}{with}{}", &GOOD[..at], &GOOD[at..]);
        for text in [&text, &near] {
            if let Ok(consent) = parse("c.toml", text, &[0; 32]) {
                prop_assert!(consent.terms.check().is_ok());
                prop_assert_eq!(consent.in_force(text, None, now_ms).is_ok(), consent.withdrawn_keeping.is_none() && consent.terms.covers(now_ms));
            }
            prop_assert!(Mark::parse("m.toml", text).map_or(true, |mark| mark.takes_back(text).is_none()));
            prop_assert!(asked_until(text, now_ms).map_or(true, |until| until.is_none_or(|until| until > now_ms)));
        }
    }
}
