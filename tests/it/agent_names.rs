//! The files whose names matter: keys that follow one another, what an enrolment makes, what a person's command writes.
//! Every call that writes one of them fails once, and nobody has to mend anything; and no name that something was
//! promised on is left to chance, for want of a sync of its folder.

use crate::agent_faults::{CALLS, ERRORS, FILES, LARGE, Stage, is_root, strace};
use mimamori_agent::identity;
use mimamori_agent::keyring::Keyring;
use mimamori_tests::drive::key;
use mimamori_tests::process::program;
use mimamori_tests::story::said;
use mimamori_tests::{World, times};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Calls that write key files.
const KEY_CALLS: [&str; 5] = ["openat", "write", "fsync", "rename", "unlink"];
const KEY_FILES: [&str; 5] = ["", "identity.key", "identity.new", "identity.history", "rotate.request"];
/// Every call of the kernel by which anything on a disk changes.
const CHANGING: &str = "creat,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,syncfs,ftruncate,truncate,fallocate,rename,renameat,\
                        renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,mknod,mknodat,copy_file_range,sendfile,chmod,fchmod,\
                        fchmodat,chown,fchown,lchown,fchownat,setxattr,fsetxattr,utimensat";

fn often() -> bool {
    times("MIMAMORI_KILLS", 100) > 100
}

/// A driver's folder in which keys change.
fn with_keys() -> Stage {
    let stage = Stage::new("/dev/shm");
    identity::save_key(&stage.state, &key()).unwrap();
    stage
}

#[track_caller]
fn keys_hold(stage: &Stage, what: &str) -> usize {
    let figures = stage.drained(LARGE);
    assert_eq!((figures.lost, stage.harmed()), (0, Vec::new()), "{what}: {:?}", stage.account().said);
    let keys = stage.account().keys;
    assert_eq!(figures.chains, keys.len() + 1, "{what}: each key has its chain");
    let newest = Keyring::read(&stage.state, 0).unwrap().publics().iter().map(mimamori_shared::sign::PublicKey::to_bytes).collect::<Vec<_>>();
    assert!(keys.last().is_none_or(|last| newest.contains(last)), "{what}: the newest key is here");
    keys.len()
}

#[test]
fn every_write_of_a_key_file_that_fails_once_costs_neither_key_nor_entry() {
    let mut cases: Vec<(&str, &str, usize)> = Vec::new();
    for (place, call) in KEY_CALLS.into_iter().enumerate() {
        for nth in 1..=if often() { 20 } else { 5 } {
            // Two of the four errors each in an ordinary run; over the five places every error meets every call.
            cases.extend(ERRORS.into_iter().enumerate().filter(|(number, _)| often() || (number + nth + place) % 2 == 0).map(|(_, error)| (call, error, nth)));
        }
    }
    let one = |(call, error, nth): &(&str, &str, usize)| {
        let (stage, what) = (with_keys(), format!("{call} {error} at {nth}"));
        let before = strace(&stage.state, &KEY_FILES, &format!("{call}:error={error}:when={nth}"));
        let done = stage.driver(&before, "4", "14", LARGE).status().unwrap();
        assert!(done.success(), "{what}: {}", fs::read_to_string(stage.dir.path().join("err")).unwrap());
        let met = stage.account().said.iter().any(|line| line.starts_with("FAILED") || line.starts_with("WAIT"));
        (usize::from(met), keys_hold(&stage, &what))
    };
    let run = |part: usize| cases.iter().skip(part).step_by(2).map(one).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let (met, keys) = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        let own = run(0);
        let other = other.join().unwrap();
        (own.0 + other.0, own.1 + other.1)
    });
    println!("{} faults at key files, {met} of them said; {keys} keys followed one another", cases.len());
    assert!(met * 2 > cases.len() && keys > cases.len(), "{met} met, {keys} keys");
}

/// The calls in a trace, by their names.
fn calls(trace: &str) -> BTreeSet<String> {
    let name = |line: &str| line.split_whitespace().find_map(|word| Some(word.split_once('(')?.0.to_owned())).filter(|name| !name.is_empty());
    trace.lines().filter(|line| !line.contains("+++") && !line.contains("resumed>")).filter_map(name).collect()
}

fn traced(stage: &Stage, names: &[&str], trace: &Path, inject: Option<&str>) {
    let mut before: Vec<String> = ["/usr/bin/strace", "-f", "-y", "-qq", "-o", &trace.display().to_string(), "-e"].map(str::to_owned).to_vec();
    before.push(format!("trace=openat,{CHANGING}"));
    for name in names {
        let path = if name.is_empty() { stage.state.clone() } else { stage.state.join(name) };
        before.extend(["-P".to_owned(), path.display().to_string()]);
    }
    before.extend(inject.iter().flat_map(|inject| ["-e".to_owned(), format!("inject={inject}")]));
    assert!(stage.driver(&before, "4", "14", LARGE).status().unwrap().success());
}

/// Whatever the agent calls to change its files is among what is made to fail.
#[test]
fn no_call_that_changes_the_agents_files_is_left_out_of_the_faults() {
    let stage = with_keys();
    let trace = stage.dir.path().join("trace");
    let names: BTreeSet<&str> = FILES.into_iter().chain(KEY_FILES).collect();
    traced(&stage, &names.into_iter().collect::<Vec<_>>(), &trace, None);
    let called = calls(&fs::read_to_string(&trace).unwrap());
    let failing: BTreeSet<String> = CALLS.into_iter().chain(KEY_CALLS).map(str::to_owned).collect();
    println!("called: {called:?}");
    // SQLite gives its side files the owner and mode of the database, and goes on where it may not.
    let others: Vec<_> = called.difference(&failing).filter(|name| !["fchmod", "fchown"].contains(&name.as_str())).collect();
    assert_eq!(others, Vec::<&String>::new());
    assert!(called.len() >= 7, "{called:?}");
}

/// Names in a folder that were made, or put in another's place, and of which the folder was not synced since, at the
/// moment of each promise, which is a call whose line in the trace says so.
fn unsynced(trace: &str, folder: &str, promise: &str) -> BTreeSet<String> {
    let (mut open, mut found) = (BTreeSet::new(), BTreeSet::new());
    let within = |line: &str| -> Option<String> {
        let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let name = quoted.last()?.strip_prefix(folder)?.strip_prefix('/')?;
        (!name.contains('/')).then(|| name.to_owned())
    };
    for line in trace.lines() {
        if line.contains(promise) {
            found.extend(open.iter().cloned());
        }
        if !line.contains(" = ") || line.contains(" = -1") {
            continue;
        }
        let made = line.contains("O_CREAT") || line.contains("rename(") || line.contains("mkdir(");
        if made && let Some(name) = within(line) {
            // Of the name it had nobody was promised anything.
            open.retain(|old| !line.contains(&format!("/{old}\"")));
            open.insert(name);
        } else if line.contains("unlink(")
            && let Some(name) = within(line)
        {
            open.remove(&name);
        } else if line.contains("fsync(") && line.contains(&format!("<{folder}>)")) && !line.contains("INJECTED") {
            open.clear();
        }
    }
    found
}

/// What power cuts on a journaling filesystem do not show, because it writes the names with the files.
#[test]
fn every_name_is_synced_before_anything_is_promised_on_it() {
    // The shared memory of the log is made anew by whoever opens it.
    let look = |inject: Option<&str>| -> BTreeSet<String> {
        let stage = with_keys();
        let trace = stage.dir.path().join("trace");
        traced(&stage, &[], &trace, inject);
        let mut names = unsynced(&fs::read_to_string(&trace).unwrap(), &stage.state.display().to_string(), ", \"C ");
        names.remove("outbox.db-shm");
        names
    };
    assert_eq!(look(None), BTreeSet::new(), "named, and not certain to stay");
    // Left out, it is noticed: all syncs of the folder there, and those of the first start.
    let without = look(Some("fsync:retval=0"));
    println!("without any sync of a folder {without:?} would be left to chance");
    for name in ["outbox.db", "outbox.db-wal", "tip", "identity.key"] {
        assert!(without.contains(name), "nobody noticed that the name of {name} was never synced: {without:?}");
    }
}

/// What an enrolment made is certain to stay before its first word leaves: the key, and the folder it is in.
#[test]
fn key_and_folder_are_synced_by_name_before_the_first_word_to_a_collector() {
    if !is_root() {
        println!("left out: only root may trace another account's program");
        return;
    }
    let mut world = World::new("enrolsync");
    world.start();
    let look = |name: &str, inject: &[&str]| -> Vec<String> {
        let home = world.agent_home(name);
        let command = home.enroll_command(&world.token_text(Some(name)));
        fs::remove_dir(home.state_dir()).unwrap();
        std::os::unix::fs::chown(&home.dir, Some(65_534), Some(65_534)).unwrap();
        let trace = world.dir.join("trace");
        let mut traced = program(Path::new("/usr/bin/strace"));
        traced.args(["-f", "-y", "-qq", "-e", &format!("trace=openat,connect,{CHANGING}")]).args(inject).arg("-o").arg(&trace);
        let done = traced.arg(command.get_program()).args(command.get_args()).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        let text = fs::read_to_string(trace).unwrap();
        let folders = [home.dir.clone(), home.state_dir()];
        folders.iter().flat_map(|folder| unsynced(&text, &folder.display().to_string(), "connect(")).collect()
    };
    assert_eq!(look("ct-1", &[]), Vec::<String>::new());
    assert_eq!(look("ct-2", &["-e", "inject=fsync:retval=0"]), ["state", "identity.key"], "nobody noticed that they were never synced");
}

/// One call of `enroll` fails; the next `enroll`, of the same token, gives the machine its identity, once.
#[test]
fn an_enrolment_of_which_any_one_write_fails_is_done_by_asking_again() {
    if !is_root() {
        println!("left out: only root may trace another account's program");
        return;
    }
    let mut world = World::new("enrolfaults");
    world.start();
    let mut cases: Vec<(&str, &str, usize)> = Vec::new();
    for (place, call) in ["mkdir", "openat", "write", "fsync", "rename"].into_iter().enumerate() {
        for nth in 1..=5 {
            let all = ERRORS.into_iter().enumerate();
            cases.extend(all.filter(|(number, _)| often() || (number + nth + place) % 4 == 0).map(|(_, error)| (call, error, nth)));
        }
    }
    let names: Vec<String> = (0..cases.len()).map(|n| format!("ct-{n}")).collect();
    let mut met = 0;
    for (number, ((call, error, nth), token)) in cases.iter().zip(world.tokens(&names)).enumerate() {
        let home = world.agent_home(&names[number]);
        // The folder is made by the enrolment itself.
        let mut command = home.enroll_command(&token.to_text());
        fs::remove_dir(home.state_dir()).unwrap();
        std::os::unix::fs::chown(&home.dir, Some(65_534), Some(65_534)).unwrap();
        let files = ["", "identity.key", "identity.new", "identity.toml"];
        let before = strace(&home.state_dir(), &files, &format!("{call}:error={error}:when={nth}"));
        let mut failing = program(Path::new(&before[0]));
        let done = failing.args(&before[1..]).arg(command.get_program()).args(command.get_args()).output().unwrap();
        met += usize::from(!done.status.success());
        assert!(done.status.success() || !said(&done).contains("panicked"), "{call} {error} {nth}: {}", said(&done));
        let again = command.output().unwrap();
        let enrolled = said(&again);
        // Where only the last sync failed it is enrolled, and says so.
        assert!(again.status.success() || enrolled.contains("enrolled already"), "{call} {error} {nth}: {} then {enrolled}", said(&done));
        assert!(home.try_cli(&["key", "show"]).status.success());
    }
    println!("{} faults at enrolments, {met} of them failed and were asked again", cases.len());
    assert_eq!(world.machines().len(), cases.len(), "one machine a token");
    assert!(met * 3 > cases.len(), "{met}");
    world.fsck();
}
