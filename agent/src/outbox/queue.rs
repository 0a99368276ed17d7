//! How the queue stands, read beside a running agent: for `status`.

use super::{Ledger, OutboxError, heads, id_of, rows};
use mimamori_shared::payload::{Counts, Loss};

/// Loss records looked at; adjacent unsent ones are merged, so that there are few.
const LOSSES_MAX: i64 = 4096;

/// The queue at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queue {
    /// Bytes of everything kept, as they count against the quota.
    pub bytes: u64,
    /// When the oldest unsent entry was taken; wall clock, UTC, milliseconds since 1970.
    pub oldest_unsent_ms: Option<i64>,
    /// What was dropped of what is unsent, by class.
    pub dropped: Counts,
    /// When the first and the last of it was taken.
    pub dropped_span_ms: Option<(i64, i64)>,
}

impl Ledger {
    /// How the queue stands.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn queue(&self) -> Result<Queue, OutboxError> {
        // One moment's view: the running agent may be dropping just now.
        let moment = self.db.unchecked_transaction()?;
        let mut queue = Queue { bytes: heads::used(&moment, i64::MIN, i64::MAX)?, ..Queue::default() };
        for chain in self.chains()? {
            let (from, to) = (id_of(chain.no, chain.unsent_from), id_of(chain.no + 1, 0));
            let oldest: Option<i64> =
                moment.prepare_cached("SELECT MIN(taken_at_ms) FROM entry WHERE id >= ? AND id < ?")?.query_row([from, to], |row| row.get(0))?;
            queue.oldest_unsent_ms = [queue.oldest_unsent_ms, oldest].into_iter().flatten().min();
            let mut statement = moment.prepare_cached("SELECT first_id FROM loss WHERE first_id >= ? AND first_id < ? ORDER BY first_id LIMIT ?")?;
            let ids = statement.query_map([from, to, LOSSES_MAX], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
            for id in ids {
                let said = rows::loss(&moment, id)?.and_then(|loss| serde_json::from_slice(&loss.frame.payload).ok());
                queue.lost(said.as_ref());
            }
        }
        Ok(queue)
    }
}

impl Queue {
    fn lost(&mut self, loss: Option<&Loss>) {
        let Some(loss) = loss else { return };
        self.dropped.add_all(&loss.counts);
        let (from_ms, to_ms) = self.dropped_span_ms.unwrap_or((loss.from_ms, loss.to_ms));
        self.dropped_span_ms = Some((from_ms.min(loss.from_ms), to_ms.max(loss.to_ms)));
    }
}
