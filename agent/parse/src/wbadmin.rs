//! Windows Server Backup: `wbadmin get versions` in any language, and `Get-WBSummary`, `Get-WBBackupSet` and `Get-WBJob` of
//! its PowerShell module. The versions at one target are one set.
//!
//! Of a version both the machine's own time and an identifier are told; the identifier is in UTC and the same in all
//! languages, and so it is what is read.

use crate::backup::{BackupRecord, Backups, Ended, complaint};
use crate::powershell::{self, Row};
use crate::when::{Order, When, order_of};
use crate::{Outcome, RECORDS_MAX, Unreadable, text};
use serde_json::Value;

mod module;

const SUCH_AS: &str = "Version identifier: 11/22/2026-03:18";

/// Reads any of them.
///
/// # Errors
/// When it is empty, or something else.
pub fn parse(input: &str) -> Result<Backups, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let foreign = Unreadable::Foreign { line: first + 1, such_as: SUCH_AS };
    if input.trim_start().starts_with(['{', '[']) {
        let root: Value = serde_json::from_str(input)?;
        let empty = root.as_array().is_some_and(Vec::is_empty);
        return if empty { Ok(none("empty", "no backup in it")) } else { module::read(input)?.ok_or(foreign) };
    }
    if let Some(backups) = versions(input) {
        return Ok(backups);
    }
    if let Some(backups) = module::read(input)? {
        return Ok(backups);
    }
    let (code, words) = input.lines().find_map(said).ok_or(foreign)?;
    Ok(none(code, words))
}

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    Ok(parse(input)?.outcome(at_ms))
}

fn none(code: &'static str, words: &str) -> Backups {
    let mut backups = Backups::default();
    backups.fault(code, words);
    backups
}

/// What the tools say when there is nothing, or when they cannot look.
fn said(line: &str) -> Option<(&'static str, &'static str)> {
    let lower = line.to_lowercase();
    let is = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if is(&[
        "no backup was found",
        "there are no backups",
        "no backups were found",
        "バックアップが見つかりません",
        "バックアップはありません",
        "バックアップがありません",
    ]) {
        return Some(("empty", "no backup in it"));
    }
    let names = is(&["wbadmin", "windows server backup", "windows server バックアップ", "windowsserverbackup", "get-wb", "0x8078", "0x80070"]);
    if is(&["not installed on this", "インストールされていません"]) {
        return Some(("not_found", "the tool is not installed"));
    }
    if is(&["you must be a member", "administrators または backup operators", "administrators グループ"]) {
        return Some(("permission_denied", "the tool may not look"));
    }
    if is(&[
        "cannot find the path",
        "network path was not found",
        "network name cannot be found",
        "ネットワーク パスが見つかりません",
        "指定されたパスが見つかりません",
    ]) {
        return Some(("unreachable", "the target of the backups cannot be reached"));
    }
    complaint(line).filter(|_| names)
}

/// The versions that `wbadmin get versions` lists; `None` when there is none.
fn versions(input: &str) -> Option<Backups> {
    let mut backups = Backups::default();
    let mut targets: Vec<(Option<&str>, Vec<When>)> = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    let mut broken = 0;
    for line in input.lines().chain([""]) {
        let Some((_, value)) = line.split_once([':', '：']).filter(|(label, _)| !label.trim().is_empty()) else {
            if line.trim().is_empty() {
                block.clear();
            }
            continue;
        };
        let value = value.trim();
        match identifier(value) {
            Some(Some(when)) => {
                // Before the identifier stand the machine's own time and the target, each behind a label of the language.
                let target = block.get(1).copied();
                let full = targets.len() >= RECORDS_MAX;
                match targets.iter_mut().find(|(known, _)| *known == target) {
                    Some((_, versions)) => versions.push(when),
                    None if full => broken += 1,
                    None => targets.push((target, vec![when])),
                }
            }
            Some(None) => broken += 1,
            None => block.push(value),
        }
    }
    if targets.is_empty() && broken == 0 {
        return None;
    }
    if broken > 0 {
        backups.fault("malformed", &format!("{broken} versions without a moment that can be meant"));
    }
    targets.iter().for_each(|(target, versions)| backups.push(BackupRecord::of(target.map(str::to_owned), versions)));
    Some(backups)
}

/// `03/01/2023-18:13`, in UTC: none when it is no identifier, and none within when there is no such moment.
fn identifier(value: &str) -> Option<Option<When>> {
    let (day, clock) = value.split_once('-')?;
    let day: Vec<&str> = day.split('/').collect();
    let ([month, day, year], Some((hour, minute))) = (day.as_slice(), clock.split_once(':')) else { return None };
    let shaped = [month, day, &hour, &minute].iter().all(|part| part.len() == 2 && text::whole(part).is_some());
    if !shaped || year.len() != 4 || text::whole(year).is_none() {
        return None;
    }
    Some(When::read(&format!("{year}-{month}-{day}T{hour}:{minute}:00Z"), Order::Unknown))
}

#[cfg(test)]
mod tests;
