//! A pattern file of ClamAV (`daily.cvd`, `daily.cld`, `main.cvd`, `bytecode.cvd`), whole or its first 512 bytes: a header of
//! text, filled up with spaces, and behind it the signatures as a packed or plain archive (ClamAV's `libclamav/cvd.c`).
//!
//! The header does not say which of the files it is; only `daily` is renewed daily.

use crate::antivirus::{self, AntivirusRecord};
use crate::verdict::Verdict;
use crate::when::{Order, When};
use crate::{Outcome, Unreadable, text};

/// The header's length, in bytes.
const HEADER: usize = 512;
const MAGIC: &[u8] = b"ClamAV-VDB:";
/// Where a plain archive bears its name (POSIX `ustar`), from the beginning of the file.
const USTAR: std::ops::Range<usize> = HEADER + 257..HEADER + 262;
const SUCH_AS: &str = "ClamAV-VDB:22 Jun 2021 16-55 -0400:5:13:81:…";

/// What the header holds. Who built the file is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// The record.
    pub record: AntivirusRecord,
    /// Lowest engine that reads all of it (ClamAV calls it functionality level).
    pub functionality_level: Option<i64>,
    /// What is wrong with the file.
    pub damage: Option<&'static str>,
}

/// Reads the header, and looks whether an archive is behind it.
///
/// # Errors
/// When it is empty or no pattern file.
pub fn parse(bytes: &[u8]) -> Result<Database, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    if !bytes.starts_with(MAGIC) {
        return Err(Unreadable::Foreign { line: 1, such_as: SUCH_AS });
    }
    let (header, body) = bytes.split_at(bytes.len().min(HEADER));
    let mut database = Database { record: AntivirusRecord { product: "ClamAV".to_owned(), ..AntivirusRecord::default() }, ..Database::default() };
    // Header: magic, time of building, version, signatures, functionality level, MD5, signature, builder, seconds since 1970.
    let header = text::decode(header);
    let fields: Vec<&str> = header.trim_end_matches(['\0', ' ', '\n']).split(':').collect();
    let number = |at: usize| fields.get(at).filter(|field| !field.is_empty()).and_then(|field| text::whole(field));
    let record = &mut database.record;
    record.pattern_version = number(2).and_then(|version| antivirus::version(&version.to_string()));
    record.signatures = number(3);
    database.functionality_level = number(4);
    let built = fields.get(1).and_then(|built| When::read(&built.replacen('-', ":", 1), Order::Unknown));
    // Old files have no seconds; those that have them have both, and the seconds are exact.
    record.pattern_published_at = number(8).and_then(|seconds| When::utc(seconds.saturating_mul(1000))).or(built);
    let whole = record.pattern_version.is_some() && record.signatures.is_some() && database.functionality_level.is_some();
    let packed = body.starts_with(&[0x1f, 0x8b]);
    database.damage = if !whole || record.pattern_published_at.is_none() {
        Some("the header is damaged")
    } else if bytes.len() < HEADER {
        Some("the file ends within its header")
    } else if !body.is_empty() && !packed && bytes.get(USTAR) != Some(b"ustar") {
        Some("no signatures are behind the header")
    } else {
        None
    };
    Ok(database)
}

/// How the file reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(bytes: &[u8], at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let database = parse(bytes)?;
    let mut verdict = Verdict::default();
    if let Some(damage) = database.damage {
        verdict.bad(damage);
    }
    database.record.judge(at_ms, &mut verdict);
    if verdict.is_bad() && database.damage.is_none() {
        verdict.note("of ClamAV's files only daily is renewed daily");
    }
    let version = database.record.pattern_version.as_deref().unwrap_or_default();
    let mut outcome = verdict.outcome(format!("version {version} of {} signatures", database.record.signatures.unwrap_or_default()));
    outcome.reading("pattern_signatures", &[], database.record.signatures.map(text::float), "count");
    outcome.reading("pattern_functionality_level", &[], database.functionality_level.map(text::float), "number");
    database.record.tell(&mut outcome);
    if let Some(damage) = database.damage {
        outcome.fault("malformed", damage);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use mimamori_shared::time;
    use proptest::prelude::*;

    fn file(fields: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = fields.as_bytes().to_vec();
        bytes.resize(HEADER, b' ');
        bytes.extend_from_slice(body);
        bytes
    }

    const FIELDS: &str = "ClamAV-VDB:05 Nov 2026 07-37 +0900:27811:2076041:90:0123456789abcdef0123456789abcdef:c2lnbmF0dXJl:somebody:1793831820";

    #[test]
    fn a_header_is_read_with_and_without_what_is_behind_it() {
        let mut plain = vec![b'x'; 600];
        plain[257..262].copy_from_slice(b"ustar");
        for body in [&b""[..], &[0x1f, 0x8b, 8, 0], &plain] {
            let outcome = outcome(&file(FIELDS, body), None).unwrap();
            assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Ok, "version 27811 of 2076041 signatures"));
            let record = &outcome.records[0];
            assert_eq!((&record["product"], &record["pattern_version"]), (&"ClamAV".into(), &"27811".into()));
            assert_eq!((&record["pattern_published_at"], &record["realtime"], &record["engine"]), (&"2026-11-04T22:37:00Z".into(), &().into(), &().into()));
            assert_eq!(outcome.source_fresh_at, Some(1_793_831_820_000));
            assert!(!serde_json::to_string(&outcome).unwrap().contains("somebody"));
        }
        let old = "ClamAV-VDB:16 Sep 2021 08-32 -0400:62:6647427:90:0123456789abcdef0123456789abcdef:c2ln:somebody";
        assert_eq!(parse(&file(old, b"")).unwrap().record.pattern_published_at.unwrap().shown(), "2021-09-16T12:32:00Z");
    }

    #[test]
    fn an_old_pattern_is_bad_by_the_moment_that_is_given() {
        let at = |at| outcome(&file(FIELDS, b""), Some(time::parse(at).unwrap())).unwrap();
        assert_eq!(at("2026-11-10T00:00:00Z").status, Status::Ok);
        let old = at("2026-12-05T00:00:00Z");
        assert_eq!((old.status, old.reason.as_str()), (Status::Bad, "the pattern is 30 days old; of ClamAV's files only daily is renewed daily"));
        assert_eq!(at("2026-10-05T00:00:00Z").status, Status::Unknown);
    }

    #[test]
    fn a_damaged_file_is_bad() {
        for bytes in [
            file("ClamAV-VDB:garbage", b""),
            file("ClamAV-VDB:05 Nov 2026 07-37 +0900:x:2076041:90:0:s:b:1793831820", b""),
            file("ClamAV-VDB:01 Jan 1970 00-00 +0000:27811:2076041:90:0:s:b:0", b""),
            file(FIELDS, b"<html>"),
            FIELDS.as_bytes().to_vec(),
            FIELDS.as_bytes()[..40].to_vec(),
        ] {
            let outcome = outcome(&bytes, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Bad, "malformed"), "{}", outcome.reason);
        }
    }

    #[test]
    fn another_format_is_refused() {
        assert_eq!(parse(b""), Err(Unreadable::Empty));
        for foreign in [&b"ClamAV-Diff:2:479:"[..], b"#clamsign-1.0\n", &[0x1f, 0x8b, 8, 0], b"{}"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(head in "(ClamAV-VDB:)?([0-9A-Za-z +-]{0,24}:){0,9}.*", tail: Vec<u8>, length in 0_usize..1200) {
            let mut bytes = head.into_bytes();
            bytes.resize(bytes.len().max(length), b' ');
            bytes.extend(tail);
            if let Ok(outcome) = outcome(&bytes, Some(1_795_824_000_000)) {
                prop_assert!(outcome.records.len() == 1);
            }
        }
    }
}
