//! `preview`: exactly the next payload, made by the very code that makes the real ones, and sent nowhere.

use super::manifest::consent_of;
use super::{complain, print};
use crate::cli::{Lang, exit};
use crate::config::Config;
use crate::core::{Agent, Consent, Effect, Event, Identity, Now, Restored};
use crate::identity::IdentityError;
use crate::outbox::Outbox;
use crate::setup::{self, Environment};
use crate::{clock, identity, probe};
use mimamori_shared::consent::{ConsentTerms, Reach};
use mimamori_shared::id::{AgentId, CollectorId};
use mimamori_shared::sign::SecretKey;
use zeroize::Zeroizing;

/// Turns of the terms that are looked through for the next chance.
const TURNS_MAX: usize = 1000;

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
            complain(&format!("{}: {}", lang.of("nothing would leave", "何も送信されません"), why.in_lang(lang)));
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
        Err(fault) => return Err(fault.in_lang(lang)),
    };
    let salt = std::fs::read_to_string(dir.join("salt")).ok().and_then(|text| mimamori_shared::id::from_hex(text.trim())).unwrap_or([0; 32]);
    let names = setup::names_of(config, &salt)?;
    let now = at_the_next_chance(&consent, lang);
    let settings = setup::settings_of(config, Some(&consent));
    let mut agent = Agent::new(identity, settings, restored);
    // As if somebody asked, where that is needed.
    drop(agent.step(Event::Asked(Some(i64::MAX)), now, [0; 16]));
    let mut event = Event::Consent(Consent::Valid(consent));
    // Statements that are due come first; a report follows after at most three of them.
    for _ in 0..6 {
        let random = clock::random().map_err(|fault| fault.to_string())?;
        let effects = agent.step(event, now, random);
        event = Event::Wake;
        for effect in effects {
            match effect {
                Effect::Commit(record) if record.states.is_none() => return Ok(Some(record.payload)),
                Effect::Commit(record) => {
                    print(&format!("{}\n", String::from_utf8_lossy(&record.payload)));
                    event = Event::Committed;
                }
                Effect::Sample => {
                    let (mut readings, mut faults) = probe::sample(&probe::Sources::of(&host, &names), &|section| agent.may_take(section));
                    agent.filter(&mut readings, &mut faults);
                    let states = probe::state_fingerprints(&readings, &faults);
                    event = Event::Sampled { readings: Box::new(readings), faults, states };
                }
                Effect::Bridge(_) | Effect::Push { .. } | Effect::Rewind { .. } | Effect::Recall { .. } | Effect::Keys(_) | Effect::Purge | Effect::Note(_) => {
                }
            }
        }
    }
    Ok(None)
}

/// Now, or, where the terms let nothing be taken now, the next moment at which they do.
fn at_the_next_chance(consent: &ConsentTerms, lang: Lang) -> Now {
    let mut now = clock::now();
    let from_ms = now.wall_ms;
    for _ in 0..TURNS_MAX {
        match (consent.reach(now.wall_ms), consent.next_turn(now.wall_ms)) {
            (Reach::Nothing(_), Some(turn)) => now.wall_ms = turn,
            _ => break,
        }
    }
    if now.wall_ms != from_ms {
        let said = lang.of("nothing is taken now; shown as it would be at", "現在は収集しません。次の時刻の内容を表示します：");
        complain(&format!("{said} {}", lang.when(now.wall_ms)));
    }
    now
}
