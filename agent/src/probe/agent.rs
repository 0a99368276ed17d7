//! The agent's own footprint, from `proc/self`. What it has yet to send, its core adds.

use super::memory::{kibibytes, value};
use super::{Sources, Take, cpu, text};
use mimamori_shared::fields::{AgentSelf, Readings};
use mimamori_shared::payload::{Fault, FaultCode};

const BYTES_MAX: u64 = 16 * 1024;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("agent", faults);
    let status = host.read("proc/self/status", BYTES_MAX).and_then(|text| resident_bytes(&text));
    let stat = host.read("proc/self/stat", BYTES_MAX).and_then(|text| cpu_ms(&text));
    // Written to the disk, not to the page cache; a kernel without task accounting does not tell.
    let io = host.read("proc/self/io", BYTES_MAX).and_then(|text| value(&text, "write_bytes").and_then(text::whole).ok_or(FaultCode::Malformed));
    readings.agent = Some(AgentSelf {
        version: env!("CARGO_PKG_VERSION").parse().ok(),
        resident_bytes: take.value("resident_bytes", status),
        cpu_ms: take.value("cpu_ms", stat),
        written_bytes: take.value("written_bytes", io),
        ..AgentSelf::default()
    });
}

/// `statm` would need the page size, which no file of a recorded tree holds.
pub(super) fn resident_bytes(status: &str) -> Result<i64, FaultCode> {
    value(status, "VmRSS").and_then(kibibytes).ok_or(FaultCode::Malformed)
}

/// User and system time: the 14th and 15th value. The 2nd is a name in parentheses that may hold anything.
pub(super) fn cpu_ms(stat: &str) -> Result<i64, FaultCode> {
    let (_, behind_name) = stat.rsplit_once(')').ok_or(FaultCode::Malformed)?;
    let mut ticks = behind_name.split_ascii_whitespace().skip(11).map(cpu::milliseconds);
    let mut next = || ticks.next().flatten().ok_or(FaultCode::Malformed);
    next()?.checked_add(next()?).ok_or(FaultCode::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::corpus;
    use proptest::prelude::*;

    #[test]
    fn both_times_are_added_whatever_the_name_holds() {
        let table = [
            ("7 (agent) S 1 7 7 0 -1 4 1 2 3 4 150 50 9 9 20 0 1", Ok(2000)),
            ("7 (a) 1 2) S) S 1 7 7 0 -1 4 1 2 3 4 150 50 9", Ok(2000)),
            ("7 (agent) S 1 7 7 0 -1 4 1 2 3 4 150", Err(FaultCode::Malformed)),
            ("7 (agent) S 1 7 7 0 -1 4 1 2 3 4 150 -50", Err(FaultCode::Malformed)),
            ("7 (agent) S 1 7 7 0 -1 4 1 2 3 4 922337203685477580 1", Err(FaultCode::Malformed)),
            ("", Err(FaultCode::Malformed)),
        ];
        for (text, expected) in table {
            assert_eq!(cpu_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn real_files_are_read() {
        let Some(text) = corpus("agent::real_files_are_read", "proc-sys/node_exporter/proc/11/stat") else { return };
        assert_eq!(cpu_ms(&text), Ok(3460));
        let Some(text) = corpus("agent::real_files_are_read", "proc-sys/jc/linux-proc__pid_stat_hack") else { return };
        assert!(cpu_ms(&text).is_ok(), "{text}");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in ".*|.*\\).*") {
            prop_assert!(cpu_ms(&text).is_ok_and(|ms| ms >= 0) || cpu_ms(&text) == Err(FaultCode::Malformed));
            prop_assert!(resident_bytes(&text).is_ok_and(|n| n >= 0) || resident_bytes(&text) == Err(FaultCode::Malformed));
        }
    }
}
