//! What the tool's words for states mean.

use super::Part;

/// How a part stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is wrong with it.
    Fine,
    /// Something is wrong, in words.
    Wrong(String),
    /// Worth knowing, and not wrong.
    Noted(String),
    /// It does not say, or in a word that is not known.
    Unknown(String),
}

impl Part {
    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            Part::Controller(controller) => {
                let name = format!("controller {}", number(controller.controller));
                match &controller.memory_uncorrectable {
                    Some(errors) if *errors > 0 => Standing::Wrong(format!("{name}: {errors} uncorrectable errors of its memory")),
                    _ => judged(&name, controller.state.as_deref(), general),
                }
            }
            Part::Virtual(drive) => judged(&format!("virtual drive {}", drive.id), drive.state.as_deref(), virtual_drive),
            Part::Physical(drive) => {
                let name = format!("drive {}", drive.slot);
                let own = if drive.health_passed == Some(false) {
                    Some("flags a health alarm")
                } else {
                    drive.predictive_failures.filter(|count| *count > 0).map(|_| "foretells its failure")
                };
                match (own, judged(&name, drive.state.as_deref(), physical_drive)) {
                    (Some(own), _) => Standing::Wrong(format!("{name} {own}")),
                    (None, Standing::Fine) => match drive.media_errors.filter(|errors| *errors > 0) {
                        Some(errors) => Standing::Noted(format!("{name}: {errors} media errors")),
                        None => Standing::Fine,
                    },
                    (None, standing) => standing,
                }
            }
            Part::Backup(backup) => judged(&format!("cache backup of controller {}", number(backup.controller)), backup.state.as_deref(), general),
        }
    }
}

fn number(controller: Option<i64>) -> String {
    controller.map_or_else(|| "?".to_owned(), |number| number.to_string())
}

/// `Some(Ok)` is fine, `Some(Err((wrong, words)))` is not, `None` is no known word.
type Meaning = Option<Result<(), (bool, &'static str)>>;

fn judged(name: &str, state: Option<&str>, meaning: fn(&str) -> Meaning) -> Standing {
    let Some(state) = state else { return Standing::Unknown(format!("{name} does not say how it stands")) };
    match meaning(state) {
        Some(Ok(())) => Standing::Fine,
        Some(Err((true, words))) => Standing::Wrong(format!("{name} {words} ({state})")),
        Some(Err((false, words))) => Standing::Noted(format!("{name} {words} ({state})")),
        None => Standing::Unknown(format!("{name} is in an unknown state ({state})")),
    }
}

const WRONG: bool = true;
const NOTED: bool = false;

fn virtual_drive(state: &str) -> Meaning {
    Some(match state {
        "Optl" | "Optimal" => Ok(()),
        "Dgrd" | "Degraded" => Err((WRONG, "is degraded")),
        "Pdgd" | "Partially Degraded" => Err((WRONG, "is partially degraded")),
        "OfLn" | "Offln" | "Offline" => Err((WRONG, "is offline")),
        "Rec" | "Recovery" => Err((WRONG, "is recovering")),
        "TRANS" => Err((NOTED, "is ready for transport")),
        _ => return None,
    })
}

fn physical_drive(state: &str) -> Meaning {
    Some(match state {
        "Onln" | "Online" | "UGood" | "GHS" | "DHS" | "JBOD" | "Conf" | "UConf" | "UGUnsp" | "Ready" => Ok(()),
        "Offln" | "Offline" => Err((WRONG, "is offline")),
        "UBad" | "UBUnsp" | "UConfUnsp" | "Bad" => Err((WRONG, "is bad")),
        "Failed" | "Fail" | "Fld" => Err((WRONG, "has failed")),
        "Msng" | "Missing" => Err((WRONG, "is missing")),
        "Rbld" | "Rebuild" => Err((WRONG, "is being rebuilt")),
        "Cpybck" => Err((NOTED, "is being copied back")),
        "Sntze" => Err((NOTED, "is being sanitized")),
        "Frgn" => Err((NOTED, "is foreign")),
        "UGShld" | "HSPShld" | "CFShld" | "CBShld" | "Shld" => Err((NOTED, "is being examined")),
        _ => return None,
    })
}

/// Controllers and what keeps their cache. Some words come with more behind them: `Dgd (Needs Attention)`.
fn general(state: &str) -> Meaning {
    let is = |words: &[&str]| words.iter().any(|word| state.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
    if is(&["Opt", "OK", "Normal", "Good"]) {
        Some(Ok(()))
    } else if is(&["Need", "NdAtn", "Dgd", "Degraded", "Non Operational", "Warning"]) {
        Some(Err((WRONG, "needs attention")))
    } else if is(&["Fail", "Fld", "Critical", "Fault", "Msng", "Missing"]) {
        Some(Err((WRONG, "has failed or is missing")))
    } else if is(&["Learn", "Charg", "Chrg"]) {
        Some(Err((NOTED, "is learning or charging")))
    } else {
        None
    }
}
