//! `keys`.

use super::{Done, print, print_json};
use crate::cli::{KeysCommand, Lang};
use crate::config::Config;
use crate::keys::{self, Keys};
use crate::{clock, revocation};
use serde_json::json;

pub(super) fn carry_out(config: &Config, command: &KeysCommand, lang: Lang) -> Done {
    let dir = config.state_dir();
    match command {
        KeysCommand::Show(output) => show(config, &keys::load(&dir)?, output.json, lang),
        KeysCommand::RotateSigning { root } => {
            let root = root.clone().unwrap_or_else(|| dir.join("root.key"));
            let keys = keys::rotate_signing(&dir, &root, clock::now_ms(), &mut clock::random)?;
            show(config, &keys, false, lang);
            print(lang.of(
                "A running collector signs with it after `systemctl reload mimamori-collector` (SIGHUP) or a restart; agents take it with their next receipt.\n",
                "稼働中のコレクターには`systemctl reload mimamori-collector`（SIGHUP）または再起動で反映されます。エージェントは次の受領証で受け入れます。\n",
            ));
        }
    }
    Ok(())
}

fn show(config: &Config, keys: &Keys, as_json: bool, lang: Lang) {
    let (root, signing) = (keys.root.id().fingerprint(), keys.signing.public().id().fingerprint());
    let root_is_here = config.state_dir().join("root.key").try_exists().unwrap_or(false);
    if as_json {
        print_json(&json!({
            "schema": "mimamori.keys/1", "collector_id": keys.collector_id, "root_fingerprint": root, "root_is_here": root_is_here,
            "signing_fingerprint": signing, "signing_since_ms": keys.issued_at_ms, "revocation_file": revocation::path(config),
        }));
        return;
    }
    let away = if root_is_here {
        lang.of("lies here: carry it away", "このマシン上にあります：オフラインへ移してください")
    } else {
        lang.of("is not here", "このマシン上にありません")
    };
    for (name, value) in [
        (lang.of("Collector", "コレクター"), keys.collector_id.to_string()),
        (lang.of("Fingerprint of the root", "ルート鍵の指紋"), root),
        (lang.of("The root's private half", "ルート鍵（秘密鍵）"), away.to_owned()),
        (lang.of("Fingerprint of the signing key", "署名鍵の指紋"), signing),
        (lang.of("Signs since", "署名開始"), lang.when(keys.issued_at_ms)),
        (lang.of("Revocations are kept in", "失効記録"), revocation::path(config).display().to_string()),
    ] {
        print(&format!("{name}: {value}\n"));
    }
}
