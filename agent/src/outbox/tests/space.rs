//! No space: nothing is created that is not kept, nothing kept is lost, and it goes on when there is space again.

use super::*;
use std::process::{Command, Output};

#[test]
fn below_the_floor_nothing_is_created() {
    let dir = folder();
    let (mut outbox, mut writer, _) = Writer::start(dir.path());
    let chain = writer.chain();
    outbox.quota.free_floor_bytes = u64::MAX;
    writer.samples(&mut outbox, 3);
    assert_eq!((writer.failed, writer.chain()), (3, chain.clone()));
    outbox.quota.free_floor_bytes = 0;
    writer.sample(&mut outbox);
    assert_eq!(writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY).0.len(), 5);
}

/// Writes until it fails, if the folder named in the environment has an end, or 100 entries if none is named. Then
/// everything created is there, also after another start, and after making room it goes on.
#[test]
#[allow(clippy::disallowed_methods, reason = "the process that plays this again names its folder there")]
fn fill() {
    let (folder, limited) = match std::env::var_os("MIMAMORI_TEST_FILL") {
        Some(folder) => (std::path::PathBuf::from(folder), true),
        None => (folder().keep(), false),
    };
    let quota = QUOTA;
    let (mut outbox, restored, _) = Outbox::open(&folder, quota, 7).unwrap();
    let mut writer = Writer::new(restored, 9);
    writer.event(&mut outbox, Event::Consent(Consent::Valid(terms())));
    for _ in 0..if limited { 20_000 } else { 100 } {
        if writer.failed > 5 {
            break;
        }
        writer.sample(&mut outbox);
    }
    let chain = writer.chain();
    assert_eq!((writer.failed > 5, u64::try_from(writer.created).unwrap()), (limited, chain.tip.next_seq));
    assert_eq!(writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY).1, chain.tip);
    drop(outbox);
    let (mut outbox, restored, noticed) = Outbox::open(&folder, quota, 8).unwrap();
    assert_eq!((restored.chains.as_slice(), noticed.len()), ([chain.clone()].as_slice(), 0), "opened while full");
    assert_eq!(writer.drain(&mut outbox, chain.chain_id, Tip::EMPTY).1, chain.tip);
    if !limited {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// Plays [`fill`] in a process with an end to its space.
#[allow(clippy::disallowed_methods, reason = "limits hold for a whole process, so the test needs another one")]
fn play(program: &str, arguments: &[&str], script: &str, folder: &Path) -> Output {
    let mut child = Command::new(program);
    child.args(arguments).args(["sh", "-c", script]).arg(std::env::current_exe().unwrap()).args(["--exact", "outbox::tests::space::fill"]);
    child.env("MIMAMORI_TEST_FILL", folder).output().unwrap()
}

#[track_caller]
fn passed(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn short_writes_at_a_limit_on_file_size_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    passed(&play("env", &[], "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\"", dir.path()));
}

/// A tiny filesystem of its own where the system lets an ordinary user mount one; where it does not, the limit on file
/// size stands in with another size, so that this test never passes by doing nothing.
#[test]
fn a_full_filesystem_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=400k none \"$MIMAMORI_TEST_FILL\" && echo mounted && exec \"$0\" \"$@\"";
    let output = play("unshare", &["-Urm"], mount, dir.path());
    if String::from_utf8_lossy(&output.stdout).contains("mounted") {
        passed(&output);
    } else {
        println!("no mount here, so a limit on file size instead: {}", String::from_utf8_lossy(&output.stderr));
        passed(&play("env", &[], "trap '' XFSZ; ulimit -f 300; exec \"$0\" \"$@\"", dir.path()));
    }
}
