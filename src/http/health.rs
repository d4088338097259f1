//! Whether the process lives, whether it could serve anybody, and its numbers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use super::bridge::Bridge;
use super::edge::Edge;

/// `/livez`: the process answers.
pub(super) async fn live() -> Response {
    answer::empty(StatusCode::OK)
}

/// `/readyz` on `listen`: a status code only, because the details name providers.
pub(super) async fn ready<B: Bridge>(State(edge): State<Edge<B>>) -> Response {
    answer::empty(status(edge.bridge.readiness().ready))
}

/// `/readyz` on `admin_listen`.
pub(super) async fn ready_in_detail<B: Bridge>(State(edge): State<Edge<B>>) -> Response {
    let readiness = edge.bridge.readiness();
    answer::json(status(readiness.ready), &readiness.details)
}

/// `/status` on `admin_listen`: the same details, always 200.
pub(super) async fn report<B: Bridge>(State(edge): State<Edge<B>>) -> Response {
    answer::json(StatusCode::OK, &edge.bridge.readiness().details)
}

/// `/metrics` on `admin_listen`.
pub(super) async fn metrics<B: Bridge>(State(edge): State<Edge<B>>) -> Response {
    answer::typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", edge.bridge.metrics())
}

const fn status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
