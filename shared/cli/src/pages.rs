//! Completions and man pages, both made from the table that is the command line.

use crate::print::{complain, print, unwritable, whole};
use crate::{Lang, exit};
use clap::Command;
use std::io;
use std::path::{Path, PathBuf};

/// Prints a completion script.
fn completion(mut command: Command, shell: clap_complete::Shell) {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script));
}

/// Prints the man page.
fn man(command: Command) -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    print(&String::from_utf8_lossy(&page));
    Ok(())
}

/// Writes the man pages of the program and of all its commands, and makes the folder where it is missing.
fn install(command: Command, folder: &Path, lang: Lang) -> io::Result<()> {
    let first = folder.join(format!("{}.1", command.get_name()));
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)?;
    print(&format!("{} {}\n", lang.of("Written, with a page for every command:", "書き出しました（各コマンドのページも含みます）："), whole(&first).display()));
    Ok(())
}

/// The commands that print them.
#[derive(Debug, clap::Subcommand)]
pub enum Pages {
    /// Prints a completion script.
    Completion {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Prints the man page, or writes it and those of all commands into a folder such as /usr/local/share/man/man1.
    Man {
        /// Folder to write into; made where it is missing.
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

impl Pages {
    /// Does what was asked, and gives the exit code.
    #[must_use]
    pub fn carry_out(&self, command: Command, lang: Lang) -> u8 {
        let program = command.get_name().to_owned();
        let (folder, done) = match self {
            Pages::Completion { shell } => {
                completion(command, *shell);
                return exit::OK;
            }
            Pages::Man { folder: None } => (Path::new("-"), man(command)),
            Pages::Man { folder: Some(folder) } => (folder.as_path(), install(command, folder, lang)),
        };
        done.map_or_else(
            |fault| {
                complain(&program, &unwritable(folder, &fault, lang));
                exit::USAGE
            },
            |()| exit::OK,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn man_pages_of_all_commands_go_into_a_folder_that_is_made_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("man/man1");
        let command = || Command::new("sayer").subcommand(Command::new("loudly"));
        assert_eq!(Pages::Man { folder: Some(folder.clone()) }.carry_out(command(), Lang::En), exit::OK);
        assert!(folder.join("sayer.1").is_file() && folder.join("sayer-loudly.1").is_file());
        let file = folder.join("sayer.1");
        assert_eq!(Pages::Man { folder: Some(file) }.carry_out(command(), Lang::En), exit::USAGE, "a file is no folder");
    }
}
