//! What the commands do; each returns the exit code.

mod audit;
mod digest;
mod export;
mod facility;
mod fault;
mod finding_words;
mod forks;
mod init;
mod keys;
mod machine;
mod token;

use crate::cli::{Cli, Command, ConfigCommand, FacilityCommand, Lang, MachineCommand, Output, TokenCommand, exit};
use crate::config::{Config, files};
use crate::revocation;
use crate::serve::{self, StartError};
use crate::store::{Actor, ActorKind, Store};
use clap::CommandFactory as _;
use fault::Failed;
use mimamori_cli::config::{lines, refuse};
use mimamori_cli::print::{complain, print, print_json};
use serde_json::{Value, json};

/// How it is called.
const PROGRAM: &str = "mimamori-collector";

type Done = Result<(), Failed>;

/// Carries out a command line.
#[must_use]
pub fn carry_out(cli: &Cli, lang: Lang, vars: Vec<(String, String)>, user: &str) -> u8 {
    if let Command::Pages(pages) = &cli.command {
        return pages.carry_out(Cli::command(), lang);
    }
    let config = match Config::load(&cli.config, vars.into_iter(), &cli.common.sets) {
        Ok(config) => config,
        Err(faults) => {
            let asked = if let Command::Config(command) = &cli.command { Some(command) } else { None };
            return refuse(PROGRAM, asked, &lines(&faults, lang));
        }
    };
    let actor = Actor { kind: ActorKind::Cli, name: mimamori_shared::word::Word::hardware(user).unwrap_or_default() };
    if let Command::Config(command) = &cli.command {
        return match fault_of(&config, lang) {
            Some(fault) if matches!(command, ConfigCommand::Check(_)) => refuse(PROGRAM, Some(command), &[fault]),
            _ => {
                command.carry_out(config.values(), &files(&cli.config), lang);
                exit::OK
            }
        };
    }
    match dispatch(&config, &cli.command, lang, &actor) {
        Ok(()) => exit::OK,
        Err(fault) => {
            complain(PROGRAM, fault.in_lang(lang));
            fault.code
        }
    }
}

fn dispatch(config: &Config, command: &Command, lang: Lang, actor: &Actor) -> Done {
    match command {
        Command::Init { hosts } => init::init(config, hosts, lang),
        Command::Serve { accept_rollback } => Ok(serve::serve(config, accept_rollback.then_some(actor), lang)?),
        Command::Keys(command) => keys::carry_out(config, command, lang),
        Command::Config(_) | Command::Pages(_) => Ok(()),
        Command::Facility(_)
        | Command::Machine(_)
        | Command::Token(_)
        | Command::Audit(_)
        | Command::Fsck(_)
        | Command::Digest { .. }
        | Command::Export { .. } => {
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
fn fault_of(config: &Config, lang: Lang) -> Option<String> {
    let keys = crate::keys::load(&config.state_dir()).ok()?;
    serve::public_url_fault(config, &keys.hosts, lang)
}

fn looks_only(command: &Command) -> bool {
    matches!(
        command,
        Command::Machine(MachineCommand::List { .. } | MachineCommand::Show { .. } | MachineCommand::Forks { .. })
            | Command::Facility(FacilityCommand::List(_) | FacilityCommand::Show { .. })
            | Command::Token(TokenCommand::List(_))
            | Command::Audit(_)
    )
}

async fn with_store(config: &Config, keys: &crate::keys::Keys, store: &Store, command: &Command, lang: Lang, actor: &Actor) -> Done {
    match command {
        Command::Facility(command) => facility::carry_out(store, actor, command, lang).await,
        Command::Machine(command) => machine::carry_out(config, store, keys, actor, command, lang).await,
        Command::Token(command) => token::carry_out(config, keys, store, actor, command, lang).await,
        Command::Audit(command) => audit::carry_out(config, store, command, lang).await,
        Command::Fsck(output) => export::fsck(config, keys, store, *output, lang).await,
        Command::Digest { day, output } => digest::show(config, store, day.as_deref(), *output, lang).await,
        Command::Export { machine, output, print } => export::export(store, keys, machine, output.as_deref(), *print, lang).await,
        Command::Init { .. } | Command::Serve { .. } | Command::Keys(_) | Command::Config(_) | Command::Pages(_) => Ok(()),
    }
}

/// Says what was done: a line for people, or JSON that tells about what.
fn did(output: Output, what: &str, about: &Value, text: &str) {
    output.say(&json!({"schema": "mimamori.done/1", "did": what, "about": about}), &format!("{text}\n"));
}
