//! CSV with a row of names, and the table of `veeamconfig session list`.

use super::Row;
use crate::RECORDS_MAX;

/// Rows looked at, and columns of one.
const ROWS_MAX: usize = 4 * RECORDS_MAX;
const COLUMNS_MAX: usize = 128;

/// The rows below the first line that names a job and how it ended; nothing when there is no such line.
pub(super) fn read(input: &str) -> Vec<Row> {
    let mut lines = input.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("#TYPE"));
    let Some(header) = lines.next() else { return Vec::new() };
    for separator in [",", ";", "\t", "  "] {
        let names: Vec<String> = cells(header, separator).iter().map(|name| name.to_lowercase()).collect();
        let names_job = names.iter().any(|name| ["jobname", "job name", "name"].contains(&name.as_str()));
        if names_job && names.iter().any(|name| ["result", "lastresult", "state", "status"].contains(&name.as_str())) {
            let rows = lines.take(ROWS_MAX).map(|line| cells(line, separator)).filter(|cells| cells.len() == names.len());
            return rows.map(|cells| names.iter().cloned().zip(cells).collect()).collect();
        }
    }
    Vec::new()
}

/// The cells of a line; in quotes a separator is none, and two quotes are one. Spaces separate when there are two or more.
fn cells(line: &str, separator: &str) -> Vec<String> {
    if separator == "  " {
        return line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).take(COLUMNS_MAX).map(str::to_owned).collect();
    }
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.trim_end().chars().peekable();
    while let Some(letter) = letters.next() {
        let twice = letter == '"' && quoted && letters.next_if_eq(&'"').is_some();
        if letter == '"' && !twice {
            quoted = !quoted;
        } else if !quoted && separator.starts_with(letter) && cells.len() < COLUMNS_MAX {
            cells.push(String::new());
        } else if let Some(cell) = cells.last_mut() {
            cell.push(letter);
        }
    }
    cells
}
