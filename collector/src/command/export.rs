//! `fsck` and `export`.

use super::{Done, Failed, print, print_json};
use crate::cli::{Lang, MachineName, Output, exit};
use crate::keys::Keys;
use crate::store::{PAGE_MAX, Scope, Store, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_shared::frame::{Frame, wrapper};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;

pub(super) async fn fsck(store: &Store, output: Output, lang: Lang) -> Done {
    let faults = store.fsck(&Scope::All).await?;
    if output.json {
        print_json(&json!({"schema": "mimamori.fsck/1", "ok": faults.is_empty(), "faults": faults}));
    } else {
        faults.iter().for_each(|fault| print(&format!("{fault}\n")));
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failed(exit::FAILED, format!("{}: {}", lang.of("what is kept contradicts itself", "保存内容に矛盾があります"), faults.len())))
}

/// One line of what is needed to verify, then each entry as its two lines and as DSSE, chain after chain.
pub(super) async fn export(store: &Store, keys: &Keys, name: &MachineName, output: Option<&Path>) -> Done {
    let mut out: Box<dyn Write> = match output {
        Some(path) => Box::new(io::BufWriter::new(std::fs::File::create(path).map_err(|fault| Failed(exit::USAGE, format!("{}: {fault}", path.display())))?)),
        None => Box::new(io::BufWriter::new(io::stdout())),
    };
    let machine = store.machine(&Scope::All, &name.facility, &name.machine).await?;
    let key = store.key(machine.key_id).await?.ok_or(StoreError::NotFound("key"))?;
    let head = json!({"schema": "mimamori.export/1", "collector_id": keys.collector_id, "agent_id": machine.agent_id, "facility": machine.facility,
                      "machine": machine.alias, "key_id": machine.key_id, "public_key": STANDARD.encode(key.public_key), "root_key": STANDARD.encode(keys.root.to_bytes())});
    writeln!(out, "{head}")?;
    for chain in store.chains(&Scope::All, machine.agent_id).await? {
        for branch in 0..chain.branches {
            let mut from = 0;
            loop {
                let page = store.evidence(&Scope::All, machine.agent_id, chain.chain_id, branch, from, PAGE_MAX).await?;
                let Some(last) = page.last() else { break };
                from = last.last_seq.saturating_add(1);
                for row in page {
                    let frame = Frame { payload: row.payload, key_id: row.key_id, signature: row.signature };
                    let lines = [String::from_utf8_lossy(&frame.payload).into_owned(), wrapper(frame.key_id, &frame.signature)];
                    let line = json!({"chain_id": chain.chain_id, "epoch": chain.epoch, "branch": branch, "seq": row.seq, "last_seq": row.last_seq, "hash": row.hash,
                                      "received_at_ms": row.received_at_ms, "frame": lines, "dsse": frame.to_dsse(row.kind)});
                    writeln!(out, "{line}")?;
                }
            }
        }
    }
    out.flush()?;
    Ok(())
}
