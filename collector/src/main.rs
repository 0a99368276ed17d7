//! Reads the command line and the environment; everything else is in the library.

use mimamori_cli::help::parse;
use mimamori_collector::cli::{Cli, Command, Lang};
use mimamori_collector::cli_ja::JAPANESE;
use mimamori_collector::command::carry_out;
use mimamori_collector::config::ENV_PREFIX;
use rustix::fs::Mode;
use std::process::ExitCode;

#[allow(clippy::disallowed_methods, reason = "only main reads the environment")]
fn main() -> ExitCode {
    let var = |name: &str| std::env::var(name).ok();
    let cli: Cli = parse(JAPANESE, var);
    if !matches!(cli.command, Command::Pages(_)) {
        // What these programs write is for their own account: keys, evidence, ledgers.
        rustix::process::umask(Mode::from_raw_mode(0o077));
    }
    let lang = Lang::chosen(cli.common.lang, var);
    let vars = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let ours = vars.filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
    let user = var("SUDO_USER").or_else(|| var("USER")).unwrap_or_else(|| "unknown".to_owned());
    ExitCode::from(carry_out(&cli, lang, ours, &user))
}
