//! The agent: takes readings under the facility's consent, signs them, keeps them, sends them outwards.
//!
//! `consent -> schedule -> probe -> assemble -> sign -> outbox -> uplink -> receipt`. Decisions are in [`core`], which
//! does no I/O; [`run`] carries them out. It opens no listening socket and takes no commands.

pub mod application;
pub mod backup;
pub mod budget;
pub mod cli;
pub mod cli_ja;
pub mod clock;
pub mod command;
pub mod config;
pub mod consent_file;
mod consent_words;
pub mod core;
mod der;
pub mod diagnosis;
mod fault_words;
pub mod host;
pub mod identity;
pub mod keyring;
pub mod notify_systemd;
pub mod outbox;
pub mod outside;
pub mod probe;
pub mod run;
mod say;
pub mod setup;
pub mod stretch;
pub mod uplink;
mod watch;
