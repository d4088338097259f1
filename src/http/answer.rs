//! What leaves the edge: JSON, and the headers of every answer.

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::issue::Issued;

/// The name of the header with the request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// The body of a signed answer: the same for GET and POST, because some clients read only `token`, some only `access_token`.
#[derive(Serialize)]
struct Success<'a> {
    token: &'a str,
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u32,
    issued_at: String,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// 200 with a token.
pub(super) fn issued(issued: &Issued) -> Response {
    let token = issued.token.expose_secret();
    json(
        StatusCode::OK,
        &Success {
            token,
            access_token: token,
            token_type: "Bearer",
            expires_in: issued.expires_in,
            issued_at: issued.issued_at.rfc3339(),
            scope: &issued.scope,
            refresh_token: issued.refresh_token.as_ref().map(ExposeSecret::expose_secret),
        },
    )
}

/// Any value as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // Serialising strings, numbers and `serde_json::Value` into memory cannot fail.
    let body = serde_json::to_vec(value).unwrap_or_default();
    typed(status, "application/json", body)
}

/// A body of this content type.
pub(super) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = empty(status);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    *response.body_mut() = body.into();
    response
}

/// A status code alone.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 204 with what is allowed, for `OPTIONS`.
pub(super) fn options(allow: &'static str) -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// Adds what every answer carries.
pub(super) fn mark(headers: &mut HeaderMap, id: &str) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}
