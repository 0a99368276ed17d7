//! The pure core of the collector: no I/O, no clock.

pub mod fork;
pub mod presence;
pub mod session;
