//! How the consent stands, for `status` and `check`: in force until when, how it allows, whether somebody asks.

use crate::cli::Lang;
use crate::clock;
use crate::config::Config;
use crate::consent_file::{ConsentFile, NoConsent, Pending, asked_until, pending, summary};
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Pause, Reach, expiry_mark};
use mimamori_shared::id::Hash;
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

/// A consent in force at one moment.
#[derive(Debug)]
pub(super) struct Standing {
    now_ms: i64,
    hash: Hash,
    valid_to_ms: i64,
    mode: ConsentMode,
    reach: Reach,
    asked: Result<Option<i64>, String>,
    terms: ConsentTerms,
    withdrawal: Result<Option<Pending>, NoConsent>,
}

impl Standing {
    pub(super) fn of(config: &Config, consent: &ConsentFile) -> Standing {
        let (now_ms, terms) = (clock::now().wall_ms, &consent.terms);
        let asked = if terms.mode == ConsentMode::OnDemand { asked_until(&config.consent_file(), terms.example, now_ms) } else { Ok(None) };
        let withdrawal = pending(&config.consent_file(), &config.state_dir(), true);
        Standing {
            withdrawal,
            now_ms,
            hash: terms.hash(),
            valid_to_ms: terms.valid_to_ms,
            mode: terms.mode,
            reach: terms.reach(now_ms),
            asked,
            terms: terms.clone(),
        }
    }

    /// The mark before its end that it has come to: 30, 7 or 1 days.
    pub(super) fn ends_within_days(&self) -> Option<u32> {
        expiry_mark(self.valid_to_ms, self.now_ms)
    }

    /// Until when it holds.
    pub(super) fn until(&self, lang: Lang) -> String {
        let days = self.valid_to_ms.saturating_sub(self.now_ms) / DAY_MS;
        format!("{} {} ({days} {})", lang.of("valid until", "有効期限"), lang.when(self.valid_to_ms), lang.of("days", "日"))
    }

    /// What is taken now.
    pub(super) fn now(&self, lang: Lang) -> String {
        match &self.withdrawal {
            Ok(Some(_)) => {
                return lang
                    .of("nothing: a withdrawal before this consent is to be carried out first", "収集しません：この同意より前の撤回を先に実行します")
                    .to_owned();
            }
            Err(why @ NoConsent::Faults(..)) => return why.in_lang(lang),
            // What cannot be read from here, the agent may read.
            Ok(None) | Err(_) => {}
        }
        match (&self.asked, self.mode, self.reach) {
            (Err(fault), ..) => fault.clone(),
            (Ok(None), ConsentMode::OnDemand, _) => {
                lang.of("nothing: nobody asked (`collect --for 1h`)", "収集しません：依頼がありません（`collect --for 1h`）").to_owned()
            }
            (_, _, Reach::Nothing(Pause::OutsidePeriod)) => lang.of("nothing: outside the agreed windows", "収集しません：合意した時間帯の外です").to_owned(),
            (_, _, Reach::Nothing(_)) => lang.of("nothing", "収集しません").to_owned(),
            (_, _, Reach::Heartbeat) => lang.of("heartbeat only: a quiet window", "稼働確認のみ：静穏時間帯です").to_owned(),
            (Ok(Some(until_ms)), ..) => {
                format!("{} {}", lang.of("everything consented to, asked for until", "同意した範囲を収集します。依頼の期限："), lang.when(*until_ms))
            }
            (Ok(None), _, Reach::All) => lang.of("everything consented to", "同意した範囲を収集します").to_owned(),
        }
    }

    /// Its mode and windows, a line each.
    pub(super) fn terms(&self, lang: Lang) -> Vec<String> {
        summary(&self.terms, lang)
    }

    pub(super) fn json(&self) -> Value {
        json!({"valid": true, "hash": self.hash, "valid_to_ms": self.valid_to_ms, "mode": self.mode.name(), "ends_within_days": self.ends_within_days(),
               "asked_until_ms": self.asked.as_ref().ok().copied().flatten(), "collecting": self.now(Lang::En)})
    }
}
