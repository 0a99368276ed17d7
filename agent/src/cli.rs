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
    /// Asks the agent to collect for a while, under a consent on demand; for the facility's administrator.
    Collect {
        /// For how long, at most a day.
        #[arg(long = "for", value_name = "DURATION")]
        lasting: String,
    },
    /// What is measured on this machine, for the engineer on site; nothing of it is sent.
    #[command(subcommand)]
    Probe(ProbeCommand),
    /// Reads a tool's output, or a file of the kernel's, and prints how the agent understands it, as JSON; needs no
    /// configuration.
    Parse(ParseArgs),
    /// Backup jobs, run as they are and written down.
    #[command(subcommand)]
    Backup(BackupCommand),
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

/// Probe commands.
#[derive(Debug, Subcommand)]
pub enum ProbeCommand {
    /// Lists every probe: what it reads, which program runs it, how often it is sent.
    List(Output),
    /// Takes one section now and shows it, with the mend of what could not be read.
    Run {
        /// Which, as `probe list` names it.
        name: String,
        /// Of `application`, one check alone.
        alias: Option<String>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}

/// Backup commands.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Runs a backup job and leaves a record of it: when, how it ended, what its target held before and after.
    ///
    /// The job's output and exit status pass through. Whatever goes wrong with the record is said on standard error and
    /// does not keep the job from running. No configuration is read, and nothing is sent: the record stays in its folder.
    Run {
        /// The set's alias, as in the agent's configuration.
        // In the place of the configuration's `--set`: here no configuration is read.
        #[arg(id = "sets", long = "set", value_name = "ALIAS")]
        set: Option<String>,
        /// File or folder that the job writes: its bytes and files are counted before and after.
        #[arg(long, value_name = "PATH")]
        target: Option<PathBuf>,
        /// Folder of the records.
        #[arg(long, value_name = "FOLDER", default_value = crate::backup::RECORDS_FOLDER)]
        records: PathBuf,
        /// The job: program and arguments. No shell is in between.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<std::ffi::OsString>,
    },
}

/// What to read.
#[derive(Debug, Clone, clap::Args)]
pub struct ParseArgs {
    /// What it is, such as `smartctl`.
    #[arg(required_unless_present = "list")]
    pub kind: Option<String>,
    /// The file, or the folder for `hwmon` and `edac`; packed with gzip or not. `-` reads standard input.
    #[arg(required_unless_present = "list")]
    pub path: Option<PathBuf>,
    /// The moment by which ages are judged, with its offset, such as 2026-11-22T09:00:00+09:00; without it no age is judged.
    #[arg(long, value_name = "RFC3339")]
    pub at: Option<String>,
    /// Lists everything that can be read.
    #[arg(long, conflicts_with_all = ["kind", "path", "at"])]
    pub list: bool,
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
    /// Writes the consent file; for the facility's administrator.
    Grant(Box<GrantArgs>),
    /// Takes the consent back; its record stays in the file. For the facility's administrator.
    Withdraw {
        /// What was collected under the consent and is unsent may still leave.
        #[arg(long, conflicts_with = "purge_unsent")]
        keep_unsent: bool,
        /// What is unsent is removed, and the withdrawal says how much; the default.
        #[arg(long)]
        purge_unsent: bool,
    },
}

/// What `consent grant` writes.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("end").required(true)))]
pub struct GrantArgs {
    /// Who approves. Stays on this machine.
    #[arg(long, value_name = "NAME")]
    pub approver: String,
    /// Why, such as a contract's number. Stays on this machine.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// From when, such as 2026-04-01T00:00:00+09:00; now by default.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Until when, not included.
    #[arg(long, value_name = "TIME", group = "end")]
    pub to: Option<String>,
    /// How long, such as 90d; 1y is 365 days.
    #[arg(long = "for", value_name = "DURATION", group = "end")]
    pub lasting: Option<String>,
    /// A scope, with its shortest interval if it is not a minute, such as performance=5m; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE[=EVERY]", required = true)]
    pub scopes: Vec<String>,
    /// A field or section that is held back, such as network.rx_bytes; may be repeated.
    #[arg(long, value_name = "FIELD")]
    pub except: Vec<String>,
    /// A field that leaves only if it is named, such as drive.serial_number; may be repeated.
    #[arg(long, value_name = "FIELD")]
    pub include: Vec<String>,
    /// How: continuous, periodic or on_demand.
    #[arg(long, default_value = "continuous", value_parser = ["continuous", "periodic", "on_demand"])]
    pub mode: String,
    /// An agreed window of a periodic consent, such as "mon-fri 18:00-24:00"; may be repeated.
    #[arg(long, value_name = "WINDOW")]
    pub period: Vec<String>,
    /// A window in which only heartbeat is taken, such as "mon-fri 08:30-12:00"; may be repeated.
    #[arg(long, value_name = "WINDOW")]
    pub quiet: Vec<String>,
    /// Local time of the windows.
    #[arg(long, value_name = "OFFSET", default_value = "+09:00", allow_hyphen_values = true)]
    pub utc_offset: String,
    /// Marks it as an example that nobody approved: it counts towards a collector on this machine only.
    #[arg(long)]
    pub example: bool,
    /// Replaces the consent that is there.
    #[arg(long)]
    pub replace: bool,
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
        /// How to say what was written to a file.
        #[command(flatten)]
        print: Output,
    },
    /// Writes the fingerprints of the collector's root and of this machine's key: the trust anchor of later verification.
    ///
    /// A file is TOML, as verifiers take it with `--trust`; standard output too, unless `--json` asks for the same as JSON.
    Trust {
        /// Where to; standard output by default.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// How to say what was written to a file.
        #[command(flatten)]
        print: Output,
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
