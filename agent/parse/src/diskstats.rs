//! Counters of block devices since boot: `/proc/diskstats` (Documentation/admin-guide/iostats.rst), with 14 fields from
//! kernel 2.6 on, 18 from 4.18 (discards), 20 from 5.5 (flushes), and 7 for the partitions of old 2.6 kernels.

use crate::verdict::{self, Verdict};
use crate::{Fault, Outcome, Unreadable, text, trouble};
use serde::Serialize;
use std::collections::BTreeSet;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diskstats {
    /// In the file's order.
    pub disks: Vec<Disk>,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

/// One device or partition. Times are in milliseconds; a counter that the kernel does not have is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names and units are the kernel's document's")]
pub struct Disk {
    pub name: String,
    pub major: i64,
    pub minor: i64,
    pub reads: Option<i64>,
    pub reads_merged: Option<i64>,
    pub read_bytes: Option<i64>,
    pub read_ms: Option<i64>,
    pub writes: Option<i64>,
    pub writes_merged: Option<i64>,
    pub written_bytes: Option<i64>,
    pub write_ms: Option<i64>,
    /// Now, and no counter.
    pub in_flight: Option<i64>,
    /// Time in which anything was in flight.
    pub io_ms: Option<i64>,
    /// The same, once for each request.
    pub weighted_io_ms: Option<i64>,
    pub discards: Option<i64>,
    pub discards_merged: Option<i64>,
    pub discarded_bytes: Option<i64>,
    pub discard_ms: Option<i64>,
    pub flushes: Option<i64>,
    pub flush_ms: Option<i64>,
}

const SUCH_AS: &str = "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11";
/// The kernel's sector, whatever the device's is.
const SECTOR: i64 = 512;

/// Reads the file.
///
/// # Errors
/// When it is empty or its first line is of another file.
pub fn parse(input: &str) -> Result<Diskstats, Unreadable> {
    let mut diskstats = Diskstats::default();
    let mut names = BTreeSet::new();
    for (index, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match disk(line) {
            Some(disk) if !names.insert(disk.name.clone()) => {
                verdict::fault(&mut diskstats.faults, trouble::fault("too_many", &format!("line {}: {} stands here twice", index + 1, disk.name)));
            }
            Some(disk) => verdict::push(&mut diskstats.disks, disk, &mut diskstats.faults),
            None if names.is_empty() => return Err(Unreadable::Foreign { line: index + 1, such_as: SUCH_AS }),
            None => verdict::fault(&mut diskstats.faults, trouble::malformed(index, line)),
        }
    }
    if names.is_empty() { Err(Unreadable::Empty) } else { Ok(diskstats) }
}

fn disk(line: &str) -> Option<Disk> {
    let mut words = line.split_whitespace();
    let (major, minor) = (text::whole(words.next()?)?, text::whole(words.next()?)?);
    let name = text::plain(words.next()?);
    let rest: Vec<&str> = words.collect();
    // A counter that went below zero, or past what we hold, is none; anything but digits is another file.
    let digits = |word: &&str| word.strip_prefix('-').unwrap_or(word).bytes().all(|b| b.is_ascii_digit());
    if !(rest.len() == 4 || rest.len() >= 11) || rest.len() > 32 || !rest.iter().all(digits) || name.is_empty() {
        return None;
    }
    let at = |index: usize| rest.get(index).and_then(|word| text::whole(word));
    let bytes = |index| at(index).and_then(|sectors| sectors.checked_mul(SECTOR));
    let disk = Disk { name, major, minor, ..Disk::default() };
    if rest.len() == 4 {
        return Some(Disk { reads: at(0), read_bytes: bytes(1), writes: at(2), written_bytes: bytes(3), ..disk });
    }
    Some(Disk {
        reads: at(0),
        reads_merged: at(1),
        read_bytes: bytes(2),
        read_ms: at(3),
        writes: at(4),
        writes_merged: at(5),
        written_bytes: bytes(6),
        write_ms: at(7),
        in_flight: at(8),
        io_ms: at(9),
        weighted_io_ms: at(10),
        discards: at(11),
        discards_merged: at(12),
        discarded_bytes: bytes(13),
        discard_ms: at(14),
        flushes: at(15),
        flush_ms: at(16),
        ..disk
    })
}

/// How the file reads for a human or a script: counters are figures and no verdict.
///
/// # Errors
/// As [`parse`], unless it is a complaint of the shell's.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let diskstats = match parse(input) {
        Ok(diskstats) => diskstats,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut outcome = Verdict::default().outcome_with(format!("counters of {} devices", diskstats.disks.len()), diskstats.faults);
    for disk in &diskstats.disks {
        let of: &[(&'static str, &str)] = &[("device", &disk.name)];
        for (name, value) in [
            ("disk_reads", disk.reads),
            ("disk_reads_merged", disk.reads_merged),
            ("disk_writes", disk.writes),
            ("disk_writes_merged", disk.writes_merged),
            ("disk_in_flight", disk.in_flight),
            ("disk_discards", disk.discards),
            ("disk_discards_merged", disk.discards_merged),
            ("disk_flushes", disk.flushes),
        ] {
            outcome.reading(name, of, value.map(text::float), "count");
        }
        for (name, value) in [("disk_read", disk.read_bytes), ("disk_written", disk.written_bytes), ("disk_discarded", disk.discarded_bytes)] {
            outcome.reading(name, of, value.map(text::float), "bytes");
        }
        for (name, value) in [
            ("disk_read_time", disk.read_ms),
            ("disk_write_time", disk.write_ms),
            ("disk_io_time", disk.io_ms),
            ("disk_weighted_io_time", disk.weighted_io_ms),
            ("disk_discard_time", disk.discard_ms),
            ("disk_flush_time", disk.flush_ms),
        ] {
            outcome.reading(name, of, value.map(|ms| text::float(ms) / 1000.0), "seconds");
        }
        outcome.record(disk);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    #[test]
    fn the_fields_of_every_kernel_are_read() {
        let text = "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n\
                \x20104 0 cciss/c0d0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n   8 1 sdb 1 2 3 4 5 6 7 8 9 10 11\n\
                \x20  8 2 sdb1 21 22 23 24\n";
        let disks = parse(text).unwrap().disks;
        let all = &disks[0];
        assert_eq!((all.name.as_str(), all.major, all.minor), ("sda", 8, 0));
        assert_eq!((all.reads, all.reads_merged, all.read_bytes, all.read_ms), (Some(1), Some(2), Some(1536), Some(4)));
        assert_eq!((all.writes, all.writes_merged, all.written_bytes, all.write_ms), (Some(5), Some(6), Some(3584), Some(8)));
        assert_eq!((all.in_flight, all.io_ms, all.weighted_io_ms), (Some(9), Some(10), Some(11)));
        assert_eq!((all.discards, all.discards_merged, all.discarded_bytes, all.discard_ms), (Some(12), Some(13), Some(7168), Some(15)));
        assert_eq!((all.flushes, all.flush_ms), (Some(16), Some(17)));
        assert_eq!((disks[1].discard_ms, disks[1].flushes, disks[2].weighted_io_ms, disks[2].discards), (Some(15), None, Some(11), None));
        assert_eq!(
            (disks[3].reads, disks[3].read_bytes, disks[3].writes, disks[3].written_bytes, disks[3].read_ms),
            (Some(21), Some(22 * 512), Some(23), Some(24 * 512), None)
        );
        let outcome = outcome(text, None).unwrap();
        assert_eq!((outcome.status, outcome.readings.len()), (Status::Ok, 17 + 15 + 11 + 4));
    }

    #[test]
    fn a_counter_that_is_no_number_is_none() {
        let disks = parse("8 0 sda 18446744073709551615 2 36028797018963968 4 5 6 7 8 -1 10 11\n").unwrap().disks;
        assert_eq!((disks[0].reads, disks[0].read_bytes, disks[0].in_flight, disks[0].io_ms), (None, None, None, Some(10)));
    }

    #[test]
    fn anything_else_is_refused_and_a_broken_line_costs_itself() {
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        for foreign in ["major minor  #blocks  name\n", "8 0 sda 1 2 3\n", "8 0 sda 1 2 3 4 5 6 7 x 9 10 11\n", "36 35 98:0 / / rw 1 2 3 4 5 6 7 8\n"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { line: 1, .. })), "{foreign}");
        }
        let good = "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n";
        let outcome = outcome(&format!("{good}8 1 sdb 1 2\n{good}"), None).unwrap();
        assert_eq!((outcome.records.len(), outcome.faults[0].code, outcome.faults[1].code), (1, "malformed", "too_many"));
        assert!(outcome.faults[0].detail.starts_with("line 2:"));
        assert_eq!(super::outcome("cat: /proc/diskstats: No such file or directory", None).unwrap().status, Status::Unknown);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(lines in prop::collection::vec("[0-9]{1,20} [0-9]{1,3} [a-z/é]{0,5}( -?[0-9]{1,20}){0,20}|.*", 0..5)) {
            if let Ok(outcome) = outcome(&lines.join("\n"), None) {
                prop_assert!(!outcome.records.is_empty());
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite() && reading.value >= 0.0));
            }
        }
    }
}
