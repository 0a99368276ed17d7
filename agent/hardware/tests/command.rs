//! The program's command line: nothing it takes chooses a tool, a file or a time.

#![allow(clippy::disallowed_methods, reason = "the program is run")]
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mimamori-agent-hardware")).args(args).output().unwrap()
}

#[test]
fn whatever_is_not_one_of_three_words_is_refused() {
    for args in [
        &["--root", "/tmp"][..],
        &["--print", "--print"],
        &["--print", "/tmp/x"],
        &["--print=/tmp/x"],
        &["--config", "/tmp/x"],
        &["-p"],
        &[""],
        &["--version", "--help"],
        &["/dev/sda"],
    ] {
        let done = run(args);
        assert_eq!((done.status.code(), done.stdout.len()), (Some(2), 0), "{args:?}");
        assert!(String::from_utf8_lossy(&done.stderr).contains("--print, --version, --help"), "{args:?}");
    }
}

#[test]
fn it_says_what_it_is() {
    let help = run(&["--help"]);
    let said = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.status.success()
            && ["/run/mimamori-agent-hardware/report.json", "hardware.toml", "/etc/mimamori/consent.toml", "権限", "--print"]
                .iter()
                .all(|part| said.contains(part))
    );
    let version = run(&["--version"]);
    assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("mimamori-agent-hardware {}\n", env!("CARGO_PKG_VERSION")));
}
