//! What the commands do; each returns the exit code.

mod config;
mod export;
mod facility;
mod init;
mod machine;
mod token;

use crate::cli::{Cli, Command, Lang, exit};
use crate::config::Config;
use crate::keys::KeysError;
use crate::serve::{self, StartError};
use crate::store::{Actor, ActorKind, Store, StoreError};
use clap::CommandFactory as _;
use mimamori_shared::error::{chain, plain};
use std::io::Write as _;
use std::path::Path;

/// Why a command did not do what it was asked, with the exit code.
#[derive(Debug)]
struct Failed(u8, String);

impl From<StoreError> for Failed {
    fn from(fault: StoreError) -> Failed {
        let code = match &fault {
            StoreError::NotFound(_) | StoreError::Taken(_) => exit::USAGE,
            _ => exit::FAILED,
        };
        Failed(code, chain(&fault))
    }
}

impl From<KeysError> for Failed {
    fn from(fault: KeysError) -> Failed {
        Failed(exit::CONFIG, chain(&fault))
    }
}

impl From<StartError> for Failed {
    fn from(fault: StartError) -> Failed {
        Failed(if fault.is_config() { exit::CONFIG } else { exit::FAILED }, chain(&fault))
    }
}

impl From<std::io::Error> for Failed {
    fn from(fault: std::io::Error) -> Failed {
        Failed(exit::FAILED, fault.to_string())
    }
}

type Done = Result<(), Failed>;

/// Carries out a command line.
#[must_use]
pub fn carry_out(cli: &Cli, lang: Lang, vars: Vec<(String, String)>, user: &str) -> u8 {
    match &cli.command {
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "mimamori-collector", &mut script);
            print(&String::from_utf8_lossy(&script));
            return exit::OK;
        }
        Command::Man { folder } => return man(folder.as_deref()),
        _ => {}
    }
    let config = match Config::load(&cli.config, vars.into_iter(), &cli.sets) {
        Ok(config) => config,
        Err(faults) => {
            faults.iter().for_each(|fault| complain(&fault.to_string()));
            return exit::CONFIG;
        }
    };
    let actor = Actor { kind: ActorKind::Cli, name: mimamori_shared::word::Word::hardware(user).unwrap_or_default() };
    match dispatch(&config, &cli.command, lang, &actor) {
        Ok(()) => exit::OK,
        Err(Failed(code, fault)) => {
            complain(&fault);
            code
        }
    }
}

fn dispatch(config: &Config, command: &Command, lang: Lang, actor: &Actor) -> Done {
    match command {
        Command::Init { hosts } => init::init(config, hosts, lang),
        Command::Serve => Ok(serve::serve(config)?),
        Command::Config(command) => config::carry_out(config, command),
        Command::Completion { .. } | Command::Man { .. } => Ok(()),
        Command::Facility(_) | Command::Machine(_) | Command::Token(_) | Command::Fsck(_) | Command::Export { .. } => {
            // The folder is looked at before a database is made in it.
            let keys = crate::keys::load(&config.state_dir())?;
            let store = serve::open_store(config)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(with_store(config, &keys, &store, command, lang, actor))
        }
    }
}

async fn with_store(config: &Config, keys: &crate::keys::Keys, store: &Store, command: &Command, lang: Lang, actor: &Actor) -> Done {
    match command {
        Command::Facility(command) => facility::carry_out(store, actor, command, lang).await,
        Command::Machine(command) => machine::carry_out(store, keys, actor, command, lang).await,
        Command::Token(command) => token::carry_out(config, keys, store, actor, command, lang).await,
        Command::Fsck(output) => export::fsck(store, *output, lang).await,
        Command::Export { machine, output } => export::export(store, keys, machine, output.as_deref()).await,
        Command::Init { .. } | Command::Serve | Command::Config(_) | Command::Completion { .. } | Command::Man { .. } => Ok(()),
    }
}

fn man(folder: Option<&Path>) -> u8 {
    let command = Cli::command();
    let done = match folder {
        Some(folder) => clap_mangen::generate_to(command, folder),
        None => {
            let mut page = Vec::new();
            let made = clap_mangen::Man::new(command).render(&mut page);
            print(&String::from_utf8_lossy(&page));
            made
        }
    };
    match done {
        Ok(()) => exit::OK,
        Err(fault) => {
            complain(&format!("the man pages cannot be written: {fault}"));
            exit::USAGE
        }
    }
}

/// Data goes to standard output.
fn print(text: &str) {
    // A reader that has gone away wants nothing more.
    let shown: Vec<String> = text.split('\n').map(|line| line.split('\t').map(plain).collect::<Vec<_>>().join("\t")).collect();
    drop(std::io::stdout().lock().write_all(shown.join("\n").as_bytes()));
}

/// Reasons go to standard error.
fn complain(text: &str) {
    for line in text.lines() {
        eprintln!("mimamori-collector: {}", plain(line));
    }
}

/// One compact JSON object a line.
fn print_json(value: &serde_json::Value) {
    print(&format!("{value}\n"));
}
