//! Chains and their branches.

use super::cell::{get, maybe, named, place};
use super::evidence::Month;
use super::machine;
use crate::store::accept::Branch;
use crate::store::error::StoreError;
use crate::store::named::ChainReason;
use crate::store::rows::{BranchRow, ChainRow, Waiting};
use crate::store::scope::Scope;
use mimamori_shared::chain::Tip;
use mimamori_shared::id::{AgentId, BootId, ChainId, Hash, KeyId};
use mimamori_shared::limits::CHAINS_WINDOW_S;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A chain as the decision needs it.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) id: ChainId,
    pub(super) epoch: u64,
    pub(super) forked: bool,
    pub(super) waiting: bool,
    pub(super) branches: Vec<Stored>,
}

/// A branch with what the decision does not need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) branch: Branch,
    pub(super) parent: Option<u32>,
    pub(super) boot: Option<BootId>,
    pub(super) first: Month,
    pub(super) last: Month,
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let base = maybe::<u64>(row, "base_seq")?.zip(maybe::<Hash>(row, "base_hash")?);
    let tip = Tip { next_seq: get(row, "next_seq")?, head: get(row, "head")? };
    Ok(Stored {
        branch: Branch { no: row.get("branch")?, base, tip },
        parent: row.get("parent")?,
        boot: maybe(row, "boot")?,
        first: Month::from_number(row.get("first_month")?),
        last: Month::from_number(row.get("last_month")?),
    })
}

pub(super) fn branches(db: &Connection, agent: AgentId, chain: ChainId) -> Result<Vec<Stored>, StoreError> {
    let mut statement = db.prepare_cached("SELECT * FROM branch WHERE agent = ?1 AND chain = ?2 ORDER BY branch")?;
    let rows = statement.query_map(params![agent.0, chain.0], stored)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn load(db: &Connection, agent: AgentId, chain: ChainId) -> Result<Option<Chain>, StoreError> {
    let mut statement = db.prepare_cached("SELECT epoch, forked, waiting_for_seq FROM chain WHERE agent = ?1 AND chain = ?2")?;
    let found = statement.query_row(params![agent.0, chain.0], |row| {
        let waiting = row.get::<_, Option<i64>>("waiting_for_seq")?.is_some();
        Ok(Chain { id: chain, epoch: get(row, "epoch")?, forked: row.get("forked")?, waiting, branches: Vec::new() })
    });
    let Some(mut found) = found.optional()? else { return Ok(None) };
    found.branches = branches(db, agent, chain)?;
    Ok(Some(found))
}

/// Makes the chain, numbered after the agent's others.
/// `proven` is the key that an earlier one handed over to by the statement this chain goes on from.
pub(super) fn open(db: &Connection, agent: AgentId, chain: ChainId, (reason, proven): (ChainReason, Option<KeyId>), now_ms: i64) -> Result<Chain, StoreError> {
    let epoch = newest(db, agent)?.map_or(0, |newest| newest.epoch) + 1;
    db.prepare_cached("INSERT INTO chain (agent, chain, epoch, reason, opened_at_ms, forked, proven, proven_key) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)")?
        .execute(params![agent.0, chain.0, place(epoch)?, reason.name(), now_ms, proven.is_some(), proven.map(|key| key.0)])?;
    Ok(Chain { id: chain, epoch, forked: false, waiting: false, branches: Vec::new() })
}

/// The newest chain of an agent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newest {
    pub(super) chain: ChainId,
    pub(super) epoch: u64,
    pub(super) opened_at_ms: i64,
}

pub(super) fn newest(db: &Connection, agent: AgentId) -> Result<Option<Newest>, StoreError> {
    let mut statement = db.prepare_cached("SELECT chain, epoch, opened_at_ms FROM chain WHERE agent = ?1 ORDER BY epoch DESC LIMIT 1")?;
    let found =
        statement.query_row([agent.0], |row| Ok(Newest { chain: get(row, "chain")?, epoch: get(row, "epoch")?, opened_at_ms: row.get("opened_at_ms")? }));
    Ok(found.optional()?)
}

/// Chains beyond the first that the agent opened in the window and nobody approved since.
pub(super) fn unapproved(db: &Connection, agent: AgentId, now_ms: i64) -> Result<u32, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT count(*) FROM chain c JOIN machine m ON m.agent = c.agent
         WHERE c.agent = ?1 AND c.epoch > 1 AND c.proven = 0 AND c.opened_at_ms > ?2 AND c.opened_at_ms > coalesce(m.chains_approved_at_ms, ?2)",
    )?;
    Ok(statement.query_row(params![agent.0, now_ms.saturating_sub(CHAINS_WINDOW_S * 1000)], |row| row.get(0))?)
}

pub(super) fn mark_forked(db: &Connection, agent: AgentId, chain: ChainId) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE chain SET forked = 1 WHERE agent = ?1 AND chain = ?2")?.execute(params![agent.0, chain.0])?;
    Ok(())
}

/// Remembers what is waited for, or that nothing is. The time stays while the place stays.
pub(super) fn wait(db: &Connection, agent: AgentId, chain: ChainId, waiting: Option<Waiting>) -> Result<(), StoreError> {
    let (seq, since) = waiting.map(|waiting| (waiting.for_seq, waiting.since_ms)).unzip();
    let seq = seq.map(place).transpose()?;
    db.prepare_cached(
        "UPDATE chain SET waiting_for_seq = ?3, waiting_since_ms = ?4
         WHERE agent = ?1 AND chain = ?2 AND waiting_for_seq IS NOT ?3",
    )?
    .execute(params![agent.0, chain.0, seq, since])?;
    Ok(())
}

pub(super) fn save(db: &Connection, agent: AgentId, chain: ChainId, stored: &Stored) -> Result<(), StoreError> {
    let base = stored.branch.base;
    db.prepare_cached(
        "INSERT INTO branch (agent, chain, branch, parent, base_seq, base_hash, next_seq, head, boot, first_month, last_month)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (agent, chain, branch) DO UPDATE SET next_seq = excluded.next_seq, head = excluded.head,
            boot = excluded.boot, first_month = excluded.first_month, last_month = excluded.last_month",
    )?
    .execute(params![
        agent.0,
        chain.0,
        stored.branch.no,
        stored.parent,
        base.map(|(seq, _)| place(seq)).transpose()?,
        base.map(|(_, hash)| hash.0),
        place(stored.branch.tip.next_seq)?,
        stored.branch.tip.head.0,
        stored.boot.map(|boot| boot.0),
        stored.first.number(),
        stored.last.number()
    ])?;
    Ok(())
}

/// Reads a chain joined with its branch 0; `row` has the columns of [`COLUMNS`].
pub(super) fn shown(row: &Row<'_>) -> rusqlite::Result<ChainRow> {
    let waiting = maybe(row, "waiting_for_seq")?.zip(row.get::<_, Option<i64>>("waiting_since_ms")?);
    Ok(ChainRow {
        chain_id: get(row, "chain_id")?,
        epoch: get(row, "epoch")?,
        reason: named(row, "reason", ChainReason::of)?,
        opened_at_ms: row.get("opened_at_ms")?,
        forked: row.get("forked")?,
        next_seq: get(row, "next_seq")?,
        head: get(row, "head")?,
        branches: row.get("branches")?,
        waiting: waiting.map(|(for_seq, since_ms)| Waiting { for_seq, since_ms }),
    })
}

/// What [`shown`] reads, of `chain c` joined with `branch b`.
pub(super) const COLUMNS: &str = "c.chain AS chain_id, c.epoch, c.reason, c.opened_at_ms, c.forked, c.waiting_for_seq, c.waiting_since_ms,
    b.next_seq, b.head, (SELECT count(*) FROM branch n WHERE n.agent = c.agent AND n.chain = c.chain) AS branches";

pub(in crate::store) fn list(db: &Connection, scope: &Scope, agent: AgentId) -> Result<Vec<ChainRow>, StoreError> {
    machine::need_agent(db, scope, agent)?;
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM chain c JOIN branch b ON b.agent = c.agent AND b.chain = c.chain AND b.branch = 0
         WHERE c.agent = ?1 ORDER BY c.epoch"
    ))?;
    let rows = statement.query_map([agent.0], shown)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(in crate::store) fn list_branches(db: &Connection, scope: &Scope, agent: AgentId, chain: ChainId) -> Result<Vec<BranchRow>, StoreError> {
    machine::need_agent(db, scope, agent)?;
    let row = |stored: Stored| BranchRow { branch: stored.branch.no, base: stored.branch.base.map(|(seq, _)| seq), next_seq: stored.branch.tip.next_seq };
    Ok(branches(db, agent, chain)?.into_iter().map(row).collect())
}
