//! What the agent, the collector and every verifier have in common: the wire's types, signing, ids and limits.
//!
//! No network, no files, no clock, no async runtime.

pub mod chain;
pub mod checks;
pub mod config;
pub mod consent;
pub mod error;
pub mod fields;
pub mod frame;
pub mod id;
pub mod json;
pub mod limits;
pub mod payload;
pub mod sign;
pub mod time;
pub mod token;
pub mod word;
