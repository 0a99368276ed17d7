//! The administrator removes the agent while the agent's account puts links where its files and folders were: nothing
//! outside of the state folder is removed or overwritten, whatever stands where at which moment.

use mimamori_tests::process::{AgentHome, program};
use mimamori_tests::story::{enrolled, json, reports, said, stop};
use mimamori_tests::wait_until;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROUNDS: usize = 80;
const FILES: [&str; 8] = ["outbox.db", "outbox.db-wal", "outbox.db-shm", "identity.key", "identity.toml", "salt", "tip", "lock"];

fn copied(from: &Path, to: &Path) {
    let done = program(Path::new("/bin/cp")).arg("-a").args([from, to]).status().unwrap();
    assert!(done.success(), "cp -a {} {}", from.display(), to.display());
}

/// Every file of a folder: its bytes, its number, its mode.
fn picture(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u64, u32)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: &PathBuf| fs::metadata(path).map(|meta| (fs::read(path).unwrap(), meta.ino(), meta.mode())).unwrap();
    entries.map(|path| (path.clone(), of(&path))).collect()
}

/// What somebody else owns and the agent's account may not change; it has the names that the agent's files have.
fn decoy(home: &AgentHome, from: &Path, name: &str) -> PathBuf {
    let to = home.dir.join(name);
    copied(from, &to);
    for entry in fs::read_dir(&to).unwrap() {
        let path = entry.unwrap().path();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        if home.is_root() {
            chown(&path, Some(0), Some(0)).unwrap();
        }
    }
    fs::set_permissions(&to, fs::Permissions::from_mode(0o500)).unwrap();
    if home.is_root() {
        chown(&to, Some(0), Some(0)).unwrap();
    }
    to
}

/// Puts a link in the place of `path` for a moment, and back again. What is not there just then is left alone.
fn swap(path: &Path, hidden: &Path, decoy: &Path) {
    if fs::rename(path, hidden).is_ok() {
        if symlink(decoy, path).is_ok() {
            (0..50).for_each(|_| std::thread::yield_now());
            // Whoever removes the agent may have removed the link.
            drop(fs::remove_file(path));
        }
        drop(fs::rename(hidden, path));
    }
}

fn swapping(room: &Path, decoys: &[PathBuf; 2], over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        swap(&room.join("state"), &room.join("hidden"), &decoys[0]);
        swap(&room.join("conf.d"), &room.join("hidden.d"), &decoys[1]);
        for name in FILES {
            swap(&room.join("state").join(name), &room.join("hidden"), &decoys[0].join(name));
        }
    }
}

#[test]
fn whatever_is_swapped_in_nothing_outside_is_touched() {
    let (mut world, mut home) = enrolled("swapped");
    let guard = home.run();
    wait_until("a report", Duration::from_secs(40), || reports(&world) >= 1);
    world.kill();
    stop(guard);
    let (room, template) = (home.dir.join("room"), home.state_dir());
    fs::create_dir(&room).unwrap();
    // The folder above is the agent's account's too: it may put anything there.
    if home.is_root() {
        let whose = fs::metadata(&template).unwrap();
        chown(&room, Some(whose.uid()), Some(whose.gid())).unwrap();
    }
    let fragments = home.dir.join("fragments");
    fs::create_dir(&fragments).unwrap();
    fs::write(fragments.join("more.toml"), "interval = \"5s\"\n").unwrap();
    let decoys = [decoy(&home, &template, "decoy"), decoy(&home, &fragments, "decoy.d")];
    let before = decoys.each_ref().map(|decoy| picture(decoy));
    let (config, state) = (room.join("agent.toml").display().to_string(), format!("state_dir={}", room.join("state").display()));
    home.sets.push(state);
    let remove = ["uninstall", "--purge", "--yes", "--offline", "--config", &config];
    let (mut done, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        copied(&template, &room.join("state"));
        copied(&fragments, &room.join("conf.d"));
        let over = AtomicBool::new(false);
        let output = std::thread::scope(|scope| {
            scope.spawn(|| swapping(&room, &decoys, &over));
            let output = home.admin(&remove);
            over.store(true, Ordering::Relaxed);
            output
        });
        assert!(output.status.code().is_some_and(|code| [0, 1, 2, 78].contains(&code)), "round {round}: {:?} {}", output.status, said(&output));
        assert!(decoys.each_ref().map(|decoy| picture(decoy)) == before, "round {round}: somebody else's files changed: {}", said(&output));
        if output.status.success() {
            done += 1
        } else {
            refused += 1
        }
        for left in ["state", "hidden", "conf.d", "hidden.d"] {
            drop(fs::remove_dir_all(room.join(left)));
            drop(fs::remove_file(room.join(left)));
        }
    }
    println!("{done} removals came through, {refused} were refused");
    copied(&template, &room.join("state"));
    copied(&fragments, &room.join("conf.d"));
    let calm = home.admin(&remove);
    assert!(calm.status.success() && said(&calm).contains("Certificate of removal"), "{}", said(&calm));
    assert!(!room.join("state").try_exists().unwrap(), "left alone it removes all: {}", said(&calm));
    assert!(decoys.each_ref().map(|decoy| picture(decoy)) == before);
    // So that whoever runs the tests can remove them.
    decoys.iter().for_each(|decoy| fs::set_permissions(decoy, fs::Permissions::from_mode(0o700)).unwrap());
}

/// Root takes nothing away that is not the agent's account's.
#[test]
fn a_link_in_the_place_of_the_state_folder_and_a_folder_of_roots_are_refused() {
    let (_world, mut home) = enrolled("notits");
    let (link, owned) = (home.dir.join("link"), home.dir.join("owned"));
    symlink(home.state_dir(), &link).unwrap();
    home.sets.push(format!("state_dir={}", link.display()));
    for (lang, words) in [("en", "is a link"), ("ja", "リンクです")] {
        let done = home.admin(&["uninstall", "--purge", "--yes", "--offline", "--lang", lang]);
        assert!(done.status.code() == Some(78) && said(&done).contains(words), "{}", said(&done));
    }
    assert!(home.state_dir().join("identity.key").is_file());
    if home.is_root() {
        copied(&home.state_dir(), &owned);
        program(Path::new("/bin/chown")).args(["-R", "0:0"]).arg(&owned).status().unwrap();
        home.sets.push(format!("state_dir={}", owned.display()));
        let done = home.admin(&["uninstall", "--purge", "--yes", "--offline"]);
        assert!(done.status.code() == Some(78) && said(&done).contains("belongs to root"), "{}", said(&done));
        assert!(owned.join("identity.key").is_file());
    }
}

/// The administrator's removal weighs the consent as the agent does: what was collected under it leaves first.
#[test]
fn run_by_the_administrator_what_is_unsent_leaves_under_a_consent_that_is_proven() {
    let (mut world, home) = enrolled("byroot");
    home.consent(
        "version = 1\napprover = \"A\"\nreason = \"B\"\nvalid_from = \"2020-01-01T00:00:00Z\"\nvalid_to = \"2099-01-01T00:00:00Z\"\n[scopes]\nheartbeat = { every = \"5s\" }\n",
    );
    if !home.is_root() {
        // There is no administrator apart from the agent: to nobody this consent proves anything.
        assert!(home.try_cli(&["consent", "show"]).status.code() == Some(1));
        return;
    }
    let guard = home.run();
    wait_until("a report", Duration::from_secs(40), || reports(&world) >= 1);
    world.kill();
    let made = || json(&home.cli(&["status", "--json"]))["next_seq"].as_u64().unwrap();
    let before = made();
    wait_until("unsent ones", Duration::from_secs(40), || made() >= before + 2);
    stop(guard);
    world.start();
    let done = home.admin(&["uninstall", "--purge", "--yes", "--json"]);
    let certificate = json(&String::from_utf8_lossy(&done.stdout));
    assert!(certificate["unsent_sent_before"].as_u64().unwrap() >= 2 && certificate["purged"]["sample"] == 0, "{certificate}");
    assert!(certificate["receipted"] == true && certificate["still_to_do"].as_array().unwrap().is_empty(), "{certificate}");
    assert!(!home.state_dir().try_exists().unwrap());
    world.fsck();
}
