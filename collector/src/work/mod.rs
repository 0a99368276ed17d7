//! What the collector does by itself: loads, lets the domain decide, saves. Nothing is decided here.

pub(crate) mod memory;
mod presence;
mod security;

pub use security::Security;

pub(crate) use presence::as_of;

use crate::clock;
use crate::ingest::Tally;
use crate::store::{Actor, ActorKind, Scope, Store, StoreError, Who};
use mimamori_domain::abuse::Abuse;
use mimamori_shared::id::AgentId;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;

/// How often news is looked for.
const EVERY: Duration = Duration::from_millis(500);
/// How often the month's tables are made ahead.
const MONTHS_EVERY_MS: i64 = 3_600_000;
/// How often consents that end soon are looked for, in milliseconds.
const EXPIRY_EVERY_MS: i64 = 10_000;
/// Machines judged in one round.
const ROUND_MAX: u32 = 512;

/// Works until `shutdown` turns true.
pub async fn run(store: Store, mut security: Security, mut shutdown: watch::Receiver<bool>) {
    let actor = actor();
    let mut months_at = i64::MIN;
    let mut expiry_at = i64::MIN;
    loop {
        let now_ms = clock::now_ms();
        security.tend(&store, &actor, now_ms).await;
        if now_ms >= months_at {
            match store.make_months(now_ms).await {
                Ok(()) => months_at = now_ms.saturating_add(MONTHS_EVERY_MS),
                Err(fault) => complain("next month's tables were not made", &fault),
            }
        }
        if now_ms >= expiry_at {
            match store.note_expiring_consents(&Scope::All, &actor, now_ms, ROUND_MAX).await {
                Ok(_) => expiry_at = now_ms.saturating_add(EXPIRY_EVERY_MS),
                Err(fault) => complain("consents that end soon were not noted", &fault),
            }
        }
        if let Err(fault) = round(&store, &security.tally, now_ms).await {
            complain("presence was not judged", &fault);
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = shutdown.wait_for(|stop| *stop) => break,
        }
    }
    if let Err(fault) = security.write(&store, &actor, clock::now_ms()).await {
        complain("counters of abuse are lost", &fault);
    }
}

fn actor() -> Actor {
    Actor { kind: ActorKind::System, name: "work".parse().unwrap_or_default() }
}

/// One round: machines with news, and machines whose silence is due.
///
/// # Errors
/// When the database failed.
pub async fn round(store: &Store, tally: &Tally, now_ms: i64) -> Result<(), StoreError> {
    let actor = actor();
    let mut done = BTreeSet::new();
    for dirty in store.dirty_machines(&Scope::All, ROUND_MAX).await? {
        done.insert(dirty.agent_id);
        judge(store, tally, &actor, dirty.agent_id, Some(dirty.mark), now_ms).await;
    }
    for agent in store.due_machines(&Scope::All, now_ms, ROUND_MAX).await? {
        if done.insert(agent) {
            judge(store, tally, &actor, agent, None, now_ms).await;
        }
    }
    Ok(())
}

/// What fails for one machine does not keep the others waiting.
async fn judge(store: &Store, tally: &Tally, actor: &Actor, agent: AgentId, mark: Option<i64>, now_ms: i64) {
    match presence::judge(store, actor, agent, mark, now_ms).await {
        Ok(off) => tally.note(Abuse::Clock, Who::Agent(agent), off, now_ms),
        Err(fault) => complain(&format!("presence of agent {agent} was not judged"), &fault),
    }
}

fn complain(what: &str, fault: &StoreError) {
    eprintln!("<3>{what}: {}", mimamori_shared::error::chain(fault));
}
