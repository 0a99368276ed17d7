//! Sections as monitoring agents send them: `<<<NAME:sep(9)>>>`, then rows.

use super::Row;
use crate::RECORDS_MAX;

/// Rows looked at.
const ROWS_MAX: usize = 4 * RECORDS_MAX;
/// Columns of the sections that do not name them.
const JOBS: &[&str] = &["jobname", "type", "state", "result", "creationtime", "endtime"];
const O365: &[&str] = &["id", "jobname", "result", "creationtime", "endtime", "duration"];
const CDP: &[&str] = &["jobname", "next", "policy"];

/// The rows of all its sections about jobs; `None` when there is no such section.
pub(super) fn read(input: &str) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    let mut section: Option<(&str, char)> = None;
    let mut columns: Vec<String> = Vec::new();
    let mut client = Row::new();
    let mut familiar = false;
    for line in input.lines().map(|line| line.trim_end_matches('\r')).filter(|line| !line.trim().is_empty()) {
        if rows.len() >= ROWS_MAX {
            break;
        }
        if line.trim_start().starts_with("<<<") {
            put_client(&mut client, &mut rows);
            section = header(line);
            columns = section.map_or_else(Vec::new, |(name, _)| names(name));
            familiar |= section.is_some();
            continue;
        }
        let Some((name, separator)) = section else { continue };
        let cells: Vec<&str> = line.split(separator).map(str::trim).collect();
        match name {
            "veeam_client" => {
                if let [key, value, ..] = cells.as_slice() {
                    client.insert(key.to_ascii_lowercase(), (*value).to_owned());
                }
            }
            // The first row names the columns.
            "veeam_tapejobs" if columns.is_empty() => columns = cells.iter().map(|cell| cell.to_ascii_lowercase()).collect(),
            _ => rows.push(row(name, &columns, &cells)),
        }
    }
    put_client(&mut client, &mut rows);
    familiar.then_some(rows)
}

/// `<<<veeam_jobs:sep(9)>>>`: the section's name, and what stands between its cells.
fn header(line: &str) -> Option<(&str, char)> {
    let inner = line.trim().strip_prefix("<<<")?.strip_suffix(">>>")?;
    let (name, options) = inner.split_once(':').unwrap_or((inner, ""));
    let code = options.split(':').find_map(|option| option.strip_prefix("sep(")?.strip_suffix(')')?.parse::<u8>().ok());
    let known = ["veeam_jobs", "veeam_o365jobs", "veeam_tapejobs", "veeam_cdp_jobs", "veeam_client"].contains(&name);
    known.then(|| (name, code.map_or('\t', char::from)))
}

fn names(section: &str) -> Vec<String> {
    let names = match section {
        "veeam_jobs" => JOBS,
        "veeam_o365jobs" => O365,
        "veeam_cdp_jobs" => CDP,
        _ => &[],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn row(section: &str, columns: &[String], cells: &[&str]) -> Row {
    let mut row: Row = columns.iter().zip(cells).map(|(name, cell)| (name.clone(), (*cell).to_owned())).collect();
    if section == "veeam_cdp_jobs" {
        // A policy that copies all the time is well while it runs.
        let result = match row.get("policy").map(String::as_str) {
            Some("Running") => "Success",
            Some("Disabled") => "None",
            Some("Failed" | "Stopped") => "Failed",
            _ => "",
        };
        row.insert("result".to_owned(), result.to_owned());
    }
    row
}

/// One machine of a job: both names make the set's.
fn put_client(client: &mut Row, rows: &mut Vec<Row>) {
    let mut row = std::mem::take(client);
    if row.is_empty() {
        return;
    }
    let names: Vec<String> = ["jobname", "displayname"].iter().filter_map(|name| row.get(*name)).filter(|name| !name.is_empty()).cloned().collect();
    row.insert("jobname".to_owned(), names.join(": "));
    rows.push(row);
}
