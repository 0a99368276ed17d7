//! `consent show`.

use super::consent_state::Standing;
use super::manifest::consent_of;
use super::{complain, print, print_json};
use crate::cli::{Lang, Output, exit};
use crate::config::Config;
use crate::consent_file::{ConsentFile, summary};
use crate::setup::Environment;
use mimamori_shared::config::show_duration;
use mimamori_shared::consent::ConsentTerms;
use mimamori_shared::fields::{Field, fields};
use serde_json::json;

pub(super) fn show(config: &Config, output: Output, lang: Lang, environment: &Environment) -> u8 {
    let consent = consent_of(config, environment);
    if output.json {
        print_json(&match &consent {
            Ok(consent) => json!({"schema": "mimamori.consent/1", "valid": true, "hash": consent.terms.hash(), "terms": consent.terms,
                                  "approver": consent.approver, "reason": consent.reason,
                                  "standing": Standing::of(config, consent).json()}),
            Err(why) => json!({"schema": "mimamori.consent/1", "valid": false, "why": why.to_string()}),
        });
        return if consent.is_ok() { exit::OK } else { exit::FAILED };
    }
    let consent = match consent {
        Ok(consent) => consent,
        Err(why) => {
            complain(&why.in_lang(lang));
            as_root(lang);
            return exit::FAILED;
        }
    };
    print_terms(&consent, lang);
    scope_lines(&consent.terms, lang);
    print(&format!("{}: {}\n", lang.of("Taken now", "現在の収集"), Standing::of(config, &consent).now(lang)));
    exit::OK
}

/// Root could write every consent, so to root none is proven.
pub(super) fn as_root(lang: Lang) {
    if rustix::process::geteuid().is_root() {
        complain(lang.of(
            "this is root, to whom no consent is proven; look as the agent's account: `sudo -u mimamori-agent mimamori-agent consent show`",
            "rootで実行しています。rootには同意を証明できないため、エージェントのアカウントで確認してください：`sudo -u mimamori-agent mimamori-agent consent show`",
        ));
    }
}

/// Who, why, when and how.
pub(super) fn print_terms(consent: &ConsentFile, lang: Lang) {
    let terms = &consent.terms;
    if terms.example {
        print(lang.of(
            "EXAMPLE: nobody approved this; it counts only towards a collector on this machine.\n",
            "例：誰も承認していません。この機器上のコレクターに対してのみ有効です。\n",
        ));
    }
    let rows = [
        (lang.of("Approved by (stays here)", "承認者（送信しません）"), consent.approver.clone()),
        (lang.of("Reason (stays here)", "理由（送信しません）"), consent.reason.clone()),
        (lang.of("Valid from", "有効期間の開始"), lang.when(terms.valid_from_ms)),
        (lang.of("Valid until", "有効期間の終了"), lang.when(terms.valid_to_ms)),
        (lang.of("Hash (in every report)", "ハッシュ（全報告に記載）"), terms.hash().to_string()),
    ];
    for (name, value) in rows {
        print(&format!("{name}: {value}\n"));
    }
    for line in summary(terms, lang) {
        print(&format!("  {line}\n"));
    }
}

/// What, how often, and what is held back.
pub(super) fn scope_lines(terms: &ConsentTerms, lang: Lang) {
    for (scope, given) in &terms.scopes {
        let listed = |word: &str, ids: &[u16]| {
            let paths: Vec<String> = fields().filter(|field| ids.contains(&field.id)).map(Field::path).collect();
            if paths.is_empty() { String::new() } else { format!(", {word} {}", paths.join(", ")) }
        };
        let named = listed(lang.of("with", "明示："), &given.include) + &listed(lang.of("except", "除外："), &given.except);
        print(&format!("  {:<18} {} {}{named}\n", scope.name(), lang.of("at most every", "最短間隔"), show_duration(given.every_s)));
    }
}
