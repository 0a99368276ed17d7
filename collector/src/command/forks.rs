//! `machine forks`: where a key spoke with two voices, in words.

use super::{Done, print, print_json};
use crate::cli::{Lang, MachineName, Output};
use crate::store::{ChainReason, ChainRow, FindingKind, MachineRow, Scope, SessionRow, Store, StoreError};
use mimamori_domain::fork::{After, Cause, Side, cause, goes_on};
use mimamori_shared::id::{AgentId, BootId};
use serde_json::{Value, json};

/// One forked chain of a machine.
struct Fork {
    chain: ChainRow,
    /// The last place both sides have in common.
    common: Option<u64>,
    sides: Vec<Side>,
    since_ms: i64,
    cause: Cause,
    goes_on: Option<u32>,
}

pub(super) async fn show(store: &Store, only: Option<&MachineName>, output: Output, lang: Lang) -> Done {
    let machines = match only {
        Some(name) => vec![store.machine(&Scope::All, &name.facility, &name.machine).await?],
        None => store.machines(&Scope::All).await?,
    };
    let mut shown = Vec::new();
    for machine in &machines {
        let old_key_spoke = found(store, machine.agent_id, FindingKind::OldKeySpoke).await?;
        for fork in forks(store, machine).await? {
            if output.json {
                shown.push(value(machine, &fork));
            } else {
                explain(machine, &fork, lang);
                shown.push(Value::Null);
            }
        }
        if old_key_spoke {
            let name = format!("{}/{}", machine.facility, machine.alias);
            if output.json {
                shown.push(json!({"facility": machine.facility, "machine": machine.alias, "cause": "old_key_spoke"}));
            } else {
                shown.push(Value::Null);
                print(&format!(
                    "{name}: {}\n",
                    lang.of(
                        "a key that has handed over to a newer one was used again, and was refused. Somebody holds an old copy of the state folder: a restored image from before the rotation, or a clone. Find it; if it is this machine itself, it must enrol anew with a new token.",
                        "新しい鍵に引き継いだ後の旧い鍵が再び使われ、拒否されました。鍵の更新前の状態フォルダーの複製（復元したイメージまたはクローン）が存在します。特定してください。この機器自身の場合は、新しいトークンで登録し直す必要があります。",
                    )
                ));
            }
        }
    }
    if output.json {
        print_json(&json!({"schema": "mimamori.forks/1", "forks": shown}));
    } else if shown.is_empty() {
        print(lang.of("No key speaks with two voices.\n", "二重に使われている鍵はありません。\n"));
    }
    Ok(())
}

async fn found(store: &Store, agent: AgentId, kind: FindingKind) -> Result<bool, StoreError> {
    Ok(store.findings(&Scope::All).await?.iter().any(|finding| finding.agent_id == agent && finding.kind == kind))
}

async fn forks(store: &Store, machine: &MachineRow) -> Result<Vec<Fork>, StoreError> {
    let (scope, agent) = (&Scope::All, machine.agent_id);
    let chains = store.chains(scope, agent).await?;
    let sessions = store.sessions(scope, agent).await?;
    let boots_interleaved = found(store, agent, FindingKind::BootsInterleaved).await?;
    let old_chain_spoke = found(store, agent, FindingKind::OldChainSpoke).await?;
    let newest = chains.last().map(|chain| chain.chain_id);
    let newest_boot = sessions.iter().filter(|session| Some(session.chain_id) == newest).max_by_key(|session| session.to_seq).map(|session| session.boot_id);
    let mut forks = Vec::new();
    for chain in chains.iter().filter(|chain| chain.forked) {
        let common = store.branches(scope, agent, chain.chain_id).await?.iter().find_map(|branch| branch.base);
        let mut sides = Vec::new();
        for branch in store.branches(scope, agent, chain.chain_id).await? {
            let from = common.map_or(0, |seq| seq.saturating_add(1));
            let Some(first) = store.evidence(scope, agent, chain.chain_id, branch.branch, from, 1).await?.into_iter().next() else { continue };
            let own: Vec<&SessionRow> =
                sessions.iter().filter(|session| session.chain_id == chain.chain_id && session.branch == branch.branch && session.to_seq >= from).collect();
            let last_ms = own.iter().map(|session| session.received_to_ms).max().unwrap_or(first.received_at_ms);
            let boots: Vec<BootId> = own.iter().map(|session| session.boot_id).collect();
            sides.push(Side { branch: branch.branch, boots, first_ms: first.received_at_ms, last_ms });
        }
        let restored = chains.iter().find(|later| later.epoch > chain.epoch && later.reason == ChainReason::Restored);
        let after = After { restored_ms: restored.map(|chain| chain.opened_at_ms), newest_boot, old_chain_spoke, boots_interleaved };
        let since_ms = sides.iter().skip(1).map(|side| side.first_ms).min().or(sides.first().map(|side| side.first_ms)).unwrap_or(chain.opened_at_ms);
        forks.push(Fork { common, since_ms, cause: cause(&sides, &after), goes_on: goes_on(&sides, &after), sides, chain: chain.clone() });
    }
    Ok(forks)
}

fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Restored => "restored",
        Cause::TwoCopies => "two_copies",
        Cause::NotYetClear => "not_yet_clear",
    }
}

fn value(machine: &MachineRow, fork: &Fork) -> Value {
    let sides = fork.sides.iter().map(|side| {
        json!({"branch": side.branch, "boots": side.boots, "first_received_ms": side.first_ms, "last_received_ms": side.last_ms,
               "goes_on": fork.goes_on == Some(side.branch)})
    });
    json!({
        "facility": machine.facility, "machine": machine.alias, "chain_id": fork.chain.chain_id, "epoch": fork.chain.epoch, "common_seq": fork.common,
        "since_ms": fork.since_ms, "cause": cause_name(fork.cause), "sides": sides.collect::<Vec<_>>(),
    })
}

fn explain(machine: &MachineRow, fork: &Fork, lang: Lang) {
    let common = fork.common.map_or_else(|| lang.of("the very beginning", "先頭").to_owned(), |seq| format!("{} {seq}", lang.of("place", "連番")));
    print(&format!(
        "{}/{}  {} {} ({} {}): {} {}\n",
        machine.facility,
        machine.alias,
        lang.of("chain", "チェーン"),
        fork.chain.chain_id,
        lang.of("epoch", "世代"),
        fork.chain.epoch,
        lang.of("one key spoke with two voices since", "同じ鍵が二重に使われています。開始："),
        lang.brief(fork.since_ms),
    ));
    print(&format!("  {} {common}\n", lang.of("both sides agree up to", "一致している範囲の末尾：")));
    for side in &fork.sides {
        let boots: Vec<String> = side.boots.iter().map(|boot| boot.to_string().chars().take(8).collect()).collect();
        let mark = if fork.goes_on == Some(side.branch) { lang.of("  <- the machine that reports now", "　← 現在報告している機器") } else { "" };
        print(&format!(
            "  {} {}: {} {}; {} – {}{mark}\n",
            lang.of("side", "分岐"),
            side.branch,
            lang.of("boot", "起動ID"),
            boots.join(" "),
            lang.brief(side.first_ms),
            lang.brief(side.last_ms),
        ));
    }
    let (what, then) = words(fork.cause, lang);
    print(&format!("  {}: {what}\n  {}: {then}\n", lang.of("Most likely", "推定原因"), lang.of("What to do", "対処")));
}

fn words(cause: Cause, lang: Lang) -> (&'static str, &'static str) {
    match cause {
        Cause::Restored => (
            lang.of(
                "the machine was restored from a snapshot or backup, noticed it, and goes on in a new chain; the old side has kept silent since.",
                "機器がスナップショットまたはバックアップから復元され、それを検知して新しいチェーンで継続しています。以前の側からはその後報告がありません。",
            ),
            lang.of(
                "ask whoever looks after the machine whether it was restored at that time. If so: `machine approve`, without which its key is not changed any more. If not: treat it as two copies.",
                "その時刻に復元したかを機器の管理者に確認してください。復元していれば`machine approve`を実行し（承認までは鍵が更新されません）、していなければ複製とみなしてください。",
            ),
        ),
        Cause::TwoCopies => (
            lang.of(
                "two copies of the machine or of its state folder run at the same time: a clone, or a stolen key. Both were heard in turns.",
                "機器または状態フォルダーの複製が同時に稼働しています（クローンまたは鍵の漏えい）。両方から交互に報告がありました。",
            ),
            lang.of(
                "find the second one. Stop both, `machine revoke` this one, move the state folder away on each, and enrol each with a token of its own.",
                "もう1台を特定し、両方を停止して`machine revoke`を実行し、それぞれの状態フォルダーを退避して、別々のトークンで登録し直してください。",
            ),
        ),
        Cause::NotYetClear => (
            lang.of(
                "one side fell silent before the other began: a restore, or a copy that took the machine's place. No new chain has followed yet.",
                "一方の報告が止まってから他方が始まりました（復元、または複製との入れ替わり）。新しいチェーンはまだ開かれていません。",
            ),
            lang.of(
                "look again after two reporting intervals; ask meanwhile whether the machine was restored or copied.",
                "報告間隔の2倍が経過してから再度確認してください。その間に、復元や複製の有無を管理者に確認してください。",
            ),
        ),
    }
}
