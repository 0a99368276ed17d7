//! What the commands do; each returns the exit code.

mod check;
mod collect;
mod config;
mod consent;
mod consent_state;
mod enroll;
mod grant;
mod helper_words;
mod key;
mod ledger;
mod manifest;
mod noted_words;
mod parse;
mod preview;
mod probe;
mod queue_state;
mod report;
mod status;
mod uninstall;

use crate::backup::{self, Job};
use crate::cli::{BackupCommand, Cli, Command, ConsentCommand, KeyCommand, Lang, LedgerCommand, ProbeCommand, exit};
use crate::config::Config;
use crate::run;
use crate::setup::Environment;
use clap::CommandFactory as _;
use mimamori_cli::config::{lines, refuse};
use mimamori_cli::print::{print, print_json};

/// How it is called.
const PROGRAM: &str = "mimamori-agent";

/// Carries out a command line.
#[must_use]
pub fn carry_out(cli: &Cli, lang: Lang, vars: Vec<(String, String)>, environment: &Environment) -> u8 {
    if let Command::Pages(pages) = &cli.command {
        return pages.carry_out(Cli::command(), lang);
    }
    if let Command::Parse(args) = &cli.command {
        return parse::parse(args, lang);
    }
    // Neither does a job wait for a configuration.
    if let Command::Backup(BackupCommand::Run { set, target, records, command }) = &cli.command {
        let job = Job { set: set.clone().unwrap_or_default(), target: target.clone(), command: command.clone() };
        return backup::run(&job, records, &|why| complain(why)).pass_on();
    }
    let config = match Config::load(&cli.config, vars.into_iter(), &cli.common.sets) {
        Ok(config) => config,
        Err(faults) => {
            let asked = if let Command::Config(command) = &cli.command { Some(command) } else { None };
            return refuse(PROGRAM, asked, &lines(&faults, lang));
        }
    };
    match &cli.command {
        Command::Enroll { token_file } => enroll::enroll(&config, token_file, lang, environment),
        Command::Run => match run::run(&config, environment) {
            Ok(()) => exit::OK,
            Err(fault) => {
                complain(&fault.in_lang(lang));
                if fault.is_config() { exit::CONFIG } else { exit::FAILED }
            }
        },
        Command::Check(output) => check::check(&config, *output, lang, environment),
        Command::Status(output) => status::status(&config, *output, lang, environment),
        Command::Report { html } => report::report(&config, cli, html, lang, environment),
        Command::Uninstall(asked) => uninstall::uninstall(&config, cli, asked, lang, environment),
        Command::Probe(ProbeCommand::List(output)) => probe::list(&config, *output, lang),
        Command::Probe(ProbeCommand::Run { name, alias, output }) => probe::run(&config, name, alias.as_deref(), *output, lang),
        Command::Preview => preview::preview(&config, lang, environment),
        Command::Manifest(output) => manifest::manifest(&config, *output, lang, environment),
        Command::Consent(ConsentCommand::Show(output)) => consent::show(&config, *output, lang, environment),
        Command::Consent(ConsentCommand::Grant(args)) => grant::grant(&config, args, lang),
        Command::Consent(ConsentCommand::Withdraw { keep_unsent, .. }) => grant::withdraw(&config, *keep_unsent, lang),
        Command::Collect { lasting } => collect::collect(&config, lasting, lang),
        Command::Key(KeyCommand::Show(output)) => key::show(&config, *output, lang),
        Command::Key(KeyCommand::Rotate) => key::rotate(&config, lang),
        Command::Ledger(LedgerCommand::Show { last, full, output }) => ledger::show(&config, *last, *full, *output, lang, environment),
        Command::Ledger(LedgerCommand::Verify(output)) => ledger::verify(&config, *output, lang),
        Command::Ledger(LedgerCommand::Export { output, print }) => ledger::export(&config, output.as_deref(), *print, lang),
        Command::Ledger(LedgerCommand::Trust { output, print }) => ledger::trust(&config, output.as_deref(), *print, lang),
        Command::Config(command) => config::carry_out(&config, &cli.config, command, lang),
        Command::Pages(_) | Command::Parse(_) | Command::Backup(_) => exit::OK,
    }
}

/// Reasons go to standard error.
fn complain(text: &str) {
    mimamori_cli::print::complain(PROGRAM, text);
}
