//! The consent as the running agent sees it: read again and again, believed with care, and its end told in time.

use super::{DOUBT_MS, RunError, Shell};
use crate::clock;
use crate::consent_file::{self, NoConsent};
use crate::core::{Consent, Event};
use crate::notify_systemd::{self as systemd, tell};
use crate::say::complain;
use crate::setup::settings_of;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, expiry_mark};
use mimamori_shared::payload::ConsentState;
use mimamori_shared::time;

const DAY_MS: i64 = 86_400_000;
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
        let read = consent_file::load(&self.consent_path, &self.salt, clock::now().wall_ms, self.loopback);
        match read {
            Ok(consent) => {
                self.said.consent = None;
                self.doubted = None;
                self.warn_of_end(consent.terms.valid_to_ms);
                self.settings = settings_of(&self.config, Some(&consent.terms));
                self.agent.set_plan(self.settings.plan.clone());
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

    /// Warns at each mark before the end, once; after a restart at most once a day.
    fn warn_of_end(&mut self, valid_to_ms: i64) {
        let now_ms = clock::now().wall_ms;
        let Some(days) = expiry_mark(valid_to_ms, now_ms) else { return };
        if self.said.ends == Some((valid_to_ms, days)) {
            return;
        }
        let first = self.said.ends.replace((valid_to_ms, days)).is_none();
        let mark = format!("{valid_to_ms} {days} {}\n", now_ms.div_euclid(DAY_MS));
        let path = self.config.state_dir().join(WARNED);
        if first && std::fs::read_to_string(&path).is_ok_and(|said| said == mark) {
            return;
        }
        let days = if days == 1 { "a day".to_owned() } else { format!("{days} days") };
        complain(&format!("the consent ends within {days}, at {}: ask the facility for a new one in time", time::show(valid_to_ms)));
        if let Err(fault) = std::fs::write(&path, mark) {
            complain(&format!("that this was said could not be written down: {fault}"));
        }
    }
}
