//! Processor time since boot, from `proc/stat`.

use super::{Sources, Take, text};
use mimamori_shared::fields::{Cpu, Readings};
use mimamori_shared::payload::Fault;

/// A machine with 512 processors and as many interrupts still fits.
const BYTES_MAX: u64 = 512 * 1024;
/// The kernel shows processor time in `USER_HZ`, which is 100 on every architecture this is built for.
const MS_PER_TICK: i64 = 10;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    readings.cpu = Take::new("cpu", faults).section(host.read("proc/stat", BYTES_MAX), parse, Cpu::is_empty);
}

pub(super) fn parse(text: &str, take: &mut Take<'_>) -> Cpu {
    // Kernels older than 2.6.11 end their line earlier; what is not there is not zero.
    let mut ticks = text.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default().split_ascii_whitespace();
    let mut next = |field| take.parsed(field, ticks.next(), milliseconds);
    let mut cpu = Cpu {
        user_ms: next("user_ms"),
        nice_ms: next("nice_ms"),
        system_ms: next("system_ms"),
        idle_ms: next("idle_ms"),
        iowait_ms: next("iowait_ms"),
        irq_ms: next("irq_ms"),
        softirq_ms: next("softirq_ms"),
        steal_ms: next("steal_ms"),
        logical_count: None,
    };
    let count = text.lines().filter_map(|line| line.strip_prefix("cpu")).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let count = i64::try_from(count.count()).ok().filter(|count| *count > 0).map(|count| count.to_string());
    cpu.logical_count = take.parsed("logical_count", count.as_deref(), text::whole);
    cpu
}

/// Ticks of the kernel in milliseconds.
pub(super) fn milliseconds(ticks: &str) -> Option<i64> {
    text::whole(ticks)?.checked_mul(MS_PER_TICK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::{check_section, corpus, faults_of};
    use proptest::prelude::*;

    fn check(text: &str, expected: &str, faults: &[&str]) {
        check_section("cpu", text, parse, Cpu::is_empty, expected, faults);
    }

    #[test]
    fn ticks_become_milliseconds_and_processors_are_counted() {
        check(
            "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 5 0\n",
            r#"{"user_ms":10,"nice_ms":20,"system_ms":30,"idle_ms":40,"iowait_ms":50,"irq_ms":60,"softirq_ms":70,"steal_ms":80,"logical_count":2}"#,
            &[],
        );
    }

    #[test]
    fn a_missing_or_broken_value_costs_only_itself() {
        check(
            "cpu  1 -2 3 4 99999999999999999999 922337203685477580 7\ncpu0 1\n",
            r#"{"user_ms":10,"system_ms":30,"idle_ms":40,"irq_ms":9223372036854775800,"softirq_ms":70,"logical_count":1}"#,
            &["cpu.nice_ms malformed", "cpu.iowait_ms malformed", "cpu.steal_ms not_found"],
        );
        check(
            "cpu  1 2 3 4 5 6 7 922337203685477581\n",
            r#"{"user_ms":10,"nice_ms":20,"system_ms":30,"idle_ms":40,"iowait_ms":50,"irq_ms":60,"softirq_ms":70}"#,
            &["cpu.steal_ms malformed", "cpu.logical_count not_found"],
        );
    }

    #[test]
    fn what_is_no_such_file_is_one_fault() {
        for text in ["", "garbage", "cpufreq 1 2\n", "cpu a b\n"] {
            check(text, "null", &["cpu malformed"]);
        }
    }

    #[test]
    fn real_files_are_read() {
        let Some(text) = corpus("cpu::real_files_are_read", "proc-sys/jc/linux-proc__stat") else { return };
        let cpu = parse(&text, &mut Take::new("cpu", &mut Vec::new()));
        assert_eq!((cpu.user_ms, cpu.steal_ms, cpu.logical_count), (Some(60_020), Some(0), Some(2)));
        let Some(text) = corpus("cpu::real_files_are_read", "proc-sys/jc/linux-proc__stat2") else { return };
        assert_eq!(faults_of("cpu", &text, parse), ["cpu.steal_ms not_found"], "seven values on the line");
        let Some(text) = corpus("cpu::real_files_are_read", "proc-sys/node_exporter/proc/stat") else { return };
        let cpu = parse(&text, &mut Take::new("cpu", &mut Vec::new()));
        assert_eq!((cpu.user_ms, cpu.logical_count), (Some(3_018_540), Some(8)));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in ".*|cpu +[0-9 -]*\n.*") {
            parse(&text, &mut Take::new("cpu", &mut Vec::new()));
        }
    }
}
