//! What is wrong with one section.

use super::{About, Member, Report};
use crate::verdict::Verdict;

/// Adds what is wrong with a section, or that it does not say.
pub(super) fn report(report: &Report, verdict: &mut Verdict) {
    let device = &report.device;
    for member in report.members.iter().filter(|member| failed(&member.state)) {
        let which = member.device.clone().or_else(|| member.slot.map(|slot| format!("slot {slot}"))).unwrap_or_else(|| "a device".to_owned());
        verdict.bad(format!("{device}: {which} is {}", member.state));
    }
    for volume in &report.volumes {
        if let Some(state) = volume.state.as_deref().filter(|state| !sound(state)) {
            let migration = volume.migration.as_deref().filter(|what| *what != "idle").map(|what| format!(", {what}")).unwrap_or_default();
            verdict.bad(format!("{device}: volume {} is {state}{migration}", volume.number));
        } else if let Some(slots) = volume.slots.as_deref().filter(|slots| slots.contains('_')) {
            verdict.bad(format!("{device}: volume {} lacks members: {slots}", volume.number));
        }
    }
    match report.about {
        About::Array => array(report, verdict),
        About::Superblock => superblock(report, verdict),
        About::Line if report.state.as_deref() == Some("inactive") => verdict.bad(format!("{device} is inactive")),
        About::Line => verdict.unknown(format!("{device}: a list of arrays says no state; use --detail without --scan and --brief")),
    }
}

/// A volume's state of which nothing is wrong; `a <-- b` is on its way from b to a.
fn sound(state: &str) -> bool {
    state
        .split("<--")
        .all(|part| matches!(part.split(',').next().map(|word| word.trim().to_lowercase()).as_deref(), Some("normal" | "uninitialized" | "optimal")))
}

/// A device's state that means it is lost.
fn failed(state: &str) -> bool {
    let state = state.to_lowercase();
    ["faulty", "failed", "offline", "missing", "s.m.a.r.t", "unrecovered"].iter().any(|word| state.contains(word)) && !state.contains("removed")
}

/// The slots, the members in step, and whether some are missing.
fn lacking(report: &Report) -> bool {
    let counted = report.raid_devices.zip(report.active_devices).is_some_and(|(slots, up)| up < slots);
    counted || report.members.iter().any(|member| member.state.contains("removed"))
}

fn degraded(report: &Report, verdict: &mut Verdict) {
    let count = report.raid_devices.zip(report.active_devices).map(|(slots, up)| format!(": {up} of {slots} members")).unwrap_or_default();
    let done = |progress: &super::Progress| progress.done_percent.map(|done| format!(", {} {done} %", doing(&progress.operation)));
    let progress = report.progress.as_ref().and_then(done).unwrap_or_default();
    verdict.bad(format!("{} is degraded{count}{progress}", report.device));
}

fn doing(operation: &str) -> &str {
    if operation == "rebuild" { "recovering" } else { operation }
}

fn array(report: &Report, verdict: &mut Verdict) {
    let device = &report.device;
    let container = report.level.as_deref() == Some("container");
    let Some(state) = &report.state else {
        if !container {
            verdict.unknown(format!("{device}: no line `State`"));
        }
        return;
    };
    let words: Vec<String> = state.split(',').map(|word| word.trim().to_lowercase()).collect();
    let is = |word: &str| words.iter().any(|other| other.as_str() == word || other.strip_prefix(word).is_some_and(|rest| rest.starts_with(' ')));
    for (word, what) in [("failed", "has failed"), ("broken", "is broken"), ("not started", "is not started"), ("inactive", "is inactive")] {
        if is(word) && !(container && word == "inactive") {
            verdict.bad(format!("{device} {what}"));
        }
    }
    if is("degraded") || (!container && !is("inactive") && lacking(report)) {
        degraded(report, verdict);
    }
    let named = report.members.iter().any(|member| failed(&member.state));
    if let Some(count) = report.failed_devices.filter(|count| *count > 0 && !named) {
        verdict.bad(format!("{device}: {count} failed devices"));
    }
}

fn superblock(report: &Report, verdict: &mut Verdict) {
    let device = &report.device;
    if report.checksum_holds == Some(false) {
        verdict.bad(format!("{device}: the superblock's checksum is wrong"));
    }
    if report.bad_blocks {
        verdict.bad(format!("{device}: bad blocks are listed"));
    }
    if report.recovering && report.role.as_deref().is_some_and(|role| role.starts_with("Active")) {
        verdict.bad(format!("{device} is recovering: not in step yet"));
    }
    if let Some(slots) = &report.array_state {
        if slots.contains(['.', '_']) {
            verdict.bad(format!("{device}: its array is degraded: {slots}"));
        }
        return;
    }
    if !report.volumes.is_empty() {
        return;
    }
    match report.metadata.as_deref() {
        Some(version) if version.starts_with("0.9") || version.starts_with("00.9") => {
            let named = report.members.iter().any(|member| failed(&member.state));
            if lacking(report) || (!named && report.failed_devices.is_some_and(|count| count > 0)) {
                degraded(report, verdict);
            } else if report.active_devices.is_none() {
                verdict.unknown(format!("{device}: no count of members"));
            }
        }
        // A spare disk of the firmware's, and a container without volumes.
        Some("imsm" | "ddf") => {}
        _ => verdict.unknown(format!("{device}: no state of an array in it")),
    }
}

impl Member {
    /// The row of a device that is lost.
    #[must_use]
    pub fn failed(&self) -> bool {
        failed(&self.state)
    }
}
