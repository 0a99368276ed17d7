//! `manifest`: every field that may leave.

use super::{print, print_json};
use crate::cli::{Lang, Output, exit};
use crate::clock;
use crate::config::Config;
use crate::consent_file::{self, ConsentFile, NoConsent};
use crate::identity;
use crate::setup::{self, Environment};
use mimamori_shared::fields::{Field, fields};
use serde_json::json;

/// The consent in force, as any command sees it.
pub(super) fn consent_of(config: &Config, environment: &Environment) -> Result<ConsentFile, NoConsent> {
    let dir = config.state_dir();
    // Before enrolment there is no salt yet, and no address: the consent can be looked at all the same.
    let salt = std::fs::read_to_string(dir.join("salt")).ok().and_then(|text| mimamori_shared::id::from_hex(text.trim())).unwrap_or([0; 32]);
    let stays_here = match identity::load(&dir) {
        Ok((_, given)) => setup::uplink_of(config, &given.url, given.ca_pin, environment).is_ok_and(|uplink| uplink.stays_here()),
        Err(_) => true,
    };
    consent_file::load(&config.consent_file(), &salt, clock::now().wall_ms, stays_here)
}

/// To root no consent is proven, for root could have written it; of the agent, which is another account, that says nothing.
pub(super) fn only_root_doubts(why: &NoConsent) -> bool {
    matches!(why, NoConsent::NotProven { .. }) && rustix::process::geteuid().is_root()
}

pub(super) fn manifest(config: &Config, output: Output, lang: Lang, environment: &Environment) -> u8 {
    let consent = consent_of(config, environment);
    let except = config.except();
    let held_back = |field: &Field| -> Vec<&'static str> {
        let consented = consent.as_ref().is_ok_and(|consent| consent.terms.allows(field));
        [("consent", !consented), ("configuration", except.contains(&field.id))].into_iter().filter(|(_, holds)| *holds).map(|(who, _)| who).collect()
    };
    if output.json {
        let rows: Vec<_> = fields()
            .map(|field| {
                json!({"id": field.id, "path": field.path(), "unit": field.unit, "kind": field.kind.name(), "scope": field.scope.name(),
                       "allowed": held_back(field).is_empty(), "held_back_by": held_back(field), "meaning": field.meaning, "meaning_ja": field.meaning_ja})
            })
            .collect();
        let hash = consent.as_ref().ok().map(|consent| consent.terms.hash());
        print_json(&json!({"schema": "mimamori.manifest/1", "consent_hash": hash, "fields": rows}));
        return exit::OK;
    }
    match &consent {
        Ok(consent) => print(&format!("{} {}\n", lang.of("Under the consent", "同意"), consent.terms.hash())),
        Err(why) if only_root_doubts(why) => {
            print(lang.of("What leaves cannot be told from root.\n", "rootでは送信対象を判断できません。\n"));
            super::consent::as_root(lang);
        }
        Err(why) => print(&format!("{}: {}\n", lang.of("Nothing leaves", "何も送信されません"), why.in_lang(lang))),
    }
    for field in fields() {
        let mark = match held_back(field).as_slice() {
            [] => lang.of("leaves", "送信"),
            ["consent"] => lang.of("stays (consent)", "非送信（同意）"),
            ["configuration"] => lang.of("stays (configuration)", "非送信（設定）"),
            _ => lang.of("stays (both)", "非送信（両方）"),
        };
        print(&format!("{mark:<21} {:<28} {:<12} {}\n", field.path(), field.scope.name(), lang.of(field.meaning, field.meaning_ja)));
    }
    print(lang.of(
        "Every payload also carries ids, places, hashes, times and seconds of failed pushes (docs/WIRE.md, \"Head\"). There is no free text.\n",
        "各ペイロードには識別子・連番・ハッシュ・時刻・送信失敗秒数も含まれます（docs/WIRE.md）。自由記述はありません。\n",
    ));
    exit::OK
}
