use super::*;
use mimamori_parse::backup_runs::{self, Runs, Size};
use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn sh(set: &str, target: Option<&Path>, script: &str) -> Job {
    Job { set: set.to_owned(), target: target.map(Path::to_owned), command: ["/bin/sh", "-c", script].map(OsString::from).to_vec() }
}

/// Runs it; gives how it ended and what was complained of.
fn ran(job: &Job, folder: &Path) -> (Ended, Vec<String>) {
    let said = RefCell::new(Vec::new());
    let ended = run(job, folder, &|why| said.borrow_mut().push(why.to_owned()));
    (ended, said.into_inner())
}

fn left(folder: &Path, set: &str) -> Runs {
    backup_runs::read(&fs::read(folder.join(format!("{set}.json"))).unwrap()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_jobs_end_is_its_own_and_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    for (script, ended, outcome) in [
        ("exit 0", Ended::Status(0), (End::Exited, Some(0), None)),
        ("exit 37", Ended::Status(37), (End::Exited, Some(37), None)),
        ("exit 255", Ended::Status(255), (End::Exited, Some(255), None)),
        ("kill -KILL $$", Ended::Signal(9), (End::Signalled, None, Some(9))),
        ("kill -TERM $$", Ended::Signal(15), (End::Signalled, None, Some(15))),
    ] {
        let before = clock::now().wall_ms;
        assert_eq!(ran(&sh("db", None, script), folder.path()), (ended, vec![]), "{script}");
        let runs = left(folder.path(), "db");
        let run = runs.runs.last().unwrap();
        assert_eq!((run.outcome, run.exit, run.signal), outcome, "{script}");
        assert!(runs.running.is_empty() && (run.before, run.after) == (None, None), "{script}");
        assert!(before <= run.started_at_ms && run.started_at_ms <= run.ended_at_ms.unwrap(), "{script}");
    }
    assert_eq!(left(folder.path(), "db").runs.len(), 5);
    assert_eq!(names(folder.path()), [".db.lock", "db.json"], "no room stays set aside");
    let mode = fs::metadata(folder.path().join("db.json")).unwrap().permissions().mode() & 0o022;
    assert_eq!(mode, 0, "nobody else writes it");
}

#[test]
fn a_job_that_is_not_there_or_may_not_be_run_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let no_program = folder.path().join("no-program");
    fs::write(&no_program, "x").unwrap();
    for (program, status) in [(Path::new("/nowhere/at/all"), 127), (no_program.as_path(), 126)] {
        let job = Job { set: "db".to_owned(), target: None, command: vec![program.into()] };
        let (ended, said) = ran(&job, folder.path());
        assert!(ended == Ended::NotStarted(status) && said.len() == 1 && said[0].starts_with(&program.display().to_string()), "{said:?}");
        let run = left(folder.path(), "db").runs.pop().unwrap();
        assert_eq!((run.outcome, run.exit, run.signal), (End::NotStarted, None, None));
    }
}

#[test]
fn what_the_target_holds_is_counted_before_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    fs::create_dir_all(target.join("below")).unwrap();
    fs::write(target.join("below/old"), "12345").unwrap();
    let job = sh("db", Some(&target), &format!("echo 678 > {}/new", target.display()));
    assert_eq!(ran(&job, folder.path()).0, Ended::Status(0));
    let run = left(folder.path(), "db").runs.pop().unwrap();
    let counted = |size: Option<Size>| size.map(|size| (size.bytes, size.files, size.whole));
    assert_eq!((counted(run.before), counted(run.after), run.changed()), (Some((5, 1, true)), Some((9, 2, true)), Some(true)));
    assert!(run.after.unwrap().newest_ms >= run.started_at_ms - 1000);
    assert_eq!(ran(&sh("db", Some(&target), "true"), folder.path()).0, Ended::Status(0));
    assert_eq!(left(folder.path(), "db").runs.pop().unwrap().changed(), Some(false), "it succeeded and wrote nothing");
    ran(&sh("db", Some(&folder.path().join("not-there")), "true"), folder.path());
    assert_eq!(left(folder.path(), "db").runs.pop().unwrap().after, None, "not known is not 0");
}

#[test]
fn links_are_counted_and_not_followed_and_a_part_is_said_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    symlink("/", folder.path().join("root")).unwrap();
    symlink(folder.path(), folder.path().join("loop")).unwrap();
    let size = measured(folder.path(), LOOK).unwrap();
    assert!(size.files == 2 && size.whole, "{size:?}");
    fs::write(folder.path().join("file"), "1234").unwrap();
    assert_eq!(measured(&folder.path().join("file"), LOOK).map(|size| (size.bytes, size.files)), Some((4, 1)));
    assert!(!measured(folder.path(), Duration::ZERO).unwrap().whole, "there was no time");
    let deep = (0..70).fold(folder.path().join("deep"), |path, _| path.join("d"));
    fs::create_dir_all(deep).unwrap();
    assert!(!measured(folder.path(), LOOK).unwrap().whole);
    assert_eq!(measured(&folder.path().join("none"), LOOK), None);
}

#[test]
fn nothing_that_is_wrong_with_the_record_keeps_a_job_from_running() {
    let folder = tempfile::tempdir().unwrap();
    let ran_file = folder.path().join("ran");
    let script = format!("echo x >> {}; exit 3", ran_file.display());
    let not_a_folder = folder.path().join("file");
    fs::write(&not_a_folder, "").unwrap();
    let held = folder.path().join("held");
    fs::create_dir_all(held.join(".db.lock")).unwrap();
    for (set, records, word) in [
        ("db", Path::new("/nowhere/at/all"), "install -d"),
        ("db", &not_a_folder, "is no folder"),
        ("Patient Data", folder.path(), "alias"),
        ("db", &held, ".db.lock"),
    ] {
        let (ended, said) = ran(&sh(set, None, &script), records);
        assert!(ended == Ended::Status(3) && said.iter().any(|why| why.contains(word)), "{word}: {said:?}");
    }
    assert_eq!(fs::read_to_string(&ran_file).unwrap().lines().count(), 4);
}

#[test]
fn a_record_that_cannot_be_used_is_set_aside_and_a_new_one_begun() {
    let folder = tempfile::tempdir().unwrap();
    let other = serde_json::to_string(&Runs::new(Word::alias("other").unwrap())).unwrap();
    for text in ["", "nonsense", "{\"schema\":\"x\"}", &other, &"x".repeat(70_000)] {
        fs::write(folder.path().join("db.json"), text).unwrap();
        assert_eq!(ran(&sh("db", None, "true"), folder.path()), (Ended::Status(0), vec![]), "{text:.20}");
        assert_eq!(left(folder.path(), "db").runs.len(), 1);
        assert_eq!(fs::read_to_string(folder.path().join("db.json.bad")).unwrap(), text);
    }
}

#[test]
fn a_pipe_or_a_folder_in_the_records_place_is_set_aside_and_a_disk_that_hangs_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (path, aside) = (folder.path().join("db.json"), folder.path().join("db.json.bad"));
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0).unwrap();
    assert_eq!(ran(&sh("db", None, "true"), folder.path()), (Ended::Status(0), vec![]));
    assert!(left(folder.path(), "db").runs.len() == 1 && !fs::metadata(&aside).unwrap().is_file());
    fs::remove_file(&aside).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(ran(&sh("db", None, "true"), folder.path()), (Ended::Status(0), vec![]));
    assert!(left(folder.path(), "db").runs.len() == 1 && aside.is_dir());
    let (_tell, told) = mpsc::channel::<()>();
    let hung = within(Duration::from_millis(20), move || told.recv().map_err(|fault| fault.to_string()));
    assert!(hung.unwrap_err().contains("no answer from the disk"));
}

#[test]
fn a_job_whose_wrapper_was_ended_is_told_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut begun = begin("db", None, folder.path()).unwrap();
    assert_eq!(left(folder.path(), "db").running, [begun.running.clone()]);
    assert_eq!(fs::metadata(folder.path().join(format!(".db.{}.spare", begun.running.id))).unwrap().len(), 65_536);
    // While it lives another of the same set stands beside it.
    assert_eq!(ran(&sh("db", None, "true"), folder.path()), (Ended::Status(0), vec![]));
    assert_eq!((left(folder.path(), "db").running.len(), left(folder.path(), "db").runs.len()), (1, 1));
    // Its number belongs to another process now.
    let mut runs = left(folder.path(), "db");
    runs.running[0].pid_ticks += 1;
    begun.running.pid_ticks += 1;
    fs::write(folder.path().join("db.json"), serde_json::to_vec(&runs).unwrap()).unwrap();
    assert_eq!(ran(&sh("db", None, "true"), folder.path()).0, Ended::Status(0));
    let runs = left(folder.path(), "db");
    let unseen = runs.runs.iter().find(|run| run.id == begun.running.id).unwrap();
    assert_eq!((unseen.outcome, unseen.ended_at_ms, runs.running.len(), runs.runs.len()), (End::Unseen, None, 0, 3));
    assert_eq!(names(folder.path()), [".db.lock", "db.json"]);
}

#[test]
fn at_most_eight_of_a_set_are_written_down_and_the_ninth_runs() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..8 {
        begin("db", None, folder.path()).unwrap();
    }
    let (ended, said) = ran(&sh("db", None, "exit 4"), folder.path());
    assert!(ended == Ended::Status(4) && said.len() == 1 && said[0].contains("8 jobs"), "{said:?}");
    assert_eq!(left(folder.path(), "db").running.len(), 8);
}

#[test]
fn ticks_are_read_behind_any_name() {
    let host =
        crate::probe::tests::recorded(&[("proc/7/stat", "7 (a) b) c) S 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 12345 99 1"), ("proc/8/stat", "8 (x) S 1")]);
    assert_eq!((record::ticks(&host, 7), record::ticks(&host, 8), record::ticks(&host, 9)), (Some(12345), None, None));
    assert!(record::ticks(&Host::live(), std::process::id()).is_some());
}
