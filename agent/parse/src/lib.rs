//! Reads what a machine's tools and its kernel say: pure functions from bytes to typed records.
//!
//! Everything given to this crate is hostile. It opens no file, runs no program and knows no time: what it reads comes
//! from the probes, from the hardware helper, or from somebody who runs `mimamori-agent parse` on a file of his own.
//!
//! One file per kind. Each has a typed record and a `parse` that makes it; [`KINDS`] says how a kind is judged for the
//! command. Probes use the typed records and never the judgement's text. Kinds of one family share a record: [`patch`],
//! [`antivirus`], [`backup`]; moments that tools write in their own way are read by [`when`].
//!
//! The words of a fault: `permission_denied`, `not_found`, `no_device`, `busy`, `standby` (it sleeps and was not woken),
//! `timed_out`, `unsupported`, `not_running`, `locked`, `malformed` (one line among good ones), `too_many` (left out),
//! `unreachable` (a server or repository), `wrong_key` (a signature, password or key does not fit), `damaged` (what is stored),
//! `empty` (an answer with nothing in it), `stale` (its source is too old), `not_registered` (it has no right to its source),
//! `io_error` (anything else that failed).

pub mod antivirus;
pub mod apcaccess;
pub mod apt;
pub mod apt_mark;
pub mod backup;
pub mod backup_runs;
pub mod barman;
pub mod borg;
pub mod btrfs;
pub mod chronyc;
pub mod clamav_cvd;
pub mod dbus;
pub mod defender;
pub mod df;
pub mod diskstats;
pub mod dmesg;
pub mod dnf;
pub mod drive;
pub mod drop_json;
pub mod edac;
pub mod hardware;
pub mod hwmon;
pub mod ipmi_sensor;
pub mod kaspersky;
pub mod lvs;
pub mod mdadm;
pub mod mdatp;
pub mod mdstat;
pub mod mount;
pub mod multipath;
pub mod nagios;
pub mod needrestart;
pub mod needs_restarting;
pub mod netdev;
pub mod nvme_cli;
pub mod os_release;
pub mod patch;
pub mod pgbackrest;
pub mod physicaldisk;
pub mod power_supply;
pub mod psi;
pub mod restic;
pub mod smartctl;
pub mod smartctl_text;
pub mod storcli;
pub mod symantec;
pub mod systemd;
pub mod text;
pub mod textfile;
pub mod timedatectl;
pub mod ups;
pub mod upsc;
pub mod veeam;
pub mod w32tm;
pub mod wbadmin;
pub mod when;
pub mod wua;
pub mod zpool;

mod clock;
mod complaint;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod encodings;
mod input;
mod json;
mod kind;
mod outcome;
mod powershell;
mod trouble;
mod verdict;

pub use input::{Tree, Unreadable};
pub use kind::{KINDS, Kind, Read, find};
pub use outcome::{Fault, Outcome, Reading, Status};
pub use trouble::complaint_code;

/// Largest input that is looked at, in bytes; far above what a tool prints about one machine.
pub const INPUT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most records one input may hold; what is beyond them is a fault, `too_many`.
pub const RECORDS_MAX: usize = 1024;
