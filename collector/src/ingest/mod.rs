//! What agents may call: `POST /v1/reports`, `POST /v1/enrol`, `GET /limits`.
//!
//! Verify before parse: bytes become [`Verified`](mimamori_shared::sign::Verified), those become an entry, and only
//! entries reach the store. What is answered is durable.

mod body;
mod enrol;
mod error;
mod pace;
mod reports;

pub use body::decompress;
pub use enrol::enrol;
pub use error::Refused;
pub use pace::Pace;
pub use reports::reports;

use crate::export::selfmetrics::SelfMetrics;
use crate::keys::Keys;
use crate::net::ConnLimits;
use crate::store::Store;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use mimamori_shared::id::{AgentId, KeyId};
use mimamori_shared::sign::{PayloadType, PublicKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::Semaphore;

/// Keys remembered; they never change, only their state does, and the store judges that in its transaction.
const KEYS_REMEMBERED_MAX: usize = 16_384;
/// Bodies held at the same time: with 8 MiB each this bounds what an attack can make the collector hold.
const BODIES_MAX: usize = 16;

/// What every request works with.
#[derive(Debug)]
pub struct Ingest {
    /// The store.
    pub store: Store,
    keys: RwLock<Arc<Keys>>,
    /// How often enrolment may be tried.
    pub pace: Pace,
    /// Deadlines of bodies.
    pub limits: ConnLimits,
    /// Own metrics.
    pub metrics: Arc<SelfMetrics>,
    bodies: Arc<Semaphore>,
    known: Mutex<HashMap<KeyId, (AgentId, PublicKey)>>,
}

impl Ingest {
    /// With nothing remembered yet.
    #[must_use]
    pub fn new(store: Store, keys: Keys, pace: Pace, limits: ConnLimits, metrics: Arc<SelfMetrics>) -> Ingest {
        Ingest {
            store,
            keys: RwLock::new(Arc::new(keys)),
            pace,
            limits,
            metrics,
            bodies: Arc::new(Semaphore::new(BODIES_MAX)),
            known: Mutex::new(HashMap::new()),
        }
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

/// The table of limits, as JSON.
pub async fn limits() -> Response {
    let rows: Vec<_> =
        mimamori_shared::limits::TABLE.iter().map(|(name, value, unit)| serde_json::json!({"name": name, "value": value, "unit": unit})).collect();
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], serde_json::json!({"schema": "mimamori.limits/1", "limits": rows}).to_string()).into_response()
}
