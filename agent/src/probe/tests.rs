use super::*;
use mimamori_shared::fields::{self, SECTIONS};
use mimamori_shared::payload::FaultCode;
use mimamori_shared::word::Word;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A file of the real corpus, read where it lies; says which test skips when it is not there.
pub(super) fn corpus(test: &str, relative: &str) -> Option<String> {
    let folder =
        std::env::var_os("MIMAMORI_CORPUS").map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/open")), PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: corpus absent: {test}");
        return None;
    }
    Some(std::fs::read_to_string(folder.join(relative)).unwrap())
}

/// Faults as `probe [name] code`.
pub(super) fn shown(faults: &[Fault]) -> Vec<String> {
    let name = |fault: &Fault| fault.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
    faults.iter().map(|fault| format!("{}{} {}", fault.probe, name(fault), fault.code.name())).collect()
}

pub(super) fn faults_of<T>(section: &'static str, text: &str, parse: fn(&str, &mut Take<'_>) -> T) -> Vec<String> {
    let mut faults = Vec::new();
    parse(text, &mut Take::new(section, &mut faults));
    shown(&faults)
}

#[track_caller]
pub(super) fn check_section<T: Serialize>(
    section: &'static str,
    text: &str,
    parse: fn(&str, &mut Take<'_>) -> T,
    is_empty: fn(&T) -> bool,
    expected: &str,
    faults: &[&str],
) {
    let mut found = Vec::new();
    let taken = Take::new(section, &mut found).section(Ok(text.to_owned()), parse, is_empty);
    assert_eq!(serde_json::to_string(&taken).unwrap(), expected);
    assert_eq!(shown(&found), faults);
}

#[track_caller]
pub(super) fn check_list<T: Serialize>(section: &'static str, text: &str, parse: fn(&str, &mut Take<'_>) -> Vec<T>, expected: &str, faults: &[&str]) {
    let mut found = Vec::new();
    let taken = parse(text, &mut Take::new(section, &mut found));
    assert_eq!(serde_json::to_string(&taken).unwrap(), expected);
    assert_eq!(shown(&found), faults);
}

/// A machine of a few text files. Its folder goes when the test's process does.
pub(crate) fn recorded(files: &[(&str, &str)]) -> Host {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    recorded_bytes(&files)
}

pub(super) fn recorded_bytes(files: &[(&str, &[u8])]) -> Host {
    let folder = tempfile::tempdir().unwrap().keep();
    for (path, bytes) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    Host::recorded(folder)
}

/// One section of a machine as JSON, and its faults.
pub(super) fn taken(host: &Host, section: &str) -> (String, Vec<String>) {
    let (readings, faults) = sample(&Sources::of(host, &names()), &|wanted| wanted == section);
    (serde_json::to_string(&readings).unwrap(), shown(&faults))
}

fn tree(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/host")).join(name)
}

pub(super) fn names() -> Names {
    let aliases = [("/", "root"), ("/srv/pacs data", "pacs")];
    let aliases = aliases.map(|(mount, alias)| (mount.to_owned(), Word::alias(alias).unwrap()));
    Names::new(b"a salt for tests", BTreeMap::from(aliases))
}

#[test]
fn every_section_has_exactly_one_probe_of_its_scope() {
    let rows: Vec<&str> = PROBES.iter().map(|probe| probe.name).collect();
    assert_eq!(rows, SECTIONS);
    for probe in PROBES {
        assert!(fields::fields().filter(|f| f.section == probe.name).all(|f| f.scope == probe.scope), "{}", probe.name);
        assert!(probe.about.ends_with('.') && probe.mend.ends_with('.'), "{}", probe.name);
        assert!(probe.about_ja.ends_with('。') && probe.mend_ja.ends_with('。'), "{}", probe.name);
        assert_eq!(probe.interval_s, seldom_s(probe.scope).unwrap_or(60), "{}", probe.name);
    }
}

/// Written anew with `MIMAMORI_BLESS=1`; read the difference before committing it.
#[test]
fn debian12_gives_exactly_the_golden_report() {
    let (mut readings, faults) = sample(&Sources::of(&Host::recorded(tree("debian12")), &names()), &|_| true);
    // The version moves with every release and is no business of the probes.
    let agent = readings.agent.as_mut().unwrap();
    assert_eq!(agent.version.take().unwrap().as_str(), env!("CARGO_PKG_VERSION"));
    let taken = serde_json::to_string_pretty(&serde_json::json!({ "readings": readings, "faults": faults })).unwrap() + "\n";
    let golden = tree("debian12.golden.json");
    if std::env::var_os("MIMAMORI_BLESS").is_some() {
        std::fs::write(&golden, &taken).unwrap();
    }
    assert_eq!(taken, std::fs::read_to_string(golden).unwrap());
}

#[test]
fn debian12_reaches_every_row_that_a_file_can_give() {
    // No file says the first two (clock.rs), and nothing is looked up here; daemons and checks are asked, and the agent's
    // shell adds the others.
    let elsewhere = ["clock.offset_us", "clock.max_error_us", "tcp.dns_us", "clock.steps", "clock.step_ms", "agent.outbox_entries", "agent.outbox_bytes"];
    let elsewhere = [&elsewhere[..], &["agent.stretch", "agent.over_budget", "agent.probes_ms", "agent.slowest_probe", "agent.slowest_probe_ms"]].concat();
    let (readings, _) = sample(&Sources::of(&Host::recorded(tree("debian12")), &names()), &|_| true);
    let mut reached = BTreeSet::new();
    readings.visit(|field, _, _| {
        reached.insert(field.path());
    });
    let expected: BTreeSet<String> = fields::fields()
        .filter(|field| field.section != "application" && field.kind != fields::Kind::Table)
        .map(|f| f.path())
        .filter(|path| !elsewhere.contains(&path.as_str()))
        .collect();
    assert_eq!(reached, expected);
}

#[test]
fn only_what_is_wanted_is_read() {
    let (readings, faults) = sample(&Sources::of(&Host::recorded(tree("debian12")), &names()), &|section| section == "load");
    assert_eq!(serde_json::to_string(&readings).unwrap(), r#"{"load":{"load1_milli":80,"load5_milli":110,"load15_milli":90}}"#);
    assert!(faults.is_empty());
}

#[test]
fn a_broken_machine_yields_only_faults() {
    let (mut readings, faults) = sample(&Sources::of(&Host::recorded(tree("broken")), &names()), &|_| true);
    assert_eq!(readings.agent.take().map(|agent| (agent.resident_bytes, agent.cpu_ms)), Some((None, None)));
    assert_eq!(readings, Readings::default());
    let expected = [
        "agent.cpu_ms malformed",
        "agent.resident_bytes malformed",
        "agent.written_bytes not_found",
        "array not_found",
        "boot not_found",
        "clock unsupported",
        "cpu malformed",
        "disk malformed",
        "drive not_found",
        "filesystem malformed",
        "journal not_found",
        "kernel.blocked not_found",
        "kernel.file_handles not_found",
        "kernel.forks not_found",
        "kernel.running not_found",
        "kernel.threads not_found",
        "kernel.threads_max not_found",
        "kernel_log not_found",
        "load malformed",
        "machine_check not_found",
        "memory malformed",
        "multipath not_found",
        "network not_found",
        "paging not_found",
        "pool not_found",
        "power not_found",
        "pressure not_found",
        "process not_found",
        "sensor not_found",
        "service not_found",
        "swap malformed",
        "system malformed",
        "tcp.default_route not_found",
        "tcp.listen_drops not_found",
        "tcp.segments_sent not_found",
        "tcp.time_wait not_found",
        "units not_found",
    ];
    assert_eq!(shown(&faults), expected);
}

#[test]
fn an_empty_folder_yields_only_faults() {
    let folder = tempfile::tempdir().unwrap();
    let (mut readings, faults) = sample(&Sources::of(&Host::recorded(folder.path()), &names()), &|_| true);
    readings.agent = None;
    assert_eq!(readings, Readings::default());
    assert_eq!(faults.len(), 35);
    assert!(faults.iter().all(|fault| matches!(fault.code, FaultCode::NotFound | FaultCode::Unsupported)));
}

#[test]
fn live_machine_gives_plausible_values() {
    let (readings, faults) = sample(&Sources::of(&Host::live(), &names()), &|_| true);
    let cpu = readings.cpu.unwrap();
    assert!(cpu.idle_ms.unwrap() > 0 && (1..10_000).contains(&cpu.logical_count.unwrap()));
    let memory = readings.memory.unwrap();
    assert!(memory.total_bytes.unwrap() > 64 << 20 && memory.available_bytes < memory.total_bytes);
    let system = readings.system.unwrap();
    assert!(system.uptime_ms.unwrap() > 1000 && system.boot_at_ms.unwrap() > 1_600_000_000_000, "{system:?}");
    let agent = readings.agent.unwrap();
    assert!(agent.resident_bytes.unwrap() > 100_000 && agent.cpu_ms.unwrap() >= 0);
    assert!(readings.load.is_some() && readings.swap.is_some());
    let root = readings.filesystem.iter().find(|entry| entry.name.as_str() == "root").unwrap();
    assert!(root.size_bytes.unwrap() > 1 << 20 && root.available_bytes <= root.size_bytes, "{root:?}");
    assert!(readings.network.iter().all(|entry| entry.name.as_str() != "lo"));
    assert!(faults.iter().all(|fault| fault.code != FaultCode::Malformed), "{faults:?}");
}
