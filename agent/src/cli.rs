//! The command line: one table (clap's) from which help, completions and man pages are made.

use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Exit codes, as documented in every man page.
pub mod exit {
    /// Done.
    pub const OK: u8 = 0;
    /// Done, and the answer is no: a check failed, a ledger does not verify, a push failed.
    pub const FAILED: u8 = 1;
    /// The command line, or what it names, cannot be used.
    pub const USAGE: u8 = 2;
    /// Configuration or identity cannot be used: systemd must not try again.
    pub const CONFIG: u8 = 78;
}

const AFTER: &str = "Exit status: 0 done; 1 done, and the answer is no; 2 wrong usage or unreadable input; 78 configuration or identity cannot be used.

Configuration: flag (--set) over environment (MIMAMORI_AGENT_*) over conf.d over file over default.";

/// Signs this machine's readings and sends them outwards, and only outwards.
#[derive(Debug, Parser)]
#[command(name = "mimamori-agent", version, after_help = AFTER)]
pub struct Cli {
    /// Configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
    pub config: PathBuf,
    /// Sets one key, over everything else; may be repeated.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Language of what people read; by default as LANG says.
    #[arg(long, global = true, value_enum)]
    pub lang: Option<Lang>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English.
    En,
    /// Japanese.
    Ja,
}

impl Lang {
    /// The one of two texts.
    #[must_use]
    pub fn of<'a>(self, en: &'a str, ja: &'a str) -> &'a str {
        match self {
            Lang::En => en,
            Lang::Ja => ja,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Redeems a token: makes this machine's key and gets its identity.
    Enroll {
        /// File that holds the token; `-` reads standard input.
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
    /// Collects, signs and sends until it is told to stop.
    Run,
    /// Looks for what would keep the agent from working, and says how to mend it.
    Check(Output),
    /// Says how the agent is doing.
    Status(Output),
    /// Prints exactly the next payload, and sends nothing.
    Preview,
    /// Lists every field that may leave under the present consent.
    Manifest(Output),
    /// The facility's consent.
    #[command(subcommand)]
    Consent(ConsentCommand),
    /// The ledger of everything that left.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
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

/// How to print.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Output {
    /// Prints JSON with a schema version.
    #[arg(long)]
    pub json: bool,
}

/// Consent commands.
#[derive(Debug, Subcommand)]
pub enum ConsentCommand {
    /// Shows the consent in force, or why there is none.
    Show(Output),
}

/// Ledger commands.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Shows what left, newest last.
    Show {
        /// How many entries.
        #[arg(long, default_value_t = 10)]
        last: u64,
        /// Prints the exact payloads too.
        #[arg(long)]
        full: bool,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Proves, offline, that ledger, chain and receipts agree, or names the first break.
    Verify(Output),
    /// Writes the ledger as JSON lines that anybody can verify (docs/WIRE.md).
    Export {
        /// Where to; standard output by default.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Configuration commands.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Reads the configuration and reports every fault.
    Check,
    /// Shows the configuration.
    Show {
        /// Defaults too.
        #[arg(long)]
        effective: bool,
        /// Where each value came from.
        #[arg(long)]
        origin: bool,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}
