//! Symantec Endpoint Protection: what `sav info` of Linux prints (`-d`, `-p`, `-a`), the same as sections of a well-known script
//! of monitoring, and `definfo.dat` of Windows. A pattern is named by its day and the revision of that day.

use crate::antivirus::{self, AntivirusRecord};
use crate::verdict::Verdict;
use crate::when::{Order, When};
use crate::{Outcome, Unreadable, complaint, text};

const SUCH_AS: &str = "05/15/2026 rev. 1";
const QUARANTINE: &str = "<<<symantec_av_quarantine";
/// Symantec writes dates as its country does, where Windows' language does not decide.
const ORDER: Order = Order::MonthFirst;

/// Reads the output.
///
/// # Errors
/// When it is empty or something else.
pub fn parse(input: &str) -> Result<AntivirusRecord, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let mut record = AntivirusRecord { product: "Symantec Endpoint Protection".to_owned(), ..AntivirusRecord::default() };
    let (mut quarantine, mut known) = (false, false);
    for line in input.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("<<<") {
            quarantine = line.starts_with(QUARANTINE);
            known |= line.starts_with("<<<symantec_av");
            if quarantine {
                record.quarantined = record.quarantined.or(Some(0));
            }
        } else if quarantine {
            // Paths of files: counted, not kept.
            record.quarantined = record.quarantined.map(|count| count.saturating_add(1));
        } else if !line.starts_with("LastDefs=") {
            // A label may stand before it.
            known |= tell(&mut record, line) || line.split_once([':', '=']).is_some_and(|(_, value)| tell(&mut record, value.trim()));
        }
    }
    if known { Ok(record) } else { Err(Unreadable::Foreign { line: first + 1, such_as: SUCH_AS }) }
}

/// Takes over what a line tells; whether it tells anything.
fn tell(record: &mut AntivirusRecord, line: &str) -> bool {
    if let Some((day, revision)) = pattern(line) {
        record.pattern_version = Some(revision);
        record.pattern_published_at = day;
        return true;
    }
    match line.to_ascii_lowercase().as_str() {
        "enabled" => record.realtime = Some(true),
        "disabled" | "malfunctioning" | "not loaded" | "failed to load" => record.realtime = Some(false),
        _ => {
            // `14.3.558.0000` and `12.1.6 (12.1.6168.6000)`.
            let version = line.split_once(" (").map_or(line, |(_, inner)| inner.trim_end_matches(')'));
            let numbers = version.split('.').filter(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).count();
            if numbers != 4 || version.split('.').count() != 4 {
                return false;
            }
            record.product_version = antivirus::version(version);
        }
    }
    true
}

/// `05/15/2026 rev. 1`, `15.05.2026 rev. 1`, `20260515.001`.
fn pattern(line: &str) -> Option<(Option<When>, String)> {
    if let Some((day, revision)) = line.split_once(" rev.") {
        let revision_is = !revision.trim().is_empty() && text::whole(revision.trim()).is_some();
        let day_is = day.bytes().all(|b| b.is_ascii_digit() || b"./-".contains(&b)) && day.bytes().any(|b| b.is_ascii_digit());
        return (revision_is && day_is).then(|| (When::read(day, ORDER), text::hardware(line)));
    }
    let (day, revision) = line.split_once('.')?;
    let digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    (digits(day, 8) && digits(revision, 3)).then(|| (When::read(day, ORDER), text::hardware(line)))
}

const TOOL: &[&str] = &["sav", "symantec", "sudo:"];
const COMPLAINTS: &[(&str, &str)] = &[
    ("unable to connect to rtvscand", "not_running"),
    ("rtvscand is not running", "not_running"),
    ("is not running", "not_running"),
    ("waiting for update", "not_found"),
    ("not available", "not_found"),
];

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let record = match parse(input) {
        Ok(record) => record,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    record.judge(at_ms, &mut verdict);
    let mut outcome = verdict.outcome(format!("pattern {}", record.pattern_version.as_deref().unwrap_or_default()));
    record.tell(&mut outcome);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use mimamori_shared::time;
    use proptest::prelude::*;

    #[test]
    fn every_way_to_name_a_pattern_is_read() {
        for (line, version) in [
            ("15.05.2026 rev. 1", "15.05.2026 rev. 1"),
            ("05/15/2026 rev. 1", "05/15/2026 rev. 1"),
            ("05/15/26 rev. 1", "05/15/26 rev. 1"),
            ("2026/05/15 rev. 1", "2026/05/15 rev. 1"),
            ("20260515.001", "20260515.001"),
            ("[DefDates]\nCurDefs=20260515.001\nLastDefs=20260514.018", "20260515.001"),
            ("<<<symantec_av_updates>>>\n15.05.2026 rev. 1", "15.05.2026 rev. 1"),
            ("Definitions: 05/15/2026 rev. 1", "05/15/2026 rev. 1"),
        ] {
            let outcome = outcome(line, None).unwrap();
            let record = &outcome.records[0];
            assert_eq!(
                (outcome.status, &record["pattern_version"], &record["pattern_published_at"]),
                (Status::Ok, &version.into(), &"2026-05-15".into()),
                "{line}"
            );
            assert_eq!((&record["realtime"], &record["engine"]), (&().into(), &().into()));
            assert_eq!(outcome.source_fresh_at, Some(time::parse("2026-05-14T10:00:00Z").unwrap()));
        }
        let at = |at| outcome("05/15/2026 rev. 1", Some(time::parse(at).unwrap())).unwrap().status;
        assert_eq!((at("2026-05-20T00:00:00Z"), at("2026-06-20T00:00:00Z")), (Status::Ok, Status::Bad));
        // Both numbers could be the month: Symantec puts it first.
        assert_eq!(parse("05/06/2026 rev. 3").unwrap().pattern_published_at.unwrap().shown(), "2026-05-06");
        let nonsense = outcome("45/45/2026 rev. 3", None).unwrap();
        assert_eq!((nonsense.status, &nonsense.records[0]["pattern_published_at"]), (Status::Unknown, &().into()));
    }

    #[test]
    fn sections_are_read_together() {
        let sections =
            "<<<symantec_av_updates>>>\n05/15/2026 rev. 1\n<<<symantec_av_progstate>>>\nEnabled\n<<<symantec_av_quarantine>>>\n/home/yamada/a.exe\n/b\n";
        let outcome = outcome(sections, None).unwrap();
        let record = &outcome.records[0];
        assert_eq!((outcome.status, &record["realtime"], &record["quarantined"]), (Status::Ok, &true.into(), &2.into()));
        assert!(!serde_json::to_string(&outcome).unwrap().contains("yamada"));
        let off = super::outcome("<<<symantec_av_progstate>>>\nDisabled\n", None).unwrap();
        assert_eq!((off.status, &off.records[0]["realtime"]), (Status::Bad, &false.into()));
        let alone = super::outcome("Enabled\n", None).unwrap();
        assert_eq!(alone.status, Status::Unknown, "the pattern is not told");
        assert_eq!(parse("<<<symantec_av_quarantine>>>\n").unwrap().quarantined, Some(0));
        assert_eq!(parse("12.1.6 (12.1.6168.6000)\n").unwrap().product_version.as_deref(), Some("12.1.6168.6000"));
    }

    #[test]
    fn another_format_is_refused_and_what_the_tool_says_is_unknown() {
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        for foreign in ["15.05.2026\n", "rev. 1\n", "a rev. 1\n", "{}", "1.2.3\n", "MemTotal: 1 kB\n", "<<<df>>>\n"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
        for (said, code) in [("bash: sav: command not found\n", "not_found"), ("Symantec AntiVirus rtvscand is not running\n", "not_running")] {
            let outcome = outcome(said, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "((<<<symantec_av_.*|[0-9./-]{0,12} rev. [0-9]{0,20}|CurDefs=[0-9.]{0,14}|Enabled|.*)\n){0,8}") {
            if let Ok(outcome) = outcome(&input, Some(1_795_824_000_000)) {
                prop_assert!(outcome.records.len() == 1);
            }
        }
    }
}
