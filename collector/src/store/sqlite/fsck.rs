//! Recomputes what is held from the payloads alone, and says what does not agree.
//!
//! One machine at a time, each in one consistent state, a page of rows in memory.

use super::cell::get;
use super::chain::{self, Chain, Stored};
use super::evidence::{self, At, Month};
use super::{machine, session};
use crate::store::error::StoreError;
use crate::store::rows::{EvidenceRow, SessionRow};
use crate::store::scope::Scope;
use mimamori_shared::chain::{Fit, Link, Tip};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{AgentId, BootId, ChainId, KeyId};
use mimamori_shared::payload::{Body, Entry};
use mimamori_shared::sign::{PublicKey, verify};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// Rows looked at at a time: at most 16 MiB.
const PAGE: u32 = 64;
/// Faults told of one machine.
const FAULTS_MAX: usize = 100;

/// The agents of the scope.
pub(in crate::store) fn agents(db: &Connection, scope: &Scope) -> Result<Vec<AgentId>, StoreError> {
    let mut statement = db.prepare_cached("SELECT agent FROM machine WHERE ?1 IS NULL OR facility = ?1 ORDER BY agent")?;
    let rows = statement.query_map([scope.facility()], |row| get(row, "agent"))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What does not agree about one agent; empty when all is well.
pub(in crate::store) fn agent(db: &Connection, agent: AgentId) -> Result<Vec<String>, StoreError> {
    let all = all_months(db)?;
    let mut check = Check { db, agent, keys: BTreeMap::new(), faults: evidence::strays(db, agent, &all)? };
    let mut statement = db.prepare_cached("SELECT chain FROM chain WHERE agent = ?1 ORDER BY epoch")?;
    let chains = statement.query_map([agent.0], |row| get::<ChainId>(row, "chain"))?.collect::<Result<Vec<_>, _>>()?;
    for (index, id) in chains.iter().enumerate() {
        let Some(chain) = chain::load(db, agent, *id)? else { continue };
        if u64::try_from(index + 1).ok() != Some(chain.epoch) {
            check.fault(*id, None, "the chains of the agent are not numbered without holes");
        }
        check.chain(&chain)?;
    }
    check.faults.truncate(FAULTS_MAX);
    Ok(check.faults)
}

fn all_months(db: &Connection) -> Result<Vec<Month>, StoreError> {
    evidence::months(db, Month::from_number(0), Month::from_number(i32::MAX))
}

struct Check<'a> {
    db: &'a Connection,
    agent: AgentId,
    keys: BTreeMap<KeyId, Option<PublicKey>>,
    faults: Vec<String>,
}

impl Check<'_> {
    fn fault(&mut self, chain: ChainId, at: Option<(u32, u64)>, what: &str) {
        if self.faults.len() < FAULTS_MAX {
            let place = at.map_or_else(String::new, |(branch, seq)| format!(" branch {branch} seq {seq}"));
            self.faults.push(format!("agent {} chain {chain}{place}: {what}", self.agent));
        }
    }

    fn chain(&mut self, chain: &Chain) -> Result<(), StoreError> {
        if chain.branches.is_empty() {
            self.fault(chain.id, None, "the chain has no branch");
        }
        if chain.branches.len() > 1 && !chain.forked {
            self.fault(chain.id, None, "the chain has branches but is not marked forked");
        }
        for stored in &chain.branches {
            self.branch(chain, stored)?;
        }
        Ok(())
    }

    fn branch(&mut self, chain: &Chain, stored: &Stored) -> Result<(), StoreError> {
        let no = stored.branch.no;
        let at = At { agent: self.agent, chain: chain.id, branch: no };
        let mut tip = stored.branch.base.map_or(Tip::EMPTY, |(seq, head)| Tip { next_seq: seq + 1, head });
        if let Some((seq, hash)) = stored.branch.base
            && !self.holds(chain, stored.parent, seq, hash)?
        {
            self.fault(chain.id, Some((no, seq)), "the place it leaves is not held");
        }
        let months = evidence::months(self.db, stored.first, stored.last)?;
        let (mut sessions, mut rows) = (BTreeMap::new(), 0);
        loop {
            let page = evidence::page(self.db, at, tip.next_seq, PAGE, &months)?;
            if page.is_empty() {
                break;
            }
            for row in page {
                let Some(next) = self.row(chain.id, tip, row, &mut sessions)? else { return Ok(()) };
                tip = next;
                rows += 1;
            }
        }
        if tip != stored.branch.tip {
            self.fault(chain.id, Some((no, tip.next_seq)), "the tip is not where the entries end");
        }
        if evidence::count(self.db, at, &all_months(self.db)?)? != rows {
            self.fault(chain.id, Some((no, 0)), "there are rows that are not of the branch, or twice");
        }
        self.sessions(at, &sessions)
    }

    /// One row on the tip before it: the tip after it, or `None` when nothing behind it can be checked.
    fn row(&mut self, chain: ChainId, tip: Tip, row: EvidenceRow, sessions: &mut BTreeMap<BootId, SessionRow>) -> Result<Option<Tip>, StoreError> {
        let place = Some((row.branch, row.seq));
        let Some(key) = self.key(row.key_id)? else {
            self.fault(chain, place, "its key is not known");
            return Ok(None);
        };
        let frame = Frame { payload: row.payload, key_id: row.key_id, signature: row.signature };
        let verified = match verify(frame, &key) {
            Ok(verified) => verified,
            Err(fault) => {
                self.fault(chain, place, &fault.to_string());
                return Ok(None);
            }
        };
        let entry = match Entry::read(&verified) {
            Ok(entry) => entry,
            Err(fault) => {
                self.fault(chain, place, &fault.to_string());
                return Ok(None);
            }
        };
        let link = Link::of(&entry, verified.hash());
        let same = (verified.hash(), verified.kind(), link.seq, link.last_seq, link.tip_hash, entry.head.taken_at_ms)
            == (row.hash, row.kind, row.seq, row.last_seq, row.tip_hash, row.taken_at_ms);
        if !same || entry.head.agent_id != self.agent || entry.head.chain_id != chain {
            self.fault(chain, place, "the columns are not what the payload says");
        }
        let Fit::Extends(next) = tip.fit(&link) else {
            self.fault(chain, place, "it does not follow the entry before it");
            return Ok(None);
        };
        if !matches!(entry.body, Body::Loss(_)) {
            let boot = session::boot_of(sessions, entry.head.boot_id, row.received_at_ms);
            let session = sessions.remove(&boot);
            sessions.insert(boot, session::extend(session, (row.branch, boot), &entry.head, row.received_at_ms));
        }
        Ok(Some(next))
    }

    fn sessions(&mut self, at: At, sessions: &BTreeMap<BootId, SessionRow>) -> Result<(), StoreError> {
        for (boot, session) in sessions {
            if session::find(self.db, at, *boot)?.as_ref() != Some(session) {
                self.fault(at.chain, Some((at.branch, session.from_seq)), &format!("the session of boot {boot} is not what the entries say"));
            }
        }
        let mut statement = self.db.prepare_cached("SELECT count(*) FROM session WHERE agent = ?1 AND chain = ?2 AND branch = ?3")?;
        let held: usize = statement.query_row(params![at.agent.0, at.chain.0, at.branch], |row| row.get::<_, u32>(0).map(|n| n as usize))?;
        if held != sessions.len() {
            self.fault(at.chain, Some((at.branch, 0)), "there are sessions without entries");
        }
        Ok(())
    }

    /// Whether a branch or one it left holds `hash` at `seq`.
    fn holds(&self, chain: &Chain, branch: Option<u32>, seq: u64, hash: mimamori_shared::id::Hash) -> Result<bool, StoreError> {
        let mut branch = branch;
        // A branch leaves one with a lower number, so this ends.
        while let Some(stored) = branch.and_then(|no| chain.branches.iter().find(|stored| stored.branch.no == no)) {
            if stored.branch.base == Some((seq, hash)) {
                return Ok(true);
            }
            let months = evidence::months(self.db, stored.first, stored.last)?;
            let at = At { agent: self.agent, chain: chain.id, branch: stored.branch.no };
            if let Some(held) = evidence::covering(self.db, at, seq, &months)? {
                return Ok(held.last_seq == seq && held.tip_hash == hash);
            }
            branch = stored.parent.filter(|parent| *parent < stored.branch.no);
        }
        Ok(false)
    }

    fn key(&mut self, id: KeyId) -> Result<Option<PublicKey>, StoreError> {
        if let Some(key) = self.keys.get(&id) {
            return Ok(*key);
        }
        let found = machine::key(self.db, id)?.filter(|key| key.agent_id == self.agent);
        let key = found.and_then(|key| PublicKey::from_bytes(&key.public_key).ok());
        self.keys.insert(id, key);
        Ok(key)
    }
}
