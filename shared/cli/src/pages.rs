//! Completions and man pages, both made from the table that is the command line.

use crate::print::print;
use clap::Command;
use std::io;
use std::path::{Path, PathBuf};

/// Prints a completion script.
pub fn completion(mut command: Command, shell: clap_complete::Shell) {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script));
}

/// Prints the man page, or writes all of them into a folder.
///
/// # Errors
/// When the folder cannot be written.
pub fn man(command: Command, folder: Option<&Path>) -> io::Result<()> {
    match folder {
        Some(folder) => clap_mangen::generate_to(command, folder),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            print(&String::from_utf8_lossy(&page));
            Ok(())
        }
    }
}

/// The commands that print them.
#[derive(Debug, clap::Subcommand)]
pub enum Pages {
    /// Prints a completion script.
    Completion {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Prints a man page, or writes all of them into a folder.
    Man {
        /// Folder to write into.
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

impl Pages {
    /// Does what was asked.
    ///
    /// # Errors
    /// A sentence, when the folder cannot be written.
    pub fn carry_out(&self, command: Command) -> Result<(), String> {
        match self {
            Pages::Completion { shell } => {
                completion(command, *shell);
                Ok(())
            }
            Pages::Man { folder } => man(command, folder.as_deref()).map_err(|fault| format!("the man pages cannot be written: {fault}")),
        }
    }
}
