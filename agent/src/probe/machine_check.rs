//! What processors report of themselves, from `proc/interrupts` and the throttle counters below `sys/devices/system/cpu`.

use super::{Sources, Take, text};
use crate::host::Host;
use mimamori_shared::fields::{MachineCheck, Readings};
use mimamori_shared::payload::{Fault, FaultCode};

/// A machine with 512 processors has lines of 6 KB, one per interrupt.
const BYTES_MAX: u64 = 8 * 1024 * 1024;
const CPUS_MAX: usize = 4096;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("machine_check", faults);
    let Some(text) = take.whole(host.read("proc/interrupts", BYTES_MAX)) else { return };
    // Processors other than x86 have no such lines: they are not zero there, they do not exist.
    let exceptions = sum(&text, "MCE").and_then(|sum| take.value("exceptions", sum));
    let thermal = sum(&text, "TRM").and_then(|sum| take.value("thermal", sum));
    let check = MachineCheck { exceptions, thermal, throttled: throttled(host) };
    if check.is_empty() {
        return take.fail(FaultCode::Unsupported);
    }
    readings.machine_check = Some(check);
}

/// One interrupt of all processors added up.
pub(super) fn sum(text: &str, name: &str) -> Option<Result<i64, FaultCode>> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
    let mut counts = line.split_ascii_whitespace().map_while(text::whole);
    Some(counts.try_fold(0_i64, i64::checked_add).ok_or(FaultCode::Malformed))
}

/// Times cores were slowed down, added up over the cores; `None` where they do not count it.
fn throttled(host: &Host) -> Option<i64> {
    let names = host.list("sys/devices/system/cpu", CPUS_MAX).ok()?;
    let cores = names.iter().filter(|name| name.strip_prefix("cpu").and_then(text::whole).is_some());
    let counts = cores.filter_map(|name| {
        let text = host.read(&format!("sys/devices/system/cpu/{name}/thermal_throttle/core_throttle_count"), 64).ok()?;
        text::whole(text.trim_end())
    });
    counts.fold(None, |sum: Option<i64>, count| Some(sum.unwrap_or(0).saturating_add(count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::{corpus, recorded, taken};
    use proptest::prelude::*;

    const INTERRUPTS: &str = "           CPU0       CPU1\n  0:         47          0  IR-IO-APIC   2-edge  timer\nTRM:          1          2   Thermal event interrupts\nMCE:          0          3   Machine check exceptions\nMCP:         70         70   Machine check polls\n";

    #[test]
    fn all_processors_are_added_up() {
        let throttle = |cpu| format!("sys/devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count");
        let (first, second) = (throttle(0), throttle(1));
        let host = recorded(&[("proc/interrupts", INTERRUPTS), (&first, "4\n"), (&second, "5\n"), ("sys/devices/system/cpu/cpufreq/x", "9\n")]);
        assert_eq!(taken(&host, "machine_check").0, r#"{"machine_check":{"exceptions":3,"thermal":3,"throttled":9}}"#);
        assert_eq!(taken(&recorded(&[("proc/interrupts", INTERRUPTS)]), "machine_check").0, r#"{"machine_check":{"exceptions":3,"thermal":3}}"#);
    }

    #[test]
    fn a_processor_without_such_lines_is_no_processor_without_errors() {
        let host = recorded(&[("proc/interrupts", "  CPU0\nIPI0:  5  Rescheduling interrupts\n")]);
        assert_eq!(taken(&host, "machine_check"), ("{}".to_owned(), vec!["machine_check unsupported".to_owned()]));
    }

    #[test]
    fn a_real_file_is_read() {
        let Some(text) = corpus("machine_check::a_real_file_is_read", "proc-sys/node_exporter/proc/interrupts") else { return };
        assert_eq!((sum(&text, "MCE"), sum(&text, "TRM")), (Some(Ok(0)), Some(Ok(0))));
        let other = corpus("machine_check::a_real_file_is_read", "proc-sys/node_exporter/proc/interrupts_aarch64").unwrap();
        assert_eq!(sum(&other, "MCE"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in "(.|\n)*|MCE:( *[0-9]*)* .*\n") {
            prop_assert!(sum(&text, "MCE").is_none_or(|sum| sum.is_err() || sum.is_ok_and(|sum| sum >= 0)));
        }
    }
}
