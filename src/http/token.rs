//! `GET /token`: docker's token request (distribution's `auth/token.md`).

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;

use super::answer;
use super::basic::Presented;
use super::bridge::Bridge;
use super::edge::Edge;
use super::error::{Failure, Invalid};
use super::parameters::Parameters;
use super::visit::Visit;
use crate::issue::{GrantType, TokenRequest};
use crate::registry::ScopeRequest;

/// Answers `GET` and `HEAD`.
pub(super) async fn get<B: Bridge>(
    State(edge): State<Edge<B>>,
    Extension(visit): Extension<Visit>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    respond(&edge, &visit, read(&visit, &method, &uri, &headers)).await
}

/// Asks the service and answers; `POST` ends here as well.
pub(super) async fn respond<B: Bridge>(edge: &Edge<B>, visit: &Visit, request: Result<TokenRequest, Invalid>) -> Response {
    let request = match request {
        Ok(request) => request,
        Err(invalid) => return edge.refuse(visit, &invalid.into(), None),
    };
    let service = request.service.clone();
    match edge.bridge.issue(request).await {
        Ok(issued) => answer::issued(&issued),
        Err(refusal) => edge.refuse(visit, &Failure::from(refusal), service.as_deref()),
    }
}

/// Names and passwords in the query are not read: they stand in the logs of every proxy on the way.
fn read(visit: &Visit, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<TokenRequest, Invalid> {
    let query = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
    Ok(TokenRequest {
        service: service(&query)?,
        scopes: scopes(&query)?,
        credentials: Presented::read(headers).credentials(),
        grant: GrantType::Basic,
        // The answer to HEAD has no body, so an identity token would be made for nobody.
        offline: query.has("offline_token", "true") && method != Method::HEAD,
        client: visit.client,
        id: visit.id.to_string(),
        received: visit.received,
    })
}

/// The registry that is meant. Some clients send an empty one where the registry's challenge names none.
pub(super) fn service(parameters: &Parameters) -> Result<Option<String>, Invalid> {
    Ok(parameters.once("service")?.filter(|service| !service.is_empty()).map(ToOwned::to_owned))
}

/// Every scope: repeated, joined by spaces, or both.
pub(super) fn scopes(parameters: &Parameters) -> Result<ScopeRequest, Invalid> {
    Ok(ScopeRequest::parse(parameters.all("scope"))?)
}
