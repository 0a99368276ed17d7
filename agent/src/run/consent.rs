//! The consent as the running agent sees it: read again and again, believed with care, and its end told in time.

use super::{DOUBT_MS, RunError, Shell};
use crate::clock;
use crate::consent_file::{self, ConsentFile, NoConsent};
use crate::core::{Consent, Event};
use crate::notify_systemd::{self as systemd, tell};
use crate::say::complain;
use crate::setup::stretched;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, expiry_mark};
use mimamori_shared::payload::ConsentState;
use mimamori_shared::time;
use std::path::Path;

/// File in the state folder that remembers the last warning over a restart.
const WARNED: &str = "consent-warned";

impl Shell {
    pub(super) fn read_consent(&mut self) -> Result<(), RunError> {
        let consent = self.consent();
        let asked = match &consent {
            Consent::Valid(terms) if terms.mode == ConsentMode::OnDemand => self.asked(terms),
            Consent::Valid(_) | Consent::Keeping | Consent::Invalid(_) | Consent::Unclear => None,
        };
        self.handle(Event::Asked(asked))?;
        self.handle(Event::Consent(consent))
    }

    pub(super) fn consent(&mut self) -> Consent {
        match self.in_force() {
            Ok(consent) => {
                self.said.consent = None;
                self.doubted = None;
                self.warn_of_end(consent.terms.valid_to_ms);
                self.settings = stretched(&self.config, Some(&consent.terms), self.sampling.stretch.factor());
                self.agent.set_plan(self.settings.plan.clone(), self.sampling.stretch.factor());
                Consent::Valid(consent.terms)
            }
            Err(why) => {
                if self.said.consent.as_ref() != Some(&why) {
                    complain(&format!("nothing is collected: {why}"));
                    tell(systemd::status(&format!("No consent: {why}")));
                    self.said.consent = Some(why.clone());
                }
                self.doubt(why)
            }
        }
    }

    /// The consent as its file says it, behind every withdrawal that was not carried out.
    fn in_force(&mut self) -> Result<ConsentFile, NoConsent> {
        let withdrawn = self.withdrawal()?;
        let taken_back = |keep| Err(NoConsent::Withdrawn { path: self.consent_path.display().to_string(), keep });
        if withdrawn == Some(false) {
            return taken_back(false);
        }
        let read = consent_file::load(&self.consent_path, &self.salt, clock::now().wall_ms, self.loopback);
        // What may still leave, may under a consent that counts otherwise.
        if withdrawn == Some(true) && read.is_ok() { taken_back(true) } else { read }
    }

    /// The withdrawal that is to be carried out before anything newer counts: whether it keeps what is unsent. It is over
    /// when the core says so, and not before the consent, which is written behind the mark, had its time.
    fn withdrawal(&mut self) -> Result<Option<bool>, NoConsent> {
        let dir = self.config.state_dir();
        let Some(pending) = consent_file::pending(&self.consent_path, &dir, self.loopback)? else {
            self.withdrawing = None;
            return Ok(None);
        };
        let keep = pending.keep;
        let now = clock::now().boottime_ms;
        match &self.withdrawing {
            Some((same, since)) if *same == pending => {
                if now.saturating_sub(*since) < DOUBT_MS || !self.agent.has_ended() {
                    return Ok(Some(keep));
                }
            }
            Some(_) | None => {
                self.withdrawing = Some((pending, now));
                return Ok(Some(keep));
            }
        }
        if let Err(fault) = pending.acted(&dir) {
            // Without that it would be carried out again at the next start: nothing newer counts until then.
            complain(&format!("that the withdrawal was carried out could not be written down: {fault}"));
            return Ok(Some(keep));
        }
        self.withdrawing = None;
        Ok(None)
    }

    /// Collecting stops at once; but only a file that says so, or is gone or past its end and stays so, is a withdrawal.
    /// One that is being written, has a typing error, cannot be read, or seems not to have begun because the clock is
    /// wrong, purges nothing and states nothing.
    fn doubt(&mut self, why: NoConsent) -> Consent {
        let state = match &why {
            NoConsent::Unreadable(..) | NoConsent::Faults(..) | NoConsent::NotProven { .. } | NoConsent::NotYet(_) => return Consent::Unclear,
            NoConsent::Withdrawn { keep: true, .. } => return Consent::Keeping,
            NoConsent::Withdrawn { keep: false, .. } => return Consent::Invalid(ConsentState::Withdrawn),
            NoConsent::Expired(_) => ConsentState::Expired,
            NoConsent::Missing(_) => ConsentState::Withdrawn,
        };
        let now = clock::now().boottime_ms;
        match &self.doubted {
            Some((same, since)) if *same == why => {
                if now.saturating_sub(*since) >= DOUBT_MS {
                    return Consent::Invalid(state);
                }
            }
            Some(_) | None => self.doubted = Some((why, now)),
        }
        Consent::Unclear
    }

    /// Until when somebody at the facility asks.
    fn asked(&mut self, terms: &ConsentTerms) -> Option<i64> {
        let example = terms.example && self.loopback;
        let asked = consent_file::asked_until(&self.consent_path, example, clock::now().wall_ms);
        let fault = asked.as_ref().err().cloned();
        if fault != self.said.request {
            fault.iter().for_each(|fault| complain(fault));
            self.said.request = fault;
        }
        asked.ok().flatten()
    }

    /// Warns at each mark before the end, once, also over a restart.
    fn warn_of_end(&mut self, valid_to_ms: i64) {
        let path = self.config.state_dir().join(WARNED);
        let Some(days) = untold(&mut self.said.ends, &path, valid_to_ms, clock::now().wall_ms) else { return };
        let within = if days == 1 { "a day".to_owned() } else { format!("{days} days") };
        complain(&format!("the consent ends within {within}, at {}: ask the facility for a new one in time", time::show(valid_to_ms)));
        if let Err(fault) = std::fs::write(&path, format!("{valid_to_ms} {days}\n")) {
            complain(&format!("that this was said could not be written down: {fault}"));
        }
    }
}

/// The mark before this end that was reached and never told: neither by this process, as `told` says, nor by one before
/// it, as the file says. A mark that was told covers the wider ones, whatever the clock does.
fn untold(told: &mut Option<(i64, u32)>, path: &Path, valid_to_ms: i64, now_ms: i64) -> Option<u32> {
    let days = expiry_mark(valid_to_ms, now_ms)?;
    let covers = |told: (i64, u32)| told.0 == valid_to_ms && told.1 <= days;
    if told.is_some_and(covers) {
        return None;
    }
    let first = told.replace((valid_to_ms, days)).is_none();
    let written = || {
        std::fs::read_to_string(path).ok().and_then(|text| text.trim().split_once(' ').and_then(|(end, days)| Some((end.parse().ok()?, days.parse().ok()?))))
    };
    if first && let Some(before) = written().filter(|before| covers(*before)) {
        *told = Some(before);
        return None;
    }
    Some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_before_an_end_is_told_once_however_often_the_agent_starts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WARNED);
        let hour_ms = 3_600_000;
        let end_ms = 1_795_324_604_000;
        let mut said = Vec::new();
        let mut look = |told: &mut Option<(i64, u32)>, end_ms: i64, hours: i64| {
            if let Some(days) = untold(told, &path, end_ms, end_ms - hours * hour_ms) {
                std::fs::write(&path, format!("{end_ms} {days}\n")).unwrap();
                said.push((days, hours));
            }
        };
        let mut told = None;
        for hours in (0..=40 * 24).rev() {
            // Starts anew every five hours, and looks at the file twice an hour.
            if hours % 5 == 0 {
                told = None;
            }
            look(&mut told, end_ms, hours);
            look(&mut told, end_ms, hours);
        }
        // The clock is set back, before and after a start.
        look(&mut told, end_ms, 20 * 24);
        look(&mut None, end_ms, 20 * 24);
        assert_eq!(said, [(30, 30 * 24), (7, 7 * 24), (1, 24)]);
        assert_eq!(untold(&mut None, &path, end_ms + 1, end_ms - hour_ms), Some(1), "another end is told anew");
        std::fs::write(&path, "nonsense").unwrap();
        assert_eq!(untold(&mut None, &path, end_ms, end_ms - hour_ms), Some(1), "rather twice than never");
    }
}
