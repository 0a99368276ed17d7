//! `machine`.

use super::{Done, print, print_json};
use crate::cli::{Lang, MachineCommand};
use crate::clock;
use crate::config::Config;
use crate::keys::Keys;
use crate::revocation;
use crate::serve::StartError;
use crate::store::{Actor, MachineRow, Scope, Store, StoreError};
use crate::work::as_of;
use mimamori_shared::time;
use serde_json::{Value, json};

pub(super) async fn carry_out(config: &Config, store: &Store, keys: &Keys, actor: &Actor, command: &MachineCommand, lang: Lang) -> Done {
    let (scope, now) = (&Scope::All, clock::now_ms());
    match command {
        MachineCommand::List { facility, output } => {
            let scope = facility.as_ref().map_or(Scope::All, |facility| Scope::Facility(facility.0.clone()));
            let machines = rows(store, &scope).await?;
            if output.json {
                print_json(&json!({"schema": "mimamori.machines/1", "machines": machines}));
            } else if machines.is_empty() {
                print(lang.of(
                    "No machine yet: `mimamori-collector token create --facility ALIAS`\n",
                    "機器がありません：`mimamori-collector token create --facility ALIAS`\n",
                ));
            } else {
                machines.iter().for_each(show_row);
            }
        }
        MachineCommand::Show { machine, output } => {
            let row = store.machine(scope, &machine.facility, &machine.machine).await?;
            show(store, keys, &row, output.json).await?;
        }
        MachineCommand::Approve { machine, name } => {
            let name = name.as_ref().map(|name| &name.0);
            store.approve_machine(scope, actor, &machine.facility, &machine.machine, name, now).await?;
        }
        MachineCommand::Revoke { machine } => {
            let key = store.revoke_machine(scope, actor, &machine.facility, &machine.machine, now).await?;
            keep(config, keys, store).await?;
            print(&format!("{} {}\n", lang.of("refused from now on:", "以後受け付けない鍵："), key.fingerprint()));
        }
        MachineCommand::Retire { machine } => {
            store.retire_machine(scope, actor, &machine.facility, &machine.machine, now).await?;
            keep(config, keys, store).await?;
        }
        MachineCommand::Replace { machine, new } => {
            store.replace_machine(scope, actor, &machine.facility, &machine.machine, &new.0, now).await?;
            keep(config, keys, store).await?;
        }
        MachineCommand::Forks { machine, output } => super::forks::show(store, machine.as_ref(), *output, lang).await?,
        MachineCommand::Move { machine, to } => store.move_machine(scope, actor, &machine.facility, &machine.machine, &to.0, now).await?,
    }
    Ok(())
}

/// The decision is in the database; now it is made to outlast that.
async fn keep(config: &Config, keys: &Keys, store: &Store) -> Done {
    Ok(revocation::keep(&revocation::path(config), keys, store).await.map_err(StartError::from)?)
}

/// The machines of a scope as JSON: what `machine list --json` prints.
pub(super) async fn rows(store: &Store, scope: &Scope) -> Result<Vec<Value>, StoreError> {
    Ok(store.machines(scope).await?.iter().map(value).collect())
}

fn value(row: &MachineRow) -> Value {
    let chain = row.chain.as_ref();
    json!({
        "facility": row.facility, "machine": row.alias, "agent_id": row.agent_id, "state": row.state.name(), "fingerprint": row.key_id.fingerprint(),
        "presence": presence(row),
        "presence_since_ms": row.presence.as_ref().map(|presence| presence.since_ms),
        "because": row.presence.as_ref().map(|presence| presence.because.as_str()),
        "epoch": chain.map(|chain| chain.epoch), "chain_id": chain.map(|chain| chain.chain_id), "reports": chain.map_or(0, |chain| chain.next_seq),
        "forked": chain.is_some_and(|chain| chain.forked), "waiting_for": chain.and_then(|chain| chain.waiting).map(|waiting| waiting.for_seq),
        "waiting_since_ms": chain.and_then(|chain| chain.waiting).map(|waiting| waiting.since_ms),
        "consent": row.consent.as_ref().map(|consent| json!({"state": consent.state, "example": consent.example, "valid_to_ms": consent.valid_to_ms})),
        "interval_s": row.plan.as_ref().map(|plan| plan.interval_s), "enrolled_at_ms": row.enrolled_at_ms,
        "last_received_ms": row.latest.as_ref().map(|latest| latest.received_at_ms), "last_taken_ms": row.latest.as_ref().map(|latest| latest.taken_at_ms),
        "preview": row.latest.as_ref().is_some_and(|latest| latest.is_preview),
    })
}

/// As last judged; but silence that is due counts although no collector runs that would have judged it.
fn presence(row: &MachineRow) -> &'static str {
    as_of(row, clock::now_ms()).name()
}

pub(super) fn show_row(row: &Value) {
    let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    let number = |key: &str| row.get(key).and_then(Value::as_u64).unwrap_or(0);
    let last = row.get("last_received_ms").and_then(Value::as_i64).map_or_else(|| "-".to_owned(), time::show);
    let mut notes = String::new();
    if row.get("forked").and_then(Value::as_bool) == Some(true) {
        notes.push_str("  FORKED");
    }
    if let Some(seq) = row.get("waiting_for").and_then(Value::as_u64) {
        notes.push_str(&format!("  WAITS for place {seq}"));
    }
    let name = format!("{}/{}", text("facility"), text("machine"));
    print(&format!("{name:<40} {:<8} {:<13} {:>8}  {last}{notes}\n", text("state"), text("presence"), number("reports")));
}

async fn show(store: &Store, keys: &Keys, row: &MachineRow, as_json: bool) -> Done {
    let transitions = store.transitions(&Scope::All, row.agent_id).await?;
    let sessions = store.sessions(&Scope::All, row.agent_id).await?;
    let findings: Vec<_> = store.findings(&Scope::All).await?.into_iter().filter(|finding| finding.agent_id == row.agent_id).collect();
    let history = transitions.iter().map(|row| {
        json!({"state": row.line.state, "from_ms": row.line.from_ms, "to_ms": row.line.to_ms, "because": row.line.because,
               "evidence": row.line.evidence, "recorded_at_ms": row.recorded_at_ms})
    });
    let sessions = sessions.iter().map(|row| json!({"boot_id": row.boot_id, "chain_id": row.chain_id, "from_seq": row.from_seq, "to_seq": row.to_seq}));
    let findings =
        findings.iter().map(|row| json!({"kind": row.kind.name(), "day": row.day, "count": row.count, "last_at_ms": row.last_at_ms, "seq": row.seq}));
    let whole = json!({
        "schema": "mimamori.machine/1", "machine": value(row), "root_fingerprint": keys.root.id().fingerprint(),
        "history": history.collect::<Vec<_>>(), "sessions": sessions.collect::<Vec<_>>(), "findings": findings.collect::<Vec<_>>(),
    });
    if as_json {
        print_json(&whole);
        return Ok(());
    }
    show_row(&value(row));
    print(&format!("  fingerprint {}\n", row.key_id.fingerprint()));
    for row in transitions.iter().take(20) {
        let until = row.line.to_ms.map_or_else(|| "…".to_owned(), time::show);
        print(&format!("  {} – {until}  {:<13} {} {}\n", time::show(row.line.from_ms), row.line.state.as_str(), row.line.because.as_str(), row.line.evidence));
    }
    for finding in whole.get("findings").and_then(Value::as_array).into_iter().flatten() {
        print(&format!("  finding {finding}\n"));
    }
    Ok(())
}
