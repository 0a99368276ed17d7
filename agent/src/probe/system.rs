//! How long the machine has been up. Which boot it is travels in the head of the payload.

use super::{Sources, Take};
use mimamori_shared::fields::{Readings, System};
use mimamori_shared::payload::Fault;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let now = Take::new("system", faults).whole(host.now());
    readings.system = now.map(|now| System { uptime_ms: Some(now.boottime_ms), boot_at_ms: Some(now.wall_ms.saturating_sub(now.boottime_ms)) });
}
