//! Errors of the memory, from `sys/devices/system/edac`.

use super::take::Entries;
use super::{Sources, Take, tree};
use mimamori_parse::{Unreadable, edac};
use mimamori_shared::fields::{Ecc, Readings};
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;

/// `mc/mc0/ce_count`; what lies deeper says where, and is not sent.
const DEPTH: usize = 3;

pub(super) fn read(sources: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("ecc", faults);
    let tree = match tree::read(sources.host, "sys/devices/system/edac", DEPTH, |name| name.ends_with("_count")) {
        Ok(tree) => tree,
        // Memory that does not correct errors has no such folder.
        Err(FaultCode::NotFound) => return,
        Err(code) => return take.fail(code),
    };
    let memory = match edac::parse(&tree) {
        Ok(edac) => edac.memory,
        // The driver is there, and no controller is.
        Err(Unreadable::Empty) => return,
        Err(_) => return take.fail(FaultCode::Malformed),
    };
    let mut entries = Entries::default();
    for controller in memory.iter().filter(|memory| memory.location.is_none()) {
        let Some(name) = Word::hardware(&controller.controller) else { continue };
        if entries.admit(&name, &mut take) {
            let corrected = take.entry(&name).value("corrected", controller.corrected.ok_or(FaultCode::NotFound));
            let uncorrected = take.entry(&name).value("uncorrected", controller.uncorrected.ok_or(FaultCode::NotFound));
            readings.ecc.push(Ecc { name, corrected, uncorrected });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::probe::tests::{recorded, taken};

    #[test]
    fn each_controller_counts_its_own() {
        let host = recorded(&[
            ("sys/devices/system/edac/mc/mc0/ce_count", "3\n"),
            ("sys/devices/system/edac/mc/mc0/ue_count", "0\n"),
            ("sys/devices/system/edac/mc/mc0/csrow0/ce_count", "3\n"),
            ("sys/devices/system/edac/mc/mc1/ce_count", "0\n"),
        ]);
        let (readings, faults) = taken(&host, "ecc");
        assert_eq!(readings, r#"{"ecc":[{"name":"mc0","corrected":3,"uncorrected":0},{"name":"mc1","corrected":0}]}"#);
        assert_eq!(faults, ["ecc.uncorrected mc1 not_found"]);
    }

    #[test]
    fn memory_without_correction_is_no_memory_without_errors() {
        assert_eq!(taken(&recorded(&[]), "ecc"), ("{}".to_owned(), vec![]));
        assert_eq!(taken(&recorded(&[("sys/devices/system/edac/power/x", "1\n")]), "ecc"), ("{}".to_owned(), vec![]));
    }
}
