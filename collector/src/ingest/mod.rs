//! What agents may call: `POST /v1/reports`, `POST /v1/enrol`, `GET /limits`.
//!
//! Verify before parse: bytes become [`Verified`](mimamori_shared::sign::Verified), those become an entry, and only
//! entries reach the store. What is answered is durable.

mod admission;
mod body;
mod enrol;
mod error;
mod reports;
mod tally;

pub use admission::{Admission, Rates, Stranger};
pub use body::{decompress, plain_bytes_most};
pub use enrol::enrol;
pub use error::Refused;
pub use reports::reports;
pub use tally::Tally;

use crate::clock;
use crate::export::selfmetrics::SelfMetrics;
use crate::keys::Keys;
use crate::net::{BodyPlace, BodyRoom, ConnHandle, ConnLimits};
use crate::store::{Store, Who};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use mimamori_domain::abuse::Abuse;
use mimamori_shared::id::{AgentId, KeyId};
use mimamori_shared::sign::{PayloadType, PublicKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Keys remembered; they never change, only their state does, and the store judges that in its transaction.
const KEYS_REMEMBERED_MAX: usize = 16_384;
/// Memory for bodies as sent: small ones, large ones.
const SENT_ROOM: (usize, usize) = (16 << 20, 48 << 20);
/// Memory for bodies decompressed, each counted with the most it can become.
const PLAIN_ROOM: (usize, usize) = (32 << 20, 64 << 20);

/// What every request works with.
#[derive(Debug)]
pub struct Ingest {
    /// The store.
    pub store: Store,
    keys: RwLock<Arc<Keys>>,
    /// Deadlines of bodies.
    pub limits: ConnLimits,
    /// Own metrics.
    pub metrics: Arc<SelfMetrics>,
    /// How much of each agent is taken.
    pub admission: Admission,
    /// What is counted of abuse.
    pub tally: Arc<Tally>,
    sent: BodyRoom,
    plain: BodyRoom,
    known: Mutex<HashMap<KeyId, (AgentId, PublicKey)>>,
}

impl Ingest {
    /// With nothing remembered yet.
    #[must_use]
    pub fn new(store: Store, keys: Keys, limits: ConnLimits, rates: Rates, tally: Arc<Tally>, metrics: Arc<SelfMetrics>) -> Ingest {
        let (sent, plain) = (BodyRoom::new(SENT_ROOM.0, SENT_ROOM.1), BodyRoom::new(PLAIN_ROOM.0, PLAIN_ROOM.1));
        let keys = RwLock::new(Arc::new(keys));
        Ingest { store, keys, limits, metrics, admission: Admission::new(rates), tally, sent, plain, known: Mutex::new(HashMap::new()) }
    }

    /// The keys that answers are signed with.
    #[must_use]
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs with these from now on.
    pub fn set_keys(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Counts a refusal, by cause and by who it was.
    fn count(&self, refused: &Refused, connection: &ConnHandle) {
        self.metrics.refused(refused.because()).inc();
        if let Some((abuse, agent)) = refused.abuse() {
            self.note(abuse, agent.and_then(|agent| proven(agent, connection)), 1, connection);
        }
    }

    fn note(&self, abuse: Abuse, agent: Option<AgentId>, count: u64, connection: &ConnHandle) {
        let who = agent.map_or_else(|| Who::Source(connection.source().to_string()), Who::Agent);
        self.tally.note(abuse, who, count, clock::now_ms());
    }

    /// Room for a body of `length` as sent, before a byte of it is read.
    async fn room(&self, connection: &ConnHandle, length: usize) -> Result<BodyPlace, Refused> {
        let unverified = (!connection.is_verified()).then(|| connection.source());
        self.sent.take(unverified, length, length).await.map_err(|_| Refused::Busy)
    }

    /// Room for what it can become decompressed.
    async fn plain_room(&self, connection: &ConnHandle, length: usize) -> Result<BodyPlace, Refused> {
        let unverified = (!connection.is_verified()).then(|| connection.source());
        self.plain.take(unverified, length, plain_bytes_most(length)).await.map_err(|_| Refused::Busy)
    }

    /// Whose key this is; the store says whether it is still welcome.
    async fn key(&self, key_id: KeyId) -> Result<Option<(AgentId, PublicKey)>, Refused> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key_id) {
            return Ok(Some(*known));
        }
        let Some(row) = self.store.key(key_id).await.map_err(Refused::store)? else { return Ok(None) };
        let Ok(key) = PublicKey::from_bytes(&row.public_key) else { return Ok(None) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEYS_REMEMBERED_MAX {
            known.clear();
        }
        known.insert(key_id, (row.agent_id, key));
        Ok(Some((row.agent_id, key)))
    }

    fn signed(&self, status: StatusCode, kind: PayloadType, payload: Vec<u8>) -> Response {
        let answer = HeaderValue::from_static("application/vnd.mimamori.answer");
        (status, [(header::CONTENT_TYPE, answer)], self.keys().answer(kind, payload)).into_response()
    }
}

/// The agent, where the connection is proven to be its; whoever merely names a key is an address.
fn proven(agent: AgentId, connection: &ConnHandle) -> Option<AgentId> {
    connection.speaks_for(&agent.to_string()).then_some(agent)
}

/// The table of limits, as JSON.
pub async fn limits(State(ingest): State<Arc<Ingest>>) -> Response {
    let rates = ingest.admission.rates().table();
    let rows: Vec<_> = mimamori_shared::limits::TABLE
        .iter()
        .chain(&rates)
        .map(|(name, value, unit)| serde_json::json!({"name": name, "value": value, "unit": unit}))
        .collect();
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], serde_json::json!({"schema": "mimamori.limits/1", "limits": rows}).to_string()).into_response()
}
