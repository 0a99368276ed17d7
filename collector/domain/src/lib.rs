//! The pure core of the collector: no I/O, no clock.

pub mod abuse;
pub mod fork;
pub mod presence;
pub mod rate;
pub mod session;
pub mod source;
pub mod wall;
