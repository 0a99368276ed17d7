//! What the commands do; each returns the exit code.

mod check;
mod collect;
mod config;
mod consent;
mod consent_state;
mod enroll;
mod grant;
mod ledger;
mod manifest;
mod preview;
mod status;

use crate::cli::{Cli, Command, ConsentCommand, Lang, LedgerCommand, exit};
use crate::config::Config;
use crate::run;
use crate::setup::Environment;
use clap::CommandFactory as _;
use mimamori_shared::error::{chain, plain};
use std::path::Path;

/// Carries out a command line.
#[must_use]
pub fn carry_out(cli: &Cli, lang: Lang, vars: Vec<(String, String)>, environment: &Environment) -> u8 {
    match &cli.command {
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "mimamori-agent", &mut script);
            print(&String::from_utf8_lossy(&script));
            return exit::OK;
        }
        Command::Man { folder } => return man(folder.as_deref()),
        Command::Config(command) => return config::carry_out(command, cli, vars),
        _ => {}
    }
    let config = match Config::load(&cli.config, vars.into_iter(), &cli.sets) {
        Ok(config) => config,
        Err(faults) => {
            faults.iter().for_each(|fault| complain(&fault.to_string()));
            return exit::CONFIG;
        }
    };
    match &cli.command {
        Command::Enroll { token_file } => enroll::enroll(&config, token_file, lang, environment),
        Command::Run => match run::run(&config, environment) {
            Ok(()) => exit::OK,
            Err(fault) => {
                complain(&chain(&fault));
                if fault.is_config() { exit::CONFIG } else { exit::FAILED }
            }
        },
        Command::Check(output) => check::check(&config, *output, lang, environment),
        Command::Status(output) => status::status(&config, *output, lang, environment),
        Command::Preview => preview::preview(&config, lang, environment),
        Command::Manifest(output) => manifest::manifest(&config, *output, lang, environment),
        Command::Consent(ConsentCommand::Show(output)) => consent::show(&config, *output, lang, environment),
        Command::Consent(ConsentCommand::Grant(args)) => grant::grant(&config, args, lang),
        Command::Consent(ConsentCommand::Withdraw { keep_unsent, .. }) => grant::withdraw(&config, *keep_unsent, lang),
        Command::Collect { lasting } => collect::collect(&config, lasting, lang),
        Command::Ledger(LedgerCommand::Show { last, full, output }) => ledger::show(&config, *last, *full, *output),
        Command::Ledger(LedgerCommand::Verify(output)) => ledger::verify(&config, *output, lang),
        Command::Ledger(LedgerCommand::Export { output }) => ledger::export(&config, output.as_deref()),
        Command::Completion { .. } | Command::Man { .. } | Command::Config(_) => exit::OK,
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
#[allow(clippy::print_stdout, reason = "commands print their data")]
fn print(text: &str) {
    use std::io::Write as _;
    // A reader that has gone away wants nothing more.
    let shown: Vec<String> = text.split('\n').map(|line| line.split('\t').map(plain).collect::<Vec<_>>().join("\t")).collect();
    drop(std::io::stdout().lock().write_all(shown.join("\n").as_bytes()));
}

/// Reasons go to standard error.
fn complain(text: &str) {
    for line in text.lines() {
        eprintln!("mimamori-agent: {}", plain(line));
    }
}

/// One compact JSON object a line.
fn print_json(value: &serde_json::Value) {
    print(&format!("{value}\n"));
}
