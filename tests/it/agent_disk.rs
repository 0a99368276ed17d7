//! The real agent: killed a hundred times while it reports, and on disks that are full or read-only for a while.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests: a panic is a failed test")]

use mimamori_agent::outbox::Outbox;
use mimamori_shared::id::{ChainId, Hash};
use mimamori_tests::process::{Guard, program};
use mimamori_tests::sim::now_ms;
use mimamori_tests::{AgentHome, Random, World, times, wait_until};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What somebody who looks into the state folder sees committed: chain, first place not taken, hash before it.
fn committed(state: &Path) -> Option<(ChainId, u64, Hash)> {
    let restored = Outbox::peek(state).ok()?;
    restored.chains.last().map(|chain| (chain.chain_id, chain.tip.next_seq, chain.tip.head))
}

fn next_seq(state: &Path) -> u64 {
    committed(state).map_or(0, |(_, next_seq, _)| next_seq)
}

/// Another consent at each call, so that statements are made as fast as the file changes.
fn another_consent(home: &AgentHome, number: u64) {
    let every = 5 + number % 7;
    home.consent(&format!(
        "version = 1\nexample = true\napprover = \"Nobody\"\nreason = \"Example\"\nvalid_from = \"2020-01-01T00:00:00+09:00\"\n\
         valid_to = \"2099-01-01T00:00:00+09:00\"\n[scopes]\nheartbeat = {{ every = \"{every}s\" }}\nos_state = {{ every = \"5s\" }}\n"
    ));
}

#[test]
fn killed_at_any_moment_while_it_reports_the_real_agent_loses_and_forks_nothing() {
    let kills = times("MIMAMORI_KILLS", 100);
    let seed = u64::try_from(now_ms()).unwrap();
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut world = World::new("agentkills");
    world.start();
    let home = world.agent_home("ct-1");
    home.enroll(&world.token_text(Some("ct-1")));
    let mut seen = Vec::new();
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        match kill % 10 {
            5 => world.kill(),
            8 => drop(world.start()),
            _ => {}
        }
        another_consent(&home, kill);
        let before = next_seq(&home.state_dir());
        let began = Instant::now();
        let running = home.run();
        if kill % 10 == 9 {
            wait_until("a start creates something", Duration::from_secs(10), || next_seq(&home.state_dir()) > before);
            slowest = slowest.max(began.elapsed());
        } else {
            // Not waiting for anything: the moment of the kill is the test's input.
            std::thread::sleep(Duration::from_millis(random.between(1, 260)));
        }
        seen.extend(committed(&home.state_dir()));
        drop(running);
    }
    if world.pid().is_none() {
        world.start();
    }
    let running = home.run();
    let last = seen.last().unwrap().1;
    wait_until("everything has arrived", Duration::from_secs(60), || {
        world.export("ct-1").last().and_then(|line| line["last_seq"].as_u64()).is_some_and(|seq| seq + 1 >= last)
    });
    drop(running);
    let lines = world.export("ct-1");
    for (place, line) in lines.iter().enumerate() {
        assert_eq!((line["seq"].as_u64(), line["branch"].as_u64()), (Some(place as u64), Some(0)), "one chain, nothing lost, nothing twice: {line}");
    }
    for (chain_id, next_seq, head) in &seen {
        let Some(at) = next_seq.checked_sub(1) else { continue };
        let line = &lines[usize::try_from(at).unwrap()];
        assert_eq!(
            (line["chain_id"].as_str().unwrap(), line["hash"].as_str().unwrap()),
            (chain_id.to_string().as_str(), head.to_string().as_str()),
            "place {at}"
        );
    }
    assert_eq!(world.machines()[0]["epoch"], 1);
    let aside = fs::read_dir(home.state_dir()).unwrap().filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("broken")).count();
    assert_eq!(aside, 0, "{}", home.log());
    home.cli(&["ledger", "verify"]);
    world.fsck();
    println!("{kills} kills, {} entries, all there; slowest start to a first entry {slowest:?}", lines.len());
    assert!(lines.len() as u64 > kills / 2 && slowest < Duration::from_secs(2), "{} {slowest:?}", lines.len());
}

/// A filesystem of the agent's own, mounted where only the agent and [`Disk::state`] see it.
struct Disk {
    agent: Guard,
    home: AgentHome,
}

impl Disk {
    /// Starts the agent on a tmpfs of 3 MiB with its state in it, after `prepare`, a script with the folder as `$1`.
    fn start(home: AgentHome, prepare: &str) -> Disk {
        let state = home.state_dir();
        let kept = home.dir.join("kept");
        fs::rename(&state, &kept).unwrap();
        fs::create_dir(&state).unwrap();
        let owner = fs::metadata(&kept).unwrap().uid();
        let script = format!(
            "mount -t tmpfs -o size=3m,uid={owner},gid={owner},mode=700 none \"$1\" && cp -a \"$2\"/. \"$1\"/ && {{ {prepare}; }} && shift 2 && exec \"$@\""
        );
        let agent = home.command(&["run"]);
        let log = OpenOptions::new().create(true).append(true).open(home.dir.join("agent.log")).unwrap();
        let mut command = program(Path::new("/usr/bin/unshare"));
        command.args(["-m", "sh", "-c", &script, "sh"]).arg(&state).arg(&kept).arg(agent.get_program()).args(agent.get_args());
        let agent = Guard(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        Disk { agent, home }
    }

    /// The first place not taken. From a copy: SQLite would follow the link to this process's own root.
    fn next_seq(&self) -> u64 {
        self.committed().map_or(0, |(_, next_seq, _)| next_seq)
    }

    fn committed(&self) -> Option<(ChainId, u64, Hash)> {
        let copy = tempfile::tempdir().unwrap();
        for name in ["outbox.db", "outbox.db-wal"] {
            fs::copy(self.state().join(name), copy.path().join(name)).ok()?;
        }
        committed(copy.path())
    }

    /// The state folder as the agent sees it.
    fn state(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.agent.0.id(), self.home.state_dir().display()))
    }

    fn within(&self, script: &str) {
        let pid = self.agent.0.id().to_string();
        let done = program(Path::new("/usr/bin/nsenter")).args(["-t", &pid, "-m", "sh", "-c", script, "sh"]).arg(self.home.state_dir()).output().unwrap();
        assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    }

    #[track_caller]
    fn lives(&mut self) {
        assert!(self.agent.0.try_wait().unwrap().is_none(), "it ended: {}", self.home.log());
    }
}

fn enrolled(world: &World, name: &str) -> AgentHome {
    let home = world.agent_home(name);
    home.enroll(&world.token_text(Some(name)));
    home
}

fn is_root() -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        println!("left out: only root can mount a filesystem for another account");
    }
    root
}

#[test]
fn on_a_full_disk_the_agent_starts_lives_says_so_and_goes_on_within_a_second_of_space() {
    if !is_root() {
        return;
    }
    let mut world = World::new("agentdisk");
    world.start();
    let mut disk = Disk::start(enrolled(&world, "ct-1"), "cat /dev/zero > \"$1\"/fill 2>/dev/null || true");
    wait_until("it says what is wrong", Duration::from_secs(20), || disk.home.log().contains("nothing is collected until the state folder can be used"));
    std::thread::sleep(Duration::from_millis(2500));
    disk.lives();
    assert_eq!(disk.home.log().matches("nothing is collected until").count(), 1, "once: {}", disk.home.log());
    let mut took = Vec::new();
    for round in 0..3 {
        let before = disk.next_seq();
        fs::remove_file(disk.state().join("fill")).unwrap();
        took.push(wait_until("it goes on", Duration::from_secs(10), || disk.next_seq() > before));
        disk.lives();
        disk.within("cat /dev/zero > \"$1\"/fill 2>/dev/null || true");
        let full = disk.next_seq();
        another_consent(&disk.home, round);
        std::thread::sleep(Duration::from_millis(6500));
        disk.lives();
        let created = disk.next_seq();
        println!("round {round}: went on after {:?}; {} more before the end of the space", took.last().unwrap(), created - full);
    }
    println!("log: {}", disk.home.log());
    assert!(took.iter().all(|took| *took < Duration::from_millis(2000)), "{took:?}");
    fs::remove_file(disk.state().join("fill")).unwrap();
    let seen = disk.committed().unwrap();
    wait_until("everything arrives", Duration::from_secs(30), || world.export("ct-1").len() as u64 >= seen.1);
    let lines = world.export("ct-1");
    assert!(lines.iter().enumerate().all(|(place, line)| line["seq"] == place && line["last_seq"] == place), "nothing lost");
    assert_eq!(lines[usize::try_from(seen.1).unwrap() - 1]["hash"], seen.2.to_string());
    world.fsck();
}

#[test]
fn a_state_folder_that_is_read_only_for_a_while_is_waited_for() {
    if !is_root() {
        return;
    }
    let mut world = World::new("agentro");
    world.start();
    let mut disk = Disk::start(enrolled(&world, "ct-1"), "mount -o remount,ro \"$1\"");
    wait_until("it says what is wrong", Duration::from_secs(20), || disk.home.log().contains("nothing is collected until the state folder can be used"));
    disk.lives();
    disk.within("mount -o remount,rw \"$1\"");
    let took = wait_until("it goes on", Duration::from_secs(10), || world.export("ct-1").len() >= 4);
    println!("went on after {took:?}: {}", disk.home.log());
    assert!(disk.home.log().contains("can be used again") || disk.home.log().matches("nothing is collected").count() == 1);
}
