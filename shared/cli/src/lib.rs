//! What the command lines of both programs do alike: exit codes, language, printing, configuration files,
//! `config show`, completions and man pages.
//!
//! Reads configuration files and writes to the terminal; knows no network and no runtime, and nothing of what either
//! program is for.

pub mod config;
pub mod help;
pub mod lang;
pub mod pages;
pub mod print;
pub mod wrong;

pub use lang::Lang;

/// Exit codes, as documented in every man page.
pub mod exit {
    /// Done.
    pub const OK: u8 = 0;
    /// Done, and the answer is no: a check failed, a ledger does not verify, a push failed.
    pub const FAILED: u8 = 1;
    /// The command line, or what it names, cannot be used.
    pub const USAGE: u8 = 2;
    /// Configuration, identity or keys cannot be used: systemd must not try again.
    pub const CONFIG: u8 = 78;
}

/// How to print.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Output {
    /// Prints JSON with a schema version.
    #[arg(long)]
    pub json: bool,
}

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Sets one key, over everything else; may be repeated.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Language of what people read; by default as LANG says.
    #[arg(long, global = true, value_enum)]
    pub lang: Option<Lang>,
}
