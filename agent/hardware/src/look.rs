//! Services and programs the facility named: what systemd, their control group and `/proc` say of them.

use crate::proc;
use mimamori_parse::hardware::{Process, Service};
use mimamori_shared::word::Word;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

/// Largest list of processes of one group, in bytes.
const PROCS_BYTES_MAX: u64 = 256 * 1024;

/// Reads `systemctl show` of several units, in the order of the aliases: blocks with an empty line between them.
///
/// # Errors
/// When there are not as many blocks as aliases: it could not be told whose they are.
pub(crate) fn services(aliases: &[&Word], said: &str, root: &Path) -> Result<BTreeMap<Word, Service>, String> {
    let blocks: Vec<&str> = said.trim_end().split("\n\n").collect();
    if blocks.len() != aliases.len() {
        return Err(format!("systemctl spoke of {} units, asked for {}", blocks.len(), aliases.len()));
    }
    Ok(aliases.iter().zip(blocks).map(|(alias, block)| ((*alias).clone(), service(block, root))).collect())
}

fn service(block: &str, root: &Path) -> Service {
    let value = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let word = |key: &str| value(key)?.parse::<Word>().ok();
    // `[not set]`, or the largest number there is, where systemd does not know.
    let number = |key: &str| value(key)?.parse::<u64>().ok().filter(|number| *number != u64::MAX);
    Service {
        load: word("LoadState"),
        active: word("ActiveState"),
        sub: word("SubState"),
        memory_bytes: number("MemoryCurrent"),
        restarts: number("NRestarts"),
        tasks: number("TasksCurrent"),
        handles: value("ControlGroup").and_then(|group| handles(group, root)),
    }
}

/// Whether processes of other accounts are hidden from this one (`hidepid`): what is not seen then is not absent.
pub(crate) fn hidden(root: &Path) -> bool {
    let mounts = std::fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    // The last one mounted there is the one that is seen.
    let options = mounts.lines().filter(|line| line.split(' ').nth(4) == Some("/proc")).filter_map(|line| line.split_once(" - ")).next_back();
    let options = options.and_then(|(_, tail)| tail.split(' ').nth(2)).unwrap_or_default();
    options.split(',').filter_map(|option| option.strip_prefix("hidepid=")).any(|how| how != "0" && how != "off")
}

/// Open handles of a group's processes. systemd's own hierarchy stands at the top with version 2, in a folder with version 1.
fn handles(group: &str, root: &Path) -> Option<u64> {
    let group = Path::new(group.strip_prefix('/').filter(|group| !group.is_empty())?);
    if hidden(root) {
        return None;
    }
    if !group.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let places = ["sys/fs/cgroup", "sys/fs/cgroup/systemd", "sys/fs/cgroup/unified"];
    let file = places.iter().find_map(|place| File::open(root.join(place).join(group).join("cgroup.procs")).ok())?;
    let mut text = String::new();
    file.take(PROCS_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.lines().map(|line| proc::handles(&root.join("proc"), line.parse().ok()?)).sum()
}

/// All processes by their names' aliases.
///
/// # Errors
/// When `/proc` cannot be read, or hides those of other accounts.
pub(crate) fn processes(named: &BTreeMap<Word, String>, root: &Path) -> Result<BTreeMap<Word, Process>, String> {
    if named.is_empty() {
        return Ok(BTreeMap::new());
    }
    if hidden(root) {
        return Err("processes of other accounts are hidden from this program".to_owned());
    }
    let proc = root.join("proc");
    let all = proc::all(&proc).map_err(|fault| fault.to_string())?;
    let page_bytes = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    let look = |name: &String| {
        let mut sum = Process { handles: Some(0), ..Process::default() };
        for stat in all.iter().filter(|stat| stat.name == *name) {
            sum.count += 1;
            sum.rss_bytes = sum.rss_bytes.saturating_add(stat.pages.saturating_mul(page_bytes));
            sum.cpu_ms = sum.cpu_ms.saturating_add(proc::ticks_ms(stat.ticks));
            sum.handles = sum.handles.zip(proc::handles(&proc, stat.pid)).map(|(sum, more)| sum.saturating_add(more));
        }
        sum
    };
    Ok(named.iter().map(|(alias, name)| (alias.clone(), look(name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn alias(name: &str) -> Word {
        Word::alias(name).unwrap()
    }

    /// A machine with one group of two processes, one of which has ended meanwhile.
    fn machine() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("sys/fs/cgroup/system.slice/db.service");
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("cgroup.procs"), "41\n42\n").unwrap();
        for fd in 0..3 {
            fs::create_dir_all(dir.path().join(format!("proc/41/fd/{fd}"))).unwrap();
        }
        for (pid, ticks) in [(41, 100), (43, 23)] {
            fs::create_dir_all(dir.path().join(format!("proc/{pid}/fd/0"))).unwrap();
            let line = format!("{pid} (viewer) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 9 0 10 0\n");
            fs::write(dir.path().join(format!("proc/{pid}/stat")), line).unwrap();
        }
        dir
    }

    #[test]
    fn what_systemd_says_is_read_and_what_it_does_not_know_is_absent() {
        let dir = machine();
        let said = "LoadState=loaded\nActiveState=active\nSubState=running\nMemoryCurrent=4096\nNRestarts=2\nTasksCurrent=[not set]\n\
            ControlGroup=/system.slice/db.service\n\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nMemoryCurrent=18446744073709551615\nControlGroup=\n";
        let found = services(&[&alias("db"), &alias("web")], said, dir.path()).unwrap();
        let db = &found[&alias("db")];
        assert_eq!((db.active.as_ref().unwrap().as_str(), db.sub.as_ref().unwrap().as_str()), ("active", "running"));
        assert_eq!((db.memory_bytes, db.restarts, db.tasks, db.handles), (Some(4096), Some(2), None, Some(3)));
        let web = &found[&alias("web")];
        assert_eq!((web.load.as_ref().unwrap().as_str(), web.memory_bytes, web.restarts, web.handles), ("not-found", None, None, None));
        assert!(services(&[&alias("db")], said, dir.path()).unwrap_err().contains("2 units, asked for 1"));
    }

    #[test]
    fn a_group_that_leads_elsewhere_is_not_followed() {
        let dir = machine();
        fs::write(dir.path().join("cgroup.procs"), "41\n").unwrap();
        for group in ["/../../..", "/", "system.slice/db.service", "/system.slice/../../../.."] {
            assert_eq!(handles(group, dir.path()), None, "{group}");
        }
    }

    #[test]
    fn processes_of_one_name_are_summed() {
        let dir = machine();
        let named = BTreeMap::from([(alias("v"), "viewer".to_owned()), (alias("none"), "absent".to_owned())]);
        let found = processes(&named, dir.path()).unwrap();
        let page = u64::try_from(rustix::param::page_size()).unwrap();
        let ms = 123 * 1000 / rustix::param::clock_ticks_per_second();
        assert_eq!(found[&alias("v")], Process { count: 2, rss_bytes: 20 * page, cpu_ms: ms, handles: Some(4) });
        assert_eq!(found[&alias("none")], Process { count: 0, rss_bytes: 0, cpu_ms: 0, handles: Some(0) });
        assert!(processes(&named, &dir.path().join("nowhere")).is_err());
    }

    #[test]
    fn hidden_processes_are_not_absent_ones() {
        let dir = machine();
        let named = BTreeMap::from([(alias("v"), "viewer".to_owned())]);
        fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        let mounts = |options: &str| {
            format!("22 1 0:21 / /proc rw - proc proc rw\n23 22 0:22 / /proc rw,nosuid - proc proc rw{options}\n24 1 0:5 / /x rw - tmpfs x rw\n")
        };
        for (options, seen) in [("", true), (",hidepid=off", true), (",hidepid=0", true), (",hidepid=invisible", false), (",gid=5,hidepid=2", false)] {
            fs::write(dir.path().join("proc/self/mountinfo"), mounts(options)).unwrap();
            assert_eq!(processes(&named, dir.path()).is_ok(), seen, "{options}");
            assert_eq!(handles("/system.slice/db.service", dir.path()).is_some(), seen, "{options}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_taken(said in "(?s).*", group in ".*") {
            prop_assert!(services(&[&alias("a")], &said, Path::new("/nonexistent")).is_ok_and(|found| found.len() == 1) || said.contains("\n\n"));
            prop_assert_eq!(handles(&group, Path::new("/nonexistent")), None);
        }
    }
}
