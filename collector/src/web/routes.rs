//! The table the routers are built from.

use super::{Web, fleet, healthz, machine, metrics_page, readyz, version};
use crate::ingest::{self, Ingest};
use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::{StatusCode, header};
use std::net::IpAddr;
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
    match listener {
        Listener::Ingest => router,
        Listener::Pages | Listener::Metrics => router.layer(axum::middleware::from_fn(only_loopback_names)),
    }
}

/// A page somewhere else can make a browser on this machine ask here under a name of its own (DNS rebinding). Whoever
/// asks for this machine by its loopback name or number is answered.
async fn only_loopback_names(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_loopback_name(host) { next.run(request).await } else { (StatusCode::MISDIRECTED_REQUEST, "ask for 127.0.0.1 or localhost\n").into_response() }
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn handler(path: &str, agents: &Arc<Ingest>, web: &Arc<Web>) -> Option<MethodRouter> {
    let (agents, web) = (Arc::clone(agents), Arc::clone(web));
    Some(match path {
        "/v1/reports" => post(ingest::reports).with_state(agents),
        "/v1/enrol" => post(ingest::enrol).with_state(agents),
        "/limits" => get(ingest::limits).with_state(agents),
        "/" => get(fleet).with_state(web),
        "/machines/{facility}/{machine}" => get(machine).with_state(web),
        "/metrics" => get(metrics_page).with_state(web),
        "/healthz" => get(healthz),
        "/readyz" => get(readyz).with_state(web),
        "/version" => get(version).with_state(web),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::is_loopback_name;

    #[test]
    fn only_this_machines_own_names_are_answered() {
        for good in ["127.0.0.1", "127.0.0.1:8080", "localhost:9464", "[::1]:8080", "127.9.9.9:1"] {
            assert!(is_loopback_name(good), "{good}");
        }
        for bad in
            ["", "attacker.example", "attacker.example:8080", "127.0.0.1.attacker.example", "localhost.attacker.example:80", "192.168.1.5:8080", "0.0.0.0"]
        {
            assert!(!is_loopback_name(bad), "{bad}");
        }
    }
}
