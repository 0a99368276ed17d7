//! `preview`: exactly the next payload, made by the very code that makes the real ones, and sent nowhere.

use super::manifest::consent_of;
use super::{complain, print};
use crate::cli::{Lang, exit};
use crate::config::Config;
use crate::core::{Agent, Consent, Effect, Event, Identity, Restored, Settings};
use crate::identity::IdentityError;
use crate::outbox::Outbox;
use crate::setup::{self, Environment};
use crate::{clock, identity, probe};
use mimamori_shared::id::{AgentId, CollectorId};
use mimamori_shared::sign::SecretKey;
use zeroize::Zeroizing;

pub(super) fn preview(config: &Config, lang: Lang, environment: &Environment) -> u8 {
    match payload(config, lang, environment) {
        Ok(Some(payload)) => {
            print(&format!("{}\n", String::from_utf8_lossy(&payload)));
            exit::OK
        }
        Ok(None) => exit::FAILED,
        Err(fault) => {
            complain(&fault);
            exit::CONFIG
        }
    }
}

fn payload(config: &Config, lang: Lang, environment: &Environment) -> Result<Option<Vec<u8>>, String> {
    let consent = match consent_of(config, environment) {
        Ok(consent) => consent.terms,
        Err(why) => {
            complain(&format!("{}: {why}", lang.of("nothing would leave", "何も送信されません")));
            return Ok(None);
        }
    };
    let dir = config.state_dir();
    let host = setup::host_of(config);
    let boot_id = setup::boot_id(&host).map_err(|fault| fault.to_string())?;
    let (identity, restored) = match identity::load(&dir) {
        Ok((key, given)) => {
            let restored = Outbox::peek(&dir).map_err(|fault| mimamori_shared::error::chain(&fault))?;
            (Identity { collector_id: given.collector_id, agent_id: given.agent_id, key, boot_id }, restored)
        }
        Err(IdentityError::NotEnrolled) => {
            complain(lang.of("not enrolled yet: shown with ids of zeros", "未登録のため、識別子はゼロで表示します"));
            let key = SecretKey::from_seed(&Zeroizing::new([0; 32]));
            (Identity { collector_id: CollectorId::ZERO, agent_id: AgentId::ZERO, key, boot_id }, Restored::default())
        }
        Err(fault) => return Err(fault.to_string()),
    };
    let salt = std::fs::read_to_string(dir.join("salt")).ok().and_then(|text| mimamori_shared::id::from_hex(text.trim())).unwrap_or([0; 32]);
    let names = setup::names_of(config, &salt)?;
    let settings = Settings { plan: setup::plan_of(config, Some(&consent)) };
    let mut agent = Agent::new(identity, settings, restored);
    let mut event = Event::Consent(Consent::Valid(consent));
    // Statements that are due come first; a report follows after at most three of them.
    for _ in 0..6 {
        let random = clock::random().map_err(|fault| fault.to_string())?;
        let effects = agent.step(event, clock::now(), random);
        event = Event::Wake;
        for effect in effects {
            match effect {
                Effect::Commit(record) if record.states.is_none() => return Ok(Some(record.payload)),
                Effect::Commit(record) => {
                    print(&format!("{}\n", String::from_utf8_lossy(&record.payload)));
                    event = Event::Committed;
                }
                Effect::Sample => {
                    let (readings, faults) = probe::sample(&host, &names, &|section| agent.may_take(section));
                    let states = probe::state_fingerprint(&readings, &faults);
                    event = Event::Sampled { readings: Box::new(readings), faults, states };
                }
                Effect::Bridge(_) | Effect::Push { .. } | Effect::Rewind { .. } | Effect::Recall { .. } | Effect::Keys(_) | Effect::Purge | Effect::Note(_) => {
                }
            }
        }
    }
    Ok(None)
}
