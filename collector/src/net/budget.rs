//! Who may hold a connection: the two budgets, and the shares per source and per agent.
//!
//! Knows nothing about time; see `watchdog`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::source::Source;
use super::{Closed, ConnLimits, NetTelemetry};

/// Why a connection stays in the unauthenticated budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// The authenticated budget is full.
    #[error("too many authenticated connections")]
    Authenticated,
    /// This agent has all the connections it may have.
    #[error("too many connections of this agent")]
    Agent,
}

/// A connection as its handlers see it: an extension of every request.
#[derive(Clone, Debug)]
pub struct ConnHandle {
    /// The other end of the TCP connection.
    pub peer: SocketAddr,
    seat: Arc<Seat>,
}

impl ConnHandle {
    pub(super) fn new(peer: SocketAddr, seat: Arc<Seat>) -> Self {
        ConnHandle { peer, seat }
    }

    /// A handle that belongs to no connection, for calling a router without a socket.
    pub fn detached(peer: SocketAddr) -> Self {
        let budgets = Arc::new(Budgets::new(&ConnLimits::default(), Arc::default()));
        ConnHandle { peer, seat: Arc::new(Seat::new(budgets, Place::Left)) }
    }

    /// Moves the connection to the authenticated budget and gives it the longer idle limit.
    ///
    /// Call it after a report's signature held, as often as that happens. The first agent counts: a
    /// proxy's connection that carries several agents stays with the first. On `Err` the report is as
    /// good as before; only the connection keeps the short idle limit and its unauthenticated place.
    pub fn mark_verified(&self, agent: &str) -> Result<(), TooMany> {
        self.seat.mark_verified(agent)
    }

    /// Whether it brought a verified report.
    pub fn is_verified(&self) -> bool {
        self.seat.is_verified()
    }

    /// Whether a verified report made it this agent's.
    pub fn speaks_for(&self, agent: &str) -> bool {
        matches!(&*lock(&self.seat.place), Place::Verified(verified) if **verified == *agent)
    }

    /// Where it comes from, as far as shares are concerned.
    pub fn source(&self) -> Source {
        Source::from(self.peer.ip())
    }
}

/// Sources of verified reports that are remembered.
const KNOWN_SOURCES_MAX: usize = 4096;

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Budgets {
    unauthenticated_max: usize,
    authenticated_max: usize,
    per_source_max: usize,
    per_known_source_max: usize,
    per_agent_max: usize,
    telemetry: Arc<NetTelemetry>,
    taken: Mutex<Taken>,
}

/// The maps hold no entry for 0, so they are bounded by the budgets.
#[derive(Debug, Default)]
struct Taken {
    unauthenticated: usize,
    authenticated: usize,
    sources: HashMap<Source, usize>,
    /// Sources of verified reports, with when in their order they brought the last one.
    known: HashMap<Source, u64>,
    verified: u64,
    agents: HashMap<Box<str>, usize>,
}

impl Taken {
    /// The source of a verified report. The one that brought none for the longest is forgotten for it.
    fn remember(&mut self, source: Source) {
        self.verified += 1;
        if self.known.len() >= KNOWN_SOURCES_MAX
            && !self.known.contains_key(&source)
            && let Some(oldest) = self.known.iter().min_by_key(|(_, at)| **at).map(|(source, _)| *source)
        {
            self.known.remove(&oldest);
        }
        self.known.insert(source, self.verified);
    }
}

impl Budgets {
    pub(super) fn new(limits: &ConnLimits, telemetry: Arc<NetTelemetry>) -> Self {
        Budgets {
            unauthenticated_max: limits.unauthenticated_max,
            authenticated_max: limits.authenticated_max,
            per_source_max: limits.per_source_max,
            per_known_source_max: limits.per_known_source_max,
            per_agent_max: limits.per_agent_max,
            telemetry,
            taken: Mutex::default(),
        }
    }

    /// Gives a new connection a place among the unauthenticated, or the reason to close it.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<LeaveOnDrop, Closed> {
        let source = Source::from(peer);
        let mut taken = lock(&self.taken);
        if taken.unauthenticated >= self.unauthenticated_max {
            return Err(Closed::TooManyUnauthenticated);
        }
        // Behind a hospital's one address an outsider's connections must not shut out its machines when they come back.
        let most = if taken.known.contains_key(&source) { self.per_known_source_max } else { self.per_source_max };
        if count(&taken.sources, &source) >= most {
            return Err(Closed::TooManyFromSource);
        }
        taken.unauthenticated += 1;
        *taken.sources.entry(source).or_default() += 1;
        self.telemetry.open_unauthenticated.fetch_add(1, Relaxed);
        Ok(LeaveOnDrop(Arc::new(Seat::new(Arc::clone(self), Place::Unverified(source)))))
    }

    #[cfg(test)]
    pub(super) fn map_sizes(&self) -> (usize, usize) {
        let taken = lock(&self.taken);
        (taken.sources.len(), taken.agents.len())
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Seat {
    budgets: Arc<Budgets>,
    verified: AtomicBool,
    place: Mutex<Place>,
}

#[derive(Debug)]
enum Place {
    Unverified(Source),
    Verified(Box<str>),
    /// The connection is gone; a handler's task may still hold the handle.
    Left,
}

impl Seat {
    fn new(budgets: Arc<Budgets>, place: Place) -> Self {
        Seat { budgets, verified: AtomicBool::new(false), place: Mutex::new(place) }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.verified.load(Relaxed)
    }

    fn mark_verified(&self, agent: &str) -> Result<(), TooMany> {
        let mut place = lock(&self.place);
        let source = match &*place {
            Place::Unverified(source) => *source,
            Place::Verified(_) | Place::Left => return Ok(()),
        };
        let Budgets { telemetry, .. } = &*self.budgets;
        let mut taken = lock(&self.budgets.taken);
        if taken.authenticated >= self.budgets.authenticated_max {
            telemetry.too_many_authenticated.fetch_add(1, Relaxed);
            return Err(TooMany::Authenticated);
        }
        if count(&taken.agents, agent) >= self.budgets.per_agent_max {
            telemetry.too_many_for_agent.fetch_add(1, Relaxed);
            return Err(TooMany::Agent);
        }
        taken.unauthenticated -= 1;
        give_back(&mut taken.sources, source);
        taken.remember(source);
        taken.authenticated += 1;
        *taken.agents.entry(agent.into()).or_default() += 1;
        telemetry.open_unauthenticated.fetch_sub(1, Relaxed);
        telemetry.open_authenticated.fetch_add(1, Relaxed);
        *place = Place::Verified(agent.into());
        self.verified.store(true, Relaxed);
        Ok(())
    }

    fn leave(&self) {
        let place = std::mem::replace(&mut *lock(&self.place), Place::Left);
        let Budgets { telemetry, .. } = &*self.budgets;
        let mut taken = lock(&self.budgets.taken);
        match place {
            Place::Unverified(source) => {
                taken.unauthenticated -= 1;
                give_back(&mut taken.sources, source);
                telemetry.open_unauthenticated.fetch_sub(1, Relaxed);
            }
            Place::Verified(agent) => {
                taken.authenticated -= 1;
                give_back(&mut taken.agents, agent);
                telemetry.open_authenticated.fetch_sub(1, Relaxed);
            }
            Place::Left => {}
        }
    }
}

/// Owned by the connection's task: the place is free again however the task ends.
#[derive(Debug)]
pub(super) struct LeaveOnDrop(Arc<Seat>);

impl LeaveOnDrop {
    pub(super) fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.0)
    }
}

impl Drop for LeaveOnDrop {
    fn drop(&mut self) {
        self.0.leave();
    }
}

fn count<K, Q>(map: &HashMap<K, usize>, key: &Q) -> usize
where
    K: Eq + Hash + std::borrow::Borrow<Q>,
    Q: Eq + Hash + ?Sized,
{
    map.get(key).copied().unwrap_or(0)
}

fn give_back<K: Eq + Hash>(map: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut entry) = map.entry(key) {
        *entry.get_mut() -= 1;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

/// No code panics while holding these locks in a way that leaves them half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
