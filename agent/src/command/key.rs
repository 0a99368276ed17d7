//! `key show` and `key rotate`.

use super::{complain, print, print_json};
use crate::cli::{Lang, Output, exit};
use crate::clock;
use crate::config::Config;
use crate::identity::{self, IdentityError};
use crate::keyring::{self, Keyring};
use crate::outbox::{NotedKind, noted};
use crate::setup::rotate_after_ms_of;
use serde_json::json;

const DAY_MS: i64 = 86_400_000;

fn keys(config: &Config) -> Result<Keyring, IdentityError> {
    let dir = config.state_dir();
    let (_, given) = identity::load(&dir)?;
    Keyring::read(&dir, given.enrolled_at_ms)
}

/// Whether the collector has said that two speak with this key: until an operator has looked, no key is changed.
fn waits_for_approval(config: &Config) -> bool {
    noted(&config.state_dir()).unwrap_or_default().iter().any(|noted| noted.kind == NotedKind::Forked)
}

fn waiting_words(lang: Lang) -> &'static str {
    lang.of(
        "two speak with this key: the change waits until the RSC has looked at `mimamori-collector machine forks` and run `mimamori-collector machine approve`",
        "同じ鍵が二重に使われています。リモートサービスセンターが`mimamori-collector machine forks`を確認し、`mimamori-collector machine approve`を実行するまで更新は行われません",
    )
}

pub(super) fn show(config: &Config, output: Output, lang: Lang) -> u8 {
    let keys = match keys(config) {
        Ok(keys) => keys,
        Err(fault) => {
            complain(&fault.in_lang(lang));
            return exit::CONFIG;
        }
    };
    let (since_ms, fingerprint) = (keys.since_ms(), keys.key.public().id().fingerprint());
    let (requested, waits) = (keyring::is_requested(&config.state_dir()), waits_for_approval(config));
    let next_ms = rotate_after_ms_of(config).map(|after_ms| since_ms.saturating_add(after_ms));
    let age_days = clock::now().wall_ms.saturating_sub(since_ms).div_euclid(DAY_MS);
    if output.json {
        print_json(&json!({
            "schema": "mimamori.key/1", "fingerprint": fingerprint, "since_ms": since_ms, "age_days": age_days, "next_rotation_ms": next_ms,
            "requested": requested, "waits_for_approval": waits, "old_key_kept": keys.old.is_some(),
            "earlier": keys.history().iter().rev().skip(1).rev().map(|past| json!({"fingerprint": past.key.id().fingerprint(), "since_ms": past.since_ms})).collect::<Vec<_>>(),
        }));
        return exit::OK;
    }
    let next = match (requested, next_ms) {
        (true, _) if waits => lang.of("asked for", "要求済み").to_owned(),
        (true, _) => {
            lang.of("asked for; as soon as the agent runs and its reports are receipted", "要求済み（エージェントが稼働し、報告が受領され次第）").to_owned()
        }
        (false, Some(at_ms)) => lang.when(at_ms),
        (false, None) => lang.of("only on demand (key.rotate_after = 0s)", "要求時のみ（key.rotate_after = 0s）").to_owned(),
    };
    let old = if keys.old.is_some() {
        lang.of("kept until everything it signed is receipted", "署名済みの報告がすべて受領されるまで保管")
    } else {
        lang.of("none kept", "保管なし")
    };
    let rows = [
        (lang.of("Fingerprint", "指紋"), fingerprint),
        (lang.of("Since", "使用開始"), lang.when(since_ms)),
        (lang.of("Age in days", "経過日数"), age_days.to_string()),
        (lang.of("Next rotation", "次の更新"), next),
        (lang.of("Old key", "旧い鍵"), old.to_owned()),
    ];
    for (name, value) in rows {
        print(&format!("{name}: {value}\n"));
    }
    if waits {
        print(&format!("! {}\n", waiting_words(lang)));
    }
    exit::OK
}

pub(super) fn rotate(config: &Config, lang: Lang) -> u8 {
    let asked = keys(config).and_then(|_| keyring::request(&config.state_dir()));
    match asked {
        Ok(()) => {
            print(lang.of(
                "A new key was asked for: `mimamori-agent key show` says when it holds. The fingerprint changes; the RSC sees the change.\n",
                "新しい鍵を要求しました。`mimamori-agent key show`で確認できます。指紋が変わり、リモートサービスセンターにも記録されます。\n",
            ));
            if waits_for_approval(config) {
                print(&format!("! {}\n", waiting_words(lang)));
            }
            exit::OK
        }
        Err(fault) => {
            complain(&fault.in_lang(lang));
            exit::CONFIG
        }
    }
}
