//! `report --html`: one page for the facility, from what is on this machine alone. Opens no socket.

mod gather;
mod page;

use super::{complain, print};
use crate::cli::{Cli, Lang, exit};
use crate::config::Config;
use crate::setup::Environment;
use mimamori_cli::print::whole;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

pub(super) fn report(config: &Config, cli: &Cli, html: &Path, lang: Lang, environment: &Environment) -> u8 {
    let page = page::render(&gather::gather(config, cli, environment));
    if html == Path::new("-") {
        print(&page);
        return exit::OK;
    }
    match write(html, page.as_bytes()) {
        Ok(()) => {
            print(&format!("{} {}\n", lang.of("Written:", "作成しました："), whole(html).display()));
            exit::OK
        }
        Err(fault) => {
            let mend = lang.of(
                "name a file in a folder this account may write to, or `-` for standard output",
                "書き込めるフォルダーのファイル名か、標準出力の`-`を指定してください",
            );
            complain(&format!("--html {}: {fault}; {mend}", whole(html).display()));
            exit::USAGE
        }
    }
}

/// The whole page or the one before: never half of one.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let done = written.and_then(|()| fs::rename(&fresh, path));
    if done.is_err() {
        // There may be nothing to take away.
        drop(fs::remove_file(&fresh));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_cannot_be_put_into_place_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("taken")).unwrap();
        assert!(write(&dir.path().join("taken"), b"x").is_err());
        assert!(write(&dir.path().join("nowhere/page.html"), b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        write(&dir.path().join("page.html"), b"one").unwrap();
        write(&dir.path().join("page.html"), b"two").unwrap();
        assert_eq!(fs::read(dir.path().join("page.html")).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
