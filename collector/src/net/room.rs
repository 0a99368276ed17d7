//! Memory for bodies, taken before a byte of one is read: who holds many connections open with half a body each must
//! not hold the collector's memory.
//!
//! Small bodies, which carry presence, have a share of their own that large ones cannot fill. An unverified source has
//! a part of each share; a connection that brought a verified report is not held to it.

use super::source::Source;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What room is counted in, in bytes.
const UNIT: usize = 1024;
/// Largest body that counts as small, in bytes.
const SMALL_BYTES: usize = 64 * 1024;
/// How long somebody waits for room.
const WAIT: Duration = Duration::from_secs(2);
/// A source that is not verified may have this part of a share.
const SOURCE_PART: usize = 8;

/// There is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for the body now")]
pub struct NoRoom;

/// Room for bodies.
#[derive(Debug)]
pub struct BodyRoom {
    small: Share,
    large: Share,
}

#[derive(Debug)]
struct Share {
    units: usize,
    free: Arc<Semaphore>,
    /// Units of unverified sources; holds no entry for 0.
    sources: Arc<Mutex<HashMap<Source, usize>>>,
}

/// Room that is held; given back on drop.
#[derive(Debug)]
pub struct BodyPlace {
    _permit: OwnedSemaphorePermit,
    part: Option<Part>,
}

#[derive(Debug)]
struct Part {
    sources: Arc<Mutex<HashMap<Source, usize>>>,
    source: Source,
    units: usize,
}

impl BodyRoom {
    /// Room for so many bytes of small bodies and of large ones.
    pub fn new(small_bytes: usize, large_bytes: usize) -> BodyRoom {
        BodyRoom { small: Share::new(small_bytes), large: Share::new(large_bytes) }
    }

    /// Takes room for `bytes` of a body that came in `body_bytes`, waiting for at most two seconds. `unverified` is the
    /// source, where it is held to a part of the room.
    pub async fn take(&self, unverified: Option<Source>, body_bytes: usize, bytes: usize) -> Result<BodyPlace, NoRoom> {
        let share = if body_bytes <= SMALL_BYTES { &self.small } else { &self.large };
        share.take(unverified, bytes).await
    }
}

impl Share {
    fn new(bytes: usize) -> Share {
        let units = bytes / UNIT;
        Share { units, free: Arc::new(Semaphore::new(units)), sources: Arc::default() }
    }

    async fn take(&self, unverified: Option<Source>, bytes: usize) -> Result<BodyPlace, NoRoom> {
        let units = bytes.div_ceil(UNIT).clamp(1, self.units);
        // The part is taken before waiting, so that those who wait are counted too.
        let part = match unverified {
            Some(source) => Some(self.part(source, units)?),
            None => None,
        };
        let wanted = u32::try_from(units).map_err(|_| NoRoom)?;
        let permit = timeout(WAIT, Arc::clone(&self.free).acquire_many_owned(wanted)).await;
        Ok(BodyPlace { _permit: permit.map_err(|_| NoRoom)?.map_err(|_| NoRoom)?, part })
    }

    fn part(&self, source: Source, units: usize) -> Result<Part, NoRoom> {
        let mut sources = lock(&self.sources);
        let held = sources.get(&source).copied().unwrap_or(0);
        if held > 0 && held + units > self.units / SOURCE_PART {
            return Err(NoRoom);
        }
        sources.insert(source, held + units);
        Ok(Part { sources: Arc::clone(&self.sources), source, units })
    }
}

impl BodyPlace {
    /// The body turned out to be a verified agent's: it no longer counts against its source.
    pub fn verified(&mut self) {
        self.part = None;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Entry::Occupied(mut held) = lock(&self.sources).entry(self.source) {
            *held.get_mut() = held.get().saturating_sub(self.units);
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

/// No code panics while holding this lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn source(last: u8) -> Option<Source> {
        Some(Source::V4([192, 0, 2, last].into()))
    }

    #[tokio::test]
    async fn large_bodies_do_not_fill_the_room_of_small_ones() {
        let room = BodyRoom::new(MIB, 4 * MIB);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(room.take(None, MIB, MIB).await.unwrap());
        }
        assert_eq!(room.take(None, MIB, MIB).await.err(), Some(NoRoom), "after waiting");
        assert!(room.take(None, 2000, 2000).await.is_ok());
        held.pop();
        assert!(room.take(None, MIB, MIB).await.is_ok(), "given back");
    }

    #[tokio::test]
    async fn a_source_has_its_part_until_it_is_verified() {
        let room = BodyRoom::new(MIB, 16 * MIB);
        let mut first = room.take(source(1), MIB, MIB).await.unwrap();
        let second = room.take(source(1), MIB, MIB).await.unwrap();
        assert_eq!(room.take(source(1), MIB, MIB).await.err(), Some(NoRoom), "two of sixteen MiB are an eighth");
        assert!(room.take(source(2), MIB, MIB).await.is_ok(), "another source has its own");
        assert!(room.take(None, MIB, MIB).await.is_ok(), "a verified connection is not held to it");
        first.verified();
        assert!(room.take(source(1), MIB, MIB).await.is_ok());
        drop((first, second));
        assert!(lock(&room.large.sources).is_empty(), "nothing is remembered of who holds nothing");
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_gives_its_part_back() {
        let room = BodyRoom::new(MIB, MIB);
        let held = room.take(None, MIB, MIB).await.unwrap();
        assert_eq!(room.take(source(1), MIB, MIB / 16).await.err(), Some(NoRoom));
        drop(held);
        assert!(room.take(source(1), MIB, MIB / 8).await.is_ok());
    }
}
