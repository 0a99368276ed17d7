//! The collector: verifies what agents sign, keeps it, and shows it.
//!
//! `ingest -> store -> work`, and `web` and `export` read the store. Decisions are in `mimamori-domain`, which does
//! no I/O.

pub mod cli;
pub mod cli_ja;
pub mod clock;
pub mod command;
pub mod config;
pub mod digest;
pub mod export;
pub mod ingest;
pub mod keys;
pub mod net;
pub mod revocation;
pub mod serve;
pub mod store;
pub mod view;
pub mod web;
pub mod words;
pub mod work;
