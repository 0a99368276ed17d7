//! Reading beside an agent that is just making its outbox.

use super::*;
use crate::outbox::schema;
use rusqlite::Connection;

/// What each of those who only read finds: whether there is a ledger, or in which words there is none.
fn found(dir: &Path) -> Vec<Result<bool, String>> {
    let said = |fault: OutboxError| mimamori_shared::error::chain(&fault);
    let whole = |ledger: Ledger| ledger.queue().and_then(|_| ledger.chains()).map(|_| true);
    vec![
        Ledger::open(dir).and_then(|ledger| ledger.map_or(Ok(false), whole)).map_err(said),
        Outbox::peek(dir).map(|restored| !restored.chains.is_empty()).map_err(said),
        noted(dir).map(|noted| !noted.is_empty()).map_err(said),
    ]
}

#[test]
fn a_file_that_is_being_made_is_none_yet_and_half_a_file_is_damaged() {
    let dir = folder();
    let path = dir.path().join(FILE);
    let none = vec![Ok(false), Ok(false), Ok(false)];
    assert_eq!(found(dir.path()), none, "no file");
    std::fs::write(&path, b"").unwrap();
    assert_eq!(found(dir.path()), none, "an empty file");
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    assert_eq!(found(dir.path()), none, "a file without tables");
    let damaged = vec![Err("the outbox file is damaged".to_owned()); 3];
    db.execute_batch("CREATE TABLE chain (no INTEGER PRIMARY KEY)").unwrap();
    assert_eq!(found(dir.path()), damaged, "tables are missing");
    drop(db);
    std::fs::write(&path, vec![0x5a; 20_000]).unwrap();
    assert_eq!(found(dir.path()), damaged, "no database at all");
    std::fs::remove_file(&path).unwrap();
    let (outbox, ..) = open(dir.path());
    assert_eq!(found(dir.path()), vec![Ok(true), Ok(false), Ok(false)], "made, and nothing in it");
    drop(outbox);
}

#[test]
fn what_is_gone_is_not_taken_for_what_was_never_there() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    writer.samples(&mut outbox, 1);
    drop(outbox);
    std::fs::write(dir.path().join(FILE), b"").unwrap();
    assert!(matches!(Ledger::open(dir.path()), Err(OutboxError::Damaged)), "the tip file knows of entries");
}

#[test]
fn whoever_reads_in_the_instant_of_the_first_start_meets_no_half_file() {
    for _ in 0..60 {
        let dir = folder();
        std::thread::scope(|scope| {
            let making = scope.spawn(|| schema::open(&dir.path().join(FILE)).unwrap());
            let mut looks = 0;
            while looks < 3 || !making.is_finished() {
                looks += 1;
                assert!(found(dir.path()).iter().all(Result::is_ok), "{:?}", found(dir.path()));
            }
        });
    }
}
