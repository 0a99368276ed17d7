//! Swap space, from `proc/meminfo`. A machine without swap has 0 bytes of it; that is a reading, not a fault.

use super::memory::{BYTES_MAX, kibibytes, value};
use super::{Sources, Take};
use mimamori_shared::fields::{Readings, Swap};
use mimamori_shared::payload::Fault;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    readings.swap = Take::new("swap", faults).section(host.read("proc/meminfo", BYTES_MAX), parse, Swap::is_empty);
}

pub(super) fn parse(text: &str, take: &mut Take<'_>) -> Swap {
    Swap {
        total_bytes: take.parsed("total_bytes", value(text, "SwapTotal"), kibibytes),
        free_bytes: take.parsed("free_bytes", value(text, "SwapFree"), kibibytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::{check_section, corpus};

    fn check(text: &str, expected: &str, faults: &[&str]) {
        check_section("swap", text, parse, Swap::is_empty, expected, faults);
    }

    #[test]
    fn no_swap_is_a_reading_and_no_answer_is_a_fault() {
        check("SwapTotal:  0 kB\nSwapFree: 0 kB\n", r#"{"total_bytes":0,"free_bytes":0}"#, &[]);
        check("SwapCached: 7 kB\nSwapTotal: 2 kB\n", r#"{"total_bytes":2048}"#, &["swap.free_bytes not_found"]);
        check("MemTotal: 8 kB\n", "null", &["swap malformed"]);
    }

    #[test]
    fn real_files_are_read() {
        let Some(text) = corpus("swap::real_files_are_read", "proc-sys/node_exporter/proc/meminfo") else { return };
        check(&text, r#"{"total_bytes":4294963200,"free_bytes":3231088640}"#, &[]);
    }
}
