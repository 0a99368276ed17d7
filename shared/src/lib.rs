//! What the agent, the collector and every verifier have in common: the wire's types, signing, ids and limits.
//!
//! No network, no files, no clock, no async runtime.

pub mod chain;
pub mod consent;
pub mod fields;
pub mod frame;
pub mod id;
pub mod json;
pub mod limits;
pub mod payload;
pub mod sign;
pub mod token;
pub mod time;
pub mod word;
