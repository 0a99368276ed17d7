//! What the commands do; each returns the exit code.

mod digest;
mod export;
mod facility;
mod forks;
mod init;
mod keys;
mod machine;
mod token;

use crate::cli::{Cli, Command, ConfigCommand, FacilityCommand, Lang, MachineCommand, TokenCommand, exit};
use crate::config::Config;
use crate::keys::KeysError;
use crate::revocation;
use crate::serve::{self, StartError};
use crate::store::{Actor, ActorKind, Store, StoreError};
use clap::CommandFactory as _;
use mimamori_cli::print::{print, print_json};
use mimamori_shared::error::chain;

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
    if let Command::Pages(pages) = &cli.command {
        return pages.carry_out(Cli::command()).map_or_else(
            |fault| {
                complain(&fault);
                exit::USAGE
            },
            |()| exit::OK,
        );
    }
    let config = match Config::load(&cli.config, vars.into_iter(), &cli.common.sets) {
        Ok(config) => config,
        Err(faults) => {
            complain(&mimamori_cli::config::lines(&faults, lang));
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
        Command::Serve { accept_rollback } => Ok(serve::serve(config, accept_rollback.then_some(actor))?),
        Command::Keys(command) => keys::carry_out(config, command, lang),
        Command::Config(command) => {
            command.carry_out(config.values());
            if matches!(command, ConfigCommand::Check) { check(config) } else { Ok(()) }
        }
        Command::Pages(_) => Ok(()),
        Command::Facility(_) | Command::Machine(_) | Command::Token(_) | Command::Fsck(_) | Command::Digest { .. } | Command::Export { .. } => {
            // The folder is looked at before a database is made in it.
            let keys = crate::keys::load(&config.state_dir())?;
            let store = serve::open_store(config)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            // Nothing is decided on a database that has forgotten what was decided; looking at it is allowed.
            if !matches!(command, Command::Fsck(_) | Command::Export { .. }) && !looks_only(command) {
                let path = revocation::path(config);
                runtime.block_on(revocation::check(&path, &keys, &store, None, crate::clock::now_ms())).map_err(StartError::from)?;
            }
            runtime.block_on(with_store(config, &keys, &store, command, lang, actor))
        }
    }
}

/// Beside what reading finds: what contradicts the collector's keys, where there are some.
fn check(config: &Config) -> Done {
    let keys = crate::keys::load(&config.state_dir());
    let fault = keys.ok().and_then(|keys| serve::public_url_fault(config, &keys.hosts));
    fault.map_or(Ok(()), |fault| Err(Failed(exit::CONFIG, fault)))
}

fn looks_only(command: &Command) -> bool {
    matches!(
        command,
        Command::Machine(MachineCommand::List { .. } | MachineCommand::Show { .. } | MachineCommand::Forks { .. })
            | Command::Facility(FacilityCommand::List(_) | FacilityCommand::Show { .. })
            | Command::Token(TokenCommand::List(_))
    )
}

async fn with_store(config: &Config, keys: &crate::keys::Keys, store: &Store, command: &Command, lang: Lang, actor: &Actor) -> Done {
    match command {
        Command::Facility(command) => facility::carry_out(store, actor, command, lang).await,
        Command::Machine(command) => machine::carry_out(config, store, keys, actor, command, lang).await,
        Command::Token(command) => token::carry_out(config, keys, store, actor, command, lang).await,
        Command::Fsck(output) => export::fsck(store, *output, lang).await,
        Command::Digest { day, output } => digest::show(config, store, day.as_deref(), *output, lang).await,
        Command::Export { machine, output } => export::export(store, keys, machine, output.as_deref()).await,
        Command::Init { .. } | Command::Serve { .. } | Command::Keys(_) | Command::Config(_) | Command::Pages(_) => Ok(()),
    }
}

/// Reasons go to standard error.
fn complain(text: &str) {
    mimamori_cli::print::complain("mimamori-collector", text);
}
