//! What registries trust: JWKS and certificate bundles, public by nature.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::bridge::Bridge;
use super::edge::Edge;
use super::{answer, error};

/// The service of a path; what is not UTF-8 is the name of none.
type Service = Result<Path<String>, PathRejection>;

/// `/keys/SERVICE/jwks.json`
pub(super) async fn jwks<B: Bridge>(State(edge): State<Edge<B>>, service: Service) -> Response {
    service.map_or_else(|_| error::not_found(), |Path(service)| jwks_of(&edge, &service))
}

/// `/keys/SERVICE/bundle.pem`
pub(super) async fn bundle<B: Bridge>(State(edge): State<Edge<B>>, service: Service) -> Response {
    service.map_or_else(|_| error::not_found(), |Path(service)| bundle_of(&edge, &service))
}

/// `/.well-known/jwks.json`, where there is one service.
pub(super) async fn only_jwks<B: Bridge>(State(edge): State<Edge<B>>) -> Response {
    edge.only_service().map_or_else(error::not_found, |service| jwks_of(&edge, &service))
}

/// `/keys/bundle.pem`, where there is one service.
pub(super) async fn only_bundle<B: Bridge>(State(edge): State<Edge<B>>) -> Response {
    edge.only_service().map_or_else(error::not_found, |service| bundle_of(&edge, &service))
}

fn jwks_of<B: Bridge>(edge: &Edge<B>, service: &str) -> Response {
    edge.bridge.jwks(service).map_or_else(error::not_found, |keys| answer::json(StatusCode::OK, &keys))
}

fn bundle_of<B: Bridge>(edge: &Edge<B>, service: &str) -> Response {
    edge.bridge.bundle(service).map_or_else(error::not_found, |pem| answer::typed(StatusCode::OK, "application/x-pem-file", pem))
}
