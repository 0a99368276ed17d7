//! Whole disks, from `proc/diskstats`. Partitions, loop devices and memory disks are left out.

use super::take::Entries;
use super::{Sources, Take, names, text};
use mimamori_shared::fields::{Disk, Readings};
use mimamori_shared::payload::{Fault, FaultCode};

const BYTES_MAX: u64 = 256 * 1024;
/// The kernel counts in sectors of 512 bytes, whatever those of the disk.
const SECTOR_BYTES: i64 = 512;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("disk", faults);
    if let Some(text) = take.whole(host.read("proc/diskstats", BYTES_MAX)) {
        readings.disk = parse(&text, &mut take);
    }
}

pub(super) fn parse(text: &str, take: &mut Take<'_>) -> Vec<Disk> {
    let mut entries = Entries::default();
    let mut disks = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, _, name, counters @ ..] = words.as_slice() else {
            take.fail(FaultCode::Malformed);
            continue;
        };
        let Some(name) = names::disk(name) else { continue };
        if entries.admit(&name, take) {
            disks.push(one(name.clone(), counters, &mut take.entry(&name)));
        }
    }
    disks.retain(|disk| !disk.is_empty());
    disks
}

fn one(name: mimamori_shared::word::Word, counters: &[&str], take: &mut Take<'_>) -> Disk {
    let mut at = |field, place: usize, parse| take.parsed(field, counters.get(place).copied(), parse);
    Disk {
        name,
        reads: at("reads", 0, text::whole),
        read_bytes: at("read_bytes", 2, sectors),
        read_ms: at("read_ms", 3, text::whole),
        writes: at("writes", 4, text::whole),
        write_bytes: at("write_bytes", 6, sectors),
        write_ms: at("write_ms", 7, text::whole),
        busy_ms: at("busy_ms", 9, text::whole),
        weighted_ms: at("weighted_ms", 10, text::whole),
    }
}

fn sectors(text: &str) -> Option<i64> {
    text::whole(text)?.checked_mul(SECTOR_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::check_list;
    use mimamori_shared::limits::NAMES_PER_SECTION_MAX;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str, faults: &[&str]) {
        check_list("disk", text, parse, expected, faults);
    }

    #[test]
    fn whole_disks_are_read_in_kernels_old_and_new() {
        check(
            "   8       0 sda 1 2 3 4 5 6 7 8 0 9 10\n   8       1 sda1 1 2 3 4 5 6 7 8 0 9 10\n 7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n",
            r#"[{"name":"sda","reads":1,"read_bytes":1536,"read_ms":4,"writes":5,"write_bytes":3584,"write_ms":8,"busy_ms":9,"weighted_ms":10}]"#,
            &[],
        );
        check(
            " 259 0 nvme0n1 1 2 3 4 5 6 7 8 0 9 10 11 12 13 14 15 16\n",
            r#"[{"name":"nvme0n1","reads":1,"read_bytes":1536,"read_ms":4,"writes":5,"write_bytes":3584,"write_ms":8,"busy_ms":9,"weighted_ms":10}]"#,
            &[],
        );
        check("", "[]", &[]);
    }

    #[test]
    fn a_broken_value_costs_only_itself_and_a_broken_line_only_its_disk() {
        check(
            "8 0 sda 1 2 36028797018963968 4 -5 6 7 8 0 9\n8 16 sdb x\ngarbage\n",
            r#"[{"name":"sda","reads":1,"read_ms":4,"write_bytes":3584,"write_ms":8,"busy_ms":9}]"#,
            &[
                "disk.read_bytes sda malformed",
                "disk.writes sda malformed",
                "disk.weighted_ms sda not_found",
                "disk.reads sdb malformed",
                "disk.read_bytes sdb not_found",
                "disk.read_ms sdb not_found",
                "disk.writes sdb not_found",
                "disk.write_bytes sdb not_found",
                "disk.write_ms sdb not_found",
                "disk.busy_ms sdb not_found",
                "disk.weighted_ms sdb not_found",
                "disk malformed",
            ],
        );
    }

    #[test]
    fn the_second_of_a_name_and_the_65th_disk_are_faults() {
        let line = |name: &str| format!("8 0 {name} 1 2 3 4 5 6 7 8 0 9 10\n");
        let mut faults = Vec::new();
        assert_eq!(parse(&[line("sda"), line("sda")].concat(), &mut Take::new("disk", &mut faults)).len(), 1);
        assert_eq!(faults.iter().map(|f| (f.code, f.name.is_some())).collect::<Vec<_>>(), [(FaultCode::TooMany, true)]);
        let many: String = (0..NAMES_PER_SECTION_MAX + 1).map(|n| line(&format!("dm-{n}"))).collect();
        let mut faults = Vec::new();
        assert_eq!(parse(&many, &mut Take::new("disk", &mut faults)).len(), NAMES_PER_SECTION_MAX);
        assert_eq!(faults.iter().map(|f| (f.code, f.name.is_some())).collect::<Vec<_>>(), [(FaultCode::TooMany, false)]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in "(.|\n)*|([0-9] [0-9] sd[a-z]( [0-9-]*)*\n)*") {
            parse(&text, &mut Take::new("disk", &mut Vec::new()));
        }
    }
}
