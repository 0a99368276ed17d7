//! Hands a connection's requests to the router.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tower::Service;

use super::progress::{Progress, TrackedBody};
use super::{ConnHandle, NetTelemetry};

type Answer = Pin<Box<dyn Future<Output = Result<Response<TrackedBody>, Infallible>> + Send>>;

/// One connection's service.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) handle: ConnHandle,
    pub(super) progress: Arc<Progress>,
    pub(super) telemetry: Arc<NetTelemetry>,
    pub(super) handler: Duration,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response<TrackedBody>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, mut request: Request<Incoming>) -> Answer {
        self.progress.request_began();
        self.telemetry.requests.fetch_add(1, Relaxed);
        request.extensions_mut().insert(self.handle.clone());
        // A router is always ready: axum documents that it has no back pressure.
        let answer = self.router.clone().call(request);
        let (progress, telemetry, limit) = (Arc::clone(&self.progress), Arc::clone(&self.telemetry), self.handler);
        Box::pin(async move {
            let mut answer = match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer?,
                Err(_) => {
                    telemetry.handler_timeouts.fetch_add(1, Relaxed);
                    too_late()
                }
            };
            if progress.is_stopping() {
                close_after(&mut answer);
            }
            progress.answer_began();
            Ok(answer.map(|body| TrackedBody::new(body, progress)))
        })
    }
}

fn too_late() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    close_after(&mut answer);
    answer
}

fn close_after(answer: &mut Response<Body>) {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(header::CONNECTION, close);
}
