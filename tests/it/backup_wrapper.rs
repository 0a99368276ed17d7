//! `mimamori-agent backup run` around real jobs: their output, status and signals are theirs, whatever becomes of the record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and what is left out is said"
)]
#![allow(clippy::disallowed_methods, reason = "programs are run")]

use mimamori_parse::backup_runs::{self, End, Runs};
use mimamori_tests::process::{binary, program};
use mimamori_tests::story::{said, signal};
use mimamori_tests::wait_until;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(25);

/// The wrapper around a job of the shell.
fn wrapped(records: &Path, more: &[&str], script: &str) -> Command {
    let mut command = program(&binary("mimamori-agent"));
    command.args(["backup", "run", "--set", "db", "--records"]).arg(records).args(more).args(["--", "/bin/sh", "-c", script]);
    command
}

fn left(records: &Path) -> Runs {
    backup_runs::read(&fs::read(records.join("db.json")).unwrap()).unwrap()
}

fn records() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("records");
    fs::create_dir(&records).unwrap();
    (dir, records)
}

#[test]
fn output_input_status_mask_and_place_of_a_job_are_its_own() {
    let (dir, records) = records();
    let script = "cat; printf '\\000\\377out'; printf 'err\\033[31m' >&2; umask; pwd; echo \"$MARK\"; exit 42";
    let input = dir.path().join("input");
    fs::write(&input, vec![7_u8; 300_000]).unwrap();
    let run = |mut command: Command| command.current_dir(dir.path()).env("MARK", "kept").stdin(fs::File::open(&input).unwrap()).output().unwrap();
    let mut bare = program(Path::new("/bin/sh"));
    bare.args(["-c", script]);
    let (bare, wrapped) = (run(bare), run(wrapped(&records, &[], script)));
    assert!(bare.stdout.len() > 300_000 && wrapped.stdout == bare.stdout, "{}", said(&wrapped));
    assert_eq!((wrapped.stderr, wrapped.status), (bare.stderr, bare.status));
    let run = left(&records).runs.pop().unwrap();
    assert_eq!((run.outcome, run.exit), (End::Exited, Some(42)));
}

#[test]
fn a_job_that_is_killed_ends_the_wrapper_by_the_same_signal() {
    let (_dir, records) = records();
    for (name, number) in [("KILL", 9), ("TERM", 15), ("INT", 2), ("SEGV", 11)] {
        let done = wrapped(&records, &[], &format!("ulimit -c 0; kill -{name} $$")).output().unwrap();
        assert_eq!((done.status.signal(), done.status.code()), (Some(number), None), "{name}: {}", said(&done));
        let run = left(&records).runs.pop().unwrap();
        assert_eq!((run.outcome, run.signal), (End::Signalled, Some(number)), "{name}");
    }
}

#[test]
fn what_asks_the_wrapper_to_stop_reaches_the_job() {
    let (dir, records) = records();
    let (ready, heard) = (dir.path().join("ready"), dir.path().join("heard"));
    for name in ["TERM", "HUP", "USR1"] {
        let script = format!("trap 'echo {name} >{}; exit 5' {name}; : >{}; while :; do sleep 0.05; done", heard.display(), ready.display());
        let mut child = wrapped(&records, &[], &script).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the job is ready", SOON, || ready.try_exists().unwrap());
        assert_eq!(left(&records).running.len(), 1, "while it runs this is seen");
        signal(child.id(), name);
        assert_eq!(child.wait().unwrap().code(), Some(5), "{name}");
        assert_eq!(fs::read_to_string(&heard).unwrap().trim(), name);
        fs::remove_file(&ready).unwrap();
    }
    // nohup: what was ignored before stays ignored in the job.
    let script = "trap '' HUP; exec \"$0\" backup run --set db --records \"$1\" -- /bin/sh -c 'kill -HUP $$; echo survived'";
    let done = program(Path::new("/bin/sh")).args(["-c", script]).arg(binary("mimamori-agent")).arg(&records).output().unwrap();
    assert_eq!((String::from_utf8_lossy(&done.stdout).trim(), done.status.code()), ("survived", Some(0)), "{}", said(&done));
}

#[test]
fn a_job_that_hangs_is_seen_while_it_does_and_outlives_a_wrapper_that_is_killed() {
    let (dir, records) = records();
    let (pid, go) = (dir.path().join("pid"), dir.path().join("go"));
    let script = format!("echo $$ >{0}.new; mv {0}.new {0}; while ! [ -e {1} ]; do sleep 0.05; done; echo done >{1}", pid.display(), go.display());
    let mut child = wrapped(&records, &[], &script).stdin(Stdio::null()).spawn().unwrap();
    wait_until("the job runs", SOON, || pid.try_exists().unwrap());
    let running = left(&records).running.pop().unwrap();
    assert_eq!((running.pid, left(&records).runs.len()), (child.id(), 0));
    signal(child.id(), "KILL");
    child.wait().unwrap();
    assert_eq!(left(&records).running, [running], "a beginning without an end, and its process is gone");
    // The job goes on, and the next one tells what became of the first.
    fs::write(&go, "").unwrap();
    wait_until("the job ends by itself", SOON, || fs::read_to_string(&go).unwrap().trim() == "done");
    assert!(wrapped(&records, &[], "true").status().unwrap().success());
    let outcomes: Vec<End> = left(&records).runs.iter().map(|run| run.outcome).collect();
    assert_eq!((outcomes, left(&records).running.len()), (vec![End::Unseen, End::Exited], 0));
}

#[test]
fn a_job_that_fills_the_disk_is_written_down_all_the_same() {
    let (dir, records) = records();
    let agent = binary("mimamori-agent");
    // Records and target share the disk; the job fills it and fails, as it would by itself.
    let job = "dd if=/dev/zero of=\"$1/fill\" bs=4k 2>/dev/null; df --output=avail \"$1\" | tail -n 1; echo x 2>/dev/null >\"$1/more\"";
    let script = format!(
        "mount -t tmpfs -o size=1m none \"$1\" || exit 91; mkdir \"$1/target\" \"$1/records\"
         \"$2\" backup run --set db --target \"$1/target\" --records \"$1/records\" -- /bin/sh -c '{job}' sh \"$1/target\"
         echo \"status $?\"; cat \"$1/records/db.json\" >\"$3\""
    );
    let copy = dir.path().join("copy.json");
    let mut command = program(Path::new("/usr/bin/unshare"));
    command
        .args(if mimamori_tests::process::is_root(dir.path()) { &["--mount"][..] } else { &["--mount", "--map-root-user"] })
        .args(["/bin/sh", "-c", &script, "sh"])
        .arg(&records)
        .arg(agent)
        .arg(&copy);
    let done = command.output().unwrap();
    if done.status.code() == Some(91) || said(&done).contains("unshare:") {
        println!("no filesystem of one's own can be mounted here ({}): a full disk is not tried", said(&done).trim());
        return;
    }
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    assert!(lines.first() == Some(&"0") && lines.last().is_some_and(|status| status.starts_with("status ") && *status != "status 0"), "{}", said(&done));
    let run = backup_runs::read(&fs::read(&copy).unwrap()).unwrap().runs.pop().unwrap();
    assert!(run.outcome == End::Exited && run.exit != Some(0) && run.changed() == Some(true), "{run:?}");
}

#[test]
fn neither_a_broken_configuration_nor_a_missing_folder_keeps_a_job_from_running() {
    let (dir, records) = records();
    let config = dir.path().join("agent.toml");
    fs::write(&config, "nonsense = [").unwrap();
    let mut command = program(&binary("mimamori-agent"));
    command.env("MIMAMORI_AGENT_NONSENSE", "x").arg("--config").arg(&config);
    let done = command.args(["backup", "run", "--set", "db", "--records"]).arg(&records).args(["--", "/bin/sh", "-c", "exit 6"]).output().unwrap();
    assert_eq!((done.status.code(), said(&done).as_str()), (Some(6), ""));
    assert_eq!(left(&records).runs.len(), 1);
    let done = wrapped(&dir.path().join("none"), &[], "echo ran; exit 7").output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(7) && done.stdout == b"ran\n" && told.contains("install -d -m 0755"), "{told}");
    // Somebody else's record of the same name.
    fs::remove_file(records.join("db.json")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", records.join("db.json")).unwrap();
    let before = fs::read("/etc/hostname").unwrap();
    assert_eq!(wrapped(&records, &[], "exit 8").output().unwrap().status.code(), Some(8));
    assert!(left(&records).runs.len() == 1 && fs::read("/etc/hostname").unwrap() == before, "where it led to is untouched");
}
