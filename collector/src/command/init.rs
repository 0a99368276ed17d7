//! `init`.

use super::{Done, Failed, print};
use crate::cli::{Lang, exit};
use crate::config::Config;
use crate::keys::KeysError;
use crate::serve::StartError;
use crate::{clock, keys, revocation, serve};

pub(super) fn init(config: &Config, hosts: &[String], lang: Lang) -> Done {
    let dir = config.state_dir();
    // Before anything is said of the hosts: where there is a collector, no other one is made of any.
    if keys::is_made(&dir)? {
        return Err(KeysError::Exists(dir).into());
    }
    if let Some(bad) = hosts.iter().find(|host| !keys::is_host(host)) {
        return Err(Failed::said(exit::USAGE, format!("--host {bad}: {}", lang.of("not a DNS name or address", "DNS名でもアドレスでもありません"))));
    }
    if let Some(fault) = serve::public_url_fault(config, hosts, lang) {
        return Err(Failed::said(exit::USAGE, fault));
    }
    let made = keys::init(&dir, hosts, clock::now_ms(), &mut clock::random)?;
    let store = serve::make_store(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // From here on the file is there, and its absence says something.
    runtime.block_on(revocation::check(&revocation::path(config), &made, &store, None, clock::now_ms())).map_err(StartError::from)?;
    drop(store);
    let rows = [
        (lang.of("Collector", "コレクター"), made.collector_id.to_string()),
        (lang.of("Fingerprint of the root", "ルート鍵の指紋"), made.root.id().fingerprint()),
        (lang.of("Agents report to", "エージェントの報告先"), serve::public_url(config, &made)),
    ];
    for (name, value) in rows {
        print(&format!("{name}: {value}\n"));
    }
    let shown = dir.join("root.key");
    print(&format!("{} {}\n", lang.of("Carry away and keep offline, in two places:", "次のファイルはオフラインで2か所に保管してください："), shown.display()));
    Ok(())
}
