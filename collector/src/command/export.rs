//! `fsck` and `export`.

use super::{Done, Failed, did};
use crate::cli::{Lang, Output, Which, exit};
use crate::config::Config;
use crate::keys::Keys;
use crate::revocation::{self, RevocationError};
use crate::store::{BranchRow, MachineRow, PAGE_MAX, Scope, Store, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_cli::print::{unwritable, whole};
use mimamori_shared::error::chain;
use mimamori_shared::frame::{Frame, wrapper};
use mimamori_shared::id::Hash;
use mimamori_shared::sign::sha256;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

pub(super) async fn fsck(config: &Config, keys: &Keys, store: &Store, output: Output, lang: Lang) -> Done {
    let mut faults = store.fsck(&Scope::All).await?;
    match revocation::compare(&revocation::path(config), keys, store).await {
        Ok(()) => {}
        Err(RevocationError::Store(fault)) => return Err(fault.into()),
        Err(fault) => faults.push(lang.of(chain(&fault), super::fault::revocation(&fault))),
    }
    let (mut chains, mut places) = (0, 0);
    let machines = store.machines(&Scope::All).await?;
    for machine in &machines {
        for chain in store.chains(&Scope::All, machine.agent_id).await? {
            chains += 1;
            let own = |branch: &BranchRow| branch.next_seq.saturating_sub(branch.base.map_or(0, |base| base.saturating_add(1)));
            places += store.branches(&Scope::All, machine.agent_id, chain.chain_id).await?.iter().map(own).sum::<u64>();
        }
    }
    let machines = machines.len();
    let text = match faults.is_empty() {
        true => lang.of(
            format!("Sound: {machines} machines, {chains} chains, {places} places recomputed from the evidence; all agree.\n"),
            format!("問題ありません：機器{machines}台、チェーン{chains}本、{places}か所を証跡から計算し直し、すべて一致しました。\n"),
        ),
        false => faults.iter().map(|fault| format!("{fault}\n")).collect(),
    };
    let value = json!({"schema": "mimamori.fsck/1", "ok": faults.is_empty(), "machines": machines, "chains": chains, "places": places, "faults": faults});
    output.say(&value, &text);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failed::said(exit::FAILED, format!("{}: {}", lang.of("what is kept contradicts itself", "保存内容に矛盾があります"), faults.len())))
}

/// One line of what is needed to verify, each entry as its two lines and as DSSE, chain after chain, and one line that
/// holds all of them together (docs/WIRE.md, "Evidence export").
pub(super) async fn export(store: &Store, keys: &Keys, which: &Which, output: Option<&Path>, told: Output, lang: Lang) -> Done {
    // First, so that no file is made for a machine that is none.
    let machine = super::machine::find(store, which).await?;
    let Some(path) = output else {
        write(store, keys, &machine, io::BufWriter::new(io::stdout())).await?;
        return Ok(());
    };
    let refused = |fault: io::Error| Failed::said(exit::USAGE, format!("--output {}", unwritable(path, &fault, lang)));
    let file = std::fs::File::create(path).map_err(refused)?;
    let entries = write(store, keys, &machine, io::BufWriter::new(file)).await.map_err(|fault| fault.of(&whole(path).display().to_string()))?;
    let (shown, named) = (whole(path), super::machine::name_of(&machine));
    let text = lang
        .of(format!("Written: {}, {entries} entries of {named}.", shown.display()), format!("書き出しました：{}（{named}、{entries}件）。", shown.display()));
    did(
        told,
        "export",
        &json!({"facility": machine.facility, "machine": machine.alias, "agent_id": machine.agent_id, "path": shown, "entries": entries}),
        &text,
    );
    Ok(())
}

/// Writes lines, and hashes each with the hash of what stands before it.
struct Lines<W> {
    out: W,
    check: Hash,
}

impl<W: Write> Lines<W> {
    fn line(&mut self, value: &Value) -> io::Result<()> {
        let line = format!("{value}\n");
        self.check = sha256(&[&self.check.0, line.as_bytes()].concat());
        self.out.write_all(line.as_bytes())
    }
}

/// How many entries were written.
async fn write(store: &Store, keys: &Keys, machine: &MachineRow, out: impl Write) -> Result<u64, Failed> {
    let mut entries = 0;
    let mut out = Lines { out, check: Hash::ZERO };
    let every: Vec<Value> = store
        .keys_of(&Scope::All, machine.agent_id)
        .await?
        .into_iter()
        .map(|(key_id, public)| json!({"key_id": key_id, "public_key": STANDARD.encode(public)}))
        .collect();
    let key = store.key(machine.key_id).await?.ok_or(StoreError::NotFound("key"))?;
    let head = json!({"schema": "mimamori.export/1", "collector_id": keys.collector_id, "agent_id": machine.agent_id, "facility": machine.facility,
                      "machine": machine.alias, "key_id": machine.key_id, "public_key": STANDARD.encode(key.public_key), "root_key": STANDARD.encode(keys.root.to_bytes()),
                      "keys": every});
    out.line(&head)?;
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
                    out.line(&line)?;
                    entries += 1;
                }
            }
        }
    }
    let end = json!({"entries": entries, "check": out.check});
    out.line(&end)?;
    out.out.flush()?;
    Ok(entries)
}
