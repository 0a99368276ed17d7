//! Wire types, signing, ids, time and limits of Mimamori. No network, no files, no async runtime.

pub mod config;
pub mod error;
