//! `machine forks`: where a key spoke with two voices, in words.

use super::machine::{find, name_of};
use super::{Done, print, print_json};
use crate::cli::{Lang, Output, Which};
use crate::store::{ChainReason, ChainRow, FindingKind, FindingRow, MachineRow, MachineState, Scope, SessionRow, Store, StoreError};
use mimamori_domain::fork::{After, Cause, Side, cause, goes_on};
use mimamori_shared::id::BootId;
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

/// What is known of one machine's voices.
struct Heard<'a> {
    machine: &'a MachineRow,
    forks: Vec<Fork>,
    /// A key that handed over was used again, and nobody has approved the machine since.
    old_key_spoke: bool,
    /// When an operator approved what was heard: nothing was heard since, and the newest chain is not forked.
    settled_ms: Option<i64>,
}

/// Without a name of all that are not retired: about a retired one nothing is left to decide, and its successor may have
/// its name.
pub(super) async fn show(store: &Store, only: Option<&Which>, output: Output, lang: Lang) -> Done {
    let machines = match only {
        Some(which) => vec![find(store, which).await?],
        None => store.machines(&Scope::All).await?.into_iter().filter(|machine| machine.state != MachineState::Retired).collect(),
    };
    let (mut values, mut text) = (Vec::new(), String::new());
    for machine in &machines {
        let heard = heard(store, machine).await?;
        values.extend(heard.forks.iter().map(|fork| value(&heard, fork)));
        heard.forks.iter().for_each(|fork| text.push_str(&explained(&heard, fork, lang)));
        if heard.old_key_spoke {
            values.push(json!({"facility": machine.facility, "machine": machine.alias, "agent_id": machine.agent_id,
                               "fingerprint": machine.key_id.fingerprint(), "state": machine.state.name(), "cause": "old_key_spoke"}));
            text.push_str(&old_key(machine, lang));
        }
    }
    if output.json {
        print_json(&json!({"schema": "mimamori.forks/1", "forks": values}));
    } else if text.is_empty() {
        print(lang.of("No key speaks with two voices.\n", "二重に使われている鍵はありません。\n"));
    } else {
        print(&text);
    }
    Ok(())
}

/// Whether two voices are left after an approval: they speak in turns, or the newest chain itself is forked.
pub(super) async fn stays_forked(store: &Store, machine: &MachineRow) -> Result<bool, StoreError> {
    let newest = machine.chain.as_ref().is_some_and(|chain| chain.forked);
    Ok(newest || heard(store, machine).await?.forks.iter().any(|fork| fork.cause == Cause::TwoCopies))
}

async fn heard<'a>(store: &Store, machine: &'a MachineRow) -> Result<Heard<'a>, StoreError> {
    let findings = store.findings_of(&Scope::All, machine.agent_id).await?;
    let approved_ms = machine.chains_approved_at_ms;
    let forked = machine.chain.as_ref().is_some_and(|chain| chain.forked);
    let unsettled = forked || store.two_voices(&Scope::All, machine.agent_id).await?;
    let since = |finding: &FindingRow| approved_ms.is_none_or(|approved_ms| finding.last_at_ms >= approved_ms);
    Ok(Heard {
        machine,
        old_key_spoke: findings.iter().any(|finding| finding.kind == FindingKind::OldKeySpoke && since(finding)),
        forks: forks(store, machine, &findings).await?,
        settled_ms: approved_ms.filter(|_| !unsettled),
    })
}

async fn forks(store: &Store, machine: &MachineRow, findings: &[FindingRow]) -> Result<Vec<Fork>, StoreError> {
    let (scope, agent) = (&Scope::All, machine.agent_id);
    let chains = store.chains(scope, agent).await?;
    let sessions = store.sessions(scope, agent).await?;
    let found = |kind: FindingKind| findings.iter().any(|finding| finding.kind == kind);
    let (boots_interleaved, old_chain_spoke) = (found(FindingKind::BootsInterleaved), found(FindingKind::OldChainSpoke));
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
        let cause = cause(&sides, &after);
        // Of two copies both report: whichever spoke last is not the machine for that.
        let goes_on = if cause == Cause::TwoCopies { None } else { goes_on(&sides, &after) };
        forks.push(Fork { common, since_ms, cause, goes_on, sides, chain: chain.clone() });
    }
    // A newer chain is marked with the one that was forked; where the sides are told apart there, it adds nothing.
    if forks.iter().any(|fork| fork.sides.len() > 1) {
        forks.retain(|fork| fork.sides.len() > 1);
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

fn value(heard: &Heard<'_>, fork: &Fork) -> Value {
    let sides = fork.sides.iter().map(|side| {
        json!({"branch": side.branch, "boots": side.boots, "first_received_ms": side.first_ms, "last_received_ms": side.last_ms,
               "goes_on": fork.goes_on == Some(side.branch)})
    });
    let machine = heard.machine;
    json!({
        "facility": machine.facility, "machine": machine.alias, "agent_id": machine.agent_id, "fingerprint": machine.key_id.fingerprint(),
        "state": machine.state.name(), "settled_at_ms": heard.settled_ms, "chain_id": fork.chain.chain_id, "epoch": fork.chain.epoch,
        "common_seq": fork.common, "since_ms": fork.since_ms, "cause": cause_name(fork.cause), "sides": sides.collect::<Vec<_>>(),
    })
}

/// The name and what tells this machine from another one of that name.
fn whose(machine: &MachineRow, lang: Lang) -> String {
    let agent: String = machine.agent_id.to_string().chars().take(8).collect();
    let (name, key) = (name_of(machine), machine.key_id.fingerprint());
    lang.of(format!("{name} (agent {agent}, key {key})"), format!("{name}（エージェント {agent}、鍵 {key}）"))
}

fn explained(heard: &Heard<'_>, fork: &Fork, lang: Lang) -> String {
    let (chain, epoch, since) = (fork.chain.chain_id, fork.chain.epoch, lang.brief(fork.since_ms));
    let mut text = lang.of(
        format!("{}  chain {chain} (epoch {epoch}): one key spoke with two voices since {since}\n", whose(heard.machine, lang)),
        format!("{}  チェーン {chain}（世代 {epoch}）：同じ鍵が二重に使われました。開始：{since}\n", whose(heard.machine, lang)),
    );
    if fork.sides.len() > 1 {
        let common = fork.common.map_or_else(|| lang.of("the very beginning", "先頭").to_owned(), |seq| format!("{} {seq}", lang.of("place", "連番")));
        text.push_str(&format!("  {} {common}\n", lang.of("both sides agree up to", "一致している範囲の末尾：")));
    }
    for side in &fork.sides {
        let boots: Vec<String> = side.boots.iter().map(|boot| boot.to_string().chars().take(8).collect()).collect();
        let mark = if fork.goes_on == Some(side.branch) { lang.of("  <- the machine that reports now", "　← 現在報告している機器") } else { "" };
        text.push_str(&format!(
            "  {} {}: {} {}; {} – {}{mark}\n",
            lang.of("side", "分岐"),
            side.branch,
            lang.of("boot", "起動ID"),
            boots.join(" "),
            lang.brief(side.first_ms),
            lang.brief(side.last_ms),
        ));
    }
    let then = ended(heard.machine, lang).unwrap_or_else(|| match heard.settled_ms.map(|ms| lang.brief(ms)) {
        Some(at) => lang
            .of(format!("approved at {at}, and nothing was heard since: nothing to do."), format!("{at}に承認済みです。その後の異常はなく、対処は不要です。")),
        None => next(fork.cause, &name_of(heard.machine), lang),
    });
    text.push_str(&format!("  {}: {}\n  {}: {then}\n", lang.of("Most likely", "推定原因"), words(fork.cause, lang), lang.of("What to do", "対処")));
    text
}

/// What is left to do about a machine that is not in service; `None` of one that is.
fn ended(machine: &MachineRow, lang: Lang) -> Option<String> {
    let (name, id) = (name_of(machine), machine.agent_id);
    match machine.state {
        MachineState::Retired => Some(lang.of(
            format!("nothing: this machine is retired. Its evidence stays: `export {id}`."),
            format!("不要です（この機器は運用終了です）。証跡は`export {id}`で書き出せます。"),
        )),
        MachineState::Revoked => Some(lang.of(
            format!(
                "its key is revoked already. Move the state folder away on each machine and enrol each with a token of its own. `machine retire {name}` frees the name; or enrol under another name, then `machine replace {name} NEW`."
            ),
            format!(
                "鍵は失効済みです。各機器の状態フォルダーを退避し、それぞれ別のトークンで登録し直してください。`machine retire {name}`で名前が空きます。または別の名前で登録し、`machine replace {name} NEW`で置き換えてください。"
            ),
        )),
        MachineState::Pending | MachineState::Active => None,
    }
}

fn old_key(machine: &MachineRow, lang: Lang) -> String {
    let (whose, name) = (whose(machine, lang), name_of(machine));
    let what = lang.of(
        "a key that has handed over to a newer one was used again, and was refused. Somebody holds an old copy of the state folder: a restored image from before the rotation, or a clone.",
        "新しい鍵に引き継いだ後の旧い鍵が再び使われ、拒否されました。鍵の更新前の状態フォルダーの複製（復元したイメージまたはクローン）が存在します。",
    );
    let then = ended(machine, lang).unwrap_or_else(|| {
        lang.of(
            format!("find it; if it is this machine itself, it must enrol anew with a new token. Once it is found: `machine approve {name}` settles this."),
            format!("特定してください。この機器自身の場合は、新しいトークンで登録し直す必要があります。解決後、`machine approve {name}`で対処済みとなります。"),
        )
    });
    format!("{whose}: {what}\n  {}: {then}\n", lang.of("What to do", "対処"))
}

fn words(cause: Cause, lang: Lang) -> &'static str {
    match cause {
        Cause::Restored => lang.of(
            "the machine was restored from a snapshot or backup, noticed it, and goes on in a new chain; the old side has kept silent since.",
            "機器がスナップショットまたはバックアップから復元され、それを検知して新しいチェーンで継続しています。以前の側からはその後報告がありません。",
        ),
        Cause::TwoCopies => lang.of(
            "two copies of the machine or of its state folder run at the same time: a clone, or a stolen key. Both were heard in turns.",
            "機器または状態フォルダーの複製が同時に稼働しています（クローンまたは鍵の漏えい）。両方から交互に報告がありました。",
        ),
        Cause::NotYetClear => lang.of(
            "one side fell silent before the other began: a restore, or a copy that took the machine's place. No new chain has followed yet.",
            "一方の報告が止まってから他方が始まりました（復元、または複製との入れ替わり）。新しいチェーンはまだ開かれていません。",
        ),
    }
}

fn next(cause: Cause, name: &str, lang: Lang) -> String {
    match cause {
        Cause::Restored => lang.of(
            format!(
                "ask whoever looks after the machine whether it was restored at that time. If so: `machine approve {name}`, without which its key is not changed any more. If not: treat it as two copies."
            ),
            format!(
                "その時刻に復元したかを機器の管理者に確認してください。復元していれば`machine approve {name}`を実行し（承認までは鍵が更新されません）、していなければ複製とみなしてください。"
            ),
        ),
        Cause::TwoCopies => lang.of(
            format!("find the second one. Stop both, `machine revoke {name}`, move the state folder away on each, and enrol each with a token of its own."),
            format!("もう1台を特定し、両方を停止して`machine revoke {name}`を実行し、それぞれの状態フォルダーを退避して、別々のトークンで登録し直してください。"),
        ),
        Cause::NotYetClear => lang.of(
            "look again after two reporting intervals; ask meanwhile whether the machine was restored or copied.".to_owned(),
            "報告間隔の2倍が経過してから再度確認してください。その間に、復元や複製の有無を管理者に確認してください。".to_owned(),
        ),
    }
}
