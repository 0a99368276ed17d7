//! `uninstall`: the facility ends it. What is removed is stated to the collector first, signed, and printed.

mod before;
mod certificate;
mod ending;
mod folder;
mod installed;
mod inventory;
mod plan;
mod rest;

use super::{complain, print, print_json};
use crate::cli::{Cli, Lang, Uninstall, exit};
use crate::clock;
use crate::config::Config;
use crate::identity::{self, Enrolment, IdentityError};
use crate::run::{self, RunError};
use crate::setup::{Environment, host_of};
use certificate::Certificate;
use ending::{Ended, NotEnded};
use folder::Folder;
use inventory::Inventory;
use mimamori_shared::error::chain;
use mimamori_shared::sign::SecretKey;
use plan::Plan;
use std::path::Path;

pub(super) fn uninstall(config: &Config, cli: &Cli, asked: &Uninstall, lang: Lang, environment: &Environment) -> u8 {
    if !asked.purge {
        complain(lang.of(
            "this removes the agent's keys, queue, ledger and configuration from this machine and cannot be undone; say --purge to see what would be removed, --purge --yes to do it.\nTo stop it for a time only: sudo systemctl disable --now mimamori-agent",
            "この機器からエージェントの鍵・送信待ち・台帳・設定を削除します。元に戻せません。--purgeで削除対象の表示、--purge --yesで実行します。\n一時的に止めるだけなら：sudo systemctl disable --now mimamori-agent",
        ));
        return exit::USAGE;
    }
    match try_uninstall(config, cli, asked, lang, environment) {
        Ok(code) => code,
        Err((code, why)) => {
            complain(&why);
            code
        }
    }
}

type Fault = (u8, String);

fn try_uninstall(config: &Config, cli: &Cli, asked: &Uninstall, lang: Lang, environment: &Environment) -> Result<u8, Fault> {
    let dir = config.state_dir();
    let unusable = |fault: std::io::Error| (exit::USAGE, format!("{}: {fault}", dir.display()));
    let folder = Folder::open(&dir).map_err(|fault| no_folder(&dir, &fault, lang))?;
    let host = host_of(config);
    let look = |folder: Option<&Folder>| Inventory::of(folder, &cli.config, host.root());
    let inventory = look(folder.as_ref()).map_err(unusable)?;
    // Nothing is opened through what leads elsewhere.
    if let Some(link) = inventory.links.first() {
        let mend = lang.of(
            "is a link, and the agent makes none: see where it leads, remove it, and try again",
            "はリンクです（エージェントは作成しません）。参照先を確認して削除し、再実行してください",
        );
        return Err((exit::CONFIG, format!("{} {mend}", link.display())));
    }
    let Some(folder) = folder.filter(|_| !inventory.items.is_empty()) else { return Err(nothing(&inventory, &dir, lang)) };
    let consent = config.consent_file().try_exists().unwrap_or(false).then(|| config.consent_file());
    if !asked.yes {
        Plan::of(&inventory, &dir, consent).say(asked.output, lang);
        return Ok(exit::OK);
    }
    let rights = folder.as_owner(lang).map_err(|why| (exit::CONFIG, why))?;
    let lock = run::lock(&dir).map_err(|fault| running(&fault, lang))?;
    let identity = match identity::load(&dir) {
        Ok(loaded) => Some(loaded),
        Err(IdentityError::NotEnrolled) => {
            let inventory = look(Some(&folder)).unwrap_or(inventory);
            let removed = inventory::remove(&inventory, &folder, &rights);
            return Ok(rest::say(&removed, &inventory.installed, &dir, asked.output, lang));
        }
        Err(fault) if asked.offline => {
            complain(&fault.in_lang(lang));
            None
        }
        Err(fault) => return Err((exit::CONFIG, format!("{}; {}", fault.in_lang(lang), without(lang)))),
    };
    let given = identity.as_ref().map(|(_, given)| given.clone());
    let ended = match identity {
        Some((_, given)) => ending::end(config, environment, &given, asked.offline, lang).map_err(|fault| not_ended(&fault, lang))?,
        None => Ended::default(),
    };
    // Read again: a change of the key that was under way has come to its end.
    let fingerprints = identity::load(&dir).ok().map(|(key, given)| fingerprints(&key, &given));
    // The outbox was opened meanwhile: its side files may be others now.
    let inventory = look(Some(&folder)).unwrap_or(inventory);
    let removed = inventory::remove(&inventory, &folder, &rights);
    drop(lock);
    let at_ms = clock::now().wall_ms;
    let Inventory { strange, installed, .. } = inventory;
    let certificate = Certificate { at_ms, given, fingerprints, ended, removed, strange, installed, dir, consent };
    if asked.output.json {
        print_json(&certificate.json());
    } else {
        print(&certificate.text());
    }
    Ok(if certificate.removed.is_whole() { exit::OK } else { exit::FAILED })
}

/// There is nothing in the state folder, nor such a folder; what root still has to remove is named all the same.
fn nothing(inventory: &Inventory, dir: &Path, lang: Lang) -> Fault {
    let mut text = format!("{} {}", lang.of("there is nothing of the agent to remove in", "削除対象がありません："), dir.display());
    let commands = inventory.installed.still_to_do(inventory.items.iter());
    if !commands.is_empty() {
        let rest = lang.of("Still to be done, by root:", "残りの作業（root）：");
        text.push_str(&format!("\n{rest}\n  {}", commands.join("\n  ")));
    }
    (exit::USAGE, text)
}

fn no_folder(dir: &Path, fault: &std::io::Error, lang: Lang) -> Fault {
    let shown = dir.display();
    if !std::fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_symlink()) {
        return (exit::USAGE, format!("{shown}: {fault}"));
    }
    let why = lang.of(
        format!("{shown} is a link: see where it leads, and name the folder itself with --set state_dir=FOLDER"),
        format!("{shown} はリンクです。参照先を確認し、--set state_dir=FOLDERでフォルダー自体を指定してください"),
    );
    (exit::CONFIG, why)
}

/// This machine's key and the collector's root, as people compare them.
fn fingerprints(key: &SecretKey, given: &Enrolment) -> (String, String) {
    (identity::fingerprint(key), given.root().map(|root| root.id().fingerprint()).unwrap_or_default())
}

fn running(fault: &RunError, lang: Lang) -> Fault {
    match fault {
        RunError::Locked(_) => {
            let stop = lang.of("the agent runs: stop it first", "エージェントが動作中です。先に停止してください");
            (exit::FAILED, format!("{stop}: sudo systemctl disable --now mimamori-agent"))
        }
        other => (exit::CONFIG, chain(other)),
    }
}

fn not_ended(fault: &NotEnded, lang: Lang) -> Fault {
    let dropped = fault.dropped.total();
    let mut words = match (dropped, fault.stated) {
        (0, false) => lang.of("nothing was removed: the collector did not take the statement", "何も削除していません。コレクターに通知できませんでした").to_owned(),
        _ => lang.of(
            format!(
                "keys, ledger and configuration are still there, but what was unsent is not: {dropped} unsent entries were dropped, and a signed record stands in their place"
            ),
            format!("鍵・台帳・設定は残っていますが、未送信分は残っていません。未送信の{dropped}件を消去し、署名付きの欠損記録に置き換えました"),
        ),
    };
    if fault.stated {
        words.push_str(lang.of(
            ". The signed statement of the removal lies there unsent: it leaves when this is run again and the collector takes it",
            "。署名付きの削除通知は未送信のまま残っています。コレクターが受け付ける状態で再実行すると送信されます",
        ));
    }
    (exit::FAILED, format!("{words}: {}\n{}", fault.why, without(lang)))
}

fn without(lang: Lang) -> &'static str {
    lang.of(
        "to remove it all the same, add --offline: the signed statement is then printed for you to hand over",
        "それでも削除するには--offlineを付けてください。署名付きの通知が表示されますので、後でお渡しください",
    )
}
