//! The agent is killed, starved of space, lied to by its disk and cut from its power. What it was told durable arrives
//! or is counted as lost, nothing forks, and nobody has to mend anything.
//!
//! Most of it happens to the driver (`mimamori_tests::drive`): the real core and outbox at full speed. How often is
//! told by `MIMAMORI_KILLS` and `MIMAMORI_CUTS`; `make torture` raises both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests: a panic is a failed test")]

use mimamori_agent::outbox::{Outbox, Quota};
use mimamori_tests::drive::{Account, Figures};
use mimamori_tests::process::{Guard, binary, program};
use mimamori_tests::sim::now_ms;
use mimamori_tests::{Random, times, wait_until};
use std::fs::{self, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const START_WITHIN_MS: u64 = 2_000;
pub(crate) const LARGE: u64 = 64 << 20;

/// A folder with the state of a driver, its collector's file and the lines it printed.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) state: PathBuf,
}

fn shell(script: &str) -> Command {
    let mut command = program(Path::new("/bin/sh"));
    command.args(["-c", script]).stdin(Stdio::null());
    command
}

#[track_caller]
fn must(script: &str) {
    let done = shell(script).output().unwrap();
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

impl Stage {
    pub(crate) fn new(parent: &str) -> Stage {
        let dir = tempfile::tempdir_in(parent).or_else(|_| tempfile::tempdir()).unwrap();
        let state = dir.path().join("state");
        fs::create_dir(&state).unwrap();
        Stage { dir, state }
    }

    fn told(&self) -> PathBuf {
        self.dir.path().join("told")
    }

    fn collector(&self) -> PathBuf {
        self.dir.path().join("collector")
    }

    fn arguments(&self, seed: &str, commits: &str, quota: u64) -> [String; 6] {
        let path = |path: &Path| path.display().to_string();
        [path(&binary("mimamori-drive")), path(&self.state), path(&self.collector()), seed.to_owned(), commits.to_owned(), quota.to_string()]
    }

    /// The driver, behind `before` (such as strace), with its lines going to `told`.
    pub(crate) fn driver(&self, before: &[String], seed: &str, commits: &str, quota: u64) -> Command {
        let words: Vec<String> = before.iter().cloned().chain(self.arguments(seed, commits, quota)).collect();
        let mut command = program(Path::new(&words[0]));
        let out = OpenOptions::new().create(true).append(true).open(self.told()).unwrap();
        let err = OpenOptions::new().create(true).append(true).open(self.dir.path().join("err")).unwrap();
        command.args(&words[1..]).stdin(Stdio::null()).stdout(out).stderr(err);
        command
    }

    pub(crate) fn account(&self) -> Account {
        let text = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        Account::read(&text(self.told()), &text(self.collector()))
    }

    /// Starts without any fault, and delivers everything.
    #[track_caller]
    pub(crate) fn drained(&self, quota: u64) -> Figures {
        let done = self.driver(&[], "1", "drain", quota).status().unwrap();
        assert!(done.success(), "{}", fs::read_to_string(self.dir.path().join("err")).unwrap());
        let account = self.account();
        let slow = account.opened_ms.iter().max().copied().unwrap_or(0);
        assert!(slow < START_WITHIN_MS, "a start took {slow} ms");
        account.adds_up()
    }

    /// Lines that say a file was set aside or its end was lost.
    pub(crate) fn harmed(&self) -> Vec<String> {
        self.account().said.into_iter().filter(|line| line.starts_with("ASIDE") || line.starts_with("TAIL")).collect()
    }
}

#[test]
fn killed_at_any_moment_at_full_speed_it_has_everything_it_was_told() {
    let kills = times("MIMAMORI_KILLS", 100);
    let seed = u64::try_from(now_ms()).unwrap();
    println!("seed {seed}");
    let mut random = Random(seed);
    let stage = Stage::new("/dev/shm");
    let mut quota = 0;
    for kill in 0..kills {
        // Room for the heads of everything and a little more; every third time too little, so that something must be dropped.
        let lines = fs::read_to_string(stage.told()).unwrap_or_default().lines().count() as u64;
        quota = 7_000 + if kill % 3 == 0 { 20 } else { 45 } * lines;
        let mut running = Guard(stage.driver(&[], &random.next().to_string(), "1000000", quota).spawn().unwrap());
        // A quarter is killed while it starts.
        if random.between(0, 4) > 0 {
            let size = fs::metadata(stage.told()).unwrap().len();
            wait_until("it commits", Duration::from_secs(10), || fs::metadata(stage.told()).unwrap().len() > size + 90);
        }
        std::thread::sleep(Duration::from_millis(random.between(1, 110)));
        assert!(running.0.try_wait().unwrap().is_none(), "kill {kill}: it ended: {}", fs::read_to_string(stage.dir.path().join("err")).unwrap());
    }
    let figures = stage.drained(quota);
    assert_eq!((figures.chains, stage.harmed()), (1, Vec::new()));
    let account = stage.account();
    let created = figures.accepted + figures.lost;
    println!(
        "{kills} kills: {} told, {created} created = {} accepted + {} lost; longest start {} ms",
        account.told.len(),
        figures.accepted,
        figures.lost,
        account.opened_ms.iter().max().unwrap()
    );
    assert!(account.told.len() as u64 >= kills && created >= account.told.len() as u64);
    assert!(figures.lost > 0, "nothing was dropped, so drops were not tried");
}

/// Fills a small filesystem of its own and empties it again, five times, while the driver commits: each time until a commit has
/// failed, and until one has succeeded again.
#[test]
fn a_filesystem_that_fills_up_and_empties_again_costs_nothing_that_was_created() {
    let stage = Stage::new("/dev/shm");
    let words = |seed, commits| stage.arguments(seed, commits, LARGE).join(" ");
    let (state, told) = (stage.state.display(), stage.told().display().to_string());
    let rounds = times("MIMAMORI_FILLS", 5);
    // Waited for by what the driver says, never by a clock: a busy machine may give it no turn for a second.
    let script = format!(
        "said() {{ grep -c \"^$1\" {told}; }}
         more() {{ for try in $(seq 1500); do [ $(said $1) -gt $2 ] && return; sleep 0.02; done; echo \"no further $1 in 30 s\" >&2; exit 1; }}
         mount -t tmpfs -o size=3m none {state} && echo mounted
         {} >> {told} & pid=$!
         trap 'kill -9 $pid' EXIT
         more C 0
         for round in $(seq {rounds}); do
             failed=$(said FAILED); cat /dev/zero > {state}/fill 2>/dev/null; more FAILED $((failed + 2))
             committed=$(said C); rm {state}/fill; more C $((committed + 50))
         done
         trap - EXIT; kill -9 $pid; wait $pid; {} >> {told}",
        words("5", "1000000"),
        words("1", "drain")
    );
    let done = program(Path::new("/usr/bin/unshare")).args(["-Urm", "sh", "-c", &script]).output().unwrap();
    if !String::from_utf8_lossy(&done.stdout).contains("mounted") {
        println!("left out, no mount here: {}", String::from_utf8_lossy(&done.stderr));
        return;
    }
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = fs::read_to_string(stage.told()).unwrap();
    let mut resumed = 0;
    for (line, next) in text.lines().zip(text.lines().skip(1)) {
        resumed += u64::from(line.starts_with("FAILED") && next.starts_with("C "));
    }
    let figures = stage.account().adds_up();
    println!("{rounds} fillings: {figures:?}, went on {resumed} times");
    assert!(resumed >= rounds && figures.chains == 1 && stage.harmed().is_empty(), "{resumed} {:?}", stage.harmed());
}

#[test]
fn writes_cut_short_by_a_limit_on_file_size_cost_nothing_that_was_created() {
    let stage = Stage::new("/dev/shm");
    // Through a pipe: the limit holds for the lines too.
    let (words, told, pid) = (stage.arguments("5", "1000000", LARGE).join(" "), stage.told(), stage.dir.path().join("pid"));
    let (told, pid) = (told.display(), pid.display());
    let script = format!("sh -c 'echo $$ > {pid}; trap \"\" XFSZ; ulimit -f 2000; exec {words}' | cat >> {told}");
    let mut running = Guard(shell(&script).spawn().unwrap());
    wait_until("the limit is met", Duration::from_secs(60), || stage.account().said.iter().any(|line| line.starts_with("FAILED")));
    std::thread::sleep(Duration::from_millis(300));
    must(&format!("kill -9 $(cat {pid})"));
    running.0.wait().unwrap();
    let figures = stage.drained(LARGE);
    println!("{figures:?} after {} failures", stage.account().said.len());
    assert_eq!((figures.chains, figures.lost, stage.harmed()), (1, 0, Vec::new()));
}

/// Calls on the outbox and the tip file that write or make something; `agent_names.rs` has those on the key files and
/// those of commands, and shows that there are no others.
pub(crate) const CALLS: [&str; 6] = ["openat", "pwrite64", "fdatasync", "fsync", "ftruncate", "unlink"];
pub(crate) const ERRORS: [&str; 4] = ["EIO", "ENOSPC", "EDQUOT", "EROFS"];

pub(crate) fn strace(state: &Path, names: &[&str], inject: &str) -> Vec<String> {
    let mut words: Vec<String> = ["/usr/bin/strace", "-f", "-qq", "-o", "/dev/null"].map(str::to_owned).to_vec();
    for name in names {
        let path = if name.is_empty() { state.to_owned() } else { state.join(name) };
        words.extend(["-P".to_owned(), path.display().to_string()]);
    }
    let calls = inject.split(':').next().unwrap();
    words.extend(["-e".to_owned(), format!("trace={calls}"), "-e".to_owned(), format!("inject={inject}")]);
    words
}

pub(crate) const FILES: [&str; 6] = ["", "outbox.db", "outbox.db-wal", "outbox.db-shm", "outbox.db-journal", "tip"];

/// One fault at the nth call, from a start with nothing or with something there; then a start without faults.
fn one_fault(call: &str, error: &str, nth: usize, anew: bool) -> usize {
    let stage = Stage::new("/dev/shm");
    if !anew {
        assert!(stage.driver(&[], "3", "5", LARGE).status().unwrap().success());
    }
    let before = strace(&stage.state, &FILES, &format!("{call}:error={error}:when={nth}"));
    let what = format!("{call} {error} at {nth}, new: {anew}");
    let done = stage.driver(&before, "4", "12", LARGE).status().unwrap();
    assert!(done.success(), "{what}: {}", fs::read_to_string(stage.dir.path().join("err")).unwrap());
    let met = stage.account().said.iter().filter(|line| line.starts_with("FAILED") || line.starts_with("WAIT")).count();
    let figures = stage.drained(LARGE);
    assert_eq!((figures.chains, figures.lost, stage.harmed()), (1, 0, Vec::new()), "{what}: {:?}", stage.account().said);
    met
}

#[test]
fn every_write_that_fails_once_costs_nothing_that_was_created() {
    let mut cases: Vec<(&str, &str, usize, bool)> = Vec::new();
    for call in CALLS {
        for error in ERRORS {
            cases.extend((1..=5).map(|nth| (call, error, nth, nth % 2 == 1)));
            if times("MIMAMORI_KILLS", 100) > 100 {
                cases.extend((1..=20).flat_map(|nth| [(call, error, nth, true), (call, error, nth, false)]));
            }
        }
    }
    // Every second case on a thread of its own.
    let run = |part: usize| cases.iter().skip(part).step_by(2).filter(|(call, error, nth, anew)| one_fault(call, error, *nth, *anew) > 0).count();
    let noticed: usize = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        run(0) + other.join().unwrap()
    });
    println!("{} faults, {noticed} of them said", cases.len());
    // Not every call occurs five times; what SQLite can do without is not told.
    assert!(noticed > 30, "hardly any fault was met: {noticed} of {}", cases.len());
}

/// A filesystem in a file, mounted; whatever was not synced is not in the file.
struct Image {
    file: PathBuf,
    mount: PathBuf,
}

impl Image {
    fn mounted(file: PathBuf, mount: PathBuf) -> Image {
        // Nothing is written back but what is asked for: no commit of the journal by time.
        must(&format!("mkdir -p {0} && mount -o loop,commit=300 {1} {0}", mount.display(), file.display()));
        Image { file, mount }
    }

    fn new(dir: &Path) -> Image {
        let file = dir.join("image-0");
        must(&format!("truncate -s 24M {0} && /usr/sbin/mkfs.ext4 -q -F {0}", file.display()));
        Image::mounted(file, dir.join("mount-0"))
    }

    /// The power goes: only what is in the file counts from here on.
    fn cut(self, dir: &Path, number: u64) -> Image {
        let copy = dir.join(format!("image-{number}"));
        fs::copy(&self.file, &copy).unwrap();
        let file = self.file.clone();
        drop(self);
        fs::remove_file(file).unwrap();
        Image::mounted(copy, dir.join(format!("mount-{number}")))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        must(&format!("umount {}", self.mount.display()));
    }
}

/// The pid of the driver, which may run under strace.
fn innermost(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().next().map_or(pid, |child| child.parse().unwrap())
}

/// Runs the driver until so long after it told something, or after its start, and kills it there. What the kernel holds
/// of its files is not written.
fn run_until_killed(stage: &Stage, mut command: Command, at_start: bool, ms: u64) {
    let size = fs::metadata(stage.told()).map_or(0, |meta| meta.len());
    let mut running = Guard(command.spawn().unwrap());
    if !at_start {
        wait_until("it tells something", Duration::from_secs(20), || fs::metadata(stage.told()).unwrap().len() > size + 20);
    }
    std::thread::sleep(Duration::from_millis(ms));
    must(&format!("kill -9 {} || true", innermost(running.0.id())));
    running.0.wait().unwrap();
}

/// Beside a database whose log was lost, the tip file still knows the newest place that was told.
#[track_caller]
fn tip_file_knows(stage: &Stage) {
    let Some((chain_id, seq, _)) = stage.account().told.last().copied() else { return };
    let dir = tempfile::tempdir_in(stage.dir.path()).unwrap();
    for name in ["outbox.db", "tip"] {
        fs::copy(stage.state.join(name), dir.path().join(name)).unwrap();
    }
    let (_, restored, _) = Outbox::open(dir.path(), Quota { bytes: LARGE, age_ms: i64::MAX / 2, free_floor_bytes: 0 }, 7).unwrap();
    let mended = restored.chains.last().filter(|chain| chain.chain_id == chain_id).map(|chain| chain.tip.next_seq);
    let lost = restored.lost.flatten().filter(|place| place.chain_id == chain_id).map(|place| place.seq + 1);
    assert!(mended.or(lost).is_some_and(|next| next > seq), "the tip file does not know place {seq}: {mended:?} {lost:?}");
}

/// Cuts the power so often, one cut after another; with a sync that is left out, if one is named.
fn power_cuts(cuts: u64, without: Option<&str>) -> (Figures, usize) {
    let mut stage = Stage::new("/dev/shm");
    let dir = stage.dir.path().to_owned();
    let mut random = Random(cuts + 77);
    let mut image = Image::new(&dir);
    for cut in 1..=cuts {
        stage.state = image.mount.join("state");
        fs::create_dir_all(&stage.state).unwrap();
        // The folder is made by the one who installs, long before.
        if cut == 1 {
            must(&format!("sync -f {}", image.mount.display()));
        }
        let before = without.map_or(Vec::new(), |name| strace(&stage.state, &[name], "fsync,fdatasync:retval=0"));
        let command = stage.driver(&before, &random.next().to_string(), "1000000", LARGE);
        run_until_killed(&stage, command, cut % 4 == 0, random.between(5, if without.is_some() { 400 } else { 120 }));
        image = image.cut(&dir, cut);
        stage.state = image.mount.join("state");
        tip_file_knows(&stage);
    }
    let figures = stage.drained(LARGE);
    assert_eq!((figures.chains, figures.lost, stage.harmed()), (1, 0, Vec::new()));
    (figures, stage.account().told.len())
}

fn cuts_here() -> Option<u64> {
    let loops = is_root() && shell("/usr/sbin/losetup -f").output().is_ok_and(|done| done.status.success());
    if !loops {
        println!("left out: power cuts need root and a loop device");
    }
    loops.then(|| times("MIMAMORI_CUTS", 6))
}

#[test]
fn after_a_power_cut_it_has_everything_it_was_told() {
    let Some(cuts) = cuts_here() else { return };
    let began = Instant::now();
    let (figures, told) = power_cuts(cuts, None);
    println!("{cuts} power cuts in {:.1?}: {told} told, {figures:?}", began.elapsed());
    assert!(told as u64 >= cuts);
}

/// Each sync is needed: without any one of them the power cuts lose something.
#[test]
fn leaving_out_any_one_sync_is_noticed_by_the_power_cuts() {
    if cuts_here().is_none() {
        return;
    }
    for name in ["outbox.db-wal", "outbox.db", "tip"] {
        let noticed = catch_unwind(AssertUnwindSafe(|| power_cuts(12, Some(name))));
        let why = noticed.err().map(|why| why.downcast_ref::<String>().map_or("it panicked", String::as_str).lines().next().unwrap_or_default().to_owned());
        println!("without syncing {name}: {why:?}");
        assert!(why.is_some(), "nobody noticed that {name} was never synced");
    }
}

/// Makes keys durable as enrolment does, and counts those of 6 cuts that are told and missing; `left_out` is the place
/// of a sync among the three of each key.
fn keys_missing(left_out: Option<u64>) -> usize {
    let mut missing = 0;
    for cut in 1..=6 {
        let mut stage = Stage::new("/dev/shm");
        let dir = stage.dir.path().to_owned();
        let image = Image::new(&dir);
        stage.state = image.mount.clone();
        let before: Vec<String> = match left_out {
            None => Vec::new(),
            Some(at) => ["/usr/bin/strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", &format!("inject=fsync:retval=0:when={at}+3")]
                .map(str::to_owned)
                .to_vec(),
        };
        run_until_killed(&stage, stage.driver(&before, "key", "0", 0), false, 10 * cut);
        let image = image.cut(&dir, cut);
        let told: Vec<String> = stage.account().said.iter().filter_map(|line| line.strip_prefix("K ").map(str::to_owned)).collect();
        assert!(!told.is_empty(), "no key was made");
        missing += told.iter().filter(|name| fs::metadata(image.mount.join(name).join("identity.key")).map_or(0, |meta| meta.len()) != 65).count();
    }
    missing
}

#[test]
fn a_key_that_was_saved_survives_a_power_cut_and_needs_both_syncs_for_it() {
    if cuts_here().is_none() {
        return;
    }
    let missing = [None, Some(2), Some(3)].map(keys_missing);
    println!("missing keys: {missing:?} (all synced, the file not, its name not)");
    assert!(missing[0] == 0 && missing[1] > 0 && missing[2] > 0, "{missing:?}");
}

/// DU-06: no later sync on a handle is believed once one has failed.
#[test]
fn after_a_sync_that_failed_the_file_is_opened_anew_before_anything_more_is_committed() {
    let stage = Stage::new("/dev/shm");
    let trace = stage.dir.path().join("trace");
    let before = ["/usr/bin/strace", "-f", "-qq", "-y", "-o", &trace.display().to_string(), "-P", &stage.state.join("outbox.db-wal").display().to_string()];
    let what = ["-e", "trace=fsync,fdatasync,openat,pwrite64", "-e", "inject=fsync,fdatasync:error=EIO:when=6"];
    let before: Vec<String> = before.into_iter().chain(what).map(str::to_owned).collect();
    assert!(stage.driver(&before, "4", "30", LARGE).status().unwrap().success());
    let text = fs::read_to_string(trace).unwrap();
    let behind: Vec<&str> = text.lines().skip_while(|line| !line.contains("INJECTED")).skip(1).collect();
    let opened = behind.iter().position(|line| line.contains("openat(")).expect("the log is opened anew");
    let between = &behind[..opened];
    assert!(!text.is_empty() && between.iter().all(|line| !line.contains("pwrite64(")), "written on: {between:?}");
    assert_eq!(stage.drained(LARGE).lost, 0);
}
