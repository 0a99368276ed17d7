//! Pressure stall information, from `proc/pressure`.

use super::{Sources, Take};
use crate::host::Host;
use mimamori_parse::psi::{self, Psi, Stall};
use mimamori_shared::fields::{Pressure, Readings};
use mimamori_shared::payload::{Fault, FaultCode};

const BYTES_MAX: u64 = 4096;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("pressure", faults);
    let found = ["cpu", "memory", "io"].map(|resource| psi(host, resource));
    // A kernel without it has none of the three: one fault says so.
    if let [Err(code), Err(_), Err(_)] = found {
        return take.fail(code);
    }
    let [cpu, memory, io] = found;
    let total = |line: Option<Stall>| line.and_then(|line| line.total_us);
    let cpu = take.value("cpu_some_us", cpu);
    let memory = take.value("memory_some_us", memory);
    let io = take.value("io_some_us", io);
    readings.pressure = Some(Pressure {
        cpu_some_us: cpu.and_then(|psi| total(psi.some)),
        memory_some_us: memory.and_then(|psi| total(psi.some)),
        memory_full_us: memory.and_then(|psi| total(psi.full)),
        io_some_us: io.and_then(|psi| total(psi.some)),
        io_full_us: io.and_then(|psi| total(psi.full)),
    });
}

/// Pressure of one resource.
///
/// # Errors
/// When the kernel does not tell it.
pub(crate) fn psi(host: &Host, resource: &str) -> Result<Psi, FaultCode> {
    let text = host.read(&format!("proc/pressure/{resource}"), BYTES_MAX)?;
    psi::parse(&text).map_err(|_| FaultCode::Malformed)
}

#[cfg(test)]
mod tests {
    use crate::probe::tests::{recorded, taken};

    const LINE: &str = "some avg10=1.00 avg60=1.00 avg300=1.00 total=";

    #[test]
    fn three_files_make_a_section() {
        let host = recorded(&[
            ("proc/pressure/cpu", &format!("{LINE}5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")),
            ("proc/pressure/memory", &format!("{LINE}7\n{}", LINE.replace("some", "full") + "6\n")),
            ("proc/pressure/io", &format!("{LINE}9\n")),
        ]);
        let (readings, faults) = taken(&host, "pressure");
        assert_eq!(readings, r#"{"pressure":{"cpu_some_us":5,"memory_some_us":7,"memory_full_us":6,"io_some_us":9}}"#);
        assert_eq!(faults, [] as [&str; 0]);
    }

    #[test]
    fn one_broken_file_costs_its_own_values_and_no_file_at_all_one_fault() {
        let host = recorded(&[("proc/pressure/cpu", &format!("{LINE}5\n")), ("proc/pressure/io", "nothing known\n")]);
        let (readings, faults) = taken(&host, "pressure");
        assert_eq!(readings, r#"{"pressure":{"cpu_some_us":5}}"#);
        assert_eq!(faults, ["pressure.io_some_us malformed", "pressure.memory_some_us not_found"]);
        assert_eq!(taken(&recorded(&[]), "pressure"), ("{}".to_owned(), vec!["pressure not_found".to_owned()]));
    }
}
