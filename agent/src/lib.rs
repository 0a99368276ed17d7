//! Signs this machine's readings and sends them outwards, and only outwards.

pub mod notify_systemd;
pub mod uplink;
