//! The command line: one table (clap's) from which help, completions and man pages are made.

use clap::{Parser, Subcommand};
use mimamori_cli::Common;
use std::path::PathBuf;

pub use mimamori_cli::config::ConfigCommand;
pub use mimamori_cli::pages::Pages;
pub use mimamori_cli::{Lang, Output, exit};

const AFTER: &str = "Exit status: 0 done; 1 done, and the answer is no; 2 wrong usage or unreadable input; 78 configuration or identity cannot be used.

Configuration: flag (--set) over environment (MIMAMORI_AGENT_*) over conf.d over file over default.";

/// Signs this machine's readings and sends them outwards, and only outwards.
#[derive(Debug, Parser)]
#[command(name = "mimamori-agent", version, after_help = AFTER)]
pub struct Cli {
    /// Configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
    pub config: PathBuf,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
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
    /// Writes a page for the facility: what is collected, what was sent today, what failed, how to stop it.
    Report {
        /// Where to, as one self-contained HTML page; `-` writes standard output.
        #[arg(long, value_name = "FILE")]
        html: PathBuf,
    },
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
    /// This machine's key.
    #[command(subcommand)]
    Key(KeyCommand),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Removes keys, queue, ledger and configuration from this machine, and states so to the collector.
    Uninstall(Uninstall),
    /// Completions and man pages.
    #[command(flatten)]
    Pages(Pages),
}

/// How to uninstall.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Uninstall {
    /// Removes everything; without `--yes` it only says what that would be.
    #[arg(long)]
    pub purge: bool,
    /// Does it.
    #[arg(long)]
    pub yes: bool,
    /// Does it without the collector, and prints the signed statement for handing over.
    #[arg(long)]
    pub offline: bool,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
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
    /// Shows what left, newest last: when, under which consent, with which receipt.
    ///
    /// Times are UTC; in Japanese also Japan's time (+09:00).
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
    /// Writes the fingerprints of the collector's root and of this machine's key: the trust anchor of later verification.
    Trust {
        /// Where to; standard output by default.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Key commands.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Shows the key's fingerprint, its age, and when it will be changed.
    Show(Output),
    /// Asks for a new key: the running agent hands over to it within seconds, a stopped one when it starts.
    Rotate,
}
