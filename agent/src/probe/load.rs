//! Run queue averages, from `proc/loadavg`.

use super::{Sources, Take, text};
use mimamori_shared::fields::{Load, Readings};
use mimamori_shared::payload::Fault;

const BYTES_MAX: u64 = 4096;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    readings.load = Take::new("load", faults).section(host.read("proc/loadavg", BYTES_MAX), parse, Load::is_empty);
}

pub(super) fn parse(text: &str, take: &mut Take<'_>) -> Load {
    let mut words = text.split_ascii_whitespace();
    let mut next = |field| take.parsed(field, words.next(), text::milli);
    Load { load1_milli: next("load1_milli"), load5_milli: next("load5_milli"), load15_milli: next("load15_milli") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::{check_section, corpus};
    use proptest::prelude::*;

    fn check(text: &str, expected: &str, faults: &[&str]) {
        check_section("load", text, parse, Load::is_empty, expected, faults);
    }

    #[test]
    fn averages_are_thousandths() {
        check("0.21 12.37 128.00 1/719 19737\n", r#"{"load1_milli":210,"load5_milli":12370,"load15_milli":128000}"#, &[]);
    }

    #[test]
    fn a_missing_or_broken_value_costs_only_itself() {
        check("0.21 -1.0", r#"{"load1_milli":210}"#, &["load.load5_milli malformed", "load.load15_milli not_found"]);
        for text in ["", "garbage here too", "-1 -2 -3"] {
            check(text, "null", &["load malformed"]);
        }
    }

    #[test]
    fn real_files_are_read() {
        let Some(text) = corpus("load::real_files_are_read", "proc-sys/jc/linux-proc__loadavg") else { return };
        check(&text, r#"{"load1_milli":0,"load5_milli":10,"load15_milli":30}"#, &[]);
        let Some(text) = corpus("load::real_files_are_read", "proc-sys/node_exporter/proc/loadavg") else { return };
        check(&text, r#"{"load1_milli":210,"load5_milli":370,"load15_milli":390}"#, &[]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in ".*") {
            parse(&text, &mut Take::new("load", &mut Vec::new()));
        }
    }
}
