//! What was noted of the way to the collector and outlives the process: for `status`, `check` and the report.
//!
//! One row of `state` for each kind, with its moment. A state that is over is taken away; what happened and is done
//! ([`Kind::WentBack`]) stays with its newest moment.

use super::rows::sum;
use super::{FILE, Outbox, OutboxError, schema};
use mimamori_shared::payload::Layer;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::Path;

/// What can be noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The collector takes no more of this machine's key.
    Revoked,
    /// The collector wants an operator's approval first.
    NeedsApproval,
    /// The collector sees two holders of this key.
    Forked,
    /// The collector held less than it had receipted.
    WentBack,
    /// Pushes fail at this layer.
    Failing(Layer),
    /// Pushes fail with the status a collector gives to a key it does not know; unsigned, so it is a word and no more.
    KeyUnknown,
    /// Pushes fail with the status a collector gives before a machine's approval; unsigned as well.
    Forbidden,
}

impl Kind {
    /// Every kind; pushes that fail stand once for each layer.
    pub const ALL: [Kind; 12] = [
        Kind::Revoked,
        Kind::NeedsApproval,
        Kind::Forked,
        Kind::WentBack,
        Kind::Failing(Layer::Dns),
        Kind::Failing(Layer::Tcp),
        Kind::Failing(Layer::Proxy),
        Kind::Failing(Layer::Tls),
        Kind::Failing(Layer::Http),
        Kind::Failing(Layer::Receipt),
        Kind::KeyUnknown,
        Kind::Forbidden,
    ];

    /// Whether it says that pushes fail; at most one such holds at a time.
    #[must_use]
    pub fn is_failing(self) -> bool {
        matches!(self, Kind::Failing(_) | Kind::KeyUnknown | Kind::Forbidden)
    }

    /// The name in JSON and, behind `noted.`, in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Revoked => "revoked",
            Kind::NeedsApproval => "needs_approval",
            Kind::Forked => "forked",
            Kind::WentBack => "collector_went_back",
            Kind::Failing(Layer::Dns) => "failing_dns",
            Kind::Failing(Layer::Tcp) => "failing_tcp",
            Kind::Failing(Layer::Proxy) => "failing_proxy",
            Kind::Failing(Layer::Tls) => "failing_tls",
            Kind::Failing(Layer::Http) => "failing_http",
            Kind::Failing(Layer::Receipt) => "failing_receipt",
            Kind::KeyUnknown => "failing_http_401",
            Kind::Forbidden => "failing_http_403",
        }
    }

    fn key(self) -> String {
        format!("noted.{}", self.name())
    }
}

/// One thing noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// What.
    pub kind: Kind,
    /// Since when, or for [`Kind::WentBack`] when last; wall clock, UTC, milliseconds since 1970.
    pub at_ms: i64,
}

impl Outbox {
    /// Notes an event. A state that lasts keeps the moment it began.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note_event(&mut self, kind: Kind, at_ms: i64) -> Result<(), OutboxError> {
        if kind != Kind::WentBack && get(&self.db, kind)?.is_some() {
            return Ok(());
        }
        let (key, value) = (kind.key(), at_ms.to_le_bytes());
        self.db.execute(
            "INSERT INTO state (key, value, sum) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET value = ?2, sum = ?3",
            params![key, value, sum(&[key.as_bytes(), &value])],
        )?;
        Ok(())
    }

    /// Takes away every state that `over` names; writes only when there is one.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn clear_noted(&mut self, over: impl Fn(Kind) -> bool) -> Result<(), OutboxError> {
        for kind in Kind::ALL.into_iter().filter(|kind| over(*kind)) {
            if get(&self.db, kind)?.is_some() {
                self.db.execute("DELETE FROM state WHERE key = ?", [kind.key()])?;
            }
        }
        Ok(())
    }
}

/// What is noted in the outbox of a state folder, read beside a running agent; nothing when there is no outbox yet.
///
/// # Errors
/// When the file cannot be read.
pub fn noted(dir: &Path) -> Result<Vec<Noted>, OutboxError> {
    let Some(db) = schema::open_read_only(&dir.join(FILE))? else { return Ok(Vec::new()) };
    let found = Kind::ALL.into_iter().map(|kind| Ok(get(&db, kind)?.map(|at_ms| Noted { kind, at_ms })));
    Ok(found.collect::<Result<Vec<_>, OutboxError>>()?.into_iter().flatten().collect())
}

/// A row that is damaged counts as none here; opening the outbox finds it.
fn get(db: &Connection, kind: Kind) -> Result<Option<i64>, OutboxError> {
    let key = kind.key();
    let row: Option<(Vec<u8>, Vec<u8>)> =
        db.prepare_cached("SELECT value, sum FROM state WHERE key = ?")?.query_row([&key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let whole = row.filter(|(value, kept)| sum(&[key.as_bytes(), value]) == kept.as_slice());
    Ok(whole.and_then(|(value, _)| value.try_into().ok()).map(i64::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Quota;

    #[test]
    fn what_was_noted_outlives_the_process_until_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let quota = Quota { bytes: 1 << 30, age_ms: i64::MAX / 2, free_floor_bytes: 0 };
        assert_eq!(noted(dir.path()).unwrap(), []);
        let (mut outbox, _, _) = Outbox::open(dir.path(), quota, 0).unwrap();
        for (kind, at_ms) in [(Kind::Revoked, 5), (Kind::Revoked, 9), (Kind::WentBack, 6), (Kind::WentBack, 8), (Kind::Failing(Layer::Tls), 7)] {
            outbox.note_event(kind, at_ms).unwrap();
        }
        drop(outbox);
        let (mut outbox, _, noticed) = Outbox::open(dir.path(), quota, 0).unwrap();
        assert!(noticed.is_empty(), "{noticed:?}");
        let all = noted(dir.path()).unwrap();
        let of = |kind, at_ms| Noted { kind, at_ms };
        assert_eq!(all, [of(Kind::Revoked, 5), of(Kind::WentBack, 8), of(Kind::Failing(Layer::Tls), 7)]);
        outbox.clear_noted(|kind| kind != Kind::WentBack).unwrap();
        assert_eq!(noted(dir.path()).unwrap(), [of(Kind::WentBack, 8)]);
    }

    #[test]
    fn a_damaged_note_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (mut outbox, _, _) = Outbox::open(dir.path(), Quota { bytes: 1 << 30, age_ms: 1, free_floor_bytes: 0 }, 0).unwrap();
        outbox.note_event(Kind::Forked, 5).unwrap();
        outbox.db.execute("UPDATE state SET value = zeroblob(8)", []).unwrap();
        assert_eq!(noted(dir.path()).unwrap(), []);
    }
}
