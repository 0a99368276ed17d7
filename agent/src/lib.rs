//! Signs this machine's readings and sends them outwards, and only outwards.

pub mod host;
pub mod probe;
