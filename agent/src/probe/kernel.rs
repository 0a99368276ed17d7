//! What the kernel hands out, from `proc/sys/fs/file-nr`, `proc/loadavg`, `proc/stat` and `proc/sys/kernel/threads-max`.

use super::{Sources, Take, text};
use crate::host::Host;
use mimamori_shared::fields::{Kernel, Readings};
use mimamori_shared::payload::{Fault, FaultCode};

const BYTES_MAX: u64 = 4096;
const STAT_BYTES_MAX: u64 = 512 * 1024;
/// More processes than this are counted as `too_many`; the kernel's own limit is 4 million.
const PROCESSES_MAX: usize = 131_072;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("kernel", faults);
    let mut kernel = Kernel::default();
    if let Some(text) = take.value("file_handles", host.read("proc/sys/fs/file-nr", BYTES_MAX)) {
        // Allocated, allocated and not used, most. The middle one is 0 since kernel 2.6.
        let mut words = text.split_ascii_whitespace();
        kernel.file_handles = take.parsed("file_handles", words.next(), text::whole);
        kernel.file_handles_max = take.parsed("file_handles_max", words.nth(1), text::whole);
    }
    if let Some(text) = take.value("threads", host.read("proc/loadavg", BYTES_MAX)) {
        let threads = text.split_ascii_whitespace().nth(3).and_then(|word| word.split_once('/'));
        kernel.threads = take.parsed("threads", threads.map(|(_, all)| all), text::whole);
    }
    if let Some(text) = take.value("threads_max", host.read("proc/sys/kernel/threads-max", BYTES_MAX)) {
        kernel.threads_max = take.parsed("threads_max", Some(text.trim_end()), text::whole);
    }
    if let Some(text) = take.value("forks", host.read("proc/stat", STAT_BYTES_MAX)) {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        kernel.running = take.parsed("running", value("procs_running"), text::whole);
        kernel.blocked = take.parsed("blocked", value("procs_blocked"), text::whole);
        kernel.forks = take.parsed("forks", value("processes"), text::whole);
    }
    kernel.processes = processes(host).and_then(|count| take.value("processes", count));
    readings.kernel = (!kernel.is_empty()).then_some(kernel);
}

/// How many processes there are; `None` where they are hidden from the agent: then the helper counts them.
fn processes(host: &Host) -> Option<Result<i64, FaultCode>> {
    host.read("proc/1/stat", BYTES_MAX).ok()?;
    let names = host.list("proc", PROCESSES_MAX);
    Some(names.map(|names| i64::try_from(names.iter().filter(|name| text::whole(name).is_some()).count()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use crate::probe::tests::{recorded, taken};

    const FULL: [(&str, &str); 6] = [
        ("proc/sys/fs/file-nr", "1376\t0\t9223372036854775807\n"),
        ("proc/loadavg", "0.21 0.37 0.39 1/719 19737\n"),
        ("proc/sys/kernel/threads-max", "63000\n"),
        ("proc/stat", "cpu 1 2 3\nprocesses 26442\nprocs_running 2\nprocs_blocked 1\n"),
        ("proc/1/stat", "1 (systemd) S\n"),
        ("proc/22/stat", "22 (x) S\n"),
    ];

    #[test]
    fn every_value_has_its_file() {
        let (readings, faults) = taken(&recorded(&FULL), "kernel");
        let expected = r#"{"kernel":{"file_handles":1376,"file_handles_max":9223372036854775807,"threads":719,"threads_max":63000,"running":2,"blocked":1,"forks":26442,"processes":2}}"#;
        assert_eq!((readings.as_str(), faults.len()), (expected, 0), "{faults:?}");
    }

    #[test]
    fn hidden_processes_are_not_counted_as_few() {
        let (readings, faults) = taken(&recorded(&FULL[..4]), "kernel");
        assert!(!readings.contains("processes") && faults.is_empty(), "{readings} {faults:?}");
    }

    #[test]
    fn a_broken_file_costs_its_own_values() {
        let (readings, faults) = taken(&recorded(&[("proc/sys/fs/file-nr", "1 x\n"), ("proc/loadavg", "0.1 0.1 0.1 719\n")]), "kernel");
        assert_eq!(readings, r#"{"kernel":{"file_handles":1}}"#);
        let expected = ["kernel.file_handles_max not_found", "kernel.forks not_found", "kernel.threads not_found", "kernel.threads_max not_found"];
        assert_eq!(faults, expected);
    }
}
