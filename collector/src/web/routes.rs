//! The table the routers are built from.

use super::{Web, fleet, healthz, machine, metrics_page, readyz, version};
use crate::ingest::{self, Ingest};
use axum::Router;
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

/// Where a route is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Agents; public, TLS.
    Ingest,
    /// People; loopback.
    Pages,
    /// Prometheus and health; loopback.
    Metrics,
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the listener; nothing about a facility is told.
    Open,
    /// Whoever signs as an agent.
    Signed,
    /// Whoever holds a token.
    Token,
    /// The operator on this machine: the listener is bound to loopback.
    Operator,
}

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where.
    pub listener: Listener,
    /// How.
    pub method: &'static str,
    /// What.
    pub path: &'static str,
    /// Who.
    pub access: Access,
}

const fn route(listener: Listener, method: &'static str, path: &'static str, access: Access) -> Route {
    Route { listener, method, path, access }
}

/// Every route there is.
pub const ROUTES: &[Route] = &[
    route(Listener::Ingest, "POST", "/v1/reports", Access::Signed),
    route(Listener::Ingest, "POST", "/v1/enrol", Access::Token),
    route(Listener::Ingest, "GET", "/limits", Access::Open),
    route(Listener::Pages, "GET", "/", Access::Operator),
    route(Listener::Pages, "GET", "/machines/{facility}/{machine}", Access::Operator),
    route(Listener::Metrics, "GET", "/metrics", Access::Operator),
    route(Listener::Metrics, "GET", "/healthz", Access::Open),
    route(Listener::Metrics, "GET", "/readyz", Access::Open),
    route(Listener::Metrics, "GET", "/version", Access::Open),
    route(Listener::Metrics, "GET", "/limits", Access::Open),
];

/// The router of one listener, made from [`ROUTES`].
pub fn router(listener: Listener, ingest: &Arc<Ingest>, web: &Arc<Web>) -> Router {
    let mut router = Router::new();
    for route in ROUTES.iter().filter(|route| route.listener == listener) {
        if let Some(handler) = handler(route.path, ingest, web) {
            router = router.route(route.path, handler);
        }
    }
    router
}

fn handler(path: &str, agents: &Arc<Ingest>, web: &Arc<Web>) -> Option<MethodRouter> {
    let (agents, web) = (Arc::clone(agents), Arc::clone(web));
    Some(match path {
        "/v1/reports" => post(ingest::reports).with_state(agents),
        "/v1/enrol" => post(ingest::enrol).with_state(agents),
        "/limits" => get(ingest::limits),
        "/" => get(fleet).with_state(web),
        "/machines/{facility}/{machine}" => get(machine).with_state(web),
        "/metrics" => get(metrics_page).with_state(web),
        "/healthz" => get(healthz),
        "/readyz" => get(readyz).with_state(web),
        "/version" => get(version).with_state(web),
        _ => return None,
    })
}
