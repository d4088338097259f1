//! `POST /revoke`: ends an identity token (RFC 7009). The token is its own proof.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::SecretString;

use super::answer;
use super::bridge::Bridge;
use super::edge::Edge;
use super::error::{Failure, Invalid};
use super::form;
use super::limits::Limits;
use super::visit::Visit;

/// Answers `POST`; 200 also for a token that nobody knows.
pub(super) async fn post<B: Bridge>(State(edge): State<Edge<B>>, Extension(visit): Extension<Visit>, request: Request) -> Response {
    match revoke(&edge, &visit, request).await {
        Ok(()) => answer::empty(StatusCode::OK),
        Err(failure) => edge.refuse(&visit, &failure, None),
    }
}

async fn revoke<B: Bridge>(edge: &Edge<B>, visit: &Visit, request: Request) -> Result<(), Failure> {
    let token = token(request, &edge.limits).await?;
    Ok(edge.bridge.revoke(visit.caller(), token).await?)
}

async fn token(request: Request, limits: &Limits) -> Result<SecretString, Invalid> {
    let form = form::read(request, limits).await?;
    form.once("token")?.map(SecretString::from).ok_or(Invalid::Missing("token"))
}
