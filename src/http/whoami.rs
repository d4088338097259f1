//! `GET /whoami`: who the credentials belong to here, and with `scope` what they would be granted.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use super::answer;
use super::basic::Presented;
use super::bridge::Bridge;
use super::edge::Edge;
use super::error::{Failure, Invalid};
use super::parameters::Parameters;
use super::token;
use super::visit::Visit;
use crate::issue::WhoRequest;

/// Answers `GET` and `HEAD`.
pub(super) async fn get<B: Bridge>(
    State(edge): State<Edge<B>>,
    Extension(visit): Extension<Visit>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let request = match read(&visit, &uri, &headers) {
        Ok(request) => request,
        Err(invalid) => return edge.refuse(&visit, &invalid.into(), None),
    };
    let service = request.service.clone();
    match edge.bridge.who(request).await {
        Ok(who) => answer::json(StatusCode::OK, &who),
        Err(refusal) => edge.refuse(&visit, &Failure::from(refusal), service.as_deref()),
    }
}

fn read(visit: &Visit, uri: &Uri, headers: &HeaderMap) -> Result<WhoRequest, Invalid> {
    let query = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
    Ok(WhoRequest {
        service: token::service(&query)?,
        scopes: token::scopes(&query)?,
        credentials: Presented::read(headers).credentials(),
        client: visit.client,
        id: visit.id.to_string(),
        received: visit.received,
    })
}
