//! How many units of systemd failed, or are started again and again: systemd is asked itself, over the system bus.
//!
//! Without systemd there is nothing to count (`not_found`); where it runs and nobody listens at the bus it cannot be asked
//! (`unsupported`). Neither is a machine on which nothing failed.

use super::hardware::code_of;
use super::{Sources, Take};
use crate::host::Host;
use crate::host::ask::{Question, soon};
use mimamori_parse::dbus;
use mimamori_shared::fields::{Readings, Units};
use mimamori_shared::payload::{Fault, FaultCode};

/// There as long as systemd is the manager of the machine: sd_booted(3).
const MANAGED: &str = "run/systemd/system";

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let counted = Take::new("units", faults).whole(counted(host));
    readings.units = counted.map(|dbus::Units { total, failed, restarting }| Units { total: Some(total), failed: Some(failed), restarting: Some(restarting) });
}

fn counted(host: &Host) -> Result<dbus::Units, FaultCode> {
    match host.ask(Question::Units, soon()) {
        Err(FaultCode::NotFound) if host.list(MANAGED, usize::MAX).is_ok() => Err(FaultCode::Unsupported),
        answer => dbus::units(&answer?).map_err(code_of),
    }
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
