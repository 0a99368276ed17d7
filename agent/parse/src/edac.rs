//! Memory errors counted by the kernel: a folder as under `/sys/devices/system/edac` (Documentation/admin-guide/ras.rst).
//!
//! A controller `mcN` holds its own sums, and beside them the same errors by `csrowN/chN`, by `dimmN` or by `rankN`.

use crate::verdict::Verdict;
use crate::{Outcome, RECORDS_MAX, Status, Tree, Unreadable, text};
use serde::Serialize;
use std::collections::BTreeMap;

/// A memory controller, or a place on one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Such as `mc0`.
    pub controller: String,
    /// Such as `dimm3`, `csrow0` or `csrow0/ch1`; `None` is the controller itself.
    pub location: Option<String>,
    /// What is printed on the board, such as `CPU_SrcID#0_MC#0_Chan#1_DIMM#0`.
    pub label: Option<String>,
    /// In bytes.
    pub size_bytes: Option<i64>,
    /// Errors mended, since the driver was loaded.
    pub corrected: Option<i64>,
    /// Errors not mended, since the driver was loaded.
    pub uncorrected: Option<i64>,
    /// Errors mended somewhere that the controller does not tell.
    pub corrected_noinfo: Option<i64>,
    /// Errors not mended somewhere that the controller does not tell.
    pub uncorrected_noinfo: Option<i64>,
}

/// Everything in the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edac {
    /// By controller and place, at most [`RECORDS_MAX`].
    pub memory: Vec<Memory>,
    /// Places beyond that.
    pub beyond: usize,
    /// Files that hold no number, at most [`RECORDS_MAX`].
    pub malformed: Vec<String>,
}

const SUCH_AS: &str = "mc/mc0/ce_count";

/// Reads the folder. A machine whose kernel knows no memory controller has one without `mc0`, and that is no error.
///
/// # Errors
/// When it is empty or another folder.
pub fn parse(tree: &Tree) -> Result<Edac, Unreadable> {
    let mut places: BTreeMap<(&str, Option<String>), Memory> = BTreeMap::new();
    let (mut edac, mut familiar, mut any) = (Edac::default(), false, false);
    for path in tree.paths() {
        any = true;
        let parts: Vec<&str> = path.split('/').collect();
        familiar |= parts.iter().any(|part| ["mc", "edac"].contains(part) || numbered(part, "mc"));
        let Some(at) = parts.iter().rposition(|part| numbered(part, "mc")) else { continue };
        let (controller, below) = (parts.get(at).copied().unwrap_or_default(), parts.get(at + 1..).unwrap_or_default());
        let Some((location, attribute)) = place(below) else { continue };
        let key = (controller, location);
        if places.len() >= RECORDS_MAX && !places.contains_key(&key) {
            edac.beyond += 1;
            continue;
        }
        let memory = places.entry(key).or_default();
        if !put(memory, attribute, tree.line(path).unwrap_or_default()) && edac.malformed.len() < RECORDS_MAX {
            edac.malformed.push(path.to_owned());
        }
    }
    if !any {
        return Err(Unreadable::Empty);
    }
    if !familiar {
        return Err(Unreadable::Foreign { line: 1, such_as: SUCH_AS });
    }
    let named = |((controller, location), memory): ((&str, Option<String>), Memory)| Memory { controller: controller.to_owned(), location, ..memory };
    edac.memory = places.into_iter().map(named).collect();
    Ok(edac)
}

fn numbered(part: &str, prefix: &str) -> bool {
    part.strip_prefix(prefix).is_some_and(|number| (1..=6).contains(&number.len()) && text::whole(number).is_some())
}

/// Where a file below a controller counts, and what it says: `csrow0/ch1_ce_count` is `csrow0/ch1` and `ce_count`.
fn place<'a>(below: &[&'a str]) -> Option<(Option<String>, &'a str)> {
    let [folders @ .., file] = below else { return None };
    let folder = match folders {
        [] => None,
        [folder] if ["csrow", "dimm", "rank"].iter().any(|prefix| numbered(folder, prefix)) => Some(*folder),
        _ => return None,
    };
    if let (Some(folder), Some((channel, attribute))) = (folder, file.split_once('_'))
        && numbered(channel, "ch")
    {
        let known = ["ce_count", "ue_count", "dimm_label"].contains(&attribute);
        return known.then(|| (Some(format!("{folder}/{channel}")), attribute));
    }
    let attribute = folder.filter(|folder| !folder.starts_with("csrow")).map_or(*file, |_| file.strip_prefix("dimm_").unwrap_or(file));
    let known = ["ce_count", "ue_count", "ce_noinfo_count", "ue_noinfo_count", "size_mb", "size", "label"].contains(&attribute);
    known.then(|| (folder.map(str::to_owned), attribute))
}

/// Takes one file over; false when it should hold a number and does not.
fn put(memory: &mut Memory, attribute: &str, line: &str) -> bool {
    if attribute.ends_with("label") {
        memory.label = Some(text::hardware(line)).filter(|label| !label.is_empty());
        return true;
    }
    let number = text::whole(line);
    match attribute {
        "ce_count" => memory.corrected = number,
        "ue_count" => memory.uncorrected = number,
        "ce_noinfo_count" => memory.corrected_noinfo = number,
        "ue_noinfo_count" => memory.uncorrected_noinfo = number,
        _ => memory.size_bytes = number.and_then(|mebibytes| mebibytes.checked_mul(1024 * 1024)),
    }
    number.is_some() || line.is_empty()
}

impl Memory {
    fn name(&self) -> String {
        let location = self.location.as_deref().map(|location| format!(" {location}")).unwrap_or_default();
        let label = self.label.as_deref().map(|label| format!(" ({label})")).unwrap_or_default();
        format!("{}{location}{label}", self.controller)
    }

    fn uncorrected_seen(&self) -> i64 {
        self.uncorrected.unwrap_or(0).max(self.uncorrected_noinfo.unwrap_or(0))
    }

    fn corrected_seen(&self) -> i64 {
        self.corrected.unwrap_or(0).max(self.corrected_noinfo.unwrap_or(0))
    }
}

/// How the folder reads for a human or a script. An error that was not mended is bad; mended ones are a figure whose
/// growth the collector judges.
///
/// # Errors
/// As [`parse`].
pub fn outcome(tree: &Tree, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let edac = parse(tree)?;
    if edac.memory.is_empty() {
        return Ok(Outcome::cannot("no_device", "the kernel knows no memory controller that counts errors"));
    }
    let mut verdict = Verdict::default();
    for memory in &edac.memory {
        if memory.uncorrected_seen() > 0 {
            verdict.bad(format!("{}: {} memory errors not corrected", memory.name(), memory.uncorrected_seen()));
        } else if memory.corrected_seen() > 0 {
            verdict.note(format!("{}: {} memory errors corrected", memory.name(), memory.corrected_seen()));
        }
    }
    let counted = edac.memory.iter().any(|memory| memory.uncorrected.is_some());
    let mut outcome = verdict.outcome("no uncorrected memory error");
    if outcome.status == Status::Ok && !counted {
        (outcome.status, outcome.reason) = (Status::Unknown, "no count of uncorrected memory errors".to_owned());
    }
    for memory in &edac.memory {
        let labels = [("controller", memory.controller.as_str()), ("location", memory.location.as_deref().unwrap_or_default())];
        for (name, count) in [
            ("memory_corrected_errors", memory.corrected),
            ("memory_uncorrected_errors", memory.uncorrected),
            ("memory_corrected_errors_without_place", memory.corrected_noinfo),
            ("memory_uncorrected_errors_without_place", memory.uncorrected_noinfo),
        ] {
            outcome.reading(name, &labels, count.map(text::float), "count");
        }
        outcome.reading("memory_size", &labels, memory.size_bytes.map(text::float), "bytes");
        outcome.record(memory);
    }
    edac.malformed.iter().for_each(|path| outcome.fault("malformed", &format!("{path}: no whole number")));
    if edac.beyond > 0 {
        outcome.fault("too_many", &format!("{} files beyond {RECORDS_MAX} places", edac.beyond));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        files.iter().for_each(|(path, text)| tree.put(*path, *text).unwrap());
        tree
    }

    fn judged(files: &[(&str, &str)]) -> Outcome {
        outcome(&tree(files), None).unwrap()
    }

    const CLEAN: &[(&str, &str)] = &[
        ("mc/mc0/ce_count", "0\n"),
        ("mc/mc0/ue_count", "0\n"),
        ("mc/mc0/size_mb", "65536\n"),
        ("mc/mc0/mc_name", "Skylake Socket#0 IMC#0\n"),
        ("mc/mc0/dimm3/dimm_ce_count", "0\n"),
        ("mc/mc0/dimm3/dimm_ue_count", "0\n"),
        ("mc/mc0/dimm3/dimm_label", "CPU_SrcID#0_MC#0_Chan#1_DIMM#0\n"),
        ("mc/mc0/dimm3/size", "32768\n"),
        ("mc/mc0/csrow0/ch1_ce_count", "0\n"),
        ("mc/mc0/power/control", "auto\n"),
    ];

    fn with(path: &'static str, text: &'static str) -> Outcome {
        let mut files: Vec<_> = CLEAN.iter().copied().filter(|(name, _)| *name != path).collect();
        files.push((path, text));
        judged(&files)
    }

    #[test]
    fn a_controller_and_its_places_are_read() {
        let edac = parse(&tree(CLEAN)).unwrap();
        let names: Vec<_> = edac.memory.iter().map(|memory| memory.location.as_deref()).collect();
        assert_eq!(names, [None, Some("csrow0/ch1"), Some("dimm3")]);
        assert_eq!((edac.memory[0].size_bytes, edac.memory[0].uncorrected), (Some(64 << 30), Some(0)));
        let dimm = &edac.memory[2];
        assert_eq!((dimm.label.as_deref(), dimm.size_bytes, dimm.corrected), (Some("CPU_SrcID#0_MC#0_Chan#1_DIMM#0"), Some(32 << 30), Some(0)));
        assert_eq!((edac.memory[1].corrected, edac.memory[1].uncorrected), (Some(0), None));
        assert_eq!((judged(CLEAN).status, judged(CLEAN).faults.len()), (Status::Ok, 0));
    }

    #[test]
    fn uncorrected_is_bad_and_corrected_is_a_figure() {
        for path in ["mc/mc0/ue_count", "mc/mc0/ue_noinfo_count", "mc/mc0/dimm3/dimm_ue_count", "mc/mc0/csrow0/ch1_ue_count", "mc/mc0/rank4/dimm_ue_count"] {
            let outcome = with(path, "2");
            assert!(outcome.status == Status::Bad && outcome.reason.contains("2 memory errors not corrected"), "{path}: {}", outcome.reason);
        }
        let outcome = with("mc/mc0/dimm3/dimm_ce_count", "7");
        assert_eq!(outcome.status, Status::Ok);
        assert!(outcome.reason.contains("mc0 dimm3 (CPU_SrcID#0_MC#0_Chan#1_DIMM#0): 7 memory errors corrected"), "{}", outcome.reason);
        assert!(outcome.readings.iter().any(|r| r.name == "memory_corrected_errors" && r.labels["location"] == "dimm3" && (r.value - 7.0).abs() < 1e-9));
    }

    #[test]
    fn where_nobody_counts_nothing_is_fine() {
        let outcome = judged(&[("mc/uevent", ""), ("mc/power/control", "auto"), ("pci/power/control", "auto")]);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, "no_device"));
        assert_eq!(judged(&[("mc0/ce_count", "0")]).status, Status::Unknown);
    }

    #[test]
    fn any_top_of_the_folder_will_do() {
        for top in ["", "mc/", "edac/mc/", "sys/devices/system/edac/mc/"] {
            assert_eq!(judged(&[(&format!("{top}mc1/ue_count"), "1")]).status, Status::Bad, "{top}");
        }
    }

    #[test]
    fn another_folder_is_refused_and_a_broken_file_costs_itself() {
        assert_eq!(parse(&tree(&[])), Err(Unreadable::Empty));
        assert!(matches!(parse(&tree(&[("hwmon0/temp1_input", "1")])), Err(Unreadable::Foreign { .. })));
        let outcome = with("mc/mc0/dimm3/dimm_ce_count", "many");
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Ok, "malformed"));
    }

    #[test]
    fn places_without_end_are_bounded() {
        let mut endless = Tree::default();
        (0..=RECORDS_MAX).for_each(|n| endless.put(format!("mc0/dimm{n}/dimm_ue_count"), "0").unwrap());
        let outcome = outcome(&endless, None).unwrap();
        assert_eq!((outcome.records.len(), outcome.faults[0].code), (RECORDS_MAX, "too_many"));
    }

    proptest! {
        #[test]
        fn any_folder_is_taken(files in prop::collection::vec(("(mc/)?(mc[0-9]*/)?((csrow|dimm|\
            rank|.)[0-9]*/)?(ch[0-9]*_)?(dimm_)?(ce_count|ue_count|size|.*)", "[0-9]{0,21}|.*"), 0..8)) {
            let mut tree = Tree::default();
            for (path, text) in files {
                tree.put(path, text).unwrap();
            }
            if let Ok(outcome) = outcome(&tree, None) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
