//! Reads the command line and the environment; everything else is in the library.

use mimamori_agent::cli::{Cli, Command, Lang};
use mimamori_agent::cli_ja::JAPANESE;
use mimamori_agent::command::carry_out;
use mimamori_agent::config::ENV_PREFIX;
use mimamori_agent::setup::Environment;
use mimamori_cli::help::parse;
use rustix::fs::Mode;
use std::process::ExitCode;

#[allow(clippy::disallowed_methods, reason = "only main reads the environment")]
fn main() -> ExitCode {
    let var = |name: &str| std::env::var(name).ok();
    let cli: Cli = parse(JAPANESE, var);
    // A job inherits the mask.
    if !matches!(cli.command, Command::Pages(_) | Command::Backup(_)) {
        // What these programs write is for their own account: keys, evidence, ledgers.
        rustix::process::umask(Mode::from_raw_mode(0o077));
    }
    let lang = Lang::chosen(cli.common.lang, var);
    let vars = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment = Environment { https_proxy: var("https_proxy").or_else(|| var("HTTPS_PROXY")), no_proxy: var("no_proxy").or_else(|| var("NO_PROXY")) };
    let ours = vars.filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
    ExitCode::from(carry_out(&cli, lang, ours, &environment))
}
