//! `collect`: the facility asks for a session under a consent on demand.

use super::grant::{administrator, consent_as_written, unwritten};
use super::{complain, print};
use crate::cli::{Lang, exit};
use crate::clock;
use crate::config::Config;
use crate::consent_file::{put, request_path, request_text};
use mimamori_shared::config::{parse_duration, show_duration};
use mimamori_shared::consent::{ConsentMode, SESSION_S_MAX};

pub(super) fn collect(config: &Config, lasting: &str, lang: Lang) -> u8 {
    match ask(config, lasting, lang) {
        Ok(until_ms) => {
            let path = request_path(&config.consent_file());
            print(&format!("{} {}\n", lang.of("The agent collects until", "次の時刻まで収集します："), lang.when(until_ms)));
            print(&format!("{} {}\n", lang.of("To end it at once, remove", "直ちに終えるには次のファイルを削除してください："), path.display()));
            exit::OK
        }
        Err(fault) => {
            complain(&fault);
            exit::USAGE
        }
    }
}

fn ask(config: &Config, lasting: &str, lang: Lang) -> Result<i64, String> {
    let seconds = parse_duration(lasting).map_err(|fault| format!("--for {lasting}: {fault}"))?;
    if !(1..=SESSION_S_MAX).contains(&seconds) {
        return Err(format!("--for {lasting}: {} {}", lang.of("must be at most", "最長："), show_duration(SESSION_S_MAX)));
    }
    let consent = consent_as_written(config, lang)?;
    administrator(config, consent.terms.example, lang)?;
    if consent.terms.mode != ConsentMode::OnDemand {
        return Err(lang.of("the consent is not on demand: it needs no request", "この同意は依頼時収集（on_demand）ではないため、依頼は不要です").to_owned());
    }
    let now_ms = clock::now().wall_ms;
    if consent.withdrawn_keeping.is_some() {
        return Err(lang.of("the consent was withdrawn", "同意は撤回されています").to_owned());
    }
    if !consent.terms.covers(now_ms) {
        return Err(lang.of("the consent is not in force now", "同意は現在有効ではありません").to_owned());
    }
    let until_ms = now_ms.saturating_add(i64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
    let path = request_path(&config.consent_file());
    put(&path, &request_text(now_ms, until_ms)).map_err(|fault| unwritten(&path, &fault, lang))?;
    Ok(until_ms)
}
