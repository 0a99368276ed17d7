//! `machine`.

mod history;
mod past;
mod show;

use super::{Done, PROGRAM, complain, did, print, print_json};
use crate::cli::{Alias, Fingerprint, Lang, MachineCommand, MachineName, Output, Which};
use crate::clock;
use crate::config::Config;
use crate::keys::Keys;
use crate::revocation;
use crate::serve::StartError;
use crate::store::{Actor, ForkMark, MachineRow, MachineState, RefusedKey, Scope, Store, StoreError};
use crate::web::lang::Key;
use crate::work::as_of;
use mimamori_cli::print::padded;
use mimamori_domain::presence::State;
use mimamori_shared::id::KeyId;
use mimamori_shared::word::Word;
use serde_json::{Value, json};

pub(super) async fn carry_out(config: &Config, store: &Store, keys: &Keys, actor: &Actor, command: &MachineCommand, lang: Lang) -> Done {
    let (scope, now) = (&Scope::All, clock::now_ms());
    match command {
        MachineCommand::List { facility, output } => {
            let scope = facility.as_ref().map_or(Scope::All, |facility| Scope::Facility(facility.0.clone()));
            let machines = store.machines(&scope).await?;
            if output.json {
                print_json(&json!({"schema": "mimamori.machines/1", "machines": machines.iter().map(value).collect::<Vec<_>>()}));
            } else if machines.is_empty() {
                print(lang.of(
                    "No machine yet: `mimamori-collector token create --facility ALIAS`\n",
                    "機器がありません：`mimamori-collector token create --facility ALIAS`\n",
                ));
            } else {
                print_rows(&machines, lang);
            }
        }
        MachineCommand::Show { machine, output } => {
            let row = find(store, machine).await?;
            show::show(store, keys, &row, *output, lang).await?;
        }
        MachineCommand::History { machine, since, limit, output } => {
            let from_ms = past::from_ms(since.as_deref(), now, config.utc_offset_h(), lang)?;
            past::history(store, &find(store, machine).await?, (from_ms, *limit), *output, lang).await?;
        }
        MachineCommand::Approve { machine, name, key, output } => {
            approve(store, actor, machine, (name.as_ref(), *key), *output, lang).await?;
        }
        MachineCommand::Revoke { machine, output } => {
            let key = store.revoke_machine(scope, actor, &machine.facility, &machine.machine, now).await?.fingerprint();
            keep(config, keys, store).await?;
            let name = named(machine);
            let text = lang.of(
                format!("Revoked: {name}, key {key}; refused from now on. It keeps its name: `machine retire {name}` frees it."),
                format!("失効させました：{name}（鍵 {key}、以後は受け付けません）。名前を空けるには`machine retire {name}`を実行してください。"),
            );
            did(*output, "machine revoke", &json!({"facility": machine.facility, "machine": machine.machine, "fingerprint": key}), &text);
        }
        MachineCommand::Retire { machine, output } => {
            store.retire_machine(scope, actor, &machine.facility, &machine.machine, now).await?;
            keep(config, keys, store).await?;
            let name = named(machine);
            let text = lang.of(format!("Retired: {name}; its history stays."), format!("運用を終了しました：{name}（履歴は残ります）。"));
            did(*output, "machine retire", &json!({"facility": machine.facility, "machine": machine.machine}), &text);
        }
        MachineCommand::Replace { machine, new, output } => {
            store.replace_machine(scope, actor, &machine.facility, &machine.machine, &new.0, now).await?;
            keep(config, keys, store).await?;
            let (name, new) = (named(machine), &new.0);
            let text = lang.of(
                format!("Replaced: {new} is now {name}; the old one is retired."),
                format!("置き換えました：{new} が {name} となり、元の機器は運用終了となりました。"),
            );
            did(*output, "machine replace", &json!({"facility": machine.facility, "machine": machine.machine, "new": new}), &text);
        }
        MachineCommand::Forks { machine, output } => super::forks::show(store, machine.as_ref(), *output, lang).await?,
        MachineCommand::Move { machine, to, output } => {
            store.move_machine(scope, actor, &machine.facility, &machine.machine, &to.0, now).await?;
            let (name, to) = (named(machine), &to.0);
            let new = format!("{to}/{}", machine.machine);
            let text = lang.of(format!("Moved: {name} is now {new}."), format!("移しました：{name} は {new} になりました。"));
            did(*output, "machine move", &json!({"facility": machine.facility, "machine": machine.machine, "to": to}), &text);
            let to_example = store.facilities(scope).await?.iter().any(|facility| facility.alias == *to && facility.example);
            if to_example {
                complain(PROGRAM, &into_example(machine, to, lang));
            }
        }
    }
    Ok(())
}

/// Where it is now counts as an example: what is shown there is taken for no hospital's.
fn into_example(machine: &MachineName, to: &Word, lang: Lang) -> String {
    let (from, name) = (&machine.facility, &machine.machine);
    lang.of(
        format!("warning: the facility {to} is marked as an example. If this machine is no example: `mimamori-collector machine move {to}/{name} --to {from}`"),
        format!(
            "注意：医療機関 {to} には例として印が付いています。例の機器でない場合は`mimamori-collector machine move {to}/{name} --to {from}`で戻してください"
        ),
    )
}

fn named(machine: &MachineName) -> String {
    format!("{}/{}", machine.facility, machine.machine)
}

/// `FACILITY/MACHINE`.
pub(super) fn name_of(row: &MachineRow) -> String {
    format!("{}/{}", row.facility, row.alias)
}

/// The machine that somebody wants to look at.
pub(super) async fn find(store: &Store, which: &Which) -> Result<MachineRow, StoreError> {
    match which {
        Which::Named(name) => store.machine(&Scope::All, &name.facility, &name.machine).await,
        Which::Agent(agent) => store.machine_of(&Scope::All, *agent).await,
    }
}

async fn approve(store: &Store, actor: &Actor, machine: &MachineName, (name, key): (Option<&Alias>, Option<Fingerprint>), output: Output, lang: Lang) -> Done {
    let (scope, now) = (&Scope::All, clock::now_ms());
    let was = store.machine(scope, &machine.facility, &machine.machine).await?;
    if let Some(Fingerprint(key)) = key {
        store.choose_key(scope, actor, &machine.facility, &machine.machine, key, now).await?;
    }
    let renamed = name.map(|name| &name.0);
    let agent = store.approve_machine(scope, actor, &machine.facility, &machine.machine, renamed, now).await?;
    let row = store.machine_of(scope, agent).await?;
    let lifted = !super::forks::stays_forked(store, &row).await?;
    let mut about = value(&row);
    if let Some(about) = about.as_object_mut() {
        about.insert("stays_forked".to_owned(), (!lifted).into());
    }
    let refused = store.refused_keys(scope, agent).await?;
    let text = approved(&row, was.state == MachineState::Pending, lifted, lang) + &left_to_choose(&refused, key.map(|key| key.0), lang);
    did(output, "machine approve", &about, &text);
    Ok(())
}

/// What an approval came to: of a machine that waited, that it reports; of one that reports, that it may begin anew.
fn approved(row: &MachineRow, waited: bool, lifted: bool, lang: Lang) -> String {
    let (name, fingerprint) = (name_of(row), row.key_id.fingerprint());
    let en = if waited { "its reports are taken" } else { "it may change its key and open new chains again" };
    let ja = if waited { "報告を受け付けます" } else { "鍵の更新と新しいチェーンを再び許可します" };
    let said = lang.of(format!("Approved: {name}, key {fingerprint}; {en}."), format!("承認しました：{name}（鍵 {fingerprint}）。{ja}。"));
    if lifted {
        return said;
    }
    let but = lang.of(
        format!(
            "But the fork stays: in the chain it reports in, its key was heard with two voices. That mark an approval does not lift, and its receipts say so again as soon as the second voice is heard. See `machine forks {name}`; if two copies run, stop both, `machine revoke {name}`, move the state folder away on each, and enrol each with a token of its own."
        ),
        format!(
            "ただし分岐は解消していません：現在のチェーンでは鍵が二重に使われており、その記録は承認では消えません。もう一方から再び報告があれば、受領証にも再び表示されます。`machine forks {name}`で確認し、複製が稼働している場合は両方を停止して`machine revoke {name}`を実行し、それぞれの状態フォルダーを退避して、別々のトークンで登録し直してください。"
        ),
    );
    format!("{said}\n{but}")
}

/// What an approval says of new keys that were named and not taken.
fn left_to_choose(refused: &[RefusedKey], chosen: Option<KeyId>, lang: Lang) -> String {
    let chosen_text = chosen.map(|key| {
        let key = key.fingerprint();
        lang.of(
            format!("\nThe new key {key} is taken when the machine names it again, within about an hour."),
            format!("\n新しい鍵 {key} は、機器が次に示したとき（約1時間以内）に受け入れます。"),
        )
    });
    let others = refused.iter().filter(|refused| chosen.is_none() && refused.why != "key_in_use").map(|refused| {
        let (key, at) = (refused.key_id.fingerprint(), lang.brief(refused.at_ms));
        lang.of(
            format!("\nNot taken: the new key {key}, last named {at}. If `mimamori-agent key show` on the machine says the same: `machine approve --key {key}`."),
            format!("\n受け入れていない新しい鍵：{key}（最終 {at}）。機器の`mimamori-agent key show`と一致する場合は`machine approve --key {key}`を実行してください。"),
        )
    });
    chosen_text.into_iter().chain(others).collect()
}

/// The decision is in the database; now it is made to outlast that.
async fn keep(config: &Config, keys: &Keys, store: &Store) -> Done {
    Ok(revocation::keep(&revocation::path(config), keys, store).await.map_err(StartError::from)?)
}

/// A machine as JSON: what `machine list --json` prints.
pub(super) fn value(row: &MachineRow) -> Value {
    let chain = row.chain.as_ref();
    json!({
        "facility": row.facility, "machine": row.alias, "agent_id": row.agent_id, "state": row.state.name(), "fingerprint": row.key_id.fingerprint(),
        "presence": presence(row).name(),
        "presence_since_ms": row.presence.as_ref().map(|presence| presence.since_ms),
        "because": row.presence.as_ref().map(|presence| presence.because.as_str()),
        "epoch": chain.map(|chain| chain.epoch), "chain_id": chain.map(|chain| chain.chain_id), "reports": chain.map_or(0, |chain| chain.next_seq),
        "forked": row.fork == Some(ForkMark::Now), "fork_approved_at_ms": approved_fork_ms(row.fork),
        "waiting_for": chain.and_then(|chain| chain.waiting).map(|waiting| waiting.for_seq),
        "waiting_since_ms": chain.and_then(|chain| chain.waiting).map(|waiting| waiting.since_ms),
        "consent": row.consent.as_ref().map(|consent| json!({"state": consent.state, "example": consent.example, "valid_to_ms": consent.valid_to_ms})),
        "interval_s": row.plan.as_ref().map(|plan| plan.interval_s), "enrolled_at_ms": row.enrolled_at_ms,
        "last_received_ms": row.latest.as_ref().map(|latest| latest.received_at_ms), "last_taken_ms": row.latest.as_ref().map(|latest| latest.taken_at_ms),
        "preview": row.latest.as_ref().is_some_and(|latest| latest.is_preview),
    })
}

/// When an operator approved the machine although its newest chain is forked, unless it was heard so since.
fn approved_fork_ms(fork: Option<ForkMark>) -> Option<i64> {
    if let Some(ForkMark::Approved(ms)) = fork { Some(ms) } else { None }
}

fn presence(row: &MachineRow) -> State {
    as_of(row, clock::now_ms()).map_or(State::NotKnown, |presence| presence.state)
}

/// A line for each machine, below one that says what stands in it.
pub(super) fn print_rows(machines: &[MachineRow], lang: Lang) {
    let en = ["MACHINE", "APPROVAL", "STATE", "NEXT PLACE", "LAST REPORT RECEIVED"];
    let ja = ["機器", "登録", "状態", "次の連番", "最終受信"];
    print(&line(lang.of(en, ja)));
    for row in machines {
        let chain = row.chain.as_ref();
        let mut last = row.latest.as_ref().map_or_else(|| "-".to_owned(), |latest| lang.brief(latest.received_at_ms));
        match row.fork {
            Some(ForkMark::Now) => last.push_str(lang.of("  FORKED", "  分岐")),
            Some(ForkMark::Approved(ms)) => last.push_str(&format!("  {} {}", Key::WasForked.text(lang), lang.brief(ms))),
            None => {}
        }
        if let Some(waiting) = chain.and_then(|chain| chain.waiting) {
            last.push_str(&lang.of(format!("  WAITS for place {}", waiting.for_seq), format!("  連番{}を待機中", waiting.for_seq)));
        }
        if row.state == MachineState::Retired {
            last.push_str(&lang.of(format!("  agent id {}", row.agent_id), format!("  エージェントID {}", row.agent_id)));
        }
        let (name, state) = (name_of(row), presence(row));
        let place = chain.map_or(0, |chain| chain.next_seq).to_string();
        print(&line([&name, life(row.state, lang), lang.of(state.words_en(), state.words_ja()), &place, &last]));
    }
}

fn line([name, life, state, place, last]: [&str; 5]) -> String {
    format!("{} {} {} {} {last}\n", padded(name, 36), padded(life, 9), padded(state, 14), padded(place, 11))
}

fn life(state: MachineState, lang: Lang) -> &'static str {
    match state {
        MachineState::Pending => lang.of("pending", "承認待ち"),
        MachineState::Active => lang.of("active", "承認済み"),
        MachineState::Revoked => lang.of("revoked", "失効"),
        MachineState::Retired => lang.of("retired", "運用終了"),
    }
}
