//! Traffic between memory and disk, from `proc/vmstat`.

use super::{Sources, Take, text};
use mimamori_shared::fields::{Paging, Readings};
use mimamori_shared::payload::Fault;

const BYTES_MAX: u64 = 64 * 1024;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    readings.paging = Take::new("paging", faults).section(host.read("proc/vmstat", BYTES_MAX), parse, Paging::is_empty);
}

pub(super) fn parse(text: &str, take: &mut Take<'_>) -> Paging {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    let mut counted = |field, key| take.parsed(field, value(key), text::whole);
    let mut paging = Paging {
        faults: counted("faults", "pgfault"),
        major_faults: counted("major_faults", "pgmajfault"),
        swap_in_pages: counted("swap_in_pages", "pswpin"),
        swap_out_pages: counted("swap_out_pages", "pswpout"),
        oom_kills: None,
    };
    // Kernels before 4.13 do not count it: that is no fault of theirs.
    if let Some(kills) = value("oom_kill") {
        paging.oom_kills = take.parsed("oom_kills", Some(kills), text::whole);
    }
    paging
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::{check_section, corpus};
    use proptest::prelude::*;

    fn check(text: &str, expected: &str, faults: &[&str]) {
        check_section("paging", text, parse, Paging::is_empty, expected, faults);
    }

    #[test]
    fn counters_are_found_by_their_whole_name() {
        let text = "pgfaultaround 9\npgfault 1\npgmajfault 2\npswpin 3\npswpout 4\noom_kill 5\n";
        check(text, r#"{"faults":1,"major_faults":2,"swap_in_pages":3,"swap_out_pages":4,"oom_kills":5}"#, &[]);
    }

    #[test]
    fn an_old_kernel_counts_no_kills_and_a_broken_value_costs_itself() {
        let text = "pgfault 1\npgmajfault -2\npswpin 3\n";
        check(text, r#"{"faults":1,"swap_in_pages":3}"#, &["paging.major_faults malformed", "paging.swap_out_pages not_found"]);
        check("oom_kill x\n", "null", &["paging malformed"]);
    }

    #[test]
    fn a_real_file_is_read() {
        let Some(text) = corpus("paging::a_real_file_is_read", "proc-sys/jc/linux-proc__vmstat") else { return };
        let json = corpus("paging::a_real_file_is_read", "proc-sys/jc/linux-proc__vmstat.json").unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let mut faults = Vec::new();
        let paging = parse(&text, &mut Take::new("paging", &mut faults));
        assert_eq!((paging.faults, paging.oom_kills), (json["pgfault"].as_i64(), json["oom_kill"].as_i64()));
        assert!(paging.faults.is_some() && faults.is_empty(), "{faults:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in "(.|\n)*|pgfault .*\noom_kill [0-9]*\n") {
            parse(&text, &mut Take::new("paging", &mut Vec::new()));
        }
    }
}
