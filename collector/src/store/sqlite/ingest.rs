//! One request inside the group's transaction: `accept` decides, this keeps.

mod hearsay;

use super::chain::{self, Chain, Newest, Stored};
use super::evidence::{self, At, Month};
use super::finding::{self, Seen};
use super::handover::{self, Came, Closing, HandOver};
use super::{abuse, latest, machine, presence, session, standing, stated};
use crate::store::accept::{Action, Branch, Held, decide};
use crate::store::error::StoreError;
use crate::store::ingest::{Answered, Heard, IngestBatch, ReceiptFields, Taken};
use crate::store::named::{ChainReason, FindingKind, KeyState, MachineState};
use crate::store::rows::{SessionRow, Waiting};
use mimamori_domain::wall::is_after;
use mimamori_shared::chain::{Fit, Link, Tip};
use mimamori_shared::id::{AgentId, BootId, ChainId, Hash};
use mimamori_shared::limits::NEW_CHAINS_MAX;
use mimamori_shared::payload::{Body, Entry, OpenReason, Place, ReceiptStatus, RefusalReason, Statement};
use mimamori_shared::sign::Verified;
use rusqlite::Connection;

/// What one entry came to.
enum Step {
    Held { branch: u32, held: Held },
    Refused(RefusalReason),
}

struct Ingest<'a> {
    db: &'a Connection,
    batch: &'a IngestBatch,
    agent: AgentId,
    id: ChainId,
    chain: Option<Chain>,
    newest: Option<Newest>,
    /// What ends this key or this chain.
    closings: Vec<Closing>,
    near: Option<u32>,
    /// Entries and bytes that were stored.
    stored: (u64, u64),
    heard: Heard,
    /// The reports that were kept on branch 0, with the sections they tell of.
    reports: Vec<(i64, &'a (Verified, Entry))>,
}

pub(in crate::store) fn run(db: &Connection, batch: &IngestBatch) -> Result<Taken, StoreError> {
    let plainly = |answered| Ok(Taken { answered, heard: Heard::default() });
    let Some((first, entry)) = batch.entries.first().or(batch.preview.as_ref()) else {
        return plainly(Answered::NothingToSay);
    };
    let (chain_id, in_reply_to) = (entry.head.chain_id, first.hash());
    let all = batch.entries.iter().chain(&batch.preview);
    if all.clone().any(|(_, entry)| entry.head.agent_id != batch.agent_id || entry.head.chain_id != chain_id || entry.head.key_id != batch.key_id) {
        return Err(StoreError::Invalid("a request is of one agent, one key and one chain"));
    }
    let refusal = |reason| Answered::Refusal { reason, chain_id, in_reply_to };
    let key = machine::key(db, batch.key_id)?.filter(|key| key.agent_id == batch.agent_id).ok_or(StoreError::NotFound("key"))?;
    match (key.state, key.machine) {
        (KeyState::Revoked, _) | (_, MachineState::Revoked | MachineState::Retired) => return plainly(refusal(RefusalReason::Revoked)),
        (KeyState::Active, MachineState::Pending) => return plainly(Answered::Pending),
        (KeyState::Active, MachineState::Active) => {}
    }
    if abuse::used_today(db, batch.agent_id, batch.received_at_ms)? >= batch.day_bytes_max {
        let seen = Seen { kind: FindingKind::BudgetExceeded, chain: chain_id, seq: entry.head.seq, detail: "refused" };
        finding::add(db, batch.agent_id, seen, batch.received_at_ms)?;
        return plainly(Answered::OverBudget);
    }
    evidence::make(db, Month::of(batch.received_at_ms))?;
    let mut ingest = Ingest {
        db,
        batch,
        agent: batch.agent_id,
        id: chain_id,
        chain: chain::load(db, batch.agent_id, chain_id)?,
        newest: chain::newest(db, batch.agent_id)?,
        closings: handover::closings(db, batch.agent_id, batch.key_id, chain_id)?,
        near: None,
        stored: (0, 0),
        heard: Heard::default(),
        reports: Vec::new(),
    };
    ingest.hear(entry.head.seq)?;
    let mut last = None;
    for pair in &batch.entries {
        let step = ingest.take(pair)?;
        let refused = matches!(step, Step::Refused(_));
        last = Some(step);
        if refused {
            break;
        }
    }
    ingest.finish()?;
    let answered = match last {
        None => Answered::NothingToSay,
        Some(Step::Refused(reason)) => refusal(reason),
        Some(Step::Held { branch, held }) => match ingest.inside_a_loss(branch, &held)? {
            Some(reason) => refusal(reason),
            None => Answered::Receipt(ingest.receipt(branch, &held)?),
        },
    };
    Ok(Taken { answered, heard: ingest.heard })
}

impl<'a> Ingest<'a> {
    fn at(&self, branch: u32) -> At {
        At { agent: self.agent, chain: self.id, branch }
    }

    fn receipt(&self, branch: u32, held: &Held) -> Result<ReceiptFields, StoreError> {
        let forked = finding::two_voices(self.db, self.agent)?;
        Ok(ReceiptFields {
            agent_id: self.agent,
            chain_id: self.id,
            branch,
            seq: held.last_seq,
            head_hash: held.tip_hash,
            received_at_ms: held.received_at_ms,
            status: if forked { ReceiptStatus::Forked } else { ReceiptStatus::Ok },
        })
    }

    /// What was sent last lies inside a loss record that is held: nothing of it is kept, and a receipt for the end of that
    /// record would be for what was never sent. An older image of the machine, or another holder of its key, spoke.
    fn inside_a_loss(&mut self, branch: u32, held: &Held) -> Result<Option<RefusalReason>, StoreError> {
        let Some((verified, entry)) = self.batch.entries.last() else { return Ok(None) };
        let link = Link::of(entry, verified.hash());
        if (held.last_seq, held.tip_hash) == (link.last_seq, link.tip_hash) {
            return Ok(None);
        }
        self.heard.other_content += 1;
        self.found(FindingKind::Diverged, link.seq, "inside_loss")?;
        self.mark_forked(self.id)?;
        let stored = self.chain.iter().flat_map(|chain| &chain.branches).find(|stored| stored.branch.no == branch);
        let tip = stored.map_or(Tip::EMPTY, |stored| stored.branch.tip);
        Ok(Some(RefusalReason::Behind { next_seq: tip.next_seq, head_hash: tip.head }))
    }

    fn found(&self, kind: FindingKind, seq: u64, detail: &str) -> Result<(), StoreError> {
        finding::add(self.db, self.agent, Seen { kind, chain: self.id, seq, detail }, self.batch.received_at_ms)
    }

    fn take(&mut self, pair: &'a (Verified, Entry)) -> Result<Step, StoreError> {
        let (verified, entry) = pair;
        let link = Link::of(entry, verified.hash());
        let chain = match self.chain.take() {
            Some(chain) => chain,
            None if self.is_closed(&link, verified.hash()) => return self.old_key(&link),
            None => match self.open(entry, &link)? {
                Ok(chain) => chain,
                Err(reason) => {
                    self.vouch(pair)?;
                    return Ok(Step::Refused(reason));
                }
            },
        };
        let chain = self.chain.insert(chain);
        let (db, agent, id) = (self.db, self.agent, self.id);
        let branches: Vec<Branch> = chain.branches.iter().map(|stored| stored.branch).collect();
        let rows = &chain.branches;
        let action = if branches.is_empty() {
            let Fit::Extends(tip) = Tip::EMPTY.fit(&link) else { return Err(StoreError::Invalid("a new chain begins at its beginning")) };
            Action::Extend { branch: 0, tip }
        } else {
            decide(&branches, self.near, &link, verified.hash(), |branch, seq| held(db, At { agent, chain: id, branch }, rows, seq))?
        };
        if !matches!(action, Action::Replay { .. }) && self.is_closed(&link, verified.hash()) {
            return self.old_key(&link);
        }
        match action {
            Action::Extend { branch, tip } => self.extend(pair, &link, branch, tip),
            Action::Replay { branch, held } => {
                self.heard.replays += 1;
                self.near = Some(branch);
                // A new key that was refused while two spoke is taken when it is named again and an operator chose it.
                if branches.iter().any(|other| other.no == branch && other.tip.next_seq == link.last_seq.saturating_add(1)) {
                    self.hand_over(pair, branch, (true, true))?;
                }
                Ok(Step::Held { branch, held })
            }
            Action::Fork { branch, parent } => self.fork(pair, &link, branch, parent),
            Action::Behind { tip } => {
                self.vouch(pair)?;
                self.behind(tip)
            }
            Action::TooManyBranches => {
                self.heard.other_content += 1;
                self.found(FindingKind::TooManyBranches, link.seq, "refused")?;
                Ok(Step::Refused(RefusalReason::TooManyBranches))
            }
        }
    }

    /// Opens a chain that was never heard of, or says why not.
    fn open(&mut self, entry: &Entry, link: &Link) -> Result<Result<Chain, RefusalReason>, StoreError> {
        let in_range = link.last_seq < crate::store::accept::SEQ_END;
        if !in_range || !matches!(Tip::EMPTY.fit(link), Fit::Extends(_)) {
            return Ok(Err(RefusalReason::Behind { next_seq: 0, head_hash: Hash::ZERO }));
        }
        let now_ms = self.batch.received_at_ms;
        let proven = match &entry.body {
            Body::Statement(Statement::Open { reason: OpenReason::Rotated, previous: Some(previous) }) => {
                handover::proves(self.db, self.agent, entry.head.key_id, *previous)?
            }
            _ => false,
        };
        if self.newest.is_some() && !proven && chain::unapproved(self.db, self.agent, now_ms)? >= NEW_CHAINS_MAX {
            self.found(FindingKind::TooManyChains, link.seq, "refused")?;
            return Ok(Err(RefusalReason::TooManyChains));
        }
        let reason = match &entry.body {
            Body::Statement(Statement::Open { reason, .. }) => match reason {
                OpenReason::Enrolled => ChainReason::Enrolled,
                OpenReason::Restored => ChainReason::Restored,
                OpenReason::StateLost => ChainReason::StateLost,
                OpenReason::Rotated => ChainReason::Rotated,
            },
            Body::Loss(_) => ChainReason::Unsaid,
            Body::Report(_) | Body::Statement(_) | Body::Unusable(_) => {
                self.found(FindingKind::ChainWithoutOpen, link.seq, "no_open")?;
                ChainReason::Unsaid
            }
        };
        let chain = chain::open(self.db, self.agent, self.id, (reason, proven.then_some(entry.head.key_id)), now_ms)?;
        self.newest = Some(Newest { chain: self.id, epoch: chain.epoch, opened_at_ms: now_ms });
        Ok(Ok(chain))
    }

    fn extend(&mut self, pair: &'a (Verified, Entry), link: &Link, branch: u32, tip: Tip) -> Result<Step, StoreError> {
        let known = self.chain.iter().flat_map(|chain| &chain.branches).find(|stored| stored.branch.no == branch).copied();
        let month = Month::of(self.batch.received_at_ms);
        let fresh = Stored { branch: Branch { no: branch, base: None, tip }, parent: None, boot: None, first: month, last: month };
        let mut stored = known.unwrap_or(fresh);
        stored.branch.tip = tip;
        self.keep(pair, link, stored)
    }

    fn fork(&mut self, pair: &'a (Verified, Entry), link: &Link, branch: Branch, parent: u32) -> Result<Step, StoreError> {
        let month = Month::of(self.batch.received_at_ms);
        self.heard.other_content += 1;
        self.found(FindingKind::Diverged, link.seq, "new_branch")?;
        self.mark_forked(self.id)?;
        self.keep(pair, link, Stored { branch, parent: Some(parent), boot: None, first: month, last: month })?;
        let ancestor = branch.base.map(|(seq, hash)| Place { chain_id: self.id, seq, hash });
        Ok(Step::Refused(RefusalReason::Diverged { ancestor, branch: branch.no, seq: link.last_seq, head_hash: link.tip_hash }))
    }

    fn behind(&mut self, tip: Tip) -> Result<Step, StoreError> {
        let waiting = Waiting { for_seq: tip.next_seq, since_ms: self.batch.received_at_ms };
        chain::wait(self.db, self.agent, self.id, Some(waiting))?;
        if let Some(chain) = &mut self.chain {
            chain.waiting = true;
        }
        Ok(Step::Refused(RefusalReason::Behind { next_seq: tip.next_seq, head_hash: tip.head }))
    }

    /// Keeps an entry on a branch whose tip is moved already.
    fn keep(&mut self, pair: &'a (Verified, Entry), link: &Link, mut stored: Stored) -> Result<Step, StoreError> {
        let (verified, entry) = pair;
        let now_ms = self.batch.received_at_ms;
        let at = self.at(stored.branch.no);
        evidence::add(self.db, at, verified, link, entry.head.taken_at_ms, now_ms)?;
        let month = Month::of(now_ms);
        stored.first = stored.first.min(month);
        stored.last = stored.last.max(month);
        let before = self.follow(entry, at, &mut stored)?;
        chain::save(self.db, self.agent, self.id, &stored)?;
        if let Some(chain) = &mut self.chain {
            chain.branches.retain(|other| other.branch.no != stored.branch.no);
            chain.branches.push(stored);
            chain.branches.sort_by_key(|stored| stored.branch.no);
            if std::mem::take(&mut chain.waiting) {
                chain::wait(self.db, self.agent, self.id, None)?;
            }
        }
        self.notice(entry, link.seq, before)?;
        self.hand_over(pair, at.branch, (true, false))?;
        if at.branch == 0 {
            self.state(pair, at)?;
        }
        self.near = Some(at.branch);
        self.stored.0 += 1;
        self.stored.1 = self.stored.1.saturating_add(verified.payload().len() as u64);
        let held = Held { seq: link.seq, last_seq: link.last_seq, hash: verified.hash(), tip_hash: link.tip_hash, received_at_ms: now_ms };
        Ok(Step::Held { branch: at.branch, held })
    }

    fn is_closed(&self, link: &Link, hash: Hash) -> bool {
        self.closings.iter().any(|closing| !closing.leaves_room(self.batch.key_id, self.id, link, hash))
    }

    /// A key that has handed over, or what would stand behind the end of a chain: nothing of it is kept.
    fn old_key(&self, link: &Link) -> Result<Step, StoreError> {
        self.found(FindingKind::OldKeySpoke, link.seq, "refused")?;
        Ok(Step::Refused(RefusalReason::Revoked))
    }

    /// A statement that comes ahead of its place vouches for the new key all the same: a collector that was restored
    /// to a time before it could not believe the entries of that key otherwise, whatever is missing between.
    fn vouch(&mut self, pair: &(Verified, Entry)) -> Result<(), StoreError> {
        self.hand_over(pair, 0, (false, false))
    }

    fn hand_over(&mut self, (verified, entry): &(Verified, Entry), branch: u32, (held, again): (bool, bool)) -> Result<(), StoreError> {
        let Body::Statement(Statement::Key { public_key, proof }) = &entry.body else { return Ok(()) };
        let came = Came { branch, held, again, two_voices: finding::two_voices(self.db, self.agent)?, now_ms: self.batch.received_at_ms };
        match handover::hand_over(self.db, &entry.head, verified.hash(), (public_key, proof), came)? {
            HandOver::Done(closing) => self.close(closing),
            HandOver::Vouched(closing) => {
                self.close(closing);
                self.found(FindingKind::KeyVouched, entry.head.seq, "ahead")?;
            }
            HandOver::Refused(why) => self.found(FindingKind::NewKeyRefused, entry.head.seq, why)?,
        }
        Ok(())
    }

    fn close(&mut self, closing: Closing) {
        self.closings.retain(|other| other.key_id != closing.key_id);
        self.closings.push(closing);
    }

    /// Sessions and boots; gives the session as it was. A loss carries the boot that wrote it down, not the one that it
    /// tells of.
    fn follow(&mut self, entry: &Entry, at: At, stored: &mut Stored) -> Result<Option<SessionRow>, StoreError> {
        if matches!(entry.body, Body::Loss(_)) {
            return Ok(None);
        }
        let (mut boot, now_ms) = (entry.head.boot_id, self.batch.received_at_ms);
        let mut known = session::find(self.db, at, boot)?;
        if known.is_some() && stored.boot != Some(boot) {
            self.found(FindingKind::BootsInterleaved, entry.head.seq, "boot_came_back")?;
            self.mark_forked(self.id)?;
        }
        stored.boot = Some(boot);
        if known.is_none() && session::begun(self.db, at, now_ms)? >= session::BOOTS_PER_DAY_MAX {
            self.found(FindingKind::BootsTooMany, entry.head.seq, "folded")?;
            boot = BootId::ZERO;
            known = session::find(self.db, at, boot)?;
        }
        session::save(self.db, self.agent, &session::extend(known.clone(), (at.branch, boot), &entry.head, now_ms))?;
        Ok(known.filter(|_| boot == entry.head.boot_id))
    }

    fn notice(&mut self, entry: &Entry, seq: u64, before: Option<SessionRow>) -> Result<(), StoreError> {
        for noted in self.batch.noted.iter().filter(|noted| noted.seq == seq) {
            self.found(noted.kind, seq, noted.detail.as_str())?;
        }
        if matches!(entry.body, Body::Unusable(_)) {
            self.found(FindingKind::BodyUnusable, seq, "kept")?;
        }
        let epoch = self.chain.as_ref().map_or(0, |chain| chain.epoch);
        let this = (entry.head.boottime_ms, self.batch.received_at_ms);
        let before = before.map(|known| [(known.boottime_from_ms, known.received_from_ms), (known.boottime_to_ms, known.received_to_ms)]);
        let after = |at_ms: i64| is_after(at_ms, before, this, entry.head.taken_at_ms);
        let newer = self.newest.filter(|newest| epoch < newest.epoch && after(newest.opened_at_ms));
        if let (Some(newer), Body::Report(_)) = (newer, &entry.body) {
            self.found(FindingKind::OldChainSpoke, seq, "after_newer")?;
            self.mark_forked(self.id)?;
            chain::mark_forked(self.db, self.agent, newer.chain)?;
        }
        Ok(())
    }

    /// What the first branch says about the machine; other branches are not believed.
    fn state(&mut self, pair: &'a (Verified, Entry), at: At) -> Result<(), StoreError> {
        let (_, entry) = pair;
        let epoch = self.chain.as_ref().map_or(0, |chain| chain.epoch);
        let when = stated::When { epoch, seq: entry.head.seq, now_ms: self.batch.received_at_ms };
        match &entry.body {
            Body::Report(report) => {
                if standing::settle(self.db, self.agent, &when, &report.findings)? {
                    self.found(FindingKind::StandingTooMany, entry.head.seq, "let_go")?;
                }
                self.reports.push((latest::shape(report), pair));
            }
            Body::Statement(statement) => {
                standing::end(self.db, self.agent, &when, statement)?;
                stated::state(self.db, at, when, statement)?;
            }
            Body::Loss(_) | Body::Unusable(_) => {}
        }
        Ok(())
    }

    fn mark_forked(&mut self, id: ChainId) -> Result<(), StoreError> {
        if let Some(chain) = &mut self.chain {
            chain.forked = true;
        }
        chain::mark_forked(self.db, self.agent, id)
    }

    /// Latest state and the mark for those who look at it.
    fn finish(&mut self) -> Result<(), StoreError> {
        let Some(epoch) = self.chain.as_ref().map(|chain| chain.epoch) else { return Ok(()) };
        let new = |shape: i64, pair: &'a (Verified, Entry)| latest::New {
            shape,
            epoch,
            seq: pair.1.head.seq,
            taken_at_ms: pair.1.head.taken_at_ms,
            received_at_ms: self.batch.received_at_ms,
            payload: pair.0.payload(),
        };
        // The last one, and of those before it what they alone tell of.
        let mut told: Option<i64> = None;
        let mut settled = Vec::new();
        for (shape, pair) in self.reports.iter().rev() {
            if told.is_none_or(|told| shape & !told != 0) {
                told = Some(told.unwrap_or(0) | shape);
                settled.push(new(*shape, pair));
            }
        }
        for one in settled.into_iter().rev() {
            latest::settle(self.db, self.at(0), one)?;
        }
        let mut seen = false;
        if let Some(pair) = &self.batch.preview
            && let Body::Report(report) = &pair.1.body
            && self.believes(&pair.1)?
        {
            seen = latest::preview(self.db, self.at(0), new(latest::shape(report), pair))?;
        }
        if self.stored.0 > 0 {
            abuse::use_today(self.db, self.agent, self.stored, self.batch.received_at_ms)?;
        }
        if self.stored.0 > 0 || seen {
            presence::mark(self.db, self.agent, self.batch.received_at_ms)?;
        }
        Ok(())
    }
}

fn held(db: &Connection, at: At, branches: &[Stored], seq: u64) -> Result<Option<Held>, StoreError> {
    let Some(stored) = branches.iter().find(|stored| stored.branch.no == at.branch) else { return Ok(None) };
    evidence::covering(db, at, seq, &evidence::months(db, stored.first, stored.last)?)
}
