//! What the facility's consent lets this program do now. Nothing is run without one, and of a tool only what a field that
//! may leave is made of.
//!
//! The rules are the agent's own (`mimamori_shared::consent`). Who could have written the files is judged as of everything
//! that this program believes: root alone ([`crate::trust`]).

use crate::trust::{self, Untrusted};
use crate::{Plan, clock};
use mimamori_shared::consent::{self, ConsentMode, ConsentTerms, FILE_BYTES_MAX, Lapse, MARK_BYTES_MAX, MARK_FILE, Mark, Pause, REQUEST_FILE, Reach};
use mimamori_shared::fields::fields;
use mimamori_shared::time;
use std::path::Path;

/// Largest request, in bytes.
const REQUEST_BYTES_MAX: u64 = 4096;

/// Why nothing is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct No {
    pub(crate) why: String,
    /// There is a consent, only not for this moment: what was taken under it stays.
    pub(crate) stays: bool,
    /// Somebody has to mend a file.
    pub(crate) broken: bool,
}

impl No {
    fn consent(why: String) -> No {
        No { why, stays: false, broken: false }
    }

    fn broken(why: String) -> No {
        No { broken: true, ..No::consent(why) }
    }

    fn moment(why: &str) -> No {
        No { stays: true, ..No::consent(why.to_owned()) }
    }
}

/// The terms under which something may be looked at now.
///
/// # Errors
/// Why not.
pub(crate) fn terms(plan: &Plan) -> Result<ConsentTerms, No> {
    let (path, now_ms) = (&plan.consent, clock::now_ms());
    let shown = path.display().to_string();
    let text = read(path, plan.owner, FILE_BYTES_MAX)?.ok_or_else(|| No::consent(format!("there is no consent at {shown}")))?;
    // Who approved and why is nobody's business here, so there is nothing to hide with a salt.
    let consent = consent::parse(&shown, &text, &[0; 32]).map_err(|faults| No::broken(consent::Fault::all(&faults).en))?;
    consent.in_force(&text, mark(path, plan.owner)?.as_ref(), now_ms).map_err(|lapse| {
        No::consent(match lapse {
            Lapse::Withdrawn { .. } => format!("the consent at {shown} was withdrawn by the facility"),
            Lapse::NotYet(at) => format!("the consent begins at {}", time::show(at)),
            Lapse::Expired(at) => format!("the consent ended at {}", time::show(at)),
        })
    })?;
    if consent.terms.mode == ConsentMode::OnDemand {
        asked(path, plan.owner, now_ms)?;
    }
    match consent.terms.reach(now_ms) {
        Reach::All => Ok(consent.terms),
        Reach::Nothing(Pause::OutsidePeriod) => Err(No::moment("it is outside the agreed windows")),
        Reach::Heartbeat | Reach::Nothing(_) => Err(No::moment("it is a quiet window")),
    }
}

/// Whether anything of these sections may leave.
pub(crate) fn allows(terms: &ConsentTerms, sections: &[&str]) -> bool {
    fields().any(|field| sections.contains(&field.section) && terms.allows(field))
}

fn mark(consent: &Path, owner: u32) -> Result<Option<Mark>, No> {
    let path = consent.with_file_name(MARK_FILE);
    let text = read(&path, owner, MARK_BYTES_MAX)?;
    text.map(|text| Mark::parse(&path.display().to_string(), &text).map_err(|fault| No::broken(fault.en))).transpose()
}

/// Whether somebody at the facility asks now. A request that does not count ends no consent.
fn asked(consent: &Path, owner: u32, now_ms: i64) -> Result<(), No> {
    let path = consent.with_file_name(REQUEST_FILE);
    let refused = |no: No| No { stays: true, ..no };
    let nobody = || No::moment("nobody at the facility asks now (`mimamori-agent collect --for 1h`)");
    let text = read(&path, owner, REQUEST_BYTES_MAX).map_err(refused)?.ok_or_else(nobody)?;
    let until = consent::asked_until(&text, now_ms).map_err(|what| refused(No::broken(format!("{}: {what}", path.display()))))?;
    until.map(|_| ()).ok_or_else(nobody)
}

fn read(path: &Path, owner: u32, bytes_max: u64) -> Result<Option<String>, No> {
    match trust::text(path, owner, bytes_max) {
        Ok(text) => Ok(Some(text)),
        Err(Untrusted::Missing) => Ok(None),
        Err(Untrusted::Refused(why)) => Err(No::broken(why)),
    }
}
