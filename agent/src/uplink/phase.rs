//! How far the connection being made has come.
//!
//! The HTTP library has one time limit for name, connection, proxy and TLS together and does not say where it
//! struck. The places where it calls back into this program do.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::NamedGroup;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Sessions kept for resumption; there is one server.
const SESSIONS: usize = 8;

/// A step on the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The name is being resolved.
    Name,
    /// A connection is being made; through a proxy, if there is one.
    Connect,
    /// TLS with the collector is being agreed.
    Tls,
}

/// Shared by the places that know. Pushes follow one another; of two at once the later would be told.
#[derive(Debug, Clone)]
pub(super) struct Tracker(Arc<AtomicU8>);

impl Tracker {
    pub(super) fn new() -> Tracker {
        Tracker(Arc::new(AtomicU8::new(1)))
    }

    pub(super) fn set(&self, phase: Phase) {
        let number = match phase {
            Phase::Name => 0,
            Phase::Connect => 1,
            Phase::Tls => 2,
        };
        self.0.store(number, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Name,
            2 => Phase::Tls,
            _ => Phase::Connect,
        }
    }
}

/// The system's resolver.
pub(super) struct Resolver(pub(super) Tracker);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let tracker = self.0.clone();
        Box::pin(async move {
            tracker.set(Phase::Name);
            // Port 0: the HTTP library puts the URL's in its place.
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            tracker.set(Phase::Connect);
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Keeps sessions in memory; is asked for one at the beginning of every handshake.
pub(super) struct Sessions {
    tracker: Tracker,
    kept: ClientSessionMemoryCache,
}

impl Sessions {
    pub(super) fn new(tracker: Tracker) -> Sessions {
        Sessions { tracker, kept: ClientSessionMemoryCache::new(SESSIONS) }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.kept.set_kx_hint(server, group);
    }
    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.tracker.set(Phase::Tls);
        self.kept.kx_hint(server)
    }
    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept.set_tls12_session(server, value);
    }
    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept.tls12_session(server)
    }
    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.kept.remove_tls12_session(server);
    }
    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.kept.insert_tls13_ticket(server, value);
    }
    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept.take_tls13_ticket(server)
    }
}
