//! UPSes, as Network UPS Tools and apcupsd know them: asked over loopback, where either listens unless it was told not to.
//!
//! Nobody listens: there is no UPS, and nothing is wrong. Somebody listens and does not answer: a fault.

use super::take::Entries;
use super::{Names, Sources, Take};
use crate::host::Host;
use crate::host::ask::{Question, soon};
use mimamori_parse::ups::{Flag, Ups as Told};
use mimamori_parse::{Unreadable, apcaccess, text, upsc};
use mimamori_shared::fields::{Readings, Ups};
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;

/// Most UPSes of NUT that are looked at; a machine with more is a monitoring server.
const UPSES_MAX: usize = 8;
/// What apcupsd's only UPS is hashed as: no name that NUT could give.
const APCUPSD: &str = "127.0.0.1:3551";
/// Most a UPS can be believed to bear, in percent.
const LOAD_MAX: i64 = 1000;

pub(super) fn read(Sources { host, names, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("ups", faults);
    readings.ups = nut(host, names, &mut take);
    readings.ups.extend(apcupsd(host, names, &mut take));
}

fn nut(host: &Host, names: &Names, take: &mut Take<'_>) -> Vec<Ups> {
    let (until, mut found, mut entries) = (soon(), Vec::new(), Entries::default());
    let listed = match host.ask(Question::NutList, until) {
        Err(FaultCode::NotFound) => return found,
        answer => answer.and_then(|answer| upses(&text::decode(&answer))),
    };
    let Some(upses) = take.whole(listed) else { return found };
    if upses.len() > UPSES_MAX {
        take.fail(FaultCode::TooMany);
    }
    for ups in upses.iter().take(UPSES_MAX) {
        let name = names.ups(ups);
        if !entries.admit(&name, take) {
            continue;
        }
        let told = host.ask(Question::NutVariables(ups), until).and_then(|answer| variables(&text::decode(&answer), ups));
        found.extend(entry(name, told, take));
    }
    found
}

fn apcupsd(host: &Host, names: &Names, take: &mut Take<'_>) -> Option<Ups> {
    let told = match host.ask(Question::ApcupsdStatus, soon()) {
        Err(FaultCode::NotFound) => return None,
        answer => answer.and_then(|answer| status(&text::decode(&answer))),
    };
    entry(names.ups(APCUPSD), told, take)
}

/// The names in NUT's list of UPSes. What people wrote about them is left where it is.
pub(super) fn upses(answer: &str) -> Result<Vec<String>, FaultCode> {
    let name = |line: &str| Some(line.strip_prefix("UPS ")?.split_once(' ')?.0.to_owned());
    list(answer, "UPS")?.lines().map(|line| name(line).ok_or(FaultCode::Malformed)).collect()
}

/// A UPS, and whether everything that was said of it could be read.
pub(super) type Said = (Told, bool);

pub(super) fn variables(answer: &str, ups: &str) -> Result<Said, FaultCode> {
    let read = upsc::parse(list(answer, &format!("VAR {ups}"))?).map_err(|error| unreadable(&error))?;
    Ok((read.ups, read.malformed.is_empty() && !read.twice))
}

pub(super) fn status(report: &str) -> Result<Said, FaultCode> {
    let read = apcaccess::parse(report).map_err(|error| unreadable(&error))?;
    Ok((read.ups, read.malformed.is_empty() && !read.twice))
}

fn unreadable(error: &Unreadable) -> FaultCode {
    if matches!(error, Unreadable::Empty) { FaultCode::NotFound } else { FaultCode::Malformed }
}

/// The lines of a list of NUT's, which must have come to its end.
fn list<'a>(answer: &'a str, of: &str) -> Result<&'a str, FaultCode> {
    if let Some(refusal) = answer.strip_prefix("ERR ") {
        return Err(match refusal.split_ascii_whitespace().next() {
            Some("DATA-STALE") => FaultCode::TimedOut,
            Some("ACCESS-DENIED") => FaultCode::PermissionDenied,
            Some("UNKNOWN-UPS") => FaultCode::NotFound,
            Some("UNKNOWN-COMMAND") => FaultCode::Unsupported,
            // DRIVER-NOT-CONNECTED, and what else may come.
            _ => FaultCode::IoError,
        });
    }
    let lines = answer.strip_prefix("BEGIN LIST ").and_then(|rest| rest.strip_prefix(of));
    let lines = lines.and_then(|lines| lines.split_once(&format!("\nEND LIST {of}\n")));
    lines.map(|(lines, _)| lines.trim_start_matches('\n')).ok_or(FaultCode::Malformed)
}

pub(super) fn entry(name: Word, told: Result<Said, FaultCode>, take: &mut Take<'_>) -> Option<Ups> {
    let mut take = take.entry(&name);
    let (told, is_whole) = take.whole(told)?;
    if !is_whole {
        take.fail(FaultCode::Malformed);
    }
    let flags = take.value("status", told.flags.clone().ok_or(FaultCode::NotFound)).unwrap_or_default();
    let is = |flag: Flag| flags.contains(&flag);
    let unknown = Ups { name: name.clone(), status: "unknown".parse().ok(), ..Ups::default() };
    if is(Flag::CommunicationLost) {
        // What the daemon still says are the figures of before.
        take.fail(FaultCode::IoError);
        return Some(unknown);
    }
    if is(Flag::Waiting) {
        return Some(unknown);
    }
    let ending = is(Flag::ShuttingDown) || (is(Flag::OnBattery) && is(Flag::LowBattery));
    let status = match () {
        () if is(Flag::Off) => "off",
        () if ending => "low",
        () if is(Flag::OnBattery) => "battery",
        () if is(Flag::Online) || is(Flag::Bypass) => "online",
        () => "unknown",
    };
    let flag = |set: bool| (!flags.is_empty()).then_some(i64::from(set));
    let mut figure = |field, value: Option<i64>, max| {
        let value = value?;
        take.value(field, if (0..=max).contains(&value) { Ok(value) } else { Err(FaultCode::Malformed) })
    };
    let whole = |milli: Option<i64>| milli.map(|milli| milli.saturating_add(500).div_euclid(1000));
    Some(Ups {
        name,
        status: status.parse().ok(),
        on_battery: flag(is(Flag::OnBattery)),
        battery_low: flag(is(Flag::LowBattery) || is(Flag::ShuttingDown)),
        replace_battery: flag(is(Flag::ReplaceBattery) || is(Flag::NoBattery)),
        overload: flag(is(Flag::Overloaded)),
        alarm: flag(is(Flag::Alarm) || is(Flag::Overheated) || is(Flag::TestFailed)),
        // Not every UPS measures these.
        charge_percent: figure("charge_percent", whole(told.battery_charge_milli), 100),
        runtime_s: figure("runtime_s", told.battery_runtime_s, i64::MAX),
        load_percent: figure("load_percent", whole(told.load_milli), LOAD_MAX),
    })
}

#[cfg(test)]
#[path = "ups_tests.rs"]
mod tests;
