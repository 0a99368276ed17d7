//! What the kernel says of processes, in `/proc`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Most processes that are looked at.
const PROCESSES_MAX: usize = 65_536;

/// What `/proc/PID/stat` says of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    pub(crate) name: String,
    pub(crate) parent: i32,
    /// Processor time, in the kernel's ticks.
    pub(crate) ticks: u64,
    /// Processor time of its children that ended and were waited for, the same.
    pub(crate) waited_ticks: u64,
    /// When it began, in the kernel's ticks since boot.
    pub(crate) started: u64,
    /// Resident memory, in pages.
    pub(crate) pages: u64,
}

impl Stat {
    /// Reads the line. The name stands in brackets and may hold anything, brackets too.
    pub(crate) fn read(line: &str) -> Option<Stat> {
        let (head, rest) = line.rsplit_once(')')?;
        let (pid, name) = head.split_once('(')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // proc(5) counts from 1, and the state behind the name is 3.
        let number = |place: usize| fields.get(place.checked_sub(3)?)?.parse::<u64>().ok();
        Some(Stat {
            pid: pid.trim().parse().ok()?,
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            ticks: number(14)?.saturating_add(number(15)?),
            waited_ticks: number(16)?.saturating_add(number(17)?),
            started: number(22)?,
            pages: number(24)?,
        })
    }
}

/// All processes below a `/proc`; those that end meanwhile are left out.
pub(crate) fn all(proc: &Path) -> std::io::Result<Vec<Stat>> {
    let entries = fs::read_dir(proc)?.flatten().filter(|entry| entry.file_name().to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit())));
    let lines = entries.take(PROCESSES_MAX).filter_map(|entry| fs::read(entry.path().join("stat")).ok());
    Ok(lines.filter_map(|line| Stat::read(&String::from_utf8_lossy(&line))).collect())
}

/// One process of this machine, while it lives.
pub(crate) fn one(pid: i32) -> Option<Stat> {
    Stat::read(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
}

/// This process's children.
pub(crate) fn children() -> Vec<Stat> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let mut all = all(Path::new("/proc")).unwrap_or_default();
    all.retain(|stat| stat.parent == own);
    all
}

/// Processor time of this process's children that ended, in milliseconds.
pub(crate) fn waited_ms() -> u64 {
    one(rustix::process::getpid().as_raw_nonzero().get()).map_or(0, |stat| ticks_ms(stat.waited_ticks))
}

/// The kernel's ticks in milliseconds.
pub(crate) fn ticks_ms(ticks: u64) -> u64 {
    ticks.saturating_mul(1000).checked_div(rustix::param::clock_ticks_per_second()).unwrap_or(0)
}

/// How many handles a process has open; `None` when that cannot be seen, and 0 when it has ended.
pub(crate) fn handles(proc: &Path, pid: i32) -> Option<u64> {
    match fs::read_dir(proc.join(pid.to_string()).join("fd")) {
        Ok(entries) => u64::try_from(entries.count()).ok(),
        Err(fault) if fault.kind() == ErrorKind::NotFound => Some(0),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = "77 (a) b (c) S 5 77 77 0 -1 4194304 1 2 3 4 100 20 7 3 20 0 1 0 9000 4096000 250 18446744073709551615 1 1\n";
        let stat = Stat::read(line).unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.parent, stat.ticks, stat.waited_ticks), (77, "a) b (c", 5, 120, 10));
        assert_eq!((stat.started, stat.pages), (9000, 250));
    }

    #[test]
    fn this_process_is_found_with_its_handles() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let stat = one(own).unwrap();
        assert!(stat.pid == own && stat.started > 0 && stat.pages > 0);
        assert!(all(Path::new("/proc")).unwrap().iter().any(|other| other.pid == own));
        assert!(handles(Path::new("/proc"), own).unwrap() >= 3);
        assert_eq!(handles(Path::new("/proc"), i32::MAX), Some(0));
    }

    proptest! {
        #[test]
        fn any_line_is_taken(line in ".*", tail in "[0-9 ]{0,90}") {
            prop_assert!(Stat::read(&line).is_none_or(|stat| line.contains(&stat.name)));
            let near = Stat::read(&format!("1 (x) S {tail}"));
            prop_assert!(near.is_none_or(|stat| stat.pid == 1));
        }
    }
}
