//! What `mimamori-agent parse` says about a RAID controller.

use super::{Part, Raid, Standing, parse};
use crate::{Outcome, Status, Unreadable, text};

/// The answer: bad when anything is degraded, failed or about to fail, by the controller's own words.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let raid = parse(input)?;
    let (status, reason) = verdict(&raid);
    let mut outcome = Outcome::new(status, reason);
    outcome.faults.clone_from(&raid.faults);
    for part in &raid.parts {
        outcome.record(part);
        readings(&mut outcome, part);
    }
    if raid.left_out > 0 {
        outcome.fault("too_many", &format!("{} more parts are left out", raid.left_out));
    }
    if raid.parts.is_empty() && raid.faults.is_empty() {
        outcome.fault("no_device", "no controller is told about");
    }
    Ok(outcome)
}

fn verdict(raid: &Raid) -> (Status, String) {
    let (mut wrong, mut noted, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for part in &raid.parts {
        match part.standing() {
            Standing::Fine => {}
            Standing::Wrong(words) => wrong.push(words),
            Standing::Noted(words) => noted.push(words),
            // Some commands show a controller without its state; what hangs on it tells enough then.
            Standing::Unknown(_) if matches!(part, Part::Controller(controller) if controller.state.is_none()) && raid.parts.len() > 1 => {}
            Standing::Unknown(words) => unknown.push(words),
        }
    }
    let failed = raid.faults.first().map(|fault| fault.detail.clone());
    let (status, mut said) = if !wrong.is_empty() {
        (Status::Bad, wrong)
    } else if let Some(failed) = failed {
        (Status::Unknown, vec![failed])
    } else if !unknown.is_empty() {
        (Status::Unknown, unknown)
    } else if raid.parts.is_empty() {
        (Status::Unknown, vec!["no controller is told about".to_owned()])
    } else {
        (Status::Ok, vec![format!("all {} parts are well", raid.parts.len())])
    };
    said.extend(noted);
    (status, text::plain(&said.join("; ")))
}

fn readings(outcome: &mut Outcome, part: &Part) {
    let number = |controller: Option<i64>| controller.map_or_else(String::new, |number| number.to_string());
    let well = match part.standing() {
        Standing::Fine | Standing::Noted(_) => Some(1.0),
        Standing::Wrong(_) => Some(0.0),
        Standing::Unknown(_) => None,
    };
    let count = |value: Option<i64>| value.map(text::float);
    match part {
        Part::Controller(part) => {
            let number = number(part.controller);
            let labels = [("controller", number.as_str())];
            outcome.reading("raid_controller_well", &labels, well, "boolean");
            outcome.reading("raid_controller_temperature", &labels, count(part.temperature_celsius), "celsius");
            outcome.reading("raid_memory_correctable_errors", &labels, count(part.memory_correctable), "count");
            outcome.reading("raid_memory_uncorrectable_errors", &labels, count(part.memory_uncorrectable), "count");
        }
        Part::Virtual(part) => {
            let number = number(part.controller);
            outcome.reading("raid_virtual_drive_well", &[("controller", number.as_str()), ("virtual_drive", part.id.as_str())], well, "boolean");
        }
        Part::Physical(part) => {
            let number = number(part.controller);
            let labels = [("controller", number.as_str()), ("slot", part.slot.as_str())];
            outcome.reading("raid_drive_well", &labels, well, "boolean");
            outcome.reading("raid_drive_temperature", &labels, count(part.temperature_celsius), "celsius");
            outcome.reading("raid_drive_media_errors", &labels, count(part.media_errors), "count");
            outcome.reading("raid_drive_other_errors", &labels, count(part.other_errors), "count");
            outcome.reading("raid_drive_predictive_failures", &labels, count(part.predictive_failures), "count");
        }
        Part::Backup(part) => {
            let number = number(part.controller);
            outcome.reading("raid_backup_well", &[("controller", number.as_str())], well, "boolean");
            outcome.reading("raid_backup_temperature", &[("controller", number.as_str())], count(part.temperature_celsius), "celsius");
        }
    }
}
