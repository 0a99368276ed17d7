use super::*;
use mimamori_shared::consent::{ConsentMode, ScopeTerms, Window};
use mimamori_shared::fields::Scope;

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

#[test]
fn only_its_time_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("consent.toml");
    assert!(matches!(load(&path, &[0; 32], 0, true), Err(NoConsent::Missing(_))));
    fs::write(&path, GOOD.replace("version = 1", "version = 1\nexample = true")).unwrap();
    let at = |text: &str| load(&path, &[0; 32], time::parse(text).unwrap(), true);
    assert!(matches!(at("2025-12-31T23:59:59+09:00"), Err(NoConsent::NotYet(_))));
    assert!(at("2026-01-01T00:00:00+09:00").is_ok());
    assert!(matches!(at("2027-01-01T00:00:00+09:00"), Err(NoConsent::Expired(_))));
}

#[test]
fn what_the_agent_could_have_written_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("consent.toml");
    fs::write(&path, GOOD).unwrap();
    let now = time::parse("2026-06-01T00:00:00Z").unwrap();
    assert!(matches!(load(&path, &[0; 32], now, true), Err(NoConsent::NotProven { .. })));
    fs::write(&path, GOOD.replace("version = 1", "version = 1\nexample = true")).unwrap();
    assert!(load(&path, &[0; 32], now, true).is_ok());
    assert!(matches!(load(&path, &[0; 32], now, false), Err(NoConsent::NotProven { .. })));
}

#[test]
fn a_withdrawal_keeps_the_record_and_says_what_becomes_of_the_unsent() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("consent.toml");
    let now = time::parse("2026-06-01T00:00:00Z").unwrap();
    let given = GOOD.replace("version = 1", "version = 1\nexample = true");
    for keep in [true, false, true] {
        let text = withdrawn(&fs::read_to_string(&path).unwrap_or(given.clone()), keep);
        put(&path, &text).unwrap();
        assert_eq!(parse("c.toml", &text, &[0; 32]).unwrap().approver, "Administrator on duty");
        let Err(NoConsent::Withdrawn { keep: kept, .. }) = load(&path, &[0; 32], now, true) else { panic!("{text}") };
        assert_eq!((kept, text.matches("withdrawn =").count()), (keep, 1));
    }
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn what_a_grant_writes_is_read_as_it_was_said() {
    let window = |line: &str| Window::parse_line(line).unwrap();
    let grant = Grant {
        approver: "情報システム室 \"責任者\" \\ ".to_owned(),
        reason: "Vertrag №1".to_owned(),
        from_ms: 0,
        to_ms: 86_400_000,
        mode: ConsentMode::Periodic,
        utc_offset_s: -12_600,
        period: vec![window("sat,sun 22:00-24:00"), window("mon 00:00-06:00")],
        quiet: vec![window("mon-fri 08:30-12:00")],
        scopes: vec![
            GrantedScope { name: "heartbeat".to_owned(), ..GrantedScope::default() },
            GrantedScope { name: "performance".to_owned(), every: Some("5m".to_owned()), except: vec!["load".to_owned()], include: vec![] },
            GrantedScope { name: "hardware".to_owned(), every: None, except: vec![], include: vec!["drive.serial_number".to_owned()] },
        ],
        example: true,
    };
    let read = parse("c.toml", &text(&grant), &[0; 32]).unwrap();
    assert_eq!((read.approver, read.reason), (grant.approver, grant.reason));
    assert_eq!((read.terms.windows, read.terms.quiet, read.terms.mode), (grant.period, grant.quiet, grant.mode));
    assert_eq!((read.terms.valid_from_ms, read.terms.valid_to_ms, read.terms.utc_offset_s, read.terms.example), (0, 86_400_000, -12_600, true));
    assert_eq!(read.terms.scopes[&Scope::Hardware].include, [271]);
    assert_eq!(read.terms.scopes[&Scope::Performance], ScopeTerms { every_s: 300, except: vec![20, 21, 22], include: Vec::new() });
}

#[test]
fn a_request_counts_in_its_time_at_most_a_day_and_only_if_proven() {
    let dir = tempfile::tempdir().unwrap();
    let consent = dir.path().join("consent.toml");
    assert_eq!(asked_until(&consent, true, 5_000), Ok(None));
    fs::write(request_path(&consent), request_text(1_000, 10_000)).unwrap();
    let at = |now_ms: i64| asked_until(&consent, true, now_ms);
    assert_eq!((at(999), at(1_000), at(9_999), at(10_000)), (Ok(None), Ok(Some(10_000)), Ok(Some(10_000)), Ok(None)));
    assert!(asked_until(&consent, false, 5_000).unwrap_err().contains("proves nothing"));
    fs::write(request_path(&consent), request_text(0, 86_401_000)).unwrap();
    assert!(at(5_000).unwrap_err().contains("longer than a day"));
    fs::write(request_path(&consent), "for = \"1h\"").unwrap();
    assert!(at(5_000).unwrap_err().contains("collect --for 1h"));
}
