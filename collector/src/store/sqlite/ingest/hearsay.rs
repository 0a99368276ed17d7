//! What is taken of a request beside the entries that are kept: where it came from, and a preview that nobody vouches for
//! yet.

use super::{Ingest, abuse, finding};
use crate::store::error::StoreError;
use crate::store::named::FindingKind;
use mimamori_domain::source::Change;
use mimamori_shared::payload::Entry;

impl Ingest<'_> {
    /// Where the request came from.
    pub(super) fn hear(&mut self, seq: u64) -> Result<(), StoreError> {
        let Some(source) = &self.batch.source else { return Ok(()) };
        let change = abuse::heard_from(self.db, self.agent, source, self.batch.received_at_ms)?;
        self.heard.moved = change != Change::None;
        self.heard.flapping = change == Change::Flapping;
        if self.heard.flapping {
            self.found(FindingKind::SourceFlapping, seq, "to_and_fro")?;
        }
        Ok(())
    }

    /// Whether a preview may stand for the present: not beside a second voice, not beyond what a backlog can hold, not
    /// from a far future. What it says is shown before its place in the chain vouches for it.
    pub(super) fn believes(&self, preview: &Entry) -> Result<bool, StoreError> {
        let Some(chain) = self.chain.as_ref() else { return Ok(false) };
        if finding::two_voices(self.db, self.agent)? {
            return Ok(false);
        }
        let next_seq = chain.branches.iter().find(|stored| stored.branch.no == 0).map_or(0, |stored| stored.branch.tip.next_seq);
        let ahead = preview.head.seq.checked_sub(next_seq).is_some_and(|ahead| ahead <= PREVIEW_AHEAD_MAX);
        Ok(ahead && preview.head.taken_at_ms <= self.batch.received_at_ms.saturating_add(PREVIEW_FUTURE_MS))
    }
}

/// Places a preview may lie ahead of what is held: more than an outbox holds.
const PREVIEW_AHEAD_MAX: u64 = 1_000_000;
/// How far ahead the clock of a machine whose preview is believed may go, in milliseconds.
const PREVIEW_FUTURE_MS: i64 = 86_400_000;
