//! Pages, health and metrics: one table of routes with who may call each.

pub mod lang;
pub mod page;
mod routes;

pub use routes::{Access, Listener, ROUTES, Route, router};

use crate::clock;
use crate::export::exposition::Format;
use crate::export::metrics;
use crate::export::selfmetrics::SelfMetrics;
use crate::net::NetTelemetry;
use crate::store::{Scope, Store, StoreError};
use crate::view::{self, FleetView};
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use lang::Lang;
use mimamori_shared::id::CollectorId;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// What pages and metrics work with.
#[derive(Debug)]
pub struct Web {
    /// The store.
    pub store: Store,
    /// The collector.
    pub collector_id: CollectorId,
    /// Own metrics.
    pub metrics: Arc<SelfMetrics>,
    /// What the ingest listener counts.
    pub net: Arc<NetTelemetry>,
    /// The database's file, for its size.
    pub database: PathBuf,
    /// Hours that the operator's day is ahead of UTC.
    pub utc_offset_h: i64,
    /// When a write was last made durable for `/readyz`, milliseconds since 1970.
    pub ready_at_ms: AtomicI64,
}

/// How long one write answers for `/readyz`, in milliseconds: asking often must not wear the disk.
const READY_MS: i64 = 1000;

impl Web {
    async fn view(&self) -> Result<FleetView, Failed> {
        // There is no login yet: these listeners are for the operator on this machine, who may see all.
        Ok(view::load(&self.store, &Scope::All, self.collector_id, self.utc_offset_h, clock::now_ms()).await?)
    }
}

/// The store failed: the detail goes to the log, not to the caller.
struct Failed(StoreError);

impl From<StoreError> for Failed {
    fn from(fault: StoreError) -> Failed {
        Failed(fault)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        eprintln!("<3>the store failed: {}", mimamori_shared::error::chain(&self.0));
        (StatusCode::SERVICE_UNAVAILABLE, "the store failed; see the collector's log\n").into_response()
    }
}

fn html(body: String) -> Response {
    let mut response = ([(header::CONTENT_TYPE, HeaderValue::from_static(page::CONTENT_TYPE))], body).into_response();
    for (name, value) in page::SECURITY_HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

fn json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], value.to_string()).into_response()
}

fn lang_of(query: Option<&str>, headers: &HeaderMap) -> Lang {
    let query = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("lang=")));
    lang::chosen(query, headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}

async fn fleet(State(web): State<Arc<Web>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Failed> {
    Ok(html(page::fleet::page(&web.view().await?, lang_of(query.as_deref(), &headers))))
}

async fn machine(
    State(web): State<Arc<Web>>,
    Path((facility, machine)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let found = page::machine::page(&web.view().await?, &facility, &machine, lang_of(query.as_deref(), &headers));
    Ok(found.map_or_else(|| (StatusCode::NOT_FOUND, "no such machine\n").into_response(), html))
}

async fn metrics_page(State(web): State<Arc<Web>>, headers: HeaderMap) -> Result<Response, Failed> {
    let format = Format::from_accept(headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()));
    web.metrics.take_over(&web.net);
    let bytes = |suffix: &str| {
        let mut path = web.database.as_os_str().to_owned();
        path.push(suffix);
        std::fs::metadata(path).map_or(0, |meta| meta.len())
    };
    web.metrics.store_bytes.set(i64::try_from(bytes("") + bytes("-wal")).unwrap_or(i64::MAX));
    let body = metrics::page(&web.metrics, &web.view().await?, format);
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()))], body).into_response())
}

async fn healthz() -> Response {
    json(&serde_json::json!({"schema": "mimamori.health/1", "alive": true}))
}

/// Ready means: a write was made durable within the last second.
async fn readyz(State(web): State<Arc<Web>>) -> Result<Response, Failed> {
    let now_ms = clock::now_ms();
    if !(0..READY_MS).contains(&now_ms.saturating_sub(web.ready_at_ms.load(Ordering::Relaxed))) {
        web.store.write_probe(now_ms).await?;
        web.ready_at_ms.store(now_ms, Ordering::Relaxed);
    }
    Ok(json(&serde_json::json!({"schema": "mimamori.health/1", "ready": true})))
}

async fn version(State(web): State<Arc<Web>>) -> Response {
    json(&serde_json::json!({"schema": "mimamori.version/1", "version": env!("CARGO_PKG_VERSION"), "collector_id": web.collector_id}))
}
