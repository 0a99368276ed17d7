//! The command line: one table (clap's) from which help, completions and man pages are made.

use crate::store::Network;
use clap::{Parser, Subcommand};
use mimamori_cli::Common;
use mimamori_shared::id::{AgentId, KeyId};
use mimamori_shared::word::Word;
use std::path::PathBuf;
use std::str::FromStr;

pub use mimamori_cli::config::ConfigCommand;
pub use mimamori_cli::pages::Pages;
pub use mimamori_cli::{Lang, Output, exit};

const AFTER: &str = "Exit status: 0 done; 1 done, and the answer is no; 2 wrong usage or what is named does not exist; 78 configuration or keys cannot be used.

Configuration: flag (--set) over environment (MIMAMORI_COLLECTOR_*) over collector.d over file over default.";

/// Verifies, keeps and shows what the agents sign.
#[derive(Debug, Parser)]
#[command(name = "mimamori-collector", version, after_help = AFTER)]
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

/// A facility's or machine's short name: `[a-z0-9_-]{1,32}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias(pub Word);

impl FromStr for Alias {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Word::alias(text).map(Alias).map_err(|_| "an alias is 1 to 32 of the characters a-z 0-9 _ -".to_owned())
    }
}

/// A key's fingerprint as people compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub KeyId);

impl FromStr for Fingerprint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        digits
            .parse()
            .map(Fingerprint)
            .map_err(|_| "a fingerprint is eight groups of four hex digits, such as 0011-2233-4455-6677-8899-aabb-ccdd-eeff".to_owned())
    }
}

/// `FACILITY/MACHINE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineName {
    /// The facility.
    pub facility: Word,
    /// The machine.
    pub machine: Word,
}

impl FromStr for MachineName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (facility, machine) = text.split_once('/').ok_or("a machine is named FACILITY/MACHINE")?;
        Ok(MachineName { facility: facility.parse::<Alias>()?.0, machine: machine.parse::<Alias>()?.0 })
    }
}

/// A machine to look at: by its name the one in service, or the one retired last; by its agent id any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// By its name.
    Named(MachineName),
    /// By its agent.
    Agent(AgentId),
}

impl FromStr for Which {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return text.parse().map(Which::Named);
        }
        text.parse().map(Which::Agent).map_err(|_| "a machine is named FACILITY/MACHINE, or by its agent id, 32 hexadecimal digits".to_owned())
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes keys, certificate authority and database, once.
    Init {
        /// Name or address agents reach the collector by; may be repeated, the first one stands in tokens.
        #[arg(long = "host", required = true, value_name = "HOST")]
        hosts: Vec<String>,
    },
    /// Serves agents, pages and metrics until it is told to stop.
    Serve {
        /// Accepts that the database went back: revokes again what the revocation file names, or writes that file anew.
        #[arg(long)]
        accept_rollback: bool,
    },
    /// The collector's own keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Facilities.
    #[command(subcommand)]
    Facility(FacilityCommand),
    /// Machines.
    #[command(subcommand)]
    Machine(MachineCommand),
    /// Enrolment tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// What operators, agents and the collector did.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Recomputes every chain from the evidence and says what does not agree.
    Fsck(Output),
    /// What happened on a day: abuse of the line, alarms, findings. Today by default.
    Digest {
        /// A day of the zone that `digest.utc_offset_h` names, such as 2026-11-27.
        #[arg(long, value_name = "YYYY-MM-DD")]
        day: Option<String>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Writes the evidence of one machine as JSON lines.
    Export {
        /// Which; one that was replaced by its agent id, as `machine list` shows it.
        #[arg(value_name = "FACILITY/MACHINE|AGENT_ID")]
        machine: Which,
        /// Where to; standard output by default.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// How to say what was written to a file.
        #[command(flatten)]
        print: Output,
    },
    /// Completions and man pages.
    #[command(flatten)]
    Pages(Pages),
}

/// Facility commands.
#[derive(Debug, Subcommand)]
pub enum FacilityCommand {
    /// Adds one.
    Add {
        /// Short name.
        alias: Alias,
        /// Name as people write it.
        #[arg(long)]
        name: String,
        /// Marks it as an example.
        #[arg(long)]
        example: bool,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Lists them.
    List(Output),
    /// Shows one with its machines.
    Show {
        /// Which.
        alias: Alias,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}

/// Key commands.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Shows the fingerprints and since when the signing key signs.
    Show(Output),
    /// Makes a new signing key under the root. A running collector takes it with SIGHUP.
    RotateSigning {
        /// The root key's file, such as on a medium carried in; by default `root.key` in state_dir.
        #[arg(long, value_name = "FILE")]
        root: Option<PathBuf>,
    },
}

/// Machine commands.
#[derive(Debug, Subcommand)]
pub enum MachineCommand {
    /// Lists them.
    List {
        /// Only of this facility.
        #[arg(long)]
        facility: Option<Alias>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Shows one.
    Show {
        /// Which; one that was replaced by its agent id, as `machine list` shows it.
        #[arg(value_name = "FACILITY/MACHINE|AGENT_ID")]
        machine: Which,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Shows what changed, newest first: what its self-diagnosis found, and its state.
    History {
        /// Which; one that was replaced by its agent id, as `machine list` shows it.
        #[arg(value_name = "FACILITY/MACHINE|AGENT_ID")]
        machine: Which,
        /// From the beginning of this day on, of the zone that `digest.utc_offset_h` names, such as 2026-11-27; without it, 30 days.
        #[arg(long, value_name = "YYYY-MM-DD")]
        since: Option<String>,
        /// The newest so many of what was found.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Lets it report, after its fingerprint was compared; and lets it open new chains again.
    Approve {
        /// Which.
        #[arg(value_name = "FACILITY/MACHINE")]
        machine: MachineName,
        /// Gives it its name.
        #[arg(long = "as", value_name = "ALIAS")]
        name: Option<Alias>,
        /// Takes the new key with this fingerprint when it is named again; `machine show` lists those that were not taken.
        #[arg(long, value_name = "FINGERPRINT")]
        key: Option<Fingerprint>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Refuses it and its key from now on.
    Revoke {
        /// Which.
        #[arg(value_name = "FACILITY/MACHINE")]
        machine: MachineName,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Explains, in words, where a machine's key spoke with two voices and what to do.
    Forks {
        /// Only of this one; without it, of all that are not retired.
        #[arg(value_name = "FACILITY/MACHINE|AGENT_ID")]
        machine: Option<Which>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Takes it out of service for good; its history stays.
    Retire {
        /// Which.
        #[arg(value_name = "FACILITY/MACHINE")]
        machine: MachineName,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Puts another machine into its place: it takes the name, the old one is retired.
    Replace {
        /// The old one.
        #[arg(value_name = "FACILITY/MACHINE")]
        machine: MachineName,
        /// The new one, of the same facility.
        new: Alias,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Moves it to another facility.
    Move {
        /// Which.
        #[arg(value_name = "FACILITY/MACHINE")]
        machine: MachineName,
        /// Where to.
        #[arg(long)]
        to: Alias,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}

/// Token commands.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Makes one, or one for each machine of a list. A token is shown once and kept nowhere.
    Create {
        /// The facility it enrols into.
        #[arg(long)]
        facility: Alias,
        /// The machine's name: it may report at once. Without one it waits for approval.
        #[arg(long, conflicts_with = "csv")]
        machine: Option<Alias>,
        /// How long it may be redeemed, at most 24h.
        #[arg(long, default_value = "1h")]
        ttl: String,
        /// What for.
        #[arg(long, default_value = "enrolment")]
        reason: String,
        /// From where it may be redeemed, such as 192.0.2.0/24, as the collector sees it; by default from anywhere.
        #[arg(long, value_name = "CIDR")]
        source: Option<Network>,
        /// Writes into a new file that only its owner can read, instead of standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// A list of machine names, one a line: writes `machine,token` lines.
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
        /// How to print.
        #[command(flatten)]
        print: Output,
    },
    /// Lists them; never their secrets.
    List(Output),
    /// Takes one back.
    Revoke {
        /// Which, as `list` shows it.
        id: String,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}

/// Audit commands.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Lists what was done, newest first: by whom, when, to what.
    List {
        /// From the beginning of this day on, of the zone that `digest.utc_offset_h` names, such as 2026-11-27.
        #[arg(long, value_name = "YYYY-MM-DD")]
        since: Option<String>,
        /// The newest so many.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}
